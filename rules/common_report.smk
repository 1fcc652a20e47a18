# What pictures, report and terminal say of the night.


def labels_of(first, number, **others):
    """Label a result for the report, which does not escape labels.

    Of a label with two values it makes a switch, and then fails to find results: invisible
    letters make every value but the first label's another one.
    """
    mark = "".join("\u200b\u200c"[int(digit)] for digit in f"{number:b}")
    texts = {
        key: messages.printable(str(value)).replace("<", "‹")
        for key, value in others.items()
    }
    return first | {key: text + mark for key, text in texts.items()}


def frame_labels(wildcards):
    """Label the picture of a frame."""
    row = row_of(light(wildcards))
    return labels_of(
        {"frame": wildcards.frame},
        PLACES[wildcards.frame],
        filter=row["filter"],
        exposure=row["exposure"],
    )


def mask_labels(wildcards):
    """Label the picture of a combined mask."""
    rows = [row_of(frame) for frame in frames_of(wildcards)]
    filters = sorted({str(row["filter"]) for row in rows} - {""})
    return labels_of(
        {"mask": wildcards.masks},
        list(MASK_SETS).index(wildcards.masks),
        kind=" and ".join(dict(MASK_SETS[wildcards.masks])),
        filter=", ".join(filters),
        frames=len(rows),
    )


def frames_of(wildcards):
    """List the LIGHT frames that a combined mask applies to."""
    wanted = MASK_SETS[wildcards.masks]
    return [frame for frame in LIGHTS.values() if MATCHER.applying(frame) == wanted]


def drawn_of_frame():
    """Declare what is drawn of a frame, where it is masked."""
    declared = {}
    if CONFIG["pictures"]:
        declared["picture"] = report(
            "results/pictures/frames/{frame}.png",
            caption="../docs/report/frame.rst",
            category="Frames",
            labels=frame_labels,
        )
    if CONFIG["regions"]:
        declared["regions"] = "results/regions/{frame}.reg"
    return declared


def drawn_of_mask():
    """Declare what is drawn of a combined mask, where it is made."""
    if not CONFIG["pictures"]:
        return {}
    return {
        "picture": report(
            "results/pictures/masks/{masks}.png",
            caption="../docs/report/mask.rst",
            category="Masks",
            labels=mask_labels,
        )
    }


def drawn_of_night():
    """Declare what is drawn of the night, where it is summarised."""
    if not CONFIG["pictures"]:
        return {}
    return {
        "picture": report(
            "results/pictures/night.png",
            caption="../docs/report/night.rst",
            category="Night",
            labels={"kind": "picture"},
        ),
        "page": report(
            "results/pictures/summary.html",
            caption="../docs/report/summary.rst",
            category="Night",
            labels={"kind": "table"},
        ),
    }


def begin_run():
    """Tell how far the run is, from its first job on."""
    jobs = list(workflow.dag.needrun_jobs())
    begun = [job.rule.name for job in jobs]
    PROGRESS.frames = {
        job.wildcards.frame for job in jobs if job.rule.name.endswith(progress.RULE)
    }
    planned = night_plan().get("batches", {}) if in_batches() else {}
    quiet = {str(about).lower() for about in workflow.output_settings.quiet or ()}
    if not quiet & {"all", "progress"}:
        PROGRESS.batches = {number: len(named) for number, named in planned.items()}
        alone = sum(name.endswith(progress.RULE) for name in begun)
        PROGRESS.total = alone + sum(PROGRESS.batches.values())
    PROGRESS.remote = not workflow.local_exec
    PROGRESS.whole_night = any(
        name.endswith(("summarise", "finish_night", "check_sources")) for name in begun
    )
    PROGRESS.attach(logger)


def end_of_run():
    """Tell what became of the night, and where it is."""
    seconds = PROGRESS.clock() - PROGRESS.started
    PROGRESS.detach(logger)
    rows = show.read_summary(here("results/summary.csv"))
    where = {"results": "masked", "table": "summary.csv"}
    if CONFIG["pictures"]:
        where["pictures"] = "pictures"
    where = {what: str(here(f"results/{name}")) for what, name in where.items()}
    logger.info(progress.table(rows, seconds, where))


def draw_partial_night():
    """Draw the night although frames failed, as out of date as its summary is."""
    picture, page = (
        here(f"results/pictures/{name}") for name in ("night.png", "summary.html")
    )
    picture.parent.mkdir(parents=True, exist_ok=True)
    show.draw_files(here("results/summary.csv"), benchmarks(), picture, page)
    for path in (picture, page):
        os.utime(path, (0, 0))


def tell_of_failures():
    """Summarise a night of which frames failed, which keep rule summarise from running, and tell of all."""
    if (
        not PROGRESS.whole_night
    ):  # single results were asked for: the others are not to be judged
        PROGRESS.detach(logger)
        found = [
            problem
            for name, problem in zip(LIGHTS, problems(light_rows(), outcomes()))
            if name in PROGRESS.frames and problem
        ]
        list_problems(found, len(PROGRESS.frames))
        return
    unfinished = [job.rule.name for job in workflow.dag.needrun_jobs()]
    # Where only flats and darks are amiss, the summary of the night is whole.
    whole = all(name.endswith(("check_sources", "all")) for name in unfinished)
    found = []
    try:
        if not whole:
            found = write_partial(
                sources.with_remarks(light_rows()),
                outcomes(),
                here("results/summary.csv"),
                here("results/summary.ecsv"),
            )
            if CONFIG["pictures"]:
                draw_partial_night()
    except FrameError as error:  # the disk is full, for example
        PROGRESS.detach(logger)
        logger.error(f"no summary of this run: {error}")
        return
    end_of_run()
    list_problems(found, len(LIGHTS))
    for problem in sources.lines(map(here, left_out_files())):
        logger.error(problem)


def list_problems(problems, asked):
    """Say which frames failed and why, and how many were not begun, of so many."""
    failed = [text for text in problems if not text.endswith(summary.NOT_YET)]
    waiting = len(problems) - len(failed)
    if failed:
        logger.error(f"{len(failed)} of {asked} LIGHT frames have no result:")
    for problem in dict.fromkeys(failed):  # a broken mask is told once
        logger.error(problem)
    if waiting:
        logger.error(
            f"{waiting} of {asked} LIGHT frames are {summary.NOT_YET}; the same command goes on with them"
        )
