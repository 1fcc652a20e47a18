"""The workflow against the chapter's own loop, and against digests of its results on real frames."""

import hashlib
import io
import re
import shutil
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import astropy.units as u
import ccdproc as ccdp
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from conftest import DATA, DIGESTS, run_workflow

from lightmask import demo
from lightmask.bits import Flag
from lightmask.detect import ccdmask

CHAPTER = Flag.COSMIC | Flag.SUSPECT
"""What the chapter's loop calls cosmic rays."""
ARCSAT = "arcsat-reduced/LPSEB35_g_20250530_034359"
ARCSAT_MASKS = "9758045874e719eb"
EFOSC2 = [name for name in DIGESTS if name.startswith("efosc2")]


def digest(mask):
    return hashlib.sha256(np.packbits(mask)).hexdigest()[:16]


def iterations(path):
    return tuple(value for key, value in fits.getheader(path).items() if key.startswith("LIGHTMASK ITERATION"))


@pytest.mark.parametrize("name", demo.LIGHTS)
def test_demo_night_equals_the_chapters_loop(demo_results, name):
    """Chapter 8.5 of the CCD reduction guide, its cells in their order."""
    ifc = ccdp.ImageFileCollection(demo_results / "demo")
    (flat_mask,) = ifc.files_filtered(imagetyp="flat mask", filter=demo.LIGHTS[name])
    (dark_mask,) = ifc.files_filtered(imagetyp="dark mask")
    combined_mask = np.zeros(demo.SHAPE, bool)
    for mask in (flat_mask, dark_mask):
        combined_mask |= CCDData.read(ifc.location / mask, unit=u.dimensionless_unscaled).data.astype(bool)

    ccd = CCDData.read(ifc.location / name)
    with redirect_stdout(io.StringIO()) as printed:
        new_ccd = ccdp.cosmicray_lacosmic(ccd, readnoise=10, sigclip=8, verbose=True)
    ccd.mask = new_ccd.mask | combined_mask

    ours = CCDData.read(demo_results / "masked" / name, hdu_flags="FLAGS")
    assert np.array_equal(ours.mask, ccd.mask)
    assert np.array_equal((ours.flags & CHAPTER) != 0, new_ccd.mask)
    assert np.array_equal(ours.data, ccd.data)
    counts = re.findall(r"(\d+) cosmic pixels", printed.getvalue())
    assert iterations(demo_results / "masked" / name) == tuple(map(int, counts))


def completeness_and_purity(found, truth, near):
    """Fraction of true pixels that were found, and of found ones that may well be true."""
    return np.count_nonzero(found & truth) / truth.sum(), np.count_nonzero(found & near) / found.sum()


def test_demo_night_finds_what_was_put_in(demo_results, capsys):
    """Cosmic rays in at least 3 of 4 pixels and nothing else, and every bad and hot pixel that the masks are for."""
    counted = np.zeros(3, int)
    for name in demo.LIGHTS:
        truth = fits.getdata(demo_results / "demo_truth" / name)
        flags = fits.getdata(demo_results / "masked" / name, "FLAGS")
        hit = (truth & demo.TRUTH_COSMIC) != 0
        near = np.zeros_like(hit)
        rows, columns = np.nonzero(hit)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                near[np.clip(rows + dy, 0, hit.shape[0] - 1), np.clip(columns + dx, 0, hit.shape[1] - 1)] = True
        found, suspect = ((flags & flag) != 0 for flag in (Flag.COSMIC, Flag.SUSPECT))
        complete, pure = completeness_and_purity(found, hit, near)
        as_in_chapter = completeness_and_purity(found | suspect, hit, near)
        with capsys.disabled():
            print(f"\n{name}: {complete:.1%} of cosmic-ray pixels found, {pure:.1%} of those flagged are near one")
        assert complete > 0.75
        assert pure >= 0.99
        assert as_in_chapter[1] < 0.75
        counted += [hit.sum(), (found & hit).sum(), ((found | suspect) & hit).sum()]
        assert np.array_equal((flags & Flag.FLAT) != 0, (truth & demo.TRUTH_BAD) != 0)
        assert np.array_equal((flags & Flag.DARK) != 0, (truth & demo.TRUTH_HOT) != 0)
        assert np.count_nonzero(flags & Flag.SATURATED) > 0
    assert (counted[2] - counted[1]) / counted[0] <= 0.015


