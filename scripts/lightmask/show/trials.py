"""Settings side by side on the same frame: the whole of it small, and the same cut-outs for each."""

import html
import math
import os
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.fits import whole_file
from lightmask.masks import Trial, Trials
from lightmask.quality import Event, Events
from lightmask.show.pictures import COLOURS, blocks, font, means, shortened, shown, stretched

SIDE, MAP, GAP, LABELS, LINE = 146, 300, 14, 190, 22
"""Sides of a cut-out and of a map, what is between them, room for labels, and for a line of text, in dots."""
LEAST, RIM = 24, 4
"""Side of a cut-out, at least, and what is around an event in it, in pixels."""
MOST_EVENTS = 400
"""Events that are looked at, of those that settings see in different ways."""
EDGE, NEAR = 8, 2
"""How far an event at the edge, or beside a bad pixel, is from it, at most, in pixels."""
CUTOUTS = 8
ALL, SOME = COLOURS[Flag.COSMIC], (0, 114, 178)
"""Colours of pixels that all settings flag, and of those that only some do."""
INK, SOFT, PAPER = (25, 25, 25), (95, 95, 95), (255, 255, 255)
BAD = Flag.FLAT | Flag.DARK | Flag.INHERITED | Flag.SATURATED | Flag.NODATA | Flag.NOTFINITE | Flag.EDGE


class Doubt(NamedTuple):
    """An event that is worth looking at, and why."""

    event: Event
    why: str


