"""Amplifiers above each other, read some rows at a time."""

import numpy as np
import pytest

from lightmask.masks.planes import Raised, planes
from lightmask.night import Amplifier, Readout

SHAPE = (20, 6)
WINDOW = (slice(0, 20), slice(0, 6))


@pytest.mark.parametrize("rows", [slice(0, 20), slice(3, 9), slice(5, 15), slice(12, 20), slice(13, 17), slice(0, 1)])
def test_each_pixel_has_the_gain_of_its_amplifier(rows):
    data = np.random.default_rng(1).normal(300, 20, SHAPE).astype(np.float32)
    lower = Amplifier(slice(0, 12), slice(0, 6), 2.0, 5.0, 1e6)
    upper = Amplifier(slice(12, 20), slice(0, 6), 3.0, 9.0, 1e6)
    (plane,) = planes(data, Readout((lower, upper), WINDOW))
    gain = np.where(np.arange(20) < 12, 2, 3)[:, None]
    extra = np.where(np.arange(20) < 12, 0, 81 - 25)[:, None]
    np.testing.assert_allclose(plane.data[rows], (data * gain + extra)[rows], rtol=1e-6)
    np.testing.assert_allclose(plane.background[rows], np.broadcast_to(extra, SHAPE)[rows])


def test_an_image_is_raised_by_a_level_in_float():
    data = np.arange(12, dtype=np.int16).reshape(3, 4)
    raised = Raised(data, 100.5)
    assert (raised.shape, raised.dtype) == ((3, 4), np.dtype(np.float32))
    np.testing.assert_array_equal(raised[1:3], data[1:3] + np.float32(100.5))
