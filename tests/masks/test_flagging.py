"""Which flags pixels get, how they are counted, and what memory that is reckoned to take."""

import json
from functools import partial

import numpy as np
import pytest
from astropy.io import fits
from conftest import write_light
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lightmask import bits
from lightmask.bits import Flag
from lightmask.fits import images
from lightmask.fits.images import Image
from lightmask.masks import cosmicrays, flags, frame, search
from lightmask.night import readout
from lightmask.night.configuration import validated
from lightmask.show.pictures import draw_frame

SHAPE = (11, 9)
CONFIG = validated({})
PARAMETERS = CONFIG["cosmic_rays"]

values = st.one_of(
    st.floats(-100, 3000, width=32), st.sampled_from([999.5, 1000.0, 1000.5, np.nan, np.inf, -np.inf, 3e38])
)


def flagged(data, own, static, parameters, radii=None):
    """Flag the pixels of a plain image, read out through one amplifier."""
    how = readout(CONFIG | {"cosmic_rays": parameters}, {}, {}, data.shape)
    inherited = None if own is None else own != 0
    return search.flag_pixels(Image(data, own, False, fits.Header()), static, parameters, how, radii, inherited)


@settings(max_examples=60, deadline=None)
@given(
    data=arrays.arrays(np.float32, SHAPE, elements=values, fill=st.just(100.0)),
    own=st.none() | arrays.arrays(np.int16, SHAPE, elements=st.sampled_from([0, 0, 1, -1, 256])),
    static=st.none() | arrays.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 0, 0, 1, 2, 3])),
    gain=st.sampled_from([1, 1.0, 2, 0.5]),
    radii=st.fixed_dictionaries({}, optional=dict.fromkeys(bits.REASONS, st.sampled_from([0, 1, 1.5]))),
    band=st.sampled_from([1, 20, 1000]),
)
def test_every_pixel_has_the_flags_of_its_reasons(data, own, static, gain, radii, band):
    parameters = PARAMETERS | {"gain": gain, "satlevel": 1000 * gain}
    mask = None if own is None else own != 0
    detected = cosmicrays.detect(data, mask, parameters)
    withheld = detected.mask
    if static is not None:
        known = static != 0 if mask is None else mask | (static != 0)
        withheld = cosmicrays.detect(data, known, parameters).mask
    reasons = {
        Flag.COSMIC: detected.mask & withheld,
        Flag.SUSPECT: detected.mask & ~withheld,
        Flag.SATURATED: data >= 1000,
        Flag.NOTFINITE: ~np.isfinite(data),
        Flag.INHERITED: np.zeros(SHAPE, bool) if own is None else own != 0,
    }
    expected = np.zeros(SHAPE, np.int16)
    for flag, mask in reasons.items():
        expected[flags.grown(mask, radii.get(bits.key(flag), 0))] |= np.int16(flag)
    if static is not None:
        expected |= static  # which has grown when it was combined
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "BAND", band)
        found, iterations = flagged(data, own, static, parameters, radii)
    np.testing.assert_array_equal(found, expected)
    assert iterations == detected.iterations


@pytest.mark.parametrize("own", [False, True])
def test_the_own_mask_is_kept_from_the_detector_and_known_bad_pixels_make_suspects(own):
    data = np.random.default_rng(1).normal(100, 5, (30, 30)).astype(np.float32)
    data[10, 10] = data[20, 20] = data[5, 25] = 5000
    static, mask = np.zeros((30, 30), np.uint8), np.zeros((30, 30), np.uint8)
    static[10, 10], mask[20, 20] = Flag.DARK, 4
    found, _ = flagged(data, mask if own else None, static, PARAMETERS)
    assert places(found, Flag.COSMIC) == {(20, 20), (5, 25)} - ({(20, 20)} if own else set())
    assert places(found, Flag.SUSPECT) == places(found, Flag.DARK) == {(10, 10)}


def places(found, flag):
    return set(map(tuple, np.argwhere(found & flag).tolist()))


@settings(max_examples=100, deadline=None)
@given(
    found=arrays.arrays(np.int16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 32767)),
    masked_by=st.sets(st.sampled_from(bits.REASONS)),
    band=st.sampled_from([1, 10, 1000]),
)
def test_pixels_of_each_reason_are_counted(found, masked_by, band):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "BAND", band)
        counted = search.statistics(found, masked_by, [5, 0])
    pixels = found.ravel().tolist()
    expected = {bits.key(flag): sum(1 for pixel in pixels if pixel & flag) for flag in bits.IN_USE}
    counting = {Flag[name.upper()] for name in masked_by} - {Flag.EDGE}
    masked = sum(1 for pixel in pixels if any(pixel & flag for flag in counting))
    fraction = masked / max(len(pixels) - expected["edge"], 1)
    whole = {"pixels": len(pixels), "masked": masked, "fraction": fraction, "iterations": [5, 0]}
    assert counted == expected | whole


