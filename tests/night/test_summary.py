"""Tables of a night."""

import csv
import json
import math
import os
import re

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lightmask.bits import REASONS
from lightmask.night import QUALITY_COLUMNS, summary, types
from lightmask.night.configuration import validated
from lightmask.night.matching import MaskMatcher
from lightmask.night.types import Frame
from lightmask.show.night import read_summary

CONFIG = validated({})
ODD = ["plain", "comma, quote \" and 'quote'", "two\nlines", "é 東京", "", " blank "]


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_statistics(path, **changes):
    counts = {"pixels": 5120, "masked": 7, "fraction": 7 / 5120, **dict.fromkeys(REASONS, 0)}
    about = {key: changes.pop(key) for key in ("path", "remarks") if key in changes}
    counts |= {"flat": 4, "cosmic": 3, "iterations": [3, 1, 0]} | changes
    path.write_text(json.dumps({"path": "a.fits", **counts, "images": [{"image": "", **counts}]} | about))
    return path


def light(name, **changes):
    return {"path": name, "masked_frame": name, "filter": "r", "exposure": 30.5} | changes


def test_a_table_reads_back_as_it_was_written(tmp_path):
    rows = [{"path": text, "type": text[::-1]} for text in ODD]
    summary.write_csv(rows, ["path", "type"], tmp_path / "a.csv")
    assert read_csv(tmp_path / "a.csv") == rows
    assert (tmp_path / "a.csv").read_bytes().startswith(b"path,type\nplain,nialp\n")


FORMULAS = st.text("'=+-@\t\r\n＝1.5e A", max_size=6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FORMULAS, st.floats(allow_nan=False))
@example("=HYPERLINK(1)", -3.5)
@example("-3.5", -3.5)
@example("-inf", 0.0)
@example("'=1", 0.0)
def test_no_text_is_a_formula_and_each_reads_back(tmp_path, text, number):
    rows = summary.summary_rows([light("a.fits", object=text, filter=text, exposure=number)], [None])
    summary.write_summary(rows, tmp_path / "s.csv", tmp_path / "s.ecsv")
    (row,) = read_csv(tmp_path / "s.csv")
    assert row["exposure"] == str(number)
    if row["object"][:1] in tuple("=+-@\t\r\n＝"):
        assert re.fullmatch(r"[-+][-+0-9.e]+", row["object"]) and math.isfinite(float(text))
    (back,) = read_summary(tmp_path / "s.csv")
    text = text.replace("\r", r"\r")
    assert back["object"] == back["filter"] == text
    with open(tmp_path / "s.ecsv", encoding="utf-8", newline="") as file:  # as astropy reads it, but for line ends
        (true,) = csv.DictReader(line for line in file if not line.startswith("# "))
    assert true["object"] == text


def test_a_formula_stands_in_the_ecsv_as_it_is(tmp_path):
    table = written_table(tmp_path, summary.summary_rows([light("=1+1.fits", object="@a")], [None]))
    assert (table["path"][0], table["object"][0]) == ("=1+1.fits", "@a")
    summary.write_csv([{"path": "-n.fits", "type": 3}], ["path", "type"], tmp_path / "f.csv")
    assert (tmp_path / "f.csv").read_text() == "path,type\n'-n.fits,3\n"


