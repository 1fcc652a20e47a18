"""Which masks apply to a frame, and the combination of those that do."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lightmask import FrameError, records
from lightmask.fitsfile import image_hdu, shape_text, write
from lightmask.flags import Flag, count_text, grown
from lightmask.frames import Frame
from lightmask.images import read_mask
from lightmask.provenance import add_card, add_source
from lightmask.static_masks import MADE_FROM, TYPES, agreed, can_be_made

FLAG_OF_KIND = {"flat": Flag.FLAT, "dark": Flag.DARK}
KIND_OF_TYPE = {type_: kind for kind, type_ in TYPES.items()}


def mismatch(mask: Frame, light: Frame, keywords: list[str]) -> str:
    """Say why a mask does not apply to a LIGHT frame, or give an empty string.

    It applies where the shapes agree and every keyword that both carry agrees;
    a number agrees with the same number written in another way.
    """
    if mask.problem:
        return mask.problem
    if mask.shape != light.shape:
        return f"has shape {_xy(mask)}, the frame {_xy(light)}"
    for keyword in keywords:
        if keyword in mask.cards and keyword in light.cards:
            theirs, ours = mask.cards[keyword], light.cards[keyword]
            if theirs != ours and agreed(theirs) != agreed(ours):
                return f"has {keyword} {theirs!r}, the frame {ours!r}"
    return ""


def _xy(frame: Frame) -> str:
    return shape_text(frame.shape) or "unknown"


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
        self._found: dict[tuple, list[tuple[str, Frame]]] = {}

    def applying(self, light: Frame) -> list[tuple[str, Frame]]:
        """List kind and mask of all masks that apply, in a fixed order."""
        keywords = {keyword for of_kind in self.match.values() for keyword in of_kind}
        alike = (light.shape, *(light.cards.get(keyword) for keyword in sorted(keywords)))
        if alike not in self._found:  # thousands of frames have a handful of such settings
            self._found[alike] = [(kind, mask) for kind in self.groups for mask in self._applying(kind, light)]
        return self._found[alike]

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


def set_id(masks: list[tuple[str, Frame]]) -> str:
    """Give the name of a set of masks: ten hexadecimal digits of a digest of kinds and paths."""
    text = "\n".join(sorted(f"{kind}:{mask.path}" for kind, mask in masks))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:10]


def combine(masks: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Combine masks of several kinds into one image of flags.

    Parameters
    ----------
    masks : list of (str, ndarray of bool)
        Kind (``flat`` or ``dark``) and mask, all of one shape.

    Returns
    -------
    ndarray of uint8
        The bit of each `~lightmask.flags.Flag` whose kind of mask is True.

    Raises
    ------
    ValueError
        If there is no mask, or they differ in shape.
    """
    if not masks:
        raise ValueError("masks: expected at least one mask")
    combined = np.zeros(masks[0][1].shape, np.uint8)
    for kind, mask in masks:
        if mask.shape != combined.shape:
            raise ValueError(f"masks: found shapes {combined.shape} and {mask.shape}; expected one")
        combined[mask] |= np.uint8(FLAG_OF_KIND[kind])
    return combined


def counts(combined: np.ndarray) -> dict[str, int]:
    """Count the pixels that each kind masks, and their union."""
    found = {kind: int(np.count_nonzero(combined & np.uint8(flag))) for kind, flag in FLAG_OF_KIND.items()}
    return found | {"union": int(np.count_nonzero(combined))}


def combine_files(
    masks: list[tuple[str, str, str]],
    radii: Mapping[str, float],
    output: str | Path,
    checksums: str = "check",
    recipe: str = "",
) -> None:
    """Combine mask files, write the result, and print how many pixels each kind masks.

    Parameters
    ----------
    masks : list of (kind, file, name)
        Kind of each mask, where it is, and the name it shall have in the header.
    radii : dict
        By how many pixels the masks of each kind grow before they are combined.
    output : str or Path
        FITS file: 8-bit flags, nonzero is bad, with counts and digests of the
        masks in the header.
    checksums : str
        As in `lightmask.images.opened`.
    recipe : str, optional
        `lightmask.records.digest_of` what the masks are combined with, for the header.

    Raises
    ------
    FrameError
        If a mask cannot be read or the shapes differ.
    """
    read = [read_mask(file, name, checksums) for _, file, name in masks]
    try:
        combined = combine(
            [(kind, grown(mask, radii[kind])) for (kind, _, _), (mask, _) in zip(masks, read, strict=True)]
        )
    except ValueError as error:
        raise FrameError(f"{', '.join(name for _, _, name in masks)}: {error}") from None
    hdu = image_hdu(combined)
    hdu.header.set("IMAGETYP", "combined mask", "1: flat mask, 2: dark mask, 3: both")
    add_card(hdu.header, "VERSION")
    add_card(hdu.header, records.KEY, recipe)
    for kind, count in counts(combined).items():
        text = count_text(count, combined.size)
        print(f"{kind}: {text}")
        add_card(hdu.header, f"{kind} PIXELS", count, text)
    for kind in FLAG_OF_KIND:
        if radii[kind]:
            add_card(hdu.header, f"GROW {kind}", radii[kind], "[pixel]")
    numbers = dict.fromkeys(FLAG_OF_KIND, 0)
    for (kind, _, name), (_, digest) in zip(masks, read, strict=True):
        numbers[kind] += 1
        add_source(hdu.header, f"{kind}{numbers[kind]}", name, digest)
    write([hdu], output)
