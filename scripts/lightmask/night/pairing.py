"""Which image of one file belongs to which of another: of a mask to those of a frame."""

from collections.abc import Callable

from lightmask.fits import Value
from lightmask.night.types import Frame, Part
from lightmask.night.window import Cut, cut

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


def cuts(mask: Frame, light: Frame) -> list[tuple[int, Cut]] | str:
    """Return for each image of a frame the place of its mask among those of the mask's file, and which part of it.

    Parameters
    ----------
    mask, light : Frame
        Files, of one image or of several.

    Returns
    -------
    list of (int, Cut) or str
        Or why the mask does not fit, for a message about it.
    """
    pairs = paired(mask, light)
    if isinstance(pairs, str):
        return pairs
    found: list[tuple[int, Cut]] = []
    images = light.images or (Part("", light.shape, light.cards),)
    masks = mask.images or (Part("", mask.shape, mask.cards),)
    for image, place in zip(images, pairs, strict=True):
        where = f" for {image.label}" if image.label else ""
        part = cut(masks[place].shape, masks[place].cards, image.shape, image.cards, where)
        if isinstance(part, str):
            return part
        found.append((place, part))
    return found


def _number(frame: Frame) -> str:
    return f"{len(frame.shapes)} image{'s' * (len(frame.shapes) > 1)}"
