"""Cosmic rays of one frame, by a detector that can be chosen."""

import contextlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask import FrameError, quantities
from lightmask.images import fill
from lightmask.lacosmic import detect_cosmics
from lightmask.quantities import GAIN, READNOISE, SATLEVEL

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


def resolve(config: Mapping[str, Any], header: quantities.Cards) -> dict[str, Any]:
    """Replace header keywords among detection parameters by the values they stand for.

    Parameters
    ----------
    config : dict
        The configuration, of which ``cosmic_rays``, ``unit`` and ``unit_names`` count:
        ``gain`` (e-/adu), ``readnoise`` (e-) and ``satlevel`` (e-) may be the name of a
        header keyword.
    header : Header or mapping
        The frame's header.

    Returns
    -------
    dict
        The keys of ``cosmic_rays``, with numbers.

    Raises
    ------
    FrameError
        If a keyword is missing or its value is no number in range, or if the
        frame's unit and the gain contradict each other.
    """
    resolved = dict(config["cosmic_rays"])
    for key, quantity in (("gain", GAIN), ("readnoise", READNOISE), ("satlevel", SATLEVEL)):
        resolved[key] = quantities.value(resolved[key], header, quantity, f"cosmic_rays: {key}")
    quantities.check_unit(header, resolved["gain"], config, "cosmic_rays: gain")
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
