"""A masked frame holds all that the frame held, and says which pixels not to trust and why."""

import bz2
import contextlib
import gzip
import hashlib
import json
import re
import resource
import shutil
import tempfile
import warnings

import ccdproc
import numpy as np
import pytest
import skies
from astropy.io import fits
from astropy.nddata import CCDData, bitmask
from conftest import without_rights, write_light, write_mask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightmask import __version__, bits
from lightmask.bits import Flag
from lightmask.errors import FrameError, MachineError
from lightmask.masks import combine_files, frame
from lightmask.night.configuration import validated

COSMIC = (10, 10)  # where `write_light` puts its cosmic ray


def run(folder, name="a.fits", combined=None, **config):
    """Mask a frame of a folder, and give the path of the result."""
    output, statistics = folder / "out" / "masked.fits", folder / "out" / "statistics.json"
    output.parent.mkdir(exist_ok=True)
    frame.mask_frame(folder / name, name, combined, output, statistics, validated(config))
    return output


def read(path):
    """Read mask and flags as a user does."""
    ccd = CCDData.read(path, unit="adu", hdu_flags="FLAGS")
    assert ccd.mask.dtype == bool
    assert ccd.flags.dtype == ">i2"
    return ccd


def flagged(path, flag):
    """List the pixels that have a flag."""
    return sorted(map(tuple, np.argwhere(fits.getdata(path, "FLAGS") & flag).tolist()))


def combined_mask(folder, shape=(64, 80), **kinds):
    """Combine a flat and a dark mask of the pixels given."""
    sources = []
    for kind, pixels in kinds.items():
        write_mask(folder / f"{kind}.fits", f"{kind} mask", pixels, shape=shape)
        sources.append((kind, folder / f"{kind}.fits", f"{kind}.fits"))
    combine_files(sources, {"flat": 0, "dark": 0}, folder / "combined.fits")
    return folder / "combined.fits"


def noise(dtype=np.float32, shape=(64, 80)):
    data = np.random.default_rng(8).normal(100, 10, shape)
    data[COSMIC] += 3000
    return data.astype(dtype)


def image_hdu(kind, where):
    hdu_class = fits.PrimaryHDU if where == "primary" else fits.ImageHDU
    if kind == "BSCALE":
        hdu = hdu_class((noise() * 2 - 2000).astype(np.int16))
        hdu.header["BSCALE"], hdu.header["BZERO"] = 0.5, 1000.0
        return hdu
    return hdu_class(noise(kind))


def write_frame(path, kind="float32", where="primary"):
    """Write a frame with an image of a kind, an extension before or behind, and cards of all sorts."""
    image = image_hdu(kind, where)
    table = fits.BinTableHDU.from_columns(
        [fits.Column("a", "J", array=[1, 2]), fits.Column("b", "PE()", array=[[1], []])]
    )
    table.header["EXTNAME"] = "STARS"
    hdus = [image, table] if where == "primary" else [fits.PrimaryHDU(), table, image]
    header = hdus[0].header
    header["IMAGETYP"] = ("LIGHT", "a comment")
    header["HIERARCH ESO DET OUT1 CONAD"] = (1.5, "[e-/adu]")
    header["LONGTEXT"] = "long " * 40
    header["UNDEF"] = None
    for text in ("first", "second"):
        header["HISTORY"] = text
        header["COMMENT"] = text
    header.append(("", "blank keyword"), end=True)
    image.header["FLOATING"] = 1e-30
    fits.HDUList(hdus).writeto(path)
    # A card that only its owner would write in that way is to stay so.
    content = path.read_bytes()
    path.write_bytes(content.replace(b"FLOATING=                1E-30", b"FLOATING=           1.0000E-30"))


def cards(header):
    """List the cards of a header as they stand in the file, but for checksums and what astropy adds for them."""
    return [str(card) for card in header.cards if card.keyword not in ("CHECKSUM", "DATASUM")]


def raw_pixels(path, index):
    with fits.open(path) as hdus:
        place = hdus[index].fileinfo()
        content = path.read_bytes()
        return content[place["datLoc"] : place["datLoc"] + place["datSpan"]]


KINDS = ["uint8", "int16", "uint16", "int32", "float32", "float64", "BSCALE"]


