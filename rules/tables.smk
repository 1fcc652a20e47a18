# What the night holds, and what became of it.
#   in   the headers of all files, results/statistics/*.json
#   out  results/frames.csv, results/summary.csv, results/summary.ecsv


rule list_frames:
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
    params:
        rows=night_table,
        library=LIBRARY,
    message:
        "Listing the frames of the night"
    script:
        "../scripts/list_frames.py"


rule summarise:
    input:
        statistics=statistics_files,
    output:
        csv="results/summary.csv",
        ecsv="results/summary.ecsv",
    log:
        "results/logs/summarise.log",
    benchmark:
        "results/benchmarks/summarise.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=300,
    params:
        lights=light_rows,
        library=LIBRARY,
    message:
        "Summarising the night"
    script:
        "../scripts/summarise.py"


onerror:
    # Frames that failed keep rule summarise from running: tell of all here.
    problems = summary.write_partial(
        light_rows(None),
        map(outcome_of, LIGHTS.values()),
        here("results/summary.csv"),
        here("results/summary.ecsv"),
    )
    logger.error(f"{len(problems)} of {len(LIGHTS)} LIGHT frames have no result:")
    for problem in dict.fromkeys(problems):  # a broken mask is told once
        logger.error(problem)
