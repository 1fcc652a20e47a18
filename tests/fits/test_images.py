"""Images are read in bands of rows that have a known number of pixels."""

import numpy as np
import pytest

from lightmask.fits import bands


@pytest.mark.parametrize(
    ("columns", "least", "height"), [(1024, 1, 1024), (1000, 1, 1049), (2**21, 1, 1), (2**19, 5, 5)]
)
def test_bands_hold_a_million_pixels_and_make_up_the_image(columns, least, height):
    found = list(bands((5000, columns), least))
    assert found[0] == slice(0, height)
    np.testing.assert_array_equal(np.concatenate([np.arange(5000)[band] for band in found]), np.arange(5000))
