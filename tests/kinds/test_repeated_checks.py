"""A check of a value that many resources repeat is made once, and never takes one value for another."""

from reconciler.kinds.common.repeated import once_for_each
from reconciler.model import Finding, Reference, Template
from reconciler.model.identity import once_for_each_object

DIFFERENT = [
    *(1, 1.0, True, "1", "True", None, [], {}, "", [1], {"a": 1}, {"a": "1"}, {"a": 1, "b": 2}, {"b": 2, "a": 1}),
    *(Template((Reference("region", "${region}"),)), "${region}", Template((Reference("region", "${region}"), "-a"))),
]


def test_a_check_is_made_once_for_each_different_value():
    seen = []

    @once_for_each
    def check(path, value, fact=""):
        seen.append((value, fact))
        yield Finding(path, f"{type(value).__name__} {value} {fact}")

    for _ in range(2):
        found = [check(("a",), value)[0].message for value in DIFFERENT]
        assert found == [f"{type(value).__name__} {value} " for value in DIFFERENT]
    assert len(seen) == len(DIFFERENT)

    assert [one.path for one in check(("b",), 1, "x")] == [("b",)]
    assert seen[-1] == (1, "x")


def test_what_is_of_an_object_is_of_no_equal_one():
    seen = []

    @once_for_each_object
    def length(table):
        seen.append(table)
        return len(table)

    one, other = {"a": 1}, {"a": 1}
    assert [length(one), length(one), length(other)] == [1, 1, 1]
    assert len(seen) == 2
    for size in range(50):  # none of which remains but here
        assert length(dict.fromkeys(range(size))) == size
