"""Turn one LIGHT frame into a masked frame: the core of the workflow."""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask import __version__, bits
from lightmask.errors import FrameError
from lightmask.fits import (
    Hdu,
    Header,
    Image,
    Pixels,
    Roles,
    Value,
    bands,
    find_images,
    image_header,
    opened,
    read_images,
    records,
    says_nothing,
    shape_text,
    whole_file,
    write,
)
from lightmask.masks.cosmicrays import used
from lightmask.masks.flags import Flags, count_text
from lightmask.masks.inherited import Inherited
from lightmask.masks.inherited import inherited as inherited_of
from lightmask.masks.nodata import WithoutData, without_data
from lightmask.masks.planes import Raised
from lightmask.masks.provenance import add_card, add_source
from lightmask.masks.repeats import CHANGES, Repeats, open_others
from lightmask.masks.search import flag_pixels, statistics
from lightmask.messages import timed, warn
from lightmask.night import AUTO, NO_READNOISE, QUALITY_COLUMNS, Readout, camera_of, number, readout, with_preset
from lightmask.quality import (
    Cause,
    Events,
    Noise,
    Sample,
    causes,
    causes_of_noise,
    measured_ceiling,
    measured_gain,
    measured_noise,
    measured_quality,
    measured_readnoise,
    of_noise,
    spectrum_card,
    write_regions,
)

SOURCE_OF_MASK = re.compile(r"LIGHTMASK (FLAT|DARK)\d+( SHA256)?")
WCS = re.compile(
    r"WCSAXES[A-Z]?|WCSNAME[A-Z]?|(CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA|CNAME)\d[A-Z]?|(CD|PC)\d_\d[A-Z]?|"
    r"P[VS]\d_\d+[A-Z]?|(LON|LAT)POLE[A-Z]?|RADESYS[A-Z]?|RADECSYS|EQUINOX[A-Z]?|LT[VM]\d(_\d)?|"
    r"[AB]P?_(ORDER|DMAX|\d_\d)"
)
"""Cards of world coordinates. Those of tables of distortions are not among them: they name other HDUs."""
COMPANION = "companion"
"""What headers and records call the file of a frame's masks."""
REMEDIES = {
    "flat": "look at its flat mask: is it inverted, or made of faint flats?",
    "dark": "look at its dark mask: is it inverted, or made of darks that keep their bias?",
    "inherited": "look at inherit: is 0 bad in the masks that came with it?",
    "cosmic": "correct cosmic_rays: gain, readnoise and sigclip",
    "suspect": "correct cosmic_rays: gain, readnoise and sigclip",
    "saturated": "correct cosmic_rays: satlevel",
}
"""What to do where a reason masks too much."""
HIDDEN_SKY = 1.15
"""Noise of a frame whose sky was subtracted, in that of the model, from which on ``sky: auto`` adds it."""
MEASURED_READNOISE = 0.5, 60.0
"""Between which a read noise in e- is taken that was measured: beyond, gain or unit must be wrong."""
UNITS = {
    "gain": "[e-/adu]",
    "readnoise": "[e-]",
    "satlevel": "[e-]",
    "sigclip": "[sigma]",
    "psffwhm": "[pixel]",
    "exposure": "[s]",
    "sky": "[adu]",
}


@dataclass(frozen=True)
class Masked:
    """What was found in one image of a frame.

    Attributes
    ----------
    image : Image
        The image.
    flags : ndarray of int16
        Bits of `~lightmask.bits.Flag`, shape of the image.
    statistics : dict
        Number of pixels of each reason, and more: what the statistics of a frame have of each image.
    parameters : dict
        What the detector was given, by the name of its card.
    events : Events or None
        Its cosmic rays, if they are drawn or listed.
    """

    image: Image
    flags: NDArray[np.int16]
    statistics: dict[str, Any]
    parameters: dict[str, Any]
    events: Events | None


