"""How large the noise of an image is, and whether gain, read noise and unit explain it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.night import Amplifier, Readout
from lightmask.quality.sample import middle_of, middles_of

FEWEST = 10_000
"""Pixels of a quarter of an image, from which on its noise is compared with that of others."""
ROWS, COLUMNS = 64, 512
"""Of which noise is measured: rows that are spread over the image, and of each so many pixels, from left to right."""
UNEXPLAINED_SKY = 0.3
"""The sky of an image, of that which is missing, below which it counts as subtracted."""
NEAR_ZERO = 0.5
"""In the noise of a pixel: how far from zero the median is where the sky was subtracted."""
NEAR_AND_FAR, OF_COLOURS = (1, 4), (2, 6)
"""How far apart pixels are that share noise where an image was smoothed, and that do not; even, for colours."""


@dataclass(frozen=True)
class Noise:
    """The noise of a part of an image.

    Attributes
    ----------
    sigma : float
        Standard deviation of pixels, in counts, of differences of pixels two apart; 0 where there is none.
    sky : float
        Median of pixels, in counts.
    ratio : float
        `sigma` in that of the model: of gain, read noise and `sky`; 1 where there is none.
    correlation : float
        Of neighbours: 0 where each pixel has a noise of its own, towards 1 where an image was smoothed.
    amplifier : Amplifier
        The one that it is of.
    """

    sigma: float
    sky: float
    ratio: float
    correlation: float
    amplifier: Amplifier

    @property
    def gain(self) -> float:
        """Electrons per count."""
        return self.amplifier.gain or 1.0

    @property
    def missing_sky(self) -> float:
        """The sky, in counts, that has to be added so that the noise fits the model; below 0 where it has too much."""
        noise, readnoise = self.sigma * self.gain, self.amplifier.readnoise
        electrons = noise * noise - readnoise * readnoise
        return electrons / self.gain - max(self.sky, 0.0)

    @property
    def fitting_gain(self) -> float:
        """The gain with which the noise would fit, in electrons per count."""
        return _fitting_gain(self.sigma, self.sky, self.amplifier.readnoise)

    @property
    def is_sky_missing(self) -> bool:
        """Whether the median is near zero, and the noise far above that of the read noise."""
        return abs(self.sky) < min(NEAR_ZERO * self.sigma, UNEXPLAINED_SKY * self.missing_sky)


def measured_gain(data: Any, readnoise: float, window: tuple[slice, slice]) -> float:
    """Measure the gain that fits the noise of an image.

    The variance of differences of neighbours is that of the sky's electrons and of the read noise.

    Parameters
    ----------
    data : ndarray or Pixels
        The image.
    readnoise : float
        In e-.
    window : (slice, slice)
        Rows and columns that show the sky.

    Returns
    -------
    float
        In electrons per count of the file; 1 where the image has no noise.
    """
    sample = _sample(data, *window)
    return _fitting_gain(noise_of(sample, 2), _middle(sample), readnoise)


def measured_readnoise(data: Any, readout: Readout) -> float:
    """Measure the read noise that fits the noise of an image.

    Parameters
    ----------
    data : ndarray or Pixels
        The image.
    readout : Readout
        How it was read out, by one amplifier whose gain is known.

    Returns
    -------
    float
        In e-; 0 where the noise is no more than that of the sky.
    """
    noise = measured_noise(data, readout)
    electrons = (noise.sigma * noise.gain) ** 2 - max(noise.sky, 0.0) * noise.gain
    return math.sqrt(max(electrons, 0.0))


def _fitting_gain(sigma: float, sky: float, readnoise: float) -> float:
    """Return the gain with which a noise and a sky in counts, and a read noise in electrons, are those of one image."""
    sky, variance = max(sky, 0.0), sigma * sigma
    if variance == 0 or (sky == 0 and readnoise == 0):
        return 1.0
    found = (sky + math.sqrt(sky * sky + 4 * variance * readnoise * readnoise)) / (2 * variance)
    return found if math.isfinite(found) and found > 0 else 1.0


def measured_noise(data: Any, readout: Readout) -> Noise:
    """Measure the noise of an image: of the amplifier where it is farthest from the model.

    Parameters
    ----------
    data : ndarray or Pixels
        The image.
    readout : Readout
        How it was read out.

    Returns
    -------
    Noise
        Its ratio is 1 where the model holds, and where the image has no noise at all, as no camera makes one.
    """
    found = [_of_amplifier(data, readout, each) for each in readout.amplifiers]
    return max(found, key=lambda noise: abs(math.log(noise.ratio)))


def noise_contrast(data: Any, readout: Readout) -> float:
    """Compare the noise of the quarters of an image.

    Parameters
    ----------
    data : ndarray or Pixels
        The image.
    readout : Readout
        How it was read out.

    Returns
    -------
    float
        The largest noise of a quarter in that of another, each in what its sky explains; 1 where amplifiers of their
        own are known, whose noise `measured_noise` compares with their numbers.
    """
    if len(readout.amplifiers) > 1:
        return 1.0
    (amplifier,) = readout.amplifiers
    halves = [
        (slice(part.start, (part.start + part.stop) // 2), slice((part.start + part.stop) // 2, part.stop))
        for part in readout.window
    ]
    ratios = []
    for rows in halves[0]:
        for columns in halves[1]:
            if (rows.stop - rows.start) * (columns.stop - columns.start) < FEWEST:
                return 1.0
            sample = _sample(data, rows, columns, (16, 256))
            # Stars are in some pieces only, and the noise of an amplifier in all.
            with np.errstate(all="ignore"):
                pieces = middles_of(np.abs(sample[:, 2:] - sample[:, :-2])) * (1.4826 / math.sqrt(2))
            sigma = float(np.sort(pieces)[len(pieces) // 4])
            model = math.sqrt(max(_middle(sample), 0.0) * (amplifier.gain or 1.0) + amplifier.readnoise**2)
            if sigma > 0 and model > 0:
                ratios.append(sigma / model)
    return max(ratios) / min(ratios) if len(ratios) == 4 else 1.0


def _of_amplifier(data: Any, readout: Readout, amplifier: Amplifier) -> Noise:
    """Measure the noise of what one amplifier read of the sky."""
    rows, columns = (
        slice(max(part.start, seen.start), min(part.stop, seen.stop))
        for part, seen in zip((amplifier.rows, amplifier.columns), readout.window, strict=True)
    )
    sample = _sample(data, rows, columns)
    sigma, sky, gain = noise_of(sample, 2), _middle(sample), amplifier.gain or 1.0
    model = math.sqrt(max(sky, 0.0) * gain + amplifier.readnoise**2)
    ratio = sigma * gain / model if sigma > 0 and model > 0 else 1.0
    near, far = (noise_of(sample[::2], apart) for apart in (OF_COLOURS if readout.colours else NEAR_AND_FAR))
    return Noise(sigma, sky, ratio, 1 - min(near / far, 1.0) ** 2 if far > 0 else 0.0, amplifier)


def _sample(data: Any, rows: slice, columns: slice, most: tuple[int, int] = (ROWS, COLUMNS)) -> NDArray[np.float64]:
    """Take pieces of rows of a part of an image."""
    height, width = max(rows.stop - rows.start, 0), max(columns.stop - columns.start, 0)
    number, length = min(height, most[0]), min(width, most[1])
    found = np.empty((number, length))
    for place in range(number):
        row = rows.start + height * place // number
        start = columns.start + (width - length) * (place * 5 % 8) // 7
        found[place] = data[row : row + 1][0, start : start + length]
    return found


def noise_of(sample: NDArray[np.floating[Any]], apart: int = 2) -> float:
    """Measure the noise of pixels, by the median absolute difference of those that are so far apart.

    Parameters
    ----------
    sample : ndarray of float
        2-D: pieces of rows.
    apart : int, optional
        In pixels; even, those of a pattern of colours are of one colour.

    Returns
    -------
    float
        Standard deviation, as of Gaussian noise; 0 if there is no finite pixel.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # infinite less infinite
        differences = np.abs(sample[:, apart:] - sample[:, :-apart]).ravel()
    differences = differences[np.isfinite(differences)]
    return 1.4826 * middle_of(differences) / math.sqrt(2) if differences.size else 0.0


def _middle(sample: NDArray[np.float64]) -> float:
    """Return the median of finite pixels; 0 if there are none."""
    values = sample[np.isfinite(sample)]
    return middle_of(values) if values.size else 0.0
