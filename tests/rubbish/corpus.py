"""A night of bad and odd files, made on the spot, with what must become of each written beside it."""

import bz2
import gzip
import io
import os
import re
import socket
import zipfile
from pathlib import Path

import numpy as np
from astropy.io import fits

SHAPE = (40, 48)
COSMIC = (10, 12)


def gzipped(content):
    """Pack bytes as gzip does, without the time, which would make each day's files others."""
    return gzip.compress(content, mtime=0)


class Masked(dict):
    """Pixels by reason; what is not named has none."""


class LeftOut(str):
    """No LIGHT frame to mask; the type that the table of frames shows."""


def unreadable(cause):
    return f"cannot be read ({cause}); copy it again, or take it out of the folder"


def no_whole_number(keyword, found):
    return unreadable(f"{keyword} is {found!r}, expected a whole number")


def unit(found):
    return (
        f"BUNIT is {found!r}, expected adu or electron, or one of them per second; convert the frame, or say in "
        "unit_names what it means"
    )


def two_axes(shape):
    remedy = "mask the frames that it was put together from, or write each plane into a file of its own"
    return f"image of shape {shape}, expected two axes with pixels; {remedy if shape.count('x') > 1 else 'convert it'}"


# --- makers: the bytes of a file, or a function that makes it at a path --------------


def sky(dtype=np.float32, shape=SHAPE):
    """Noise, and one cosmic ray as far as the shape has room for it."""
    data = np.random.default_rng(11).normal(100, 5, shape)
    if data.ndim > 1 and data.shape[-2] > COSMIC[0] and data.shape[-1] > COSMIC[1]:
        data[..., COSMIC[0], COSMIC[1]] = 120 if dtype == np.int8 else 250 if dtype == np.uint8 else 3000
    return data.astype(dtype)


def content_of(*hdus):
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file, output_verify="ignore")
    return file.getvalue()


def primary(data=None, **cards):
    hdu = fits.PrimaryHDU(sky() if data is None else data)
    hdu.header.update({"IMAGETYP": "LIGHT", "EXPTIME": 10.0, "INSTRUME": "sound"} | cards)
    return hdu


def light(data=None, *extensions, **cards):
    return content_of(primary(data, **cards), *extensions)


def extension(data, name, **cards):
    return fits.ImageHDU(data, fits.Header(cards), name=name)


def with_cards(*cards, data=None, instead=()):
    """A LIGHT frame with cards as they stand, in front of END or in place of those of a keyword."""
    content = light(data)
    start = next(n for n in range(0, len(content), 80) if content[n : n + 80] == b"END".ljust(80))
    header = [content[n : n + 80] for n in range(0, start, 80)]
    header = [card for card in header if card[:8].decode().strip() not in instead]
    added = [card.encode() if isinstance(card, str) else card for card in cards]
    text = b"".join([*header, *(card.ljust(80)[:80] for card in added), b"END".ljust(80)])
    return text + b" " * (-len(text) % 2880) + content[start + -start % 2880 :]


def with_axes(*lengths, bitpix=-32, data=b""):
    """A header that promises an image, and what follows it."""
    cards = ["SIMPLE  =                    T", f"BITPIX  = {bitpix:>20}", f"NAXIS   = {len(lengths):>20}"]
    cards += [f"{f'NAXIS{n}':<8}= {length:>20}" for n, length in enumerate(lengths, 1)]
    cards += ["IMAGETYP= 'LIGHT   '", "INSTRUME= 'sound'", "END"]
    text = "".join(card.ljust(80) for card in cards).encode()
    return text + b" " * (-len(text) % 2880) + data + bytes(-len(data) % 2880)


def packed(data=None, compression="RICE_1", **options):
    """A tile-compressed frame."""
    hdu = fits.CompImageHDU(sky(np.int16) if data is None else data, compression_type=compression, **options)
    hdu.header.update({"IMAGETYP": "LIGHT", "INSTRUME": "sound"})
    return content_of(fits.PrimaryHDU(), hdu)


def changed(content, old, new, count=1):
    assert content.count(old) >= 1
    return content.replace(old, new, count)


def broken_tiles():
    content = bytearray(packed())
    with fits.open(io.BytesIO(bytes(content)), disable_image_compression=True) as hdus:
        start = hdus[1].fileinfo()["datLoc"]
    content[start : start + 8] = b"\xff" * 8  # the descriptor of the first tile leads nowhere
    return bytes(content)


