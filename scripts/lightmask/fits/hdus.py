"""FITS files whose HDUs are passed through byte for byte, next to new ones.

Masking a frame reads its pixels, a handful of its cards, and nothing else; all
the rest goes through untouched, odd cards included. This does just that, after
the FITS standard 4.0 (Pence et al. 2010, A&A 524, A42; checksums: its appendix
J). A general reader takes longer to import than a frame takes to mask.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lightmask.fits.headers import _FARTHEST, BLOCK, TRUNCATED, FitsError, Header, Value, _keyword, _value, read_header

DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
UNSIGNED: dict[tuple[float, float], str] = {(8, -(2**7)): "i1", (16, 2**15): "u2", (32, 2**31): "u4", (64, 2**63): "u8"}
"""What integers with this BITPIX and BZERO are, the standard's way to store them."""
CHUNK = 2**20
"""Bytes that are read or written at a time."""


def shape_text(shape: tuple[int, ...] | None) -> str:
    """Return a shape as astronomers write it, x first: ``2048x1024``.

    Parameters
    ----------
    shape : tuple of int or None
        Rows first.

    Returns
    -------
    str
        Empty for no shape.
    """
    return "x".join(map(str, reversed(shape or ())))


class Stored:
    """A part of a file, of which a slice reads just those bytes.

    Parameters
    ----------
    file : binary file
        It can seek, and stays open.
    start, size : int
        Which part of it.
    """

    def __init__(self, file: BinaryIO, start: int, size: int):
        self.file, self.start, self.size = file, start, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> NDArray[np.uint8]:
        first, end, _ = part.indices(self.size)
        content = np.empty(max(end - first, 0), np.uint8)
        self.file.seek(self.start + first)
        if self.file.readinto(content) < content.size:  # type: ignore[attr-defined]
            raise FitsError(TRUNCATED)
        return content


