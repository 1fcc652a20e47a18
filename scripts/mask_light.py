"""Rule mask_light: turn one LIGHT frame into a masked frame."""

from functools import partial

from lightmask.errors import FrameError
from lightmask.fits import remove
from lightmask.workflow import logged_to


def main(task, files, masks, output, threads, mem_mb):
    """Mask a frame, unless the search of the folder found a problem with it; it may use `mem_mb` of memory.

    What is not wanted any more goes first: pictures and the like would be those of another result.
    """
    name = task["name"]
    remove(files["undrawn"])
    if task["problem"]:
        raise FrameError(f"{name}: {task['problem']}")
    import os

    # Read when the detector is imported; its threads are not to exceed the job's.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from lightmask.fits import unchanged
    from lightmask.masks import mask_frame
    from lightmask.workflow import memory_limit

    draw = None
    if picture := output.get("picture"):
        from lightmask.show import draw_frame

        draw = partial(draw_frame, picture=picture, title=name, caption=task["caption"], thumbnail=output.thumbnail)
    companions = [*filter(None, [task["companion"]])]
    names = [name, *companions, *task["repeats"]]
    repeats = [*zip(files["paths"], names, strict=True)][1 + len(companions) :]
    with unchanged(files["paths"], names, files["stamps"]), memory_limit(mem_mb, task["mem_needed"], name):
        mask_frame(
            files["paths"][0],
            name,
            masks[0] if masks else None,
            output.frame,
            output.statistics,
            task["config"],
            draw,
            next(iter(output.get("regions", [])), None),
            task["recipe"],
            (files["paths"][1], task["companion"]) if task["companion"] else None,
            repeats,
        )


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(
            **snakemake.params,
            masks=snakemake.input.masks,
            output=snakemake.output,
            threads=snakemake.threads,
            mem_mb=snakemake.resources.mem_mb,
        )
