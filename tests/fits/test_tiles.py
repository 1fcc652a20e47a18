"""Tile compression is undone in bands; what goes wrong takes along only the process that does it."""

import itertools
import os
import re
import resource
import signal
import tempfile
import threading
import time

import numpy as np
import psutil
import pytest
from astropy.io import fits

from lightmask.errors import MachineError
from lightmask.fits import images, tiles
from lightmask.fits.headers import FitsError


@pytest.fixture
def undo(tmp_path):
    """Undo the compression of a frame whose header says something else than `images.opened` would let pass."""

    def undo(old=b"", new=b"", disk=resource.RLIM_INFINITY):
        path = tmp_path / "a.fits.fz"
        data = np.random.default_rng(1).normal(100, 10, (40, 48)).astype(np.float32)
        fits.CompImageHDU(data, compression_type="RICE_1", quantize_level=16).writeto(path)
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        with path.open("rb") as file, tempfile.TemporaryFile() as plain:
            resource.setrlimit(resource.RLIMIT_FSIZE, (disk, limits[1]))
            try:
                tiles.undo(file, plain, "a.fits")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return undo


@pytest.mark.parametrize(
    ("compression", "tile"),
    [
        *itertools.product(["RICE_1", "GZIP_2"], [(1, 1000), (8, 300), (900, 1000), (1100, 1000)]),
        *itertools.product(["HCOMPRESS_1"], [(8, 300), (1100, 1000)]),
    ],
)
def test_an_image_of_several_bands(tmp_path, compression, tile):
    data = np.random.default_rng(2).integers(0, 2**15, (1100, 1000), np.int16)
    assert data.size > tiles.CHUNK
    hdu = fits.CompImageHDU(data, compression_type=compression, tile_shape=tile)
    hdu.header["BZERO"] = 2**15
    behind = fits.ImageHDU(np.arange(3, dtype=">f8"))
    fits.HDUList([fits.PrimaryHDU(), hdu, behind]).writeto(tmp_path / "a.fits.fz")
    with images.opened(tmp_path / "a.fits.fz", "a.fits.fz") as (hdus, _):
        assert np.array_equal(hdus[1].pixels(), data.astype(np.uint16) + 2**15)
        assert hdus[2].header.tobytes() == behind.header.tostring().encode()
        assert hdus[2].data[:24].tobytes() == behind.data.tobytes()


def test_a_decoder_that_crashes(undo):
    width = b"ZVAL2   =                    "
    with pytest.raises(FitsError, match=r"^broken tile compression: its decoder ended with SIG(SEGV|ABRT|BUS)$"):
        undo(width + b"4", width[:-1] + b"-1")


def test_a_decoder_that_lacks_memory(undo):
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (psutil.Process().memory_info().data, limits[1]))
    lacking = b"ZNAXIS1 =                   48", b"ZNAXIS1 =           1000000000"
    try:
        with pytest.raises(MemoryError, match=r"^a\.fits: memory does not suffice to undo its tile compression$"):
            undo(*lacking)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)


def test_a_decoder_that_is_stopped(undo):
    """It is not the frame that is amiss."""

    def stop():
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for child in psutil.Process().children():
                os.kill(child.pid, signal.SIGTERM)
                return

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(
        MachineError, match=re.escape("a.fits: its tile compression was not undone (stopped by signal 15)")
    ):
        undo()
    thread.join()


def test_a_decoder_that_lacks_a_library(undo, tmp_path, monkeypatch):
    """It looks for libraries where its user says."""
    (tmp_path / "astropy.py").write_text("raise ImportError('of another kind')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(
        MachineError, match=re.escape("a.fits: its tile compression was not undone (ImportError: of ano")
    ):
        undo()


def test_a_decoder_that_lacks_disk(undo):
    with pytest.raises(
        MachineError,
        match=r"^a\.fits: its tile compression was not undone \(File too large\); make room in /.*, or set TMPDIR",
    ):
        undo(disk=6000)
