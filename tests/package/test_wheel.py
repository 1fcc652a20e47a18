"""The wheel in environments that had nothing before: all of it, and the base without Snakemake."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from conftest import CHECKOUT, DEMO, run_workflow, write_calibrations, write_light, write_night

REQUIREMENTS = CHECKOUT / "envs/requirements.txt"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", folder, CHECKOUT)
    (found,) = folder.glob("lightmask-*.whl")
    return found


def pip(python, *arguments):
    """Run pip with a Python."""
    subprocess.run([python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def environment(folder):
    """Make an empty environment, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin/python"


def command(python, *arguments, cwd):
    """Run a program of an environment as its user does, who has no clone."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [python, *arguments],
        cwd=cwd,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="session")
def whole(wheel, tmp_path_factory):
    """Install the wheel with the extras workflow and report, in a folder whose name has a blank."""
    python = environment(tmp_path_factory.mktemp("of a user") / "my env")
    pip(python, "install", "--require-hashes", "--requirement", REQUIREMENTS)
    pip(python, "install", f"{wheel}[workflow,report]")  # which finds all that it needs
    return python


@pytest.fixture(scope="session")
def base(wheel, tmp_path_factory):
    """Install the wheel alone."""
    folder = tmp_path_factory.mktemp("base")
    versions = re.findall(r"^([\w.-]+==[\w.]+)", REQUIREMENTS.read_text(), re.MULTILINE)
    (folder / "constraints.txt").write_text("\n".join(versions))
    python = environment(folder / "env")
    pip(python, "install", "--constraint", folder / "constraints.txt", wheel)
    return python


def test_the_demo_night_is_masked_without_a_clone(whole, tmp_path):
    work = tmp_path / "the night's {work}"
    lightmask = whole.parent / "lightmask"
    first = command(lightmask, "run", "results/demo", "-o", work, "--cores", "2", cwd=tmp_path)
    assert first.returncode == 0, first.stdout
    assert re.search(r"^LIGHT frames +6 masked +0 failed$", first.stdout, re.MULTILINE)
    second = command(lightmask, "run", "results/demo", "-o", work, cwd=tmp_path)
    assert second.returncode == 0 and "Nothing to be done" in second.stdout, second.stdout
    made = command(lightmask, "report", "-o", work, cwd=tmp_path)
    assert made.returncode == 0 and (work / "results/report.html").stat().st_size > 1_000_000, made.stdout

    here = run_workflow(tmp_path / "here", *DEMO)
    assert here.returncode == 0, here.output
    masked = sorted((here.results / "masked").iterdir())
    assert len(masked) == 6
    for path in masked:
        assert path.read_bytes() == (work / "results/masked" / path.name).read_bytes()


def test_strangers_use_it_as_a_module_twice(whole, tmp_path):
    for number, folder in enumerate(("one night", "it's {two}")):
        write_night(tmp_path / folder, ["x{1}.fits", "plain.fits"])
        write_light(tmp_path / folder / "plain.fits", seed=90 + number)
    (tmp_path / "Snakefile").write_text(
        """
import lightmask

module first:
    snakefile: lightmask.SNAKEFILE
    config: {"frames": "one night", "pictures": False}
    prefix: "of one"

module second:
    snakefile: lightmask.SNAKEFILE
    config: {"frames": "it's {two}", "pictures": False, "regions": True}
    prefix: "of two"

use rule * from first as first_*
use rule * from second as second_*

rule both:
    default_target: True
    input: rules.first_all.input, rules.second_all.input
