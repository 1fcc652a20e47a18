"""What an assessment says of a frame agrees with what is true of it."""

import json

import numpy as np
import pytest
import skies
from astropy.io import fits

from lightmask.masks import EDGES, Counts, assess_frame, combine_files
from lightmask.night import validated, with_preset
from lightmask.show import accuracy_text, best_of, draw_accuracy, write_accuracy

BASE = validated({})
SETTINGS = {name: with_preset(BASE, name) for name in ("chapter", "best")}


def frame(folder, seed=1, level=300.0, columns=0):
    """Write a simulated frame: stars, a few rays, and columns that jump up and down."""
    rng = np.random.default_rng(seed)
    image = skies.add_stars(skies.sky((400, 400), rng, level), rng, 20)
    skies.add_tracks(image, rng, 10, charge=(500, 5000))
    for column in rng.integers(5, 395, columns):
        image[::2, column] += 3000
    header = fits.Header({"IMAGETYP": "LIGHT", "EGAIN": 2.0, "RDNOISE": 6.5})
    fits.writeto(folder / "x.fits", (image / 2).astype(np.float32), header, overwrite=True)


def test_the_same_frame_gives_the_same_figures_and_another_one_others(tmp_path):
    frame(tmp_path)
    one, other = (assess_frame(tmp_path / "x.fits", "x.fits", None, SETTINGS) for _ in range(2))
    another = assess_frame(tmp_path / "x.fits", "y.fits", None, SETTINGS)
    for key in SETTINGS:
        for ours, theirs in zip(one[key], other[key], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert one["best"].hit.sum() != another["best"].hit.sum()


def test_best_finds_more_than_the_chapter_and_is_named(tmp_path):
    frame(tmp_path)
    found = assess_frame(tmp_path / "x.fits", "x.fits", None, SETTINGS)
    chapter, best = found["chapter"], found["best"]
    assert chapter.events == best.events >= 20 and (chapter.hit == best.hit).all()
    assert best.recall > 0.9 > chapter.recall > 0.4
    assert (np.diff(best.found / best.hit.clip(1)) > -0.2).all()
    assert best.wrong < 0.15 and best.stars_touched == 0 < best.stars
    assert best_of(found) == "best"
    text = accuracy_text(found, ["x.fits"])
    assert text.endswith("Best of these: preset: best. For config.yaml:\n\ncosmic_rays:\n  preset: best\n")


def test_what_is_flagged_in_columns_is_estimated_to_be_wrong(tmp_path):
    frame(tmp_path, columns=6)
    found = assess_frame(tmp_path / "x.fits", "x.fits", None, SETTINGS)
    frame(tmp_path)
    clean = assess_frame(tmp_path / "x.fits", "x.fits", None, SETTINGS)
    assert found["best"].wrong > 0.5 > clean["best"].wrong + 0.3


def test_known_bad_pixels_are_not_judged(tmp_path):
    frame(tmp_path)
    bad = np.zeros((400, 400), np.uint8)
    bad[:200] = 1
    fits.writeto(tmp_path / "mask.fits", bad)
    combine_files([("flat", str(tmp_path / "mask.fits"), "m.fits")], {"dark": 0, "flat": 0}, tmp_path / "c.fits")
    whole = assess_frame(tmp_path / "x.fits", "x.fits", None, SETTINGS)["best"]
    half = assess_frame(tmp_path / "x.fits", "x.fits", tmp_path / "c.fits", SETTINGS)["best"]
    assert 0.3 * whole.hit.sum() < half.hit.sum() < 0.7 * whole.hit.sum()


def test_several_images_are_added_up(tmp_path):
    frame(tmp_path)
    data = fits.getdata(tmp_path / "x.fits")
    header = fits.Header({"IMAGETYP": "LIGHT", "EGAIN": 2.0, "RDNOISE": 6.5})
    images = [fits.ImageHDU(data, name="SCI", ver=number) for number in (1, 2)]
    fits.HDUList([fits.PrimaryHDU(header=header), *images]).writeto(tmp_path / "two.fits")
    one = assess_frame(tmp_path / "x.fits", "x.fits", None, SETTINGS)["best"]
    two = assess_frame(tmp_path / "two.fits", "two.fits", None, SETTINGS)["best"]
    assert 1.5 * one.events < two.events < 2.5 * one.events


def test_what_is_guessed_is_reported_with_the_setting_that_guesses(tmp_path):
    frame(tmp_path)
    with fits.open(tmp_path / "x.fits", mode="update") as hdus:
        del hdus[0].header["EGAIN"]
    lines = []
    assess_frame(tmp_path / "x.fits", "x.fits", None, SETTINGS, remark=lines.append)
    assert [line for line in lines if line.startswith("x.fits: gain: auto finds no gain") and line.endswith("(best)")]
    assert [line for line in lines if line.startswith("x.fits: no pixel size in the header; ")]
    assert len(lines) == len(set(lines)) and not any(line.endswith("(chapter)") for line in lines)
    text = accuracy_text(dict.fromkeys(SETTINGS, counts([1] * 6, [2] * 6)), ["x.fits"], lines)
    assert text.splitlines()[-len(lines) :] == lines


def test_pixels_without_data_get_no_charge_and_are_not_judged(tmp_path):
    frame(tmp_path)
    whole = assess_frame(tmp_path / "x.fits", "x.fits", None, SETTINGS, remark=lambda line: None)["best"]
    with fits.open(tmp_path / "x.fits", mode="update") as hdus:
        hdus[0].data[:, :100] = 0  # a border without data, which would be data if charge were added
        hdus[0].data[100:200:3, 150:200:3] = np.nan
    part = assess_frame(tmp_path / "x.fits", "x.fits", None, SETTINGS, remark=lambda line: None)["best"]
    assert 0.5 * whole.hit.sum() < part.hit.sum() < 0.9 * whole.hit.sum()
    assert abs(part.recall - whole.recall) < 3 * np.hypot(part.errors[0], whole.errors[0])
    assert part.wrong - whole.wrong < 3 * np.hypot(part.errors[1], whole.errors[1])


def counts(found, hit, suspicious=0.0, flagged=100.0):
    return Counts(
        np.array(found, float), np.array(hit, float), 50, 40, 0, flagged, 900, suspicious, 0, 50, 10, 0
    )._replace(hit=np.array(hit, float), found=np.array(found, float))


def test_table_numbers_and_picture(tmp_path):
    assessed = {
        "chapter": counts([1, 2, 5, 8, 9, 0], [10, 10, 10, 10, 10, 0]),
        "best": counts([9, 9, 9, 9, 9, 0], [10, 10, 10, 10, 10, 0], suspicious=90),
        "yours": counts([8, 8, 8, 9, 9, 0], [10, 10, 10, 10, 10, 0]),
    }
    text = accuracy_text(assessed, ["a.fits", "b.fits"])
    assert "Your setting is the best of these." in text and "none there" in text
    assert "preset: chapter     preset: best        your setting" in text
    assert "Measured with tracks in a.fits, b.fits." in text
    write_accuracy(assessed, ["a.fits"], ["a.fits: odd (best)"], tmp_path / "a.txt", tmp_path / "a.json")
    numbers = json.loads((tmp_path / "a.json").read_text())
    assert numbers["best"]["recall"] == pytest.approx(0.9) and numbers["best"]["wrong"] == pytest.approx(0.9)
    assert numbers["edges"] == list(EDGES[:-1]) and (tmp_path / "a.txt").read_text().startswith(" ")
    draw_accuracy(assessed, ["a.fits"], tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_figures_agree_with_natural_rays(real_data, tmp_path):
    """On EFOSC2: what is found of natural rays, by their brightness, and what of all that is flagged is wrong."""
    import frames
    from bench_truth import natural

    real_data("truth")
    known = str(real_data("truth") / "efosc2_known_bad.fits")
    combine_files([("flat", known, "known.fits")], {"dark": 0, "flat": 0}, tmp_path / "c.fits")
    right = {"gain": 1.1, "readnoise": 7.8, "satlevel": 66_000.0}
    settings = {"chapter": SETTINGS["chapter"], "trace": validated({"cosmic_rays": {"detector": "trace", **right}})}
    from lightmask.detect import detect_cosmics, trace_cosmics

    total, bright = None, np.zeros(len(EDGES) - 1)
    hits, flagged, wrong = (dict.fromkeys(settings, 0.0) for _ in range(3))
    for each in frames.frames("efosc2")[:3]:
        path = real_data("efosc2-reduced") / each.name
        found = assess_frame(path, each.name, tmp_path / "c.fits", settings)
        total = found if total is None else {key: total[key] + found[key] for key in settings}
        case = natural(each)
        contrast = (each.image - frames.median(each.image)) * 1.1 / frames.pixel_noise(each.image, 1.1, 7.8)
        bright += np.histogram(contrast[case.hit], EDGES)[0]
        masks = {
            "chapter": detect_cosmics(each.image, each.bad, readnoise=10, sigclip=8).crmask,
            "trace": trace_cosmics(each.image, each.bad, **right).crmask,
        }
        for key, mask in masks.items():
            hits[key] += (mask & case.hit).sum()
            flagged[key] += (mask & (case.hit | case.free)).sum()
            wrong[key] += (mask & case.free).sum()
    for key in settings:
        of_natural, error = hits[key] / bright.sum(), (0.25 / 90) ** 0.5
        shares = total[key].found / total[key].hit.clip(1)
        predicted = (shares * bright).sum() / bright.sum()
        assert abs(predicted - of_natural) < 2 * np.hypot(error, total[key].errors[0]), key
        assert abs(total[key].wrong - wrong[key] / flagged[key]) < 2.5 * total[key].errors[1], key
