"""Which masks apply to a LIGHT frame, and why the others do not."""

import pytest

from lightmask.night import matching
from lightmask.night.configuration import validated
from lightmask.night.types import Frame

CONFIG = validated({})
MATCH = CONFIG["match"]
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
    assert matching.mismatch(frame, LIGHT, "flat", MATCH) == reason


@pytest.mark.parametrize("said", [1, 1.0, "1", "1.0", "01", " 1 "])
def test_a_number_agrees_with_itself_however_it_is_written(said):
    assert matching.mismatch(mask(XBINNING=said), LIGHT, "dark", MATCH) == ""


def test_a_keyword_that_the_frame_lacks_does_not_matter():
    assert matching.mismatch(mask(FILTER="g"), Frame("a.fits", "light", (64, 80)), "flat", MATCH) == ""


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
        frame = Frame(f"{filter_}_light.fits", "light", (64, 80), {"FILTER": filter_})
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
    name = matching.MaskSet([flat, dark]).id
    assert matching.MaskSet([dark, flat]).id == name
    assert len(name) == 10
    sets = [[flat], [dark], [("dark", mask("m.fits")), dark]]
    assert len({name, *(matching.MaskSet(one).id for one in sets)}) == 4


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
    assert matching.mismatch(mask(shape=()), LIGHT, "flat", MATCH) == "has shape unknown, the frame 80x64"


def test_one_kind_that_lacks_is_named_with_the_remedy():
    assert matcher([mask()], ["flat", "dark"]).problem(LIGHT) == (
        "no dark mask applies (there is no dark mask, and no dark to make one from); "
        "add one, or take dark from required_masks"
    )
