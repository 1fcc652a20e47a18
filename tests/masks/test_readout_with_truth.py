"""Cosmic rays of several amplifiers and colours against truth: as good as in one plain image of the same sky."""

import numpy as np
import pytest
import skies
from astropy.io import fits

from lightmask.bits import Flag
from lightmask.masks import mask_frame
from lightmask.night import readout
from lightmask.night.configuration import validated
from lightmask.quality import measured_gain, measured_noise

SIDE = 400
READNOISE = 6.5
WITHIN_NOISE = 0.05
"""Of some 200 pixels of cosmic rays, as a frame of one amplifier has here."""


def sky_with_truth(seed=1, shape=(SIDE, SIDE), level=200.0, readnoise=READNOISE):
    """Return an image in electrons, and where cosmic rays have hit it."""
    rng = np.random.default_rng(seed)
    image = skies.add_stars(skies.sky(shape, rng, level, readnoise), rng, 25, flux=(300, 50_000))
    with_rays = skies.add_tracks(image.copy(), rng, 60, charge=(400, 3000))
    return with_rays, with_rays != image


def masked(tmp_path, hdus, **config):
    """Mask a frame; return its HDUs."""
    fits.HDUList(hdus).writeto(tmp_path / "a.fits", overwrite=True)
    config = validated({"cosmic_rays": {"gain": "GAIN", "readnoise": "RDNOISE", "satlevel": "SATURATE"}} | config)
    mask_frame(tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "out.json", config)
    return fits.open(tmp_path / "out.fits")


def plain(tmp_path, image, readnoise=READNOISE):
    """Return where COSMIC is in one plain image in electrons."""
    header = fits.Header({"GAIN": 1.0, "RDNOISE": readnoise, "SATURATE": 1e5})
    with masked(tmp_path, [fits.PrimaryHDU(image, header)]) as hdus:
        return (hdus["FLAGS"].data & Flag.COSMIC) != 0


def recall_and_precision(found, truth):
    return np.count_nonzero(found & truth) / truth.sum(), np.count_nonzero(found & truth) / found.sum()


def test_four_amplifiers_are_as_good_as_one_image(tmp_path):
    image, truth = sky_with_truth()
    reference = plain(tmp_path, image)
    half = SIDE // 2
    places = [np.s_[:half, :half], np.s_[:half, half:], np.s_[half:, :half], np.s_[half:, half:]]
    gains = [6.42, 1.23, 0.7, 3.3]
    cards = {"GAIN": 0.0, "RDNOISE": READNOISE, "SATURATE": 65_000.0, "NEXTEND": 4}
    primary = fits.PrimaryHDU(header=fits.Header(cards))
    parts = [
        fits.ImageHDU((image[place] / gain).astype("f4"), fits.Header({"GAIN": gain}), name="SCI", ver=number)
        for number, (place, gain) in enumerate(zip(places, gains, strict=True), 1)
    ]
    with masked(tmp_path, [primary, *parts]) as hdus:
        assert hdus[0].header["NEXTEND"] == len(hdus) - 1 == 12
        for number, (place, gain) in enumerate(zip(places, gains, strict=True), 1):
            assert hdus["FLAGS", number].header["LIGHTMASK GAIN"] == gain
            found = (hdus["FLAGS", number].data & Flag.COSMIC) != 0
            expected = recall_and_precision(reference[place], truth[place])
            assert recall_and_precision(found, truth[place]) == pytest.approx(expected, abs=WITHIN_NOISE)
            assert np.count_nonzero(found != reference[place]) <= WITHIN_NOISE * truth[place].sum()


