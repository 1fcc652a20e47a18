"""Find the FITS files of a night, and read from each header, once, what a plan needs."""

import errno
import json
import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache as cache_of_function
from functools import cached_property
from pathlib import Path
from typing import Any

from lightmask import FrameError, MachineError, names, quantities
from lightmask.code import digest_of_code
from lightmask.files import stamp_of, whole_file
from lightmask.fitsfile import Hdu, Header, Value, data_size, read_headers, shape_text
from lightmask.images import COMPRESSION, FITS_BEGINNING, NOT_REGULAR, check_beginning, find_image, readable

LIGHT, FLAT, DARK, FLAT_MASK, DARK_MASK = "light", "flat", "dark", "flat mask", "dark mask"
MOST_AHEAD = 1.0
"""Seconds that clocks of machines may differ: no frame is masked sooner."""
FOREIGN_RESULTS = "results of a run"
"""Type of a folder that another run of the workflow writes to, which is not searched."""
OWN_KEYWORD = "LIGHTMASK VERSION"
"""Keyword of every file that the workflow writes; of them only flat and dark masks are taken in again."""
LONGEST_TEXT = 1000
"""Letters of a text of a header in tables. It may have millions, and readers of CSV take 131,072 in a field."""
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
    """Tell whether a folder holds the results of a run, by the names of what is in it."""
    return "headers.json" in entries and bool(entries & {".lock", "logs", "masked"})


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


def _read(path: Path, keywords: Iterable[str], status: os.stat_result | OSError | None) -> dict[str, Any]:
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
                described = describe(_headers(path), keywords)
        except FrameError as error:
            problem = str(error).removeprefix(": ")
            if isinstance(error, MachineError):  # it is not in the bytes
                stamp = None
        except MemoryError:
            problem, stamp = "memory does not suffice to read its header; run fewer programs at a time", None
    return {"stamp": stamp, **(described or {"shape": [], "cards": {}, "problem": problem})}


def _cannot_be_looked_at(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ELOOP):
        return "a link that leads nowhere; mend the link, or take it out of the folder"
    what = "searched" if path.is_dir() else "read"
    return f"cannot be {what} ({error.strerror}); give yourself the right to read it, or take it out of the folder"


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
        JSON file with what an earlier scan found, as `remember` wrote it. A file counts as
        unchanged while its stamp (`lightmask.files.stamp_of`) is the same. What is wrong with
        a file is read again with another version of this code.
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
        By path relative to `folder`, sorted: what `describe` gives, and ``stamp``. That is None
        where nothing is to be remembered; behind its four numbers may stand the SHA-256 of the file.
    """
    key, known = _remembered(cache)
    if {name: key.get(name) for name in ("folder", "keywords")} != _key(folder, keywords):
        known = {}
    same_code = key.get("code") == _code()
    files = {path: {"stamp": None, **described} for path, described in (planned or {}).items()}
    for path, status in find_files(folder, leave_out) if folder.is_dir() else ():
        entry: dict[str, Any] = known.get(path) or {}
        stamp = stamp_of(status) if isinstance(status, os.stat_result) else None
        unchanged = stamp and (entry.get("stamp") or [])[: len(stamp)] == stamp
        if not unchanged or (entry["problem"] and not same_code):
            entry = _read(folder / path, keywords, status)
        if isinstance(status, os.stat_result) and status.st_mtime > time.time() + MOST_AHEAD:
            entry = entry if stat.S_ISDIR(status.st_mode) else _refused_as_ahead(entry, status.st_mtime)
        files[path] = entry
    return dict(sorted(files.items()))


def _refused_as_ahead(entry: dict[str, Any], changed: float) -> dict[str, Any]:
    """Refuse, this time, what is newer than any result can be: it would be masked anew for ever."""
    when = datetime.fromtimestamp(changed).isoformat(" ", "seconds")
    problem = f"changed at {when}, which is ahead of this machine's clock; set the clock, or touch the file"
    return {**entry, "stamp": None, "problem": entry["problem"] or problem}


def recall(folder: Path, cache: Path, keywords: list[str]) -> dict[str, Any] | None:
    """Return what `remember` wrote: what the run that a job belongs to was planned with; None if there is nothing."""
    key, known = _remembered(cache)
    expected = _key(folder, keywords) | {"code": _code()}
    return known if key == expected else None


def _remembered(cache: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what is remembered, and under which key; both are empty if there is no cache, or not one of ours."""
    try:
        old = json.loads(cache.read_text(encoding="utf-8"))
        return dict(old["key"]), dict(old["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}, {}


def remember(files: dict[str, Any], folder: Path, cache: Path, keywords: list[str]) -> None:
    """Write what `scan` found, if it is not what its cache holds already, for later scans."""
    text = json.dumps({"key": _key(folder, keywords) | {"code": _code()}, "files": files}, indent=0)
    if not cache.exists() or cache.read_text(encoding="utf-8", errors="replace") != text:
        with whole_file(cache) as part:
            part.write_text(text, encoding="utf-8")


def _key(folder: Path, keywords: list[str]) -> dict[str, Any]:
    return {"folder": str(folder.absolute()), "keywords": keywords}


@cache_of_function
def _code() -> str:
    return digest_of_code(__file__)


def keywords_needed(config: dict[str, Any]) -> list[str]:
    """List all header keywords that a configuration names for types, tables and matching."""
    types = config["frame_type"]
    lists = [types["keywords"], types["combined"], *config["table_keywords"].values(), *config["match"].values()]
    exposure = config["make_dark_mask"]["exposure"]
    lists.append([exposure] if isinstance(exposure, str) else exposure if isinstance(exposure, list) else [])
    gain = config["make_dark_mask"]["gain"]
    lists.append([gain] if isinstance(gain, str) else [])
    return sorted({keyword for keywords in lists for keyword in keywords} | {OWN_KEYWORD, TILE_HEIGHT, "BUNIT"})


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
        type_ = entry.get("type", type_)
        if type_ == DARK and not problem:
            problem = problem_of_dark(cards, config)
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


def problem_of_dark(cards: quantities.Cards, config: dict[str, Any]) -> str:
    """Say why no dark mask can be made of a dark, as far as its header tells; empty if one can."""
    try:
        exposure_of(cards, config)
        gain_of(cards, config)
    except FrameError as error:
        return str(error)
    return ""


def gain_of(cards: quantities.Cards, config: dict[str, Any]) -> float:
    """Return the gain of a dark, in e-/adu.

    Raises
    ------
    FrameError
        If it is missing or not above zero, or if the unit of the dark contradicts it.
    """
    key = "make_dark_mask: gain"
    gain = quantities.value(config["make_dark_mask"]["gain"], cards, quantities.GAIN, key)
    quantities.check_unit(cards, gain, config, key)
    return gain


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
    for column, value in row.items():
        if isinstance(value, str):
            text = names.printable(value)
            row[column] = text if len(text) <= LONGEST_TEXT or column == "path" else f"{text[:LONGEST_TEXT]}…"
    return row
