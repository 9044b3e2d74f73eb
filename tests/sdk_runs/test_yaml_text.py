"""YAML of configuration files: what PyYAML reads, the small reader of jobs reads alike or refuses by line."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from azureml._run_impl.small_yaml import load_small_yaml
from azureml._run_impl.yaml_scalars import YamlSubsetError
from azureml._run_impl.yaml_text import dump, load

CONDA_FILE = """\
name: project_environment
channels: [conda-forge,
 defaults]
dependencies:
  # Python itself
  - python=3.6.2
  - scikit-learn>=0.20   # no newer one is wanted
  - pip:
    - azureml-defaults
    - "mpi4py>=3.0"
    - git+https://example.org/repo.git@main#egg=thing
"""
CONDA_CONTENT = {
    "name": "project_environment",
    "channels": ["conda-forge", "defaults"],
    "dependencies": [
        "python=3.6.2",
        "scikit-learn>=0.20",
        {"pip": ["azureml-defaults", "mpi4py>=3.0", "git+https://example.org/repo.git@main#egg=thing"]},
    ],
}
# Forms that files of public projects have, each with what is special about it.
FORMS = {
    "flow in flow": "a: [x, [y, {k: v, 'q': \"r\"}], ]",
    "flow map over lines": "a: {\n  one: 1, # first\n  two:\n    2,\n}",
    "pairs in a list": "[a: 1, b]",
    "list at the level of its key": "a:\n- x\n- y\nb:\n  - z",
    "lists in lists": "- - a\n  - b\n-\n  - c\n- ",
    "a map that begins on the line of its dash": "-   name: x\n    steps:\n    - run: y\n-   name: z",
    "literal": "run: |\n  first\n    second\n\n  third\nnext: 1",
    "folded": "text: >\n  one\n  two\n\n  three\n    deeper\n  four\nnext: 1",
    "chomping": "a: |-\n  x\n\nb: |+\n  y\n\nc: >-\n  z\n",
    "indentation of a text": "a: |2\n    x\n  y\n",
    "a text in a list": "- |\n  x\n- >\n  y\n",
    "plain text over lines": "description: some words\n  and more of them\n\n  and a line\nnext: 1",
    "quoted text over lines": "a: \"one\n  two\\\n  three\n\n  four\"\nb: 'five\n  it''s'",
    "escapes": r'a: "\t\x41\u00e9\U0001F600\\\"\e"',
    "words of 1.1": "a: yes\nb: No\nc: on\nd: OFF\ne: ~\nf: Null\ng: y\nh: nUll",
    "numbers": "a: 010\nb: 0x1F\nc: 0b11\nd: 1_000\ne: 1:30\nf: .5\ng: 1e5\nh: 1.5e+3\nl: 08",
    "more numbers": "i: -.inf\nj: 3.6.2\nk: 1.",
    "dates stay texts": "a: 2019-05-01\nb: 2019-05-01T10:00:00Z",
    "documents": "--- # first\na: 1\n...\n",
    "begins with a document": "---\n- a\n",
    "value behind the mark": "--- {a: 1}",
    "quoted keys": "\"a: b\": 1\n'c': 2\n? ",
    "colons in words": "a: http://example.org:80/x\nb: c:d\ne: ::f",
    "hashes in words": "a: b#c\nd: 'e # f' # g\nh: [i#j, k] # l",
    "nothing": "a:\nb:\n  - \n  - # nothing\n  -",
    "windows": "a: 1\r\nb:\r\n  - x\r\n",
    "comments everywhere": "# a\na: # b\n  # c\n  b: 1 # d\n# e\n\nc: 2",
    "only a comment": "# nothing",
    "empty": "",
    "a word": "word",
    "template": "- pip\n- '{{ name }}'\n",
}


# Each line has nine times what the line before has.
BOMB = "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(20))


@pytest.fixture
def without_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a training environment with nothing installed."""
    monkeypatch.setitem(sys.modules, "yaml", None)


@pytest.mark.usefixtures("without_yaml")
def test_without_pyyaml_a_conda_file_is_read() -> None:
    assert load(CONDA_FILE) == CONDA_CONTENT


