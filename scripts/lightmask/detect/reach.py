"""How far away a pixel may be to have a say in the result of another."""

from lightmask.detect.medians import Medians

GROWTH = 2  # cosmic rays grow twice, by one pixel each time
STAR_GROWTH = 4  # of the cores of saturated stars, in two steps [pixels]
CLEANING = 2  # cosmic pixels are replaced from 5x5, as is what is not finite


def fine_reach(medians: Medians, side: int) -> int:
    """Return how far away a pixel may be to enter the fine structure of another."""
    return medians.large_width + (medians.noise_width + side // 2 if side else medians.fine_width)


def reach(medians: Medians, side: int) -> int:
    """Return how far away a pixel may be to decide whether another belongs to a cosmic ray."""
    return GROWTH + max(2 * medians.noise_width, fine_reach(medians, side))


def overlap(medians: Medians, side: int, niter: int) -> int:
    """Return how far away a pixel may be to have a say in so many iterations, cleaning included."""
    bad_pixels = CLEANING + medians.noise_width + STAR_GROWTH
    return bad_pixels + niter * (reach(medians, side) + CLEANING)
