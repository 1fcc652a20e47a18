"""The sparse L.A.Cosmic against astroscrappy, pixel by pixel, and against a plain one."""

import functools
import hashlib
import importlib
import inspect
import itertools
import tracemalloc

import astroscrappy
import numpy as np
import pytest
import skies
from astropy.io import fits
from conftest import DATA, DIGESTS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from plain_lacosmic import busy, dilated, plain_lacosmic, plain_tests

from lightmask.detect import detect_cosmics


def real_frame(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no real frames in {path.parent}")
    return fits.getdata(path)


# --- comparison with astroscrappy ---------------------------------------------------------


def unexplained(image, theirs, ours, states, parameters):
    """Return the pixels that differ although no threshold is within rounding of one near them.

    `states` is the image in electrons at the start of the iteration in which the masks begin
    to differ.  A pixel depends, by growing, on the tests of those up to two pixels away.
    """
    rounding = 64 * np.finfo(np.float32).eps
    parameters = {"sigclip": 4.5, "sigfrac": 0.3, "objlim": 5.0, "readnoise": 6.5, "sepmed": True} | parameters
    data = states.astype(float)
    significance, ratio = plain_tests(data, data + parameters["readnoise"] ** 2, parameters["sepmed"])
    sigclip, objlim = parameters["sigclip"], parameters["objlim"]
    # The Laplacian is a difference of numbers that may be large beside it.
    scale = np.abs(data).max() / parameters["readnoise"]
    tolerance = rounding * (scale + np.abs(significance))
    close = np.zeros(image.shape, bool)
    for threshold in (sigclip, sigclip * parameters["sigfrac"]):
        close |= np.abs(significance - threshold) < tolerance
    close |= np.abs(ratio - objlim) < rounding * (scale + 1) * (1 + np.abs(ratio))
    return (theirs != ours) & ~dilated(dilated(close))


def assert_same(image, *, exact, **parameters):
    """Assert that both give the same; return the number of pixels that rounding decided."""
    theirs, their_clean = astroscrappy.detect_cosmics(image, **parameters)
    ours, our_clean = detect_cosmics(image, **parameters)
    assert ours.dtype == theirs.dtype
    assert our_clean.dtype == their_clean.dtype
    if exact or np.array_equal(ours, theirs):
        np.testing.assert_array_equal(ours, theirs)
        tolerance = 0 if exact else 4 * np.finfo(np.float32).eps
        np.testing.assert_allclose(our_clean, their_clean, rtol=tolerance, atol=tolerance * np.abs(image).max())
        return 0
    for niter in itertools.count(1):
        theirs, _ = astroscrappy.detect_cosmics(image, **parameters | {"niter": niter})
        ours, _ = detect_cosmics(image, **parameters | {"niter": niter})
        if not np.array_equal(theirs, ours):
            break
    _, before = detect_cosmics(image, **parameters | {"niter": niter - 1})
    state = before * float(parameters.get("gain", 1))
    assert not unexplained(image, theirs, ours, state, parameters).any()
    return int((theirs != ours).sum())


# --- real frames ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIGESTS)
def test_real_frame_gives_the_digest_of_the_reference(name):
    crmask, _ = result = detect_cosmics(real_frame(f"{name}.fits"), sigclip=8, readnoise=10)
    assert (result.counts, hashlib.sha256(np.packbits(crmask)).hexdigest()[:16]) == DIGESTS[name]


@pytest.mark.parametrize("sepmed", [True, False])
@pytest.mark.parametrize("gain", [1.0, 1.1])
def test_real_frame_is_that_of_astroscrappy_pixel_by_pixel(sepmed, gain):
    image = real_frame("efosc2-reduced/EFOSC.2022-01-28T05.05.25.843.fits")[300:700, 100:600].astype(np.float32)
    assert_same(image, exact=False, sigclip=5.0, gain=gain, readnoise=10.0, sepmed=sepmed)


@pytest.mark.parametrize(("sepmed", "precision", "recall"), [(True, 0.945, 0.967), (False, 0.983, 0.956)])
def test_agreement_with_iraf(sepmed, precision, recall, record_property):
    image = real_frame("hst-wfpc2/hst_im_ext3.fits").astype(np.float32)
    iraf = real_frame("hst-wfpc2/hst_im_ext3_iraf_mask.fits") > 0
    crmask, _ = detect_cosmics(image, gain=7, readnoise=5, sepmed=sepmed)
    both = (crmask & iraf).sum()
    assert both / crmask.sum() == pytest.approx(precision, abs=0.001)
    assert both / iraf.sum() == pytest.approx(recall, abs=0.001)


# --- generated images ----------------------------------------------------------------------


@pytest.mark.parametrize("sepmed", [True, False])
def test_every_size(sepmed):
    rng = np.random.default_rng(1)
    for shape in itertools.product(range(4, 21), repeat=2):
        assert_same(busy(shape, rng), exact=True, sepmed=sepmed)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (3, 3), (3, 60)])
