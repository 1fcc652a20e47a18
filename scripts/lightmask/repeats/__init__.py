"""LIGHT frames of one field as truth for each other: what stands in one of them and in no other one is a cosmic ray."""

from lightmask.repeats.alignment import Alignment, Matrix
from lightmask.repeats.api import Compared, Exposure, compare_exposures
from lightmask.repeats.evidence import FEWEST

__all__ = ["FEWEST", "Alignment", "Compared", "Exposure", "Matrix", "compare_exposures"]