def broken(stream, at):
    """Damage a stream."""
    return stream[:at] + bytes(byte ^ 0xFF for byte in stream[at : at + 20]) + stream[at + 20 :]


def filled(value, dtype=np.float32):
    return np.full(SHAPE, value, dtype)


def spotted(**spots):
    data = sky()
    for place, value in (((20, 20), spots.get("one")), ((30, slice(5, 9)), spots.get("four"))):
        if value is not None:
            data[place] = value
    return data


def table(**cards):
    return fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1, 2])], fits.Header(cards))


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.fits", content)
    return file.getvalue()


def link_to(target):
    return lambda path: path.symlink_to(target)


def forbidden(path):
    path.write_bytes(light())
    path.chmod(0)


def tomorrow(path):
    path.write_bytes(light())
    os.utime(path, (path.stat().st_mtime + 86_400,) * 2)


def bind_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket has 108 bytes at the most
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


WHOLE = light(None, extension(sky(), "WEIGHT"))
"""Blocks: a header, 3 of pixels, a header, 3 of pixels; of each third block of pixels 1920 bytes are used."""
BLOCK = 2880
ONE = Masked(cosmic=1)
TRUNCATED = unreadable("truncated: it ends before its pixels do")
BREAKS_OFF = unreadable("truncated or corrupt: the header of an HDU breaks off")
NO_IMAGE = "no image in the primary HDU or an extension; take it out of the folder"
NOWHERE = "a link that leads nowhere; fix the link, or take it out of the folder"
NOT_REGULAR = "not a regular file; take it out of the folder"
STREAM_CUT = unreadable("Compressed file ended before the end-of-stream marker was reached")
STREAM_BROKEN = re.compile(r"cannot be read \([A-Z].*\); copy it again, or take it out of the folder")
JUNK_BEHIND = re.compile(r"cannot be read \(no header where one must begin, but b.*\); .*")
GROUPS = "GROUPS is True, expected an image and no random groups; convert it"
EMPTY = "an empty file, expected FITS; copy it again, or take it out of the folder"
SELF_MASK, SELF_FLAGS = (
    f"its image has the EXTNAME {name}, which is that of a companion of an image; rename it, or name it in "
    "`images: science`"
    for name in ("MASK", "FLAGS")
)
NO_MASK = "its MASK has no data, expected 48x40; fix or remove it"
ALL = SHAPE[0] * SHAPE[1]


def not_fits(beginning):
    return f"not a FITS file: begins with {beginning!r}, expected b'SIMPLE  ='; take it out of the folder"


def not_fits_of(beginning=b""):
    """As `not_fits`, where bytes differ between versions of a library."""
    return re.compile(re.escape(f"not a FITS file: begins with {beginning!r}"[: -1 if beginning else -3]) + ".*")


STRUCTURE = {
    "zero_bytes.fits": (b"", EMPTY),
    "cut_in_first_card.fits": (WHOLE[:7], not_fits(b"SIMPLE ")),
    "cut_behind_first_card.fits": (WHOLE[:80], BREAKS_OFF),
    "cut_in_header.fits": (WHOLE[: BLOCK - 1], BREAKS_OFF),
    "cut_behind_header.fits": (WHOLE[:BLOCK], TRUNCATED),
    "cut_in_pixels.fits": (WHOLE[: 2 * BLOCK], TRUNCATED),
    "cut_before_last_pixel.fits": (WHOLE[: BLOCK + ALL * 4 - 1], TRUNCATED),
    "cut_behind_last_pixel.fits": (WHOLE[: BLOCK + ALL * 4], ONE),
    "cut_in_padding.fits": (WHOLE[: 4 * BLOCK - 1], ONE),
    "cut_behind_padding.fits": (WHOLE[: 4 * BLOCK], ONE),
    "cut_in_second_header.fits": (WHOLE[: 4 * BLOCK + 100], BREAKS_OFF),
    "cut_behind_second_header.fits": (WHOLE[: 5 * BLOCK], TRUNCATED),
    "cut_in_second_pixels.fits": (WHOLE[: 6 * BLOCK], TRUNCATED),
    "cut_in_second_padding.fits": (WHOLE[:-1], ONE),
    "zeros_behind.fits": (WHOLE + bytes(5 * BLOCK), ONE),
    "junk_behind.fits": (WHOLE + b"junk" * 1000, unreadable("no header where one must begin, but b'junkjunkj'")),
    "line_end_behind.fits": (WHOLE + b"\n", unreadable("no header where one must begin, but b'\\n'")),
    "text.fits": (b"observing log\n" * 400, not_fits(b"observing")),
    "page.fits": (b"<html><script>alert(1)</script>" * 99, not_fits(b"<html><sc")),
    "zip.fits": (zipped(WHOLE), not_fits(b"PK\x03\x04\x14\0\0\0\0")),
    "random.fits": (np.random.default_rng(3).bytes(20_000), not_fits_of()),
    "table.fits": (content_of(fits.PrimaryHDU(), table(IMAGETYP="LIGHT")), NO_IMAGE),
    "only_a_header.fits": (content_of(fits.PrimaryHDU(header=fits.Header({"IMAGETYP": "LIGHT"}))), NO_IMAGE),
    "extension_first.fits": (
        changed(WHOLE, b"SIMPLE  =                    T", b"XTENSION= 'IMAGE   '          "),
        not_fits(b"XTENSION="),
    ),
}

