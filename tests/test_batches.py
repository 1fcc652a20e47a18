"""How frames are split into batches. That batches are as good as other runs is tested in cluster."""

import pytest

from lightmask import batches


def test_seconds_grow_with_the_frame():
    assert batches.seconds(None, "lightmask") < 1
    assert batches.seconds((4096, 4096), "lightmask") == pytest.approx(3, abs=0.3)
    assert batches.seconds((4096, 4096), "ccdproc") > 50


def test_minutes_are_generous_and_grow_with_each_attempt():
    assert batches.minutes(0, 1, 1) == 5
    assert batches.minutes(1200, 4, 1) == 25
    assert batches.minutes(1200, 4, 3) == 75


@pytest.mark.parametrize(
    ("frames", "seconds", "jobs", "expected"),
    [
        (1, 1, 100, [1]),
        (200, 1, 1, [200]),  # 50 s on four cores
        (200, 1, 2, [100, 100]),
        (240, 1, 100, [60] * 4),  # more are not worth it
        (2400, 1, 1, [1200, 1200]),  # five minutes each
        (2400, 1, 100, [60] * 40),
        (6, 400, 1, [3, 3]),
        (6, 400, 100, [1] * 6),
        (3, 5000, 1, [1, 1, 1]),
    ],
)
def test_batches_take_minutes_and_give_every_job_something_to_do(frames, seconds, jobs, expected):
    work = {str(number): seconds for number in range(frames)}
    found = batches.split(work, cores=4, jobs=jobs, size=None)
    assert [len(batch) for batch in found] == expected
    assert [name for batch in found for name in batch] == list(work)


def test_batches_of_frames_of_many_sizes_take_equally_long():
    work = {str(number): float(number % 50) for number in range(1000)}
    found = batches.split(work, cores=1, jobs=10, size=None)
    assert len(found) == 82
    times = [sum(work[name] for name in batch) for batch in found]
    assert max(times) <= 300 + 50
    assert sorted(name for batch in found for name in batch) == sorted(work)


def test_a_size_is_obeyed():
    assert batches.split({"a": 1, "b": 900, "c": 1}, cores=1, jobs=9, size=2) == [["a", "b"], ["c"]]
