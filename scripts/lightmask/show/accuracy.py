"""Show how right masks are on a user's own frames: a table, lines to paste, and a picture."""

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from lightmask.fits import whole_file
from lightmask.masks import EDGES, Counts
from lightmask.messages import printable

SETTINGS = {"chapter": "preset: chapter", "best": "preset: best", "yours": "your setting"}
"""What the table calls each setting."""
ROWS = ("share of ray pixels found", "share of rays found", "flagged and no ray", "star cores touched")
COLOURS = {"chapter": "#d55e00", "best": "#0072b2", "yours": "#009e73"}


def best_of(assessed: Mapping[str, Counts]) -> str:
    """Return the name of the setting that is best: by the harmonic mean of what is found and what is right.

    Parameters
    ----------
    assessed : dict of Counts
        By the name of the setting.

    Returns
    -------
    str
    """
    return max(assessed, key=lambda name: (assessed[name].f1, name == "yours"))


def accuracy_text(assessed: Mapping[str, Counts], frames: Sequence[str], remarks: Sequence[str] = ()) -> str:
    """Return the table, and which setting is best.

    Parameters
    ----------
    assessed : dict of Counts
        By the name of the setting: chapter, best and, if it is another one, yours.
    frames : sequence of str
        Into which tracks were injected.
    remarks : sequence of str
        What was guessed or left out.

    Returns
    -------
    str
    """
    lines = [f"{'':<28}" + "".join(f"{SETTINGS[name]:<20}" for name in assessed)]
    of_setting = [_cells(counts) for counts in assessed.values()]
    for place, row in enumerate(ROWS):
        lines.append(f"{row:<28}" + "".join(f"{cells[place]:<20}" for cells in of_setting))
    lines.append("of ray pixels, by brightness in sigma:")
    for place, (least, most) in enumerate(itertools.pairwise(EDGES)):
        shares = [_share(counts.found[place], counts.hit[place], counts.events) for counts in assessed.values()]
        lines.append(
            f"  {f'{least} to {most}' if most < 1e9 else f'above {least}':<26}" + "".join(f"{s:<20}" for s in shares)
        )
    name = best_of(assessed)
    lines += ["", f"Measured with tracks in {', '.join(map(printable, frames))}."]
    if name == "yours":
        lines.append("Your setting is the best of these.")
    else:
        lines += [f"Best of these: {SETTINGS[name]}. For config.yaml:", "", "cosmic_rays:", f"  preset: {name}"]
    if remarks:
        lines += ["", "Guessed, or odd (in brackets the setting):", *map(printable, remarks)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _cells(counts: Counts) -> tuple[str, ...]:
    of_recall, of_wrong = counts.errors
    return (
        f"{counts.recall:.1%} +- {of_recall:.1%}",
        _share(counts.events_found, counts.events, counts.events),
        f"{counts.wrong:.1%} +- {of_wrong:.1%}",
        f"{counts.stars_touched:.0f} of {counts.stars:.0f}",
    )


def _share(part: float, whole: float, independent: float) -> str:
    if not whole:
        return "none there"
    share = part / whole
    error = (max(share * (1 - share), 0.25 / (independent + 1)) / max(independent, 1)) ** 0.5
    return f"{share:.1%} +- {error:.1%}"


def write_accuracy(
    assessed: Mapping[str, Counts],
    frames: Sequence[str],
    remarks: Sequence[str],
    text: str | os.PathLike,
    record: str | os.PathLike,
) -> None:
    """Write the table, and its numbers as JSON.

    Parameters
    ----------
    assessed, frames, remarks
        As of `accuracy_text`.
    text, record : path
        Files to write.
    """
    numbers: dict[str, Any] = {
        "frames": list(frames),
        "remarks": list(remarks),
        "edges": EDGES[:-1],
        "best": best_of(assessed),
    }
    for name, counts in assessed.items():
        numbers[name] = {
            key: value.tolist() if hasattr(value, "tolist") else value for key, value in counts._asdict().items()
        } | {"recall": counts.recall, "wrong": counts.wrong, "errors": counts.errors}
    with whole_file(text) as part:
        part.write_text(accuracy_text(assessed, frames, remarks), encoding="utf-8", errors="backslashreplace")
    with whole_file(record) as part:
        part.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def draw_accuracy(assessed: Mapping[str, Counts], frames: Sequence[str], picture: str | os.PathLike) -> None:
    """Draw which part of the pixels of rays is found, by brightness.

    Parameters
    ----------
    assessed, frames
        As of `accuracy_text`.
    picture : path
        PNG file to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    for shift, (name, counts) in enumerate(assessed.items()):
        share = counts.found / counts.hit.clip(1)
        error = (share * (1 - share) / max(counts.events, 1)) ** 0.5
        places = [place + 0.08 * (shift - 1) for place in range(len(share))]
        label = f"{SETTINGS[name]}: {counts.recall:.0%} found, {counts.wrong:.0%} of what is flagged wrong"
        axis.errorbar(places, 100 * share, 100 * error, fmt="o-", color=COLOURS[name], capsize=3, label=label)
    bins = [f"{least}-{most}" if most < 1e9 else f">{least}" for least, most in itertools.pairwise(EDGES)]
    axis.set_xticks(range(len(bins)), bins)
    axis.set_xlabel("charge that a ray leaves on a pixel [sigma]")
    axis.set_ylabel("found [per cent]")
    axis.set_ylim(-2, 105)
    axis.grid(alpha=0.3)
    axis.set_title(f"How much of cosmic rays is found: tracks in {len(frames)} frames of this night")
    axis.legend(loc="lower right")
    with whole_file(picture) as part:
        figure.savefig(part, format="png", metadata={"Software": None})
