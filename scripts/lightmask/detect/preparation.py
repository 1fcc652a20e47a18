"""Prepare an image for the search.

The images as given come in.  Out goes an image in electrons, without background, values that are not
finite replaced, bad pixels and saturated stars masked; and the extremes of its tiles.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arguments import Parameters
from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray, sorted_distinct
from lightmask.detect.bounds import TileExtremes, tile_extremes
from lightmask.detect.cleaning import CLEANING, mean
from lightmask.detect.electrons import FEW, Electrons, Images, in_electrons
from lightmask.detect.medians import Medians
from lightmask.detect.windows import stacks

STAR_GROWTH = 4  # of the cores of saturated stars, in two steps [pixels]


def prepare(
    images: Images, parameters: Parameters, finite_level: Callable[[int], np.float32], fill_bad: bool = False
) -> tuple[Electrons, TileExtremes]:
    """Return an image in electrons, and the extremes of its tiles.

    Parameters
    ----------
    images : Images
        As given.
    parameters : Parameters
    finite_level : callable
        Returns the median of what is finite in one of the images that `in_electrons` returns.
        It is called only where nothing near a pixel is finite.
    fill_bad : bool
        Replace what is masked, too, as if it were not finite.
    """
    data, background, variance = in_electrons(images, parameters.gain)
    if fill_bad and images.mask is not None:
        data[images.mask != 0] = np.nan
    tiles = tile_extremes(data)
    not_finite = _replace_not_finite((data, background, variance), tiles, finite_level)
    if not_finite.size:
        tiles = tile_extremes(data)
    mask = _bad_pixels(images.mask, not_finite, data.shape)
    if tiles.highest.max() >= parameters.satlevel:
        stars = _saturated_cores(data, parameters.satlevel, parameters.medians)
        mask = stars if mask is None else mask | stars
    if background is not None:
        data -= background
        tiles = tile_extremes(data)
    read_variance = parameters.readnoise * parameters.readnoise
    image = Electrons(images, parameters.gain, read_variance, data, background, variance, mask, not_finite)
    return image, tiles


def _replace_not_finite(
    images: tuple[FloatArray, FloatArray | None, FloatArray | None],
    tiles: TileExtremes,
    finite_level: Callable[[int], np.float32],
) -> IndexArray:
    """Replace values that are not finite; return the pixels that have any.

    Each gets the mean of the finite ones of 5x5, so that its neighbours see
    a smooth image.
    """
    numbered = list(enumerate(images))
    if np.isfinite(tiles.highest).all() and np.isfinite(tiles.lowest).all():
        del numbered[0]
    everything: IndexArray = np.zeros(0, np.intp)
    for number, image in numbered:
        if image is None:
            continue
        wrong = ~np.isfinite(image)
        pixels = np.flatnonzero(wrong)
        if not pixels.size:
            continue
        everything = sorted_distinct(np.concatenate([everything, pixels])) if everything.size else pixels
        if pixels.size > image.size // FEW:  # a rim, perhaps: most of it has nothing finite near
            is_far = _far_from_good(wrong).ravel()
            far, pixels = pixels[is_far[pixels]], pixels[~is_far[pixels]]
            if far.size:
                image.ravel()[far] = finite_level(number)
        values = np.empty(pixels.size, np.float32)
        y, x = np.divmod(pixels, image.shape[1])
        for part, windows in stacks(image.shape, y, x, 1, CLEANING):
            bad = wrong.ravel()[windows.index]
            if windows.depth is not None:
                bad |= windows.depth < 0
            bad = bad.reshape(25, -1)
            around = mean(windows.take(image).reshape(25, -1), bad)
            empty = bad.all(axis=0)
            if empty.any():
                around[empty] = finite_level(number)
            values[part] = around
        image.ravel()[pixels] = values
    return everything


def _far_from_good(wrong: BoolArray) -> BoolArray:
    """Return the pixels around which nothing in 5x5 is good."""
    far = wrong.copy()
    for of_rows in (far, far.T):  # along one axis, then the other: what is outside of the image is not good either
        before = of_rows.copy()
        for step in range(1, CLEANING + 1):
            of_rows[step:] &= before[:-step]
            of_rows[:-step] &= before[step:]
    return far


def _bad_pixels(mask: NDArray[Any] | None, not_finite: IndexArray, shape: tuple[int, ...]) -> BoolArray | None:
    """Return what is masked or not finite, and its neighbours; None if there is nothing."""
    if mask is None and not not_finite.size:
        return None
    bad = np.zeros(shape, np.bool_) if mask is None else mask != 0
    bad.ravel()[not_finite] = True
    return _grown_by_one(bad)


def _saturated_cores(data: FloatArray, satlevel: np.float32, medians: Medians) -> BoolArray:
    """Return the middles of saturated stars, grown by four pixels.

    The median tells a star from a cosmic ray: it stays bright.
    """
    saturated = np.flatnonzero(data >= satlevel)
    median = np.empty(saturated.size, np.float32)
    width = medians.noise_width
    y, x = np.divmod(saturated, data.shape[1])
    for part, windows in stacks(data.shape, y, x, 1, width):
        bright = windows.take(data)
        filtered = medians.noise(bright)
        windows.keep_border(filtered, bright, width)
        median[part] = filtered.ravel()
    cores = np.zeros(data.shape, np.bool_)
    cores.ravel()[saturated] = median > np.float32(float(satlevel) / 10)
    return _grown_by_two(_grown_by_two(cores))


def _grown_by_one(mask: BoolArray) -> BoolArray:
    """Grow a mask to the eight neighbours; the outermost pixels stay as they are."""
    grown = mask.copy()
    across = mask[:, :-2] | mask[:, 1:-1] | mask[:, 2:]
    grown[1:-1, 1:-1] = across[:-2] | across[1:-1] | across[2:]
    return grown


def _grown_by_two(mask: BoolArray) -> BoolArray:
    """Grow a mask to 5x5 without its corners; the outermost two pixels stay."""
    grown = mask.copy()
    three = mask[:, :-2] | mask[:, 1:-1] | mask[:, 2:]
    five = three[:, :-2] | three[:, 2:]
    grown[2:-2, 2:-2] = five[1:-3] | five[2:-2] | five[3:-1] | three[:-4, 1:-1] | three[4:, 1:-1]
    return grown
