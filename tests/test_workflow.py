"""Whole runs of the workflow, each as a user would start it, on small nights."""

import csv
import hashlib
import json
import os
import re
import shutil
import stat
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from conftest import CHECKOUT, run_workflow, write_calibrations, write_light, write_mask, write_night

from lightmask.night.names import from_cell

MASKED = ["Masking a.fits", "Masking b.fits"]
TABLES = ["Listing the frames of the night", "Summarising the night"]


def digests(folder):
    """SHA-256 of every file below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def of_kinds(run):
    """How many jobs of each kind a run started; masks by no digest."""
    return Counter(re.sub(r"[ _][0-9a-f]{10}$", "", job) for job in run.jobs)


def rows(table):
    with open(table, newline="", encoding="utf-8") as file:
        found = [{key: from_cell(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return {row["path"]: row for row in found}


@pytest.fixture
def night(tmp_path):
    write_night(tmp_path / "night")
    return tmp_path / "night"


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def start(night, work):
    """Run the workflow on the night, with further arguments; without pictures, unless they are asked for."""

    def run(*arguments, pictures=False, **config):
        pairs = [f"frames={night}", f"pictures={pictures}", *(f"{key}={value}" for key, value in config.items())]
        return run_workflow(work, *arguments, "--config", *pairs)

    return run


def test_dry_run_on_a_new_folder_lists_every_job(start, work):
    run = start("-n")
    assert run.returncode == 0, run.output
    assert set(MASKED + TABLES) <= set(run.jobs)
    assert of_kinds(run)["Combining masks"] == 1
    assert not (work / "results/masked").exists()


def test_reruns_make_what_changed_and_nothing_else(start, night, work):
    first = start()
    assert first.returncode == 0, first.output
    assert of_kinds(first) == Counter([*MASKED, *TABLES, "Combining masks"])

    assert start().jobs == []

    write_light(night / "c.fits", seed=3)
    assert of_kinds(start()) == Counter(["Masking c.fits", *TABLES])

    write_mask(night / "dark_mask.fits", "dark mask", [(40, 40)])
    changed = start()
    assert of_kinds(changed) == Counter([*MASKED, "Masking c.fits", "Combining masks", "Summarising the night"])
    assert fits.getdata(work / "results/masked/a.fits", "FLAGS")[40, 40] == 2

    assert of_kinds(start(cosmic_rays="{sigclip: 5}")) == Counter([*MASKED, "Masking c.fits", "Summarising the night"])
    assert start(cosmic_rays="{sigclip: 5}").jobs == []

    (night / "c.fits").unlink()
    deleted = start(cosmic_rays="{sigclip: 5}")
    assert deleted.jobs == TABLES
    assert "results/masked/c.fits: no LIGHT frame stands behind it any more" in deleted.output
    assert "c.fits" not in rows(work / "results/frames.csv")
    assert "c.fits" not in rows(work / "results/summary.csv")


def test_an_edit_of_the_library_remakes_all_masked_frames(night, work, tmp_path):
    checkout = tmp_path / "checkout"
    for part in ("Snakefile", "config.yaml"):
        checkout.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / part, checkout)
    for part in ("rules", "scripts", "envs", "profiles"):
        shutil.copytree(CHECKOUT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    arguments = ["--config", f"frames={night}"]
    assert run_workflow(work, *arguments, snakefile=checkout / "Snakefile").returncode == 0
    assert run_workflow(work, *arguments, snakefile=checkout / "Snakefile").jobs == []
    with open(checkout / "scripts/lightmask/masks/flags.py", "a") as code:
        code.write("# an edit\n")
    assert set(MASKED) <= set(run_workflow(work, *arguments, snakefile=checkout / "Snakefile").jobs)


def test_single_results_can_be_asked_for(start, work):
    run = start("results/masked/a.fits")
    assert run.returncode == 0, run.output
    assert of_kinds(run) == Counter(["Masking a.fits", "Combining masks"])
    assert "Traceback" not in run.output and "LIGHT frames" not in run.output


def test_headers_are_read_once(start, night, work):
    assert start().returncode == 0
    cache = work / "results/headers.json"
    cache.write_text(cache.read_text().replace('"LIGHT"', '"remembered"'))
    assert "2 remembered" in start("-n").output
    os.utime(night / "b.fits")
    assert "2 remembered" not in start("-n").output


def test_masked_frame_reads_as_the_documentation_says(start, night, work):
    assert start().returncode == 0
    frame = CCDData.read(work / "results/masked/a.fits", unit="adu", hdu_flags="FLAGS")
    assert frame.mask.dtype == bool
    assert np.array_equal(frame.mask, frame.flags != 0)
    assert frame.flags[5, 5] == 1 and frame.flags[5, 8] == 3 and frame.flags[20, 20] == 2
    assert frame.flags[10, 10] == 4
    assert np.array_equal(frame.data, fits.getdata(night / "a.fits"))
    (log,) = (work / "results/logs/combine_masks").iterdir()
    assert "union: 6 pixels (0.117%)" in log.read_text()
    assert "1 cosmic pixels this iteration" in (work / "results/logs/mask_light/a.fits.log").read_text()
    assert json.loads((work / "results/statistics/a.fits.json").read_text())["cosmic"] == 1


def test_the_input_folder_is_never_written(start, night):
    for path in [*night.iterdir(), night]:
        path.chmod(path.stat().st_mode & ~stat.S_IWUSR & ~stat.S_IWGRP & ~stat.S_IWOTH)
    before = digests(night)
    assert start().returncode == 0
    night.chmod(0o755)
    assert digests(night) == before


NAMES = [
    "plain_1-2.fits",
    "a b (c).fit",
    "com,ma.fits",
    "quo'te.FTS",
    'dq"uote.fits',
    "br{ac}e.fits",
    "angle<b>.fits",
    "per%cent.fits",
    "dol$lar$(touch x).fits",
    "col:on=eq.fits",
    "ünïcode é.fits",
    "semi;colon&amp|pipe.fits",
    "sub dir,1/x{y}.fits",
    "new\nline.fits",
    "-dash.fits",
]


@pytest.mark.parametrize("grouped", [False, True], ids=["local", "command_line"])
def test_names_of_every_kind(tmp_path, grouped):
    """Groups send a job's wildcards through a command line, as clusters do."""
    night, work = tmp_path / "night {it}'s", tmp_path / "work"
    write_night(night, NAMES)
    groups = ["--groups", "mask_light=g", "--group-components", "g=7"] if grouped else []
    run = run_workflow(work, *groups, "--config", f"frames={night}")
    assert run.returncode == 0, run.output
    summary = rows(work / "results/summary.csv")
    assert len(summary) == len(NAMES)
    for row in summary.values():
        assert (work / "results/masked" / row["masked_frame"]).is_file()
    assert (work / "results/masked/plain_1-2.fits").is_file()
    assert (work / "results/masked/a b (c).fit").is_file()
    assert not list(tmp_path.rglob("x"))  # nothing ran $(touch x)


