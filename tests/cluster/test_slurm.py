"""Runs on a real Slurm, and what may befall them: the results are the same bytes always."""

import csv
import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, run_workflow, write_light, write_night
from slurm import NODES, Slurm, output_of, processes, wait_for, why_not

from lightmask import demo

PROFILE = CHECKOUT / "profiles/slurm"
PATIENCE = 240  # s, after which a run counts as hanging
SLOW = ["cosmic_rays={detector: ccdproc}"]  # seconds a frame, so that there is time to act
SLOW_LIGHTS = [f"slow {number}.fits" for number in range(8)]
TABLES = ("frames.csv", "summary.csv", "summary.ecsv", "quality.csv", "quality.ecsv")
NAMES = ["plain.fits", "a b (c).fits", "com,ma.fits", "quo'te.fits", 'dq"uote.fits', "ünïcode é.fits"]


@pytest.fixture(scope="session")
def cluster():
    """Return a cluster that is ended whatever happens."""
    if reason := why_not():
        pytest.skip(reason)
    slurm = Slurm()
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


@pytest.fixture
def slurm(cluster):
    """Return the cluster at rest, with all its parts."""
    if not cluster.is_up():
        cluster.start_controller()
    output_of("scancel", "--user", "root")
    for node in NODES:
        cluster.kill_node(node)
        cluster.start_node(node)
    cluster.wait_until_idle()
    return cluster


def digests(results):
    """SHA-256 of all that a run makes, but for what knows the time."""
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("masked", "statistics", "combined_masks", "pictures/frames", "pictures/masks")
        for path in sorted((results / folder).rglob("*"))
        if path.is_file() and path.suffix != ".part"
    } | {name: (results / name).read_text() for name in TABLES if (results / name).exists()}


def made_so_far(results):
    of_frames = ("masked", "statistics", "pictures/frames")
    return {name: digest for name, digest in digests(results).items() if name.startswith(of_frames)}


