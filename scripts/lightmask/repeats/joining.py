"""What repeats say of the cosmic rays of an image, and what a detector found in it alone, put together.

The mask of a detector and the evidence of repeats come in; out go pixels to add, pixels to take away, and what is
reported and not flagged.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.detect import events_of
from lightmask.repeats.evidence import Evidence

SEED, GROWN = 5.0, 2.6
"""By how much, in its error, a pixel exceeds what neighbours show if it is a ray, or goes on next to one."""
FAINTEST = 1.8
"""By how much, in its noise, a pixel exceeds what neighbours show if it is part of a ray that the detector found."""
RECURRING = 5.0
"""Below this excess of all of its pixels an event does not stand out; what neighbours show above this is no noise."""
LEAST_SHOWN = 0.4
"""Of the light of an event: if neighbours show so much of it, and it does not stand out, it is no ray."""
BRIGHT = 10.0
"""Excess of the peak of an event from which on its shape is known."""
LIKE_STAR = 0.2
"""Of its peak: by how much each pixel next to it may differ from the image of a star."""
MOST_PIXELS = 60
"""Of an event that only repeats show: what is larger is a trail, or an object that moves."""
MOST_ADDED = 20, 2
"""Pixels that repeats add to an event of the detector, and to each of its pixels: more is no part of it."""


class Joined(NamedTuple):
    """What becomes of the pixels of an image.

    Attributes
    ----------
    added : (n,) int array
        Pixels of rays that the detector did not find, as places in the flattened image.
    recurring : (n,) int array
        Pixels that it found, and that neighbours show as well.
    faint : (n,) int array
        Pixels that it found at the rims of rays, and that are no brighter than noise.
    sources : (n,) int array
        Peaks of what is in no neighbour and has the image of a star, or is large: it moves, or varies.
    """

    added: NDArray[np.int64]
    recurring: NDArray[np.int64]
    faint: NDArray[np.int64]
    sources: NDArray[np.int64]


def join(found: NDArray[np.bool_], evidence: Evidence, star: NDArray[np.float64]) -> Joined:
    """Put the evidence of repeats together with the mask of a detector.

    Parameters
    ----------
    found : (ny, nx) bool array
        Cosmic rays that the detector found.
    evidence : Evidence
        Of the same image.
    star : (5, 5) float array
        Image of a star, in units of its peak.

    Returns
    -------
    Joined
    """
    known, (ny, nx) = np.isfinite(evidence.excess), found.shape
    by_detector = found.ravel()[evidence.pixels]
    with np.errstate(invalid="ignore"):
        stands_out = known & (evidence.excess > GROWN)
    part = np.flatnonzero(stands_out | by_detector)
    pixels, excess, by_detector = evidence.pixels[part], evidence.excess[part], by_detector[part]
    number = events_of(pixels, nx)
    most = np.full(int(number.max(initial=-1)) + 1, -np.inf, np.float32)
    np.fmax.at(most, number, np.where(stands_out[part], excess, -np.inf).astype(np.float32))
    size, of_detector = np.bincount(number), np.bincount(number, by_detector)
    is_beside_bad = np.bincount(number, evidence.beside_bad[part]) > 0  # where a star is saturated, or bleeds
    is_new = (of_detector == 0) & (most > SEED) & ~is_beside_bad
    is_source = is_new & (size > MOST_PIXELS)
    peaks = np.flatnonzero(is_new[number] & (excess == most[number]))
    peaks = peaks[np.unique(number[peaks], return_index=True)[1]]
    like = _is_like_star(pixels[peaks], evidence, star, (ny, nx))
    is_source[number[peaks[like]]] = True
    added, per_pixel = MOST_ADDED
    is_ray = (is_new & ~is_source) | ((of_detector > 0) & (size - of_detector <= added + per_pixel * of_detector))
    recurring = _recurring(found, evidence, known)
    rest = part[by_detector & known[part] & ~np.isin(pixels, recurring)]
    residual, sigma = evidence.excess[rest] * evidence.error[rest], evidence.sigma[rest]
    is_faint = residual < FAINTEST * sigma
    is_shown = evidence.contrast[rest] - residual > RECURRING * sigma
    return Joined(
        pixels[is_ray[number] & ~by_detector],
        np.union1d(recurring, evidence.pixels[rest[is_faint & is_shown]]),
        evidence.pixels[rest[is_faint & ~is_shown]],
        pixels[peaks[is_source[number[peaks]]]],
    )


def left_over(
    flagged: NDArray[np.int64], suspect: NDArray[np.int64], evidence: Evidence, width: int
) -> NDArray[np.int64]:
    """Find what is left of events whose hot pixels are taken away, and is no ray by itself.

    Parameters
    ----------
    flagged : (n,) int array
        Pixels of rays, as places in the flattened image, in order; they have evidence.
    suspect : (n,) int array
        Those of them that are hot.
    evidence : Evidence
        Of the same image.
    width : int
        Of the image.

    Returns
    -------
    (n,) int array
    """
    event = events_of(flagged, width)
    is_suspect = np.isin(flagged, suspect)
    is_of_hot = np.bincount(event, is_suspect)[event] > 0
    rest = flagged[is_of_hot & ~is_suspect]
    event = events_of(rest, width)
    most = np.full(int(event.max(initial=-1)) + 1, -np.inf, np.float32)
    np.fmax.at(most, event, evidence.excess[np.searchsorted(evidence.pixels, rest)])
    result: NDArray[np.int64] = rest[most[event] < SEED]
    return result


def _recurring(found: NDArray[np.bool_], evidence: Evidence, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the pixels of the detector's events of which nothing stands out of what neighbours show."""
    part = np.flatnonzero(found.ravel()[evidence.pixels])
    pixels = evidence.pixels[part]
    number = events_of(pixels, found.shape[1])
    events = int(number.max(initial=-1)) + 1
    is_known, most = np.ones(events, bool), np.full(events, -np.inf, np.float32)
    np.logical_and.at(is_known, number, known[part])
    np.fmax.at(most, number, evidence.excess[part])
    light = np.bincount(number, evidence.contrast[part], events)
    excess = np.nan_to_num(evidence.excess[part]) * evidence.error[part]
    shown = light - np.bincount(number, excess, events)
    recurs = is_known & (most < RECURRING) & (shown > LEAST_SHOWN * light)
    result: NDArray[np.int64] = pixels[recurs[number]]
    return result


def _is_like_star(
    peaks: NDArray[np.int64], evidence: Evidence, star: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which peaks have the image of a star in what neighbours do not show."""
    if not peaks.size or not np.isfinite(star).all():
        return np.zeros(peaks.size, bool)

    def values_at(places: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        place = np.searchsorted(evidence.pixels, places).clip(max=evidence.pixels.size - 1)
        there = evidence.pixels[place] == places
        # What does not stand out of the sky is about as bright as what neighbours show.
        residual = np.nan_to_num(evidence.excess[place]) * evidence.error[place]
        return np.where(there, residual, 0), np.where(there, evidence.sigma[place], 0)

    peak, noise = values_at(peaks)
    y, x = np.divmod(peaks, shape[1])
    like = (peak > BRIGHT * noise) & (y > 0) & (x > 0) & (y < shape[0] - 1) & (x < shape[1] - 1)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dy or dx:
                beside, _ = values_at(np.where(like, peaks + dy * shape[1] + dx, peaks))
                like &= np.abs(beside / peak - star[2 + dy, 2 + dx]) < LIKE_STAR + noise / peak
    return like
