"""The plan as it is shown: masked texts only, dangers first, equal changes once. Every format renders it.

The order of the groups: what ends or delays jobs, deletions, replacements, updates, adoptions, creations, and what has
only notes; within these, what changes like no other first, then the order of the plan. Groups have the changes that
are equal in all but the resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final, overload

from reconciler.model import EMPTY, MISSING, Call, Change, Deferred, Plan, Reference, Resource, ResourcePlan, Step, Verb
from reconciler.model.paths import located
from reconciler.model.patterns import regex
from reconciler.model.plan import UNAFFECTED
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass
from reconciler.model.stand_ins import walk
from reconciler.render import changes
from reconciler.render.difference import Line, shift, single
from reconciler.render.mask import Mask

CHANGES: Final = (Verb.CREATE, Verb.ADOPT, Verb.UPDATE, Verb.REPLACE, Verb.DELETE)
NO_CHANGES: Final = "No changes. The account matches the environment."
_LIMITED: Final = {
    "--target": "--target is in effect: other resources were not planned, and undeclared ones are not deleted",
    "--exclude": "--exclude is in effect: the excluded resources and their dependents were not planned",
    "": "The plan is incomplete: some resources could not be read, and undeclared ones are not deleted",
}
_SIGNS: Final = {Verb.CREATE: "+", Verb.UPDATE: "~", Verb.DELETE: "-", Verb.ADOPT: "&", Verb.NOOP: " "}
_ORDER: Final = tuple(
    verb.value for verb in (Verb.DELETE, Verb.REPLACE, Verb.UPDATE, Verb.ADOPT, Verb.CREATE, Verb.NOOP)
)
_REVISION: Final = regex(r"\brevision \d+")


class Steps(Sequence[str]):
    """The steps of a resource as they are shown: few outputs show them, so they are written when they are asked for."""

    def __init__(self, steps: Sequence[Step], mask: Mask) -> None:
        self._steps, self._mask = steps, mask

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return Steps(self._steps[index], self._mask)
        return changes.step(self._steps[index], self._mask)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One resource.

    ``physical`` is empty where it is the name in the address; ``lines`` are what is created or differs, ``core`` the
    same without what is equal on both sides of a text, and without its own name in its tags; ``jobs`` is what happens
    to running jobs; ``unchanged`` counts the attributes that do not differ; ``steps`` are the calls and waits,
    complete; ``place`` is ``file:line``.
    """

    address: str
    section: str
    name: str
    verb: str
    sign: str
    interrupts: bool = False
    physical: str = ""
    reason: str = ""
    lines: tuple[Line, ...] = ()
    core: tuple[Line, ...] = ()
    jobs: str = ""
    notes: tuple[str, ...] = ()
    unchanged: int = 0
    calls: int = 0
    steps: Sequence[str] = ()
    place: str = ""
    depends_on: tuple[str, ...] = ()

    @property
    def dangerous(self) -> bool:
        """Whether it is deleted or replaced, or interrupts jobs: never left out of any output."""
        return self.interrupts or self.verb in (Verb.DELETE.value, Verb.REPLACE.value)


