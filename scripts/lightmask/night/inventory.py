"""Find the FITS files of a night, and read from each header, once, what a plan needs."""

import errno
import gzip
import json
import os
import stat
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lightmask.errors import FrameError, MachineError
from lightmask.fits import (
    BLOCK,
    COMPRESSION,
    FITS_BEGINNING,
    NOT_REGULAR,
    Hdu,
    Header,
    Roles,
    Value,
    check_beginning,
    data_size,
    find_images,
    labels,
    read_headers,
    readable,
    says_nothing,
    stamp_of,
    whole_file,
)
from lightmask.night import names
from lightmask.night.types import FOREIGN_RESULTS
from lightmask.night.window import WINDOW

AS_KNOWN = Roles()
MOST_AHEAD = 1.0
"""Seconds that clocks of machines may differ: no frame is masked sooner."""
PAIRING = ("EXTNAME", "EXTVER", "AMPNAME", *WINDOW)
"""Keywords by which images of one file are paired with those of another."""
MOST_UNPACKED = 2**28
"""Bytes that the search unpacks of a file to come to its image: a few seconds' work. A few kB may hold any number."""


def find_files(folder: Path, leave_out: Iterable[Path] = ()) -> Iterator[tuple[str, os.stat_result | OSError | None]]:
    """Find all FITS files below a folder, by extension.

    Links are followed, each folder is searched once; hidden files and folders
    are passed over. A folder that has the name of a FITS file and holds none is
    found as if it were one.

    Parameters
    ----------
    folder : Path
        Where to search.
    leave_out : iterable of Path
        Folders below it that are not searched.

    Yields
    ------
    path : str
        Relative to `folder`.
    status : os.stat_result or OSError or None
        The error where a file, or a whole folder, cannot be looked at. None where
        `path` is a folder that holds the results of a run: it is not searched.

    Raises
    ------
    OSError
        If `folder` itself cannot be listed.
    """
    seen = {_identity(path) for path in leave_out if path.exists()}
    waiting = deque([folder])
    empty: dict[str, os.stat_result] = {}
    while waiting:
        current = waiting.popleft()
        path = os.path.relpath(current, folder)
        try:
            identity = _identity(current)
            if identity in seen:
                empty.pop(path, None)  # searched under another name
                continue
            seen.add(identity)
            with os.scandir(current) as found:
                listed = list(found)
        except OSError as error:
            if current == folder:
                raise
            empty.pop(path, None)
            yield path, error
            continue
        if current != folder and _is_results({entry.name for entry in listed}):
            yield path, None
            continue
        # In an order that does not depend on the file system, links last: a
        # folder that can be reached twice is taken by its own name.
        entries = sorted(
            (entry for entry in listed if not entry.name.startswith(".")),
            key=lambda entry: (entry.is_symlink(), entry.name),
        )
        for entry in entries:
            if _is_folder(entry):
                waiting.append(Path(entry.path))
                if names.FITS_SUFFIX.search(entry.name):
                    empty[os.path.relpath(entry.path, folder)] = entry.stat()
            elif names.FITS_SUFFIX.search(entry.name):
                status: os.stat_result | OSError
                try:
                    status = entry.stat()
                except OSError as error:
                    status = error
                path = os.path.relpath(entry.path, folder)
                for parent in Path(path).parents if empty else ():
                    empty.pop(str(parent), None)
                yield path, status
    yield from empty.items()


def _is_results(entries: set[str]) -> bool:
    """Return whether a folder holds the results of a run, by the names of what is in it."""
    return "headers.json" in entries and bool(entries & {".lock", "logs", "masked"})


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def describe(headers: list[Header], keywords: Iterable[str], role_of: Roles = AS_KNOWN) -> dict[str, Any]:
    """Take shape and keywords from the headers of a FITS file.

    Parameters
    ----------
    headers : list of Header
        Of its HDUs.
    keywords : iterable of str
        What to take.
    role_of : Roles, optional
        What its images are for.

    Returns
    -------
    dict
        ``shape`` (that of the first science image; empty if there is none), ``cards`` (of that image, else
        of the primary header), ``problem``, and where there are several images ``images``, a list with
        ``label``, ``shape`` and ``cards`` of each (`PAIRING`): plain values that JSON can hold.
    """
    found: dict[str, Any] = {"shape": [], "cards": {}, "problem": ""}
    sources = headers[:1]
    try:
        images = [headers[place] for place in find_images(headers, "", role_of, or_masks=True)]
        found["shape"] = list(Hdu(images[0]).plane or ())
        sources = images[:1] if images[0] is headers[0] else [images[0], headers[0]]
        if len(images) > 1:
            found["images"] = [
                {"label": label, "shape": list(Hdu(image).plane or ()), "cards": _cards([image], PAIRING)}
                for image, (label, _) in zip(images, labels(images), strict=True)
            ]
    except FrameError as error:
        found["problem"] = str(error).removeprefix(": ")
    found["cards"] = _cards(sources, keywords)
    return found


