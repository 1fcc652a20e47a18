"""Why a pixel is, or is not, masked: in words, and what is around it in a picture."""

import math
import os
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from lightmask.bits import IN_USE, MEANING, Flag
from lightmask.detect import Lacosmic, Trace
from lightmask.fits import whole_file
from lightmask.masks import Explained
from lightmask.show.pictures import (
    COLOURS,
    GREYS,
    PAPER,
    ZOOM,
    Reason,
    enlarged,
    font,
    outlined,
    shortened,
    shown,
    stretched,
)

HALF = 12
"""Pixels that are drawn to each side of the pixel."""
LARGER = 2
"""Dots of the picture in one of an inset."""
SIDE = (2 * HALF + 1) * ZOOM * LARGER
MARGIN, GAP, LINE, TEXT, INDENT = 28, 20, 24, 16, 16
INK, WHITE = (25, 25, 25), (255, 255, 255)


def explanation_lines(found: Explained) -> list[str]:
    """Say in words why a pixel is, or is not, masked.

    Parameters
    ----------
    found : Explained
        As `lightmask.masks.explain_pixel` gives it.

    Returns
    -------
    list of str
        A line each.
    """
    return list(_lines(found))


def _lines(found: Explained) -> Iterator[str]:
    above = found.value - found.around
    yield f"value {found.value:g}, {above:+.4g} to the median around" if math.isfinite(above) else "value: no number"
    flags = int(found.flags[found.y, found.x])
    names = [f"{flag.name} ({MEANING[flag]})" for flag in IN_USE if flag & flags]
    yield f"FLAGS {flags}: {', '.join(names) or 'no flag'}; MASK: {'bad' if found.is_masked else 'good'}"
    if found.stored is not None and found.stored != flags:
        yield (
            f"FLAGS {found.stored} in the results: {_names(found.stored)}; they were made with other settings, or by "
            "comparison with other frames (repeats)"
        )
    for flag, name, digest in found.sources:
        yield f"{flag}: by {name}" + (f", SHA-256 {digest}" if digest else "")
    for reason, radius in found.radii.items():
        yield f"{reason.upper()}: flags of this reason grow by {radius:g} pixels (grow), so it may be a neighbour's"
    if found.event is not None:
        event = found.event
        yield (
            f"{found.region}: a cosmic ray of {event.pixels:,} pixels, x {event.left + 1} to {event.right + 1}, "
            f"y {event.bottom + 1} to {event.top + 1}, brightest at x {event.x + 1}, y {event.y + 1}"
        )
    numbers = {k: v for k, v in found.parameters.items() if k.partition(" ")[0] in ("gain", "readnoise", "satlevel")}
    given = ", ".join(f"{name} {value:g}" for name, value in numbers.items())
    if found.numbers is None:
        yield f"detector {found.detector}: does not search here"
        return
    yield f"detector {found.detector}: {given}"
    if isinstance(found.numbers, Trace):
        yield from _of_trace(found.numbers)
    else:
        yield from _of_lacosmic(found.numbers, found.parameters)
        if flags & Flag.SUSPECT:
            yield "  SUSPECT: it is no ray where known bad pixels around are kept from the detector, or fills a line"


def _names(flags: int) -> str:
    return ", ".join(flag.name or "" for flag in Flag if flag & flags) or "no flag"


def _of_trace(numbers: Trace) -> Iterator[str]:
    if numbers.is_bad:
        yield "  a known bad pixel: never a cosmic ray"
        return
    seed = "a" if numbers.is_seed else "no"
    yield f"  {numbers.contrast:.3g} sigma above the median around; {seed} seed of L.A.Cosmic"
    yield f"  net: {numbers.score:.3f} sure that it is part of a ray, expected at least {numbers.least_score:.3f}"
    if numbers.pixels:
        least = f"expected at least {numbers.least_of_event:.3f}"
        verdict = "a cosmic ray" if numbers.is_cosmic else "no cosmic ray"
        yield f"  its event: {numbers.pixels:,} pixels, best seed {numbers.of_event:.3f}, {least}: {verdict}"
    else:
        yield "  part of no event: nothing that the net accepts leads from a seed to it"


