"""JSON Merge Patch: the later layer wins, null takes away, every value keeps its place."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.config.merge import UselessNull, patch, plain
from reconciler.config.yaml import reader
from reconciler.model import Pos

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)


@given(values, values)
def test_merging_is_rfc_7386(target, change):
    def by_the_rfc(target, change):
        if not isinstance(change, dict):
            return change
        result = dict(target) if isinstance(target, dict) else {}
        for name, value in change.items():
            if value is None:
                result.pop(name, None)
            else:
                result[name] = by_the_rfc(result.get(name), value)
        return result

    merged = plain(patch(nodes(target), nodes(change)))

    assert merged == by_the_rfc(target, change)
    assert plain(patch(nodes(merged), nodes(change))) == merged


def nodes(value):
    here = Pos("f", 1, 1)
    if isinstance(value, dict):
        return reader.Node({name: nodes(item) for name, item in value.items()}, here)
    if isinstance(value, list):
        return reader.Node([nodes(item) for item in value], here)
    return reader.Node(value, here)


def node(value, line):
    return reader.Node(value, Pos("f", line, 1))


def test_a_member_keeps_the_place_it_came_from():
    under = node({"a": node(1, 2), "b": node(1, 3)}, 1)
    merged = patch(under, node({"b": node(2, 5), "c": node(3, 6)}, 4))

    assert {name: item.pos.line for name, item in merged.value.items()} == {"a": 2, "b": 5, "c": 6}
    assert merged.pos.line == 4
    assert plain(under) == {"a": 1, "b": 1}, "what is patched stays as it is"


def test_a_null_that_removes_nothing_is_told_with_its_place():
    under = node({"a": node({"x": node(1, 3)}, 2)}, 1)
    over = node({"a": node({"x": node(None, 6), "y": node(None, 7)}, 5), "b": node({"z": node(None, 9)}, 8)}, 4)
    useless: list[UselessNull] = []

    assert plain(patch(under, over, useless)) == {"a": {}, "b": {}}
    assert [(one.name, one.pos.line) for one in useless] == [("y", 7), ("z", 9)]


def test_a_null_at_the_top_is_left_to_the_caller():
    assert plain(patch(node({"a": node(1, 2)}, 1), node(None, 3))) is None
