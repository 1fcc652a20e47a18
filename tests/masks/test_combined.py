"""Masks are combined, with a bit for each kind."""

import hashlib

import numpy as np
import pytest
from astropy.io import fits
from conftest import write_mask
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lightmask import __version__
from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.masks import combined

NO_GROWTH = {"flat": 0, "dark": 0}


def test_combination_holds_the_bit_of_each_kind():
    flat, dark, other = np.zeros((3, 2, 3), bool)
    flat[0, 0] = flat[0, 1] = dark[0, 1] = dark[1, 2] = other[1, 0] = True
    found = combined.combine([("flat", flat), ("dark", dark), ("flat", other)])
    assert found.dtype == np.uint8
    assert found.tolist() == [[Flag.FLAT, Flag.FLAT | Flag.DARK, 0], [Flag.FLAT, 0, Flag.DARK]]
    assert combined.counts(found) == {"flat": 3, "dark": 2, "union": 4}


def test_combination_does_not_change_its_masks():
    flat = np.eye(3, dtype=bool)
    combined.combine([("flat", flat), ("dark", ~flat)])
    assert np.array_equal(flat, np.eye(3, dtype=bool))


def test_masks_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(3, 2\)"):
        combined.combine([("flat", np.zeros((2, 3), bool)), ("dark", np.zeros((3, 2), bool))])


def test_no_mask_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        combined.combine([])


@pytest.fixture
def sources(tmp_path):
    """Two flat masks of four bad pixels together, and a dark mask of three, one of them shared."""
    write_mask(tmp_path / "f1.fits", "flat mask", [(5, 5), (5, 6), (5, 7)])
    write_mask(tmp_path / "f2.fits", "flat mask", [(5, 7), (5, 8)])
    write_mask(tmp_path / "d.fits", "dark mask", [(5, 8), (20, 20), (30, 30)])
    return [
        (kind, str(tmp_path / name), name)
        for kind, name in (("flat", "f1.fits"), ("flat", "f2.fits"), ("dark", "d.fits"))
    ]


def test_combined_file_holds_flags_counts_and_digests(sources, tmp_path, capsys):
    combined.combine_files(sources, NO_GROWTH, tmp_path / "out.fits")
    assert capsys.readouterr().out.splitlines() == [
        "flat: 4 pixels (0.078%)",
        "dark: 3 pixels (0.059%)",
        "union: 6 pixels (0.117%)",
    ]
    with fits.open(tmp_path / "out.fits", checksum=True) as hdus:
        header, data = hdus[0].header, hdus[0].data
        assert (data[5, 5], data[5, 8], data[20, 20], data[0, 0]) == (1, 3, 2, 0)
        assert np.count_nonzero(data) == 6
    for kind, count in (("FLAT", 4), ("DARK", 3), ("UNION", 6)):
        assert header[f"LIGHTMASK {kind} PIXELS"] == count
        assert header.comments[f"LIGHTMASK {kind} PIXELS"] == f"{count} pixels ({count / 5120:.3%})"
    for role, (_, file, name) in zip(("FLAT1", "FLAT2", "DARK1"), sources, strict=True):
        with open(file, "rb") as content:
            digest = hashlib.sha256(content.read()).hexdigest()
        assert header[f"LIGHTMASK {role}"] == name
        assert digest.startswith(header[f"LIGHTMASK {role} SHA256"])
        assert len(header[f"LIGHTMASK {role} SHA256"]) == 32


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0, 1, 2], [255, 0, 128]], np.uint8),
        np.array([[0, -1, 2], [-300, 0, 9]], np.int16),
        np.array([[0, 1, 40000], [65535, 0, 2]], np.uint16),
        np.array([[0, 0.25, -1], [np.nan, 0, np.inf]], np.float32),
    ],
    ids=["uint8", "int16", "uint16", "float32"],
)
def test_any_nonzero_value_of_a_mask_is_bad(tmp_path, values):
    fits.PrimaryHDU(values).writeto(tmp_path / "m.fits")
    combined.combine_files([("flat", str(tmp_path / "m.fits"), "m.fits")], NO_GROWTH, tmp_path / "out.fits")
    assert fits.getdata(tmp_path / "out.fits").tolist() == [[0, 1, 1], [1, 0, 1]]


