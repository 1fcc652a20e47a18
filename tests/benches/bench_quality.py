"""How often faults of masks are reported, under which name, and how often something is reported wrongly.

Prints the table of docs/quality.md: simulated images with one fault each, sound ones, and real ones.
"""

import json
import math
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from astropy.io import fits

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "scripts"), str(CHECKOUT / "tests")]

from nights import FAULTS, Camera, Scene, add_rays, sound
from skies import add_stars, add_tracks, sky, star_field

from lightmask.bits import Flag
from lightmask.detect import detect_cosmics
from lightmask.errors import FrameError
from lightmask.fits import Header, Image
from lightmask.masks import Output, combine_files, make_flat_mask, mask_frame
from lightmask.masks.planes import Raised
from lightmask.masks.search import flag_pixels
from lightmask.night import readout, validated
from lightmask.quality import Events, Sample, measured_noise, measured_quality, measured_stars

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
        with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
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


def flats(number, rng):
    """Make a flat mask of so many simulated flats; return completeness and purity."""
    side, gain = 512, 1.5
    y, x = np.ogrid[:side, :side]
    light = 1 - 0.15 * ((y - 240) ** 2 + (x - 270) ** 2) / side**2
    response = rng.normal(1, 0.006, (side, side))
    bad = rng.random((side, side)) < 0.002
    swallowed = np.where(bad, np.exp(rng.uniform(*np.log((1500, 15_000)), (side, side))), 0)
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nothing, redirect_stdout(nothing):
        sources = []
        for place, level in enumerate(np.linspace(45_000, 15_000, max(number, 2))[:number]):
            electrons = rng.poisson(light * response * level) - swallowed
            add_rays(electrons, rng, 12)
            image = (np.clip(electrons, 0, None) + rng.normal(0, 10, electrons.shape)) / gain
            path = Path(name, f"{place}.fits")
            fits.writeto(path, image.astype(np.float32))
            sources.append((str(path), path.name))
        config = {"make_flat_mask": validated({})["make_flat_mask"], "checksums": "check"}
        output = Output(Path(name, "mask.fits"), Path(name, "mask.json"))
        make_flat_mask(sources, {"IMAGETYP": "flat mask"}, [], config, (side, side), output)
        found = fits.getdata(output.mask) != 0
    return (found & bad).sum() / bad.sum(), (found & bad).sum() / max(found.sum(), 1)


def print_flats():
    """Print how good flat masks are, by the number of flats that they are made of."""
    print("\n| flats | bad pixels found | of what is masked, bad |\n|---|---|---|")
    for number in (1, 2, 3, 5, 10):
        found = np.mean([flats(number, np.random.default_rng([2000, number, night])) for night in range(5)], axis=0)
        print(f"| {number} | {found[0]:.1%} | {found[1]:.1%} |", flush=True)


def print_parameters():
    """Print what the parameters of L.A.Cosmic do to stars, by their sampling."""
    print("\n| full width of stars | objlim | star cores flagged | precision | recall |\n|---|---|---|---|---|")
    for fwhm in (1.3, 1.5, 1.7, 2.0, 2.5):
        for objlim in (5, 10, 20, 40):
            rng = np.random.default_rng([3000, int(100 * fwhm)])
            camera = Camera(rng, side=1024, fwhm=fwhm, sky=300, gain=1.5, readnoise=8, stars=200, rays=60)
            light = camera.light()
            image = rng.poisson(light).astype(float)
            clean = image.copy()
            add_rays(image, rng, 60)
            hit = image - clean > 3 * np.sqrt(light + 64)
            image += rng.normal(0, 8, image.shape)
            found, _ = detect_cosmics(image.astype("f4") / 1.5, gain=1.5, readnoise=8, sigclip=8, objlim=objlim)
            window = (slice(0, 1024), slice(0, 1024))
            flags = found.astype(np.int16) * np.int16(Flag.COSMIC)
            stars = measured_stars(Sample(image.astype("f4"), window), flags, 300, math.sqrt(364))
            right = (found & hit).sum()
            precision, recall = right / found.sum(), right / hit.sum()
            print(f"| {stars.fwhm:.1f} | {objlim} | {stars.share:.0%} | {precision:.2f} | {recall:.2f} |")


