"""Rule list_frames: write the table of all files of the night."""

from lightmask.night import FRAME_COLUMNS, write_csv
from lightmask.workflow import logged_to


def main(rows, output):
    """Write one row per file."""
    write_csv(rows, FRAME_COLUMNS, output)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.params.rows, snakemake.output[0])
