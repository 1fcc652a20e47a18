"""What a run says of masks that look wrong: the list at its end, the tables, the exit status."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from conftest import CHECKOUT, run_workflow, write_calibrations, write_light
from nights import narrow_stars, sky_subtracted, sound

from lightmask.night import QUALITY_COLUMNS

ENVIRONMENT = os.environ | {"PYTHONPATH": str(CHECKOUT / "scripts")}
OPTIONS = ["required_masks=[]", "cosmic_rays={gain: GAIN, readnoise: RDNOISE}", "pictures=false"]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Write two sound frames, two with narrow stars, and one without its sky."""
    folder = tmp_path_factory.mktemp("night")
    rng = np.random.default_rng(5)
    scenes = {f"sound {n}.fits": sound(rng, 3) for n in (1, 2)} | {
        f"narrow {n}.fits": narrow_stars(rng) for n in (1, 2)
    }
    scenes["subtracted.fits"] = sky_subtracted(rng)
    for name, scene in scenes.items():
        numbers = {"GAIN": scene.cosmic_rays["gain"], "RDNOISE": scene.cosmic_rays["readnoise"]}
        fits.writeto(folder / name, scene.image, fits.Header({"IMAGETYP": "LIGHT", **scene.cards, **numbers}))
    return folder


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_a_run_ends_with_what_looks_wrong_by_cause(night, tmp_path):
    run = run_workflow(tmp_path, "--config", f"frames={night}", *OPTIONS)
    assert run.returncode == 0, run.output
    listed = run.output[run.output.index("3 of 5 frames look wrong:") :].splitlines()[:3]
    assert listed[1].startswith("  1  its sky was subtracted: set sky: auto, or cosmic_rays: readnoise to what it is")
    assert listed[1].endswith("(subtracted.fits)")
    assert listed[2].startswith("  2  cores of stars are flagged: set cosmic_rays: objlim to 40")
    assert listed[2].endswith("(narrow 1.fits, narrow 2.fits)")
    summary = rows(run.results / "summary.csv")
    assert {path: row["causes"] for path, row in summary.items()} == {
        "sound 1.fits": "",
        "sound 2.fits": "",
        "narrow 1.fits": "stars",
        "narrow 2.fits": "stars",
        "subtracted.fits": "sky",
    }
    assert "subtracted.fits: its sky seems subtracted: the median is" in summary["subtracted.fits"]["remark"]
    table = Table.read(run.results / "quality.ecsv")
    assert set(QUALITY_COLUMNS) <= set(table.colnames)
    assert table.meta["limits"]["noise"] == [0.6, 1.7]
    quality = rows(run.results / "quality.csv")
    for path, row in summary.items():
        found = json.loads((run.results / f"statistics/{row['masked_frame']}.json").read_text())
        assert float(quality[path]["noise_ratio"]) == float(row["noise_ratio"]) == found["noise_ratio"]
    again = run_workflow(tmp_path, "--config", f"frames={night}", *OPTIONS)
    assert again.jobs == []


def test_strict_makes_remarks_a_failure_again_and_again(night, tmp_path):
    for _ in range(2):
        run = run_workflow(tmp_path, "--config", f"frames={night}", *OPTIONS, "remarks=fail")
        assert run.returncode == 1
        assert (
            "remarks: fail: 3 of 5 LIGHT frames have remarks: narrow 1.fits, narrow 2.fits, subtracted.fits"
            in run.output
        )
        assert len(list((run.results / "masked").iterdir())) == 5
    run = run_workflow(tmp_path, "--config", f"frames={night}", *OPTIONS, "quality=false")
    assert run.returncode == 0, run.output
    assert not (run.results / "quality.csv").exists()


def test_strict_holds_in_batches(night, tmp_path):
    options = [*OPTIONS, "remarks=fail", "frames_per_job=3"]
    run = run_workflow(tmp_path, "--config", f"frames={night}", *options)
    assert run.returncode == 1
    assert "remarks: fail: 3 of 5 LIGHT frames have remarks" in run.output


@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_the_command_knows_strict(night, tmp_path, strict):
    for name in ("sound 1.fits", "narrow 1.fits"):
        shutil.copy(night / name, tmp_path / name)
    command = [sys.executable, "-m", "lightmask.cli", "run", tmp_path, "-o", tmp_path / "work", "--cores", "2", *strict]
    command += ["--config", *OPTIONS]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert run.returncode == len(strict), run.stderr
    assert "1 of 2 frames looks wrong:" in run.stderr


def test_limits_are_configuration(night, tmp_path):
    limits = "limits={star_cores: 1, noise: [0.5, 50], sampling: 1.1}"
    run = run_workflow(tmp_path, "--config", f"frames={night}", *OPTIONS, limits, "noise_check=remark")
    assert run.returncode == 0, run.output
    assert {row["causes"] for row in rows(run.results / "summary.csv").values()} <= {"", "sources", "many"}


def test_a_made_mask_is_compared_with_that_of_the_folder(tmp_path):
    folder = tmp_path / "night"
    write_light(folder / "a.fits", FILTER="r")
    write_calibrations(folder)
    made = run_workflow(tmp_path, "--config", f"frames={folder}", "pictures=false")
    assert made.returncode == 0, made.output
    (mask,) = made.results.glob("static_masks/flat_mask*.fits")
    with fits.open(mask) as hdus:
        bad = int(hdus[0].data.sum())
        hdus[0].data[30:32, 40:45] = 1
        hdus[0].data[hdus[0].data.nonzero()[0][0], hdus[0].data.nonzero()[1][0]] = 0
        before = int(hdus[0].data.sum())
        hdus.writeto(folder / "flat_mask_old.fits", checksum=True)
    options = ["pictures=false", "static_masks={flat: make}"]
    run = run_workflow(tmp_path / "again", "--config", f"frames={folder}", *options)
    assert run.returncode == 0, run.output
    gone, new = before - bad + 1, 1
    share = f"{(gone + new) / before:.0%}"
    expected = (
        f"mask changed by {share} since flat_mask_old.fits: of {before} bad pixels {gone} are gone, and {new} are new"
    )
    assert rows(run.results / "summary.csv")["a.fits"]["remark"] == f"flat {expected}"
    assert f"WARNING: {expected}" in run.output
