"""Training sees what detection sees, turned as the square is, and its weights become whole numbers without loss."""

import numpy as np
import pytest
import skies
from samples import turned
from scenes import bled, simulated

from lightmask.detect import Candidates, net, trace
from lightmask.detect.bounds import TILE

START = trace.RIM + TILE  # of the image in the contrast of a band
CAMERA = {"gain": 1.5, "readnoise": 7.0, "satlevel": 60_000.0}


def scene(seed=1):
    return skies.scene_across_bands((150, 130), 50, seed) / np.float32(1.5)


def candidates(image, mask=None):
    return Candidates(image, np.zeros(image.shape, bool) if mask is None else mask, **CAMERA)


def test_the_net_is_trained_with_what_it_is_asked_about(monkeypatch):
    """What `trace_cosmics` scores far from the edges are the inputs that `Candidates` returns, and seeds are seeds."""
    image = scene()
    mask = np.random.default_rng(2).random(image.shape) < 0.01
    image[70, 60] = np.nan
    asked = []

    def scores(contrast, places, star):
        row = np.append(net.inputs(contrast, places), np.broadcast_to(star, (places.size, star.size)), axis=1)
        y, x = np.divmod(places, contrast.steps.shape[1])
        asked.extend(zip(y.tolist(), x.tolist(), row.tolist(), strict=True))
        return np.full(places.size, 999, np.int32)

    monkeypatch.setattr("lightmask.detect.growth.scores", scores)
    crmask, _ = trace.trace_cosmics(image, mask, **CAMERA)
    seen = candidates(image, mask)
    found = {(y - START, x - START): row for y, x, row in asked}
    inner = [place for place in found if 20 < place[0] < 130 and 20 < place[1] < 110]
    pixels = np.array([y * image.shape[1] + x for y, x in inner])
    assert len(inner) > 100 and seen.stand_out(pixels).all()
    assert seen.inputs(pixels).tolist() == [found[place] for place in inner]
    inside = np.s_[20:130, 20:110]
    assert (crmask | ~seen.seeds | mask | np.isnan(image))[inside].mean() > 0.999


@pytest.mark.parametrize("symmetry", range(4))
def test_inputs_are_turned_as_images_are(symmetry):
    """But for transpositions: a separable median is not the same along the other axis first."""
    image = scene(3)[:149, :129]  # of which turned ones have the same sky: each fourth pixel counts
    flipped = image[::-1] if symmetry & 1 else image
    flipped = flipped[:, ::-1] if symmetry & 2 else flipped
    one, other = candidates(image), candidates(np.ascontiguousarray(flipped))
    y, x = (rng.integers(25, 100, 50) for rng in np.random.default_rng(4).spawn(2))
    new_y = image.shape[0] - 1 - y if symmetry & 1 else y
    new_x = image.shape[1] - 1 - x if symmetry & 2 else x
    inputs = one.inputs(y * image.shape[1] + x)
    expected = other.inputs(new_y * image.shape[1] + new_x)
    of_star = -1 - net.STAR_SIDE**2  # which is measured on other maxima
    is_same = (turned(inputs, symmetry)[:, :of_star] == expected[:, :of_star]).all(axis=1)
    assert is_same.mean() > 0.9  # of two neighbours that are as bright the first one counts


def test_charge_above_saturation_runs_along_its_column_and_none_is_lost():
    image = np.zeros((200, 5))
    image[100, 2] = 1050
    found = bled(image, 100.0)
    assert found.sum() == 1050 and found.max() == 100 and (found[:, [0, 1, 3, 4]] == 0).all()
    assert np.flatnonzero(found[:, 2]).tolist() == list(range(95, 106))
    assert bled(image, 2000.0) is image


@pytest.mark.parametrize("kind", ["round", "trailed", "defocused"])
def test_the_same_seed_gives_the_same_sky(kind):
    one, other = (simulated(np.random.default_rng(6), 128, kind) for _ in range(2))
    np.testing.assert_array_equal(one.light, other.light)
    assert one.light.shape == (128, 128) and (one.light >= 0).all() and one.kind == kind
    rays = np.zeros((128, 128))
    rays[5, 5] = 1e5
    with_rays, without = (one.exposed(np.random.default_rng(7), each) for each in (rays, 0.0))
    assert with_rays[5, 5] - without[5, 5] > 0.2 * min(1e5, one.satlevel)
    np.testing.assert_array_equal(with_rays[60:, 60:], without[60:, 60:])
