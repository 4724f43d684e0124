"""The order of resources by their sections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.config.section_order import by_section
from reconciler.model import Address

PLACES = [Address(section, name) for section in "abc" for name in "xy"]
GRAPHS = st.dictionaries(st.sampled_from(PLACES), st.sets(st.sampled_from(PLACES)))


@given(GRAPHS)
def test_what_is_needed_comes_first_or_the_sections_have_no_order(graph: dict[Address, set[Address]]) -> None:
    ordered = by_section(graph)
    below = {"a": 0, "b": 1, "c": 2}
    if all(below[one.section] > below[other.section] for one in graph for other in graph[one]):
        assert ordered is not None
    if ordered is not None:
        assert sorted(ordered) == sorted(graph)
        assert all(ordered.index(other) < ordered.index(one) for one in graph for other in graph[one] & graph.keys())


def test_a_section_that_refers_to_itself_has_none() -> None:
    one, other = PLACES[:2]
    assert by_section({one: {other}, other: set()}) is None
