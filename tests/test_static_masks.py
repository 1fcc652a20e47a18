"""Masks that are made from flats and darks: from which, what they hold, and how they are used."""

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
from lightmask.fits.images import Image
from lightmask.masks import dark, flat
from lightmask.masks.dark import Dark
from lightmask.masks.flags import grown
from lightmask.masks.sources import OpenSources
from lightmask.masks.static import Output
from lightmask.night import matching
from lightmask.night.configuration import validated
from lightmask.night.types import Frame, frames
from lightmask.workflow import logs

CONFIG = validated({})
SHAPE = (64, 80)
LIGHT = Frame("a.fits", "light", SHAPE, {"INSTRUME": "cam", "FILTER": "r"})


def a_flat(path="flat.fits", shape=SHAPE, **cards):
    return Frame(path, "flat", shape, {"INSTRUME": "cam", "FILTER": "r"} | cards)


def a_dark(path="dark.fits", **cards):
    return Frame(path, "dark", SHAPE, {"INSTRUME": "cam", "EXPTIME": 30.0} | cards)


def made(night, kind, **config):
    """Paths of the sources of each mask that can be made."""
    found = matching.can_be_made(night, validated(config))[kind]
    return [[frame.path for frame in mask.sources] for mask in found]


# --- from which frames -------------------------------------------------------------


def test_one_flat_mask_per_camera_binning_filter_and_shape():
    night = [
        a_flat("1"),
        a_flat("2"),
        a_flat("3", FILTER="g"),
        a_flat("4", INSTRUME="other"),
        a_flat("5", shape=(8, 8)),
        a_flat("6", XBINNING=2),
        a_dark("7"),
        LIGHT,
    ]
    assert made(night, "flat") == [["1", "2"], ["3"], ["4"], ["5"], ["6"]]
    assert made(night, "dark") == [["7"]]


def test_numbers_agree_however_they_are_written():
    assert made([a_flat("1", XBINNING=2), a_flat("2", XBINNING="2"), a_flat("3", XBINNING=2.0)], "flat") == [
        ["1", "2", "3"]
    ]


def test_flats_are_taken_uncombined_and_darks_combined_where_there_are_such():
    single = {"NCOMBINE": 1}
    assert made([a_flat("1", COMBINED=True), a_flat("2"), a_flat("3", **single)], "flat") == [["2", "3"]]
    assert made([a_flat("1", COMBINED=True)], "flat") == [["1"]]
    assert made([a_dark("1", COMBINED=True), a_dark("2"), a_dark("3", **single)], "dark") == [["1"]]
    assert made([a_dark("1"), a_dark("2", **single)], "dark") == [["1", "2"]]


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({}, False),
        ({"COMBINED": True}, True),
        ({"COMBINED": False}, False),
        ({"COMBINED": "T"}, True),
        ({"COMBINED": "yes"}, True),
        ({"COMBINED": "no"}, False),
        ({"COMBINED": ""}, False),
        ({"NCOMBINE": 1}, False),
        ({"NCOMBINE": 10}, True),
        ({"NCOMBINE": "10"}, True),
        ({"NCOMBINE": "1"}, False),
        ({"COMBINED": False, "NCOMBINE": 3}, True),
        ({"OTHER": True}, False),
    ],
)
def test_the_header_says_what_is_combined(cards, expected):
    assert matching.is_combined(a_dark(**cards), CONFIG["frame_type"]["combined"]) == expected


def test_a_frame_with_a_problem_makes_no_mask():
    broken = Frame("1", "flat", SHAPE, {"INSTRUME": "cam", "FILTER": "r"}, "cannot be read")
    assert made([broken, a_flat("2")], "flat") == [["2"]]


def applying(night, **config):
    matcher = matching.MaskMatcher(night, validated(config))
    return [(kind, mask.path.partition("_")[0]) for kind, mask in matcher.applying(LIGHT)]


