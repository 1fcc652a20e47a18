"""What is measured of an image, and reported of its mask: faults by their own names, of sound ones nothing."""

import contextlib
import json
import math
import re

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from bench_quality import causes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nights import FAULTS, Camera, add_star, narrow_stars, sampled, sky_subtracted, sound

from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.fits import Header
from lightmask.masks import combine_files, mask_frame
from lightmask.night import QUALITY_COLUMNS, readout, validated, write_quality
from lightmask.quality import NAMES, Sample, measured_ceiling, measured_noise, spectrum_card
from lightmask.quality.places import _flags_beside
from lightmask.quality.stars import measured_stars


@pytest.mark.parametrize("seed", [101, 102])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_reported_by_its_own_name_and_no_other(fault, seed, tmp_path):
    assert causes(fault(np.random.default_rng([seed, 7])), tmp_path) == [FAULTS[fault]]


@pytest.mark.parametrize("fwhm", [1.5, 1.8, 2.2, 2.8, 3.5, 4.5, 6.0])
def test_nothing_is_said_of_a_sound_image(fwhm, tmp_path):
    assert causes(sound(np.random.default_rng([int(100 * fwhm), 8]), fwhm), tmp_path) == []


def stars_of(image, flagged=()):
    flags = np.zeros(image.shape, np.int16)
    for y, x in flagged:
        flags[y, x] = Flag.COSMIC
    window = (slice(0, image.shape[0]), slice(0, image.shape[1]))
    how = readout(validated({}), {}, {}, image.shape)
    noise = measured_noise(image, how)
    return measured_stars(Sample(image, window), flags, noise.sky, noise.sigma)


@settings(max_examples=30, deadline=None)
@given(st.floats(1.2, 6), st.integers(0, 2**32))
def test_the_width_of_stars_is_measured_whatever_their_sampling(fwhm, seed):
    rng = np.random.default_rng(seed)
    light = np.full((400, 400), 300.0)
    for y in range(25, 400, 50):
        for x in range(25, 400, 50):
            add_star(light, y + rng.uniform(-0.5, 0.5), x + rng.uniform(-0.5, 0.5), rng.uniform(3000, 50_000), fwhm)
    found = stars_of(rng.poisson(light).astype(np.float32))
    # A pixel is a box of a width of one, which adds to that of a star.
    assert found.fwhm == pytest.approx(math.hypot(fwhm, 2.3548 / math.sqrt(12)), rel=0.06)
    assert found.number > 50
    assert found.flagged == 0


def test_cores_of_stars_count_where_they_are_flagged():
    rng = np.random.default_rng(3)
    light = np.full((400, 400), 300.0)
    places = [(y, x) for y in range(25, 400, 50) for x in range(25, 400, 50)]
    for y, x in places:
        add_star(light, y, x, 20_000, 2.5)
    found = stars_of(rng.poisson(light).astype(np.float32), places[:16])
    assert (found.number, found.flagged, found.share) == (64, 16, 0.25)


def test_hits_of_single_pixels_are_no_stars():
    rng = np.random.default_rng(4)
    image = rng.poisson(300, (400, 400)).astype(np.float32)
    hits = rng.integers(20, 380, (80, 2))
    for y, x in hits:
        image[y, x] += 5000
        image[y - 1 : y + 2, x - 1 : x + 2] += rng.uniform(200, 600, (3, 3)).astype(np.float32)
    assert stars_of(image, hits).number == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (13, 13), (64, 64)])
def test_an_image_of_any_shape_is_measured(shape, tmp_path):
    image = np.random.default_rng(5).normal(300, 20, shape).astype(np.float32)
    fits.writeto(tmp_path / "a.fits", image)
    mask_frame(tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "a.json", validated({}))
    found = json.loads((tmp_path / "a.json").read_text())
    assert {*QUALITY_COLUMNS, "causes"} <= found["images"][0].keys()


def masked(image, tmp_path, **config):
    fits.writeto(tmp_path / "a.fits", image, overwrite=True)
    paths = tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "a.json"
    mask_frame(*paths, validated(config))
    return json.loads((tmp_path / "a.json").read_text()), fits.getdata(tmp_path / "out.fits", "FLAGS")


@pytest.mark.parametrize("seed", range(4))
def test_a_mask_is_that_of_the_image_with_its_sky_where_sky_is_auto(seed, tmp_path):
    scene = sky_subtracted(np.random.default_rng(seed))
    scene.cosmic_rays["objlim"] = 5
    rng = np.random.default_rng(seed)
    camera = sampled(rng, sky=rng.uniform(800, 5000), readnoise=rng.uniform(3, 9))
    with_sky = scene.image + np.float32(camera.sky / camera.gain)
    _, expected = masked(with_sky, tmp_path, cosmic_rays=scene.cosmic_rays)
    found, flags = masked(scene.image, tmp_path, cosmic_rays=scene.cosmic_rays, sky="auto")
    hit, wanted = flags & Flag.COSMIC != 0, expected & Flag.COSMIC != 0
    assert (hit & wanted).sum() >= 0.95 * (hit | wanted).sum() > 50
    assert found["causes"] == []
    header = fits.getheader(tmp_path / "out.fits")
    assert header["LIGHTMASK SKY ADDED"] == pytest.approx(camera.sky / camera.gain, rel=0.1)


