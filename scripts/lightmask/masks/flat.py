"""Make a flat mask: pixels that do not respond like their neighbours.

As in chapter 8.2 of the CCD reduction guide: in the ratio of two flats of different
counts everything cancels that is in proportion to the light, dust and vignetting
included; what is left are pixels that are not.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.detect import ccdmask, median_of
from lightmask.errors import FrameError
from lightmask.fits import Image, Roles, Value, bands, fill, opened, read, read_image, readable
from lightmask.masks.sources import Source, check_shape, usable, write_left_out
from lightmask.masks.static import Output, write_empty_mask, write_mask
from lightmask.messages import warn


def counts(flat: Image) -> float:
    """Return the median of the pixels that are finite and not masked; NaN if there are none.

    Rows of a large image are read whenever they are wanted: it is never in memory as a whole.
    """
    dtype = np.float32 if flat.data.dtype == np.float32 else np.float64

    def known() -> Iterator[NDArray[Any]]:
        for rows in bands(flat.data.shape):
            data = flat.data[rows]
            usable = np.isfinite(data)
            if flat.mask is not None:
                usable &= flat.mask[rows] == 0
            yield data[usable].astype(dtype, copy=False)

    if not any(part.size for part in known()):
        return np.nan
    lower, upper = (median_of(known, dtype, upper) for upper in (False, True))
    return float(np.mean(np.array([lower, upper])) if lower != upper else lower)  # as numpy.median does


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
        Of `lightmask.detect.ccdmask`.

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
    flats: list[Source],
    cards: dict[str, str],
    keywords: list[str],
    config: dict[str, Any],
    shape: tuple[int, ...],
    output: Output,
    required: bool = True,
    number: int | None = None,
) -> None:
    """Make a flat mask from those flats of one camera and filter that can be used.

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
    shape : tuple of int
        Of the frames that the mask is for. A flat of another shape is left out, as is one that cannot be
        read, or has no counts.
    output : Output
        Where to write.
    required : bool
        Whether it is an error that no flat can be used; else an empty mask is written.
    number : int or None
        Which image of each file, from 0; None where it has one.

    Raises
    ------
    FrameError
        If none can be used and a mask is required, or a flat changes meanwhile.
    """
    roles = Roles(config.get("images") or {})
    found, left_out = usable(flats, lambda file, name: _counted(file, name, shape, config["checksums"], number, roles))
    if not found:
        write_empty_mask("flat", shape, left_out, required, output)
        return
    parameters = dict(config["make_flat_mask"])
    least_difference = parameters.pop("least_difference")
    files = {name: file for file, name in flats}
    brightest, faintest = extremes([median for _, median in found], least_difference)
    chosen = [found[place][0] for place in (brightest, faintest) if place is not None]
    if faintest is None:
        why = (
            f"counts of {len(found)} flats differ by less than {least_difference:g} of the brightest"
            if len(found) > 1
            else "there is no other uncombined flat"
        )
        warn(f"{chosen[0]}: the flat mask is made from this flat alone, as {why}")
    # Their checksums were looked at above.
    images = [read(files[name], name, "ignore", number, roles) for name in chosen]
    mask = flat_mask(images[0][0], images[1][0] if faintest is not None else None, parameters)
    made: dict[str, Value] = {"METHOD": "one flat" if faintest is None else "ratio flat2 / flat1"}
    names = [(name, digest) for name, (_, digest) in zip(chosen, images, strict=True)]
    write_mask(mask, "flat", cards, images[0][0].header, keywords, made | parameters, names, output.mask)
    write_left_out(left_out, True, output.left_out)


def _counted(file: str, name: str, shape: tuple[int, ...], checksums: str, number: int | None, roles: Roles) -> float:
    with opened(file, name, checksums) as (hdus, _):
        flat = read_image(hdus, name, number, roles)
        check_shape(name, flat.data.shape, shape)
        with readable(name):
            median = counts(flat)
    print(f"{name}: median {median:g}")
    if not median > 0:
        raise FrameError(
            f"{name}: the median of its pixels is {median:g}, expected counts above 0; take it out of the folder"
        )
    return median
