"""Our FITS reader and writer against astropy's."""

import io
import re
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lightmask.fits.checksums import read_through, write
from lightmask.fits.hdus import Hdu, image_hdu, image_header, split
from lightmask.fits.headers import FitsError, Header, format_card, read_header

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
values = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    printable,
)


def content_of(*hdus, **keywords):
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file, **keywords)
    return file.getvalue()


@settings(max_examples=300, deadline=None)
@given(values)
def test_values_that_astropy_writes_are_read(value):
    card = str(fits.Card("KEY", value, "a / comment"))
    header = Header([card.encode()])
    # Of a text with '/ in it astropy reads less than it wrote; both leave out blanks at the end.
    assert header["KEY"] == (value.rstrip() if isinstance(value, str) else fits.Card.fromstring(card).value)
    assert type(header["KEY"]) is type(value)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["KEY", "LIGHTMASK SIGCLIP", "ESO DET OUT1 CONAD"]), values, printable)
def test_astropy_reads_the_cards_that_are_written(keyword, value, comment):
    assume(not (isinstance(value, str) and re.search("' */", value)))  # there astropy ends a text, right or wrong
    text = "HIERARCH " if len(keyword) > 8 else ""
    card = fits.Card.fromstring(format_card(keyword, value, comment))
    assert len(card.image) == 80
    assert text in card.image
    assert card.keyword == keyword
    assert card.value == (value.rstrip() if isinstance(value, str) else value)
    assert card.comment in ("", comment.strip())


def test_a_value_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        format_card("KEY", "x" * 70)


@pytest.mark.parametrize(
    ("card", "value"),
    [
        (b"KEY     = 1.5D3 / Fortran", 1500.0),
        (b"KEY     =                    ", None),
        (b"KEY     = 'it''s / here' / not", "it's / here"),
        (b"KEY     = '' ", ""),
        (b"KEY     =   T", True),
        (b"KEY     = text without quotes", "text without quotes"),
        (b"HIERARCH ESO  DET RON = 9.2 / [e-]", 9.2),
        (b"COMMENT = 'this is no value'", None),
    ],
)
def test_odd_cards(card, value):
    header = Header([card.ljust(80)])
    (keyword,) = header.keywords()
    if keyword != "COMMENT":
        assert header[keyword] == value


def test_long_text_goes_on():
    text = "a long / value of it's own " * 6
    header = fits.Header()
    header["KEY"] = text
    raw = header.tostring().encode()
    assert read_header(io.BytesIO(b"SIMPLE  = T".ljust(80) + raw[:2800]))["KEY"] == text.rstrip()


def test_the_first_of_duplicate_cards_counts_and_both_stay():
    header = Header([format_card("A", 1), format_card("A", 2)])
    assert header["A"] == 1
    assert header.tobytes().count(b"A       =") == 2


KEYWORDS = ["A", "B", "ESO DET ID", "EXTNAME"]
texts = st.one_of(st.text("ab &'", max_size=9), st.text("ab &'", min_size=70, max_size=200))
headers = st.lists(st.tuples(st.sampled_from(KEYWORDS), st.one_of(texts, st.integers())), max_size=8)


def ours_and_theirs(cards):
    theirs = fits.Header([fits.Card(keyword, value) for keyword, value in cards])
    text = theirs.tostring(endcard=False, padding=False).encode()
    return Header(text[start : start + 80] for start in range(0, len(text), 80)), fits.Header.fromstring(text)


def told(header):
    """Keywords and values of a header of either kind, as astropy reads it from a file."""
    text = header.tobytes() if isinstance(header, Header) else header.tostring().encode()
    return [(card.keyword, card.value) for card in fits.Header.fromstring(text).cards if card.keyword]


@settings(max_examples=300, deadline=None)
@given(headers, headers, st.sampled_from(KEYWORDS), st.sampled_from(["new", 7]))
def test_headers_change_as_those_of_astropy(cards, others, keyword, value):
    """Also where values go on over several cards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy says that it makes HIERARCH cards
        ours, theirs = ours_and_theirs(cards)
        assert told(ours) == told(theirs)

        made = told(image_header((2, 3), ">f4", ours, extension="NEW"))
        assert made[-len(without := told(ours.without("EXTNAME"))) or len(made) :] == without
        remains = theirs.copy()
        remains.remove("EXTNAME", ignore_missing=True, remove_all=True)
        assert without == told(remains)

        other, of_astropy = ours_and_theirs(others)
        ours.take(other, keyword)
        if keyword in of_astropy:
            theirs.append(of_astropy.cards[keyword], end=True)
        assert told(ours) == told(theirs)

        for each in KEYWORDS:
            ours.set(each, value)
            theirs[f"HIERARCH {each}" if len(each) > 8 else each] = value
            assert told(ours) == told(theirs)
            assert ours[each] == value


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
    """Give a file of several kinds of HDUs with checksums, and where header and data of each begin and end."""
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
