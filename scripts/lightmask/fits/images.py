"""Read the images and masks of FITS files, and say plainly what is wrong with a file."""

import bz2
import errno
import gzip
import hashlib
import io
import math
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.errors import OF_THE_MACHINE, FrameError, MachineError
from lightmask.fits import records, tiles
from lightmask.fits.checksums import read_through
from lightmask.fits.files import Stamp, stamp_of
from lightmask.fits.hdus import Hdu, shape_text, split
from lightmask.fits.headers import Header
from lightmask.messages import warn

COMPRESSION = {b"\x1f\x8b": gzip, b"BZ": bz2}
"""Modules that undo compression, by what a file of theirs begins with."""
FITS_BEGINNING = b"SIMPLE  ="
NOT_REGULAR = "not a regular file; take it out of the folder"
REMEDIES = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "let this user read it"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise ulimit -n, or take fewer cores"),
    errno.ENOMEM: "raise mem_mb, or run fewer at a time",
}
"""What to do where a file cannot be read that is not to blame, by the error."""
CHANGED = "changed while it was read; start again when it is complete"
REPLACED = "changed since the folder was searched; start again"
BAND = 2**20
"""Pixels of a band: a few arrays of them fit the cache."""
KEPT = 2**24
"""Pixels up to which an image is read once and kept; rows of a larger one are read whenever they are wanted."""


def bands(shape: tuple[int, ...], least: int = 1) -> Iterator[slice]:
    """Cut an image into bands of rows, of so many rows at the least.

    Parameters
    ----------
    shape : tuple of int
        Rows first.
    least : int, optional
        Rows of a band at the least, but for the last one.

    Yields
    ------
    slice
        Rows, from the top of the array to its end.
    """
    height = max(math.ceil(BAND / shape[1]), least)
    return (slice(top, min(top + height, shape[0])) for top in range(0, shape[0], height))


_digests: ContextVar[dict[str, str] | None] = ContextVar("digests", default=None)
"""Digests of files, as far as somebody wants to know them."""


class Pixels:
    """The image of an HDU, of which a slice of rows, or of rows and columns, gives pixels.

    Parameters
    ----------
    hdu : Hdu
        With an image of two axes.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    dtype : dtype
        Of the pixels, in native byte order.
    hdu : Hdu
        As it was given.
    """

    def __init__(self, hdu: Hdu):
        self.shape = hdu.shape or ()
        self.dtype = hdu.pixels(slice(0, 0)).dtype
        self.hdu = hdu
        self._kept: NDArray[Any] | None = None

    def __getitem__(self, place: Any) -> NDArray[Any]:
        rows, columns = place if isinstance(place, tuple) else (place, slice(None))
        if self._kept is None and math.prod(self.shape) <= KEPT:
            self._kept = self.hdu.pixels()
        if self._kept is not None:
            return self._kept[rows, columns]
        if not isinstance(rows, slice):
            return self[rows : rows + 1, columns][0]
        first, end, step = rows.indices(self.shape[0])
        if step == 1:
            return self.hdu.pixels(rows)[:, columns]
        return np.concatenate([self[row : row + 1, columns] for row in range(first, end, step)])


@dataclass(frozen=True)
class Image:
    """The image of a FITS file.

    Attributes
    ----------
    data : ndarray or Pixels
        2-D, scaled by BSCALE and BZERO, in native byte order.
    mask : ndarray or Pixels or None
        Not zero where the file's own MASK extension masks a pixel; same shape.
    more_than_mask : bool
        Whether the MASK extension holds other values than 0 and 1.
    header : Header
        Cards of the image, then those of the primary HDU.
    """

    data: Any
    mask: Any
    more_than_mask: bool
    header: Header


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a `FrameError` that names it.

    It is a `MachineError` where the file is not to blame.

    Parameters
    ----------
    name : str
        What messages call the file.

    Yields
    ------
    None
        Read the file in this context.
    """
    try:
        yield
    except (OSError, EOFError, ValueError, zlib.error) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
            remedy = REMEDIES.get(error.errno, "see to the disk or the network that it is on")
            raise MachineError(f"{name}: cannot be read ({cause}); {remedy}, then start again") from error
        raise FrameError(f"{name}: cannot be read ({cause}); copy it again, or take it out of the folder") from error


@contextmanager
def _unpacking(name: str) -> Iterator[None]:
    """Say that it is the folder for temporary files that cannot be written, not the file that cannot be read."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a stream that is broken
            raise
        folder = f" into {tempfile.tempdir}" if tempfile.tempdir else ""
        raise MachineError(
            f"{name}: cannot be unpacked{folder} ({error.strerror}); make room there, or set TMPDIR to another folder"
        ) from error


