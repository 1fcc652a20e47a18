"""Read the images and masks of FITS files, and say plainly what is wrong with a file."""

import bz2
import errno
import gzip
import hashlib
import io
import math
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.errors import OF_THE_MACHINE, FrameError, MachineError
from lightmask.fits import records, tiles
from lightmask.fits.checksums import read_through
from lightmask.fits.files import Stamp, stamp_of
from lightmask.fits.hdus import Hdu, shape_text, split
from lightmask.fits.headers import Header, Value
from lightmask.fits.roles import Roles
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
RoleOf = Callable[[Header, int], str]
"""Returns what an HDU is for, of its header and its place in the file."""
AS_KNOWN = Roles()
NEVER_ZERO = re.compile(r"E?GAIN[A-H]?|EXPTIME|EXPOSURE|SATURAT\w|SATLEVEL|MAXLIN")
"""Keywords whose value cannot be zero: some cameras write zero for what they do not know."""
SAME_TIME = 0.02
"""Exposure times that differ by no more than this fraction are the same: one of them may count the shutter."""
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
        Rows and columns; axes of length one are left out.
    dtype : dtype
        Of the pixels, in native byte order.
    hdu : Hdu
        As it was given.
    """

    def __init__(self, hdu: Hdu):
        self.shape = hdu.plane or ()
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
        Cards of the image, then those of the primary HDU; what says nothing in the image counts as lacking: what is
        blank, or zero where zero cannot be.
    place : int
        Of its HDU in the file.
    label : str
        What tells it from other images of its file (``SCI,2``); empty where there is one.
    number : int
        Its EXTVER, where that tells the images of a file apart, else it counts from 1.
    companions : dict
        By role (``mask``, ``error``, ...) the HDUs that belong to it.
    own : Header
        Cards of the image alone.
    """

    data: Any
    mask: Any
    more_than_mask: bool
    header: Header
    place: int = 0
    label: str = ""
    number: int = 1
    companions: dict[str, list[Hdu]] = field(default_factory=dict)
    own: Header = field(default_factory=Header)


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


def find_images(
    headers: list[Header],
    name: str,
    role_of: RoleOf = AS_KNOWN,
    remark: Callable[[str], object] = str,
    or_masks: bool = False,
) -> list[int]:
    """Find the science images of a file: its 2-D images that are no companions of another one.

    Where images are named as science images these are meant, else the largest ones, and those
    that have their names.

    Parameters
    ----------
    headers : list of Header
        Of the HDUs of a file.
    name : str
        What messages call the file.
    role_of : callable, optional
        Returns what an HDU is for, of its header and its place: ``science``, ``other`` where it does not
        know, or anything else.
    remark : callable, optional
        Gets a line for each image of which it is not known what it is for.
    or_masks : bool, optional
        Whether masks are meant where there is no other image, as in a file that is a mask.

    Returns
    -------
    list of int
        Their places in that list.

    Raises
    ------
    FrameError
        If there is none, or one is empty or not 2-D.
    """
    with readable(name):
        shapes = [Hdu(header).plane for header in headers]
    roles = [role_of(header, place) if shapes[place] else "" for place, header in enumerate(headers)]
    candidates = [place for place, role in enumerate(roles) if role in ("science", "other")]
    if not candidates and or_masks:
        candidates = [place for place, role in enumerate(roles) if role == "mask"]
    if not candidates:
        if named := next((Hdu(headers[place]).name for place, role in enumerate(roles) if role), ""):
            raise FrameError(
                f"{name}: its image has the EXTNAME {named}, which is that of a companion of an image; rename it, or "
                "name it in `images: science`"
            )
        raise FrameError(f"{name}: no image in the primary HDU or an extension; take it out of the folder")
    if headers[0].get("SIMPLE", True) is not True:
        raise FrameError(f"{name}: SIMPLE is {headers[0]['SIMPLE']!r}, expected T; convert it to standard FITS")
    if headers[0].get("GROUPS") is True:
        raise FrameError(f"{name}: GROUPS is True, expected an image and no random groups; convert it")

    def is_plane(place: int) -> bool:
        return len(shapes[place] or ()) == 2 and 0 not in (shapes[place] or ())

    chosen = [place for place in candidates if roles[place] == "science"]
    if not chosen:
        planes = list(filter(is_plane, candidates)) or candidates[:1]
        most = max(math.prod(shapes[place] or ()) for place in planes)
        names = {Hdu(headers[place]).name for place in planes if math.prod(shapes[place] or ()) == most}
        chosen = [
            place
            for place in planes
            if math.prod(shapes[place] or ()) == most or Hdu(headers[place]).name in names - {""}
        ]
    for place in chosen:
        if not is_plane(place):
            shape = shapes[place] or ()
            remedy = "convert it"
            if len(shape) > 2:
                remedy = "mask the frames that it was put together from, or write each plane into a file of its own"
            raise FrameError(f"{name}: image of shape {shape_text(shape)}, expected two axes with pixels; {remedy}")
    for place in sorted(set(candidates) - set(chosen)):
        remark(
            f"{_described(headers[place], place)}, an image of {shape_text(shapes[place])}, is not masked; expected "
            f"{shape_text(shapes[chosen[0]])}, as that of {_described(headers[chosen[0]], chosen[0])}; "
            "name it in `images: science` if it shows the sky"
        )
    return chosen


