"""The table of what was measured to judge masks: results/quality.csv."""

import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lightmask.night.remarks import number

QUALITY_COLUMNS: dict[str, tuple[str, str]] = {
    "noise_ratio": ("", "noise of the sky, in that of gain, read noise and counts"),
    "noise_correlation": ("", "part of the noise that neighbours share"),
    "noise_contrast": ("", "noise of a quarter of the image, in that of another, at the most"),
    "sky": ("adu", "median"),
    "missing_sky": ("adu", "sky that would have to be added so that the noise fits the model"),
    "ceiling": ("adu", "level that the brightest pixels of several stars share"),
    "lines_along_axis": ("", "part of the columns, or of the rows, that differ from others beside them"),
    "colour_contrast": ("", "levels of the pixels of a pattern of two by two, by how many sigma they differ"),
    "stars": ("", "stars that were looked at"),
    "fwhm": ("pix", "full width at half maximum of stars, median"),
    "star_cores": ("", "fraction of these stars whose core is flagged as a cosmic ray"),
    "event_rate": ("1 / s", "cosmic rays per megapixel and second"),
    "event_rate_area": ("1 / (cm2 s)", "cosmic rays per square centimetre and second"),
    "in_trails": ("", "fraction of cosmic-ray pixels in trails of saturated stars"),
    "at_bad_pixels": ("", "pixels like cosmic rays that touch known bad ones, by runs of these"),
    "in_rim": ("", "fraction of cosmic-ray pixels where the level of the image falls at its border"),
    "in_lines": ("", "fraction of cosmic-ray pixels in straight edges, columns or rows"),
    "rim": ("", "fraction of the image that is rim"),
    "on_extended": ("", "fraction of cosmic-ray pixels where the image is brighter than its sky over many pixels"),
    "extended": ("", "fraction of the image that is"),
    "one_colour": ("", "largest fraction of cosmic rays on one pixel of a pattern of two by two"),
    "one_half": ("", "density of cosmic rays in one half or quarter, in that of the rest, at the most"),
}
"""Unit and meaning of what is measured of each image."""
WHOLE = ("stars",)
IDENTITY = ("path", "image")


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

    from lightmask.night.summary import write_csv, write_text

    rows = list(rows)
    columns = (*IDENTITY, *QUALITY_COLUMNS, "on_sources", "causes")
    table = Table(meta={"limits": dict(limits)})
    for name in columns:
        values = [row.get(name, "") for row in rows]
        if name in (*IDENTITY, "causes"):
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
    write_csv(rows_of(rows, columns), columns, csv_path)
    write_text(text.getvalue(), ecsv_path)


def rows_of(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> list[dict[str, Any]]:
    """Return rows with these columns only."""
    return [{column: row.get(column, "") for column in columns} for row in rows]
