"""How many frames travel in one job of a cluster, and how long they take."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, prod

Shape = Sequence[int] | None
# Seconds that a job of rule mask_light takes on one core: (any frame, and per million pixels), rounded
# up. Measured with the frames of tests/benches/bench_run.py on one of 2 busy cores (results/benchmarks/mask_light):
#   million pixels       1.05   4.2   16.8
#   lightmask            0.63  0.88    2.6
#   ccdproc               4.5    14     50
# For trace, detection takes up to 0.05 s per million pixels more than lightmask's (make bench), and loads the net.
SECONDS = {"lightmask": (0.5, 0.15), "trace": (0.6, 0.25), "ccdproc": (1.5, 3.5)}
PER_REPEAT = 0.03  # s per million pixels, of reading another frame of the field, and comparing it
# The same for a mask that is made: any mask, and per million pixels of each source. Two flats, and ten
# darks, of 16.8 million pixels take 11 s and 156 s where more runs than there are cores.
MAKING = (1.5, 1.0)
BATCH = 300.0  # s, what a job shall take
LEAST = 15.0  # s, below which a job is not worth its own price, which is as much


def seconds(shapes: Iterable[Shape], detector: str, repeats: int = 0) -> float:
    """Estimate how long masking a frame takes on one core, of images of such shapes, in s; with so many others."""
    start, per_megapixel = SECONDS[detector]
    per_megapixel += repeats * PER_REPEAT
    return start + per_megapixel * sum(prod(shape or (0,)) for shape in shapes) / 1e6


def static_mask_seconds(shapes: Iterable[Shape], sources: int) -> float:
    """Estimate how long making a flat mask or a dark mask from files takes, in s."""
    start, per_megapixel = MAKING
    return start + per_megapixel * sources * sum(prod(shape or (0,)) for shape in shapes) / 1e6


def minutes(work: float, cores: int, attempt: int) -> int:
    """Return the time to ask a cluster for: four times the estimate, more with each attempt.

    Parameters
    ----------
    work : float
        Seconds on one core.
    cores : int
        Cores that share it.
    attempt : int
        1 for the first.

    Returns
    -------
    int
        Minutes; at least 5, because starting on a busy cluster takes time too.
    """
    return attempt * (5 + ceil(4 * work / cores / 60))


def split(work: Mapping[str, float], cores: int, jobs: int, size: int | None) -> list[list[str]]:
    """Split frames into batches.

    Parameters
    ----------
    work : mapping
        Seconds by frame, in the order in which frames shall stay together.
    cores : int
        Cores of a job.
    jobs : int
        How many jobs may run at once.
    size : int or None
        Frames of a batch. None makes batches of about `BATCH` seconds, or
        smaller ones to give all `jobs` something to do, but not below `LEAST`.

    Returns
    -------
    list of list of str
        Each frame in one batch.
    """
    if size:
        names = list(work)
        return [names[start : start + size] for start in range(0, len(names), size)]
    total = sum(work.values())
    wall = total / cores
    number = max(ceil(wall / BATCH), min(jobs, int(wall / LEAST)), 1)
    batches: list[list[str]] = [[] for _ in range(number)]
    before = 0.0
    for name, one in work.items():
        middle = (before + one / 2) / total
        batches[min(int(middle * number), number - 1)].append(name)
        before += one
    return [batch for batch in batches if batch]
