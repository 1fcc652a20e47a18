"""The night at a glance: how often cosmic rays hit, which frames are odd and why, as a picture and a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from lightmask.messages import without_middle

Row = Mapping[str, Any]
LEAST_FRAMES = 4
"""With fewer frames nobody can know which one is odd."""
CERTAIN, MUCH = 5, 1.5
"""A frame is odd if it is so many sigma of a Poisson count away, and by this factor."""
MANY_SATURATED = 1e-3
"""Fraction of a frame's pixels."""
EXPOSURES, PIXEL_SIZES = (1e-6, 1e9), (1e-3, 1e4)
"""Least and most that an exposure time in s, and the side of a pixel in um, can be. A header may hold any number."""
YEARS = 1900, 2199
"""First and last year of dates that can be drawn."""


def number(value: Any) -> float:
    """Read a number from a table; NaN where there is none.

    Parameters
    ----------
    value : object
        A number, or a text.

    Returns
    -------
    float
        NaN where it is none.
    """
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # of a whole number that is too large
        return math.nan


def within(value: Any, limits: tuple[float, float]) -> float:
    """Read a number from a table; NaN where there is none, or where it is out of limits.

    Parameters
    ----------
    value : object
        A number, or a text.
    limits : (float, float)
        Least and most.

    Returns
    -------
    float
        NaN where it is none of these.
    """
    found = number(value)
    return found if limits[0] <= found <= limits[1] else math.nan


def exposure_area(row: Row) -> float:
    """Return what a frame's cosmic rays are in proportion to: seconds times cm², or times Mpix.

    The former where the pixel size is known. NaN without an exposure time.

    Parameters
    ----------
    row : mapping
        Of the summary.

    Returns
    -------
    float
        NaN where it is not known.
    """
    side = within(row["pixel_size"], PIXEL_SIZES)
    per_pixel = 1e-6 if math.isnan(side) else (side * 1e-4) ** 2
    found = within(row["exposure"], EXPOSURES) * number(row["pixels"]) * per_pixel
    return found if found > 0 else math.nan


def rate_unit(rows: Iterable[Row]) -> str:
    """Return the unit of the rates of a night: of area if the pixel size of every frame is known.

    Parameters
    ----------
    rows : iterable of mapping
        Of the summary.

    Returns
    -------
    str
        As the picture of the night shows it.
    """
    known = all(within(row["pixel_size"], PIXEL_SIZES) > 0 for row in rows)
    return "s⁻¹ cm⁻²" if known else "s⁻¹ Mpix⁻¹"


def remarks(rows: Sequence[Row]) -> list[str]:
    """Say what is odd about each frame, compared with the rest of the night, and what of its header cannot be used.

    Parameters
    ----------
    rows : sequence of dict
        ``exposure``, ``pixel_size``, ``pixels``, ``cosmic``, ``saturated`` and ``events`` of each frame; blank where
        unknown.

    Returns
    -------
    list of str
        Empty for a frame that is like the others.
    """
    unusable = [_unusable(row) for row in rows]
    if rate_unit(rows) != "s⁻¹ cm⁻²":
        rows = [{**row, "pixel_size": ""} for row in rows]
    rates = [number(row["cosmic"]) / exposure_area(row) for row in rows]
    known = [rate for rate in rates if math.isfinite(rate)]
    usual = median(known) if len(known) >= LEAST_FRAMES else math.nan
    saturated = [number(row["saturated"]) / number(row["pixels"]) for row in rows if number(row["pixels"]) > 0]
    usually_saturated = median(saturated) if len(saturated) >= LEAST_FRAMES else math.nan
    found = []
    for row, rate, oddities in zip(rows, rates, unusable, strict=True):
        expected = usual * exposure_area(row)
        # Pixels of one event come together: the noise is that of events. Where the median frame has none,
        # some frames have one all the same.
        per_event = number(row["cosmic"]) / number(row["events"]) if number(row["events"]) > 0 else 1.0
        away = CERTAIN * math.sqrt(max(expected, per_event) * per_event) if math.isfinite(expected) else math.nan
        if rate > MUCH * usual and number(row["cosmic"]) > expected + away:
            oddities.append(
                f"{rate / usual:.1f} times the usual cosmic-ray pixels for its exposure"
                if usual > 0
                else f"{number(row['cosmic']):.0f} cosmic-ray pixels, and usually none"
            )
        if rate < usual / MUCH and number(row["cosmic"]) < expected - away:
            oddities.append(f"only {rate / usual:.2f} of the usual cosmic-ray pixels for its exposure")
        share = number(row["saturated"]) / (number(row["pixels"]) or math.nan)
        if share > MANY_SATURATED and share > CERTAIN * usually_saturated:
            oddities.append(f"{share:.2%} of its pixels are saturated, usually {usually_saturated:.2%}")
        found.append("; ".join(oddities))
    return found


def remarked(rows: Iterable[Row]) -> str:
    """Say how many frames of a night are remarked, where that makes a run fail.

    Parameters
    ----------
    rows : iterable of mapping
        Of the summary.

    Returns
    -------
    str
        Empty where none is.
    """
    rows = list(rows)
    found = list(dict.fromkeys(str(row["path"]) for row in rows if row["remark"]))
    frames = len({row["path"] for row in rows})
    listed = ", ".join(found[:5]) + ", ..." * bool(found[5:])
    return (
        f"remarks: fail: {len(found)} of {frames} LIGHT frames have remarks: {listed}; see remark in the summary"
        * bool(found)
    )


def _unusable(row: Row) -> list[str]:
    """Say which values of a header that rates depend on cannot be used."""
    oddities = []
    for column, (least, most), unit in (("exposure", EXPOSURES, "s"), ("pixel_size", PIXEL_SIZES, "um")):
        if row[column] != "" and math.isnan(within(row[column], (least, most))):
            found = without_middle(str(row[column]), 40)
            oddities.append(
                f"its {column} is not used: {found}, expected {least:g} to {most:g} {unit}; correct its header"
            )
    return oddities
