"""Whole files or none."""

import os

import pytest

from lightmask.errors import FrameError
from lightmask.fits import files


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / f"{'x' * 250}.fits"  # as long as names may be
    with files.whole_file(path) as part:
        part.write_bytes(b"half")
        assert part.parent == tmp_path and part.name.startswith(".") and not path.exists()
        part.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_are_not_in_each_others_way(tmp_path):
    with files.whole_file(tmp_path / "a") as first, files.whole_file(tmp_path / "a") as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert (tmp_path / "a").read_bytes() == b"first"


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(UnicodeEncodeError), files.whole_file(tmp_path / "a") as part:
        part.write_text("new: \udc80", encoding="utf-8")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_what_cannot_be_written_is_named(tmp_path):
    with (
        pytest.raises(FrameError, match=r"nowhere/a: cannot be written \(No such file or directory\)"),
        files.whole_file(tmp_path / "nowhere/a") as part,
    ):
        part.write_bytes(b"")


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in (".0123.part", "sub/.4567.part", "a.part", ".hidden", "sub/b.fits"):
        (tmp_path / name).write_bytes(b"")
    files.remove_leftovers(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"a.part", ".hidden", "sub/b.fits"}