def mask_frame(
    frame: str | os.PathLike,
    name: str,
    combined: str | os.PathLike | None,
    output: str | os.PathLike,
    statistics_file: str | os.PathLike,
    config: dict[str, Any],
    draw: Callable[[Sequence[Masked]], None] | None = None,
    regions: str | os.PathLike | None = None,
    recipe: str = "",
    companion: tuple[str | os.PathLike, str] | None = None,
    repeats: Sequence[tuple[str | os.PathLike, str]] = (),
) -> None:
    """Write a LIGHT frame with MASK and FLAGS for each of its images, and its statistics.

    Everything that the input holds is passed through as it is: pixels, HDUs
    and cards, but for an existing MASK, whose pixels go into the new one, for FLAGS of
    another program, which become INFLAGS, and for tile compression, which is undone.

    Parameters
    ----------
    frame : path
        The LIGHT frame.
    name : str
        Its path in the frames folder, for messages and provenance.
    combined : path or None
        The combined mask that applies, if any.
    output, statistics_file : path
        FITS and JSON file to write.
    config : dict
        ``cosmic_rays``, ``masked``, ``grow``, ``unit``, ``unit_names``, ``cameras``, ``table_keywords``, ``sections``,
        ``amplifiers``, ``bayer``, ``no_data``, ``images``, ``noise``, ``noise_check``, ``inherit`` and ``checksums``
        of the configuration.
    draw : callable, optional
        Draws the frame: it is called with what was found in each image, as
        `lightmask.show.draw_frame` takes it. The statistics then say too how many
        cosmic-ray events there are, and which fraction of their pixels sits on sources.
    regions : path, optional
        DS9 region file of the cosmic-ray events to write.
    recipe : str, optional
        `lightmask.fits.records.digest_of` what the frame is masked with. Header and statistics say it.
    companion : (path, str), optional
        A file of its own with the mask that came with the frame, and its name.
    repeats : sequence of (path, str), optional
        Other frames of its field, filter and exposure time, with which what is COSMIC is compared, and their names.

    Raises
    ------
    FrameError
        If the frame cannot be used, or changes while it is read.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.io import fits
    >>> from lightmask.night import validated
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = Path(folder.name)
    >>> data = np.full((64, 64), 100, np.float32)
    >>> data[10, 10] += 3000
    >>> fits.writeto(place / "x.fits", data)
    >>> mask_frame(place / "x.fits", "x.fits", None, place / "masked.fits", place / "x.json", validated({}))
    ... # doctest: +ELLIPSIS
    reading: ...
    >>> fits.getdata(place / "masked.fits", "MASK").sum(), json.loads((place / "x.json").read_text())["cosmic"]
    (np.uint64(1), 1)
    >>> folder.cleanup()
    """
    with ExitStack() as files:
        with timed("reading"):
            remarks: list[str] = []
            hdus, digest = files.enter_context(opened(frame, name, config["checksums"], remarks.append))
            images = read_images(hdus, name, Roles(config["images"]), lambda line: remarks.append(f"{name}: {line}"))
            masks, source = files.enter_context(companion_of(companion, images, config["checksums"], remarks.append))
            static: dict[str, Pixels] = {}
            sources: list[tuple[str, Value]] = []
            if combined is not None:
                static, sources = files.enter_context(open_combined(combined, config["checksums"]))
            roles = Roles(config["images"])
            others = files.enter_context(
                open_others(repeats, config["checksums"], roles, lambda line: remarks.append(f"{name}: {line}"))
            )
        found = []
        for image, mask in zip(images, masks, strict=True):
            known = static.get(image.label)
            if combined is not None and (known is None or known.shape != image.data.shape):
                shape = "none" if known is None else shape_text(known.shape)
                raise FrameError(
                    f"{_called(name, image)}: shape {shape_text(image.data.shape)}, its masks {shape}; "
                    "it changed since the folder was searched, start again"
                )
            of_image = [other.images[image.label] for other in others if image.label in other.images]
            search = Search(image, known, _called(name, image), config, remarks, mask, of_image if repeats else None)
            found.append(search.searched(bool(draw or regions), bool(draw)))
        for remark in remarks:
            warn(remark)
        with timed("writing"):
            hdus = _with_flags(hdus, found, config["masked"], name)
            header = hdus[0].header
            add_settings(header, config)
            if len(found) == 1:
                add_result(header, found[0])
            add_card(header, records.KEY, recipe)
            add_source(header, "frame", name, digest)
            if source:
                add_source(header, COMPANION, *source)
            for number, other in enumerate(others, 1):
                add_source(header, f"repeat{number}", other.name, other.digest)
            for keyword, value in sources:
                add_card(header, keyword, value)
            write(hdus, output)
            counted = [each.statistics for each in found]
            record = {
                "path": name,
                **_total(counted),
                "images": counted,
                "remarks": remarks,
                **records.from_header(header),
            }
            with whole_file(statistics_file) as part:
                part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        if regions is not None:
            write_regions(
                ((each.image.label, each.events.strongest()) for each in found if each.events is not None), regions
            )
        if draw:
            with timed("drawing"):
                draw(found)


