"""Why a pixel is masked, in words and in a picture."""

import numpy as np
import pytest
from PIL import Image

from lightmask.bits import IN_USE, Flag
from lightmask.detect import Lacosmic, Trace
from lightmask.detect.examination import Iteration
from lightmask.masks import Explained
from lightmask.quality import Event
from lightmask.show import draw_explanation, explanation_lines
from lightmask.show.explanations import LARGER, MARGIN, SIDE
from lightmask.show.pictures import COLOURS, ZOOM

PARAMETERS = {"gain": 1.5, "readnoise": 4, "satlevel": 65535, "sigclip": 8, "sigfrac": 0.3, "objlim": 5}


def iteration(**changed):
    given = {"value": 900.0, "noise": 21.0, "significance": 33.0, "ratio": 12.0, "is_seed": True, "is_cosmic": True}
    return Iteration(**given | changed)


TRACED = Trace(
    is_bad=False,
    contrast=21.3,
    is_seed=True,
    score=0.97,
    least_score=0.378,
    pixels=12,
    of_event=0.99,
    least_of_event=0.818,
    is_cosmic=True,
)


def explained(flags=0, shape=(60, 70), y=30, x=20, **changed):
    image = np.zeros(shape, np.int16)
    image[y, x] = flags
    data = np.random.default_rng(1).normal(100, 5, shape).astype(np.float32)
    given = {
        "name": "a.fits",
        "data": data,
        "flags": image,
        "y": y,
        "x": x,
        "value": 612.5,
        "around": 100.0,
        "is_masked": bool(flags),
        "stored": flags,
        "sources": [],
        "radii": {},
        "event": None,
        "region": "",
        "detector": "lightmask",
        "parameters": PARAMETERS,
        "numbers": Lacosmic(False, (iteration(),)),
    }
    return Explained(**given | changed)


EVENT = Event(x=20, y=30, left=18, bottom=30, right=23, top=31, pixels=9, signal=4000.0)


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({"flags": 4}, ["value 612.5, +512.5 to the median around", "FLAGS 4: COSMIC (cosmic ray); MASK: bad"]),
        ({"value": float("nan")}, ["value: no number", "FLAGS 0: no flag; MASK: good"]),
        ({"stored": 4 + 2}, ["FLAGS 6 in the results: DARK, COSMIC; they were made with other settings"]),
        ({"flags": 3, "sources": [("FLAT", "m/f.fits", "12ab")]}, ["FLAT: by m/f.fits, SHA-256 12ab"]),
        ({"flags": 16, "sources": [("INHERITED", "a.fits[MASK]", "")]}, ["INHERITED: by a.fits[MASK]"]),
        ({"flags": 2, "radii": {"dark": 1.5}}, ["DARK: flags of this reason grow by 1.5 pixels (grow)"]),
        (
            {"flags": 4, "event": EVENT, "region": "cosmic7"},
            ["cosmic7: a cosmic ray of 9 pixels, x 19 to 24, y 31 to 32, brightest at x 21, y 31"],
        ),
        ({"flags": 2048, "numbers": None}, ["detector lightmask: does not search here"]),
        (
            {},
            [
                "detector lightmask: gain 1.5, readnoise 4, satlevel 65535",
                "  iteration 1: 900 e-, noise 21 e-, significance 33 (sigclip 8), over fine structure 12 (objlim 5)",
            ],
        ),
        (
            {"numbers": Lacosmic(False, (iteration(is_seed=False),))},
            ["(objlim 5): beside a cosmic ray, within two pixels, and above 2.4 (sigclip x sigfrac)"],
        ),
        (
            {"numbers": Lacosmic(False, (iteration(is_seed=False, is_cosmic=False),) * 3 + (iteration(value=1.0),))},
            ["  iterations 1 to 3: 900 e-", "none", "  iteration 4: 1 e-"],
        ),
        ({"numbers": Lacosmic(True, (iteration(),))}, ["a bad pixel, or near a saturated star: never"]),
        ({"flags": 64}, ["  SUSPECT: it is no ray where known bad pixels around are kept"]),
        (
            {"numbers": TRACED, "detector": "trace"},
            [
                "detector trace: gain 1.5",
                "  21.3 sigma above the median around; a seed",
                "  net: 0.970 sure that it is part of a ray, expected at least 0.378",
                "  its event: 12 pixels, best seed 0.990, expected at least 0.818: a cosmic ray",
            ],
        ),
        (
            {"parameters": PARAMETERS | {"gain A": 1.5, "readnoise A": 3.25, "gain B": 1.75}},
            ["readnoise 4, satlevel 65535, gain A 1.5, readnoise A 3.25, gain B 1.75"],
        ),
        ({"numbers": TRACED._replace(is_bad=True)}, ["  a known bad pixel: never a cosmic ray"]),
        ({"numbers": TRACED._replace(pixels=0, is_seed=False)}, ["no seed of L.A.Cosmic", "part of no event"]),
        ({"numbers": TRACED._replace(is_cosmic=False)}, ["expected at least 0.818: no cosmic ray"]),
    ],
)
def test_words_say_why(given, lines):
    text = "\n".join(explanation_lines(explained(**given)))
    places = [text.find(line) for line in lines]
    assert min(places) >= 0 and places == sorted(places), text


def test_what_agrees_with_the_results_is_not_said():
    assert "in the results" not in "\n".join(explanation_lines(explained(flags=4, stored=4)))
    assert "in the results" not in "\n".join(explanation_lines(explained(flags=4, stored=None)))


@pytest.mark.parametrize(("y", "x"), [(30, 20), (0, 0), (59, 69), (3, 65)])
@pytest.mark.parametrize("flag", [Flag.COSMIC, Flag.FLAT])
def test_the_picture_marks_the_pixel_with_and_without_its_flag(y, x, flag, tmp_path):
    draw_explanation(explained(flags=flag, y=y, x=x), tmp_path / "a.png", "a.fits")
    with Image.open(tmp_path / "a.png") as opened:
        image = np.asarray(opened.convert("RGB"))
    top = next(row for row in range(len(image)) if (image[row, MARGIN : MARGIN + SIDE] != 255).all(axis=1).mean() > 0.9)
    step = ZOOM * LARGER
    row = top + (min(max(y + 13, 25), 60) - 1 - y) * step
    columns = [left + (x - min(max(x - 12, 0), 45)) * step for left in (MARGIN, MARGIN + SIDE + 20)]
    plain, flagged = (image[row : row + step, column : column + step].reshape(-1, 3) for column in columns)
    assert (flagged == COLOURS[flag]).all(axis=1).sum() > step and not (plain == COLOURS[flag]).all(axis=1).any()
    for column in columns:
        assert (image[row - 2, column : column + step] == 25).all()


def test_small_images_and_all_flags_are_drawn(tmp_path):
    every = int(sum(IN_USE))
    for shape in ((1, 1), (3, 40), (30, 2)):
        found = explained(flags=every, shape=shape, y=shape[0] - 1, x=0)
        draw_explanation(found, tmp_path / "a.png", "a\nname" * 40)
        with Image.open(tmp_path / "a.png") as image:
            assert image.width == 2 * MARGIN + 2 * SIDE + 20
