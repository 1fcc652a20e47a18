"""Rule check_sources: fail where a flat or dark was left out of a mask, so that the exit status tells."""

from pathlib import Path

from lightmask.masks import sources
from lightmask.workflow import logged_to


def main(left_out, output):
    """Write the output unless a source was left out."""
    sources.check(left_out)
    Path(output).touch()


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.input, snakemake.output[0])
