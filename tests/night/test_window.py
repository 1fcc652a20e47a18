"""Masks of another window or orientation: cut and turned where headers describe both, refused where they do not."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from lightmask.masks import combine_files
from lightmask.night.configuration import validated
from lightmask.night.matching import MaskMatcher, mismatch
from lightmask.night.types import Frame
from lightmask.night.window import WHOLE, Cut, cut

FULL = (60, 80)
MATCH = validated({})["match"]


@given(row=st.integers(0, 30), column=st.integers(0, 30), height=st.integers(1, 30), width=st.integers(1, 50))
@pytest.mark.parametrize("keywords", [("XORGSUBF", "YORGSUBF", 1), ("LTV1", "LTV2", -1)])
def test_a_window_is_cut_out(keywords, row, column, height, width):
    x, y, sign = keywords
    found = cut(FULL, {x: 0, y: 0}, (height, width), {x: sign * column, y: sign * row})
    assert found == Cut(row, column, turned=False)


@pytest.mark.parametrize(
    ("mask", "shape", "cards", "found"),
    [
        ({}, FULL, {}, WHOLE),
        ({"ROWORDER": "TOP-DOWN"}, FULL, {}, WHOLE),
        ({"ROWORDER": "TOP-DOWN"}, FULL, {"ROWORDER": "top-down "}, WHOLE),
        ({"ROWORDER": "TOP-DOWN"}, FULL, {"ROWORDER": "BOTTOM-UP"}, Cut(0, 0, turned=True)),
        ({}, (30, 40), {"XORGSUBF": 0, "YORGSUBF": 0}, "has shape 80x60, the frame 40x30"),
        ({"XORGSUBF": 0, "YORGSUBF": 0}, (30, 40), {}, "has shape 80x60, the frame 40x30"),
        ({"XORGSUBF": 0, "YORGSUBF": 0}, (30, 40), {"XORGSUBF": 41, "YORGSUBF": 0}, "and begins at column 0 and row 0"),
        ({"XORGSUBF": 8, "YORGSUBF": 0}, FULL, {"XORGSUBF": 0, "YORGSUBF": 0}, "and begins at column 8 and row 0"),
        (
            {"XORGSUBF": 0, "YORGSUBF": 0, "ROWORDER": "TOP-DOWN"},
            (30, 40),
            {"XORGSUBF": 5, "YORGSUBF": 5, "ROWORDER": "BOTTOM-UP"},
            "the rows of one of them are turned",
        ),
        ({"CCDSEC": "[1:80,1:60]"}, FULL, {"CCDSEC": "[1:80, 1:60]"}, WHOLE),
        ({"CCDSEC": "[1:80,1:60]"}, FULL, {"CCDSEC": "[81:160,1:60]"}, "and begins at column 0 and row 0"),
        ({"CCDSEC": "[80:1,1:60]"}, FULL, {"CCDSEC": "[1:80,1:60]"}, "has CCDSEC '[80:1,1:60]'"),
        ({"CCDSEC": "[1:80,1:60]"}, (20, 30), {"CCDSEC": "[11:40,6:25]"}, Cut(5, 10, turned=False)),
        # binned by two
        ({"DETSEC": "[1:160,1:120]"}, (20, 30), {"DETSEC": "[21:80, 11:50]"}, Cut(5, 10, turned=False)),
        ({"DETSEC": "[1:160,1:120]"}, (20, 30), {"DETSEC": "[22:81,11:50]"}, "has shape 80x60, the frame 30x20"),
        ({"CCDSEC": "[1:80,1:60]"}, (20, 30), {"CCDSEC": "[1:400,1:20]"}, "has shape 80x60, the frame 30x20"),
        ({"DETSEC": "[1:80,1:60]"}, FULL, {}, WHOLE),
    ],
)
def test_what_keywords_say(mask, shape, cards, found):
    result = cut(FULL, mask, shape, cards)
    assert found in result if isinstance(found, str) else result == found


def frame(path, type_, shape=FULL, **cards):
    return Frame(path, type_, shape, {"INSTRUME": "c", **cards})


@pytest.mark.parametrize("kind", ["flat", "dark"])
def test_a_mask_is_cut_and_turned_when_it_is_combined(tmp_path, kind):
    whole = np.random.default_rng(1).random(FULL) < 0.1
    fits.writeto(tmp_path / "m.fits", whole.astype("u1"))
    window = {"XORGSUBF": 7, "YORGSUBF": 11}
    night = [
        frame("m.fits", f"{kind} mask", XORGSUBF=0, YORGSUBF=0, ROWORDER="TOP-DOWN"),
        frame("whole.fits", "light", XORGSUBF=0, YORGSUBF=0),
        frame("part.fits", "light", (20, 30), **window),
        frame("turned.fits", "light", ROWORDER="BOTTOM-UP"),
        frame("elsewhere.fits", "light", (20, 30)),
    ]
    matcher = MaskMatcher(night, validated({"required_masks": [kind]}))
    expected = {"whole.fits": whole, "part.fits": whole[11:31, 7:37], "turned.fits": whole[::-1]}
    names = set()
    for light in night[1:4]:
        found = matcher.applying(light)
        names.add(found.id)
        masks = [(kind, str(tmp_path / "m.fits"), "m.fits")]
        combine_files(masks, {"flat": 0, "dark": 0}, tmp_path / "combined.fits", images=found.pairs())
        np.testing.assert_array_equal(fits.getdata(tmp_path / "combined.fits") != 0, expected[light.path])
    assert len(names) == 3
    assert "has shape 80x60, the frame 30x20" in matcher.problem(night[4])


@pytest.mark.parametrize(
    ("mask", "light", "fits_"),
    [
        ({"SET-TEMP": -10.0}, {"SET-TEMP": -12.0}, True),
        ({"SET-TEMP": -10.0}, {"SET-TEMP": -12.1}, False),
        (
            {"SET-TEMP": -10.0, "CCD-TEMP": 5.0},
            {"SET-TEMP": -10.0, "CCD-TEMP": -10.0},
            True,
        ),  # the first that both have
        ({"CCD-TEMP": 5.0}, {"SET-TEMP": -10.0, "CCD-TEMP": -10.0}, False),
        ({}, {"SET-TEMP": -10.0}, True),
        ({"SET-TEMP": "cold"}, {"SET-TEMP": -10.0}, True),
    ],
)
def test_a_dark_mask_serves_frames_of_its_temperature(mask, light, fits_):
    masks = {kind: frame("m.fits", f"{kind} mask", **mask) for kind in ("flat", "dark")}
    light = frame("a.fits", "light", **light)
    assert (mismatch(masks["dark"], light, "dark", MATCH) == "") == fits_
    assert mismatch(masks["flat"], light, "flat", MATCH) == ""


def test_darks_of_different_temperatures_make_masks_of_their_own():
    degrees = enumerate((-10.1, -9.9, 5.0, -10.0))
    darks = [frame(f"d{number}.fits", "dark", EXPTIME=10.0, **{"CCD-TEMP": value}) for number, value in degrees]
    lights = [frame(f"a{degrees}.fits", "light", **{"CCD-TEMP": degrees}) for degrees in (-10.5, 4.0, 20.0)]
    matcher = MaskMatcher([*darks, *lights], validated({"required_masks": ["dark"]}))
    sources = [[s.path for _, mask in matcher.applying(light) for s in mask.sources] for light in lights]
    assert sources == [["d0.fits", "d1.fits", "d3.fits"], ["d2.fits"], []]
    assert "has CCD-TEMP" in matcher.problem(lights[2])


def test_flats_of_different_windows_make_masks_of_their_own():
    flats = [frame(f"f{x}.fits", "flat", XORGSUBF=x, YORGSUBF=0) for x in (0, 100)]
    lights = [frame(f"a{x}.fits", "light", XORGSUBF=x, YORGSUBF=0) for x in (0, 100)]
    matcher = MaskMatcher([*flats, *lights], validated({"required_masks": ["flat"]}))
    sources = [[s.path for _, mask in matcher.applying(light) for s in mask.sources] for light in lights]
    assert sources == [["f0.fits"], ["f100.fits"]]
