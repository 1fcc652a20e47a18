"""The flats or darks that one mask is made from: which of them can be used, and many of them open at a time."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from lightmask.errors import FrameError, MachineError
from lightmask.fits import CHUNK, Hdu, Header, Roles, Stored, opened, read_image, readable, shape_text, whole_file
from lightmask.messages import warn

Source = tuple[str, str]
"""A file, and its name in messages and provenance."""
Found = TypeVar("Found")
HANDLES = 3
"""Files that are open for a source at the most: itself, it without compression, and it without tiles."""
SPARE = 32
"""Files that a process may open for other purposes meanwhile."""


def usable(
    sources: Iterable[Source], look: Callable[[str, str], Found]
) -> tuple[list[tuple[str, Found]], list[dict[str, str]]]:
    """Look at each source, and leave out with a warning each one that cannot be used.

    Parameters
    ----------
    sources : iterable of (str, str)
        File and name of each.
    look : callable
        Takes file and name, and returns what is needed of a source.

    Returns
    -------
    found : list of (str, object)
        Name of each usable source, and what `look` returned.
    left_out : list of dict
        ``path`` (the name) and ``problem`` of each of the others.

    Raises
    ------
    MachineError
        If the machine is at fault and not the source: no permission, or no disk left.
    """
    found, left_out = [], []
    for file, name in sources:
        try:
            found.append((name, look(file, name)))
        except MachineError:
            raise
        except FrameError as error:
            warn(f"{error}; the mask is made without it")
            left_out.append({"path": name, "problem": str(error).removeprefix(f"{name}: ")})
    return found, left_out


def check_shape(name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Refuse a source of another shape than the plan says."""
    if shape != expected:
        raise FrameError(
            f"{name}: shape {shape_text(shape)}, expected {shape_text(expected)}; "
            "it changed since the folder was searched, start again"
        )


def description(left_out: Iterable[Mapping[str, str]]) -> str:
    """Return path and problem of sources that were left out, in one line."""
    return "; ".join(f"{source['path']}: {source['problem']}" for source in left_out)


def write_left_out(
    left_out: list[dict[str, str]], made: bool, path: str | os.PathLike, changes: Sequence[str] = ()
) -> None:
    """Write a JSON file: which sources were left out of a mask, whether it could be made, and how it changed."""
    record: dict[str, Any] = {"left_out": left_out, "made": made}
    if changes:
        record["changes"] = list(changes)
    with whole_file(path) as part:
        part.write_text(json.dumps(record), encoding="utf-8")


def read_left_out(path: str | os.PathLike) -> dict[str, Any]:
    """Read what `write_left_out` wrote."""
    found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return found


def lines(paths: Iterable[str | os.PathLike]) -> list[str]:
    """Return one line for each source that was left out of a mask.

    Parameters
    ----------
    paths : iterable of path
        What `write_left_out` wrote for each mask; one that does not exist is passed over.
    """
    found = (source for path in paths if os.path.exists(path) for source in read_left_out(path)["left_out"])
    return list(dict.fromkeys(description([source]) for source in found))  # it may be left out of several masks


def check(paths: Iterable[str | os.PathLike]) -> None:
    """Report all sources that were left out of masks.

    Parameters
    ----------
    paths : iterable of path
        As of `lines`.

    Raises
    ------
    FrameError
        If there is any such source; the message names all.
    """
    if found := lines(paths):
        raise FrameError("; ".join(found))


