"""Files of several images: each is masked by itself, with its own masks, and what is beside them stays."""

import csv
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from conftest import run_workflow
from hypothesis import given
from hypothesis import strategies as st

from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.fits import Header, find_images, labels
from lightmask.masks import mask_frame
from lightmask.night.configuration import validated
from lightmask.night.pairing import paired
from lightmask.night.types import Frame, Part

SHAPE = (40, 50)


def sky(seed=1, shape=SHAPE):
    image = np.random.default_rng(seed).normal(1000, 33, shape).astype("f4")
    image[10 + seed, 20] += 3000
    return image


def extension(seed=1, shape=SHAPE, name=None, ver=None, data=None, **cards):
    hdu = fits.ImageHDU(sky(seed, shape) if data is None else data, fits.Header(cards), name=name)
    if ver is not None:
        hdu.header["EXTVER"] = ver
    return hdu


def masked(folder, hdus, primary=None, **config):
    """Mask a file; return its HDUs and its statistics."""
    cards = fits.Header({"IMAGETYP": "LIGHT"} | (primary or {}))
    fits.HDUList([fits.PrimaryHDU(header=cards), *hdus]).writeto(folder / "a.fits", overwrite=True)
    out = folder / "out.fits", folder / "out.json"
    mask_frame(folder / "a.fits", "a.fits", None, *out, validated(config))
    return fits.open(out[0]), json.loads(out[1].read_text())


def cosmic(hdu):
    return np.argwhere(hdu.data & Flag.COSMIC).tolist()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([("SCI", 1), ("SCI", 2)], [("SCI,1", 1), ("SCI,2", 2)]),
        ([("SCI", 4), ("SCI", 2)], [("SCI,4", 4), ("SCI,2", 2)]),
        ([("S1", None), ("N4", None)], [("S1", 1), ("N4", 2)]),
        ([("S1", 1), ("N4", 1)], [("S1", 1), ("N4", 2)]),
        ([(None, None), (None, None)], [("1", 1), ("2", 2)]),
        ([("CCD", None), ("CCD", None)], [("1", 1), ("2", 2)]),
    ],
)
def test_each_image_has_mask_and_flags_that_say_whose_they_are(tmp_path, names, expected):
    parts = [extension(seed, name=name, ver=ver) for seed, (name, ver) in enumerate(names, 1)]
    hdus, statistics = masked(tmp_path, parts)
    with hdus:
        for seed, (label, number) in enumerate(expected, 1):
            flags, mask = hdus["FLAGS", number], hdus["MASK", number]
            assert flags.header["LIGHTMASK IMAGE"] == mask.header["LIGHTMASK IMAGE"] == label
            assert cosmic(flags) == [[10 + seed, 20]]
            np.testing.assert_array_equal(mask.data != 0, flags.data != 0)
    assert [(part["image"], part["cosmic"]) for part in statistics["images"]] == [(label, 1) for label, _ in expected]
    assert statistics["cosmic"] == 2 and statistics["pixels"] == 2 * 40 * 50


@given(st.lists(st.tuples(st.sampled_from(["", "SCI", "A"]), st.none() | st.integers(1, 3)), min_size=1, max_size=5))
def test_labels_tell_images_apart(names):
    headers = []
    for name, version in names:
        headers.append(Header())
        if name:
            headers[-1].set("EXTNAME", name)
        if version is not None:
            headers[-1].set("EXTVER", version)
    found = labels(headers)
    assert len({label for label, _ in found}) == len({number for _, number in found}) == len(names)
    assert (found[0][0] == "") == (len(names) == 1)


def test_one_image_beside_tables_and_companions_is_a_plain_frame(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=[1.0])], name="CAT")
    others = [extension(2, name="ERR", ver=1), extension(3, name="WCSDVARR", ver=1), table]
    hdus, statistics = masked(tmp_path, [extension(1, name="SCI", ver=1), *others], {"NEXTEND": 4})
    with hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "ERR", "WCSDVARR", "CAT", "MASK", "FLAGS"]
        assert cosmic(hdus["FLAGS"]) == [[11, 20]]
        assert hdus[0].header["NEXTEND"] == 6
        assert "LIGHTMASK IMAGE" not in hdus["FLAGS"].header
    assert statistics["remarks"] == []


def test_a_smaller_image_of_an_unknown_name_is_remarked(tmp_path):
    hdus, statistics = masked(tmp_path, [extension(1, name="CHIP"), extension(2, (20, 30), name="PREVIEW2")])
    with hdus:
        assert [hdu.name for hdu in hdus].count("FLAGS") == 1
    (remark,) = statistics["remarks"]
    assert remark.startswith("a.fits: PREVIEW2, an image of 30x20, is not masked; expected 50x40, as that of CHIP; ")


