"""The examples in docstrings."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import lightmask

MODULES = [module.name for module in pkgutil.walk_packages(lightmask.__path__, "lightmask.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_do_what_they_show(name):
    assert doctest.testmod(importlib.import_module(name), extraglobs={"np": np}).failed == 0


@pytest.mark.parametrize("name", [name for name in lightmask.__all__ if callable(getattr(lightmask, name))])
def test_what_is_public_has_an_example(name):
    if issubclass(type(getattr(lightmask, name)), type) and issubclass(getattr(lightmask, name), Exception):
        return
    assert ">>> " in getattr(lightmask, name).__doc__, name