def _called(name: str, image: Image) -> str:
    """Return what messages call an image of a frame."""
    return f"{name}[{image.label}]" if image.label else name


@dataclass
class Search:
    """The search of one image of a frame."""

    image: Image
    static: NDArray[np.uint8] | Pixels | None
    name: str
    config: dict[str, Any]
    remarks: list[str]
    companion: Hdu | None = None
    others: list[Image] | None = None

    def prepared(self) -> tuple[Readout, Image, NDArray[np.bool_] | None, float]:
        """Return how the image was read out, the image as it is searched, where it has no data, and the sky added."""
        try:
            how = readout(self.config, self.image.header, self.image.own, self.image.data.shape)
        except FrameError as error:
            raise FrameError(f"{self.name}: {error}") from None
        image, lacking = self.image, without_data(self.image.data, self.image.header, self.config["no_data"])
        if lacking is not None:
            image = replace(image, data=WithoutData(image.data, lacking))
        how = self._with_level(self._with_gain(_with_readnoise(how, image.data), image), image)
        self._remark(how.remarks)
        level, image = self._with_sky(how, image)
        return how, image, lacking, level

    def flags(
        self, how: Readout, image: Image, lacking: NDArray[np.bool_] | None, repeats: Repeats | None = None
    ) -> tuple[NDArray[np.int16], list[int]]:
        """Return the flags of a prepared image, and the pixels of each iteration."""
        config = self.config
        try:
            return flag_pixels(
                image,
                self.static,
                config["cosmic_rays"],
                how,
                config["grow"],
                self.inherited(),
                lacking,
                self.variance(),
                repeats,
            )
        except ValueError as error:  # the detector's own refusal of a parameter
            raise FrameError(f"{self.name}: {error}") from None

    def searched(self, with_events: bool, with_sources: bool) -> Masked:
        """Find what is wrong in the image, and with what is found."""
        how, image, lacking, level = self.prepared()
        noise = None
        if self.config["quality"]:
            with timed("quality"):
                noise = measured_noise(image.data, how)
                self._check_noise(of_noise(image.data, noise, how), how)
        repeats = None if self.others is None else Repeats(image, self.others, how, self.config["no_data"])
        with timed("detection"):
            flags, iterations = self.flags(how, image, lacking, repeats)
        counted = {"image": image.label, **statistics(flags, self.config["masked"], iterations)}
        if repeats is not None:
            counted |= repeats.statistics()
            self._remark(repeats.remarks())
        events: Events | None = None
        found: list[Cause] = []
        if with_events or noise is not None:
            with timed("events"):
                events = Events(image.data, flags)
        if events is not None and (with_sources or noise is not None):
            counted |= {"events": len(events)}
        if noise is not None and events is not None:
            with timed("quality"):
                measured, found = self._judged(image, flags, how, noise, events, counted["saturated"] > 0)
            counted |= {key: measured[key] for key in ("on_sources", *QUALITY_COLUMNS)}
            counted["causes"] = [cause._asdict() for cause in found]
        elif events is not None and with_sources:
            counted |= {"on_sources": events.on_sources()}
        self._check_share(flags, counted, found)
        self._remark(map(str, found))
        parameters = numbers_of_cards(self.config["cosmic_rays"], how) | ({"sky added": level} if level else {})
        return Masked(self.image, flags, counted, parameters, events if with_events else None)

    def _remark(self, lines: Iterable[str]) -> None:
        self.remarks += [f"{self.name}: {line}" for line in lines]

    def _with_gain(self, how: Readout, image: Image) -> Readout:
        """Return the readout with a gain, measured where neither header nor configuration has one."""
        if all(each.gain is not None for each in how.amplifiers):
            return how
        noise = how.amplifiers[0].readnoise
        gain = measured_gain(image.data, noise, how.window)
        self._remark(
            [
                f"gain: auto finds no gain in the header; {gain:.4g} e- per count fits the noise of the frame with a "
                f"read noise of {noise:g} e-, and is used; set cosmic_rays: gain if you know it"
            ]
        )
        return how.measured(gain)

    def _with_level(self, how: Readout, image: Image) -> Readout:
        """Return the readout with the level that the stars of the image share, where that is found by itself."""
        if self.config["cosmic_rays"]["satlevel"] != AUTO or len(how.amplifiers) > 1:
            return how
        (one,) = how.amplifiers
        noise, gain = measured_noise(image.data, how), one.gain or 1.0
        ceiling = measured_ceiling(Sample(image.data, how.window), noise.sky, noise.sigma)
        if not ceiling * gain < one.satlevel:
            return how
        self._remark(
            [
                f"satlevel: auto takes {ceiling:.5g} adu, the level that its brightest pixels share, as the level of "
                f"{one.satlevel / gain:.5g} adu is not reached; set cosmic_rays: satlevel if you know it"
            ]
        )
        kept = tuple(line for line in how.remarks if not line.startswith("satlevel: auto"))
        return replace(how, amplifiers=(replace(one, satlevel=ceiling * gain),), remarks=kept)

    def _with_sky(self, how: Readout, image: Image) -> tuple[float, Image]:
        """Return the sky that is added to the image, in counts, and the image with it."""
        level = self.config["sky"]
        if level == AUTO:
            noise = measured_noise(image.data, how)
            is_hidden = noise.ratio > HIDDEN_SKY and noise.is_sky_missing
            level = float(f"{noise.missing_sky:.6g}") if is_hidden else 0.0
            print(f"{self.name}: sky: auto adds {level:g} adu")
        return level, replace(image, data=Raised(image.data, level)) if level else image

    def _given(self, how: Readout) -> dict[str, Any]:
        """Return what the detector was given, and what the header has of that, as `causes` takes it."""
        one, cards = how.amplifiers[0], self.image.header
        there = ("EGAIN", "GAIN", "RDNOISE", "READNOIS", "BUNIT")
        shown = [f"{key} {cards[key]}" for key in there if not says_nothing(key, cards.get(key))]
        other = cards.get("EGAIN")
        gain = (one.gain or 1) / how.exposure
        return {
            **self.config["cosmic_rays"],
            "gain": gain,
            "readnoise": one.readnoise,
            "satlevel": one.satlevel,
            "cards": ", ".join(shown),
            "egain": other if isinstance(other, int | float) and other > 0 and other != gain else None,
            "spectrum": spectrum_card(cards),
            "noise_check": self._noise_check,
            "best": self._of_best() if self.config["cosmic_rays"]["preset"] == "chapter" else None,
        }

    def _of_best(self) -> tuple[float, float] | None:
        """Return the gain [e-/adu] and the read noise [e-] that the preset `best` would use."""
        try:
            how = readout(with_preset(self.config, "best"), self.image.header, self.image.own, self.image.data.shape)
        except FrameError:  # a keyword that it would need is no number: that preset would report it
            return None
        one = _with_readnoise(how, self.image.data).amplifiers[0]
        gain = measured_gain(self.image.data, one.readnoise, how.window) if one.gain is None else one.gain
        return gain / how.exposure, one.readnoise

    @property
    def _noise_check(self) -> str:
        """What to do about a noise that is not that of the model; nothing where the model is not used."""
        return "off" if self.config["noise"] == "extension" else str(self.config["noise_check"])

    def _check_noise(self, measured: dict[str, Any], how: Readout) -> None:
        """Refuse an image whose noise cannot be that of gain, read noise and unit."""
        limits = self.config["limits"]
        least, most = limits["possible_noise"]
        if self._noise_check != "fail" or least <= number(measured["noise_ratio"]) <= most:
            return
        for cause in causes_of_noise(measured, limits, self._given(how)):
            if cause.name != "correlated":
                raise FrameError(f"{self.name}: {cause}, or set noise_check: remark")

    def _judged(
        self, image: Image, flags: NDArray[np.int16], how: Readout, noise: Noise, events: Events, is_saturated: bool
    ) -> tuple[dict[str, Any], list[Cause]]:
        """Measure whether the flags can be trusted, and say what is wrong with them."""
        header, keywords = self.image.header, self.config["table_keywords"]
        measured = measured_quality(image.data, flags, how, noise, events, header, keywords)
        if is_saturated:
            measured["ceiling"] = None
        return measured, causes(measured, self.config["limits"], self._given(how))

    def _check_share(self, flags: NDArray[np.int16], counted: dict[str, Any], found: list[Cause]) -> None:
        """Refuse an image of which too much is masked, but for what holds no data, and what came masked."""
        most = self.config["most_masked"]
        without = {"edge", "nodata", "notfinite"}
        reasons = [reason for reason in self.config["masked"] if reason not in without]
        pixels = max(counted["pixels"] - sum(counted[reason] for reason in without), 1)
        if "inherited" in reasons and counted["inherited"] > most * pixels:
            share = counted["inherited"] / pixels
            text = f"{share:.0%} of its pixels are bad in the masks that came with it, expected up to {most:.0%}"
            self._remark([f"{text}; {REMEDIES['inherited']}"])
        reasons = [reason for reason in reasons if reason != "inherited"]
        if counted["masked"] <= most * pixels:
            return
        masked = sum(Flags(flags[rows]).count(*reasons) for rows in bands(flags.shape))
        if masked <= most * pixels:
            return
        shares = {reason: counted[reason] / pixels for reason in sorted(reasons, key=lambda each: -counted[each])}
        listed = ", ".join(f"{reason} {share:.0%}" for reason, share in shares.items() if share)
        remedy = f"{found[0]}" if found else REMEDIES[next(iter(shares))]
        raise FrameError(
            f"{self.name}: {masked / pixels:.0%} of its pixels would be masked ({listed}), expected up to {most:.0%}; "
            f"{remedy}, or raise most_masked"
        )

    def variance(self) -> Any:
        """Return the variance of pixels, where the configuration wants that of the image's extension."""
        if self.config["noise"] == "model":
            return None
        for role in ("variance", "error", "weight"):
            for hdu in self.image.companions.get(role, []):
                if hdu.plane == tuple(self.image.data.shape):
                    return _Variance(Pixels(hdu), role)
        raise FrameError(
            f"{self.name}: found no error, variance or weight extension of its shape, expected one; set noise: model"
        )

    def inherited(self) -> Inherited | None:
        """Return the bad pixels of the masks that came with the image."""
        masks = [*self.image.companions.get("mask", []), *filter(None, [self.companion])]
        if not masks:
            return None
        camera = camera_of(self.image.header, self.config["cameras"])
        shape, meaning = self.image.data.shape, self.config["inherit"]
        return inherited_of(masks, shape, camera, meaning, self.name, self.remarks.append)


