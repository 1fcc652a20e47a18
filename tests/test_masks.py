"""Which masks apply, why others do not, and what their combination holds."""

import hashlib
from urllib.parse import quote

import numpy as np
import pytest
from astropy.io import fits
from conftest import write_mask
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lightmask import __version__
from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.fits.headers import Header
from lightmask.masks import combined, provenance
from lightmask.night import matching
from lightmask.night.configuration import validated
from lightmask.night.types import Frame

CONFIG = validated({})
MATCH = CONFIG["match"]
NO_GROWTH = {"flat": 0, "dark": 0}
LIGHT = Frame("a.fits", "light", (64, 80), {"INSTRUME": "cam", "XBINNING": 1, "YBINNING": 1, "FILTER": "r"})


def mask(path="m.fits", type_="flat mask", shape=(64, 80), problem="", **cards):
    return Frame(path, type_, shape, cards, problem)


def matcher(night, required, **config):
    return matching.MaskMatcher(night, CONFIG | {"required_masks": required} | config)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (mask(), ""),
        (mask(**LIGHT.cards), ""),
        (mask(shape=(80, 64)), "has shape 64x80, the frame 80x64"),
        (mask(INSTRUME="other"), "has INSTRUME 'other', the frame 'cam'"),
        (mask(XBINNING=2), "has XBINNING 2, the frame 1"),
        (mask(YBINNING="2"), "has YBINNING '2', the frame 1"),
        (mask(FILTER="g"), "has FILTER 'g', the frame 'r'"),
        (mask(FILTER="R"), "has FILTER 'R', the frame 'r'"),
        (mask(FILTER=3), "has FILTER 3, the frame 'r'"),
        (mask(problem="cannot be read", shape=()), "cannot be read"),
    ],
)
def test_a_mask_that_does_not_apply_says_why(frame, reason):
    assert matching.mismatch(frame, LIGHT, MATCH["flat"]) == reason


@pytest.mark.parametrize("said", [1, 1.0, "1", "1.0", "01", " 1 "])
def test_a_number_agrees_with_itself_however_it_is_written(said):
    assert matching.mismatch(mask(XBINNING=said), LIGHT, MATCH["dark"]) == ""


def test_a_keyword_that_the_frame_lacks_does_not_matter():
    assert matching.mismatch(mask(FILTER="g"), Frame("a.fits", "light", (64, 80)), MATCH["flat"]) == ""


def test_the_filter_matters_for_flat_masks_only():
    night = [mask("f.fits", FILTER="g"), mask("d.fits", "dark mask", FILTER="g"), LIGHT]
    assert matcher(night, []).applying(LIGHT) == [("dark", night[1])]


def test_all_masks_that_apply_are_found_flats_first():
    night = [mask("d.fits", "dark mask"), mask("f1.fits"), mask("f2.fits"), mask("g.fits", FILTER="g"), LIGHT]
    found = matcher(night, ["flat", "dark"]).applying(LIGHT)
    assert [(kind, frame.path) for kind, frame in found] == [
        ("flat", "f1.fits"),
        ("flat", "f2.fits"),
        ("dark", "d.fits"),
    ]


def test_frames_that_differ_get_masks_of_their_own():
    red, green = mask("r.fits", FILTER="r"), mask("g.fits", FILTER="g")
    found = matcher([red, green], [])
    for filter_, expected in (("r", red), ("g", green)):
        frame = Frame("b.fits", "light", (64, 80), {"FILTER": filter_})
        assert found.applying(frame) == [("flat", expected)]


def test_the_problem_names_each_kind_and_every_mask_with_its_reason():
    night = [mask("f1.fits", FILTER="g"), mask("f2.fits", shape=(2, 3))]
    problem = matcher(night, ["flat", "dark"]).problem(LIGHT)
    assert problem == (
        "no flat mask applies (f1.fits has FILTER 'g', the frame 'r'; f2.fits has shape 3x2, the frame 80x64), "
        "and no dark mask applies (there is no dark mask, and no dark to make one from); "
        "add one, or take flat and dark from required_masks"
    )


@pytest.mark.parametrize(("required", "lacking"), [(["flat"], False), (["dark"], True), ([], False)])
def test_only_required_kinds_are_a_problem(required, lacking):
    problem = matcher([mask()], required).problem(LIGHT)
    assert bool(problem) == lacking


