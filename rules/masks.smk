# Masks that many frames share.
#   in   the flat masks and dark masks of the night or, where it has none, its flats and darks
#   out  results/static_masks/{kind}_mask_{name}.fits, one per camera (and filter)
#        results/combined_masks/{masks}.fits, one per distinct set, results/pictures/masks/{masks}.png


rule make_flat_mask:
    input:
        flats=source_files,
    output:
        "results/static_masks/{static_mask}.fits",
    log:
        "results/logs/make_flat_mask/{static_mask}.log",
    benchmark:
        "results/benchmarks/make_flat_mask/{static_mask}.tsv"
    wildcard_constraints:
        static_mask="flat_mask_[^/]+",
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=static_mask_memory,
        runtime=static_mask_minutes,
    params:
        names=source_names,
        cards=static_masks.type_cards("flat", CONFIG),
        keywords=kept_keywords,
        config={key: CONFIG[key] for key in ("make_flat_mask", "checksums")},
        library=LIBRARY,
    message:
        "Making {wildcards.static_mask}"
    script:
        "../scripts/make_flat_mask.py"


rule make_dark_mask:
    input:
        darks=source_files,
    output:
        "results/static_masks/{static_mask}.fits",
    log:
        "results/logs/make_dark_mask/{static_mask}.log",
    benchmark:
        "results/benchmarks/make_dark_mask/{static_mask}.tsv"
    wildcard_constraints:
        static_mask="dark_mask_[^/]+",
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=static_mask_memory,
        runtime=static_mask_minutes,
    params:
        names=source_names,
        cards=static_masks.type_cards("dark", CONFIG),
        keywords=kept_keywords,
        memory=COMBINING_BYTES,
        config={
            "combined": CONFIG["frame_type"]["combined"],
            **{
                key: CONFIG[key]
                for key in ("make_dark_mask", "unit", "unit_names", "checksums")
            },
        },
        library=LIBRARY,
    message:
        "Making {wildcards.static_mask}"
    script:
        "../scripts/make_dark_mask.py"


rule combine_masks:
    input:
        masks=mask_files,
    output:
        **drawn_of_mask(),
        mask="results/combined_masks/{masks}.fits",
    log:
        "results/logs/combine_masks/{masks}.log",
    benchmark:
        "results/benchmarks/combine_masks/{masks}.tsv"
    retries: 0  # made where Snakemake runs; a broken mask stays broken
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=combining_memory,
        runtime=5,  # 3 s for 16 million pixels, picture and all
    params:
        sealed=combining_parameters,
        library=LIBRARY,
    message:
        "Combining masks {wildcards.masks}"
    script:
        "../scripts/combine_masks.py"
