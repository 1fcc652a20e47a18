"""Measure what making a mask of many darks or flats takes: `make bench-static-masks`.

    python tests/benches/bench_static_masks.py          # everything, a quarter of an hour; 7 GB in the temporary folder
    python tests/benches/bench_static_masks.py --quick  # up to 20 of 2048 x 2048
    python tests/benches/bench_static_masks.py darks    # the cases whose names contain a word

Processor time, files that are opened, bytes that the process reads (as the kernel counts them, in units of all the
files), and the peak of its resident set. The sources are float32, darks of one exposure time; the files are in the
page cache.
"""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits

CHECKOUT = Path(__file__).parent.parent.parent

from bench import chosen, options

SIZES = [(side, number) for side in (2048, 4096) for number in (10, 20, 40, 100)]

MAKE = """
import resource, sys, time
from lightmask.masks import Output, make_dark_mask, make_flat_mask
from lightmask.night import validated
kind, side, *files = sys.argv[1:]
config = validated({})
config["combined"] = []
opened = set()
count = 0
def watch(event, arguments):
    global count
    count += event == "open" and arguments[0] in opened
opened.update(files)
sys.addaudithook(watch)
sources, output = [(file, file) for file in files], Output("m.fits", "m.json")
def read():
    return int(open("/proc/self/io").read().split()[1])
start, before = time.process_time(), read()
if kind == "darks":
    make_dark_mask(sources, {}, [], config, (int(side),) * 2, output)
else:
    make_flat_mask(sources, {}, [], config, (int(side),) * 2, output)
seconds = time.process_time() - start
print(seconds, count, read() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def write_sources(folder, kind, side, number):
    """Write frames of noise, flats of different counts."""
    random = np.random.default_rng(1)
    noise = random.normal(0, 3, (side, side)).astype(np.float32)
    for n in range(number):
        data = np.roll(noise, 37 * n) + np.float32(10 if kind == "darks" else 5000 + 100 * n)
        fits.PrimaryHDU(data, fits.Header({"EXPTIME": 300.0})).writeto(folder / f"{n:03}.fits")
    return sorted(map(str, folder.glob("*.fits")))


def cases():
    """Yield name, how to make the frames, and whether it is quick."""
    for kind in ("flats", "darks"):
        for side, number in SIZES:
            quick = side == 2048 and number <= 20
            yield (
                f"{number} {kind} of {side}x{side}",
                functools.partial(int, number),
                {"kind": kind, "side": side},
                quick,
            )


def main():
    """Print a row for each number of sources."""
    print("| sources | processor s | opened | read | peak MB |")
    print("|---|---|---|---|---|")
    for title, number, parameters in chosen(cases(), options(__doc__)):
        with tempfile.TemporaryDirectory() as folder:
            kind, side = parameters["kind"], parameters["side"]
            files = write_sources(Path(folder), kind, side, number)
            process = subprocess.run(
                [sys.executable, "-c", MAKE, kind, str(side), *files],
                env=os.environ | {"PYTHONPATH": str(CHECKOUT / "scripts")},
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
            )
            seconds, opened, read, peak = map(float, process.stdout.split()[-4:])
            size = sum(Path(file).stat().st_size for file in files)
            print(f"| {title} | {seconds:.1f} | {opened:.0f} | {read / size:.2f} | {peak / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main()
