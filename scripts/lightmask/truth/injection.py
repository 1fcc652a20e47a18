"""Inject tracks into images.

Tracks and a shape come in; the charge on each pixel goes out, and which track it is of.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.truth.tracks import Track

PEAKS = 5.0, 300.0  # of a track that is scaled [sigma]
SHARE_SCALED = 0.5


class Injected(NamedTuple):
    """What was injected.

    Attributes
    ----------
    charge : (ny, nx) float64 array
        [e-]
    event : (ny, nx) int32 array
        Number of the track on each pixel, from 1; the last one where there are several; 0 where there is none.
    """

    charge: NDArray[np.float64]
    event: NDArray[np.int32]


def scaled(rng: np.random.Generator, tracks: Sequence[Track], noise: float) -> list[Track]:
    """Return tracks of which half have another brightness: a peak between 5 and 300 times the noise, log-uniform.

    Parameters
    ----------
    rng : numpy.random.Generator
    tracks : sequence of Track
    noise : float
        Of the sky [e-].

    Returns
    -------
    list of Track
    """
    result = []
    for track in tracks:
        if rng.random() < SHARE_SCALED:
            peak = noise * np.exp(rng.uniform(*np.log(PEAKS)))
            track = track._replace(charge=track.charge * (peak / track.charge.max()))
        result.append(track)
    return result


def inject(rng: np.random.Generator, shape: tuple[int, int], tracks: Sequence[Track]) -> Injected:
    """Put tracks at random places of an image, flipped and turned at random.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        Of the image [pixel].
    tracks : sequence of Track

    Returns
    -------
    Injected

    Examples
    --------
    >>> import numpy as np
    >>> one = Track(np.array([0]), np.array([0]), np.array([500.0]))
    >>> found = inject(np.random.default_rng(1), (20, 30), [one])
    >>> found.charge.shape, float(found.charge.sum()), int(found.event.max())
    ((20, 30), 500.0, 1)
    """
    charge, event = np.zeros(shape), np.zeros(shape, np.int32)
    for number, track in enumerate(tracks, 1):
        turned = track.turned(int(rng.integers(8)))
        y, x = turned.y + rng.integers(0, shape[0]), turned.x + rng.integers(0, shape[1])
        inside = (y >= 0) & (x >= 0) & (y < shape[0]) & (x < shape[1])
        np.add.at(charge, (y[inside], x[inside]), track.charge[inside])
        event[y[inside], x[inside]] = number
    return Injected(charge, event)
