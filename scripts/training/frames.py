"""Real frames, and what is known of them: cameras, masks, natural rays, real tracks.

The folder `shared/data` comes in, or what LIGHTMASK_DATA names; frames go out. None of it is part of the repository.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy import ndimage

from lightmask.detect import detect_cosmics
from lightmask.truth import Track

DATA = Path(os.environ.get("LIGHTMASK_DATA") or Path(__file__).parents[3] / "shared/data")
LEAST_CHARGE = 300.0  # of a footprint: what has less is noise or a hot pixel [e-]
SQUARE = np.ones((3, 3))
NATURAL = 3  # around a natural ray nothing is judged [pixels]


@dataclass
class Frame:
    """A frame, its camera, and what is known of it.

    Attributes
    ----------
    name : str
    image : (ny, nx) float32 array
        [adu]
    bad : (ny, nx) bool array
        Known bad pixels.
    gain, readnoise, satlevel : float
        [e-/adu], [e-], [e-]
    unjudged : (ny, nx) bool array
        Where natural rays are, or may be.
    rays : (ny, nx) bool array or None
        Where natural rays are known to be.
    """

    name: str
    image: np.ndarray
    bad: np.ndarray
    gain: float
    readnoise: float
    satlevel: float
    unjudged: np.ndarray
    rays: np.ndarray | None = None

    @property
    def sky(self) -> float:
        """Return the median of the frame [e-]."""
        return float(np.median(self.image[~self.bad])) * self.gain

    @property
    def noise(self) -> float:
        """Return the noise of the sky [e-]."""
        return float(np.hypot(self.readnoise, np.sqrt(max(self.sky, 0))))

    def binned(self) -> "Frame":
        """Return the frame binned 2x2: the mean of four pixels, of which each had its own read noise."""
        ny, nx = (side // 2 for side in self.image.shape)

        def blocks(image: np.ndarray) -> np.ndarray:
            return image[: 2 * ny, : 2 * nx].reshape(ny, 2, nx, 2)

        return replace(
            self,
            image=blocks(self.image).mean(axis=(1, 3)).astype(np.float32),
            bad=blocks(self.bad).any(axis=(1, 3)),
            gain=4 * self.gain,
            readnoise=2 * self.readnoise,
            satlevel=4 * self.satlevel,
            unjudged=blocks(self.unjudged).any(axis=(1, 3)),
            rays=None,
        )


def median(image: np.ndarray) -> np.ndarray:
    """Return the separable median of 7x7."""
    return ndimage.median_filter(ndimage.median_filter(image, (1, 7), mode="nearest"), (7, 1), mode="nearest")


def pixel_noise(image: np.ndarray, gain: float, readnoise: float) -> np.ndarray:
    """Return the noise of each pixel of an image [adu] in electrons, without that of rays."""
    light = median(image) * np.float32(gain)
    return np.sqrt(readnoise**2 + np.maximum(light, 0.2 * max(float(np.median(light)), 0)))


def read(path: str) -> np.ndarray:
    """Return the pixels of a file of the folder."""
    return fits.getdata(DATA / path).astype(np.float32)


def _around_sharp(image: np.ndarray, bad: np.ndarray, gain: float, readnoise: float, satlevel: float) -> np.ndarray:
    """Return what is near anything sharp that is on no star: natural rays, which nobody listed."""
    found = detect_cosmics(
        image, bad, gain=gain, readnoise=readnoise, satlevel=satlevel, sigclip=6, sigfrac=0.1, objlim=10, niter=2
    ).crmask
    light = median(image) * gain
    sky = float(np.median(light))
    on_star = light > sky + 10 * np.sqrt(readnoise**2 + max(sky, 0))
    label, number = ndimage.label(found, SQUARE)
    bright = np.concatenate([[True], ndimage.maximum(on_star, label, np.arange(1, number + 1)) > 0])
    return ndimage.binary_dilation(~bright[label], SQUARE, iterations=NATURAL)


CAMERAS = {
    "arcsat": (1.338, 23.0, "arcsat-reduced/mask_*.fits", "arcsat-reduced/LPS*.fits"),
    "catseye": (1.338, 15.4, "catseye-reduced/known_bad.fits", "catseye-reduced/catseye_?.fits"),
    "nickel": (1.81, 10.4, "nickel-reduced/known_bad.fits", "nickel-reduced/[NP]*.fits"),
    "efosc2": (1.1, 7.8, "truth/efosc2_known_bad.fits", "efosc2-reduced/EFOSC.2022-01-28T0[458]*.fits"),
}
"""Gain, read noise, known bad pixels and frames of each camera."""
FOLDS = {"arcsat": ("arcsat", "catseye"), "nickel": ("nickel",), "efosc2": ("efosc2",)}
"""Cameras of one observatory: nets that are tested on one of them know none of them."""
SATURATION = 60_000  # of all of these cameras [adu]


RECORD = Path(__file__).parent / "weights/training.json"
"""What the weights were trained on."""


def without(fold: str) -> Path:
    """Return the file of the weights that know nothing of the cameras of a fold."""
    return Path(__file__).parent / "weights" / f"without_{fold}.npz"


@cache
def frames(camera: str) -> list[Frame]:
    """Return the frames of a camera."""
    gain, readnoise, bad, pattern = CAMERAS[camera]
    known = np.logical_or.reduce([read(str(path.relative_to(DATA))) != 0 for path in sorted(DATA.glob(bad))])
    found = []
    for path in sorted(DATA.glob(pattern)):
        image = read(str(path.relative_to(DATA)))
        truth = DATA / f"truth/truth_{path.name}.fz"
        level = SATURATION * gain
        if truth.exists():
            with fits.open(truth) as hdus:
                of_rays = next(hdu.data.copy() for hdu in hdus if hdu.data is not None)
            rays, unjudged = of_rays == 1, of_rays > 0
        else:
            rays, unjudged = None, _around_sharp(image, known, gain, readnoise, level)
        unjudged[:4] = unjudged[-4:] = unjudged[:, :4] = unjudged[:, -4:] = True
        found.append(Frame(path.name, image, known, gain, readnoise, level, unjudged, rays))
    return found


@cache
def footprints() -> list[Track]:
    """Return the tracks of real darks."""

    def groups() -> Iterator[Track]:
        table = fits.getdata(DATA / "cr-footprints/cosmic_rays_itl_2017.fits.gz")
        starts = np.flatnonzero(np.diff(table["fp_id"], prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
            lines = [np.asarray(line, float) for line in table["pixel_values"][start:end]]
            y = np.repeat(table["y0"][start:end].astype(int), [line.size for line in lines])
            x = np.concatenate(
                [int(x) + np.arange(line.size) for x, line in zip(table["x0"][start:end], lines, strict=True)]
            )
            yield Track(y - y[0], x - x[0], np.concatenate(lines))

    return [track for track in groups() if track.charge.sum() >= LEAST_CHARGE]
