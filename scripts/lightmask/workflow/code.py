"""Digests of code: results are made anew where the code that makes them was edited."""

import ast
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "lightmask"
_ROOT = Path(__file__).parent


@cache
def digest_of_code(path: str | os.PathLike) -> str:
    """Digest a Python file and all that it imports of this package, directly or not.

    The imports are found in the text of the files, also those within functions. The name of
    the package alone stands for its ``__init__``.

    Parameters
    ----------
    path : path
        A script, or a module of the package.

    Returns
    -------
    str
        SHA-256 in hexadecimal. It is that of the bytes: an edit of a comment changes it.
    """
    found = {Path(path).resolve()}
    waiting = list(found)
    while waiting:
        new = set(_imported(waiting.pop())) - found
        found |= new
        waiting += new
    code = hashlib.sha256()
    for file in sorted(found, key=lambda file: (file.is_relative_to(_ROOT), file.name, str(file))):
        code.update(hashlib.sha256(file.read_bytes()).digest())
    return code.hexdigest()


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    """List the files of this package, and those beside a script, that a file imports."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path)
            modules += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(file.resolve() for module in modules for file in _files(module, path.parent))


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """Return the full name of the module that a statement imports from."""
    if not node.level:
        return node.module or ""
    package = (PACKAGE, *path.relative_to(_ROOT).parts)[: -node.level]
    return ".".join([*package, node.module] if node.module else package)


def _files(module: str, beside: Path) -> Iterator[Path]:
    """List the files that are run to import a module: those of its packages, and its own."""
    parts = module.split(".")
    root = _ROOT.parent if parts[0] == PACKAGE else beside
    for length in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:length])
        yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())
