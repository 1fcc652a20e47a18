"""Headers of FITS files: cards that stay as they are in the file, but for those that are set.

The FITS standard 4.0 (Pence et al. 2010, A&A 524, A42).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

Value = str | int | float | bool
BLOCK = 2880
CARD = 80
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
        """Return the place behind a card and those that continue it."""
        number += 1
        while number < len(self.cards) and self.cards[number].startswith(b"CONTINUE"):
            number += 1
        return number

    def __contains__(self, keyword: str) -> bool:
        return keyword.upper() in self._index

    def __getitem__(self, keyword: str) -> Value | None:
        """Return the value of the first card with a keyword; None if it is undefined."""
        number = self._index[keyword.upper()]
        value = _value(self.cards[number])
        while isinstance(value, str) and value.endswith("&") and number + 1 < len(self.cards):
            number += 1
            if not self.cards[number].startswith(b"CONTINUE"):
                break
            value = value[:-1] + str(_value(self.cards[number]) or "")
        return value

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return the value of a keyword, or a default where there is none.

        Parameters
        ----------
        keyword : str
            In capitals; long ones without HIERARCH.
        default : object, optional
            None unless it is given.

        Returns
        -------
        str or int or float or bool or None
            The value of the first card with that keyword.
        """
        try:
            return self[keyword]
        except KeyError:
            return default

    def keywords(self) -> Iterator[str]:
        """Return every keyword once.

        Returns
        -------
        iterator of str
            In the order of the cards.
        """
        return iter(self._index)

    def copy(self) -> "Header":
        """Return a header with the same cards.

        Returns
        -------
        Header
            A change of the one leaves the other as it is.
        """
        return Header(self.cards)

    def set(self, keyword: str, value: Value, comment: str = "") -> None:
        """Set the value of a keyword, in the place of its first card and what continues it, or at the end.

        A keyword of more than 8 characters, or with blanks, becomes a HIERARCH
        card. A comment that does not fit is left out.

        Parameters
        ----------
        keyword : str
            In capitals; what does not fit into eight letters becomes a HIERARCH card.
        value : str or int or float or bool
            The value.
        comment : str, optional
            What stands behind it, as far as there is room.
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
        """Take over a card of another header as it is, with what continues it, if it is there.

        Parameters
        ----------
        other : Header
            Where the card is.
        keyword : str
            Its keyword.
        """
        if (number := other._index.get(keyword.upper())) is not None:
            self._index.setdefault(keyword.upper(), len(self.cards))
            self.cards += other.cards[number : other._end(number)]

    def without(self, *keywords: str) -> "Header":
        """Return a header without the cards of some keywords, and what continues them.

        Parameters
        ----------
        keywords : iterable of str
            What is left out.

        Returns
        -------
        Header
            A new one.
        """
        kept: list[bytes] = []
        number = 0
        while number < len(self.cards):
            end = self._end(number)
            if _keyword(self.cards[number]) not in keywords:
                kept += self.cards[number:end]
            number = end
        return Header(kept)

    def tobytes(self) -> bytes:
        """Return the header as it stands in a file.

        Returns
        -------
        bytes
            Cards, END, and blanks up to a multiple of 2880.
        """
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