def test_a_mask_that_cannot_be_used_is_known_although_none_is_required():
    broken = mask(problem="cannot be read", shape=())
    found = matcher([broken, LIGHT], [])
    assert found.problem(LIGHT) == "" and found.applying(LIGHT) == []
    assert found.unusable == {"flat": [broken], "dark": []}
    assert matcher([broken, LIGHT], ["flat"]).problem(LIGHT).count("cannot be read") == 1


def test_a_set_has_the_same_name_in_any_order_and_another_set_another():
    flat, dark = ("flat", mask("m.fits")), ("dark", mask("d\udcff.fits"))
    name = matching.set_id([flat, dark])
    assert matching.set_id([dark, flat]) == name
    assert len(name) == 10
    others = [matching.set_id([flat]), matching.set_id([dark]), matching.set_id([("dark", mask("m.fits")), dark])]
    assert len({name, *others}) == 4


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


FLATS = [Frame(f"flat{number}.fits", "flat", (64, 80), {"FILTER": "r", "INSTRUME": "cam"}) for number in (1, 2)]
DARKS = [Frame("dark.fits", "dark", (64, 80), {"INSTRUME": "cam"})]


@pytest.mark.parametrize("kind", ["flat", "dark"])
@pytest.mark.parametrize(
    ("choice", "in_folder", "to_make", "expected"),
    [
        ("auto", True, True, "folder"),
        ("auto", True, False, "folder"),
        ("auto", False, True, "made"),
        ("auto", False, False, None),
        ("folder", True, True, "folder"),
        ("folder", False, True, None),
        ("make", True, True, "made"),
        ("make", True, False, None),
    ],
)
def test_the_configuration_chooses_where_masks_come_from(kind, choice, in_folder, to_make, expected):
    night = [mask("m.fits", f"{kind} mask")] * in_folder + {"flat": FLATS, "dark": DARKS}[kind] * to_make + [LIGHT]
    found = matcher(night, [kind], static_masks={"flat": "auto", "dark": "auto"} | {kind: choice})
    applying = found.applying(LIGHT)
    assert [used for used, _ in applying] == [kind] * (expected is not None)
    if expected:
        assert (applying[0][1].path == "m.fits") == (expected == "folder")
    assert bool(found.problem(LIGHT)) == (expected is None)


@pytest.mark.parametrize("kind", ["flat", "dark"])
@pytest.mark.parametrize(("choice", "blamed"), [("auto", {"m", "s"}), ("folder", {"m"}), ("make", {"s"})])
def test_a_file_that_cannot_be_used_is_blamed_only_where_it_would_have_been_used(kind, choice, blamed):
    """A broken mask (m) and a broken flat or dark (s)."""
    night = [mask("m.fits", f"{kind} mask", problem="is broken"), mask("s.fits", kind, problem="is broken"), LIGHT]
    found = matcher(night, [kind], static_masks={"flat": "auto", "dark": "auto"} | {kind: choice})
    problem = found.problem(LIGHT)
    assert {name for name in ("m", "s") if f"{name}.fits is broken" in problem} == blamed
    assert [f.path for f in found.unusable[kind]] == [f"{name}.fits" for name in ("m", "s") if name in blamed]


def test_a_mask_in_the_folder_that_does_not_apply_makes_way_for_one_that_can_be_made():
    night = [mask("g.fits", FILTER="g"), *FLATS, LIGHT]
    ((kind, used),) = matcher(night, ["flat"]).applying(LIGHT)
    assert kind == "flat" and used.sources == tuple(FLATS)


def test_an_unusable_shape_is_unknown():
    assert matching.mismatch(mask(shape=()), LIGHT, []) == "has shape unknown, the frame 80x64"


def test_one_kind_that_lacks_is_named_with_the_remedy():
    assert matcher([mask()], ["flat", "dark"]).problem(LIGHT) == (
        "no dark mask applies (there is no dark mask, and no dark to make one from); "
        "add one, or take dark from required_masks"
    )


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
def test_pixels_of_each_kind_are_counted(combined):
    pixels = combined.ravel().tolist()
    flat, dark = (sum(1 for pixel in pixels if pixel in of) for of in ((1, 3), (2, 3)))
    assert combined.counts(combined) == {"flat": flat, "dark": dark, "union": sum(1 for pixel in pixels if pixel)}


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
