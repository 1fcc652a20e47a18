"""Pixels without data are flagged, not searched, and do no harm to their neighbours."""

import numpy as np
import pytest
from astropy.io import fits
from conftest import write_light

from lightmask.bits import Flag
from lightmask.fits import Header
from lightmask.masks import mask_frame
from lightmask.masks.nodata import without_data
from lightmask.night.configuration import validated

SHAPE = (60, 80)


def sky(seed=1, dtype="f4"):
    return np.random.default_rng(seed).normal(1000, 30, SHAPE).astype(dtype)


def filled(place, fill, dtype="f4"):
    data = sky(dtype=dtype)
    data[place] = fill
    expected = np.zeros(SHAPE, bool)
    expected[place] = True
    return data, expected


BORDERS = [np.s_[:5], np.s_[-3:], np.s_[:, :7], np.s_[:, -1:], np.s_[:20, :30]]


@pytest.mark.parametrize("place", range(len(BORDERS)))
@pytest.mark.parametrize(
    ("fill", "dtype"), [(0, "f4"), (0, "i2"), (-32768, "i2"), (-32768, "f4"), (1e30, "f4"), (-1.5e30, "f8")]
)
def test_what_fills_a_border_is_no_data(place, fill, dtype):
    data, expected = filled(BORDERS[place], fill, dtype)
    np.testing.assert_array_equal(without_data(data, Header(), []), expected)


def test_a_turned_image_has_corners_without_data():
    rows, columns = np.indices(SHAPE)
    expected = rows + columns < 30
    data = np.where(expected, 0, sky())
    np.testing.assert_array_equal(without_data(data, Header(), []), expected)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros(SHAPE, "f4"),  # all of one value
        np.full(SHAPE, 7, "f4"),
        np.random.default_rng(1).normal(0, 0.1, SHAPE).round(),  # a sky of zero
        filled(np.s_[20:40, 30:50], 0)[0],  # within the image
        filled(np.s_[0, 3:9], 0)[0],  # a few pixels of the rim
        filled(np.s_[:4], 500)[0],  # another value
    ],
)
def test_other_values_are_data(data):
    assert without_data(data, Header(), []) is None


def test_listed_values_and_blank_are_no_data_everywhere(tmp_path):
    data = sky(dtype="i2")
    data[10, 10], data[20, 20], data[30:33, 40] = -999, -32768, 12345
    hdu = fits.PrimaryHDU(data)
    hdu.header["BLANK"], hdu.header["IMAGETYP"] = -999, "LIGHT"
    hdu.writeto(tmp_path / "a.fits")
    config = validated({"no_data": [12345, -32768.0], "cosmic_rays": {"gain": 1.1}})
    mask_frame(tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "out.json", config)
    with fits.open(tmp_path / "out.fits") as hdus:
        flags = hdus["FLAGS"].data
        assert hdus["MASK"].data[20, 20] == 1
    expected = {(10, 10), (20, 20), (30, 40), (31, 40), (32, 40)}
    assert set(map(tuple, np.argwhere(flags & Flag.NODATA).tolist())) == expected
    assert np.count_nonzero(flags & (Flag.COSMIC | Flag.NOTFINITE | Flag.SUSPECT)) == 0


@pytest.mark.parametrize("fill", [0, -32768])
def test_a_filled_border_makes_no_cosmic_rays(tmp_path, fill):
    data = sky()
    data[:, :6] = fill
    data[30, 40] = 20_000
    write_light(tmp_path / "a.fits", data=data)
    mask_frame(tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "out.json", validated({}))
    flags = fits.getdata(tmp_path / "out.fits", "FLAGS")
    assert np.argwhere(flags & Flag.COSMIC).tolist() == [[30, 40]]
    np.testing.assert_array_equal((flags & Flag.NODATA) != 0, data == fill)
