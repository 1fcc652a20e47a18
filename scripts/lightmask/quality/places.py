"""Where the cosmic-ray pixels of an image are: by chance, or where something is taken for cosmic rays."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.fits import bands
from lightmask.quality.events import Events, flagged
from lightmask.quality.sample import CELLS, Sample

MOST_RUNS = 50_000
"""Runs of cosmic-ray pixels that are looked at, of all of them every second, third, ..."""
KNOWN = Flag.FLAT | Flag.DARK | Flag.INHERITED
TRAIL = 30
"""Pixels along an axis, from which on an event that is thick and straight is the trail of a saturated star."""
TRAIL_WIDTH = 1.3
"""Pixels of such an event, by those of its length, at least."""
REACH, MOST_TRAILS = 100, 100
"""How far from a saturated pixel its trail may begin; and events that are asked."""
FEWEST_BESIDE = 20
NEAR_KNOWN = 3
FEWEST_OF_LINE = 20
"""Pixels of a row or column that are SUSPECT since they are in one."""
SPREAD = 0.5
"""Part of the places of a half or quarter that has events where they are spread over it."""
LONGEST = 150
"""Pixels along an axis, from which on an event is no particle's track."""
ANGLES = 60
"""Directions in which lines are looked for."""
MOST_LINES = 5
LINE_WIDTH = 4
"""In pixels."""
MOST_IN_HOUGH = 2000
"""Events in which lines are looked for."""
FEWEST_IN_LINE = 8
SEGMENTS, FEWEST_SEGMENTS = 16, 6
"""Parts of a line, and how many have events at the least: those of a galaxy are together."""
RIM_DEPTH = CELLS // 4
"""Cells of the border that can be its rim."""
FALLEN = 0.8
"""Level of a rim, of that of the image."""
NEAR_RIM = 4
"""Pixels beside the rim, where its edge is taken for cosmic rays."""
FEWEST = 30
"""Events, of which a share tells something about the halves of an image."""


def measured_places(
    sample: Sample, flags: NDArray[np.int16], events: Events, sky: float, sigma: float
) -> dict[str, float]:
    """Measure which part of the cosmic-ray pixels sits where.

    Each event counts at the first place that it has of these.

    Parameters
    ----------
    sample : Sample
        Of the image.
    flags : ndarray of int16
        Bits of `~lightmask.bits.Flag`, of the shape of the image.
    events : Events
        Of the image.
    sky, sigma : float
        Median and noise of its pixels.

    Returns
    -------
    dict
        ``in_trails``, ``in_rim``, ``in_lines``, ``on_extended``: fractions of cosmic-ray pixels. ``rim`` and
        ``extended``: fractions of the image that are rim, or brighter than its sky. ``one_colour``: the most that
        pixels of one place of a pattern of two by two have of all peaks of events; ``one_half``: how many events one
        half or quarter of the image has, in what the rest has on the same area; both NaN where there are few events.
    """
    runs, group = events.runs_and_groups(MOST_RUNS)
    if not group.size:
        none = dict.fromkeys(("in_trails", "in_rim", "in_lines", "on_extended", "rim", "extended"), 0.0)
        return none | {"one_colour": math.nan, "one_half": math.nan}
    y = runs.y.repeat(runs.length)
    x = runs.x.repeat(runs.length) + np.arange(y.size) - (np.cumsum(runs.length) - runs.length).repeat(runs.length)
    event = group.repeat(runs.length)
    number = int(group.max()) + 1
    pixels = np.bincount(event, minlength=number)
    boxes = _boxes(y, x, event, number)
    height, width = boxes[:, 1] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 2] + 1
    long, short = np.maximum(height, width), np.minimum(height, width)
    middle = np.stack([(boxes[:, 0] + boxes[:, 1]) / 2, (boxes[:, 2] + boxes[:, 3]) / 2], axis=1)
    straight = (long >= TRAIL) & (short * 6 <= long)
    thick = straight & (pixels >= TRAIL_WIDTH * long)
    saturated = np.bincount(event, (_flags_beside(flags, y, x) & np.int16(Flag.SATURATED)) != 0, number) > 0
    saturated |= _beyond_saturated(flags, boxes)
    at_rim, rim = _rim(sample, middle, sky, sigma)
    places = {
        "in_trails": saturated | thick,
        "in_rim": at_rim,
        "in_lines": straight | (long >= LONGEST) | _in_lines(middle, flags.shape),
    }
    bright = sample.cells > sky + sigma
    free, found = np.ones(number, bool), {"rim": rim, "extended": float(bright.mean())}
    lines = _suspect_lines(flags)
    at_rim = _rim(sample, lines, sky, sigma)[0] if len(lines) else np.zeros(0, bool)
    more = {"in_rim": np.count_nonzero(at_rim), "in_lines": np.count_nonzero(~at_rim)}
    total = pixels.sum() + len(lines)
    for name, here in places.items():
        found[name] = float((pixels[here & free].sum() + more.get(name, 0)) / total)
        free &= ~here
    found["on_extended"] = float(pixels[_in_cells(middle, bright, sample) & free].sum() / total)
    peaks = _peaks(runs, group)[free]
    return found | {"one_colour": _one_colour(peaks), "one_half": _one_half(peaks, sample)}


