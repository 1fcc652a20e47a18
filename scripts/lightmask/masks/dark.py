"""Make a dark mask: pixels that the subtraction of a dark cannot correct.

As in chapter 8.1 of the CCD reduction guide, a pixel is hot above a dark current. Where
there are darks of several exposure times, a pixel is hot as well if its counts do not
grow in proportion to time, which is what the dark current only stands for;
docs/static_masks.md compares the two.
"""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.errors import FrameError, needed
from lightmask.fits import Roles, Value
from lightmask.masks.darks import UNEVEN, looked_at, problems, unevenness
from lightmask.masks.flags import count_text
from lightmask.masks.sources import OpenSources, Rows, Source, check_shape, usable, write_left_out
from lightmask.masks.static import MOST_MASKED, Output, write_empty_mask, write_mask
from lightmask.messages import warn
from lightmask.night import exposure_of, gain_of

FloatImage = NDArray[np.floating[Any]]
SAME_EXPOSURE = 1.02
"""Exposure times that differ by less than this factor count as the same: shutters are not exact."""
CERTAIN = 5
"""By how many sigma of its noise a dark current must be known for a threshold to make sense."""
SIGMA_OF_MAD = 1.482602218505602
"""Standard deviation of Gaussian noise over its median absolute deviation."""
COPIES = 8
"""How much memory a combination takes, in copies of its input in float64; measured."""


class Dark(NamedTuple):
    """A dark, or the combination of several.

    Attributes
    ----------
    electrons : ndarray of float
        Counts in e-; NaN where they are not known.
    exposure : float
        In s.
    frames : int
        How many frames were averaged.
    """

    electrons: FloatImage
    exposure: float
    frames: int


def sigma(values: FloatImage) -> float:
    """Estimate the standard deviation of noise among outliers, from the median absolute deviation."""
    known = values[np.isfinite(values)]
    return SIGMA_OF_MAD * float(np.median(np.abs(known - np.median(known)))) if known.size else np.nan


def nonlinear(darks: list[Dark], limit: float) -> NDArray[np.bool_]:
    """Find pixels whose counts do not grow in proportion to exposure time.

    The counts of each shorter exposure are compared with those of the longest one,
    scaled to its time. The noise of the difference is that of the whole image, by the
    median absolute deviation, and the photon noise of the pixel's own counts in both. An
    offset that all pixels share, as a bias leaves, does not count.

    Parameters
    ----------
    darks : list of Dark
        One per exposure time.
    limit : float
        How large a difference must be, in sigma of its noise.

    Returns
    -------
    ndarray of bool
    """
    longest = max(darks, key=lambda dark: dark.exposure)
    found = np.zeros(longest.electrons.shape, bool)
    for dark in darks:
        if dark is longest:
            continue
        scale = dark.exposure / longest.exposure
        difference = dark.electrons - scale * longest.electrons
        known = difference[np.isfinite(difference)]
        if not known.size:
            continue
        variance = np.maximum(dark.electrons, 0) / dark.frames
        variance += scale**2 / longest.frames * np.maximum(longest.electrons, 0)
        variance += sigma(difference) ** 2
        found |= (difference - np.median(known)) ** 2 > limit**2 * variance
    return found


def combine(
    darks: list[Rows], gains: list[float], shape: tuple[int, ...], sigma_clip: float, memory: float
) -> FloatImage:
    """Average darks of the same exposure time, without values far from their median.

    By `ccdproc.Combiner`, in bands of rows, of which each is read once.

    Parameters
    ----------
    darks : list of Rows
        The images.
    gains : list of float
        Gain of each, in e-/adu.
    shape : tuple of int
        Their shape.
    sigma_clip : float
        How far from the median a value is left out, in sigma from the median absolute deviation.
    memory : float
        Bytes that may be used, roughly.

    Returns
    -------
    ndarray of float64
        In e-; NaN where no dark has a value.
    """
    rows = shape[0] if len(darks) == 1 else max(int(memory / (len(darks) * shape[1] * COPIES * 8)), 1)
    combined = np.empty(shape)
    for start in range(0, shape[0], rows):
        band = slice(start, start + rows)
        values = [_electrons(dark, gain, band) for dark, gain in zip(darks, gains, strict=True)]
        combined[band] = values[0] if len(values) == 1 else _average(values, sigma_clip)
    return combined


def _electrons(dark: Rows, gain: float, rows: slice) -> FloatImage:
    data, mask = dark.read(rows)
    values = data * np.float64(gain)
    values[~np.isfinite(values)] = np.nan
    if mask is not None:
        values[mask] = np.nan
    return values


