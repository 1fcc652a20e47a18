"""Rule make_dark_mask: make a dark mask from the darks of a camera."""

from lightmask.masks import Output, make_as_planned, make_dark_mask
from lightmask.workflow import logged_to

if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        output = Output(snakemake.output.mask, snakemake.output.left_out)
        make_as_planned(make_dark_mask, **snakemake.params.files, **snakemake.params.task, output=output)
