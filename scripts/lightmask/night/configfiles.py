"""Check files of configuration before they are loaded.

A loader keeps the last of two equal keys, and writes every alias out. What it cannot load ends in a
traceback. So each file is looked through first, as a stream of events: that takes no more memory or
time than the file is long.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from lightmask.messages import printable
from lightmask.night.configuration import DEEPEST, MOST_VALUES

LONGEST = 1_000_000
"""Bytes of a file."""
# The one in C is fast, but not part of every PyYAML.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class _Open:
    """A section or list whose end is not reached yet."""

    anchor: str | None = None
    is_section: bool = False
    lines: dict[str, int] = field(default_factory=dict)
    values: int = 1
    children: int = 0


def check(paths: Iterable[str | os.PathLike]) -> None:
    """Refuse files of configuration that cannot be loaded, or would be misread.

    Parameters
    ----------
    paths : iterable of path
        YAML or JSON files.

    Raises
    ------
    ValueError
        One line for the first fault of each file: a key that a section has twice, too many or too deeply
        nested values, or text that is neither YAML nor JSON.
    """
    problems = []
    for path in paths:
        try:
            _check_file(path)
        except OSError as error:
            problems.append(f"{path}: {error.strerror}; expected a file of configuration that can be read")
        except ValueError as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise ValueError("\n".join(map(printable, problems)))


def load(path: str | os.PathLike) -> dict[str, Any]:
    """Load a file of configuration; empty if there is none.

    Raises
    ------
    ValueError
        As from `check`.
    """
    if not os.path.lexists(path):
        return {}
    check([path])
    with open(path, encoding="utf-8-sig") as file:
        text = file.read()
    try:
        return json.loads(text)
    except ValueError:
        return yaml.load(text, LOADER)  # noqa: S506 - a safe one


def _check_file(path: str | os.PathLike) -> None:
    with open(path, "rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"found more than {LONGEST} bytes; expected a configuration, which is shorter")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"found a byte that is no UTF-8 at {error.start}; save the file as UTF-8") from None
    # As the workflow's loader does: JSON if it can be read as such, else YAML.
    try:
        loaded = json.loads(text)
    except RecursionError:
        raise ValueError(_too_deep(None)) from None
    except ValueError:
        loaded = _yaml(text)
    else:
        _check_json(text)
    if not isinstance(loaded, dict):
        raise ValueError("found no keys; expected lines of the form `key: value`; add one, or delete the file")


def _yaml(text: str) -> object:
    try:
        _check_yaml(text)
        return yaml.load(text, LOADER)  # noqa: S506 - a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise ValueError(f"{line}found no valid YAML ({error.problem or error.context}); correct the line") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"found no valid YAML ({reason}); correct the file") from None


def _check_yaml(text: str) -> None:
    open_: list[_Open] = [_Open()]
    sizes: dict[str, int] = {}  # values behind each anchor
    scalars: dict[str, str] = {}
    for event in yaml.parse(text, LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        key = None
        if isinstance(event, yaml.CollectionStartEvent):
            if len(open_) > DEEPEST:
                raise ValueError(_too_deep(line))
            open_.append(_Open(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            sizes.pop(event.anchor or "", None)
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            done = open_.pop()
            anchor, values = done.anchor, done.values
        elif isinstance(event, yaml.ScalarEvent):
            anchor, values, key = event.anchor, 1, event.value
            if anchor:
                scalars[anchor] = key
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(
                    f"line {line}: found the alias *{event.anchor} outside of what its anchor names, or inside it; "
                    "write the value out"
                )
            anchor, values, key = None, sizes[event.anchor], scalars.get(event.anchor)
        else:
            continue
        if anchor:
            sizes[anchor] = values
        above = open_[-1]
        above.values += values
        if above.values > MOST_VALUES:
            raise ValueError(
                f"line {line}: found more than {MOST_VALUES} values with all aliases written out; expected fewer; "
                "take aliases out"
            )
        if above.is_section and above.children % 2 == 0 and key is not None:
            _note(above.lines, key, line)
        above.children += 1


def _check_json(text: str) -> None:
    """Find keys that are there twice, in text that is JSON."""
    open_: list[dict[str, int]] = []
    line, last, last_line = 1, "", 1
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|[{\[\]}:\n]', text):
        sign = token[0]
        if sign == "\n":
            line += 1
        elif sign in "{[":
            open_.append({})
            if len(open_) > DEEPEST:
                raise ValueError(_too_deep(line))
        elif sign in "}]":
            open_.pop()
        elif sign == ":":
            _note(open_[-1], json.loads(last), last_line)
        else:
            last, last_line = token, line


def _note(lines: dict[str, int], key: str, line: int) -> None:
    if key in lines:
        raise ValueError(f"{key}: found on line {lines[key]} and on line {line}; expected once; delete one")
    lines[key] = line


def _too_deep(line: int | None) -> str:
    where = f"line {line}: " if line else ""
    return f"{where}found more than {DEEPEST} levels of sections and lists; expected fewer; take brackets out"
