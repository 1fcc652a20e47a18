"""Quick-look pictures of masked frames and of combined masks: small PNG files.

They are drawn with numpy and Pillow alone: a night has hundreds of frames, and a
plotting library takes longer to import than a frame takes to draw. A picture has one
byte a dot: `GREYS` shades from black to white, in which text blends as it does in any
grey image, and above them the colours of the flags.
"""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import IN_USE, Flag, key
from lightmask.fits import Hdu, Header, find_images, opened, readable, whole_file
from lightmask.masks import Masked
from lightmask.messages import without_middle
from lightmask.night import names
from lightmask.quality import CUTOUT, Event, Events, around

# Okabe and Ito's palette, but for DARK and NOTFINITE: colour-blind readers can tell all of them apart.
COLOURS = {
    Flag.FLAT: (86, 180, 233),
    Flag.DARK: (0, 110, 80),
    Flag.COSMIC: (213, 94, 0),
    Flag.SATURATED: (204, 121, 167),
    Flag.INHERITED: (230, 159, 0),
    Flag.NOTFINITE: (0, 70, 160),
    Flag.SUSPECT: (240, 228, 66),
    Flag.EDGE: (128, 112, 214),
    Flag.NODATA: (134, 84, 39),
}
GREYS = 240
INK, SOFT_INK, RULE, PAPER = 25, 90, 205, GREYS - 1
MAP_BYTES = 135_000
"""What the greys of a map may take of the file: noise cannot be compressed, only shown in fewer greys."""
THUMBNAIL, THUMBNAIL_BYTES = 256, 15_000
"""Largest side of a thumbnail, and what its greys may take of the file."""
STRIPS, SAMPLED_ROWS = 32, 400
# Sizes, in dots.
TITLE, TEXT, SMALL = 26, 16, 13
LINE, NOTE_LINE, GAP, GUTTER, MARGIN = 24, 20, 36, 24, 40
LEFT, TOP = MARGIN + 44, MARGIN + 78
"""Where the map begins: left of it stand the numbers of rows, above it title and caption."""
LARGEST_ZOOM, THINNEST = 16, 24
"""How much a small frame is enlarged at the most, and what even a single row gets."""
FEW = 0.03
"""Fraction of the map up to which flagged dots are drawn larger."""
EVENTS, CANDIDATES = 4, 60
ZOOM, BORDER = 7, 2
"""Dots along the side of a pixel in an inset, and how many of these an outline takes."""
INSET = CUTOUT * ZOOM
PAIR = 2 * INSET + 8
TILE = INSET + LINE + 10
"""Two insets are so wide, as is all else in the panel, and with their label so high."""
LARGEST, LARGEST_WIDE = 1100, EVENTS * PAIR + (EVENTS - 1) * GUTTER
LEAST = 830
"""Largest side of a map beside the panel, largest width of one above it; least width of all."""
LANDSCAPE = 1.2
"""Width of a map, in its height, from which on events stand below it."""
PROFILE, LABEL_ROOM = 120, 90
PROFILE_ROOM = LINE + PROFILE
SOURCES = 12
SOURCE = re.compile(r"LIGHTMASK (FLAT|DARK)\d+")
"""Keyword of the name of a mask in a combined mask."""
LARGER = " and then drawn larger"
COORDINATES = "x and y count from 1, row 1 is at the bottom, as in DS9."
LONGEST = 400
"""Letters of a name that are looked at: no more fit."""
SAMPLE = 100_000
"""Pixels from which the noise is taken."""


class Reason(NamedTuple):
    """What the picture shows of a pixel: its bit, what the legend calls it, the dot's index, how many there are."""

    bit: int
    label: str
    colour: int
    pixels: int


# --- the two pictures ----------------------------------------------------------------


def draw_frame(
    found: Sequence[Masked],
    picture: str | os.PathLike,
    title: str,
    caption: str = "",
    thumbnail: str | os.PathLike | None = None,
) -> None:
    """Draw a masked frame, its flags in colour, and its strongest cosmic rays without and with flags.

    Parameters
    ----------
    found : sequence of Masked
        What `lightmask.masks.mask_frame` found in each image; one is drawn below the other.
    picture : path
        PNG file.
    title : str
        Name of the frame. What the font lacks is escaped; what is too long is
        shortened in the middle.
    caption : str, optional
        A line below it: filter, exposure, date.
    thumbnail : path, optional
        PNG file of a few hundred dots: the first image with its flags.
    """
    if thumbnail is not None:
        _draw_thumbnail(found[0], thumbnail)
    pages = []
    for each in found:
        label = each.image.label
        heading = "  ·  ".join(filter(None, (label and f"image {label}", caption)))
        events = each.events or Events(each.image.data, each.flags)
        pages.append(_page_of(each, events, title, heading))
    save(pages, picture)


