"""Which frames need masking, and in which batches they travel to a cluster."""

import json
import time
from functools import cached_property
from typing import Any

from lightmask.errors import FrameError
from lightmask.night import configuration
from lightmask.workflow import batches, nested
from lightmask.workflow.night import Night, Wildcards
from lightmask.workflow.workarounds import Engine

BATCH_CORES = 4
NESTED_MB = 600  # of three Snakemakes, one inside the other; measured 130 each
NESTED_SECONDS = 30
FINISHED = "results/batches/finished"
"""One for all plans: a second run in this folder is locked out."""


class Plan:
    """Whether the frames of a night travel in batches, and in which.

    Parameters
    ----------
    night : Night
        The frames.
    engine : Engine
        The run.
    """

    def __init__(self, night: Night, engine: Engine):
        self.night, self.engine = night, engine

    @property
    def in_batches(self) -> bool:
        """Whether frames travel in batches; known once a run starts, not before.

        A workflow that imports this one asks for single frames, which a run inside a job would not know.
        """
        size = self.night.config["frames_per_job"]
        if self.engine.is_imported or size == 0 or not self.engine.is_whole:
            return False
        return size is not None or self.engine.sends_jobs_away

    @cached_property
    def batches(self) -> dict[str, Any]:
        """The batches of this run; empty if there is nothing to do but `frames.csv`.

        Raises
        ------
        FrameError
            If Snakemake cannot say what needs to be made.
        """
        settings = self.engine.nested_settings(configuration.as_given(self.night.config))
        forced = self.engine.forced
        try:
            made = set(nested.outdated(settings, **forced))
        except RuntimeError as error:
            raise FrameError(str(error)) from None
        names = [name for name in self.night.lights if f"results/masked/{name}" in made]
        if not names and "results/summary.csv" not in made:
            return {}
        # Frames of one size stay together: they need the same memory.
        names.sort(key=self.night.memory_of)
        work = {name: self.night.seconds_of(name) for name in names}
        cores = self.engine.threads_of("mask_batch", BATCH_CORES)
        found = batches.split(work, cores, self.engine.most_jobs, self.night.config["frames_per_job"])
        return {
            "name": time.strftime("%Y%m%dT%H%M%S", time.gmtime()),
            "batches": {str(number): batch for number, batch in enumerate(found, 1)},
            "force": any(forced.values()),
            "settings": settings | {"planned": True},
        }

    def all_inputs(self, wildcards: Wildcards) -> list[str]:
        """List what makes up a run."""
        self.night.in_batches = self.in_batches
        if not self.in_batches:
            return self.night.all_results()
        return [*self.night.shared_results(), *([FINISHED] if self.batches else [])]

    def plan(self, wildcards: Wildcards) -> dict[str, Any]:
        """Return a plan of batches: that of this run, or the one that a job finds on its disk."""
        if self.engine.is_main_process:
            return self.batches
        file = self.night.place(f"results/batches/{wildcards.plan}/plan.json")
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def plan_inputs(self, wildcards: Wildcards) -> dict[str, Any]:
        """List the files of this run's plan."""
        folder = f"results/batches/{self.batches['name']}"
        return {
            "plan": f"{folder}/plan.json",
            "batches": [f"{folder}/{number}.json" for number in self.batches["batches"]],
        }

    def _frames(self, wildcards: Wildcards) -> list[str]:
        """Name the frames of a batch, without those that have been deleted since."""
        names = self.plan(wildcards).get("batches", {}).get(wildcards.number, [])
        return [name for name in names if name in self.night.lights]

    def batch_inputs(self, wildcards: Wildcards) -> list[Any]:
        """Return the frames of a batch, and the masks that they share."""
        return self.night.inputs_of(self._frames(wildcards))

    def batch_task(self, wildcards: Wildcards) -> dict[str, list[str]]:
        """Return the files to make, by frame."""
        return {name: self.night.results_of(name) for name in self._frames(wildcards)}

    def batch_memory(self, wildcards: Wildcards, threads: int, attempt: int) -> int:
        """Estimate the memory of a batch, in MB: of as many frames at once as it has cores."""
        largest = max(map(self.night.memory_of, self._frames(wildcards)), default=0)
        return NESTED_MB + attempt * threads * largest

    def batch_minutes(self, wildcards: Wildcards, threads: int, attempt: int) -> int:
        """Estimate the run time of a batch, in minutes."""
        work = sum(map(self.night.seconds_of, self._frames(wildcards)))
        return batches.minutes(NESTED_SECONDS * threads + work, threads, attempt)