@pytest.mark.parametrize(
    ("kind", "where", "compress"),
    [
        *((kind, where, None) for kind in KINDS for where in ("primary", "extension")),
        ("uint16", "primary", gzip.compress),
        ("float32", "extension", gzip.compress),
        ("float32", "primary", bz2.compress),
        ("BSCALE", "extension", bz2.compress),
    ],
)
def test_pixels_extensions_and_cards_of_the_frame_stay(tmp_path, kind, where, compress):
    write_frame(tmp_path / "a.fits", kind, where)
    name = "a.fits"
    if compress:
        name = "b.fits.packed"
        (tmp_path / name).write_bytes(compress((tmp_path / "a.fits").read_bytes()))
    output = run(tmp_path, name)
    before = tmp_path / "a.fits"
    with (
        fits.open(before, do_not_scale_image_data=True) as old,
        fits.open(output, do_not_scale_image_data=True) as new,
    ):
        assert [hdu.name for hdu in new] == [*(hdu.name for hdu in old), "MASK", "FLAGS"]
        for index, hdu in enumerate(old):
            assert raw_pixels(output, index) == raw_pixels(before, index)
            ours = cards(new[index].header)
            assert [card for card in ours if "LIGHTMASK" not in card] == cards(hdu.header)
    index = 0 if where == "primary" else 2
    assert np.array_equal(fits.getdata(output, index), fits.getdata(before, index))
    ccd = read(output)
    if kind != "uint8":  # its cosmic ray does not fit into 8 bits
        assert np.argwhere(ccd.mask).tolist() == [list(COSMIC)]
        assert (ccd.flags == ccd.mask * Flag.COSMIC).all()


@pytest.mark.parametrize("kind", ["int16", "uint16", "int32", "float32", "BSCALE"])
def test_tile_compression_is_undone_and_pixels_stay(tmp_path, kind):
    header = fits.Header({"IMAGETYP": "LIGHT", "OBJECT": "M 13", "FILTER": "r"})
    quantize = {} if kind != "float32" else {"quantize_level": 16}
    data = noise(np.int16 if kind == "BSCALE" else kind)
    packed = fits.CompImageHDU(data, header, compression_type="RICE_1", **quantize)
    if kind == "BSCALE":
        packed.header["BSCALE"], packed.header["BZERO"] = 0.5, 1000.0
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "a.fits.fz")
    output = run(tmp_path, "a.fits.fz")
    with fits.open(tmp_path / "a.fits.fz") as old, fits.open(output) as new:
        assert isinstance(new[1], fits.ImageHDU)
        assert new[1].data.dtype.newbyteorder("=") == old[1].data.dtype
        assert np.array_equal(new[1].data, old[1].data)
        for keyword in header:
            assert new[1].header[keyword] == header[keyword]
    with (
        fits.open(tmp_path / "a.fits.fz", do_not_scale_image_data=True) as old,
        fits.open(output, do_not_scale_image_data=True) as new,
    ):
        assert np.array_equal(new[1].data, old[1].data)
        assert new[1].header["BITPIX"] == old[1].header["BITPIX"]
    assert read(output).mask[COSMIC]


def test_flags_say_why_and_mask_is_their_union(tmp_path):
    combined = combined_mask(tmp_path, flat=[(5, 5), (5, 6)], dark=[(5, 6), (20, 20)])
    data = noise()
    data[30, 30:34] = np.nan
    data[40, 40] = -np.inf
    write_light(tmp_path / "a.fits", data=data)
    own = np.zeros(data.shape, np.uint8)
    own[5, 6] = own[50, 50] = 1
    fits.append(tmp_path / "a.fits", own, fits.Header({"EXTNAME": "MASK"}))
    output = run(tmp_path, combined=combined)
    expected = np.zeros(data.shape, np.int16)
    expected[5, 5] = Flag.FLAT
    expected[5, 6] = Flag.FLAT | Flag.DARK | Flag.INHERITED
    expected[20, 20] = Flag.DARK
    expected[50, 50] = Flag.INHERITED
    expected[30, 30:34] = expected[40, 40] = Flag.NOTFINITE
    expected[COSMIC] = Flag.COSMIC
    ccd = read(output)
    assert np.array_equal(ccd.flags, expected)
    assert np.array_equal(ccd.mask, expected != 0)
    assert set(np.unique(fits.getdata(output, "MASK"))) == {0, 1}


