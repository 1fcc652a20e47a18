"""Numbers of single pixels are those with which the search decides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.detect import detect_cosmics, examine_cosmics, examine_trace, trace_cosmics

SHAPE = (150, 140)
LACOSMIC = {
    "sigclip": 6.0,
    "sigfrac": 0.4,
    "objlim": 4.0,
    "gain": 1.3,
    "readnoise": 6.0,
    "satlevel": 40_000.0,
    "niter": 4,
    "sepmed": True,
    "cleantype": "meanmask",
    "fsmode": "median",
    "psfmodel": "gauss",
    "psffwhm": 2.5,
    "psfsize": 7,
    "psfk": None,
    "psfbeta": 4.765,
    "variant": "astroscrappy",
}
NUMBERS = {"gain": 1.3, "readnoise": 6.0, "satlevel": 40_000.0}


def scene(seed):
    """Return an image with stars, rays to the rim, a saturated star and NaN, and a mask."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    sky = np.full(SHAPE, 120.0)
    for row, column in rng.uniform(0, 150, (25, 2)):
        sky += rng.exponential(1500) * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 3)
    sky += 90_000 * np.exp(-((y - 70) ** 2 + (x - 60) ** 2) / 8)
    image = rng.poisson(sky).astype(np.float32)
    for row, column, length in zip(
        rng.integers(0, 150, 40), rng.integers(0, 130, 40), rng.integers(1, 9, 40), strict=True
    ):
        image[row, column : column + length] += rng.exponential(600)
    mask = rng.random(SHAPE) < 0.003
    image[rng.random(SHAPE) < 0.001] = np.nan
    return image, mask


def places(crmask, mask, seed):
    """Return pixels of rays, beside them, at the rim, of the mask, and any."""
    rng = np.random.default_rng(seed)
    found = [*np.argwhere(crmask)[:: max(crmask.sum() // 12, 1)]]
    found += [place + rng.integers(-1, 2, 2) for place in found]
    found += [*np.argwhere(mask)[:3], (0, 0), (149, 139), (0, 77), (80, 139), (70, 60), *rng.integers(0, 140, (6, 2))]
    return [(int(y), int(x)) for y, x in found if 0 <= y < SHAPE[0] and 0 <= x < SHAPE[1]]


@pytest.mark.parametrize("changed", [{}, {"fsmode": "convolve"}, {"sepmed": False, "cleantype": "idw"}, {"niter": 1}])
@pytest.mark.parametrize("variant", ["astroscrappy", "original"])
@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10_000))
def test_lacosmic_decides_with_these_numbers(changed, variant, seed):
    image, mask = scene(seed)
    parameters = LACOSMIC | changed | {"variant": variant}
    crmask = detect_cosmics(image, mask, **parameters).crmask
    for y, x in places(crmask, mask, seed):
        found = examine_cosmics(lambda rows: (image[rows], mask[rows]), SHAPE, y, x, **parameters)
        assert any(each.is_cosmic for each in found.iterations) == crmask[y, x]
        assert found.is_bad >= bool(mask[y, x]) and not (found.is_bad and crmask[y, x])
        for each in found.iterations:
            passes = each.significance > 6 and each.ratio > 4 and not found.is_bad
            near = min(y, x, SHAPE[0] - 1 - y, SHAPE[1] - 1 - x) < 2  # where astroscrappy finds no seeds
            assert each.is_seed == passes or (near and not each.is_seed)
            assert each.noise >= 6.0 * (variant == "astroscrappy") and (each.is_cosmic or not each.is_seed)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10_000))
def test_trace_decides_with_these_numbers(seed):
    image, mask = scene(seed)
    result = trace_cosmics(image, mask, **NUMBERS)
    for y, x in places(result.crmask, mask, seed):
        found = examine_trace(lambda rows: (image[rows], mask[rows]), SHAPE, y, x, **NUMBERS)
        assert found.is_cosmic == result.crmask[y, x]
        assert found.is_bad == (mask[y, x] or not np.isfinite(image[y, x]))
        assert 0 <= found.score <= 1 and (found.pixels == 0) == np.isnan(found.of_event)
        if found.is_cosmic:
            assert found.score >= found.least_score and found.of_event >= found.least_of_event
            assert found.contrast > 0.9
            events = result.events
            score = events.score[events.pixels == found.pixels]
            assert np.abs(score - found.of_event).min() < 1e-6


def test_numbers_of_a_lone_ray_can_be_worked_out():
    image = np.full((60, 60), 100.0, np.float32)
    image[30, 30] += 1000
    parameters = LACOSMIC | {"gain": 1.0, "readnoise": 0.0}
    found = examine_cosmics(lambda rows: (image[rows], None), image.shape, 30, 30, **parameters)
    (only,) = found.iterations
    assert (only.value, only.noise) == (1100, 10)  # of the median around
    assert only.significance == 1000 * 2 / 2 / 10  # four subpixels, of which each has two neighbours of 100
    assert only.is_seed and only.is_cosmic and not found.is_bad
    traced = examine_trace(lambda rows: (image[rows], None), image.shape, 30, 30, gain=1, readnoise=0, satlevel=6e4)
    assert traced.contrast == pytest.approx(100, rel=0.03) and traced.is_seed and traced.is_cosmic
    assert (
        examine_trace(lambda rows: (image[rows], None), image.shape, 40, 40, gain=1, readnoise=0, satlevel=6e4).pixels
        == 0
    )
