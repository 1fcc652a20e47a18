"""Check a configuration against the schema, fill in defaults, and say plainly what is wrong."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date
from difflib import get_close_matches
from functools import cache
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmask.messages import printable
from lightmask.night import cameras, matching, quantities

if TYPE_CHECKING:  # it takes long to import, and jobs, which get a checked configuration, need it not
    from jsonschema.exceptions import ValidationError

Config = dict[str, Any]
IN_WORDS = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "a section of keys",
    "null": "null",
}
READERS: dict[str, Callable[[str], Any]] = {
    "integer": lambda text: _whole(float(text)) if set(text) & set(".en") else int(text),
    "number": lambda text: float(text) if set(text) & set(".en") else int(text),
    "boolean": {"true": True, "yes": True, "false": False, "no": False}.__getitem__,
    "null": {"null": None}.__getitem__,
}
NO_FOLDER = (
    "configuration: frames: found no folder; expected one; write --config frames=FOLDER, or `frames: FOLDER` in the "
    "config.yaml of the working directory; --config frames=results/demo masks the demo night"
)
WRITTEN = re.compile(r"[A-Z0-9_-]{1,8}|[A-Z0-9_-]+( [A-Z0-9_-]+)*", re.IGNORECASE)
"""Keywords that the FITS standard and its HIERARCH convention let us write; we read others too."""
LONGEST_FOUND = 200
"""Characters of a value that a message shows."""
MOST_VALUES = 10_000
"""Values of a configuration, with each alias written out."""
GONE = {
    "known_bad_pixels": "take it out: COSMIC is now what is found with and without known bad pixels, SUSPECT what is "
    "found without them only; `masked` says which of the two MASK has"
}
"""Keys that there were once, with what to do about them."""
BEST = {"sky": "auto", "cosmic_rays": dict.fromkeys(("gain", "readnoise", "satlevel"), "auto") | {"detector": "trace"}}
PRESETS: dict[str, Config] = {"chapter": {}, "best": BEST}
"""What is taken where a configuration says nothing, beside the defaults of the schema."""
OF_ASTROSCRAPPY = ("sepmed", "cleantype", "fsmode", "psfmodel", "psffwhm", "psfsize", "psfk", "psfbeta")
"""Keys of cosmic_rays that `variant: original` does not use."""
OF_LACOSMIC = ("variant", "sigclip", "sigfrac", "objlim", "niter", *OF_ASTROSCRAPPY)
"""Keys of cosmic_rays that the detector `trace` does not use."""
DEEPEST = 20
"""Levels of sections and lists inside each other."""


@cache
def schema() -> Config:
    """Read the schema: every key with its type, default, unit and description."""
    import yaml

    return yaml.safe_load(Path(__file__).with_name("config.schema.yaml").read_text(encoding="utf-8"))


def validated(config: Config) -> Config:
    """Check a configuration and complete it with defaults.

    Parameters
    ----------
    config : dict
        As read from YAML; may be partial. It is not changed.

    Returns
    -------
    dict
        Every key of the schema; where a null stands for another key's value, that value.

    Raises
    ------
    ValueError
        One line for every key that is unknown or has a value of a wrong kind.
    """
    from jsonschema import Draft202012Validator

    _check_size(config)
    asked = _section(config, "cosmic_rays")
    preset = asked.get("preset", "chapter")
    config = merged(PRESETS.get(preset, {}) if isinstance(preset, str) else {}, config) if asked else config
    complete = _completed(config, schema())
    validator = Draft202012Validator(schema())
    problems = [text for error in validator.iter_errors(complete) for text in _explained(error)]
    if isinstance(complete, dict):
        problems += [*_unusable(complete), *_without_unit(complete), *_other_quantities(complete)]
        problems += [*_reversed(complete), *_unused(asked, complete)]
    problems = problems or list(_unwritable(complete))
    if problems:
        raise ValueError("\n".join(sorted(map(printable, problems))))
    _add_cameras(complete, config)
    for key, (section, other) in {"gain": ("cosmic_rays", "gain"), "exposure": ("table_keywords", "exposure")}.items():
        if complete["make_dark_mask"][key] is None:
            complete["make_dark_mask"][key] = complete[section][other]
    return complete


def _add_cameras(complete: Config, given: Config) -> None:
    """Read the user's cameras, and compare masks and frames by the keywords of cameras where the user names none."""
    others = complete["cameras"] = cameras.read(complete["cameras"])
    names = {camera["name"].casefold(): camera["name"] for camera in (*others, *cameras.known())} | {
        "default": "default"
    }
    if unknown := [name for name in complete["inherit"] if str(name).casefold() not in names]:
        raise ValueError(
            f"configuration: inherit: found {_shown(unknown[0])}; expected default or the name of a camera: "
            f"{', '.join(sorted(set(names.values()) - {'default'}))}"
        )
    complete["inherit"] = {names[name.casefold()]: chosen for name, chosen in complete["inherit"].items()}
    keywords = {key: cameras.of_kind(key, others) for key in ("filter", "binning", "temperature")}
    asked = {section: (given or {}).get(section) or {} for section in ("match", "table_keywords")}
    wanted = (
        ("match", "flat", ("filter", "binning")),
        ("match", "dark", ("binning",)),
        ("match", "temperature", ("temperature",)),
        ("table_keywords", "filter", ("filter",)),
    )
    for section, key, kinds in wanted:
        if key not in asked[section]:
            more = [keyword for kind in kinds for keyword in keywords[kind]]
            complete[section][key] = list(dict.fromkeys([*complete[section][key], *more]))


