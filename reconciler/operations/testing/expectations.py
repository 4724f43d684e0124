"""Whether what a test expects is met, by what is declared and by the plan. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from reconciler.kinds import discover
from reconciler.model import Address, Call, Change, Declared, Environment, Resource, ResourcePlan, Template, Verb
from reconciler.model import problem_codes as codes
from reconciler.model.granted import Granted, allowing
from reconciler.model.paths import dotted, values_at
from reconciler.model.problems import Problem, Problems, did_you_mean, one_of
from reconciler.model.records import dataclass
from reconciler.operations.jobs import retry_expectations, retry_report
from reconciler.operations.testing.files import Case, address_of

OF_PLANS: Final = ("noChanges", "actions", "nothingElse", "no", "differences", "calls", "noCalls")
INTERRUPTION: Final = "interruption"
_DOES: Final = {
    Verb.NOOP: "does not change",
    Verb.CREATE: "is created",
    Verb.ADOPT: "is adopted",
    Verb.UPDATE: "is updated",
    Verb.REPLACE: "is replaced",
    Verb.DELETE: "is deleted",
}


@dataclass(frozen=True, slots=True)
class Unmet:
    """What is not as expected: where in ``expect``, and what was found."""

    path: tuple[str | int, ...]
    message: str
    hint: str = ""
    address: str = ""


def problems(test: Case, unmet: Iterable[Unmet]) -> list[Problem]:
    """What is not as expected, at its place in the file of the test."""
    return [
        Problem(
            code=codes.FAILED_TEST,
            message=one.message,
            hint=one.hint,
            address=one.address,
            pos=test.at("expect", *one.path),
        )
        for one in unmet
    ]


# --- what is declared ------------------------------------------------------------------------------------------------


def of_environment(expect: Mapping[str, Any], env: Environment) -> Iterator[Unmet]:
    """What is not met by what is declared."""
    known = env.resources
    for written, values in expect.get("values", {}).items():
        at = ("values", written)
        resource = known.get(address_of(written) or Address("", ""))
        if resource is None:
            yield Unmet(at, f"{written} is not declared", _near(written, known))
            continue
        for path, wanted in values.items():
            for message in _value(resource, path, wanted):
                yield Unmet((*at, path), f"{path} {message}", address=written)
    declared = Declared(env.resources, account=env.account, region=env.region)
    for written, wanted in expect.get("grants", {}).items():
        chosen = [resource for address, resource in known.items() if _is_meant(written, address)]
        if not chosen:
            yield Unmet(("grants", written), f"{written} is not declared", _near(written, known))
        for resource in chosen:
            yield from _grants(("grants", written), resource, declared, wanted)


def _value(resource: Resource, path: str, wanted: Any) -> Iterator[str]:
    whole = {**resource.props, "tags": dict(resource.tags)}
    found = [_plain(value) for _, value in values_at(whole, path)]
    rules = wanted if isinstance(wanted, dict) else {"equals": wanted}
    if rules.get("absent"):
        if found:
            yield f"is {_shown(found[0])}; expected: absent"
        return
    if not found:
        expected = " and ".join(f"{_WORDS[rule]}{_shown(operand)}" for rule, operand in rules.items() if rule in _RULES)
        yield f"is absent; expected: {expected or 'any value'}"
        return
    for value in found:
        for rule, operand in rules.items():
            if rule in _RULES and not _RULES[rule](value, operand):
                yield f"is {_shown(value)}; expected: {_WORDS[rule]}{_shown(operand)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    """A number, also one that AWS takes as text; None for anything else."""
    text = isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value)
    return value if _is_number(value) else float(value) if text else None


_RULES: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "equals": lambda value, wanted: bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool),
    "not": lambda value, other: bool(value != other),
    "matches": lambda value, pattern: re.fullmatch(pattern, str(value)) is not None,
    "atLeast": lambda value, least: _number(value) is not None and _number(value) >= least,
    "atMost": lambda value, most: _number(value) is not None and _number(value) <= most,
}
_WORDS: Final = {
    "equals": "",
    "not": "anything else than ",
    "matches": "text that matches ",
    "atLeast": "at least ",
    "atMost": "at most ",
}


def _plain(value: Any) -> Any:
    """A value with expressions as they are written."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Template) else value


