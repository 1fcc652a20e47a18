"""Names of frames survive shells, headers and Snakemake's command line."""

import hashlib
import os
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lightmask.night import names

# Every name that a file system can hold: any bytes but NUL, as Python gives them.
any_name = st.one_of(
    st.binary(min_size=1, max_size=40).filter(lambda b: b"\0" not in b).map(os.fsdecode),
    st.text("aé,'\"{}%$:=\n\t\\*?[]&|;<>`~#!@+^ü²٣e\u0301()-_. /\udc80\udcff", min_size=1, max_size=40).map(
        lambda text: os.fsdecode(os.fsencode(text))
    ),
)
CANNOT_BE_CARRIED = re.compile(r"""[,:=;'"`{}\[\]$&|<>*?!#~\\\n\r\t\0\udc80-\udcff]|%(?![0-9A-F]{2})""")


@settings(max_examples=300, deadline=None)
@given(any_name)
@example("100%41.fits")
@example("a,b='c'\"{d}\"%$e:f\n.fits")
@example("\udce9\udcff é.fits")
def test_encoding_is_reversible(name):
    assert names.decode(names.encode(name)) == name


@settings(max_examples=300, deadline=None)
@given(any_name)
@example("a,b=c:d;e'f\"g`h{i}[j]$k&l|m<n>o*p?q!r#s~t\\u\nv\rw\tx%y\udc80")
def test_encoded_names_hold_nothing_that_a_command_line_splits_or_expands(name):
    assert not CANNOT_BE_CARRIED.search(names.encode(name))


@settings(max_examples=200, deadline=None)
@given(any_name)
def test_encoded_names_are_format_strings_without_fields(name):
    encoded = names.encode(name)
    assert encoded.format() == encoded


@settings(max_examples=200, deadline=None)
@given(any_name)
def test_encoding_keeps_folders_apart(name):
    assert names.encode(name).count("/") == name.count("/")


@settings(max_examples=200, deadline=None)
@given(st.text(st.one_of(st.characters(categories=["L", "Nd"]), st.sampled_from(" .-_()")), min_size=1))
@example("kelt-16-b g (001)_r.fits")
@example("Größe Ωμέγα 東京.fits")
def test_letters_digits_and_plain_characters_stay(name):
    assert names.encode(name) == name


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["a.fits", "b.FIT", "c.fts", "d.fits.gz"]),
    st.sampled_from([".json", ".png", ".reg", ".log", ".tsv", ".PNG"]),
    st.sampled_from(["", "deep/", "x.fits.log/"]),
)
def test_no_folder_is_in_the_way_of_a_file_that_is_derived_from_a_frame(frame, suffix, above):
    derived = (names.output_name(above + frame) + suffix).casefold()
    beside = names.output_name(f"{above}{frame.removesuffix('.gz')}{suffix}/b.fits")
    assert beside.casefold().rpartition("/")[0] != derived
    assert names.decode(beside) == f"{above}{frame.removesuffix('.gz')}{suffix}/b.fits"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.fits", "a.fits"),
        ("a.FIT", "a.FIT"),
        ("a.fits.gz", "a.fits"),
        ("a.fts.BZ2", "a.fts"),
        ("night 1/a.FITS.Fz", "night 1/a.FITS"),
        ("a.fits.gz.fits.gz", "a.fits.gz.fits"),
        ("a,b.fits.fz", "a%2Cb.fits"),
        ("a.gz/b.fits", "a.gz/b.fits"),
        ("a.gz", "a.gz"),
    ],
)
def test_results_lose_the_compression_suffix_only(path, expected):
    assert names.output_name(path) == expected


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=255).filter(lambda b: not set(b) & {0, 47}).map(os.fsdecode), st.booleans())
@example("," * 255, False)
@example("ü" * 125 + ".fits.gz", True)
def test_results_have_names_with_room_for_suffixes(name, deep):
    result = names.output_name(f"{name}/{name}" if deep else name)
    for part in result.split("/"):
        assert len(os.fsencode(part)) <= names.LONGEST
        assert not CANNOT_BE_CARRIED.search(part)
        assert part == names.encode(name) or len(names.encode(name).encode()) > names.LONGEST - 4


def test_long_names_that_differ_anywhere_give_results_that_differ_and_keep_their_suffix():
    begin = "n" * 240
    found = [names.output_name(f"{begin}{end}") for end in ("1.fits", "2.fits", ",.fits", "1.fit", "1.fits.gz")]
    assert [name.rpartition(".")[2] for name in found] == ["fits", "fits", "fits", "fit", "fits"]
    assert len(set(found)) == 4 and found[0] == found[-1]


def test_paths_of_any_length_give_results_that_differ():
    folders = "/".join(["a,b'c"] * 600)
    found = {names.output_name(f"{folders}/{name}") for name in ("a/x.fits", "b/x.fits", "a/y.fits")}
    assert len(found) == 3 and all(len(name) < 500 and name.endswith(".fits") for name in found)


def test_a_line_break_after_the_suffix_belongs_to_the_name():
    assert names.output_name("a.fits.gz\n") == "a.fits.gz%0A"


def test_a_long_name_keeps_as_much_of_its_beginning_as_there_is_room_for():
    for path in ("n" * 240 + ".fits.gz", "n" * 240 + ".fits"):
        shortened = names.shortened(path)
        digest = hashlib.sha256(path.encode()).hexdigest()[:16]
        end = f"-{digest}{names.FITS_SUFFIX.search(path)[0]}"
        assert shortened == "n" * (names.LONGEST - len(end)) + end
    assert names.shortened("n" * names.LONGEST) == "n" * names.LONGEST
    assert len(names.shortened("n" * (names.LONGEST + 1))) == names.LONGEST == 200


def test_a_name_is_never_cut_within_a_letter_or_a_code():
    for lead in range(6):
        assert re.match(f"n{{{lead}}}(%2C)+-[0-9a-f]{{16}}$", names.shortened(names.encode("n" * lead + "," * 100)))
        cut = names.shortened("n" * lead + "\u6771" * 90)
        assert re.match(f"n{{{lead}}}\u6771+-[0-9a-f]{{16}}$", cut) and 197 < len(os.fsencode(cut)) <= 200


def test_a_path_is_shortened_only_where_it_is_longer_than_2000_bytes():
    folder = "n" * 99 + "/"
    kept = folder * 19 + "n" * 95 + ".fits"
    assert len(kept) == 2000 and names.shortened(kept) == kept
    longer = folder * 19 + "n" * 96 + ".fits"
    folders, _, last = names.shortened(longer).rpartition("/")
    assert last == "n" * 96 + ".fits"
    assert len(folders) == 200 and folders.startswith(folder) and re.search("-[0-9a-f]{16}$", folders)


@pytest.mark.parametrize("text", ["'quoted'", "=1", "plain", ""])
def test_a_text_that_was_never_changed_for_a_table_comes_back_as_it_is(text):
    assert names.from_cell(text) == text
