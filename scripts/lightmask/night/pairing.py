"""Which image of one file belongs to which of another: of a mask to those of a frame."""

from collections.abc import Callable, Sequence

from lightmask.fits import Value, shape_text
from lightmask.night.types import Frame, Part

Key = tuple[Value, ...]


def _all_of(*keywords: str) -> Callable[[Part], Key]:
    """Return what gives the values of keywords; nothing where one is missing or blank."""

    def key(part: Part) -> Key:
        values = [part.cards.get(keyword, "") for keyword in keywords]
        texts = [value.replace(" ", "").upper() if isinstance(value, str) else value for value in values]
        return () if "" in texts else tuple(texts)

    return key


WAYS = (
    _all_of("EXTNAME", "EXTVER"),
    _all_of("EXTVER"),
    _all_of("EXTNAME"),
    *map(_all_of, ("DETSEC", "CCDSEC", "AMPNAME")),
)
"""What images are paired by, in this order: the first that tells the images of each file apart, and pairs all."""


def paired(mask: Frame, light: Frame) -> list[int] | str:
    """Pair each image of a frame with an image of a mask.

    Parameters
    ----------
    mask, light : Frame
        Files, of one image or of several.

    Returns
    -------
    list of int or str
        For each image of the frame the place of its mask among those of the mask's file; or why they cannot be
        paired.
    """
    if not mask.images and not light.images:
        return [0]
    if mask.images and light.images:
        for way in WAYS:
            theirs, ours = list(map(way, mask.images)), list(map(way, light.images))
            apart = all(len(set(keys)) == len(keys) and () not in keys for keys in (theirs, ours))
            if apart and set(ours) <= set(theirs):
                return [theirs.index(key) for key in ours]
    shapes = mask.shapes
    if len(set(shapes)) == len(shapes) and len(set(light.shapes)) == len(light.shapes) and {*light.shapes} <= {*shapes}:
        return [shapes.index(shape) for shape in light.shapes]
    return (
        f"has {_number(mask)}, the frame {_number(light)}, and neither EXTNAME and EXTVER, DETSEC, CCDSEC, AMPNAME nor "
        "shapes say which belongs to which"
    )


def shape_mismatch(mask: Frame, light: Frame) -> str:
    """Say in which image a mask has another shape than a frame; empty where all agree.

    Parameters
    ----------
    mask, light : Frame
        Files, of one image or of several.

    Returns
    -------
    str
        For a message about the mask.
    """
    pairs = paired(mask, light)
    if isinstance(pairs, str):
        return pairs
    labels = [image.label for image in light.images] or [""]
    for label, place, shape in zip(labels, pairs, light.shapes, strict=True):
        if mask.shapes[place] != shape:
            where = f" for {label}" if label else ""
            return f"has shape {_xy(mask.shapes[place])}{where}, the frame {_xy(shape)}"
    return ""


def _number(frame: Frame) -> str:
    return f"{len(frame.shapes)} image{'s' * (len(frame.shapes) > 1)}"


def _xy(shape: Sequence[int]) -> str:
    return shape_text(tuple(shape)) or "unknown"
