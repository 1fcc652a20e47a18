"""Stars are found where they are, and hot pixels and rays are not taken for them."""

import numpy as np
import pytest

from lightmask.repeats.stars import MOST, find_stars

SHAPE = (120, 150)


def image_of(places, sigma=1.2, peak=2000.0, noise=5.0, seed=1, sky=100.0):
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    light = sum(np.exp(-((y - row) ** 2 + (x - column) ** 2) / 2 / sigma**2) for row, column in places)
    return (sky + peak * light + rng.normal(0, noise, SHAPE)).astype(np.float32)


PLACES = np.array([[20.3, 30.7], [60.0, 100.5], [90.8, 15.2], [40.5, 75.5]])


@pytest.mark.parametrize("height", [7, 32, 500])
@pytest.mark.parametrize("sigma", [0.6, 1.2, 3.0])
def test_stars_are_where_they_are_in_bands_of_any_height(sigma, height):
    image = image_of(PLACES, sigma)
    found = find_stars(image.__getitem__, SHAPE, height)
    assert len(found.place) == len(PLACES)
    order = [np.abs(found.place - place).sum(axis=1).argmin() for place in PLACES]
    assert np.abs(found.place[order] - PLACES).max() < 0.15
    np.testing.assert_allclose(found.flux[order], found.flux[order].mean(), rtol=0.15)
    assert found.sky == pytest.approx(100, abs=1) and found.sigma == pytest.approx(5, rel=0.15)


def test_hot_pixels_and_columns_are_no_stars_and_bad_pixels_are_not_looked_at():
    image = image_of(PLACES)
    image[30:40:5, 50] += 5000
    image[:, 120] += 900
    image[61, 101] = np.nan
    found = find_stars(image.__getitem__, SHAPE, 50)
    assert sorted(np.rint(found.place[:, 1])) == [15, 31, 76]
    np.testing.assert_allclose(found.images[:, 2, 2], 1)


def test_of_two_peaks_of_one_star_the_brighter_one_counts():
    image = image_of([[50, 50], [53, 52]], sigma=1.0)
    assert len(find_stars(image.__getitem__, SHAPE, 500).place) == 1


def test_the_brightest_come_first_and_only_so_many():
    rng = np.random.default_rng(3)
    image = np.full((600, 600), 100.0, np.float32) + rng.normal(0, 1, (600, 600)).astype(np.float32)
    for number, (row, column) in enumerate(np.argwhere(np.ones((20, 20))) * 29 + 15):
        image[row - 1 : row + 2, column - 1 : column + 2] += np.float32(100 + number) * np.array(
            [[0.3, 0.5, 0.3], [0.5, 1, 0.5], [0.3, 0.5, 0.3]], np.float32
        )
    found = find_stars(image.__getitem__, (600, 600), 100)
    assert len(found.place) == MOST
    assert (np.diff(found.place[:5, 0]) <= 1).all() and found.place[:, 0].min() > 300


@pytest.mark.parametrize("image", [np.full(SHAPE, np.nan, np.float32), np.zeros(SHAPE, np.float32)])
def test_an_image_of_nothing_has_no_stars(image):
    found = find_stars(image.__getitem__, SHAPE, 50)
    assert found.place.shape == (0, 2) and found.flux.shape == (0,) and found.images.shape == (0, 5, 5)


@pytest.mark.parametrize("shape", [(1, 1), (5, 200), (13, 13)])
def test_small_images(shape):
    image = np.random.default_rng(1).normal(100, 5, shape).astype(np.float32)
    assert len(find_stars(image.__getitem__, shape, 50).place) == 0
