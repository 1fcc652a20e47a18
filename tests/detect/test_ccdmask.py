"""The fast ccdmask against that of ccdproc, pixel by pixel."""

import importlib
import inspect
import warnings

import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lightmask.detect import ccdmask

badpixels = importlib.import_module("lightmask.detect.ccdmask")  # where the function hides it
RNG = np.random.default_rng


def reference(image, **parameters):
    """Return the mask of ccdproc, which warns of much."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return ccdproc.ccdmask(CCDData(image, unit="adu"), **parameters)


def assert_same(image, **parameters):
    """Assert that both give the same mask, and ours changes nothing; return it."""
    before = image.copy()
    mask = ccdmask(image, **parameters)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, reference(image, **parameters))
    np.testing.assert_array_equal(image, before)
    return mask


def flat(shape, rng, dtype=np.float32):
    """Return a flat with noise of 1 %, some bad pixels and a bad column."""
    image = 0.84 * rng.normal(1, 0.01, shape)
    image[rng.random(shape) < 0.01] *= rng.uniform(0.3, 1.7)
    image[shape[0] // 3 :, shape[1] // 4] *= 0.9
    return image.astype(dtype)


# --- any image, any parameters ---------------------------------------------------------

DTYPES = ["<f4", "<f8", ">f4", ">f8", "i1", "<i2", ">i2", "<i4", "<i8", "u1", "<u2", ">u2", "<u4", "<u8"]
SIGMAS = [0, 1e-3, 0.5, 1, 2.0, 3, 5, 9, 30, -1, -0.1, np.inf, np.nan, np.float64(2.5), np.float32(1.5), np.int64(2)]


@st.composite
def images(draw, most=32):
    shape = draw(st.tuples(st.integers(1, most), st.integers(1, most)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rng = RNG(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["flat", "constant", "few values", "heavy tails", "full range"]))
    if dtype.kind != "f":
        info = np.iinfo(dtype)
        if kind == "full range":
            return rng.integers(info.min, info.max, shape, dtype.newbyteorder("="), endpoint=True).astype(dtype)
        middle = draw(st.sampled_from([0, 60]))
        image = {"constant": 0, "few values": rng.normal(0, 1, shape)}.get(kind, rng.normal(0, 15, shape)) + middle
        return np.clip(np.broadcast_to(image, shape), info.min, min(info.max, 2**62)).astype(dtype)
    if kind == "flat":
        image = flat(shape, rng, float)
    elif kind == "constant":
        image = np.full(shape, 3.0)
        image[rng.random(shape) < 0.1] = 5
    elif kind == "few values":
        image = np.round(rng.normal(0, 2, shape))
    elif kind == "heavy tails":
        image = rng.standard_cauchy(shape)
    else:
        image = rng.uniform(-0.9, 0.9, shape) * np.finfo(dtype).max
    for value in draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), max_size=2)):
        image[rng.random(shape) < draw(st.sampled_from([0.002, 0.05, 0.4]))] = value
    with np.errstate(over="ignore"):
        return image.astype(dtype)


def within_scipy(sizes, length):
    """Limit sizes of windows: half a window of four images, and SciPy reads outside of its array."""
    return sizes.map(lambda size: min(size, 8 * length - 1) if length > 1 else size)


@st.composite
def cases(draw):
    image = draw(images())
    ny, nx = image.shape
    parameters = {
        "nlmed": draw(within_scipy(st.integers(1, 10), ny)),
        "ncmed": draw(within_scipy(st.integers(1, 10), nx)),
        "nlsig": draw(within_scipy(st.integers(1, 18), ny)),
        "ncsig": draw(within_scipy(st.integers(1, 18), nx)),
        "lsigma": draw(st.sampled_from(SIGMAS)),
        "hsigma": draw(st.sampled_from(SIGMAS)),
        "byblocks": draw(st.booleans()),
        "findbadcolumns": draw(st.booleans()),
        "ngood": draw(st.integers(-1, 12)),
    }
    return image, parameters


@settings(max_examples=200, deadline=None)
@given(cases())
def test_any_image(case):
    image, parameters = case
    assert_same(image, **parameters)


@settings(max_examples=25, deadline=None)
@given(images(), st.booleans(), st.booleans())
def test_default_sizes(image, byblocks, findbadcolumns):
    if min(image.shape) > 1:  # half a window of 15 is less than four images
        assert_same(image, byblocks=byblocks, findbadcolumns=findbadcolumns)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32), st.floats(0.05, 0.9), st.integers(1, 8))
def test_gaps(ny, nx, seed, fraction, ngood):
    """The mask of pixels of constant surroundings is that of all that differ."""
    rng = RNG(seed)
    image = np.zeros((ny, nx), np.float32)
    image[rng.random((ny, nx)) < fraction] = np.nan
    assert_same(image, nlmed=1, ncmed=1, nlsig=1, ncsig=1, findbadcolumns=True, ngood=ngood)


# --- the parts --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i2", "u2", "i4", "i8"])
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (2, 1), (1, 7), (7, 1), (2, 2), (3, 3), (4, 6), (5, 5), (7, 7), (8, 9), (15, 15), (17, 4)]
)
def test_networks(size, dtype):
    """A network gives any rank; strips and bands do not show."""
    image = RNG(1).integers(0, 100, (70, 45)).astype(dtype)
    area = size[0] * size[1]
    ranks = tuple(sorted({0, area // 3, area // 2, area - 1}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(badpixels, "REGISTER", 1000)
        found = badpixels._RankFilter(image, size, ranks)(slice(3, 70))
    for rank, pixels in zip(ranks, found, strict=True):
        np.testing.assert_array_equal(pixels, ndimage.rank_filter(image, rank, size)[3:])


def test_networks_share_work():
    network = badpixels._network((7, 7), (24,))
    assert len(network.steps) == 124 * network.period
    assert network.registers <= 81


@pytest.mark.parametrize("size", range(1, 20))
def test_sliding(size):
    values = RNG(2).integers(0, 100, (25, 30))
    windows = np.lib.stride_tricks.sliding_window_view(values, size, axis=1)
    np.testing.assert_array_equal(badpixels._sliding(np.add, values, size), windows.sum(axis=-1))
    np.testing.assert_array_equal(badpixels._sliding(np.minimum, values, size), windows.min(axis=-1))


def test_boxes_cover():
    """Boxes hold all flags and do not overlap; few flags need few pixels."""
    for seed in range(30):
        rng = RNG(seed)
        flags = rng.random(rng.integers(1, 200, 2)) < rng.choice([0.0005, 0.01, 0.5])
        cost, boxes = badpixels._boxes(flags, (15, 15))
        covered = np.zeros(flags.shape, int)
        for box in boxes:
            covered[box] += 1
        assert covered.max() <= 1
        assert not (flags & (covered == 0)).any()
        assert cost <= (flags.shape[0] + 14) * (flags.shape[1] + 14)


def test_pixels_are_in_doubt_only_where_they_deviate(monkeypatch):
    """The bounds of sigma leave few windows to sort."""
    doubtful = []
    original = badpixels._doubtful
    monkeypatch.setattr(badpixels, "_doubtful", lambda *args: doubtful.append(original(*args)) or doubtful[-1])
    image = flat((512, 512), RNG(3))
    bad = ccdmask(image).sum()
    assert bad < np.sum(doubtful) < bad + 0.02 * image.size


def adversarial(rng):
    """Return residuals of few values, or that may overflow, or of scales that differ from place to place."""
    shape = rng.integers(1, 14), rng.integers(1, 30)
    kind = rng.integers(5)
    if kind == 0:
        return rng.choice(np.float32([-np.inf, -1, 0, 0.5, 1, 1.5, np.inf]), shape)
    if kind == 1:
        return rng.integers(-128, 128, shape).astype(rng.choice(["i1", "u1"]))
    if kind == 2:
        return rng.integers(-128, 128, shape) * 2**55 + rng.integers(-300, 300, shape)
    places = np.kron(rng.integers(0, 3, (7, 10)), np.ones((2, 3), int))[: shape[0], : shape[1]]
    scales = rng.choice([1, 10, 1e3, 1e38, np.inf], 3)
    values = np.round(rng.uniform(-3, 3, shape)) + rng.choice([0, 0.25])
    return np.multiply(values, scales[places], out=np.zeros(shape, np.float32), where=values != 0, casting="unsafe")


LIMITS = [(-0.5, 0.5), (-1, 1), (-2, 2), (-3, 0), (0, np.inf), (-4, 4)]
SIZES = [(1, 1), (1, 4), (2, 3), (3, 3), (3, 4), (4, 2), (5, 5)]


@pytest.mark.parametrize("safety", [(1.0, 2.0, 4.0), (-1.0, 0.0, 0.5)])
@pytest.mark.parametrize("crowded", [0.1, 1.0])
def test_sigma_is_never_overestimated(safety, crowded, monkeypatch):
    """Wherever a residual exceeds the limits, the bounds of its sigma leave it in doubt."""
    for name, value in {"BAND": 5, "LEVELS": 3, "SAFETY": safety, "CROWDED": crowded}.items():
        monkeypatch.setattr(badpixels, name, value)
    for seed in range(400):
        rng = RNG(seed)
        residuals = adversarial(rng)
        limits = badpixels._Limits(*LIMITS[rng.integers(len(LIMITS))])
        size = SIZES[rng.integers(len(SIZES))]
        with np.errstate(all="ignore"):
            low, high = (ndimage.percentile_filter(residuals, percentile, size) for percentile in (30.9, 69.1))
            sigma = (high - low) / 2.0
            expected = (residuals < limits.lower * sigma) | (residuals > limits.upper * sigma)
            found = badpixels._deviant(residuals, size, limits)
        np.testing.assert_array_equal(found, expected, str(seed))


def test_sigma_of_blocks():
    for seed in range(400):
        rng = RNG(seed)
        residuals = adversarial(rng)
        limits = badpixels._Limits(*LIMITS[rng.integers(len(LIMITS))])
        size = SIZES[rng.integers(2, len(SIZES))]
        expected = np.zeros(residuals.shape, bool)
        with np.errstate(all="ignore"):
            found = badpixels._deviant_in_blocks(residuals, size, limits, False)
            for y in range(0, len(residuals), size[0]):
                for x in range(0, residuals.shape[1], size[1]):
                    block = np.s_[y : y + size[0], x : x + size[1]]
                    low, high = np.percentile(residuals[block], 30.9), np.percentile(residuals[block], 69.1)
                    sigma = (high - low) / 2.0
                    expected[block] = residuals[block] < limits.lower * sigma
                    expected[block] |= residuals[block] > limits.upper * sigma
        np.testing.assert_array_equal(found, expected, str(seed))


def test_percentiles_that_overflow():
    """Percentiles whose interpolation overflows are not between pixels."""
    wrapped = np.array([[-100, -100, -100], [-20, 110, 110]], np.int8)
    infinite = np.float32([[-3e38] * 3, [-3e38, -3e38, -1e38], [3e38] * 3])
    for residuals in (wrapped, infinite):
        with np.errstate(all="ignore"):
            low, high = np.percentile(residuals, 30.9), np.percentile(residuals, 69.1)
            expected = (residuals < -4 * ((high - low) / 2.0)) | (residuals > 4 * ((high - low) / 2.0))
            found = badpixels._deviant_in_blocks(residuals, residuals.shape, badpixels._Limits(-4, 4), False)
        assert expected.any()
        np.testing.assert_array_equal(found, expected)


# --- known traps --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 2), (2, 1), (1, 50), (50, 1), (2, 2), (3, 40), (40, 3), (7, 7), (64, 65)]
)
@pytest.mark.parametrize("byblocks", [False, True])
def test_small_images(shape, byblocks):
    rng = RNG(4)
    for limit in (0.5, 2, 9):
        image = rng.standard_cauchy(shape).astype(np.float32)
        sizes = {"nlmed": 5, "ncmed": 6, "nlsig": 13, "ncsig": 12}
        assert_same(image, byblocks=byblocks, lsigma=limit, hsigma=limit, findbadcolumns=True, **sizes)


@pytest.mark.parametrize("limits", [(9, 9), (3, 20), (1, 1), (0, 0), (-1, 2), (5, 0.01)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_borders_of_bands_and_levels(limits, dtype):
    """More than a band and more than the columns that share levels; noise that differs much."""
    image = flat((150, 160), RNG(5), dtype)
    image[:, 70:] = 1 + 50 * (image[:, 70:] - 0.84)
    image[66:, 100:] = 0
    assert_same(image, lsigma=limits[0], hsigma=limits[1])


def test_noise_differs_within_a_window():
    """A level of quiet pixels is no bound for noisy ones next to them, nor the reverse."""
    rng = RNG(6)
    image = rng.normal(0, 1, (70, 260)).astype(np.float32)
    image *= np.where(np.arange(260) // 64 % 2, 100, 1)
    assert_same(image, lsigma=3, hsigma=3)
    image = np.where(np.arange(260) // 64 % 2, np.float32(np.inf), image)
    assert_same(image, lsigma=3, hsigma=3)


def test_levels_next_to_infinite_ones():
    """A lower bound of sigma that does not exist is zero, not NaN."""
    rng = RNG(7)
    image = rng.normal(0, 1, (64, 192)).astype(np.float32)
    infinite = rng.random((64, 192)) < np.where(np.arange(192) // 64 == 1, 0.75, 0.02)
    image[infinite] = np.inf
    for limit in (0.5, 2, 4):
        assert_same(image, nlmed=1, ncmed=31, nlsig=5, ncsig=5, lsigma=limit, hsigma=limit)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("byblocks", [False, True])
def test_not_finite(value, byblocks):
    rng = RNG(8)
    image = flat((90, 100), rng)
    image[10, 10] = image[0, 99] = value  # alone, and in a corner
    image[40:60, 50] = value  # part of a column
    image[70:, :20] = value  # more than a window
    mask = assert_same(image, byblocks=byblocks, findbadcolumns=True, lsigma=3)
    assert mask[10, 10] or byblocks


@pytest.mark.parametrize("size", [(7, 7), (4, 6), (2, 5), (8, 1), (1, 4), (3, 3)])
def test_windows_with_nan(size):
    """All windows that see a NaN, and no more, are left to SciPy."""
    for seed in range(10):
        rng = RNG(seed)
        image = rng.normal(0, 1, (30, 40))
        image[rng.integers(0, 30, 3), rng.integers(0, 40, 3)] = np.nan
        expected = image - ndimage.median_filter(image, size)
        np.testing.assert_array_equal(badpixels._median_subtracted(image, size), expected)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 2), (3, 1), (1, 3)])
def test_nan_in_windows_of_few_pixels(sizes):
    """SciPy turns to running minima and maxima, in which NaN reaches far."""
    for seed in range(20):
        rng = RNG(seed)
        image = rng.normal(0, 1, (20, 30))
        image[rng.random(image.shape) < 0.2] = np.nan
        assert_same(image, nlmed=sizes[0], ncmed=sizes[1], nlsig=sizes[1], ncsig=sizes[0], lsigma=0.5, hsigma=0.5)


def test_overflow():
    """Sums and differences of large pixels become infinite, those of integers wrap around."""
    rng = RNG(9)
    large = (rng.choice([-1, 1], (40, 50)) * rng.uniform(1, 3e38, (40, 50))).astype(np.float32)
    noise = rng.integers(-(2**15), 2**15, (40, 50)).astype(np.int16)
    for image in (large, noise, noise.view(np.uint16), noise.astype(np.int64) << 47):
        for byblocks in (False, True):
            assert_same(image, byblocks=byblocks, findbadcolumns=True, lsigma=1, hsigma=1)
            assert_same(image, byblocks=byblocks, nlmed=1, ncmed=1, lsigma=0.1)


def test_integers_that_are_no_float64():
    image = 2**60 + RNG(10).integers(-300, 300, (30, 30))
    image[5, 5] += 10**6
    assert_same(image)
    assert_same(image, lsigma=1, hsigma=1, byblocks=True)


@pytest.mark.parametrize("hsigma", [9, 5.5, np.float64(5.5), np.float32(5)])
@pytest.mark.parametrize("ncsig", [1, 2, 11, 15])
@pytest.mark.parametrize("scale", [0.1, 1, 100])
def test_column_sums(hsigma, ncsig, scale):
    """Sums that exceed the width of a block have no sigma; a last column is summed pairwise."""
    image = RNG(11).normal(0, scale, (95, 56)).astype(np.float32)
    image[:, ::9] += 2 * scale
    sizes = {"nlsig": 20, "ncsig": ncsig}
    with_columns = assert_same(image, byblocks=True, findbadcolumns=True, ngood=0, hsigma=hsigma, lsigma=50, **sizes)
    without = ccdmask(image, byblocks=True, hsigma=hsigma, lsigma=50, **sizes)
    assert (with_columns & ~without).any() or scale < 1


@pytest.mark.parametrize(("ncsig", "at"), [(1, 4), (3, 4), (3, 5), (4, 8)])
def test_order_of_column_sums(ncsig, at):
    """The last digit of a sum decides: the limit is `hsigma` itself where the sum exceeds the width."""
    masks = []
    for seed in range(10):
        column = RNG(seed).uniform(10, 20, 20).astype(np.float32)
        image = np.zeros((20, 9), np.float32)
        image[:, at] = column
        one_by_one = np.add.accumulate(column)[-1]
        for total in (column.sum(), one_by_one):
            for limit in (total, np.nextafter(total, np.float32(0))):
                sizes = {"nlmed": 1, "nlsig": 20, "ncsig": ncsig, "hsigma": float(limit), "lsigma": 1e5}
                masks.append(assert_same(image, byblocks=True, findbadcolumns=True, ngood=0, **sizes)[:, at].any())
    assert any(masks) and not all(masks)


def test_gaps_at_the_end():
    """Gaps that begin in the last lines are filled only from farther up."""
    for lines in (range(0, 12), range(0, 12, 2), (0, 5, 11), (4, 6, 8, 11), (5, 7, 11), (6, 11), (7, 10), (1, 7)):
        image = np.zeros((12, 3), np.float32)
        image[list(lines), 1] = np.nan
        for ngood in range(14):
            assert_same(image, findbadcolumns=True, ngood=ngood, nlmed=1, ncmed=1, nlsig=1, ncsig=1)


def test_large_windows():
    """Windows without a network, and windows as large as the image."""
    image = flat((60, 70), RNG(12))
    assert_same(image, nlmed=33, ncmed=34)
    assert_same(image, nlsig=33, ncsig=34, lsigma=1, hsigma=3)
    image[20, 20] = np.nan
    assert_same(image, nlmed=33, ncmed=34, nlsig=33, ncsig=33)
    assert_same(image[:8, :9], nlmed=15, ncmed=17, nlsig=21, ncsig=31, lsigma=1)


# --- real flats ----------------------------------------------------------------------------


def sky_flats(folder):
    frames = sorted(folder.glob("EFOSC*.fits"))
    return [path for path in frames if fits.getheader(path).get("HIERARCH ESO DPR TYPE") == "SKY,FLAT"]


def test_dome_flat(real_data):
    image = fits.getdata(real_data("arcsat-reduced") / "domeflat_g_001.fits")
    image = image[300:640, 500:840]
    assert assert_same(image).any()
    for findbadcolumns in (False, True):
        assert_same(image / np.median(image), byblocks=True, findbadcolumns=findbadcolumns)
    assert_same(image[:150, :160], lsigma=2, hsigma=3, findbadcolumns=True, ncmed=9, nlmed=1)


def test_sky_flats(real_data):
    """Edges without light are zero, and their ratios are not finite."""
    first, second, *_ = (fits.getdata(path) for path in sky_flats(real_data("efosc2-reduced")))
    with np.errstate(all="ignore"):
        ratio = first / second
    assert assert_same(first[-200:, -220:]).any()
    for part in ratio[:200, :210], ratio[400:600, 300:500], ratio[-120:]:
        assert assert_same(part).any()
        assert_same(part, byblocks=True, findbadcolumns=True)


# --- the interface -----------------------------------------------------------------------------


def test_signature():
    ours, theirs = inspect.signature(ccdmask).parameters, inspect.signature(ccdproc.ccdmask).parameters
    assert list(ours) == list(theirs)
    assert [p.default for p in ours.values()] == [p.default for p in theirs.values()]


def test_ccddata_and_arrays_of_any_layout():
    image = flat((60, 70), RNG(13))
    mask = ccdmask(image)
    assert mask.any()
    for same in (
        CCDData(image, unit="adu", mask=image > 0),
        np.asfortranarray(image),
        np.repeat(image, 2, axis=1)[:, ::2],
        image[::-1, ::-1][::-1, ::-1],
        np.ma.MaskedArray(image, image > 0),
    ):
        np.testing.assert_array_equal(ccdmask(same), mask)
    image.flags.writeable = False
    np.testing.assert_array_equal(ccdmask(image), mask)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_empty(shape):
    assert ccdmask(np.zeros(shape)).shape == shape


@pytest.mark.parametrize(
    ("image", "message"),
    [(np.zeros(5), "two-dimensional"), (np.zeros((2, 3, 4)), "two-dimensional"), ([[1.0]], "CCDData"), (3, "CCDData")],
)
def test_not_an_image(image, message):
    with pytest.raises(ValueError, match=message):
        ccdmask(image)


@pytest.mark.parametrize("dtype", [bool, complex, "f2", "g", object, "U3"])
def test_wrong_types(dtype):
    with pytest.raises(TypeError, match="float32"):
        ccdmask(np.zeros((5, 5), dtype))


@pytest.mark.parametrize(
    "parameters",
    [
        *({name: value} for name in ("ncmed", "nlmed", "ncsig", "nlsig") for value in (0, -3, 7.0, "7", None)),
        {"lsigma": "9"},
        {"hsigma": [9, 9]},
        {"lsigma": None},
        {"hsigma": 1j},
        {"ngood": 2.5},
    ],
)
def test_wrong_parameters(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        ccdmask(np.zeros((5, 5)), **parameters)
