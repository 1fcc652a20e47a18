"""The same input gives the same bytes, whatever else is different."""

import os
import shutil
import stat
import subprocess
import sys

import pytest
from conftest import run_workflow, write_calibrations, write_light, write_mask
from finals import contents, final_files

OPTIONS = ["pictures=True", "regions=True", "required_masks=[dark]"]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Write a night of all kinds of files, which nobody may change."""
    folder = tmp_path_factory.mktemp("night")
    for seed, name in enumerate(["a.fits", "Ünïcode I ı i.fits", "sub/c.fits.gz", "g.fits", "h.fits"]):
        write_light(folder / name, seed=seed, FILTER="r" if seed < 3 else "g")
    write_calibrations(folder)
    write_mask(folder / "flat_mask_g.fits", "flat mask", [(9, 9)], FILTER="g")
    for path in folder.rglob("*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.chmod(0o555)
    yield folder
    for path in (folder, folder / "sub"):
        path.chmod(0o755)


@pytest.fixture(scope="module")
def expected(night, tmp_path_factory):
    run = run_workflow(tmp_path_factory.mktemp("usual"), "--config", f"frames={night}", *OPTIONS, cores=1)
    assert run.returncode == 0, run.output
    found = contents(run.results)
    assert {"masked/sub/c.fits", "summary.ecsv", "pictures/frames/a.fits.png", "regions/a.fits.reg"} <= found.keys()
    assert sum(name.startswith("static_masks") and name.endswith(".fits") for name in found) == 2
    return found


@pytest.fixture(scope="module")
def locales(tmp_path_factory):
    """Make a locale in which i and I are no pair, where the system has what it takes."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef"):
        command = ["localedef", "-i", "tr_TR", "-f", "UTF-8", folder / "tr_TR.UTF-8"]
        subprocess.run(command, check=False, capture_output=True)
    return folder


def copied(night, folder):
    """Copy a night, the last file first, so that its folder lists them in another order."""
    for path in sorted(night.rglob("*"), reverse=True):
        if path.is_file():
            target = folder / path.relative_to(night)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    return folder


@pytest.mark.parametrize(
    ("cores", "umask", "changed"),
    [
        (2, 0o077, {"LC_ALL": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1"}),
        (8, 0o000, {"LC_ALL": "C", "TZ": "America/St_Johns", "PYTHONHASHSEED": "2"}),
    ],
    ids=["turkish_2_cores", "plain_8_cores"],
)
def test_elsewhere(cores, umask, changed, night, expected, locales, tmp_path):
    """Other cores, order of files, place, locale, time zone, umask and hash seed at once."""
    before = contents(night)
    folder = copied(night, tmp_path / "another place")
    variables = [f"{key}={value}" for key, value in {"LOCPATH": locales, **changed}.items()]
    with_umask = ["sh", "-c", f'umask {umask:o}; exec "$@"', "sh"]
    options = ["--config", f"frames={folder}", *OPTIONS]
    run = run_workflow(tmp_path / "work here", *options, cores=cores, before=["env", *variables, *with_umask])
    assert run.returncode == 0, run.output
    assert contents(run.results) == expected
    assert contents(night) == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in final_files(run.results).values()} == {0o666 & ~umask}


def test_another_day(night, expected, tmp_path):
    if not shutil.which("faketime"):
        pytest.skip("faketime is not installed (Debian has a package of that name)")
    # faketime 0.9.10 refuses to sleep until a time of the monotonic clock, as Python's sleep asks. Waiting works.
    (tmp_path / "sitecustomize.py").write_text(
        "import threading, time\ndef sleep(seconds): threading.Event().wait(seconds)\ntime.sleep = sleep\n"
    )
    clock = ["env", "DONT_FAKE_MONOTONIC=1", f"PYTHONPATH={tmp_path}", "faketime", "2031-12-31 23:59:55"]
    assert subprocess.run([*clock, "date", "+%Y"], capture_output=True, text=True, check=True).stdout == "2031\n"
    subprocess.run([*clock, sys.executable, "-c", "import time; time.sleep(0.1)"], check=True)
    run = run_workflow(tmp_path, "--config", f"frames={night}", *OPTIONS, before=clock)
    assert run.returncode == 0, run.output
    assert "2031" in run.output  # the engine tells the time of each job
    assert contents(run.results) == expected
