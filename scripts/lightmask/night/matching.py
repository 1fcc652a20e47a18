"""Which masks apply to a LIGHT frame, and which can be made of flats and darks."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import PurePosixPath
from typing import Any

from lightmask.bits import Flag
from lightmask.fits import Header, Value
from lightmask.night import names
from lightmask.night.pairing import paired, shape_mismatch
from lightmask.night.quantities import first
from lightmask.night.types import DARK, DARK_MASK, FLAT, FLAT_MASK, Frame, Part, meaning_of

FOLDER = "results/static_masks"
RECORDS = "results/logs/sources"
MADE_FROM = {"flat": FLAT, "dark": DARK}
TYPES = {"flat": FLAT_MASK, "dark": DARK_MASK}


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
    """Return a header value so that a number equals the same number written in another way."""
    try:
        return float(value) if isfinite(float(value)) else value
    except (ValueError, OverflowError):
        return value


def is_combined(frame: Frame, config: dict[str, Any]) -> bool:
    """Return whether a frame's header says that it is a combination of several."""
    if meaning_of(frame.cards, config).casefold().startswith("master"):
        return True
    words = {"t": True, "true": True, "yes": True}
    for keyword in config["frame_type"]["combined"]:
        value = frame.cards.get(keyword, False)
        if isinstance(value, str):
            value = words.get(value.casefold(), agreed(value))
        if value is True or (isinstance(value, int | float) and value > 1):
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
                groups.setdefault((frame.shape, repr(frame.images), *setting), []).append(frame)
        found[kind] = [_made_mask(kind, frames, config) for frames in groups.values()]
    return found


def _made_mask(kind: str, frames: list[Frame], config: dict[str, Any]) -> MadeMask:
    wanted = kind == "dark"
    sources = [f for f in frames if is_combined(f, config) == wanted] or frames
    cards = {key: value for key, value in sources[0].cards.items() if key in config["match"][kind]}
    setting: list[Any] = [sources[0].shape, sorted((key, str(agreed(value))) for key, value in cards.items())]
    if sources[0].images:
        setting.append(repr(sources[0].images))
    digest = hashlib.sha256(repr(setting).encode(errors="surrogateescape")).hexdigest()[:10]
    # Masks of one kind differ by filter more often than by anything else: help whoever looks for one.
    filter_ = str(first(cards, config["table_keywords"]["filter"]))
    name = names.encode(f"{kind}_mask_{filter_[:20]}_{digest}.fits" if filter_ else f"{kind}_mask_{digest}.fits")
    path = f"{FOLDER}/{name.replace('/', '%2F')}"
    return MadeMask(path, TYPES[kind], sources[0].shape, cards, images=sources[0].images, sources=tuple(sources))


def keywords_to_keep(mask: MadeMask, config: dict[str, Any]) -> list[str]:
    """List the keywords that a mask takes over: camera, binning and, from flats, filter, where all sources agree."""
    columns = ("camera", "binning", "filter") if mask.type == FLAT_MASK else ("camera", "binning")
    wanted = dict.fromkeys([*mask.cards, *(key for column in columns for key in config["table_keywords"][column])])
    return [keyword for keyword in wanted if len({frame.cards.get(keyword) for frame in mask.sources} - {None}) == 1]


def type_cards(kind: str, config: dict[str, Any]) -> dict[str, str]:
    """Return the cards by which a configuration, and the guide's chapters, know a mask."""
    meanings = config["frame_type"][f"{kind}_mask"]
    keyword = config["frame_type"]["keywords"][0]
    usual = TYPES[kind]
    if usual in [meaning.casefold() for meaning in meanings] or not meanings:
        text = usual
    else:  # a header need not be able to hold all that it is compared with
        text = next((meaning for meaning in meanings if can_hold(keyword, meaning)), meanings[0])
    return {"IMAGETYP": usual} | {keyword: text}


def can_hold(keyword: str, text: str) -> bool:
    """Return whether a header card can hold a text, so that it is read back."""
    header = Header()
    try:
        header.set(keyword, text)
    except ValueError:
        return False
    return text.isprintable() and header[keyword] == text.rstrip()


FLAG_OF_KIND = {"flat": Flag.FLAT, "dark": Flag.DARK}
KIND_OF_TYPE = {type_: kind for kind, type_ in TYPES.items()}