def _with_readnoise(how: Readout, data: Any) -> Readout:
    """Return the readout with a read noise, measured where no header has it, and the gain is known."""
    unknown = [line for line in how.remarks if line.startswith(NO_READNOISE)]
    if not unknown or len(how.amplifiers) > 1 or how.amplifiers[0].gain is None:
        return how
    found = measured_readnoise(data, how)
    if not MEASURED_READNOISE[0] <= found <= MEASURED_READNOISE[1]:
        return how
    what = unknown[0].partition(";")[0]
    kept = [line for line in how.remarks if line not in unknown]
    kept.append(f"{what}; {found:.3g} e- fits the noise of the frame, and is used; set cosmic_rays: readnoise")
    return replace(how, amplifiers=(replace(how.amplifiers[0], readnoise=found),), remarks=tuple(kept))


@dataclass(frozen=True)
class _Variance:
    """The variance of pixels, of which rows can be taken, made of an error, a variance or a weight."""

    pixels: Pixels
    role: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        values = self.pixels[rows].astype(np.float32)
        if self.role == "error":
            return values * values
        with np.errstate(divide="ignore"):  # no weight: an infinite variance, which counts as lacking
            return values if self.role == "variance" else 1 / values


def numbers_of_cards(settings: Mapping[str, Any], how: Readout) -> dict[str, Any]:
    """Return what cards say of a search: the numbers of each amplifier in the place of settings."""
    found = used(settings)
    if len(how.amplifiers) == 1:
        (one,) = how.amplifiers
        found |= {"gain": (one.gain or 1) / how.exposure, "readnoise": one.readnoise, "satlevel": one.satlevel}
    else:
        for key in ("gain", "readnoise", "satlevel"):
            del found[key]
        for each in how.amplifiers:
            numbers = {"gain": (each.gain or 1) / how.exposure, "readnoise": each.readnoise, "satlevel": each.satlevel}
            found |= {f"{key} {each.name}": value for key, value in numbers.items()}
    if how.exposure != 1:
        found["exposure"] = how.exposure
    return found