def test_mask_equals_the_loop_of_the_guide(tmp_path):
    combined = combined_mask(tmp_path, flat=[(5, 5)], dark=[(20, 20)])
    write_light(tmp_path / "a.fits", BUNIT="adu")
    ccd = CCDData.read(tmp_path / "a.fits")
    static = fits.getdata(tmp_path / "flat.fits").astype(bool) | fits.getdata(tmp_path / "dark.fits").astype(bool)
    expected = ccdproc.cosmicray_lacosmic(ccd, readnoise=10, sigclip=8).mask | static
    assert expected.sum() > 2
    assert np.array_equal(read(run(tmp_path, combined=combined)).mask, expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
def test_an_own_mask_of_zeros_and_ones_is_kept_once(tmp_path, dtype):
    write_light(tmp_path / "a.fits")
    own = np.zeros((64, 80), dtype)
    own[3, 4] = 1
    mask = fits.ImageHDU(own, name="MASK")
    mask.header["REMARK"] = "by hand"
    with fits.open(tmp_path / "a.fits", mode="append") as hdus:
        hdus.extend([mask, fits.ImageHDU(noise(), name="WEIGHT")])
    output = run(tmp_path)
    with fits.open(output) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "MASK", "WEIGHT", "FLAGS"]
        assert hdus["MASK"].header["BITPIX"] == 8
        assert hdus["MASK"].header["REMARK"] == "by hand"
        assert hdus["MASK"].data.dtype == np.uint8
    assert flagged(output, Flag.INHERITED) == [(3, 4)]
    assert read(output).mask[3, 4]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_an_own_mask_that_says_more_is_kept_as_inmask(tmp_path, dtype):
    write_light(tmp_path / "a.fits")
    own = np.zeros((64, 80), dtype)
    own[3, 4], own[3, 5] = 64, 1
    fits.append(tmp_path / "a.fits", own, fits.Header({"EXTNAME": "MASK", "REMARK": "bits"}))
    output = run(tmp_path)
    with fits.open(output) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "MASK", "INMASK", "FLAGS"]
        assert np.array_equal(hdus["INMASK"].data, own)
        assert hdus["INMASK"].data.dtype.newbyteorder("=") == own.dtype
        assert hdus["INMASK"].header["REMARK"] == "bits"
        assert set(np.unique(hdus["MASK"].data)) == {0, 1}
    assert flagged(output, Flag.INHERITED) == [(3, 4), (3, 5)]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["INMASK", "inmask2", "INMASK3", "INMASK 2"]), unique=True))
