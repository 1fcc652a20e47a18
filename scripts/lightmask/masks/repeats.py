"""Compare a frame with others of its field: read their images, and change the flags as the comparison says."""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightmask.bits import Flag
from lightmask.errors import FrameError, MachineError
from lightmask.fits import Header, Image, Pixels, Roles, bands, opened, read_images, records
from lightmask.masks.nodata import WithoutData, without_data
from lightmask.masks.planes import Plane, planes
from lightmask.night import Readout
from lightmask.repeats import FEWEST, Exposure, Matrix, compare_exposures

LINEAR_WCS = re.compile(r"(CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA)[12]|(CD|PC)[12]_[12]|RADESYS|EQUINOX|(LON|LAT)POLE")
KEPT = 2**21
"""Pixels up to which a plane of another frame is kept; of larger ones rows are read whenever they are wanted."""
FAR = 100.0
"""Pixels over which turn and scale between two images are taken from their world coordinates."""
LEAST_SCALE = 0.01
"""Of an area in one image, seen in the other one; other world coordinates are wrong."""
MANY_SUSPECT = 10
"""Pixels that stand out at one place of the detector, from which on they are remarked."""
MOST_LISTED = 5
CHANGES = ("added", "removed", "suspect")


@dataclass
class Other:
    """Another frame of the field.

    Attributes
    ----------
    name : str
        Its path in the frames folder.
    digest : str
        SHA-256 of its file.
    images : dict of Image
        By label; empty if it cannot be read.
    """

    name: str
    digest: str
    images: dict[str, Image]


@contextmanager
def open_others(
    files: Sequence[tuple[Any, str]], checksums: str, roles: Roles, remark: Callable[[str], None]
) -> Iterator[list[Other]]:
    """Open other frames of the field; one that cannot be read is left out, which is remarked.

    Parameters
    ----------
    files : sequence of (path, str)
        Path and name of each.
    checksums : str
        As `lightmask.fits.opened` takes it.
    roles : Roles
        Of the images of a file.
    remark : callable
        Gets the line that says what is left out.

    Yields
    ------
    list of Other
    """
    found = []
    with ExitStack() as stack:
        for path, name in files:
            try:
                hdus, digest = stack.enter_context(opened(path, name, checksums, lambda line: None))
                images = read_images(hdus, name, roles, lambda line: None)  # its own job remarks what is odd
            except MachineError:
                raise
            except FrameError as error:
                remark(f"repeats: compared without one other frame of its field: {error}")
                found.append(Other(name, records.digest_of_file(Path(path)), {}))
            else:
                found.append(Other(name, digest, {image.label: image for image in images}))
        yield found


@dataclass
class Repeats:
    """Other images of the field of one image, and what the comparison with them has changed.

    Attributes
    ----------
    image : Image
        The image.
    others : list of Image
        Of the same detector.
    how : Readout
        Of the image, and so of the others.
    no_data : list of float
        Values that mean no data.
    aligned : int or None
        Others whose stars agree; of several planes the fewest.
    counted : Counter
        Pixels that are added, removed, and suspect.
    sources : list of (int, int)
        Row and column of what no other image shows and looks like a star.
    """

    image: Image
    others: list[Image]
    how: Readout
    no_data: list[float]
    aligned: int | None = None
    counted: Counter[str] = field(default_factory=Counter)
    sources: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        others = [other for other in self.others if other.data.shape == self.image.data.shape]
        self._guesses = [_turn(self.image.header, other.header) for other in others]
        self._planes = [list(planes(_readable(other, self.no_data), self.how)) for other in others]
        self._number = 0

    def change(self, plane: Plane, bad: Any, parameters: Mapping[str, Any], flags: NDArray[np.int16]) -> None:
        """Change what is COSMIC in the next plane as the comparison says.

        Parameters
        ----------
        plane : Plane
            Of the image; they come in their order.
        bad : ndarray of bool or alike or None
            Its known bad pixels.
        parameters : dict
            With gain, read noise and saturation level of its pixels.
        flags : ndarray of int16
            Of the plane; they are changed.
        """
        others = [each[self._number] for each in self._planes]
        self._number += 1
        level = parameters["satlevel"] / parameters["gain"]
        exposures = [
            Exposure(_reader(each, bad, level), each.shape, () if guess is None else (guess,))
            for each, guess in zip(others, self._guesses, strict=True)
        ]
        compared = compare_exposures(
            Exposure(_reader(plane, bad, level), plane.shape),
            exposures,
            flags == Flag.COSMIC,
            _variance(plane, parameters),
        )
        aligned = sum(alignment is not None for alignment in compared.alignments)
        if aligned < len(others):
            print(f"repeats: the stars of {len(others) - aligned} of {len(others)} other frames do not agree; left out")
        self.aligned = aligned if self.aligned is None else min(self.aligned, aligned)
        for pixels, flag in ((compared.added, Flag.COSMIC), (compared.removed, 0), (compared.suspect, Flag.SUSPECT)):
            flags[np.divmod(pixels, plane.shape[1])] = flag
        self.counted.update(added=compared.added.size, removed=compared.removed.size, suspect=compared.suspect.size)
        for y, x in zip(*np.divmod(compared.sources, plane.shape[1]), strict=True):
            rows, columns = plane.place
            self.sources.append((rows.start + int(y) * (rows.step or 1), columns.start + int(x) * (columns.step or 1)))

    def statistics(self) -> dict[str, int]:
        """Return with how many others the image was compared, and the pixels that this changed."""
        aligned = self.aligned or 0
        return {"repeats": aligned if aligned >= FEWEST else 0} | {
            f"repeats_{key}": self.counted[key] for key in CHANGES
        }

    def remarks(self) -> Iterator[str]:
        """List what is odd."""
        if self.others and (self.aligned or 0) < FEWEST:
            yield (
                f"repeats: found {self.aligned or 0} of {len(self.others)} other frames of its field with the same "
                f"stars, expected {FEWEST}; it is masked by itself; correct OBJECT or the pointing in the headers, or "
                "set repeats: off"
            )
        if self.counted["suspect"] >= MANY_SUSPECT:
            yield (
                f"repeats: {self.counted['suspect']} pixels stand out at one place of the detector in other frames of "
                "the field too, expected rays; they are SUSPECT, not COSMIC; make or renew the dark mask"
            )
        if self.sources:
            listed = ", ".join(f"({x}, {y})" for y, x in self.sources[:MOST_LISTED])
            number = f"{len(self.sources)} sources" if len(self.sources) > 1 else "1 source"
            more = ", ..." * (len(self.sources) > MOST_LISTED)
            yield (
                f"repeats: found {number} in no other frame of the field, at x, y {listed}{more}; "
                "they look like stars, or are large: they move or vary, and are not masked; look at them"
            )


