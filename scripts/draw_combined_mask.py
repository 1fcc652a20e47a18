"""Rule draw_combined_mask: draw the mask that frames share."""

import json
from pathlib import Path

from lightmask.logs import logged_to
from lightmask.pictures import draw_combined_mask


def main(mask, caption, picture):
    """Draw a combined mask under its name."""
    draw_combined_mask(mask, picture, f"Combined mask {Path(mask).stem}", json.loads(caption))


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(snakemake.input[0], snakemake.params.caption, snakemake.output[0])
