"""What the terminal shows during a run, and at its end."""

import io
import logging
import os
import pty
import re
import subprocess
import sys

import pytest
from conftest import CHECKOUT, run_workflow, write_night

from lightmask.workflow.progress import Progress, duration, table


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def tell(progress, event, level=logging.INFO, **extra):
    record = logging.makeLogRecord({"levelno": level, "msg": "", "event": event} | extra)
    progress.emit(record)


def begin(progress, job, rule="mask_light"):
    tell(progress, "job_info", jobid=job, rule_name=rule)


def test_frames_are_counted_and_other_jobs_are_not():
    clock = Clock()
    progress = Progress(4, stream=Terminal(), clock=clock)
    clock.now = 100.0  # masks are combined
    for job, rule in ((1, "mask_light"), (2, "mask_light"), (3, "summarise")):
        begin(progress, job, rule)
    assert progress.line() == "0 of 4 frames"
    clock.now = 102.0
    tell(progress, "job_finished", job_id=1)
    tell(progress, "job_finished", job_id=3)
    assert progress.line() == "1 of 4 frames, 30.0 a minute, 6 s left"
    tell(progress, "job_error", logging.ERROR, jobid=2, rule_name="mask_light", log=["nowhere.log"])
    assert progress.line() == "2 of 4 frames, 1.0 a second, 2 s left, 1 failed"
    progress.done = 3
    assert progress.line() == "4 of 4 frames, finishing, 1 failed"


def test_a_batch_counts_as_its_frames_and_a_second_attempt_as_none(tmp_path):
    (tmp_path / "2.json").write_text('["bad.fits"]')
    clock = Clock()
    progress = Progress(7, {"1": 4, "2": 3}, stream=Terminal(), clock=clock)
    for job, number in ((1, "1"), (2, "2")):
        batch = {"wildcards": {"plan": "p", "number": number}, "output": [str(tmp_path / f"{number}.json")]}
        tell(progress, "job_info", jobid=job, rule_name="mask_batch", **batch)
    tell(progress, "job_error", logging.ERROR, jobid=1, rule_name="mask_batch")  # and is tried again
    clock.now = 6.0
    tell(progress, "job_finished", job_id=2)
    assert progress.line() == "3 of 7 frames, 30.0 a minute, 8 s left, 1 failed"
    (tmp_path / "1.json").write_text("[]")
    tell(progress, "job_finished", job_id=1)
    assert progress.line() == "7 of 7 frames, finishing, 1 failed"


def test_a_frame_that_is_tried_again_has_not_failed_yet():
    progress = Progress(1, stream=Terminal())
    begin(progress, 1)
    tell(progress, "job_error", logging.ERROR, jobid=1, rule_name="mask_light")
    begin(progress, 1)
    tell(progress, "job_finished", job_id=1)
    assert progress.line() == "1 of 1 frames, finishing"


def test_a_terminal_has_one_line_that_is_written_anew_when_it_changes():
    stream = Terminal()
    progress = Progress(2, stream=stream)
    begin(progress, 1)
    begin(progress, 2)
    tell(progress, "job_finished", job_id=1)
    assert stream.getvalue().count("\r\x1b[K") == 2
    assert "\n" not in stream.getvalue()


def test_without_a_terminal_there_is_a_line_now_and_then():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(100, stream=stream, clock=clock)
    for job in range(100):
        begin(progress, job)
        clock.now += 1
        tell(progress, "job_finished", job_id=job)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0] == "30 of 100 frames, 1.0 a second, 70 s left"


def test_causes_of_jobs_that_run_elsewhere_are_told(tmp_path):
    (tmp_path / "a.log").write_text("reading\nFAILED: a.fits: broken; correct it\n")
    stream = Terminal()
    progress = Progress(1, remote=True, stream=stream)
    tell(progress, "job_error", logging.ERROR, jobid=2, rule_name="mask_light", log=[str(tmp_path / "a.log")])
    assert "\x1b[Ka.fits: broken; correct it\n" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3600, "60 min"), (7500, "2 h 5 min")]
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


