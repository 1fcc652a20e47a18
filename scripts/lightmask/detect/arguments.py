"""Check arguments.

Arguments come in as users give them; they go out in the type of the computation, or an error names the
one that is wrong.
"""

import math
import operator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightmask.detect.arrays import FloatArray, scaled
from lightmask.detect.cleaning import CLEANERS
from lightmask.detect.medians import FULL, ORIGINAL, SEPARABLE, Medians
from lightmask.detect.psf import MODELS, psf_kernel


class Parameters(NamedTuple):
    """What is the same for all of an image."""

    niter: int
    gain: np.float32  # [electron/adu]
    readnoise: np.float32  # [electron]
    satlevel: np.float32  # [electron]
    sigclip: np.float32  # [sigma]
    sigfrac: np.float32
    objlim: np.float32
    medians: Medians
    cleantype: str
    kernel: FloatArray | None  # of fsmode='convolve'

    @property
    def side(self) -> int:
        """Larger side of the kernel, 0 without one."""
        return 0 if self.kernel is None else max(self.kernel.shape)


def check_parameters(
    *,
    sigclip: float,
    sigfrac: float,
    objlim: float,
    gain: float,
    readnoise: float,
    satlevel: float,
    niter: int,
    sepmed: bool,
    cleantype: str,
    fsmode: str,
    psfmodel: str,
    psffwhm: float,
    psfsize: int,
    psfk: ArrayLike | None,
    psfbeta: float,
    variant: str = "astroscrappy",
) -> Parameters:
    """Check the parameters of `detect_cosmics` from `sigclip` to `psfbeta`.

    Parameters
    ----------
    sigclip, sigfrac, objlim, gain, readnoise, satlevel, niter, sepmed
        As in `detect_cosmics`.
    cleantype, fsmode, psfmodel, psffwhm, psfsize, psfk, psfbeta, variant
        As in `detect_cosmics`.

    Returns
    -------
    checked : Parameters

    Raises
    ------
    TypeError
        If a parameter is not of the right kind.
    ValueError
        If a parameter is outside its range.  The message names it.
    """
    choice("fsmode", fsmode, ("median", "convolve"))
    model = choice("psfmodel", psfmodel, MODELS)
    fwhm = float(number("psffwhm", psffwhm, positive=True))
    beta = float(number("psfbeta", psfbeta, positive=True))
    size = odd("psfsize", psfsize)
    given = None if psfk is None else _given_kernel(psfk)
    kernel = None
    if fsmode == "convolve":
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            kernel = psf_kernel(model, fwhm, size, beta) if given is None else given
    medians = SEPARABLE if flag("sepmed", sepmed) else FULL
    if choice("variant", variant, ("astroscrappy", "original")) == "original":
        medians, kernel = ORIGINAL, None
    return Parameters(
        niter=count("niter", niter),
        gain=number("gain", gain, positive=True),
        readnoise=number("readnoise", readnoise),
        satlevel=number("satlevel", satlevel, positive=True, infinite=True),
        sigclip=number("sigclip", sigclip, infinite=True),
        sigfrac=number("sigfrac", sigfrac),
        objlim=number("objlim", objlim, infinite=True),
        medians=medians,
        cleantype=choice("cleantype", cleantype, tuple(CLEANERS)),
        kernel=kernel,
    )


def image(name: str, value: ArrayLike, shape: tuple[int, ...] | None = None, like: str = "indat") -> NDArray[Any]:
    """Return an argument as a 2-D array of real numbers.

    Parameters
    ----------
    name : str
        Of the argument, for errors.
    value : array_like
    shape : (int, int), optional
        That it must have.
    like : str
        The argument that has this shape.

    Returns
    -------
    (ny, nx) array
        A copy only where `value` is no array.

    Raises
    ------
    TypeError
        If it holds anything else than real numbers, or is a number.
    ValueError
        If it is empty, not 2-D, or of another shape.
    """
    try:
        pixels = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not an array: {error}") from None
    if pixels.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers, not {pixels.dtype}")
    if pixels.ndim == 0:
        raise TypeError(f"{name} must be a 2-D image, not {value!r}")
    if pixels.ndim != 2 or not pixels.size:
        raise ValueError(f"{name} must be a 2-D image that is not empty; its shape is {pixels.shape}")
    if shape is not None and pixels.shape != shape:
        raise ValueError(f"{name} must have the shape of {like}, {shape}, not {pixels.shape}")
    return pixels


def number(name: str, value: float, *, positive: bool = False, infinite: bool = False) -> np.float32:
    """Return a parameter as float32, if it is in its range."""
    if isinstance(value, str | bytes) or np.ndim(value):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        double = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(double)
    if math.isnan(double) or double < 0 or (positive and not single) or not (infinite or np.isfinite(single)):
        least = "positive" if positive else "zero or positive"
        raise ValueError(f"{name} must be {least}{'' if infinite else ' and finite'}, not {value!r}")
    return single


def _given_kernel(value: ArrayLike) -> FloatArray:
    """Return a PSF kernel as float32, if it has a centre and is finite."""
    kernel = scaled(image("psfk", value), np.float32(1))
    for side in kernel.shape:
        odd("each side of psfk", side)
    if not np.isfinite(kernel).all():
        raise ValueError("psfk must be finite")
    return kernel


def count(name: str, value: int) -> int:
    """Return a parameter that must be a whole number, zero or positive."""
    try:
        whole = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if whole < 0:
        raise ValueError(f"{name} must be zero or positive, not {value!r}")
    return whole


def odd(name: str, value: int) -> int:
    """Return a parameter that must be an odd number."""
    whole = count(name, value)
    if whole % 2 == 0:
        raise ValueError(f"{name} must be odd, not {value!r}")
    return whole


def flag(name: str, value: bool) -> bool:
    """Return a parameter that must be true or false."""
    if not isinstance(value, bool | int | np.bool_):
        raise TypeError(f"{name} must be true or false, not {value!r}")
    return bool(value)


def choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return a parameter that must be one of some words."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {value!r}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return value
