"""Quick-look pictures: what their dots say about the pixels of a frame."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lightmask.bits import IN_USE, REASONS, Flag
from lightmask.errors import FrameError
from lightmask.fits import Header
from lightmask.fits import Image as Image_
from lightmask.fits.checksums import write
from lightmask.fits.hdus import image_hdu
from lightmask.masks import Masked
from lightmask.masks.search import statistics
from lightmask.quality.events import Event, Events, around
from lightmask.show import pictures
from lightmask.show.pictures import COLOURS, INSET, LEFT, TOP, Layout, draw_combined_mask, draw_frame

WHITE = (255, 255, 255)


def draw(data, flags, path, title="frame.fits", caption=""):
    """Draw a frame; everything flagged is in MASK but what is saturated only."""
    data, flags = np.asarray(data), np.asarray(flags, np.int16)
    masked_by = [name for name in REASONS if name != "saturated"]
    image = Image_(data, None, False, Header())
    found = Masked(image, flags, statistics(flags, masked_by, []), {}, Events(data, flags))
    draw_frame([found], path, title, caption)


def drawn(folder, data, flags, title="frame.fits", caption=""):
    """Draw a frame and give the dots of the picture, as RGB."""
    draw(data, flags, folder / "frame.png", title, caption)
    return dots(folder / "frame.png")


def dots(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image.convert("RGB"))


def is_colour(picture, flag):
    return (picture == COLOURS[flag]).all(axis=-1)


def is_flag_colour(picture):
    return np.any([is_colour(picture, flag) for flag in IN_USE], axis=0)


def map_of(picture, layout):
    return picture[TOP : TOP + layout.height, LEFT : LEFT + layout.width]


def expected_cells(flags, factor):
    """Say block by block, in plain Python, which flags are in it; row 0 at the bottom."""
    rows, columns = (-(-length // factor) for length in flags.shape)
    found = np.zeros((rows, columns), np.int16)
    for y, x in zip(*np.nonzero(flags), strict=True):
        found[rows - 1 - y // factor, x // factor] |= flags[y, x]
    return found


def sky(shape, seed=1, level=300.0):
    return np.random.default_rng(seed).normal(level, 10, shape).astype(np.float32)


def scattered(shape, number, seed=2):
    """Give lone flagged pixels of all reasons, but no cosmic rays, whose marks would change the map."""
    rng = np.random.default_rng(seed)
    flags = np.zeros(shape, np.int16)
    for flag in IN_USE:
        if flag != Flag.COSMIC:
            flags[rng.integers(0, shape[0], number), rng.integers(0, shape[1], number)] |= np.int16(flag)
    return flags


@pytest.mark.parametrize(
    ("shape", "factor", "zoom"),
    [((60, 90), 1, 12), ((1024, 1100), 1, 1), ((2601, 2050), 3, 1), ((700, 4097), 3, 1), ((5003, 40), 5, 1)],
)
def test_every_flag_colours_its_dot_and_no_other(tmp_path, shape, factor, zoom):
    flags = scattered(shape, number=30)
    layout = Layout.of(shape)
    assert (layout.factor, layout.zoom[0]) == (factor, zoom)
    picture = map_of(drawn(tmp_path, sky(shape), flags), layout)
    cells = expected_cells(flags, factor).repeat(layout.zoom[0], axis=0).repeat(layout.zoom[1], axis=1)
    coloured = is_flag_colour(picture)
    assert coloured[cells != 0].all()
    for flag in IN_USE:
        alone = cells == flag
        assert is_colour(picture, flag)[alone].all()
    near = np.zeros_like(coloured)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
        near |= np.roll(cells != 0, (dy, dx), (0, 1))
    assert not coloured[~near].any()
    if layout.zoom == (1, 1):  # lone dots grow
        assert np.count_nonzero(coloured) > 3 * np.count_nonzero(cells)
    else:
        assert np.count_nonzero(coloured) == np.count_nonzero(cells)


def test_a_block_has_all_flags_of_its_pixels(tmp_path):
    flags = np.zeros((2200, 2200), np.int16)
    flags[800:900:2, 800:900:2], flags[801, 801] = Flag.DARK, Flag.FLAT
    layout = Layout.of(flags.shape)
    picture = drawn(tmp_path, sky(flags.shape), flags)
    across, down = layout.dot(800, 800)
    assert tuple(picture[down, across]) == COLOURS[Flag.FLAT]


def test_blocks_at_the_edges_are_smaller():
    np.testing.assert_array_equal(pictures.means(np.full((5, 7), 3, np.uint16), 4), np.full((2, 2), 3))


def test_many_flags_are_not_drawn_larger(tmp_path):
    flags = np.zeros((1000, 1000), np.int16)
    flags[::4, ::4] = Flag.DARK
    picture = map_of(drawn(tmp_path, sky(flags.shape), flags), Layout.of(flags.shape))
    np.testing.assert_array_equal(is_colour(picture, Flag.DARK), flags[::-1] != 0)


def test_rarer_reason_is_on_top(tmp_path):
    flags = np.zeros((40, 50), np.int16)
    flags[10:30] |= np.int16(Flag.FLAT)
    flags[12:14, 5:20] |= np.int16(Flag.DARK)
    flags[13, 6] |= np.int16(Flag.NOTFINITE)
    layout = Layout.of(flags.shape)
    picture = drawn(tmp_path, sky(flags.shape), flags)
    for (x, y), flag in {(30, 20): Flag.FLAT, (10, 12): Flag.DARK, (6, 13): Flag.NOTFINITE}.items():
        across, down = layout.dot(x, y)
        assert tuple(picture[down, across]) == COLOURS[flag]


def test_cosmic_rays_hide_no_flag_under_their_marks(tmp_path):
    data, flags = sky((200, 300)), np.zeros((200, 300), np.int16)
    flags[::3, ::3] = Flag.COSMIC
    data[flags != 0] += 1000
    layout = Layout.of(flags.shape)
    picture = map_of(drawn(tmp_path, data, flags), layout)
    cells = flags[::-1].repeat(layout.zoom[0], axis=0).repeat(layout.zoom[1], axis=1)
    assert is_colour(picture, Flag.COSMIC)[cells != 0].all()


def test_marks_stay_on_the_map(tmp_path):
    data, flags = sky((200, 300)), np.zeros((200, 300), np.int16)
    flags[199, 150], data[199, 150] = Flag.COSMIC, 5000
    picture = drawn(tmp_path, data, flags)
    assert (picture[TOP - 20 : TOP - 1, LEFT + 20 :] == 255).all()


def test_grey_follows_the_mean_of_a_block_and_row_0_is_at_the_bottom(tmp_path):
    data = sky((1200, 1200))
    data[:4, :4] += 5000  # lower left corner: bright, so dark
    data[-4:, -4:] = 0
    picture = map_of(drawn(tmp_path, data, np.zeros(data.shape, int)), Layout.of(data.shape)).astype(int)
    grey = picture[..., 0]
    assert (grey[-2:, :2] < 60).all()
    assert (grey[:2, -2:] > grey.mean() + 20).all()
    assert np.ptp(picture, axis=-1).max() == 0
    means = data[4:-4, :].reshape(-1, 2, 600, 2).mean(axis=(1, 3))[::-1]
    assert np.corrcoef(means.ravel(), grey[2:-2].ravel())[0, 1] < -0.98


def test_legend_has_a_swatch_per_reason_and_is_greyed_where_there_is_none(tmp_path):
    flags = np.zeros((50, 50), np.int16)
    flags[3, 3] = Flag.DARK
    picture = drawn(tmp_path, sky((50, 50)), flags)
    layout = Layout.of((50, 50))
    for number, flag in enumerate(IN_USE):
        x, y = layout.place(number, layout.panel[1], pictures.LINE)
        assert (picture[y + 1 : y + 17, x : x + 16] == COLOURS[flag]).all()
        text = picture[y : y + pictures.LINE, x + 20 : x + pictures.PAIR]
        assert (text.min() < 50) == (flag == Flag.DARK)
    _, y = layout.place(len(IN_USE), layout.panel[1], pictures.LINE)
    assert picture[y : y + pictures.LINE, x : x + 20].min() == 255  # MASK has no colour


def insets(picture, shape, number):
    """Return the two insets of a cosmic ray, a dot per pixel, row 0 at the bottom first, and the dots of the second."""
    layout = Layout.of(shape)
    x, y = layout.events(len(IN_USE) + 1)
    line, column = divmod(number, layout.events_in_a_row)
    x, y = x + column * (pictures.PAIR + pictures.GUTTER), y + 30 + line * pictures.TILE + pictures.LINE - 4
    plain = picture[y : y + INSET, x : x + INSET]
    outlined = picture[y : y + INSET, x + pictures.PAIR - INSET : x + pictures.PAIR]
    middle = pictures.ZOOM // 2
    return plain[middle :: pictures.ZOOM, middle :: pictures.ZOOM][::-1], outlined


@pytest.mark.parametrize("shape", [(300, 400), (150, 1000), (401, 400)])
def test_insets_show_the_strongest_cosmic_rays(tmp_path, shape):
    data, flags = sky(shape), np.zeros(shape, np.int16)
    hits = {(100, 200): 4000.0, (40, 60): 9000.0, (0, 399): 2000.0, (120, 20): 1000.0, (80, 350): 500.0}
    for (y, x), signal in hits.items():
        data[y, x] += signal
        data[y + 1, x - 1] += signal / 2  # touches at a corner
        flags[y, x] = flags[y + 1, x - 1] = Flag.COSMIC
    picture = drawn(tmp_path, data, flags)
    brightest = sorted(hits, key=lambda hit: -hits[hit])
    for number, (y, x) in enumerate(brightest[: pictures.EVENTS]):
        plain, outlined = insets(picture, shape, number)
        rows, columns = around(Event(x, y, x, y, x, y, 2, 0.0), shape)
        assert 0 <= rows.start <= y < rows.stop <= shape[0] and 0 <= columns.start <= x < columns.stop <= shape[1]
        pixels = data[rows, columns]
        # Darker where brighter, for every pair of pixels.
        order = np.argsort(pixels, axis=None)
        assert (np.diff(plain[..., 0].ravel()[order].astype(int)) <= 0).all()
        assert plain[y - rows.start, x - columns.start].max() < 10
        # The outline is around just the flagged pixels, and leaves their middles as they were.
        blocks = is_colour(outlined, Flag.COSMIC).reshape(24, 7, 24, 7)[::-1]
        np.testing.assert_array_equal(blocks.any(axis=(1, 3)), flags[rows, columns] != 0)
        middles = outlined[3::7, 3::7][::-1]
        np.testing.assert_array_equal(middles, plain)


def test_events_are_ranked_by_their_sum_above_the_local_background():
    data, flags = sky((200, 200)), np.zeros((200, 200), np.int16)
    data[:, 100:] += 5000  # a bright half: what is flagged there is hardly above it
    flags[50, 150], data[50, 150] = Flag.COSMIC, data[50, 150] + 300
    flags[60, 30:40] = Flag.COSMIC
    data[60, 30:40] += 100
    flags[120, 50], data[120, 50] = Flag.COSMIC, data[120, 50] + 600
    found = pictures.worth_showing(Events(data, flags), 4)
    assert [(event.y, event.pixels) for event in found] == [(60, 10), (120, 1), (50, 1)]
    np.testing.assert_allclose([event.signal for event in found], [1000, 600, 300], atol=90)
    assert data[60, 30:40].argmax() + 30 == found[0].x


def test_of_cosmic_rays_in_one_cutout_one_is_shown():
    data, flags = sky((100, 100)), np.zeros((100, 100), np.int16)
    for x, signal in ((50, 900), (55, 800), (90, 100)):
        flags[50, x], data[50, x] = Flag.COSMIC, data[50, x] + signal
    assert [event.x for event in pictures.worth_showing(Events(data, flags), 4)] == [50, 90]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (100_000, 1), (1, 5000), (30, 4000), (1300, 7)])
@pytest.mark.parametrize("kind", ["sky", "nan", "constant", "huge", "negative", "integer"])
def test_frames_of_any_shape_and_content(tmp_path, shape, kind):
    data, flags = sky(shape), np.zeros(shape, np.int16)
    if kind == "nan":
        data[:], flags[:] = np.nan, Flag.NOTFINITE
    elif kind == "constant":
        data[:], flags[:] = 7, 63
    elif kind == "huge":
        data = data.astype(np.float64) * 1e-300
        data.flat[0], data.flat[-1], flags.flat[-1] = 1.7e308, -1.7e308, Flag.COSMIC
    elif kind == "negative":
        data -= 5000
        data.flat[0], flags.flat[0] = np.inf, Flag.COSMIC | Flag.NOTFINITE
    elif kind == "integer":
        data = data.astype(np.int16)
    picture = drawn(tmp_path, data, flags)
    layout = Layout.of(shape)
    assert picture.shape[1] <= 1800
    assert min(layout.height, layout.width) >= pictures.THINNEST
    picture = map_of(picture, layout)
    assert is_flag_colour(picture).all() == (kind in ("nan", "constant") or (data.size == 1 and flags.any()))
    # The line around the map is whole, so the map ends where it shall.
    assert picture.shape == (layout.height, layout.width, 3)


@pytest.mark.parametrize(
    "title",
    [
        "",
        "x" * 5000,
        "Nächte/Ω Жук “a” 'b' <script>alert(1)</script>.fits",
        "two\nlines\r\n\ttab \0 \x1b[31m",
        "日本語 🌌 שלום مرحبا",
        "\udcff not UTF-8 \ud83c",
        "\u202egnp.exe \u200b",
        "e\u0301" * 1000,
    ],
)
def test_any_title_stays_within_the_picture(tmp_path, title):
    picture = drawn(tmp_path, sky((50, 60)), np.zeros((50, 60)), title, title)
    heading = picture[: TOP - 8]
    assert (heading[:, : LEFT - 4] == 255).all() and (heading[:, -pictures.MARGIN + 4 :] == 255).all()
    assert (heading[:30] == 255).all()
    if title:
        assert heading.min() < 60


def test_what_cannot_be_shown_is_escaped():
    assert pictures.shown("a\nb\u202e\udcff é", 16).startswith(r"a\nb\u202e\udcff ")
    missing = bytes(pictures.font(16).getmask("\U0010ffff"))
    for letter in pictures.shown("日é\u0378Ж", 16):
        assert bytes(pictures.font(16).getmask(letter)) != missing


def test_long_names_keep_both_ends():
    name = f"begin_{'x' * 300}_end.fits"
    short = pictures.shortened(name, 16, 400)
    assert re.fullmatch(r"begin_x+…x+_end\.fits", short)
    assert 380 < pictures.font(16).getlength(short) <= 400


def test_numbers_at_axes_are_round_and_not_too_many():
    assert pictures.round_numbers(4096, 360) == [1, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000]
    assert pictures.round_numbers(3, 0.2) == [1, 2, 3]
    assert pictures.round_numbers(1, 9) == [1]


def test_a_dot_is_where_astronomers_count_it():
    layout = Layout.of((1000, 1100))
    assert layout.dot(0, 0) == (LEFT, TOP + 999)
    assert layout.dot(1099, 999) == (LEFT + 1099, TOP)


def test_picture_is_small_and_the_same_every_time(tmp_path):
    """Noise is the worst case for the size of a PNG file."""
    rng = np.random.default_rng(5)
    data = sky((4096, 4096)) + np.linspace(0, 500, 4096, dtype=np.float32)
    flags = np.zeros(data.shape, np.int16)
    for flag in IN_USE:
        flags[rng.integers(0, 4096, 13_000), rng.integers(0, 4096, 13_000)] |= np.int16(flag)
    for name in ("a.png", "b.png"):
        draw(data, flags, tmp_path / name, "4096", "r")
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes()
    assert len(content) < 300_000
    assert not {b"tIME", b"tEXt", b"iTXt", b"zTXt"} & set(re.findall(rb"tIME|[tiz][TE][EX][Xt]t", content))
    greys = map_of(dots(tmp_path / "a.png"), Layout.of(data.shape))[..., 0]
    assert len(np.unique(greys)) > 12


def test_imports_no_plotting_library(tmp_path):
    code = (
        "import sys, numpy as np; from lightmask.show import draw_frame; from lightmask.masks import Masked;"
        "from lightmask.quality import Events;"
        "from lightmask.bits import REASONS; from lightmask.fits import Header, Image;"
        "data = np.ones((20, 20)); flags = np.zeros((20, 20), np.int16);"
        "image = Image(data, None, False, Header()); pixels = dict.fromkeys((*REASONS, 'masked'), 0);"
        "draw_frame([Masked(image, flags, pixels, {}, Events(data, flags))], sys.argv[1], 'é');"
        "print({'matplotlib', 'scipy', 'astropy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, tmp_path / "x.png"]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout == "set()\n"


@pytest.mark.parametrize("content", [b"", b"SIMPLE  =", b"no FITS file" * 1000])
def test_refuses_broken_masks(tmp_path, content):
    (tmp_path / "mask.fits").write_bytes(content)
    with pytest.raises(FrameError, match=r"mask\.fits"):
        draw_combined_mask(tmp_path / "mask.fits", tmp_path / "x.png", "")
    assert not list(tmp_path.glob("x.png*"))


# --- combined masks --------------------------------------------------------------------


def combined(folder, mask, sources=()):
    hdu = image_hdu(np.asarray(mask, np.int16))
    for number, source in enumerate(sources, 1):
        hdu.header.set(f"LIGHTMASK FLAT{number}", source)
        hdu.header.set(f"LIGHTMASK FLAT{number} SHA256", "0" * 32)
    hdu.header.set("LIGHTMASK FLAT PIXELS", 5)
    write([hdu], folder / "mask.fits")
    draw_combined_mask(folder / "mask.fits", folder / "mask.png", "mask", "3 frames")
    return dots(folder / "mask.png")


@pytest.mark.parametrize("shape", [(40, 60), (1000, 900), (2500, 2048), (400, 4096)])
def test_every_bad_pixel_of_a_mask_is_seen(tmp_path, shape):
    rng = np.random.default_rng(4)
    mask = np.zeros(shape, np.int16)
    for kind in (1, 2, 3):
        mask[rng.integers(0, shape[0], 20), rng.integers(0, shape[1], 20)] = kind
    layout = Layout.of(shape, profiles=True)
    picture = map_of(combined(tmp_path, mask), layout)
    colours = (Flag.FLAT, Flag.DARK, Flag.COSMIC)
    for kind, colour in zip((1, 2, 3), colours, strict=True):
        cells = expected_cells((mask == kind).astype(np.int16), layout.factor)
        others = expected_cells(((mask != kind) & (mask != 0)).astype(np.int16), layout.factor)
        alone = ((cells != 0) & (others == 0)).repeat(layout.zoom[0], axis=0).repeat(layout.zoom[1], axis=1)
        assert is_colour(picture, colour)[alone].all()


def test_pixels_bad_for_different_reasons_are_not_both_in_one_block(tmp_path):
    mask = np.zeros((3000, 3000), np.int16)
    mask[300, 300], mask[301, 301] = 1, 2
    layout = Layout.of(mask.shape, profiles=True)
    picture = map_of(combined(tmp_path, mask), layout)
    assert is_flag_colour(picture).any() and not is_colour(picture, Flag.COSMIC).any()


@pytest.mark.parametrize("shape", [(90, 80), (2500, 2048)])
def test_profiles_stand_at_their_columns_and_rows(tmp_path, shape):
    mask = np.zeros(shape, np.int16)
    mask[:, 31], mask[20, :], mask[5:9, 60] = 1, 2, 3
    layout = Layout.of(shape, profiles=True)
    picture = combined(tmp_path, mask)
    bar = tuple(picture[layout.bottom - 5, layout.dot(31, 0)[0]])
    assert bar < (120, 120, 120)
    below = (picture[layout.bottom - pictures.PROFILE : layout.bottom] == bar).all(axis=-1)
    heights = below[:, LEFT : LEFT + layout.width].sum(axis=0)
    full, some, least = (heights[layout.dot(x, 0)[0] - LEFT] for x in (31, 60, 70))
    assert full == heights.max() and full > some > least > 0
    assert np.count_nonzero(heights == full) == layout.zoom[1]
    left = LEFT + layout.width + pictures.LINE
    beside = (picture[TOP : TOP + layout.height, left : left + pictures.PROFILE] == bar).all(axis=-1).sum(axis=1)
    full, some, least = (beside[layout.dot(0, y)[1] - TOP] for y in (20, 7, 40))
    assert full == beside.max() and full > some > least > 0


def test_columns_that_stand_out_are_labelled():
    counts = np.random.default_rng(6).poisson(9, 500)
    counts[[33, 400]] = 60, 300
    assert pictures.outstanding(counts) == [400, 33]
    assert pictures.outstanding(np.full(50, 50)) == []


@pytest.mark.parametrize("shape", [(1, 1), (100_000, 1), (3, 4000)])
@pytest.mark.parametrize("value", [0, 3])
@pytest.mark.parametrize("sources", [(), ["a%C3%A9%2Cb.fits"], [f"{n}{'x' * 40}.fits" for n in range(40)]])
def test_masks_of_any_shape(tmp_path, shape, value, sources):
    picture = combined(tmp_path, np.full(shape, value), sources)
    assert is_flag_colour(map_of(picture, Layout.of(shape, profiles=True))).all() == bool(value)
    assert picture.shape[1] <= 1800
    assert (picture[:, -pictures.MARGIN + 4 :] == 255).all()
    assert (picture[-pictures.MARGIN + 8 :] == 255).all()


@pytest.mark.parametrize(
    ("shape", "in_a_row"), [((768, 1024), 4), ((4000, 6000), 4), ((1024, 1024), 1), ((1024, 700), 1), ((300, 1000), 4)]
)
def test_events_of_a_landscape_stand_below_it(shape, in_a_row, tmp_path):
    """And nothing is as empty as the place below the map would be."""
    layout = Layout.of(shape)
    assert layout.events_in_a_row == in_a_row
    x, y = layout.events(len(IN_USE) + 1)
    assert (y > layout.bottom) == (in_a_row > 1)
    assert x + in_a_row * (pictures.PAIR + pictures.GUTTER) - pictures.GUTTER <= layout.page_width - pictures.MARGIN
    assert y >= layout.panel[1] + layout.lines(len(IN_USE) + 1) * pictures.LINE


def test_the_picture_says_with_which_numbers_it_was_searched():
    image = Image_(sky((40, 50)), None, False, Header())
    given = {"detector": "trace", "gain": 1.4507, "readnoise": 10, "satlevel": 94743.2}
    found = Masked(image, np.zeros((40, 50), np.int16), {}, given, None)
    text = "Searched by trace: gain 1.45 e-/adu, read noise 10 e-, saturation 94,743 e-, sky 694."
    assert pictures._searched_by(found, 694.2) == text
    several = Masked(image, found.flags, {}, {"detector": "lightmask", "gain A": 1.0, "gain B": 2.0}, None)
    assert (
        pictures._searched_by(several, 0.25) == "Searched by lightmask, with the numbers of its amplifiers: sky 0.25."
    )


SEEN = {
    "by most": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
"""How colours are seen, in linear RGB: Machado, Oliveira & Fernandes 2009, IEEE TVCG 15, 1291."""


def cielab(colour, seen):
    """Return lightness, and a and b, of a colour as somebody sees it."""
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(np.array(seen) @ linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_everybody_can_tell_colours_apart(seen):
    found = {flag: cielab(colour, seen) for flag, colour in COLOURS.items()}
    for one, other in itertools.combinations(found, 2):
        assert np.linalg.norm(found[one] - found[other]) > 16, (one, other)
    flat, dark = found[Flag.FLAT], found[Flag.DARK]
    assert np.linalg.norm(flat - dark) > 50 and abs(flat[0] - dark[0]) > 25  # also in grey
    hues = [np.degrees(np.arctan2(each[2], each[1])) for each in (flat, dark)]
    assert 60 < (hues[0] - hues[1]) % 360 < 300
