"""Stacks of windows hold the pixels that slices of the image do, zero outside of it."""

import itertools

import numpy as np
import pytest

from lightmask.detect.windows import SIDES, STACK, cover, offsets, squares_of, stacks, trim

SHAPE = (40, 53)
IMAGE = np.arange(1, 1 + SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)


def corners(side, number, seed=1):
    """Return where squares begin, so that each begins within the image."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, SHAPE[0], number), rng.integers(0, SHAPE[1], number)


@pytest.mark.parametrize("margin", [0, 1, 6])
@pytest.mark.parametrize("side", [1, 8, 32])
def test_windows_hold_the_pixels_of_the_image(side, margin):
    y, x = corners(side, 300)
    around = margin + side
    padded = np.pad(IMAGE, around)
    rows, columns = (np.arange(-around, length + around) for length in SHAPE)
    depth_y, depth_x = (np.minimum(i, n - 1 - i) for i, n in ((rows, SHAPE[0]), (columns, SHAPE[1])))
    depth = np.minimum.outer(depth_y, depth_x)
    seen = []
    for part, windows in stacks(SHAPE, y, x, side, margin):
        values = windows.take(IMAGE)
        assert values.shape[:2] == (side + 2 * margin,) * 2
        for number, square in enumerate(part):
            place = tuple(slice(i + around - margin, i + around + side + margin) for i in (y[square], x[square]))
            np.testing.assert_array_equal(values[..., number], padded[place])
            inside = depth[place] >= 0
            np.testing.assert_array_equal(IMAGE.ravel()[windows.index[..., number]][inside], padded[place][inside])
            if windows.depth is None:
                assert inside.all()
            else:
                np.testing.assert_array_equal(windows.depth[..., number], depth[place])
        seen.append(part)
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(y.size))


def test_stacks_are_small_and_those_over_the_edge_come_last():
    y, x = corners(1, 5000)
    edges = []
    for part, windows in stacks(SHAPE, y, x, 1, 3):
        assert part.size * 49 <= STACK
        edges.append(windows.depth is not None)
    assert edges == sorted(edges)
    assert set(edges) == {False, True}


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_filter_is_undone_at_the_edge_of_the_image(width):
    """Filtered pixels are marked: those nearer to the edge than half the filter keep their value."""
    y, x = (np.array(each).ravel() for each in np.meshgrid(range(0, 40, 4), range(0, 53, 4), indexing="ij"))
    expected = -IMAGE
    inner = np.zeros(SHAPE, bool)
    inner[width:-width, width:-width] = True
    expected = np.where(inner, -IMAGE, IMAGE)
    found = np.zeros(SHAPE, np.float32)
    for part, windows in stacks(SHAPE, y, x, 4, width):
        unfiltered = windows.take(IMAGE)
        filtered = -trim(unfiltered, width)
        windows.keep_border(filtered, unfiltered, width)
        index = trim(windows.index, width)
        inside = np.ones(index.shape, bool) if windows.depth is None else trim(windows.depth, width) >= 0
        found.ravel()[index[inside]] = filtered[inside]
        assert part.size
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("half", [0, 1, 2])
def test_offsets_are_those_of_a_square(half):
    y, x = 11, 17
    square = IMAGE[y - half : y + half + 1, x - half : x + half + 1]
    np.testing.assert_array_equal(IMAGE.ravel()[y * SHAPE[1] + x + offsets(SHAPE[1], half)], square.ravel())


@pytest.mark.parametrize("side", [1, 8, 32])
def test_squares_are_numbered_row_by_row(side):
    numbers = squares_of(np.arange(IMAGE.size), SHAPE[1], side).reshape(SHAPE)
    columns = -(-SHAPE[1] // side)
    for row, column in itertools.product(range(-(-SHAPE[0] // side)), range(columns)):
        square = numbers[row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert (square == row * columns + column).all()


@pytest.mark.parametrize("number", [0, 1, 30, 600, 2000])
@pytest.mark.parametrize("margin", [0, 4, 12])
@pytest.mark.parametrize("sides", [SIDES, ()])
def test_pixels_are_covered_at_the_least_cost(number, margin, sides):
    pixels = np.sort(np.random.default_rng(number).choice(IMAGE.size, number, replace=False))
    y, x, side, (row, column, square) = cover(pixels, SHAPE[1], margin, sides)
    np.testing.assert_array_equal(np.atleast_1d(y)[square] + row, pixels // SHAPE[1])
    np.testing.assert_array_equal(np.atleast_1d(x)[square] + column, pixels % SHAPE[1])
    assert side in (1, *sides)
    assert y.size == np.unique(square).size
    assert (row < side).all()
    assert (column < side).all()
    costs = {
        each: np.unique(squares_of(pixels, SHAPE[1], each)).size * (each + 2 * margin) ** 2 for each in (1, *sides)
    }
    assert y.size * (side + 2 * margin) ** 2 == costs[side]
    assert costs[side] <= costs[1]
    larger = [each for each in sides if each > side]
    assert not larger or costs[larger[0]] >= costs[side]  # larger squares are tried as long as they are cheaper
