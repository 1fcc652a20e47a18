"""The tables of a night: what is in it, and what became of each LIGHT frame."""

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lightmask import bits
from lightmask.fits import PART, whole_file
from lightmask.messages import printable
from lightmask.night.names import cell
from lightmask.night.qualities import QUALITY_COLUMNS, WHOLE
from lightmask.night.remarks import number, remarks

FRAME_COLUMNS = (
    *("path", "type", "shape", "object", "filter", "exposure", "date", "binning", "camera"),
    *("combined_mask", "problem"),
)
COUNTS = ("pixels", "masked", "fraction", *bits.REASONS)
NOT_YET = "not masked yet"
"""How the problem of a frame ends whose job was not begun."""
RECIPE = "LIGHTMASK RECIPE"
UNITS = {"exposure": "s", "pixel_size": "um"}
QUALITY_UNITS = {name: unit for name, (unit, _) in QUALITY_COLUMNS.items() if unit}
SUMMARY_COLUMNS = {
    "path": "LIGHT frame, in the frames folder",
    "image": "which image of the frame; empty where it has one",
    "masked_frame": "its result, in results/masked",
    "object": "what it shows",
    "filter": "filter",
    "exposure": "exposure time",
    "date": "time of the exposure",
    "pixel_size": "side of a pixel in micrometres",
    "pixels": "pixels of the frame",
    "masked": "pixels that MASK masks",
    "fraction": "masked / pixels",
    **{bits.key(flag): bits.MEANING[flag] for flag in bits.IN_USE},
    "iterations": "cosmic pixels found in each iteration",
    "events": "cosmic rays, that is, groups of cosmic pixels that touch",
    "on_sources": "fraction of cosmic pixels whose event sits on a star or another source",
    **{name: meaning for name, (_, meaning) in QUALITY_COLUMNS.items()},
    "causes": "what is wrong with it, in words that docs/troubleshooting.md explains",
    "remedy": "what to do about the most serious cause",
    "remark": "what is odd about it, or compared with the rest of the night",
    "problem": "why there is no result",
}


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> str:
    """Return rows as CSV, under a line of column names, with values as they are, but for carriage returns."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    for row in rows:  # a carriage return ends a line for many readers, and the writer does not quote it
        writer.writerow(
            {key: value.replace("\r", r"\r") if isinstance(value, str) else value for key, value in row.items()}
        )
    return text.getvalue()


def write_text(text: str, path: str | os.PathLike) -> None:
    """Write text in UTF-8; bytes of a file name that are none are escaped."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def write_csv(rows: Iterable[Mapping[str, Any]], columns: Iterable[str], path: str | os.PathLike) -> None:
    """Write rows as CSV in which a spreadsheet finds no formulas; `names.from_cell` returns its texts as they were.

    Parameters
    ----------
    rows : iterable of mapping
        Values by column.
    columns : iterable of str
        In this order.
    path : path
        Where to write.
    """
    shown = ({key: cell(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows)
    write_text(csv_text(shown, columns), path)


def summary_rows(
    lights: Iterable[Mapping[str, Any]], statistics: Iterable[str | os.PathLike | None]
) -> list[dict[str, Any]]:
    """Return a row per image of each LIGHT frame, with its counts; one row for a frame that was not masked.

    Parameters
    ----------
    lights : iterable of dict
        Of each LIGHT frame ``path``, ``masked_frame``, the columns that come from its
        header and, if it was not masked, ``problem``; ``remarks``, a list of str, if there are any.
    statistics : iterable of path or None
        For each of them the file that `masking.mask_frame` wrote, if it did.

    Returns
    -------
    list of dict
        With the keys of `SUMMARY_COLUMNS`.
    """
    rows, own_remarks = [], []
    for light, file in zip(lights, statistics, strict=True):
        about = {column: light.get(column, "") for column in SUMMARY_COLUMNS}
        own = list(light.get("remarks", []))
        if file is None:
            rows.append(about)
            own_remarks.append(own)
            continue
        found = json.loads(Path(file).read_text(encoding="utf-8"))
        own += found.get("remarks", [])
        for image in found["images"]:
            row = about | {column: image[column] for column in ("image", *COUNTS)}
            row["iterations"] = " ".join(map(str, image["iterations"]))
            measured = ("events", "on_sources", *QUALITY_COLUMNS)
            row |= {column: image[column] for column in measured if image.get(column) is not None}
            row["remedy"] = next((cause["remedy"] for cause in image.get("causes", [])), "")
            row["causes"] = " ".join(cause["name"] for cause in image.get("causes", []))
            rows.append(row)
            own_remarks.append([*own, *image.get("remarks", [])])
            own = []  # what is said of the file is said once
    for row, own, remark in zip(rows, own_remarks, remarks(rows), strict=True):
        row["remark"] = "; ".join([*map(printable, own), *filter(None, [remark])])
    return rows


def recipe_of(ecsv_path: Path) -> str:
    """Return the recipe of a summary that `write_summary` wrote; empty if there is none."""
    try:
        text = ecsv_path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    found = re.search(rf"{RECIPE}:[\s#']*([0-9a-f]+)", text)  # which YAML may quote, or begin a line with
    return found[1] if found else ""


def orphans(masked: Path, expected: Iterable[str]) -> list[str]:
    """List masked frames that are not expected any more, by name as a terminal can show it."""
    known = set(expected)
    found = (path.relative_to(masked).as_posix() for path in masked.rglob("*") if path.is_file())
    return sorted(printable(name) for name in found if name not in known and not name.endswith(PART))


def write_summary(
    rows: list[dict[str, Any]], csv_path: str | os.PathLike, ecsv_path: str | os.PathLike, recipe: str = ""
) -> None:
    """Write the summary as plain CSV and as ECSV (astropy's APE 6), which knows units, types and what is missing.

    Parameters
    ----------
    rows : list of dict
        As from `summary_rows`.
    csv_path, ecsv_path : path
        Where to write.
    recipe : str, optional
        `lightmask.fits.records.digest_of` what the summary is made with; the ECSV keeps it.
    """
    from astropy.table import Table  # half a second to import, which most jobs need not spend

    table = Table(meta={RECIPE: recipe})
    for name, meaning in SUMMARY_COLUMNS.items():
        table[name] = _column(name, [row[name] for row in rows])
        table[name].description = meaning
    text = io.StringIO(newline="")
    table.write(text, format="ascii.ecsv", delimiter=",", strip_whitespace=False)
    write_csv(rows, SUMMARY_COLUMNS, csv_path)
    write_text(text.getvalue(), ecsv_path)


def write_quality(
    rows: Iterable[Mapping[str, Any]],
    limits: Mapping[str, Any],
    csv_path: str | os.PathLike,
    ecsv_path: str | os.PathLike,
) -> None:
    """Write the numbers that masks are judged by, as CSV and as ECSV, which has units, meanings and limits.

    Parameters
    ----------
    rows : iterable of dict
        Of the summary.
    limits : dict
        The configuration's ``limits``.
    csv_path, ecsv_path : path
        Where to write.
    """
    from astropy.table import MaskedColumn, Table

    rows = list(rows)
    columns = ("path", "image", *QUALITY_COLUMNS, "on_sources", "causes")
    table = Table(meta={"limits": dict(limits)})
    for name in columns:
        values = [row.get(name, "") for row in rows]
        if name in ("path", "image", "causes"):
            table[name] = MaskedColumn([str(value) for value in values], dtype=str)
            continue
        numbers = np.array([number(value) for value in values])
        missing = np.isnan(numbers)
        unit, meaning = QUALITY_COLUMNS.get(name, ("", "fraction of cosmic-ray pixels on sources"))
        dtype = np.int64 if name in WHOLE else np.float64
        filled = np.where(missing, 0, numbers).astype(dtype)
        table[name] = MaskedColumn(filled, mask=missing, unit=unit or None, description=meaning)
    text = io.StringIO(newline="")
    table.write(text, format="ascii.ecsv", delimiter=",", strip_whitespace=False)
    write_csv(({column: row.get(column, "") for column in columns} for row in rows), columns, csv_path)
    write_text(text.getvalue(), ecsv_path)


def _column(name: str, values: list[Any]) -> Any:
    """Return a column of numbers, masked where one is missing, or of texts if that is what some values are."""
    from astropy.table import MaskedColumn

    dtype: type[np.generic] | None = None
    if name in ("fraction", "on_sources") or (name in QUALITY_COLUMNS and name not in WHOLE):
        dtype = np.float64
    elif name in COUNTS or name in ("events", *WHOLE):
        dtype = np.int64
    elif name in UNITS and {type(value) for value in values if value != ""} <= {int, float}:
        dtype = np.float64  # a header may hold text there, or T: then that is shown
    if dtype is None:
        return MaskedColumn([str(value).replace("\r", r"\r") for value in values], dtype=str)
    missing = [value == "" for value in values]
    numbers = [0 if value == "" else value for value in values]
    return MaskedColumn(numbers, mask=missing, dtype=dtype, unit=(UNITS | QUALITY_UNITS).get(name))
