"""Rule make_flat_mask: make a flat mask from the flats of a camera and filter."""

from lightmask.masks import Output, make_as_planned, make_flat_mask
from lightmask.workflow import logged_to

if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        output = Output(snakemake.output.mask, snakemake.output.left_out)
        make_as_planned(make_flat_mask, **snakemake.params.files, **snakemake.params.task, output=output)
