"""What stands in one exposure of a field and in no other is a ray; what recurs on the sky or the detector is none."""

import numpy as np
import pytest
from dithered import night as simulated
from frames import SQUARE
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lightmask.detect import trace_cosmics
from lightmask.repeats import Exposure, api, compare_exposures
from lightmask.truth import Score, score


def night(seed, **keywords):
    """Simulate a night with stars enough for small frames."""
    return simulated(seed, **{"stars": 2e-3, "side": 320, "number": 5} | keywords)


def reader(image, level):
    image = np.where(image >= level, np.nan, image)
    return image.__getitem__


def variance_of(found):
    return lambda y, x, light: ((found.readnoise / found.gain) ** 2 + np.maximum(light, 0) / found.gain).astype("f4")


def compared(found, mask, images=None):
    images = [each.image for each in found.frames] if images is None else images
    exposures = [Exposure(reader(image, found.satlevel / found.gain), image.shape) for image in images]
    return compare_exposures(exposures[0], exposures[1:], mask, variance_of(found))


def changed(mask, result):
    after = mask.copy()
    after.ravel()[result.added] = True
    for pixels in (result.removed, result.suspect):
        after.ravel()[pixels] = False
    return after


def traced(found):
    keywords = {"gain": found.gain, "readnoise": found.readnoise, "satlevel": found.satlevel}
    return trace_cosmics(found.frames[0].image, **keywords).crmask


def scored(mask, frame):
    return score(mask, frame.hit, frame.free, frame.event, frame.cores)


@pytest.mark.parametrize("fwhm", [1.3, 2.5, 5.0])
def test_repeats_find_what_one_image_does_not_show(fwhm):
    alone, together = Score(), Score()
    for seed in range(3):
        found = night([1, seed], fwhm=fwhm, number=6)
        mask = traced(found)
        result = compared(found, mask)
        assert sum(alignment is not None for alignment in result.alignments) >= 4  # of a few stars among many rays
        alone += scored(mask, found.frames[0])
        together += scored(changed(mask, result), found.frames[0])
    assert together.recall >= max(alone.recall, 0.955)
    assert together.precision >= max(alone.precision - 0.01, 0.93)
    assert together.cores_touched == 0


@pytest.mark.parametrize("number", [3, 8])
def test_repeats_alone_find_rays_and_no_stars(number):
    """Without a detector: what is found is what neighbours do not show."""
    total = Score()
    for seed in range(3):
        found = night([2, seed], number=number, seeing=1.4, dither=8)  # neighbours show nearly all of it
        nothing = np.zeros(found.frames[0].image.shape, bool)
        total += scored(changed(nothing, compared(found, nothing)), found.frames[0])
    assert total.precision > 0.98 and total.events_found > 0.8 * total.events
    assert total.cores_touched == 0 and total.cores > 10


def test_frames_without_rays_have_none():
    wrong = 0
    for seed in range(4):
        found = night([3, seed], rays=0)
        nothing = np.zeros(found.frames[0].image.shape, bool)
        result = compared(found, nothing)
        wrong += ndimage.label(changed(nothing, result), SQUARE)[1]
    assert wrong <= 1  # of 0.6 megapixels


def test_star_cores_that_a_detector_took_recur_and_are_given_back():
    found = night([4, 1])
    frame = found.frames[0]
    mask = np.zeros(frame.image.shape, bool)
    mask[tuple(frame.cores.T)] = True
    mask |= frame.hit
    result = compared(found, mask)
    after = changed(mask, result)
    assert len(frame.cores) >= 5 and not after[tuple(frame.cores.T)].any()
    assert (after & frame.hit).sum() > 0.99 * frame.hit.sum()


def test_hot_pixels_are_suspect_where_frames_are_displaced():
    found = night([5, 1], hot=60)
    mask = traced(found)
    hot = np.zeros(mask.shape, bool)
    hot[tuple(found.hot.T)] = True
    result = compared(found, mask)
    suspect = np.zeros(mask.shape, bool)
    suspect.ravel()[result.suspect] = True
    assert (suspect & hot).sum() >= 0.95 * (mask & hot).sum() > 40
    assert (suspect & ~hot).sum() <= 2


