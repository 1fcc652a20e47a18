"""Rule make_dark_mask: make a dark mask from the darks of a camera."""

import json

from lightmask.fits import records, unchanged
from lightmask.masks import Output, make_dark_mask
from lightmask.workflow import logged_to


def main(sources, names, recipe, output, **params):
    """Make the mask of darks given as files and stamps, and their paths in the frames folder."""
    with unchanged(sources["files"], names, sources["stamps"]) as digests:
        make_dark_mask(
            list(zip(sources["files"], names, strict=True)), output=Output(output.mask, output.left_out), **params
        )
    records.add(output.left_out, recipe, digests)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            sources=json.loads(snakemake.params.darks),
            names=snakemake.params.names,
            recipe=snakemake.params.recipe,
            cards=snakemake.params.cards,
            keywords=snakemake.params.keywords,
            config=snakemake.params.config,
            shape=tuple(snakemake.params.shape),
            required=snakemake.params.required,
            output=snakemake.output,
            memory=snakemake.params.memory,
        )
