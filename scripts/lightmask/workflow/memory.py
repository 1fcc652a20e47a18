"""Fail a job whose memory does not suffice, before the kernel or a cluster kills it without a word."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_limit(allowed: float, needed: float, name: str) -> Iterator[None]:
    """Keep what is done in this context within a memory that may not suffice.

    A limit is set only where `allowed` is less than `needed`, as that may be estimated too high;
    and not where the system does not report how much is in use.

    Parameters
    ----------
    allowed : float
        What the process may use, in MB.
    needed : float
        What it is estimated to use at the most, in MB.
    name : str
        What is in work, for the message.

    Yields
    ------
    None
        Do the work of the job in this context.

    Raises
    ------
    MemoryError
        If it does not suffice. Nothing is wrong with the frame: with more memory it can be masked.
    """
    used = _used() if allowed < needed else {}
    if not used:
        yield
        return
    import resource  # there where /proc is

    # The kernel counts what is reserved, threads' stacks for example, and of that only what is used counts here.
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    free = max(allowed * 1_000_000 - used["VmRSS"], 0)
    resource.setrlimit(resource.RLIMIT_DATA, (int(used["VmData"] + free), hard))
    try:
        yield
    except (MemoryError, ImportError, OSError) as error:
        lacking = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
        if not lacking and "annot allocate memory" not in str(error):  # a library that could not be loaded
            raise
        raise MemoryError(
            f"{name}: the {allowed:.0f} MB of memory that it may use do not suffice, {needed:.0f} MB will; "
            "raise mem_mb (--resources or --set-resources)"
        ) from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _used() -> dict[str, int]:
    """Return what the kernel counts of this process, in bytes; empty where it does not report it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    fields = (line.split() for line in status.splitlines() if line.endswith(" kB"))
    used = {field[0].removesuffix(":"): int(field[1]) * 1024 for field in fields}
    return used if used.keys() >= {"VmRSS", "VmData"} else {}
