"""Medians of the whole image, which stand in where nothing good is near."""

from collections.abc import Callable, Iterator

import numpy as np

from lightmask.detect.arguments import Parameters
from lightmask.detect.arrays import FloatArray
from lightmask.detect.bands import Band
from lightmask.detect.electrons import Electrons, Images, in_electrons
from lightmask.detect.preparation import prepare
from lightmask.detect.selection import median_of


class Levels:
    """Medians over all bands of the whole image; each is computed once, when it is asked for.

    Parameters
    ----------
    read : callable
        Returns the images of a slice of rows.
    bands : list of Band
        Of the whole image.
    parameters : Parameters
    """

    def __init__(self, read: Callable[[slice], Images], bands: list[Band], parameters: Parameters) -> None:
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
            What is searched at present, and need not be read again.
        image : Electrons
            Its pixels.
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
        """Return data and variance that stand in where all of 5x5 is bad."""
        level = self.good("data", present, image)
        if not image.has_given_variance:
            return level, level + image.variance.of_read_noise  # rounding keeps the order
        return level, self.good("variance", present, image)
