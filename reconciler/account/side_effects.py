"""The side effects of a plan, and what blocks it: a second read of the account.

The kinds define the calls and interpret the replies (``Kind.side_effects``). They make no calls for a resource
that does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from reconciler.account.reader import Reader
from reconciler.model import Address, Declared, Environment, Finding, Kind, Plan, Reads, ResourcePlan, Verb
from reconciler.model import problem_codes as codes
from reconciler.model.paths import dotted
from reconciler.model.problems import Problem


def find_side_effects(
    reader: Reader, kinds: Mapping[str, Kind], env: Environment, plan: Plan
) -> tuple[Plan, list[Problem]]:
    """The plan with warnings added as notes, and the other findings as problems, which block it.

    Raises what a read raises.
    """
    changing = {item.address: item.verb for item in plan.resources if item.verb is not Verb.NOOP}
    declared = Declared(env.resources, account=env.account, region=env.region)
    jobs: dict[Address, Callable[[], Sequence[Finding]]] = {}
    for item in plan.resources:
        reads = _reads(kinds[item.address.section], item, changing, declared)
        if reads is not None:
            jobs[item.address] = partial(reader.drive, reads)
    found: dict[Address, Sequence[Finding]] = {}
    for address, findings in reader.run_all(jobs).items():
        if isinstance(findings, BaseException):
            raise findings
        found[address] = findings
    if not any(found.values()):
        return plan, []
    resources = tuple(_with_notes(item, found.get(item.address, ())) for item in plan.resources)
    problems = [
        _problem(env, address, finding) for address in found for finding in found[address] if not finding.warning
    ]
    return replace(plan, resources=resources), problems


def _reads(
    kind: Kind, item: ResourcePlan, changing: Mapping[Address, Verb], declared: Declared
) -> Reads[Sequence[Finding]] | None:
    if kind.side_effects is None or item.kept_object is None or item.want is None:
        return None
    return kind.side_effects(item.kept_object, item.want, item.diff, changing, declared)


def _with_notes(item: ResourcePlan, findings: Sequence[Finding]) -> ResourcePlan:
    warnings = [finding for finding in findings if finding.warning]
    lines = tuple(finding.message for finding in warnings)
    foreseen = tuple(finding.message for finding in warnings if finding.code != codes.ADVICE)
    return replace(item, notes=(*item.notes, *lines), side_effects=foreseen) if lines else item


def _problem(env: Environment, address: Address, finding: Finding) -> Problem:
    return Problem(
        code=finding.code,
        message=finding.message,
        hint=finding.hint,
        address=str(address),
        path=dotted(finding.path),
        pos=env.resources[address].at(finding.path),
    )
