"""How images were read out, as headers say it: numbers, units, amplifiers, sections and colours."""

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from lightmask.errors import FrameError
from lightmask.night import quantities
from lightmask.night.cameras import camera_of
from lightmask.night.configuration import validated
from lightmask.night.readout import _fit, has_colours, readout, section

SHAPE = (60, 80)
CONFIG = validated({})


def read_out(header=None, own=None, shape=SHAPE, unit="adu", config=None, **settings):
    """Return the readout of an image; settings are those of cosmic_rays."""
    whole = validated({"cosmic_rays": settings, "unit": unit, **(config or {})})
    cards = fits.Header(header or {})
    return readout(whole, cards, cards if own is None else fits.Header(own), shape)


def one(header=None, **settings):
    (amplifier,) = read_out(header, **settings).amplifiers
    return amplifier.gain, amplifier.readnoise, amplifier.satlevel


def refusal(header=None, **settings):
    with pytest.raises(FrameError) as caught:
        read_out(header, **settings)
    text = str(caught.value)
    assert "; " in text, "the remedy stands behind a semicolon"
    assert "\n" not in text
    return text


# --- numbers ----------------------------------------------------------------------------------------


def test_numbers_stay_as_they_are():
    assert one() == (1, 10, 65535)
    assert one(gain=2.5, readnoise=3, satlevel=70_000) == (2.5, 3, 70_000)


def test_keywords_are_replaced_by_their_values_and_levels_become_electrons():
    header = {"EGAIN": 1.5, "HIERARCH ESO DET OUT1 RON": 9, "SAT": 40000.0}
    assert one(header, gain="EGAIN", readnoise="ESO DET OUT1 RON", satlevel="SAT") == (1.5, 9, 60_000)


def test_units_can_be_said():
    header = {"ADUPERE": 0.5, "NOISE": 4.0, "SAT": 40000.0}
    asked = (("ADUPERE", "adu/e-"), ("NOISE", "adu"), ("SAT", "electron"))
    gain, noise, level = ({"value": keyword, "unit": unit} for keyword, unit in asked)
    assert one(header, gain=gain, readnoise=noise, satlevel=level) == (2, 8, 40_000)
    assert one(gain=2, satlevel={"value": 30_000, "unit": "adu"}) == (2, 10, 60_000)
    assert one(gain=2, satlevel={"value": 30_000, "unit": "electron"}) == (2, 10, 30_000)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"A": 0.0, "B": 2.0}, 2.0),
        ({"A": "", "B": 2.0}, 2.0),
        ({"B": 2.0}, 2.0),
        ({"A": 3.0, "B": 2.0}, 3.0),
    ],
)
def test_of_a_list_the_first_that_says_something_counts(header, expected):
    assert one(header, gain=["A", "B"])[0] == expected


@pytest.mark.parametrize("parameter", ["gain", "readnoise", "satlevel"])
@pytest.mark.parametrize(
    ("header", "found"), [({}, "no KEY"), ({"KEY": "1.5"}, "'1.5'"), ({"KEY": True}, "True"), ({"KEY": None}, "KEY")]
)
def test_a_keyword_that_holds_no_number_is_refused(parameter, header, found):
    text = refusal(header, **{parameter: "KEY"})
    assert found in text
    assert f"cosmic_rays: {parameter}" in text
    assert "expected a number" in text
    assert " at 0x" not in text


@pytest.mark.parametrize(("parameter", "value"), [("gain", 0), ("gain", -1.5), ("readnoise", -0.1), ("satlevel", 0)])
def test_a_number_out_of_range_is_refused(parameter, value):
    assert f"KEY is {value!r}" in refusal({"KEY": value}, **{parameter: "KEY"})


def test_a_read_noise_of_zero_is_allowed():
    assert one({"KEY": 0}, readnoise="KEY")[1] == 0


# --- units ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["adu", "ADU", " Adu ", "DN", "counts", "Count", "ct"])
def test_counts_take_any_gain(unit):
    assert one({"BUNIT": unit}, unit="electron", gain=1.5)[0] == 1.5


