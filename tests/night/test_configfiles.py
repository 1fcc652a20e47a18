"""Files of configuration are looked through before they are loaded."""

import json
import time

import pytest
import yaml
from conftest import bomb
from hypothesis import example, given
from hypothesis import strategies as st

from lightmask.night import configfiles
from lightmask.night.configuration import validated


def problem_of(path, text):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"^.+$") as caught:
        configfiles.check([path])
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ") and line.isprintable()
    return line.removeprefix(f"{path}: ")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "config.yaml"


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("frames: a\nunit: adu\nframes: b\n", "frames", (1, 3)),
        ("frames: a\n# again\n\n'frames': b\n", "frames", (1, 4)),
        ("unit: adu\ncosmic_rays:\n  gain: 1\n  niter: 2\n  gain: 3\n", "gain", (3, 5)),
        ("grow: {flat: 1,\n  flat: 2}\n", "flat", (1, 2)),
        ("masked: [{a: 1, b: 2, a: 3}]\n", "a", (1, 1)),
        ("&k frames: a\n*k : b\n", "frames", (1, 2)),
        ("? frames\n: a\n? frames\n: b\n", "frames", (1, 3)),
        ('{"frames": "a",\n\t"unit": "adu",\n\t"frames": "b"}', "frames", (1, 3)),
        ('{"a": {"b": "}{,:[\\"", "c": [1, {"x": 2}],\n"b"\n: 3}}', "b", (1, 2)),
        ('{"\\u0061": 1, "a": 2}', "a", (1, 1)),
    ],
)
def test_a_key_that_is_there_twice_is_told_with_both_lines(path, text, key, lines):
    expected = f"{key}: found on line {lines[0]} and on line {lines[1]}; expected once; delete one"
    assert problem_of(path, text) == expected


def test_the_faults_of_all_files_are_told(path):
    other = path.with_name("other.json")
    path.write_text("a: 1\na: 2\n")
    other.write_text('{"b": 1, "b": 2}')
    with pytest.raises(ValueError, match="line") as caught:
        configfiles.check([path, other])
    assert [line.split(": ")[:2] for line in str(caught.value).splitlines()] == [[str(path), "a"], [str(other), "b"]]


names = st.text("abc:{}[]\"'\\\n,é\t ", max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, values, min_size=1, max_size=4), st.sampled_from([None, 1, "\t"]))
def test_what_has_each_key_once_passes_in_either_format(path, config, indent):
    path.write_text(json.dumps(config, indent=indent))
    configfiles.check([path])
    path.write_text(yaml.safe_dump(config, allow_unicode=True))
    configfiles.check([path])


@given(st.dictionaries(names, values, min_size=1, max_size=4), st.data())
def test_any_key_that_is_written_again_is_found_in_either_format(path, config, data):
    key = data.draw(st.sampled_from(list(config)))
    line = json.dumps(config, indent=1)
    assert "; expected once;" in problem_of(path, f"{line[:-2]},\n{json.dumps(key)}: 0}}")
    items = [f"? {json.dumps(name)}\n: {json.dumps(value)}\n" for name, value in [*config.items(), (key, 0)]]
    assert "; expected once;" in problem_of(path, "".join(items))


@pytest.mark.parametrize("text", ["a: &x {b: 1}\nc: *x\nd: *x\n", "x: &x {b: 1}\nc: {<<: *x, b: 2}\n"])
def test_aliases_and_merged_keys_are_no_fault(path, text):
    path.write_text(text)
    configfiles.check([path])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (bomb("lists"), "more than 10000 values"),
        (bomb("sections"), "more than 10000 values"),
        (bomb("merges"), "more than 10000 values"),
        ("frames: " + "[" * 100_000, "more than 20 levels"),
        ("frames: " + "[" * 100_000 + "]" * 100_000, "more than 20 levels"),
        ('{"frames": ' + "[" * 100_000 + "]" * 100_000 + "}", "more than 20 levels"),
        ('{"frames": ' + "[" * 30 + "]" * 30 + "}", "more than 20 levels"),
        ("".join(f"{' ' * level}a:\n" for level in range(1000)), "more than 20 levels"),
        ("frames: a\n" + "#" * 5_000_000, "more than 1000000 bytes"),
        ("masked:\n" + "- a\n" * 20_000, "more than 10000 values"),
        ("masked: &x [*x]", "line 1: found the alias *x"),
        ("masked: *x", "alias"),
    ],
    ids=range(12),
)
def test_what_would_take_for_ever_is_refused_within_a_second(path, text, told):
    start = time.process_time()
    assert told in problem_of(path, text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "text",
    [
        "a: [1\nb: 2",
        "a: 1\n\tb: 2",
        "frames: !!python/object/apply:os.system ['touch x']",
        "frames: 2025-13-45",
        f"frames: {'9' * 5000}",
        "a: 1\n---\nb: 2",
        "{a: b}: 1",
        "a: \x07",
        "",
        "# all keys are commented out\n",
        "[1, 2]",
        "frames",
        "12",
    ],
)
def test_what_is_no_configuration_is_told_in_one_line(path, text):
    problem_of(path, text)


@given(st.text("ab12:{}[]\"'\\\n,&*!|>?-<% \t", max_size=40))
@example("? ")
@example("<<: 1")
@example("&a *a")
def test_any_text_passes_or_is_told_in_one_line(path, text):
    path.write_text(text)
    problem = f"{path}: none"
    try:
        configfiles.check([path])
    except ValueError as error:
        problem = str(error)
    assert problem.startswith(f"{path}: ") and len(problem.splitlines()) == 1


def test_what_is_no_utf8_and_what_cannot_be_read_is_told(path):
    path.write_bytes(b"frames: \xff")
    with pytest.raises(ValueError, match="no UTF-8"):
        configfiles.check([path])
    with pytest.raises(ValueError, match=f"^{path.parent}: Is a directory; expected a file"):
        configfiles.check([path.parent])


@pytest.mark.parametrize("form", ["lists", "sections"])
def test_a_configuration_whose_parts_multiply_is_refused_within_a_second(form):
    config = yaml.safe_load(bomb(form))
    start = time.process_time()
    with pytest.raises(ValueError, match=r"^configuration: found more than 10000 values"):
        validated(config)
    assert time.process_time() - start < 1


def test_a_file_is_loaded_and_none_is_empty(tmp_path):
    assert configfiles.load(tmp_path / "no such.yaml") == {}
    (tmp_path / "a.yaml").write_text("\ufeffunit: adu\ncosmic_rays: {niter: 2}\n", encoding="utf-8")
    (tmp_path / "b.json").write_text('{"unit": "electron"}')
    assert configfiles.load(tmp_path / "a.yaml") == {"unit": "adu", "cosmic_rays": {"niter": 2}}
    assert configfiles.load(tmp_path / "b.json") == {"unit": "electron"}
    for text in ("unit: [", "unit: adu\nunit: adu\n", "- a\n"):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(ValueError, match=r"a\.yaml: "):
            configfiles.load(tmp_path / "a.yaml")
    (tmp_path / "c.yaml").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"c\.yaml: No such file or directory"):
        configfiles.load(tmp_path / "c.yaml")
