"""The night as a picture and as a page."""

import csv
import html
import math
import os
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from lightmask.bits import IN_USE, REASONS, key
from lightmask.fits import whole_file
from lightmask.messages import without_middle
from lightmask.night import YEARS, Row, exposure_area, from_cell, number, rate_unit
from lightmask.show.pictures import COLOURS, shown

MOST_REMARKS, MOST_SETTINGS = 12, 10
"""What is listed in the picture; the table has all."""
NATURAL = 0.01, 0.1
"""Cosmic rays per cm² and s on the ground: muons alone are 0.02 at sea level (docs/quality.md)."""
MEASURED = {"fwhm": "FWHM of stars\n[pixel]", "sky": "sky\n[adu]"}
"""Columns of the summary that are drawn where there are any, and what the axis says."""
PANEL = 2.5
"""Height of an axis, in inches."""
LETTERS, LINES = 138, 2
"""Of a remark below it: letters in a line, and lines."""


def read_summary(path: str | os.PathLike) -> list[dict[str, str]]:
    """Read the summary of a night.

    Parameters
    ----------
    path : path
        CSV, of `lightmask.night.write_summary`.

    Returns
    -------
    list of dict
        Texts by column.
    """
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: from_cell(value) for key, value in row.items()} for row in csv.DictReader(file)]


def draw_night(rows: Sequence[Row], picture: str | os.PathLike) -> None:
    """Draw what became of the frames of a night, over time, into a PNG file.

    Parameters
    ----------
    rows : sequence of dict
        As of `night_figure`.
    picture : path
        Where to write.
    """
    figure = night_figure(rows)
    with whole_file(picture) as part:
        figure.savefig(part, format="png", metadata={"Software": None})


def night_figure(rows: Sequence[Row]) -> Any:
    """Draw what became of the frames of a night, over time.

    Parameters
    ----------
    rows : sequence of dict
        Of the summary.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes show, from above, the rate of cosmic rays, the width of stars and the sky where they were measured, and
        the part of the pixels that is masked, in all and per reason.
    """
    # pyplot, and thereby a second of imports, is not needed.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    unit = rate_unit(rows)
    if "cm" not in unit:
        rows = [{**row, "pixel_size": ""} for row in rows]
    times, undated = _times(rows)
    listed = [row for row in rows if row["remark"]][:MOST_REMARKS]
    lines = [line for mark, row in enumerate(listed, 1) for line in _remark_lines(mark, row)]
    more = sum(bool(row["remark"]) for row in rows) - len(listed)
    lines += [f"and {more} more in the summary"] * bool(more)
    below = 0.75 + 0.17 * len(lines)  # inches, for the numbers of the last axis and the remarks
    measured = [name for name in MEASURED if any(math.isfinite(number(row.get(name))) for row in rows)]
    height = PANEL * (2 + len(measured)) + below
    figure = Figure(figsize=(11, height), dpi=100)
    # An automatic layout draws everything several times.
    figure.subplots_adjust(left=0.105, right=0.78, top=1 - 0.5 / height, bottom=below / height, hspace=0.08)
    FigureCanvasAgg(figure)
    events, *others, masked = figure.subplots(2 + len(measured), 1, sharex=True)
    rates = [number(row["events"]) / exposure_area(row) for row in rows]
    if "cm" in unit:
        events.axhspan(*NATURAL, color="0.88", label="natural")
    _draw_settings(rows, times, rates, events)
    for axis, name in zip(others, measured, strict=True):
        _draw_settings(rows, times, [number(row.get(name)) for row in rows], axis)
    _draw_shares(rows, times, masked)
    for mark, row in enumerate(listed, 1):
        n = rows.index(row)
        if math.isfinite(rates[n]):
            events.plot(times[n], rates[n], "o", markersize=15, markerfacecolor="none", markeredgecolor="black")
            events.annotate(str(mark), (times[n], rates[n]), xytext=(10, 6), textcoords="offset points")
    _style([events, *others, masked], [f"cosmic rays\n[{unit}]", *(MEASURED[name] for name in measured)])
    if times and not isinstance(times[0], int):
        locator = AutoDateLocator()
        masked.xaxis.set_major_locator(locator)
        masked.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        masked.set_xlabel("time of exposure (UTC)")
    else:
        masked.xaxis.set_major_locator(MaxNLocator(integer=True))
        masked.set_xlabel(plain(shown(f"frame, in order of names{undated}", 10)))
    frames = {row["path"] for row in rows}
    lost = len(frames - {row["path"] for row in rows if row["pixels"]})
    title = f"{len(frames)} LIGHT frames" + (f", {lost} of them without a result" if lost else "")
    figure.suptitle(title, x=0.02, y=1 - 0.1 / height, ha="left", va="top", fontsize=15)
    if listed:
        text = "\n".join(plain(shown(line, 9)) for line in lines)
        figure.text(0.02, 0.1 / height, text, ha="left", va="bottom", fontsize=9)
    return figure


def _remark_lines(mark: int, row: Row) -> list[str]:
    """Return number, name and remark of a frame, in lines that fit the picture; the remark begins with the name."""
    path, remark = str(row["path"]), str(row["remark"])
    text = f"{mark}  {without_middle(path, 60)}: {remark.removeprefix(f'{path}: ')}"
    return textwrap.wrap(text, LETTERS, subsequent_indent="    ", max_lines=LINES, placeholder=" …")