@pytest.mark.parametrize(
    ("shape", "detector", "tile_height", "megabytes"),
    [
        ((1, 1), "lightmask", 1, 150),
        ((4096, 4096), "ccdproc", 1, 150 + 16.777216 * (96 + 4.5)),  # the whole image at once
        ((1000, 2000), "ccdproc", 1, 150 + 2 * (96 + 4.5)),
        ((1000, 2000), "lightmask", 1, 150 + 2 * (36 + 4.5)),  # small enough to be held whole
        ((1000, 2000), "lightmask", 10**6, 150 + 2 * (36 + 4.5)),  # a tile is not higher than the frame
        ((20_000, 20_000), "lightmask", 20_000, 150 + 26 * 400),  # tiles take more than the detector
        ((20_000, 20_000), "lightmask", 10_000, 150 + 26 * 200),
    ],
)
def test_memory_is_that_of_the_detector_and_of_flags_or_that_of_tiles(shape, detector, tile_height, megabytes):
    found = search.memory([shape], PARAMETERS | {"detector": detector}, tile_height)
    assert found == int(megabytes)


def test_memory_of_a_large_frame_is_that_of_a_band_and_of_its_flags():
    shape = (20_000, 20_000)
    held = cosmicrays.pixels_at_a_time(shape, PARAMETERS)
    assert held < 400e6 / 10
    assert search.memory([shape], PARAMETERS) == int(150 + 36e-6 * held + 4.5 * 400)
    assert search.memory([shape], PARAMETERS, 100) == search.memory([shape], PARAMETERS)


def masked_header(tmp_path, **config):
    write_light(tmp_path / "a.fits")
    frame.mask_frame(
        tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "out.json", validated(config)
    )
    return fits.getheader(tmp_path / "out.fits")


def test_cards_have_the_unit_of_their_parameter(tmp_path):
    header = masked_header(tmp_path, grow={"cosmic": 1.5, "saturated": 2})
    units = {"GAIN": "[e-/adu]", "READNOISE": "[e-]", "SATLEVEL": "[e-]", "SIGCLIP": "[sigma]", "PSFFWHM": "[pixel]"}
    units |= {"GROW COSMIC": "[pixel]", "GROW SATURATED": "[pixel]", "OBJLIM": "", "NITER": ""}
    assert {key: header.comments[f"LIGHTMASK {key}"] for key in units} == units
    assert (header["LIGHTMASK GROW COSMIC"], header["LIGHTMASK GROW SATURATED"]) == (1.5, 2)
    assert "LIGHTMASK GROW FLAT" not in header
    count = header["LIGHTMASK COSMIC PIXELS"]
    assert header.comments["LIGHTMASK COSMIC PIXELS"] == flags.count_text(count, 64 * 80)
    assert header.comments["LIGHTMASK ITERATION 1"] == "cosmic pixels"
    assert "LIGHTMASK ITERATION 0" not in header


def test_a_frame_that_says_it_has_no_extension_says_so_no_more(tmp_path):
    for said in (False, True, None):
        write_light(tmp_path / "a.fits", EXTEND=said)
        frame.mask_frame(
            tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "out.json", validated({})
        )
        assert fits.getheader(tmp_path / "out.fits").get("EXTEND", True) is True


def test_events_are_counted_only_with_a_picture_where_quality_is_not_measured(tmp_path):
    write_light(tmp_path / "a.fits")
    paths = (
        tmp_path / "a.fits",
        "a.fits",
        None,
        tmp_path / "out.fits",
        tmp_path / "out.json",
        validated({"quality": False}),
    )
    frame.mask_frame(*paths, regions=tmp_path / "a.reg")
    assert "events" not in json.loads((tmp_path / "out.json").read_text())
    assert (tmp_path / "a.reg").read_text().count("box(") == 1
    frame.mask_frame(*paths, draw=partial(draw_frame, picture=tmp_path / "a.png", title="a"))
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["events"], found["on_sources"]) == (1, 0)
    assert (tmp_path / "a.png").stat().st_size > 1000
