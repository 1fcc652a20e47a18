"""Make a flat mask: pixels that do not respond like their neighbours.

As in chapter 8.2 of the CCD reduction guide: in the ratio of two flats of different
counts everything cancels that is in proportion to the light, dust and vignetting
included; what is left are pixels that are not.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask import FrameError
from lightmask.badpixels import ccdmask
from lightmask.fitsfile import Value
from lightmask.images import Image, fill, read
from lightmask.logs import warn
from lightmask.static_masks import same_shape, write_mask


def counts(flat: Image) -> float:
    """Give the median of the pixels that are finite and not masked; NaN if there are none."""
    usable = np.isfinite(flat.data)
    if flat.mask is not None:
        usable &= ~flat.mask
    return float(np.median(flat.data[usable])) if usable.any() else np.nan


def extremes(found: list[float], least_difference: float) -> tuple[int, int | None]:
    """Choose the flats to make a mask from.

    Parameters
    ----------
    found : list of float
        Counts of each flat, above 0.
    least_difference : float
        Fraction of the brightest by which the faintest must be fainter.

    Returns
    -------
    brightest, faintest : int
        Places in the list; None for the faintest if it does not differ enough.
    """
    brightest, faintest = int(np.argmax(found)), int(np.argmin(found))
    differ = found[brightest] - found[faintest] >= least_difference * found[brightest]
    return brightest, faintest if differ and faintest != brightest else None


def flat_mask(brighter: Image, fainter: Image | None, parameters: dict[str, Any]) -> NDArray[np.bool_]:
    """Mask the pixels that do not respond like their neighbours.

    Parameters
    ----------
    brighter : Image
        A calibrated, uncombined flat.
    fainter : Image or None
        Another one, with fewer counts; without it the first flat is taken alone.
    parameters : dict
        Of `lightmask.badpixels.ccdmask`.

    Returns
    -------
    ndarray of bool
        True is bad: so are pixels that are masked or not finite in a flat, and those whose ratio is not.
    """
    image = brighter.data
    if not np.issubdtype(image.dtype, np.floating):  # unsigned differences would wrap
        image = image.astype(np.result_type(image, np.float32))
    if fainter is not None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # a dead pixel is flagged below
            image = fainter.data / image
    finite = np.isfinite(image)
    if not finite.all():
        image = fill(image, finite)  # the medians of its neighbours know nothing of NaN
    mask = ccdmask(image, **parameters) | ~finite
    for flat in filter(None, (brighter, fainter)):
        mask |= ~np.isfinite(flat.data)
        if flat.mask is not None:
            mask |= flat.mask
    return mask


def make_flat_mask(
    flats: list[tuple[str, str]],
    cards: dict[str, str],
    keywords: list[str],
    config: dict[str, Any],
    output: str | os.PathLike,
) -> None:
    """Make a flat mask from the flats of one camera and filter.

    Parameters
    ----------
    flats : list of (str, str)
        File of each flat, and its name in messages and provenance.
    cards : dict
        Keywords and values that say what the mask is.
    keywords : list of str
        What the mask takes over from their headers.
    config : dict
        ``make_flat_mask`` and ``checksums`` of the configuration.
    output : path
        FITS file to write.

    Raises
    ------
    FrameError
        If a flat cannot be read, has no counts, or another shape than the others.
    """
    found, shapes = [], []
    for file, name in flats:  # one at a time: a night may have hundreds
        flat, _ = read(file, name, config["checksums"])
        found.append(counts(flat))
        print(f"{name}: median {found[-1]:g}")
        if not found[-1] > 0:
            raise FrameError(
                f"{name}: the median of its pixels is {found[-1]:g}, expected counts above 0; take it out of the folder"
            )
        shapes.append((name, flat.data.shape))
    same_shape(shapes)
    parameters = dict(config["make_flat_mask"])
    least_difference = parameters.pop("least_difference")
    brightest, faintest = extremes(found, least_difference)
    chosen = [flats[place] for place in (brightest, faintest) if place is not None]
    if faintest is None:
        why = (
            f"counts of {len(flats)} flats differ by less than {least_difference:g} of the brightest"
            if len(flats) > 1
            else "there is no other uncombined flat"
        )
        warn(f"{chosen[0][1]}: the flat mask is made from this flat alone, as {why}")
    images = [read(*flat, "ignore") for flat in chosen]  # their checksums were looked at above
    mask = flat_mask(images[0][0], images[1][0] if faintest is not None else None, parameters)
    made: dict[str, Value] = {"METHOD": "one flat" if faintest is None else "ratio flat2 / flat1"}
    write_mask(
        mask,
        "flat",
        cards,
        images[0][0].header,
        keywords,
        made | parameters,
        [(name, digest) for (_, name), (_, digest) in zip(chosen, images, strict=True)],
        output,
    )
