"""Where on the detector an image lies, and how it is turned: whether a mask of another window fits, and which part."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lightmask.fits import Value, shape_text

WINDOW = ("XORGSUBF", "YORGSUBF", "LTV1", "LTV2", "CCDSEC", "DETSEC", "ROWORDER")
"""Keywords that say where an image lies on its detector, and in which order its rows are."""
Cards = Mapping[str, Value]


class Cut(NamedTuple):
    """Which part of a mask an image needs: its first row and column, and whether its rows are turned before."""

    row: int
    column: int
    turned: bool


WHOLE = Cut(0, 0, turned=False)


def origin(cards: Cards) -> tuple[int, int] | None:
    """Return row and column of the detector's (binned) pixel where an image begins, from 0; None where it is not said.

    Parameters
    ----------
    cards : mapping
        XORGSUBF and YORGSUBF, or LTV1 and LTV2, or else CCDSEC or DETSEC.

    Examples
    --------
    >>> origin({"XORGSUBF": 100, "YORGSUBF": 20})
    (20, 100)
    """
    for keywords, sign in ((("YORGSUBF", "XORGSUBF"), 1), (("LTV2", "LTV1"), -1)):
        found: list[Any] = [cards.get(keyword) for keyword in keywords]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in found):
            row, column = (round(sign * value) for value in found)
            return row, column
    return None


def _add_origins(keyword: str, *images: tuple[tuple[int, ...], dict[str, Value]]) -> None:
    """Add to the cards of two images where they begin, where no other keyword says it and one of a section does.

    Such a section counts unbinned pixels: it is as many times larger as pixels are binned. It is left alone
    where it is turned, or does not fit the image.
    """
    if any(origin(cards) for _, cards in images):
        return
    found = []
    for shape, cards in images:
        ends = re.fullmatch(r"\[(\d+):(\d+),(\d+):(\d+)\]", _sections(cards).get(keyword, ""))
        if not ends:
            return
        x1, x2, y1, y2 = map(int, ends.groups())
        factors = [(y2 - y1 + 1) / shape[0], (x2 - x1 + 1) / shape[1]]
        if any(factor < 1 or factor != int(factor) for factor in factors):
            return
        found.append(([int(factor) for factor in factors], [y1 - 1, x1 - 1]))
    (binning, first), (other, second) = found
    if binning != other or any((b - a) % factor for a, b, factor in zip(first, second, binning, strict=True)):
        return
    for (_, cards), begin in zip(images, (first, second), strict=True):
        cards["YORGSUBF"], cards["XORGSUBF"] = (
            (value - start) // factor for value, start, factor in zip(begin, first, binning, strict=True)
        )


def _sections(cards: Cards) -> dict[str, str]:
    return {
        keyword: "".join(str(cards[keyword]).split())
        for keyword in ("CCDSEC", "DETSEC")
        if str(cards.get(keyword) or "").strip().startswith("[")
    }


def cut(mask_shape: tuple[int, ...], mask: Cards, shape: tuple[int, ...], cards: Cards, where: str = "") -> Cut | str:
    """Return which part of a mask covers an image, or why none does.

    Parameters
    ----------
    mask_shape, shape : (int, int)
        Of the mask and of the image.
    mask, cards : mapping
        Their cards, of which `WINDOW` counts.
    where : str, optional
        For messages: which image of a file.

    Returns
    -------
    Cut or str
        For a message about the mask.
    """
    of_mask: dict[str, Value] = {**mask}
    of_image: dict[str, Value] = {**cards}
    for keyword in ("CCDSEC", "DETSEC"):
        _add_origins(keyword, (mask_shape, of_mask), (shape, of_image))
    orders = [str(each.get("ROWORDER") or "").strip().upper() for each in (of_mask, of_image)]
    turned = "" not in orders and orders[0] != orders[1]
    theirs, ours = origin(of_mask), origin(of_image)
    sizes = f"has shape {_xy(mask_shape)}{where}, the frame {_xy(shape)}"
    if theirs is None or ours is None:
        if tuple(mask_shape) != tuple(shape):
            return sizes
        for keyword, text in _sections(of_mask).items():
            other = _sections(of_image).get(keyword, text)
            if other != text:
                return f"has {keyword} {text!r}{where}, the frame {other!r}"
        return Cut(0, 0, turned)
    row, column = ours[0] - theirs[0], ours[1] - theirs[1]
    fits = 0 <= row <= mask_shape[0] - shape[0] and 0 <= column <= mask_shape[1] - shape[1]
    is_window = (row, column) != (0, 0) or tuple(mask_shape) != tuple(shape)
    if not fits:
        return (
            f"{sizes}, and begins at column {theirs[1]} and row {theirs[0]} of the detector, the frame at column "
            f"{ours[1]} and row {ours[0]}"
        )
    if is_window and turned:
        return f"{sizes}, and the rows of one of them are turned (ROWORDER {orders[0]}, {orders[1]})"
    return Cut(row, column, turned)


def _xy(shape: tuple[int, ...]) -> str:
    return shape_text(tuple(shape)) or "unknown"
