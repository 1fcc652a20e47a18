"""An image in memory is masked as a file of the same content is."""

import json
import re
import warnings

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask import Flag, Flags, FrameError, MaskWarning, detect_cosmics, mask_ccd
from lightmask.masks import combine_files, mask_frame
from lightmask.night.configuration import validated

SHAPE = (70, 60)
CARDS = {"EGAIN": 1.7, "RDNOISE": 6.0, "SATURATE": 50_000.0, "EXPTIME": 20.0}


def image(seed=1, dtype="f4"):
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    sky = 400 + 6000 * np.exp(-((y - 40) ** 2 + (x - 30) ** 2) / 6)
    data = rng.poisson(sky).astype("f8")
    for row in range(5, 66, 6):
        data[row, 10 + row % 40 : 12 + row % 40] += 2500
    data[60, 50] = 64_000
    return data.astype(dtype)


def quiet(ccd, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MaskWarning)
        return mask_ccd(ccd, **keywords)


def of_file(folder, ccd, config, **masks):
    """Return MASK, FLAGS, header and statistics of a file of the same content, masked."""
    hdus = [fits.PrimaryHDU(ccd.data, fits.Header(dict(ccd.meta) | {"BUNIT": ccd.unit.to_string()}))]
    if ccd.mask is not None:
        hdus.append(fits.ImageHDU(np.broadcast_to(ccd.mask, SHAPE).astype(np.uint8), name="MASK"))
    fits.HDUList(hdus).writeto(folder / "a.fits", overwrite=True)
    combined = None
    if masks:
        combined = folder / "combined.fits"
        files = []
        for kind, mask in masks.items():
            path = folder / f"{kind}.fits"
            fits.writeto(path, mask.astype(np.uint8), fits.Header({"IMAGETYP": f"{kind} mask"}), overwrite=True)
            files.append((kind, path, path.name))
        grow = validated(config)["grow"]
        combine_files(files, {kind: grow[kind] for kind in ("flat", "dark")}, combined)
    mask_frame(folder / "a.fits", "image", combined, folder / "m.fits", folder / "m.json", validated(config))
    with fits.open(folder / "m.fits") as found:
        parts = found["MASK"].data.copy(), found["FLAGS"].data.copy(), found[0].header.copy()
    return *parts, json.loads((folder / "m.json").read_text())


@settings(max_examples=25, deadline=None)
@given(
    dtype=st.sampled_from(["f4", "f8", ">f4", "i4", "u2", ">i2"]),
    unit=st.sampled_from(["adu", "electron", "adu / s"]),
    preset=st.sampled_from(["chapter", "best"]),
    with_masks=st.sets(st.sampled_from(["own", "flat", "dark"])),
    grow=st.sampled_from([{}, {"cosmic": 1}, {"flat": 1.5, "dark": 1}]),
    seed=st.integers(0, 100),
)
def test_memory_and_file_agree(tmp_path_factory, dtype, unit, preset, with_masks, grow, seed):
    rng = np.random.default_rng(seed)
    data = image(seed, dtype if dtype not in ("u2", ">i2") else "f8").clip(-30_000, 32_000).astype(dtype)
    if data.dtype.kind == "f":
        data[rng.random(SHAPE) < 0.002] = np.nan
    masks = {kind: rng.random(SHAPE) < 0.01 for kind in ("flat", "dark") if kind in with_masks}
    own = rng.random(SHAPE) < 0.01 if "own" in with_masks else None
    ccd = CCDData(data, unit=unit, mask=own, meta=CARDS)
    before = ccd.copy()
    found = quiet(
        ccd,
        preset=preset,
        config={"grow": grow, "most_masked": 1},
        **{f"{kind}_mask": each for kind, each in masks.items()},
    )
    stored = CCDData(data.astype("i4") if dtype == "u2" else data, unit=unit, mask=own, meta=CARDS)
    config = {"grow": grow, "most_masked": 1, "cosmic_rays": {"preset": preset}}
    mask, flags, header, counted = of_file(tmp_path_factory.mktemp("ccd"), stored, config, **masks)
    np.testing.assert_array_equal(found.flags, flags)
    np.testing.assert_array_equal(found.mask, mask != 0)
    assert found.flags.dtype == np.int16 and found.mask.dtype == bool
    own_cards = [
        key for key in header if key.startswith("LIGHTMASK") and not re.search("RECIPE|SHA|FRAME|FLAT1|DARK1", key)
    ]
    assert {key: found.meta[key] for key in own_cards} == {key: header[key] for key in own_cards}
    assert found.meta["LIGHTMASK COSMIC PIXELS"] == counted["cosmic"] > 5
    np.testing.assert_array_equal(ccd.data, before.data)
    assert ccd.meta == before.meta and ccd.flags is None
    assert (ccd.mask is None) == (before.mask is None)


