"""Trustworthy pixel masks for calibrated CCD frames."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightmask.bits import Flag
    from lightmask.detect import ccdmask, detect_cosmics, trace_cosmics
    from lightmask.errors import FrameError
    from lightmask.masks import Flags, MaskWarning, mask_ccd, mask_frame

__version__ = "0.1.0"
__all__ = [
    "SNAKEFILE",
    "Flag",
    "Flags",
    "FrameError",
    "MaskWarning",
    "ccdmask",
    "detect_cosmics",
    "mask_ccd",
    "mask_frame",
    "trace_cosmics",
]

_PACKED = Path(__file__).parent / "_snakemake"
SNAKEFILE = str((_PACKED if _PACKED.is_dir() else Path(__file__).parents[2]) / "Snakefile")
"""Path of the workflow: of the clone, or of the installed package. For ``module masks: snakefile: SNAKEFILE``."""

# Jobs import this package thousands of times a night, and few of them need all of it.
_ROOMS = {
    "Flag": "bits",
    "Flags": "masks",
    "FrameError": "errors",
    "MaskWarning": "masks",
    "ccdmask": "detect",
    "detect_cosmics": "detect",
    "mask_ccd": "masks",
    "mask_frame": "masks",
    "trace_cosmics": "detect",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(import_module(f"lightmask.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
