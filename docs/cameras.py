"""Print docs/cameras.md: which cameras are known, from what source, and what they were tested with."""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from lightmask.night.cameras import Camera, known

BEGINNING = """\
# Cameras

What `auto` (in `gain`, `readnoise` and `satlevel` of `cosmic_rays`) knows of a camera, and what its masks mean. The
first entry counts of which every pattern fits the header. Filter and binning keywords are compared between masks and
frames too, and temperatures where a dark mask is matched. Of a camera that is not here `auto` takes EGAIN; where
there is none, the gain that fits the noise of the frame, and the summary says so.

| camera | known by | gain | read noise | saturation (adu) | filter, binning, temperature |
|---|---|---|---|---|---|"""
MASKS = """
Masks that come with a frame (extensions MASK, DQ, BPM, or files of their own), by camera; `inherit` chooses
otherwise. What does not count as bad stays where it is. A mask whose bits are named in `MP_` cards is read by them,
whatever the camera.

| camera | values | that count as bad | files of their own |
|---|---|---|---|"""
SOURCES = """
| camera | from | tested with |
|---|---|---|"""
END = """
## Add yours

`cameras: my_cameras.yaml` in the configuration names a file of such entries; they are tried first. `name` and
`header` are needed, the rest as far as it is known:

```yaml
- name: my camera
  header: {INSTRUME: 'My Camera*'} # patterns of keywords, all of which must fit
  gain: [EGAIN] # the first that is there and not zero
  gain_unit: e-/adu # or adu/e-
  readnoise: [RDNOISE]
  readnoise_unit: electron # or adu
  saturation: [SATURATE] # in adu of the raw frame
  filter: [FILTER]
  binning: [XBINNING, YBINNING]
  temperature: [SET-TEMP]
  mask: {names: {1: bad, 2: hot}, bad: [bad, hot]} # with `codes: true` the values are no bits
```

This page is made from `scripts/lightmask/night/cameras.yaml`: `make pages`."""


def listed(camera: Camera, *keys: str) -> str:
    """Return keywords for a cell of a table."""
    return ", ".join(f"`{keyword}`" for key in keys for keyword in camera.get(key, ()))


def rows() -> Iterator[str]:
    """Return the tables, line by line."""
    yield BEGINNING
    for camera in known():
        header = ", ".join(f"`{keyword}` {pattern}" for keyword, pattern in camera["header"].items())
        unit = f" ({camera['gain_unit']})" if "gain_unit" in camera else ""
        cells = [listed(camera, "gain") + unit, listed(camera, "readnoise"), listed(camera, "saturation")]
        cells.append(listed(camera, "filter", "binning", "temperature"))
        yield f"| {camera['name']} | {header} | {' | '.join(cells)} |"
    yield MASKS
    for camera in known():
        if mask := camera.get("mask"):
            names = ", ".join(f"{value} {name}" for value, name in mask["names"].items())
            pairs = camera.get("companions", {}).items()
            files = ", ".join(f"{role}: `{wanted}` for `{found}`" for role, (found, wanted) in pairs)
            kind = "codes: " if mask.get("codes") else ""
            yield f"| {camera['name']} | {kind}{names or 'by `MP_` cards'} | {', '.join(mask['bad'])} | {files} |"
    yield SOURCES
    for camera in known():
        yield f"| {camera['name']} | {camera['source']} | {camera['tested']} |"
    yield END


if __name__ == "__main__":
    print(*rows(), sep="\n")
