"""The configuration: complete, checked, and explained in one line per problem."""

import copy
import inspect
import re

import ccdproc
import numpy as np
import pytest
import yaml
from astropy.io import fits
from conftest import CHECKOUT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from snakemake.cli import parse_config

from lightmask.fits.checksums import write
from lightmask.fits.hdus import image_hdu
from lightmask.fits.headers import Header
from lightmask.night import configuration, matching
from lightmask.night.configuration import (
    OF_ASTROSCRAPPY,
    OF_LACOSMIC,
    as_given,
    merged,
    of_run,
    preset_text,
    schema,
    validated,
)

CONFIG_FILE = CHECKOUT / "config.yaml"
OWN_KEYS = {"preset", "detector", "variant"}
NOT_CONFIGURABLE = {"ccd", "pssl", "verbose", "gain_apply", "inbkg", "invar"}


def parts(rule, where=""):
    """Walk all properties of a schema, with their dotted names."""
    for key, part in rule.get("properties", {}).items():
        yield f"{where}{key}", part
        yield from parts(part, f"{where}{key}.")


def problems_of(config):
    with pytest.raises(ValueError, match=r"^configuration: ") as caught:
        validated(config)
    return str(caught.value).splitlines()


def nested(where, value):
    """Make a configuration that sets one dotted key."""
    for key in reversed(where.split(".")):
        value = {key: value}
    return value


OF_CAMERAS = {"match.flat", "match.dark", "match.temperature", "table_keywords.filter"}
"""Keys whose defaults are completed by what is known of cameras."""
STANDS_FOR = {"make_dark_mask.gain": 1.0, "make_dark_mask.exposure": ["EXPTIME", "EXPOSURE"]}


def test_a_null_stands_for_the_value_of_another_key():
    config = validated({"cosmic_rays": {"gain": "EGAIN"}, "table_keywords": {"exposure": ["ITIME"]}})
    assert config["make_dark_mask"]["gain"] == "EGAIN"
    assert config["make_dark_mask"]["exposure"] == ["ITIME"]
    assert validated(config) == config


@pytest.mark.parametrize("where", [where for where, _ in parts(schema())])
def test_every_key_has_a_default_that_is_filled_in(where):
    part = dict(parts(schema()))[where]
    value = validated({})
    for key in where.split("."):
        value = value[key]
    if "properties" in part:
        assert set(value) == set(part["properties"])
    elif where in OF_CAMERAS:
        assert value[: len(part["default"])] == part["default"] and len(value) > len(part["default"])
    else:
        assert value == (STANDS_FOR[where] if part["default"] is None and where in STANDS_FOR else part["default"])


@pytest.mark.parametrize(("where", "part"), list(parts(schema())))
def test_every_key_is_described_and_closed(where, part):
    assert part["description"].strip()
    assert "default" in part or "properties" in part
    if part.get("type") == "object":
        assert part["additionalProperties"] is False or isinstance(part["additionalProperties"], dict)


def test_a_unit_name_that_is_no_text_is_told():
    assert problems_of({"unit_names": {1: "adu"}}) == [
        "configuration: unit_names: found 1; expected text; put it in quotes"
    ]


def test_defaults_are_valid_themselves():
    assert validated(validated({})) == validated({})


def test_shipped_configuration_is_valid():
    config = yaml.safe_load(CONFIG_FILE.read_text(encoding="utf-8"))
    assert validated(config)["frames"] == config["frames"]


@pytest.mark.parametrize("empty", [None, {}, {"cosmic_rays": None}, {"cosmic_rays": {}, "match": None}])
def test_empty_sections_mean_defaults(empty):
    assert validated(empty) == validated({})


def test_given_values_stand_beside_defaults():
    config = validated({"cosmic_rays": {"sigclip": 4.5}, "masked": ["cosmic"]})
    assert config["cosmic_rays"] == validated({})["cosmic_rays"] | {"sigclip": 4.5}
    assert config["masked"] == ["cosmic"]


