"""Cosmic-ray events: connected pixels that were flagged, how strong they are, and what they sit on."""

import math
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.fits import bands, whole_file

CUTOUT = 24
"""Side of the surroundings of an event in which its background is taken, in pixels."""
STRONGEST = 32
"""Events of which is asked what they sit on, at the most."""
REGION = "cosmic{}"
"""Name of an event in a file of regions; they are numbered from 1, the strongest first."""
NEAR = 2
"""How far from its brightest pixel the source that an event sits on must show, in pixels."""
ON_SOURCE = 3
"""By how many sigma of the noise its surroundings must be brighter than the background."""


class Event(NamedTuple):
    """A cosmic ray: its brightest pixel and its box, counted from 0, its pixels, their sum above the sky."""

    x: int
    y: int
    left: int
    bottom: int
    right: int
    top: int
    pixels: int
    signal: float


class Events:
    """The cosmic-ray events of a frame.

    Parameters
    ----------
    data : ndarray or Pixels
        The frame, 2-D; NaN has no signal.
    flags : ndarray of int16
        Bits of `~lightmask.bits.Flag`, same shape. COSMIC pixels that touch at a side
        or a corner are one event.
    """

    def __init__(self, data: Any, flags: NDArray[np.int16]):
        self.data, self.flags = data, flags
        self.sky = _median(data[tuple(slice(None, None, math.ceil(length / 128)) for length in data.shape)], 0.0)
        with np.errstate(over="ignore", invalid="ignore"):  # whatever a frame holds
            self._runs = runs(data, flags, self.sky)
        self._group = connected(self._runs.y, self._runs.x, self._runs.length)
        self.pixels = np.bincount(self._group, self._runs.length).astype(int)
        self.signal = np.bincount(self._group, self._runs.signal)

    def __len__(self) -> int:
        return len(self.pixels)

    def strongest(self, most: int | None = None) -> list[Event]:
        """List so many events, or all, by their sum above the sky of the whole frame.

        Parameters
        ----------
        most : int or None, optional
            How many at the most; all unless it is given.

        Returns
        -------
        list of Event
            The strongest one first.
        """
        found = self._runs
        chosen = np.argsort(-self.signal, kind="stable")[:most]
        by_group = np.argsort(self._group, kind="stable")
        ends = np.cumsum(np.bincount(self._group, minlength=len(self)))
        events = []
        for number in chosen:
            own = by_group[ends[number - 1] if number else 0 : ends[number]]
            run = own[np.argmax(found.highest[own])]
            events.append(
                Event(
                    int(found.brightest[run]),
                    int(found.y[run]),
                    left=int(found.x[own].min()),
                    bottom=int(found.y[own].min()),
                    right=int((found.x[own] + found.length[own]).max()) - 1,
                    top=int(found.y[own].max()),
                    pixels=int(self.pixels[number]),
                    signal=float(self.signal[number]),
                )
            )
        return events

    def runs_and_groups(self, most: int) -> tuple["Runs", NDArray[np.intp]]:
        """Return runs of pixels, and for each the number of its event.

        Parameters
        ----------
        most : int
            Runs at the most: of more, every second, third, ... is taken.

        Returns
        -------
        runs : Runs
            Of pixels within a row.
        group : ndarray of int
            Numbers count from 0, without a gap.
        """
        if len(self._group) <= most:
            return self._runs, self._group
        step = math.ceil(len(self._group) / most)
        runs = Runs._make(each[::step] for each in self._runs)
        return runs, np.unique(self._group[::step], return_inverse=True)[1]

    def background(self, event: Event) -> float:
        """Return the median of the pixels around an event that have no flag.

        Parameters
        ----------
        event : Event
            One of these.

        Returns
        -------
        float
            In the unit of the pixels; that of the whole frame where none of them is free.
        """
        cutout = around(event, self.data.shape)
        return _median(self.data[cutout][self.flags[cutout] == 0], self.sky)

    def on_sources(self) -> float:
        """Return the fraction of cosmic-ray pixels whose event sits on a source.

        That is where the pixels around its brightest one that are not flagged
        themselves are brighter than the background: so are the wings of a star,
        but not the neighbours of a particle's track. Of a crowd of events the
        strongest are asked.

        Returns
        -------
        float
            0 where there is no cosmic ray.
        """
        events = self.strongest(STRONGEST)
        if not events:
            return 0.0
        free, near = [], []
        for event in events:
            rows, columns = around(event, self.data.shape)
            values = self.data[rows, columns].astype(np.float64)
            values[self.flags[rows, columns] != 0] = np.nan
            y, x = event.y - rows.start, event.x - columns.start
            part = values[max(y - NEAR, 0) : y + NEAR + 1, max(x - NEAR, 0) : x + NEAR + 1].ravel()
            free.append(values.ravel())
            near.append(np.pad(part, (0, (2 * NEAR + 1) ** 2 - part.size), constant_values=np.nan))
        background, values = np.stack(free), np.stack(near)
        background[~np.isfinite(background)] = np.nan
        values[~np.isfinite(values)] = np.nan
        middle = _medians(background)
        with np.errstate(invalid="ignore"):
            noise = 1.4826 * _medians(np.abs(background - middle[:, None]))
            sits = _medians(values) > middle + ON_SOURCE * noise
        pixels = np.array([event.pixels for event in events])
        return float(pixels[sits].sum() / pixels.sum())


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row, of what is no NaN; NaN where there is nothing else."""
    ordered = np.sort(values, axis=1)
    number = np.count_nonzero(~np.isnan(ordered), axis=1)
    row = np.arange(len(values))
    return (
        ordered[row, np.maximum(number - 1, 0) // 2] + ordered[row, np.minimum(number // 2, values.shape[1] - 1)]
    ) / 2


def flagged(flags: NDArray[np.int16], flag: Flag) -> NDArray[np.intp]:
    """Return the places of pixels that have a flag.

    Four pixels are looked at at a time, as hardly any has one: a sixteenth of the time of `numpy.flatnonzero`.

    Parameters
    ----------
    flags : ndarray of int16
        Bits of `~lightmask.bits.Flag`, without gaps in memory.
    flag : Flag
        One or several.

    Returns
    -------
    ndarray of int
        Counted through all rows, in rising order.
    """
    flat = flags.reshape(-1)
    ends = flat.size // 4 * 4
    four = flat[:ends].view(np.uint64)
    pattern = np.array([flag] * 4, np.int16).view(np.uint64)[0]
    at = (np.flatnonzero((four & pattern) != 0)[:, None] * 4 + np.arange(4)).ravel()
    at = np.concatenate([at, np.arange(ends, flat.size)])
    return at[(flat[at] & np.int16(flag)) != 0]


class Runs(NamedTuple):
    """Runs of cosmic-ray pixels within a row.

    Where they begin, how long they are, sum and maximum above the sky, and x of the brightest pixel.
    """

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    length: NDArray[np.intp]
    signal: NDArray[np.float64]
    highest: NDArray[np.float64]
    brightest: NDArray[np.intp]


def runs(data: Any, flags: NDArray[np.int16], sky: float) -> Runs:
    """Find the runs of cosmic-ray pixels, in bands of rows, so that little memory is needed."""
    found = []
    for rows in bands(flags.shape):
        at = flagged(flags[rows], Flag.COSMIC)
        if at.size:
            y, x = np.divmod(at, flags.shape[1])
            values = data[rows][y, x]
            above = values.astype(np.float64) - sky
            above[~np.isfinite(above)] = 0  # NaN has no signal
            # A run begins where the pixel before is not its neighbour, or ends a row.
            first = np.flatnonzero((np.diff(at, prepend=-2) != 1) | (x == 0))
            length = np.diff(first, append=at.size)
            sums, highest = (ufunc.reduceat(above, first) for ufunc in (np.add, np.maximum))
            known = np.where(np.isfinite(values), values, -np.inf)
            at_maximum = np.flatnonzero(known == np.maximum.reduceat(known, first).repeat(length))
            brightest = at_maximum[np.searchsorted(at_maximum, first)]  # the first of equal ones
            found.append((y[first] + rows.start, x[first], length, sums, highest, x[brightest]))
    return Runs(*map(np.concatenate, zip(*found, strict=True))) if found else Runs(*np.zeros((6, 0), int))


def connected(y: NDArray[np.intp], x: NDArray[np.intp], length: NDArray[np.intp]) -> NDArray[np.intp]:
    """Find the groups of runs that touch, at a side or a corner.

    All runs that touch get the lowest number among them, again and again until nothing
    changes: hundreds of thousands of groups take no longer than a few.

    Parameters
    ----------
    y, x, length : ndarray of int
        Runs, from row to row and from left to right: where they begin, how long they are.

    Returns
    -------
    ndarray of int
        For each run the number of its group, from 0.
    """
    if not y.size:
        return np.zeros(0, np.intp)
    stride = int((x + length).max()) + 1  # the one more keeps the end of a row from the beginning of the next
    first = y * stride + x
    last = first + length - 1
    low = np.searchsorted(last, first + stride - 1)
    links = np.searchsorted(first, last + stride + 1, side="right") - low
    one = np.arange(first.size).repeat(links)
    other = np.arange(one.size) + (low - np.cumsum(links) + links).repeat(links)
    group = np.arange(first.size)
    while (unlike := group[one] != group[other]).any():
        one, other = one[unlike], other[unlike]
        np.minimum.at(group, np.maximum(group[one], group[other]), np.minimum(group[one], group[other]))
        while (group != group[group]).any():
            group = group[group]
    return np.unique(group, return_inverse=True)[1]


def _median(values: NDArray[Any], otherwise: float) -> float:
    values = values[np.isfinite(values)].astype(np.float64)
    return float(np.median(values)) if values.size else otherwise


def around(event: Event, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Cut out the surroundings of a cosmic ray, within the frame.

    Parameters
    ----------
    event : Event
        Its middle becomes that of the cutout, as far as the frame allows.
    shape : tuple of int
        Of the frame, rows first.

    Returns
    -------
    tuple of slice
        Rows and columns.
    """
    starts = [
        max(0, min(at - CUTOUT // 2, length - CUTOUT)) for at, length in zip((event.y, event.x), shape, strict=True)
    ]
    return slice(starts[0], starts[0] + CUTOUT), slice(starts[1], starts[1] + CUTOUT)


def write_regions(events: Iterable[tuple[str, Iterable[Event]]], path: str | os.PathLike) -> None:
    """Write a region file for DS9: a box around each event, in image coordinates.

    Parameters
    ----------
    events : iterable of (str, iterable of Event)
        Label of each image of a frame, empty for a single one, and its events. Several images are the tiles
        of a mosaic, as ``ds9 -mosaicimage`` numbers them.
    path : path
        Where to write.
    """
    lines = ["# Region file format: DS9 version 4.1", "global color=red", "image"]
    for tile, (label, found) in enumerate(events, 1):
        if label:
            lines += [f"# {label}", f"tile {tile}"]
        for number, event in enumerate(found, 1):
            x, y = (event.left + event.right) / 2 + 1, (event.bottom + event.top) / 2 + 1
            width, height = event.right - event.left + 1, event.top - event.bottom + 1
            name = REGION.format(number)
            lines.append(f"box({x:g},{y:g},{width},{height},0) # tag={{cosmic}} tag={{{name}}}")
    with whole_file(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="ascii")
