"""Samples to train with: pixels of images with injected tracks, and whether a track hit them.

Numbers that name a sample come in, so that each is the same every time; inputs of the net and truth go out.
"""

from dataclasses import replace
from typing import NamedTuple

import frames
import numpy as np
from frames import SQUARE, Frame
from scenes import log_uniform, simulated
from scipy import ndimage

from lightmask.detect import Candidates, net
from lightmask.truth import LEAST_OF_RAY, MOST_OF_NONE, Injected, Sensor, Track, inject, scaled, tracks

SIDE = 512  # of simulated images
MOST = 9000  # pixels of an image
RAYS = 5, 150  # in a simulated image
RAYS_PER_PIXEL = 200e-6  # in a real one
SMOOTHING = 0.6, 1.4  # sigma [pixel]


class Samples(NamedTuple):
    """Pixels of one image.

    Attributes
    ----------
    inputs : (n, inputs) int16 array
        As the net takes them.
    is_ray : (n,) bool array
    camera : str
    """

    inputs: np.ndarray
    is_ray: np.ndarray
    camera: str


def random_sensor(rng: np.random.Generator) -> Sensor:
    """Return a sensor: thin or thick, of small or large pixels."""
    pixel = log_uniform(rng, 6, 30)
    diffusion = min(rng.uniform(0.15, 0.8) * pixel, 12)
    return Sensor(pixel, log_uniform(rng, 12, 260), diffusion, rng.uniform(0, 1.2))


def some_tracks(rng: np.random.Generator, number: int, noise: float, share_of_real: float) -> list[Track]:
    """Return tracks, real or generated, of which half are scaled."""
    if rng.random() < share_of_real:
        real = frames.footprints()
        chosen = [real[place] for place in rng.integers(0, len(real), number)]
    else:
        chosen = tracks(rng, number, random_sensor(rng), rng.uniform(0.3, 0.8))
    return scaled(rng, chosen, noise)


def of_image(rng: np.random.Generator, frame: Frame, injected: Injected, camera: str) -> Samples:
    """Return samples of an image in which the tracks are."""
    seen = Candidates(frame.image, frame.bad, frame.gain, frame.readnoise, frame.satlevel)
    noise = frames.pixel_noise(frame.image, frame.gain, frame.readnoise)
    hit, free = injected.charge >= LEAST_OF_RAY * noise, injected.charge < MOST_OF_NONE * noise
    near = ndimage.binary_dilation(seen.seeds | hit, SQUARE, iterations=4)
    place = np.flatnonzero(near & (hit | free) & ~frame.unjudged & ~frame.bad)
    place = place[seen.stand_out(place)]
    if place.size > MOST:
        place = rng.choice(place, MOST, replace=False)
    return Samples(seen.inputs(place), hit.ravel()[place], camera)


def of_simulated(number: int) -> Samples:
    """Return samples of a simulated image; gain and noise are not known exactly."""
    rng = np.random.default_rng([7, number])
    sky = simulated(rng, SIDE)
    noise = float(np.sqrt(sky.sky + sky.readnoise**2))
    injected = inject(rng, (SIDE, SIDE), some_tracks(rng, int(log_uniform(rng, *RAYS)), noise, 0.4))
    image = (sky.exposed(rng, injected.charge) / sky.gain).astype(np.float32)
    off = float(np.exp(rng.normal(0, 0.08)))
    readnoise = sky.readnoise * float(np.exp(rng.normal(0, 0.1)))
    none = np.zeros(image.shape, bool)
    frame = Frame("", image, none, sky.gain * off, readnoise, sky.satlevel * 0.98, none)
    return of_image(rng, frame, injected._replace(charge=injected.charge * off), "simulated")


def of_real(camera: str, place: int, number: int) -> Samples:
    """Return samples of a real frame: as it is, binned, or smoothed with new noise."""
    rng = np.random.default_rng([8, *camera.encode(), place, number])
    frame = frames.frames(camera)[place]
    if number % 2:
        frame = frame.binned()
    elif number % 4 == 2:
        sigma = rng.uniform(*SMOOTHING)
        lost = np.sqrt(max(0, 1 - 1 / (4 * np.pi * sigma**2)))
        noise = rng.normal(0, frame.noise / frame.gain * lost, frame.image.shape)
        image = ndimage.gaussian_filter(frame.image, sigma) + noise
        frame = replace(frame, image=image.astype(np.float32))
    many = int(RAYS_PER_PIXEL * frame.image.size * (2 if number % 2 else 1))
    injected = inject(rng, frame.image.shape, some_tracks(rng, many, frame.noise, 0.6))
    image = (frame.image + injected.charge / frame.gain).astype(np.float32)
    return of_image(rng, replace(frame, image=image), injected, camera)


def turned(inputs: np.ndarray, symmetry: int) -> np.ndarray:
    """Return inputs as they are after one of the eight symmetries of the square."""

    def order(side: int) -> np.ndarray:
        square = np.arange(side**2).reshape(side, side)
        if symmetry & 4:
            square = square.T
        square = square[::-1] if symmetry & 1 else square
        return (square[:, ::-1] if symmetry & 2 else square).ravel()

    result = inputs.copy()
    start = 0
    for side in (net.SIDE, net.STAR_SIDE):
        result[:, start : start + side**2] = inputs[:, start + order(side)]
        start += side**2
    y, x = inputs[:, start + 1], inputs[:, start + 2]
    if symmetry & 4:
        y, x = x, y
    new_y, new_x = (-y if symmetry & 1 else y), (-x if symmetry & 2 else x)
    result[:, start + 1], result[:, start + 2] = new_y, new_x
    result[:, start + 3], result[:, start + 4] = np.abs(new_y), np.abs(new_x)
    result[:, start + 5 : start + 5 + net.STAR_SIDE**2] = inputs[:, start + 5 + order(net.STAR_SIDE)]
    return result
