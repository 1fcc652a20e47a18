"""Too little memory is told in one line."""

import resource
import subprocess
import sys

import numpy as np
import pytest
from conftest import CHECKOUT

from lightmask.workflow.memory import memory_limit


def test_no_limit_where_enough_is_allowed():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_limit(100, 100, "a.fits"):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_what_is_allowed_can_be_used_and_no_more():
    """In a process of its own, as this one has used much already."""
    code = """
import numpy as np
from lightmask.workflow.memory import memory_limit
with memory_limit(200, 300, "a.fits"):
    np.ones(12_000_000)
try:
    with memory_limit(200, 300, "a.fits"):
        np.ones(25_000_000)
except MemoryError as error:
    print(error)
np.ones(25_000_000)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=CHECKOUT / "scripts"
    )
    assert run.stdout == (
        "a.fits: the 200 MB of memory that it may use do not suffice, 300 MB will; "
        "raise mem_mb (--resources or --set-resources)\n"
    ), run.stderr


def test_other_errors_stay_what_they_are():
    with pytest.raises(FileNotFoundError), memory_limit(1, 2, "a.fits"):
        raise FileNotFoundError
    with pytest.raises(MemoryError, match=r"a\.fits: the 1 MB"), memory_limit(1, 2, "a.fits"):
        np.ones(10_000_000)
