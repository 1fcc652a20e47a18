"""Which masks apply to a frame, and the combination of those that do."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from lightmask.errors import FrameError
from lightmask.fits import Hdu, Pixels, image_hdu, image_header, mask_images, opened, readable, records, write
from lightmask.masks.flags import count_text, grown
from lightmask.masks.provenance import add_card, add_source
from lightmask.night import FLAG_OF_KIND

WHOLE = (0, 0, False)


def combine(masks: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Combine masks of several kinds into one image of flags.

    Parameters
    ----------
    masks : list of (str, ndarray of bool)
        Kind (``flat`` or ``dark``) and mask, all of one shape.

    Returns
    -------
    ndarray of uint8
        The bit of each `~lightmask.bits.Flag` whose kind of mask is True.

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
    images: Sequence[Mapping[str, Any]] = (),
    most: float = 1,
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
        As in `lightmask.fits.opened`.
    recipe : str, optional
        `lightmask.fits.records.digest_of` what the masks are combined with, for the header.
    images : sequence of dict, optional
        Of `lightmask.night.matching.MaskSet.pairs`, where the frames have several images, or are windows of the
        masks: of several the result has an extension for each.
    most : float, optional
        The largest part of an image that a mask may mask.

    Raises
    ------
    FrameError
        If a mask cannot be read, masks more than that, or the shapes differ.
    """
    with ExitStack() as files:
        read = [files.enter_context(opened(file, name, checksums)) for _, file, name in masks]
        found = [mask_images(hdus, name) for (hdus, _), (_, _, name) in zip(read, masks, strict=True)]
        parts = images or [_whole(masks)]
        combined = []
        for part in parts:
            try:
                combined.append(combine(_masks_of(part, masks, found, radii, most)))
            except ValueError as error:
                raise FrameError(f"{', '.join(name for _, _, name in masks)}: {error}") from None
    if len(parts) > 1:
        hdus = [Hdu(image_header((), np.dtype(np.uint8)))]
        for number, (part, flags) in enumerate(zip(parts, combined, strict=True), 1):
            hdus.append(image_hdu(flags, extension=str(part["cards"].get("EXTNAME") or "MASK")))
            hdus[-1].header.set("EXTVER", part["cards"].get("EXTVER", number))
            add_card(hdus[-1].header, "IMAGE", part["label"], "what it masks")
    else:
        hdus = [image_hdu(combined[0])]
    header = hdus[0].header
    header.set("IMAGETYP", "combined mask", "1: flat mask, 2: dark mask, 3: both")
    add_card(header, "VERSION")
    add_card(header, records.KEY, recipe)
    size = sum(flags.size for flags in combined)
    for kind in (*FLAG_OF_KIND, "union"):
        count = sum(counts(flags)[kind] for flags in combined)
        text = count_text(count, size)
        print(f"{kind}: {text}")
        add_card(header, f"{kind} PIXELS", count, text)
    for kind in FLAG_OF_KIND:
        if radii[kind]:
            add_card(header, f"GROW {kind}", radii[kind], "[pixel]")
    numbers = dict.fromkeys(FLAG_OF_KIND, 0)
    for (kind, _, name), (_, digest) in zip(masks, read, strict=True):
        numbers[kind] += 1
        add_source(header, f"{kind}{numbers[kind]}", name, digest)
    write(hdus, output)


def masks_of_pixel(
    masks: list[tuple[str, str, str]],
    pixel: tuple[int, int],
    label: str,
    radii: Mapping[str, float],
    checksums: str = "check",
    images: Sequence[Mapping[str, Any]] = (),
    most: float = 1,
) -> list[tuple[str, str, str]]:
    """List the masks that mask a pixel of an image.

    Parameters
    ----------
    masks, radii, checksums, images, most
        As `combine_files` takes them.
    pixel : (int, int)
        Row and column.
    label : str
        Of the image; empty for a single one.

    Returns
    -------
    list of (kind, name, digest)
        With the SHA-256 of each file.

    Raises
    ------
    FrameError
        As `combine_files`.
    """
    with ExitStack() as files:
        read = [files.enter_context(opened(file, name, checksums)) for _, file, name in masks]
        found = [mask_images(hdus, name) for (hdus, _), (_, _, name) in zip(read, masks, strict=True)]
        part = next((part for part in images if part["label"] == label), _whole(masks))
        of_image = _masks_of(part, masks, found, radii, most)
        return [
            (kind, name, digest)
            for (kind, mask), (_, _, name), (_, digest) in zip(of_image, masks, read, strict=True)
            if mask[pixel]
        ]


def _whole(masks: list[tuple[str, str, str]]) -> dict[str, Any]:
    """Return what of each mask is of a single image: all of the first."""
    return {"label": "", "cards": {}, "shape": None, "places": [0] * len(masks)}


def _masks_of(
    part: Mapping[str, Any],
    masks: list[tuple[str, str, str]],
    found: list[list[Pixels]],
    radii: Mapping[str, float],
    most: float,
) -> list[tuple[str, np.ndarray]]:
    """Return kind and grown mask of each file, for one image."""
    cuts = part.get("cuts") or [WHOLE] * len(masks)
    return [
        (kind, _cut(grown(_not_zero(pixels, place, name, most), radii[kind]), cut, part["shape"]))
        for (kind, _, name), pixels, place, cut in zip(masks, found, part["places"], cuts, strict=True)
    ]


def _cut(mask: np.ndarray, cut: Sequence[int], shape: Sequence[int] | None) -> np.ndarray:
    """Return the part of a mask that an image needs, of which the rows may be turned."""
    row, column, turned = cut
    if turned:
        mask = mask[::-1]
    return mask if shape is None else mask[row : row + shape[0], column : column + shape[1]]


def _not_zero(images: list[Pixels], place: int, name: str, most: float) -> np.ndarray:
    """Return where one image of a mask is not zero; refuse one that masks too much."""
    if place >= len(images):
        raise FrameError(
            f"{name}: {len(images)} images, expected {place + 1}; it changed since the folder was searched, start again"
        )
    with readable(name):
        mask: np.ndarray = images[place][:] != 0
    if (share := float(mask.mean())) > most:
        cause = "is it inverted? in a mask 0 is good" if 1 - share <= most else "is it of this camera?"
        raise FrameError(
            f"{name}: masks {share:.0%} of the pixels, expected up to {most:.0%} (most_masked); {cause}; correct "
            "it, or raise most_masked"
        )
    return mask
