"""What stands under final names in a results folder, and whether it is what it ought to be."""

import hashlib
import json
import re

from PIL import Image

NOT_RESULTS = ("logs", "benchmarks", "links")
"""Folders whose files tell of jobs: they are begun before the job is."""


def final_files(results):
    """Return every file under a final name, by path relative to the results."""
    found = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    finals = (path for path in found if path.parts[0] not in NOT_RESULTS and not path.name.startswith("."))
    return {str(path): results / path for path in finals}


def content(name, path):
    """Return what must be the same in two runs: all bytes, but for three files that know the time."""
    if name == "headers.json":  # the times of the files that were searched
        read = json.loads(path.read_text(encoding="utf-8"))
        return read["key"]["keywords"], {file: entry | {"stamp": None} for file, entry in read["files"].items()}
    if name == "pictures/night.png":  # how long each job took
        with Image.open(path) as picture:
            picture.load()
            return picture.format, picture.size
    if name == "index.html":  # when the run ended, how long it took, and where the frames are
        text = path.read_text(encoding="utf-8")
        assert text.endswith("</html>\n")
        return re.sub(r'<section id="made">.*?</section>|<title>.*?</title>|<h1>.*?</h1>', "", text, flags=re.DOTALL)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(results):
    """Return the content of every file under a final name."""
    return {name: content(name, path) for name, path in final_files(results).items()}


def leftovers(results):
    """List temporary files."""
    return [path.name for path in results.rglob(".*") if path.name != ".lock"]
