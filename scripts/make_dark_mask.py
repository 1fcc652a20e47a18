"""Rule make_dark_mask: make a dark mask from the darks of a camera."""

from lightmask.dark_mask import make_dark_mask
from lightmask.images import unchanged
from lightmask.logs import logged_to


def main(sources, names, cards, keywords, config, output, memory):
    """Make the mask of darks given as files and stamps, and their paths in the frames folder."""
    with unchanged(sources["files"], names, sources["stamps"]):
        make_dark_mask(list(zip(sources["files"], names, strict=True)), cards, keywords, config, output, memory)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            sources=snakemake.params.darks,
            names=snakemake.params.names,
            cards=snakemake.params.cards,
            keywords=snakemake.params.keywords,
            config=snakemake.params.config,
            output=snakemake.output[0],
            memory=snakemake.params.memory,
        )
