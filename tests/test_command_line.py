"""What a user writes on the command line and into files, from Snakemake's start to what it says or does."""

import shutil
import subprocess
import sys

import pytest
from conftest import CHECKOUT, DEMO, bomb, run_workflow, write_light, write_night

FAST = ["pictures=False", "cosmic_rays={sigclip: 5}"]


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def refused(run):
    """Return the lines that say why a run was refused before any job."""
    assert run.returncode == 1, run.output
    assert "Traceback" not in run.output and 'File "' not in run.output
    assert not run.jobs and not run.results.exists()
    chatter = ("Using workflow specific profile", "Config file ")
    return [line for line in run.output.splitlines() if not line.startswith(chatter)]


def dry(work, *arguments, **options):
    return run_workflow(work, "-n", *arguments, **options)


@pytest.mark.parametrize(
    "text", [None, "unit: adu\n", "frames:\n"], ids=["no file", "a file without frames", "frames without a value"]
)
def test_without_a_folder_nothing_is_masked(work, text):
    if text:
        (work / "config.yaml").write_text(text)
    (line,) = refused(run_workflow(work))
    assert line.startswith("configuration: frames: found no folder; expected one; write --config frames=FOLDER")
    assert "--config frames=results/demo masks the demo night" in line


def test_a_module_without_a_folder_masks_nothing(work):
    (work / "Snakefile").write_text(
        f"module lightmask:\n    snakefile: {str(CHECKOUT / 'Snakefile')!r}\n    config: {{'pictures': False}}\n"
        "use rule * from lightmask as lightmask_*\n"
    )
    (line,) = refused(run_workflow(work, snakefile=work / "Snakefile"))
    assert line.startswith("configuration: frames: found no folder")


def copied_clone(folder):
    for part in ("Snakefile", "config.yaml"):
        folder.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / part, folder)
    for part in ("rules", "scripts", "docs", "profiles", "envs"):
        shutil.copytree(CHECKOUT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_in_the_clone_itself_the_demo_night_is_the_default(tmp_path):
    clone = copied_clone(tmp_path / "clone")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "-n"]
    made = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert made.returncode == 0 and "make_demo_night" in made.stdout + made.stderr


def test_a_folder_in_the_clones_configuration_is_of_the_clone_only(tmp_path, work):
    clone = copied_clone(tmp_path / "clone")
    text = (clone / "config.yaml").read_text()
    (clone / "config.yaml").write_text(text.replace("frames: results/demo", "frames: results/demo/"))
    (line,) = refused(run_workflow(work, snakefile=clone / "Snakefile"))
    assert "found no folder" in line


@pytest.mark.parametrize("folder", ["results/demo/", "./results/demo"])
def test_the_demo_night_can_be_asked_for(work, folder):
    run = dry(work, "--config", f"frames={folder}")
    assert run.returncode == 0 and "make_demo_night" in run.output


def test_a_link_to_the_demo_night_that_is_made_is_a_folder_like_any_other(demo_results, tmp_path):
    (tmp_path / "link").symlink_to(demo_results / "demo")
    for folder in (tmp_path / "link", demo_results / "demo"):
        run = dry(tmp_path / "work", "--config", f"frames={folder}")
        assert run.returncode == 0 and "mask_light" in run.output and "make_demo_night" not in run.output


@pytest.mark.parametrize("folder", ["nowhere/", "results/demo2", "link"])
def test_a_folder_that_does_not_exist_is_told(work, folder):
    (work / "link").symlink_to("results/demo")
    (line,) = refused(run_workflow(work, "--config", f"frames={folder}"))
    assert line.startswith("frames: found nothing at ") and "expected a folder" in line


@pytest.mark.parametrize("name", ["2025_05_30", "1e5", "True"])
def test_a_folder_with_any_name_is_taken_from_the_command_line(work, name):
    write_light(work / name / "a.fits")
    run = dry(work, "--config", f"frames={name}", "required_masks=[]")
    assert run.returncode == 0 and "mask_light" in run.output, run.output


@pytest.mark.parametrize("name", ["2025_05_30", "2025-05-30"])
def test_a_folder_with_any_name_is_taken_from_a_file(work, name):
    write_light(work / name / "a.fits")
    (work / "config.yaml").write_text(f"frames: {name}\nrequired_masks: []\n")
    run = dry(work)
    assert run.returncode == 0 and "mask_light" in run.output, run.output


