"""Notices that could not be sent: the report remembers them, and the next run with ``--since`` sends them.

For each target it has the picture of the last notice there. The next run compares with that, so that its notice is
about everything since; if all is again as it was then, none is due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from reconciler.operations.drift import notify
from reconciler.operations.drift.notify import Publish, Target
from reconciler.operations.drift.since import Earlier, compared, picture_of
from reconciler.render.drift_view import Report


def send(
    found: Report, earlier: Earlier | None, targets: Sequence[Target], publish: Callable[[Target], Publish]
) -> tuple[Report, list[str]]:
    """Send what is due. Returns ``found`` compared with the earlier report, with what could not be sent; and a sentence
    for each of these.
    """
    report = compared(found, earlier) if earlier else found
    waiting = {entry["to"]: entry for entry in (earlier or {}).get("unsent", ())}
    failures: list[str] = []
    for name, target in _named(targets):
        before = waiting.pop(name, None)
        notice = report if before is None else _since_last_notice(found, before)
        if not notify.due(notice):
            continue
        if failed := [*notify.send(notice, [target], publish)]:
            failures += failed
            waiting[name] = before or {"to": name, **_picture(earlier)}
    return replace(report, unsent=tuple(waiting[name] for name in sorted(waiting))), failures


def _named(targets: Sequence[Target]) -> Iterator[tuple[str, Target]]:
    """A name for each target, in which nothing is secret: of several at one host, the second has a number."""
    seen: dict[str, int] = {}
    for target in targets:
        seen[target.title] = count = seen.get(target.title, 0) + 1
        yield target.title + (f" ({count})" if count > 1 else ""), target


def _since_last_notice(found: Report, before: Earlier) -> Report:
    return compared(found, {**before, "timestamp": before["since"]}) if before["since"] else found


def _picture(earlier: Earlier | None) -> Earlier:
    """What the last notice was about, if none has failed: the earlier report; nothing where there is none."""
    if earlier is None:
        return {"since": None, "environments": []}
    return {"since": earlier["timestamp"], "environments": [*filter(None, map(picture_of, earlier["environments"]))]}