@contextmanager
def unchanged(
    paths: Iterable[str | os.PathLike], names: Iterable[str], planned: Iterable[Stamp | None]
) -> Iterator[dict[str, str]]:
    """Refuse files that are not those of the plan, or that change before the context ends.

    What is made of a file takes its time, and is newer than a change in the meantime: nobody
    would see later that it is out of date. A file that was replaced since the plan was made may
    need other masks.

    Parameters
    ----------
    paths : iterable of path
        The files.
    names : iterable of str
        What messages call them.
    planned : iterable of (list of int or None)
        What `lightmask.fits.files.stamp_of` returned for each when the folder was searched; None for a
        file that was not there then.

    Yields
    ------
    dict
        SHA-256 by name of every file that is `opened` in the context; it is printed too, for the log.

    Raises
    ------
    FrameError
        If one has changed, or is not there.
    """
    pairs = list(zip(paths, names, strict=True))
    before = [_stamp(*pair) for pair in pairs]
    digests: dict[str, str] = {}
    token = _digests.set(digests)
    try:
        yield digests
    finally:
        _digests.reset(token)
    for (path, name), stamp in zip(pairs, before, strict=True):
        if _stamp(path, name) != stamp:
            raise FrameError(f"{name}: {CHANGED}")
    # Last, as a file that is still being written, or broken off, is to be called so.
    for (_, name), stamp, expected in zip(pairs, before, planned, strict=True):
        if expected is not None and stamp != expected[: len(stamp)]:
            raise FrameError(f"{name}: {REPLACED}")


def _stamp(path: str | os.PathLike, name: str) -> Stamp:
    with readable(name):
        status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise FrameError(f"{name}: {NOT_REGULAR}")
    return stamp_of(status)


def check_beginning(beginning: bytes, name: str) -> None:
    """Refuse what does not begin as a FITS file does.

    Parameters
    ----------
    beginning : bytes
        The first bytes of a file.
    name : str
        What messages call the file.
    """
    if not beginning:
        raise FrameError(f"{name}: an empty file, expected FITS; copy it again, or take it out of the folder")
    if not beginning.startswith(FITS_BEGINNING):
        raise FrameError(
            f"{name}: not a FITS file: begins with {beginning[:9]!r}, expected {FITS_BEGINNING!r}; "
            "take it out of the folder"
        )


class _Watched(io.FileIO):
    """A file that must not change while it is read.

    Raises
    ------
    FrameError
        From whatever reads it, if it has changed, or cannot be read.
    """

    def __init__(self, path: str | os.PathLike, called: str):
        self.before = _stamp(path, called)
        super().__init__(os.fspath(path))
        self.called = called

    def readinto(self, buffer: Any) -> int:
        """Read, and look whether what was read is still that of the file that was opened."""
        with readable(self.called):
            count = super().readinto(buffer)
        if _stamp(self.name, self.called) != self.before:
            raise FrameError(f"{self.called}: {CHANGED}")
        return count or 0


@contextmanager
def opened(
    path: str | os.PathLike, name: str, checksums: str = "check", remark: Callable[[str], None] = warn
) -> Iterator[tuple[list[Hdu], str]]:
    """Open a FITS file for as long as the context lasts; compression, of tiles too, is undone.

    Parameters
    ----------
    path : path
        Where it is.
    name : str
        What messages call it: its path in the frames folder.
    checksums : str
        What to do about a CHECKSUM or DATASUM that does not fit: ``check`` refuses the file, unless they
        are older than its header, ``warn`` remarks it, ``ignore`` does not look. Those of a tile-compressed
        image are those of its table.
    remark : callable
        Gets the line that ``warn`` has to say.

    Yields
    ------
    hdus : list of Hdu
        Their data are read when they are wanted, of a compressed file from a
        temporary one.
    digest : str
        SHA-256 of the file, in hexadecimal, as ``sha256sum`` prints it.

    Raises
    ------
    FrameError
        If it is not FITS, a header is broken, data are missing at the end, or a checksum does not
        fit; also later, if it changes before all has been read.
    MachineError
        If the file is not to blame, but its disk or that of temporary files, for example.
    """
    with ExitStack() as files:
        with readable(name):
            watched = _Watched(path, name)
            file: Any = files.enter_context(io.BufferedReader(watched))
            sha256 = hashlib.sha256()
            misfits = read_through(file, sha256.update)
            digest = sha256.hexdigest()
            if (seen := _digests.get()) is not None:
                seen[name] = digest
                print(records.note(name, digest, watched.before))
            file.seek(0)
            if module := COMPRESSION.get(file.peek(2)[:2]):
                with _unpacking(name), module.open(file) as packed:
                    plain = files.enter_context(tempfile.TemporaryFile())
                    misfits = read_through(packed, plain.write)
                    plain.seek(0)  # which writes the rest of it
                file = plain
        check_beginning(file.read(len(FITS_BEGINNING)), name)
        with readable(name):
            hdus = split(file)
        for misfit in misfits if checksums != "ignore" else ():
            line = f"{name}: {misfit.text}; copy it again, or set checksums: ignore"
            if checksums == "warn":
                remark(line)
            elif misfit.is_stale:
                remark(f"{name}: {misfit.text}, older than its header, so it proves nothing; set checksums: ignore")
            else:
                raise FrameError(line)
        with readable(name):
            if any(hdu.compressed for hdu in hdus):
                for hdu in hdus:
                    tiles.check(hdu, file.seek(0, os.SEEK_END))
                with _unpacking(name):
                    plain = files.enter_context(tempfile.TemporaryFile())
                tiles.undo(file, plain, name)
                hdus = split(plain)
        yield hdus, sha256.hexdigest()


