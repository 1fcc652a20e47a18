# The configuration, the frames of the night, and what each rule takes from them.
import json
import os
import resource
import shlex
import shutil
import sys
from collections import Counter

from functools import cache

from snakemake.exceptions import WorkflowError

# Snakemake writes the interpreter into its commands as it is, blanks and all.
if os.path.exists(sys.executable):  # not quoted yet
    sys.executable = shlex.quote(sys.executable)

import nested
from lightmask import demo, messages, show
from lightmask.errors import FrameError
from lightmask.fits import files, records
from lightmask.masks import frame as masking
from lightmask.masks import sources
from lightmask.night import configuration, inventory, matching, remarks, summary, types
from lightmask.workflow import code, locks, logs, progress
from lightmask.workflow.outcomes import problems, write_partial

logger.addFilter(logs.escape)
DEMO = "results/demo"

COMBINING_BYTES = 1e9
NIGHT_PICTURES = ["results/pictures/night.png", "results/pictures/summary.html"]
PROGRESS = progress.Progress()
AT_WORK = os.path.abspath(".snakemake/lightmask_at_work")
# With --report-after-run it is a run like any other, and all has pictures when the report is made.
REPORTING = "--report-after-run" not in sys.argv and any(
    argument.startswith("--report") for argument in sys.argv
)


wildcard_constraints:
    frame=r".+",
    masks=r"[0-9a-f]{10}",
    plan=r"\d+T\d+",
    number=r"\d+",


def here(path):
    """Give a result's path as it is where a module statement sets a prefix."""
    return Path(str(workflow.modifier.path_modifier.modify(path)))


def stop(message):
    """End before any job starts, with a message and no traceback."""
    logger.error(message)
    sys.exit(1)


def checked_config():
    """Complete the configuration with defaults; stop where it is wrong."""
    try:
        return configuration.of_run(config)
    except ValueError as error:
        stop(str(error))


def search_folder():
    """List the files of the night, reading only headers that are new or changed.

    Jobs that read the rules anew, and runs inside jobs, take what their run has found.
    """
    if not workflow.is_main_process or os.environ.get(nested.PLANNED):
        found = INVENTORY.recall()
        if found is not None:
            return found
    if not (IS_DEMO or FOLDER.is_dir()):
        found = "a file" if FOLDER.exists() else "nothing"
        stop(
            f"frames: found {found} at {messages.printable(str(FOLDER.absolute()))}; expected a folder of FITS files"
        )
    try:
        return INVENTORY.scan(
            leave_out=[RESULTS],
            planned=demo.described(KEYWORDS) if IS_DEMO else None,
        )
    except OSError as error:
        stop(f"{messages.printable(str(error.filename))}: {error.strerror}")


def begin_alone(executor_plugin, **others):
    """Let a run begin only where no other one is at work, and clear up what a killed one left.

    Until then nothing is written. What only looks (dry runs, reports, lists) never writes.
    """
    if not workflow.is_main_process or executor_plugin.common_settings.dryrun_exec:
        return
    try:
        RESULTS.mkdir(parents=True, exist_ok=True)
        provide_file_handles()
        if workflow.execution_settings.lock:
            hold_results()
        if not os.environ.get(nested.PLANNED):
            INVENTORY.remember(FILES)
    except (OSError, FrameError, locks.BusyError) as error:
        reason = getattr(error, "strerror", None)
        stop(f"{RESULTS}: cannot be written ({reason})" if reason else str(error))


