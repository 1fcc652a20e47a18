"""What became of each LIGHT frame, where some have no result."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightmask.night import NOT_YET, summary_rows, write_quality, write_summary
from lightmask.workflow.logs import failure


def problems(lights: Iterable[Mapping[str, Any]], outcomes: Iterable[tuple[Path, Path, list[Path]]]) -> list[str]:
    """Say for each LIGHT frame, given as `write_partial` takes it, why it has no result; empty if it has."""
    found = []
    for light, (file, log, logs_of_masks) in zip(lights, outcomes, strict=True):
        problem = next(filter(None, map(failure, logs_of_masks)), "")
        if not problem and not file.exists():
            problem = failure(log, light["path"]) or f"{light['path']}: {NOT_YET}"
        found.append(problem)
    return found


def write_partial(
    lights: Iterable[Mapping[str, Any]],
    outcomes: Iterable[tuple[Path, Path, list[Path]]],
    csv_path: Path,
    ecsv_path: Path,
    limits: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write the summary of a night that has failed frames, and return the causes.

    Parameters
    ----------
    lights : iterable of dict
        As `summary_rows` takes them.
    outcomes : iterable of (Path, Path, list of Path)
        For each of them the statistics file and the log, which may not be there, and
        the logs of what made its masks: if one failed, what is there is out of date.
    csv_path, ecsv_path : Path
        Where to write. The files get the oldest of times, so that the next run
        takes them for out of date.
    limits : dict, optional
        The configuration's ``limits``: the table of what masks are judged by is written too.

    Returns
    -------
    list of str
        One line per LIGHT frame that has no result.
    """
    lights, outcomes = list(lights), list(outcomes)
    found = problems(lights, outcomes)
    rows = [{**light, "problem": problem} for light, problem in zip(lights, found, strict=True)]
    statistics = [None if problem else file for problem, (file, _, _) in zip(found, outcomes, strict=True)]
    summarised = summary_rows(rows, statistics)
    write_summary(summarised, csv_path, ecsv_path)
    written = [csv_path, ecsv_path]
    if limits:
        written += [path.with_stem("quality") for path in (csv_path, ecsv_path)]
        write_quality(summarised, limits, *written[2:])
    for path in written:
        os.utime(path, (0, 0))
    return list(filter(None, found))
