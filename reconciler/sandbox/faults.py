"""Faults on demand, to test clients of the sandbox against.

A fault matches calls by service and operation (shell patterns), and optionally only the n-th of them, or a random part;
and has an effect: a refusal, a delay, a reply that is lost after the call was performed, or death: after that the
account never replies, as if the run had been killed.

:func:`shuffled` is a milder one: the same reply, in another order where AWS promises none.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import field, fields
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, unquote

from reconciler.model.records import dataclass
from reconciler.sandbox.wire import Refusal

THROTTLING = {
    "ec2": ("RequestLimitExceeded", "Request limit exceeded.", 503),
    "iam": ("Throttling", "Rate exceeded", 400),
    "sts": ("Throttling", "Rate exceeded", 400),
    "sns": ("Throttling", "Rate exceeded", 400),
    "tagging": ("ThrottledException", "Rate exceeded", 400),
    "batch": ("TooManyRequestsException", "Too Many Requests", 429),
    "s3": ("SlowDown", "Please reduce your request rate.", 503),
}
# The code of each service for a missing permission; others use that of the JSON protocols.
DENIALS = {
    "ec2": "UnauthorizedOperation",
    "iam": "AccessDenied",
    "sts": "AccessDenied",
    "sns": "AuthorizationError",
    "s3": "AccessDenied",
}
DENIED_ELSEWHERE = "AccessDeniedException"
_PREFIXES = {"tagging": "tag"}  # of actions, if IAM's prefix is not the signing name
THROTTLING_ELSEWHERE = ("ThrottlingException", "Rate exceeded", 400)
_ORDERED = frozenset({"rules", "Values", "command", "ContainerOverrides", "Events"})
_DOCUMENTS = frozenset(
    {
        "AssumeRolePolicyDocument",
        "PolicyDocument",
        "Document",
        "Policy",
        "policyText",
        "lifecyclePolicyText",
        "ResourcePolicy",
        "EventPattern",
    }
)


class Died(BaseException):
    """The account no longer replies, as a killed run sees it. Not an `Exception`, so that no handler continues."""


class Lost(Exception):
    """The call was performed, and its reply was lost."""


@dataclass
class Fault:
    """One fault. ``nth`` counts matching calls from 1; ``times`` is how often it applies (0: without limit); ``delay``
    is in seconds of the sandbox clock.

    ``throttle`` and ``deny`` refuse as the service itself does, ``code`` with any code.
    """

    service: str = "*"
    operation: str = "*"
    nth: int = 0
    times: int = 1
    probability: float = 1
    seed: int = 0
    code: str = ""
    message: str = ""
    status: int = 0
    throttle: bool = False
    deny: bool = False
    delay: float = 0
    lost: bool = False
    die: bool = False
    seen: int = 0
    struck: int = 0
    _chance: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._chance.seed(self.seed)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Fault:
        """From JSON; raises ``KeyError`` with the first name that is not a member."""
        known = {one.name for one in fields(cls)} - {"seen", "struck", "_chance"}
        for name in value:
            if name not in known:
                raise KeyError(name)
        return cls(**value)

    def to_json(self) -> dict[str, Any]:
        """The members, counters included."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "_chance"}

    def strikes(self, service: str, operation: str) -> bool:
        """Whether it applies to this call, which is counted."""
        if not (fnmatchcase(service, self.service) and fnmatchcase(operation, self.operation)):
            return False
        self.seen += 1
        if (self.times and self.struck >= self.times) or self.seen < self.nth:
            return False
        if self.probability < 1 and self._chance.random() >= self.probability:
            return False
        self.struck += 1
        return True

    def refuse(self, service: str, operation: str) -> None:
        """Raise the :class:`Refusal` of a fault that refuses."""
        if self.throttle:
            raise Refusal(*THROTTLING.get(service, THROTTLING_ELSEWHERE))
        code = self.code or (DENIALS.get(service, DENIED_ELSEWHERE) if self.deny else "")
        if not code:
            return
        denied = code in DENIALS.values() or code == DENIED_ELSEWHERE
        prefix = _PREFIXES.get(service, service)
        text = f"User is not authorized to perform: {prefix}:{operation}" if denied else "Injected by the sandbox"
        raise Refusal(code, self.message or text, self.status or (403 if denied else 400))


class Faults:
    """The faults in force, in the order they were added; the first that applies to a call has its effect."""

    def __init__(self) -> None:
        self._all: list[Fault] = []
        self.dead = False

    def add(self, fault: Fault | None = None, **members: Any) -> Fault:
        """Either a :class:`Fault` or its members."""
        fault = fault or Fault.read(members)
        self._all.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults; a dead account replies again."""
        self._all.clear()
        self.dead = False

    def listed(self) -> list[Fault]:
        """The faults in force."""
        return list(self._all)

    def striking(self, service: str, operation: str) -> Fault | None:
        """The fault that applies to this call, or None; raises Died from a fatal fault until the faults are cleared."""
        if self.dead:
            raise Died
        for fault in self._all:
            if fault.strikes(service, operation):
                if fault.die:
                    self.dead = True
                    raise Died
                return fault
        return None


def shuffled(value: Any, chance: random.Random, partition: str = "aws") -> Any:
    """The same reply with lists in another order, and policy documents in another spelling with the same meaning."""
    return _mixed(value, chance, "", partition)


def _mixed(value: Any, chance: random.Random, name: str, partition: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _mixed(item, chance, str(key), partition) for key, item in value.items()}
    if isinstance(value, list):
        mixed = [_mixed(item, chance, "", partition) for item in value]
        if name not in _ORDERED:
            chance.shuffle(mixed)
        return mixed
    if isinstance(value, str) and name in _DOCUMENTS:
        return _rewritten(value, chance, partition)
    return value


def _rewritten(text: str, chance: random.Random, partition: str) -> str:
    """A policy as AWS might return it: statements and keys reordered, lists of one collapsed."""
    plain = unquote(text) if text.startswith("%7B") else text
    try:
        document = json.loads(plain)
    except ValueError:
        return text
    if not isinstance(document, dict):
        return text
    again = json.dumps(_document(document, chance, "", partition))
    return quote(again) if text is not plain and text.startswith("%7B") else again


def _document(value: Any, chance: random.Random, name: str, partition: str) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        chance.shuffle(items)
        return {key: _document(item, chance, key, partition) for key, item in items}
    if isinstance(value, list) and name not in _ORDERED:
        mixed = [_document(item, chance, name, partition) for item in value]
        chance.shuffle(mixed)
        single = name in ("Action", "NotAction", "Resource", "NotResource", "Service", "AWS", "Federated")
        return mixed[0] if single and len(mixed) == 1 and chance.random() < 0.5 else mixed
    if name == "AWS" and isinstance(value, str) and value.isdigit():
        return f"arn:{partition}:iam::{value}:root"
    return value
