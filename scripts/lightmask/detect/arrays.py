"""Types of arrays, and what all other modules do with them.

Arrays come in and go out.  Pixels are given by their index into the flattened image, tiles likewise.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.integer[Any]]


def parts(size: int, most: int) -> list[slice]:
    """Cut a range into slices."""
    return [slice(start, start + most) for start in range(0, size, most)]


def sorted_distinct(values: IndexArray) -> IndexArray:
    """Return the values in order, each once."""
    ordered = np.sort(values)  # much faster than the hashing of numpy.unique
    return ordered[np.diff(ordered, prepend=-1) != 0]


def distinct(parts: Iterable[IndexArray], seen: BoolArray, dtype: np.dtype[np.integer[Any]]) -> IndexArray:
    """Return every pixel of the parts once.

    Parameters
    ----------
    parts : iterable of 1-D arrays
        Pixels.
    seen : bool array
        Of the shape of the image, for this function to work with: all False, before and after.
    dtype : dtype
        Of the result.
    """
    seen = seen.ravel()
    result = [np.zeros(0, dtype)]
    for part in parts:
        pixels = sorted_distinct(part)
        pixels = pixels[~seen[pixels]].astype(dtype)
        seen[pixels] = True
        result.append(pixels)
    pixels = np.concatenate(result)
    seen[pixels] = False
    return pixels


def scaled(image: NDArray[Any], factor: np.float32) -> FloatArray:
    """Return the image times a factor, as float32 in C order."""
    result = np.empty(image.shape, np.float32)
    # With a Python float the type of the image alone decides how to multiply.
    return np.multiply(image, float(factor), out=result, casting="unsafe")
