"""How right masks are: the tables of docs/accuracy.md.

    python tests/benches/bench_truth.py          # real and simulated images; what make truth does
    python tests/benches/bench_truth.py binned   # the sets whose names contain a word
    python tests/benches/bench_truth.py --card   # also write the card of the weights

Truth is injected into real frames and into simulated ones, or known from other exposures. Where images have others
of their field, they are compared with these. For each real camera
the net has weights that were trained without it. With PEERS=1, deepCR and Cosmic-CoNN stand beside: they get
electrons, in which the median replaces known bad pixels.
"""

import json
import os
import pickle

os.environ["OMP_NUM_THREADS"] = "1"  # before anything that might start threads is imported

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
TRAINING = CHECKOUT / "scripts/training"
sys.path[:0] = [str(CHECKOUT / "scripts"), str(CHECKOUT / "tests"), str(TRAINING)]

import frames
import numpy as np
from astropy.io import fits
from dithered import night
from frames import DATA, SQUARE
from scenes import simulated
from scipy import ndimage

from lightmask.detect import detect_cosmics, net, trace_cosmics
from lightmask.night.fields import MOST
from lightmask.repeats import Exposure, compare_exposures
from lightmask.truth import LEAST_OF_RAY, MOST_OF_NONE, Score, Sensor, inject, scaled, score, tracks

RAYS = 200e-6  # per pixel of an unbinned frame
VERSIONS = 2  # of each real frame, each with its own rays
SIDE = 768  # of simulated images
IMAGES = 4  # of each simulated set
CLEAN = 24  # images without rays
BRIGHT = 30  # contrast of a star whose core counts [sigma]


@dataclass
class Case:
    """An image, what is known of its camera, and the truth."""

    image: np.ndarray
    bad: np.ndarray
    gain: float
    readnoise: float
    satlevel: float
    hit: np.ndarray
    free: np.ndarray
    event: np.ndarray | None
    cores: np.ndarray
    others: tuple[np.ndarray, ...] = ()
    """Images of the same field, of the same detector."""


def chapter(case):
    """Return what chapter 8.5 flags."""
    return detect_cosmics(case.image, gain=1, readnoise=10, sigclip=8).crmask


def best_lacosmic(case):
    """Return what L.A.Cosmic flags with the right numbers and the thresholds that are best for all sets."""
    return detect_cosmics(
        case.image,
        case.bad,
        gain=case.gain,
        readnoise=case.readnoise,
        satlevel=case.satlevel,
        sigclip=8,
        sigfrac=0.1,
    ).crmask


def trace(case):
    """Return what `trace_cosmics` flags."""
    return trace_cosmics(case.image, case.bad, gain=case.gain, readnoise=case.readnoise, satlevel=case.satlevel).crmask


def trace_with_repeats(case):
    """Return what is left of `trace`, and what is added, when the image is compared with others of its field."""
    found = trace(case)

    def exposure(image):
        image = np.array(image, np.float32)
        image[image >= case.satlevel / case.gain] = np.nan
        image[case.bad] = np.nan
        return Exposure(image.__getitem__, image.shape)

    def variance(y, x, light):
        return ((case.readnoise / case.gain) ** 2 + np.maximum(light, 0) / case.gain).astype(np.float32)

    compared = compare_exposures(exposure(case.image), [exposure(other) for other in case.others], found, variance)
    found.ravel()[compared.added] = True
    found.ravel()[np.concatenate([compared.removed, compared.suspect])] = False
    return found


METHODS: dict[str, Callable[[Case], np.ndarray]] = {
    "chapter 8.5": chapter,
    "best L.A.Cosmic": best_lacosmic,
    "trace": trace,
}


REPEATS = {"trace, alone": trace, "trace, repeats": trace_with_repeats}


