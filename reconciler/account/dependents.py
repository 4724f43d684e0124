"""The dependents, in the account, of what a plan would remove; they are read only where a plan removes something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from reconciler.account.reader import Reader
from reconciler.model import Dependent, Kind, Live, Plan, Reads, Scope, Unreadable

Named: TypeAlias = Mapping[str, tuple[Dependent, ...]]


def find_dependents(
    reader: Reader, kinds: Mapping[str, Kind], scope: Scope, plan: Plan
) -> tuple[dict[tuple[str, str], tuple[Dependent, ...]], tuple[Unreadable, ...]]:
    """The dependents of the objects that ``plan`` removes, by section and physical name (``Observed.used``), and the
    reads that AWS refused.

    What a refused read is about is kept: it may be in use. Any other error is raised.
    """
    removals: dict[str, list[Live]] = {}
    for item in plan.resources:
        if kinds[item.address.section].dependents and item.removed_objects:
            removals.setdefault(item.address.section, []).extend(item.removed_objects)
    jobs = {
        (section, number): _reader_task(reader, source(scope, lives))
        for section, lives in removals.items()
        for number, source in enumerate(kinds[section].dependents)
    }
    used: dict[tuple[str, str], tuple[Dependent, ...]] = {}
    refused: list[Unreadable] = []
    for (section, _), found in reader.run_all(jobs).items():
        refused += [found] if isinstance(found, Unreadable) else []
        for physical, users in _named(found, removals[section]).items():
            used[section, physical] = (*used.get((section, physical), ()), *users)
    return used, tuple(refused)


def kept_by_saved_plan(kept: Iterable[tuple[str, str]] | None) -> dict[tuple[str, str], tuple[Dependent, ...]]:
    """A dependent for each object that a saved plan keeps: that plan never deletes it."""
    return dict.fromkeys(kept or (), (Dependent(text="in use when the plan was saved"),))


def removed_objects(plan: Plan) -> frozenset[tuple[str, str]]:
    """Section and physical name of each object that ``plan`` removes."""
    return frozenset((item.address.section, live.physical) for item in plan.resources for live in item.removed_objects)


def _named(found: Named | BaseException, removals: Sequence[Live]) -> Named:
    if isinstance(found, Unreadable):
        unknown = (_unknown(found),)
        return {live.physical: unknown for live in removals}
    if isinstance(found, BaseException):
        raise found
    return found


def _reader_task(reader: Reader, reads: Reads[Named]) -> Callable[[], Named]:
    return lambda: reader.drive(reads)


def _unknown(failed: Unreadable) -> Dependent:
    return Dependent(
        text=f"{failed.call.action} was refused ({failed.refused.code}), so it may be in use", hint=failed.advice
    )