SHAPES = {
    "1d.fits": (light(sky(shape=(50,))), two_axes("50")),
    "3d_unit_axis.fits": (light(sky(shape=(1, *SHAPE))), ONE),
    "3d.fits": (light(sky(shape=(3, *SHAPE))), two_axes("48x40x3")),
    "0x0.fits": (with_axes(0, 0), two_axes("0x0")),
    "0x40.fits": (with_axes(0, 40), two_axes("0x40")),
    "1x1.fits": (light(sky(shape=(1, 1))), Masked()),
    "2x3.fits": (light(sky(shape=(3, 2))), Masked()),
    "3x3.fits": (light(sky(shape=(3, 3))), Masked()),
    "5x4.fits": (light(sky(shape=(4, 5))), Masked()),
    "100000x1.fits": (light(sky(shape=(1, 100_000))), Masked()),
    "1x100000.fits": (light(sky(shape=(100_000, 1))), Masked()),
    "terabytes.fits": (with_axes(1_000_000, 1_000_000, data=sky().tobytes()), TRUNCATED),
    "beyond_all.fits": (with_axes(10**19, 10**19, data=sky().tobytes()), TRUNCATED),
    "terabytes_of_table.fits": (
        changed(
            content_of(fits.PrimaryHDU(), table(), extension(sky(), "SCI", IMAGETYP="LIGHT", INSTRUME="sound")),
            b"NAXIS2  =                    2",
            b"NAXIS2  = 99999999999999999999",
        ),
        TRUNCATED,
    ),
    "packed_terabytes.fits.gz": (gzipped(with_axes(1_000_000, 1_000_000, data=sky().tobytes())), TRUNCATED),
}

PIXELS = {
    "nan_all.fits": (light(filled(np.nan)), Masked(notfinite=ALL)),
    "nan_some.fits": (light(spotted(one=np.nan, four=np.nan)), Masked(cosmic=1, notfinite=5)),
    "inf_some.fits": (light(spotted(one=np.inf, four=-np.inf)), Masked(cosmic=1, notfinite=5, saturated=1)),
    "inf_all.fits": (light(filled(np.inf)), Masked(notfinite=ALL, saturated=ALL)),
    "saturated_all.fits": (light(filled(65535, np.uint16)), Masked(saturated=ALL)),
    "saturated_some.fits": (light(spotted(four=7e4)), Masked(cosmic=5, saturated=4)),
    "constant.fits": (light(filled(7)), Masked()),
    "zeros.fits": (light(filled(0)), Masked()),
    "negative.fits": (light(filled(-1000)), Masked()),
    "largest_float.fits": (light(spotted(one=3e38)), Masked(cosmic=2, saturated=1)),
    "too_large_for_float32.fits": (light(spotted().astype(">f8") * 1e300), Masked(saturated=ALL)),
    "smallest_float.fits": (light(sky() * np.float32(1e-42)), Masked()),
    "swapped_bytes.fits": (content_of(primary(sky(np.int16).byteswap())), Masked(cosmic=427, suspect=25)),
}

