"""A proxy between real ``reconcile`` processes and the sandbox, at which anything may happen.

It knows nothing of the tool, and numbers the calls that arrive. What happens at a call is
said by a function of it: the answer that is sent instead, the sandbox's own, or none.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.sandbox import process, wire
from reconciler.sandbox.faults import Fault, Lost
from reconciler.sandbox.server import Sandbox
from reconciler.sandbox.transport import Server
from reconciler.sandbox.wire import Refusal, Reply, Request
from tests.support.shell import Shell

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {"DCV_PASSWORD": "correct horse battery", "SPLUNK_TOKEN": "1b2c-3d4e"}
READS = ("Describe", "Get", "List", "BatchGet")
Perform = Callable[[], Reply]


@dataclass(frozen=True)
class Arrived:
    """One call that arrived, counted from 1."""

    n: int
    service: str
    operation: str
    request: Request

    @property
    def reads(self) -> bool:
        return self.operation.startswith(READS)

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass
class Paced:
    """The account as processes meet it: time passes with the calls that arrive, however fast anything is."""

    sandbox: Sandbox
    seconds: float = 5.0

    @property
    def region(self) -> str:
        return self.sandbox.region

    def answer(self, request: Request) -> Reply:
        if not request.path.startswith("/_sandbox"):
            self.sandbox.clock.advance(self.seconds)
        return self.sandbox.answer(request)


def nothing(_: Arrived, perform: Perform) -> Reply:
    """No trouble."""
    return perform()


@dataclass
class Proxy:
    """What stands between, and the commands that go through it. ``happens`` is asked at every call of theirs."""

    shell: Shell
    errors: Any
    happens: Callable[[Arrived, Perform], Reply] = nothing
    arrived: list[Arrived] = field(default_factory=list)
    running: list[subprocess.Popen[str]] = field(default_factory=list)
    url: str = ""
    seconds: float = 5.0
    _lock: Any = field(default_factory=threading.Lock)

    @property
    def sandbox(self) -> Sandbox:
        return self.shell.account

    @property
    def region(self) -> str:
        return self.sandbox.region

    def answer(self, request: Request) -> Reply:
        if request.path.startswith("/_sandbox"):
            return self.sandbox.answer(request)
        service, _ = request.scope
        with self._lock:
            self.sandbox.clock.advance(self.seconds)
            call = Arrived(len(self.arrived) + 1, service, wire.operation_of(service, request), request)
            self.arrived.append(call)
        try:
            return self.happens(call, lambda: self.sandbox.answer(request))
        except Refusal as refused:
            return wire.refused(service, request, refused)

    def writes(self) -> list[str]:
        """What arrived to change something, but for the lock."""
        return [str(call) for call in self.arrived if not call.reads and call.service != "ssm"]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A ``reconcile`` process."""
        self.arrived.clear()
        self.errors.truncate(0)
        environ = {**os.environ, **process.environment(self.url), **SECRETS, "NO_COLOR": "1"}
        started = subprocess.Popen(
            [sys.executable, "-m", "reconciler", *arguments],
            cwd=ROOT,
            env=environ,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        self.running.append(started)
        return started

    def run(self, *arguments: str, expect: int = 0) -> tuple[str, str]:
        """Run a process to its end: what it wrote to stdout and to stderr."""
        running = self.start(*arguments)
        told, _ = running.communicate(timeout=600)
        heard = self.heard()
        assert running.returncode == expect, f"{arguments} ended with {running.returncode}\n{told}\n{heard}"
        return told, heard

    def heard(self) -> str:
        """What the process that was started last has written to stderr so far."""
        return os.pread(self.errors.fileno(), 1 << 20, 0).decode()

    def type(self, *arguments: str, expect: int = 0) -> tuple[str, str]:
        """The same in this process, where it need not be another."""
        self.arrived.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            for name, value in {"AWS_ENDPOINT_URL": self.url, **SECRETS, "NO_COLOR": "1"}.items():
                patch.setenv(name, value)
            done = self.shell(*arguments)
        assert done.code == expect, f"{arguments} ended with {done.code}\n{done.out}\n{done.err}"
        return done.out, done.err

    def signal(self, number: int = signal.SIGKILL) -> None:
        """To the process that was started last."""
        self.running[-1].send_signal(number)


@contextmanager
def opened(shell: Shell) -> Iterator[Proxy]:
    """One that lets everything through, with nothing happening yet."""
    with tempfile.TemporaryFile("a+") as errors:
        held = Proxy(shell, errors)
        yield from _open(held)


def _open(held: Proxy) -> Iterator[Proxy]:
    server = Server(held)
    held.url = server.url
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield held
    for one in held.running:
        if one.poll() is None:
            one.kill()
            one.communicate()
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


# --- what happens ----------------------------------------------------------------------------------------------------


def throttled(call: Arrived) -> Reply:
    """As the service itself does."""
    Fault(throttle=True).refuse(call.service, call.operation)
    raise AssertionError(call)


def broken(call: Arrived) -> Reply:
    raise Refusal("InternalFailure", "We encountered an internal error. Please try again.", 500)


def page(_: Arrived) -> Reply:
    """What a load balancer says in AWS's place."""
    return Reply(503, {"content-type": "text/html"}, b"<html><body>Service Unavailable</body></html>")


def hung_up(_: Arrived) -> Reply:
    raise Lost


@dataclass
class Weather:
    """Throttles a fifth of all calls and fails a tenth; cuts connections, loses replies and is slow now and then."""

    seed: int
    slow: float = 0.3
    met: dict[str, int] = field(default_factory=dict)

    def __call__(self, call: Arrived, perform: Perform) -> Reply:
        chance = random.Random(f"{self.seed} {call.n}").random()
        for name, until in (("throttled", 0.2), ("broken", 0.26), ("page", 0.3), ("hung up", 0.34), ("lost", 0.42)):
            if chance < until:
                return self.meet(name, call, perform)
        return self.meet("slow", call, perform) if chance > 0.97 else perform()

    def meet(self, name: str, call: Arrived, perform: Perform) -> Reply:
        self.met[name] = self.met.get(name, 0) + 1
        if name == "lost":
            perform()
            raise Lost
        if name == "slow":
            time.sleep(self.slow)
            return perform()
        return {"throttled": throttled, "broken": broken, "page": page, "hung up": hung_up}[name](call)


def refusing(operation: str, code: str, message: str, status: int = 400) -> Callable[[Arrived, Perform], Reply]:
    """Refuses one operation, for good."""

    def happens(call: Arrived, perform: Perform) -> Reply:
        if call.operation == operation:
            raise Refusal(code, message, status)
        return perform()

    return happens


# --- what there is ---------------------------------------------------------------------------------------------------

LISTED: Mapping[str, Sequence[tuple[str, Mapping[str, Any], str, str]]] = {
    "iam": (
        ("list_roles", {}, "Roles", "RoleName"),
        ("list_policies", {"Scope": "Local"}, "Policies", "PolicyName"),
        ("list_instance_profiles", {}, "InstanceProfiles", "InstanceProfileName"),
    ),
    "ec2": (
        ("describe_security_groups", {}, "SecurityGroups", "GroupId"),
        ("describe_key_pairs", {}, "KeyPairs", "KeyPairId"),
        ("describe_launch_templates", {}, "LaunchTemplates", "LaunchTemplateId"),
        ("describe_launch_template_versions", {"Versions": ["$Latest"]}, "LaunchTemplateVersions", "VersionNumber"),
        ("describe_placement_groups", {}, "PlacementGroups", "GroupId"),
    ),
    "ecr": (("describe_repositories", {}, "repositories", "repositoryName"),),
    "secretsmanager": (("list_secrets", {}, "SecretList", "Name"),),
    "sns": (("list_topics", {}, "Topics", "TopicArn"), ("list_subscriptions", {}, "Subscriptions", "Endpoint")),
    "logs": (("describe_log_groups", {}, "logGroups", "logGroupName"),),
    "events": (("list_rules", {}, "Rules", "Name"),),
    "ssm": (("describe_parameters", {}, "Parameters", "Name"),),
    "batch": (
        ("describe_compute_environments", {}, "computeEnvironments", "computeEnvironmentName"),
        ("describe_job_queues", {}, "jobQueues", "jobQueueName"),
        ("describe_job_definitions", {"status": "ACTIVE"}, "jobDefinitions", "jobDefinitionArn"),
        ("list_scheduling_policies", {}, "schedulingPolicies", "arn"),
        ("list_consumable_resources", {}, "consumableResources", "consumableResourceName"),
        ("describe_service_environments", {}, "serviceEnvironments", "serviceEnvironmentName"),
    ),
}


def everything(client: Callable[[str], Any]) -> list[tuple[str, str]]:
    """All there is, each as often as it is there; but for service-linked roles and public parameters."""
    found = []
    for service, listings in LISTED.items():
        for call, arguments, items, name in listings:
            for item in getattr(client(service), call)(**arguments)[items]:
                public = str(item[name]).startswith(("AWSServiceRoleFor", "/aws/service/"))
                if item.get("status") != "DELETED" and not public:
                    found.append((call, str(item[name])))
    return sorted(found)
