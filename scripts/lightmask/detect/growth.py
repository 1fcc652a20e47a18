"""Grow seeds to whole tracks, and decide which of them are cosmic rays.

In come an image with its contrast, and seeds; out go pixels with their scores.  Of the whole image,
not of a band, come the events that these pixels make up.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arrays import BoolArray, IndexArray, distinct
from lightmask.detect.contrast import PER_OCTAVE, Contrast, stands_out
from lightmask.detect.electrons import Electrons
from lightmask.detect.net import HALF, PER_LOGIT, scores

STEPS = 40  # how far a track can go on without a seed [pixels]
LEAST_CONTRAST = PER_OCTAVE  # of a pixel: 1 sigma
LEAST_SCORE = -PER_LOGIT // 2  # of a pixel
LEAST_OF_EVENT = PER_LOGIT * 3 // 2  # of its best seed
LONG = 8  # pixels of an event from which on all of them count: spikes and trails are long, and never sure
LEAST_MEAN = PER_LOGIT * 5 // 4  # of these


class Scored(NamedTuple):
    """Pixels that the net takes for parts of cosmic rays.

    Attributes
    ----------
    pixels : 1-D array
        In order.
    score : 1-D int32 array
    is_seed : 1-D bool array
    """

    pixels: IndexArray
    score: NDArray[np.int32]
    is_seed: BoolArray


def grown(seeds: IndexArray, image: Electrons, bad: BoolArray, contrast: Contrast, star: NDArray[np.int16]) -> Scored:
    """Return what the net finds at seeds, and next to what it finds.

    Parameters
    ----------
    seeds : 1-D array
        Pixels.
    image : Electrons
    bad : (ny, nx) bool array
        Pixels that are never flagged.
    contrast : Contrast
    star : int16 array
        As `lightmask.detect.net.scores` takes it.

    Returns
    -------
    Scored
    """
    ny, nx = image.shape
    looked_at = np.zeros(ny * nx, np.bool_)
    front = distinct([seeds], image.seen, image.index_dtype)
    found: list[IndexArray] = []
    score: list[NDArray[np.int32]] = []
    for _ in range(STEPS + 1):
        if not front.size:
            break
        contrast.provide(front, HALF)
        places = contrast.places(front)
        good = stands_out(contrast, places, LEAST_CONTRAST)
        good &= ~bad.ravel()[front]
        looked_at[front] = True
        front = front[good]
        of_front = scores(contrast, places[good], star)
        accepted = of_front > LEAST_SCORE
        front = front[accepted]
        found.append(front)
        score.append(of_front[accepted])
        front = distinct(_neighbours(front, image.shape, looked_at), image.seen, image.index_dtype)
    pixels = np.concatenate(found) if found else front
    order = np.argsort(pixels)
    pixels = pixels[order]
    is_seed = np.isin(pixels, seeds, assume_unique=True)
    return Scored(pixels, np.concatenate(score)[order] if score else np.zeros(0, np.int32), is_seed)


def _neighbours(pixels: IndexArray, shape: tuple[int, ...], looked_at: BoolArray) -> list[IndexArray]:
    """Return the eight neighbours of pixels that nobody has looked at."""
    y, x = np.divmod(pixels, shape[1])
    found = []
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            inside = (y + dy >= 0) & (y + dy < shape[0]) & (x + dx >= 0) & (x + dx < shape[1])
            near = pixels[inside] + (dy * shape[1] + dx)
            found.append(near[~looked_at[near]])
    return found


def events_of(pixels: IndexArray, nx: int) -> IndexArray:
    """Return the number of the event of each pixel: what touches, also by a corner, is one.

    Parameters
    ----------
    pixels : 1-D int array
        Places in a flattened image of `nx` columns, in order.
    nx : int

    Returns
    -------
    1-D array
        Numbers from 0, in the order of the first pixel of each event.
    """
    pixels = pixels.astype(np.int64)
    column = pixels % nx
    first, second = [], []
    for step, within in ((1, column < nx - 1), (nx - 1, column > 0), (nx, True), (nx + 1, column < nx - 1)):
        place = np.searchsorted(pixels, pixels + step)
        place[place == pixels.size] = 0
        touching = np.flatnonzero((pixels[place] == pixels + step) & within) if pixels.size else place
        first.append(touching)
        second.append(place[touching])
    one, other = np.concatenate(first), np.concatenate(second)
    label = np.arange(pixels.size)
    while True:  # each takes the least number of those it touches, and what that one has
        least = np.minimum(label[one], label[other])
        before = label.copy()
        for side in (one, other):
            np.minimum.at(label, before[side], least)
        label = label[label]
        if (label == before).all():
            break
    return np.unique(label, return_inverse=True)[1]


def sure_events(scored: Scored, number: IndexArray) -> tuple[BoolArray, NDArray[np.int32]]:
    """Return which events are cosmic rays, and the best score of a seed of each.

    Parameters
    ----------
    scored : Scored
    number : 1-D array
        Event of each pixel, as `events_of` returns it.

    Returns
    -------
    is_sure : (n,) bool array
    best : (n,) int32 array
    """
    pixels = np.bincount(number)
    best = np.full(pixels.size, np.iinfo(np.int32).min, np.int32)
    np.maximum.at(best, number[scored.is_seed], scored.score[scored.is_seed])
    total = np.zeros(pixels.size, np.int64)
    np.add.at(total, number, scored.score)
    return (best >= LEAST_OF_EVENT) & ((pixels < LONG) | (total >= LEAST_MEAN * pixels)), best
