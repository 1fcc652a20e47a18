"""Cut an image into bands of rows.

With enough rows around it a band gives, in all its iterations, what it gives as a part of the image.
"""

from typing import NamedTuple

from lightmask.detect.medians import SEPARABLE
from lightmask.detect.reach import overlap

SLAB = 1 << 24  # pixels of a band that is searched at a time
LEAST_BAND = 8  # its rows, in overlaps with the next one, at the least: else much would be done twice


class Band(NamedTuple):
    """Rows of the whole image that are searched at a time."""

    rows: slice  # whose result counts
    around: slice  # with those that may have a say
    within: slice  # `rows`, counted from the beginning of `around`


def height(shape: tuple[int, ...], around: int) -> int:
    """Return the number of rows of a band, not those around it: as many in each."""
    number = -(-shape[0] // max(SLAB // shape[1], LEAST_BAND * around))
    return -(-shape[0] // number)


def cut_into_bands(shape: tuple[int, ...], around: int) -> list[Band]:
    """Cut an image into bands, with so many rows above and below each."""
    ny, step = shape[0], height(shape, around)
    bands = []
    for top in range(0, ny, step):
        bottom = min(top + step, ny)
        first = max(top - around, 0)
        last = min(bottom + around, ny)
        bands.append(Band(slice(top, bottom), slice(first, last), slice(top - first, bottom - first)))
    return bands


def pixels_at_a_time(shape: tuple[int, int], niter: int, side: int = 0) -> int:
    """Reckon how many pixels of an image `mask_cosmics` holds at a time, at the most.

    Parameters
    ----------
    shape : (int, int)
        Of the image [pixel].
    niter : int
        Largest number of iterations.
    side : int
        Larger side of the kernel of ``fsmode='convolve'`` [pixel].

    Returns
    -------
    int
    """
    around = overlap(SEPARABLE, side, niter)
    return min(height(shape, around) + 2 * around, shape[0]) * shape[1]
