"""Where the pixels of an image lie in another image of the same field.

Stars of both come in, and what headers say of their pointing; a transformation goes out, if stars confirm it.
"""

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.errors import needed
from lightmask.repeats.stars import Stars

Matrix = NDArray[np.float64]
"""(2, 3): of ``row, column, 1`` of an image it makes row and column of another one."""
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
HALF_TURN = -IDENTITY
"""What a mount does that changes sides of its pier at the meridian."""
CELL = 4.0
"""Side of the cells in which shifts between stars are counted, in pixels."""
RADII = (6.0, 3.0, 1.5, 1.5)
"""How far from its place a star may be, each time that the transformation is fitted, in pixels."""
FEWEST, SHARE_OF_FEW = 3, 0.5
"""Stars that must agree, in all and of those that both images show, where there are few."""
FEWEST_OF_MANY, LEAST_SHARE = 5, 0.1
"""The same where there are many peaks, most of them of rays: of stars, more than chance brings together."""
MOST_UNLIKE = 0.5
"""By how much the logarithm of the ratio of the fluxes of a star may differ from that of others."""
MOST_OFF = 0.5
"""Median of the distances of stars that agree, in pixels."""
WIDE = 0.4
"""Of the area that few peaks exceed: what is narrower is rather a ray than a star, where stars are wide."""
OF_TRIANGLES = 12, 25
"""Brightest stars that triangles are made of, in the order in which it is tried."""
FEWEST_FOR_SCALE, FEWEST_FOR_AFFINE = 4, 12
"""Stars from which on more than a shift, and more than a turn and a scale, is fitted."""
FOR_AFFINE = 1.5
"""How far stars may be for the latter, in pixels: some of those that are farther away are wrong."""
BETTER, NO_WORSE = 1.2, 0.02
"""Factor, and pixels, by which the median distance must decrease for that."""


class Alignment(NamedTuple):
    """Where an image lies in another one.

    Attributes
    ----------
    matrix : (2, 3) array
        Of ``row, column, 1`` of the image it makes row and column of the other one.
    flux : float
        Of a star in the other image, in that of the image.
    stars : (n,) int array
        Those of the image that agree.
    off : float
        Median of their distances [pixel].
    """

    matrix: Matrix
    flux: float
    stars: NDArray[np.intp]
    off: float


def align(stars: Stars, others: Stars, shape: tuple[int, int], guesses: Iterable[Matrix] = ()) -> Alignment | None:
    """Find where an image lies in another one, by the stars of both.

    A guess gives turn and scale; the shift is that on which most pairs of stars agree. Where no guess leads to an
    agreement, triangles of stars are compared, by astroalign [1]_.

    Parameters
    ----------
    stars, others : Stars
        Of the image, and of the other one.
    shape : (int, int)
        Of both images.
    guesses : iterable of (2, 3) array
        By world coordinates, for example. That nothing is turned, or by half a turn, is always tried.

    Returns
    -------
    Alignment or None
        None if stars do not agree.

    Raises
    ------
    FrameError
        If astroalign is wanted and not installed.

    References
    ----------
    .. [1] Beroiz, Cabral & Sanchez 2020, Astronomy and Computing 32, 100384
    """
    if min(len(stars.place), len(others.place)) < FEWEST:
        return None
    for guess in (*guesses, IDENTITY, HALF_TURN):
        if found := _refined(_shifted(guess, stars, others), stars, others, shape):
            return found
    turned = _of_triangles(stars, others)
    return None if turned is None else _refined(turned, stars, others, shape)


