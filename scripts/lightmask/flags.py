"""What each bit of a FLAGS image means: the one place where bits and names are defined."""

from collections.abc import Iterable
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray


class Flag(IntFlag):
    """Reasons not to trust a pixel, one bit each, in an unsigned 8-bit FLAGS image.

    `astropy.nddata.bitmask` reads them with
    ``flag_name_map=bitmask.extend_bit_flag_map("Lightmask", **flags.BITS)``.
    """

    FLAT = 1
    DARK = 2
    COSMIC = 4
    SATURATED = 8
    INHERITED = 16
    NOTFINITE = 32


BITS = {flag.name: flag.value for flag in Flag if flag.name}

MEANING = {
    Flag.FLAT: "bad in the flat mask",
    Flag.DARK: "hot in the dark mask",
    Flag.COSMIC: "cosmic ray",
    Flag.SATURATED: "at or above the saturation level",
    Flag.INHERITED: "masked in the input frame",
    Flag.NOTFINITE: "NaN or infinite",
}


def masked(found: NDArray[np.uint8], names: Iterable[str]) -> NDArray[np.bool_]:
    """Mask the pixels that have any of the flags named, in any case.

    Parameters
    ----------
    found : ndarray of uint8
        FLAGS.
    names : iterable of str
        As in ``["flat", "cosmic"]``.

    Returns
    -------
    ndarray of bool
        Same shape.

    Raises
    ------
    KeyError
        If there is no flag of a name.
    """
    bits = Flag(0)
    for name in names:
        bits |= Flag[name.upper()]
    return (found & np.uint8(bits)) != 0


def cards() -> list[tuple[str, str, str]]:
    """Give header cards, one a bit: ``BIT0 = 'FLAT' / 1: bad in the flat mask``."""
    return [
        (f"BIT{flag.bit_length() - 1}", flag.name or "", f"{flag.value}: {meaning}")
        for flag, meaning in MEANING.items()
    ]


def count_text(count: int, size: int) -> str:
    """Say how many pixels, and what fraction, as ``9422 pixels (0.056%)``."""
    return f"{count} pixels ({count / size if size else 0:.3%})"
