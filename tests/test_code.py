"""Digests of code hold all that is run, and nothing else."""

import shutil
import subprocess
import sys

import pytest
from conftest import CHECKOUT


@pytest.fixture
def checkout(tmp_path):
    shutil.copytree(CHECKOUT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "scripts"


def digest(checkout, script):
    """Digest a script of a copy, in a process whose package is that copy."""
    code = "import sys; from lightmask.code import digest_of_code; print(digest_of_code(sys.argv[1]))"
    command = [sys.executable, "-c", code, checkout / script]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return done.stdout


def edit(path, text="# an edit\n"):
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("mask_light.py", True),
        ("lightmask/masking.py", True),
        ("lightmask/detect/__init__.py", True),
        ("lightmask/detect/api.py", True),  # imported by an import
        ("lightmask/detect/medians.py", True),
        ("lightmask/detect/ccdmask.py", False),  # beside it, for others
        ("lightmask/pictures.py", True),  # imported within a function
        ("lightmask/tiles.py", True),
        ("lightmask/__init__.py", True),
        ("lightmask/progress.py", False),
        ("lightmask/summary.py", False),
        ("lightmask/dark_mask.py", False),
        ("summarise.py", False),
    ],
)
def test_what_a_script_imports_counts_and_nothing_else(checkout, edited, changed):
    before = digest(checkout, "mask_light.py")
    edit(checkout / edited)
    assert (digest(checkout, "mask_light.py") != before) == changed


@pytest.mark.parametrize(
    "statement",
    [
        "import lightmask.deep.part",
        "from lightmask.deep import part",
        "from lightmask.deep.part import name",
        "from .deep import part",
        "from .deep.part import name",
        "def f():\n    from lightmask.deep import part",
    ],
)
def test_a_package_within_the_package_is_found_however_it_is_imported(checkout, statement):
    edit(checkout / "lightmask/deep/__init__.py", "")
    edit(checkout / "lightmask/deep/part.py", "name = 1\n")
    edit(checkout / "lightmask/masking.py", f"{statement}\n")
    before = digest(checkout, "mask_light.py")
    edit(checkout / "lightmask/deep/part.py")
    after = digest(checkout, "mask_light.py")
    assert after != before
    edit(checkout / "lightmask/deep/__init__.py")
    assert digest(checkout, "mask_light.py") != after


ROOM = {
    "__init__.py": """
from .first import one
from lightmask.room.second import two as zwei, other
from .inner import three
""",
    "first.py": "one = 1\n",
    "second.py": "from .below import two\nother = 2\n",
    "below.py": "two = 2\n",
    "inner/__init__.py": "from .third import three\nfrom .fourth import four\n",
    "inner/third.py": "three = 3\n",
    "inner/fourth.py": "four = 4\n",
    "alone.py": "nobody = 0\n",
}


@pytest.mark.parametrize(
    ("statement", "followed"),
    [
        ("from lightmask.room import one", "first"),
        ("from .room import one", "first"),
        ("from lightmask.room import one as something", "first"),
        ("def f():\n    from lightmask.room import one", "first"),
        ("from lightmask.room import zwei", "second below"),
        ("from lightmask.room import other, one", "first second below"),
        ("from lightmask.room import three", "inner/__init__ inner/third"),  # which another room names for this one
        ("from lightmask.room import alone", "alone"),
        ("from lightmask.room.second import other", "second below"),
        ("from lightmask.room.inner import four", "inner/__init__ inner/fourth"),
        ("from lightmask import room", "first second below inner/__init__ inner/third"),
        ("import lightmask.room", "first second below inner/__init__ inner/third"),
        ("from lightmask.room import *", "first second below inner/__init__ inner/third"),
    ],
)
def test_of_a_room_counts_what_defines_the_names_that_are_imported(checkout, statement, followed):
    for name, text in ROOM.items():
        edit(checkout / "lightmask/room" / name, text)
    edit(checkout / "lightmask/masking.py", f"{statement}\n")
    assert changing(checkout, "room") == {"__init__", *followed.split()}


@pytest.mark.parametrize(
    "code",
    [
        "one += 1",
        "def f():\n    return one",
        "from .first import *",
        "import lightmask.room.first",
        "TWICE = [one, one]",
    ],
)
def test_what_a_room_uses_itself_counts_always(checkout, code):
    for name, text in ROOM.items():
        edit(checkout / "lightmask/room" / name, text)
    edit(checkout / "lightmask/room/__init__.py", f"__all__ = ['one', 'zwei', 'three']\n{code}\n")
    edit(checkout / "lightmask/masking.py", "from lightmask.room import zwei\n")
    assert changing(checkout, "room") == {"__init__", "first", "second", "below"}


CHANGING = """
import importlib, pathlib, sys
from lightmask import code
script, folder = sys.argv[1], pathlib.Path(sys.argv[2])
before = code.digest_of_code(script)
for path in sorted(folder.rglob("*.py")):
    path.write_text(path.read_text() + "# an edit\\n")
    importlib.reload(code)  # which keeps the digests that it computed
    after = code.digest_of_code(script)
    if after != before:
        print(path.relative_to(folder).with_suffix("").as_posix())
    before = after
"""


def changing(checkout, room):
    """Return the modules of a room of which an edit changes the digest of a script."""
    command = [sys.executable, "-c", CHANGING, checkout / "mask_light.py", checkout / "lightmask" / room]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_relative_import_of_a_module_beside_is_found(checkout):
    edit(checkout / "lightmask/deep/__init__.py", "from . import part\nfrom .. import progress\n")
    edit(checkout / "lightmask/deep/part.py", "name = 1\n")
    edit(checkout / "lightmask/masking.py", "import lightmask.deep\n")
    found = {digest(checkout, "mask_light.py")}
    for edited in ("deep/part.py", "progress.py"):
        edit(checkout / "lightmask" / edited)
        found.add(digest(checkout, "mask_light.py"))
    assert len(found) == 3


def test_a_module_beside_a_script_counts_for_it(checkout):
    before = digest(checkout, "mask_batch.py")
    edit(checkout / "nested.py")
    assert digest(checkout, "mask_batch.py") != before


def test_the_place_of_the_code_does_not_count(checkout, tmp_path):
    shutil.copytree(checkout, tmp_path / "elsewhere")
    assert digest(checkout, "mask_light.py") == digest(tmp_path / "elsewhere", "mask_light.py")
