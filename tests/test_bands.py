"""Frames are masked in bands of rows: with results that do not know of bands, and in bounded memory."""

import os

import numpy as np
import pytest
import skies
from astropy.io import fits
from bench_memory import peak, write_tiled
from conftest import write_mask

from lightmask import FrameError, cosmicrays, flags, images, masking, masks
from lightmask.configuration import validated
from lightmask.detect import api as lacosmic
from lightmask.detect import detect_cosmics, median_of
from lightmask.flags import Flag

SHAPE = (307, 46)
ODD = 23  # rows of a band, which divide nothing


def scene(seed=1, fraction=0.004):
    """Return stars, one of them saturated over many rows, tracks and hits, also beside the edges of all bands."""
    rng = np.random.default_rng(seed)
    image = skies.add_tracks(skies.add_stars(skies.sky(SHAPE, rng), rng, 8), rng, 10)
    image = skies.add_hits(image, rng, fraction)
    yy, xx = np.ogrid[: SHAPE[0], : SHAPE[1]]
    image[(yy - 9 * ODD) ** 2 + (xx - 20) ** 2 < 150] = 70_000
    for row in range(ODD, SHAPE[0] - 4, ODD):
        image[row - 1 : row + 1, 5 + row % 31] += 4000
    return image


def in_bands(monkeypatch, rows, columns=SHAPE[1]):
    """Have everything done in bands of so many rows."""
    monkeypatch.setattr(lacosmic, "SLAB", rows * columns)
    monkeypatch.setattr(lacosmic, "LEAST_BAND", 0)
    monkeypatch.setattr(lacosmic, "PIECE", 1000)
    monkeypatch.setattr(images, "BAND", rows * columns)
    monkeypatch.setattr(images, "KEPT", 0)


# --- detection ----------------------------------------------------------------------------------

NAMES = ("inmask", "inbkg", "invar")


def more_images(names):
    rng = np.random.default_rng(9)
    found = {
        "inmask": rng.random(SHAPE) < 0.02,
        "inbkg": skies.sky(SHAPE, rng),
        "invar": skies.sky(SHAPE, rng, level=300),
    }
    return {name: found[name] for name in names}


@pytest.mark.parametrize("rows", [11, 150])
@pytest.mark.parametrize("cleantype", list(lacosmic.CLEANERS))
@pytest.mark.parametrize("sepmed", [True, False])
def test_cleaning_in_bands(monkeypatch, rows, cleantype, sepmed):
    compare(monkeypatch, rows, scene(), cleantype=cleantype, sepmed=sepmed)


