"""The tests of L.A.Cosmic in doubtful tiles, the most selective first: seeds, and what grows from each.

A seed is a pixel that passes all tests.  What makes up its cosmic ray lies in the 5x5 around it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arguments import Parameters
from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray
from lightmask.detect.bounds import TILE
from lightmask.detect.electrons import Electrons
from lightmask.detect.medians import Medians
from lightmask.detect.reach import GROWTH
from lightmask.detect.significance import fine_structure, laplacian_significance, median_subtracted
from lightmask.detect.windows import SIDES, cover, offsets, stacks, trim

PackedFlags = NDArray[np.uint8]


def find_seeds(tiles: IndexArray, image: Electrons, parameters: Parameters) -> tuple[IndexArray, PackedFlags]:
    """Return the seeds in some tiles, and what grows from each in 5x5."""
    medians = parameters.medians
    pixels, significance, noise = screen(tiles, image, medians, parameters.sigclip)
    fine = fine_structure(pixels, noise, image, medians, parameters.kernel)
    # The median of the significance, which is never negative, is yet to
    # be subtracted: what fails now would fail then.
    good = significance / fine > parameters.objlim
    return _confirm(pixels[good], fine[good], image, parameters)


def screen(
    tiles: IndexArray, image: Electrons, medians: Medians, sigclip: np.float32
) -> tuple[IndexArray, FloatArray, FloatArray]:
    """Return the good pixels of tiles with Laplacian / noise above sigclip.

    Returns
    -------
    pixels, significance, noise : 1-D arrays
        The significance is that before subtraction of its median.
    """
    y, x = np.divmod(tiles, -(-image.shape[1] // TILE))
    width = medians.noise_width
    found: list[tuple[Any, ...]] = [(np.zeros(0, np.intp), *np.zeros((2, 0), np.float32))]
    for _, windows in stacks(image.shape, y * TILE, x * TILE, TILE, width):
        significance, noise = laplacian_significance(windows, image, medians)
        hit = significance > sigclip
        if windows.depth is not None:
            hit &= trim(windows.depth, width) >= width
        pixels, place = trim(windows.index, width)[hit], np.flatnonzero(hit)
        if image.mask is not None:
            good = ~image.mask.ravel()[pixels]
            pixels, place = pixels[good], place[good]
        found.append((pixels, significance.ravel()[place], noise.ravel()[place]))
    pixels, significance, noise = (np.concatenate(each) for each in zip(*found, strict=True))
    return pixels, significance, noise


def _confirm(
    pixels: IndexArray, fine: FloatArray, image: Electrons, parameters: Parameters
) -> tuple[IndexArray, PackedFlags]:
    """Return the pixels that are seeds, and what grows from each in 5x5."""
    margin = 2 * parameters.medians.noise_width + GROWTH
    y, x, side, (row, column, stack) = cover(pixels, image.shape[1], margin, SIDES)
    result = np.empty((side + 2 * GROWTH, side + 2 * GROWTH, y.size), np.float32)
    for part, windows in stacks(image.shape, y, x, side, margin):
        result[..., part] = median_subtracted(windows, image, parameters.medians)
    centre = result[row + GROWTH, column + GROWTH, stack]
    confirmed = (centre > parameters.sigclip) & (centre / fine > parameters.objlim)
    row, column, stack = (each[confirmed] for each in (row, column, stack))
    steps = np.arange(2 * GROWTH + 1)[:, None]
    near = result[row + steps[:, None], column + steps, stack]
    good = None
    if image.mask is not None:
        good = ~image.mask.ravel()[pixels[confirmed] + offsets(image.shape[1], GROWTH)[:, None]].reshape(near.shape)
    return pixels[confirmed], grow(near, good, parameters.sigclip, parameters.sigfrac * parameters.sigclip)


def grow(near: FloatArray, good: BoolArray | None, sigclip: np.float32, sigcliplow: np.float32) -> PackedFlags:
    """Grow seeds twice, the second time down to a lower significance.

    Parameters
    ----------
    near : (5, 5, n) array
        Significance around each seed [sigma].
    good : (5, 5, n) bool array or None
        What is not masked; None if nothing is.
    sigclip, sigcliplow : float32
        Least significance of the first and of the second time [sigma].

    Returns
    -------
    (n, 4) uint8 array
        As `unpack` reads it.
    """
    first = near[1:-1, 1:-1] > sigclip
    second = near > sigcliplow
    if good is not None:
        first &= good[1:-1, 1:-1]
        second &= good
    touched = np.zeros(near.shape, np.bool_)
    for dy in range(3):
        for dx in range(3):
            touched[dy : dy + 3, dx : dx + 3] |= first
    return pack((touched & second).reshape(25, near.shape[2]).T)


def pack(flags: BoolArray) -> PackedFlags:
    """Pack (n, 25) flags into (n, 4) bytes."""
    return np.packbits(flags, axis=1)


def unpack(packed: PackedFlags) -> BoolArray:
    """Return (n, 25) flags that were packed."""
    return np.unpackbits(packed, axis=1, count=25).view(np.bool_)
