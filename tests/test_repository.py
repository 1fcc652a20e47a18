"""What the repository says twice must be said the same: pins, defaults, versions, tables."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import CHECKOUT

from lightmask import __version__, bits
from lightmask.night import configuration
from lightmask.quality import NAMES


def text(path):
    return (CHECKOUT / path).read_text(encoding="utf-8")


def pins(path):
    """Versions by package of a requirements file."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", text(path), re.MULTILINE))


LOCKS = {"": 50, "-test": 50, "-slurm": 50, "-fuzz": 1, "-mutants": 10, "-docs": 20}
"""Names of lock files, and how many packages each has at the least."""


@pytest.mark.parametrize(("lock", "least"), [*LOCKS.items(), ("-oldest", 50)])
def test_every_requirement_has_hashes(lock, least):
    lock = f"envs/requirements{lock}.txt"
    entries = re.split(r"\n(?=\S)", text(lock).strip())
    assert len(entries) == len(pins(lock)) >= least
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|--index|--extra", text(lock))


def test_conda_environment_has_the_versions_of_the_lock():
    packages = [entry.split(" =") for entry in yaml.safe_load(text("envs/lightmask.yaml"))["dependencies"]]
    versions = dict(packages)
    assert versions.pop("python") == "3.11"
    assert versions == {name: pins("envs/requirements.txt")[name] for name in versions}


