"""The variant `original` is IRAF's lacos_im, written out plainly here, and finds IRAF's own mask on a real frame."""

import numpy as np
import pytest
import skies
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from test_bands import in_bands as detect_in_bands_of
from test_bands import scene

from lightmask.detect import detect_cosmics

KERNEL = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)
SQUARE = np.ones((3, 3))
PLAIN = {"sigclip": 4.5, "sigfrac": 0.3, "objlim": 4.0, "readnoise": 5.0, "niter": 4}


def median(image, side):
    return ndimage.median_filter(image, side, mode="nearest")


def lacos_im(image, sigclip, sigfrac, objlim, readnoise, niter):
    """Return mask, and new pixels per iteration, of an image in electrons: each step over all of it."""
    old, mask, counts = image.astype(np.float32), np.zeros(image.shape, bool), []
    for _ in range(niter):
        subsampled = old.repeat(2, axis=0).repeat(2, axis=1)
        laplacian = np.maximum(ndimage.convolve(subsampled, KERNEL, mode="nearest"), 0)
        laplacian = laplacian.reshape(image.shape[0], 2, image.shape[1], 2).mean(axis=(1, 3))
        noise = np.sqrt(np.maximum(median(old, 5), 0) + np.float32(readnoise) ** 2)
        significance = laplacian / (2 * noise)
        significance -= median(significance, 5)
        fine = median(old, 3)
        fine = np.maximum((fine - median(fine, 7)) / noise, np.float32(0.01))
        found = (significance > sigclip) & (significance / fine > np.float32(objlim))
        found = ndimage.binary_dilation(found, SQUARE) & (significance > sigclip)
        found = ndimage.binary_dilation(found, SQUARE) & (significance > np.float32(sigfrac) * np.float32(sigclip))
        counts.append(int((found & ~mask).sum()))
        if not counts[-1]:
            break
        mask |= found
        bright = np.where(mask, np.minimum(np.maximum(old, 1) * np.float32(10_000), np.float32(1e30)), old)
        old = np.where(mask, median(bright, 5), old)
    return mask, tuple(counts)


def original(image, **changes):
    return detect_cosmics(image, variant="original", satlevel=np.inf, **PLAIN | changes)


def assert_original(image, **changes):
    result = original(image, **changes)
    mask, counts = lacos_im(image, **PLAIN | changes)
    np.testing.assert_array_equal(result.crmask, mask)
    assert result.counts == counts
    return result


@pytest.mark.parametrize(
    "changes", [{}, {"sigclip": 8.0}, {"sigclip": 1.5, "niter": 9}, {"objlim": 1.0, "sigfrac": 0.9}]
)
def test_the_mask_is_that_of_lacos_im(changes):
    assert assert_original(scene(), **changes).crmask.sum() > 20


@pytest.mark.parametrize("level", [200, 0, -300])
def test_skies_near_zero_and_below_have_the_noise_of_reading(level):
    rng = np.random.default_rng(2)
    image = np.rint(rng.normal(level, 6, (90, 70))).astype(np.float32)
    skies.add_tracks(image, rng, 12)
    assert assert_original(image).crmask.sum() > 20


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        elements=st.sampled_from([0.0, 90.0, 100.0, 110.0, 500.0, 3000.0, -200.0, 60_000.0]),
        fill=st.just(100.0),
    ),
    st.sampled_from([1.0, 4.5]),
)
def test_any_image_of_any_size_to_its_very_corners(image, sigclip):
    assert_original(image, sigclip=sigclip)


@pytest.mark.parametrize("place", [(0, 0), (0, 20), (39, 39), (20, 0), (1, 38)])
def test_rays_are_found_at_the_edge_where_astroscrappy_finds_none(place):
    image = skies.sky((40, 40), np.random.default_rng(3))
    image[place] += 3000
    assert original(image).crmask[place]
    assert not detect_cosmics(image, sepmed=False, satlevel=np.inf, **PLAIN).crmask[place]


def test_a_large_hit_is_cleaned_from_what_is_good_though_it_takes_part_as_it_is():
    image = skies.sky((60, 60), np.random.default_rng(4))
    image[25:33, 25:33] += np.random.default_rng(5).uniform(1000, 9000, (8, 8)).round()
    result = assert_original(image, objlim=0.0, sigclip=1.5)
    assert result.crmask[25:33, 25:33].mean() > 0.5
    assert result.cleanarr.max() <= image.max()
    cleaned = result.cleanarr[result.crmask]
    assert np.median(cleaned) < 1000


@pytest.mark.parametrize("rows", [23, 50])
def test_bands_give_what_the_whole_image_gives(rows):
    image = scene()
    whole = original(image)
    result = detect_in_bands_of(rows, image, variant="original", satlevel=np.inf, **PLAIN)
    np.testing.assert_array_equal(result.crmask, whole.crmask)
    np.testing.assert_array_equal(result.cleanarr, whole.cleanarr)
    assert result.counts == whole.counts


def test_bad_pixels_are_left_alone_and_gain_is_that_of_the_image():
    image, rng = scene(), np.random.default_rng(6)
    mask = rng.random(image.shape) < 0.02
    image[5, 5] = np.nan
    result = detect_cosmics(image, mask, variant="original", satlevel=np.inf, **PLAIN)
    assert result.crmask.any() and not (result.crmask & mask).any() and not result.crmask[5, 5]
    scaled = detect_cosmics(image / np.float32(4), mask, variant="original", gain=4.0, satlevel=np.inf, **PLAIN)
    np.testing.assert_array_equal(scaled.crmask, result.crmask)


def test_an_unknown_variant_is_named():
    with pytest.raises(ValueError, match="variant"):
        detect_cosmics(scene(), variant="iraf")


def test_on_a_real_frame_the_mask_is_irafs(real_data):
    folder = real_data("hst-wfpc2")
    image = fits.getdata(folder / "hst_im_ext3.fits").astype(np.float32)
    iraf = fits.getdata(folder / "hst_im_ext3_iraf_mask.fits") > 0
    crmask, _ = detect_cosmics(image, gain=7, variant="original", satlevel=np.inf, **PLAIN)
    assert (crmask & iraf).sum() / (crmask | iraf).sum() >= 0.9998
