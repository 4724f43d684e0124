"""What live queues are tried with: estates to change, jobs that keep coming, and a judge who reads the log of calls.

The judge knows nothing of the tool, nor of how the sandbox works inside: from the calls that arrived it follows for
itself which environments exist, are VALID and ENABLED, and which of them each queue lists, and looks after every write.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from reconciler.model import Call, Environment, Reply
from reconciler.operations import pipeline
from tests.support.histories import READS, Door, History

Stack = dict[str, Any]
READING = (*READS, "Batch")


# --- the judge -------------------------------------------------------------------------------------------------------


@dataclass
class _Environment:
    logical: str
    state: str
    settles: float
    held: float = 0.0


@dataclass
class Judge:
    """Follows the calls of a log. ``taking`` are the seconds that creating and changing an environment take;
    ``never`` the names of environments that never become VALID; ``at_work`` says that one that is being changed in
    place counts as VALID, as it goes on taking jobs.
    """

    creating: float = 15.0
    changing: float = 10.0
    never: frozenset[str] = frozenset()
    at_work: bool = False
    environments: dict[str, _Environment] = field(default_factory=dict)
    queues: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    judged: int = 0

    def hear(self, records: Iterable[Mapping[str, Any]]) -> None:
        """The next part of the log."""
        for record in records:
            name = str(record["operation"])
            if record["service"] != "batch" or record["code"] or record["status"] >= 300 or name.startswith(READING):
                continue
            follow = getattr(self, f"_{name}", None)
            if follow is not None:
                follow(record["params"], float(record["at"]))
                self._look(f"{record['n']} {name} {json.dumps(record['params'])[:200]}", float(record["at"]))

    def _CreateComputeEnvironment(self, params: Mapping[str, Any], at: float) -> None:  # noqa: N802
        name = params["computeEnvironmentName"]
        logical = params.get("tags", {}).get("reconciler/name", name)
        self.environments[name] = _Environment(logical, "ENABLED", at + self.creating)

    def _UpdateComputeEnvironment(self, params: Mapping[str, Any], at: float) -> None:  # noqa: N802
        one = self.environments[_bare(params["computeEnvironment"])]
        one.state = params.get("state", one.state)
        if not self.at_work:
            one.settles = max(one.settles, at + self.changing)

    def _DeleteComputeEnvironment(self, params: Mapping[str, Any], _: float) -> None:  # noqa: N802
        self.environments.pop(_bare(params["computeEnvironment"]), None)

    def _CreateJobQueue(self, params: Mapping[str, Any], _: float) -> None:  # noqa: N802
        name = params["jobQueueName"]
        self.queues[name] = {"state": params.get("state", "ENABLED"), "order": ()}
        self._ordered(name, params)

    def _UpdateJobQueue(self, params: Mapping[str, Any], _: float) -> None:  # noqa: N802
        name = _bare(params["jobQueue"])
        self.queues[name]["state"] = params.get("state", self.queues[name]["state"])
        if "computeEnvironmentOrder" in params:
            self._ordered(name, params)

    def _DeleteJobQueue(self, params: Mapping[str, Any], _: float) -> None:  # noqa: N802
        self.queues.pop(_bare(params["jobQueue"]), None)

    def _ordered(self, name: str, params: Mapping[str, Any]) -> None:
        listed = sorted(params["computeEnvironmentOrder"], key=lambda item: int(item["order"]))
        order = tuple(_bare(item["computeEnvironment"]) for item in listed)
        self.queues[name]["order"] = order
        ranks = tuple(self.environments[one].logical for one in order)
        if self.orders.setdefault(name, [])[-1:] != [ranks]:
            self.orders[name].append(ranks)

    def _look(self, after: str, now: float) -> None:
        for name, queue in self.queues.items():
            if queue["state"] != "ENABLED":
                continue
            self.judged += 1
            if not any(self._serves(one, now) for one in queue["order"]):
                self.found.append(f"{name} has nothing VALID and ENABLED among {queue['order']} after {after}")

    def _serves(self, name: str, now: float) -> bool:
        one = self.environments.get(name)
        return one is not None and name not in self.never and one.state == "ENABLED" and one.settles <= now + 1e-6


def _bare(value: str) -> str:
    return value.rsplit("/", 1)[-1]


# --- estates ---------------------------------------------------------------------------------------------------------

_TRUST = {
    "svc": ("batch.amazonaws.com", "service-role/AWSBatchServiceRole"),
    "inst": ("ec2.amazonaws.com", "service-role/AmazonEC2ContainerServiceforEC2Role"),
    "exec": ("ecs-tasks.amazonaws.com", "service-role/AmazonECSTaskExecutionRolePolicy"),
}


def ec2(types: str = "m5.large", *, role: str | None = "svc", lifecycle: Any = None, **resources: Any) -> Stack:
    """An environment on instances; with an ordinary role it cannot have an infrastructure update."""
    made: Stack = {
        "type": "MANAGED",
        "computeResources": {
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": 64,
            "instanceTypes": [types],
            "allocationStrategy": "BEST_FIT_PROGRESSIVE",
            "subnets": "${lookups.subnets}",
            "securityGroupIds": ["${lookups.default}"],
            "instanceRole": "prof",
            **resources,
        },
    }
    return made | ({"serviceRole": role} if role else {}) | ({"lifecycle": lifecycle} if lifecycle else {})


def fargate(kind: str = "FARGATE", *, lifecycle: Any = None, **resources: Any) -> Stack:
    """An environment on Fargate; changing to FARGATE_SPOT replaces it."""
    found = {"type": kind, "maxvCpus": 64, "subnets": "${lookups.subnets}", "securityGroupIds": ["${lookups.default}"]}
    made: Stack = {"type": "MANAGED", "computeResources": {**found, **resources}}
    return made | ({"lifecycle": lifecycle} if lifecycle else {})


def queue(*names: str, priority: int = 1, **rest: Any) -> Stack:
    """A queue that lists the environments in this order."""
    order = [{"order": rank, "computeEnvironment": name} for rank, name in enumerate(names, start=1)]
    return {"priority": priority, "computeEnvironmentOrder": order, **rest}


def estate(environments: Mapping[str, Any], queues: Mapping[str, Any], **sections: Any) -> Stack:
    """A whole environment file around these."""
    roles = {name: {"trust": [who], "managedPolicies": [what]} for name, (who, what) in _TRUST.items()}
    container = {"image": "alpine", "resourceRequirements": [{"type": "VCPU", "value": "1"}]}
    container["resourceRequirements"].append({"type": "MEMORY", "value": "2048"})
    on_fargate = {"executionRoleArn": "exec"}
    found: Stack = {
        "environment": "test",
        "region": "eu-west-1",
        "lookups": {
            "vpc": {"vpc": {"default": True}},
            "subnets": {"subnets": {"vpcId": "${lookups.vpc}"}},
            "default": {"securityGroup": {"groupName": "default", "vpcId": "${lookups.vpc}"}},
        },
        "roles": roles,
        "instanceProfiles": {"prof": {"role": "inst"}},
        "computeEnvironments": dict(environments),
        "jobQueues": dict(queues),
        "jobDefinitions": {
            "job-ec2": {"type": "container", "containerProperties": container},
            "job-fargate": {
                "type": "container",
                "platformCapabilities": ["FARGATE"],
                "containerProperties": {**container, **on_fargate},
            },
        },
    }
    for section, members in sections.items():
        found[section] = {**found.get(section, {}), **members}
    return found


def loaded(where: Path, stack: Stack) -> Environment:
    """The estate as the tool reads it, written to a file as a person's would be."""
    where.mkdir(exist_ok=True)
    (where / "environment.yaml").write_text(json.dumps(stack, indent=1), encoding="utf-8")
    env, problems = pipeline.read_environment(where, {}, strict=True)
    assert all(problem.warning for problem in problems)
    return env


