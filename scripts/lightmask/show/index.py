"""The page that a user opens first: the night in a line, what looks wrong, every frame, and where all is.

Rows of the summary and links come in; one HTML file goes out, with pictures beside it and nothing from a network.
"""

import base64
import html
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import NamedTuple
from urllib.parse import quote, unquote

from lightmask.bits import REASONS
from lightmask.errors import FrameError
from lightmask.fits import whole_file
from lightmask.messages import printable
from lightmask.night import Row, number

COLUMNS = {
    "path": "frame",
    "image": "image",
    "problem": "problem",
    "remark": "remark",
    "object": "object",
    "filter": "filter",
    "exposure": "exposure [s]",
    "date": "date",
    "fraction": "masked [%]",
    **{reason: f"{reason.upper()} [%]" for reason in REASONS},
    "events": "cosmic rays",
    "fwhm": "FWHM [px]",
    "sky": "sky [adu]",
}
"""Columns of the table, and what stands above them."""
SHARES = {"fraction", *REASONS}
"""Columns that are shown as parts of the pixels, in per cent."""
TEXTS, LONG = {"path", "image", "object", "filter", "date"}, {"remark", "problem"}
MOST_NAMED = 200
"""Frames that a remark lists."""
MEASURED = "fwhm", "sky"
"""Columns whose numbers get as many decimals in each row."""
CHOICES = {"filter": "Filter", "exposure": "Exposure", "flag": "Flag", "state": "State"}
"""By what frames can be chosen."""


class Shared(NamedTuple):
    """A mask that frames share.

    Attributes
    ----------
    label : str
        Camera and filter, and kinds.
    picture, file : str
        Where they lie, relative to the page.
    """

    label: str
    picture: str
    file: str


class Remark(NamedTuple):
    """A remark on several frames.

    Attributes
    ----------
    text : str
        Of the first of them.
    frames : tuple of str
        Their names.
    is_failure : bool
        Whether there is no result of them.
    """

    text: str
    frames: tuple[str, ...]
    is_failure: bool


def grouped(rows: Iterable[Row]) -> list[Remark]:
    """Collect remarks and problems that differ in numbers only: failures first, then the most frequent.

    Parameters
    ----------
    rows : iterable of dict
        Of the summary.

    Returns
    -------
    list of Remark
    """
    found: dict[tuple[bool, str], tuple[str, dict[str, None]]] = {}
    for row in rows:
        for column, is_failure in (("problem", True), ("remark", False)):
            for text in _remarks(str(row.get(column) or ""), str(row["path"])):
                kind = is_failure, re.sub(r"[-+]?\d[\d.,e+-]*", "#", text)
                found.setdefault(kind, (text, {}))[1][str(row["path"])] = None
    groups = [Remark(text, tuple(frames), kind[0]) for kind, (text, frames) in found.items()]
    return sorted(groups, key=lambda group: (not group.is_failure, -len(group.frames)))


def _remarks(text: str, path: str) -> list[str]:
    """Return the remarks of a cell, each without the name of the frame that it begins with."""
    name = rf"{re.escape(path)}(?:\[[^\]]*\])?: "
    parts = re.split(rf"(?:^|; )(?={name})", text)
    return [re.sub(f"^{name}", "", part) for part in parts if part]