def _searched_by(found: Masked, sky: float) -> str:
    """Say with which numbers an image was searched."""
    given = found.parameters
    words = {"gain": "gain {} e-/adu", "readnoise": "read noise {} e-", "satlevel": "saturation {} e-"}
    parts = [text.format(_number(float(given[key]))) for key, text in words.items() if key in given]
    several = "" if parts else ", with the numbers of its amplifiers"
    return f"Searched by {given['detector']}{several}: {', '.join([*parts, f'sky {_number(sky)}'])}."


def _draw_thumbnail(found: Masked, path: str | os.PathLike) -> None:
    """Draw an image with its flags, without a word."""
    from PIL import Image

    data, flags = found.image.data, found.flags
    factor = math.ceil(max(data.shape) / THUMBNAIL)
    cells = blocks(flags, factor, np.bitwise_or)
    with np.errstate(over="ignore", invalid="ignore"):
        greys = coarsened(stretched(means(data, factor), cells != 0), cells, THUMBNAIL_BYTES)
    dots = Image.fromarray(np.ascontiguousarray(greys[::-1]))
    for flag in sorted(IN_USE, key=lambda flag: -found.statistics[key(flag)]):
        hit = np.ascontiguousarray((cells & np.int16(flag))[::-1] != 0)
        dots.paste(GREYS + IN_USE.index(flag), (0, 0), Image.fromarray(hit))
    _write(dots, path)


def _page_of(found: Masked, events: Events, title: str, caption: str) -> "Page":
    """Draw one image of a frame."""
    data, flags, pixels = found.image.data, found.flags, found.statistics
    reasons = [Reason(flag, flag.name or "", GREYS + n, pixels[key(flag)]) for n, flag in enumerate(IN_USE)]
    with np.errstate(over="ignore", invalid="ignore"):  # whatever a frame holds, it is drawn
        shown_events = worth_showing(events, EVENTS)
    layout = Layout.of(data.shape)
    legend = [*reasons, Reason(0, "in MASK", PAPER, pixels["masked"])]
    x_events, y_events = layout.events(len(legend))
    cells = blocks(flags, layout.factor, np.bitwise_or)
    wide = spread(cells, layout)
    notes = [_searched_by(found, events.sky)] if "detector" in found.parameters else []
    notes += [f"{layout.scale}{LARGER * (wide is not cells)}; brighter is darker, asinh stretch.", COORDINATES]
    if shown_events:
        notes.append(
            f"Cosmic rays: {CUTOUT} x {CUTOUT} pixels, on the right with flags outlined; sum above the median around."
        )

    rows_of_events = math.ceil(len(shown_events) / layout.events_in_a_row)
    page = Page(layout, y_events + 30 + rows_of_events * TILE, notes)
    page.heading(title, caption)
    greys = coarsened(stretched(means(data, layout.factor), cells != 0), wide)
    page.put(enlarged(greys, layout.zoom), LEFT, TOP)
    for number, event in enumerate(shown_events, 1):
        page.mark(layout, event, str(number))
    page.paint(layout, wide, reasons)  # after the marks, which must hide no flag
    page.paint(layout, cells, reasons)
    page.frame(layout)
    page.ticks(layout)
    page.legend(layout, legend, flags.size)

    page.text(x_events, y_events + TEXT, "Strongest cosmic rays" if shown_events else "No cosmic rays", TEXT)
    for number, event in enumerate(shown_events):
        line, column = divmod(number, layout.events_in_a_row)
        x, y = x_events + column * (PAIR + GUTTER), y_events + 30 + line * TILE
        page.text(x, y + SMALL, f"{number + 1}    x {event.x + 1}   y {event.y + 1}", SMALL)
        label = f"{event.pixels:,} px, sum {_number(event.signal)}"
        page.text(x + PAIR, y + SMALL, label, SMALL, SOFT_INK, anchor="rs")
        cutout = around(event, data.shape)
        plain = enlarged(stretched(data[cutout], flags[cutout] != 0, to_maximum=True), (ZOOM, ZOOM))
        page.put(plain, x, y + LINE - 4)
        page.put(outlined(plain, flags[cutout], reasons), x + PAIR - INSET, y + LINE - 4)
    return page


