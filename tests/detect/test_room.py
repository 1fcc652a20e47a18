"""The detectors are a room of their own: they need NumPy only, and others use what it names for them."""

import ast
import doctest
import graphlib
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT

import lightmask.detect

ROOM = Path(lightmask.detect.__file__).parent
MODULES = sorted(path.stem for path in ROOM.glob("*.py") if path.stem != "__init__")


def imports(path):
    """Yield module and names of every import of a file; no names for `import module`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} imports relatively, which this test does not follow"
            yield node.module, [alias.name for alias in node.names]


def test_detection_needs_numpy_only():
    code = (
        "import sys, numpy; from lightmask.detect import ccdmask, detect_cosmics;"
        "image = numpy.eye(60); image[30, 20] = 5000; ccdmask(image); detect_cosmics(image, fsmode='convolve');"
        "names = {name.partition('.')[0] for name in sys.modules};"
        "print(*sorted(names & {'scipy', 'astropy', 'snakemake', 'ccdproc', 'astroscrappy', 'matplotlib'}));"
        "print(*sorted(name for name in sys.modules if name.startswith('lightmask')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT / "scripts", capture_output=True, text=True, check=True, timeout=120
    )
    others, ours = done.stdout.splitlines()
    assert others == ""
    assert set(ours.split()) <= {"lightmask", "lightmask.detect", *(f"lightmask.detect.{name}" for name in MODULES)}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_imports_anything_else_of_the_package(module):
    ours = {name for name, _ in imports(ROOM / f"{module}.py") if name.startswith("lightmask")}
    assert all(name.startswith("lightmask.detect.") or name == "lightmask.detect" for name in ours)


def test_no_two_modules_import_each_other():
    graph = {}
    for module in MODULES:
        graph[module] = set()
        for name, names in imports(ROOM / f"{module}.py"):
            if name == "lightmask.detect":
                graph[module] |= set(names)
            elif name.startswith("lightmask.detect."):
                graph[module].add(name.split(".")[2])
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert sorted(order) == MODULES
    assert order.index("api") > order.index("bands") > order.index("detector") > order.index("windows")


def test_others_use_what_the_room_names_for_them():
    public = set(lightmask.detect.__all__)
    used = set()
    for path in (CHECKOUT / "scripts").rglob("*.py"):
        if path.is_relative_to(ROOM):
            continue
        for name, names in imports(path):
            if name.startswith("lightmask.detect"):
                assert name == "lightmask.detect", f"{path.name} imports {name}"
                assert set(names) <= public, path.name
                used |= set(names)
    assert public - used <= {"CosmicRays", "TracedRays", "detect_cosmics", "trace_cosmics"}, (
        "named for others, but nobody uses it"
    )
    assert all(hasattr(lightmask.detect, name) for name in public)


@pytest.mark.parametrize("module", ["api", "ccdmask"])
def test_examples(module):
    result = doctest.testmod(importlib.import_module(f"lightmask.detect.{module}"))
    assert result.attempted >= 5
    assert result.failed == 0
