"""What the rules need to know of a night, without a workflow engine."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from conftest import CHECKOUT, write_calibrations, write_light, write_mask, write_night

from lightmask.errors import FrameError
from lightmask.masks import combine_files
from lightmask.workflow.night import Night

NAMES = ["a.fits", "b {x}.fits", "sub/c<d>.fits", "new\nline.fits"]


@pytest.fixture
def folder(tmp_path):
    write_night(tmp_path / "night", NAMES)
    return tmp_path / "night"


@pytest.fixture
def night(folder, tmp_path):
    """Return a function that makes the night, its results below tmp_path; what is forced is in its `forced`."""

    def make(config=None, **options):
        forced = []
        given = {"frames": str(folder)} | (config or {})
        made = Night(given, CHECKOUT, **{"place": tmp_path.joinpath, "force": forced.append} | options)
        made.forced = forced
        return made

    return make


def of(**wildcards):
    return SimpleNamespace(**wildcards)


def encoded(night):
    return {frame.path: name for name, frame in night.lights.items()}


def test_no_engine_is_needed():
    code = "import sys, lightmask.workflow.night; sys.exit('snakemake' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CHECKOUT / "scripts")


def test_every_light_frame_has_results_of_its_own(night):
    found = night({"regions": True})
    assert set(encoded(found)) == set(NAMES)
    name = encoded(found)["a.fits"]
    assert name == "a.fits"
    assert found.results_of(name) == [
        "results/masked/a.fits",
        "results/pictures/frames/a.fits.png",
        "results/pictures/thumbnails/a.fits.png",
        "results/regions/a.fits.reg",
    ]
    assert len({result for name in found.lights for result in found.results_of(name)}) == 4 * len(NAMES)


def test_inputs_are_what_snakemake_can_take_and_files_are_all(night, folder, tmp_path):
    found = night()
    (combined,) = (f"results/combined_masks/{name}.fits" for name in found.mask_sets)
    for path, name in encoded(found).items():
        inputs = found.light_inputs(of(frame=name))
        assert inputs["masks"] == [combined]
        assert inputs["frame"] == ([str(folder / path)] if path == "a.fits" else [])
        files = found.light_files(of(frame=name), input=None)
        assert files["paths"] == [str(folder / path)]
        assert files["stamps"] == [found.found[path]["stamp"]]
        assert found.light_task(of(frame=name))["name"] == path


def test_paths_of_inputs_are_marked_as_those_of_no_rule(night, folder):
    found = night(outside=lambda path: ("outside", path))
    assert found.light_inputs(of(frame="a.fits"))["frame"] == [("outside", str(folder / "a.fits"))]
    (masks,) = found.mask_sets
    inputs = found.combined_mask_inputs(of(masks=masks))
    assert sorted(inputs) == [("outside", str(folder / name)) for name in ("dark_mask.fits", "flat_mask.fits")]


def test_tasks_are_values_that_json_can_hold(night):
    found = night({"unit_names": {"counts": "adu"}})
    (masks,) = found.mask_sets
    for task in (
        *(found.light_task(of(frame=name)) for name in found.lights),
        found.combined_mask_task(of(masks=masks)),
        found.summary_task(of()),
    ):
        assert json.loads(json.dumps(task)) == task


def test_what_was_never_made_is_forced_and_jobs_force_nothing(night, tmp_path):
    found = night()
    (masks,) = found.mask_sets
    found.light_inputs(of(frame="a.fits"))
    found.combined_mask_inputs(of(masks=masks))
    found.frames_inputs(of())
    found.summary_inputs(of())
    results = ["masked/a.fits", f"combined_masks/{masks}.fits", "frames.csv", "summary.csv"]
    assert found.forced == [str(tmp_path / "results" / name) for name in results]
    job = night(force=None)
    job.light_inputs(of(frame="a.fits"))
    job.combined_mask_inputs(of(masks=masks))
    assert job.frames_inputs(of()) == [] and job.summary_inputs(of())


def combine(night):
    """Combine the masks of the night, as the rule does."""
    (masks,) = night.mask_sets
    task = night.combined_mask_task(of(masks=masks))
    paths = night.combined_mask_files(of(masks=masks), input=None)["paths"]
    target = night.place(f"results/combined_masks/{masks}.fits")
    target.parent.mkdir(parents=True, exist_ok=True)
    combine_files(
        list(zip(task["kinds"], paths, task["names"], strict=True)),
        task["grow"],
        target,
        task["checksums"],
        task["recipe"],
    )
    return masks


def test_a_combined_mask_is_forced_where_a_setting_or_a_mask_changed_and_only_there(night, folder):
    masks = combine(night())
    same = night()
    same.combined_mask_inputs(of(masks=masks))
    assert same.forced == []
    grown = night({"grow": {"flat": 2}})
    grown.combined_mask_inputs(of(masks=masks))
    assert len(grown.forced) == 1
    write_mask(folder / "dark_mask.fits", "dark mask", [(40, 40)])
    changed = night()
    changed.combined_mask_inputs(of(masks=masks))
    assert len(changed.forced) == 1


def test_recipes_follow_the_settings_that_a_result_depends_on(night):
    before = night()
    for config, light, summary in (
        ({"cosmic_rays": {"sigclip": 4}}, True, False),
        ({"grow": {"flat": 1}}, True, False),
        ({"table_keywords": {"filter": ["EXPTIME"]}}, True, True),
        ({"pictures": False}, False, False),
        ({"regions": True}, False, False),
        ({"frames_per_job": 7}, False, False),
    ):
        after = night(config)
        tasks = [found.light_task(of(frame="a.fits"))["recipe"] for found in (before, after)]
        assert (tasks[0] != tasks[1]) is light, config
        tasks = [found.summary_task(of())["recipe"] for found in (before, after)]
        assert (tasks[0] != tasks[1]) is summary, config


def test_a_frame_that_cannot_be_masked_needs_no_input_and_says_why(night, folder):
    write_light(folder / "small.fits", shape=(32, 32))
    found = night()
    assert found.light_inputs(of(frame="small.fits")) == {"frame": [], "masks": [], "repeats": []}
    assert "no flat mask applies" in found.light_task(of(frame="small.fits"))["problem"]
    assert found.usable(["small.fits", "a.fits", "gone.fits"]) == [found.lights["a.fits"]]


def test_inputs_of_a_batch_share_their_masks(night, folder):
    found = night()
    (masks,) = found.mask_sets
    assert found.inputs_of(list(found.lights)) == [str(folder / "a.fits"), f"results/combined_masks/{masks}.fits"]


def test_static_masks_are_made_of_their_sources(tmp_path):
    folder = tmp_path / "night"
    write_light(folder / "a.fits")
    write_calibrations(folder)
    forced = []
    night = Night({"frames": str(folder)}, CHECKOUT, place=tmp_path.joinpath, force=forced.append)
    assert {mask.type for mask in night.made_masks.values()} == {"flat mask", "dark mask"}
    for name, mask in night.made_masks.items():
        wanted = ["flat0.fits", "flat1.fits"] if mask.type == "flat mask" else ["dark.fits"]
        wildcards = of(static_mask=name)
        assert night.static_mask_inputs(wildcards) == [str(folder / source) for source in wanted]
        task = night.static_mask_task(wildcards)
        assert task["names"] == wanted and task["required"] and task["shapes"] == [(64, 80)]
        assert len(night.static_mask_files(wildcards, input=None)["stamps"]) == len(wanted)
        assert [night.static_mask_memory(wildcards, attempt) for attempt in (1, 2)] == [1400, 2800]
        assert night.static_mask_minutes(wildcards, 1) >= 5
    assert forced == [str(tmp_path / mask.path) for mask in night.made_masks.values()]
    assert len(night.sources_inputs()) == 2
    assert "results/logs/night_checked" in night.all_results()


def test_what_nobody_needs_cannot_be_made(night):
    found = night()
    with pytest.raises(FrameError, match=r"no such.fits: no LIGHT frame of that name in "):
        found.light_inputs(of(frame="no such.fits"))
    with pytest.raises(FrameError, match="flat_mask_x: no frame of the night needs a mask of that name"):
        found.static_mask_inputs(of(static_mask="flat_mask_x"))


def test_memory_and_time_grow_with_the_attempt(night):
    found = night()
    (masks,) = found.mask_sets
    light, combined = of(frame="a.fits"), of(masks=masks)
    assert found.light_memory(light, 3) == 3 * found.light_memory(light, 1) > 0
    assert found.light_minutes(light, 2) == 2 * found.light_minutes(light, 1) > 0
    assert found.combined_mask_memory(combined, 2) == 2 * found.combined_mask_memory(combined, 1) > 0


@pytest.mark.parametrize("pictures", [True, False])
def test_what_is_not_drawn_is_removed(pictures, night, tmp_path):
    found = night({"pictures": pictures})
    (masks,) = found.mask_sets
    undrawn = [
        *found.light_files(of(frame="a.fits"), input=None)["undrawn"],
        *found.combined_mask_files(of(masks=masks), input=None)["undrawn"],
        *found.summary_files(of(), input=None)["undrawn"],
    ]
    drawn = [f"pictures/masks/{masks}.png", "pictures/night.png", "pictures/summary.html"]
    of_frame = ["pictures/frames/a.fits.png", "pictures/thumbnails/a.fits.png"]
    expected = ["regions/a.fits.reg"] if pictures else [*of_frame, "regions/a.fits.reg", *drawn]
    assert undrawn == [str(tmp_path / "results" / name) for name in expected]
    assert set(drawn) <= {name.removeprefix("results/") for name in found.all_results()} or not pictures


def test_a_report_shows_what_is_there(night, tmp_path):
    found = night(is_reporting=lambda: True)
    with pytest.raises(FrameError, match="report: found no picture of any frame; mask the night first"):
        found.all_results()
    picture = tmp_path / "results/pictures/frames/a.fits.png"
    picture.parent.mkdir(parents=True)
    picture.touch()
    assert [name for name in found.all_results() if name.startswith("results/masked/")] == ["results/masked/a.fits"]
    assert found.summary_inputs(of()) == ["results/statistics/a.fits.json"]
    assert len([name for name in night().all_results() if name.startswith("results/masked/")]) == len(NAMES)


def test_labels_say_what_a_picture_shows(night):
    found = night()
    (masks,) = found.mask_sets
    assert found.light_labels(of(frame="a.fits")) == {"frame": "a.fits", "filter": "r", "exposure": 10.0}
    assert found.combined_mask_labels(of(masks=masks)) == {
        "mask": masks,
        "kind": "flat and dark",
        "filter": "r",
        "frames": len(NAMES),
    }


def test_what_is_left_out_is_reported(night, folder, tmp_path):
    for number in range(7):
        write_light(folder / f"untyped{number}.fits", IMAGETYP=None)
    write_light(folder / "other/masked/x.fits")
    (folder / "other/headers.json").touch()
    (tmp_path / "results/masked").mkdir(parents=True)
    (tmp_path / "results/masked/gone.fits").touch()
    untyped, foreign, orphan = night().warnings()
    keywords = "IMAGETYP, OBSTYPE, FRAME, ESO DPR TYPE, OBSMODE"
    assert untyped.startswith(f"not masked: 7 files have none of {keywords} in the header: untyped0.fits, ")
    assert "untyped4.fits, ...; frame_type: paths says what files are" in untyped
    assert foreign.startswith("other: holds the results of another run and is not searched")
    assert orphan == "results/masked/gone.fits: no LIGHT frame stands behind it any more; delete it"


def test_a_mask_that_cannot_be_used_is_reported_where_it_is_missed(night, folder):
    whole = (folder / "dark_mask.fits").read_bytes()
    (folder / "dark_mask.fits").write_bytes(whole[:2880] + b"\0" * 10)
    (folder / "text.fits").write_text("no FITS")
    assert [line for line in night({"required_masks": ["flat"]}).warnings() if "dark_mask.fits" in line] == []
    write_light(folder / "dark.fits", IMAGETYP="DARK", EXPTIME=-1.0)
    (folder / "dark_mask.fits").unlink()
    (line,) = night({"required_masks": ["flat"]}).warnings()
    assert line.startswith("dark.fits: ")


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("nothing", "found nothing at "),
        ("a pipe", "found a special file at "),
        ("empty", "found no FITS file; expected "),
    ],
)
def test_a_folder_that_cannot_be_masked_is_named(what, found, night, folder):
    shutil.rmtree(folder)
    if what == "a pipe":
        os.mkfifo(folder)
    elif what == "empty":
        folder.mkdir()
    with pytest.raises(FrameError, match=rf"^frames: .*{found}"):
        night().lights  # noqa: B018


def test_a_folder_without_a_light_frame_is_reported_with_what_it_holds(night, folder):
    for path in [*folder.rglob("*.fits")]:
        if "mask" not in path.name:
            path.unlink()
    with pytest.raises(FrameError, match=r"found 1 dark mask, 1 flat mask; expected IMAGETYP or "):
        night().lights  # noqa: B018


def test_jobs_take_what_their_run_has_found(night, folder):
    first = night()
    first.results.mkdir()
    first.remember()
    write_light(folder / "later.fits")
    assert "later.fits" not in night(recall=True).lights
    assert "later.fits" in night().lights


def test_a_folder_that_is_not_there_yet_is_waited_for(night):
    class NotYetError(Exception):
        pass

    def not_yet():
        raise NotYetError

    found = night()
    found.wait_for = not_yet
    for asked in (found.all_results, lambda: found.light_inputs(of(frame="a.fits"))):
        with pytest.raises(NotYetError):
            asked()
    found.wait_for = lambda: None
    assert found.all_results()


def test_outcomes_are_looked_up_where_jobs_write_them(night, tmp_path):
    found = night()
    (masks,) = found.mask_sets
    outcomes = dict(zip(found.lights, found.outcomes(), strict=True))
    assert outcomes["a.fits"].log == tmp_path / "results/logs/mask_light/a.fits.log"
    assert outcomes["a.fits"].logs_of_masks == [tmp_path / f"results/logs/combine_masks/{masks}.log"]
    assert not outcomes["a.fits"].statistics.exists()


def test_tables_list_every_file(night, folder):
    found = night()
    rows = {row["path"]: row for row in found.frames_rows(of())}
    assert len(rows) == len(NAMES) + 2
    (masks,) = found.mask_sets
    assert rows["a.fits"]["combined_mask"] == f"results/combined_masks/{masks}.fits"
    assert [row["masked_frame"] for row in found.light_rows()] == list(found.lights)


def test_the_demo_night_is_planned_before_it_is_made(tmp_path):
    night = Night({"frames": "results/demo"}, CHECKOUT, place=tmp_path.joinpath)
    assert len(night.lights) == 6 and not (tmp_path / "results").exists()
    name = next(iter(night.lights))
    assert night.light_inputs(of(frame=name))["frame"] == [f"results/demo/{night.lights[name].path}"]
    assert night.light_files(of(frame=name), input=None)["stamps"] == [None]


@pytest.mark.parametrize(
    ("cards", "setting"),
    [
        ({"IMGTYPE": "Sci, 2"}, {"keywords": ["IMGTYPE"], "light": ["Sci, 2"]}),
        ({"EXPTYPE": "yes"}, {"keywords": ["EXPTYPE"], "light": ["yes"]}),
        ({}, {"paths": {"light": ["lights/r: 'x'/*"]}}),
    ],
)
def test_where_no_light_is_found_a_line_to_paste_is_given(night, folder, cards, setting):
    for path in [*folder.rglob("*.fits")]:
        path.unlink()
    (folder / "lights/r: 'x'").mkdir(parents=True)
    write_light(folder / "lights/r: 'x'/a.fits", IMAGETYP=None, **cards)
    write_light(folder / "bias.fits", IMAGETYP="BIAS")
    with pytest.raises(FrameError) as caught:
        night().lights  # noqa: B018
    pasted = shlex.split(re.search("--config (.*) (if that is|with the pattern)", str(caught.value))[1])
    pasted = yaml.safe_load(pasted[0].removeprefix("frame_type="))
    assert pasted == setting
    assert [*night({"frame_type": pasted}).lights]


def test_a_single_frame_is_masked_by_itself(night, folder, tmp_path):
    """Whatever its header says, and whatever else is in its folder."""
    for name in ("x y_ooi_z.fits", "x y_ood_z.fits", "other.fits"):
        write_light(folder / name, IMAGETYP="BIAS", INSTRUME="DECam")
    found = night({"frames": str(folder / "x y_ooi_z.fits")})
    (light,) = found.lights.values()
    assert light.path == "x y_ooi_z.fits" and found.problem(light) == ""
    assert light.companions == (("mask", "x y_ood_z.fits"),)
    assert [frame.path for frame in found.frames] == ["x y_ood_z.fits", "x y_ooi_z.fits"]
    name = next(iter(found.lights))
    inputs = found.light_inputs(SimpleNamespace(frame=name))
    assert [str(path) for path in inputs["frame"]] == [str(folder / light.path), str(folder / "x y_ood_z.fits")]
    assert found.light_task(SimpleNamespace(frame=name))["companion"] == "x y_ood_z.fits"


def test_a_mask_or_weight_alone_is_no_light_frame(night, folder):
    """Also where the image that it belongs to is not there, and its PRODTYPE is that of an image."""
    for name in ("c4d_1_ood_z.fits", "c4d_1_oow_z.fits.fz", "c4d_2_ooi_z.fits", "wood_z.fits"):
        write_light(folder / name, INSTRUME="DECam", PRODTYPE="image")
    write_light(folder / "x_ood_z.fits", INSTRUME="other")
    lights = {frame.path for frame in night().lights.values()}
    assert {"c4d_2_ooi_z.fits", "wood_z.fits", "x_ood_z.fits"} <= lights
    assert not lights & {"c4d_1_ood_z.fits", "c4d_1_oow_z.fits.fz"}