def mask_file(path, type_, **cards):
    return Frame(path, type_, SHAPE, cards)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", [("flat", "f.fits"), ("dark", "results/static")]),
        ("folder", [("flat", "f.fits")]),
        ("make", [("flat", "results/static"), ("dark", "results/static")]),
    ],
)
def test_a_mask_in_the_folder_counts_unless_the_configuration_says_otherwise(choice, expected):
    night = [mask_file("f.fits", "flat mask"), a_flat(), a_dark()]
    assert applying(night, static_masks={"flat": choice, "dark": choice}) == expected


def test_a_mask_of_another_filter_does_not_keep_one_from_being_made():
    assert applying([mask_file("f.fits", "flat mask", FILTER="g"), a_flat()]) == [("flat", "results/static")]


def test_a_mask_that_was_made_for_another_filter_does_not_apply():
    night = [a_flat(FILTER="g"), mask_file("d.fits", "dark mask")]
    matcher = matching.MaskMatcher(night, CONFIG)
    assert [kind for kind, _ in matcher.applying(LIGHT)] == ["dark"]
    assert "has FILTER 'g', the frame 'r'" in matcher.problem(LIGHT)


def test_the_name_stays_when_flats_are_added_and_no_filter_leads_out_of_the_folder():
    (one,) = matching.can_be_made([a_flat("1")], CONFIG)["flat"]
    (two,) = matching.can_be_made([a_flat("0"), a_flat("1")], CONFIG)["flat"]
    assert one.path == two.path
    (odd,) = matching.can_be_made([a_flat(FILTER="../../R, 'I'")], CONFIG)["flat"]
    assert odd.path.startswith("results/static_masks/flat_mask_..%2F..%2FR%2C %27I%27_")
    other = matching.can_be_made([a_flat(FILTER="g"), a_flat(INSTRUME="other")], CONFIG)["flat"]
    assert len({one.path, *(mask.path for mask in other)}) == 3


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"EXPTIME": 0}, "EXPTIME is 0, expected an exposure above 0 s"),
        ({"EXPTIME": -3.0}, "EXPTIME is -3.0, expected"),
        ({"EXPTIME": "30 s"}, "EXPTIME is '30 s', expected"),
        ({}, "no EXPTIME or EXPOSURE in the header, expected an exposure above 0 s; add it, or set make_dark_mask"),
        ({"EXPOSURE": 30}, ""),
    ],
)
def test_a_dark_must_have_an_exposure(cards, message):
    entry = {"shape": list(SHAPE), "cards": {"IMAGETYP": "DARK"} | cards, "problem": ""}
    (frame,) = frames({"dark.fits": entry}, CONFIG)
    assert message in frame.problem and bool(message) == bool(frame.problem)
    matcher = matching.MaskMatcher([frame], validated({"required_masks": ["dark"]}))
    assert (f"(dark.fits {message}" in matcher.problem(LIGHT)) == bool(message)


def test_the_exposure_can_be_a_number_or_another_keyword():
    entry = {"shape": list(SHAPE), "cards": {"IMAGETYP": "DARK", "ITIME": 3.0}, "problem": ""}
    for exposure in (30, "ITIME"):
        (frame,) = frames({"dark.fits": entry}, validated({"make_dark_mask": {"exposure": exposure}}))
        assert not frame.problem


def test_a_made_mask_keeps_what_all_its_sources_have():
    config = validated({"table_keywords": {"camera": ["INSTRUME", "DETECTOR"]}})
    night = [a_flat("1", XBINNING=1, DETECTOR="a"), a_flat("2", XBINNING=1, DETECTOR="b")]
    (mask,) = matching.can_be_made(night, config)["flat"]
    assert matching.keywords_to_keep(mask, config) == ["INSTRUME", "FILTER", "XBINNING"]
    (mask,) = matching.can_be_made([a_dark(FILTER="g")], config)["dark"]
    assert matching.keywords_to_keep(mask, config) == ["INSTRUME"]


