"""Rule mask_light: turn one LIGHT frame into a masked frame."""

from lightmask import FrameError
from lightmask.logs import logged_to


def main(frame, name, masks, output, statistics, problem, config, threads):
    """Mask a frame, unless the search of the folder found a problem with it."""
    if problem:
        raise FrameError(f"{name}: {problem}")
    import os

    # Read when the detector is imported; its threads are not to exceed the job's.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from lightmask.masking import mask_frame

    mask_frame(frame, name, masks[0] if masks else None, output, statistics, config)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            frame=snakemake.input.frame,
            name=snakemake.params.name,
            masks=snakemake.input.masks,
            output=snakemake.output.frame,
            statistics=snakemake.output.statistics,
            problem=snakemake.params.problem,
            config=snakemake.params.config,
            threads=snakemake.threads,
        )
