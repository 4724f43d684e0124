"""The quick reader of ordinary YAML against the full parser: the same values at the same places, or nothing."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.config.yaml import fast_reader, reader
from reconciler.model.problems import Problems

ROOT = Path(__file__).parents[2]
CORPUS = sorted(
    path for folder in ("environments", "tests") for path in (ROOT / folder).rglob("*.yaml") if path.stat().st_size
)
# What a text in a file may be made of; the odd ones are there to be refused
_PIECES = [
    *(
        "a",
        "key",
        "true",
        "null",
        "~",
        "12",
        "1.5",
        "012",
        "x y",
        "a:b",
        "a#b",
        "it's",
        "-",
        "--x",
        "é",
        "\u00a0",
        "<<",
    ),
    *(": ", ":", "- ", " ", "  ", "    ", "\n", "\n  ", "\n    ", "\n- ", "\n  - ", "#", " # c", ",", ", ", "?", "? "),
    *(
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        '"a b"',
        "'c d'",
        '"\\n"',
        '"\\""',
        "''",
        "''''",
        "&a ",
        "*a",
        "!t ",
        "|",
        ">",
        "|-",
    ),
    *(
        "|\n    text\n    more\n",
        ">-\n      folded\n      text\n",
        "${var.x}",
        "%",
        "@",
        "`",
        "\t",
        "\r\n",
        "\\",
        "---",
        "...",
    ),
]


def agreed(text: str) -> bool:
    """Whether the quick reader read the text; then the full parser must have read the same."""
    quick = fast_reader.read(text, "f.yaml")
    if quick is None:
        return False
    full = reader.fully(text, "f.yaml")
    assert flat(full) == flat(quick)
    return True


def flat(node):
    """Values, types and places, comparable."""
    if isinstance(node.value, dict):
        return node.pos, [(name, flat(item)) for name, item in node.value.items()]
    if isinstance(node.value, list):
        return node.pos, "list", [flat(item) for item in node.value]
    return node.pos, type(node.value), node.value


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_there_is_reads_the_same(path):
    agreed(path.read_text("utf-8"))


def test_nearly_every_file_of_the_environments_is_ordinary():
    paths = [path for path in CORPUS if path.is_relative_to(ROOT / "environments")]
    read = [path for path in paths if agreed(path.read_text("utf-8"))]

    assert len(read) >= 0.9 * len(paths)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_file_with_something_amiss_reads_the_same_or_is_left_to_the_full_parser(data):
    text = data.draw(st.sampled_from(CORPUS)).read_text("utf-8")
    lines = text.split("\n")
    start = data.draw(st.integers(0, len(lines) - 1))
    text = "\n".join(lines[start : start + 25])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.sampled_from(["", *_PIECES])) + text[at + cut :]

    if not control(text):
        quietly(text)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=25))
@example(["key", ": ", "|\n    text\n    more\n"])
def test_any_mixture_reads_the_same_or_is_left_to_the_full_parser(pieces):
    quietly("".join(pieces))


def quietly(text):
    try:
        agreed(text)
    except Problems as error:
        raise AssertionError(f"only the quick reader takes {text!r}: {error}") from error


def control(text):
    return re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.sampled_from(
        ["", "a", "a b", "arn:aws:iam::1:role/x", "${var.x}", "#", "- a", "a: b", "it's", 'say "x"', "012", "*"]
    ),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["a", "b", "c d", "e-f", "/g", "h.i"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["one", "two", "three"]), _values, min_size=1), st.data())
def test_whatever_is_written_the_ordinary_way_is_read_back_quickly(value, data):
    text = written(value, 0, data)

    assert agreed(text)
    assert reader.read(text.encode(), "f.yaml").value.keys() == value.keys()


def written(value, depth, data):
    """Block style, now and then in brackets; texts in quotes."""
    pad = "  " * depth
    if isinstance(value, dict) and value:
        return "".join(f"{pad}{name}:{below(item, depth, data)}" for name, item in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{pad}-{below(item, depth, data)}" for item in value)
    raise AssertionError(value)


def below(value, depth, data):
    if isinstance(value, dict | list) and value and data.draw(st.booleans()):
        return "\n" + written(value, depth + 1, data)
    return f" {inline(value)}\n"


def inline(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {inline(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "null" if value is None else str(value).lower()


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [1, 2]\n",
        "a:\n- 1\n- b: 2\n  c:\n  - d\n-\ne:\n",
        "# a comment\n---\n\na: b # and here\n",
        "a: {b: [c, {d: 'e'}], \"f\": g,\n    h: i} # c\n",
        '{"jobDefinitions": {"a": {"vcpus": 1, "command": ["x", "--y", "z:1"]}}}\n',
        "a:\r\n  b: c\r\n",
        "a: |\n  #!/bin/sh\n\n  echo $x: y\n   more\nb: >-\n  one\n  two\n",
        'a: \'it\'\'s\'\n"b c" : "x\\n\\"y\\""\n',
        "- - a\n  - b\n- c: d\n  e: f\n",
        "a: -x\nb: --y\nc: a:b\nd: http://x/?y=z#w\n",
    ],
)
def test_the_ordinary_is_read_quickly(text):
    assert agreed(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n",
        "a: &x 1\nb: *x\n",
        "a: {<<: b}\n",
        "<<: {a: b}\n",
        "a: !Ref b\n",
        "a: b\n  c\n",
        "a: b: c\n",
        "a: [b: c]\n",
        "a: 1\n---\nb: 2\n",
        "a:\n\t- b\n",
        "? a\n: b\n",
        "1: a\n",
        "true: a\n",
        "a: b\n c: d\n",
        "a: [b\n",
        "a: 'b\n",
        '"": a\n',
        "a",
        "",
        "a: %b\n",
        "a: {b}\n",
        "a: [,]\n",
        "a: " + "[" * 100 + "]" * 100 + "\n",
        "x" * 2000 + ": a\n",
    ],
)
def test_the_rest_is_left_to_the_full_parser(text):
    assert fast_reader.read(text, "f.yaml") is None
