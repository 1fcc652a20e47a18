"""Find every reason not to trust a pixel of an image."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask import bits
from lightmask.bits import Flag
from lightmask.fits import Image, Pixels, bands
from lightmask.masks import cosmicrays
from lightmask.masks.flags import Flags

# Measured (tests/benches/bench_memory.py): the interpreter and what it loads; the detector at work, most of all on
# 64-bit pixels with NaN among them, where float32 takes a third; flags of all pixels, what is found, and what is
# found without known bad pixels; and before that tiles from which compression is undone, some rows at a time.
BASE_BYTES = 150_000_000
BYTES_HELD = {"lightmask": 36, "ccdproc": 96}
BYTES_OF_FLAGS = 4.5
BYTES_OF_TILES = 26


def flag_pixels(
    image: Image,
    static: NDArray[np.uint8] | Pixels | None,
    parameters: cosmicrays.Parameters,
    radii: Mapping[str, float] | None = None,
) -> tuple[NDArray[np.int16], list[int]]:
    """Find every reason not to trust a pixel of an image.

    What the detector finds is COSMIC where it also finds it with known bad pixels withheld (chapter 8.3 of
    the CCD reduction guide), and SUSPECT elsewhere; both are what chapter 8.5 finds.

    Parameters
    ----------
    image : Image
        Its pixels, in adu or electrons, and its own mask.
    static : ndarray of uint8 or Pixels or None
        Flags of the combined mask, of the same shape: the known bad pixels.
    parameters : dict
        The configuration's ``cosmic_rays``, resolved.
    radii : dict, optional
        By how many pixels each reason grows (the combined mask has grown already).

    Returns
    -------
    flags : ndarray of int16
        Bits of `~lightmask.bits.Flag`, shape of the data.
    iterations : list of int
        Pixels that the detector found in each iteration.
    """
    own = [] if image.mask is None else [image.mask]
    hit = cosmicrays.detect(image.data, _Union(own) if own else None, parameters)
    found = np.zeros(image.data.shape, bits.DTYPE)
    found[hit.mask] = Flag.COSMIC
    if static is not None and hit.mask.any() and any(static[rows].any() for rows in bands(static.shape)):
        iterations = hit.iterations
        del hit  # an image of a byte a pixel, while the detector is at work
        withheld = cosmicrays.detect(image.data, _Union([*own, static]), parameters).mask
        for rows in bands(found.shape):
            found[rows][(found[rows] != 0) & ~withheld[rows]] = Flag.SUSPECT
        del withheld
    else:
        iterations = hit.iterations
    for rows in bands(found.shape):
        data, here = image.data[rows], found[rows]
        # In float32, as detectors compute it; NaN is not saturated.
        with np.errstate(over="ignore"):  # what float32 cannot hold is saturated
            electrons = data if parameters["gain"] == 1 else data * parameters["gain"]
            electrons = electrons.astype(np.float32, copy=False)
        here[electrons >= np.float32(parameters["satlevel"])] |= np.int16(Flag.SATURATED)
        here[~np.isfinite(data)] |= np.int16(Flag.NOTFINITE)
        if image.mask is not None:
            here[image.mask[rows] != 0] |= np.int16(Flag.INHERITED)
    flags = Flags(found)
    for reason in bits.REASONS:
        if reason not in ("flat", "dark"):
            flags.grow(reason, (radii or {}).get(reason, 0))
    if static is not None:  # it has grown already
        for rows in bands(found.shape):
            found[rows] |= static[rows]
    return found, iterations


@dataclass(frozen=True)
class _Union:
    """Several masks, of which rows are masked where one of them is not zero."""

    masks: list[Any]

    def __getitem__(self, rows: slice) -> NDArray[np.bool_]:
        return np.logical_or.reduce([mask[rows] != 0 for mask in self.masks])


def statistics(found: NDArray[np.int16], masked_by: Iterable[str], iterations: list[int]) -> dict[str, Any]:
    """Count the pixels of each reason, and those that MASK masks."""
    masked, reasons = 0, dict.fromkeys(bits.REASONS, 0)
    for rows in bands(found.shape):
        flags = Flags(found[rows])
        masked += flags.count(*masked_by)
        for reason in reasons:
            reasons[reason] += flags.count(reason)
    return {
        "pixels": found.size,
        "masked": masked,
        "fraction": masked / found.size,
        **reasons,
        "iterations": iterations,
    }


def memory(shapes: Sequence[tuple[int, ...]], parameters: cosmicrays.Parameters, tile_height: int = 1) -> int:
    """Estimate the memory that `lightmask.mask_frame` takes at the most, in MB.

    Parameters
    ----------
    shapes : sequence of (int, int)
        Of the images of a frame. They are searched one after the other; their flags are kept.
    parameters : dict
        The configuration's ``cosmic_rays``.
    tile_height : int
        Rows of a tile, where the frame is tile-compressed.

    Returns
    -------
    int
        In MB.
    """
    kept = 2 * sum(map(math.prod, shapes))
    most = 0.0
    for rows, columns in shapes:
        held = cosmicrays.pixels_at_a_time((rows, columns), parameters) * BYTES_HELD[parameters["detector"]]
        first = BYTES_OF_TILES * min(tile_height, rows) * columns
        most = max(most, first, held + (BYTES_OF_FLAGS - 2) * rows * columns + kept)
    return int((BASE_BYTES + most) / 1_000_000)
