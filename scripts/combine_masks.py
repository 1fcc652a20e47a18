"""Rule combine_masks: combine the masks that apply to the same frames, and draw the result."""

import json
from pathlib import Path

from lightmask.fits import remove, unchanged
from lightmask.masks import combine_files
from lightmask.workflow import logged_to


def main(masks, params, output, undrawn):
    """Combine masks, and draw the combination if that is asked for."""
    kinds, names, radii, caption, checksums, recipe = json.loads(params)
    remove(undrawn)
    with unchanged(masks["files"], names, masks["stamps"]):
        combine_files(list(zip(kinds, masks["files"], names, strict=True)), radii, output.mask, checksums, recipe)
    if output.get("picture"):
        from lightmask.show import draw_combined_mask

        draw_combined_mask(output.mask, output.picture, f"Combined mask {Path(output.mask).stem}", caption)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(json.loads(snakemake.params.masks), snakemake.params.sealed, snakemake.output, snakemake.params.undrawn)
