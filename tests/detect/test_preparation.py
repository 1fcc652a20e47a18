"""What is done to an image before cosmic rays are searched in it."""

import numpy as np
import pytest
import skies
from numpy.lib.stride_tricks import sliding_window_view
from plain_lacosmic import PARAMETERS, dilated, median_filtered, never
from scipy import ndimage

from lightmask.detect.bounds import tile_extremes
from lightmask.detect.electrons import Images
from lightmask.detect.medians import FULL, SEPARABLE
from lightmask.detect.preparation import STAR_GROWTH, prepare

SHAPE = (70, 83)


def test_an_image_in_electrons():
    rng = np.random.default_rng(1)
    data, background, variance = (skies.sky(SHAPE, rng) for _ in range(3))
    parameters = PARAMETERS._replace(gain=np.float32(2))
    image, tiles = prepare(Images(data, None, background, variance), parameters, never)
    np.testing.assert_array_equal(image.data, 2 * data - 2 * background)
    np.testing.assert_array_equal(image.background, 2 * background)
    np.testing.assert_array_equal(image.variance.image, 4 * variance - 2 * background)
    assert image.mask is None
    assert image.variance.of_read_noise == np.float32(6.5) ** 2
    for found, expected in zip(tiles, tile_extremes(image.data), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [bool, np.int16, np.float32])
def test_masks_grow_by_one_but_at_the_edge(dtype):
    rng = np.random.default_rng(2)
    mask = rng.random(SHAPE) < 0.03
    given = mask.astype(dtype) * (1 if dtype is bool else 3)
    image, _ = prepare(Images(skies.sky(SHAPE, rng), given), PARAMETERS, never)
    expected = mask.copy()
    expected[1:-1, 1:-1] = dilated(mask)[1:-1, 1:-1]
    np.testing.assert_array_equal(image.mask, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["data", "background", "variance"])
@np.errstate(invalid="ignore")  # as `search` does
def test_what_is_not_finite_gets_the_mean_around_it(which, value):
    rng = np.random.default_rng(3)
    given = {name: skies.sky(SHAPE, rng) for name in ("data", "background", "variance")}
    wrong = rng.random(SHAPE) < 0.05
    wrong[20:29, 30:39] = wrong[0, 0] = wrong[-1, 5] = True
    whole = {name: each.copy() for name, each in given.items()}
    given[which][wrong] = value
    padded = np.pad(np.where(wrong, np.nan, whole[which]), 2, constant_values=np.nan)
    around = sliding_window_view(padded, (5, 5)).reshape(*SHAPE, 25)
    if which == "variance":  # it is that of the image less its background
        around = around - sliding_window_view(np.pad(whole["background"], 2), (5, 5)).reshape(around.shape)
    empty = np.isnan(around).all(axis=-1)
    assert empty.sum() == 25
    mean = np.nansum(around, axis=-1) / (~np.isnan(around)).sum(axis=-1)
    asked = []
    level = np.float32(77)
    image, _ = prepare(
        Images(given["data"], None, given["background"], given["variance"]),
        PARAMETERS,
        lambda number: asked.append(number) or level,
    )
    if which == "background":  # both the background and the variance lack it
        assert asked == [1, 2]
        found = image.background
    else:
        number = ("data", "background", "variance").index(which)
        assert asked == [number]
        found = image.variance.image if which == "variance" else image.data + image.background
    np.testing.assert_allclose(found[wrong], np.where(empty, level, mean)[wrong], rtol=1e-5)
    assert np.isfinite(image.data).all()
    expected = wrong.copy()
    expected[1:-1, 1:-1] = dilated(wrong)[1:-1, 1:-1]
    np.testing.assert_array_equal(image.mask, expected)


@pytest.mark.parametrize("medians", [SEPARABLE, FULL])
def test_cores_of_saturated_stars_are_masked_and_cosmic_rays_are_not(medians):
    rng = np.random.default_rng(4)
    data = skies.sky(SHAPE, rng)
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    data[(rows - 30) ** 2 + (columns - 40) ** 2 < 30] = 60_000
    data[55, 20] = 60_000
    parameters = PARAMETERS._replace(satlevel=np.float32(50_000), medians=medians)
    image, _ = prepare(Images(data.copy(), None), parameters, never)
    width = 7 if medians is SEPARABLE else 5
    core = (data >= 50_000) & (median_filtered(data, width, medians is SEPARABLE) > 5000)
    disc = np.ones((5, 5), bool)
    disc[::4, ::4] = False
    np.testing.assert_array_equal(image.mask, ndimage.binary_dilation(core, disc, iterations=STAR_GROWTH // 2))
    assert core[30, 40]
    assert not image.mask[55, 20]
    assert prepare(Images(data, None), parameters._replace(satlevel=np.float32(60_001)), never)[0].mask is None