def _grants(at: tuple[str, ...], resource: Resource, declared: Declared, wanted: Mapping[str, Any]) -> Iterator[Unmet]:
    statements = [*discover()[resource.address.section].grants(resource, declared)]
    address = str(resource.address)
    for index, member in enumerate(wanted.get("noWildcards", ())):
        for one in statements:
            wide = one.wide_actions() if member == "Action" else one.wide_resources()
            if one.allow and wide:
                message = f"allows {'the actions' if member == 'Action' else 'the resource'} {', '.join(wide)}"
                yield Unmet((*at, "noWildcards", index), message, _where(one, declared), address)
    for index, action in enumerate(wanted.get("allowsNo", ())):
        for one in allowing(statements, action):
            message = f"allows {', '.join(one.actions) if not one.inverted else 'all but some actions'}"
            yield Unmet(
                (*at, "allowsNo", index),
                f"{message}; expected: nothing of {action}",
                _where(one, declared),
                address,
            )
    for index, action in enumerate(wanted.get("allows", ())):
        if not allowing(statements, action):
            message = f"does not allow {action}"
            hint = "as far as its policies are declared in this environment"
            yield Unmet((*at, "allows", index), message, hint, address)


def _where(one: Granted, declared: Declared) -> str:
    """The place of a statement."""
    pos = declared.resources[one.address].at(one.path)
    return f"{one.address}: {dotted(one.path)} at {pos}"


def of_retries(test: Case, env: Environment) -> Iterator[Unmet]:
    """What is not met by the retries of jobs. Raises Problems for a list that is wrong."""
    wanted = test.expect.get("retry", {})
    if isinstance(wanted, list):  # as `retry --expect` has them
        for index, case in enumerate(retry_expectations.cases(test.node.value["expect"].value["retry"])):
            (found,) = retry_expectations.check(env, [case])
            for one in found.differences:
                message = f"{one.what} is {_shown(one.found)}; expected: {_shown(one.expected)}"
                yield Unmet(("retry", index), message, found.last.decision.because, found.line.address)
        return
    known = retry_report.subjects(env) if wanted else {}
    for written, outcomes in wanted.items():
        subject = known.get(address_of(written) or Address("", ""))
        if subject is None:
            yield Unmet(("retry", written), f"{written} is not declared, or has no jobs", _near(written, known))
            continue
        for words, verdict in outcomes.items():
            for message, hint in _retried(subject, words, verdict):
                yield Unmet(("retry", written, words), message, hint, written)


def _retried(subject: retry_report.Subject, words: str, verdict: str) -> Iterator[tuple[str, str]]:
    try:
        endings = [retry_report.named(subject.retries, name.strip()) for name in words.split(",")]
    except Problems as error:
        yield from ((problem.message, problem.hint) for problem in error.problems)
        return
    line = retry_report.time_line(subject, endings)
    last = line.steps[-1]
    if line.unused:
        yield f"the job is over after attempt {last.attempt} ({last.asked.outcome})", last.decision.because
    elif last.decision.verdict != verdict:
        yield f"{words} ends in {last.decision.verdict}; expected: {verdict}", last.decision.because


# --- plans -----------------------------------------------------------------------------------------------------------


def of_plan(expect: Mapping[str, Any], resources: Collection[ResourcePlan]) -> Iterator[Unmet]:
    """What is not met by a plan."""
    known = {one.address: one for one in resources}
    changed = [one for one in resources if one.verb is not Verb.NOOP]
    if expect.get("noChanges"):
        yield from (Unmet(("noChanges",), _action_of(one), address=str(one.address)) for one in changed)
    yield from _actions(expect.get("actions", {}), known)
    if expect.get("nothingElse"):
        named = [*expect.get("actions", {}), *expect.get("differences", {})]
        others = (one for one in changed if not any(_is_meant(word, one.address) for word in named))
        yield from (Unmet(("nothingElse",), f"{_action_of(one)}, too", address=str(one.address)) for one in others)
    for index, never in enumerate(expect.get("no", ())):
        for one in resources:
            if one.interrupts if never == INTERRUPTION else one.verb.value == never:
                message = f"interrupts: {one.disruption}" if never == INTERRUPTION else _action_of(one)
                yield Unmet(("no", index), message, address=str(one.address))
    for written, effects in expect.get("differences", {}).items():
        yield from _differences(
            ("differences", written), known.get(address_of(written) or Address("", "")), written, effects
        )
    yield from _of_calls(expect, sorted({call for one in resources for call in _calls(one)}))


