"""Docstrings of what others use: complete, and with examples that do what they show."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from test_rooms import ROOMS

import lightmask

MODULES = [module.name for module in pkgutil.walk_packages(lightmask.__path__, "lightmask.")]
EXPLAINED_BY_ITS_CLASS = {"Night", "Plan"}
"""Their methods take the wildcards of a job, and are named after what they return."""


def functions_of(room):
    """Return the functions, and the methods of classes, that a room re-exports, by name."""
    package = importlib.import_module(f"lightmask.{room}")
    exec(f"from lightmask.{room} import *", {})
    found = {name: getattr(package, name) for name in package.__all__}
    for name, value in [*found.items()]:
        if inspect.isclass(value) and name not in EXPLAINED_BY_ITS_CLASS:
            methods = {key: getattr(method, "__func__", method) for key, method in vars(value).items()}
            found |= {f"{name}.{key}": method for key, method in methods.items() if not key.startswith("_")}
    return {name: value for name, value in found.items() if inspect.isfunction(value)}


@pytest.mark.parametrize("name", MODULES)
def test_examples_do_what_they_show(name):
    assert doctest.testmod(importlib.import_module(name), extraglobs={"np": np}).failed == 0


@pytest.mark.parametrize("name", sorted(set(lightmask.__all__) - {"SNAKEFILE", "FrameError"}))
def test_what_is_public_has_an_example(name):
    assert ">>> " in getattr(lightmask, name).__doc__


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_re_exports_says_what_it_takes_and_returns(room):
    lacking = []
    for name, function in functions_of(room).items():
        parameters = [key for key in inspect.signature(function).parameters if key not in ("self", "cls")]
        sections = set(inspect.getdoc(function).splitlines())
        if parameters and "Parameters" not in sections:
            lacking.append(f"{name}: Parameters")
        if function.__annotations__.get("return") and not sections & {"Returns", "Yields"}:
            lacking.append(f"{name}: Returns")
    assert lacking == []
