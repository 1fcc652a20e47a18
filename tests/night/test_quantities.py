"""Numbers of the configuration or of a header: which values are taken, which are refused, in which unit."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lightmask.errors import FrameError
from lightmask.night import quantities, types
from lightmask.night.configuration import validated
from lightmask.night.quantities import EXPOSURE, GAIN, READNOISE, SATLEVEL

QUANTITIES = {
    "gain": (GAIN, "a number of e-/adu above 0"),
    "readnoise": (READNOISE, "a number of e-, 0 or more"),
    "satlevel": (SATLEVEL, "a number of e- above 0"),
    "exposure": (EXPOSURE, "an exposure above 0 s"),
}
quantity = pytest.mark.parametrize(("key", "of", "expected"), [(key, *value) for key, value in QUANTITIES.items()])


def refusal(function, *arguments):
    with pytest.raises(FrameError) as caught:
        function(*arguments)
    return str(caught.value)


@quantity
@given(found=st.floats(min_value=0, exclude_min=True, allow_infinity=False) | st.integers(1, 2**53))
@example(found=5e-324)
@example(found=0.5)
@example(found=1)
@example(found=1.7976931348623157e308)
def test_every_finite_number_above_zero_is_taken_as_it_is(key, of, expected, found):
    read = quantities.value("KEY", {"KEY": found}, of, key)
    assert read == found
    assert type(read) is float


@quantity
@given(
    found=st.floats(max_value=0, exclude_max=True)
    | st.sampled_from([float("inf"), math.nan, True, False, "1.5", "", None, 1 + 2j])
)
@example(found=-5e-324)
@example(found=float("inf"))  # another object than math.inf
@example(found=-1)
def test_what_is_no_such_number_is_refused_with_finding_and_remedy(key, of, expected, found):
    text = refusal(quantities.value, "KEY", {"KEY": found}, of, f"section: {key}")
    assert text == f"KEY is {found!r}, expected {expected}; correct it, or set section: {key}"


@quantity
def test_zero_is_a_read_noise_only(key, of, expected):
    if key == "readnoise":
        assert quantities.value("KEY", {"KEY": 0}, of, key) == 0
    else:
        assert refusal(quantities.value, "KEY", {"KEY": 0}, of, key).startswith("KEY is 0, expected")


@pytest.mark.parametrize("setting", [1.5, 2])
def test_a_number_counts_before_any_header(setting):
    assert quantities.value(setting, {"GAIN": 7.0}, GAIN, "gain") == setting


@pytest.mark.parametrize(
    ("cards", "expected"),
    [({"EXPTIME": 10, "EXPOSURE": 20}, 10), ({"EXPOSURE": 20}, 20), ({"EXPOSURE": 20, "EXPTIME": 10}, 10)],
)
def test_the_first_keyword_that_the_header_has_counts(cards, expected):
    assert quantities.value(["EXPTIME", "EXPOSURE"], cards, EXPOSURE, "exposure") == expected
    assert quantities.value(iter(["EXPTIME", "EXPOSURE"]), cards, EXPOSURE, "exposure") == expected


def test_the_first_keyword_counts_even_where_its_value_is_bad():
    cards = {"EXPTIME": -1, "EXPOSURE": 20}
    assert refusal(quantities.value, ["EXPTIME", "EXPOSURE"], cards, EXPOSURE, "exposure").startswith("EXPTIME is -1,")


def test_zero_counts_as_lacking_where_zero_cannot_be():
    cards = {"EXPTIME": 0, "EXPOSURE": 20}
    assert quantities.value(["EXPTIME", "EXPOSURE"], cards, EXPOSURE, "exposure") == 20
    assert refusal(quantities.value, ["EXPTIME"], cards, EXPOSURE, "exposure").startswith("EXPTIME is 0,")


def test_missing_keywords_are_all_named():
    assert refusal(quantities.value, ["EXPTIME", "EXPOSURE"], {}, EXPOSURE, "make_dark_mask: exposure") == (
        "no EXPTIME or EXPOSURE in the header, expected an exposure above 0 s; add it, or set make_dark_mask: exposure"
    )
    assert refusal(quantities.value, "EGAIN", {"E": 1}, GAIN, "gain") == (
        "no EGAIN in the header, expected a number of e-/adu above 0; add it, or set gain"
    )


def check(cards, gain, **config):
    quantities.check_unit(cards, gain, validated(config), "cosmic_rays: gain")


@pytest.mark.parametrize("gain", [0.5, 0.999, 1.001, 2, 1e-9])
@pytest.mark.parametrize(
    ("cards", "unit"), [({"BUNIT": "electron"}, "adu"), ({}, "electron"), ({"BUNIT": "e-"}, "adu")]
)
def test_electrons_and_a_gain_contradict_each_other(cards, unit, gain):
    assert refusal(lambda: check(cards, gain, unit=unit)) == (
        f"its unit is electron, yet cosmic_rays: gain is {gain:g} e-/adu; set gain to 1, or correct BUNIT"
    )


@pytest.mark.parametrize(
    ("cards", "gain", "unit"),
    [
        ({"BUNIT": "electron"}, 1, "adu"),
        ({"BUNIT": "electron"}, 1.0, "adu"),
        ({}, 1, "electron"),
        ({"BUNIT": " "}, 1, "electron"),
        ({"BUNIT": "adu"}, 0.5, "electron"),
        ({"BUNIT": "adu"}, 2.5, "electron"),
        ({}, 2.5, "adu"),
        ({}, 0.5, "adu"),
        ({"BUNIT": None}, 0.5, "adu"),
    ],
)
def test_all_else_is_taken(cards, gain, unit):
    check(cards, gain, unit=unit)


def test_a_name_of_the_configuration_never_changes_what_adu_and_electron_mean():
    names = {"adu": "electron", "electron": "adu", "Photons ": "electron"}
    check({"BUNIT": "ADU"}, 2.5, unit_names=names)
    for said in ("electron", "photons"):
        assert "its unit is electron" in refusal(lambda said=said: check({"BUNIT": said}, 2.5, unit_names=names))


def test_an_unknown_unit_is_refused_with_the_remedy():
    assert refusal(lambda: check({"BUNIT": "Jy"}, 1)) == (
        "BUNIT is 'Jy', expected adu or electron, or one of them per second; convert the frame, or say in unit_names "
        "what it means"
    )


@pytest.mark.parametrize(
    ("type_", "cards", "problem", "expected"),
    [
        ("DARK", {"EXPTIME": 30}, "", ""),
        ("DARK", {}, "", "no EXPTIME or EXPOSURE in the header"),
        ("DARK", {"EXPTIME": 0}, "", "EXPTIME is 0, expected an exposure above 0 s"),
        ("DARK", {}, "is truncated", "is truncated"),
        ("DARK", {"EXPTIME": 30}, "is truncated", "is truncated"),
        ("LIGHT", {}, "", ""),
        ("FLAT", {"EXPTIME": 0}, "", ""),
    ],
)
def test_only_a_dark_needs_an_exposure(type_, cards, problem, expected):
    files = {"a.fits": {"shape": [64, 80], "cards": {"IMAGETYP": type_} | cards, "problem": problem}}
    (found,) = types.frames(files, validated({}))
    assert found.problem.startswith(expected)
    assert bool(found.problem) == bool(expected)


def test_the_gain_of_a_dark_makes_electrons_of_rates_too():
    config = validated({"make_dark_mask": {"gain": "GAIN"}})
    cards = {"GAIN": 3.0, "EXPTIME": 20.0}
    assert quantities.gain_of(cards, config) == 3
    assert quantities.gain_of(cards | {"BUNIT": "adu/s"}, config) == 60
    auto = validated({"make_dark_mask": {"gain": "auto"}})
    assert quantities.gain_of(cards | {"EGAIN": 2.0}, auto) == 2
    assert refusal(quantities.gain_of, cards, auto).startswith(
        "auto finds no gain in the header, expected a number of e-"
    )
