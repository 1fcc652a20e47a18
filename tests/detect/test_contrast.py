"""Contrast is what its definition says, and the same wherever it is asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lightmask.detect.arrays import parts
from lightmask.detect.contrast import LARGEST, LEAST_OF_SKY, PER_OCTAVE, Contrast, Surroundings, logarithm, stands_out
from lightmask.detect.electrons import MIN_VARIANCE, Electrons, Images

SHAPE = (70, 90)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
def test_the_logarithm_is_that_of_base_two_to_a_tenth_of_an_octave(values):
    values = np.array(values, np.float32)
    found = logarithm(values).astype(float)
    exact = PER_OCTAVE * np.log2(1 + np.minimum(np.abs(values.astype(float)), LARGEST))
    assert (np.sign(found) * np.sign(values) >= 0).all()
    assert (np.abs(np.abs(found) - exact) <= 0.09 * PER_OCTAVE + 1).all()
    order = np.argsort(values)
    assert (np.diff(found[order]) >= 0).all()
    np.testing.assert_array_equal(logarithm(-values), -logarithm(values))


def test_the_logarithm_is_exact_at_powers_of_two_and_never_beyond_its_end():
    powers = np.float32(2) ** np.arange(17) - 1
    np.testing.assert_array_equal(logarithm(powers.astype(np.float32)), PER_OCTAVE * np.arange(17).clip(0, 16))
    assert logarithm(np.array([np.inf, 1e30], np.float32)).tolist() == [16 * PER_OCTAVE] * 2


def electrons(image, background=None, variance=None, readnoise=5.0):
    given = Images(image, None, background, variance)
    nothing = np.zeros(0, int)
    return Electrons(given, np.float32(1), np.float32(readnoise**2), image.copy(), background, variance, None, nothing)


def scene(seed=1):
    rng = np.random.default_rng(seed)
    image = rng.poisson(200, SHAPE).astype(np.float32)
    image[rng.integers(0, SHAPE[0], 30), rng.integers(0, SHAPE[1], 30)] += 5000
    image[20:40, 30:60] -= 190  # far below the sky
    return image


def median(image):
    return ndimage.median_filter(ndimage.median_filter(image, (1, 7), mode="nearest"), (7, 1), mode="nearest")


def inside(size):
    """Return where no edge is near: at edges the medians are those of the detector."""
    return np.s_[size:-size, size:-size]


@pytest.mark.parametrize(
    ("is_given", "sky"), [("nothing", 200), ("background", 200), ("variance", 200), ("both", 200), ("nothing", -150)]
)
def test_contrast_is_the_height_above_the_median_in_its_noise(is_given, sky):
    image, rng = scene() - np.float32(200 - sky), np.random.default_rng(3)
    background = rng.uniform(50, 60, SHAPE).astype(np.float32) if is_given in ("background", "both") else None
    variance = rng.uniform(100, 900, SHAPE).astype(np.float32) if is_given in ("variance", "both") else None
    sky = np.float32(sky)
    data = image if background is None else image - background
    found = Contrast(electrons(data, background, variance), Surroundings(sky, np.float32(225)))
    everywhere = np.arange(image.size)
    found.provide(everywhere, 0)
    around = median(data)
    light = around if background is None else around + background
    if variance is None:
        noise = np.maximum(light, max(LEAST_OF_SKY * sky, 0)) + 25
    else:
        noise = median(variance) + (0 if background is None else background)
    exact = (data - around) / np.sqrt(np.maximum(noise, MIN_VARIANCE))
    steps = found.steps.ravel()[found.places(everywhere)].reshape(SHAPE)
    level = found.level.ravel()[found.places(everywhere)].reshape(SHAPE)
    where = inside(7)
    assert (np.abs(steps - logarithm(exact.astype(np.float32)))[where] <= 1).all()
    assert (np.abs(level - logarithm(((light - sky) / 15).astype(np.float32)))[where] <= 1).all()
    np.testing.assert_array_equal(stands_out(found, found.places(everywhere), 32), steps.ravel() >= 32)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_it_is_the_same_in_whatever_order_pixels_are_asked_for(data):
    image = scene()
    surroundings = Surroundings(np.float32(200), np.float32(225))
    whole = Contrast(electrons(image), surroundings)
    everywhere = np.arange(image.size)
    whole.provide(everywhere, 4)
    pieces = Contrast(electrons(image), surroundings)
    asked = np.array(data.draw(st.lists(st.integers(0, image.size - 1), min_size=1, max_size=20)))
    around = data.draw(st.integers(0, 4))
    for part in parts(asked.size, data.draw(st.integers(1, 5))):
        pieces.provide(asked[part], around)
    for pixel in asked:
        place = int(pieces.places(np.array([pixel]))[0])
        y, x = divmod(place, pieces.steps.shape[1])
        window = np.s_[y - around : y + around + 1, x - around : x + around + 1]
        np.testing.assert_array_equal(pieces.steps[window], whole.steps[window])
        np.testing.assert_array_equal(pieces.level[window], whole.level[window])
