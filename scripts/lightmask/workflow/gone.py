"""Results of frames that are gone: list them, and remove them."""

import os
from collections.abc import Iterable
from pathlib import Path

from lightmask.errors import FrameError
from lightmask.messages import printable
from lightmask.night import names
from lightmask.workflow import locks
from lightmask.workflow.night import Night

OF_FRAMES = {
    "masked": "",
    "statistics": ".json",
    "pictures/frames": ".png",
    "pictures/thumbnails": ".png",
    "regions": ".reg",
    "logs/mask_light": ".log",
    "benchmarks/mask_light": ".tsv",
}
"""Folders of results, and what their names have behind that of a frame."""


def results_of_gone_frames(night: Night) -> list[Path]:
    """List the results of frames that are no longer in the folder.

    A frame counts as there whatever it is now: only its file matters, not the settings.

    Parameters
    ----------
    night : Night
        Of the folder that was masked last.

    Returns
    -------
    list of Path
        Sorted; frames stay together.

    Raises
    ------
    FrameError
        If a single frame was masked, if the folder is not there, or if it holds no FITS file, as that of a disk that is
        not mounted.
    """
    where = printable(str(night.folder.absolute()))
    if night.is_of_one_frame:
        raise FrameError(f"frames: found that a single frame of {where} was masked last, expected a folder; mask it")
    if not night.found:
        raise FrameError(f"frames: found no FITS file in {where}, expected some; is its disk there?")
    found = []
    for folder, suffix in OF_FRAMES.items():
        place = night.results / folder
        for path in place.rglob("*"):
            name = path.relative_to(place).as_posix()
            frame = name.removesuffix(suffix)
            is_result = path.is_file() and name.endswith(suffix) and not path.name.startswith(".")
            if is_result and not os.path.lexists(night.folder / names.decode(frame)):
                found.append((frame, path))
    return [path for _, path in sorted(found)]


def remove_results(paths: Iterable[Path], results: Path) -> None:
    """Remove results, and folders that this leaves empty.

    Parameters
    ----------
    paths : iterable of Path
        As from `results_of_gone_frames`.
    results : Path
        The folder of results.

    Raises
    ------
    FrameError
        If a run is at work there, or a file cannot be removed.
    """
    try:
        if holder := locks.holder(results / ".lock"):
            raise FrameError(f"{results}: a run is at work there ({locks.describe(holder)}); wait for its end")
        kept = {results, *(results / folder for folder in OF_FRAMES)}
        for path in paths:
            path.unlink(missing_ok=True)
            for parent in path.parents:
                if parent in kept or any(parent.iterdir()):
                    break
                parent.rmdir()
    except OSError as error:
        raise FrameError(f"{printable(str(error.filename))}: cannot be removed ({error.strerror})") from None
