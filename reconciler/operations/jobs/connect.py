"""From a running job to the address of its machine: what an interactive job is reached by.

On EC2: the job's container instance, its EC2 instance, the instance's addresses. On Fargate: the task's network
interface. A node of a multi-node job has an interface of its own, without a public address.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeContainerInstances.html
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.model import Call
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.jobs import watch
from reconciler.operations.jobs.desk import SERVICE_JOB, Desk
from reconciler.operations.jobs.family import member_ids

FORWARD, FORWARD_TO = "AWS-StartPortForwardingSession", "AWS-StartPortForwardingSessionToRemoteHost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a job runs: an EC2 instance, or only an interface. ``host`` is the job's own address, where that is not the
    instance's.
    """

    job: str
    public: str = ""
    private: str = ""
    instance: str = ""
    host: str = ""

    def url(self, port: int, session: str = "") -> str:
        """The address of the session in a browser; empty where there is no public address."""
        return _url(self.public, port, session) if self.public else ""

    def local_url(self, port: int, session: str = "") -> str:
        """The address of the session at the end of a forwarded port."""
        return _url("localhost", port, session)

    def command(self, desk: Desk, port: int, local: int) -> list[str]:
        """The command that forwards a port by Systems Manager; none without an instance."""
        if not self.instance:
            return []
        parameters = f"portNumber={port},localPortNumber={local}"
        document = FORWARD
        if self.host:
            document, parameters = FORWARD_TO, f"host={self.host},{parameters}"
        words = ["aws", "ssm", "start-session", "--target", self.instance, "--document-name", document]
        words += ["--parameters", parameters, "--region", desk.session.scope.region]
        profile = desk.env.profile
        return [*words, "--profile", profile] if profile else words


def _url(host: str, port: int, session: str) -> str:
    return f"https://{host}{'' if port == 443 else f':{port}'}/{f'#{session}' if session else ''}"


def shell_line(words: Sequence[str]) -> str:
    """A command to copy."""
    return shlex.join(words)


def machine(desk: Desk, job: Mapping[str, Any], node: int | None = None, *, ports: str = "8443:8443") -> Machine:
    """The machine of a running job; ``ports`` are those to forward, the local one first. Raises Problems where there is
    no machine, or AWS does not show which.
    """
    if job.get(SERVICE_JOB):
        raise _impossible(f"job {job['jobId']} runs in {job[SERVICE_JOB]}, which shows no machine", "see it there")
    job = _single(desk, job, node)
    if job["status"] not in ("STARTING", "RUNNING"):
        reason = f": {job['statusReason']}" if job.get("statusReason") else ""
        hint = "" if watch.over(job) else f"`reconcile jobs show {job['jobId']}` shows what it waits for"
        raise _impossible(f"job {job['jobId']} is {job['status']}, not RUNNING{reason}", hint)
    if job.get("eksProperties"):
        pod = job["eksProperties"].get("podProperties") or {}
        name = pod.get("podName") or "POD"
        namespace = (pod.get("metadata") or {}).get("namespace") or "NAMESPACE"
        raise _impossible(
            f"job {job['jobId']} runs in pod {name} on Amazon EKS, node {pod.get('nodeName', 'unknown')}",
            f"forward a port with `kubectl --namespace {namespace} port-forward pod/{name} {ports}`",
        )
    tasks = (job.get("ecsProperties") or {}).get("taskProperties")
    place = tasks[0] if tasks else job.get("container") or {}
    if place.get("containerInstanceArn"):
        return _on_instance(desk, job, place)
    if place.get("taskArn"):
        return _on_fargate(desk, job, place)
    raise _impossible(f"AWS does not show yet where job {job['jobId']} runs: it is {job['status']}", "try again soon")


