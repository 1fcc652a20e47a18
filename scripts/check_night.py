"""Rule check_night: fail where a flat or dark was left out of a mask, or, if asked for, where a remark was made."""

from pathlib import Path

from lightmask.errors import FrameError
from lightmask.masks import sources
from lightmask.night import remarked
from lightmask.show import read_summary
from lightmask.workflow import logged_to


def main(left_out, summary, output):
    """Write the output unless something is wrong."""
    sources.check(left_out)
    for table in summary:
        if found := remarked(read_summary(table)):
            raise FrameError(found)
    Path(output).touch()


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.input.left_out, snakemake.input.summary, snakemake.output[0])
