"""What a flat mask is made of: two flats, and their ratio."""

from math import nan

import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lightmask.fits.images import Image
from lightmask.masks import flat, flats

SHAPE = (64, 80)


def image(data, mask=None):
    return Image(np.asarray(data), mask, False, fits.Header())


def looked(*levels):
    return [flats.Looked(level, np.full((64, 80), level, np.float32)) for level in levels]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([100.0], []),
        ([100.0, 95.0], []),
        ([100.0, 90.0], [(0, 1)]),
        ([90.0, 100.0], [(1, 0)]),
        ([100.0, 100.0], []),
        ([40.0, 100.0, 98.0], [(1, 0)]),
        ([100.0, 99.0, 98.0], []),
    ],
)
def test_pairs_of_flats_are_those_whose_counts_differ(levels, expected):
    assert flats.ratios(looked(*levels), 0.1) == expected


def test_of_alike_pairs_the_cleanest_is_taken():
    rng = np.random.default_rng(1)
    brighter, starry, clean = (
        flats.Looked(level, rng.normal(level, level / 300, (64, 200)).astype(np.float32)) for level in (100, 50, 50)
    )
    for y in range(2, 60, 10):
        starry.bands[y : y + 4, 20:180:20] *= 1.2
        starry.bands[y : y + 4, 21:181:20] *= 1.2
        starry.bands[y : y + 4, 22:182:20] *= 1.2
    assert flats.ratios([brighter, starry, clean], 0.1) == [(0, 2)]
    assert flats.ratios([brighter, clean, starry], 0.1) == [(0, 1)]


@given(st.lists(st.floats(1, 100), min_size=3, max_size=8))
def test_an_odd_number_of_ratios_is_taken_in_which_no_flat_prevails(levels):
    found = flats.ratios(looked(*levels), 0.1)
    differ = [
        (a, b) for a in range(len(levels)) for b in range(len(levels)) if levels[a] - levels[b] >= 0.1 * levels[a]
    ]
    assert set(found) <= set(differ)
    assert len(set(found)) == len(found) <= flats.MOST_RATIOS
    assert len(found) % 2 == 1 if differ else found == []


def noisy(level, seed=0):
    return np.random.default_rng(seed).normal(level, abs(level) / 200, SHAPE).astype(np.float32)


def test_the_ratio_goes_to_ccdmask_as_in_the_guide():
    brighter, fainter = noisy(30_000, 1), noisy(10_000, 2)
    brighter[10, 10] *= 1.5
    fainter[20, 20] = 0
    ratio = CCDData(fainter / brighter, unit="")
    found = flat.flat_mask(image(brighter), image(fainter), {"lsigma": 6, "hsigma": 6})
    assert np.array_equal(found, ccdproc.ccdmask(ratio, lsigma=6, hsigma=6))
    assert found[10, 10] and found[20, 20]


def test_dust_cancels_in_the_ratio_of_two_flats_only():
    dust = np.ones(SHAPE, np.float32)
    dust[30, 30] = 0.5
    brighter, fainter = noisy(30_000, 1) * dust, noisy(10_000, 2) * dust
    assert not flat.flat_mask(image(brighter), image(fainter), {})[30, 30]
    assert flat.flat_mask(image(brighter), None, {})[30, 30]


@pytest.mark.parametrize("byblocks", [False, True])
def test_what_has_no_value_in_a_flat_is_bad(byblocks):
    brighter, fainter = noisy(30_000, 1), noisy(10_000, 2)
    brighter[1, 1], fainter[2, 2], brighter[3, 3], fainter[3, 3] = nan, np.inf, 0, 0
    own = np.zeros(SHAPE, bool)
    own[4, 4] = True
    found = flat.flat_mask(image(brighter), image(fainter, own), {"byblocks": byblocks})
    assert found[[1, 2, 3, 4], [1, 2, 3, 4]].all()
    assert found.sum() == 4


def test_unsigned_counts_do_not_wrap():
    data = noisy(30_000).astype(np.uint16)
    data[5, 5] = 100
    found = flat.flat_mask(image(data), None, {})
    assert found[5, 5] and found.sum() == 1


def test_counts_leave_out_what_has_no_value():
    data = np.array([[1.0, nan, 3.0], [5.0, np.inf, 900.0]])
    own = data > 800
    assert flat.counts(image(data, own)) == 3
    assert np.isnan(flat.counts(image(data, np.ones_like(own))))


NUMBERS = {
    np.float32: st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([nan, np.inf, -np.inf]),
    np.float64: st.floats(-1e300, 1e300) | st.sampled_from([nan, np.inf, -np.inf]),
    np.int16: st.integers(-(2**15), 2**15 - 1),
    np.uint16: st.integers(0, 2**16 - 1),
    np.int64: st.integers(-(2**63), 2**63 - 1),
    np.uint8: st.integers(0, 255),
}


@given(st.data(), st.sampled_from(list(NUMBERS)), hnp.array_shapes(min_dims=2, max_dims=2, max_side=7))
def test_counts_are_those_of_numpy(data, dtype, shape):
    pixels = data.draw(hnp.arrays(dtype, shape, elements=NUMBERS[dtype]))
    mask = data.draw(st.none() | hnp.arrays(bool, shape))
    known = np.isfinite(pixels) if mask is None else np.isfinite(pixels) & ~mask
    expected = float(np.median(pixels[known])) if known.any() else nan
    assert np.array_equal(flat.counts(image(pixels, mask)), expected, equal_nan=True)
