"""An image while it is cleaned: variance as a list or as an image, and what was there before."""

import numpy as np
import pytest
import skies

from lightmask.detect.electrons import FEW, Electrons, Images, Variance, in_electrons
from lightmask.detect.selection import PIECE

SHAPE = (310, 293)
NOTHING = np.zeros(0, np.intp)
assert SHAPE[0] * SHAPE[1] > PIECE  # values are yielded in several pieces


def test_images_in_electrons():
    rng = np.random.default_rng(1)
    data, background, variance = (rng.integers(0, 99, (5, 6)).astype(np.float32) for _ in range(3))
    found = in_electrons(Images(data, None, background, variance), np.float32(1.5))
    expected = 1.5 * data, 1.5 * background, 2.25 * variance - 1.5 * background
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert in_electrons(Images(data, None), np.float32(1))[1:] == (None, None)


@pytest.mark.parametrize("many", [False, True])
def test_variance_of_cosmic_pixels_is_kept_by_itself(many):
    """Until there are more than a list is good for; nobody sees which it is."""
    rng = np.random.default_rng(2)
    data = skies.sky((50, 60), rng)
    variance = Variance(None, np.float32(36), np.dtype(np.int32))
    expected = data + np.float32(36)
    crmask = np.zeros(data.shape, bool)
    order = rng.permutation(data.size)
    for new in (order[:10], order[10:25], order[25 : data.size // FEW + 1]):
        assert variance.image is None or many
        variance.make_room(new, data, many)
        crmask.ravel()[new] = True
        store, place = variance.places(new)
        np.testing.assert_array_equal(store[place], expected.ravel()[new])
        store[place] = expected.ravel()[new] = rng.random(new.size)
        data.ravel()[new] = 5  # the cleaned data do not tell
        index = rng.integers(0, data.size, (4, 900))
        found = variance.at(index, data.ravel()[index], crmask)
        np.testing.assert_array_equal(found, expected.ravel()[index])
    assert variance.image is not None


def test_a_given_variance_stays_an_image():
    given = np.arange(12, dtype=np.float32).reshape(3, 4)
    variance = Variance(given, np.float32(36), np.dtype(np.int32))
    variance.make_room(np.array([5]), given, many=False)
    assert variance.image is given
    store, place = variance.places(np.array([5]))
    store[place] = 70
    assert variance.at(np.array([5, 6]), np.zeros(2, np.float32), given > 0).tolist() == [70, 6]


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_good_values_are_those_before_any_cleaning(masked, background, given):
    rng = np.random.default_rng(3)
    gain = np.float32(2)
    adu = [skies.sky(SHAPE, rng) if wanted else None for wanted in (True, background, given)]
    mask = rng.random(SHAPE) < 0.1 if masked else None
    images = Images(adu[0], None, *adu[1:])
    data, level, variance = in_electrons(images, gain)
    if level is not None:
        data -= level
    before = {"data": data.copy(), "variance": data.copy() if variance is None else variance.copy()}
    image = Electrons(images, gain, np.float32(36), data, level, variance, mask, NOTHING)
    cosmics = rng.permutation(data.size)[:5000]
    image.variance.make_room(cosmics, data, many=False)
    image.crmask.ravel()[cosmics] = True
    data.ravel()[cosmics] = -1
    store, place = image.variance.places(cosmics)
    store[place] = -1
    assert image.has_given_variance == given
    for rows in (slice(0, SHAPE[0]), slice(17, 50)):
        good = np.ones(SHAPE, bool)[rows] if mask is None else ~mask[rows]
        for name, expected in before.items():
            pieces = list(image.good_values(name, rows))
            np.testing.assert_array_equal(np.concatenate(pieces), expected[rows][good])
            assert len(pieces) == 1 + (rows.start == 0)


def test_the_cleaned_image_is_in_the_units_of_the_input():
    rng = np.random.default_rng(4)
    adu, level = skies.sky((9, 8), rng), skies.sky((9, 8), rng)
    adu[3, 4] = np.nan
    images = Images(adu, None, level)
    data, background, _ = in_electrons(images, np.float32(2))
    data[3, 4] = 300  # what stands there while cosmic rays are found
    data -= background
    image = Electrons(images, np.float32(2), np.float32(36), data, background, None, None, np.array([3 * 8 + 4]))
    data[5, 5] = 100 - background[5, 5]
    expected = adu.copy()
    expected[5, 5] = 50
    np.testing.assert_array_equal(image.cleaned(), expected)
