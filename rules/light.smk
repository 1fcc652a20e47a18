# One LIGHT frame at a time.
#   in   the frame, the combined mask that applies to it
#   out  results/masked/{frame}, results/statistics/{frame}.json,
#        results/pictures/frames/{frame}.png, results/regions/{frame}.reg if asked for


rule mask_light:
    input:
        unpack(files_of_light),
    output:
        **drawn_of_frame(),
        frame="results/masked/{frame}",
        statistics="results/statistics/{frame}.json",
    log:
        "results/logs/mask_light/{frame}.log",
    benchmark:
        "results/benchmarks/mask_light/{frame}.tsv"
    conda:
        "../envs/lightmask.yaml"
    threads: 1
    resources:
        mem_mb=masking_memory,
        runtime=masking_minutes,
    params:
        sealed=masking_parameters,
        frame=light_file,
        undrawn=undrawn_of_frame,
    message:
        "Masking {wildcards.frame}"
    script:
        "../scripts/mask_light.py"
