"""Turn one LIGHT frame into a masked frame: the core of the workflow."""

import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask import __version__, bits
from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.fits import (
    Hdu,
    Image,
    Pixels,
    Value,
    bands,
    image_hdu,
    image_header,
    opened,
    read_image,
    records,
    shape_text,
    whole_file,
    write,
)
from lightmask.masks import cosmicrays
from lightmask.masks.events import Events, write_regions
from lightmask.masks.flags import Flags, count_text
from lightmask.masks.provenance import add_card, add_source
from lightmask.messages import timed, warn

SOURCE_OF_MASK = re.compile(r"LIGHTMASK (FLAT|DARK)\d+( SHA256)?")
# Measured (tests/benches/bench_memory.py): the interpreter and what it loads; the detector at work, most of all on
# 64-bit pixels with NaN among them, where float32 takes a third; flags of all pixels, and
# half a byte for what is found; and before that tiles from which compression is undone, some rows at a time.
BASE_BYTES = 150_000_000
BYTES_HELD = {"lightmask": 36, "ccdproc": 96}
BYTES_OF_FLAGS = 1.5
BYTES_OF_TILES = 26
UNITS = {"gain": "[e-/adu]", "readnoise": "[e-]", "satlevel": "[e-]", "sigclip": "[sigma]", "psffwhm": "[pixel]"}


def flag_pixels(
    image: Image,
    static: NDArray[np.uint8] | Pixels | None,
    parameters: cosmicrays.Parameters,
    radii: Mapping[str, float] | None = None,
) -> tuple[NDArray[np.uint8], list[int]]:
    """Find every reason not to trust a pixel of a frame.

    Parameters
    ----------
    image : Image
        The frame's pixels, in adu or electrons, and its own mask.
    static : ndarray of uint8 or Pixels or None
        Flags of the combined mask, of the same shape.
    parameters : dict
        The configuration's ``cosmic_rays``, resolved.
    radii : dict, optional
        By how many pixels each reason grows (the combined mask has grown already).

    Returns
    -------
    flags : ndarray of uint8
        Bits of `~lightmask.bits.Flag`, shape of the data.
    iterations : list of int
        Cosmic-ray pixels found in each iteration.
    """
    masks = [image.mask] if image.mask is not None else []
    if static is not None and parameters["known_bad_pixels"] == "mask":
        masks.append(static)
    cosmic = cosmicrays.detect(image.data, _Union(masks) if masks else None, parameters)
    found = cosmic.mask.view(np.uint8)  # an image of a byte a pixel is all that there is room for
    found *= np.uint8(Flag.COSMIC)
    for rows in bands(found.shape):
        data, here = image.data[rows], found[rows]
        # In float32, as detectors compute it; NaN is not saturated.
        with np.errstate(over="ignore"):  # what float32 cannot hold is saturated
            electrons = data if parameters["gain"] == 1 else data * parameters["gain"]
            electrons = electrons.astype(np.float32, copy=False)
        here[electrons >= np.float32(parameters["satlevel"])] |= np.uint8(Flag.SATURATED)
        here[~np.isfinite(data)] |= np.uint8(Flag.NOTFINITE)
        if image.mask is not None:
            here[image.mask[rows] != 0] |= np.uint8(Flag.INHERITED)
    flags = Flags(found)
    for reason in ("cosmic", "saturated", "notfinite", "inherited"):
        flags.grow(reason, (radii or {}).get(reason, 0))
    if static is not None:  # it has grown already
        for rows in bands(found.shape):
            found[rows] |= static[rows]
    return found, cosmic.iterations


@dataclass(frozen=True)
class _Union:
    """Several masks, of which rows are masked where one of them is not zero."""

    masks: list[Any]

    def __getitem__(self, rows: slice) -> NDArray[np.bool_]:
        return np.logical_or.reduce([mask[rows] != 0 for mask in self.masks])


def statistics(found: NDArray[np.uint8], masked_by: Iterable[str], iterations: list[int]) -> dict[str, Any]:
    """Count the pixels of each reason, and those that MASK masks."""
    masked, reasons = 0, {name.lower(): 0 for name in bits.BITS}
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


