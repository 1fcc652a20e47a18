"""Frames are masked in bands of rows: with results that do not know of bands, and in bounded memory."""

import os
from functools import partial

import numpy as np
import pytest
import skies
from astropy.io import fits
from bench_memory import peak, write_tiled
from conftest import write_mask

from lightmask import bits
from lightmask.bits import Flag
from lightmask.detect import bands, mask_cosmics
from lightmask.errors import FrameError
from lightmask.fits import images
from lightmask.masks import combine_files, cosmicrays, flags, search
from lightmask.masks import frame as masking
from lightmask.night.configuration import validated
from lightmask.show.pictures import draw_frame

SHAPE = (307, 46)
ODD = 23  # rows of a band, which divide nothing


def in_bands(monkeypatch, rows, columns=SHAPE[1]):
    """Have everything done in bands of so many rows."""
    monkeypatch.setattr(bands, "BAND_PIXELS", rows * columns)
    monkeypatch.setattr(bands, "LEAST_ROWS", 0)
    monkeypatch.setattr(images, "BAND", rows * columns)
    monkeypatch.setattr(images, "KEPT", 0)


@pytest.mark.parametrize("side", [0, 5, 31])
def test_no_more_pixels_are_held_than_was_said(monkeypatch, side):
    parameters = validated({"cosmic_rays": {"psfsize": side or 7, "fsmode": "convolve" if side else "median"}})
    parameters = parameters["cosmic_rays"]
    image, held = skies.scene_across_bands(SHAPE, ODD), []

    def read(rows):
        held.append((min(rows.stop, SHAPE[0]) - rows.start) * SHAPE[1])
        return image[rows], None

    in_bands(monkeypatch, ODD)
    keywords = {name: value for name, value in parameters.items() if name not in ("preset", "detector")}
    mask_cosmics(read, SHAPE, **keywords)
    assert len(held) > 1
    assert max(held) <= cosmicrays.pixels_at_a_time(SHAPE, parameters) < SHAPE[0] * SHAPE[1]
    assert cosmicrays.pixels_at_a_time(SHAPE, parameters | {"detector": "ccdproc"}) == SHAPE[0] * SHAPE[1]


# --- whole frames ---------------------------------------------------------------------------------


def result(folder, frame, combined, config):
    """Mask a frame and give all that was written."""
    folder.mkdir()
    paths = [folder / name for name in ("masked.fits", "statistics.json", "picture.png", "regions.reg")]
    draw = partial(draw_frame, picture=paths[2], title=frame.name)
    masking.mask_frame(frame, frame.name, combined, paths[0], paths[1], validated(config), draw, paths[3])
    return [path.read_bytes() for path in paths]


def write_frame(path, kind):
    data = skies.scene_across_bands(SHAPE, ODD, 5)
    data[2 * ODD, 3] += 9000  # a bad pixel of the flat mask
    if kind.startswith("float"):
        data[np.random.default_rng(6).random(SHAPE) < 0.003] = np.nan
        data[5 * ODD - 4 : 5 * ODD + 5] = np.inf
    hdu = fits.PrimaryHDU(data.astype(kind) if kind.startswith("float") else data.clip(0, 30_000).astype("int16"))
    if kind == "scaled":
        hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["BLANK"] = 0.5, 100.0, 200
    own = np.zeros(SHAPE, np.int16)
    own[ODD - 1 : ODD + 1, 7], own[4 * ODD] = 1, 5
    fits.HDUList([hdu, fits.ImageHDU(own, name="MASK")]).writeto(path)
    return path


