"""How an image was read out: which part of it shows the sky, through which amplifiers, in which unit."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lightmask.errors import FrameError
from lightmask.fits import shape_text
from lightmask.night import quantities
from lightmask.night.cameras import camera_of, value_of
from lightmask.night.quantities import AUTO, EXPOSURE, GAIN, READNOISE, SATLEVEL, Cards, is_lacking, with_unit

SECTION = re.compile(r"\[?\s*(\*|-?\d*\s*:\s*-?\d*)\s*,\s*(\*|-?\d*\s*:\s*-?\d*)\s*\]?")
GOOD_SECTIONS = ("DATASEC", "TRIMSEC")
COLOURS = ("BAYERPAT", "COLORTYP", "BAYER")
MONO = {"", "NONE", "MONO", "MONOCHROME", "L", "LUMINANCE", "0", "F", "FALSE", "N/A", "UNKNOWN"}
USUAL_READNOISE = ("RDNOISE", "READNOIS", "READNOISE", "RON", "ENOISE")
USUAL_SATURATION = ("SATURATE", "SATLEVEL", "MAXLIN", "NONLIN")
MOST_ADU = 65535.0
"""What a converter of 16 bits returns at the most."""
DIFFERENT = 0.01
"""Gains of amplifiers that differ by less than this fraction are one."""


@dataclass(frozen=True)
class Amplifier:
    """A part of an image that was read through one amplifier.

    Attributes
    ----------
    rows, columns : slice
        Where it is.
    gain : float or None
        Electrons per count of the file. None where it is to be measured.
    readnoise : float
        In e-.
    satlevel : float
        In e-.
    name : str
        What its keywords end in, or its number; empty where there is one.
    level : float or None
        The saturation level in adu, where the gain is to be measured and makes it electrons.
    """

    rows: slice
    columns: slice
    gain: float | None
    readnoise: float
    satlevel: float
    name: str = ""
    level: float | None = None

    def measured(self, gain: float, exposure: float) -> "Amplifier":
        """Return the same with a gain that was measured, if it has none.

        Parameters
        ----------
        gain : float
            In electrons per count of the file.
        exposure : float
            As of `Readout`.

        Returns
        -------
        Amplifier
        """
        if self.gain is not None:
            return self
        satlevel = self.satlevel if self.level is None else self.level * gain / exposure
        return replace(self, gain=gain, satlevel=satlevel)


@dataclass(frozen=True)
class Readout:
    """How an image was read out.

    Attributes
    ----------
    amplifiers : tuple of Amplifier
        One at least. Together they cover the image.
    window : (slice, slice)
        Rows and columns that show the sky.
    exposure : float
        By what pixels are multiplied that are rates: the exposure time in s; 1 for all others.
    colours : bool
        Whether pixels of one colour are two apart.
    remarks : tuple of str
        What was guessed or left out.
    """

    amplifiers: tuple[Amplifier, ...]
    window: tuple[slice, slice]
    exposure: float = 1.0
    colours: bool = False
    remarks: tuple[str, ...] = ()

    def measured(self, gain: float) -> "Readout":
        """Return the same with a gain that was measured.

        Parameters
        ----------
        gain : float
            In electrons per count of the file.

        Returns
        -------
        Readout
        """
        return replace(self, amplifiers=tuple(each.measured(gain, self.exposure) for each in self.amplifiers))


def readout(config: Mapping[str, Any], header: Cards, own: Cards, shape: tuple[int, ...]) -> Readout:
    """Find out how an image was read out.

    Parameters
    ----------
    config : dict
        ``cosmic_rays``, ``unit``, ``unit_names``, ``cameras``, ``table_keywords``, ``sections``,
        ``amplifiers`` and ``bayer`` of the configuration.
    header : Header or mapping
        Cards of the image, then of the primary header.
    own : Header or mapping
        Cards of the image alone.
    shape : (int, int)
        Rows and columns.

    Returns
    -------
    Readout

    Raises
    ------
    FrameError
        If a keyword is missing or its value is no number in range, if unit and gain contradict each other,
        or if the pattern of colours is not known.
    """
    remarks: list[str] = []
    unit = quantities.unit_of(header, config)
    exposure = 1.0
    if unit.is_rate:
        exposure = quantities.value(config["table_keywords"]["exposure"], header, EXPOSURE, "table_keywords: exposure")
    window = _window(own if any(key in own for key in (*GOOD_SECTIONS, "COVER")) else header, shape, remarks)
    if config["sections"] == "ignore":
        window, remarks = (slice(0, shape[0]), slice(0, shape[1])), []
    amplifiers = [
        _amplifier(config, header, unit.name, name, rows, columns, special, remarks)
        for name, rows, columns, special in _sections(config, header, own, shape, window, remarks)
    ]
    if exposure != 1:
        amplifiers = [replace(each, gain=None if each.gain is None else each.gain * exposure) for each in amplifiers]
    colours = config["bayer"] == AUTO and has_colours(header)
    return Readout(tuple(amplifiers), window, exposure, colours, tuple(dict.fromkeys(remarks)))


def section(text: Any, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Read a section as IRAF writes it: ``[x1:x2,y1:y2]``, from 1, both ends included.

    Parameters
    ----------
    text : object
        The value of a keyword.
    shape : (int, int)
        Of the image, for ends that are left out.

    Returns
    -------
    (slice, slice) or None
        Rows and columns, maybe beyond the image; None where the text is no section.

    Examples
    --------
    >>> section("[1:512, 3:1024]", (1024, 1024))
    (slice(2, 1024, None), slice(0, 512, None))
    """
    match = SECTION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    found = []
    for part, size in zip(match.groups(), (shape[1], shape[0]), strict=True):
        first, _, last = part.replace("*", ":").partition(":")
        ends = sorted((int(first or 1), int(last or size)))
        found.append(slice(ends[0] - 1, ends[1]))
    return found[1], found[0]


