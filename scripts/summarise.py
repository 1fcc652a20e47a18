"""Rule summarise: write the table of all LIGHT frames."""

from lightmask.logs import logged_to
from lightmask.summary import summary_rows, write_summary


def main(lights, statistics, csv, ecsv):
    """Write the summary of masked frames."""
    write_summary(summary_rows(lights, statistics), csv, ecsv)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.params.lights, snakemake.input.statistics, snakemake.output.csv, snakemake.output.ecsv)
