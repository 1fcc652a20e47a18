"""How often faults of masks are reported, under which name, and how often something is reported wrongly.

Prints the table of docs/quality.md: simulated images with one fault each, sound ones, and real ones.
"""

import json
import os
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from astropy.io import fits
from nights import FAULTS, sound

from lightmask.errors import FrameError
from lightmask.masks import combine_files, mask_frame
from lightmask.night import validated

NIGHTS = 10
SOUND = 60


def causes(scene, folder):
    """Mask an image, and return the names of the causes that are reported; what refuses it in brackets."""
    frame, combined = folder / "frame.fits", None
    header = fits.Header()
    for keyword, value in scene.cards.items():
        header[f"HIERARCH {keyword}" if " " in keyword else keyword] = value
    fits.writeto(frame, scene.image, header, overwrite=True)
    if scene.known is not None:
        mask = folder / "mask.fits"
        fits.writeto(mask, scene.known.astype(np.uint8), overwrite=True)
        combined = folder / "combined.fits"
        combine_files([("dark", str(mask), "mask.fits")], {"dark": 0, "flat": 0}, combined)
    statistics = folder / "statistics.json"
    config = validated({"cosmic_rays": scene.cosmic_rays, "most_masked": 1, "noise_check": "remark", **scene.config})
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        try:
            mask_frame(frame, "frame.fits", combined, folder / "masked.fits", statistics, config)
        except FrameError as error:
            return [f"({error})"]
    found = json.loads(statistics.read_text())["images"][0]
    if "-v" in sys.argv:
        print({key: value for key, value in found.items() if not isinstance(value, list)}, file=sys.stderr)
    return [cause["name"] for cause in found["causes"]]


def main():
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| fault | expected | reported so | reported otherwise as well |\n|---|---|---|---|")
        right = total = 0
        only = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        for number, (fault, expected) in enumerate(FAULTS.items()):
            if only and fault.__name__ not in only:
                continue
            found = [causes(fault(np.random.default_rng([number, night])), folder) for night in range(NIGHTS)]
            hits = sum(expected in each for each in found)
            others = Counter(cause for each in found for cause in (each or ["nothing"]) if cause != expected)
            listed = ", ".join(f"{cause} {count}" for cause, count in others.items())
            print(f"| {fault.__name__.replace('_', ' ')} | {expected} | {hits} of {NIGHTS} | {listed} |", flush=True)
            right, total = right + hits, total + NIGHTS
        print(f"\n{right} of {total} faults are reported under their name ({right / max(total, 1):.1%}).")
        if only and "sound" not in only:
            return
        wrongly = Counter()
        for night in range(SOUND):
            fwhm = 1.5 + 4.5 * night / (SOUND - 1)
            found = causes(sound(np.random.default_rng([1000, night]), fwhm), folder)
            if found:
                print(f"sound, {fwhm:.2f} pixels: {found}", file=sys.stderr)
            wrongly[bool(found)] += 1
        print(f"{wrongly[True]} of {SOUND} sound images are remarked ({wrongly[True] / SOUND:.1%}).")


if __name__ == "__main__":
    main()
