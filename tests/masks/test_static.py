"""Masks that are made from files of flats and darks, and files that cannot be used."""

import contextlib
import gzip
import json
import os
import subprocess
import sys
import tracemalloc
import warnings
from math import nan
from pathlib import Path

import ccdproc
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.stats import mad_std
from conftest import CHECKOUT, without_rights, write_light
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from lightmask.errors import FrameError
from lightmask.masks import dark, flat, static
from lightmask.masks.flags import grown
from lightmask.masks.sources import OpenSources
from lightmask.masks.static import Output
from lightmask.night.configuration import validated
from lightmask.workflow import logs

CONFIG = validated({})
SHAPE = (64, 80)


def noisy(level, seed=0):
    return np.random.default_rng(seed).normal(level, abs(level) / 200, SHAPE).astype(np.float32)


def write_flat(path, level, seed=0, **cards):
    write_light(path, data=noisy(level, seed), IMAGETYP="FLAT", **cards)
    return (str(path), path.name)


def make_flat_mask(flats, output, required=True, checksums="check", **changes):
    config = {"make_flat_mask": CONFIG["make_flat_mask"] | changes, "checksums": checksums}
    out = Output(output, output.with_suffix(".json"))
    flat.make_flat_mask(flats, {"IMAGETYP": "flat mask"}, ["FILTER"], config, SHAPE, out, required)
    return fits.getheader(output)


def test_a_flat_mask_names_the_flats_that_made_it(tmp_path):
    flats = [write_flat(tmp_path / f"{n}.fits", level, n) for n, level in enumerate((20_000, 30_000, 10_000))]
    header = make_flat_mask(flats, tmp_path / "m.fits", nlsig=11)
    assert {header[f"LIGHTMASK FLAT{number}"] for number in (1, 2, 3)} == {"0.fits", "1.fits", "2.fits"}
    assert header["LIGHTMASK METHOD"] == "bad in most of 3 ratios"
    header = make_flat_mask(flats[:2], tmp_path / "m.fits", nlsig=11)
    assert (header["LIGHTMASK FLAT1"], header["LIGHTMASK FLAT2"]) == ("1.fits", "0.fits")
    assert header["LIGHTMASK METHOD"] == "ratio flat2 / flat1"
    assert (header["LIGHTMASK NLSIG"], header["LIGHTMASK LSIGMA"], header["LIGHTMASK PIXELS"]) == (11, 9, 0)
    assert (header["IMAGETYP"], header["FILTER"], header["BITPIX"]) == ("flat mask", "r", 8)


@pytest.mark.parametrize(
    ("levels", "why"),
    [((30_000,), "there is no other uncombined flat"), ((30_000, 29_000), "2 flats differ by less than 0.1")],
)
def test_one_flat_alone_is_told_in_the_log_and_on_the_terminal(tmp_path, capfd, levels, why):
    flats = [write_flat(tmp_path / f"{n}.fits", level, n) for n, level in enumerate(levels)]
    with logs.logged_to(tmp_path / "log"):
        header = make_flat_mask(flats, tmp_path / "m.fits")
    warning = f"WARNING: 0.fits: the flat mask is made from this flat alone, as {'counts of ' * (len(levels) > 1)}{why}"
    assert capfd.readouterr().err.startswith(warning)
    assert warning in (tmp_path / "log").read_text()
    assert header["LIGHTMASK METHOD"] == "one flat"


def damage(path):
    """Return a file checksums, and then change a bit of its data."""
    with fits.open(path, mode="update", checksum=True) as hdus:
        hdus[0].add_checksum()
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["flat", "dark"])
def test_flats_and_darks_are_checked_too(tmp_path, capfd, kind):
    levels, time = ((10_000, 30_000), 10.0) if kind == "flat" else ((30, 40), 1000.0)
    files = [write_flat(tmp_path / f"{n}.fits", level, n, EXPTIME=time) for n, level in enumerate(levels)]
    damage(tmp_path / "1.fits")
    make = make_flat_mask if kind == "flat" else make_dark_mask
    make(files, tmp_path / "m.fits")
    assert "DATASUM of HDU 0 is" in left_out(tmp_path / "m.fits")[0]["1.fits"]
    assert capfd.readouterr().out.count("WARNING: 1.fits: DATASUM") == 1
    make(files, tmp_path / "m.fits", checksums="warn")
    assert capfd.readouterr().out.count("WARNING: 1.fits: DATASUM") == 1
    assert left_out(tmp_path / "m.fits") == ({}, True)