def test_a_mask_says_what_it_is_as_the_chapter_and_as_the_night_say_it():
    assert matching.type_cards("flat", CONFIG) == {"IMAGETYP": "flat mask"}
    config = validated({"frame_type": {"keywords": ["ESO DPR TYPE"], "dark_mask": ["hot pixels"]}})
    assert matching.type_cards("dark", config) == {"IMAGETYP": "dark mask", "ESO DPR TYPE": "hot pixels"}


# --- flats -------------------------------------------------------------------------


def image(data, mask=None):
    return Image(np.asarray(data), mask, False, fits.Header())


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([100.0], (0, None)),
        ([100.0, 95.0], (0, None)),
        ([100.0, 90.0], (0, 1)),
        ([40.0, 100.0, 60.0, 30.0], (1, 3)),
        ([100.0, 100.0], (0, None)),
    ],
)
def test_the_flats_whose_counts_differ_most_are_taken(found, expected):
    assert flat.extremes(found, 0.1) == expected


def noisy(level, seed=0):
    return np.random.default_rng(seed).normal(level, abs(level) / 200, SHAPE).astype(np.float32)


def test_the_ratio_goes_to_ccdmask_as_in_the_guide():
    brighter, fainter = noisy(30_000, 1), noisy(10_000, 2)
    brighter[10, 10] *= 1.5
    fainter[20, 20] = 0
    ratio = CCDData(fainter / brighter, unit="")
    found = flat.flat_mask(image(brighter), image(fainter), {"lsigma": 6, "hsigma": 6})
    assert np.array_equal(found, ccdproc.ccdmask(ratio, lsigma=6, hsigma=6))
    assert found[10, 10] and found[20, 20]


def test_dust_cancels_in_the_ratio_of_two_flats_only():
    dust = np.ones(SHAPE, np.float32)
    dust[30, 30] = 0.5
    brighter, fainter = noisy(30_000, 1) * dust, noisy(10_000, 2) * dust
    assert not flat.flat_mask(image(brighter), image(fainter), {})[30, 30]
    assert flat.flat_mask(image(brighter), None, {})[30, 30]


@pytest.mark.parametrize("byblocks", [False, True])
def test_what_has_no_value_in_a_flat_is_bad(byblocks):
    brighter, fainter = noisy(30_000, 1), noisy(10_000, 2)
    brighter[1, 1], fainter[2, 2], brighter[3, 3], fainter[3, 3] = nan, np.inf, 0, 0
    own = np.zeros(SHAPE, bool)
    own[4, 4] = True
    found = flat.flat_mask(image(brighter), image(fainter, own), {"byblocks": byblocks})
    assert found[[1, 2, 3, 4], [1, 2, 3, 4]].all()
    assert found.sum() == 4


def test_unsigned_counts_do_not_wrap():
    data = noisy(30_000).astype(np.uint16)
    data[5, 5] = 100
    found = flat.flat_mask(image(data), None, {})
    assert found[5, 5] and found.sum() == 1


def test_counts_leave_out_what_has_no_value():
    data = np.array([[1.0, nan, 3.0], [5.0, np.inf, 900.0]])
    own = data > 800
    assert flat.counts(image(data, own)) == 3
    assert np.isnan(flat.counts(image(data, np.ones_like(own))))


NUMBERS = {
    np.float32: st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([nan, np.inf, -np.inf]),
    np.float64: st.floats(-1e300, 1e300) | st.sampled_from([nan, np.inf, -np.inf]),
    np.int16: st.integers(-(2**15), 2**15 - 1),
    np.uint16: st.integers(0, 2**16 - 1),
    np.int64: st.integers(-(2**63), 2**63 - 1),
    np.uint8: st.integers(0, 255),
}


