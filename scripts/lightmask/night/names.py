"""Names of frames that a shell, a FITS header and a cluster's command line can all carry.

On a cluster the name of a frame goes to its job on a command line, as one of
several values between commas. A comma, a quote or a brace would not survive
that, so they are percent-encoded.
"""

import hashlib
import os
import re
from urllib.parse import unquote

FITS_SUFFIX = re.compile(r"\.(?:fits|fit|fts)(\.(?:gz|bz2|fz))?\Z", re.IGNORECASE)
"""How the name of a FITS file ends; the group is its compression suffix."""
LONGEST = 200
"""Bytes of a name that is not shortened. File systems take 255, and results add ``.json.part``."""
_LONGEST_PATH = 2000
"""Likewise of a path; encoding makes one three times as long, and file systems take 4095."""
_DERIVED = re.compile(r"(\.(?:fits|fit|fts))\.(json|log|png|reg|tsv)\Z", re.IGNORECASE)
"""How the name of a folder ends that a file derived from a frame could have."""
_FORMULA = re.compile(r"'*[=+\-@\t\n＝＋－＠]")
"""How a text begins that a spreadsheet takes for a formula, or that `cell` has kept from it."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_KEPT = frozenset(" ._-()/")


def encode(path: str) -> str:
    """Percent-encode all but letters, digits, ``/`` and the characters in ``" ._-()"``.

    Parameters
    ----------
    path : str
        A relative path with ``/`` between folders, as `os.fsdecode` gives it.

    Returns
    -------
    str
        The encoded path; `decode` reverses it. Letters and digits of any
        script stay as they are.
    """
    return "".join(c if c in _KEPT or c.isalpha() or c.isdecimal() else _percent(c) for c in path)


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(letter))


def decode(name: str) -> str:
    """Reverse `encode`."""
    return unquote(name, errors="surrogateescape")


def output_name(path: str) -> str:
    """Return the name under which the results of a frame stand.

    Beside a frame ``a.fits`` its results may be ``a.fits.json`` or ``a.fits.png``. In the name of a
    folder that looks like one of these the last dot is encoded, so that no folder is in their way.

    Parameters
    ----------
    path : str
        Path of the frame, relative to the frames folder.

    Returns
    -------
    str
        The encoded path without a compression suffix (``.gz .bz2 .fz``), each of
        its parts `shortened`.
    """
    suffix = FITS_SUFFIX.search(path)
    if suffix and suffix[1]:
        path = path[: suffix.start(1)]
    folders, slash, last = encode(path).rpartition("/")
    parts = [_DERIVED.sub(r"\1%2E\2", part) for part in folders.split("/")]
    return shortened("/".join(parts) + slash + last)


def shortened(name: str) -> str:
    """Cut the parts of an encoded path that are longer than `LONGEST`, with a digest of what was there.

    The suffix of a FITS file stays. Of a path that is too long even so, all its folders are cut as one.
    """
    short = "/".join(part if len(os.fsencode(part)) <= LONGEST else _cut(part) for part in name.split("/"))
    if len(os.fsencode(short)) > _LONGEST_PATH:
        folders, _, last = short.rpartition("/")
        short = f"{_cut(folders)}/{last}"
    return short


def _cut(part: str) -> str:
    raw = os.fsencode(part)
    suffix = FITS_SUFFIX.search(part)
    end = f"-{hashlib.sha256(raw).hexdigest()[:16]}{suffix[0] if suffix else ''}"
    begin = raw[: LONGEST - len(end)].decode(errors="ignore")
    return re.sub("%.?$", "", begin) + end


def cell(text: str) -> str:
    """Return a text as a cell of a table that a spreadsheet reads: an apostrophe keeps it from being a formula."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def from_cell(text: str) -> str:
    """Reverse `cell`.

    Parameters
    ----------
    text : str
        A cell of a CSV table.

    Returns
    -------
    str
        The text that was written there.
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
