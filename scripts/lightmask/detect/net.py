"""A small net that tells pixels of cosmic rays from those of stars: whole numbers in, whole numbers out.

Its weights are whole numbers too, and small enough that float32 holds each sum: the order of summation
makes no difference, so that every machine finds the same.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arrays import FloatArray, IndexArray, parts
from lightmask.detect.contrast import PER_OCTAVE, Contrast

HALF = 4  # of the square of pixels that the net sees
SIDE = 2 * HALF + 1
PEAK_HALF = 2  # of the square around the brightest of the nearest pixels
STAR_SIDE = 2 * PEAK_HALF + 1
OF_PIXEL = SIDE**2 + STAR_SIDE**2 + 5  # inputs: squares, level, place of the brightest
OF_IMAGE = STAR_SIDE**2 + 1  # the image of a star, and whether there is one
LARGEST_HIDDEN = np.float32(1000)  # so that each sum is below 2^24
PER_LOGIT = 256  # steps of a score
AT_A_TIME = 1 << 12  # pixels

FILE = Path(__file__).with_name("trace_weights.npz")


class Layer(NamedTuple):
    """Weights of one layer.

    Attributes
    ----------
    weights : (inputs, outputs) float32 array
        Whole numbers up to 127.
    bias : (outputs,) float32 array
        Whole numbers.
    scale : (outputs,) float32 array
        Powers of two by which the sums are multiplied before they are cut to whole numbers.
    """

    weights: FloatArray
    bias: FloatArray
    scale: FloatArray


@cache
def layers() -> tuple[Layer, ...]:
    """Return the layers of the net, from the file of the package."""
    with np.load(FILE) as file:
        number = len(file.files) // 3
        return tuple(
            Layer(
                file[f"weights{n}"].astype(np.float32),
                file[f"bias{n}"].astype(np.float32),
                np.ldexp(np.float32(1), -file[f"shift{n}"].astype(int)).astype(np.float32),
            )
            for n in range(number)
        )


def _nearest() -> tuple[IndexArray, IndexArray]:
    """Return the middle 3x3 of a square, and the square of 5x5 around each of these nine."""
    square = np.arange(SIDE**2).reshape(SIDE, SIDE)
    middle = square[HALF - 1 : HALF + 2, HALF - 1 : HALF + 2].ravel()
    around = [
        square[y - PEAK_HALF : y + PEAK_HALF + 1, x - PEAK_HALF : x + PEAK_HALF + 1].ravel()
        for y, x in (divmod(int(place), SIDE) for place in middle)
    ]
    return middle, np.array(around)


MIDDLE, AROUND_PEAK = _nearest()


def inputs(contrast: Contrast, places: IndexArray) -> NDArray[np.int16]:
    """Return what the net is given of pixels.

    Parameters
    ----------
    contrast : Contrast
        Known around each of them.
    places : (n,) array
        Their places in it.

    Returns
    -------
    (n, OF_PIXEL) int16 array
        Contrast in the 9x9 around each; that in the 5x5 around the brightest of its 3x3; the level
        of its surroundings; how far away the brightest is (row, column, and both without sign).
    """
    steps = np.arange(-HALF, HALF + 1)
    square = (steps[:, None] * contrast.steps.shape[1] + steps).ravel()
    result = np.empty((places.size, OF_PIXEL), np.int16)
    seen = result[:, : SIDE**2]
    np.take(contrast.steps.ravel(), places[:, None] + square, out=seen, mode="clip")
    brightest = seen[:, MIDDLE].argmax(axis=1)
    result[:, SIDE**2 : SIDE**2 + STAR_SIDE**2] = np.take_along_axis(seen, AROUND_PEAK[brightest], axis=1)
    result[:, -5] = contrast.level.ravel()[places]
    for column, distance in zip((-4, -3), np.divmod(brightest, 3), strict=True):
        result[:, column] = (distance - 1) * PER_OCTAVE
        result[:, column + 2] = np.abs(result[:, column])
    return result


def scores(contrast: Contrast, places: IndexArray, star: NDArray[np.int16]) -> NDArray[np.int32]:
    """Return how sure it is that each pixel belongs to a cosmic ray.

    Parameters
    ----------
    contrast : Contrast
        Known around each of them.
    places : (n,) array
        Their places in it.
    star : (OF_IMAGE,) int16 array
        As `lightmask.detect.starimage.star_image` returns it.

    Returns
    -------
    (n,) int32 array
        Logarithm of the odds, in steps of 1 / PER_LOGIT.
    """
    first, *others = layers()
    of_image = star.astype(np.float32) @ first.weights[OF_PIXEL:] + first.bias
    result = np.empty(places.size, np.int32)
    for part in parts(places.size, AT_A_TIME):
        sums = inputs(contrast, places[part]).astype(np.float32) @ first.weights[:OF_PIXEL]
        sums += of_image
        scale = first.scale
        for layer in others:
            sums *= scale
            np.floor(sums, out=sums)
            np.clip(sums, np.float32(0), LARGEST_HIDDEN, out=sums)
            sums = sums @ layer.weights
            sums += layer.bias
            scale = layer.scale
        result[part] = np.floor(sums[:, 0] * scale[0])
    return result
