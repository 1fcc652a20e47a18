"""Undo the tile compression of FITS files: a program of its own, as what it is fed may end it.

astropy's decoders are in C and trust their streams: a broken one makes them read or write beyond their memory.
"""

import itertools
import math
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lightmask.errors import OF_THE_MACHINE, MachineError
from lightmask.fits.hdus import CHUNK, Hdu, shape_text, split
from lightmask.fits.headers import BLOCK, FitsError, Header

_MOST_PACKED = 2500
"""How many pixels of an image a byte of its file may stand for: of zeros in PLIO_1 it is 2048."""
_BROKEN, _NO_MEMORY, _NO_DISK = 3, 4, 5
"""Exit statuses; that of any other exception is 1."""
CRASHES = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGFPE, -signal.SIGILL}
"""Exit statuses of a process that has itself to blame."""


def check(hdu: Hdu, size: int) -> None:
    """Refuse a table, or an image in one, that a file of so many bytes cannot hold, or no decoder can read.

    astropy would make room for it, and count to any number of fields.

    Raises
    ------
    FitsError
        If what the header says cannot be.
    """
    fields = hdu.header.get("TFIELDS", 0)
    if not isinstance(fields, int) or not 0 <= fields <= 999:
        raise FitsError(f"TFIELDS is {fields!r}, expected 0 to 999")
    if not hdu.compressed:
        return
    lengths, tiles = _sides(hdu.header)
    if not all(isinstance(tile, int) and tile > 0 for tile in tiles):
        raise FitsError(f"tiles of {tiles} pixels")
    expected = math.prod(-(-length // tile) for length, tile in zip(lengths, tiles, strict=True))
    if hdu.header.get("NAXIS2") != expected:
        raise FitsError(f"it has {hdu.header.get('NAXIS2')} tiles, expected {expected}")
    if math.prod(lengths) > _MOST_PACKED * size:
        raise FitsError(f"{shape_text(hdu.shape)} pixels do not fit into {size} bytes")
    if (width := _setting(hdu.header, "BYTEPIX", 4)) not in (1, 2, 4):
        raise FitsError(f"BYTEPIX is {width!r}, expected 1, 2 or 4")


def undo(file: BinaryIO, plain: BinaryIO, name: str) -> None:
    """Undo tile compression: the same pixels, unscaled, and cards in plain image extensions.

    `CCDData.read` looks for no image in a compressed extension.

    Parameters
    ----------
    file : file
        A FITS file, as the operating system knows it.
    plain : file
        Where to write it, empty.
    name : str
        What messages call it.

    Raises
    ------
    FitsError
        If a stream is broken.
    MemoryError
        If memory does not suffice.
    MachineError
        If the process was stopped from outside, or lacks a library or disk.
    """
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
    surroundings = {
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
        "PYTHONIOENCODING": "utf-8",
        "OPENBLAS_NUM_THREADS": "1",  # each reserves memory
    }
    process = subprocess.run(
        [sys.executable, "-P", "-c", "from lightmask.fits.tiles import main; raise SystemExit(main())"],
        stdin=file,
        stdout=plain,
        stderr=subprocess.PIPE,
        env=os.environ | surroundings,
        check=False,
    )
    status, words = process.returncode, process.stderr.decode(errors="replace").strip().split("\n")[-1]
    # The kernel kills where memory is scarce; a library that cannot be loaded says so.
    if status in (_NO_MEMORY, -signal.SIGKILL) or "annot allocate memory" in words:
        raise MemoryError(f"{name}: memory does not suffice to undo its tile compression")
    if status in CRASHES:
        words = f"its decoder ended with {signal.Signals(-status).name}"
    elif status and status != _BROKEN:
        cause = f"stopped by signal {-status}" if status < 0 else words
        remedy = "see to the machine and its libraries, then start again"
        if status == _NO_DISK:
            remedy = f"make room in {tempfile.gettempdir()}, or set TMPDIR to another folder"
        raise MachineError(f"{name}: its tile compression was not undone ({cause}); {remedy}")
    if status:
        raise FitsError(f"broken tile compression: {words}")


def decode(file: BinaryIO, plain: BinaryIO) -> None:
    """Do what `undo` promises, in this process, some rows at a time.

    Raises
    ------
    Exception
        Of any kind, if a stream is broken; or the process ends.
    """
    from astropy.io import fits

    stored = split(file)
    with fits.open(file, do_not_scale_image_data=True, memmap=False) as hdus:
        if len(hdus) != len(stored):
            raise FitsError(f"astropy reads {len(hdus)} of its {len(stored)} HDUs")
        for packed, hdu in zip(stored, hdus, strict=True):
            if isinstance(hdu, fits.CompImageHDU):
                _check_streams(packed, hdu.compressed_data)
                plain.write(_plain_header(hdu).encode("ascii"))
                plain.writelines(_bands(hdu) if math.prod(hdu.shape) else ())
            else:
                plain.write(packed.header.tobytes())
                plain.writelines(packed.data[start : start + CHUNK] for start in range(0, len(packed.data), CHUNK))
            plain.write(bytes(-plain.tell() % BLOCK))


def _plain_header(hdu: Any) -> str:
    """Return the header of a plain image extension, for a `CompImageHDU` of astropy."""
    from astropy.io import fits

    # What counts is their type and shape: without strides they take no room.
    pixels = np.broadcast_to(np.zeros((), hdu.section.dtype), hdu.shape)
    image = fits.ImageHDU(pixels if pixels.size else None, hdu.header.copy(), do_not_scale_image_data=True)
    for keyword in ("BSCALE", "BZERO", "BLANK"):
        if keyword in hdu.header:
            image.header[keyword] = hdu.header[keyword]
    return image.header.tostring()


def _bands(hdu: Any) -> Iterator[bytes]:
    """Return the pixels of a `CompImageHDU` of astropy, as they are stored in FITS, in bands of whole tiles."""
    high = hdu.tile_shape[0]
    height = high * max(CHUNK // math.prod((high, *hdu.shape[1:])), 1)
    for top in range(0, hdu.shape[0], height):
        rows = hdu.section[top : top + height]
        yield rows.astype(rows.dtype.newbyteorder(">")).tobytes()


def _setting(header: Header, name: str, default: Any) -> Any:
    """Return a setting of the compression, as astropy looks for it."""
    numbers = itertools.takewhile(lambda number: f"ZNAME{number}" in header, range(1, 1000))
    found = (number for number in numbers if str(header.get(f"ZNAME{number}")).lower() == name.lower())
    return next((header.get(f"ZVAL{number}") for number in found), default)


def _sides(header: Header) -> tuple[list[int], list[int]]:
    """Return the lengths of the axes of a tile-compressed image, x first, and of those of its tiles."""
    lengths = list(Hdu(header).shape or ())[::-1]
    return lengths, [header.get(f"ZTILE{n}", length if n == 1 else 1) for n, length in enumerate(lengths, 1)]


def _check_streams(packed: Hdu, table: Any) -> None:
    """Refuse streams of HCOMPRESS that say another size than that of their tile: the decoder would write beyond it."""
    header = packed.header
    if header.get("ZCMPTYPE") != "HCOMPRESS_1":
        return
    streams = header.get("THEAP", table.nbytes)
    lengths, tiles = _sides(header)
    corners = itertools.product(*(range(0, *pair) for pair in zip(lengths[::-1], tiles[::-1], strict=True)))
    for (size, start), corner in zip(np.array(table["COMPRESSED_DATA"]).tolist(), corners, strict=True):
        sides = [min(*pair) for pair in zip(tiles[::-1], np.subtract(lengths[::-1], corner), strict=True)]
        stated = np.frombuffer(packed.data[streams + start + 2 : streams + start + 10], ">i4")
        if size and sorted(stated) != sorted(sides):
            raise FitsError(f"a tile of {'x'.join(map(str, stated))} pixels")


def main() -> int:
    """Undo the tile compression of standard input, to standard output; return the exit status."""
    warnings.simplefilter("ignore")
    try:
        with open(0, "rb") as file, open(1, "wb") as plain:
            decode(file, plain)
    except MemoryError:
        return _NO_MEMORY
    except Exception as error:  # of any kind, as broken streams are
        if isinstance(error, ImportError):
            raise
        if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
            print(error.strerror, file=sys.stderr)
            return _NO_DISK
        print(" ".join(str(error).split()), file=sys.stderr)
        return _BROKEN
    return 0


if __name__ == "__main__":
    sys.exit(main())
