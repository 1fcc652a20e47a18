"""What repeats add to the mask of a detector, take from it, and report, by hand."""

import numpy as np
import pytest

from lightmask.repeats.evidence import Evidence
from lightmask.repeats.joining import MOST_PIXELS, join, left_over

SHAPE = (60, 70)
STAR = np.exp(-((np.indices((5, 5)) - 2.0) ** 2).sum(axis=0) / 2 / 1.3**2)


def evidence(excess, *, error=1.0, contrast=None, beside=()):
    """Return evidence of an image of excesses: what is not 0 is there."""
    pixels = np.flatnonzero((excess != 0) | np.isnan(excess))
    values = excess.ravel()[pixels].astype(np.float32)
    errors = np.full(pixels.size, error, np.float32)
    shown = (np.nan_to_num(values) * errors if contrast is None else contrast.ravel()[pixels]).astype(np.float32)
    is_beside = np.isin(pixels, [y * SHAPE[1] + x for y, x in beside])
    return Evidence(pixels, values, errors, shown, np.ones(pixels.size, np.float32), is_beside)


def image_of(**values):
    """Return an image with values at places such as y10x20."""
    image = np.zeros(SHAPE)
    for place, value in values.items():
        y, x = map(int, place.removeprefix("y").split("x"))
        image[y, x] = value
    return image


def joined(excess, found=(), star=STAR, **keywords):
    mask = np.zeros(SHAPE, bool)
    for y, x in found:
        mask[y, x] = True
    result = join(mask, evidence(excess, **keywords), star)
    return [[divmod(int(place), SHAPE[1]) for place in part] for part in result]


NOTHING = [[], [], [], []]


@pytest.mark.parametrize(("most", "added"), [(4.9, []), (5.0, []), (5.1, [(10, 20), (10, 21), (11, 22)])])
def test_an_event_needs_a_seed_and_goes_on_next_to_it(most, added):
    found = joined(image_of(y10x20=3.0, y10x21=most, y11x22=2.7, y10x23=2.5, y30x30=4.8))
    assert found == [added, [], [], []]


def test_what_touches_the_detector_needs_no_seed():
    assert joined(image_of(y10x20=3.0, y10x21=9.0), found=[(10, 21)]) == [[(10, 20)], [], [], []]
    assert joined(image_of(y10x20=3.0, y10x21=-0.5), found=[(10, 21)])[0] == [(10, 20)]
    assert joined(image_of(y10x20=3.0, y10x21=np.nan), found=[(10, 21)])[0] == [(10, 20)]
    assert joined(image_of(y10x20=3.0, y10x22=9.0), found=[(10, 22)])[0] == []


def test_too_much_beside_an_event_of_the_detector_is_no_part_of_it():
    for length, is_added in ((22, True), (23, False)):  # twenty, and two for its pixel
        excess = np.zeros(SHAPE)
        excess[10, 5 : 5 + length] = 4.0
        excess[10, 4] = 9.0
        assert bool(joined(excess, found=[(10, 4)])[0]) == is_added


def test_a_large_event_that_only_repeats_show_is_reported_at_its_peak():
    excess = np.zeros(SHAPE)
    excess[10, :MOST_PIXELS] = 7.0
    excess[10, 33] = 9.0
    assert joined(excess)[0] == [(10, column) for column in range(MOST_PIXELS)]
    excess[10, MOST_PIXELS] = 3.0
    assert joined(excess) == [[], [], [], [(10, 33)]]


def test_an_event_beside_a_bad_or_saturated_pixel_is_the_detectors_business():
    excess = image_of(y10x20=8.0, y10x21=8.0)
    assert joined(excess, beside=[(10, 20)]) == NOTHING
    assert joined(excess, beside=[(10, 20)], found=[(10, 20)])[0] == [(10, 21)]


@pytest.mark.parametrize(
    ("scale", "change", "is_star"),
    [(40, 0, True), (9, 0, False), (40, 0.25, False), (40, 0.15, True), (40, -0.25, False)],
)
def test_the_image_of_a_star_is_reported_and_not_masked(scale, change, is_star):
    excess = np.zeros(SHAPE)
    excess[20:25, 30:35] = STAR * scale
    excess[22, 31 + 2] += change * scale
    found = joined(excess)
    assert found[3] == ([(22, 32)] if is_star else [])
    assert bool(found[0]) == (not is_star)


@pytest.mark.parametrize("place", [(1, 3), (2, 3), (3, 1), (3, 2), (2, 1), (2, 2)])
@pytest.mark.parametrize("change", [0.25, -0.25])
def test_each_pixel_beside_the_peak_counts(place, change):
    image = STAR.copy()
    image[place] += change * (place != (2, 2))
    excess = np.zeros(SHAPE)
    excess[20:25, 30:35] = image * 40
    assert joined(excess)[3] == ([(22, 32)] if place == (2, 2) else [])


