"""Flags: their bits and names, how they grow, and how they are counted in words."""

import math

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lightmask import bits
from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.fits import images
from lightmask.masks import flags

NAMES = [
    *("flat", "dark", "cosmic", "saturated", "inherited", "notfinite", "suspect", "bleed", "trail", "column"),
    *("unstable", "edge", "nodata", "grown", "interpolated"),
]

small_masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.booleans())
sparse_masks = arrays.arrays(
    np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.just(True), fill=st.just(False)
)
radii = st.one_of(
    st.sampled_from([0, 0.5, 0.999, 1, 1.4, math.sqrt(2), 1.5, 2, 2.2, 2.3, 3, 5, 7.1, 12.5, 40, 60.3]),
    st.floats(0, 40),
)


def within(mask, radius):
    """Mask each pixel whose centre is within a radius of a masked one's: all pairs are tried."""
    rows, columns = np.indices(mask.shape)[..., np.newaxis]
    y, x = np.nonzero(mask)
    return ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).any(axis=-1)


@settings(max_examples=150, deadline=None)
@given(st.one_of(small_masks, sparse_masks), radii)
def test_a_mask_grows_by_a_disc(mask, radius):
    before = mask.copy()
    np.testing.assert_array_equal(flags.grown(mask, radius), within(mask, radius))
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("radius", [1, 1.5, 2, 2.9, 5, 8.6, 13, 21.3])
def test_one_pixel_grows_to_a_disc(radius):
    mask = np.zeros((61, 57), bool)
    mask[30, 28] = True
    np.testing.assert_array_equal(flags.grown(mask, radius), within(mask, radius))


@pytest.mark.parametrize(("radius", "neighbours"), [(0.99, 0), (1, 4), (1.41, 4), (1.42, 8), (1.5, 8), (2, 12)])
def test_so_many_neighbours_are_within_a_radius(radius, neighbours):
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    assert np.count_nonzero(flags.grown(mask, radius)) == 1 + neighbours


@pytest.mark.parametrize("mask", [np.zeros((3, 4), bool), np.ones((0, 4), bool)], ids=["nothing masked", "no pixel"])
def test_where_nothing_grows_the_mask_itself_is_returned(mask):
    assert flags.grown(mask, 3) is mask


def test_a_radius_below_a_pixel_copies_nothing():
    mask = np.ones((3, 4), bool)
    assert flags.grown(mask, 0.9) is mask


@settings(max_examples=150, deadline=None)
@given(st.one_of(small_masks, sparse_masks), radii, st.integers(1, 40), st.sampled_from(list(Flag)), st.randoms())
def test_a_flag_grows_as_its_mask_does_and_others_stay(mask, radius, band, flag, random):
    # Bands of few pixels, so that the disc reaches over several of them.
    rng = np.random.default_rng(random.randrange(2**32))
    found = rng.integers(0, 32768, mask.shape).astype(np.int16) & ~np.int16(flag)
    found[mask] |= np.int16(flag)
    others = found & ~np.int16(flag)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "BAND", band)
        flags.Flags(found).grow(bits.key(flag), radius)
    np.testing.assert_array_equal(found & np.int16(flag) != 0, within(mask, radius))
    np.testing.assert_array_equal(found & ~np.int16(flag), others)


def test_a_pixel_grows_over_many_bands(monkeypatch):
    monkeypatch.setattr(images, "BAND", 1)
    found = np.zeros((40, 30), np.int16)
    found[19, 14] = found[39, 0] = Flag.COSMIC
    expected = within(found != 0, 6.5)
    flags.Flags(found).grow("cosmic", 6.5)
    np.testing.assert_array_equal(found == Flag.COSMIC, expected)


@settings(max_examples=50, deadline=None)
@given(arrays.arrays(np.int16, (4, 5), elements=st.integers(0, 32767)), st.sets(st.sampled_from(NAMES)))
def test_pixels_with_any_of_the_flags_named_are_masked(found, names):
    expected = [[any(pixel & bits.BITS[name.upper()] for name in names) for pixel in row] for row in found.tolist()]
    assert flags.Flags(found).union(*names).tolist() == expected
    assert flags.Flags(found).union(*(name.title() for name in names)).tolist() == expected
    assert flags.Flags(found).count(*names) == np.count_nonzero(expected)
    for name in names:
        assert (flags.Flags(found)[name] == (found & bits.BITS[name.upper()] != 0)).all()
    assert flags.Flags(found).names == [name for name in NAMES if (found & bits.BITS[name.upper()]).any()]


@pytest.mark.parametrize("use", ["union", "count", "__getitem__", "grow"])
def test_an_unknown_reason_is_refused(use):
    found = flags.Flags(np.zeros((2, 2), np.int16))
    with pytest.raises(
        KeyError, match="'cosmik': found no such reason; expected one of flat, dark, cosmic, saturated, "
    ):
        getattr(found, use)("cosmik", *([1] if use == "grow" else []))


def test_flags_are_read_from_a_masked_frame(tmp_path):
    pixels = np.arange(12, dtype=np.int16).reshape(3, 4)
    primary = fits.PrimaryHDU(np.zeros((3, 4), np.float32))
    hdus = [primary, fits.ImageHDU(pixels + 1, name="FLAGS"), fits.ImageHDU(pixels, name="FLAGS")]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    assert np.array_equal(flags.Flags.read(tmp_path / "a.fits").pixels, pixels)
    fits.HDUList([primary, fits.ImageHDU(pixels.astype(np.uint8), name="FLAGS")]).writeto(tmp_path / "b.fits")
    primary.writeto(tmp_path / "c.fits")
    for name in ("b.fits", "c.fits"):
        with pytest.raises(
            FrameError, match=f"{name}: found no 16-bit image named FLAGS, expected one; mask the frame"
        ):
            flags.Flags.read(tmp_path / name)


def test_every_flag_has_a_bit_of_its_own_that_the_header_explains():
    assert {name: 2**bit for bit, name in enumerate(map(str.upper, NAMES))} == bits.BITS
    assert [(keyword, name, text.partition(": ")[0]) for keyword, name, text in bits.cards()] == [
        (f"BIT{bit}", name.upper(), str(2**bit)) for bit, name in enumerate(NAMES)
    ]
    assert [bits.key(flag) for flag in Flag] == NAMES


@pytest.mark.parametrize(
    ("count", "size", "text"),
    [
        (9422, 4096**2, "9422 pixels (0.056%)"),
        (0, 100, "0 pixels (0.000%)"),
        (1, 1, "1 pixels (100.000%)"),
        (1, 3, "1 pixels (33.333%)"),
        (0, 0, "0 pixels (0.000%)"),
    ],
)
def test_a_count_is_told_with_its_share(count, size, text):
    assert flags.count_text(count, size) == text
