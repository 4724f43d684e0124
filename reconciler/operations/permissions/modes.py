"""The commands that a policy can be for: each with what it needs of an environment, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeAlias

from reconciler.operations.permissions.actions import EVENTS
from reconciler.operations.permissions.needs import ANY, Needs, fitting, of_apply, of_plan
from reconciler.operations.permissions.resources import Estate

#: What a command needs of an estate, and of sections of which nothing is declared any more.
Mode: TypeAlias = Callable[[Estate, Sequence[str]], Needs]


class Purpose(StrEnum):
    """A command, as ``--for`` names it. Those that do not exist yet are refused."""

    plan = "plan"
    apply = "apply"
    drift = "drift"
    snapshot = "snapshot"


def of_drift(estate: Estate, also: Sequence[str] = ()) -> Needs:
    """What planning reads, and the event history, which shows who made a change."""
    needs = of_plan(estate, also)
    needs.add(EVENTS, (ANY,), "find who changed it")
    return needs


def of_snapshot(estate: Estate, also: Sequence[str] = ()) -> Needs:
    """What planning reads, also after the YAML has changed: every kind's reads, and the lists of all there is."""
    from reconciler.account.recording import UNUSED  # noqa: PLC0415  (what it imports is needed for snapshots only)

    needs = of_plan(estate, [*also, *estate.kinds])
    for section, kind in estate.kinds.items():
        access = kind.access
        for one in kind.complete_lists:
            needs.add(one.call.action, (ANY,), f"list names: {section}")
        for action in (*access.reads, *access.rechecks, *access.finds, *access.looks):
            unused = fitting(estate, kind, action, estate.of_name(section, f"{UNUSED}{ANY}"))
            needs.add(action, unused, f"find out what AWS says of an unused name: {section}")
    return needs


MODES: Final[Mapping[Purpose, Mode]] = {
    Purpose.plan: of_plan,
    Purpose.apply: of_apply,
    Purpose.drift: of_drift,
    Purpose.snapshot: of_snapshot,
}
