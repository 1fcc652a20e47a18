"""Stars of an image: how well they are sampled, and whether the detector took their cores for cosmic rays."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.quality.sample import Sample

HALF = 6
"""Half the side of a cutout around a peak, in pixels."""
MOST_PEAKS = 400
"""The brightest ones, in a band."""
LEAST_PEAK = 20
"""In sigma of the noise, above its surroundings."""
FEWEST = 5
"""Stars from which a width is measured."""
ALIKE, WIDER = 0.4, 0.5
"""How far the widths of a star along both axes are from each other, and from those of the others, as logarithm."""
NARROWEST = 1.1
"""Full width of stars, in pixels: what is narrower than a pixel is no image of a star."""
MOST_SPREAD = 0.15
"""Median of how far widths of stars are from theirs, as logarithm: tracks of particles differ by more."""
BAD = Flag.FLAT | Flag.DARK | Flag.INHERITED | Flag.SATURATED | Flag.NODATA | Flag.NOTFINITE | Flag.EDGE
SIGMAS = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian, in its sigma."""


@dataclass(frozen=True)
class Stars:
    """What the stars of an image are like.

    Attributes
    ----------
    number : int
        Peaks that are as wide as stars, flagged or not.
    fwhm : float
        Median of their full width at half maximum, in pixels; NaN where there are too few.
    flagged : int
        How many of them have a core that is COSMIC.
    """

    number: int
    fwhm: float
    flagged: int

    @property
    def share(self) -> float:
        """The part of the stars that has a core which is COSMIC."""
        return self.flagged / self.number if self.number else 0.0


NONE = Stars(0, math.nan, 0)


def measured_stars(sample: Sample, flags: NDArray[np.int16], sky: float, sigma: float) -> Stars:
    """Measure the stars of an image.

    The width of a peak along an axis follows from its pixels on both sides. For a Gaussian the product of the
    two does not depend on where in its pixel the peak lies, so that it can be measured of undersampled stars.

    Parameters
    ----------
    sample : Sample
        Of the image.
    flags : ndarray of int16
        Bits of `~lightmask.bits.Flag`, of the shape of the image.
    sky, sigma : float
        Median and noise of its pixels.

    Returns
    -------
    Stars
    """
    if sigma <= 0 or min(sample.shape) <= 2 * HALF:
        return NONE
    columns = sample.window[1]
    found = [_peaks(data, flags[rows, columns], sky, sigma) for rows, data in sample.bands if len(data) > 2 * HALF]
    cutouts, hit = (np.concatenate(each) for each in zip(*found, strict=True))
    return _of_peaks(cutouts, hit, sigma)


