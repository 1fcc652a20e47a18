"""Rule mask_batch: mask many frames in one job, by a Snakemake of its own."""

import json
from pathlib import Path

from lightmask.workflow import fault, logged_to, nested


def stamp(log):
    """Tell one writing of a log from the next."""
    return (log.stat().st_mtime_ns, log.stat().st_ino) if log.exists() else None


def main(plan, frames, output, resources):
    """Mask frames; bad ones do not fail the job, but what a second attempt may heal does.

    `frames` gives the files to make by frame.
    """
    settings = plan["settings"]
    logs = {name: Path(f"results/logs/mask_light/{name}.log") for name in frames}
    before = {name: stamp(log) for name, log in logs.items()}
    targets = [file for files in frames.values() for file in files]
    rules = ["mask_light"]
    bad = []
    if not nested.make(settings, targets, resources, allowed_rules=rules, forcetargets=plan["force"]):
        unmade = set(nested.outdated(settings, targets, allowed_rules=rules))
        bad = [name for name, files in frames.items() if unmade.intersection(files)]
        lost = [name for name in bad if stamp(logs[name]) == before[name] or not fault(logs[name])]
        if lost:
            raise RuntimeError(f"{len(lost)} of {len(frames)} frames are not masked yet, {lost[0]} first")
    Path(output).write_text(json.dumps(bad), encoding="utf-8")


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            plan=json.loads(Path(snakemake.input.plan).read_text(encoding="utf-8")),
            frames=snakemake.params.frames,
            output=snakemake.output[0],
            resources={"cores": snakemake.threads, "mem_mb": snakemake.resources.mem_mb},
        )
