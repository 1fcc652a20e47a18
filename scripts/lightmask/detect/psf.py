"""Point-spread functions, and the convolution with them.

A model and its width come in, a kernel goes out; a stack of windows comes in, a smaller one goes out.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arrays import FloatArray

MODELS = ("gauss", "gaussx", "gaussy", "moffat")


def psf_kernel(model: str, fwhm: float, size: int, beta: float) -> FloatArray:
    """Return a normalised PSF.

    Parameters
    ----------
    model : {'gauss', 'gaussx', 'gaussy', 'moffat'}
        A round Gaussian, one along x or y alone, or a Moffat profile.
    fwhm : float
        Full width at half maximum [pixel].
    size : int
        Side of the kernel [pixel], odd.
    beta : float
        Exponent of the Moffat profile.

    Returns
    -------
    (size, size) float32 array
        Its sum is 1.
    """
    steps = np.arange(size) - size // 2
    x2, y2 = np.meshgrid(steps * steps, steps * steps)
    if model == "moffat":
        alpha = fwhm / 2 / np.sqrt(np.power(2, 1 / beta) - 1)
        radius = np.sqrt(x2 + y2)
        profile = (1 + radius * radius / alpha / alpha) ** -beta
    else:
        r2 = {"gauss": x2 + y2, "gaussx": x2, "gaussy": y2}[model]
        # Rounded where the reference rounds.
        sigma2 = float(np.float32(fwhm) * np.float32(fwhm)) / 2.35482 / 2.35482
        profile = np.exp(-0.5 * r2 / sigma2)
    kernel = profile.astype(np.float32)
    return kernel / kernel.sum()


def convolve(values: NDArray[Any], kernel: FloatArray) -> FloatArray:
    """Return the convolution with a kernel, summed in the reference's order.

    Parameters
    ----------
    values : (rows, columns, n) array
        Stack of windows.
    kernel : (height, width) array
        Its sides are odd.

    Returns
    -------
    float32 array
        Smaller by half the larger side of the kernel, on all four sides.
    """
    half = max(kernel.shape) // 2
    rows, columns = len(values) - 2 * half, values.shape[1] - 2 * half
    result = np.zeros((rows, columns, values.shape[2]), np.float32)
    for dy, row in enumerate(kernel[::-1], start=half - kernel.shape[0] // 2):
        for dx, weight in enumerate(row[::-1], start=half - kernel.shape[1] // 2):
            result += weight * values[dy : dy + rows, dx : dx + columns]
    return result
