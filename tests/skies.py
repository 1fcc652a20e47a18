"""Synthetic images for the tests and the benchmark of the cosmic-ray detector."""

import numpy as np


def sky(shape, rng, level=200.0, readnoise=6.5):
    """Return an empty sky, Poisson and read noise, in whole electrons."""
    return np.rint(rng.poisson(level, shape) + rng.normal(0, readnoise, shape)).astype(np.float32)


def add_stars(image, rng, number, fwhm=(2.2, 3.2), flux=(300, 300_000)):
    """Add round Gaussian stars with their photon noise, in whole electrons."""
    ny, nx = image.shape
    for _ in range(number):
        y, x = rng.uniform(0, ny), rng.uniform(0, nx)
        sigma = rng.uniform(*fwhm) / 2.3548
        peak = np.exp(rng.uniform(*np.log(flux))) / (2 * np.pi * sigma**2)
        half = 12
        rows = slice(max(int(y) - half, 0), int(y) + half + 1)
        columns = slice(max(int(x) - half, 0), int(x) + half + 1)
        stamp = image[rows, columns]
        yy, xx = np.ogrid[rows, columns]
        yy, xx = yy[: len(stamp)], xx[:, : stamp.shape[1]]
        stamp += rng.poisson(peak * np.exp(-((yy - y) ** 2 + (xx - x) ** 2) / (2 * sigma**2)))
    return image


def add_tracks(image, rng, number, length=(1, 15), charge=(100, 3000)):
    """Add straight cosmic-ray tracks at random angles, in whole electrons."""
    ny, nx = image.shape
    for _ in range(number):
        y, x, angle = rng.uniform(0, ny), rng.uniform(0, nx), rng.uniform(0, np.pi)
        step = np.arange(0, rng.uniform(*length), 0.7)
        rows, columns = (y + step * np.sin(angle)).astype(int), (x + step * np.cos(angle)).astype(int)
        inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
        np.add.at(image, (rows[inside], columns[inside]), np.rint(0.7 * rng.uniform(*charge)))
    return image


def star_field(size, seed=0, stars=100, tracks=21):
    """Return a square field; stars and tracks are per square of 1024 pixels."""
    rng = np.random.default_rng(seed)
    area = (size / 1024) ** 2
    image = add_stars(sky((size, size), rng), rng, round(stars * area))
    return add_tracks(image, rng, round(tracks * area))


def add_hits(image, rng, fraction, charge=(100, 10_000)):
    """Add single bright pixels to a fraction of all."""
    hits = rng.random(image.shape) < fraction
    image[hits] += np.rint(np.exp(rng.uniform(*np.log(charge), hits.sum())))
    return image


def scene_across_bands(shape, rows, seed=1, fraction=0.004):
    """Return stars, one of them saturated over many rows, tracks and hits, also beside the edges of all bands."""
    rng = np.random.default_rng(seed)
    image = add_tracks(add_stars(sky(shape, rng), rng, 8), rng, 10)
    image = add_hits(image, rng, fraction)
    yy, xx = np.ogrid[: shape[0], : shape[1]]
    image[(yy - 9 * rows) ** 2 + (xx - 20) ** 2 < 150] = 70_000
    for row in range(rows, shape[0] - 4, rows):
        image[row - 1 : row + 1, 5 + row % 31] += 4000
    return image