def test_images_are_what_the_configuration_says(tmp_path):
    parts = [extension(1, name="CHIP"), extension(2, (30, 30), name="GUIDE"), extension(3, name="NOISE")]
    hdus, statistics = masked(tmp_path, parts, images={"science": ["guide", 1], "error": ["NOISE"]})
    hdus.close()
    assert [part["image"] for part in statistics["images"]] == ["CHIP", "GUIDE"]
    assert statistics["remarks"] == []
    hdus, statistics = masked(tmp_path, parts[:1], images={"companion": ["CHIP2"]})
    hdus.close()
    assert statistics["cosmic"] == 1
    with pytest.raises(FrameError, match=r"its image has the EXTNAME CHIP, which is that of a companion"):
        masked(tmp_path, parts[:1], images={"companion": ["CHIP"]})


def test_own_keywords_count_before_those_of_the_primary_header(tmp_path):
    own = {"GAIN": 1.1, "EXPTIME": 0.0}, {"GAIN": 0.0, "BUNIT": ""}
    parts = [extension(number, name="SCI", ver=number, **cards) for number, cards in enumerate(own, 1)]
    settings = {"gain": "GAIN"}
    hdus, statistics = masked(tmp_path, parts, {"GAIN": 0.9, "EXPTIME": 11.0, "BUNIT": "adu"}, cosmic_rays=settings)
    with hdus:
        assert [hdus["FLAGS", number].header["LIGHTMASK GAIN"] for number in (1, 2)] == [1.1, 0.9]
    assert statistics["remarks"] == []


def test_contradictions_are_remarked(tmp_path):
    parts = [extension(1, name="CCD1", BUNIT="ADU", EXPTIME=10.0)]
    hdus, statistics = masked(tmp_path, parts, {"BUNIT": "counts/s", "EXPTIME": 30.0})
    hdus.close()
    assert [remark.partition(" in the header")[0] for remark in statistics["remarks"]] == [
        "a.fits: BUNIT is 'ADU'",
        "a.fits: EXPTIME is 10.0",
    ]


def test_the_fraction_of_a_file_leaves_out_overscan_as_that_of_each_image_does(tmp_path):
    parts = [extension(n, name="SCI", ver=n, DATASEC="[1:40,1:40]") for n in (1, 2)]
    hdus, statistics = masked(tmp_path, parts)
    hdus.close()
    assert statistics["edge"] == 2 * 400
    assert statistics["fraction"] == statistics["images"][0]["fraction"] == 1 / 1600


def test_masks_have_the_world_coordinates_of_their_image(tmp_path):
    wcs = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": 5.0, "CRPIX2": 6.0, "CRVAL1": 10.0, "CRVAL2": 20.0}
    wcs |= {"CD1_1": 1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4}
    hdus, _ = masked(tmp_path, [extension(1, name="SCI", ver=1, **wcs), extension(2, name="SCI", ver=2)])
    with hdus:
        for name in ("MASK", "FLAGS"):
            assert WCS(hdus[name, 1].header).pixel_to_world_values(4, 5) == pytest.approx((10, 20))
            assert "CTYPE1" not in hdus[name, 2].header


@pytest.mark.parametrize("kind", ["error", "variance", "weight"])
@pytest.mark.parametrize("detector", ["lightmask", "ccdproc"])
def test_an_extension_can_give_the_noise(tmp_path, kind, detector):
    """A tenth of the noise makes a ray of what was none; where no weight is, nothing is found."""
    image = sky()
    image[25, 25] += 200
    sigma = np.full(SHAPE, 35.0, "f4")
    sigma[20:30, 20:30] = 3.5
    values = {"error": sigma, "variance": sigma**2, "weight": 1 / sigma**2}[kind]
    values[11, 20] = 0 if kind == "weight" else np.nan
    noise = extension(data=values, name={"error": "ERR", "variance": "VAR", "weight": "WHT"}[kind])
    parts = [extension(data=image, name="SCI"), noise]
    settings = {"detector": detector, "objlim": 2}
    found = {}
    for choice in ("model", "extension"):
        hdus, _ = masked(tmp_path, parts, noise=choice, cosmic_rays=settings)
        with hdus:
            found[choice] = cosmic(hdus["FLAGS"])
    assert [11, 20] in found["model"] and [25, 25] not in found["model"]
    assert [25, 25] in found["extension"] and [11, 20] not in found["extension"]


def test_noise_of_an_extension_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FrameError, match=r"found no error, variance or weight extension of its shape"):
        masked(tmp_path, [extension(1, name="SCI")], noise="extension")


SCI = {number: {"EXTNAME": "SCI", "EXTVER": number} for number in (1, 2)}


def part(label, shape=SHAPE, **cards):
    return Part(label, shape, cards)


