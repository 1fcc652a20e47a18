"""Rule mask_light: turn one LIGHT frame into a masked frame."""

import json

from lightmask import FrameError
from lightmask.logs import logged_to


def main(frame, masks, output, params, threads, memory):
    """Mask a frame, unless the search of the folder found a problem with it; memory is allowed and needed, in MB."""
    name, problem, config, caption = json.loads(params)
    if problem:
        raise FrameError(f"{name}: {problem}")
    import os

    # Read when the detector is imported; its threads are not to exceed the job's.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from lightmask.images import unchanged
    from lightmask.masking import mask_frame
    from lightmask.memory import memory_limit

    with unchanged([frame], [name]), memory_limit(*memory, name):
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
            memory=(snakemake.resources.mem_mb, snakemake.params.memory),
        )