KINDS = {
    **{
        f"{np.dtype(kind).name}.fits": (light(sky(kind)), Masked() if kind is np.int8 else ONE)
        for kind in (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, "f4", "f8")
    },
    "bscale_blank.fits": (
        with_cards("BSCALE  = 0.5", "BZERO   = 10", "BLANK   = 77", data=np.where(sky() > 110, 77, sky()).astype("i2")),
        Masked(nodata=45),
    ),
    "blank_unsigned.fits": (with_cards("BZERO   = 32768", "BLANK   = 77", data=sky(np.int16)), ONE),
    "blank_of_floats.fits": (with_cards("BLANK   = 77"), ONE),
    "blank_text.fits": (with_cards("BLANK   = 'none'", data=sky(np.int16)), ONE),
    "blank_fraction.fits": (with_cards("BLANK   = 77.5", data=sky(np.int16)), ONE),
    "blank_out_of_range.fits": (with_cards("BLANK   = 99999999999999999999", data=sky(np.int16)), ONE),
    "bscale_zero.fits": (with_cards("BSCALE  = 0.0", "BZERO   = 5"), Masked()),
    "bscale_nan.fits": (with_cards("BSCALE  = NaN"), unreadable("BSCALE is nan, expected a number")),
    "bzero_inf.fits": (with_cards("BZERO   = INF"), unreadable("BZERO is inf, expected a number")),
    "bscale_text.fits": (with_cards("BSCALE  = '0.5'"), unreadable("BSCALE is '0.5', expected a number")),
    "bscale_huge.fits": (with_cards("BSCALE  = 1E300"), Masked(notfinite=ALL, saturated=ALL)),
    "bscale_long.fits": (with_cards("BSCALE  = " + "9" * 69), Masked(notfinite=ALL, saturated=ALL)),
    "bitpix_12.fits": (
        with_axes(48, 40, bitpix=12, data=bytes(9000)),
        unreadable("BITPIX is 12, expected one of 8, 16, 32, 64, -32, -64"),
    ),
    "bitpix_0.fits": (
        with_axes(48, 40, bitpix=0, data=bytes(9000)),
        unreadable("BITPIX is 0, expected one of 8, 16, 32, 64, -32, -64"),
    ),
    "bitpix_text.fits": (with_axes(48, 40, bitpix="'16'", data=bytes(9000)), no_whole_number("BITPIX", "16")),
    "bitpix_missing.fits": (with_cards(instead=["BITPIX"]), no_whole_number("BITPIX", None)),
}

