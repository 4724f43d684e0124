"""What a plan would find and say of a change, asked of the comparison and of the kind itself."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from reconciler.model import MISSING, Address, Change, Diff, Effect, Json, Kind, Lifecycle, Live, Path, Scope, Want
from reconciler.model.resources import Disruption
from reconciler.planning.canonical import with_defaults
from reconciler.planning.diff import difference

_NO_DRAIN: Final = next(one.default for one in fields(Kind) if one.name == "drain")
_NAME: Final = "example"
_SCOPE: Final = Scope("123456789012", "eu-west-1", "aws", _NAME)


def differences(kind: Kind, before: Json, after: Json) -> list[tuple[Effect, str]]:
    """The effects, with their reasons, of all that a plan finds different."""
    live, want = _sides(kind, kind.expanded(_NAME, before), kind.expanded(_NAME, after), Lifecycle())
    found, _, _ = difference(kind, live, want)
    return [(change.effect, change.because) for change in found.changes]


def interruption(
    kind: Kind, path: Path, verdict: tuple[Effect, str], before: Json, after: Json, lifecycle: Lifecycle | None = None
) -> str:
    """What the change does to jobs, where it ends or delays them, refuses new ones or loses events; else empty.

    The properties are expanded. Empty, too, for a replacement that waits for jobs: how depends on what is live.
    """
    if kind.disruption is None or (verdict[0] is Effect.REPLACE and kind.drain is not _NO_DRAIN):
        return ""
    live, want = _sides(kind, before, after, lifecycle or Lifecycle())
    effect, reason = verdict
    change = Change(path=path, before=MISSING, after=MISSING, effect=effect, because=reason)
    text = kind.disruption(live, want, Diff((change,)))
    return text if isinstance(text, Disruption) else ""


def _sides(kind: Kind, before: Json, after: Json, lifecycle: Lifecycle) -> tuple[Live, Want]:
    attrs = {**dict.fromkeys(kind.assigned_by_aws, _NAME), "name": _NAME, **kind.attrs(_SCOPE, _NAME, before)}
    live = Live(physical=_NAME, attrs=attrs, props=with_defaults(kind, before))
    want = Want(
        address=Address(kind.section, _NAME),
        physical=_NAME,
        declared=after,
        props=with_defaults(kind, after),
        tags={},
        attrs=attrs,
        scope=_SCOPE,
        lifecycle=lifecycle,
    )
    return live, want
