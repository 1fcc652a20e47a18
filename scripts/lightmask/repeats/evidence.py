"""What stands in one image of a field and in none of the others.

An image and its aligned neighbours come in, in bands; out go the pixels that stand out of the sky, and for each of them
by how much it exceeds what the neighbours show there.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.repeats.alignment import Alignment, apply
from lightmask.repeats.stars import Read

FEWEST = 2
"""Neighbours that must show a pixel, for it to be compared."""
LEAST_EXCESS = 1.0
"""Of a pixel that is kept, if the detector did not find it."""
LEAST_CONTRAST = 2.5
"""Of a pixel that is compared: above the sky around it, in the noise."""
LEAST_PEAK = 4.0
"""The same of one that touches no other such pixel."""
FLUX_ERROR = 0.22
"""Part of the light of the sources around that changes of seeing move: with the error of the median of five, 25%."""
OF_MEDIAN = 1.5
"""Variance of the median of values, in that of one of them, times their number: of noise, about."""
OF_LOWER = 0.8
"""How far the lower middle one of an even number of values lies below their median, in the noise of a pixel, times the
number: 1.19, and less as values lie between pixels, where the noise is less."""
BLOCK = 64
"""Side of the squares in which the level of the sky is measured, in pixels."""
EVERY = 4
"""Row and column of the sample that this takes."""
SQUARE, OF_DIFFERENCE = 128, 8
"""The same for the difference from a neighbour, in pixels: it is smooth."""


class Neighbour(NamedTuple):
    """Another image of the field.

    Attributes
    ----------
    read : callable
        Returns some rows of it [counts], with NaN where a pixel is bad or saturated.
    shape : (int, int)
        Its own.
    alignment : Alignment
        Where the image lies in it.
    reach : int
        How far around a pixel its light may move as the seeing changes: about half of the width of a star [pixel].
    variance : float
        Of its sky, at the flux of the image, in that of the sky of the image.
    """

    read: Read
    shape: tuple[int, int]
    alignment: Alignment
    reach: int = 1
    variance: float = 1.0


class Evidence(NamedTuple):
    """Pixels that stand out of neighbours, and those that a detector found.

    Attributes
    ----------
    pixels : (n,) int array
        Places in the flattened image, in order.
    excess : (n,) float32 array
        By how much the image is brighter than the neighbours, in its error; NaN where too few of them show the pixel.
    error : (n,) float32 array
        Of the excess [counts].
    contrast : (n,) float32 array
        By how much the pixel stands out of the sky [counts].
    sigma : (n,) float32 array
        Noise of the pixel [counts].
    beside_bad : (n,) bool array
        Whether one of the eight pixels around is bad or saturated.
    """

    pixels: NDArray[np.int64]
    excess: NDArray[np.float32]
    error: NDArray[np.float32]
    contrast: NDArray[np.float32]
    sigma: NDArray[np.float32]
    beside_bad: NDArray[np.bool_]


def levels(data: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return the medians of squares of so many pixels.

    Parameters
    ----------
    data : (ny, nx) float32 array
        With NaN for what is not known.
    side : int

    Returns
    -------
    (rows, columns) float32 array
        The median of all where nothing is known of a square.
    """
    rows, columns = (-(-length // side) for length in data.shape)
    squares = np.full((rows * side, columns * side), np.nan, np.float32)
    squares[: data.shape[0], : data.shape[1]] = data
    squares = squares.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    squares = np.sort(squares, axis=2)  # NaN come last
    number = np.isfinite(squares).sum(axis=2)
    middle = np.take_along_axis(squares, np.maximum(number - 1, 0)[..., None] // 2, axis=2)[..., 0]
    known = number > 0
    return np.where(known, middle, np.median(middle[known]) if known.any() else 0).astype(np.float32)


def at(level: NDArray[np.float32], side: int, y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float32]:
    """Return a level, or several along the third axis, between the middles of its squares of `side` pixels."""
    row, column = ((np.asarray(place, np.float32) + 0.5) / side - 0.5 for place in (y, x))
    row, column = row.clip(0, level.shape[0] - 1), column.clip(0, level.shape[1] - 1)
    top, left = row.astype(np.intp), column.astype(np.intp)
    down, right = np.minimum(top + 1, level.shape[0] - 1), np.minimum(left + 1, level.shape[1] - 1)
    dy, dx = row - top, column - left
    if level.ndim == 3:
        dy, dx = dy[:, None], dx[:, None]
    above = level[top, left] * (1 - dx) + level[top, right] * dx
    below = level[down, left] * (1 - dx) + level[down, right] * dx
    found: NDArray[np.float32] = above * (1 - dy) + below * dy
    return found


def compare(
    read: Read,
    shape: tuple[int, int],
    variance: Callable[[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]], NDArray[np.float32]],
    neighbours: Sequence[Neighbour],
    found: NDArray[np.bool_],
    rows_at_a_time: int,
) -> Evidence:
    """Compare what stands out of the sky with aligned neighbours.

    What neighbours show is their median, scaled to flux and sky. Its error is the noise, and a part of the light
    around, as the seeing is not the same.

    Parameters
    ----------
    read : callable
        Returns some rows of the image [counts], with NaN where a pixel is bad or saturated.
    shape : (int, int)
        Of the image.
    variance : callable
        Returns the variance [counts^2] of pixels, given row, column and light [counts] of each.
    neighbours : sequence of Neighbour
    found : (ny, nx) bool array
        Pixels that are compared in any case.
    rows_at_a_time : int
        That the image is asked for.

    Returns
    -------
    Evidence
    """
    sample, of_difference = _sampled(read, shape, rows_at_a_time)
    sky = levels(sample, BLOCK // EVERY)
    differences = np.stack([_difference(of_difference, each, rows_at_a_time) for each in neighbours], axis=2)
    row, column = (np.minimum(BLOCK * each, side - 1) for each, side in zip(np.indices(sky.shape), shape, strict=True))
    noise = np.sqrt(variance(row, column, sky))
    # A first look with the least of the levels and noises around leaves few pixels.
    least = _least_around((sky + LEAST_CONTRAST * noise).astype(np.float32)).repeat(BLOCK, axis=1)[:, : shape[1]]
    parts = []
    for top in range(0, shape[0], rows_at_a_time):
        around = slice(max(top - 1, 0), min(top + rows_at_a_time + 1, shape[0]))
        data = read(around).astype(np.float32, copy=False)
        rows = slice(top, min(top + rows_at_a_time, shape[0]))
        parts.append(_of_band(data, around.start, rows, found, sky, least, variance, neighbours, differences))
    pixels, *values = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Evidence(pixels, *values)


def _sampled(
    read: Read, shape: tuple[int, int], rows_at_a_time: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return every so many pixels of an image: for its sky, and for its difference from neighbours."""
    height = -(-rows_at_a_time // OF_DIFFERENCE) * OF_DIFFERENCE  # which is a multiple of EVERY
    both: list[list[NDArray[np.float32]]] = [[], []]
    for top in range(0, shape[0], height):
        data = read(slice(top, min(top + height, shape[0])))
        for parts, step in zip(both, (EVERY, OF_DIFFERENCE), strict=True):
            parts.append(data[::step, ::step].astype(np.float32))
    return np.concatenate(both[0]), np.concatenate(both[1])


def _difference(sample: NDArray[np.float32], neighbour: Neighbour, rows_at_a_time: int) -> NDArray[np.float32]:
    """Return by how much the image is brighter than a neighbour at its flux, in squares: light of sources cancels."""
    result, height = sample.copy(), max(rows_at_a_time // OF_DIFFERENCE, 1)
    matrix, (ny, nx) = neighbour.alignment.matrix, neighbour.shape
    x = OF_DIFFERENCE * np.arange(sample.shape[1])
    for top in range(0, len(sample), height):
        part = result[top : top + height]
        y = OF_DIFFERENCE * np.arange(top, top + len(part))[:, None]
        row, column = (np.rint(each[0] * y + (each[1] * x + each[2])).astype(np.intp) for each in matrix)
        inside = (row >= 0) & (row < ny) & (column >= 0) & (column < nx)
        first = np.clip(row.min(), 0, ny - 1)
        data = neighbour.read(slice(first, np.clip(row.max(), 0, ny - 1) + 1))
        there = data[row.clip(first, first + len(data) - 1) - first, column.clip(0, nx - 1)]
        part -= np.where(inside, there, np.nan).astype(np.float32) * np.float32(1 / neighbour.alignment.flux)
    return levels(result, SQUARE // OF_DIFFERENCE)


def _of_band(
    data: NDArray[np.float32],
    first: int,
    rows: slice,
    found: NDArray[np.bool_],
    sky: NDArray[np.float32],
    least: NDArray[np.float32],
    variance: Callable[..., NDArray[np.float32]],
    neighbours: Sequence[Neighbour],
    differences: NDArray[np.float32],
) -> tuple[NDArray[Any], ...]:
    """Compare some rows; those beside them are there, too, from `first` on."""
    height, width = data.shape
    blocks = range(first // BLOCK, -(-(first + height) // BLOCK))
    with np.errstate(invalid="ignore"):
        above = [data[max(row * BLOCK - first, 0) : (row + 1) * BLOCK - first] > least[row] for row in blocks]
    of_detector = found[first : first + height].ravel()
    places = np.flatnonzero(np.concatenate(above).ravel() | of_detector)
    y, x = np.divmod(places, width)
    y += first
    values, level = data.ravel()[places], at(sky, BLOCK, y, x)
    sigma = np.sqrt(variance(y, x, level))
    contrast = values - level
    kept = np.isfinite(values) & ((contrast > LEAST_CONTRAST * sigma) | of_detector[places])
    is_peak = (contrast > LEAST_PEAK * sigma) | of_detector[places]
    kept[kept] = _may_be_of_ray(places[kept], is_peak[kept], data.shape)
    kept &= (y >= rows.start) & (y < rows.stop)
    places, y, x, level, contrast = places[kept], y[kept], x[kept], level[kept], contrast[kept]
    shown = np.full((len(neighbours), y.size), np.nan, np.float32)
    highest = shown.copy()
    offsets = at(differences, SQUARE, y, x).T - level
    for place, (each, offset) in enumerate(zip(neighbours, offsets, strict=True)):
        its_own = _shown(each, y, x)
        shown[place], highest[place] = its_own[0] + offset, its_own[1] + offset
    model, number = _median(shown)
    around, _ = _median(highest)
    around = np.maximum(around, 0)
    residual = contrast - model
    light = level + np.maximum(model, 0)
    of_pixel = variance(y, x, light)
    structure = np.maximum(around - np.maximum(model, 0) - 2 * np.sqrt(of_pixel), 0)
    ratio = np.float32(np.mean([each.variance for each in neighbours]))
    number = np.maximum(number, 1)
    residual -= np.where(number % 2, 0, OF_LOWER / number * np.sqrt(ratio * of_pixel))
    of_seeing = (FLUX_ERROR * around) ** 2 * (1 + OF_MEDIAN / number)
    error = np.sqrt(of_pixel * (1 + ratio * OF_MEDIAN / number) + of_seeing + (0.5 * structure) ** 2)
    excess = np.where(number >= FEWEST, residual / error, np.float32(np.nan)).astype(np.float32)
    pixels = y.astype(np.int64) * width + x
    flat = np.pad(data, 1, mode="edge").ravel()
    corner = (y - first) * (width + 2) + x  # of its 3x3
    beside = [~np.isfinite(flat[corner + down * (width + 2) + right]) for down in range(3) for right in range(3)]
    with np.errstate(invalid="ignore"):  # most pixels of stars, nebulae and galaxies are as bright as in neighbours
        kept = (excess > LEAST_EXCESS) | of_detector[places]
    values_of = (pixels, excess, error.astype(np.float32), contrast, np.sqrt(of_pixel), np.logical_or.reduce(beside))
    return tuple(each[kept] for each in values_of)


def _may_be_of_ray(places: NDArray[np.intp], is_peak: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels are peaks, or touch another one: others are noise."""
    width = shape[1] + 1  # the first of a row does not touch the last of another one
    places = places + places // shape[1] + width + 1
    there = np.zeros((shape[0] + 2) * width + 2, np.bool_)
    there[places] = True
    beside = [there[places + down * width + right] for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
    return np.asarray(np.logical_or.reduce([is_peak, *beside]), np.bool_)


def _least_around(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the least of each square and the eight around it."""
    padded = np.pad(level, 1, mode="edge")
    ny, nx = level.shape
    shifted = [padded[dy : dy + ny, dx : dx + nx] for dy in range(3) for dx in range(3)]
    return np.minimum.reduce(shifted)


def _shown(
    neighbour: Neighbour, y: NDArray[np.intp], x: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what a neighbour shows, its sky included, at the flux of the image: there, and at most around there."""
    shown = np.full(y.size, np.nan, np.float32)
    highest = shown.copy()
    place = apply(neighbour.alignment.matrix, np.stack([y, x], axis=1).astype(np.float64))
    top, left = np.floor(place).astype(np.intp).T
    reach, (ny, nx) = neighbour.reach, neighbour.shape
    inside = (top >= reach) & (left >= reach) & (top < ny - 1 - reach) & (left < nx - 1 - reach)
    inside = np.flatnonzero(inside)
    if not inside.size:
        return shown, highest
    top, left, place = top[inside], left[inside], place[inside]
    first = int(top.min()) - reach
    data = neighbour.read(slice(first, int(top.max()) + 2 + reach)).astype(np.float32, copy=False)
    flat, width = data.ravel(), data.shape[1]
    corner = (top - first) * width + left
    dy, dx = (place - np.stack([top, left], axis=1)).T.astype(np.float32)
    most = np.full(corner.size, -np.inf, np.float32)
    value = np.zeros(corner.size, np.float32)
    steps = sorted({-reach, 0, 1, 1 + reach})
    for row, column in itertools.product(steps, steps):
        is_near = row in (0, 1), column in (0, 1)
        if not any(is_near):
            continue
        pixel = flat[corner + row * width + column]
        np.fmax(most, pixel, out=most)
        if all(is_near):
            value += pixel * (dy if row else 1 - dy) * (dx if column else 1 - dx)
    scale = np.float32(1 / neighbour.alignment.flux)
    shown[inside] = value * scale
    highest[inside] = np.where(np.isfinite(value), most * scale, np.float32(np.nan))
    return shown, highest


def _median(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return the median along the first axis, of what is there, the lower of two; and how many there are."""
    values = np.sort(values, axis=0)  # NaN come last
    number = np.isfinite(values).sum(axis=0)
    result = values[np.maximum(number - 1, 0) // 2, np.arange(values.shape[1])]
    return np.where(number > 0, result, np.float32(0)), number