def test_an_inmask_that_is_there_stays_and_no_name_is_there_twice(tmp_path, there):
    own = np.zeros((64, 80), np.uint8)
    own[3, 4] = 64
    write_light(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits", mode="append") as hdus:
        hdus.extend([fits.ImageHDU(np.full((2, 3), n), fits.Header({"EXTNAME": name})) for n, name in enumerate(there)])
        hdus.append(fits.ImageHDU(own, name="MASK"))
    with fits.open(run(tmp_path)) as hdus:
        found = [hdu.name.upper() for hdu in hdus]
        new = next(name for name in ("INMASK", "INMASK2", "INMASK3", "INMASK4") if name not in map(str.upper, there))
        assert found == ["PRIMARY", *map(str.upper, there), "MASK", new, "FLAGS"]
        assert len(found) == len(set(found))
        assert np.array_equal(hdus[new].data, own)
        for number, name in enumerate(there):
            assert (hdus[name].data == number).all()


def test_an_own_mask_is_given_to_the_detector(tmp_path):
    write_light(tmp_path / "a.fits")
    own = np.zeros((64, 80), np.uint8)
    own[COSMIC] = 1
    fits.append(tmp_path / "a.fits", own, fits.Header({"EXTNAME": "MASK"}))
    assert flagged(run(tmp_path), Flag.COSMIC) == []


def refused(folder, cause="expected|cannot be read", name="a.fits", **options):
    """Expect one line that names the frame, and nothing left behind."""
    with pytest.raises(FrameError, match=cause) as caught:
        run(folder, name, **options)
    assert str(caught.value).startswith(f"{name}: ")
    assert "\n" not in str(caught.value)
    assert "()" not in str(caught.value)
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize("there", [[], ["INFLAGS"], ["INFLAGS", "INFLAGS2"]])
def test_flags_of_another_program_are_kept_as_inflags(tmp_path, there):
    write_light(tmp_path / "a.fits")
    old = np.arange(64 * 80, dtype=np.int32).reshape(64, 80)
    with fits.open(tmp_path / "a.fits", mode="append") as hdus:
        hdus.extend([fits.ImageHDU(old + n, name=name) for n, name in enumerate(there, 1)])
        hdus.append(fits.ImageHDU(old, fits.Header({"REMARK": "theirs"}), name="FLAGS"))
    output = run(tmp_path)
    new = "INFLAGS" + str(len(there) + 1) * bool(there)
    with fits.open(output) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", *there, new, "MASK", "FLAGS"]
        assert np.array_equal(hdus[new].data, old)
        assert hdus[new].header["REMARK"] == "theirs"
        assert hdus["FLAGS"].header["BITPIX"] == 16 and "BZERO" not in hdus["FLAGS"].header
    assert flagged(output, Flag.COSMIC) == [COSMIC]


def test_a_frame_that_was_masked_already_is_refused(tmp_path):
    write_light(tmp_path / "a.fits")
    shutil.move(run(tmp_path), tmp_path / "b.fits")
    (tmp_path / "out/statistics.json").unlink()
    refused(tmp_path, "it was masked by lightmask already; mask the frame that it was made from", "b.fits")


def test_an_own_mask_of_another_shape_is_refused(tmp_path):
    write_light(tmp_path / "a.fits")
    fits.append(tmp_path / "a.fits", np.zeros((3, 2), np.uint8), fits.Header({"EXTNAME": "MASK"}))
    refused(tmp_path, "MASK has 2x3, expected 80x64")


def test_a_combined_mask_of_another_shape_is_refused(tmp_path):
    write_light(tmp_path / "a.fits", shape=(30, 40))
    refused(tmp_path, "shape 40x30, its masks 80x64", combined=combined_mask(tmp_path, flat=[(1, 1)]))


def test_a_missing_keyword_is_refused(tmp_path):
    write_light(tmp_path / "a.fits")
    refused(tmp_path, "no EGAIN", cosmic_rays={"gain": "EGAIN"})


def damaged(path, packing=bytes, **cards):
    """Write a frame with checksums of which a bit of the data has changed since; other cards come later still."""
    data = noise()
    header = fits.Header({"IMAGETYP": "LIGHT"})
    if packing == "tiles":
        image = fits.CompImageHDU(data.astype(np.int16), header, compression_type="RICE_1")
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(path, checksum=True)
    else:
        fits.writeto(path, data, header, checksum=True)
    content = bytearray(path.read_bytes())
    content[-2880 if packing == "tiles" else 4000] ^= 1
    for keyword, value in cards.items():
        place = content.index(b"END".ljust(80))
        content[place : place + 160] = f"{keyword:<8}= {value!r}".encode().ljust(80) + b"END".ljust(80)
    path.write_bytes(content if packing == "tiles" else packing(bytes(content)))


DAMAGE = r"DATASUM of HDU \d.* is '\d+', its bytes give \d+; copy it again, or set checksums: ignore"


@pytest.mark.parametrize("packing", [bytes, gzip.compress, bz2.compress, "tiles"], ids=["plain", "gz", "bz2", "tiles"])
def test_data_that_do_not_fit_their_checksums_are_refused_or_remarked(tmp_path, packing, capfd):
    damaged(tmp_path / "a.fits", packing)
    with pytest.raises(FrameError, match=rf"^a\.fits: {DAMAGE}$"):
        run(tmp_path)
    assert list((tmp_path / "out").iterdir()) == []
    run(tmp_path, checksums="warn")
    (remark,) = json.loads((tmp_path / "out/statistics.json").read_text())["remarks"]
    assert re.fullmatch(rf"a\.fits: {DAMAGE}", remark)
    assert f"WARNING: {remark}" in capfd.readouterr().out
    run(tmp_path, checksums="ignore")
    assert json.loads((tmp_path / "out/statistics.json").read_text())["remarks"] == []
    assert "SUM" not in capfd.readouterr().out


def test_checksums_that_reduction_left_behind_refuse_nothing(tmp_path, capfd):
    damaged(tmp_path / "a.fits", BUNIT="adu")
    run(tmp_path)
    (remark,) = json.loads((tmp_path / "out/statistics.json").read_text())["remarks"]
    assert re.match(r"a\.fits: DATASUM of .*, older than its header, so it proves nothing", remark)
    assert f"WARNING: {remark}" in capfd.readouterr().out
    run(tmp_path, checksums="warn")
    assert len(json.loads((tmp_path / "out/statistics.json").read_text())["remarks"]) == 1


def test_masks_are_checked_too(tmp_path):
    damaged(tmp_path / "mask.fits")
    arguments = [[("flat", tmp_path / "mask.fits", "mask.fits")], {"flat": 0, "dark": 0}, tmp_path / "combined.fits"]
    with pytest.raises(FrameError, match=rf"^mask\.fits: {DAMAGE}$"):
        combine_files(*arguments)
    combine_files(*arguments, checksums="warn")
    (tmp_path / "combined.fits").write_bytes(changed_data((tmp_path / "combined.fits").read_bytes()))
    write_light(tmp_path / "a.fits")
    with pytest.raises(FrameError, match=rf"^combined\.fits: {DAMAGE}$"):
        run(tmp_path, combined=tmp_path / "combined.fits")


def changed_data(content):
    """Change a bit of data behind a header of one or two blocks."""
    return content[:-2000] + bytes([content[-2000] ^ 1]) + content[-1999:]


def cut(path, number):
    path.write_bytes(path.read_bytes()[:number])


# Image of 8 blocks behind a header of one; behind it an extension of the same size.
@pytest.mark.parametrize("blocks", [0, 0.5, 1, 4, 9.5, 10, 12])
@pytest.mark.parametrize("compress", [None, gzip.compress], ids=["plain", "gz"])
@pytest.mark.filterwarnings("default")  # a user's run does not turn what astropy says into errors
def test_a_truncated_frame_is_refused(tmp_path, blocks, compress):
    write_light(tmp_path / "a.fits")
    fits.append(tmp_path / "a.fits", noise(), fits.Header({"EXTNAME": "WEIGHT"}))
    cut(tmp_path / "a.fits", int(blocks * 2880))
    if compress:
        (tmp_path / "a.fits").write_bytes(compress((tmp_path / "a.fits").read_bytes()))
    refused(tmp_path)


def test_a_gzip_stream_that_breaks_off_is_refused(tmp_path):
    write_light(tmp_path / "b.fits")
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress((tmp_path / "b.fits").read_bytes())[:-2000])
    refused(tmp_path, "cannot be read", name="a.fits.gz")