def _suspect_lines(flags: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return rows and columns of pixels that are SUSPECT as they are in a line, and not beside known bad ones."""
    found = []
    for rows in bands(flags.shape):
        at = flagged(flags[rows], Flag.SUSPECT)
        found.append(np.stack(np.divmod(at + rows.start * flags.shape[1], flags.shape[1]), axis=1))
    places = np.concatenate(found)
    if not len(places):
        return np.zeros((0, 2))
    places = places[:: max(math.ceil(len(places) / MOST_RUNS), 1)]
    columns, rows = (np.bincount(places[:, axis], minlength=flags.shape[axis])[places[:, axis]] for axis in (1, 0))
    places = places[np.maximum(columns, rows) >= FEWEST_OF_LINE]
    # A bad column that is known is found in those beside it too.
    known = _flags_beside(flags, places[:, 0], places[:, 1], NEAR_KNOWN) & np.int16(KNOWN)
    return places[known == 0].astype(float)


def pixels_beside_known(sample: Sample, flags: NDArray[np.int16]) -> float:
    """Measure how many pixels beside known bad ones look like cosmic rays, by themselves or if these are not known.

    Parameters
    ----------
    sample : Sample
        Of the image.
    flags : ndarray of int16
        Bits of `~lightmask.bits.Flag`, of the shape of the image.

    Returns
    -------
    float
        By the number of runs of known bad pixels within rows; 0 where hardly any looks so.
    """
    runs = beside = 0
    for rows, _ in sample.bands:
        here = flags[rows, sample.window[1]]
        known = (here & np.int16(KNOWN)) != 0
        runs += int(np.count_nonzero(known[:, 0])) + int(np.count_nonzero(known[:, 1:] & ~known[:, :-1]))
        if not runs:
            continue
        y, x = np.divmod(np.flatnonzero((here & np.int16(Flag.COSMIC | Flag.SUSPECT)) != 0), here.shape[1])
        y, x = y[~known[y, x]], x[~known[y, x]]
        beside += int(np.count_nonzero(_flags_beside(here, y, x) & np.int16(KNOWN)))
    return beside / runs if beside >= FEWEST_BESIDE else 0.0


def _beyond_saturated(flags: NDArray[np.int16], boxes: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which events run along the columns, or the rows, of saturated pixels nearby."""
    found = np.zeros(len(boxes), bool)
    height, width = boxes[:, 1] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 2] + 1
    long = np.flatnonzero(
        (np.maximum(height, width) >= TRAIL // 2) & (np.maximum(height, width) >= 4 * np.minimum(height, width))
    )
    for number in long[:MOST_TRAILS]:
        bottom, top, left, right = map(int, boxes[number])
        more = (REACH, 1) if top - bottom > right - left else (1, REACH)
        part = flags[max(bottom - more[0], 0) : top + more[0] + 1, max(left - more[1], 0) : right + more[1] + 1]
        found[number] = bool((part & np.int16(Flag.SATURATED)).any())
    return found


def _flags_beside(flags: NDArray[np.int16], y: NDArray[Any], x: NDArray[Any], reach: int = 1) -> NDArray[np.int16]:
    """Return the flags of pixels and of those that are as near as that, joined."""
    found = np.zeros(y.size, np.int16)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            found |= flags[np.clip(y + dy, 0, flags.shape[0] - 1), np.clip(x + dx, 0, flags.shape[1] - 1)]
    return found


def _boxes(y: NDArray[Any], x: NDArray[Any], event: NDArray[Any], number: int) -> NDArray[np.intp]:
    """Return bottom, top, left and right of each event."""
    order = np.argsort(event, kind="stable")
    starts = np.searchsorted(event[order], np.arange(number))
    return np.stack(
        [
            ufunc.reduceat(values[order], starts)
            for values, ufunc in ((y, np.minimum), (y, np.maximum), (x, np.minimum), (x, np.maximum))
        ],
        axis=1,
    )


def _peaks(runs: Any, group: NDArray[Any]) -> NDArray[np.intp]:
    """Return row and column of the brightest pixel of each event."""
    order = np.lexsort((-runs.highest, group))
    first = order[np.searchsorted(group[order], np.arange(int(group.max()) + 1))]
    return np.stack([runs.y[first], runs.brightest[first]], axis=1)


def _in_lines(middle: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Find the events that lie in straight lines across an image, more of them than by chance."""
    found = np.zeros(len(middle), bool)
    chosen = np.arange(0, len(middle), max(math.ceil(len(middle) / MOST_IN_HOUGH), 1))
    angles = np.arange(ANGLES) * np.pi / ANGLES
    distance = np.outer(np.cos(angles), middle[:, 0]) + np.outer(np.sin(angles), middle[:, 1])
    place = np.rint((distance + math.hypot(*shape)) / LINE_WIDTH).astype(np.intp)
    bins = int(place.max()) + 2
    for _ in range(MOST_LINES):
        left = chosen[~found[chosen]]
        if left.size < FEWEST_IN_LINE:
            break
        of_angle = place[:, left] + bins * np.arange(ANGLES)[:, None]
        counted = np.bincount(of_angle.ravel(), minlength=ANGLES * bins).reshape(ANGLES, bins)
        # An event beside the border of two bins counts in both.
        both = counted[:, :-1] + counted[:, 1:]
        angle, first = np.unravel_index(np.argmax(both), both.shape)
        crossed = max(min(shape), 1)
        expected = 2 * LINE_WIDTH * left.size / crossed
        if both[angle, first] < FEWEST_IN_LINE + expected + 6 * math.sqrt(expected):
            break
        here = (place[angle] == first) | (place[angle] == first + 1)
        along = -math.sin(angles[angle]) * middle[here, 0] + math.cos(angles[angle]) * middle[here, 1]
        parts = np.floor(along / (max(shape) / SEGMENTS))
        if np.unique(parts).size < FEWEST_SEGMENTS:
            place[:, here] = bins - 1  # together, so no line
            continue
        found |= here & ~found
    return found


def _rim(sample: Sample, middle: NDArray[np.float64], sky: float, sigma: float) -> tuple[NDArray[np.bool_], float]:
    """Find the events at the rim of an image, where its level is another one, and the part of the image that is rim."""
    here, part = np.zeros(len(middle), bool), 0.0
    if sky <= 2 * sigma:
        return here, part
    for number, levels in enumerate(sample.sides):
        axis = number // 2
        start, length = sample.window[axis].start, sample.shape[axis]
        with np.errstate(invalid="ignore"):
            other = np.flatnonzero(~(np.abs(levels - sky) < (1 - FALLEN) * sky))
        if not other.size or 2 * other.size < other[-1] + 1:
            continue
        depth = int(other[-1]) + 1
        place = middle[:, axis] - start
        here |= (place < depth + NEAR_RIM) if number % 2 == 0 else (place >= length - depth - NEAR_RIM)
        part += (depth + NEAR_RIM) / length
    cells = sample.cells
    if cells.shape == (CELLS, CELLS):
        with np.errstate(invalid="ignore"):
            dark = (cells < FALLEN * sky) & (cells < sky - sigma)
        dark[RIM_DEPTH:-RIM_DEPTH, RIM_DEPTH:-RIM_DEPTH] = False
        rim = dark.copy()
        for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
            rim[after] |= dark[before]
            rim[before] |= dark[after]
        here |= _in_cells(middle, rim, sample)
        part += float(rim.mean())
    return here, min(part, 1.0)


def _in_cells(middle: NDArray[np.float64], cells: NDArray[np.bool_], sample: Sample) -> NDArray[np.bool_]:
    """Return which events lie in cells of the window."""
    if not cells.any():
        return np.zeros(len(middle), bool)
    place = []
    for axis in (0, 1):
        within = (middle[:, axis] - sample.window[axis].start) * CELLS / sample.shape[axis]
        place.append(np.clip(within.astype(np.intp), 0, CELLS - 1))
    return cells[place[0], place[1]]


def _one_colour(peaks: NDArray[np.intp]) -> float:
    """Return the most that one place of a pattern of two by two has of the peaks; NaN of few of them."""
    if len(peaks) < FEWEST:
        return math.nan
    counted = np.bincount(peaks[:, 0] % 2 * 2 + peaks[:, 1] % 2, minlength=4)
    return float(counted.max() / len(peaks))


def _one_half(peaks: NDArray[np.intp], sample: Sample) -> float:
    """Return by which factor one half or quarter of the window has more events than the rest, at the most.

    Events that are together in a corner of it do not count: an amplifier has them everywhere.
    """
    if len(peaks) < FEWEST:
        return math.nan
    place = np.stack(
        [(peaks[:, axis] - sample.window[axis].start) * 8 // sample.shape[axis] for axis in (0, 1)], axis=1
    ).clip(0, 7)
    counted = np.zeros((8, 8), int)
    np.add.at(counted, (place[:, 0], place[:, 1]), 1)
    most = 1.0
    halves = (slice(0, 4), slice(4, 8))
    whole = (slice(0, 8),)
    for rows, columns in [(r, c) for r in (*halves, *whole) for c in (*halves, *whole)][:-1]:
        here = counted[rows, columns]
        area = here.size / counted.size
        spread = np.count_nonzero(here) / min(here.size, here.sum() or 1)
        rest = (len(peaks) - here.sum() + 1) / (1 - area)
        if spread > SPREAD:
            most = max(most, float(here.sum() / area / rest))
    return most
