"""Cosmic-ray events: which pixels are one, and what they sit on."""

import re
import statistics

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skies import add_stars, sky

from lightmask.bits import Flag
from lightmask.fits import images
from lightmask.quality import events
from lightmask.quality.events import Events


def noise(shape=(100, 100)):
    return np.random.default_rng(1).normal(300, 10, shape).astype(np.float32)


def test_pixels_without_a_value_have_no_signal():
    data, flags = noise(), np.zeros((100, 100), np.int16)
    flags[50, 40:45] = Flag.COSMIC
    data[50, 40:45] = np.nan, 1300, 1300, np.inf, -np.inf
    (event,) = Events(data, flags).strongest()
    np.testing.assert_allclose(event.signal, 2000, rtol=0.1)


@pytest.mark.parametrize("band", [2**20, 100])
@pytest.mark.parametrize("density", [0.02, 0.3, 0.45, 1.0])
def test_groups_are_those_of_scipy(monkeypatch, density, band):
    monkeypatch.setattr(images, "BAND", band)
    flags = (np.random.default_rng(3).random((61, 37)) < density) * np.int16(Flag.COSMIC)
    data = np.ones(flags.shape)
    found = events.runs(data, flags, 0.0)
    group = events.connected(found.y, found.x, found.length)
    labels, number = ndimage.label(flags, np.ones((3, 3)))
    assert group.max() + 1 == number
    pairs = {(int(group[i]), int(labels[found.y[i], found.x[i]])) for i in range(group.size)}
    assert len(pairs) == number
    assert found.length.sum() == found.signal.sum() == np.count_nonzero(flags)


def test_events_have_their_brightest_pixel_and_box():
    data, flags = noise(), np.zeros((100, 100), np.int16)
    for x, y, signal in ((10, 20, 500), (11, 21, 900), (11, 22, 200), (60, 70, 5000), (0, 99, 100)):
        flags[y, x], data[y, x] = Flag.COSMIC, 300 + signal
    found = Events(data, flags)
    assert len(found) == 3
    boxes = [(e.x, e.y, e.left, e.bottom, e.right, e.top, e.pixels) for e in found.strongest()]
    assert boxes == [(60, 70, 60, 70, 60, 70, 1), (11, 21, 10, 20, 11, 22, 3), (0, 99, 0, 99, 0, 99, 1)]
    assert [e.x for e in found.strongest(1)] == [60]


@pytest.mark.parametrize("others", [Flag.FLAT, Flag.SATURATED | Flag.NOTFINITE, ~Flag.COSMIC])
def test_no_cosmic_ray_is_no_event(others):
    found = Events(noise(), np.full((100, 100), others, np.int16))
    assert (len(found), found.strongest(), found.on_sources()) == (0, [], 0.0)


def test_what_sits_on_stars_is_told_from_what_does_not():
    random = np.random.default_rng(2)
    data = add_stars(sky((400, 400), random), random, 60, flux=(20_000, 200_000))
    flags = np.zeros(data.shape, np.int16)
    stars = [(y, x) for y, x in np.argwhere(data == ndimage.maximum_filter(data, 15)) if data[y, x] > 1000]
    assert len(stars) > 30
    for y, x in stars:
        flags[y, x] = Flag.COSMIC
    assert Events(data, flags).on_sources() > 0.9
    flags[:] = 0
    blank = np.argwhere(ndimage.maximum_filter(data, 9) < 300)
    for y, x in blank[random.integers(0, len(blank), 100)]:
        flags[y, x], data[y, x] = Flag.COSMIC, 5000
    assert Events(data, flags).on_sources() < 0.1


def test_a_region_file_has_a_box_per_event(tmp_path):
    data, flags = noise(), np.zeros((100, 100), np.int16)
    flags[20, 10:14] = flags[70:73, 60] = Flag.COSMIC
    data[20, 10:14] += 1000
    events.write_regions([("", Events(data, flags).strongest())], tmp_path / "a.reg")
    text = (tmp_path / "a.reg").read_text()
    assert text.startswith("# Region file format: DS9")
    assert re.findall(r"^box.*?\)", text, re.MULTILINE) == ["box(12.5,21,4,1,0)", "box(61,72,1,3,0)"]


def test_a_region_file_has_all_of_an_odd_box(tmp_path):
    event = events.Event(x=7, y=9, left=5, bottom=8, right=11, top=9, pixels=3, signal=1.0)
    events.write_regions([("", [event])], tmp_path / "a.reg")
    header = ["# Region file format: DS9 version 4.1", "global color=red", "image"]
    assert (tmp_path / "a.reg").read_text().splitlines() == [*header, "box(9,9.5,7,2,0) # tag={cosmic} tag={cosmic1}"]
    events.write_regions([], tmp_path / "a.reg")
    assert (tmp_path / "a.reg").read_text().splitlines() == header


def frame_with(*groups, shape=(100, 100), level=100.0):
    """Make an even frame with cosmic rays: pixels (y, x) and how much they have above its level."""
    data, flags = np.full(shape, level, float), np.zeros(shape, np.int16)
    for group in groups:
        for (y, x), signal in group.items():
            flags[y, x], data[y, x] = Flag.COSMIC, level + signal
    return data, flags


