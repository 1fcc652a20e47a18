"""Time what Snakemake plans for a night of many frames against a bare Snakefile: `make bench-planning`.

The bare one has the same jobs with the same number of inputs and outputs, and knows nothing of
astronomy. Both are timed when nothing is made, when all is made, and when one frame has been added.
Of the frames one is masked, and its statistics stand for those of the others, which have the same pixels.
Prints processor time, which a busy machine changes less than it does the time on the clock, peak memory
and their ratios.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits

CHECKOUT = Path(__file__).parent.parent.parent
SIZE = 64
BARE = """
from pathlib import Path

NIGHT = Path(config["frames"])
LIGHTS = sorted(path.name for path in NIGHT.glob("light*.fits"))


rule all:
    input:
        "results/frames.csv",
        "results/summary.csv",
        "results/night.png",
        "results/masks.png",
        expand("results/masked/{frame}", frame=LIGHTS),
        expand("results/pictures/{frame}.png", frame=LIGHTS),


rule list_frames:
    output:
        "results/frames.csv",
    log:
        "results/logs/list_frames.log",
    benchmark:
        "results/benchmarks/list_frames.tsv"
    script:
        "bare.py"


rule combine_masks:
    input:
        flat=NIGHT / "flat_mask.fits",
        dark=NIGHT / "dark_mask.fits",
    output:
        mask="results/masks.fits",
        picture="results/masks.png",
    log:
        "results/logs/combine_masks.log",
    benchmark:
        "results/benchmarks/combine_masks.tsv"
    script:
        "bare.py"


rule mask_light:
    input:
        frame=NIGHT / "{frame}",
        masks="results/masks.fits",
    output:
        frame="results/masked/{frame}",
        statistics="results/statistics/{frame}.json",
        picture="results/pictures/{frame}.png",
    log:
        "results/logs/mask_light/{frame}.log",
    benchmark:
        "results/benchmarks/mask_light/{frame}.tsv"
    resources:
        mem_mb=300,
        runtime=5,
    params:
        sigclip=8,
    script:
        "bare.py"


rule summarise:
    input:
        expand("results/statistics/{frame}.json", frame=LIGHTS),
    output:
        csv="results/summary.csv",
        ecsv="results/summary.ecsv",
        picture="results/night.png",
    log:
        "results/logs/summarise.log",
    benchmark:
        "results/benchmarks/summarise.tsv"
    script:
        "bare.py"
"""
BARE_SCRIPT = """
from pathlib import Path

for file in snakemake.output:
    Path(file).touch()