# --- jobs that keep coming -------------------------------------------------------------------------------------------


@dataclass
class Jobs:
    """Submits a job to each of ``queues`` on every turn; ``refused`` are those that were not taken."""

    batch: Any
    queues: Mapping[str, str]
    shares: frozenset[str] = frozenset()
    ids: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    most: int = 400

    def submit(self) -> None:
        for queue, definition in self.queues.items():
            if len(self.ids) >= self.most:
                return
            extra = {"shareIdentifier": "s"} if queue in self.shares else {}
            try:
                made = self.batch.submit_job(jobName="j", jobQueue=queue, jobDefinition=definition, **extra)
                self.ids.append(made["jobId"])
            except ClientError as error:
                self.refused.append(f"{queue}: {error}")

    def statuses(self) -> list[str]:
        found = []
        for start in range(0, len(self.ids), 100):
            described = self.batch.describe_jobs(jobs=self.ids[start : start + 100])["jobs"]
            found += [f"{job['status']} {job.get('statusReason', '')}".strip() for job in described]
        return found


@dataclass
class Busy(Door):
    """Submits jobs around every write, and now and then between reads."""

    jobs: Jobs | None = None

    def call(self, call: Call) -> Reply:
        if self.jobs and (not call.operation.startswith(READS) or self.reads % 3 == 0):
            self.jobs.submit()
        return super().call(call)


def log(sandbox: Any) -> list[Mapping[str, Any]]:
    """The log of calls, as the control door would show it."""
    return [asdict(record) for record in sandbox.calls]


__all__ = ["Busy", "History", "Jobs", "Judge", "ec2", "estate", "fargate", "loaded", "log", "queue"]
