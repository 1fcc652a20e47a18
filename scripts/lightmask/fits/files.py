"""Write files that are whole, or not there."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lightmask.errors import MachineError

PART = ".part"
"""How the name of a file ends that is not complete."""
Stamp = list[int]


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what changes when a file does: size, time of change in ns, inode, and time of change of the inode.

    The last one is set by the kernel alone: it also tells of a file whose time of change was put back.

    Parameters
    ----------
    status : os.stat_result
        Of the file.

    Returns
    -------
    list of int
        Four numbers.
    """
    return [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Return a temporary path that becomes `path` when the context ends without an exception.

    It is in the same folder, under a name that no other process gives. The data are on the
    disk before they have their name: after a power cut too, a file of that name is complete.

    Parameters
    ----------
    path : path
        Where the file is to be; folders are made.

    Yields
    ------
    Path
        Where to write it.

    Raises
    ------
    MachineError
        If the file cannot be written.
    """
    part = Path(path).with_name(f".{os.urandom(8).hex()}{PART}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise MachineError(
            f"{os.fspath(path)}: cannot be written ({error.strerror or error}); see to its disk and its rights, then "
            "start again"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def holds(path: Path, text: str) -> bool:
    """Return whether a file, in UTF-8, holds just this text."""
    try:
        return path.read_bytes() == text.encode(errors="backslashreplace")
    except (FileNotFoundError, NotADirectoryError):
        return False


def bring_back(folder: Path, most: float) -> int:
    """Set the present time on files whose time of change is ahead of it by more than so many seconds.

    What is made from them would have an older one, and the engine would take it for out of date.

    Returns
    -------
    int
        How many files there were.
    """
    now, found = time.time(), 0
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if os.lstat(path).st_mtime > now + most:
                os.utime(path, (now, now), follow_symlinks=False)
                found += 1
    return found


def remove(paths: Iterable[str | os.PathLike]) -> None:
    """Remove files, as far as they are there.

    Parameters
    ----------
    paths : iterable of path
        The files.
    """
    for path in paths:
        Path(path).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove, in a folder and all below it, what was not complete when its writer was killed."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(PART):
                Path(place, name).unlink()
