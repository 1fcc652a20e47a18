"""What a result was made with and from, and the digests that tell."""

import hashlib
import json
import os
from dataclasses import replace

import pytest
from astropy.io import fits
from conftest import write_light
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.errors import FrameError
from lightmask.fits import files, images, records
from lightmask.night import inventory

SOURCES = {"frame": "a" * 64, "flat1": "b" * 64}


def test_a_recipe_is_known_by_what_it_holds_and_not_by_its_order():
    recipe = records.digest_of({"sigclip": 8, "gain": 1.0})
    assert recipe == records.digest_of({"gain": 1.0, "sigclip": 8})
    assert recipe != records.digest_of({"sigclip": 9, "gain": 1.0})
    assert len(recipe) == 32


@pytest.mark.parametrize(
    ("record", "current"),
    [
        ({"recipe": "r", "sources": SOURCES}, True),
        ({"recipe": "r", "sources": {role: digest[:32] for role, digest in SOURCES.items()}}, True),
        ({"recipe": "another", "sources": SOURCES}, False),
        ({"recipe": "r", "sources": SOURCES | {"frame": "c" * 64}}, False),
        ({"recipe": "r", "sources": SOURCES | {"dark1": "c" * 64}}, False),
        ({"recipe": "r", "sources": {"frame": "a" * 64}}, False),
        ({"recipe": "r"}, False),
        ({}, False),
    ],
)
def test_a_result_is_current_if_recipe_and_all_sources_agree(record, current):
    assert records.holds(record, "r", lambda: SOURCES) == current


def test_a_header_holds_a_record(tmp_path):
    hdu = fits.PrimaryHDU()
    hdu.header["HIERARCH LIGHTMASK RECIPE"] = "r"
    hdu.header["HIERARCH LIGHTMASK FRAME SHA256"] = "a" * 32
    hdu.header["HIERARCH LIGHTMASK FLAT1 SHA256"] = "b" * 32
    hdu.writeto(tmp_path / "a.fits")
    record = records.read(tmp_path / "a.fits")
    assert record == {"recipe": "r", "sources": {"frame": "a" * 32, "flat1": "b" * 32}}
    assert records.holds(record, "r", lambda: SOURCES)


@pytest.mark.parametrize("content", [None, b"", b"[1]", b"{", b"\xff", b"SIMPLE  = nothing"])
@pytest.mark.parametrize("name", ["a.json", "a.fits", "a.fits/b.json"])
def test_where_there_is_no_record_it_is_empty(tmp_path, content, name):
    if content is not None:
        (tmp_path / name.partition("/")[0]).write_bytes(content)
    assert records.read(tmp_path / name) == {}


def test_a_record_is_added_to_what_stands_beside_a_result(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"made": True}))
    records.add(tmp_path / "a.json", "r", SOURCES)
    assert records.read(tmp_path / "a.json") == {"made": True, "recipe": "r", "sources": SOURCES}


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1), st.lists(st.integers(0, 2**63), min_size=4, max_size=4), st.integers(0, 400))
def test_notes_in_a_log_are_read_again_whole_or_not_at_all(tmp_path_factory, name, stamp, cut):
    log = tmp_path_factory.mktemp("log") / "a.log"
    line = records.note(name, "d" * 64, stamp)
    log.write_text(f"reading: 0.1 s\n{line}\nmore\n", encoding="utf-8")
    assert records.notes(log) == {(name, tuple(stamp)): "d" * 64}
    log.write_text(line[:cut], encoding="utf-8")
    assert records.notes(log) in ({}, {(name, tuple(stamp)): "d" * 64})


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def scanned(tmp_path):
    write_light(tmp_path / "night/a.fits")
    return tmp_path / "night", inventory.Inventory(tmp_path / "night", tmp_path / "headers.json", ["IMAGETYP"]).scan()


