"""One iteration over an image at a time: find the cosmic pixels, and clean them.

In come a prepared image, the extremes of its tiles and the parameters; out go the cosmic pixels of
each iteration, and the image is cleaned of them.

In the doubtful tiles the tests of L.A.Cosmic run in the order that discards most.  A seed is a pixel
that passes all of them.  What makes up its cosmic ray lies in the 5x5 around it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arguments import Parameters
from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray, distinct, parts
from lightmask.detect.bounds import TILE, Bounds, TileExtremes
from lightmask.detect.cleaning import clean, clean_as_original
from lightmask.detect.electrons import Electrons
from lightmask.detect.medians import Medians
from lightmask.detect.significance import fine_reach, fine_structure, laplacian_significance, median_subtracted
from lightmask.detect.windows import SIDES, cover, offsets, squares_of, stacks, trim

PackedFlags = NDArray[np.uint8]

GROWTH = 2  # cosmic rays grow twice, by one pixel each time


def reach(medians: Medians, side: int) -> int:
    """Return how far away a pixel can be to decide whether another belongs to a cosmic ray.

    Parameters
    ----------
    medians : Medians
    side : int
        Larger side of the kernel of ``fsmode='convolve'`` [pixel], 0 without one.
    """
    return GROWTH + max(2 * medians.noise_width, fine_reach(medians, side))


class Detector:
    """Finds the cosmic rays of an image; knows what an iteration can keep of the last one.

    Attributes
    ----------
    image : Electrons
    bounds : Bounds
    seeds : 1-D array
        Pixels that passed all tests.
    grown : (n, 4) uint8 array
        Which of the 5x5 around each seed make up its cosmic ray, packed.
    """

    def __init__(self, image: Electrons, tiles: TileExtremes, parameters: Parameters) -> None:
        self.image, self.parameters = image, parameters
        self.bounds = Bounds(tiles, image, parameters.medians)
        # Tiles between two stages, so many that what lies between stays small.
        self._batch = max(512, tiles.contrast.size // 16)
        self.seeds = np.zeros(0, image.index_dtype)
        self.grown = pack(np.zeros((0, 25), np.bool_))

    def first_seeds(self) -> IndexArray:
        """Return the seeds of the image as it is, without cleaning anything."""
        self._update_seeds()
        return self.seeds

    def iterate(self, defaults: Callable[[], tuple[np.float32, np.float32]]) -> IndexArray:
        """Find cosmic rays, clean them, and return their pixels.

        Parameters
        ----------
        defaults : callable
            Returns data and variance for cosmic pixels without a good pixel in 5x5.

        Returns
        -------
        1-D array
            All cosmic pixels of this iteration, old ones that are found again included.
        """
        self._update_seeds()
        image, parameters, nx = self.image, self.parameters, self.image.shape[1]
        square = offsets(nx, GROWTH)
        found = (
            (self.seeds[part, None] + square)[unpack(self.grown[part])]
            for part in parts(self.seeds.size, 2 * self._batch)
        )
        cosmics = distinct(found, image.seen, image.index_dtype)
        self.bounds.active[:] = False
        far = reach(parameters.medians, parameters.side)
        if parameters.medians.extends:
            cosmics = cosmics[~image.crmask.ravel()[cosmics]]
            changed, variances = clean_as_original(image, cosmics)
            self.bounds.renew(changed, variances, nx, far)
            return cosmics
        for changed, variances in clean(image, cosmics, parameters.cleantype, defaults, 2 * self._batch):
            self.bounds.renew(changed, variances, nx, far)
        return cosmics

    def _update_seeds(self) -> None:
        """Find the seeds of active tiles, and what grows from them; keep all others."""
        active = self.bounds.active.ravel()
        # Elsewhere nothing changed since the last iteration, so neither do they.
        kept = ~active[squares_of(self.seeds, self.image.shape[1], TILE)]
        seeds, grown = [self.seeds[kept]], [self.grown[kept]]
        tiles = self.bounds.doubtful(np.flatnonzero(active), self.image.data, self.parameters.sigclip)
        for part in parts(tiles.size, self._batch):
            more_seeds, more_grown = find_seeds(tiles[part], self.image, self.parameters)
            seeds.append(more_seeds.astype(self.image.index_dtype))
            grown.append(more_grown)
        self.seeds, self.grown = np.concatenate(seeds), np.concatenate(grown)


def find_seeds(tiles: IndexArray, image: Electrons, parameters: Parameters) -> tuple[IndexArray, PackedFlags]:
    """Return the seeds in some tiles, and what grows from each in 5x5.

    Parameters
    ----------
    tiles : 1-D array
    image : Electrons
    parameters : Parameters

    Returns
    -------
    seeds : 1-D array
    grown : (n, 4) uint8 array
        As `unpack` reads it.
    """
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
            hit &= trim(windows.depth, width) >= (0 if medians.extends else width)
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
        significance = median_subtracted(windows, image, parameters.medians)
        if windows.depth is not None:  # nothing grows out of the image
            significance[trim(windows.depth, margin - GROWTH) < 0] = -np.inf
        result[..., part] = significance
    centre = result[row + GROWTH, column + GROWTH, stack]
    confirmed = (centre > parameters.sigclip) & (centre / fine > parameters.objlim)
    row, column, stack = (each[confirmed] for each in (row, column, stack))
    steps = np.arange(2 * GROWTH + 1)[:, None]
    near = result[row + steps[:, None], column + steps, stack]
    good = None
    if image.mask is not None:
        around = pixels[confirmed] + offsets(image.shape[1], GROWTH)[:, None]
        good = ~image.mask.ravel().take(around, mode="clip").reshape(near.shape)
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
