"""The night as a picture and as a page, whatever headers say."""

import json
import math
import random
import tempfile
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lightmask.bits import BITS
from lightmask.night import inventory, summary, types
from lightmask.night.configuration import validated
from lightmask.show import night
from lightmask.workflow import progress

CONFIG = validated({})


def row(cosmic=100, exposure=100.0, **changes):
    counts = dict.fromkeys((name.lower() for name in BITS), 0)
    return {
        "path": "a.fits",
        "object": "",
        "filter": "r",
        "exposure": exposure,
        "date": "",
        "pixel_size": "",
        "pixels": 1_000_000,
        "masked": cosmic,
        "fraction": cosmic / 1e6,
        **counts,
        "cosmic": cosmic,
        "events": cosmic // 4,
        "on_sources": 0.0,
        "remark": "",
        "problem": "",
    } | changes


def usual(number=8):
    draw = random.Random(1)
    return [row(cosmic=round(draw.gauss(100, 20))) for _ in range(number)]


def test_page_shows_what_headers_say_as_text(tmp_path):
    night.write_page([row(object="<script>alert(1)</script>", filter='"&')], tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "&quot;&amp;" in text
    assert "<th><button>date</button>" not in text, "a column without a value is left out"


def dates(rows):
    return [{**r, "date": f"2025-05-30T0{n}:15:00.5"} for n, r in enumerate(rows)]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row()],
        usual(),
        dates(usual()),
        [{**r, "filter": f"f{n}", "path": "long name " * 20} for n, r in enumerate(usual(60))],
        [{**r, "remark": "is odd $in$ some_{way" * 5} for r in usual(30)],
        [dict.fromkeys(row(), "")],
        [row(exposure=""), row(exposure="thirty", filter="<b>$x$")],
    ],
    ids=["none", "one", "several", "dates", "filters", "remarks", "failed", "no exposure"],
)
def test_any_night_can_be_drawn(tmp_path, rows):
    night.draw_night(rows, tmp_path / "a.png")
    night.draw_night(rows, tmp_path / "b.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG" and image.width > 1000
        assert len(set(np.array(image.convert("L")).ravel())) > 10
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_odd_frames_are_marked(tmp_path):
    rows = usual()
    night.draw_night(rows, tmp_path / "plain.png")
    night.draw_night([{**rows[0], "remark": "odd"}, *rows[1:]], tmp_path / "marked.png")
    with Image.open(tmp_path / "plain.png") as plain, Image.open(tmp_path / "marked.png") as marked:
        assert marked.height > plain.height


def axes_of(rows):
    return night.night_figure(rows).axes


def plotted(axis):
    """Values on an axis, by x, without the rings around odd frames."""
    lines = [line for line in axis.lines if line.get_marker() != "o" or line.get_markersize() < 15]
    return {x: y for line in lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}


def test_the_values_of_the_picture_are_rates_widths_sky_and_shares():
    rows = [
        row(cosmic=300, events=60, exposure=100.0, pixel_size=10.0, saturated=1000, fwhm=3.1, sky=200.0, masked=1300),
        row(cosmic=80, events=20, exposure=20.0, pixel_size=20.0, filter="g", fwhm="", sky=250.0, masked=80),
        row(cosmic=7, events=1, exposure="", pixel_size=10.0, dark=500, fwhm=2.9, sky=300.0, masked=507),
    ]
    events, fwhm, sky, masked = axes_of(rows)
    # A million pixels of 10 um are 1 cm2, of 20 um 4 cm2.
    assert plotted(events) == pytest.approx({1: 0.6, 2: 0.25, 3: math.nan}, nan_ok=True)
    assert plotted(fwhm) == pytest.approx({1: 3.1, 2: math.nan, 3: 2.9}, nan_ok=True)
    assert plotted(sky) == {1: 200.0, 2: 250.0, 3: 300.0}
    shares = {line.get_label(): list(line.get_ydata()) for line in masked.lines}
    assert list(shares) == ["in MASK", "DARK", "COSMIC", "SATURATED"]
    assert shares["in MASK"] == pytest.approx([0.13, 0.008, 0.0507])
    assert shares["DARK"] == pytest.approx([math.nan, math.nan, 0.05], nan_ok=True)
    assert shares["COSMIC"] == pytest.approx([0.03, 0.008, 0.0007])
    assert [axis.get_ylabel() for axis in (events, fwhm, sky, masked)] == [
        "cosmic rays\n[s⁻¹ cm⁻²]",
        "FWHM of stars\n[pixel]",
        "sky\n[adu]",
        "part of the pixels\n[%]",
    ]


def test_what_was_not_measured_has_no_axis():
    assert len(axes_of([row(), row()])) == 2
    assert len(axes_of([row(sky=5.0), row()])) == 3
    assert len(axes_of([row(fwhm="nan"), row()])) == 2


def test_the_natural_range_is_shown_where_the_size_of_pixels_is_known():
    for size, number in ((10.0, 1), ("", 0)):
        events, *_ = axes_of([row(pixel_size=size)])
        spans = [patch.get_extents().transformed(events.transData.inverted()) for patch in events.patches]
        assert [(span.y0, span.y1) for span in spans] == [pytest.approx(night.NATURAL)] * number


def test_rates_are_shown_from_zero_on():
    events, *_ = axes_of([row(events=40 + n) for n in range(3)])
    low, high = events.get_ylim()
    assert low == 0 and max(plotted(events).values()) < high


def test_the_title_counts_frames_and_those_without_a_result():
    failed = row() | {"pixels": "", "cosmic": "", "events": "", "problem": "a.fits: broken"}
    rows = [*(row(path=f"{number}.fits") for number in range(3)), failed]
    figure = night.night_figure(rows)
    assert figure.get_suptitle() == "4 LIGHT frames, 1 of them without a result"


def test_an_odd_frame_has_a_ring_at_its_rate():
    events, *_ = axes_of([row(), row(events=400, remark="odd"), row()])
    (ring,) = [line for line in events.lines if line.get_markersize() == 15]
    assert (list(ring.get_xdata()), list(ring.get_ydata())) == ([2], [pytest.approx(4.0)])


def test_times_are_those_of_the_header_in_utc():
    said = ["2025-05-30T01:15:00.5", "2025-05-30T03:15:00+02:00", "2025-05-30T01:20:00Z", "1900-01-01", "2199-12-31"]
    rows = [row(date=text) for text in said]
    expected = ["2025-05-30T01:15:00.5", "2025-05-30T01:15:00", "2025-05-30T01:20:00", "1900-01-01", "2199-12-31"]
    *_, last = axes_of(rows)
    assert sorted(plotted(last)) == sorted(map(datetime.fromisoformat, expected))
    assert last.get_xlabel() == "time of exposure (UTC)"


@pytest.mark.parametrize(
    "said",
    [
        *("0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1899-12-31"),
        *("2200-01-01", "2016-12-31T23:59:60", "30/05/25", "soon", "NaN", 1e300, True),
    ],
)
def test_a_date_that_cannot_be_drawn_is_told(said):
    rows = [row(date="2025-05-30T01:15:00", path="a.fits"), row(date=said, path="b_$x$.fits")]
    *_, last = axes_of(rows)
    assert sorted(plotted(last)) == [1, 2]
    found = (
        rf"frame, in order of names: the date of b_\$x\$.fits is {str(said)!r}, expected such as 2025-05-30T01:02:03"
    )
    assert last.get_xlabel() == found


def test_a_date_that_is_missing_is_told_where_others_are_not():
    *_, last = axes_of([row(date="2025-05-30T01:15:00"), row(path="b.fits")])
    assert last.get_xlabel() == "frame, in order of names: the date of b.fits is not known"
    *_, last = axes_of([row(), row()])
    assert last.get_xlabel() == "frame, in order of names"


def test_a_filter_of_any_name_is_in_the_legend():
    events, *_ = axes_of([row(filter=name) for name in ("_r", "$x_{", "日本")])
    legend = events.get_legend()
    assert len(legend.get_texts()) == 3 + (len(events.patches) > 0)
    events.figure.canvas.draw()
    assert legend.get_window_extent().x1 <= events.figure.bbox.x1


# --- from the header to all that is made of it -------------------------------------------

DATES = st.sampled_from(
    [
        *("0001-01-01", "9999-12-31T23:59:59.999999", "0001-01-01T00:00:00+14:00", "2025-05-30T24:00:00"),
        *("2016-12-31T23:59:60", "2025-05-30", "2025-05-30T01:02:03", "2025-05-30T01:02:03.5Z", "30/05/25"),
        *("2025-05-30T01:02:03-12:00", "20250530", "2025-W22-5", "01:02:03", "-4712-01-01"),
    ]
)
LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\0"), max_size=33)
TEXT = (LATIN | DATES | st.sampled_from(["nan", "inf", "-1e999", "1_0", "#x", "$a_{", "<b>", '"', "T", "=1+1"])).map(
    lambda text: "'" + text.replace("'", "''") + "'"
)
NUMBER = st.one_of(
    st.integers(-(10**65), 10**65).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["1e300", "1e999", "-1e999", "5e-324", "0", "-0.0", "nan", "NaN", "inf", "T", "F", "", "1D300"]),
)
KEYWORDS = ["FILTER", "EXPTIME", "XBINNING", "YBINNING", "INSTRUME", "OBJECT", "DATE-OBS", "XPIXSZ"]
HEADER = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYWORDS, TEXT | NUMBER))
COSMIC = st.integers(0, 60)