def test_folders_whose_names_are_read_as_one_number_are_told_apart_by_a_path(work):
    for name in ("20250530", "2025_05_30"):
        write_light(work / name / f"in {name}.fits")
    (line,) = refused(dry(work, "--config", "frames=2025_05_30", "required_masks=[]"))
    assert line == (
        "configuration: frames: found 20250530, and the folders 20250530, 2025_05_30 are read so; expected one folder; "
        'write --config frames=./20250530, or frames: "./20250530" in a file'
    )
    run = run_workflow(work, "--config", "frames=./2025_05_30", "required_masks=[]", *FAST)
    assert run.returncode == 0 and "Masking in 2025_05_30.fits" in run.jobs


def test_a_number_that_no_folder_is_named_is_told(work):
    (work / "20250530").write_text("a file")
    (line,) = refused(run_workflow(work, "--config", "frames=20250530"))
    assert line == (
        "configuration: frames: found 20250530, and no folder here is read so; expected one folder; "
        'write --config frames=./FOLDER, or frames: "./FOLDER" in a file'
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("sigclip=5", "sigclip: unknown key; write cosmic_rays={sigclip: 5} (in a file cosmic_rays: {sigclip: 5})"),
        ("gain=2.5", "gain: unknown key; write make_dark_mask={gain: 2.5} or cosmic_rays={gain: 2.5}"),
        ("cosmic_rays={unit: adu}", "cosmic_rays.unit: unknown key; write unit=adu"),
        ("grow={cosmic: 1e8}", "grow.cosmic: found 100000000.0; expected at most 100"),
        ("cosmic_rays={niter: 1e23}", "cosmic_rays.niter: found 99999999999999991611392; expected at most 100"),
        ("frames_per_job=1e300", "frames_per_job: found 1"),
    ],
)
def test_a_wrong_key_or_number_on_the_command_line_is_told(work, given, text):
    (line,) = refused(run_workflow(work, *DEMO, given))
    assert line.startswith(f"configuration: {text}")


def test_a_key_with_a_dot_is_told_in_a_file(work):
    (work / "config.yaml").write_text("frames: results/demo\ncosmic_rays.sigclip: 5\n")
    (line,) = refused(run_workflow(work))
    assert line.startswith("configuration: cosmic_rays.sigclip: unknown key; write cosmic_rays={sigclip: 5}")


def test_whole_numbers_that_are_written_as_floats_arrive(work):
    write_night(work / "night")
    (work / "config.yaml").write_text(
        "frames: night\npictures: false\nframes_per_job: 2.0\ncosmic_rays: {niter: 4.0}\n"
    )
    run = run_workflow(work)
    assert run.returncode == 0, run.output
    assert (run.results / "masked/a.fits").exists()


@pytest.mark.parametrize("name", ["config.yaml", "other.yaml", "other.json"])
def test_a_key_that_is_there_twice_is_told_with_file_and_lines(work, name):
    pairs = '{"frames": "a",\n"frames": "b"}' if name.endswith("json") else "frames: a\nframes: b\n"
    (work / name).write_text(pairs)
    arguments = [] if name == "config.yaml" else ["--configfile", work / name]
    (line,) = refused(run_workflow(work, *arguments))
    assert line.endswith(f"{name}: frames: found on line 1 and on line 2; expected once; delete one")


def test_a_key_that_is_twice_in_the_shipped_file_is_told(tmp_path, work):
    clone = copied_clone(tmp_path / "clone")
    with open(clone / "config.yaml", "a") as file:
        file.write("unit: adu\n")
    (line,) = refused(run_workflow(work, *DEMO, snakefile=clone / "Snakefile"))
    assert f"{clone}/config.yaml: unit: found on line " in line


@pytest.mark.parametrize("form", ["lists", "sections", "merges"])
def test_an_alias_bomb_in_the_working_directory_is_refused_at_once(work, form):
    (work / "config.yaml").write_text(bomb(form))
    usual = run_workflow(work.parent / "usual").seconds
    run = run_workflow(work)
    (line,) = refused(run)
    assert line.startswith("config.yaml: line ") and "more than 10000 values" in line
    assert run.seconds < usual + 10  # of which most is the machine's load


def test_an_alias_bomb_of_lists_in_a_file_of_the_command_line_is_refused_at_once(work):
    (work / "bomb.yaml").write_text(bomb("lists"))
    run = run_workflow(work, "--configfile", work / "bomb.yaml")
    assert "more than 10000 values" in refused(run)[0]
    assert run.seconds < run_workflow(work.parent / "usual").seconds + 10
