"""Which flats and darks a mask is made from, and which frames it applies to."""

import pytest

from lightmask.night import matching
from lightmask.night.configuration import validated
from lightmask.night.types import Frame, frames

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
    assert matching.is_combined(a_dark(**cards), CONFIG) == expected


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
