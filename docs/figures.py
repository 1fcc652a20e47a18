"""Make what the README shows: the picture, and what `known_bad_pixels` changes.

Run by `make figures`, after `make demo`; the numbers need the real frames that
the tests use too, in ../shared/data or the folder LIGHTMASK_DATA names.
"""

import os
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
sys.path.insert(0, str(CHECKOUT / "scripts"))

import matplotlib

matplotlib.use("Agg")
import numpy as np
from astropy.io import fits
from astropy.visualization import AsinhStretch, ImageNormalize, PercentileInterval
from matplotlib import pyplot
from matplotlib.patches import Patch

from lightmask import configuration, cosmicrays
from lightmask.flags import MEANING, Flag
from lightmask.images import open_bytes, read_bytes, read_image, read_mask

# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = {
    Flag.FLAT: "#56B4E9",
    Flag.DARK: "#E69F00",
    Flag.COSMIC: "#D55E00",
    Flag.SATURATED: "#CC79A7",
}
CUTOUT = np.s_[340:500, 200:520]
FRAME = "kelt-16-b-r-001.fits"


def draw(masked: Path, picture: Path) -> None:
    """Draw a part of a masked frame beside the same part with its flags in colour."""
    data = fits.getdata(masked)[CUTOUT]
    flags = fits.getdata(masked, "FLAGS")[CUTOUT]
    grey = ImageNormalize(data, interval=PercentileInterval(99.5), stretch=AsinhStretch(0.05))
    figure, axes = pyplot.subplots(1, 2, figsize=(12, 3.9), dpi=110, layout="constrained")
    for axis, title in zip(axes, ("LIGHT frame", "with its flags"), strict=True):
        axis.imshow(data, norm=grey, cmap="gray_r", origin="lower", interpolation="nearest")
        axis.set_title(title)
        axis.set_xticks([])
        axis.set_yticks([])
    overlay = np.zeros((*data.shape, 4))
    for flag, colour in COLOURS.items():
        overlay[(flags & flag) != 0] = matplotlib.colors.to_rgba(colour)
    axes[1].imshow(overlay, origin="lower", interpolation="nearest")
    legend = [Patch(color=colour, label=MEANING[flag]) for flag, colour in COLOURS.items()]
    figure.legend(handles=legend, loc="outside lower center", ncols=len(legend), frameon=False)
    figure.savefig(picture, metadata={"Software": None})


def known_bad_pixels(folder: Path) -> None:
    """Print how many cosmic-ray pixels a real frame has by each choice, and how many are known bad."""
    name = "LPSEB35_g_20250530_034359.fits"
    image = read_image(open_bytes(read_bytes(folder / name, name)[0], name), name)
    known = np.zeros(image.data.shape, bool)
    for mask in ("mask_from_ccdmask.fits", "mask_from_dark_current.fits"):
        known |= read_mask(folder / mask, mask)[0]
    parameters = configuration.validated({})["cosmic_rays"]
    for choice, given in (("ignore", None), ("mask", known)):
        found = cosmicrays.detect(image.data, given, parameters)
        print(
            f"known_bad_pixels: {choice}: {np.count_nonzero(found.mask)} cosmic-ray pixels, "
            f"{np.count_nonzero(found.mask & known)} of them known bad pixels; per iteration {found.iterations}"
        )


if __name__ == "__main__":
    draw(CHECKOUT / "results/masked" / FRAME, CHECKOUT / "docs/masked_frame.png")
    data = Path(os.environ.get("LIGHTMASK_DATA", CHECKOUT.parent / "shared/data")) / "arcsat-reduced"
    if data.is_dir():
        known_bad_pixels(data)
    else:
        print(f"no real frames in {data}: known_bad_pixels not measured")
