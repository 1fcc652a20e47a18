"""Flats and darks are looked at before a mask is made of them: which are left out, and why."""

import json
import math

import numpy as np
import pytest
from astropy.io import fits
from nights import add_rays, add_star

from lightmask.masks import Output, make_dark_mask, make_flat_mask
from lightmask.masks.darks import Looked, unevenness
from lightmask.night import validated

SIDE = 256
CONFIG = validated({})


def flat(rng, level=30_000.0, bad=None):
    """Return a flat in electrons: light that falls to the sides, and pixels that swallow some."""
    y, x = np.ogrid[:SIDE, :SIDE]
    light = level * (1 - 0.2 * ((y - 120) ** 2 + (x - 130) ** 2) / SIDE**2)
    image = rng.poisson(light).astype(float)
    return image if bad is None else image - bad


def dark(rng, seconds=300.0, current=0.5, readnoise=8.0):
    """Return a dark in electrons: dark current, hot pixels and read noise."""
    rate = np.full((SIDE, SIDE), current)
    rate[np.random.default_rng(0).random(rate.shape) < 0.002] = 50
    return rng.poisson(rate * seconds) + rng.normal(0, readnoise, rate.shape)


def made(make, images, tmp_path, required=True, **cards):
    """Make a mask of images; return it, and what was left out, by name."""
    sources = []
    for name, image in images.items():
        fits.writeto(tmp_path / name, np.asarray(image, np.float32), fits.Header(cards), overwrite=True)
        sources.append((str(tmp_path / name), name))
    output = Output(tmp_path / "mask.fits", tmp_path / "mask.json")
    kind = "flat" if make is make_flat_mask else "dark"
    config = {key: value for key, value in CONFIG.items() if key != "most_masked"} | {"combined": ["NCOMBINE"]}
    make(sources, {"IMAGETYP": f"{kind} mask"}, [], config, (SIDE, SIDE), output, required)
    left_out = json.loads(output.left_out.read_text())["left_out"]
    return fits.getdata(output.mask) != 0, {each["path"]: each["problem"] for each in left_out}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fault", ["clipped", "clipped and flat-fielded", "faint", "negative", "empty"])
def test_a_flat_that_tells_nothing_is_left_out(fault, seed, tmp_path):
    rng = np.random.default_rng(seed)
    bad = flat(rng, rng.uniform(10_000, 40_000))
    if fault.startswith("clipped"):
        bad = np.minimum(bad, np.quantile(bad, rng.uniform(0.3, 0.8)))
    if fault == "clipped and flat-fielded":
        bad *= 1 + rng.normal(0, 0.0002, bad.shape)
    if fault == "faint":
        bad = flat(rng, rng.uniform(50, 400))
    if fault == "negative":
        bad = -bad
    if fault == "empty":
        bad = rng.normal(-0.1, 5, bad.shape)
    expected = {"clipped": "share the highest level", "faint": "its signal to noise is"}
    images = {"bad.fits": bad, "a.fits": flat(rng, 40_000), "b.fits": flat(rng, 15_000)}
    _, left_out = made(make_flat_mask, images, tmp_path)
    assert set(left_out) == {"bad.fits"}
    assert expected.get(fault.partition(" ")[0], "the median of its pixels is") in left_out["bad.fits"]
    assert left_out["bad.fits"].endswith("take it out of the folder")


@pytest.mark.parametrize("seed", range(3))
def test_a_flat_with_stars_is_left_out_where_others_have_none(seed, tmp_path):
    rng = np.random.default_rng(seed)
    starry = flat(rng, 20_000)
    for _ in range(12):
        add_star(starry, *rng.uniform(10, SIDE - 10, 2), 8000, 5)
    images = {
        "a.fits": flat(rng, 40_000),
        "starry.fits": starry,
        "b.fits": flat(rng, 15_000),
        "c.fits": flat(rng, 25_000),
    }
    _, left_out = made(make_flat_mask, images, tmp_path)
    assert set(left_out) == {"starry.fits"} and "it shows stars" in left_out["starry.fits"]


@pytest.mark.parametrize("seed", range(5))
def test_sound_flats_are_all_used(seed, tmp_path, capfd):
    rng = np.random.default_rng(seed)
    images = {f"{n}.fits": flat(rng, level) for n, level in enumerate(rng.uniform(8000, 45_000, 4))}
    mask, left_out = made(make_flat_mask, images, tmp_path)
    assert left_out == {}
    assert mask.sum() <= 5
    assert "shows stars" not in capfd.readouterr().out


