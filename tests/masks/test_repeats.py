"""A frame is compared with others of its field: of several amplifiers, colours and images, and of odd headers."""

import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from dithered import night as simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from lightmask.bits import Flag
from lightmask.fits import Header, Roles
from lightmask.masks import frame as frames
from lightmask.masks import repeats as room
from lightmask.night import validated

SIDE = 320
BEST = {"cosmic_rays": {"preset": "best"}, "required_masks": []}


@pytest.fixture(scope="module")
def night():
    return simulated([21, 2], side=SIDE, number=5, stars=2e-3, hot=40)


def write(folder, night, change=lambda image, number: image, cards=lambda number: {}):
    """Write the frames of a night."""
    for number, each in enumerate(night.frames):
        camera = {"EGAIN": night.gain, "RDNOISE": night.readnoise, "SATURATE": night.satlevel / night.gain}
        header = fits.Header(camera | cards(number))
        image = change(each.image.copy(), number)
        fits.writeto(folder / f"{number}.fits", image, header, overwrite=True)
    return [(folder / f"{number}.fits", f"{number}.fits") for number in range(len(night.frames))]


def masked(folder, files, config=None):
    """Mask the first frame by itself if it is the only one; return header, flags and statistics."""
    config = validated(BEST | (config or {}))
    (path, name), others = files[0], files[1:]
    frames.mask_frame(path, name, None, folder / "m.fits", folder / "m.json", config, repeats=others)
    with fits.open(folder / "m.fits") as hdus:
        flags = [hdu.data.copy() for hdu in hdus if hdu.name == "FLAGS"]
        return hdus[0].header, flags[0], json.loads((folder / "m.json").read_text())


def cosmic(flags):
    return (flags & int(Flag.COSMIC)) != 0


def test_repeats_find_more_and_hot_pixels_are_suspect(night, tmp_path):
    files = write(tmp_path, night)
    _, alone, found = masked(tmp_path, files[:1])
    assert not [key for key in found if key.startswith("repeats")]
    header, flags, found = masked(tmp_path, files)
    hit, hot = night.frames[0].hit, np.zeros(alone.shape, bool)
    hot[tuple(night.hot.T)] = True
    assert (cosmic(flags) & hit).sum() >= (cosmic(alone) & hit).sum() > 50
    assert (cosmic(alone) & hot).sum() > 30 and (cosmic(flags) & hot).sum() < 3
    suspect = flags == Flag.SUSPECT
    assert (suspect & hot).sum() > 30 and found["suspect"] == suspect.sum()
    assert found["repeats"] == 4 == header["LIGHTMASK REPEATS"]
    changes = {key: found[f"repeats_{key}"] for key in ("added", "removed", "suspect")}
    assert changes["suspect"] == suspect.sum()
    assert changes == {key: header[f"LIGHTMASK REPEATS {key.upper()}"] for key in changes}
    assert cosmic(flags).sum() == cosmic(alone).sum() + changes["added"] - changes["removed"] - changes["suspect"]
    assert [header[f"LIGHTMASK REPEAT{number}"] for number in range(1, 5)] == [
        f"{number}.fits" for number in range(1, 5)
    ]
    (line,) = [line for line in found["remarks"] if "repeats" in line]
    assert line.startswith(f"0.fits: repeats: {suspect.sum()} pixels stand out at one place of the detector")


@pytest.mark.parametrize("preset", ["chapter", "best"])
def test_any_detector_is_joined(preset, night, tmp_path):
    files = write(tmp_path, night)
    config = {"cosmic_rays": {"preset": preset, "gain": night.gain, "readnoise": night.readnoise}, "noise_check": "off"}
    hit = night.frames[0].hit
    _, alone, _ = masked(tmp_path, files[:1], config)
    _, flags, _ = masked(tmp_path, files, config)
    more = (cosmic(flags) & hit).sum() - (cosmic(alone) & hit).sum()
    assert more > (10 if preset == "chapter" else -1)


