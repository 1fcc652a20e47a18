"""Measure whether the mask of an image can be trusted."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.fits import Header
from lightmask.night import EXPOSURES, PIXEL_SIZES, Readout, first, within
from lightmask.quality.events import Events
from lightmask.quality.noise import Noise, noise_contrast
from lightmask.quality.places import measured_places, pixels_beside_known
from lightmask.quality.sample import Sample
from lightmask.quality.stars import measured_stars
from lightmask.quality.structure import colour_contrast, lines_along_axis, measured_ceiling

LARGEST = 1e30
"""Of numbers that an image of any pixels gives."""


def of_noise(data: Any, noise: Noise, readout: Readout) -> dict[str, Any]:
    """Return what the noise of an image says, which is known before cosmic rays are.

    Parameters
    ----------
    data : ndarray or Pixels
        The image.
    noise : Noise
        Of it.
    readout : Readout
        How it was read out.

    Returns
    -------
    dict
        By column of `~lightmask.night.QUALITY_COLUMNS`.
    """
    return _known(
        {
            "noise_ratio": min(noise.ratio, LARGEST),
            "noise_correlation": noise.correlation,
            "noise_contrast": noise_contrast(data, readout),
            "sky": noise.sky,
            "missing_sky": min(max(noise.missing_sky, 0.0), LARGEST),
            "is_sky_missing": int(noise.is_sky_missing),
            "fitting_gain": noise.fitting_gain / readout.exposure,
        }
    )


def measured_quality(
    data: Any,
    flags: NDArray[np.int16],
    readout: Readout,
    noise: Noise,
    events: Events,
    header: Header,
    keywords: dict[str, Any],
) -> dict[str, Any]:
    """Measure what tells whether the mask of an image can be trusted, on a sample of its pixels and all cosmic rays.

    Parameters
    ----------
    data : ndarray or Pixels
        The image.
    flags : ndarray of int16
        Bits of `~lightmask.bits.Flag`, same shape.
    readout : Readout
        How it was read out.
    noise : Noise
        As of `measured_noise`.
    events : Events
        Its cosmic rays.
    header : Header
        Of the image.
    keywords : dict
        ``exposure`` and ``pixel_size``: keywords that may have the exposure time in s, and the side of a pixel in um.

    Returns
    -------
    dict
        By column of `~lightmask.night.QUALITY_COLUMNS`, None for what is not known; and ``events``,
        ``cosmic_pixels``, ``on_sources``, ``seconds``, ``area_seconds`` (cm2 s) and ``mpix_seconds``.

    Examples
    --------
    >>> from lightmask.bits import Flag
    >>> from lightmask.night import readout, validated
    >>> from lightmask.quality import measured_noise
    >>> image = np.random.default_rng(1).normal(300, 20, (128, 128)).astype(np.float32)
    >>> flags = np.zeros(image.shape, np.int16)
    >>> flags[40, 50:53] = Flag.COSMIC
    >>> how = readout(validated({}), Header(), Header(), image.shape)
    >>> noise = measured_noise(image, how)
    >>> found = measured_quality(
    ...     image, flags, how, noise, Events(image, flags), Header(), {"exposure": [], "pixel_size": []}
    ... )
    >>> round(found["noise_ratio"], 1), found["events"], found["fwhm"]
    (1.0, 1, None)
    """
    sample = Sample(data, readout.window)
    sky, sigma = noise.sky, noise.sigma
    with np.errstate(all="ignore"):  # whatever an image holds
        stars = measured_stars(sample, flags, sky, sigma)
        places = measured_places(sample, flags, events, sky, sigma)
        beside = pixels_beside_known(sample, flags)
        lines = lines_along_axis(sample, sigma)
        contrast = 0.0 if readout.colours else colour_contrast(sample, sigma)
        ceiling = measured_ceiling(sample, sky, sigma, flags)
    seconds = within(first(header, keywords["exposure"]), EXPOSURES)
    side = within(first(header, keywords["pixel_size"]), PIXEL_SIZES)
    mpix_seconds = math.prod(sample.shape) * 1e-6 * seconds
    area_seconds = math.prod(sample.shape) * (side * 1e-4) ** 2 * seconds
    count = len(events)
    return of_noise(data, noise, readout) | _known(
        {
            "ceiling": ceiling,
            "lines_along_axis": lines,
            "colour_contrast": contrast,
            "stars": stars.number,
            "fwhm": stars.fwhm,
            "star_cores": stars.share,
            "event_rate": count / mpix_seconds if mpix_seconds > 0 else math.nan,
            "event_rate_area": count / area_seconds if area_seconds > 0 else math.nan,
            **places,
            "at_bad_pixels": beside,
            "events": count,
            "cosmic_pixels": int(events.pixels.sum()),
            "on_sources": events.on_sources(),
            "seconds": seconds,
            "area_seconds": area_seconds,
            "mpix_seconds": mpix_seconds,
        }
    )


def _known(found: dict[str, Any]) -> dict[str, Any]:
    """Return None in the place of NaN, and numbers of four digits, which are the same on all machines."""
    return {
        key: value if isinstance(value, int) else float(f"{value:.4g}") if math.isfinite(value) else None
        for key, value in found.items()
    }