@dataclass
class Hdu:
    """Header and data of one HDU.

    Attributes
    ----------
    header : Header
        Its cards.
    data : bytes-like or alike
        What follows the header, with or without padding. It has a length, and slices
        of it are bytes-like, as those of `Stored` are.
    """

    header: Header
    data: Any = b""

    @property
    def name(self) -> str:
        """EXTNAME, in capitals."""
        return str(self.header.get("EXTNAME") or "").upper()

    @property
    def compressed(self) -> bool:
        """Whether it is a tile-compressed image."""
        return self.header.get("ZIMAGE") is True

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of the image, rows first; None where there is no image."""
        prefix = "Z" if self.compressed else ""
        if not self.compressed and self.header.get("XTENSION", "IMAGE") != "IMAGE":
            return None
        return tuple(_axes(self.header, prefix)[::-1]) or None

    @property
    def plane(self) -> tuple[int, ...] | None:
        """Shape of the image without axes of length one, as far as there are more than two axes."""
        shape = self.shape
        while shape and len(shape) > 2 and 1 in shape:
            place = shape.index(1)
            shape = shape[:place] + shape[place + 1 :]
        return shape

    def pixels(self, rows: slice = slice(None)) -> NDArray[Any]:
        """Return pixels in native byte order, with BSCALE, BZERO and BLANK applied.

        Integers that need it become float32 up to 16 bits and float64 above;
        BLANK becomes NaN. Unsigned integers, stored with a BZERO, stay integers.

        Parameters
        ----------
        rows : slice
            Without a step; all rows unless it is given.

        Returns
        -------
        ndarray
            Of the shape `plane`, or of so many rows of it.
        """
        stored, bitpix = self._stored(rows), _whole(self.header, "BITPIX")
        scale, zero = _number(self.header, "BSCALE", 1), _number(self.header, "BZERO", 0)
        blank = self.header.get("BLANK") if bitpix > 0 else None
        if scale == 1 and (bitpix, zero) in UNSIGNED:
            stored ^= stored.dtype.type(128 if bitpix == 8 else np.iinfo(stored.dtype).min)
            return stored.view(UNSIGNED[bitpix, zero])
        if (scale, zero) == (1, 0) and blank is None:
            return stored
        scaled = stored
        if bitpix > 0:
            scaled = stored.astype(np.float32 if bitpix <= 16 else np.float64)
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            if scale != 1:
                scaled *= scale
            if zero != 0:
                scaled += zero
        if blank is not None:
            scaled[stored == blank] = np.nan
        return scaled

    def _stored(self, rows: slice) -> NDArray[Any]:
        """Return pixels as they are stored, but in native byte order."""
        dtype = np.dtype(DTYPES[_whole(self.header, "BITPIX")])
        shape = self.plane or (0,)
        if math.prod(shape) * dtype.itemsize > len(self.data):
            raise FitsError(f"an image of {shape_text(shape)} pixels in {len(self.data)} bytes")
        first, end, _ = rows.indices(shape[0])
        stored = np.empty((max(end - first, 0), *shape[1:]), dtype.newbyteorder("="))
        flat, place = stored.reshape(-1), first * math.prod(shape[1:]) * dtype.itemsize
        step = CHUNK // dtype.itemsize
        for start in range(0, flat.size, step):
            size = min(step, flat.size - start) * dtype.itemsize
            flat[start : start + step] = np.frombuffer(self.data[place : place + size], dtype)
            place += size
        return stored


def image_hdu(pixels: NDArray[Any], header: Header | None = None, extension: str = "") -> Hdu:
    """Make an HDU of an image.

    Parameters
    ----------
    pixels : ndarray
        uint8, or signed integers or floats. Those of uint8 are not copied.
    header, extension
        As in `image_header`.

    Returns
    -------
    Hdu
        Pixels and header.
    """
    stored = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">"))
    return Hdu(image_header(stored.shape, stored.dtype, header, extension), stored.reshape(-1).view(np.uint8))


def image_header(shape: tuple[int, ...], dtype: Any, header: Header | None = None, extension: str = "") -> Header:
    """Make the header of an image.

    Parameters
    ----------
    shape : tuple of int
        Rows first.
    dtype : dtype
        uint8, or signed integers or floats, big-endian.
    header : Header, optional
        Further cards.
    extension : str, optional
        EXTNAME; without it the HDU is a primary one.

    Returns
    -------
    Header
        With all cards that FITS demands.
    """
    bitpix = next(number for number, stored in DTYPES.items() if np.dtype(stored) == dtype)
    made = Header()
    if extension:
        made.set("XTENSION", "IMAGE", "Image extension")
    else:
        made.set("SIMPLE", True, "conforms to FITS standard")
    made.set("BITPIX", bitpix, "array data type")
    made.set("NAXIS", len(shape), "number of array dimensions")
    for number, length in enumerate(reversed(shape), 1):
        made.set(f"NAXIS{number}", length)
    if extension:
        made.set("PCOUNT", 0, "number of parameters")
        made.set("GCOUNT", 1, "number of groups")
    own = {*made.keywords(), "EXTEND", "BSCALE", "BZERO", "BLANK"}
    if extension:
        made.set("EXTNAME", extension, "extension name")
        own.add("EXTNAME")
    return made if header is None else Header([*made.cards, *header.without(*own).cards])


# --- reading -----------------------------------------------------------------------


def _whole(header: Header, keyword: str, prefix: str = "") -> int:
    value = header.get(prefix + keyword)
    if not isinstance(value, int) or isinstance(value, bool):
        raise FitsError(f"{prefix + keyword} is {value!r}, expected a whole number")
    return value


def _number(header: Header, keyword: str, default: float) -> float:
    value = header.get(keyword, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise FitsError(f"{keyword} is {value!r}, expected a number")
    return value


def _axes(header: Header, prefix: str = "") -> list[int]:
    number = _whole(header, "NAXIS", prefix)
    if not 0 <= number <= 999:
        raise FitsError(f"{prefix}NAXIS is {number}, expected 0 to 999")
    lengths = [_whole(header, f"NAXIS{n}", prefix) for n in range(1, number + 1)]
    if min(lengths, default=0) < 0:
        raise FitsError(f"an axis of {min(lengths)} pixels")
    return lengths


def _check_once(header: Header) -> None:
    """Refuse two values for what says where data end: some readers take the first, others the last."""
    found: dict[str, Value | None] = {}
    for card in header.cards:
        if card.startswith((b"BITPIX", b"NAXIS", b"PCOUNT", b"GCOUNT")):
            keyword, value = _keyword(card), _value(card)
            if found.setdefault(keyword, value) != value:
                raise FitsError(f"{keyword} is both {found[keyword]!r} and {value!r}")


def data_size(header: Header) -> int:
    """Return the number of bytes of data behind a header, without padding.

    Parameters
    ----------
    header : Header
        Of any HDU.

    Returns
    -------
    int
        In bytes.
    """
    _check_once(header)
    axes = _axes(header)
    bitpix = _whole(header, "BITPIX")
    if bitpix not in DTYPES:
        raise FitsError(f"BITPIX is {bitpix}, expected one of {', '.join(map(str, DTYPES))}")
    if not axes:
        return 0
    if axes[0] == 0 and header.get("GROUPS") is True:
        axes = axes[1:]
    pixels = 1
    for length in axes:
        pixels *= length
    groups = header.get("GCOUNT", 1), header.get("PCOUNT", 0)
    if not all(isinstance(count, int) and count >= 0 for count in groups):
        raise FitsError(f"GCOUNT and PCOUNT are {groups}, expected whole numbers")
    return abs(bitpix) // 8 * groups[0] * (groups[1] + pixels)


def read_headers(file: BinaryIO) -> Iterator[Header]:
    """Read header after header, passing over the data between them.

    Parameters
    ----------
    file : binary file
        At its beginning.

    Yields
    ------
    Header
        Of each HDU in turn.
    """
    while (header := read_header(file)) is not None:
        yield header
        if size := data_size(header):
            file.seek(min(size, _FARTHEST) - 1, 1)
            if not file.read(1):
                raise FitsError(TRUNCATED)
            file.seek(-size % BLOCK, 1)


def split(file: BinaryIO) -> list[Hdu]:
    """Split a FITS file into its HDUs, without reading data.

    Raises
    ------
    FitsError
        If a header is broken, or data are missing at the end.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    hdus = []
    while (header := read_header(file)) is not None:
        start, size = file.tell(), data_size(header)
        if start + size > end:
            raise FitsError(TRUNCATED)
        size = min(size + -size % BLOCK, end - start)  # the last padding may be missing
        hdus.append(Hdu(header, Stored(file, start, size)))
        file.seek(start + size)
    return hdus