def write_index(
    rows: Sequence[Row],
    path: str | os.PathLike,
    *,
    title: str,
    pictures: bool,
    shared: Sequence[Shared] = (),
    night_picture: str = "",
    accuracy: str = "",
    accuracy_picture: str = "",
    made: Mapping[str, str],
) -> None:
    """Write the page of a night.

    Parameters
    ----------
    rows : sequence of dict
        Of the summary.
    path : path
        HTML file to write: ``results/index.html``.
    title : str
        What the page is called.
    pictures : bool
        Whether frames have pictures.
    shared : sequence of Shared
        Masks that frames share.
    night_picture : str
        The night over time, relative to the page; empty for none.
    accuracy, accuracy_picture : str
        What was assessed, as text and as a picture; empty for nothing.
    made : dict
        Versions and settings, by what they are called.
    """
    frames: dict[str, list[Row]] = {}
    for row in rows:
        frames.setdefault(str(row["path"]), []).append(row)
    groups = grouped(rows)
    more = []
    if night_picture:
        more.append(_figures("time", "The night over time", [("The night over time", night_picture, night_picture)]))
    if shared:
        more.append(_figures("masks", "Masks that frames share", shared))
    if accuracy:
        alt = "Part of the pixels of rays that is found, by brightness"
        picture = f'<figure><img loading="lazy" src="{_link(accuracy_picture)}" alt="{alt}"></figure>'
        text = f'<pre tabindex="0">{html.escape(accuracy)}</pre>'
        more.append(_section("accuracy", "How right the masks are", picture * bool(accuracy_picture) + text))
    used = {key: name for key, name in COLUMNS.items() if any(_says(row, key) for row in rows)}
    names = {"wrong": "What looks wrong", "numbers": "Numbers", "frames": "Frames", "table": "Table"}
    names |= dict(re.findall(r'<section id="(\w+)"><h2>(.*?)</h2>', "".join(more))) | {"made": "Made with"}
    decimals = {key: _decimals([number(row.get(key)) for row in rows]) for key in MEASURED}
    # Odd frames first.
    order = sorted(frames, key=lambda name: (not _is(frames[name], "problem"), not _is(frames[name], "remark")))
    text = Template(Path(__file__).with_name("index.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        night=html.escape(_in_a_line(frames)),
        parts="".join(f'<li><a href="#{place}">{name}</a></li>' for place, name in names.items()),
        wrong=_wrong(groups),
        numbers=_pairs(_numbers(rows, frames)),
        choices=_choices(rows),
        sheet="".join(_card(name, frames[name], pictures) for name in order),
        head="".join(
            f'<th scope="col"><button type="button">{html.escape(name)}</button></th>' for name in used.values()
        ),
        body="".join(_row(row, used, decimals) for row in rows),
        more="".join(more),
        made=_pairs(made),
    )
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_one_file(page: str | os.PathLike, path: str | os.PathLike) -> None:
    """Write a page of a night that stands alone: with the pictures that it shows, and no links to other files.

    Parameters
    ----------
    page : path
        As `write_index` wrote it.
    path : path
        HTML file to write.

    Raises
    ------
    FrameError
        If there is no such page, or a picture of it is gone.
    """
    page = Path(page)

    def embedded(found: re.Match[str]) -> str:
        picture = page.parent / unquote(html.unescape(found[1]))
        return f'src="data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode("ascii")}"'

    try:
        text = page.read_text(encoding="utf-8")
        text = re.sub(r'<a href="(?!#)[^"]*"[^>]*>(.*?)</a>', r"\1", text)
        text = re.sub(r'src="([^"]*)"', embedded, text)
    except FileNotFoundError as error:
        raise FrameError(
            f"{printable(str(error.filename))}: found no such file, expected it of the last run; mask again"
        ) from None
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def _says(row: Row, column: str) -> bool:
    """Return whether a column says something of a frame: that no pixel has a reason is nothing."""
    return number(row.get(column)) > 0 if column in REASONS else row.get(column) not in (None, "")


def _is(rows: Iterable[Row], column: str) -> bool:
    return any(row.get(column) for row in rows)


def _link(path: str) -> str:
    """Return a path relative to the page as a link."""
    return html.escape(quote(path))


def _section(place: str, name: str, text: str) -> str:
    return f'<section id="{place}"><h2>{html.escape(name)}</h2>{text}</section>'


def _figures(place: str, name: str, found: Iterable[tuple[str, str, str]]) -> str:
    parts = [
        f'<figure><a href="{_link(picture)}"><img loading="lazy" src="{_link(picture)}" alt="{html.escape(label)}"></a>'
        f'<figcaption><a href="{_link(file)}">{html.escape(label)}</a></figcaption></figure>'
        for label, picture, file in found
    ]
    return _section(place, name, f'<div class="{"masks" if place == "masks" else "wide"}">{"".join(parts)}</div>')


def _pairs(found: Mapping[str, str]) -> str:
    return "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in found.items()
    )


def _in_a_line(frames: Mapping[str, Sequence[Row]]) -> str:
    """Return the night in one line."""
    failed = sum(_is(rows, "problem") for rows in frames.values())
    odd = sum(_is(rows, "remark") and not _is(rows, "problem") for rows in frames.values())
    masked = sum(any(row.get("pixels") for row in rows) for rows in frames.values())
    parts = [f"{len(frames)} LIGHT frames, {masked} masked"]
    parts += [f"{failed} without a result"] * bool(failed) + [f"{odd} odd"] * bool(odd)
    share = _share([row for rows in frames.values() for row in rows], "masked")
    return ", ".join(parts) + (f"; {share} of their pixels are masked." if masked else ".")


def _share(rows: Iterable[Row], column: str) -> str:
    """Return which part of all pixels has a reason, in per cent."""
    known = [row for row in rows if number(row.get("pixels")) > 0]
    total = sum(number(row["pixels"]) for row in known)
    return _percent(sum(number(row[column]) or 0 for row in known) / total if total else 0)


def _percent(share: float) -> str:
    return "0%" if share == 0 else "<0.001%" if share < 1e-5 else f"{share:.3%}"