def _of_lacosmic(numbers: Lacosmic, parameters: dict[str, Any]) -> Iterator[str]:
    if numbers.is_bad:
        yield "  a bad pixel, or near a saturated star: never a cosmic ray"
        return
    sigclip, objlim = parameters["sigclip"], parameters["objlim"]
    low = sigclip * parameters["sigfrac"]
    numbered = enumerate(numbers.iterations, 1)
    for each, group in groupby(numbered, key=itemgetter(1)):  # most iterations change nothing of most pixels
        which = [number for number, _ in group]
        if each.is_seed:
            verdict = "a cosmic ray"
        elif each.is_cosmic:
            verdict = f"beside a cosmic ray, within two pixels, and above {low:g} (sigclip x sigfrac)"
        else:
            verdict = "none"
        name = f"iteration {which[0]}" if len(which) == 1 else f"iterations {which[0]} to {which[-1]}"
        yield (
            f"  {name}: {each.value:.5g} e-, noise {each.noise:.3g} e-, significance "
            f"{each.significance:.3g} (sigclip {sigclip:g}), over fine structure {each.ratio:.3g} (objlim {objlim:g}): "
            f"{verdict}"
        )


def _wrapped(line: str, room: float) -> Iterator[str]:
    """Yield a line in parts that fit; those after the first are indented."""
    part = ""
    for word in line.rstrip().split(" "):
        if part.strip() and font(TEXT).getlength(shown(f"{part} {word}".strip(), TEXT)) > room:
            yield part
            part = "  " + word
        else:
            part = f"{part} {word}" if part else word or " "
    yield part


def draw_explanation(found: Explained, picture: str | os.PathLike, title: str) -> None:
    """Draw what is around a pixel, with and without flags, and say why it is masked, in a PNG file.

    Parameters
    ----------
    found : Explained
        As `lightmask.masks.explain_pixel` gives it.
    picture : path
        Where to write.
    title : str
        Name of the frame.
    """
    from PIL import Image, ImageDraw

    side = 2 * HALF + 1
    starts = [
        max(0, min(at - HALF, length - side)) for at, length in zip((found.y, found.x), found.flags.shape, strict=True)
    ]
    place = tuple(slice(start, start + side) for start in starts)
    data, flags = np.asarray(found.data[place[0]])[:, place[1]], found.flags[place]
    counts = [int(np.count_nonzero(flags & np.int16(flag))) for flag in IN_USE]
    named = enumerate(zip(IN_USE, counts, strict=True), GREYS)
    reasons = [Reason(flag, flag.name or "", colour, count) for colour, (flag, count) in named]
    with np.errstate(over="ignore", invalid="ignore"):
        plain = enlarged(stretched(data, flags != 0, to_maximum=True), (ZOOM, ZOOM))
    width = 2 * MARGIN + 2 * SIDE + GAP
    lines = [part for line in explanation_lines(found) for part in _wrapped(line, width - 2 * MARGIN - INDENT)]
    there = [reason for reason in reasons if reason.pixels]
    height = 2 * MARGIN + 2 * LINE + SIDE + LINE * (len(there) + len(lines) + 1)
    image = Image.new("RGB", (width, height), WHITE)
    draw = ImageDraw.Draw(image)

    def text(x: float, y: float, words: str, size: int = TEXT) -> None:
        draw.text((x, y), shortened(shown(words, size), size, width - x - MARGIN), INK, font(size))

    text(MARGIN, MARGIN, f"{title}: x {found.x + 1}, y {found.y + 1}", 22)
    top = MARGIN + 2 * LINE
    palette = np.array(
        [[level * 255 // PAPER] * 3 for level in range(GREYS)] + [list(colour) for colour in COLOURS.values()], np.uint8
    )
    row, column = place[0].stop - 1 - found.y, found.x - place[1].start
    for left, dots in ((MARGIN, plain), (MARGIN + SIDE + GAP, outlined(plain, flags, reasons))):
        panel = Image.fromarray(palette[dots]).resize((dots.shape[1] * LARGER, dots.shape[0] * LARGER), 0)
        image.paste(panel, (left, top))
        step = ZOOM * LARGER
        x, y = left + column * step, top + row * step
        draw.rectangle((x - 2, y - 2, x + step + 1, y + step + 1), outline=INK)
    y = top + SIDE + LINE // 2
    for reason in there:
        draw.rectangle((MARGIN, y + 2, MARGIN + TEXT, y + 2 + TEXT), fill=COLOURS[Flag(reason.bit)])
        text(MARGIN + 26, y, f"{reason.label}, {reason.pixels:,} of these pixels")
        y += LINE
    for line in lines:
        text(MARGIN + INDENT * line.startswith(" "), y, line.strip())
        y += LINE
    with whole_file(picture) as part:
        image.save(part, "PNG")
