"""Read CCD images from FITS files, and write FITS files."""

import bz2
import gzip
import hashlib
import io
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray

from lightmask import FrameError
from lightmask.files import whole_file

# What astropy and the decompressors raise on files that are not what they say they are.
UNREADABLE = (
    OSError,
    EOFError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    zlib.error,
    fits.VerifyError,
    AstropyUserWarning,
)
DECOMPRESS = {b"\x1f\x8b": gzip.decompress, b"BZ": bz2.decompress}
FITS_BEGINNING = b"SIMPLE  ="
FITS_BLOCK = 2880
TRUNCATED = "truncated: it ends before its pixels do"
PLAINLY = {
    "buffer is too small": TRUNCATED,
    "Error validating header": "truncated or corrupt: the header of an HDU breaks off",
    "No SIMPLE card found": "not FITS: it does not begin with SIMPLE",
    "Empty or corrupt FITS file": "empty, or its compressed stream is broken",
}
"""What errors of astropy's mean to somebody who only has the file."""


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
    header : astropy.io.fits.Header
        Cards of the image, then those of the primary HDU that it lacks.
    """

    data: NDArray
    mask: NDArray[np.bool_] | None
    more_than_mask: bool
    header: fits.Header


@contextmanager
def readable(name: str | os.PathLike) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into a `FrameError` that names it."""
    try:
        with warnings.catch_warnings():
            # Odd cards are passed through as they are. A broken extension is no
            # oddity: astropy would leave it out, and all that stands behind it.
            warnings.simplefilter("ignore", AstropyUserWarning)
            warnings.filterwarnings("error", "Error validating header", AstropyUserWarning)
            yield
    except UNREADABLE as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        cause = next((plain for said, plain in PLAINLY.items() if said in cause), cause)
        raise FrameError(f"{name}: cannot be read ({cause}); copy it again, or take it out of the folder") from error


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
    with readable(name):
        before = os.stat(path)
        content = Path(path).read_bytes()
        after = os.stat(path)
        digest = hashlib.sha256(content).hexdigest()
        if decompress := DECOMPRESS.get(content[:2]):
            content = decompress(content)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise FrameError(f"{name}: changed while it was read; start again when it is complete")
    if not content.startswith(FITS_BEGINNING):
        raise FrameError(
            f"{name}: not a FITS file: begins with {content[:9]!r}, expected {FITS_BEGINNING!r}; "
            "take it out of the folder"
        )
    return content, digest


def open_bytes(content: bytes, name: str, scale: bool = True) -> fits.HDUList:
    """Open the content of a FITS file, complete to its last HDU.

    Parameters
    ----------
    content : bytes
        What `read_bytes` gave; pixels are views of it where that is possible.
    name : str
        What messages call the file.
    scale : bool
        Whether BSCALE, BZERO and BLANK are applied to pixels; if not, they are
        passed through as they are.

    Raises
    ------
    FrameError
        If a header is broken, or data are missing at the end.
    """
    # A file may lack the padding of its last block, which astropy insists on.
    padded = content + bytes(-len(content) % FITS_BLOCK) if len(content) % FITS_BLOCK else content
    with readable(name):
        for hdu in fits.open(io.BytesIO(padded), memmap=False, lazy_load_hdus=False):
            info = hdu.fileinfo()
            size = info["datSpan"] if isinstance(hdu, fits.CompImageHDU) else hdu.size
            if info["datLoc"] + size > len(content):
                raise EOFError(TRUNCATED)
            end = info["datLoc"] + info["datSpan"]
        # Unlike `open`, `fromstring` does not copy the pixels, nor overlook what stands behind the last HDU.
        hdus = fits.HDUList.fromstring(padded[:end], do_not_scale_image_data=not scale)
        len(hdus)  # reads all headers
        return hdus


def find_image(hdus: fits.HDUList, name: str) -> int:
    """Find the HDU with the image: the primary, or the first image extension if that is empty.

    Raises
    ------
    FrameError
        If there is none, or it is empty or not 2-D.
    """
    index = 0
    while not _has_image(hdus[index]):
        index += 1
        try:
            hdus[index]
        except IndexError:
            raise FrameError(
                f"{name}: no image in the primary HDU or an extension; take it out of the folder"
            ) from None
    shape = hdus[index].shape
    if len(shape) != 2 or 0 in shape:
        raise FrameError(f"{name}: image of shape {shape_text(shape)}, expected two axes with pixels; convert it")
    return index


def _has_image(hdu: fits.PrimaryHDU) -> bool:
    return isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) and hdu.header.get("NAXIS", 0) > 0


def shape_text(shape: tuple[int, ...]) -> str:
    """Give a shape as astronomers write it, x first: ``2048x1024``."""
    return "x".join(map(str, reversed(shape)))


def read_image(hdus: fits.HDUList, name: str) -> Image:
    """Read the image of an open FITS file, and its mask.

    Raises
    ------
    FrameError
        Where `find_image` does, or if MASK has another shape than the image.
    """
    hdu = hdus[find_image(hdus, name)]
    header = hdu.header.copy()
    if hdu is not hdus[0]:
        header.extend(hdus[0].header, unique=True)
    with readable(name):
        data = hdu.data
        mask = hdus["MASK"].data if "MASK" in hdus else None
    more_than_mask = False
    if "MASK" in hdus:
        found = "no data" if mask is None else shape_text(mask.shape)
        if mask is None or mask.shape != data.shape:
            raise FrameError(f"{name}: its MASK has {found}, expected {shape_text(data.shape)}; mend or remove it")
        more_than_mask = not np.isin(mask, (0, 1)).all()
        mask = mask.astype(bool)  # any nonzero value masks, as in `CCDData.read`
    return Image(data.astype(data.dtype.newbyteorder("="), copy=False), mask, more_than_mask, header)


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
    hdu = hdus[find_image(hdus, name)]
    with readable(name):
        return hdu.data != 0, digest


def uncompressed(hdu: fits.CompImageHDU) -> fits.ImageHDU:
    """Undo tile compression: the same pixels, unscaled, and cards in a plain image extension.

    `CCDData.read` looks for no image in a compressed extension.
    """
    header = hdu.header.copy()
    plain = fits.ImageHDU(hdu.data, header, do_not_scale_image_data=True)
    for keyword in ("BSCALE", "BZERO", "BLANK"):
        if keyword in hdu.header:
            plain.header[keyword] = hdu.header[keyword]
    return plain


def write_fits(hdus: fits.HDUList, path: str | os.PathLike) -> None:
    """Write HDUs with checksums and without a time stamp: the same HDUs give the same bytes."""
    for hdu in hdus:
        hdu.add_checksum(when="")  # in place of the time at which it was made
    with whole_file(path) as part:
        hdus.writeto(part, output_verify="ignore", overwrite=True)
