"""The report of an apply: what was changed, what failed and why, what was not started."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from reconciler.model import EMPTY, Address, Outcome, Plan, ResourcePlan, Step, StepState, Verb
from reconciler.model.paths import located
from reconciler.render import changes
from reconciler.render.difference import WIDTH
from reconciler.render.mask import Mask

MOST_NAMED: Final = 5


def of(plan: Plan, outcome: Outcome, details: Mapping[str, str], took: float, mask: Mask, root: str = "") -> str:
    """The result of an apply: the changes made; each failure, its place and reason; the steps not started.

    ``details`` are the last details by step id, ``took`` is in seconds, ``root`` the path prefix of files.
    """
    states: dict[str, StepState] = dict.fromkeys(outcome.done, StepState.DONE)
    states |= dict.fromkeys(outcome.failed, StepState.FAILED) | dict.fromkeys(outcome.skipped, StepState.SKIPPED)
    counts = dict.fromkeys(Verb, 0)
    unfinished: dict[Address, list[Step]] = {}
    for item in plan.resources:
        missing = [part for part in item.steps if states.get(part.id) is not StepState.DONE]
        if missing:
            unfinished[item.address] = missing
        else:
            counts[item.verb] += 1
    words = {
        Verb.CREATE: "created",
        Verb.ADOPT: "adopted",
        Verb.UPDATE: "updated",
        Verb.REPLACE: "replaced",
        Verb.DELETE: "deleted",
    }
    message = ", ".join(f"{counts[verb]} {word}" for verb, word in words.items() if counts[verb])
    message = message or ("nothing finished" if plan.applyable else "no changes")
    if outcome.ok:
        remaining = [mask.line(line) for item in plan.resources if (line := _remaining(item))]
        return "\n".join([f"Done in {took:.0f} s: {message}.", *remaining])
    lines = [f"{'Interrupted' if outcome.interrupted else 'Stopped'} after {took:.0f} s: {message}."]
    for address, missing in unfinished.items():
        failed = next((part for part in missing if states.get(part.id) is StepState.FAILED), None)
        who = mask.line(str(address))
        if failed:
            why = mask.lines(details.get(failed.id, ""), " " * 6)
            pos = next(item.pos for item in plan.resources if item.address == address)
            place = mask.line(f" ({located(root, pos)})") if pos and pos.file else ""
            lines.append(f"  {who}{place} failed at {changes.step(failed, mask, WIDTH)}\n      {why}")
            if where := cause(plan, address, outcome.causes.get(failed.id, ""), root):
                lines.append(f"      see {mask.text(where)}")
        else:
            word = "not started" if len(missing) == len(_steps_of(plan, address)) else "not finished"
            lines.append(f"  {who} {word}: {changes.step(missing[0], mask, WIDTH)}")
    advice = "Fix the cause, then run the same command again" if outcome.failed else "Run the same command again"
    lines.append(f"Completed changes are kept. {advice} to finish the rest.")
    return "\n".join(lines)


def _remaining(item: ResourcePlan) -> str:
    """What a deletion has left under the name, which would be in the way of another of this name; empty for nothing."""
    names = item.remaining
    if not names:
        return ""
    listed = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    verb, them = ("remains", "it") if len(names) == 1 else ("remain", "them")
    advice = f"Delete {them}, or pass --adopt to the next apply of {item.address}"
    return f"  {listed} {verb}: no environment owns {them}. {advice}."


def cause(plan: Plan, address: Address, path: str, root: str = "") -> str:
    """Where the property at ``path`` is declared, and where the dependency in it is; empty for no path."""
    item = next(item for item in plan.resources if item.address == address)
    if not path or item.declared is None:
        return ""
    parts = tuple(path.split("."))
    named: Any = item.declared.props
    for part in parts:
        named = named.get(part, EMPTY) if isinstance(named, Mapping) else EMPTY
    message = f"{path} ({located(root, item.declared.at(parts))})"
    for used in item.depends_on:
        other = next((other for other in plan.resources if other.address == used), None)
        if other and other.pos and re.search(rf"(?<![\w-]){re.escape(used.name)}(?![\w-])", str(named)):
            message += f", which names {used} ({located(root, other.pos)})"
    return message


def _steps_of(plan: Plan, address: Address) -> tuple[Step, ...]:
    return next(item.steps for item in plan.resources if item.address == address)
