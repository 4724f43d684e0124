"""Named sets of retry rules: ``retryStrategy: {attempts: 5, use: [spot-reclaim, image-pull-fails-fast, oom-fails]}``.

They become plain entries of ``evaluateOnExit``, so that AWS, plans and adoption see nothing else. The first entry that
matches decides, so the order is:

1. the entries that the definition has itself, which thus may decide otherwise than a set;
2. those of the sets, in the order of ``use``;
3. the entries that match every failure (``{onReason: "*", action: EXIT}``), for nothing after them is reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.kinds.batch.job_definition import outcomes, retry_rules
from reconciler.kinds.common.declared import items
from reconciler.model import Finding, Json, Path

MEMBER: Final = "use"
STRATEGY, RULES = "retryStrategy", "evaluateOnExit"

#: The entry of each set; the schema describes them.
SETS: Final[Mapping[str, Mapping[str, str]]] = {
    "spot-reclaim": {"onStatusReason": f"{outcomes.HOST_LOST}*", "action": "RETRY"},
    "fargate-spot-reclaim": {"onStatusReason": f"{outcomes.SPOT_TASK}*", "action": "RETRY"},
    "network-interface-retries": {"onStatusReason": f"{outcomes.NO_INTERFACE}*", "action": "RETRY"},
    "slow-host-retries": {"onReason": "DockerTimeoutError*", "action": "RETRY"},
    "image-pull-retries": {"onReason": f"{outcomes.PULL}*", "action": "RETRY"},
    "image-pull-fails-fast": {"onReason": f"{outcomes.PULL}*", "action": "EXIT"},
    "oom-fails": {"onReason": f"{outcomes.OUT_OF_MEMORY}*", "action": "EXIT"},
    "everything-else-fails": {"onReason": "*", "action": "EXIT"},
}


def expand(props: Json) -> Json:
    """The properties with the sets written out as entries; what is not the name of one is left for :func:`check`."""
    strategy = props.get(STRATEGY)
    if not isinstance(strategy, Mapping) or MEMBER not in strategy:
        return props
    plain = {name: value for name, value in strategy.items() if name != MEMBER or [*_unknown(value)]}
    rules = [rule for rule, _ in _written_out(strategy)]
    return {**props, STRATEGY: {**plain, RULES: rules} if rules or RULES in plain else plain}


def check(path: Path, strategy: Json) -> Iterator[Finding]:
    """Findings about what ``use`` of the expanded strategy at ``path`` still has."""
    for index in _unknown(strategy.get(MEMBER)):
        hint = f"write it out, or take it from a variable: {', '.join(SETS)}"
        yield Finding((*path, MEMBER, index), "a set of retry rules is named by plain text", hint)


def _unknown(names: Any) -> Iterator[int]:
    return (index for index, name in enumerate(items(names)) if not isinstance(name, str) or name not in SETS)


def declared_at(props: Json) -> Mapping[Path, Path]:
    """Where each entry that :func:`expand` writes is declared: an own entry, or the name of a set."""
    strategy = props.get(STRATEGY)
    if not isinstance(strategy, Mapping) or not items(strategy.get(MEMBER)):
        return {}
    found: dict[Path, Path] = {}
    for index, (rule, origin) in enumerate(_written_out(strategy)):
        here, there = (STRATEGY, RULES, index), (STRATEGY, *origin)
        found[here] = there
        for member in rule if isinstance(rule, Mapping) else ():
            found[(*here, member)] = (*there, member) if origin[0] == RULES else there
    return {(STRATEGY, RULES): (STRATEGY, MEMBER), **found}


def _written_out(strategy: Json) -> list[tuple[Any, Path]]:
    """The entries in the order of AWS, each with its path in the strategy."""
    found = [*_own(strategy), *_of_sets(strategy)]
    last = [one for one in found if isinstance(one[0], Mapping) and retry_rules.catches_all(one[0])]
    return [*(one for one in found if one not in last), *last]


def _own(strategy: Json) -> Iterator[tuple[Any, Path]]:
    yield from ((rule, (RULES, index)) for index, rule in enumerate(items(strategy.get(RULES))))


def _of_sets(strategy: Json) -> Iterator[tuple[Any, Path]]:
    for index, name in enumerate(items(strategy.get(MEMBER))):
        if isinstance(name, str) and name in SETS:
            yield SETS[name], (MEMBER, index)
