"""Checksums are those of astropy, and tell what changed."""

import io
import re
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.fits.checksums import read_through, write
from lightmask.fits.hdus import Hdu, image_hdu, split
from lightmask.fits.headers import Header, format_card


def content_of(*hdus, **keywords):
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file, **keywords)
    return file.getvalue()


def test_written_files_are_valid_and_the_same_every_time(tmp_path):
    hdus = [
        image_hdu(np.arange(12.0).reshape(3, 4)),
        image_hdu(np.ones((5, 6), np.uint8), extension="MASK"),
        Hdu(Header([format_card(*card) for card in TABLE]), b"\1\2\3\4".ljust(2880, b"\0")),
    ]
    write(hdus, tmp_path / "a.fits")
    write(hdus, tmp_path / "b.fits")
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(tmp_path / "a.fits", checksum=True) as found:
            found.verify("exception")
            assert np.array_equal(found[0].data, np.arange(12.0).reshape(3, 4))
            assert found["MASK"].data.sum() == 30
            assert found[2].data["a"].tolist() == [258, 772]


TABLE = [
    ("XTENSION", "BINTABLE"),
    ("BITPIX", 8),
    ("NAXIS", 2),
    ("NAXIS1", 2),
    ("NAXIS2", 2),
    ("PCOUNT", 0),
    ("GCOUNT", 1),
    ("TFIELDS", 1),
    ("TFORM1", "I"),
    ("TTYPE1", "a"),
]


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=4, max_size=4000), st.integers(0, 60))
def test_checksums_are_those_of_astropy(tmp_path_factory, data, blanks):
    path = tmp_path_factory.mktemp("checksum") / "a.fits"
    pixels = np.frombuffer(data, np.uint8)
    write([image_hdu(pixels.reshape(1, -1), Header([format_card(f"K{n}", "x" * n) for n in range(blanks)]))], path)
    with fits.open(path) as hdus:
        ours = hdus[0].header["CHECKSUM"], hdus[0].header["DATASUM"]
        assert hdus[0].verify_checksum() == 1
        assert hdus[0].verify_datasum() == 1
        assert ours[1] == str(hdus[0]._calculate_datasum())


def checked_content():
    """Return a file of several kinds of HDUs with checksums, and where header and data of each begin and end."""
    packed = fits.CompImageHDU(np.arange(900, dtype=np.int16).reshape(30, 30), name="PACKED")
    table = fits.BinTableHDU.from_columns([fits.Column("a", "PE()", array=[[1, 2], []])])
    zeros = fits.ImageHDU(np.zeros((5, 7)))
    content = content_of(fits.PrimaryHDU(np.arange(3001, dtype="u2")), packed, zeros, table, checksum=True)
    hdus, end, places = split(io.BytesIO(content)), 0, []
    for hdu in hdus:
        start = end + len(hdu.header.tobytes())
        places.append((end, start, start + len(hdu.data)))
        end = places[-1][-1]
    return content, places


CHECKED, PLACES = checked_content()


def misfits(content):
    handed_on = bytearray()
    found = read_through(io.BytesIO(content), handed_on.extend)
    assert handed_on == content
    return found


def verified(content):
    """Numbers of the HDUs that have checksums, all of which fit, as astropy says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(io.BytesIO(content), disable_image_compression=True) as hdus:
            return [n for n, hdu in enumerate(hdus) if hdu.verify_checksum() == 1 == hdu.verify_datasum()]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(range(len(PLACES))), st.data())
def test_a_byte_of_data_that_changed_is_found_in_its_hdu(number, data):
    assert misfits(CHECKED) == [] and verified(CHECKED) == [0, 1, 2, 3]
    content = bytearray(CHECKED)
    place = data.draw(st.integers(PLACES[number][1], PLACES[number][2] - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (misfit,) = misfits(content)
    name = " (PACKED)" if number == 1 else ""
    assert re.fullmatch(rf"DATASUM of HDU {number}{re.escape(name)} is '\d+', its bytes give \d+", misfit.text)
    assert not misfit.is_stale
    assert verified(content) == [n for n in range(4) if n != number]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(range(len(PLACES))), st.booleans())
def test_cards_that_are_older_than_their_header_are_known(number, of_data_too):
    begin, start, _ = PLACES[number]
    content = bytearray(CHECKED)
    place = content.index(b"END".ljust(80), begin)
    content[place : place + 160] = b"OBJECT  = 'M 13'".ljust(80) + b"END".ljust(80)
    content[start] ^= of_data_too
    (misfit,) = misfits(content)
    assert misfit.is_stale and misfit.text.startswith(("CHECKSUM of", "DATASUM of")[of_data_too])


@pytest.mark.parametrize(
    ("cards", "text"),
    [
        ({}, ""),
        ({"DATASUM": "", "CHECKSUM": " "}, ""),
        ({"DATASUM": None, "CHECKSUM": None}, ""),
        ({"DATASUM": "0"}, ""),
        ({"DATASUM": 0}, ""),
        ({"DATASUM": str(2**32 - 1)}, ""),
        ({"DATASUM": "1"}, "DATASUM of HDU 0 is '1', its bytes give 0"),
        ({"DATASUM": 1}, "DATASUM of HDU 0 is '1', its bytes give 0"),
        ({"DATASUM": "zero"}, "DATASUM of HDU 0 is 'zero', its bytes give 0"),
        ({"DATASUM": "4_8"}, "DATASUM of HDU 0 is '4_8', its bytes give 0"),
        ({"DATASUM": True}, "DATASUM of HDU 0 is 'True', its bytes give 0"),
        ({"DATASUM": "zero", "CHECKSUM": "any"}, "DATASUM of HDU 0 is 'zero', its bytes give 0"),
        ({"CHECKSUM": "0000000000000000"}, "CHECKSUM of HDU 0 is '0000000000000000', with it its bytes give "),
    ],
)
def test_odd_checksum_cards(cards, text):
    hdu = fits.PrimaryHDU(np.zeros((4, 5)))
    hdu.header.update(cards)
    assert [(misfit.text[: len(text)], misfit.is_stale) for misfit in misfits(content_of(hdu))] == [
        (text, False)
    ] * bool(text)
