"""Images of one field are aligned by their stars, whatever their headers say, and others are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.repeats import alignment
from lightmask.repeats.alignment import IDENTITY, align, apply
from lightmask.repeats.stars import Stars

SHAPE = (800, 1000)


def stars_at(place, flux):
    order = np.argsort(-flux)
    number = len(place)
    return Stars(place[order], flux[order], np.full(number, 5), 0.0, 1.0, np.ones((number, 5, 5)))


def field(seed, number=60):
    rng = np.random.default_rng(seed)
    return rng.uniform(-200, 1200, (4 * number, 2)), 1000 * (1 - rng.random(4 * number)) ** -1.2


def seen(field, matrix, seed, lost=0.1, others=5, off=0.05, dimmed=1.0):
    """See a field through a transformation; some stars are lost, and there are others."""
    rng = np.random.default_rng(seed)
    places, flux = field
    place = apply(matrix, places) + rng.normal(0, off, places.shape)
    kept = ((place > 0) & (place < np.array(SHAPE) - 1)).all(axis=1) & (rng.random(len(place)) >= lost)
    place = np.concatenate([place[kept], rng.uniform(0, SHAPE, (others, 2))])
    flux = np.concatenate([flux[kept] * dimmed, 1000 * (1 - rng.random(others)) ** -1.2])
    return stars_at(place, flux)


def turned(angle, dy=0.0, dx=0.0, scale=1.0, flip=1):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s * flip, dy], [s, c * flip, dx]])


def check(found, matrix):
    corners = np.array([[0, 0], [0, SHAPE[1]], [SHAPE[0], 0], SHAPE], float)
    assert found is not None
    assert np.abs(apply(found.matrix, corners) - apply(matrix, corners)).max() < 0.5


@settings(max_examples=40, deadline=None)
@given(st.floats(-250, 250), st.floats(-250, 250), st.integers(0, 2**31))
def test_a_shift_is_found_without_a_guess(dy, dx, seed):
    matrix = turned(0.0, dy, dx)
    one, other = seen(field(seed), IDENTITY, seed + 1), seen(field(seed), matrix, seed + 2, dimmed=0.7)
    found = align(one, other, SHAPE)
    check(found, matrix)
    assert found.flux == pytest.approx(0.7, rel=0.01)
    assert found.off < 0.2 and len(found.stars) > 10


@pytest.mark.parametrize("angle", [0.02, -0.3, 1.3, np.pi])
def test_a_turn_is_found_with_a_guess_of_its_angle_and_without(angle):
    middle = np.array(SHAPE) / 2
    matrix = turned(angle)
    matrix[:, 2] = middle - matrix[:, :2] @ middle + [20, -10]
    one, other = seen(field(5), IDENTITY, 1), seen(field(5), matrix, 2)
    check(align(one, other, SHAPE), matrix)
    guess = turned(angle + 0.002, 999, -999)
    check(align(one, other, SHAPE, [guess]), matrix)


@pytest.mark.parametrize("seed", range(200, 220))
def test_stars_that_are_paired_by_chance_shear_nothing(seed):
    """With a guess that is turned a little, first pairs are few and some are wrong; of seed 210 they make a shear."""
    rng = np.random.default_rng(seed)
    matrix = turned(rng.uniform(-0.05, 0.05), *rng.uniform(-50, 50, 2))
    one = seen(field(seed, 40), IDENTITY, seed + 1, others=60)
    other = seen(field(seed, 40), matrix, seed + 2, lost=0.3, others=60)
    found = align(one, other, SHAPE)
    assert found or seed != 210
    if found:
        check(found, matrix)


def test_half_a_turn_needs_no_triangles(monkeypatch):
    monkeypatch.setattr(alignment, "_of_triangles", None)
    matrix = turned(np.pi + 0.002, 790, 1010)
    check(align(seen(field(5), IDENTITY, 1), seen(field(5), matrix, 2), SHAPE), matrix)


def test_a_mirror_image_is_found_with_a_guess():
    matrix = turned(0.1, 30, 600, flip=-1)
    one, other = seen(field(6), IDENTITY, 1), seen(field(6), matrix, 2)
    check(align(one, other, SHAPE, [turned(0.1, flip=-1)]), matrix)


def test_a_wrong_guess_does_no_harm():
    matrix = turned(0, 12, 34)
    one, other = seen(field(7), IDENTITY, 1), seen(field(7), matrix, 2)
    for guess in (turned(1.0), turned(0, scale=3.0), turned(2.0, flip=-1)):
        check(align(one, other, SHAPE, [guess]), matrix)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 150))
def test_other_fields_are_not_aligned(seed, number):
    one, other = seen(field(seed, number), IDENTITY, 1), seen(field(seed + 1, number), IDENTITY, 2)
    assert align(one, other, SHAPE) is None


@pytest.mark.parametrize("number", [0, 1, 2])
def test_too_few_stars_say_nothing(number):
    stars = stars_at(np.arange(2.0 * number).reshape(number, 2), np.ones(number))
    many = seen(field(8), IDENTITY, 1)
    assert align(stars, many, SHAPE) is None and align(many, stars, SHAPE) is None


def test_a_few_stars_give_a_shift_and_no_turn():
    place = np.array([[100.0, 200.0], [400.0, 300.0], [300.0, 700.0]])
    one, other = stars_at(place, np.ones(3)), stars_at(place + np.array([5.2, -7.4]), np.ones(3))
    np.testing.assert_allclose(align(one, other, SHAPE).matrix, turned(0, 5.2, -7.4), atol=1e-6)


def test_stars_whose_flux_differs_do_not_count():
    """Half of them are other objects, displaced by half a pixel, ten times as bright."""
    place = np.random.default_rng(1).uniform(50, 700, (40, 2))
    one = stars_at(place, np.full(40, 1000.0))
    moved = place + np.where(np.arange(40) < 15, 0.9, 0.0)[:, None]
    flux = np.where(np.arange(40) < 15, 30_000.0, 3000.0)
    found = align(one, stars_at(moved, flux), SHAPE)
    np.testing.assert_allclose(found.matrix, IDENTITY, atol=1e-9)
    assert found.flux == pytest.approx(3) and len(found.stars) == 25 and found.off == pytest.approx(0, abs=1e-9)


def test_stars_that_agree_only_roughly_do_not_align():
    rng = np.random.default_rng(2)
    place = rng.uniform(50, 700, (40, 2))
    for off, expected in ((0.2, True), (1.2, False)):
        other = place + rng.normal(0, off, place.shape)
        assert (align(stars_at(place, np.ones(40)), stars_at(other, np.ones(40)), SHAPE) is not None) == expected


@pytest.mark.parametrize("linear", [[[1.0, 0.004], [0.004, 1.0]], [[1.002, 0.0], [0.0, 0.998]]])
def test_shear_is_fitted_where_stars_enough_show_it(linear):
    """As differential refraction makes it."""
    matrix = np.column_stack([linear, [3.0, -2.0]])
    one, other = seen(field(9, 100), IDENTITY, 1), seen(field(9, 100), matrix, 2)
    check(align(one, other, SHAPE), matrix)


def test_a_turn_that_noise_pretends_is_none():
    rng = np.random.default_rng(3)
    place = rng.uniform(50, 700, (9, 2))
    other = place + 10 + rng.normal(0, 0.2, place.shape)
    found = align(stars_at(place, np.ones(9)), stars_at(other, np.ones(9)), SHAPE)
    assert (found.matrix[:, :2] == IDENTITY[:, :2]).all()
