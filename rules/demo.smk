# The built-in night.
#   in   nothing
#   out  results/demo/*.fits, results/demo_truth/*.fits


rule make_demo_night:
    output:
        frames=expand("results/demo/{name}", name=demo.NAMES),
        truth=expand("results/demo_truth/{name}", name=demo.LIGHTS),
    log:
        "results/logs/make_demo_night.log",
    benchmark:
        "results/benchmarks/make_demo_night.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        code=NIGHT.code("make_demo_night"),
    message:
        "Simulating the demo night"
    script:
        "../scripts/make_demo_night.py"
