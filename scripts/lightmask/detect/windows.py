"""Windows: small squares of an image, with a margin, stacked along the last axis.

In come pixels or corners of squares, out go stacks of windows on which filters work.
A square is what results are wanted for; a window is a square with a margin of pixels around it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arrays import FloatArray, IndexArray, sorted_distinct

STACK = 1 << 15  # pixels per stack of windows: a few such stacks fit the cache
SIDES = 8, 32  # of squares that are filtered as a whole where pixels crowd [pixels]


class Windows:
    """Square windows of one image, stacked along the last axis.

    Attributes
    ----------
    index : (size, size, n) array
        Index of each pixel into the flattened image; outside, that of some pixel.
    depth : (size, size, n) array or None
        Distance of each pixel to the edge of the image, negative outside.
        None if no window reaches over the edge.
    """

    def __init__(self, shape: tuple[int, ...], y: IndexArray, x: IndexArray, size: int, edge: bool) -> None:
        ny, nx = shape
        steps = np.arange(size)
        self.depth: IndexArray | None = None
        self._nearest: tuple[IndexArray, IndexArray] | None = None
        if not edge:
            self.index: IndexArray = (steps[:, None] * nx + steps)[..., None] + (y * nx + x)
            return
        rows, columns = y + steps[:, None], x + steps[:, None]
        depth_y, depth_x = (np.minimum(i, n - 1 - i) for i, n in ((rows, ny), (columns, nx)))
        self.depth = np.minimum(depth_y[:, None], depth_x[None])
        rows, columns = rows.clip(0, ny - 1), columns.clip(0, nx - 1)
        self._nearest = rows - y, columns - x
        self.index = rows[:, None] * nx + columns[None]

    def take(self, image: FloatArray, extends: bool = False) -> FloatArray:
        """Return the pixels of the windows; outside the image is zero, or its outermost pixels go on."""
        values = image.ravel().take(self.index, mode="clip")
        if self.depth is not None and not extends:
            values[self.depth < 0] = 0
        return values

    def keep_border(self, filtered: FloatArray, unfiltered: FloatArray, width: int) -> None:
        """Undo a filter within `width` pixels of the edge of the image."""
        if self.depth is not None:
            border = trim(self.depth, (len(self.depth) - len(filtered)) // 2) < width
            np.copyto(filtered, trim(unfiltered, width), where=border)

    def extend(self, filtered: FloatArray) -> None:
        """Let the outermost pixels of a filtered image go on beyond its edge."""
        if self._nearest is not None:
            width = (len(self.index) - len(filtered)) // 2
            rows, columns = (each[width : len(each) - width] - width for each in self._nearest)
            filtered[...] = np.take_along_axis(filtered, rows[:, None], axis=0)
            filtered[...] = np.take_along_axis(filtered, columns[None], axis=1)


def stacks(
    shape: tuple[int, ...], y: IndexArray, x: IndexArray, side: int, margin: int
) -> Iterator[tuple[IndexArray, Windows]]:
    """Stack the squares of an image that begin at (y, x), with a margin around each.

    Squares that reach over the edge of the image come last, by themselves:
    only they need the edge rules.

    Yields
    ------
    part : 1-D array
        Which squares.
    windows : Windows
    """
    ny, nx = shape
    size = side + 2 * margin
    y, x = y - margin, x - margin
    inside = (y >= 0) & (x >= 0) & (y <= ny - size) & (x <= nx - size)
    per_stack = max(STACK // size**2 // 16, 1) * 16  # keeps rows aligned in memory
    for edge, group in ((False, np.flatnonzero(inside)), (True, np.flatnonzero(~inside))):
        for start in range(0, group.size, per_stack):
            part = group[start : start + per_stack]
            yield part, Windows(shape, y[part], x[part], size, edge)


def trim(stack: NDArray[Any], width: int) -> NDArray[Any]:
    """Return the stack without the outermost pixels of each window."""
    return stack[width : len(stack) - width, width : stack.shape[1] - width]


def offsets(nx: int, half: int) -> IndexArray:
    """Return the index offsets of the pixels of a square, row by row, in an image of `nx` columns."""
    steps = np.arange(-half, half + 1)
    return (steps[:, None] * nx + steps).ravel()


def squares_of(pixels: IndexArray, nx: int, side: int) -> IndexArray:
    """Return the numbers of the squares of a given side that hold the pixels of an image of `nx` columns."""
    y, x = np.divmod(pixels, nx)
    return y // side * -(-nx // side) + x // side


def cover(
    pixels: IndexArray, nx: int, margin: int, sides: tuple[int, ...]
) -> tuple[IndexArray, IndexArray, int, tuple[IndexArray, IndexArray, IndexArray]]:
    """Return the squares that cover pixels at the least cost, margins included.

    Returns
    -------
    y, x : 1-D arrays
        Where the squares begin.
    side : int
        Their size, 1 or one of `sides`.
    place : tuple of 1-D arrays
        Row and column of each pixel in its square, and the square's number.
    """
    y, x = np.divmod(pixels, nx)
    least = pixels.size * (1 + 2 * margin) ** 2
    best = y, x, 1, (np.zeros_like(y), np.zeros_like(x), np.arange(pixels.size))
    for side in sides:
        holders = squares_of(pixels, nx, side)
        squares = sorted_distinct(holders)
        cost = squares.size * (side + 2 * margin) ** 2
        if cost >= least:
            break
        least = cost
        square_y, square_x = np.divmod(squares, -(-nx // side))
        place = y % side, x % side, np.searchsorted(squares, holders)
        best = square_y * side, square_x * side, side, place
    return best