PLAIN = light()
COMPRESSED = {
    "rice.fits.fz": (packed(), ONE),
    "gzip_1.fits.fz": (packed(compression="GZIP_1"), ONE),
    "gzip_2.fits.fz": (packed(sky(), "GZIP_2", quantize_level=0), ONE),
    "hcompress.fits.fz": (packed(compression="HCOMPRESS_1"), ONE),
    "plio.fits.fz": (packed(compression="PLIO_1"), ONE),
    "tiles_with_nan.fits.fz": (packed(spotted(four=np.nan), quantize_level=16), Masked(cosmic=1, notfinite=4)),
    "broken_tiles.fits.fz": (
        broken_tiles(),
        unreadable("broken tile compression: decompression error: hit end of compressed byte stream"),
    ),
    "tiles_cut.fits.fz": (packed()[:-BLOCK], TRUNCATED),
    "tiles_of_terabytes.fits.fz": (
        changed(packed(), b"ZNAXIS1 =                   48", b"ZNAXIS1 =        1000000000000"),
        unreadable("it has 40 tiles, expected 833333333360"),
    ),
    "one_tile_of_terabytes.fits.fz": (
        changed(
            changed(packed(tile_shape=SHAPE), b"ZNAXIS1 =                   48", b"ZNAXIS1 =        1000000000000"),
            b"ZTILE1  =                   48",
            b"ZTILE1  =        1000000000000",
        ),
        re.compile(r"cannot be read \(1000000000000x40 pixels do not fit into \d+ bytes\); .*"),
    ),
    "tiles_of_no_size.fits.fz": (
        changed(packed(), b"ZTILE1  =                   48", b"ZTILE1  =                    0"),
        unreadable("tiles of [0, 1] pixels"),
    ),
    "tiles_larger_than_said.fits.fz": (
        changed(packed(compression="HCOMPRESS_1"), b"\xdd\x99\0\0\0", b"\xdd\x99\0\0\1"),
        re.compile(r"cannot be read \(broken tile compression: a tile of [0-9]+x48 pixels\); .*"),
    ),
    "tiles_of_many_fields.fits.fz": (
        changed(packed(), b"TFIELDS =                    1", b"TFIELDS =  9223372036854775808"),
        unreadable("TFIELDS is 9223372036854775808, expected 0 to 999"),
    ),
    "tiles_of_no_width.fits.fz": (
        changed(packed(sky(), quantize_level=16), b"ZVAL2   =                    4", b"ZVAL2   =                   -1"),
        unreadable("BYTEPIX is -1, expected 1, 2 or 4"),
    ),
    "tiles_of_twice_the_width.fits.fz": (
        changed(packed(), b"ZVAL2   =                    2", b"ZVAL2   =                    8"),
        unreadable("BYTEPIX is 8, expected 1, 2 or 4"),
    ),
    "tiles_too_few.fits.fz": (
        changed(packed(), b"ZNAXIS2 =                   40", b"ZNAXIS2 =                   80"),
        unreadable("it has 40 tiles, expected 80"),
    ),
    "tiles_of_nothing_known.fits.fz": (
        changed(packed(), b"RICE_1  ", b"RICE_9  "),
        re.compile(r"cannot be read \(broken tile compression: Un.*\); .*"),
    ),
    "tiles_without_naxis.fits.fz": (
        changed(packed(), b"ZNAXIS1 =", b"YNAXIS1 ="),
        no_whole_number("ZNAXIS1", None),
    ),
    "tiles_without_column.fits.fz": (
        changed(packed(), b"'COMPRESSED_DATA'", b"'COMPRESSED_DATE'"),
        re.compile(r"cannot be read \(broken tile compression: .*COMPRESSED_DATA.*\); .*"),
    ),
    "gzip.fits.gz": (gzipped(PLAIN), ONE),
    "gzip_without_suffix.fits": (gzipped(PLAIN), ONE),
    "gzip_two_members.fits.gz": (gzipped(PLAIN[:5000]) + gzipped(PLAIN[5000:]), ONE),
    "gzip_not_packed.fits.gz": (PLAIN, ONE),
    "gzip_of_tiles.fits.gz": (gzipped(packed()), ONE),
    "gzip_twice.fits.gz": (gzipped(gzipped(PLAIN)), not_fits_of(b"\x1f\x8b")),
    "gzip_cut.fits.gz": (gzipped(PLAIN)[:-900], STREAM_CUT),
    "gzip_cut_in_header.fits.gz": (gzipped(PLAIN)[:30], STREAM_CUT),
    "gzip_checksum.fits.gz": (broken(gzipped(PLAIN), -8), STREAM_BROKEN),
    "gzip_broken.fits.gz": (broken(gzipped(PLAIN), 3000), STREAM_BROKEN),
    "gzip_junk_behind.fits.gz": (gzipped(PLAIN) + b"junk", STREAM_BROKEN),
    "gzip_empty.fits.gz": (gzipped(b""), EMPTY),
    "gzip_two_bytes.fits.gz": (b"\x1f\x8b", STREAM_CUT),
    "bzip2.fits.bz2": (bz2.compress(PLAIN), ONE),
    "bzip2_cut.fits.bz2": (bz2.compress(PLAIN)[:-900], STREAM_CUT),
    "bzip2_broken.fits.bz2": (broken(bz2.compress(PLAIN), 3000), not_fits_of()),
    "bzip2_two_bytes.fits.bz2": (b"BZ", STREAM_CUT),
    "bzip2_text.fits": (b"BZ is no FITS file", STREAM_BROKEN),
    "unix_compress.fits": (b"\x1f\x9d\x90" + bytes(99), not_fits(b"\x1f\x9d\x90" + bytes(6))),
    "xz.fits": (b"\xfd7zXZ\0" + bytes(99), not_fits(b"\xfd7zXZ\0\0\0\0")),
}