def test_the_sky_that_is_missing_is_measured(tmp_path):
    rng = np.random.default_rng(11)
    image = (rng.poisson(1500, (400, 400)) - 1500 + rng.normal(0, 40, (400, 400))) / 2
    found, _ = masked(image.astype("f4"), tmp_path, cosmic_rays={"gain": 2, "readnoise": 40})
    assert found["missing_sky"] == pytest.approx(750, rel=0.05)
    assert abs(found["sky"]) < 1


def test_sky_auto_leaves_an_image_with_its_sky_alone(tmp_path):
    scene = sound(np.random.default_rng(9), 3)
    _, flags = masked(scene.image, tmp_path, cosmic_rays=scene.cosmic_rays, sky="auto")
    assert "LIGHTMASK SKY ADDED" not in fits.getheader(tmp_path / "out.fits")
    _, expected = masked(scene.image, tmp_path, cosmic_rays=scene.cosmic_rays)
    np.testing.assert_array_equal(flags, expected)


def test_the_level_where_stars_are_cut_off_is_used_with_satlevel_auto(tmp_path):
    rng = np.random.default_rng(6)
    camera = Camera(rng, fwhm=3, gain=2.0, sky=300, readnoise=5)
    light = camera.light()
    for _ in range(8):
        add_star(light, *rng.uniform(30, 600, 2), 300_000, 3)
    image = np.minimum(camera.exposed(light), 40_000) / 2
    found, flags = masked(image.astype("f4"), tmp_path, cosmic_rays={"gain": 2, "readnoise": 5, "satlevel": "auto"})
    np.testing.assert_array_equal(flags & Flag.SATURATED != 0, image.astype("f4") == 20_000)
    assert "satlevel: auto takes 20000 adu" in found["remarks"][0]


def test_no_ceiling_is_found_in_one_wide_star():
    image = np.random.default_rng(7).poisson(np.full((300, 300), 300.0)).astype(np.float32)
    add_star(image, 150, 150, 40_000, 30)
    assert math.isnan(measured_ceiling(Sample(image, (slice(0, 300), slice(0, 300))), 300, 17))


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"ESO DPR TECH": "IMAGE"}, ""),
        ({"ESO DPR TECH": "SPECTRUM"}, "ESO DPR TECH = SPECTRUM"),
        ({"ESO DPR TECH": "ECHELLE,SLIT"}, "ESO DPR TECH = ECHELLE,SLIT"),
        ({"OBSTYPE": "object"}, ""),
        ({"OBSTYPE": "spectrum"}, "OBSTYPE = SPECTRUM"),
        ({"GRISM": "Free"}, ""),
        ({"GRISM": "Gr#4"}, "GRISM = GR#4"),
        ({"GRATING": "MIRROR"}, ""),
        ({"GRISNAME": "GRIS_hole"}, ""),
        ({"GRISM": " "}, ""),
        ({"GRATING": False}, ""),
        ({"DISPERSR": "none"}, ""),
        ({"GRATING": "R400+_G5305"}, "GRATING = R400+_G5305"),
    ],
)
def test_a_spectrum_is_known_by_its_header(cards, expected):
    header = Header()
    for keyword, value in cards.items():
        header.set(keyword, value)
    assert spectrum_card(header) == expected


@pytest.mark.parametrize("most", [0.2, 0.25])
def test_an_image_of_which_too_much_is_masked_is_refused(most, tmp_path):
    image = np.random.default_rng(8).normal(300, 20, (100, 100)).astype("f4")
    known = np.zeros((100, 100), np.uint8)
    known[:22] = 1
    fits.writeto(tmp_path / "a.fits", image)
    fits.writeto(tmp_path / "mask.fits", known)
    combine_files([("flat", str(tmp_path / "mask.fits"), "mask.fits")], {"flat": 0, "dark": 0}, tmp_path / "c.fits")
    paths = tmp_path / "a.fits", "a.fits", tmp_path / "c.fits", tmp_path / "out.fits", tmp_path / "a.json"
    if most == 0.25:
        mask_frame(*paths, validated({"most_masked": most}))
        return
    with pytest.raises(FrameError, match="22% of its pixels would be masked") as error:
        mask_frame(*paths, validated({"most_masked": most}))
    assert "(flat 22%), expected up to 20%; look at its flat mask" in str(error.value)
    assert "or raise most_masked" in str(error.value)
    assert not (tmp_path / "out.fits").exists()


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.9, "m.fits: masks 90% of the pixels, expected up to 20% (most_masked); is it inverted?"),
        (0.5, "m.fits: masks 50% of the pixels, expected up to 20% (most_masked); is it of this camera?"),
        (0.19, ""),
    ],
)
def test_a_mask_that_masks_too_much_is_refused_where_masks_are_combined(share, text, tmp_path):
    mask = np.zeros((100, 10), np.uint8)
    mask[: int(share * 100)] = 1
    fits.writeto(tmp_path / "m.fits", mask)
    masks = [("dark", str(tmp_path / "m.fits"), "m.fits")]
    with pytest.raises(FrameError, match=re.escape(text)) if text else contextlib.nullcontext():
        combine_files(masks, {"flat": 0, "dark": 0}, tmp_path / "c.fits", most=0.2)