def _average(values: list[FloatImage], sigma_clip: float) -> FloatImage:
    # A second to import, and needed only where darks are to be combined.
    from astropy.nddata import CCDData

    try:
        from ccdproc import Combiner
    except ModuleNotFoundError as error:
        raise needed(str(error.name), "darks that are not combined", "ccdproc") from None

    combiner = Combiner([CCDData(value, mask=np.isnan(value), unit="electron") for value in values])
    with warnings.catch_warnings(action="ignore"):  # that some pixels have no value
        combiner.sigma_clipping(sigma_clip, sigma_clip, func="median", dev_func="mad_std")
        average = combiner.average_combine()
    return np.ma.filled(np.ma.array(average.data, mask=average.mask), np.nan)


def same_exposures(exposures: list[float]) -> list[list[int]]:
    """Group places of a list by exposure time, the shortest first."""
    groups: list[list[int]] = []
    for place in sorted(range(len(exposures)), key=exposures.__getitem__):
        if groups and exposures[place] < SAME_EXPOSURE * exposures[groups[-1][0]]:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def hot_pixels(darks: list[Dark], threshold: float, linearity: float | None) -> NDArray[np.bool_]:
    """Mask the pixels that dark subtraction cannot correct, and print how many there are for which reason.

    Parameters
    ----------
    darks : list of Dark
        One per exposure time.
    threshold : float
        Dark current in e-/s above which a pixel is hot, in any of the darks. Those whose noise
        reaches a fifth of that are not asked; if there is no other, the longest is.
    linearity : float or None
        Limit of `nonlinear`, which is not asked where this is None or there is one dark only.

    Returns
    -------
    ndarray of bool
        True also where a dark has no value.
    """
    longest = max(darks, key=lambda dark: dark.exposure)
    noise = [sigma(dark.electrons) / dark.exposure for dark in darks]
    for dark, level in zip(darks, noise, strict=True):
        print(f"{dark.exposure:g} s, {dark.frames} averaged: noise {level:.3g} e-/s")
    quiet = [dark for dark, level in zip(darks, noise, strict=True) if threshold >= CERTAIN * level]
    if not quiet:
        warn(
            f"the dark current is uncertain by {min(noise):.3g} e-/s: a threshold of {threshold:g} e-/s flags good "
            "pixels too; add longer darks or more of them, or raise make_dark_mask: threshold"
        )
    hot = np.zeros(longest.electrons.shape, bool)
    for dark in quiet or [longest]:
        hot |= dark.electrons > threshold * dark.exposure
    print(f"dark current above {threshold:g} e-/s: {count_text(int(np.count_nonzero(hot)), hot.size)}")
    if len(darks) > 1 and linearity is not None:
        found = nonlinear(darks, linearity)
        text = count_text(int(np.count_nonzero(found)), found.size)
        print(f"not in proportion to time: {text}, {np.count_nonzero(found & ~hot)} of them below that")
        hot |= found
    for dark in darks:
        hot |= np.isnan(dark.electrons)
    return hot


