"""Find bad pixels in one image: cosmic rays (L.A.Cosmic), and pixels of a flat that deviate (ccdmask).

Needs NumPy only, and nothing else of this package. Other modules use what is named here, and nothing else.
"""

from lightmask.detect.api import CosmicRays, detect_cosmics, mask_cosmics
from lightmask.detect.bands import pixels_at_a_time
from lightmask.detect.ccdmask import ccdmask
from lightmask.detect.selection import median_of

__all__ = ["CosmicRays", "ccdmask", "detect_cosmics", "mask_cosmics", "median_of", "pixels_at_a_time"]
