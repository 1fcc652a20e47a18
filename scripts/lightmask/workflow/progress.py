"""Progress of a run on the terminal: frames done, rate, time left, failures, and a table at the end."""

import json
import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from lightmask.bits import REASONS
from lightmask.messages import CLEAR_LINE, printable
from lightmask.night import NOT_YET, number
from lightmask.quality import NAMES
from lightmask.workflow.logs import failure, killed

RULE = "mask_light"
BATCH = "mask_batch"
EVENTS = ("job_info", "job_finished", "job_error")
"""Names of what is listened to, in Snakemake's interface for loggers."""
EVERY = 30.0
"""Seconds between two lines where there is no terminal, whose last line could be written anew."""


class Progress(logging.Handler):
    """Count the frames of a run from what the workflow engine reports of its jobs.

    Parameters
    ----------
    total : int
        Frames to mask.
    batches : dict
        Of these, how many travel in each batch, by its number.
    remote : bool
        Whether jobs run elsewhere, so that their causes of failure do not come to this terminal.
    stream : file
        Where to write. On a terminal, one line is kept up to date, and the engine's own
        reports on jobs go to its log file only; elsewhere a line is added from time to time.
    clock : callable
        Seconds that pass.
    """

    def __init__(
        self,
        total: int = 0,
        batches: Mapping[str, int] | None = None,
        remote: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__()
        self.total, self.batches, self.remote, self.clock = total, batches or {}, remote, clock
        self.frames: set[str] = set()  # that this run masks
        self.whole_night = True  # and not single results only, so that there is a summary to report
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.started = self.reported_at = clock()
        self.first: float | None = None  # when the first frame was begun: the rate knows nothing of masks
        self.done = self.bad = 0
        self._failed: set[int] = set()  # jobs of single frames
        self._frames: dict[int, int] = {}  # frames of each job under way
        self._lists: dict[int, Path] = {}  # where a batch lists its bad frames
        self._shown = ""
        self._logger: logging.Logger | None = None  # where to report causes, if another one has the terminal

    def attach(self, logger: logging.Logger) -> None:
        """Listen to the engine, whose own handler keeps silent about jobs on a terminal.

        Where no handler writes to this stream another one has the terminal, such as that of
        ``--logger rich``: it shows the progress in its way.
        """
        self.started = self.reported_at = self.clock()
        handlers = [handler for handler in logger.handlers if getattr(handler, "stream", None) is self.stream]
        if not handlers:
            self.total, self._logger = 0, logger
        for handler in handlers if self.live and self.total else ():
            handler.addFilter(self._let_through)
        logger.addHandler(self)

    def detach(self, logger: logging.Logger) -> None:
        """Leave the terminal to others."""
        logger.removeHandler(self)
        for handler in logger.handlers:
            handler.removeFilter(self._let_through)
        self._clear()

    def _let_through(self, record: logging.LogRecord) -> bool:
        about_job = _event(record) in ("job_error", "group_error") or "CalledProcessError" in record.getMessage()
        if record.levelno <= logging.INFO or about_job:  # the job wrote the cause itself, in one line
            return False
        self._clear()
        return True

    def _clear(self) -> None:
        if self.live and not self._logger:
            self._shown = ""
            self.stream.write(CLEAR_LINE)
            self.stream.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a job."""
        event, fields = _event(record), record.__dict__
        job: Any = fields.get("jobid", fields.get("job_id"))
        rule = str(fields.get("rule_name"))
        if event == "job_info" and rule.endswith((RULE, BATCH)):  # an imported rule has a prefix
            self._frames[job] = 1
            self._failed.discard(job)  # tried again
            if rule.endswith(BATCH):
                self._frames[job] = self.batches.get(fields["wildcards"]["number"], 0)
                self._lists[job] = Path(fields["output"][0])
            self.first = self.clock() if self.first is None else self.first
        elif event == "job_finished" and job in self._frames:
            bad = len(json.loads(self._lists[job].read_text(encoding="utf-8"))) if job in self._lists else 0
            self.bad += bad
            self.done += self._frames[job] - bad
        elif event == "job_error":
            if rule.endswith(RULE):
                self._failed.add(job)
            # A job on this machine has written its cause itself, unless it was killed.
            for cause in filter(None, map(failure if self.remote else killed, fields.get("log") or ())):
                self._report(cause)
        if self.live and self.total:
            line = self.line()[: shutil.get_terminal_size().columns - 1]
            if line != self._shown:
                self.stream.write(CLEAR_LINE + line)
                self.stream.flush()
            self._shown = line
        elif self.total and event in ("job_finished", "job_error") and self.clock() - self.reported_at >= EVERY:
            self.reported_at = self.clock()
            self.stream.write(f"{self.line()}\n")
            self.stream.flush()

    def _report(self, cause: str) -> None:
        if self._logger:
            self._logger.error(cause)
        else:
            self._clear()
            self.stream.write(f"{cause}\n")

    @property
    def failed(self) -> int:
        """Frames without a result, so far."""
        return self.bad + len(self._failed)

    def line(self) -> str:
        """Say how far the run is: ``12 of 200 frames, 3.1 a second, 1 min left, 1 failed``."""
        ended = self.done + self.failed
        parts = [f"{ended} of {self.total} frames"]
        elapsed = 0.0 if self.first is None else self.clock() - self.first
        if ended == self.total:
            parts.append("finishing")
        elif ended and elapsed > 0:
            rate = ended / elapsed
            parts.append(f"{rate:.1f} a second" if rate >= 1 else f"{rate * 60:.1f} a minute")
            parts.append(f"{duration((self.total - ended) / rate)} left")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)


def _event(record: logging.LogRecord) -> str:
    return str(record.__dict__.get("event") or "")


def duration(seconds: float) -> str:
    """Return a time span in one unit or two: ``40 s``, ``3 min``, ``2 h 5 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def table(rows: Iterable[Mapping[str, Any]], seconds: float, where: Mapping[str, str]) -> str:
    """Return the end of a run in a few lines.

    Parameters
    ----------
    rows : iterable of dict
        Of the summary.
    seconds : float
        How long the run took.
    where : dict
        What it was made with, what the results are, and where.
    """
    rows = list(rows)
    masked = [row for row in rows if row["pixels"]]
    pixels = sum(number(row["pixels"]) for row in masked)
    waiting = sum(str(row.get("problem", "")).endswith(NOT_YET) for row in rows)
    frames = len({row["path"] for row in rows})
    done = len({row["path"] for row in masked})
    failed = f"{frames - done - waiting} failed"
    lines = [("LIGHT frames", f"{done} masked", failed + f", {waiting} {NOT_YET}" * bool(waiting))]
    if len(masked) > done:
        lines.append(("images", f"{len(masked)} masked", ""))
    for reason in ("masked", *REASONS):
        count = sum(number(row[reason]) for row in masked)
        if count or reason == "masked":
            name = "masked pixels" if reason == "masked" else f"  {reason}"
            lines.append((name, f"{count:,.0f}", f"{count / pixels:.3%}" if pixels else ""))
    wrong = {row["path"] for row in rows if row.get("causes")}
    odd = len({row["path"] for row in rows if row["remark"]} - wrong)
    if odd:
        lines.append(("odd frames", str(odd), "see remark in the summary"))
    lines.append(("time", duration(seconds), ""))
    lines += [(what, path, "") for what, path in where.items()]
    text = [f"{name:<16}{value:<16}{more}".rstrip() for name, value, more in lines]
    return "\n".join([*text, *_what_is_wrong(rows, len(wrong), frames)])


def _what_is_wrong(rows: list[Mapping[str, Any]], wrong: int, frames: int) -> Iterator[str]:
    """Yield how many frames look wrong, and by cause and remedy how many and which."""
    if not wrong:
        return
    yield f"{wrong} of {frames} frames {'looks' if wrong == 1 else 'look'} wrong:"
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("causes"):
            groups.setdefault(row["causes"].split()[0], []).append(row)
    for cause in sorted(groups, key=list(NAMES).index):
        paths = list(dict.fromkeys(row["path"] for row in groups[cause]))
        (remedy, _), *others = Counter(row["remedy"] for row in groups[cause]).most_common()
        listed = ", ".join(map(printable, paths[:3])) + ", ..." * bool(paths[3:])
        more = ", other numbers in the summary" if others else ""
        yield f"  {len(paths)}  {NAMES[cause]}: {remedy} ({listed}{more})"
