"""Which masks apply to a frame, and the combination of those that do."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lightmask.errors import FrameError
from lightmask.fits import image_hdu, read_mask, records, write
from lightmask.masks.flags import count_text, grown
from lightmask.masks.provenance import add_card, add_source
from lightmask.night import FLAG_OF_KIND


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
