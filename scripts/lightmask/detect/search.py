"""Search an image band by band.

Just the medians that stand in where nothing good is near are of all bands.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from lightmask.detect.arguments import Parameters
from lightmask.detect.bands import Band, cut_into_bands
from lightmask.detect.detector import Detector
from lightmask.detect.electrons import Electrons, Images
from lightmask.detect.levels import Levels
from lightmask.detect.preparation import prepare
from lightmask.detect.reach import overlap


def search(
    read: Callable[[slice], Images],
    shape: tuple[int, ...],
    parameters: Parameters,
    take: Callable[[Band, Electrons], None],
    verbose: bool,
) -> tuple[int, ...]:
    """Find all cosmic rays; return the number of their pixels in each iteration.

    Parameters
    ----------
    read : callable
        Returns the images of a slice of rows.
    shape : (int, int)
        Of the whole image.
    parameters : Parameters
    take : callable
        Gets each band when it is done, and its pixels; what it gets last counts.
    verbose : bool
        Print the numbers.
    """
    niter = parameters.niter
    bands = cut_into_bands(shape, overlap(parameters.medians, parameters.side, niter))
    levels = Levels(read, bands, parameters)
    # Where nothing is found nothing changes any more, but by the plain median of
    # cosmic pixels: there all bands have to end with the same iteration.
    to_the_end = parameters.cleantype == "median" and len(bands) > 1

    def iterate(most: int) -> tuple[int, ...]:
        """Search each band; return the numbers of pixels found, up to the first zero."""
        found = [0] * most
        for band in bands:
            image = _search_band(band, read, parameters, levels, found, to_the_end)
            take(band, image)
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
    read: Callable[[slice], Images],
    parameters: Parameters,
    levels: Levels,
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
    return image
