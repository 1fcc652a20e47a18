"""Change one operator or number of the library at a time, and see whether the tests of its module notice.

`make mutants` tries all mutants that cosmic-ray makes, hours of work that go on where they were stopped;
`make mutants SAMPLE=60 SEED=1` tries so many of them, from all modules alike. Mutants that change
nothing are listed in tests/mutants_harmless.toml, with the reason.
"""

import argparse
import ast
import hashlib
import multiprocessing
import os
import random
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import chain, zip_longest
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import TestOutcome, WorkItem, WorkResult

CHECKOUT = Path(__file__).parent.parent
LIBRARY = "scripts/lightmask"
SESSIONS = CHECKOUT / ".mutants"
KILLED_AT_LEAST = 0.9
MEMORY, FILE_SIZE = 12 * 2**30, 2**30
"""Bytes that the tests of a mutant may take, which may well ask for too much."""

TESTS = {
    "detect/api": "detect/test_api detect/test_bands",
    "detect/arguments": "detect/test_arguments detect/test_api",
    "detect/arrays": "detect/test_arrays",
    "detect/bands": "detect/test_bands detect/test_original detect/test_api",
    "detect/bounds": "detect/test_bounds detect/test_original detect/test_detector detect/test_api",
    "detect/ccdmask": "detect/test_ccdmask",
    "detect/cleaning": "detect/test_cleaning detect/test_original detect/test_api",
    "detect/contrast": "detect/test_contrast detect/test_trace",
    "detect/examination": "detect/test_examination",
    "detect/growth": "detect/test_growth detect/test_trace",
    "detect/net": "detect/test_net detect/test_trace",
    "detect/starimage": "detect/test_starimage detect/test_trace",
    "detect/trace": "detect/test_trace",
    "detect/training": "truth/test_training",
    "detect/detector": "detect/test_detector detect/test_original detect/test_api",
    "detect/electrons": "detect/test_electrons detect/test_bands",
    "detect/medians": "detect/test_medians",
    "detect/preparation": "detect/test_preparation detect/test_api",
    "detect/psf": "detect/test_psf detect/test_api",
    "detect/selection": "detect/test_selection",
    "detect/significance": "detect/test_significance detect/test_original detect/test_api",
    "detect/windows": "detect/test_windows detect/test_original detect/test_detector",
    "bits": "masks/test_flags masks/test_frame",
    "messages": "test_messages masks/test_flags workflow/test_logs",
    "fits/checksums": "fits/test_checksums masks/test_frame",
    "fits/files": "fits/test_files fits/test_records",
    "fits/hdus": "fits/test_hdus fits/test_checksums masks/test_frame",
    "fits/headers": "fits/test_headers fits/test_hdus masks/test_frame",
    "fits/roles": "fits/test_images masks/test_several_images",
    "fits/images": "fits/test_images masks/test_frame fits/test_tiles masks/test_cosmicrays test_masking_in_bands",
    "fits/records": "fits/test_records",
    "fits/tiles": "fits/test_tiles",
    "masks/assessment": "masks/test_assessment",
    "masks/ccd": "masks/test_ccd",
    "masks/combined": "masks/test_combined masks/test_explanation",
    "masks/cosmicrays": "masks/test_cosmicrays",
    "masks/explanation": "masks/test_explanation",
    "masks/repeats": "masks/test_repeats",
    "masks/search": "masks/test_flagging masks/test_readout_with_truth masks/test_nodata",
    "masks/dark": "masks/test_dark masks/test_static",
    "masks/darks": "masks/test_flats_and_darks",
    "masks/flags": "masks/test_flags",
    "masks/flat": "masks/test_flat masks/test_static masks/test_flats_and_darks",
    "masks/flats": "masks/test_flat masks/test_flats_and_darks",
    "masks/frame": "masks/test_flagging masks/test_frame masks/test_several_images quality/test_quality",
    "masks/inherited": "masks/test_inherited",
    "masks/nodata": "masks/test_nodata",
    "masks/planes": "masks/test_readout_with_truth masks/test_planes",
    "masks/provenance": "masks/test_provenance masks/test_combined masks/test_frame",
    "masks/single": "masks/test_explanation",
    "masks/sources": "masks/test_static",
    "masks/static": "masks/test_static masks/test_several_images",
    "night/cameras": "night/test_readout night/test_types_by_path",
    "night/configfiles": "night/test_configfiles",
    "night/configuration": "night/test_configuration",
    "masks/trial": "test_cli",
    "night/fields": "night/test_fields",
    "night/inventory": "night/test_inventory",
    "night/matching": "night/test_matching night/test_made_masks night/test_window",
    "night/names": "night/test_names",
    "night/pairing": "masks/test_several_images night/test_window",
    "night/quantities": "night/test_quantities night/test_readout",
    "night/readout": "night/test_readout",
    "night/remarks": "night/test_remarks",
    "night/summary": "night/test_summary quality/test_quality",
    "night/types": "night/test_types night/test_types_by_path night/test_quantities night/test_inventory",
    "night/window": "night/test_window",
    "quality/causes": "quality/test_quality",
    "quality/events": "quality/test_events",
    "quality/measure": "quality/test_quality",
    "quality/noise": "quality/test_quality masks/test_readout_with_truth",
    "quality/places": "quality/test_quality",
    "quality/sample": "quality/test_quality",
    "quality/stars": "quality/test_quality",
    "quality/structure": "quality/test_quality",
    "repeats/alignment": "repeats/test_alignment repeats/test_exposures",
    "repeats/api": "repeats/test_exposures",
    "repeats/evidence": "repeats/test_evidence repeats/test_exposures",
    "repeats/fixed": "repeats/test_evidence repeats/test_exposures",
    "repeats/joining": "repeats/test_joining repeats/test_exposures",
    "repeats/stars": "repeats/test_stars repeats/test_exposures",
    "show/accuracy": "masks/test_assessment",
    "show/index": "show/test_index",
    "show/night": "show/test_night",
    "show/pictures": "show/test_pictures",
    "show/trials": "show/test_trials",
    "truth/injection": "truth/test_truth",
    "truth/scores": "truth/test_truth",
    "truth/tracks": "truth/test_truth",
    "workflow/batches": "workflow/test_batches",
    "workflow/code": "workflow/test_code",
    "workflow/gone": "test_cli",
    "workflow/locks": "workflow/test_locks",
    "workflow/logs": "workflow/test_logs masks/test_static",
    "workflow/memory": "workflow/test_memory",
    "workflow/night": "workflow/test_night_of_rules",
    "workflow/outcomes": "workflow/test_outcomes",
    "workflow/plan": "workflow/test_plan",
    "workflow/progress": "workflow/test_progress",
    "workflow/workarounds": "workflow/test_workarounds",
}
"""The test files of each module. Left out are demo, which only simulates a night to try things on,
errors, which only names them, and what only whole runs try, minutes for each mutant: cli, workflow/run and
workflow/nested."""


