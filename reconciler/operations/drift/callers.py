"""Adds to the result of an environment who changed what has drifted (:mod:`.who`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from reconciler.kinds import discover
from reconciler.model import Address
from reconciler.operations.drift import since
from reconciler.operations.drift.events import ChangedBy
from reconciler.operations.drift.since import Earlier
from reconciler.operations.drift.who import Pace, Window, find_callers
from reconciler.operations.pipeline import Planned
from reconciler.operations.session import Session, now_at
from reconciler.render.drift_view import STILL, Checked
from reconciler.render.mask import Mask
from reconciler.render.view import masked

READING: Final = 900.0  # seconds that reading an environment takes at most, when AWS throttles


class WallClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def naming(earlier: Earlier | None) -> Callable[[Checked, Session, Planned], Checked]:
    """What looks the callers up, for all environments of one run. What an earlier report has already was changed before
    it, and the rest after it.
    """
    pace = Pace(WallClock())

    def named(checked: Checked, account: Session, planned: Planned) -> Checked:
        if not checked.drifts:
            return checked
        left_out = {*checked.moving}
        mask = planned.mask
        shown = {one.address: mask.line(str(one.address)) for one in planned.plan.resources}
        plan = replace(
            planned.plan, resources=tuple(one for one in planned.plan.resources if shown[one.address] not in left_out)
        )
        windows = _windows(checked, earlier, shown)
        now = now_at(account)
        found = find_callers(plan, discover(), account.client, pace, now=now, windows=windows)
        by_text = {text: address for address, text in shown.items()}
        drifts = []
        for drift in checked.drifts:
            address = by_text[drift.address]
            caller, reason = found.changed_by.get(address), found.reasons.get(address, "")
            changed_by = _masked(caller, mask) if caller else None
            also = tuple(_masked(one, mask) for one in found.also.get(address, ()))
            known = replace(drift, changed_by=changed_by, also_changed_by=also, unknown_because=mask.line(reason))
            drifts.append(known)
        problems = (*checked.problems, *masked(found.warnings, mask))
        return replace(checked, drifts=tuple(drifts), problems=problems)

    return named


def _windows(checked: Checked, earlier: Earlier | None, shown: dict[Address, str]) -> dict[Address, Window]:
    if earlier is None:
        return {}
    at = _seconds(since.time_of(checked, earlier))
    if at is None:
        return {}
    compared = since.alone(checked, earlier)
    states = {drift.address: drift.since for drift in compared.drifts} if compared else {}
    found: dict[Address, Window] = {}
    for address, text in shown.items():
        if text in states:
            found[address] = Window(before=at + READING) if states[text] == STILL else Window(after=at)
    return found


def _masked(caller: ChangedBy, mask: Mask) -> dict[str, str]:
    return {name: mask.line(text) for name, text in caller.to_json().items()}


def _seconds(timestamp: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(timestamp)).timestamp()
    except ValueError:
        return None
