"""Digests of code: results are made anew where the code that makes them was edited."""

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = "lightmask"
_ROOT = Path(__file__).parent.parent
_INIT = "__init__.py"


class _Import(NamedTuple):
    """A module that is imported, or a name that is taken from it.

    Attributes
    ----------
    module : str
        Full name of the module.
    name : str
        The name that is taken from it; empty where the module itself is imported.
    bound : str
        What the importing file calls it.
    """

    module: str
    name: str
    bound: str


class _Part(NamedTuple):
    """A file that is run, with all that it imports, or with what its own statements use of that."""

    file: Path
    whole: bool


@cache
def digest_of_code(path: str | os.PathLike) -> str:
    """Digest a Python file and all that it imports of this package, directly or not.

    The imports are found in the text of the files, also those within functions. Where a package
    re-exports a name (``from package import name``), the module that defines the name counts, and
    not all that the package imports. An ``__init__`` counts where it does more than to re-export.
    Files beside a module count whose names stand in it.

    Parameters
    ----------
    path : path
        A script, or a module of the package.

    Returns
    -------
    str
        SHA-256 in hexadecimal. It is that of the bytes: an edit of a comment changes it.
    """
    found = {_Part(Path(path).resolve(), whole=True)}
    waiting = list(found)
    while waiting:
        new = set(_imported(waiting.pop())) - found
        found |= new
        waiting += new
    # Not in the order of their paths: those of a clone and of an installed package differ.
    files = {file for part in found for file in (part.file, *_named_beside(part.file))}
    digests = sorted(hashlib.sha256(file.read_bytes()).digest() for file in files)
    return hashlib.sha256(b"".join(digests)).hexdigest()


@cache
def _named_beside(file: Path) -> tuple[Path, ...]:
    """List the files beside a module whose names stand in it as texts: templates, and the like."""
    text = file.read_text(encoding="utf-8")
    others = (path for path in file.parent.iterdir() if path.suffix != ".py" and f'"{path.name}"' in text)
    return tuple(path for path in others if path.is_file())


@cache
def _imported(part: _Part) -> tuple[_Part, ...]:
    """List the files of this package, and those beside a script, that a file imports."""
    imports = _imports(part.file, list(_statements(_tree(part.file).body)))
    if not part.whole:
        used = {node.id for own in _own(part.file) for node in ast.walk(own) if isinstance(node, ast.Name)}
        imports = [found for found in _re_exports(part.file) if found.bound in used]
    return tuple(one for found in imports for one in _parts(found.module, found.name, part.file.parent))


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """List the statements of a body, and those within them, but for what only checkers of types read.

    Imports are statements: expressions, which are most of a tree, need no look.
    """
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            if inner := getattr(node, field, None):
                yield from _statements(inner)


def _parts(module: str, name: str, beside: Path) -> Iterator[_Part]:
    """List the files that are run to import a module, or a name of it."""
    parts = module.split(".")
    if parts[0] == PACKAGE:
        root = _ROOT.parent
    elif beside.is_relative_to(_ROOT):
        return  # of another package
    else:
        root = beside
    for length in range(1, len(parts)):
        yield from _only_run(root.joinpath(*parts[:length], _INIT))
    place = root.joinpath(*parts)
    file, init = place.with_suffix(".py"), place / _INIT
    if file.is_file():
        yield _Part(file.resolve(), whole=True)
    elif not place.is_dir():
        return
    elif name and (source := _source(init, module, name)):
        yield from _only_run(init)
        yield from _parts(source.module, source.name, beside)
    elif name and any(path.exists() for path in (place / f"{name}.py", place / name)):
        yield from _parts(f"{module}.{name}", "", beside)
    elif init.is_file():
        yield _Part(init.resolve(), whole=True)


def _only_run(init: Path) -> Iterator[_Part]:
    """Name an ``__init__`` that is run on the way to something else, if it does more than to re-export."""
    if init.is_file() and _own(init):
        yield _Part(init.resolve(), whole=False)


def _source(init: Path, package: str, name: str) -> _Import | None:
    """Find where an ``__init__`` has a name from; None if it does not re-export it."""
    found = (entry for entry in _re_exports(init) if entry.bound == name)
    return next((entry for entry in found if (entry.module, entry.name) != (package, name)), None)


@cache
def _re_exports(init: Path) -> list[_Import]:
    """List what an ``__init__`` imports, outside of functions."""
    return _imports(init, _tree(init).body) if init.is_file() else []


@cache
def _own(init: Path) -> list[ast.stmt]:
    """List the statements of an ``__init__`` that do more than to re-export."""
    return [statement for statement in _tree(init).body if not _only_re_exports(statement)]


def _only_re_exports(statement: ast.stmt) -> bool:
    """Return whether a statement is an import, a text that documents, or ``__all__``."""
    if isinstance(statement, ast.Assign):
        return [ast.unparse(target) for target in statement.targets] == ["__all__"]
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_text or isinstance(statement, ast.Import | ast.ImportFrom)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def _imports(path: Path, nodes: list[ast.AST] | list[ast.stmt]) -> list[_Import]:
    """List what statements of a file import."""
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [_Import(alias.name, "", alias.asname or alias.name.partition(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path)
            found += [_Import(base, alias.name, alias.asname or alias.name) for alias in node.names]
    return found


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """Return the full name of the module that a statement imports from."""
    if not node.level:
        return node.module or ""
    package = (PACKAGE, *path.relative_to(_ROOT).parts)[: -node.level]
    return ".".join([*package, node.module] if node.module else package)
