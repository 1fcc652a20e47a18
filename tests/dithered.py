"""Simulated nights of one field: frames that are displaced, turned, seen through other seeing, with truth.

A seed comes in; images, and what rays hit in each, go out.
"""

from dataclasses import dataclass

import numpy as np
from scenes import add_galaxy, add_stars_at, bled, log_uniform, star_image
from scipy import ndimage

from lightmask.truth import LEAST_OF_RAY, MOST_OF_NONE, Sensor, inject, scaled, tracks

MARGIN = 80
"""Pixels of the field around each frame."""
DITHER = 35.0
"""By how much frames are displaced, at most [pixel]."""


@dataclass
class Exposed:
    """One frame of a night.

    Attributes
    ----------
    image : (ny, nx) float32 array
        [adu]
    hit, free : (ny, nx) bool array
        What rays hit, and what they did not.
    event : (ny, nx) int array
        Number of the ray.
    cores : (n, 2) int array
        Brightest pixels of bright stars where no ray is.
    """

    image: np.ndarray
    hit: np.ndarray
    free: np.ndarray
    event: np.ndarray
    cores: np.ndarray


@dataclass
class Night:
    """Frames of one field.

    Attributes
    ----------
    frames : list of Exposed
    gain, readnoise, satlevel : float
        [e-/adu], [e-], [e-]
    hot : (n, 2) int array
        Row and column of hot pixels, which no mask knows.
    """

    frames: list[Exposed]
    gain: float
    readnoise: float
    satlevel: float
    hot: np.ndarray


def night(seed, *, fwhm=2.5, number=8, side=512, turn=0.0, seeing=1.5, dither=DITHER, rays=190e-6, hot=0, stars=600e-6):
    """Simulate a night.

    Parameters
    ----------
    seed : int or list of int
    fwhm : float
        Of stars in the best frame [pixel]; others are up to `seeing` times as wide.
    number : int
        Frames.
    side : int
        Of each [pixel].
    turn : float
        By how much frames are turned, at most, to both sides [radian].
    seeing : float
    dither : float
        By how much frames are displaced, at most [pixel].
    rays, stars : float
        For each pixel.
    hot : int
        Hot pixels.

    Returns
    -------
    Night
    """
    rng = np.random.default_rng(seed)
    sky, readnoise = log_uniform(rng, 50, 2000), log_uniform(rng, 4, 15)
    gain, satlevel = log_uniform(rng, 0.5, 4), log_uniform(rng, 60_000, 200_000)
    whole, noise = side + 2 * MARGIN, np.sqrt(sky + readnoise**2)
    places = rng.uniform(-2, whole + 2, (int(stars * whole**2) + 2, 2))
    least = noise * fwhm * 4
    fluxes = np.minimum(least * (1 - rng.random(len(places))) ** (-1 / 0.8), satlevel * fwhm**2 * 30)
    half = int(np.clip(6 * fwhm, 12, 30))
    extended = np.zeros((whole, whole))
    for _ in range(6):
        add_galaxy(extended, rng, sky, star_image(rng, fwhm, "round", 4, half))
    hot_pixels, excess = rng.integers(0, side, (hot, 2)), noise * rng.uniform(10, 100, hot)
    found = []
    for _ in range(number):
        star = star_image(rng, fwhm * rng.uniform(1, seeing), "round", 4, half)
        angle, shift = rng.uniform(-turn, turn), rng.uniform(-dither, dither, 2)
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        here = (places - whole / 2) @ matrix.T + side / 2 + shift
        inside = ((here > -5) & (here < side + 5)).all(axis=1)
        light = np.zeros((side, side))
        add_stars_at(light, here[inside], star, fluxes[inside])
        back = (np.indices((side, side)).reshape(2, -1).T - side / 2 - shift) @ matrix + whole / 2
        light += ndimage.map_coordinates(extended, back.T, order=1).reshape(side, side)
        level = sky * rng.uniform(0.8, 1.5)
        light = light * rng.uniform(0.75, 1) + level
        made = tracks(rng, int(rays * side**2), Sensor(tilt=rng.uniform(0, 1.2)))
        injected = inject(rng, (side, side), scaled(rng, made, noise))
        electrons = bled(rng.poisson(light) + injected.charge, satlevel)
        electrons[tuple(hot_pixels.T)] += excess
        electrons += rng.normal(0, readnoise, electrons.shape)
        of_pixel = np.sqrt(light + readnoise**2)
        hit, free = injected.charge >= LEAST_OF_RAY * of_pixel, injected.charge < MOST_OF_NONE * of_pixel
        cores = np.rint(here[inside]).astype(int)
        cores = cores[((cores >= 2) & (cores < side - 2)).all(axis=1)]
        y, x = cores.T
        away = ~ndimage.binary_dilation(~free, np.ones((3, 3)), iterations=3)[y, x]
        bright = (light[y, x] - level > 30 * of_pixel[y, x]) & away
        found.append(Exposed((electrons / gain).astype(np.float32), hit, free, injected.event, cores[bright]))
    return Night(found, gain, readnoise, satlevel * 0.98, hot_pixels)