def _draw_settings(rows: Sequence[Row], times: Sequence[Any], values: Sequence[float], axis: Any) -> None:
    """Draw a value of each frame, in a colour and with a mark per filter and exposure."""
    settings = sorted({_setting(row) for row in rows})
    palette = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
    for place, setting in enumerate(settings):
        own = [n for n, row in enumerate(rows) if _setting(row) == setting]
        style = {
            "color": palette[place % len(palette)],
            "marker": "osD^vP*"[place // len(palette) % 7],
            "linestyle": "none",
            "markersize": 6,
        }
        # matplotlib leaves out of the legend what begins with _.
        named = plain(without_middle(shown(setting, 10), 20))
        label = f" {named}" * (place < MOST_SETTINGS) or None
        axis.plot([times[n] for n in own], [values[n] for n in own], label=label, **style)


def _draw_shares(rows: Sequence[Row], times: Sequence[Any], axis: Any) -> None:
    """Draw which part of the pixels is masked, in all and per reason, in per cent."""
    shares = {flag.name or "": ([number(row[key(flag)]) for row in rows], COLOURS[flag]) for flag in IN_USE}
    shares = {"in MASK": ([number(row["masked"]) for row in rows], (0, 0, 0))} | shares
    for name, (counts, colour) in shares.items():
        share = [100 * n / (number(row["pixels"]) or math.nan) for n, row in zip(counts, rows, strict=True)]
        if any(part > 0 for part in share):
            style = {"color": tuple(part / 255 for part in colour), "label": name, "markersize": 9}
            axis.plot(times, [part or math.nan for part in share], "_" if name == "in MASK" else ".", **style)


def _style(axes: Sequence[Any], titles: Sequence[str]) -> None:
    """Say what the axes show, and leave out what says nothing."""
    *of_frames, masked = axes
    for axis, title in zip(axes, [*titles, "part of the pixels\n[%]"], strict=True):
        axis.set_ylabel(title)
        axis.grid(color="0.9")
        axis.spines[["top", "right"]].set_visible(False)
    for axis in of_frames:
        axis.margins(y=0.15)
    of_frames[0].set_ylim(0, 1.05 * of_frames[0].get_ylim()[1])
    masked.set_yscale("log")
    masked.yaxis.set_major_formatter("{x:g}")  # powers of ten as formulas take their time
    masked.minorticks_off()
    for axis in (of_frames[0], masked):
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _setting(row: Row) -> str:
    exposure = number(row["exposure"])  # shutters are not exact: 120.001 s is 120 s
    return (
        "  ".join(filter(None, [str(row["filter"]), f"{float(f'{exposure:.3g}'):g} s" if exposure > 0 else ""]))
        or "all"
    )


def _times(rows: Sequence[Row]) -> tuple[list[Any], str]:
    """Return the times of the exposures or, if not all of them can be drawn, the places in the table, and why."""
    times = []
    for row in rows:
        date = str(row["date"]).strip()
        try:
            time = datetime.fromisoformat(date)
            # One near the end of all years may not have a UTC.
            time = time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
        except (ValueError, OverflowError):
            time = datetime.min
        if not YEARS[0] <= time.year <= YEARS[1]:
            found = f"{date!r}, expected such as 2025-05-30T01:02:03" if date else "not known"
            why = f": the date of {without_middle(str(row['path']), 30)} is {without_middle(found, 80)}"
            return list(range(1, len(rows) + 1)), why if any(row["date"] for row in rows) else ""
        times.append(time)
    return times, ""


def plain(text: str) -> str:
    """Keep matplotlib from reading a text as a formula."""
    return text.replace("$", r"\$")


COLUMNS = {
    "path": "frame",
    "image": "image",
    "object": "object",
    "filter": "filter",
    "exposure": "exposure [s]",
    "date": "date",
    "masked": "masked",
    "fraction": "fraction",
    **{reason: reason.upper() for reason in REASONS},
    "events": "events",
    "on_sources": "on sources",
    "remark": "remark",
    "problem": "problem",
}
"""Columns of the page, and what stands above them."""


def write_page(rows: Sequence[Row], path: str | os.PathLike) -> None:
    """Write the summary as a page whose table can be sorted; whatever headers say stands there as text."""
    used = {key: name for key, name in COLUMNS.items() if any(row.get(key) for row in rows)}
    numeric = {key for key in used if all(_is_number(row.get(key)) for row in rows)}
    head = "".join(
        f"<th{' class=number' * (key in numeric)}><button>{html.escape(name)}</button></th>"
        for key, name in used.items()
    )
    body = "\n".join(f"<tr>{''.join(_cell(row.get(key, '')) for key in used)}</tr>" for row in rows)
    with whole_file(path) as part:
        template = Template(Path(__file__).with_name("summary.html").read_text(encoding="utf-8"))
        part.write_text(template.substitute(head=head, body=body), encoding="utf-8")


def _is_number(value: Any) -> bool:
    return value in ("", None) or math.isfinite(number(value))


def _cell(value: Any) -> str:
    text = str(value)
    if math.isfinite(number(text)):
        return f'<td class="number">{float(text):.6g}</td>' if "." in text else f'<td class="number">{text}</td>'
    opening = '<td class="text">' if len(text) > 40 else "<td>"
    return f"{opening}{html.escape(text)}</td>"


def draw_files(summary: str | os.PathLike, picture: str | os.PathLike, page: str | os.PathLike) -> None:
    """Draw a night from its summary, and write its table as a page.

    Parameters
    ----------
    summary : path
        CSV, of `lightmask.night.write_summary`.
    picture, page : path
        PNG and HTML file to write.
    """
    rows = read_summary(summary)
    draw_night(rows, picture)
    write_page(rows, page)
