"""L.A.Cosmic where it matters: exact cosmic-ray detection, evaluated sparsely.

`detect_cosmics` has the signature and the results of
``astroscrappy.detect_cosmics`` 1.3.0, called the reference below, but filters
only the few parts of an image where its decision is in doubt.
``docs/lacosmic.md`` explains why that changes nothing; in short:

1. One cheap pass gives, for every tile of 8x8 pixels, an upper bound of the
   Laplacian and a lower bound of the noise.  Where their ratio stays below
   ``sigclip`` no pixel can be a cosmic ray, and the tile is never looked at
   again.  Usually a few per cent of the tiles remain.
2. There the costly quantities are evaluated in the order that discards most,
   many windows at a time: Laplacian over noise, fine structure, and only then
   the median-subtracted significance.
3. A later iteration looks only at tiles near pixels that the last cleaning
   changed.
4. A large image is done in bands of rows, each with as many rows around it as
   can have a say, so that only results are held for the whole of it.

All arithmetic is float32, operation by operation in the order in which the
reference does it, so that images which are not integers agree as well.

References
----------
.. [1] van Dokkum, P. G. 2001, PASP, 113, 1420 (L.A.Cosmic)
.. [2] McCully, C., et al. 2018, astroscrappy, https://zenodo.org/record/1482019
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["CosmicRays", "detect_cosmics", "mask_cosmics", "median_of", "pixels_at_a_time"]

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.integer[Any]]
PackedFlags = NDArray[np.uint8]

TILE = 8  # side of the tiles that are kept or discarded as a whole [pixels]
GROWTH = 2  # cosmic rays grow twice, by one pixel each time
SLAB = 1 << 24  # pixels of a band that is searched at a time
LEAST_BAND = 8  # its rows, in overlaps with the next one, at the least: else much would be done twice
BAND = 128  # rows per step of the dense pass: a few arrays of them fit the cache
STACK = 1 << 15  # pixels per stack of windows: a few such stacks fit the cache
SIDES = 8, 32  # of squares that are filtered as a whole where pixels crowd [pixels]
PIECE = 1 << 16  # values that are counted at a time
STAR_GROWTH = 4  # of the cores of saturated stars, in two steps [pixels]
FEW = 100  # up to one pixel in so many, a list is better than an image
MIN_VARIANCE = np.float32(1e-5)  # [electrons^2]
MIN_FINE_STRUCTURE = np.float32(0.01)  # [sigma]


class CosmicRays(tuple[BoolArray, FloatArray]):
    """What `detect_cosmics` returns: the pair ``(crmask, cleanarr)``, and counts.

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
        """Make a pair that knows its counts."""
        pair = super().__new__(cls, (crmask, cleanarr))
        pair.counts = counts
        return pair

    @property
    def crmask(self) -> BoolArray:
        """Where cosmic rays were found."""
        return self[0]

    @property
    def cleanarr(self) -> FloatArray:
        """The image without them."""
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
    Larger images than `SLAB` are searched in bands; then the results are nearly all that grows
    with the image, two times while they are put together.
    """
    image = _image("indat", indat)
    given = [
        None if value is None else _image(name, value, image.shape)
        for name, value in (("inmask", inmask), ("inbkg", inbkg), ("invar", invar))
    ]
    bands = _prepared(
        lambda rows: _Images(image[rows], *(None if each is None else each[rows] for each in given)),
        image.shape,
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
    )
    done: dict[int, tuple[BoolArray, FloatArray]] = {}

    def take(band: slice, detector: _Detector, rows: slice) -> None:
        done[band.start] = detector.crmask[rows], detector.cleaned()[rows]

    counts = bands.search(take, _flag("verbose", verbose))
    if len(done) == 1:
        return CosmicRays(*done[0], counts)
    masks, cleaned = zip(*done.values(), strict=True)
    return CosmicRays(np.concatenate(masks), np.concatenate(cleaned), counts)


def mask_cosmics(
    read: Callable[[slice], tuple[NDArray[Any], BoolArray | None]],
    shape: tuple[int, int],
    *,
    verbose: bool = False,
    **parameters: Any,
) -> tuple[BoolArray, tuple[int, ...]]:
    """Find the cosmic rays of an image that is read in bands, as `detect_cosmics` does.

    Parameters
    ----------
    read : callable
        Gives image and mask (or None) of a slice of rows; it is asked for the
        same rows more than once.
    shape : (int, int)
        Of the whole image.
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
    crmask = np.zeros(shape, np.bool_)

    def take(band: slice, detector: _Detector, rows: slice) -> None:
        crmask[band] = detector.crmask[rows]

    bands = _prepared(lambda rows: _Images(*read(rows)), shape, **parameters)
    return crmask, bands.search(take, _flag("verbose", verbose))


def _prepared(
    read: Callable[[slice], _Images],
    shape: tuple[int, ...],
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
) -> _Bands:
    """Check all parameters, and cut the image into bands."""
    _choice("fsmode", fsmode, ("median", "convolve"))
    model = _choice("psfmodel", psfmodel, ("gauss", "gaussx", "gaussy", "moffat"))
    fwhm = float(_number("psffwhm", psffwhm, positive=True))
    beta = float(_number("psfbeta", psfbeta, positive=True))
    size = _odd("psfsize", psfsize)
    given = None if psfk is None else _given_kernel(psfk)
    kernel = None
    if fsmode == "convolve":
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            kernel = _psf_kernel(model, fwhm, size, beta) if given is None else given
    return _Bands(
        read,
        shape,
        _count("niter", niter),
        _Parameters(
            gain=_number("gain", gain, positive=True),
            readnoise=_number("readnoise", readnoise),
            satlevel=_number("satlevel", satlevel, positive=True, infinite=True),
            sigclip=_number("sigclip", sigclip, infinite=True),
            sigfrac=_number("sigfrac", sigfrac),
            objlim=_number("objlim", objlim, infinite=True),
            medians=SEPARABLE if _flag("sepmed", sepmed) else FULL,
            cleantype=_choice("cleantype", cleantype, tuple(CLEANERS)),
            kernel=kernel,
        ),
    )


# --- bands of rows ------------------------------------------------------------------


class _Images(NamedTuple):
    """Some rows of all images, as they were given."""

    data: NDArray[Any]
    mask: NDArray[Any] | None
    background: NDArray[Any] | None = None
    variance: NDArray[Any] | None = None


class _Parameters(NamedTuple):
    """What is the same for all of an image."""

    gain: np.float32
    readnoise: np.float32
    satlevel: np.float32
    sigclip: np.float32
    sigfrac: np.float32
    objlim: np.float32
    medians: _Medians
    cleantype: str
    kernel: FloatArray | None

    @property
    def side(self) -> int:
        """Larger side of the kernel, 0 without one."""
        return 0 if self.kernel is None else max(self.kernel.shape)


