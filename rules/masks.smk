# Masks that many frames share.
#   in   the flat masks and dark masks of the night or, where it has none, its flats and darks
#   out  results/static_masks/{kind}_mask_{name}.fits, one per camera (and filter)
#        results/logs/sources/{kind}_mask_{name}.json, what it was made from and without what
#        results/logs/sources_checked, if nothing was left out
#        results/combined_masks/{masks}.fits, one per distinct set, results/pictures/masks/{masks}.png


rule make_flat_mask:
    input:
        NIGHT.static_mask_inputs,
    output:
        mask="results/static_masks/{static_mask}.fits",
        left_out="results/logs/sources/{static_mask}.json",
    log:
        "results/logs/make_flat_mask/{static_mask}.log",
    benchmark:
        "results/benchmarks/make_flat_mask/{static_mask}.tsv"
    wildcard_constraints:
        static_mask="flat_mask_[^/]+",
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=NIGHT.static_mask_memory,
        runtime=NIGHT.static_mask_minutes,
    params:
        task=NIGHT.static_mask_task,
        files=NIGHT.static_mask_files,
    message:
        "Making {wildcards.static_mask}"
    script:
        "../scripts/make_flat_mask.py"


rule make_dark_mask:
    input:
        NIGHT.static_mask_inputs,
    output:
        mask="results/static_masks/{static_mask}.fits",
        left_out="results/logs/sources/{static_mask}.json",
    log:
        "results/logs/make_dark_mask/{static_mask}.log",
    benchmark:
        "results/benchmarks/make_dark_mask/{static_mask}.tsv"
    wildcard_constraints:
        static_mask="dark_mask_[^/]+",
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=NIGHT.static_mask_memory,
        runtime=NIGHT.static_mask_minutes,
    params:
        task=NIGHT.static_mask_task,
        files=NIGHT.static_mask_files,
    message:
        "Making {wildcards.static_mask}"
    script:
        "../scripts/make_dark_mask.py"


rule check_night:
    input:
        left_out=NIGHT.sources_inputs,
        summary=NIGHT.checked_summary,
    output:
        "results/logs/night_checked",
    log:
        "results/logs/check_night.log",
    benchmark:
        "results/benchmarks/check_night.tsv"
    retries: 0  # what is wrong stays so
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=300,
        runtime=5,
    params:
        code=NIGHT.code("check_night"),
    message:
        "Checking flats and darks, and remarks"
    script:
        "../scripts/check_night.py"


rule combine_masks:
    input:
        NIGHT.combined_mask_inputs,
    output:
        picture=picture(
            "results/pictures/masks/{masks}.png",
            caption="../docs/report/mask.rst",
            category="Masks",
            labels=distinct_labels(NIGHT.combined_mask_labels),
        ),
        mask="results/combined_masks/{masks}.fits",
    log:
        "results/logs/combine_masks/{masks}.log",
    benchmark:
        "results/benchmarks/combine_masks/{masks}.tsv"
    retries: 0  # made where Snakemake runs; a broken mask stays broken
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=NIGHT.combined_mask_memory,
        runtime=5,  # 3 s for 16 million pixels, picture and all
    params:
        task=shown_in_report(ENGINE, NIGHT.combined_mask_task),
        files=shown_in_report(ENGINE, NIGHT.combined_mask_files),
    message:
        "Combining masks {wildcards.masks}"
    script:
        "../scripts/combine_masks.py"
