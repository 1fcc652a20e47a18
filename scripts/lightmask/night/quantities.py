"""Gain, exposure and the like: numbers of the configuration, or of a header that it names."""

import re
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any, NamedTuple

from lightmask.errors import FrameError
from lightmask.fits import Header, Value
from lightmask.night.cameras import camera_of

Cards = Header | Mapping[str, Any]
AUTO = "auto"


class Quantity(NamedTuple):
    """What values a quantity can have, as a test and in words."""

    in_range: Callable[[float], bool]
    expected: str


GAIN = Quantity(lambda x: 0 < x < inf, "a number of e-/adu above 0")
READNOISE = Quantity(lambda x: 0 <= x < inf, "a number of e-, 0 or more")
SATLEVEL = Quantity(lambda x: 0 < x < inf, "a number of e- above 0")
PER_SECOND = re.compile(
    r"\s*(/\s*s(ec(ond)?s?)?|[\s.*]*\bs(ec(ond)?s?)?\s*(\^|\*\*)?\s*\(?-1\)?|\s+per\s+s(ec(ond)?s?)?)$", re.IGNORECASE
)
"""The end of a unit that is a rate, in the ways of the FITS standard, of astropy and of cameras."""
EXPOSURE = Quantity(lambda x: 0 < x < inf, "an exposure above 0 s")


class Found(NamedTuple):
    """A value, and the keyword that has it; empty for a number of the configuration."""

    value: float
    keyword: str = ""


def value(setting: float | str | Iterable[str], cards: Cards, quantity: Quantity, key: str) -> float:
    """Return a number, or the value of the header keyword that is given in its place, as `find` does."""
    return find(setting, cards, quantity, key).value


def find(setting: float | str | Iterable[str], cards: Cards, quantity: Quantity, key: str) -> Found:
    """Return a number, or the value of the header keyword that is given in its place, and that keyword.

    Parameters
    ----------
    setting : float, str or iterable of str
        The number, a keyword, or keywords of which the first counts that has a value which is not blank, and
        not zero where zero cannot be.
    cards : Header or mapping
        The header.
    quantity : Quantity
        What is expected.
    key : str
        The configuration's key, for messages.

    Raises
    ------
    FrameError
        If there is no such keyword in the header, or its value is out of range.
    """
    if isinstance(setting, int | float):
        return Found(setting)
    keywords = [setting] if isinstance(setting, str) else list(setting)
    there = [keyword for keyword in keywords if keyword in cards]
    said = [keyword for keyword in there if not is_lacking(cards.get(keyword), quantity)]
    keyword = next(iter(said or there), None)
    if keyword is None:
        raise FrameError(
            f"no {' or '.join(keywords)} in the header, expected {quantity.expected}; add it, or set {key}"
        )
    found = cards[keyword]
    if isinstance(found, bool) or not isinstance(found, int | float) or not quantity.in_range(found):
        raise FrameError(f"{keyword} is {found!r}, expected {quantity.expected}; correct it, or set {key}")
    return Found(float(found), keyword)


def is_lacking(found: Any, quantity: Quantity) -> bool:
    """Return whether a value of a header says nothing: it is blank, or zero where zero cannot be."""
    if isinstance(found, str):
        return not found.strip()
    return found is None or (found == 0 and not isinstance(found, bool) and not quantity.in_range(0))


def check_unit(cards: Cards, gain: float, config: Mapping[str, Any], key: str) -> None:
    """Refuse a gain that contradicts the unit of a frame.

    Parameters
    ----------
    cards : Header or mapping
        The header; without a BUNIT the configuration's ``unit`` counts.
    gain : float
        In e-/adu, by which the pixels are to be multiplied.
    config : dict
        ``unit`` and ``unit_names`` of the configuration.
    key : str
        The configuration's key of the gain, for messages.

    Raises
    ------
    FrameError
        If BUNIT is unknown, or if it is electrons and the gain is not 1.
    """
    if unit_of(cards, config).name == "electron" and gain != 1:
        raise FrameError(f"its unit is electron, yet {key} is {gain:g} e-/adu; set gain to 1, or correct BUNIT")


class Unit(NamedTuple):
    """What pixels are in: ``adu`` or ``electron``, and whether per second."""

    name: str
    is_rate: bool


