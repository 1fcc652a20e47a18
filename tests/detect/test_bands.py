"""Detection in bands of rows is that of the whole image, which is astroscrappy's (tests/detect/test_api.py)."""

import inspect

import numpy as np
import pytest
import skies

from lightmask.detect import bands, detect_cosmics, pixels_at_a_time
from lightmask.detect.api import detect_in_bands
from lightmask.detect.arguments import check_parameters
from lightmask.detect.cleaning import CLEANERS
from lightmask.detect.electrons import Images
from lightmask.detect.medians import SEPARABLE
from lightmask.detect.preparation import prepare

SHAPE = (307, 46)
ODD = 23  # rows of a band, which divide nothing
NAMES = ("inmask", "inbkg", "invar")
DEFAULTS = {name: each.default for name, each in inspect.signature(detect_cosmics).parameters.items()}


def scene(seed=1, fraction=0.004):
    return skies.scene_across_bands(SHAPE, ODD, seed, fraction)


def more_images(names):
    rng = np.random.default_rng(9)
    found = {
        "inmask": rng.random(SHAPE) < 0.02,
        "inbkg": skies.sky(SHAPE, rng),
        "invar": skies.sky(SHAPE, rng, level=300),
    }
    return {name: found[name] for name in names}


def checked(**changes):
    """Return the parameters of `detect_cosmics`, most of them its defaults."""
    names = inspect.signature(check_parameters).parameters
    return check_parameters(**{name: (DEFAULTS | changes)[name] for name in names})


def in_bands(rows, image, share=1.0, **arguments):
    """Return what is found in bands of so many rows, with a share of the rows that are needed around each."""
    others = [arguments.pop(name, None) for name in NAMES]
    parameters = checked(**arguments)
    around = int(share * bands.rows_around(parameters.medians, parameters.side, parameters.niter))
    cut = bands.cut_into_bands(SHAPE, rows, around)
    assert len(cut) > len(bands.bands_for(SHAPE, parameters)) == 1
    return detect_in_bands(Images(image, *others), cut, parameters)


def compare(rows, image, **arguments):
    """Expect of bands what one band gives."""
    whole = detect_cosmics(image, **arguments)
    result = in_bands(rows, image, **arguments)
    assert result.counts == whole.counts
    assert sum(whole.counts) > 20
    np.testing.assert_array_equal(result.crmask, whole.crmask)
    np.testing.assert_array_equal(result.cleanarr, whole.cleanarr)


@pytest.mark.parametrize("rows", [11, 150])
@pytest.mark.parametrize("cleantype", list(CLEANERS))
@pytest.mark.parametrize("sepmed", [True, False])
def test_cleaning_in_bands(rows, cleantype, sepmed):
    compare(rows, scene(), cleantype=cleantype, sepmed=sepmed)


@pytest.mark.parametrize(
    "parameters",
    [
        {"niter": 1},
        {"niter": 9, "sigclip": 3.0},
        {"sigclip": 8.0, "objlim": 2.0, "cleantype": "median"},  # the last iterations find less and less
        {"fsmode": "convolve", "psfsize": 11},
        {"fsmode": "convolve", "psfk": np.full((9, 3), 1 / 27, np.float32)},
        {"gain": 1.3, "readnoise": 0.0, "satlevel": np.inf},
        {"satlevel": 3000.0},
        {"sigclip": 1.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("names", [(), NAMES[:1], NAMES], ids=str)
def test_all_parameters_in_bands(parameters, names):
    compare(ODD, scene(2), **parameters, **more_images(names))


def with_holes(names):
    """Return images with cosmic rays larger than 5x5, and holes larger than that in each."""
    image = scene(3, fraction=0.3)
    image[40:52, 20:32] += np.random.default_rng(4).uniform(500, 5000, (12, 12)).astype(np.float32)
    image[100:112] = np.nan
    others = more_images(names)
    for name in set(names) - {"inmask"}:
        others[name][200:212, 3:20] = np.nan
    return image, others


@pytest.mark.parametrize("names", [(), NAMES], ids=str)
def test_medians_that_replace_what_has_no_good_pixel_near_are_of_the_whole_image(names):
    image, others = with_holes(names)
    compare(ODD, image, sigclip=2.0, objlim=0.5, sigfrac=0.1, **others)


@pytest.mark.parametrize("names", [(), NAMES], ids=str)
@pytest.mark.parametrize("rows", [ODD, SHAPE[0]])
def test_levels_are_medians_of_the_whole_image(names, rows):
    image, others = with_holes(names)
    parameters = checked(gain=1.5)
    images = Images(image, *(others.get(name) for name in NAMES))
    cut = bands.cut_into_bands(SHAPE, rows, 30)

    def read(part):
        return Images(*(None if each is None else each[part] for each in images))

    def lower_median(values):
        return np.sort(values)[(values.size - 1) // 2]

    levels = bands.Levels(read, cut, parameters)
    electrons = image * np.float32(1.5)
    assert levels.finite(0) == lower_median(electrons[np.isfinite(image)])
    with np.errstate(invalid="ignore"):  # as `search` does
        whole, _ = prepare(images, parameters, levels.finite)
        held, _ = prepare(read(cut[-1].around), parameters, levels.finite)
        good = ~whole.mask
        assert not good.all()
        data, variance = levels.defaults(cut[-1], held)
    assert data == lower_median(whole.data[good])
    assert variance == (lower_median(whole.variance.image[good]) if names else data + np.float32(6.5) ** 2)


def test_fewer_rows_around_a_band_would_not_do():
    """The comparison sees too few of them."""
    image = scene()
    result, whole = in_bands(ODD, image, share=1 / 12, sigclip=3.0), detect_cosmics(image, sigclip=3.0)
    assert result.counts != whole.counts


@pytest.mark.parametrize("rows", [1, 7, 50, 307, 400])
@pytest.mark.parametrize("around", [0, 3, 1000])
def test_bands_cover_the_image_once(rows, around):
    image = np.arange(SHAPE[0])
    cut = bands.cut_into_bands(SHAPE, rows, around)
    np.testing.assert_array_equal(np.concatenate([image[band.rows] for band in cut]), image)
    for band in cut:
        np.testing.assert_array_equal(image[band.around][band.within], image[band.rows])
        assert band.around.start == max(band.rows.start - around, 0)
        assert band.around.stop == min(band.rows.stop + around, SHAPE[0])


@pytest.mark.parametrize("shape", [(100, 100), (4096, 4096), (30_000, 20_000), (1_000_000, 50), (3, 10**8)])
def test_bands_are_alike_and_not_too_small(shape):
    parameters = checked()
    cut = bands.bands_for(shape, parameters)
    heights = [band.rows.stop - band.rows.start for band in cut]
    assert sum(heights) == shape[0]
    assert max(heights) - min(heights) < len(cut)
    least = bands.LEAST_ROWS * bands.rows_around(SEPARABLE, 0, parameters.niter)
    assert max(heights) <= max(bands.BAND_PIXELS // shape[1], least)
    most = max(band.around.stop - band.around.start for band in cut) * shape[1]
    assert most <= pixels_at_a_time(shape, parameters.niter) <= shape[0] * shape[1]
