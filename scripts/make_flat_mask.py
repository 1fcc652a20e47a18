"""Rule make_flat_mask: make a flat mask from the flats of a camera and filter."""

from lightmask.fits import records, unchanged
from lightmask.masks import Output, make_flat_mask
from lightmask.workflow import logged_to


def main(task, files, output):
    """Make the mask of flats given as paths and stamps, and as `names` in the frames folder."""
    names, recipe = task.pop("names"), task.pop("recipe")
    task["shape"] = tuple(task["shape"])
    with unchanged(files["paths"], names, files["stamps"]) as digests:
        flats = list(zip(files["paths"], names, strict=True))
        make_flat_mask(flats, output=Output(output.mask, output.left_out), **task)
    records.add(output.left_out, recipe, digests)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.params.task, snakemake.params.files, snakemake.output)
