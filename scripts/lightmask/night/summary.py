"""The tables of a night: what is in it, and what became of each LIGHT frame."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightmask import bits
from lightmask.fits import PART, whole_file
from lightmask.messages import printable
from lightmask.night.names import cell
from lightmask.night.remarks import remarks

FRAME_COLUMNS = (
    *("path", "type", "shape", "object", "filter", "exposure", "date", "binning", "camera"),
    *("combined_mask", "problem"),
)
REASONS = tuple(name.lower() for name in bits.BITS)
COUNTS = ("pixels", "masked", "fraction", *REASONS)
NOT_YET = "not masked yet"
"""How the problem of a frame ends whose job was not begun."""
RECIPE = "LIGHTMASK RECIPE"
UNITS = {"exposure": "s", "pixel_size": "um"}
SUMMARY_COLUMNS = {
    "path": "LIGHT frame, in the frames folder",
    "masked_frame": "its result, in results/masked",
    "object": "what it shows",
    "filter": "filter",
    "exposure": "exposure time",
    "date": "time of the exposure",
    "pixel_size": "side of a pixel in micrometres",
    "pixels": "pixels of the frame",
    "masked": "pixels that MASK masks",
    "fraction": "masked / pixels",
    **{flag.name.lower(): meaning for flag, meaning in bits.MEANING.items() if flag.name},
    "iterations": "cosmic pixels found in each iteration",
    "events": "cosmic rays, that is, groups of cosmic pixels that touch",
    "on_sources": "fraction of cosmic pixels whose event sits on a star or another source",
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
    """Write rows as CSV in which a spreadsheet finds no formulas; `names.from_cell` returns its texts as they were."""
    shown = ({key: cell(value) if isinstance(value, str) else value for key, value in row.items()} for row in rows)
    write_text(csv_text(shown, columns), path)


def summary_rows(
    lights: Iterable[Mapping[str, Any]], statistics: Iterable[str | os.PathLike | None]
) -> list[dict[str, Any]]:
    """Return a row per LIGHT frame, with its counts where it was masked.

    Parameters
    ----------
    lights : iterable of dict
        Of each LIGHT frame ``path``, ``masked_frame``, the columns that come from its
        header and, if it was not masked, ``problem``; ``remarks``, a list of str, if there are any.
    statistics : iterable of path or None
        For each of them the file that `masking.mask_frame` wrote, if it did.
    """
    rows, own_remarks = [], []
    for light, file in zip(lights, statistics, strict=True):
        row = {column: light.get(column, "") for column in SUMMARY_COLUMNS}
        found: dict[str, Any] = {}
        if file is not None:
            found = json.loads(Path(file).read_text(encoding="utf-8"))
            row |= {column: found[column] for column in COUNTS}
            row["iterations"] = " ".join(map(str, found["iterations"]))
            row |= {column: found[column] for column in ("events", "on_sources") if column in found}
        rows.append(row)
        own_remarks.append([*light.get("remarks", []), *found.get("remarks", [])])
    for row, own, remark in zip(rows, own_remarks, remarks(rows), strict=True):
        row["remark"] = "; ".join([*map(printable, own), *filter(None, [remark])])
    return rows


def recipe_of(ecsv_path: Path) -> str:
    """Return the recipe of a summary that `write_summary` wrote; empty if there is none."""
    try:
        text = ecsv_path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    lines = (line for line in text.splitlines() if line.startswith("# meta: "))
    return next((str(json.loads(line.removeprefix("# meta: "))[RECIPE]) for line in lines), "")


def orphans(masked: Path, expected: Iterable[str]) -> list[str]:
    """List masked frames that are not expected any more, by name as a terminal can show it."""
    known = set(expected)
    found = (path.relative_to(masked).as_posix() for path in masked.rglob("*") if path.is_file())
    return sorted(printable(name) for name in found if name not in known and not name.endswith(PART))


def write_summary(
    rows: list[dict[str, Any]], csv_path: str | os.PathLike, ecsv_path: str | os.PathLike, recipe: str = ""
) -> None:
    """Write the summary as plain CSV and as ECSV, which knows units, types and what is missing.

    The ECSV says by which recipe (`lightmask.fits.records.digest_of`) it was made.

    ECSV (astropy's APE 6) is CSV under a header in YAML, which is quicker written
    than `astropy.table` is imported.
    """
    header = ["%ECSV 1.0", "---", "delimiter: ','", "datatype:"]
    for name, meaning in SUMMARY_COLUMNS.items():
        column = {"name": name, "datatype": "string", "description": meaning}
        if name in ("fraction", "on_sources"):
            column["datatype"] = "float64"
        elif name in COUNTS or name == "events":
            column["datatype"] = "int64"
        elif name in UNITS and {type(row[name]) for row in rows if row[name] != ""} <= {int, float}:
            # A header may hold text there, or T: show it.
            column |= {"datatype": "float64", "unit": UNITS[name]}
        header.append(f"- {json.dumps(column)}")
    header += [f"meta: {json.dumps({RECIPE: recipe})}", "schema: astropy-2.0"]
    write_csv(rows, SUMMARY_COLUMNS, csv_path)
    write_text("".join(f"# {line}\n" for line in header) + csv_text(rows, SUMMARY_COLUMNS), ecsv_path)