def _readable(image: Image, no_data: list[float]) -> Any:
    """Return the pixels of another image, of which rows can be taken, with NaN where there are no data."""
    data = image.data
    if isinstance(data, Pixels):
        data = _Unkept(data)
    lacking = without_data(data, image.header, no_data)
    return data if lacking is None else WithoutData(data, lacking)


class _Unkept:
    """An image of which rows are read whenever they are wanted."""

    def __init__(self, pixels: Pixels):
        self.hdu, self.shape, self.dtype = pixels.hdu, pixels.shape, pixels.dtype

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return self.hdu.pixels(rows)


def _reader(plane: Plane, bad: Any, level: float) -> Callable[[slice], NDArray[np.float32]]:
    """Return what reads rows of a plane, with NaN where a pixel is bad or saturated."""

    def read(rows: slice) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):  # what is beyond float32 is saturated
            data = np.array(plane.data[rows], np.float32)
        if plane.background is not None:
            data -= plane.background[rows]
        with np.errstate(invalid="ignore"):
            data[data >= np.float32(level)] = np.nan
        if bad is not None:
            data[bad[rows] != 0] = np.nan
        return data

    return read if prod(plane.shape) > KEPT else read(slice(0, plane.shape[0])).__getitem__


def _variance(
    plane: Plane, parameters: Mapping[str, Any]
) -> Callable[[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]], NDArray[np.float32]]:
    """Return what gives the variance of pixels of a plane, of their rows, columns and light."""
    gain, readnoise = parameters["gain"], parameters["readnoise"]

    def at(image: Any, y: NDArray[np.intp], x: NDArray[np.intp]) -> NDArray[np.float32]:
        values = np.zeros(y.shape, np.float32)
        for rows in bands(plane.shape):
            part = (y >= rows.start) & (y < rows.stop)
            if part.any():
                values[part] = image[rows][y[part] - rows.start, x[part]]
        return values

    def variance(y: NDArray[np.intp], x: NDArray[np.intp], light: NDArray[np.float32]) -> NDArray[np.float32]:
        if plane.variance is not None:
            return at(plane.variance, y, x)
        found = (np.maximum(light, 0) * gain + np.float32(readnoise) ** 2) / gain**2
        return found if plane.background is None else found + at(plane.background, y, x)

    return variance


def _turn(header: Header, other: Header) -> Matrix | None:
    """Return turn and scale from an image to another one, by their world coordinates; None without these."""
    found = [{key: each[key] for key in each.keywords() if LINEAR_WCS.fullmatch(key)} for each in (header, other)]
    if not all({"CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2"} <= {*cards} for cards in found):
        return None
    from astropy.io import fits  # both take long to import
    from astropy.wcs import WCS, FITSFixedWarning

    places = np.array([[0.0, 0.0], [0.0, FAR], [FAR, 0.0]])  # x, y: one place, one above it, one beside it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            one, another = (WCS(fits.Header(cards)) for cards in found)
            x, y = another.wcs_world2pix(one.wcs_pix2world(places, 1), 1).T
    except ValueError as error:  # cards that make no sense; stars decide anyway
        print(f"repeats: world coordinates cannot be used ({str(error).splitlines()[0]})")
        return None
    turn = np.array([[y[1] - y[0], y[2] - y[0], 0.0], [x[1] - x[0], x[2] - x[0], 0.0]]) / FAR
    return turn if np.isfinite(turn).all() and abs(np.linalg.det(turn[:, :2])) > LEAST_SCALE else None
