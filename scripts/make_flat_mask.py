"""Rule make_flat_mask: make a flat mask from the flats of a camera and filter."""

from lightmask.flat_mask import make_flat_mask
from lightmask.images import unchanged
from lightmask.logs import logged_to
from lightmask.static_masks import Output


def main(files, names, output, **params):
    """Make the mask of flats given as files and their paths in the frames folder."""
    with unchanged(files, names):
        make_flat_mask(list(zip(files, names, strict=True)), output=Output(output.mask, output.left_out), **params)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            files=snakemake.input.flats,
            names=snakemake.params.names,
            cards=snakemake.params.cards,
            keywords=snakemake.params.keywords,
            config=snakemake.params.config,
            shape=tuple(snakemake.params.shape),
            required=snakemake.params.required,
            output=snakemake.output,
        )