def unit_of(cards: Cards, config: Mapping[str, Any]) -> Unit:
    """Return the unit of a frame.

    Parameters
    ----------
    cards : Header or mapping
        The header; without a BUNIT the configuration's ``unit`` counts.
    config : dict
        ``unit`` and ``unit_names`` of the configuration.

    Raises
    ------
    FrameError
        If BUNIT is unknown.

    Examples
    --------
    >>> unit_of({"BUNIT": "ELECTRONS/S"}, {"unit": "adu", "unit_names": {"ELECTRONS": "electron"}})
    Unit(name='electron', is_rate=True)
    """
    name = str(cards.get("BUNIT") or "").strip()
    if not name:
        return Unit(config["unit"], is_rate=False)
    known = {unit_name.strip().casefold(): meant for unit_name, meant in config["unit_names"].items()}
    known |= {"adu": "adu", "electron": "electron"}
    if name.casefold() in known:
        return Unit(known[name.casefold()], is_rate=False)
    counted = PER_SECOND.sub("", name).strip().strip("()").strip()
    if counted != name and counted.casefold() in known:
        return Unit(known[counted.casefold()], is_rate=True)
    raise FrameError(
        f"BUNIT is {name!r}, expected adu or electron, or one of them per second; convert the frame, or say in "
        "unit_names what it means"
    )


def problem_of_dark(cards: Cards, config: dict[str, Any]) -> str:
    """Say why no dark mask can be made of a dark, as far as its header shows; empty if one can."""
    try:
        exposure_of(cards, config)
        gain_of(cards, config)
    except FrameError as error:
        return str(error)
    return ""


def gain_of(cards: Cards, config: dict[str, Any]) -> float:
    """Return by what to multiply the pixels of a dark to come to electrons: its gain, in e-/adu.

    Parameters
    ----------
    cards : Header or mapping
        The header.
    config : dict
        ``make_dark_mask``, ``unit`` and ``unit_names`` of the configuration.

    Returns
    -------
    float
        In e-/adu.

    Raises
    ------
    FrameError
        If it is missing or not above zero, or if the unit of the dark contradicts it.
    """
    key = "make_dark_mask: gain"
    gain = header_gain(config["make_dark_mask"]["gain"], cards, config, key)
    if gain is None:
        raise FrameError(f"auto finds no gain in the header, expected {GAIN.expected}; set {key}")
    check_unit(cards, gain, config, key)
    return gain * (exposure_of(cards, config) if unit_of(cards, config).is_rate else 1)


def header_gain(setting: Any, cards: Cards, config: Mapping[str, Any], key: str) -> float | None:
    """Return a gain as the configuration says it: a number, keywords, ``auto``, or one of these with a unit.

    Parameters
    ----------
    setting : float, str, list of str or dict
        Of the configuration.
    cards : Header or mapping
        The header.
    config : dict
        ``cameras``, ``unit`` and ``unit_names`` of the configuration.
    key : str
        The configuration's key, for messages.

    Returns
    -------
    float or None
        In e-/adu; 1 where ``auto`` finds the frame in electrons. None where ``auto`` finds nothing.

    Raises
    ------
    FrameError
        If a keyword that was asked for is missing, or its value is out of range.
    """
    setting, unit = with_unit(setting)
    if setting == AUTO:
        if unit_of(cards, config).name == "electron":
            return 1.0
        camera = camera_of(cards, config["cameras"])
        setting, unit = camera.get("gain") or [], unit or camera.get("gain_unit")
        if all(is_lacking(cards.get(keyword), GAIN) for keyword in setting):
            return None
    found = value(setting, cards, GAIN, key)
    return 1 / found if unit == "adu/e-" else found


def with_unit(setting: Any) -> tuple[Any, str | None]:
    """Return a setting and its unit, if it has one: ``{value: 60000, unit: adu}``."""
    if isinstance(setting, Mapping):
        return setting["value"], setting.get("unit")
    return setting, None


def exposure_of(cards: Cards, config: dict[str, Any]) -> float:
    """Return the exposure time of a dark, in seconds.

    Parameters
    ----------
    cards : Header or mapping
        The header.
    config : dict
        ``make_dark_mask`` of the configuration.

    Returns
    -------
    float
        In s.

    Raises
    ------
    FrameError
        If it is missing, or not above zero.
    """
    setting = config["make_dark_mask"]["exposure"]
    return value(setting, cards, EXPOSURE, "make_dark_mask: exposure")


def first(cards: Cards, keywords: Iterable[str]) -> Value:
    """Return the value of the first keyword that a header has, and that is not blank.

    Parameters
    ----------
    cards : Header or mapping
        The header.
    keywords : iterable of str
        The first that counts comes first.

    Returns
    -------
    str, int, float or bool
        An empty string where there is none.
    """
    found: Any = next((cards[keyword] for keyword in keywords if cards.get(keyword, "") != ""), "")
    return found
