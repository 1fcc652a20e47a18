"""What is wrong with the mask of an image: causes, in words of an observer, each with the one thing to do."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lightmask.night import number

LEAST_EVENTS = 10
LEAST_PIXELS = 50
"""Cosmic rays, and their pixels, from which on their places are judged."""
LEAST_STARS = 3
SAMPLED_BADLY = 1.45
"""Full width of stars, in pixels, below which L.A.Cosmic takes them for cosmic rays whatever it is given."""
LEAST_OF_TRACE = 1.15
"""The same, for the detector `trace`."""
NARROW = 1.75
"""Full width of stars, in pixels, below which a limit of 20 does not save them."""
SHARE_OF_FLAGGED = 0.02
EXTRA_SECONDS = 30
"""That an image collects cosmic rays beyond its exposure time, while it is read out."""


LOOK = "look at the picture, and compare several exposures"
SET_AMPLIFIERS = "set amplifiers to its parts, as [{section: '[1:512,1:1024]', readnoise: 12}, ...]"


class Cause(NamedTuple):
    """Why a mask may be wrong.

    Attributes
    ----------
    name : str
        In one word, for tables.
    found : str
        What was found, and what was expected.
    remedy : str
        The one thing to do.
    """

    name: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.found}; {self.remedy}"


NAMES = {
    "amplifier": "one part of the image has another noise, or nearly all cosmic rays",
    "correlated": "the image was smoothed or resampled",
    "sky": "its sky was subtracted",
    "noise": "its noise is not that of gain, read noise and unit",
    "spectrum": "it is a spectrum",
    "colours": "its pixels have colours",
    "stars": "cores of stars are flagged",
    "sampling": "its stars are too narrow",
    "ceiling": "its stars are cut off at a level, and nothing is saturated",
    "trails": "trails of saturated stars are flagged",
    "bad_pixels": "what surrounds known bad pixels is flagged",
    "rim": "its rim is flagged",
    "lines": "straight edges, columns or rows are flagged",
    "sources": "what sits on sources is flagged",
    "many": "more cosmic rays than there are",
    "few": "hardly any cosmic rays",
}
"""Every cause there is, the most serious one first."""
OF_NOISE = ("noise", "sky", "correlated")
"""Causes that `noise_check` is about."""


def causes(measured: Mapping[str, Any], limits: Mapping[str, Any], given: Mapping[str, Any]) -> list[Cause]:
    """Say what is wrong with the mask of an image, the most serious cause first.

    A cause that explains another one is reported alone: what a wrong gain flags sits anywhere.

    Parameters
    ----------
    measured : dict
        As of `measured_quality`.
    limits : dict
        The configuration's ``limits``.
    given : dict
        ``gain`` (e-/adu), ``readnoise`` (e-), ``satlevel`` (e-) and other parameters of the detector, ``cards``,
        what the header says of gain, read noise and unit, as a text, ``egain``, another gain of the header, or
        None, ``spectrum``, the card that says that it is a spectrum, and ``noise_check``: where it is ``off``, a noise
        that is not that of the model is no cause, and hides no other; ``best``, the gain and the read noise that the
        preset of that name would use, or None.

    Returns
    -------
    list of Cause
    """
    found: list[Cause] = []
    if number(measured["lines_along_axis"]) > limits["lines_along_axis"]:
        found = [_spectrum(measured, given)]
    elif number(measured["colour_contrast"]) > limits["colour_contrast"]:
        found = [
            _colours(
                "the levels of the pixels of a pattern of two by two differ by "
                f"{measured['colour_contrast']:.2g} sigma, expected up to {limits['colour_contrast']:g}"
            )
        ]
    else:
        asked = given["noise_check"] != "off"
        found += (each for each in causes_of_noise(measured, limits, given) if asked or each.name not in OF_NOISE)
        if given["spectrum"]:
            found.append(_spectrum(measured, given))
    if not found:
        found += _of_places(measured, limits, given)
    if not found:
        found += _of_rate(measured, limits, given)
    order = list(NAMES)
    return sorted(found, key=lambda cause: order.index(cause.name))


def causes_of_noise(
    measured: Mapping[str, Any], limits: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[Cause]:
    """Say what is wrong with the noise of an image.

    Parameters
    ----------
    measured : dict
        As of `of_noise`.
    limits, given : dict
        As of `causes`.

    Yields
    ------
    Cause
        One at the most.
    """
    ratio, (least, most) = number(measured["noise_ratio"]), limits["noise"]
    lowest, highest = limits["possible_noise"]
    if number(measured["noise_contrast"]) > limits["noise_contrast"] and lowest <= ratio <= highest:
        yield Cause(
            "amplifier",
            f"the noise of one quarter of it is {measured['noise_contrast']:.2g} times that of another, expected up to "
            f"{limits['noise_contrast']:g}",
            SET_AMPLIFIERS,
        )
        return
    if math.isnan(ratio) or least <= ratio <= most:
        return
    if ratio < least and measured["noise_correlation"] > limits["noise_correlation"]:
        yield Cause(
            "correlated",
            f"its noise is {ratio:.2g} times that of gain and read noise, and neighbours share "
            f"{measured['noise_correlation']:.0%} of it: it was smoothed or resampled",
            "mask the frames that it was made from, or set noise: extension if it has an extension of noise",
        )
    elif ratio > most and measured["is_sky_missing"]:
        yield Cause(
            "sky",
            f"its sky seems subtracted: the median is {measured['sky']:.3g} adu, and the noise {ratio:.2g} times that "
            f"of a read noise of {given['readnoise']:g} e-, which a sky of {measured['missing_sky']:.4g} adu explains",
            "set sky: auto, or cosmic_rays: readnoise to what it is",
        )
    else:
        yield Cause("noise", _noise_text(ratio, limits["noise"], given), _noise_remedy(measured, given))


def _noise_text(ratio: float, limits: Any, given: Mapping[str, Any]) -> str:
    return (
        f"its noise is {ratio:.2g} times that of a gain of {given['gain']:g} e-/adu and a read noise of "
        f"{given['readnoise']:g} e-, expected {limits[0]:g} to {limits[1]:g}; the header has "
        f"{given['cards'] or 'no gain'}"
    )


def _noise_remedy(measured: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    if given["egain"]:
        return "set cosmic_rays: gain to EGAIN" + _of_best(given)
    fitting = f"set cosmic_rays: gain to {measured['fitting_gain']:.3g}, or readnoise or unit to what it is"
    if measured["noise_ratio"] < 1:
        return f"subtract the bias if it is still in the frame, or {fitting}" + _of_best(given)
    return fitting + _of_best(given)


def _of_best(given: Mapping[str, Any]) -> str:
    """Return what the preset `best` would do about a noise, as the end of a remedy."""
    if not given["best"]:
        return ""
    gain, readnoise = given["best"]
    return f", or preset to best, which uses a gain of {gain:.3g} e-/adu and a read noise of {readnoise:.3g} e-"


def _spectrum(measured: Mapping[str, Any], given: Mapping[str, Any]) -> Cause:
    why = (
        f"the header says so ({given['spectrum']})"
        if given["spectrum"]
        else f"{measured['lines_along_axis']:.0%} of its columns or rows are lines"
    )
    return Cause(
        "spectrum",
        f"it is a spectrum: {why}; lines of the sky and of arcs, and the trace, are taken for cosmic rays",
        "compare exposures of one setting instead, or raise cosmic_rays: objlim to 50 and look at what is flagged",
    )


def _colours(found: str) -> Cause:
    return Cause(
        "colours",
        f"{found}: it is an image of colours",
        "add BAYERPAT to its header (RGGB, or what the pattern is)",
    )


def _of_places(measured: Mapping[str, Any], limits: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Cause]:
    """Yield what is taken for cosmic rays."""
    fwhm, stars, hit = number(measured["fwhm"]), measured["stars"], measured["star_cores"]
    if stars * hit >= LEAST_STARS and hit > limits["star_cores"]:
        narrow = f", whose full width is {fwhm:.2g} pixels" if fwhm < 3 else ""
        yield Cause(
            "stars",
            f"the cores of {stars * hit:.0f} of {stars} stars that were looked at{narrow} are flagged as cosmic rays, "
            f"expected up to {limits['star_cores']:.0%}",
            _remedy_for_stars(fwhm, given),
        )
        return
    least = LEAST_OF_TRACE if given["detector"] == "trace" else limits["sampling"]
    if fwhm < least and (fwhm < SAMPLED_BADLY or hit > SHARE_OF_FLAGGED):
        yield Cause(
            "sampling",
            f"its stars are {fwhm:.2g} pixels wide, expected {least:g} at least: the detector cannot tell them from "
            "cosmic rays",
            _remedy_for_stars(fwhm, given),
        )
    if number(measured["ceiling"]) > 0:
        yield Cause(
            "ceiling",
            f"its brightest pixels share a level of {measured['ceiling']:.5g} adu, and none reaches the saturation "
            f"level of {given['satlevel']:.5g} e-",
            f"set cosmic_rays: satlevel to {{value: {0.98 * measured['ceiling']:.4g}, unit: adu}}, or to auto",
        )
        return
    if number(measured["at_bad_pixels"]) > limits["at_bad_pixels"]:
        yield Cause(
            "bad_pixels",
            f"what looks like cosmic rays touches known bad pixels: {measured['at_bad_pixels']:.2g} pixels by one of "
            f"these, expected up to {limits['at_bad_pixels']:g}",
            "set grow: dark to 1 and flat to 1",
        )
    if number(measured["one_colour"]) > limits["one_colour"]:
        yield _colours(
            f"{measured['one_colour']:.0%} of its cosmic rays are on one pixel of a pattern of two by two, expected "
            "about 25%"
        )
        return
    if measured["cosmic_pixels"] < LEAST_PIXELS:
        return
    for name, share, chance, text, remedy in _shares(measured, given):
        if measured["events"] < LEAST_EVENTS and name != "trails":
            continue
        if share > limits[LIMITS_OF[name]] and share > 1.5 * chance + 2 * math.sqrt(chance / measured["events"]):
            yield Cause(
                name,
                f"{share:.0%} of its cosmic-ray pixels {text}, expected up to {limits[LIMITS_OF[name]]:.0%}",
                remedy,
            )
            return
    if number(measured["one_half"]) > limits["one_half"]:
        yield Cause(
            "amplifier",
            f"one half or quarter of it has {measured['one_half']:.0f} times as many cosmic rays as the rest, expected "
            f"up to {limits['one_half']:g}",
            SET_AMPLIFIERS,
        )


LIMITS_OF = {"trails": "in_trails", "rim": "in_rim", "lines": "in_lines", "sources": "on_sources"}


def _shares(measured: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[tuple[str, float, float, str, str]]:
    """Yield places of cosmic-ray pixels: name, share of them, share of the image, text, remedy."""
    yield (
        "trails",
        measured["in_trails"],
        0.0,
        "are in trails of saturated stars",
        "set cosmic_rays: satlevel to the level where its stars are cut off, and grow: saturated to 3",
    )
    yield (
        "rim",
        measured["in_rim"],
        measured["rim"],
        "are in its rim, where its level falls",
        "mask the rim in the flat mask",
    )
    yield (
        "lines",
        measured["in_lines"],
        0.0,
        "are in straight lines: edges, columns or rows",
        "put bad columns and edges into the flat mask",
    )
    text = "sit on sources: are stars taken for cosmic rays?"
    is_trace = given["detector"] == "trace"
    remedy = LOOK if is_trace else "raise cosmic_rays: objlim or sigclip, or set detector to trace"
    yield "sources", measured["on_sources"], 0.0, text, remedy
    yield "sources", measured["on_extended"], measured["extended"], text, remedy


def _remedy_for_stars(fwhm: float, given: Mapping[str, Any]) -> str:
    """Return what helps, by the table of docs/quality.md that `make quality` prints."""
    if given["detector"] == "trace":
        return LOOK
    objlim, enough = (20, "") if fwhm >= NARROW else (40, " (below 1.6 pixels that is not enough)" * (fwhm < 1.6))
    if given["objlim"] < objlim:
        return f"set cosmic_rays: objlim to {objlim}{enough}, or detector to trace"
    return (
        "compare several exposures, or set cosmic_rays: detector to trace: no parameter of L.A.Cosmic helps"
        if enough
        else "raise cosmic_rays: objlim further, or set detector to trace"
    )


def _of_rate(measured: Mapping[str, Any], limits: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Cause]:
    """Yield a rate of events that nature does not have."""
    area, unit = "event_rate_area", "per cm² and s"
    if not number(measured["area_seconds"]) > 0:
        area, unit = "event_rate", "per Mpix and s"
    rate, (least, most) = number(measured[area]), limits[area]
    if not rate >= 0:
        return
    seconds, events = measured["seconds"], measured["events"]
    amount = measured["area_seconds"] or measured["mpix_seconds"]
    expected = most * amount * (1 + EXTRA_SECONDS / seconds)
    if events > expected + 5 * math.sqrt(expected) + LEAST_EVENTS:
        yield Cause(
            "many",
            f"{events} cosmic rays are {rate:.2g} {unit}, expected {least:g} to {most:g}",
            LOOK if given["detector"] == "trace" else "look at the picture, and raise cosmic_rays: sigclip",
        )
    elif events < least * amount - 5 * math.sqrt(least * amount):
        yield Cause(
            "few",
            f"{events} cosmic rays are {rate:.2g} {unit}, expected {least:g} to {most:g}",
            ("check cosmic_rays: gain" if given["detector"] == "trace" else "lower cosmic_rays: sigclip")
            + ", unless cosmic rays were removed before",
        )