def _described(header: Header, place: int) -> str:
    name, version = Hdu(header).name, header.get("EXTVER")
    if not name:
        return f"HDU {place}"
    return f"{name},{version}" if isinstance(version, int) else name


def labels(headers: list[Header]) -> list[tuple[str, int]]:
    """Return what tells the images of a file apart, and a number of each.

    Parameters
    ----------
    headers : list of Header
        Of the images.

    Returns
    -------
    list of (str, int)
        A label: empty for a single image, else EXTNAME and EXTVER (``SCI,2``) where they differ, EXTNAME
        where it alone does, or else the number. The number is EXTVER where each image has another one,
        else it counts from 1.
    """
    if len(headers) == 1:
        return [("", 1)]
    names = [Hdu(header).name for header in headers]
    versions = [header.get("EXTVER") for header in headers]
    numbers = [version for version in versions if isinstance(version, int) and version > 0]
    if len(set(numbers)) == len(headers):
        named = zip(names, numbers, strict=True)
        return [(f"{name},{number}" if name else str(number), number) for name, number in named]
    if len({*names} - {""}) == len(headers):
        return [(name, number) for number, name in enumerate(names, 1)]
    both = [(name, version) for name, version in zip(names, versions, strict=True)]
    if len(set(both)) == len(headers) and len(numbers) == len(headers):
        return [(f"{name},{version}", number) for number, (name, version) in enumerate(both, 1)]
    return [(str(number), number) for number in range(1, len(headers) + 1)]


def read_images(
    hdus: list[Hdu], name: str, role_of: RoleOf = AS_KNOWN, remark: Callable[[str], object] = str
) -> list[Image]:
    """Return the science images of a FITS file with what belongs to each, to be read by rows.

    Parameters
    ----------
    hdus : list of Hdu
        Of an open file.
    name : str
        What messages call it.
    role_of, remark : callable
        As for `find_images`.

    Returns
    -------
    list of Image
        Their pixels are read when they are wanted.

    Raises
    ------
    FrameError
        Where `find_images` does, or if a MASK has another shape than its image.
    """
    headers = [hdu.header for hdu in hdus]
    places = find_images(headers, name, role_of, remark)
    found = labels([headers[place] for place in places])
    belongings = _companions(hdus, places, [number for _, number in found], role_of, remark)
    images = []
    for place, (label, number), companions in zip(places, found, belongings, strict=True):
        hdu, mask, more_than_mask = hdus[place], None, False
        for own in companions.get("mask", []):
            if own.name != "MASK":
                continue
            if own.plane != hdu.plane:
                shape = shape_text(own.shape) if own.shape else "no data"
                raise FrameError(f"{name}: its MASK has {shape}, expected {shape_text(hdu.shape)}; fix or remove it")
            with readable(name):
                mask = Pixels(own)
            more_than_mask = not all(np.isin(mask[rows], (0, 1)).all() for rows in bands(mask.shape))
            break
        with readable(name):
            data = Pixels(hdu)
        header = hdu.header if place == 0 else _filled(hdu.header, headers[0])
        for remarked in _contradictions(hdu.header, headers[0], label or hdu.name) if place else ():
            remark(remarked)
        images.append(Image(data, mask, more_than_mask, header, place, label, number, companions, hdu.header))
    return images


def _companions(
    hdus: list[Hdu],
    places: list[int],
    numbers: list[int],
    role_of: RoleOf,
    remark: Callable[[str], object],
) -> list[dict[str, list[Hdu]]]:
    """Return for each science image its companions by role: those of its EXTVER, or of its place among them."""
    found: list[dict[str, list[Hdu]]] = [{} for _ in places]
    groups: dict[tuple[str, str], list[Hdu]] = {}
    for place, hdu in enumerate(hdus):
        role = role_of(hdu.header, place)
        if place not in places and (hdu.plane or hdu.name == "MASK") and role not in ("science", "other"):
            groups.setdefault((role, hdu.name), []).append(hdu)
    for (role, _), group in groups.items():
        versions = [hdu.header.get("EXTVER", 1) for hdu in group]
        for number, (hdu, version) in enumerate(zip(group, versions, strict=True)):
            if len(places) == 1:
                owner: int | None = 0
            elif len(set(versions)) == len(group) and version in numbers:
                owner = numbers.index(version)
            else:
                owner = number if len(group) == len(places) else None
            if owner is not None:
                found[owner].setdefault(role, []).append(hdu)
            elif role == "mask":
                remark(
                    f"{_described(hdu.header, hdus.index(hdu))} is not used: its EXTVER is {version!r}, expected one "
                    f"of {', '.join(map(str, numbers))}, as those of the images; correct it"
                )
    return found