"""


def write_frame(path: Path, type_: str, data: np.ndarray) -> None:
    """Write a frame or a mask."""
    hdu = fits.PrimaryHDU(data)
    hdu.header["IMAGETYP"] = type_
    hdu.header["FILTER"] = "r"
    hdu.header["EXPTIME"] = 10.0
    hdu.writeto(path)


def make_night(folder: Path, frames: int) -> None:
    """Write small LIGHT frames, all of the same pixels, and two masks."""
    folder.mkdir()
    pixels = np.random.default_rng(1).normal(100, 10, (SIZE, SIZE)).astype(np.float32)
    for name in ("flat", "dark"):
        write_frame(folder / f"{name}_mask.fits", f"{name} mask", np.eye(SIZE, dtype=np.uint8))
    write_frame(folder / "light00000.fits", "LIGHT", pixels)
    for number in range(1, frames):
        shutil.copy(folder / "light00000.fits", folder / f"light{number:05d}.fits")


class Workflow:
    """A Snakefile with a working directory of its own."""

    def __init__(self, snakefile: Path, work: Path, night: Path):
        work.mkdir()
        command = [sys.executable, "-m", "snakemake", "-s", snakefile, "--directory", work]
        self.work = work
        self.command: list[str] = [
            *map(str, command),
            "--workflow-profile",
            "none",
            "--cores",
            "2",
            "--config",
            f"frames={night}",
        ]

    def run(self, *arguments: str) -> tuple[float, float, str]:
        """Run it; give processor time in s, peak memory in MB, and what it printed."""
        with tempfile.TemporaryFile("w+") as printed:
            process = subprocess.Popen([*self.command, *arguments], stdout=printed, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = usage.ru_utime + usage.ru_stime
            printed.seek(0)
            text = printed.read()
        assert os.waitstatus_to_exitcode(status) == 0, text[-3000:]
        return seconds, usage.ru_maxrss / 1024, text

    def make_all(self) -> None:
        """Have all results made, for all that Snakemake knows; most in a process that only pretends to."""
        snakefile, night = self.command[4], self.command[-1].removeprefix("frames=")
        self.run("--quiet", "--", "results/masked/light00000.fits")
        subprocess.run([sys.executable, __file__, "--pretend", snakefile, night], cwd=self.work, check=True)
        self.run("--quiet")


def pretend(snakefile: str, night: str) -> None:
    """Make what the masking of all frames but the first would make, as far as plans read it."""
    from snakemake import api
    from snakemake.settings import types

    with api.SnakemakeApi(types.OutputSettings(quiet={types.Quietness.ALL})) as snakemake_api:
        workflow = snakemake_api.workflow(
            snakefile=Path(snakefile),
            resource_settings=types.ResourceSettings(cores=1),
            config_settings=types.ConfigSettings(config={"frames": night}),
        )
        settings = types.ExecutionSettings(lock=False)
        workflow.dag().execute_workflow(executor="dryrun", execution_settings=settings)
        planned = workflow._workflow_store
        for jobs in planned.dag.toposorted():
            for job in jobs:
                if job.rule.name != "mask_light" or "light00000.fits" in job.wildcards:
                    continue
                for file in map(Path, job.output):
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.touch()
                asyncio.run(planned.persistence.finished(job))
                statistics = json.loads(Path("results/statistics/light00000.fits.json").read_text() or "{}")
                if "recipe" in statistics:
                    statistics["recipe"] = job.params.task["recipe"]
                    Path(job.output.statistics).write_text(json.dumps(statistics))


def main(frames: int, rounds: int) -> None:
    """Compare the two in each of the three states."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        night = folder / "night"
        make_night(night, frames)
        (folder / "bare.smk").write_text(BARE)
        (folder / "bare.py").write_text(BARE_SCRIPT)
        both = {
            "bare": Workflow(folder / "bare.smk", folder / "bare", night),
            "lightmask": Workflow(CHECKOUT / "Snakefile", folder / "lightmask", night),
        }
        print(f"{frames} frames of {SIZE}x{SIZE}: processor seconds and peak MB, the least of {rounds} rounds")
        for state in ("first plan", "nothing to do", "one frame added"):
            if state == "nothing to do":
                for workflow in both.values():
                    workflow.make_all()
                    assert "Nothing to be done" in workflow.run("-n")[2]
            if state == "one frame added":
                shutil.copy(night / "light00000.fits", night / "light99999.fits")
            # In turns, so that what else the machine does meets both.
            turns = [{name: workflow.run("-n", "--quiet") for name, workflow in both.items()} for _ in range(rounds)]
            found = {name: [turn[name] for turn in turns] for name in both}
            seconds = {name: min(run[0] for run in runs) for name, runs in found.items()}
            memory = {name: min(run[1] for run in runs) for name, runs in found.items()}
            said = "  ".join(f"{name} {seconds[name]:6.1f} s {memory[name]:5.0f} MB" for name in both)
            ratios = [figures["lightmask"] / figures["bare"] for figures in (seconds, memory)]
            print(f"{state:<16}  {said}  ratios {ratios[0]:.2f} and {ratios[1]:.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pretend", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pretend:
        pretend(*arguments.pretend)
    else:
        main(arguments.frames, arguments.rounds)
