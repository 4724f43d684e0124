"""What becomes of failed attempts of a declared definition's jobs: pure over the environment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from reconciler.kinds import discover
from reconciler.model import Address, Environment, Resource
from reconciler.model import problem_codes as codes
from reconciler.model.attempts import Cause, Ending, Outcome, Retries, Verdict
from reconciler.model.paths import located
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.render.retries import Asked, Row, Step, Table, TimeLine, most_seconds

EXIT = "exit:"
_DIGITS = 10  # exit codes of Windows have 32 bits


class Subject:
    """A declared resource whose jobs are retried. ``root`` is the prefix of its files; ``submitted``: the rules are not
    those it declares, but of a job.
    """

    def __init__(self, resource: Resource, retries: Retries, root: str = "", *, submitted: bool = False) -> None:
        self.resource, self.retries, self.root, self.submitted = resource, retries, root, submitted
        self.address = str(resource.address)

    def source(self, entry: int | None) -> str:
        """Where the entry with this index is declared: ``file:line:column``."""
        pos = None if entry is None or self.submitted else self.resource.pos.get((*self.retries.rules, entry))
        return "" if pos is None else located(self.root, pos)


def subjects(env: Environment, root: str = "") -> dict[Address, Subject]:
    """Every resource whose jobs are retried, by address."""
    kinds = discover()
    found: dict[Address, Subject] = {}
    for address, resource in env.resources.items():
        kind = kinds.get(address.section)
        if kind is not None and kind.retries is not None:
            found[address] = Subject(resource, kind.retries(resource.props), root)
    return found


def subject(env: Environment, name: str | None, root: str = "") -> Subject:
    """The one with this key, address or physical name; without a name the only one. Raises Problems."""
    known = subjects(env, root)
    if name is None:
        if len(known) == 1:
            return next(iter(known.values()))
        hint = one_of([address.name for address in known]) if known else "declare one"
        message = f"no {_noun()} given" if known else f"{env.name} has no {_noun()}"
        raise Problems([Problem(code=codes.USAGE, message=message, hint=hint)])
    for address, found in known.items():
        if name in (address.name, str(address), found.resource.name):
            return found
    names = [address.name for address in known]
    hint = did_you_mean(name, names) or one_of(names)
    raise Problems([Problem(code=codes.USAGE, message=f'there is no {_noun()} "{name}"', hint=hint)])


def _noun() -> str:
    return " or ".join(kind.name for kind in discover().values() if kind.retries is not None)


def named(retries: Retries, name: str) -> Asked:
    """The end called ``name``: one of the table, or ``exit:N``. Raises Problems."""
    found = next((one for one in retries.outcomes if one.id == name), None)
    if found is not None:
        return asked(found)
    code = name.removeprefix(EXIT)
    if name.startswith(EXIT) and code.isascii() and code.isdecimal() and len(code) <= _DIGITS:
        return Asked(ending=retries.exited(int(code)), outcome=f"{EXIT}{int(code)}", title=f"exit code {int(code)}")
    known = [one.id for one in retries.outcomes if not one.id.startswith(EXIT)]
    hint = did_you_mean(name, known) or f"{EXIT}N, or {one_of(known, most=40)}"
    raise Problems([Problem(code=codes.USAGE, message=f'there is no outcome "{name}"', hint=hint)])


def asked(one: Outcome) -> Asked:
    """A known end, as one that was asked about."""
    return Asked(ending=one.ending, outcome=one.id, title=one.title, source=one.source, started=one.started)


def step(of: Subject, ending: Asked, attempt: int) -> Step:
    """What becomes of the job after one attempt."""
    found = of.retries.decide(ending.ending, attempt)
    return Step(attempt=attempt, asked=ending, decision=found, source=of.source(found.entry))


def time_line(of: Subject, endings: Sequence[Asked], first: int = 1) -> TimeLine:
    """What becomes of the job after each of several attempts, until it is over."""
    steps: list[Step] = []
    for number, ending in enumerate(endings, start=first):
        steps.append(step(of, ending, number))
        if steps[-1].decision.verdict is not Verdict.RETRY:
            break
    return TimeLine(address=of.address, retries=of.retries, steps=tuple(steps), unused=tuple(endings[len(steps) :]))


def table(of: Subject, warnings: Sequence[Problem] = ()) -> Table:
    """What becomes of the job for each known end, if every attempt ends so; with the ``warnings`` about its rules."""
    rows = []
    for one in of.retries.outcomes:
        steps = tuple(_until_over(of, asked(one)))
        rows.append(Row(asked=asked(one), steps=steps, most=most_seconds(of.retries, len(steps)) if one.started else 0))
    most = most_seconds(of.retries, of.retries.attempts)
    used = {each.decision.entry for row in rows for each in row.steps}
    idle = tuple(index for index in range(of.retries.entries) if index not in used) if of.retries.attempts > 1 else ()
    return Table(
        address=of.address, retries=of.retries, rows=tuple(rows), most=most, idle=idle, problems=_of_rules(of, warnings)
    )


def _of_rules(of: Subject, warnings: Sequence[Problem]) -> tuple[Problem, ...]:
    rules = str(of.retries.rules[0])
    return tuple(one for one in warnings if one.address == of.address and one.path.partition(".")[0] == rules)


def _until_over(of: Subject, ending: Asked) -> Iterator[Step]:
    for attempt in count(1):
        found = step(of, ending, attempt)
        yield found
        if found.decision.verdict is not Verdict.RETRY:
            return


def described(exit_code: int | None, reason: str | None, status_reason: str | None, cause: str | None) -> Asked:
    """An end that was described."""
    return Asked(
        ending=Ending(
            exit_code=exit_code,
            reason=reason,
            status_reason=status_reason,
            cause=Cause(cause) if cause is not None else None,
        )
    )
