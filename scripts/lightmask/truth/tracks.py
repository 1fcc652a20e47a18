"""Tracks that charged particles leave in a CCD, made from what is known of muons and electrons in silicon.

A sensor and a random generator come in; tracks go out, each a list of pixels with their charge.

Muons cross the sensor in a straight line; their energy loss fluctuates (Moyal's form of the Landau
distribution), and now and then they knock on an electron (a delta ray). Electrons of natural radioactivity
(Compton electrons) are scattered many times until they stop: worms. Charge spreads on its way to the
pixels, the more the deeper it was set free.

References
----------
.. [1] Groom, D. 2002, Experimental Astronomy, 14, 45: cosmic rays and other nonsense in astronomical CCD imagers
.. [2] Particle Data Group, Review of Particle Physics: passage of particles through matter
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PER_KEV = 1000 / 3.65  # electrons that a keV sets free in silicon
MUON_LOSS = 65.0, 4.9  # most probable loss, and its width [e-/um]
STEP = 2.5  # [um]
RANGE = 0.0171, 1.75  # of an electron in silicon: a E^b [um], E in keV
RADIATION_LENGTH = 93_600.0  # of silicon [um]
ELECTRON_MASS = 511.0  # [keV]
LEAST_DELTA = 25.0  # energy of the weakest delta ray that is followed [keV]
ENERGIES = 2.0, 900.0  # of worms [keV]
SHARE_OF_MUONS = 0.4
REACH = 3.0  # of the spread of charge, in sigma


class Sensor(NamedTuple):
    """What the shape of a track depends on.

    Attributes
    ----------
    pixel : float
        Side of a pixel [um], binning included.
    depth : float
        Thickness of the silicon that collects charge [um].
    diffusion : float
        By how much charge from the far side spreads: sigma [um].
    tilt : float
        Angle between the sensor's normal and the zenith [rad].
    """

    pixel: float = 15.0
    depth: float = 40.0
    diffusion: float = 5.0
    tilt: float = 0.5


class Track(NamedTuple):
    """The pixels of one track, relative to where it begins.

    Attributes
    ----------
    y, x : (n,) int array
    charge : (n,) float64 array
        [e-]
    """

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    charge: NDArray[np.float64]

    def turned(self, symmetry: int) -> "Track":
        """Return the track after one of the eight symmetries of the square.

        Parameters
        ----------
        symmetry : int
            From 0 to 7.

        Returns
        -------
        Track
        """
        y, x = (self.x, self.y) if symmetry & 4 else (self.y, self.x)
        return Track(-y if symmetry & 1 else y, -x if symmetry & 2 else x, self.charge)


def tracks(rng: np.random.Generator, number: int, sensor: Sensor, muons: float = SHARE_OF_MUONS) -> list[Track]:
    """Return tracks of muons and electrons in a sensor.

    Parameters
    ----------
    rng : numpy.random.Generator
    number : int
    sensor : Sensor
    muons : float
        Share of muons; the others are worms.

    Returns
    -------
    list of Track

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> found = tracks(rng, 20, Sensor())
    >>> len(found), all(track.charge.min() > 0 for track in found)
    (20, True)
    """
    are_muons = rng.random(number) < muons
    paths = iter(_muons(rng, int(are_muons.sum()), sensor))
    others = iter(_worms(rng, int((~are_muons).sum()), sensor))
    return [_collected(*next(paths if is_muon else others), sensor, rng) for is_muon in are_muons]


Points = NDArray[np.float64]  # (n, 3): x, y and depth [um]
Path = tuple[Points, NDArray[np.float64]]  # points, and the charge that is set free at each [e-]


def _muons(rng: np.random.Generator, number: int, sensor: Sensor) -> Iterator[Path]:
    """Yield the paths of muons, their delta rays included."""
    normal = np.array([np.sin(sensor.tilt), 0, np.cos(sensor.tilt)])
    turn = np.array([[np.cos(sensor.tilt), 0, -np.sin(sensor.tilt)], [0, 1, 0], normal])
    for _ in range(number):
        while True:  # intensity as cos^2 of the zenith angle, area as seen from there
            down = np.cbrt(rng.random())
            around = rng.uniform(0, 2 * np.pi)
            across = np.sqrt(1 - down * down)
            direction = np.array([across * np.cos(around), across * np.sin(around), down])
            seen = abs(normal @ direction)
            if rng.random() < seen and seen > 0.02:
                break
        along = turn @ direction
        along /= abs(along[2])
        length = float(np.linalg.norm(along)) * sensor.depth
        steps = max(int(np.ceil(length / STEP)), 1)
        places = (rng.random(steps) if steps < 4 else (np.arange(steps) + 0.5) / steps)[:, None] * sensor.depth
        points = places * np.abs(along * [0, 0, 1]) + places * along * [1, 1, 0]
        loss = MUON_LOSS[0] - MUON_LOSS[1] * np.log(rng.normal(size=steps) ** 2 + 1e-9)
        charge = loss * length / steps
        for _ in range(rng.poisson(length * 0.0178 / LEAST_DELTA)):
            energy = min(LEAST_DELTA / (1 - rng.random()), ENERGIES[1])
            more, freed = next(_electrons(rng, np.array([energy]), points[rng.integers(steps)][None], sensor))
            points, charge = np.concatenate([points, more]), np.concatenate([charge, freed])
        yield points, charge


def _worms(rng: np.random.Generator, number: int, sensor: Sensor) -> Iterator[Path]:
    """Yield the paths of electrons that start somewhere in the silicon."""
    energy = np.exp(rng.uniform(np.log(ENERGIES[0]), np.log(ENERGIES[1]), number))
    start = np.zeros((number, 3))
    start[:, 2] = rng.uniform(0, sensor.depth, number)
    return _electrons(rng, energy, start, sensor)


def _electrons(rng: np.random.Generator, energy: NDArray[np.float64], start: Points, sensor: Sensor) -> Iterator[Path]:
    """Yield the paths of electrons of some energies [keV] until they stop or leave the silicon."""
    number = energy.size
    left = RANGE[0] * energy ** RANGE[1]
    direction = rng.normal(size=(number, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    point = start.copy()
    points, charges = [], []
    inside = np.ones(number, bool)
    while True:
        step = np.minimum(STEP, left)
        after = np.maximum(left - step, 0)
        now = (left / RANGE[0]) ** (1 / RANGE[1])
        charges.append(np.where(inside, now - (after / RANGE[0]) ** (1 / RANGE[1]), 0) * PER_KEV)
        points.append(point + direction * step[:, None] / 2)
        point = point + direction * step[:, None]
        left = after
        inside = inside & (point[:, 2] > 0) & (point[:, 2] < sensor.depth) & (left > 0)
        if not inside.any():
            break
        momentum = now * (now + 2 * ELECTRON_MASS) / (now + ELECTRON_MASS) / 1000  # times its speed [MeV]
        angle = np.minimum(13.6 / np.maximum(momentum, 1e-4) * np.sqrt(step / RADIATION_LENGTH), 1.5)
        direction = direction + angle[:, None] * rng.normal(size=(number, 3))
        direction /= np.linalg.norm(direction, axis=1)[:, None]
    all_points, all_charges = np.stack(points, axis=1), np.stack(charges, axis=1)
    for place, charge in zip(all_points, all_charges, strict=True):
        there = charge > 0
        yield place[there], charge[there]


def _collected(points: Points, charge: NDArray[np.float64], sensor: Sensor, rng: np.random.Generator) -> Track:
    """Return what the pixels collect of charge that is set free at some points."""
    from scipy.special import erf

    spread = sensor.diffusion * np.sqrt(np.clip(points[:, 2] / sensor.depth, 0.02, 1)) / sensor.pixel
    places = points[:, 1::-1] / sensor.pixel + rng.random(2)
    at = np.floor(places).astype(np.intp)
    half = int(np.ceil(REACH * spread.max()))
    steps = np.arange(-half, half + 2)
    shares = []
    for axis in range(2):
        edges = at[:, axis, None] + steps - places[:, axis, None]
        shares.append(np.diff(erf(edges / (spread[:, None] * np.sqrt(2)))) / 2)
    collected = charge[:, None, None] * shares[0][:, :, None] * shares[1][:, None, :]
    origin = at.min(axis=0) - half
    size = at.max(axis=0) + half + 1 - origin
    image = np.zeros(size)
    cells = np.arange(2 * half + 1)
    rows = at[:, 0, None, None] - half - origin[0] + cells[:, None]
    columns = at[:, 1, None, None] - half - origin[1] + cells
    np.add.at(image, (rows, columns), collected)
    y, x = np.nonzero(image >= 1)
    if not y.size:
        y, x = (np.array([each]) for each in np.unravel_index(image.argmax(), image.shape))
    return Track(y - y[0], x - x[0], image[y, x])
