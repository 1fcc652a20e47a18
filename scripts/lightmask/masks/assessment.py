"""Assess detectors on a user's own frame: inject tracks, and count what is found, what is wrong, what is touched.

A LIGHT frame and settings come in; counts of each setting go out, which add up over frames.

What tracks hit is known, so what is found of it is measured. What a detector flags in the frame as it is can be natural
rays: how much of that is wrong is estimated from where it is. Tracks lie anywhere; what sits on sources, trails, lines
or the rim more often than what was found of the tracks does is no ray.
"""

import math
import os
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.errors import FrameError
from lightmask.fits import Header, Image, Roles, opened, read_images
from lightmask.masks.flags import grown
from lightmask.masks.frame import Search, companion_of, open_combined
from lightmask.masks.planes import Raised
from lightmask.messages import warn
from lightmask.night import PIXEL_SIZES, Readout, first, with_preset, within
from lightmask.quality import Events, measured_noise, measured_quality
from lightmask.truth import (
    LEAST_OF_RAY,
    MOST_OF_NONE,
    Injected,
    Sensor,
    Track,
    inject,
    score,
    tracks,
)

TRACKS_PER_PIXEL = 200e-6
FEWEST_TRACKS, MOST_TRACKS = 20, 3000
EDGES = (3, 5, 10, 20, 50, 100, math.inf)
"""Of bins of brightness: charge in the noise of the pixel."""
NATURAL = 2.9
"""How far around what is flagged in the frame as it is nothing is judged, in pixels."""
DEPTHS = 20.0, 120.0
"""Of thin and thick silicon, in um: half of the tracks each."""
PIXEL = 15.0
"""Side of a pixel in um, where no header has it."""
BAD = Flag.FLAT | Flag.DARK | Flag.INHERITED | Flag.SATURATED | Flag.NODATA | Flag.NOTFINITE | Flag.EDGE
PLACES = ("in_trails", "in_rim", "in_lines")
"""Where what is flagged is suspicious, beside sources; each event is at the first of them."""


class Counts(NamedTuple):
    """What one setting does; counts of several frames add up.

    Attributes
    ----------
    hit, found : (6,) float array
        Pixels that tracks hit, and those of them that are flagged, by brightness: bins between `EDGES`.
    events, events_found : float
        Tracks, and those of which a pixel is flagged.
    beside : float
        Pixels flagged around tracks that these did not hit.
    flagged, squares : float
        COSMIC pixels of the frame as it is, and the sum of the squares of these of each event.
    suspicious : float
        Those of them at `PLACES` and on sources.
    places, places_of : float
        Pixels of tracks there, of so many: the chance.
    stars, stars_touched : float
        Stars that were looked at, and those whose core is flagged.
    """

    hit: NDArray[np.float64]
    found: NDArray[np.float64]
    events: float
    events_found: float
    beside: float
    flagged: float
    squares: float
    suspicious: float
    places: float
    places_of: float
    stars: float
    stars_touched: float

    def __add__(self, other: object) -> "Counts":
        """Return the sum of two."""
        if not isinstance(other, Counts):
            return NotImplemented
        pairs: list[tuple[Any, Any]] = list(zip(self, other, strict=True))
        return Counts(*(one + another for one, another in pairs))

    @property
    def recall(self) -> float:
        """The part of the pixels that tracks hit which is flagged."""
        return float(self.found.sum() / max(self.hit.sum(), 1))

    @property
    def wrong(self) -> float:
        """An estimate of the part of the COSMIC pixels of the frame which no ray hit."""
        chance = self.places / max(self.places_of, 1)
        share = self.suspicious / max(self.flagged, 1)
        misplaced = min(max((share - chance) / max(1 - chance, 1e-9), 0.0), 1.0)
        beside = self.beside / max(self.beside + float(self.found.sum()), 1)
        return misplaced + (1 - misplaced) * beside

    @property
    def errors(self) -> tuple[float, float]:
        """Standard errors of `recall` and `wrong`: binomial, of as many as there are events of independent size."""
        of_recall = math.sqrt(self.recall * (1 - self.recall) / max(self.events, 1))
        independent = self.flagged**2 / self.squares if self.squares else 0.0
        of_wrong = math.sqrt(max(self.wrong * (1 - self.wrong), 0.25 / (independent + 1)) / (independent + 1))
        return of_recall, of_wrong

    @property
    def f1(self) -> float:
        """The harmonic mean of `recall`, and of what is not `wrong`."""
        right = 1 - self.wrong
        return 2 * right * self.recall / max(right + self.recall, 1e-9)


