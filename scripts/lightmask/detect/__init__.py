"""Find bad pixels in one image: cosmic rays (L.A.Cosmic, with a net or alone), and what deviates in a flat (ccdmask).

Needs NumPy only, and nothing else of this package. Other modules use what is named here, and nothing else.
"""

from lightmask.detect import net
from lightmask.detect.api import CosmicRays, detect_cosmics, mask_cosmics
from lightmask.detect.bands import pixels_at_a_time
from lightmask.detect.ccdmask import ccdmask
from lightmask.detect.examination import Lacosmic, Trace, examine_cosmics, examine_trace
from lightmask.detect.growth import events_of
from lightmask.detect.selection import median_of
from lightmask.detect.trace import TracedRays, pixels_of_trace, trace_cosmics, trace_in_bands
from lightmask.detect.training import Candidates

__all__ = [
    "Candidates",
    "CosmicRays",
    "Lacosmic",
    "Trace",
    "TracedRays",
    "ccdmask",
    "detect_cosmics",
    "events_of",
    "examine_cosmics",
    "examine_trace",
    "mask_cosmics",
    "median_of",
    "net",
    "pixels_at_a_time",
    "pixels_of_trace",
    "trace_cosmics",
    "trace_in_bands",
]
