"""Runs in batches on this machine, which need no cluster, are as good as others."""

import csv

import pytest
from conftest import run_workflow, write_light, write_night

LIGHTS = ("a.fits", "b.fits", "com,ma.fits", "br{ac}e.fits", "ü é.fits")
IN_BATCHES = ["Finishing the night", "Planning batches"]


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
