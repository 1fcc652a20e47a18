# How right masks are on this night's own frames.
#   in   a few LIGHT frames, the combined masks that apply to them
#   out  results/accuracy.txt, results/accuracy.json, results/pictures/accuracy.png


rule assess:
    input:
        NIGHT.assessed_inputs,
    output:
        picture=picture(
            "results/pictures/accuracy.png",
            caption="../docs/report/accuracy.rst",
            category="Night",
            labels={"kind": "accuracy"},
        ),
        text=report(
            "results/accuracy.txt",
            caption="../docs/report/accuracy.rst",
            category="Night",
            labels={"kind": "accuracy, table"},
        ),
        record="results/accuracy.json",
    log:
        "results/logs/assess.log",
    benchmark:
        "results/benchmarks/assess.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=NIGHT.assessed_memory,
        runtime=30,
    params:
        task=NIGHT.assessed_task,
        files=NIGHT.assessed_files,
    message:
        "Assessing how right masks are"
    script:
        "../scripts/assess.py"