def _filled(own: Header, primary: Header) -> Header:
    """Return the cards of an image, then those of the primary HDU; what is blank in the image counts as lacking."""
    blank = [keyword for keyword in own.keywords() if says_nothing(keyword, own[keyword]) and keyword in primary]
    return Header([*own.without(*blank).cards, *primary.cards])


def says_nothing(keyword: str, value: Value | None) -> bool:
    """Return whether a value counts as lacking: it is blank, or zero where zero cannot be.

    Parameters
    ----------
    keyword : str
        In capitals.
    value : str or int or float or bool or None
        What a header has for it.

    Returns
    -------
    bool
    """
    if isinstance(value, str):
        return not value.strip()
    return value is None or (value == 0 and not isinstance(value, bool) and bool(NEVER_ZERO.fullmatch(keyword)))


def _contradictions(own: Header, primary: Header, label: str) -> Iterator[str]:
    """List what the header of an image says otherwise than the primary header, where only one can be true."""
    for keyword in ("BUNIT", "EXPTIME", "EXPOSURE"):
        ours, theirs = own.get(keyword), primary.get(keyword)
        if says_nothing(keyword, ours) or says_nothing(keyword, theirs):
            continue
        numbers = [value for value in (ours, theirs) if isinstance(value, int | float)]
        if len(numbers) == 2:  # noqa: SIM102 - two questions
            if abs(numbers[0] - numbers[1]) <= SAME_TIME * max(map(abs, numbers)):
                continue
        if str(ours).strip().casefold() != str(theirs).strip().casefold():
            yield (
                f"{keyword} is {ours!r} in the header of {label or 'the image'} and {theirs!r} in the primary header; "
                "the former counts; correct the wrong one"
            )


def read_image(hdus: list[Hdu], name: str, number: int | None = None, role_of: RoleOf = AS_KNOWN) -> Image:
    """Return one image of a FITS file, and its mask, to be read by rows.

    Parameters
    ----------
    hdus : list of Hdu
        Of an open file.
    name : str
        What messages call it.
    number : int or None, optional
        Which of its science images, from 0. None where the file is to have one only.
    role_of : callable, optional
        As for `find_images`.

    Returns
    -------
    Image
        Its pixels are read when they are wanted.

    Raises
    ------
    FrameError
        Where `read_images` does, or if there are several images, or fewer.
    """
    images = read_images(hdus, name, role_of)
    if number is None and len(images) > 1:
        listed = ", ".join(image.label for image in images[:4]) + ", ..." * bool(images[4:])
        raise FrameError(f"{name}: {len(images)} images ({listed}), expected one; write each into a file of its own")
    if number is not None and number >= len(images):
        raise FrameError(
            f"{name}: {len(images)} images, expected {number + 1}; it changed since the folder was searched, start "
            "again"
        )
    return images[number or 0]


def read(
    path: str | os.PathLike,
    name: str,
    checksums: str = "check",
    number: int | None = None,
    role_of: RoleOf = AS_KNOWN,
) -> tuple[Image, str]:
    """Read an image of a FITS file, its mask, and the SHA-256 of the file; arguments are those of `opened`.

    Parameters
    ----------
    path : path
        The file.
    name : str
        What messages call it.
    checksums : str, optional
        As for `opened`.
    number, role_of : optional
        As for `read_image`.

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
        image = read_image(hdus, name, number, role_of)
        mask = None if image.mask is None else image.mask[:].astype(bool)  # any nonzero value masks
        return replace(image, data=image.data[:], mask=mask), digest


def mask_images(hdus: list[Hdu], name: str) -> list[Pixels]:
    """Return the images of a file that is a mask, to be read by rows; not zero is bad.

    Parameters
    ----------
    hdus : list of Hdu
        Of an open file.
    name : str
        What messages call it.

    Returns
    -------
    list of Pixels
        One or several, in the order of the file.

    Raises
    ------
    FrameError
        If the file holds no 2-D image.
    """
    with readable(name):
        return [Pixels(hdus[place]) for place in find_images([hdu.header for hdu in hdus], name, or_masks=True)]


def read_mask(path: str | os.PathLike, name: str, checksums: str = "check") -> tuple[NDArray[np.bool_], str]:
    """Read a mask of one image: True where it is not zero; arguments are those of `opened`.

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
        image, *_ = mask_images(hdus, name)
        with readable(name):
            return image[:] != 0, digest


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