def draw_combined_mask(
    combined_mask: str | os.PathLike, picture: str | os.PathLike, title: str, caption: str = ""
) -> None:
    """Draw a combined mask, with the number of bad pixels in each column and row.

    Parameters
    ----------
    combined_mask : path
        What `lightmask.masks.combine_files` wrote.
    picture : path
        PNG file.
    title, caption : str
        As in `draw_frame`.

    Raises
    ------
    FrameError
        If the file cannot be read.
    """
    name = os.fspath(combined_mask)
    with opened(name, name) as (hdus, _), readable(name):
        images = [hdus[place] for place in find_images([hdu.header for hdu in hdus], name)]
        pages = [_page_of_mask(hdu, hdus[0].header, title, caption) for hdu in images]
    save(pages, picture)


def _page_of_mask(hdu: Hdu, primary: Header, title: str, caption: str) -> "Page":
    """Draw the combined mask of one image of a frame."""
    combined, label = hdu.pixels(), hdu.header.get("LIGHTMASK IMAGE")
    # Both is a reason of its own: of a block of pixels, some may be bad in the flat, others in the dark.
    kinds = np.array([0, 1, 2, 7], np.uint8)[combined & 3]
    reasons = [
        Reason(bit, label, GREYS + colour, int(np.count_nonzero(kinds & np.uint8(bit))))
        for bit, label, colour in ((1, "flat", 0), (2, "dark", 1), (4, "both", 2))
    ]
    layout = Layout.of(kinds.shape, profiles=True)
    legend = [*reasons, Reason(0, "union", PAPER, int(np.count_nonzero(kinds)))]
    sources = [
        f"{keyword.split()[1].rstrip('0123456789').lower()}: {names.decode(str(primary[keyword]))}"
        for keyword in primary.keywords()
        if SOURCE.fullmatch(keyword)
    ]
    if len(sources) > SOURCES:
        sources[SOURCES - 1 :] = [f"and {len(sources) - SOURCES + 1} more"]
    y_sources = layout.panel[1] + layout.lines(len(legend)) * LINE + LINE
    cells = blocks(kinds, layout.factor, np.bitwise_or)
    wide = spread(cells, layout)
    notes = [
        f"{layout.scale}{LARGER * (wide is not cells)}.",
        COORDINATES,
        "Profiles: bad pixels in each column and row, on a logarithmic scale.",
    ]

    page = Page(layout, y_sources + bool(sources) * LINE + layout.lines(len(sources)) * LINE, notes)
    page.heading(title, "  ·  ".join(filter(None, (label and f"image {label}", caption))))
    page.paint(layout, wide, reasons)
    page.paint(layout, cells, reasons)
    page.frame(layout)
    page.profiles(layout, np.count_nonzero(kinds, axis=0), np.count_nonzero(kinds, axis=1))
    page.ticks(layout)
    page.legend(layout, legend, kinds.size)
    if sources:
        page.text(layout.panel[0], y_sources + TEXT, "Masks combined", TEXT)
    for number, source in enumerate(sources):
        x, y = layout.place(number, y_sources + LINE, LINE)
        page.text(x, y + TEXT, source, SMALL, SOFT_INK, PAIR)
    return page


