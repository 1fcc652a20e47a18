"""Running medians over stacks of windows, against those of NumPy."""

import itertools

import numpy as np
import pytest
from plain_lacosmic import median_filtered

from lightmask.detect import medians


@pytest.mark.parametrize("separable", [True, False])
def test_medians(separable):
    filters = medians.SEPARABLE if separable else medians.FULL
    windows = np.random.default_rng(27).integers(0, 30, (17, 13, 40)).astype(np.float32)
    for filtered, half in (
        (filters.noise, filters.noise_width),
        (filters.fine, filters.fine_width),
        (filters.large, filters.large_width),
    ):
        for i, result in enumerate(np.moveaxis(filtered(windows), -1, 0)):
            plain = median_filtered(windows[..., i], 2 * half + 1, separable)[half:-half, half:-half]
            np.testing.assert_array_equal(result, plain)


def test_networks_are_proven_by_zeros_and_ones():
    """A network that handles every input of zeros and ones handles every input."""
    bits = np.array(list(itertools.product([0, 1], repeat=5)), np.float32).T
    rows = list(bits[:, None])
    medians._exchange(rows, medians._SORT5)
    np.testing.assert_array_equal(np.concatenate(rows), np.sort(bits, axis=0))
    ones = np.array(list(itertools.product(range(6), repeat=5))).T  # of each sorted column
    square = [(ones[i % 5] >= 5 - i // 5).astype(np.float32) for i in range(25)]
    medians._exchange(square, medians._MEDIAN25)
    np.testing.assert_array_equal(square[medians.CENTRE25], ones.sum(axis=0) >= 13)
