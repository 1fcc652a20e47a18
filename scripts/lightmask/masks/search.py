"""Find every reason not to trust a pixel of an image."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask import bits
from lightmask.bits import Flag
from lightmask.fits import Image, Pixels, bands
from lightmask.masks import cosmicrays
from lightmask.masks.flags import Flags
from lightmask.masks.planes import Plane, common_level, planes
from lightmask.masks.repeats import KEPT, Repeats
from lightmask.night import Amplifier, Readout

# Measured (tests/benches/bench_memory.py): the interpreter and what it loads; the detector at work, most of all on
# 64-bit pixels with NaN among them, where float32 takes a third; flags of all pixels, what is found, and what is
# found without known bad pixels; and before that tiles from which compression is undone, some rows at a time.
BASE_BYTES = 150_000_000
BYTES_HELD = {"lightmask": 36, "trace": 36, "ccdproc": 96}
BYTES_OF_FLAGS = 4.5
BYTES_OF_TILES = 26
BYTES_OF_LIBRARIES = 60_000_000
"""Of world coordinates and triangles of stars, where frames are compared with others."""
BYTES_OF_OTHERS = 8
"""Of a pixel of another frame that is kept."""
PART_OF_LINE = 0.3
LEAST_OF_LINE = 24
"""Part of a row or column, and pixels of it, that cosmic rays do not fill."""


def flag_pixels(
    image: Image,
    static: NDArray[np.uint8] | Pixels | None,
    parameters: cosmicrays.Parameters,
    readout: Readout,
    radii: Mapping[str, float] | None = None,
    inherited: Any = None,
    lacking: NDArray[np.bool_] | None = None,
    variance: Any = None,
    repeats: Repeats | None = None,
) -> tuple[NDArray[np.int16], list[int]]:
    """Find every reason not to trust a pixel of an image.

    What L.A.Cosmic finds is COSMIC where it also finds it with known bad pixels withheld (chapter 8.3 of
    the CCD reduction guide), and SUSPECT elsewhere; both are what chapter 8.5 finds. From `trace` they are
    withheld at once.

    Parameters
    ----------
    image : Image
        Its pixels, in adu or electrons.
    static : ndarray of uint8 or Pixels or None
        Flags of the combined mask, of the same shape: the known bad pixels.
    parameters : dict
        The configuration's ``cosmic_rays``.
    readout : Readout
        How the image was read out. What is outside its window is EDGE, and nothing else.
    radii : dict, optional
        By how many pixels each reason grows (the combined mask has grown already).
    inherited : ndarray of bool or alike, optional
        Where the frame's own masks are; rows are taken of it.
    lacking : ndarray of bool, optional
        Where there are no data: such pixels are NaN in the image, and NODATA, not NOTFINITE.
    variance : ndarray or alike, optional
        Of each pixel, in the square of the image's unit, of which rows are taken: instead of the noise model.
    repeats : Repeats, optional
        Other images of the field, with which what is COSMIC is compared.

    Returns
    -------
    flags : ndarray of int16
        Bits of `~lightmask.bits.Flag`, shape of the data.
    iterations : list of int
        Pixels that the detector found in each iteration.
    """
    found = np.zeros(image.data.shape, bits.DTYPE)
    given = of_detector(parameters, readout)
    of_image = planes(image.data, readout, variance)
    iterations = _search(of_image, static, inherited, given, readout.window, found, repeats)
    for rows in bands(found.shape):
        data, here = image.data[rows], found[rows]
        for amplifier in readout.amplifiers:
            part = slice(max(amplifier.rows.start - rows.start, 0), max(amplifier.rows.stop - rows.start, 0))
            _flag_saturated(data[part, amplifier.columns], here[part, amplifier.columns], amplifier)
        wrong = ~np.isfinite(data)
        if lacking is not None:
            here[lacking[rows]] |= np.int16(Flag.NODATA)
            wrong &= ~lacking[rows]
        here[wrong] |= np.int16(Flag.NOTFINITE)
        if inherited is not None:
            here[inherited[rows]] |= np.int16(Flag.INHERITED)
    flags = Flags(found)
    for reason in bits.REASONS:
        if reason not in ("flat", "dark"):
            flags.grow(reason, (radii or {}).get(reason, 0))
    if static is not None:  # it has grown already
        for rows in bands(found.shape):
            found[rows] |= static[rows]
    rows, columns = readout.window
    for outside in (
        np.s_[: rows.start],
        np.s_[rows.stop :],
        np.s_[rows, : columns.start],
        np.s_[rows, columns.stop :],
    ):
        found[outside] = Flag.EDGE
    return found, iterations


def _search(
    planes: Iterable[Plane],
    static: Any,
    inherited: Any,
    given: dict[str, Any],
    window: tuple[slice, slice],
    found: Any,
    repeats: Repeats | None,
) -> list[int]:
    """Write COSMIC and SUSPECT of planes of an image into its flags; return the pixels of each iteration."""
    own = [] if inherited is None else [inherited]
    if cosmicrays.is_trace(given):  # which needs no second look without them
        own, static = own if static is None else [*own, static], None
    iterations: list[int] = []
    counted = [np.zeros(length, int) for length in found.shape]
    for plane in planes:
        parts = [plane.part(mask) for mask in own]
        hit = cosmicrays.detect(plane.data, union(parts), given, plane.background, plane.variance)
        here = found[plane.place]
        for rows in bands(plane.shape):
            here[rows][_places(hit.mask[rows])] = Flag.COSMIC
        iterations = [sum(both) for both in zip_longest(iterations, hit.iterations, fillvalue=0)]
        known = plane.part(static)
        every = parts if known is None else [*parts, known]
        bad = union(every)
        is_any = hit.mask.any()
        del hit  # an image of a byte a pixel, while the detector is at work
        if known is not None and is_any and any(known[rows].any() for rows in bands(plane.shape)):
            withheld = cosmicrays.detect(plane.data, bad, given, plane.background, plane.variance).mask
            for rows in bands(plane.shape):
                here[rows][_places((here[rows] != 0) & ~withheld[rows])] = Flag.SUSPECT
            del withheld
        if repeats is not None:
            repeats.change(plane, bad, given, here)
        for rows in bands(plane.shape):
            y, x = _places(here[rows] == Flag.COSMIC)
            _count(counted, plane, y + rows.start, x)
    _suspect_lines(found[window], [n[part] for n, part in zip(counted, window, strict=True)])
    return iterations


def of_detector(parameters: cosmicrays.Parameters, readout: Readout) -> dict[str, Any]:
    """Return what the detector is given: numbers of the amplifier, or of electrons that several have made."""
    if len(readout.amplifiers) == 1:
        (one,) = readout.amplifiers
        return {**parameters, "gain": one.gain, "readnoise": one.readnoise, "satlevel": one.satlevel}
    least = min(each.readnoise for each in readout.amplifiers)
    return {**parameters, "gain": 1.0, "readnoise": least, "satlevel": common_level(readout.amplifiers)}


def _flag_saturated(data: NDArray[Any], found: NDArray[np.int16], amplifier: Amplifier) -> None:
    """Flag what is at or above the level of an amplifier."""
    # In float32, as detectors compute it; NaN is not saturated.
    with np.errstate(over="ignore"):  # what float32 cannot hold is saturated
        electrons = data if amplifier.gain == 1 else data * amplifier.gain
        electrons = electrons.astype(np.float32, copy=False)
    found[electrons >= np.float32(amplifier.satlevel)] |= np.int16(Flag.SATURATED)


def _places(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of what is true; `numpy.nonzero` takes several times as long where little is."""
    y, x = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return y, x


