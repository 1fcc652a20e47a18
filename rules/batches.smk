# Many frames in one job, where a job costs more than masking a frame does.
#   in   the frames that need masking, the masks that they share
#   out  results/batches/{plan}/, for as long as the run lasts; the batches run rule mask_light


localrules:
    make_demo_night,
    check_night,
    combine_masks,
    list_frames,
    summarise,
    plan_batches,
    finish_night,


rule plan_batches:
    output:
        temp("results/batches/{plan}/plan.json"),
    log:
        "results/logs/plan_batches/{plan}.log",
    benchmark:
        "results/benchmarks/plan_batches/{plan}.tsv"
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=300,
        runtime=5,
    params:
        plan=PLAN.plan,
    message:
        "Planning batches"
    script:
        "../scripts/plan_batches.py"


rule mask_batch:
    input:
        PLAN.batch_inputs,
        plan="results/batches/{plan}/plan.json",
    output:
        temp("results/batches/{plan}/{number}.json"),
    log:
        "results/logs/mask_batch/{plan}-{number}.log",
    benchmark:
        "results/benchmarks/mask_batch/{plan}-{number}.tsv"
    conda:
        "../envs/lightmask.yaml"
    threads: BATCH_CORES
    resources:
        mem_mb=PLAN.batch_memory,
        runtime=PLAN.batch_minutes,
    params:
        frames=PLAN.batch_task,
    message:
        "Masking batch {wildcards.number}"
    script:
        "../scripts/mask_batch.py"


rule finish_night:
    input:
        unpack(PLAN.plan_inputs),
    output:
        temp("results/batches/finished"),  # one for all plans: a second run in this folder is locked out
    log:
        "results/logs/finish_night.log",
    benchmark:
        "results/benchmarks/finish_night.tsv"
    retries: 0  # what is wrong is in the batches
    conda:
        "../envs/lightmask.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        statistics=NIGHT.summary_inputs,
        strict=NIGHT.is_strict,
    message:
        "Finishing the night"
    script:
        "../scripts/finish_night.py"