@pytest.mark.parametrize("choices", [{}, {"byblocks": True, "findbadcolumns": True}], ids=["defaults", "blocks"])
def test_ccdmask_on_the_demo_night(demo_results, choices):
    first, second, *_ = (fits.getdata(demo_results / "demo" / name) for name in demo.FLATS)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = first / second
    with warnings.catch_warnings(action="ignore"):  # ccdproc warns of its own square roots
        expected = ccdp.ccdmask(CCDData(ratio, unit=""), **choices)
    found = ccdmask(ratio, **choices)
    assert found.sum() > 500
    assert np.array_equal(found, expected)


def test_demo_night_without_its_masks(demo_results, tmp_path, capsys):
    """Masks made from flats and darks against the truth."""
    night = tmp_path / "night"
    shutil.copytree(demo_results / "demo", night, ignore=shutil.ignore_patterns("mask_from*"))
    run = run_workflow(tmp_path, "--config", f"frames={night}", "make_dark_mask={gain: GAIN}")
    assert run.returncode == 0, run.output
    for name in demo.LIGHTS:
        truth = fits.getdata(demo_results / "demo_truth" / name)
        flags = fits.getdata(tmp_path / "results/masked" / name, "FLAGS")
        for flag, bit, least_complete, least_pure in (
            (Flag.FLAT, demo.TRUTH_BAD, 0.98, 0.93),
            (Flag.DARK, demo.TRUTH_HOT, 0.97, 0.9),
        ):
            found, true = (flags & flag) != 0, (truth & bit) != 0
            complete, pure = completeness_and_purity(found, true, true)
            with capsys.disabled():
                print(f"\n{name}: {flag.name} {complete:.1%} complete, {pure:.1%} pure")
            assert complete > least_complete
            assert pure > least_pure


def test_demo_night_is_the_same_bytes_every_time(demo_results, tmp_path):
    demo.make(tmp_path / "demo", tmp_path / "truth")
    for name in demo.NAMES:
        assert (tmp_path / "demo" / name).read_bytes() == (demo_results / "demo" / name).read_bytes()


def test_arcsat_with_defaults(real_data, tmp_path):
    run = run_workflow(tmp_path, "--config", f"frames={real_data('arcsat-reduced')}")
    assert run.returncode == 0, run.output
    counts, cosmic = DIGESTS[ARCSAT]
    path = tmp_path / f"results/masked/{Path(ARCSAT).name}.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy mends the WCS of this header, and says so
        frame = CCDData.read(path, hdu_flags="FLAGS")
    assert digest((frame.flags & CHAPTER) != 0) == cosmic
    assert digest((frame.flags & (Flag.FLAT | Flag.DARK)) != 0) == ARCSAT_MASKS
    assert np.array_equal(frame.mask, frame.flags != 0)
    assert iterations(path) == counts
    (log,) = (tmp_path / "results/logs/combine_masks").iterdir()
    assert "union: 2915 pixels (0.278%)" in log.read_text()


@pytest.fixture(scope="module")
def efosc2_config(real_data):
    return [
        f"frames={real_data('efosc2-reduced')}",
        "frame_type={keywords: [ESO DPR TYPE]}",
        "required_masks=[]",
        "static_masks={flat: folder}",
    ]


def test_efosc2_equals_the_digest_table(efosc2_config, tmp_path):
    run = run_workflow(tmp_path, "--config", *efosc2_config)
    assert run.returncode == 0, run.output
    for name in EFOSC2:
        counts, cosmic = DIGESTS[name]
        path = tmp_path / f"results/masked/{Path(name).name}.fits"
        assert iterations(path) == counts
        assert digest(fits.getdata(path, "MASK") != 0) == cosmic


