"""How right masks are: tracks of particles, their injection into images, and scores of what a detector finds."""

from lightmask.truth.injection import Injected, inject, scaled
from lightmask.truth.scores import LEAST_OF_RAY, MOST_OF_NONE, Score, score
from lightmask.truth.tracks import Sensor, Track, tracks

__all__ = [
    "LEAST_OF_RAY",
    "MOST_OF_NONE",
    "Injected",
    "Score",
    "Sensor",
    "Track",
    "inject",
    "scaled",
    "score",
    "tracks",
]