@pytest.mark.parametrize(
    ("mask", "light", "expected"),
    [
        ([SCI[2], SCI[1]], [SCI[1], SCI[2]], [1, 0]),
        ([{"EXTNAME": "BPM", "EXTVER": n} for n in (1, 2)], [SCI[2], SCI[1]], [1, 0]),
        ([{"EXTNAME": "S1"}, {"EXTNAME": "N4"}], [{"EXTNAME": "N4"}, {"EXTNAME": "S1"}], [1, 0]),
        (
            [{"DETSEC": "[1:2,1:2]"}, {"DETSEC": "[3:4,1:2]"}],
            [{"DETSEC": "[3:4, 1:2]"}, {"DETSEC": "[1:2,1:2]"}],
            [1, 0],
        ),
        ([{"AMPNAME": "a"}, {"AMPNAME": "b"}], [{"AMPNAME": "b"}, {"AMPNAME": "A"}], [1, 0]),
        ([{"EXTNAME": n} for n in "abc"], [{"EXTNAME": "c"}, {"EXTNAME": "a"}], [2, 0]),
        ([{}, {}], [{}, {}], None),
        ([{"EXTNAME": "a"}, {"EXTNAME": "b"}], [{"EXTNAME": "c"}, {"EXTNAME": "a"}], None),
    ],
)
def test_images_of_masks_and_frames_are_paired_by_what_tells_them_apart(mask, light, expected):
    images = [tuple(part(str(n), **cards) for n, cards in enumerate(each)) for each in (mask, light)]
    found = paired(*(Frame("x", "", SHAPE, {}, images=each) for each in images))
    assert found == expected if expected else "which belongs to which" in found


def test_shapes_pair_where_they_leave_no_choice():
    mask = Frame("m", "", SHAPE, {}, images=(part("1", (10, 10)), part("2", (20, 20))))
    light = Frame("a", "", SHAPE, {}, images=(part("1", (20, 20)), part("2", (10, 10))))
    assert paired(mask, light) == [1, 0]
    assert paired(Frame("m", "", (10, 10)), light) != [0]


def test_the_image_that_is_meant_is_found_in_any_order():
    headers = []
    for name in (None, "ERR", "SCI", "DQ"):
        header = Header()
        header.set("SIMPLE" if name is None else "XTENSION", True if name is None else "IMAGE")
        for keyword, value in (("BITPIX", -32), ("NAXIS", 0 if name is None else 2), ("NAXIS1", 4), ("NAXIS2", 3)):
            header.set(keyword, value)
        if name:
            header.set("EXTNAME", name)
        headers.append(header)
    assert find_images(headers, "x") == [2]


def test_a_night_of_mosaics_makes_its_masks_image_by_image(tmp_path):
    """Flats, darks and LIGHT frames of two images, in other orders: bad pixels are where they were put."""
    night = tmp_path / "night"
    night.mkdir()
    bad = {"A": (5, 6), "B": (30, 40)}
    hot = {"A": (7, 9), "B": (20, 3)}

    def write(name, names, make, **cards):
        amplifiers = ({"AMPNAME": f"amplifier {each}"} for each in names)
        parts = zip(names, amplifiers, strict=True)
        hdus = [fits.ImageHDU(make(each).astype("f4"), fits.Header(own), name=each) for each, own in parts]
        fits.HDUList([fits.PrimaryHDU(header=fits.Header(cards)), *hdus]).writeto(night / name)

    rng = np.random.default_rng(1)

    def flat(level):
        def make(name):
            image = rng.normal(level, level**0.5, SHAPE)
            image[bad[name]] = level * 0.2 + 3000
            return image

        return make

    def dark(exposure):
        def make(name):
            image = rng.normal(0.01 * exposure, 5, SHAPE)
            image[hot[name]] += 50 * exposure
            return image

        return make

    for number, level in enumerate((10_000, 40_000)):
        write(f"flat{number}.fits", "AB" if number else "BA", flat(level), IMAGETYP="FLAT", EXPTIME=1.0)
    write("dark.fits", "BA", dark(100), IMAGETYP="DARK", EXPTIME=100.0)
    write("light.fits", "AB", lambda name: sky(1 if name == "A" else 2), IMAGETYP="LIGHT", EXPTIME=10.0)
    run = run_workflow(tmp_path, "--config", f"frames={night}")
    assert run.returncode == 0, run.output
    with fits.open(tmp_path / "results/masked/light.fits") as hdus:
        for number, name in enumerate("AB", 1):
            flags = hdus["FLAGS", number].data
            assert np.argwhere(flags & Flag.FLAT).tolist() == [list(bad[name])]
            assert np.argwhere(flags & Flag.DARK).tolist() == [list(hot[name])]
    for mask in (tmp_path / "results/static_masks").iterdir():
        with fits.open(mask) as hdus:
            assert {hdu.name: hdu.header["AMPNAME"] for hdu in hdus[1:]} == {"A": "amplifier A", "B": "amplifier B"}
    with (tmp_path / "results/summary.csv").open() as file:
        rows = [(row["path"], row["image"]) for row in csv.DictReader(file)]
    assert rows == [("light.fits", "A"), ("light.fits", "B")]