class Peer:
    """A detector that runs in an environment of its own, `.venv-peers`, which make truth PEERS=1 makes."""

    process: subprocess.Popen | None = None

    def __init__(self, name: str):
        self.name = name
        self.ask(np.zeros((0, 0), np.float32))  # loads the model, which is not part of its time

    def __call__(self, case: Case) -> np.ndarray:
        """Return what the detector flags."""
        return self.ask(np.where(case.bad, np.median(case.image), case.image).astype(np.float32) * case.gain)

    def ask(self, image: np.ndarray) -> np.ndarray:
        """Return the mask of an image [e-]."""
        if Peer.process is None:
            command = [str(CHECKOUT / ".venv-peers/bin/python"), str(Path(__file__).with_name("peers.py"))]
            Peer.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        pickle.dump((self.name, image.astype(np.float32)), Peer.process.stdin)
        Peer.process.stdin.flush()
        return pickle.load(Peer.process.stdout)


@contextmanager
def weights(camera: str | None) -> Iterator[None]:
    """Use weights that know nothing of a camera."""
    before = net.FILE
    if camera:
        net.FILE = frames.without(next(fold for fold, cameras in frames.FOLDS.items() if camera in cameras))
    net.layers.cache_clear()
    try:
        yield
    finally:
        net.FILE = before
        net.layers.cache_clear()


def stars(frame: frames.Frame, near_ray: np.ndarray) -> np.ndarray:
    """Return the brightest pixels of bright stars of a real frame, where no ray is."""
    light = frames.median(frame.image)
    smooth = ndimage.gaussian_filter(frame.image, 1)
    contrast = (frame.image - light) * frame.gain / frames.pixel_noise(frame.image, frame.gain, frame.readnoise)
    peak = (smooth == ndimage.maximum_filter(smooth, 7)) & (contrast > BRIGHT)
    away = ndimage.binary_dilation(near_ray | frame.unjudged | frame.bad, SQUARE, iterations=3)
    return np.argwhere(peak & ~away)


def injected(frame: frames.Frame, number: int, per_pixel: float) -> Case:
    """Return a frame with real tracks in it."""
    rng = np.random.default_rng([11, *frame.name.encode(), number])
    real = frames.footprints()
    many = int(per_pixel * frame.image.size)
    chosen = scaled(rng, [real[place] for place in rng.integers(0, len(real), many)], frame.noise)
    found = inject(rng, frame.image.shape, chosen)
    image = (frame.image + found.charge / frame.gain).astype(np.float32)
    noise = frames.pixel_noise(frame.image, frame.gain, frame.readnoise)
    judged = ~frame.unjudged & ~frame.bad
    hit, free = (found.charge >= LEAST_OF_RAY * noise) & judged, (found.charge < MOST_OF_NONE * noise) & judged
    cores = stars(frame, found.charge > MOST_OF_NONE * noise)
    return Case(image, frame.bad, frame.gain, frame.readnoise, frame.satlevel, hit, free, found.event, cores)


def natural(frame: frames.Frame) -> Case:
    """Return a frame with its own rays, which other exposures show."""
    judged = ~frame.bad
    judged[:4] = judged[-4:] = judged[:, :4] = judged[:, -4:] = False
    hit, free = frame.rays & judged, ~frame.unjudged & ~frame.rays & judged
    event, _ = ndimage.label(frame.rays, SQUARE)
    return Case(
        frame.image, frame.bad, frame.gain, frame.readnoise, frame.satlevel, hit, free, event, stars(frame, frame.rays)
    )


def of_sky(seed: list[int], rays: int, kind: str, fwhm: float) -> Case:
    """Return a simulated image with generated tracks, or with none."""
    rng = np.random.default_rng(seed)
    sky = simulated(rng, SIDE, kind, fwhm)
    noise = float(np.sqrt(sky.sky + sky.readnoise**2))
    sensor = Sensor(tilt=rng.uniform(0, 1.2))
    found = inject(rng, (SIDE, SIDE), scaled(rng, tracks(rng, rays, sensor), noise))
    image = (sky.exposed(rng, found.charge) / sky.gain).astype(np.float32)
    of_pixel = np.sqrt(sky.light + sky.readnoise**2)
    hit, free = found.charge >= LEAST_OF_RAY * of_pixel, found.charge < MOST_OF_NONE * of_pixel
    y, x = sky.cores.T
    near_ray = ndimage.binary_dilation(~free, SQUARE, iterations=3)
    bright = (sky.light[y, x] - sky.sky > BRIGHT * of_pixel[y, x]) & ~near_ray[y, x]
    none = np.zeros(image.shape, bool)
    return Case(image, none, sky.gain, sky.readnoise, sky.satlevel * 0.98, hit, free, found.event, sky.cores[bright])


