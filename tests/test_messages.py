"""What is printed can be shown."""

import os
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lightmask import messages

# Every name that a file system can hold: any bytes but NUL, as Python gives them.
any_name = st.one_of(
    st.binary(min_size=1, max_size=40).filter(lambda b: b"\0" not in b).map(os.fsdecode),
    st.text("aé,'\"{}%$:=\n\t\\*?[]&|;<>`~#!@+^ü²٣e\u0301()-_. /\udc80\udcff", min_size=1, max_size=40).map(
        lambda text: os.fsdecode(os.fsencode(text))
    ),
)


@settings(max_examples=200, deadline=None)
@given(any_name)
@example("a\nb\udcff\u200bc")
def test_printable_names_can_be_shown_and_written(name):
    shown = messages.printable(name)
    assert shown.isprintable()
    assert shown.encode()


@pytest.mark.parametrize(
    ("path", "shown"), [("a é's, {b}.fits", "a é's, {b}.fits"), ("a\n", r"a\n"), ("a\udcff", r"a\xff")]
)
def test_only_what_cannot_be_shown_is_escaped(path, shown):
    assert messages.printable(path) == shown


def test_a_stage_is_timed_when_it_ends(capsys):
    with messages.timed("reading"):
        assert capsys.readouterr().out == ""
    assert re.fullmatch(r"reading: \d+\.\d{3} s\n", capsys.readouterr().out)
