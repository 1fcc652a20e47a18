"""Rule draw_night: draw what became of the night, and write its table as a page."""

import json

from lightmask.logs import logged_to
from lightmask.night import draw_night, read_summary, seconds_of, write_page


def main(summary, benchmarks, picture, page):
    """Draw the night from its summary and from the times of its jobs."""
    rows = read_summary(summary)
    draw_night(rows, seconds_of(json.loads(benchmarks)), picture)
    write_page(rows, page)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.input[0], snakemake.params.benchmarks, snakemake.output.picture, snakemake.output.page)