def real_sets() -> Iterator[tuple[str, str | None, Callable[[], list[Case]]]]:
    """Yield names of sets, the camera that the net must not know, and what makes their images."""

    def of_camera(camera: str, is_binned: bool) -> list[Case]:
        return [
            injected(frame.binned() if is_binned else frame, number, RAYS * (2 if is_binned else 1))
            for frame in frames.frames(camera)
            for number in range(VERSIONS)
        ]

    for camera in frames.CAMERAS:
        for is_binned in (False, True):
            name = f"{camera}{', binned 2x2' if is_binned else ''}"
            yield name, camera, lambda camera=camera, is_binned=is_binned: of_camera(camera, is_binned)
    yield "efosc2, its own rays", "efosc2", lambda: [natural(frame) for frame in frames.frames("efosc2")]


SIMULATED = {
    "FWHM 1.2": ("round", 1.2),
    "FWHM 1.6": ("round", 1.6),
    "FWHM 2.5": ("round", 2.5),
    "FWHM 4": ("round", 4.0),
    "FWHM 8": ("round", 8.0),
    "trailed, FWHM 1.5": ("trailed", 1.5),
    "trailed, FWHM 3": ("trailed", 3.0),
    "defocused, FWHM 2": ("defocused", 2.0),
}


def simulated_sets() -> Iterator[tuple[str, str | None, Callable[[], list[Case]]]]:
    """Yield sets of simulated images, none of which is among those of the training."""
    for place, (name, (kind, fwhm)) in enumerate(SIMULATED.items()):
        yield (
            f"simulated, {name}",
            None,
            lambda place=place, kind=kind, fwhm=fwhm: [
                of_sky([12, place, number], 120, kind, fwhm) for number in range(IMAGES)
            ],
        )


NIGHTS = {
    "FWHM 1.3": {"fwhm": 1.3},
    "FWHM 2.5": {"fwhm": 2.5},
    "FWHM 5": {"fwhm": 5.0},
    "FWHM 2.5, three frames": {"fwhm": 2.5, "number": 3, "dither": 10},
    "FWHM 2.5, turned": {"fwhm": 2.5, "turn": 0.2},
    "FWHM 2.5, hot pixels": {"fwhm": 2.5, "hot": 100},
}


def repeat_sets() -> Iterator[tuple[str, str | None, Callable[[], list[Case]]]]:
    """Yield sets of images that have others of their field."""

    def of_efosc2(truth: Callable[[frames.Frame], Case]) -> list[Case]:
        every = frames.frames("efosc2")
        return [
            replace(truth(frame), others=tuple(other.image for other in field if other is not frame))
            for field in (every[:3], every[3:])
            for frame in field
        ]

    def of_night(place: int, keywords: dict[str, float]) -> list[Case]:
        found = []
        for number in range(IMAGES):
            made = night([15, place, number], side=SIDE, **keywords)
            one, others = made.frames[0], tuple(other.image for other in made.frames[1 : MOST + 1])
            none = np.zeros(one.image.shape, bool)
            camera = made.gain, made.readnoise, made.satlevel
            found.append(Case(one.image, none, *camera, one.hit, one.free, one.event, one.cores, others))
        return found

    if DATA.is_dir():
        yield "efosc2, its own rays, of three", "efosc2", lambda: of_efosc2(natural)
        yield "efosc2, of three", "efosc2", lambda: of_efosc2(lambda frame: injected(frame, 0, RAYS))
    for place, (name, keywords) in enumerate(NIGHTS.items()):
        yield f"night, {name}", None, lambda place=place, keywords=keywords: of_night(place, keywords)