@given(st.data(), st.sampled_from(list(NUMBERS)), hnp.array_shapes(min_dims=2, max_dims=2, max_side=7))
def test_counts_are_those_of_numpy(data, dtype, shape):
    pixels = data.draw(hnp.arrays(dtype, shape, elements=NUMBERS[dtype]))
    mask = data.draw(st.none() | hnp.arrays(bool, shape))
    known = np.isfinite(pixels) if mask is None else np.isfinite(pixels) & ~mask
    expected = float(np.median(pixels[known])) if known.any() else nan
    assert np.array_equal(flat.counts(image(pixels, mask)), expected, equal_nan=True)


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
    assert (header["LIGHTMASK FLAT1"], header["LIGHTMASK FLAT2"]) == ("1.fits", "2.fits")
    assert "LIGHTMASK FLAT3" not in header
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
    """Give a file checksums, and then change a bit of its data."""
    with fits.open(path, mode="update", checksum=True) as hdus:
        hdus[0].add_checksum()
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["flat", "dark"])
def test_flats_and_darks_are_checked_too(tmp_path, capfd, kind):
    files = [write_flat(tmp_path / f"{n}.fits", level, n, EXPTIME=10.0) for n, level in enumerate((10_000, 30_000))]
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
    ("EXPTIME", 0.0): "EXPTIME is 0.0, expected an exposure above 0 s; mend it, or set make_dark_mask: exposure",
    "GAIN": "no GAIN in the header, expected a number of e-/adu above 0; add it, or set make_dark_mask: gain",
    ("BUNIT", "electron"): "its unit is electron, yet make_dark_mask: gain is 1.5 e-/adu; set gain to 1",
}
"""Ways to spoil a flat or a dark, and what messages say then; a keyword alone is removed."""


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
from lightmask.dark_mask import make_dark_mask
from lightmask.static_masks import Output
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


@given(st.lists(st.floats(0.001, 10_000), min_size=1, max_size=12))
def test_every_dark_is_in_one_group_of_like_exposures(exposures):
    groups = dark.same_exposures(exposures)
    assert sorted(place for group in groups for place in group) == list(range(len(exposures)))
    for group in groups:
        times = [exposures[place] for place in group]
        assert max(times) < dark.SAME_EXPOSURE * min(times) or len(set(times)) == 1


def test_like_exposures_are_found():
    assert dark.same_exposures([180.0057, 30.0, 180.0092, 30.1]) == [[1, 3], [0, 2]]


@pytest.mark.parametrize(("ratio", "groups"), [(1.0199, 1), (1.0201, 2)])
def test_exposures_are_alike_up_to_2_percent(ratio, groups):
    assert len(dark.same_exposures([100.0, 100 * ratio])) == groups


def test_sigma_is_that_of_gaussian_noise():
    assert dark.sigma(np.array([0.0, 1, 2, 3, 4, nan, np.inf])) == pytest.approx(1.4826, rel=1e-5)
    assert dark.sigma(np.random.default_rng(1).normal(5, 3, 400_000)) == pytest.approx(3, rel=0.01)
    assert np.isnan(dark.sigma(np.full(4, nan)))


@pytest.mark.parametrize(("threshold", "warned"), [(5.01, False), (4.99, True)])
def test_a_threshold_below_5_sigma_of_the_dark_current_is_told(capsys, threshold, warned):
    noise = np.random.default_rng(1).normal(0, 100, (200, 200))
    dark_ = Dark(noise * (100 / dark.sigma(noise)), 100.0, 1)  # 1 e-/s
    dark.hot_pixels([dark_], threshold, None)
    assert ("WARNING" in capsys.readouterr().out) == warned


@pytest.mark.parametrize("frames_", [1, 4])
@pytest.mark.parametrize(("sigmas", "found"), [(4.99, False), (-4.99, False), (5.01, True), (-5.01, True)])
def test_proportion_is_tested_in_sigma_of_all_noise(sigmas, found, frames_):
    noise = np.random.default_rng(1).normal(0, 1, SHAPE)
    noise *= 3 / dark.sigma(noise)
    noise -= np.median(noise)
    # Without noise in the long one, 400 e- there are 40 in the short one.
    long = np.zeros(SHAPE)
    long[5, 5] = 400
    short, level = noise.copy(), 40.0
    for _ in range(50):  # the variance depends on the counts that it is to give
        level = 40 + sigmas * np.sqrt(9 + max(level, 0) / frames_ + 0.01 * 400 / frames_)
    short[5, 5] = level
    darks = [Dark(short, 10.0, frames_), Dark(long, 100.0, frames_)]
    assert dark.nonlinear(darks, 5)[5, 5] == found


