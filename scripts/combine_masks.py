"""Rule combine_masks: combine the masks that apply to the same frames, and draw the result."""

import json
from pathlib import Path

from lightmask.images import unchanged
from lightmask.logs import logged_to
from lightmask.masks import combine_files


def main(files, params, output):
    """Combine masks, and draw the combination if that is asked for."""
    kinds, names, radii, caption, checksums = json.loads(params)
    with unchanged(files, names):
        combine_files(list(zip(kinds, files, names, strict=True)), radii, output.mask, checksums)
    if output.get("picture"):
        from lightmask.pictures import draw_combined_mask

        draw_combined_mask(output.mask, output.picture, f"Combined mask {Path(output.mask).stem}", caption)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.input.masks, snakemake.params.sealed, snakemake.output)