def _cards(sources: list[Header], keywords: Iterable[str]) -> dict[str, Value]:
    """Return the values of keywords in the first of several headers that has one that is not blank."""
    found = {}
    for keyword in keywords:
        for header in sources:
            value = header.get(keyword)
            if isinstance(value, str):
                value = value.strip()
            if value is not None and (keyword not in found or not says_nothing(keyword, value)):
                found[keyword] = value
            if not says_nothing(keyword, value):
                break
    return found


def _read(
    path: Path, keywords: Iterable[str], status: os.stat_result | OSError | None, role_of: Roles
) -> dict[str, Any]:
    """Describe one file; ``stamp`` is None where another start may find something else in the same bytes."""
    stamp, problem, described = None, "", None
    if status is None:
        return {"stamp": None, "shape": [], "cards": {}, "problem": "", "type": FOREIGN_RESULTS}
    if isinstance(status, OSError):
        problem = _cannot_be_looked_at(path, status)
    elif stat.S_ISDIR(status.st_mode):
        problem = "a folder, without FITS files in it; rename it, or take it out of the folder"
    elif not stat.S_ISREG(status.st_mode):
        problem = NOT_REGULAR
    else:
        stamp = stamp_of(status)
        try:
            with readable(""):
                described = describe(_headers(path), keywords, role_of)
        except FrameError as error:
            problem = str(error).removeprefix(": ")
            if isinstance(error, MachineError):  # it is not in the bytes
                stamp = None
        except MemoryError:
            problem, stamp = "memory does not suffice to read its header; run fewer programs at a time", None
    return {"stamp": stamp, **(described or {"shape": [], "cards": {}, "problem": problem})}


def _cannot_be_looked_at(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ELOOP):
        return "a link that leads nowhere; fix the link, or take it out of the folder"
    what = "searched" if path.is_dir() else "read"
    return f"cannot be {what} ({error.strerror}); give yourself the right to read it, or take it out of the folder"


def _headers(path: Path) -> list[Header]:
    """Read the headers of all HDUs, of a compressed file as far as there may be more images."""
    with open(path, "rb") as plain:
        module = COMPRESSION.get(plain.read(2))
        plain.seek(0)
        file: Any = module.open(plain) if module else plain
        check_beginning(file.read(len(FITS_BEGINNING)), "")
        file.seek(0)
        headers: list[Header] = []
        has_image = False
        found = read_headers(file)
        while True:
            try:
                header = next(found)
            except StopIteration:
                break
            except (OSError, EOFError, ValueError, zlib.error):
                if not has_image:
                    raise
                break  # whoever reads its pixels reports it
            headers.append(header)
            has_image = has_image or bool(Hdu(header).shape)
            if not module:
                continue
            end = file.tell() + data_size(header)
            if has_image and (end >= MOST_UNPACKED or _ends(module, plain, end)):
                break
            if end > MOST_UNPACKED:
                raise FrameError(
                    f": no image in the first {MOST_UNPACKED // 2**20} MB of what it unpacks to; unpack it, or take it "
                    "out of the folder"
                )
        return headers


def _ends(module: Any, packed: Any, end: int) -> bool:
    """Return whether a file unpacks to so many bytes, and padding, as far as it says that; unpacking takes long."""
    if module is not gzip:
        return False
    here = packed.tell()
    packed.seek(-4, os.SEEK_END)
    size = int.from_bytes(packed.read(4), "little")
    packed.seek(here)
    return size == (end + -end % BLOCK) % 2**32 or size == end % 2**32