@pytest.mark.parametrize(("low", "found"), [("short", True), ("long", True), ("both", False)])
def test_counts_below_zero_have_no_photon_noise(low, found):
    """Of noise of 1 e- alone, 5.2 sigma are too much, and 4.8 are not."""
    pattern = np.resize([-2.0, -1, 0, 1, 2], SHAPE)
    short, long = pattern / dark_mask.sigma(pattern), np.zeros(SHAPE)
    darks = [Dark(short, 50.0, 1), Dark(long, 100.0, 1)]
    short[5, 5], long[5, 5] = {"short": (-5.2, 0), "long": (0, -10.4), "both": (-9.8, -10)}[low]
    assert dark_mask.nonlinear(darks, 5)[5, 5] == found


def two_darks(rate=1.0, waning=1.0):
    """Darks of 100 and 1000 s, of which pixel (5, 5) has a rate that falls."""
    random = np.random.default_rng(3)
    darks = []
    for exposure in (100.0, 1000.0):
        expected = np.full(SHAPE, 0.02 * exposure)
        expected[5, 5] = rate * exposure * (waning if exposure == 1000 else 1)
        darks.append(Dark(random.poisson(10 * expected) / 10 + random.normal(0, 3, SHAPE), exposure, 10))
    return darks


@pytest.mark.parametrize(("rate", "waning"), [(1.0, 0.5), (3.0, 0.8), (50.0, 0.9), (50.0, 1.1)])
def test_a_pixel_that_does_not_grow_with_time_is_hot_below_the_threshold_too(rate, waning):
    found = dark.nonlinear(two_darks(rate, waning), 5)
    assert found[5, 5] and found.sum() == 1


@pytest.mark.parametrize("rate", [0.02, 1.0, 50.0])
def test_a_steady_pixel_is_not(rate):
    assert not dark.nonlinear(two_darks(rate), 5).any()


def test_an_offset_that_a_bias_leaves_does_not_count():
    short, long = two_darks(1.0, 0.5)
    found = dark.nonlinear([short._replace(electrons=short.electrons + 30), long], 5)
    assert found[5, 5] and found.sum() == 1


def test_a_pixel_is_hot_at_any_exposure_time_that_tells():
    hot = dark.hot_pixels(two_darks(6.0, 0.5), 4, None)
    assert hot[5, 5] and hot.sum() == 1
    assert not dark.hot_pixels(two_darks(2.0, 1.0), 4, None).any()


def test_a_short_dark_does_not_make_noise_hot(capsys):
    random = np.random.default_rng(3)
    short, long = (Dark(random.normal(0, 10, SHAPE), exposure, 1) for exposure in (1.0, 100.0))
    long.electrons[5, 5] = 500
    assert dark.hot_pixels([short, long], 4, None).sum() == 1
    assert "WARNING" not in capsys.readouterr().out
    assert dark.hot_pixels([short], 4, None).sum() > 500
    assert "a threshold of 4 e-/s flags good pixels too" in capsys.readouterr().out


def test_a_pixel_without_a_value_is_hot():
    darks = two_darks()
    darks[0].electrons[8, 8] = darks[1].electrons[9, 9] = nan
    hot = dark.hot_pixels(darks, 4, 5)
    assert hot[8, 8] and hot[9, 9] and hot.sum() == 2


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
        ({"EXPTIME": 0.0}, {}, "EXPTIME is 0.0, expected an exposure above 0 s; mend it, or set make_dark_mask: exp"),
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