@pytest.mark.parametrize("sepmed", [True, False])
def test_narrower_than_the_reference_can_take_nothing_is_found(shape, sepmed):
    """Below 4 pixels astroscrappy writes outside its arrays; all is border there."""
    image = busy(shape, np.random.default_rng(2))
    crmask, cleanarr = detect_cosmics(image, sepmed=sepmed)
    assert crmask.shape == shape
    assert not crmask.any()
    np.testing.assert_array_equal(cleanarr, image)


@pytest.mark.parametrize("sepmed", [True, False])
@pytest.mark.parametrize("sigclip", [1.0, 4.5, 8.0])
@pytest.mark.parametrize("shape", [(300, 211), (64, 700), (129, 257)])
def test_larger_images(shape, sigclip, sepmed):
    assert_same(busy(shape, np.random.default_rng(3)), exact=True, sigclip=sigclip, sepmed=sepmed)


@pytest.mark.parametrize("sepmed", [True, False])
def test_crowded_field(sepmed):
    image = skies.star_field(400, seed=4, stars=8000, tracks=300)
    assert_same(image, exact=True, sepmed=sepmed)


@pytest.mark.parametrize("sepmed", [True, False])
def test_cosmic_rays_on_all_edges_and_corners(sepmed):
    rng = np.random.default_rng(5)
    for depth in range(10):
        image = skies.sky((41, 53), rng)
        for row in (depth, 20, 40 - depth):
            for column in (depth, 26, 52 - depth):
                image[row, column] += 5000
        assert_same(image, exact=True, sepmed=sepmed)
        image[depth, :] += 900
        image[:, 52 - depth] += 900
        assert_same(image, exact=True, sepmed=sepmed)


@pytest.mark.parametrize("fraction", [0.02, 0.2, 0.6])
@pytest.mark.parametrize("cleantype", ["meanmask", "medmask", "idw"])
def test_overlapping_cosmic_rays(fraction, cleantype):
    """Where 5x5 holds no good pixel the median of the image stands in."""
    rng = np.random.default_rng(6)
    image = skies.add_hits(skies.sky((90, 110), rng), rng, fraction)
    image[40:52, 40:52] += np.rint(rng.uniform(500, 5000, (12, 12)))
    assert_same(image, exact=True, cleantype=cleantype, sigclip=2.0, objlim=0.5, sigfrac=0.1, niter=6)


