"""LIGHT frames of one field, filter and exposure time repeat each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightmask.night import fields
from lightmask.night.types import LIGHT, Frame

ROW = {"filter": "V", "exposure": 60.0, "camera": "C", "binning": "1x1", "object": "M 1"}


def frame(number, shape=(10, 12), **cards):
    return Frame(f"{number:03}.fits", LIGHT, shape, cards)


def chosen(lights, rows=None, masks=None):
    rows = rows or [{} for _ in lights]
    table = {
        light.path: ROW | {"date": f"2026-01-01T00:{number:02}:00"} | row
        for number, (light, row) in enumerate(zip(lights, rows, strict=True))
    }
    found = fields.repeats(lights, table, masks or {light.path: "" for light in lights}, 2)
    return {
        path[:3].lstrip("0") or "0": [other.path[:3].lstrip("0") or "0" for other in others]
        for path, others in found.items()
    }


def test_the_nearest_in_time_are_chosen_up_to_five():
    found = chosen([frame(number) for number in range(20)])
    assert found["0"] == ["1", "2", "3", "4", "5"]
    assert found["10"] == ["9", "11", "8", "12", "7"]
    assert found["19"] == ["18", "17", "16", "15", "14"]


def test_a_new_frame_changes_those_near_it_only():
    before, after = (chosen([frame(number) for number in range(size)]) for size in (30, 31))
    assert [name for name in before if before[name] != after[name]] == ["28", "29"]


@pytest.mark.parametrize(
    "other", [{"filter": "R"}, {"exposure": 61.0}, {"camera": "D"}, {"binning": "2x2"}, {"object": "M 2"}]
)
def test_what_differs_is_no_repeat(other):
    lights = [frame(number) for number in range(4)]
    assert chosen(lights, [{}, {}, {}, other]) == {"0": ["1", "2"], "1": ["0", "2"], "2": ["1", "0"], "3": []}


def test_shape_and_masks_are_the_same():
    lights = [frame(0), frame(1), frame(2), frame(3, shape=(12, 10))]
    assert chosen(lights)["3"] == [] and len(chosen(lights)["0"]) == 2
    lights = [frame(number) for number in range(4)]
    assert chosen(lights, masks=dict(zip([light.path for light in lights], "aaab", strict=True)))["3"] == []


def test_shutters_are_not_exact():
    lights = [frame(number) for number in range(4)]
    found = chosen(lights, [{"exposure": 120.001}, {"exposure": 119.99}, {"exposure": "120"}, {"exposure": 121.5}])
    assert found["0"] == ["1", "2"] and found["3"] == []
    assert chosen(lights, [{"exposure": ""}, {"exposure": ""}, {"exposure": ""}, {}])["0"] == ["1", "2"]


def test_numbers_and_names_are_the_same_however_they_are_written():
    lights = [frame(number) for number in range(3)]
    assert chosen(lights, [{"exposure": "60"}, {"object": "m 1"}, {"exposure": 60}])["0"] == ["1", "2"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_two_others_are_needed(number):
    assert chosen([frame(each) for each in range(number)]) == {str(each): [] for each in range(number)}


def test_pointings_far_away_are_another_field():
    lights = [
        *(frame(number, RA=359.9 + number * 0.1 - 360 * (number > 0), DEC=-30.0) for number in range(3)),
        *(frame(number, RA=10.0, DEC=-30.0) for number in range(3, 6)),
        frame(6),  # it may be anywhere: its stars decide
    ]
    found = chosen(lights)
    assert set(found["0"]) == {"1", "2", "6"} and set(found["3"]) == {"4", "5", "6"}
    assert set(found["6"]) == {"1", "2", "3", "4", "5"}


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (12.5, 15, 12.5),
        (7, 15, 7),
        ("12.5", 15, 12.5),
        ("05:34:31.94", 15, 83.6331),
        ("05 34 31.9", 15, 83.6329),
        ("+22:00:52", 1, 22.0144),
        ("-00:30:00", 1, -0.5),
        ("-12d30m00s", 1, -12.5),
        ("5h34m31.9s", 15, 83.6329),
    ],
)
def test_angles_as_headers_write_them(value, unit, expected):
    assert fields.degrees(value, unit) == pytest.approx(expected, abs=1e-3)


@given(st.one_of(st.text(), st.booleans(), st.none(), st.floats(), st.integers()))
def test_any_value_of_a_header_is_an_angle_or_none(value):
    assert isinstance(fields.degrees(value, 15), float)
    cards = {} if value is None else {"RA": value, "DEC": value}
    found = fields.pointing(Frame("x.fits", LIGHT, (1, 1), cards))
    assert found is None or all(isinstance(part, float) for part in found)


@pytest.mark.parametrize(
    ("dec", "ra", "is_near"),
    [(0.0, 1.1, False), (0.0, 0.9, True), (50.0, 1.5, True), (-50.0, 1.6, False), (80.0, 5.7, True)],
)
def test_right_ascension_counts_less_near_the_pole(dec, ra, is_near):
    lights = [frame(0, RA=100.0, DEC=dec), frame(1, RA=100.0 + ra, DEC=dec), frame(2), frame(3)]
    assert ("1" in chosen(lights)["0"]) == is_near


def test_right_ascension_goes_round():
    lights = [frame(0, RA=359.5, DEC=0.0), frame(1, RA=0.6, DEC=0.0), frame(2, RA=0.4, DEC=0.0), frame(3)]
    assert set(chosen(lights)["0"]) == {"2", "3"}


def test_only_so_many_are_looked_at():
    far = fields.MOST_LOOKED
    lights = [frame(0, RA=10.0, DEC=0.0), *[frame(number + 1, RA=100.0, DEC=0.0) for number in range(far)]]
    lights += [frame(far + 1, RA=10.0, DEC=0.0), frame(far + 2, RA=10.0, DEC=0.0)]
    table = {light.path: ROW | {"date": light.path} for light in lights}
    found = fields.repeats(lights, table, {light.path: "" for light in lights}, 1)
    assert found[lights[0].path] == [] and found[lights[-1].path] == [lights[-2]]


def test_a_frame_points_by_the_first_keywords_that_say_so():
    cards = {"RA": "nonsense", "DEC": 1.0, "OBJCTRA": "01 00 00", "OBJCTDEC": "-10 30 00", "CRVAL1": 3.0, "CRVAL2": 4.0}
    assert fields.pointing(frame(0, **cards)) == (15.0, -10.5)
    assert fields.pointing(frame(0, CRVAL1=3.0, CRVAL2=4.0)) == (3.0, 4.0)
    assert fields.pointing(frame(0, CRVAL1=3.0, CRVAL2=95.0)) is None
    assert fields.pointing(frame(0)) is None