HEADERS = {
    "type_twice.fits": (with_cards("IMAGETYP= 'BIAS'"), ONE),
    "type_twice_bias_first.fits": (
        with_cards("IMAGETYP= 'BIAS'", "IMAGETYP= 'LIGHT'", instead=["IMAGETYP"]),
        LeftOut("BIAS"),
    ),
    "naxis_twice.fits": (with_cards("NAXIS1  = 1000000"), unreadable("NAXIS1 is both 48 and 1000000")),
    "naxis_twice_the_same.fits": (with_cards("NAXIS1  = 48"), ONE),
    "simple_f.fits": (
        changed(PLAIN, b"SIMPLE  =                    T", b"SIMPLE  =                    F"),
        "SIMPLE is False, expected T; convert it to standard FITS",
    ),
    "over_long_text.fits": (with_cards("OBJECT  = '" + "x" * 69), ONE),
    "quote_open.fits": (with_cards("OBJECT  = 'M 13"), ONE),
    "quote_only.fits": (with_cards("OBJECT  = '"), ONE),
    "quotes.fits": (with_cards("""OBJECT  = 'it''s "M 13" \\ `x` $(touch x)'"""), ONE),
    "latin_1.fits": (with_cards("OBJECT  = 'Größe'".encode("latin-1")), ONE),
    "utf_8.fits": (with_cards("OBJECT  = 'Größe Ω'".encode()), ONE),
    "nul_bytes.fits": (with_cards(b"OBJECT  = 'M\0 13'", b"\0" * 80), ONE),
    "escapes.fits": (with_cards(b"OBJECT  = '\x1b[31mred\x07'", b"FILTER  = '\x1b]0;title\x07'"), ONE),
    "line_ends.fits": (with_cards(b"OBJECT  = 'M\n13\r'"), ONE),
    "no_end.fits": (with_cards().replace(b"END     ", b"        "), BREAKS_OFF),
    "no_end_at_all.fits": (b"SIMPLE  =                    T".ljust(80) + b"COMMENT ".ljust(80) * 4000, BREAKS_OFF),
    "end_with_text.fits": (with_cards().replace(b"END     ", b"END OF H"), BREAKS_OFF),
    "cards_behind_end.fits": (with_cards("END", "OBJECT  = 'behind'"), ONE),
    "naxis_missing.fits": (with_cards(instead=["NAXIS"]), no_whole_number("NAXIS", None)),
    "naxis2_missing.fits": (with_cards(instead=["NAXIS2"]), no_whole_number("NAXIS2", None)),
    "naxis_3_of_2.fits": (with_cards("NAXIS   = 3", instead=["NAXIS"]), no_whole_number("NAXIS3", None)),
    "naxis_1_of_2.fits": (with_cards("NAXIS   = 1", instead=["NAXIS"]), two_axes("48")),
    "naxis_1000.fits": (
        with_cards("NAXIS   = 1000", instead=["NAXIS"]),
        unreadable("NAXIS is 1000, expected 0 to 999"),
    ),
    "naxis_text.fits": (with_cards("NAXIS1  = '48'", instead=["NAXIS1"]), no_whole_number("NAXIS1", "48")),
    "naxis_float.fits": (with_cards("NAXIS1  = 48.0", instead=["NAXIS1"]), no_whole_number("NAXIS1", 48.0)),
    "naxis_underscore.fits": (with_cards("NAXIS1  = 4_8", instead=["NAXIS1"]), no_whole_number("NAXIS1", "4_8")),
    "naxis_negative.fits": (with_cards("NAXIS1  = -48", instead=["NAXIS1"]), unreadable("an axis of -48 pixels")),
    "naxis_too_large.fits": (with_cards("NAXIS1  = 49", instead=["NAXIS1"]), Masked(nodata=40)),
    "naxis_too_small.fits": (with_cards("NAXIS2  = 2", "NAXIS1  = 3", instead=["NAXIS1", "NAXIS2"]), JUNK_BEHIND),
    "pcount.fits": (with_cards("PCOUNT  = -5"), unreadable("GCOUNT and PCOUNT are (1, -5), expected whole numbers")),
    "gcount.fits": (with_cards("GCOUNT  = 99999999999999999999"), TRUNCATED),
    "groups.fits": (with_cards("GROUPS  = T"), GROUPS),
    "nan_value.fits": (with_cards("EXPTIME = NaN", "XPIXSZ  = NaN", instead=["EXPTIME"]), ONE),
    "infinite_value.fits": (with_cards("EXPTIME = 1E999", "XPIXSZ  = -INF", instead=["EXPTIME"]), ONE),
    "long_number.fits": (with_cards("EXPTIME = " + "9" * 69, instead=["EXPTIME"]), ONE),
    "continue.fits": (with_cards("OBJECT  = 'long &'", "CONTINUE  'text &'", "CONTINUE  'here'"), ONE),
    "continue_alone.fits": (with_cards("CONTINUE  'nothing before'", "OBJECT  = 'cut &'"), ONE),
    "continue_number.fits": (with_cards("OBJECT  = 'long &'", "CONTINUE  5"), ONE),
    "hierarch.fits": (
        with_cards("HIERARCH ESO DET OUT1 CONAD = 1.5", "HIERARCH", "HIERARCH = 3", "HIERARCH a==b"),
        ONE,
    ),
    "lower_case.fits": (with_cards("imagetyp= 'LIGHT'", instead=["IMAGETYP"]), ONE),
    "no_blank_behind_equals.fits": (with_cards("IMAGETYP='LIGHT'", instead=["IMAGETYP"]), LeftOut("")),
    "type_of_many_lines.fits": (with_cards(b"IMAGETYP= 'LI\nGHT'", instead=["IMAGETYP"]), LeftOut("LI\nGHT")),
    "type_number.fits": (with_cards("IMAGETYP= 1", instead=["IMAGETYP"]), LeftOut("1")),
    "header_of_megabytes.fits": (
        with_cards(*["COMMENT x"] * 40_000),
        unreadable("a header without END in its first 36036 cards"),
    ),
    "header_of_300_blocks.fits": (with_cards(*["COMMENT x"] * 300 * 36), ONE),
    "exposure_zero.fits": (with_cards("EXPTIME = 0.0", instead=["EXPTIME"]), ONE),
    "exposure_negative.fits": (with_cards("EXPTIME = -10.0", instead=["EXPTIME"]), ONE),
    "exposure_text.fits": (with_cards("EXPTIME = 'ten'", instead=["EXPTIME"]), ONE),
    "exposure_blank.fits": (with_cards("EXPTIME =", instead=["EXPTIME"]), ONE),
    "unit_unknown.fits": (
        with_cards("BUNIT   = 'Jy\x1b[31m'"),
        unit("Jy\x1b[31m"),
    ),
    "made_by_lightmask.fits": (with_cards("HIERARCH LIGHTMASK VERSION = '0.1'"), LeftOut("made by lightmask")),
    "named_mask.fits": (light(EXTNAME="MASK"), SELF_MASK),
    "named_flags.fits": (light(EXTNAME="FLAGS"), SELF_FLAGS),
    "image_named_mask.fits": (
        content_of(fits.PrimaryHDU(), extension(sky(), "MASK", IMAGETYP="LIGHT", INSTRUME="sound")),
        SELF_MASK,
    ),
}