def left_out(output):
    """Paths and problems of what was left out of a mask, and whether it was made."""
    found = json.loads(output.with_suffix(".json").read_text())
    return {source["path"]: source["problem"] for source in found["left_out"]}, found["made"]


FAULTS = {
    "truncated": "cannot be read (truncated: it ends before its pixels do); copy it again, or take it out",
    "empty": "an empty file, expected FITS; copy it again, or take it out of the folder",
    "text": "not a FITS file: begins with b'no FITS f', expected b'SIMPLE  ='; take it out of the folder",
    "half a gzip": "cannot be read (Compressed file ended before the end-of-stream marker was reached); copy it again",
    "another shape": "shape 80x63, expected 80x64; it changed since the folder was searched, start again",
    "negative": "the median of its pixels is -",
    "nan": "the median of its pixels is nan, expected counts above 0; take it out of the folder",
    "EXPTIME": "no EXPTIME or EXPOSURE in the header, expected an exposure above 0 s; add it, or set make_dark",
    ("EXPTIME", 0.0): "EXPTIME is 0.0, expected an exposure above 0 s; correct it, or set make_dark_mask: exposure",
    "GAIN": "no GAIN in the header, expected a number of e-/adu above 0; add it, or set make_dark_mask: gain",
    ("BUNIT", "electron"): "its unit is electron, yet make_dark_mask: gain is 1.5 e-/adu; set gain to 1",
}


def spoil(file, fault):
    """Make a source of no use; give what messages say."""
    path = Path(file[0])
    whole = path.read_bytes()
    content = {
        "truncated": whole[:9000],
        "empty": b"",
        "text": b"no FITS file" * 1000,
        "half a gzip": gzip.compress(whole)[:5000],
    }
    change = {"another shape": lambda data: data[:-1], "negative": np.negative, "nan": lambda data: data * nan}
    if fault in content:
        path.write_bytes(content[fault])
        return FAULTS[fault]
    data, header = fits.getdata(path, header=True)
    if fault in change:
        data = change[fault](data).astype(np.float32)
    elif isinstance(fault, tuple):
        header[fault[0]] = fault[1]
    else:
        del header[fault]
    fits.writeto(path, data, header, overwrite=True)
    return FAULTS[fault]


BROKEN = ["truncated", "empty", "text", "half a gzip", "another shape"]
FLAT_FAULTS = [*BROKEN, "negative", "nan"]
DARK_FAULTS = [*BROKEN, "EXPTIME", ("EXPTIME", 0.0), "GAIN", ("BUNIT", "electron")]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("fault", FLAT_FAULTS)
def test_a_flat_mask_is_made_without_the_flats_that_cannot_be_used(tmp_path, capsys, fault, place):
    flats = [write_flat(tmp_path / f"{n}.fits", level, n) for n, level in enumerate((30_000, 20_000, 10_000))]
    make_flat_mask([flat for flat in flats if flat != flats[place]], tmp_path / "expected.fits")
    expected = (tmp_path / "expected.fits").read_bytes()
    assert left_out(tmp_path / "expected.fits") == ({}, True)
    problem = spoil(flats[place], fault)
    capsys.readouterr()
    make_flat_mask(flats, tmp_path / "m.fits")
    assert (tmp_path / "m.fits").read_bytes() == expected
    ((name, said),), made = left_out(tmp_path / "m.fits")[0].items(), left_out(tmp_path / "m.fits")[1]
    assert (name, made) == (f"{place}.fits", True) and said.startswith(problem)
    assert f"WARNING: {name}: {said}; the mask is made without it\n" in capsys.readouterr().out