def test_the_table_sums_reasons_and_leaves_out_what_did_not_happen():
    row = {"pixels": "1000", "masked": "12", "flat": "10", "dark": "0", "cosmic": "3", "saturated": "0"}
    row |= dict.fromkeys(("suspect", "inherited", "notfinite", "edge", "nodata"), "0") | {"remark": ""}
    failed = dict.fromkeys(row, "") | {"path": "c.fits"}
    rows = [row | {"path": "a.fits"}, row | {"path": "b.fits", "remark": "odd"}, failed]
    text = table(rows, 75, {"results": "here"})
    lines = [line.split(maxsplit=2) for line in text.splitlines()]
    assert text.splitlines()[0].split() == ["LIGHT", "frames", "2", "masked", "1", "failed"]
    assert ["flat", "20", "1.000%"] in lines and ["cosmic", "6", "0.300%"] in lines
    assert not [line for line in lines if line[0] == "dark"]
    assert text.splitlines()[-1].split() == ["results", "here"]


def on_a_terminal(command):
    """Run a command with a pseudo-terminal, and give all that it wrote there."""
    here, there = pty.openpty()
    process = subprocess.Popen(command, stdin=there, stdout=there, stderr=there, close_fds=True)
    os.close(there)
    written = b""
    while True:
        try:
            part = os.read(here, 4096)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        written += part
    os.close(here)
    return process.wait(timeout=300), written.decode()


def test_a_run_on_a_terminal(tmp_path):
    write_night(tmp_path / "night")
    (tmp_path / "night/broken.fits").write_text("this is no FITS file")
    command = [sys.executable, "-m", "snakemake", "-s", CHECKOUT / "Snakefile", "--directory", tmp_path / "work"]
    status, written = on_a_terminal([*command, "--cores", "2", "--config", f"frames={tmp_path / 'night'}"])
    assert status != 0
    assert "3 of 3 frames, finishing, 1 failed" in written
    # What stays on the screen, when every line that is written anew has been.
    screen = [re.sub(r"\x1b\[\d*m", "", line.rpartition("\x1b[K")[2]).strip() for line in written.split("\r\n")]
    assert len([line for line in screen if "broken.fits: not a FITS file" in line]) == 2  # at once, and at the end
    noise = ("of 3 frames", "Error in rule", "Finished", "CalledProcessError")
    assert not [line for line in screen if any(word in line for word in noise)]
    assert [line for line in screen if re.fullmatch(r"LIGHT frames +2 masked +1 failed", line)]
    assert [line for line in screen if re.fullmatch(r"results +results/masked", line)]


def test_a_quiet_run_shows_no_progress(tmp_path):
    write_night(tmp_path / "night")
    command = [sys.executable, "-m", "snakemake", "-s", CHECKOUT / "Snakefile", "--directory", tmp_path / "work"]
    arguments = ["--cores", "2", "--quiet", "all", "--config", f"frames={tmp_path / 'night'}", "pictures=false"]
    status, written = on_a_terminal([*command, *arguments])
    assert status == 0 and "of 2 frames" not in written and "LIGHT frames" not in written


def test_a_run_without_a_terminal_is_a_plain_log(tmp_path):
    write_night(tmp_path / "night")
    run = run_workflow(tmp_path / "work", "--config", f"frames={tmp_path / 'night'}")
    assert run.returncode == 0
    assert "\x1b" not in run.output and "\r" not in run.output
    assert "Masking a.fits" in run.output
    assert re.search(r"^LIGHT frames +2 masked +0 failed$", run.output, re.MULTILINE)


def test_another_logger_has_the_terminal(tmp_path):
    """Rich draws its own progress: a second one would tear it apart. What was told to the user is told there."""
    write_night(tmp_path / "night")
    (tmp_path / "night/broken.fits").write_text("this is no FITS file")
    command = [sys.executable, "-m", "snakemake", "-s", CHECKOUT / "Snakefile", "--directory", tmp_path / "work"]
    arguments = ["--cores", "2", "--logger", "rich", "--config", f"frames={tmp_path / 'night'}", "pictures=false"]
    status, written = on_a_terminal([*command, *arguments])
    assert status == 1
    assert not re.search(r"\d of 3 frames", written)
    assert "LIGHT frames" in written and "2 masked" in written
    assert "broken.fits: not a FITS file" in written
