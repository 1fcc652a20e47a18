"""How frames are split into batches. That batches are as good as other runs is tested in cluster."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightmask.workflow import batches


def test_seconds_grow_with_the_frame():
    assert batches.seconds([None], "lightmask") < 1
    assert batches.seconds([(4096, 4096)], "lightmask") == pytest.approx(3, abs=0.3)
    assert batches.seconds([(4096, 4096)], "ccdproc") > 50


@pytest.mark.parametrize(
    ("shape", "detector", "expected"),
    [
        (None, "lightmask", 0.5),
        ((), "lightmask", 0.5),
        ((1000, 2000), "lightmask", 0.8),
        ((2000, 1000), "ccdproc", 8.5),
        ((1, 1000), "ccdproc", 1.5035),
    ],
)
def test_a_frame_takes_seconds_and_more_for_each_megapixel(shape, detector, expected):
    """As the table in the module says."""
    assert batches.seconds([shape], detector) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "sources", "expected"),
    [(None, 7, 1.5), ((1000, 2000), 1, 3.5), ((2000, 1000), 3, 7.5), ((1, 1000), 2, 1.502)],
)
def test_a_mask_that_is_made_takes_seconds_for_each_megapixel_of_each_source(shape, sources, expected):
    assert batches.static_mask_seconds([shape], sources) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("work", "cores", "attempt", "expected"),
    [(0, 1, 2, 10), (1, 1, 1, 6), (15, 1, 1, 6), (15.1, 1, 1, 7), (30, 2, 1, 6), (600, 1, 1, 45), (600, 8, 2, 20)],
)
def test_minutes_are_four_times_the_work_and_five_more(work, cores, attempt, expected):
    assert batches.minutes(work, cores, attempt) == expected


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
        (1200, 1, 1, [1200]),  # five minutes just so
        (1204, 1, 1, [602, 602]),
        (119, 1, 2, [119]),  # not two of 15 s
        (120, 1, 2, [60, 60]),
        (7, 400, 3, [2, 3, 2]),  # each frame where its middle is
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


@given(
    st.lists(st.floats(0, 2000), min_size=1, max_size=60).filter(any),
    st.integers(1, 16),
    st.integers(1, 50),
    st.none() | st.integers(1, 9),
)
def test_every_frame_is_in_one_batch_in_its_order_and_no_batch_is_empty(seconds, cores, jobs, size):
    work = {f"{number}.fits": one for number, one in enumerate(seconds)}
    found = batches.split(work, cores, jobs, size)
    assert [name for batch in found for name in batch] == list(work)
    assert all(found)
    if size:
        assert [len(batch) for batch in found[:-1]] == [size] * (len(found) - 1)
    else:
        longest = batches.BATCH + max(seconds) / cores
        assert max(sum(work[name] for name in batch) / cores for batch in found) <= longest * (1 + 1e-9)


def test_no_frame_is_no_batch():
    assert batches.split({}, cores=1, jobs=4, size=None) == batches.split({}, cores=1, jobs=4, size=3) == []


def test_a_size_is_obeyed():
    assert batches.split({"a": 1, "b": 900, "c": 1}, cores=1, jobs=9, size=2) == [["a", "b"], ["c"]]