def test_efosc2_without_masks(efosc2_config, tmp_path):
    """Three sky flats that are nearly alike, and a DARK that is a bias: a flat mask only, of all flats."""
    run = run_workflow(tmp_path, "--config", *efosc2_config[:-2], "required_masks=[flat]")
    assert run.returncode == 0, run.output
    made = "the flat mask is made from this flat and 2 more, each alone, as counts of 3 flats differ by less than 0.1"
    assert f"WARNING: EFOSC.2022-01-28T00.08.16.282.fits: {made}" in run.output
    assert "combined_zero.fits: EXPTIME is 0.0, expected an exposure above 0 s" in run.output
    (path,) = (tmp_path / "results/static_masks").iterdir()
    header, found = fits.getheader(path), fits.getdata(path) != 0
    flats = [CCDData.read(path) for path in sorted((DATA / "efosc2-reduced").glob("EFOSC.2022-01-28T00*.fits"))]
    certain = [ccdp.ccdmask(flat) for flat in flats]
    likely = [ccdp.ccdmask(flat, lsigma=4.5, hsigma=4.5) for flat in flats]
    assert np.array_equal(found, np.any(certain, axis=0) & (np.sum(likely, axis=0) >= 2))
    assert header["ESO DPR TYPE"] == header["IMAGETYP"] == "flat mask"
    for name in EFOSC2:
        flags = fits.getdata(tmp_path / f"results/masked/{Path(name).name}.fits", "FLAGS")
        assert np.array_equal((flags & Flag.FLAT) != 0, found)
        assert digest((flags & CHAPTER) != 0) == DIGESTS[name][1]


def test_arcsat_makes_the_masks_that_came_with_it(real_data, tmp_path):
    (tmp_path / "night").mkdir()
    for file in real_data("arcsat-reduced").iterdir():
        if not file.name.startswith("mask"):
            (tmp_path / "night" / file.name).symlink_to(file)
    run = run_workflow(tmp_path, "--config", "frames=night", "make_dark_mask={threshold: 2}")
    assert run.returncode == 0, run.output
    assert "WARNING: domeflat_g_001.fits: the flat mask is made from this flat alone" in run.output
    path = tmp_path / f"results/masked/{Path(ARCSAT).name}.fits"
    flags = fits.getdata(path, "FLAGS")
    assert digest((flags & (Flag.FLAT | Flag.DARK)) != 0) == ARCSAT_MASKS
    assert digest((flags & CHAPTER) != 0) == DIGESTS[ARCSAT][1]


def test_efosc2_with_gain_and_read_noise_of_the_header(efosc2_config, real_data, tmp_path):
    config = [*efosc2_config, "cosmic_rays={gain: ESO DET OUT1 CONAD, readnoise: ESO DET OUT1 RON}"]
    run = run_workflow(tmp_path, "--config", *config)
    assert run.returncode == 0, run.output
    name = f"{Path(EFOSC2[0]).name}.fits"
    data, header = fits.getdata(real_data("efosc2-reduced") / name, header=True)
    gain, readnoise = (header[f"ESO DET OUT1 {key}"] for key in ("CONAD", "RON"))
    ccd = CCDData(data, unit="adu")
    expected = ccdp.cosmicray_lacosmic(ccd, gain=gain, readnoise=readnoise, sigclip=8).mask
    path = tmp_path / "results/masked" / name
    assert np.array_equal(fits.getdata(path, "MASK") != 0, expected)
    header = fits.getheader(path)
    assert (header["LIGHTMASK GAIN"], header["LIGHTMASK READNOISE"]) == (gain, readnoise)


def test_hst_with_a_plain_science_file(real_data, tmp_path):
    (tmp_path / "night").mkdir()
    (tmp_path / "night/hst.fits").symlink_to(real_data("hst-wfpc2") / "hst_im_ext3.fits")
    run = run_workflow(
        tmp_path,
        "--config",
        "frames=night",
        "frame_type={light: [EXT]}",
        "required_masks=[]",
        "cosmic_rays={gain: 7, readnoise: 5, sigclip: 4.5}",
    )
    assert run.returncode == 0, run.output
    mask = fits.getdata(tmp_path / "results/masked/hst.fits", "MASK") != 0
    iraf = fits.getdata(real_data("hst-wfpc2") / "hst_im_ext3_iraf_mask.fits") != 0
    assert mask.sum() == 19359
    assert np.count_nonzero(mask & iraf) / mask.sum() == pytest.approx(0.945, abs=5e-4)
    assert np.count_nonzero(mask & iraf) / iraf.sum() == pytest.approx(0.967, abs=5e-4)
