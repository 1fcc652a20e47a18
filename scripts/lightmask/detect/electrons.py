"""An image in electrons while it is cleaned: pixels, their variance, and what is bad or cosmic.

In come the images as they were given; out go pixels at any time, and at the end the cleaned image.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightmask.detect.arrays import BoolArray, FloatArray, IndexArray, scaled
from lightmask.detect.selection import PIECE

FEW = 100  # up to one pixel in so many, a list is better than an image
MIN_VARIANCE = np.float32(1e-5)  # [electron^2]


class Images(NamedTuple):
    """All images, or the same rows of each, as they were given."""

    data: NDArray[Any]
    mask: NDArray[Any] | None
    background: NDArray[Any] | None = None
    variance: NDArray[Any] | None = None


def in_electrons(images: Images, gain: np.float32) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """Return data, background and variance in electrons."""
    background = None if images.background is None else scaled(images.background, gain)
    variance = None if images.variance is None else scaled(images.variance, gain * gain)
    if variance is not None and background is not None:
        variance -= background
    return scaled(images.data, gain), background, variance


class Variance:
    """The variance of each pixel [electron^2].

    It is an image, or else data and read noise make it up.  That of cosmic pixels is cleaned by
    itself, and rounding tells it from that of the cleaned data: if it is of few pixels a sorted list
    holds it, else an image.

    Attributes
    ----------
    image : (ny, nx) array or None
    of_read_noise : float32
    pixels, values : 1-D arrays
        The list: cosmic pixels in order, and their variance.
    """

    def __init__(
        self, image: FloatArray | None, of_read_noise: np.float32, index_dtype: np.dtype[np.integer[Any]]
    ) -> None:
        self.image, self.of_read_noise = image, of_read_noise
        self.pixels = np.zeros(0, index_dtype)
        self.values = np.zeros(0, np.float32)

    def at(self, index: IndexArray, data: FloatArray, crmask: BoolArray) -> FloatArray:
        """Return the variance at pixels that have the given data."""
        if self.image is not None:
            return self.image.ravel().take(index, mode="clip")
        variance = data + self.of_read_noise
        if self.pixels.size:
            index = index.ravel()
            place = np.flatnonzero(crmask.ravel().take(index, mode="clip"))
            variance.ravel()[place] = self.values[np.searchsorted(self.pixels, index[place])]
        return variance

    def make_room(self, new: IndexArray, data: FloatArray, many: bool) -> None:
        """Make room for new cosmic pixels, in an image if there are or will be many."""
        if self.image is not None:
            return
        if many or self.pixels.size + new.size > data.size // FEW:
            self.image = data + self.of_read_noise
            self.image.ravel()[self.pixels] = self.values
            return
        pixels = np.concatenate([self.pixels, new])
        values = np.concatenate([self.values, data.ravel()[new] + self.of_read_noise])
        order = np.argsort(pixels)
        self.pixels, self.values = pixels[order], values[order]

    def places(self, pixels: IndexArray) -> tuple[FloatArray, IndexArray]:
        """Return the array that holds the variance of cosmic pixels, and their places therein."""
        if self.image is None:
            return self.values, np.searchsorted(self.pixels, pixels)
        return self.image.ravel(), pixels


class Electrons:
    """An image in electrons, as cleaned so far.

    Attributes
    ----------
    data : (ny, nx) array
        Less the background.
    background : (ny, nx) array or None
    variance : Variance
    mask : (ny, nx) bool array or None
        Pixels that are neither flagged nor used for cleaning.
    not_finite : 1-D array
        Pixels whose values were replaced, as they were not finite.
    crmask : (ny, nx) bool array
        The cosmic pixels found so far.
    seen : (ny, nx) bool array
        For `lightmask.detect.arrays.distinct` to work with.
    index_dtype : dtype
        Of pixels that are remembered; there may be very many, and most images need only 4 bytes each.
    """

    def __init__(
        self,
        images: Images,
        gain: np.float32,
        read_variance: np.float32,
        data: FloatArray,
        background: FloatArray | None,
        variance: FloatArray | None,
        mask: BoolArray | None,
        not_finite: IndexArray,
    ) -> None:
        self._given, self._given_variance, self._gain = images.data, images.variance, gain
        self.shape = data.shape
        self.index_dtype: np.dtype[np.integer[Any]] = np.dtype(np.int32 if data.size < 2**31 else np.int64)
        self.data, self.background, self.mask = data, background, mask
        self.variance = Variance(variance, read_variance, self.index_dtype)
        self.not_finite = not_finite
        self.crmask = np.zeros(data.shape, np.bool_)
        self.seen = np.zeros(data.shape, np.bool_)

    def cleaned(self) -> FloatArray:
        """Return the image in the units of the input.  Call once, at the end."""
        if self.background is not None:
            self.data += self.background
        if self.not_finite.size:  # what is not finite stays as it was
            self.data.flat[self.not_finite] = scaled(self._given.flat[self.not_finite], self._gain)
        if self._gain != 1:
            self.data /= self._gain
        return self.data

    def good_values(self, name: str, rows: slice) -> Iterator[FloatArray]:
        """Yield data or variance of the good pixels of some rows, as they were before any cleaning.

        Parameters
        ----------
        name : {'data', 'variance'}
            Without a given variance both are the data.
        rows : slice
        """
        image, given, factor = self.data, self._given, self._gain
        if name == "variance" and self.variance.image is not None and self._given_variance is not None:
            image, given, factor = self.variance.image, self._given_variance, self._gain * self._gain
        nx = self.shape[1]
        for start in range(rows.start * nx, rows.stop * nx, PIECE):
            piece = slice(start, min(start + PIECE, rows.stop * nx))
            values = image.ravel()[piece].copy()
            cosmics = np.flatnonzero(self.crmask.ravel()[piece])
            values[cosmics] = self._original(given, cosmics + start, factor)
            yield values if self.mask is None else values[~self.mask.ravel()[piece]]

    @property
    def has_given_variance(self) -> bool:
        """Whether the variance was given, not made up of data and read noise."""
        return self._given_variance is not None

    def _original(self, image: NDArray[Any], pixels: IndexArray, factor: np.float32) -> FloatArray:
        """Return the values of pixels before any cleaning."""
        values = scaled(image.flat[pixels], factor)
        if self.background is not None:
            values -= self.background.ravel()[pixels]
        return values