def test_files(module: str) -> list[str]:
    """Name the test files of a module, from the checkout."""
    return [f"tests/{name}.py" for name in TESTS[module].split()]


def command(files: list[str]) -> str:
    """Return the command that runs test files until one test fails."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "--basetemp", ".tests"]
    options += ["-p", "_hypothesis_pytestplugin", "--hypothesis-profile", "mutants"]
    return shlex.join([sys.executable, "-m", "pytest", *options, *files])


def session(module: str) -> WorkDB:
    """Open the session of a module: a new one where the module or its tests have changed."""
    name = module.replace("/", "-")
    digest = hashlib.sha256()
    for file in [f"{LIBRARY}/{module}.py", "tests/conftest.py", *test_files(module)]:
        digest.update((CHECKOUT / file).read_bytes())
    path = SESSIONS / f"{name}-{digest.hexdigest()[:16]}.sqlite"
    if not path.exists():
        SESSIONS.mkdir(exist_ok=True)
        for old in SESSIONS.glob(f"{name}-*"):
            old.unlink()
        part = path.with_suffix(".part")
        with closing(WorkDB(part, WorkDB.Mode.create)) as made:
            init([Path(LIBRARY, f"{module}.py")], made, {})
        part.rename(path)
    return WorkDB(path, WorkDB.Mode.open)


def annotations(module: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """List where a module's annotations begin and end. Their mutants die while they are imported, and say nothing."""
    found = []
    for node in ast.walk(ast.parse((CHECKOUT / LIBRARY / f"{module}.py").read_text(encoding="utf-8"))):
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if part is not None:
                found.append(((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)))
    return found


def chosen(module: str, work: WorkDB, seed: str) -> list[WorkItem]:
    """List the mutants of a module, in an order that depends on the seed only."""
    left_out = annotations(module)
    items = [
        item
        for item in work.work_items
        if not any(start <= item.mutations[0].start_pos < end for start, end in left_out)
    ]
    items.sort(
        key=lambda item: (item.mutations[0].start_pos, item.mutations[0].operator_name, item.mutations[0].occurrence)
    )
    random.Random(f"{seed} {module}").shuffle(items)
    return items