def provide_file_handles():
    """Let this process open as many files as it will, where the system allows it; stop where not."""
    needed = 24 + 4 * (workflow.resource_settings.cores or 0)  # measured: 14 and 3
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        stop(
            f"file handles: found {hard} that may be open at a time, expected {needed}; raise ulimit -n, or take "
            "fewer cores"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def hold_results():
    """Keep other runs out of the results for as long as this process lives."""
    try:
        clear_up(killed=locks.hold(RESULTS / ".lock"))
    except locks.BusyError as error:
        raise locks.BusyError(
            f"{RESULTS}: another run is at work there ({error}); wait for its end"
        ) from None
    except OSError as error:
        if error.errno not in locks.UNSUPPORTED:
            raise
        logger.warning(
            f"{RESULTS}: this file system has no locks ({error.strerror}); after a run that was killed, "
            "use --unlock"
        )


def clear_up(killed):
    """Remove what a run left that did not end in order, once its last job has ended."""
    os.makedirs(os.path.dirname(AT_WORK), exist_ok=True)
    with open(AT_WORK, "a") as jobs:
        if locks.lock(jobs) or killed and wait_for_jobs(jobs):
            files.remove_leftovers(RESULTS)
    if ahead := files.bring_back(RESULTS, inventory.MOST_AHEAD):
        logger.warning(
            f"{RESULTS}: {ahead} results had a time of change ahead of this machine's clock; they have the present one now"
        )
    if killed and locks.is_here(killed):
        # No run is at work here any more: what locks Snakemake has are left over.
        shutil.rmtree(".snakemake/locks", ignore_errors=True)
    elif killed and any(Path(".snakemake/locks").glob("*")):
        logger.warning(
            f"{RESULTS}: a run on another machine did not end in order ({locks.describe(killed)}); "
            "if it is at work no more, use --unlock"
        )


def wait_for_jobs(jobs):
    """Wait for jobs that outlived their run: what they write is to be out of the way."""
    logger.warning(
        f"{RESULTS}: waiting for jobs of a run that was killed and are still at work"
    )
    return locks.lock(jobs, wait=True)


def frames_to_mask():
    """Select by name of the result what shall be masked; stop where there is nothing."""
    if not any(frame.type == types.LIGHT for frame in NIGHT):
        kinds = Counter(f.type or f.problem or "type not given" for f in NIGHT)
        listed = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        stop(
            f"frames: no LIGHT frame in {CONFIG['frames']}; found {messages.printable(listed) or 'no FITS file'}; expected "
            f"{' or '.join(CONFIG['frame_type']['keywords'])} to be one of "
            f"{', '.join(CONFIG['frame_type']['light'])} (see frame_type in the configuration)"
        )
    chosen = {frame.name: frame for frame in NIGHT if frame.to_mask}
    # A result cannot be a file and a folder: of such a pair the file's job reports both.
    chosen = {
        name: frame
        for name, frame in chosen.items()
        if not any(str(parent) in chosen for parent in Path(name).parents)
    }
    if CONFIG["pictures"] and REPORTING:
        # A report wants all that it is told of, and a frame that failed has no picture.
        chosen = {
            name: frame
            for name, frame in chosen.items()
            if here(f"results/pictures/frames/{name}.png").exists()
        }
        if not chosen:
            stop("report: found no picture of any frame; mask the night first")
    return chosen


def say_what_is_left_out():
    """Name, once a start, files whose type nobody knows, and results without a frame."""
    untyped = [f.path for f in NIGHT if not f.type and not f.problem]
    if untyped:
        logger.warning(
            f"{len(untyped)} files have none of {', '.join(CONFIG['frame_type']['keywords'])} in the "
            f"header and are not masked: {messages.printable(', '.join(untyped[:5]))}{', ...' if untyped[5:] else ''}"
        )
    lacking = {
        kind
        for light in LIGHTS.values()
        for kind in {"flat", "dark"} - {kind for kind, _ in MATCHER.applying(light)}
    }
    for frame in (
        frame for kind in sorted(lacking) for frame in MATCHER.unusable[kind]
    ):
        logger.warning(messages.printable(f"{frame.path}: {frame.problem}"))
    for frame in NIGHT:
        if frame.type == types.FOREIGN_RESULTS:
            logger.warning(
                f"{messages.printable(frame.path)}: holds the results of another run and is not searched; "
                "take it out of the frames folder"
            )
    for name in summary.orphans(here("results/masked"), LIGHTS):
        logger.warning(
            f"results/masked/{name}: no LIGHT frame stands behind it any more; delete it"
        )


def digest_of_code(script):
    """Digest what a rule's script runs, whose edits must remake what it made."""
    return code.digest_of_code(CHECKOUT / f"scripts/{script}.py")


CONFIG = checked_config()
IS_DEMO = os.path.normpath(CONFIG["frames"]) == DEMO
FOLDER = here(DEMO) if IS_DEMO else Path(CONFIG["frames"]).expanduser()
RESULTS = here("results")
KEYWORDS = types.keywords_needed(CONFIG)
INVENTORY = inventory.Inventory(
    FOLDER,
    RESULTS / "headers.json",
    KEYWORDS,
    digest_of_code("lightmask/night/inventory"),
)
FILES = search_folder()
NIGHT = types.frames(FILES, CONFIG)
ROWS = {}
LIGHTS = frames_to_mask()
PLACES = {name: place for place, name in enumerate(LIGHTS)}
MATCHER = matching.MaskMatcher(NIGHT, CONFIG)
MASK_SETS = {
    matching.set_id(found): found for found in map(MATCHER.applying, LIGHTS.values())
}
MADE_MASKS = {
    Path(mask.path).stem: mask
    for found in MASK_SETS.values()
    for _, mask in found
    if isinstance(mask, matching.MadeMask)
}
DIGESTS = records.Digests(FILES, FOLDER)
if workflow.is_main_process and not REPORTING:
    say_what_is_left_out()
os.environ[logs.AT_WORK] = AT_WORK
# The first moment at which it is known that this is a run, and which.
workflow.execute = locks.chained(begin_alone, workflow.execute)


def is_made(frame):
    """Tell whether a rule makes an input."""
    return isinstance(frame, matching.MadeMask) or (
        IS_DEMO and frame.path in demo.NAMES
    )


def path_of(frame):
    """Give the path of an input."""
    return (
        here(frame.path)
        if isinstance(frame, matching.MadeMask)
        else FOLDER / frame.path
    )


def file_of(frame):
    """Give an input as Snakemake shall see it, in a list that is empty where it cannot.

    It takes {word} for a wildcard and <word> for a variable wherever they stand, and writes paths to
    files, line by line and in UTF-8. Jobs get all paths by their parameters.
    """
    if is_made(frame):  # a prefix applies
        return [f"{DEMO}/{frame.path}" if frame.path in demo.NAMES else frame.path]
    path = str(path_of(frame))
    return [] if set(path) & {*"{<"} or not path.isprintable() else [local(path)]


def paths_of(found):
    """Give paths and stamps of inputs to a job, which checks that it reads what was planned."""
    stamps = [None if is_made(frame) else FILES[frame.path]["stamp"] for frame in found]
    files = [str(path_of(frame)) for frame in found]
    return sealed({"files": files, "stamps": stamps})


def force(output):
    """Have a result made although it is there: Snakemake's records, or times of change, would not tell."""
    workflow.dag.forcefiles.add(str(here(output)))


def must_remake(record, recipe, sources):
    """Tell whether a result, by the record that it has, is not what would be made now."""
    return not records.holds(records.read(here(record)), recipe, sources)


def light(wildcards):
    """Look up the LIGHT frame behind a result."""
    if wildcards.frame not in LIGHTS:
        raise WorkflowError(
            f"{wildcards.frame}: no LIGHT frame of that name in {CONFIG['frames']}"
        )
    return LIGHTS[wildcards.frame]


def row_of(frame):
    """Give what the tables say of a file."""
    if frame.path not in ROWS:
        ROWS[frame.path] = types.table_row(frame, CONFIG)
    return ROWS[frame.path]


def problem_of_light(frame):
    """Say why a LIGHT frame cannot be masked, as far as headers tell; empty if it can."""
    return frame.problem or MATCHER.problem(frame)


def combined_mask_of(frame):
    """Give the combined mask that applies to a LIGHT frame; empty if none does."""
    applying = MATCHER.applying(frame)
    return (
        f"results/combined_masks/{matching.set_id(applying)}.fits" if applying else ""
    )


def files_of_light(wildcards):
    """Give the LIGHT frame and the combined mask that its job needs; none if it cannot be masked anyway.

    In one function, as Snakemake takes longer to call it than it takes: a night has thousands.
    """
    frame = light(wildcards)
    if problem_of_light(frame):
        return {"frame": [], "masks": []}
    if workflow.is_main_process and is_outdated(wildcards.frame):
        force(f"results/masked/{wildcards.frame}")
    mask = combined_mask_of(frame)
    return {"frame": file_of(frame), "masks": [mask] if mask else []}


def light_file(wildcards, input):
    """Give path and stamp of a LIGHT frame to its job; as it takes the input, Snakemake does not record it."""
    return paths_of([light(wildcards)])


def is_outdated(name):
    """Tell whether a masked frame is not what would be made now."""
    frame = LIGHTS[name]
    applying = MATCHER.applying(frame)
    log = here(f"results/logs/mask_light/{name}.log")
    sources = {"frame": DIGESTS.of(frame.path, [log])} | sources_of(applying)
    return must_remake(f"results/statistics/{name}.json", masking_recipe(name), sources)


def sources_of(applying):
    """Give the digests of the masks of a set, under the names that they have in headers."""
    numbers = Counter()
    found = {}
    logs_of_set = [here(f"results/logs/combine_masks/{matching.set_id(applying)}.log")]
    for kind, mask in applying:
        numbers[kind] += 1
        made = isinstance(mask, matching.MadeMask)
        found[f"{kind}{numbers[kind]}"] = (
            DIGESTS.of_other(path_of(mask))
            if made
            else DIGESTS.of(mask.path, logs_of_set)
        )
    return found


def outcome_of(frame):
    """Give statistics and log of a LIGHT frame, and the logs of what its masks came from."""
    applying = MATCHER.applying(frame)
    of_masks = [
        f"results/logs/make_{kind}_mask/{Path(mask.path).stem}.log"
        for kind, mask in applying
        if isinstance(mask, matching.MadeMask)
    ]
    if applying:
        of_masks.append(f"results/logs/combine_masks/{matching.set_id(applying)}.log")
    return (
        here(f"results/statistics/{frame.name}.json"),
        here(f"results/logs/mask_light/{frame.name}.log"),
        [here(log) for log in of_masks],
    )


def made_mask(wildcards):
    """Look up the mask to be made behind a result."""
    if wildcards.static_mask not in MADE_MASKS:
        raise WorkflowError(
            f"{wildcards.static_mask}: no frame of the night needs a mask of that name"
        )
    return MADE_MASKS[wildcards.static_mask]


def source_files(wildcards):
    """Give the flats or darks that a mask is made from."""
    found = made_mask(wildcards)
    if workflow.is_main_process and is_outdated_mask(found):
        force(found.path)
    return [file for frame in found.sources for file in file_of(frame)]


def source_paths(wildcards, input):
    """Give paths and stamps of them to their job."""
    return paths_of(made_mask(wildcards).sources)


def source_names(wildcards):
    """Give the path in the frames folder of each of them."""
    return [frame.path for frame in made_mask(wildcards).sources]


def mask_recipe(wildcards):
    """Digest all that a flat mask or dark mask is made with, but for its flats or darks."""
    return recipe_of_mask(made_mask(wildcards))


def recipe_of_mask(mask):
    kind = matching.KIND_OF_TYPE[mask.type]
    settings = [
        [frame.path for frame in mask.sources],
        matching.keywords_to_keep(mask, CONFIG),
        matching.type_cards(kind, CONFIG),
        {key: CONFIG[key] for key in (f"make_{kind}_mask", "unit", "unit_names")},
        CONFIG["checksums"],
        CONFIG["frame_type"]["combined"],
        mask.shape,
        kind in CONFIG["required_masks"],
    ]
    return records.digest_of([settings, digest_of_code(f"make_{kind}_mask")])


def is_outdated_mask(mask):
    """Tell whether a mask that was made is not what would be made now."""
    kind, stem = matching.KIND_OF_TYPE[mask.type], Path(mask.path).stem
    logs_of_mask = [here(f"results/logs/make_{kind}_mask/{stem}.log")]
    sources = {f.path: DIGESTS.of(f.path, logs_of_mask) for f in mask.sources}
    record = matching.record_of(mask)
    return must_remake(record, recipe_of_mask(mask), sources)


def kept_keywords(wildcards):
    """Give the keywords that a mask takes over from them."""
    return matching.keywords_to_keep(made_mask(wildcards), CONFIG)


def static_mask_memory(wildcards, attempt):
    """Reckon the memory of making a mask from its size, in MB."""
    rows, columns = made_mask(wildcards).shape
    needed = 400 + rows * columns * 64 // 1_000_000 + COMBINING_BYTES // 1_000_000
    return int(attempt * needed)


def mask_files(wildcards):
    """Give the files of a set of masks."""
    applying = MASK_SETS[wildcards.masks]
    combined = f"results/combined_masks/{wildcards.masks}.fits"
    recipe = combining_recipe(wildcards.masks)
    if workflow.is_main_process and must_remake(combined, recipe, sources_of(applying)):
        force(combined)
    return [file for _, mask in applying for file in file_of(mask)]


def mask_paths(wildcards, input):
    """Give paths and stamps of them to their job."""
    return paths_of([mask for _, mask in MASK_SETS[wildcards.masks]])


@cache
def combining_recipe(masks_of_set):
    """Digest all that a combined mask is made with, but for its masks."""
    parameters = combining_settings(masks_of_set)
    return records.digest_of([parameters, digest_of_code("combine_masks")])


def combining_parameters(wildcards):
    """Give kinds, names and growth of the masks of a set, a caption and `checksums` to their job."""
    name = wildcards.masks
    return sealed([*combining_settings(name), combining_recipe(name)])


def combining_settings(masks_of_set):
    """List what a job gets to combine a set of masks."""
    found = MASK_SETS[masks_of_set]
    rows = [row_of(mask) for _, mask in found]
    said = [
        {str(row[key]) for row in rows} - {""}
        for key in ("filter", "camera", "binning")
    ]
    return [
        [kind for kind, _ in found],
        [mask.path for _, mask in found],
        {kind: CONFIG["grow"][kind] for kind in ("flat", "dark")},
        "  ·  ".join(", ".join(sorted(values)) for values in said if values),
        CONFIG["checksums"],
    ]


def frame_memory(name):
    """Reckon the memory of masking a frame, in MB."""
    frame = LIGHTS[name]
    height = frame.cards.get(types.TILE_HEIGHT)
    return masking.memory(
        frame.shape or (1, 1),
        CONFIG["cosmic_rays"],
        height if isinstance(height, int) else 1,
    )


def masking_memory(wildcards, attempt):
    """Reckon the memory of a masking job from the frame's size, in MB."""
    return attempt * frame_memory(wildcards.frame)


def combining_memory(wildcards, attempt):
    """Reckon the memory of combining masks from their size, in MB."""
    rows, columns = MASK_SETS[wildcards.masks][0][1].shape
    return attempt * (300 + rows * columns * 8 // 1_000_000)


def results_of_frame(name):
    """List what is made of a LIGHT frame, as far as it is asked for."""
    made = [f"results/masked/{name}"]
    if CONFIG["pictures"]:
        made.append(f"results/pictures/frames/{name}.png")
    if CONFIG["regions"]:
        made.append(f"results/regions/{name}.reg")
    return made


def undrawn_of_frame(wildcards, input):
    """List what is not drawn of a frame any more, which its job removes: it would show another result.

    As it takes the input, Snakemake does not record it: no picture less is a reason to mask anew.
    """
    name = wildcards.frame
    picture = [] if CONFIG["pictures"] else [f"results/pictures/frames/{name}.png"]
    regions = [] if CONFIG["regions"] else [f"results/regions/{name}.reg"]
    return [str(here(path)) for path in picture + regions]


def undrawn_of_mask(wildcards, input):
    """List what is not drawn of a combined mask any more."""
    picture = f"results/pictures/masks/{wildcards.masks}.png"
    return [] if CONFIG["pictures"] else [str(here(picture))]


def undrawn_of_night(wildcards, input):
    """List what is not drawn of the night any more."""
    return [] if CONFIG["pictures"] else [str(here(path)) for path in NIGHT_PICTURES]


def pictures_of_masks():
    """List the pictures of the combined masks that frames need."""
    used = {combined_mask_of(f) for f in LIGHTS.values() if not MATCHER.problem(f)}
    stems = sorted(Path(mask).stem for mask in used if mask)
    return [f"results/pictures/masks/{s}.png" for s in stems if CONFIG["pictures"]]


def results_of_night():
    """List all that a run makes."""
    return [
        "results/frames.csv",
        "results/summary.csv",
        "results/summary.ecsv",
        *(NIGHT_PICTURES if CONFIG["pictures"] else []),
        *pictures_of_masks(),
        *sources_checked(),
        *(file for name in LIGHTS for file in results_of_frame(name)),
    ]


def made_masks_of(frame):
    """Give by kind, for each mask of a LIGHT frame that is made, the file that says what was left out of it."""
    if frame.problem or MATCHER.problem(frame):
        return {}
    return {
        kind: matching.record_of(mask)
        for kind, mask in MATCHER.applying(frame)
        if isinstance(mask, matching.MadeMask)
    }


def left_out_files(wildcards=None):
    """List these files of the whole night."""
    return sorted({file for f in LIGHTS.values() for file in made_masks_of(f).values()})


def sources_checked():
    """Name the file that tells that all flats and darks could be used, if masks are made of any."""
    return ["results/logs/sources_checked"] if left_out_files() else []


def statistics_files(wildcards):
    """List the statistics of all masked frames."""
    table = here("results/summary.ecsv")
    if workflow.is_main_process and summary.recipe_of(table) != summary_recipe():
        force("results/summary.csv")
    return [f"results/statistics/{name}.json" for name in LIGHTS]


def nothing(wildcards):
    """Give no input to the table of all files, but have it made where it is not what it would be now."""
    table = summary.csv_text(night_table(wildcards), summary.FRAME_COLUMNS)
    if workflow.is_main_process and not files.holds(here("results/frames.csv"), table):
        force("results/frames.csv")
    return []


@cache
def summary_recipe():
    """Digest what the summary takes from headers."""
    return records.digest_of([light_rows(), digest_of_code("summarise")])


def night_table(wildcards):
    """List the rows of the table of all files."""
    rows = []
    for frame in NIGHT:
        row = row_of(frame) | {"problem": frame.problem}
        if frame.type == types.LIGHT and not frame.problem:
            row["combined_mask"] = combined_mask_of(frame)
            row["problem"] = MATCHER.problem(frame)
        rows.append({column: row.get(column, "") for column in summary.FRAME_COLUMNS})
    return rows


def light_rows():
    """List what the summary takes from the headers of the LIGHT frames."""
    return [
        {
            **row_of(frame),
            "masked_frame": name,
            "remarks": MATCHER.remarks(frame),
            "made_masks": {k: str(here(v)) for k, v in made_masks_of(frame).items()},
        }
        for name, frame in LIGHTS.items()
    ]


def benchmarks():
    """List the files that say how long masking took."""
    return [str(here(f"results/benchmarks/mask_light/{name}.tsv")) for name in LIGHTS]


def summary_parameters(wildcards):
    """Give what the summary takes from headers, and the times of jobs, to its job."""
    return sealed([light_rows(), benchmarks(), summary_recipe()])


def sealed(value):
    """Write parameters as JSON without <: the report has them in its scripts."""
    return json.dumps(value).replace("<", "\\u003c")


@cache
def masking_recipe(name):
    """Digest all that a LIGHT frame is masked with, but for its pixels and masks."""
    applying = MATCHER.applying(LIGHTS[name])
    combining = combining_recipe(matching.set_id(applying)) if applying else ""
    settings = masking_settings(name)
    return records.digest_of([settings, combining, digest_of_code("mask_light")])


def masking_parameters(wildcards):
    """Give name, problem, configuration, caption and memory of a LIGHT frame to its job."""
    light(wildcards)
    return sealed([*masking_settings(wildcards.frame), masking_recipe(wildcards.frame)])


def masking_settings(name):
    """List what a job gets to mask a LIGHT frame."""
    frame = LIGHTS[name]
    row = row_of(frame)
    seconds = remarks.number(row["exposure"])
    exposure = [f"{seconds:.4g} s"] if seconds > 0 else []
    said = [row["filter"], *exposure, row["object"], row["date"], row["camera"]]
    keys = ("cosmic_rays", "masked", "grow", "unit", "unit_names", "checksums")
    return [
        frame.path,
        problem_of_light(frame),
        {key: CONFIG[key] for key in keys},
        "  ·  ".join(str(part) for part in said if part != ""),
        frame_memory(name),
    ]
