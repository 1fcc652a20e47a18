"""A frames folder that a rule of another workflow makes."""

import csv

import pytest
from conftest import CHECKOUT, run_workflow, write_light, write_night

MODULE = f"""
module masks:
    snakefile: {str(CHECKOUT / "Snakefile")!r}
    config: {{"frames": "calibrated", "pictures": False}}
    prefix: "out of it"

use rule * from masks as masks_*

rule everything:
    default_target: True
    input: rules.masks_all.input
"""
A_FOLDER = """
rule calibrate:
    input: "raw/list.txt"
    output: directory("calibrated")
    shell: "mkdir -p calibrated && cp raw/*.fits calibrated"
"""
SINGLE_FILES = """
use rule search_folder from masks as masks_search_folder with:
    input: expand("calibrated/{name}", name=Path("raw/list.txt").read_text().split())

rule calibrate:
    input: "raw/{name}"
    output: "calibrated/{name}"
    shell: "cp {input} {output}"
"""
NAMES = ["a.fits", "b.fits", "dark_mask.fits", "flat_mask.fits"]


@pytest.fixture(params=[A_FOLDER, SINGLE_FILES], ids=["a_folder", "single_files"])
def start(request, tmp_path):
    """Run a calibration whose frames are masked, with further arguments; it calibrates the frames named."""
    write_night(tmp_path / "raw")
    (tmp_path / "Snakefile").write_text(MODULE + request.param)

    def run(*arguments, names=NAMES):
        text = "\n".join(names)
        listed = tmp_path / "raw/list.txt"
        if not listed.exists() or listed.read_text() != text:
            listed.write_text(text)
        return run_workflow(tmp_path, *arguments, snakefile=tmp_path / "Snakefile")

    return run


def masked(tmp_path):
    with open(tmp_path / "out of it/results/summary.csv", newline="") as table:
        return {row["path"]: row["problem"] for row in csv.DictReader(table)}


def test_what_is_calibrated_is_masked_and_again_only_where_something_changed(start, tmp_path):
    dry = start("-n")
    assert dry.returncode == 0 and "masks_search_folder" in dry.output and "Masking" not in dry.output
    first = start()
    assert first.returncode == 0, first.output
    assert masked(tmp_path) == {"a.fits": "", "b.fits": ""}

    again = start()
    assert again.returncode == 0 and "Nothing to be done" in again.output, again.output
    assert "Masking" not in start("-n").output

    write_light(tmp_path / "raw/c.fits", seed=3)
    added = start(names=[*NAMES, "c.fits"])
    assert added.returncode == 0, added.output
    assert masked(tmp_path) == {"a.fits": "", "b.fits": "", "c.fits": ""}
    assert "Masking c.fits" in added.jobs and "Masking a.fits" not in added.jobs


def test_a_single_masked_frame_can_be_asked_for_before_its_folder_is_there(start, tmp_path):
    run = start("out of it/results/masked/a.fits")
    assert run.returncode == 0, run.output
    assert (tmp_path / "out of it/results/masked/a.fits").exists()


def test_what_is_wrong_with_the_folder_is_reported_once_it_is_known(start, tmp_path):
    write_light(tmp_path / "raw/untyped.fits", IMAGETYP=None)
    (tmp_path / "raw/broken.fits").write_text("no FITS")
    run = start(names=[*NAMES, "untyped.fits", "broken.fits"])
    assert run.returncode != 0
    assert (
        "not masked: 1 file has none of IMAGETYP, OBSTYPE, FRAME, ESO DPR TYPE, OBSMODE in the header: untyped.fits; "
        in run.output
    )
    assert "broken.fits: not a FITS file" in run.output
    assert (tmp_path / "out of it/results/masked/a.fits").exists()


def test_a_folder_that_nobody_makes_is_missing(tmp_path):
    (tmp_path / "Snakefile").write_text(MODULE)
    run = run_workflow(tmp_path, snakefile=tmp_path / "Snakefile")
    assert run.returncode != 0 and "Missing input files for rule masks_search_folder" in run.output
    assert "calibrated" in run.output


def test_a_folder_that_is_there_is_planned_whole(tmp_path):
    write_night(tmp_path / "calibrated")
    (tmp_path / "Snakefile").write_text(MODULE)
    dry = run_workflow(tmp_path, "-n", snakefile=tmp_path / "Snakefile")
    assert {"Masking a.fits", "Masking b.fits"} <= set(dry.jobs)
    assert "search_folder" not in dry.output
