"""What goes wrong while tile compression is undone takes along only the process that undoes it."""

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

from lightmask import tiles
from lightmask.fitsfile import FitsError


@pytest.fixture
def undo(tmp_path):
    """Undo the compression of a frame whose header says something else than `images.opened` would let pass."""

    def undo(old=b"", new=b""):
        path = tmp_path / "a.fits.fz"
        data = np.random.default_rng(1).normal(100, 10, (40, 48)).astype(np.float32)
        fits.CompImageHDU(data, compression_type="RICE_1", quantize_level=16).writeto(path)
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new))
        with path.open("rb") as file, tempfile.TemporaryFile() as plain:
            tiles.undo(file, plain, "a.fits")

    return undo


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
    with pytest.raises(RuntimeError, match=re.escape("a.fits: the process") + ".*" + re.escape("stopped by signal 15")):
        undo()
    thread.join()
