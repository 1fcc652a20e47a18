"""`trace_cosmics` finds whole rays, leaves stars alone, and gives the same mask everywhere."""

import hashlib

import numpy as np
import pytest
import skies
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from lightmask.detect import pixels_of_trace, trace, trace_cosmics, trace_in_bands
from lightmask.detect.bands import cut_into_bands
from lightmask.detect.electrons import Images
from lightmask.truth import LEAST_OF_RAY, MOST_OF_NONE, Sensor, inject, scaled, score, tracks

CAMERA = {"gain": 1.0, "readnoise": 6.5, "satlevel": 60_000.0}
EIGHT = np.ones((3, 3))


def digest(mask):
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()[:16]


def bright_field():
    """Return whole electrons from whole numbers alone: no machine computes them differently."""
    y, x = np.mgrid[:300, :260].astype(np.int64)
    image = 200 + (y * 7919 + x * 104_729 + y * x * 31) % 41
    for number in range(40):
        row, column, peak = 7 + number * 7 % 280, 9 + number * 37 % 240, 200 << number % 8
        image += peak * 64 // (64 + 11 * ((y - row) ** 2 + (x - column) ** 2) ** 2 // 4)
    for number in range(30):
        row, column, steps = 5 + number * 67 % 270, 3 + number * 43 % 230, number % 13 + 1
        for step in range(steps):
            image[row + step * (number % 3) // 2, column + step] += 300 + 150 * (number * 5 % 17)
    return image


@pytest.mark.parametrize("dtype", [np.int64, np.float32, ">i2", np.float64])
def test_the_mask_is_the_same_bytes_on_every_machine(dtype):
    result = trace_cosmics(bright_field().astype(dtype), **CAMERA)
    assert digest(result.crmask) == "5e68d761fd1980db"
    assert result.events.pixels.sum() == result.crmask.sum() == result.counts[0]


def in_bands(image, rows, **others):
    """Return the mask of an image in bands of so many rows."""

    def read(part):
        return tuple(None if each is None else each[part] for each in (image, *(others or {"mask": None}).values()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace, "rows_of_band", lambda shape, around: rows)
        return trace_in_bands(read, image.shape, **CAMERA)


@pytest.mark.parametrize("rows", [23, 64, 200])
def test_bands_give_what_the_whole_image_gives(rows):
    image = skies.scene_across_bands((411, 90), rows)
    whole = trace_cosmics(image, **CAMERA)
    crmask, events = in_bands(image, rows)
    np.testing.assert_array_equal(crmask, whole.crmask)
    for ours, theirs in zip(events, whole.events, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(events.y) > 20


def test_bands_with_all_other_images_give_what_the_whole_image_gives():
    rng = np.random.default_rng(5)
    shape = (340, 80)
    image = skies.scene_across_bands(shape, 50)
    mask = rng.random(shape) < 0.02
    background = skies.sky(shape, rng, level=150)
    variance = skies.sky(shape, rng, level=300)
    image[rng.random(shape) < 0.01] = np.nan
    whole = trace_cosmics(image, mask, variance=variance, background=background, **CAMERA)
    crmask, _ = in_bands(image, 50, mask=mask, background=background, variance=variance)
    np.testing.assert_array_equal(crmask, whole.crmask)
    assert whole.crmask.any() and not (whole.crmask & (mask | np.isnan(image))).any()


def test_a_track_over_many_bands_is_one_event():
    """A track grows as far as it has seeds, or STEPS pixels from the last of them."""
    image = skies.sky((400, 60), np.random.default_rng(1))
    rows = np.arange(20, 380)
    image[rows, 30] += 1500
    whole = trace_cosmics(image, **CAMERA)
    crmask, events = in_bands(image, 23)
    np.testing.assert_array_equal(crmask, whole.crmask)
    assert crmask[rows, 30].mean() > 0.95 and (events.y.size, events.x.tolist()) == (1, [30])


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        elements=st.one_of(st.floats(width=32), st.floats(0, 1000, width=32), st.just(100.0)),
    ),
    st.booleans(),
)
def test_no_image_is_too_small_or_too_odd(image, is_masked):
    before = image.copy()
    mask = np.arange(image.size).reshape(image.shape) % 3 == 0 if is_masked else None
    result = trace_cosmics(image, mask, gain=1.3, readnoise=4.0, satlevel=50_000.0)
    crmask, cleaned = result
    np.testing.assert_array_equal(image, before)
    assert crmask.dtype == bool and cleaned.dtype == np.float32 and crmask.shape == cleaned.shape == image.shape
    assert not crmask[~np.isfinite(image)].any()
    assert mask is None or not (crmask & mask).any()
    np.testing.assert_array_equal(cleaned[~crmask], image[~crmask])
    assert result.events.pixels.sum() == crmask.sum()


def test_all_bad_all_nan_and_constant_images_have_no_rays():
    image = np.full((50, 50), 100.0, np.float32)
    assert not trace_cosmics(image, **CAMERA).crmask.any()
    assert not trace_cosmics(image * np.nan, **CAMERA).crmask.any()
    image[20, 20] = 9000
    assert trace_cosmics(image, **CAMERA).crmask.sum() == 1
    assert not trace_cosmics(image, np.ones(image.shape), **CAMERA).crmask.any()


@pytest.mark.parametrize("place", [(0, 0), (0, 30), (59, 59), (30, 0), (1, 58), (2, 2)])
def test_rays_are_found_up_to_the_edge(place):
    image = skies.sky((60, 60), np.random.default_rng(2))
    image[place] += 3000
    assert np.argwhere(trace_cosmics(image, **CAMERA).crmask).tolist() == [list(place)]


def plainly_cleaned(image, crmask, mask):
    result = image.astype(np.float32)
    for y, x in np.argwhere(crmask):
        part = np.s_[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        good = ~crmask[part] & ~mask[part] & np.isfinite(image[part])
        if good.any():
            result[y, x] = image[part][good].astype(float).mean()
    return result


def test_rays_are_replaced_by_the_mean_of_the_good_pixels_around():
    image = skies.scene_across_bands((120, 90), 40)
    rng = np.random.default_rng(3)
    mask = rng.random(image.shape) < 0.05
    image[rng.random(image.shape) < 0.02] = np.nan
    image[0, 0:3] = 5000
    result = trace_cosmics(image, mask, **CAMERA)
    assert result.crmask.sum() > 50
    np.testing.assert_allclose(result.cleanarr, plainly_cleaned(image, result.crmask, mask), rtol=1e-5)


def test_where_nothing_around_is_good_the_sky_is_taken():
    image, crmask = np.full((9, 9), 50.0), np.ones((9, 9), bool)
    crmask[0, 0] = False
    cleaned = trace._cleaned(Images(image, None), crmask, np.float32(7))
    assert cleaned[1, 1] == 50 and (cleaned[3:, 3:] == 7).all()


def test_events_say_where_and_how_large_they_are_and_how_sure():
    image = skies.sky((80, 80), np.random.default_rng(4))
    image[10, 20:26] += 1500
    image[50:53, 40] += 2000
    result = trace_cosmics(image, **CAMERA)
    label, number = ndimage.label(result.crmask, EIGHT)
    assert number == len(result.events.y) == 2
    assert (label[result.events.y, result.events.x] == [1, 2]).all()
    assert result.events.pixels.tolist() == np.bincount(label.ravel())[1:].tolist() == [6, 3]
    assert result.events.score.dtype == np.float32
    assert ((result.events.score > 0.8) & (result.events.score <= 1)).all()


def test_gain_and_unit_do_not_change_the_mask():
    image = skies.scene_across_bands((120, 90), 40)
    in_electrons = trace_cosmics(image, **CAMERA).crmask
    in_adu = trace_cosmics(image / np.float32(4), **CAMERA | {"gain": 4.0}).crmask
    np.testing.assert_array_equal(in_adu, in_electrons)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"gain": 0}, ValueError, "gain"),
        ({"readnoise": -1}, ValueError, "readnoise"),
        ({"satlevel": "high"}, TypeError, "satlevel"),
        ({"mask": np.zeros((3, 3))}, ValueError, r"mask must have the shape of image, \(60, 60\), not \(3, 3\)"),
        ({"image": np.zeros(5)}, ValueError, "image must be a 2-D image"),
        ({"image": np.zeros((5, 5), complex)}, TypeError, "image"),
    ],
)
def test_wrong_arguments_are_named(changes, error, words):
    given_ = {"image": np.zeros((60, 60)), **CAMERA} | changes
    with pytest.raises(error, match=words):
        trace_cosmics(**given_)


