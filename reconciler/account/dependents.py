"""Who names what a plan would remove: the second look at the account, taken only where something is to go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from reconciler.account.reader import Reader
from reconciler.model import Dependent, Kind, Live, Plan, Reads, Scope, Unreadable

Named: TypeAlias = Mapping[str, tuple[Dependent, ...]]


def find_dependents(
    reader: Reader, kinds: Mapping[str, Kind], scope: Scope, plan: Plan
) -> tuple[dict[tuple[str, str], tuple[Dependent, ...]], tuple[Unreadable, ...]]:
    """Who names the objects that ``plan`` removes, by section and physical name (``Observed.used``).

    A refused read makes all it was asked about stay: nobody knows who names them; the second value says what was
    refused. Any other error is raised.
    """
    going: dict[str, list[Live]] = {}
    for item in plan.resources:
        if kinds[item.address.section].dependents and item.removed_objects:
            going.setdefault(item.address.section, []).extend(item.removed_objects)
    jobs = {
        (section, number): _look(reader, source(scope, lives))
        for section, lives in going.items()
        for number, source in enumerate(kinds[section].dependents)
    }
    used: dict[tuple[str, str], tuple[Dependent, ...]] = {}
    refused: list[Unreadable] = []
    for (section, _), found in reader.run_all(jobs).items():
        refused += [found] if isinstance(found, Unreadable) else []
        for physical, users in _named(found, going[section]).items():
            used[section, physical] = (*used.get((section, physical), ()), *users)
    return used, tuple(refused)


def kept_by_saved_plan(stayed: Iterable[tuple[str, str]] | None) -> dict[tuple[str, str], tuple[Dependent, ...]]:
    """As if still named: what a saved plan left in place goes with the next plan, not with that one."""
    return dict.fromkeys(stayed or (), (Dependent(text="in use when the plan was saved"),))


def removed_objects(plan: Plan) -> frozenset[tuple[str, str]]:
    """What ``plan`` removes, by section and physical name."""
    return frozenset((item.address.section, live.physical) for item in plan.resources for live in item.removed_objects)


def _named(found: Named | BaseException, going: Sequence[Live]) -> Named:
    if isinstance(found, Unreadable):
        unknown = (_unknown(found),)
        return {live.physical: unknown for live in going}
    if isinstance(found, BaseException):
        raise found
    return found


def _look(reader: Reader, reads: Reads[Named]) -> Callable[[], Named]:
    return lambda: reader.drive(reads)


def _unknown(failed: Unreadable) -> Dependent:
    return Dependent(
        text=f"{failed.call.action} was refused ({failed.refused.code}), so it may be in use", hint=failed.advice
    )
