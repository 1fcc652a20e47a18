"""Clean cosmic pixels: replace them, and their variance, from the 5x5 around each.

In come an image and its cosmic pixels; the image is changed, and out go the pixels that changed.
For n pixels, a cleaner gets the (25, n) values around them and which of these are bad, and returns n values.
"""

from collections.abc import Callable, Iterator

import numpy as np

from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray, distinct, parts
from lightmask.detect.electrons import Electrons
from lightmask.detect.medians import FULL
from lightmask.detect.windows import offsets

CLEANING = 2  # how far away the pixels are from which one is replaced


def mean(values: FloatArray, bad: BoolArray) -> FloatArray:
    """Return the mean of the good pixels, NaN if there is none."""
    total = np.zeros(values.shape[1], np.float32)
    for row in np.where(bad, np.float32(0), values):
        total += row  # one by one, the order of the reference
    return total / (len(bad) - np.count_nonzero(bad, axis=0)).astype(np.float32)


def _inverse_distance_mean(values: FloatArray, bad: BoolArray) -> FloatArray:
    """Return the mean of the good pixels, weighted by 1 / distance to the centre."""
    steps = np.arange(-2, 3)
    distance = np.hypot(steps[:, None], steps).ravel()
    weights = np.divide(1, distance, out=np.zeros(25), where=distance > 0).astype(np.float32)
    total, weight_sum = np.zeros((2, values.shape[1]), np.float32)
    for value, weight, masked in zip(values, weights, bad, strict=True):
        total += np.where(masked, np.float32(0), weight * value)
        weight_sum += np.where(masked, np.float32(0), weight)
    return total / weight_sum


def _masked_median(values: FloatArray, bad: BoolArray) -> FloatArray:
    """Return the median of the good pixels, the lower one of two."""
    ordered = np.sort(np.where(bad, np.float32(np.inf), values), axis=0)
    middle = (24 - np.count_nonzero(bad, axis=0)) // 2
    return ordered[middle.clip(0), np.arange(middle.size)]


def median(values: FloatArray, bad: BoolArray) -> FloatArray:
    """Return the median of all pixels, good or bad."""
    return np.partition(values, 12, axis=0)[12]


CLEANERS: dict[str, Callable[[FloatArray, BoolArray], FloatArray]] = {
    "meanmask": mean,
    "medmask": _masked_median,
    "median": median,
    "idw": _inverse_distance_mean,
}


ENOUGH = 13  # good pixels of 25 whose median the original takes
UNCLEAN = np.float32(10_000)  # what it multiplies others by, which so are never the median


def clean_as_original(image: Electrons, new: IndexArray) -> tuple[IndexArray, FloatArray]:
    """Replace cosmic pixels, as IRAF's lacos_im does, by the 13th smallest value of 5x5, in which they come last.

    Where fewer than 13 pixels are good a pixel gets UNCLEAN times its value: it goes on as a peak until
    `finish_as_original`. The image goes on beyond its edges.

    Parameters
    ----------
    image : Electrons
        Its data and `crmask` are changed.
    new : 1-D array
        Cosmic pixels that were found for the first time.

    Returns
    -------
    changed, variances : 1-D arrays
        Pixels whose data changed, and their new variance [electron^2].
    """
    image.crmask.ravel()[new] = True
    pixels, data = np.flatnonzero(image.crmask), image.data.ravel()
    values = np.empty(pixels.size, np.float32)
    for part in parts(pixels.size, PART):
        around, _ = _around(image, pixels[part], UNCLEAN)
        values[part] = FULL.noise(around.reshape(5, 5, -1)).ravel()
    changed = values != data[pixels]
    data[pixels] = values
    return pixels[changed], values[changed] + image.variance.of_read_noise


