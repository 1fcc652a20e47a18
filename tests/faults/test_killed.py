"""Runs that are killed at any moment: no partial file under a final name, and the next run finishes the night.

KILLS says at how many random moments, KILLS_SEED which ones.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from astropy.io import fits
from conftest import CHECKOUT, DEMO, run_workflow, write_light, write_night
from finals import contents, final_files, leftovers
from processes import kill, running, start, until

from lightmask.workflow import locks

KILLS = int(os.environ.get("KILLS", "3"))
SEED = int(os.environ.get("KILLS_SEED", time.time_ns() % 1_000_000))


def phase(work):
    """Tell from its output what a run was doing when it was killed."""
    output = (work / "output").read_text(errors="replace")
    begun = dict(re.findall(r"^Job (\d+): (\w+)", output, re.MULTILINE))
    for job in re.findall(r"^Finished jobid: (\d+)", output, re.MULTILINE):
        begun.pop(job, None)
    if "100%" in output:
        return "ending"
    return " and ".join(sorted(set(begun.values()))) or ("between jobs" if "Job stats" in output else "starting")


def test_killed_at_any_moment(demo_run, tmp_path, capsys):
    for path in final_files(demo_run.results).values():
        if path.suffix == ".fits":
            with fits.open(path, checksum=True) as hdus:  # a wrong checksum is a warning, thus an error
                assert all("CHECKSUM" in hdu.header for hdu in hdus)
    expected = contents(demo_run.results)
    draw = random.Random(SEED)
    phases, compared, cleared = Counter(), 0, 0
    for number in range(KILLS):
        work = tmp_path / str(number)
        process = start(work, *DEMO)
        moment = draw.uniform(0, demo_run.seconds)
        time.sleep(moment)
        kill(process)
        context = f"seed {SEED}, kill {number} after {moment:.3f} s, {phase(work)}"
        phases[phase(work)] += 1
        found = contents(work / "results")
        assert {name: value for name, value in found.items() if expected.get(name) != value} == {}, context
        compared += len(found)
        cleared += len(leftovers(work / "results"))

        again = run_workflow(work, *DEMO)
        assert again.returncode == 0, f"{context}\n{again.output}"
        assert contents(work / "results") == expected, context
        assert leftovers(work / "results") == [], context
        shutil.rmtree(work)  # hundreds of nights do not fit everywhere
    with capsys.disabled():
        print(f"\nseed {SEED}: {KILLS} kills over {demo_run.seconds:.1f} s; {compared} files under final names were")
        print(f"whole and equal to the undisturbed run's, {cleared} temporary files cleared up; killed while")
        for what, times in phases.most_common():
            print(f"{times:6} {what}")


@pytest.fixture
def night(tmp_path):
    write_night(tmp_path / "night")
    return tmp_path / "night"


@pytest.fixture
def arguments(night):
    return ["--config", f"frames={night}", "pictures=False"]


def test_jobs_that_outlive_their_run_are_waited_for(night, arguments, tmp_path):
    """Only the main process is killed; a job goes on, writes a result that is out of date, and is then replaced."""
    work = tmp_path / "work"
    process = start(work, *arguments, "cosmic_rays={sigclip: 5}")
    log = work / "results/logs/mask_light/a.fits.log"
    until(log.exists)
    (job,) = until(lambda: [pid for pid in running(process.pid) if holds(pid, log)])
    os.kill(job, signal.SIGSTOP)
    process.kill()
    process.wait()

    second = start(work, *arguments)
    try:
        until(lambda: "results: waiting for jobs of a run that was killed" in (work / "output").read_text())
    finally:
        os.kill(job, signal.SIGCONT)
    assert second.wait(60) == 0, (work / "output").read_text()
    assert fits.getheader(work / "results/masked/a.fits")["LIGHTMASK SIGCLIP"] == 8
    assert run_workflow(work, *arguments).jobs == []


def test_a_job_that_begins_when_its_run_has_been_killed_writes_nothing(night, arguments, tmp_path):
    """The job of a run that is gone is late: it begins while the next run is at work, and in the end it is the last."""
    work = tmp_path / "work"
    assert run_workflow(work, *arguments, "cosmic_rays={sigclip: 8}").returncode == 0
    before = everything(work / "results")
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from lightmask.workflow import logged_to\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "with logged_to('results/logs/mask_light/a.fits.log'):\n"
        "    Path('results/masked/a.fits').write_text('too late')\n"
    )
    command = [sys.executable, "-c", script, CHECKOUT / "scripts"]
    killed = f"0123456789abcdef {work / 'results/.lock'}"
    job = subprocess.Popen(
        command,
        cwd=work,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {locks.RUN: killed, "LIGHTMASK_AT_WORK": str(work / ".snakemake/lightmask_at_work")},
    )
    assert job.stdout.readline() == "ready\n"
    _, said = job.communicate("\n", timeout=60)
    assert job.returncode == 1 and "a job of a run that was killed began too late" in said
    assert everything(work / "results") == before
    with fits.open(work / "results/masked/a.fits") as hdus:
        assert hdus[0].header["LIGHTMASK SIGCLIP"] == 8


def test_a_job_is_stopped_before_it_looks_and_started_again_under_another_run(night, arguments, tmp_path):
    """In earnest: the main process is killed in the first moments of a job, which another run must outlive."""
    work = tmp_path / "work"
    process = start(work, *arguments, "cosmic_rays={sigclip: 5}")
    log = work / "results/logs/mask_light/a.fits.log"
    is_job = re.compile(r"python\S* \S*\.snakemake/scripts/tmp\w+\.mask_light\.py")
    (job, *_) = until(lambda: [pid for pid, text in running(process.pid).items() if is_job.search(text)])
    os.kill(job, signal.SIGSTOP)
    process.kill()
    process.wait()
    second = start(work, *arguments)
    until(lambda: second.poll() is not None or "waiting for jobs" in (work / "output").read_text())
    os.kill(job, signal.SIGCONT)
    assert second.wait(120) == 0, (work / "output").read_text()
    until(lambda: job not in running(process.pid))
    assert log.exists()
    for name in ("a.fits", "b.fits"):
        assert fits.getheader(work / "results/masked" / name)["LIGHTMASK SIGCLIP"] == 8
    assert run_workflow(work, *arguments).jobs == []


def holds(process, path):
    """Return whether a process has opened a file."""
    try:
        with os.scandir(f"/proc/{process}/fd") as entries:
            opened = [os.readlink(entry.path) for entry in entries]
    except (FileNotFoundError, ProcessLookupError):  # it has ended, or closed a file, meanwhile
        return False
    return str(path) in opened


def test_two_runs_at_once_on_one_results_folder(night, arguments, tmp_path):
    work, beside = tmp_path / "work", tmp_path / "beside"
    first = start(work, *arguments)
    until((work / "results/masked").exists)
    os.killpg(first.pid, signal.SIGSTOP)
    before = everything(work / "results")
    beside.mkdir()
    (beside / "results").symlink_to(work / "results")
    write_light(night / "new.fits", seed=99)  # there would be something to do, and to write at once
    for folder in (work, beside):
        second = run_workflow(folder, *arguments)
        assert second.returncode != 0
        (line,) = [line for line in second.output.splitlines() if line.startswith("results: ")]
        assert re.fullmatch(
            rf"results: another run is at work there \(process {first.pid} on \S+ since .*\); wait for its end", line
        )
        assert "Traceback" not in second.output
        assert everything(work / "results") == before
    assert run_workflow(work, "-n", *arguments).returncode == 0  # who only looks may
    os.killpg(first.pid, signal.SIGCONT)
    assert first.wait(60) == 0
    assert run_workflow(work, *arguments).returncode == 0
    assert (work / "results/masked/new.fits").exists()


def everything(folder):
    """Give size and time of change of every file."""
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


def test_runs_without_a_lock_may_work_while_another_one_holds_it(arguments, tmp_path):
    """As jobs on a cluster do."""
    work = tmp_path / "work"
    (work / "results").mkdir(parents=True)
    with open(work / "results/.lock", "w") as lock:
        assert locks.lock(lock)
        assert run_workflow(work, *arguments).returncode != 0
        assert run_workflow(work, "--nolock", *arguments, "--", "results/masked/a.fits").returncode == 0
        assert (work / "results/masked/a.fits").exists()


def test_a_file_system_without_locks(arguments, tmp_path):
    """As some network file systems: preloaded, a lock that fails."""
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, fcntl, os\n"
        "def flock(*arguments):\n"
        "    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))\n"
        "fcntl.flock = flock\n"
    )
    run = run_workflow(tmp_path / "work", *arguments, before=["env", f"PYTHONPATH={tmp_path}"])
    assert run.returncode == 0, run.output
    assert run.output.count("this file system has no locks (No locks available)") == 1
    assert (run.results / "masked/a.fits").exists()


def test_a_run_killed_between_the_locks_of_snakemake_and_its_own(arguments, tmp_path):
    """Preloaded: the run is killed when it is about to lock the results, after Snakemake has written its locks."""
    (tmp_path / "sitecustomize.py").write_text(
        "import fcntl, os, signal\n"
        "flock = fcntl.flock\n"
        "def until_results(file, operation):\n"
        "    path = os.readlink(f'/proc/self/fd/{file}')\n"
        "    if path.endswith('results/.lock') and operation & fcntl.LOCK_EX:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    flock(file, operation)\n"
        "fcntl.flock = until_results\n"
    )
    work = tmp_path / "work"
    killed = run_workflow(work, *arguments, before=["env", f"PYTHONPATH={tmp_path}"])
    assert killed.returncode == -signal.SIGKILL, killed.output
    assert list(work.glob(".snakemake/locks/*"))
    again = run_workflow(work, *arguments)
    assert again.returncode == 0, again.output
    assert (again.results / "masked/a.fits").exists()


@pytest.mark.parametrize("here", [True, False], ids=["this_machine", "another_machine"])
def test_locks_left_by_a_killed_run_go_only_if_it_ran_here(here, arguments, tmp_path):
    """A file system may keep its locks to one machine: then only a user knows what another one does."""
    work = tmp_path / "work"
    process = start(work, *arguments)
    until(lambda: list(work.glob("results/masked/*")))
    kill(process)
    assert list(work.glob(".snakemake/locks/*"))
    if not here:
        record = json.loads((work / "results/.lock").read_text())
        (work / "results/.lock").write_text(json.dumps(record | {"host": "elsewhere", "boot": "another"}))
    run = run_workflow(work, *arguments)
    assert (run.returncode == 0) == here, run.output
    if not here:
        assert "a run on another machine did not end in order" in run.output and "on elsewhere since" in run.output
        assert run_workflow(work, "--unlock", *arguments).returncode == 0
        assert run_workflow(work, *arguments).returncode == 0
