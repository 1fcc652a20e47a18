# One LIGHT frame at a time.
#   in   the frame, the combined mask that applies to it
#   out  results/masked/{frame}, results/statistics/{frame}.json,
#        results/pictures/frames/{frame}.png, .../thumbnails/{frame}.png, results/regions/{frame}.reg if asked for


rule mask_light:
    input:
        unpack(with_signature(NIGHT.light_inputs)),
    output:
        picture=picture(
            "results/pictures/frames/{frame}.png",
            caption="../docs/report/frame.rst",
            category="Frames",
            labels=distinct_labels(NIGHT.light_labels),
        ),
        thumbnail=(
            []
            if not NIGHT.config["pictures"]
            else "results/pictures/thumbnails/{frame}.png"
        ),
        regions=["results/regions/{frame}.reg"] if NIGHT.config["regions"] else [],
        frame="results/masked/{frame}",
        statistics="results/statistics/{frame}.json",
    log:
        "results/logs/mask_light/{frame}.log",
    benchmark:
        "results/benchmarks/mask_light/{frame}.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=with_signature(NIGHT.light_memory),
        runtime=with_signature(NIGHT.light_minutes),
    params:
        task=shown_in_report(ENGINE, NIGHT.light_task),
        files=shown_in_report(ENGINE, NIGHT.light_files),
    message:
        "Masking {wildcards.frame}"
    script:
        "../scripts/mask_light.py"