def test_a_bad_frame_costs_only_itself(start, night, work):
    whole = (night / "a.fits").read_bytes()
    (night / "truncated.fits").write_bytes(whole[:15000])
    (night / "text.fits").write_text("this is no FITS file")
    (night / "dangling.fits").symlink_to("nowhere.fits")
    write_light(night / "cube.fits", shape=(3, 64, 80))
    write_light(night / "small.fits", shape=(32, 32))
    write_light(night / "flux.fits", BUNIT="Jy")
    run = start()
    assert run.returncode != 0
    summary = rows(work / "results/summary.csv")
    expected = {
        "truncated.fits": "truncated: it ends before its pixels do",
        "text.fits": "not a FITS file: begins with",
        "dangling.fits": "a link that leads nowhere",
        "cube.fits": "image of shape 80x64x3, expected two axes",
        "small.fits": "no flat mask applies (flat_mask.fits has shape 80x64, the frame 32x32)",
        "flux.fits": "BUNIT is 'Jy', expected adu or electron",
    }
    for name, cause in expected.items():
        assert cause in summary[name]["problem"]
        assert [line for line in run.output.splitlines() if line.startswith(f"{name}: ") and cause in line]
        assert not (work / "results/masked" / name).exists()
    for name in ("a.fits", "b.fits"):
        assert summary[name]["problem"] == "" and (work / "results/masked" / name).is_file()
    assert "6 of 8 LIGHT frames have no result" in run.output
    assert "Traceback" not in run.output

    for name in expected:  # the rest heals
        (night / name).unlink()
    healed = start()
    assert healed.returncode == 0, healed.output
    assert not set(MASKED) & set(healed.jobs)
    assert list(rows(work / "results/summary.csv")) == ["a.fits", "b.fits"]


