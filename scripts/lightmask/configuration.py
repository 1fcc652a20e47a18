"""Check a configuration against the schema, fill in defaults, and say plainly what is wrong."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from lightmask.names import printable

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
    "integer": int,
    "number": lambda text: float(text) if set(text) & set(".en") else int(text),
    "boolean": {"true": True, "yes": True, "false": False, "no": False}.__getitem__,
}


@cache
def schema() -> Config:
    """Read the schema: every key with its type, default, unit and description."""
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
    try:
        json.dumps(config, default=str, skipkeys=True)
    except (ValueError, RecursionError):
        raise ValueError("configuration: found a value that holds itself; expected none that does") from None
    complete = _completed(config, schema())
    validator = Draft202012Validator(schema())
    problems = [text for error in validator.iter_errors(complete) for text in _explained(error)]
    if isinstance(complete, dict):
        problems += _unusable(complete)
    if problems:
        raise ValueError("\n".join(sorted(map(printable, problems))))
    for key, (section, other) in {"gain": ("cosmic_rays", "gain"), "exposure": ("table_keywords", "exposure")}.items():
        if complete["make_dark_mask"][key] is None:
            complete["make_dark_mask"][key] = complete[section][other]
    return complete


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
    for name in [types] if isinstance(types, str) else types:
        if isinstance(value, str) and name in READERS:
            with suppress(ValueError, KeyError):
                return READERS[name](value.strip().lower())
    return value


def _unusable(config: Config, above: str = "") -> Iterator[str]:
    """Find what a schema cannot express."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _unusable(value, f"{above}{key}.")
        elif isinstance(value, float) and not isfinite(value):
            yield f"configuration: {above}{key}: found {value}; expected a finite number"
        elif key == "psfk" and isinstance(value, list) and all(isinstance(row, list) for row in value):
            lengths = {len(row) for row in value} | {len(value)}
            if len(lengths) > 1 or 0 in {length % 2 for length in lengths}:
                yield f"configuration: {above}{key}: found {value}; expected rows of one odd length, as many"


def _explained(error: ValidationError) -> Iterator[str]:
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and isinstance(error.validator_value, bool):
        known = error.schema["properties"]
        for key in sorted(set(error.instance) - set(known), key=str):
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            yield f"configuration: {where + '.' if where else ''}{key}: unknown key; {hint}"
        return
    error = best_match([error]) or error
    expected = error.message
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
    elif error.validator == "not":
        expected = "expected an odd number"
    yield f"configuration: {where or 'the whole'}: found {error.instance!r}; {expected}"