def _of_calls(expect: Mapping[str, Any], planned: Collection[str]) -> Iterator[Unmet]:
    wanted = expect.get("calls")
    if wanted is not None:
        for index, pattern in enumerate(wanted):
            if not any(_glob(pattern, call) for call in planned):
                yield Unmet(
                    ("calls", index), f"the plan does not call {pattern}", f"it calls {', '.join(planned) or 'nothing'}"
                )
        more = [call for call in planned if not any(_glob(pattern, call) for pattern in wanted)]
        if more:
            yield Unmet(("calls",), f"the plan calls {', '.join(more)}, too")
    for index, pattern in enumerate(expect.get("noCalls", ())):
        for call in planned:
            if _glob(pattern, call):
                yield Unmet(("noCalls", index), f"the plan calls {call}")


def _actions(actions: Mapping[str, Any], known: Mapping[Address, ResourcePlan]) -> Iterator[Unmet]:
    for written, wanted in actions.items():
        at = ("actions", written)
        allowed = wanted if isinstance(wanted, list) else [wanted]
        chosen = [one for address, one in known.items() if _is_meant(written, address)]
        if not chosen:
            yield Unmet(at, f"{written} is not in the plan", _near(written, known))
        for one in chosen:
            if one.verb.value not in allowed:
                yield Unmet(at, f"{_action_of(one)}; expected: {' or '.join(allowed)}", address=str(one.address))


def _differences(
    at: tuple[str, ...], one: ResourcePlan | None, written: str, wanted: Mapping[str, str]
) -> Iterator[Unmet]:
    found = {_path(change): change for change in one.changes} if one is not None else {}
    for path, effect in wanted.items():
        change = found.get(path)
        if change is None:
            hint = f"{', '.join(found)} differ" if found else "nothing of it differs"
            yield Unmet((*at, path), f"{path} does not differ", hint, written)
        elif change.effect.value != effect:
            yield Unmet(
                (*at, path), f"a change of {path} is {change.effect.value}; expected: {effect}", address=written
            )
    for path in found:
        if path not in wanted:
            yield Unmet(at, f"{path} differs, too", address=written)


def _path(change: Change) -> str:
    return dotted(change.path)


def _calls(one: ResourcePlan) -> list[str]:
    return [str(step.action) for step in one.steps if isinstance(step.action, Call)]


def _action_of(one: ResourcePlan) -> str:
    paths = ", ".join(dict.fromkeys(_path(change) for change in one.changes))
    return f"{_DOES[one.verb]}{f' ({paths})' if paths and one.verb is not Verb.CREATE else ''}"


# --- addresses and words ---------------------------------------------------------------------------------------------


def _is_meant(written: str, address: Address) -> bool:
    """Whether an address of a test, in which ``*`` stands for any text, means a resource."""
    pattern = address_of(written)
    return pattern is not None and _glob(pattern.section, address.section) and _glob(pattern.name, address.name)


def _glob(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) is not None


def _near(written: str, known: Iterable[Address]) -> str:
    names = [str(address) for address in known]
    return did_you_mean(written, names) or (one_of(names) if names else "there is none at all")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f'"{text}"' if isinstance(value, str) else text


def of_errors(expect: Mapping[str, Any], found: Iterable[Problem]) -> Iterator[Unmet]:
    """What is not met by the errors of checking or planning."""
    errors = {str(problem.code): problem for problem in found if not problem.warning}
    wanted = expect["problems"]
    for index, code in enumerate(wanted):
        if code not in errors:
            there = ", ".join(errors)
            near = "" if code in codes.catalogue() else did_you_mean(code, codes.catalogue())
            yield Unmet(("problems", index), f"there is no {code}", near or (f"there is {there}" if there else ""))
    for code, problem in errors.items():
        if code not in wanted:
            yield Unmet(("problems",), f"there is {code}, too: {problem.message}", problem.hint, problem.address)


__all__ = ["OF_PLANS", "Unmet", "of_environment", "of_errors", "of_plan", "problems"]
