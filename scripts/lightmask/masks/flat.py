"""Make a flat mask: pixels that do not respond like their neighbours.

As in chapter 8.2 of the CCD reduction guide: in the ratio of two flats of different
counts everything cancels that is in proportion to the light, dust and vignetting
included; what is left are pixels that are not.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.detect import ccdmask, median_of
from lightmask.fits import Image, Roles, bands, fill, opened, read, read_image, readable
from lightmask.masks.flats import MOST_FLATS, MOST_RATIOS, Looked, looked_at, ratios, with_stars
from lightmask.masks.sources import Source, check_shape, usable, write_left_out
from lightmask.masks.static import MOST_MASKED, Output, write_empty_mask, write_mask
from lightmask.messages import warn

CONFIRMED = 2
"""By how much smaller thresholds are in the other ratios, in most of which a bad pixel must be off too."""


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
    found, left_out = usable(flats, lambda file, name: _counted(file, name, shape, config, number, roles))
    if not found:
        write_empty_mask("flat", shape, left_out, required, output)
        return
    found, left_out = _without_stars(_most_different(found), left_out)
    parameters = dict(config["make_flat_mask"])
    names = [name for name, _ in found]
    units, is_ratio = _units(found, parameters.pop("least_difference"))
    files, headers = {name: file for file, name in flats}, []
    digests: dict[str, str] = {}
    several = len(units) > 1
    certain, votes = np.zeros(shape, np.bool_), np.zeros(shape, np.uint8)
    weaker = {key: value / CONFIRMED if key in ("lsigma", "hsigma") else value for key, value in parameters.items()}
    for unit in units:
        # Their checksums were looked at above.
        pair = [read(files[names[place]], names[place], "ignore", number, roles) for place in unit]
        headers.append(pair[0][0].header)
        digests |= {names[place]: digest for place, (_, digest) in zip(unit, pair, strict=True)}
        images = pair[0][0], pair[1][0] if is_ratio else None
        certain |= flat_mask(*images, parameters)
        if several:
            votes += flat_mask(*images, weaker)
    # What is wrong with one flat is so in all ratios that have it.
    most_of_one = max(Counter(place for unit in units for place in unit).values())
    mask = certain & (votes > max(len(units) // 2, most_of_one)) if several else certain
    most = config.get("most_masked", MOST_MASKED)
    if (share := float(mask.mean())) > most:
        why = (
            f"the flat mask would mask {share:.0%} of the pixels, expected up to {most:.0%}: are these flats of this "
            "camera? raise most_masked if they are"
        )
        write_empty_mask("flat", shape, [{"path": name, "problem": why} for name in names], required, output)
        return
    what = "ratio flat2 / flat1" if is_ratio else "one flat"
    if len(units) > 1:
        what = f"bad in most of {len(units)} {'ratios' if is_ratio else 'flats'}"
    write_mask(mask, "flat", cards, headers[0], keywords, {"METHOD": what, **parameters}, digests.items(), output.mask)
    write_left_out(left_out, True, output.left_out)


def _units(found: list[tuple[str, Looked]], least_difference: float) -> tuple[list[tuple[int, ...]], bool]:
    """Choose pairs of flats, or single ones if their counts are alike: a pixel is bad if it is so in most of them."""
    chosen = ratios([flat for _, flat in found], least_difference)
    if chosen:
        return [*chosen], True
    order = sorted(range(len(found)), key=lambda place: -found[place][1].counts)
    alone = order[: min(len(order) - 1 + len(order) % 2, MOST_RATIOS)] if len(order) > 2 else order[:1]
    why = (
        f"counts of {len(found)} flats differ by less than {least_difference:g} of the brightest"
        if len(found) > 1
        else "there is no other uncombined flat"
    )
    name = found[order[0]][0]
    how = "this flat alone" if len(alone) == 1 else f"this flat and {len(alone) - 1} more, each alone"
    warn(f"{name}: the flat mask is made from {how}, as {why}")
    return [(place,) for place in alone], False


def _most_different(found: list[tuple[str, Looked]]) -> list[tuple[str, Looked]]:
    """Return as many flats as are compared with each other: of more, those whose counts are spread the most."""
    if len(found) <= MOST_FLATS:
        return found
    by_counts = sorted(found, key=lambda each: -each[1].counts)
    print(f"of {len(found)} flats {MOST_FLATS} are taken, of all counts")
    return [by_counts[round(n)] for n in np.linspace(0, len(found) - 1, MOST_FLATS)]


def _without_stars(
    found: list[tuple[str, Looked]], left_out: list[dict[str, str]]
) -> tuple[list[tuple[str, Looked]], list[dict[str, str]]]:
    """Leave out flats that show stars where two others do not."""
    if len(found) < 2:
        return found, left_out
    spots = with_stars([flat for _, flat in found])
    clean = [each for each, number in zip(found, spots, strict=True) if not number]
    for (name, _), number in zip(found, spots, strict=True):
        if not number:
            continue
        problem = f"{number} places of it are brighter than in other flats: it shows stars"
        if len(clean) >= 2:
            warn(f"{name}: {problem}; the mask is made without it")
            left_out = [*left_out, {"path": name, "problem": f"{problem}; take it out of the folder"}]
        else:
            warn(f"{name}: {problem}, which can get into the mask; add flats without stars, or of other pointings")
    return (clean, left_out) if len(clean) >= 2 else (found, left_out)


def _counted(
    file: str, name: str, shape: tuple[int, ...], config: dict[str, Any], number: int | None, roles: Roles
) -> Looked:
    with opened(file, name, config["checksums"]) as (hdus, _):
        flat = read_image(hdus, name, number, roles)
        check_shape(name, flat.data.shape, shape)
        with readable(name):
            median = counts(flat)
            print(f"{name}: median {median:g}")
            sigmas = max(config["make_flat_mask"].get(key, 9) for key in ("lsigma", "hsigma"))
            return looked_at(name, flat.data, median, sigmas)
