"""Score a mask against what is known.

A mask and the truth come in; numbers of pixels and events go out, which add up over images.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST_OF_RAY = 3.0  # charge that makes a pixel part of a ray [sigma of the pixel]
MOST_OF_NONE = 0.3  # up to so much it is none; between the two it is not judged


class Score(NamedTuple):
    """Numbers of pixels and events; scores of several images add up.

    Attributes
    ----------
    found, wrong : int
        Flagged pixels that a ray hit, and that none hit.
    hit : int
        Pixels that a ray hit.
    events, events_found : int
        Rays, and those of which a pixel is flagged.
    cores, cores_touched : int
        Bright stars, and those of which one of the middle 3x3 pixels is flagged.
    pixels : int
        That were judged.
    """

    found: int = 0
    wrong: int = 0
    hit: int = 0
    events: int = 0
    events_found: int = 0
    cores: int = 0
    cores_touched: int = 0
    pixels: int = 0

    def __add__(self, other: object) -> "Score":
        """Return the sum of two scores."""
        return Score(*(a + b for a, b in zip(self, other, strict=True))) if isinstance(other, Score) else NotImplemented

    @property
    def precision(self) -> float:
        """Return which part of what is flagged a ray hit."""
        return self.found / max(self.found + self.wrong, 1)

    @property
    def recall(self) -> float:
        """Return which part of what rays hit is flagged."""
        return self.found / max(self.hit, 1)

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall."""
        return 2 * self.found / max(2 * self.found + self.wrong + self.hit - self.found, 1)


def score(
    mask: NDArray[np.bool_],
    hit: NDArray[np.bool_],
    free: NDArray[np.bool_],
    event: NDArray[np.integer] | None = None,
    cores: NDArray[np.intp] | None = None,
) -> Score:
    """Score a mask.

    Parameters
    ----------
    mask : (ny, nx) bool array
        What a detector flags.
    hit, free : (ny, nx) bool array
        Pixels that a ray hit, and such that none hit. Others are not judged.
    event : (ny, nx) int array, optional
        Number of the ray on each pixel.
    cores : (n, 2) int array, optional
        Row and column of the middle of bright stars, where no ray is.

    Returns
    -------
    Score
    """
    events = found = touched = number = 0
    if event is not None:
        events, found = (np.unique(event[part]).size for part in (hit, hit & mask))
    if cores is not None:
        number = len(cores)
        steps = np.arange(-1, 2)
        rows = np.clip(cores[:, 0, None, None] + steps[:, None], 0, mask.shape[0] - 1)
        columns = np.clip(cores[:, 1, None, None] + steps, 0, mask.shape[1] - 1)
        touched = int(mask[rows, columns].any(axis=(1, 2)).sum()) if number else 0
    counts = (mask & hit, mask & free, hit)
    right, wrong, of_rays = (int(np.count_nonzero(each)) for each in counts)
    judged = int(np.count_nonzero(hit | free))
    return Score(right, wrong, of_rays, events, found, number, touched, judged)
