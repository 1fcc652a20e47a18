"""What stars look like is measured on the image itself, whatever else is in it."""

import itertools

import numpy as np
import pytest

from lightmask.detect import starimage
from lightmask.detect.contrast import PER_OCTAVE, Surroundings
from lightmask.detect.electrons import Images
from lightmask.detect.net import OF_IMAGE, STAR_SIDE
from lightmask.detect.starimage import SURE, Sample, measured, star_image, strips
from lightmask.detect.trace import parameters_of

SIDE = 400
PARAMETERS = parameters_of(1.0, 5.0, 60_000.0)


def gaussian(fwhm_y, fwhm_x, half=10):
    steps = np.arange(-half, half + 1) / 2.3548
    return np.exp(-((steps[:, None] * 2.3548**2 / fwhm_y) ** 2) / 2) * np.exp(-((steps * 2.3548**2 / fwhm_x) ** 2) / 2)


def sky(star, number=60, seed=1, level=100.0, peak=(3000, 30_000)):
    """Return an image with one star in the middle of a pixel at each of some places."""
    rng = np.random.default_rng(seed)
    light = np.full((SIDE, SIDE), level)
    places = rng.integers(15, SIDE - 15, (number, 2))
    for y, x in places:
        light[y - 10 : y + 11, x - 10 : x + 11] += star * np.exp(rng.uniform(*np.log(peak)))
    return rng.poisson(light) + rng.normal(0, 5, light.shape), places


def of(image, mask=None, background=None, variance=None):
    images = Images(image.astype(np.float32), mask, background, variance)
    return measured(
        lambda rows: Images(*(None if each is None else each[rows] for each in images)), image.shape, PARAMETERS
    )


def ratios(frame):
    return 2.0 ** (frame.star[:-1].reshape(STAR_SIDE, STAR_SIDE) / PER_OCTAVE)


@pytest.mark.parametrize("fwhm", [(1.5, 1.5), (2.5, 2.5), (4.0, 2.0), (1.6, 6.0)])
def test_the_image_of_a_star_is_measured(fwhm):
    star = gaussian(*fwhm)
    frame = of(sky(star)[0])
    np.testing.assert_allclose(ratios(frame), np.clip(star[8:13, 8:13], 1 / 64, 1), atol=0.09)
    assert frame.star[-1] == SURE * PER_OCTAVE
    assert frame.surroundings.sky == pytest.approx(100, abs=5)
    assert frame.surroundings.variance == pytest.approx(frame.surroundings.sky + 25)


def test_cosmic_rays_a_bad_column_and_a_saturated_star_do_not_change_it():
    star = gaussian(2.5, 2.5)
    image, _ = sky(star)
    alone = ratios(of(image))
    rng = np.random.default_rng(2)
    image[rng.integers(0, SIDE, 300), rng.integers(0, SIDE, 300)] += rng.uniform(500, 50_000, 300)
    image[:, 200] += 5000
    image[100:250, 77:80] = 60_000
    np.testing.assert_allclose(ratios(of(image)), alone, atol=0.12)


def test_no_star_no_image_of_one():
    rng = np.random.default_rng(3)
    image = rng.poisson(100, (SIDE, SIDE)).astype(float)
    image[rng.integers(0, SIDE, 100), rng.integers(0, SIDE, 100)] += 5000  # single pixels are no stars
    assert not of(image).star.any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (16, 16), (400, 5)])
def test_small_images_have_a_sky_and_no_star(shape):
    frame = of(np.full(shape, 50.0))
    assert (frame.surroundings.sky, frame.surroundings.variance) == (50, 75)
    assert frame.star.shape == (OF_IMAGE,) and not frame.star.any()


def test_bad_pixels_do_not_count():
    image, places = sky(gaussian(2.5, 2.5))
    mask = np.zeros(image.shape, bool)
    for y, x in places:
        mask[y, x] = True
    assert not of(image, mask).star.any()
    image[mask] = np.nan
    assert not of(image).star.any()
    assert of(np.full((20, 20), np.nan)).surroundings.sky == 0


def test_background_and_variance_count_where_they_are_given():
    image, _ = sky(gaussian(2.5, 2.5))
    background = np.full(image.shape, 70, np.float32)
    variance = np.full(image.shape, 400, np.float32)
    frame = of(image, None, background, variance)
    assert frame.surroundings.sky == pytest.approx(100, abs=5)
    assert frame.surroundings.variance == 400
    assert frame.star[-1] == SURE * PER_OCTAVE


@pytest.mark.parametrize("shape", [(10, 10), (5000, 4000), (100_000, 300), (50, 1_000_000), (1, 3_000_000)])
def test_strips_are_about_a_megapixel_from_top_to_bottom(shape):
    rows = strips(shape)
    assert rows[0].start == 0 and rows[-1].stop <= shape[0]
    assert all(first.stop <= second.start for first, second in itertools.pairwise(rows))
    pixels = sum(part.stop - part.start for part in rows) * shape[1]
    assert min(shape[0] * shape[1], starimage.SAMPLE) // 2 <= pixels
    assert pixels <= max(starimage.SAMPLE, starimage.LEAST_ROWS * shape[1])


def test_the_image_of_many_stars_is_that_of_those_that_are_alike():
    rng = np.random.default_rng(4)
    one, other = gaussian(2.5, 2.5)[8:13, 8:13], gaussian(5.0, 5.0)[8:13, 8:13]
    profiles = np.stack([one] * 30 + [other] * 20, axis=-1) * rng.uniform(0.98, 1.02, 50)
    found = star_image(profiles.astype(np.float32))
    np.testing.assert_allclose(2.0 ** (found[:-1] / PER_OCTAVE), np.clip(one.ravel(), 1 / 64, 1), atol=0.08)
    assert star_image(profiles[..., :2].astype(np.float32)).tolist() == [0] * OF_IMAGE


def test_peaks_are_the_brightest_local_maxima_of_each_square():
    rng = np.random.default_rng(5)
    image = rng.normal(100, 1, (100, 130)).astype(np.float32)
    places = [(40, 63), (63, 40), (8, 31), (31, 8), (70, 100), (75, 110)]
    for (y, x), height in zip(places, rng.integers(500, 5000, len(places)).tolist(), strict=True):
        image[y, x] += height
        image[y, x + 1] += height - 1  # beside it, in another square perhaps
        image[y + 1, x - 1] += height - 2
    found = Sample(Images(image, None), PARAMETERS)._peaks(Surroundings(np.float32(100), np.float32(125)))
    best = {}
    for y in range(5, 95):
        for x in range(5, 125):
            lowest = min(image[y - 3, x], image[y + 3, x], image[y, x - 3], image[y, x + 3])
            if (
                image[y, x] - lowest <= 10 * np.sqrt(np.float32(125))
                or image[y, x] != image[y - 1 : y + 2, x - 1 : x + 2].max()
            ):
                continue
            square = y // 32, x // 32
            if square not in best or image[y, x] > image[divmod(best[square], 130)]:
                best[square] = y * 130 + x
    assert found.tolist() == sorted(best.values())
