"""Print docs/configuration.md, the reference of all keys, from the schema."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from lightmask.night.configuration import Config, schema

BEGINNING = """\
# Configuration

`config.yaml` in the working directory, `--configfile FILE` and `--config 'KEY=VALUE'` set what is
below; each of them overrides the one before. On the command line a key inside a section is written
`--config 'cosmic_rays={sigclip: 5}'`; Snakemake itself refuses `cosmic_rays.sigclip=5` there. An unknown
key and a value of the wrong kind are reported before anything starts. So is a key that a file has twice, and
a file of more than 1,000,000 bytes, 10,000 values (with every alias written out) or 20 levels. A change
of a key remakes what depends on it.

Where a key names a keyword of a FITS header, that is printable ASCII without `=`, of at most 66 letters.

This page is made from the schema: `make pages`.

| key | value | default | meaning |
|---|---|---|---|"""


def rows(part: Config, above: str = "") -> Iterator[str]:
    """Return a row per key, keys of a section after the section."""
    for key, rule in part["properties"].items():
        if "properties" in rule:
            yield f"| **`{above}{key}`** | section | | {rule['description']} |"
            yield from rows(rule, f"{above}{key}.")
        else:
            default = json.dumps(rule["default"], ensure_ascii=False).strip('"')
            yield f"| `{above}{key}` | {kind(rule)} | `{default}` | {rule['description']} |"


def kind(rule: Config) -> str:
    """Say what values a key takes."""
    if "enum" in rule:
        return " or ".join(f"`{value}`" for value in rule["enum"])
    types = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
    words = {
        "array": "list",
        "object": "value and unit" if "units" in rule else "names and values",
        "string": "text",
        "integer": "whole number",
    }
    text = " or ".join(words.get(name, name) for name in types)
    if "items" in rule and "enum" in rule["items"]:
        text += " of " + ", ".join(f"`{value}`" for value in rule["items"]["enum"])
    for limit, word in (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most")):
        if limit in rule:
            text += f", {word} {rule[limit]}"
    return text


if __name__ == "__main__":
    print(BEGINNING, *rows(schema()), sep="\n")