def test_the_same_masks_give_the_same_bytes(sources, tmp_path):
    combined.combine_files(sources, NO_GROWTH, tmp_path / "one.fits")
    combined.combine_files(sources, NO_GROWTH, tmp_path / "two.fits")
    assert (tmp_path / "one.fits").read_bytes() == (tmp_path / "two.fits").read_bytes()


def test_mask_files_of_two_shapes_are_named(sources, tmp_path):
    write_mask(tmp_path / "d.fits", "dark mask", shape=(10, 10))
    with pytest.raises(FrameError, match=r"f1\.fits, f2\.fits, d\.fits: .*shapes"):
        combined.combine_files(sources, NO_GROWTH, tmp_path / "out.fits")
    assert not (tmp_path / "out.fits").exists()


def test_a_broken_mask_file_is_named(sources, tmp_path):
    (tmp_path / "f2.fits").write_bytes((tmp_path / "f2.fits").read_bytes()[:4000])
    with pytest.raises(FrameError, match=r"^f2\.fits: .*truncated"):
        combined.combine_files(sources, NO_GROWTH, tmp_path / "out.fits")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == []


def test_masks_grow_before_they_are_combined_and_the_header_says_so(sources, tmp_path, capsys):
    combined.combine_files(sources, {"flat": 0, "dark": 1.5}, tmp_path / "out.fits")
    with fits.open(tmp_path / "out.fits") as hdus:
        header, data = hdus[0].header, hdus[0].data
    assert np.count_nonzero(data & Flag.FLAT) == 4
    assert np.count_nonzero(data & Flag.DARK) == 27
    assert data[21, 21] == Flag.DARK and data[4, 7] == Flag.DARK and data[5, 7] == Flag.FLAT | Flag.DARK
    assert header["LIGHTMASK GROW DARK"] == 1.5 and header.comments["LIGHTMASK GROW DARK"] == "[pixel]"
    assert "LIGHTMASK GROW FLAT" not in header
    assert header["LIGHTMASK DARK PIXELS"] == 27
    assert "dark: 27 pixels" in capsys.readouterr().out


def test_a_combined_mask_says_what_it_is(sources, tmp_path):
    combined.combine_files(sources[2:], NO_GROWTH, tmp_path / "out.fits")
    header = fits.getheader(tmp_path / "out.fits")
    assert (header["IMAGETYP"], header["BITPIX"]) == ("combined mask", 8)
    assert header["LIGHTMASK VERSION"] == __version__
    assert header["LIGHTMASK FLAT PIXELS"] == 0
    assert "LIGHTMASK FLAT1" not in header and "LIGHTMASK DARK2" not in header


@given(arrays.arrays(np.uint8, (3, 4), elements=st.integers(0, 3)))
def test_pixels_of_each_kind_are_counted(bits_found):
    pixels = bits_found.ravel().tolist()
    flat, dark = (sum(1 for pixel in pixels if pixel in of) for of in ((1, 3), (2, 3)))
    assert combined.counts(bits_found) == {"flat": flat, "dark": dark, "union": sum(1 for pixel in pixels if pixel)}


def test_a_window_of_a_mask_is_cut_out(tmp_path):
    """Row 3 and 5 rows more: up to row 8, and not to 3 XOR 5."""
    mask = np.zeros((12, 9), np.uint8)
    mask[4, 3] = mask[7, 5] = mask[9, 5] = 1
    fits.writeto(tmp_path / "m.fits", mask)
    part = {"label": "", "cards": {}, "shape": (5, 5), "places": [0], "cuts": [(3, 1, False)]}
    combined.combine_files(
        [("flat", str(tmp_path / "m.fits"), "m.fits")], NO_GROWTH, tmp_path / "c.fits", images=[part]
    )
    assert np.argwhere(fits.getdata(tmp_path / "c.fits")).tolist() == [[1, 2], [4, 4]]
