"""Masked frames in the hands of other programs: the recipes of the documentation, SExtractor, fitsverify."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from conftest import CHECKOUT

from lightmask import demo
from lightmask.bits import Flag
from lightmask.masks.frame import mask_frame
from lightmask.night import configuration

NAME = "kelt-16-b-r-001.fits"


def program(name):
    """Return the path of an installed program; CI installs it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian has a package of that name)")
    return path


def recipes(language):
    """Return the code blocks of the README in a language, and those of docs/tools.md."""
    text = "".join((CHECKOUT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/tools.md"))
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def mosaic_of(demo_results, tmp_path):
    """Mask a frame of the demo night that was cut into four images."""
    data = fits.getdata(demo_results / "demo" / NAME)
    parts = [part for half in np.split(data, 2) for part in np.split(half, 2, axis=1)]
    images = [fits.ImageHDU(part, name="SCI", ver=number) for number, part in enumerate(parts, 1)]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "mosaic.fits")
    out = tmp_path / "masked.fits", tmp_path / "masked.json"
    mask_frame(tmp_path / "mosaic.fits", "mosaic.fits", None, *out, configuration.validated({}))
    return out[0]


def test_python_recipes_of_the_documentation(demo_results, tmp_path):
    scope = {}
    mosaic = mosaic_of(demo_results, tmp_path)
    for code in recipes("python"):
        text = code.replace("results/masked/x.fits", str(demo_results / "masked" / NAME))
        exec(text.replace("results/masked/mosaic.fits", str(mosaic)), scope)
    for number, image in scope["images"].items():
        assert np.array_equal(image.mask, fits.getdata(mosaic, ("MASK", number)) != 0) and image.mask.any()
        assert np.array_equal(image.data, fits.getdata(mosaic, ("SCI", number)))
    flags = fits.getdata(demo_results / "masked" / NAME, "FLAGS")
    assert np.array_equal(scope["frame"].mask, (flags & ~np.int16(Flag.SATURATED)) != 0)
    assert np.array_equal(scope["cosmic"], (flags & Flag.COSMIC) != 0)
    assert "aperture_photometry" in scope
    x, y = np.rint(scope["objects"]["x"]).astype(int), np.rint(scope["objects"]["y"]).astype(int)
    assert len(x) > 50
    assert np.count_nonzero(scope["frame"].mask[y, x]) < 0.1 * len(x)


def test_sextractor_recipe_of_the_readme(demo_results, tmp_path):
    program("source-extractor")
    (command,) = [code for code in recipes("sh") if code.startswith("source-extractor")]
    (tmp_path / "columns.param").write_text("X_IMAGE\nY_IMAGE\nIMAFLAGS_ISO\n")
    settings = " -c /usr/share/source-extractor/default.sex -PARAMETERS_NAME columns.param -FILTER N"
    subprocess.run(
        command.replace("results/masked/x.fits", str(demo_results / "masked" / NAME)).strip()
        + settings
        + " -STARNNW_NAME /usr/share/source-extractor/default.nnw -CATALOG_NAME objects.cat",
        shell=True,
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    x, y, flagged = np.loadtxt(tmp_path / "objects.cat", unpack=True)
    flags = fits.getdata(demo_results / "masked" / NAME, "FLAGS")
    peaks = flags[np.rint(y).astype(int) - 1, np.rint(x).astype(int) - 1]
    assert np.count_nonzero(peaks) > 20
    assert np.all((flagged.astype(int) & peaks)[peaks > 0] > 0)


def complaints(path):
    """What fitsverify warns of, less the number of the card that it concerns."""
    verified = subprocess.run([program("fitsverify"), path], capture_output=True, text=True, check=False)
    found = [line for line in verified.stdout.splitlines() if line.startswith("***")]
    return {re.sub(r"#\d+", "#", line) for line in found if "****" not in line}


def test_fitsverify_has_no_complaint_about_the_demo_night(demo_results):
    for path in [*(demo_results / "masked" / name for name in demo.LIGHTS), *demo_results.glob("combined_masks/*")]:
        assert complaints(path) == set()


@pytest.mark.parametrize("folder", ["arcsat-reduced", "efosc2-reduced", "hst-wfpc2"])
def test_fitsverify_has_no_new_complaint_about_real_frames(real_data, folder, tmp_path):
    config = configuration.validated({})
    for frame in [path for path in sorted(real_data(folder).iterdir()) if path.suffix == ".fits"][:4]:
        mask_frame(frame, frame.name, None, tmp_path / frame.name, tmp_path / "statistics.json", config)
        assert complaints(tmp_path / frame.name) <= complaints(frame)