def test_everything_else_stays():
    wcs = WCS(naxis=2)
    header = fits.Header(CARDS | {"OBJECT": "M 1"})
    header.add_history("flattened")
    ccd = CCDData(image(), unit="adu", meta=header, uncertainty=StdDevUncertainty(np.full(SHAPE, 20.0)), wcs=wcs)
    found = quiet(ccd)
    assert found.unit == units.adu and found.wcs is wcs and found.meta["OBJECT"] == "M 1"
    assert found.meta["HISTORY"][0] == "flattened" and found.uncertainty.uncertainty_type == "std"
    assert found.meta["LIGHTMASK SIGCLIP"] == 8 and "LIGHTMASK VERSION" not in ccd.meta
    assert found.meta.comments["LIGHTMASK SIGCLIP"] == "[sigma]"
    assert repr(Flags(found.flags)).startswith("<Flags of 70x60: cosmic ")
    again = quiet(found)  # what was masked is inherited
    assert (again.flags[found.mask] & Flag.INHERITED).all()


def test_the_chapter_is_the_default():
    ccd = CCDData(image(), unit="adu", meta=CARDS)
    expected = detect_cosmics(image(), gain=1, readnoise=10, sigclip=8).crmask
    np.testing.assert_array_equal((quiet(ccd).flags & Flag.COSMIC) != 0, expected)


@pytest.mark.parametrize(
    "uncertainty",
    [
        StdDevUncertainty(np.full(SHAPE, 90.0)),
        VarianceUncertainty(np.full(SHAPE, 8100.0)),
        InverseVariance(np.full(SHAPE, 1 / 8100)),
    ],
)
def test_the_uncertainty_can_be_the_noise(uncertainty):
    ccd = CCDData(image(), unit="adu", meta=CARDS, uncertainty=uncertainty)
    config = {"noise": "extension", "cosmic_rays": {"gain": 1, "readnoise": 10, "sigclip": 5}}
    given = detect_cosmics(image(), invar=np.full(SHAPE, 250**2, "f4"), gain=1, readnoise=10, sigclip=5).crmask
    np.testing.assert_array_equal((quiet(ccd, config=config).flags & Flag.COSMIC) != 0, given)
    assert 0 < given.sum() < ((quiet(ccd, config=config | {"noise": "model"}).flags & Flag.COSMIC) != 0).sum()


def test_what_is_odd_is_a_warning_that_names_it():
    ccd = CCDData(image(), unit="adu", meta={"OBJECT": "x", "pipeline": {"a": 1}, 7: 8, "EGAIN": 1.0})
    with pytest.warns(MaskWarning) as caught:
        mask_ccd(ccd, preset="best", name="m51")
    lines = [str(each.message) for each in caught]
    assert any(line.startswith("m51: meta pipeline: found {'a': 1}, which no header can hold") for line in lines)
    assert any(line.startswith("m51: meta 7: found 8, which no header can hold") for line in lines)
    assert any("satlevel: auto" in line for line in lines) and all(line.startswith("m51: ") for line in lines)
    assert {each.filename for each in caught} == {__file__}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"data": np.zeros((2, 3, 4))}, FrameError, "m: found an image of 2x3x4 of float64, expected rows and columns"),
        ({"data": np.zeros(5)}, FrameError, "found an image of 5 of float64"),
        ({"data": np.zeros((0, 4))}, FrameError, "found an image of 0x4"),
        ({"data": np.zeros((4, 4), complex)}, FrameError, "found an image of 4x4 of complex128"),
        ({"flat_mask": np.zeros((3, 3))}, ValueError, "flat_mask: found shape (3, 3), expected (70, 60)"),
        ({"preset": "worst"}, ValueError, "cosmic_rays.preset: found 'worst'"),
        ({"config": {"colour": 1}}, ValueError, "colour"),
        ({"unit": "m"}, FrameError, "m: "),
        ({"config": {"noise": "extension"}}, FrameError, "found no error, variance or weight extension"),
    ],
)
def test_what_cannot_be_masked_is_an_error(change, error, message):
    ccd = CCDData(change.pop("data", image()), unit=change.pop("unit", "adu"), meta=CARDS)
    with pytest.raises(error, match=re.escape(message)):
        quiet(ccd, name="m", **change)


def test_nothing_is_printed(capfd):
    quiet(CCDData(image(), unit="adu", meta=CARDS), preset="best")
    assert capfd.readouterr() == ("", "")
