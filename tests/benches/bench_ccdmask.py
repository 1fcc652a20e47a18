"""Time `lightmask.detect.ccdmask` against ccdproc: one process, one thread, side by side.

    python tests/benches/bench_ccdmask.py            # everything, about ten minutes
    python tests/benches/bench_ccdmask.py --quick    # the fast part of it
    python tests/benches/bench_ccdmask.py 2048       # the cases whose names contain a word

Each round runs ccdproc once between runs of ours, so that both meet the same machine; the
medians are printed. Memory is the growth of the resident set in a forked process, result included,
in images of the size and type of the input.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything that might start threads is imported

import functools
import sys
import warnings
from pathlib import Path

import ccdproc
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData

CHECKOUT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(CHECKOUT / "scripts"), str(CHECKOUT / "tests")]

from bench import DATA, chosen, memory, options, side_by_side

from lightmask.detect import ccdmask

SECONDS = 8  # of ccdproc per case, after which no further round begins


def flat(size, bad=2e-4, noise=0.01, dtype=np.float32):
    """Return a ratio of flats with vignetting, dust, bad pixels and a bad column."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    image = rng.normal(0.84, 0.84 * noise, (size, size)).astype(np.float32)
    image *= 1 - 0.2 * ((x / size - 0.5) ** 2 + (y / size - 0.5) ** 2)
    for _ in range(size // 50):
        row, column = rng.integers(0, size, 2)
        near = slice(max(0, row - 60), row + 60), slice(max(0, column - 60), column + 60)
        distance2 = (y[near] - row) ** 2 + (x[near] - column) ** 2
        image[near] *= 1 - 0.1 * np.exp(-0.5 * distance2 / rng.uniform(6, 18) ** 2)
    image[rng.random(image.shape) < bad] *= rng.uniform(0.2, 1.5)
    image[size // 3 :, size // 4] *= 0.7
    return (image * (1 if np.dtype(dtype).kind == "f" else 30000)).astype(dtype)


def with_nan(size, fraction):
    image = flat(size)
    image[np.random.default_rng(2).random(image.shape) < fraction] = np.nan
    image[:, size // 2] = np.nan
    return image


def dome_flat():
    return fits.getdata(DATA / "arcsat-reduced/domeflat_g_001.fits")


def sky_flats():
    frames = sorted((DATA / "efosc2-reduced").glob("EFOSC*.fits"))
    flats = [path for path in frames if fits.getheader(path).get("HIERARCH ESO DPR TYPE") == "SKY,FLAT"]
    if not flats:
        raise FileNotFoundError(2, "none", "efosc2-reduced")
    return [fits.getdata(path) for path in flats]


def ratio_of_sky_flats():
    first, second, *_ = sky_flats()
    with np.errstate(all="ignore"):
        return first / second


LOW = {"lsigma": 2, "hsigma": 2}

# Name, image, parameters, whether a quick run includes it.
CASES = [
    ("flat 1024", functools.partial(flat, 1024), {}, True),
    ("flat 2048", functools.partial(flat, 2048), {}, False),
    ("flat 4096", functools.partial(flat, 4096), {}, False),
    ("flat 2048, byblocks", functools.partial(flat, 2048), {"byblocks": True}, True),
    ("flat 2048, findbadcolumns", functools.partial(flat, 2048), {"findbadcolumns": True}, False),
    (
        "flat 2048, byblocks, findbadcolumns",
        functools.partial(flat, 2048),
        {"byblocks": True, "findbadcolumns": True},
        True,
    ),
    ("flat 1024, float64", functools.partial(flat, 1024, dtype=np.float64), {}, True),
    ("flat 1024, int32", functools.partial(flat, 1024, dtype=np.int32), {}, True),
    ("ARCSAT dome flat 1024", dome_flat, {}, True),
    ("EFOSC2 sky flat 1030", lambda: sky_flats()[0], {}, True),
    ("EFOSC2 ratio of sky flats", ratio_of_sky_flats, {}, True),
    ("flat 1024, median 3x3", functools.partial(flat, 1024), {"ncmed": 3, "nlmed": 3}, False),
    ("flat 1024, median 15x15", functools.partial(flat, 1024), {"ncmed": 15, "nlmed": 15}, False),
    ("flat 1024, median 7x1", functools.partial(flat, 1024), {"nlmed": 1}, False),
    ("flat 1024, sigma 5x5", functools.partial(flat, 1024), {"ncsig": 5, "nlsig": 5}, False),
    ("flat 1024, sigma 31x31", functools.partial(flat, 1024), {"ncsig": 31, "nlsig": 31}, False),
    ("flat 1024, both sigmas 5", functools.partial(flat, 1024), {"lsigma": 5, "hsigma": 5}, False),
    ("flat 1024, both sigmas 2", functools.partial(flat, 1024), LOW, True),
    ("flat 1024, byblocks, both sigmas 2", functools.partial(flat, 1024), LOW | {"byblocks": True}, True),
    ("flat 1024, both sigmas 0", functools.partial(flat, 1024), {"lsigma": 0, "hsigma": 0}, False),
    ("noise of 100 % 1024", functools.partial(flat, 1024, noise=1.0), {}, False),
    ("10 % bad pixels 1024", functools.partial(flat, 1024, bad=0.1), {}, False),
    ("100 NaN and a column 1024", functools.partial(with_nan, 1024, 1e-4), {}, False),
    ("10 % NaN 512", functools.partial(with_nan, 512, 0.1), {}, True),
    ("flat 512, uint64", functools.partial(flat, 512, dtype=np.uint64), {}, True),
]


def reference(image, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ccdproc.ccdmask(CCDData(image, unit="adu"), **parameters)


def compare(name, image, parameters):
    """Print one row of the table."""
    their_time, our_time, expected, mask = side_by_side(reference, ccdmask, image, parameters, SECONDS, each=2)
    print(
        f"| {name} | {their_time:.2f} | {our_time:.3f} | {their_time / our_time:.3g} "
        f"| {memory(ccdmask, image, parameters):.1f} | {expected.sum()} | {(mask != expected).sum()} |",
        flush=True,
    )


def main():
    """Print the table of all cases, or of those asked for."""
    wanted = options(__doc__)
    print(f"ccdproc {ccdproc.__version__}, numpy {np.__version__}, one thread\n")
    print("| case | ccdproc s | ours s | ratio | memory | pixels flagged | differing pixels |")
    print("|---|---|---|---|---|---|---|")
    for name, image, parameters in chosen(CASES, wanted):
        compare(name, image, parameters)


if __name__ == "__main__":
    main()
