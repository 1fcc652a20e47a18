"""What is known of cameras: where their headers say gain, read noise and saturation, and what their masks mean."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lightmask.fits import Header, Value

Cards = Header | Mapping[str, Any]
Camera = Mapping[str, Any]
UNKNOWN: Camera = {"name": "", "gain": ["EGAIN"]}
"""Of a camera that is not known no more is taken for granted."""
KEYS = {
    *("name", "header", "gain", "gain_unit", "readnoise", "readnoise_unit", "saturation", "filter", "binning"),
    *("temperature", "mask", "companions", "companion_names", "source", "tested"),
}


@cache
def known() -> tuple[Camera, ...]:
    """Return the cameras of ``cameras.yaml``."""
    import yaml

    text = Path(__file__).with_name("cameras.yaml").read_text(encoding="utf-8")
    return tuple(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506 - both are safe


def camera_of(cards: Cards, others: Iterable[Camera] = ()) -> Camera:
    """Return the first camera whose patterns fit a header.

    Parameters
    ----------
    cards : Header or mapping
        The header.
    others : iterable of dict
        Cameras of the user, which are tried first.

    Returns
    -------
    dict
        An entry as in ``cameras.yaml``; `UNKNOWN` where none fits.

    Examples
    --------
    >>> camera_of({"INSTRUME": "DECam"})["name"]
    'DECam'
    >>> camera_of({"INSTRUME": "my own"})["name"]
    ''
    """
    return next((camera for camera in (*others, *known()) if _fits(cards, camera["header"])), UNKNOWN)


def _fits(cards: Cards, patterns: Mapping[str, str]) -> bool:
    return all(
        fnmatch.fnmatchcase(str(cards.get(keyword) or "").strip().casefold(), pattern.casefold())
        for keyword, pattern in patterns.items()
    )


def keywords(others: Iterable[Camera] = ()) -> set[str]:
    """List the keywords that tell cameras apart, or that are read of their headers before a frame is masked."""
    found: set[str] = set()
    for camera in (*others, *known()):
        found |= {*camera["header"]}
        for key in ("gain", "readnoise", "saturation", "filter", "binning", "temperature"):
            found |= {*camera.get(key, ())}
    return found


def of_kind(key: str, others: Iterable[Camera] = ()) -> list[str]:
    """List the keywords that cameras have for one thing (``filter``), each once."""
    return list(dict.fromkeys(keyword for camera in (*others, *known()) for keyword in camera.get(key, ())))


def companion_names(name: str, others: Iterable[Camera] = ()) -> list[str]:
    """List the names that files of masks and weights of an image may have."""
    pairs = (pair for camera in (*others, *known()) for pair in (camera.get("companions") or {}).values())
    names = dict.fromkeys(re.sub(pattern, wanted, name) for pattern, wanted in pairs)
    return [other for other in names if other != name]


def is_name_of_companion(name: str, others: Iterable[Camera] = (), known_too: bool = True) -> bool:
    """Return whether a camera gives such a name to a file of masks or weights."""
    patterns = (camera.get("companion_names") for camera in (*others, *(known() if known_too else ())))
    return any(pattern and re.search(pattern, name) for pattern in patterns)


def read(given: str | list[Any]) -> list[Camera]:
    """Return a user's cameras: entries as in ``cameras.yaml``, or the path of a file with such.

    Raises
    ------
    ValueError
        If it cannot be read, or an entry lacks a name or a header, or has keys that are not known.
    """
    import yaml

    path = given if isinstance(given, str) else "the list"
    try:
        found = yaml.safe_load(Path(given).read_text(encoding="utf-8")) if isinstance(given, str) else given
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"configuration: cameras: {path} cannot be read ({' '.join(str(error).split())})") from None
    for camera in found if isinstance(found, list) else [found]:
        problem = _problem_of(camera)
        if problem:
            raise ValueError(
                f"configuration: cameras: {path}: found {problem}; expected a list of entries as docs/cameras.md shows"
            )
    return list(found)


def _problem_of(camera: Any) -> str:
    if not isinstance(camera, dict):
        return repr(camera)[:80]
    if unknown := sorted(map(str, {*camera} - KEYS)):
        return f"the key {unknown[0]} in {camera.get('name')!r}"
    if not isinstance(camera.get("name"), str) or not isinstance(camera.get("header"), dict) or not camera["header"]:
        return "an entry without name and header"
    if not all(isinstance(pattern, str) for pattern in camera["header"].values()):
        return f"a pattern that is no text in {camera['name']!r}"
    for key in ("gain", "readnoise", "saturation", "filter", "binning", "temperature"):
        value = camera.get(key, [])
        if not isinstance(value, list) or not all(isinstance(keyword, str) for keyword in value):
            return f"{key}: {value!r} in {camera['name']!r}, no list of keywords,"
    return ""


def value_of(cards: Cards, keyword: str) -> Value | None:
    """Return a value of a header; None where it is missing or blank."""
    value = cards.get(keyword)
    return None if value is None or (isinstance(value, str) and not value.strip()) else value
