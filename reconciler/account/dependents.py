"""Who names what a plan would remove: the second look at the account, taken only where something is to go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from reconciler.account.reader import Reader
from reconciler.model import Kind, Live, Plan, Reads, Scope, Unreadable, User

Named: TypeAlias = Mapping[str, tuple[User, ...]]


def find(
    reader: Reader, kinds: Mapping[str, Kind], scope: Scope, plan: Plan
) -> tuple[dict[tuple[str, str], tuple[User, ...]], tuple[Unreadable, ...]]:
    """Who names the objects that ``plan`` removes, by section and physical name (``Observed.used``).

    A refused read makes all it was asked about stay: nobody knows who names them; the second value says what was
    refused. Any other error is raised.
    """
    going: dict[str, list[Live]] = {}
    for item in plan.resources:
        if kinds[item.address.section].users and item.going:
            going.setdefault(item.address.section, []).extend(item.going)
    jobs = {
        (section, number): _look(reader, source(scope, lives))
        for section, lives in going.items()
        for number, source in enumerate(kinds[section].users)
    }
    used: dict[tuple[str, str], tuple[User, ...]] = {}
    refused: list[Unreadable] = []
    for (section, _), found in reader.each(jobs).items():
        refused += [found] if isinstance(found, Unreadable) else []
        for physical, users in _named(found, going[section]).items():
            used[section, physical] = (*used.get((section, physical), ()), *users)
    return used, tuple(refused)


def of_saved(stayed: Iterable[tuple[str, str]] | None) -> dict[tuple[str, str], tuple[User, ...]]:
    """As if still named: what a saved plan left in place goes with the next plan, not with that one."""
    return dict.fromkeys(stayed or (), (User(text="the saved plan left it, being named then"),))


def going(plan: Plan) -> frozenset[tuple[str, str]]:
    """What ``plan`` removes, by section and physical name."""
    return frozenset((item.address.section, live.physical) for item in plan.resources for live in item.going)


def _named(found: Named | BaseException, going: Sequence[Live]) -> Named:
    if isinstance(found, Unreadable):
        unknown = (_unknown(found),)
        return {live.physical: unknown for live in going}
    if isinstance(found, BaseException):
        raise found
    return found


def _look(reader: Reader, reads: Reads[Named]) -> Callable[[], Named]:
    return lambda: reader.drive(reads)


def _unknown(failed: Unreadable) -> User:
    return User(
        text=f"{failed.call.action} was refused ({failed.refused.code}), so it may be in use", hint=failed.advice
    )
