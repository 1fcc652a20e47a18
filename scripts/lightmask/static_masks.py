"""Masks that the frames of a camera share: which can be made from the flats and darks of a night."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask import FrameError, names
from lightmask.fitsfile import Header, Value, image_hdu, write
from lightmask.flags import count_text
from lightmask.frames import DARK, DARK_MASK, FLAT, FLAT_MASK, Frame, first
from lightmask.logs import warn
from lightmask.provenance import add_card, add_source
from lightmask.sources import told, write_left_out

FOLDER = "results/static_masks"
RECORDS = "results/logs/sources"
MADE_FROM = {"flat": FLAT, "dark": DARK}
TYPES = {"flat": FLAT_MASK, "dark": DARK_MASK}


class Output(NamedTuple):
    """Where a mask is written.

    Attributes
    ----------
    mask : path
        FITS file: 8-bit, 1 is bad.
    left_out : path
        JSON file: which sources could not be used, and whether a mask was made of the others.
    """

    mask: str | os.PathLike
    left_out: str | os.PathLike


@dataclass(frozen=True)
class MadeMask(Frame):
    """A mask that can be made, described as if it were in the folder.

    Attributes
    ----------
    sources : tuple of Frame
        The flats or darks that it is made from.
    """

    sources: tuple[Frame, ...] = ()


def record_of(mask: "MadeMask") -> str:
    """Return the path of the JSON file that says what a mask was made from, and without what."""
    return f"{RECORDS}/{PurePosixPath(mask.path).stem}.json"


def agreed(value: Value) -> Value:
    """Give a header value so that a number equals the same number written in another way."""
    try:
        return float(value) if isfinite(float(value)) else value
    except (ValueError, OverflowError):
        return value


def is_combined(frame: Frame, keywords: Iterable[str]) -> bool:
    """Tell whether a frame's header says that it is a combination of several."""
    words = {"t": True, "true": True, "yes": True}
    for keyword in keywords:
        said = frame.cards.get(keyword, False)
        if isinstance(said, str):
            said = words.get(said.casefold(), agreed(said))
        if said is True or (isinstance(said, int | float) and said > 1):
            return True
    return False


def can_be_made(night: Iterable[Frame], config: dict[str, Any]) -> dict[str, list[MadeMask]]:
    """List the masks of each kind that can be made from the flats and darks of a night.

    Frames make one mask where they agree in shape and in all keywords of the
    configuration's ``match``. Of flats the uncombined ones are taken, of darks the
    combined ones, if there are any.
    """
    found: dict[str, list[MadeMask]] = {}
    for kind, type_ in MADE_FROM.items():
        groups: dict[tuple, list[Frame]] = {}
        for frame in night:
            if frame.type == type_ and not frame.problem:
                setting = [agreed(frame.cards.get(keyword, "")) for keyword in config["match"][kind]]
                groups.setdefault((frame.shape, *setting), []).append(frame)
        found[kind] = [_made_mask(kind, frames, config) for frames in groups.values()]
    return found


def _made_mask(kind: str, frames: list[Frame], config: dict[str, Any]) -> MadeMask:
    wanted = kind == "dark"
    sources = [f for f in frames if is_combined(f, config["frame_type"]["combined"]) == wanted] or frames
    cards = {key: value for key, value in sources[0].cards.items() if key in config["match"][kind]}
    setting = [sources[0].shape, sorted((key, str(agreed(value))) for key, value in cards.items())]
    digest = hashlib.sha256(repr(setting).encode(errors="surrogateescape")).hexdigest()[:10]
    # Masks of one kind differ by filter more often than by anything else: help whoever looks for one.
    filter_ = str(first(cards, config["table_keywords"]["filter"]))
    name = names.encode(f"{kind}_mask_{filter_[:20]}_{digest}.fits" if filter_ else f"{kind}_mask_{digest}.fits")
    path = f"{FOLDER}/{name.replace('/', '%2F')}"
    return MadeMask(path, TYPES[kind], sources[0].shape, cards, sources=tuple(sources))


