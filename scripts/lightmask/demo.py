"""A night of simulated frames whose every bad pixel and cosmic ray is known.

Camera, sky, stars, bad pixels and cosmic rays are drawn from a seed, so that the
same version makes the same bytes everywhere. The frames are what calibration
leaves, in adu: bias and dark are subtracted, LIGHT frames are flat-fielded as well.

Two kinds of pixels cannot be calibrated. Bad ones swallow the first electrons that
they collect, or see no light at all; hot ones have a dark current that wanes during
an exposure, so that the dark of 900 s, scaled to 90 s, takes too little from them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from lightmask.fits import Hdu, Header, image_hdu, write

Image = NDArray[np.float64]

SEED = 8_5
SHAPE = (768, 1024)
GAIN = 1.5  # e-/adu
READNOISE = 10.0  # e-
FULL_WELL = 65535.0  # adu, where the converter ends
EXPOSURE = 90.0  # s
FWHM = 2.8  # pixels
MOFFAT_BETA = 3.0
SKY = {"g": 6.0, "r": 11.0}  # e-/s/pixel
STARS = 220
COSMIC_RAYS = 60  # a frame

LIGHTS = {
    "kelt-16-b g 001.fits": "g",
    "kelt-16-b g 002.fits": "g",
    "kelt-16-b g 003.fits": "g",
    "kelt-16-b-r-001.fits": "r",
    "kelt-16-b-r-002.fits": "r",
    "kelt-16-b-r-003.fits": "r",
}
FLATS = {"flat g 001.fits": "g", "flat g 002.fits": "g", "flat r 001.fits": "r", "flat r 002.fits": "r"}
FLAT_LEVELS = (15_000.0, 45_000.0)  # e-, of the two in each filter
DARKS = {"combined_dark_90.fits": EXPOSURE, "combined_dark_900.fits": 900.0}
DARKS_COMBINED = 10
FLAT_MASKS = {"mask_from_ccdmask_g.fits": "g", "mask_from_ccdmask_r.fits": "r"}
DARK_MASK = "mask_from_dark_current.fits"
NAMES = (*LIGHTS, *FLATS, *DARKS, *FLAT_MASKS, DARK_MASK)

TRUTH_BAD, TRUTH_HOT, TRUTH_COSMIC = 1, 2, 4
"""Bits of the truth: swallows light; dark current not in proportion to time; hit by a cosmic ray."""


def headers() -> dict[str, Header]:
    """Return the header of every file of the night, complete but for the pixels."""
    found = {}
    for name, filter_ in LIGHTS.items():
        found[name] = _frame_header("LIGHT", filter_, EXPOSURE)
        found[name].set("OBJECT", "KELT-16 b")
        found[name].set("DATE-OBS", f"2018-08-23T0{2 + len(found) // 3}:{len(found) % 3 * 17 + 4:02}:30", "UTC")
    for name, filter_ in FLATS.items():
        found[name] = _frame_header("FLAT", filter_, 5.0)
    for name, exposure in DARKS.items():
        found[name] = _frame_header("DARK", None, exposure)
        found[name].set("COMBINED", True)
        found[name].set("NCOMBINE", DARKS_COMBINED)
    for name, filter_ in FLAT_MASKS.items():
        found[name] = _header(np.dtype("u1"), "flat mask", filter_)
    found[DARK_MASK] = _header(np.dtype("u1"), "dark mask", None)
    return found


def _header(dtype: np.dtype, type_: str, filter_: str | None) -> Header:
    header = image_hdu(np.zeros((1, 1), dtype)).header
    for number, length in enumerate(reversed(SHAPE), 1):
        header.set(f"NAXIS{number}", length)
    header.set("IMAGETYP", type_)
    header.set("INSTRUME", "lightmask demo")
    header.set("XBINNING", 1)
    header.set("YBINNING", 1)
    if filter_:
        header.set("FILTER", filter_)
    return header


def _frame_header(type_: str, filter_: str | None, exposure: float) -> Header:
    header = _header(np.dtype("f4"), type_, filter_)
    header.set("EXPTIME", exposure, "[s]")
    header.set("BUNIT", "adu")
    header.set("XPIXSZ", 9.0, "[um]")
    header.set("YPIXSZ", 9.0, "[um]")
    header.set("GAIN", GAIN, "[e-/adu]")
    header.set("RDNOISE", READNOISE, "[e-]")
    return header


def described(keywords: list[str]) -> dict[str, Any]:
    """Describe the files of the night as `frames.scan` will once they are there."""
    return {
        name: {
            "shape": list(SHAPE),
            "cards": {k: header[k] for k in keywords if k in header},
            "problem": "",
        }
        for name, header in headers().items()
    }


def make(folder: Path, truth: Path) -> None:
    """Write the night into a folder, and the truth about each LIGHT frame into another.

    A file of the truth has the name of its frame and the TRUTH bits as 8-bit pixels.
    """
    random = np.random.default_rng([SEED, 0])
    camera = _camera(random)
    stars = _star_list(random)
    every_header = headers()
    scaled_dark = camera.dark(max(DARKS.values())) * EXPOSURE / max(DARKS.values())

    for number, (name, filter_) in enumerate(LIGHTS.items(), 1):
        random = np.random.default_rng([SEED, number])
        sky = SKY[filter_] * EXPOSURE * random.uniform(0.9, 1.1)
        scene = sky + _stars(stars, EXPOSURE * (0.6 if filter_ == "g" else 1.0), random)
        light = random.poisson(camera.collected(scene, filter_) + camera.dark(EXPOSURE)).astype(np.float32)
        tracks, hit = _cosmic_rays(random)
        raw = (light + tracks + random.normal(0, READNOISE, SHAPE)) / GAIN
        raw = np.minimum(np.rint(raw), FULL_WELL)
        calibrated = (raw - scaled_dark / GAIN) / np.maximum(camera.response[filter_], 0.2)
        calibrated[raw >= FULL_WELL] = FULL_WELL
        _write(calibrated.astype(np.float32), every_header[name], folder / name)
        known = camera.bad(filter_) * TRUTH_BAD | camera.hot * TRUTH_HOT | hit * TRUTH_COSMIC
        _write(known.astype(np.uint8), None, truth / name)

    rows, columns = (np.linspace(-1, 1, length) for length in SHAPE)
    vignetting = 1 - 0.1 * (rows[:, None] ** 2 + columns**2)
    for number, (name, filter_) in enumerate(FLATS.items()):
        random = np.random.default_rng([SEED, 100 + number])
        lamp = FLAT_LEVELS[number % 2] * vignetting
        raw = (random.poisson(camera.collected(lamp, filter_)) + random.normal(0, READNOISE, SHAPE)) / GAIN
        _write(np.rint(raw).astype(np.float32), every_header[name], folder / name)

    for number, (name, exposure) in enumerate(DARKS.items()):
        random = np.random.default_rng([SEED, 200 + number])
        electrons = random.poisson(DARKS_COMBINED * camera.dark(exposure)) / DARKS_COMBINED
        average = (electrons + random.normal(0, READNOISE / np.sqrt(DARKS_COMBINED), SHAPE)) / GAIN
        _write(average.astype(np.float32), every_header[name], folder / name)

    for name, filter_ in FLAT_MASKS.items():
        _write(camera.bad(filter_).astype(np.uint8), every_header[name], folder / name)
    _write(camera.hot.astype(np.uint8), every_header[DARK_MASK], folder / DARK_MASK)


def _write(pixels: NDArray, header: Header | None, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image_hdu(pixels)
    write([Hdu(header or image.header, image.data)], path)


@dataclass
class _Camera:
    """What light and darkness make of every pixel.

    Attributes
    ----------
    response : dict
        Per filter, about 1; 0 behind a speck of dust.
    trap : ndarray
        Electrons that a pixel swallows.
    dark_current : ndarray
        In the first EXPOSURE, in e-/s.
    waning : ndarray
        By what power of time it falls; 0 where the dark current is steady.
    """

    response: dict[str, Image]
    trap: Image
    dark_current: Image
    waning: Image

    @property
    def hot(self) -> NDArray[np.bool_]:
        return self.waning > 0

    def bad(self, filter_: str) -> NDArray[np.bool_]:
        return (self.trap > 0) | (self.response[filter_] == 0)

    def collected(self, light: Image, filter_: str) -> Image:
        return np.maximum(light * self.response[filter_] - self.trap, 0)

    def dark(self, exposure: float) -> Image:
        return self.dark_current * exposure * (exposure / EXPOSURE) ** -self.waning


def _camera(random: Generator) -> _Camera:
    pixel_to_pixel = random.normal(1, 0.01, SHAPE)
    trap = np.zeros(SHAPE)
    dead = random.random(SHAPE) < 2e-4
    trap[dead] = random.uniform(1_000, 30_000, np.count_nonzero(dead))
    trap[140:, 611] = random.uniform(4_000, 12_000, SHAPE[0] - 140)  # a bad column
    response = {}
    for filter_ in SKY:
        response[filter_] = pixel_to_pixel.copy()
        for row, column in random.integers(0, SHAPE, (3, 2)):  # dust, on the filter
            response[filter_][_disc((row, column), 3.2)] = 0
    dark_current = random.gamma(4, 0.01, SHAPE)
    waning = np.zeros(SHAPE)
    warm = random.random(SHAPE) < 4e-4
    rates = random.lognormal(1.8, 1.0, np.count_nonzero(warm))
    dark_current[warm] = rates
    # The stronger a dark current, the more likely it is not steady: hence a threshold helps at all.
    unsteady = random.random(rates.size) < rates / (rates + 1)
    waning[warm] = np.where(unsteady, random.uniform(0.1, 0.5, rates.size), 0)
    return _Camera(response, trap, dark_current, waning)


def _disc(centre: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


def _star_list(random: Generator) -> list[tuple[float, float, float]]:
    """Draw rows, columns and fluxes (e-/s) of stars as a power law; the first one saturates."""
    rows = random.uniform(0, SHAPE[0], STARS)
    columns = random.uniform(0, SHAPE[1], STARS)
    fluxes = 25 * (1 - random.random(STARS)) ** -1.0
    rows[0], columns[0], fluxes[0] = 420.3, 288.6, 60_000.0
    return list(zip(rows, columns, np.minimum(fluxes, 60_000.0), strict=True))


def _stars(stars: list[tuple[float, float, float]], exposure: float, random: Generator) -> Image:
    """Draw the electrons of all stars; the telescope points a little differently each time."""
    shift = random.uniform(-1.5, 1.5, 2)
    width = FWHM / (2 * np.sqrt(2 ** (1 / MOFFAT_BETA) - 1))
    image = np.zeros(SHAPE)
    for row, column, flux in stars:
        row, column = row + shift[0], column + shift[1]
        reach = 12 if flux < 1000 else 60
        low = np.maximum(np.array([row, column]).astype(int) - reach, 0)
        rows, columns = np.ogrid[
            low[0] : min(int(row) + reach + 1, SHAPE[0]), low[1] : min(int(column) + reach + 1, SHAPE[1])
        ]
        profile = (1 + ((rows - row) ** 2 + (columns - column) ** 2) / width**2) ** -MOFFAT_BETA
        profile *= (MOFFAT_BETA - 1) / (np.pi * width**2)
        image[low[0] : low[0] + rows.size, low[1] : low[1] + columns.size] += flux * exposure * profile
    return image


def _cosmic_rays(random: Generator) -> tuple[Image, NDArray[np.bool_]]:
    """Draw straight tracks of particles through the silicon, in electrons.

    The hit pixels are those with more than three times the read noise: what
    is fainter no detector can find.
    """
    image = np.zeros(SHAPE)
    for start in random.uniform((0, 0), SHAPE, (COSMIC_RAYS, 2)):
        length = min(random.exponential(6.0), 60.0)
        angle = random.uniform(0, 2 * np.pi)
        electrons = random.lognormal(7.2, 0.7) * max(length, 1.0)
        for row, column, part in _along(start, length, angle):
            if 0 <= row < SHAPE[0] and 0 <= column < SHAPE[1]:
                image[row, column] += electrons * part
    return image, image > 3 * READNOISE


def _along(start: NDArray, length: float, angle: float) -> Iterator[tuple[int, int, float]]:
    steps = max(int(length * 4), 1)
    for step in range(steps):
        distance = length * step / steps
        yield int(start[0] + distance * np.sin(angle)), int(start[1] + distance * np.cos(angle)), 1 / steps