def with_remarks(lights: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add a remark to each LIGHT frame that is masked without a mask because none could be made, or with a changed one.

    Parameters
    ----------
    lights : iterable of dict
        Rows of the summary. ``made_masks`` of a row gives, by kind (``flat`` or ``dark``), the file that
        `write_left_out` wrote for the mask; one that does not exist is passed over.

    Returns
    -------
    list of dict
        The rows, with ``remarks``, a list of str.
    """
    lacking: dict[tuple[str, str], str] = {}  # a night has thousands of frames, and few masks
    rows = []
    for light in lights:
        remarks: list[str] = []
        for made in light["made_masks"].items():
            if made not in lacking:
                lacking[made] = _remark(*made)
            remarks += filter(None, [lacking[made]])
        rows.append({**light, "remarks": [*light.get("remarks", []), *remarks]})
    return rows


def _remark(kind: str, path: str) -> str:
    if not os.path.exists(path):
        return ""
    found = read_left_out(path)
    if not found["made"]:
        return f"masked without a {kind} mask: {description(found['left_out'])}"
    return "; ".join(f"{kind} {change}" for change in found.get("changes", []))


@dataclass(frozen=True)
class Rows:
    """An image, and the mask of its own, of which rows can be read.

    Attributes
    ----------
    header : Header
        As of `lightmask.fits.Image`.
    shape : tuple of int
        Rows and columns.
    digest : str
        SHA-256 of the file.
    """

    name: str
    header: Header
    shape: tuple[int, ...]
    digest: str
    data: Hdu
    mask: Hdu | None

    def read(self, rows: slice) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Read pixels and mask of some rows, and nothing else."""
        with readable(self.name):
            mask = None if self.mask is None else self.mask.pixels(rows) != 0
            return self.data.pixels(rows), mask


class OpenSources:
    """Keep FITS files open, each of which is opened and digested once, however many there are.

    As many files stay open as the system allows. The images of further ones are copied into one
    temporary file, which is all that is open of them.

    Parameters
    ----------
    number : int
        How many files are going to be opened.
    checksums : str
        As in `lightmask.fits.opened`.
    roles : Roles, optional
        What the images of files are for.
    """

    def __init__(self, number: int, checksums: str = "check", roles: Roles | None = None):
        self._checksums, self._roles = checksums, roles or Roles()
        self._files = ExitStack()
        self._handles = _provide_handles(HANDLES * number) // HANDLES
        self._copies: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._files.close()

    def open(
        self, file: str, name: str, check: Callable[[Rows], Found], number: int | None = None
    ) -> tuple[Rows, Found]:
        """Open a file, and keep it open if `check` raises no error.

        Parameters
        ----------
        file, name : str
            As of `lightmask.fits.opened`.
        check : callable
            Takes the `Rows`.
        number : int or None, optional
            Which image of the file, from 0; None where it has one.

        Returns
        -------
        rows : Rows
            To be read for as long as this context lasts.
        found : object
            What `check` returned.

        Raises
        ------
        FrameError
            If it cannot be read, or `check` raises it.
        """
        with ExitStack() as own:
            hdus, digest = own.enter_context(opened(file, name, self._checksums))
            image = read_image(hdus, name, number, self._roles)
            mask = None if image.mask is None else image.mask.hdu
            rows = Rows(name, image.header, image.data.shape, digest, image.data.hdu, mask)
            found = check(rows)
            if self._handles > 0:
                self._handles -= 1
                self._files.enter_context(own.pop_all())
                return rows, found
            with readable(name):
                return self._copied(rows), found

    def _copied(self, rows: Rows) -> Rows:
        """Copy what can be read of a file into the temporary file."""
        if self._copies is None:
            self._copies = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is entered
        mask = None if rows.mask is None else self._copy(rows.mask)
        return replace(rows, data=self._copy(rows.data), mask=mask)

    def _copy(self, hdu: Hdu) -> Hdu:
        start = self._copies.seek(0, os.SEEK_END)
        for place in range(0, len(hdu.data), CHUNK):
            self._copies.write(hdu.data[place : place + CHUNK])
        return Hdu(hdu.header, Stored(self._copies, start, len(hdu.data)))


def _provide_handles(wanted: int) -> int:
    """Let this process open so many more files, as far as the system allows it; return how many it may."""
    try:
        import resource

        in_use = len(os.listdir("/dev/fd")) + SPARE
    except (ImportError, OSError):  # on Windows: what a process may open there is not known
        return min(wanted, 256)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = in_use + wanted
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - in_use)