def assess_frame(
    frame: str | os.PathLike,
    name: str,
    combined: str | os.PathLike | None,
    settings: Mapping[str, dict[str, Any]],
    companion: tuple[str | os.PathLike, str] | None = None,
    remark: Callable[[str], None] = warn,
) -> dict[str, Counts]:
    """Inject tracks into a LIGHT frame, and count what each setting does.

    Parameters
    ----------
    frame : path
        The LIGHT frame.
    name : str
        Its path in the frames folder, from which the seed comes: the same tracks for the same frame.
    combined : path or None
        The combined mask that applies, if any.
    settings : dict
        Configurations, as `mask_frame` takes them, by name.
    companion : (path, str), optional
        A file of its own with the mask that came with the frame, and its name.
    remark : callable, optional
        Is called with each line on what is odd, guessed or left out.

    Returns
    -------
    dict of Counts
        By the name of the setting; the images of a frame are added up.

    Raises
    ------
    FrameError
        If the frame cannot be used.
    """
    config = next(iter(settings.values()))
    total: dict[str, Counts] = {}
    with ExitStack() as files:
        hdus, _ = files.enter_context(opened(frame, name, config["checksums"], remark))
        images = read_images(hdus, name, Roles(config["images"]), lambda line: remark(f"{name}: {line}"))
        masks, _ = files.enter_context(companion_of(companion, images, config["checksums"], remark))
        static: Mapping[str, Any] = {}
        if combined is not None:
            static, _ = files.enter_context(open_combined(combined, config["checksums"]))
        for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
            rng = np.random.default_rng([zlib.crc32(name.encode("utf-8", "surrogateescape")), number])
            called = f"{name}[{image.label}]" if image.label else name
            known = static.get(image.label)
            if combined is not None and (known is None or known.shape != image.data.shape):
                raise FrameError(
                    f"{called}: its masks have another shape than it; it changed since the folder was searched"
                )
            found = _of_image(rng, image, known, mask, called, settings, remark)
            total = {key: total[key] + counts if key in total else counts for key, counts in found.items()}
    return total


def _of_image(
    rng: np.random.Generator,
    image: Image,
    static: Any,
    mask: Any,
    name: str,
    settings: Mapping[str, dict[str, Any]],
    remark: Callable[[str], None],
) -> dict[str, Counts]:
    """Count what each setting does to one image."""
    shape = (image.data.shape[0], image.data.shape[1])
    config = next(iter(settings.values()))
    odd: dict[str, None] = {}  # in order, each once
    flags: dict[str, NDArray[np.int16]] = {}
    others: dict[str, NDArray[np.int16]] = {}
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing):
        right, _, _, _ = Search(image, static, name, with_preset(config, "best"), [], mask).prepared()
        for key, setting in settings.items():
            remarks: list[str] = []
            flags[key] = _flags(Search(image, static, name, setting, remarks, mask))
            odd |= dict.fromkeys(f"{line} ({key})" for line in remarks)
        bad = np.logical_or.reduce([each & BAD != 0 for each in flags.values()])
        injected = _injected(rng, image, shape, config, lambda line: odd.setdefault(f"{name}: {line}"))
        injected.charge[bad] = 0  # what has no data stays so
        with_tracks = Raised(image.data, _in_counts(injected.charge, right))
        for key, setting in settings.items():
            others[key] = _flags(Search(replace(image, data=with_tracks), static, name, setting, [], mask))
    for line in odd:
        remark(line)
    near = np.logical_or.reduce([each & (Flag.COSMIC | Flag.SUSPECT) != 0 for each in flags.values()])
    judged = ~grown(near, NATURAL) & ~bad
    sigma = _pixel_noise(image.data, injected, right)
    hit, free = (injected.charge >= LEAST_OF_RAY * sigma) & judged, (injected.charge < MOST_OF_NONE * sigma) & judged
    contrast = np.divide(injected.charge, sigma, out=np.zeros(shape), where=hit)
    return {
        key: _counts(image, with_tracks, flags[key], others[key], hit, free, contrast, injected, right)
        for key in settings
    }


