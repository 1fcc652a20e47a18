"""Cosmic-ray events: which pixels are one, and what they sit on."""

import re

import numpy as np
import pytest
from scipy import ndimage
from skies import add_stars, sky

from lightmask import events, images
from lightmask.events import Events
from lightmask.flags import Flag


def noise(shape=(100, 100)):
    return np.random.default_rng(1).normal(300, 10, shape).astype(np.float32)


def test_pixels_without_a_value_have_no_signal():
    data, flags = noise(), np.zeros((100, 100), np.uint8)
    flags[50, 40:45] = Flag.COSMIC
    data[50, 40:45] = np.nan, 1300, 1300, np.inf, -np.inf
    (event,) = Events(data, flags).strongest()
    np.testing.assert_allclose(event.signal, 2000, rtol=0.1)


@pytest.mark.parametrize("band", [2**20, 100])
@pytest.mark.parametrize("density", [0.02, 0.3, 0.45, 1.0])
def test_groups_are_those_of_scipy(monkeypatch, density, band):
    monkeypatch.setattr(images, "BAND", band)
    flags = (np.random.default_rng(3).random((61, 37)) < density) * np.uint8(Flag.COSMIC)
    data = np.ones(flags.shape)
    found = events.runs(data, flags, 0.0)
    group = events.connected(found.y, found.x, found.length)
    labels, number = ndimage.label(flags, np.ones((3, 3)))
    assert group.max() + 1 == number
    pairs = {(int(group[i]), int(labels[found.y[i], found.x[i]])) for i in range(group.size)}
    assert len(pairs) == number
    assert found.length.sum() == found.signal.sum() == np.count_nonzero(flags)


def test_events_have_their_brightest_pixel_and_box():
    data, flags = noise(), np.zeros((100, 100), np.uint8)
    for x, y, signal in ((10, 20, 500), (11, 21, 900), (11, 22, 200), (60, 70, 5000), (0, 99, 100)):
        flags[y, x], data[y, x] = Flag.COSMIC, 300 + signal
    found = Events(data, flags)
    assert len(found) == 3
    boxes = [(e.x, e.y, e.left, e.bottom, e.right, e.top, e.pixels) for e in found.strongest()]
    assert boxes == [(60, 70, 60, 70, 60, 70, 1), (11, 21, 10, 20, 11, 22, 3), (0, 99, 0, 99, 0, 99, 1)]
    assert [e.x for e in found.strongest(1)] == [60]


def test_no_cosmic_ray_is_no_event():
    found = Events(noise(), np.full((100, 100), Flag.FLAT, np.uint8))
    assert (len(found), found.strongest(), found.on_sources()) == (0, [], 0.0)


def test_what_sits_on_stars_is_told_from_what_does_not():
    random = np.random.default_rng(2)
    data = add_stars(sky((400, 400), random), random, 60, flux=(20_000, 200_000))
    flags = np.zeros(data.shape, np.uint8)
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
    data, flags = noise(), np.zeros((100, 100), np.uint8)
    flags[20, 10:14] = flags[70:73, 60] = Flag.COSMIC
    data[20, 10:14] += 1000
    events.write_regions(Events(data, flags).strongest(), tmp_path / "a.reg")
    text = (tmp_path / "a.reg").read_text()
    assert text.startswith("# Region file format: DS9")
    assert re.findall(r"^box.*?\)", text, re.MULTILINE) == ["box(12.5,21,4,1,0)", "box(61,72,1,3,0)"]
