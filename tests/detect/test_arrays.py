"""Small tools for arrays, against NumPy's."""

import numpy as np
import pytest

from lightmask.detect.arrays import distinct, parts, scaled, sorted_distinct


@pytest.mark.parametrize(("size", "most"), [(0, 3), (1, 3), (9, 3), (10, 3), (3, 10)])
def test_parts_make_up_the_whole(size, most):
    values = np.arange(size)
    cut = [values[part] for part in parts(size, most)]
    assert all(1 <= each.size <= most for each in cut)
    np.testing.assert_array_equal(np.concatenate([values[:0], *cut]), values)


@pytest.mark.parametrize("size", [0, 1, 2, 500])
def test_distinct_values(size):
    rng = np.random.default_rng(size)
    pixels = rng.integers(0, 300, size)
    np.testing.assert_array_equal(sorted_distinct(pixels), np.unique(pixels))
    seen = np.zeros((20, 15), bool)
    found = distinct(np.array_split(pixels, 7), seen, np.dtype(np.int32))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(np.sort(found), np.unique(pixels))
    assert not seen.any()


def test_the_first_pixel_of_all_is_as_distinct_as_others():
    np.testing.assert_array_equal(sorted_distinct(np.array([3, 0, 0, 3])), [0, 3])


@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i2", "i8", "f2", ">f4", "f8"])
def test_scaled(dtype):
    image = np.random.default_rng(1).integers(0, 100, (9, 8)).astype(dtype)
    found = scaled(image.T, np.float32(1.5))
    assert found.dtype == np.float32
    assert found.dtype.isnative
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, image.T.astype(float) * 1.5)
