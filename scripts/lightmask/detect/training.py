"""What the training of the net needs: its inputs at chosen pixels, with truth beside them elsewhere.

An image comes in; seeds and inputs go out, the same that `trace_cosmics` uses.
"""

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray
from lightmask.detect.contrast import Contrast, stands_out
from lightmask.detect.detector import Detector
from lightmask.detect.electrons import Images
from lightmask.detect.growth import LEAST_CONTRAST
from lightmask.detect.net import HALF, OF_IMAGE, OF_PIXEL, inputs
from lightmask.detect.starimage import measured
from lightmask.detect.trace import parameters_of, prepared


class Candidates:
    """Pixels of an image that the net may be asked about.

    Parameters
    ----------
    image : (ny, nx) array
        [adu]
    mask : (ny, nx) bool array
        Known bad pixels.
    gain, readnoise, satlevel : float
        [electron/adu], [electron], [electron]

    Attributes
    ----------
    seeds : (ny, nx) bool array
    """

    def __init__(self, image: FloatArray, mask: BoolArray, gain: float, readnoise: float, satlevel: float) -> None:
        images, parameters = Images(image, mask), parameters_of(gain, readnoise, satlevel)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            frame = measured(lambda rows: Images(image[rows], mask[rows]), image.shape, parameters)
            electrons, tiles = prepared(images, parameters, frame)
            self.seeds = np.zeros(image.shape, np.bool_)
            self.seeds.ravel()[Detector(electrons, tiles, parameters).first_seeds()] = True
        self._star, self._contrast = frame.star, Contrast(electrons, frame.surroundings)

    def stand_out(self, pixels: IndexArray) -> BoolArray:
        """Return which pixels have contrast enough.

        Parameters
        ----------
        pixels : (n,) int array

        Returns
        -------
        (n,) bool array
        """
        self._contrast.provide(pixels, HALF)
        return stands_out(self._contrast, self._contrast.places(pixels), LEAST_CONTRAST)

    def inputs(self, pixels: IndexArray) -> NDArray[np.int16]:
        """Return the inputs of pixels.

        Parameters
        ----------
        pixels : (n,) int array

        Returns
        -------
        (n, OF_PIXEL + OF_IMAGE) int16 array
        """
        self._contrast.provide(pixels, HALF)
        result = np.empty((pixels.size, OF_PIXEL + OF_IMAGE), np.int16)
        result[:, :OF_PIXEL] = inputs(self._contrast, self._contrast.places(pixels))
        result[:, OF_PIXEL:] = self._star
        return result