def _total(counted: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the statistics of a frame, of those of its images: sums, and for what cannot be added a mean."""
    if len(counted) == 1:
        return {key: value for key, value in counted[0].items() if key != "image"}
    summed = {key: sum(each[key] for each in counted) for key in ("pixels", "masked", *bits.REASONS)}
    rounds = itertools.zip_longest(*(each["iterations"] for each in counted), fillvalue=0)
    fraction = summed["masked"] / max(summed["pixels"] - summed["edge"], 1)  # as of each image
    total = {**summed, "fraction": fraction, "iterations": list(map(sum, rounds))}
    if "repeats" in counted[0]:
        total["repeats"] = min(each["repeats"] for each in counted)
        total |= {key: sum(each[key] for each in counted) for key in (f"repeats_{change}" for change in CHANGES)}
    if "events" in counted[0]:
        cosmic = [each["cosmic"] * each["on_sources"] for each in counted]
        total["events"] = sum(each["events"] for each in counted)
        total["on_sources"] = sum(cosmic) / (summed["cosmic"] or 1)
    return total


@contextmanager
def open_combined(
    path: str | os.PathLike, checksums: str
) -> Iterator[tuple[dict[str, Pixels], list[tuple[str, Value]]]]:
    """Open a combined mask: its flags, by the label of the image they are for, and the cards that name its masks."""
    name = Path(path).name
    with opened(path, name, checksums) as (hdus, _):
        header = hdus[0].header
        keywords = filter(SOURCE_OF_MASK.fullmatch, header.keywords())
        cards: list[tuple[str, Value]] = [
            (keyword.removeprefix("LIGHTMASK "), str(header[keyword])) for keyword in keywords
        ]
        places = find_images([hdu.header for hdu in hdus], name)
        labels = [str(hdus[place].header.get("LIGHTMASK IMAGE") or "") for place in places]
        yield {label: Pixels(hdus[place]) for label, place in zip(labels, places, strict=True)}, cards


@contextmanager
def companion_of(
    file: tuple[str | os.PathLike, str] | None, images: Sequence[Image], checksums: str, remark: Callable[[str], None]
) -> Iterator[tuple[list[Hdu | None], tuple[str, str] | None]]:
    """Open the file of a frame's masks: return the mask of each image, and the name and digest of the file."""
    if file is None:
        yield [None] * len(images), None
        return
    path, name = file
    with opened(path, name, checksums, remark) as (hdus, digest):
        places = find_images([hdu.header for hdu in hdus], name, or_masks=True)
        masks = [hdus[place] for place in places]
        found = [next((mask for mask in masks if _is_of(mask.header, image.own)), None) for image in images]
        if len(masks) == len(images) == 1:
            found = list(masks)
        for image, mask in zip(images, found, strict=True):
            if mask is None:
                remark(
                    f"{name}: has no mask of {image.label or 'the image'}, expected one of its EXTNAME and EXTVER; "
                    "masked without it"
                )
        yield found, (name, digest)


def _is_of(mask: Header, image: Header) -> bool:
    """Return whether the mask in a file of its own belongs to an image: whether EXTNAME and EXTVER agree."""
    keys = [[str(header.get("EXTNAME") or "").upper(), header.get("EXTVER", 1)] for header in (mask, image)]
    return keys[0] == keys[1]


@dataclass(frozen=True)
class _Mask:
    """The bytes of MASK, made from FLAGS as they are wanted."""

    found: NDArray[np.int16]
    masked_by: Iterable[str]

    def __len__(self) -> int:
        return self.found.size

    def __getitem__(self, part: slice) -> NDArray[np.uint8]:
        return Flags(self.found.reshape(-1)[part]).union(*self.masked_by).view(np.uint8)


@dataclass(frozen=True)
class _BigEndian:
    """The bytes of FLAGS as FITS stores them, made as they are wanted."""

    found: NDArray[np.int16]

    def __len__(self) -> int:
        return self.found.nbytes

    def __getitem__(self, part: slice) -> NDArray[np.uint8]:
        first, end, _ = part.indices(len(self))
        stored = self.found.reshape(-1)[first // 2 : -(-end // 2)].astype(">i2").view(np.uint8)
        return stored[first % 2 :][: max(end - first, 0)]


def _with_flags(hdus: list[Hdu], found: list[Masked], masked_by: Iterable[str], name: str) -> list[Hdu]:
    """Return the HDUs of a frame with a MASK, in the place of one that is there already, and FLAGS for each image.

    An old MASK is kept as INMASK where its values say more than the INHERITED flag can, and FLAGS of
    another program as INFLAGS; as INMASK2, INFLAGS2, ... where the frame has one of that name already.
    """
    primary = hdus[0].header
    if "LIGHTMASK VERSION" in primary:
        raise FrameError(f"{name}: it was masked by lightmask already; mask the frame that it was made from")
    taken = {(hdu.name, hdu.header.get("EXTVER", 1)) for hdu in hdus}
    result = list(hdus)
    result[0] = Hdu(primary.copy(), hdus[0].data)
    if result[0].header.get("EXTEND") is False:
        result[0].header.set("EXTEND", True)
    for place, hdu in enumerate(hdus):
        if hdu.name == "FLAGS":
            result[place] = _renamed(result[place], "INFLAGS", taken)
    several = len(found) > 1
    kept, added = [], []
    for each in found:
        image = each.image
        own = next((hdu for hdu in image.companions.get("mask", []) if hdu.name == "MASK"), None)
        science = hdus[image.place]
        number = image.number if several else None
        old = own.header if own else None
        mask = Hdu(_header(science, np.uint8, "MASK", image, number, old), _Mask(each.flags, masked_by))
        if own is None:
            added.append(mask)
        else:
            result[next(place for place, hdu in enumerate(hdus) if hdu is own)] = mask
            if image.more_than_mask:
                kept.append(_renamed(own, "INMASK", taken))
        reasons = _header(science, ">i2", "FLAGS", image, number, None)
        for card in bits.cards():
            reasons.set(*card)
        if several:
            add_result(reasons, each)
        added.append(Hdu(reasons, _BigEndian(each.flags)))
    result += kept + added
    if "NEXTEND" in result[0].header:
        result[0].header.set("NEXTEND", len(result) - 1)
    return result


def _header(science: Hdu, dtype: Any, extension: str, image: Image, number: int | None, old: Header | None) -> Header:
    """Return the header of a MASK or of FLAGS: what it is of, and where that lies in the sky."""
    header = image_header(science.shape or (), np.dtype(dtype), old, extension)
    if number is not None:
        header.set("EXTVER", number)
        add_card(header, "IMAGE", image.label, "what it is of")
    for keyword in science.header.keywords():
        if keyword not in header and WCS.fullmatch(keyword):
            header.take(science.header, keyword)
    return header


def _renamed(hdu: Hdu, name: str, taken: set[tuple[str, Any]]) -> Hdu:
    """Return an HDU under a name that no other one has."""
    version = hdu.header.get("EXTVER", 1)
    candidates = itertools.chain([name], (f"{name}{number}" for number in itertools.count(2)))
    free = next(candidate for candidate in candidates if (candidate, version) not in taken)
    taken.add((free, version))
    header = hdu.header.copy()
    header.set("EXTNAME", free)
    return Hdu(header, hdu.data)


def add_settings(header: Header, config: Mapping[str, Any]) -> None:
    """Add cards that say which version masked, what MASK has, and how flags grew."""
    add_card(header, "VERSION", __version__, "lightmask")
    add_card(header, "MASKED", sum(bits.BITS[reason.upper()] for reason in config["masked"]), "bits in MASK")
    for reason, radius in config["grow"].items():
        if radius:
            add_card(header, f"GROW {reason}", radius, "[pixel]")


def add_result(header: Header, found: Masked) -> None:
    """Add cards that say with which parameters an image was searched, and what was found."""
    counted = found.statistics
    for key, value in found.parameters.items():
        if key == "psfk":
            if value is None:
                continue
            value = hashlib.sha256(np.array(value, np.float32).tobytes()).hexdigest()[:32]
        add_card(header, key, value, UNITS.get(key.partition(" ")[0], ""))
    for reason in [*bits.REASONS, "masked"]:
        add_card(header, f"{reason} pixels", counted[reason], count_text(counted[reason], counted["pixels"]))
    for key, (unit, meaning) in QUALITY_COLUMNS.items():
        if counted.get(key) is not None:
            add_card(header, key.replace("_", " "), counted[key], f"[{unit}] {meaning}" if unit else meaning)
    if "repeats" in counted:
        add_card(header, "REPEATS", counted["repeats"], "other frames it was compared with")
        for change in CHANGES:
            add_card(header, f"REPEATS {change}", counted[f"repeats_{change}"], "[pixel]")
    if "causes" in counted:
        add_card(header, "CAUSES", " ".join(each["name"] for each in counted["causes"]), "what is wrong with the mask")
    for place, count in enumerate(counted["iterations"], 1):
        add_card(header, f"iteration {place}", count, "cosmic pixels")
