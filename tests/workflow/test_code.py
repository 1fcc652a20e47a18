"""Digests of code hold all that is run, and nothing else."""

import importlib.util
import shutil

import pytest
from conftest import CHECKOUT


@pytest.fixture
def checkout(tmp_path):
    shutil.copytree(CHECKOUT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "scripts"


def digest(checkout, script):
    """Digest a script of a copy, by the module of that copy, which knows its package by its own place."""
    spec = importlib.util.spec_from_file_location("code_of_a_copy", checkout / "lightmask/workflow/code.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.digest_of_code(checkout / script)


def edit(path, text="# an edit\n"):
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("mask_light.py", True),
        ("lightmask/masks/frame.py", True),
        ("lightmask/detect/detector.py", True),  # imported by an import
        ("lightmask/show/pictures.py", True),  # imported within a function
        ("lightmask/fits/tiles.py", True),
        ("lightmask/night/quantities.py", True),
        ("lightmask/__init__.py", True),
        ("lightmask/fits/__init__.py", False),  # an edit of another line than of those that it imports
        ("lightmask/show/night.py", False),
        ("lightmask/night/summary.py", False),
        ("lightmask/night/inventory.py", False),
        ("lightmask/masks/dark.py", False),
        ("lightmask/detect/ccdmask.py", False),
        ("lightmask/workflow/progress.py", False),
        ("summarise.py", False),
    ],
)
def test_what_a_script_imports_counts_and_nothing_else(checkout, edited, changed):
    before = digest(checkout, "mask_light.py")
    edit(checkout / edited)
    assert (digest(checkout, "mask_light.py") != before) == changed


@pytest.fixture
def changes(checkout):
    """Return a function that imports something from a package of two modules, and tells which edits count.

    The package re-exports ``first`` of one.py and ``second`` of two.py.
    """
    room = checkout / "lightmask/room"
    edit(room / "one.py", "first = 1\n")
    edit(room / "two.py", "second = 2\n")

    def tell(statement, init):
        edit(room / "__init__.py", init)
        edit(checkout / "lightmask/masks/frame.py", f"{statement}\n")
        found = set()
        before = digest(checkout, "mask_light.py")
        for name in ("__init__", "one", "two"):
            edit(room / f"{name}.py")
            after = digest(checkout, "mask_light.py")
            found |= {name} if after != before else set()
            before = after
        return found

    return tell


INIT = """\"\"\"A room.\"\"\"

from lightmask.room import one
from lightmask.room.one import first
from .two import second as renamed

__all__ = ["first", "one", "renamed"]
"""


@pytest.mark.parametrize(
    ("statement", "counted"),
    [
        ("from lightmask.room import first", {"one"}),
        ("from lightmask.room import one", {"one"}),
        ("from lightmask.room.one import first", {"one"}),
        ("import lightmask.room.one", {"one"}),
        ("from lightmask.room import two", {"two"}),  # not re-exported
        ("from lightmask.room import renamed", {"two"}),
        ("from ..room import renamed as other", {"two"}),
        ("def f():\n    from lightmask.room import renamed", {"two"}),
        ("from lightmask.room import first, renamed", {"one", "two"}),
        # Nobody knows what is used of these.
        ("from lightmask import room", {"__init__", "one", "two"}),
        ("import lightmask.room", {"__init__", "one", "two"}),
        ("from lightmask.room import *", {"__init__", "one", "two"}),
        ("from lightmask.room import made_elsewhere", {"__init__", "one", "two"}),
    ],
)
def test_of_a_re_exported_name_the_module_counts_that_defines_it(changes, statement, counted):
    assert changes(statement, INIT) == counted


@pytest.mark.parametrize(
    ("more", "counted"),
    [
        ("own = 3\n", {"__init__", "one"}),
        ("own = renamed + 1\n", {"__init__", "one", "two"}),
        ("def __getattr__(name):\n    from lightmask.room import two\n", {"__init__", "one"}),
    ],
)
def test_a_package_that_does_more_than_to_re_export_counts_with_what_it_uses(changes, more, counted):
    assert changes("from lightmask.room import first", INIT + more) == counted


def test_a_name_that_a_function_of_the_package_makes_is_what_the_package_imports(changes):
    init = "def __getattr__(name):\n    from lightmask.room import two\n    return two.second\n"
    assert changes("from lightmask.room import second", init) == {"__init__", "two"}


def test_a_re_export_that_moves_to_another_module_changes_the_digest(checkout):
    init = checkout / "lightmask/room/__init__.py"
    edit(init, "from lightmask.room.one import name\n")
    for module in ("one", "two"):
        edit(init.parent / f"{module}.py", f"name = '{module}'\n")
    edit(checkout / "mask_light.py", "from lightmask.room import name\n")
    before = digest(checkout, "mask_light.py")
    init.write_text("from lightmask.room.two import name\n")
    assert digest(checkout, "mask_light.py") != before


def test_a_module_of_the_package_is_not_taken_for_one_of_python(checkout):
    """``import types`` in a module that has a types.py beside it."""
    edit(checkout / "lightmask/room/__init__.py", "")
    edit(checkout / "lightmask/room/one.py", "import types\n")
    edit(checkout / "mask_light.py", "import lightmask.room.one\n")
    before = digest(checkout, "mask_light.py")
    edit(checkout / "lightmask/room/types.py")
    assert digest(checkout, "mask_light.py") == before


def test_a_module_beside_a_script_counts_for_it(checkout):
    edit(checkout / "beside.py", "")
    edit(checkout / "mask_batch.py", "import beside\n")
    before = digest(checkout, "mask_batch.py")
    edit(checkout / "beside.py")
    assert digest(checkout, "mask_batch.py") != before


def test_a_template_counts_for_what_shows_it(checkout):
    before = [digest(checkout, script) for script in ("summarise.py", "combine_masks.py")]
    edit(checkout / "lightmask/show/summary.html", "<!-- an edit -->")
    after = [digest(checkout, script) for script in ("summarise.py", "combine_masks.py")]
    assert after[0] != before[0] and after[1] == before[1]


def test_what_only_a_checker_of_types_reads_does_not_count(checkout):
    edit(checkout / "mask_batch.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import beside\n")
    edit(checkout / "beside.py", "")
    before = digest(checkout, "mask_batch.py")
    edit(checkout / "beside.py")
    assert digest(checkout, "mask_batch.py") == before


def test_where_the_scripts_stand_does_not_count(checkout):
    """In the wheel they stand within the package."""
    shutil.copytree(checkout, checkout / "lightmask/_snakemake/scripts", ignore=shutil.ignore_patterns("lightmask"))
    packed = digest(checkout, "lightmask/_snakemake/scripts/mask_light.py")
    assert packed == digest(checkout, "mask_light.py")


def test_a_module_that_a_room_imports_when_it_is_asked_for_counts(checkout):
    before = digest(checkout, "mask_batch.py")
    edit(checkout / "lightmask/workflow/nested.py")
    assert digest(checkout, "mask_batch.py") != before


def test_the_place_of_the_code_does_not_count(checkout, tmp_path):
    shutil.copytree(checkout, tmp_path / "elsewhere")
    assert digest(checkout, "mask_light.py") == digest(tmp_path / "elsewhere", "mask_light.py")