def copy_checkout(folder: Path) -> None:
    """Copy what git knows, or would add: mutants are never made in the checkout itself."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)


def start_worker(folders: "multiprocessing.SimpleQueue[str]") -> None:
    """Work in a copy of the checkout, without memory or disk for the worst of mutants."""
    os.chdir(folders.get())
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # that of zarr takes longer than most of the tests
    for limit, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, FILE_SIZE)):
        resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))  # which tests may lift


def time_tests(file: str) -> tuple[str, float, str]:
    """Run a test file on the library as it is; give the seconds that it took, and what it printed if it failed."""
    start = time.monotonic()
    done = subprocess.run(shlex.split(command([file])), capture_output=True, text=True, check=False)
    return file, time.monotonic() - start, done.stdout if done.returncode else ""


def test_mutant(job: tuple[str, WorkItem, float]) -> tuple[str, WorkItem, WorkResult]:
    """Run the tests of a module on one mutant."""
    module, item, limit = job
    return module, item, mutate_and_test(item.mutations, command(test_files(module)), limit)


def mutation(result: WorkResult) -> tuple[str, str]:
    """Return the lines that a mutant replaced, and by what, with spaces as between words."""
    lines = (result.diff or "").splitlines()
    return tuple(
        " ".join(
            " ".join(line[1:] for line in lines if line.startswith(sign) and not line.startswith(sign * 3)).split()
        )
        for sign in "-+"
    )


def harmless() -> set[tuple[str, str, str]]:
    """Read which mutants are known to change nothing."""
    entries = tomllib.loads((CHECKOUT / "tests/mutants_harmless.toml").read_text(encoding="utf-8"))["harmless"]
    return {
        (entry["module"], " ".join(entry["old"].split()), " ".join(new.split()))
        for entry in entries
        for new in entry["new"]
    }


def run(jobs: list[tuple[str, WorkItem]], works: dict[str, WorkDB], processes: int) -> Iterator[str]:
    """Test the mutants that have no result yet, and keep each result at once."""
    done = {module: {job for job, _ in work.results} for module, work in works.items()}
    jobs = [(module, item) for module, item in jobs if item.job_id not in done[module]]
    files = sorted({file for module, _ in jobs for file in test_files(module)})
    with ExitStack() as stack:
        folders = multiprocessing.SimpleQueue()
        for _ in range(processes):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-"))
            copy_checkout(Path(folder))
            folders.put(folder)
        pool = stack.enter_context(multiprocessing.Pool(processes, start_worker, [folders]))
        seconds = {}
        for file, taken, failure in pool.imap_unordered(time_tests, files):
            if failure:
                sys.exit(f"{failure}\n{file} fails without any mutant; mend that first")
            seconds[file] = taken
        limited = [(module, item, 20 + 4 * sum(seconds[file] for file in test_files(module))) for module, item in jobs]
        for number, (module, item, result) in enumerate(pool.imap_unordered(test_mutant, limited), 1):
            works[module].set_result(item.job_id, result)
            if result.test_outcome != TestOutcome.KILLED:
                yield f"{number}/{len(jobs)} {module}: {' -> '.join(mutation(result))}"


def main() -> None:
    """Test all mutants, or a sample, and tell which survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(TESTS), metavar="MODULE", help="all, if none is named")
    parser.add_argument("--sample", type=int, help="how many mutants, as many of each module; all by default")
    parser.add_argument("--seed", default="1", help="which ones")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    with ExitStack() as stack:
        works = {module: stack.enter_context(closing(session(module))) for module in arguments.modules}
        by_module = [
            [(module, item) for item in chosen(module, work, arguments.seed)] for module, work in works.items()
        ]
        in_turn = [job for job in chain.from_iterable(zip_longest(*by_module)) if job]
        jobs = in_turn[: arguments.sample]
        for line in run(jobs, works, arguments.processes):
            print(line, flush=True)
        results = {job: result for work in works.values() for job, result in work.results}
    tried, killed, known, survivors = Counter(), Counter(), Counter(), []
    listed = harmless()
    for module, item in jobs:
        result = results[item.job_id]
        tried[module] += 1
        if result.test_outcome == TestOutcome.KILLED:
            killed[module] += 1
        elif (module, *mutation(result)) in listed:
            known[module] += 1
        else:
            place = item.mutations[0]
            lines = " -> ".join(mutation(result)) or f"cannot be tested: {result.output}"
            survivors.append(f"{LIBRARY}/{module}.py:{place.start_pos[0]}: {lines}")
    print("\nSurvivors:", *sorted(survivors) or ["none"], sep="\n")
    print(f"\n{'module':20}  tried killed harmless survived")
    for module in [*tried, "all"]:
        if module == "all":
            numbers = [count.total() for count in (tried, killed, known)]
        else:
            numbers = [count[module] for count in (tried, killed, known)]
        print(f"{module:20} {numbers[0]:6} {numbers[1]:6} {numbers[2]:8} {numbers[0] - numbers[1] - numbers[2]:8}")
    share = killed.total() / max(tried.total() - known.total(), 1)
    print(f"{share:.1%} of those that change something are killed; expected at least {KILLED_AT_LEAST:.0%}")
    if survivors and share < KILLED_AT_LEAST:
        sys.exit("too many mutants survive: add tests that fail on them, or list those that change nothing")


if __name__ == "__main__":
    main()