def write_header(path, cards):
    """Write a LIGHT frame with cards as they are, whatever a FITS library says of them."""
    header = fits.PrimaryHDU(np.zeros((2, 3), np.uint8)).header.tostring(endcard=False, padding=False)
    given = {"IMAGETYP": "'LIGHT'"} | cards
    lines = [header.encode(), *(f"{key:8}= {value}".encode("latin-1").ljust(80)[:80] for key, value in given.items())]
    content = b"".join([*lines, b"END".ljust(80)])
    path.write_bytes(content + b" " * (-len(content) % 2880) + bytes(2880))


def everything(folder, headers, cosmic, pictures):
    """Go the way from headers to tables, pictures and the end of a run; give the summary."""
    for number, cards in enumerate(headers):
        write_header(folder / f"{number:02}.fits", cards)
    keywords = types.keywords_needed(CONFIG)
    of_folder = inventory.Inventory(folder, folder / "headers.json", keywords)
    files = of_folder.scan()
    of_folder.remember(files)
    lights = [{**types.table_row(f, CONFIG), "masked_frame": f.name} for f in types.frames(files, CONFIG)]
    assert len(lights) == len(headers)
    statistics = []
    for number, found in enumerate(cosmic):
        counts = row(cosmic=4 * found, events=found) | {"iterations": [4 * found]}
        statistics.append(folder / f"{number}.json")
        statistics[-1].write_text(json.dumps({**counts, "images": [{"image": "", **counts}]}))
    lights = json.loads(json.dumps(lights))  # as they travel to the job
    summary.write_summary(summary.summary_rows(lights, statistics), folder / "s.csv", folder / "s.ecsv")
    for name in ("s.csv", "s.ecsv"):
        with warnings.catch_warnings(action="ignore"):  # of columns whose numbers are too large for their type
            assert len(Table.read(folder / name)) == len(headers)
    if pictures:
        night.draw_files(folder / "s.csv", folder / "n.png", folder / "n.html")
        assert (folder / "n.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / "n.html").read_text().count("<tr>") == len(headers) + 1
    rows = night.read_summary(folder / "s.csv")
    assert progress.table(rows, 3.0, {}).startswith(f"LIGHT frames    {len(headers)} masked")
    return rows


NIGHTS = st.lists(st.tuples(HEADER, COSMIC), min_size=1, max_size=7)
LENIENT = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=80, deadline=None, suppress_health_check=LENIENT)
@given(NIGHTS)
def test_no_header_value_costs_a_summary(frames_):
    with tempfile.TemporaryDirectory() as folder:
        everything(Path(folder), *zip(*frames_, strict=True), pictures=False)


