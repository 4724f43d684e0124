"""What is written as YAML is read as the same, and looks as people write it; what is added leaves the rest as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.config.yaml import addition, emit, reader
from reconciler.config.yaml.edit import CannotEdit
from reconciler.config.yaml.emit import Member, Style
from tests.support.long import LONG, some

ODD = " \n\tab:#-'\"{}[],|>*&!%@`~=?0123.eE_$yno"
texts = st.one_of(st.text(max_size=10), st.text(alphabet=ODD, max_size=12))
names = texts.filter(bool).filter(lambda name: name != "<<")
leaves = st.one_of(st.none(), st.booleans(), st.integers(-(10**17), 10**17), texts)
values = st.recursive(
    leaves,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(names, below, max_size=5)),
    max_leaves=10,
)
mappings = st.dictionaries(names, values, min_size=1, max_size=4)
styles = st.sampled_from([Style(), Style(dash=0), Style(indent=4, dash=4), Style(indent=4, dash=2)])
EXAMPLES = sorted(Path("environments").rglob("*.yaml"))


STYLE = Style()


def written(value: dict[str, Any], style: Style = STYLE) -> str:
    made = [line for name, item in value.items() for line in emit.lines(Member(name=name, value=item), 0, style)]
    return "".join(line + style.newline for line in made)


@settings(max_examples=2000 if LONG else 40, deadline=None)
@given(mappings, styles)
def test_what_is_written_is_read_back(value: dict[str, Any], style: Style) -> None:
    read = reader.read(written(value, style).encode("utf-8", "surrogatepass"), "f.yaml")

    assert addition.plain(read) == value
    assert not getattr(read, "warnings", ())  # no number that other readers lose


@pytest.mark.long
@given(mappings)
@settings(max_examples=500 if LONG else 30, deadline=None)
def test_other_readers_read_the_same(value: dict[str, Any]) -> None:
    assert YAML(typ="safe", pure=True).load(written(value)) == value


LOOKS = {
    "plain words": (
        {"a": "m5.xlarge", "b": "s3:GetObject", "c": "team*"},
        ["a: m5.xlarge", "b: s3:GetObject", "c: team*"],
    ),
    "what other readers take for something else": (
        {
            "a": "123456789012",
            "b": "2012-10-17",
            "c": "no",
            "d": "1e3",
            "e": "0x1f",
            "f": "12:30",
            "g": "null",
            "h": "~",
        },
        [
            'a: "123456789012"',
            'b: "2012-10-17"',
            'c: "no"',
            'd: "1e3"',
            'e: "0x1f"',
            'f: "12:30"',
            'g: "null"',
            'h: "~"',
        ],
    ),
    "expressions": (
        {"a": "${lookups.vpc}", "b": '${logGroups["/x"].name}'},
        ['a: "${lookups.vpc}"', "b: '${logGroups[\"/x\"].name}'"],
    ),
    "options of a command": ({"a": ["--config", "-x", "-1", "a, b"]}, ['a: [--config, -x, "-1", "a, b"]']),
    "short mappings": (
        {"a": {"order": 1}, "b": [{"order": 1, "of": "x"}], "c": {}, "d": [], "e": {"x": {"z": 1}}},
        ["a: {order: 1}", "b:", "  - {order: 1, of: x}", "c: {}", "d: []", "e: {x: {z: 1}}"],
    ),
    "items are written alike": (
        {"a": [{"k": 1}, {"k": 1, "l": [2]}]},
        ["a:", "  - k: 1", "  - k: 1", "    l: [2]"],
    ),
    "long lists": ({"a": ["x" * 50, "y" * 50]}, ["a:", f"  - {'x' * 50}", f"  - {'y' * 50}"]),
    "a script": (
        {"a": "#!/bin/sh\nset -e\n", "b": ["sh", "-c", "one\ntwo"]},
        ["a: |", "  #!/bin/sh", "  set -e", "b:", "  - sh", "  - -c", "  - |-", "    one", "    two"],
    ),
    "a script that starts with an empty line": ({"a": "\n#!/bin/sh\n"}, ["a: |2", "", "  #!/bin/sh"]),
}


@pytest.mark.parametrize("name", LOOKS)
def test_how_it_looks(name: str) -> None:
    value, lines = LOOKS[name]

    assert written(value).splitlines() == lines
    assert addition.plain(reader.read(written(value).encode(), "f.yaml")) == value


def test_comments_are_above_what_they_are_about() -> None:
    value = {"image": "x", "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "t": {"a": 1}}
    comments = {"": "It is\nold", "environment[1].value": "a secret", "missing.below": "not expressed", "t.a": "why"}
    lines = emit.lines(Member(name="job", value=value, comments=comments, opened=True), 2, STYLE)

    assert "\n".join(lines) == (
        "  # It is\n  # old\n  # not expressed\n  job:\n    image: x\n    environment:\n"
        '      - name: A\n        value: "1"\n      - name: B\n        # a secret\n        value: "2"\n'
        "    t:\n      # why\n      a: 1"
    )


# --- adding ----------------------------------------------------------------------------------------------------------

NEW = [
    Member(
        name="new",
        value={"priority": 1, "order": [{"order": 1, "of": "x"}], "text": "a\nb\n"},
        comments={"": "Seen"},
        opened=True,
    ),
    Member(name="last", value={}),
]
FILES = (
    "",
    "# only a comment\n",
    "jobQueues:\n",
    "jobQueues:  # none yet\nroles: {}\n",
    "jobQueues: {}\n",
    "# queues\njobQueues: {}  # none yet\n\nroles: {}\n",
    "jobQueues: {a: {b: 1}} # c\nroles: {}\n",
    '{"jobQueues": {"a": {}}}\n',
    "{}\n",
    "jobQueues:\n    a:\n        x:\n        - 1\n        - b:\n            - c\n    # of the section\n\n# of roles\nroles: {}\n",
    "jobQueues:\n  a:\n    s: |+\n      text\n\n\nroles: {}\n",
    "jobQueues:\n  a:\n    s: >\n      text\n      # text\n    # a comment\nroles: {}\n",
    "jobQueues:\n  a: &x\n    p: 1\n  b: *x\n",
    "jobQueues:\n  a:\n    <<: &m {p: 1}\n    l: [1,\n      2]\n  b:\n    <<: *m\n",
    "---\njobQueues:\n  a: {}\n...\n",
    "roles: {}\n...\n# after the end\n",
    "jobQueues:\n  a:\n  b:\n    c:\n",
    "jobQueues:\n  a:\n    l:\n      - &q z\n      - *q\n",
    "jobQueues:\n\n  a: {}\n\n  b: {}\n\n\n# the end\n",
    'jobQueues:\n  "a": "one\n    two"\n  b: one\n    two\n',
    "# 𝄞 é\njobQueues: {é𝄞: {a: ü}, b: 'ß'} # 𝄞\nroles: {}\n",
    "jobQueues:\n  é𝄞: {a: ü}\n  b: 'ß' # 𝄞\nroles: {}\n",
    "jobQueues:\n  a:\n    t: x\n    # a\ttab\n",
    "roles: {}",
)


def is_kept(before: str, after: str) -> bool:
    """Whether every character is still there, in order, and in its line where the line is not a flow mapping."""
    rest = iter(after)
    return all(one in rest for one in before)


@pytest.mark.parametrize("text", FILES)
def test_what_is_there_stays(text: str) -> None:
    for variant in (text, text.replace("\n", "\r\n"), text.rstrip("\n"), "\ufeff" + text):
        before = addition.plain(reader.read(variant.encode(), "f.yaml"))
        try:
            after = addition.added(variant, "jobQueues", NEW)
        except CannotEdit:
            assert variant == text.rstrip("\n")  # the end of the file ends a text
            assert "|" in variant or ">" in variant
            continue
        expected = {**before, "jobQueues": {**(before.get("jobQueues") or {}), **{one.name: one.value for one in NEW}}}
        assert addition.plain(reader.read(after.encode(), "f.yaml")) == expected
        assert is_kept(variant.replace("jobQueues: {}", "jobQueues:"), after)
        assert after.count("\n") == after.count("\r\n") or "\r\n" not in variant
        assert after.endswith("\n") == variant.endswith("\n") or not variant.strip("\ufeff")
        if variant.strip("\ufeff") and "{a:" not in variant and "{}" not in variant and '"jobQueues"' not in variant:
            kept = iter(after.splitlines())
            assert all(line in kept for line in variant.splitlines())


def test_the_lines_around_it() -> None:
    after = addition.added(FILES[9], "jobQueues", NEW[:1])

    assert after.splitlines()[6:20] == [
        "    # of the section",
        "",
        "    # Seen",
        "    new:",
        "        priority: 1",
        "        order:",
        "        - {order: 1, of: x}",
        "        text: |",
        "            a",
        "            b",
        "",
        "# of roles",
        "roles: {}",
    ]


def test_empty_braces_become_a_block() -> None:
    after = addition.added("jobQueues: {}  # none yet\n\nroles: {}\n", "jobQueues", NEW[:1])

    assert after.startswith("jobQueues:  # none yet\n  # Seen\n  new:\n    priority: 1\n")
    assert after.endswith("      b\n\nroles: {}\n")


def test_comments_about_what_is_in_braces() -> None:
    after = addition.added("roles: {}\njobQueues: {a: {b: 1}}\n", "jobQueues", NEW[:1])

    assert after.splitlines()[:2] == ["roles: {}", "# new: Seen"]
    assert after.splitlines()[2].startswith("jobQueues: {a: {b: 1}, new: {priority: 1, ")


@pytest.mark.parametrize("text", ["jobQueues: &x {a: {}}\nroles: *x\n", "jobQueues: [a]\n", "jobQueues: {\n", "- a\n"])
def test_what_cannot_be_added_to(text: str) -> None:
    with pytest.raises(CannotEdit):
        addition.added(text, "jobQueues", NEW)


@pytest.mark.parametrize("path", some(EXAMPLES, 8), ids=str)
def test_the_examples_take_more(path: Path) -> None:
    text = path.read_text()
    for section in ("jobQueues", "roles") if LONG else ("jobQueues",):
        kept = iter(addition.added(text, section, NEW).splitlines())
        assert all(line in kept for line in text.splitlines())


# values as files have them, with comments, empty lines, anchors and other styles around them
comments = st.sampled_from(["", "", "# about it", "", "  # deeper", "      # deepest"])


@settings(max_examples=600 if LONG else 15, deadline=None)
@given(st.dictionaries(names, mappings, min_size=1, max_size=3), styles, st.data())
def test_any_file_takes_more(value: dict[str, Any], style: Style, data: st.DataObject) -> None:
    """Every line is still there, in order, with the same end; what is read is what was there, and what was added."""
    section = data.draw(st.sampled_from([*value, "jobQueues"]))
    if not isinstance(value.get(section, {}), dict) or {one.name for one in NEW} & value.get(section, {}).keys():
        return
    lines: list[str] = []
    for name, item in value.items():
        lines += [line for line in (data.draw(comments), data.draw(comments)) if line or data.draw(st.booleans())]
        lines += emit.lines(Member(name=name, value=item, opened=True), 0, style)
        lines += [line for line in (data.draw(comments),) if line]
    newline = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(lines) + data.draw(st.sampled_from([newline, newline * 2, ""]))
    before = addition.plain(reader.read(text.encode("utf-8", "surrogatepass"), "f.yaml"))
    if before != value:  # a comment in a text is a part of it
        return
    try:
        after = addition.added(text, section, NEW)
    except CannotEdit:
        assert not text.endswith(newline)  # which ends a text
        return

    kept = iter(after.split(newline))
    assert all(line in kept for line in text.split(newline)[:-1])
    read = addition.plain(reader.read(after.encode("utf-8", "surrogatepass"), "f.yaml"))
    assert read == {**before, section: {**before.get(section, {}), **{one.name: one.value for one in NEW}}}
    assert list(read) == list(dict.fromkeys([*before, section]))