class ClusterRun:
    """A run on the cluster, under way or ended."""

    def __init__(self, work, night, *arguments, config=()):
        self.results = work / "results"
        self.log = work.with_name(f"{work.name}.log")
        command = [sys.executable, "-m", "lightmask.cli", "run", night, "-o", work, "--profile", "slurm"]
        command += ["--latency-wait", "10", *arguments, *(["--config", *config] if config else [])]
        # A shell that runs the tests in the background tells them to ignore it, and so their children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    @property
    def output(self):
        return self.log.read_text()

    def end(self):
        """Wait for the end; a run that does not end by itself is an error."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the run hangs:\n{self.output}")

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def at_work(self, slurm):
        """Wait until jobs have finished some frames and not others; give these jobs."""

        def busy():
            assert self.process.poll() is None, f"ended too early:\n{self.output}"
            return slurm.jobs() and len(list((self.results / "statistics").glob("*"))) > 4

        wait_for(busy, 120, "a job at work")
        return slurm.jobs()


@pytest.fixture
def start(tmp_path):
    """Start runs on the cluster, which do not outlive the test."""
    runs = []

    def begin(night, *arguments, config=(), work="work"):
        runs.append(ClusterRun(tmp_path / work, night, *arguments, config=config))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill()


@pytest.fixture(scope="session")
def slow_night(tmp_path_factory):
    """Return a night that takes its time."""
    night = tmp_path_factory.mktemp("slow") / "night"
    write_night(night, SLOW_LIGHTS)
    for seed, name in enumerate(SLOW_LIGHTS):
        write_light(night / name, shape=(500, 500), seed=seed)
    return night


SLOW_CONFIG = [*SLOW, "required_masks=[]", "frames_per_job=4"]


@pytest.fixture(scope="session")
def expected(slow_night):
    """Return what a local run makes of the slow night."""
    work = slow_night.with_name("local")
    run = run_workflow(work, "--config", f"frames={slow_night}", *SLOW, "required_masks=[]")
    assert run.returncode == 0, run.output
    return digests(work / "results")


@pytest.fixture
def slow_run(slurm, start, slow_night, expected):
    """Start the slow night in two jobs of one core, and wait until they are at work."""

    def begin(*arguments):
        run = start(slow_night, "--set-threads", "mask_batch=1", *arguments, config=SLOW_CONFIG)
        run.at_work(slurm)
        return run

    return begin


def check_whole(run, expected):
    """Check that what has been made so far is whole."""
    assert made_so_far(run.results).items() <= expected.items()


def check_same(run, expected):
    """Check that the run ended well, and made what a local run makes."""
    assert run.end() == 0, run.output
    assert digests(run.results) == expected


def test_the_demo_night_with_names_of_every_kind_and_a_broken_frame(slurm, start, tmp_path):
    night = tmp_path / "the night"
    demo.make(night, tmp_path / "truth")
    for old, new in zip(demo.LIGHTS, NAMES, strict=True):
        (night / old).rename(night / new)
    whole = (night / "plain.fits").read_bytes()
    (night / "bro,ken.fits").write_bytes(whole[: len(whole) // 2])
    local = run_workflow(tmp_path / "local", "--config", f"frames={night}")
    run = start(night)
    assert local.returncode != 0 and run.end() != 0
    found = digests(run.results)
    assert found == digests(local.results)
    assert len([name for name in found if name.startswith("masked/")]) == len(NAMES)
    cause = "bro,ken.fits: cannot be read (truncated"
    assert "1 of 7 LIGHT frames have no result" in run.output
    assert len(re.findall(f"^{re.escape(cause)}", run.output, re.MULTILINE)) == 1
    with open(run.results / "summary.csv", newline="", encoding="utf-8") as file:
        problems = {row["path"]: row["problem"] for row in csv.DictReader(file)}
    assert problems.pop("bro,ken.fits").startswith(cause) and set(problems.values()) == {""}

    (night / "bro,ken.fits").write_bytes(whole)
    healed = start(night)
    assert healed.end() == 0, healed.output
    assert healed.output.count("Masking batch 1") == 2 and "Masking batch 2" not in healed.output
    again = run_workflow(tmp_path / "work", "--config", f"frames={night}")
    assert again.jobs == []  # the same provenance, too


def test_a_job_is_cancelled(slurm, slow_run, expected):
    run = slow_run()
    output_of("scancel", *slurm.jobs())
    wait_for(lambda: not slurm.jobs(), 60, "the end of the jobs")
    check_whole(run, expected)
    check_same(run, expected)


def test_a_node_dies(slurm, slow_run, expected):
    run = slow_run()
    slurm.kill_node(next(iter(slurm.jobs().values())))
    check_whole(run, expected)
    check_same(run, expected)


def test_a_job_needs_more_memory(slurm, start, slow_night, expected):
    resources = ["--set-resources", "mask_batch:mem_mb=300*attempt**2"]
    run = start(slow_night, "--set-threads", "mask_batch=1", *resources, config=SLOW_CONFIG)
    check_same(run, expected)
    assert "Trying to restart job" in run.output


def test_a_job_needs_more_time(slurm, slow_run, expected):
    run = slow_run("--set-resources", "mask_batch:runtime=attempt")
    job = next(iter(slurm.jobs()))
    for pid, title, environment in processes():
        if f"SLURM_JOB_ID={job}" in environment and "python" in title:
            os.kill(pid, signal.SIGSTOP)  # it hangs, as on a file system that does not answer
    check_same(run, expected)
    assert "TIMEOUT" in run.output


def test_an_interrupted_run_cancels_its_jobs_and_the_next_one_goes_on(slurm, slow_run, expected):
    run = slow_run()
    run.process.send_signal(signal.SIGINT)
    assert run.end() != 0
    wait_for(lambda: not output_of("squeue", "-h").strip(), 60, "the end of the jobs")
    check_whole(run, expected)
    done = {path: path.stat().st_mtime_ns for path in (run.results / "statistics").iterdir()}
    again = slow_run()
    check_same(again, expected)
    made_again = [path for path, time in done.items() if path.stat().st_mtime_ns != time]
    assert len(made_again) <= 2 < len(done)  # of each job the frame that it was at


def test_slurmctld_is_away_for_a_while(slurm, slow_run, expected):
    run = slow_run()
    slurm.kill_controller()
    with pytest.raises(subprocess.TimeoutExpired):
        run.process.wait(25)
    slurm.start_controller()
    check_same(run, expected)


def test_one_allocation_of_one_node_goes_on_where_it_stopped(slurm, slow_night, expected, tmp_path):
    results = tmp_path / "work/results"
    script = ["--cpus-per-task=1", "--mem=2G", "--time=10", "--output", tmp_path / "job.log", PROFILE / "one_node.sh"]
    run = [CHECKOUT, "--directory", tmp_path / "work", "--config", f"frames={slow_night}", *SLOW, "required_masks=[]"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def submit():
        environment = os.environ | {"PATH": path}
        submitted = subprocess.run(
            ["sbatch", "--parsable", *script, *run], env=environment, capture_output=True, text=True, check=True
        )
        return submitted.stdout.strip()

    def ended():
        return not output_of("squeue", "-h", "-t", "PENDING,RUNNING,COMPLETING").strip()

    def made():
        return {path: path.stat().st_mtime_ns for path in (results / "statistics").glob("*.json")}

    def stop(*how):
        before = made()
        job = submit()
        wait_for(lambda: len(made()) >= len(before) + 2, 120, "more frames")
        output_of("scancel", *how, job)
        wait_for(ended, 60, "the end of the allocation")
        assert before.items() < made().items()
        assert len(made()) < len(SLOW_LIGHTS)
        assert made_so_far(results).items() <= expected.items()

    stop("--batch", "--signal=INT")  # as Slurm does before the time limit
    stop()  # and at it
    before = made()
    submit()
    wait_for(ended, PATIENCE, "the end of the allocation")
    assert digests(results) == expected
    # The frame that was under way, on one core, may have had its statistics before its job was done.
    assert len(before.items() - made().items()) <= 1
