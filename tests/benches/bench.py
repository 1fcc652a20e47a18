"""What the benchmarks share: cases by name, two implementations side by side, memory."""

import argparse
import ctypes
import multiprocessing
import os
import statistics
import time
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
DATA = Path(os.environ.get("LIGHTMASK_DATA", CHECKOUT.parent / "shared" / "data"))
ROUNDS = 3


def seconds(function, *arguments, **parameters):
    """Return how long a call took, and its result."""
    start = time.perf_counter()
    result = function(*arguments, **parameters)
    return time.perf_counter() - start, result


def side_by_side(theirs, ours, image, parameters, most, each):
    """Time two functions on an image, one call of theirs between calls of ours: both meet the same machine.

    Returns the medians of their and our seconds, and their and our last result. No further round begins
    after so many seconds of theirs; ours is called so often before each of them, and once behind.
    """
    ours(image, **parameters)  # both meet a warm cache
    their_times, our_times = [], []
    while len(their_times) < ROUNDS and sum(their_times) < most:
        our_times += [seconds(ours, image, **parameters)[0] for _ in range(each)]
        time_, expected = seconds(theirs, image, **parameters)
        their_times.append(time_)
        time_, result = seconds(ours, image, **parameters)
        our_times.append(time_)
    return statistics.median(their_times), statistics.median(our_times), expected, result


def resident(key):
    """Return a line of /proc/self/status in bytes: VmRSS, or VmHWM for its peak."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key))


def memory(function, image, parameters):
    """Return by how many images the resident set grows at most, in a process of its own."""

    def run(connection):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
        before = resident("VmRSS")
        function(image, **parameters)
        connection.send(resident("VmHWM") - before)

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=run, args=(sender,))
    process.start()
    grown = receiver.recv()
    process.join()
    return grown / image.nbytes


def options(description):
    """Read the command line of a benchmark."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="run the cases whose names contain one of these")
    parser.add_argument("--quick", action="store_true", help="leave out what takes long")
    return parser.parse_args()


def chosen(cases, wanted):
    """Yield name, image and parameters of the cases that were asked for and whose data are there."""
    for name, make, parameters, quick in cases:
        if (wanted.words and not any(word in name for word in wanted.words)) or (wanted.quick and not quick):
            continue
        try:
            yield name, make(), parameters
        except FileNotFoundError as error:
            print(f"| {name} | skipped: no {error.filename} |")
