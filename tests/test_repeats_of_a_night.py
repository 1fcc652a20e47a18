"""`repeats: auto` in the workflow: neighbours are inputs, changes are followed, and what is alone is reported."""

import json

import numpy as np
import pytest
from astropy.io import fits
from conftest import run_workflow
from dithered import night as simulated


@pytest.fixture(scope="module")
def frames():
    return simulated([31, 1], side=200, number=10, stars=3e-3, dither=10)


def write(folder, night, numbers=range(10), **cards):
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        camera = {"EGAIN": night.gain, "RDNOISE": night.readnoise, "SATURATE": night.satlevel / night.gain}
        header = {"IMAGETYP": "LIGHT", "FILTER": "r", "EXPTIME": 60.0, "OBJECT": "M 1", **camera, **cards}
        header["DATE-OBS"] = f"2026-01-01T00:{number:02}:00"
        fits.writeto(folder / f"{number}.fits", night.frames[number].image, fits.Header(header), overwrite=True)


def arguments(folder, **settings):
    given = {"frames": folder, "pictures": False, "required_masks": "[]", "repeats": "auto"} | settings
    return ["--config", "cosmic_rays={preset: best}", *(f"{key}={value}" for key, value in given.items())]


def masking(run):
    return [job.removeprefix("Masking ") for job in run.jobs if job.startswith("Masking ")]


def test_neighbours_are_inputs_and_what_changes_is_masked_again(frames, tmp_path):
    folder, work = tmp_path / "night's frames", tmp_path / "work"
    write(folder, frames)
    run = run_workflow(work, *arguments(folder))
    assert run.returncode == 0, run.output
    found = {n: json.loads((run.results / f"statistics/{n}.fits.json").read_text()) for n in range(10)}
    assert all(each["repeats"] >= 5 for each in found.values())
    assert sorted(found[0]["sources"]) == ["frame", *(f"repeat{number}" for number in range(1, 6))]
    assert run_workflow(work, *arguments(folder)).jobs == []

    write(folder, frames, [9], NOTE="changed")
    again = run_workflow(work, *arguments(folder))
    assert masking(again) == [f"{number}.fits" for number in range(10) if near(number, 9)]

    (folder / "9.fits").write_text("broken")  # its own job fails; others go on without it, and are not made for ever
    broken = run_workflow(work, *arguments(folder))
    assert broken.returncode != 0 and "9.fits: not a FITS file" in broken.output
    assert (run.results / "masked/8.fits").exists()
    assert [name for name in masking(run_workflow(work, *arguments(folder))) if name != "9.fits"] == []


def near(number, other):
    """Tell whether the five nearest in time of ten frames hold another one."""
    order = sorted((each for each in range(10) if each != number), key=lambda each: (abs(each - number), each))
    return number == other or other in order[:5]


def test_what_is_alone_is_reported_and_masked_by_itself(frames, tmp_path):
    write(tmp_path / "night", frames, range(3))
    write(tmp_path / "night", frames, [3, 4], FILTER="g")
    run = run_workflow(tmp_path / "work", *arguments(tmp_path / "night"))
    assert run.returncode == 0, run.output
    line = "repeats: 2 of 5 LIGHT frames have fewer than 2 others of their field, filter and exposure time"
    assert run.output.count(line) == 1
    counts = [json.loads((run.results / f"statistics/{n}.fits.json").read_text()).get("repeats", 0) for n in range(5)]
    assert counts == [2, 2, 2, 0, 0]
    off = run_workflow(tmp_path / "off", *arguments(tmp_path / "night", repeats="off"))
    assert "repeats" not in off.output
    with fits.open(run.results / "masked/3.fits") as one, fits.open(off.results / "masked/3.fits") as other:
        np.testing.assert_array_equal(one["FLAGS"].data, other["FLAGS"].data)


def test_frames_travel_in_batches_with_their_neighbours(frames, tmp_path):
    write(tmp_path / "night", frames, range(5))
    run = run_workflow(tmp_path / "work", *arguments(tmp_path / "night", frames_per_job=2))
    assert run.returncode == 0, run.output
    counts = [json.loads((run.results / f"statistics/{n}.fits.json").read_text())["repeats"] for n in range(5)]
    assert counts == [4] * 5