def print_cost():
    """Print what it costs to judge a mask, beside detection: the best of seven runs of each, one after the other."""
    print("\n| image | detection | judging, with events | a quarter of detection and 5 ms |\n|---|---|---|---|")
    config = validated({})
    for side in (1024, 2048, 4096):
        image = star_field(side, seed=3)
        how = readout(config, {}, {}, image.shape)
        one = Image(image, None, False, Header())
        took = {"detection": [], "judging": []}
        for _ in range(7):
            started = time.perf_counter()
            with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
                flags, _ = flag_pixels(one, None, config["cosmic_rays"], how)
            took["detection"].append(time.perf_counter() - started)
            started = time.perf_counter()
            noise = measured_noise(image, how)
            measured = measured_quality(
                image, flags, how, noise, Events(image, flags), Header(), {"exposure": [], "pixel_size": []}
            )
            assert measured["events"]
            took["judging"].append(time.perf_counter() - started)
        detection, judging = (1000 * min(took[what]) for what in took)
        print(f"| {side}² | {detection:.1f} ms | {judging:.1f} ms | {detection / 4 + 5:.1f} ms |", flush=True)


def print_sky():
    """Print how long detection takes on an image with its sky, without, and with what `sky` adds."""
    rng = np.random.default_rng(1)
    image = add_tracks(add_stars(sky((2048, 2048), rng, level=1000), rng, 400), rng, 80)
    config = validated({"cosmic_rays": {"readnoise": 5}})
    how = readout(config, {}, {}, image.shape)
    print("\n| sky of 1000 e- | detection |\n|---|---|")
    for name, data in (
        ("in the image", image),
        ("subtracted", image - np.float32(1000)),
        ("subtracted, with `sky: auto`", Raised(image - np.float32(1000), 1000.0)),
    ):
        took = []
        for _ in range(3):
            started = time.perf_counter()
            with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
                flag_pixels(Image(data, None, False, Header()), None, config["cosmic_rays"], how)
            took.append(time.perf_counter() - started)
        print(f"| {name} | {min(took) * 1e6 / image.size:.3f} s/Mpix |", flush=True)


REAL = {
    "arcsat-reduced/LPS*.fits": (1.0, 10.0, None, "arcsat-reduced/*mask*.fits"),
    "catseye-reduced/catseye_*.fits": (1.338, 15.4, None, "catseye-reduced/known_bad.fits"),
    "efosc2-reduced/EFOSC.2022-01-28T0[458]*.fits": (1.1, 7.8, 30.0, "truth/efosc2_known_bad.fits"),
    "nickel-reduced/[NP]*.fits": (1.81, 10.4, 30.0, "nickel-reduced/known_bad.fits"),
    "hst-wfpc2/*ext3.fits": (7.0, 5.0, 15.0, ""),
}
"""Real frames, with their gain in e-/adu, read noise in e-, pixels in um if known, and masks of known bad pixels."""


def print_real(folder):
    """Print what is reported of real frames, with all that is known of them, and as chapter 8.5 masks them."""
    data = Path(os.environ.get("LIGHTMASK_DATA") or CHECKOUT.parent / "shared/data")
    if not data.is_dir():
        print(f"\nNo real frames in {data}.")
        return
    print("\n| real frame | all that is known | per cm² and s | chapter 8.5, no masks |\n|---|---|---|---|")
    for pattern, (gain, readnoise, side, masks) in REAL.items():
        for path in sorted(data.glob(pattern)):
            with fits.open(path) as hdus:
                hdu = next(hdu for hdu in hdus if hdu.data is not None)
                cards = {key: hdus[0].header[key] for key in ("EXPTIME",) if key in hdus[0].header}
                image = np.asarray(hdu.data, np.float32)
            known = [fits.getdata(mask) != 0 for mask in sorted(data.glob(masks))] if masks else []
            union = np.logical_or.reduce(known) if known else None
            if side:
                cards["XPIXSZ"] = side
            known_to_all = causes(Scene(image, {"gain": gain, "readnoise": readnoise}, cards, union), folder)
            rate = json.loads((folder / "statistics.json").read_text())["event_rate_area"]
            chapter = causes(Scene(image, {}, cards), folder)
            listed = [", ".join(names) or "nothing" for names in (known_to_all, chapter)]
            name = f"{path.parent.name.partition('-')[0]} {path.stem[-22:]}"
            print(f"| {name} | {listed[0]} | {f'{rate:.3f}' if rate else ''} | {listed[1]} |", flush=True)


def main():
    """Print the tables."""
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
        if not only:
            print_real(folder)
            print_flats()
            print_parameters()
            print_cost()
            print_sky()


if __name__ == "__main__":
    main()
