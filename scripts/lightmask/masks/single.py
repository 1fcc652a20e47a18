"""One image of a LIGHT frame, opened to be looked at: nothing is written."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from lightmask.errors import FrameError
from lightmask.fits import Hdu, Image, Roles, opened, read_images
from lightmask.masks.frame import Search, companion_of, open_combined


@dataclass(frozen=True)
class Single:
    """One image of a LIGHT frame, and what is known of it before it is searched.

    Attributes
    ----------
    name : str
        What messages call the frame.
    image : Image
        The image.
    others : tuple of str
        Labels of the other images of the frame.
    static : Pixels or None
        Flags of the combined mask.
    companion : Hdu or None
        The mask that came with the frame in a file of its own.
    companion_name : str
        Of that file; empty for none.
    """

    name: str
    image: Image
    others: tuple[str, ...]
    static: Any
    companion: Hdu | None
    companion_name: str

    @property
    def called(self) -> str:
        """What messages call the image."""
        return f"{self.name}[{self.image.label}]" if self.image.label else self.name

    @property
    def masks(self) -> list[str]:
        """Names of the masks that came with the image."""
        own = [f"{self.name}[{hdu.name}]" for hdu in self.image.companions.get("mask", [])]
        return own + ([self.companion_name] if self.companion is not None else [])

    def search(self, config: dict[str, Any], remarks: list[str]) -> Search:
        """Return the search of the image by a configuration; what is odd is added to the remarks."""
        return Search(self.image, self.static, self.name, config, remarks, self.companion)


@contextmanager
def open_image(
    frame: str | os.PathLike,
    name: str,
    combined: str | os.PathLike | None,
    config: dict[str, Any],
    label: str,
    companion: tuple[str | os.PathLike, str] | None,
    remark: Callable[[str], None],
) -> Iterator[Single]:
    """Open one image of a LIGHT frame.

    Parameters
    ----------
    frame : path
        The LIGHT frame.
    name : str
        What messages call it.
    combined : path or None
        The combined mask that applies, if any.
    config : dict
        As `lightmask.mask_frame` takes it.
    label : str
        Of the image; the first one if it is empty.
    companion : (path, str) or None
        A file of its own with the mask that came with the frame, and its name.
    remark : callable
        Is called with each line on what is odd or guessed.

    Yields
    ------
    Single

    Raises
    ------
    FrameError
        If the frame cannot be used, or has no image of that label.
    """
    with ExitStack() as files:
        hdus, _ = files.enter_context(opened(frame, name, config["checksums"], remark))
        images = read_images(hdus, name, Roles(config["images"]), lambda line: remark(f"{name}: {line}"))
        masks, _ = files.enter_context(companion_of(companion, images, config["checksums"], remark))
        labels = [image.label for image in images]
        if label and label not in labels:
            raise FrameError(
                f"{name}: found no image {label}, expected one of {', '.join(filter(None, labels)) or name}"
            )
        place = labels.index(label) if label else 0
        static: Mapping[str, Any] = {}
        if combined is not None:
            static, _ = files.enter_context(open_combined(combined, config["checksums"]))
        image, known = images[place], static.get(labels[place])
        if combined is not None and (known is None or known.shape != image.data.shape):
            raise FrameError(f"{name}: its masks have another shape than it; mask the folder again")
        others = tuple(labels[:place] + labels[place + 1 :])
        yield Single(name, image, others, known, masks[place], companion[1] if companion else "")
