"""Which pixels of darks are hot."""

from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightmask.masks import dark
from lightmask.masks.dark import Dark

SHAPE = (64, 80)


@given(st.lists(st.floats(0.001, 10_000), min_size=1, max_size=12))
def test_every_dark_is_in_one_group_of_like_exposures(exposures):
    groups = dark.same_exposures(exposures)
    assert sorted(place for group in groups for place in group) == list(range(len(exposures)))
    for group in groups:
        times = [exposures[place] for place in group]
        assert max(times) < dark.SAME_EXPOSURE * min(times) or len(set(times)) == 1


def test_like_exposures_are_found():
    assert dark.same_exposures([180.0057, 30.0, 180.0092, 30.1]) == [[1, 3], [0, 2]]


@pytest.mark.parametrize(("ratio", "groups"), [(1.0199, 1), (1.0201, 2)])
def test_exposures_are_alike_up_to_2_percent(ratio, groups):
    assert len(dark.same_exposures([100.0, 100 * ratio])) == groups


def test_sigma_is_that_of_gaussian_noise():
    assert dark.sigma(np.array([0.0, 1, 2, 3, 4, nan, np.inf])) == pytest.approx(1.4826, rel=1e-5)
    assert dark.sigma(np.random.default_rng(1).normal(5, 3, 400_000)) == pytest.approx(3, rel=0.01)
    assert np.isnan(dark.sigma(np.full(4, nan)))


@pytest.mark.parametrize(("threshold", "warned"), [(5.01, False), (4.99, True)])
def test_a_threshold_below_5_sigma_of_the_dark_current_is_told(capsys, threshold, warned):
    noise = np.random.default_rng(1).normal(0, 100, (200, 200))
    dark_ = Dark(noise * (100 / dark.sigma(noise)), 100.0, 1)  # 1 e-/s
    dark.hot_pixels([dark_], threshold, None)
    assert ("WARNING" in capsys.readouterr().out) == warned


@pytest.mark.parametrize("frames_", [1, 4])
@pytest.mark.parametrize(("sigmas", "found"), [(4.99, False), (-4.99, False), (5.01, True), (-5.01, True)])
def test_proportion_is_tested_in_sigma_of_all_noise(sigmas, found, frames_):
    noise = np.random.default_rng(1).normal(0, 1, SHAPE)
    noise *= 3 / dark.sigma(noise)
    noise -= np.median(noise)
    # Without noise in the long one, 400 e- there are 40 in the short one.
    long = np.zeros(SHAPE)
    long[5, 5] = 400
    short, level = noise.copy(), 40.0
    for _ in range(50):  # the variance depends on the counts that it is to give
        level = 40 + sigmas * np.sqrt(9 + max(level, 0) / frames_ + 0.01 * 400 / frames_)
    short[5, 5] = level
    darks = [Dark(short, 10.0, frames_), Dark(long, 100.0, frames_)]
    assert dark.nonlinear(darks, 5)[5, 5] == found


@pytest.mark.parametrize(("low", "found"), [("short", True), ("long", True), ("both", False)])
def test_counts_below_zero_have_no_photon_noise(low, found):
    """Of noise of 1 e- alone, 5.2 sigma are too much, and 4.8 are not."""
    pattern = np.resize([-2.0, -1, 0, 1, 2], SHAPE)
    short, long = pattern / dark.sigma(pattern), np.zeros(SHAPE)
    darks = [Dark(short, 50.0, 1), Dark(long, 100.0, 1)]
    short[5, 5], long[5, 5] = {"short": (-5.2, 0), "long": (0, -10.4), "both": (-9.8, -10)}[low]
    assert dark.nonlinear(darks, 5)[5, 5] == found


def two_darks(rate=1.0, waning=1.0):
    """Darks of 100 and 1000 s, of which pixel (5, 5) has a rate that falls."""
    random = np.random.default_rng(3)
    darks = []
    for exposure in (100.0, 1000.0):
        expected = np.full(SHAPE, 0.02 * exposure)
        expected[5, 5] = rate * exposure * (waning if exposure == 1000 else 1)
        darks.append(Dark(random.poisson(10 * expected) / 10 + random.normal(0, 3, SHAPE), exposure, 10))
    return darks


@pytest.mark.parametrize(("rate", "waning"), [(1.0, 0.5), (3.0, 0.8), (50.0, 0.9), (50.0, 1.1)])
def test_a_pixel_that_does_not_grow_with_time_is_hot_below_the_threshold_too(rate, waning):
    found = dark.nonlinear(two_darks(rate, waning), 5)
    assert found[5, 5] and found.sum() == 1


@pytest.mark.parametrize("rate", [0.02, 1.0, 50.0])
def test_a_steady_pixel_is_not(rate):
    assert not dark.nonlinear(two_darks(rate), 5).any()


def test_an_offset_that_a_bias_leaves_does_not_count():
    short, long = two_darks(1.0, 0.5)
    found = dark.nonlinear([short._replace(electrons=short.electrons + 30), long], 5)
    assert found[5, 5] and found.sum() == 1


def test_a_pixel_is_hot_at_any_exposure_time_that_tells():
    hot = dark.hot_pixels(two_darks(6.0, 0.5), 4, None)
    assert hot[5, 5] and hot.sum() == 1
    assert not dark.hot_pixels(two_darks(2.0, 1.0), 4, None).any()


def test_a_short_dark_does_not_make_noise_hot(capsys):
    random = np.random.default_rng(3)
    short, long = (Dark(random.normal(0, 10, SHAPE), exposure, 1) for exposure in (1.0, 100.0))
    long.electrons[5, 5] = 500
    assert dark.hot_pixels([short, long], 4, None).sum() == 1
    assert "WARNING" not in capsys.readouterr().out
    assert dark.hot_pixels([short], 4, None).sum() > 500
    assert "a threshold of 4 e-/s flags good pixels too" in capsys.readouterr().out


def test_a_pixel_without_a_value_is_hot():
    darks = two_darks()
    darks[0].electrons[8, 8] = darks[1].electrons[9, 9] = nan
    hot = dark.hot_pixels(darks, 4, 5)
    assert hot[8, 8] and hot[9, 9] and hot.sum() == 2
