"""Whether a mask can be trusted: what was found in an image, and what is wrong with it."""

from lightmask.quality.causes import NAMES, Cause, causes, causes_of_noise
from lightmask.quality.events import CUTOUT, REGION, Event, Events, around, write_regions
from lightmask.quality.measure import measured_quality, of_noise
from lightmask.quality.noise import Noise, measured_gain, measured_noise, measured_readnoise, noise_of
from lightmask.quality.sample import Sample
from lightmask.quality.stars import measured_stars
from lightmask.quality.structure import measured_ceiling, spectrum_card

__all__ = [
    "CUTOUT",
    "NAMES",
    "REGION",
    "Cause",
    "Event",
    "Events",
    "Noise",
    "Sample",
    "around",
    "causes",
    "causes_of_noise",
    "measured_ceiling",
    "measured_gain",
    "measured_noise",
    "measured_quality",
    "measured_readnoise",
    "measured_stars",
    "noise_of",
    "of_noise",
    "spectrum_card",
    "write_regions",
]
