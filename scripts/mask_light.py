"""Rule mask_light: turn one LIGHT frame into a masked frame."""

import json

from lightmask import FrameError
from lightmask.logs import logged_to


def main(frame, masks, output, params, threads, mem_mb):
    """Mask a frame, unless the search of the folder found a problem with it; it may use `mem_mb` of memory."""
    name, problem, config, caption, mem_needed = json.loads(params)
    if problem:
        raise FrameError(f"{name}: {problem}")
    import os

    # Read when the detector is imported; its threads are not to exceed the job's.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from lightmask.images import unchanged
    from lightmask.masking import mask_frame
    from lightmask.memory import memory_limit

    with unchanged([frame], [name]), memory_limit(mem_mb, mem_needed, name):
        mask_frame(
            frame,
            name,
            masks[0] if masks else None,
            output.frame,
            output.statistics,
            config,
            output.get("picture"),
            output.get("regions"),
            caption,
        )


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            frame=snakemake.input.frame,
            masks=snakemake.input.masks,
            output=snakemake.output,
            params=snakemake.params.sealed,
            threads=snakemake.threads,
            mem_mb=snakemake.resources.mem_mb,
        )
