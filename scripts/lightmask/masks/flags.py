"""What each bit of a FLAGS image means: the one place where bits and names are defined."""

from collections.abc import Iterable
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.fits import bands


def masked(found: NDArray[np.uint8], names: Iterable[str]) -> NDArray[np.bool_]:
    """Mask the pixels that have any of the flags named, in any case.

    Parameters
    ----------
    found : ndarray of uint8
        FLAGS.
    names : iterable of str
        As in ``["flat", "cosmic"]``.

    Returns
    -------
    ndarray of bool
        Same shape.

    Raises
    ------
    KeyError
        If there is no flag of a name.
    """
    bits = Flag(0)
    for name in names:
        bits |= Flag[name.upper()]
    return (found & np.uint8(bits)) != 0


def grown(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Grow a mask: mask every pixel whose centre is within a radius of a masked one's.

    Parameters
    ----------
    mask : ndarray of bool
        2-D.
    radius : float
        In pixels; 1 adds the four nearest neighbours, 1.5 all eight.

    Returns
    -------
    ndarray of bool
        Same shape; the mask itself where nothing grows.
    """
    if radius < 1 or not mask.any():
        return mask
    result = mask.copy()
    wide, width = mask, 0
    # The disc is a stack of rows: the nearer to its centre, the wider. Each widens the one before.
    for step in range(int(radius), -1, -1):
        half = isqrt(int(radius**2 - step**2))
        wide, width = _widened(wide, half - width), half
        rows = max(len(mask) - step, 0)
        result[step:] |= wide[:rows]
        result[:rows] |= wide[step:]
    return result


def grow(found: NDArray[np.uint8], flag: Flag, radius: float) -> None:
    """Grow a flag of a FLAGS image in place, as `grown` does a mask, without a second image."""
    reach = int(radius)
    if reach < 1:
        return
    above = np.zeros((0, found.shape[1]), np.bool_)  # rows that have grown already, as they were
    for rows in bands(found.shape, reach):
        here = (found[rows.start : rows.stop + reach] & np.uint8(flag)) != 0
        wide = grown(np.concatenate([above, here]), radius)[len(above) :][: rows.stop - rows.start]
        above = here[: rows.stop - rows.start][-reach:]
        found[rows][wide] |= np.uint8(flag)


def _widened(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """Mask also what is up to so many pixels left or right of a masked pixel."""
    done = 0
    while done < by:
        step = min(by - done, done + 1)  # at an edge of the image only half of the run is there
        wide = mask.copy()
        wide[:, step:] |= mask[:, :-step]
        wide[:, :-step] |= mask[:, step:]
        mask, done = wide, done + step
    return mask


def count_text(count: int, size: int) -> str:
    """Say how many pixels, and what fraction, as ``9422 pixels (0.056%)``."""
    return f"{count} pixels ({count / size if size else 0:.3%})"
