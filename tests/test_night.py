"""The night at a glance: rates, what is odd, and how it is shown."""

import math
import random

import numpy as np
import pytest
from PIL import Image

from lightmask import night
from lightmask.flags import BITS


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


def test_rates_are_per_area_where_the_pixel_size_is_known_and_per_megapixel_else():
    assert night.exposure_area(row(pixel_size=10.0)) == pytest.approx(100 * 1e6 * 1e-6)
    assert night.exposure_area(row(pixels=2_000_000)) == pytest.approx(200)
    assert night.rate_unit([row(pixel_size=9.0)] * 2) == "s⁻¹ cm⁻²"
    assert night.rate_unit([row(pixel_size=9.0), row()]) == "s⁻¹ Mpix⁻¹"


@pytest.mark.parametrize("exposure", ["", "thirty", 0, -3, math.nan])
def test_without_an_exposure_there_is_no_rate(exposure):
    assert math.isnan(night.exposure_area(row(exposure=exposure)))


def usual(number=8):
    draw = random.Random(1)
    return [row(cosmic=round(draw.gauss(100, 20))) for _ in range(number)]


def test_frames_that_are_alike_get_no_remark():
    assert night.remarks(usual()) == [""] * 8


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"cosmic": 400}, "times the usual cosmic-ray pixels for its exposure"),
        ({"cosmic": 400, "exposure": 400.0}, ""),
        ({"cosmic": 2, "exposure": 400.0, "events": 1}, "only 0.0"),
        ({"on_sources": 0.5}, "50% of its cosmic-ray pixels sit on sources"),
        ({"on_sources": 0.5, "events": 3}, ""),
        ({"saturated": 20_000}, "2.00% of its pixels are saturated, usually 0.00%"),
        ({"saturated": 500}, ""),
        ({"exposure": "", "cosmic": 4000}, ""),
    ],
)
def test_an_odd_frame_is_told_with_the_reason(changes, remark):
    found = night.remarks([*usual(), row(**changes)])
    assert found[:-1] == [""] * 8
    assert remark in found[-1] and bool(remark) == bool(found[-1])


def test_few_frames_are_not_compared():
    assert night.remarks([row(), row(), row(cosmic=900)]) == ["", "", ""]


def test_frames_that_failed_are_not_compared():
    blank = dict.fromkeys(row(), "") | {"problem": "broken"}
    assert night.remarks([blank, *usual(), row(cosmic=900)])[-1]
    assert night.remarks([blank]) == [""]


def test_page_shows_what_headers_say_as_text(tmp_path):
    night.write_page([row(object="<script>alert(1)</script>", filter='"&')], tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "&quot;&amp;" in text
    assert "<th><button>date</button>" not in text, "a column without a value is left out"


def test_seconds_come_from_benchmarks(tmp_path):
    (tmp_path / "a.tsv").write_text("s\th:m:s\n1.25\t0:00:01\n")
    (tmp_path / "b.tsv").write_text("s\n")
    found = night.seconds_of([tmp_path / name for name in ("a.tsv", "b.tsv", "c.tsv")])
    assert found[0] == 1.25 and np.isnan(found[1:]).all()


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
    night.draw_night(rows, [1.0] * len(rows), tmp_path / "a.png")
    night.draw_night(rows, [1.0] * len(rows), tmp_path / "b.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG" and image.width > 1000
        assert len(set(np.array(image.convert("L")).ravel())) > 10
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_odd_frames_are_marked(tmp_path):
    rows = usual()
    night.draw_night(rows, [1.0] * 8, tmp_path / "plain.png")
    night.draw_night([{**rows[0], "remark": "odd"}, *rows[1:]], [1.0] * 8, tmp_path / "marked.png")
    with Image.open(tmp_path / "plain.png") as plain, Image.open(tmp_path / "marked.png") as marked:
        assert marked.height > plain.height