def finish_as_original(image: Electrons, default: Callable[[], np.float32]) -> None:
    """Replace what `clean_as_original` could not: by the median of the good pixels of 5x5, or a default without any."""
    pixels = np.flatnonzero(image.crmask)
    for part in parts(pixels.size, PART):
        around, bad = _around(image, pixels[part], np.float32(np.inf))
        around.sort(axis=0)
        enough = np.isfinite(around[ENOUGH - 1])
        good = len(bad) - np.count_nonzero(bad, axis=0)
        values = around[(good - 1).clip(0) // 2, np.arange(good.size)]
        if not good.all():
            values[good == 0] = default()
        image.data.ravel()[pixels[part][~enough]] = values[~enough]


BRIGHTEST = np.float32(1e30)  # of what was multiplied [electron]
PART = 1 << 14  # pixels that the original cleans at a time


def _around(image: Electrons, pixels: IndexArray, factor: np.float32) -> tuple[FloatArray, BoolArray]:
    """Return the (25, n) values around pixels, those of bad ones times a factor, and which are bad."""
    (ny, nx), width = image.shape, CLEANING
    y, x = np.divmod(pixels, nx)
    index = pixels + offsets(nx, width)[:, None]
    edge = np.flatnonzero((y < width) | (x < width) | (y >= ny - width) | (x >= nx - width))
    if edge.size:
        steps = np.arange(-width, width + 1)
        rows = (y[edge] + np.repeat(steps, 5)[:, None]).clip(0, ny - 1)
        index[:, edge] = rows * nx + (x[edge] + np.tile(steps, 5)[:, None]).clip(0, nx - 1)
    bad = image.crmask.ravel()[index]
    if image.mask is not None:
        bad |= image.mask.ravel()[index]
    values = image.data.ravel()[index]
    values[bad] = np.minimum(np.maximum(values[bad], np.float32(1)) * factor, np.maximum(factor, BRIGHTEST))
    return values, bad


def clean(
    image: Electrons,
    cosmics: IndexArray,
    cleantype: str,
    defaults: Callable[[], tuple[np.float32, np.float32]],
    at_a_time: int,
) -> Iterator[tuple[IndexArray, FloatArray]]:
    """Replace cosmic pixels, new ones and those that a new one is close to.

    Parameters
    ----------
    image : Electrons
        Its data, variance and `crmask` are changed.
    cosmics : 1-D array
        All that were found in this iteration.
    cleantype : {'meanmask', 'medmask', 'median', 'idw'}
    defaults : callable
        Returns data and variance for pixels without a good pixel in 5x5.
    at_a_time : int
        Number of pixels that are replaced at a time.

    Yields
    ------
    changed, variances : 1-D arrays
        Pixels whose data or variance changed, and their new variance [electron^2].
    """
    data, crmask, square = image.data.ravel(), image.crmask.ravel(), offsets(image.shape[1], CLEANING)
    new = cosmics[~crmask[cosmics]]
    cleaner = CLEANERS[cleantype]
    if cleaner is median:
        old: IndexArray = np.flatnonzero(crmask)  # each depends on its cosmic neighbours
    else:
        # Good pixels keep their values: only a new bad one makes a difference.
        near = ((new[part, None] + square).ravel() for part in parts(new.size, at_a_time))
        old = distinct((pixels[crmask[pixels]] for pixels in near), image.seen, image.index_dtype)
    image.variance.make_room(new, image.data, many=cleaner is median)
    crmask[new] = True
    pixels = np.concatenate([old, new])
    del old, new  # there may be very many

    # What is good stays as it is, so that cleaning may go on while reading.
    # The plain median reads cosmic pixels, too, and needs them unchanged.
    source, variance = image.data, image.variance.image
    if cleaner is median and variance is not None:
        source, variance = source.copy(), variance.copy()
    for part in parts(pixels.size, at_a_time):
        batch = pixels[part]
        index = batch + square[:, None]
        bad = crmask[index]
        if image.mask is not None:
            bad |= image.mask.ravel()[index]
        around = source.ravel()[index]
        values = cleaner(around, bad)
        if variance is None:
            around += image.variance.of_read_noise
        else:
            around = variance.ravel()[index]
        variances = cleaner(around, bad)
        store, place = image.variance.places(batch)
        empty = bad.all(axis=0)
        if empty.any() and cleaner is not median:
            values[empty], variances[empty] = defaults()
        changed = (values != data[batch]) | (variances != store[place])
        data[batch], store[place] = values, variances
        yield batch[changed], variances[changed]
