"""The plan as text: terraform's signs, the reason next to each change, all that differs, every call below it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.model import (
    EMPTY,
    Address,
    Call,
    Outcome,
    Plan,
    ResourcePlan,
    Secret,
    Step,
    StepState,
    Verb,
    compact,
)
from reconciler.model.paths import located
from reconciler.model.plan import UNAFFECTED
from reconciler.model.problems import Problem
from reconciler.render import changes
from reconciler.render.difference import WIDTH, Line, single, whole
from reconciler.render.mask import Mask

NO_CHANGES: Final = "No changes. The account matches the environment."
_LIMITED: Final = {
    "--target": "--target is in effect: other resources were not planned, and undeclared ones are not deleted",
    "--exclude": "--exclude is in effect: the excluded resources and their dependents were not planned",
    "": "The plan is incomplete: some resources could not be read, and undeclared ones are not deleted",
}
MEMBERS: Final = 60  # a mapping with more characters is shown member by member

_CHANGES: Final = (Verb.CREATE, Verb.ADOPT, Verb.UPDATE, Verb.REPLACE, Verb.DELETE)
_SIGNS: Final = {Verb.CREATE: "+", Verb.UPDATE: "~", Verb.DELETE: "-", Verb.ADOPT: "&", Verb.NOOP: " "}
_COLOURS: Final = {
    "+": 32,
    "-": 31,
    "~": 33,
    "-/+": 31,
    "+/-": 31,
    "&": 36,
    "error": 31,
    "warning": 33,
    "bold": 1,
    "dim": 2,
}


class Paint:
    """Adds ANSI colours to texts, or nothing without ``colour``."""

    def __init__(self, *, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, what: str) -> str:
        """``text`` in the colour of ``what``: a sign, a severity or a style."""
        return f"\x1b[{_COLOURS[what]}m{text}\x1b[0m" if self.colour and what in _COLOURS else text


def plan(plan: Plan, mask: Mask, paint: Paint) -> str:
    """The complete plan; its last line is the summary."""
    lines = [paint(mask.line(f"{plan.scope.environment} in account {plan.scope.account}, {plan.scope.place}"), "bold")]
    if plan.lookups:
        found = [(mask.line(name), single(mask.value(value))) for name, value in sorted(plan.lookups.items())]
        width = max(len(name) for name, _ in found)
        lines += ["", "Look-ups:", *(f"  {name:<{width}}  {value}" for name, value in found)]
    for item in plan.resources:
        if item.verb is not Verb.NOOP or item.notes:
            lines += ["", *resource(item, mask, paint)]
    lines += ["", summary(plan)]
    if limit := limits(plan):
        lines.insert(-1, f"{limit}\n")
    return "\n".join(lines)


def summary(plan: Plan) -> str:
    """The last line: the number of changes by action, or that there are none."""
    if not plan.applyable:
        if not plan.complete and not (plan.destroy and plan.resources):
            part = "this part of the environment"
            if plan.destroy:
                return f"No changes. Nothing in {part} is deleted."
            return _not_compared(plan) or f"No changes. The account matches {part}."
        if plan.destroy and plan.resources:
            return (
                "No changes. The remaining resources are kept: "
                "other resources in the account still use them (see the notes)."
            )
        if plan.destroy:
            return "No changes. The environment owns nothing in this account and Region."
        return _not_compared(plan) or NO_CHANGES
    words = [f"{plan.count(verb)} to {verb.value}" for verb in _CHANGES if verb is not Verb.ADOPT or plan.count(verb)]
    return f"Plan: {', '.join(words)}."


def counts(plan: Plan) -> str:
    """The number of changes by action, without those that there are none of: ``3 to create, 1 to delete``."""
    return ", ".join(f"{plan.count(verb)} to {verb.value}" for verb in _CHANGES if plan.count(verb))


def _not_compared(plan: Plan) -> str:
    """The summary of a plan without changes where some live values cannot be compared; else empty."""
    count = sum(len(item.not_compared) for item in plan.resources)
    if not count:
        return ""
    values = "1 live value" if count == 1 else f"{count} live values"
    return f"No changes. {values} cannot be compared with what is declared (see the notes)."


def limits(plan: Plan) -> str:
    """Why the plan does not cover the whole environment; empty where it does."""
    return "" if plan.complete else f"{_LIMITED[plan.limited_by]}."


def sign(item: ResourcePlan) -> str:
    """Terraform's sign for an action."""
    if item.verb is Verb.REPLACE:
        return "+/-" if item.create_first else "-/+"
    return _SIGNS[item.verb]


def resource(item: ResourcePlan, mask: Mask, paint: Paint) -> Iterator[str]:
    """The lines of one resource."""
    yield heading(item, mask, paint)
    for line in body(item, mask):
        shown = f"    {'  ' * line.depth}{line.sign or ' '} {line.text}" if line.depth else f"    {line.text}"
        yield paint(shown if line.text else shown.rstrip(), line.sign if line.depth else "")
    yield from (paint(shown, "dim") for shown in calls(item, mask))