def mismatch(mask: Frame, light: Frame, keywords: list[str]) -> str:
    """Say why a mask does not apply to a LIGHT frame, or give an empty string.

    It applies where the shapes agree and every keyword that both carry agrees;
    a number agrees with the same number written in another way.
    """
    if mask.problem:
        return mask.problem
    if other := shape_mismatch(mask, light):
        return other
    for keyword in keywords:
        if keyword in mask.cards and keyword in light.cards:
            theirs, ours = mask.cards[keyword], light.cards[keyword]
            if theirs != ours and agreed(theirs) != agreed(ours):
                return f"has {keyword} {theirs!r}, the frame {ours!r}"
    return ""


class MaskSet(list[tuple[str, Frame]]):
    """The masks that apply to a LIGHT frame, each with its kind, in a fixed order.

    Attributes
    ----------
    images : tuple of Part
        Those of the frame, if it has several: its combined mask has an image for each.
    """

    images: tuple[Part, ...] = ()

    @cached_property
    def id(self) -> str:
        """Name of the combined mask: ten hexadecimal digits of a digest of kinds, paths and images."""
        lines = sorted(f"{kind}:{mask.path}" for kind, mask in self)
        if self.images:
            lines.append(repr(self.images))
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:10]

    def pairs(self) -> list[dict[str, Any]]:
        """Return label and cards of each image of the frame, and the places of the images that mask it.

        Returns
        -------
        list of dict
            ``label``, ``cards`` and ``places``, one for each mask; empty where all files have one image.
        """
        whole = Frame("", images=self.images)
        places = [paired(mask, whole) for _, mask in self] if self.images else []
        return [
            {"label": image.label, "cards": image.cards, "places": [place[number] for place in places]}
            for number, image in enumerate(self.images)
        ]


class MaskMatcher:
    """Find the masks that apply to each LIGHT frame of a night: from the folder, or to be made."""

    def __init__(self, night: list[Frame], config: dict[str, Any]):
        self.match = config["match"]
        self.required = config["required_masks"]
        choices = config["static_masks"]
        in_folder = {kind: [f for f in night if f.type == type_ and not f.problem] for kind, type_ in TYPES.items()}
        made = can_be_made(night, config)
        # The first group of which a mask applies counts.
        self.groups: dict[str, list[list[Frame]]] = {
            kind: [
                in_folder[kind] if choices[kind] != "make" else [],
                [*made[kind]] if choices[kind] != "folder" else [],
            ]
            for kind in FLAG_OF_KIND
        }
        self.unusable = {}
        for kind in FLAG_OF_KIND:
            wanted = {TYPES[kind]: choices[kind] != "make", MADE_FROM[kind]: choices[kind] != "folder"}
            self.unusable[kind] = [f for f in night if f.problem and wanted.get(f.type)]
        self._keywords = sorted({keyword for of_kind in self.match.values() for keyword in of_kind})
        # Thousands of frames have a handful of settings; each is asked for many times.
        self._found: dict[tuple, MaskSet] = {}
        self._found_of: dict[str, MaskSet] = {}

    def applying(self, light: Frame) -> MaskSet:
        """List kind and mask of all masks that apply, in a fixed order."""
        if light.path not in self._found_of:
            alike = (light.shape, repr(light.images), *map(light.cards.get, self._keywords))
            if alike not in self._found:
                found = MaskSet((kind, mask) for kind in self.groups for mask in self._applying(kind, light))
                found.images = light.images
                self._found[alike] = found
            self._found_of[light.path] = self._found[alike]
        return self._found_of[light.path]

    def _applying(self, kind: str, light: Frame) -> list[Frame]:
        for group in self.groups[kind]:
            if found := [mask for mask in group if not mismatch(mask, light, self.match[kind])]:
                return found
        return []

    def remarks(self, light: Frame) -> list[str]:
        """Say which masks a frame is masked without because flats or darks cannot be used."""
        kinds = {kind for kind, _ in self.applying(light)} | set(self.required)
        return [
            f"masked without a {kind} mask: {'; '.join(f'{mask.path}: {mask.problem}' for mask in unusable)}"
            for kind, unusable in self.unusable.items()
            if unusable and kind not in kinds
        ]

    def problem(self, light: Frame) -> str:
        """Say which kind of mask a frame must have but has not, and why none applies."""
        kinds = {kind for kind, _ in self.applying(light)}
        lacking = [kind for kind in self.required if kind not in kinds]
        parts = []
        for kind in lacking:
            reasons = [
                f"{mask.path} {mismatch(mask, light, self.match[kind])}"
                for group in (*self.groups[kind], self.unusable[kind])
                for mask in group
            ]
            none = f"there is no {kind} mask, and no {kind} to make one from"
            parts.append(f"no {kind} mask applies ({'; '.join(reasons) or none})")
        if not parts:
            return ""
        return f"{', and '.join(parts)}; add one, or take {' and '.join(lacking)} from required_masks"
