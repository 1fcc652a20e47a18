"""Search an image in bands of rows, so that only results are held for the whole of it.

In come a function that reads rows of an image and the checked parameters; each band goes out to a
function as soon as its cosmic rays are found and cleaned.

A band has enough rows around it to get, in all its iterations, what it gets as a part of the image.
Only the medians that replace what has no good pixel near are of all bands (`Levels`).
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from lightmask.detect.arguments import Parameters
from lightmask.detect.arrays import FloatArray
from lightmask.detect.cleaning import CLEANING, finish_as_original
from lightmask.detect.detector import Detector, reach
from lightmask.detect.electrons import Electrons, Images, in_electrons
from lightmask.detect.medians import SEPARABLE, Medians
from lightmask.detect.preparation import STAR_GROWTH, prepare
from lightmask.detect.selection import median_of

BAND_PIXELS = 1 << 24  # of a band, as far as LEAST_ROWS allows
LEAST_ROWS = 8  # of a band, in units of the rows above it: with fewer, much would be done twice

Read = Callable[[slice], Images]


class Band(NamedTuple):
    """Rows of the whole image that are searched at a time."""

    rows: slice  # whose result counts
    around: slice  # with those above and below that can change it
    within: slice  # `rows`, counted from the beginning of `around`


def rows_around(medians: Medians, side: int, niter: int) -> int:
    """Return how far away a pixel can be to change the result of another.

    Parameters
    ----------
    medians : Medians
    side : int
        Larger side of the kernel of ``fsmode='convolve'`` [pixel], 0 without one.
    niter : int
        Number of iterations, each with its cleaning.

    Returns
    -------
    int
        Rows that a band needs above and below.
    """
    bad_pixels = CLEANING + medians.noise_width + STAR_GROWTH
    return bad_pixels + niter * (reach(medians, side) + CLEANING)


def rows_of_band(shape: tuple[int, ...], around: int) -> int:
    """Return the number of rows of a band, without those around it: about as many in each."""
    number = -(-shape[0] // max(BAND_PIXELS // shape[1], LEAST_ROWS * around))
    return -(-shape[0] // number)


def cut_into_bands(shape: tuple[int, ...], rows: int, around: int) -> list[Band]:
    """Cut an image into bands.

    Parameters
    ----------
    shape : (int, int)
        Of the image.
    rows : int
        Of a band; the last one can have fewer.
    around : int
        Rows above and below each, as far as there are any.

    Returns
    -------
    list of Band
        From top to bottom.
    """
    bands = []
    for top in range(0, shape[0], rows):
        bottom = min(top + rows, shape[0])
        first = max(top - around, 0)
        last = min(bottom + around, shape[0])
        bands.append(Band(slice(top, bottom), slice(first, last), slice(top - first, bottom - first)))
    return bands


def bands_for(shape: tuple[int, ...], parameters: Parameters) -> list[Band]:
    """Cut an image into the bands in which `detect_cosmics` searches it."""
    around = rows_around(parameters.medians, parameters.side, parameters.niter)
    return cut_into_bands(shape, rows_of_band(shape, around), around)


def pixels_at_a_time(shape: tuple[int, int], niter: int, side: int = 0) -> int:
    """Return how many pixels of an image `mask_cosmics` holds at a time, at the most.

    Parameters
    ----------
    shape : (int, int)
        Of the image [pixel].
    niter : int
        Largest number of iterations.
    side : int
        Larger side of the kernel of ``fsmode='convolve'`` [pixel], 0 without one.

    Returns
    -------
    int
    """
    around = rows_around(SEPARABLE, side, niter)
    return min(rows_of_band(shape, around) + 2 * around, shape[0]) * shape[1]


def search(
    read: Read,
    bands: list[Band],
    parameters: Parameters,
    write: Callable[[Band, Electrons], None],
    verbose: bool = False,
) -> tuple[int, ...]:
    """Find and clean all cosmic rays of an image.

    Parameters
    ----------
    read : callable
        Returns the images of a slice of rows.
    bands : list of Band
        Of the whole image.
    parameters : Parameters
    write : callable
        Is called with each band when it is done, and its image. It may be called twice for the same
        band: the last call counts.
    verbose : bool
        Print the number of cosmic pixels of every iteration.

    Returns
    -------
    tuple of int
        Number of cosmic pixels found in each iteration, up to the first zero.
    """
    niter = parameters.niter
    levels = Levels(read, bands, parameters)
    # Where nothing is found nothing changes any more, but by the plain median of
    # cosmic pixels: there all bands have to end with the same iteration.
    to_the_end = parameters.cleantype == "median" and len(bands) > 1

    def iterate(most: int) -> tuple[int, ...]:
        """Search each band in at most so many iterations."""
        found = [0] * most
        for band in bands:
            image = _search_band(band, read, parameters, levels, found, to_the_end)
            write(band, image)
            del image  # before there is another
        return tuple(found[: found.index(0) + 1] if 0 in found else found)

    if verbose:
        print(f"Starting {niter} L.A.Cosmic iterations")
    # Overflow of extreme values gives infinities, which compare as they should.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        counts = iterate(niter)
        if to_the_end and len(counts) < niter:
            counts = iterate(len(counts))
    if verbose:
        for iteration, count in enumerate(counts, 1):
            print(f"Iteration {iteration}:\n{count} cosmic pixels this iteration")
    return counts


def _search_band(
    band: Band,
    read: Read,
    parameters: Parameters,
    levels: "Levels",
    found: list[int],
    to_the_end: bool,
) -> Electrons:
    """Search a band, and add the numbers of pixels found in its rows to those of each iteration."""
    image, tiles = prepare(read(band.around), parameters, levels.finite)
    detector = Detector(image, tiles, parameters)
    first, end = (row * image.shape[1] for row in (band.within.start, band.within.stop))
    for iteration in range(len(found)):
        cosmics = detector.iterate(partial(levels.defaults, band, image))
        found[iteration] += int(np.count_nonzero((cosmics >= first) & (cosmics < end)))
        if not cosmics.size and not to_the_end:
            break
        del cosmics  # there may be very many
    if parameters.medians.extends:
        finish_as_original(image, partial(levels.good, "data", band, image))
    return image


class Levels:
    """Medians over all bands of the whole image; each is computed once, when it is first needed.

    Parameters
    ----------
    read : callable
        Returns the images of a slice of rows.
    bands : list of Band
        Of the whole image.
    parameters : Parameters
    """

    def __init__(self, read: Read, bands: list[Band], parameters: Parameters) -> None:
        self._read, self._bands, self._parameters = read, bands, parameters
        self._known: dict[str | int, np.float32] = {}

    def finite(self, number: int) -> np.float32:
        """Return the median of what is finite in one of the images that `in_electrons` returns."""

        def values() -> Iterator[FloatArray]:
            for band in self._bands:
                image = in_electrons(self._read(band.rows), self._parameters.gain)[number]
                if image is not None:
                    yield image[np.isfinite(image)]

        if number not in self._known:
            self._known[number] = median_of(values)
        return self._known[number]

    def good(self, name: str, present: Band, image: Electrons) -> np.float32:
        """Return the median of data or variance over the good pixels, as they were before any cleaning.

        Parameters
        ----------
        name : {'data', 'variance'}
        present : Band
            The one that is being searched, which is not read again.
        image : Electrons
            Its image.
        """

        def values() -> Iterator[FloatArray]:
            for band in self._bands:
                prepared = (
                    image if band is present else prepare(self._read(band.around), self._parameters, self.finite)[0]
                )
                yield from prepared.good_values(name, band.within)

        if name not in self._known:
            self._known[name] = median_of(values)
        return self._known[name]

    def defaults(self, present: Band, image: Electrons) -> tuple[np.float32, np.float32]:
        """Return data and variance for cosmic pixels without a good pixel in 5x5."""
        level = self.good("data", present, image)
        if not image.has_given_variance:
            return level, level + image.variance.of_read_noise  # rounding keeps the order
        return level, self.good("variance", present, image)
