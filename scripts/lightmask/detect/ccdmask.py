"""Bad pixels from flats: IRAF's ccdmask, exact and fast.

A flat comes in, a mask of its deviant pixels goes out.

`ccdmask` has the signature and the masks of ``ccdproc.ccdmask`` 2.5.1, called the
reference below.  That filters every pixel three times: with a median of 7x7 and with
two percentiles of 15x15 pixels.  Here

1. the median runs on whole rows, as a network of minima and maxima.  Neighbouring
   windows share most of it: it takes 124 operations per pixel instead of the 290 of
   a window on its own;
2. percentiles are evaluated only where they may decide.  A level below which a window
   has few enough pixels is a lower bound of its upper percentile, and to count pixels
   in all windows at once costs next to nothing.  Few pixels deviate so much that
   such a bound of the local sigma leaves them in doubt.  Those windows are sorted,
   or, where pixels in doubt crowd, a network filters whole rows.

Both are exact: what they yield are pixel values, and the arithmetic on them is the
reference's.  Only what the reference makes of NaN depends on how SciPy selects; there,
SciPy itself filters cut-outs.

References
----------
.. [1] Valdes, F., ccdmask, task of IRAF's package noao.imred.ccdred
.. [2] Craig, M., et al. 2017, ccdproc, https://doi.org/10.5281/zenodo.1069648
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["ccdmask"]

Image = NDArray[Any]
BoolArray = NDArray[np.bool_]

LOW, HIGH = 30.9, 69.1  # percentiles, half a standard deviation from the median of Gaussian noise
BAND = 64  # rows per step: a few arrays of them fit the cache
LEVELS = 64  # columns that share the levels which bound their sigma
SAFETY = 1.0, 2.0, 4.0  # standard deviations of the count by which levels should be exceeded
CROWDED = 0.1  # fraction of the pixels in doubt from which a network beats sorting
STACK = 1 << 18  # pixels per stack of windows
REGISTER = 1 << 14  # pixels per operation of a network: few calls, and yet in the cache
WORK = 1 << 22  # pixels in all its registers
MOST_ROWS = 8  # that share a core in a network
LARGEST = 1024  # window that has a network [pixels]; its size grows faster than the window
CUTOUT = 1 << 18  # pixels that SciPy filters at a time
EXACT = 2**53  # largest integer up to which SciPy, which computes with float64, is exact


class ImageLike(Protocol):
    """What has an image as its attribute ``data``, such as a CCDData."""

    data: Any


def ccdmask(
    ratio: ImageLike | Image,
    findbadcolumns: bool = False,
    byblocks: bool = False,
    ncmed: int = 7,
    nlmed: int = 7,
    ncsig: int = 15,
    nlsig: int = 15,
    lsigma: float = 9,
    hsigma: float = 9,
    ngood: int = 5,
) -> BoolArray:
    """Find the pixels of a flat, or of a ratio of two flats, that deviate from their neighbours.

    A pixel is bad if it differs from the median around it by more than so many times
    the local sigma.  The local sigma is half the difference of the percentiles 69.1
    and 30.9 of such differences around the pixel.

    Parameters
    ----------
    ratio : CCDData or (nlines, ncols) array of real numbers
        Image, in any unit.  It is never changed; mask and uncertainty are ignored.
    findbadcolumns : bool
        Also mask gaps of up to `ngood` pixels between bad pixels of a column, and, if
        `byblocks`, columns of blocks whose sum deviates.
    byblocks : bool
        Take one sigma for each block of `nlsig` x `ncsig` pixels instead of one for the
        surroundings of each pixel.  Then pixels that are not finite are not masked as such.
    ncmed, nlmed : int
        Columns and lines of the window of the median [pixel].
    ncsig, nlsig : int
        Columns and lines of the window or the block of the percentiles [pixel].
    lsigma, hsigma : float
        Least deviation of a bad pixel below and above the median [local sigma].  The
        local sigma of Gaussian noise is half its standard deviation.
    ngood : int
        Longest gap to mask [pixel].

    Returns
    -------
    (nlines, ncols) bool array
        True where a pixel is bad.

    Raises
    ------
    TypeError
        If the pixels are not integers, float32 or float64.
    ValueError
        If `ratio` is not an image or not two-dimensional, or a parameter is outside its
        range.  The message names the argument.

    Notes
    -----
    The mask is that of ``ccdproc.ccdmask`` 2.5.1 [2]_, which follows IRAF's task ccdmask
    [1]_ but for the sums of columns.  Windows of even size reach one pixel farther
    up and left.  Beyond its edges the image is reflected.  Integers wrap around as in NumPy:
    convert unsigned images to float.

    Not the same is only what is undefined: where half a window is four times as large as
    the image or larger, SciPy 1.17 reads outside of its array.  Images with many NaN, and
    integers beyond 2**53, take as long as in the reference.

    One thread, deterministic.  It holds one copy of the image, the mask, and 10 to 40 MB.
    SciPy is needed, and imported, only for images with NaN or with integers beyond 2**53, and for
    medians of more than 1024 pixels.

    References
    ----------
    .. [1] Valdes, F., ccdmask, task of IRAF's package noao.imred.ccdred
    .. [2] Craig, M., et al. 2017, ccdproc, https://doi.org/10.5281/zenodo.1069648

    Examples
    --------
    >>> import numpy as np
    >>> from lightmask.detect import ccdmask
    >>> flat = np.random.default_rng(1).normal(1, 0.01, (60, 50))
    >>> flat[20, 30] = 0.5
    >>> np.argwhere(ccdmask(flat)).tolist()
    [[20, 30]]
    """
    image = _image(ratio)
    median_size = _size("nlmed", nlmed), _size("ncmed", ncmed)
    sigma_size = _size("nlsig", nlsig), _size("ncsig", ncsig)
    _number("lsigma", lsigma)
    _number("hsigma", hsigma)
    ngood = _integer("ngood", ngood)
    if not image.size:
        return np.zeros(image.shape, np.bool_)
    with np.errstate(all="ignore"):
        limits = _Limits(-lsigma, hsigma)
        residuals = _median_subtracted(image, median_size)
        if byblocks:
            mask = _deviant_in_blocks(residuals, sigma_size, limits, findbadcolumns)
        else:
            mask = _deviant(residuals, sigma_size, limits)
            if image.dtype.kind == "f":
                for rows in _bands(len(image)):
                    mask[rows] |= ~np.isfinite(image[rows])
    if findbadcolumns:
        _fill_gaps(mask, ngood)
    return mask


class _Limits(NamedTuple):
    """Limits of good residuals [local sigma]."""

    lower: Any
    upper: Any

    def exceeded(self, residuals: Image, sigma: Image) -> BoolArray:
        """Return where residuals are outside."""
        deviant: BoolArray = residuals < self.lower * sigma
        deviant |= residuals > self.upper * sigma
        return deviant


def _median_subtracted(image: Image, size: tuple[int, int]) -> Image:
    """Return the image less its median filter."""
    residuals = np.empty(image.shape, _native(image.dtype))
    median = _RankFilter(image, size, (size[0] * size[1] // 2,))
    if median.area > LARGEST:
        boxes = [(slice(0, len(image)), slice(0, image.shape[1]))]
    else:
        for rows in _bands(len(image)):
            np.subtract(image[rows], median(rows)[0], out=residuals[rows])
        boxes = median.peculiar_boxes()
    for box in boxes:
        residuals[box] = image[box] - median.by_scipy(box)[0]
    return residuals


# --- sigma around each pixel ---------------------------------------------------------


def _deviant(residuals: Image, size: tuple[int, int], limits: _Limits) -> BoolArray:
    """Return where residuals exceed the limits, given the sigma in a window around each."""
    mask = np.zeros(residuals.shape, np.bool_)
    area = size[0] * size[1]
    ranks = tuple(int(float(area) * percentile / 100) for percentile in (LOW, HIGH))
    percentiles = _RankFilter(residuals, size, ranks)
    boxes = percentiles.peculiar_boxes()
    settled = np.zeros(residuals.shape if boxes else (0, 0), np.bool_)
    for box in boxes:
        low, high = percentiles.by_scipy(box)
        mask[box] = limits.exceeded(residuals[box], _sigma(low, high))
        settled[box] = True
    # A lower bound of sigma leads to a lower bound of the limits unless these have the wrong
    # sign, or the difference of two percentiles may wrap around.
    bounded = limits.lower <= 0 <= limits.upper and not _may_wrap(residuals)
    for rows in _bands(len(residuals), max(BAND, size[0])):
        band = _surroundings(residuals, rows, slice(0, residuals.shape[1]), size)
        inner = residuals[rows]
        doubtful = _doubtful(inner, band, size, ranks, limits) if bounded else np.ones(inner.shape, np.bool_)
        if boxes:
            doubtful &= ~settled[rows]
        y, x = np.nonzero(doubtful)
        if y.size > CROWDED * inner.size and area <= LARGEST:
            low, high = percentiles(rows)
            mask[rows] |= doubtful & limits.exceeded(inner, _sigma(low, high))
            continue
        windows = sliding_window_view(band, size)
        step = max(1, STACK // area)
        for start in range(0, y.size, step):
            at = y[start : start + step], x[start : start + step]
            ordered = windows[at].reshape(-1, area)
            ordered.sort(axis=1)
            low, high = ordered[:, ranks].T
            mask[rows][at] = limits.exceeded(inner[at], _sigma(low, high))
    return mask


def _doubtful(inner: Image, band: Image, size: tuple[int, int], ranks: tuple[int, ...], limits: _Limits) -> BoolArray:
    """Return where a pixel may exceed the limits, given a lower bound of sigma.

    If so many pixels of a window reach a level as there are from the rank of the
    upper percentile on, that percentile reaches the level.  The same, reversed, holds for
    the lower one.  Any levels are right; those that usually suffice come from a sample.
    """
    area = size[0] * size[1]
    needed = ranks[0] + 1, area - ranks[1]
    width = min(LEVELS, inner.shape[1])
    sample = inner[::2, : inner.shape[1] // width * width]
    sample = sample.reshape(len(sample), -1, width)[:, :, ::2].swapaxes(0, 1)
    ordered = np.sort(sample.reshape(len(sample), -1), axis=1)
    # Every window sees the levels of its pixels.
    columns = _reflected(-(size[1] // 2), band.shape[1] - size[1] // 2, inner.shape[1]) // width
    columns = np.minimum(columns, len(ordered) - 1)
    doubtful: BoolArray = inner != 0
    for safety in SAFETY:
        fractions = [count / area + safety * math.sqrt(count * (area - count) / area) / area for count in needed]
        low, high = (int(min(fraction, 0.5) * (ordered.shape[1] - 1)) for fraction in fractions)
        lower, upper = ordered[columns, low], ordered[columns, -1 - high]
        known = _counts(band <= lower, size) >= needed[0]
        known &= _counts(band >= upper, size) >= needed[1]
        lower = _sliding(np.maximum, lower, size[1])
        upper = _sliding(np.minimum, upper, size[1])
        bound = np.where(upper > lower, _sigma(lower, upper), 0)
        doubtful &= ~known | limits.exceeded(inner, bound)
    return doubtful


def _sigma(low: Image, high: Image) -> Image:
    sigma: Image = (high - low) / 2.0
    return sigma


def _may_wrap(residuals: Image) -> bool:
    """Return whether the difference of two residuals may be too large for their type."""
    if residuals.dtype.kind != "i":
        return False
    return int(residuals.max()) - int(residuals.min()) > np.iinfo(residuals.dtype).max


def _counts(flags: BoolArray, size: tuple[int, int]) -> NDArray[np.unsignedinteger[Any]]:
    """Return the number of flags in each window."""
    numbers = flags.astype(np.min_scalar_type(size[0] * size[1]))
    return _sliding(np.add, _sliding(np.add, numbers, size[0], axis=0), size[1])


def _sliding(function: np.ufunc, values: Image, size: int, axis: int = -1) -> Image:
    """Reduce each run of so many values, by way of runs of 1, 2, 4, ... values."""
    values = values.swapaxes(0, axis)
    parts, start, step = [], 0, 1
    while True:
        if size & step:
            parts.append(values[start:])
            start += step
        if 2 * step > size:
            break
        values = function(values[:-step], values[step:])
        step *= 2
    length = len(parts[-1])
    result: Image = functools.reduce(function, (part[:length] for part in parts))
    return result.swapaxes(0, axis)


# --- sigma of each block ---------------------------------------------------------------


def _deviant_in_blocks(residuals: Image, size: tuple[int, int], limits: _Limits, findbadcolumns: bool) -> BoolArray:
    """Return where residuals, or sums of columns, exceed the limits given the sigma of a block."""
    mask = np.zeros(residuals.shape, np.bool_)
    ny, nx = residuals.shape
    for top in range(0, ny, size[0]):
        whole = nx - nx % size[1]
        for left, right, width in ((0, whole, size[1]), (whole, nx, nx - whole)):
            if left == right:
                continue
            area = slice(top, top + size[0]), slice(left, right)
            blocks = residuals[area].reshape(-1, (right - left) // width, width).swapaxes(0, 1)
            deviant = _deviant_stack(blocks, limits)
            if findbadcolumns:
                deviant |= _deviant_columns(blocks, deviant, limits)[:, None]
            mask[area] = deviant.swapaxes(0, 1).reshape(mask[area].shape)
    return mask


def _deviant_stack(blocks: Image, limits: _Limits) -> BoolArray:
    """Return where residuals exceed the limits, for a stack of blocks."""
    pixels = blocks.reshape(len(blocks), -1)
    deviant = np.zeros(pixels.shape, np.bool_)
    # A percentile lies between the pixels next to it, unless their difference overflows.
    ordered = np.sort(pixels, axis=1)
    least, greatest = ordered[:, 0], ordered[:, -1]
    low = ordered[:, math.ceil((pixels.shape[1] - 1) * 0.31)]
    high = ordered[:, math.floor((pixels.shape[1] - 1) * 0.69)]
    bound = np.where(high > low, _sigma(low, high), 0)
    safe = (greatest - least >= 0) & (greatest - least < np.inf) & (limits.lower <= 0 <= limits.upper)
    safe &= ~(limits.exceeded(least, bound) | limits.exceeded(greatest, bound))
    if pixels.dtype.kind != "f" and pixels.dtype.itemsize == 8:
        safe[:] = False  # percentiles are float64, and round
    pixels = pixels[~safe]
    if pixels.size:
        low, high = (np.percentile(pixels, percentile, axis=1) for percentile in (LOW, HIGH))
        deviant[~safe] = limits.exceeded(pixels, _sigma(low, high)[:, None])
    return deviant.reshape(blocks.shape)


def _deviant_columns(blocks: Image, deviant: BoolArray, limits: _Limits) -> BoolArray:
    """Return the columns of blocks in which the sum of the other pixels is too large.

    The square root of the width of the block less that sum serves as sigma.  Where
    it does not exist, the reference compares with what numpy.ma makes of masked factors.
    """
    # As in a single block, NumPy sums line by line, but a column alone pairwise.
    sums = np.where(deviant, blocks.dtype.type(0), blocks).sum(axis=1)
    sums[sums <= 0] = 0
    rest = np.asarray(blocks.shape[2]) - sums
    sigma = np.ma.MaskedArray(np.sqrt(np.maximum(rest, 0)), mask=rest < 0)
    lower, upper = (np.ma.getdata(limit * sigma) for limit in limits)
    excess: BoolArray = (sums < lower) | (sums > upper)
    return excess


# --- columns -----------------------------------------------------------------------------


def _fill_gaps(mask: BoolArray, ngood: int) -> None:
    """Mask gaps of up to `ngood` pixels between masked ones in a column, from first to last line.

    As in the reference, no gap is looked for in what lies after the last but `ngood` + 1 lines.
    """
    if ngood < 1:
        return
    for line in range(len(mask) - ngood - 1):
        columns = np.flatnonzero(mask[line])
        if columns.size:
            run = mask[line : line + ngood + 2, columns]
            # Up to the last masked pixel of the run.
            mask[line : line + ngood + 2, columns] = np.logical_or.accumulate(run[::-1])[::-1]


# --- rank filters ------------------------------------------------------------------------


class _RankFilter:
    """A filter that gives pixels of some ranks, counted from zero, in the window around each pixel."""

    def __init__(self, image: Image, size: tuple[int, int], ranks: tuple[int, ...]) -> None:
        self.image, self.size, self.ranks = image, size, ranks
        self.area = size[0] * size[1]

    def __call__(self, rows: slice) -> Image:
        """Return for some rows the pixels of each rank: a network finds them."""
        columns = self.image.shape[1]
        result = np.empty((len(self.ranks), rows.stop - rows.start, columns), _native(self.image.dtype))
        height, width = self._program.shape
        for top in range(rows.start, rows.stop, height):
            for left in range(0, columns, width):
                out = result[:, top - rows.start :, left:][:, :height, :width]
                self._program.run(self.image, top, left, out)
        return result

    @functools.cached_property
    def _program(self) -> _Program:
        return _Program(self.image, self.size, self.ranks)

    def by_scipy(self, box: tuple[slice, slice]) -> list[Image]:
        """Return for a part of the image the pixels of each rank as SciPy finds them."""
        from scipy import ndimage

        if self._extreme or self.area > LARGEST:
            return [ndimage.rank_filter(self.image, rank, self.size)[box] for rank in self.ranks]
        pixels = _surroundings(self.image, *box, self.size)
        inner = tuple(slice(n // 2, total - (n - 1) // 2) for n, total in zip(self.size, pixels.shape, strict=True))
        return [ndimage.rank_filter(pixels, rank, self.size)[inner] for rank in self.ranks]

    def peculiar_boxes(self) -> list[tuple[slice, slice]]:
        """Return boxes with all pixels, but NaN, for which what SciPy finds is not simply a rank."""
        image = self.image
        if image.dtype.kind != "f":
            if image.dtype.itemsize < 8 or -EXACT <= int(image.min()) <= int(image.max()) <= EXACT:
                return []
            return _boxes(np.ones(image.shape, np.bool_), self.size)[1]
        if not any(np.isnan(image[rows]).any() for rows in _bands(len(image))):
            return []
        if self._extreme:
            return [(slice(0, len(image)), slice(0, image.shape[1]))]
        unknown = np.isnan(image)
        around = np.pad(unknown, [(n // 2, (n - 1) // 2) for n in self.size])
        for axis, n in enumerate(self.size):
            around = _sliding(np.logical_or, around, n, axis)
        return _boxes(around & ~unknown, self.size)[1]

    @property
    def _extreme(self) -> bool:
        """Whether SciPy uses another algorithm, in which NaN reaches farther than the window."""
        return not {0, self.area - 1}.isdisjoint(self.ranks)


def _boxes(
    flags: BoolArray, size: tuple[int, int], top: int = 0, left: int = 0
) -> tuple[int, list[tuple[slice, slice]]]:
    """Return boxes around all flags, and the number of pixels of these and of half a window around."""
    y, x = np.flatnonzero(flags.any(axis=1)), np.flatnonzero(flags.any(axis=0))
    if not y.size:
        return 0, []
    flags = flags[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
    (height, width), top, left = flags.shape, top + int(y[0]), left + int(x[0])
    cost = (height + size[0] - 1) * (width + size[1] - 1)
    box = slice(top, top + height), slice(left, left + width)
    # Nothing is gained by dividing what is small, or mostly needed.
    if max(height, width) <= max(size) or cost <= min(CUTOUT, 2 * np.count_nonzero(flags)):
        return cost, [box]
    if height > width:
        middle = height // 2
        halves = _boxes(flags[:middle], size, top, left), _boxes(flags[middle:], size, top + middle, left)
    else:
        middle = width // 2
        halves = _boxes(flags[:, :middle], size, top, left), _boxes(flags[:, middle:], size, top, left + middle)
    divided = halves[0][0] + halves[1][0]
    if divided < cost or cost > CUTOUT:
        return divided, halves[0][1] + halves[1][1]
    return cost, [box]


# --- networks ------------------------------------------------------------------------------


class _Value(NamedTuple):
    """What a node gives for windows some groups of rows, and some columns, farther on."""

    node: int
    rows: int
    columns: int


class _Step(NamedTuple):
    """One operation on whole registers, and how much farther than the windows it must reach."""

    function: np.ufunc
    target: _Value
    first: _Value
    second: _Value
    reach: tuple[int, int]


class _Network(NamedTuple):
    """Operations that select ranks in `period` windows, each one row below the last."""

    period: int
    registers: int
    groups: int  # of rows that the windows reach
    steps: list[_Step]
    results: list[_Value]  # by rank, then by row


class _Builder:
    """Sorts and merges pixels of windows; nodes remember what is compared.

    A node stands for a whole image: what is the same but for a shift is computed once.
    The rows of the image are dealt out to `period` inputs, the first nodes, so that
    what a group of neighbouring windows shares is computed for each group, not for each row.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.lines, self.columns = size
        self.period = 1
        while self.period < MOST_ROWS and 4 * self.period <= self.lines + 1:
            self.period *= 2
        self.nodes: dict[tuple[np.ufunc, _Value, _Value], int] = {}

    def select(self, rank: int) -> list[_Value]:
        """Return the pixel of a rank in each of `period` windows."""
        shared = self._sorted_rows(range(self.period - 1, self.lines))
        return self._select(0, self.period, *_candidates(shared, rank, (self.period - 1) * self.columns))

    def _select(self, first: int, count: int, shared: list[_Value], rank: int) -> list[_Value]:
        """Return the pixel of a rank in so many windows, given the sorted candidates that all share."""
        if count == 1:
            return [shared[rank]]
        half = count // 2
        results = []
        for start, more in (
            (first, range(first + half - 1, first + count - 1)),
            (first + half, range(first + self.lines, first + self.lines + half)),
        ):
            missing = (half - 1) * self.columns
            added, lower = _candidates(self._sorted_rows(more), rank, len(shared) + missing)
            merged = self._merged(shared, added)
            results += self._select(start, half, *_candidates(merged, lower, missing))
        return results

    def _sorted_rows(self, rows: range) -> list[_Value]:
        return self._sorted([self._sorted([[self._pixel(y, x)] for x in range(self.columns)]) for y in rows])

    def _sorted(self, runs: list[list[_Value]]) -> list[_Value]:
        """Merge runs.  Their numbers are powers of two where possible: other windows share those."""
        if len(runs) == 1:
            return runs[0]
        middle = 1 << ((len(runs) - 1).bit_length() - 1)
        return self._merged(self._sorted(runs[:middle]), self._sorted(runs[middle:]))

    def _merged(self, a: list[_Value], b: list[_Value]) -> list[_Value]:
        """Merge two sorted runs: Batcher's odd-even merge."""
        if not a or not b:
            return a + b
        if len(a) == len(b) == 1:
            return [self._node(np.minimum, a[0], b[0]), self._node(np.maximum, a[0], b[0])]
        even, odd = self._merged(a[::2], b[::2]), self._merged(a[1::2], b[1::2])
        result = even[:1]
        for x, y in zip(odd, even[1:], strict=False):
            result += [self._node(np.minimum, x, y), self._node(np.maximum, x, y)]
        return result + even[len(odd) + 1 :] + odd[len(even) - 1 :]

    def _pixel(self, y: int, x: int) -> _Value:
        return _Value(y % self.period, y // self.period, x)

    def _node(self, function: np.ufunc, a: _Value, b: _Value) -> _Value:
        rows, columns = min(a.rows, b.rows), min(a.columns, b.columns)
        first, second = sorted(_Value(v.node, v.rows - rows, v.columns - columns) for v in (a, b))
        node = self.nodes.setdefault((function, first, second), self.period + len(self.nodes))
        return _Value(node, rows, columns)

    def network(self, results: list[_Value]) -> _Network:
        """Return the operations on which the results depend, in registers that are used again."""
        reach = {value.node: (value.rows, value.columns) for value in results}
        last_use = dict.fromkeys(reach, -1)
        for (_, first, second), node in reversed(self.nodes.items()):
            if node in reach:
                rows, columns = reach[node]
                for value in (first, second):
                    known = reach.get(value.node, (0, 0))
                    reach[value.node] = max(known[0], rows + value.rows), max(known[1], columns + value.columns)
                    last_use.setdefault(value.node, node)
        register = {node: node for node in range(self.period)}
        count = self.period
        free: list[int] = []
        steps = []
        for (function, first, second), node in self.nodes.items():
            if node not in reach:
                continue
            if not free:
                free.append(count)
                count += 1
            register[node] = free.pop()
            free += {register[value.node] for value in (first, second) if last_use[value.node] == node}
            target, first, second = (v._replace(node=register[v.node]) for v in (_Value(node, 0, 0), first, second))
            steps.append(_Step(function, target, first, second, reach[node]))
        groups = max(reach[node][0] for node in range(self.period))
        results = [value._replace(node=register[value.node]) for value in results]
        return _Network(self.period, count, groups, steps, results)


def _candidates(ordered: list[_Value], rank: int, others: int) -> tuple[list[_Value], int]:
    """Drop what cannot have the rank among these and so many others; return the rank among the rest."""
    lowest = max(0, rank - others)
    return ordered[lowest : rank + 1], rank - lowest


@functools.lru_cache(maxsize=8)
def _network(size: tuple[int, int], ranks: tuple[int, ...]) -> _Network:
    builder = _Builder(size)
    return builder.network([value for rank in ranks for value in builder.select(rank)])


class _Program:
    """A network with its registers: filters parts of an image.

    Registers hold rows one after another.  So a shift is an offset, at the cost of some
    meaningless pixels between the rows.
    """

    def __init__(self, image: Image, size: tuple[int, int], ranks: tuple[int, ...]) -> None:
        network = _network(size, ranks)
        period = network.period
        count = -(-min(BAND, image.shape[0]) // period)
        strips = -(-image.shape[1] * count // min(REGISTER, WORK // network.registers))
        width = -(-image.shape[1] // strips)
        stride = width + size[1] - 1
        groups = count + network.groups
        work = np.empty((network.registers, (groups + 1) * stride), _native(image.dtype))

        def pixels(value: _Value, rows: int, columns: int) -> Image:
            start = value.rows * stride + value.columns
            part: Image = work[value.node, start : start + rows * stride + columns]
            return part

        self.size = size
        self.shape = count * period, width
        self.steps: list[tuple[np.ufunc, Image, Image, Image]] = []
        for function, target, first, second, (rows, columns) in network.steps:
            reach = count - 1 + rows, width + columns
            self.steps.append((function, pixels(first, *reach), pixels(second, *reach), pixels(target, *reach)))
        self.rows = np.empty((groups * period, stride), work.dtype)
        self.inputs = work[:period, : groups * stride].reshape(period, groups, stride).swapaxes(0, 1)
        results = [pixels(value, count, 0).reshape(count, stride)[:, :width] for value in network.results]
        self.results = [results[i : i + period] for i in range(0, len(results), period)]

    def run(self, image: Image, top: int, left: int, out: Image) -> None:
        """Filter the part of the image that begins at `top`, `left`: for each rank, an image of `out`."""
        period = len(self.results[0])
        rows = slice(top, top + len(self.rows) - self.size[0] + 1)
        _surroundings(image, rows, slice(left, left + self.shape[1]), self.size, self.rows)
        self.inputs[...] = self.rows.reshape(self.inputs.shape)
        for function, first, second, target in self.steps:
            function(first, second, out=target)
        for filtered, results in zip(out, self.results, strict=True):
            for row, result in enumerate(results):
                part = filtered[row::period]
                part[...] = result[: part.shape[0], : part.shape[1]]


# --- parts of an image ---------------------------------------------------------------------


def _bands(length: int, height: int = BAND) -> Iterator[slice]:
    return (slice(top, min(top + height, length)) for top in range(0, length, height))


def _surroundings(image: Image, rows: slice, columns: slice, size: tuple[int, int], out: Image | None = None) -> Image:
    """Return a part of an image with half a window around it, reflected at the edges of the image."""
    above, before = size[0] // 2, size[1] // 2
    y = _reflected(rows.start - above, rows.stop + size[0] - 1 - above, image.shape[0])
    x = _reflected(columns.start - before, columns.stop + size[1] - 1 - before, image.shape[1])
    if out is None:
        out = np.empty((y.size, x.size), _native(image.dtype))
    # All but the reflected columns can be copied at once, which is much faster.
    left, right = max(before - columns.start, 0), x.size - max(columns.stop + size[1] - 1 - before - image.shape[1], 0)
    out[:, left:right] = image[y, columns.start - before + left : columns.start - before + right]
    out[:, :left] = image[y[:, None], x[:left]]
    out[:, right:] = image[y[:, None], x[right:]]
    return out


def _reflected(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Return the indices that a range has where edges reflect: ..., 1, 0, 0, 1, ..."""
    index = np.arange(start, stop) % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)


# --- arguments -----------------------------------------------------------------------------


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in the byte order of the machine; that of FITS may differ."""
    return dtype.newbyteorder("=")


def _image(ratio: ImageLike | Image) -> Image:
    """Return the pixels, if they are an image of real numbers."""
    data = ratio if isinstance(ratio, np.ndarray) else getattr(ratio, "data", None)
    if not isinstance(data, np.ndarray):
        raise ValueError(f"ratio must be a CCDData or an array, not {type(ratio).__name__}")
    if data.ndim != 2:
        raise ValueError(f"ratio must be two-dimensional; its shape is {data.shape}")
    if data.dtype.kind not in "iu" and _native(data.dtype) not in (np.float32, np.float64):
        raise TypeError(f"ratio must hold integers, float32 or float64, not {data.dtype}")
    return np.asarray(data)


def _integer(name: str, value: int) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None


def _size(name: str, value: int) -> int:
    size = _integer(name, value)
    if size < 1:
        raise ValueError(f"{name} must be positive, not {value!r}")
    return size


def _number(name: str, value: float) -> None:
    if np.ndim(value) or np.asarray(value).dtype.kind not in "buif":
        raise ValueError(f"{name} must be a number, not {value!r}")
