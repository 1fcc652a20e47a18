"""Which LIGHT frames show the same field, with the same filter and exposure time: they are truth for each other."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightmask.night.matching import agreed
from lightmask.night.quantities import first
from lightmask.night.remarks import number
from lightmask.night.types import POINTINGS, Frame

MOST = 5
"""Other frames that one is compared with: more cost time, and do not make masks better (docs/accuracy.md)."""
MOST_LOOKED = 200
"""Frames before and after one among which others of its field are looked for."""
FIELD = 1.0
"""Degrees between pointings of one field, at the most: stars decide, this saves trying."""
SAME = ("filter", "camera", "binning", "object")
"""Columns of the tables in which frames of one field agree, beside the exposure time."""


def repeats(
    lights: Sequence[Frame], rows: Mapping[str, Mapping[str, Any]], masks: Mapping[str, str], fewest: int
) -> dict[str, list[Frame]]:
    """Choose for each LIGHT frame others of its field: up to five, the nearest in time.

    Frames repeat each other where filter, exposure time, camera, binning, object, shape and masks are the same, and
    pointings, if both are known, within a degree.

    Parameters
    ----------
    lights : sequence of Frame
        Those that can be masked.
    rows : mapping
        By path, what the tables say of each.
    masks : mapping
        By path, the combined mask of each.
    fewest : int
        Others that a frame must have; one that has fewer gets none.

    Returns
    -------
    dict of list of Frame
        By path.
    """
    groups: dict[tuple[Any, ...], list[Frame]] = {}
    for light in lights:
        row = rows[light.path]
        same = [agreed(text.casefold() if isinstance(text := row[column], str) else text) for column in SAME]
        seconds = number(row["exposure"])  # shutters are not exact: 120.001 s is 120 s
        same.append(float(f"{seconds:.3g}") if math.isfinite(seconds) else str(row["exposure"]))
        groups.setdefault((*map(repr, same), light.shape, repr(light.images), masks[light.path]), []).append(light)
    found = {}
    for group in groups.values():
        group.sort(key=lambda light: (str(rows[light.path]["date"]), light.path))
        places = [pointing(light) for light in group]
        for place, light in enumerate(group):
            others: list[Frame] = []
            for other in _outwards(place, len(group)):
                if len(others) < MOST and _is_near(places[place], places[other]):
                    others.append(group[other])
            found[light.path] = others if len(others) >= fewest else []
    return found


def pointing(frame: Frame) -> tuple[float, float] | None:
    """Return right ascension and declination of a frame, in degrees; None where its header has none."""
    for keywords in POINTINGS:
        ra, dec = (
            degrees(first(frame.cards, [keyword]), unit) for keyword, unit in zip(keywords, (15, 1), strict=True)
        )
        if abs(dec) <= 90 and math.isfinite(ra):
            return ra, dec
    return None


def degrees(value: Any, of_text: float) -> float:
    """Return an angle in degrees: of a number of degrees, or of a text like ``-12:34:56.7`` in such units; else NaN."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    parts = re.fullmatch(r"\s*([+-]?)(\d+)[:\shd°]+(\d+)[:\sm']+(\d+(?:\.\d*)?)[s\"]?\s*", str(value))
    if not parts:
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan
    total = int(parts[2]) + int(parts[3]) / 60 + float(parts[4]) / 3600
    return (-total if parts[1] == "-" else total) * of_text


def _outwards(number: int, size: int) -> Iterator[int]:
    """Yield the numbers around one, the nearest first."""
    for step in range(1, min(size, MOST_LOOKED)):
        if number >= step:
            yield number - step
        if number + step < size:
            yield number + step


def _is_near(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    if one is None or other is None:
        return True
    ra = abs((one[0] - other[0] + 180) % 360 - 180) * math.cos(math.radians((one[1] + other[1]) / 2))
    return math.hypot(ra, one[1] - other[1]) <= FIELD