@settings(max_examples=25, deadline=None, suppress_health_check=LENIENT)
@given(NIGHTS)
def test_no_header_value_costs_a_picture(frames_):
    with tempfile.TemporaryDirectory() as folder:
        everything(Path(folder), *zip(*frames_, strict=True), pictures=True)


@pytest.mark.parametrize("pictures", [False, True])
@pytest.mark.parametrize(
    "cards",
    [
        {"DATE-OBS": "'0001-01-01'"},
        {"DATE-OBS": "'9999-12-31'"},
        {"DATE-OBS": "'9999-12-31T23:00:00-12:00'"},
        {"XPIXSZ": "1e300"},
        {"XPIXSZ": "5e-324"},
        {"EXPTIME": "1e300"},
        {"EXPTIME": "5e-324"},
        {"EXPTIME": "1" + "0" * 65},
        {"EXPTIME": "1e999", "XPIXSZ": "nan"},
    ],
    ids=str,
)
def test_values_that_cost_a_summary_once(tmp_path, cards, pictures):
    rows = everything(tmp_path, [{"EXPTIME": "1.0", "FILTER": "'r'"} | cards] * 7, [0] * 5 + [3, 9], pictures)
    assert len(rows) == 7
    unusable = {"EXPTIME", "XPIXSZ"} & set(cards)
    assert all(row["remark"].count("is not used") == len(unusable) for row in rows)


def test_a_text_of_any_length_is_cut(tmp_path):
    text = "x" * 200_000
    header = fits.Header({"IMAGETYP": "LIGHT", "OBJECT": text})
    fits.PrimaryHDU(np.zeros((2, 3), np.uint8), header).writeto(tmp_path / "a.fits")
    files = inventory.Inventory(tmp_path, tmp_path / "c.json", types.keywords_needed(CONFIG)).scan()
    (frame,) = types.frames(files, CONFIG)
    light = types.table_row(frame, CONFIG)
    assert light["object"] == "x" * 1000 + "…"
    summary.write_summary(summary.summary_rows([light], [None]), tmp_path / "s.csv", tmp_path / "s.ecsv")
    assert night.read_summary(tmp_path / "s.csv")[0]["object"] == light["object"]
    assert Table.read(tmp_path / "s.ecsv")["object"][0] == light["object"]


@pytest.mark.parametrize("letters", ["x", "x ", "long words "])
@pytest.mark.parametrize("number", [1, 3, 40])
def test_remarks_are_not_cut_off(letters, number):
    """They end within the picture, below the last axis, and no name stands there twice."""
    path = "sub folder/frame.fits"
    rows = [row(path=path, remark=f"{path}: {letters * 300}") for _ in range(number)]
    figure = night.night_figure(rows)
    figure.canvas.draw()
    (text,) = (each for each in figure.texts if each is not figure._suptitle)
    box, listed = text.get_window_extent(), text.get_text()
    assert listed.count(path) <= number and len(listed.splitlines()) <= 2 * night.MOST_REMARKS + 1
    assert "…" in listed
    assert box.y0 >= 0 and box.y1 < figure.axes[-1].get_tightbbox().y0
    assert box.x1 <= figure.bbox.x1