def test_a_cosmic_ray_in_one_flat_of_three_is_outvoted(tmp_path):
    rng = np.random.default_rng(1)
    bad = np.zeros((SIDE, SIDE))
    bad[50, 60], bad[100, 200], bad[200, 30] = 4000, 9000, 6000
    images = {}
    for level in (45_000, 28_000, 15_000):
        images[f"{level}.fits"] = flat(rng, level, bad)
        add_rays(images[f"{level}.fits"], rng, 15)
    mask, _ = made(make_flat_mask, images, tmp_path)
    assert mask[bad > 0].all()
    assert mask.sum() <= 3 + 8
    pair, _ = made(make_flat_mask, {name: images[name] for name in ("45000.fits", "15000.fits")}, tmp_path)
    assert pair.sum() > 3 + 30


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fault", ["glow", "gradient", "stars", "warm", "bias"])
def test_an_odd_dark_among_its_like_is_left_out(fault, seed, tmp_path):
    rng = np.random.default_rng(seed)
    images = {f"{n}.fits": dark(rng) for n in range(4)}
    odd = dark(rng)
    if fault == "glow":
        odd += rng.poisson(60 * np.exp(-np.arange(SIDE) / 40) * np.ones((SIDE, 1)))
    if fault == "gradient":
        odd += rng.poisson(np.linspace(0, 80, SIDE) * np.ones((SIDE, 1)))
    if fault == "stars":
        for _ in range(20):
            add_star(odd, *rng.uniform(10, SIDE - 10, 2), 3000, 3)
    if fault == "warm":
        odd = dark(rng, current=0.8)
    if fault == "bias":
        odd += 1000
    _, left_out = made(make_dark_mask, images | {"odd.fits": odd}, tmp_path, EXPTIME=300.0)
    assert set(left_out) == {"odd.fits"}
    expected = "shows" if fault == "stars" else "differs from the other 4 darks of 300 s by"
    assert left_out["odd.fits"].startswith(expected)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("bias", [300, 1000, 3000])
def test_darks_that_keep_their_bias_make_no_mask(bias, number, tmp_path):
    """Even where the threshold, of 1200 e- here, is above the bias."""
    rng = np.random.default_rng(bias)
    images = {f"{n}.fits": dark(rng, readnoise=3) + bias for n in range(number)}
    mask, left_out = made(make_dark_mask, images, tmp_path, required=False, EXPTIME=300.0)
    if number == 1 and bias < 3000:  # may be the average of many, of which the header says nothing
        return
    assert not mask.any()
    assert all("looks not bias-subtracted" in problem for problem in left_out.values())
    assert len(left_out) == number


@pytest.mark.parametrize("seconds", [60.0, 300.0, 1800.0])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_sound_darks_are_all_used(seconds, number, tmp_path):
    rng = np.random.default_rng(int(seconds) + number)
    images = {f"{n}.fits": dark(rng, seconds) for n in range(number)}
    mask, left_out = made(make_dark_mask, images, tmp_path, EXPTIME=seconds)
    assert left_out == {}
    assert math.isclose(mask.mean(), 0.002, rel_tol=0.5)


def test_of_many_flats_those_that_are_taken_are_looked_at_for_stars(tmp_path, capfd):
    rng = np.random.default_rng(7)
    images = {f"{level}.fits": flat(rng, level) for level in range(16_000, 40_000, 2000)}
    for _ in range(12):
        add_star(images["16000.fits"], *rng.uniform(10, SIDE - 10, 2), 8000, 5)
    _, left_out = made(make_flat_mask, images, tmp_path)
    assert set(left_out) == {"16000.fits"} and "it shows stars" in left_out["16000.fits"]
    assert "of 12 flats 10 are taken" in capfd.readouterr().out


def test_a_mask_that_masks_too_much_is_not_made_without_a_setting_either(tmp_path):
    warm = {f"{n}.fits": dark(np.random.default_rng(n), current=20, readnoise=3) for n in range(2)}
    mask, left_out = made(make_dark_mask, warm, tmp_path, False, EXPTIME=300)
    assert not mask.any() and len(left_out) == 2
    assert "would mask 100%" in left_out["0.fits"]


def test_unevenness_is_the_range_of_levels_beyond_their_noise():
    cells = np.linspace(0, 20, 1024).reshape(32, 32)
    assert unevenness(Looked(10.0, 2.0, cells, 0, 0.1)) == pytest.approx(9.6 - 0.41, abs=0.01)
    assert unevenness(Looked(10.0, 2.0, np.full((32, 32), 10.0), 0, 0.1)) == 0


@pytest.mark.parametrize("glow", [0, 200])
def test_a_dark_whose_level_is_uneven_is_warned_of(glow, tmp_path, capfd):
    image = dark(np.random.default_rng(3)) + glow * np.linspace(0, 1, SIDE)
    made(make_dark_mask, {"a.fits": image}, tmp_path, EXPTIME=300.0)
    assert ("WARNING: a.fits: its level differs by" in capfd.readouterr().out) == bool(glow)
