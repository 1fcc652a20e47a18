"""Make what the documents show: the picture, and what choices of the configuration change.

Run by `make figures`, after `make demo`; some numbers need the real frames that
the tests use too, in ../shared/data or the folder LIGHTMASK_DATA names.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
sys.path[:0] = [str(CHECKOUT / part) for part in ("scripts", "scripts/training", "tests", "tests/benches")]

import matplotlib

matplotlib.use("Agg")
import numpy as np
from astropy.io import fits
from astropy.stats import mad_std
from astropy.visualization import AsinhStretch, ImageNormalize
from matplotlib import pyplot
from matplotlib.patches import Patch

from lightmask import demo
from lightmask.bits import MEANING
from lightmask.fits.images import Image, read, read_mask
from lightmask.masks import cosmicrays, flat
from lightmask.masks.dark import Dark, hot_pixels, nonlinear
from lightmask.night import configuration
from lightmask.show.pictures import COLOURS
from lightmask.workflow import DEMO

CUTOUT = np.s_[290:430, 345:625]
FRAME = "kelt-16-b-r-002.fits"


def draw(masked: Path, picture: Path) -> None:
    """Draw a part of a masked frame beside the same part with its flags in colour."""
    data = fits.getdata(masked)[CUTOUT]
    flags = fits.getdata(masked, "FLAGS")[CUTOUT]
    sky, noise = np.median(data), mad_std(data)
    grey = ImageNormalize(vmin=sky - 8 * noise, vmax=sky + 60 * noise, stretch=AsinhStretch(0.1))
    figure, axes = pyplot.subplots(1, 2, figsize=(12, 3.9), dpi=110, layout="constrained")
    for axis, title in zip(axes, ("LIGHT frame", "with its flags"), strict=True):
        axis.imshow(data, norm=grey, cmap="gray_r", origin="lower", interpolation="nearest")
        axis.set_title(title)
        axis.set_xticks([])
        axis.set_yticks([])
    overlay = np.zeros((*data.shape, 4))
    colours = {flag: tuple(part / 255 for part in colour) for flag, colour in COLOURS.items() if (flags & flag).any()}
    for flag, colour in colours.items():
        overlay[(flags & flag) != 0] = (*colour, 1)
    axes[1].imshow(overlay, origin="lower", interpolation="nearest")
    legend = [Patch(color=colour, label=MEANING[flag]) for flag, colour in colours.items()]
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), frameon=False)
    figure.savefig(picture, metadata={"Software": None})


FAILURES = {
    "spikes of a star, FWHM 1.6": ([12, 1, 3], "round", 1.6),
    "knots of a galaxy, FWHM 1.2": ([12, 1, 2], "round", 1.2),
    "a ray on a satellite trail, FWHM 2.5": ([12, 2, 0], "round", 2.5),
}
"""Simulated images of `make truth`."""
OF_TRUTH = {"found": "#0072b2", "missed": "#e69f00", "wrong": "#d55e00"}


def draw_failures(picture: Path) -> None:
    """Draw where the detector trace is wrong most, with what it finds there."""
    from bench_truth import of_sky, trace
    from scipy import ndimage

    figure, axes = pyplot.subplots(2, len(FAILURES), figsize=(12, 8.2), dpi=110, layout="constrained")
    for (above, below), (title, (seed, kind, fwhm)) in zip(axes.T, FAILURES.items(), strict=True):
        case = of_sky(seed, 120, kind, fwhm)
        mask = trace(case)
        truth = {"found": mask & case.hit, "missed": case.hit & ~mask, "wrong": mask & case.free}
        worst = ndimage.uniform_filter((truth["missed"] | truth["wrong"]).astype(float), 100)
        place = np.unravel_index(worst.argmax(), worst.shape)
        cutout = tuple(
            slice(start := min(max(int(at) - 60, 0), side - 120), start + 120)
            for at, side in zip(place, mask.shape, strict=True)
        )
        data = case.image[cutout]
        sky, noise = np.median(data), mad_std(data)
        grey = ImageNormalize(vmin=sky - 5 * noise, vmax=sky + 60 * noise, stretch=AsinhStretch(0.1))
        for axis in (above, below):
            axis.imshow(data, norm=grey, cmap="gray_r", origin="lower", interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        above.set_title(title)
        overlay = np.zeros((*data.shape, 4))
        for what, colour in OF_TRUTH.items():
            overlay[truth[what][cutout]] = matplotlib.colors.to_rgba(colour)
        below.imshow(overlay, origin="lower", interpolation="nearest")
    legend = [
        Patch(color=colour, label=f"ray pixel, {what}" if what != "wrong" else "flagged, and no ray")
        for what, colour in OF_TRUTH.items()
    ]
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), frameon=False)
    figure.savefig(picture, metadata={"Software": None})


def known_bad_pixels(folder: Path) -> None:
    """Print how many cosmic-ray pixels are found in a real frame with and without its known bad pixels."""
    name = "LPSEB35_g_20250530_034359.fits"
    image, _ = read(folder / name, name)
    known = np.zeros(image.data.shape, bool)
    for mask in ("mask_from_ccdmask.fits", "mask_from_dark_current.fits"):
        known |= read_mask(folder / mask, mask)[0]
    parameters = configuration.validated({})["cosmic_rays"]
    for choice, given in (("not given", None), ("given", known)):
        found = cosmicrays.detect(image.data, given, parameters)
        print(
            f"bad pixels are {choice} to the detector: {np.count_nonzero(found.mask)} pixels found, "
            f"{np.count_nonzero(found.mask & known)} of them known bad pixels; per iteration {found.iterations}"
        )


def made_masks(results: Path) -> None:
    """Print how complete and pure masks made from the demo night's flats and darks are."""
    truth = {filter_: fits.getdata(results / "demo_truth" / name) for name, filter_ in demo.LIGHTS.items()}
    parameters = configuration.validated({})

    def row(text: str, found: np.ndarray, true: np.ndarray) -> None:
        both = np.count_nonzero(found & true)
        missed, wrong = 1 - both / np.count_nonzero(true), 1 - both / np.count_nonzero(found)
        print(f"| {text} | {np.count_nonzero(found)} | {missed:.1%} | {wrong:.1%} |")

    def frame(name: str) -> Image:
        return read(results / "demo" / name, name)[0]

    of_ccdmask = {k: v for k, v in parameters["make_flat_mask"].items() if k != "least_difference"}
    for filter_ in demo.SKY:
        fainter, brighter = (frame(name) for name, of in demo.FLATS.items() if of == filter_)
        bad = (truth[filter_] & demo.TRUTH_BAD) != 0
        row(f"flats, {filter_}: ratio of two", flat.flat_mask(brighter, fainter, of_ccdmask), bad)
        row(f"flats, {filter_}: the brighter one alone", flat.flat_mask(brighter, None, of_ccdmask), bad)
    hot = (truth["g"] & demo.TRUTH_HOT) != 0
    darks = [Dark(frame(name).data * demo.GAIN, exposure, demo.DARKS_COMBINED) for name, exposure in demo.DARKS.items()]
    limits = parameters["make_dark_mask"]
    for threshold in (1, limits["threshold"]):
        for dark in darks:
            found = dark.electrons > threshold * dark.exposure
            row(f"dark of {dark.exposure:g} s: above {threshold} e-/s", found, hot)
    row("both darks: not in proportion to time", nonlinear(darks, limits["linearity"]), hot)
    with contextlib.redirect_stdout(None):
        found = hot_pixels(darks, limits["threshold"], limits["linearity"])
    row("both darks: the dark mask, either of the two", found, hot)


if __name__ == "__main__":
    made_masks(CHECKOUT / "results")
    draw_failures(CHECKOUT / "docs/accuracy.png")
    with tempfile.TemporaryDirectory() as work:
        run = ["run", DEMO, "-o", work, "--preset", "best", "--cores", "all"]
        subprocess.run([sys.executable, "-m", "lightmask.cli", *run], check=True)
        draw(Path(work, "results/masked", FRAME), CHECKOUT / "docs/masked_frame.png")
        shutil.copy(Path(work, "results/pictures/frames", f"{FRAME}.png"), CHECKOUT / "docs/quick_look.png")
    data = Path(os.environ.get("LIGHTMASK_DATA", CHECKOUT.parent / "shared/data")) / "arcsat-reduced"
    if data.is_dir():
        known_bad_pixels(data)
    else:
        print(f"no real frames in {data}: known bad pixels not measured")
