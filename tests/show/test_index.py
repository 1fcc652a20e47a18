"""The page of a night: what it says of frames, whatever headers and names hold."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.bits import REASONS
from lightmask.errors import FrameError
from lightmask.night.summary import SUMMARY_COLUMNS
from lightmask.show import Shared, write_index, write_one_file
from lightmask.show.index import grouped


def row(path, **values):
    """Return a row of the summary as it is read: texts."""
    known = {"pixels": "10000", "masked": "25", "fraction": "0.0025", **dict.fromkeys(REASONS, "0"), "cosmic": "20"}
    known |= {"path": path, "masked_frame": path, "filter": "V", "exposure": "60.0", "events": "4"}
    return dict.fromkeys(SUMMARY_COLUMNS, "") | known | values


def failed(path, problem):
    return dict.fromkeys(SUMMARY_COLUMNS, "") | {"path": path, "masked_frame": path, "problem": problem}


def page(tmp_path, rows, **options):
    given = {"title": "Masks of night", "pictures": True, "made": {"lightmask": "1"}} | options
    write_index(rows, tmp_path / "index.html", **given)
    return (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_night_is_one_line(tmp_path):
    rows = [row("a.fits"), row("b.fits", remark="b.fits: odd"), failed("c.fits", "c.fits: broken")]
    text = page(tmp_path, rows)
    line = re.search('<p class="night">(.*?)</p>', text)[1]
    assert line == "3 LIGHT frames, 2 masked, 1 without a result, 1 odd; 0.250% of their pixels are masked."
    assert '<p class="night">1 LIGHT frames, 0 masked, 1 without a result.</p>' in page(tmp_path, rows[2:])
    assert "<p>Nothing.</p>" in page(tmp_path, rows[:1]) and "<p>Nothing.</p>" not in text


def test_odd_frames_come_first_and_each_has_its_picture(tmp_path):
    rows = [row("a.fits"), row("b.fits", remark="b.fits: odd"), failed("c.fits", "c.fits: broken")]
    text = page(tmp_path, rows)
    sheet = re.search('<ul class="sheet">(.*?)</ul>', text, re.DOTALL)[1]
    assert re.findall('data-frame="(.*?)"', sheet) == ["c.fits", "b.fits", "a.fits"]
    assert re.findall('src="(.*?)"', sheet) == [f"pictures/thumbnails/{name}.fits.png" for name in "ba"]
    assert re.findall('href="(.*?)"', sheet) == [f"pictures/frames/{name}.fits.png" for name in "ba"]
    assert sheet.count("no result") == 2 and "no picture" not in sheet
    assert "<img" not in page(tmp_path, rows, pictures=False)
    assert page(tmp_path, rows, pictures=False).count("no picture") == 2


def test_remarks_that_differ_in_numbers_are_one():
    rows = [
        row(f"{n}.fits", remark=f"{n}.fits: gain: auto finds 1.{n}e-3; set it; {n}.fits[SCI,1]: 5% odd")
        for n in range(3)
    ]
    rows += [
        failed("x.fits", "x.fits: not a FITS file; take it out"),
        row("y.fits", remark="y.fits: gain: auto finds no"),
    ]
    assert [(group.text, len(group.frames), group.is_failure) for group in grouped(rows)] == [
        ("not a FITS file; take it out", 1, True),
        ("gain: auto finds 1.0e-3; set it", 3, False),
        ("5% odd", 3, False),
        ("gain: auto finds no", 1, False),
    ]


def test_frames_of_several_images_are_one_card_and_several_rows(tmp_path):
    rows = [row("a.fits", image="SCI,1"), row("a.fits", image="SCI,2", cosmic="80", masked="75"), row("b.fits")]
    text = page(tmp_path, rows)
    assert text.count("<li data-frame") == 2 and text.count("<tr data-frame") == 3
    assert "2 LIGHT frames, 2 masked; 0.417%" in text and "0.500% masked" in text


def test_columns_that_say_nothing_are_left_out(tmp_path):
    head = re.search("<thead>(.*?)</thead>", page(tmp_path, [row("a.fits")]), re.DOTALL)[1]
    names = re.findall(">([^<>]+)</button>", head)
    assert names == ["frame", "filter", "exposure [s]", "masked [%]", "COSMIC [%]", "cosmic rays"]
    text = page(tmp_path, [row("a.fits", remark="a.fits: odd", fwhm="2.34567")])
    names = re.findall(">([^<>]+)</button>", re.search("<thead>(.*?)</thead>", text, re.DOTALL)[1])
    assert names[:2] == ["frame", "remark"] and names[-1] == "FWHM [px]"
    assert 'data-value="0.002">0.200</td>' in text and 'data-value="2.34567">2.346</td>' in text


def test_names_are_texts_even_if_they_look_like_numbers(tmp_path):
    assert "<td>1e5</td>" in page(tmp_path, [row("1e5", filter="007")])
    assert "<td>007</td>" in page(tmp_path, [row("1e5", filter="007")])


def test_masks_and_accuracy_are_shown_if_they_are_there(tmp_path):
    shared = [Shared("C · V · flat and dark", "pictures/masks/ab.png", "combined_masks/ab.fits")]
    options = {
        "night_picture": "pictures/night.png",
        "accuracy": "found <97%>",
        "accuracy_picture": "pictures/accuracy.png",
    }
    text = page(tmp_path, [row("a.fits")], shared=shared, **options)
    for part in ("combined_masks/ab.fits", "C · V · flat and dark", "found &lt;97%&gt;", "pictures/night.png"):
        assert part in text
    for place in ("wrong", "numbers", "frames", "table", "time", "masks", "accuracy", "made"):
        assert text.count(f'href="#{place}"') == 1 and text.count(f'id="{place}"') == 1
    assert 'href="#accuracy"' not in page(tmp_path, [row("a.fits")])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=3, unique=True), st.text(max_size=30))
def test_whatever_names_and_headers_hold_stands_there_as_text(tmp_path_factory, names, text):
    folder = tmp_path_factory.mktemp("page")
    rows = [row(name, object=text, filter=text, remark=f"{name}: {text}" if text else "") for name in names]
    written = page(folder, rows, title=text or "x")
    body = re.sub(r"<script>.*?</script>", "", written.partition("<body>")[2], flags=re.DOTALL)
    tags = set(re.findall(r"<(/?[a-zA-Z][^\s>]*)", body))
    assert tags <= {
        *(
            "header",
            "h1",
            "p",
            "nav",
            "ul",
            "li",
            "a",
            "main",
            "section",
            "h2",
            "div",
            "details",
            "summary",
            "dl",
            "dt",
        ),
        *("dd", "form", "label", "select", "option", "input", "output", "span", "img", "table", "thead", "tr", "th"),
        *("button", "tbody", "td"),
        *("/header", "/h1", "/p", "/nav", "/ul", "/li", "/a", "/main", "/section", "/h2", "/div", "/details"),
        *("/summary", "/dl", "/dt", "/dd", "/form", "/label", "/select", "/option", "/output", "/span", "/table"),
        *("/thead", "/tr", "/th", "/button", "/tbody", "/td", "/body", "/html"),
    }


@pytest.mark.parametrize("name", ['it\'s <b>"x"&%20.fits', "a b/c#d?.fits", "%25.fits"])
def test_links_are_quoted(name, tmp_path):
    from urllib.parse import unquote

    text = page(tmp_path, [row(name)])
    (link,) = re.findall(r'src="(pictures/thumbnails/[^"]*)"', text)
    assert unquote(link) == f"pictures/thumbnails/{name}.png" and not set(link) & set("<> \"'?#")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["2.98", "2.947", "3.1"], ["2.980", "2.947", "3.100"]),
        (["686", "694.3", ""], ["686.0", "694.3", ""]),
        (["12345.6", "9.5"], ["12346", "10"]),
        (["0.0123", "0.000456"], ["0.0123", "0.0005"]),
        (["0", "0.0"], ["0", "0"]),
        (["nan", "5"], ["nan", "5.000"]),
    ],
)
def test_measured_numbers_have_as_many_decimals(values, shown, tmp_path):
    text = page(tmp_path, [row(f"{n}.fits", sky=value) for n, value in enumerate(values)])
    body = re.search("<tbody>(.*?)</tbody>", text, re.DOTALL)[1]
    assert [
        re.sub("<.*?>", "", cells[-1]) for cells in (re.findall("<td.*?</td>", line) for line in body.split("<tr")[1:])
    ] == shown


def test_a_page_in_one_file_needs_no_other(tmp_path):
    name = 'a\'s "b" & c.fits'
    picture = tmp_path / f"pictures/thumbnails/{name}.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    page(tmp_path, [row(name)])
    write_one_file(tmp_path / "index.html", tmp_path / "one.html")
    text = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert re.findall('src="(.*?)"', text) == ["data:image/png;base64,YSBwaWN0dXJl"]
    assert all(link.startswith("#") for link in re.findall('href="(.*?)"', text))
    assert re.sub("<[^>]*>", "", text) == re.sub("<[^>]*>", "", (tmp_path / "index.html").read_text(encoding="utf-8"))
    picture.unlink()
    with pytest.raises(FrameError, match="found no such file, expected it of the last run"):
        write_one_file(tmp_path / "index.html", tmp_path / "one.html")
    with pytest.raises(FrameError, match=r"nothing\.html: found no such file"):
        write_one_file(tmp_path / "nothing.html", tmp_path / "one.html")
