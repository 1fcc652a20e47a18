"""The median of values in parts is that of all values."""

import numpy as np
import pytest

from lightmask.detect import median_of


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 999, 1000, 700_001])
def test_median_of_parts(dtype, size):
    rng = np.random.default_rng(size)
    values = rng.normal(0, 10, size).astype(dtype)
    values[rng.random(size) < 0.2] = np.inf
    values[rng.random(size) < 0.5] = -3
    ordered = np.sort(values)
    for upper in (False, True):
        found = median_of(lambda: np.array_split(values, 7), dtype, upper)
        assert found == ordered[(size - 1 + upper) // 2]
        assert found.dtype == dtype
    assert median_of(lambda: [values[:0]], dtype) == 0
