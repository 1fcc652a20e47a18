"""The bits of FLAGS: names, values and meanings of the reasons that a pixel is masked for."""

from enum import IntFlag


class Flag(IntFlag):
    """Reasons not to trust a pixel, one bit each, in an unsigned 8-bit FLAGS image.

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


BITS = {flag.name: flag.value for flag in Flag if flag.name}
MEANING = {
    Flag.FLAT: "bad in the flat mask",
    Flag.DARK: "hot in the dark mask",
    Flag.COSMIC: "cosmic ray",
    Flag.SATURATED: "at or above the saturation level",
    Flag.INHERITED: "masked in the input frame",
    Flag.NOTFINITE: "NaN or infinite",
}


def key(flag: Flag) -> str:
    """Return a flag's name as the configuration and the tables have it: ``cosmic``."""
    return (flag.name or "").lower()


def cards() -> list[tuple[str, str, str]]:
    """Return header cards, one a bit: ``BIT0 = 'FLAT' / 1: bad in the flat mask``."""
    return [
        (f"BIT{flag.bit_length() - 1}", flag.name or "", f"{flag.value}: {meaning}")
        for flag, meaning in MEANING.items()
    ]