@pytest.mark.parametrize("fault", FLAT_FAULTS)
def test_without_a_flat_that_can_be_used_there_is_no_mask_or_an_empty_one(tmp_path, fault):
    flats = [write_flat(tmp_path / f"{n}.fits", 30_000, n) for n in range(2)]
    problems = [spoil(flat, fault) for flat in flats]
    refused(lambda required: make_flat_mask(flats, tmp_path / "m.fits", required), tmp_path / "m.fits", problems)


def refused(make, output, problems):
    """Check what becomes of a mask of which no source can be used, required or not."""
    with pytest.raises(FrameError) as caught:
        make(True)
    for number, problem in enumerate(problems):
        assert f"{number}.fits: {problem}" in str(caught.value)
    assert not output.exists()
    make(False)
    data, header = fits.getdata(output, header=True)
    assert data.shape == SHAPE and data.dtype == np.uint8 and not data.any()
    assert header["LIGHTMASK METHOD"] == "none, no source could be used"
    assert "IMAGETYP" not in header  # in another night's folder it is no mask
    found, made = left_out(output)
    assert list(found) == [f"{number}.fits" for number in range(len(problems))] and not made


@pytest.mark.parametrize("fault", DARK_FAULTS)
def test_without_a_dark_that_can_be_used_there_is_no_mask_or_an_empty_one(tmp_path, fault):
    darks = [write_dark(tmp_path / f"{n}.fits", data, GAIN=1.5) for n, data in enumerate(darks_of(2))]
    problems = [spoil(dark, fault) for dark in darks]
    refused(
        lambda required: make_dark_mask(darks, tmp_path / "m.fits", required=required, gain="GAIN"),
        tmp_path / "m.fits",
        problems,
    )


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("fault", DARK_FAULTS)
def test_a_dark_mask_is_made_without_the_darks_that_cannot_be_used(tmp_path, capsys, fault, place):
    darks = [write_dark(tmp_path / f"{n}.fits", data, GAIN=1.5) for n, data in enumerate(darks_of(3))]
    make_dark_mask([dark for dark in darks if dark != darks[place]], tmp_path / "expected.fits", gain="GAIN")
    expected = (tmp_path / "expected.fits").read_bytes()
    assert left_out(tmp_path / "expected.fits") == ({}, True)
    problem = spoil(darks[place], fault)
    capsys.readouterr()
    make_dark_mask(darks, tmp_path / "m.fits", gain="GAIN")
    assert (tmp_path / "m.fits").read_bytes() == expected
    ((name, said),), made = left_out(tmp_path / "m.fits")[0].items(), left_out(tmp_path / "m.fits")[1]
    assert (name, made) == (f"{place}.fits", True) and said.startswith(problem)
    assert f"WARNING: {name}: {said}; the mask is made without it\n" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["flat", "dark"])
