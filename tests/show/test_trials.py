"""Settings side by side: which events are shown, and what colours say."""

import numpy as np
import pytest
from PIL import Image

from lightmask.bits import Flag
from lightmask.masks import Trial, Trials
from lightmask.show import draw_trials, write_trial_page
from lightmask.show.trials import ALL, CUTOUTS, SOME, doubtful

SHAPE = (200, 240)


def trial(name, *boxes, also=()):
    """Return a trial that flags some boxes: rows and columns."""
    flags = np.zeros(SHAPE, np.int16)
    for rows, columns in boxes:
        flags[rows, columns] |= Flag.COSMIC
    for (rows, columns), flag in also:
        flags[rows, columns] |= flag
    pixels = int(np.count_nonzero(flags & np.int16(Flag.COSMIC)))
    return Trial(name, flags, pixels, len(boxes), 0.5)


def box(y, x, height=1, width=1):
    return slice(y, y + height), slice(x, x + width)


def image_of(*boxes, level=300.0):
    data = np.random.default_rng(1).normal(100, 5, SHAPE).astype(np.float32)
    for number, place in enumerate(boxes, 1):
        data[place] += level * number
    return data


LARGE = box(60, 60, 1, 6)
"""What always differs most."""


@pytest.mark.parametrize(
    ("why", "place", "where"),
    [
        ("strongest, not in all", box(100, 80), (100, 80)),
        ("faintest, not in all", box(100, 30), (100, 30)),
        ("on the brightest source", box(150, 100), (150, 100)),
        ("at the edge", box(120, 237), (120, 237)),
        ("at the edge", box(120, 2), (120, 2)),
        ("at the edge", box(195, 50), (195, 50)),
        ("beside bad pixels", box(50, 200), (50, 200)),
    ],
)
def test_events_in_which_settings_differ_are_shown_for_a_reason(why, place, where):
    fillers = {"strongest, not in all": box(20, 120, 1, 2), "faintest, not in all": box(20, 160)}
    fillers |= {"on the brightest source": box(20, 200, 1, 2)}
    levels = {"strongest, not in all": 5000, "faintest, not in all": 40, "on the brightest source": 90}
    fillers.pop(why, None)
    data = image_of()
    data[LARGE] += 200
    for name, filler in fillers.items():
        data[filler] += levels[name]
    if "on the brightest source" in fillers:
        data[10:40, 190:220] += 80
    data[place] += levels.get(why, 100)
    if why == "on the brightest source":
        data[135:170, 85:120] += 400
    marks = [(box(51, 202), Flag.DARK)]
    one, other = trial("one", also=marks), trial("other", LARGE, place, *fillers.values(), also=marks)
    found = {(doubt.event.y, doubt.event.x): doubt.why for doubt in doubtful(data, [one, other])}
    assert found[where] == why
    assert found[60, next(x for y, x in found if y == 60)] == "most pixels differ"


def test_long_and_faint_events_are_shown_though_all_agree():
    long, faint, strong = box(20, 20, 1, 40), box(170, 200), box(100, 100)
    data = image_of()
    for place, level in ((long, 300), (faint, 60), (strong, 900)):
        data[place] += level
    trials = [trial(name, long, faint, strong) for name in ("one", "other")]
    found = {doubt.why: doubt.event for doubt in reversed(doubtful(data, trials))}
    assert found["longest"].y == 20 and found["faintest in all"].y == 170 and found["strongest in all"].y == 100


def test_no_more_than_fit_and_none_twice():
    boxes = [box(y, x) for y in range(20, 190, 20) for x in range(20, 230, 20)]
    data = image_of(*boxes)
    found = doubtful(data, [trial("one", *boxes[::2]), trial("other", *boxes[1::2])])
    assert len(found) == CUTOUTS
    places = {(doubt.event.y, doubt.event.x) for doubt in found}
    assert len(places) == CUTOUTS
    near = [box(100, 100), box(100, 104)]
    assert len(doubtful(image_of(*near), [trial("one", near[0]), trial("other", near[1])])) == 1


def test_nothing_is_nothing():
    assert doubtful(image_of(), [trial("one"), trial("other")]) == []
    agreed = [box(100, 100)]
    assert len(doubtful(image_of(*agreed), [trial("one", *agreed), trial("other", *agreed)])) == 1


@pytest.mark.parametrize("shape", [(200, 240), (5, 300), (40, 7), (900, 1300)])
def test_colours_say_who_agrees(shape, tmp_path):
    data = np.random.default_rng(2).normal(100, 5, shape).astype(np.float32)
    y, x = shape[0] // 2, shape[1] // 2
    both, one = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
    both[y, x] = one[y, x] = Flag.COSMIC
    one[0, 0] = Flag.COSMIC
    data[0, 0] = np.nan
    trials = [Trial("one", one, 2, 2, 0.1), Trial("both", both, 1, 1, 0.2)]
    draw_trials(Trials(data, "", (), trials), tmp_path / "x.png", "a name that is far too long " * 20)
    with Image.open(tmp_path / "x.png") as drawn:
        pixels = np.asarray(drawn.convert("RGB"))
    middle = pixels.shape[1] // 2 + 90
    for colour, left, right in ((ALL, True, True), (SOME, True, False)):
        found = (pixels[:-70] == colour).all(axis=2)  # above the legend
        assert (found[:, :middle].any(), found[:, middle:].any()) == (left, right)


def test_a_page_has_counts_picture_and_lines_as_text(tmp_path):
    name, line = "</title><script>a's b", "cosmic_rays: {preset: best}  # <best>"
    found = Trials(image_of(LARGE), "", (), [trial(name, LARGE), trial("sigclip 8")])
    write_trial_page(found, [line], tmp_path / 'a\'s "frame" & b.png', tmp_path / "a.html", name)
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<script" not in text and text.count("&lt;script&gt;a&#x27;s") == 3
    assert 'src="a%27s%20%22frame%22%20%26%20b.png"' in text
    assert '<td class="number">6</td><td class="number">1</td>' in text and "{preset: best}  # &lt;best&gt;" in text
