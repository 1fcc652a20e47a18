"""Time nights on a Slurm of two nodes that one machine plays: batches, Snakemake's groups, and no Slurm.

Prints a line for each way: `make bench-cluster`.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(CHECKOUT / "scripts"), str(CHECKOUT / "tests/cluster")]

from slurm import NODES, Slurm, why_not

from lightmask import demo

CORES = 4  # of a node
LOCAL = ["--cores", str(CORES * len(NODES))]
BATCHES = ["--profile", str(CHECKOUT / "profiles/slurm"), "--jobs", str(len(NODES))]
# A group asks for the sum of what its members ask for, unless that is capped.
GROUP = [*BATCHES, "--groups", "mask_light=night", "--group-components", "night=1000", "--cores", str(CORES)]
GROUP += ["--resources", "mem_mb=4000", "--retries", "0"]


def make_night(folder: Path, frames: int) -> None:
    """Write as many LIGHT frames as wanted by copying those of the demo night."""
    demo.make(folder, folder.with_name("truth"))
    originals = [(folder / name).rename(folder.with_name(name)) for name in demo.LIGHTS]
    for number in range(frames):
        shutil.copy(originals[number % len(originals)], folder / f"{number:03d}.fits")


def report(way: str, night: Path, options: list[str], *config: str) -> None:
    """Mask a night, and print how long it took and what is there."""
    work = Path(tempfile.mkdtemp(dir=night.parent))
    command = [sys.executable, "-m", "snakemake", "-s", CHECKOUT / "Snakefile", "--directory", work, *options]
    start = time.monotonic()
    run = subprocess.run([*command, "--config", f"frames={night}", *config], capture_output=True, check=False)
    seconds = time.monotonic() - start
    masked = len(list((work / "results/masked").glob("*.fits")))
    print(f"{way:<36}{seconds:6.0f} s  {masked:4d} masked, exit status {run.returncode}", flush=True)


def main() -> None:
    """Time all ways in one run."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as temporary:
        few, many = Path(temporary) / "few/night", Path(temporary) / "many/night"
        make_night(few, 20)
        make_night(many, 200)
        report("200 frames, no Slurm, 8 cores", many, LOCAL)
        report("200 frames, batches, 2 x 4 cores", many, BATCHES)
        report("20 frames, a group", few, GROUP, "frames_per_job=0")
        report("20 frames, a batch", few, BATCHES)
        whole = (few / "007.fits").read_bytes()
        (few / "007 broken.fits").write_bytes(whole[: len(whole) // 2])
        report("20 frames and a broken one, a group", few, GROUP, "frames_per_job=0")
        report("20 frames and a broken one, a batch", few, BATCHES)


if __name__ == "__main__":
    if reason := why_not():
        sys.exit(reason)
    slurm = Slurm()
    try:
        slurm.start()
        main()
    finally:
        slurm.stop()
