"""Header cards are read and written as astropy does it."""

import io
import re
import warnings

import pytest
from astropy.io import fits
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lightmask.fits.hdus import image_header
from lightmask.fits.headers import Header, format_card, read_header

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
values = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    printable,
)


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
