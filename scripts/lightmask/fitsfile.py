"""FITS files whose HDUs are passed through byte for byte, next to new ones.

Masking a frame reads its pixels, a handful of its cards, and nothing else; all
the rest goes through untouched, odd cards included. This does just that, after
the FITS standard 4.0 (Pence et al. 2010, A&A 524, A42; checksums: its appendix
J). A general reader takes longer to import than a frame takes to mask.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.files import whole_file

Value = str | int | float | bool

BLOCK = 2880
CARD = 80
DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
UNSIGNED: dict[tuple[float, float], str] = {(8, -(2**7)): "i1", (16, 2**15): "u2", (32, 2**31): "u4", (64, 2**63): "u8"}
"""What integers with this BITPIX and BZERO are, the standard's way to store them."""

CHUNK = 2**20
"""Bytes that are read or written at a time."""

TRUNCATED = "truncated: it ends before its pixels do"

_LONGEST_HEADER = 1000 * BLOCK
_FARTHEST = 2**43
"""No file system is asked to go beyond what it can hold."""


class FitsError(ValueError):
    """The bytes break the FITS standard where it matters; the message says how."""


class Header:
    """The cards of one HDU, each kept as it is unless it is set.

    Parameters
    ----------
    cards : iterable of bytes
        Of 80 bytes each, without END.
    """

    def __init__(self, cards: Iterable[bytes] = ()):
        self.cards = list(cards)
        while self.cards and not self.cards[-1].strip():
            self.cards.pop()
        self._number()

    def _number(self) -> None:
        self._index: dict[str, int] = {}
        for number, card in enumerate(self.cards):
            self._index.setdefault(_keyword(card), number)

    def _end(self, number: int) -> int:
        """Give the place behind a card and those that continue it."""
        number += 1
        while number < len(self.cards) and self.cards[number].startswith(b"CONTINUE"):
            number += 1
        return number

    def __contains__(self, keyword: str) -> bool:
        return keyword.upper() in self._index

    def __getitem__(self, keyword: str) -> Value | None:
        """Give the value of the first card with a keyword; None if it is undefined."""
        number = self._index[keyword.upper()]
        value = _value(self.cards[number])
        while isinstance(value, str) and value.endswith("&") and number + 1 < len(self.cards):
            number += 1
            if not self.cards[number].startswith(b"CONTINUE"):
                break
            value = value[:-1] + str(_value(self.cards[number]) or "")
        return value

    def get(self, keyword: str, default: Any = None) -> Any:
        """Give the value of a keyword, or a default where there is none."""
        try:
            return self[keyword]
        except KeyError:
            return default

    def keywords(self) -> Iterator[str]:
        """Give every keyword once."""
        return iter(self._index)

    def copy(self) -> "Header":
        """Give a header with the same cards."""
        return Header(self.cards)

    def set(self, keyword: str, value: Value, comment: str = "") -> None:
        """Set the value of a keyword, in the place of its first card and what continues it, or at the end.

        A keyword of more than 8 characters, or with blanks, becomes a HIERARCH
        card. A comment that does not fit is left out.
        """
        card = format_card(keyword, value, comment)
        if (number := self._index.get(keyword.upper())) is not None:
            is_alone = self._end(number) == number + 1
            self.cards[number : self._end(number)] = [card]
            if not is_alone:
                self._number()
        else:
            self._index[keyword.upper()] = len(self.cards)
            self.cards.append(card)

    def take(self, other: "Header", keyword: str) -> None:
        """Take over a card of another header as it is, with what continues it, if it is there."""
        if (number := other._index.get(keyword.upper())) is not None:
            self._index.setdefault(keyword.upper(), len(self.cards))
            self.cards += other.cards[number : other._end(number)]

    def without(self, *keywords: str) -> "Header":
        """Give a header without the cards of some keywords, and what continues them."""
        kept: list[bytes] = []
        number = 0
        while number < len(self.cards):
            end = self._end(number)
            if _keyword(self.cards[number]) not in keywords:
                kept += self.cards[number:end]
            number = end
        return Header(kept)

    def tobytes(self) -> bytes:
        """Give the header as it stands in a file."""
        text = b"".join(self.cards) + b"END".ljust(CARD)
        return text + b" " * (-len(text) % BLOCK)


