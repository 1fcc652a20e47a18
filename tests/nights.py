"""Simulated images that are sound, and such with one fault each that makes a mask wrong."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage, special

PIXEL = 9.0  # um
EXPOSURE = 60.0  # s


@dataclass
class Scene:
    """An image in adu, and how it is masked."""

    image: np.ndarray
    cosmic_rays: dict[str, Any]
    cards: dict[str, Any] = field(default_factory=lambda: {"EXPTIME": EXPOSURE, "XPIXSZ": PIXEL})
    known: np.ndarray | None = None
    config: dict[str, Any] = field(default_factory=dict)


@dataclass
class Camera:
    """What an image is made with, drawn at random."""

    rng: np.random.Generator
    side: int = 640
    fwhm: float = 0.0
    sky: float = 0.0  # e-
    gain: float = 0.0  # e-/adu
    readnoise: float = 0.0  # e-
    stars: int = 0
    rays: int = 0

    def __post_init__(self):
        rng = self.rng
        self.fwhm = self.fwhm or rng.uniform(1.5, 6)
        self.sky = self.sky or math.exp(rng.uniform(*np.log((100, 4000))))
        self.gain = self.gain or rng.uniform(0.6, 4)
        self.readnoise = self.readnoise or rng.uniform(3, 14)
        self.stars = self.stars or int(rng.integers(40, 160))
        self.rays = self.rays or int(rng.integers(8, 40))

    @property
    def settings(self):
        """What the detector is to be given."""
        # docs/quality.md: undersampled stars need a higher limit.
        objlim = 40 if self.fwhm < 1.75 else 20 if self.fwhm < 2.2 else 10
        return {"gain": self.gain, "readnoise": self.readnoise, "objlim": objlim, "satlevel": 200_000}

    def light(self, sky=None):
        """Return the light on each pixel, in e-: sky, stars, and a few galaxies."""
        rng, side = self.rng, self.side
        image = np.full((side, side), float(self.sky)) if sky is None else sky.astype(float)
        for _ in range(self.stars):
            peak = math.exp(rng.uniform(*np.log((60, 12_000))))
            add_star(image, *rng.uniform(0, side, 2), peak, self.fwhm)
        y, x = np.ogrid[:side, :side]
        for _ in range(3):
            cy, cx = rng.uniform(0, side, 2)
            size, angle, ratio = rng.uniform(3, 10) + self.fwhm, rng.uniform(0, np.pi), rng.uniform(0.3, 1)
            dy, dx = y - cy, x - cx
            along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
            image += rng.uniform(0.5, 4) * math.sqrt(self.sky) * 3 * np.exp(-np.hypot(along, across / ratio) / size)
        return image

    def exposed(self, light, rays=None):
        """Return electrons: photons, cosmic rays and read noise."""
        electrons = self.rng.poisson(np.clip(light, 0, None)).astype(float)
        add_rays(electrons, self.rng, self.rays if rays is None else rays)
        return electrons + self.rng.normal(0, self.readnoise, electrons.shape)

    def scene(self, electrons, **more):
        """Return what is written."""
        image = (electrons / self.gain).astype(np.float32)
        return Scene(image, {**self.settings, **more.pop("cosmic_rays", {})}, **more)


def add_star(image, y, x, peak, fwhm):
    """Add a star: a Gaussian, integrated over pixels; `peak` is that of its light."""
    sigma, half = fwhm / 2.3548, math.ceil(3 * fwhm) + 2
    rows = slice(max(int(y) - half, 0), min(int(y) + half + 1, image.shape[0]))
    columns = slice(max(int(x) - half, 0), min(int(x) + half + 1, image.shape[1]))
    along = []
    for part, centre in ((rows, y), (columns, x)):
        edges = (np.arange(part.start, part.stop + 1) - 0.5 - centre) / (sigma * math.sqrt(2))
        along.append(np.diff(special.erf(edges)) / 2 * sigma * math.sqrt(2 * np.pi))
    image[rows, columns] += peak * np.outer(*along)


def add_rays(image, rng, number):
    """Add tracks of particles: straight, mostly short, with charge that spreads a little to both sides."""
    side = np.array(image.shape)
    for _ in range(number):
        start, angle = rng.uniform(0, side), rng.uniform(0, 2 * np.pi)
        length = min(rng.exponential(6), 60)
        steps = np.arange(0, length + 0.3, 0.3)
        places = start + steps[:, None] * np.array([np.sin(angle), np.cos(angle)])
        places += rng.normal(0, 0.25, places.shape)
        at = np.rint(places).astype(int)
        at = at[((at >= 0) & (at < side)).all(axis=1)]
        charge = math.exp(rng.uniform(*np.log((300, 6000)))) * 0.3
        np.add.at(image, (at[:, 0], at[:, 1]), rng.poisson(charge, len(at)))


def sound(rng, fwhm=0.0):
    """Return a scene in which nothing is wrong."""
    camera = Camera(rng, fwhm=fwhm)
    return camera.scene(camera.exposed(camera.light()))


def sampled(rng, low=2.4, high=5.0, **more):
    """Return a camera of well sampled stars."""
    return Camera(rng, fwhm=rng.uniform(low, high), **more)


def wrong_gain(rng):
    camera = sampled(rng)
    scene = camera.scene(camera.exposed(camera.light()))
    factor = float(np.exp(rng.uniform(np.log(4), np.log(7))))
    scene.cosmic_rays["gain"] *= factor if camera.sky > 300 and rng.random() < 0.5 else factor**2
    return scene


def bias_left_in(rng):
    camera = sampled(rng, sky=rng.uniform(100, 400), readnoise=rng.uniform(3, 6))
    scene = camera.scene(camera.exposed(camera.light()))
    scene.image += np.float32(rng.uniform(8, 20) * camera.sky / camera.gain)
    return scene


def smoothed(rng):
    camera = sampled(rng)
    electrons = ndimage.gaussian_filter(camera.exposed(camera.light()), rng.uniform(0.7, 1.6))
    return camera.scene(electrons)


def resampled(rng):
    camera = sampled(rng)
    turned = ndimage.rotate(camera.exposed(camera.light()), rng.uniform(3, 40), order=1, reshape=False, mode="reflect")
    return camera.scene(ndimage.zoom(turned, 1.4, order=1)[100:740, 100:740] * 0.98)


def sky_subtracted(rng):
    camera = sampled(rng, sky=rng.uniform(800, 5000), readnoise=rng.uniform(3, 9))
    return camera.scene(camera.exposed(camera.light()) - camera.sky)


def spectrum(rng):
    camera = sampled(rng, stars=1)
    across = np.full(camera.side, camera.sky)
    for place in rng.uniform(0, camera.side, int(rng.integers(30, 60))):
        across += rng.uniform(3, 40) * math.sqrt(camera.sky) * np.exp(-((np.arange(camera.side) - place) ** 2) / 5)
    sky = np.tile(across, (camera.side, 1))
    sky[camera.side // 2 - 3 : camera.side // 2 + 3] += 20 * math.sqrt(camera.sky)
    light = camera.light(sky if rng.random() < 0.5 else sky.T)
    return camera.scene(camera.exposed(light))


def spectrum_by_header(rng):
    camera = sampled(rng)
    scene = camera.scene(camera.exposed(camera.light()))
    keyword, value = [("GRISM", "Gr#4"), ("OBSTYPE", "SPECTRUM"), ("ESO DPR TECH", "SPECTRUM"), ("GRATING", "R400")][
        int(rng.integers(4))
    ]
    scene.cards[keyword] = value
    return scene


def colours(rng):
    camera = sampled(rng, sky=rng.uniform(1000, 6000), readnoise=rng.uniform(3, 9), stars=60)
    light = camera.light()
    response = np.tile([[0.45, 1.0], [1.0, rng.uniform(0.5, 0.7)]], (camera.side // 2, camera.side // 2))
    scene = camera.scene(camera.exposed(light * response))
    scene.cosmic_rays["sigclip"] = 4.5
    return scene


def narrow_stars(rng):
    camera = Camera(rng, fwhm=rng.uniform(1.1, 1.6), stars=int(rng.integers(60, 160)))
    scene = camera.scene(camera.exposed(camera.light()))
    scene.cosmic_rays["objlim"] = 5
    return scene


def low_objlim(rng):
    camera = sampled(rng, 2.4, 3.5, stars=160, rays=10)
    scene = camera.scene(camera.exposed(camera.light()))
    scene.cosmic_rays |= {"objlim": 0.5, "sigclip": 4.5}
    return scene


def cut_off(rng):
    camera = sampled(rng, readnoise=5.0, stars=160)
    level = rng.uniform(15_000, 30_000)
    light = camera.light()
    for _ in range(6):
        add_star(light, *rng.uniform(30, camera.side - 30, 2), rng.uniform(4, 30) * level, camera.fwhm)
    electrons = np.minimum(camera.exposed(light), level)
    if rng.random() < 0.5:
        y, x = np.ogrid[: camera.side, : camera.side]
        electrons = electrons / (1 + 0.02 * np.cos(x / 200) * np.cos(y / 300))
    return camera.scene(electrons)


def bleeding(rng):
    camera = sampled(rng, readnoise=5.0, rays=6, stars=40)
    light = camera.light()
    electrons = camera.exposed(light)
    level = rng.uniform(30_000, 60_000)
    for _ in range(2):
        y, x = rng.uniform(200, camera.side - 200, 2).astype(int)
        add_star(electrons, y, x, 3 * level, camera.fwhm)
        reach = int(rng.uniform(60, 180))
        for column, share in ((-2, 0.3), (-1, 0.7), (0, 1.0), (1, 0.7), (2, 0.3)):
            half = int(reach * share)
            electrons[y - half : y + half, x + column] += level * rng.uniform(0.4, 0.6, 2 * half)
    scene = camera.scene(np.minimum(electrons, level))
    scene.cosmic_rays["satlevel"] = level * 0.98
    return scene


def half_of_hot_pixels(rng):
    camera = sampled(rng, rays=8)
    electrons = camera.exposed(camera.light())
    known = np.zeros(electrons.shape, bool)
    places = rng.integers(5, camera.side - 5, (120, 2))
    for y, x in places:
        electrons[y, x : x + 2] += rng.uniform(60, 200) * math.sqrt(camera.sky)
        known[y, x] = True
    return camera.scene(electrons, known=known)


def dark_rim(rng):
    camera = sampled(rng, sky=rng.uniform(500, 4000), readnoise=rng.uniform(3, 8), rays=10)
    light = camera.light()
    width = int(rng.integers(3, 30))
    for side in rng.permutation(4)[: int(rng.integers(1, 5))]:
        turned = np.rot90(light, side)
        turned[:, :width] *= rng.uniform(0.0, 0.3)
    electrons = camera.exposed(light)
    return camera.scene(electrons, cosmic_rays={"sigclip": 4.5})


def bad_columns(rng):
    camera = sampled(rng, rays=10)
    electrons = camera.exposed(camera.light())
    turned = electrons if rng.random() < 0.5 else electrons.T
    for column in rng.integers(30, camera.side - 30, int(rng.integers(2, 5))):
        here = rng.random(camera.side) < rng.uniform(0.15, 0.25)
        turned[here, column] += rng.uniform(30, 100, here.sum()) * math.sqrt(camera.sky)
    return camera.scene(electrons)


def noisy_amplifier(rng):
    camera = sampled(rng, sky=rng.uniform(100, 400), readnoise=rng.uniform(8, 12))
    electrons = camera.exposed(camera.light())
    part = np.rot90(electrons, int(rng.integers(4)))[:, : camera.side // 2]
    if rng.random() < 0.5:
        part = part[: camera.side // 2]
    part += rng.normal(0, rng.uniform(50, 90), part.shape)
    return camera.scene(electrons)


def hot_amplifier(rng):
    camera = sampled(rng, rays=10)
    electrons = camera.exposed(camera.light())
    part = np.rot90(electrons, int(rng.integers(4)))[:, : camera.side // 2]
    hot = rng.random(part.shape) < 0.003
    part[hot] += rng.uniform(40, 200, hot.sum()) * math.sqrt(camera.sky)
    return camera.scene(electrons)


def knots(rng):
    camera = sampled(rng, 3, 5, rays=6, stars=40)
    light = camera.light()
    y, x = np.ogrid[: camera.side, : camera.side]
    for _ in range(3):
        cy, cx = rng.uniform(120, camera.side - 120, 2)
        disc = 8 * math.sqrt(camera.sky) * 2 * np.exp(-np.hypot(y - cy, x - cx) / 40)
        light += disc
        for _ in range(25):
            ky, kx = np.array([cy, cx]) + rng.normal(0, 25, 2)
            light[int(ky), int(kx)] += rng.uniform(60, 200) * math.sqrt(camera.sky)
    return camera.scene(camera.exposed(light))


def hot_pixels(rng):
    camera = sampled(rng, rays=10)
    electrons = camera.exposed(camera.light())
    hot = rng.random(electrons.shape) < rng.uniform(0.003, 0.01)
    electrons[hot] += rng.uniform(20, 200, hot.sum()) * math.sqrt(camera.sky)
    return camera.scene(electrons)


FAULTS = {
    wrong_gain: "noise",
    bias_left_in: "noise",
    smoothed: "correlated",
    resampled: "correlated",
    sky_subtracted: "sky",
    spectrum: "spectrum",
    spectrum_by_header: "spectrum",
    colours: "colours",
    narrow_stars: "stars",
    low_objlim: "stars",
    cut_off: "ceiling",
    bleeding: "trails",
    half_of_hot_pixels: "bad_pixels",
    dark_rim: "rim",
    bad_columns: "lines",
    noisy_amplifier: "amplifier",
    hot_amplifier: "amplifier",
    knots: "sources",
    hot_pixels: "many",
}
"""Each fault, and the cause under which it is to be reported."""
