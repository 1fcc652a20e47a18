# Which frames need masking, and in which batches they travel to a cluster.
import json
import time
from functools import cache

import nested

from lightmask.workflow import batches

BATCH_CORES = 4
NESTED_MB = 600  # of three Snakemakes, one inside the other; measured 130 each
NESTED_SECONDS = 30
# A workflow that imports this one asks for single frames, and a run inside a job would not know it.
IS_IMPORTED = (
    Path(workflow.main_snakefile).resolve() != (CHECKOUT / "Snakefile").resolve()
)


if not IS_IMPORTED:
    # Ctrl-C reaches every process of a terminal. Frames under way are finished: they take seconds, and a
    # job that is interrupted while it loads Snakemake shows a page of its internals.
    shell.prefix("trap '' INT; ")


def in_batches():
    """Tell whether frames travel in batches; known once a run starts, not before."""
    part = workflow.dag_settings
    is_whole = not (part.until or part.omit_from or part.batch)
    if IS_IMPORTED or CONFIG["frames_per_job"] == 0 or not is_whole:
        return False
    if CONFIG["frames_per_job"] is not None:
        return True
    # Jobs that are sent away have a number at the most and default resources. Without a
    # shared file system they cannot know what others made.
    sent_away = None not in (
        workflow.resource_settings.nodes,
        workflow.resource_settings.default_resources,
    )
    return sent_away and "input-output" in shared_by_all()


def shared_by_all():
    """Name what the file system shares among the machines of a run."""
    return {str(usage) for usage in workflow.storage_settings.shared_fs_usage}


def nested_settings():
    """Give what the runs inside jobs have to know of this one."""
    deployment = workflow.deployment_settings
    prefix = deployment.conda_prefix
    return {
        "python": shlex.split(sys.executable)[0],
        "snakefile": str(CHECKOUT / "Snakefile"),
        "config": {**CONFIG, "frames_per_job": 0},
        "rerun_triggers": sorted(map(str, workflow.rerun_triggers)),
        "deployment": sorted(map(str, deployment.deployment_method)),
        "conda_prefix": str(prefix.absolute()) if prefix else None,
    }


def needed(**dag):
    """Ask Snakemake what it would make if every frame were a job of its own."""
    try:
        return set(nested.outdated(nested_settings(), **dag))
    except RuntimeError as error:
        raise WorkflowError(str(error))


def frames_among(made):
    """Name the frames that are masked where these files are made."""
    return [name for name in LIGHTS if f"results/masked/{name}" in made]


@cache
def night_plan():
    """Plan the batches of this run; empty if there is nothing to do but `frames.csv`."""
    settings = workflow.dag_settings
    forced = {"forceall": settings.forceall, "forcerun": sorted(settings.forcerun)}
    made = needed(**forced)
    names = frames_among(made)
    if not names and "results/summary.csv" not in made:
        return {}
    # Frames of one size stay together: they need the same memory.
    names.sort(key=frame_memory)
    jobs = workflow.resource_settings.nodes or 1
    work = {name: frame_seconds(name) for name in names}
    found = batches.split(work, batch_cores(), jobs, CONFIG["frames_per_job"])
    return {
        "name": time.strftime("%Y%m%dT%H%M%S", time.gmtime()),
        "batches": {str(number): batch for number, batch in enumerate(found, 1)},
        "force": any(forced.values()),
        "settings": nested_settings() | {"planned": True},
    }


def batch_cores():
    """Give the cores of a batch, which a profile may set."""
    cores = workflow.resource_settings.overwrite_threads.get("mask_batch", BATCH_CORES)
    return int(getattr(cores, "raw", cores))


def whole_night(wildcards):
    """List what makes up a run."""
    if not in_batches():
        return results_of_night()
    finished = ["results/batches/finished"] if night_plan() else []
    return [
        "results/frames.csv",
        *pictures_of_masks(),
        *sources_checked(),
        *finished,
    ]


