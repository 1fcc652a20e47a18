"""Why one pixel is, or is not, a cosmic ray: the numbers with which the detectors decide.

An image, or a function that reads rows of it, and a pixel come in; numbers go out, which are those of the search.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lightmask.detect.arguments import Parameters, check_parameters
from lightmask.detect.bands import Band, Levels, rows_around
from lightmask.detect.contrast import PER_OCTAVE, Contrast, stands_out
from lightmask.detect.detector import Detector
from lightmask.detect.electrons import Electrons, Images
from lightmask.detect.growth import LEAST_CONTRAST, LEAST_OF_EVENT, LEAST_SCORE, events_of, grown, sure_events
from lightmask.detect.net import HALF, PER_LOGIT, scores
from lightmask.detect.preparation import STAR_GROWTH, prepare
from lightmask.detect.significance import fine_structure, laplacian_significance, median_subtracted
from lightmask.detect.starimage import measured
from lightmask.detect.trace import AROUND, RIM, parameters_of, ready
from lightmask.detect.windows import stacks

Read = Callable[[slice], tuple[Any, ...]]


class Iteration(NamedTuple):
    """What L.A.Cosmic computes of a pixel in one iteration.

    Attributes
    ----------
    value, noise : float
        Of the pixel, as the iteration finds it [electron].
    significance : float
        Laplacian in its noise, less the median of that around; to compare with `sigclip` [sigma].
    ratio : float
        Of significance and fine structure; to compare with `objlim`.
    is_seed, is_cosmic : bool
        Whether it passes all tests, and whether it is part of a ray, itself or beside a seed.
    """

    value: float
    noise: float
    significance: float
    ratio: float
    is_seed: bool
    is_cosmic: bool


class Lacosmic(NamedTuple):
    """Numbers of L.A.Cosmic.

    Attributes
    ----------
    is_bad : bool
        Whether the pixel is masked, or near a saturated star, and so never a cosmic ray.
    iterations : tuple of Iteration
        Up to the first in which it is part of a ray, or all that were made.
    """

    is_bad: bool
    iterations: tuple[Iteration, ...]


class Trace(NamedTuple):
    """Numbers of `trace_cosmics`.

    Attributes
    ----------
    is_bad : bool
        Whether the pixel is masked or not finite, and so never a cosmic ray.
    contrast : float
        By how much it exceeds the median around [sigma].
    is_seed : bool
        Whether L.A.Cosmic finds it, with low thresholds.
    score, least_score : float
        Output of the net, as a probability, and what it needs to be part of a ray.
    pixels : int
        Of the event that it is part of; 0 for none.
    of_event, least_of_event : float
        Best score of a seed of that event (NaN for none), and what it needs.
    is_cosmic : bool
        Whether that event is a cosmic ray.
    """

    is_bad: bool
    contrast: float
    is_seed: bool
    score: float
    least_score: float
    pixels: int
    of_event: float
    least_of_event: float
    is_cosmic: bool


def examine_cosmics(read: Read, shape: tuple[int, int], y: int, x: int, **parameters: Any) -> Lacosmic:
    """Return the numbers with which L.A.Cosmic decides on a pixel.

    Parameters
    ----------
    read : callable
        As `lightmask.detect.mask_cosmics` takes it.
    shape : (int, int)
        Of the whole image [pixel].
    y, x : int
        Row and column of the pixel.
    **parameters
        Those of `lightmask.detect.detect_cosmics` from `sigclip` to `psfbeta`, and `variant`.

    Returns
    -------
    Lacosmic

    Raises
    ------
    TypeError, ValueError
        As `lightmask.detect.detect_cosmics`.

    Notes
    -----
    Only what can change the pixel is searched. Medians of the whole image, which replace a cosmic pixel around
    which nothing is good, are those of this part.

    Examples
    --------
    >>> image = np.random.default_rng(1).poisson(100, (60, 50)).astype(np.float32)
    >>> image[20, 30:33] += 2000
    >>> from lightmask.detect import examine_cosmics
    >>> given = {"sigclip": 8.0, "sigfrac": 0.5, "objlim": 5.0, "gain": 1.0, "readnoise": 5.0, "satlevel": 6e4}
    >>> given |= {"niter": 4, "sepmed": True, "cleantype": "meanmask", "fsmode": "median", "psfmodel": "gauss"}
    >>> given |= {"psffwhm": 2.5, "psfsize": 7, "psfk": None, "psfbeta": 4.765, "variant": "astroscrappy"}
    >>> found = examine_cosmics(lambda rows: (image[rows], None), image.shape, 20, 31, **given)
    >>> [(each.significance > 8, each.is_seed, each.is_cosmic) for each in found.iterations]
    [(True, True, True)]
    """
    checked = check_parameters(**parameters)
    reach = rows_around(checked.medians, checked.side, checked.niter) + STAR_GROWTH
    rows, columns = (
        slice(max(place - reach, 0), min(place + reach + 1, length))
        for place, length in zip((y, x), shape, strict=True)
    )
    cut = _part(Images(*read(rows)), np.s_[:, columns])
    every = slice(0, cut.data.shape[0])
    whole = Band(every, every, every)
    levels = Levels(lambda part: _part(cut, part), [whole], checked)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        image, tiles = prepare(cut, checked, levels.finite)
        detector = Detector(image, tiles, checked)
        pixel = (y - rows.start) * image.shape[1] + x - columns.start
        done: list[Iteration] = []
        for _ in range(checked.niter):
            numbers = _numbers(pixel, image, checked)
            cosmics = detector.iterate(partial(levels.defaults, whole, image))
            done.append(Iteration(*numbers, bool((detector.seeds == pixel).any()), bool((cosmics == pixel).any())))
            if done[-1].is_cosmic or not cosmics.size:
                break
    return Lacosmic(bool(image.mask is not None and image.mask.ravel()[pixel]), tuple(done))


def _numbers(pixel: int, image: Electrons, parameters: Parameters) -> tuple[float, float, float, float]:
    """Return value, noise, significance and ratio of a pixel."""
    medians = parameters.medians
    y, x = (np.array([place]) for place in divmod(pixel, image.shape[1]))
    (_, windows), *_ = stacks(image.shape, y, x, 1, medians.noise_width)
    _, noise = laplacian_significance(windows, image, medians)
    (_, windows), *_ = stacks(image.shape, y, x, 1, 2 * medians.noise_width)
    significance = median_subtracted(windows, image, medians).ravel()
    fine = fine_structure(np.array([pixel]), noise.ravel(), image, medians, parameters.kernel)
    value, ratio = image.data.ravel()[pixel], significance[0] / fine[0]
    return float(value), float(noise.item()), float(significance[0]), float(ratio)


def _part(images: Images, part: Any) -> Images:
    """Return a part of images."""
    return Images(images.data[part], *(None if each is None else each[part] for each in images[1:]))


def examine_trace(
    read: Read, shape: tuple[int, int], y: int, x: int, *, gain: float, readnoise: float, satlevel: float
) -> Trace:
    """Return the numbers with which `trace_cosmics` decides on a pixel.

    Parameters
    ----------
    read : callable
        As `lightmask.detect.trace_in_bands` takes it.
    shape : (int, int)
        Of the whole image [pixel].
    y, x : int
        Row and column of the pixel.
    gain, readnoise, satlevel : float
        As of `lightmask.detect.trace_cosmics`.

    Returns
    -------
    Trace

    Raises
    ------
    TypeError, ValueError
        As `lightmask.detect.trace_cosmics`.

    Examples
    --------
    >>> image = np.random.default_rng(1).poisson(100, (60, 50)).astype(np.float32)
    >>> image[20, 30:33] += 2000
    >>> from lightmask.detect import examine_trace
    >>> numbers = {"gain": 1.0, "readnoise": 5.0, "satlevel": 6e4}
    >>> found = examine_trace(lambda rows: (image[rows], None), image.shape, 20, 31, **numbers)
    >>> found.is_cosmic, found.pixels, found.score > 0.9
    (True, 3, True)
    """
    parameters = parameters_of(gain, readnoise, satlevel)
    rows = slice(max(y - AROUND, 0), min(y + AROUND + 1, shape[0]))
    edges = rows.start == 0, rows.stop == shape[0]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        frame = measured(lambda part: Images(*read(part)), shape, parameters)
        image, seeds, bad = ready(Images(*read(rows)), parameters, frame, edges)
        contrast = Contrast(image, frame.surroundings)
        pixel = np.array([(y - rows.start + RIM * edges[0]) * image.shape[1] + x + RIM])
        contrast.provide(pixel, HALF)
        place = contrast.places(pixel)
        score = int(scores(contrast, place, frame.star)[0])
        found = grown(seeds, image, bad, contrast, frame.star)
    number = events_of(found.pixels, image.shape[1])
    own = np.flatnonzero(found.pixels == pixel[0])
    event = int(number[own[0]]) if own.size else -1
    sure, best = sure_events(found, number)
    step = int(contrast.steps.ravel()[place[0]])
    return Trace(
        is_bad=bool(bad.ravel()[pixel[0]]),
        contrast=_exponential(step),
        is_seed=bool((seeds == pixel[0]).any()),
        score=_probability(score) if stands_out(contrast, place, LEAST_CONTRAST)[0] else 0.0,
        least_score=_probability(LEAST_SCORE),
        pixels=int(np.count_nonzero(number == event)),
        of_event=_probability(int(best[event])) if own.size else float("nan"),
        least_of_event=_probability(LEAST_OF_EVENT),
        is_cosmic=bool(own.size and sure[event]),
    )


def _exponential(steps: int) -> float:
    """Return what `lightmask.detect.contrast.logarithm` makes steps of: between powers of two it is linear."""
    octaves, rest = divmod(abs(steps), PER_OCTAVE)
    return float(np.copysign(2.0**octaves * (1 + rest / PER_OCTAVE) - 1, steps))


def _probability(score: int) -> float:
    """Return a score of the net as a probability."""
    return float(1 / (1 + np.exp(-score / PER_LOGIT)))
