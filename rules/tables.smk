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
    seconds = PROGRESS.clock() - PROGRESS.started
    PROGRESS.detach(logger)
    rows = night.read_summary(here("results/summary.csv"))
    where = {"results": "masked", "table": "summary.csv"}
    if CONFIG["pictures"]:
        where["pictures"] = "pictures"
    where = {what: str(here(f"results/{name}")) for what, name in where.items()}
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
    begun = [job.rule.name for job in workflow.dag.needrun_jobs()]
    PROGRESS.total = sum(name.endswith(progress.RULE) for name in begun)
    PROGRESS.remote = not workflow.local_exec
    PROGRESS.whole_night = any(name.endswith("summarise") for name in begun)
    PROGRESS.attach(logger)


onsuccess:
    if PROGRESS.whole_night:
        end_of_run()
    else:  # single results were asked for
        PROGRESS.detach(logger)


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
