"""Small real inputs that went wrong once, each with the outcome that is right. They are no part of the repository."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from conftest import CHECKOUT, run_workflow

from lightmask.bits import Flag

CASES = Path(os.environ.get("LIGHTMASK_CASES", CHECKOUT.parent / "shared" / "cases"))


@pytest.fixture
def run(tmp_path):
    """Mask a case with the configuration of its user; return the run and what reads its results."""

    def start(name, **options):
        folder = CASES / name
        if not folder.is_dir():
            pytest.skip(f"no case {name} in {CASES}; LIGHTMASK_CASES names the folder")
        shutil.copy(folder / "config.yaml", tmp_path / "config.yaml")
        settings = [f"{key}={value}" for key, value in options.items()]
        return run_workflow(tmp_path, "--config", f"frames={folder}", "pictures=false", *settings)

    return start


def flags(work, name, number=1):
    return fits.getdata(work / "results/masked" / name, ("FLAGS", number))


def count(image, flag):
    return np.count_nonzero(image & flag)


def rows(work):
    with (work / "results/summary.csv").open() as file:
        return list(csv.DictReader(file))


def test_darks_that_keep_their_bias_make_no_mask(run, tmp_path):
    found = run("01_raw_darks")
    assert found.returncode != 0
    assert "dark300.fit: looks not bias-subtracted: its median is 1094 adu" in found.output
    assert "would mask 100% of the pixels; subtract the bias" in found.output
    assert not (tmp_path / "results/masked/light.fit").exists()


def test_darks_that_keep_their_bias_are_remarked_where_no_mask_is_required(run, tmp_path):
    found = run("01_raw_darks", required_masks="[]")
    assert found.returncode != 0
    assert count(flags(tmp_path, "light.fit"), Flag.DARK) == 0
    assert "masked without a dark mask: " in rows(tmp_path)[0]["remark"]


def test_each_amplifier_is_an_image(run, tmp_path):
    found = run("02_mef_4amp")
    assert found.returncode == 0, found.output
    with fits.open(tmp_path / "results/masked/lco.fits") as hdus:
        gains = [hdus["FLAGS", number].header["LIGHTMASK GAIN"] for number in (1, 2, 3, 4)]
        levels = [hdus["FLAGS", number].header["LIGHTMASK SATLEVEL"] for number in (1, 2, 3, 4)]
        assert [hdus["MASK", number].shape for number in (1, 2, 3, 4)] == [(130, 130)] * 4
        assert sum(count(hdus["FLAGS", number].data, Flag.SATURATED) for number in (1, 2, 3, 4)) == 0
    assert gains == [6.42, 6.23, 6.27, 6.26]
    assert levels == pytest.approx([40_000 * gain for gain in gains])
    assert [row["image"] for row in rows(tmp_path)] == ["SCI,1", "SCI,2", "SCI,3", "SCI,4"]


def test_each_image_has_its_own_flat_mask(run, tmp_path):
    assert run("04_mef_mask").returncode == 0
    masks = [fits.getdata(CASES / "04_mef_mask/bpm.fits", number) != 0 for number in (1, 2, 3, 4)]
    for number, mask in enumerate(masks, 1):
        np.testing.assert_array_equal((flags(tmp_path, "lco.fits", number) & Flag.FLAT) != 0, mask)
    assert len({mask.tobytes() for mask in masks}) > 1


def test_both_chips_inherit_their_bad_pixels(run, tmp_path):
    assert run("05_hst_flc").returncode == 0
    for number in (1, 2):
        quality = fits.getdata(CASES / "05_hst_flc/a_flc.fits", ("DQ", number))
        bad = (quality & ~np.int16(32 | 64 | 1024)) != 0
        np.testing.assert_array_equal((flags(tmp_path, "a_flc.fits", number) & Flag.INHERITED) != 0, bad)


def test_masks_and_weights_in_files_of_their_own_are_companions(run, tmp_path):
    found = run("07_decam_dq_files")
    assert found.returncode == 0, found.output
    assert "not masked: 2 companion" in found.output
    assert [row["path"] for row in rows(tmp_path)] == ["c4d_ooi.fits"]
    image, codes = flags(tmp_path, "c4d_ooi.fits"), fits.getdata(CASES / "07_decam_dq_files/c4d_ood.fits")
    np.testing.assert_array_equal((image & Flag.INHERITED) != 0, codes != 0)
    assert count(image, Flag.COSMIC) < 30


def test_colours_are_searched_one_by_one(run, tmp_path):
    found = run("09_seestar_bayer")
    assert found.returncode == 0
    assert count(flags(tmp_path, "Light_M 94_10.0s_IRCUT.fit"), Flag.COSMIC) < 0.01 * 160 * 160
    assert "its noise is 2.5 times that of a gain of 1 e-/adu and a read noise of 10 e-" in rows(tmp_path)[0]["remark"]


def test_a_setting_that_is_called_gain_is_refused(run):
    found = run("10_nina_gain_is_a_setting")
    assert found.returncode != 0
    assert "times that of a gain of 120 e-/adu" in found.output
    assert "set cosmic_rays: gain to EGAIN" in found.output


def test_auto_takes_no_setting_for_a_gain(run, tmp_path):
    found = run("10_nina_gain_is_a_setting", cosmic_rays="{gain: auto}")
    assert found.returncode == 0, found.output
    assert count(flags(tmp_path, "nina.fits"), Flag.COSMIC) < 0.01 * 160 * 160


def test_an_axis_of_length_one_is_kept(run, tmp_path):
    assert run("12_naxis3_1").returncode == 0
    with fits.open(tmp_path / "results/masked/cube1.fits") as hdus:
        assert {hdu.shape for hdu in hdus} == {(1, 100, 100)}


def test_overscan_and_bad_columns_are_no_cosmic_rays(run, tmp_path):
    assert run("13_nickel_no_imagetyp_overscan").returncode == 0
    image = flags(tmp_path, "d1052.fits")
    assert (image[:, 68:] == Flag.EDGE).all() and not (image[:, :68] & Flag.EDGE).any()
    assert count(image, Flag.COSMIC) <= 10


def test_rates_have_the_noise_of_what_was_counted(run, tmp_path):
    found = run("15_counts_per_s", cosmic_rays="{gain: GAIN, readnoise: RDNOISE, satlevel: SATURATE}")
    assert found.returncode == 0, found.output
    header = fits.getheader(tmp_path / "results/masked/k4m_oki.fits")
    assert (header["LIGHTMASK GAIN"], header["LIGHTMASK EXPOSURE"]) == (2.46, 125.104)
    assert header["LIGHTMASK SATLEVEL"] == pytest.approx(23_800 * 2.46)
    assert "its noise" not in rows(tmp_path)[0]["remark"], "the noise model fits"


def test_flags_of_another_program_are_kept(run, tmp_path):
    assert run("17_ccddata_flags").returncode == 0
    with (
        fits.open(tmp_path / "results/masked/reduced.fits") as hdus,
        fits.open(CASES / "17_ccddata_flags/reduced.fits") as given,
    ):
        np.testing.assert_array_equal(hdus["INFLAGS"].data, given["FLAGS"].data)


def test_a_level_of_a_keyword_is_in_adu(run, tmp_path):
    assert run("19_satlevel_adu").returncode == 0
    assert count(flags(tmp_path, "c4d_ooi.fits"), Flag.SATURATED) == 612
