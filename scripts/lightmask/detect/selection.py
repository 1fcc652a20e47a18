"""Find the median of more values than memory holds, by radix selection.

The values come in in parts, as often as they are needed; one of them goes out.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lightmask.detect.arrays import parts as cut

PIECE = 1 << 16  # values that are counted at a time


def median_of(parts: Callable[[], Iterable[NDArray[Any]]], dtype: DTypeLike = np.float32, upper: bool = False) -> Any:
    """Return the lower median of values, or the upper one, of which there may be more than memory holds.

    Parameters
    ----------
    parts : callable
        Returns all values, in arrays. It is called once for every 16 bits of a value.
    dtype : dtype
        Of the values: float32 or float64.
    upper : bool
        Return the upper one of two where the number of values is even.

    Returns
    -------
    float32 or float64
        0 if there is no value.
    """
    value = np.dtype(dtype)
    key = np.dtype(f"u{value.itemsize}")
    bits = 8 * value.itemsize
    sign = key.type(1 << bits - 1)
    known = rank = 0
    for shift in range(bits - 16, -1, -16):  # digits of 16 bits, the highest first
        counts = np.zeros(1 << 16, np.intp)
        for part in parts():
            for piece in cut(part.size, PIECE):
                keys = part[piece].view(key)
                keys = np.where(keys & sign, ~keys, keys | sign)  # in the order of the values
                if shift < bits - 16:
                    keys = keys[keys >> key.type(shift + 16) == known]
                counts += np.bincount((keys >> key.type(shift)).astype(np.uint16), minlength=counts.size)
        if not counts.any():
            return value.type(0)
        if shift == bits - 16:
            rank = (int(counts.sum()) - 1 + upper) // 2
        digit = int(np.searchsorted(counts.cumsum(), rank, side="right"))
        rank -= int(counts[:digit].sum())
        known = known << 16 | digit
    found = key.type(known)
    return (found ^ sign if found & sign else ~found).view(value)
