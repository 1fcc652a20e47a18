"""Snakemake inside a job of Snakemake, and Snakemake asked what it would do.

Why a Snakemake and not a loop over frames: a batch is to leave what single jobs leave. That is a log, a
benchmark, and Snakemake's own record of each frame, which the next run and its report read; outputs of
an interrupted frame that are made again; one failed frame that costs itself while the others go on; a
second attempt that makes only what is missing; as many frames at once as memory allows; a job of rule
mask_light run in the environment that its rule names. A loop would need all of these again, in code of
our own. Groups of jobs, Snakemake's own way, do not: one failed frame costs the frames of its group
that are not done, an attempt makes the whole group again, and the memory of all its frames is summed.
A nested run costs about one second of a core for each batch, that is, of five minutes of work.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PLANNED = "LIGHTMASK_PLANNED"
"""Environment variable: the folder is not searched anew, as the outer run has done so."""

Settings = dict[str, Any]
"""What every run has in common: ``python``, ``snakefile``, ``config``, ``rerun_triggers``,
``deployment`` and ``conda_prefix`` as the outer run has them, and whether its search of the folder is ``planned``."""


def outdated(settings: Settings, targets: Iterable[str] = (), **dag: Any) -> list[str]:
    """List the files that a run would make now, as Snakemake itself says.

    Parameters
    ----------
    settings : dict
        `Settings`.
    targets : iterable of str
        Files; those of the default rule if there are none.
    **dag
        Of `snakemake.settings.types.DAGSettings`, as JSON can carry it.

    Raises
    ------
    RuntimeError
        If Snakemake cannot say; the text is what it printed.
    """
    asked = _start(settings, {"targets": list(targets), **dag}, None, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if asked.returncode:
        raise RuntimeError(f"what needs to be made cannot be found out:\n{asked.stderr}")
    return json.loads(asked.stdout.splitlines()[-1])


def make(settings: Settings, targets: Iterable[str], resources: dict[str, int], **dag: Any) -> bool:
    """Make files on this machine, and return whether all could be made.

    No profile of the user counts, which might send the jobs of this job away.
    The outer run holds the lock of the working directory.

    Parameters
    ----------
    settings : dict
        `Settings`.
    targets : iterable of str
        Files.
    resources : dict
        ``cores``, and others that jobs share.
    **dag
        As for `outdated`.
    """
    return not _start(settings, {"targets": list(targets), **dag}, resources).returncode


def _start(settings: Settings, dag: dict[str, Any], resources: dict[str, int] | None, **pipes: Any) -> Any:
    """Run this file, which reads what it is to do: a command line is too short for a night."""
    task = json.dumps({"settings": settings, "dag": dag, "resources": resources})
    command = [settings["python"], __file__]
    planned = {PLANNED: "1"} if settings.get("planned") else {}
    return subprocess.run(command, input=task, text=True, check=False, env=os.environ | planned, **pipes)  # noqa: S603 - no shell


def main(settings: Settings, dag: dict[str, Any], resources: dict[str, int] | None) -> None:
    """Run in this process; without resources, run dry and print what would be made."""
    from snakemake import api
    from snakemake.scheduling import greedy
    from snakemake.settings import types

    is_dry = resources is None
    resources = resources or {"cores": 1}
    quiet = {types.Quietness.ALL} if is_dry else {types.Quietness.HOST, types.Quietness.REASON}
    # What Snakemake has in other types than JSON.
    triggers = {types.RerunTrigger.parse_choice(name) for name in settings["rerun_triggers"]}
    methods = {types.DeploymentMethod.parse_choice(name) for name in settings["deployment"]}
    prefix = settings["conda_prefix"] and Path(settings["conda_prefix"])
    files: list[str] = []
    with api.SnakemakeApi(types.OutputSettings(quiet=quiet)) as snakemake_api:
        try:
            workflow = snakemake_api.workflow(
                snakefile=Path(settings["snakefile"]),
                resource_settings=types.ResourceSettings(cores=resources.pop("cores"), resources=resources),
                config_settings=types.ConfigSettings(config=settings["config"]),
                deployment_settings=types.DeploymentSettings(deployment_method=methods, conda_prefix=prefix),
            )
            workflow.dag(types.DAGSettings(force_incomplete=True, rerun_triggers=triggers, **dag)).execute_workflow(
                executor="dryrun" if is_dry else "local",
                execution_settings=types.ExecutionSettings(lock=False, keep_going=True, no_hooks=True),
                scheduling_settings=types.SchedulingSettings(scheduler="greedy"),
                scheduler_settings=greedy.SchedulerSettings(),
                updated_files=files,
            )
        except Exception as error:  # in the words of Snakemake, as its own command does
            snakemake_api.print_exception(error)
            sys.exit(1)
    if is_dry:
        print(json.dumps([str(file) for file in files]))


if __name__ == "__main__":
    main(**json.load(sys.stdin))