def preset_text(config: Config) -> str:
    """Return the name of the preset of a checked configuration, and the keys that differ from it.

    Parameters
    ----------
    config : dict
        As from `validated`.

    Returns
    -------
    str
    """
    name = config["cosmic_rays"]["preset"]
    of_preset = with_preset(config, name)
    changed = [key for key, value in config["cosmic_rays"].items() if value != of_preset["cosmic_rays"][key]]
    changed += [key for key in BEST if key != "cosmic_rays" and config[key] != of_preset[key]]
    return f"{name}, with other {', '.join(changed)}" if changed else str(name)


def with_preset(config: Config, preset: str) -> Config:
    """Return a checked configuration with all that a preset decides.

    Parameters
    ----------
    config : dict
        As from `validated`.
    preset : {'chapter', 'best'}

    Returns
    -------
    dict
    """
    given = merged(PRESETS[preset], {"cosmic_rays": {"preset": preset}})
    complete = _completed(given, schema())
    return {**config, **{key: complete[key] for key in BEST}}


def of_run(config: Config, work: str | os.PathLike[str] = ".") -> Config:
    """Check the configuration of a run, which must name a folder, and complete it with defaults.

    Parameters
    ----------
    config : dict
        As for `validated`.
    work : path
        The working directory. The command line and YAML read some names as numbers or dates: a folder here
        whose name is read as the value of ``frames`` is taken.

    Returns
    -------
    dict
        As from `validated`.

    Raises
    ------
    ValueError
        As from `validated`; also if there is no folder, or not one only that can be meant.
    """
    problems, chosen = [], config
    if isinstance(config, dict):
        try:
            chosen = {**config, "frames": _folder(config.get("frames"), work)}
        except ValueError as error:
            problems.append(printable(str(error)))
            chosen = {key: value for key, value in config.items() if key != "frames"}
    try:
        complete = validated(chosen)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return complete


def _folder(found: Any, work: str | os.PathLike[str]) -> Any:
    """Find the folder that is meant where its name was read as something else than text."""
    if found is None:
        raise ValueError(NO_FOLDER)
    if not isinstance(found, bool | int | float | date):
        return found
    meant = sorted(
        entry.name for entry in os.scandir(work) if entry.is_dir() and repr(found) in map(repr, _readings(entry.name))
    )
    if len(meant) == 1:
        return meant[0]
    candidates = f"the folders {', '.join(meant)} are" if meant else "no folder here is"
    example = f"./{meant[0] if meant else 'FOLDER'}"
    raise ValueError(
        f"configuration: frames: found {_shown(found)}, and {candidates} read so; expected one folder; write "
        f'--config frames={example}, or frames: "{example}" in a file'
    )


def parsed(settings: Iterable[str]) -> Config:
    """Read settings as the command line of the workflow does.

    Parameters
    ----------
    settings : iterable of str
        Each ``key=value``, the value in YAML.

    Raises
    ------
    ValueError
        If one has another form.
    """
    found: Config = {}
    for setting in settings:
        key, is_pair, value = setting.partition("=")
        readings = list(_readings(value))
        if not is_pair or not readings:
            raise ValueError(f"--config: found {_shown(setting)}; expected key=value")
        found[key] = readings[0]
    return found