def two_amplifiers(gains, noises, levels=(65_000.0, 65_000.0)):
    """Return an image in adu of two amplifiers side by side, its truth, its header, and each half in electrons."""
    skies_ = [sky_with_truth(seed, (SIDE, SIDE // 2), readnoise=noise) for seed, noise in enumerate(noises)]
    images, truths = zip(*skies_, strict=True)
    joined, truth = np.hstack(images), np.hstack(truths)
    row = 200
    joined[row, SIDE // 2 - 6 : SIDE // 2 + 6] += 1500  # a track across the border
    truth[row, SIDE // 2 - 6 : SIDE // 2 + 6] = True
    halves = joined[:, : SIDE // 2], joined[:, SIDE // 2 :]
    header = fits.Header()
    for letter, gain, noise, level, section in zip(
        "AB", gains, noises, levels, (f"[1:{SIDE // 2},1:{SIDE}]", f"[{SIDE // 2 + 1}:{SIDE},1:{SIDE}]"), strict=True
    ):
        header[f"GAIN{letter}"], header[f"RDNOISE{letter}"], header[f"DATASEC{letter}"] = gain, noise, section
        header[f"SATURAT{letter}"] = level
    adu = np.hstack([half / gain for half, gain in zip(halves, gains, strict=True)]).astype("f4")
    return adu, truth, header, halves


def test_two_amplifiers_in_one_image_are_as_good_as_two_images(tmp_path):
    noises = (4.0, 15.0)
    adu, truth, header, halves = two_amplifiers((0.8, 4.0), noises)
    with masked(tmp_path, [fits.PrimaryHDU(adu, header)]) as hdus:
        found = (hdus["FLAGS"].data & Flag.COSMIC) != 0
        cards = hdus[0].header
        assert (cards["LIGHTMASK GAIN A"], cards["LIGHTMASK GAIN B"]) == (0.8, 4.0)
        assert (cards["LIGHTMASK READNOISE A"], cards["LIGHTMASK READNOISE B"]) == noises
    assert found[200, SIDE // 2 - 6 : SIDE // 2 + 6].all(), "a ray across the border is found whole"
    for half, (ours, true) in enumerate(zip(np.hsplit(found, 2), np.hsplit(truth, 2), strict=True)):
        theirs = plain(tmp_path, np.ascontiguousarray(halves[half]), noises[half])
        assert recall_and_precision(ours, true) == pytest.approx(recall_and_precision(theirs, true), abs=WITHIN_NOISE)
        inner = np.s_[:, 8:-8]
        assert np.count_nonzero(ours[inner] != theirs[inner]) <= WITHIN_NOISE * true.sum()


@pytest.mark.parametrize("detector", ["lightmask", "ccdproc"])
def test_both_detectors_agree_on_amplifiers(tmp_path, detector):
    adu, _, header, _ = two_amplifiers((0.8, 4.0), (4.0, 15.0))
    found = {}
    for name in ("lightmask", detector):
        settings = {"gain": "GAIN", "readnoise": "RDNOISE", "satlevel": "SATURATE", "detector": name}
        with masked(tmp_path, [fits.PrimaryHDU(adu, header)], cosmic_rays=settings) as hdus:
            found[name] = hdus["FLAGS"].data.copy()
    np.testing.assert_array_equal(found["lightmask"], found[detector])


def test_each_amplifier_saturates_at_its_own_level(tmp_path):
    adu, _, header, halves = two_amplifiers((0.8, 4.0), (4.0, 15.0), (900.0, 300.0))
    with masked(tmp_path, [fits.PrimaryHDU(adu, header)]) as hdus:
        saturated = (hdus["FLAGS"].data & Flag.SATURATED) != 0
    expected = np.hstack([adu[:, : SIDE // 2] >= 900, adu[:, SIDE // 2 :] >= 300])
    assert expected.any()
    assert np.count_nonzero(saturated != expected) <= 2  # rounding of float32
    assert len(halves) == 2


@pytest.mark.parametrize("pattern", ["RGGB", "GRBG"])
def test_each_colour_is_searched_by_itself(tmp_path, pattern):
    """Each plane has exactly the cosmic rays that it has as an image of its own."""
    image, truth = sky_with_truth(2)
    response = np.ones_like(image)
    for (row, column), factor in zip(((0, 0), (0, 1), (1, 0), (1, 1)), (0.4, 1.0, 1.0, 0.6), strict=True):
        response[row::2, column::2] = factor
    rng = np.random.default_rng(5)
    smooth = rng.poisson(200 * response).astype("f4") + rng.normal(0, READNOISE, image.shape).astype("f4")
    rays = np.where(truth, image, 0)
    mosaic = smooth + rays
    header = fits.Header({"GAIN": 1.0, "RDNOISE": READNOISE, "SATURATE": 1e5, "BAYERPAT": pattern})
    with masked(tmp_path, [fits.PrimaryHDU(mosaic, header)]) as hdus:
        found = (hdus["FLAGS"].data & Flag.COSMIC) != 0
        total = hdus[0].header["LIGHTMASK ITERATION 1"]
    assert total > 0
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        plane = np.s_[row::2, column::2]
        np.testing.assert_array_equal(found[plane], plain(tmp_path, np.ascontiguousarray(mosaic[plane])))
        recall, precision = recall_and_precision(found[plane], truth[plane])
        assert recall > 0.75
        assert precision > 0.9
    with masked(tmp_path, [fits.PrimaryHDU(mosaic, header)], bayer="ignore") as hdus:
        assert np.count_nonzero((hdus["FLAGS"].data & Flag.COSMIC) != 0) != found.sum()


def test_only_the_window_is_searched_and_counted(tmp_path):
    image, truth = sky_with_truth(3)
    overscan = np.random.default_rng(1).normal(0, READNOISE, (SIDE, 32)).astype("f4")
    overscan[::50, 5] += 5000
    header = fits.Header({"GAIN": 1.0, "RDNOISE": READNOISE, "SATURATE": 1e5, "DATASEC": f"[1:{SIDE},1:{SIDE}]"})
    with masked(tmp_path, [fits.PrimaryHDU(np.hstack([image, overscan]), header)]) as hdus:
        flags, mask, cards = hdus["FLAGS"].data.copy(), hdus["MASK"].data.copy(), hdus[0].header
    np.testing.assert_array_equal((flags[:, :SIDE] & Flag.COSMIC) != 0, plain(tmp_path, image))
    assert (flags[:, SIDE:] == Flag.EDGE).all() and mask[:, SIDE:].all()
    assert cards["LIGHTMASK EDGE PIXELS"] == 32 * SIDE
    assert cards["LIGHTMASK MASKED PIXELS"] == np.count_nonzero(mask[:, :SIDE])
    with masked(tmp_path, [fits.PrimaryHDU(np.hstack([image, overscan]), header)], sections="ignore") as hdus:
        assert not (hdus["FLAGS"].data & Flag.EDGE).any()
    assert truth.any()


def test_a_bad_column_is_no_cosmic_ray(tmp_path):
    image, _ = sky_with_truth(4)
    reference = plain(tmp_path, image)
    bad = image.copy()
    bad[:, 100] += 900
    bad[7] += 1500
    found = plain(tmp_path, bad)
    assert np.count_nonzero(found[:, 100]) + np.count_nonzero(found[7]) <= 8
    assert np.count_nonzero(found & reference) > 0.8 * reference.sum()
    with fits.open(tmp_path / "out.fits") as hdus:
        suspect = (hdus["FLAGS"].data & Flag.SUSPECT) != 0
        assert np.count_nonzero(suspect[:, 100]) > 0.8 * SIDE
        assert hdus["MASK"].data[suspect].all()


@pytest.mark.parametrize("gain", [0.3, 1.0, 2.5])
@pytest.mark.parametrize(("level", "readnoise"), [(30.0, 20.0), (500.0, 5.0), (0.0, 12.0)])
def test_a_gain_is_measured_from_the_noise(gain, level, readnoise):
    """With sky, with read noise, and with either alone; stars and rays do not count."""
    image, _ = sky_with_truth(1, level=level, readnoise=readnoise)
    adu = (image / gain).astype("f4")
    window = slice(0, SIDE), slice(0, SIDE)
    assert measured_gain(adu, readnoise, window) == pytest.approx(gain, rel=0.12)
    how = readout(validated({"cosmic_rays": {"gain": gain, "readnoise": readnoise}}), {}, {}, adu.shape)
    assert measured_noise(adu, how).ratio == pytest.approx(1, abs=0.06)
    wrong = readout(validated({"cosmic_rays": {"gain": 20 * gain, "readnoise": readnoise}}), {}, {}, adu.shape)
    assert measured_noise(adu, wrong).ratio > 4


def test_an_image_without_noise_has_no_gain_to_measure():
    flat = np.full((50, 50), 100.0)
    assert measured_gain(flat, 10, (slice(0, 50), slice(0, 50))) == 1
    assert measured_noise(flat, readout(validated({}), {}, {}, flat.shape)).ratio == 1
