"""Problems that are equal in all but the resource, so that one that is like no other is seen among hundreds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from reconciler.model.patterns import regex
from reconciler.model.problems import Problem

_WORD: Final = regex(r"\w[\w-]*(?:[./]\w[\w-]*)*")  # a name, also one with dots or slashes


def grouped(found: Iterable[Problem]) -> list[Sequence[Problem]]:
    """``found`` in groups: those by themselves first, then those of several, and notes last."""
    groups: dict[Any, list[Problem]] = {}
    for problem in found:
        groups.setdefault(_key(problem), []).append(problem)
    return sorted(groups.values(), key=lambda group: (group[0].note, len(group) > 1))


def _key(problem: Problem) -> tuple[Any, ...]:
    """What is equal in all of a group: everything but the resource's own name and the place."""
    name = problem.address.partition(".")[2]

    def unnamed(text: str) -> str:
        return _WORD.sub(lambda word: "\0" if word[0] == name else word[0], text.replace(problem.address or "\0", "\0"))

    return (problem.note, problem.code, bool(problem.address), unnamed(problem.message), unnamed(problem.hint))