def test_signal_is_the_sum_above_the_median_of_the_frame():
    data, flags = frame_with({(20, 10): 500, (20, 11): 900, (21, 12): -30}, {(60, 70): 5000})
    found = Events(data, flags)
    assert found.sky == 100
    assert [event.signal for event in found.strongest()] == [5000, 1370]
    assert [event.pixels for event in found.strongest()] == [1, 3]


def test_infinite_pixels_have_no_signal_either():
    data, flags = frame_with({(50, 40): 1000, (50, 41): 500, (50, 42): 0, (50, 43): 0})
    data[50, 42:44] = np.nan, np.inf
    (event,) = Events(data, flags).strongest()
    assert (event.signal, event.pixels, event.x) == (1500, 4, 40)


def test_an_event_without_any_value_has_a_place_and_no_signal():
    data, flags = frame_with({(50, 40): 0, (50, 41): 0})
    data[50, 40:42] = np.nan
    (event,) = Events(data, flags).strongest()
    assert (event.signal, event.pixels, event.left, event.right, event.bottom) == (0, 2, 40, 41, 50)
    assert event.x in (40, 41) and event.y == 50


def test_of_equally_bright_pixels_the_first_is_the_brightest():
    data, flags = frame_with({(20, 10): 5, (20, 11): 9, (20, 12): 9, (21, 11): 9})
    (event,) = Events(data, flags).strongest()
    assert (event.x, event.y) == (11, 20)


def test_events_are_ordered_by_signal_and_equal_ones_by_place():
    data, flags = frame_with(*({(y, x): s} for y, x, s in [(5, 9, 70), (5, 50, 90), (40, 3, 70), (80, 8, 80)]))
    assert [(e.y, e.x) for e in Events(data, flags).strongest()] == [(5, 50), (80, 8), (5, 9), (40, 3)]
    assert [(e.y, e.x) for e in Events(data, flags).strongest(2)] == [(5, 50), (80, 8)]


cosmic_frames = st.tuples(
    arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))), st.integers(1, 30), st.integers(0, 9)
)


@settings(max_examples=200, deadline=None)
@given(cosmic_frames)
@example((np.ones((3, 1), bool), 1, 0))
@example((np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]], bool), 4, 1))
@example((np.array([[0, 0, 1], [1, 0, 0]], bool), 1, 2))  # the end of a row does not touch the next row's beginning
def test_events_are_what_scipy_labels(frame):
    mask, band, seed = frame
    flags = mask * np.int16(Flag.COSMIC | Flag.DARK) + ~mask * np.int16(Flag.FLAT | Flag.SATURATED)
    data = np.random.default_rng(seed).permutation(mask.size).reshape(mask.shape) + 10.0  # no two alike
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "BAND", band)
        found = Events(data, flags)
        events = found.strongest()
    labels, number = ndimage.label(mask, np.ones((3, 3)))
    expected = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        own = labels == label
        y, x = np.unravel_index(np.where(own, data, -1).argmax(), data.shape)
        signal = (data[own] - np.median(data)).sum()
        box = columns.start, rows.start, columns.stop - 1, rows.stop - 1
        expected.append((int(x), int(y), *box, int(own.sum()), float(signal)))
    assert len(found) == number
    assert sorted(map(tuple, events)) == sorted(expected)
    assert [e.signal for e in events] == sorted((e.signal for e in events), reverse=True)


@pytest.mark.parametrize(
    ("place", "rows", "columns"),
    [
        ((50, 50), (38, 62), (38, 62)),
        ((0, 0), (0, 24), (0, 24)),
        ((11, 12), (0, 24), (0, 24)),
        ((13, 14), (1, 25), (2, 26)),
        ((99, 99), (76, 100), (76, 100)),
        ((40, 88), (28, 52), (76, 100)),
        ((89, 40), (76, 100), (28, 52)),
    ],
)
def test_the_surroundings_are_24_pixels_wide_and_within_the_frame(place, rows, columns):
    (event,) = Events(*frame_with({place: 50})).strongest()
    assert [(part.start, part.stop) for part in events.around(event, (100, 100))] == [rows, columns]


def test_a_frame_smaller_than_the_surroundings_is_all_of_them():
    (event,) = Events(*frame_with({(3, 5): 50}, shape=(6, 10))).strongest()
    rows, columns = events.around(event, (6, 10))
    assert np.zeros((6, 10))[rows, columns].shape == (6, 10)
    assert (rows.start, columns.start) == (0, 0)


def test_the_background_is_the_median_around_without_flagged_pixels():
    data, flags = frame_with({(50, 50): 5000})
    data[38:62, 38:62] += 40
    data[50, 51:60], flags[50, 51:60] = 9000, Flag.SATURATED
    found = Events(data, flags)
    (event,) = found.strongest()
    assert found.background(event) == 140
    data[38:50, 38:62] = 120  # 288 pixels of the 566 without a flag
    assert found.background(event) == 120
    flags |= np.int16(Flag.FLAT)
    assert found.background(event) == found.sky == 100