def keywords_to_keep(mask: MadeMask, config: dict[str, Any]) -> list[str]:
    """List the keywords that a mask takes over: camera, binning and, from flats, filter, where all sources agree."""
    columns = ("camera", "binning", "filter") if mask.type == FLAT_MASK else ("camera", "binning")
    wanted = dict.fromkeys([*mask.cards, *(key for column in columns for key in config["table_keywords"][column])])
    return [keyword for keyword in wanted if len({frame.cards.get(keyword) for frame in mask.sources} - {None}) == 1]


def type_cards(kind: str, config: dict[str, Any]) -> dict[str, str]:
    """Give the cards by which a configuration, and the guide's chapters, know a mask."""
    meanings = config["frame_type"][f"{kind}_mask"]
    keyword = config["frame_type"]["keywords"][0]
    usual = TYPES[kind]
    if usual in [meaning.casefold() for meaning in meanings] or not meanings:
        said = usual
    else:  # a header need not be able to hold all that it is compared with
        said = next((meaning for meaning in meanings if can_hold(keyword, meaning)), meanings[0])
    return {"IMAGETYP": usual} | {keyword: said}


def can_hold(keyword: str, said: str) -> bool:
    """Tell whether a header card can hold a text, so that it is read back."""
    header = Header()
    try:
        header.set(keyword, said)
    except ValueError:
        return False
    return said.isprintable() and header[keyword] == said.rstrip()


def write_mask(
    mask: NDArray[np.bool_],
    kind: str,
    cards: dict[str, str],
    header: Header,
    keywords: Iterable[str],
    parameters: dict[str, Value],
    sources: Iterable[tuple[str, str]],
    output: str | os.PathLike,
) -> None:
    """Write a mask as the guide's chapters do, and print how many pixels it has.

    Parameters
    ----------
    mask : ndarray of bool
        True is bad; 2-D.
    kind : str
        ``flat`` or ``dark``.
    cards : dict
        What `type_cards` gave.
    header : Header
        Of a frame that it was made from.
    keywords : iterable of str
        What to take over from there.
    parameters : dict
        How the mask was made.
    sources : iterable of (str, str)
        Name and SHA-256 of every frame that it was made from.
    output : path
        FITS file: 8-bit, 1 is bad.
    """
    hdu = image_hdu(mask.view(np.uint8))
    for keyword, said in cards.items():
        hdu.header.set(keyword, said)
    for keyword in keywords:
        if keyword not in hdu.header:
            hdu.header.take(header, keyword)
    add_card(hdu.header, "VERSION")
    for keyword, value in parameters.items():
        add_card(hdu.header, keyword, value)
    count = int(np.count_nonzero(mask))
    text = count_text(count, mask.size)
    print(f"{kind} mask: {text}")
    add_card(hdu.header, "PIXELS", count, text)
    for number, (name, digest) in enumerate(sources, 1):
        add_source(hdu.header, f"{kind}{number}", name, digest)
    write([hdu], output)


def write_empty_mask(
    kind: str, shape: tuple[int, ...], left_out: list[dict[str, str]], required: bool, output: Output
) -> None:
    """Write a mask without bad pixels where no flat or dark can be used, so that frames are masked without it.

    It does not say that it is a flat mask or a dark mask: in the folder of another night it must not pass for one.

    Parameters
    ----------
    kind : str
        ``flat`` or ``dark``.
    shape : tuple of int
        Of the frames that need the mask.
    left_out : list of dict
        Of `lightmask.sources.usable`.
    required : bool
        Whether frames must have such a mask.
    output : Output
        Where to write.

    Raises
    ------
    FrameError
        If it is required. The message names all sources.
    """
    if required:
        raise FrameError(told(left_out))
    warn(f"no {kind} mask can be made: none of its {len(left_out)} sources can be used; frames are masked without it")
    made: dict[str, Value] = {"METHOD": "none, no source could be used"}
    write_mask(np.zeros(shape, np.bool_), kind, {}, Header(), (), made, (), output.mask)
    write_left_out(left_out, False, output.left_out)
