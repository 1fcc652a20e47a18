"""What is printed: in one line, with nothing in it that moves a cursor."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def printable(path: str) -> str:
    """Escape what a table or a terminal cannot show: line ends, and bytes that are no UTF-8."""
    return "".join(c if c.isprintable() else repr(os.fsencode(c))[2:-1] for c in path)


CLEAR_LINE = "\r\x1b[K"
"""What empties a terminal's last line, where the progress of a run may stand."""
terminal = 2
"""File descriptor of the terminal's stderr while both streams go to a log."""


def warn(text: str) -> None:
    """Report something that a user should know, in the log and on the terminal."""
    line = f"WARNING: {printable(text)}\n"
    print(line, end="")
    sys.stdout.flush()
    if terminal != 2:
        write_line(line.encode())


def write_line(line: bytes) -> None:
    """Write a line to the terminal, whatever the streams of this process go to."""
    os.write(terminal, CLEAR_LINE.encode() * os.isatty(terminal) + line)


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Print how long a stage of a job took: ``reading: 0.120 s``."""
    start = time.perf_counter()
    yield
    print(f"{stage}: {time.perf_counter() - start:.3f} s")


def without_middle(text: str, kept: int) -> str:
    """Keep so many letters of a text, half of them from its end; all if it has no more."""
    return text if len(text) <= kept else f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