"""
    )
    run = command(whole, "-m", "snakemake", "--cores", "2", cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    for folder, place in (("one night", "of one"), ("it's {two}", "of two")):
        with open(tmp_path / place / "results/summary.csv", newline="") as table:
            rows = list(csv.DictReader(table))
        assert [row["problem"] for row in rows] == ["", ""]
        for row in rows:
            masked = fits.getdata(tmp_path / place / "results/masked" / row["masked_frame"])
            assert np.array_equal(masked, fits.getdata(tmp_path / folder / row["path"]))
    again = command(whole, "-m", "snakemake", "--cores", "2", cwd=tmp_path)
    assert "Nothing to be done" in again.stdout, again.stdout


def test_a_clone_runs_its_own_library_beside_an_installed_one(whole, tmp_path):
    clone = tmp_path / "a clone's place"
    for name in ("scripts", "rules", "profiles", "envs", "docs"):
        shutil.copytree(CHECKOUT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(CHECKOUT / name, clone)
    with open(clone / "scripts/lightmask/masks/frame.py", "a") as library:
        library.write("\nprint('the library of the clone')\n")
    write_night(tmp_path / "night")
    options = ["-s", clone / "Snakefile", "--cores", "2", "--config", "frames=night", "pictures=false"]
    run = command(whole, "-m", "snakemake", *options, cwd=tmp_path)
    assert run.returncode == 0, run.stdout
    assert "the library of the clone" in (tmp_path / "results/logs/mask_light/a.fits.log").read_text()


def test_the_base_finds_cosmic_rays_masks_a_frame_and_scans(base, tmp_path):
    write_night(tmp_path / "night")
    write_light(tmp_path / "night/small.fits", shape=(32, 32))
    code = """
import json, sys
import numpy as np
from astropy.io import fits
from lightmask import Flag, FrameError, ccdmask, detect_cosmics, mask_frame
from lightmask.night import validated
data = fits.getdata("night/a.fits")
mask, _ = detect_cosmics(data, readnoise=10)
assert mask[10, 10] and mask.sum() == 1, mask.sum()
ccdmask(np.ones((64, 64)))
config = validated({"frames": "night"})
mask_frame("night/a.fits", "a.fits", None, "masked.fits", "statistics.json", config)
assert fits.getdata("masked.fits", "FLAGS")[10, 10] == Flag.COSMIC
modules = ["scipy", "matplotlib", "PIL", "ccdproc", "snakemake"]
print([name for name in modules if name in sys.modules])
"""
    done = command(base, "-c", code, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.endswith("[]\n"), done.stdout
    assert json.loads((tmp_path / "statistics.json").read_text())["cosmic"] == 1

    scan = command(base.parent / "lightmask", "scan", "night", cwd=tmp_path)
    assert scan.returncode == 1
    rows = {line.split("  ")[0]: line for line in scan.stdout.splitlines()}
    assert "flat_mask.fits, dark_mask.fits" in rows["a.fits"] and "no flat mask applies" in rows["small.fits"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masked.fits", "night", "statistics.json"]


def test_the_base_is_small(base, tmp_path):
    listed = command(base, "-m", "pip", "--disable-pip-version-check", "list", "--format", "json", cwd=tmp_path)
    names = {package["name"] for package in json.loads(listed.stdout)} - {"pip", "setuptools", "lightmask"}
    print(len(names), sorted(names))
    assert len(names) <= 14


def test_what_the_base_lacks_is_named_with_its_remedy(base, tmp_path):
    write_light(tmp_path / "night/a.fits")
    write_calibrations(tmp_path / "night")
    run = command(base.parent / "lightmask", "run", "night", cwd=tmp_path)
    assert run.returncode == 1
    assert run.stdout == (
        "snakemake: found no package of that name, expected it for whole nights; pip install 'lightmask[workflow]'\n"
    )
    code = """
import numpy as np
from lightmask.errors import FrameError
from lightmask.masks.dark import _average
try:
    _average([np.zeros((8, 8))], 5.0)
except FrameError as error:
    print(error)
"""
    assert "pip install 'lightmask[ccdproc]'" in command(base, "-c", code, cwd=tmp_path).stdout


def test_types_travel_with_it(base, tmp_path):
    code = "import lightmask, pathlib; print((pathlib.Path(lightmask.__file__).parent / 'py.typed').exists())"
    assert command(base, "-c", code, cwd=tmp_path).stdout == "True\n"
