"""Find the FITS files of a night, and read from each header, once, what a plan needs."""

import json
import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from lightmask import FrameError, names, quantities
from lightmask.files import whole_file
from lightmask.fitsfile import Hdu, Header, Value, data_size, read_headers, shape_text
from lightmask.images import COMPRESSION, FITS_BEGINNING, NOT_REGULAR, check_beginning, find_image, readable

LIGHT, FLAT, DARK, FLAT_MASK, DARK_MASK = "light", "flat", "dark", "flat mask", "dark mask"
MOST_AHEAD = 1.0
"""Seconds that clocks of machines may differ: no frame is masked sooner."""
OWN_KEYWORD = "LIGHTMASK VERSION"
"""Keyword of every file that the workflow writes; of them only flat and dark masks are taken in again."""
MOST_UNPACKED = 2**28
"""Bytes that the search unpacks of a file to come to its image: a few seconds' work. A few kB may hold any number."""
TILE_HEIGHT = "ZTILE2"
"""Keyword of tile-compressed frames, one row of pixels where it is missing. The memory to undo it depends on it."""


@dataclass(frozen=True)
class Frame:
    """One FITS file of the night, as its header describes it.

    Attributes
    ----------
    path : str
        Relative to the frames folder.
    type : str
        ``light``, ``flat``, ``dark``, ``flat mask``, ``dark mask``, or what the header says
        otherwise; empty if it says nothing or could not be read.
    shape : tuple of int
        (rows, columns); empty if there is no 2-D image.
    cards : dict
        Keywords that were asked for, as far as the header has them.
    problem : str
        Why the file cannot be used; empty if it can.
    stands_back : bool
        Whether another frame has the name that its results should have.
    """

    path: str
    type: str = ""
    shape: tuple[int, ...] = ()
    cards: dict[str, Value] = field(default_factory=dict)
    problem: str = ""
    stands_back: bool = False

    @cached_property
    def name(self) -> str:
        """Name of the results, encoded."""
        return names.shortened(names.encode(self.path)) if self.stands_back else names.output_name(self.path)

    @property
    def to_mask(self) -> bool:
        """Whether this is a LIGHT frame, or might be one but cannot be read."""
        return self.type == LIGHT or bool(self.problem and not self.type)


