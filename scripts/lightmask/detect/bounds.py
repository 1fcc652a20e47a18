"""Tiles, and which of them can hold a cosmic ray: bounds of the Laplacian and of the noise.

An image comes in, doubtful tiles go out.

A tile is 8x8 pixels, kept or discarded as a whole.  One cheap pass over the image gives, for every
tile, an upper bound of the Laplacian and a lower bound of the noise.  Where their ratio stays below
``sigclip`` no pixel can be a cosmic ray.  ``docs/lacosmic.md`` explains why the bounds hold.
"""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray
from lightmask.detect.electrons import Electrons
from lightmask.detect.medians import FULL, Medians
from lightmask.detect.significance import laplacian, least_variance
from lightmask.detect.windows import squares_of, stacks

TILE = 8  # side of a tile [pixels]
STRIP = 128  # rows per step of the dense pass: a few arrays of them fit the cache


class TileExtremes(NamedTuple):
    """Extremes of the pixels of each tile."""

    contrast: FloatArray  # (tiles_y, tiles_x), upper bound of the Laplacian
    lowest: FloatArray  # (tiles_y, tiles_x)
    highest: FloatArray  # (tiles_y, 1), of at least the tile


def tile_extremes(data: FloatArray) -> TileExtremes:
    """Reduce an image to the extremes of its tiles: the only pass over all pixels.

    Parameters
    ----------
    data : (ny, nx) float32 array

    Returns
    -------
    TileExtremes
    """
    ny, nx = data.shape
    tiles_y = -(-ny // TILE)
    contrast = np.empty((tiles_y, -(-nx // TILE)), np.float32)
    lowest = np.empty_like(contrast)
    highest = np.empty(tiles_y, np.float32)
    work = np.empty((2, (min(STRIP, ny) + 2) * nx), np.float32)
    flat = data.ravel()
    for top in range(0, ny, STRIP):
        bottom = min(top + STRIP, ny)
        tiles = slice(top // TILE, -(-bottom // TILE))
        strip = data[top:bottom]
        reduce_to_tiles(np.minimum, strip, lowest[tiles])
        highest[tiles] = strip.max()
        # Of its neighbours n, a pixel c has a Laplacian of at most half the sum
        # of max(0, c - n) = c - min(c, n).  Pixels at the edge of the image are
        # never cosmic rays: rows there have no bound, and the ends of rows one
        # with a wrong neighbour.
        bound, other = work[:, : strip.size + 2 * nx]
        bound[:nx] = bound[strip.size - nx : strip.size] = -np.inf
        first, last = max(top, 1) * nx, min(bottom, ny - 1) * nx
        if first < last:
            n = last - first
            inner = bound[first - top * nx :][:n]
            lesser = np.minimum(flat[first - nx : last], flat[first : last + nx], out=other[: n + nx])
            np.add(lesser[:-nx], lesser[nx:], out=inner)
            lesser = np.minimum(flat[first - 1 : last], flat[first : last + 1], out=other[: n + 1])
            inner += lesser[:-1]
            inner += lesser[1:]
            np.multiply(flat[first:last], np.float32(4), out=other[:n])
            np.subtract(other[:n], inner, out=inner)
        reduce_to_tiles(np.maximum, bound[: strip.size].reshape(strip.shape), contrast[tiles])
    contrast *= np.float32(0.5)
    return TileExtremes(contrast, lowest, highest[:, None])


def reduce_to_tiles(extreme: np.ufunc, image: FloatArray, tiles: FloatArray) -> None:
    """Reduce every TILE x TILE pixels to one; at the end they may be fewer."""
    ny, nx = image.shape
    whole = ny // TILE
    rows = np.empty((len(tiles), nx), np.float32)
    extreme.reduce(image[: whole * TILE].reshape(whole, TILE, nx), axis=1, out=rows[:whole])
    if whole < len(tiles):
        extreme.reduce(image[whole * TILE :], axis=0, out=rows[whole])
    whole = nx // TILE
    columns = rows[:, : whole * TILE]
    for _ in range(TILE.bit_length() - 1):  # faster than to reduce by few at a time
        columns = extreme(columns[:, ::2], columns[:, 1::2])
    tiles[:, :whole] = columns
    if whole < tiles.shape[1]:
        extreme.reduce(rows[:, whole * TILE :], axis=1, out=tiles[:, whole])


def with_neighbours(extreme: np.ufunc, tiles: FloatArray) -> FloatArray:
    """Return the extreme over each tile and its eight neighbours."""
    padded = np.pad(tiles, 1, mode="edge")
    rows = extreme(extreme(padded[:-2], padded[1:-1]), padded[2:])
    result: FloatArray = extreme(extreme(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return result


class Bounds:
    """Bounds of each tile, and which tiles are active: those that a change may have reached.

    Attributes
    ----------
    contrast : (tiles_y, tiles_x) float32 array
        Upper bound of the Laplacian [electron]; infinite where it is not known.
    low_variance : (tiles_y, tiles_x) float32 array
        Lower bound of the median of the variance [electron^2].
    low_background : (tiles_y, tiles_x) float32 array or None
        Lower bound of the background [electron].
    active : (tiles_y, tiles_x) bool array
    """

    def __init__(self, tiles: TileExtremes, image: Electrons, medians: Medians = FULL) -> None:
        # Bound and Laplacian are sums of a few pixels, rounded; each is wrong by
        # less than 2**-19 of the largest among them.
        largest = with_neighbours(np.maximum, np.maximum(tiles.highest, -tiles.lowest))
        self.contrast = tiles.contrast + np.float32(2.0**-18) * largest
        self.low_variance = with_neighbours(np.minimum, _low_variance(tiles.lowest, image))
        self.low_background: FloatArray | None = None
        if image.background is not None:
            low_background = np.empty_like(self.low_variance)
            reduce_to_tiles(np.minimum, image.background, low_background)
            self.low_background = with_neighbours(np.minimum, low_background)
        self.active: BoolArray = np.ones(tiles.contrast.shape, np.bool_)
        self._extends, self._least = medians.extends, least_variance(image, medians)
        if medians.extends:
            # The bound of the Laplacian knows no edge, and pixels there count more than once in a median.
            edges = np.ones(tiles.contrast.shape, np.bool_)
            edges[1:-1, 1:-1] = False
            self.contrast[edges] = np.inf
            low: FloatArray | float = -np.inf
            if image.variance.image is None:
                low = with_neighbours(np.minimum, tiles.lowest + image.variance.of_read_noise)[edges]
            self.low_variance[edges] = low

    def doubtful(self, tiles: IndexArray, data: FloatArray, sigclip: np.float32) -> IndexArray:
        """Return those of the tiles whose bounds do not rule out a cosmic ray.

        Parameters
        ----------
        tiles : 1-D array
        data : (ny, nx) float32 array
            The image as it is now [electron], from which bounds that are not known are computed.
        sigclip : float32
            Least significance of a cosmic ray [sigma].

        Returns
        -------
        1-D array
        """
        contrast = self.contrast.ravel()
        unknown = tiles[np.isinf(contrast[tiles])]
        y, x = np.divmod(unknown, self.active.shape[1])
        for part, windows in stacks(data.shape, y * TILE, x * TILE, TILE, 1):
            contrast[unknown[part]] = laplacian(windows.take(data, self._extends)).max(axis=(0, 1))
        variance = self.low_variance.ravel()[tiles]
        if self.low_background is not None:
            variance += self.low_background.ravel()[tiles]
        noise = np.sqrt(np.maximum(variance, self._least))
        limit = np.float32(2 - 2.0**-20) * sigclip * noise
        return tiles[~(contrast[tiles] <= limit)]

    def renew(self, changed: IndexArray, variances: FloatArray, nx: int, reach: int) -> None:
        """Make tiles active where pixels changed, and renew their bounds.

        Parameters
        ----------
        changed : 1-D array
            Pixels whose data or variance changed.
        variances : 1-D array
            Their new variance [electron^2].
        nx : int
            Columns of the image.
        reach : int
            How far away a changed pixel can be to make a difference [pixel].
        """
        tiles_x = self.active.shape[1]
        y, x = np.divmod(changed, nx)
        for dy, dx in itertools.product((-1, 1), repeat=2):
            near = np.maximum(y + dy, 0) // TILE, np.maximum(x + dx, 0) // TILE
            rows, columns = (np.minimum(each, n - 1) for each, n in zip(near, self.active.shape, strict=True))
            self.contrast[rows, columns] = np.inf
        tiles = squares_of(changed, nx, TILE)
        order = np.argsort(tiles)
        tiles = tiles[order]
        first = np.flatnonzero(np.diff(tiles, prepend=-1))
        least = np.minimum.reduceat(variances[order], first) if first.size else variances
        y, x = np.divmod(tiles[first], tiles_x)
        away = -(-reach // TILE)
        for dy, dx in itertools.product(range(-away, away + 1), repeat=2):
            near = np.clip(y + dy, 0, len(self.active) - 1), np.clip(x + dx, 0, tiles_x - 1)
            self.active[near] = True
            np.minimum.at(self.low_variance, near, least)


def _low_variance(lowest: FloatArray, image: Electrons) -> FloatArray:
    """Return for each tile a variance that at most 3 of its pixels are below.

    A median over 7x7 (16 of 49 pixels when separable, 13 of 25 when over 5x5)
    is below a value only if one of the at most 4 tiles that it touches has 4
    pixels that are.  So the least such variance of a tile and its neighbours
    is a lower bound of the median, dead pixels or not.
    """
    variance, read_variance = image.variance.image, image.variance.of_read_noise
    if variance is None:
        low = lowest + read_variance
    else:
        low = np.empty_like(lowest)
        reduce_to_tiles(np.minimum, variance, low)
    # The minimum does, and costs least, but where it is an outlier.
    whole = low[: image.shape[0] // TILE, : image.shape[1] // TILE]
    if not whole.size:
        return low
    y, x = np.nonzero(whole < np.float32(0.5) * with_neighbours(np.maximum, whole))
    pixels = sliding_window_view(image.data if variance is None else variance, (TILE, TILE))[y * TILE, x * TILE]
    fourth = np.partition(pixels.reshape(-1, TILE * TILE), 3, axis=1)[:, 3]
    low[y, x] = fourth + read_variance if variance is None else fourth
    return low
