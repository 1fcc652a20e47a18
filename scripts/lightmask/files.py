"""Write files that are whole, or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightmask import MachineError

PART = ".part"
"""How the name of a file ends that is not complete."""


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the context ends without an exception.

    It is in the same folder, under a name that no other process gives. The data are on the
    disk before they have their name: after a power cut too, a file of that name is complete.

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


def remove_leftovers(folder: Path) -> None:
    """Remove, in a folder and all below it, what was not complete when its writer was killed."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(PART):
                Path(place, name).unlink()
