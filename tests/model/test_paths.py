"""Paths into properties."""

from __future__ import annotations

from reconciler.model.paths import values_by

PROPS = {"a": {"b": 1, "c": [{"d": 2}, {"d": 3}, 4]}, "e": {"x": 5, "y": {"d": 6}}, "f": "text"}


def test_what_paths_match_is_found_in_their_order() -> None:
    patterns = {
        "e.*.d": "any",
        "a.c[].d": "each",
        "a.b": "one",
        "a.c[]": "item",
        "f": "text",
        "f.g": "none",
        "h": "none",
    }
    assert list(values_by(PROPS, patterns)) == [
        (("e", "y", "d"), "any", 6),
        (("a", "c", 0, "d"), "each", 2),
        (("a", "c", 1, "d"), "each", 3),
        (("a", "b"), "one", 1),
        (("a", "c", 0), "item", {"d": 2}),
        (("a", "c", 1), "item", {"d": 3}),
        (("a", "c", 2), "item", 4),
        (("f",), "text", "text"),
    ]
