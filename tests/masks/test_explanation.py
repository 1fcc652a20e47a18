"""Why a pixel is masked: flags, masks and numbers are those of the masked frame."""

import numpy as np
import pytest
from astropy.io import fits
from conftest import write_mask
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lightmask.bits import Flag
from lightmask.detect import Lacosmic, Trace
from lightmask.errors import FrameError
from lightmask.masks import combine_files, explain_pixel, mask_frame
from lightmask.night.configuration import validated

SHAPE = (80, 90)
FLATS = {"one.fits": [(5, 7), (6, 7)], "two.fits": [(6, 7), (9, 9)]}
RADII = {"flat": 0, "dark": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a frame that has a mask of its own, and the masks of its camera."""
    place = tmp_path_factory.mktemp("explained")
    rng = np.random.default_rng(4)
    image = rng.poisson(400, SHAPE).astype(np.float32)
    for row in range(12, 78, 9):
        image[row, 20 + row // 2 : 24 + row // 2] += rng.exponential(1500, 4) + 300
    image[6, 7] += 900
    image[41, 59] += 4000  # a hot pixel, with rays beside it
    image[41, 60] += 500
    image[70, 70:74] = 70_000
    image[3, 60] = np.nan
    mask = np.zeros(SHAPE, np.uint8)
    mask[50, 50] = 1
    light = fits.PrimaryHDU(image, fits.Header({"IMAGETYP": "LIGHT"}))
    fits.HDUList([light, fits.ImageHDU(mask, name="MASK")]).writeto(place / "a.fits")
    for name, pixels in FLATS.items():
        write_mask(place / name, "flat mask", pixels, shape=SHAPE)
    write_mask(place / "dark.fits", "dark mask", [(41, 59), (30, 80)], shape=SHAPE)
    combine_files(masks(place), RADII, place / "combined.fits")
    return place


def masks(place):
    kinds = {**dict.fromkeys(FLATS, "flat"), "dark.fits": "dark"}
    return [(kind, str(place / name), name) for name, kind in kinds.items()]


def explained(folder, y, x, frame="a.fits", combined="combined.fits", masked=None, region=None, label="", **config):
    found, lines = [], []
    explain_pixel(
        folder / frame,
        frame,
        folder / combined if combined else None,
        validated(config),
        region or (y, x),
        lambda each: found.append((each, np.asarray(each.data[slice(y, y + 1)]))),
        label=label,
        masks=masks(folder) if combined else (),
        combining={"radii": RADII},
        masked=masked,
        remark=lines.append,
    )
    (one,) = found
    return one[0]


@pytest.fixture(scope="module", params=["chapter", "best"])
def result(folder, request):
    """Return preset, path and FLAGS of the masked frame."""
    path = folder / f"{request.param}.fits"
    config = validated({"cosmic_rays": {"preset": request.param, "gain": 1, "readnoise": 10}})
    mask_frame(folder / "a.fits", "a.fits", folder / "combined.fits", path, folder / "a.json", config)
    return request.param, path, fits.getdata(path, "FLAGS")


def test_every_pixel_of_interest_has_the_flags_of_the_result(folder, result):
    preset, path, flags = result
    settings = {"preset": preset, "gain": 1, "readnoise": 10}
    places = [tuple(map(int, place)) for place in np.argwhere(flags)][:60]
    assert len(places) > 30
    for y, x in [*places, (0, 0), (79, 89), (41, 61), (20, 20)]:
        found = explained(folder, y, x, masked=path, cosmic_rays=settings)
        own = Flag(int(flags[y, x]))
        assert int(found.flags[y, x]) == found.stored == own
        assert found.is_masked == bool(own & ~Flag.SATURATED)
        assert {flag for flag, _, _ in found.sources} == {flag.name for flag in own} & {"FLAT", "DARK", "INHERITED"}
        assert (found.event is None) == (Flag.COSMIC not in own)
        numbers = found.numbers
        if preset == "best":
            assert isinstance(numbers, Trace) and numbers.is_cosmic == (Flag.COSMIC in own)
        else:
            assert isinstance(numbers, Lacosmic)
            is_found = any(each.is_cosmic for each in numbers.iterations)
            assert is_found == bool(own & (Flag.COSMIC | Flag.SUSPECT))
        if found.event:
            again = explained(folder, 0, 0, masked=path, cosmic_rays=settings, region=found.region)
            assert (again.y, again.x) == (found.event.y, found.event.x) and again.region == found.region


@pytest.mark.parametrize(
    ("y", "x", "names"),
    [
        (5, 7, ["one.fits"]),
        (6, 7, ["one.fits", "two.fits"]),
        (9, 9, ["two.fits"]),
        (30, 80, ["dark.fits"]),
        (30, 81, ["dark.fits"]),  # where it has grown to
        (50, 50, ["a.fits[MASK]"]),
        (60, 60, []),
    ],
)
def test_masks_are_named_that_have_the_pixel(folder, y, x, names):
    found = explained(folder, y, x, grow={"dark": 1})
    assert [name for _, name, _ in found.sources] == names
    assert all(len(digest) == 64 for flag, _, digest in found.sources if flag != "INHERITED")
    assert found.radii == ({"dark": 1} if "dark.fits" in names else {})


def test_a_result_of_other_settings_is_told(folder, result):
    _, path, flags = result
    y, x = map(int, np.argwhere(flags == Flag.COSMIC)[0])
    found = explained(folder, y, x, masked=path, cosmic_rays={"preset": "chapter", "sigclip": 500})
    assert found.stored == Flag.COSMIC and not found.flags[y, x]
    assert found.region.startswith("cosmic") and found.event
    assert explained(folder, y, x, masked=folder / "nothing.fits").stored is None


def test_values_are_those_of_the_frame(folder):
    image = fits.getdata(folder / "a.fits")
    found = explained(folder, 41, 60)
    assert found.value == image[41, 60] and found.around == np.median(image[29:54, 48:73])
    assert np.isnan(explained(folder, 3, 60).value)
    assert found.parameters["sigclip"] == 8 and found.parameters["gain"] == 1


SEVERAL = {"sections": "use", "cosmic_rays": {"gain": 1, "readnoise": 5}}


@pytest.fixture(scope="module", params=["", "RGGB"])
def several(tmp_path_factory, request):
    """Return a folder with a frame of two images, of which a part shows the sky, masked, and how."""
    place = tmp_path_factory.mktemp("several")
    rng = np.random.default_rng(1)
    images = [fits.ImageHDU(rng.poisson(500, (40, 50)).astype("f4"), name="SCI", ver=n) for n in (1, 2)]
    for number, hdu in enumerate(images):
        hdu.header["DATASEC"] = "[4:48,3:38]"
        hdu.data[10 + 8 * number, 20:24] += 3000
    primary = fits.PrimaryHDU(header=fits.Header({"IMAGETYP": "LIGHT"}))
    if request.param:
        primary.header["BAYERPAT"] = request.param
    fits.HDUList([primary, *images]).writeto(place / "a.fits")
    mask_frame(place / "a.fits", "a.fits", None, place / "m.fits", place / "m.json", validated(SEVERAL))
    return place


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 39), st.integers(0, 49))
@example(10, 21)
@example(18, 22)
def test_windows_colours_and_several_images(several, y, x):
    with fits.open(several / "m.fits") as hdus:
        flags = [hdu.data[y, x] for hdu in hdus if hdu.name == "FLAGS"]
    for label, own in zip(("SCI,1", "SCI,2"), flags, strict=True):
        found = explained(several, y, x, combined=None, masked=several / "m.fits", label=label, **SEVERAL)
        assert found.name == f"a.fits[{label}]"
        assert found.flags[y, x] == found.stored == own
        assert (found.numbers is None) == (own == Flag.EDGE)
        if found.numbers is not None:
            assert any(each.is_cosmic for each in found.numbers.iterations) == bool(own & Flag.COSMIC)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((80, 0), "found no pixel x 1, y 81, expected x from 1 to 90 and y from 1 to 80"),
        ((0, -1), "found no pixel x 0, y 1"),
        ("cosmic0", "found no region cosmic0; expected one of cosmic1 to cosmic"),
        ("cosmic999", "found no region cosmic999"),
        ("cosmic", "found no region cosmic;"),
    ],
)
def test_what_is_not_there_is_an_error(folder, place, message):
    with pytest.raises(FrameError, match=message.replace("[", r"\[")):
        explain_pixel(folder / "a.fits", "a.fits", None, validated({}), place, lambda found: None)
    with pytest.raises(FrameError, match="no image SCI,7"):
        explain_pixel(folder / "a.fits", "a.fits", None, validated({}), (0, 0), lambda found: None, label="SCI,7")
