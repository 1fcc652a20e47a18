"""L.A.Cosmic written out plainly, and an image and parameters to try it with: what tests of the detector share."""

import numpy as np
import skies
from numpy.lib.stride_tricks import sliding_window_view

from lightmask.detect.arguments import Parameters
from lightmask.detect.medians import SEPARABLE


def median_filtered(image, width, separable):
    """Return the median filter of the reference: a border of half its width stays."""
    result = image.copy()
    half = width // 2
    if min(image.shape) < width:
        return result
    inner = slice(half, -half)
    if separable:
        rows = np.median(sliding_window_view(image, width, axis=1), axis=-1)
        result[inner, inner] = np.median(sliding_window_view(rows, width, axis=0), axis=-1)
    else:
        result[inner, inner] = np.median(sliding_window_view(image, (width, width)), axis=(-2, -1))
    return result


def plain_tests(data, variance, sepmed, background=0.0):
    """Return the significance of every pixel, and its ratio to the fine structure."""
    fine_scale = np.repeat(np.repeat(np.pad(data, 1), 2, axis=0), 2, axis=1)[1:-1, 1:-1]
    middle = fine_scale[1:-1, 1:-1]
    laplacian = 4 * middle - fine_scale[1:-1, 2:] - fine_scale[1:-1, :-2]
    laplacian -= fine_scale[2:, 1:-1] + fine_scale[:-2, 1:-1]
    ny, nx = data.shape
    laplacian = np.maximum(laplacian, 0).reshape(ny, 2, nx, 2).mean(axis=(1, 3))
    wide, fine, large = (7, 5, 9) if sepmed else (5, 3, 7)
    noise = np.sqrt(np.maximum(median_filtered(variance, wide, sepmed) + background, 1e-5))
    significance = laplacian / (2 * noise)
    significance -= median_filtered(significance, wide, sepmed)
    smooth = median_filtered(data, fine, sepmed)
    structure = (smooth - median_filtered(smooth, large, sepmed)) / noise
    return significance, significance / np.maximum(structure, 0.01)


def dilated(mask):
    padded = np.pad(mask, 1)
    return np.any(sliding_window_view(padded, (3, 3)), axis=(-2, -1))


def plain_lacosmic(image, sigclip, sigfrac, objlim, readnoise, niter, sepmed):
    """Return mask and image cleaned by the plain median of 5x5, as documented."""
    data, variance = image.astype(float), image + float(readnoise) ** 2
    crmask = np.zeros(image.shape, bool)
    for _ in range(niter):
        significance, ratio = plain_tests(data, variance, sepmed)
        cosmics = (significance > sigclip) & (ratio > objlim)
        cosmics = dilated(cosmics) & (significance > sigclip)
        cosmics = dilated(cosmics) & (significance > sigclip * sigfrac)
        if not cosmics.any():
            break
        crmask |= cosmics
        data = np.where(crmask, median_filtered(data, 5, separable=False), data)
        variance = np.where(crmask, median_filtered(variance, 5, separable=False), variance)
    return crmask, data


def busy(shape, rng):
    """Return a small image with stars, tracks, single hits and dead pixels."""
    area = shape[0] * shape[1]
    image = skies.add_stars(skies.sky(shape, rng), rng, 1 + area // 2000)
    image = skies.add_hits(skies.add_tracks(image, rng, 1 + area // 1500), rng, 0.005)
    image[rng.random(shape) < 0.002] = -500
    return image


PARAMETERS = Parameters(
    niter=4,
    gain=np.float32(1),
    readnoise=np.float32(6.5),
    satlevel=np.float32(np.inf),
    sigclip=np.float32(4.5),
    sigfrac=np.float32(0.3),
    objlim=np.float32(5),
    medians=SEPARABLE,
    cleantype="meanmask",
    kernel=None,
)


def never(_=None):
    raise AssertionError("there are good pixels everywhere")
