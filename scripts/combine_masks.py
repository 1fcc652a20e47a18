"""Rule combine_masks: combine the masks that apply to the same frames, and draw the result."""

from pathlib import Path

from lightmask.fits import remove, unchanged
from lightmask.masks import combine_files
from lightmask.workflow import logged_to


def main(task, files, output):
    """Combine masks, and draw the combination if that is asked for."""
    remove(files["undrawn"])
    with unchanged(files["paths"], task["names"], files["stamps"]):
        masks = list(zip(task["kinds"], files["paths"], task["names"], strict=True))
        settings = {key: task[key] for key in ("checksums", "recipe", "images", "most")}
        combine_files(masks, task["grow"], output.mask, **settings)
    if output.get("picture"):
        from lightmask.show import draw_combined_mask

        draw_combined_mask(output.mask, output.picture, f"Combined mask {Path(output.mask).stem}", task["caption"])


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(**snakemake.params, output=snakemake.output)