def apply(matrix: Matrix, place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where places, as (n, 2), lie in the other image."""
    result: NDArray[np.float64] = place @ matrix[:, :2].T + matrix[:, 2]
    return result


def _shifted(guess: Matrix, stars: Stars, others: Stars) -> Matrix:
    """Return a guess with the shift on which most pairs of stars agree."""
    predicted = apply(guess, stars.place)
    off = [(others.place[None, :, axis] - predicted[:, None, axis]).ravel() for axis in (0, 1)]
    row, column = (np.floor(each / CELL).astype(np.int64) for each in off)
    column -= column.min()
    width = int(column.max()) + 2
    number = row * width + column
    values, counts = np.unique(number, return_counts=True)
    total = counts.copy()
    for step in (1, width, width + 1):  # a shift may lie on the border of cells
        place = np.searchsorted(values, values + step)
        place[place == values.size] = 0
        total += np.where(values[place] == values + step, counts[place], 0)
    of_best = values[total.argmax()] + np.array([0, 1, width, width + 1])
    is_best = np.isin(number, of_best)
    shift = np.array([_median(each[is_best]) for each in off])
    return np.column_stack([guess[:, :2], guess[:, 2] + shift])


def _refined(matrix: Matrix, stars: Stars, others: Stars, shape: tuple[int, int]) -> Alignment | None:
    """Fit a transformation to the stars that agree; return None if they are too few."""
    for radius in RADII:
        predicted = apply(matrix, stars.place)
        off = [predicted[:, None, axis] - others.place[None, :, axis] for axis in (0, 1)]
        squared = off[0] ** 2 + off[1] ** 2
        nearest = squared.argmin(axis=1)
        own = np.arange(len(predicted))
        agree = np.flatnonzero((squared[own, nearest] < radius**2) & (squared.argmin(axis=0)[nearest] == own))
        if agree.size:
            ratio = np.log(others.flux[nearest[agree]] / stars.flux[agree])
            agree = agree[np.abs(ratio - _median(ratio)) < MOST_UNLIKE]
        if agree.size < FEWEST:
            return None
        first, second = stars.place[agree], others.place[nearest[agree]]
        matrix = _fitted(first, second, matrix, radius <= FOR_AFFINE)
    median_off = float(_median(np.linalg.norm(apply(matrix, first) - second, axis=1)))
    back = np.asarray(np.linalg.solve(matrix[:, :2], (others.place - matrix[:, 2]).T).T, np.float64)
    inside = [int(np.count_nonzero(_is_inside(places, shape))) for places in (predicted, back)]
    share = agree.size / (min(inside) or 1)
    chance = inside[0] * inside[1] * (2 * CELL) ** 2 / (shape[0] * shape[1])
    is_sure = agree.size >= FEWEST_OF_MANY + 4 * chance and share >= LEAST_SHARE
    if median_off > MOST_OFF or not (is_sure or share >= SHARE_OF_FEW):
        return None
    return Alignment(matrix, float(np.exp(_median(ratio))), agree, median_off)


def _median(values: NDArray[np.float64]) -> Any:
    """Return the median along the first axis; of few values `numpy.median` takes ten times as long."""
    values = np.sort(values, axis=0)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def _is_inside(place: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(((place > -0.5) & (place < np.array(shape) - 0.5)).all(axis=1), np.bool_)


def _fitted(first: NDArray[np.float64], second: NDArray[np.float64], guess: Matrix, is_close: bool) -> Matrix:
    """Fit a shift; also turn and scale, or a linear transformation, where stars enough show that it is needed."""
    middle, other = first.mean(axis=0), second.mean(axis=0)
    a, b = first - middle, second - other
    fits = [guess[:, :2]]
    if len(first) >= FEWEST_FOR_SCALE:
        flip = np.array([1.0, np.sign(np.linalg.det(guess[:, :2]))])
        seen = a * flip
        power = (seen**2).sum()
        along, across = (seen * b).sum() / power, (seen[:, 0] * b[:, 1] - seen[:, 1] * b[:, 0]).sum() / power
        fits.append(np.array([[along, -across], [across, along]]) * flip)
    if is_close and len(first) >= FEWEST_FOR_AFFINE:
        fits.append(np.linalg.lstsq(a, b, rcond=None)[0].T)
    matrices = [np.column_stack([linear, _median(second - first @ linear.T)]) for linear in fits]
    off = [float(_median(np.linalg.norm(apply(matrix, first) - second, axis=1))) for matrix in matrices]
    return next(matrix for matrix, value in zip(matrices, off, strict=True) if value <= BETTER * min(off) + NO_WORSE)


def _of_triangles(stars: Stars, others: Stars) -> Matrix | None:
    """Return the transformation that triangles of the brightest stars have in common; None if there is none."""
    try:
        import astroalign
    except ModuleNotFoundError as error:
        raise needed(str(error.name), "repeats: auto", "repeats") from None
    wide = [each.area >= WIDE * np.percentile(each.area, 80) for each in (stars, others)]
    every = [np.ones(each.area.size, bool) for each in (stars, others)]
    for most, (one, other) in itertools.product(OF_TRIANGLES, (wide, every)):
        first, second = stars.place[one][:most, ::-1], others.place[other][:most, ::-1]
        try:
            found, _ = astroalign.find_transform(first, second)
            break
        except (astroalign.MaxIterError, ValueError, TypeError):  # what it raises where too few triangles agree
            continue
    else:
        return None
    turn = np.asarray(found.params)
    return np.array(
        [[turn[1, 1], turn[1, 0], turn[1, 2]], [turn[0, 1], turn[0, 0], turn[0, 2]]],
    )
