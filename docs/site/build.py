"""Make the site of the documentation in site/: python docs/site/build.py.

Pages of docs, the README and the like are copied to where Sphinx takes them, with links that work there; pages on the
command and the library are made of what these say of themselves. Warnings are errors.
"""

import argparse
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CLONE / "scripts"))

from lightmask import __all__ as public
from lightmask import cli

SITE = CLONE / "site"
COPIED = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
PARTS = {
    "Tutorials": {
        "tutorials/first_night": "A night from nothing",
        "tutorials/tune": "Tune and assess",
        "tutorials/notebook": "In a notebook",
        "cluster": "On a cluster",
    },
    "How-to": {
        "how_to": "Short answers",
        "running": "Run",
        "tools": "Masked frames in other tools",
        "cameras": "Cameras that are known",
    },
    "Troubleshooting": {"troubleshooting": "What a remark means"},
    "Explanation": {
        "accuracy": "How right masks are",
        "lacosmic": "L.A.Cosmic, exact",
        "static_masks": "Flat masks and dark masks",
        "quality": "Whether masks can be trusted",
        "reliability": "When a run is killed",
        "scaling": "How many frames, and how large",
        "mutants": "How good the tests are",
    },
    "Reference": {
        "configuration": "Configuration",
        "results": "Results and flags",
        "command": "The command",
        "library": "The library",
        "changelog": "Changes",
    },
    "To help": {"contributing": "Contributing"},
}
"""Parts of the site: pages, and what the menu calls them."""
ROOMS = {"detect": "Detectors on arrays", "truth": "Tracks and scores", "repeats": "Frames of one field"}
"""Rooms of the library whose functions others use, too."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")


def main() -> int:
    """Make the site, and return the exit status."""
    shutil.rmtree(SITE, ignore_errors=True)
    source = SITE / "source"
    pages = {f"docs/{path.relative_to(CLONE / 'docs')}": path for path in sorted((CLONE / "docs").rglob("*.md"))}
    there = {name: name.removeprefix("docs/") for name in pages} | COPIED
    for name, page in there.items():
        text = (CLONE / name).read_text(encoding="utf-8")
        write(source / page, with_links(text, name, page, there))
    for path in (CLONE / "docs").rglob("*.png"):
        to = source / path.relative_to(CLONE / "docs")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    write(source / "command.md", of_command())
    write(source / "library.md", of_library())
    start = (source / "index.md").read_text(encoding="utf-8")
    write(source / "index.md", start + toctree({name_of(title): title for title in PARTS}, "hidden:"))
    for title, pages in PARTS.items():
        write(source / f"{name_of(title)}.md", f"# {title}\n" + toctree(pages, "maxdepth: 2"))
    made = {page.removesuffix(".md") for page in there.values()} - {"index"} | {"command", "library"}
    listed = {page for part in PARTS.values() for page in part}
    if made != listed:
        print(f"docs/site/build.py: found pages {sorted(made ^ listed)} that only one of PARTS and docs has; add them")
        return 1
    options = ["-W", "--keep-going", "-q", "-b", "html", "-c", str(Path(__file__).parent)]
    return subprocess.run([sys.executable, "-m", "sphinx", *options, source, SITE / "html"], check=False).returncode


def write(path: Path, text: str) -> None:
    """Write a page, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def with_links(text: str, name: str, page: str, there: dict[str, str]) -> str:
    """Return a page whose links between files of the clone are links between pages; what is no page is only named."""

    def changed(found: re.Match[str]) -> str:
        is_picture, words, path, anchor = found.groups()
        target = os.path.normpath(os.path.join(os.path.dirname(name), path))
        if is_picture or target.endswith(".png"):
            to = target.removeprefix("docs/")
        elif target in there:
            to = there[target]
        else:
            return str(words)
        link = os.path.relpath(to, os.path.dirname(page) or ".")
        return f"{is_picture}[{words}]({link}{anchor or ''})"

    return LINK.sub(changed, text)


def of_command() -> str:
    """Return a page of what the command says of itself."""
    os.environ["COLUMNS"] = "100"
    parser = cli.command_line()
    parts = ["# The command", "", "```text", parser.format_help().strip(), "```"]
    (commands,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        parts += ["", f"## `lightmask {name}`", "", "```text", command.format_help().strip(), "```"]
    return "\n".join(parts) + "\n"


def of_library() -> str:
    """Return a page of the functions and classes that others use, with their docstrings."""
    parts = ["# The library", "What `from lightmask import ...` gives, then the rooms behind it."]
    parts += [directive("lightmask", name) for name in sorted(public)]
    for room, title in ROOMS.items():
        module = importlib.import_module(f"lightmask.{room}")
        own = sorted(name for name in module.__all__ if name not in public and is_shown(getattr(module, name)))
        parts += [f"## {title}: `lightmask.{room}`", str(module.__doc__).strip()]
        parts += [directive(f"lightmask.{room}", name) for name in own]
    return "\n\n".join(parts) + "\n"


def is_shown(value: object) -> bool:
    """Return whether something has a docstring of its own."""
    return inspect.isclass(value) or inspect.isfunction(value)


def directive(module: str, name: str) -> str:
    """Return what makes Sphinx show the docstring of a name."""
    value = getattr(importlib.import_module(module), name)
    kind = "class" if inspect.isclass(value) else "function" if inspect.isfunction(value) else "data"
    members = "   :members:\n" if kind == "class" else ""
    return f"```{{eval-rst}}\n.. auto{kind}:: {module}.{name}\n{members}```"


def name_of(title: str) -> str:
    """Return the name of the page of a part."""
    return "part_" + re.sub(r"\W+", "_", title.lower())


def toctree(pages: dict[str, str], option: str) -> str:
    """Return what makes Sphinx list pages, each as the menu calls it."""
    listed = "\n".join(f"{words} <{page}>" for page, words in pages.items())
    return f"\n```{{toctree}}\n:{option}\n\n{listed}\n```\n"


if __name__ == "__main__":
    sys.exit(main())
