"""What each file of a night is, as its header says: LIGHT frame, mask, flat, dark."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lightmask import messages
from lightmask.fits import Value, shape_text
from lightmask.night import names
from lightmask.night.cameras import camera_of, companion_names, is_name_of_companion
from lightmask.night.cameras import keywords as keywords_of_cameras
from lightmask.night.quantities import AUTO, first, problem_of_dark
from lightmask.night.window import WINDOW

LIGHT, FLAT, DARK, FLAT_MASK, DARK_MASK = "light", "flat", "dark", "flat mask", "dark mask"
OTHER = "other"
"""Type of a file that the configuration says to leave alone."""
COMPANION = "companion"
"""Type of a file that holds mask or weight of an image in another file."""
NO_IMAGES = {"dqmask", "wtmap", "mask", "weight", "expmap"}
"""PRODTYPE of files that hold masks, weights and the like."""
OURS = "made by lightmask"
KEYS = {LIGHT: "light", FLAT: "flat", DARK: "dark", FLAT_MASK: "flat_mask", DARK_MASK: "dark_mask"}
"""Keys of the configuration by type."""
TYPE_KEYWORDS = (
    *("IMAGETYP", "OBSTYPE", "FRAME", "ESO DPR TYPE", "OBSMODE", "IMAGETYPE", "IMTYPE", "IMGTYPE", "IMAGTYPE"),
    *("FRAMETYP", "FRAMETYPE", "EXPTYPE", "OBS_TYPE", "OBSTYP", "OBS-TYPE", "PICTTYPE", "DATATYPE", "DATATYP"),
    *("DATA-TYP", "ESO DPR CATG"),
)
"""Keywords that a folder without a LIGHT frame is searched for: one of them may say what files are."""
FOREIGN_RESULTS = "results of a run"
"""Type of a folder that another run of the workflow writes to, which is not searched."""
OWN_KEYWORD = "LIGHTMASK VERSION"
"""Keyword of every file that the workflow writes; of them only flat and dark masks are taken in again."""
LONGEST_TEXT = 1000
"""Letters of a text of a header in tables. It may have millions, and readers of CSV take 131,072 in a field."""
LONGEST_KEYWORD = 8
"""Letters of a keyword of the FITS standard."""
POINTINGS = (("RA", "DEC"), ("OBJCTRA", "OBJCTDEC"), ("CRVAL1", "CRVAL2"))
"""Keywords of right ascension and declination: degrees, or text in hours and degrees."""
TILE_HEIGHT = "ZTILE2"
"""Keyword of tile-compressed frames, one row of pixels where it is missing. The memory to undo it depends on it."""


@dataclass(frozen=True)
class Part:
    """One image of a file of several.

    Attributes
    ----------
    label : str
        What tells it from the others (``SCI,2``).
    shape : tuple of int
        (rows, columns).
    cards : dict
        By which it is paired with images of other files.
    """

    label: str
    shape: tuple[int, ...]
    cards: dict[str, Value]


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
        (rows, columns), of the first image; empty if there is no 2-D image.
    cards : dict
        Keywords that were asked for, as far as the header has them.
    problem : str
        Why the file cannot be used; empty if it can.
    name_is_taken : bool
        Whether another frame has the name that its results should have.
    images : tuple of Part
        Its images, if there are several.
    companions : tuple of (str, str)
        Files of their own that belong to it: what each is for (``mask``, ``weight``), and its path.
    """

    path: str
    type: str = ""
    shape: tuple[int, ...] = ()
    cards: dict[str, Value] = field(default_factory=dict)
    problem: str = ""
    name_is_taken: bool = False
    images: tuple[Part, ...] = ()
    companions: tuple[tuple[str, str], ...] = ()

    @cached_property
    def name(self) -> str:
        """Name of the results, encoded."""
        return names.shortened(names.encode(self.path)) if self.name_is_taken else names.output_name(self.path)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of each of its images."""
        return [image.shape for image in self.images] or [self.shape]

    @property
    def to_mask(self) -> bool:
        """Whether this is a LIGHT frame, or might be one but cannot be read."""
        return self.type == LIGHT or bool(self.problem and not self.type)


def tile_height(frame: Frame) -> int:
    """Return the rows of a tile of a tile-compressed frame; 1 where the header does not say."""
    height = frame.cards.get(TILE_HEIGHT)
    return height if isinstance(height, int) else 1


def keywords_needed(config: dict[str, Any]) -> list[str]:
    """List all header keywords that a configuration names for types, tables and matching."""
    types = config["frame_type"]
    matched = [config["match"][key] for key in ("flat", "dark", "temperature")]
    lists = [types["keywords"], types["combined"], *config["table_keywords"].values(), *matched]
    exposure = config["make_dark_mask"]["exposure"]
    lists.append([exposure] if isinstance(exposure, str) else exposure if isinstance(exposure, list) else [])
    detection = config["cosmic_rays"]
    lists.append(_keywords_of(config["make_dark_mask"]["gain"]))
    for key in ("gain", "readnoise"):
        asked = _keywords_of(detection[key])
        lists += [asked, [f"{keyword}A" for keyword in asked if len(keyword) < LONGEST_KEYWORD]]
    others = {
        OWN_KEYWORD,
        TILE_HEIGHT,
        "BUNIT",
        "PRODTYPE",
        *TYPE_KEYWORDS,
        *WINDOW,
        *keywords_of_cameras(config["cameras"]),
        *(keyword for pair in POINTINGS if config["repeats"] == "auto" for keyword in pair),
    }
    return sorted({keyword for keywords in lists for keyword in keywords} | others)


def _keywords_of(setting: Any) -> list[str]:
    """Return the keywords among a number, a keyword, a list of keywords, or one of these with a unit."""
    if isinstance(setting, dict):
        setting = setting["value"]
    found = [setting] if isinstance(setting, str) else setting if isinstance(setting, list) else []
    return [keyword for keyword in found if keyword != AUTO]


def _plain(meaning: str) -> str:
    """Return a value of a type keyword without what does not count: case, blanks, ``-`` and ``_``."""
    return re.sub("[ _-]+", "", meaning).casefold()


def meaning_of(cards: dict[str, Value], config: dict[str, Any]) -> str:
    """Return what a header says that its file is, by the first keyword that says something; empty if none does."""
    found = ((keyword, cards.get(keyword)) for keyword in config["frame_type"]["keywords"])
    # Some cameras count their frames in FRAME.
    values = (value for keyword, value in found if isinstance(value, str) or (value is not None and keyword != "FRAME"))
    texts = (str(value).strip() for value in values)
    return next(filter(None, texts), "")


def _patterns(config: dict[str, Any]) -> Callable[[str], str]:
    """Return what gives the type of a path; empty where no pattern fits."""
    asked = config["frame_type"]["paths"]
    found = [
        (type_, _compiled(pattern), "/" in pattern)
        for type_, key in [*KEYS.items(), (OTHER, OTHER)]
        for pattern in asked[key]
    ]

    def type_of(path: str) -> str:
        name = path.rpartition("/")[2]
        return next((type_ for type_, pattern, whole in found if pattern.fullmatch(path if whole else name)), "")

    return type_of


def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of paths: ``**/`` any folders, ``**`` anything, ``*`` any part of a name, ``?`` a letter."""
    words = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("./"))
    return re.compile("".join(words.get(part) or re.escape(part) for part in parts), re.IGNORECASE | re.DOTALL)


