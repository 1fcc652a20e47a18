"""Pixels are replaced by what NumPy makes of the good pixels of 5x5."""

import numpy as np
import pytest
import skies
from numpy.lib.stride_tricks import sliding_window_view

from lightmask.detect.cleaning import CLEANERS, clean
from lightmask.detect.electrons import Electrons, Images

READ_VARIANCE = np.float32(36)
SHAPE = (60, 70)


def plain(cleantype, values, bad):
    """Return what replaces the centre of 25 pixels."""
    good = values[~bad]
    if cleantype == "meanmask":
        return good.mean()
    if cleantype == "medmask":
        return np.sort(good)[(good.size - 1) // 2]
    if cleantype == "median":
        return np.median(values)
    y, x = np.mgrid[-2:3, -2:3].reshape(2, 25)
    with np.errstate(divide="ignore"):
        weight = 1 / np.hypot(y, x)
    return np.average(good, weights=weight[~bad])


@pytest.mark.parametrize("cleantype", list(CLEANERS))
def test_values_of_cleaners(cleantype):
    rng = np.random.default_rng(1)
    values = rng.integers(-50, 50, (25, 400)).astype(np.float32)
    bad = rng.random(values.shape) < rng.random(400)
    bad[12] = True  # the pixel that is replaced
    bad[3] = False
    found = CLEANERS[cleantype](values, bad)
    assert found.dtype == np.float32
    expected = [plain(cleantype, *each) for each in zip(values.T, bad.T, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def scene(given_variance, masked):
    """Return an image and pixels that lie close together, some of them in a block of 9x9."""
    rng = np.random.default_rng(2)
    data = skies.add_hits(skies.sky(SHAPE, rng), rng, 0.05)
    cosmics = rng.random(SHAPE) < 0.1
    cosmics[20:29, 30:39] = True
    border = np.ones(SHAPE, bool)
    border[2:-2, 2:-2] = False
    variance = skies.sky(SHAPE, rng, level=300) if given_variance else None
    mask = rng.random(SHAPE) < 0.1 if masked else None
    cosmics &= ~border if mask is None else ~(border | mask)
    images = Images(data.copy(), None, None, variance)
    nothing = np.zeros(0, np.intp)
    image = Electrons(
        images, np.float32(1), READ_VARIANCE, data, None, None if variance is None else variance.copy(), mask, nothing
    )
    return image, cosmics, data.copy(), data + READ_VARIANCE if variance is None else variance


@np.errstate(invalid="ignore")  # as `search` does: there is nothing good around some pixels
@pytest.mark.parametrize("at_a_time", [7, 10_000])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("given_variance", [False, True])
@pytest.mark.parametrize("cleantype", list(CLEANERS))
def test_cosmic_pixels_are_replaced_with_their_variance(cleantype, given_variance, masked, at_a_time):
    """In two steps: what is found first is replaced again where something new is near."""
    image, cosmics, data, variance = scene(given_variance, masked)
    defaults = np.float32(-3), np.float32(-4)
    first = cosmics & (np.random.default_rng(3).random(SHAPE) < 0.5)
    changed = np.zeros(SHAPE, bool)
    for step in (first, cosmics):
        before = image.data.copy()
        for pixels, variances in clean(image, np.flatnonzero(step), cleantype, lambda: defaults, at_a_time):
            changed.ravel()[pixels] = True
            np.testing.assert_array_equal(
                variances, image.variance.at(pixels, image.data.ravel()[pixels], image.crmask)
            )
        assert (changed >= (image.data != before)).all()
        bad = step if image.mask is None else step | image.mask
        for expected in (data, variance):
            around = sliding_window_view(expected.copy(), (5, 5)).reshape(SHAPE[0] - 4, SHAPE[1] - 4, 25)
            bads = sliding_window_view(bad, (5, 5)).reshape(around.shape)
            for y, x in np.argwhere(step):
                values, masked_ones = around[y - 2, x - 2], bads[y - 2, x - 2]
                alone = masked_ones.all() and cleantype != "median"
                default = defaults[0] if expected is data else defaults[1]
                expected[y, x] = default if alone else plain(cleantype, values, masked_ones)
    np.testing.assert_array_equal(image.crmask, cosmics)
    assert (image.data == -3).sum() > 20 or cleantype == "median"
    np.testing.assert_allclose(image.data, data, rtol=1e-5)
    index = np.arange(data.size)
    found = image.variance.at(index, image.data.ravel(), image.crmask).reshape(SHAPE)
    np.testing.assert_allclose(found, variance, rtol=1e-5)
    assert not changed[~cosmics].any()
    assert changed[cosmics].mean() > 0.9


def test_defaults_are_not_asked_for_without_need():
    image, _, _, _ = scene(False, False)

    def defaults():
        raise AssertionError("there are good pixels")

    ((pixels, _),) = clean(image, np.array([10 * SHAPE[1] + 10]), "meanmask", defaults, 100)
    assert pixels.tolist() == [10 * SHAPE[1] + 10]
    assert list(clean(image, pixels, "meanmask", defaults, 100)) == []
