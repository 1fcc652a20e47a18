"""Flats, looked at before a mask is made of them: which can be used, and in which pairs."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.errors import FrameError
from lightmask.quality import noise_of

SAMPLED = 1 << 18
"""Pixels of a flat that are looked at, in bands of rows."""
BAND = 32
TOP, MOST_AT_TOP = 0.998, 0.1
"""A flat is clipped where so many of its pixels are this near to the highest value."""
LEAST_OFF = 0.5
"""How much less or more than its neighbours a pixel responds that a flat must be able to show."""
BLOCK = 4
"""Side of the blocks whose medians show what is larger than a pixel, and not in both flats."""
AROUND = 8
"""Blocks to both sides that a block is compared with."""
OFF = 7
"""By how many sigma a block is off."""
FEWEST = 6
"""Blocks that are off in a ratio in which stars, or other things, stand."""
MOST_FLATS = 10
"""Whose pairs are compared."""
MOST_RATIOS = 5


class Looked(NamedTuple):
    """What is known of a flat.

    Attributes
    ----------
    counts : float
        Median of its pixels.
    bands : ndarray of float32
        Bands of rows, one below the other.
    """

    counts: float
    bands: NDArray[np.float32]


def looked_at(name: str, data: Any, median: float, sigmas: float) -> Looked:
    """Look at a flat, and refuse it where no mask can be made of it.

    Parameters
    ----------
    name : str
        For messages.
    data : ndarray or Pixels
        Its pixels.
    median : float
        Of these.
    sigmas : float
        By how many sigma a pixel must be off to be bad, the larger of ``lsigma`` and ``hsigma``.

    Returns
    -------
    Looked

    Raises
    ------
    FrameError
        If it has no counts, is clipped, or too faint.
    """
    if not median > 0:
        raise FrameError(
            f"{name}: the median of its pixels is {median:g}, expected counts above 0; take it out of the folder"
        )
    height, width = data.shape
    number = min(max(SAMPLED // (BAND * width), 1), max(height // BAND, 1))
    tops = np.linspace(0, max(height - BAND, 0), number).astype(int)
    with np.errstate(over="ignore"):
        bands = np.concatenate([np.asarray(data[top : top + BAND], np.float32) for top in map(int, tops)])
    known = bands[np.isfinite(bands)]
    sigma = noise_of(bands)
    highest = float(np.quantile(known, 0.999)) if known.size else median
    at_top = float(np.mean(known >= TOP * highest)) if known.size else 0.0
    if known.size and float(np.ptp(known)) > 0 and at_top > MOST_AT_TOP:
        raise FrameError(
            f"{name}: {at_top:.0%} of its pixels share the highest level, {highest:.5g} adu, expected a flat that is "
            "not clipped; take it out of the folder"
        )
    least = sigmas * math.sqrt(2) / LEAST_OFF
    if sigma > 0 and median / sigma < least:
        raise FrameError(
            f"{name}: its signal to noise is {median / sigma:.3g} in a pixel, expected {least:.3g} at least: in a "
            f"ratio only what is off by {sigmas * math.sqrt(2) * sigma / median:.0%} would be found; take it out of "
            "the folder"
        )
    return Looked(median, bands)


def off(one: Looked, other: Looked) -> tuple[int, int]:
    """Count what is larger than a pixel, and stands in one of two flats only, as stars of the sky do.

    Parameters
    ----------
    one, other : Looked
        The flats.

    Returns
    -------
    brighter, fainter : int
        Blocks of pixels that are brighter, or fainter, in the first flat than in the other one.
    """
    with np.errstate(all="ignore"):
        ratio = one.bands / other.bands
    rows, columns = (length // BLOCK * BLOCK for length in ratio.shape)
    if min(rows, columns) < 2 * AROUND * BLOCK // 2:
        return 0, 0
    blocks = ratio[:rows, :columns].reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
    with np.errstate(all="ignore"):
        middle = np.nanmedian(blocks.transpose(0, 2, 1, 3).reshape(rows // BLOCK, columns // BLOCK, -1), axis=2)
    padded = np.pad(middle, ((0, 0), (AROUND, AROUND)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1, axis=1)
    apart = middle - np.nanmedian(windows, axis=2)
    known = apart[np.isfinite(apart)]
    sigma = 1.4826 * float(np.median(np.abs(known))) if known.size else 0.0
    return int(np.count_nonzero(apart > OFF * sigma)), int(np.count_nonzero(apart < -OFF * sigma))


def with_stars(flats: Sequence[Looked]) -> list[int]:
    """Find the flats that show what others do not, as sky flats show stars.

    Parameters
    ----------
    flats : sequence of Looked
        Of one camera and filter.

    Returns
    -------
    list of int
        For each the blocks of pixels that are brighter in it than in most others; 0 where these are few.
    """
    found = []
    for number, flat in enumerate(flats):
        more = [off(flat, other) for place, other in enumerate(flats) if place != number]
        brighter = float(np.median([up for up, _ in more])) if more else 0.0
        fainter = float(np.median([down for _, down in more])) if more else 0.0
        found.append(int(brighter) if brighter >= FEWEST + fainter / 4 else 0)
    return found


def ratios(flats: Sequence[Looked], least_difference: float) -> list[tuple[int, int]]:
    """Choose pairs of flats of different counts, those with the cleanest ratio first.

    Parameters
    ----------
    flats : sequence of Looked
        Those that can be used.
    least_difference : float
        Fraction of the brighter one by which the other must be fainter.

    Returns
    -------
    list of (int, int)
        Places of the brighter and the fainter flat of each, one pair of two flats, and an odd number of more;
        empty where their counts do not differ enough.
    """
    pairs = []
    for one, other in itertools.combinations(range(len(flats)), 2):
        brighter, fainter = sorted((one, other), key=lambda place: -flats[place].counts)
        differ = flats[brighter].counts - flats[fainter].counts
        if differ >= least_difference * flats[brighter].counts:
            pairs.append((differ / flats[brighter].counts, brighter, fainter))
    # What is not in proportion to the light shows best where counts differ much.
    most = max((differ for differ, _, _ in pairs), default=0.0)
    pairs = [pair for pair in pairs if pair[0] >= most / 2]
    spots = {pair: sum(off(flats[pair[1]], flats[pair[2]])) // FEWEST if len(pairs) > 1 else 0 for pair in pairs}
    chosen: list[tuple[int, int]] = []
    used = [0] * len(flats)
    while pairs and len(chosen) < MOST_RATIOS:
        # Each flat in as many as any other: what is wrong with one is to be outvoted.
        best = min(pairs, key=lambda pair: (used[pair[1]] + used[pair[2]], spots[pair], -pair[0]))
        pairs.remove(best)
        chosen.append(best[1:])
        for place in best[1:]:
            used[place] += 1
    return chosen if len(chosen) % 2 else chosen[:-1]