def not_masked(found: Iterable[Frame]) -> str:
    """Count, in one line, the files that are neither masked nor used to mask others; empty if there is none."""
    used = {*KEYS, FOREIGN_RESULTS, ""}
    counted = Counter(frame.type for frame in found if frame.type not in used)
    return ", ".join(f"{count} {type_}" for type_, count in counted.most_common())


def likely_lights(values: Counter[str], config: dict[str, Any]) -> str:
    """Return the most frequent of the values of a type keyword that does not mean anything else; empty for none."""
    known = {_plain(meaning) for type_, key in KEYS.items() if type_ != LIGHT for meaning in config["frame_type"][key]}
    calibration = re.compile("bias|zero|dark|flat|arc|lamp|focus|test|mask|comp|sky|cal", re.IGNORECASE)
    chosen = (v for v, _ in values.most_common() if _plain(v) not in known and not calibration.search(v))
    return next(chosen, "")


def types_at_hand(found: Iterable[Frame]) -> dict[str, Counter[str]]:
    """Count the values of keywords that may say what files are, by keyword, the one in most files first."""
    values: dict[str, Counter[str]] = {}
    for frame in found:
        for keyword in TYPE_KEYWORDS:
            value = frame.cards.get(keyword)
            if isinstance(value, str) and value.strip():
                values.setdefault(keyword, Counter())[value.strip()] += 1
    return dict(sorted(values.items(), key=lambda item: -item[1].total()))