def _window(cards: Cards, shape: tuple[int, ...], remarks: list[str]) -> tuple[slice, slice]:
    """Return rows and columns that show the sky: what is in DATASEC and TRIMSEC and not in COVER."""
    rows, columns = slice(0, shape[0]), slice(0, shape[1])
    is_trimmed = False
    for keyword in GOOD_SECTIONS:
        text = cards.get(keyword)
        found = section(text, shape)
        if found is None:
            continue
        lengths = tuple(part.stop - part.start for part in found)
        inner = [slice(max(part.start, 0), min(part.stop, n)) for part, n in zip(found, shape, strict=True)]
        if lengths == shape:  # all of it, or it has been cut out already
            is_trimmed = True
        elif list(found) == inner and 2 * lengths[0] * lengths[1] >= shape[0] * shape[1]:
            rows = slice(max(rows.start, inner[0].start), min(rows.stop, inner[0].stop))
            columns = slice(max(columns.start, inner[1].start), min(columns.stop, inner[1].stop))
            is_trimmed = True
        elif any(part.stop - part.start != n for part, n in zip(inner, shape, strict=True)):
            remarks.append(
                f"{keyword} is {text}, which does not fit an image of {shape_text(shape)} and is not used; expected a "
                "section within it, more than half of it; correct it, or set sections: ignore"
            )
    for keyword, size in (("COVER", shape[1]), ("ROVER", shape[0])):
        overscan = cards.get(keyword)
        if is_trimmed or isinstance(overscan, bool) or not isinstance(overscan, int) or not 0 < overscan < size / 2:
            continue
        remarks.append(
            f"{keyword} is {overscan}, and no DATASEC or TRIMSEC fits the image: its last "
            f"{overscan} {'columns' if keyword == 'COVER' else 'rows'} are taken for overscan; set sections: ignore if "
            "they are not"
        )
        if keyword == "COVER":
            columns = slice(columns.start, min(columns.stop, size - overscan))
        else:
            rows = slice(rows.start, min(rows.stop, size - overscan))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        remarks.append("DATASEC and TRIMSEC have no pixel in common and are not used; correct one of them")
        return slice(0, shape[0]), slice(0, shape[1])
    return rows, columns


def has_colours(header: Cards) -> bool:
    """Return whether pixels lie in a Bayer pattern, so that those of one colour are two apart.

    Raises
    ------
    FrameError
        If the header names a pattern that is not of two by two.
    """
    for keyword in COLOURS:
        pattern = str(header.get(keyword) or "").strip().upper()
        if pattern in MONO:
            continue
        if re.fullmatch("[RGBCMYWEK]{4}", pattern) or pattern in ("T", "TRUE", "RGB"):
            return True
        raise FrameError(
            f"{keyword} is {pattern!r}, expected a pattern of two by two, as RGGB; write each colour into a frame of "
            "its own, or set bayer: ignore if the pixels are of one colour"
        )
    return False


Section = tuple[str, slice, slice, Mapping[str, Any]]


