"""The command `lightmask`, as a user starts it."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from conftest import CHECKOUT, write_calibrations, write_light, write_mask, write_night

from lightmask import __version__, cli
from lightmask.workflow import locks

ODD = "it's {1} a: b=c <d> #e"


def lightmask(*arguments, cwd, **environment):
    """Run the command in a working directory."""
    return subprocess.run(
        [sys.executable, "-m", "lightmask.cli", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "scripts")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize("name", ["night", ODD, "1e5", "True"])
def test_a_folder_of_any_name_is_masked(name, tmp_path):
    write_night(tmp_path / name)
    (tmp_path / "work").mkdir()
    (tmp_path / "work/config.yaml").write_text("pictures: false\n")
    run = lightmask("run", name, "-o", "work", "--cores", 2, "--config", "regions=true", cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    assert sorted(path.name for path in (tmp_path / "work/results/masked").iterdir()) == ["a.fits", "b.fits"]
    assert (tmp_path / "work/results/regions/a.fits.reg").exists()
    assert not (tmp_path / "work/results/pictures").exists()


def test_a_preset_is_an_option_and_the_end_of_a_run_names_it_and_says_how_right_masks_are(tmp_path):
    write_night(tmp_path / "night")
    options = ["night", "--cores", 2, "--config", "pictures=false"]
    run = lightmask("run", *options, "assess=frames", "--preset", "best", cwd=tmp_path)
    assert run.returncode == 0 and re.search("^preset +best$", run.stdout, re.MULTILINE), run.stdout
    assert (tmp_path / "results/accuracy.txt").read_text().rstrip() in run.stdout
    assert fits.getheader(tmp_path / "results/masked/a.fits")["LIGHTMASK DETECTOR"] == "trace"
    again = lightmask("run", *options, "cosmic_rays={sigclip: 9}", cwd=tmp_path)
    assert again.returncode == 0 and re.search("^preset +chapter, with other sigclip$", again.stdout, re.MULTILINE)
    assert fits.getheader(tmp_path / "results/masked/a.fits")["LIGHTMASK DETECTOR"] == "lightmask"
    both = lightmask("run", *options, "cosmic_rays={sigclip: 9}", "--preset", "best", cwd=tmp_path)
    assert both.returncode == 1
    assert both.stdout == (
        "--preset: found best beside --config cosmic_rays=..., expected one of them; write "
        "--config 'cosmic_rays={preset: best, ...}'\n"
    )
    fits.setval(tmp_path / "night/b.fits", "EGAIN", value=1.5)
    rows = lightmask("scan", "night", "--preset", "best", cwd=tmp_path).stdout.splitlines()
    columns = {row.split()[0]: re.split("  +", row) for row in rows}
    assert columns["a.fits"][3:5] == ["measured", "10"] and columns["b.fits"][3:5] == ["1.5", "measured"]


def test_a_folder_is_assessed_and_the_best_setting_is_named(tmp_path):
    write_night(tmp_path / "night")
    run = lightmask("assess", "night", "-o", "work", "--config", "cosmic_rays={sigclip: 6}", cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    made = tmp_path / "work/results"
    text = (made / "accuracy.txt").read_text()
    assert (
        text.rstrip() in run.stdout and "your setting" in text and ("Best of these: " in text or "Your setting" in text)
    )
    assert (made / "pictures/accuracy.png").exists() and (made / "accuracy.json").exists()
    assert not (made / "masked").exists()


def test_other_options_are_those_of_snakemake_and_so_is_the_status(tmp_path):
    write_night(tmp_path / "night")
    dry = lightmask("run", "night", "-n", cwd=tmp_path)
    assert dry.returncode == 0 and "Masking a.fits" in dry.stdout and "dry-run" in dry.stdout
    assert not (tmp_path / "results").exists()
    (tmp_path / "night/broken.fits").write_text("this is no FITS file")
    run = lightmask("run", "night", "--cores", "2", "--config", "pictures=false", "frames_per_job=0", cwd=tmp_path)
    assert run.returncode == 1 and "broken.fits: not a FITS file" in run.stdout


def test_a_report_shows_the_folder_that_was_masked_last(tmp_path):
    write_night(tmp_path / ODD)
    nothing = lightmask("report", cwd=tmp_path)
    assert nothing.returncode == 1
    assert nothing.stdout == ".: found no results of a run, expected some; mask a folder first\n"
    assert lightmask("run", ODD, "--cores", "2", cwd=tmp_path).returncode == 0
    made = lightmask("report", cwd=tmp_path)
    assert made.returncode == 0 and (tmp_path / "results/report.html").exists(), made.stdout


def test_the_version_names_the_commit_of_a_clone(tmp_path):
    shown = lightmask("--version", cwd=tmp_path)
    asked = ["git", "-C", CHECKOUT, "rev-parse", "--short=10", "HEAD"]
    head = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    expected = rf" \({head}\+?\)" if head else ""  # a copy without its history is no clone
    assert shown.returncode == 0 and re.fullmatch(rf"lightmask {re.escape(__version__)}{expected}\n", shown.stdout)


def test_a_profile_of_the_package_is_found_by_its_name(tmp_path):
    assert cli._profile("slurm") == str(CHECKOUT / "profiles/slurm")
    assert cli._profile("--profile=slurm") == f"--profile={CHECKOUT / 'profiles/slurm'}"
    for other in ("-n", "results", "--profile=mine", "../slurm", "slurm/config.yaml"):
        assert cli._profile(other) == other


def scanned(*arguments, cwd):
    """Run a scan, and return its status and its rows by file."""
    done = lightmask("scan", *arguments, cwd=cwd)
    header, *lines = done.stdout.splitlines()
    starts = [header.index(name) for name in ("file", "type", "masks", "gain", "read noise", "problem")]
    ends = [*starts[1:], None]
    rows = [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in lines]
    return done.returncode, {row[0]: row[1:] for row in rows}


def test_a_scan_says_what_each_file_is_and_what_will_be_used(tmp_path):
    write_night(tmp_path / "night", ["a.fits"])
    write_light(tmp_path / "night/gained.fits", GAIN=1.7, RDNOISE=4)
    status, rows = scanned("night", cwd=tmp_path)
    assert status == 0
    assert rows["a.fits"] == ["light", "flat_mask.fits, dark_mask.fits", "1", "10", ""]
    assert rows["flat_mask.fits"] == ["flat mask", "", "", "", ""]
    setting = "cosmic_rays={gain: GAIN, readnoise: RDNOISE}"
    status, rows = scanned("night", "--config", setting, cwd=tmp_path)
    assert status == 1
    assert rows["gained.fits"][2:] == ["1.7", "4", ""]
    assert rows["a.fits"][2:4] == ["", ""]
    assert rows["a.fits"][4].startswith("no GAIN in the header, expected a number of e-/adu above 0; add it, or set ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["night"]


def test_a_scan_reports_problems_and_takes_the_configuration_of_the_working_directory(tmp_path):
    write_light(tmp_path / "night/a.fits")
    write_calibrations(tmp_path / "night")
    write_light(tmp_path / "night/untyped.fits", IMAGETYP=None)
    write_light(tmp_path / "night/jansky.fits", BUNIT="Jy")
    (tmp_path / "night/broken\nline.fits").write_text("no FITS")
    status, rows = scanned("night", cwd=tmp_path)
    assert status == 1
    assert rows["a.fits"] == ["light", "flat mask of 2, dark mask of 1", "1", "10", ""]
    assert (
        rows["untyped.fits"][4]
        == "no IMAGETYP or OBSTYPE or FRAME or ESO DPR TYPE or OBSMODE in the header; it is not masked"
    )
    assert rows["jansky.fits"][4].startswith("BUNIT is 'Jy', expected adu or electron")
    assert rows["broken\\nline.fits"][4].startswith("not a FITS file")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/config.yaml").write_text("required_masks: []\nstatic_masks: {flat: folder, dark: folder}\n")
    status, rows = scanned("night", "-o", "work", cwd=tmp_path)
    assert rows["a.fits"] == ["light", "none", "1", "10", ""]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["scan", "nowhere"], "frames: found nothing at "),
        (["scan", "night", "--config", "unit=x"], "configuration: unit: found 'x'; expected one of "),
        (["scan", "night", "--config", "unit"], "--config: found 'unit'; expected key=value"),
        (["run", "night", "--config", "unit=x"], "configuration: unit: found 'x'; expected one of "),
    ],
)
def test_what_cannot_be_is_reported_in_one_line(arguments, line, tmp_path):
    write_night(tmp_path / "night")
    done = lightmask(*arguments, cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert [found for found in done.stdout.splitlines() if found.startswith(line)]


def test_a_broken_file_of_configuration_is_reported(tmp_path):
    write_night(tmp_path / "night")
    (tmp_path / "config.yaml").write_text("unit: [\n")
    done = lightmask("scan", "night", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.startswith("config.yaml: line 2: found no valid YAML")


def test_an_interpreter_with_an_odd_path_is_started_by_a_link(tmp_path):
    write_night(tmp_path / "night")
    (tmp_path / "it's an env").symlink_to(sys.prefix)
    python = tmp_path / "it's an env/bin/python"
    cache = tmp_path / "cache"
    command = [python, "-m", "lightmask.cli", "run", "night", "--cores", "2", "--config", "pictures=false"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT / "scripts"), "XDG_CACHE_HOME": str(cache)}
    for _ in range(2):
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
    assert fits.getdata(tmp_path / "results/masked/a.fits", "FLAGS")[10, 10] == 4
    assert len(list((cache / "lightmask").iterdir())) == 1
    environment["XDG_CACHE_HOME"] = str(tmp_path / "an odd one")
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "expected none; set XDG_CACHE_HOME" in run.stderr


def test_a_mask_that_does_not_fit_is_named(tmp_path):
    write_light(tmp_path / "night/a.fits")
    write_mask(tmp_path / "night/flat_mask.fits", "flat mask", shape=(32, 32))
    write_mask(tmp_path / "night/dark_mask.fits", "dark mask")
    status, rows = scanned("night", cwd=tmp_path)
    assert status == 1 and "flat_mask.fits has shape 32x32, the frame 80x64" in rows["a.fits"][4]


def test_settings_are_tried_on_a_frame_and_results_stay(tmp_path):
    folder, work = tmp_path / "night", tmp_path / "work"
    write_night(folder, [f"sub/{ODD}.fits", "b.fits"])
    alone = lightmask("try", folder / "b.fits", "-o", work, "--sigclip", "4.5, 8,50", cwd=tmp_path)
    assert alone.returncode == 0, alone.stdout
    assert re.findall(r"^sigclip \S+ +(\d+)", alone.stdout, re.MULTILINE) == ["1", "1", "1"]
    assert "cosmic_rays: {preset: chapter, sigclip: 4.5}  # sigclip 4.5" in alone.stdout
    assert "no flat mask or dark mask applies" in alone.stdout
    assert {path.name for path in (work / "try").iterdir()} == {"b.fits.png", "b.fits.html"}
    assert not (work / "results").exists()

    assert lightmask("run", folder, "-o", work, cwd=tmp_path).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in (work / "results").rglob("*")}
    tried = lightmask("try", folder / f"sub/{ODD}.fits", "-o", work, cwd=tmp_path)
    assert tried.returncode == 0, tried.stdout
    assert re.search(r"^chapter +1 +1 ", tried.stdout, re.MULTILINE) and "not made yet" not in tried.stdout
    assert "  cosmic_rays: {preset: best}  # best\n" in tried.stdout
    assert {path: path.stat().st_mtime_ns for path in (work / "results").rglob("*")} == before
    assert len(list((work / "try/sub").iterdir())) == 2
    (work / "results/masked/.half.part").touch()  # of a job at work
    assert "every result has its frame" in lightmask("clean", work, cwd=tmp_path).stdout
    auto = lightmask("try", folder / "b.fits", "-o", work, "--config", "repeats=auto", cwd=tmp_path)
    assert "repeats: auto is left out here" in auto.stdout
    of_detectors = lightmask("try", folder / "b.fits", "-o", work, "--detector", "lightmask,trace", cwd=tmp_path)
    assert "detector trace" in of_detectors.stdout and of_detectors.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing.fits"], "nothing.fits"),
        (["b.fits", "--preset", "chapter,worst"], "--preset: found worst; expected some of chapter, best"),
        (["b.fits", "--sigclip", "many"], "cosmic_rays.sigclip: found 'many'; expected a number"),
        (["b.fits", "--sigclip", ","], "--sigclip: found nothing"),
        (["b.fits", "--detector", "eye"], "cosmic_rays.detector: found 'eye'; expected one of"),
        (["b.fits[SCI,2]"], "b.fits: found no image SCI,2, expected one of b.fits"),
        (["b.fits", "--config", "cosmic_rays={preset: best}", "--sigclip", "5"], "the detector trace does not use it"),
    ],
)
def test_what_cannot_be_tried_is_reported_in_one_line(arguments, line, tmp_path):
    write_night(tmp_path)
    done = lightmask("try", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and line in done.stdout and "Traceback" not in done.stdout


def test_an_image_of_several_is_tried_by_its_label(tmp_path):
    images = [fits.ImageHDU(np.full((40, 50), 100, np.float32), name="SCI", ver=number) for number in (1, 2)]
    images[1].data[20, 20] += 3000
    primary = fits.PrimaryHDU(header=fits.Header({"IMAGETYP": "LIGHT"}))
    fits.HDUList([primary, *images]).writeto(tmp_path / "m.fits")
    first = lightmask("try", "m.fits", "--sigclip", "8", cwd=tmp_path)
    assert re.search(r"^sigclip 8 +0 ", first.stdout, re.MULTILINE) and "its other images: SCI,2" in first.stdout
    second = lightmask("try", "m.fits[SCI,2]", "--sigclip", "8", cwd=tmp_path)
    assert re.search(r"^sigclip 8 +1 ", second.stdout, re.MULTILINE) and "other images" not in second.stdout
    assert len(list((tmp_path / "try").iterdir())) == 4


def test_results_of_frames_that_are_gone_are_listed_and_removed(tmp_path):
    folder, work = tmp_path / "night", tmp_path / "work"
    write_night(folder, ["a.fits", f"sub/{ODD}.fits", "sub/c.fits", "flat 1.fits"])
    assert lightmask("run", folder, "-o", work, "--config", "regions=True", cwd=tmp_path).returncode == 0
    nothing = lightmask("clean", work, cwd=tmp_path)
    assert (
        nothing.returncode == 0 and nothing.stdout.count("\n") == 1 and "every result has its frame" in nothing.stdout
    )
    before = {path for path in work.rglob("*") if path.is_file()}

    (folder / f"sub/{ODD}.fits").unlink()
    (folder / "sub/c.fits").unlink()
    write_light(folder / "a.fits", IMAGETYP="BIAS")  # no LIGHT frame any more, but there
    listed = lightmask("clean", work, cwd=tmp_path)
    assert listed.returncode == 0 and {path for path in work.rglob("*") if path.is_file()} == before
    *files, last = listed.stdout.splitlines()
    assert re.fullmatch(rf"14 files \(\d.\d MB\) are of frames that are gone from {folder}; --yes removes them", last)
    assert len(files) == 14 and all("sub/" in file for file in files)

    removed = lightmask("clean", work, "--yes", cwd=tmp_path)
    assert removed.returncode == 0 and removed.stdout.splitlines()[:-1] == files
    after = {path for path in work.rglob("*") if path.is_file()}
    assert len(before - after) == 14 and not any(path.name == "sub" for path in (work / "results").rglob("*"))
    assert (work / "results/masked/a.fits").exists()


def test_nothing_is_removed_where_the_folder_is_not_there_or_a_run_is_at_work(tmp_path):
    """The disk of the frames may not be mounted."""
    folder, work, elsewhere = tmp_path / "night", tmp_path / "work", tmp_path / "elsewhere"
    write_night(folder)
    assert lightmask("run", folder, "-o", work, "--config", "pictures=False", cwd=tmp_path).returncode == 0
    (folder / "a.fits").unlink()
    with open(work / "results/.lock", "a") as lock:
        assert locks.lock(lock)
        busy = lightmask("clean", work, "--yes", cwd=tmp_path)
    assert busy.returncode == 1 and "a run is at work there" in busy.stdout
    folder.rename(elsewhere)
    for empty in (False, True):
        if empty:
            folder.mkdir()
        done = lightmask("clean", work, "--yes", cwd=tmp_path)
        assert done.returncode == 1 and done.stdout.startswith("frames: found ") and done.stdout.count("\n") == 1
    assert (work / "results/masked/a.fits").exists()
    nowhere = lightmask("clean", tmp_path / "nowhere", cwd=tmp_path)
    assert nowhere.returncode == 1 and "found no results of a run" in nowhere.stdout


def test_of_a_single_frame_nothing_is_removed(tmp_path):
    """Others that were masked there before may be in any folder."""
    write_light(tmp_path / "b.fits")
    one = lightmask("run", tmp_path / "b.fits", "-o", "one", "--config", "pictures=False", cwd=tmp_path)
    assert one.returncode == 0, one.stdout
    (tmp_path / "b.fits").unlink()
    single = lightmask("clean", "one", "--yes", cwd=tmp_path)
    assert single.returncode == 1 and single.stdout.startswith("frames: found ")
    assert (tmp_path / "one/results/masked/b.fits").exists()


def test_a_pixel_is_explained_and_results_stay(tmp_path):
    folder, work = tmp_path / "night", tmp_path / "work"
    write_night(folder, [f"sub/{ODD}.fits", "b.fits"])
    write_mask(folder / "flat_mask.fits", "flat mask", [(30, 40)])
    before_run = lightmask("explain", folder / "b.fits", "11", "11", "-o", work, cwd=tmp_path)
    assert before_run.returncode == 0 and "no flat mask or dark mask applies" in before_run.stdout
    assert lightmask("run", folder, "-o", work, cwd=tmp_path).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in (work / "results").rglob("*")}
    for name in ("b.fits", f"sub/{ODD}.fits"):
        ray = lightmask("explain", folder / name, "11", "11", "-o", work, cwd=tmp_path)
        assert ray.returncode == 0 and "FLAGS 4: COSMIC (cosmic ray); MASK: bad" in ray.stdout, ray.stdout
        assert "cosmic1: a cosmic ray of 1 pixels" in ray.stdout and "iteration 1: " in ray.stdout
        named = lightmask("explain", folder / name, "cosmic1", "-o", work, cwd=tmp_path)
        assert named.stdout == ray.stdout
    flat = lightmask("explain", folder / "b.fits", "41", "31", "-o", work, cwd=tmp_path)
    assert re.search(r"^FLAT: by flat_mask.fits, SHA-256 [0-9a-f]{64}$", flat.stdout, re.MULTILINE)
    best = lightmask(
        "explain", folder / "b.fits", "11", "11", "-o", work, "--config", "cosmic_rays={preset: best}", cwd=tmp_path
    )
    assert "net: " in best.stdout
    assert {path: path.stat().st_mtime_ns for path in (work / "results").rglob("*")} == before
    pictures = {path.name for path in (work / "explain").rglob("*.png")}
    assert len(pictures) == 3 and "b.fits 41 31.png" in pictures


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing.fits", "1", "1"], "nothing.fits"),
        (["b.fits", "1.5", "2"], "explain: found 1.5 2; expected column and row, from 1, or the name of a region"),
        (["b.fits", "7"], "explain: found 7; expected column and row"),
        (["b.fits", "1", "2", "3"], "explain: found 1 2 3; expected"),
        (["b.fits", "0", "2"], "b.fits: found no pixel x 0, y 2, expected x from 1 to"),
        (["b.fits", "cosmic99"], "b.fits: found no region cosmic99; expected one of cosmic1 to cosmic1"),
        (["b.fits[SCI,2]", "1", "1"], "b.fits: found no image SCI,2, expected one of b.fits"),
    ],
)
def test_what_cannot_be_explained_is_reported_in_one_line(arguments, line, tmp_path):
    write_night(tmp_path)
    done = lightmask("explain", *arguments, cwd=tmp_path)
    assert done.returncode == 1 and line in done.stdout and "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "results/index.html: found no such file, expected it of the last run; mask again"),
        (["--quiet"], "unrecognized arguments: --quiet"),
        (["--config", "sky=5"], "--one-file: found --config beside it, expected none"),
    ],
)
def test_what_one_file_cannot_use_is_an_error(arguments, line, tmp_path):
    done = lightmask("report", "--one-file", *arguments, cwd=tmp_path)
    assert done.returncode != 0 and line in done.stdout and "Traceback" not in done.stdout