def plan_of(wildcards):
    """Give a plan of batches: that of this run, or the one that a job finds on its disk."""
    if workflow.is_main_process:
        return night_plan()
    file = here(f"results/batches/{wildcards.plan}/plan.json")
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def frames_of_batch(wildcards):
    """Name the frames of a batch, without those that have been deleted since."""
    names = plan_of(wildcards).get("batches", {}).get(wildcards.number, [])
    return [name for name in names if name in LIGHTS]


def files_of_batch(wildcards):
    """Give the frames of a batch, and the masks that they share."""
    usable = [
        frame
        for frame in map(LIGHTS.get, frames_of_batch(wildcards))
        if not (frame.problem or MATCHER.problem(frame))
    ]
    masks_needed = {combined_mask_of(frame) for frame in usable} - {""}
    inputs = [file for frame in usable for file in file_of(frame)]
    return inputs + sorted(masks_needed)


def targets_of_batch(wildcards):
    """Give the files to make by frame to the job of a batch."""
    named = frames_of_batch(wildcards)
    return sealed({name: results_of_frame(name) for name in named})


def files_of_plan(wildcards):
    """List the files of this run's plan."""
    folder = f"results/batches/{night_plan()['name']}"
    return {
        "plan": f"{folder}/plan.json",
        "batches": [f"{folder}/{number}.json" for number in night_plan()["batches"]],
    }


def frame_seconds(name):
    """Reckon how long masking a frame takes, in s."""
    return batches.seconds(LIGHTS[name].shape, CONFIG["cosmic_rays"]["detector"])


def masking_minutes(wildcards, attempt):
    """Reckon the run time of a masking job, in minutes."""
    return batches.minutes(frame_seconds(wildcards.frame), 1, attempt)


def static_mask_minutes(wildcards, attempt):
    """Reckon the run time of making a mask, in minutes."""
    mask = made_mask(wildcards)
    work = batches.static_mask_seconds(mask.shape, len(mask.sources))
    return batches.minutes(work, 1, attempt)


def batch_memory(wildcards, threads, attempt):
    """Reckon the memory of a batch, in MB: of as many frames at once as it has cores."""
    largest = max(map(frame_memory, frames_of_batch(wildcards)), default=0)
    return NESTED_MB + attempt * threads * largest


def batch_minutes(wildcards, threads, attempt):
    """Reckon the run time of a batch, in minutes."""
    work = sum(map(frame_seconds, frames_of_batch(wildcards)))
    return batches.minutes(NESTED_SECONDS * threads + work, threads, attempt)


def outcomes():
    """Give what became of every LIGHT frame; an old result counts as none."""
    DIGESTS.look_again()
    for name, frame in LIGHTS.items():
        statistics, log, logs_of_masks = outcome_of(frame)
        if not problem_of_light(frame) and is_outdated(name):
            statistics = statistics.with_name(".out of date")
        yield statistics, log, logs_of_masks


def steady_executor():
    """Mend the executor for Slurm (2.8.0) where it asks for the status of jobs.

    Each time that no job has ended it waits 10 s longer, up to 180 s, and the whole run with it;
    one `squeue` for all jobs, as often as `--seconds-between-status-checks` says, is no burden.
    While slurmctld does not answer it turns to `sacct`, even if `squeue` was chosen, where there
    is a program of that name. Without a database that never answers, and the run would hang.
    """
    executor = sys.modules.get("snakemake_executor_plugin_slurm")
    if getattr(workflow.executor_settings, "status_command", "") == "squeue":
        executor.Executor.next_seconds_between_status_checks = property(
            lambda self: self.workflow.remote_execution_settings.seconds_between_status_checks,
            lambda self, seconds: None,
        )
        has_tool = executor.is_query_tool_available
        executor.is_query_tool_available = lambda tool: tool != "sacct" and has_tool(
            tool
        )