@pytest.mark.parametrize("unit", ["electron", "ELECTRONS", "e-", " Electron"])
def test_electrons_take_no_gain_but_one(unit):
    assert one({"BUNIT": unit})[0] == 1
    assert one({"BUNIT": unit, "EGAIN": 2.0}, gain="auto")[0] == 1
    assert "its unit is electron" in refusal({"BUNIT": unit}, gain=1.5)
    assert "its unit is electron" in refusal({"BUNIT": unit, "EGAIN": 2.0}, gain="EGAIN")


def test_a_level_in_adu_of_a_frame_in_electrons_needs_the_gain_that_was():
    cards = {"BUNIT": "electron", "SATURATE": 40_000.0}
    assert one(cards | {"EGAIN": 2.0}, satlevel="SATURATE")[2] == 80_000
    assert "no gain is known" in refusal(cards, satlevel="SATURATE")
    assert one(cards, satlevel={"value": "SATURATE", "unit": "electron"})[2] == 40_000


def test_the_configured_unit_counts_where_the_header_has_none():
    assert "its unit is electron" in refusal(unit="electron", gain=1.5)
    assert one({"BUNIT": "adu"}, unit="electron", gain=1.5)[0] == 1.5


@pytest.mark.parametrize("unit", ["Jy", "mag", "7", "electrons/m", "Jy/s", "/s", "s-1", "electron/s/s"])
def test_an_unknown_unit_is_refused(unit):
    assert f"BUNIT is {unit!r}" in refusal({"BUNIT": unit, "EXPTIME": 10.0})


@pytest.mark.parametrize("unit", ["", None])
def test_a_blank_unit_is_as_good_as_none(unit):
    assert one({"BUNIT": unit}) == one()


def test_unit_names_can_be_configured():
    config = {"unit_names": {" PhotoElectron ": "electron"}}
    assert "its unit is electron" in refusal({"BUNIT": "photoelectron"}, gain=2, config=config)


SECONDS = ["/s", " / s", "/sec", "/SECOND", " s-1", " s**-1", " s^-1", ".s-1", " s^(-1)", " per second", "/seconds"]


@given(
    counts=st.sampled_from(["adu", "counts", "DN", "ct"]) | st.sampled_from(["electron", "ELECTRONS", "e-"]),
    end=st.sampled_from(SECONDS),
    exposure=st.floats(0.1, 1e4),
)
def test_rates_are_multiplied_by_the_exposure_time(counts, end, exposure):
    found = read_out({"BUNIT": counts + end, "EXPTIME": exposure})
    assert found.exposure == exposure
    assert found.amplifiers[0].gain == exposure


@pytest.mark.parametrize(
    ("unit", "style"),
    [
        *((units.adu / units.s, style) for style in ("fits", "generic", "vounit")),
        *((units.ct / units.s, style) for style in ("fits", "generic", "vounit")),
        (units.electron / units.s, "generic"),
    ],
)
def test_rates_as_astropy_writes_them(unit, style):
    assert quantities.unit_of({"BUNIT": unit.to_string(style)}, CONFIG).is_rate


def test_a_rate_without_exposure_time_is_refused():
    assert "no EXPTIME or EXPOSURE in the header" in refusal({"BUNIT": "adu/s"})
    assert "EXPTIME is 0.0" in refusal({"BUNIT": "adu/s", "EXPTIME": 0.0})
    assert read_out({"BUNIT": "adu/s", "EXPTIME": 0.0, "EXPOSURE": 3.0}).exposure == 3


def test_the_level_of_a_rate_is_that_of_the_raw_frame():
    cards = {"BUNIT": "counts/s", "EXPTIME": 100.0, "GAIN": 2.0, "SATURATE": 50_000.0}
    assert one(cards, gain="GAIN", satlevel="SATURATE") == (200, 10, 100_000)