def padding_cut(content):
    return content[: 2880 + 64 * 80 * 4]


def padding_added(content):
    return content + bytes(2880)


@pytest.mark.parametrize("change", [padding_cut, padding_added])
@pytest.mark.filterwarnings("default")
def test_wrong_padding_is_overlooked_or_told(tmp_path, change):
    write_light(tmp_path / "a.fits")
    pixels = raw_pixels(tmp_path / "a.fits", 0)
    (tmp_path / "a.fits").write_bytes(change((tmp_path / "a.fits").read_bytes()))
    try:
        output, told = run(tmp_path), ""
    except FrameError as error:
        output, told = None, str(error)
    if output:
        assert raw_pixels(output, 0) == pixels
    else:
        assert told.startswith("a.fits: ")
        assert "()" not in told, "a cause stands in the parentheses"


@pytest.mark.parametrize(
    ("content", "cause"), [(b"", "an empty file"), (b"text " * 1000, "not a FITS file"), (b"\x1f\x8b?", "cannot be")]
)
def test_what_is_not_fits_is_refused(tmp_path, content, cause):
    (tmp_path / "a.fits").write_bytes(content)
    refused(tmp_path, cause)


@contextlib.contextmanager
def limited(resource_, number):
    """Let this process have so much of something at the most."""
    limits = resource.getrlimit(resource_)
    resource.setrlimit(resource_, (number, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource_, limits)


@pytest.mark.parametrize("packing", [gzip.compress, bz2.compress], ids=["gz", "bz2"])
def test_a_frame_is_not_to_blame_for_a_full_folder_of_temporary_files(tmp_path, packing):
    write_light(tmp_path / "a.fits")
    (tmp_path / "a.fits").write_bytes(packing((tmp_path / "a.fits").read_bytes()))
    told = (
        r"^a\.fits: cannot be unpacked into /.* \(File too large\); make room there, or set TMPDIR to another folder$"
    )
    with pytest.raises(MachineError, match=told), limited(resource.RLIMIT_FSIZE, 9000):
        run(tmp_path)
    assert list((tmp_path / "out").iterdir()) == []
    assert read(run(tmp_path)).mask[COSMIC]


@pytest.mark.parametrize("packing", [gzip.compress, bz2.compress], ids=["gz", "bz2"])
def test_a_frame_is_to_blame_for_a_stream_that_is_broken(tmp_path, packing):
    write_light(tmp_path / "b.fits")
    content = bytearray(packing((tmp_path / "b.fits").read_bytes()))
    content[-6:] = bytes(6)
    (tmp_path / "a.fits").write_bytes(content)
    with pytest.raises(FrameError, match=r"copy it again, or take it out of the folder$") as caught:
        run(tmp_path)
    assert not isinstance(caught.value, MachineError)


def test_a_frame_is_not_to_blame_for_a_folder_of_temporary_files_that_is_not_there(tmp_path, monkeypatch):
    write_light(tmp_path / "a.fits")
    (tmp_path / "a.fits").write_bytes(gzip.compress((tmp_path / "a.fits").read_bytes()))
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(MachineError, match=r"^a\.fits: cannot be unpacked into /.*/gone \(No such file or dir.*TMPDIR"):
        run(tmp_path)


def test_a_frame_is_not_to_blame_for_rights_and_file_handles(tmp_path):
    write_light(tmp_path / "a.fits")
    (tmp_path / "out").mkdir()
    told = r"^a\.fits: cannot be read \(Too many open files\); raise ulimit -n"
    with pytest.raises(MachineError, match=told), limited(resource.RLIMIT_NOFILE, 3):
        run(tmp_path)
    (tmp_path / "a.fits").chmod(0)
    with without_rights(), pytest.raises(MachineError, match=r"^a\.fits: cannot be read \(Permission .*let this user"):
        run(tmp_path)


def test_a_frame_is_not_to_blame_for_a_result_that_cannot_be_written(tmp_path):
    write_light(tmp_path / "a.fits")
    told = r"masked\.fits: cannot be written \(File too large\); see to its disk"
    with pytest.raises(MachineError, match=told), limited(resource.RLIMIT_FSIZE, 9000):
        run(tmp_path)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_missing_file_is_refused(tmp_path):
    refused(tmp_path, "No such file", name="gone.fits")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["flat"], [(5, 5)]),
        (["dark", "cosmic"], [COSMIC, (20, 20)]),
        (["saturated"], [(row, column) for row in range(28, 33) for column in range(28, 33)]),
        (["notfinite"], [(40, 40)]),
        ([], []),
    ],
)
def test_the_configuration_chooses_what_is_masked(tmp_path, names, expected):
    combined = combined_mask(tmp_path, flat=[(5, 5)], dark=[(20, 20)])
    data = noise()
    data[28:33, 28:33] = 6000  # a saturated star, which the detector leaves alone
    data[40, 40] = np.nan
    write_light(tmp_path / "a.fits", data=data)
    output = run(tmp_path, combined=combined, masked=names, cosmic_rays={"satlevel": 5000})
    assert sorted(map(tuple, np.argwhere(read(output).mask).tolist())) == expected
    assert fits.getheader(output)["LIGHTMASK MASKED"] == sum(Flag[name.upper()] for name in names)
    assert flagged(output, Flag.FLAT) == [(5, 5)]


