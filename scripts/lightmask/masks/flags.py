"""FLAGS images: which pixels have which reasons, and how reasons grow."""

import os
from collections.abc import Iterable
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from lightmask import bits
from lightmask.bits import Flag, key
from lightmask.errors import FrameError
from lightmask.fits import bands, opened


class Flags:
    """A FLAGS image: for each pixel the reasons not to trust it, one bit each (`Flag`).

    Reasons are named as in the configuration, in any case: ``"flat"``, ``"cosmic"``.

    Parameters
    ----------
    pixels : ndarray of int16
        2-D. It is not copied: what grows here grows there.

    Attributes
    ----------
    pixels : ndarray of int16
        As given.

    Examples
    --------
    >>> flags = Flags(np.array([[1, 0, 0, 4, 0]], np.int16))
    >>> flags.union("flat", "cosmic")
    array([[ True, False, False,  True, False]])
    >>> flags.grow("cosmic", 1)
    >>> flags.count("cosmic")
    3
    >>> flags.names
    ['flat', 'cosmic']
    >>> flags
    <Flags of 1x5: flat 1, cosmic 3>
    """

    def __init__(self, pixels: NDArray[np.int16]):
        self.pixels = pixels

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {self.count(name):,}" for name in self.names)
        return f"<Flags of {'x'.join(map(str, self.pixels.shape))}: {counts or 'none'}>"

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Flags":
        """Read the FLAGS of a masked frame.

        Parameters
        ----------
        path : path
            A file of ``results/masked``.

        Returns
        -------
        Flags
            Of a copy: what changes here does not change the file.

        Raises
        ------
        FrameError
            If it cannot be read, or has no FLAGS.
        """
        with opened(path, os.fspath(path)) as (hdus, _):
            found = [hdu.pixels() for hdu in hdus if hdu.name == "FLAGS" and hdu.shape]
            if not found or found[-1].dtype != bits.DTYPE:
                raise FrameError(f"{path}: found no 16-bit image named FLAGS, expected one; mask the frame first")
            return cls(found[-1])

    @property
    def names(self) -> list[str]:
        """The reasons that any pixel has."""
        return [key(flag) for flag in Flag if self.count(key(flag))]

    def union(self, *names: str) -> NDArray[np.bool_]:
        """Mask the pixels that have any of the reasons named; none if no reason is.

        Parameters
        ----------
        *names : str
            Reasons.

        Returns
        -------
        ndarray of bool
            Same shape.

        Raises
        ------
        KeyError
            If there is no reason of a name.
        """
        return (self.pixels & _bits(names)) != 0

    def __getitem__(self, name: str) -> NDArray[np.bool_]:
        """Mask the pixels that have a reason."""
        return self.union(name)

    def count(self, *names: str) -> int:
        """Count the pixels that have any of the reasons named.

        Parameters
        ----------
        *names : str
            Reasons.

        Returns
        -------
        int
            A pixel with two of them counts once.
        """
        wanted = _bits(names)
        return sum(int(np.count_nonzero(self.pixels[rows] & wanted)) for rows in bands(self.pixels.shape))

    def grow(self, name: str, radius: float) -> None:
        """Grow a reason in place, as `grown` does a mask, without a second image.

        Parameters
        ----------
        name : str
            The reason.
        radius : float
            In pixels; below 1 nothing grows.

        Raises
        ------
        KeyError
            If there is no reason of that name.
        """
        bit = _bits([name])
        reach = int(radius)
        if reach < 1:
            return
        above = np.zeros((0, self.pixels.shape[1]), np.bool_)  # rows that have grown already, as they were
        for rows in bands(self.pixels.shape, reach):
            original = (self.pixels[rows.start : rows.stop + reach] & bit) != 0
            wide = grown(np.concatenate([above, original]), radius)[len(above) :][: rows.stop - rows.start]
            above = original[: rows.stop - rows.start][-reach:]
            self.pixels[rows][wide] |= bit


def _bits(names: Iterable[str]) -> np.int16:
    flags = Flag(0)
    for name in names:
        if name.upper() not in Flag.__members__:
            raise KeyError(f"{name!r}: found no such reason; expected one of {', '.join(map(key, Flag))}")
        flags |= Flag[name.upper()]
    return np.int16(flags)


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