def test_a_digest_is_taken_of_a_file_once_and_remembered_with_its_stamp(scanned, tmp_path):
    folder, files_found = scanned
    expected = sha256(folder / "a.fits")
    assert records.Digests(files_found, folder).of("a.fits") == expected
    assert files_found["a.fits"]["stamp"][4] == expected
    (folder / "a.fits").unlink()
    assert records.Digests(files_found, folder).of("a.fits") == expected
    of_folder = inventory.Inventory(folder, tmp_path / "headers.json", ["IMAGETYP"])
    of_folder.remember(files_found)
    assert of_folder.recall() == files_found
    assert replace(of_folder, keywords=["FILTER"]).recall() is None


def test_the_log_of_the_job_that_read_a_file_knows_its_digest(scanned, tmp_path):
    folder, files_found = scanned
    stamp = files_found["a.fits"]["stamp"][:4]
    log = tmp_path / "a.log"
    log.write_text(records.note("a.fits", "from the log", stamp) + "\n")
    assert records.Digests(files_found, folder).of("a.fits", [tmp_path / "none.log", log]) == "from the log"


def test_the_log_of_another_state_of_a_file_does_not_count(scanned, tmp_path):
    folder, files_found = scanned
    stamp = files_found["a.fits"]["stamp"][:4]
    log = tmp_path / "a.log"
    log.write_text(records.note("a.fits", "of before", [stamp[0], stamp[1] - 1, *stamp[2:]]) + "\n")
    assert records.Digests(files_found, folder).of("a.fits", [log]) == sha256(folder / "a.fits")


def test_a_file_that_is_not_there_yet_has_no_digest(tmp_path):
    assert records.Digests({}, tmp_path).of("a.fits") == ""
    assert records.Digests({}, tmp_path).of_other(tmp_path / "a.fits") == ""
    (tmp_path / "a.fits").write_bytes(b"x")
    assert records.Digests({}, tmp_path).of_other(tmp_path / "a.fits") == sha256(tmp_path / "a.fits")


def test_what_was_read_is_noted_and_collected(tmp_path, capsys):
    write_light(tmp_path / "a.fits")
    path = tmp_path / "a.fits"
    with images.unchanged([path], ["night/a.fits"], [None]) as digests:
        images.read(path, "night/a.fits")
    assert digests == {"night/a.fits": sha256(path)}
    (tmp_path / "log").write_text(capsys.readouterr().out)
    stamp = tuple(files.stamp_of(path.stat()))
    assert records.notes(tmp_path / "log") == {("night/a.fits", stamp): sha256(path)}


@pytest.mark.parametrize("part", range(4))
def test_a_file_that_is_not_the_one_of_the_plan_is_refused(tmp_path, part):
    write_light(tmp_path / "a.fits")
    stamp = files.stamp_of((tmp_path / "a.fits").stat())
    with images.unchanged([tmp_path / "a.fits"], ["a.fits"], [[*stamp, "its digest"]]):
        pass
    stamp[part] += 1
    with (
        pytest.raises(FrameError, match=r"^a\.fits: changed since the folder was searched; start again$"),
        images.unchanged([tmp_path / "a.fits"], ["a.fits"], [stamp]),
    ):
        pass


def test_a_change_of_rights_is_seen_in_the_stamp(tmp_path):
    path = tmp_path / "a"
    path.touch()
    before = files.stamp_of(path.stat())
    path.chmod(0o600)
    os.utime(path, ns=(before[1], before[1]))
    assert files.stamp_of(path.stat())[:3] == before[:3]
    assert files.stamp_of(path.stat())[3] > before[3]


def test_times_ahead_of_the_clock_are_brought_back_and_others_left_alone(tmp_path):
    for name, seconds in (("old", 1000), ("deep/ahead", 4_000_000_000)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (seconds, seconds))
    assert files.bring_back(tmp_path, 1.0) == 1
    assert (tmp_path / "old").stat().st_mtime == 1000
    assert (tmp_path / "deep/ahead").stat().st_mtime < 4_000_000_000
    assert files.bring_back(tmp_path, 1.0) == 0


def test_a_file_holds_a_text_or_not(tmp_path):
    (tmp_path / "a").write_text("é", encoding="utf-8")
    assert files.holds(tmp_path / "a", "é")
    assert not files.holds(tmp_path / "a", "e")
    assert not files.holds(tmp_path / "b", "é") and not files.holds(tmp_path / "a/b", "é")
