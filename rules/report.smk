# What the report shows.
#   in   LIGHT frames (drawn where they are masked), results/combined_masks/{masks}.fits, results/summary.csv
#   out  results/pictures/masks/{masks}.png, results/pictures/night.png, results/pictures/summary.html


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
