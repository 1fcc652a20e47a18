"""Frames in batches: how they are split, and that runs in batches are as good as others."""

import csv

import pytest
from conftest import run_workflow, write_light, write_night

from lightmask import batches

LIGHTS = ("a.fits", "b.fits", "com,ma.fits", "br{ac}e.fits", "ü é.fits")
IN_BATCHES = ["Finishing the night", "Planning batches"]


def test_seconds_grow_with_the_frame():
    assert batches.seconds(None, "lightmask") < 1
    assert batches.seconds((4096, 4096), "lightmask") == pytest.approx(3, abs=0.3)
    assert batches.seconds((4096, 4096), "ccdproc") > 50


def test_minutes_are_generous_and_grow_with_each_attempt():
    assert batches.minutes(0, 1, 1) == 5
    assert batches.minutes(1200, 4, 1) == 25
    assert batches.minutes(1200, 4, 3) == 75


@pytest.mark.parametrize(
    ("frames", "seconds", "jobs", "expected"),
    [
        (1, 1, 100, [1]),
        (200, 1, 1, [200]),  # 50 s on four cores
        (200, 1, 2, [100, 100]),
        (240, 1, 100, [60] * 4),  # more are not worth it
        (2400, 1, 1, [1200, 1200]),  # five minutes each
        (2400, 1, 100, [60] * 40),
        (6, 400, 1, [3, 3]),
        (6, 400, 100, [1] * 6),
        (3, 5000, 1, [1, 1, 1]),
    ],
)
def test_batches_take_minutes_and_give_every_job_something_to_do(frames, seconds, jobs, expected):
    work = {str(number): seconds for number in range(frames)}
    found = batches.split(work, cores=4, jobs=jobs, size=None)
    assert [len(batch) for batch in found] == expected
    assert [name for batch in found for name in batch] == list(work)


def test_batches_of_frames_of_many_sizes_take_equally_long():
    work = {str(number): float(number % 50) for number in range(1000)}
    found = batches.split(work, cores=1, jobs=10, size=None)
    assert len(found) == 82
    times = [sum(work[name] for name in batch) for batch in found]
    assert max(times) <= 300 + 50
    assert sorted(name for batch in found for name in batch) == sorted(work)


def test_a_size_is_obeyed():
    assert batches.split({"a": 1, "b": 900, "c": 1}, cores=1, jobs=9, size=2) == [["a", "b"], ["c"]]


@pytest.fixture
def night(tmp_path):
    write_night(tmp_path / "night", LIGHTS)
    return tmp_path / "night"


@pytest.fixture
def start(night, tmp_path):
    """Run the workflow in batches of three, or as given."""

    def run(*arguments, **config):
        pairs = [f"{key}={value}" for key, value in {"frames": night, "frames_per_job": 3, **config}.items()]
        return run_workflow(tmp_path / "work", *arguments, "--config", *pairs)

    return run


def problems(run):
    with open(run.results / "summary.csv", newline="", encoding="utf-8") as file:
        return {row["path"]: row["problem"] for row in csv.DictReader(file)}


def results(run):
    made = {
        path.relative_to(run.results): path.read_bytes()
        for folder in ("masked", "statistics", "combined_masks")
        for path in (run.results / folder).rglob("*")
        if path.is_file()
    }
    return made | {name: (run.results / name).read_bytes() for name in ("frames.csv", "summary.csv", "summary.ecsv")}


def test_batches_make_what_other_runs_make_and_each_knows_what_the_other_did(start, night, tmp_path):
    dry = start("-n")
    assert len([job for job in dry.jobs if job.startswith("Masking batch")]) == 2
    first = start()
    assert first.returncode == 0, first.output
    assert set(IN_BATCHES) <= set(first.jobs)
    assert len([job for job in first.jobs if job.startswith("Masking batch")]) == 2
    assert start().jobs == [] == start(frames_per_job=0).jobs
    local = run_workflow(tmp_path / "local", "--config", f"frames={night}")
    assert results(first) == results(local)

    write_light(night / "new.fits", seed=9)
    assert "Masking new.fits" in start("-n", frames_per_job=0).jobs
    added = start()
    assert [job for job in added.jobs if job.startswith("Masking")] == ["Masking batch 1"]
    assert start(frames_per_job=0).jobs == []

    (night / "new.fits").unlink()
    deleted = start()
    assert deleted.jobs == ["Finishing the night", "Listing the frames of the night", "Planning batches"]
    assert "new.fits" not in problems(deleted)

    changed = start(cosmic_rays="{sigclip: 5}")
    assert len([job for job in changed.jobs if job.startswith("Masking batch")]) == 2
    forced = start("--forceall", cosmic_rays="{sigclip: 5}")
    assert forced.returncode == 0, forced.output
    assert len([job for job in forced.jobs if job.startswith("Masking batch")]) == 2
    assert start(cosmic_rays="{sigclip: 5}", frames_per_job=0).jobs == []


def test_a_bad_frame_costs_only_itself(start, night):
    whole = (night / "a.fits").read_bytes()
    (night / "bad.fits").write_bytes(whole[:15000])
    write_light(night / "small.fits", shape=(32, 32))
    run = start("--retries", "2")
    assert run.returncode != 0
    assert len([job for job in run.jobs if job.startswith("Masking batch")]) == 3  # not tried again
    found = problems(run)
    assert {name for name, problem in found.items() if problem} == {"bad.fits", "small.fits"}
    assert "2 of 7 LIGHT frames have no result" in run.output
    told = [line for line in run.output.splitlines() if line.startswith("bad.fits: cannot be read (truncated")]
    assert len(told) == 1
    assert "Traceback" not in run.output

    (night / "bad.fits").write_bytes(whole)
    (night / "small.fits").unlink()
    healed = start()
    assert healed.returncode == 0, healed.output
    assert set(problems(healed).values()) == {""}


def test_a_broken_mask_is_told_once_and_no_old_result_passes_for_a_new_one(start, night):
    assert start().returncode == 0
    whole = (night / "dark_mask.fits").read_bytes()
    (night / "dark_mask.fits").write_bytes(whole[:-2880])
    run = start()
    assert run.returncode != 0
    cause = "dark_mask.fits: cannot be read (truncated"
    assert len([line for line in run.output.splitlines() if line.startswith(cause)]) == 1
    assert "5 of 5 LIGHT frames have no result" in run.output
    (night / "dark_mask.fits").write_bytes(whole)
    assert start().returncode == 0
