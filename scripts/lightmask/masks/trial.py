"""Try settings on one frame: what each of them would flag, and how long it takes. Nothing is written."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.masks.single import open_image
from lightmask.quality import Events


class Trial(NamedTuple):
    """What one setting flags.

    Attributes
    ----------
    name : str
        Of the setting.
    flags : (ny, nx) int16 array
        Bits of `~lightmask.bits.Flag`.
    pixels, events : int
        That are COSMIC.
    seconds : float
        That the search took.
    """

    name: str
    flags: NDArray[np.int16]
    pixels: int
    events: int
    seconds: float


class Trials(NamedTuple):
    """What several settings flag in one image.

    Attributes
    ----------
    data : ndarray or Pixels
        The image.
    label : str
        Which one of its file; empty for a single one.
    others : tuple of str
        Labels of the images that were not looked at.
    each : list of Trial
    """

    data: Any
    label: str
    others: tuple[str, ...]
    each: list[Trial]


def try_settings(
    frame: str | os.PathLike,
    name: str,
    combined: str | os.PathLike | None,
    settings: Mapping[str, dict[str, Any]],
    show: Callable[[Trials], None],
    label: str = "",
    companion: tuple[str | os.PathLike, str] | None = None,
    remark: Callable[[str], None] = print,
) -> None:
    """Search one image of a LIGHT frame with several settings.

    Parameters
    ----------
    frame, name, combined, label, companion, remark
        As `lightmask.masks.single.open_image` takes them.
    settings : dict
        Configurations, as `mask_frame` takes them, by name.
    show : callable
        Is called with what was found, as long as the file is open.

    Raises
    ------
    FrameError
        If the frame cannot be used, or has no image of that label.
    """
    config = next(iter(settings.values()))
    with open_image(frame, name, combined, config, label, companion, remark) as single:
        found: list[Trial] = []
        odd: dict[str, None] = {}  # in order, each once
        for setting, values in settings.items():
            remarks: list[str] = []
            search = single.search(values, remarks)
            with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
                how, prepared, lacking, _ = search.prepared()
                started = time.perf_counter()
                flags, _ = search.flags(how, prepared, lacking)
                seconds = time.perf_counter() - started
            pixels = int(np.count_nonzero(flags & np.int16(Flag.COSMIC)))
            found.append(Trial(setting, flags, pixels, len(Events(single.image.data, flags)), seconds))
            odd |= {f"{line} ({setting})": None for line in remarks}
        for line in odd:
            remark(line)
        show(Trials(single.image.data, single.image.label, single.others, found))
