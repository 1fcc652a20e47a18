"""Pixels that hold no data: values that mean so, BLANK, and borders that were filled."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.fits import Header, bands

FILLS = (0.0, -32768.0)
"""Values that mean no data where they fill a border; so does what is beyond `HUGE`."""
HUGE = 9e29
STRETCH = 16
"""So many pixels of one value in a row along an edge are a border that was filled."""


class WithoutData:
    """An image whose pixels without data are NaN, of which rows can be taken.

    Parameters
    ----------
    data : ndarray or Pixels
        The image.
    lacking : ndarray of bool
        Where there are no data.
    """

    def __init__(self, data: Any, lacking: NDArray[np.bool_]):
        self.data, self.lacking, self.shape = data, lacking, data.shape
        self.dtype = np.result_type(data.dtype, np.float32)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        found: NDArray[Any] = self.data[rows].astype(self.dtype)
        found[self.lacking[rows]] = np.nan
        return found


def without_data(data: Any, header: Header, values: Iterable[float]) -> NDArray[np.bool_] | None:
    """Find the pixels of an image that hold no data.

    Parameters
    ----------
    data : ndarray or Pixels
        The image, with BLANK pixels as NaN.
    header : Header
        Of the image.
    values : iterable of float
        That mean no data wherever they stand: the configuration's ``no_data``.

    Returns
    -------
    ndarray of bool or None
        None where all pixels hold data.
    """
    found = np.zeros(data.shape, np.bool_)
    listed = [value for value in values if np.isfinite(value)]
    has_blank = isinstance(header.get("BLANK"), int) and int(header.get("BITPIX", 8)) > 0
    if listed or has_blank:
        for rows in bands(data.shape):
            pixels = data[rows]
            if listed:
                found[rows] |= np.isin(pixels, np.array(listed, pixels.dtype if pixels.dtype.kind == "f" else float))
            if has_blank:
                found[rows] |= np.isnan(pixels)
    _add_border(data, found)
    return found if found.any() else None


def _add_border(data: Any, found: NDArray[np.bool_]) -> None:
    """Add what one value fills from an edge inwards."""
    first, last = data[:1][0], data[data.shape[0] - 1 : data.shape[0]][0]
    sides = [data[rows][:, [0, -1]] for rows in bands(data.shape)]
    edges = [first, last, *np.concatenate(sides).T]
    for fill in (*FILLS, np.inf):
        starts = [_long_runs(_is(edge, fill)) for edge in edges]
        if not any(start.any() for start in starts):
            continue
        filled = np.concatenate([_is(data[rows], fill) for rows in bands(data.shape)])
        if filled.all() or (fill == 0 and 2 * np.count_nonzero(filled) > filled.size):
            continue  # all of it, or a sky of zero: nothing tells a border from it
        for image, flags, start in (
            (filled, found, starts[0]),
            (filled[::-1], found[::-1], starts[1]),
            (filled.T, found.T, starts[2]),
            (filled.T[::-1], found.T[::-1], starts[3]),
        ):
            inside = start.copy()
            for line, flag in zip(image, flags, strict=True):
                inside &= line
                if not inside.any():
                    break
                flag |= inside


def _is(values: NDArray[Any], fill: float) -> NDArray[np.bool_]:
    """Return where values are a fill; infinite stands for all that is huge."""
    return (np.abs(values) > HUGE) & np.isfinite(values) if np.isinf(fill) else values == fill


def _long_runs(line: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep what is true in long stretches."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], line.view(np.int8), [0]])))
    kept = np.zeros(line.size, np.bool_)
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        kept[first:end] = end - first >= STRETCH
    return kept
