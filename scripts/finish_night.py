"""Rule finish_night: write the summary when all batches are done."""

import json
import shutil
import time
from pathlib import Path

from lightmask.errors import FrameError
from lightmask.night import remarked
from lightmask.show import read_summary
from lightmask.workflow import logged_to, nested

LATENCY = 120  # s, after which a shared file system shows what another machine wrote


def main(plan_file, batches, statistics, strict, output):
    """Summarise the night; fail if any frame has no result or, if that is asked for, a remark."""
    bad = [frame for batch in batches for frame in json.loads(Path(batch).read_text(encoding="utf-8"))]
    if bad:
        raise FrameError(f"{len(bad)} frames could not be masked")
    end = time.monotonic() + LATENCY
    while not all(map(Path.exists, map(Path, statistics))) and time.monotonic() < end:
        time.sleep(1)
    settings = json.loads(Path(plan_file).read_text(encoding="utf-8"))["settings"]
    tables = ["results/summary.csv", "results/summary.ecsv"]
    # By force: the times of files that other machines wrote may be seen late too.
    if not nested.make(settings, tables, {"cores": 1}, allowed_rules=["summarise"], forcetargets=True):
        raise FrameError("the summary could not be written")
    if strict and (found := remarked(read_summary("results/summary.csv"))):
        raise FrameError(found)
    for old in Path(output).parent.iterdir():  # of runs that were killed
        if old != Path(plan_file).parent:
            shutil.rmtree(old)
    Path(output).touch()


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            plan_file=snakemake.input.plan,
            batches=snakemake.input.batches,
            statistics=snakemake.params.statistics,
            strict=snakemake.params.strict,
            output=snakemake.output[0],
        )
