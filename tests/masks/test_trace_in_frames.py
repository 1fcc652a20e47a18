"""Frames are masked with `detector: trace` and with the presets as with any other detector."""

import json

import numpy as np
import pytest
import skies
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.bits import Flag
from lightmask.detect import trace_cosmics
from lightmask.fits import Header, Image
from lightmask.masks import frame, search
from lightmask.night import readout, validated

BEST = {"cosmic_rays": {"preset": "best"}, "required_masks": []}
SHAPE = (300, 200)
CAMERA = {"EGAIN": 2.0, "RDNOISE": 7.0, "SATURATE": 40_000}


def sky(level=300.0, gain=2.0, readnoise=7.0, seed=3):
    """Return a simulated image [adu] with stars and tracks."""
    rng = np.random.default_rng(seed)
    electrons = skies.add_stars(rng.poisson(level, SHAPE) + rng.normal(0, readnoise, SHAPE), rng, 20)
    skies.add_tracks(electrons, rng, 15, charge=(500, 5000))
    return (electrons / gain).astype(np.float32)


def masked(folder, image, config=None, **cards):
    """Mask a frame; return header, flags and statistics of the result."""
    fits.writeto(folder / "x.fits", image, fits.Header(cards), overwrite=True)
    config = validated(BEST if config is None else config)
    frame.mask_frame(folder / "x.fits", "x.fits", None, folder / "masked.fits", folder / "x.json", config)
    with fits.open(folder / "masked.fits") as hdus:
        return hdus[0].header, hdus["FLAGS"].data.copy(), json.loads((folder / "x.json").read_text())


def test_the_preset_best_is_trace_with_the_numbers_of_the_header(tmp_path, capsys):
    image = sky()
    header, flags, found = masked(tmp_path, image, **CAMERA)
    expected = trace_cosmics(image, gain=2.0, readnoise=7.0, satlevel=80_000.0).crmask
    np.testing.assert_array_equal(flags == Flag.COSMIC, expected)
    assert found["cosmic"] == expected.sum() > 50 and found["iterations"] == [expected.sum()]
    shown = {key: header[f"LIGHTMASK {key}"] for key in ("PRESET", "DETECTOR", "GAIN", "READNOISE", "SATLEVEL")}
    assert shown == {"PRESET": "best", "DETECTOR": "trace", "GAIN": 2, "READNOISE": 7, "SATLEVEL": 80_000}
    assert not [card for card in header if card in ("LIGHTMASK SIGCLIP", "LIGHTMASK NITER", "LIGHTMASK OBJLIM")]
    assert f"{expected.sum()} cosmic pixels in " in capsys.readouterr().out


def how(config=BEST, shape=SHAPE, **cards):
    return readout(validated(config), {**CAMERA, **cards}, {}, shape)


def flags_of(image, static=None, inherited=None, **cards):
    given_ = Image(image, None, False, Header())
    config = validated(BEST)
    return search.flag_pixels(given_, static, config["cosmic_rays"], how(**cards), inherited=inherited)[0]


def test_known_bad_pixels_are_withheld_at_once_and_nothing_is_suspect():
    image, rng = sky(), np.random.default_rng(5)
    static = np.where(rng.random(SHAPE) < 0.01, 2, 0).astype(np.uint8)
    image[static != 0] += 3000
    inherited = rng.random(SHAPE) < 0.01
    image[inherited] += 3000
    flags = flags_of(image, static, inherited)
    expected = trace_cosmics(image, (static != 0) | inherited, gain=2.0, readnoise=7.0, satlevel=80_000.0).crmask
    np.testing.assert_array_equal(flags & Flag.COSMIC != 0, expected)
    assert not (flags & Flag.SUSPECT).any() and expected.sum() > 50


def test_pixels_that_are_not_finite_do_no_harm():
    image = sky()
    holes = np.random.default_rng(6).random(SHAPE) < 0.01
    image[holes] = np.nan
    flags = flags_of(image)
    assert ((flags & Flag.NOTFINITE != 0) == holes).all() and not (flags[holes] & Flag.COSMIC).any()
    clean = sky()
    near = flags_of(clean) & Flag.COSMIC != 0
    assert ((flags & Flag.COSMIC != 0) == near)[~holes].mean() > 0.999


def test_colours_and_amplifiers_are_searched_each_by_itself():
    image = np.full((200, 240), 300.0)
    rng = np.random.default_rng(7)
    image[::2, ::2] = 900
    image = (rng.poisson(image) + rng.normal(0, 7, image.shape)).astype(np.float32) / 2
    for place in range(20, 180, 20):
        image[place, place : place + 3] += 1500
    flags = flags_of(image, shape=image.shape, BAYERPAT="RGGB")
    assert {(int(y), int(x)) for y, x in np.argwhere(flags & Flag.COSMIC)} >= {
        (place, place + step) for place in range(20, 180, 20) for step in range(3)
    }
    assert (flags & Flag.COSMIC != 0).sum() < 30


@settings(max_examples=10, deadline=None)
@given(readnoise=st.floats(3, 40), gain=st.floats(0.5, 5), level=st.floats(5, 800))
def test_a_read_noise_that_no_header_has_is_measured(readnoise, gain, level, tmp_path_factory):
    image = sky(level, gain, readnoise)
    if readnoise**2 < 0.3 * level:
        return  # the noise of the sky hides it
    *_, found = masked(tmp_path_factory.mktemp("frame"), image, EGAIN=gain, SATURATE=40_000)
    (line,) = [line for line in found["remarks"] if "readnoise: auto" in line]
    assert line.startswith(
        "x.fits: readnoise: auto finds none of RDNOISE, READNOIS, READNOISE, RON, ENOISE in the header"
    )
    measured = float(line.partition("; ")[2].partition(" e-")[0])
    assert measured == pytest.approx(readnoise, rel=0.15)
    assert line.endswith("fits the noise of the frame, and is used; set cosmic_rays: readnoise")
    assert not found["images"][0]["causes"] or found["images"][0]["causes"][0]["name"] != "noise"


def test_a_noise_that_no_read_noise_explains_is_not_taken(tmp_path):
    """A gain in the wrong unit: the noise would be that of no camera."""
    rng = np.random.default_rng(8)
    image = rng.normal(500, 400, SHAPE).astype(np.float32)
    *_, found = masked(tmp_path, image, {**BEST, "noise_check": "remark", "most_masked": 1}, EGAIN=2.0, SATURATE=40_000)
    assert any("10 e- is taken" in line for line in found["remarks"])
    assert found["images"][0]["causes"][0]["name"] in ("noise", "sky")


def test_a_remark_on_the_noise_of_the_chapter_says_what_best_would_use(tmp_path):
    config = {"noise_check": "remark", "required_masks": []}
    image = sky(gain=4.0, level=4000)
    *_, found = masked(tmp_path, image, config, EGAIN=4.0, RDNOISE=7.0)
    (cause,) = [cause for cause in found["images"][0]["causes"] if cause["name"] == "noise"]
    assert cause["remedy"].endswith("or preset to best, which uses a gain of 4 e-/adu and a read noise of 7 e-")
    *_, found = masked(tmp_path, image, BEST, EGAIN=4.0, RDNOISE=7.0)
    assert not found["images"][0]["causes"]