def test_saturation_is_reckoned_in_electrons_and_reached_at_the_level(tmp_path):
    data = np.full((30, 40), 100, np.float32)
    data[5, 5:8] = 999.5, 1000, 1000.5
    data[9, 9] = np.nan
    write_light(tmp_path / "a.fits", data=data, EGAIN=2.0, FULL=1000)
    output = run(tmp_path, cosmic_rays={"gain": "EGAIN", "satlevel": "FULL"})
    assert flagged(output, Flag.SATURATED) == [(5, 6), (5, 7)]
    assert not read(output).mask[5, 7] or (5, 7) in flagged(output, Flag.COSMIC)


def test_blank_pixels_of_an_integer_frame_are_without_data(tmp_path):
    hdu = fits.PrimaryHDU(noise(np.int16))
    hdu.data[7, 8] = -32768
    hdu.header["IMAGETYP"], hdu.header["BLANK"] = "LIGHT", -32768
    hdu.writeto(tmp_path / "a.fits")
    output = run(tmp_path)
    assert (flagged(output, Flag.NODATA), flagged(output, Flag.NOTFINITE)) == ([(7, 8)], [])
    assert raw_pixels(output, 0) == raw_pixels(tmp_path / "a.fits", 0)


def test_what_is_found_only_beside_known_bad_pixels_is_suspect(tmp_path):
    combined = combined_mask(tmp_path, flat=[COSMIC], dark=[(30, 30)])
    data = noise()
    data[30, 30:32] += 2500
    data[50, 60:63] += 2000
    write_light(tmp_path / "a.fits", data=data)
    chapter, withheld = (
        ccdproc.cosmicray_lacosmic(CCDData(data, unit="adu", mask=mask), readnoise=10, sigclip=8).mask
        for mask in (None, fits.getdata(combined) != 0)
    )
    withheld &= fits.getdata(combined) == 0
    flags = read(run(tmp_path, combined=combined)).flags
    assert np.array_equal((flags & Flag.COSMIC) != 0, chapter & withheld)
    assert np.array_equal((flags & Flag.SUSPECT) != 0, chapter & ~withheld)
    assert flags[50, 61] & Flag.COSMIC and flags[COSMIC] & Flag.SUSPECT


def test_known_bad_pixels_do_not_displace_the_own_mask(tmp_path):
    data = noise()
    data[30, 30] += 3000
    write_light(tmp_path / "a.fits", data=data)
    own = np.zeros(data.shape, np.uint8)
    own[30, 30] = 1
    fits.append(tmp_path / "a.fits", own, fits.Header({"EXTNAME": "MASK"}))
    output = run(tmp_path, combined=combined_mask(tmp_path, flat=[COSMIC]))
    assert flagged(output, Flag.SUSPECT) == [COSMIC]
    assert flagged(output, Flag.COSMIC) == []


def test_keywords_of_the_primary_header_count_for_an_image_in_an_extension(tmp_path):
    write_frame(tmp_path / "a.fits", where="extension")
    header = fits.getheader(run(tmp_path, cosmic_rays={"gain": "ESO DET OUT1 CONAD"}))
    assert header["LIGHTMASK GAIN"] == 1.5


