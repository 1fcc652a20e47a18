"""The quantities of L.A.Cosmic in windows are those of the whole image, computed plainly."""

import numpy as np
import pytest
from plain_lacosmic import busy, plain_tests

from lightmask.detect.electrons import Electrons, Images
from lightmask.detect.medians import FULL, SEPARABLE
from lightmask.detect.significance import (
    fine_reach,
    fine_structure,
    laplacian,
    laplacian_significance,
    median_subtracted,
)
from lightmask.detect.windows import stacks, trim

SHAPE = (52, 61)


def electrons(background):
    rng = np.random.default_rng(1)
    data = busy(SHAPE, rng)
    level = rng.integers(0, 50, SHAPE).astype(np.float32) if background else None
    images, nothing = Images(data, None, level), np.zeros(0, np.intp)
    return Electrons(images, np.float32(1), np.float32(36), data, level, None, None, nothing)


def every_pixel(margin):
    """Yield stacks of windows with all pixels, one in the middle of each."""
    y, x = np.divmod(np.arange(SHAPE[0] * SHAPE[1]), SHAPE[1])
    return stacks(SHAPE, y, x, 1, margin)


def test_laplacian_is_that_of_an_image_subsampled_twice():
    data = np.random.default_rng(2).integers(0, 999, SHAPE).astype(np.float32)
    fine = np.repeat(np.repeat(data, 2, axis=0), 2, axis=1)
    middle = fine[1:-1, 1:-1]
    plain = np.maximum(4 * middle - fine[2:, 1:-1] - fine[:-2, 1:-1] - fine[1:-1, 2:] - fine[1:-1, :-2], 0)
    plain = plain[1:-1, 1:-1].reshape(SHAPE[0] - 2, 2, SHAPE[1] - 2, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(laplacian(data[..., None])[..., 0], plain)


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("medians", [SEPARABLE, FULL])
def test_significance_and_fine_structure(medians, background):
    image = electrons(background)
    level = image.background if background else 0.0
    expected, ratio = plain_tests(image.data.astype(float), image.data + 36.0, medians is SEPARABLE, level)
    found = np.empty(expected.size)
    noise = np.empty(expected.size, np.float32)
    for part, windows in every_pixel(2 * medians.noise_width):
        found[part] = median_subtracted(windows, image, medians)[0, 0]
    for part, windows in every_pixel(medians.noise_width):
        significance, noise[part] = (each[0, 0] for each in laplacian_significance(windows, image, medians))
        assert (significance >= found[part]).all()
    np.testing.assert_allclose(found.reshape(SHAPE), expected, rtol=1e-4, atol=1e-4)
    pixels = np.arange(expected.size)
    assert found.max() > 10
    for chosen in (pixels, pixels[::97]):  # squares, or windows with one pixel
        fine = fine_structure(chosen, noise[chosen], image, medians, None)
        np.testing.assert_allclose(expected.ravel()[chosen] / fine, ratio.ravel()[chosen], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("medians", [SEPARABLE, FULL])
@pytest.mark.parametrize("side", [0, 1, 5])
def test_reach_of_the_fine_structure(medians, side):
    """No pixel beyond it makes a difference; one that is as far away does."""
    reach = fine_reach(medians, side)
    kernel = np.full((side, side), 1 / max(side, 1) ** 2, np.float32) if side else None
    y, x = 26, 30
    pixel = np.array([y * SHAPE[1] + x])
    noise = np.ones(1, np.float32)

    def around(distance, value):
        """Return the fine structure of a pixel, given all that is farther away."""
        data = np.random.default_rng(4).integers(100, 200, SHAPE).astype(np.float32)
        rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
        data[np.maximum(abs(rows - y), abs(columns - x)) > distance] = value
        images, nothing = Images(data, None), np.zeros(0, np.intp)
        image = Electrons(images, np.float32(1), np.float32(36), data, None, None, None, nothing)
        return fine_structure(pixel, noise, image, medians, kernel)[0]

    assert around(reach, 0) == around(reach, 1e4)
    assert around(reach // 2, 0) != around(reach // 2, 1e4)


def test_a_window_may_be_larger_than_what_is_wanted():
    image = electrons(False)
    ((_, small),) = list(stacks(SHAPE, np.array([20]), np.array([20]), 1, 6))
    ((_, large),) = list(stacks(SHAPE, np.array([16]), np.array([16]), 9, 6))
    np.testing.assert_array_equal(
        median_subtracted(small, image, SEPARABLE), trim(median_subtracted(large, image, SEPARABLE), 4)
    )
