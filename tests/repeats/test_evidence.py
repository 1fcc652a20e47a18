"""The excess of a pixel over its neighbours, in numbers that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.repeats import evidence
from lightmask.repeats.alignment import IDENTITY, Alignment
from lightmask.repeats.evidence import Neighbour, at, compare, levels
from lightmask.repeats.fixed import fixed

SHAPE = (80, 90)
NONE = np.zeros(SHAPE, bool)


def neighbour(image, matrix=IDENTITY, flux=1.0, reach=1):
    return Neighbour(image.__getitem__, image.shape, Alignment(matrix, flux, np.zeros(0, int), 0.0), reach)


def flat(value=100.0):
    return np.full(SHAPE, value, np.float32)


def of_ten(y, x, light):
    """Return a variance of 100: a noise of 10."""
    return np.full(np.shape(light), 100.0, np.float32)


def excess_at(found, y, x):
    places = np.flatnonzero(found.pixels == y * SHAPE[1] + x)
    return None if not places.size else float(found.excess[places[0]])


@pytest.mark.parametrize("number", [2, 3, 7])
def test_excess_is_the_difference_in_its_error(number):
    image = flat()
    image[40, 50] += 70
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(flat())] * number, NONE, 1000)
    assert found.pixels.tolist() == [40 * SHAPE[1] + 50]
    residual = 70 - (10 * 0.8 / number if number % 2 == 0 else 0)  # the lower of two lies below their median
    assert found.excess[0] == pytest.approx(residual / np.sqrt(100 * (1 + 1.5 / number)))
    assert found.error[0] == pytest.approx(residual / found.excess[0])
    assert found.contrast[0] == pytest.approx(70) and found.sigma[0] == pytest.approx(10)


@pytest.mark.parametrize("variances", [(1, 1, 1), (4, 4, 4), (0, 1, 8)])
def test_the_noise_of_neighbours_counts(variances):
    image = flat()
    image[40, 50] += 70
    others = [neighbour(flat())._replace(variance=each) for each in variances]
    found = compare(image.__getitem__, SHAPE, of_ten, others, NONE, 1000)
    assert found.excess[0] == pytest.approx(70 / np.sqrt(100 * (1 + np.mean(variances) * 1.5 / 3)))


@pytest.mark.parametrize("step", [(0, 1), (1, 1), (1, 0), (1, -1)])
@pytest.mark.parametrize("rows_at_a_time", [1000, 41])
def test_noise_that_touches_nothing_is_not_compared(step, rows_at_a_time):
    """A pixel of less than four sigma: by itself it is no ray, and beside another one it may be part of one."""

    def pixels_of(image, mask=NONE):
        found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(flat())] * 3, mask, rows_at_a_time)
        return [divmod(int(place), SHAPE[1]) for place in found.pixels]

    image, mask = flat(), NONE.copy()
    image[20, 50] += 39
    assert pixels_of(image) == []
    image[20, 50] += 2
    assert pixels_of(image) == [(20, 50)]
    image[20, 50] -= 2
    mask[20, 50] = True
    assert pixels_of(image, mask) == [(20, 50)]
    image[20 + step[0], 50 + step[1]] += 30
    assert pixels_of(image) == [(20, 50), (20 + step[0], 50 + step[1])]
    image = flat()
    image[20, 89] += 39
    image[21, 0] += 39  # the next place, and no neighbour
    assert pixels_of(image) == []
    image[40, 50] = 139  # in the last row of a band
    assert pixels_of(image) == []
    image[41, 50] = 139
    assert pixels_of(image) == [(40, 50), (41, 50)]


def test_light_of_sources_around_counts_as_error_by_a_quarter():
    """And half of what is brighter around than at the pixel: it may be there by the next one."""
    image, other = flat(), flat()
    image[40, 50] += 500
    other[40, 52] += 400  # reached by what is two to the right, of which a fourth and half count
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(other)] * 3, NONE, 1000)
    error = np.sqrt(100 * 1.5 + 1.5 * (0.22 * 400) ** 2 + (0.5 * (400 - 2 * 10)) ** 2)
    assert excess_at(found, 40, 50) == pytest.approx(500 / error, rel=1e-4)
    other[40, 52], other[40, 53] = 100, 500  # beyond the reach of one pixel
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(other)] * 3, NONE, 1000)
    assert excess_at(found, 40, 50) == pytest.approx(500 / np.sqrt(150), rel=1e-4)
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(other, reach=2)] * 3, NONE, 1000)
    assert excess_at(found, 40, 50) == pytest.approx(500 / error, rel=1e-4)


def test_flux_and_sky_are_those_of_the_image():
    """The neighbour has twice the flux and another sky."""
    image, other = flat(), flat(250.0)
    image[30, 30] += 300
    other[30, 30] += 600
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(other, flux=2.0)] * 2, NONE, 1000)
    assert excess_at(found, 30, 30) is None  # below what is kept
    other[30, 30] -= 400  # of 300 it shows 100
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(other, flux=2.0)] * 2, NONE, 1000)
    error = np.sqrt(1.75 * (100 + 22**2))
    assert excess_at(found, 30, 30) == pytest.approx((200 - 0.4 * 10) / error, rel=1e-4)


def test_the_variance_is_that_of_the_light_that_neighbours_show():
    image = flat()
    image[30, 30] += 900
    other = flat()
    other[30, 30] += 400
    found = compare(image.__getitem__, SHAPE, lambda y, x, light: light, [neighbour(other)] * 2, NONE, 1000)
    assert found.sigma[0] == pytest.approx(np.sqrt(500))
    error = np.sqrt(1.75 * (500 + 88**2))
    assert found.excess[0] == pytest.approx((500 - 0.4 * np.sqrt(500)) / error, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(-8, 8), st.floats(-8, 8))
def test_a_displaced_neighbour_is_read_between_its_pixels(dy, dx):
    y, x = np.indices(SHAPE)
    image = (100 + 2.0 * y + 3.0 * x).astype(np.float32)
    other = (100 + 2.0 * (y - dy) + 3.0 * (x - dx)).astype(np.float32)
    matrix = np.array([[1.0, 0, dy], [0, 1, dx]])
    mask = NONE.copy()
    mask[20:60, 20:60] = True
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(other, matrix)] * 2, mask, 37)
    inside = found.pixels[mask.ravel()[found.pixels]]
    assert inside.size == 1600
    assert np.nanmax(np.abs(found.excess[np.isin(found.pixels, inside)] * 10)) < 10  # gradients count as light


def test_what_too_few_neighbours_show_is_not_known():
    image = flat()
    image[40, 50] += 500
    others = [flat(), flat(), flat()]
    for other in others[:2]:
        other[40, 50] = np.nan
    mask = NONE.copy()
    mask[40, 50] = True
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(each) for each in others], mask, 1000)
    assert np.isnan(excess_at(found, 40, 50))
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(each) for each in others[1:] + others[2:]], mask, 1000)
    assert excess_at(found, 40, 50) > 20


def test_edges_are_not_shown_by_a_displaced_neighbour():
    matrix = np.array([[1.0, 0, 10], [0, 1, -5]])
    mask = np.ones(SHAPE, bool)
    found = compare(flat().__getitem__, SHAPE, of_ten, [neighbour(flat(), matrix)] * 2, mask, 33)
    known = np.zeros(SHAPE, bool)
    known.ravel()[found.pixels[np.isfinite(found.excess)]] = True
    expected = np.zeros(SHAPE, bool)
    expected[:68, 6:] = True  # a pixel is left around, of what is displaced by 10 and -5
    assert (known == expected).all()


def test_pixels_beside_bad_ones_are_known():
    image = flat()
    image[40, 50] = np.nan
    image[38:43, 48:53] += 300
    found = compare(image.__getitem__, SHAPE, of_ten, [neighbour(flat())] * 2, NONE, 39)
    beside = np.zeros(SHAPE, bool)
    beside.ravel()[found.pixels[found.beside_bad]] = True
    assert set(map(tuple, np.argwhere(beside))) == {(y, x) for y in (39, 40, 41) for x in (49, 50, 51)} - {(40, 50)}
    assert found.pixels.size == 24


def test_levels_are_medians_of_squares_and_go_over_into_each_other():
    data = np.full((10, 12), np.nan, np.float32)
    data[:8, :8] = 1
    data[:8, 8:] = 5
    data[0, :5] = 90
    found = levels(data, 8)
    np.testing.assert_array_equal(found, [[1, 5], [3, 3]])  # below nothing is known: the median of what is
    assert levels(np.full((4, 4), np.nan, np.float32), 8).tolist() == [[0]]
    two = np.array([[1.0, 5.0]], np.float32)
    np.testing.assert_allclose(at(two, 8, np.zeros(5), np.array([0, 3.5, 7.5, 11.5, 99])), [1, 1, 3, 5, 5])
    np.testing.assert_allclose(at(two.T.copy(), 8, np.array([0, 3.5, 7.5, 11.5, 99]), np.zeros(5)), [1, 1, 3, 5, 5])


def test_a_gradient_of_the_sky_stands_out_nowhere():
    y, x = np.indices((300, 400))
    image = (100 + 0.5 * x + 0.3 * y).astype(np.float32)
    other = np.full((300, 400), 50, np.float32)

    def near(y, x, light):
        return np.full(np.shape(light), 1.0, np.float32)

    nothing = np.zeros((300, 400), bool)
    found = compare(image.__getitem__, (300, 400), near, [neighbour(other)] * 2, nothing, 1000)
    inner = (
        (found.pixels // 400 > 64)
        & (found.pixels // 400 < 230)
        & (found.pixels % 400 > 64)
        & (found.pixels % 400 < 330)
    )
    assert evidence.EVERY < evidence.BLOCK and not (found.excess[inner] > 3).any()


@pytest.mark.parametrize(
    ("shift", "excess", "known", "expected"),
    [
        (3.0, 60, 2, True),
        (2.9, 60, 2, False),  # it may be the same star
        (3.0, 49, 2, False),  # noise
        (3.0, 60, 1, False),  # a ray in one of them
        (3.0, 240, 2, True),
    ],
)
def test_hot_pixels_stand_out_in_displaced_neighbours(shift, excess, known, expected):
    matrix = np.array([[1.0, 0, shift], [0, 1, 0]])
    images = [flat() for _ in range(3)]
    for image in images[:known]:
        image[40, 50] += excess
    neighbours = [neighbour(image, matrix) for image in images]
    pixels = np.array([40 * SHAPE[1] + 50])
    for height in (7, 41, 1000):
        found = fixed(pixels, np.array([200.0], np.float32), SHAPE, of_ten, neighbours, height)
        assert found.tolist() == [expected]


@pytest.mark.parametrize(
    ("place", "bright"),
    [
        ((0, 50), np.s_[0, :]),  # of 28 pixels that are in the image 7 are bright
        ((79, 50), np.s_[79, :]),
        ((40, 0), np.s_[:, 0]),
        ((40, 89), np.s_[:, 89]),
        ((40, 50), np.s_[37:40, 47:54]),  # 21 of 49
        ((40, 50), np.s_[41:44, 47:54]),
    ],
)
def test_a_hot_pixel_stands_out_of_the_median_of_those_around_in_the_image(place, bright):
    image = flat()
    image[bright] += 1000
    image[place] = 1100
    neighbours = [neighbour(image, np.array([[1.0, 0, 3], [0, 1, 0]]))] * 2
    pixels = np.array([place[0] * SHAPE[1] + place[1]])
    for height in (7, 41, 1000):
        assert fixed(pixels, np.array([1000.0], np.float32), SHAPE, of_ten, neighbours, height).all()


def test_a_hot_pixel_is_as_bright_in_all():
    """A quarter of it, at least: what is fainter is something else."""
    matrix = np.array([[1.0, 0, 0], [0, 1, 5]])
    image = flat()
    image[40, 50] += 200
    pixels = np.array([40 * SHAPE[1] + 50])
    for contrast, expected in ((790, True), (810, False)):
        found = fixed(pixels, np.array([contrast], np.float32), SHAPE, of_ten, [neighbour(image, matrix)] * 2, 100)
        assert found.tolist() == [expected]


def test_half_of_those_that_are_displaced_must_show_it():
    matrix = np.array([[1.0, 0, 0], [0, 1, 5]])
    hot = flat()
    hot[0, 0] += 500  # a corner, too
    nan = np.full(SHAPE, np.nan, np.float32)
    pixels, contrast = np.array([0]), np.array([500.0], np.float32)
    for others, expected in (([flat()] * 2, True), ([flat()] * 3, False), ([flat()] * 2 + [nan] * 3, True)):
        neighbours = [neighbour(image, matrix) for image in [hot, hot, *others]]
        assert fixed(pixels, contrast, SHAPE, of_ten, neighbours, 100).tolist() == [expected]
    other_shape = Neighbour(hot.__getitem__, (70, 90), neighbour(hot, matrix).alignment)
    assert not fixed(pixels, contrast, SHAPE, of_ten, [other_shape] * 3, 100).any()
