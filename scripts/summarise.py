"""Rule summarise: write the table of all LIGHT frames, and draw the night."""

from lightmask.fits import remove
from lightmask.masks import with_remarks
from lightmask.night import summary_rows, write_quality, write_summary
from lightmask.workflow import logged_to


def main(task, files, statistics, output):
    """Write the summary of masked frames, and what shows it if that is asked for."""
    remove(files["undrawn"])
    rows = summary_rows(with_remarks(task["lights"]), statistics)
    write_summary(rows, output.csv, output.ecsv, task["recipe"])
    if output.get("quality"):
        write_quality(rows, task["limits"], *output.quality)
    if output.get("picture"):
        from lightmask.show import draw_files

        draw_files(output.csv, output.picture, output.page)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(**snakemake.params, statistics=snakemake.input.statistics, output=snakemake.output)
