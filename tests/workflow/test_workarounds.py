"""What Snakemake forces on this package. Of each workaround a test fails when it is not needed any more."""

import json
import subprocess
import sys
from collections import namedtuple

import pytest
from conftest import CHECKOUT, run_workflow, write_night
from hypothesis import given
from hypothesis import strategies as st

from lightmask.workflow.workarounds import (
    distinct_labels,
    interpreter_prefix,
    is_locked,
    is_runnable,
    remove_locks_of_dead_run,
    without_markup,
)

SCRIPTED = 'rule all:\n    output: "made"\n    script: "make.py"\n'


def environment(folder, name):
    """Return Python by a path with an odd name in it, in this environment."""
    (folder / name).symlink_to(sys.prefix)
    return folder / name / "bin/python"


def run_snakemake(python, work, *arguments):
    return subprocess.run(
        [python, "-m", "snakemake", "--directory", work, "--cores", "1", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["my env", "a  b", " two of them "])
def test_bash_runs_an_interpreter_whose_path_has_blanks(name, tmp_path):
    python = environment(tmp_path, name)
    line = f"set -euo pipefail; {interpreter_prefix(str(python))}{python} -c 'import sys; print(sys.argv[1:])' 'x y' z"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "['x y', 'z']\n"


def test_snakemake_does_not_quote_its_interpreter_yet(tmp_path):
    """If this fails with the newest version and the oldest one, `interpreter_prefix` can go (its issue 2645)."""
    (tmp_path / "Snakefile").write_text(SCRIPTED)
    (tmp_path / "make.py").write_text("open(snakemake.output[0], 'w').close()\n")
    done = run_snakemake(environment(tmp_path, "my env"), tmp_path, "-s", tmp_path / "Snakefile")
    assert done.returncode != 0 and not (tmp_path / "made").exists()


@pytest.mark.parametrize("imported", [False, True])
def test_a_night_is_masked_by_an_interpreter_whose_path_has_blanks(imported, tmp_path):
    write_night(tmp_path / "night")
    python = environment(tmp_path, "my env")
    if imported:
        (tmp_path / "Snakefile").write_text(
            f"""
module lightmask:
    snakefile: {str(CHECKOUT / "Snakefile")!r}
    config: {{"frames": "night", "pictures": False}}

use rule * from lightmask

rule copy:
    default_target: True
    input: "results/summary.csv"
    output: "copy {{brace}}.csv"
    shell: "cp {{input}} {{output:q}}"
"""
        )
        done = run_snakemake(python, tmp_path, "-s", tmp_path / "Snakefile", "copy x.csv")
        assert (tmp_path / "copy x.csv").exists(), done.stdout
    else:
        options = ["--config", f"frames={tmp_path / 'night'}", "pictures=False"]
        done = run_snakemake(python, tmp_path, "-s", CHECKOUT / "Snakefile", *options)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "results/masked/a.fits").exists()


def test_the_commands_of_an_importing_workflow_still_stop_at_their_first_failure(tmp_path):
    write_night(tmp_path / "night")
    (tmp_path / "Snakefile").write_text(
        f"""
module lightmask:
    snakefile: {str(CHECKOUT / "Snakefile")!r}
    config: {{"frames": "night", "pictures": False}}

use rule * from lightmask

rule fail:
    output: "made"
    shell: "false; touch {{output}}"
"""
    )
    done = run_snakemake(environment(tmp_path, "my env"), tmp_path, "-s", tmp_path / "Snakefile", "made")
    assert done.returncode != 0 and not (tmp_path / "made").exists()


def test_an_interpreter_that_no_command_can_start_is_refused(tmp_path):
    write_night(tmp_path / "night")
    python = environment(tmp_path, "it's")
    done = run_snakemake(python, tmp_path, "-s", CHECKOUT / "Snakefile", "--config", f"frames={tmp_path / 'night'}")
    assert done.returncode == 1
    assert "it's/bin/python: found a quote or the like in the path of Python, expected none" in done.stdout
    assert not (tmp_path / "results/masked").exists()


@pytest.mark.parametrize(
    ("path", "here", "elsewhere"),
    [("/opt/env/bin/python", True, True), ("/opt/my env/bin/python", True, False), ("/a'b/python", False, False)],
)
def test_blanks_are_taken_care_of_here_only(path, here, elsewhere):
    assert is_runnable(path, runs_here=True) is here
    assert is_runnable(path, runs_here=False) is elsewhere


def test_snakemake_writes_parameters_into_scripts_of_its_report_as_they_are(tmp_path):
    """If this fails with the newest version and the oldest one, `shown_in_report` can go."""
    (tmp_path / "Snakefile").write_text(
        'rule all:\n    output: report("made.txt")\n    params: odd="</script><b>"\n    shell: "echo 1 > {output}"\n'
    )
    for arguments in ([], ["--report", "report.html"]):
        done = run_snakemake(sys.executable, tmp_path, "-s", tmp_path / "Snakefile", *arguments)
        assert done.returncode == 0, done.stdout
    assert "</script><b>" in (tmp_path / "report.html").read_text()


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_report_gets_parameters_without_markup(value):
    shown = json.dumps(without_markup(value), ensure_ascii=False)
    assert "<" not in shown
    if "<" not in json.dumps(value, ensure_ascii=False):
        assert without_markup(value) == value


Wildcards = namedtuple("Wildcards", "frame filter")


@given(st.lists(st.tuples(st.text(), st.sampled_from(["r", "g", "<b>", ""])), unique_by=lambda one: one[0]))
def test_labels_of_results_differ_and_look_as_they_are(found):
    labels = distinct_labels(lambda wildcards: {"frame": wildcards.frame, "filter": wildcards.filter})
    made = [labels(Wildcards(*one)) for one in found]
    assert [label["frame"] for label in made] == [frame for frame, _ in found]
    assert len({label["filter"] for label in made}) == len(made)
    shown = [label["filter"].rstrip("\u200b\u200c") for label in made]
    assert shown == [filter_.replace("<", "‹") for _, filter_ in found]
    assert [labels(Wildcards(*one)) for one in found] == made


