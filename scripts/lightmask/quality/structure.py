"""What an image is, as far as its mask depends on that: a spectrum, or one whose brightest pixels share a level."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.fits import Header
from lightmask.quality.sample import Sample, middle_of, middles_of

DISPERSERS = ("GRATING", "GRISM", "DISPERSR", "GRISNAME", "GRATNAME", "ESO INS GRIS1 NAME", "ESO INS GRAT NAME")
UNUSED = {"", "NONE", "OPEN", "OPENED", "CLEAR", "FREE", "EMPTY", "OUT", "MIRROR", "UNUSED", "N/A", "NA"}
UNUSED |= {
    "NO",
    "OFF",
    "0",
    "HOLE",
    "GRIS_HOLE",
    "BLANK",
    "UNKNOWN",
    "DUMMY",
    "IMAGING",
    "NULL",
    "UNDEFINED",
    "F",
    "FALSE",
}
"""What such keywords say where no disperser is in the light."""
TECHNIQUES = ("SPECTRUM", "ECHELLE", "MOS", "MXU", "IFU")
"""In ESO DPR TECH."""
TYPES = ("SPECTRUM", "ARC", "SPECTRA", "SPECTROSCOPY")
"""In OBSTYPE and OBSMODE."""
STRUCTURED = 1.0
"""Step between columns (or rows) two apart, in sigma of a pixel, that counts as structure."""
SMALLEST = 48
"""Pixels along either axis, from which on structure is looked for."""
TOP, BINS = 4.0, 46
"""By how much the brightest pixels are looked at below the highest one, and in how many steps."""
FEWEST_EQUAL, FEWEST_ALIKE = 12, 15
"""Pixels of exactly one highest value, and of about one, that are a ceiling."""
APART = 30
"""Pixels between stars that share a level."""


def spectrum_card(header: Header) -> str:
    """Return the card that says that an image is a spectrum; empty if none does.

    Parameters
    ----------
    header : Header
        Of the image.

    Returns
    -------
    str
        ``keyword = value``.
    """
    technique = str(header.get("ESO DPR TECH") or "").upper()
    if any(word in technique.replace("-", ",").split(",") for word in TECHNIQUES):
        return f"ESO DPR TECH = {technique}"
    for keyword in ("OBSTYPE", "OBSMODE"):
        value = str(header.get(keyword) or "").strip().upper()
        if value in TYPES:
            return f"{keyword} = {value}"
    for keyword in DISPERSERS:
        value = str(header.get(keyword) or "").strip().upper()
        if value not in UNUSED and not value.startswith(("OPEN", "NO_", "NO ", "FREE")):
            return f"{keyword} = {value}"
    return ""


def colour_contrast(sample: Sample, sigma: float) -> float:
    """Compare the levels of the four pixels of a pattern of two by two, which differ where these have colours.

    Parameters
    ----------
    sample : Sample
        Of the image.
    sigma : float
        Noise of its pixels.

    Returns
    -------
    float
        Difference of the highest and the lowest median, in `sigma`; 0 where there is none.
    """
    if not sigma > 0 or min(sample.shape) < 8:
        return 0.0
    _, data = sample.bands[len(sample.bands) // 2]
    rows, columns = (_even(length // 64) for length in data.shape)
    middle = [middle_of(data[y::rows, x::columns]) for y in (0, 1) for x in (0, 1)]
    contrast = (max(middle) - min(middle)) / sigma
    return contrast if math.isfinite(contrast) else 0.0


def lines_along_axis(sample: Sample, sigma: float) -> float:
    """Measure how much of an image is structure that runs along one axis, as lines of a spectrum do.

    Parameters
    ----------
    sample : Sample
        Of the image.
    sigma : float
        Noise of its pixels.

    Returns
    -------
    float
        The part of columns, or of rows if that is larger, whose median differs from that of the second next
        by more than the noise of a pixel.
    """
    if not sigma > 0 or min(sample.shape) < SMALLEST:
        return 0.0
    first, last = sample.bands[0][1], sample.bands[-1][1]
    third = [length // 3 for length in (len(first), first.shape[1])]
    rows, columns = _even(third[0] // 32), _even(third[1] // 64)
    # Light of a star is not the same on both sides of an image; a line of a spectrum is.
    parts = (
        (first[: third[0] : rows].T, last[-third[0] :: rows].T),
        (first[:256, : third[1] : columns], first[:256, -third[1] :: columns]),
    )
    found = []
    for both in parts:
        with np.errstate(all="ignore"):
            steps = [np.diff(middles_of(pixels)[::2]) for pixels in both]
        least = max(STRUCTURED, 3 * 1.25 * math.sqrt(2 / both[0].shape[1])) * sigma  # medians of noise differ by less
        alike = (np.abs(np.minimum(*np.abs(steps))) > least) & (np.sign(steps[0]) == np.sign(steps[1]))
        found.append(float(np.mean(alike)))
    return max(found)


def _even(step: int) -> int:
    """Return an even step, at which pixels are of one colour."""
    return max(step // 2 * 2, 2)


def measured_ceiling(sample: Sample, sky: float, sigma: float, flags: NDArray[np.int16] | None = None) -> float:
    """Find the level that the brightest pixels of several stars share, as they do where these are saturated.

    Parameters
    ----------
    sample : Sample
        Of the image.
    sky, sigma : float
        Median and noise of its pixels.
    flags : ndarray of int16, optional
        Bits of `~lightmask.bits.Flag`, of the shape of the image: pixels that are known to be bad do not count.

    Returns
    -------
    float
        The lowest value of these pixels, in counts; NaN where there is no such level.
    """
    if not sigma > 0:
        return math.nan
    values, places = [], []
    for rows, data in sample.bands:
        at = np.flatnonzero(data > max(sky + 100 * sigma, 1.5 * sky, 0))
        if flags is not None:
            known = flags[rows, sample.window[1]][np.divmod(at, data.shape[1])]
            at = at[(known & np.int16(Flag.FLAT | Flag.DARK | Flag.INHERITED)) == 0]
        if at.size:
            values.append(data.ravel()[at])
            places.append(np.stack([at // data.shape[1] + rows.start, at % data.shape[1]], axis=1))
    if not values:
        return math.nan
    value, place = np.concatenate(values), np.concatenate(places)
    value, place = value[np.isfinite(value)], place[np.isfinite(value)]
    if not value.size:
        return math.nan
    highest = float(value.max())
    if np.count_nonzero(value == highest) >= FEWEST_EQUAL:
        return highest
    return _plateau(value, place, highest)


def _plateau(value: NDArray[Any], place: NDArray[np.intp], highest: float) -> float:
    """Find a level that pixels have in about, as after the division by a flat."""
    step = math.log(TOP) / BINS
    below = np.log(highest) - np.log(value.astype(np.float64))  # each is finite, as a ratio need not be
    number = np.clip(below // step, 0, 2 * BINS).astype(int)
    counted = np.bincount(number[number < BINS + 1], minlength=BINS + 1)
    pairs = counted[:-1] + counted[1:]
    for first in np.flatnonzero(pairs >= FEWEST_ALIKE):
        below = counted[first + 3 : first + 13]
        if not below.size or pairs[first] < 5 * max(2 * float(np.median(below)), 1.0):
            continue
        if counted[:first].sum() > pairs[first] / 3:
            continue
        here = (number == first) | (number == first + 1)
        at = place[here]
        # Pixels of one star alone may be the flat top of a wide image.
        stars = np.unique(at // APART, axis=0, return_counts=True)
        large = stars[0][stars[1] >= FEWEST_ALIKE // 2]
        if len(large) >= 2 and np.abs(np.subtract.outer(large, large)).max() > 1:
            return float(np.min(value[here]))
    return math.nan
