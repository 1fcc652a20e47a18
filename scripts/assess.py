"""Rule assess: measure how right masks are, with tracks that are injected into some frames."""

from lightmask.errors import FrameError
from lightmask.workflow import logged_to


def main(task, files, output):
    """Assess frames, and write table, numbers and picture."""
    if not task["names"]:
        raise FrameError("assess: found no LIGHT frame that can be masked, expected one; the list of frames says why")
    from lightmask.fits import unchanged
    from lightmask.masks import assess_frame
    from lightmask.messages import warn
    from lightmask.show import draw_accuracy, write_accuracy

    paths, total, remarks = iter(files["paths"]), {}, []
    names = [name for pair in zip(task["names"], task["companions"], strict=True) for name in pair if name]
    with unchanged(files["paths"], names, files["stamps"]):
        for name, companion, mask in zip(task["names"], task["companions"], task["masks"], strict=True):
            frame = next(paths)
            own = (next(paths), companion) if companion else None
            found = assess_frame(frame, name, mask or None, task["settings"], own, remarks.append)
            total = {key: total[key] + counts if key in total else counts for key, counts in found.items()}
    for line in remarks:
        warn(line)
    write_accuracy(total, task["names"], remarks, output.text, output.record)
    if output.get("picture"):
        draw_accuracy(total, task["names"], output.picture)


if "snakemake" in globals():
    with logged_to(snakemake.log[0]):
        main(**snakemake.params, output=snakemake.output)
