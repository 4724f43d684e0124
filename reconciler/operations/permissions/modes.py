"""The commands that a policy can be for: each with its permissions for an environment, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeAlias

from reconciler.operations.permissions.actions import EVENTS, WITHOUT_INDEX
from reconciler.operations.permissions.jobs import of_jobs
from reconciler.operations.permissions.needs import (
    ANY,
    Needs,
    anywhere,
    of_apply,
    of_audit,
    of_import,
    of_plan,
    of_status,
    of_why,
)
from reconciler.operations.permissions.resources import Estate

#: What a command needs of an estate, and of sections of which nothing is declared any more.
Mode: TypeAlias = Callable[[Estate, Sequence[str]], Needs]


class Purpose(StrEnum):
    """A command, as ``--for`` names it. Those that do not exist yet are refused."""

    plan = "plan"
    apply = "apply"
    drift = "drift"
    snapshot = "snapshot"
    audit = "audit"
    import_ = "import"
    why = "why"
    status = "status"
    jobs = "jobs"


def of_drift(estate: Estate, also: Sequence[str] = ()) -> Needs:
    """What planning reads, and the event history, which shows who made a change."""
    needs = of_plan(estate, also)
    needs.add(EVENTS, (ANY,), "find who changed it")
    return needs


def of_snapshot(estate: Estate, also: Sequence[str] = ()) -> Needs:
    """What planning reads, also after the YAML has changed: every kind's reads, about any object, and the lists of all
    there is.
    """
    needs = of_plan(estate, [*also, *estate.kinds])
    for action in WITHOUT_INDEX:
        needs.add(action, (ANY,), "find what the environment owns, without the index")
    for section, kind in estate.kinds.items():
        access = kind.access
        for one in kind.complete_lists:
            needs.add(one.call.action, (ANY,), f"list names: {section}")
        for action in (*access.reads, *access.rechecks, *access.finds, *access.looks):
            needs.add(action, anywhere(estate, kind, action), f"read, also under another name: {section}")
    return needs


MODES: Final[Mapping[Purpose, Mode]] = {
    Purpose.plan: of_plan,
    Purpose.apply: of_apply,
    Purpose.drift: of_drift,
    Purpose.snapshot: of_snapshot,
    Purpose.why: lambda estate, _: of_why(estate),
    Purpose.status: lambda estate, _: of_status(estate),
    Purpose.audit: lambda estate, _: of_audit(estate),
    Purpose.import_: lambda estate, _: of_import(estate),
    Purpose.jobs: lambda estate, _: of_jobs(estate),
}

#: Those that are about an account, and need no environment.
OF_AN_ACCOUNT: Final = frozenset({Purpose.audit, Purpose.import_})