def own(mask, **cards):
    return light(None, extension(mask, "MASK", **cards))


def bad(value, dtype, shape=SHAPE):
    mask = np.zeros(shape, dtype)
    mask[0, :3] = value
    return mask


def static(mask, type_, camera):
    """A flat mask or dark mask of one camera."""
    return content_of(primary(mask, IMAGETYP=type_, INSTRUME=camera))


MASKS = {
    "own_mask_of_floats.fits": (own(bad(0.5, "f4")), Masked(cosmic=1, inherited=3)),
    "own_mask_with_nan.fits": (own(bad(np.nan, "f4")), Masked(cosmic=1, inherited=3)),
    "own_mask_all_bad.fits": (own(filled(1, np.uint8)), Masked(inherited=ALL)),
    "own_mask_of_other_shape.fits": (
        own(bad(1, np.uint8, (48, 40))),
        "its MASK has 40x48, expected 48x40; fix or remove it",
    ),
    "own_mask_a_table.fits": (light(None, table(EXTNAME="MASK")), NO_MASK),
    "own_mask_empty.fits": (light(None, extension(None, "MASK")), NO_MASK),
    "own_mask_twice.fits": (
        light(None, extension(bad(1, np.uint8), "MASK"), extension(bad(1, np.uint8), "MASK")),
        Masked(cosmic=1, inherited=3),
    ),
    "own_mask_cut.fits": (own(bad(1, np.uint8))[:-BLOCK], TRUNCATED),
    "own_flags.fits": (light(None, extension(bad(1, np.uint8), "FLAGS")), ONE),
    "floats/flat_mask.fits": (static(bad(0.5, "f4"), "flat mask", "floats"), LeftOut("flat mask")),
    "floats/light.fits": (light(INSTRUME="floats"), Masked(cosmic=1, flat=3)),
    "nan/dark_mask.fits": (static(bad(np.nan, "f8"), "dark mask", "nan"), LeftOut("dark mask")),
    "nan/light.fits": (light(INSTRUME="nan"), Masked(cosmic=1, dark=3)),
    "all_bad/flat_mask.fits": (static(filled(1, np.uint8), "flat mask", "all bad"), LeftOut("flat mask")),
    "all_bad/light.fits": (light(INSTRUME="all bad"), Masked(suspect=1, flat=ALL)),
    "other_shape/flat_mask.fits": (static(bad(1, np.uint8, (5, 6)), "flat mask", "other"), LeftOut("flat mask")),
    "other_shape/light.fits": (light(INSTRUME="other"), ONE),
    "cut/flat_mask.fits": (static(bad(1, np.uint8), "flat mask", "cut")[:-BLOCK], LeftOut("flat mask")),
    "cut/light.fits": (light(INSTRUME="cut"), f"cut/flat_mask.fits: {TRUNCATED}"),
    "darks/dark.fits": (light(IMAGETYP="DARK", INSTRUME="darks", EXPTIME=0), LeftOut("dark")),
    "darks/light.fits": (light(INSTRUME="darks"), ONE),
}