def test_what_the_machine_refuses_is_no_fault_of_a_source(tmp_path, kind):
    write, make = (write_flat, make_flat_mask) if kind == "flat" else (write_dark, make_dark_mask)
    files = [write(tmp_path / f"{n}.fits", 100 if kind == "flat" else darks_of(1)[0]) for n in range(2)]
    (tmp_path / "1.fits").chmod(0)
    with without_rights(), pytest.raises(FrameError, match=r"^1\.fits: cannot be read \(Permission denied\)"):
        make(files, tmp_path / "m.fits", required=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.fits", "1.fits"]


# --- darks -------------------------------------------------------------------------


def write_dark(path, electrons, exposure=30.0, **cards):
    write_light(path, data=np.asarray(electrons, np.float32), **{"IMAGETYP": "DARK", "EXPTIME": exposure} | cards)
    return (str(path), path.name)


def darks_of(count, seed=0, level=10.0):
    random = np.random.default_rng(seed)
    return [random.normal(level, 3, SHAPE).astype(np.float32) for _ in range(count)]


@contextlib.contextmanager
def opened_darks(files):
    with OpenSources(len(files)) as sources:
        yield [sources.open(*file, lambda rows: None)[0] for file in files]


@pytest.mark.parametrize("memory", [1e9, 1e5, 1])
def test_darks_are_combined_as_ccdproc_does(tmp_path, memory):
    images = darks_of(6)
    images[2][7, 7] = 5000  # a cosmic ray
    files = [write_dark(tmp_path / f"{n}.fits", data) for n, data in enumerate(images)]
    with opened_darks(files) as darks:
        found = dark.combine(darks, [1.0] * 6, SHAPE, 5, memory)
    expected = ccdproc.combine(
        [CCDData(data, unit=u.adu) for data in images],
        sigma_clip=True,
        sigma_clip_low_thresh=5,
        sigma_clip_high_thresh=5,
        sigma_clip_func=np.ma.median,
        sigma_clip_dev_func=mad_std,
    )
    assert np.array_equal(found, expected.data)
    assert found[7, 7] < 20


def test_a_combination_leaves_out_what_has_no_value(tmp_path):
    images = darks_of(3)
    for data in images:
        data[5, 5] = nan
    images[0][6, 6] = np.inf
    files = [write_dark(tmp_path / f"{n}.fits", data) for n, data in enumerate(images)]
    with opened_darks(files) as darks:
        found = dark.combine(darks, [2.0, 2.0, 2.0], SHAPE, 5, 1e9)
    assert np.isnan(found[5, 5]) and np.isnan(found).sum() == 1
    assert found[6, 6] == pytest.approx(images[1][6, 6] + images[2][6, 6])


def bytes_read():
    """Bytes that this process has read so far, as the kernel counts."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_each_dark_is_read_once_however_many_bands_there_are_and_none_is_kept(tmp_path):
    files = [write_dark(tmp_path / f"{n}.fits", np.full((512, 640), n)) for n in range(12)]
    size = Path(files[0][0]).stat().st_size
    with opened_darks(files) as darks:
        dark.combine(darks[:2], [1.0] * 2, (1, 640), 5, 1)  # imports ccdproc
        before = bytes_read()
        tracemalloc.start()
        found = dark.combine(darks, [1.0] * 12, (512, 640), 5, 1e6)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert bytes_read() - before < 1.1 * 12 * size
        assert peak < found.nbytes + 2e6
    assert (found == 5.5).all()


def test_a_dark_is_digested_once(tmp_path):
    files = [write_dark(tmp_path / f"{n}.fits", np.full((512, 640), n)) for n in range(12)]
    before = bytes_read()
    with opened_darks(files):
        assert bytes_read() - before < 1.1 * 12 * Path(files[0][0]).stat().st_size


def write_darks_of_every_kind(folder, number):
    """Write plain, gzipped and tile-compressed darks, some with a mask of their own."""
    files = []
    for n, data in enumerate(darks_of(number)):
        file = write_dark(folder / f"{n:03}.fits", data)
        path = folder / f"{n:03}.fits"
        if n % 4 == 1:
            path.write_bytes(gzip.compress(path.read_bytes()))
        elif n in (2, 38):  # which takes a process each
            packed = fits.CompImageHDU(data, fits.getheader(path), quantize_level=0, compression_type="GZIP_2")
            whole = [fits.PrimaryHDU(), packed]
            fits.HDUList(whole).writeto(path, overwrite=True)
        elif n % 4 == 3:
            own = np.zeros(SHAPE, np.uint8)
            own[n % 64, 7] = 1
            fits.append(path, own, fits.Header({"EXTNAME": "MASK"}))
        files.append(file)
    return files


WITH_FEW_HANDLES = """
import json, resource, sys
from lightmask.masks import Output, make_dark_mask
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))
arguments = json.load(sys.stdin)
make_dark_mask(**arguments | {"output": Output(*arguments["output"]), "shape": tuple(arguments["shape"])})
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("hard", "soft"), [(40, 40), (90, 90), (1000, None)])
def test_more_darks_than_files_may_be_open(tmp_path, hard, soft):
    files = write_darks_of_every_kind(tmp_path, 40)
    make_dark_mask(files, tmp_path / "expected.fits")
    config = {key: CONFIG[key] for key in ("make_dark_mask", "unit", "unit_names", "checksums")}
    arguments = {
        "darks": files,
        "cards": {"IMAGETYP": "dark mask"},
        "keywords": ["INSTRUME"],
        "config": config | {"combined": CONFIG["frame_type"]["combined"]},
        "shape": SHAPE,
        "output": [str(tmp_path / "m.fits"), str(tmp_path / "m.json")],
        "memory": 1e5,
    }
    process = subprocess.run(
        [sys.executable, "-c", WITH_FEW_HANDLES.replace("(64, ", f"({min(64, hard)}, "), str(hard)],
        input=json.dumps(arguments),
        env={"PYTHONPATH": str(CHECKOUT / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert left_out(tmp_path / "m.fits") == ({}, True)
    assert (tmp_path / "m.fits").read_bytes() == (tmp_path / "expected.fits").read_bytes()
    limit = int(process.stdout.split()[-1])
    assert limit == soft if soft else 120 < limit < 1000


@pytest.mark.parametrize("kind", range(4))
def test_a_dark_that_changes_before_its_rows_are_read_is_refused(tmp_path, kind):
    files = write_darks_of_every_kind(tmp_path, 4)
    expected = pytest.raises(FrameError, match=rf"^00{kind}\.fits: changed while it was read; start again")
    with opened_darks(files) as darks, contextlib.nullcontext() if kind in (1, 2) else expected:
        os.utime(files[kind][0], (1, 1))
        dark.combine(darks, [1.0] * 4, SHAPE, 5, 1e5)  # a copy without compression does not change


def make_dark_mask(darks, output, unit="adu", required=True, checksums="check", **changes):
    config = {
        "make_dark_mask": CONFIG["make_dark_mask"] | changes,
        "combined": CONFIG["frame_type"]["combined"],
        "unit": unit,
        "unit_names": CONFIG["unit_names"],
        "checksums": checksums,
    }
    out = Output(output, output.with_suffix(".json"))
    dark.make_dark_mask(darks, {"IMAGETYP": "dark mask"}, ["INSTRUME"], config, SHAPE, out, required)
    return fits.getdata(output), fits.getheader(output)


def one_hot_pixel(counts):
    data = np.random.default_rng(1).normal(0, 1, SHAPE)
    data[5, 5] = counts
    return data


@pytest.mark.parametrize(
    ("counts", "exposure", "gain", "hot"),
    [(125, 30.0, 1.0, True), (115, 30.0, 1.0, False), (115, 30.0, 1.5, True), (115, 27.0, 1.0, True)],
)
def test_dark_current_is_counts_times_gain_over_exposure(tmp_path, counts, exposure, gain, hot):
    file = write_dark(tmp_path / "d.fits", one_hot_pixel(counts), exposure, INSTRUME="cam", EGAIN=gain)
    mask, header = make_dark_mask([file], tmp_path / "m.fits", gain="EGAIN")
    assert mask[5, 5] == hot and mask.sum() == hot
    assert (header["IMAGETYP"], header["INSTRUME"], header["BITPIX"]) == ("dark mask", "cam", 8)
    assert (header["LIGHTMASK GAIN"], header["LIGHTMASK THRESHOLD"], header["LIGHTMASK PIXELS"]) == (gain, 4, int(hot))
    assert (header["LIGHTMASK EXPOSURES"], header["LIGHTMASK DARK1"]) == (f"{exposure:g}", "d.fits")


@pytest.mark.parametrize(
    ("cards", "changes", "message"),
    [
        (
            {"EXPTIME": 0.0},
            {},
            "EXPTIME is 0.0, expected an exposure above 0 s; correct it, or set make_dark_mask: exp",
        ),
        ({"EXPTIME": None}, {}, "no EXPTIME or EXPOSURE in the header"),
        ({}, {"gain": "EGAIN"}, "no EGAIN in the header, expected a number of e-/adu above 0; add it, or set make"),
        ({"BUNIT": "electron"}, {"gain": 1.5}, "its unit is electron, yet make_dark_mask: gain is 1.5"),
    ],
)
def test_a_dark_that_cannot_be_used_is_named(tmp_path, cards, changes, message):
    file = write_dark(tmp_path / "d.fits", one_hot_pixel(200), **cards)
    with pytest.raises(FrameError) as caught:
        make_dark_mask([file], tmp_path / "m.fits", **changes)
    assert str(caught.value).startswith(f"d.fits: {message}")


def test_exposures_of_individual_darks_are_combined_each_and_compared(tmp_path):
    files = []
    for number in range(8):
        exposure = 100.0 if number < 4 else 1000.0
        data = np.random.default_rng(number).normal(0, 3, SHAPE)
        data[5, 5] = 1.0 * exposure * (0.3 if exposure == 1000 else 1)
        data[number, 50] = 40_000  # a cosmic ray, once
        files.append(write_dark(tmp_path / f"{number}.fits", data, exposure))
    mask, header = make_dark_mask(files, tmp_path / "m.fits")
    assert mask[5, 5] and mask.sum() == 1
    assert header["LIGHTMASK EXPOSURES"] == "100 1000"
    assert (header["LIGHTMASK LINEARITY"], header["LIGHTMASK SIGMA_CLIP"]) == (5, 5)
    assert header["LIGHTMASK DARK8"] == "7.fits"
    mask, header = make_dark_mask(files, tmp_path / "m.fits", linearity=None)
    assert not mask.any() and "LIGHTMASK LINEARITY" not in header


def test_a_mask_reads_back_as_those_of_the_chapter_do(tmp_path):
    make_dark_mask([write_dark(tmp_path / "d.fits", one_hot_pixel(200))], tmp_path / "m.fits")
    with warnings.catch_warnings(action="error"):
        mask = CCDData.read(tmp_path / "m.fits", unit=u.dimensionless_unscaled)
    mask.data = mask.data.astype("bool")
    assert mask.data[5, 5] and mask.data.sum() == 1
    (listed,) = ccdproc.ImageFileCollection(tmp_path).files_filtered(imagetyp="dark mask")
    assert listed == "m.fits"


# --- growing -----------------------------------------------------------------------


@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)),
    st.one_of(st.floats(0, 6), st.integers(0, 30), st.sampled_from([2**0.5, 5**0.5, 1.5])),
)
def test_a_mask_grows_by_a_disc(mask, radius):
    reach = int(radius)
    rows, columns = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    before = mask.copy()
    expected = ndimage.binary_dilation(mask, rows**2 + columns**2 <= radius**2)
    assert np.array_equal(grown(mask, radius), expected)
    assert np.array_equal(mask, before)


