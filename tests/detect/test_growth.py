"""Growth follows tracks pixel by pixel, and events are what touches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from lightmask.detect import growth
from lightmask.detect.growth import LEAST_MEAN, LEAST_OF_EVENT, LONG, Scored, events_of, sure_events

EIGHT = np.ones((3, 3))


def scored(mask, score=0):
    pixels = np.flatnonzero(mask)
    return Scored(pixels, np.full(pixels.size, score, np.int32), np.ones(pixels.size, bool))


@settings(max_examples=300, deadline=None)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_events_are_what_touches_by_a_side_or_a_corner(mask):
    found = events_of(scored(mask).pixels, mask.shape[1])
    label, number = ndimage.label(mask, EIGHT)
    expected = label[mask]
    assert len(set(zip(found, expected, strict=True))) == number == len(set(found))
    firsts = [int(np.flatnonzero(found == event)[0]) for event in range(number)]
    assert firsts == sorted(firsts)


def test_an_event_may_wind_as_long_as_it_likes():
    """A spiral: labels travel along all of it."""
    mask = np.zeros((60, 60), bool)
    for ring in range(0, 28, 4):
        mask[ring, ring : 60 - ring] = mask[ring : 60 - ring, 59 - ring] = True
        mask[59 - ring, ring + 2 : 60 - ring] = mask[ring + 4 : 60 - ring, ring + 2] = True
    assert set(events_of(scored(mask).pixels, 60)) == set(range(ndimage.label(mask, EIGHT)[1]))


@pytest.mark.parametrize(
    ("pixels", "seed", "others", "is_sure"),
    [
        (1, LEAST_OF_EVENT, 0, True),
        (1, LEAST_OF_EVENT - 1, 0, False),
        (LONG - 1, LEAST_OF_EVENT, -100, True),
        (LONG, LEAST_OF_EVENT, -100, False),
        (LONG, LEAST_OF_EVENT, LEAST_MEAN, True),
        (30, 9 * LEAST_OF_EVENT, LEAST_MEAN - 150, False),
    ],
)
def test_one_seed_makes_a_short_event_sure_and_all_pixels_a_long_one(pixels, seed, others, is_sure):
    score = np.full(pixels, others, np.int32)
    score[0] = seed
    is_seed = np.zeros(pixels, bool)
    is_seed[0] = True
    sure, best = sure_events(Scored(np.arange(pixels), score, is_seed), np.zeros(pixels, int))
    assert sure.tolist() == [is_sure] and best.tolist() == [seed]


def test_what_has_no_seed_is_never_sure():
    sure, _ = sure_events(Scored(np.arange(2), np.full(2, 9999, np.int32), np.array([False, True])), np.arange(2))
    assert sure.tolist() == [False, True]


class Slope:
    """A contrast whose pixels are known at once; the net is `np.take` of the image."""

    def __init__(self, image):
        self.image, self.asked = image, []

    def provide(self, pixels, around):
        self.asked.append(pixels)

    def places(self, pixels):
        return pixels


class Image:
    """What growth needs of an image."""

    def __init__(self, shape):
        self.shape, self.index_dtype = shape, np.dtype(np.int32)
        self.seen = np.zeros(shape, bool)


def plainly_grown(seeds, contrast, score, bad, steps):
    """Grow seeds one pixel after another."""
    accepted, looked = {}, set()
    front = set(seeds)
    for _ in range(steps + 1):
        looked |= front
        new = {place for place in front if contrast[place] and not bad[place] and score[place] > growth.LEAST_SCORE}
        accepted |= {place: score[place] for place in new}
        around = {(y + dy, x + dx) for y, x in new for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
        ny, nx = contrast.shape
        front = {(y, x) for y, x in around if 0 <= y < ny and 0 <= x < nx} - looked
    return accepted


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_growth_is_that_of_one_pixel_after_another(data):
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    stands_out, bad = (data.draw(arrays.arrays(np.bool_, shape, elements=st.booleans())) for _ in range(2))
    bad &= data.draw(arrays.arrays(np.bool_, shape))
    score = data.draw(arrays.arrays(np.int32, shape, elements=st.integers(-400, 400)))
    seeds = data.draw(arrays.arrays(np.bool_, shape))
    steps = data.draw(st.integers(0, 12))
    image, contrast = Image(shape), Slope(stands_out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "STEPS", steps)
        patch.setattr(growth, "stands_out", lambda contrast, places, least: contrast.image.ravel()[places])
        patch.setattr(growth, "scores", lambda contrast, places, star: score.ravel()[places])
        found = growth.grown(np.flatnonzero(seeds).astype(np.int32), image, bad, contrast, None)
    expected = plainly_grown([tuple(map(int, each)) for each in np.argwhere(seeds)], stands_out, score, bad, steps)
    places = [tuple(map(int, np.unravel_index(pixel, shape))) for pixel in found.pixels]
    assert dict(zip(places, found.score.tolist(), strict=True)) == {key: int(value) for key, value in expected.items()}
    assert found.pixels.tolist() == sorted(found.pixels.tolist())
    assert found.is_seed.tolist() == [bool(seeds[place]) for place in places]
    assert not image.seen.any()
