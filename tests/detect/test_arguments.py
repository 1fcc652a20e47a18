"""Arguments are checked, and an error names the one that is wrong."""

import re

import numpy as np
import pytest

from lightmask.detect import detect_cosmics


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"indat": np.zeros((0, 5))}, ValueError),
        ({"indat": np.zeros((0, 0))}, ValueError),
        ({"indat": np.zeros(5)}, ValueError),
        ({"indat": np.zeros((2, 5, 5))}, ValueError),
        ({"indat": [[1, 2], [3]]}, ValueError),
        ({"indat": np.zeros((5, 5), complex)}, TypeError),
        ({"indat": np.full((5, 5), "a")}, TypeError),
        ({"indat": None}, TypeError),
        ({"inmask": np.zeros((5, 6), bool)}, ValueError),
        ({"inmask": np.full((5, 5), "a")}, TypeError),
        ({"inbkg": np.zeros((6, 5))}, ValueError),
        ({"inbkg": 3.0}, TypeError),
        ({"invar": np.zeros((5, 5, 1))}, ValueError),
        ({"invar": np.zeros((5, 5), complex)}, TypeError),
        ({"sigclip": -1.0}, ValueError),
        ({"sigclip": np.nan}, ValueError),
        ({"sigclip": "4.5"}, TypeError),
        ({"sigfrac": -0.1}, ValueError),
        ({"objlim": -1}, ValueError),
        ({"objlim": None}, TypeError),
        ({"gain": 0}, ValueError),
        ({"gain": np.inf}, ValueError),
        ({"gain": 1e-60}, ValueError),
        ({"gain": np.ones(2)}, TypeError),
        ({"readnoise": -1}, ValueError),
        ({"readnoise": np.inf}, ValueError),
        ({"satlevel": 0}, ValueError),
        ({"satlevel": np.nan}, ValueError),
        ({"niter": -1}, ValueError),
        ({"niter": 2.5}, TypeError),
        ({"sepmed": "no"}, TypeError),
        ({"cleantype": "mean"}, ValueError),
        ({"cleantype": 1}, TypeError),
        ({"fsmode": "fft"}, ValueError),
        ({"psfmodel": "airy"}, ValueError),
        ({"psffwhm": 0.0}, ValueError),
        ({"psfsize": 4}, ValueError),
        ({"psfsize": 7.0}, TypeError),
        ({"psfk": np.ones((3, 4))}, ValueError),
        ({"psfk": np.ones(3)}, ValueError),
        ({"psfk": np.full((3, 3), np.nan)}, ValueError),
        ({"psfbeta": -1}, ValueError),
        ({"verbose": "yes"}, TypeError),
    ],
)
def test_error_names_the_argument(parameters, error):
    with pytest.raises(error, match=rf"\b{next(iter(parameters))}\b"):
        detect_cosmics(**{"indat": np.zeros((5, 5))} | parameters)


@pytest.mark.parametrize("argument", ["indat", "inmask", "inbkg", "invar"])
@pytest.mark.parametrize("number", [5, 2.5, True, np.float32(5), np.array(5.0)], ids=repr)
def test_a_number_is_no_image(argument, number):
    """As in astroscrappy, for the callers of both."""
    with pytest.raises(TypeError, match=rf"^{argument} must be a 2-D image, not {re.escape(repr(number))}$"):
        detect_cosmics(**{"indat": np.zeros((5, 5)), argument: number})