@pytest.mark.parametrize(
    ("where", "value", "expected"),
    [
        ("frames", 5, "text"),
        ("frames", None, "text"),
        ("frames", ["a"], "text"),
        ("frames", "", "non-empty"),
        ("frame_type.keywords", "IMAGETYP", "list"),
        ("frame_type.keywords", [], "non-empty"),
        ("frame_type.light", [1], "text"),
        ("match.flat", {"FILTER": True}, "list"),
        ("table_keywords.filter", 3, "list"),
        ("required_masks", ["flat", "bias"], "flat, dark"),
        ("required_masks", ["flat", "flat"], "non-unique"),
        ("masked", ["cosmik"], "cosmic"),
        ("masked", "cosmic", "list"),
        ("unit", "photon", "adu, electron"),
        ("unit_names", {"DN": "photon"}, "adu, electron"),
        ("cosmic_rays", 3, "section"),
        ("cosmic_rays", "sigclip", "section"),
        ("cosmic_rays.detector", "deepcr", "ccdproc"),
        ("cosmic_rays.gain", 0, "more than 0"),
        ("cosmic_rays.satlevel", 0, "more than 0"),
        ("cosmic_rays.gain", True, "a number or text"),
        ("cosmic_rays.gain", None, "a number or text"),
        ("cosmic_rays.gain", "", "non-empty"),
        ("cosmic_rays.gain", float("nan"), "number"),
        ("cosmic_rays.satlevel", float("inf"), "finite"),
        ("cosmic_rays.readnoise", -1, "at least 0"),
        ("cosmic_rays.sigclip", "high", "a number"),
        ("cosmic_rays.sigclip", 0, "more than 0"),
        ("cosmic_rays.niter", 0, "at least 1"),
        ("cosmic_rays.niter", 2.5, "a whole number"),
        ("cosmic_rays.niter", "four", "a whole number"),
        ("cosmic_rays.sepmed", 1, "true or false"),
        ("cosmic_rays.sepmed", "maybe", "true or false"),
        ("cosmic_rays.fsmode", "mean", "median, convolve"),
        ("limits.noise", [1], "expected 2 numbers: the least, and the most"),
        ("limits.noise", [1, 2, 3], "expected 2 numbers: the least, and the most"),
        ("limits.noise", [2, 1], "the least first"),
        ("limits.event_rate", 3, "list"),
        ("sky", "AUTO", "a number, or auto"),
        ("sky", -1, "at least 0"),
        ("most_masked", 2, "at most 1"),
        ("remarks", "loud", "report, fail"),
        ("cosmic_rays.psfk", 3, "list"),
        ("cosmic_rays.psfk", [["a"]], "a number"),
        ("cosmic_rays.psfk", [[1, 2], [3]], "rows"),
        ("cosmic_rays.psfsize", 6, "odd"),
    ],
)
def test_a_wrong_value_is_told_with_key_finding_and_expectation(where, value, expected):
    (line,) = problems_of(nested(where, value))
    assert line.startswith(f"configuration: {where}")
    inner = value
    while isinstance(inner, list | dict) and inner and f"found {inner!r}" not in line:
        inner = list(inner.values() if isinstance(inner, dict) else inner)[-1]
    assert f"found {inner!r}" in line
    assert expected in line


@pytest.mark.parametrize(
    ("config", "key", "meant"),
    [
        ({"frame": "a"}, "frame", "frames"),
        ({"cosmic_rays": {"sigclp": 5}}, "cosmic_rays.sigclp", "sigclip"),
        ({"frame_type": {"lights": ["a"]}}, "frame_type.lights", "light"),
        ({"match": {"flats": []}}, "match.flats", "flat"),
        ({"table_keywords": {"filters": []}}, "table_keywords.filters", "filter"),
    ],
)
def test_a_misspelt_key_is_told_with_what_was_meant(config, key, meant):
    (line,) = problems_of(config)
    assert line == f"configuration: {key}: unknown key; did you mean {meant}?"


@pytest.mark.parametrize("key", ["zzzzzz", 1, (1, 2)])
def test_an_unknown_key_like_no_other_is_told_with_all_that_are_known(key):
    (line,) = problems_of({key: 1})
    assert line == f"configuration: {key}: unknown key; expected one of {', '.join(schema()['properties'])}"


def test_several_problems_are_several_lines():
    lines = problems_of({"frame": "a", "unit": "photon", "cosmic_rays": {"gian": 1, "niter": 0}})
    assert [line.split(": ")[1] for line in lines] == ["cosmic_rays.gian", "cosmic_rays.niter", "frame", "unit"]


