"""Rule make_dark_mask: make a dark mask from the darks of a camera."""

from lightmask.dark_mask import make_dark_mask
from lightmask.images import unchanged
from lightmask.logs import logged_to
from lightmask.static_masks import Output


def main(files, names, output, **params):
    """Make the mask of darks given as files and their paths in the frames folder."""
    with unchanged(files, names):
        make_dark_mask(list(zip(files, names, strict=True)), output=Output(output.mask, output.left_out), **params)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            files=snakemake.input.darks,
            names=snakemake.params.names,
            cards=snakemake.params.cards,
            keywords=snakemake.params.keywords,
            config=snakemake.params.config,
            shape=tuple(snakemake.params.shape),
            required=snakemake.params.required,
            output=snakemake.output,
            memory=snakemake.params.memory,
        )
