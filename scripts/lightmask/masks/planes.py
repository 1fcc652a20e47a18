"""What the detector searches of an image: the part that shows the sky, in electrons, each colour by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.night import Amplifier, Readout


@dataclass(frozen=True)
class Plane:
    """An image that the detector searches, made of another one.

    Attributes
    ----------
    place : (slice, slice)
        Rows and columns of the image that it is made of.
    shape : (int, int)
        Its own.
    data : ndarray or alike
        Pixels, of which rows can be taken.
    background : ndarray or alike or None
        What the detector takes off, in the same unit: it makes up for different read noises.
    variance : ndarray or alike or None
        Of each pixel, in the square of that unit, where it is given.
    """

    place: tuple[slice, slice]
    shape: tuple[int, int]
    data: Any
    background: Any = None
    variance: Any = None

    def part(self, image: Any) -> Any:
        """Return the same part of another image; None for None."""
        return None if image is None else _Part(image, self.place, self.shape)


def planes(data: Any, readout: Readout, variance: Any = None) -> Iterator[Plane]:
    """Return what the detector is to search of an image.

    Parameters
    ----------
    data : ndarray or Pixels
        The image.
    readout : Readout
        How it was read out. With several amplifiers pixels become electrons.
    variance : ndarray or alike, optional
        Of each pixel, in the square of the image's unit.

    Yields
    ------
    Plane
        The image itself, or one for each place in the pattern of colours.
    """
    rows, columns = readout.window
    several = len(readout.amplifiers) > 1
    electrons = _Electrons(data, readout.amplifiers) if several else data
    background = _ReadNoise(data.shape, readout.amplifiers) if several and variance is None else None
    if several:
        electrons.noise = background
        variance = None if variance is None else _Squared(variance, readout.amplifiers)
    if not several and not readout.colours and (rows, columns) == (slice(0, data.shape[0]), slice(0, data.shape[1])):
        yield Plane((rows, columns), data.shape, data, variance=variance)
        return
    step = 2 if readout.colours else 1
    for row in range(step):
        for column in range(step):
            place = slice(rows.start + row, rows.stop, step), slice(columns.start + column, columns.stop, step)
            height, width = (len(range(part.start, part.stop, step)) for part in place)
            if height and width:
                plane = Plane(place, (height, width), _Part(electrons, place, (height, width)))
                yield Plane(place, plane.shape, plane.data, plane.part(background), plane.part(variance))


class _Part:
    """A part of an image, of which rows can be taken."""

    def __init__(self, image: Any, place: tuple[slice, slice], shape: tuple[int, int]):
        self.image, self.place, self.shape = image, place, shape
        self.dtype = getattr(image, "dtype", np.dtype(bool))

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        first, end, _ = rows.indices(self.shape[0])
        whole, columns = self.place
        step = whole.step or 1
        top = whole.start + first * step
        taken: NDArray[Any] = self.image[top : top + max(end - first, 0) * step]
        return taken[::step, columns][: max(end - first, 0)]


class _Electrons:
    """An image in electrons, of which rows can be taken; what its amplifier saturates is at the common level."""

    def __init__(self, data: Any, amplifiers: tuple[Amplifier, ...]):
        self.data, self.amplifiers, self.shape = data, amplifiers, data.shape
        self.dtype = np.dtype(np.float32)
        self.noise: _ReadNoise | None = None

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        first, end, _ = rows.indices(self.shape[0])
        result = self.data[rows].astype(np.float32)
        common = np.float32(common_level(self.amplifiers))
        for each in self.amplifiers:
            part = result[max(each.rows.start - first, 0) : max(each.rows.stop - first, 0), each.columns]
            part *= np.float32(each.gain)
            part[part >= np.float32(each.satlevel)] = common
        if self.noise is not None:
            result += self.noise[first:end]
        return result


class _ReadNoise:
    """By how much the read variance of each amplifier exceeds the least, in e-^2; rows can be taken of it."""

    def __init__(self, shape: tuple[int, ...], amplifiers: tuple[Amplifier, ...]):
        self.shape, self.amplifiers, self.dtype = shape, amplifiers, np.dtype(np.float32)
        self.least = min(each.readnoise for each in amplifiers)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        first, end, _ = rows.indices(self.shape[0])
        result = np.zeros((end - first, self.shape[1]), np.float32)
        for each in self.amplifiers:
            part = result[max(each.rows.start - first, 0) : max(each.rows.stop - first, 0), each.columns]
            part[:] = np.float32(each.readnoise**2 - self.least**2)
        return result


class _Squared:
    """A variance in electrons^2, of which rows can be taken."""

    def __init__(self, variance: Any, amplifiers: tuple[Amplifier, ...]):
        self.variance, self.amplifiers, self.shape = variance, amplifiers, variance.shape
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        first, _, _ = rows.indices(self.shape[0])
        result: NDArray[np.float32] = self.variance[rows].astype(np.float32)
        for each in self.amplifiers:
            part = result[max(each.rows.start - first, 0) : max(each.rows.stop - first, 0), each.columns]
            part *= np.float32(each.gain) ** 2
        return result


def common_level(amplifiers: tuple[Amplifier, ...]) -> float:
    """Return the highest saturation level of several amplifiers, in e-: that of the detector."""
    return max(each.satlevel for each in amplifiers)


@dataclass(frozen=True)
class Raised:
    """An image to which a level, or another image, is added, of which rows can be taken.

    Attributes
    ----------
    data : ndarray or alike
        The image, as it is where its sky was subtracted.
    level : float or ndarray
        The sky, or what else is added, in counts.
    """

    data: Any
    level: float | NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        shape: tuple[int, ...] = self.data.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of pixels with the level."""
        return np.result_type(self.data.dtype, np.float32)

    def __getitem__(self, place: Any) -> NDArray[Any]:
        level = self.level[place] if isinstance(self.level, np.ndarray) else self.level
        found: NDArray[Any] = self.data[place].astype(self.dtype) + np.asarray(level, self.dtype)
        return found
