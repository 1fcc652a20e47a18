"""Modules of one room of the library use other rooms as these mean it, and no arrow runs back up."""

import ast
import importlib

import pytest
from conftest import CHECKOUT

SCRIPTS = CHECKOUT / "scripts"
LIBRARY = SCRIPTS / "lightmask"
ROOMS = ["detect", "truth", "repeats", "fits", "night", "quality", "masks", "show", "workflow"]
"""From the bottom up: a room knows those before it."""
UNDER_ALL = {"errors", "messages", "bits"}
ORDER = ["detect", "truth", "repeats", "fits", "night", "quality", "masks", "show", "demo", "workflow"]
"""With the demo night, which is no room: it writes frames, and the workflow plans them."""
KNOW_THE_ENGINE = {"workflow", "cli"}


def room_of(path):
    """Name the room of a file, or the file itself where it stands in none."""
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py") if path.is_relative_to(LIBRARY) else "scripts"


def level(room):
    """Tell how high a room stands; what is in none may know all rooms, and these may not know it."""
    if room in UNDER_ALL:
        return 0
    if room in ("scripts", "cli"):
        return len(ORDER) + 2
    return 1 + (ORDER.index(room) if room in ORDER else len(ORDER))


def imports(path):
    """List what a file imports, wherever it does: module, and name or None."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import, which this test cannot read"
            found += [(node.module, alias.name) for alias in node.names]
    return found


def fault(room, module, name):
    """Say what is wrong with an import of the library in a room; empty if nothing is."""
    parts = module.split(".")
    if parts == ["lightmask"]:
        if name == "__version__":
            return ""
        parts, name = [*parts, name], None
    other = parts[1] if len(parts) > 1 else None
    if other == room:
        return ""
    if other is None or (other in ROOMS and (len(parts) > 2 or name is None)):
        return "takes more than a name from a room"
    if other in ROOMS and name not in importlib.import_module(f"lightmask.{other}").__all__:
        return "is not in __all__"
    return "" if level(other) < level(room) else "runs back up"


FILES = sorted(path for path in SCRIPTS.rglob("*.py") if path != LIBRARY / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_rooms_use_what_others_re_export_and_know_none_above(path):
    ours = [(module, name) for module, name in imports(path) if module.partition(".")[0] == "lightmask"]
    faults = {found: fault(room_of(path), *found) for found in ours}
    assert {found: why for found, why in faults.items() if why} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_only_the_room_of_the_workflow_knows_the_engine(path):
    if path.is_relative_to(LIBRARY) and room_of(path) not in KNOW_THE_ENGINE:
        assert not [module for module, _ in imports(path) if module.startswith("snakemake")]


@pytest.mark.parametrize(
    ("room", "module", "name", "wrong"),
    [
        ("masks", "lightmask.fits", "read", ""),
        ("masks", "lightmask.masks.flags", "grown", ""),
        ("masks", "lightmask", "__version__", ""),
        ("masks", "lightmask", "bits", ""),
        ("masks", "lightmask.errors", "FrameError", ""),
        ("masks", "lightmask.fits.images", "read", "takes more than a name from a room"),
        ("masks", "lightmask", "fits", "takes more than a name from a room"),
        ("masks", "lightmask.fits.images", None, "takes more than a name from a room"),
        ("masks", "lightmask", None, "takes more than a name from a room"),
        ("masks", "lightmask.fits", "tiles", "is not in __all__"),
        ("fits", "lightmask.masks", "mask_frame", "runs back up"),
        ("bits", "lightmask.errors", "FrameError", "runs back up"),
        ("show", "lightmask.demo", "make", "runs back up"),
    ],
)
def test_faults_are_found(room, module, name, wrong):
    assert fault(room, module, name) == wrong


@pytest.mark.parametrize("room", [room for room in ROOMS if (LIBRARY / room).is_dir()])
def test_what_a_room_re_exports_is_there(room):
    package = importlib.import_module(f"lightmask.{room}")
    exec(f"from lightmask.{room} import *", {})  # which imports modules that `__all__` names
    assert package.__doc__ and [name for name in package.__all__ if not hasattr(package, name)] == []
