"""One run of the workflow: what stands before its first job and after its last one."""

import os
import sys
import time
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from logging import Logger
from pathlib import Path
from typing import Any, NoReturn

from lightmask import __version__, messages
from lightmask.errors import FrameError, needed
from lightmask.fits import files
from lightmask.masks import sources
from lightmask.night import NOT_YET, inventory, preset_text, remarked
from lightmask.show import Shared, draw_files, read_summary, write_index
from lightmask.workflow import locks, logs, nested, progress
from lightmask.workflow.night import ACCURACY, Night, Wildcards
from lightmask.workflow.outcomes import problems, write_partial
from lightmask.workflow.plan import Plan
from lightmask.workflow.workarounds import (
    Engine,
    interpreter_prefix,
    is_locked,
    is_runnable,
    library_prefix,
    remove_locks_of_dead_run,
)

INDEX = "index.html"
"""The page that shows a night, among the results."""
OF_ALL = ("summarise", "finish_night", "check_night")
"""Rules that run only where the whole night is asked for."""


class Run:
    """A run of the workflow, or one of its jobs that reads the rules anew.

    The rules call `prepare` while they are read, and `begin`, `end` and `end_with_failures` from
    the hooks ``onstart``, ``onsuccess`` and ``onerror``.

    Parameters
    ----------
    engine : Engine
        What Snakemake knows of the run.
    config : dict
        The configuration, as a user gave it.
    logger : Logger
        Snakemake's.
    outside : callable
        Snakemake's ``local``: marks the path of a file that no rule makes.
    """

    def __init__(self, engine: Engine, config: dict[str, Any], logger: Logger, outside: Any = str):
        self.engine, self.logger = engine, logger
        self.progress = progress.Progress()
        self.jobs_at_work = os.path.abspath(".snakemake/lightmask_at_work")
        self.runs_here = os.path.abspath(".snakemake/lightmask_runs")
        self._has_reported = self._assesses = False
        self._busy = ""
        self.is_nested = bool(os.environ.get(nested.PLANNED))
        try:
            self.night = Night(
                config,
                engine.checkout,
                place=engine.place,
                outside=outside,
                force=engine.force if engine.is_main_process else None,
                recall=self.is_nested or not engine.is_main_process,
                is_reporting=lambda: engine.is_reporting,
            )
        except ValueError as error:
            self._stop(str(error))
        self.plan = Plan(self.night, engine)

    def prepare(self) -> None:
        """Search the folder, and clear the way for this run, while the rules are read. No result is written.

        Where another workflow imports ours its rules may make the folder: it is searched later.
        """
        self.logger.addFilter(logs.escape)
        os.environ[logs.AT_WORK] = self.jobs_at_work
        if self.engine.is_main_process and not self.is_nested and not self.engine.is_dry:
            self._make_way()
        try:
            if self.engine.is_main_process:
                self._check_packages()
                self._check_interpreter(runs_here=True)
            if not self.engine.is_imported:
                self.report_left_out()
        except FrameError as error:
            self._stop(str(error))

    def _check_packages(self) -> None:
        """Refuse settings that need a package which is not installed, before any job does."""
        drawn = ("matplotlib", "PIL") if self.night.config["pictures"] else ()
        other = ("ccdproc", "astroscrappy") if self.night.config["cosmic_rays"]["detector"] == "ccdproc" else ()
        repeats = ("astroalign",) if self.night.config["repeats"] == "auto" else ()
        for packages, setting, extra in (
            (drawn, "pictures: true", "report"),
            (other, "detector: ccdproc", "ccdproc"),
            (repeats, "repeats: auto", "repeats"),
        ):
            for package in packages:
                if find_spec(package) is None:
                    raise needed(package, setting, extra)

    def report_left_out(self) -> None:
        """Report what the search of the folder leaves out."""
        lines = list(self.night.warnings())
        for line in lines if self.engine.is_main_process else ():
            self.logger.warning(line)

    def _make_way(self) -> None:
        """Wait for jobs that outlived a run that was killed here, and remove that run's locks."""
        results = self.night.results
        killed_early = []
        with suppress(OSError):  # no locks on this file system, or a right is missing: `begin` reports it
            # A run may be killed when Snakemake has written its locks, and the run has not begun.
            os.makedirs(os.path.dirname(self.runs_here), exist_ok=True)
            killed_early = locks.join(Path(self.runs_here))
        with suppress(OSError):
            if other := locks.holder(results / ".lock"):
                self._busy = self._busy_text(locks.describe(other))
                self.logger.warning(self._busy)
            killed = locks.last_holder(results / ".lock")
            if killed and locks.is_here(killed):
                self._wait_for_jobs()
                remove_locks_of_dead_run()
            elif not killed and killed_early and all(map(locks.is_here, killed_early)):
                remove_locks_of_dead_run()
            elif killed and is_locked():
                self.logger.warning(
                    f"{results}: a run on another machine did not end in order ({locks.describe(killed)}); "
                    "if it is at work no more, use --unlock"
                )

    def _wait_for_jobs(self) -> None:
        """Wait for jobs of a run that was killed: what they write is to be out of the way."""
        if not os.path.exists(self.jobs_at_work):
            return
        with open(self.jobs_at_work, "a") as jobs:
            if not locks.lock(jobs):
                self.logger.warning(
                    f"{self.night.results}: waiting for jobs of a run that was killed and are still at work"
                )
                locks.lock(jobs, wait=True)

    def all_inputs(self, wildcards: Wildcards) -> list[str]:
        """List what makes up a run.

        Parameters
        ----------
        wildcards : object
            None are there.

        Returns
        -------
        list of str
            Files.
        """
        if self.engine.is_imported and self.night.lights and not self._has_reported:
            self._has_reported = True
            self.report_left_out()
        return self.plan.all_inputs(wildcards)

    @cached_property
    def shell_prefix(self) -> str:
        """What Bash runs before each command of a job, as `snakemake.shell.prefix` takes it."""
        # Ctrl-C reaches every process of a terminal. Frames under way are finished: they take seconds, and a
        # job that is interrupted while it loads Snakemake shows a page of its internals.
        usual = self.engine.shell_prefix if self.engine.is_imported else "trap '' INT; "
        prefix = interpreter_prefix(sys.executable) + library_prefix(self.engine.checkout / "scripts") + usual
        return prefix.replace("{", "{{").replace("}", "}}")  # as it formats the text

    def begin(self) -> None:
        """Begin only where no other run is at work; remove what a killed one left; report progress from now on."""
        if self.engine.is_main_process:
            try:
                self.night.results.mkdir(parents=True, exist_ok=True)
                self._provide_file_handles()
                self._check_interpreter(self.engine.runs_here)
                if self.engine.locks:
                    self._hold_results()
                if not self.is_nested:
                    self.night.remember()
            except locks.BusyError as error:
                text = self._busy_text(str(error))
                self._stop("" if text == self._busy else text)
            except (OSError, FrameError) as error:
                reason = getattr(error, "strerror", None)
                self._stop(f"{self.night.results}: cannot be written ({reason})" if reason else str(error))
        self.engine.poll_slurm_steadily()
        self._begin_progress()

    def _busy_text(self, holder: str) -> str:
        return f"{self.night.results}: another run is at work there ({holder}); wait for its end"

    def _provide_file_handles(self) -> None:
        """Let this process open as many files as it will, where the system allows it."""
        import resource  # which Windows lacks, and with it Snakemake's shell

        needed = 24 + 4 * self.engine.cores  # measured: 14 and 3
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise FrameError(
                f"file handles: found {hard} that may be open at a time, expected {needed}; raise ulimit -n, or take "
                "fewer cores"
            )
        if soft != resource.RLIM_INFINITY and soft < needed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

    def _check_interpreter(self, runs_here: bool) -> None:
        """Refuse a path of Python that the commands of jobs would tear apart (Snakemake's issue 2645)."""
        if not is_runnable(sys.executable, runs_here):
            found = "a quote or the like" if runs_here else "a blank, a quote or the like"
            raise FrameError(
                f"{messages.printable(sys.executable)}: found {found} in the path of Python, expected none; use "
                "`lightmask run`, or start Snakemake by a link to its environment"
            )

    def _hold_results(self) -> None:
        """Keep other runs out of the results for as long as this process lives, and clear up."""
        results = self.night.results
        try:
            locks.hold(results / ".lock")
        except OSError as error:
            if error.errno not in locks.UNSUPPORTED:
                raise
            self.logger.warning(
                f"{results}: this file system has no locks ({error.strerror}); after a run that was killed, "
                "use --unlock"
            )
            return
        os.makedirs(os.path.dirname(self.jobs_at_work), exist_ok=True)
        with open(self.jobs_at_work, "a") as jobs:
            if locks.lock(jobs):
                files.remove_leftovers(results)
        if ahead := files.bring_back(results, inventory.MOST_AHEAD):
            self.logger.warning(
                f"{results}: {ahead} results had a time of change ahead of this machine's clock; they have the "
                "present one now"
            )

    def _begin_progress(self) -> None:
        jobs = self.engine.jobs_to_run
        begun = [job.rule.name for job in jobs]
        found = self.progress
        found.frames = {job.wildcards.frame for job in jobs if job.rule.name.endswith(progress.RULE)}
        if self.engine.shows_progress and self.engine.has_events(progress.EVENTS):
            planned = self.plan.batches.get("batches", {}) if self.plan.in_batches else {}
            found.batches = {number: len(names) for number, names in planned.items()}
            alone = sum(name.endswith(progress.RULE) for name in begun)
            found.total = alone + sum(found.batches.values())
        found.remote = not self.engine.runs_here
        found.whole_night = any(name.endswith(OF_ALL) for name in begun)
        self._assesses = found.whole_night and self.night.config["assess"] == "frames"
        self._assesses |= any(name.endswith("assess") for name in begun)
        found.attach(self.logger)

    def end(self) -> None:
        """Report what became of the night, and where it is; and how right its masks are, if that was assessed."""
        if self.progress.whole_night:
            self._report_night()
        else:  # single results were asked for
            self.progress.detach(self.logger)
            self._report_accuracy()

    def _report_accuracy(self) -> None:
        """Report how right the masks are, if this run was to find out."""
        text = self.night.place(ACCURACY)
        if self._assesses and text.exists():
            self.logger.info(text.read_text(encoding="utf-8"))

    def _report_night(self) -> None:
        seconds = self.progress.clock() - self.progress.started
        self.progress.detach(self.logger)
        rows = read_summary(self._place("summary.csv"))
        where = {"results": "masked", "look at": INDEX}
        try:
            self._write_index(rows, seconds)
        except FrameError as error:  # the disk is full, for example
            self.logger.error(f"no page of this run: {error}")
            del where["look at"]
        places = {what: str(self._place(name)) for what, name in where.items()}
        settings = {"preset": preset_text(self.night.config)}
        self.logger.info(progress.table(rows, seconds, settings | places))
        self._report_accuracy()

    def _write_index(self, rows: list[dict[str, str]], seconds: float) -> None:
        """Write the page that shows the night."""
        night = self.night
        drawn = bool(night.config["pictures"])
        text, picture = night.place(ACCURACY), "pictures/accuracy.png"
        assessed = text.read_text(encoding="utf-8") if night.config["assess"] == "frames" and text.exists() else ""
        made = {
            "lightmask": __version__,
            "preset": preset_text(night.config),
            "repeats": str(night.config["repeats"]),
            "frames": str(night.folder),
            "finished": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "took": f"{seconds:.0f} s",
        }
        write_index(
            rows,
            self._place(INDEX),
            title=f"Masks of {night.folder.absolute().name or night.folder}",
            pictures=drawn,
            shared=[Shared(*each) for each in night.shared_masks()] if drawn else [],
            night_picture="pictures/night.png" if drawn else "",
            accuracy=assessed,
            accuracy_picture=picture if drawn and assessed else "",
            made=made,
        )

    def end_with_failures(self) -> None:
        """Summarise a night of which frames failed, which keep rule summarise from running, and report all."""
        lights, outcomes = self.night.light_rows(), self.night.outcomes()
        if not self.progress.whole_night:  # single results were asked for: the others are not to be judged
            self.progress.detach(self.logger)
            asked = self.progress.frames
            found = zip(self.night.lights, problems(lights, outcomes), strict=True)
            self._list_problems([problem for name, problem in found if name in asked and problem], len(asked))
            return
        unfinished = [job.rule.name for job in self.engine.jobs_to_run]
        # Where only flats and darks cannot be used, the summary of the night is whole.
        is_whole = all(name.endswith(("check_night", "all")) for name in unfinished)
        failed = []
        try:
            if not is_whole:
                tables = self._place("summary.csv"), self._place("summary.ecsv")
                failed = write_partial(
                    sources.with_remarks(lights),
                    outcomes,
                    *tables,
                    self.night.config["limits"] if self.night.config["quality"] else None,
                )
                if self.night.config["pictures"]:
                    self._draw_partial_night()
        except FrameError as error:  # the disk is full, for example
            self.progress.detach(self.logger)
            self.logger.error(f"no summary of this run: {error}")
            return
        self._report_night()
        self._list_problems(failed, len(self.night.lights))
        for problem in sources.lines(map(self.night.place, self.night.sources_inputs())):
            self.logger.error(problem)
        if self.night.is_strict and (failing := remarked(read_summary(self._place("summary.csv")))):
            self.logger.error(failing)

    def _draw_partial_night(self) -> None:
        """Draw the night although frames failed, as out of date as its summary is."""
        picture, page = self._place("pictures/night.png"), self._place("pictures/summary.html")
        picture.parent.mkdir(parents=True, exist_ok=True)
        draw_files(self._place("summary.csv"), picture, page)
        for path in (picture, page):
            os.utime(path, (0, 0))

    def _list_problems(self, found: list[str], asked: int) -> None:
        """Report which frames failed and why, and how many were not begun, of so many."""
        failed = [text for text in found if not text.endswith(NOT_YET)]
        waiting = len(found) - len(failed)
        if failed:
            self.logger.error(f"{len(failed)} of {asked} LIGHT frames have no result:")
        for problem in dict.fromkeys(failed):  # a broken mask is reported once
            self.logger.error(problem)
        if waiting:
            self.logger.error(f"{waiting} of {asked} LIGHT frames are {NOT_YET}; the same command goes on with them")

    def _place(self, name: str) -> Path:
        return self.night.place(f"results/{name}")

    def _stop(self, message: str) -> NoReturn:
        """End before any job starts, with a message, if there is one left to report, and no traceback."""
        if message:
            self.logger.error(message)
        sys.exit(1)
