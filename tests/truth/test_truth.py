"""Tracks are those of muons and electrons in silicon, and are injected and scored as they say."""

import numpy as np
import pytest
from conftest import DATA
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from lightmask.truth import (
    LEAST_OF_RAY,
    MOST_OF_NONE,
    Score,
    Sensor,
    Track,
    inject,
    scaled,
    score,
    tracks,
)

EIGHT = np.ones((3, 3))
MOST_PROBABLE = 80.0  # electrons that a muon sets free on a micrometre [e-/um]


def image_of(track):
    """Return a track as an image."""
    image = np.zeros((np.ptp(track.y) + 1, np.ptp(track.x) + 1))
    image[track.y - track.y.min(), track.x - track.x.min()] = track.charge
    return image


def extent(track, least=50.0):
    """Return how far the bright part of a track reaches, in pixels."""
    bright = track.charge > least
    return max(np.ptp(track.y[bright]), np.ptp(track.x[bright])) + 1 if bright.any() else 0


def test_a_muon_leaves_as_much_charge_as_its_path_is_long():
    sensor = Sensor(depth=200, tilt=0.9)
    found = tracks(np.random.default_rng(1), 400, sensor, muons=1)
    length = np.array([max(np.hypot(extent(each), 0) * sensor.pixel, sensor.depth) for each in found])
    charge = np.array([each.charge.sum() for each in found])
    assert np.median(charge / length) == pytest.approx(MOST_PROBABLE, rel=0.25)
    assert np.corrcoef(np.log(length), np.log(charge))[0, 1] > 0.8


def test_thick_sensors_have_long_tracks_and_tilted_ones_longer():
    def median(**changes):
        return np.median([extent(each) for each in tracks(np.random.default_rng(2), 400, Sensor(**changes), muons=1)])

    assert median(depth=20) < median(depth=250)
    assert median(depth=250, tilt=0.0) < median(depth=250, tilt=1.4)
    assert median(depth=250, pixel=8) > median(depth=250, pixel=24)


def test_a_muon_is_wide_where_charge_comes_from_far_and_narrow_where_not():
    """As the muon of EFOSC2, one pixel wide where it enters and three where it leaves."""
    sensor = Sensor(depth=250, diffusion=12, tilt=1.5)
    widths = []
    for track in tracks(np.random.default_rng(3), 60, sensor, muons=1):
        image = image_of(track)
        image = image if image.shape[0] < image.shape[1] else image.T
        if image.shape[1] < 25 or image.shape[0] > image.shape[1] / 2:
            continue
        ends = [(part > 0.05 * part.max(axis=0)).sum(axis=0).mean() for part in (image[:, 2:8], image[:, -8:-2])]
        widths.append(max(ends) / min(ends))
    assert len(widths) > 5 and np.median(widths) > 1.4


def test_worms_stop_when_their_energy_is_spent():
    found = tracks(np.random.default_rng(4), 500, Sensor(depth=1000, pixel=30), muons=0)
    charge = np.array([each.charge.sum() for each in found])
    assert (charge < 1.05 * 900 * 1000 / 3.65).all()
    assert 2000 < np.median(charge) < 40_000
    spread = [extent(each, 100.0) for each in found if each.charge.sum() < 20_000]
    assert np.percentile(spread, 95) <= 5  # below 70 keV they go less than 30 um


