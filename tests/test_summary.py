"""Tables of a night, what failed in it, and the logs that say so."""

import csv
import json
import logging
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lightmask.night import summary, types
from lightmask.night.configuration import validated
from lightmask.night.matching import MaskMatcher
from lightmask.night.types import Frame
from lightmask.show.night import read_summary
from lightmask.workflow import logs

SCRIPTS = Path(__file__).parent.parent / "scripts"
CONFIG = validated({})
ODD = ["plain", "comma, quote \" and 'quote'", "two\nlines", "é 東京", "", " blank "]


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_statistics(path, **changes):
    counts = {"pixels": 5120, "masked": 7, "fraction": 7 / 5120, **dict.fromkeys(summary.REASONS, 0)}
    path.write_text(json.dumps({"path": "a.fits", **counts, "flat": 4, "cosmic": 3, "iterations": [3, 1, 0]} | changes))
    return path


def light(name, **changes):
    return {"path": name, "masked_frame": name, "filter": "r", "exposure": 30.5} | changes


def test_a_table_reads_back_as_it_was_written(tmp_path):
    rows = [{"path": text, "type": text[::-1]} for text in ODD]
    summary.write_csv(rows, ["path", "type"], tmp_path / "a.csv")
    assert read_csv(tmp_path / "a.csv") == rows
    assert (tmp_path / "a.csv").read_bytes().startswith(b"path,type\nplain,nialp\n")


FORMULAS = st.text("'=+-@\t\r\n＝1.5e A", max_size=6)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
        "iterations": "3 1 0",
        "events": "",
        "on_sources": "",
        "remark": "",
        "problem": "",
    }


def test_remarks_of_a_frame_come_before_those_of_the_night(tmp_path):
    file = write_statistics(tmp_path / "a.json", remarks=["first\x1b[31m", "second"], events=20, on_sources=0.9)
    (row,) = summary.summary_rows([light("a.fits")], [file])
    assert row["remark"].startswith(r"first\x1b[31m; second; 90% of its cosmic-ray pixels sit on sources")


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


def test_a_partial_summary_gives_causes_and_counts_as_out_of_date(tmp_path):
    done = write_statistics(tmp_path / "done.json")
    log = tmp_path / "failed.log"
    log.write_text("some output\nFAILED: failed.fits: broken; mend it\n")
    gone = tmp_path / "gone"
    lights = [light(f"{name}.fits") for name in ("done", "failed", "waiting", "outdated")]
    outcomes = [(done, gone, []), (gone, log, [gone]), (gone, gone, []), (done, gone, [gone, log])]
    causes = outcomes.write_partial(lights, outcomes, tmp_path / "s.csv", tmp_path / "s.ecsv")
    assert causes == ["failed.fits: broken; mend it", "waiting.fits: not masked yet", "failed.fits: broken; mend it"]
    rows = read_csv(tmp_path / "s.csv")
    assert [row["problem"] for row in rows] == ["", *causes]
    assert [row["cosmic"] for row in rows] == ["3", "", "", ""]
    assert len(Table.read(tmp_path / "s.ecsv")) == 4
    assert [(tmp_path / name).stat().st_mtime for name in ("s.csv", "s.ecsv")] == [0, 0]


