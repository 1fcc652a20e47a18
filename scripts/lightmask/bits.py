"""The bits of FLAGS: names, values and meanings of the reasons that a pixel is masked for."""

from enum import IntFlag

DTYPE = "int16"
"""Of FLAGS: signed, as HST's data quality is. The sign bit stays free."""


class Flag(IntFlag):
    """Reasons not to trust a pixel, one bit each, in a signed 16-bit FLAGS image.

    `astropy.nddata.bitmask` reads them with
    ``flag_name_map=bitmask.extend_bit_flag_map("Lightmask", **bits.BITS)``.

    Examples
    --------
    >>> Flag(5)
    <Flag.FLAT|COSMIC: 5>
    >>> Flag.COSMIC in Flag(5)
    True
    """

    FLAT = 1
    DARK = 2
    COSMIC = 4
    SATURATED = 8
    INHERITED = 16
    NOTFINITE = 32
    SUSPECT = 64
    BLEED = 128
    TRAIL = 256
    COLUMN = 512
    UNSTABLE = 1024
    EDGE = 2048
    NODATA = 4096
    GROWN = 8192
    INTERPOLATED = 16384


BITS = {flag.name: flag.value for flag in Flag if flag.name}
MEANING = {
    Flag.FLAT: "bad in the flat mask",
    Flag.DARK: "hot in the dark mask",
    Flag.COSMIC: "cosmic ray",
    Flag.SATURATED: "at or above the saturation level",
    Flag.INHERITED: "masked in the input frame",
    Flag.NOTFINITE: "NaN or infinite",
    Flag.SUSPECT: "like a cosmic ray, if bad pixels are not known",
    Flag.BLEED: "charge of a saturated pixel",
    Flag.TRAIL: "trail of a satellite or meteor",
    Flag.COLUMN: "in a bad column or row",
    Flag.UNSTABLE: "signal changes from frame to frame",
    Flag.EDGE: "overscan or rim",
    Flag.NODATA: "no data",
    Flag.GROWN: "near a flagged pixel",
    Flag.INTERPOLATED: "value was replaced",
}
RESERVED = Flag.BLEED | Flag.TRAIL | Flag.COLUMN | Flag.UNSTABLE | Flag.GROWN | Flag.INTERPOLATED
"""Bits that no pixel has yet."""
IN_USE = tuple(flag for flag in Flag if flag not in RESERVED)


def key(flag: Flag) -> str:
    """Return a flag's name as the configuration and the tables have it: ``cosmic``."""
    return (flag.name or "").lower()


REASONS = tuple(map(key, IN_USE))
"""Names of the reasons that a pixel can have, as `key` returns them."""


def cards() -> list[tuple[str, str, str]]:
    """Return header cards, one a bit: ``BIT0 = 'FLAT' / 1: bad in the flat mask``."""
    return [
        (
            f"BIT{flag.bit_length() - 1}",
            flag.name or "",
            f"{flag.value}: {meaning}{' (reserved)' if flag in RESERVED else ''}",
        )
        for flag, meaning in MEANING.items()
    ]
