"""Rule combine_masks: combine the masks that apply to the same frames."""

from lightmask.logs import logged_to
from lightmask.masks import combine_files


def main(files, kinds, names, radii, output):
    """Combine masks given as files, their kinds, and their paths in the frames folder."""
    combine_files(list(zip(kinds, files, names, strict=True)), radii, output)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            files=snakemake.input.masks,
            kinds=snakemake.params.kinds,
            names=snakemake.params.names,
            radii=snakemake.params.radii,
            output=snakemake.output[0],
        )
