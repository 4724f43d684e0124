"""A night of random jobs in the sandbox, and what holds about AWS Batch, ECS, EC2 and Auto Scaling at any moment of it.

Sources: https://docs.aws.amazon.com/batch/latest/userguide/job_states.html (states),
https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html and API_JobDetail.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

from botocore.exceptions import ClientError

from tests.sandbox import site
from tests.support import replies

Json = dict[str, Any]

ENDED = {"SUCCEEDED", "FAILED"}
ACTIVE = {"STARTING", "RUNNING"}
AFTER = {
    "SUBMITTED": {"PENDING", "RUNNABLE", "FAILED"},
    "PENDING": {"RUNNABLE", "SUCCEEDED", "FAILED"},
    "RUNNABLE": {"STARTING", "FAILED"},
    "STARTING": {"RUNNING", "RUNNABLE", "FAILED", "SUCCEEDED"},
    "RUNNING": {"SUCCEEDED", "FAILED", "RUNNABLE"},
    "SUCCEEDED": set(),
    "FAILED": set(),
}
"""The states that EventBridge may tell after each; the parent of an array is PENDING until its children have ended."""
TYPES = {"m5.large": (2, 8192), "m5.xlarge": (4, 16384), "c5.2xlarge": (8, 16384)}
CLUSTER = "arn:aws:eks:eu-west-1:123456789012:cluster/night"
RULES = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onExitCode": "3", "action": "EXIT"}]
ENDS = [
    ["exit:0@40"],
    ["exit:1@20", "exit:0@30"],
    ["exit:3@15"],
    ["exit:1@10"],
    ["host-lost@60", "exit:0@400"],
    ["oom@25", "exit:0"],
    ["image-not-found"],
    ["entrypoint-missing", "exit:0@5"],
    ["runs-on"],
    [{"exitCode": 0, "seconds": 90, "lines": ["one", "two", "three"]}],
]

_KNOWN = {
    "DescribeJobs.jobs[].startedAt: required",
    "DescribeJobs.jobs[].container.networkConfiguration.interfaceConfigurations: not in the model",
}
"""How AWS differs from its model: jobs that have not started have no start; and members that are newer."""


def definitions() -> Iterator[tuple[str, str, Json]]:
    """The name of each, the queue that takes it, and what is registered."""

    def amounts(vcpus: str, memory: str) -> list[Json]:
        return [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": memory}]

    small = site.container("ec2")
    for number, ends in enumerate(ENDS):
        retries = {"attempts": 1 + number % 4, **({"evaluateOnExit": RULES} if number % 3 == 1 else {})}
        limit = {"timeout": {"attemptDurationSeconds": 900}} if ends == ["runs-on"] else {}
        more: Json = {"type": "container", "retryStrategy": retries, **limit}
        yield f"small-{number}", "ec2", {**more, "containerProperties": small}
    large = site.container("ec2", resourceRequirements=amounts("4", "6000"))
    yield "large", "ec2", {"type": "container", "containerProperties": large, "retryStrategy": {"attempts": 2}}
    never = site.container("ec2", resourceRequirements=amounts("2", "40000"))
    yield "never", "ec2", {"type": "container", "containerProperties": never}
    several = {"containers": [{**small, "name": name, "essential": name == "main"} for name in ("main", "side")]}
    yield "several", "ec2", {"type": "container", "ecsProperties": {"taskProperties": [several]}}
    node = {"container": site.container("ec2", resourceRequirements=amounts("2", "1024"))}
    nodes = {"numNodes": 3, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:", **node}]}
    yield "nodes", "ec2", {"type": "multinode", "nodeProperties": nodes, "retryStrategy": {"attempts": 2}}
    for name in ("far-0", "far-1"):
        inside = site.container("fargate", networkConfiguration={"assignPublicIp": "ENABLED"})
        far: Json = {"containerProperties": inside, "platformCapabilities": ["FARGATE"], "type": "container"}
        yield name, "fargate", {**far, "retryStrategy": {"attempts": 3}}
    limits = {"limits": {"cpu": "1", "memory": "1024Mi"}}
    pod = {"containers": [{"name": "main", "image": "busybox", "resources": limits}]}
    yield "pod", "eks", {"type": "container", "eksProperties": {"podProperties": pod}}


class Night:
    """The account, what was submitted, and what has been seen."""

    def __init__(self, sandbox: Any, random: Random) -> None:
        self.sandbox, self.random = sandbox, random
        self.submitted: list[str] = []
        self.seen: dict[str, str] = {}
        self.steps: list[str] = []
        self.unknown: list[str] = []
        """What replies have had that the models of AWS do not."""
        self._watched: set[str] = set()
        site.built(sandbox)
        self._build()

    def call(self, service: str, operation: str, **params: Any) -> Json:
        """A reply, which is held against the model of AWS where it is JSON."""
        client = self.sandbox.client(service)
        if service in ("batch", "ecs") and service not in self._watched:
            self._watched.add(service)
            replies.watch(client, self.unknown)
        reply: Json = getattr(client, operation)(**params)
        return reply

    def _build(self) -> None:
        batch, events, logs = (self.sandbox.client(one) for one in ("batch", "events", "logs"))
        resources = {"maxvCpus": 24, "instanceTypes": list(TYPES), "minvCpus": 0}
        batch.update_compute_environment(computeEnvironment="ec2", computeResources={"maxvCpus": 24})
        where = batch.describe_compute_environments(computeEnvironments=["ec2"])["computeEnvironments"][0]
        shared = {one: where["computeResources"][one] for one in ("subnets", "securityGroupIds", "instanceRole")}
        for name, more, kind in (
            ("spot", {}, "SPOT"),
            ("eks", {"eksConfiguration": {"eksClusterArn": CLUSTER, "kubernetesNamespace": "night"}}, "EC2"),
        ):
            given = {**resources, **shared, "type": kind, "allocationStrategy": "BEST_FIT_PROGRESSIVE"}
            if kind == "SPOT":
                given["allocationStrategy"] = "SPOT_CAPACITY_OPTIMIZED"
            batch.create_compute_environment(
                computeEnvironmentName=name, type="MANAGED", computeResources=given, **more
            )
        self.sandbox.advance(60)
        orders = {"ec2": ["ec2", "spot"], "eks": ["eks"]}
        batch.update_job_queue(jobQueue="ec2", computeEnvironmentOrder=_order(orders["ec2"]))
        batch.create_job_queue(jobQueueName="eks", priority=1, computeEnvironmentOrder=_order(orders["eks"]))
        self.queues = {}
        for name, queue, given in definitions():
            self.queues[name] = queue
            batch.register_job_definition(jobDefinitionName=name, **given)
        logs.create_log_group(logGroupName="/night")
        arn = f"arn:aws:logs:eu-west-1:{site.ACCOUNT}:log-group:/night:*"
        allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Resource": arn}
        policy = {
            "Version": "2012-10-17",
            "Statement": [{**allowed, "Action": ["logs:CreateLogStream", "logs:PutLogEvents"]}],
        }
        logs.put_resource_policy(policyName="night", policyDocument=json.dumps(policy))
        pattern = json.dumps({"source": ["aws.batch"], "detail-type": ["Batch Job State Change"]})
        events.put_rule(Name="night", EventPattern=pattern)
        events.put_targets(Rule="night", Targets=[{"Id": "log", "Arn": arn.removesuffix(":*")}])
        outcomes = {f"small-{number}": ends for number, ends in enumerate(ENDS)}
        outcomes |= {"far-1": ["fargate-spot@30", "exit:0@30"], "nodes": ["exit:0@120"], "large": ["exit:0@700"]}
        self.sandbox.change({"outcomes": outcomes, "blocked_after": 120})
        self.sandbox.advance(60)

    # --- what happens ------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One random thing, and time."""
        name = self.random.choice(
            ["submit"] * 6 + ["stop", "reclaim", "reclaim", "capacity", "terminate", "halt", "disable"]
        )
        self.steps.append(name)
        getattr(self, f"_{name}")()
        self.sandbox.advance(self.random.choice([0, 1, 2, 5, 17, 40, 75, 200, 500]))

    def _submit(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            name = self.random.choice(list(self.queues))
            given: Json = {"jobName": f"{name}-{len(self.submitted)}", "jobDefinition": name}
            if self.random.random() < 0.3 and name not in ("nodes",):
                given["arrayProperties"] = {"size": self.random.randint(2, 6)}
                if self.random.random() < 0.4:
                    given["dependsOn"] = [{"type": "SEQUENTIAL"}]
            if self.submitted and self.random.random() < 0.3:
                given.setdefault("dependsOn", []).append({"jobId": self.random.choice(self.submitted)})
            if name.startswith("small") and self.random.random() < 0.3:
                more = [{"type": "VCPU", "value": self.random.choice("123")}]
                given["containerOverrides"] = {
                    "resourceRequirements": more,
                    "environment": [{"name": "A", "value": "b"}],
                }
            if name == "nodes" and self.random.random() < 0.5:
                given["nodeOverrides"] = {"numNodes": 2}
            if self.random.random() < 0.2:
                given["retryStrategy"] = {"attempts": self.random.randint(1, 5)}
            self.submitted.append(self.call("batch", "submit_job", jobQueue=self.queues[name], **given)["jobId"])

    def _stop(self) -> None:
        operation = self.random.choice(["cancel_job", "terminate_job"])
        if self.submitted:
            self.call("batch", operation, jobId=self._any_job(), reason="the night is over")

    def _any_job(self) -> str:
        found = self.random.choice(self.submitted)
        about = self.jobs([found]).get(found, {})
        size = about.get("arrayProperties", {}).get("size")
        return f"{found}:{self.random.randrange(size)}" if size and self.random.random() < 0.5 else found

    def _reclaim(self) -> None:
        running = self.instances()
        if running and self.random.random() < 0.7:
            self.sandbox.reclaim(self.random.choice(sorted(running)))
        elif self.submitted:
            self.sandbox.reclaim(self.random.choice(self.submitted))

    def _terminate(self) -> None:
        if running := sorted(self.instances()):
            self.call("ec2", "terminate_instances", InstanceIds=[self.random.choice(running)])

    def _halt(self) -> None:
        if running := sorted(name for name, one in self.instances().items() if one.get("InstanceLifecycle") != "spot"):
            self.call("ec2", "stop_instances", InstanceIds=[self.random.choice(running)])

    def _capacity(self) -> None:
        self.sandbox.change({"no_capacity": self.random.choice([[], [], ["m5.large"], ["*"], ["c5.*"]])})
        self.sandbox.change({"vcpu_quotas": self.random.choice([{}, {}, {"m5.*": 6}])})

    def _disable(self) -> None:
        name, state = self.random.choice(["ec2", "spot", "fargate"]), self.random.choice(["ENABLED", "DISABLED"])
        try:
            self.call("batch", "update_compute_environment", computeEnvironment=name, state=state)
        except ClientError as error:
            if "being modified" not in str(error):
                raise

    def finish(self) -> None:
        """Everything is let run to its end."""
        self.sandbox.change({"no_capacity": [], "vcpu_quotas": {}})
        self.sandbox.advance(120)
        for name in ("ec2", "spot", "fargate"):
            self.call("batch", "update_compute_environment", computeEnvironment=name, state="ENABLED")
            self.sandbox.advance(60)
        self.sandbox.advance(7200)
        self.check()
        self.sandbox.advance(7200)

    # --- what is there -----------------------------------------------------------------------------------------------

    def jobs(self, ids: Iterable[str]) -> dict[str, Json]:
        """Jobs by id, as they are described."""
        wanted, found = list(ids), {}
        for start in range(0, len(wanted), 100):
            reply = self.call("batch", "describe_jobs", jobs=wanted[start : start + 100])
            found |= {one["jobId"]: one for one in reply["jobs"]}
        return found

    def everything(self) -> dict[str, Json]:
        """Jobs, children and nodes."""
        tops = self.jobs(self.submitted)
        assert tops.keys() == set(self.submitted)
        inner = []
        for name, one in tops.items():
            inner += [f"{name}:{index}" for index in range(one.get("arrayProperties", {}).get("size", 0))]
            inner += [f"{name}#{index}" for index in range(one.get("nodeProperties", {}).get("numNodes", 0))]
        return {**tops, **self.jobs(inner)}

    def instances(self) -> dict[str, Json]:
        """EC2 instances that run, by id."""
        wanted = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        reply = self.call("ec2", "describe_instances", Filters=wanted)
        return {one["InstanceId"]: one for each in reply["Reservations"] for one in each["Instances"]}

    # --- what holds --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything that holds at any moment."""
        jobs = self.everything()
        for name, job in jobs.items():
            self._states(name, job)
            self._attempts(name, job)
        self._families(jobs)
        instances = self.instances()
        self._groups(instances)
        tasks = self._clusters(instances)
        self._placed(jobs, tasks, instances)
        self._listed(jobs)
        self._events(jobs)
        assert not {*self.unknown} - _KNOWN, {*self.unknown}

    def _states(self, name: str, job: Json) -> None:
        before, now = self.seen.get(name, "SUBMITTED"), job["status"]
        if before in ENDED and "#" not in name:  # nodes begin again with the next attempt of their job
            assert now == before, (name, before, now)
        self.seen[name] = now
        started, stopped = job.get("startedAt"), job.get("stoppedAt")
        assert (stopped is not None) == (now in ENDED), (name, job)
        if started and stopped:
            assert job["createdAt"] <= started <= stopped, (name, job)
        if now == "RUNNING":
            assert started, (name, job)

    def _attempts(self, name: str, job: Json) -> None:
        attempts = job.get("attempts", []) or job.get("eksAttempts", [])
        most = job.get("retryStrategy", {}).get("attempts", 1)
        assert len(attempts) <= most, (name, len(attempts), most)
        if job["status"] not in ENDED:
            assert len(attempts) < most, (name, job)
        last = 0
        for one in attempts:
            begun = one.get("startedAt", one["stoppedAt"])
            assert last <= begun <= one["stoppedAt"], (name, attempts)
            last = one["stoppedAt"]
            assert len(one["statusReason"]) <= 255
            container = one.get("container", {})
            if container:
                assert ("logStreamName" in container) == ("startedAt" in one), (name, one)
                self._stream(container.get("logStreamName"))
        if job["status"] == "SUCCEEDED" and "arrayProperties" not in job and attempts and "#" not in name:
            codes = [attempts[-1].get("container", {}).get("exitCode", 0)]
            assert codes == [0], (name, attempts)

    def _stream(self, stream: str | None) -> None:
        if stream:
            reply = self.sandbox.client("logs").describe_log_streams(
                logGroupName="/aws/batch/job", logStreamNamePrefix=stream
            )
            assert [one["logStreamName"] for one in reply["logStreams"]] == [stream]

    def _families(self, jobs: dict[str, Json]) -> None:
        for name, job in jobs.items():
            size = job.get("arrayProperties", {}).get("size")
            if size:
                children = Counter(jobs[f"{name}:{index}"]["status"] for index in range(size))
                summary = {k: v for k, v in job["arrayProperties"].get("statusSummary", {}).items() if v}
                assert summary == children, (name, summary, children)
                over = children.keys() <= ENDED
                assert over == (job["status"] in ENDED), (name, job["status"], children)
                if over:
                    stopped = job["isCancelled"] or job["isTerminated"]
                    assert (job["status"] == "FAILED") == bool(children["FAILED"] or stopped), (name, job)
            for other in job.get("dependsOn", []):
                needed = jobs.get(other.get("jobId", ""))
                if needed and job["status"] in ACTIVE:
                    assert needed["status"] == "SUCCEEDED" or other.get("type") == "N_TO_N", (
                        name,
                        job,
                        needed["status"],
                    )

    def _groups(self, instances: dict[str, Json]) -> None:
        groups = self.call("autoscaling", "describe_auto_scaling_groups")["AutoScalingGroups"]
        listed = [one["InstanceId"] for group in groups for one in group["Instances"]]
        assert sorted(listed) == sorted(instances), (listed, list(instances))
        for group in groups:
            assert group["DesiredCapacity"] == len(group["Instances"])
        self.call("autoscaling", "describe_scaling_activities")

    def _clusters(self, instances: dict[str, Json]) -> dict[str, Json]:
        tasks: dict[str, Json] = {}
        for one in self.call("batch", "describe_compute_environments")["computeEnvironments"]:
            cluster = one.get("ecsClusterArn")
            resources = one["computeResources"]
            least, most = resources.get("minvCpus", 0), resources["maxvCpus"]
            assert least <= resources.get("desiredvCpus", least) <= most, one
            if cluster:
                tasks |= self._cluster(cluster, instances)
        return tasks

    def _cluster(self, cluster: str, instances: dict[str, Json]) -> dict[str, Json]:
        arns = self.call("ecs", "list_tasks", cluster=cluster)["taskArns"]
        found: list[Json] = []
        for start in range(0, len(arns), 100):
            found += self.call("ecs", "describe_tasks", cluster=cluster, tasks=arns[start : start + 100])["tasks"]
        running = Counter(one["lastStatus"] for one in found)
        (about,) = self.call("ecs", "describe_clusters", clusters=[cluster])["clusters"]
        assert (about["runningTasksCount"], about["pendingTasksCount"]) == (running["RUNNING"], running["PENDING"])
        hosts = self.call("ecs", "list_container_instances", cluster=cluster)["containerInstanceArns"]
        assert about["registeredContainerInstancesCount"] == len(hosts)
        described = []
        if hosts:
            asked = {"cluster": cluster, "containerInstances": hosts}
            described = self.call("ecs", "describe_container_instances", **asked)["containerInstances"]
        for host in described:
            assert host["ec2InstanceId"] in instances
            left = {one["name"]: one.get("integerValue") for one in host["remainingResources"]}
            registered = {one["name"]: one.get("integerValue") for one in host["registeredResources"]}
            assert registered["CPU"] == TYPES[instances[host["ec2InstanceId"]]["InstanceType"]][0] * 1024
            for name in ("CPU", "MEMORY"):
                assert 0 <= left[name] <= registered[name], host
            on = [one for one in found if one.get("containerInstanceArn") == host["containerInstanceArn"]]
            assert host["runningTasksCount"] + host["pendingTasksCount"] == len(on), host
        known = {one["containerInstanceArn"] for one in described}
        assert {one["containerInstanceArn"] for one in found if "containerInstanceArn" in one} <= known
        return {one["taskArn"]: one for one in found}

    def _placed(self, jobs: dict[str, Json], tasks: dict[str, Json], instances: dict[str, Json]) -> None:
        """Every started job has its tasks, and no task is without its job."""
        expected: dict[str, str] = {}
        for name, job in jobs.items():
            if job["status"] in ACTIVE and "nodeProperties" not in job and "size" not in job.get("arrayProperties", {}):
                shown = (
                    job.get("container") or (job.get("ecsProperties") or {"taskProperties": [{}]})["taskProperties"][0]
                )
                if "eksProperties" in job:
                    assert job["eksProperties"]["podProperties"].get("podName"), (name, job)
                    continue
                assert "taskArn" in shown, (name, job)
                expected[shown["taskArn"]] = "RUNNING" if job["status"] == "RUNNING" else "PENDING"
                if "containerInstanceArn" in shown:
                    assert tasks[shown["taskArn"]]["containerInstanceArn"] == shown["containerInstanceArn"]
        assert expected == {arn: one["lastStatus"] for arn, one in tasks.items()}, "tasks and jobs"
        interfaces = self.call("ec2", "describe_network_interfaces")["NetworkInterfaces"]
        ours = {
            detail["value"]
            for task in tasks.values()
            for each in task["attachments"]
            for detail in each["details"]
            if detail["name"] == "networkInterfaceId"
        }
        of_hosts = {nic["NetworkInterfaceId"] for one in instances.values() for nic in one["NetworkInterfaces"]}
        left = {one["NetworkInterfaceId"] for one in interfaces} - ours - of_hosts
        assert not left, f"interfaces of nobody: {left}"

    def _listed(self, jobs: dict[str, Json]) -> None:
        for queue in ("ec2", "fargate", "eks"):
            for status in AFTER:
                found: list[str] = []
                asked: Json = {"jobQueue": queue, "jobStatus": status}
                while True:
                    reply = self.call("batch", "list_jobs", **asked)
                    found += [one["jobId"] for one in reply["jobSummaryList"]]
                    if "nextToken" not in reply:
                        break
                    asked["nextToken"] = reply["nextToken"]
                expected = {
                    name
                    for name in self.submitted
                    if jobs[name]["status"] == status and jobs[name]["jobQueue"].endswith(f"/{queue}")
                }
                assert sorted(found) == sorted(expected), (queue, status)

    def _events(self, jobs: dict[str, Json]) -> None:
        """State changes are told in order, each once; the last is what is described."""
        logs = self.sandbox.client("logs")
        told = [
            json.loads(one["message"])
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName="/night")
            for one in page["events"]
        ]
        states: dict[str, list[str]] = {}
        for one in sorted(told, key=lambda event: event["time"]):
            states.setdefault(one["detail"]["jobId"], []).append(one["detail"]["status"])
        for name, seen in states.items():
            if "#" in name:
                continue
            for before, after in zip(["SUBMITTED", *seen], seen, strict=False):
                assert after in AFTER[before], (name, seen)
            assert seen[-1] == jobs[name]["status"], (name, seen, jobs[name]["status"])

    def over(self) -> None:
        """At the end every job has ended or says why it waits, and nothing is left behind."""
        self.check()
        jobs = self.everything()
        waiting = {n: j for n, j in jobs.items() if j["status"] not in ENDED}
        for name, job in waiting.items():
            if job["status"] == "SUBMITTED":
                assert jobs[name[:36]]["status"] == "PENDING", name
                continue
            assert job["status"] in ("RUNNABLE", "PENDING"), (name, job["status"], job.get("statusReason"))
            if job["status"] == "RUNNABLE":
                assert "never" in job["jobName"], (name, job)
        firsts = [job for job in waiting.values() if job["status"] == "RUNNABLE"]
        if firsts:
            assert any(job.get("statusReason") for job in firsts), firsts
        assert not self.instances()
        for one in self.call("batch", "describe_compute_environments")["computeEnvironments"]:
            assert one["computeResources"].get("desiredvCpus", 0) == one["computeResources"].get("minvCpus", 0), one


def _order(names: list[str]) -> list[Json]:
    return [{"order": number, "computeEnvironment": name} for number, name in enumerate(names)]
