"""An iteration finds what the tests of L.A.Cosmic find in every pixel, though it looks at few."""

import numpy as np
import pytest
from plain_lacosmic import PARAMETERS, busy, dilated, never, plain_tests

from lightmask.detect.detector import Detector, grow, pack, reach, screen, unpack
from lightmask.detect.electrons import Images
from lightmask.detect.medians import FULL, SEPARABLE
from lightmask.detect.preparation import prepare


def defaults():
    return np.float32(200), np.float32(242)


def detector(image, parameters, mask=None):
    return Detector(*prepare(Images(image, mask), parameters, never), parameters)


@pytest.mark.parametrize("medians", [SEPARABLE, FULL])
@pytest.mark.parametrize("sigclip", [0.3, 6.0])
def test_no_tile_is_passed_over_that_holds_a_cosmic_ray(sigclip, medians):
    """With nothing known of any tile each iteration finds the same."""
    rng = np.random.default_rng(28)
    image = busy((150, 170), rng)
    image[rng.random(image.shape) < 0.0005] = -1000
    parameters = PARAMETERS._replace(sigclip=np.float32(sigclip), medians=medians)
    ours, all_of_it = (detector(image, parameters) for _ in range(2))
    looked_at, found = [], []
    with np.errstate(all="ignore"):
        for _ in range(4):
            active = np.flatnonzero(ours.bounds.active)
            looked_at.append(ours.bounds.doubtful(active, ours.image.data, parameters.sigclip).size)
            all_of_it.bounds.active[:] = True
            all_of_it.bounds.contrast[:] = np.nan  # not below anything
            cosmics, expected = (each.iterate(defaults) for each in (ours, all_of_it))
            np.testing.assert_array_equal(np.sort(cosmics), np.sort(expected))
            np.testing.assert_array_equal(ours.image.data, all_of_it.image.data)
            found.append(cosmics.size)
    assert found[0] > found[1] > 0
    assert sigclip < 1 or looked_at[0] < 0.95 * ours.bounds.active.size
    assert sigclip < 1 or looked_at[1] < looked_at[0]


@pytest.mark.parametrize("medians", [SEPARABLE, FULL])
def test_first_iteration_is_that_of_the_plain_tests(medians):
    image = busy((120, 130), np.random.default_rng(1))
    significance, ratio = plain_tests(image.astype(float), image + 6.5**2, medians is SEPARABLE)
    seeds = (significance > 4.5) & (ratio > 5)
    grown = dilated(seeds) & (significance > 4.5)
    grown = dilated(grown) & (significance > 4.5 * 0.3)
    ours = detector(image, PARAMETERS._replace(medians=medians))
    cosmics = ours.iterate(never)
    np.testing.assert_array_equal(np.sort(ours.seeds), np.flatnonzero(seeds))
    np.testing.assert_array_equal(np.sort(cosmics), np.flatnonzero(grown))
    np.testing.assert_array_equal(ours.image.crmask, grown)
    assert (ours.image.data != image)[grown].mean() > 0.9
    np.testing.assert_array_equal(ours.image.data[~grown], image[~grown])


def test_what_is_masked_is_no_seed_and_nothing_grows_there():
    image = busy((120, 130), np.random.default_rng(1))
    seeds = detector(image, PARAMETERS)
    cosmics = seeds.iterate(never)
    mask = np.zeros(image.shape, bool)
    mask.ravel()[seeds.seeds[::2]] = True
    ours = detector(image, PARAMETERS, mask)
    with np.errstate(all="ignore"):
        found = ours.iterate(defaults)
    assert not dilated(mask).ravel()[found].any()
    assert set(ours.seeds) == {seed for seed in seeds.seeds if not dilated(mask).ravel()[seed]}
    assert set(found) < set(cosmics)


def test_screen_leaves_all_that_is_significant():
    image = busy((90, 101), np.random.default_rng(2))
    ours = detector(image, PARAMETERS)
    tiles = np.arange(ours.bounds.active.size)
    significance, _ = plain_tests(image.astype(float), image + 6.5**2, sepmed=True)
    for sigclip in (1, 4.5):
        pixels, found, noise = screen(tiles, ours.image, SEPARABLE, np.float32(sigclip))
        assert np.unique(pixels).size == pixels.size == found.size == noise.size
        assert (found > sigclip).all()
        inner = np.zeros(image.shape, bool)
        inner[3:-3, 3:-3] = True
        assert inner.ravel()[pixels].all()
        assert set(np.flatnonzero((significance > sigclip * 1.001) & inner)) <= set(pixels)


@pytest.mark.parametrize("masked", [False, True])
def test_growth(masked):
    rng = np.random.default_rng(3)
    near = rng.uniform(0, 10, (5, 5, 300)).astype(np.float32)
    near[2, 2] = 20
    good = None
    if masked:
        good = rng.random(near.shape) < 0.7
        good[2, 2] = True
    grown = unpack(grow(near, good, np.float32(8), np.float32(4))).T.reshape(near.shape)
    for i in range(near.shape[-1]):
        usable = np.ones((5, 5), bool) if good is None else good[..., i]
        seed = np.zeros((5, 5), bool)
        seed[2, 2] = True
        first = dilated(seed) & (near[..., i] > 8) & usable
        np.testing.assert_array_equal(grown[..., i], dilated(first) & (near[..., i] > 4) & usable)


@pytest.mark.parametrize("number", [0, 1, 40])
def test_flags_are_packed(number):
    flags = np.random.default_rng(4).random((number, 25)) < 0.5
    packed = pack(flags)
    assert packed.shape == (number, 4)
    np.testing.assert_array_equal(unpack(packed), flags)


@pytest.mark.parametrize(("medians", "side", "expected"), [(SEPARABLE, 0, 8), (FULL, 0, 6), (SEPARABLE, 7, 12)])
def test_reach(medians, side, expected):
    """The numbers of docs/lacosmic.md: with a kernel, half of it and one row more."""
    assert reach(medians, side) == expected