def _count(counted: list[NDArray[Any]], plane: Plane, y: NDArray[np.intp], x: NDArray[np.intp]) -> None:
    """Add pixels of a plane to the counts of each row and each column of the image."""
    for counts, part, places in zip(counted, plane.place, (y, x), strict=True):
        counts[part] += np.bincount(places, minlength=counts[part].size)


def _suspect_lines(seen: NDArray[np.int16], counted: list[NDArray[Any]]) -> None:
    """Turn COSMIC into SUSPECT where it makes up a row or a column: no cosmic ray runs along one that far.

    Parameters
    ----------
    seen : ndarray of int16
        Flags of what shows the sky.
    counted : list of ndarray
        COSMIC pixels of each of its rows, and of each of its columns.
    """
    for lines, counts in zip((seen, seen.T), counted, strict=True):
        least = max(LEAST_OF_LINE, PART_OF_LINE * lines.shape[1])
        for place in np.flatnonzero(counts >= least):
            lines[place][lines[place] == Flag.COSMIC] = Flag.SUSPECT


def union(masks: list[Any]) -> Any:
    """Return what is masked where one of some masks is not zero, of which rows can be taken; None without any."""
    return _Union(masks) if masks else None


@dataclass(frozen=True)
class _Union:
    """Several masks, of which rows are masked where one of them is not zero."""

    masks: list[Any]

    def __getitem__(self, rows: slice) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.logical_or.reduce([mask[rows] != 0 for mask in self.masks])
        return found


def statistics(found: NDArray[np.int16], masked_by: Iterable[str], iterations: list[int]) -> dict[str, Any]:
    """Count the pixels of each reason, and those that MASK masks; of the fraction, EDGE is no part."""
    masked, reasons = 0, dict.fromkeys(bits.REASONS, 0)
    counted = [reason for reason in masked_by if reason != "edge"]
    for rows in bands(found.shape):
        flags = Flags(found[rows])
        masked += flags.count(*counted)
        for reason in reasons:
            reasons[reason] += flags.count(reason)
    return {
        "pixels": found.size,
        "masked": masked,
        "fraction": masked / max(found.size - reasons["edge"], 1),
        **reasons,
        "iterations": iterations,
    }


def memory(
    shapes: Sequence[tuple[int, ...]], parameters: cosmicrays.Parameters, tile_height: int = 1, repeats: int = 0
) -> int:
    """Estimate the memory that `lightmask.mask_frame` takes at the most, in MB.

    Parameters
    ----------
    shapes : sequence of (int, int)
        Of the images of a frame. They are searched one after the other; their flags are kept.
    parameters : dict
        The configuration's ``cosmic_rays``.
    tile_height : int
        Rows of a tile, where the frame is tile-compressed.
    repeats : int
        Other frames that it is compared with.

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
    if repeats:
        pixels = [rows * columns for rows, columns in shapes if rows * columns <= KEPT]
        most += BYTES_OF_LIBRARIES + BYTES_OF_OTHERS * repeats * sum(pixels)
    return int((BASE_BYTES + most) / 1_000_000)
