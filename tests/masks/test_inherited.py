"""Masks that come with a frame: bits and codes of each camera, and what is not known is remarked."""

import json

import numpy as np
import pytest
from astropy.io import fits

from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.masks import mask_frame
from lightmask.night.configuration import validated

SHAPE = (20, 30)


def inherited(tmp_path, values, cards=None, name="DQ", mask_cards=None, dtype="i2", companion=None, **config):
    """Mask a frame whose mask has these values, one a pixel of the first row; return those INHERITED, and remarks."""
    image = np.random.default_rng(1).normal(1000, 33, SHAPE).astype("f4")
    mask = np.zeros(SHAPE, dtype)
    mask[0, : len(values)] = values
    extension = fits.ImageHDU(mask, fits.Header(mask_cards or {}), name=name)
    hdus = [fits.PrimaryHDU(header=fits.Header(cards or {})), fits.ImageHDU(image, name="SCI"), extension]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits", overwrite=True)
    out = tmp_path / "out.fits", tmp_path / "out.json"
    mask_frame(tmp_path / "a.fits", "a.fits", None, *out, validated(config), companion=companion)
    with fits.open(out[0]) as made:
        kept = "INMASK" if "INMASK" in made else name
        assert name == "MASK" or np.array_equal(made[kept].data, mask, equal_nan=True), "it is kept"
        flags = made["FLAGS"].data
    assert not (flags[1:] & Flag.INHERITED).any()
    found = [value for value, flag in zip(values, flags[0], strict=False) if flag & Flag.INHERITED]
    return found, json.loads(out[1].read_text())["remarks"]


@pytest.mark.parametrize(
    ("cards", "name", "values", "bad"),
    [
        ({"TELESCOP": "HST"}, "DQ", [0, 16, 32, 64, 1024, 4096, 32 | 4, 96], [16, 4096, 36]),
        ({"ORIGIN": "LCOGT"}, "BPM", [0, 1, 2, 4, 8, 16], [1, 2, 4, 8]),
        ({"TELESCOP": "Gemini-North"}, "DQ", [0, 1, 2, 4, 8, 16, 32, 64], [1, 4, 8, 16, 64]),
        ({"INSTRUME": "DECam"}, "DQ", [0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 8]),
        ({"INSTRUME": "DECam"}, "DQ", [0, 1, 2, 64, 128], [1, 2, 64, 128]),  # older masks have bits
        ({}, "DQ", [0, 1, 1], [1, 1]),
        ({}, "BPM", [0, 1], [1]),
        ({}, "MASK", [0, 1, 5], [1, 5]),
    ],
)
def test_what_is_bad_is_known_of_cameras(tmp_path, cards, name, values, bad):
    assert inherited(tmp_path, values, cards, name) == (bad, [])


@pytest.mark.parametrize(("camera", "bad"), [("HST", [16, 36, np.nan]), ("DECam", [3, np.nan])])
def test_bits_and_codes_may_be_floats(tmp_path, camera, bad):
    cards = {"TELESCOP": "HST"} if camera == "HST" else {"INSTRUME": "DECam"}
    values = [0.0, 16.0, 32.0, 36.0, np.nan] if camera == "HST" else [0.0, 3.0, 7.0, np.nan]
    found, _ = inherited(tmp_path, values, cards, dtype="f4")
    np.testing.assert_array_equal(found, bad)


def test_bits_of_a_mask_are_named_in_its_header(tmp_path):
    planes = {"MP_BAD": 0, "MP_SAT": 1, "HIERARCH MP_DETECTED": 5, "MP_CR": 3, "MP_EDGE": 6}
    values = [0, 1, 2, 8, 32, 64, 33]
    assert inherited(tmp_path, values, name="MASK", mask_cards=planes, dtype="i4") == ([1, 2, 8, 64, 33], [])
    chosen = {"inherit": {"LSST": ["DETECTED"]}}
    assert inherited(tmp_path, values, name="MASK", mask_cards=planes, dtype="i4", **chosen) == ([32, 33], [])