@dataclass(frozen=True, slots=True)
class Group:
    """Resources whose changes are equal; one that changes like no other is a group by itself."""

    entries: tuple[Entry, ...]

    @property
    def first(self) -> Entry:
        """The one that stands for all."""
        return self.entries[0]

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is created or differs; where texts around it are not equal in all, only what differs in them."""
        return self.first.lines if all(one.lines == self.first.lines for one in self.entries) else self.first.core

    @property
    def jobs(self) -> str:
        """What happens to running jobs."""
        texts = {one.jobs for one in self.entries}
        return self.first.jobs if len(texts) == 1 else _REVISION.sub("their revision", self.first.jobs)

    @property
    def notes(self) -> tuple[str, ...]:
        """Their notes, each once."""
        return tuple(dict.fromkeys(note for one in self.entries for note in one.notes))

    @property
    def calls(self) -> int:
        """The number of API calls of all."""
        return sum(one.calls for one in self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupView:
    """A look-up: its value, and where it differs from what is live, the old one and the resources that use it."""

    name: str
    value: str
    moved: str = ""
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that is shown of a plan. ``refused``: only the problems are shown, since the plan must not be used.

    ``place`` is the Region, and what answers instead of AWS. ``problems`` are errors and warnings, ``root`` is the path
    prefix of the files in them; ``facts`` are further lines for the head (when it was planned, the commit), by name;
    ``preflight`` is what a preflight found, in a line; ``others`` what each resource
    that does not change depends on, both by address, for the picture of the dependencies.
    """

    environment: str
    account: str
    region: str
    place: str
    summary: str
    limits: str = ""
    groups: tuple[Group, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    unchanged: int = 0
    lookups: tuple[LookupView, ...] = ()
    problems: tuple[Problem, ...] = ()
    root: str = ""
    refused: bool = False
    facts: Mapping[str, str] = EMPTY
    preflight: str = ""
    others: Mapping[str, tuple[str, ...]] = EMPTY

    @property
    def entries(self) -> Iterator[Entry]:
        """All resources that are shown, in the order of the groups."""
        return (entry for group in self.groups for entry in group.entries)

    @property
    def dangers(self) -> tuple[Group, ...]:
        """The groups with a deletion, a replacement or an interruption."""
        return tuple(group for group in self.groups if group.first.dangerous)

    @property
    def calls(self) -> int:
        """The number of API calls."""
        return sum(group.calls for group in self.groups)


def of(
    plan: Plan,
    mask: Mask,
    *,
    problems: Sequence[Problem] = (),
    root: str = "",
    refused: bool = False,
    facts: Mapping[str, str] = EMPTY,
    preflight: str = "",
) -> View:
    """What is shown of ``plan``: see :class:`View`."""
    found = () if refused else plan.resources
    shown = [item for item in found if item.verb is not Verb.NOOP or item.notes]
    others = [item for item in found if item.verb is Verb.NOOP and not item.notes]
    return View(
        environment=mask.line(plan.scope.environment),
        account=mask.line(plan.scope.account),
        region=mask.line(plan.scope.region),
        place=mask.line(plan.scope.place),
        summary=summary(plan),
        limits=limits(plan),
        groups=grouped(entry(item, mask, root) for item in shown),
        counts={verb.value: plan.count(verb) for verb in CHANGES},
        unchanged=plan.count(Verb.NOOP),
        lookups=tuple(_lookups(plan, mask)),
        problems=masked(problems, mask),
        root=root,
        refused=refused,
        facts=facts,
        preflight="" if refused else preflight,
        others=Deferred(lambda: {mask.line(str(item.address)): _addresses(item, mask) for item in others}),
    )


def _addresses(item: ResourcePlan, mask: Mask) -> tuple[str, ...]:
    return tuple(mask.line(str(address)) for address in item.depends_on)


def masked(problems: Iterable[Problem], mask: Mask) -> tuple[Problem, ...]:
    """``problems`` without secrets."""
    return tuple(
        replace(
            problem,
            message=mask.text(problem.message),
            hint=mask.text(problem.hint),
            address=mask.text(problem.address),
            path=mask.text(problem.path),
        )
        for problem in problems
    )


def _rank(group: Group) -> tuple[bool, int, bool]:
    return not group.first.interrupts, _ORDER.index(group.first.verb), len(group.entries) > 1


# --- summaries -------------------------------------------------------------------------------------------------------


def summary(plan: Plan) -> str:
    """The number of changes by action, or that there are none."""
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
    words = [f"{plan.count(verb)} to {verb.value}" for verb in CHANGES if verb is not Verb.ADOPT or plan.count(verb)]
    return f"Plan: {', '.join(words)}."


def counts(plan: Plan) -> str:
    """The number of changes by action, without those that there are none of: ``3 to create, 1 to delete``."""
    return ", ".join(f"{plan.count(verb)} to {verb.value}" for verb in CHANGES if plan.count(verb))


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


# --- one resource ----------------------------------------------------------------------------------------------------


def entry(item: ResourcePlan, mask: Mask, root: str = "") -> Entry:
    """One resource as it is shown; ``root`` is the path prefix of its file."""
    lines = _lines(item, mask)
    core = _core(item, lines, mask)
    acting = item.steps if item.verb is not Verb.NOOP else ()
    return Entry(
        address=mask.line(str(item.address)),
        section=item.address.section,
        name=mask.line(str(item.address).removeprefix(item.address.section).removeprefix(".")),
        verb=item.verb.value,
        sign=sign(item),
        interrupts=item.interrupts and item.verb is not Verb.NOOP,
        physical=mask.line(item.physical) if item.physical.split(":")[0] != item.address.name else "",
        reason=mask.line(item.reason),
        lines=lines,
        core=core,
        jobs=mask.line(item.disruption) if _affects_jobs_or_updates(item) else "",
        notes=tuple(mask.line(note) for note in item.notes),
        unchanged=_unchanged(item),
        calls=sum(isinstance(step.action, Call) for step in acting),
        steps=Steps(acting, mask),
        place=mask.line(located(root, item.pos)) if item.pos and item.pos.file else "",
        depends_on=_addresses(item, mask),
    )


def _lines(item: ResourcePlan, mask: Mask, *, core: bool = False) -> tuple[Line, ...]:
    if item.verb is Verb.CREATE:
        return tuple(changes.created(item, mask))
    return tuple(changes.lines(item.changes, mask, core=core))


def _core(item: ResourcePlan, lines: tuple[Line, ...], mask: Mask) -> tuple[Line, ...]:
    """Its lines without what is its own: those of a creation are the same unless its tags have its name."""
    without = changes.nameless(item)
    if item.verb is Verb.CREATE and without.after is item.after:
        return lines
    return _lines(without, mask, core=item.verb is Verb.UPDATE)


def sign(item: ResourcePlan) -> str:
    """Terraform's sign for an action."""
    if item.verb is Verb.REPLACE:
        return "+/-" if item.create_first else "-/+"
    return _SIGNS[item.verb]


def _affects_jobs_or_updates(item: ResourcePlan) -> bool:
    """Whether the block has a line about running jobs: for each effect on them, and for each difference."""
    if not item.disruption or item.verb in (Verb.CREATE, Verb.NOOP):
        return False
    return item.disruption != UNAFFECTED or bool(item.changes)


def _unchanged(item: ResourcePlan) -> int:
    if item.verb not in (Verb.UPDATE, Verb.ADOPT, Verb.REPLACE):
        return 0
    return len({*(item.after or {})} - {change.top for change in item.changes})


# --- groups ----------------------------------------------------------------------------------------------------------


def grouped(entries: Iterable[Entry]) -> tuple[Group, ...]:
    """``entries`` in groups of equal changes, in the order of this module."""
    found: dict[Any, list[Entry]] = {}
    for one in entries:
        found.setdefault(_group_key(one), []).append(one)
    return tuple(sorted((Group(tuple(members)) for members in found.values()), key=_rank))


def _group_key(one: Entry) -> tuple[Any, ...]:
    """What is equal in all entries of a group: everything but the resource's own name and revision."""
    own = sorted({one.address, one.name, one.physical, one.physical.split(":")[0]} - {""}, key=len, reverse=True)
    texts = [_REVISION.sub("\0", text) for text in (one.reason, one.jobs, *one.notes)]
    if any(name in text for text in texts for name in own):  # a pattern costs a millisecond, and most texts need none
        itself = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, own))})(?::\d+)?(?![\w-])")
        texts = [itself.sub("\0", text) for text in texts]
    return (one.section, one.verb, one.sign, one.interrupts, one.core, *texts)


