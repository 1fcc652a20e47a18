"""What a result was made with and from, and whether that still holds.

Times of change do not tell: a file may be replaced by an older one, and the engine's own records may be
gone. So every result says in its header, or in a JSON file beside it, by which recipe (settings and code)
and from which sources (their SHA-256) it was made, and a plan compares. The digest of a file that did not
change since a job read it is known from the log of that job; else the file is read once.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lightmask.fits.files import Stamp, whole_file
from lightmask.fits.headers import FitsError, Header, read_header

DIGITS = 32
"""How many digits of a SHA-256 a header card has room for."""
KEY = "RECIPE"
"""Keyword of the recipe: ``HIERARCH LIGHTMASK RECIPE``."""
_NOTE = "read: "
_SOURCE = re.compile(r"LIGHTMASK (\S+) SHA256")


def digest_of(recipe: Any) -> str:
    """Digest a recipe: plain values, as JSON can hold them. Returns as many digits as a card has room for."""
    text = json.dumps(recipe, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def from_header(header: Header) -> dict[str, Any]:
    """Return recipe and sources from the header of a file that the workflow made."""
    sources = {
        match[1].lower(): header[keyword] for keyword in header.keywords() if (match := _SOURCE.fullmatch(keyword))
    }
    return {"recipe": header.get(f"LIGHTMASK {KEY}"), "sources": sources}


def read(path: Path) -> dict[str, Any]:
    """Read the record in a JSON file or a FITS header; it is empty where there is none."""
    try:
        if path.suffix == ".json":
            found = json.loads(path.read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        with path.open("rb") as file:
            header = read_header(file)
    except (FileNotFoundError, NotADirectoryError, FitsError, ValueError):
        return {}
    return from_header(header) if header else {}


def add(path: Path | str, recipe: str, sources: Mapping[str, str]) -> None:
    """Add recipe and sources to a JSON file, which stands beside the result that they are of."""
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    with whole_file(path) as part:
        part.write_text(json.dumps({**found, "recipe": recipe, "sources": dict(sources)}), encoding="utf-8")


def holds(record: Mapping[str, Any], recipe: str, sources: Callable[[], Mapping[str, str]]) -> bool:
    """Return whether a result is what would be made now.

    Parameters
    ----------
    record : dict
        ``recipe`` and ``sources`` of the result, as `read` returns them.
    recipe : str
        `digest_of` what would be made.
    sources : callable
        Returns the SHA-256 of each source by its role; `DIGITS` of them count. It is called where
        the recipe is the same: it may have to read the sources.
    """
    return record.get(KEY.lower()) == recipe and shortened(record.get("sources") or {}) == shortened(sources())


def shortened(sources: Mapping[str, str]) -> dict[str, str]:
    """Cut SHA-256s to what a header card holds."""
    return {role: str(digest)[:DIGITS] for role, digest in sources.items()}


def note(name: str, digest: str, stamp: Stamp) -> str:
    """Return a line for a log that says what a file was when it was read."""
    return f"{_NOTE}{json.dumps([name, digest, stamp])}"


def notes(log: Path) -> dict[tuple[str, tuple[int, ...]], str]:
    """Read the notes in a log: SHA-256 by name and stamp of a file. Lines that are cut off are passed over."""
    found = {}
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    for line in text.splitlines():
        if line.startswith(_NOTE) and line.endswith("]]"):
            name, digest, stamp = json.loads(line.removeprefix(_NOTE))
            found[name, tuple(stamp)] = digest
    return found


class Digests:
    """SHA-256 of the files of a night, each read at most once.

    Parameters
    ----------
    files : dict
        What `lightmask.night.inventory.Inventory.scan` found. A digest is added there, behind the stamp of its file.
    folder : Path
        The frames folder.
    """

    def __init__(self, files: dict[str, Any], folder: Path):
        self._files, self._folder = files, folder
        self._others: dict[Path, str] = {}

    def of(self, path: str, logs: Iterable[Path] = ()) -> str:
        """Return the digest of a file; it is empty where there is no such file yet.

        Parameters
        ----------
        path : str
            Relative to the frames folder.
        logs : iterable of Path
            Logs of jobs that may have read it.
        """
        stamp = self._files.get(path, {}).get("stamp")
        if stamp is None:
            return self.of_other(self._folder / path)
        size = 4
        if len(stamp) == size:
            known = (noted.get((path, tuple(stamp))) for noted in map(notes, logs))
            stamp.append(next(filter(None, known), "") or digest_of_file(self._folder / path))
        return str(stamp[size])

    def look_again(self) -> None:
        """Forget the files that a run makes itself: at its end they are others than at its beginning."""
        self._others.clear()

    def of_other(self, path: Path) -> str:
        """Return the digest of a file that the search of the folder did not see."""
        if path not in self._others:
            self._others[path] = digest_of_file(path) if path.is_file() else ""
        return self._others[path]


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file; empty where it cannot be read, which its job will report."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
