"""The configuration: complete, checked, and explained in one line per problem."""

import copy
import inspect
from pathlib import Path

import ccdproc
import pytest
import yaml

from lightmask.configuration import schema, validated

CONFIG_FILE = Path(__file__).parent.parent / "config.yaml"
OWN_KEYS = {"detector", "known_bad_pixels"}
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
        ("cosmic_rays.known_bad_pixels", "use", "ignore, mask"),
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