def test_what_holds_no_data_does_not_count_as_masked(tmp_path):
    image = np.random.default_rng(8).normal(300, 20, (100, 100)).astype("f4")
    image[:60] = np.nan
    found, _ = masked(image, tmp_path)
    assert found["masked"] == found["notfinite"] == 6000


def test_quality_false_measures_nothing(tmp_path):
    image = np.random.default_rng(8).normal(300, 200, (100, 100)).astype("f4")
    found, _ = masked(image, tmp_path, quality=False, most_masked=1)
    assert not {*QUALITY_COLUMNS, "causes"} & found.keys()
    assert found["remarks"] == []


def test_every_number_stands_in_the_header(tmp_path):
    found, _ = masked(sound(np.random.default_rng(1), 3).image, tmp_path)
    header = fits.getheader(tmp_path / "out.fits")
    for name in QUALITY_COLUMNS:
        if found[name] is not None:
            assert header[f"LIGHTMASK {name.upper().replace('_', ' ')}"] == found[name]
    assert header["LIGHTMASK CAUSES"] == " ".join(cause["name"] for cause in found["causes"]) == "noise"


def test_the_table_has_units_limits_and_what_is_missing(tmp_path):
    row = {
        "path": " a b.fits",
        "image": "",
        "noise_ratio": 1.25,
        "stars": 12,
        "fwhm": "",
        "sky": 300.5,
        "causes": "noise sky",
    }
    limits = validated({})["limits"]
    write_quality([row], limits, tmp_path / "quality.csv", tmp_path / "quality.ecsv")
    table = Table.read(tmp_path / "quality.ecsv")
    assert (table["noise_ratio"][0], table["stars"][0], table["causes"][0]) == (1.25, 12, "noise sky")
    assert table["fwhm"].mask[0]
    assert (tmp_path / "quality.ecsv").read_text().splitlines()[-1].startswith((" a b.fits,", '" a b.fits",'))
    assert table["sky"].unit == "adu"
    assert table.meta["limits"] == limits
    assert [*table.colnames][:2] == ["path", "image"]
    assert (tmp_path / "quality.csv").read_text().startswith("path,image,noise_ratio,")


def test_every_cause_that_is_injected_has_a_meaning():
    assert set(FAULTS.values()) <= set(NAMES)


@pytest.mark.parametrize(("factor", "outcome"), [(1, ""), (5, "remark"), (60, "refused")])
@pytest.mark.parametrize("choice", ["fail", "remark", "off"])
def test_a_noise_far_from_the_model_is_refused_or_remarked(factor, outcome, choice, tmp_path):
    scene = sound(np.random.default_rng(3), 3)
    rays = scene.cosmic_rays | {"gain": scene.cosmic_rays["gain"] * factor**2}
    config = {"cosmic_rays": rays, "noise_check": choice, "most_masked": 1}
    if choice == "fail" and outcome == "refused":
        with pytest.raises(FrameError, match=r"a.fits: its noise is .* times .*, or set noise_check: remark"):
            masked(scene.image, tmp_path, **config)
        return
    found, _ = masked(scene.image, tmp_path, **config)
    expected = ["noise"] if outcome and choice != "off" else []
    assert [cause["name"] for cause in found["causes"] if cause["name"] == "noise"] == expected


def test_the_model_is_not_asked_where_an_extension_gives_the_noise(tmp_path):
    scene = sound(np.random.default_rng(3), 3)
    sigma = np.full(scene.image.shape, 30, np.float32)
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(scene.image, name="SCI"), fits.ImageHDU(sigma, name="ERR")]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    paths = tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "a.json"
    mask_frame(*paths, validated({"noise": "extension", "cosmic_rays": {"gain": 1000}}))
    found = json.loads((tmp_path / "a.json").read_text())["images"][0]["causes"]
    assert "noise" not in {cause["name"] for cause in found}


