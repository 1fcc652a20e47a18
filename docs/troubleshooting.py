"""Print docs/troubleshooting.md, and draw its pictures: simulated images with each fault, and what is flagged there."""

import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import yaml
from astropy.io import fits
from PIL import Image

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT / folder) for folder in ("scripts", "tests", "tests/benches")]

from bench_quality import causes
from nights import FAULTS, Camera, sound

from lightmask.bits import Flag
from lightmask.quality import NAMES

PICTURES = Path(__file__).with_name("troubleshooting")
SIDE, ZOOM = 128, 2
COLOURS = {Flag.COSMIC: (213, 94, 0), Flag.SUSPECT: (240, 228, 66), Flag.SATURATED: (204, 121, 167)}

BEGINNING = """# What remarks mean, and what to do

Each image that is masked is measured, and what looks wrong with its mask is remarked: in the log, in `summary.csv`
(`causes`, `remedy`, `remark`), and in a list at the end of the run, by cause. [quality.md](quality.md) says how it is
measured, and how often it is right; `limits` in [configuration.md](configuration.md) says where it is remarked.

In the pictures an image is on the left, and on the right what is flagged: cosmic rays in vermilion, suspects in
yellow, saturated pixels in purple. They are simulated, each with one fault (`make pages` draws them).

An image of which more than `most_masked` (0.2) would be masked has no result at all: its line says which reason masks
most, and one of the causes below. So has one whose noise cannot be (`noise_check`). A mask that masks more than that
is refused where masks are made or combined. It is inverted (in a mask 0 is good), or of another camera, or made of
darks that keep their bias.
"""
TEXTS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
"""Of each cause what it means, and what to do."""


def few(rng):
    """Return an image without any cosmic ray."""
    camera = Camera(rng, fwhm=3)
    return camera.scene(camera.exposed(camera.light(), rays=0))


def sampling(rng):
    """Return an image of narrow stars."""
    scene = sound(rng, 1.2)
    scene.cosmic_rays["objlim"] = 80
    return scene


def draw(cause):
    """Draw a part of an image with a fault, and what is flagged there."""
    faults = {name: fault for fault, name in FAULTS.items()} | {"few": few, "sampling": sampling}
    scene = faults[cause](np.random.default_rng(8))
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nothing:
        with redirect_stdout(nothing), redirect_stderr(nothing):
            causes(scene, Path(name))
        flags = fits.getdata(Path(name, "masked.fits"), "FLAGS")
    flagged = (flags & np.int16(Flag.COSMIC | Flag.SUSPECT)) != 0
    # Where most is flagged.
    blocks = np.add.reduceat(np.add.reduceat(flagged, range(0, 640, SIDE // 2), 0), range(0, 640, SIDE // 2), 1)
    pairs = blocks[:-1, :-1] + blocks[1:, :-1] + blocks[:-1, 1:] + blocks[1:, 1:]
    y, x = (int(place) * SIDE // 2 for place in np.unravel_index(np.argmax(pairs), pairs.shape))
    part = (slice(y, y + SIDE), slice(x, x + SIDE))
    low, high = np.percentile(scene.image, [3, 99.5])
    grey = np.clip((scene.image[part] - low) / (high - low), 0, 1) ** 0.5
    grey = (16 * np.round(grey * 15)).astype(np.uint8)  # few levels make a small file
    plain = np.repeat(grey[:, :, None], 3, axis=2)
    marked = plain.copy()
    for flag, colour in COLOURS.items():
        marked[(flags[part] & np.int16(flag)) != 0] = colour
    gap = np.full((SIDE, 4, 3), 255, np.uint8)
    both = np.concatenate([plain, gap, marked], axis=1)[::-1]
    picture = Image.fromarray(both).resize((both.shape[1] * ZOOM, SIDE * ZOOM), Image.Resampling.NEAREST)
    PICTURES.mkdir(exist_ok=True)
    picture.quantize(32).save(PICTURES / f"{cause}.png", optimize=True)


def page():
    """Return the page."""
    parts = [BEGINNING]
    for cause, meaning in NAMES.items():
        about = TEXTS[cause]
        parts.append(
            f"## {cause}\n\n*{meaning[0].upper()}{meaning[1:]}.* {about['text']}\n\n"
            f"**What to do**: {about['remedy']}\n\n![{meaning}](troubleshooting/{cause}.png)\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    if "--pictures" in sys.argv:
        for each in NAMES:
            draw(each)
    print(page(), end="")