def merged(config: Config, others: Config) -> Config:
    """Return a configuration in which the values of another one count first, section by section."""
    pairs = {
        key: merged(config[key], value) if isinstance(value, dict) and isinstance(config.get(key), dict) else value
        for key, value in others.items()
    }
    return config | pairs


def _readings(name: str) -> Iterator[Any]:
    """Return what a name becomes on the command line of the workflow, and in a YAML file."""
    import yaml

    for reader in (int, float, {"True": True, "False": False}.__getitem__):
        with suppress(ValueError, KeyError):
            yield reader(name)
            break
    with suppress(ValueError, yaml.YAMLError):
        yield yaml.safe_load(name)


def _check_size(config: Any) -> None:
    """Refuse what would take for ever to check: values that hold themselves, or share parts that multiply."""
    left = [(config, 0, "the whole")]
    for _ in range(MOST_VALUES):
        if not left:
            return
        value, depth, where = left.pop()
        if depth > DEEPEST:
            raise ValueError(
                f"configuration: {printable(where)}: found a value that holds itself, or is more than {DEEPEST} levels "
                "deep; expected fewer levels; take brackets out"
            )
        if isinstance(value, int) and value.bit_length() > sys.float_info.max_exp:
            raise ValueError(
                f"configuration: {printable(where)}: found a number of more than 300 digits; expected a smaller one"
            )
        if isinstance(value, dict):
            for key, inner in value.items():
                below = where if not isinstance(key, str) else f"{where}.{key}" if depth else key
                left += [(key, depth + 1, where), (inner, depth + 1, below)]
        elif isinstance(value, list):
            left += [(inner, depth + 1, where) for inner in value]
    raise ValueError(
        f"configuration: found more than {MOST_VALUES} values; expected fewer; take aliases out, which repeat values"
    )


def _completed(value: Any, rule: Config) -> Any:
    if value is None and "properties" in rule:
        value = {}  # a section whose keys are all commented out
    if isinstance(value, dict) and "properties" in rule:
        known = rule["properties"]
        filled = {key: value.get(key, part.get("default")) for key, part in known.items()}
        filled |= {key: inner for key, inner in value.items() if key not in known}
        return {key: _completed(inner, known.get(key, {})) for key, inner in filled.items()}
    return _typed(value, rule)


def _typed(value: Any, rule: Config) -> Any:
    """Read numbers and booleans inside a ``--config 'a={b: 1}'``, which come as text."""
    if isinstance(value, list):
        return [_typed(item, rule.get("items", {})) for item in value]
    types = rule.get("type", [])
    if value is False and "off" in rule.get("enum", ()):
        return "off"  # which YAML takes for false
    if isinstance(value, dict):
        rules = {"value": rule} if "units" in rule else rule.get("properties", {})
        return {key: _typed(inner, rules.get(key, {})) for key, inner in value.items()}
    for name in [types] if isinstance(types, str) else types:
        if isinstance(value, str) and name in READERS:
            with suppress(ValueError, KeyError):
                return READERS[name](value.strip().lower())
    if isinstance(value, float) and "integer" in types and value.is_integer():
        return int(value)  # 4.0, which the schema takes for a whole number, but range() does not
    return value


def _whole(number: float) -> int:
    if not number.is_integer():
        raise ValueError(number)
    return int(number)