# --- look-ups --------------------------------------------------------------------------------------------------------


def _lookups(plan: Plan, mask: Mask) -> Iterator[LookupView]:
    moved: dict[str, str] = {}
    users: dict[str, list[str]] = {}
    for item in plan.resources:
        for change in item.changes if item.declared and item.verb is not Verb.CREATE else ():
            for name in _sources(item.declared, change):
                old, new = mask.value(change.before), mask.value(change.after)
                if change.before is not MISSING and not change.secret and not change.unknown:
                    moved.setdefault(name, shift(old, new))
                    users.setdefault(name, []).append(mask.line(str(item.address)))
    for name, value in sorted(plan.lookups.items()):
        yield LookupView(
            name=mask.line(name),
            value=single(mask.value(value)),
            moved=moved.get(name, ""),
            users=tuple(dict.fromkeys(users.get(name, ()))),
        )


def _sources(declared: Resource | None, change: Change) -> Iterator[str]:
    """The look-ups that the declared value of ``change`` comes from."""
    value: Any = declared.props if declared else None
    for part in change.path:
        if not isinstance(value, Mapping) or part not in value:
            break
        value = value[part]
    else:
        parts = {part for part in walk(value) if isinstance(part, Reference) and part.root == "lookups"}
        yield from sorted(part.attr for part in parts)