def _peaks(
    data: NDArray[np.float32], flags: NDArray[np.int16], sky: float, sigma: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Find the brightest peaks of a band: cutouts less what surrounds them, and whether they are COSMIC."""
    inner = data[HALF:-HALF, HALF:-HALF]
    bright = np.flatnonzero(inner > sky + LEAST_PEAK * sigma)  # of NaN nothing is
    y, x = np.divmod(bright, max(inner.shape[1], 1))
    y, x = y + HALF, x + HALF
    value = data[y, x]
    highest = np.ones(value.size, bool)
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        beside = data[y + dy, x + dx]
        # Of two equal ones the first is the peak.
        highest &= value > beside if (dy, dx) < (0, 0) else value >= beside
    chosen = np.flatnonzero(highest)
    chosen = chosen[np.argsort(-value[chosen], kind="stable")[:MOST_PEAKS]]
    y, x = y[chosen], x[chosen]
    side = np.arange(-HALF, HALF + 1)
    around = (y[:, None, None] + side[:, None], x[:, None, None] + side)
    cutouts = data[around]
    frame = np.concatenate([cutouts[:, 0], cutouts[:, -1], cutouts[:, 1:-1, 0], cutouts[:, 1:-1, -1]], axis=1)
    cutouts = cutouts - np.median(frame, axis=1)[:, None, None]
    near = flags[around][:, HALF - 2 : HALF + 3, HALF - 2 : HALF + 3]
    good = ~(near & np.int16(BAD)).any(axis=(1, 2)) & (cutouts[:, HALF, HALF] > LEAST_PEAK * sigma)
    good &= np.isfinite(cutouts).all(axis=(1, 2))
    hit = (flags[y, x] & np.int16(Flag.COSMIC | Flag.SUSPECT)) != 0
    return cutouts[good], hit[good]


def _of_peaks(cutouts: NDArray[np.float32], hit: NDArray[np.bool_], sigma: float) -> Stars:
    """Tell stars among peaks from tracks of particles: as wide along both axes as most, and round."""
    seen = _is_round(cutouts, sigma)
    for step in range(1, HALF):
        # A wide star is measured farther from its peak, where more is to be measured.
        drop = np.stack([_drop(cutouts, step, axis) for axis in (1, 2)], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            widths = step / np.sqrt(drop)  # sigma of a Gaussian
            widths[~(widths > 0)] = np.nan
            alike = np.abs(np.log(widths[:, 0] / widths[:, 1])) < ALIKE
        fits = seen & alike & np.isfinite(widths).all(axis=1)
        known = fits & ~hit if np.count_nonzero(fits & ~hit) >= FEWEST else fits
        if np.count_nonzero(known) < FEWEST:
            return NONE
        usual = float(np.median(widths[known]))
        if step > usual or step == HALF - 1:
            break
    if known is fits and _are_centred(cutouts[fits], step, widths[fits]):
        return NONE
    stars = known & (np.abs(np.log(widths / usual)) < WIDER).all(axis=1)
    spread = float(np.median(np.abs(np.log(widths[known] / usual))))
    if np.count_nonzero(stars) < FEWEST or spread > MOST_SPREAD:
        return NONE
    fwhm = SIGMAS * float(np.median(widths[stars]))
    if fwhm < NARROWEST:
        return NONE
    like = fits & (np.abs(np.log(widths * SIGMAS / fwhm)) < WIDER).all(axis=1)
    return Stars(int(np.count_nonzero(like)), fwhm, int(np.count_nonzero(like & hit)))


def _are_centred(cutouts: NDArray[np.float32], step: int, widths: NDArray[np.floating[Any]]) -> bool:
    """Return whether most peaks lie in the middle of a pixel, as single hits of particles do, and stars do not.

    Of a Gaussian whose peak is off the middle by d, the brighter neighbour falls by 1 - 2|d| of what both fall by on
    average: of stars that is as often any number from 0 to 1.
    """
    if step != 1:
        return False
    peak = cutouts[:, HALF, HALF]
    brighter = np.stack(
        [
            np.maximum(cutouts[:, HALF - 1, HALF], cutouts[:, HALF + 1, HALF]),
            np.maximum(cutouts[:, HALF, HALF - 1], cutouts[:, HALF, HALF + 1]),
        ],
        axis=1,
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        off = -np.log(brighter / peak[:, None]) * 2 * widths**2
    return float(np.clip(off, 0, 1).mean()) > 0.5 + 2 / math.sqrt(12 * off.size)


def _drop(cutouts: NDArray[np.float32], step: int, axis: int) -> NDArray[np.floating[Any]]:
    """Return how far peaks fall within so many pixels to both sides, as logarithm: squared step over squared sigma."""
    sides = [np.take(np.take(cutouts, HALF + d, axis), HALF, 1) for d in (-step, step)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * np.log(cutouts[:, HALF, HALF]) - np.log(sides[0]) - np.log(sides[1])


def _is_round(cutouts: NDArray[np.float32], sigma: float) -> NDArray[np.bool_]:
    """Return whether the corners beside a peak are what its sides say, as those of an image of a star are."""
    peak = cutouts[:, HALF, HALF]
    near = cutouts[:, HALF - 1 : HALF + 2, HALF - 1 : HALF + 2] / peak[:, None, None]
    expected = near[:, :, 1:2] * near[:, 1:2, :]
    off = np.abs(near - expected).max(axis=(1, 2))
    return off < 0.15 + 4 * sigma / peak
