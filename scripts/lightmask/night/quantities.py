"""Gain, exposure and the like: numbers of the configuration, or of a header that it names."""

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any, NamedTuple

from lightmask.errors import FrameError
from lightmask.fits import Header, Value

Cards = Header | Mapping[str, Any]


class Quantity(NamedTuple):
    """What values a quantity can have, as a test and in words."""

    in_range: Callable[[float], bool]
    expected: str


GAIN = Quantity(lambda x: 0 < x < inf, "a number of e-/adu above 0")
READNOISE = Quantity(lambda x: 0 <= x < inf, "a number of e-, 0 or more")
SATLEVEL = Quantity(lambda x: 0 < x < inf, "a number of e- above 0")
EXPOSURE = Quantity(lambda x: 0 < x < inf, "an exposure above 0 s")


def value(setting: float | str | Iterable[str], cards: Cards, quantity: Quantity, key: str) -> float:
    """Return a number, or the value of the header keyword that is given in its place.

    Parameters
    ----------
    setting : float, str or iterable of str
        The number, a keyword, or keywords of which the first that the header has counts.
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
        return setting
    keywords = [setting] if isinstance(setting, str) else list(setting)
    keyword = next((keyword for keyword in keywords if keyword in cards), None)
    if keyword is None:
        raise FrameError(
            f"no {' or '.join(keywords)} in the header, expected {quantity.expected}; add it, or set {key}"
        )
    found = cards[keyword]
    if isinstance(found, bool) or not isinstance(found, int | float) or not quantity.in_range(found):
        raise FrameError(f"{keyword} is {found!r}, expected {quantity.expected}; correct it, or set {key}")
    return float(found)


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
    unit = config["unit"]
    if name := str(cards.get("BUNIT") or "").strip():
        known = {unit_name.strip().casefold(): meant for unit_name, meant in config["unit_names"].items()}
        known |= {"adu": "adu", "electron": "electron"}
        if name.casefold() not in known:
            raise FrameError(
                f"BUNIT is {name!r}, expected adu or electron; convert the frame, or say in unit_names what it means"
            )
        unit = known[name.casefold()]
    if unit == "electron" and gain != 1:
        raise FrameError(f"its unit is electron, yet {key} is {gain:g} e-/adu; set gain to 1, or correct BUNIT")


def problem_of_dark(cards: Cards, config: dict[str, Any]) -> str:
    """Say why no dark mask can be made of a dark, as far as its header shows; empty if one can."""
    try:
        exposure_of(cards, config)
        gain_of(cards, config)
    except FrameError as error:
        return str(error)
    return ""


def gain_of(cards: Cards, config: dict[str, Any]) -> float:
    """Return the gain of a dark, in e-/adu.

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
    gain = value(config["make_dark_mask"]["gain"], cards, GAIN, key)
    check_unit(cards, gain, config, key)
    return gain


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


def first(cards: dict[str, Value], keywords: Iterable[str]) -> Value:
    """Return the value of the first keyword that is there and not blank, else an empty string."""
    return next((cards[keyword] for keyword in keywords if cards.get(keyword, "") != ""), "")
