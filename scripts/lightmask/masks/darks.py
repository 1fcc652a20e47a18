"""Darks, looked at before a mask is made of them: which of them can be used."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.quality import Sample, measured_stars, noise_of

ODD = 1.0
"""By how many sigma of a pixel the level of a cell is away from that of other darks of the same exposure time."""
UNEVEN = 3.0
"""By how many sigma of a pixel the levels of cells of one dark differ."""
UNEXPLAINED = 0.5
"""Variance of a dark, in that of its level if that is charge: below it the level is a bias."""
LEAST_LEVEL = 50
"""In e-: of less the noise tells nothing."""
SURE = 7
"""By how many sigma of its own noise a level must be away, too."""
CERTAIN_OF_GLOW = 2
"""Darks, of one exposure time, of which one alone cannot tell which is odd."""


class Looked(NamedTuple):
    """What is known of a dark.

    Attributes
    ----------
    level, sigma : float
        Median and noise of its pixels, in adu.
    cells : ndarray of float
        Levels of its parts, in adu.
    stars : int
        Stars in it.
    certain : float
        Noise of the level of a part, in `sigma`.
    """

    level: float
    sigma: float
    cells: NDArray[np.floating[Any]]
    stars: int
    certain: float


def looked_at(data: Any) -> Looked:
    """Look at a dark.

    Parameters
    ----------
    data : ndarray or alike
        Its pixels, of which rows are taken.

    Returns
    -------
    Looked
    """
    height, width = data.shape
    sample = Sample(data, (slice(0, height), slice(0, width)))
    bands = np.concatenate([values[:: max(len(values) // 64, 1)] for _, values in sample.bands])
    known = bands[np.isfinite(bands)]
    level = float(np.median(known)) if known.size else 0.0
    sigma = noise_of(bands)
    certain = 1.25 / math.sqrt(max(sample.pixels_of_cell, 1))
    flags = np.zeros(data.shape, np.int16)
    stars = measured_stars(sample, flags, level, sigma)
    return Looked(level, sigma, sample.cells, stars.number if stars.fwhm > 1.5 else 0, certain)


def problems(darks: Sequence[Looked], frames: Sequence[int], gain: float, exposure: float) -> list[str]:
    """Say what is wrong with darks of one exposure time.

    Parameters
    ----------
    darks : sequence of Looked
        All of this exposure time.
    frames : sequence of int
        Of how many each is the average.
    gain : float
        In e-/adu.
    exposure : float
        In s.

    Returns
    -------
    list of str
        Empty for each that can be used.
    """
    usual = np.median([dark.cells for dark in darks], axis=0)
    sigma = float(np.median([dark.sigma for dark in darks]))
    found = []
    for dark, number in zip(darks, frames, strict=True):
        away = float(np.nanmax(np.abs(dark.cells - usual), initial=0)) if np.isfinite(dark.cells).any() else 0.0
        charge, variance = dark.level * gain, (dark.sigma * gain) ** 2 * number
        # Several of one exposure time are exposures as they were taken; one alone may be the average of many.
        least = UNEXPLAINED if len(darks) > 1 or number > 1 else UNEXPLAINED / 10
        if dark.stars:
            found.append(f"shows {dark.stars} stars, expected none: it is no dark, or light gets in; take it out")
        elif len(darks) > CERTAIN_OF_GLOW and sigma > 0 and away > (limit := max(ODD, SURE * dark.certain) * sigma):
            found.append(
                f"differs from the other {len(darks) - 1} darks of {exposure:g} s by {away:.3g} adu in places, "
                f"expected up to {limit:.3g}: light, or another temperature; take it out"
            )
        elif charge > LEAST_LEVEL and 0 < variance < least * charge:
            found.append(
                f"looks not bias-subtracted: its median is {dark.level:.4g} adu, and its noise that of "
                f"{variance / gain:.4g} adu of charge at the most with a gain of {gain:g} e-/adu; subtract the "
                "bias, or correct make_dark_mask: gain"
            )
        else:
            found.append("")
    return found


def unevenness(dark: Looked) -> float:
    """Return by how many sigma of a pixel the levels of most parts of a dark differ.

    Parameters
    ----------
    dark : Looked
        The dark.

    Returns
    -------
    float
        0 where it is not known.
    """
    known = dark.cells[np.isfinite(dark.cells)]
    if not known.size or dark.sigma <= 0:
        return 0.0
    noise = 2 * 2.05 * dark.certain  # of which these percentiles are, where all levels are one
    return max(float(np.subtract(*np.percentile(known, [98, 2])) / dark.sigma) - noise, 0.0)
