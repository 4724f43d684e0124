"""A value is changed in a text of YAML: what is read has it, and every other line is as it was."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

from reconciler.config.yaml import reader
from reconciler.config.yaml.edit import CannotEdit, Text
from tests.support.long import LONG

TEXT = """\
# top
jobQueues:

  "a/b":   # quoted
    number: 1   # one
    single: 'it''s'
    double: "two"
    plain: word
    none:
    flow: {x: 1, y: [1, 2]}   # flow
    list:   # of words
      - one   # first
      # second
      - two
    maps:
      - name: a
        value: 1
      - {name: b, value: 2}
    nested:
      deep:
        leaf: 1
    text: |
      line one

      line two
  # the end
  other: {number: 1}
last: x"""
PLACE = ("jobQueues", "a/b")
VALUES: tuple[Any, ...] = (
    *(0, -3, 2.5, True, False, None, [], {}, "", " ", "word", "two words", "true", "null", "~", "yes", "012", "1e3"),
    *("- x", "a: b", "a #b", "it's", 'say "x"', "*", "&a", "!t", "%", "@at", "`", "{", "]", ",", "?", ":", "#", "\\"),
    *(
        "${x}",
        "$${x}",
        "a\nb",
        "a\nb\n",
        "\n",
        "tab\there",
        "\x85",
        "\u2028",
        "é ☃ 𝄞",
        "\ufeff",
        "x" * 200,
        "a" * 90 + ": b",
    ),
    *(
        [1, "two", [3], {"four": 4}],
        {"a b": {"c": [None, "x: y"]}, "12": "#"},
        [{"long": "x" * 90, "more": ["y"] * 30}],
    ),
)
PATHS = (
    *(("number",), ("single",), ("double",), ("plain",), ("none",), ("flow",), ("flow", "x"), ("flow", "y", 1)),
    *(("flow", "new"), ("list",), ("list", 0), ("maps", 0, "value"), ("maps", 1, "value"), ("maps", 1), ("nested",)),
    *(("nested", "deep", "leaf"), ("nested", "deep", "more"), ("text",), ("new",), ("new", "below"), ("new", "b", "c")),
)


def plain(node: Any) -> Any:
    if isinstance(node.value, dict):
        return {name: plain(item) for name, item in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def read(text: str) -> Any:
    return plain(reader.read(text.encode(), "f.yaml"))


def meant(value: Any) -> Any:
    """What is read for ``value``: in texts ``${`` is written as ``$${``."""
    if isinstance(value, dict):
        return {name: meant(item) for name, item in value.items()}
    if isinstance(value, list):
        return [meant(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("path", PATHS, ids=str)
def test_every_value_is_read_back(path: tuple[Any, ...], newline: str) -> None:
    few = VALUES if LONG else VALUES[PATHS.index(path) % 5 :: 5] if newline == "\n" else VALUES[::15]
    for value in few:
        text = Text(TEXT.replace("\n", newline))
        text.set((*PLACE, *path), value)

        expected = read(TEXT)
        at = expected["jobQueues"]["a/b"]
        for part in path[:-1]:
            at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
        at[path[-1]] = meant(value)
        assert read(text.text) == expected, text.text
        assert text.text.count("\n") == text.text.count(newline)
        kept = difflib.SequenceMatcher(a=TEXT.split("\n"), b=text.text.split(newline), autojunk=False)
        gone = sum(i2 - i1 for action, i1, i2, *_ in kept.get_opcodes() if action in ("replace", "delete"))
        old = len(TEXT.split("\n")) if not path else {"list": 4, "maps": 4, "nested": 3, "text": 4}.get(path[-1], 1)
        assert gone <= old
        assert text.text.count("#") >= TEXT.count("#") - 2


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        (("number",), ["    number: 1   # one"]),
        (("flow", "x"), ["    flow: {x: 1, y: [1, 2]}   # flow"]),
        (("flow", "y", 1), ["    flow: {x: 1, y: [1, 2]}   # flow"]),
        (("list", 0), ["      - one   # first"]),
        (("list", 1), ["      - two"]),
        (("maps", 0, "name"), ["      - name: a", "        value: 1"]),
        (("maps", 0, "value"), ["        value: 1"]),
        (("nested", "deep", "leaf"), ["    nested:", "      deep:", "        leaf: 1"]),
        (("text",), ["    text: |", "      line one", "", "      line two"]),
    ],
    ids=str,
)
def test_a_member_is_removed(path: tuple[Any, ...], lines: list[str]) -> None:
    text = Text(TEXT)
    text.remove((*PLACE, *path))
    changes = [*difflib.unified_diff(TEXT.split("\n"), text.text.split("\n"), n=0, lineterm="")][2:]
    assert [line[1:] for line in changes if line.startswith("-")] == lines
    at: Any = read(text.text)["jobQueues"]["a/b"]
    assert path[0] not in at or len(str(at[path[0]])) < len(str(read(TEXT)["jobQueues"]["a/b"][path[0]]))


@pytest.mark.parametrize("after", [["two"], ["zero", "one", "two"], ["one", "x", "two"], ["two", "one"], ["x"], []])
@pytest.mark.parametrize("member", ["list", "words"])
def test_a_list_is_changed_item_by_item(member: str, after: list[str]) -> None:
    start = TEXT.replace("    flow:", "    words: [one, two]   # in a row\n    flow:")
    text = Text(start)
    text.update((*PLACE, member), ["one", "two"], after)
    expected = read(start)
    expected["jobQueues"]["a/b"][member] = after
    assert read(text.text) == expected
    if member == "list" and "one" in after[:1]:
        assert "- one   # first" in text.text and "# second" in text.text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("number: ${var.n}", "the value comes from an expression"),
        ("number: &m 5", "an anchor shares this value"),
        ("number: *n", "an alias takes this value"),
        ("number: {x: &m 5}", ""),
        ('number: "$${literal}"', ""),
    ],
)
def test_what_is_shared_or_computed_is_refused(line: str, why: str) -> None:
    text = Text(f"first: &n 1\njobQueues:\n  q:\n    {line}\n")
    before = text.text
    if not why:
        text.set(("jobQueues", "q", "number"), 7)
        assert "    number: 7\n" in text.text
        return
    with pytest.raises(CannotEdit, match=why) as caught:
        text.set(("jobQueues", "q", "number"), 7)
    assert caught.value.place and text.text == before


def test_json_within_a_text_is_changed_in_place() -> None:
    start = """topics:
  t:
    policy: |  # pasted
      {"A": "$${x}", "B": "${account}",
       "C": ["one"]}
    other: '{"A": {"B": 1}}'
    yaml: "{A: 1}"
    filed: "${file:policy.json}"
"""
    text = Text(start)
    for path, value in (
        (("policy", "C"), ["one", 'two "${y}"']),
        (("policy", "D"), None),
        (("other", "A", "C"), "it's"),
    ):
        inner = text.text_on(("topics", "t", *path))
        assert inner is not None
        inner[1].set(path[1:], value)
        text.set_text(*inner)
    expected = start.replace('"C": ["one"]}', '"C": ["one", "two \\"$${y}\\""], "D": null}')
    assert text.text == expected.replace("""'{"A": {"B": 1}}'""", """'{"A": {"B": 1, "C": "it''s"}}'""")
    other = text.text_on(("topics", "t", "yaml", "A"))
    assert other is not None
    other[1].set(("A",), 2)
    with pytest.raises(CannotEdit, match="not JSON that can be changed in place") as caught:
        text.set_text(*other)
    assert caught.value.place == (7, 5)
    assert text.text_on(("topics", "t", "filed", "A")) is None
    with pytest.raises(CannotEdit, match="the value comes from an expression"):
        text.set(("topics", "t", "filed", "A"), 2)