def test_amplifiers_side_by_side_are_compared_in_electrons(night, tmp_path):
    """The right half has twice the gain, so half of the counts."""

    def change(image, number):
        image[:, SIDE // 2 :] /= 2
        return image

    section = {"left": [1, 1, SIDE // 2, SIDE], "right": [SIDE // 2 + 1, 1, SIDE, SIDE]}
    parts = [
        {"section": f"[{x1}:{x2},{y1}:{y2}]", "gain": night.gain * factor, "readnoise": night.readnoise}
        for (x1, y1, x2, y2), factor in zip(section.values(), (1, 2), strict=True)
    ]
    files = write(tmp_path, night, change)
    _, whole, expected = masked(tmp_path, write(tmp_path, night))
    files = write(tmp_path, night, change)
    config = {"amplifiers": parts, "cosmic_rays": {"preset": "best", "satlevel": 1e6}}
    _, flags, found = masked(tmp_path, files, config)
    assert found["repeats"] == expected["repeats"] == 4
    assert (cosmic(flags) != cosmic(whole)).sum() <= 0.03 * cosmic(whole).sum()
    assert abs(found["repeats_suspect"] - expected["repeats_suspect"]) <= 2


def test_colours_are_compared_by_themselves(tmp_path):
    """Of a Bayer pattern: red pixels get four times the light, and are no rays for that."""
    found = simulated([22, 1], side=2 * SIDE, number=5, fwhm=5.0, stars=1e-3, dither=30)

    def change(image, number):
        image[1::2, 1::2] = (image[1::2, 1::2] - np.median(image)) * 0.5 + np.median(image)
        return image

    files = write(tmp_path, found, change, lambda number: {"BAYERPAT": "RGGB"})
    _, flags, counted = masked(tmp_path, files)
    assert counted["repeats"] >= 2
    free = found.frames[0].free
    assert (cosmic(flags) & free).sum() < 0.05 * cosmic(flags).sum()


def test_each_colour_is_compared_with_the_same_one(tmp_path):
    """Of the other frames one colour shows nothing: only there nothing is added."""
    found = simulated([22, 1], side=2 * SIDE, number=4, fwhm=5.0, stars=1e-3, dither=20, rays=0)
    level = np.median(found.frames[0].image)

    def change(image, number):
        if number:
            image[1::2, 1::2] = level
        else:
            image[100:104, 100:108] += 0.05 * level + 12 * np.std(image[image < level])
        return image

    detector = {"sigclip": 1000, "gain": found.gain, "readnoise": found.readnoise, "satlevel": 1e9}  # finds nothing
    files = write(tmp_path, found, change, lambda number: {"BAYERPAT": "RGGB"})
    _, flags, counted = masked(tmp_path, files, {"cosmic_rays": detector, "quality": False})
    added = cosmic(flags)
    assert counted["repeats"] == 0  # of the colour that has least
    assert added[::2, ::2][50:52, 50:54].any() and not added[1::2, 1::2].any()


@pytest.mark.parametrize(("number", "more"), [(5, ""), (6, ", ...")])
def test_few_sources_are_listed(number, more, night):
    found = room.Repeats(None, [], None, [])
    found.sources = [(row, 7) for row in range(number)]
    (line,) = found.remarks()
    assert f"found {number} sources" in line and f"(7, 4){more}; they look" in line


def test_the_noise_of_an_extension_counts(night, tmp_path):
    files = write(tmp_path, night)
    _, expected, _ = masked(tmp_path, files)
    for (path, _), each in zip(files, night.frames, strict=True):
        noise = np.sqrt(np.maximum(each.image, 0) / night.gain + (night.readnoise / night.gain) ** 2)
        noise[each.hit] = np.median(noise)
        fits.append(path, noise.astype(np.float32), fits.Header({"EXTNAME": "ERR"}))
    _, flags, found = masked(tmp_path, files, {"noise": "extension", "images": {"error": ["ERR"]}})
    assert found["repeats"] == 4 and found["repeats_suspect"] > 30
    assert (cosmic(flags) != cosmic(expected)).sum() < 0.1 * cosmic(expected).sum()


def test_images_of_a_file_are_compared_with_those_of_the_same_name(night, tmp_path):
    paths = []
    for number, each in enumerate(night.frames):
        cards = {"EGAIN": night.gain, "RDNOISE": night.readnoise}
        hdus = [
            fits.ImageHDU(image, fits.Header(cards), name=name)
            for image, name in ((each.image, "A"), (each.image[::-1], "B"))
        ]
        hdus = hdus[:: (-1) ** number]  # in any order
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / f"{number}.fits", overwrite=True)
        paths.append((tmp_path / f"{number}.fits", f"{number}.fits"))
    _, _, found = masked(tmp_path, paths)
    with fits.open(tmp_path / "m.fits") as hdus:
        one, other = (hdu.data.copy() for hdu in hdus if hdu.name == "FLAGS")
    assert [each["repeats"] for each in found["images"]] == [4, 4] and found["repeats"] == 4
    assert found["repeats_suspect"] == sum(each["repeats_suspect"] for each in found["images"])
    assert (cosmic(one) != cosmic(other[::-1])).sum() < 0.05 * cosmic(one).sum()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:20_000]), "it ends before its pixels do"),
        (lambda path: path.write_text("no"), "not a FITS file"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_another_frame_that_cannot_be_read_is_left_out_and_reported(damage, words, night, tmp_path):
    files = write(tmp_path, night)
    damage(files[2][0])
    header, _, found = masked(tmp_path, files)
    assert found["repeats"] == 3
    (line,) = [line for line in found["remarks"] if "compared without" in line]
    assert line.startswith("0.fits: repeats: compared without one other frame of its field: 2.fits: ") and words in line
    assert "LIGHTMASK REPEAT2" in header  # a plan knows that it was to be there


def test_frames_of_another_field_or_shape_are_not_compared(night, tmp_path):
    other = simulated([23, 1], side=SIDE, number=3, stars=2e-3)
    files = write(tmp_path, night)
    (tmp_path / "other").mkdir()
    others = write(tmp_path / "other", other)
    _, alone, _ = masked(tmp_path, files[:1])
    _, flags, found = masked(tmp_path, [files[0], *others])
    assert (flags == alone).all() and found["repeats"] == 0
    (line,) = [line for line in found["remarks"] if "repeats" in line]
    assert "found 0 of 3 other frames of its field with the same stars, expected 2" in line
    for path, _ in others:
        fits.writeto(path, np.zeros((50, 60), np.float32), overwrite=True)
    _, flags, found = masked(tmp_path, [files[0], *others])
    assert (flags == alone).all() and found["repeats"] == 0


def test_borders_without_data_say_nothing(night, tmp_path):
    """As of frames that were aligned by another program."""

    def change(image, number):
        if number:
            image[:, : 60 + number] = 0
        return image

    files = write(tmp_path, night, change)
    _, alone, _ = masked(tmp_path, files[:1])
    _, flags, found = masked(tmp_path, files)
    assert found["repeats"] >= 3
    assert (cosmic(flags) & ~cosmic(alone) & night.frames[0].free)[:, :140].sum() <= 3


def test_a_source_in_one_frame_is_reported(tmp_path):
    found = simulated([24, 1], side=SIDE, number=4, stars=2e-3, rays=0, fwhm=3.0, seeing=1.1)

    def change(image, number):
        y, x = np.indices(image.shape)
        if number == 0:
            image += (4000 * np.exp(-((y - 100) ** 2 + (x - 200) ** 2) / 2 / 1.35**2)).astype(np.float32)
        return image

    _, flags, counted = masked(tmp_path, write(tmp_path, found, change))
    (line,) = [line for line in counted["remarks"] if "in no other frame" in line]
    assert "repeats: found 1 source in no other frame of the field, at x, y (200, 100);" in line
    assert not flags[95:106, 195:206].any()


def header_of(matrix=((1e-4, 0), (0, 1e-4)), **cards):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cd = [10.0, 20.0], [100.0, 150.0], matrix
    header = fits.Header()
    header.update(wcs.to_header())
    header.update(cards)
    return Header([card.image.encode() for card in header.cards])


@settings(max_examples=40, deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(0.5, 2), st.sampled_from([1, -1]))
def test_world_coordinates_give_turn_and_scale(angle, scale, flip):
    c, s = np.cos(angle) * 1e-4 / scale, np.sin(angle) * 1e-4 / scale
    found = room._turn(header_of(), header_of(((c, -s * flip), (s, c * flip))))
    # x, y of the sky are those of the first image; the second one sees them through the inverse of its matrix.
    expected = np.linalg.inv(np.array([[c, -s * flip], [s, c * flip]])) * 1e-4
    np.testing.assert_allclose(found[:, :2], expected[::-1, ::-1], atol=1e-3)


@pytest.mark.parametrize(
    "cards", [{"CTYPE1": "FOO"}, {"CUNIT1": "furlong"}, {"CRVAL2": 400.0}, {"CTYPE2": "RA---TAN"}, {"CRVAL1": "x"}]
)
def test_world_coordinates_that_make_no_sense_are_left_alone(cards):
    broken = header_of(**cards)
    found = room._turn(header_of(), broken)
    assert found is None or np.isfinite(found).all()
    assert room._turn(header_of(), Header()) is None


def test_files_are_closed(night, tmp_path):
    files = write(tmp_path, night)
    with room.open_others(files, "check", Roles({}), print) as others:
        assert [other.name for other in others] == [name for _, name in files]
        assert all(len(other.digest) == 64 for other in others)
    with pytest.raises(ValueError, match="closed"):
        others[0].images[""].data[:5]
