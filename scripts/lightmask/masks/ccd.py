"""Mask an image in memory: `astropy.nddata.CCDData` in, the same with mask, flags and cards out."""

import os
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightmask.errors import FrameError
from lightmask.fits import CARD, Hdu, Header, Image, image_hdu
from lightmask.masks.combined import combine
from lightmask.masks.flags import Flags, grown
from lightmask.masks.frame import Search, add_result, add_settings
from lightmask.night import validated

if TYPE_CHECKING:
    from astropy.nddata import CCDData

ROLE_OF_UNCERTAINTY = {"std": "error", "var": "variance", "ivar": "weight"}


class MaskWarning(UserWarning):
    """What is odd in an image, or guessed, or wrong with its mask: the line that a run would report.

    Examples
    --------
    To go on without these lines, or to stop at the first one:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", MaskWarning)
    ...     warnings.warn("x.fits: its noise is not that of its gain", MaskWarning)
    Traceback (most recent call last):
    lightmask.masks.ccd.MaskWarning: x.fits: its noise is not that of its gain
    """


def mask_ccd(
    ccd: "CCDData",
    *,
    flat_mask: ArrayLike | None = None,
    dark_mask: ArrayLike | None = None,
    preset: str | None = None,
    config: Mapping[str, Any] | None = None,
    name: str = "image",
) -> "CCDData":
    """Find every reason not to trust a pixel of an image in memory.

    It does what a run does with a frame: cosmic rays by the detector that is configured, saturated pixels, those that
    are not finite, overscan by the cards of the header, and the masks that are given.

    Parameters
    ----------
    ccd : astropy.nddata.CCDData
        2-D; its unit is adu, electron, or one of these per second. It is not changed. What it masks already becomes
        INHERITED. Its uncertainty counts as the noise with ``config={"noise": "extension"}``.
    flat_mask, dark_mask : (ny, nx) array_like of bool, optional
        Bad pixels by flats, and by darks; what is not zero is bad.
    preset : {'chapter', 'best'}, optional
        Sets ``cosmic_rays: preset``. Without it, and without `config`, that of chapter 8.5 (``'chapter'``).
    config : dict, optional
        Further keys, as in ``config.yaml`` (docs/configuration.md).
    name : str, optional
        What messages call the image.

    Returns
    -------
    astropy.nddata.CCDData
        With the same data, unit, uncertainty and world coordinates. ``mask`` is (ny, nx) bool; ``flags`` is int16 of
        this shape, with the bits of `lightmask.Flag`; ``meta`` says besides how it was searched, and what was found.

    Raises
    ------
    FrameError
        If the image cannot be used; the message says why, and what to do.
    ValueError
        If the configuration is wrong, or a mask has another shape.

    Warns
    -----
    MaskWarning
        For each thing that is odd, or guessed, with what was found, what was expected, and the remedy.

    Notes
    -----
    It holds the whole image, in float32, and its flags. Standard output is turned off in all threads meanwhile.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import CCDData
    >>> from lightmask import Flag, mask_ccd
    >>> image = np.random.default_rng(1).poisson(300, (60, 50)).astype(np.float32)
    >>> image[20, 30:33] += 2000
    >>> ccd = CCDData(image, unit="adu", meta={"EGAIN": 1.0, "RDNOISE": 5.0, "SATURATE": 60000})
    >>> masked = mask_ccd(ccd, preset="best")
    >>> np.argwhere(masked.mask).tolist()
    [[20, 30], [20, 31], [20, 32]]
    >>> Flag(int(masked.flags[20, 31])), masked.meta["LIGHTMASK COSMIC PIXELS"]
    (<Flag.COSMIC: 4>, 3)
    """
    given = dict(config or {})
    if preset is not None:
        given["cosmic_rays"] = dict(given.get("cosmic_rays") or {}) | {"preset": preset}
    checked = validated(given)
    data = np.asarray(ccd.data)
    if data.ndim != 2 or not data.size or data.dtype.kind not in "iuf":
        found = f"{'x'.join(map(str, data.shape))} of {data.dtype}"
        raise FrameError(f"{name}: found an image of {found}, expected rows and columns of real numbers")
    data = data.astype(data.dtype.newbyteorder("="), copy=False)
    remarks: list[str] = []
    header = _header(ccd, remarks, name)
    image = Image(data, None, False, header, companions=_companions(ccd, data.shape, name), own=header)
    static = _static(data.shape, {"flat": flat_mask, "dark": dark_mask}, checked["grow"])
    search = Search(image, static, name, checked, remarks)
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
        searched = search.searched(with_events=True, with_sources=True)
    for line in remarks:
        warnings.warn(line, MaskWarning, stacklevel=2)
    cards = Header()
    add_settings(cards, checked)
    add_result(cards, searched)
    return _with_result(ccd, searched.flags, Flags(searched.flags).union(*checked["masked"]), cards)