@pytest.mark.parametrize("kind", ["float32", "float64", "int16", "scaled"])
def test_frames_in_bands(tmp_path, monkeypatch, kind):
    frame = write_frame(tmp_path / "a.fits", kind)
    write_mask(tmp_path / "flat.fits", "flat mask", [(2 * ODD, 3), (2 * ODD - 1, 4), (306, 45)], SHAPE)
    combined = tmp_path / "combined.fits"
    combine_files([("flat", tmp_path / "flat.fits", "flat.fits")], {"flat": 1.0, "dark": 0}, combined)
    config = {
        "cosmic_rays": {"gain": 1.3, "sigclip": 4.5, "satlevel": 19_000},
        "grow": {"cosmic": 1, "saturated": 30.5, "notfinite": 1.5, "inherited": 2},
    }
    whole = result(tmp_path / "whole", frame, combined, config)
    in_bands(monkeypatch, ODD)
    assert result(tmp_path / "bands", frame, combined, config) == whole
    missing = {Flag.DARK, Flag.EDGE, Flag.NODATA, Flag.NOTFINITE}
    missing -= {"scaled": {Flag.NODATA}, "int16": set()}.get(kind, {Flag.NOTFINITE})
    found = fits.getdata(tmp_path / "bands" / "masked.fits", "FLAGS")
    assert {flag for flag in bits.IN_USE if not (found & flag).any()} == missing


@pytest.mark.parametrize("stage", ["flag_pixels", "Events", "write", "write_regions"])
def test_a_frame_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch, stage):
    """Whatever is read last: what was read before is of another file."""
    frame = write_frame(tmp_path / "a.fits", "float32")
    function = getattr(masking, stage)

    def change_first(*arguments):
        os.utime(frame, (0, 0))
        return function(*arguments)

    in_bands(monkeypatch, ODD)
    monkeypatch.setattr(masking, stage, change_first)
    with pytest.raises(FrameError, match=r"^a\.fits: changed while it was read; start again when it is complete$"):
        result(tmp_path / "out", frame, None, {})
    assert not list((tmp_path / "out").glob("*.part"))
    assert (tmp_path / "out" / "masked.fits").exists() == (stage == "write_regions")


def test_a_frame_that_is_cut_while_it_is_read_is_refused(tmp_path, monkeypatch):
    frame = write_frame(tmp_path / "a.fits", "float32")
    detect = cosmicrays.detect

    def cut_first(*arguments):
        os.truncate(frame, 5000)
        return detect(*arguments)

    in_bands(monkeypatch, ODD)
    monkeypatch.setattr(cosmicrays, "detect", cut_first)
    with pytest.raises(FrameError, match=r"^a\.fits: changed while it was read"):
        result(tmp_path / "out", frame, None, {})
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("radius", [0, 1, 1.5, 40.2])
def test_flags_grow_as_masks_do(monkeypatch, radius):
    found = (np.random.default_rng(7).random(SHAPE) < 0.002) * np.int16(Flag.COSMIC | Flag.FLAT)
    found[::3] |= np.int16(Flag.DARK)
    expected = found.copy()
    expected[flags.grown((found & Flag.COSMIC) != 0, radius)] |= np.int16(Flag.COSMIC)
    monkeypatch.setattr(images, "BAND", 7 * SHAPE[1])
    flags.Flags(found).grow("cosmic", radius)
    np.testing.assert_array_equal(found, expected)


# --- memory ---------------------------------------------------------------------------------------


def test_a_large_frame_takes_little_more_memory_than_a_small_one(tmp_path):
    """Of 30 megapixels more, hardly more is held than their flags: neither 60 MB of pixels, nor copies."""
    field = skies.star_field(1000).clip(0, 32_767)
    parameters = validated({})["cosmic_rays"]
    shapes = (6000, 5000), (12_000, 5000)
    assert [-(-shape[0] // bands.rows_of_band(shape, 49)) for shape in shapes] == [2, 4]
    small, large = (
        peak(write_tiled(tmp_path / f"{shape[0]}.fits", field, shape, ">i2"), pictures=True)[0] for shape in shapes
    )
    assert large - small < 30e6 * search.BYTES_OF_FLAGS / 1e6
    assert small < search.memory(shapes[:1], parameters)
    assert large < search.memory(shapes[1:], parameters)


def test_no_memory_is_taken_for_what_a_header_promises(tmp_path):
    header = fits.Header({"SIMPLE": True, "BITPIX": -64, "NAXIS": 2, "NAXIS1": 10**6, "NAXIS2": 10**6})
    (tmp_path / "a.fits").write_bytes(header.tostring().encode() + bytes(2880))
    with pytest.raises(FrameError, match=r"a\.fits: cannot be read \(truncated: it ends before its pixels do\)"):
        result(tmp_path / "out", tmp_path / "a.fits", None, {})