def test_a_broken_mask_is_told_once_and_no_old_result_passes_for_a_new_one(start, night, work):
    assert start().returncode == 0
    whole = (night / "dark_mask.fits").read_bytes()
    (night / "dark_mask.fits").write_bytes(whole[:-2880])
    run = start()
    assert run.returncode != 0
    cause = "dark_mask.fits: cannot be read (truncated"
    assert len([line for line in run.output.splitlines() if line.startswith(cause)]) == 1
    assert "2 of 2 LIGHT frames have no result" in run.output
    assert all(cause in row["problem"] for row in rows(work / "results/summary.csv").values())
    (night / "dark_mask.fits").write_bytes(whole)
    assert start().returncode == 0
    assert {row["problem"] for row in rows(work / "results/summary.csv").values()} == {""}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("frames=nowhere", "frames: found nothing at"),
        ("frames=empty", "frames: no LIGHT frame in empty; found no FITS file"),
        ("frames=bias", "frames: no LIGHT frame in bias; found 1 BIAS; expected IMAGETYP or "),
        ("frame=night", "configuration: frame: unknown key; did you mean frames?"),
        ("cosmic_rays={sigclip: high}", "configuration: cosmic_rays.sigclip: found 'high'; expected a number"),
    ],
)
def test_what_is_wrong_is_told_before_any_job(work, config, message):
    (work / "empty").mkdir(parents=True)
    write_light(work / "bias/bias.fits", IMAGETYP="BIAS")
    run = run_workflow(work, "--config", config)
    assert run.returncode != 0
    assert message in run.output
    assert "Traceback" not in run.output and 'File "' not in run.output
    assert not run.jobs


def test_no_name_of_a_folder_or_a_leftover_moves_the_cursor(tmp_path):
    odd = "line\nend\x1b[31m\x9b\u202e"
    write_night(tmp_path / odd)
    leftover = tmp_path / "work/results/masked" / f"{odd}.fits"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    shown = r"line\nend\x1b[31m\xc2\x9b\xe2\x80\xae"
    for frames, told in ((odd, f"results/masked/{shown}.fits: no LIGHT"), (f"{odd}/x", f"{tmp_path}/{shown}/x; exp")):
        run = run_workflow(tmp_path / "work", "-n", "--config", f"frames={tmp_path / frames}")
        assert told in run.output
        assert re.sub("[\n\t]", "", run.output).isprintable()


def test_results_are_never_taken_in_again(tmp_path):
    write_night(tmp_path)
    arguments = ["--config", "frames=."]
    assert run_workflow(tmp_path, *arguments).returncode == 0
    assert run_workflow(tmp_path, *arguments).jobs == []
    shutil.copy(tmp_path / "results/masked/a.fits", tmp_path / "copy of a result.fits")
    run = run_workflow(tmp_path, *arguments)
    assert run.jobs == ["Listing the frames of the night"]
    table = rows(tmp_path / "results/frames.csv")
    assert table["copy of a result.fits"]["type"] == "made by lightmask"
    assert len(table) == 5


def test_a_link_to_a_folder_works(night, work, tmp_path):
    (tmp_path / "link").symlink_to(night)
    assert run_workflow(work, "--config", f"frames={tmp_path / 'link'}").returncode == 0
    assert (work / "results/masked/a.fits").is_file()


def test_masks_of_each_filter_are_combined_once(night, work, start):
    write_light(night / "g1.fits", FILTER="g", seed=5)
    write_light(night / "g2.fits", FILTER="g", seed=6)
    write_mask(night / "flat_mask.fits", "flat mask", [(1, 1)], FILTER="r")
    write_mask(night / "flat_mask_g.fits", "flat mask", [(2, 2)], FILTER="g")
    run = start()
    assert run.returncode == 0, run.output
    assert of_kinds(run)["Combining masks"] == 2
    combined = {path: row["combined_mask"] for path, row in rows(work / "results/frames.csv").items()}
    assert combined["a.fits"] == combined["b.fits"] != combined["g1.fits"] == combined["g2.fits"]
    flags = fits.getdata(work / "results/masked/g1.fits", "FLAGS")
    assert flags[2, 2] == 1 and flags[1, 1] == 0


