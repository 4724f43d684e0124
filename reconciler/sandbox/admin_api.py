"""The admin API: how users, and tests over HTTP, control the sandbox.

Everything is JSON under ``/_sandbox/``: ``status``, ``reset``, ``clock``, ``settings``, ``faults``, ``calls``,
``subscriptions``, ``roles`` (to assume), ``callers`` (whose an access key is), ``outcomes`` (how jobs end), ``reclaim``
(of Spot capacity), ``log`` (what a job writes), ``outbox`` (mails and messages), ``collector`` (what log drivers send),
``push`` (of images to ECR). GET shows, POST changes, DELETE clears.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol
from urllib.parse import parse_qsl

from reconciler.sandbox import collector, outbox
from reconciler.sandbox.batch import outcomes
from reconciler.sandbox.clock import Clock
from reconciler.sandbox.faults import Fault, Faults
from reconciler.sandbox.services import Account
from reconciler.sandbox.services.sns import subscription_event
from reconciler.sandbox.wire import Reply, Request


class Sandbox(Protocol):
    """The part of a sandbox that the admin API shows and changes."""

    region: str
    clock: Clock
    faults: Faults
    calls: list[Any]

    @property
    def account(self) -> Account:
        """The account around AWS Batch."""
        ...

    @property
    def accounts(self) -> tuple[str, ...]:
        """The ids of the accounts that were used, the main one first."""
        ...

    def let_assume(self, role: str) -> None:
        """Let a role be assumed although IAM does not have it; raises ``ValueError`` for anything but its ARN."""
        ...

    def arn_of(self, key: str) -> str | None:
        """The role session or user of an access key; None for an account's own."""
        ...

    def reclaim(self, job_or_instance: str) -> list[str]:
        """EC2 or Fargate takes capacity back; what was lost."""
        ...

    def reset(self) -> None:
        """Empty every account."""
        ...

    def change(self, values: Mapping[str, Any]) -> None:
        """Change settings by name; raises ``KeyError`` for an unknown name."""
        ...

    def settle(self) -> None:
        """Let everything happen that is due."""
        ...

    def write_log(self, job: str, texts: Sequence[str], container: str = "") -> list[str]:
        """A job that runs writes lines; returns where. Raises ``ValueError``."""
        ...

    def push(self, image: str, platforms: Sequence[str] = ()) -> str:
        """Put an image into the ECR of its account; its digest. Raises ``ValueError``."""
        ...

    def of(self, account: str) -> Any:
        """The account with this id."""
        ...

    def settings_json(self) -> dict[str, Any]:
        """All settings by name."""
        ...


_STEP, _MOST_STEPS = 60.0, 500
_Endpoint = Callable[[Sandbox, str, Mapping[str, Any]], Any]


class _Wrong(Exception):
    """A request that is invalid for the admin API."""


def answer(sandbox: Sandbox, request: Request) -> Reply:
    """One request to the admin API: 200 with JSON, 400 or 404 with ``{"error": ...}``."""
    name = request.path.removeprefix("/_sandbox").strip("/") or "status"
    endpoint = _ENDPOINTS.get(name)
    if endpoint is None:
        return _json(404, {"error": f"there is no {name} here; there are {', '.join(sorted(_ENDPOINTS))}"})
    try:
        return _json(200, endpoint(sandbox, request.method, _values(request)))
    except KeyError as error:
        return _json(400, {"error": f"unknown name: {error.args[0]}"})
    except (ValueError, TypeError, _Wrong) as error:
        return _json(400, {"error": str(error)})


def _values(request: Request) -> Mapping[str, Any]:
    values = json.loads(request.body) if request.body.strip() else dict(parse_qsl(request.query))
    if not isinstance(values, dict):
        raise _Wrong("a JSON object is expected")
    return values


def _json(status: int, value: Any) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(value, default=str).encode())


def _status(sandbox: Sandbox, _: str, __: Mapping[str, Any]) -> Any:
    return {
        "account": sandbox.account.id,
        "accounts": sandbox.accounts,
        "region": sandbox.region,
        "now": sandbox.clock.now(),
        "speed": sandbox.clock.speed,
        "calls": sandbox.calls[-1].n if sandbox.calls else 0,
        "faults": len(sandbox.faults.listed()),
    }


def _reset(sandbox: Sandbox, method: str, _: Mapping[str, Any]) -> Any:
    if method == "GET":
        raise _Wrong("POST to reset")
    sandbox.reset()
    return {"reset": True}