PLACES = {
    "folder.fits": (Path.mkdir, "a folder, without FITS files in it; rename it, or take it out of the folder"),
    "folder_with_a_frame.fits/light.fits": (light(), ONE),
    "dangling.fits": (link_to("gone.fits"), NOWHERE),
    "loop_a.fits": (link_to("loop_b.fits"), NOWHERE),
    "loop_b.fits": (link_to("loop_a.fits"), NOWHERE),
    "loop_to_itself.fits": (link_to("loop_to_itself.fits"), NOWHERE),
    "loop_of_folders.fits": (link_to("."), None),
    "pipe.fits": (os.mkfifo, NOT_REGULAR),
    "socket.fits": (bind_socket, NOT_REGULAR),
    "zeros_for_ever.fits": (link_to("/dev/zero"), NOT_REGULAR),
    "forbidden.fits": (forbidden, "cannot be read (Permission denied); let this user read it, then start again"),
    "io_error.fits": (
        link_to("/proc/self/mem"),
        "cannot be read (Input/output error); see to the disk or the network that it is on, then start again",
    ),
    "collision.fits": (light(), "its result collision.fits would collide with that of collision.fits.gz; rename one"),
    "collision.fits.gz": (
        gzipped(light()),
        "its result collision.fits would collide with that of collision.fits; rename one",
    ),
    "n" * 250 + ".fits": (light(), ONE),
    "m" * 247 + ".fits.gz": (gzipped(light()), ONE),
    "," * 250 + ".fits": (light(), ONE),
    "," * 249 + "..fits": (light(), ONE),
    "ü" * 125 + ".fits": (light(), ONE),
    "d" * 255 + "/" + "e" * 255 + "/light.fits": (light(), ONE),
    "/".join(["deep'er"] * 250) + "/light.fits": (light(), ONE),
    "from_tomorrow.fits": (
        tomorrow,
        re.compile(
            r"changed at [-0-9]+ [0-9:]+, which is ahead of this machine's clock; set the clock, or touch the file"
        ),
    ),
    "$(touch x).fits": (light(), ONE),
    "; rm -rf x; .fits": (light(), ONE),
    "a..%2F..%2F..%2F..%2Fx.fits": (light(), ONE),
    "<script>alert(1)<.fits": (light(), ONE),
    "line\nend\x1b[31m.fits": (light(), ONE),
    "line\nend\x1b[31m cut.fits": (WHOLE[: 2 * BLOCK], TRUNCATED),
    os.fsdecode(b"\xff\xfe.fits"): (light(), ONE),
    " .fits": (light(), ONE),
    "-n.fits": (light(), ONE),
}

CORPUS = STRUCTURE | SHAPES | PIXELS | KINDS | COMPRESSED | HEADERS | MASKS | PLACES


def make(folder):
    """Make all files."""
    for name, (content, _) in CORPUS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(path)