def test_an_old_failure_of_a_frame_that_is_done_does_not_count(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("FAILED: a.fits: broken\n")
    outcomes = [(write_statistics(tmp_path / "a.json"), log, [])]
    assert outcomes.write_partial([light("a.fits")], outcomes, tmp_path / "s.csv", tmp_path / "s.ecsv") == []


def test_orphans_are_results_that_nobody_expects(tmp_path):
    for name in ("a.fits", "deep/b.fits", "deep/gone.fits", "gone.fits", "c.fits.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert summary.orphans(tmp_path, ["a.fits", "deep/b.fits", "new.fits"]) == ["deep/gone.fits", "gone.fits"]


def test_orphans_have_names_that_a_terminal_can_show(tmp_path):
    (tmp_path / "line\nend\x1b[31m\u202e.fits").touch()
    assert summary.orphans(tmp_path, []) == [r"line\nend\x1b[31m\xe2\x80\xae.fits"]


@settings(max_examples=200, deadline=None)
@given(st.text())
@example("a\nb\tc\x1b[31m\x9b31m\u202ed\udcff")
def test_what_is_logged_moves_no_cursor(text):
    record = logging.LogRecord("a", logging.WARNING, "here", 1, "%s", (text,), None)
    assert logs.escape(record)
    shown = record.getMessage()
    assert shown.replace("\n", "").replace("\t", "").isprintable()
    assert shown == text or not text.isprintable()
    assert shown.count("\n") == text.count("\n")


def test_warnings_and_logs_that_cannot_be_written_move_no_cursor(tmp_path):
    body = """
    from lightmask.logs import warn
    warn("line\\nend\\x1b[31m\\x9b31m\\u202e\\udcff")
"""
    done, log = run_logged(tmp_path, body)
    shown = r"WARNING: line\nend\x1b[31m\xc2\x9b31m\xe2\x80\xae\xff"
    assert done.stderr == log == f"{shown}\n"
    (tmp_path / "b").mkdir()
    with pytest.raises(SystemExit), logs.logged_to(tmp_path / "gone\x1b[31m/a.log"):
        pass


def test_there_are_no_orphans_where_there_are_no_results(tmp_path):
    assert summary.orphans(tmp_path / "not there", ["a.fits"]) == []


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("FAILED: a.fits: broken\n", "a.fits: broken"),
        ("one\ntwo\nFAILED: broken", "broken"),
        ("FAILED: broken\nand more\n", ""),
        ("all went well\n", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_cause_is_the_last_line_of_a_log(tmp_path, content, cause):
    if content is not None:
        (tmp_path / "a.log").write_text(content)
    assert logs.failure(str(tmp_path / "a.log")) == cause


def run_logged(folder, body, after=""):
    """Run a job in a process of its own, as streams belong to a process."""
    code = f"""
import os, subprocess, sys
from lightmask import FrameError, MachineError
from lightmask.logs import logged_to
print("before", flush=True)
with logged_to({str(folder / "a.log")!r}):
{body}
{after}
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=SCRIPTS,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    log = (folder / "a.log").read_text()
    assert log.startswith("BEGUN\n")
    return done, log.removeprefix("BEGUN\n").removesuffix("ENDED\n")


def test_both_streams_and_compiled_code_reach_the_log(tmp_path):
    body = """
    print("printed")
    print("warned", file=sys.stderr)
    sys.stdout.flush()
    os.write(1, b"compiled\\n")
    os.write(2, b"compiled error\\n")
    subprocess.run(["echo", "child"])
"""
    done, log = run_logged(tmp_path, body)
    assert sorted(log.splitlines()) == ["child", "compiled", "compiled error", "printed", "warned"]
    assert (done.returncode, done.stdout, done.stderr) == (0, "before\n", "")
    assert logs.failure(str(tmp_path / "a.log")) == ""


def test_an_earlier_log_is_replaced(tmp_path):
    (tmp_path / "a.log").write_text("FAILED: old\n")
    assert run_logged(tmp_path, "    print('new')")[1] == "new\n"


def test_streams_are_given_back(tmp_path):
    done, log = run_logged(tmp_path, "    print('inside')", after="print('after')")
    assert log == "inside\n"
    assert done.stdout == "before\nafter\n"


@pytest.mark.parametrize("printed", ["", "    print('progress')\n"], ids=["silent", "after output"])
def test_a_frame_error_is_one_line_on_the_terminal_and_the_last_of_the_log(tmp_path, printed):
    done, log = run_logged(tmp_path, printed + "    raise FrameError('a.fits: broken;\\nmend it \\udcff')")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [r"FAILED: a.fits: broken;\nmend it \xff"]
    assert "Traceback" not in log
    assert ("progress" in log) == bool(printed)
    assert logs.failure(str(tmp_path / "a.log")) == r"a.fits: broken;\nmend it \xff"


@pytest.mark.parametrize(
    ("raised", "is_fault"),
    [
        ("FrameError('a.fits: broken')", True),
        ("MachineError('a.fits: its disk is full')", False),
        ("MemoryError('a.fits: too little')", False),
        ("RuntimeError('Traceback')", False),
    ],
)
def test_a_log_tells_whether_its_file_is_to_blame(tmp_path, raised, is_fault):
    done, log = run_logged(tmp_path, f"    print('Traceback (of no concern)')\n    raise {raised}")
    cause = logs.failure(tmp_path / "a.log")
    assert cause and done.stderr.splitlines() == [f"FAILED: {cause}"]
    assert log.splitlines()[-1].endswith(cause)
    assert logs.fault(tmp_path / "a.log") == (cause if is_fault else "")
    assert logs.fault(tmp_path / "not there") == ""


KILLED = "was ended by signal 9 (SIGKILL), perhaps for lack of memory; raise mem_mb, or run fewer at a time"
ENDS = {
    "os.kill(os.getpid(), signal.SIGKILL)": KILLED,
    "os.kill(os.getpid(), signal.SIGSEGV)": "crashed (Segmentation fault); its log says where",
    "os.abort()": "crashed (Aborted); its log says where",
    "os.kill(os.getpid(), signal.SIGTERM)": "",
    "os.kill(os.getpid(), signal.SIGINT)": "",
    "print('last words', end='')": "",
}


@pytest.mark.parametrize(("end", "told"), ENDS.items())
def test_a_job_that_could_not_tell_its_end_is_told_of(tmp_path, end, told):
    run_logged(tmp_path, f"    import signal\n    print('at work', flush=True)\n    {end}")
    log = tmp_path / "a.log"
    assert logs.failure(log, "x.fits") == logs.killed(log, "x.fits") == (told and f"x.fits: its job {told}")
    assert logs.failure(log) == (told and f"{log}: its job {told}")
    assert logs.fault(log) == ""
    outcomes = [(tmp_path / "not there", log, [])]
    (problem,) = outcomes.write_partial([light("x.fits")], outcomes, tmp_path / "s.csv", tmp_path / "s.ecsv")
    assert problem == "x.fits: " + (f"its job {told}" if told else "not masked yet")


def test_a_job_at_work_is_not_taken_for_one_that_was_killed(tmp_path):
    body = f"""
    sys.path.insert(0, {str(SCRIPTS)!r})
    asking = "from lightmask import logs; import sys; print(repr(logs.failure({str(tmp_path / "a.log")!r})))"
    asked = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True)
    print(asked.stdout, asked.stderr)
"""
    _, log = run_logged(tmp_path, body)
    assert log.split() == ["''"]
    assert logs.failure(tmp_path / "a.log") == ""


def test_any_other_exception_leaves_its_traceback_in_the_log(tmp_path):
    done, log = run_logged(tmp_path, "    raise RuntimeError('unexpected')", after="print('not reached')")
    assert done.returncode == 1
    assert done.stdout == "before\n"
    assert done.stderr.splitlines() == ["FAILED: RuntimeError: unexpected"]
    assert log.startswith("Traceback")
    assert logs.failure(str(tmp_path / "a.log")) == "RuntimeError: unexpected"
