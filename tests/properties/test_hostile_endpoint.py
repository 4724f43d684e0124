"""An endpoint that is not AWS, or not always: every reply of every operation in turn is changed into what cannot be.

Whatever comes, a command ends with an error that is not called a fault of the tool's, writes nothing after a reply that
it cannot have understood, and the next run, with AWS itself, finishes the work. A request that is delivered twice by
what lies between is the same to it as one delivered once.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.account import client
from reconciler.cli import main as cli
from reconciler.model import examples
from reconciler.sandbox.wire import Reply
from tests.support.http_proxy import ROOT, SECRETS, Arrived, Perform, Proxy, nothing
from tests.support.long import LONG

STACK = """\
environment: site
region: eu-west-1
roles: {r: {trust: [ecs-tasks.amazonaws.com]}}
logGroups: {g: {retentionInDays: 7}}
schedulingPolicies: {p: {fairsharePolicy: {shareDistribution: [{shareIdentifier: a, weightFactor: 0.5}]}}}
jobDefinitions:
  j:
    type: container
    containerProperties:
      image: alpine
      jobRoleArn: r
      resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "2048"}]
"""
GONE = object()
WRONG = (None, [], {}, [None], [{}], "x", 5, 1e400, True, GONE)
MOST = 40 if LONG else 4  # places in a reply
BODIES = (
    b"",
    b"null",
    b"[null]",
    b"[" * 50_000,
    b"<a/>",
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    b"\x1f\x8b\x08\x00",
)


@dataclass
class Recorder:
    """The last reply to each operation."""

    replies: dict[tuple[str, str], Reply] = field(default_factory=dict)

    def __call__(self, call: Arrived, perform: Perform) -> Reply:
        reply = perform()
        self.replies[call.service, call.operation] = reply
        return reply


@pytest.fixture
def attacked(proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    monkeypatch.setattr(client, "MOST_UNPARSEABLE", 1)  # it says the same again
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "environment.yaml").write_text(STACK, "utf-8")
    return proxy


def typed(proxy: Proxy, *argv: str) -> tuple[int, str]:
    codes: list[int] = []
    proxy.arrived.clear()
    cli.main(list(argv), leave=codes.append)
    told = "".join(proxy.shell.capsys.readouterr())
    assert "a bug in reconcile" not in told, told
    assert "Traceback" not in told, told
    return codes[0], told


def changed(body: bytes) -> Iterator[bytes]:
    """What a reply may be changed into."""
    if body.startswith(b"{"):
        found = json.loads(body)
        for place in list(places(found))[:MOST]:
            for wrong in WRONG if LONG else (None, [{}], GONE):
                if place or wrong is not GONE:
                    yield json.dumps(put(found, place, wrong)).replace("Infinity", "1e400").encode()
    else:
        for tag in list(dict.fromkeys(re.findall(rb"<(\w+)[ >]", body)))[:MOST]:
            for instead in (b"", b"<%b/>" % tag, b"<%b>x</%b>" % (tag, tag)):
                yield re.sub(rb"<%b[ >].*?</%b>" % (tag, tag), instead, body, flags=re.DOTALL)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    made = inside = copy.deepcopy(value)
    for step in path[:-1]:
        inside = inside[step]
    if new is GONE:
        del inside[path[-1]]
    else:
        inside[path[-1]] = new
    return made


def answering(service: str, operation: str, reply: Reply) -> Any:
    return lambda call, perform: reply if (call.service, call.operation) == (service, operation) else perform()


@pytest.mark.parametrize(
    "target",
    [".", *(pytest.param(name, marks=pytest.mark.long) for name in ("retry-strategies", "job-alerts", "fair-share"))],
)
def test_no_reply_to_a_read_is_called_a_fault_of_the_tool(
    target: str, attacked: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    if target != ".":
        monkeypatch.chdir(ROOT / "environments")
    assert typed(attacked, "apply", target, "--auto-approve")[0] == 0
    attacked.happens = recorder = Recorder()
    assert typed(attacked, "plan", target)[0] == 0

    for number, ((service, operation), true) in enumerate(sorted(recorder.replies.items())):
        whole = BODIES if LONG else BODIES[number % len(BODIES) :][:1]
        within = list(changed(true.body))
        for body in (*whole, *(within if LONG else within[number % 3 :: 7][:1])):
            attacked.happens = answering(service, operation, Reply(200, true.headers, body))
            typed(attacked, "plan", target)

    attacked.happens = nothing
    assert typed(attacked, "plan", target, "--detailed-exitcode")[0] == 0


@pytest.mark.long
@pytest.mark.parametrize("body", [b"[null]", b"{}", b"<a/>"])
def test_what_answers_a_write_wrongly_keeps_nothing_from_being_finished(body: bytes, attacked: Proxy) -> None:
    attacked.happens = recorder = Recorder()
    assert typed(attacked, "apply", "--auto-approve")[0] == 0
    written = [
        one for one in recorder.replies if not one[1].startswith(("Describe", "Get", "List")) and one[0] != "ssm"
    ]
    attacked.happens = nothing
    assert typed(attacked, "destroy", "--auto-approve")[0] == 0

    for service, operation in written:

        def wrong(call: Arrived, perform: Perform, to: Any = (service, operation)) -> Reply:
            reply = perform()
            return Reply(200, reply.headers, body) if (call.service, call.operation) == to else reply

        attacked.happens = wrong
        typed(attacked, "apply", "--auto-approve")
        attacked.happens = nothing
        assert typed(attacked, "apply", "--auto-approve")[0] == 0
        assert typed(attacked, "plan", "--detailed-exitcode")[0] == 0
        assert typed(attacked, "destroy", "--auto-approve")[0] == 0


@dataclass
class AfterAWrite:
    """Answers one operation so, once something was written."""

    service: str
    operation: str
    reply: Reply
    written: bool = False

    def __call__(self, call: Arrived, perform: Perform) -> Reply:
        self.written |= not call.reads and call.service != "ssm"
        return answering(self.service, self.operation, self.reply)(call, perform) if self.written else perform()


@pytest.mark.long
def test_what_is_read_wrongly_while_changes_are_made_ends_the_apply_and_no_more(
    attacked: Proxy, tmp_path: Path
) -> None:
    """The waits, and what is read again before a write."""
    (tmp_path / "environment.yaml").write_text(examples.ENVIRONMENT, "utf-8")
    attacked.happens = recorder = Recorder()
    assert typed(attacked, "apply", "--auto-approve")[0] == 0
    assert typed(attacked, "destroy", "--auto-approve")[0] == 0
    reads = [one for one in sorted(recorder.replies) if one[1].startswith(("Describe", "Get", "List"))]
    reads = [one for one in reads if one[0] != "ssm"]  # whose lock it is cannot be seen, so it stays until it expires
    for service, operation in reads:
        true = recorder.replies[service, operation]
        for body in (*list(changed(true.body))[:12], b"[null]"):
            attacked.happens = AfterAWrite(service, operation, Reply(200, true.headers, body))
            typed(attacked, "apply", "--auto-approve")
            attacked.happens = nothing
            code, told = typed(attacked, "destroy", "--auto-approve")
            assert code == 0, f"after {operation} was answered {body[:200]!r}\n{told}"


# --- delivered twice --------------------------------------------------------------------------------------------------


def twice(call: Arrived, perform: Perform) -> Reply:
    """The second reply is what comes back."""
    if call.reads or call.service == "ssm":
        return perform()
    perform()
    return perform()


@pytest.mark.long
def test_every_write_delivered_twice_converges(attacked: Proxy) -> None:
    attacked.happens = twice
    typed(attacked, "apply", "--auto-approve")
    attacked.happens = nothing
    assert typed(attacked, "apply", "--auto-approve")[0] == 0
    assert typed(attacked, "plan", "--detailed-exitcode")[0] == 0
    attacked.happens = twice
    typed(attacked, "destroy", "--auto-approve")
    attacked.happens = nothing
    assert typed(attacked, "destroy", "--auto-approve")[0] == 0
