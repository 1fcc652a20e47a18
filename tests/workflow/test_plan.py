"""Which frames travel together, and when."""

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from conftest import CHECKOUT, run_workflow, write_light, write_night

from lightmask.errors import FrameError
from lightmask.workflow.night import Night
from lightmask.workflow.plan import FINISHED, Plan


@dataclass
class Asked:
    """What a user asked for, where Snakemake does not run."""

    is_main_process: bool = True
    is_imported: bool = False
    is_whole: bool = True
    sends_jobs_away: bool = True
    most_jobs: int = 2
    forced: dict = field(default_factory=lambda: {"forceall": False, "forcerun": []})

    def threads_of(self, rule, default):
        return default

    def nested_settings(self, config):
        triggers = ["code", "input", "mtime", "params", "software-env"]
        shipped = {"python": sys.executable, "snakefile": str(CHECKOUT / "Snakefile"), "rerun_triggers": triggers}
        return shipped | {"config": {**config, "frames_per_job": 0}, "deployment": [], "conda_prefix": None}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Return a function that plans a night of five frames, two of them larger, in a working directory of its own."""
    write_night(tmp_path / "night", ["a.fits", "b.fits", "c.fits"])
    for name in ("large1.fits", "large2.fits"):
        write_light(tmp_path / "night" / name, shape=(200, 300))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def make(asked=None, **config):
        given = {"frames": str(tmp_path / "night"), "pictures": False, "required_masks": []} | config
        return Plan(Night(given, CHECKOUT), asked or Asked())

    return make


@pytest.mark.parametrize(
    ("size", "asked", "expected"),
    [
        (None, {}, True),
        (None, {"sends_jobs_away": False}, False),
        (2, {"sends_jobs_away": False}, True),
        (0, {}, False),
        (2, {"is_imported": True}, False),
        (2, {"is_whole": False}, False),
    ],
)
def test_frames_travel_in_batches_where_it_pays_or_where_a_size_is_set(size, asked, expected, plan):
    found = plan(Asked(**asked), frames_per_job=size)
    assert found.in_batches is expected
    if not expected:
        assert found.all_inputs(None) == found.night.all_results()


def test_frames_of_one_size_stay_together_and_each_is_in_one_batch(plan):
    found = plan(frames_per_job=2)
    assert found.batches["batches"] == {"1": ["a.fits", "b.fits"], "2": ["c.fits", "large1.fits"], "3": ["large2.fits"]}
    assert found.batches["force"] is False
    assert found.batches["settings"]["planned"] and found.batches["settings"]["config"]["frames_per_job"] == 0
    assert found.all_inputs(None) == ["results/frames.csv", FINISHED]
    folder = f"results/batches/{found.batches['name']}"
    expected = [f"{folder}/{number}.json" for number in (1, 2, 3)]
    assert found.plan_inputs(None) == {"plan": f"{folder}/plan.json", "batches": expected}


def test_a_batch_gets_its_frames_and_its_share_of_memory_and_time(plan):
    found = plan(frames_per_job=2)
    first, second = (SimpleNamespace(plan=found.batches["name"], number=number) for number in ("1", "2"))
    assert found.batch_task(first) == {"a.fits": ["results/masked/a.fits"], "b.fits": ["results/masked/b.fits"]}
    assert [path.rpartition("/")[2] for path in found.batch_inputs(first)][:2] == ["a.fits", "b.fits"]
    small, large = (found.batch_memory(batch, 4, 1) for batch in (first, second))
    assert large - small == 4 * (found.night.memory_of("large1.fits") - found.night.memory_of("a.fits")) > 0
    assert found.batch_memory(first, 4, 2) - small == 4 * found.night.memory_of("a.fits")
    assert found.batch_minutes(first, 4, 2) == 2 * found.batch_minutes(first, 4, 1) > 0


def test_what_is_done_needs_no_batch_and_what_is_forced_is_made_again(plan, tmp_path):
    options = [f"frames={tmp_path / 'night'}", "pictures=False", "required_masks=[]"]
    assert run_workflow(tmp_path / "work", "--config", *options).returncode == 0
    assert plan().batches == {}
    assert plan().all_inputs(None) == ["results/frames.csv"]
    forced = plan(Asked(forced={"forceall": True, "forcerun": []}), frames_per_job=9).batches
    assert len(forced["batches"]["1"]) == 5 and forced["force"]
    write_light(tmp_path / "night/new.fits", seed=9)
    assert plan().batches["batches"] == {"1": ["new.fits"]}


def test_jobs_take_the_plan_of_their_run_from_the_disk(plan, tmp_path):
    written = tmp_path / "work/results/batches/p/plan.json"
    written.parent.mkdir(parents=True)
    written.write_text('{"batches": {"7": ["a.fits", "gone.fits"]}}')
    job = plan(Asked(is_main_process=False))
    assert job.batch_task(SimpleNamespace(plan="p", number="7")) == {"a.fits": ["results/masked/a.fits"]}
    assert job.batch_task(SimpleNamespace(plan="other", number="7")) == {}


def test_a_plan_that_snakemake_cannot_make_is_an_error(plan, tmp_path):
    found = plan()
    found.engine.nested_settings = lambda config: Asked().nested_settings(config) | {"snakefile": "nowhere"}
    with pytest.raises(FrameError, match="what needs to be made cannot be found out"):
        found.batches  # noqa: B018