def test_a_configuration_that_is_no_section_is_told():
    (line,) = problems_of(["frames"])
    assert "found ['frames']" in line
    assert "expected a section" in line


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("gain", "1.5", 1.5),
        ("gain", "2", 2),
        ("gain", "ESO DET OUT1 CONAD", "ESO DET OUT1 CONAD"),
        ("gain", "true", "true"),
        ("sigclip", "4.5", 4.5),
        ("satlevel", "5e4", 5e4),
        ("niter", "3", 3),
        ("sepmed", "false", False),
        ("sepmed", "True", True),
        ("fsmode", "convolve", "convolve"),
    ],
)
def test_text_from_the_command_line_is_read_as_the_key_wants_it(key, text, value):
    found = validated({"cosmic_rays": {key: text}})["cosmic_rays"][key]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "folder", ["2024-01-05", "12", "true", "a: b: c", "{night}", "{night", "[1", "%data", "@home", "'tis", '"q', "*n"]
)
def test_text_stays_as_it_is_where_text_is_wanted(folder):
    assert validated({"frames": folder})["frames"] == folder


def test_the_input_is_not_changed():
    config = {"frames": "a", "cosmic_rays": {"gain": "1.5", "sigclip": 4}, "match": None, "masked": ["flat"]}
    before = copy.deepcopy(config)
    validated(config)
    assert config == before


def test_detection_has_the_names_and_defaults_of_ccdproc():
    theirs = inspect.signature(ccdproc.cosmicray_lacosmic).parameters
    expected = {name: p.default for name, p in theirs.items() if name not in NOT_CONFIGURABLE}
    ours = {key: value for key, value in validated({})["cosmic_rays"].items() if key not in OWN_KEYS}
    assert ours == expected | {"readnoise": 10, "sigclip": 8}


OF_TRACE = {"detector": "trace", "gain": "auto", "readnoise": "auto", "satlevel": "auto"}


def test_the_chapter_is_the_default_and_best_is_trace_with_what_headers_say():
    chapter, best = (validated({"cosmic_rays": {"preset": name}}) for name in ("chapter", "best"))
    assert chapter == validated({}) == validated({"cosmic_rays": None})
    differing = {key for key in best["cosmic_rays"] if best["cosmic_rays"][key] != chapter["cosmic_rays"][key]}
    assert differing == {"preset", *OF_TRACE} and best["sky"] == "auto" and chapter["sky"] == 0
    assert {key: best["cosmic_rays"][key] for key in OF_TRACE} == OF_TRACE
    assert [preset_text(each) for each in (chapter, best)] == ["chapter", "best"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cosmic_rays": {"gain": 2.0}}, "best, with other gain"),
        ({"sky": 12}, "best, with other sky"),
        ({"cosmic_rays": {"detector": "lightmask", "sigclip": 5}}, "best, with other detector, sigclip"),
    ],
)
def test_a_key_counts_before_the_preset(changes, text):
    found = validated(merged({"cosmic_rays": {"preset": "best"}}, changes))
    for key, value in changes.get("cosmic_rays", {}).items():
        assert found["cosmic_rays"][key] == value
    assert found["sky"] == changes.get("sky", "auto")
    assert preset_text(found) == text


@pytest.mark.parametrize("preset", ["chapter", "best"])
@pytest.mark.parametrize("detector", ["lightmask", "trace", "ccdproc"])
@pytest.mark.parametrize("variant", [None, "original"])
def test_a_run_inside_a_job_has_the_same_configuration(preset, detector, variant):
    """It is given what the outer run has made of it, and checks it again."""
    given = {"preset": preset, "detector": detector} | ({"variant": variant} if variant else {})
    if variant and detector != "lightmask":
        return
    complete = validated({"cosmic_rays": given, "repeats": "auto"})
    assert validated(as_given(complete)) == complete


@pytest.mark.parametrize("key", OF_LACOSMIC)
@pytest.mark.parametrize("preset", [{"preset": "best"}, {"detector": "trace"}])
def test_a_key_that_the_detector_does_not_use_is_refused(preset, key):
    value = validated({})["cosmic_rays"][key]
    with pytest.raises(
        ValueError, match=rf"^configuration: cosmic_rays.{key}: found .* the detector trace does not use"
    ):
        validated({"cosmic_rays": {**preset, key: value}})
    assert validated({"cosmic_rays": {key: value}})["cosmic_rays"][key] == value


@pytest.mark.parametrize("key", OF_ASTROSCRAPPY)
def test_a_key_that_the_original_does_not_use_is_refused(key):
    value = validated({})["cosmic_rays"][key]
    with pytest.raises(ValueError, match=rf"cosmic_rays.{key}: found .* the variant original does not use it"):
        validated({"cosmic_rays": {"variant": "original", key: value}})
    found = validated({"cosmic_rays": {"variant": "original", "sigclip": 5, "niter": 9}})["cosmic_rays"]
    assert (found["variant"], found["sigclip"], found["niter"]) == ("original", 5, 9)


