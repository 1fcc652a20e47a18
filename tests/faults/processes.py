"""Runs of the workflow that go on while a test does something to them."""

import os
import signal
import subprocess
import time

from conftest import command


def start(work, *arguments):
    """Start a run as the leader of a process group, its output in a file."""
    work.mkdir(parents=True, exist_ok=True)
    with open(work / "output", "w") as output:
        # What runs in the background ignores Ctrl-C: not so this run, even if the tests do.
        heeding = ["env", "--default-signal=INT", *command(work, *arguments)]
        return subprocess.Popen(heeding, stdout=output, stderr=output, start_new_session=True)


def kill(process):
    """Kill a process group, and wait until nothing of it runs any more."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: not running(process.pid))


def running(group):
    """List the processes of a group that are no zombies, with their commands."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,pgid=,stat=,args="], capture_output=True, text=True, check=True)
    fields = [line.split(None, 3) for line in listed.stdout.splitlines()]
    return {int(pid): args for pid, pgid, stat, args in fields if int(pgid) == group and not stat.startswith("Z")}


def until(condition, seconds=60):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found
