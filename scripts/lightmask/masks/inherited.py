"""Masks that came with a frame: which of their bits or codes say that a pixel is bad."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.errors import FrameError
from lightmask.fits import Hdu, Pixels, bands, readable, shape_text
from lightmask.night import Camera

PLANES = "MP_"
"""Keywords of the bits of a mask begin so, as LSST writes them: ``MP_SAT = 1``."""
MOST_BITS = 2.0**53
"""Larger floats are no whole numbers for sure."""
MOST = 0.5
"""A mask that masks more of an image than this is remarked."""


class Inherited:
    """The bad pixels of the masks that came with an image, of which rows can be taken.

    Parameters
    ----------
    parts : list of callable
        Each returns, of a slice of rows, where a mask says bad.
    """

    def __init__(self, parts: Sequence[Callable[[slice], NDArray[np.bool_]]]):
        self.parts = parts

    def __getitem__(self, rows: slice) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.logical_or.reduce([part(rows) for part in self.parts])
        return found


def inherited(
    masks: Iterable[Hdu],
    shape: tuple[int, ...],
    camera: Camera,
    choices: Mapping[str, Sequence[str | int]],
    name: str,
    remark: Callable[[str], object],
) -> Inherited | None:
    """Return where the masks that came with an image say that its pixels are bad.

    Parameters
    ----------
    masks : iterable of Hdu
        Its masks: MASK, DQ, BPM, or images of a file of its own.
    shape : (int, int)
        Of the image.
    camera : dict
        Of the frame; its ``mask`` says what bits or codes are called, and which are bad.
    choices : dict
        The configuration's ``inherit``: by name of a camera, which bits or codes count as bad.
    name : str
        What messages call the image.
    remark : callable
        Gets a line for what is guessed.

    Returns
    -------
    Inherited or None
        None where there is no mask.

    Raises
    ------
    FrameError
        If a mask has another shape than its image, or a name is chosen that its bits do not have.
    """
    parts = []
    for hdu in masks:
        if hdu.plane != tuple(shape):
            found = shape_text(hdu.shape) if hdu.shape else "no data"
            raise FrameError(
                f"{name}: its {hdu.name or 'mask'} has {found}, expected {shape_text(shape)}; fix or remove it"
            )
        with readable(name):
            pixels = Pixels(hdu)
        is_bad = _meaning(hdu, pixels, camera, choices, name, remark)
        count = sum(int(np.count_nonzero(is_bad(pixels[rows]))) for rows in bands(pixels.shape))
        size = pixels.shape[0] * pixels.shape[1]
        if count > MOST * size:
            remark(
                f"{name}: its {hdu.name or 'mask'} masks {count / size:.0%} of the image, expected less than half (is "
                "it inverted?); fix it, or choose in `inherit` what counts as bad"
            )
        parts.append(lambda rows, pixels=pixels, is_bad=is_bad: is_bad(pixels[rows]))
    return Inherited(parts) if parts else None


IsBad = Callable[[NDArray[Any]], NDArray[np.bool_]]


def _meaning(
    hdu: Hdu,
    pixels: Pixels,
    camera: Camera,
    choices: Mapping[str, Sequence[str | int]],
    name: str,
    remark: Callable[[str], object],
) -> IsBad:
    """Return what tells of pixels of a mask whether they are bad."""
    planes = {
        keyword.removeprefix(PLANES): int(hdu.header[keyword] or 0)
        for keyword in hdu.header.keywords()
        if keyword.startswith(PLANES)
    }
    known: Mapping[str, Any] = camera.get("mask") or {}
    names = {str(text): int(value) for value, text in (known.get("names") or {}).items()}
    source = camera["name"]
    if planes:
        source, names = "LSST", {plane: 1 << bit for plane, bit in planes.items()}
        known = {"bad": [plane for plane in LSST_BAD if plane in names]}
    chosen = choices.get(source, choices.get("default"))
    if chosen is None:
        chosen = known.get("bad")
    if hdu.name == "MASK" and not planes:
        return lambda values: values != 0
    highest = max((int(_whole(pixels[rows]).max()) for rows in bands(pixels.shape)), default=0)
    if chosen is None:
        if highest > 1:
            remark(
                f"{name}: its {hdu.name or 'mask'} has values up to {highest}, and what they mean is not known of this "
                "camera; all but 0 count as bad; choose in `inherit: {default: [...]}` which do"
            )
        return lambda values: values != 0
    values = [_number(each, names, source) for each in chosen]
    if known.get("codes") and highest <= max(names.values(), default=0):
        return lambda found: np.isin(_whole(found), values) | (_whole(found) < 0)
    if known.get("codes"):  # older masks of the same pipeline have bits
        return lambda found: found != 0
    bits = 0
    for value in values:
        bits |= value
    return lambda found: (_whole(found) & np.array(bits).astype(_whole(found).dtype)) != 0


def _whole(values: NDArray[Any]) -> NDArray[Any]:
    """Return bits or codes as whole numbers: some programs write them as floats. What is none is -1, which is bad."""
    if values.dtype.kind in "iu":
        return values
    return np.where(np.isfinite(values) & (np.abs(values) < MOST_BITS), values, -1).astype(np.int64)


LSST_BAD = ("BAD", "SAT", "INTRP", "CR", "EDGE", "NO_DATA", "SUSPECT", "UNMASKEDNAN", "VIGNETTED", "CROSSTALK")


def _number(chosen: str | int, names: Mapping[str, int], source: str) -> int:
    """Return the number of a bit or code that was chosen by number or by name."""
    if isinstance(chosen, int):
        return chosen
    plain = {text.casefold(): value for text, value in names.items()}
    if chosen.casefold() not in plain:
        raise FrameError(
            f"inherit: {source or 'default'}: found {chosen!r}, expected a number or one of "
            f"{', '.join(names) or 'no names, as none are known'}; correct it"
        )
    return plain[chosen.casefold()]
