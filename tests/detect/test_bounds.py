"""Bounds of tiles: what they rule out holds no cosmic ray, in any iteration."""

import numpy as np
import pytest
from plain_lacosmic import busy, median_filtered

from lightmask.detect.bounds import STRIP, TILE, Bounds, reduce_to_tiles, tile_extremes, with_neighbours
from lightmask.detect.electrons import Electrons, Images
from lightmask.detect.significance import laplacian
from lightmask.detect.windows import squares_of

SHAPES = [(8, 8), (9, 31), (7, 5), (STRIP + 1, 20), (2 * STRIP + 13, 43), (40, 1), (1, 40)]


def tiles_of(image):
    """Yield the number and the pixels of each tile."""
    for y in range(0, image.shape[0], TILE):
        for x in range(0, image.shape[1], TILE):
            yield (y // TILE, x // TILE), np.s_[y : y + TILE, x : x + TILE]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("extreme", [np.minimum, np.maximum])
def test_reduction_to_tiles(shape, extreme):
    image = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    tiles = np.empty((-(-shape[0] // TILE), -(-shape[1] // TILE)), np.float32)
    reduce_to_tiles(extreme, image, tiles)
    for tile, pixels in tiles_of(image):
        assert tiles[tile] == extreme.reduce(image[pixels], axis=None)
    around = with_neighbours(extreme, tiles)
    for y, x in np.ndindex(tiles.shape):
        near = tiles[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        assert around[y, x] == extreme.reduce(near, axis=None)


@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20])
@pytest.mark.parametrize("shape", SHAPES)
def test_extremes_of_tiles(shape, scale):
    """The Laplacian of no pixel but those at the edge exceeds the bound of its tile, which is not much larger."""
    data = busy(shape, np.random.default_rng(2)) * np.float32(scale)
    data += np.random.default_rng(3).normal(0, scale, shape).astype(np.float32)
    tiles = tile_extremes(data)
    bounds = Bounds(tiles, electrons(data))
    plain = np.full(shape, -np.inf, np.float32)
    if min(shape) > 2:
        plain[1:-1, 1:-1] = laplacian(data[..., None])[..., 0]
    for tile, pixels in tiles_of(data):
        assert tiles.lowest[tile] == data[pixels].min()
        assert tiles.highest[tile[0], 0] >= data[pixels].max()
        assert bounds.contrast[tile] >= plain[pixels].max()
    if min(shape) > 4 * TILE:
        tightest = [plain[pixels].max() for (y, x), pixels in tiles_of(data) if y > 0 and x > 0]
        assert np.median(bounds.contrast) < 3 * np.median(tightest)


def electrons(data, variance=None, background=None):
    images = Images(data, None, background, variance)
    read_variance, nothing = np.float32(36), np.zeros(0, np.intp)
    return Electrons(images, np.float32(1), read_variance, data, background, variance, None, nothing)


@pytest.mark.parametrize("separable", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_the_variance_of_noise_is_bounded_from_below(given, separable):
    """Also beside dead pixels, which cost little: the bound stays close to the median."""
    rng = np.random.default_rng(4)
    data = busy((90, 103), rng)
    data[rng.random(data.shape) < 0.01] = -3000
    variance = rng.permuted(np.abs(data)) if given else None
    bounds = Bounds(tile_extremes(data), electrons(data, variance))
    median = median_filtered(data + np.float32(36) if variance is None else variance, 7 if separable else 5, separable)
    width = 3 if separable else 2
    median[:width] = median[-width:] = median[:, :width] = median[:, -width:] = np.inf  # nothing is found there
    for tile, pixels in tiles_of(data):
        assert bounds.low_variance[tile] <= median[pixels].min()
    assert given or np.median(bounds.low_variance) > 0.6 * np.median(data + 36)


@pytest.mark.parametrize("background", [False, True])
def test_doubtful_tiles_hold_all_significant_pixels(background):
    rng = np.random.default_rng(5)
    data = busy((150, 170), rng)
    level = rng.integers(0, 50, data.shape).astype(np.float32) if background else None
    image = electrons(data, None, level)
    bounds = Bounds(tile_extremes(data), image)
    every = np.arange(bounds.active.size)
    noise = median_filtered(data + np.float32(36), 7, separable=True) + (level if background else 0)
    significance = np.zeros(data.shape)
    significance[1:-1, 1:-1] = laplacian(data[..., None])[..., 0]
    significance /= 2 * np.sqrt(np.maximum(noise, 1e-5))
    inner = np.zeros(data.shape, bool)
    inner[3:-3, 3:-3] = True
    sizes = []
    for sigclip in map(np.float32, (0.5, 2, 4.5, 10, 50)):
        doubtful = bounds.doubtful(every, data, sigclip)
        significant = np.flatnonzero((significance > sigclip * 1.001) & inner)
        assert set(squares_of(significant, data.shape[1], TILE)) <= set(doubtful)
        assert significant.size
        sizes.append(doubtful.size)
        np.testing.assert_array_equal(bounds.doubtful(every[::3], data, sigclip), doubtful[doubtful % 3 == 0])
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == every.size
    assert sizes[-1] < 2 * np.unique(squares_of(significant, data.shape[1], TILE)).size


def test_changed_pixels_renew_what_is_within_reach():
    data = busy((100, 120), np.random.default_rng(6))
    bounds = Bounds(tile_extremes(data), electrons(data))
    before = bounds.low_variance.copy()
    bounds.active[:] = False
    nx = data.shape[1]
    bounds.renew(np.array([33 * nx + 50, 35 * nx + 55]), np.float32([7, 3]), nx, reach=8)
    active = np.zeros_like(bounds.active)
    active[3:6, 5:8] = True  # tiles (4, 6) and the eight around it
    np.testing.assert_array_equal(bounds.active, active)
    np.testing.assert_array_equal(bounds.low_variance, np.where(active, 3, before))
    # The bound of the Laplacian is not known any more where a neighbour changed.
    assert set(zip(*np.nonzero(np.isinf(bounds.contrast)), strict=True)) == {(4, 6), (4, 7)} | {
        tuple(tile) for tile in np.argwhere(np.isinf(Bounds(tile_extremes(data), electrons(data)).contrast))
    }
    everything = np.arange(bounds.active.size)
    bounds.doubtful(everything, data, np.float32(5))
    assert np.isfinite(bounds.contrast).all()
    bounds.renew(np.zeros(0, np.int32), np.zeros(0, np.float32), nx, reach=8)
    np.testing.assert_array_equal(bounds.active, active)
