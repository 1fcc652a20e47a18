"""Read the images and masks of FITS files, and say plainly what is wrong with a file."""

import bz2
import gzip
import hashlib
import io
import math
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask import FrameError
from lightmask.fitsfile import FitsError, Hdu, Header, shape_text, split

COMPRESSION = {b"\x1f\x8b": gzip, b"BZ": bz2}
"""Modules that undo compression, by what a file of theirs begins with."""

FITS_BEGINNING = b"SIMPLE  ="
NOT_REGULAR = "not a regular file; take it out of the folder"

_MOST_PACKED = 2500
"""How many pixels of a tile-compressed image a byte of its file may stand for: of zeros in PLIO_1 it is 2048."""


@dataclass(frozen=True)
class Image:
    """The image of a FITS file.

    Attributes
    ----------
    data : ndarray
        2-D, scaled by BSCALE and BZERO, in native byte order.
    mask : ndarray of bool or None
        True where the file's own MASK extension masks a pixel; same shape.
    more_than_mask : bool
        Whether the MASK extension holds other values than 0 and 1.
    header : Header
        Cards of the image, then those of the primary HDU.
    """

    data: NDArray[Any]
    mask: NDArray[np.bool_] | None
    more_than_mask: bool
    header: Header


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a `FrameError` that names it."""
    try:
        yield
    except (OSError, EOFError, ValueError, zlib.error) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        raise FrameError(f"{name}: cannot be read ({cause}); copy it again, or take it out of the folder") from error


@contextmanager
def unchanged(paths: Iterable[str | os.PathLike], names: Iterable[str]) -> Iterator[None]:
    """Refuse files whose size or time of change is another one when the context ends.

    What is made of a file takes its time, and is newer than a change in the meantime: nobody
    would see later that it is out of date.

    Raises
    ------
    FrameError
        If one has changed, or is not there.
    """
    pairs = list(zip(paths, names, strict=True))
    before = [_stamp(*pair) for pair in pairs]
    yield
    for (path, name), stamp in zip(pairs, before, strict=True):
        if _stamp(path, name) != stamp:
            raise FrameError(f"{name}: changed while it was read; start again when it is complete")


def _stamp(path: str | os.PathLike, name: str) -> tuple[int, int]:
    with readable(name):
        status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise FrameError(f"{name}: {NOT_REGULAR}")
    return status.st_size, status.st_mtime_ns


def check_beginning(beginning: bytes, name: str) -> None:
    """Refuse what does not begin as a FITS file does."""
    if not beginning:
        raise FrameError(f"{name}: an empty file, expected FITS; copy it again, or take it out of the folder")
    if not beginning.startswith(FITS_BEGINNING):
        raise FrameError(
            f"{name}: not a FITS file: begins with {beginning[:9]!r}, expected {FITS_BEGINNING!r}; "
            "take it out of the folder"
        )


def read_bytes(path: str | os.PathLike, name: str) -> tuple[bytes, str]:
    """Read a FITS file as it is, but decompressed.

    Parameters
    ----------
    path : path
        Where it is.
    name : str
        What messages call it: its path in the frames folder.

    Returns
    -------
    content : bytes
        Decompressed.
    digest : str
        SHA-256 of the file, in hexadecimal, as ``sha256sum`` prints it.

    Raises
    ------
    FrameError
        If it is not FITS, or changes while it is read.
    """
    with unchanged([path], [name]), readable(name):
        content = Path(path).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if module := COMPRESSION.get(content[:2]):
            content = module.decompress(content)
    check_beginning(content, name)
    return content, digest


def open_bytes(content: bytes, name: str) -> list[Hdu]:
    """Split the content of a FITS file into HDUs; tile compression is undone.

    Parameters
    ----------
    content : bytes
        What `read_bytes` gave; data are views of it.
    name : str
        What messages call the file.

    Raises
    ------
    FrameError
        If a header is broken, or data are missing at the end.
    """
    with readable(name):
        hdus = split(content)
        packed = [hdu for hdu in hdus if hdu.compressed]
        for hdu in packed:
            _check_tiles(hdu, len(content))
        if packed:
            hdus = split(_without_tiles(content))
    return hdus


def _check_tiles(hdu: Hdu, size: int) -> None:
    """Refuse a tile-compressed image that a file of so many bytes cannot hold: the reader would make room for it."""
    lengths = (hdu.shape or ())[::-1]
    tiles = [hdu.header.get(f"ZTILE{n}", length if n == 1 else 1) for n, length in enumerate(lengths, 1)]
    if not all(isinstance(tile, int) and tile > 0 for tile in tiles):
        raise FitsError(f"tiles of {tiles} pixels")
    expected = math.prod(-(-length // tile) for length, tile in zip(lengths, tiles, strict=True))
    if hdu.header.get("NAXIS2") != expected:
        raise FitsError(f"it has {hdu.header.get('NAXIS2')} tiles, expected {expected}")
    if math.prod(lengths) > _MOST_PACKED * size:
        raise FitsError(f"{shape_text(hdu.shape)} pixels do not fit into {size} bytes")


def _without_tiles(content: bytes) -> bytes:
    """Undo tile compression: the same pixels, unscaled, and cards in plain image extensions.

    `CCDData.read` looks for no image in a compressed extension.
    """
    from astropy.io import fits

    plain = io.BytesIO()
    try:
        with fits.open(io.BytesIO(content), do_not_scale_image_data=True) as hdus:
            for index, hdu in enumerate(hdus):
                if isinstance(hdu, fits.CompImageHDU):
                    image = fits.ImageHDU(hdu.data, hdu.header.copy(), do_not_scale_image_data=True)
                    for keyword in ("BSCALE", "BZERO", "BLANK"):
                        if keyword in hdu.header:
                            image.header[keyword] = hdu.header[keyword]
                    hdus[index] = image
            hdus.writeto(plain, output_verify="ignore")
    except Exception as error:  # of any kind, as broken tiles are
        raise FitsError(f"broken tile compression: {error}") from error
    return plain.getvalue()


def find_image(headers: list[Header], name: str) -> int:
    """Find the image: in the primary HDU, or in the first image extension if that is empty.

    Raises
    ------
    FrameError
        If there is none, or it is empty or not 2-D.
    """
    with readable(name):
        shapes = [Hdu(header).shape for header in headers]
    index = next((number for number, shape in enumerate(shapes) if shape), None)
    if index is None:
        raise FrameError(f"{name}: no image in the primary HDU or an extension; take it out of the folder")
    if headers[0].get("SIMPLE", True) is not True:
        raise FrameError(f"{name}: SIMPLE is {headers[0]['SIMPLE']!r}, expected T; convert it to standard FITS")
    if headers[0].get("GROUPS") is True:
        raise FrameError(f"{name}: GROUPS is True, expected an image and no random groups; convert it")
    shape = shapes[index] or ()
    if len(shape) != 2 or 0 in shape:
        raise FrameError(f"{name}: image of shape {shape_text(shape)}, expected two axes with pixels; convert it")
    return index


def read_image(hdus: list[Hdu], name: str) -> Image:
    """Read the image of a FITS file, and its mask.

    Raises
    ------
    FrameError
        Where `find_image` does, or if MASK has another shape than the image.
    """
    hdu = hdus[find_image([hdu.header for hdu in hdus], name)]
    if hdu.name == "MASK":
        raise FrameError(f"{name}: its image has the EXTNAME MASK, which the result needs; rename it")
    mask, more_than_mask = None, False
    for own in hdus:
        if own.name == "MASK":
            if own.shape != hdu.shape:
                found = shape_text(own.shape) if own.shape else "no data"
                raise FrameError(f"{name}: its MASK has {found}, expected {shape_text(hdu.shape)}; mend or remove it")
            with readable(name):
                values = own.pixels()
            more_than_mask = not np.isin(values, (0, 1)).all()
            mask = values.astype(bool)  # any nonzero value masks, as in `CCDData.read`
            break
    with readable(name):
        data = hdu.pixels()
    return Image(data, mask, more_than_mask, Header([*hdu.header.cards, *hdus[0].header.cards]))


def read(path: str | os.PathLike, name: str) -> tuple[Image, str]:
    """Read the image of a FITS file, its mask, and the SHA-256 of the file.

    Raises
    ------
    FrameError
        If the file cannot be read, or holds no 2-D image.
    """
    content, digest = read_bytes(path, name)
    return read_image(open_bytes(content, name), name), digest


def read_mask(path: str | os.PathLike, name: str) -> tuple[NDArray[np.bool_], str]:
    """Read a mask: True where the image of a FITS file is not zero.

    Returns
    -------
    mask : ndarray of bool
        2-D.
    digest : str
        SHA-256 of the file.

    Raises
    ------
    FrameError
        If the file holds no 2-D image.
    """
    content, digest = read_bytes(path, name)
    hdus = open_bytes(content, name)
    image = hdus[find_image([hdu.header for hdu in hdus], name)]
    with readable(name):
        return image.pixels() != 0, digest


def fill(data: NDArray[Any], finite: NDArray[np.bool_]) -> NDArray[Any]:
    """Replace pixels that are not finite by the median of the finite ones in 5×5.

    Where there are none in 5×5, the median of the whole image stands in; 0 if
    there is none at all.
    """
    filled = data.copy()
    overall = np.median(data[finite]) if finite.any() else data.dtype.type(0)
    padded = np.pad(np.where(finite, data, np.nan), 2, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    rows, columns = np.nonzero(~finite)
    for start in range(0, rows.size, 100_000):  # a frame may be mostly NaN: bound the memory
        part = slice(start, start + 100_000)
        around = windows[rows[part], columns[part]].reshape(-1, 25)
        known = np.isfinite(around).any(axis=1)
        values = np.full(len(around), overall, data.dtype)
        values[known] = np.nanmedian(around[known], axis=1)
        filled[rows[part], columns[part]] = values
    return filled