# --- auto -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cards", "name", "expected"),
    [
        ({"ORIGIN": "LCOGT", "GAIN": 6.2, "RDNOISE": 7.0, "SATURATE": 40_000.0}, "LCO", (6.2, 7, 248_000)),
        ({"SWCREATE": "N.I.N.A. 1.10", "GAIN": 120, "EGAIN": 1.25}, "N.I.N.A.", (1.25, 10, 65535 * 1.25)),
        (
            {"ORIGIN": "ESO", "HIERARCH ESO DET OUT1 CONAD": 1.1, "HIERARCH ESO DET OUT1 RON": 7.8},
            "ESO",
            (1.1, 7.8, 65535 * 1.1),
        ),
        ({"INSTRUME": "Nickel Direct Camera", "GAIN": 1}, "Nickel", (None, 10, 65535)),
        ({"INSTRUME": "mine", "EGAIN": 3.0, "READNOIS": 4.0}, "", (3, 4, 65535 * 3)),
        ({"INSTRUME": "mine", "GAIN": 100}, "", (None, 10, 65535)),
    ],
)
def test_auto_knows_cameras_and_takes_no_knob_for_a_gain(cards, name, expected):
    assert camera_of(fits.Header(cards))["name"] == name
    assert one(cards, gain="auto", readnoise="auto", satlevel="auto") == pytest.approx(expected)


def test_a_camera_of_the_user_counts_first(tmp_path):
    file = tmp_path / "cameras.yaml"
    file.write_text("- {name: mine, header: {INSTRUME: 'My*'}, gain: [G], gain_unit: adu/e-, readnoise: [R]}\n")
    cards = {"INSTRUME": "my camera", "G": 0.5, "R": 3.0, "EGAIN": 7.0}
    for cameras in (
        str(file),
        [{"name": "mine", "header": {"INSTRUME": "my *"}, "gain": ["G"], "gain_unit": "adu/e-"}],
    ):
        assert one(cards, gain="auto", config={"cameras": cameras})[0] == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- {name: x}", "an entry without name and header"),
        ("- {name: x, header: {A: b}, gains: [G]}", "the key gains"),
        ("- {name: x, header: {A: 3}}", "a pattern that is no text"),
        ("- {name: x, header: {A: b}, gain: G}", "gain: 'G'"),
        ("text", "'text'"),
        ("[", "cannot be read"),
    ],
)
def test_a_file_of_cameras_that_is_wrong_is_reported(tmp_path, text, found):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ValueError, match="configuration: cameras: ") as caught:
        validated({"cameras": str(tmp_path / "c.yaml")})
    assert found in str(caught.value)


# --- sections ---------------------------------------------------------------------------------------


@given(ends=st.lists(st.integers(1, 5000), min_size=4, max_size=4), blanks=st.sampled_from(["", " "]))
def test_sections_are_read_as_they_are_written(ends, blanks):
    x1, x2, y1, y2 = ends
    rows, columns = section(f"[{x1}:{x2},{blanks}{y1}:{y2}]", SHAPE)
    assert (columns.start + 1, columns.stop) == (min(x1, x2), max(x1, x2))
    assert (rows.start + 1, rows.stop) == (min(y1, y2), max(y1, y2))


@pytest.mark.parametrize("text", ["UNKNOWN", "", None, 7, "[1:2]", "1:2;3:4", "[a:b,c:d]"])
def test_what_is_no_section_is_none(text):
    assert section(text, SHAPE) is None


def window(header, **keywords):
    found = read_out(header, **keywords)
    rows, columns = found.window
    return (rows.start, rows.stop, columns.start, columns.stop), found.remarks


WHOLE = (0, 60, 0, 80)


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"DATASEC": "[5:76,1:60]"}, (0, 60, 4, 76)),
        ({"TRIMSEC": "[5:76,3:58]"}, (2, 58, 4, 76)),
        ({"DATASEC": "[5:76,1:60]", "TRIMSEC": "[1:70,3:58]"}, (2, 58, 4, 70)),
        ({"DATASEC": "[1:80,1:60]"}, WHOLE),
        ({"DATASEC": "[9:88,1:60]"}, WHOLE),  # trimmed already: 80 columns, of another image
        ({"DATASEC": "[1:1024,1:1024]"}, WHOLE),  # a part was cut out
        ({"COVER": 8, "DATASEC": "[1:80,1:60]"}, WHOLE),  # trimmed
        ({"COVER": 8, "DATASEC": "[1:72,1:60]"}, (0, 60, 0, 72)),
        ({"COVER": 0}, WHOLE),
        ({"DATASEC": "UNKNOWN"}, WHOLE),
    ],
)
def test_the_window_is_what_shows_the_sky(cards, expected):
    assert window(cards) == (expected, ())
    assert window(cards, config={"sections": "ignore"}) == (WHOLE, ())


