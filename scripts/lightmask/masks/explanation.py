"""Why a pixel of a LIGHT frame is, or is not, masked: flags, masks, and the numbers of the detector."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.detect import Lacosmic, Trace, events_of, examine_cosmics, examine_trace
from lightmask.errors import FrameError
from lightmask.fits import opened
from lightmask.masks.combined import masks_of_pixel
from lightmask.masks.cosmicrays import is_trace, readable_rows
from lightmask.masks.flags import Flags
from lightmask.masks.frame import numbers_of_cards
from lightmask.masks.planes import planes
from lightmask.masks.search import of_detector, union
from lightmask.masks.single import Single, open_image
from lightmask.night import FLAG_OF_KIND, Readout
from lightmask.quality import REGION, Event, Events

AROUND = 12
"""How far from the pixel its surroundings reach, in pixels."""


@dataclass(frozen=True)
class Explained:
    """What is known of a pixel.

    Attributes
    ----------
    name : str
        Of the frame, with the label of the image, if it has several.
    data : ndarray or alike
        The image, of which rows can be taken.
    flags : (ny, nx) int16 array
        Bits of `~lightmask.bits.Flag`, as the configuration gives them now.
    y, x : int
        Row and column of the pixel, from 0.
    value, around : float
        Of the pixel, and the median of its surroundings [unit of the image].
    is_masked : bool
        Whether MASK has it.
    stored : int or None
        Its FLAGS in the results; None where there are none.
    sources : list of (str, str, str)
        Name of the flag, name and SHA-256 of each mask that has the pixel.
    radii : dict
        By how many pixels each of its flags grows, where it does.
    event, region : Event or None, str
        The cosmic ray that it is part of, and its name in the file of regions; empty for none.
    detector : str
        Which one found, or did not find, a ray there.
    parameters : dict
        What it was given, by the name of its card: numbers, of each amplifier where there are several, and thresholds.
    numbers : Lacosmic or Trace or None
        With which it decided; None where it does not search.
    """

    name: str
    data: Any
    flags: NDArray[np.int16]
    y: int
    x: int
    value: float
    around: float
    is_masked: bool
    stored: int | None
    sources: list[tuple[str, str, str]]
    radii: dict[str, float]
    event: Event | None
    region: str
    detector: str
    parameters: dict[str, Any]
    numbers: Lacosmic | Trace | None


def explain_pixel(
    frame: str | os.PathLike,
    name: str,
    combined: str | os.PathLike | None,
    config: dict[str, Any],
    place: tuple[int, int] | str,
    show: Callable[[Explained], None],
    label: str = "",
    companion: tuple[str | os.PathLike, str] | None = None,
    masks: Sequence[tuple[str, str, str]] = (),
    combining: Mapping[str, Any] | None = None,
    masked: str | os.PathLike | None = None,
    remark: Callable[[str], None] = print,
) -> None:
    """Find out why a pixel of a LIGHT frame is, or is not, masked.

    Parameters
    ----------
    frame, name, combined, config, label, companion, remark
        As `lightmask.masks.single.open_image` takes them.
    place : (int, int) or str
        Row and column of the pixel, from 0, or the name of a region: its brightest pixel.
    show : callable
        Is called with what was found, as long as the file is open.
    masks : sequence of (kind, path, name), optional
        Those that are combined.
    combining : dict, optional
        How, as `combine_files` takes it: ``radii``, ``checksums``, ``images`` and ``most``.
    masked : path, optional
        The masked frame of the last run, if there is one.

    Raises
    ------
    FrameError
        If the frame cannot be used, or has no such pixel or region.
    """
    with open_image(frame, name, combined, config, label, companion, remark) as single:
        remarks: list[str] = []
        search = single.search(config, remarks)
        with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
            how, image, lacking, _ = search.prepared()
            flags, _ = search.flags(how, image, lacking)
        for line in remarks:
            remark(line)
        stored = _stored(masked, single)
        of_results = flags if stored is None else stored
        events = Events(image.data, of_results).strongest()
        y, x = _pixel(place, events, flags.shape, single.called)
        rows, columns = (slice(max(at - AROUND, 0), at + AROUND + 1) for at in (y, x))
        near = np.asarray(single.image.data[rows])[:, columns]
        own = {flag.name or "": flag for flag in Flag if flag & int(flags[y, x])}
        number = next((n for n, event in enumerate(events) if _has(of_results, event, y, x)), None)
        inside = [(at.start, at.stop) for at in how.window]
        settings = config["cosmic_rays"]
        show(
            Explained(
                name=single.called,
                data=single.image.data,
                flags=flags,
                y=y,
                x=x,
                value=float(near[y - rows.start, x - columns.start]),
                around=float(np.nanmedian(near)) if np.isfinite(near).any() else float("nan"),
                is_masked=bool(Flags(flags[y : y + 1, x : x + 1]).union(*config["masked"]).any()),
                stored=None if stored is None else int(stored[y, x]),
                sources=_sources(single, own, (y, x), masks, combining),
                radii={key: radius for key, radius in config["grow"].items() if radius and key.upper() in own},
                event=None if number is None else events[number],
                region="" if number is None else REGION.format(number + 1),
                detector=settings["detector"],
                parameters=numbers_of_cards(settings, how),
                numbers=_numbers(image.data, how, search, settings, (y, x))
                if all(low <= at < high for at, (low, high) in zip((y, x), inside, strict=True))
                else None,
            )
        )


def _stored(masked: str | os.PathLike | None, single: Single) -> NDArray[np.int16] | None:
    """Return the FLAGS of the image in the results; None where there are none of its shape."""
    if masked is None or not os.path.exists(masked):
        return None
    with opened(masked, str(masked), "ignore", lambda line: None) as (hdus, _):
        of_image = [
            hdu
            for hdu in hdus
            if hdu.name == "FLAGS" and str(hdu.header.get("LIGHTMASK IMAGE") or "") in ("", single.image.label)
        ]
        if not of_image or of_image[-1].plane != tuple(single.image.data.shape):
            return None
        return np.array(of_image[-1].pixels(), np.int16)


def _pixel(place: tuple[int, int] | str, events: list[Event], shape: tuple[int, ...], name: str) -> tuple[int, int]:
    """Return row and column of a pixel, or of the brightest one of a region."""
    if isinstance(place, str):
        found = re.fullmatch(REGION.format(r"(\d+)"), place)
        if not found or not 1 <= int(found[1]) <= len(events):
            last = REGION.format(len(events))
            known = f"expected one of {REGION.format(1)} to {last}" if events else "it has no cosmic rays"
            raise FrameError(f"{name}: found no region {place}; {known}")
        event = events[int(found[1]) - 1]
        return event.y, event.x
    y, x = place
    if not (0 <= y < shape[0] and 0 <= x < shape[1]):
        raise FrameError(
            f"{name}: found no pixel x {x + 1}, y {y + 1}, expected x from 1 to {shape[1]} and y from 1 to {shape[0]}"
        )
    return y, x


def _has(flags: NDArray[np.int16], event: Event, y: int, x: int) -> bool:
    """Return whether a pixel is part of an event: COSMIC, in its box, and joined to its brightest pixel."""
    if not flags[y, x] & Flag.COSMIC or not (event.left <= x <= event.right and event.bottom <= y <= event.top):
        return False
    box = flags[event.bottom : event.top + 1, event.left : event.right + 1] & np.int16(Flag.COSMIC)
    places = np.flatnonzero(box)
    number = events_of(places, box.shape[1])
    both = [(row - event.bottom) * box.shape[1] + column - event.left for row, column in ((y, x), (event.y, event.x))]
    one, other = number[np.searchsorted(places, both)]
    return bool(one == other)


def _sources(
    single: Single,
    own: Mapping[str, Flag],
    pixel: tuple[int, int],
    masks: Sequence[tuple[str, str, str]],
    combining: Mapping[str, Any] | None,
) -> list[tuple[str, str, str]]:
    """Return flag, name and SHA-256 of the masks that have a pixel."""
    wanted = [mask for mask in masks if FLAG_OF_KIND[mask[0]].name in own]
    found = []
    if single.static is not None and wanted and combining is not None:
        for kind, name, digest in masks_of_pixel(list(masks), pixel, single.image.label, **combining):
            found.append((FLAG_OF_KIND[kind].name or "", name, digest))
    if "INHERITED" in own:
        found += [("INHERITED", name, "") for name in single.masks]
    return found


def _numbers(
    data: Any, how: Readout, search: Any, settings: Mapping[str, Any], pixel: tuple[int, int]
) -> Lacosmic | Trace | None:
    """Return the numbers with which the detector decides on a pixel."""
    given = of_detector(settings, how)
    own = search.inherited()
    for plane in planes(data, how, search.variance()):
        starts = [part.start for part in plane.place]
        steps = [part.step or 1 for part in plane.place]
        (y, down), (x, right) = (divmod(at - start, step) for at, start, step in zip(pixel, starts, steps, strict=True))
        if down or right or not (0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]):
            continue
        known = [own, search.static] if is_trace(settings) else [own]
        bad = union([plane.part(mask) for mask in known if mask is not None])
        read = readable_rows(plane.data, bad, plane.background, plane.variance)
        keywords = {key: value for key, value in given.items() if key not in ("preset", "detector")}
        if is_trace(settings):
            numbers = {key: keywords[key] for key in ("gain", "readnoise", "satlevel")}
            return examine_trace(read, plane.shape, y, x, **numbers)
        return examine_cosmics(read, plane.shape, y, x, **keywords)
    return None
