"""Runs that lack disk, memory or file handles, and frames that change meanwhile.

Each ends with a clear error and no partial file under a final name, and the next run heals it.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from conftest import run_workflow, write_light, write_mask
from finals import contents, leftovers
from processes import start, until

FRAMES = [f"{number}.fits" for number in range(4)]
SHAPE = (300, 400)  # of 480 kB; masked, of 720 kB
LARGE = (2048, 2048)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    for seed, name in enumerate(FRAMES):
        write_light(folder / name, SHAPE, seed)
    write_mask(folder / "flat_mask.fits", "flat mask", shape=SHAPE)
    write_mask(folder / "dark_mask.fits", "dark mask", shape=SHAPE)
    return folder


@pytest.fixture(scope="module")
def arguments(night):
    return ["--config", f"frames={night}", "pictures=False"]


@pytest.fixture(scope="module")
def expected(arguments, tmp_path_factory):
    """Return what stands under final names after a run that lacks nothing."""
    run = run_workflow(tmp_path_factory.mktemp("undisturbed"), *arguments)
    assert run.returncode == 0, run.output
    return contents(run.results)


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work/results").mkdir(parents=True)
    return tmp_path / "work"


def assert_failed(run, expected, *messages):
    """Check that a run said why it failed, and left nothing but whole files."""
    assert run.returncode != 0, run.output
    for message in messages:
        assert message in run.output
    assert "Traceback" not in run.output
    tables = ("frames.csv", "summary.csv", "summary.ecsv", "quality.csv", "quality.ecsv", "index.html")  # tell of it
    found = {name: value for name, value in contents(run.results).items() if name not in tables}
    assert found.items() <= expected.items()
    assert leftovers(run.results) == []


def assert_healed(run, expected):
    assert run.returncode == 0, run.output
    assert contents(run.results) == expected


@contextmanager
def mounted(folder, *options):
    """Mount something on a folder, where that is allowed."""
    made = subprocess.run(["mount", *options, folder], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"mounting is not allowed here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def limited(name, number):
    """Return what stands before a command that shall have a limit."""
    code = f"""
import os, sys, resource
resource.setrlimit(resource.{name}, ({number}, {number}))
os.execvp(sys.argv[1], sys.argv[1:])
"""
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("place", ["results", "."])
def test_a_full_disk(place, work, arguments, expected):
    with mounted(work / place, "-t", "tmpfs", "-o", "size=1200k", "tmpfs"):
        run = run_workflow(work, *arguments)
        assert_failed(run, expected, "cannot be written (No space left on device)")
        subprocess.run(["mount", "-o", "remount,size=20m", work / place], check=True)
        assert_healed(run_workflow(work, *arguments), expected)


def test_a_write_that_fails(work, arguments, expected):
    """As on a full disk, or beyond a quota, without one."""
    run = run_workflow(work, *arguments, before=limited("RLIMIT_FSIZE", 600_000))
    failed = [f"results/masked/{name}: cannot be written (File too large)" for name in FRAMES]
    assert_failed(run, expected, *failed, "4 of 4 LIGHT frames have no result")
    assert_healed(run_workflow(work, *arguments), expected)


def test_a_read_only_results_folder(work, arguments, expected):
    with read_only(work / "results"):
        run = run_workflow(work, *arguments)
        assert_failed(run, expected, "results: cannot be written (")
        assert run.jobs == [] and list(run.results.iterdir()) == []
        assert run_workflow(work, "-n", *arguments).returncode == 0
    assert_healed(run_workflow(work, *arguments), expected)


def read_only(folder):
    """Keep everybody from writing into a folder; permissions do not bind the administrator."""
    if os.geteuid():
        return without_permission(folder)
    return mounted(folder, "-t", "tmpfs", "-o", "ro", "tmpfs")


@contextmanager
def without_permission(folder):
    folder.chmod(0o555)
    yield
    folder.chmod(0o755)


def test_too_little_memory(work, arguments, expected):
    run = run_workflow(work, "--resources", "mem_mb=40", *arguments)
    message = "0.fits: the 40 MB of memory that it may use do not suffice"
    assert_failed(run, expected, message, "4 of 4 LIGHT frames have no result")
    # Less than is reckoned, but enough.
    assert_healed(run_workflow(work, "--set-resources", "mask_light:mem_mb=150", *arguments), expected)


def test_too_few_file_handles(work, arguments, expected):
    run = run_workflow(work, *arguments, before=limited("RLIMIT_NOFILE", 16))
    assert_failed(run, expected, "file handles: found 16 that may be open at a time, expected 32")
    assert run.jobs == []
    assert_healed(run_workflow(work, *arguments, before=limited("RLIMIT_NOFILE", 32)), expected)


@pytest.fixture
def growing(tmp_path):
    """Return a night with one large frame, and its arguments."""
    folder = tmp_path / "night"
    write_light(folder / "a.fits")
    write_light(folder / "large.fits", LARGE)
    return folder, ["--config", f"frames={folder}", "pictures=False", "required_masks=[]"]


def test_a_frame_that_changes_while_it_is_read(growing, work):
    folder, arguments = growing
    ended = threading.Event()

    def write():
        with open(folder / "large.fits", "ab") as file:
            while not ended.wait(0.002):
                file.write(b" ")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        run = run_workflow(work, *arguments)
    finally:
        ended.set()
        writer.join()
    assert run.returncode != 0
    assert_changed(run.output, work)
    write_light(folder / "large.fits", LARGE)
    heals_as_new(work, arguments)


def test_a_change_after_reading_counts_too(growing, work):
    """What is made of the frame is newer than the change, so that later nobody would see it."""
    folder, arguments = growing
    process = start(work, *arguments)
    until(lambda: any(path.stat().st_size > 1e6 for path in work.glob("results/masked/.*.part")))
    os.killpg(process.pid, signal.SIGSTOP)
    assert list(work.glob("results/masked/.*.part"))  # it has been read, and is not masked yet
    write_light(folder / "large.fits", LARGE, seed=7)
    os.killpg(process.pid, signal.SIGCONT)
    assert process.wait(60) != 0
    assert_changed((work / "output").read_text(), work)
    heals_as_new(work, arguments)


def assert_changed(output, work):
    assert "large.fits: changed while it was read; start again when it is complete" in output
    assert "Traceback" not in output
    assert [path.name for path in (work / "results/masked").iterdir()] == ["a.fits"]


@pytest.mark.parametrize("before_the_search", [True, False], ids=["before_the_search", "after_it"])
def test_a_frame_that_ends_early(before_the_search, growing, work):
    folder, arguments = growing
    whole = (folder / "large.fits").read_bytes()
    if before_the_search:
        (folder / "large.fits").write_bytes(whole[:9_000_000])
    process = start(work, *arguments)
    until(lambda: "Building DAG" in (work / "output").read_text())
    if not before_the_search:
        os.truncate(folder / "large.fits", 9_000_000)
    assert process.wait(60) != 0
    output = (work / "output").read_text()
    assert "large.fits: cannot be read (truncated" in output and "Traceback" not in output
    assert sorted(path.name for path in (work / "results/masked").iterdir()) == ["a.fits"]
    (folder / "large.fits").write_bytes(whole)
    heals_as_new(work, arguments)


def heals_as_new(work, arguments):
    """Run again, and compare with a run in a new folder."""
    healed = run_workflow(work, *arguments)
    assert healed.returncode == 0, healed.output
    anew = run_workflow(work.parent / "anew", *arguments)
    assert contents(healed.results) == contents(anew.results)
