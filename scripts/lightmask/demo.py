"""A night of simulated frames whose every bad pixel and cosmic ray is known.

Camera, sky, stars, bad pixels and cosmic rays are drawn from a seed, so that the
same version makes the same bytes everywhere. The frames are what calibration
leaves: bias and dark subtracted and flat-fielded, in adu.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from lightmask.fitsfile import Hdu, Header, image_hdu, write

Image = NDArray[np.float64]

SEED = 8_5
SHAPE = (768, 1024)
GAIN = 1.5  # e-/adu
READNOISE = 10.0  # e-
FULL_WELL = 65535.0  # adu, where the converter ends
EXPOSURE = 90.0  # s
FWHM = 2.8  # pixels
MOFFAT_BETA = 3.0
DARK_LIMIT = 4.0  # e-/s: a pixel above is hot
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
FLAT_MASKS = {"mask_from_ccdmask_g.fits": "g", "mask_from_ccdmask_r.fits": "r"}
DARK_MASK = "mask_from_dark_current.fits"
NAMES = (*LIGHTS, *FLAT_MASKS, DARK_MASK)

TRUTH_BAD, TRUTH_HOT, TRUTH_COSMIC = 1, 2, 4
"""Bits of the truth: less than half the response; too much dark current; hit by a cosmic ray."""


def headers() -> dict[str, Header]:
    """Give the header of every file of the night, complete but for the pixels."""
    found = {}
    for name, filter_ in LIGHTS.items():
        header = _header(np.dtype("f4"), "LIGHT", filter_)
        header.set("OBJECT", "KELT-16 b")
        header.set("EXPTIME", EXPOSURE, "[s]")
        header.set("BUNIT", "adu")
        header.set("GAIN", GAIN, "[e-/adu]")
        header.set("RDNOISE", READNOISE, "[e-]")
        found[name] = header
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
    camera = np.random.default_rng([SEED, 0])
    response, dark_current = _camera(camera)
    stars = _star_list(camera)
    bad = {filter_: _low(response[filter_]) for filter_ in SKY}
    hot = dark_current > DARK_LIMIT
    every_header = headers()

    for number, (name, filter_) in enumerate(LIGHTS.items(), 1):
        random = np.random.default_rng([SEED, number])
        sky = SKY[filter_] * EXPOSURE * random.uniform(0.9, 1.1)
        scene = sky + _stars(stars, EXPOSURE * (0.6 if filter_ == "g" else 1.0), random)
        light = random.poisson(scene * response[filter_] + dark_current * EXPOSURE).astype(np.float32)
        tracks, hit = _cosmic_rays(random)
        raw = (light + tracks + random.normal(0, READNOISE, SHAPE)) / GAIN
        raw = np.minimum(np.rint(raw), FULL_WELL)
        # The dark is that of a long average: hot pixels vary, which is why they are masked.
        unstable = 1 + np.where(hot, random.normal(0, 0.15, SHAPE), 0)
        calibrated = (raw - dark_current * EXPOSURE * unstable / GAIN) / np.maximum(response[filter_], 0.05)
        calibrated[raw >= FULL_WELL] = FULL_WELL
        _write(calibrated.astype(np.float32), every_header[name], folder / name)
        known = (bad[filter_] * TRUTH_BAD | hot * TRUTH_HOT | hit * TRUTH_COSMIC).astype(np.uint8)
        _write(known, None, truth / name)

    for name, filter_ in FLAT_MASKS.items():
        _write(bad[filter_].astype(np.uint8), every_header[name], folder / name)
    _write(hot.astype(np.uint8), every_header[DARK_MASK], folder / DARK_MASK)


def _write(pixels: NDArray, header: Header | None, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image_hdu(pixels)
    write([Hdu(header or image.header, image.data)], path)


def _camera(random: Generator) -> tuple[dict[str, Image], Image]:
    """Draw the response per filter (mean 1) and the dark current (e-/s)."""
    pixel_to_pixel = random.normal(1, 0.01, SHAPE)
    dead = random.random(SHAPE) < 2e-4
    pixel_to_pixel[dead] = random.uniform(0.0, 0.4, np.count_nonzero(dead))
    pixel_to_pixel[140:, 611] = random.uniform(0.05, 0.3, SHAPE[0] - 140)  # a bad column
    response = {}
    for filter_ in SKY:
        response[filter_] = pixel_to_pixel.copy()
        for row, column in random.integers(0, SHAPE, (3, 2)):  # dust, on the filter
            response[filter_][_disc((row, column), 3.2)] *= 0.4
    dark_current = random.gamma(4, 0.01, SHAPE)
    hot = random.random(SHAPE) < 4e-4
    dark_current[hot] = random.lognormal(1.8, 1.0, np.count_nonzero(hot))
    return response, dark_current


def _low(response: Image) -> NDArray[np.bool_]:
    return response < 0.5


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