@pytest.mark.parametrize(
    ("factor", "text"), [(4, "set cosmic_rays: gain to "), (0.05, "subtract the bias if it is still")]
)
def test_the_remedy_for_a_noise_names_the_gain_that_fits(factor, text, tmp_path):
    scene = sound(np.random.default_rng(3), 3)
    gain = scene.cosmic_rays["gain"]
    found, _ = masked(scene.image, tmp_path, cosmic_rays=scene.cosmic_rays | {"gain": gain * factor}, most_masked=1)
    (cause,) = found["causes"]
    assert cause["name"] == "noise"
    assert cause["remedy"].startswith(text)
    named = float(re.search(r"gain to ([0-9.e+-]+)", cause["remedy"])[1])
    assert named == pytest.approx(gain, rel=0.15)


def test_rates_are_events_by_time_and_area(tmp_path):
    scene = sound(np.random.default_rng(3), 3)
    fits.writeto(tmp_path / "a.fits", scene.image, fits.Header({"EXPTIME": 37.0, "XPIXSZ": 13.0}))
    paths = tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "a.json"
    mask_frame(*paths, validated({"cosmic_rays": scene.cosmic_rays}))
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["event_rate"] == pytest.approx(found["events"] / (0.64**2 * 37), rel=1e-3)
    assert found["event_rate_area"] == pytest.approx(found["events"] / (640**2 * 13e-4**2 * 37), rel=1e-3)


@given(hnp.arrays(np.int16, (7, 9), elements=st.sampled_from([0, 0, 0, 1, 2, 4, 64])), st.integers(0, 3))
def test_flags_beside_pixels_are_those_within_reach(flags, reach):
    y, x = (place.ravel() for place in np.mgrid[:7, :9])
    found = _flags_beside(flags, y, x, reach).reshape(7, 9)
    padded = np.pad(flags, reach)
    side = 2 * reach + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side)).reshape(7, 9, -1)
    np.testing.assert_array_equal(found, np.bitwise_or.reduce(windows, axis=2))


@pytest.mark.parametrize("shape", [(1300, 1000), (300, 5000), (2048, 2048)])
def test_a_sample_of_a_large_image_is_spread_over_it(shape):
    image = np.arange(shape[0], dtype=np.float32)[:, None] + np.zeros(shape[1], np.float32)
    sample = Sample(image, (slice(0, shape[0]), slice(0, shape[1])))
    assert 0.5 * 2**20 < sum(values.size for _, values in sample.bands) <= 2**20 + 64 * shape[1]
    for rows, values in sample.bands:
        np.testing.assert_array_equal(values, image[rows])
    assert sample.bands[0][0].start < shape[0] / 3 or len(sample.bands) == 1
    np.testing.assert_allclose(np.diff(sample.cells[:, 0]), shape[0] / 32, atol=1.01)
    below, above, left, _ = sample.sides
    assert below.tolist() == list(range(64)) and above.tolist() == [shape[0] - 1 - n for n in range(64)]
    assert len(left) == 64


@pytest.mark.parametrize("setting", [{"noise_check": "off"}, {"noise": "extension"}])
def test_a_noise_that_is_not_asked_hides_no_other_cause(setting, tmp_path):
    scene = narrow_stars(np.random.default_rng(4))
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(scene.image, name="SCI")]
    model = np.sqrt(np.maximum(scene.image, 1) / scene.cosmic_rays["gain"] + 25)
    hdus.append(fits.ImageHDU(model.astype(np.float32), name="ERR"))
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    paths = tmp_path / "a.fits", "a.fits", None, tmp_path / "out.fits", tmp_path / "a.json"
    rays = scene.cosmic_rays | {"readnoise": 1000}
    if "noise_check" in setting:
        rays |= {"readnoise": scene.cosmic_rays["readnoise"] / 10, "gain": scene.cosmic_rays["gain"] * 4}
    mask_frame(*paths, validated({"cosmic_rays": rays, "most_masked": 1, **setting}))
    found = json.loads((tmp_path / "a.json").read_text())["images"][0]
    assert not 0.6 <= found["noise_ratio"] <= 1.7
    assert [cause["name"] for cause in found["causes"]] == ["stars"]


def test_an_exposure_without_cosmic_rays_is_reported(tmp_path):
    camera = Camera(np.random.default_rng(2), fwhm=3)
    scene = camera.scene(camera.exposed(camera.light(), rays=0), cards={"EXPTIME": 20_000.0, "XPIXSZ": 30.0})
    assert causes(scene, tmp_path) == ["few"]


def test_stars_that_are_too_narrow_are_reported_although_hardly_any_is_flagged(tmp_path):
    scene = sound(np.random.default_rng(2), 1.1)
    scene.cosmic_rays["objlim"] = 2000
    assert causes(scene, tmp_path) == ["sampling"]