def doubtful(data: Any, trials: Sequence[Trial]) -> list[Doubt]:
    """Choose events in which settings differ, each for another reason, and two in which they may agree.

    Parameters
    ----------
    data : ndarray or Pixels
        The image.
    trials : sequence of Trial
        What each setting flags.

    Returns
    -------
    list of Doubt
        Eight at the most.
    """
    union = np.bitwise_or.reduce([trial.flags for trial in trials])
    events = Events(data, union)
    found = events.strongest()
    counts = np.array([[_pixels(trial.flags, event) for trial in trials] for event in found]).reshape(-1, len(trials))
    differ = counts.max(axis=1, initial=0) - counts.min(axis=1, initial=1 << 30) if len(found) else np.zeros(0)
    order = np.argsort(-differ, kind="stable")
    open_ = [found[place] for place in order[:MOST_EVENTS] if differ[place] > 0]
    some = [found[p] for p in order[:MOST_EVENTS] if differ[p] > 0 and counts[p].min() == 0]
    agreed = [found[place] for place in range(len(found)) if counts[place].min() > 0]
    ny, nx = union.shape

    def at_edge(event: Event) -> bool:
        return min(event.left, event.bottom, nx - 1 - event.right, ny - 1 - event.top) < EDGE

    def beside_bad(event: Event) -> bool:
        rows, columns = (
            slice(max(event.bottom - NEAR, 0), event.top + NEAR + 1),
            slice(max(event.left - NEAR, 0), event.right + NEAR + 1),
        )
        return bool((union[rows, columns] & np.int16(BAD)).any())

    def length(event: Event) -> int:
        return max(event.right - event.left, event.top - event.bottom)

    asked = [
        ("most pixels differ", open_),
        ("strongest, not in all", sorted(some, key=lambda event: -event.signal)),
        ("faintest, not in all", sorted(some, key=lambda event: event.signal)),
        ("on the brightest source", sorted(open_, key=lambda event: -events.background(event))),
        ("at the edge", filter(at_edge, open_)),
        ("beside bad pixels", filter(beside_bad, open_)),
        ("longest", sorted(found, key=length, reverse=True)),
        ("faintest in all", sorted(agreed, key=lambda event: event.signal)),
        *[("differs", open_)] * CUTOUTS,
        *[("strongest in all", agreed)] * CUTOUTS,
    ]
    chosen: list[Doubt] = []
    for why, candidates in asked:
        apart = (
            e for e in candidates if all(max(abs(e.x - d.event.x), abs(e.y - d.event.y)) > LEAST // 2 for d in chosen)
        )
        event = next(apart, None)
        if event is not None and len(chosen) < CUTOUTS:
            chosen.append(Doubt(event, why))
    return chosen


def _pixels(flags: NDArray[np.int16], event: Event) -> int:
    box = flags[event.bottom : event.top + 1, event.left : event.right + 1]
    return int(np.count_nonzero(box & np.int16(Flag.COSMIC)))


def draw_trials(trials: Trials, picture: str | os.PathLike, title: str) -> None:
    """Draw settings side by side into a PNG file.

    Parameters
    ----------
    trials : Trials
        As `lightmask.masks.try_settings` gives them.
    picture : path
        Where to write.
    title : str
        Name of the frame.
    """
    from PIL import Image, ImageDraw

    data, each = trials.data, trials.each
    chosen = doubtful(data, each)
    masks = [(trial.flags & np.int16(Flag.COSMIC)) != 0 for trial in each]
    in_all, in_some = np.logical_and.reduce(masks), np.logical_or.reduce(masks)
    height = -(-data.shape[0] // _factor(data.shape))
    top = 3 * GAP + 6 * LINE + height
    width = 2 * GAP + LABELS + len(each) * (MAP + GAP)
    image = Image.new("RGB", (width, top + len(chosen) * (SIDE + GAP) + 3 * LINE), PAPER)
    draw = ImageDraw.Draw(image)

    def text(
        x: float, y: float, words: str, size: int = 15, ink: tuple[int, int, int] = INK, room: float = math.inf
    ) -> None:
        draw.text((x, y), shortened(shown(words, size), size, room), ink, font(size))

    text(GAP, GAP, title, 22, room=width - 2 * GAP)
    for number, (trial, mask) in enumerate(zip(each, masks, strict=True)):
        x = GAP + LABELS + number * (MAP + GAP)
        text(x, GAP + 2 * LINE, trial.name, 17, room=MAP)
        text(x, GAP + 3 * LINE, f"{trial.pixels:,} pixels in {trial.events:,} events", ink=SOFT)
        text(x, GAP + 4 * LINE, f"{trial.seconds:.2f} s", ink=SOFT)
        image.paste(Image.fromarray(_map(data, trial.flags, mask, in_all)), (x, GAP + 5 * LINE + 8))
    for row, doubt in enumerate(chosen):
        y = top + row * (SIDE + GAP)
        event = doubt.event
        text(GAP, y, doubt.why, room=LABELS)
        text(GAP, y + LINE, f"x {event.x + 1}, y {event.y + 1}", ink=SOFT)
        text(GAP, y + 2 * LINE, f"{event.pixels:,} pixels", ink=SOFT)
        for number, (trial, mask) in enumerate(zip(each, masks, strict=True)):
            x = GAP + LABELS + number * (MAP + GAP)
            plain, marked = _cutout(data, trial.flags, mask, in_all, event)
            image.paste(Image.fromarray(marked), (x, y))
            image.paste(Image.fromarray(plain), (x + MAP - SIDE, y))
    y = top + len(chosen) * (SIDE + GAP)
    for place, (colour, words) in enumerate(
        ((ALL, "COSMIC with every setting"), (SOME, "COSMIC with this setting, not with every one"))
    ):
        draw.rectangle((GAP, y + place * LINE + 3, GAP + 14, y + place * LINE + 17), fill=colour)
        text(GAP + 22, y + place * LINE, words)
    disagreed = int(np.count_nonzero(in_some & ~in_all))
    text(GAP + LABELS + MAP + GAP, y, f"{disagreed:,} pixels differ; x and y count from 1, as in DS9", ink=SOFT)
    with whole_file(picture) as part:
        image.save(part, "PNG")


def write_trial_page(
    trials: Trials, lines: Sequence[str], picture: str | os.PathLike, path: str | os.PathLike, title: str
) -> None:
    """Write a page with what each setting flags, the picture, and lines for ``config.yaml``.

    Parameters
    ----------
    trials : Trials
        As `lightmask.masks.try_settings` gives them.
    lines : sequence of str
        That set them.
    picture : path
        As `draw_trials` drew it, in the folder of the page.
    path : path
        HTML file to write.
    title : str
        Name of the frame.
    """
    rows = []
    for each in trials.each:
        numbers = f"{each.pixels:,}", f"{each.events:,}", f"{each.seconds:.2f}"
        cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
        rows.append(f'<tr><th scope="row">{html.escape(each.name)}</th>{cells}</tr>')
    text = Template(Path(__file__).with_name("trial.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(shown(title, 22)),
        rows="".join(rows),
        picture=html.escape(quote(Path(picture).name)),
        lines=html.escape("\n".join(lines)),
    )
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def _factor(shape: tuple[int, ...]) -> int:
    """Return how many pixels along a side are a dot of the map."""
    return math.ceil(max(shape) / MAP)


def _map(data: Any, flags: NDArray[np.int16], mask: NDArray[np.bool_], in_all: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the whole image small, row 0 at the bottom, with what is flagged in colour."""
    factor = _factor(data.shape)
    greys = stretched(means(data, factor), blocks(flags, factor, np.bitwise_or) != 0)
    dots = np.repeat(_light(greys)[..., None], 3, axis=2)
    for which, colour in ((mask & in_all, ALL), (mask & ~in_all, SOME)):
        dots[blocks(which.view(np.uint8), factor, np.bitwise_or) != 0] = colour
    return np.ascontiguousarray(dots[::-1])


def _light(greys: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return greys of 240 levels as ones of 256."""
    return (greys.astype(np.uint16) * 255 // 239).astype(np.uint8)


def _cutout(
    data: Any, flags: NDArray[np.int16], mask: NDArray[np.bool_], in_all: NDArray[np.bool_], event: Event
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return what is around an event, and the same with a line around each pixel that is flagged."""
    side = max(LEAST, event.right - event.left + 2 * RIM, event.top - event.bottom + 2 * RIM)
    side = min(side, *data.shape)
    middle = (event.bottom + event.top) // 2, (event.left + event.right) // 2
    starts = [max(0, min(at - side // 2, length - side)) for at, length in zip(middle, data.shape, strict=True)]
    place = tuple(slice(start, start + side) for start in starts)
    rows = data[place[0]][:, place[1]]
    # Dots to pixels, so that a cut-out of any side fills its square.
    index = np.arange(SIDE) * side // SIDE
    greys = _light(stretched(rows, flags[place] != 0, to_maximum=True))
    plain = np.repeat(greys[np.ix_(index, index)][..., None], 3, axis=2)
    marked = plain.copy()
    for which, colour in ((mask & in_all, ALL), (mask & ~in_all, SOME)):
        cut = which[place]
        inside = cut[np.ix_(index, index)]
        padded = np.pad(cut, 1)
        border = np.zeros((SIDE, SIDE), bool)
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            beside = padded[1 + dy : 1 + dy + side, 1 + dx : 1 + dx + side][np.ix_(index, index)]
            step = np.roll(index, -1 if dy > 0 or dx > 0 else 1) != index
            near = step[:, None] if dy else step[None, :]
            border |= inside & ~beside & near
        border |= inside & np.roll(border, 1, axis=0) | inside & np.roll(border, 1, axis=1)
        marked[border] = colour
    return np.ascontiguousarray(plain[::-1]), np.ascontiguousarray(marked[::-1])