def test_the_other_detector_has_no_original():
    with pytest.raises(
        ValueError, match=r"cosmic_rays.variant: found 'original'; expected astroscrappy, as the detector"
    ):
        validated({"cosmic_rays": {"variant": "original", "detector": "ccdproc"}})


@pytest.mark.parametrize("preset", ["Best", "", 1, None, ["best"], {"best": 1}])
def test_an_unknown_preset_is_refused(preset):
    with pytest.raises(ValueError, match=r"configuration: cosmic_rays.preset: found .*; expected one of chapter, best"):
        validated({"cosmic_rays": {"preset": preset}})


NUMBERS = {where: part for where, part in parts(schema()) if {"number", "integer"} & {*np.atleast_1d(part.get("type"))}}
WHOLE = [where for where, part in NUMBERS.items() if "integer" in np.atleast_1d(part["type"])]


def value_at(config, where):
    for key in where.split("."):
        config = config[key]
    return config


@pytest.mark.parametrize("where", NUMBERS)
def test_every_number_has_a_maximum(where):
    most = NUMBERS[where]["maximum"]
    assert value_at(validated(nested(where, most)), where) == most
    for value in (2 * most + 1, 1e290, 10**290):
        assert any(
            line.startswith(f"configuration: {where}: found ") and line.endswith(f"; expected at most {most}")
            for line in problems_of(nested(where, value))
        )


@pytest.mark.parametrize("where", NUMBERS)
@pytest.mark.parametrize("value", [10**400, -(10**400), 16**5000], ids=["large", "negative", "too long to print"])
def test_a_number_that_no_float_can_hold_is_told(where, value):
    (line,) = problems_of(nested(where, value))
    assert line == f"configuration: {where}: found a number of more than 300 digits; expected a smaller one"


@given(st.sampled_from(WHOLE), st.integers(0, 49), st.sampled_from([float, "{}".format, "{}.0".format, "{}e0".format]))
@example("cosmic_rays.niter", 4, float)
@example("frames_per_job", 2, float)
def test_a_whole_number_is_an_int_however_it_is_written(where, number, written):
    number = 2 * number + 1  # the side of a kernel is odd
    found = value_at(validated(nested(where, written(number))), where)
    assert found == number and type(found) is int


@pytest.mark.parametrize("where", WHOLE)
@pytest.mark.parametrize("value", [1e23, "1e23", "1.0e+23", 1e300, "1e300", "9" * 1000, 2.5, "2.5", "inf", "1e400"])
def test_what_is_no_whole_number_or_absurdly_large_is_told(where, value):
    assert problems_of(nested(where, value))[0].startswith(f"configuration: {where}: found ")


def test_a_null_can_be_given_on_the_command_line():
    config = parse_config(["make_dark_mask={linearity: null, gain: null}", "cosmic_rays={psfk: null}"])
    assert validated(config) == validated({"make_dark_mask": {"linearity": None}})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"sigclip": 5}, "sigclip: unknown key; write cosmic_rays={sigclip: 5} (in a file cosmic_rays: {sigclip: 5})"),
        (
            {"cosmic_rays.sigclip": 5},
            "cosmic_rays.sigclip: unknown key; write cosmic_rays={sigclip: 5} (in a file cosmic_rays: {sigclip: 5})",
        ),
        (
            {"gain": "EGAIN"},
            "gain: unknown key; write make_dark_mask={gain: EGAIN} or cosmic_rays={gain: EGAIN} "
            "(in a file make_dark_mask: {gain: EGAIN})",
        ),
        ({"grow": {"niter": 3}}, "grow.niter: unknown key; write cosmic_rays={niter: 3}"),
        ({"cosmic_rays": {"unit": "adu"}}, "cosmic_rays.unit: unknown key; write unit=adu"),
        ({"psfk": [[1]]}, "psfk: unknown key; write cosmic_rays={psfk: VALUE}"),
    ],
)
def test_a_key_at_the_wrong_place_is_told_with_the_right_one(config, told):
    (line,) = problems_of(config)
    assert line.startswith(f"configuration: {told}")


@given(st.sampled_from([where for where, part in parts(schema()) if "properties" not in part]))
def test_every_key_is_named_where_its_own_name_or_its_dotted_one_stands_at_the_top(where):
    section, _, last = where.rpartition(".")
    known = schema()["properties"]
    for key in {where, last} - known.keys():
        (line,) = problems_of({key: 1})
        assert f"{section}={{{last}: 1}}" in line