def _fine_reach(medians: _Medians, side: int) -> int:
    """Return how far away a pixel may be to enter the fine structure of another."""
    return medians.large_width + (medians.noise_width + side // 2 if side else medians.fine_width)


def _reach(medians: _Medians, side: int) -> int:
    """Return how far away a pixel may be to decide whether another belongs to a cosmic ray."""
    return GROWTH + max(2 * medians.noise_width, _fine_reach(medians, side))


def _overlap(medians: _Medians, side: int, niter: int) -> int:
    """Return how far away a pixel may be to have a say in so many iterations, cleaning included."""
    bad_pixels = 2 + medians.noise_width + STAR_GROWTH  # what is not finite is replaced from within 2
    return bad_pixels + niter * (_reach(medians, side) + 2)


def _height(shape: tuple[int, ...], overlap: int) -> int:
    """Return the number of rows of a band, not those around it: as many in each."""
    number = -(-shape[0] // max(SLAB // shape[1], LEAST_BAND * overlap))
    return -(-shape[0] // number)


def pixels_at_a_time(shape: tuple[int, int], niter: int, side: int = 0) -> int:
    """Reckon how many pixels of an image `mask_cosmics` holds at a time, at the most.

    Parameters
    ----------
    shape : (int, int)
        Of the image.
    niter : int
        Largest number of iterations.
    side : int
        Larger side of the kernel of ``fsmode='convolve'``.
    """
    overlap = _overlap(SEPARABLE, side, niter)
    return min(_height(shape, overlap) + 2 * overlap, shape[0]) * shape[1]


class _Bands:
    """An image in bands of rows, of which one at a time is searched.

    With enough rows around it a band gives, in all its iterations, what it gives as
    a part of the image. Just the medians that stand in where nothing good is
    near are of all bands.
    """

    def __init__(
        self, read: Callable[[slice], _Images], shape: tuple[int, ...], niter: int, parameters: _Parameters
    ) -> None:
        self.read, self.shape, self.niter, self.parameters = read, shape, niter, parameters
        self.overlap = _overlap(parameters.medians, parameters.side, niter)
        ny, height = shape[0], _height(shape, self.overlap)
        self.bands = [slice(top, min(top + height, ny)) for top in range(0, ny, height)]
        # Where nothing is found nothing changes any more, but by the plain median of
        # cosmic pixels: there all bands have to end with the same iteration.
        self.to_the_end = parameters.cleantype == "median" and len(self.bands) > 1
        self._levels: dict[str | int, np.float32] = {}
        self._now: tuple[slice, _Detector, slice] | None = None

    def search(self, take: Callable[[slice, _Detector, slice], None], verbose: bool) -> tuple[int, ...]:
        """Find all cosmic rays; return the number of their pixels in each iteration.

        `take` gets a band when it is done, its detector, and its rows therein; what
        it gets last counts.
        """
        if verbose:
            print(f"Starting {self.niter} L.A.Cosmic iterations")
        # Overflow of extreme values gives infinities, which compare as they should.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            counts = self._iterate(self.niter, take)
            if self.to_the_end and len(counts) < self.niter:
                counts = self._iterate(len(counts), take)
        if verbose:
            for iteration, count in enumerate(counts, 1):
                print(f"Iteration {iteration}:\n{count} cosmic pixels this iteration")
        return counts

    def _iterate(self, niter: int, take: Callable[[slice, _Detector, slice], None]) -> tuple[int, ...]:
        """Search each band; return the numbers of pixels found, up to the first zero."""
        found = [0] * niter
        for band in self.bands:
            self._now = None  # before there is another
            detector, rows = self._detector(band)
            self._now = band, detector, rows
            for iteration in range(niter):
                anywhere, within = detector.iterate(rows)
                found[iteration] += within
                if not anywhere and not self.to_the_end:
                    break
            take(band, detector, rows)
            del detector
        self._now = None
        return tuple(found[: found.index(0) + 1] if 0 in found else found)

    def _detector(self, band: slice) -> tuple[_Detector, slice]:
        """Return the detector of a band and of the rows around it, and the band's rows therein."""
        top, bottom = max(band.start - self.overlap, 0), min(band.stop + self.overlap, self.shape[0])
        detector = _Detector(self.read(slice(top, bottom)), self.parameters, self)
        return detector, slice(band.start - top, band.stop - top)

    def finite_level(self, number: int) -> np.float32:
        """Return the median of what is finite in one of the images that `_electrons` gives."""

        def values() -> Iterator[FloatArray]:
            for band in self.bands:
                image = _electrons(self.read(band), self.parameters.gain)[number]
                if image is not None:
                    yield image[np.isfinite(image)]

        if number not in self._levels:
            self._levels[number] = median_of(values)
        return self._levels[number]

    def good_level(self, name: str) -> np.float32:
        """Return the median of data or variance over the good pixels, as they were before any cleaning."""

        def values() -> Iterator[FloatArray]:
            for band in self.bands:
                if self._now is not None and self._now[0] is band:
                    _, detector, rows = self._now
                else:
                    detector, rows = self._detector(band)
                yield from detector.good_values(name, rows)

        if name not in self._levels:
            self._levels[name] = median_of(values)
        return self._levels[name]


def _electrons(images: _Images, gain: np.float32) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """Return data, background and variance in electrons."""
    background = None if images.background is None else _scaled(images.background, gain)
    variance = None if images.variance is None else _scaled(images.variance, gain * gain)
    if variance is not None and background is not None:
        variance -= background
    return _scaled(images.data, gain), background, variance


# --- the detector -----------------------------------------------------------------


class _Detector:
    """One image, or a band of one, while its cosmic rays are found: what the iterations share.

    Pixels are named by their index into the flattened image, tiles likewise.
    """

    def __init__(self, images: _Images, parameters: _Parameters, whole: _Bands) -> None:
        self.gain = parameters.gain
        self.read_variance = parameters.readnoise * parameters.readnoise
        self.sigclip = parameters.sigclip
        self.sigcliplow = parameters.sigfrac * parameters.sigclip
        self.objlim = parameters.objlim
        self.medians = parameters.medians
        self.cleantype = parameters.cleantype
        self.kernel = parameters.kernel
        self.fine_reach = _fine_reach(parameters.medians, parameters.side)
        self.reach = _reach(parameters.medians, parameters.side)
        self.whole = whole

        self.image, self.image_variance = images.data, images.variance
        self.shape = self.image.shape
        # There may be very many pixels to remember; most images need only 4 bytes each.
        self.names: np.dtype[np.integer[Any]] = np.dtype(np.int32 if self.image.size < 2**31 else np.int64)
        self.tiles_x = -(-self.shape[1] // TILE)
        self.data, self.background, self.variance = _electrons(images, self.gain)
        tiles = self._tile_extremes()
        self.not_finite = self._replace_not_finite(tiles)
        if self.not_finite.size:
            tiles = self._tile_extremes()
        self.mask = self._bad_pixels(images.mask, parameters.satlevel, tiles)
        if self.background is not None:
            self.data -= self.background
            tiles = self._tile_extremes()

        # Tiles between two stages, so many that what lies between stays small.
        self.batch = max(512, tiles.contrast.size // 16)
        self.crmask = np.zeros(self.shape, np.bool_)
        self.noted = np.zeros(self.shape, np.bool_)  # all False between uses
        # Found so far, and their variance, unless there is an image of it.
        self.cosmics = np.zeros(0, self.names)
        self.cosmics_variance = np.zeros(0, np.float32)
        # Confirmed pixels, and which of the 5x5 around each make up its cosmic ray.
        self.seeds = np.zeros(0, self.names)
        self.grown = _packed(np.zeros((0, 25), np.bool_))
        self._set_bounds(tiles)
        self.active = np.ones(tiles.contrast.shape, np.bool_)

    def iterate(self, rows: slice) -> tuple[int, int]:
        """Find cosmic rays, clean them, and return the number of their pixels, and that in some rows."""
        self._find_seeds()
        square = self._square(GROWTH)
        cosmics = self._distinct(
            (self.seeds[part, None] + square)[_unpacked(self.grown[part])]
            for part in _parts(self.seeds.size, 2 * self.batch)
        )
        self._clean(cosmics)
        first, end = (row * self.shape[1] for row in (rows.start, rows.stop))
        return cosmics.size, int(np.count_nonzero((cosmics >= first) & (cosmics < end)))

    def _find_seeds(self) -> None:
        """Bring the confirmed pixels, and what grows from them, up to date."""
        # Elsewhere nothing changed since the last iteration, so neither do they.
        kept = ~self.active.ravel()[self._tile_of(self.seeds, TILE)]
        seeds, grown = [self.seeds[kept]], [self.grown[kept]]
        tiles = self._doubtful_tiles(np.flatnonzero(self.active))
        for part in _parts(tiles.size, self.batch):
            pixels, significance, noise = self._screen(tiles[part])
            fine = self._fine_structure(pixels, noise)
            # The median of the significance, which is never negative, is yet to
            # be subtracted: what fails now would fail then.
            good = significance / fine > self.objlim
            more_seeds, more_grown = self._confirm(pixels[good], fine[good])
            seeds.append(more_seeds.astype(self.names))
            grown.append(more_grown)
        self.seeds, self.grown = np.concatenate(seeds), np.concatenate(grown)

    def cleaned(self) -> FloatArray:
        """Return the image in the units of the input.  Call once, at the end."""
        if self.background is not None:
            self.data += self.background
        if self.not_finite.size:  # what was no number is left as it was
            self.data.flat[self.not_finite] = _scaled(self.image.flat[self.not_finite], self.gain)
        if self.gain != 1:
            self.data /= self.gain
        return self.data

    # --- which tiles can hold a cosmic ray ---

    def _tile_extremes(self) -> _TileExtremes:
        """Reduce the image to the extremes of its tiles: the only dense pass."""
        ny, nx = self.shape
        tiles_y = -(-ny // TILE)
        contrast = np.empty((tiles_y, self.tiles_x), np.float32)
        lowest = np.empty_like(contrast)
        highest = np.empty(tiles_y, np.float32)
        work = np.empty((2, (min(BAND, ny) + 2) * nx), np.float32)
        data = self.data.ravel()
        for top in range(0, ny, BAND):
            bottom = min(top + BAND, ny)
            tiles = slice(top // TILE, -(-bottom // TILE))
            band = self.data[top:bottom]
            _reduce_to_tiles(np.minimum, band, lowest[tiles])
            highest[tiles] = band.max()
            # Of its neighbours n, a pixel c has a Laplacian of at most half the sum
            # of max(0, c - n) = c - min(c, n).  Pixels at the edge of the image are
            # never cosmic rays: rows there have no bound, and the ends of rows one
            # with a wrong neighbour.
            bound, other = work[:, : band.size + 2 * nx]
            bound[:nx] = bound[band.size - nx : band.size] = -np.inf
            first, last = max(top, 1) * nx, min(bottom, ny - 1) * nx
            if first < last:
                n = last - first
                inner = bound[first - top * nx :][:n]
                lesser = np.minimum(data[first - nx : last], data[first : last + nx], out=other[: n + nx])
                np.add(lesser[:-nx], lesser[nx:], out=inner)
                lesser = np.minimum(data[first - 1 : last], data[first : last + 1], out=other[: n + 1])
                inner += lesser[:-1]
                inner += lesser[1:]
                np.multiply(data[first:last], np.float32(4), out=other[:n])
                np.subtract(other[:n], inner, out=inner)
            _reduce_to_tiles(np.maximum, bound[: band.size].reshape(band.shape), contrast[tiles])
        contrast *= np.float32(0.5)
        return _TileExtremes(contrast, lowest, highest[:, None])

    def _set_bounds(self, tiles: _TileExtremes) -> None:
        """Bound the Laplacian of each tile from above, the variance of its noise from below."""
        # Bound and Laplacian are sums of a few pixels, rounded; each is wrong by
        # less than 2**-19 of the largest among them.
        largest = _around(np.maximum, np.maximum(tiles.highest, -tiles.lowest))
        self.contrast = tiles.contrast + np.float32(2.0**-18) * largest
        self.low_variance = _around(np.minimum, self._low_variance(tiles))
        if self.background is not None:
            low_background = np.empty_like(self.low_variance)
            _reduce_to_tiles(np.minimum, self.background, low_background)
            self.low_background = _around(np.minimum, low_background)

    def _doubtful_tiles(self, tiles: IndexArray) -> IndexArray:
        """Return those of the tiles whose bounds do not rule out a cosmic ray."""
        contrast = self.contrast.ravel()
        unknown = tiles[np.isinf(contrast[tiles])]
        y, x = np.divmod(unknown, self.tiles_x)
        for part, windows in self._windows(y * TILE, x * TILE, TILE, 1):
            contrast[unknown[part]] = _laplacian(windows.take(self.data)).max(axis=(0, 1))
        variance = self.low_variance.ravel()[tiles]
        if self.background is not None:
            variance += self.low_background.ravel()[tiles]
        noise = np.sqrt(np.maximum(variance, MIN_VARIANCE))
        limit = np.float32(2 - 2.0**-20) * self.sigclip * noise
        return tiles[~(contrast[tiles] <= limit)]

    def _low_variance(self, tiles: _TileExtremes) -> FloatArray:
        """Return for each tile a variance that at most 3 of its pixels are below.

        A median over 7x7 (16 of 49 pixels when separable, 13 of 25 when over 5x5)
        is below a value only if one of the at most 4 tiles that it touches has 4
        pixels that are.  So the least such variance of a tile and its neighbours
        is a lower bound of the median, dead pixels or not.
        """
        if self.variance is None:
            image, low = self.data, tiles.lowest + self.read_variance
        else:
            image, low = self.variance, np.empty_like(tiles.lowest)
            _reduce_to_tiles(np.minimum, image, low)
        # The minimum does, and costs least, but where it is an outlier.
        whole = low[: self.shape[0] // TILE, : self.shape[1] // TILE]
        if not whole.size:
            return low
        y, x = np.nonzero(whole < np.float32(0.5) * _around(np.maximum, whole))
        pixels = sliding_window_view(image, (TILE, TILE))[y * TILE, x * TILE]
        fourth = np.partition(pixels.reshape(-1, TILE * TILE), 3, axis=1)[:, 3]
        low[y, x] = fourth if self.variance is not None else fourth + self.read_variance
        return low

    def _mark_active(self, changed: IndexArray, variances: FloatArray) -> None:
        """Make active the tiles within reach of pixels that changed; renew their bounds."""
        y, x = np.divmod(changed, self.shape[1])
        for dy, dx in itertools.product((-1, 1), repeat=2):  # no cosmic ray is at the edge
            self.contrast[(y + dy) // TILE, (x + dx) // TILE] = np.inf
        names = self._tile_of(changed, TILE)
        order = np.argsort(names)
        names = names[order]
        first = np.flatnonzero(np.diff(names, prepend=-1))
        least = np.minimum.reduceat(variances[order], first) if first.size else variances
        y, x = np.divmod(names[first], self.tiles_x)
        away = -(-self.reach // TILE)
        for dy, dx in itertools.product(range(-away, away + 1), repeat=2):
            near = np.clip(y + dy, 0, len(self.active) - 1), np.clip(x + dx, 0, self.tiles_x - 1)
            self.active[near] = True
            np.minimum.at(self.low_variance, near, least)

    def _cover(
        self, pixels: IndexArray, margin: int, sides: tuple[int, ...]
    ) -> tuple[IndexArray, IndexArray, int, tuple[IndexArray, IndexArray, IndexArray]]:
        """Return the squares that cover pixels at the least cost, margins included.

        Returns
        -------
        y, x : 1-D arrays
            Where the squares begin.
        side : int
            Their size, 1 or one of `sides`.
        place : tuple of 1-D arrays
            Row and column of each pixel in its square, and the square's number.
        """
        y, x = np.divmod(pixels, self.shape[1])
        least = pixels.size * (1 + 2 * margin) ** 2
        best = y, x, 1, (np.zeros_like(y), np.zeros_like(x), np.arange(pixels.size))
        for side in sides:
            names = self._tile_of(pixels, side)
            squares = _sorted_distinct(names)
            cost = squares.size * (side + 2 * margin) ** 2
            if cost >= least:
                break
            least = cost
            square_y, square_x = np.divmod(squares, -(-self.shape[1] // side))
            place = y % side, x % side, np.searchsorted(squares, names)
            best = square_y * side, square_x * side, side, place
        return best

    def _tile_of(self, pixels: IndexArray, side: int) -> IndexArray:
        """Return the numbers of the squares of a given side that hold the pixels."""
        y, x = np.divmod(pixels, self.shape[1])
        return y // side * -(-self.shape[1] // side) + x // side

    def _distinct(self, parts: Iterable[IndexArray]) -> IndexArray:
        """Return every pixel of the parts once."""
        noted = self.noted.ravel()
        result = [np.zeros(0, self.names)]
        for part in parts:
            pixels = _sorted_distinct(part)
            pixels = pixels[~noted[pixels]].astype(self.names)
            noted[pixels] = True
            result.append(pixels)
        pixels = np.concatenate(result)
        noted[pixels] = False
        return pixels

    # --- the tests, the most selective first ---

    def _screen(self, tiles: IndexArray) -> tuple[IndexArray, FloatArray, FloatArray]:
        """Return the good pixels of tiles with Laplacian / noise above sigclip.

        Returns
        -------
        pixels, significance, noise : 1-D arrays
            The significance is that before subtraction of its median.
        """
        y, x = np.divmod(tiles, self.tiles_x)
        width = self.medians.noise_width
        found: list[tuple[Any, ...]] = [(np.zeros(0, np.intp), *np.zeros((2, 0), np.float32))]
        for _, windows in self._windows(y * TILE, x * TILE, TILE, width):
            significance, noise = self._laplacian_significance(windows)
            hit = significance > self.sigclip
            if windows.depth is not None:
                hit &= _trim(windows.depth, width) >= width
            pixels, place = _trim(windows.index, width)[hit], np.flatnonzero(hit)
            if self.mask is not None:
                good = ~self.mask.ravel()[pixels]
                pixels, place = pixels[good], place[good]
            found.append((pixels, significance.ravel()[place], noise.ravel()[place]))
        pixels, significance, noise = (np.concatenate(each) for each in zip(*found, strict=True))
        return pixels, significance, noise

    def _laplacian_significance(self, windows: _Windows) -> tuple[FloatArray, FloatArray]:
        """Return Laplacian / noise, and the noise, `noise_width` inside windows."""
        width = self.medians.noise_width
        data = windows.take(self.data)
        noise = self._noise(windows, data)
        significance = _laplacian(_trim(data, width - 1))
        significance /= np.float32(2) * noise  # 2 is the subsampling
        return significance, noise

    def _noise(self, windows: _Windows, data: FloatArray) -> FloatArray:
        """Return the noise [electron], from the median of the variance."""
        width = self.medians.noise_width
        variance = self._variance_at(windows.index, data)
        noise = self.medians.noise(variance)
        windows.keep_border(noise, variance, width)
        if self.background is not None:
            noise += self.background.ravel()[_trim(windows.index, width)]
        np.maximum(noise, MIN_VARIANCE, out=noise)
        return np.sqrt(noise, out=noise)

    def _variance_at(self, index: IndexArray, data: FloatArray) -> FloatArray:
        """Return the variance at pixels that have the given data."""
        if self.variance is not None:
            return self.variance.ravel().take(index, mode="clip")
        variance = data + self.read_variance
        if self.cosmics.size:
            index = index.ravel()
            place = np.flatnonzero(self.crmask.ravel().take(index, mode="clip"))
            variance.ravel()[place] = self.cosmics_variance[np.searchsorted(self.cosmics, index[place])]
        return variance

    def _fine_structure(self, pixels: IndexArray, noise: FloatArray) -> FloatArray:
        """Return the fine structure of pixels, in units of their noise."""
        medians = self.medians
        y, x, side, place = self._cover(pixels, self.fine_reach, medians.large_sides)
        result = np.empty((side, side, y.size), np.float32)
        for part, windows in self._windows(y, x, side, self.fine_reach):
            data = windows.take(self.data)
            if self.kernel is None:
                fine = medians.fine(data)
                windows.keep_border(fine, data, medians.fine_width)
            else:
                fine = self._matched_filter(windows, data, self.kernel)
            large = medians.large(fine)
            windows.keep_border(large, fine, medians.large_width)
            result[..., part] = _trim(fine, medians.large_width) - large
        fine = result[place] / noise
        return np.maximum(fine, MIN_FINE_STRUCTURE, out=fine)

    def _matched_filter(self, windows: _Windows, data: FloatArray, kernel: FloatArray) -> FloatArray:
        """Return the flux per unit PSF: data convolved, weighted by 1 / noise^2."""
        noise = self._noise(windows, data)
        signal = _trim(data, self.medians.noise_width) / noise
        signal /= noise
        weight: FloatArray = np.float32(1) / noise / noise
        if windows.depth is not None:
            outside = _trim(windows.depth, self.medians.noise_width) < 0
            signal[outside] = weight[outside] = 0
        return _convolve(signal, kernel) / _convolve(weight, kernel)

    def _confirm(self, pixels: IndexArray, fine: FloatArray) -> tuple[IndexArray, PackedFlags]:
        """Return the pixels that are cosmic rays, and what grows from each in 5x5."""
        width = self.medians.noise_width
        y, x, side, (row, column, stack) = self._cover(pixels, 2 * width + GROWTH, SIDES)
        result = np.empty((side + 2 * GROWTH, side + 2 * GROWTH, y.size), np.float32)
        for part, windows in self._windows(y, x, side, 2 * width + GROWTH):
            significance, _ = self._laplacian_significance(windows)
            median = self.medians.noise(significance)
            windows.keep_border(median, significance, width)
            result[..., part] = _trim(significance, width) - median
        centre = result[row + GROWTH, column + GROWTH, stack]
        confirmed = (centre > self.sigclip) & (centre / fine > self.objlim)
        row, column, stack = (each[confirmed] for each in (row, column, stack))
        steps = np.arange(2 * GROWTH + 1)[:, None]
        near = result[row + steps[:, None], column + steps, stack]
        return pixels[confirmed], self._grow(pixels[confirmed], near)

    def _grow(self, seeds: IndexArray, near: FloatArray) -> PackedFlags:
        """Grow seeds twice, the second time down to a lower significance."""
        first = near[1:-1, 1:-1] > self.sigclip
        second = near > self.sigcliplow
        if self.mask is not None:
            good = ~self.mask.ravel()[seeds + self._square(GROWTH)[:, None]].reshape(near.shape)
            first &= good[1:-1, 1:-1]
            second &= good
        touched = np.zeros(near.shape, np.bool_)
        for dy in range(3):
            for dx in range(3):
                touched[dy : dy + 3, dx : dx + 3] |= first
        return _packed((touched & second).reshape(25, seeds.size).T)

    # --- cleaning ---

    def _clean(self, cosmics: IndexArray) -> None:
        """Replace cosmic pixels, new ones and those that a new one is close to."""
        data, crmask, square = self.data.ravel(), self.crmask.ravel(), self._square(2)
        new = cosmics[~crmask[cosmics]]
        clean = CLEANERS[self.cleantype]
        if clean is _median:
            old: IndexArray = np.flatnonzero(crmask)  # each depends on its cosmic neighbours
        else:
            # Good pixels keep their values: only a new bad one makes a difference.
            near = ((new[part, None] + square).ravel() for part in _parts(new.size, 2 * self.batch))
            old = self._distinct(pixels[crmask[pixels]] for pixels in near)
        self._make_room(new)
        crmask[new] = True
        pixels = np.concatenate([old, new])
        del old, new  # there may be very many

        # What is good stays as it is, so that cleaning may go on while reading.
        # The plain median reads cosmic pixels, too, and needs them unchanged.
        source, variance = self.data, self.variance
        if clean is _median and variance is not None:
            source, variance = source.copy(), variance.copy()
        self.active[:] = False
        for part in _parts(pixels.size, 2 * self.batch):
            here = pixels[part]
            index = here + square[:, None]
            bad = crmask[index]
            if self.mask is not None:
                bad |= self.mask.ravel()[index]
            around = source.ravel()[index]
            values = clean(around, bad)
            if self.variance is None or variance is None:
                store, place = self.cosmics_variance, np.searchsorted(self.cosmics, here)
                around += self.read_variance
            else:
                store, place = self.variance.ravel(), here
                around = variance.ravel()[index]
            variances = clean(around, bad)
            empty = bad.all(axis=0)
            if empty.any() and clean is not _median:
                values[empty], variances[empty] = self._default_levels()
            changed = (values != data[here]) | (variances != store[place])
            data[here], store[place] = values, variances
            self._mark_active(here[changed], variances[changed])

    def _make_room(self, new: IndexArray) -> None:
        """Make room for the variance of new cosmic pixels.

        It is cleaned by itself, and rounding tells it from that of the cleaned
        data.  If it is of few pixels a sorted list holds it, else an image.
        """
        if self.variance is not None:
            return
        if self.cleantype == "median" or self.cosmics.size + new.size > self.data.size // FEW:
            self.variance = self.data + self.read_variance
            self.variance.ravel()[self.cosmics] = self.cosmics_variance
            return
        cosmics = np.concatenate([self.cosmics, new])
        variances = np.concatenate([self.cosmics_variance, self.data.ravel()[new] + self.read_variance])
        order = np.argsort(cosmics)
        self.cosmics, self.cosmics_variance = cosmics[order], variances[order]

    def _default_levels(self) -> tuple[np.float32, np.float32]:
        """Return the medians of data and variance over the good pixels of the whole image.

        They stand in where all of 5x5 is bad, and are of the image as it was
        before any cleaning.
        """
        level = self.whole.good_level("data")
        if self.image_variance is None:
            return level, level + self.read_variance  # rounding keeps the order
        return level, self.whole.good_level("variance")

    def good_values(self, name: str, rows: slice) -> Iterator[FloatArray]:
        """Give data or variance of the good pixels of some rows, as they were before any cleaning."""
        image, given, factor = self.data, self.image, self.gain
        if name == "variance" and self.variance is not None and self.image_variance is not None:
            image, given, factor = self.variance, self.image_variance, self.gain * self.gain
        nx = self.shape[1]
        for start in range(rows.start * nx, rows.stop * nx, PIECE):
            piece = slice(start, min(start + PIECE, rows.stop * nx))
            values = image.ravel()[piece].copy()
            cosmics = np.flatnonzero(self.crmask.ravel()[piece])
            values[cosmics] = self._original(given, cosmics + start, factor)
            yield values if self.mask is None else values[~self.mask.ravel()[piece]]

    def _original(self, image: NDArray[Any], pixels: IndexArray, factor: np.float32) -> FloatArray:
        """Return the values of pixels before any cleaning."""
        values = _scaled(image.flat[pixels], factor)
        if self.background is not None:
            values -= self.background.ravel()[pixels]
        return values

    # --- bad pixels ---

    def _replace_not_finite(self, tiles: _TileExtremes) -> IndexArray:
        """Replace values that are not finite; return the pixels that have any.

        Each gets the mean of the finite ones of 5x5, so that its neighbours see
        a smooth image.
        """
        images = list(enumerate((self.data, self.background, self.variance)))
        if np.isfinite(tiles.highest).all() and np.isfinite(tiles.lowest).all():
            del images[0]
        everything = np.zeros(0, np.intp)
        for number, image in images:
            if image is None:
                continue
            wrong = ~np.isfinite(image)
            pixels = np.flatnonzero(wrong)
            if not pixels.size:
                continue
            values = np.empty(pixels.size, np.float32)
            y, x = np.divmod(pixels, self.shape[1])
            for part, windows in self._windows(y, x, 1, 2):
                bad = wrong.ravel()[windows.index]
                if windows.depth is not None:
                    bad |= windows.depth < 0
                bad = bad.reshape(25, -1)
                mean = _mean(windows.take(image).reshape(25, -1), bad)
                empty = bad.all(axis=0)
                if empty.any():
                    mean[empty] = self.whole.finite_level(number)
                values[part] = mean
            image.ravel()[pixels] = values
            everything = np.union1d(everything, pixels)
        return everything

    def _bad_pixels(self, mask: NDArray[Any] | None, satlevel: np.float32, tiles: _TileExtremes) -> BoolArray | None:
        """Return what neither to flag nor to clean with; None if there is nothing."""
        bad = None
        if mask is not None or self.not_finite.size:
            bad = np.zeros(self.shape, np.bool_) if mask is None else mask != 0
            bad.ravel()[self.not_finite] = True
            bad = _grown_by_one(bad)
        if tiles.highest.max() >= satlevel:
            stars = self._saturated_cores(satlevel)
            bad = stars if bad is None else bad | stars
        return bad

    def _saturated_cores(self, satlevel: np.float32) -> BoolArray:
        """Return the middles of saturated stars, grown by four pixels.

        The median tells a star from a cosmic ray: it stays bright.
        """
        saturated = np.flatnonzero(self.data >= satlevel)
        median = np.empty(saturated.size, np.float32)
        width = self.medians.noise_width
        y, x = np.divmod(saturated, self.shape[1])
        for part, windows in self._windows(y, x, 1, width):
            data = windows.take(self.data)
            filtered = self.medians.noise(data)
            windows.keep_border(filtered, data, width)
            median[part] = filtered.ravel()
        cores = np.zeros(self.shape, np.bool_)
        cores.ravel()[saturated] = median > np.float32(float(satlevel) / 10)
        return _grown_by_two(_grown_by_two(cores))

    # --- geometry ---

    def _square(self, half: int) -> IndexArray:
        """Return the index offsets of the pixels of a square, row by row."""
        steps = np.arange(-half, half + 1)
        return (steps[:, None] * self.shape[1] + steps).ravel()

    def _windows(self, y: IndexArray, x: IndexArray, side: int, margin: int) -> Iterator[tuple[IndexArray, _Windows]]:
        """Stack the squares that begin at (y, x), with a margin around each.

        Squares that reach over the edge of the image come last, by themselves:
        only they need the edge rules.
        """
        ny, nx = self.shape
        size = side + 2 * margin
        y, x = y - margin, x - margin
        inside = (y >= 0) & (x >= 0) & (y <= ny - size) & (x <= nx - size)
        per_stack = max(STACK // size**2 // 16, 1) * 16  # keeps rows aligned in memory
        for edge, group in ((False, np.flatnonzero(inside)), (True, np.flatnonzero(~inside))):
            for start in range(0, group.size, per_stack):
                part = group[start : start + per_stack]
                yield part, _Windows(self.shape, y[part], x[part], size, edge)


class _TileExtremes(NamedTuple):
    """Extremes of the pixels of each tile."""

    contrast: FloatArray  # (tiles_y, tiles_x), upper bound of the Laplacian
    lowest: FloatArray  # (tiles_y, tiles_x)
    highest: FloatArray  # (tiles_y, 1), of at least the tile


class _Windows:
    """Square windows of one image, stacked along the last axis.

    Attributes
    ----------
    index : (size, size, n) array
        Index of each pixel into the flattened image; outside, that of some pixel.
    depth : (size, size, n) array or None
        Distance of each pixel to the edge of the image, negative outside.
        None if no window reaches over the edge.
    """

    def __init__(self, shape: tuple[int, ...], y: IndexArray, x: IndexArray, size: int, edge: bool) -> None:
        ny, nx = shape
        steps = np.arange(size)
        self.depth: IndexArray | None = None
        if not edge:
            self.index: IndexArray = (steps[:, None] * nx + steps)[..., None] + (y * nx + x)
            return
        rows, columns = y + steps[:, None], x + steps[:, None]
        depth_y, depth_x = (np.minimum(i, n - 1 - i) for i, n in ((rows, ny), (columns, nx)))
        self.depth = np.minimum(depth_y[:, None], depth_x[None])
        rows, columns = rows.clip(0, ny - 1), columns.clip(0, nx - 1)
        self.index = rows[:, None] * nx + columns[None]

    def take(self, image: FloatArray) -> FloatArray:
        """Return the pixels of the windows; the image is zero outside."""
        values = image.ravel().take(self.index, mode="clip")
        if self.depth is not None:
            values[self.depth < 0] = 0
        return values

    def keep_border(self, filtered: FloatArray, unfiltered: FloatArray, width: int) -> None:
        """Undo a filter within `width` pixels of the edge of the image."""
        if self.depth is not None:
            border = _trim(self.depth, (len(self.depth) - len(filtered)) // 2) < width
            np.copyto(filtered, _trim(unfiltered, width), where=border)


# --- filters over stacks of windows ------------------------------------------------
#
# Arrays have the shape (rows, columns, n).  A filter is evaluated wherever its
# whole neighbourhood is there, so that its result is smaller than its argument.


def _trim(stack: NDArray[Any], width: int) -> NDArray[Any]:
    """Return the stack without the outermost pixels of each window."""
    return stack[width : len(stack) - width, width : stack.shape[1] - width]


def _laplacian(data: FloatArray) -> FloatArray:
    """Return the Laplacian of the twice subsampled data, clipped at 0, rebinned.

    Each pixel is four subpixels, of which each has two neighbours in the same
    pixel.  The order of operations is that of the reference.
    """
    middle = data[1:-1, 1:-1]
    right = np.float32(4) * middle
    left = right - middle
    left -= data[1:-1, :-2]
    right -= data[1:-1, 2:]
    right -= middle
    vertical = data[1:, 1:-1] + data[:-1, 1:-1]
    up, down = vertical[:-1], vertical[1:]
    one, two, three, four = left - up, right - down, left - down, right - up
    for each in (one, two, three, four):
        np.maximum(each, np.float32(0), out=each)
    one += two
    three += four
    one += three
    one *= np.float32(0.25)
    return one


def _convolve(values: NDArray[Any], kernel: FloatArray) -> FloatArray:
    """Return the convolution with a kernel, summed in the reference's order."""
    half = max(kernel.shape) // 2
    rows, columns = len(values) - 2 * half, values.shape[1] - 2 * half
    result = np.zeros((rows, columns, values.shape[2]), np.float32)
    for dy, row in enumerate(kernel[::-1], start=half - kernel.shape[0] // 2):
        for dx, weight in enumerate(row[::-1], start=half - kernel.shape[1] // 2):
            result += weight * values[dy : dy + rows, dx : dx + columns]
    return result


def _median3(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    low, high = np.minimum(a, b), np.maximum(a, b)
    np.minimum(high, c, out=high)
    return np.maximum(low, high, out=low)


def _sorted_triples(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return least, middle and greatest of every 3 consecutive rows."""
    low, high = np.minimum(x[:-2], x[1:-1]), np.maximum(x[:-2], x[1:-1])
    middle = np.maximum(low, x[2:])
    np.minimum(low, x[2:], out=low)
    return low, np.minimum(middle, high), np.maximum(middle, high, out=high)


def _median5_rows(x: FloatArray) -> FloatArray:
    """Return the running median of 5 rows."""
    low, high = np.minimum(x[:-1], x[1:]), np.maximum(x[:-1], x[1:])
    # Without their least and greatest, of two pairs their middle two remain.
    return _median3(np.maximum(low[:-3], low[3:]), np.minimum(high[:-3], high[3:]), x[2:-2])


def _median7_rows(x: FloatArray) -> FloatArray:
    """Return the running median of 7 rows."""
    low, middle, high = _sorted_triples(x)
    a, b, c = low[:-4], middle[:-4], high[:-4]
    d, e, f = low[4:], middle[4:], high[4:]
    # The third and the fourth of the six around the centre enclose the median.
    third, other = np.maximum(b, d), np.maximum(a, e)
    np.minimum(third, other, out=third)
    np.minimum(third, np.minimum(c, f, out=other), out=third)
    fourth = np.minimum(b, f)
    np.maximum(fourth, np.minimum(c, e, out=other), out=fourth)
    np.maximum(fourth, np.maximum(a, d, out=other), out=fourth)
    np.minimum(fourth, x[3:-3], out=fourth)
    return np.maximum(third, fourth, out=third)


def _extreme3(extreme: np.ufunc, a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    result: FloatArray = extreme(a, b)
    extreme(result, c, out=result)
    return result


def _median9_rows(x: FloatArray) -> FloatArray:
    """Return the running median of 9 rows."""
    low, middle, high = _sorted_triples(x)
    return _median3(
        _extreme3(np.maximum, low[:-6], low[3:-3], low[6:]),
        _median3(middle[:-6], middle[3:-3], middle[6:]),
        _extreme3(np.minimum, high[:-6], high[3:-3], high[6:]),
    )


def _separable(
    median_rows: Callable[[FloatArray], FloatArray],
) -> Callable[[FloatArray], FloatArray]:
    """Return the filter by a running median within rows, then across them."""

    def median(x: FloatArray) -> FloatArray:
        return median_rows(median_rows(x.swapaxes(0, 1)).swapaxes(0, 1))

    return median


def _median3x3(x: FloatArray) -> FloatArray:
    low, middle, high = (each.swapaxes(0, 1) for each in _sorted_triples(x))
    return _median3(
        _extreme3(np.maximum, low[:-2], low[1:-1], low[2:]),
        _median3(middle[:-2], middle[1:-1], middle[2:]),
        _extreme3(np.minimum, high[:-2], high[1:-1], high[2:]),
    ).swapaxes(0, 1)


# Compare and exchange (i, j) of 5 rows: sorts them.
SORT5 = ((0, 3), (1, 4), (0, 2), (1, 3), (0, 1), (2, 4), (1, 2), (3, 4), (2, 3))
# The same of a 5x5 square, numbered row by row, whose columns are sorted: brings
# the median to its centre.  Found by a random search; tests prove it correct.
MEDIAN25 = (
    *((0, 3), (1, 3), (0, 1), (2, 4), (1, 2), (3, 4), (2, 3), (5, 8), (6, 9), (6, 8)),
    *((5, 6), (7, 9), (6, 7), (8, 9), (7, 8), (10, 13), (11, 14), (10, 12), (11, 13)),
    *((10, 11), (12, 14), (11, 12), (13, 14), (12, 13), (16, 19), (15, 17), (16, 18)),
    *((15, 16), (17, 19), (16, 17), (17, 18), (20, 23), (21, 24), (20, 22), (21, 23)),
    *((20, 21), (22, 24), (21, 22), (11, 3), (7, 15), (20, 4), (12, 8), (17, 13), (3, 15)),
    *((20, 12), (4, 8), (16, 17), (4, 12), (21, 17), (16, 9), (15, 4), (4, 12), (4, 21)),
    *((15, 4), (12, 16), (4, 12)),
)
CENTRE25 = 12


def _exchanges(network: tuple[tuple[int, int], ...], wanted: set[int]) -> list[tuple[int, int, bool, bool]]:
    """Return (i, j, is the lesser needed, is the greater needed) of a network."""
    needed = set(wanted)
    steps = []
    for i, j in reversed(network):
        if i in needed or j in needed:
            steps.append((i, j, i in needed, j in needed))
            needed |= {i, j}
    return steps[::-1]


_SORT5 = _exchanges(SORT5, set(range(5)))
_MEDIAN25 = _exchanges(MEDIAN25, {CENTRE25})


def _exchange(x: list[FloatArray], steps: list[tuple[int, int, bool, bool]]) -> None:
    for i, j, lesser, greater in steps:
        low = np.minimum(x[i], x[j]) if lesser else x[i]
        if greater:
            x[j] = np.maximum(x[i], x[j])
        x[i] = low


def _median5x5(x: FloatArray) -> FloatArray:
    height, width = len(x) - 4, x.shape[1] - 4
    rows = [x[i : i + height] for i in range(5)]
    _exchange(rows, _SORT5)
    square = [row[:, i : i + width] for row in rows for i in range(5)]
    _exchange(square, _MEDIAN25)
    return square[CENTRE25]


def _median7x7(x: FloatArray) -> FloatArray:
    """Return the median of windows of 7x7 pixels."""
    windows = sliding_window_view(x, (7, 7), axis=(0, 1))
    return np.partition(windows.reshape(*windows.shape[:3], 49), 24, axis=-1)[..., 24]


class _Medians(NamedTuple):
    """The median filters of the algorithm, and half their widths."""

    noise: Callable[[FloatArray], FloatArray]  # of the variance and the significance
    noise_width: int
    fine: Callable[[FloatArray], FloatArray]
    fine_width: int
    large: Callable[[FloatArray], FloatArray]
    large_width: int
    large_sides: tuple[int, ...]  # squares worth filtering as a whole


SEPARABLE = _Medians(_separable(_median7_rows), 3, _separable(_median5_rows), 2, _separable(_median9_rows), 4, SIDES)
FULL = _Medians(_median5x5, 2, _median3x3, 1, _median7x7, 3, ())


# --- cleaning: (25, n) pixels of 5x5 to n values ------------------------------------


def _mean(values: FloatArray, bad: BoolArray) -> FloatArray:
    """Return the mean of the good pixels, NaN if there is none."""
    total = np.zeros(values.shape[1], np.float32)
    for row in np.where(bad, np.float32(0), values):
        total += row  # one by one, the order of the reference
    return total / (len(bad) - np.count_nonzero(bad, axis=0)).astype(np.float32)


def _inverse_distance_mean(values: FloatArray, bad: BoolArray) -> FloatArray:
    """Return the mean of the good pixels, weighted by 1 / distance to the centre."""
    steps = np.arange(-2, 3)
    distance = np.hypot(steps[:, None], steps).ravel()
    weights = np.divide(1, distance, out=np.zeros(25), where=distance > 0).astype(np.float32)
    total, weight_sum = np.zeros((2, values.shape[1]), np.float32)
    for value, weight, masked in zip(values, weights, bad, strict=True):
        total += np.where(masked, np.float32(0), weight * value)
        weight_sum += np.where(masked, np.float32(0), weight)
    return total / weight_sum


def _masked_median(values: FloatArray, bad: BoolArray) -> FloatArray:
    """Return the median of the good pixels, the lower one of two."""
    ordered = np.sort(np.where(bad, np.float32(np.inf), values), axis=0)
    middle = (24 - np.count_nonzero(bad, axis=0)) // 2
    return ordered[middle.clip(0), np.arange(middle.size)]


def _median(values: FloatArray, bad: BoolArray) -> FloatArray:
    """Return the median of all pixels, good or bad."""
    return np.partition(values, 12, axis=0)[12]


CLEANERS: dict[str, Callable[[FloatArray, BoolArray], FloatArray]] = {
    "meanmask": _mean,
    "medmask": _masked_median,
    "median": _median,
    "idw": _inverse_distance_mean,
}


# --- reductions to tiles -------------------------------------------------------------


def _reduce_to_tiles(extreme: np.ufunc, image: FloatArray, tiles: FloatArray) -> None:
    """Reduce every TILE x TILE pixels to one; at the end they may be fewer."""
    ny, nx = image.shape
    whole = ny // TILE
    rows = np.empty((len(tiles), nx), np.float32)
    extreme.reduce(image[: whole * TILE].reshape(whole, TILE, nx), axis=1, out=rows[:whole])
    if whole < len(tiles):
        extreme.reduce(image[whole * TILE :], axis=0, out=rows[whole])
    whole = nx // TILE
    columns = rows[:, : whole * TILE]
    for _ in range(TILE.bit_length() - 1):  # faster than to reduce by few at a time
        columns = extreme(columns[:, ::2], columns[:, 1::2])
    tiles[:, :whole] = columns
    if whole < tiles.shape[1]:
        extreme.reduce(rows[:, whole * TILE :], axis=1, out=tiles[:, whole])


def _around(extreme: np.ufunc, tiles: FloatArray) -> FloatArray:
    """Return the extreme over each tile and its eight neighbours."""
    padded = np.pad(tiles, 1, mode="edge")
    rows = extreme(extreme(padded[:-2], padded[1:-1]), padded[2:])
    result: FloatArray = extreme(extreme(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return result


def _parts(size: int, most: int) -> list[slice]:
    """Cut a range into slices."""
    return [slice(start, start + most) for start in range(0, size, most)]


def _sorted_distinct(values: IndexArray) -> IndexArray:
    ordered = np.sort(values)  # much faster than the hashing of numpy.unique
    return ordered[np.diff(ordered, prepend=-1) != 0]


def _packed(flags: BoolArray) -> PackedFlags:
    """Pack (n, 25) flags into (n, 4) bytes."""
    return np.packbits(flags, axis=1)


def _unpacked(packed: PackedFlags) -> BoolArray:
    return np.unpackbits(packed, axis=1, count=25).view(np.bool_)


def _scaled(image: NDArray[Any], factor: np.float32) -> FloatArray:
    """Return the image times a factor, as float32 in C order."""
    result = np.empty(image.shape, np.float32)
    # With a Python float the type of the image alone decides how to multiply.
    return np.multiply(image, float(factor), out=result, casting="unsafe")


def median_of(parts: Callable[[], Iterable[NDArray[Any]]], dtype: DTypeLike = np.float32, upper: bool = False) -> Any:
    """Return the lower median of values, or the upper one, of which there may be more than memory holds.

    Parameters
    ----------
    parts : callable
        Gives all values, in arrays. It is called once for every 16 bits of a value.
    dtype : dtype
        Of the values: float32 or float64.
    upper : bool
        Which of two it shall be where their number is even.

    Returns
    -------
    float32 or float64
        0 if there is no value.
    """
    value = np.dtype(dtype)
    key = np.dtype(f"u{value.itemsize}")
    bits = 8 * value.itemsize
    sign = key.type(1 << bits - 1)
    known = rank = 0
    for shift in range(bits - 16, -1, -16):  # digits of 16 bits, the highest first
        counts = np.zeros(1 << 16, np.intp)
        for part in parts():
            for piece in _parts(part.size, PIECE):
                keys = part[piece].view(key)
                keys = np.where(keys & sign, ~keys, keys | sign)  # in the order of the values
                if shift < bits - 16:
                    keys = keys[keys >> key.type(shift + 16) == known]
                counts += np.bincount((keys >> key.type(shift)).astype(np.uint16), minlength=counts.size)
        if not counts.any():
            return value.type(0)
        if shift == bits - 16:
            rank = (int(counts.sum()) - 1 + upper) // 2
        digit = int(np.searchsorted(counts.cumsum(), rank, side="right"))
        rank -= int(counts[:digit].sum())
        known = known << 16 | digit
    found = key.type(known)
    return (found ^ sign if found & sign else ~found).view(value)


def _grown_by_one(mask: BoolArray) -> BoolArray:
    """Grow a mask to the eight neighbours; the outermost pixels stay as they are."""
    grown = mask.copy()
    across = mask[:, :-2] | mask[:, 1:-1] | mask[:, 2:]
    grown[1:-1, 1:-1] = across[:-2] | across[1:-1] | across[2:]
    return grown


def _grown_by_two(mask: BoolArray) -> BoolArray:
    """Grow a mask to 5x5 without its corners; the outermost two pixels stay."""
    grown = mask.copy()
    three = mask[:, :-2] | mask[:, 1:-1] | mask[:, 2:]
    five = three[:, :-2] | three[:, 2:]
    grown[2:-2, 2:-2] = five[1:-3] | five[2:-2] | five[3:-1] | three[:-4, 1:-1] | three[4:, 1:-1]
    return grown


# --- point-spread functions ------------------------------------------------------------


def _psf_kernel(model: str, fwhm: float, size: int, beta: float) -> FloatArray:
    """Return a normalised PSF on size x size pixels."""
    steps = np.arange(size) - size // 2
    x2, y2 = np.meshgrid(steps * steps, steps * steps)
    if model == "moffat":
        alpha = fwhm / 2 / np.sqrt(np.power(2, 1 / beta) - 1)
        radius = np.sqrt(x2 + y2)
        profile = (1 + radius * radius / alpha / alpha) ** -beta
    else:
        r2 = {"gauss": x2 + y2, "gaussx": x2, "gaussy": y2}[model]
        # Rounded where the reference rounds.
        sigma2 = float(np.float32(fwhm) * np.float32(fwhm)) / 2.35482 / 2.35482
        profile = np.exp(-0.5 * r2 / sigma2)
    kernel = profile.astype(np.float32)
    return kernel / kernel.sum()


# --- arguments ---------------------------------------------------------------------------


def _image(name: str, value: ArrayLike, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
    """Return a 2-D array of real numbers, of the given shape if there is one."""
    try:
        image = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not an array: {error}") from None
    if image.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers, not {image.dtype}")
    if image.ndim == 0:
        raise TypeError(f"{name} must be a 2-D image, not {value!r}")
    if image.ndim != 2 or not image.size:
        raise ValueError(f"{name} must be a 2-D image that is not empty; its shape is {image.shape}")
    if shape is not None and image.shape != shape:
        raise ValueError(f"{name} must have the shape of indat, {shape}, not {image.shape}")
    return image


def _number(name: str, value: float, *, positive: bool = False, infinite: bool = False) -> np.float32:
    """Return a parameter as float32, if it is in its range."""
    if isinstance(value, str | bytes) or np.ndim(value):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(number)
    if math.isnan(number) or number < 0 or (positive and not single) or not (infinite or np.isfinite(single)):
        least = "positive" if positive else "zero or positive"
        raise ValueError(f"{name} must be {least}{'' if infinite else ' and finite'}, not {value!r}")
    return single


def _given_kernel(value: ArrayLike) -> FloatArray:
    """Return a PSF kernel as float32, if it has a centre and is finite."""
    kernel = _scaled(_image("psfk", value), np.float32(1))
    for side in kernel.shape:
        _odd("each side of psfk", side)
    if not np.isfinite(kernel).all():
        raise ValueError("psfk must be finite")
    return kernel


def _count(name: str, value: int) -> int:
    """Return a parameter that must be a whole number, zero or positive."""
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if count < 0:
        raise ValueError(f"{name} must be zero or positive, not {value!r}")
    return count


def _odd(name: str, value: int) -> int:
    count = _count(name, value)
    if count % 2 == 0:
        raise ValueError(f"{name} must be odd, not {value!r}")
    return count


def _flag(name: str, value: bool) -> bool:
    if not isinstance(value, bool | int | np.bool_):
        raise TypeError(f"{name} must be true or false, not {value!r}")
    return bool(value)


def _choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {value!r}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return value
