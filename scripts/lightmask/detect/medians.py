"""Running medians over stacks of windows, as networks of minima and maxima.

A stack comes in, a smaller one goes out.

Stacks have the shape (rows, columns, n): n windows side by side, so that one operation works on
many.  A filter is evaluated wherever its whole neighbourhood is there, so that its result
is smaller than its argument.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lightmask.detect.arrays import FloatArray


def _median3(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    low, high = np.minimum(a, b), np.maximum(a, b)
    np.minimum(high, c, out=high)
    return np.maximum(low, high, out=low)


def _sorted_triples(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return least, middle and greatest of every 3 consecutive rows."""
    low, high = np.minimum(x[:-2], x[1:-1]), np.maximum(x[:-2], x[1:-1])
    middle = np.maximum(low, x[2:])
    np.minimum(low, x[2:], out=low)
    return low, np.minimum(middle, high), np.maximum(middle, high, out=high)


def _median5_rows(x: FloatArray) -> FloatArray:
    """Return the running median of 5 rows."""
    low, high = np.minimum(x[:-1], x[1:]), np.maximum(x[:-1], x[1:])
    # Without their least and greatest, of two pairs their middle two remain.
    return _median3(np.maximum(low[:-3], low[3:]), np.minimum(high[:-3], high[3:]), x[2:-2])


def _median7_rows(x: FloatArray) -> FloatArray:
    """Return the running median of 7 rows."""
    low, middle, high = _sorted_triples(x)
    a, b, c = low[:-4], middle[:-4], high[:-4]
    d, e, f = low[4:], middle[4:], high[4:]
    # The third and the fourth of the six around the centre enclose the median.
    third, other = np.maximum(b, d), np.maximum(a, e)
    np.minimum(third, other, out=third)
    np.minimum(third, np.minimum(c, f, out=other), out=third)
    fourth = np.minimum(b, f)
    np.maximum(fourth, np.minimum(c, e, out=other), out=fourth)
    np.maximum(fourth, np.maximum(a, d, out=other), out=fourth)
    np.minimum(fourth, x[3:-3], out=fourth)
    return np.maximum(third, fourth, out=third)


def _extreme3(extreme: np.ufunc, a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    result: FloatArray = extreme(a, b)
    extreme(result, c, out=result)
    return result


def _median9_rows(x: FloatArray) -> FloatArray:
    """Return the running median of 9 rows."""
    low, middle, high = _sorted_triples(x)
    return _median3(
        _extreme3(np.maximum, low[:-6], low[3:-3], low[6:]),
        _median3(middle[:-6], middle[3:-3], middle[6:]),
        _extreme3(np.minimum, high[:-6], high[3:-3], high[6:]),
    )


def _separable(
    median_rows: Callable[[FloatArray], FloatArray],
) -> Callable[[FloatArray], FloatArray]:
    """Return the filter by a running median within rows, then across them."""

    def median(x: FloatArray) -> FloatArray:
        return median_rows(median_rows(x.swapaxes(0, 1)).swapaxes(0, 1))

    return median


def _median3x3(x: FloatArray) -> FloatArray:
    low, middle, high = (each.swapaxes(0, 1) for each in _sorted_triples(x))
    return _median3(
        _extreme3(np.maximum, low[:-2], low[1:-1], low[2:]),
        _median3(middle[:-2], middle[1:-1], middle[2:]),
        _extreme3(np.minimum, high[:-2], high[1:-1], high[2:]),
    ).swapaxes(0, 1)


# Compare and exchange (i, j) of 5 rows: sorts them.
SORT5 = ((0, 3), (1, 4), (0, 2), (1, 3), (0, 1), (2, 4), (1, 2), (3, 4), (2, 3))
# The same of a 5x5 square, numbered row by row, whose columns are sorted: brings
# the median to its centre.  Found by a random search; tests prove it correct.
MEDIAN25 = (
    *((0, 3), (1, 3), (0, 1), (2, 4), (1, 2), (3, 4), (2, 3), (5, 8), (6, 9), (6, 8)),
    *((5, 6), (7, 9), (6, 7), (8, 9), (7, 8), (10, 13), (11, 14), (10, 12), (11, 13)),
    *((10, 11), (12, 14), (11, 12), (13, 14), (12, 13), (16, 19), (15, 17), (16, 18)),
    *((15, 16), (17, 19), (16, 17), (17, 18), (20, 23), (21, 24), (20, 22), (21, 23)),
    *((20, 21), (22, 24), (21, 22), (11, 3), (7, 15), (20, 4), (12, 8), (17, 13), (3, 15)),
    *((20, 12), (4, 8), (16, 17), (4, 12), (21, 17), (16, 9), (15, 4), (4, 12), (4, 21)),
    *((15, 4), (12, 16), (4, 12)),
)
CENTRE25 = 12


def _exchanges(network: tuple[tuple[int, int], ...], wanted: set[int]) -> list[tuple[int, int, bool, bool]]:
    """Return (i, j, is the lesser needed, is the greater needed) of a network."""
    needed = set(wanted)
    steps = []
    for i, j in reversed(network):
        if i in needed or j in needed:
            steps.append((i, j, i in needed, j in needed))
            needed |= {i, j}
    return steps[::-1]


_SORT5 = _exchanges(SORT5, set(range(5)))
_MEDIAN25 = _exchanges(MEDIAN25, {CENTRE25})


def _exchange(x: list[FloatArray], steps: list[tuple[int, int, bool, bool]]) -> None:
    for i, j, lesser, greater in steps:
        low = np.minimum(x[i], x[j]) if lesser else x[i]
        if greater:
            x[j] = np.maximum(x[i], x[j])
        x[i] = low


def _median5x5(x: FloatArray) -> FloatArray:
    height, width = len(x) - 4, x.shape[1] - 4
    rows = [x[i : i + height] for i in range(5)]
    _exchange(rows, _SORT5)
    square = [row[:, i : i + width] for row in rows for i in range(5)]
    _exchange(square, _MEDIAN25)
    return square[CENTRE25]


def _median7x7(x: FloatArray) -> FloatArray:
    """Return the median of windows of 7x7 pixels."""
    windows = sliding_window_view(x, (7, 7), axis=(0, 1))
    return np.partition(windows.reshape(*windows.shape[:3], 49), 24, axis=-1)[..., 24]


class Medians(NamedTuple):
    """The median filters of the algorithm, and half their widths; and what a variant does at edges."""

    noise: Callable[[FloatArray], FloatArray]  # of the variance and the significance
    noise_width: int
    fine: Callable[[FloatArray], FloatArray]
    fine_width: int
    large: Callable[[FloatArray], FloatArray]
    large_width: int
    large_shared: bool  # neighbouring windows share their work: squares are worth filtering as a whole
    extends: bool = False  # the outermost pixels go on beyond the edge; else they are never flagged


SEPARABLE = Medians(_separable(_median7_rows), 3, _separable(_median5_rows), 2, _separable(_median9_rows), 4, True)
FULL = Medians(_median5x5, 2, _median3x3, 1, _median7x7, 3, False)
ORIGINAL = FULL._replace(extends=True)