@pytest.mark.parametrize("muons", [0.0, 0.5, 1.0])
def test_the_same_seed_gives_the_same_tracks(muons):
    one, other = (tracks(np.random.default_rng(5), 30, Sensor(), muons) for _ in range(2))
    for first, second in zip(one, other, strict=True):
        for ours, theirs in zip(first, second, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert len(one) == 30 and tracks(np.random.default_rng(5), 0, Sensor(), muons) == []
    for each in one:
        assert (
            each.y[0] == each.x[0] == 0 and len(set(zip(each.y.tolist(), each.x.tolist(), strict=True))) == each.y.size
        )


def shapes(found):
    """Return medians of pixels, charge, extent and brightest part of tracks."""
    kept = [each for each in found if each.charge.sum() >= 300]
    charge = np.array([each.charge.sum() for each in kept])
    pixels = np.array([(each.charge > 15).sum() for each in kept])
    part = np.array([each.charge.max() for each in kept]) / charge
    return np.median(pixels), np.median(charge), np.median([extent(each) for each in kept]), np.median(part)


def test_generated_tracks_agree_with_real_ones():
    """Lengths, widths and charges: medians within a factor, of the sensor that the footprints are from."""
    if not (DATA / "cr-footprints").is_dir():
        pytest.skip(f"no real footprints in {DATA}")
    import frames

    real = shapes(frames.footprints())
    ours = shapes(tracks(np.random.default_rng(6), 1500, Sensor(pixel=10, depth=100, diffusion=5, tilt=1.0)))
    for one, other in zip(ours, real, strict=True):
        assert 1 / 1.7 < one / other < 1.7, (ours, real)


@given(st.integers(0, 7))
def test_a_track_is_turned_as_the_square_is(symmetry):
    image = np.arange(1.0, 13).reshape(3, 4)
    y, x = np.nonzero(image)
    found = image_of(Track(y, x, image[y, x]).turned(symmetry))
    expected = image.T if symmetry & 4 else image
    expected = expected[::-1] if symmetry & 1 else expected
    expected = expected[:, ::-1] if symmetry & 2 else expected
    np.testing.assert_array_equal(found, expected)


def test_tracks_are_injected_whole_where_they_fit_and_cut_at_the_edge():
    rng = np.random.default_rng(7)
    one = Track(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([100.0, 50.0, 20.0]))
    found = inject(rng, (40, 50), [one] * 30)
    assert found.charge.shape == found.event.shape == (40, 50)
    assert 0.8 * 30 * 170 < found.charge.sum() <= 30 * 170
    assert set(np.unique(found.event)) <= set(range(31)) and found.event.max() == 30
    np.testing.assert_array_equal(found.charge > 0, found.event > 0)
    for number in range(1, 31):
        assert ndimage.label(found.event == number, EIGHT)[1] <= 2
    empty = inject(rng, (5, 5), [])
    assert not empty.charge.any() and not empty.event.any()


def test_half_of_the_tracks_are_scaled_to_a_peak_between_five_and_three_hundred_sigma():
    one = Track(np.arange(2), np.arange(2), np.array([1e7, 1e6]))
    peaks = np.array([each.charge.max() for each in scaled(np.random.default_rng(8), [one] * 4000, 10.0)])
    is_scaled = peaks < 1e7
    assert is_scaled.mean() == pytest.approx(0.5, abs=0.03)
    assert peaks[is_scaled].min() >= 50 and peaks[is_scaled].max() <= 3000
    assert np.log(peaks[is_scaled]).mean() == pytest.approx(np.log(np.sqrt(50 * 3000)), abs=0.1)


SHAPE = (12, 14)
MASKS = arrays.arrays(np.bool_, SHAPE)


@settings(max_examples=100, deadline=None)
@given(MASKS, MASKS, MASKS, arrays.arrays(np.int32, SHAPE, elements=st.integers(0, 4)), st.data())
def test_scores_count_pixels_events_and_cores(mask, hit, free, event, data):
    free &= ~hit
    cores = np.array(data.draw(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 13)), max_size=5))).reshape(-1, 2)
    found = score(mask, hit, free, event, cores)
    assert found.found == (mask & hit).sum() and found.wrong == (mask & free).sum() and found.hit == hit.sum()
    assert found.pixels == (hit | free).sum()
    assert found.events == len({int(event[place]) for place in zip(*np.nonzero(hit), strict=True)})
    assert found.events_found == len({int(event[place]) for place in zip(*np.nonzero(hit & mask), strict=True)})
    touched = [mask[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].any() for y, x in cores]
    assert (found.cores, found.cores_touched) == (len(cores), sum(touched))
    both = found + score(mask, hit, free)
    assert both.found == 2 * found.found and both.events == found.events
    if found.found + found.wrong and found.hit:
        precision, recall = found.precision, found.recall
        assert precision == found.found / (found.found + found.wrong) and recall == found.found / found.hit
        if found.found:
            assert found.f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_nothing_found_of_nothing_is_no_error():
    assert (Score().precision, Score().recall, Score().f1) == (0, 0, 0)
    assert 0 < MOST_OF_NONE < LEAST_OF_RAY
