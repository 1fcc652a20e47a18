"""HDUs are read and written as astropy does it, and what is broken is refused."""

import io

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.fits.hdus import split
from lightmask.fits.headers import FitsError


def content_of(*hdus, **keywords):
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file, **keywords)
    return file.getvalue()


SCALINGS = [{}, {"BSCALE": 0.5, "BZERO": 10.0}, {"BZERO": "unsigned"}, {"BLANK": 3}, {"BSCALE": 2, "BLANK": 3}]


@pytest.mark.parametrize(
    ("dtype", "scaling"),
    [
        (dtype, scaling)
        for dtype in ("u1", ">i2", ">i4", ">i8", ">f4", ">f8")
        for scaling in SCALINGS
        if "BLANK" not in scaling or np.dtype(dtype).kind != "f"  # BLANK is for integers
    ],
    ids=str,
)
def test_pixels_are_those_of_astropy(dtype, scaling):
    random = np.random.default_rng(5)
    stored = random.integers(0, 100, (7, 9)).astype(dtype)
    hdu = fits.PrimaryHDU(stored)
    for keyword, value in scaling.items():
        if value == "unsigned":
            value = {"u1": -128, ">i2": 2**15, ">i4": 2**31, ">i8": 2**63}.get(dtype, 5.0)
        hdu.header[keyword] = value
    content = hdu.header.tostring().encode() + stored.tobytes()
    content += bytes(-len(content) % 2880)
    (ours,) = split(io.BytesIO(content))
    with fits.open(io.BytesIO(content)) as hdus:
        theirs = hdus[0].data
        assert ours.pixels().dtype == theirs.dtype.newbyteorder("=")
        assert np.array_equal(ours.pixels(), theirs, equal_nan=theirs.dtype.kind == "f")


def test_a_file_cut_anywhere_is_refused_or_whole():
    content = content_of(
        fits.PrimaryHDU(np.arange(5000, dtype="i4").reshape(50, 100)), fits.ImageHDU(np.ones((40, 40)))
    )
    names = [len(hdu.header.cards) for hdu in split(io.BytesIO(content))]
    boundaries = {start for start, _ in _extents(content)}
    for length in range(2880, len(content), 97):
        try:
            found = split(io.BytesIO(content[:length]))
        except FitsError:
            continue
        # What is missing is padding at the most, or a whole HDU.
        assert [len(hdu.header.cards) for hdu in found] == names[: len(found)]
        end = _extents(content)[len(found) - 1][1]
        assert length >= end
        assert len(found) == len(names) or length in boundaries or length < end + 2880


def _extents(content):
    """Begin of each header, and end of its data without padding."""
    with fits.open(io.BytesIO(content), lazy_load_hdus=False) as hdus:
        return [(hdu.fileinfo()["hdrLoc"], hdu.fileinfo()["datLoc"] + hdu.size) for hdu in hdus]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2879))
def test_corrupt_headers_are_refused_not_believed(junk, place):
    content = bytearray(content_of(fits.PrimaryHDU(np.zeros((20, 30), "f4"))))
    content[place : place + len(junk)] = junk
    try:
        hdus = split(io.BytesIO(content))
    except FitsError:
        return
    assert sum(len(hdu.data) for hdu in hdus) <= len(content) + 2880
