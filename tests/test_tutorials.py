"""Tutorials do what they show: their commands and code are run, one after the other, and print what they say."""

import contextlib
import io
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
import yaml
from conftest import CHECKOUT

from lightmask.night import configuration

PAGES = sorted((CHECKOUT / "docs/tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_short_answers_are_valid_settings():
    text = (CHECKOUT / "docs/how_to.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```yaml\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    for indent, block in blocks:
        configuration.validated(yaml.safe_load(textwrap.dedent(block)))
        assert all(line.startswith(indent) for line in block.splitlines())


def test_there_are_tutorials():
    assert len(PAGES) >= 3


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_tutorial_does_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT / "scripts"))
    names, printed, shown = {}, "", 0
    for language, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "sh":
            done = subprocess.run(["sh", "-ec", code], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            printed = done.stdout + done.stderr
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as stream, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of other libraries, and what the page says of ours
                exec(compile(code, page.name, "exec"), names)
            printed = stream.getvalue()
        else:
            for line in code.splitlines():
                pattern = ".*".join(map(re.escape, line.strip().split("...")))
                assert re.search(pattern, printed), f"{line!r} is not in\n{printed}"
                shown += 1
    assert shown > 3