def _refused_as_ahead(entry: dict[str, Any], changed: float) -> dict[str, Any]:
    """Refuse, this time, what is newer than any result can be: it would be masked anew for ever."""
    when = datetime.fromtimestamp(changed).isoformat(" ", "seconds")
    problem = f"changed at {when}, which is ahead of this machine's clock; set the clock, or touch the file"
    return {**entry, "stamp": None, "problem": entry["problem"] or problem}


@dataclass(frozen=True)
class Inventory:
    """The FITS files of a folder, and what is remembered of them from one run to the next.

    Parameters
    ----------
    folder : Path
        The frames folder.
    cache : Path
        JSON file with what an earlier scan found, as `remember` wrote it. A file counts as
        unchanged while its stamp (`lightmask.fits.files.stamp_of`) is the same.
    keywords : list of str
        What to take from each header.
    code : str
        Digest of the code that reads headers. All files are read again by another one.
    roles : Roles, optional
        What images of files are for.
    only : tuple of str, optional
        Names of the files that are meant, if it is not the whole folder; the first is the frame to mask.
    """

    folder: Path
    cache: Path
    keywords: list[str]
    code: str = ""
    roles: Roles = AS_KNOWN
    only: tuple[str, ...] = ()

    def scan(self, leave_out: Iterable[Path] = (), planned: dict[str, Any] | None = None) -> dict[str, Any]:
        """Describe all FITS files of the folder; read only headers of files that are new or changed.

        Parameters
        ----------
        leave_out : iterable of Path
            Folders that are not searched.
        planned : dict, optional
            Files that will be made, by path relative to `folder`, with their
            `describe`d headers; one that exists already is read instead.

        Returns
        -------
        dict
            By path relative to `folder`, sorted: what `describe` returns, and ``stamp``. That is None
            where nothing is to be remembered; after its four numbers may stand the SHA-256 of the file.
        """
        key, known = self._remembered()
        if {name: key.get(name) for name in ("folder", "keywords", "images")} != self._place():
            known = {}
        same_code = key.get("code") == self.code
        files = {path: {"stamp": None, **described} for path, described in (planned or {}).items()}
        for path, status in self._find(leave_out):
            entry: dict[str, Any] = known.get(path) or {}
            stamp = stamp_of(status) if isinstance(status, os.stat_result) else None
            unchanged = stamp and (entry.get("stamp") or [])[: len(stamp)] == stamp
            if not unchanged or not same_code:
                entry = _read(self.folder / path, self.keywords, status, self.roles)
            if isinstance(status, os.stat_result) and status.st_mtime > time.time() + MOST_AHEAD:
                entry = entry if stat.S_ISDIR(status.st_mode) else _refused_as_ahead(entry, status.st_mtime)
            files[path] = entry
        return dict(sorted(files.items()))

    def _find(self, leave_out: Iterable[Path]) -> Iterator[tuple[str, os.stat_result | OSError | None]]:
        """Find the files that are meant, as `find_files` does."""
        if self.only:
            yield from ((name, (self.folder / name).stat()) for name in self.only if (self.folder / name).exists())
        elif self.folder.is_dir():
            yield from find_files(self.folder, leave_out)

    def recall(self) -> dict[str, Any] | None:
        """Return what `remember` wrote: what the run of this job was planned with; None if there is nothing."""
        key, known = self._remembered()
        return known if key == self._place() | {"code": self.code} else None

    def remember(self, files: dict[str, Any]) -> None:
        """Write what `scan` found, if it is not what the cache holds already, for later scans."""
        text = json.dumps({"key": self._place() | {"code": self.code}, "files": files}, indent=0)
        if not self.cache.exists() or self.cache.read_text(encoding="utf-8", errors="replace") != text:
            with whole_file(self.cache) as part:
                part.write_text(text, encoding="utf-8")

    def _remembered(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read what is remembered, and under which key; both are empty if there is no cache, or not one of ours."""
        try:
            old = json.loads(self.cache.read_text(encoding="utf-8"))
            return dict(old["key"]), dict(old["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}, {}

    def _place(self) -> dict[str, Any]:
        named = {role: list(names or ()) for role, names in self.roles.named.items() if names}
        place = self.folder.joinpath(*self.only[:1]).absolute()
        return {"folder": str(place), "keywords": self.keywords, "images": named}