# --- where things are ------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """Where the parts of a picture are, in dots from its upper left corner.

    The map is reduced by a whole factor, or enlarged by one, until it fills its
    place. A panel stands beside it; below it, in several columns, if the frame is wide.
    """

    rows: int
    columns: int
    factor: int
    zoom: tuple[int, int]
    profiles: bool
    wide: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], profiles: bool = False) -> "Layout":
        """Lay out a picture of a frame of this shape."""
        rows, columns = shape
        wide = columns >= 2 * rows and columns > LARGEST // 2
        room = LARGEST_WIDE - profiles * (PROFILE_ROOM + LABEL_ROOM) if wide else LARGEST
        factor = max(math.ceil(rows / LARGEST), math.ceil(columns / room))
        cells = math.ceil(rows / factor), math.ceil(columns / factor)
        zoom = max(1, min(LARGEST_ZOOM, LARGEST // cells[0], room // cells[1]))
        along_y, along_x = (max(zoom, math.ceil(THINNEST / number)) for number in cells)
        return cls(rows, columns, factor, (along_y, along_x), profiles, wide)

    @property
    def height(self) -> int:
        """Height of the map."""
        return math.ceil(self.rows / self.factor) * self.zoom[0]

    @property
    def width(self) -> int:
        """Width of the map."""
        return math.ceil(self.columns / self.factor) * self.zoom[1]

    @property
    def bottom(self) -> int:
        """Where the map ends, with the profile below it if there is one."""
        return TOP + self.height + (PROFILE_ROOM if self.profiles else 0)

    @property
    def right(self) -> int:
        """Where the map ends, with the profile beside it if there is one, and the labels of that."""
        return LEFT + self.width + (PROFILE_ROOM + LABEL_ROOM if self.profiles else 0)

    @property
    def panel(self) -> tuple[int, int]:
        """Upper left corner of the panel."""
        return (LEFT, self.bottom + GAP + LINE) if self.wide else (self.right + GAP, TOP)

    @property
    def page_width(self) -> int:
        """Width of the picture; a title needs some even above a narrow map."""
        right = self.panel[0] + (LARGEST_WIDE if self.wide else PAIR)
        return max(right, LEFT + LEAST, LEFT + self.room if self.is_landscape else 0) + MARGIN

    @property
    def is_landscape(self) -> bool:
        """Whether a frame is so much wider than high that its events fill the space below the map."""
        is_wider = self.width >= LANDSCAPE * self.height and self.room >= 2 * PAIR + GUTTER
        return is_wider and not (self.wide or self.profiles)

    @property
    def room(self) -> int:
        """Width of map and panel; of all events in a row, if that is only a little more."""
        room = self.panel[0] + PAIR - LEFT
        return LARGEST_WIDE if room < LARGEST_WIDE < room + PAIR // 2 else room

    @property
    def events_in_a_row(self) -> int:
        """Pairs of insets that stand side by side."""
        if self.wide:
            return EVENTS
        return min((self.room + GUTTER) // (PAIR + GUTTER), EVENTS) if self.is_landscape else 1

    def events(self, lines: int) -> tuple[int, int]:
        """Return the upper left corner of the events, below a legend of so many lines or below the map."""
        if self.is_landscape:
            return LEFT, max(self.bottom + GAP, self.panel[1] + lines * LINE) + LINE // 2
        return self.panel[0], self.panel[1] + self.lines(lines) * LINE + LINE

    def lines(self, number: int) -> int:
        """Return the lines that so many things need in the panel."""
        return math.ceil(number / EVENTS) if self.wide else number

    def place(self, number: int, top: int, height: int) -> tuple[int, int]:
        """Return the upper left corner of one of several things of a height in the panel."""
        line, column = divmod(number, EVENTS) if self.wide else (number, 0)
        return self.panel[0] + column * (PAIR + GUTTER), top + line * height

    def dot(self, x: float, y: float) -> tuple[int, int]:
        """Return the dot of the map that shows the middle of a pixel, counted from 0."""
        along_y, along_x = self.zoom
        return (
            LEFT + int((x + 0.5) / self.factor * along_x),
            TOP + self.height - 1 - int((y + 0.5) / self.factor * along_y),
        )

    @property
    def scale(self) -> str:
        """Say how large pixels are in the map."""
        if self.zoom != (1, 1) and self.factor == 1:
            return f"Map: a pixel is {self.zoom[1]} x {self.zoom[0]} dots, in the colour of its rarest flag"
        dot = f"{self.factor} x {self.factor} pixels" if self.factor > 1 else "a pixel"
        return f"Map: a dot is {dot}, in the colour of the rarest flag"


class Page:
    """A picture being drawn."""

    def __init__(self, layout: Layout, panel_bottom: int, notes: Sequence[str]):
        from PIL import Image, ImageDraw

        y = max(panel_bottom, layout.bottom + GAP)
        self.image = Image.new("L", (layout.page_width, y + len(notes) * NOTE_LINE + MARGIN), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        for number, note in enumerate(notes):
            self.text(LEFT, y + number * NOTE_LINE + SMALL, note, SMALL, SOFT_INK)

    def text(
        self, x: float, y: float, text: str, size: int, ink: int = INK, room: float = math.inf, anchor: str = "ls"
    ) -> None:
        """Write text on a base line, shortened in the middle if there is no room for it."""
        self.draw.text((x, y), shortened(shown(text, size), size, room), ink, font(size), anchor)

    def heading(self, title: str, caption: str) -> None:
        """Write what the picture shows."""
        room = self.image.width - LEFT - MARGIN
        self.text(LEFT, MARGIN + TITLE - 4, title, TITLE, room=room)
        self.text(LEFT, MARGIN + TITLE + LINE, caption, TEXT, SOFT_INK, room)

    def put(self, dots: NDArray[np.uint8], x: int, y: int) -> None:
        """Draw an image."""
        from PIL import Image

        self.image.paste(Image.fromarray(np.ascontiguousarray(dots)), (x, y))

    def paint(self, layout: Layout, cells: NDArray[Any], reasons: Sequence[Reason]) -> None:
        """Colour the flagged dots of the map, rarer reasons above more frequent ones."""
        from PIL import Image

        for reason in sorted((reason for reason in reasons if reason.pixels), key=lambda reason: -reason.pixels):
            hit = enlarged((cells & cells.dtype.type(reason.bit)) != 0, layout.zoom)
            self.image.paste(reason.colour, (LEFT, TOP), Image.fromarray(hit))

    def mark(self, layout: Layout, event: Event, label: str) -> None:
        """Draw a square around a cosmic ray in the map, and a label beside it, legible on any grey."""
        x, y = layout.dot(event.x, event.y)
        half = max(CUTOUT // layout.factor * layout.zoom[0] // 2, 7)
        for grow, ink, width in ((1, PAPER, 3), (0, INK, 1)):
            box = (
                max(x - half - grow, LEFT),
                max(y - half - grow, TOP),
                min(x + half + grow, LEFT + layout.width - 1),
                min(y + half + grow, TOP + layout.height - 1),
            )
            self.draw.rectangle(box, outline=ink, width=width)
        y = max(TOP + half, min(y, TOP + layout.height - half))
        at_the_right = layout.width > 4 * LINE and x + half + LINE > LEFT + layout.width
        where, anchor = ((x - half - 5, y), "rm") if at_the_right else ((x + half + 5, y), "lm")
        self.draw.text(where, label, INK, font(TEXT), anchor, stroke_width=2, stroke_fill=PAPER)

    def frame(self, layout: Layout) -> None:
        """Draw a line around the map."""
        box = (LEFT - 1, TOP - 1, LEFT + layout.width, TOP + layout.height)
        self.draw.rectangle(box, outline=SOFT_INK)

    def ticks(self, layout: Layout) -> None:
        """Write the numbers of columns and rows, from 1."""
        for x in round_numbers(layout.columns, 90 * layout.factor / layout.zoom[1]):
            across, _ = layout.dot(x - 1, 0)
            self.draw.line((across, layout.bottom + 1, across, layout.bottom + 5), SOFT_INK)
            self.text(across, layout.bottom + 10 + SMALL, str(x), SMALL, SOFT_INK, anchor="ms")
        for y in round_numbers(layout.rows, 60 * layout.factor / layout.zoom[0]):
            _, down = layout.dot(0, y - 1)
            self.draw.line((LEFT - 6, down, LEFT - 2, down), SOFT_INK)
            self.text(LEFT - 9, down, str(y), SMALL, SOFT_INK, anchor="rm")

    def profiles(self, layout: Layout, of_columns: NDArray[np.intp], of_rows: NDArray[np.intp]) -> None:
        """Draw the number of bad pixels of each column below the map, and of each row beside it."""
        top, left = layout.bottom - PROFILE, LEFT + layout.width + LINE
        self.put(bars(of_columns, layout.factor, layout.zoom[1]), LEFT, top)
        self.put(bars(of_rows, layout.factor, layout.zoom[0])[::-1, ::-1].T, left, TOP)
        self.draw.line((LEFT - 1, layout.bottom, LEFT + layout.width, layout.bottom), SOFT_INK)
        self.draw.line((left - 1, TOP - 1, left - 1, TOP + layout.height), SOFT_INK)
        for level, count in powers_of_ten(of_columns):
            self.text(LEFT - 9, layout.bottom - level, count, SMALL, SOFT_INK, anchor="rm")
        for level, count in powers_of_ten(of_rows):
            self.text(left + level, TOP + layout.height + 4 + SMALL, count, SMALL, SOFT_INK, anchor="ms")
        taken: list[tuple[float, float]] = []
        for x in outstanding(of_columns):
            label = f"x {x + 1}: {of_columns[x]:,}"
            half = font(SMALL).getlength(label) / 2
            across = min(layout.dot(x, 0)[0], LEFT + layout.width - half)  # right of it stand other numbers
            if all(across + half + 8 < low or across - half - 8 > high for low, high in taken):
                taken.append((across - half, across + half))
                self.text(across, top - 6, label, SMALL, anchor="ms")
        taken.clear()
        for y in outstanding(of_rows):
            down = layout.dot(0, y)[1]
            if all(abs(down - low) > SMALL + 5 for low, _ in taken):
                taken.append((down, down))
                self.text(left + PROFILE + 6, down, f"y {y + 1}: {of_rows[y]:,}", SMALL, anchor="lm")

    def legend(self, layout: Layout, reasons: Sequence[Reason], size: int) -> None:
        """Say what the colours mean, and how many pixels there are of each."""
        for number, reason in enumerate(reasons):
            x, y = layout.place(number, layout.panel[1], LINE)
            ink = INK if reason.pixels else SOFT_INK
            if reason.bit:
                self.draw.rectangle((x, y + 1, x + TEXT - 1, y + TEXT), fill=reason.colour)
            self.text(x + 26, y + TEXT - 1, reason.label, TEXT, ink)
            self.text(x + PAIR - 90, y + TEXT - 1, f"{reason.pixels:,}", TEXT, ink, anchor="rs")
            self.text(x + PAIR, y + TEXT - 1, percent(reason.pixels, size), TEXT, ink, anchor="rs")


def save(pages: Sequence[Page], picture: str | os.PathLike) -> None:
    """Write pages, one below the other, as a PNG file, which holds no time."""
    from PIL import Image

    image = pages[0].image
    if len(pages) > 1:
        height = sum(page.image.height for page in pages)
        image = Image.new("P", (max(page.image.width for page in pages), height), PAPER)
        top = 0
        for page in pages:
            image.paste(page.image, (0, top))
            top += page.image.height
    _write(image, picture)


def _write(image: Any, picture: str | os.PathLike) -> None:
    """Write dots as a PNG file."""
    greys = [level * 255 // PAPER for level in range(GREYS) for _ in "rgb"]
    image.putpalette(greys + [part for colour in COLOURS.values() for part in colour])
    with whole_file(picture) as part:
        image.save(part, "PNG", compress_level=1)  # a third of the time of 6, for a fifth more bytes


# --- text ------------------------------------------------------------------------------


@cache
def font(size: int) -> Any:
    """Load a font.

    DejaVu, which comes with matplotlib and with many systems, has the letters of
    most alphabets; Pillow's own font has hardly more than ASCII.
    """
    from PIL import ImageFont

    found = find_spec("matplotlib")  # does not import it
    folders = (found and found.submodule_search_locations) or []
    for path in [*(f"{folder}/mpl-data/fonts/ttf/DejaVuSans.ttf" for folder in folders), "DejaVuSans.ttf"]:
        try:
            return ImageFont.truetype(path, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def shown(text: str, size: int) -> str:
    """Escape what cannot be shown: line ends, what turns the direction, letters that the font lacks."""
    text = without_middle(text, LONGEST)
    missing = bytes(font(size).getmask("\U0010ffff"))

    def has_shape(letter: str) -> bool:
        return letter.isascii() or bytes(font(size).getmask(letter)) != missing

    return "".join(
        letter if letter.isprintable() and has_shape(letter) else letter.encode("unicode_escape").decode()
        for letter in text
    )


def shortened(text: str, size: int, room: float) -> str:
    """Leave out the middle of a text that is too long."""
    if font(size).getlength(text) <= room:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        half = (fits + too_long) // 2
        fitting = font(size).getlength(without_middle(text, half)) <= room
        fits, too_long = (half, too_long) if fitting else (fits, half)
    return without_middle(text, fits)


def percent(count: int, size: int) -> str:
    """Return a fraction of the frame, as ``0.056%``."""
    return "<0.001%" if 0 < count / size < 1e-5 else f"{count / size:.3%}"


def round_numbers(last: int, least: float) -> list[int]:
    """Choose which of the numbers from 1 to stand at an axis: 1, and multiples of a round step."""
    step = next(digit * 10**power for power in range(10) for digit in (1, 2, 5) if digit * 10**power >= least)
    return [1, *range(step if step > 1 else 2, last + 1, step)]


# --- from pixels to dots ---------------------------------------------------------------


def blocks(pixels: Any, factor: int, combine: np.ufunc, dtype: Any = None) -> NDArray[Any]:
    """Combine blocks of factor x factor pixels; at the far edges they may be smaller."""
    if factor == 1:
        return pixels[:].astype(dtype or pixels.dtype)
    rows, columns = (math.ceil(length / factor) for length in pixels.shape)
    result = np.empty((rows, columns), dtype or pixels.dtype)
    for row, y in enumerate(range(0, pixels.shape[0], factor)):  # row by row, in the cache
        line = combine.reduce(pixels[y : y + factor], axis=0, dtype=dtype)
        result[row] = line[::factor]
        for x in range(1, factor):
            part = line[x::factor]
            combine(result[row, : part.size], part, out=result[row, : part.size])
    return result


def enlarged(cells: NDArray[Any], zoom: tuple[int, int]) -> NDArray[Any]:
    """Draw each cell as so many dots along y and x, row 0 at the bottom."""
    dots = cells[::-1]
    for axis, times in enumerate(zoom):
        dots = dots.repeat(times, axis=axis) if times > 1 else dots
    return dots


def means(data: Any, factor: int) -> NDArray[Any]:
    """Average blocks of pixels. One with NaN has no mean, but a flag."""
    with np.errstate(invalid="ignore", over="ignore"):
        sums = blocks(data, factor, np.add, np.result_type(data.dtype, np.float32))
    rows, columns = (np.minimum(factor, length - np.arange(0, length, factor)) for length in data.shape)
    sums /= rows[:, None].astype(sums.dtype)
    sums /= columns.astype(sums.dtype)
    return sums


def stretched(values: NDArray[Any], flagged: NDArray[np.bool_], to_maximum: bool = False) -> NDArray[np.uint8]:
    """Turn values into greys, bright into dark: linear in the noise of the sky, logarithmic above.

    Parameters
    ----------
    values : ndarray
        Of any range, NaN and infinity among them.
    flagged : ndarray of bool
        What is not taken for sky, unless nothing else is there.
    to_maximum : bool
        Whether black is the highest value, flagged or not, or the highest of
        the sky and its stars but for 0.05%.
    """
    values = values.astype(np.result_type(values, np.float32), copy=False)
    finite = np.isfinite(values)
    if not finite.any():
        return np.full(values.shape, PAPER, np.uint8)
    few = np.s_[:: math.ceil(values.size / SAMPLE)]
    sample, usable = values.ravel()[few], (finite & ~flagged).ravel()[few]
    sky = sample[usable] if usable.any() else values[finite]
    sky = sky.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        middle = np.median(sky)
        black = values[finite].max() if to_maximum else np.quantile(sky, 0.9995)
        noise = 1.4826 * np.median(np.abs(sky - middle)) or np.std(sky) or 1.0
        levels = (values - middle.astype(values.dtype)).astype(np.float32, copy=False)
        levels /= np.float32(3 * noise)
        np.arcsinh(levels, out=levels)
        white, black = np.arcsinh(-1.0), np.arcsinh(max((black - middle) / (3 * noise), 20.0))
        levels -= np.float32(white)
        levels *= np.float32(PAPER / (black - white))
        levels[~finite | np.isnan(levels)] = 0
        np.clip(levels, 0, PAPER, out=levels)
    return (PAPER - np.rint(levels)).astype(np.uint8)


def spread(cells: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Copy the flags of each dot to its four neighbours too, for lone dots are hard to see, if they are few."""
    if layout.zoom != (1, 1) or np.count_nonzero(cells) > FEW * cells.size:
        return cells
    wide = cells.copy()
    wide[1:] |= cells[:-1]
    wide[:-1] |= cells[1:]
    wide[:, 1:] |= cells[:, :-1]
    wide[:, :-1] |= cells[:, 1:]
    return wide


