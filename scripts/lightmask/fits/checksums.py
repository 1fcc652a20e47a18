"""Checksums of FITS files: whether they fit the bytes, and files written with them.

The FITS standard 4.0 (Pence et al. 2010, A&A 524, A42), appendix J.
"""

import os
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from lightmask.fits.files import whole_file
from lightmask.fits.hdus import CHUNK, Hdu, data_size
from lightmask.fits.headers import BLOCK, FitsError, Header, read_header

# --- checksums ---------------------------------------------------------------------


def _ones_complement_sum(data: Any) -> int:
    """Add up 32-bit words; what is no whole word at the end is filled with zeros."""
    odd = len(data) % 4
    if odd:
        data = bytes(data) + bytes(4 - odd)
    return _folded(int(np.frombuffer(data, ">u4").sum(dtype=np.uint64)))


def _folded(total: int) -> int:
    """Carry what 32 bits cannot hold to their other end."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


class Misfit(NamedTuple):
    """A checksum that does not fit the bytes of its HDU.

    Attributes
    ----------
    text : str
        Which one, in a line.
    is_stale : bool
        Whether the header has been changed since its checksums were written, as by software that keeps
        these cards but not their meaning. If it has not, what has changed are the data.
    """

    text: str
    is_stale: bool


class _Summed:
    """A stream that hands on what is read from it, and adds it up.

    Reads of whole words are expected, so that sums of parts are parts of the sum.
    """

    def __init__(self, file: Any, hand_on: Callable[[bytes], Any]):
        self.file, self.hand_on, self.total = file, hand_on, 0

    def read(self, size: int) -> bytes:
        """Read so many bytes; fewer at the end only."""
        part = self.file.read(size)
        self.hand_on(part)
        self.total = _folded(self.total + _ones_complement_sum(part))
        return part


def read_through(file: Any, hand_on: Callable[[bytes], Any]) -> list[Misfit]:
    """Read a FITS file from its beginning to its end, and check the checksums that it has.

    Parameters
    ----------
    file : file
        It need not seek.
    hand_on : callable
        Gets every byte of it, part by part.

    Returns
    -------
    list of Misfit
        One for each HDU whose DATASUM or CHECKSUM does not fit its bytes. Blank cards are not checked.
    """
    found: list[Misfit] = []
    summed: Any = _Summed(file, hand_on)
    try:
        number = 0
        while (header := read_header(summed)) is not None:
            of_header, summed.total = summed.total, 0
            size = data_size(header)
            left = size + -size % BLOCK
            while left and (part := summed.read(min(left, CHUNK))):
                left -= len(part)
            name = Hdu(header).name
            hdu = f"HDU {number} ({name})" if name else f"HDU {number}"
            found += _misfits(hdu, header, of_header, summed.total)
            number, summed.total = number + 1, 0
    except FitsError:
        found = []  # what is no FITS has no checksums: `split` says what is wrong with it
    while part := file.read(CHUNK):
        hand_on(part)
    return found


def _misfits(hdu: str, header: Header, of_header: int, of_data: int) -> list[Misfit]:
    """Say which checksum of an HDU does not fit its sums: the first one, as one of data is part of the other."""
    values = (header.get(keyword) for keyword in ("DATASUM", "CHECKSUM"))
    datasum, checksum = ("" if value is None else str(value).strip() for value in values)
    stated = int(datasum) if re.fullmatch("[0-9]+", datasum) else None
    if datasum and (stated is None or not _same(stated, of_data)):
        is_stale = bool(checksum) and stated is not None and not _same(of_header + stated, 0)
        return [Misfit(f"DATASUM of {hdu} is {datasum!r}, its bytes give {of_data}", is_stale)]
    total = _folded(of_header + of_data)
    if checksum and not _same(total, 0):
        text = f"CHECKSUM of {hdu} is {checksum!r}, with it its bytes give {total}, expected {0xFFFFFFFF}"
        return [Misfit(text, is_stale=bool(datasum))]
    return []


def _same(one: int, other: int) -> bool:
    """Compare sums: zero has two forms, 0 and -0, in which all bits are set."""
    return (one - other) % 0xFFFFFFFF == 0


# --- writing -----------------------------------------------------------------------


def _encoded(checksum: int) -> str:
    """Encode 32 bits as 16 letters and digits (FITS standard 4.0, appendix J)."""
    punctuation = {*range(0x3A, 0x41), *range(0x5B, 0x61)}
    letters = [0] * 16
    for place in range(4):
        byte = checksum >> (24 - 8 * place) & 0xFF
        four = [byte // 4 + byte % 4 + 0x30, *[byte // 4 + 0x30] * 3]
        for pair in (0, 2):
            while punctuation & {four[pair], four[pair + 1]}:
                four[pair] += 1
                four[pair + 1] -= 1
        letters[place::4] = four
    return bytes(letters[-1:] + letters[:-1]).decode("ascii")


def write(hdus: Iterable[Hdu], path: str | os.PathLike) -> None:
    """Write HDUs with checksums and without a time stamp: the same HDUs give the same bytes.

    Parameters
    ----------
    hdus : iterable of Hdu
        The first one is the primary HDU.
    path : path
        Where to write.
    """
    with whole_file(path) as part, part.open("wb") as file:
        for hdu in hdus:
            header, start, of_data = hdu.header.copy(), file.tell(), 0
            for keyword in ("CHECKSUM", "DATASUM"):
                header.set(keyword, "0" * 16)
            file.write(header.tobytes())
            for place in range(0, len(hdu.data), CHUNK):
                chunk = hdu.data[place : place + CHUNK]
                of_data = _folded(of_data + _ones_complement_sum(chunk))
                file.write(chunk)
            file.write(bytes(-len(hdu.data) % BLOCK))
            # The header once more, now that both sums are known.
            header.set("DATASUM", str(of_data))
            header.set("CHECKSUM", _encoded(~_folded(_ones_complement_sum(header.tobytes()) + of_data) & 0xFFFFFFFF))
            file.seek(start)
            file.write(header.tobytes())
            file.seek(0, os.SEEK_END)
