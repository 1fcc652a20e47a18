# What the night holds, and what became of it.
#   in   the headers of all files, results/statistics/*.json
#   out  results/frames.csv, results/summary.csv, results/summary.ecsv, results/pictures/{night.png,summary.html}


rule list_frames:
    input:
        nothing,
    output:
        "results/frames.csv",
    log:
        "results/logs/list_frames.log",
    benchmark:
        "results/benchmarks/list_frames.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=300,
        runtime=5,
    params:
        rows=night_table,
        code=digest_of_code("list_frames"),
    message:
        "Listing the frames of the night"
    script:
        "../scripts/list_frames.py"


rule summarise:
    input:
        statistics=statistics_files,
        left_out=left_out_files,
    output:
        **drawn_of_night(),
        csv="results/summary.csv",
        ecsv="results/summary.ecsv",
    log:
        "results/logs/summarise.log",
    benchmark:
        "results/benchmarks/summarise.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        sealed=summary_parameters,
        undrawn=undrawn_of_night,
    message:
        "Summarising the night"
    script:
        "../scripts/summarise.py"


onstart:
    steady_executor()
    begin_run()


onsuccess:
    if PROGRESS.whole_night:
        end_of_run()
    else:  # single results were asked for
        PROGRESS.detach(logger)


onerror:
    tell_of_failures()
