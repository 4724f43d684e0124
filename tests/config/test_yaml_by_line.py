"""What is read line by line is what the parser reads: values, places, problems."""

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import estate
from reconciler.checks.environment import environment
from reconciler.config.loader import load_what_is_right
from reconciler.config.merge import as_plain, patch, plain
from reconciler.config.yaml import by_line, composer, reader
from reconciler.config.yaml.node import PlainNode
from reconciler.kinds import discover
from reconciler.model.problems import Problems
from tests.support.long import LONG

EVERYDAY = """\
# a comment
environment: prod
tags: {team: hpc, 'cost centre': "12"}  # and another
ignoreTags:
- aws:*
- "a: b"

jobQueues:
  one:
    priority: 1
    state: ENABLED
    computeEnvironmentOrder:
      - {order: 1, computeEnvironment: "${var.name}-a"}
      - order: 2
        computeEnvironment: "${computeEnvironments.b.arn}"
  /a/two: {}
jobDefinitions:
  3d-render:
    timeout: {attemptDurationSeconds: 60}
    containerProperties:
      command: [run, --in, s3://bucket/x, "Ref::in", -1, a#b]
      image: ${var.registry}/tool:1.0  # whole line
      environment:
      -   name: EMPTY
          value: ""
      privileged: false
      aws:x/y: {batch:Log: "a", k.*: b}
      ratio: 0.5
"""

PIECES = [
    *(" ", "  ", "\n", "\n  ", "- ", ":", ": ", ", ", "#", " #", '"', "'", "{", "}", "[", "]", "${", "}", "\t", "é"),
    *("a", "1", "0", "-", "null", "~", "true", "1.0", "&a ", "*a", "!t ", "|", ">", "?", "%", "<<: ", "\u2028", "\\"),
]


def read_both_ways(text):
    """The document by line, or None; and by the parser, or None where it finds problems."""

    def parsed():
        return reader.quickly(text, "f") or reader.fully(text, "f")

    try:
        return by_line.document(text, "f", parsed), parsed()
    except Problems:
        return by_line.document(text, "f", parsed), None


def same(quick, full):
    """Values with their types, places, how many values there are, and where expressions are."""
    assert repr(plain(quick)) == repr(plain(full))
    assert quick.pos == full.pos
    if type(quick) is PlainNode:
        assert (quick.values, sorted(map(repr, quick.sites))) == counted(quick.data)
        assert places(quick) == places(full)
    elif type(quick.value) is dict:
        for name, node in quick.value.items():
            same(node, full.value[name])


def counted(value):
    found = as_plain(reader.Node({"": nodes(value)}, reader.Node(None, ("f", 1, 1)).pos))
    return found.values - 1, sorted(repr(site[1:]) for site in found.sites)


def nodes(value):
    if isinstance(value, dict):
        value = {name: nodes(item) for name, item in value.items()}
    elif isinstance(value, list):
        value = [nodes(item) for item in value]
    return reader.Node(value, ("f", 1, 1))


def places(node):
    below = node.value
    members = below.values() if isinstance(below, dict) else below if isinstance(below, list) else ()
    return node.pos, [places(item) for item in members]


def test_an_ordinary_file_is_read_by_line():
    quick, full = read_both_ways(EVERYDAY)

    same(quick, full)
    assert list(quick.value["jobQueues"].value) == ["one", "/a/two"]
    for text in dict(estate.files(3, "estate")).values():
        same(*read_both_ways(text))


@settings(max_examples=1000 if LONG else 30, deadline=None)
@given(st.data())
def test_what_is_read_by_line_is_what_the_parser_reads(data):
    text = EVERYDAY
    for _ in range(data.draw(st.integers(1, 2))):
        at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.sampled_from(["", *PIECES])) + text[at + cut :]
    quick = by_line.document(text, "f", lambda: reader.fully(text, "f"))

    if quick is not None:
        full = read_both_ways(text)[1]
        assert full is not None
        assert not getattr(full, "warnings", ())
        same(quick, full)


values = st.recursive(
    st.booleans() | st.integers() | st.sampled_from(["x", "${var.a}", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@settings(max_examples=500 if LONG else 30, deadline=None)
@given(mappings, mappings, mappings)
def test_plain_data_is_merged_as_nodes_are(first, second, third):
    lowest, middle, top = nodes(first), nodes(second), nodes(third)
    quick = patch(patch(as_plain(lowest), as_plain(middle)), as_plain(top))

    assert type(quick) is PlainNode
    same(quick, patch(patch(lowest, middle), top))


CHANGES = [
    ("    priority: 1", "    priority: one"),
    ("    state: ENABLED", "    stat: ENABLED"),
    ("${var.name}", "${var.nam}"),
    ("${var.name}", "${env:NOT_SET}"),
    ("${var.name}", "${file:missing.txt}"),
    ("${var.name}", "${var.sizes}"),
    ("${var.registry}/tool", "${var.registry}/${env:TOOL}"),
    ("${var.registry}/tool", "${"),
    ("team: hpc", "team: ${var.name}"),
    ("team: hpc", 'team: "${environment}"'),
    ("  one:", "  one: {tags: {team: mine, more: '${account}'}}\n  other:"),
    ("environment: prod", "environment: prod\ndefaults: {jobQueues: {priority: 3, tags: {kind: '${var.name}'}}}"),
    ("environment: prod", "environment: prod\ndefaults: {jobQueues: {priority: null, tags: {team: null}}}"),
]


def test_whatever_is_said_is_said_alike(tmp_path, monkeypatch):
    file = tmp_path / "prod.yaml"
    variables = "variables:\n  name: ce\n  registry: example.com\n  sizes: {small: 1}\n"
    for before, after in [("", ""), *CHANGES]:
        assert before in EVERYDAY
        file.write_text(variables + EVERYDAY.replace(before, after, 1), "utf-8")
        quick = everything(file)
        with monkeypatch.context() as patched:
            patched.setattr(by_line, "document", lambda *_: None)
            assert everything(file) == quick, after


def test_a_valid_environment_needs_no_parser(tmp_path, monkeypatch):
    target = estate.write(tmp_path, 2)
    monkeypatch.delattr(composer, "document")

    loaded, problems = load_what_is_right(target, environ={})

    assert not problems
    assert str(loaded.sections["jobDefinitions"]["estate-job-00001"].at()) == "jobs/00000.yaml:45:3"


def everything(target):
    loaded, problems = load_what_is_right(target, environ={"TOOL": "tool"})
    if loaded is None:
        return problems
    declared = {
        (section, name): (dict(raw.value), sorted(raw.pos.items(), key=repr), raw.env)
        for section, raws in loaded.sections.items()
        for name, raw in raws.items()
    }
    found, more = environment(loaded, discover())
    return problems, loaded.unset, declared, more, found.resources.keys(), found.sensitive


def test_what_is_special_or_twice_is_left_to_the_parser():
    for text in (*(f"a{char}b" for char in "\t\r\x85\u2028\u2029\ufeff"), "{a: b, a: c}", '{a: b, a: "c"}'):
        assert by_line.document(f"environment: t\ntags:\n  x: {text}\n", "f", lambda: None) is None, repr(text)