def test_cleaning_far_from_any_good_pixel():
    rng = np.random.default_rng(7)
    image = skies.sky((60, 60), rng)
    image[30, 30] += 9000
    mask = np.ones(image.shape, bool)
    mask[29:32, 29:32] = False  # the reference grows masks by one: only (30, 30) is good
    mask[:8] = False
    for cleantype in ("meanmask", "medmask", "idw"):
        assert_same(image, exact=True, inmask=mask, cleantype=cleantype)
    crmask, cleanarr = detect_cosmics(image, inmask=mask)
    good = np.sort([*image[:7].ravel(), image[30, 30]])
    assert crmask[30, 30]
    assert cleanarr[30, 30] == good[(good.size - 1) // 2]


@pytest.mark.parametrize("sepmed", [True, False])
@pytest.mark.parametrize("value", [-1e30, -7.0, 0.0, 1e-30, 1.0, 1e5, 1e30])
def test_constant_image(value, sepmed):
    image = np.full((30, 31), value, np.float32)
    assert_same(image, exact=True, sepmed=sepmed)
    assert detect_cosmics(image, sepmed=sepmed).counts == (0,)


@pytest.mark.parametrize("sepmed", [True, False])
@pytest.mark.parametrize("readnoise", [0.0, 5.0])
@pytest.mark.parametrize("level", [0, -200, -30_000])
def test_sky_of_zero_and_below(level, readnoise, sepmed):
    image = busy((100, 120), np.random.default_rng(8)) - np.float32(200 - level)
    assert_same(image, exact=True, readnoise=readnoise, sepmed=sepmed)


@pytest.mark.parametrize("sepmed", [True, False])
@pytest.mark.parametrize("factor", [2.0**-100, 2.0**-20, 2.0**20, 2.0**60])
def test_huge_and_tiny_values(factor, sepmed):
    image = busy((80, 90), np.random.default_rng(9)) * np.float32(factor)
    assert_same(image, exact=True, readnoise=0.0, satlevel=np.inf, sepmed=sepmed)


def test_one_value_as_large_as_float32_can_be():
    image = skies.sky((50, 50), np.random.default_rng(10))
    image[20, 20] = 3e38
    with np.errstate(over="ignore", invalid="ignore"):
        theirs, _ = astroscrappy.detect_cosmics(image, satlevel=np.inf)
    ours, _ = detect_cosmics(image, satlevel=np.inf)
    assert ours[20, 20]
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("sepmed", [True, False])
def test_saturated_stars(sepmed):
    rng = np.random.default_rng(11)
    for edge in (0, 1, 3, 40):
        image = skies.add_stars(skies.sky((100, 120), rng), rng, 4, flux=(3e5, 3e6))
        yy, xx = np.ogrid[:100, :120]
        image[(yy - edge) ** 2 + (xx - 60) ** 2 < 60] = 70_000
        image = skies.add_hits(np.minimum(image, 70_000), rng, 0.01, charge=(1000, 90_000))
        for satlevel in (1000.0, 60_000.0, 65_536.0, np.inf):
            assert_same(image, exact=True, satlevel=satlevel, sepmed=sepmed)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("fraction", [0.001, 0.05, 0.9, 1.0])
def test_masks(fraction, dtype):
    rng = np.random.default_rng(12)
    image = busy((100, 80), rng)
    mask = (rng.random(image.shape) < fraction).astype(dtype)
    before = mask.copy()
    if fraction < 1:
        assert_same(image, exact=True, inmask=mask)
    else:
        assert detect_cosmics(image, inmask=mask).counts == (0,)
    np.testing.assert_array_equal(mask, before)


# --- parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize("sepmed", [True, False])
@pytest.mark.parametrize("niter", [0, 1, 2, 3, 4, 20])
@pytest.mark.parametrize("cleantype", ["meanmask", "medmask", "idw"])
def test_iterations_and_cleaning(niter, cleantype, sepmed):
    image = busy((120, 130), np.random.default_rng(13))
    assert_same(image, exact=True, niter=niter, cleantype=cleantype, sepmed=sepmed)


@pytest.mark.parametrize("sepmed", [True, False])
@pytest.mark.parametrize("niter", [1, 2, 4])
def test_cleaning_by_the_median(niter, sepmed):
    """astroscrappy 1.3.0 never advances the counter of its 25 pixels; a median is a median."""
    image = busy((120, 130), np.random.default_rng(14))
    plain = {"sigclip": 4.5, "sigfrac": 0.3, "objlim": 5.0, "readnoise": 6.5, "niter": niter, "sepmed": sepmed}
    crmask, cleaned = plain_lacosmic(image, **plain)
    ours = detect_cosmics(image, cleantype="median", **plain)
    assert crmask.sum() > 20
    np.testing.assert_array_equal(ours.crmask, crmask)
    np.testing.assert_array_equal(ours.cleanarr, cleaned.astype(np.float32))


@pytest.mark.parametrize("psfmodel", ["gauss", "gaussx", "gaussy", "moffat"])
@pytest.mark.parametrize("sepmed", [True, False])
def test_convolved_fine_structure(psfmodel, sepmed):
    image = busy((90, 100), np.random.default_rng(15))
    parameters = {"fsmode": "convolve", "psfmodel": psfmodel, "sepmed": sepmed}
    for psfsize, psffwhm in ((1, 2.0), (3, 1.5), (7, 2.5), (13, 6.0)):
        assert_same(image, exact=True, psfsize=psfsize, psffwhm=psffwhm, psfbeta=2.5, **parameters)


def test_given_kernel():
    rng = np.random.default_rng(16)
    image = busy((60, 70), rng)
    for shape in ((1, 1), (3, 7), (9, 5)):
        assert_same(image, exact=True, fsmode="convolve", psfk=rng.random(shape).astype(np.float32))


@st.composite
def cases(draw):
    """Draw an image, whether its arithmetic is exact, and all parameters."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(4, 60), st.integers(4, 60)))
    image = busy(shape, rng) + np.float32(draw(st.sampled_from([-200, 0, 1000])))
    exact = draw(st.booleans())
    number = functools.partial(st.floats, width=32)
    parameters = draw(
        st.fixed_dictionaries(
            {
                "sigclip": number(0, 20),
                "sigfrac": number(0, 2),
                "objlim": number(0, 20),
                "readnoise": number(0, 20),
                "satlevel": number(100, 1e5) | st.just(np.inf),
                "niter": st.integers(0, 6),
                "sepmed": st.booleans(),
                "cleantype": st.sampled_from(["meanmask", "medmask", "idw"]),
                "fsmode": st.sampled_from(["median", "convolve"]),
                "psfmodel": st.sampled_from(["gauss", "gaussx", "gaussy", "moffat"]),
                "psffwhm": number(0.5, 8),
                "psfsize": st.sampled_from([1, 3, 5, 7, 11]),
                "psfbeta": number(1.125, 8),
                "verbose": st.booleans(),
            }
        )
    )
    if not exact:
        image += rng.normal(0, 1, shape).astype(np.float32)
        parameters["gain"] = draw(number(0.125, 8))
    if draw(st.booleans()):
        parameters["inmask"] = rng.random(shape) < draw(st.sampled_from([0.01, 0.2, 0.9]))
    if draw(st.booleans()):
        parameters["inbkg"] = skies.sky(shape, rng, level=image.clip(1).mean())
    if draw(st.booleans()):
        parameters["invar"] = skies.sky(shape, rng, level=300)
    if draw(st.booleans()):
        sides = draw(st.tuples(*[st.sampled_from([1, 3, 5])] * 2))
        parameters["psfk"] = rng.random(sides).astype(np.float32)
    return image, exact, parameters


@given(cases())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_all_parameters(case):
    """Also where arithmetic is not exact the order of operations is the reference's."""
    image, _, parameters = case
    copies = {name: np.copy(value) for name, value in parameters.items() if isinstance(value, np.ndarray)}
    before = image.copy()
    theirs, their_clean = astroscrappy.detect_cosmics(image, **parameters)
    ours, our_clean = result = detect_cosmics(image, **parameters)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(our_clean, their_clean)
    assert len(result.counts) <= parameters["niter"]
    np.testing.assert_array_equal(image, before)
    for name, value in copies.items():
        np.testing.assert_array_equal(parameters[name], value)


@pytest.mark.parametrize("sepmed", [True, False])
def test_rounding_decides_what_differs(sepmed, record_property):
    """Gains that make every product inexact: what differs is within rounding of a threshold."""
    rng = np.random.default_rng(17)
    differing = 0
    for gain in (0.1, 0.7, 1.3, 3.3):
        image = busy((200, 210), rng) + rng.normal(0, 1, (200, 210)).astype(np.float32)
        differing += assert_same(image, exact=False, gain=gain, sigclip=3.0, sepmed=sepmed)
    record_property("differing pixels", differing)
    assert differing < 5


def test_that_proof_tells_rounding_from_error():
    image = busy((100, 100), np.random.default_rng(18))
    significance, ratio = plain_tests(image.astype(float), image + 6.5**2, sepmed=True)
    candidates = np.sort(significance[(ratio > 6) & (significance > 5)])
    above = np.float32(candidates[candidates.size // 2])
    same = {"niter": 1, "sigfrac": 1.0}
    low, _ = detect_cosmics(image, sigclip=float(above) * (1 - 1e-6), **same)
    high, _ = detect_cosmics(image, sigclip=float(above) * (1 + 1e-6), **same)
    higher, _ = detect_cosmics(image, sigclip=float(above) * 1.05, **same)
    parameters = same | {"sigclip": float(above)}
    assert (low != high).any()
    assert not unexplained(image, low, high, image, parameters).any()
    assert unexplained(image, low, higher, image, parameters).any()


def reference_tests():
    """Return astroscrappy's own tests of its detector, as installed with it."""
    for name in ("test_astroscrappy", "test_cleaning", "test_gmos"):
        module = importlib.import_module(f"astroscrappy.tests.{name}")
        for test, function in vars(module).items():
            if test.startswith("test_"):
                yield pytest.param(module, function, id=f"{name}.{test}")


@functools.cache
def reference_image():
    return importlib.import_module("astroscrappy.tests.fake_data").make_fake_data()


@pytest.mark.parametrize(("module", "function"), list(reference_tests()))
def test_passes_the_tests_of_astroscrappy(module, function, monkeypatch):
    """Even the one for cleaning by the median, which astroscrappy itself expects to fail."""
    calls = []

    def detect(*arguments, **parameters):
        calls.append(parameters)
        return detect_cosmics(*arguments, **parameters)

    monkeypatch.setattr(module, "detect_cosmics", detect)
    if hasattr(module, "fake_data"):
        images = reference_image()
        monkeypatch.setattr(module.fake_data, "make_fake_data", lambda: images)
    function(*(images for _ in inspect.signature(function).parameters))
    assert calls


def test_signature_is_that_of_the_reference():
    ours, theirs = (inspect.signature(each) for each in (detect_cosmics, astroscrappy.detect_cosmics))
    assert list(ours.parameters) == [*theirs.parameters, "variant"]
    for name, parameter in theirs.parameters.items():
        assert ours.parameters[name].default == parameter.default


# --- the result --------------------------------------------------------------------------------


def test_counts_are_those_printed(capsys):
    image = busy((120, 130), np.random.default_rng(19))
    astroscrappy.detect_cosmics(image, verbose=True)
    theirs = capsys.readouterr().out
    result = detect_cosmics(image, verbose=True)
    assert capsys.readouterr().out == theirs
    assert list(result.counts) == [int(line.split()[0]) for line in theirs.splitlines() if "cosmic pixels" in line]
    assert len(result.counts) > 1
    detect_cosmics(image)
    assert not capsys.readouterr().out


def test_result_is_a_pair_and_more():
    image = busy((50, 60), np.random.default_rng(20))
    result = detect_cosmics(image)
    crmask, cleanarr = result
    assert result.crmask is crmask
    assert result.cleanarr is cleanarr
    assert not np.shares_memory(cleanarr, image)
    again = detect_cosmics(image)
    assert again.counts == result.counts
    assert again.crmask.tobytes() == crmask.tobytes()
    assert again.cleanarr.tobytes() == cleanarr.tobytes()


# --- the input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u8", "f2", "f4", "f8", ">i2", ">f4", ">f8", "?"])
def test_every_real_dtype(dtype):
    image = busy((60, 70), np.random.default_rng(21)).clip(0, 255).astype(dtype)
    before = image.copy()
    assert_same(image, exact=True, satlevel=1000.0, sigclip=3.0)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_any_memory_layout(gain):
    image = busy((60, 140), np.random.default_rng(22))
    expected = astroscrappy.detect_cosmics(image[:, ::2].copy(), gain=gain)
    image.flags.writeable = False
    for same in (image[:, ::2], np.asfortranarray(image[:, ::2]), image[:, ::2].tolist()):
        for ours, theirs in zip(detect_cosmics(same, gain=gain), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("sepmed", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_count_as_masked(value, sepmed):
    rng = np.random.default_rng(23)
    image = busy((100, 120), rng)
    wrong = rng.random(image.shape) < 0.01
    wrong[0, 0] = wrong[-1, 5] = wrong[50:54, 60:63] = wrong[20:34, 20:34] = True
    holes = np.where(wrong, np.float32(value), image)
    crmask, cleanarr = detect_cosmics(holes, sepmed=sepmed)
    # By hand: masked, and in their place the mean of what is finite in 5x5, if anything is.
    padded = np.pad(np.where(wrong, np.nan, image), 2, constant_values=np.nan)
    around = sliding_window_view(padded, (5, 5)).reshape(*image.shape, 25)
    empty = np.isnan(around).all(axis=-1)
    median = np.sort(image[~wrong])[((~wrong).sum() - 1) // 2]
    total, number = np.nansum(around, axis=-1), (~np.isnan(around)).sum(axis=-1)
    mean = np.where(empty, median, total / number.clip(1)).astype(np.float32)
    expected, cleaned = astroscrappy.detect_cosmics(np.where(wrong, mean, image), inmask=wrong, sepmed=sepmed)
    assert expected.sum() > 20
    assert not crmask[wrong].any()
    np.testing.assert_array_equal(crmask, expected)
    np.testing.assert_array_equal(cleanarr, np.where(wrong, np.float32(value), cleaned))


def test_neighbours_of_pixels_that_are_not_finite_are_not_harmed():
    """A cosmic ray two pixels away from a hole is found as without it, and a star is left alone."""
    rng = np.random.default_rng(24)
    image = skies.add_stars(skies.sky((200, 200), rng), rng, 20, flux=(1e4, 1e5))
    hit = np.zeros(image.shape, bool)
    hit[5:-5:10, 5:-5:10] = True
    image[hit] += 3000
    holes = image.copy()
    holes[np.roll(hit, 2, axis=1)] = np.nan
    whole, _ = detect_cosmics(image)
    crmask, _ = detect_cosmics(holes)
    assert whole[hit].mean() > 0.9
    assert crmask[hit & whole].all()
    assert (crmask & ~whole).sum() < 0.01 * whole.sum()


def test_background_and_variance_that_are_not_finite():
    rng = np.random.default_rng(25)
    image, inbkg, invar = busy((60, 70), rng), skies.sky((60, 70), rng), skies.sky((60, 70), rng, level=300)
    parameters = {"inbkg": inbkg, "invar": invar}
    whole, _ = detect_cosmics(image, **parameters)
    y, x = np.argwhere(whole)[0]
    for value in parameters.values():
        value[y, x] = np.nan
        crmask, cleanarr = detect_cosmics(image, **parameters)
        assert not crmask[y - 1 : y + 2, x - 1 : x + 2].any()
        assert crmask.sum() > 0.5 * whole.sum()
        assert np.isfinite(cleanarr).all()


def test_nothing_finite():
    crmask, cleanarr = detect_cosmics(np.full((20, 20), np.nan, np.float32))
    assert not crmask.any()
    assert np.isnan(cleanarr).all()


def test_values_beyond_float32_count_as_not_finite():
    image = skies.sky((40, 40), np.random.default_rng(26)).astype(float)
    image[20, 20] = 1e300
    crmask, cleanarr = detect_cosmics(image)
    assert not crmask.any()
    assert cleanarr[20, 20] == np.inf


# --- memory ---------------------------------------------------------------------------------------


def peak_memory(image, **parameters):
    """Return the most memory that is held at a time, results included, in images."""
    tracemalloc.start()
    detect_cosmics(image, **parameters)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / image.nbytes


@pytest.mark.parametrize("sepmed", [True, False])
def test_working_memory_is_below_three_images(sepmed):
    assert peak_memory(skies.star_field(1024, seed=29), sepmed=sepmed) < 3
    # The results alone are one and a quarter.
    assert peak_memory(skies.sky((1024, 1024), np.random.default_rng(30)), sigclip=1.0, sepmed=sepmed) < 4.25
