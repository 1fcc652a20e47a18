"""Types by path, values as cameras write them, and what is said of files that are not masked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightmask.night import types
from lightmask.night.configuration import validated


def entry(**cards):
    return {"shape": [10, 10], "cards": cards, "problem": ""}


def type_of(path, config=None, **cards):
    (frame,) = types.frames({path: entry(**cards)}, validated(config or {}))
    return frame.type


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"OBSTYPE": "EXPOSE"}, "light"),  # LCO
        ({"OBSTYPE": "object"}, "light"),  # DECam
        ({"IMAGETYP": "EXT", "OBSTYPE": "IMAGING", "OBSMODE": "ACCUM"}, "light"),  # HST
        ({"OBSTYPE": "STANDARD"}, "light"),
        ({"OBSTYPE": "SPECTRUM"}, "light"),
        ({"ESO DPR TYPE": "STD"}, "light"),
        ({"IMAGETYP": "Light"}, "light"),
        ({"FRAME": "Light"}, "light"),
        ({"IMAGETYP": "light_frame"}, "light"),
        ({"IMAGETYP": "Master Dark"}, "dark"),
        ({"IMAGETYP": "masterDark"}, "dark"),
        ({"IMAGETYP": "Master-Flat"}, "flat"),
        ({"OBSTYPE": "SKYFLAT"}, "flat"),
        ({"OBSTYPE": "sky flat"}, "flat"),
        ({"OBSTYPE": "dome flat"}, "flat"),
        ({"IMAGETYP": "BIAS", "OBSTYPE": "OBJECT"}, "BIAS"),  # the first that says something counts
        ({"IMAGETYP": "", "OBSTYPE": "OBJECT"}, "light"),
        ({"IMAGETYP": None, "OBSTYPE": "OBJECT"}, "light"),
        ({"FRAME": 42, "OBSMODE": "EXPOSE"}, "light"),
        ({"FRAME": 42}, ""),
    ],
)
def test_types_as_cameras_say_them(cards, expected):
    assert type_of("a.fits", **cards) == expected


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("lights/**", "lights/a.fits", True),
        ("lights/**", "Lights/r/a.fits", True),
        ("lights/**", "darks/a.fits", False),
        ("lights/*", "lights/r/a.fits", False),
        ("**/lights/*", "lights/a.fits", True),
        ("**/lights/*", "2025/m 31/lights/a.fits", True),
        ("*_light_*", "any/m31_light_001.fits", True),
        ("*_light_*", "x_light_/001.fits", False),
        ("a?.fits", "ab.fits", True),
        ("a?.fits", "abc.fits", False),
        ("it's [1] (2).fits", "it's [1] (2).fits", True),
        ("./lights/*", "lights/a.fits", True),
    ],
)
def test_patterns_of_paths(pattern, path, fits):
    config = {"frame_type": {"paths": {"light": [pattern]}}}
    assert type_of(path, config, IMAGETYP="BIAS") == ("light" if fits else "BIAS")
    assert type_of(path, config) == ("light" if fits else "")


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="*?/"), min_size=1))
def test_a_pattern_without_stars_is_the_name(name):
    name = f"x{name}.fits"
    config = {"frame_type": {"paths": {"light": [name]}}}
    assert type_of(f"night/{name}", config) == "light"
    assert type_of(f"night/x{name}", config) == ""


def test_the_first_type_of_which_a_pattern_fits_counts():
    config = {"frame_type": {"paths": {"light": ["a*"], "flat": ["*flat*"], "other": ["b*"]}}}
    assert type_of("a_flat.fits", config, IMAGETYP="DARK") == "light"
    assert type_of("b_flat.fits", config, IMAGETYP="DARK") == "flat"
    assert type_of("b.fits", config, IMAGETYP="LIGHT") == "other"


def test_what_is_not_masked_is_counted_most_frequent_first():
    cards = [*["bias"] * 3, "Master Bias", "FLAT", "LIGHT", "dark mask", *["arc"] * 2]
    files = {f"{number}.fits": entry(IMAGETYP=value) for number, value in enumerate(cards)}
    assert types.not_masked(types.frames(files, validated({}))) == "3 bias, 2 arc, 1 Master Bias"
    assert types.not_masked(types.frames({"a.fits": entry(IMAGETYP="LIGHT")}, validated({}))) == ""


@pytest.mark.parametrize(
    ("path", "camera", "expected"),
    [
        ("c4d_170101_ood_r_v1.fits", "DECam", types.COMPANION),
        ("c4d_170101_oow_r_v1.fits", "DECam", types.COMPANION),
        ("c4d_170101_ooi_r_v1.fits", "DECam", "light"),
        ("c4d_170101_ood_r_v1.fits", "another", "light"),
    ],
)
def test_a_file_named_as_a_mask_of_its_camera_is_no_light_even_alone(path, camera, expected):
    assert type_of(path, OBSTYPE="object", INSTRUME=camera) == expected
