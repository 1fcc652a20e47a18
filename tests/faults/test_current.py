"""No result that is out of date passes for a current one: what was seen of every input decides."""

import contextlib
import json
import os
import shutil
import signal

import pytest
from astropy.io import fits
from conftest import CHECKOUT, give_up_rights, run_workflow, write_calibrations, write_light, write_mask, write_night
from processes import start as begin
from processes import until
from test_workflow import MASKED, TABLES, digests, of_kinds, rows

OLD = 1_000_000_000
"""A time of change, in s, before that of any result."""


@pytest.fixture
def night(tmp_path):
    write_night(tmp_path / "night")
    return tmp_path / "night"


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


@pytest.fixture
def start(night, work):
    def run(*arguments, pictures=False, **config):
        pairs = [f"frames={night}", f"pictures={pictures}", *(f"{key}={value}" for key, value in config.items())]
        return run_workflow(work, *arguments, "--config", *pairs)

    return run


def replaced(path, write, how, tmp_path):
    """Put another file in the place of one, with a time of change that tells nothing."""
    before = path.stat()
    if how == "written in place":
        write(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return
    new = tmp_path / "new" / path.name
    write(new)
    os.utime(new, (OLD, OLD))
    if how == "moved there":
        new.replace(path)
    else:
        shutil.copy2(new, path)


@pytest.mark.parametrize("how", ["moved there", "copied with its time", "written in place"])
def test_a_frame_or_a_mask_that_was_replaced_by_an_older_one_counts(how, start, night, work, tmp_path):
    assert start().returncode == 0
    replaced(night / "a.fits", lambda path: write_light(path, seed=77), how, tmp_path)
    assert start("-n").jobs == sorted(["Masking a.fits", "Summarising the night"])
    assert start().jobs == sorted(["Masking a.fits", "Summarising the night"])
    assert (fits.getdata(work / "results/masked/a.fits") == fits.getdata(night / "a.fits")).all()
    assert start().jobs == []

    replaced(night / "dark_mask.fits", lambda path: write_mask(path, "dark mask", [(40, 40)]), how, tmp_path)
    assert set(MASKED) <= set(start().jobs)
    assert fits.getdata(work / "results/masked/a.fits", "FLAGS")[40, 40] == 2
    assert start().jobs == []


@pytest.mark.parametrize("kind", ["flat", "dark"])
def test_a_flat_or_a_dark_that_was_replaced_by_an_older_one_counts(kind, start, night, work, tmp_path):
    for mask in night.glob("*_mask.fits"):
        mask.unlink()
    write_calibrations(night)
    write_calibrations(tmp_path / "other")
    name = {"flat": "flat0.fits", "dark": "dark.fits"}[kind]
    data = fits.getdata(tmp_path / "other" / name)
    data[50, 50] = {"flat": 1, "dark": 5000}[kind]
    assert start().returncode == 0
    assert start().jobs == []

    def write(path):
        path.parent.mkdir(exist_ok=True)
        fits.writeto(path, data, fits.getheader(tmp_path / "other" / name), overwrite=True)

    replaced(night / name, write, "moved there", tmp_path)
    run = start()
    assert run.returncode == 0, run.output
    assert {f"Making {kind}_mask"} <= {job.partition("_mask")[0] + "_mask" for job in run.jobs}
    assert fits.getdata(work / "results/masked/a.fits", "FLAGS")[50, 50] & {"flat": 1, "dark": 2}[kind]
    assert start().jobs == []


def test_a_link_that_leads_to_another_night_counts(night, work, tmp_path):
    write_night(tmp_path / "other")
    write_light(tmp_path / "other/a.fits", seed=40)
    for path in (tmp_path / "other").iterdir():
        os.utime(path, (OLD, OLD))
    link = tmp_path / "link"
    link.symlink_to(night)
    arguments = ["--config", f"frames={link}", "pictures=False"]
    assert run_workflow(work, *arguments).returncode == 0
    link.unlink()
    link.symlink_to(tmp_path / "other")
    assert run_workflow(work, *arguments).returncode == 0
    assert (fits.getdata(work / "results/masked/a.fits") == fits.getdata(tmp_path / "other/a.fits")).all()


def test_results_of_a_clock_that_was_ahead_count_by_what_they_were_made_from(start, night, work):
    assert start().returncode == 0
    for path in (work / "results").rglob("*"):
        if path.is_file() and path.name not in (".lock", "headers.json"):
            os.utime(path, (4_000_000_000, 4_000_000_000))
    write_light(night / "a.fits", seed=5)
    assert "Masking a.fits" in start().jobs
    assert (fits.getdata(work / "results/masked/a.fits") == fits.getdata(night / "a.fits")).all()


def test_a_change_of_rights_makes_nothing_new(start, night):
    assert start().returncode == 0
    for path in night.iterdir():
        path.chmod(0o600)
    assert start("-n").jobs == []
    assert start().jobs == []


@pytest.mark.parametrize("kept", ["all but Snakemake's records", "a copy of the results"])
def test_a_parameter_counts_without_the_records_of_snakemake(kept, start, work):
    assert start().returncode == 0
    if kept.startswith("a copy"):
        shutil.copytree(work / "results", work.parent / "copy")
        shutil.rmtree(work / "results")
        (work.parent / "copy").rename(work / "results")
    shutil.rmtree(work / ".snakemake")
    assert start("-n").jobs == []
    changed = start(cosmic_rays="{sigclip: 5}")
    assert set(MASKED) <= set(changed.jobs)
    assert fits.getheader(work / "results/masked/a.fits")["LIGHTMASK SIGCLIP"] == 5
    shutil.rmtree(work / ".snakemake")
    grown = start(cosmic_rays="{sigclip: 5}", grow="{dark: 1}")
    assert (fits.getdata(work / "results/masked/a.fits", "FLAGS") & 2 > 0).sum() == 15, grown.output
    assert start(cosmic_rays="{sigclip: 5}", grow="{dark: 1}").jobs == []


def test_touching_makes_no_result_current(start, work):
    assert start().returncode == 0
    assert start("--touch", cosmic_rays="{sigclip: 5}").returncode == 0
    assert fits.getheader(work / "results/masked/a.fits")["LIGHTMASK SIGCLIP"] != 5
    assert set(MASKED) <= set(start(cosmic_rays="{sigclip: 5}").jobs)
    assert fits.getheader(work / "results/masked/a.fits")["LIGHTMASK SIGCLIP"] == 5


def test_a_frame_that_is_gone_leaves_the_tables_without_the_records_of_snakemake(start, night, work):
    assert start().returncode == 0
    shutil.rmtree(work / ".snakemake")
    (night / "b.fits").unlink()
    assert set(TABLES) == set(start().jobs)
    assert list(rows(work / "results/summary.csv")) == ["a.fits"]
    assert "b.fits" not in rows(work / "results/frames.csv")


def test_what_the_header_says_is_what_the_result_was_made_with(start, work):
    assert start().returncode == 0
    header = fits.getheader(work / "results/masked/a.fits")
    record = json.loads((work / "results/statistics/a.fits.json").read_text())
    assert record["recipe"] == header["LIGHTMASK RECIPE"] and len(record["recipe"]) == 32
    assert record["sources"]["frame"] == header["LIGHTMASK FRAME SHA256"]
    assert record["sources"]["dark1"] == header["LIGHTMASK DARK1 SHA256"]


def test_pictures_never_show_an_older_result(start, work):
    assert start(pictures=True, regions=True).returncode == 0
    drawn = [work / "results" / name for name in ("pictures/frames/a.fits.png", "regions/a.fits.reg")]
    drawn += [work / "results/pictures/night.png", *(work / "results/pictures/masks").iterdir()]
    assert all(path.exists() for path in drawn)
    assert start().jobs == []  # they show the result that is there
    assert start(grow="{dark: 1, cosmic: 1}").returncode == 0
    assert not [path for path in drawn if path.exists()]
    again = start(pictures=True, regions=True, grow="{dark: 1, cosmic: 1}")
    assert again.returncode == 0, again.output
    assert all(path.exists() for path in drawn)
    assert {row["events"] for row in rows(work / "results/summary.csv").values()} == {"1"}


def test_pictures_off_and_on_leave_no_blank(start, work):
    assert start(pictures=True).returncode == 0
    assert start(cosmic_rays="{sigclip: 6}").returncode == 0
    assert start().returncode == 0
    assert start(pictures=True).returncode == 0
    assert {row["events"] for row in rows(work / "results/summary.csv").values()} == {"1"}


def test_planning_writes_nothing(night, work, tmp_path):
    """Neither where there are no results yet, nor where another night's are, nor for odd names."""
    write_light(night / "x{1}.fits", seed=3)
    arguments = ["--config", f"frames={night}", "pictures=False"]
    assert run_workflow(work, "-n", *arguments).returncode == 0
    assert not (work / "results").exists()
    assert run_workflow(work, *arguments).returncode == 0
    before = digests(work / "results")
    write_night(tmp_path / "other", ["x{1}.fits", "y.fits"])
    dry = run_workflow(work, "-n", "--config", f"frames={tmp_path / 'other'}")
    assert "Masking x%7B1%7D.fits" in dry.jobs
    assert digests(work / "results") == before
    assert run_workflow(work, *arguments).jobs == []


def test_two_copies_with_odd_names_mask_each_its_own(tmp_path):
    for number, folder in enumerate(("one", "two")):
        write_night(tmp_path / folder, ["x{1}.fits"])
        write_light(tmp_path / folder / "x{1}.fits", seed=90 + number)
    copies = "".join(
        f"""
module {name}:
    snakefile: {str(CHECKOUT / "Snakefile")!r}
    config: {{"frames": "{name}", "pictures": False}}
    prefix: "of_{name}"

use rule * from {name} as {name}_*
"""
        for name in ("one", "two")
    )
    target = (
        'rule both:\n    default_target: True\n    input: "of_one/results/summary.csv", "of_two/results/summary.csv"\n'
    )
    (tmp_path / "Snakefile").write_text(copies + target)
    run = run_workflow(tmp_path, snakefile=tmp_path / "Snakefile")
    assert run.returncode == 0, run.output
    for name in ("one", "two"):
        masked = fits.getdata(tmp_path / f"of_{name}/results/masked/x%7B1%7D.fits")
        assert (masked == fits.getdata(tmp_path / name / "x{1}.fits")).all()


def test_a_comment_counts_for_the_rules_that_run_it_and_for_no_other(night, work, tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for part in ("Snakefile", "config.yaml"):
        shutil.copy(CHECKOUT / part, checkout)
    for part in ("rules", "scripts", "envs", "profiles", "docs"):
        shutil.copytree(CHECKOUT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))

    def start(*arguments):
        options = ["--config", f"frames={night}", "pictures=False"]
        return run_workflow(work, *arguments, *options, snakefile=checkout / "Snakefile")

    def edit(path, text="# an edit\n"):
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as code:
            code.write(text)

    assert start().returncode == 0
    edit(checkout / "scripts/lightmask/workflow/progress.py")
    assert start("-n").jobs == []
    edit(checkout / "scripts/lightmask/masks/combined.py")
    assert {"Masking a.fits"} <= set(start("-n").jobs)
    edit(checkout / "scripts/lightmask/deep/__init__.py", "")
    edit(checkout / "scripts/lightmask/deep/part.py")
    edit(checkout / "scripts/lightmask/masks/frame.py", "from lightmask.deep import part  # noqa\n")
    assert start().returncode == 0
    assert start("-n").jobs == []
    edit(checkout / "scripts/lightmask/deep/part.py")
    assert of_kinds(start("-n")).keys() >= set(MASKED)


def stopped(work, *arguments, send, when):
    """Start a run, send it a signal as a terminal does, and return its end."""
    process = begin(work, *arguments)
    until(lambda: when(work))
    os.killpg(process.pid, send) if send == signal.SIGINT else process.send_signal(send)
    process.wait(60)
    return (work / "output").read_text()


@pytest.mark.parametrize("send", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_interrupted_counts_no_old_row_as_current(send, tmp_path, work):
    write_night(tmp_path / "night", [f"{number}.fits" for number in range(24)])
    arguments = ["--cores", "1", "--config", f"frames={tmp_path / 'night'}", "pictures=False"]
    assert run_workflow(work, *arguments, "cosmic_rays={sigclip: 8}").returncode == 0
    changed = [*arguments, "cosmic_rays={sigclip: 200}"]
    before = {json.loads(path.read_text())["recipe"] for path in (work / "results/statistics").iterdir()}

    def one_is_done(work):
        """Return whether a frame is masked anew; its old result is removed while this looks."""
        for path in (work / "results/statistics").glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                if json.loads(path.read_text())["recipe"] not in before:
                    return True
        return False

    output = stopped(work, *changed, send=send, when=one_is_done)
    assert "Traceback" not in output
    table = rows(work / "results/summary.csv")
    for name, row in table.items():
        made = work / "results/masked" / name
        if row["problem"] == "":
            assert fits.getheader(made)["LIGHTMASK SIGCLIP"] == 200
        else:
            assert row["problem"] == f"{name}: not masked yet" and row["pixels"] == ""
    waiting = sum(bool(row["problem"]) for row in table.values())
    assert 0 < waiting < 24
    assert f"{waiting} of 24 LIGHT frames are not masked yet; the same command goes on with them" in output
    assert f"0 failed, {waiting} not masked yet" in output and "have no result" not in output
    assert run_workflow(work, *changed).returncode == 0
    assert {row["problem"] for row in rows(work / "results/summary.csv").values()} == {""}


def test_a_single_target_that_fails_leaves_the_summary_alone(start, night, work):
    assert start().returncode == 0
    before = (work / "results/summary.csv").read_bytes()
    write_light(night / "bad.fits", shape=(32, 32))
    run = start("results/masked/bad.fits")
    assert run.returncode != 0
    assert "1 of 1 LIGHT frames have no result" in run.output and "bad.fits: no flat mask applies" in run.output
    assert (work / "results/summary.csv").read_bytes() == before
    assert "a.fits" not in run.output.replace("a.fits.json", "")


@pytest.mark.parametrize("begun", [False, True])
def test_a_report_after_the_run_is_whole(begun, start, night, work):
    if begun:
        assert start(pictures=True).returncode == 0
        write_light(night / "c.fits", seed=3)
    run = start("--report", "r.html", "--report-after-run", pictures=True)
    assert run.returncode == 0, run.output
    page = (work / "r.html").read_text()
    assert all(f"{name}.fits" in page for name in ("a", "b", *("c" * begun)))


def test_a_frame_that_was_replaced_since_the_plan_is_not_masked_with_the_masks_of_another(night, work):
    """Between plan and job there stands, under the same name, a frame of another filter."""
    write_mask(night / "flat_mask.fits", "flat mask", [(1, 1)], FILTER="r")
    write_mask(night / "flat_mask_g.fits", "flat mask", [(2, 2)], FILTER="g")
    arguments = ["--cores", "1", "--config", f"frames={night}", "pictures=False"]
    process = begin(work, *arguments)
    until(lambda: "Combining" in (work / "output").read_text())
    for name in ("a.fits", "b.fits"):
        write_light(night / name, seed=8, FILTER="g")
    assert process.wait(60) != 0
    output = (work / "output").read_text()
    table = rows(work / "results/summary.csv")
    refused = [name for name, row in table.items() if row["problem"]]
    assert refused
    for name in refused:
        assert table[name]["problem"] == f"{name}: changed since the folder was searched; start again"
        assert table[name]["problem"] in output.splitlines()
    assert run_workflow(work, *arguments).returncode == 0
    for name in ("a.fits", "b.fits"):
        flags = fits.getdata(work / "results/masked" / name, "FLAGS")
        assert (flags[1, 1], flags[2, 2]) == (0, 1)


def test_a_folder_that_cannot_be_searched_and_names_like_results_cost_only_themselves(night, work):
    for number, name in enumerate(
        ["a.fits.json/b.fits", "a.fits.png/c.fits", "a.fits.log/d.fits", "a.fits.tsv/e.fits"]
    ):
        write_light(night / name, seed=10 + number)
    (night / "a.fits.reg").mkdir()
    write_light(night / "a.fits.reg/f.fits", seed=20)
    (night / "lost+found").mkdir()
    (night / "lost+found").chmod(0)
    arguments = ["--config", f"frames={night}", "regions=True"]
    run = run_workflow(work, *arguments, preexec_fn=give_up_rights)
    (night / "lost+found").chmod(0o755)
    assert run.returncode != 0
    table = rows(work / "results/summary.csv")
    assert len(table) == 8
    assert {name for name, row in table.items() if row["problem"]} == {"lost+found"}
    assert "lost+found: cannot be searched (Permission denied)" in run.output
    for name, row in table.items():
        assert name == "lost+found" or (work / "results/masked" / row["masked_frame"]).is_file()
    healed = run_workflow(work, *arguments)
    assert healed.returncode == 0, healed.output
    assert not [job for job in healed.jobs if job.startswith("Masking")]


def test_a_right_that_was_lacking_once_is_enough(night, work):
    (night / "b.fits").chmod(0)
    arguments = ["--config", f"frames={night}", "pictures=False"]
    assert "b.fits" in run_workflow(work, "-n", *arguments, preexec_fn=give_up_rights).output
    assert run_workflow(work, *arguments, preexec_fn=give_up_rights).returncode != 0
    (night / "b.fits").chmod(0o644)
    healed = run_workflow(work, *arguments)
    assert healed.returncode == 0, healed.output


def test_work_folders_in_the_frames_folder_are_no_frames(night, tmp_path):
    write_light(night / "x{1}.fits", seed=3)
    first = run_workflow(night / "w1", "--config", f"frames={night}", "pictures=False")
    assert first.returncode == 0, first.output
    second = run_workflow(night / "w2", "--config", f"frames={night}", "pictures=False")
    assert second.returncode == 0, second.output
    assert set(rows(night / "w2/results/summary.csv")) == {"a.fits", "b.fits", "x{1}.fits"}
    assert "w1/results: holds the results of another run and is not searched" in second.output
    third = run_workflow(night / "w1", "--config", f"frames={night}", "pictures=False")
    assert not [job for job in third.jobs if job.startswith("Masking")]


@pytest.mark.parametrize("dark", ["GAIN", "unit"])
def test_a_dark_that_cannot_be_used_and_is_not_required_is_a_remark(dark, night, work):
    (night / "dark_mask.fits").unlink()
    write_light(
        night / "dark.fits", IMAGETYP="DARK", EXPTIME=30.0, FILTER=None, BUNIT="electron" if dark == "unit" else None
    )
    gain = "make_dark_mask={gain: GAIN}" if dark == "GAIN" else "make_dark_mask={gain: 1.5}"
    arguments = ["--config", f"frames={night}", "pictures=False", gain]
    run = run_workflow(work, *arguments, "required_masks=[flat]")
    assert run.returncode == 0, run.output
    cause = {"GAIN": "dark.fits: no GAIN in the header", "unit": "dark.fits: its unit is electron, yet"}[dark]
    assert cause in run.output
    for row in rows(work / "results/summary.csv").values():
        assert row["problem"] == "" and row["remark"].startswith(f"masked without a dark mask: {cause}")
    assert run_workflow(work, *arguments, "required_masks=[flat, dark]").returncode != 0
