"""Rule make_demo_night: simulate the built-in night."""

from pathlib import Path

from lightmask.demo import make
from lightmask.workflow import logged_to


def main(frames, truth):
    """Write all frames of the night, and the truth about the LIGHT frames."""
    make(Path(frames[0]).parent, Path(truth[0]).parent)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.output.frames, snakemake.output.truth)
