"""Masks that the frames of a camera share: which can be made from the flats and darks of a night."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.errors import FrameError
from lightmask.fits import Hdu, Header, Value, image_hdu, image_header, mask_images, opened, records, unchanged, write
from lightmask.masks.flags import count_text
from lightmask.masks.provenance import add_card, add_source
from lightmask.masks.sources import description, read_left_out, write_left_out
from lightmask.messages import warn

MOST_MASKED = 0.2
"""The largest part of an image that a made mask may mask, where the configuration does not say it."""


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


def make_as_planned(
    make: Callable[..., None],
    paths: Sequence[str],
    stamps: Sequence[Any],
    names: Sequence[str],
    output: Output,
    recipe: str,
    shapes: Sequence[tuple[int, ...]],
    images: Sequence[Mapping[str, Any]] = (),
    others: Iterable[tuple[str, str]] = (),
    **settings: Any,
) -> None:
    """Make a flat mask or a dark mask of files that are still what they were when the night was planned.

    Parameters
    ----------
    make : callable
        `make_flat_mask` or `make_dark_mask`.
    paths, stamps, names : sequence
        Of each flat or dark its path, its stamp as `lightmask.fits.unchanged` takes it, and its path in the
        frames folder.
    output : Output
        Where to write. The JSON file also gets the recipe, and the SHA-256 of each file.
    recipe : str
        `lightmask.fits.records.digest_of` what the mask is made with.
    shapes : sequence of tuple of int
        Of each image of the frames that the mask is for.
    images : sequence of dict, optional
        ``label`` and ``cards`` of each image, where there are several: the mask has an extension for each.
    others : iterable of (str, str), optional
        File and name of masks of the folder that are of the same kind and camera. How the new one differs is a remark.
    **settings
        What else `make` takes.

    Raises
    ------
    FrameError
        As from `make`, and if a file is not what was planned.
    """
    with unchanged(paths, names, stamps) as digests:
        found = list(zip(paths, names, strict=True))
        if images:
            _make_each(make, found, output, shapes, images, **settings)
        else:
            make(found, output=output, shape=shapes[0], **settings)
    record = read_left_out(output.left_out)
    if record["made"]:
        changes = [change for file, name in others if (change := _change(output.mask, file, name))]
        for change in changes:
            warn(change)
        write_left_out(record["left_out"], True, output.left_out, changes)
    records.add(os.fspath(output.left_out), recipe, digests)


def _change(made: str | os.PathLike, file: str, name: str) -> str:
    """Say how a mask that was made differs from another one; empty if it does not, or cannot be compared."""
    counted = [0, 0, 0]
    try:
        with opened(made, "the mask") as (hdus, _), opened(file, name) as (theirs, _):
            ours, old = mask_images(hdus, "the mask"), mask_images(theirs, name)
            if [image.shape for image in ours] != [image.shape for image in old]:
                return ""
            for new, before in zip(ours, old, strict=True):
                new_bad, bad = new[:] != 0, before[:] != 0
                counted = [
                    total + int(np.count_nonzero(each))
                    for total, each in zip(counted, (bad, new_bad & ~bad, bad & ~new_bad), strict=True)
                ]
    except FrameError as error:
        return f"mask cannot be compared with that of the folder: {error}"
    bad, more, fewer = counted
    if not more + fewer:
        return ""
    share = (more + fewer) / max(bad, 1)
    return f"mask changed by {share:.0%} since {name}: of {bad} bad pixels {fewer} are gone, and {more} are new"


def _make_each(
    make: Callable[..., None],
    found: list[tuple[str, str]],
    output: Output,
    shapes: Sequence[tuple[int, ...]],
    images: Sequence[Mapping[str, Any]],
    **settings: Any,
) -> None:
    """Make a mask for each image of files of several, and put them into one file."""
    with tempfile.TemporaryDirectory(dir=Path(output.mask).parent, prefix=".") as folder, ExitStack() as files:
        parts, made = [], True
        left_out: dict[tuple[str, str], dict[str, str]] = {}
        for number, (shape, image) in enumerate(zip(shapes, images, strict=True)):
            part = Output(Path(folder, f"{number}.fits"), Path(folder, f"{number}.json"))
            print(f"image {image['label']}")
            make(found, output=part, shape=shape, number=number, **settings)
            hdus, _ = files.enter_context(opened(part.mask, image["label"]))
            header = image_header(
                shape, np.dtype(np.uint8), hdus[0].header, str(image["cards"].get("EXTNAME") or "MASK")
            )
            for keyword, value in image["cards"].items():
                header.set(keyword, value)
            header.set("EXTVER", image["cards"].get("EXTVER", number + 1))
            parts.append(Hdu(header, hdus[0].data))
            record = read_left_out(part.left_out)
            left_out |= {(source["path"], source["problem"]): source for source in record["left_out"]}
            made = made and record["made"]
        primary = Hdu(image_header((), np.dtype(np.uint8), parts[0].header.without("EXTNAME", "EXTVER", "XTENSION")))
        write([primary, *parts], output.mask)
    write_left_out(list(left_out.values()), made, output.left_out)


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
    for keyword, text in cards.items():
        hdu.header.set(keyword, text)
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
        Of `lightmask.masks.sources.usable`.
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
        raise FrameError(description(left_out))
    warn(f"no {kind} mask can be made: none of its {len(left_out)} sources can be used; frames are masked without it")
    made: dict[str, Value] = {"METHOD": "none, no source could be used"}
    write_mask(np.zeros(shape, np.bool_), kind, {}, Header(), (), made, (), output.mask)
    write_left_out(left_out, False, output.left_out)