CARD = """\
# Weights of `trace_cosmics`

A net of {inputs} inputs, {hidden} hidden units and one output: how sure it is that a pixel belongs to a cosmic ray. \
`lightmask.detect.net` says what the inputs are. Weights are whole numbers of 8 bits.

## Trained on

{all} pixels of {images} simulated images ({simulated} pixels), and of real frames with injected tracks, \
{versions} times each (as they are, binned 2x2, and smoothed with new noise):

| camera | pixels | from |
|---|---|---|
{cameras}

Tracks are real ones (1,764 footprints of cosmic rays in darks of an ITL sensor, LSSTDESC/imSim, BSD-style licence), \
and generated ones (`lightmask.truth.tracks`). Trained by `scripts/training/train.py` of commit {commit}, \
with {packages}; seed and settings are in that file. `make train` does it again.

## Scores

For each real camera, weights were used that were trained without it; the simulated images are none of the training. \
`make truth` prints the whole table, docs/accuracy.md explains it.

{table}

## Where it fails

- Stars narrower than 1.2 pixels, and diffraction spikes and satellite trails in frames whose stars are narrower than \
about 1.6 pixels: they are as sharp as muons.
- Frames in which nearly all stars are trailed into thin lines, and no star could be measured.
- Rays on the cores of bright stars, and faint ends of tracks below about 3 sigma.
- Known bad pixels that are not in the mask: a hot pixel is as sharp as a cosmic ray.
"""
ORIGIN = {
    "arcsat": "ARCSAT 0.5 m, marcosmarro/fitsimagereduction, BSD-3",
    "catseye": "ARCSAT 0.5 m, mayaya111/arcsat_data",
    "nickel": "Lick Nickel, allisoneto/pipnick, BSD-3",
    "efosc2": "ESO NTT EFOSC2, jkrogager/PyNOT, MIT",
}


def write_card(lines: list[str]) -> None:
    """Write the card of the weights, with the rows of the tables that are about them."""
    record = json.loads(frames.RECORD.read_text(encoding="utf-8"))
    rows = [line.replace("| trace |", "|", 1) for line in lines if "| trace |" in line]
    head = (
        "| set | precision | recall | F1 | events found | star cores touched | s/Mpix |\n|---|---|---|---|---|---|---|"
    )
    pixels = record["pixels"]
    text = CARD.format(
        inputs=net.OF_PIXEL + net.OF_IMAGE,
        hidden=" and ".join(map(str, record["hidden"])),
        all=f"{sum(pixels.values()):,}",
        images=f"{record['simulated_images']:,}",
        simulated=f"{pixels['simulated']:,}",
        versions=record["versions_of_each_frame"],
        cameras="\n".join(f"| {camera} | {pixels[camera]:,} | {ORIGIN[camera]} |" for camera in frames.CAMERAS),
        commit=record["commit"],
        packages=", ".join(" ".join(each) for each in record["packages"].items()),
        table="\n".join([head, *rows]),
    )
    net.FILE.with_suffix(".md").write_text(text, encoding="utf-8")


def row(name: str, method: str, total: Score, took: float) -> str:
    """Return a row of the table."""
    return (
        f"| {name} | {method} | {total.precision:.3f} | {total.recall:.3f} | {total.f1:.3f} "
        f"| {total.events_found} of {total.events} | {total.cores_touched} of {total.cores} | {took:.3f} |"
    )


def print_sets(
    sets: Iterator[tuple[str, str | None, Callable[[], list[Case]]]],
    words: list[str],
    methods: dict[str, Callable[[Case], np.ndarray]] = METHODS,
) -> list[str]:
    """Print the table of some sets, and the mean of each method; return its rows."""
    lines = []
    print("| set | method | precision | recall | F1 | events found | star cores touched | s/Mpix |")
    print("|---|---|---|---|---|---|---|---|")
    totals: dict[str, list[Score]] = {method: [] for method in methods}
    for name, camera, made in sets:
        if words and not any(word in name for word in words):
            continue
        cases = made()
        with weights(camera):
            for method, function in methods.items():
                total, started = Score(), time.perf_counter()
                masks = [function(case) for case in cases]
                took = (time.perf_counter() - started) / sum(case.image.size for case in cases) * 1e6
                for case, mask in zip(cases, masks, strict=True):
                    total += score(mask, case.hit, case.free, case.event, case.cores)
                totals[method].append(total)
                lines.append(row(name, method, total, took))
                print(lines[-1], flush=True)
    for method, scores in totals.items():
        if scores:
            whole = sum(scores, Score())
            mean, least = np.mean([each.f1 for each in scores]), min(each.f1 for each in scores)
            lines.append(
                f"| mean of {len(scores)} sets | {method} | {np.mean([each.precision for each in scores]):.3f} "
                f"| {np.mean([each.recall for each in scores]):.3f} | {mean:.3f} (least {least:.3f}) "
                f"| {whole.events_found} of {whole.events} | {whole.cores_touched} of {whole.cores} | |"
            )
            print(lines[-1])
    return lines


