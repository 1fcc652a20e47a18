"""Digests of code: results are made anew where the code that makes them was edited.

A script comes in; the digest of its text, and of all that it imports of this package, goes out.
"""

import ast
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = "lightmask"
_ROOT = Path(__file__).parent
_INIT = "__init__.py"


@cache
def digest_of_code(path: str | os.PathLike) -> str:
    """Digest a Python file and all that it imports of this package, directly or not.

    The imports are found in the text of the files, also those within functions. An ``__init__`` imports
    names for others: with ``from package import name`` only the module that defines the name counts,
    beside the text of the ``__init__`` and what its own code uses. ``import package`` is all of it.

    Parameters
    ----------
    path : path
        A script, or a module of the package.

    Returns
    -------
    str
        SHA-256 in hexadecimal. It is that of the bytes: an edit of a comment changes it.
    """
    found = {_Import(Path(path).resolve(), None)}
    waiting = list(found)
    while waiting:
        new = set(_imported(waiting.pop())) - found
        found |= new
        waiting += new
    code = hashlib.sha256()
    files = {each.file for each in found}
    for file in sorted(files, key=lambda file: (file.is_relative_to(_ROOT), file.name, str(file))):
        code.update(hashlib.sha256(file.read_bytes()).digest())
    return code.hexdigest()


class _Import(NamedTuple):
    """A file that is imported, and what of it."""

    file: Path
    name: str | None
    """Of an ``__init__``: the name that is wanted, or "" for its own code only. None is everything."""


@cache
def _imported(wanted: _Import) -> tuple[_Import, ...]:
    """List the files of this package, and those beside a script, that a file imports."""
    path, name = wanted
    tree = ast.parse(path.read_bytes())
    used = None if name is None else {name, "*", *(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))}
    found: list[_Import] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found += _files(alias.name, None, path.parent)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path)
            for alias in node.names:
                if used is None or (alias.asname or alias.name) in used:
                    found += _files(base, None if alias.name == "*" else alias.name, path.parent)
                    found += _files(f"{base}.{alias.name}", None, path.parent)
    return tuple(found)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """Return the full name of the module that a statement imports from."""
    if not node.level:
        return node.module or ""
    package = (PACKAGE, *path.relative_to(_ROOT).parts)[: -node.level]
    return ".".join([*package, node.module] if node.module else package)


def _files(module: str, name: str | None, beside: Path) -> Iterator[_Import]:
    """List the files that are run to import a name of a module, or all of it: its own, and those of its packages."""
    parts = module.split(".")
    root = _ROOT.parent if parts[0] == PACKAGE else beside
    for length in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:length])
        if place.with_suffix(".py").is_file():
            yield _Import(place.with_suffix(".py").resolve(), None)
        if (place / _INIT).is_file():
            yield _Import((place / _INIT).resolve(), name if length == len(parts) else "")
