"""Print docs/configuration.md, the reference of all keys: the schema, with the examples of docs/configuration.yaml."""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

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

This page is made from the schema: `make pages`. Examples show other values than the defaults."""
WIDTH = 120


def page() -> Iterator[str]:
    """Yield the parts of the page."""
    groups = yaml.safe_load((Path(__file__).with_suffix(".yaml")).read_text(encoding="utf-8"))
    rules = schema()["properties"]
    if missing := rules.keys() ^ {key for examples in groups.values() for key in examples}:
        raise SystemExit(f"docs/configuration.yaml: found other keys than the schema has: {', '.join(sorted(missing))}")
    yield BEGINNING
    for group, examples in groups.items():
        yield f"## {group}"
        for key, example in examples.items():
            rule = rules[key]
            yield f"### `{key}`"
            if "properties" in rule:
                yield filled(rule["description"])
                yield "\n".join(items(rule))
            else:
                yield filled(f"{of_value(rule)} {rule['description']}")
            yield f"```yaml\n{written(key, example)}```"


def written(key: str, example: object) -> str:
    """Return a key and its example as a file has them."""
    if isinstance(example, dict | list) and not isinstance(next(iter(example)), int | str):
        return yaml.safe_dump({key: example}, sort_keys=False, width=100)
    if isinstance(example, dict):
        return yaml.safe_dump({key: example}, sort_keys=False, default_flow_style=None, width=100)
    shown = yaml.safe_dump(example, default_flow_style=True, width=100)
    return f"{key}: {shown.removesuffix('...' + chr(10))}"


def items(part: Config, above: str = "") -> Iterator[str]:
    """Yield an item per key of a section, keys of a section in it after that."""
    for key, rule in part["properties"].items():
        indent = "  " * above.count(".")
        if "properties" in rule:
            yield filled(f"{indent}- `{above}{key}`: {rule['description']}", indent + "  ")
            yield from items(rule, f"{above}{key}.")
        else:
            yield filled(f"{indent}- `{above}{key}`: {of_value(rule)} {rule['description']}", indent + "  ")


def of_value(rule: Config) -> str:
    """Say what values a key takes, and which one it has by itself."""
    default = json.dumps(rule["default"], ensure_ascii=False).strip('"')
    words = kind(rule)
    return f"{words[0].upper()}{words[1:]}; default " + (f"`{default}`." if default else "empty.")


def filled(text: str, indent: str = "") -> str:
    """Return text in lines that fit a screen; what stands in one pair of backticks stays in one line."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


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
    print(*page(), sep="\n\n")
