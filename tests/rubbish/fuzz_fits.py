"""Feed the code that reads FITS files with bytes that atheris makes, led by what they reach.

    python tests/rubbish/fuzz_fits.py SECONDS

Begins with the files of corpus.py. Ends with status other than 0 at the first exception but `FrameError`, at
an input that takes longer than `PATIENCE` or more memory than `MEMORY`, and leaves the input in a file.
"""

import os
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from random import Random

import atheris
from corpus import CORPUS

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "scripts"))
with atheris.instrument_imports(include=["lightmask"]):
    from lightmask.errors import FrameError
    from lightmask.fits import images, tiles
    from lightmask.fits.headers import FitsError
    from lightmask.night import inventory, types
    from lightmask.night.configuration import validated

LONGEST = 16_000
"""Bytes of an input."""
MEMORY = 2000
"""MB of the process. The largest image that so many bytes may promise has 40 million pixels."""
PATIENCE = 20
"""Seconds."""
CONFIG = validated({"required_masks": [], "noise_check": "off", "most_masked": 1})
KEYWORDS = types.keywords_needed(CONFIG)
VALUES = [*(b"%d" % number for number in (0, 1, -1, 2, 8, 16, 32, 64, -32, -64, 40, 48, 1000, 2**31, 2**63, 10**18))]
VALUES += [
    b"T",
    b"F",
    b"'IMAGE   '",
    b"'BINTABLE'",
    b"'LIGHT   '",
    b"'MASK    '",
    b"'RICE_1  '",
    b"'1PB(9)  '",
    b"",
    b"'",
]
VALUES += [b"1.5", b"NaN", b"1E400"]


class Target:
    """A folder of one file, which holds one input after the other."""

    def __init__(self, folder):
        self.path, self.cache = folder / "night/a.fits", folder / "headers.json"
        self.path.parent.mkdir()

    def read(self, content):
        """Do what the search of a folder does with a file, then what its job does to read it."""
        self.path.write_bytes(content)
        self.cache.unlink(missing_ok=True)  # times of change are not fine enough to tell inputs apart
        (frame,) = types.frames(inventory.Inventory(self.path.parent, self.cache, KEYWORDS).scan(), CONFIG)
        try:
            image, _ = images.read(self.path, frame.path)
            mask, _ = images.read_mask(self.path, frame.path)
        except FrameError as error:
            if not (str(error).startswith("a.fits: ") and str(error).isprintable()):
                raise AssertionError(str(error)) from error
            return
        assert not frame.problem or frame.type == types.DARK
        assert image.data.shape == frame.shape == mask.shape


def undo_in_fork(file, plain, _):
    """Do what `fits.tiles.undo` does, but for a new interpreter, which takes half a second to load astropy."""
    child = os.fork()
    if not child:
        for status in tiles.CRASHES:
            signal.signal(-status, signal.SIG_DFL)  # libFuzzer would tell of a finding
        try:
            with open(f"/proc/self/fd/{file.fileno()}", "rb") as packed:
                tiles.decode(packed, plain)
            os._exit(0)
        finally:
            os._exit(1)
    _, status, used = os.wait4(child, 0)
    assert used.ru_maxrss < MEMORY * 1000
    if status:
        raise FitsError("broken tile compression")


def mutate(content, longest, seed):
    """Change bytes anywhere, or a card as a whole, which atheris would not hit upon."""
    random = Random(seed)
    cards = [n for n in range(0, len(content) - 79, 80) if content[n + 8 : n + 10] == b"= "]
    if not cards or random.random() < 0.5:
        return atheris.Mutate(content, longest)
    place = random.choice(cards)
    card = content[random.choice(cards) :][:80]
    if random.random() < 0.8:
        card = content[place : place + 10] + random.choice(VALUES).rjust(20).ljust(70)
    behind = place + 80 * random.choice((0, 1, 1, 1, 1, 1, 1, 2))
    return (content[:place] + card + content[behind:])[:longest]


def fuzz(seconds, folder):
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, (content, _) in enumerate(CORPUS.values()):
        if isinstance(content, bytes) and len(content) <= LONGEST:
            (seeds / str(number)).write_bytes(content)
    options = {
        **{"max_total_time": seconds, "timeout": PATIENCE, "rss_limit_mb": MEMORY, "max_len": LONGEST},
        **{"artifact_prefix": f"{tempfile.gettempdir()}/lightmask-", "print_final_stats": 1},
    }
    options = [f"-{key}={value}" for key, value in options.items()]
    tiles.undo = undo_in_fork
    atheris.Setup([__file__, *options, str(seeds)], Target(folder).read, custom_mutator=mutate)
    warnings.simplefilter("ignore")
    atheris.Fuzz()


def main(seconds):
    """Fuzz in a process of its own, which ends as it likes, and clear up behind it."""
    in_memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=in_memory if Path(in_memory).is_dir() else None) as folder:
        return subprocess.run([sys.executable, __file__, seconds, folder], check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(main(sys.argv[1]))
    fuzz(int(sys.argv[1]), Path(sys.argv[2]))
