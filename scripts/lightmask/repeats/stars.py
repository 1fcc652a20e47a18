"""Stars of an image that other images of the field show too: where they are, and how bright.

A function that reads rows comes in; out go the brightest peaks that are as wide as images of stars.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 100
"""Stars that are looked at."""
MOST_PEAKS = 3 * MOST
"""Peaks that are looked at: some of them belong to the same star."""
LEAST_PEAK = 15.0
"""Of a star, in the noise of the sky."""
LEAST_BESIDE = 0.1
"""Mean of the four pixels beside the peak of a star, in that of the peak: a hot pixel and most rays are narrower."""
HALF = 6
"""Pixels around a peak that are looked at, to each side; of two peaks that are closer the brighter one counts."""
CENTRED = 3
"""Times that the window around a star is moved to its centre."""
OF_IMAGE = 2
"""Pixels of the image of a star, to each side of its peak."""
LEAST_WIDTH = 0.8
"""Of the window in which a star is centred: sigma of a Gaussian, in pixels."""
EVERY = 8
"""Row and column of the sample that says how bright the sky is."""
Read = Callable[[slice], NDArray[Any]]
"""Returns some rows of an image, with NaN where a pixel is bad or saturated."""


class Stars(NamedTuple):
    """The brightest stars of an image.

    Attributes
    ----------
    place : (n, 2) float array
        Row and column of each, the brightest first [pixel].
    flux : (n,) float array
        In a window as wide as it, above the sky [counts].
    area : (n,) int array
        Pixels above half of its peak.
    sky, sigma : float
        Median of the image, and the noise of its pixels [counts].
    images : (n, 5, 5) float array
        Of each, in units of its peak.
    """

    place: NDArray[np.float64]
    flux: NDArray[np.float64]
    area: NDArray[np.intp]
    sky: float
    sigma: float
    images: NDArray[np.float64]


def find_stars(read: Read, shape: tuple[int, int], rows_at_a_time: int) -> Stars:
    """Find the brightest stars of an image.

    Parameters
    ----------
    read : callable
        Returns some rows of the image [counts], with NaN where a pixel is bad or saturated.
    shape : (int, int)
        Of the image.
    rows_at_a_time : int
        That `read` is asked for.

    Returns
    -------
    Stars
    """
    height = -(-rows_at_a_time // EVERY) * EVERY
    tops = range(0, shape[0], height)
    bands = [read(slice(top, min(top + height, shape[0])))[::EVERY, ::EVERY].astype(np.float32) for top in tops]
    sample = np.concatenate(bands, axis=None)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return _stars(np.zeros((0, 2)), np.zeros((0, 2 * HALF + 1, 2 * HALF + 1)), 0.0, 0.0)
    sky = float(np.median(sample))
    # Of what lies below the median: what lies above is stars, too.
    sigma = float(np.median(sky - sample[sample <= sky])) * 1.4826 or float(np.std(sample))
    found = [_peaks(rows, top, sky, sigma) for top, rows in _bands(read, shape, rows_at_a_time)]
    places, cutouts = zip(*found, strict=True)
    return _stars(np.concatenate(places), np.concatenate(cutouts), sky, sigma)


def _bands(read: Read, shape: tuple[int, int], height: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield rows, and the number of the first of them, so that each peak is once in the middle of a band."""
    for top in range(0, shape[0], height):
        first, end = max(top - HALF, 0), min(top + height + HALF, shape[0])
        yield first, read(slice(first, end)).astype(np.float32, copy=False)


def _peaks(
    data: NDArray[np.float32], top: int, sky: float, sigma: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places and cutouts, less the sky, of local maxima of a band that are as wide as stars."""
    side = 2 * HALF + 1
    inner = data[HALF : data.shape[0] - HALF, HALF : data.shape[1] - HALF]
    y, x = np.divmod(np.flatnonzero(inner > sky + LEAST_PEAK * sigma), max(inner.shape[1], 1))
    y, x = y + HALF, x + HALF
    highest = np.ones(y.size, bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dy or dx:  # of two equal ones the first is the peak
                beside = data[y + dy, x + dx]
                highest &= data[y, x] > beside if (dy, dx) < (0, 0) else data[y, x] >= beside
    y, x = y[highest], x[highest]
    peak = data[y, x] - np.float32(sky)
    four = np.stack([data[y - 1, x], data[y + 1, x], data[y, x - 1], data[y, x + 1]]) - np.float32(sky)
    wide = (four.mean(axis=0) > LEAST_BESIDE * peak) & (four.min(axis=0) > LEAST_BESIDE / 4 * peak)
    y, x, peak = y[wide], x[wide], peak[wide]
    order = np.argsort(-peak, kind="stable")[:MOST_PEAKS]
    y, x = y[order], x[order]
    steps = np.arange(side) - HALF
    cutouts = data[y[:, None, None] + steps[:, None], x[:, None, None] + steps].astype(np.float64) - sky
    np.nan_to_num(cutouts, copy=False, nan=0.0)  # bad pixels farther away hold nothing
    return np.stack([y + top, x], axis=1).astype(np.float64), cutouts


def _stars(place: NDArray[np.float64], cutouts: NDArray[np.float64], sky: float, sigma: float) -> Stars:
    """Return what is known of stars: places of peaks, and cutouts around them, come in."""
    inner = slice(HALF - OF_IMAGE, HALF + OF_IMAGE + 1)
    highest = np.argsort(-cutouts[:, HALF, HALF], kind="stable")[:MOST_PEAKS]  # however many bands there are
    order = highest[np.argsort(-cutouts[highest, inner, inner].sum(axis=(1, 2)), kind="stable")]
    place, cutouts = place[order], cutouts[order]
    is_close = np.ones((len(place), len(place)), bool)
    for axis in (0, 1):
        is_close &= np.abs(place[:, None, axis] - place[None, :, axis]) < HALF
    is_close = np.tril(is_close, -1)
    chosen = np.flatnonzero(~is_close.any(axis=1))[:MOST]
    place, cutouts = place[chosen], cutouts[chosen]
    peak = cutouts[:, HALF, HALF, None, None]
    area = (cutouts > peak / 2).sum(axis=(1, 2))
    # The width of a Gaussian of which so many pixels are above half of its peak.
    window = np.maximum(np.sqrt(area / (2 * np.pi * np.log(2))), LEAST_WIDTH)[:, None]
    steps = np.arange(2 * HALF + 1.0) - HALF
    off = np.zeros((len(cutouts), 2))
    light = np.clip(cutouts, 0, None)
    for _ in range(CENTRED):  # as SExtractor's XWIN_IMAGE
        row, column = (np.exp(-((steps - off[:, axis, None]) ** 2) / 2 / window**2) for axis in (0, 1))
        weight = light * row[:, :, None] * column[:, None, :]
        total = weight.sum(axis=(1, 2))
        centre = np.stack([(weight.sum(axis=2) @ steps), (weight.sum(axis=1) @ steps)], axis=1) / total[:, None]
        off = np.clip(off + 2 * (centre - off), -HALF / 2, HALF / 2)
    return Stars(place + off, total, area, sky, sigma, cutouts[:, inner, inner] / peak)