@pytest.mark.parametrize(
    ("cards", "expected", "count"),
    [
        ({"COVER": 8}, (0, 60, 0, 72), 1),
        ({"COVER": 8, "ROVER": 2}, (0, 58, 0, 72), 2),
        ({"COVER": 8, "DATASEC": "[1:1024,1:1024]"}, (0, 60, 0, 72), 1),
    ],
)
def test_overscan_that_no_section_confirms_is_left_out_with_a_remark(cards, expected, count):
    found, remarks = window(cards)
    assert found == expected and len(remarks) == count
    assert remarks[0].startswith("COVER is 8, and no DATASEC or TRIMSEC fits the image: its last 8 columns are taken")
    assert window(cards, config={"sections": "ignore"}) == (WHOLE, ())


@pytest.mark.parametrize("text", ["[9:84,1:50]", "[1:20,1:20]", "[-5:70,1:60]"])
def test_a_section_that_does_not_fit_is_remarked(text):
    found, remarks = window({"DATASEC": text})
    assert found == WHOLE
    assert [f"DATASEC is {text}" in remark for remark in remarks] == [True]


def test_sections_of_the_image_count_before_those_of_the_primary_header():
    found = read_out({"DATASEC": "[1:70,1:60]", "TRIMSEC": "[1:40,1:60]"}, own={"DATASEC": "[1:70,1:60]"})
    assert found.window == (slice(0, 60), slice(0, 70))


# --- amplifiers -------------------------------------------------------------------------------------

TWO = {"GAINA": 2.0, "GAINB": 3.0, "RDNOISEA": 5.0, "RDNOISEB": 8.0, "SATURATA": 1000.0, "SATURATB": 2000.0}
BOTH = ((0, 60, 0, 40, 2.0, 5.0, 2000.0), (0, 60, 40, 80, 3.0, 8.0, 6000.0))


def amplifiers(cards, gain="GAIN", readnoise="RDNOISE", satlevel="SATURATE", **keywords):
    found = read_out(cards, gain=gain, readnoise=readnoise, satlevel=satlevel, **keywords).amplifiers
    places = [(each.rows.start, each.rows.stop, each.columns.start, each.columns.stop) for each in found]
    return tuple((*place, each.gain, each.readnoise, each.satlevel) for place, each in zip(places, found, strict=True))


@pytest.mark.parametrize(
    "sections",
    [
        {"DATASECA": "[1:40,1:60]", "DATASECB": "[41:80,1:60]"},
        {"CCDSECA": "[1:40,1:60]", "CCDSECB": "[41:80,1:60]"},
        {"CCDSECA": "[1:41,1:60]", "CCDSECB": "[42:80,1:60]", "LTV1": -1.0, "LTV2": 0.0},
        {
            "DATASECA": "[1007:2030,51:4146]",
            "DATASECB": "[2031:3054,51:4146]",
            "CCDSECA": "[1:40,1:60]",
            "CCDSECB": "[41:80,1:60]",
        },
    ],
)
@pytest.mark.parametrize("gain", ["GAIN", "GAINA", ["GAIN", "GAINA"]])
def test_each_section_has_the_numbers_of_its_amplifier(sections, gain):
    assert amplifiers(TWO | sections, gain=gain) == BOTH


def test_amplifiers_that_leave_out_most_of_the_sky_are_not_used():
    sections = {"DATASECA": "[1:20,1:60]", "DATASECB": "[21:40,1:60]", "DATASEC": "[5:80,1:60]"}
    assert amplifiers(TWO | sections, gain="GAINA") == ((*WHOLE, 2.0, 5.0, 2000.0),)


def test_auto_finds_amplifiers():
    cards = {"INSTRUME": "DECam", "CCDSECA": "[1:40,1:60]", "CCDSECB": "[41:80,1:60]"} | TWO
    assert amplifiers(cards, "auto", "auto", "auto") == BOTH