def _numbers(rows: Sequence[Row], frames: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """Return the numbers of a night, by what they are called."""
    found = {"LIGHT frames": f"{len(frames):,}", "masked": _share(rows, "masked")}
    for reason in REASONS:
        if any(number(row.get(reason)) > 0 for row in rows):
            found[reason.upper()] = _share(rows, reason)
    events = [number(row.get("events")) for row in rows if row.get("events") not in (None, "")]
    if events:
        found["cosmic rays"] = f"{sum(events):,.0f}"
    return found


def _wrong(groups: Sequence[Remark]) -> str:
    """Return what looks wrong, and what to do."""
    if not groups:
        return "<p>Nothing.</p>"
    parts = []
    for group in groups:
        several = len(group.frames) > 1
        listed = "".join(f"<li>{html.escape(name)}</li>" for name in group.frames[:MOST_NAMED])
        rest = len(group.frames) - MOST_NAMED
        listed += f"<li>and {rest} more in the table</li>" * (rest > 0)
        which = f"{len(group.frames)} frames" if several else html.escape(group.frames[0])
        example = " (numbers are those of the first)" * (several and bool(re.search(r"\d", group.text)))
        names = f"<details><summary>{which}</summary><ul>{listed}</ul></details>" if several else f"<div>{which}</div>"
        kind = ' class="failed"' if group.is_failure else ""
        parts.append(f"<li{kind}>{html.escape(group.text)}{example}{names}</li>")
    return f'<ul class="wrong">{"".join(parts)}</ul>'


def _data(row: Row) -> str:
    """Return the attributes by which a frame is chosen."""
    flags = [reason.upper() for reason in REASONS if number(row.get(reason)) > 0]
    state = ["failed"] * bool(row.get("problem")) + ["odd"] * bool(row.get("remark"))
    values = {
        "frame": str(row["path"]),
        "filter": str(row.get("filter") or ""),
        "exposure": _exposure(row),
        "flag": "|".join(flags),
        "state": "|".join(state or ["fine"]),
    }
    return "".join(f' data-{key}="{html.escape(value)}"' for key, value in values.items())


def _exposure(row: Row) -> str:
    seconds = number(row.get("exposure"))
    return f"{float(f'{seconds:.3g}'):g} s" if seconds > 0 else ""


def _choices(rows: Sequence[Row]) -> str:
    """Return what frames can be chosen by."""
    values = {
        "filter": sorted({str(row.get("filter") or "") for row in rows} - {""}),
        "exposure": sorted({_exposure(row) for row in rows} - {""}, key=lambda text: number(text[:-2])),
        "flag": [reason.upper() for reason in REASONS if any(number(row.get(reason)) > 0 for row in rows)],
        "state": ["failed", "odd", "fine"],
    }
    parts = []
    for key, name in CHOICES.items():
        options = "".join(f'<option value="{html.escape(v)}">{html.escape(v)}</option>' for v in values[key])
        parts.append(f'<label>{name}<select name="{key}"><option value="">all</option>{options}</select></label>')
    return "".join(parts)


def _card(name: str, rows: Sequence[Row], pictures: bool) -> str:
    """Return what the sheet shows of a frame."""
    row = rows[0]
    result = str(row.get("masked_frame") or "")
    state = "failed" if _is(rows, "problem") else "odd" if _is(rows, "remark") else ""
    what = "  ·  ".join(filter(None, [str(row.get("filter") or ""), _exposure(row)]))
    is_masked = any(each.get("pixels") for each in rows)
    share = _share(rows, "masked") + " masked" if is_masked else "no result"
    inner = f'<span class="none">{"no picture" if is_masked else "no result"}</span>'
    if pictures and is_masked:
        alt = f"{name}: the frame with its flags"
        inner = f'<img loading="lazy" src="{_link(f"pictures/thumbnails/{result}.png")}" alt="{html.escape(alt)}">'
        inner = f'<a href="{_link(f"pictures/frames/{result}.png")}">{inner}</a>'
    text = f'<span class="name" title="{html.escape(name)}">{html.escape(name)}</span>'
    said = "".join(f'<span class="what">{html.escape(part)}</span>' for part in (what, share, state) if part)
    opening = f"<li{f' class={state}' if state else ''}{_data(row)}>"
    return f"{opening}{inner}{text}{said}</li>"


def _decimals(values: Iterable[float]) -> int:
    """Return with how many decimals numbers are shown: four digits of the largest, but no more than four decimals."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0)
    return min(max(3 - math.floor(math.log10(largest)), 0), 4) if largest else 0


def _row(row: Row, used: Mapping[str, str], decimals: Mapping[str, int]) -> str:
    """Return a row of the table."""
    cells = []
    for key in used:
        value = row.get(key)
        text = "" if value is None else str(value)
        figure = number(text)
        if key in LONG:
            escaped = html.escape(text)
            cells.append(f'<td class="long"><div title="{escaped}">{escaped}</div></td>')
        elif key in SHARES and text != "":
            share = figure if key == "fraction" else figure / (number(row.get("pixels")) or 1)
            cells.append(f'<td class="number" data-value="{share!r}">{100 * share:.3f}</td>')
        elif key not in TEXTS and math.isfinite(figure):
            shown = f"{figure:.{decimals[key]}f}" if key in decimals else f"{figure:.6g}" if "." in text else text
            cells.append(f'<td class="number" data-value="{figure!r}">{html.escape(shown)}</td>')
        else:
            cells.append(f"<td>{html.escape(text)}</td>")
    return f"<tr{_data(row)}>{''.join(cells)}</tr>"
