"""Rule plan_batches: write down what the jobs of a run are to do."""

import json
from pathlib import Path

from lightmask.workflow import logged_to


def main(plan, output):
    """Write the plan, which a job reads where it runs."""
    Path(output).write_text(json.dumps(plan, indent=0), encoding="utf-8")


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.params.plan, snakemake.output[0])
