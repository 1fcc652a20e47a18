# What the report shows.
#   in   LIGHT frames (drawn where they are masked), results/combined_masks/{masks}.fits, results/summary.csv
#   out  results/pictures/masks/{masks}.png, results/pictures/night.png, results/pictures/summary.html


def labels_of(first, number, **others):
    """Label a result for the report, which does not escape labels.

    Of a label with two values it makes a switch, and then fails to find results: invisible
    letters make every value but the first label's another one.
    """
    mark = "".join("\u200b\u200c"[int(digit)] for digit in f"{number:b}")
    texts = {
        key: names.printable(str(value)).replace("<", "‹")
        for key, value in others.items()
    }
    return first | {key: text + mark for key, text in texts.items()}


def frame_labels(wildcards):
    """Label the picture of a frame."""
    row = frames.table_row(light(wildcards), CONFIG)
    return labels_of(
        {"frame": wildcards.frame},
        PLACES[wildcards.frame],
        filter=row["filter"],
        exposure=row["exposure"],
    )


def mask_labels(wildcards):
    """Label the picture of a combined mask."""
    rows = [frames.table_row(frame, CONFIG) for frame in frames_of(wildcards)]
    filters = sorted({str(row["filter"]) for row in rows} - {""})
    return labels_of(
        {"mask": wildcards.masks},
        list(MASK_SETS).index(wildcards.masks),
        kind=" and ".join(dict(MASK_SETS[wildcards.masks])),
        filter=", ".join(filters),
        frames=len(rows),
    )


def frames_of(wildcards):
    """List the LIGHT frames that a combined mask applies to."""
    wanted = MASK_SETS[wildcards.masks]
    return [frame for frame in LIGHTS.values() if MATCHER.applying(frame) == wanted]


def mask_caption(wildcards):
    """Say what the frames have in common that a combined mask applies to."""
    rows = [frames.table_row(frame, CONFIG) for frame in frames_of(wildcards)]
    columns = ("filter", "camera", "binning")
    said = [
        ", ".join(sorted({str(row[key]) for row in rows} - {""})) for key in columns
    ]
    return sealed("  ·  ".join(filter(None, said)))


def benchmarks(wildcards):
    """List the files that say how long masking took."""
    return sealed(
        [str(here(f"results/benchmarks/mask_light/{name}.tsv")) for name in LIGHTS]
    )


def drawn():
    """List pictures and region files, as far as they are asked for."""
    regions = [f"results/regions/{name}.reg" for name in LIGHTS]
    if not CONFIG["pictures"]:
        return regions if CONFIG["regions"] else []
    used = {combined_mask_of(f) for f in LIGHTS.values() if not MATCHER.problem(f)}
    of_masks = [f"results/pictures/masks/{Path(m).stem}.png" for m in sorted(used) if m]
    return [
        "results/pictures/night.png",
        "results/pictures/summary.html",
        *of_masks,
        *(f"results/pictures/frames/{name}.png" for name in LIGHTS),
        *(regions if CONFIG["regions"] else []),
    ]


def drawings():
    """Declare what is drawn of a frame, if anything is."""
    declared = {}
    if CONFIG["pictures"]:
        declared["picture"] = report(
            "results/pictures/frames/{frame}.png",
            caption="../docs/report/frame.rst",
            category="Frames",
            labels=frame_labels,
        )
    if CONFIG["regions"]:
        declared["regions"] = "results/regions/{frame}.reg"
    return declared


rule draw_combined_mask:
    input:
        "results/combined_masks/{masks}.fits",
    output:
        report(
            "results/pictures/masks/{masks}.png",
            caption="../docs/report/mask.rst",
            category="Masks",
            labels=mask_labels,
        ),
    log:
        "results/logs/draw_combined_mask/{masks}.log",
    benchmark:
        "results/benchmarks/draw_combined_mask/{masks}.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=combining_memory,
    params:
        caption=mask_caption,
        library=LIBRARY,
    message:
        "Drawing mask {wildcards.masks}"
    script:
        "../scripts/draw_combined_mask.py"


rule draw_night:
    input:
        "results/summary.csv",
    output:
        picture=report(
            "results/pictures/night.png",
            caption="../docs/report/night.rst",
            category="Night",
            labels={"kind": "picture"},
        ),
        page=report(
            "results/pictures/summary.html",
            caption="../docs/report/summary.rst",
            category="Night",
            labels={"kind": "table"},
        ),
    log:
        "results/logs/draw_night.log",
    benchmark:
        "results/benchmarks/draw_night.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=500,
    params:
        benchmarks=benchmarks,
        library=LIBRARY,
    message:
        "Drawing the night"
    script:
        "../scripts/draw_night.py"
