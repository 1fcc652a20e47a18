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


def end_of_run():
    """Tell what became of the night, and where it is."""
    if PROGRESS:
        PROGRESS[0].detach(logger)
    rows = night.read_summary(here("results/summary.csv"))
    where = {
        "results": str(here("results/masked")),
        "table": str(here("results/summary.csv")),
    }
    if CONFIG["pictures"]:
        where["pictures"] = str(here("results/pictures"))
    seconds = PROGRESS[0].clock() - PROGRESS[0].started if PROGRESS else 0
    logger.info(progress.table(rows, seconds, where))


def draw_partial_night():
    """Draw the night although frames failed, as out of date as its summary is."""
    rows = night.read_summary(here("results/summary.csv"))
    picture, page = (
        here(f"results/pictures/{name}") for name in ("night.png", "summary.html")
    )
    picture.parent.mkdir(parents=True, exist_ok=True)
    night.draw_night(rows, night.seconds_of(json.loads(benchmarks(None))), picture)
    night.write_page(rows, page)
    for path in (picture, page):
        os.utime(path, (0, 0))


onstart:
    wanted = [
        job
        for job in workflow.dag.needrun_jobs()
        if job.rule.name.endswith(progress.RULE)
    ]
    if wanted:
        PROGRESS.append(
            progress.Progress(len(wanted), remote=not workflow.local_exec)
        )
        PROGRESS[0].attach(logger)


onsuccess:
    end_of_run()


onerror:
    # Frames that failed keep rule summarise from running: tell of all here.
    problems = summary.write_partial(
        light_rows(None),
        map(outcome_of, LIGHTS.values()),
        here("results/summary.csv"),
        here("results/summary.ecsv"),
    )
    if CONFIG["pictures"]:
        draw_partial_night()
    end_of_run()
    logger.error(f"{len(problems)} of {len(LIGHTS)} LIGHT frames have no result:")
    for problem in dict.fromkeys(problems):  # a broken mask is told once
        logger.error(problem)