def _keyword(card: bytes) -> str:
    if card.startswith(b"HIERARCH ") and b"=" in card:
        return " ".join(card[9:].partition(b"=")[0].decode("latin-1").split()).upper()
    return card[:8].decode("latin-1").rstrip().upper()


def _value(card: bytes) -> Value | None:
    if card.startswith((b"HIERARCH ", b"CONTINUE")):
        text = card[9:].partition(b"=")[2] if card.startswith(b"HIERARCH ") else card[8:]
    elif card[8:10] == b"= ":
        text = card[10:]
    else:
        return None
    plain = text.decode("latin-1").strip()
    if plain.startswith("'"):
        quoted = re.match(r"'((?:[^']|'')*)'?", plain)
        return quoted[1].replace("''", "'").rstrip() if quoted else ""
    plain = plain.partition("/")[0].strip()
    if plain in ("T", "F"):
        return plain == "T"
    for read in (int, float) if "_" not in plain else ():  # 4_8 is a number in Python only
        try:
            return read(plain.replace("D", "E").replace("d", "e"))
        except ValueError:
            continue
    return plain or None


def format_card(keyword: str, value: Value, comment: str = "") -> bytes:
    """Write a card of 80 bytes.

    Raises
    ------
    ValueError
        If keyword and value do not fit, or are not ASCII.
    """
    if isinstance(value, bool):
        text = "T" if value else "F"
    elif isinstance(value, str):
        text = "'" + value.replace("'", "''").ljust(8) + "'"
    else:
        text = str(value).upper()
    keyword = keyword.upper()
    if len(keyword) > 8 or " " in keyword:
        card = f"HIERARCH {keyword} = {text}"
    else:
        card = f"{keyword:<8}= {text if isinstance(value, str) else text.rjust(20)}"
    if comment and len(card) + 3 + len(comment) <= CARD:
        card += f" / {comment}"
    if len(card) > CARD:
        raise ValueError(f"{keyword}: {value!r} does not fit into a header card")
    return card.encode("ascii").ljust(CARD)


def shape_text(shape: tuple[int, ...] | None) -> str:
    """Give a shape as astronomers write it, x first: ``2048x1024``."""
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

    def pixels(self, rows: slice = slice(None)) -> NDArray[Any]:
        """Give pixels in native byte order, with BSCALE, BZERO and BLANK applied.

        Integers that need it become float32 up to 16 bits and float64 above;
        BLANK becomes NaN. Unsigned integers, stored with a BZERO, stay integers.

        Parameters
        ----------
        rows : slice
            Without a step; all rows unless it is given.
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
        """Give pixels as they are stored, but in native byte order."""
        dtype = np.dtype(DTYPES[_whole(self.header, "BITPIX")])
        shape = self.shape or (0,)
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
    """Give the number of bytes of data behind a header, without padding."""
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


def read_header(file: BinaryIO) -> Header | None:
    """Read the header that begins here.

    Returns
    -------
    Header or None
        None at the end of the file, or where only blank bytes follow.

    Raises
    ------
    FitsError
        If no header begins here, or it does not end.
    """
    cards: list[bytes] = []
    first = True
    while True:
        block = file.read(BLOCK)
        if first:
            if not block.strip(b"\0 "):
                return None
            if not block.startswith((b"SIMPLE  =", b"XTENSION=")):
                raise FitsError(f"no header where one must begin, but {block[:9]!r}")
            first = False
        if len(block) < BLOCK:
            raise FitsError("truncated or corrupt: the header of an HDU breaks off")
        if len(cards) * CARD > _LONGEST_HEADER:
            raise FitsError(f"a header without END in its first {len(cards)} cards")
        for start in range(0, BLOCK, CARD):
            card = block[start : start + CARD]
            if card.rstrip() == b"END":
                return Header(cards)
            cards.append(card)


def read_headers(file: BinaryIO) -> Iterator[Header]:
    """Read header after header, passing over the data between them."""
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
    said = int(datasum) if re.fullmatch("[0-9]+", datasum) else None
    if datasum and (said is None or not _same(said, of_data)):
        is_stale = bool(checksum) and said is not None and not _same(of_header + said, 0)
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
    """Write HDUs with checksums and without a time stamp: the same HDUs give the same bytes."""
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
