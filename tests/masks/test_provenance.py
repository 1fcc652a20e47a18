"""Header cards that name the sources of a file."""

from urllib.parse import quote

from astropy.io import fits
from hypothesis import example, given
from hypothesis import strategies as st

from lightmask import __version__
from lightmask.fits.headers import Header
from lightmask.masks import provenance


@given(
    st.text("aé,'\udcff b/1", min_size=1, max_size=120).filter(lambda name: name == name.strip()),
    st.sampled_from(["frame", "dark12"]),
)
@example("a" * 52, "frame")
@example("a" * 53, "frame")
@example("a" * 54, "frame")
@example("a" * 55, "frame")
def test_a_card_has_the_name_of_a_source_or_as_much_of_its_end_as_fits(name, role):
    header = Header()
    provenance.add_source(header, role, name, "0123456789abcdef" * 4)
    cards = fits.Header.fromstring(header.tobytes())
    room = 80 - len(f"HIERARCH LIGHTMASK {role} = ''")
    whole = quote(name, safe=" ._-()/", errors="surrogateescape")
    expected = whole if len(whole) <= room else f"...{whole[-(room - 3) :]}"
    assert cards[f"LIGHTMASK {role.upper()}"] == expected
    assert cards[f"LIGHTMASK {role.upper()} SHA256"] == "0123456789abcdef" * 2


def test_a_comment_that_does_not_fit_into_a_card_of_ours_is_left_out():
    header = Header()
    provenance.add_card(header, "VERSION")
    provenance.add_card(header, "TEXT", "v" * 50, "c" * 30)
    cards = fits.Header.fromstring(header.tobytes())
    assert cards["LIGHTMASK VERSION"] == __version__
    assert (cards["LIGHTMASK TEXT"], cards.comments["LIGHTMASK TEXT"]) == ("v" * 50, "")
