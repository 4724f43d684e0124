"""Compares a report of drift with an earlier one: what is new, still there, and resolved.

What drifts otherwise than it did (another property, or another value) is new. Of an environment that cannot be read
nothing is resolved: its state is unknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.render.drift_view import HOW_BY_ACTION, NEW, STILL, Changed, Checked, Lazy, Report, Status

MOST_BYTES: Final = 1 << 30
Earlier = Mapping[str, Any]
_Pictures = dict[str, str]  # by address: a digest of what differed


def read(file: Path) -> Earlier | None:
    """The report in ``file``, as `drift --format json` wrote it; None where there is no such file yet. Raises Problems
    for any other file.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise Problems([_not_one(file)])
        found = json.loads(file.read_text("utf-8"))
        if not isinstance(found["timestamp"], str):
            raise Problems([_not_one(file)])
        for one in found["environments"]:
            _check(one)
            _pictures(one["plan"])
            if one["plan"]:  # the rest is most of it, and nothing asks for it
                changes = one["plan"].get("resource_changes", ())
                drifted = [each for each in changes if each["action"] in HOW_BY_ACTION]
                one["plan"] = {"timestamp": one["plan"].get("timestamp"), "resource_changes": drifted}
        for notice in found.get("unsent", ()):
            _check_unsent(notice)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Problems([Problem(code=codes.FILE, message=f"{file}: {error.strerror}")]) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Problems([_not_one(file)]) from error
    return dict(found)


def _check(one: Mapping[str, Any]) -> None:
    Status(one["status"])
    texts = (one["environment"], one["account"] or "", one["region"] or "")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("str expected")


def _check_unsent(notice: Mapping[str, Any]) -> None:
    for one in notice["environments"]:
        _check(one)
        if not isinstance(one["drift"], dict):
            raise TypeError("dict expected")
    if not isinstance(notice["to"], str) or not isinstance(notice["since"], str | None):
        raise TypeError("str expected")


def check_plan(plan: Mapping[str, Any] | None) -> None:
    """Raises ValueError, KeyError, TypeError or AttributeError where ``plan`` is none that a report has."""
    _pictures(plan)


def compared(report: Report, earlier: Earlier) -> Report:
    """``report`` with what is new, still there and resolved since ``earlier``."""
    before = [*earlier["environments"]]
    same: list[Earlier | None] = []
    for one in report.environments:
        same.append(_same(one, before))
        before = [other for other in before if other is not same[-1]]
    unchecked = tuple(str(other["environment"]) for other in before)
    found = report.environments
    environments: Sequence[Checked] = (
        Changed(found, lambda number, one: _compared(one, same[number]))
        if isinstance(found, Lazy)
        else [_compared(one, then) for one, then in zip(found, same, strict=True)]
    )
    return replace(report, environments=environments, since=str(earlier["timestamp"]), unchecked=unchecked)


def alone(one: Checked, earlier: Earlier) -> Checked | None:
    """One environment as :func:`compared` has it; None where the earlier report does not have it."""
    before = _same(one, earlier["environments"])
    known = before is not None and before["status"] != Status.ERROR.value
    return _compared(one, before) if known else None


def time_of(one: Checked, earlier: Earlier) -> Any:
    """When the earlier report read an environment, by AWS's clock; when it was made, where it does not say."""
    plan = (_same(one, earlier["environments"]) or {}).get("plan") or {}
    return plan.get("timestamp") or earlier["timestamp"]


def _same(one: Checked, before: Sequence[Earlier]) -> Earlier | None:
    """The earlier result of an environment. One whose files could not be read had no account."""
    where = (one.account or None, one.region or None)
    named = [other for other in before if other["environment"] == one.name]
    exact = (other for other in named if (other["account"], other["region"]) == where)
    unknown = (other for other in named if other["account"] is None or one.account == "")
    return next(exact, None) or next(unknown, None)


def _compared(one: Checked, before: Earlier | None) -> Checked:
    then = _then(before) if before else {}
    now = _pictures(one.plan)
    drifts = tuple(replace(drift, since=STILL if _is_same(drift.address, now, then) else NEW) for drift in one.drifts)
    was_error = before is not None and before["status"] == Status.ERROR.value
    if one.status is Status.ERROR:
        return replace(one, drifts=drifts, since=STILL if was_error else NEW)
    kept = {*now, *one.moving}
    resolved = tuple(address for address in then if address not in kept)
    return replace(one, drifts=drifts, resolved=resolved, recovered=was_error)


def picture_of(one: Earlier) -> Earlier | None:
    """What :func:`compared` needs of an earlier result; None where it needs nothing."""
    if one["status"] == Status.CLEAN.value:
        return None
    return {name: one[name] for name in ("environment", "account", "region", "status")} | {"drift": _then(one)}


def _then(before: Earlier) -> _Pictures:
    return dict(before["drift"]) if "drift" in before else _pictures(before["plan"])


def _is_same(address: str, now: _Pictures, then: _Pictures) -> bool:
    return address in then and now.get(address) == then[address]


def _pictures(plan: Mapping[str, Any] | None) -> _Pictures:
    return dict(_each(plan["resource_changes"])) if plan and "resource_changes" in plan else {}


def _each(changes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Of each resource that has drifted, how and in what; values that only the next apply gives are left out."""
    for entry in changes:
        if entry["action"] in HOW_BY_ACTION:
            found = [(one["path"], one["before"], one["after"]) for one in entry["differences"]]
            text = json.dumps([HOW_BY_ACTION[entry["action"]], found], sort_keys=True)
            yield str(entry["address"]), hashlib.sha256(text.encode()).hexdigest()


def _not_one(file: Path) -> Problem:
    hint = "--since takes what an earlier `reconcile drift --format json` has written"
    return Problem(code=codes.FILE, message=f"{file} is not a report of drift", hint=hint)
