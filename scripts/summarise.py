"""Rule summarise: write the table of all LIGHT frames, and draw the night."""

import json

from lightmask.fits import remove
from lightmask.masks import with_remarks
from lightmask.night import summary_rows, write_summary
from lightmask.workflow import logged_to


def main(params, statistics, output, undrawn):
    """Write the summary of masked frames, and what shows it if that is asked for."""
    lights, benchmarks, recipe = json.loads(params)
    remove(undrawn)
    write_summary(summary_rows(with_remarks(lights), statistics), output.csv, output.ecsv, recipe)
    if output.get("picture"):
        from lightmask.show import draw_files

        draw_files(output.csv, benchmarks, output.picture, output.page)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.params.sealed, snakemake.input.statistics, snakemake.output, snakemake.params.undrawn)
