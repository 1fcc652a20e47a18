"""Rule mask_light: turn one LIGHT frame into a masked frame."""

import json
from functools import partial

from lightmask.errors import FrameError
from lightmask.fits import remove
from lightmask.workflow import logged_to


def main(frame, masks, output, params, undrawn, threads, mem_mb):
    """Mask a frame, unless the search of the folder found a problem with it; it may use `mem_mb` of memory.

    `undrawn` are pictures and the like that are not wanted any more: they would be those of another result.
    """
    name, problem, config, caption, mem_needed, recipe = json.loads(params)
    remove(undrawn)
    if problem:
        raise FrameError(f"{name}: {problem}")
    import os

    # Read when the detector is imported; its threads are not to exceed the job's.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from lightmask.fits import unchanged
    from lightmask.masks import mask_frame
    from lightmask.workflow import memory_limit

    draw = None
    if picture := output.get("picture"):
        from lightmask.show import draw_frame

        draw = partial(draw_frame, picture=picture, title=name, caption=caption)
    with unchanged(frame["files"], [name], frame["stamps"]), memory_limit(mem_mb, mem_needed, name):
        mask_frame(
            frame["files"][0],
            name,
            masks[0] if masks else None,
            output.frame,
            output.statistics,
            config,
            draw,
            output.get("regions"),
            recipe,
        )


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            frame=json.loads(snakemake.params.frame),
            masks=snakemake.input.masks,
            output=snakemake.output,
            params=snakemake.params.sealed,
            undrawn=snakemake.params.undrawn,
            threads=snakemake.threads,
            mem_mb=snakemake.resources.mem_mb,
        )