def _clock(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method != "GET":
        unknown = set(values) - {"advance", "speed"}
        if unknown:
            raise KeyError(min(unknown))
        if "speed" in values:
            sandbox.clock.speed = float(values["speed"])
        if "advance" in values:
            _advance(sandbox, float(values["advance"]))
    return {"now": sandbox.clock.now(), "speed": sandbox.clock.speed}


def _advance(sandbox: Sandbox, seconds: float) -> None:
    """In steps, so that what a schedule or a rule submits on the way is submitted then, and not at the end."""
    step = max(_STEP, seconds / _MOST_STEPS)
    while seconds > step:
        sandbox.clock.advance(step)
        sandbox.settle()
        seconds -= step
    sandbox.clock.advance(seconds)


def _settings(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method != "GET":
        sandbox.change(values)
    return sandbox.settings_json()


def _faults(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method == "DELETE" or values == {"clear": True}:
        sandbox.faults.clear()
    elif method != "GET":
        sandbox.faults.add(Fault.read(values))
    return {"faults": [fault.to_json() for fault in sandbox.faults.listed()], "dead": sandbox.faults.dead}


def _calls(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method == "DELETE":
        sandbox.calls.clear()
    since = int(values.get("since", 0))
    return {"calls": [asdict(record) for record in sandbox.calls if record.n > since]}


def _subscriptions(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method == "GET":
        raise _Wrong('POST {"topic": ARN, "endpoint": ADDRESS, "event": "confirm", "expire" or "leave"}')
    changed = subscription_event(
        sandbox.account, str(values["topic"]), str(values["endpoint"]), str(values.get("event", "confirm"))
    )
    return {"changed": changed}


def _roles(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method == "GET":
        raise _Wrong('POST {"arn": ARN}')
    sandbox.let_assume(str(values["arn"]))
    return {"arn": values["arn"]}


def _reclaim(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method == "GET":
        raise _Wrong('POST {"what": JOB or INSTANCE}')
    return {"lost": sandbox.reclaim(str(values["what"]))}


def _outcomes(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    """POST {PATTERN: [word, ...]} adds scripts, an empty list removes one; DELETE removes all of them."""
    before: Mapping[str, Any] = {} if method == "DELETE" else sandbox.settings_json()["outcomes"]
    if method == "POST":
        for one in (one for listed in values.values() for one in listed):
            outcomes.of(one)
        before = {name: listed for name, listed in {**values, **before, **values}.items() if listed}
    if method != "GET":
        sandbox.change({"outcomes": before})
    return {"outcomes": before}


def _log(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method == "GET":
        raise _Wrong('POST {"job": ID or NAME, "lines": [TEXT, ...], "container": NAME}')
    lines = [str(one) for one in values["lines"]]
    return {"written": sandbox.write_log(str(values["job"]), lines, str(values.get("container", "")))}


def _push(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method == "GET":
        raise _Wrong('POST {"image": IMAGE, "platforms": ["linux/amd64", ...]}')
    return {"digest": sandbox.push(str(values["image"]), [str(one) for one in values.get("platforms", ())])}


def _outbox(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    """GET shows what was sent, POST {"confirm": true} confirms all subscriptions, DELETE forgets."""
    sandbox.settle()
    accounts = [sandbox.of(one).account for one in sandbox.accounts]
    confirmed: list[Any] = []
    for one in accounts:
        if method == "DELETE" or values.get("clear"):
            outbox.clear(one)
        elif method == "POST" and values.get("confirm"):
            confirmed += outbox.confirm(one)
    messages = [{**message, "account": one.id} for one in accounts for message in outbox.messages(one)]
    return {"messages": sorted(messages, key=lambda message: str(message["time"])), "confirmed": confirmed}


def _collector(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    """What log drivers have delivered to Splunk and others."""
    sandbox.settle()
    accounts = [sandbox.of(one).account for one in sandbox.accounts]
    for one in accounts if method == "DELETE" or values.get("clear") else ():
        collector.clear(one)
    return {"received": [event for one in accounts for event in collector.received(one)]}


def _callers(sandbox: Sandbox, method: str, values: Mapping[str, Any]) -> Any:
    if method != "GET":
        raise _Wrong("GET callers?key=ACCESS_KEY")
    return {"arn": sandbox.arn_of(str(values["key"]))}


_ENDPOINTS: Mapping[str, _Endpoint] = {
    "status": _status,
    "reclaim": _reclaim,
    "outcomes": _outcomes,
    "log": _log,
    "outbox": _outbox,
    "push": _push,
    "collector": _collector,
    "reset": _reset,
    "clock": _clock,
    "settings": _settings,
    "faults": _faults,
    "callers": _callers,
    "calls": _calls,
    "roles": _roles,
    "subscriptions": _subscriptions,
}