@pytest.mark.parametrize(
    ("choice", "bad"),
    [(["hot"], [16]), ([32, "Warm"], [32, 64, 96]), ([], []), ([16, 64], [16, 64, 96])],
)
def test_bits_can_be_chosen_by_number_and_name(tmp_path, choice, bad):
    found = inherited(tmp_path, [0, 16, 32, 64, 96], {"TELESCOP": "HST"}, inherit={"HST": choice})
    assert found == (bad, [])


def test_a_name_that_is_not_known_is_refused(tmp_path):
    with pytest.raises(FrameError, match=r"inherit: HST: found 'cosmic', expected a number or one of Reed-Solomon"):
        inherited(tmp_path, [1], {"TELESCOP": "HST"}, inherit={"HST": ["cosmic"]})


def test_bits_of_an_unknown_camera_all_count_and_that_is_remarked(tmp_path):
    found, remarks = inherited(tmp_path, [0, 1, 4, 32])
    assert found == [1, 4, 32]
    assert ["its DQ has values up to 32" in remark for remark in remarks] == [True]
    assert inherited(tmp_path, [0, 1, 4, 32], inherit={"default": [4]}) == ([4], [])


def test_a_mask_of_most_pixels_is_remarked(tmp_path):
    image = np.random.default_rng(1).normal(1000, 33, SHAPE).astype("f4")
    mask = np.ones(SHAPE, "u1")
    mask[:5] = 0
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(mask, name="MASK")]).writeto(tmp_path / "a.fits")
    mask_frame(tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "out.json", validated({}))
    remark, share = json.loads((tmp_path / "out.json").read_text())["remarks"]
    assert remark.startswith("a.fits: its MASK masks 75% of the image") and "inverted" in remark
    assert share.startswith("a.fits: 75% of its pixels are bad in the masks that came with it, expected up to 20%;")


def test_a_mask_of_another_shape_is_refused(tmp_path):
    image = np.ones(SHAPE, "f4")
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(np.ones((3, 3), "u1"), name="DQ")]).writeto(tmp_path / "a.fits")
    with pytest.raises(FrameError, match=r"a\.fits: its DQ has 3x3, expected 30x20; fix or remove it"):
        mask_frame(tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "out.json", validated({}))


@pytest.mark.parametrize("labelled", [True, False])
def test_the_mask_of_a_file_of_its_own_is_that_of_the_same_image(tmp_path, labelled):
    names = ["S1", "S2"]
    sky = np.random.default_rng(1).normal(1000, 33, (2, *SHAPE)).astype("f4")
    codes = np.zeros((2, *SHAPE), "i2")
    codes[0, 3, 4], codes[1, 5, 6], codes[1, 7, 7] = 1, 3, 7
    images = [fits.ImageHDU(data, name=name) for data, name in zip(sky, names, strict=True)]
    masks = [fits.ImageHDU(data, name=name) for data, name in zip(codes, names, strict=True)]
    primary = fits.PrimaryHDU(header=fits.Header({"INSTRUME": "DECam"}))
    fits.HDUList([primary, *images]).writeto(tmp_path / "x_ooi_r.fits")
    fits.HDUList([primary, *(masks[::-1] if labelled else masks[:1])]).writeto(tmp_path / "x_ood_r.fits")
    companion = tmp_path / "x_ood_r.fits", "x_ood_r.fits"
    out = tmp_path / "out.fits", tmp_path / "out.json"
    mask_frame(tmp_path / "x_ooi_r.fits", "x_ooi_r.fits", None, *out, validated({}), companion=companion)
    with fits.open(out[0]) as hdus:
        found = [np.argwhere(hdus["FLAGS", number].data & Flag.INHERITED).tolist() for number in (1, 2)]
        assert hdus[0].header["LIGHTMASK COMPANION"] == "x_ood_r.fits"
    assert found == [[[3, 4]], [[5, 6]] if labelled else []]
    remarks = json.loads(out[1].read_text())["remarks"]
    assert remarks == [] if labelled else ["has no mask of S2" in remark for remark in remarks] == [True]


def test_a_float_too_large_for_a_bit_is_bad(tmp_path):
    values = [0.0, 32.0, 2.0**53, 1e300]
    assert inherited(tmp_path, values, {"TELESCOP": "HST"}, dtype="f8") == ([2.0**53, 1e300], [])
