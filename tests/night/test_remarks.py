"""Frames that are unlike the others of their night get remarks."""

import math
import random

import pytest

from lightmask.bits import BITS
from lightmask.night import remarks
from lightmask.show import night


def row(cosmic=100, exposure=100.0, **changes):
    counts = dict.fromkeys((name.lower() for name in BITS), 0)
    return {
        "path": "a.fits",
        "object": "",
        "filter": "r",
        "exposure": exposure,
        "date": "",
        "pixel_size": "",
        "pixels": 1_000_000,
        "masked": cosmic,
        "fraction": cosmic / 1e6,
        **counts,
        "cosmic": cosmic,
        "events": cosmic // 4,
        "on_sources": 0.0,
        "remark": "",
        "problem": "",
    } | changes


def test_rates_are_per_area_where_the_pixel_size_is_known_and_per_megapixel_else():
    assert remarks.exposure_area(row(pixel_size=10.0)) == pytest.approx(100 * 1e6 * 1e-6)
    assert remarks.exposure_area(row(pixels=2_000_000)) == pytest.approx(200)
    assert remarks.rate_unit([row(pixel_size=9.0)] * 2) == "s⁻¹ cm⁻²"
    assert remarks.rate_unit([row(pixel_size=9.0), row()]) == "s⁻¹ Mpix⁻¹"


def test_an_exposure_may_be_as_short_as_it_is():
    assert night.exposure_area(row(exposure=1e-3, pixels=10_000)) == pytest.approx(1e-5)


@pytest.mark.parametrize("exposure", ["", "thirty", 0, -3, math.nan])
def test_without_an_exposure_there_is_no_rate(exposure):
    assert math.isnan(remarks.exposure_area(row(exposure=exposure)))


def usual(number=8):
    draw = random.Random(1)
    return [row(cosmic=round(draw.gauss(100, 20))) for _ in range(number)]


def test_frames_that_are_alike_get_no_remark():
    assert remarks.remarks(usual()) == [""] * 8


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"cosmic": 400}, "4.0 times the usual cosmic-ray pixels for its exposure"),
        ({"cosmic": 400, "exposure": 400.0}, ""),
        ({"cosmic": 2, "exposure": 400.0, "events": 1}, "only 0.0"),
        ({"saturated": 20_000}, "2.00% of its pixels are saturated, usually 0.00%"),
        ({"saturated": 500}, ""),
        ({"exposure": "", "cosmic": 4000}, ""),
    ],
)
def test_an_odd_frame_is_told_with_the_reason(changes, remark):
    found = remarks.remarks([*usual(), row(**changes)])
    assert found[:-1] == [""] * 8
    assert remark in found[-1] and bool(remark) == bool(found[-1])


@pytest.mark.parametrize(
    ("others", "inside", "outside", "remark"),
    [
        # by more than 1.5
        ({"cosmic": 10_000}, {"cosmic": 15_000}, {"cosmic": 15_003}, "1.5 times the usual cosmic-ray pixels for its"),
        ({"cosmic": 15_000}, {"cosmic": 10_000}, {"cosmic": 9997}, "only 0.67 of the usual cosmic-ray pixels for its"),
        # by more than 5 sigma of a Poisson count of events
        ({"cosmic": 100}, {"cosmic": 200, "events": 50}, {"cosmic": 204, "events": 51}, "2.0 times the usual cosmic"),
        ({"cosmic": 100}, {"cosmic": 50, "events": 50}, {"cosmic": 49, "events": 49}, "only 0.49 of the usual cosmic"),
        # where the others have none
        (
            {"cosmic": 0},
            {"cosmic": 15, "events": 5},
            {"cosmic": 18, "events": 6},
            "18 cosmic-ray pixels, and usually none",
        ),
        # saturated
        ({}, {"saturated": 1000}, {"saturated": 1001}, "0.10% of its pixels are saturated, usually 0.00%"),
        (
            {"saturated": 1000},
            {"saturated": 5000},
            {"saturated": 5001},
            "0.50% of its pixels are saturated, usually 0.10%",
        ),
    ],
)
def test_a_frame_is_odd_beyond_a_limit_and_not_at_it(others, inside, outside, remark):
    night_ = [row(**others) for _ in range(4)]
    assert remarks.remarks([*night_, row(**inside)]) == [""] * 5
    *usual_, odd = remarks.remarks([*night_, row(**outside)])
    assert usual_ == [""] * 4
    assert odd.startswith(remark)


def test_few_frames_are_not_compared():
    assert remarks.remarks([row(), row(), row(cosmic=900)]) == ["", "", ""]
    assert remarks.remarks([row(), row(), row(), row(cosmic=900)])[3] == (
        "9.0 times the usual cosmic-ray pixels for its exposure"
    )
    assert remarks.remarks([row(saturated=9000), row(), row()]) == ["", "", ""]
    assert remarks.remarks([row(saturated=9000), row(), row(), row()])[0]


def test_a_night_of_which_few_frames_have_a_cosmic_ray_has_remarks():
    frames_ = [row(cosmic=0, exposure=1.0) for _ in range(5)]
    assert remarks.remarks([*frames_, *(row(cosmic=4, events=1, exposure=1.0) for _ in range(2))]) == [""] * 7


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"exposure": 0}, "its exposure is not used: 0, expected 1e-06 to 1e+09 s; correct its header"),
        ({"exposure": 1e300}, "its exposure is not used: 1e+300, expected 1e-06 to 1e+09 s; correct its header"),
        ({"exposure": 1.1e9}, "its exposure is not used: 1100000000.0, expected"),
        ({"exposure": 0.9e-6}, "its exposure is not used: 9e-07, expected"),
        ({"exposure": 1e9}, ""),
        ({"exposure": 1e-6}, ""),
        ({"exposure": 10**400}, "its exposure is not used: 1000"),
        ({"exposure": "ten"}, "its exposure is not used: ten, expected"),
        ({"pixel_size": 1e300}, "its pixel_size is not used: 1e+300, expected 0.001 to 10000 um; correct its header"),
        ({"pixel_size": 0.0009}, "its pixel_size is not used: 0.0009, expected"),
        ({"pixel_size": 10_001}, "its pixel_size is not used: 10001, expected"),
        ({"pixel_size": 10_000}, ""),
        ({"pixel_size": 0.001}, ""),
        ({"pixel_size": ""}, ""),
    ],
)
def test_what_cannot_be_used_for_a_rate_is_told(changes, remark):
    (found,) = remarks.remarks([row(**changes)])
    assert found.startswith(remark) and bool(found) == bool(remark)


def test_frames_that_failed_are_not_compared():
    blank = dict.fromkeys(row(), "") | {"problem": "broken"}
    assert remarks.remarks([blank, *usual(), row(cosmic=900)])[-1]
    assert remarks.remarks([blank]) == [""]