def _sections(
    config: Mapping[str, Any],
    header: Cards,
    own: Cards,
    shape: tuple[int, ...],
    window: tuple[slice, slice],
    remarks: list[str],
) -> list[Section]:
    """Return name, rows, columns and settings of each amplifier of an image."""
    whole = [("", slice(0, shape[0]), slice(0, shape[1]), config["cosmic_rays"])]
    if config["amplifiers"]:
        return list(_configured(config, shape))
    settings = [with_unit(config["cosmic_rays"][key])[0] for key in ("gain", "readnoise", "satlevel")]
    if all(isinstance(setting, int | float) for setting in settings):
        return whole
    letters = [letter for letter in "ABCDEFGH" if not is_lacking(header.get(f"GAIN{letter}"), GAIN)]
    if len(letters) < 2:
        return whole
    for keyword, is_of_chip in (("DATASEC", False), ("CCDSEC", True)):
        texts = [own.get(f"{keyword}{letter}") for letter in letters]
        found = [_placed(text, own if is_of_chip else {}, shape) for text in texts]
        parts = [each for each in found if each is not None]
        if len(parts) == len(letters) and _fit(parts, shape, window, is_of_chip=is_of_chip):
            return [
                (letter, *part, config["cosmic_rays"])
                for letter, part in zip(letters, _covering(parts, shape), strict=True)
            ]
    for stem in ("GAIN", "RDNOISE", "SATURAT"):
        numbers = [header.get(f"{stem}{letter}") for letter in letters]
        known = [number for number in numbers if isinstance(number, int | float)]
        if len(known) == len(letters) and max(known) > (1 + DIFFERENT) * min(known):
            remarks.append(
                f"{stem}{letters[0]} to {stem}{letters[-1]} differ, and neither DATASEC{letters[0]} nor "
                f"CCDSEC{letters[0]} says where the amplifiers are; {stem}{letters[0]} is used for all of the image; "
                "set amplifiers"
            )
    return [(letters[0], *whole[0][1:])]


def _configured(config: Mapping[str, Any], shape: tuple[int, ...]) -> Iterator[Section]:
    """Return the amplifiers that the configuration lists."""
    parts = []
    for entry in config["amplifiers"]:
        found = section(entry["section"], shape)
        if found is None or any(part.start < 0 or part.stop > n for part, n in zip(found, shape, strict=True)):
            raise FrameError(
                f"amplifiers: found the section {entry['section']!r}, expected one within the image of "
                f"{shape_text(shape)}, as [1:1024,1:2048]; correct it"
            )
        parts.append(found)
    if not _fit(parts, shape, (slice(0, shape[0]), slice(0, shape[1])), is_of_chip=False, least=1.0):
        raise FrameError(
            f"amplifiers: found sections that overlap, or leave out a part of the image of {shape_text(shape)}; "
            "expected each pixel in one; correct them"
        )
    for number, (entry, part) in enumerate(zip(config["amplifiers"], parts, strict=True), 1):
        special = {key: entry[key] for key in ("gain", "readnoise", "satlevel") if entry.get(key) is not None}
        yield str(number), *part, {**config["cosmic_rays"], **special}


