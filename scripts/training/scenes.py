"""Simulated skies without cosmic rays, over the whole range of what telescopes make of stars.

A random generator comes in; light, and how it is read out, go out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, signal

OVER = 5  # subpixels of a pixel, along each axis, in images of stars


@dataclass
class Sky:
    """A sky, how it is sampled, and how it is read out.

    Attributes
    ----------
    light : (ny, nx) array
        What falls on each pixel [e-].
    sky : float
        What of it is sky [e-].
    readnoise : float
        [e-]
    gain : float
        [e-/adu]
    satlevel : float
        [e-]
    fwhm : float
        Of stars, the narrow side [pixel].
    cores : (n, 2) int array
        Row and column of the brightest pixel of each star.
    kind : str
        What stars look like: round, trailed, defocused.
    """

    light: np.ndarray
    sky: float
    readnoise: float
    gain: float
    satlevel: float
    fwhm: float
    cores: np.ndarray
    kind: str

    def exposed(self, rng: np.random.Generator, rays: Any = 0.0) -> np.ndarray:
        """Return an exposure [e-]: photons, the charge of rays, read noise; clipped at saturation, and bled."""
        electrons = rng.poisson(np.clip(self.light, 0, 1e9)).astype(np.float64) + rays
        electrons = bled(electrons, self.satlevel)
        return electrons + rng.normal(0, self.readnoise, electrons.shape)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number between two, of which each factor is as likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def star_image(rng: np.random.Generator, fwhm: float, kind: str, beta: float, half: int) -> np.ndarray:
    """Return the image of a star on subpixels, integrated over pixels; its sum is OVER^2."""
    side = 2 * half * OVER + 1
    y, x = np.mgrid[:side, :side] - half * OVER
    angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.75, 1.0)
    along, across = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / ratio
    alpha = fwhm * OVER / 2 / np.sqrt(2 ** (1 / beta) - 1)
    image = (1 + (along**2 + across**2) / alpha**2) ** -beta
    if kind == "trailed":
        length = rng.uniform(1.0, 12.0) * OVER
        bend = rng.uniform(-0.1, 0.1)
        steps = np.linspace(-length / 2, length / 2, max(int(length), 3))
        line = np.zeros((side, side))
        turn = rng.uniform(0, np.pi)
        off = bend * steps**2 / length
        rows = half * OVER + steps * np.sin(turn) + off * np.cos(turn)
        columns = half * OVER + steps * np.cos(turn) - off * np.sin(turn)
        np.add.at(line, (np.rint(rows).astype(int), np.rint(columns).astype(int)), rng.uniform(0.6, 1.4, steps.size))
        image = signal.fftconvolve(image, line, mode="same")
    elif kind == "defocused":
        radius = rng.uniform(1.0, 5.0) * OVER
        distance = np.hypot(y, x)
        image = signal.fftconvolve(image, (distance < radius) & (distance > radius * rng.uniform(0, 0.5)), mode="same")
    image = ndimage.uniform_filter(np.clip(image, 0, None), OVER)
    return image / image.sum() * OVER**2


def add(image: np.ndarray, part: np.ndarray, top: int, left: int) -> None:
    """Add what is within an image of a part that begins at a row and a column."""
    rows = slice(max(top, 0), min(top + part.shape[0], image.shape[0]))
    columns = slice(max(left, 0), min(left + part.shape[1], image.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        image[rows, columns] += part[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def add_stars(
    image: np.ndarray, rng: np.random.Generator, number: int, star: np.ndarray, fluxes: np.ndarray
) -> np.ndarray:
    """Add stars at random places, some of them close pairs; return the place of each."""
    places = rng.uniform(-2, np.array(image.shape) + 2, (number, 2))
    pairs = int(number * 0.1)
    if pairs:
        places[:pairs] = places[number - pairs :] + rng.normal(0, 3, (pairs, 2))
    add_stars_at(image, places, star, fluxes)
    return places


def add_stars_at(image: np.ndarray, places: np.ndarray, star: np.ndarray, fluxes: np.ndarray) -> None:
    """Add stars at some places."""
    half = star.shape[0] // 2 // OVER
    for (y, x), flux in zip(places, fluxes, strict=True):
        row, column = int(np.floor(y)), int(np.floor(x))
        shift_y, shift_x = (round((place - start) * OVER) for place, start in ((y, row), (x, column)))
        middle = half * OVER
        steps = np.arange(-half + 1, half) * OVER
        stamp = star[np.ix_(middle + steps - shift_y + OVER // 2, middle + steps - shift_x + OVER // 2)]
        add(image, flux * stamp, row - half + 1, column - half + 1)


def add_spikes(image: np.ndarray, rng: np.random.Generator, y: float, x: float, flux: float, fwhm: float) -> None:
    """Add the diffraction spikes of a bright star."""
    length = rng.uniform(15, 80)
    turn = rng.uniform(0, np.pi / 2) if rng.random() < 0.5 else rng.choice([0.0, np.pi / 4])
    width = max(fwhm / 2.35, 0.45)
    half = int(length) + 3
    dy, dx = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    dy -= y - np.floor(y)
    dx -= x - np.floor(x)
    distance = np.hypot(dy, dx)
    total = np.zeros(dy.shape)
    for angle in (turn, turn + np.pi / 2):
        off = dy * np.cos(angle) - dx * np.sin(angle)
        total += np.exp(-(off**2) / 2 / width**2)
    total *= np.exp(-distance / length * 3) / (3 + distance)
    add(image, total * flux * rng.uniform(0.003, 0.02), int(np.floor(y)) - half, int(np.floor(x)) - half)


def add_galaxy(image: np.ndarray, rng: np.random.Generator, sky: float, star: np.ndarray) -> None:
    """Add a galaxy: a disk with a bulge, arms and knots, seen as stars are."""
    size, ratio, angle = log_uniform(rng, 1.5, 40), rng.uniform(0.2, 1), rng.uniform(0, np.pi)
    half = min(int(6 * size) + 4, 160)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    along, across = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / ratio
    radius = np.hypot(along, across)
    light = np.exp(-radius / size) + rng.uniform(0, 6) * np.exp(-((radius / size * 4 + 0.01) ** 0.5))
    light *= 1 + rng.uniform(0, 0.6) * np.sin(2 * np.arctan2(across, along) + rng.uniform(2, 8) * np.log(radius + 1))
    if size > 8:
        knots = rng.random(light.shape) < rng.uniform(0, 0.02)
        light = light + knots * light * rng.uniform(1, 10, light.shape)
    step = star[OVER // 2 :: OVER, OVER // 2 :: OVER]
    light = signal.fftconvolve(light, step / step.sum(), mode="same")
    peak = log_uniform(rng, 2, 300) * np.sqrt(sky + 100)
    where = rng.uniform(0, image.shape)
    add(image, np.clip(light / light.max() * peak, 0, None), int(where[0]) - half, int(where[1]) - half)


def nebula(shape: tuple[int, int], rng: np.random.Generator, star: np.ndarray) -> np.ndarray:
    """Return clouds and filaments between 0 and about 1, seen as stars are."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
    frequency[0, 0] = 1
    fields = []
    for _ in range(2):
        noise = np.fft.rfft2(rng.normal(size=shape)) * frequency ** -rng.uniform(1.2, 1.9)
        field = np.fft.irfft2(noise, shape)
        fields.append((field - field.mean()) / field.std())
    clouds = np.exp(0.6 * fields[0])
    filaments = np.exp(-np.abs(fields[1]) * rng.uniform(3, 12))
    light = clouds / clouds.max() + rng.uniform(0, 0.7) * filaments
    step = star[OVER // 2 :: OVER, OVER // 2 :: OVER]
    return np.clip(signal.fftconvolve(light, step / step.sum(), mode="same"), 0, None)


def add_trail(image: np.ndarray, rng: np.random.Generator, sky: float, fwhm: float) -> None:
    """Add the trail of a satellite."""
    angle = rng.uniform(0, np.pi)
    place = rng.uniform(0.2, 0.8, 2) * image.shape
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    off = (y - place[0]) * np.cos(angle) - (x - place[1]) * np.sin(angle)
    width = max(fwhm, 1.0) * rng.uniform(1, 2) / 2.35
    image += log_uniform(rng, 1, 60) * np.sqrt(sky + 25) * np.exp(-(off**2) / 2 / width**2)


def bled(electrons: np.ndarray, level: float) -> np.ndarray:
    """Return an image in which charge above saturation runs along its column."""
    if electrons.max() <= level:
        return electrons
    result = electrons.copy()
    for column in np.flatnonzero((electrons > level).any(axis=0)):
        line = result[:, column]
        for row in np.flatnonzero(line > level):
            excess = line[row] - level
            line[row] = level
            for direction in (-1, 1):
                left, at = excess / 2, row
                while left > 0 and 0 <= at + direction < line.size:
                    at += direction
                    room = min(max(level - line[at], 0), left)
                    line[at] += room
                    left -= room
    return result


KINDS = ("round", "trailed", "defocused")


def simulated(rng: np.random.Generator, side: int = 512, kind: str | None = None, fwhm: float | None = None) -> Sky:
    """Return a sky: its sampling, level, gain, noise, crowding and objects drawn at random."""
    kind = kind or str(rng.choice(KINDS, p=(0.7, 0.2, 0.1)))
    fwhm = fwhm or log_uniform(rng, 1.05, 3 if rng.random() < 0.4 else 8)
    sky, readnoise = log_uniform(rng, 5, 6000), log_uniform(rng, 2, 20)
    satlevel = log_uniform(rng, 30_000, 250_000)
    noise = np.sqrt(sky + readnoise**2)
    half = int(np.clip(6 * fwhm, 12, 30)) + (10 if kind != "round" else 0)
    star = star_image(rng, fwhm, kind, log_uniform(rng, 2.2, 20), half)
    shape = (side, side)
    light = np.full(shape, sky)
    if rng.random() < 0.5:
        y, x = np.mgrid[:side, :side] / side - 0.5
        light *= 1 + rng.uniform(-0.3, 0.3) * x + rng.uniform(-0.3, 0.3) * y
    if rng.random() < 0.3:
        light += nebula(shape, rng, star) * noise * log_uniform(rng, 2, 100)
    for _ in range(rng.poisson(3)):
        add_galaxy(light, rng, sky, star)
    density = log_uniform(rng, 60, 4000 if rng.random() < 0.8 else 20_000) * (side / 1000) ** 2
    number = rng.poisson(density) + 2
    least = noise * fwhm * 3
    fluxes = np.minimum(least * (1 - rng.random(number)) ** (-1 / rng.uniform(0.5, 1.0)), satlevel * fwhm**2 * 30)
    places = add_stars(light, rng, number, star, fluxes)
    if rng.random() < 0.6:
        for at in np.argsort(fluxes)[-rng.integers(1, 5) :]:
            add_spikes(light, rng, *places[at], fluxes[at], fwhm)
    for _ in range(rng.poisson(0.6)):
        add_trail(light, rng, sky, fwhm)
    if rng.random() < 0.4:  # columns that the flat did not correct
        columns = rng.integers(0, side, rng.integers(1, 6))
        end = rng.integers(0, side)
        part = slice(None) if rng.random() < 0.5 else slice(0, end)
        light[part, columns] += noise * rng.uniform(-3, 5, columns.size)
    light *= 1 + rng.normal(0, rng.uniform(0, 0.01), shape)
    inside = np.rint(places).astype(int)
    bright = fluxes * star.max() > 5 * noise
    within = ((inside >= 2) & (inside < side - 2)).all(axis=1) & bright
    gain = log_uniform(rng, 0.2, 8)
    return Sky(np.clip(light, 0, None), sky, readnoise, gain, satlevel, fwhm, inside[within], kind)
