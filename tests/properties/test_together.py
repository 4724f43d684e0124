"""Changes that can be planned one at a time can be planned together: no rule of the order contradicts another."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.support.long import LONG, some
from tests.support.together import KINDS, Pair, pairs

ANEW = ("replace", "new-revision", "delete-first", "create-first", "removed")
REFERENCES = sorted(
    {(kind.section, to) for kind in KINDS.values() for ref in kind.refs.values() for to in ref.sections}
)


@cache
def tried() -> dict[tuple[str, str], list[Pair]]:
    """The pairs by the sections of both; without `make test-long` one of each meaning where both make or end objects."""
    found: dict[tuple[str, ...], Pair] = {}
    for pair in pairs():
        one, other = pair.one, pair.other
        sections, effects = (one.address.section, other.address.section), (one.effect, other.effect)
        if LONG:
            found[(*sections, str(pair))] = pair
        elif set(effects) <= set(ANEW):
            found.setdefault((*sections, *effects, str(pair.refers)), pair)
    by_sections: dict[tuple[str, str], list[Pair]] = {}
    for (one_section, other_section, *_), pair in found.items():
        by_sections.setdefault((one_section, other_section), []).append(pair)
    return by_sections


@pytest.mark.parametrize("sections", some(REFERENCES, 6), ids="-".join)
def test_two_changes_that_plan_alone_plan_together(sections: tuple[str, str], tmp_path: Path) -> None:
    found = [(pair, pair.problems()) for pair in tried()[sections]]

    # what is never replaced (a schedule group) can only be removed, which its users alone do not allow
    said = [problems is not None or pair.other.effect == "removed" for pair, problems in found]
    assert any(said), "no pair that says anything"
    assert not [
        f"{pair}: {problem}"
        for pair, problems in found
        if problems and pair.declarable(tmp_path)
        for problem in problems
    ]