@pytest.mark.parametrize("shape", [(100, 100), (30_000, 20_000), (200_000, 500), (10, 50_000_000)])
def test_pixels_at_a_time_are_those_of_the_largest_band(shape):
    rows = trace.rows_of_band(shape, trace.AROUND)
    held = max(band.around.stop - band.around.start for band in cut_into_bands(shape, rows, trace.AROUND))
    assert pixels_of_trace(shape) == (held + 2 * trace.RIM) * (shape[1] + 2 * trace.RIM)
    assert held < shape[0] or shape[0] * shape[1] < 1.1 * (1 << 24) or shape[0] < 500


def field(seed, fwhm, rays, stars=60, side=400, level=300.0, readnoise=8.0):
    """Return an image of stars and of generated tracks, their charge, the noise and the stars' middles."""
    rng = np.random.default_rng(seed)
    light = np.full((side, side), level)
    places = rng.uniform(10, side - 10, (stars, 2))
    y, x = np.mgrid[:side, :side]
    for place in places:
        sigma = fwhm / 2.3548
        near = np.s_[int(place[0]) - 9 : int(place[0]) + 10, int(place[1]) - 9 : int(place[1]) + 10]
        distance = (y[near] - place[0]) ** 2 + (x[near] - place[1]) ** 2
        light[near] += np.exp(rng.uniform(*np.log((500, 40_000)))) * np.exp(-distance / 2 / sigma**2)
    noise = float(np.sqrt(level + readnoise**2))
    found = inject(rng, light.shape, scaled(rng, tracks(rng, rays, Sensor()), noise))
    image = rng.poisson(light) + found.charge + rng.normal(0, readnoise, light.shape)
    of_pixel = np.sqrt(light + readnoise**2)
    hit, free = found.charge >= LEAST_OF_RAY * of_pixel, found.charge < MOST_OF_NONE * of_pixel
    middles = np.rint(places).astype(int)
    bright = (light - level)[tuple(middles.T)] > 30 * of_pixel[tuple(middles.T)]
    away = ~ndimage.binary_dilation(~free, EIGHT, iterations=3)[tuple(middles.T)]
    return image.astype(np.float32), hit, free, found.event, middles[bright & away]


@pytest.mark.parametrize("fwhm", [1.5, 2.0, 3.0, 6.0])
def test_rays_are_found_and_stars_are_left_alone(fwhm):
    image, hit, free, event, cores = field(int(10 * fwhm), fwhm, 60)
    found = score(trace_cosmics(image, gain=1, readnoise=8, satlevel=1e5).crmask, hit, free, event, cores)
    assert found.precision > 0.93 and found.recall > 0.88
    assert found.cores > 20 and found.cores_touched == 0


@pytest.mark.parametrize("fwhm", [1.5, 2.0, 3.0, 6.0])
def test_nothing_is_found_where_no_ray_is(fwhm):
    image, *_ = field(int(100 * fwhm), fwhm, 0)
    assert not trace_cosmics(image, gain=1, readnoise=8, satlevel=1e5).crmask.any()