def _single(desk: Desk, job: Mapping[str, Any], node: int | None) -> Mapping[str, Any]:
    """The job itself, or the one child or node of it that is meant."""
    ids = [*member_ids(job)]
    if ids == [job["jobId"]]:
        return job
    if "#" in ids[0]:
        number = node if node is not None else int(job["nodeProperties"].get("mainNode", 0))
        if not 0 <= number < len(ids):
            raise _impossible(f"job {job['jobId']} has nodes 0 to {len(ids) - 1}", "choose one with --node")
        return desk.described([ids[number]])[0]
    summaries = desk.list(arrayJobId=job["jobId"], jobStatus="RUNNING")
    if len(summaries) == 1:
        return desk.described([summaries[0]["jobId"]])[0]
    running = ", ".join(one["jobId"] for one in summaries[:5]) or "none"
    raise _impossible(f"job {job['jobId']} is an array of {len(ids)}; running: {running}", "name one child: ID:INDEX")


def _on_instance(desk: Desk, job: Mapping[str, Any], place: Mapping[str, Any]) -> Machine:
    arn = str(place["containerInstanceArn"])
    cluster = _cluster(arn) or _cluster(str(place.get("taskArn", "")))
    params = {"containerInstances": [arn], **({"cluster": cluster} if cluster else {})}
    found = desk.ask(Call("ecs", "DescribeContainerInstances", params))["containerInstances"]
    if not found or not found[0].get("ec2InstanceId"):
        raise _impossible(f"container instance {arn} is no longer in its cluster", "the instance was terminated")
    instance = str(found[0]["ec2InstanceId"])
    reply = desk.ask(Call("ec2", "DescribeInstances", {"InstanceIds": [instance]}))
    listed = [one for some in reply["Reservations"] for one in some["Instances"]]
    if not listed:
        raise _impossible(f"instance {instance} of job {job['jobId']} no longer exists", "see `reconcile jobs show`")
    own = next((one["privateIpv4Address"] for one in _interfaces(place) if one.get("privateIpv4Address")), "")
    if own:  # a node, in a network of its own
        return Machine(job=job["jobId"], private=own, instance=instance, host=own)
    one = listed[0]
    return Machine(
        job=job["jobId"],
        public=one.get("PublicDnsName") or one.get("PublicIpAddress") or "",
        private=one.get("PrivateIpAddress", ""),
        instance=instance,
    )


def _on_fargate(desk: Desk, job: Mapping[str, Any], place: Mapping[str, Any]) -> Machine:
    arn = str(place["taskArn"])
    cluster = _cluster(arn)
    params = {"tasks": [arn], **({"cluster": cluster} if cluster else {})}
    tasks = desk.ask(Call("ecs", "DescribeTasks", params))["tasks"]
    attached = [
        one for task in tasks for one in task.get("attachments", ()) if one["type"] == "ElasticNetworkInterface"
    ]
    details = [detail for one in attached for detail in one.get("details", ())]
    interface = next((one["value"] for one in details if one["name"] == "networkInterfaceId"), None)
    private = next((one["privateIpv4Address"] for one in _interfaces(place) if one.get("privateIpv4Address")), "")
    if interface is None:
        raise _impossible(f"AWS does not show which network interface task {arn} has", "try again when it is RUNNING")
    reply = desk.ask(Call("ec2", "DescribeNetworkInterfaces", {"NetworkInterfaceIds": [interface]}))
    one: Mapping[str, Any] = next(iter(reply["NetworkInterfaces"]), {})
    association = one.get("Association") or {}
    public = association.get("PublicIp") or association.get("PublicDnsName") or ""
    return Machine(job=job["jobId"], public=public, private=one.get("PrivateIpAddress") or private)


def _interfaces(place: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    listed = [one for container in place.get("containers") or () for one in container.get("networkInterfaces") or ()]
    return [*(place.get("networkInterfaces") or ()), *listed]


def _cluster(arn: str) -> str:
    """The cluster in the ARN of a task or container instance; empty in ARNs of the old form."""
    parts = arn.rpartition(":")[2].split("/")
    return parts[1] if len(parts) == 3 else ""


def _impossible(message: str, hint: str) -> Problems:
    return Problems([Problem(code=codes.NOT_CONNECTABLE, message=message, hint=hint)])
