"""Logs of jobs, and what they say of failures."""

import logging
import os
import subprocess
import sys

import pytest
from conftest import CHECKOUT
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lightmask.workflow import logs, outcomes

SCRIPTS = CHECKOUT / "scripts"


def light(name, **changes):
    return {"path": name, "masked_frame": name, "filter": "r", "exposure": 30.5} | changes


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
    from lightmask.messages import warn
    warn("line\\nend\\x1b[31m\\x9b31m\\u202e\\udcff")
"""
    done, log = run_logged(tmp_path, body)
    shown = r"WARNING: line\nend\x1b[31m\xc2\x9b31m\xe2\x80\xae\xff"
    assert done.stderr == log == f"{shown}\n"
    (tmp_path / "b").mkdir()
    with pytest.raises(SystemExit), logs.logged_to(tmp_path / "gone\x1b[31m/a.log"):
        pass


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
from lightmask.errors import FrameError, MachineError
from lightmask.workflow.logs import logged_to
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
    became = [(tmp_path / "not there", log, [])]
    (problem,) = outcomes.write_partial([light("x.fits")], became, tmp_path / "s.csv", tmp_path / "s.ecsv")
    assert problem == "x.fits: " + (f"its job {told}" if told else "not masked yet")


def test_a_job_at_work_is_not_taken_for_one_that_was_killed(tmp_path):
    body = f"""
    sys.path.insert(0, {str(SCRIPTS)!r})
    asking = "from lightmask.workflow import logs; import sys; print(repr(logs.failure({str(tmp_path / "a.log")!r})))"
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
