"""Cosmic rays of one frame, by a detector that can be chosen."""

import contextlib
import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask import FrameError
from lightmask.fitsfile import Header
from lightmask.lacosmic import detect_cosmics

Parameters = Mapping[str, Any]
Mask = NDArray[np.bool_]

LEAST_SIDE = 7
"""Astroscrappy writes beyond its memory where an image is smaller than its filters."""

_NOT_FOR_DETECTOR = ("detector", "known_bad_pixels")


@dataclass(frozen=True)
class Detection:
    """What a detector found.

    Attributes
    ----------
    mask : ndarray of bool
        True at cosmic-ray pixels; shape of the data.
    iterations : list of int
        Number of cosmic-ray pixels found in each iteration.
    """

    mask: Mask
    iterations: list[int]


def resolve(
    config: Parameters, header: Header | Mapping[str, Any], unit: str, unit_names: Mapping[str, str], name: str
) -> dict:
    """Replace header keywords among detection parameters by the values they stand for.

    Parameters
    ----------
    config : dict
        The configuration's ``cosmic_rays``: ``gain`` (e-/adu), ``readnoise``
        (e-) and ``satlevel`` (e-) may be the name of a header keyword.
    header : Header or mapping
        The frame's header.
    unit : str
        ``adu`` or ``electron``: unit of a frame without BUNIT.
    unit_names : dict
        What values of BUNIT mean.
    name : str
        The frame, for messages.

    Returns
    -------
    dict
        The same keys, with numbers.

    Raises
    ------
    FrameError
        If a keyword is missing or its value is no number in range, or if the
        frame's unit and the gain contradict each other.
    """
    resolved = dict(config)
    for parameter, in_range, expected in (
        ("gain", lambda x: x > 0, "a number of e-/adu above 0"),
        ("readnoise", lambda x: x >= 0, "a number of e-, 0 or more"),
        ("satlevel", lambda x: 0 < x < math.inf, "a number of e- above 0"),
    ):
        keyword = config[parameter]
        if not isinstance(keyword, str):
            continue
        if keyword not in header:
            raise FrameError(
                f"{name}: no {keyword} in the header, expected {expected}; add it, or set cosmic_rays: {parameter}"
            )
        value = header[keyword]
        if isinstance(value, bool) or not isinstance(value, int | float) or not in_range(value):
            raise FrameError(
                f"{name}: {keyword} is {value!r}, expected {expected}; mend it, or set cosmic_rays: {parameter}"
            )
        resolved[parameter] = float(value)
    if said := str(header.get("BUNIT") or "").strip():
        known = {said.strip().casefold(): meant for said, meant in unit_names.items()}
        known |= {"adu": "adu", "electron": "electron"}
        if said.casefold() not in known:
            raise FrameError(
                f"{name}: BUNIT is {said!r}, expected adu or electron; "
                "convert the frame, or say in unit_names what it means"
            )
        unit = known[said.casefold()]
    if unit == "electron" and resolved["gain"] != 1:
        raise FrameError(
            f"{name}: its unit is electron, yet cosmic_rays: gain is {resolved['gain']:g} e-/adu; "
            "set gain to 1, or correct BUNIT"
        )
    return resolved


def detect(data: NDArray, mask: Mask | None, parameters: Parameters) -> Detection:
    """Find cosmic rays with the detector that the parameters name.

    Parameters
    ----------
    data : ndarray
        2-D image, in adu or electrons, sky included. Pixels that are not
        finite count as masked, are never flagged and do no harm to their neighbours.
    mask : ndarray of bool or None
        Pixels that the detector leaves alone; same shape.
    parameters : dict
        The configuration's ``cosmic_rays``, `resolve`d.

    Returns
    -------
    Detection
    """
    finite = np.isfinite(data)
    if not finite.all():
        data = fill(data, finite)
        mask = ~finite if mask is None else mask | ~finite
    keywords = {key: value for key, value in parameters.items() if key not in _NOT_FOR_DETECTOR}
    return DETECTORS[parameters["detector"]](data, mask, keywords)


def fill(data: NDArray, finite: Mask) -> NDArray:
    """Replace pixels that are not finite by the median of the finite ones in 5×5.

    Where there are none in 5×5, the median of the whole image stands in; 0 if
    there is none at all.
    """
    filled = data.copy()
    overall = np.median(data[finite]) if finite.any() else data.dtype.type(0)
    padded = np.pad(np.where(finite, data, np.nan), 2, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    rows, columns = np.nonzero(~finite)
    for start in range(0, rows.size, 100_000):  # a frame may be mostly NaN: bound the memory
        part = slice(start, start + 100_000)
        around = windows[rows[part], columns[part]].reshape(-1, 25)
        known = np.isfinite(around).any(axis=1)
        values = np.full(len(around), overall, data.dtype)
        values[known] = np.nanmedian(around[known], axis=1)
        filled[rows[part], columns[part]] = values
    return filled


def _lightmask(data: NDArray, mask: Mask | None, keywords: Parameters) -> Detection:
    """L.A.Cosmic by `lightmask.lacosmic`, which gives what ccdproc does, faster."""
    found = detect_cosmics(data, mask, verbose=True, **keywords)
    return Detection(found.crmask, list(found.counts))


def _ccdproc(data: NDArray, mask: Mask | None, keywords: Parameters) -> Detection:
    """L.A.Cosmic (van Dokkum 2001, PASP 113, 1420) by `ccdproc.cosmicray_lacosmic`."""
    # Only this detector needs ccdproc, which takes a second to import.
    import ccdproc
    from astropy.nddata import CCDData

    if min(data.shape) < LEAST_SIDE:
        raise FrameError(f"an image of {data.shape[1]}x{data.shape[0]} is too small for the detector ccdproc")
    keywords = dict(keywords)
    if keywords["psfk"] is not None:
        keywords["psfk"] = np.array(keywords["psfk"], np.float32)
    # The gain has been checked against the unit of the data, and gain times
    # adu is what the detector computes with in either case.
    ccd = CCDData(data, unit="adu", mask=mask)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):  # the only way in which it tells its counts
        found = ccdproc.cosmicray_lacosmic(ccd, verbose=True, **keywords)
    print(printed.getvalue(), end="")
    counts = re.findall(r"(\d+) cosmic pixels this iteration", printed.getvalue())
    cosmic = found.mask
    if mask is not None:
        # ccdproc returns the union; a detector never flags what is masked already.
        cosmic = cosmic & ~mask
    return Detection(cosmic, [int(count) for count in counts])


DETECTORS: dict[str, Callable[[NDArray, Mask | None, Parameters], Detection]] = {
    "lightmask": _lightmask,
    "ccdproc": _ccdproc,
}
