"""Masks and flags of frames: made of flats, darks, and cosmic rays."""

from lightmask.masks import sources
from lightmask.masks.assessment import EDGES, Counts, assess_frame
from lightmask.masks.ccd import MaskWarning, mask_ccd
from lightmask.masks.combined import combine_files
from lightmask.masks.dark import make_dark_mask
from lightmask.masks.explanation import Explained, explain_pixel
from lightmask.masks.flags import Flags
from lightmask.masks.flat import make_flat_mask
from lightmask.masks.frame import Masked, mask_frame
from lightmask.masks.search import memory
from lightmask.masks.sources import with_remarks
from lightmask.masks.static import Output, make_as_planned
from lightmask.masks.trial import Trial, Trials, try_settings

__all__ = [
    "EDGES",
    "Counts",
    "Explained",
    "Flags",
    "MaskWarning",
    "Masked",
    "Output",
    "Trial",
    "Trials",
    "assess_frame",
    "combine_files",
    "explain_pixel",
    "make_as_planned",
    "make_dark_mask",
    "make_flat_mask",
    "mask_ccd",
    "mask_frame",
    "memory",
    "sources",
    "try_settings",
    "with_remarks",
]
