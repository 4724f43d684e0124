"""libyaml and ruamel's parser read the same values at the same places, and either alone will do."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.config.yaml import libyaml as quick
from reconciler.config.yaml import reader as yamlfile
from reconciler.model.problems import Problems
from tests.support.long import LONG

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "environments").rglob("*.yaml"))

# What a text in a file may be made of
_PIECES = [
    *(
        "a",
        "key",
        "true",
        "Null",
        "FALSE",
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
    ),
    *(": ", ":", "- ", " ", "  ", "    ", "\n", "\n  ", "\n    ", "\n- ", "\n  - ", "#", " # c", ",", ", ", "?", "? "),
    *("[", "]", "{", "}", '"', "'", '"a b"', "'c d'", '"\\n"', '"\\""', "''", "''''", "\\", "${var.x}"),
    *("&a ", "*a ", "&a:b ", "*a", "<<", "<<: *a", "!t ", "! ", "!!str ", "%", "@", "`", "%YAML 1.1\n", "%FOO\n"),
    *("|", ">", "|-", "|+\n", ">2\n", "|#", "|\n \n", "|\n    text\n    more\n", ">-\n      folded\n      text\n"),
    *("\t", "\r\n", "\r", "\x85", "\u2028", "\ufeff", "\U0001f600", "---", "...", "\n---\n", "\n...\n"),
    *('"\\x41\\u00e9\\/\\_\\N\\e\\0"', '"\\ud83d\\ude00"', '"a\\\n  b"', "'a\n\n b'", "a\n b\n\n c", "? a\n: b\n"),
]


def flat(node):
    """Values, types and places, comparable."""
    if isinstance(node.value, dict):
        return node.pos, [(name, flat(item)) for name, item in node.value.items()]
    if isinstance(node.value, list):
        return node.pos, "list", [flat(item) for item in node.value]
    return node.pos, type(node.value), node.value


def outcome(read):
    """What reading gives: the values, or all that is said."""
    try:
        return flat(read())
    except Problems as error:
        return error.problems


def same(text):
    """Both ways agree, in what they read and in what they say."""
    if re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text):
        return
    full = text.removeprefix("\ufeff")
    assert outcome(lambda: yamlfile.read(text.encode(), "f.yaml")) == outcome(lambda: yamlfile.fully(full, "f.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_of_the_environments_reads_the_same(path):
    text = path.read_text("utf-8")
    read = yamlfile.quickly(text, "f")

    assert read
    assert flat(read) == flat(yamlfile.fully(text, "f"))


@settings(max_examples=100 if LONG else 30, deadline=None)
@given(st.data())
def test_a_file_with_something_amiss_reads_the_same(data):
    lines = data.draw(st.sampled_from(FILES)).read_text("utf-8").split("\n")
    start = data.draw(st.integers(0, len(lines) - 1))
    text = "\n".join(lines[start : start + 15])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.sampled_from(["", *_PIECES])) + text[at + cut :]
    same(text)


@settings(max_examples=300 if LONG else 30, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=15))
@example(["key", ": ", "|\n    text\n    more\n"])
@example(["a: ", '"\\ud83d\\ude00"'])
@example(["a: &x?y\n"])
@example(["a: |#\n  b\n"])
@example(["a: |\n \n  b\n"])
@example(["a: 1\n...\n...\n"])
@example(["a:\u2028  b: 1\n"])
def test_any_mixture_reads_the_same(pieces):
    same("".join(pieces))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: [1, 2]\n", {"a": 1, "b": [1, 2]}),
        ("a:\n- 1\n- b: 2\n  c:\n  - d\n-\ne:\n", {"a": [1, {"b": 2, "c": ["d"]}, None], "e": None}),
        ("# a comment\n---\n\na: b # and here\n", {"a": "b"}),
        ("a: {b: [c, {d: 'e'}], \"f\": g,\n    h: i} # c\n", {"a": {"b": ["c", {"d": "e"}], "f": "g", "h": "i"}}),
        ('{"a": {"vcpus": 1, "command": ["x", "--y", "z:1"]}}\n', {"a": {"vcpus": 1, "command": ["x", "--y", "z:1"]}}),
        ("a:\r\n  b: c\r\n", {"a": {"b": "c"}}),
        ("a: |\n  #!/bin/sh\n\n  echo $x: y\n   more\n", {"a": "#!/bin/sh\n\necho $x: y\n more\n"}),
        ("b: >-\n  one\n  two\n", {"b": "one two"}),
        ("a: one\n  two\n", {"a": "one two"}),
        ("a: |\n  one:\n  \ttwo\n", {"a": "one:\n\ttwo\n"}),
        ('a: \'it\'\'s\'\n"b c" : "x\\n\\"y\\""\n', {"a": "it's", "b c": 'x\n"y"'}),
        ("- - a\n  - b\n- c: d\n  e: f\n", [["a", "b"], {"c": "d", "e": "f"}]),
        ("a: -x\nb: --y\nc: a:b\nd: http://x/?y=z#w\n", {"a": "-x", "b": "--y", "c": "a:b", "d": "http://x/?y=z#w"}),
        ("a: &x {b: 1}\nc: {<<: *x, d: no}\n", {"a": {"b": 1}, "c": {"b": 1, "d": "no"}}),
        ("? a\n: b\n", {"a": "b"}),
        ("%YAML 1.1\n---\na: [no, on, 012, 1_000]\n", {"a": ["no", "on", "012", "1_000"]}),
        ("", {}),
    ],
)
@pytest.mark.parametrize("libyaml", [True, False])
def test_either_parser_reads(text, value, libyaml, monkeypatch):
    if not libyaml:
        monkeypatch.setattr(quick, "CParser", None)

    assert plain(yamlfile.read(text.encode(), "f.yaml")) == value


def plain(node):
    if isinstance(node.value, dict):
        return {name: plain(item) for name, item in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


@pytest.mark.parametrize("libyaml", [True, False])
def test_either_parser_knows_where_everything_stands(libyaml, monkeypatch):
    if not libyaml:
        monkeypatch.setattr(quick, "CParser", None)
    text = 'é: "ü"\n\U0001f600: [&x ö, *x,\n  {k: 1}]\nl:\n  - |\n    t\n  -   - u\n'

    root = yamlfile.read(text.encode(), "f.yaml")
    emoji, block = root.value["\U0001f600"], root.value["l"]
    nodes = [root, *root.value.values(), *emoji.value, emoji.value[2].value["k"], *block.value, *block.value[1].value]

    assert [(node.pos.line, node.pos.column) for node in nodes] == [
        *((1, 1), (1, 1), (2, 1), (4, 1)),
        *((2, 5), (2, 11), (3, 3), (3, 4)),
        *((5, 5), (7, 7), (7, 9)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("a: 1\na: 2\n", "a: !Ref b\n", "a: b: c\n", "a: 1\n---\nb: 2\n", "1: a\n", "true: a\n", "a: *b\n"),
        *("a: b\n c: d\n", "a: [b\n", "a: 'b\n", '"": a\n', "a", "a: %b\n", "a: [,]\n", "a:\n\t- b\n"),
        *("a: " + "[" * 100 + "]" * 100 + "\n", "x" * 2000 + ": a\n", "a: {<<: b}\n"),
    ],
)
def test_what_is_wrong_is_said_alike(text):
    same(text)
