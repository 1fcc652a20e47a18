"""What a file is, and what the tables say of it, as its header describes it."""

import pytest
from conftest import write_light, write_mask

from lightmask.masks import mask_frame
from lightmask.night import inventory, types
from lightmask.night.configuration import validated

DEFAULTS = validated({})


def scanned(folder, config=DEFAULTS, code="", **options):
    """Scan a folder, with the cache beside it."""
    cache, keywords = folder.parent / "headers.json", types.keywords_needed(config)
    of_folder = inventory.Inventory(folder, cache, keywords, code)
    files = of_folder.scan(**options)
    of_folder.remember(files)
    return files


def night(folder, config=DEFAULTS):
    """Scan a folder, and give its frames by path."""
    return {frame.path: frame for frame in types.frames(scanned(folder, config), config)}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "night"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("said", "type_"),
    [
        ("LIGHT", "light"),
        ("light frame", "light"),
        ("  Object  ", "light"),
        ("SCIENCE", "light"),
        ("Flat Mask", "flat mask"),
        ("dark mask", "dark mask"),
        ("FLAT", "flat"),
        ("dark frame", "dark"),
        ("BIAS", "BIAS"),
        (None, ""),
        (3, "3"),
    ],
)
def test_the_type_comes_from_the_header(folder, said, type_):
    write_light(folder / "light dark mask.fits", IMAGETYP=said)
    (frame,) = night(folder).values()
    assert (frame.type, frame.problem) == (type_, "")
    assert frame.to_mask == (type_ == "light")


@pytest.mark.parametrize(
    ("cards", "type_"),
    [
        ({"IMAGETYP": None, "HIERARCH ESO DPR TYPE": "OBJECT"}, "light"),
        ({"IMAGETYP": "FLAT", "HIERARCH ESO DPR TYPE": "OBJECT"}, "light"),
        ({"IMAGETYP": "LIGHT", "HIERARCH ESO DPR TYPE": ""}, "light"),
        ({"IMAGETYP": "LIGHT"}, "light"),
        ({"IMAGETYP": "LIGHT", "HIERARCH ESO DPR TYPE": "SKY,FLAT"}, "flat"),
    ],
)
def test_the_first_keyword_that_says_something_counts(folder, cards, type_):
    write_light(folder / "a.fits", **cards)
    config = validated({"frame_type": {"keywords": ["ESO DPR TYPE", "IMAGETYP"]}})
    assert night(folder, config)["a.fits"].type == type_


def test_types_are_compared_without_case_and_blanks_of_the_configuration(folder):
    write_light(folder / "a.fits", IMAGETYP="Target")
    assert night(folder, validated({"frame_type": {"light": [" tARGET "]}}))["a.fits"].type == "light"


@pytest.mark.parametrize("pair", [("a.fits", "a.fits.gz"), ("deep/a.fits.bz2", "deep/a.fits.fz")])
def test_frames_whose_results_would_collide_are_problems(folder, pair):
    for name in (*pair, "other.fits"):
        write_light(folder / name)
    found = night(folder)
    for path, rival in (pair, pair[::-1]):
        assert f"collide with that of {rival}" in found[path].problem
    assert len({frame.name for frame in found.values()}) == 3, "each is told of"
    assert found["other.fits"].problem == ""


def test_a_result_cannot_lie_below_a_file(folder):
    write_light(folder / "a.fits" / "b.fits")
    write_light(folder / "a.fits.gz")
    found = night(folder)
    assert "collide with that of a.fits.gz" in found["a.fits/b.fits"].problem
    assert "collide with that of a.fits/b.fits" in found["a.fits.gz"].problem


def test_masks_and_other_types_collide_with_nothing(folder):
    write_light(folder / "a.fits")
    write_mask(folder / "a.fits.gz", "flat mask")
    assert [frame.problem for frame in night(folder).values()] == ["", ""]


def test_what_lightmask_made_is_never_taken_in(folder):
    write_light(folder / "a.fits")
    mask_frame(folder / "a.fits", "a.fits", None, folder / "b.fits", folder / "b.json", DEFAULTS)
    found = night(folder)
    assert found["b.fits"].type == "made by lightmask"
    assert not found["b.fits"].to_mask
    assert found["a.fits"].to_mask


def test_table_row_shows_the_header(folder):
    write_light(
        folder / "a\n.fits", IMAGETYP="Light Frame", EXPTIME=30.5, XBINNING=2, YBINNING=1, INSTRUME="cam", FILTER=None
    )
    (frame,) = night(folder).values()
    assert types.table_row(frame, DEFAULTS) == {
        "path": r"a\n.fits",
        "type": "light",
        "shape": "80x64",
        "filter": "",
        "exposure": 30.5,
        "binning": "2x1",
        "camera": "cam",
        "object": "",
        "date": "",
        "pixel_size": "",
    }


def test_table_row_takes_the_first_keyword_that_is_there(folder):
    write_light(folder / "a.fits", EXPTIME=None, EXPOSURE=7)
    (frame,) = night(folder).values()
    assert types.table_row(frame, DEFAULTS)["exposure"] == 7


def test_table_row_of_an_unreadable_file_is_empty_but_for_its_path(folder):
    (folder / "a.fits").write_bytes(b"")
    (frame,) = types.frames(scanned(folder), DEFAULTS)
    row = types.table_row(frame, DEFAULTS)
    assert row.pop("path") == "a.fits"
    assert set(row.values()) == {""}


def test_keywords_needed_are_all_that_the_configuration_names():
    config = validated(
        {"frame_type": {"keywords": ["T"]}, "match": {"flat": ["M"]}, "table_keywords": {"camera": ["C"]}}
    )
    assert {"T", "M", "C", types.OWN_KEYWORD, "EXPTIME"} <= set(types.keywords_needed(config))
