# Masks that many frames share.
#   in   the flat masks and dark masks of the night
#   out  results/combined_masks/{masks}.fits, one per distinct set


rule combine_masks:
    input:
        masks=mask_files,
    output:
        "results/combined_masks/{masks}.fits",
    log:
        "results/logs/combine_masks/{masks}.log",
    benchmark:
        "results/benchmarks/combine_masks/{masks}.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=combining_memory,
    params:
        kinds=mask_kinds,
        names=mask_names,
        library=LIBRARY,
    message:
        "Combining masks {wildcards.masks}"
    script:
        "../scripts/combine_masks.py"
