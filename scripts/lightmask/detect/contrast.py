"""Contrast: how far a pixel stands out of what is around it, in units of the noise, on a logarithmic scale.

In come a prepared image and pixels; out go whole numbers around these, so that what is computed with them
is the same on every machine.  They are evaluated by tiles, once, where they are needed.
"""

from typing import NamedTuple

import numpy as np

from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray, sorted_distinct
from lightmask.detect.bounds import TILE
from lightmask.detect.electrons import MIN_VARIANCE, Electrons
from lightmask.detect.medians import SEPARABLE
from lightmask.detect.windows import Windows, stacks, trim

PER_OCTAVE = 32  # steps of the scale
LARGEST = np.float32(65_535)  # [sigma]: what is more counts as that much
LEAST_OF_SKY = np.float32(0.2)  # of the sky: no pixel has less photon noise, whatever its surroundings
WIDTH = SEPARABLE.noise_width


class Surroundings(NamedTuple):
    """What is the same for all of an image.

    Attributes
    ----------
    sky : float32
        Median of the image [electron].
    variance : float32
        That of the sky [electron^2].
    """

    sky: np.float32
    variance: np.float32


def logarithm(values: FloatArray) -> np.ndarray:
    """Return log2(1 + value) of each, in steps, with the sign of the value.

    Between powers of two it is linear: it takes the bits of the number, and nothing that differs between machines.
    """
    one = np.float32(1)
    bits = (np.minimum(np.abs(values), LARGEST) + one).view(np.int32)
    steps = (bits - one.view(np.int32)) >> (23 - PER_OCTAVE.bit_length() + 1)
    return np.copysign(steps.astype(np.float32), values).astype(np.int16)


class Contrast:
    """The contrast of the pixels of an image, as far as it is needed.

    Attributes
    ----------
    steps : (rows, columns) int16 array
        `logarithm` of the contrast, with a tile more on all sides, where the edge of the image goes on.
    level : int16 array of this shape
        `logarithm` of how far the surroundings are above the sky, in units of its noise.
    """

    def __init__(self, image: Electrons, surroundings: Surroundings) -> None:
        self._image, self._surroundings = image, surroundings
        self._tiles = tuple(-(-side // TILE) + 2 for side in image.shape)
        shape = tuple(TILE * tiles for tiles in self._tiles)
        self.steps, self.level = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
        self._known = np.zeros(self._tiles, np.bool_)

    def places(self, pixels: IndexArray) -> IndexArray:
        """Return the places of pixels of the image in `steps` and `level`."""
        y, x = np.divmod(pixels, self._image.shape[1])
        return (y + TILE) * self.steps.shape[1] + x + TILE

    def provide(self, pixels: IndexArray, around: int) -> None:
        """Evaluate what is not yet known around pixels, up to a tile away."""
        y, x = np.divmod(pixels, self._image.shape[1])
        needed = []
        for dy in (-around, around):
            for dx in (-around, around):
                needed.append((y + dy + TILE) // TILE * self._tiles[1] + (x + dx + TILE) // TILE)
        tiles = sorted_distinct(np.concatenate(needed))
        tiles = tiles[~self._known.ravel()[tiles]]
        self._known.ravel()[tiles] = True
        self._evaluate(*np.divmod(tiles, self._tiles[1]))

    def _evaluate(self, rows: IndexArray, columns: IndexArray) -> None:
        image = self._image
        by_tile = (self._tiles[0], TILE, self._tiles[1], TILE)
        steps, level = self.steps.reshape(by_tile), self.level.reshape(by_tile)
        scale = np.sqrt(self._surroundings.variance)
        for part, windows in stacks(image.shape, (rows - 1) * TILE, (columns - 1) * TILE, TILE, WIDTH):
            values, around, variance = surrounding(windows, image, self._surroundings)
            place = rows[part], slice(None), columns[part]
            steps[place] = logarithm(np.divide(values - around, np.sqrt(variance), dtype=np.float32)).transpose(2, 0, 1)
            height = (around if image.background is None else around + _background(windows, image)) - np.float32(
                self._surroundings.sky
            )
            level[place] = logarithm(height / scale).transpose(2, 0, 1)


def surrounding(
    windows: Windows, image: Electrons, surroundings: Surroundings
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return values, their median around, and the variance it gives, `WIDTH` inside windows; edges go on.

    The median is of 7x7, separable.  What a cosmic ray adds to the variance of its own pixel is no part of this.
    """
    data = image.data.ravel().take(windows.index)
    around = SEPARABLE.noise(data)
    values = trim(data, WIDTH)
    if image.has_given_variance and image.variance.image is not None:
        variance = SEPARABLE.noise(image.variance.image.ravel().take(windows.index))
        if image.background is not None:  # which `in_electrons` takes off
            variance += _background(windows, image)
        return values, around, np.maximum(variance, MIN_VARIANCE)
    light = around if image.background is None else around + _background(windows, image)
    least = max(LEAST_OF_SKY * surroundings.sky, np.float32(0))
    variance = np.maximum(light, least) + image.variance.of_read_noise
    return values, around, np.maximum(variance, MIN_VARIANCE)


def _background(windows: Windows, image: Electrons) -> FloatArray:
    assert image.background is not None  # noqa: S101 - for the type
    taken: FloatArray = image.background.ravel().take(trim(windows.index, WIDTH))
    return taken


def stands_out(contrast: Contrast, places: IndexArray, least: int) -> BoolArray:
    """Return at which places the contrast is at least so many steps."""
    found: BoolArray = contrast.steps.ravel()[places] >= least
    return found
