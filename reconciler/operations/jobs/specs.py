"""The containers of a job, whatever it runs on. Pure over a reply of DescribeJobs.

A job has one container, several in a task of ECS, those of a pod, or any of these for each range of its nodes.

https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.model.masking import looks_secret, private_name
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.model.secrets_in_text import secret_arguments

# A parameter that a command takes for something with the name of a secret: --password Ref::pw
_SUBSTITUTED: Final = regex(r"(?P<name>[\w.-]+)[\"']?[=:\s]+[\"']?Ref::(?P<parameter>[\w-]+)")
# What variables such as USE_TOKEN have, and what would hide much else in an output
_NO_SECRET: Final = regex(r"|true|false|yes|no|none|null|[0-9]{1,4}|arn:.*|\$.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spec:
    """One container; ``name`` and ``nodes`` (``0:3``) are empty where it has none. ``said`` is what AWS says of it."""

    name: str
    nodes: str
    said: Mapping[str, Any]

    @property
    def command(self) -> list[str] | None:
        """Its command; that of a pod's container with the arguments. None where the image's own is run."""
        words = [*(self.said.get("command") or ()), *(self.said.get("args") or ())]
        return [str(word) for word in words] or None

    @property
    def environment(self) -> list[Mapping[str, Any]]:
        """The variables, as pairs of name and value."""
        return list(self.said.get("environment") or self.said.get("env") or ())

    @property
    def resources(self) -> list[Mapping[str, Any]]:
        """Its requirements, as pairs of type and value."""
        needs = self.said.get("resources") or {}
        listed = {**(needs.get("requests") or {}), **(needs.get("limits") or {})}
        asked = self.said.get("resourceRequirements") or ()
        return [*asked, *({"type": name, "value": str(value)} for name, value in listed.items())]

    @property
    def document(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "name": self.name or None,
            "nodes": self.nodes or None,
            "image": self.said.get("image"),
            "command": self.command,
            "environment": self.environment,
            "resources": self.resources,
        }


def of(job: Mapping[str, Any]) -> Iterator[Spec]:
    """The containers of a job; of a multi-node job those of each range of nodes."""
    ranges = ranges_of(job)
    for nodes, part in ranges.items():
        yield from _of_part(part, nodes)
    if not ranges:
        yield from _of_part(job, "")


def _of_part(part: Mapping[str, Any], nodes: str) -> Iterator[Spec]:
    pod = (part.get("eksProperties") or {}).get("podProperties") or {}
    tasks = (part.get("ecsProperties") or {}).get("taskProperties") or ()
    listed = [one for task in (*tasks, pod) for key in ("initContainers", "containers") for one in task.get(key) or ()]
    for one in listed:
        yield Spec(str(one.get("name") or ""), nodes, one)
    if not listed and (part.get("container") or {}).get("image"):
        yield Spec("", nodes, part["container"])


def ranges_of(job: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What each range of nodes is to run, of the parent of a multi-node job; its nodes have containers themselves."""
    if (job.get("container") or {}).get("image"):
        return {}
    listed = (job.get("nodeProperties") or {}).get("nodeRangeProperties") or ()
    return {str(one.get("targetNodes") or ""): one for one in listed}


def of_main_node(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the main node of a multi-node job is to run; any other job as it is."""
    main = int((job.get("nodeProperties") or {}).get("mainNode") or 0)
    for nodes, part in ranges_of(job).items():
        first, _, last = nodes.partition(":")
        if int(first or 0) <= main <= int(last or (main if ":" in nodes else first)):
            return part
    return job


def secrets_of(job: Mapping[str, Any]) -> Iterator[str]:
    """The values of variables, options and parameters with names of secrets, or that are used as such."""
    parameters: Mapping[str, Any] = job.get("parameters") or {}
    private = {name for name in parameters if private_name(name)}
    for one in of(job):
        words: Sequence[str] = one.command or ()
        yield from secret_arguments(words)
        used = _SUBSTITUTED.finditer(" ".join(words))
        private |= {found["parameter"] for found in used if private_name(found["name"])}
        values = ((str(each.get("name")), str(each.get("value") or "")) for each in one.environment)
        yield from (value for name, value in values if looks_secret(name) and not _NO_SECRET.fullmatch(value))
    yield from (str(parameters[name]) for name in private if parameters.get(name))