def print_clean() -> None:
    """Print what is found on simulated images without rays."""
    print("\n| images without rays | method | events per Mpix | pixels per Mpix |\n|---|---|---|---|")
    for method, function in METHODS.items():
        events = pixels = size = 0
        for number in range(CLEAN):
            rng = np.random.default_rng([13, number])
            case = of_sky(
                [14, number],
                0,
                str(rng.choice(("round", "trailed", "defocused"), p=(0.7, 0.2, 0.1))),
                float(np.exp(rng.uniform(*np.log((1.2, 8))))),
            )
            mask = function(case)
            events += ndimage.label(mask, SQUARE)[1]
            pixels, size = pixels + int(mask.sum()), size + mask.size
        print(f"| {CLEAN} | {method} | {events / size * 1e6:.2f} | {pixels / size * 1e6:.1f} |", flush=True)


def print_hst() -> None:
    """Print how well masks agree with IRAF's: no truth, as L.A.Cosmic made it."""
    image = frames.read("hst-wfpc2/hst_im_ext3.fits")
    iraf = fits.getdata(DATA / "hst-wfpc2/hst_im_ext3_iraf_mask.fits") > 0
    near = ndimage.binary_dilation(iraf, SQUARE)
    none = np.zeros(image.shape, bool)
    case = Case(image, none, 7.0, 5.0, 3500.0 * 7, iraf, ~iraf, None, np.zeros((0, 2), int))
    beside = "precision, a pixel beside counts | recall, so"
    print(f"\n| HST WFPC2 against IRAF's mask | pixels | precision | recall | {beside} |")
    print("|---|---|---|---|---|---|")
    for method, function in METHODS.items():
        mask = function(replace(case))
        wide = ndimage.binary_dilation(mask, SQUARE)
        both, flagged = (mask & iraf).sum(), max(mask.sum(), 1)
        print(
            f"| {method} | {mask.sum()} | {both / flagged:.3f} | {both / iraf.sum():.3f} "
            f"| {(mask & near).sum() / flagged:.3f} | {(wide & iraf).sum() / iraf.sum():.3f} |"
        )


def print_muon() -> None:
    """Print which part of a long muon is found, and in how many events."""
    name = "EFOSC.2022-01-28T05.05.25.843.fits"
    frame = next(frame for frame in frames.frames("efosc2") if frame.name == name)
    place = np.s_[815:840, 418:497]
    light = frames.median(frame.image)
    contrast = (frame.image - light) * frame.gain / frames.pixel_noise(frame.image, frame.gain, frame.readnoise)
    label, _ = ndimage.label((contrast > 4)[place], SQUARE)
    track = label == np.bincount(label[label > 0]).argmax()
    print(f"\n| a muon in {name} | of {track.sum()} pixels above 4 sigma | events |\n|---|---|---|")
    case = natural(frame)
    with weights("efosc2"):
        for method, function in METHODS.items():
            mask = function(case)
            events, _ = ndimage.label(mask, SQUARE)
            names = np.unique(events[place][track & mask[place]])
            print(f"| {method} | {(mask[place] & track).sum()} | {names.size} |")


def main() -> None:
    """Print the tables."""
    words = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if os.environ.get("PEERS"):
        METHODS.update((name, Peer(name)) for name in ("deepCR", "Cosmic-CoNN"))
    lines = []
    if DATA.is_dir():
        lines += print_sets(real_sets(), words)
    else:
        print(f"No real frames in {DATA}.")
    print()
    lines += print_sets(simulated_sets(), words)
    print()
    print_sets(repeat_sets(), words, REPEATS)
    if "--card" in sys.argv:
        write_card(lines)
    if not words or "clean" in words:
        print_clean()
    if DATA.is_dir() and not words:
        print_hst()
        print_muon()


if __name__ == "__main__":
    main()