def find_files(folder: Path, leave_out: Iterable[Path] = ()) -> Iterator[tuple[str, os.stat_result | None]]:
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
    status : os.stat_result or None
        None where a link leads nowhere.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """
    seen = {_identity(path) for path in leave_out if path.exists()}
    waiting = deque([folder])
    empty: dict[str, os.stat_result] = {}
    while waiting:
        current = waiting.popleft()
        if _identity(current) in seen:
            empty.pop(os.path.relpath(current, folder), None)  # searched under another name
            continue
        seen.add(_identity(current))
        with os.scandir(current) as found:
            # In an order that does not depend on the file system, links last: a
            # folder that can be reached twice is taken by its own name.
            entries = sorted(
                (entry for entry in found if not entry.name.startswith(".")),
                key=lambda entry: (entry.is_symlink(), entry.name),
            )
        for entry in entries:
            if _is_folder(entry):
                waiting.append(Path(entry.path))
                if names.FITS_SUFFIX.search(entry.name):
                    empty[os.path.relpath(entry.path, folder)] = entry.stat()
            elif names.FITS_SUFFIX.search(entry.name):
                try:
                    status = entry.stat()
                except OSError:
                    status = None
                path = os.path.relpath(entry.path, folder)
                for parent in Path(path).parents if empty else ():
                    empty.pop(str(parent), None)
                yield path, status
    yield from empty.items()


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def describe(headers: list[Header], keywords: Iterable[str]) -> dict[str, Any]:
    """Take shape and keywords from the headers of a FITS file.

    Returns
    -------
    dict
        ``shape`` (empty without a 2-D image), ``cards``, ``problem``: plain
        values that JSON can hold.
    """
    shape: list[int] = []
    problem = ""
    sources = headers[:1]
    try:
        image = headers[find_image(headers, "")]
        shape = list(Hdu(image).shape or ())
        sources = [image, *sources]
    except FrameError as error:
        problem = str(error).removeprefix(": ")
    cards = {
        keyword: value.strip() if isinstance(value, str) else value
        for keyword in keywords
        if (value := next((header[keyword] for header in sources if keyword in header), None)) is not None
    }
    return {"shape": shape, "cards": cards, "problem": problem}


def _read(path: Path, keywords: Iterable[str], status: os.stat_result | None) -> dict[str, Any]:
    problem = ""
    if status is None:
        problem = "a link that leads nowhere; mend the link, or take it out of the folder"
    elif stat.S_ISDIR(status.st_mode):
        problem = "a folder, without FITS files in it; rename it, or take it out of the folder"
    elif not stat.S_ISREG(status.st_mode):
        problem = NOT_REGULAR
    else:
        try:
            with readable(""):
                return describe(_headers(path), keywords)
        except FrameError as error:
            problem = str(error).removeprefix(": ")
    return {"shape": [], "cards": {}, "problem": problem}


def _headers(path: Path) -> list[Header]:
    """Read headers up to that of the image."""
    with open(path, "rb") as plain:
        module = COMPRESSION.get(plain.read(2))
        plain.seek(0)
        file: Any = module.open(plain) if module else plain
        check_beginning(file.read(len(FITS_BEGINNING)), "")
        file.seek(0)
        headers = []
        for header in read_headers(file):
            headers.append(header)
            if Hdu(header).shape:
                break
            if module and file.tell() + data_size(header) > MOST_UNPACKED:
                raise FrameError(
                    f": no image in the first {MOST_UNPACKED // 2**20} MB of what it unpacks to; unpack it, or take it "
                    "out of the folder"
                )
        return headers


def scan(
    folder: Path,
    cache: Path,
    keywords: list[str],
    leave_out: Iterable[Path] = (),
    planned: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe all FITS files of a folder; read only headers of files that are new or changed.

    Parameters
    ----------
    folder : Path
        The frames folder.
    cache : Path
        JSON file with what an earlier scan found, as `remember` wrote it.
        A file counts as unchanged while its size and mtime stay the same.
    keywords : list of str
        What to take from each header.
    leave_out : iterable of Path
        Folders that are not searched.
    planned : dict, optional
        Files that will be made, by path relative to `folder`, with their
        `describe`d headers; one that exists already is read instead.

    Returns
    -------
    dict
        By path relative to `folder`, sorted: what `describe` gives.
    """
    try:
        old = json.loads(cache.read_text(encoding="utf-8"))
        known = old["files"] if old["key"] == _key(folder, keywords) else {}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        known = {}  # no cache, or not one of ours: read anew
    files = {path: {"stamp": None, **described} for path, described in (planned or {}).items()}
    for path, status in find_files(folder, leave_out) if folder.is_dir() else ():
        stamp = [status.st_size, status.st_mtime_ns] if status else None
        entry = known.get(path)
        if entry is None or stamp is None or entry["stamp"] != stamp:
            entry = {"stamp": stamp, **_read(folder / path, keywords, status)}
        if status and status.st_mtime > time.time() + MOST_AHEAD and not stat.S_ISDIR(status.st_mode):
            entry = _refused_as_ahead(entry, status.st_mtime)
        files[path] = entry
    return dict(sorted(files.items()))


def _refused_as_ahead(entry: dict[str, Any], changed: float) -> dict[str, Any]:
    """Refuse, this time, what is newer than any result can be: it would be masked anew for ever."""
    when = datetime.fromtimestamp(changed).isoformat(" ", "seconds")
    problem = f"changed at {when}, which is ahead of this machine's clock; set the clock, or touch the file"
    return {**entry, "stamp": None, "problem": entry["problem"] or problem}


def remember(files: dict[str, Any], folder: Path, cache: Path, keywords: list[str]) -> None:
    """Write what `scan` found, if it is not what its cache holds already, for later scans."""
    text = json.dumps({"key": _key(folder, keywords), "files": files}, indent=0)
    if not cache.exists() or cache.read_text(encoding="utf-8", errors="replace") != text:
        with whole_file(cache) as part:
            part.write_text(text, encoding="utf-8")


