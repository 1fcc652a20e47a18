"""Cosmic rays by L.A.Cosmic, which finds where they are, and a small net, which decides how far each of them reaches.

An image comes in, or is read in bands; a mask goes out, and what is known of each event.

1. A sample of the image says how bright the sky is, and what stars look like (`starimage`).
2. L.A.Cosmic with low thresholds finds seeds: most rays, and also peaks of stars (`detector`).
3. Each seed, and each pixel next to what was accepted, gets a score from the contrast of the pixels around it
   (`contrast`, `net`, `growth`).  Nothing else of the image is looked at.
4. What touches makes up an event.  It is a cosmic ray if the net is sure of one of its seeds, and of a long one
   on the whole.

All that decides is computed in whole numbers, or in float32 by operations that IEEE 754 defines to the last bit:
each machine, and any number of bands, gives the same mask.

References
----------
.. [1] van Dokkum, P. G. 2001, PASP, 113, 1420 (L.A.Cosmic)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightmask.detect import arguments
from lightmask.detect.api import CosmicRays
from lightmask.detect.arguments import Parameters, check_parameters
from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray, parts, scaled
from lightmask.detect.bands import Band, cut_into_bands, rows_of_band
from lightmask.detect.cleaning import CLEANING, mean
from lightmask.detect.contrast import WIDTH, Contrast
from lightmask.detect.detector import Detector, reach
from lightmask.detect.electrons import Electrons, Images
from lightmask.detect.growth import STEPS, Scored, events_of, grown, sure_events
from lightmask.detect.medians import SEPARABLE
from lightmask.detect.net import HALF, PER_LOGIT
from lightmask.detect.preparation import STAR_GROWTH, prepare
from lightmask.detect.starimage import Frame, measured

SEEDS = {"sigclip": 5.0, "sigfrac": 1.0, "objlim": 2.0, "niter": 1}
OTHERS = {
    "sepmed": True,
    "cleantype": "meanmask",
    "fsmode": "median",
    "psfmodel": "gauss",
    "psffwhm": 2.5,
    "psfsize": 7,
    "psfk": None,
    "psfbeta": 4.765,
}
RIM = 8  # rows and columns that are added at the edges of an image, where L.A.Cosmic finds no seeds [pixels]
AT_A_TIME = 1 << 15  # pixels that are cleaned at a time
AROUND = CLEANING + max(WIDTH + STAR_GROWTH + reach(SEPARABLE, 0), HALF + WIDTH) + STEPS
"""How far away a pixel can be to change the result of another."""


class Events(NamedTuple):
    """The cosmic rays of an image, in the order of their first pixels.

    Attributes
    ----------
    y, x : (n,) int array
        Row and column of the best seed of each.
    pixels : (n,) int array
        Number of pixels of each.
    score : (n,) float32 array
        How sure the net is, between 0 and 1: its output at the best seed, as a probability.
    """

    y: IndexArray
    x: IndexArray
    pixels: IndexArray
    score: FloatArray


class TracedRays(CosmicRays):
    """What `trace_cosmics` returns: the pair ``(crmask, cleanarr)``, counts, and events.

    Parameters
    ----------
    crmask, cleanarr, counts
        As of `CosmicRays`; there is one count.

    Attributes
    ----------
    events : Events
    """

    events: Events


def trace_cosmics(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    gain: float,
    readnoise: float,
    satlevel: float,
    variance: ArrayLike | None = None,
    background: ArrayLike | None = None,
) -> TracedRays:
    """Find and clean cosmic rays in one image: seeds by L.A.Cosmic, grown by a small net.

    Parameters
    ----------
    image : (ny, nx) array_like of real numbers
        Image [adu], sky included.  It is never changed.  Pixels that are not finite count as masked.
    mask : (ny, nx) array_like, optional
        True (or nonzero) where a pixel is bad.  Bad pixels are not flagged, and those around them see a local mean
        instead.
    gain : float
        Gain [electron/adu].
    readnoise : float
        Read noise [electron].
    satlevel : float
        Level at which a pixel is saturated [electron].
    variance : (ny, nx) array_like, optional
        Variance [adu^2], used instead of that of counts and read noise.
    background : (ny, nx) array_like, optional
        Background [adu], subtracted before detection and added back after.

    Returns
    -------
    TracedRays
        The pair ``(crmask, cleanarr)``, bool and float32 of the shape of the image. Its attribute ``counts``
        holds the number of cosmic pixels, ``events`` where each event is, its size and its score.

    Raises
    ------
    TypeError
        If an argument is not of the right kind.
    ValueError
        If an image is empty or of the wrong shape, or a parameter is outside its range.

    Notes
    -----
    The weights, what they were trained on, and how right they are: ``trace_weights.md`` beside this module, and
    ``docs/accuracy.md``.

    Examples
    --------
    >>> import numpy as np
    >>> from lightmask.detect import trace_cosmics
    >>> image = np.random.default_rng(1).poisson(100, (60, 50)).astype(np.float32)
    >>> image[20, 30:33] += 2000
    >>> result = trace_cosmics(image, gain=1.0, readnoise=5.0, satlevel=60_000.0)
    >>> np.argwhere(result.crmask).tolist()
    [[20, 30], [20, 31], [20, 32]]
    >>> result.events.pixels.tolist(), bool(result.events.score[0] > 0.9)
    ([3], True)
    """
    given = arguments.image("image", image)
    others = [
        None if value is None else arguments.image(name, value, given.shape, like="image")
        for name, value in (("mask", mask), ("background", background), ("variance", variance))
    ]
    images = Images(given, *others)

    def read(rows: slice) -> Images:
        return Images(images.data[rows], *(None if each is None else each[rows] for each in images[1:]))

    parameters = parameters_of(gain, readnoise, satlevel)
    frame, found = _traced(read, (given.shape[0], given.shape[1]), parameters)
    crmask, events = _as_mask(found, given.shape)
    sky = frame.surroundings.sky / parameters.gain
    result = TracedRays(crmask, _cleaned(images, crmask, sky), (int(np.count_nonzero(crmask)),))
    result.events = events
    return result


def _cleaned(images: Images, crmask: BoolArray, sky: np.float32) -> FloatArray:
    """Return an image in which the mean of the good pixels in 5x5 replaces each cosmic pixel, or the sky."""
    cleaned = scaled(images.data, np.float32(1))
    unusable = crmask | ~np.isfinite(cleaned)
    if images.mask is not None:
        unusable |= images.mask != 0
    y, x = np.divmod(np.flatnonzero(crmask), crmask.shape[1])
    steps = np.arange(-CLEANING, CLEANING + 1)
    for part in parts(y.size, AT_A_TIME):
        rows, columns = (
            (place[part] + step[:, None]) for place, step in ((y, np.repeat(steps, 5)), (x, np.tile(steps, 5)))
        )
        outside = (rows < 0) | (columns < 0) | (rows >= crmask.shape[0]) | (columns >= crmask.shape[1])
        around = np.where(outside, 0, rows), np.where(outside, 0, columns)
        values, own = cleaned[around], np.zeros(y[part].size, np.float32)
        if images.background is not None:
            values = values - images.background[around].astype(np.float32)
            own = images.background[y[part], x[part]].astype(np.float32)
        bad = outside | unusable[around]
        with np.errstate(invalid="ignore", over="ignore"):  # where nothing is good; extreme values
            replaced = mean(values, bad) + own
        cleaned[y[part], x[part]] = np.where(bad.all(axis=0), sky, replaced)
    return cleaned


def trace_in_bands(
    read: Callable[[slice], tuple[Any, ...]],
    shape: tuple[int, int],
    *,
    gain: float,
    readnoise: float,
    satlevel: float,
) -> tuple[BoolArray, Events]:
    """Find the cosmic rays of an image that is read in bands, as `trace_cosmics` does.

    Parameters
    ----------
    read : callable
        Returns image [adu] and mask (or None) of a slice of rows, and, if there are such, the
        background [adu] and the variance [adu^2]; it is called for the same rows more than once.
    shape : (int, int)
        Of the whole image [pixel].
    gain, readnoise, satlevel : float
        As of `trace_cosmics`.

    Returns
    -------
    crmask : (ny, nx) bool array
        True where a cosmic ray was found.
    events : Events

    Raises
    ------
    TypeError, ValueError
        As `trace_cosmics`, and what `read` raises.
    """
    _, found = _traced(lambda rows: Images(*read(rows)), shape, parameters_of(gain, readnoise, satlevel))
    return _as_mask(found, shape)


def parameters_of(gain: float, readnoise: float, satlevel: float) -> Parameters:
    """Return the checked parameters of L.A.Cosmic with which seeds are found."""
    return check_parameters(**SEEDS, gain=gain, readnoise=readnoise, satlevel=satlevel, **OTHERS)  # type: ignore[arg-type]


def pixels_of_trace(shape: tuple[int, int]) -> int:
    """Return how many pixels of an image `trace_in_bands` holds at a time, at the most.

    Parameters
    ----------
    shape : (int, int)
        Of the image.

    Returns
    -------
    int
    """
    rows = max(band.around.stop - band.around.start for band in _bands(shape))
    return (rows + 2 * RIM) * (shape[1] + 2 * RIM)


def _bands(shape: tuple[int, ...]) -> list[Band]:
    return cut_into_bands(shape, rows_of_band(shape, AROUND), AROUND)


def prepared(images: Images, parameters: Parameters, frame: Frame) -> tuple[Electrons, Any]:
    """Return an image in electrons, bad pixels filled, and the extremes of its tiles."""
    return prepare(images, parameters, lambda number: frame.surroundings[number // 2], fill_bad=True)


def _traced(read: Callable[[slice], Images], shape: tuple[int, int], parameters: Parameters) -> tuple[Frame, Scored]:
    """Return what is measured of an image, and the pixels of its cosmic rays."""
    found: list[Scored] = []
    # Overflow of extreme values gives infinities, which compare as they should.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        frame = measured(read, shape, parameters)
        for band in _bands(shape):
            first, end = (row * shape[1] for row in (band.within.start, band.within.stop))
            edges = band.around.start == 0, band.around.stop == shape[0]
            scored = _traced_pixels(read(band.around), parameters, frame, edges)
            own = (scored.pixels >= first) & (scored.pixels < end)
            pixels = scored.pixels[own].astype(np.int64) + band.around.start * shape[1]
            found.append(Scored(pixels, scored.score[own], scored.is_seed[own]))
    return frame, Scored(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _traced_pixels(images: Images, parameters: Parameters, frame: Frame, edges: tuple[bool, bool]) -> Scored:
    """Return the pixels of one band that the net accepts; arguments are those of `ready`."""
    image, seeds, bad = ready(images, parameters, frame, edges)
    found = grown(seeds, image, bad, Contrast(image, frame.surroundings), frame.star)
    y, x = np.divmod(found.pixels.astype(np.int64), image.shape[1])
    return found._replace(pixels=(y - RIM * edges[0]) * images.data.shape[1] + x - RIM)


def ready(
    images: Images, parameters: Parameters, frame: Frame, edges: tuple[bool, bool]
) -> tuple[Electrons, IndexArray, BoolArray]:
    """Return one band with a rim where the image ends, its seeds, and the pixels that are never flagged.

    Parameters
    ----------
    images : Images
    parameters : Parameters
    frame : Frame
    edges : (bool, bool)
        Whether the band begins with the first row of the image, and ends with its last.
    """
    before, after = (RIM * edge for edge in edges)
    rim = ((before, after), (RIM, RIM))
    others = (None if each is None else np.pad(each, rim, mode="reflect") for each in images[1:])
    image, tiles = prepared(Images(np.pad(images.data, rim, mode="reflect"), *others), parameters, frame)
    seeds = Detector(image, tiles, parameters).first_seeds()
    bad = np.ones(image.shape, np.bool_)
    bad[before : image.shape[0] - after, RIM:-RIM] = False
    bad.ravel()[image.not_finite] = True
    return image, seeds, bad


def _as_mask(found: Scored, shape: tuple[int, ...]) -> tuple[BoolArray, Events]:
    """Return the mask of those events whose best seed is sure, and these events."""
    crmask = np.zeros(shape, np.bool_)
    number = events_of(found.pixels, shape[1])
    sure, best = sure_events(found, number)
    kept = sure[number]
    crmask.ravel()[found.pixels[kept]] = True
    is_best = np.flatnonzero(kept & found.is_seed & (found.score == best[number]))
    is_best = is_best[np.unique(number[is_best], return_index=True)[1]]
    y, x = np.divmod(found.pixels[is_best], shape[1])
    sizes: NDArray[np.intp] = np.bincount(number, minlength=best.size)[sure]
    score = 1 / (1 + np.exp(-best[sure].astype(np.float32) / PER_LOGIT))
    return crmask, Events(y, x, sizes, score.astype(np.float32))
