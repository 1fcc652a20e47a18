"""Exact cosmic-ray detection by L.A.Cosmic, evaluated only where it can find something.

An image and parameters come in; a mask and a cleaned image go out, or, from `mask_cosmics`, the mask
alone of an image that is read in bands.

`detect_cosmics` has the signature and the results of
``astroscrappy.detect_cosmics`` 1.3.0, called the reference below, but filters
only the few parts of an image where its decision is in doubt.
``docs/lacosmic.md`` explains why that changes nothing; in short:

1. One cheap pass gives, for every tile of 8x8 pixels, an upper bound of the
   Laplacian and a lower bound of the noise.  Where their ratio stays below
   ``sigclip`` no pixel can be a cosmic ray, and the tile is never looked at
   again.  Usually a few per cent of the tiles remain (`bounds`).
2. There the costly quantities are evaluated in the order that discards most,
   many windows at a time: Laplacian over noise, fine structure, and only then
   the median-subtracted significance (`detector`, `significance`, `windows`,
   `medians`, `psf`).
3. A later iteration looks only at tiles near pixels that the last cleaning
   changed (`cleaning`).
4. A large image is searched in bands of rows, each with as many rows around it
   as can change its result, so that only results are held for the whole of it
   (`bands`).  Each band is prepared first (`preparation`), and is an image in
   electrons from then on (`electrons`).

All arithmetic is float32, operation by operation in the order in which the
reference does it, so that images which are not integers agree as well.

References
----------
.. [1] van Dokkum, P. G. 2001, PASP, 113, 1420 (L.A.Cosmic)
.. [2] McCully, C., et al. 2018, astroscrappy, https://zenodo.org/record/1482019
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lightmask.detect import arguments
from lightmask.detect.arguments import Parameters, check_parameters
from lightmask.detect.arrays import BoolArray, FloatArray
from lightmask.detect.bands import Band, bands_for, search
from lightmask.detect.electrons import Electrons, Images

__all__ = ["CosmicRays", "detect_cosmics", "mask_cosmics"]


class CosmicRays(tuple[BoolArray, FloatArray]):
    """What `detect_cosmics` returns: the pair ``(crmask, cleanarr)``, and counts.

    Parameters
    ----------
    crmask, cleanarr, counts
        As the attributes.

    Attributes
    ----------
    crmask : (ny, nx) bool array
        True where a cosmic ray was found.
    cleanarr : (ny, nx) float32 array
        The image, in the units of the input, with the cosmic rays replaced.
    counts : tuple of int
        Number of cosmic pixels found in each iteration, the last of which may
        be zero.  A pixel found again in a later iteration counts again.
    """

    counts: tuple[int, ...]

    def __new__(cls, crmask: BoolArray, cleanarr: FloatArray, counts: tuple[int, ...]) -> CosmicRays:
        """Return a pair with its counts."""
        pair = super().__new__(cls, (crmask, cleanarr))
        pair.counts = counts
        return pair

    def __repr__(self) -> str:
        """Return one line: how much was found, and not what is in the images."""
        found, shape = int(np.count_nonzero(self.crmask)), "x".join(map(str, self.crmask.shape))
        return f"<{type(self).__name__}: {found:,} cosmic pixels in {shape}, counts {self.counts}>"

    @property
    def crmask(self) -> BoolArray:
        """Return where cosmic rays were found."""
        return self[0]

    @property
    def cleanarr(self) -> FloatArray:
        """Return the image without them."""
        return self[1]


def detect_cosmics(
    indat: ArrayLike,
    inmask: ArrayLike | None = None,
    inbkg: ArrayLike | None = None,
    invar: ArrayLike | None = None,
    sigclip: float = 4.5,
    sigfrac: float = 0.3,
    objlim: float = 5.0,
    gain: float = 1.0,
    readnoise: float = 6.5,
    satlevel: float = 65536.0,
    niter: int = 4,
    sepmed: bool = True,
    cleantype: str = "meanmask",
    fsmode: str = "median",
    psfmodel: str = "gauss",
    psffwhm: float = 2.5,
    psfsize: int = 7,
    psfk: ArrayLike | None = None,
    psfbeta: float = 4.765,
    verbose: bool = False,
    variant: str = "astroscrappy",
) -> CosmicRays:
    """Find and clean cosmic rays in one image with L.A.Cosmic.

    Parameters
    ----------
    indat : (ny, nx) array_like of real numbers
        Image [adu], sky included.  It is never changed.  Pixels that are not
        finite count as masked; their neighbours see a local mean instead.
    inmask : (ny, nx) array_like, optional
        True (or nonzero) where a pixel is bad.  Bad pixels and their eight
        neighbours are neither flagged nor used for cleaning.
    inbkg : (ny, nx) array_like, optional
        Background [adu], subtracted before detection and added back after; its
        noise is not smoothed by the median.
    invar : (ny, nx) array_like, optional
        Variance [adu^2], used instead of ``indat * gain + readnoise**2``.
    sigclip : float
        Least significance of the Laplacian of a cosmic ray [sigma].
    sigfrac : float
        The same for the neighbours of a cosmic ray, as a fraction of `sigclip`.
    objlim : float
        Least ratio of significance and fine structure.
    gain : float
        Gain [electron/adu].
    readnoise : float
        Read noise [electron].
    satlevel : float
        Level at which a pixel is saturated [electron].  The cores of saturated
        stars, grown by four pixels, count as bad.
    niter : int
        Largest number of iterations; they end when nothing is found.
    sepmed : bool
        Use separable medians (7, then 5 and 9 pixels wide) instead of the full
        ones (5x5, then 3x3 and 7x7) of the original algorithm.
    cleantype : {'meanmask', 'medmask', 'median', 'idw'}
        Replace cosmic rays by the mean, the median or the inverse-distance
        weighted mean of the good pixels of 5x5, or by the median of all 25.
    fsmode : {'median', 'convolve'}
        Fine structure: from medians, or from a convolution with the PSF.
    psfmodel : {'gauss', 'gaussx', 'gaussy', 'moffat'}
        PSF for ``fsmode='convolve'``, unless `psfk` is given.
    psffwhm : float
        Full width at half maximum of the PSF [pixel].
    psfsize : int
        Side of the PSF kernel [pixel], odd.
    psfk : (height, width) array_like, optional
        PSF kernel with odd sides, used as it stands.
    psfbeta : float
        Exponent of the Moffat profile.
    verbose : bool
        Print the number of cosmic pixels of every iteration.
    variant : {'astroscrappy', 'original'}
        ``'original'`` is van Dokkum's ``lacos_im`` of IRAF: full medians, an image that goes on beyond its edges, where
        rays are found, too, and cleaning by the median in which cosmic pixels come last. Then `sepmed`,
        `cleantype`, `fsmode` and those of the PSF are not used, and ``counts`` has new pixels only.

    Returns
    -------
    CosmicRays
        The pair ``(crmask, cleanarr)``; its attribute ``counts`` holds the
        number of cosmic pixels per iteration.

    Raises
    ------
    TypeError
        If an argument is not of the right kind (complex or text pixels, a
        number for an image, a fractional `niter`).
    ValueError
        If an image is empty or of the wrong shape, or a parameter is outside
        its range.  The message names the argument.

    Notes
    -----
    One thread, deterministic.  It holds about 2 float32 images, results included,
    and below 4 where a large part of all pixels is flagged; one more for each of
    `inbkg` and `invar`, and three for ``cleantype='median'``.
    Images of more than 16 megapixels are searched in bands; then the results are nearly all that
    grows with the image, two times while they are put together.

    Examples
    --------
    >>> import numpy as np
    >>> from lightmask.detect import detect_cosmics
    >>> image = np.random.default_rng(1).poisson(100, (60, 50)).astype(np.float32)
    >>> image[20, 30:33] += 2000
    >>> crmask, cleaned = result = detect_cosmics(image, sigclip=8.0, sigfrac=0.5, readnoise=5.0)
    >>> np.argwhere(crmask).tolist()
    [[20, 30], [20, 31], [20, 32]]
    >>> bool(cleaned[20, 31] < 150)
    True
    >>> result.counts
    (3, 0)
    >>> result
    <CosmicRays: 3 cosmic pixels in 60x50, counts (3, 0)>
    """
    image = arguments.image("indat", indat)
    others = [
        None if value is None else arguments.image(name, value, image.shape)
        for name, value in (("inmask", inmask), ("inbkg", inbkg), ("invar", invar))
    ]
    parameters = check_parameters(
        sigclip=sigclip,
        sigfrac=sigfrac,
        objlim=objlim,
        gain=gain,
        readnoise=readnoise,
        satlevel=satlevel,
        niter=niter,
        sepmed=sepmed,
        cleantype=cleantype,
        fsmode=fsmode,
        psfmodel=psfmodel,
        psffwhm=psffwhm,
        psfsize=psfsize,
        psfk=psfk,
        psfbeta=psfbeta,
        variant=variant,
    )
    verbose = arguments.flag("verbose", verbose)
    return detect_in_bands(Images(image, *others), bands_for(image.shape, parameters), parameters, verbose)


def detect_in_bands(images: Images, bands: list[Band], parameters: Parameters, verbose: bool = False) -> CosmicRays:
    """Find and clean the cosmic rays of an image in given bands.

    Parameters
    ----------
    images : Images
    bands : list of Band
        Of the whole image.
    parameters : Parameters
    verbose : bool
        Print the number of cosmic pixels of every iteration.

    Returns
    -------
    CosmicRays
    """
    done: dict[int, tuple[BoolArray, FloatArray]] = {}

    def read(rows: slice) -> Images:
        return Images(images.data[rows], *(None if each is None else each[rows] for each in images[1:]))

    def write(band: Band, image: Electrons) -> None:
        done[band.rows.start] = image.crmask[band.within], image.cleaned()[band.within]

    counts = search(read, bands, parameters, write, verbose)
    if len(done) == 1:
        return CosmicRays(*done[0], counts)
    masks, cleaned = zip(*done.values(), strict=True)
    return CosmicRays(np.concatenate(masks), np.concatenate(cleaned), counts)


def mask_cosmics(
    read: Callable[[slice], tuple[Any, ...]],
    shape: tuple[int, int],
    *,
    verbose: bool = False,
    **parameters: Any,
) -> tuple[BoolArray, tuple[int, ...]]:
    """Find the cosmic rays of an image that is read in bands, as `detect_cosmics` does.

    Parameters
    ----------
    read : callable
        Returns image [adu] and mask (or None) of a slice of rows, and, if there are such, the
        background [adu] and the variance [adu^2]; it is called for the same rows more than once.
    shape : (int, int)
        Of the whole image [pixel].
    verbose : bool
        Print the number of cosmic pixels of every iteration.
    **parameters
        Those of `detect_cosmics` from `sigclip` to `psfbeta`, all of them.

    Returns
    -------
    crmask : (ny, nx) bool array
        True where a cosmic ray was found.
    counts : tuple of int
        Number of cosmic pixels found in each iteration.

    Raises
    ------
    TypeError, ValueError
        As `detect_cosmics`, and what `read` raises.

    Notes
    -----
    Besides the result it holds arrays of as many pixels as `pixels_at_a_time` says,
    however large the image is.
    """
    checked = check_parameters(**parameters)
    crmask = np.zeros(shape, np.bool_)

    def write(band: Band, image: Electrons) -> None:
        crmask[band.rows] = image.crmask[band.within]

    bands = bands_for(shape, checked)
    counts = search(lambda rows: Images(*read(rows)), bands, checked, write, arguments.flag("verbose", verbose))
    return crmask, counts
