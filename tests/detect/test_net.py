"""The net computes in whole numbers, and float32 holds each of them exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.detect import net
from lightmask.detect.contrast import PER_OCTAVE

LARGEST_STEP = 16 * PER_OCTAVE


class Known:
    """A contrast that is known everywhere."""

    def __init__(self, seed, shape=(40, 50)):
        rng = np.random.default_rng(seed)
        self.steps = rng.integers(-LARGEST_STEP, LARGEST_STEP, shape, endpoint=True).astype(np.int16)
        self.level = rng.integers(-LARGEST_STEP, LARGEST_STEP, shape, endpoint=True).astype(np.int16)


def some_places(known, number, seed=2):
    rng = np.random.default_rng(seed)
    ny, nx = known.steps.shape
    return rng.integers(5, ny - 5, number) * nx + rng.integers(5, nx - 5, number)


def exactly(inputs, star):
    """Compute scores with Python's whole numbers."""
    values = np.concatenate([inputs, np.broadcast_to(star, (len(inputs), star.size))], axis=1).astype(object)
    with np.load(net.FILE) as file:
        layers = [
            [file[f"{name}{n}"].astype(int).astype(object) for name in ("weights", "bias", "shift")] for n in range(3)
        ]
    for number, (weights, bias, shift) in enumerate(layers):
        values = (values @ weights + bias) // 2**shift
        if number < 2:
            values = np.clip(values, 0, int(net.LARGEST_HIDDEN))
    return values[:, 0].astype(int)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_scores_are_those_of_whole_numbers(seed):
    known = Known(seed)
    places = some_places(known, 60, seed)
    star = np.random.default_rng(seed).integers(-192, 256, net.OF_IMAGE).astype(np.int16)
    found = net.scores(known, places, star)
    np.testing.assert_array_equal(found, exactly(net.inputs(known, places), star))


def test_no_sum_is_larger_than_float32_holds():
    for number, layer in enumerate(net.layers()):
        largest = LARGEST_STEP if number == 0 else float(net.LARGEST_HIDDEN)
        assert (np.abs(layer.weights).sum(axis=0) * largest + np.abs(layer.bias)).max() < 1 << 24
        assert (np.log2(layer.scale) % 1 == 0).all()


def test_the_weights_are_a_small_file():
    assert net.FILE.stat().st_size < 100_000


@pytest.mark.parametrize("brightest", range(9))
def test_inputs_are_what_surrounds_a_pixel_and_the_brightest_beside_it(brightest):
    known = Known(5)
    y, x = 20, 30
    square = known.steps[y - 1 : y + 2, x - 1 : x + 2]
    square[...] = np.minimum(square, 100)
    square.ravel()[brightest], (dy, dx) = 300, (brightest // 3 - 1, brightest % 3 - 1)
    known.steps[y + dy, x + dx] = 300
    (found,) = net.inputs(known, np.array([y * 50 + x]))
    assert found[:81].tolist() == known.steps[y - 4 : y + 5, x - 4 : x + 5].ravel().tolist()
    around = known.steps[y + dy - 2 : y + dy + 3, x + dx - 2 : x + dx + 3]
    assert found[81:106].tolist() == around.ravel().tolist()
    assert found[106] == known.level[y, x]
    assert found[107:].tolist() == [step * PER_OCTAVE for step in (dy, dx, abs(dy), abs(dx))]


def test_many_pixels_are_scored_as_each_alone(monkeypatch):
    known = Known(7)
    places, star = some_places(known, 50), np.zeros(net.OF_IMAGE, np.int16)
    whole = net.scores(known, places, star)
    monkeypatch.setattr(net, "AT_A_TIME", 7)
    np.testing.assert_array_equal(net.scores(known, places, star), whole)
    assert net.scores(known, places[:0], star).size == 0
