"""Rule make_flat_mask: make a flat mask from the flats of a camera and filter."""

from lightmask.flat_mask import make_flat_mask
from lightmask.images import unchanged
from lightmask.logs import logged_to


def main(sources, names, cards, keywords, config, output):
    """Make the mask of flats given as files and stamps, and their paths in the frames folder."""
    with unchanged(sources["files"], names, sources["stamps"]):
        make_flat_mask(list(zip(sources["files"], names, strict=True)), cards, keywords, config, output)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            sources=snakemake.params.flats,
            names=snakemake.params.names,
            cards=snakemake.params.cards,
            keywords=snakemake.params.keywords,
            config=snakemake.params.config,
            output=snakemake.output[0],
        )