@pytest.fixture
def unmasked(night):
    """Return a night without masks for most frames, but with what to make them from."""
    for mask in night.glob("*_mask.fits"):
        mask.unlink()
    write_light(night / "g.fits", seed=7, FILTER="g")
    write_calibrations(night)
    write_mask(night / "flat_mask_g.fits", "flat mask", [(9, 9)], FILTER="g")
    return night


def test_masks_are_made_where_there_are_none_and_remade_when_their_sources_change(unmasked, start, work):
    first = start()
    assert first.returncode == 0, first.output
    making = ["Making flat_mask_r", "Making dark_mask"]
    combining = {"Combining masks": 2}
    checking = ["Checking flats and darks, and remarks"]
    making += checking
    everything = Counter([*MASKED, "Masking g.fits"])
    assert of_kinds(first) == everything + Counter(making) + Counter(TABLES) + Counter(combining)
    assert start().jobs == []
    flags = fits.getdata(work / "results/masked/a.fits", "FLAGS")
    assert (flags[5, 5], flags[20, 20], flags[9, 9]) == (1, 2, 0)
    flags = fits.getdata(work / "results/masked/g.fits", "FLAGS")
    assert (flags[5, 5], flags[20, 20], flags[9, 9]) == (0, 2, 1)

    brighter = fits.getdata(unmasked / "flat0.fits") * np.float32(1.5)
    brighter[30, 30] = 100
    write_light(unmasked / "flat2.fits", data=brighter, IMAGETYP="FLAT")
    added = start()
    of_filter = Counter([*MASKED, "Making flat_mask_r", "Combining masks", *checking])
    assert of_kinds(added) == of_filter + Counter(TABLES)
    assert fits.getdata(work / "results/masked/a.fits", "FLAGS")[30, 30] & 1

    assert of_kinds(start(make_flat_mask="{lsigma: 12}")) == of_filter + Counter(["Summarising the night"])
    assert start(make_flat_mask="{lsigma: 12}").jobs == []
    hot = start(make_flat_mask="{lsigma: 12}", make_dark_mask="{threshold: 50}")
    assert of_kinds(hot) == everything + Counter(["Making dark_mask", "Summarising the night", *checking]) + Counter(
        combining
    )
    assert fits.getdata(work / "results/masked/a.fits", "FLAGS")[20, 20] & 2 == 0

    write_mask(unmasked / "dark_mask.fits", "dark mask", [(40, 40)])
    given = start(make_flat_mask="{lsigma: 12}")
    assert of_kinds(given) == everything + Counter(TABLES) + Counter(combining) + Counter(checking)
    assert fits.getdata(work / "results/masked/a.fits", "FLAGS")[40, 40] == 2


def test_made_masks_serve_another_night(unmasked, start, work, tmp_path):
    run = start(frame_type="{keywords: [ESO DPR TYPE, IMAGETYP]}")
    assert run.returncode == 0, run.output
    other = tmp_path / "other night"
    write_light(other / "c.fits", seed=9)
    for mask in (work / "results/static_masks").iterdir():
        shutil.copy(mask, other)
    again = run_workflow(tmp_path / "again", "--config", f"frames={other}")
    assert again.returncode == 0, again.output
    assert not [job for job in again.jobs if job.startswith("Making")]
    flags = fits.getdata(tmp_path / "again/results/masked/c.fits", "FLAGS")
    assert (flags[5, 5], flags[20, 20]) == (1, 2)
    table = rows(tmp_path / "again/results/frames.csv").values()
    assert sorted(row["type"] for row in table) == ["dark mask", "flat mask", "light"]