def find_image(headers: list[Header], name: str) -> int:
    """Find the image: in the primary HDU, or in the first image extension if that is empty.

    Parameters
    ----------
    headers : list of Header
        Of the HDUs of a file.
    name : str
        What messages call the file.

    Returns
    -------
    int
        The place of the HDU in that list.

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
    """Return the image of a FITS file, and its mask, to be read by rows.

    Parameters
    ----------
    hdus : list of Hdu
        Of an open file.
    name : str
        What messages call it.

    Returns
    -------
    Image
        Its pixels are read when they are wanted.

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
                raise FrameError(f"{name}: its MASK has {found}, expected {shape_text(hdu.shape)}; fix or remove it")
            with readable(name):
                mask = Pixels(own)
            more_than_mask = not all(np.isin(mask[rows], (0, 1)).all() for rows in bands(mask.shape))
            break
    with readable(name):
        data = Pixels(hdu)
    return Image(data, mask, more_than_mask, Header([*hdu.header.cards, *hdus[0].header.cards]))


def read(path: str | os.PathLike, name: str, checksums: str = "check") -> tuple[Image, str]:
    """Read the image of a FITS file, its mask, and the SHA-256 of the file; arguments are those of `opened`.

    Parameters
    ----------
    path : path
        The file.
    name : str
        What messages call it.
    checksums : str, optional
        As for `opened`.

    Returns
    -------
    image : Image
        Pixels, mask and header.
    digest : str
        SHA-256 of the file, in hexadecimal.

    Raises
    ------
    FrameError
        If the file cannot be read, or holds no 2-D image.
    """
    with opened(path, name, checksums) as (hdus, digest):
        image = read_image(hdus, name)
        mask = None if image.mask is None else image.mask[:].astype(bool)  # any nonzero value masks
        return replace(image, data=image.data[:], mask=mask), digest


def read_mask(path: str | os.PathLike, name: str, checksums: str = "check") -> tuple[NDArray[np.bool_], str]:
    """Read a mask: True where the image of a FITS file is not zero; arguments are those of `opened`.

    Parameters
    ----------
    path : path
        The file.
    name : str
        What messages call it.
    checksums : str, optional
        As for `opened`.

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
    with opened(path, name, checksums) as (hdus, digest):
        image = hdus[find_image([hdu.header for hdu in hdus], name)]
        with readable(name):
            return image.pixels() != 0, digest


def fill(data: NDArray[Any], finite: NDArray[np.bool_], overall: Callable[[], Any] | None = None) -> NDArray[Any]:
    """Replace pixels that are not finite by the median of the finite ones in 5×5.

    Where there are none in 5×5, the median of the whole image stands in; 0 if
    there is none at all. `overall` gives that median where `data` are a part of the image.

    Parameters
    ----------
    data : ndarray
        2-D; it is not changed.
    finite : ndarray of bool
        Where it is finite; same shape.
    overall : callable, optional
        Returns what to take where no pixel of a window is finite.

    Returns
    -------
    ndarray
        A copy, of the same shape and dtype.
    """
    filled = data.copy()
    for band in bands(data.shape):
        rows, columns = np.nonzero(~finite[band])
        if not rows.size:
            continue
        near = slice(max(band.start - 2, 0), min(band.stop + 2, len(data)))
        beyond = (2 - band.start + near.start, 2 - near.stop + band.stop), (2, 2)
        padded = np.pad(np.where(finite[near], data[near], np.nan), beyond, constant_values=np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
        for start in range(0, rows.size, 100_000):  # a frame may be mostly NaN: bound the memory
            part = slice(start, start + 100_000)
            around = windows[rows[part], columns[part]].reshape(-1, 25)
            known = np.isfinite(around).any(axis=1)
            values = np.empty(len(around), data.dtype)
            values[known] = np.nanmedian(around[known], axis=1)
            if not known.all():
                values[~known] = overall() if overall else _finite_median(data, finite)
            filled[band][rows[part], columns[part]] = values
    return filled


def _finite_median(data: NDArray[Any], finite: NDArray[np.bool_]) -> Any:
    return np.median(data[finite]) if finite.any() else 0
