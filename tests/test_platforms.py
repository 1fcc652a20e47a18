"""The library where parts of Linux are missing, as on Windows and macOS."""

import subprocess
import sys

import pytest
from conftest import CHECKOUT

USE = """
import numpy as np
import lightmask
from lightmask import Flag, Flags, FrameError, ccdmask, detect_cosmics, mask_frame
from lightmask.masks import make_dark_mask, make_flat_mask
from lightmask.workflow import Night, logged_to, memory_limit
from lightmask.workflow.locks import UNSUPPORTED, hold, lock
data = np.full((32, 32), 100, np.float32)
data[5, 5] = 9000
assert detect_cosmics(data)[0].sum() == 1
"""


def run(code):
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CHECKOUT / "scripts", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_fcntl_and_resource_the_library_imports_and_has_no_locks(tmp_path):
    code = f"""
import sys
sys.modules.update(fcntl=None, resource=None)
{USE}
with open({str(tmp_path / "lock")!r}, "w") as file:
    try:
        lock(file)
    except OSError as error:
        print(error.errno in UNSUPPORTED)
"""
    assert run(code) == "True\n"


@pytest.mark.parametrize("name", ["EREMOTEIO", "EDQUOT", "EHOSTDOWN"])
def test_an_error_that_a_system_does_not_know_is_not_needed(name):
    run(f"import errno; del errno.{name}{USE}")
