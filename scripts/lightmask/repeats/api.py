"""Compare an image with others of its field: the one way in."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.repeats.alignment import Alignment, Matrix, align, apply
from lightmask.repeats.evidence import FEWEST, Neighbour, compare
from lightmask.repeats.fixed import DISPLACED, fixed
from lightmask.repeats.joining import join, left_over
from lightmask.repeats.stars import Read, find_stars

AT_A_TIME = 1 << 20
"""Pixels of an image that are read at a time."""
FARTHEST = 5
"""Pixels around one in which light is looked for."""
NONE = np.zeros(0, np.int64)


class Exposure(NamedTuple):
    """An image of a field.

    Attributes
    ----------
    read : callable
        Returns some rows of it [counts], with NaN where a pixel is bad or saturated.
    shape : (int, int)
        Rows and columns.
    guesses : tuple of (2, 3) array
        Of another exposure: where the image may lie in it, of ``row, column, 1``; turn and scale count.
    """

    read: Read
    shape: tuple[int, int]
    guesses: tuple[Matrix, ...] = ()


class Compared(NamedTuple):
    """What the comparison with other exposures has shown; pixels are places in the flattened image.

    Attributes
    ----------
    alignments : tuple of (Alignment or None)
        Of each of the others; None where stars do not agree. With fewer than two there is no comparison.
    added : (n,) int array
        Pixels of rays that the detector did not find.
    removed : (n,) int array
        Pixels that the detector found, and that are no rays: others show them at the same place of the sky, or they are
        noise at the rim of one.
    suspect : (n,) int array
        Pixels that it found, or that are added, and that others show at the same place of the detector: they are hot.
        Where no other image is displaced these are all that recur.
    sources : (n,) int array
        Peaks of what no other image shows and what looks like a star, or is large: it moves, or varies.
    """

    alignments: tuple[Alignment | None, ...]
    added: NDArray[np.int64] = NONE
    removed: NDArray[np.int64] = NONE
    suspect: NDArray[np.int64] = NONE
    sources: NDArray[np.int64] = NONE


def compare_exposures(
    image: Exposure,
    others: Sequence[Exposure],
    found: NDArray[np.bool_],
    variance: Callable[[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]], NDArray[np.float32]],
) -> Compared:
    """Find what stands in one exposure of a field and in none of the others, and join it with what a detector found.

    What is brighter than the median of the aligned neighbours, scaled to flux and sky, by five of its errors is a ray
    and goes on to 2.6; its error is the noise, and 25% of the light around for the seeing. What a detector found and
    neighbours show as well is none. What only repeats show and looks like a star is reported: it moves, or varies.

    Parameters
    ----------
    image : Exposure
    others : sequence of Exposure
        Of the same field, filter and exposure time.
    found : (ny, nx) bool array
        Cosmic rays that a detector found in the image alone.
    variance : callable
        Returns the variance [counts^2] of pixels of the image, given row, column and light [counts] of each.

    Returns
    -------
    Compared

    Raises
    ------
    FrameError
        If stars must be matched by astroalign, and it is not installed.

    Notes
    -----
    Memory: bands of the image and of one neighbour at a time, and some numbers for each pixel that stands out of the
    sky. Where a neighbour is turned, a band of the image may need all of it.

    Examples
    --------
    >>> import numpy as np
    >>> from lightmask.repeats import Exposure, compare_exposures
    >>> rng = np.random.default_rng(1)
    >>> y, x = np.indices((60, 60))
    >>> places = rng.uniform(10, 50, (9, 2))
    >>> sky = 100 + sum(3000 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 3) for row, column in places)
    >>> images = rng.poisson(sky, (4, 60, 60)).astype(np.float32)
    >>> images[0, 4, 20:23] += 500
    >>> exposures = [Exposure(image.__getitem__, image.shape) for image in images]
    >>> compared = compare_exposures(exposures[0], exposures[1:], np.zeros((60, 60), bool), lambda y, x, light: light)
    >>> np.divmod(compared.added, 60)
    (array([4, 4, 4]), array([20, 21, 22]))
    """
    height = max(AT_A_TIME // image.shape[1], 1)
    stars = find_stars(image.read, image.shape, height)
    alignments, neighbours = [], []
    for other in others:
        its_stars = find_stars(other.read, other.shape, height)
        alignment = align(stars, its_stars, other.shape, other.guesses)
        alignments.append(alignment)
        if alignment:
            width = 2 * np.sqrt(np.median(stars.area[alignment.stars]) / np.pi)
            reach = int(np.clip(np.rint(width / 2), 1, FARTHEST))
            noise = (its_stars.sigma / alignment.flux) / stars.sigma if stars.sigma else 1.0
            neighbours.append(Neighbour(other.read, other.shape, alignment, reach, noise**2))
    if len(neighbours) < FEWEST:
        return Compared(tuple(alignments))
    evidence = compare(image.read, image.shape, variance, neighbours, found, height)
    # What another image shows too is a star, and no ray.
    true = np.unique(np.concatenate([each.alignment.stars for each in neighbours]))
    joined = join(found, evidence, np.median(stars.images[true], axis=0))
    seen = np.union1d(np.flatnonzero(found), joined.added)
    seen = seen[np.isin(seen, evidence.pixels)]
    contrast = evidence.contrast[np.searchsorted(evidence.pixels, seen)]
    suspect = seen[fixed(seen, contrast, image.shape, variance, neighbours, height)]
    rest = left_over(seen, suspect, evidence, image.shape[1])
    added = np.setdiff1d(joined.added, rest)
    not_rays = np.concatenate([joined.recurring, joined.faint, np.setdiff1d(rest, joined.added)])
    middle = np.array(image.shape) / 2
    displaced = [np.abs(apply(each.alignment.matrix, middle) - middle).max() >= DISPLACED for each in neighbours]
    if sum(displaced) < FEWEST:  # nobody can tell what is on the sky from what is on the detector
        suspect = np.union1d(suspect, joined.recurring)
    return Compared(tuple(alignments), added, np.setdiff1d(not_rays, suspect), suspect, joined.sources)