def make_dark_mask(
    darks: list[Source],
    cards: dict[str, str],
    keywords: list[str],
    config: dict[str, Any],
    shape: tuple[int, ...],
    output: Output,
    required: bool = True,
    memory: float = 1e9,
    number: int | None = None,
) -> None:
    """Make a dark mask from those darks of one camera that can be used.

    Parameters
    ----------
    darks : list of (str, str)
        File of each dark, and its name in messages and provenance.
    cards : dict
        Keywords and values that say what the mask is.
    keywords : list of str
        What the mask takes over from their headers.
    config : dict
        ``make_dark_mask``, ``unit``, ``unit_names`` and ``checksums`` of the configuration, and ``combined``, the
        keywords that may say of how many frames a dark is the combination.
    shape : tuple of int
        Of the frames that the mask is for. A dark of another shape is left out, as is one that cannot be
        read, or has no exposure time or gain.
    output : Output
        Where to write.
    required : bool
        Whether it is an error that no dark can be used; else an empty mask is written.
    memory : float
        Bytes that the combination of darks may use, roughly.
    number : int or None
        Which image of each file, from 0; None where it has one.

    Raises
    ------
    FrameError
        If none can be used and a mask is required, or a dark changes meanwhile.
    """
    parameters = config["make_dark_mask"]
    threshold, linearity = parameters["threshold"], parameters["linearity"]
    with OpenSources(len(darks), config["checksums"], Roles(config.get("images") or {})) as files:
        found, left_out = usable(
            darks, lambda file, name: files.open(file, name, lambda rows: _described(rows, shape, config), number)
        )
        if not found:
            write_empty_mask("dark", shape, left_out, required, output)
            return
        found, left_out = _sound(found, left_out)
        if not found:
            write_empty_mask("dark", shape, left_out, required, output)
            return
        images = [rows for _, (rows, _) in found]
        descriptions = [description for _, (_, description) in found]
        combined = []
        for places in same_exposures([description.exposure for description in descriptions]):
            electrons = combine(
                [images[place] for place in places],
                [descriptions[place].gain for place in places],
                shape,
                parameters["sigma_clip"],
                memory,
            )
            exposure = float(np.mean([descriptions[place].exposure for place in places]))
            combined.append(Dark(electrons, exposure, sum(descriptions[place].frames for place in places)))
    mask = hot_pixels(combined, threshold, linearity)
    if (share := float(mask.mean())) > config.get("most_masked", MOST_MASKED):
        why = _why_so_many(combined, share, descriptions[0].gain, threshold)
        write_empty_mask("dark", shape, [{"path": name, "problem": why} for name, _ in found], required, output)
        return
    made: dict[str, Value] = {
        "EXPOSURES": " ".join(f"{dark.exposure:g}" for dark in combined),
        "GAIN": descriptions[0].gain,
        "THRESHOLD": threshold,
    }
    if len(combined) > 1 and linearity is not None:
        made["LINEARITY"] = linearity
    if len(images) > len(combined):
        made["SIGMA_CLIP"] = parameters["sigma_clip"]
    names = [(rows.name, rows.digest) for rows in images]
    write_mask(mask, "dark", cards, images[0].header, keywords, made, names, output.mask)
    write_left_out(left_out, True, output.left_out)


class _Pixels:
    """The pixels of a dark, of which rows can be taken; NaN where its own mask masks them."""

    def __init__(self, rows: Rows):
        self.rows, self.shape = rows, rows.shape

    def __getitem__(self, place: slice) -> FloatImage:
        return _electrons(self.rows, 1.0, place)


def _sound(
    found: list[tuple[str, tuple[Rows, "_Description"]]], left_out: list[dict[str, str]]
) -> tuple[list[tuple[str, tuple[Rows, "_Description"]]], list[dict[str, str]]]:
    """Leave out darks with stars, light or a bias, and such that are odd among their like."""
    looked = [looked_at(_Pixels(rows)) for _, (rows, _) in found]
    kept, wrong = [], []
    for places in same_exposures([described.exposure for _, (_, described) in found]):
        like = [found[place][1][1] for place in places]
        wrongs = problems(
            [looked[place] for place in places], [one.frames for one in like], like[0].gain, like[0].exposure
        )
        for place, problem in zip(places, wrongs, strict=True):
            name = found[place][0]
            if problem:
                warn(f"{name}: {problem}; the mask is made without it")
                wrong.append({"path": name, "problem": problem})
            else:
                kept.append(place)
                if (uneven := unevenness(looked[place])) > UNEVEN:
                    warn(
                        f"{name}: its level differs by {uneven:.2g} sigma of a pixel from part to part, expected up to "
                        f"{UNEVEN:g}: glow, or light? look at it"
                    )
    return [found[place] for place in sorted(kept)], [*left_out, *wrong]


def _why_so_many(darks: Sequence[Dark], share: float, gain: float, threshold: float) -> str:
    """Say why darks that would make most pixels hot are not used."""
    longest = max(darks, key=lambda dark: dark.exposure)
    median = float(np.nanmedian(longest.electrons))
    return (
        f"looks not bias-subtracted: its median is {median / gain:.4g} adu after {longest.exposure:g} s, where a dark "
        f"current of {threshold:g} e-/s gives {threshold * longest.exposure / gain:.4g}; the dark mask would mask "
        f"{share:.0%} of the pixels; subtract the bias, or raise make_dark_mask: threshold"
    )


class _Description(NamedTuple):
    """What a dark's header says, for this purpose."""

    gain: float
    exposure: float
    frames: int


def _described(dark: Rows, shape: tuple[int, ...], config: dict[str, Any]) -> _Description:
    check_shape(dark.name, dark.shape, shape)
    try:
        gain = gain_of(dark.header, config)
        exposure = exposure_of(dark.header, config)
    except FrameError as error:
        raise FrameError(f"{dark.name}: {error}") from None
    numbers = (dark.header.get(keyword) for keyword in config["combined"])
    frames = max((n for n in numbers if isinstance(n, int) and not isinstance(n, bool)), default=1)
    return _Description(gain, exposure, max(frames, 1))
