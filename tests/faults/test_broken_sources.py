"""Whole runs on nights of which a flat or a dark cannot be used."""

import csv

import numpy as np
import pytest
from astropy.io import fits
from conftest import run_workflow, write_calibrations, write_light

CHECKING = "Checking flats and darks, and remarks"


@pytest.fixture
def night(tmp_path):
    """Return a night of two LIGHT frames, two flats and a dark, all good."""
    for seed, name in enumerate(("a.fits", "b.fits")):
        write_light(tmp_path / "night" / name, seed=seed)
    write_calibrations(tmp_path / "night")
    return tmp_path / "night"


@pytest.fixture
def start(night, tmp_path):
    def run(*arguments, pictures=False, **config):
        pairs = [f"frames={night}", f"pictures={pictures}", *(f"{key}={value}" for key, value in config.items())]
        return run_workflow(tmp_path / "work", *arguments, "--config", *pairs)

    return run


def rows(run):
    with open(run.results / "summary.csv", newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def truncate(path):
    path.write_bytes(path.read_bytes()[:9000])


def negate(path):
    data, header = fits.getdata(path, header=True)
    fits.writeto(path, -data, header, overwrite=True)


def lines_of(run, start):
    return [line for line in run.output.splitlines() if line.startswith(start)]


def check_masked(run, remark=""):
    """Check that both LIGHT frames are masked, and that the summary has them."""
    summary = rows(run)
    assert list(summary) == ["a.fits", "b.fits"]
    for name, row in summary.items():
        assert row["problem"] == "" and row["pixels"] == "5120" and row["remark"] == remark
        assert (run.results / "masked" / name).is_file()
    assert "LIGHT frames have no result" not in run.output
    assert "2 masked" in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("name", "spoil", "problem", "pictures"),
    [
        (
            "flat1.fits",
            truncate,
            "cannot be read (truncated: it ends before its pixels do); copy it again, or take",
            True,
        ),
        ("flat1.fits", negate, "the median of its pixels is -", False),
        ("dark1.fits", truncate, "cannot be read (truncated", False),
    ],
)
def test_a_source_beside_good_ones_costs_only_itself_and_is_told_until_it_is_gone(
    night, start, name, spoil, problem, pictures
):
    write_light(
        night / "dark1.fits",
        data=np.full((64, 80), 2, np.float32),
        IMAGETYP="DARK",
        EXPTIME=30.0,
        FILTER=None,
        NCOMBINE=10,
    )
    spoil(night / name)
    first = start(pictures=pictures)
    assert first.returncode != 0
    assert len(lines_of(first, f"{name}: {problem}")) == 1
    assert len(lines_of(first, f"WARNING: {name}: {problem}")) == 1
    check_masked(first)
    flags = fits.getdata(first.results / "masked/a.fits", "FLAGS")
    assert flags[5, 5] & 1 and flags[20, 20] & 2
    masked = (first.results / "masked/a.fits").read_bytes()
    again = start(pictures=pictures)
    assert again.returncode != 0
    assert again.jobs == [CHECKING]
    assert len(lines_of(again, f"{name}: {problem}")) == 1
    check_masked(again)
    assert (first.results / "pictures/night.png").exists() == pictures
    (night / name).unlink()
    healed = start(pictures=pictures)
    assert healed.returncode == 0, healed.output
    assert CHECKING in healed.jobs
    assert name not in healed.output
    assert (first.results / "masked/a.fits").read_bytes() == masked
    assert start(pictures=pictures).jobs == []


def test_without_a_source_that_can_be_used_frames_fail_where_the_mask_is_required(night, start):
    truncate(night / "dark.fits")
    for _ in range(2):
        run = start()
        assert run.returncode != 0
        assert len(lines_of(run, "dark.fits: cannot be read (truncated")) == 1
        assert "2 of 2 LIGHT frames have no result" in run.output
        assert all(row["problem"].startswith("dark.fits: cannot be read") for row in rows(run).values())


def test_without_a_source_that_can_be_used_frames_are_masked_where_it_is_not(night, start):
    assert start().returncode == 0
    whole = (night / "dark.fits").read_bytes()
    truncate(night / "dark.fits")
    problem = (
        "dark.fits: cannot be read (truncated: it ends before its pixels do); copy it again, or take it out of the"
    )
    for jobs in (6, 1):
        run = start(required_masks="[flat]")
        assert run.returncode != 0 and len(run.jobs) == jobs, run.output
        assert len(lines_of(run, problem)) == 1
        check_masked(run, remark=f"masked without a dark mask: {problem} folder")
        flags = fits.getdata(run.results / "masked/a.fits", "FLAGS")
        assert flags[5, 5] & 1 and not (flags & 2).any()
    (night / "dark.fits").write_bytes(whole)
    healed = start(required_masks="[flat]")
    assert healed.returncode == 0, healed.output
    check_masked(healed)
    assert fits.getdata(healed.results / "masked/a.fits", "FLAGS")[20, 20] & 2


def test_a_broken_frame_and_a_broken_source_are_both_told(night, start):
    truncate(night / "flat1.fits")
    truncate(night / "b.fits")
    run = start()
    assert run.returncode != 0
    assert "1 of 2 LIGHT frames have no result" in run.output
    assert len(lines_of(run, "b.fits: cannot be read (truncated")) == 1
    assert len(lines_of(run, "flat1.fits: cannot be read (truncated")) == 1
    summary = rows(run)
    assert summary["a.fits"]["problem"] == "" and summary["b.fits"]["problem"].startswith("b.fits: cannot be read")


@pytest.mark.parametrize("source", ["flat1.fits", ""])
def test_batches_tell_of_sources_too(night, start, source):
    """In batches, which travel to a cluster, the night has other targets."""
    if source:
        truncate(night / source)
    run = start(frames_per_job=1)
    assert (run.returncode != 0) == bool(source), run.output
    assert CHECKING in run.jobs
    check_masked(run)
    assert len(lines_of(run, "flat1.fits: cannot be read (truncated")) == bool(source)
    again = start(frames_per_job=1)
    assert (again.returncode != 0) == bool(source), again.output
    assert again.jobs == [CHECKING] * bool(source)


def test_a_file_without_a_byte_is_a_frame_that_cannot_be_read(night, start):
    (night / "flat1.fits").write_bytes(b"")
    run = start()
    assert run.returncode != 0
    assert "1 of 3 LIGHT frames have no result" in run.output
    assert rows(run)["flat1.fits"]["problem"].startswith("flat1.fits: an empty file")


def test_a_night_with_a_broken_source_has_a_report(night, start):
    truncate(night / "flat1.fits")
    assert start(pictures=True).returncode != 0
    made = start("--report", "report.html", pictures=True)
    assert made.returncode == 0, made.output