def test_static_masks_can_be_forced(unmasked, start, work):
    assert start(static_masks="{flat: make}", required_masks="[dark]").returncode == 0
    assert fits.getdata(work / "results/masked/g.fits", "FLAGS")[9, 9] == 0
    run = start(static_masks="{flat: folder}")
    assert run.returncode != 0
    assert "a.fits: no flat mask applies (flat_mask_g.fits has FILTER 'g', the frame 'r')" in run.output


def test_a_dark_without_exposure_is_told_once(unmasked, start, work):
    fits.setval(unmasked / "dark.fits", "EXPTIME", value=0.0)
    run = start()
    assert run.returncode != 0
    assert "dark.fits EXPTIME is 0.0, expected an exposure above 0 s" in run.output
    run = start(required_masks="[flat]")
    assert run.returncode == 0, run.output
    assert "dark.fits: EXPTIME is 0.0, expected an exposure above 0 s" in run.output
    assert "EXPTIME is 0.0" in rows(work / "results/frames.csv")["dark.fits"]["problem"]


def test_pictures_and_regions_are_made_when_asked_for(start, night, work):
    assert start().returncode == 0
    masked = digests(work / "results/masked")
    assert not (work / "results/pictures").exists() and not (work / "results/regions").exists()
    drawn = start(pictures=True, regions=True)
    assert drawn.returncode == 0, drawn.output
    assert of_kinds(drawn) == Counter([*MASKED, "Combining masks", "Summarising the night"])
    assert digests(work / "results/masked") == masked
    pictures = work / "results/pictures"
    assert sorted(path.name for path in (pictures / "frames").iterdir()) == ["a.fits.png", "b.fits.png"]
    assert (pictures / "night.png").exists() and (pictures / "summary.html").exists()
    assert "box(11,11,1,1,0)" in (work / "results/regions/a.fits.reg").read_text()
    assert rows(work / "results/summary.csv")["a.fits"]["events"] == "1"
    assert start(pictures=True, regions=True).jobs == []
    write_light(night / "c.fits", seed=3)
    added = start(pictures=True, regions=True)
    assert of_kinds(added) == Counter(["Masking c.fits", *TABLES])


def test_flags_grow_by_reason(night, start, work):
    assert start().returncode == 0
    run = start(grow="{dark: 1, cosmic: 2}")
    assert of_kinds(run) == Counter([*MASKED, "Combining masks", "Summarising the night"])
    flags, header = fits.getdata(work / "results/masked/a.fits", "FLAGS", header=True)
    assert (flags & 1 > 0).sum() == 4 and (flags & 2 > 0).sum() == 15 and (flags & 4 > 0).sum() == 13
    assert flags[21, 20] == flags[20, 21] == 2 and flags[21, 21] == 0
    assert flags[12, 10] == 4 and flags[12, 11] == 0
    header = fits.getheader(work / "results/masked/a.fits")
    assert (header["LIGHTMASK GROW DARK"], header["LIGHTMASK GROW COSMIC"]) == (1, 2)
    assert "LIGHTMASK GROW FLAT" not in header


def test_another_workflow_can_import_this_one(tmp_path, night):
    (tmp_path / "Snakefile").write_text(
        f"""
module lightmask:
    snakefile: {str(CHECKOUT / "Snakefile")!r}
    config: {{"frames": "night", "cosmic_rays": {{"sigclip": 6}}}}
    prefix: "masks"

use rule * from lightmask as lightmask_*

rule count:
    default_target: True
    input: "masks/results/summary.csv", "masks/results/masked/a.fits"
    output: "count.txt"
    shell: "wc -l < {{input[0]}} > {{output}}"
"""
    )
    run = run_workflow(tmp_path, snakefile=tmp_path / "Snakefile")
    assert run.returncode == 0, run.output
    assert (tmp_path / "count.txt").read_text().strip() == "3"
    assert fits.getheader(tmp_path / "masks/results/masked/a.fits")["LIGHTMASK SIGCLIP"] == 6
    assert not (tmp_path / "results").exists()


def test_a_configuration_in_the_working_directory_is_used(work, night):
    work.mkdir()
    Path(work / "config.yaml").write_text(f"frames: {night}\nrequired_masks: []\nmasked: [cosmic]\n")
    assert run_workflow(work).returncode == 0
    assert fits.getdata(work / "results/masked/a.fits", "MASK").sum() == 1
