"""Locks that end with their holder."""

import ast
import json
import os
import subprocess
import sys

import pytest
from conftest import CHECKOUT

from lightmask.workflow import locks

HOLD = """
import sys; from pathlib import Path; from lightmask.workflow import locks
print(getattr(locks, sys.argv[2])(Path(sys.argv[1])) or "nobody", flush=True)
sys.stdin.read()
"""


def hold(path, how="hold"):
    """Hold, or join, a lock in a process that ends in order when its input does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "scripts")},
    )
    return process, process.stdout.readline().strip()


def end(process, how="in order"):
    if how == "killed":
        process.kill()
    process.communicate()


def test_one_holder_at_a_time_who_is_named(tmp_path):
    first, said = hold(tmp_path / "lock")
    assert said == "nobody"
    name = rf"process {first.pid} on {os.uname().nodename} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{{4}}"
    with pytest.raises(locks.BusyError, match=f"^{name}$"):
        locks.hold(tmp_path / "lock")
    end(first)
    assert (tmp_path / "lock").read_text() == ""
    second, said = hold(tmp_path / "lock")
    assert said == "nobody"
    end(second)


def test_a_killed_holder_leaves_the_lock_free_and_its_name(tmp_path):
    killed, _ = hold(tmp_path / "lock")
    end(killed, "killed")
    left = json.loads((tmp_path / "lock").read_text())
    assert left["process"] == killed.pid and locks.is_here(left)
    after, said = hold(tmp_path / "lock")
    assert said == str(left)
    end(after)


@pytest.mark.parametrize("text", ['{"process": 1', "\x00\x00", "[]", "1"])
def test_a_broken_record_is_of_a_holder_nobody_knows(text, tmp_path):
    (tmp_path / "lock").write_text(text)
    holder, said = hold(tmp_path / "lock")
    assert said == str(locks.UNKNOWN)
    assert not locks.is_here(locks.UNKNOWN)
    end(holder)


def test_the_machine_is_known_by_its_name_or_by_its_boot():
    here = {"host": os.uname().nodename, "boot": "another"}
    assert locks.is_here(here)
    for other in ("elsewhere", "", "\uffff"):
        assert not locks.is_here(here | {"host": other})
        assert not locks.is_here({"host": "elsewhere", "boot": other})
    with open("/proc/sys/kernel/random/boot_id") as boot:
        assert locks.is_here({"host": "a container", "boot": boot.read().strip()})


def test_the_last_holder_is_known_without_a_trace(tmp_path):
    path = tmp_path / "lock"
    assert locks.last_holder(path) is None and not path.exists()
    process, _ = hold(path)
    assert locks.last_holder(path) is None
    assert locks.holder(path)["process"] == process.pid
    end(process, "killed")
    left = path.read_text()
    assert locks.holder(path) is None
    assert locks.last_holder(path)["process"] == process.pid
    assert path.read_text() == left
    end(hold(path)[0])
    assert locks.last_holder(path) is None


def test_shared_locks_keep_out_only_who_wants_to_be_alone(tmp_path):
    with (
        open(tmp_path / "lock", "a") as first,
        open(tmp_path / "lock", "a") as second,
        open(tmp_path / "lock") as alone,
    ):
        assert locks.lock(first, shared=True) and locks.lock(second, shared=True)
        assert not locks.lock(alone)
    with open(tmp_path / "lock") as alone:
        assert locks.lock(alone)


def test_who_shared_a_lock_and_was_killed_is_known_when_nobody_shares_it(tmp_path):
    path = tmp_path / "lock"
    first, said = hold(path, "join")
    assert said == "nobody"
    second, said = hold(path, "join")
    assert said == "nobody"
    end(first, "killed")
    third, said = hold(path, "join")
    assert said == "nobody"  # the second one is there, too
    end(second)
    end(third)
    fourth, said = hold(path, "join")
    found = ast.literal_eval(said)
    assert {first.pid} <= {one["process"] for one in found} <= {first.pid, second.pid}
    assert all(map(locks.is_here, found))
    end(fourth)
    assert path.read_text() == ""
    fifth, said = hold(path, "join")
    assert said == "nobody"
    end(fifth, "killed")
    path.write_text(path.read_text()[:20])
    sixth, said = hold(path, "join")
    assert ast.literal_eval(said) == [locks.UNKNOWN]
    end(sixth)