def test_the_header_says_what_was_done_with_which_numbers(tmp_path):
    combined = combined_mask(tmp_path, flat=[(5, 5), (5, 6)], dark=[(5, 6)])
    write_light(tmp_path / "a.fits", EGAIN=1.5)
    output = run(tmp_path, combined=combined, cosmic_rays={"gain": "EGAIN", "sigclip": 7, "sepmed": False})
    header = fits.getheader(output)
    resolved = validated({})["cosmic_rays"] | {"gain": 1.5, "sigclip": 7, "sepmed": False}
    assert resolved.pop("psfk") is None
    for key, value in {"version": __version__, **resolved}.items():
        assert header[f"LIGHTMASK {key.upper()}"] == value
    found = json.loads((tmp_path / "out" / "statistics.json").read_text())
    for reason, count in {"flat": 2, "dark": 1, "cosmic": 1, "saturated": 0, "inherited": 0, "notfinite": 0}.items():
        assert header[f"LIGHTMASK {reason.upper()} PIXELS"] == found[reason] == count
        assert header.comments[f"LIGHTMASK {reason.upper()} PIXELS"].startswith(f"{count} pixels")
    assert header["LIGHTMASK MASKED PIXELS"] == found["masked"] == 3
    assert found["path"] == "a.fits"
    assert found["pixels"] == 64 * 80
    assert found["fraction"] == 3 / (64 * 80)
    stored = [header[f"LIGHTMASK ITERATION {number}"] for number in range(1, len(found["iterations"]) + 1)]
    assert stored == found["iterations"] == [1, 0]


def test_an_own_kernel_is_recorded_by_its_digest(tmp_path):
    kernel = [[0, 0.1, 0], [0.1, 0.6, 0.1], [0, 0.1, 0]]
    write_light(tmp_path / "a.fits")
    header = fits.getheader(run(tmp_path, cosmic_rays={"fsmode": "convolve", "psfk": kernel}))
    digest = hashlib.sha256(np.array(kernel, np.float32).tobytes()).hexdigest()
    assert header["LIGHTMASK PSFK"] == digest[:32]


def test_the_header_names_every_input_with_its_digest(tmp_path):
    combined = combined_mask(tmp_path, flat=[(5, 5)], dark=[(5, 6)])
    name = "a é, 'b' {c}.fits"
    write_light(tmp_path / name)
    header = fits.getheader(run(tmp_path, name, combined))
    for role, file in (("FRAME", name), ("FLAT1", "flat.fits"), ("DARK1", "dark.fits")):
        digest = hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
        assert header[f"LIGHTMASK {role} SHA256"] == digest[:32]
    assert header["LIGHTMASK FRAME"] == "a %C3%A9%2C %27b%27 %7Bc%7D.fits"
    assert header["LIGHTMASK FLAT1"] == "flat.fits"


def test_the_digest_of_a_compressed_frame_is_that_of_its_file(tmp_path):
    write_light(tmp_path / "b.fits")
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress((tmp_path / "b.fits").read_bytes()))
    digest = hashlib.sha256((tmp_path / "a.fits.gz").read_bytes()).hexdigest()
    assert fits.getheader(run(tmp_path, "a.fits.gz"))["LIGHTMASK FRAME SHA256"] == digest[:32]


def test_a_long_name_is_shortened_at_the_front(tmp_path):
    name = "x" * 120 + "end.fits"
    write_light(tmp_path / name)
    stored = fits.getheader(run(tmp_path, name))["LIGHTMASK FRAME"]
    assert stored.startswith("...x")
    assert stored.endswith("end.fits")


def test_bits_stand_in_the_header_of_flags(tmp_path):
    write_light(tmp_path / "a.fits")
    header = fits.getheader(run(tmp_path), "FLAGS")
    for flag in Flag:
        card = f"BIT{int(np.log2(flag))}"
        assert header[card] == flag.name
        assert header.comments[card].startswith(f"{flag.value}: ")


def test_flags_work_with_astropy_bitmask(tmp_path):
    combined = combined_mask(tmp_path, flat=[(5, 5)], dark=[(20, 20)])
    write_light(tmp_path / "a.fits")
    found = read(run(tmp_path, combined=combined)).flags
    name_map = bitmask.extend_bit_flag_map("Lightmask", **bits.BITS)
    mask = bitmask.bitfield_to_boolean_mask(found, ignore_flags="FLAT,COSMIC", flag_name_map=name_map)
    assert np.argwhere(mask).tolist() == [[20, 20]]