def memory(shape: tuple[int, int], parameters: cosmicrays.Parameters, tile_height: int = 1) -> int:
    """Estimate the memory that `mask_frame` takes at the most, in MB.

    Parameters
    ----------
    shape : (int, int)
        Of the frame.
    parameters : dict
        The configuration's ``cosmic_rays``.
    tile_height : int
        Rows of a tile, where the frame is tile-compressed.

    Returns
    -------
    int
        In MB.
    """
    held = cosmicrays.pixels_at_a_time(shape, parameters) * BYTES_HELD[parameters["detector"]]
    first = BYTES_OF_TILES * min(tile_height, shape[0]) * shape[1]
    return int((BASE_BYTES + max(first, held + BYTES_OF_FLAGS * math.prod(shape))) / 1_000_000)


def mask_frame(
    frame: str | os.PathLike,
    name: str,
    combined: str | os.PathLike | None,
    output: str | os.PathLike,
    statistics_file: str | os.PathLike,
    config: dict[str, Any],
    draw: Callable[[Any, NDArray[np.uint8], dict[str, Any], Events], None] | None = None,
    regions: str | os.PathLike | None = None,
    recipe: str = "",
) -> None:
    """Write a LIGHT frame with MASK and FLAGS, and its statistics.

    Everything that the input holds is passed through as it is: pixels, HDUs
    and cards, but for an existing MASK, whose pixels go into the new one, and
    for tile compression, which is undone.

    Parameters
    ----------
    frame : path
        The LIGHT frame.
    name : str
        Its path in the frames folder, for messages and provenance.
    combined : path or None
        The combined mask that applies, if any.
    output, statistics_file : path
        FITS and JSON file to write.
    config : dict
        ``cosmic_rays``, ``masked``, ``grow``, ``unit``, ``unit_names`` and ``checksums`` of
        the configuration.
    draw : callable, optional
        Draws the frame: it is called with pixels, flags, statistics and events, as
        `lightmask.show.draw_frame` takes them. The statistics then say too how many
        cosmic-ray events there are, and which fraction of their pixels sits on sources.
    regions : path, optional
        DS9 region file of the cosmic-ray events to write.
    recipe : str, optional
        `lightmask.fits.records.digest_of` what the frame is masked with. Header and statistics say it.

    Raises
    ------
    FrameError
        If the frame cannot be used, or changes while it is read.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.io import fits
    >>> from lightmask.night import validated
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = Path(folder.name)
    >>> data = np.full((64, 64), 100, np.float32)
    >>> data[10, 10] += 3000
    >>> fits.writeto(place / "x.fits", data)
    >>> mask_frame(place / "x.fits", "x.fits", None, place / "masked.fits", place / "x.json", validated({}))
    ... # doctest: +ELLIPSIS
    reading: ...
    >>> fits.getdata(place / "masked.fits", "MASK").sum(), json.loads((place / "x.json").read_text())["cosmic"]
    (np.uint64(1), 1)
    >>> folder.cleanup()
    """
    with ExitStack() as files:
        with timed("reading"):
            remarks: list[str] = []
            hdus, digest = files.enter_context(opened(frame, name, config["checksums"], remarks.append))
            for remark in remarks:
                warn(remark)
            image = read_image(hdus, name)
            static: Pixels | None = None
            sources: list[tuple[str, Value]] = []
            if combined is not None:
                static, sources = files.enter_context(_combined(combined, config["checksums"]))
        if static is not None and static.shape != image.data.shape:
            raise FrameError(
                f"{name}: shape {shape_text(image.data.shape)}, its masks {shape_text(static.shape)}; "
                "it changed since the folder was searched, start again"
            )
        try:
            parameters = cosmicrays.resolve(config, image.header)
        except FrameError as error:
            raise FrameError(f"{name}: {error}") from None
        try:
            with timed("detection"):
                found, iterations = flag_pixels(image, static, parameters, config["grow"])
        except ValueError as error:  # the detector's own refusal of a parameter
            raise FrameError(f"{name}: {error}") from None
        counted = statistics(found, config["masked"], iterations)
        if draw or regions is not None:
            with timed("events"):
                events = Events(image.data, found)
        if draw:
            counted |= {"events": len(events), "on_sources": events.on_sources()}

        with timed("writing"):
            hdus = _with_flags(hdus, found, config["masked"], name, keep=image.more_than_mask)
            header = hdus[0].header
            for keyword, value, comment in _provenance(parameters, counted, config):
                add_card(header, keyword, value, comment)
            add_card(header, records.KEY, recipe)
            add_source(header, "frame", name, digest)
            for keyword, value in sources:
                add_card(header, keyword, value)
            write(hdus, output)
            record = {"path": name, **counted, "remarks": remarks, **records.from_header(header)}
            with whole_file(statistics_file) as part:
                part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        if regions is not None:
            write_regions(events.strongest(), regions)
        if draw:
            with timed("drawing"):
                draw(image.data, found, counted, events)


