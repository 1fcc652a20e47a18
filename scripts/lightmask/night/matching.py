"""Which masks apply to a LIGHT frame, and which can be made of flats and darks."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from pathlib import PurePosixPath
from typing import Any

from lightmask.bits import Flag
from lightmask.fits import Header, Value
from lightmask.night import names
from lightmask.night.pairing import cuts
from lightmask.night.quantities import first
from lightmask.night.types import DARK, DARK_MASK, FLAT, FLAT_MASK, Frame, Part, meaning_of
from lightmask.night.window import WHOLE, WINDOW, Cut

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
        usable = [frame for frame in night if frame.type == type_ and not frame.problem]
        degrees = _degrees(usable, config["match"]) if kind == "dark" else {}
        for frame in usable:
            setting = [agreed(frame.cards.get(keyword, "")) for keyword in (*config["match"][kind], *WINDOW)]
            alike = (frame.shape, repr(frame.images), *setting, degrees.get(frame.path, ""))
            groups.setdefault(alike, []).append(frame)
        found[kind] = [_made_mask(kind, frames, config) for frames in groups.values()]
    return found


def _degrees(darks: Iterable[Frame], match: dict[str, Any]) -> dict[str, float]:
    """Return a temperature for each dark that has one: that of the coldest of those within the tolerance."""
    found = {dark.path: value for dark in darks if (value := temperature(dark, match["temperature"])) is not None}
    groups: dict[str, float] = {}
    first_of_group = -inf
    for path, value in sorted(found.items(), key=lambda item: item[1]):
        if value > first_of_group + match["temperature_tolerance"]:
            first_of_group = value
        groups[path] = first_of_group
    return groups


def temperature(frame: Frame, keywords: Iterable[str]) -> float | None:
    """Return the temperature of a detector, in degrees, by the first keyword that holds a number."""
    for keyword in keywords:
        value = frame.cards.get(keyword)
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            return float(value)
    return None


def _made_mask(kind: str, frames: list[Frame], config: dict[str, Any]) -> MadeMask:
    wanted = kind == "dark"
    sources = [f for f in frames if is_combined(f, config) == wanted] or frames
    compared = {*config["match"][kind], *WINDOW, *(config["match"]["temperature"] if kind == "dark" else ())}
    cards = {key: value for key, value in sources[0].cards.items() if key in compared}
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


def mismatch(mask: Frame, light: Frame, kind: str, match: dict[str, Any]) -> str:
    """Say why a mask does not apply to a LIGHT frame, or return an empty string.

    It applies where a part of it covers the frame and every keyword that both carry agrees; a number agrees
    with the same number written in another way, and, for masks of darks, a temperature with one near it.
    """
    if mask.problem:
        return mask.problem
    other = cuts(mask, light)
    if isinstance(other, str):
        return other
    for keyword in match["temperature"] if kind == "dark" else ():
        degrees = [temperature(frame, [keyword]) for frame in (mask, light)]
        if None in degrees:
            continue
        of_mask, of_light = (value or 0.0 for value in degrees)
        if abs(of_mask - of_light) > match["temperature_tolerance"]:
            return f"has {keyword} {of_mask:g}, the frame {of_light:g} (match: temperature_tolerance)"
        break
    for keyword in match[kind]:
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
    parts : list of list of (int, Cut)
        For each mask, and each image of the frame, which image of the mask it needs, and which part of that.
    shapes : list of tuple
        Of the images of the frame.
    """

    images: tuple[Part, ...] = ()
    parts: Sequence[list[tuple[int, Cut]]] = ()
    shapes: Sequence[tuple[int, ...]] = ()

    @property
    def is_cut(self) -> bool:
        """Whether a mask is of another window than the frame, or turned."""
        return any(part != WHOLE for of_mask in self.parts for _, part in of_mask)

    @cached_property
    def id(self) -> str:
        """Name of the combined mask: ten hexadecimal digits of a digest of kinds, paths and images."""
        lines = sorted(f"{kind}:{mask.path}" for kind, mask in self)
        if self.images:
            lines.append(repr(self.images))
        if self.is_cut:
            lines.append(repr((self.parts, self.shapes)))
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:10]

    def pairs(self) -> list[dict[str, Any]]:
        """Return label and cards of each image of the frame, and what of each mask it needs.

        Returns
        -------
        list of dict
            ``label``, ``cards``, ``shape``, and for each mask the place of its image in ``places`` and in ``cuts``
            the first row, the first column and whether rows are turned; empty where all files have one image and
            one window.
        """
        if not self.images and not self.is_cut:
            return []
        images = self.images or (Part("", self.shapes[0], {}),)
        return [
            {
                "label": image.label,
                "cards": image.cards,
                "shape": image.shape,
                "places": [of_mask[number][0] for of_mask in self.parts],
                "cuts": [list(of_mask[number][1]) for of_mask in self.parts],
            }
            for number, image in enumerate(images)
        ]


class MaskMatcher:
    """Find the masks that apply to each LIGHT frame of a night: from the folder, or to be made."""

    def __init__(self, night: list[Frame], config: dict[str, Any]):
        self.match = config["match"]
        self.required = config["required_masks"]
        choices = config["static_masks"]
        in_folder = {kind: [f for f in night if f.type == type_ and not f.problem] for kind, type_ in TYPES.items()}
        made = can_be_made(night, config)
        self._in_folder = in_folder
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
        compared = {*self.match["flat"], *self.match["dark"], *self.match["temperature"], *WINDOW}
        self._keywords = sorted(compared)
        # Thousands of frames have a handful of settings; each is asked for many times.
        self._found: dict[tuple, MaskSet] = {}
        self._found_of: dict[str, MaskSet] = {}

    def applying(self, light: Frame) -> MaskSet:
        """List kind and mask of all masks that apply, in a fixed order."""
        if light.path not in self._found_of:
            alike = (light.shape, repr(light.images), *map(light.cards.get, self._keywords))
            if alike not in self._found:
                found = MaskSet((kind, mask) for kind in self.groups for mask in self._applying(kind, light))
                found.images, found.shapes = light.images, light.shapes
                found.parts = [part for _, mask in found if not isinstance(part := cuts(mask, light), str)]
                self._found[alike] = found
            self._found_of[light.path] = self._found[alike]
        return self._found_of[light.path]

    def _applying(self, kind: str, light: Frame) -> list[Frame]:
        for group in self.groups[kind]:
            if found := [mask for mask in group if not mismatch(mask, light, kind, self.match)]:
                return found
        return []

    def like(self, made: MadeMask) -> list[Frame]:
        """List the masks of the folder that are of the same kind, camera and setting as one that is made.

        Parameters
        ----------
        made : MadeMask
            The mask.

        Returns
        -------
        list of Frame
        """
        kind = KIND_OF_TYPE[made.type]
        alike = [mask for mask in self._in_folder[kind] if mask.shape == made.shape]
        return [mask for mask in alike if not mismatch(mask, made, kind, self.match)]

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
                f"{mask.path} {mismatch(mask, light, kind, self.match)}"
                for group in (*self.groups[kind], self.unusable[kind])
                for mask in group
            ]
            none = f"there is no {kind} mask, and no {kind} to make one from"
            parts.append(f"no {kind} mask applies ({'; '.join(reasons) or none})")
        if not parts:
            return ""
        return f"{', and '.join(parts)}; add one, or take {' and '.join(lacking)} from required_masks"
