"""Cosmic rays of one frame, by a detector that can be chosen."""

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.detect import mask_cosmics, median_of, pixels_of_trace, trace_in_bands
from lightmask.detect import pixels_at_a_time as pixels_of_bands
from lightmask.errors import needed
from lightmask.fits import bands, fill
from lightmask.night import unused_keys

Parameters = Mapping[str, Any]
Mask = NDArray[np.bool_]
Read = Callable[[slice], tuple[Any, ...]]
"""Returns finite data, the mask, the background and the variance, as far as there are such, of some rows."""
LEAST_SIDE = 7
"""Astroscrappy writes beyond its memory where an image is smaller than its filters."""
FILLED_FROM = 2
"""How far away `fill` looks for finite pixels."""


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


def detect(data: Any, mask: Any, parameters: Parameters, background: Any = None, variance: Any = None) -> Detection:
    """Find cosmic rays with the detector that the parameters name.

    Parameters
    ----------
    data : ndarray or Pixels
        2-D image, in adu or electrons, sky included. Pixels that are not
        finite count as masked, are never flagged and do no harm to their neighbours.
    mask : ndarray of bool or None
        Pixels that the detector leaves alone; same shape. Of both, rows are taken in bands.
    parameters : dict
        The configuration's ``cosmic_rays``, with numbers for gain, read noise and saturation level.
    background : ndarray or None
        What to take off the data before, in their unit: its noise is not smoothed.
    variance : ndarray or None
        The variance of each pixel, in the square of their unit, instead of that of counts and read noise. Pixels whose
        variance is not finite and above 0 count as masked.

    Returns
    -------
    Detection
    """
    read = readable_rows(data, mask, background, variance)
    keywords = {key: value for key, value in parameters.items() if key not in ("preset", "detector")}
    return DETECTORS[parameters["detector"]](read, data.shape, keywords)


def readable_rows(data: Any, mask: Any, background: Any = None, variance: Any = None) -> Read:
    """Return what a detector reads rows with: all finite, and masked where they are not.

    Parameters
    ----------
    data, mask, background, variance
        As `detect` takes them.

    Returns
    -------
    callable
    """

    def finite_values() -> Iterator[NDArray[Any]]:
        for rows in bands(data.shape):
            values = data[rows]
            yield values[np.isfinite(values)]

    @cache
    def overall() -> Any:
        lower, upper = (median_of(finite_values, data.dtype, upper) for upper in (False, True))
        return lower if lower == upper else np.mean((lower, upper))

    def read(rows: slice) -> tuple[Any, ...]:
        top = max(rows.start - FILLED_FROM, 0)
        inner = slice(rows.start - top, rows.stop - top)
        values, known = data[top : rows.stop + FILLED_FROM], None if mask is None else mask[rows]
        finite = np.isfinite(values)
        if not finite.all():
            values = fill(values, finite, overall)
            known = ~finite[inner] if known is None else known | ~finite[inner]
        if variance is None:
            return values[inner], known, None if background is None else background[rows]
        noise = np.array(variance[rows], np.float32)
        noise[~(noise > 0)] = np.nan
        return values[inner], known, None, noise

    return read


def used(parameters: Parameters) -> dict[str, Any]:
    """Return those of the parameters that the detector uses."""
    others = unused_keys(dict(parameters))
    return {key: value for key, value in parameters.items() if key not in others}


def is_trace(parameters: Parameters) -> bool:
    """Return whether the detector is the one that is trained to leave known bad pixels aside."""
    return bool(parameters["detector"] == "trace")


def pixels_at_a_time(shape: tuple[int, int], parameters: Parameters) -> int:
    """Estimate how many pixels of an image the detector holds at a time, at the most.

    Parameters
    ----------
    shape : (int, int)
        Of the image.
    parameters : dict
        The configuration's ``cosmic_rays``.
    """
    if is_trace(parameters):
        return pixels_of_trace(shape)
    if parameters["detector"] != "lightmask":
        return shape[0] * shape[1]
    kernel = parameters["psfk"] or []
    side = max([len(kernel), *map(len, kernel)]) if kernel else parameters["psfsize"]
    convolves = parameters["fsmode"] == "convolve"
    return pixels_of_bands(shape, parameters["niter"], side if convolves else 0)


def _lightmask(read: Read, shape: tuple[int, int], keywords: Parameters) -> Detection:
    """L.A.Cosmic by `lightmask.detect`, which gives what ccdproc does, faster."""
    mask, counts = mask_cosmics(read, shape, verbose=True, **keywords)
    return Detection(mask, list(counts))


def _trace(read: Read, shape: tuple[int, int], keywords: Parameters) -> Detection:
    """Seeds by L.A.Cosmic, grown by the net of `lightmask.detect`."""
    numbers = {key: keywords[key] for key in ("gain", "readnoise", "satlevel")}
    mask, events = trace_in_bands(read, shape, **numbers)
    count = int(np.count_nonzero(mask))
    print(f"{count} cosmic pixels in {events.pixels.size} events")
    return Detection(mask, [count])


def _ccdproc(read: Read, shape: tuple[int, int], keywords: Parameters) -> Detection:
    """L.A.Cosmic (van Dokkum 2001, PASP 113, 1420) by `ccdproc.cosmicray_lacosmic`, of the whole image at once."""
    # Only this detector needs ccdproc, which takes a second to import.
    try:
        import astroscrappy  # noqa: F401 - which ccdproc does without until it detects
        import ccdproc
    except ModuleNotFoundError as error:
        raise needed(str(error.name), "cosmic_rays: detector: ccdproc", "ccdproc") from None
    from astropy.nddata import CCDData

    if min(shape) < LEAST_SIDE:
        raise ValueError(f"an image of {shape[1]}x{shape[0]} is too small for the detector ccdproc")
    data, mask, *more = read(slice(0, shape[0]))
    given = dict(zip(("inbkg", "invar"), more, strict=False))
    keywords = {key: value for key, value in keywords.items() if key != "variant"} | {
        key: value for key, value in given.items() if value is not None
    }
    if (variance := given.get("invar")) is not None and not np.isfinite(variance).all():
        lacking = ~np.isfinite(variance)
        mask = lacking if mask is None else mask | lacking
        keywords["invar"] = np.where(lacking, np.nanmedian(variance), variance)
    if keywords["psfk"] is not None:
        keywords["psfk"] = np.array(keywords["psfk"], np.float32)
    # The gain has been checked against the unit of the data, and gain times
    # adu is what the detector computes with in either case.
    ccd = CCDData(data, unit="adu", mask=mask)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):  # the only way in which it reports its counts
        found = ccdproc.cosmicray_lacosmic(ccd, verbose=True, **keywords)
    print(printed.getvalue(), end="")
    counts = re.findall(r"(\d+) cosmic pixels this iteration", printed.getvalue())
    cosmic = found.mask
    if mask is not None:
        # ccdproc returns the union; a detector never flags what is masked already.
        cosmic = cosmic & ~mask
    return Detection(cosmic, [int(count) for count in counts])


DETECTORS: dict[str, Callable[[Read, tuple[int, int], Parameters], Detection]] = {
    "lightmask": _lightmask,
    "trace": _trace,
    "ccdproc": _ccdproc,
}