def test_what_we_write_is_read_back() -> None:
    value = {
        "text": [
            "1.5",
            "yes",
            "- x",
            "a: b",
            "",
            ">=3",
            "é\n",
            " padded ",
            "#no",
            "null",
            "~",
            "'q'",
            '"',
            "2019-05-01",
        ],
        "values": {"none": None, "true": True, "int": 3, "float": 1e-05, "list": [], "map": {}, "inf": float("inf")},
        "nested": [{"a": 1, "b": [1, [2, 3]]}, ["x", {"y": "z"}]],
    }
    assert load(dump(value)) == load_small_yaml(dump(value)) == value


def test_with_pyyaml_too() -> None:
    assert load(CONDA_FILE) == CONDA_CONTENT


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_both_readers_agree(text: str) -> None:
    try:
        expected = load(text)
    except YamlSubsetError:
        with pytest.raises(YamlSubsetError):
            load_small_yaml(text)
        return
    if "?" in text:
        with pytest.raises(YamlSubsetError, match="complex keys"):
            load_small_yaml(text)
        return
    found = load_small_yaml(text)
    assert repr(found) == repr(expected)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["1.5", "no", "- x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.booleans() | st.none(), st.sampled_from([10, 40, 200]), st.booleans())
def test_the_small_reader_reads_what_pyyaml_writes(value: Any, flow: bool | None, width: int, unicode: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, width=width, allow_unicode=unicode, sort_keys=False)
    try:
        found = load_small_yaml(text)
    except YamlSubsetError as error:
        # PyYAML writes keys that are long, or of several lines, in a form of their own.
        assert ("complex keys" in str(error) and "? " in text) or "line break of Unicode" in str(error)
        return
    assert repr(found) == repr(yaml.safe_load(text))


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_both_read_what_we_write(value: Any) -> None:
    text = dump(value)
    assert repr(load(text)) == repr(value)
    assert repr(load_small_yaml(text)) == repr(value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &anchor 1", 1),
        ("a: *anchor", 1),
        ("a: !!str 1", 1),
        ("a: 1\na: 2", 2),
        ("a: {b: 1, b: 2}", 1),
        ("b: 1\na: 'open", 2),
        ('a: "open', 1),
        ("a: [1, 2", 1),
        ("a: [1 2", 1),
        ("a: {b", 1),
        ("a: [1] 2", 1),
        ("a: 1\n   b: 2", 2),
        ("a:\n   b: 2\n  c: 3", 3),
        ("\ta: 1", 1),
        ("a: b: c", 1),
        ("a: 1\nb", 2),
        ("a: 1\n- b", 2),
        ("a\n---\nb", 2),
        ("a: @b", 1),
        ("a: |x\n b", 1),
        ('a: "\\q"', 1),
        ("%YAML 1.1\n---\na: 1", 1),
        ("- " * 100 + "x", 1),
        ("[" * 100 + "]" * 100, 1),
    ],
)
def test_what_is_not_read_is_refused_by_line(text: str, line: int) -> None:
    with pytest.raises(YamlSubsetError, match=rf"Line {line} "):
        load_small_yaml(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "aliases"),
        ("a: &a [*a]", "endless"),
        ("[" * 5000 + "]" * 5000, "64 levels"),
        ("a: 1\na: 2", "comes twice"),
        ("x" * 5_000_000, "longer than"),
        ("a: !!python/object/apply:os.system [true]", "not valid"),
        ("a: [", "not valid"),
        ("- a\n--- \n- b", "not valid"),
    ],
    ids=["bomb", "circle", "depth", "twice", "length", "objects", "open", "two documents"],
)  # fmt: skip
def test_with_pyyaml_hostile_files_are_refused(text: str, why: str) -> None:
    with pytest.raises(YamlSubsetError, match=why):
        load(text)


@pytest.mark.parametrize(
    "piece", ["a", " ", "'", '"', "[", "{", "- ", "a: ", "\n", "x:\n", ":", "#", "|\n", "a: |\n \n", "_", "1:"]
)
def test_the_small_reader_takes_time_in_proportion(piece: str) -> None:
    """With a step for each pair of characters this would take hours."""
    text = "a: " + piece * (150_000 // len(piece))
    with suppress(YamlSubsetError):
        load_small_yaml(text)
