"""Detection is ccdproc's to the pixel."""

import re
import subprocess
import sys

import ccdproc
import numpy as np
import pytest
from astropy.nddata import CCDData
from conftest import CHECKOUT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lightmask.detect import bands, detect_cosmics
from lightmask.detect import pixels_at_a_time as pixels_of_bands
from lightmask.errors import MachineError
from lightmask.fits import images
from lightmask.masks import cosmicrays
from lightmask.night.configuration import validated

SCRIPTS = CHECKOUT / "scripts"
CONFIG = validated({})
PARAMETERS = CONFIG["cosmic_rays"]
# Rows and columns differ, so that they cannot be exchanged unseen; the sum is 1.
KERNEL = np.exp(-np.add.outer(np.arange(-2, 3) ** 2 / 3, np.arange(-2, 3) ** 2 / 2))
KERNEL = (KERNEL / KERNEL.sum()).tolist()


def starfield(shape=(120, 140), seed=3):
    """Simulate sky, stars, a saturated star and cosmic-ray tracks, in adu."""
    random = np.random.default_rng(seed)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    scene = np.full(shape, 200.0)
    for row, column, flux in random.uniform((8, 8, 500), (shape[0] - 8, shape[1] - 8, 9000), (12, 3)):
        scene += flux * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 4)
    image = random.poisson(scene) + random.normal(0, 6, shape)
    for row, column in random.integers(5, min(shape) - 12, (15, 2)):
        for step in range(random.integers(1, 6)):
            image[row + step, column + step // 2] += random.uniform(400, 4000)
    image[60:64, 100:104] = 70000
    return image.astype(np.float32)


@pytest.mark.parametrize("masked", [False, True], ids=["no mask", "mask"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sigclip": 4.5, "niter": 2},
        {"gain": 1.5, "readnoise": 5.0, "satlevel": 50000.0},
        {"sepmed": False},
        {"fsmode": "convolve", "psfmodel": "moffat", "psffwhm": 2.0, "psfsize": 9, "psfbeta": 3.0},
        {"fsmode": "convolve", "psfk": KERNEL},
        {"cleantype": "idw", "sigfrac": 0.1, "objlim": 2.0},
    ],
    ids=["defaults", "sigclip", "electrons", "sepmed", "moffat", "psfk", "cleantype"],
)
def test_detection_equals_ccdproc(changes, masked, capsys):
    data = starfield()
    mask = np.random.default_rng(5).random(data.shape) < 0.01 if masked else None
    found = cosmicrays.detect(data, mask, PARAMETERS | changes)
    capsys.readouterr()

    keywords = {"readnoise": 10, "sigclip": 8} | changes
    if "psfk" in keywords:
        keywords["psfk"] = np.array(keywords["psfk"], np.float32)
    direct = ccdproc.cosmicray_lacosmic(CCDData(data.copy(), unit="adu", mask=mask), verbose=True, **keywords)
    printed = re.findall(r"(\d+) cosmic pixels", capsys.readouterr().out)

    assert found.mask.any()
    expected = direct.mask if mask is None else direct.mask & ~mask
    assert np.array_equal(found.mask, expected)
    assert found.iterations == [int(count) for count in printed]


def test_counts_are_printed_as_ccdproc_does(capsys):
    found = cosmicrays.detect(starfield(), None, PARAMETERS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Starting 4 L.A.Cosmic iterations"
    assert [f"{count} cosmic pixels this iteration" for count in found.iterations] == lines[2::2]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
def test_any_type_of_pixel_is_taken(dtype):
    data = np.random.default_rng(1).normal(20, 2, (40, 40)).astype(dtype)
    data[12, 17] = 250
    assert np.argwhere(cosmicrays.detect(data, None, PARAMETERS | {"readnoise": 2}).mask).tolist() == [[12, 17]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_leave_the_rest_as_it_is(value):
    data = starfield()
    without = cosmicrays.detect(data, None, PARAMETERS).mask
    data[90:100, 40:50] = value
    data[2, 3] = value
    found = cosmicrays.detect(data, None, PARAMETERS).mask
    far = np.ones(data.shape, bool)
    far[80:110, 30:60] = far[:13, :14] = False
    assert without[far].any()
    assert np.array_equal(found[far], without[far])
    assert not found[~np.isfinite(data)].any()


def test_neighbours_of_nan_are_neither_lost_nor_flagged():
    # A bright sky: beside anything unlike it, every pixel would look like a cosmic ray.
    data = np.random.default_rng(2).normal(10000, 100, (60, 60)).astype(np.float32)
    data[20:26, 20:26] = np.nan
    data[40, :] = np.nan
    hits = [(23, 28), (17, 22), (42, 10)]
    for hit in hits:
        data[hit] += 8000
    found = cosmicrays.detect(data, None, PARAMETERS).mask
    assert sorted(map(tuple, np.argwhere(found))) == sorted(hits)


def test_masked_pixels_are_never_flagged():
    data = starfield()
    mask = cosmicrays.detect(data, None, PARAMETERS).mask
    assert not (cosmicrays.detect(data, mask, PARAMETERS).mask & mask).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_without_a_finite_pixel_has_no_cosmic_ray(value):
    found = cosmicrays.detect(np.full((20, 30), value, np.float32), None, PARAMETERS)
    assert not found.mask.any()
    assert sum(found.iterations) == 0


@pytest.mark.parametrize("shape", [(64, 1), (2, 80), (5, 5), (7, 80)], ids=str)
def test_an_image_of_any_shape_is_done_or_refused(shape):
    # In a process of its own: what goes wrong in compiled code ends that, or hangs it.
    code = (
        "import contextlib, numpy as np; from lightmask.errors import FrameError\n"
        "from lightmask.masks import cosmicrays; from lightmask.night import configuration\n"
        f"data = np.random.default_rng(1).normal(100, 10, {shape}).astype('f4')\n"
        "p = configuration.validated({})['cosmic_rays']\n"
        "for _ in range(50):\n"
        "    with contextlib.suppress(FrameError): assert not cosmicrays.detect(data, None, p).mask.any()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_detection_does_not_change_its_input():
    data = starfield()
    data[5, 5] = np.nan
    mask = data > 60000
    before = data.copy(), mask.copy()
    cosmicrays.detect(data, mask, PARAMETERS)
    cosmicrays.detect(data, None, PARAMETERS | {"gain": 2.0})
    assert np.array_equal(data, before[0], equal_nan=True)
    assert np.array_equal(mask, before[1])


def filled_by_hand(data, finite):
    """Write out what `fill` promises, pixel by pixel."""
    filled = data.copy()
    overall = np.median(data[finite]) if finite.any() else 0
    for row, column in np.argwhere(~finite):
        window = np.s_[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
        around = data[window][finite[window]]
        filled[row, column] = np.median(around) if around.size else overall
    return filled


@settings(max_examples=100, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([np.nan, np.nan, np.nan, np.inf, -np.inf])),
    )
)
def test_fill_takes_the_median_of_what_is_finite_around(data):
    finite = np.isfinite(data)
    before = data.copy()
    filled = images.fill(data, finite)
    assert np.array_equal(filled, filled_by_hand(data, finite))
    assert filled.dtype == data.dtype
    assert np.array_equal(data, before, equal_nan=True)


def test_fill_reaches_into_the_middle_of_a_hole_and_works_in_parts():
    data = np.random.default_rng(4).normal(100, 10, (350, 400))
    data[5:345, 5:395] = np.nan  # more than one part of 100,000 pixels
    filled = images.fill(data, np.isfinite(data))
    assert filled[170, 200] == np.median(data[np.isfinite(data)])
    assert np.array_equal(filled[:12], filled_by_hand(data, np.isfinite(data))[:12])


@pytest.mark.parametrize(("shape", "refused"), [((6, 40), True), ((40, 6), True), ((7, 40), False), ((40, 7), False)])
def test_the_detector_ccdproc_refuses_images_smaller_than_its_filters(shape, refused):
    data = np.full(shape, 100, np.float32)
    parameters = PARAMETERS | {"detector": "ccdproc"}
    if refused:
        with pytest.raises(ValueError, match=f"an image of {shape[1]}x{shape[0]} is too small"):
            cosmicrays.detect(data, None, parameters)
    else:
        assert not cosmicrays.detect(data, None, parameters).mask.any()


@pytest.mark.parametrize("changes", [{}, {"fsmode": "convolve", "psfk": KERNEL}], ids=["defaults", "psfk"])
def test_both_detectors_say_and_find_the_same(changes, capsys):
    data, mask = starfield(), starfield() > 60000
    data[30, 30] = np.nan
    found, printed = [], []
    for detector in ("lightmask", "ccdproc"):
        found.append(cosmicrays.detect(data, mask, PARAMETERS | changes | {"detector": detector}))
        printed.append(capsys.readouterr().out)
    assert found[0].iterations == found[1].iterations and len(found[0].iterations) > 1
    assert np.array_equal(found[0].mask, found[1].mask)
    assert printed[0] == printed[1]


@pytest.mark.parametrize(
    ("changes", "side"),
    [
        ({}, 0),
        ({"psfsize": 31}, 0),
        ({"fsmode": "convolve"}, 7),
        ({"fsmode": "convolve", "psfsize": 31}, 31),
        ({"fsmode": "convolve", "psfsize": 31, "psfk": KERNEL}, 5),
        ({"fsmode": "convolve", "psfsize": 3, "psfk": [[0.1] * 25] * 9}, 25),
        ({"fsmode": "convolve", "psfsize": 3, "psfk": [[0.1] * 9] * 25}, 25),
        ({"psfk": KERNEL}, 0),
        ({"niter": 9}, 0),
    ],
    ids=str,
)
def test_pixels_held_are_those_of_a_band_and_as_many_rows_around_as_the_kernel_wants(changes, side):
    parameters, shape = PARAMETERS | changes, (30_000, 20_000)
    found = cosmicrays.pixels_at_a_time(shape, parameters)
    assert found == pixels_of_bands(shape, parameters["niter"], side) < shape[0] * shape[1]
    assert cosmicrays.pixels_at_a_time(shape, parameters | {"detector": "ccdproc"}) == shape[0] * shape[1]


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 20), st.integers(1, 9)),
        elements=st.sampled_from([np.nan, np.nan, np.inf, -np.inf, 9000.0, 130.0, 100.0]),
    ),
    st.booleans(),
    st.integers(0, 19),
    st.integers(1, 30),
    st.integers(1, 40),
)
def test_a_detector_reads_rows_that_are_filled_and_a_mask_of_what_was_not_finite(data, masked, first, height, band):
    finite = np.isfinite(data)
    mask = np.indices(data.shape).sum(axis=0) % 5 == 0 if masked else None
    rows = slice(min(first, len(data) - 1), min(first + height, len(data)))
    rows = slice(rows.start, max(rows.stop, rows.start + 1))
    found = []

    def look(read, shape, keywords):
        found.extend((*read(rows), shape, keywords))
        return cosmicrays.Detection(np.zeros(shape, bool), [0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cosmicrays.DETECTORS, "look", look)
        patch.setattr(images, "BAND", band)
        cosmicrays.detect(data, mask, PARAMETERS | {"detector": "look"})
    values, known, background, shape, keywords = found
    assert background is None
    assert np.array_equal(values, filled_by_hand(data, finite)[rows])
    expected = ~finite if mask is None else mask | ~finite
    assert np.array_equal(np.zeros(values.shape, bool) if known is None else known, expected[rows])
    assert shape == data.shape
    assert keywords == {key: PARAMETERS[key] for key in PARAMETERS if key not in ("preset", "detector")}


@pytest.mark.parametrize("masked", [False, True])
def test_detection_in_several_bands_is_that_of_the_filled_image(masked):
    random = np.random.default_rng(7)
    data = random.normal(100, 5, (300, 12)).astype(np.float32)
    data.flat[random.integers(0, data.size, 80)] = random.choice([np.nan, np.inf, 9000.0], 80)
    compare_with_filled(data, masked, 40)


def compare_with_filled(data, masked, rows):
    """Expect of an image in bands of so many rows what is found in it as a whole, with what is not finite filled."""
    finite = np.isfinite(data)
    mask = np.indices(data.shape).sum(axis=0) % 11 == 0 if masked else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "BAND", rows * data.shape[1])
        patch.setattr(bands, "BAND_PIXELS", rows * data.shape[1])
        patch.setattr(bands, "LEAST_ROWS", 0)
        found = cosmicrays.detect(data, mask, PARAMETERS)
    known = ~finite if mask is None else mask | ~finite
    keywords = {key: PARAMETERS[key] for key in ("sigclip", "readnoise")}
    direct = detect_cosmics(images.fill(data, finite), inmask=known, **keywords)
    assert np.array_equal(found.mask, direct.crmask)
    assert found.iterations == list(direct.counts)


@pytest.mark.parametrize("package", ["astroscrappy", "ccdproc"])
def test_a_detector_that_is_not_installed_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if there were none
    with pytest.raises(
        MachineError, match=f"{package}: found no package of that name, expected it for cosmic_rays: detector"
    ):
        cosmicrays.detect(starfield(), None, PARAMETERS | {"detector": "ccdproc"})