def test_a_table_without_rows_has_its_columns(tmp_path):
    summary.write_csv([], summary.FRAME_COLUMNS, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == ",".join(summary.FRAME_COLUMNS) + "\n"


def test_a_table_refuses_what_it_has_no_column_for(tmp_path):
    with pytest.raises(ValueError, match="surplus"):
        summary.write_csv([{"path": "a", "surplus": 1}], ["path"], tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_problem_that_names_a_file_of_any_bytes_can_be_written(tmp_path):
    odd = os.fsdecode(b"\xff.fits")
    entry = {"shape": [6, 8], "cards": {"IMAGETYP": "LIGHT"}, "problem": ""}
    mask = Frame(os.fsdecode(b"mask \xfe.fits"), "flat mask", (2, 3))
    lights = types.frames({odd: entry, f"{odd}.gz": entry}, CONFIG)
    problems = [light.problem for light in lights]
    problems.append(MaskMatcher([mask], CONFIG | {"required_masks": ["flat"]}).problem(lights[0]))
    assert all(problems)
    summary.write_csv([{"problem": problem} for problem in problems], ["problem"], tmp_path / "a.csv")
    assert len(read_csv(tmp_path / "a.csv")) == 3


def test_a_row_holds_the_counts_of_a_masked_frame(tmp_path):
    file = write_statistics(tmp_path / "a.json")
    (row,) = summary.summary_rows([light("a.fits")], [file])
    assert tuple(row) == tuple(summary.SUMMARY_COLUMNS)
    assert row == {
        "path": "a.fits",
        "image": "",
        "masked_frame": "a.fits",
        "object": "",
        "filter": "r",
        "exposure": 30.5,
        "date": "",
        "pixel_size": "",
        "pixels": 5120,
        "masked": 7,
        "fraction": 7 / 5120,
        "flat": 4,
        "dark": 0,
        "cosmic": 3,
        "saturated": 0,
        "inherited": 0,
        "notfinite": 0,
        "suspect": 0,
        "edge": 0,
        "nodata": 0,
        "iterations": "3 1 0",
        "events": "",
        "on_sources": "",
        **dict.fromkeys(QUALITY_COLUMNS, ""),
        "causes": "",
        "remedy": "",
        "remark": "",
        "problem": "",
    }


def test_remarks_of_a_frame_come_before_those_of_the_night(tmp_path):
    file = write_statistics(tmp_path / "a.json", remarks=["first\x1b[31m", "second"])
    (row,) = summary.summary_rows([light("a.fits", exposure=-1)], [file])
    assert row["remark"].startswith(r"first\x1b[31m; second; its exposure is not used: -1")


def test_a_row_of_a_failed_frame_holds_its_problem():
    (row,) = summary.summary_rows([light("a.fits", problem="broken")], [None])
    assert row["problem"] == "broken"
    assert {row[column] for column in summary.COUNTS} == {""}


def test_frames_and_statistics_must_be_as_many():
    with pytest.raises(ValueError, match="zip"):
        summary.summary_rows([light("a.fits")], [])


def written_table(tmp_path, rows):
    summary.write_summary(rows, tmp_path / "s.csv", tmp_path / "s.ecsv")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("s.")) == ["s.csv", "s.ecsv"]
    return Table.read(tmp_path / "s.ecsv")


def test_the_ecsv_knows_units_types_and_what_is_missing(tmp_path):
    file = write_statistics(tmp_path / "a.json")
    lights = [light("a.fits"), light("b, c.fits", exposure="", problem="broken")]
    table = written_table(tmp_path, summary.summary_rows(lights, [file, None]))
    assert tuple(table.colnames) == tuple(summary.SUMMARY_COLUMNS)
    assert table["exposure"].unit == "s"
    assert table["exposure"][0] == 30.5
    assert table["pixels"].dtype.kind == "i"
    assert table["fraction"][0] == 7 / 5120
    assert list(table["path"]) == ["a.fits", "b, c.fits"]
    assert list(np.ma.getmaskarray(table["cosmic"])) == [False, True]
    assert list(np.ma.getmaskarray(table["exposure"])) == [False, True]
    assert table["problem"][1] == "broken"
    assert table["cosmic"].description == "cosmic ray"


def test_the_csv_holds_the_same(tmp_path):
    file = write_statistics(tmp_path / "a.json")
    written_table(tmp_path, summary.summary_rows([light("a.fits"), light("b.fits")], [file, None]))
    first, second = read_csv(tmp_path / "s.csv")
    assert (first["exposure"], first["cosmic"], first["iterations"]) == ("30.5", "3", "3 1 0")
    assert float(first["fraction"]) == 7 / 5120
    assert second["cosmic"] == ""


def test_a_night_without_rows_has_its_columns(tmp_path):
    table = written_table(tmp_path, [])
    assert (len(table), tuple(table.colnames)) == (0, tuple(summary.SUMMARY_COLUMNS))


def test_a_whole_number_of_seconds_is_an_exposure_too(tmp_path):
    assert written_table(tmp_path, summary.summary_rows([light("a.fits", exposure=30)], [None]))["exposure"][0] == 30.0


def test_an_exposure_in_words_is_shown(tmp_path):
    lights = [light("a.fits", exposure="30 sec"), light("b.fits")]
    table = written_table(tmp_path, summary.summary_rows(lights, [None, None]))
    assert list(table["exposure"]) == ["30 sec", "30.5"]
    assert table["exposure"].unit is None


@pytest.mark.parametrize("text", ODD[:4])
def test_odd_text_survives_the_ecsv(tmp_path, text):
    table = written_table(tmp_path, summary.summary_rows([light("a.fits", filter=text)], [None]))
    assert table["filter"][0] == text


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = summary.summary_rows([light("a.fits")], [write_statistics(tmp_path / "a.json")])
    written_table(tmp_path, rows)
    before = (tmp_path / "s.csv").read_bytes(), (tmp_path / "s.ecsv").read_bytes()
    written_table(tmp_path, rows)
    assert ((tmp_path / "s.csv").read_bytes(), (tmp_path / "s.ecsv").read_bytes()) == before


def test_orphans_are_results_that_nobody_expects(tmp_path):
    for name in ("a.fits", "deep/b.fits", "deep/gone.fits", "gone.fits", "c.fits.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert summary.orphans(tmp_path, ["a.fits", "deep/b.fits", "new.fits"]) == ["deep/gone.fits", "gone.fits"]


def test_orphans_have_names_that_a_terminal_can_show(tmp_path):
    (tmp_path / "line\nend\x1b[31m\u202e.fits").touch()
    assert summary.orphans(tmp_path, []) == [r"line\nend\x1b[31m\xe2\x80\xae.fits"]


def test_there_are_no_orphans_where_there_are_no_results(tmp_path):
    assert summary.orphans(tmp_path / "not there", ["a.fits"]) == []