FOLDERS = [
    "20250530",
    "2025_05_30",
    "1e5",
    "-5",
    "+5",
    "007",
    "1.50",
    "True",
    "False",
    "nan",
    "inf",
    "-inf",
    ".5",
    "1.",
    "2025-05-30",
    "on",
    "off",
    "0x10",
    "0o7",
    "12:30:45",
    "~",
    "null",
    "2025-05-30T12:00:00Z",
]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_found_whose_name_is_read_as_something_else(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / "another").mkdir()
    (tmp_path / "1234567").write_text("no folder")
    assert of_run(parse_config([f"frames={name}"]), tmp_path)["frames"] == name
    in_file = yaml.load(f"frames: {name}", yaml.FullLoader)
    if in_file["frames"] is not None:
        assert of_run(in_file, tmp_path)["frames"] == name


def readings(name):
    """Read a name as Snakemake's own code does."""
    return [repr(parse_config([f"frames={name}"])["frames"]), repr(yaml.load(name, yaml.FullLoader))]


names = st.text("01_-.einfaTru", min_size=1, max_size=4).filter(lambda name: name.strip("-."))


@settings(max_examples=200, deadline=None)
@given(st.lists(names, min_size=1, max_size=5, unique=True), st.data())
@example(["1", "01", "a"], None)
@example(["1e1", "10"], None)
def test_of_any_folders_the_one_is_taken_that_is_meant_or_all_are_named(tmp_path_factory, folders, data):
    work = tmp_path_factory.mktemp("work")
    for name in folders:
        (work / name).mkdir()
    name = data.draw(st.sampled_from(folders)) if data else folders[0]
    config = parse_config([f"frames={name}"])
    meant = sorted(other for other in folders if repr(config["frames"]) in readings(other))
    if isinstance(config["frames"], str) or meant == [name]:
        assert of_run(config, work)["frames"] == name
    else:
        with pytest.raises(ValueError, match=re.escape(f"the folders {', '.join(meant)} are read so")):
            of_run(config, work)
    assert of_run(parse_config([f"frames=./{name}"]), work)["frames"] == f"./{name}"


@pytest.mark.parametrize("config", [{}, {"frames": None}, {"unit": "adu"}])
def test_a_run_must_be_given_a_folder(tmp_path, config):
    with pytest.raises(ValueError, match=r"^configuration: frames: found no folder; expected one; write --config fr"):
        of_run(config, tmp_path)


def test_a_run_without_a_folder_is_told_of_other_faults_too(tmp_path):
    with pytest.raises(ValueError, match=r"(?s)frames: found no folder.*\nconfiguration: unit: found 'x'"):
        of_run({"unit": "x"}, tmp_path)


@pytest.mark.parametrize(
    "where",
    [
        w
        for w, p in parts(schema())
        if p.get("type") == "array" and ("keywords" in w or w.startswith(("match.", "table")))
    ],
)
@pytest.mark.parametrize("keyword", ["Œ", "A=B", " A", "A  B", "A\nB", "A\n", "END", "comment", "HISTORY", "A" * 67])
def test_what_is_no_keyword_of_a_header_is_told(where, keyword):
    if where == "table_keywords":
        return
    lines = problems_of(nested(where, ["IMAGETYP", keyword]))
    assert lines[0].startswith(f"configuration: {where}.1: found ")


@pytest.mark.parametrize("key", ["gain", "readnoise", "satlevel"])
def test_a_keyword_in_place_of_a_number_must_be_one(key):
    assert validated({"cosmic_rays": {key: "ESO DET OUT1 CONAD"}})["cosmic_rays"][key] == "ESO DET OUT1 CONAD"
    (line,) = problems_of({"cosmic_rays": {key: "Verstärkung"}})
    assert line.startswith(f"configuration: cosmic_rays.{key}: found 'Verstärkung'; expected a")


said = st.text(st.sampled_from("ab 'Œß\n\t=/") | st.characters(codec="utf-8"), min_size=1, max_size=75)


