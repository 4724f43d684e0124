"""How attempts of a declared job definition end and are retried: what `reconcile retry` shows of one.

- Of a multi-node job the attempt of the main node is evaluated; its timeout is that of the whole job.
- Of an array job each child is evaluated by itself.
- Of several containers in a task or pod AWS does not document which one's exit code and reason count.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Final

from reconciler.kinds.batch.job_definition import outcomes, retry_rules
from reconciler.kinds.batch.job_definition.container_checks import FARGATE
from reconciler.kinds.common.declared import as_int, at, entries, is_given, items, mapping
from reconciler.model import Json
from reconciler.model.attempts import Decision, Ending, Outcome, Retries

# https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
FARGATE_LONGEST: Final = 14 * 86400
_ZERO: Final = "a program that exits with 0 when it is stopped (SIGTERM) makes the job SUCCEEDED"
_FARGATE_LONGEST: Final = "without a timeout, Fargate stops an attempt after 14 days"
_MAIN_NODE: Final = "the attempt of the main node is evaluated; the ends of the other nodes do not count"
_EKS: Final = "AWS does not document the reasons of attempts on EKS: rules for exit codes are safer"


def retries(props: Json) -> Retries:
    """What is known about the retries of a definition with these properties."""
    strategy, runs_on, payload = props.get("retryStrategy"), platform(props), _payload(props)
    timeout, nodes = as_int(at(props, "timeout", "attemptDurationSeconds")), at(props, "nodeProperties", "numNodes")
    notes = []
    if runs_on == outcomes.FARGATE:
        notes += [_ZERO] if timeout else [_ZERO, _FARGATE_LONGEST]
        timeout = timeout or FARGATE_LONGEST
    if is_given(props.get("nodeProperties")):
        notes.append(_MAIN_NODE)
    if runs_on == outcomes.EKS:
        notes.append(_EKS)
    decide = partial(_decide, strategy, containers=_containers(payload))
    return Retries(
        attempts=retry_rules.attempts_of(strategy),
        timeout=timeout,
        nodes=as_int(nodes),
        rules=("retryStrategy", "evaluateOnExit"),
        entries=len(retry_rules.entries_of(strategy)),
        outcomes=(*_of_the_definition(strategy, runs_on), *outcomes.OUTCOMES[runs_on]),
        decide=decide,
        exited=partial(outcomes.exited, runs_on),
        notes=tuple(notes),
    )


def _decide(strategy: Json | None, ending: Ending, attempt: int, *, containers: int) -> Decision:
    return retry_rules.decide(strategy, ending, attempt, containers=containers)


def _payload(props: Json) -> Json:
    """The containers of a definition; of a multi-node one those of its main node."""
    if not is_given(props.get("nodeProperties")):
        return props
    ranges = [node for _, node in entries(at(props, "nodeProperties", "nodeRangeProperties"))]
    main = as_int(at(props, "nodeProperties", "mainNode")) or 0
    return next((node for node in reversed(ranges) if _within(str(node.get("targetNodes")), main)), {})


def _within(targets: str, node: int) -> bool:
    first, colon, last = targets.partition(":")
    if not colon:
        return targets == str(node)
    return int(first if first.isdecimal() else 0) <= node and (not last.isdecimal() or node <= int(last))


def platform(props: Json) -> str:
    """What jobs of a definition run on: EC2, Fargate or EKS, as in :mod:`.outcomes`."""
    if is_given(_payload(props).get("eksProperties")):
        return outcomes.EKS
    return outcomes.FARGATE if FARGATE in items(props.get("platformCapabilities")) else outcomes.EC2


def _containers(payload: Json) -> int:
    tasks = [task for _, task in entries(at(payload, "ecsProperties", "taskProperties"))]
    pod = mapping(at(payload, "eksProperties", "podProperties"))
    many = max((len(items(task.get("containers"))) for task in tasks), default=0)
    return max(1, many, len(items(pod.get("containers"))) + len(items(pod.get("initContainers"))))


def _of_the_definition(strategy: Json | None, platform: str) -> Iterator[Outcome]:
    """The exit codes that the entries name, and one that none names."""
    patterns: dict[str, int] = {}
    for index, entry in enumerate(retry_rules.entries_of(strategy)):
        pattern = retry_rules.stated(entry).get("onExitCode", "*")
        if pattern != "*":
            patterns.setdefault(pattern, index)
    for pattern, index in patterns.items():
        code = pattern.removesuffix("*")
        if code.isdecimal() and len(code) <= 3 and 0 < int(code) <= 255 and code == str(int(code)):
            title = f"exit code {pattern if pattern == code else f'{code}, as {pattern}'} of entry {index}"
            yield _exit(int(code), title, platform)
    unnamed = (some for some in range(1, 256) if not any(retry_rules.matches(one, str(some)) for one in patterns))
    for other in islice(unnamed, 1):
        yield _exit(other, "exit code of no entry" if patterns else "any exit code but 0", platform)


def _exit(code: int, title: str, platform: str) -> Outcome:
    return Outcome(id=f"exit:{code}", title=title, ending=outcomes.exited(platform, code), source="the definition")
