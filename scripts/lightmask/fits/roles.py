"""What each HDU of a file is for: a science image, its mask, its noise, or something else."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lightmask.fits.headers import Header

KNOWN = {
    "science": {"SCI", "SCIENCE", "IMAGE"},
    "mask": {"MASK", "DQ", "BPM"},
    "flags": {"FLAGS"},
    "error": {"ERR", "ERROR", "UNCERT", "STDDEV", "SIGMA"},
    "variance": {"VAR", "VARIANCE"},
    "weight": {"IVAR", "WHT", "WGT", "WEIGHT"},
    # Passed through: tables of distortions, earlier masks of ours, and what reduction leaves beside an image.
    "companion": {
        *("CAT", "GTI", "WCSDVARR", "D2IMARR", "HDRLET", "AREA", "CTX", "CON", "SAMP", "TIME"),
        *("VAR_POISSON", "VAR_RNOISE", "VAR_FLAT", "PSF", "EXPMAP", "BKG", "BACKGROUND", "SKY", "OBJMASK", "THUMBNAIL"),
    },
}
"""EXTNAME or EXTTYPE of images, by what they are for, as cameras and pipelines write them."""
OURS = re.compile(r"IN(MASK|FLAGS)\d*")
"""What we call masks and flags of other programs that we keep."""


@dataclass(frozen=True)
class Roles:
    """Tell what an HDU is for: `Roles(...)(header, place)`.

    Parameters
    ----------
    named : dict, optional
        By role (``science``, ``mask``, ``error``) EXTNAMEs, EXTTYPEs or places in the file that have it; where
        they name science images no other image is one.

    Examples
    --------
    >>> header = Header()
    >>> header.set("EXTNAME", "DQ")
    >>> Roles()(header, 2)
    'mask'
    >>> Roles({"science": ["dq"]})(header, 2)
    'science'
    """

    named: Mapping[str, Collection[str | int] | None] = field(default_factory=dict)

    def __call__(self, header: Header, place: int) -> str:
        """Return what an HDU is for.

        Parameters
        ----------
        header : Header
            Of the HDU.
        place : int
            Its place in the file, 0 for the primary HDU.

        Returns
        -------
        str
            ``science``, ``mask``, ``flags``, ``error``, ``variance``, ``weight``, ``companion`` for what is passed
            through, or ``other`` where it is not known. EXTNAME counts before EXTTYPE.
        """
        names = [str(header.get(keyword) or "").strip().upper() for keyword in ("EXTNAME", "EXTTYPE")]
        for role, wanted in self.named.items():
            texts = {str(each).strip().upper() for each in wanted or ()}
            if place in (wanted or ()) or texts & {*names} - {""}:
                return role
        for name in names:
            if OURS.fullmatch(name):
                return "companion"
            for role, known in KNOWN.items():
                if name in known and not (role == "science" and self.named.get("science")):
                    return role
        return "companion" if self.named.get("science") else "other"