def test_conda_environment_has_what_the_package_needs():
    project = tomllib.loads(text("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    needed = {
        re.match("[a-z]+", name)[0]
        for name in project["dependencies"] + extras["ccdproc"] + extras["repeats"] + extras["report"]
    }
    environment = yaml.safe_load(text("envs/lightmask.yaml"))["dependencies"]
    assert {entry.split()[0] for entry in environment} == {"python", *needed} - {"pygments"}  # for Snakemake's page


def test_tests_run_with_the_versions_that_users_get():
    assert pins("envs/requirements.txt").items() <= pins("envs/requirements-test.txt").items()
    assert pins("envs/requirements.txt").items() <= pins("envs/requirements-slurm.txt").items()


def test_the_oldest_snakemake_that_is_tried_is_the_oldest_that_is_allowed():
    allowed = re.search(r'"snakemake>=([0-9.]+),', text("pyproject.toml"))[1]
    assert pins("envs/requirements-oldest.txt")["snakemake"] == f"{allowed}.0"
    assert f'min_version("{allowed}")' in text("Snakefile")


def test_documentation_says_which_versions():
    named = re.search(
        r"installed: Snakemake (\S+), astropy (\S+), ccdproc (\S+), NumPy (\S+),", text("docs/running.md")
    )
    assert list(named.groups()) == [
        pins("envs/requirements.txt")[name] for name in ("snakemake", "astropy", "ccdproc", "numpy")
    ]


def test_what_is_installed_is_what_the_locks_say():
    if Path(sys.prefix) != CHECKOUT / ".venv":
        pytest.skip("not run in the .venv that make test makes")
    installed = {
        re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower(): found.version
        for found in importlib.metadata.distributions(path=[sysconfig.get_path("purelib")])
    }
    always = set(re.findall(r"^([a-z0-9-]+)==\S+ \\$", text("envs/requirements.txt"), re.MULTILINE))
    locked = {name: version for lock in LOCKS for name, version in pins(f"envs/requirements{lock}.txt").items()}
    assert len(always) > 40
    assert always <= installed.keys() <= locked.keys() | {"lightmask", "pip", "setuptools"}
    assert {name: locked[name] for name in installed.keys() & locked.keys()}.items() <= installed.items()


def test_an_installation_from_the_checkout_leaves_nothing_there_and_holds_the_library_and_the_workflow(tmp_path):
    checkout = tmp_path / "checkout"
    for name in ("scripts", "rules", "profiles", "envs", "docs"):
        shutil.copytree(CHECKOUT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "config.yaml", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy(CHECKOUT / name, checkout)
    before = sorted(checkout.rglob("*"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, checkout]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution found for" in done.stderr:
        pytest.skip("the build backend is not at hand, and there is no network")
    assert done.returncode == 0, done.stderr
    assert sorted(checkout.rglob("*")) == before
    (wheel,) = tmp_path.glob(f"lightmask-{__version__}-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    library = checkout / "scripts"
    expected = {str(path.relative_to(library)) for path in library.rglob("lightmask/**/*") if path.is_file()}
    parts = ["Snakefile", "config.yaml", "rules/*", "profiles/*/*", "scripts/*.py", "docs/report/*", "envs/*.yaml"]
    workflow = {str(path.relative_to(checkout)) for part in parts for path in checkout.glob(part)}
    assert packed == expected | {f"lightmask/_snakemake/{name}" for name in workflow}


def test_shipped_configuration_shows_the_defaults():
    def compare(shown, defaults):
        for key, value in shown.items():
            if isinstance(value, dict):
                compare(value, defaults[key])
            else:
                assert value == defaults[key], key

    compare(yaml.safe_load(text("config.yaml")), configuration.validated({}))


def test_configuration_reference_is_up_to_date():
    made = subprocess.run(
        [sys.executable, CHECKOUT / "docs/configuration.py"], capture_output=True, text=True, check=True
    )
    assert text("docs/configuration.md") == made.stdout


def test_examples_of_the_configuration_are_valid_and_change_something():
    groups = yaml.safe_load(text("docs/configuration.yaml"))
    examples = {key: value for group in groups.values() for key, value in group.items()}
    assert examples.keys() == configuration.schema()["properties"].keys()
    defaults = configuration.validated({})
    (named,) = {"cameras"} & examples.keys()  # a file, which is read
    for key, value in examples.items():
        if key != named:
            assert configuration.validated({key: value})[key] != defaults[key], key
    blocks = re.findall("^```yaml\n(.*?)^```", text("docs/configuration.md"), re.MULTILINE | re.DOTALL)
    assert [yaml.safe_load(block) for block in blocks] == [{key: value} for key, value in examples.items()]


def test_reference_of_cameras_is_up_to_date():
    made = subprocess.run([sys.executable, CHECKOUT / "docs/cameras.py"], capture_output=True, text=True, check=True)
    assert text("docs/cameras.md") == made.stdout


def test_every_cause_is_explained_with_a_picture():
    made = subprocess.run(
        [sys.executable, CHECKOUT / "docs/troubleshooting.py"], capture_output=True, text=True, check=True
    )
    assert text("docs/troubleshooting.md") == made.stdout
    assert re.findall("^## (.*)$", made.stdout, re.MULTILINE) == list(NAMES)
    assert {path.stem for path in (CHECKOUT / "docs/troubleshooting").glob("*.png")} == set(NAMES)


def anchors(page):
    """Return what links can name in a page: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text(page), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_is_short_and_each_page_is_reached_from_it():
    assert len(text("README.md").splitlines()) < 120
    pages, seen = ["README.md"], {"README.md"}
    while pages:
        page = pages.pop()
        for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text(page)):
            there = os.path.normpath(Path(page).parent / link) if link else page
            assert (CHECKOUT / there).exists(), f"{page} links to {link}"
            assert not anchor or anchor in anchors(there), f"{page} links to {link}#{anchor}"
            if there.endswith(".md") and there not in seen:
                seen.add(there)
                pages.append(there)
    assert {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "docs").rglob("*.md")} <= seen


def test_version_is_the_same_everywhere():
    assert yaml.safe_load(text("CITATION.cff"))["version"] == __version__
    assert re.search(r"^## (\S+),", text("CHANGELOG.md"), re.MULTILINE)[1] == __version__


def test_documentation_tells_the_flags_as_the_code_has_them():
    table = re.findall(r"^\| (\d+) \| (\d+) \| `([A-Z]+)` \|", text("docs/results.md"), re.MULTILINE)
    assert {name: int(value) for _, value, name in table} == bits.BITS
    assert all(1 << int(bit) == int(value) for bit, value, _ in table)
    call = re.search(r'extend_bit_flag_map\("Lightmask", (.*?)\)', text("README.md"))[1]
    assert {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", call)}.items() <= bits.BITS.items()


def test_figures_of_known_bad_pixels_are_those_of_the_command(real_data):
    measure = f"""
import sys; sys.path.insert(0, {str(CHECKOUT / "docs")!r})
from pathlib import Path; import figures
figures.known_bad_pixels(Path({str(real_data("arcsat-reduced"))!r}))
"""
    printed = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"bad pixels are (.*): (\d+) .*?, (\d+) of .*iteration \[(.*)\]", printed)
    assert len(found) == 2
    for choice, cosmic, bad, counts in found:
        assert f"| {choice} | {cosmic} | {bad} | {counts} |" in text("docs/results.md")


def test_table_of_made_masks_is_that_of_the_command(demo_results):
    measure = f"""
import sys; sys.path.insert(0, {str(CHECKOUT / "docs")!r})
from pathlib import Path; import figures
figures.made_masks(Path({str(demo_results)!r}))
"""
    printed = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True, check=True).stdout
    assert len(printed.splitlines()) == 10
    assert printed in text("docs/static_masks.md")


def test_promises_name_tests_that_are_there():
    named = set(re.findall(r"`(test_\w+)`", text("docs/reliability.md")))
    written = "".join(path.read_text() for path in (CHECKOUT / "tests").rglob("test_*.py"))
    assert len(named) > 50
    assert {name for name in named if f"def {name}(" not in written} == set()