@pytest.mark.parametrize(("gone", "new"), [(0, 0), (1, 0), (0, 2), (2, 3)])
def test_how_a_made_mask_differs_from_that_of_the_folder_is_recorded(gone, new, tmp_path, capfd):
    flats = [write_flat(tmp_path / f"{n}.fits", level, n) for n, level in enumerate((30_000, 10_000))]
    out = Output(tmp_path / "m.fits", tmp_path / "m.json")
    old = np.zeros(SHAPE, np.uint8)

    def make(sources, output, shape):
        made = np.zeros(shape, np.uint8)
        made[: 5 + new, 7] = 1
        old[new : 5 + new, 7] = old[20 : 20 + gone, 7] = 1
        fits.writeto(output.mask, made)
        fits.writeto(tmp_path / "old.fits", old)
        output.left_out.write_text('{"left_out": [], "made": true}')

    files, names = zip(*flats, strict=True)
    others = [(tmp_path / "old.fits", "old")]
    static.make_as_planned(make, files, [None, None], names, out, "recipe", [SHAPE], others=others)
    record = json.loads(out.left_out.read_text())
    bad = 5 + gone
    change = (
        f"mask changed by {(gone + new) / bad:.0%} since old: of {bad} bad pixels {gone} are gone, and {new} are new"
    )
    assert record.get("changes", []) == ([change] if gone + new else [])
    assert record["recipe"] == "recipe"
    assert capfd.readouterr().out.count(f"WARNING: {change}") == bool(gone + new)