def test_where_nothing_is_displaced_what_recurs_stays_masked():
    """A hot pixel and the core of a star cannot be told apart."""
    found = night([6, 1], hot=60, dither=0)
    mask = traced(found)
    hot = np.zeros(mask.shape, bool)
    hot[tuple(found.hot.T)] = True
    result = compared(found, mask)
    others = [frame.image - np.median(frame.image) for frame in found.frames[1:]]
    sky = np.median(found.frames[0].image) / found.gain + (found.readnoise / found.gain) ** 2
    shown = np.median(others, axis=0).ravel()[result.removed]
    assert (shown < 5 * np.sqrt(sky)).all() and result.removed.size < 0.02 * mask.sum()  # rims of rays: noise
    assert set(np.flatnonzero(mask & hot)) <= set(result.suspect) | set(np.flatnonzero(changed(mask, result)))
    assert np.isin(np.flatnonzero(mask & hot), result.suspect).mean() > 0.9


def test_a_star_that_is_in_no_other_image_is_reported_and_not_masked():
    found = night([7, 1], rays=0, fwhm=3.0)
    y, x = np.indices(found.frames[0].image.shape)
    width = 3.0 * 1.25 / 2.355  # between the best and the worst seeing
    new = 3000 * np.exp(-((y - 100.3) ** 2 + (x - 200.6) ** 2) / 2 / width**2)
    found.frames[0].image += new.astype(np.float32)
    nothing = np.zeros(y.shape, bool)
    result = compared(found, nothing)
    assert [divmod(int(place), 320) for place in result.sources] == [(100, 201)]
    assert not changed(nothing, result)[95:106, 195:206].any()


def test_a_trail_in_one_image_is_reported_and_not_masked():
    found = night([8, 1], rays=0, fwhm=3.0)
    y, x = np.indices(found.frames[0].image.shape)
    trail = 800 * np.exp(-((y - 0.7 * x - 40) ** 2) / 2 / 2.0**2)
    found.frames[0].image += trail.astype(np.float32)
    nothing = np.zeros(y.shape, bool)
    result = compared(found, nothing)
    assert result.sources.size >= 1 and result.added.size < 60


def test_two_neighbours_are_needed():
    found = night([9, 1], number=3)
    images = [each.image for each in found.frames]
    mask = traced(found)
    other = np.random.default_rng(1).normal(100, 5, images[0].shape).astype(np.float32)
    result = compared(found, mask, [images[0], images[1], other])
    assert [alignment is not None for alignment in result.alignments] == [True, False]
    assert (changed(mask, result) == mask).all() and not result.sources.size


def test_unlike_shapes_are_compared_too():
    found = night([10, 1])
    images = [each.image for each in found.frames]
    mask = traced(found)
    cut = [images[0], *(image[:290, :300] for image in images[1:])]
    result = compared(found, mask, cut)
    assert all(result.alignments)
    assert scored(changed(mask, result), found.frames[0]).recall >= scored(mask, found.frames[0]).recall


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 400), st.integers(0, 3))
def test_bands_change_nothing(rows, seed):
    found = night([11, seed], number=4, hot=10)
    mask = traced(found)
    whole = compared(found, mask)
    at_a_time, api.AT_A_TIME = api.AT_A_TIME, 320 * rows
    try:
        in_bands = compared(found, mask)
    finally:
        api.AT_A_TIME = at_a_time
    for one, other in zip(whole.alignments, in_bands.alignments, strict=True):
        np.testing.assert_array_equal(one.matrix, other.matrix)
    for one, other in zip(whole[1:], in_bands[1:], strict=True):
        assert set(one) == set(other)


def test_bad_pixels_are_never_added_and_do_not_count_in_neighbours():
    found = night([12, 1])
    bad = np.random.default_rng(1).random((320, 320)) < 0.05
    mask = traced(found) & ~bad
    images = [np.where(bad, np.nan, each.image) for each in found.frames]
    for image in images:
        image[:, 100:104] = np.nan
    result = compared(found, mask, images)
    after = changed(mask, result)
    assert all(result.alignments) and not (after & ~mask & bad).any() and not after[:, 100:104][~mask[:, 100:104]].any()
    good = found.frames[0].hit & ~bad
    good[:, 98:106] = False
    assert (after & good).sum() >= (mask & good).sum()


def test_an_image_of_nothing_but_nan():
    found = night([13, 1], number=4)
    nothing = np.full((320, 320), np.nan, np.float32)
    mask = np.zeros((320, 320), bool)
    images = [each.image for each in found.frames]
    for number in range(len(images)):
        others = [*images]
        others[number] = nothing
        result = compared(found, mask, others)
        if number == 0:
            assert result.added.size == 0 and not any(result.alignments)
