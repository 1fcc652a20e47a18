"""Locks that the kernel frees however their holder ends, so that none is ever left behind."""

import atexit
import errno
import json
import os
import platform
import time
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system answers that has no locks."""
RUN = "LIGHTMASK_RUN"
"""Environment variable: which run a job belongs to, as ``token path``, the path being that of the run's lock."""
UNKNOWN = {"process": "?", "host": "?", "boot": "?", "since": "?"}


class BusyError(Exception):
    """Another run is at work; the message says which."""


def lock(file: IO, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file, alone or together with others that share it, until it is closed.

    Returns
    -------
    bool
        False if others are in the way, and it is not to `wait` for them.

    Raises
    ------
    OSError
        Where the file system has no locks.
    """
    if fcntl is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    try:
        fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def hold(path: Path) -> dict[str, Any] | None:
    """Hold a lock until this process ends, and say in its file who does.

    Programs that this one starts find in `RUN` what `is_over` needs.

    Parameters
    ----------
    path : Path
        The lock's file, made where there is none. It is empty while nobody holds
        the lock, unless the last holder was killed.

    Returns
    -------
    dict or None
        Who held the lock last and was killed: ``process``, ``host``, ``boot``, ``since``.

    Raises
    ------
    BusyError
        If another process holds the lock.
    OSError
        If the file cannot be written, or the file system has no locks.
    """
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    try:
        if not lock(file):
            raise BusyError(describe(_read(path) or UNKNOWN))
    except BaseException:
        file.close()
        raise
    killed = _read(path)
    file.truncate(0)
    holder = _this_process() | {"token": os.urandom(8).hex()}
    json.dump(holder, file)
    file.flush()
    os.fsync(file.fileno())  # a power cut kills too
    atexit.register(file.truncate, 0)
    os.environ[RUN] = f"{holder['token']} {path.absolute()}"
    return killed


def join(path: Path) -> list[dict[str, Any]]:
    """Share a lock with others until this process ends, and say in a line of its file who does.

    Parameters
    ----------
    path : Path
        The lock's file, made where there is none. It is empty while nobody shares
        the lock, unless one that did was killed.

    Returns
    -------
    list of dict
        Who shared the lock and was killed, as `hold` returns it; also who left while
        others shared it. Empty as long as others share it: some lines are theirs.

    Raises
    ------
    OSError
        If the file cannot be written, or the file system has no locks.
    """
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    try:
        killed = []
        if lock(file):
            killed = [
                found
                for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
                if (found := _parsed(line))
            ]
            file.truncate(0)
        lock(file, shared=True, wait=True)
    except BaseException:
        file.close()
        raise
    line = json.dumps(_this_process()) + "\n"
    file.write(line)
    file.flush()
    atexit.register(_leave, file, path, line)
    return killed


def _leave(file: IO, path: Path, line: str) -> None:
    if lock(file):  # the last one; other lines are of those that were killed, or that left before
        others = path.read_text(encoding="utf-8", errors="replace").replace(line, "")
        file.truncate(0)
        file.write(others)


def _this_process() -> dict[str, Any]:
    return {
        "process": os.getpid(),
        "host": platform.node(),
        "boot": _boot(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def is_over() -> bool:
    """Return whether the run that this program belongs to is at work no more.

    A job may begin when its run has been killed and the next one is at work already. That one waits
    for jobs that it finds at work, so a job asks this after it has locked its file.
    """
    token, _, path = os.environ.get(RUN, "").partition(" ")
    return bool(token) and (_read(Path(path)) or {}).get("token") != token


def last_holder(path: Path) -> dict[str, Any] | None:
    """Return who held a lock last and was killed, as `hold` does, without holding it or writing anything.

    Parameters
    ----------
    path : Path
        The lock's file.

    Returns
    -------
    dict or None
        None if there is no such file, if the last holder ended in order, or if a process holds the lock.

    Raises
    ------
    OSError
        If the file cannot be read, or the file system has no locks.
    """
    return _found(path, held=False)


def holder(path: Path) -> dict[str, Any] | None:
    """Return who holds a lock, without holding it or writing anything; None if nobody does.

    Parameters and errors are those of `last_holder`.
    """
    return _found(path, held=True)


def _found(path: Path, held: bool) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            is_held = not lock(file, shared=True)
            return (_read(path) or (UNKNOWN if held else None)) if is_held == held else None
    except FileNotFoundError:
        return None


def describe(holder: dict[str, Any]) -> str:
    """Name the holder of a lock: ``process 17 on laptop since 2025-05-30 21:04:11 +0200``."""
    return f"process {holder['process']} on {holder['host']} since {holder['since']}"


def is_here(holder: dict[str, Any]) -> bool:
    """Return whether the holder of a lock ran on this machine.

    A container may have another host name each time; a machine has another boot each time.
    """
    return holder["host"] == platform.node() or holder["boot"] == _boot() != "?"


def _read(path: Path) -> dict[str, Any] | None:
    return _parsed(path.read_text(encoding="utf-8", errors="replace"))


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:  # killed, or seen, while it was written
        return UNKNOWN if text else None
    return UNKNOWN | found if isinstance(found, dict) else UNKNOWN


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "?"