def _key(folder: Path, keywords: list[str]) -> dict[str, Any]:
    return {"folder": str(folder.absolute()), "keywords": keywords}


def keywords_needed(config: dict[str, Any]) -> list[str]:
    """List all header keywords that a configuration names for types, tables and matching."""
    types = config["frame_type"]
    lists = [types["keywords"], types["combined"], *config["table_keywords"].values(), *config["match"].values()]
    exposure = config["make_dark_mask"]["exposure"]
    lists.append([exposure] if isinstance(exposure, str) else exposure if isinstance(exposure, list) else [])
    return sorted({keyword for keywords in lists for keyword in keywords} | {OWN_KEYWORD, TILE_HEIGHT})


def frames(files: dict[str, Any], config: dict[str, Any]) -> list[Frame]:
    """Tell what each scanned file is, by the configuration's frame types.

    Two files whose results would have the same name are both a problem, and
    so is one whose results would lie below a file of another's.
    """
    meanings = {
        said.strip().casefold(): type_
        for type_, key in (
            (LIGHT, "light"),
            (FLAT, "flat"),
            (DARK, "dark"),
            (FLAT_MASK, "flat_mask"),
            (DARK_MASK, "dark_mask"),
        )
        for said in config["frame_type"][key]
    }
    found = []
    for path, entry in files.items():
        cards, problem = entry["cards"], entry["problem"]
        said = str(first(cards, config["frame_type"]["keywords"]))
        type_ = meanings.get(said.casefold(), said)
        if OWN_KEYWORD in cards and type_ not in (FLAT_MASK, DARK_MASK):
            type_ = "made by lightmask"
        if type_ == DARK and not problem:
            try:
                exposure_of(cards, config)
            except FrameError as error:
                problem = str(error)
        found.append(Frame(path, type_, tuple(entry["shape"]), cards, problem))
    return _without_collisions(found)


def _without_collisions(found: list[Frame]) -> list[Frame]:
    by_name: dict[str, list[Frame]] = {}
    for frame in found:
        if frame.to_mask:
            by_name.setdefault(frame.name, []).append(frame)
    collisions = {}
    for name, claimants in by_name.items():
        above = [a for parent in list(Path(name).parents)[:-1] for a in by_name.get(str(parent), [])]
        if len(claimants) + len(above) > 1:
            for frame in claimants + above:
                rivals = ", ".join(sorted({f.path for f in claimants + above} - {frame.path}))
                collisions[frame.path] = f"its result {name} would collide with that of {rivals}; rename one"
    return [
        replace(f, problem=collisions[f.path], stands_back=f is not by_name[f.name][0]) if f.path in collisions else f
        for f in found
    ]


def exposure_of(cards: quantities.Cards, config: dict[str, Any]) -> float:
    """Give the exposure time of a dark, in seconds.

    Raises
    ------
    FrameError
        If it is missing, or not above zero.
    """
    setting = config["make_dark_mask"]["exposure"]
    return quantities.value(setting, cards, quantities.EXPOSURE, "make_dark_mask: exposure")


def first(cards: dict[str, Value], keywords: Iterable[str]) -> Value:
    """Give the value of the first keyword that is there and not blank, else an empty string."""
    return next((cards[keyword] for keyword in keywords if cards.get(keyword, "") != ""), "")


def table_row(frame: Frame, config: dict[str, Any]) -> dict[str, Value]:
    """Give the columns of the tables that come from the header, with line ends and the like escaped."""
    keywords = config["table_keywords"]
    binning = [str(frame.cards[keyword]) for keyword in keywords["binning"] if keyword in frame.cards]
    row = {
        "path": frame.path,
        "type": frame.type,
        "shape": shape_text(frame.shape),
        "binning": "x".join(binning),
        **{column: first(frame.cards, keys) for column, keys in keywords.items() if column != "binning"},
    }
    return {column: names.printable(value) if isinstance(value, str) else value for column, value in row.items()}
