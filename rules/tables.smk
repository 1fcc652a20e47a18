# What the night holds, and what became of it.
#   in   the headers of all files, results/statistics/*.json
#   out  results/frames.csv, results/summary.{csv,ecsv}, results/quality.{csv,ecsv}, results/pictures/{night.png,summary.html}


rule list_frames:
    input:
        NIGHT.frames_inputs,
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
        rows=NIGHT.frames_rows,
        code=NIGHT.code("list_frames"),
    message:
        "Listing the frames of the night"
    script:
        "../scripts/list_frames.py"


rule summarise:
    input:
        statistics=NIGHT.summary_inputs,
        left_out=NIGHT.sources_inputs,
    output:
        picture=picture(
            "results/pictures/night.png",
            caption="../docs/report/night.rst",
            category="Night",
            labels={"kind": "picture"},
        ),
        page=picture(
            "results/pictures/summary.html",
            caption="../docs/report/summary.rst",
            category="Night",
            labels={"kind": "table"},
        ),
        csv="results/summary.csv",
        ecsv="results/summary.ecsv",
        quality=NIGHT.quality_tables,
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
        task=shown_in_report(ENGINE, NIGHT.summary_task),
        files=shown_in_report(ENGINE, NIGHT.summary_files),
    message:
        "Summarising the night"
    script:
        "../scripts/summarise.py"