def _placed(text: Any, own: Cards, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Return rows and columns of a section in an image, which may lie shifted on its chip (LTV1, LTV2)."""
    found = section(text, shape)
    if found is None:
        return None
    shifts = []
    for keyword in ("LTV2", "LTV1"):
        value = value_of(own, keyword)
        shifts.append(round(value) if isinstance(value, int | float) else 0)
    rows, columns = (
        slice(max(part.start + shift, 0), min(part.stop + shift, n)) if own else part
        for part, shift, n in zip(found, shifts, shape, strict=True)
    )
    return rows, columns


def _fit(
    parts: list[tuple[slice, slice]],
    shape: tuple[int, ...],
    window: tuple[slice, slice],
    *,
    is_of_chip: bool,
    least: float = 0.9,
) -> bool:
    """Return whether sections lie within an image, do not overlap, and cover what shows the sky, but for a rim."""
    for rows, columns in parts:
        if not (0 <= rows.start < rows.stop <= shape[0] and 0 <= columns.start < columns.stop <= shape[1]):
            return False
    for number, (rows, columns) in enumerate(parts):
        for others in parts[:number]:
            if max(rows.start, others[0].start) < min(rows.stop, others[0].stop) and (
                max(columns.start, others[1].start) < min(columns.stop, others[1].stop)
            ):
                return False
    covered = sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in parts)
    seen = (window[0].stop - window[0].start) * (window[1].stop - window[1].start)
    return covered >= (least if not is_of_chip else 0.8) * seen


def _covering(parts: list[tuple[slice, slice]], shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Widen sections so that they cover the image: a rim belongs to its nearest amplifier."""
    tops, lefts = sorted({rows.start for rows, _ in parts}), sorted({columns.start for _, columns in parts})
    ends = [[*starts[1:], size] for starts, size in ((tops, shape[0]), (lefts, shape[1]))]
    tops_of, lefts_of = (
        dict(zip(starts, stops, strict=True)) for starts, stops in zip((tops, lefts), ends, strict=True)
    )
    widened = []
    for rows, columns in parts:
        top, left = rows.start, columns.start
        widened.append(
            (
                slice(0 if top == tops[0] else top, tops_of[top]),
                slice(0 if left == lefts[0] else left, lefts_of[left]),
            )
        )
    return widened


def _amplifier(
    config: Mapping[str, Any],
    header: Cards,
    unit: str,
    name: str,
    rows: slice,
    columns: slice,
    settings: Mapping[str, Any],
    remarks: list[str],
) -> Amplifier:
    """Return an amplifier with its numbers."""
    cards = _OfAmplifier(header, name if name.isalpha() else "")
    gain = quantities.header_gain(settings["gain"], cards, config, "cosmic_rays: gain")
    if gain is not None:
        quantities.check_unit(header, gain, config, "cosmic_rays: gain")
    readnoise = _readnoise(config, settings["readnoise"], cards, gain, remarks)
    setting, level_unit = with_unit(settings["satlevel"])
    is_number = isinstance(setting, int | float)
    if setting == AUTO:
        setting = list(camera_of(header, config["cameras"]).get("saturation") or USUAL_SATURATION)
        if all(is_lacking(cards.get(keyword), SATLEVEL) for keyword in setting):
            remarks.append(
                f"satlevel: auto finds none of {', '.join(setting) or 'its keywords'} in the header; {MOST_ADU:g} adu "
                "is taken; set cosmic_rays: satlevel"
            )
            setting, level_unit = MOST_ADU, "adu"
    level = quantities.value(setting, cards, SATLEVEL, "cosmic_rays: satlevel")
    if level_unit == "electron" or (is_number and level_unit is None):
        return Amplifier(rows, columns, gain, readnoise, level, name)
    if gain is None:
        return Amplifier(rows, columns, gain, readnoise, level, name, level)
    return Amplifier(rows, columns, gain, readnoise, level * _gain_of_levels(config, cards, unit, gain), name)


def _gain_of_levels(config: Mapping[str, Any], cards: Cards, unit: str, gain: float) -> float:
    """Return the gain of a level in adu of the raw frame: that of the frame, but where its pixels are in electrons."""
    if unit != "electron":
        return gain
    keywords = camera_of(cards, config["cameras"]).get("gain") or []
    if all(is_lacking(cards.get(keyword), GAIN) for keyword in keywords):
        raise FrameError(
            "its unit is electron, its saturation level is in adu, and no gain is known; expected electrons; "
            "set cosmic_rays: satlevel to a number, or to {value: KEYWORD, unit: electron}"
        )
    return quantities.value(keywords, cards, GAIN, "cosmic_rays: satlevel")


def _readnoise(config: Mapping[str, Any], setting: Any, cards: Cards, gain: float | None, remarks: list[str]) -> float:
    """Return a read noise in electrons."""
    setting, unit = with_unit(setting)
    if setting == AUTO:
        camera = camera_of(cards, config["cameras"])
        setting, unit = list(camera.get("readnoise") or USUAL_READNOISE), unit or camera.get("readnoise_unit")
        if all(value_of(cards, keyword) is None for keyword in setting):
            remarks.append(
                f"{NO_READNOISE} finds none of {', '.join(setting)} in the header; {USUAL:g} e- is taken; set "
                "cosmic_rays: readnoise"
            )
            setting, unit = USUAL, None
    found = quantities.value(setting, cards, READNOISE, "cosmic_rays: readnoise")
    return found * (gain or 1.0) if unit == "adu" else found


NO_READNOISE = "readnoise: auto"
"""How the remark begins that the read noise is not known."""
USUAL = 10.0
"""The read noise that is taken where none is known, in e-: the chapter's."""


class _OfAmplifier(Mapping[str, Any]):
    """The cards of one amplifier: of GAIN that of GAINA, of SATURATE that of SATURATA, where there are such."""

    def __init__(self, header: Cards, letter: str):
        self.header, self.letter = header, letter

    def _keyword(self, keyword: str) -> str:
        if self.letter:
            for candidate in (f"{keyword}{self.letter}", f"{keyword[:-1]}{self.letter}"):
                if candidate in self.header and self._is_family(keyword, candidate):
                    return candidate
        return keyword

    def _is_family(self, keyword: str, candidate: str) -> bool:
        stem = candidate[:-1]
        return keyword in (stem, candidate) or keyword[-1] in "EABCDEFGH"

    def __contains__(self, keyword: object) -> bool:
        return self._keyword(str(keyword)) in self.header

    def __getitem__(self, keyword: str) -> Any:
        return self.header[self._keyword(keyword)]

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return the value of a keyword of this amplifier."""
        return self.header.get(self._keyword(keyword), default)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
