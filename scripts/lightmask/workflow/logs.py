"""One log per job, and one line on the terminal when the job fails."""

import faulthandler
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NoReturn, TextIO

from lightmask import messages
from lightmask.errors import FrameError, MachineError
from lightmask.messages import printable
from lightmask.workflow.locks import is_over, lock

FAILED = "FAILED: "
"""How the line begins that says why a job failed: the last line of its log."""
FAILED_HERE = "FAILED, for no fault of its file: "
"""Likewise, where the file in work is not to blame, as far as is known: trying again may help."""
BEGUN, ENDED, INTERRUPTED = "BEGUN", "ENDED", "INTERRUPTED"
"""First line of a log, and its last one where the job did not fail. A job that is killed writes no last line."""
AT_WORK = "LIGHTMASK_AT_WORK"
"""Environment variable: the file that jobs lock together while they are at work."""


def escape(record: logging.LogRecord) -> bool:
    """Escape, as a filter of a logger, what moves a terminal's cursor or turns its text round; line ends stay."""
    text = record.getMessage()
    if not text.isprintable():
        record.msg, record.args = re.sub(r"[^\n\t]+", lambda found: printable(found[0]), text), ()
    return True


@contextmanager
def logged_to(path: str | os.PathLike) -> Iterator[None]:
    """Send both streams of this process to a log for as long as the context lasts.

    File descriptors are redirected, not `sys.stdout`, so that what compiled
    code prints is caught too.

    Parameters
    ----------
    path : str
        The log, written anew.

    Yields
    ------
    None
        Do the work of the job in this context.

    Raises
    ------
    SystemExit
        With status 1 after any exception. Its cause stands in the last line
        of the log and on the terminal, the traceback in the log only where the
        cause is not a `FrameError`, which needs none. With another status after SIGTERM.
    """
    streams = (sys.stdout, sys.stderr)
    saved = [os.dup(stream.fileno()) for stream in streams]
    with _at_work(), _opened(path) as log:
        for stream in streams:
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
        messages.terminal = saved[1]
        with suppress(OSError):  # a full disk, or a file system without locks: then `killed` cannot know
            lock(log)
            os.write(log.fileno(), f"{BEGUN}\n".encode())
        last = INTERRUPTED
        before = signal.signal(signal.SIGTERM, _exit)
        if not faulthandler.is_enabled():
            faulthandler.enable()  # so that a crash has its words
        try:
            yield
            sys.stdout.flush()
            last = ENDED
        except Exception as error:
            if isinstance(error, FrameError):
                cause = str(error)  # one line, but for what a name may hold
            else:
                cause = " ".join(f"{type(error).__name__}: {error}".split())
            cause = printable(cause)
            messages.write_line(f"{FAILED}{cause}\n".encode())  # first, as the disk of the log may be full
            is_of_file = isinstance(error, FrameError) and not isinstance(error, MachineError)
            last = f"{FAILED if is_of_file else FAILED_HERE}{cause}"
            with suppress(OSError):
                if not isinstance(error, FrameError):
                    traceback.print_exc()
            raise SystemExit(1) from None
        finally:
            signal.signal(signal.SIGTERM, before)
            messages.terminal = 2
            for stream in streams:
                with suppress(OSError):
                    stream.flush()
            with suppress(OSError):
                size = os.path.getsize(path)
                unfinished = size and os.pread(log.fileno(), 1, size - 1) != b"\n"
                os.write(log.fileno(), f"{chr(10) * bool(unfinished)}{last}\n".encode())
            for stream, original in zip(streams, saved, strict=True):
                os.dup2(original, stream.fileno())
                os.close(original)


def _exit(number: int, _: Any) -> NoReturn:
    raise SystemExit(128 + number)


def _opened(path: str | os.PathLike) -> TextIO:
    try:
        return open(path, "w+", encoding="utf-8")
    except OSError as error:
        messages.write_line(f"{printable(os.fspath(path))}: cannot be written ({error.strerror})\n".encode())
        raise SystemExit(1) from None


@contextmanager
def _at_work() -> Iterator[None]:
    """Hold a lock that shows a later run of this job, should the job outlive its own run."""
    with ExitStack() as stack:
        with suppress(OSError):  # a file system without locks: then later runs cannot know
            if path := os.environ.get(AT_WORK):
                lock(stack.enter_context(open(path, "a")), shared=True)
            if is_over():
                messages.write_line(b"a job of a run that was killed began too late, and ends\n")
                raise SystemExit(1)
        yield


def failure(path: str | os.PathLike, name: str = "") -> str:
    """Return the cause in a log that `logged_to` wrote, or an empty string.

    Parameters
    ----------
    path : path
        The log.
    name : str
        What was in work, for a job that could not say so itself; the path of the log unless it is given.
    """
    last = _last_line(path)
    cause = next((last.removeprefix(begin) for begin in (FAILED, FAILED_HERE) if last.startswith(begin)), "")
    return printable(cause) or killed(path, name)


def killed(path: str | os.PathLike, name: str = "") -> str:
    """Say that a job was killed, if its log was begun and not ended, and it is at work no more."""
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            if not lock(log, shared=True):
                return ""
            text = log.read()
    except OSError:  # there is none, or there are no locks: nothing is known
        return ""
    last = text.rstrip("\n").rpartition("\n")[2]
    if not text.startswith(f"{BEGUN}\n") or last in (ENDED, INTERRUPTED) or last.startswith((FAILED, FAILED_HERE)):
        return ""
    cause = "was ended by signal 9 (SIGKILL), perhaps for lack of memory; raise mem_mb, or run fewer at a time"
    if crash := re.search("^Fatal Python error: (.*)$", text, re.MULTILINE):
        cause = f"crashed ({crash[1]}); its log says where"
    return printable(f"{name or os.fspath(path)}: its job {cause}")


def fault(path: str | os.PathLike) -> str:
    """Return the cause in a log if it lies in the file that was in work; else an empty string.

    Parameters
    ----------
    path : path
        The log.

    Returns
    -------
    str
        Empty where the file is not to blame, or nothing failed.
    """
    return failure(path) if _last_line(path).startswith(FAILED) else ""


def _last_line(path: str | os.PathLike) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            return log.read().rstrip("\n").rpartition("\n")[2]
    except FileNotFoundError:
        return ""