@given(
    st.sampled_from(["flat", "dark"]), st.sampled_from(["IMAGETYP", "ESO DPR TYPE", "Typ"]), st.lists(said, min_size=1)
)
@example("flat", "IMAGETYP", ["Maske für Flats"])
@example("flat", "IMAGETYP", ["Maske für Flats", "Flat mask"])
@example("dark", "IMAGETYP", ["Maske für Darks", "Darkmaske"])
@example("dark", "ESO DPR TYPE", ["x" * 60, "y" * 50])
def test_what_a_made_mask_is_called_is_read_back_or_refused(tmp_path_factory, kind, keyword, meanings):
    config = {"frame_type": {"keywords": [keyword], f"{kind}_mask": meanings}}
    try:
        complete = validated(config)
    except ValueError as error:
        assert f"configuration: frame_type.{kind}_mask: found " in str(error)  # noqa: PT017 - either may be
        only_compared = validated({**config, "static_masks": {kind: "folder"}})
        assert only_compared["frame_type"][f"{kind}_mask"] == meanings
        return
    header = Header()
    for name, value in matching.type_cards(kind, complete).items():
        header.set(name, value)
    path = tmp_path_factory.mktemp("mask") / "mask.fits"
    write([image_hdu(np.zeros((2, 2), np.uint8), header)], path)
    cards = fits.getheader(path)
    assert str(cards[keyword]).strip().casefold() in [meaning.strip().casefold() for meaning in meanings]
    if keyword != "IMAGETYP":
        assert cards["IMAGETYP"] == f"{kind} mask"


def test_light_frames_may_be_called_anything():
    config = validated({"frame_type": {"light": ["Œuvre"], "flat": ["Flachfeld ☀"]}})
    assert config["frame_type"]["light"] == ["Œuvre"]


@pytest.mark.parametrize("keyword", ["A/B", "$(x)", "Typ."])
def test_the_first_keyword_of_types_must_be_one_that_can_be_written(keyword):
    lines = problems_of({"frame_type": {"keywords": [keyword, "IMAGETYP"]}})
    assert {line.split(": ")[1] for line in lines} == {"frame_type.keywords"}
    assert validated({"frame_type": {"keywords": ["IMAGETYP", keyword]}})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], {}),
        (["unit=adu", "pictures=false"], {"unit": "adu", "pictures": False}),
        (["frames_per_job=3", "n=1e3"], {"frames_per_job": 3, "n": 1000.0}),
        (["cosmic_rays={gain: GAIN, niter: 2}"], {"cosmic_rays": {"gain": "GAIN", "niter": 2}}),
        (["frames=a=b"], {"frames": "a=b"}),
        (["object="], {"object": None}),
        (["unit=adu", "unit=electron"], {"unit": "electron"}),
    ],
)
def test_settings_are_read_as_on_the_command_line_of_the_workflow(settings, expected):
    assert configuration.parsed(settings) == expected


@pytest.mark.parametrize("setting", ["unit", "unit=[", ""])
def test_a_setting_of_another_form_is_refused(setting):
    with pytest.raises(ValueError, match=r"^--config: found .*; expected key=value$"):
        configuration.parsed([setting])


def test_later_settings_count_section_by_section():
    config = {"a": 1, "s": {"b": 2, "deep": {"c": 3, "d": 4}}, "t": {"e": 5}}
    merged = configuration.merged(config, {"a": 9, "s": {"deep": {"c": 8}, "new": 7}, "t": 6, "u": {"f": 1}})
    assert merged == {"a": 9, "s": {"b": 2, "deep": {"c": 8, "d": 4}, "new": 7}, "t": 6, "u": {"f": 1}}
    assert config == {"a": 1, "s": {"b": 2, "deep": {"c": 3, "d": 4}}, "t": {"e": 5}}


def test_off_is_a_word_although_yaml_takes_it_for_false():
    assert validated({"noise_check": yaml.safe_load("off")})["noise_check"] == "off"


@pytest.mark.parametrize("name", ["counts/s", "my e- per second", "Jy", "mag", "erg / (s cm2)", "electron / s", "m"])
def test_a_unit_name_is_another_name_for_the_same_quantity(name):
    (problem,) = problems_of({"unit_names": {name: "adu"}})
    assert problem.startswith(f"configuration: unit_names: found {name!r}; expected another name for adu or electron; ")


@pytest.mark.parametrize("name", ["my counts", "ADUs", "photon", "`touch x`", "sADU", ""])
def test_other_names_of_units_are_taken(name):
    assert validated({"unit_names": {name: "adu"}})["unit_names"] == {name: "adu"}


def test_what_is_inherited_is_chosen_by_cameras_that_are_known():
    found = validated({"inherit": {"hst": [16], "Default": []}, "cameras": [{"name": "Mine", "header": {"A": "b"}}]})
    assert found["inherit"] == {"HST": [16], "default": []}
    (problem,) = problems_of({"inherit": {"Hubble": [16]}})
    assert problem.startswith("configuration: inherit: found 'Hubble'; expected default or the name of a camera: ")
