"""The quantities of L.A.Cosmic: Laplacian, noise, significance, fine structure.

In come windows or pixels of an image, out go these quantities there.

Arithmetic is float32, operation by operation in the order in which the reference does it.

References
----------
.. [1] van Dokkum, P. G. 2001, PASP, 113, 1420 (L.A.Cosmic)
"""

import numpy as np

from lightmask.detect.arrays import FloatArray, IndexArray
from lightmask.detect.electrons import MIN_VARIANCE, Electrons
from lightmask.detect.medians import Medians
from lightmask.detect.psf import convolve
from lightmask.detect.windows import SIDES, Windows, cover, stacks, trim

MIN_FINE_STRUCTURE = np.float32(0.01)  # [sigma]


def fine_reach(medians: Medians, side: int) -> int:
    """Return how far away a pixel can be to change the fine structure of another.

    Parameters
    ----------
    medians : Medians
    side : int
        Larger side of the kernel of ``fsmode='convolve'`` [pixel], 0 without one.
    """
    return medians.large_width + (medians.noise_width + side // 2 if side else medians.fine_width)


def laplacian(data: FloatArray) -> FloatArray:
    """Return the Laplacian of the twice subsampled data, clipped at 0, rebinned.

    Each pixel is four subpixels, of which each has two neighbours in the same
    pixel.  The order of operations is that of the reference.
    """
    middle = data[1:-1, 1:-1]
    right = np.float32(4) * middle
    left = right - middle
    left -= data[1:-1, :-2]
    right -= data[1:-1, 2:]
    right -= middle
    vertical = data[1:, 1:-1] + data[:-1, 1:-1]
    up, down = vertical[:-1], vertical[1:]
    one, two, three, four = left - up, right - down, left - down, right - up
    for each in (one, two, three, four):
        np.maximum(each, np.float32(0), out=each)
    one += two
    three += four
    one += three
    one *= np.float32(0.25)
    return one


def laplacian_significance(windows: Windows, image: Electrons, medians: Medians) -> tuple[FloatArray, FloatArray]:
    """Return Laplacian / noise, and the noise [electron], `noise_width` inside windows."""
    data = windows.take(image.data, medians.extends)
    noise = noise_of(windows, data, image, medians)
    significance = laplacian(trim(data, medians.noise_width - 1))
    significance /= np.float32(2) * noise  # 2 is the subsampling
    if medians.extends:
        windows.extend(significance)
    return significance, noise


def _at_edges(windows: Windows, filtered: FloatArray, unfiltered: FloatArray, width: int, medians: Medians) -> None:
    """Do to a filtered image what its variant does at the edges."""
    if medians.extends:
        windows.extend(filtered)
    else:
        windows.keep_border(filtered, unfiltered, width)


def noise_of(windows: Windows, data: FloatArray, image: Electrons, medians: Medians) -> FloatArray:
    """Return the noise [electron] `noise_width` inside windows of the given data, from the median of the variance."""
    width = medians.noise_width
    variance = image.variance.at(windows.index, data, image.crmask)
    noise = medians.noise(variance)
    _at_edges(windows, noise, variance, width, medians)
    if image.background is not None:
        noise += image.background.ravel()[trim(windows.index, width)]
    np.maximum(noise, least_variance(image, medians), out=noise)
    return np.sqrt(noise, out=noise)


def least_variance(image: Electrons, medians: Medians) -> np.float32:
    """Return the least variance of a pixel [electron^2]: the original takes no sky below zero."""
    if medians.extends and not image.has_given_variance:
        return max(image.variance.of_read_noise, MIN_VARIANCE)
    return MIN_VARIANCE


def median_subtracted(windows: Windows, image: Electrons, medians: Medians) -> FloatArray:
    """Return Laplacian / noise less its median, twice `noise_width` inside windows."""
    width = medians.noise_width
    significance, _ = laplacian_significance(windows, image, medians)
    median = medians.noise(significance)
    _at_edges(windows, median, significance, width, medians)
    result: FloatArray = trim(significance, width) - median
    return result


def fine_structure(
    pixels: IndexArray, noise: FloatArray, image: Electrons, medians: Medians, kernel: FloatArray | None
) -> FloatArray:
    """Return the fine structure of pixels, in units of their noise.

    It is what a median, or a convolution with a `kernel`, leaves of an image, less a wider median.
    """
    reach = fine_reach(medians, 0 if kernel is None else max(kernel.shape))
    y, x, side, place = cover(pixels, image.shape[1], reach, SIDES if medians.large_shared else ())
    result = np.empty((side, side, y.size), np.float32)
    for part, windows in stacks(image.shape, y, x, side, reach):
        data = windows.take(image.data, medians.extends)
        if kernel is None:
            fine = medians.fine(data)
            _at_edges(windows, fine, data, medians.fine_width, medians)
        else:
            fine = _matched_filter(windows, data, image, medians, kernel)
        large = medians.large(fine)
        _at_edges(windows, large, fine, medians.large_width, medians)
        result[..., part] = trim(fine, medians.large_width) - large
    fine = result[place] / noise
    return np.maximum(fine, MIN_FINE_STRUCTURE, out=fine)


def _matched_filter(
    windows: Windows, data: FloatArray, image: Electrons, medians: Medians, kernel: FloatArray
) -> FloatArray:
    """Return the flux per unit PSF: data convolved, weighted by 1 / noise^2."""
    noise = noise_of(windows, data, image, medians)
    signal = trim(data, medians.noise_width) / noise
    signal /= noise
    weight: FloatArray = np.float32(1) / noise / noise
    if windows.depth is not None:
        outside = trim(windows.depth, medians.noise_width) < 0
        signal[outside] = weight[outside] = 0
    return convolve(signal, kernel) / convolve(weight, kernel)