@pytest.mark.parametrize("where", ["primary", "extension"])
def test_checksums_verify(tmp_path, where):
    write_frame(tmp_path / "a.fits", "uint16", where)
    output = run(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(output, checksum=True) as hdus:
            for hdu in hdus:
                assert {"CHECKSUM", "DATASUM"} <= set(hdu.header)
                assert hdu.verify_checksum() == hdu.verify_datasum() == 1
            hdus.verify("exception")


def test_old_checksums_of_the_frame_are_replaced(tmp_path):
    write_light(tmp_path / "a.fits")
    with fits.open(tmp_path / "a.fits") as hdus:
        hdus.writeto(tmp_path / "b.fits", checksum=True)
    with fits.open(run(tmp_path, "b.fits"), checksum=True) as hdus:
        assert [hdu.header.count("CHECKSUM") for hdu in hdus] == [1, 1, 1]


def test_the_same_frame_gives_the_same_bytes_without_a_time(tmp_path):
    combined = combined_mask(tmp_path, flat=[(5, 5)], dark=[(20, 20)])
    write_light(tmp_path / "a.fits")
    first = [run(tmp_path, combined=combined).read_bytes(), (tmp_path / "out" / "statistics.json").read_bytes()]
    shutil.rmtree(tmp_path / "out")
    second = [run(tmp_path, combined=combined).read_bytes(), (tmp_path / "out" / "statistics.json").read_bytes()]
    assert first == second
    with fits.open(tmp_path / "out" / "masked.fits") as hdus:
        headers = "".join(hdu.header.tostring() for hdu in hdus)
    assert not re.search(r"\d{4}-\d\d-\d\d|\d\d:\d\d", headers)
    assert "DATE" not in headers


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_the_frame_is_not_written_to(tmp_path, name):
    write_light(tmp_path / name, BUNIT="adu")
    (tmp_path / name).chmod(0o444)
    before = (tmp_path / name).read_bytes(), (tmp_path / name).stat().st_mtime_ns
    run(tmp_path, name)
    assert ((tmp_path / name).read_bytes(), (tmp_path / name).stat().st_mtime_ns) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "out"]


def test_an_older_result_is_replaced_whole(tmp_path):
    write_light(tmp_path / "a.fits")
    output = run(tmp_path)
    before = output.read_bytes()
    output.write_bytes(b"x" * 100_000)
    assert run(tmp_path).read_bytes() == before
    assert sorted(path.name for path in output.parent.iterdir()) == ["masked.fits", "statistics.json"]


@pytest.mark.parametrize(
    "parameters",
    [{}, {"gain": 1.5, "sepmed": False, "niter": 2}, {"fsmode": "convolve"}],
    ids=str,
)
def test_both_detectors_give_the_same_files(tmp_path, parameters):
    data = skies.star_field(150, seed=4, stars=1500, tracks=1500).astype(np.float32)
    data[40, 40:43] = np.nan
    write_light(tmp_path / "a.fits", data=data)
    with fits.open(tmp_path / "a.fits", mode="append") as hdus:
        hdus.append(fits.ImageHDU((np.arange(150 * 150) % 97 == 0).astype(np.uint8).reshape(150, 150), name="MASK"))
    combined = combined_mask(tmp_path, flat=[(60, 60)], dark=[(80, 81)], shape=(150, 150))
    found = []
    for detector in ("lightmask", "ccdproc"):
        path = run(tmp_path, combined=combined, cosmic_rays=parameters | {"detector": detector})
        with fits.open(path) as hdus:
            assert hdus[0].header["LIGHTMASK DETECTOR"] == detector
            cards = [
                [str(card) for card in hdu.header.cards if card.keyword not in ("LIGHTMASK DETECTOR", "CHECKSUM")]
                for hdu in hdus
            ]
            found.append((cards, [hdu.data.tobytes() for hdu in hdus]))
            assert np.count_nonzero(hdus["FLAGS"].data & Flag.COSMIC) > 20
    assert found[0] == found[1]


def test_bytes_that_fits_does_not_allow_in_a_header_stay(tmp_path):
    write_light(tmp_path / "a.fits", OBJECT="caf?")
    odd = (tmp_path / "a.fits").read_bytes().replace(b"caf?", "caf\xe9".encode("latin-1"))
    (tmp_path / "a.fits").write_bytes(odd)
    assert "caf\xe9".encode("latin-1") in run(tmp_path).read_bytes()


def test_a_scaling_that_is_no_number_is_refused(tmp_path):
    write_light(tmp_path / "a.fits")
    odd = (tmp_path / "a.fits").read_bytes().replace(b"FILTER  = 'r       '", b"BSCALE  = 'r       '")
    (tmp_path / "a.fits").write_bytes(odd)
    refused(tmp_path, "BSCALE is 'r', expected a number")