def heading(item: ResourcePlan, mask: Mask, paint: Paint) -> str:
    """The first line of a resource: its sign, its address and why it changes."""
    mark = sign(item)
    name = f" as {mask.line(item.physical)}" if item.physical.split(":")[0] != item.address.name else ""
    reason = f"  {mask.line(item.reason)}" if item.reason else ""
    return f"{paint(mark, mark)} {paint(mask.line(str(item.address)), 'bold')}{name}{paint(reason, 'dim')}"


def body(item: ResourcePlan, mask: Mask) -> Iterator[Line]:
    """What is created or differs, complete; what happens to running jobs; notes. Depth 0 is an attribute's own line."""
    if item.verb is Verb.CREATE and item.after is not None:
        yield from _created(item, mask)
    elif item.verb is not Verb.CREATE:
        yield from changes.lines(item.changes, mask)
    if _affects_jobs_or_updates(item):
        yield Line("", 0, f"running jobs: {mask.line(item.disruption)}")
    yield from (Line("", 0, f"note: {mask.line(note)}") for note in item.notes)


def calls(item: ResourcePlan, mask: Mask) -> list[str]:
    """The steps, numbered; long parameters are shortened."""
    steps = item.steps if item.verb is not Verb.NOOP else ()
    return [f"      {number}. {step(part, mask)}" for number, part in enumerate(steps, 1)]


def _affects_jobs_or_updates(item: ResourcePlan) -> bool:
    """Whether the block has a line about running jobs: for each effect on them, and for each difference."""
    if not item.disruption or item.verb in (Verb.CREATE, Verb.NOOP):
        return False
    return item.disruption != UNAFFECTED or bool(item.changes)


def step(part: Step, mask: Mask) -> str:
    """One step on one line."""
    if isinstance(part.action, Call):
        parameters = compact(mask.value(part.action.params))
        return f"{part.action} {_cut(parameters)}"
    return f"wait until {mask.line(part.action.title)}"


def _created(item: ResourcePlan, mask: Mask) -> Iterator[Line]:
    """Every property of a resource that is created."""
    hidden = {name: Secret(value) if name in item.secret_paths else value for name, value in (item.after or {}).items()}
    for name, value in mask.value(hidden).items():
        yield from whole("+", mask.line(name), value, 0, MEMBERS)


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 4]} ..."


def problems(found: Sequence[Problem], mask: Mask, paint: Paint, root: str = "") -> str:
    """Problems, as editors and CI can link them (``file:line:column: severity[code]: ...``); ``root`` is the path
    prefix.
    """
    lines = []
    for problem in found:
        place = f"{located(root, problem.pos)}: " if problem.pos and problem.pos.file else ""
        who = f"{problem.address}: " if problem.address else ""
        hint = f"\n    {mask.lines(problem.hint)}" if problem.hint else ""
        severity = paint(f"{problem.severity}[{problem.code}]", problem.severity)
        lines.append(f"{mask.line(place)}{severity}: {mask.lines(who + problem.message)}{hint}")
    return "\n".join(lines)


def blocked(found: Sequence[Problem]) -> str:
    """A sentence that there are errors, so that the plan cannot be applied; empty where there are none."""
    errors = sum(not problem.warning for problem in found)
    return f"This cannot be applied: {errors} error{'s' * (errors > 1)}." if errors else ""


def report(plan: Plan, outcome: Outcome, details: Mapping[str, str], took: float, mask: Mask, root: str = "") -> str:
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
        return f"Done in {took:.0f} s: {message}."
    lines = [f"{'Interrupted' if outcome.interrupted else 'Stopped'} after {took:.0f} s: {message}."]
    for address, missing in unfinished.items():
        failed = next((part for part in missing if states.get(part.id) is StepState.FAILED), None)
        who = mask.line(str(address))
        if failed:
            why = mask.lines(details.get(failed.id, ""), " " * 6)
            pos = next(item.pos for item in plan.resources if item.address == address)
            place = mask.line(f" ({located(root, pos)})") if pos and pos.file else ""
            lines.append(f"  {who}{place} failed at {step(failed, mask)}\n      {why}")
            if where := cause(plan, address, outcome.causes.get(failed.id, ""), root):
                lines.append(f"      see {mask.text(where)}")
        else:
            word = "not started" if len(missing) == len(_steps_of(plan, address)) else "not finished"
            lines.append(f"  {who} {word}: {step(missing[0], mask)}")
    advice = "Fix the cause, then run the same command again" if outcome.failed else "Run the same command again"
    lines.append(f"Completed changes are kept. {advice} to finish the rest.")
    return "\n".join(lines)


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