@contextmanager
def _combined(path: str | os.PathLike, checksums: str) -> Iterator[tuple[Pixels, list[tuple[str, Value]]]]:
    """Open a combined mask: its flags, and the cards that name its masks."""
    name = Path(path).name
    with opened(path, name, checksums) as (hdus, _):
        header = hdus[0].header
        keywords = filter(SOURCE_OF_MASK.fullmatch, header.keywords())
        cards: list[tuple[str, Value]] = [
            (keyword.removeprefix("LIGHTMASK "), str(header[keyword])) for keyword in keywords
        ]
        yield Pixels(hdus[0]), cards


@dataclass(frozen=True)
class _Mask:
    """The bytes of MASK, made from FLAGS as they are wanted."""

    found: NDArray[np.uint8]
    masked_by: Iterable[str]

    def __len__(self) -> int:
        return self.found.size

    def __getitem__(self, part: slice) -> NDArray[np.uint8]:
        return Flags(self.found.reshape(-1)[part]).union(*self.masked_by).view(np.uint8)


def _with_flags(
    hdus: list[Hdu], found: NDArray[np.uint8], masked_by: Iterable[str], name: str, keep: bool
) -> list[Hdu]:
    """Return the HDUs of a frame with MASK, in the place of one that is there already, and FLAGS.

    The old MASK is kept as INMASK if `keep`, where its values say more than the
    INHERITED flag can; as INMASK2, INMASK3, ... where the frame has an INMASK already.
    """
    names = [hdu.name for hdu in hdus]
    if "FLAGS" in names:
        raise FrameError(f"{name}: it has an extension FLAGS already, the name that the result needs; rename it")
    result = list(hdus)
    result[0] = Hdu(hdus[0].header.copy(), hdus[0].data)
    if result[0].header.get("EXTEND") is False:
        result[0].header.set("EXTEND", True)
    mask = _Mask(found, masked_by)
    if "MASK" in names:
        inherited = hdus[names.index("MASK")]
        header = image_header(found.shape, found.dtype, inherited.header, extension="MASK")
        result[names.index("MASK")] = Hdu(header, mask)
        if keep:
            header = inherited.header.copy()
            candidates = itertools.chain(["INMASK"], (f"INMASK{number}" for number in itertools.count(2)))
            header.set("EXTNAME", next(candidate for candidate in candidates if candidate not in names))
            result.append(Hdu(header, inherited.data))
    else:
        result.append(Hdu(image_header(found.shape, found.dtype, extension="MASK"), mask))
    reasons = image_hdu(found, extension="FLAGS")
    for card in bits.cards():
        reasons.header.set(*card)
    return [*result, reasons]


def _provenance(
    parameters: cosmicrays.Parameters, counted: dict[str, Any], config: dict[str, Any]
) -> list[tuple[str, Value, str]]:
    """List keyword, value and comment of what was done with which result."""
    cards: list[tuple[str, Value, str]] = [("VERSION", __version__, "lightmask")]
    for key, value in parameters.items():
        if key == "psfk":
            if value is None:
                continue
            value = hashlib.sha256(np.array(value, np.float32).tobytes()).hexdigest()[:32]
        cards.append((key, value, UNITS.get(key, "")))
    cards.append(("MASKED", " ".join(config["masked"]), "flags in MASK"))
    cards += [(f"GROW {reason}", radius, "[pixel]") for reason, radius in config["grow"].items() if radius]
    for reason in [*(name.lower() for name in bits.BITS), "masked"]:
        cards.append((f"{reason} pixels", counted[reason], count_text(counted[reason], counted["pixels"])))
    for number, count in enumerate(counted["iterations"], 1):
        cards.append((f"iteration {number}", count, "cosmic pixels"))
    return cards
