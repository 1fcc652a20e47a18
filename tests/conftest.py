"""What several test files need: small frames, real frames, and runs of the workflow."""

import contextlib
import ctypes
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from astropy.io import fits

# Astroscrappy's threads outnumber the cores of a busy machine, and wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Of a mutant it is enough to know that it fails: the smallest input on which it does takes long to find.
hypothesis.settings.register_profile(
    "mutants",
    hypothesis.settings.get_profile("ci"),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)

CHECKOUT = Path(__file__).parent.parent
DEMO = ["--config", "frames=results/demo"]
"""The demo night, in a working directory that is not the clone."""
DATA = Path(os.environ.get("LIGHTMASK_DATA", CHECKOUT.parent / "shared" / "data"))


# What the reference finds on the real frames with readnoise 10 and sigclip 8: cosmic pixels of each
# iteration, and the start of sha256(packbits(mask)). From the README of the frames.
DIGESTS = {
    "arcsat-reduced/LPSEB35_g_20250530_034359": ((99, 33, 36, 46), "943fff7b01cdd9ad"),
    "efosc2-reduced/EFOSC.2022-01-28T04.54.24.341": ((1174, 327, 52, 17), "e46c340e503b171b"),
    "efosc2-reduced/EFOSC.2022-01-28T05.05.25.843": ((1353, 317, 69, 22), "ad099be7f55ad194"),
    "efosc2-reduced/EFOSC.2022-01-28T05.09.05.986": ((1250, 292, 40, 19), "19fb57a47debafbb"),
    "efosc2-reduced/EFOSC.2022-01-28T08.37.47.742": ((1013, 284, 55, 50), "279b4e2632f47c2d"),
    "efosc2-reduced/EFOSC.2022-01-28T08.40.27.113": ((1097, 273, 67, 36), "684c250820883866"),
    "efosc2-reduced/EFOSC.2022-01-28T08.43.07.204": ((1034, 300, 57, 23), "ccf721651c187be9"),
}


@pytest.fixture(scope="session")
def real_data():
    """Folder of real frames, which are never part of the repository."""

    def folder(name):
        if not (DATA / name).is_dir():
            pytest.skip(f"no real frames in {DATA / name}")
        return DATA / name

    return folder


def write_light(path, shape=(64, 80), seed=1, data=None, **cards):
    """Write a LIGHT frame of noise with one cosmic ray at (10, 10)."""
    if data is None:
        data = np.random.default_rng(seed).normal(100, 10, shape).astype(np.float32)
        data[..., 10, 10] += 3000
    hdu = fits.PrimaryHDU(data)
    for keyword, value in ({"IMAGETYP": "LIGHT", "FILTER": "r", "EXPTIME": 10.0} | cards).items():
        if value is not None:
            hdu.header[keyword] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    hdu.writeto(path, overwrite=True)


def write_mask(path, type_, pixels=((5, 5),), shape=(64, 80), **cards):
    """Write an 8-bit mask with some bad pixels."""
    mask = np.zeros(shape, np.uint8)
    for pixel in pixels:
        mask[pixel] = 1
    hdu = fits.PrimaryHDU(mask)
    hdu.header["IMAGETYP"] = type_
    hdu.header.update(cards)
    path.parent.mkdir(parents=True, exist_ok=True)
    hdu.writeto(path, overwrite=True)


def write_night(folder, lights=("a.fits", "b.fits")):
    """Write a small night: LIGHT frames, one flat mask (4 pixels), one dark mask (3)."""
    for seed, name in enumerate(lights):
        write_light(folder / name, seed=seed)
    write_mask(folder / "flat_mask.fits", "flat mask", [(5, 5), (5, 6), (5, 7), (5, 8)])
    write_mask(folder / "dark_mask.fits", "dark mask", [(5, 8), (20, 20), (30, 30)])


def write_calibrations(folder):
    """Write two flats whose ratio shows a pixel at (5, 5), and a dark with a hot one at (20, 20)."""
    for number, level in enumerate((30_000, 10_000)):
        data = np.random.default_rng(number + 50).normal(level, level / 200, (64, 80)).astype(np.float32)
        data[5, 5] -= 8000
        write_light(folder / f"flat{number}.fits", data=data, IMAGETYP="FLAT")
    data = np.random.default_rng(60).normal(2, 1, (64, 80)).astype(np.float32)
    data[20, 20] = 900
    write_light(folder / "dark.fits", data=data, IMAGETYP="DARK", EXPTIME=30.0, FILTER=None, NCOMBINE=10)


class Run:
    """A finished run of the workflow."""

    def __init__(self, process, work, seconds=0.0):
        self.returncode = process.returncode
        self.output = process.stdout
        self.results = work / "results"
        self.seconds = seconds

    @property
    def jobs(self):
        """The `message` of every job that was started, but for the last, which only ends the run."""
        started = (line.partition(": ")[2] for line in self.output.splitlines() if re.match(r"Job \d+: ", line))
        return sorted(message for message in started if not message.startswith("All frames are masked"))


OVERRIDE, READ_SEARCH = 1, 2
"""Capabilities by which root reads and writes what is forbidden; other users have none."""


@contextlib.contextmanager
def without_rights():
    """Be no better than another user for a while."""
    libc = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    effective = sets[0]
    sets[0] &= ~(1 << OVERRIDE | 1 << READ_SEARCH)
    libc.capset(header, sets)
    try:
        yield
    finally:
        sets[0] = effective
        libc.capset(header, sets)


def give_up_rights():
    """Be so in all programs that this process starts."""
    for capability in (OVERRIDE, READ_SEARCH):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def command(work, *arguments, snakefile=CHECKOUT / "Snakefile", cores=2):
    """Return the command that starts `snakemake` as a user does, in a working directory of its own."""
    python = [sys.executable, "-m", "snakemake"]
    return [*python, "-s", snakefile, "--directory", work, "--cores", str(cores), *arguments]


def run_workflow(work, *arguments, before=(), snakefile=CHECKOUT / "Snakefile", cores=2, **options):
    """Run `snakemake` to its end; `before` is what stands before it on the command line."""
    started = time.monotonic()
    process = subprocess.run(
        [*before, *command(work, *arguments, snakefile=snakefile, cores=cores)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
        **options,
    )
    return Run(process, Path(work), time.monotonic() - started)


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory):
    """Mask the demo night, as `make demo` does."""
    run = run_workflow(tmp_path_factory.mktemp("demo"), *DEMO)
    assert run.returncode == 0, run.output
    return run


@pytest.fixture(scope="session")
def demo_results(demo_run):
    """Return the results of the demo night."""
    return demo_run.results


def bomb(form, levels=9, width=10):
    """Write the billion laughs."""
    lines = ["a0: &a0 [lol, lol]"]
    for level in range(1, levels + 1):
        inside = ", ".join([f"*a{level - 1}"] * width)
        keyed = ", ".join(f"k{number}: *a{level - 1}" for number in range(width))
        forms = {"lists": f"[{inside}]", "sections": f"{{{keyed}}}", "merges": f"{{<<: [{inside}]}}"}
        lines.append(f"a{level}: &a{level} {forms[form]}")
    return "\n".join(lines).replace("[lol, lol]", "{lol: 1, lal: 2}" if form == "merges" else "[lol, lol]") + "\n"