@pytest.mark.parametrize("edge", ["first row", "last row", "first column", "last column"])
def test_a_star_at_the_edge_cannot_be_told(edge):
    excess = np.zeros(SHAPE)
    part = {
        "first row": np.s_[:3, 30:35],
        "last row": np.s_[-3:, 30:35],
        "first column": np.s_[30:35, :3],
        "last column": np.s_[30:35, -3:],
    }[edge]
    half = slice(2, None) if edge.startswith("first") else slice(None, 3)
    excess[part] = (STAR[half] if "row" in edge else STAR[:, half]) * 40
    assert joined(excess)[3] == [] and len(joined(excess)[0]) > 5


def test_without_stars_nothing_looks_like_one():
    excess = np.zeros(SHAPE)
    excess[20:25, 30:35] = STAR * 40
    assert joined(excess, star=np.full((5, 5), np.nan))[3] == []


@pytest.mark.parametrize(
    ("excess", "light", "recurs"),
    [
        ((1.0, 2.0), (100.0, 50.0), True),
        ((4.0, 5.1), (100.0, 50.0), False),  # one pixel stands out
        ((4.9, 4.9), (8.0, 8.0), False),  # neighbours show 38%
        ((4.7, 4.7), (8.0, 8.0), True),  # 41%
        ((4.0, np.nan), (100.0, 50.0), False),  # of one it is not known
    ],
)
def test_an_event_of_the_detector_that_neighbours_show_recurs(excess, light, recurs):
    image, contrast = image_of(y10x20=excess[0], y11x21=excess[1]), image_of(y10x20=light[0], y11x21=light[1])
    found = joined(image, found=[(10, 20), (11, 21)], contrast=contrast)
    assert found[1] == ([(10, 20), (11, 21)] if recurs else [])


@pytest.mark.parametrize(
    ("excess", "contrast", "place"),
    [
        (1.7, 3.0, 2),  # no brighter than noise: faint
        (1.9, 3.0, None),
        (-3.0, 1.9, 2),  # neighbours show 4.9 sigma, which is noise
        (-3.0, 2.1, 1),  # 5.1: it recurs
        (1.7, 6.6, 2),
        (1.7, 6.8, 1),
        (1.9, 50.0, None),  # a ray on a source
        (np.nan, 3.0, None),  # it is not known
    ],
)
def test_a_pixel_of_a_ray_that_is_no_brighter_than_noise_is_none(excess, contrast, place):
    """Beside the ray itself, which stays."""
    image, light = image_of(y10x20=30.0, y10x21=excess), image_of(y10x20=30.0, y10x21=contrast)
    found = joined(image, found=[(10, 20), (10, 21)], contrast=light)
    assert found == [[(10, 21)] if part == place else [] for part in range(4)]


def test_noise_is_that_of_the_pixel_and_not_of_the_light_around():
    """On a source an excess of one error is many sigma: the detector knows better."""
    image, light = image_of(y10x20=30.0, y10x21=0.5), image_of(y10x20=120.0, y10x21=40.0)
    assert joined(image, found=[(10, 20), (10, 21)], contrast=light, error=4.0) == NOTHING
    assert joined(image, found=[(10, 20), (10, 21)], contrast=light, error=3.0)[1] == [(10, 21)]


@pytest.mark.parametrize(
    ("values", "suspect", "left"),
    [
        ({"y10x20": 9.0, "y10x21": 3.0}, [(10, 20)], [(10, 21)]),
        ({"y10x20": 9.0, "y10x21": 4.9, "y10x19": 5.1}, [(10, 20)], [(10, 21)]),  # a ray went through
        ({"y10x20": 9.0, "y10x21": 3.0, "y11x21": 5.1}, [(10, 20)], []),
        ({"y10x20": 9.0, "y10x21": np.nan}, [(10, 20)], [(10, 21)]),
        ({"y10x20": 9.0, "y30x30": 3.0}, [(10, 20)], []),  # of another event
        ({"y10x20": 9.0, "y10x21": 3.0}, [], []),
        ({}, [], []),
    ],
)
def test_what_is_left_of_a_hot_pixel_is_no_ray_if_it_would_be_none_alone(values, suspect, left):
    excess = image_of(**values)
    number = [y * SHAPE[1] + x for y, x in suspect]
    flagged = np.flatnonzero((excess != 0) | np.isnan(excess))
    found = left_over(flagged, np.array(number, int), evidence(excess), SHAPE[1])
    assert [divmod(int(place), SHAPE[1]) for place in found] == left


def test_events_are_judged_one_by_one():
    image, contrast = np.zeros(SHAPE), np.zeros(SHAPE)
    for y, value in ((10, 1.0), (20, 9.0), (30, 1.0)):
        image[y, 20], contrast[y, 20] = value, 10.0
    found = joined(image, found=[(10, 20), (20, 20), (30, 20)], contrast=contrast)
    assert found[1] == [(10, 20), (30, 20)]


def test_nothing_is_nothing():
    assert joined(np.zeros(SHAPE)) == NOTHING
    assert joined(np.zeros(SHAPE), found=[(10, 10)]) == NOTHING