def _unusable(config: Config, above: str = "") -> Iterator[str]:
    """Find what a schema cannot express."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _unusable(value, f"{above}{key}.")
        elif _not_finite(value):
            yield f"configuration: {above}{key}: found {_shown(value)}; expected finite numbers"
        elif key == "psfk" and isinstance(value, list) and all(isinstance(row, list) for row in value):
            lengths = {len(row) for row in value} | {len(value)}
            if len(lengths) > 1 or 0 in {length % 2 for length in lengths}:
                yield f"configuration: {above}{key}: found {_shown(value)}; expected rows of one odd length, as many"


def _section(config: Any, key: str) -> Config:
    """Return a section of a configuration, empty where there is none."""
    found = config.get(key) if isinstance(config, dict) else None
    return found if isinstance(found, dict) else {}


def unused_keys(detection: Config) -> tuple[str, ...]:
    """List the keys of ``cosmic_rays`` that detector and variant do not use.

    Parameters
    ----------
    detection : dict
        The configuration's ``cosmic_rays``.

    Returns
    -------
    tuple of str
    """
    if detection.get("detector") == "trace":
        return OF_LACOSMIC
    return OF_ASTROSCRAPPY if detection.get("variant") == "original" else ()


def as_given(config: Config) -> Config:
    """Return a checked configuration as a user could have given it: without keys that are not used.

    Parameters
    ----------
    config : dict
        As from `validated`.

    Returns
    -------
    dict
        `validated` makes the same of it.
    """
    detection = config["cosmic_rays"]
    unused = unused_keys(detection)
    return {**config, "cosmic_rays": {key: value for key, value in detection.items() if key not in unused}}


def _unused(asked: Config, config: Config) -> Iterator[str]:
    """Find keys that a user set, and that detector and variant do not use."""
    chosen = _section(config, "cosmic_rays")
    if chosen.get("detector") == "trace":
        why, remedy = "the detector trace does", "set cosmic_rays: detector to lightmask"
    else:
        why, remedy = "the variant original does", "set cosmic_rays: variant to astroscrappy"
        if chosen.get("variant") == "original" and chosen.get("detector") == "ccdproc":
            yield (
                "configuration: cosmic_rays.variant: found 'original'; expected astroscrappy, as the detector ccdproc "
                "has no other; set cosmic_rays: detector to lightmask"
            )
    for key in unused_keys(chosen):
        if key in asked:
            yield (
                f"configuration: cosmic_rays.{key}: found {_shown(asked[key])}; expected no such key, as {why} not use "
                f"it; take it out, or {remedy}"
            )


def _reversed(config: Config) -> Iterator[str]:
    """Find limits of which the least is above the most."""
    limits = config.get("limits")
    for key, value in limits.items() if isinstance(limits, dict) else ():
        if isinstance(value, list) and len(value) == 2 and all(isinstance(each, int | float) for each in value):
            least, most = value
            if least > most:
                yield f"configuration: limits.{key}: found {_shown(value)}; expected the least first, then the most"


def _without_unit(config: Config) -> Iterator[str]:
    """Find quantities with a unit that have another form than ``{value: 60000, unit: adu}``."""
    rules = schema()["properties"]
    for section in ("cosmic_rays", "make_dark_mask"):
        for key, rule in rules[section]["properties"].items():
            value = config.get(section, {}).get(key) if isinstance(config.get(section), dict) else None
            if "units" not in rule or not isinstance(value, dict):
                continue
            inner = value.get("value")
            units = rule["units"]
            if {*value} != {"value", "unit"} or value["unit"] not in units:
                expected = f"{{value: ..., unit: {' or '.join(units)}}}"
            elif isinstance(inner, dict | bool) or inner is None or _is_wrong(inner, rule):
                expected = "a number, a keyword or a list of keywords as value"
            else:
                continue
            yield f"configuration: {section}.{key}: found {_shown(value)}; expected {expected}"


def _other_quantities(config: Config) -> Iterator[str]:
    """Find unit names that are no other name for counts or electrons: a rate or a flux stays one under any name."""
    names = config.get("unit_names")
    usual = {name.casefold() for name in schema()["properties"]["unit_names"]["default"]}
    for name in names if isinstance(names, dict) else ():
        if not isinstance(name, str) or name.strip().casefold() in usual:
            continue
        remedy = "take it out: rates of counts and electrons are known, and other quantities cannot be searched"
        if quantities.PER_SECOND.sub("", name.strip()) != name.strip() or _is_other_unit(name):
            expected = "expected another name for adu or electron"
            yield f"configuration: unit_names: found {_shown(name)}; {expected}; {remedy}"


def _is_other_unit(name: str) -> bool:
    """Return whether astropy knows a unit of that name, and it is neither counts nor electrons nor a bare number."""
    from astropy import units

    try:
        unit = units.Unit(name.strip(), parse_strict="raise")
    except (ValueError, TypeError):
        return False
    counts = (units.adu, units.ct, units.electron, units.DN, units.photon, units.dimensionless_unscaled)
    return not any(unit.is_equivalent(each) for each in counts)


def _is_wrong(value: Any, rule: Config) -> bool:
    """Return whether a value breaks the rule of its key."""
    from jsonschema import Draft202012Validator

    return not Draft202012Validator(rule).is_valid(value)


def _not_finite(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_not_finite, value))
    return isinstance(value, float) and not isfinite(value)


def _unwritable(config: Config) -> Iterator[str]:
    """Find what the header of a mask that is made could not hold."""
    for kind, meanings in (("flat", "flat_mask"), ("dark", "dark_mask")):
        if config["static_masks"][kind] == "folder":
            continue
        for keyword, text in matching.type_cards(kind, config).items():
            remedy = f"or set static_masks: {{{kind}: folder}}, to make no {kind} mask"
            if not WRITTEN.fullmatch(keyword):
                yield (
                    f"configuration: frame_type.keywords: found {_shown(keyword)} as the first, which masks get; "
                    f"expected letters, digits, - and _; put another first, {remedy}"
                )
            elif not matching.can_hold(keyword, text):
                yield (
                    f"configuration: frame_type.{meanings}: found {_shown(text)}, which masks get; expected a value "
                    f"that a FITS header can hold, of ASCII, short enough for one card; add one, {remedy}"
                )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_FOUND else f"{text[:LONGEST_FOUND]}..."


def _moved(key: str, value: Any) -> str:
    """Say how keys that have this name elsewhere are written; nothing if there is none."""
    places = [name for name in _names(schema()) if key in (name, name.rpartition(".")[2])]
    shown = str(value) if isinstance(value, str | int | float) and len(str(value)) <= LONGEST_FOUND else "VALUE"
    written = []
    for place in places:
        section, _, last = place.rpartition(".")
        written.append(f"{section}={{{last}: {shown}}}" if section else f"{last}={shown}")
    in_file = f" (in a file {written[0].replace('=', ': ', 1)})" if written else ""
    return f"write {' or '.join(written)}{in_file}" if written else ""


def _names(rule: Config, above: str = "") -> Iterator[str]:
    """Return the dotted name of every key that is no section."""
    for key, part in rule["properties"].items():
        if "properties" in part:
            yield from _names(part, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def _expected_form(error: "ValidationError") -> str:
    """Say what a list or a text must be like."""
    if error.validator in ("minItems", "maxItems") and "limits" in error.absolute_path:
        return f"expected {error.schema['minItems']} numbers: the least, and the most"
    if error.validator in ("maxItems", "maxLength"):
        return f"expected at most {error.validator_value} {'rows' if error.validator == 'maxItems' else 'letters'}"
    if error.validator == "pattern" and error.validator_value == "^auto$":
        return "expected a number, or auto"
    if error.validator == "pattern":
        return (
            "expected a keyword that a FITS header can have: ASCII without =, single blanks, not COMMENT and the like"
        )
    return "expected an odd number" if error.validator == "not" else error.message


def _explained(error: "ValidationError") -> Iterator[str]:
    from jsonschema.exceptions import best_match

    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and isinstance(error.validator_value, bool):
        known = error.schema["properties"]
        for key in sorted(set(error.instance) - set(known), key=str):
            if str(key) in GONE:
                yield f"configuration: {where + '.' if where else ''}{key}: unknown key; {GONE[str(key)]}"
                continue
            near = get_close_matches(str(key), known, n=1)
            hint = _moved(str(key), error.instance[key])
            hint = hint or (f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}")
            yield f"configuration: {where + '.' if where else ''}{key}: unknown key; {hint}"
        return
    error = best_match([error]) or error
    if error.validator in ("minimum", "maximum", "exclusiveMinimum") and _not_finite(error.instance):
        return  # reported already
    if error.validator == "type":
        types = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        expected = f"expected {' or '.join(IN_WORDS[name] for name in types)}"
        if types == ["string"] and isinstance(error.instance, int | float):
            expected += "; put it in quotes"
    elif error.validator == "enum":
        expected = f"expected one of {', '.join(map(str, error.validator_value))}"
    elif error.validator in ("minimum", "exclusiveMinimum"):
        above = "at least" if error.validator == "minimum" else "more than"
        expected = f"expected {above} {error.validator_value}"
    elif error.validator == "maximum":
        expected = f"expected at most {error.validator_value}"
    else:
        expected = _expected_form(error)
    yield f"configuration: {where or 'the whole'}: found {_shown(error.instance)}; {expected}"
