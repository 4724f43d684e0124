"""Problems of reads that AWS refused: the missing permission, what it is for, and what is not planned. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.config.references import dependencies
from reconciler.model import Address, Call, Environment, Kind, Observed, Options, Refused, Resource, Unreadable
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem
from reconciler.model.steps import NOT_RECORDED

# codes of errors with which a plan is shown: some resources could not be read
UNREADABLE_CODES: Final = frozenset({codes.UNREADABLE, codes.LOOKUP_REFUSED})


def unresolved_lookups(env: Environment, facts: Mapping[str, Any], refused: Sequence[Problem]) -> dict[str, str]:
    """Advice, by name, for the look-ups without a value: those that AWS refused, and those that depend on them."""
    own = {problem.address: problem.hint for problem in refused}
    every = "; ".join(dict.fromkeys(own.values()))
    return {name: own.get(f"lookups.{name}", every) for name in env.lookups if name not in facts} if refused else {}


def problems(observed: Observed, declared: Mapping[Address, Resource], *, destroy: bool) -> list[Problem]:
    """Errors for declared resources that cannot be read; warnings for reads without which nothing is deleted, which are
    errors with ``destroy``.
    """
    return [
        *(
            Problem(
                code=codes.UNREADABLE,
                message=f"not planned: {_refusal(failed)}",
                hint=failed.advice,
                address=str(address),
                pos=declared[address].at(),
            )
            for address, failed in _unread(observed, declared)
        ),
        *(
            Problem(
                code=codes.UNREADABLE,
                message=f"cannot list the owned resources of {', '.join(sections)}: {refusal}",
                hint=f"{advice}; until then undeclared resources are not deleted",
                warning=not destroy,
            )
            for (refusal, advice), sections in _partial(observed).items()
        ),
        *(
            Problem(
                code=codes.UNREADABLE,
                message=f"cannot read the dependents of resources to delete: {refusal}",
                hint=f"{advice}; until then nothing is deleted",
                warning=not destroy,
            )
            for refusal, advice in dict.fromkeys((_refusal(failed), failed.advice) for failed in observed.unanswered)
        ),
    ]


def only_described(
    observed: Observed,
    declared: Mapping[Address, Resource],
    kinds: Mapping[str, Kind],
    described: frozenset[tuple[str, str]],
) -> Observed:
    """``observed`` in a snapshot, in which objects without an owner have only names unless they are ``described``: a
    declared one of these counts as not read, since what differs is not known.
    """
    unreadable, lives = dict(observed.unreadable), dict(observed.lives)
    for address, resource in declared.items():
        section, name = address.section, resource.name
        if kinds[section].shared or (section, name) in described:
            continue
        bare = [
            one
            for one in lives.get(section, ())
            if one.owner is None and name == (one.attrs.get("name") or one.physical)
        ]
        if bare:
            lives[section] = tuple(one for one in lives[section] if one not in bare)
            refused = Refused(NOT_RECORDED, "the snapshot has only the name of the existing object")
            unreadable[section, address.name] = Unreadable(Call("", ""), refused)
    return replace(observed, unreadable=unreadable, lives=lives)


def downgrade_untargeted(
    found: Sequence[Problem], declared: Mapping[Address, Resource], kinds: Mapping[str, Kind], options: Options
) -> list[Problem]:
    """``found`` with warnings instead of errors for unreadable resources that are not planned anyway: those that are
    not dependencies of the targets, and the excluded with their dependents.
    """
    if not (options.targets or options.exclude):
        return list(found)
    needs = {a: {use.target for use in dependencies(one, kinds, declared)} for a, one in declared.items()}
    out = {str(address) for address in _excluded(needs, options)}
    lines = [
        replace(one, warning=True) if one.code == codes.UNREADABLE and one.address in out else one for one in found
    ]
    if any(one.code == codes.UNREADABLE and not one.warning for one in lines):
        return lines
    return [replace(one, warning=True) if one.code in UNREADABLE_CODES else one for one in lines]


def _excluded(needs: Mapping[Address, set[Address]], options: Options) -> set[Address]:
    out = set(options.exclude)
    while grown := {address for address, needed in needs.items() if address not in out and needed & out}:
        out |= grown
    reached = set(options.targets)
    while more := {other for address in reached for other in needs.get(address, ())} - reached:
        reached |= more
    return out | (set(needs) - reached if options.targets else set())


def _unread(observed: Observed, declared: Mapping[Address, Resource]) -> Iterator[tuple[Address, Unreadable]]:
    for (section, name), failed in sorted(observed.unreadable.items(), key=lambda item: item[0]):
        if Address(section, name) in declared:
            yield Address(section, name), failed


def _partial(observed: Observed) -> dict[tuple[str, str], list[str]]:
    """The sections by refusal: the reads of several sections start with the same call."""
    found: dict[tuple[str, str], list[str]] = {}
    for section, refused in sorted(observed.partial.items()):
        for failed in refused:
            sections = found.setdefault((_refusal(failed), failed.advice), [])
            sections += [] if section in sections else [section]
    return found


def _refusal(failed: Unreadable) -> str:
    if failed.refused.code == NOT_RECORDED:
        return failed.refused.message
    return f"{failed.call.action} was refused: {failed.refused}"