@pytest.mark.parametrize(
    "parameters",
    [
        {"niter": 1},
        {"niter": 9, "sigclip": 3.0},
        {"sigclip": 8.0, "objlim": 2.0, "cleantype": "median"},  # the last iterations find less and less
        {"fsmode": "convolve", "psfsize": 11},
        {"fsmode": "convolve", "psfk": np.full((9, 3), 1 / 27, np.float32)},
        {"gain": 1.3, "readnoise": 0.0, "satlevel": np.inf},
        {"satlevel": 3000.0},
        {"sigclip": 1.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("names", [(), NAMES[:1], NAMES], ids=str)
def test_all_parameters_in_bands(monkeypatch, parameters, names):
    compare(monkeypatch, ODD, scene(2), **parameters, **more_images(names))


@pytest.mark.parametrize("names", [(), NAMES], ids=str)
def test_medians_that_stand_in_are_of_the_whole_image(monkeypatch, names):
    """Of cosmic rays larger than 5x5, and of holes larger than that in each image."""
    image = scene(3, fraction=0.3)
    image[40:52, 20:32] += np.random.default_rng(4).uniform(500, 5000, (12, 12)).astype(np.float32)
    image[100:112] = np.nan
    others = more_images(names)
    for name in set(names) - {"inmask"}:
        others[name][200:212, 3:20] = np.nan
    asked = []
    level = lacosmic._Bands.good_level
    monkeypatch.setattr(lacosmic._Bands, "good_level", lambda self, name: asked.append(name) or level(self, name))
    compare(monkeypatch, ODD, image, sigclip=2.0, objlim=0.5, sigfrac=0.1, **others)
    assert set(asked) == {"data", "variance"} if names else {"data"}


def compare(monkeypatch, rows, image, **parameters):
    """Expect of bands what one band gives, which is astroscrappy's (tests/detect/test_api.py)."""
    assert lacosmic._height(SHAPE, 50) == SHAPE[0]
    whole = detect_cosmics(image, **parameters)
    in_bands(monkeypatch, rows)
    assert lacosmic._height(SHAPE, 50) <= rows
    result = detect_cosmics(image, **parameters)
    assert result.counts == whole.counts
    assert sum(whole.counts) > 20
    np.testing.assert_array_equal(result.crmask, whole.crmask)
    np.testing.assert_array_equal(result.cleanarr, whole.cleanarr)


def test_fewer_rows_around_a_band_would_not_do(monkeypatch):
    """The comparison sees an overlap that is too small."""
    overlap = lacosmic._overlap
    monkeypatch.setattr(lacosmic, "_overlap", lambda *arguments: overlap(*arguments) // 12)
    with pytest.raises(AssertionError):
        compare(monkeypatch, ODD, scene(), sigclip=3.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 999, 1000])
def test_median_of_parts(dtype, size):
    rng = np.random.default_rng(size)
    values = rng.normal(0, 10, size).astype(dtype)
    values[rng.random(size) < 0.2] = np.inf
    values[rng.random(size) < 0.5] = -3
    ordered = np.sort(values)
    for upper in (False, True):
        found = median_of(lambda: np.array_split(values, 7), dtype, upper)
        assert found == ordered[(size - 1 + upper) // 2]
        assert found.dtype == dtype
    assert median_of(lambda: [values[:0]], dtype) == 0


@pytest.mark.parametrize("side", [0, 5, 31])
def test_what_is_held_is_reckoned(monkeypatch, side):
    parameters = validated({"cosmic_rays": {"psfsize": side or 7, "fsmode": "convolve" if side else "median"}})
    parameters = parameters["cosmic_rays"]
    held = []

    def read(rows):
        held.append((min(rows.stop, SHAPE[0]) - rows.start) * SHAPE[1])
        return scene()[rows], None

    in_bands(monkeypatch, ODD)
    keywords = {name: value for name, value in parameters.items() if name not in ("detector", "known_bad_pixels")}
    lacosmic.mask_cosmics(read, SHAPE, **keywords)
    assert len(held) > 1
    assert max(held) <= cosmicrays.pixels_at_a_time(SHAPE, parameters) < SHAPE[0] * SHAPE[1]
    assert cosmicrays.pixels_at_a_time(SHAPE, parameters | {"detector": "ccdproc"}) == SHAPE[0] * SHAPE[1]


# --- whole frames ---------------------------------------------------------------------------------


def result(folder, frame, combined, config):
    """Mask a frame and give all that was written."""
    folder.mkdir()
    paths = [folder / name for name in ("masked.fits", "statistics.json", "picture.png", "regions.reg")]
    masking.mask_frame(frame, frame.name, combined, paths[0], paths[1], validated(config), paths[2], paths[3])
    return [path.read_bytes() for path in paths]


def write_frame(path, kind):
    data = scene(5)
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


@pytest.mark.parametrize("known_bad_pixels", ["ignore", "mask"])
@pytest.mark.parametrize("kind", ["float32", "float64", "int16", "scaled"])
def test_frames_in_bands(tmp_path, monkeypatch, kind, known_bad_pixels):
    frame = write_frame(tmp_path / "a.fits", kind)
    write_mask(tmp_path / "flat.fits", "flat mask", [(2 * ODD, 3), (2 * ODD - 1, 4), (306, 45)], SHAPE)
    combined = tmp_path / "combined.fits"
    masks.combine_files([("flat", tmp_path / "flat.fits", "flat.fits")], {"flat": 1.0, "dark": 0}, combined)
    config = {
        "cosmic_rays": {"known_bad_pixels": known_bad_pixels, "gain": 1.3, "sigclip": 4.5, "satlevel": 19_000},
        "grow": {"cosmic": 1, "saturated": 30.5, "notfinite": 1.5, "inherited": 2},
    }
    whole = result(tmp_path / "whole", frame, combined, config)
    in_bands(monkeypatch, ODD)
    assert result(tmp_path / "bands", frame, combined, config) == whole
    for flag in flags.Flag:
        assert (fits.getdata(tmp_path / "bands" / "masked.fits", "FLAGS") & flag).any() != (
            flag == Flag.DARK or (flag == Flag.NOTFINITE and kind == "int16")
        )


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
    found = (np.random.default_rng(7).random(SHAPE) < 0.002) * np.uint8(Flag.COSMIC | Flag.FLAT)
    found[::3] |= np.uint8(Flag.DARK)
    expected = found.copy()
    expected[flags.grown((found & Flag.COSMIC) != 0, radius)] |= np.uint8(Flag.COSMIC)
    monkeypatch.setattr(images, "BAND", 7 * SHAPE[1])
    flags.grow(found, Flag.COSMIC, radius)
    np.testing.assert_array_equal(found, expected)


# --- memory ---------------------------------------------------------------------------------------


def test_a_large_frame_takes_little_more_memory_than_a_small_one(tmp_path):
    """Of 30 megapixels more, hardly more is held than their flags: neither 60 MB of pixels, nor copies."""
    field = skies.star_field(1000).clip(0, 32_767)
    parameters = validated({})["cosmic_rays"]
    shapes = (6000, 5000), (12_000, 5000)
    assert [-(-shape[0] // lacosmic._height(shape, 49)) for shape in shapes] == [2, 4]
    small, large = (
        peak(write_tiled(tmp_path / f"{shape[0]}.fits", field, shape, ">i2"), pictures=True)[0] for shape in shapes
    )
    assert large - small < 30e6 * masking.BYTES_OF_FLAGS / 1e6
    assert small < masking.memory(shapes[0], parameters)
    assert large < masking.memory(shapes[1], parameters)


def test_no_memory_is_taken_for_what_a_header_promises(tmp_path):
    header = fits.Header({"SIMPLE": True, "BITPIX": -64, "NAXIS": 2, "NAXIS1": 10**6, "NAXIS2": 10**6})
    (tmp_path / "a.fits").write_bytes(header.tostring().encode() + bytes(2880))
    with pytest.raises(FrameError, match=r"a\.fits: cannot be read \(truncated: it ends before its pixels do\)"):
        result(tmp_path / "out", tmp_path / "a.fits", None, {})
