"""Time `lightmask.detect` against astroscrappy: one process, one thread, side by side.

    python tests/benches/bench_lacosmic.py            # everything, about ten minutes
    python tests/benches/bench_lacosmic.py --quick    # the fast half of it
    python tests/benches/bench_lacosmic.py 2048       # the cases whose names contain a word

Each round runs astroscrappy once between runs of ours, so that both meet the same machine; the
medians are printed. Memory is the growth of the resident set in a forked process, results included,
in float32 images of the size of the input.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything that might start threads is imported

import functools
import sys
from pathlib import Path

import astroscrappy
import numpy as np
from astropy.io import fits

CHECKOUT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(CHECKOUT / "scripts"), str(CHECKOUT / "tests")]

import skies
from bench import DATA, chosen, memory, options, seconds, side_by_side

from lightmask.detect import detect_cosmics, trace_cosmics

SECONDS = 20  # of astroscrappy per case, after which no further round begins

REAL = {"sigclip": 8.0, "readnoise": 10.0}
ARCSAT = "arcsat-reduced/LPSEB35_g_20250530_034359.fits"
EFOSC2 = "efosc2-reduced/EFOSC.2022-01-28T05.05.25.843.fits"


def empty_sky(size, level=200.0):
    return skies.sky((size, size), np.random.default_rng(1), level)


def noise_free(size):
    """Return stars and cosmic rays on a sky without any noise."""
    rng = np.random.default_rng(2)
    image = skies.add_stars(np.full((size, size), 200, np.float32), rng, size * size // 10_000)
    return skies.add_tracks(image, rng, size * size // 50_000)


def heavily_hit(size):
    return skies.add_hits(skies.star_field(size), np.random.default_rng(3), 0.02)


def real(name):
    return fits.getdata(DATA / name).astype(np.float32)


# Name, image, parameters, whether a quick run includes it.
CASES = [
    ("star field 2048, sigclip 8", functools.partial(skies.star_field, 2048), {"sigclip": 8.0}, True),
    ("star field 2048, sigclip 4.5", functools.partial(skies.star_field, 2048), {}, True),
    ("star field 4096, sigclip 8", functools.partial(skies.star_field, 4096), {"sigclip": 8.0}, False),
    ("star field 4096, sigclip 4.5", functools.partial(skies.star_field, 4096), {}, False),
    ("crowded field 2048, sigclip 8", functools.partial(skies.star_field, 2048, 0, 2500), {"sigclip": 8.0}, False),
    ("ARCSAT 1024, sigclip 8", functools.partial(real, ARCSAT), REAL, True),
    ("EFOSC2 1030, sigclip 8", functools.partial(real, EFOSC2), REAL, True),
    ("pure noise 1024", functools.partial(empty_sky, 1024), {}, True),
    ("noise-free 1024", functools.partial(noise_free, 1024), {}, True),
    ("sky-subtracted 1024", lambda: empty_sky(1024) - np.float32(200), {}, True),
    ("heavily hit 1024, 2%", functools.partial(heavily_hit, 1024), {}, True),
    ("pure noise 1024, sigclip 1", functools.partial(empty_sky, 1024), {"sigclip": 1.0}, True),
]


def compare(name, image, parameters):
    """Print one row of the table."""
    their_time, our_time, (crmask, cleanarr), result = side_by_side(
        astroscrappy.detect_cosmics, detect_cosmics, image, parameters, SECONDS, each=3
    )
    megapixels = image.size / 1e6
    print(
        f"| {name} | {'separable' if parameters['sepmed'] else 'full'} "
        f"| {their_time / megapixels:.3f} | {our_time / megapixels:.4f} | {their_time / our_time:.3g} "
        f"| {memory(astroscrappy.detect_cosmics, image, parameters):.1f} "
        f"| {memory(detect_cosmics, image, parameters):.1f} "
        f"| {crmask.sum()} | {(crmask != result.crmask).sum()} | {(cleanarr != result.cleanarr).sum()} |",
        flush=True,
    )


RIGHT = {"ARCSAT": (1.338, 23.0), "EFOSC2": (1.1, 7.8)}
"""Gain and read noise of real frames: `trace` is given the right noise."""


def trace(image, gain, readnoise):
    """Find cosmic rays by the detector trace."""
    return trace_cosmics(image, gain=gain, readnoise=readnoise, satlevel=65_535.0)


def compare_trace(name, image, parameters):
    """Print one row of the second table."""
    gain, readnoise = RIGHT.get(name.split()[0], (1.0, 6.5))
    lacosmic = functools.partial(detect_cosmics, **parameters)
    traced = functools.partial(trace, gain=gain, readnoise=readnoise)
    their_time, our_time, _, result = side_by_side(lacosmic, traced, image, {}, SECONDS / 4, each=1)
    megapixels = image.size / 1e6
    print(
        f"| {name} | {their_time / megapixels:.4f} | {our_time / megapixels:.4f} | {our_time / their_time:.3g} "
        f"| {memory(traced, image, {}):.1f} | {result.crmask.sum()} | {result.events.pixels.size} |",
        flush=True,
    )


def compare_original(name, image, parameters):
    """Print one row of the third table: the variant original beside that of astroscrappy, both with full medians."""
    both = [
        functools.partial(detect_cosmics, sepmed=False, variant=variant, **parameters)
        for variant in ("astroscrappy", "original")
    ]
    their_time, our_time, _, result = side_by_side(*both, image, {}, SECONDS / 4, each=1)
    megapixels = image.size / 1e6
    print(
        f"| {name} | {their_time / megapixels:.4f} | {our_time / megapixels:.4f} | {their_time / our_time:.2f} "
        f"| {result.crmask.sum()} |",
        flush=True,
    )


def print_agreement_with_iraf():
    """Print precision and recall against the mask that IRAF's lacos_im made."""
    image = real("hst-wfpc2/hst_im_ext3.fits")
    iraf = fits.getdata(DATA / "hst-wfpc2/hst_im_ext3_iraf_mask.fits") > 0
    print(
        "\n| HST WFPC2 against IRAF, objlim 4 | pixels | precision | recall | IoU | s/Mpix |\n|---|---|---|---|---|---|"
    )
    common = {"gain": 7, "readnoise": 5, "objlim": 4, "satlevel": np.inf}
    for name, choice in (
        ("separable medians", {"sepmed": True}),
        ("full medians", {"sepmed": False}),
        ("original", {"variant": "original"}),
    ):
        detect_cosmics(image, **common, **choice)
        took, (crmask, _) = seconds(detect_cosmics, image, **common, **choice)
        both = (crmask & iraf).sum()
        print(
            f"| {name} | {crmask.sum()} | {both / crmask.sum():.3f} | {both / iraf.sum():.3f} "
            f"| {both / (crmask | iraf).sum():.4f} | {took / image.size * 1e6:.3f} |"
        )


def main():
    """Print the table of all cases, or of those asked for."""
    wanted = options(__doc__)
    print(f"astroscrappy {astroscrappy.__version__}, numpy {np.__version__}, one thread\n")
    print(
        "| case | medians | astroscrappy s/Mpix | ours s/Mpix | ratio | their memory | our memory "
        "| cosmic pixels | differing | cleaned differing |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, image, parameters in chosen(CASES, wanted):
        for sepmed in (True, False):
            compare(name, image, parameters | {"sepmed": sepmed})
    print("\n| case | L.A.Cosmic s/Mpix | trace s/Mpix | ratio | memory of trace | cosmic pixels | events |")
    print("|---|---|---|---|---|---|---|")
    for name, image, parameters in chosen(CASES, wanted):
        compare_trace(name, image, parameters)
    print("\n| case | variant astroscrappy s/Mpix | variant original s/Mpix | its speed | cosmic pixels |")
    print("|---|---|---|---|---|")
    for name, image, parameters in chosen(CASES, wanted):
        compare_original(name, image, parameters)
    if (DATA / "hst-wfpc2").is_dir() and not wanted.words:
        print_agreement_with_iraf()


if __name__ == "__main__":
    main()
