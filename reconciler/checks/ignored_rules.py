"""``ignoreRules`` of an environment and of a resource's ``lifecycle``: warnings and notes that are not wanted there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from reconciler.config.loader import LoadedEnvironment
from reconciler.model import Address, Finding, Path
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, did_you_mean

RULES: Final = "ignoreRules"


def misuses(rules: Any, path: Path) -> Iterator[Finding]:
    """The rules in the list at ``path`` that do not exist, or that are errors, which cannot be ignored."""
    known = codes.catalogue()
    for index, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
        at: Path = (*path, index)
        if not isinstance(rule, str):
            continue
        if rule not in known:
            hint = did_you_mean(rule, [name for name, code in known.items() if code.severities != ("error",)])
            hint = hint or "pass the code in brackets after the severity, as in warning[open-to-all]"
            yield Finding(at, f'there is no rule "{rule}"', hint, codes.INVALID_VALUE)
        elif known[rule].severities == ("error",):
            yield Finding(at, f"{rule} is an error, and errors cannot be ignored", "remove it", codes.INVALID_VALUE)


def without_ignored(loaded: LoadedEnvironment, problems: Iterable[Problem]) -> list[Problem]:
    """The problems without the warnings and notes that the environment, or the resource they concern, ignores."""
    ignored, nothing = by_address(loaded), frozenset[str]()
    everywhere = ignored[""]
    return [
        problem
        for problem in problems
        if not problem.warning or problem.code not in everywhere | ignored.get(problem.address, nothing)
    ]


def by_address(loaded: LoadedEnvironment) -> Mapping[str, frozenset[str]]:
    """The ignored rules of each resource that ignores some, by its address; those of the environment under ``""``."""
    found = {
        str(Address(section, name)): frozenset(filter(_is_text, rules))
        for section, raws in loaded.sections.items()
        for name, raw in raws.items()
        if (rules := _of_resource(raw.value))
    }
    return {**found, "": frozenset(loaded.ignore_rules)}


def _of_resource(value: Mapping[str, Any]) -> list[Any]:
    if "lifecycle" not in value:
        return []
    lifecycle = value["lifecycle"]
    rules = lifecycle.get(RULES) if isinstance(lifecycle, Mapping) else None
    return rules if isinstance(rules, list) else []


def _is_text(rule: Any) -> bool:
    return isinstance(rule, str)
