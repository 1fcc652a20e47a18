"""Pixels that stand out at one place of the detector, whatever it looks at: they are hot, and no cosmic rays."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lightmask.repeats.alignment import apply
from lightmask.repeats.evidence import Neighbour

DISPLACED = 3.0
"""How far away a neighbour must show the sky of a pixel, in pixels, to say something of the detector."""
FEWEST = 2
"""Neighbours that must show it, and half of those that can."""
LEAST_EXCESS = 5.0
"""Of a neighbour's pixel above the median of those around, in its noise."""
LEAST_SHARE = 0.25
"""Of the same in the image."""
HALF = 3
"""Pixels around, to each side; of them every other row and column counts."""


def fixed(
    pixels: NDArray[np.int64],
    contrast: NDArray[np.float32],
    shape: tuple[int, int],
    variance: Callable[..., NDArray[np.float32]],
    neighbours: Sequence[Neighbour],
    rows_at_a_time: int,
) -> NDArray[np.bool_]:
    """Find which pixels stand out in other images, too, that show another part of the sky there.

    Parameters
    ----------
    pixels : (n,) int array
        Places in the flattened image, in order.
    contrast : (n,) float32 array
        By how much each stands out of the sky [counts].
    shape : (int, int)
        Of the image.
    variance : callable
        Returns the variance [counts^2] of pixels, given row, column and light [counts] of each.
    neighbours : sequence of Neighbour
    rows_at_a_time : int
        That a neighbour is asked for.

    Returns
    -------
    (n,) bool array
    """
    y, x = np.divmod(pixels, shape[1])
    shown, able = np.zeros(pixels.size, int), np.zeros(pixels.size, int)
    for each in neighbours:
        if each.shape != shape:
            continue
        place = np.stack([y, x], axis=1).astype(np.float64)
        away = np.abs(apply(each.alignment.matrix, place) - place).max(axis=1) >= DISPLACED
        for top in range(0, shape[0], rows_at_a_time):
            part = np.flatnonzero(away & (y >= top) & (y < top + rows_at_a_time))
            if not part.size:
                continue
            first = max(top - HALF, 0)
            data = each.read(slice(first, min(top + rows_at_a_time + HALF, shape[0]))).astype(np.float32, copy=False)
            rows, columns = ((place[part, None] + np.arange(-HALF, HALF + 1, 2)) for place in (y - first, x))
            outside = [(place < 0) | (place >= side) for place, side in zip((rows, columns), data.shape, strict=True)]
            squares = data[rows.clip(0, data.shape[0] - 1)[:, :, None], columns.clip(0, shape[1] - 1)[:, None]]
            squares[outside[0][:, :, None] | outside[1][:, None]] = np.nan
            squares = np.sort(squares.reshape(part.size, -1), axis=1)  # NaN come last
            number = np.isfinite(squares).sum(axis=1)
            around = squares[np.arange(part.size), np.maximum(number - 1, 0) // 2]
            excess = data[y[part] - first, x[part]] - around
            noise = np.sqrt(variance(y[part], x[part], around))
            with np.errstate(invalid="ignore"):
                stands_out = excess > np.maximum(LEAST_EXCESS * noise, LEAST_SHARE * contrast[part])
            able[part] += np.isfinite(excess)
            shown[part] += stands_out
    return (shown >= FEWEST) & (2 * shown >= able)
