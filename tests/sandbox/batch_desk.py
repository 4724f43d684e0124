"""A boto3 client whose requests go straight into the sandbox's AWS Batch, on a clock that stands still.

botocore validates, serialises and parses as it would over the network; only the network is left out.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from reconciler.sandbox.batch import Batch, BatchError, ProfileFacts, RoleFacts, Settings
from reconciler.sandbox.batch.surroundings import Failure, Interface, Launch, Log, Machine, Start
from reconciler.sandbox.clock import Clock
from reconciler.sandbox.machines import machines

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/batch-service"
LINKED = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
FLEET = f"arn:aws:iam::{ACCOUNT}:role/fleet"
PROFILE = f"arn:aws:iam::{ACCOUNT}:instance-profile/nodes"
POLICY = "arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole"
START = 1_800_000_000.0


@dataclass
class FakeWorld:
    """An account with what an environment needs; tests take parts of it away."""

    roles: dict[str, RoleFacts] = field(default_factory=dict)
    profiles: dict[str, ProfileFacts] = field(default_factory=dict)
    subnets: dict[str, str] = field(default_factory=lambda: {f"subnet-{n}": "vpc-1" for n in range(20)})
    groups: dict[str, str] = field(default_factory=lambda: {f"sg-{n}": "vpc-1" for n in range(9)})
    templates: set[str] = field(default_factory=lambda: {"lt-1", "nodes"})
    template_images: dict[tuple[str, str], str] = field(default_factory=dict)
    running: dict[str, Launch] = field(default_factory=dict)
    interfaces: dict[str, str] = field(default_factory=dict)
    launched: int = 0
    written: dict[str, list[str]] = field(default_factory=dict)
    events: list[tuple[str, list[str], dict[str, Any]]] | None = None
    """What was announced; None: nobody wants to know."""

    def role(self, arn: str) -> RoleFacts | None:
        return self.roles.get(arn)

    def instance_profile(self, arn_or_name: str) -> ProfileFacts | None:
        return self.profiles.get(arn_or_name.rsplit("/", 1)[-1])

    def ensure_service_linked_role(self, service: str) -> str:
        self.roles.setdefault(LINKED, RoleFacts(LINKED, trusts=frozenset({service})))
        return LINKED

    def subnet(self, subnet_id: str) -> str | None:
        return self.subnets.get(subnet_id)

    def security_group(self, group_id: str) -> str | None:
        return self.groups.get(group_id)

    def launch_template(self, id_or_name: str) -> bool:
        return id_or_name in self.templates

    def launch_template_image(self, id_or_name: str, version: str) -> str | None:
        return self.template_images.get((id_or_name, version))

    def launch_template_trouble(self, id_or_name: str, version: str) -> str:
        return ""

    def launch_template_efa(self, id_or_name: str, version: str) -> bool:
        return False

    def machines(self, names: Sequence[str]) -> Sequence[Machine]:
        return machines(tuple(names))

    def offers(self, machine: str, subnet_id: str) -> bool:
        return True

    def zone(self, subnet_id: str) -> str:
        return f"eu-west-1{'abc'[int(subnet_id.rsplit('-', 1)[1]) % 3]}"

    def cannot_launch(self, wanted: Launch) -> str:
        return ""

    def launch(self, wanted: Launch) -> str:
        self.launched += 1
        self.running[f"i-{self.launched:017x}"] = wanted
        return f"i-{self.launched:017x}"

    def end(self, instance_id: str, at: float, *, reclaimed: bool) -> None:
        self.running.pop(instance_id, None)

    def connect(self, subnet_id: str, groups: Sequence[str], *, public: bool, about: str) -> Interface:
        self.launched += 1
        self.interfaces[f"eni-{self.launched}"] = about
        return Interface(f"eni-{self.launched}", subnet_id, f"10.0.0.{self.launched}")

    def disconnect(self, interface_id: str) -> None:
        self.interfaces.pop(interface_id, None)

    def cannot_start(self, start: Start) -> Failure | None:
        return None

    def open_log(self, log: Log, at: float) -> None:
        self.written.setdefault(log.stream, [])

    def write(self, log: Log, text: str, about: Mapping[str, str], at: float) -> None:
        self.written[log.stream].append(text)

    def announce(self, kind: str, resources: Sequence[str], detail: Callable[[], Mapping[str, Any]], at: float) -> None:
        if self.events is not None:
            self.events.append((kind, [*resources], {**detail()}))


class _Raw(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Any:
        yield self.read()


@dataclass
class Desk:
    """Everything a test of the service touches."""

    batch: Batch
    clock: Clock
    world: FakeWorld
    settings: Settings
    client: Any

    def wait(self, seconds: float = 3600) -> None:
        self.clock.advance(seconds)

    def refused(self, call: Callable[..., Any], **params: Any) -> str:
        """The message with which the call is refused, which it must be, as a ClientException of status 400."""
        with pytest.raises(ClientError) as caught:
            call(**params)
        assert caught.value.response["Error"]["Code"] == "ClientException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        return str(caught.value.response["Error"]["Message"])

    # --- what most tests need ----------------------------------------------------------------------------------------

    def environment(self, name: str = "ce", *, settled: bool = True, **changes: Any) -> str:
        """Create an environment; `resources` is merged into its compute resources."""
        resources = {**ec2(), **changes.pop("resources", {})}
        given = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": resources, **changes}
        arn = self.client.create_compute_environment(**given)["computeEnvironmentArn"]
        if settled:
            self.wait(60)
        return str(arn)

    def fargate(self, name: str = "fg", **changes: Any) -> str:
        given = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": fargate(), **changes}
        arn = self.client.create_compute_environment(**given)["computeEnvironmentArn"]
        self.wait(60)
        return str(arn)

    def queue(self, name: str = "q", *environments: str, settled: bool = True, **changes: Any) -> str:
        order = [{"order": n, "computeEnvironment": one} for n, one in enumerate(environments or ("ce",), 1)]
        given = {"jobQueueName": name, "priority": 1, "computeEnvironmentOrder": order, **changes}
        arn = self.client.create_job_queue(**given)["jobQueueArn"]
        if settled:
            self.wait(60)
        return str(arn)

    def see_environment(self, name: str = "ce") -> dict[str, Any]:
        return only(self.client.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"])

    def see_queue(self, name: str = "q") -> dict[str, Any]:
        return only(self.client.describe_job_queues(jobQueues=[name])["jobQueues"])

    def see_definition(self, arn: str) -> dict[str, Any]:
        return only(self.client.describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"])

    def register(self, name: str = "jd", **changes: Any) -> dict[str, Any]:
        given = {"jobDefinitionName": name, "type": "container", "containerProperties": container(), **changes}
        return dict(self.client.register_job_definition(**given))

    def see_job(self, job_id: str) -> dict[str, Any]:
        return only(self.client.describe_jobs(jobs=[job_id])["jobs"])

    def disable_environment(self, name: str = "ce") -> None:
        self.client.update_compute_environment(computeEnvironment=name, state="DISABLED")
        self.wait(60)

    def disable_queue(self, name: str = "q") -> None:
        self.client.update_job_queue(jobQueue=name, state="DISABLED")
        self.wait(60)


def only(items: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(items) == 1
    return items[0]


def ec2(**changes: Any) -> dict[str, Any]:
    return {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 16,
        "instanceTypes": ["optimal"],
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroupIds": ["sg-1"],
        "instanceRole": "nodes",
        **changes,
    }


def fargate(**changes: Any) -> dict[str, Any]:
    return {"type": "FARGATE", "maxvCpus": 8, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], **changes}


def container(**changes: Any) -> dict[str, Any]:
    amounts = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    return {"image": "busybox", "resourceRequirements": amounts, **changes}


def client_of(batch: Batch) -> Any:
    def send(request: Any, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        headers = {"content-type": "application/json"}
        try:
            status, reply = batch.handle(request.method, url.path, parse_qs(url.query), body)
        except BatchError as error:
            status, reply = error.status, {"message": error.message}
            headers["x-amzn-errortype"] = error.code
        return AWSResponse(request.url, status, headers, _Raw(json.dumps(reply).encode()))

    client = boto3.client(
        "batch",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}),
    )
    client.meta.events.register("before-send.batch", send)
    return client