def _header(ccd: "CCDData", remarks: list[str], name: str) -> Header:
    """Return the cards of an image, of its meta and its unit."""
    from astropy.io import fits

    header = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)  # long keywords become HIERARCH
        if isinstance(ccd.meta, fits.Header):
            header = ccd.meta.copy()
        else:
            for key, value in ccd.meta.items():
                try:
                    if not isinstance(key, str):
                        raise TypeError(key)
                    header[key] = value
                    header.cards[key].verify("exception")
                except (ValueError, TypeError, fits.VerifyError):
                    remarks.append(f"{name}: meta {key}: found {value!r:.60}, which no header can hold; it is left out")
                    header.remove(str(key), ignore_missing=True)
        header["BUNIT"] = ccd.unit.to_string()
        stored = header.tostring(endcard=False, padding=False).encode("ascii", "replace")
    return Header(stored[start : start + CARD] for start in range(0, len(stored), CARD))


def _companions(ccd: "CCDData", shape: tuple[int, ...], name: str) -> dict[str, list[Hdu]]:
    """Return mask and uncertainty of an image, as a file would have them."""
    found: dict[str, list[Hdu]] = {}
    if ccd.mask is not None:
        found["mask"] = [image_hdu(np.broadcast_to(ccd.mask, shape).astype(np.uint8), extension="MASK")]
    if ccd.uncertainty is not None:
        kind = ccd.uncertainty.uncertainty_type
        if kind not in ROLE_OF_UNCERTAINTY:
            raise FrameError(f"{name}: found an uncertainty of type {kind}, expected std, var or ivar")
        values = np.broadcast_to(np.asarray(ccd.uncertainty.array), shape).astype(np.float32)
        found[ROLE_OF_UNCERTAINTY[kind]] = [image_hdu(values, extension=kind.upper())]
    return found


def _static(
    shape: tuple[int, ...], given: Mapping[str, ArrayLike | None], radii: Mapping[str, float]
) -> NDArray[np.uint8] | None:
    """Return the flags of masks that are given; None without any."""
    masks = []
    for kind, mask in given.items():
        if mask is None:
            continue
        pixels = np.asarray(mask) != 0
        if pixels.shape != shape:
            raise ValueError(f"{kind}_mask: found shape {pixels.shape}, expected {shape}, that of the image")
        masks.append((kind, grown(pixels, radii[kind])))
    return combine(masks) if masks else None


def _with_result(ccd: "CCDData", flags: NDArray[np.int16], mask: NDArray[np.bool_], cards: Header) -> "CCDData":
    """Return an image with mask, flags and cards."""
    from astropy.io import fits
    from astropy.nddata import CCDData

    meta = ccd.meta.copy()
    for card in fits.Header.fromstring(b"".join(cards.cards)).cards:
        if isinstance(meta, fits.Header):
            meta[f"HIERARCH {card.keyword}"] = (card.value, card.comment)
        else:
            meta[card.keyword] = card.value
    return CCDData(ccd.data, unit=ccd.unit, mask=mask, flags=flags, uncertainty=ccd.uncertainty, meta=meta, wcs=ccd.wcs)