def test_a_frame_that_is_all_flagged_or_nan_has_no_sky_and_no_source():
    flags = np.full((30, 30), Flag.COSMIC, np.int16)
    found = Events(np.full((30, 30), np.nan), flags)
    (event,) = found.strongest()
    assert (found.sky, event.pixels, event.signal, found.background(event)) == (0, 900, 0, 0)
    assert found.on_sources() == 0


def bump(data, place, height, width=2):
    """Brighten the surroundings of a pixel, the pixel included, as a source does."""
    rows, columns = (slice(max(at - width, 0), at + width + 1) for at in place)
    data[rows, columns] += height


def test_the_share_on_sources_is_of_pixels_not_of_events():
    data, flags = frame_with({(20, 20): 900, (20, 21): 900, (20, 22): 900}, {(20, 70): 500}, {(70, 20): 400})
    data += np.random.default_rng(1).normal(0, 1, data.shape)
    found = Events(data, flags)
    assert found.on_sources() == 0
    bump(data, (20, 70), 50)
    assert Events(data, flags).on_sources() == pytest.approx(1 / 5)
    bump(data, (20, 21), 50, width=4)
    assert Events(data, flags).on_sources() == pytest.approx(4 / 5)
    bump(data, (70, 20), 50)
    assert Events(data, flags).on_sources() == 1


@pytest.mark.parametrize(("sigma", "share"), [(2, 0), (2.8, 0), (3.4, 1), (5, 1)])
@pytest.mark.parametrize("level", [0, 1000])
def test_a_source_is_three_sigma_brighter_than_what_is_around(sigma, share, level):
    data, flags = frame_with({(50, 50): 9000}, level=level)
    assert Events(data, flags).on_sources() == 0, "nothing is brighter than without any noise"
    normal = statistics.NormalDist(0, 30)
    values = np.array([normal.inv_cdf((i + 0.5) / 576) for i in range(576)])  # noise of exactly 30
    data[38:62, 38:62] += np.random.default_rng(1).permutation(values).reshape(24, 24)
    data[48:53, 48:53] = level + sigma * 30
    data[50, 50] = level + 9000
    assert Events(data, flags).on_sources() == share


@pytest.mark.parametrize("place", [(50, 50), (0, 0), (1, 1), (0, 99), (99, 1), (99, 99), (98, 40)])
@pytest.mark.parametrize(("reach", "share"), [(1, 0), (2, 1)])
def test_a_source_shows_within_two_pixels(place, reach, share):
    """So that the median of those near is of the source: neither farther away, nor the nearest only."""
    data, flags = frame_with({place: 9000})
    data += np.random.default_rng(1).normal(0, 1, data.shape)
    bump(data, place, 50, reach)
    inside = [min(at + 2, 99) - max(at - 2, 0) + 1 for at in place]
    near = [min(at + 1, 99) - max(at - 1, 0) + 1 for at in place]
    if reach == 1 and near[0] * near[1] - 1 > (inside[0] * inside[1] - 1) / 2:
        share = 1  # in a corner most of what is near is next to it
    assert Events(data, flags).on_sources() == share


def test_what_is_flagged_or_not_finite_near_an_event_is_not_asked():
    data, flags = frame_with({(50, 50): 9000})
    data += np.random.default_rng(1).normal(0, 1, data.shape)
    bump(data, (50, 50), 500)
    flags[48:53, 48:53] |= np.int16(Flag.SATURATED)
    assert Events(data, flags).on_sources() == 0, "nothing near has no flag"
    data, flags = frame_with({(50, 50): 9000})
    data += np.random.default_rng(1).normal(0, 1, data.shape)
    data[48:53, 48:53] = np.where(np.arange(25).reshape(5, 5) % 2, np.inf, data[48:53, 48:53])
    data[50, 50] = 9000
    assert Events(data, flags).on_sources() == 0, "infinite pixels are no source"
    data[38:46, 38:62] = np.nan
    bump(data, (50, 50), 50)
    assert Events(data, flags).on_sources() == 1, "NaN around does not hide one"


def test_the_strongest_are_asked():
    weak = [{(10 * y + 5, 10 * x + 5): 500 + 100 * (10 * y + x)} for y in range(12) for x in range(10)]
    data, flags = frame_with(*weak, shape=(120, 100))
    data += np.random.default_rng(1).normal(0, 1, data.shape)
    strongest = Events(data, flags).strongest()
    for event in strongest[32:]:
        bump(data, (event.y, event.x), 50)
    assert Events(data, flags).on_sources() == 0
    bump(data, (strongest[31].y, strongest[31].x), 50)
    assert Events(data, flags).on_sources() == 1 / 32


@given(arrays.arrays(np.int16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 32767)))
def test_flagged_pixels_are_those_of_numpy(flags):
    for flag in (Flag.COSMIC, Flag.SUSPECT, Flag.COSMIC | Flag.EDGE):
        np.testing.assert_array_equal(events.flagged(flags, flag), np.flatnonzero(flags & np.int16(flag)))
    np.testing.assert_array_equal(events.flagged(flags[1:], flag), np.flatnonzero(flags[1:] & np.int16(flag)))
