"""Measure the memory that masking a frame takes, from 1 to 400 megapixels: `make bench-memory`.

    python tests/benches/bench_memory.py              # everything, some twelve minutes; 4 GB in the temporary folder
    python tests/benches/bench_memory.py --quick      # up to 64 megapixels
    python tests/benches/bench_memory.py int16        # the cases whose names contain a word

The peak of the resident set of a process that masks one frame, as the operating system counts it, with that which
undoes tiles, beside what the workflow reckons (`mem_mb`). The frames are star fields, and each has a combined mask.
"""

import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

CHECKOUT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(CHECKOUT / "scripts"), str(CHECKOUT / "tests")]

import skies
from bench import chosen, options

from lightmask.fits.checksums import write
from lightmask.fits.hdus import Hdu, image_header
from lightmask.masks.search import memory
from lightmask.night.configuration import validated

SIDES = 1000, 2000, 4000, 8000, 20_000
TYPES = {"int16": ">i2", "float32": ">f4", "float64": ">f8"}
TILE = 1000
PACKED = {"float64 in tiles": 1, "float64 in one tile": 0}  # height, 0 for all

MASK = """
import resource, sys
from functools import partial
from lightmask.masks import mask_frame
from lightmask.night import validated
from lightmask.show import draw_frame
frame, combined, output, picture = sys.argv[1:]
def used(field):
    return int(open("/proc/self/status").read().partition(field + ":")[2].split()[0])
before = used("VmRSS")
mask_frame(frame, "frame", combined or None, output, output + ".json", validated({}),
    partial(draw_frame, picture=picture, title="frame") if picture else None)
print(max(used("VmHWM"), before + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""


class Repeated:
    """Data of an HDU: an array again and again, made where it is wanted."""

    def __init__(self, array, times):
        self.content, self.times = np.ascontiguousarray(array).tobytes(), times

    def __len__(self):
        return len(self.content) * self.times

    def __getitem__(self, part):
        first, end, _ = part.indices(len(self))
        before = first // len(self.content) * len(self.content)
        return (self.content * (1 + (end - before) // len(self.content)))[first - before : end - before]


def write_tiled(path, tile, shape, dtype):
    """Write an image whose sides are multiples of those of a tile, which it repeats."""
    across = np.tile(tile, shape[1] // tile.shape[1]).astype(dtype)
    header = image_header(shape, np.dtype(dtype))
    header.set("BUNIT", "adu")
    write([Hdu(header, Repeated(across, shape[0] // len(tile)))], path)
    return path


def write_packed(path, tile, shape, height):
    """Write a tile-compressed float64 image, which takes the most to undo."""
    data = np.tile(tile, [n // TILE for n in shape]).astype(float)
    gzipped = {"compression_type": "GZIP_2", "quantize_level": 0, "tile_shape": (height, shape[1])}
    fits.CompImageHDU(data, fits.Header({"BUNIT": "adu"}), **gzipped).writeto(path, overwrite=True)
    return path


def peak(frame, combined="", pictures=False):
    """Mask a frame in a process of its own; return its peak memory in MB, and how long it took in seconds."""
    output = frame.with_name("masked.fits")
    picture = frame.with_name("picture.png") if pictures else ""
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", MASK, *map(str, (frame, combined, output, picture))],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(process.stdout.split()[-1]) * 1024 / 1e6, time.perf_counter() - start


def cases():
    """Yield name, how to make the frame, and whether it is quick."""
    for side in SIDES:
        for name in (*TYPES, *PACKED):
            if side < 20_000 or PACKED.get(name) != 0:  # astropy takes no tiles of gigabytes
                yield f"{side}x{side} {name}", functools.partial(int, side), {"name": name}, side < 20_000


def main():
    """Print a row for each frame."""
    print("| frame | megapixels | peak MB | with pictures | estimated (`mem_mb`) | s | with pictures |")
    print("|---|---|---|---|---|---|---|")
    field = skies.star_field(TILE)
    spots = np.random.default_rng(1).random(field.shape) < 1e-3
    with tempfile.TemporaryDirectory() as folder:
        for title, side, parameters in chosen(cases(), options(__doc__)):
            shape = side, side
            combined = write_tiled(Path(folder) / "combined.fits", spots, shape, "u1")
            path, tile, name = Path(folder) / "frame.fits", field.clip(0, 32_767), parameters["name"]
            height = PACKED.get(name, 1) or side
            if name in PACKED:
                frame = write_packed(path, tile, shape, height)
            else:
                frame = write_tiled(path, tile, shape, TYPES[name])
            (plain, seconds), (drawn, longer) = (peak(frame, combined, pictures) for pictures in (False, True))
            estimated = memory([shape], validated({})["cosmic_rays"], height)
            print(
                f"| {title} | {side * side / 1e6:.0f} | {plain:.0f} | {drawn:.0f} | {estimated} "
                f"| {seconds:.1f} | {longer:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