def frames(files: dict[str, Any], config: dict[str, Any]) -> list[Frame]:
    """Describe what each scanned file is, by the configuration's frame types.

    Two files whose results would have the same name are both a problem, and
    so is one whose results would lie below a file of another's.
    """
    meanings = {_plain(meaning): type_ for type_, key in KEYS.items() for meaning in config["frame_type"][key]}
    by_path = _patterns(config)
    found = []
    for path, entry in files.items():
        cards, problem = entry["cards"], entry["problem"]
        meaning = meaning_of(cards, config)
        type_ = by_path(path) or meanings.get(_plain(meaning), meaning)
        if OWN_KEYWORD in cards and type_ not in (FLAT_MASK, DARK_MASK):
            type_ = OURS
        type_ = entry.get("type", type_)
        if type_ == DARK and not problem:
            problem = problem_of_dark(cards, config)
        images = tuple(Part(part["label"], tuple(part["shape"]), part["cards"]) for part in entry.get("images", ()))
        found.append(Frame(path, type_, tuple(entry["shape"]), cards, problem, images=images))
    return _without_collisions(_with_companions(found, config))


def _with_companions(found: list[Frame], config: dict[str, Any]) -> list[Frame]:
    """Give LIGHT frames the files of their own that belong to them, which are no LIGHT frames."""
    places = {frame.path: number for number, frame in enumerate(found)}
    result = list(found)
    for number, frame in enumerate(found):
        if frame.type != LIGHT:
            continue
        folder, slash, name = frame.path.rpartition("/")
        names = companion_names(name, config["cameras"])
        if not any(f"{folder}{slash}{other}" in places for other in names):  # a night has thousands of frames
            continue
        owned = []
        for role, (pattern, wanted) in (camera_of(frame.cards, config["cameras"]).get("companions") or {}).items():
            path = f"{folder}{slash}{re.sub(pattern, wanted, name)}"
            if path != frame.path and path in places:
                owned.append((role, path))
                result[places[path]] = replace(found[places[path]], type=COMPANION)
        result[number] = replace(result[number], companions=tuple(owned))
    return [
        replace(frame, type=COMPANION) if frame.type == LIGHT and _is_companion(frame, config) else frame
        for frame in result
    ]


def _is_companion(frame: Frame, config: dict[str, Any]) -> bool:
    """Return whether a file holds a mask or a weight by itself, by its PRODTYPE or its name."""
    if _plain(str(frame.cards.get("PRODTYPE") or "")) in NO_IMAGES:
        return True
    name = frame.path.rpartition("/")[2]
    if not is_name_of_companion(name, config["cameras"]):  # a night has thousands of frames
        return False
    return is_name_of_companion(name, [camera_of(frame.cards, config["cameras"])], known_too=False)


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
        replace(f, problem=collisions[f.path], name_is_taken=f is not by_name[f.name][0]) if f.path in collisions else f
        for f in found
    ]


def _images_text(frame: Frame) -> str:
    return f" ({len(frame.images)} images)" if frame.images else ""


def table_row(frame: Frame, config: dict[str, Any]) -> dict[str, Value]:
    """Return the columns of the tables that come from the header, with line ends and the like escaped."""
    keywords = config["table_keywords"]
    binning = [str(frame.cards[keyword]) for keyword in keywords["binning"] if keyword in frame.cards]
    row = {
        "path": frame.path,
        "type": frame.type,
        "shape": ", ".join(dict.fromkeys(map(shape_text, frame.shapes))) + _images_text(frame),
        "binning": "x".join(binning),
        **{column: first(frame.cards, keys) for column, keys in keywords.items() if column != "binning"},
    }
    for column, value in row.items():
        if isinstance(value, str):
            text = messages.printable(value)
            row[column] = text if len(text) <= LONGEST_TEXT or column == "path" else f"{text[:LONGEST_TEXT]}…"
    return row
