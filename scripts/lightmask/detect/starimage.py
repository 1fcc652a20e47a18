"""Measure what stars look like in an image, on a sample of its rows.

A function that reads rows comes in; out go the level of the sky, and the image of a star as the net takes it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arguments import Parameters
from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray
from lightmask.detect.contrast import PER_OCTAVE, WIDTH, Surroundings, surrounding
from lightmask.detect.electrons import MIN_VARIANCE, Electrons, Images, in_electrons
from lightmask.detect.net import OF_IMAGE, PEAK_HALF, STAR_SIDE
from lightmask.detect.windows import stacks

SAMPLE = 1 << 20  # pixels
LEAST_ROWS = 64  # of a strip of the sample
EVERY = 4  # row and column of the sample for the sky
LEAST_CONTRAST = np.float32(20)  # of a star [sigma]
MOST_OF_SATURATION = np.float32(0.7)
MOST_STARS = 400
SQUARE = 32  # side of squares of which one maximum counts [pixel]
FEWEST_STARS = 3
SURE = 8  # from so many stars on their image is certain
MOST_DIFFERENT = np.float32(0.2)  # of the peak, between pixels next to the peaks of two stars
LEAST_BESIDE = np.float32(0.1), np.float32(0.05)  # of the peak: mean of the four beside it, and least mean of a pair
LEAST_RATIO = np.float32(1 / 64)  # of the peak


class Frame(NamedTuple):
    """What of an image is the same for all of its pixels.

    Attributes
    ----------
    surroundings : Surroundings
    star : (OF_IMAGE,) int16 array
        log2 of the 5x5 around the peak of a star, in units of the peak and in steps; and how many stars there are.
        Zero where there are too few.
    """

    surroundings: Surroundings
    star: NDArray[np.int16]


def strips(shape: tuple[int, int]) -> list[slice]:
    """Return rows of an image, about a megapixel in all, evenly spread."""
    ny, nx = shape
    if ny * nx <= SAMPLE:
        return [slice(0, ny)]
    number = max(SAMPLE // (nx * LEAST_ROWS), 1)
    rows = min(max(SAMPLE // (nx * number), LEAST_ROWS), ny)
    return [slice(top, top + rows) for top in np.linspace(0, ny - rows, number).astype(int).tolist()]


def measured(read: Callable[[slice], Images], shape: tuple[int, int], parameters: Parameters) -> Frame:
    """Measure sky and stars.

    Parameters
    ----------
    read : callable
        Returns the images of a slice of rows.
    shape : (int, int)
        Of the image.
    parameters : Parameters
        Gain, read noise and saturation of them.
    """
    samples = [Sample(read(rows), parameters) for rows in strips(shape)]
    sky = _median_of([sample.values for sample in samples])
    if samples[0].given_variance is None:
        read_variance = parameters.readnoise * parameters.readnoise
        variance = max(sky, np.float32(0)) + read_variance
    else:
        variance = _median_of([each.given_variance for each in samples if each.given_variance is not None])
    surroundings = Surroundings(sky, max(variance, MIN_VARIANCE))
    profiles = np.concatenate([sample.profiles(surroundings) for sample in samples], axis=-1)
    return Frame(surroundings, star_image(profiles))


def _median_of(samples: list[FloatArray]) -> np.float32:
    """Return the lower median of what is finite, 0 if nothing is."""
    values = np.concatenate(samples)
    values = values[np.isfinite(values)]
    middle = (values.size - 1) // 2
    return np.partition(values, middle)[middle] if values.size else np.float32(0)


class Sample:
    """Some rows of an image.

    Attributes
    ----------
    values : 1-D array
        Good pixels [electron], some of them.
    given_variance : 1-D array or None
        Of these, if it was given [electron^2].
    """

    def __init__(self, images: Images, parameters: Parameters) -> None:
        self._satlevel = parameters.satlevel
        data, background, variance = in_electrons(images, parameters.gain)
        self._bad = ~np.isfinite(data) if images.mask is None else ~np.isfinite(data) | (images.mask != 0)
        some = np.s_[::EVERY, ::EVERY]
        good = ~self._bad[some]
        self.values: FloatArray = data[some][good]
        self.given_variance: FloatArray | None = None
        if variance is not None:
            sampled = variance[some][good]
            self.given_variance = sampled if background is None else sampled + background[some][good]
        data[self._bad] = 0  # no peak is near
        if background is not None:
            data -= background
        self._image = Electrons(
            images, parameters.gain, parameters.readnoise**2, data, background, variance, None, np.zeros(0, np.intp)
        )

    def profiles(self, surroundings: Surroundings) -> FloatArray:
        """Return the (5, 5, n) squares around its brightest local maxima, in units of these."""
        pixels = self._peaks(surroundings)
        y, x = np.divmod(pixels, self._image.shape[1])
        found = np.empty((STAR_SIDE, STAR_SIDE, pixels.size), np.float32)
        good = np.zeros(pixels.size, np.bool_)
        for part, windows in stacks(self._image.shape, y - PEAK_HALF, x - PEAK_HALF, STAR_SIDE, WIDTH):
            values, around, variance = surrounding(windows, self._image, surroundings)
            values = values - around
            peak = values[PEAK_HALF, PEAK_HALF]
            good[part] = peak > LEAST_CONTRAST * np.sqrt(variance[PEAK_HALF, PEAK_HALF])
            good[part] &= ~self._bad.ravel()[windows.index].any(axis=(0, 1))
            with np.errstate(divide="ignore", invalid="ignore"):
                found[..., part] = values / peak
        return found[..., good]

    def _peaks(self, surroundings: Surroundings) -> IndexArray:
        """Return local maxima that may stand out far enough, one of each square."""
        data, rim = self._image.data, PEAK_HALF + WIDTH
        if min(data.shape) <= 2 * rim:
            return np.zeros(0, np.intp)
        least = LEAST_CONTRAST * np.sqrt(surroundings.variance) / 2
        middle = data[rim:-rim, rim:-rim]

        def shifted(dy: int, dx: int) -> FloatArray:
            return data[rim + dy : data.shape[0] - rim + dy, rim + dx : data.shape[1] - rim + dx]

        lowest = np.minimum(shifted(-WIDTH, 0), shifted(WIDTH, 0))
        np.minimum(lowest, shifted(0, -WIDTH), out=lowest)
        np.minimum(lowest, shifted(0, WIDTH), out=lowest)
        some = np.flatnonzero(middle - lowest > least)
        y, x = np.divmod(some, middle.shape[1])
        pixels = (y + rim) * data.shape[1] + x + rim
        flat = data.ravel()
        value = flat[pixels]
        is_peak: BoolArray = value < MOST_OF_SATURATION * self._satlevel
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if dy or dx:
                    neighbour = flat[pixels + dy * data.shape[1] + dx]
                    is_peak &= value > neighbour if (dy, dx) > (0, 0) else value >= neighbour
        return self._apart(pixels[is_peak])

    def _apart(self, peaks: IndexArray) -> IndexArray:
        """Return the brightest of the maxima of each square: a spike or a column has many, a star one."""
        y, x = np.divmod(peaks, self._image.shape[1])
        square = (y // SQUARE) * self._image.shape[1] + x // SQUARE
        order = np.lexsort((-self._image.data.ravel()[peaks], square))
        return np.sort(peaks[order[np.diff(square[order], prepend=-1) != 0]])


def star_image(profiles: FloatArray) -> NDArray[np.int16]:
    """Return the image of a star, as the net takes it: the one that most maxima are alike.

    Parameters
    ----------
    profiles : (5, 5, n) float32 array
        Squares around maxima, in units of these: stars and cosmic rays.

    Returns
    -------
    (OF_IMAGE,) int16 array
    """
    result = np.zeros(OF_IMAGE, np.int16)
    beside = profiles[1:4, 1:4].reshape(9, -1)[[0, 1, 2, 3, 5, 6, 7, 8]]
    pairs = (beside[:4] + beside[:3:-1]) * np.float32(0.5)
    is_like = ((pairs[1] + pairs[3]) * np.float32(0.5) > LEAST_BESIDE[0]) & (pairs.min(axis=0) > LEAST_BESIDE[1])
    places = np.flatnonzero(is_like)
    if places.size > MOST_STARS:
        places = places[np.arange(MOST_STARS) * places.size // MOST_STARS]
    beside = beside[:, places]
    if places.size < FEWEST_STARS:
        return result
    alike = np.ones((places.size, places.size), np.bool_)
    for each in beside:
        alike &= np.abs(each[:, None] - each) < MOST_DIFFERENT
    for _ in range(2):
        number = alike.sum(axis=1)
        chosen = places[alike[number.argmax()]]
        if chosen.size < FEWEST_STARS:
            return result
        star = np.sort(profiles[..., chosen], axis=-1)[..., (chosen.size - 1) // 2]
        of_star = star[1:4, 1:4].reshape(9)[[0, 1, 2, 3, 5, 6, 7, 8]]
        alike = (np.abs(beside - of_star[:, None]) < MOST_DIFFERENT).all(axis=0)[None]
    ratio = np.clip(star, LEAST_RATIO, np.float32(1)).ravel()
    bits = ratio.view(np.int32) - np.float32(1).view(np.int32)
    result[:-1] = bits >> (23 - PER_OCTAVE.bit_length() + 1)
    result[-1] = min(chosen.size, SURE) * PER_OCTAVE
    return result
