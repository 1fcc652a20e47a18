"""Point-spread functions have the width that is asked for; convolution is that of SciPy."""

import numpy as np
import pytest
from scipy import ndimage

from lightmask.detect.psf import MODELS, convolve, psf_kernel


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fwhm", [2.0, 4.0])
def test_kernels(model, fwhm):
    kernel = psf_kernel(model, fwhm, 15, 3.0)
    assert kernel.dtype == np.float32
    assert kernel.shape == (15, 15)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])
    half = int(fwhm / 2)
    along = {"y": kernel[7 + half, 7], "x": kernel[7, 7 + half]}
    for axis, value in along.items():
        narrow = model in ("gauss", "moffat", f"gauss{axis}")
        assert value == pytest.approx(kernel[7, 7] * (0.5 if narrow else 1), rel=1e-5)


def test_a_moffat_profile_has_wings():
    moffat, gauss = psf_kernel("moffat", 3.0, 15, 2.5), psf_kernel("gauss", 3.0, 15, 2.5)
    assert moffat[7, 0] > 100 * gauss[7, 0]
    assert moffat[7, 0] > psf_kernel("moffat", 3.0, 15, 5.0)[7, 0]


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 5), (7, 3), (5, 9)])
def test_convolution(shape):
    rng = np.random.default_rng(1)
    values = rng.integers(-20, 20, (17, 21, 6)).astype(np.float32)
    kernel = rng.integers(0, 9, shape).astype(np.float32)
    found = convolve(values, kernel)
    half = max(shape) // 2
    expected = ndimage.convolve(values, kernel[..., None])[half : 17 - half, half : 21 - half]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