def _in_counts(charge: NDArray[np.float64], how: Readout) -> NDArray[np.float32]:
    """Return a charge [e-] in counts of the file."""
    counts = np.zeros(charge.shape, np.float32)
    for each in how.amplifiers:
        counts[each.rows, each.columns] = charge[each.rows, each.columns] / (each.gain or 1.0)
    return counts


def _injected(
    rng: np.random.Generator,
    image: Image,
    shape: tuple[int, int],
    config: Mapping[str, Any],
    remark: Callable[[str], None],
) -> Injected:
    """Return tracks all over an image, half of them of thin silicon and half of thick, with the charge they have."""
    side = within(first(image.header, config["table_keywords"]["pixel_size"]), PIXEL_SIZES)
    if math.isnan(side):
        remark(f"no pixel size in the header; tracks are those of pixels of {PIXEL:g} um; expected XPIXSZ or the like")
        side = PIXEL
    number = int(min(max(TRACKS_PER_PIXEL * shape[0] * shape[1], FEWEST_TRACKS), MOST_TRACKS))
    made: list[Track] = []
    for depth in DEPTHS:
        made += tracks(rng, number // 2, Sensor(side, depth, min(0.4 * side, 8.0), rng.uniform(0, 1.2)))
    return inject(rng, shape, made)


def _flags(search: Search) -> NDArray[np.int16]:
    """Return the flags of an image with one setting."""
    how, image, lacking, _ = search.prepared()
    return search.flags(how, image, lacking)[0]


def _pixel_noise(data: Any, injected: Injected, how: Readout) -> NDArray[np.float64]:
    """Return the noise of pixels [e-]: from the median of 7x7 where a track is, from the sky elsewhere."""
    pixels = np.asarray(data[:], np.float32)
    noise = measured_noise(data, how)
    sky = max(noise.sky, 0.0)
    y, x = np.nonzero(injected.charge > 0)
    padded = np.pad(pixels, 3, mode="edge")
    around = sliding_window_view(padded, (7, 7))[y, x].reshape(-1, 49)
    light = np.full(pixels.shape, sky)
    light[y, x] = np.maximum(np.nan_to_num(np.median(around, axis=1)), 0.2 * sky)
    result = np.empty(pixels.shape)
    for each in how.amplifiers:
        part = each.rows, each.columns
        result[part] = np.sqrt(np.maximum(light[part] * (each.gain or 1.0), 0) + each.readnoise**2)
    return np.maximum(result, 1e-3)


def _counts(
    image: Image,
    with_tracks: Any,
    flags: NDArray[np.int16],
    others: NDArray[np.int16],
    hit: NDArray[np.bool_],
    free: NDArray[np.bool_],
    contrast: NDArray[np.float64],
    injected: Injected,
    how: Readout,
) -> Counts:
    """Count what one setting does."""
    mask = others & Flag.COSMIC != 0
    scored = score(mask, hit, free, injected.event)
    of_hit, of_found = (np.histogram(contrast[each], EDGES)[0].astype(float) for each in (hit, hit & mask))
    as_it_is = _quality(image.data, flags, how)
    of_tracks = flags & np.int16(BAD)
    of_tracks[mask & hit] |= np.int16(Flag.COSMIC)
    chance = _quality(with_tracks, of_tracks, how)
    return Counts(
        of_hit,
        of_found,
        scored.events,
        scored.events_found,
        scored.wrong,
        as_it_is["cosmic_pixels"],
        float((Events(image.data, flags).pixels.astype(float) ** 2).sum()),
        as_it_is["cosmic_pixels"] * _suspicious(as_it_is),
        chance["cosmic_pixels"] * _suspicious(chance),
        chance["cosmic_pixels"],
        as_it_is["stars"] or 0,
        round((as_it_is["stars"] or 0) * (as_it_is["star_cores"] or 0.0)),
    )


def _quality(data: Any, flags: NDArray[np.int16], how: Readout) -> dict[str, Any]:
    """Return the numbers by which masks are judged."""
    nothing: dict[str, list[str]] = {"exposure": [], "pixel_size": []}
    return measured_quality(data, flags, how, measured_noise(data, how), Events(data, flags), Header(), nothing)


def _suspicious(measured: Mapping[str, Any]) -> float:
    """Return which part of COSMIC pixels is where few rays are: in lines, the rim, trails, and on sources."""
    on_sources = max(measured["on_sources"] or 0.0, measured["on_extended"] or 0.0)
    return min(sum(measured[place] or 0.0 for place in PLACES) + on_sources, 1.0)