def test_numbers_of_the_configuration_are_for_all_amplifiers():
    cards = TWO | {"DATASECA": "[1:40,1:60]", "DATASECB": "[41:80,1:60]"}
    assert amplifiers(cards, 1.5, 4, 50_000) == ((*WHOLE, 1.5, 4, 50_000),)


def test_amplifiers_of_the_configuration():
    config = {
        "amplifiers": [
            {"section": "[1:40,1:60]", "gain": 2.0, "readnoise": 5, "satlevel": 2000},
            {"section": "[41:80,*]", "gain": "GAINB", "readnoise": "RDNOISEB", "satlevel": 6000},
        ]
    }
    assert amplifiers(TWO, 1.0, 10, 65535, config=config) == BOTH


@pytest.mark.parametrize(
    "sections",
    [
        ["[1:40,1:60]"],
        ["[1:40,1:60]", "[40:80,1:60]"],
        ["[1:40,1:60]", "[41:81,1:60]"],
        ["[1:40,1:60]", "[41:80;1:60]"],
    ],
)
def test_amplifiers_of_the_configuration_must_cover_the_image(sections):
    config = {"amplifiers": [{"section": text} for text in sections]}
    assert "amplifiers: found" in refusal(config=config)


def test_amplifiers_without_a_place_are_remarked_where_they_differ():
    assert amplifiers(TWO, gain="GAINA") == ((*WHOLE, 2.0, 5.0, 2000.0),)
    found = read_out(TWO, gain="GAINA")
    assert [remark.partition(" ")[0] for remark in found.remarks] == ["GAINA", "RDNOISEA", "SATURATA"]
    alike = {"GAINB": 2.001, "RDNOISEB": 5.0, "SATURATB": 1000.0}
    assert read_out(TWO | alike, gain="GAINA").remarks == ()


def test_what_auto_does_not_find_is_remarked():
    found = read_out({"INSTRUME": "mine", "EGAIN": 1.0}, gain="auto", readnoise="auto", satlevel="auto")
    assert [remark.partition(":")[0] for remark in found.remarks] == ["readnoise", "satlevel"]
    cards = {"INSTRUME": "mine", "EGAIN": 1.0, "RDNOISE": 3.0, "SATURATE": 1000.0}
    assert read_out(cards, gain="auto", readnoise="auto", satlevel="auto").remarks == ()


# --- colours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("keyword", ["BAYERPAT", "COLORTYP"])
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("RGGB", True), ("grbg", True), ("CMYG", True), ("", False), ("NONE", False), ("MONO", False)],
)
def test_colours_are_those_of_a_pattern(keyword, pattern, expected):
    assert has_colours({keyword: pattern}) == expected
    assert not read_out({keyword: pattern}, config={"bayer": "ignore"}).colours


def test_a_pattern_that_is_not_of_two_by_two_is_refused():
    assert "BAYERPAT is 'XTRANS'" in refusal({"BAYERPAT": "XTRANS"})


# --- the measured gain ------------------------------------------------------------------------------


def test_a_measured_gain_makes_levels_electrons():
    found = read_out({"INSTRUME": "mine"}, gain="auto", satlevel={"value": 1000, "unit": "adu"}).measured(2.5)
    assert (found.amplifiers[0].gain, found.amplifiers[0].satlevel) == (2.5, 2500)
    rate = read_out({"BUNIT": "adu/s", "EXPTIME": 10.0}, gain="auto", satlevel={"value": 1000, "unit": "adu"})
    assert rate.measured(25.0).amplifiers[0].satlevel == 2500
    number = read_out({}, gain="auto", satlevel=1000).measured(2.5)
    assert number.amplifiers[0].satlevel == 1000
    assert np.isclose(read_out({"EGAIN": 2.0}, gain="auto").measured(3.0).amplifiers[0].gain, 2)


@pytest.mark.parametrize(
    ("is_of_chip", "covered", "fits_in"), [(True, 85, True), (False, 85, False), (False, 92, True)]
)
def test_sections_of_a_chip_may_leave_out_more_of_an_image(is_of_chip, covered, fits_in):
    window = (slice(0, 100), slice(0, 100))
    parts = [(slice(0, covered), slice(0, 50)), (slice(0, covered), slice(50, 100))]
    assert _fit(parts, (100, 100), window, is_of_chip=is_of_chip) == fits_in