ENGINE = f"""
import json, sys
sys.path.insert(0, {str(CHECKOUT / "scripts")!r})
from lightmask.workflow import Engine
ENGINE = Engine(workflow, Path({str(CHECKOUT)!r}))
NAMES = ["is_main_process", "is_imported", "is_dry", "is_reporting"]
def note(name, **more):
    names = [*NAMES, *more.pop("names", [])]
    Path(name).write_text(json.dumps({{name: getattr(ENGINE, name) for name in names}} | more))
note("parsed.json")
def made(wildcards):
    ENGINE.force("second")
    note("planned.json", names=["is_whole", "forced", "sends_jobs_away", "runs_here", "most_jobs", "cores"],
        threads=ENGINE.threads_of("first", 4), makes=[ENGINE.makes(Path(name)) for name in ("folder", "other", "gone")],
        place=str(ENGINE.place("results/x")))
    return []
rule first:
    default_target: True
    input: "second", made
    output: report("first")
    shell: "echo 1 > first"
rule second:
    output: "second"
    shell: "echo 2 > second"
rule folder:
    output: directory("folder/deep")
    shell: "mkdir folder"
onstart:
    note("begun.json", names=["locks", "shows_progress", "shell_prefix"],
        jobs=sorted(job.rule.name for job in ENGINE.jobs_to_run),
        nested=ENGINE.nested_settings({{"frames": "x"}}))
"""


def test_what_is_read_of_snakemake_is_there(tmp_path):
    """The reads of `Engine` in a run: with the newest version and with the oldest one."""
    (tmp_path / "Snakefile").write_text(ENGINE)
    (tmp_path / "other").mkdir()
    snakefile = tmp_path / "Snakefile"

    def seen(name):
        return json.loads((tmp_path / f"{name}.json").read_text())

    assert run_workflow(tmp_path, "-n", snakefile=snakefile).returncode == 0
    assert seen("parsed") == {"is_main_process": True, "is_imported": True, "is_dry": True, "is_reporting": False}
    assert not (tmp_path / "begun.json").exists()

    run = run_workflow(tmp_path, "--set-threads", "first=3", "--nolock", snakefile=snakefile)
    assert run.returncode == 0, run.output
    planned = seen("planned")
    assert not planned["is_dry"] and planned["is_whole"] and planned["runs_here"] and not planned["sends_jobs_away"]
    assert planned["forced"] == {"forceall": False, "forcerun": []}
    assert (planned["most_jobs"], planned["cores"], planned["threads"]) == (1, 2, 3)
    assert planned["makes"] == [True, False, True]
    assert planned["place"] == "results/x"
    begun = seen("begun")
    assert begun["jobs"] == ["first", "second"]
    assert not begun["locks"] and begun["shows_progress"] and begun["shell_prefix"] == "set -euo pipefail; "
    nested = begun["nested"]
    assert nested["config"] == {"frames": "x", "frames_per_job": 0}
    assert nested["python"] == sys.executable and nested["snakefile"] == str(CHECKOUT / "Snakefile")
    assert {"code", "input", "mtime", "params"} <= set(nested["rerun_triggers"])
    assert nested["conda_prefix"] is None and nested["deployment"] == []

    options = ["--quiet", "progress", "--forcerun", "first", "--until", "second", "--conda-prefix", "envs"]
    run = run_workflow(tmp_path, *options, snakefile=snakefile)
    assert run.returncode == 0, run.output
    assert not seen("planned")["is_whole"] and seen("planned")["forced"]["forcerun"] == ["first"]
    begun = seen("begun")
    assert begun["jobs"] == ["second"]  # which is forced although it is there
    assert begun["locks"] and not begun["shows_progress"]
    assert begun["nested"]["conda_prefix"] == str(tmp_path / "envs")

    assert run_workflow(tmp_path, "--report", "report.html", snakefile=snakefile).returncode == 0
    assert seen("planned")["is_reporting"] and not seen("parsed")["is_reporting"]


def test_a_prefix_places_results_elsewhere(tmp_path):
    (tmp_path / "Module").write_text(ENGINE)
    (tmp_path / "Snakefile").write_text(
        'module m:\n    snakefile: "Module"\n    prefix: "in {odd}"\nuse rule * from m\n'.replace("{odd}", "a place")
    )
    run = run_workflow(tmp_path, "-n", "in a place/first", snakefile=tmp_path / "Snakefile")
    assert run.returncode == 0, run.output
    assert json.loads((tmp_path / "planned.json").read_text())["place"] == "in a place/results/x"


def test_locks_of_snakemake_are_found_and_removed(tmp_path):
    (tmp_path / "Snakefile").write_text('rule all:\n    output: "made"\n    shell: "kill -9 $PPID; sleep 1"\n')
    assert not is_locked(tmp_path)
    killed = run_workflow(tmp_path, snakefile=tmp_path / "Snakefile")
    assert killed.returncode != 0 and is_locked(tmp_path)
    again = run_workflow(tmp_path, "-n", snakefile=tmp_path / "Snakefile")
    assert "Directory cannot be locked" in run_workflow(tmp_path, snakefile=tmp_path / "Snakefile").output, again.output
    remove_locks_of_dead_run(tmp_path)
    assert not is_locked(tmp_path)
    assert "Directory cannot be locked" not in run_workflow(tmp_path, "-n", snakefile=tmp_path / "Snakefile").output
    remove_locks_of_dead_run(tmp_path / "no such folder")