def coarsened(greys: NDArray[np.uint8], flags: NDArray[Any], most: int = MAP_BYTES) -> NDArray[np.uint8]:
    """Use as few greys as it takes to keep the file small: no code packs noise below its entropy.

    This is computed in strips, for the code of a PNG file changes on its way. A
    flagged dot counts by its flags, for nobody sees its grey.
    """
    every = math.ceil(len(greys) / SAMPLED_ROWS)
    found, codes = np.unique(flags[::every], return_inverse=True)
    symbols = np.where(flags[::every], GREYS + codes.reshape(flags[::every].shape), greys[::every])
    kinds = GREYS + len(found)
    symbols += (np.arange(len(symbols)) * STRIPS // len(symbols))[:, None] * kinds
    counts = np.bincount(symbols.ravel(), minlength=STRIPS * kinds).reshape(STRIPS, kinds)
    for step in range(1, GREYS // 3):
        merged = np.add.reduceat(counts, [*range(0, GREYS, step), *range(GREYS, kinds)], axis=1)
        shares = merged / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        bits = -(merged * np.log2(shares, where=shares > 0, out=np.zeros_like(shares))).sum()
        if bits * every < 8 * most:
            break
    middles = np.minimum(np.arange(GREYS) // step * step + step // 2, PAPER)
    return middles.astype(np.uint8)[greys]


def level_of(counts: Any, largest: int) -> NDArray[np.int_]:
    """Return the height of counts in a profile, on a logarithmic scale that has a place for 0."""
    return np.rint((PROFILE - 1) * np.log1p(counts) / math.log1p(max(largest, 10))).astype(int)


def powers_of_ten(counts: NDArray[np.intp]) -> list[tuple[int, str]]:
    """Return level and label of the lines of a profile, at powers of ten."""
    largest = max(int(counts.max()), 10)
    powers = [10**power for power in range(1 + int(math.log10(largest)))]
    return [(int(level_of(n, largest)), f"{n // 1000}k" if n >= 1000 else f"{n}") for n in powers]


def bars(counts: NDArray[np.intp], factor: int, zoom: int) -> NDArray[np.uint8]:
    """Draw counts as columns, over lines at powers of ten; of a block, the largest."""
    dots = np.full((PROFILE, math.ceil(counts.size / factor) * zoom), PAPER, np.uint8)
    for level, _ in powers_of_ten(counts):
        dots[-1 - level] = RULE
    largest = np.maximum.reduceat(counts, np.arange(0, counts.size, factor)).repeat(zoom)
    dots[np.arange(PROFILE)[::-1, None] < level_of(largest, int(counts.max()))] = SOFT_INK
    return dots


def outstanding(counts: NDArray[np.intp]) -> list[int]:
    """List what has far more bad pixels than is usual, the worst first."""
    usual = float(np.median(counts))
    worst = np.argsort(-counts, kind="stable")[:CANDIDATES]
    return [int(number) for number in worst if counts[number] > usual + 5 * math.sqrt(usual + 1)]


def outlined(inset: NDArray[np.uint8], flags: NDArray[Any], reasons: Sequence[Reason]) -> NDArray[np.uint8]:
    """Draw a line inside the border of what is flagged, in the colour of the rarest reason."""
    flags = flags[::-1]
    colours = np.zeros(flags.shape, np.uint8)
    for reason in sorted(reasons, key=lambda reason: -reason.pixels):
        colours[(flags & flags.dtype.type(reason.bit)) != 0] = reason.colour
    dots = inset.copy().reshape(len(flags), ZOOM, -1, ZOOM)
    padded = np.pad(colours, 1)
    for side, neighbour in (
        (np.s_[:, :BORDER], padded[:-2, 1:-1]),
        (np.s_[:, -BORDER:], padded[2:, 1:-1]),
        (np.s_[..., :BORDER], padded[1:-1, :-2]),
        (np.s_[..., -BORDER:], padded[1:-1, 2:]),
    ):
        border = ((colours > 0) & (colours != neighbour))[:, None, :, None]
        dots[side] = np.where(border, colours[:, None, :, None], dots[side])
    return dots.reshape(inset.shape)


def worth_showing(events: Events, most: int) -> list[Event]:
    """Choose the cosmic rays with the largest sum above the local background.

    The background is the median of the pixels around without a flag. It is taken only
    for the candidates that are strongest above the sky of the whole frame. Of
    several in one cutout the strongest is shown.
    """
    candidates = []
    for event in events.strongest(CANDIDATES):
        local = events.background(event)
        candidates.append(event._replace(signal=event.signal - (local - events.sky) * event.pixels))
    chosen: list[Event] = []
    for event in sorted(candidates, key=lambda event: -event.signal):
        if len(chosen) < most and all(max(abs(event.x - e.x), abs(event.y - e.y)) > CUTOUT // 2 for e in chosen):
            chosen.append(event)
    return chosen


def _number(value: float) -> str:
    """Write a number briefly, whatever its size."""
    return f"{value:,.0f}" if 10 <= abs(value) < 1e7 else f"{value:.3g}"
