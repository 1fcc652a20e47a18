"""Header cards that say what made a file, from what, and how: ``HIERARCH LIGHTMASK ...``."""

from urllib.parse import quote

from lightmask import __version__
from lightmask.fits import CARD, Header, Value


def add_card(header: Header, keyword: str, value: Value = __version__, comment: str = "") -> None:
    """Add a card of ours; a comment that does not fit is left out, not cut."""
    header.set(f"LIGHTMASK {keyword}", value, comment)


def add_source(header: Header, role: str, name: str, digest: str) -> None:
    """Add the name and the SHA-256 of an input.

    Parameters
    ----------
    header : Header
        Where to add them.
    role : str
        What the input was: ``frame``, ``flat1``, ``dark2``.
    name : str
        Its path; percent-encoded to ASCII, shortened at the front to fit.
    digest : str
        Its SHA-256; the card holds the first 32 digits, all that fits.
    """
    add_card(header, f"{role} SHA256", digest[:32])
    ascii_name = quote(name, safe=" ._-()/", errors="surrogateescape")
    room = CARD - len(f"HIERARCH LIGHTMASK {role} = ''")
    add_card(header, role, ascii_name if len(ascii_name) <= room else "..." + ascii_name[3 - room :])
