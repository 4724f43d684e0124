"""How a gap in moto is closed: by a rule before a request reaches it, or after it has answered.

A rule speaks the API's own names. ``before`` rules may refuse (raise :class:`Refusal`), answer in moto's place (return
the reply), or change what is sent; ``after`` rules see moto's reply and may edit it, and moto's objects behind it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias, TypeVar

from reconciler.sandbox.clock import Clock
from reconciler.sandbox.services._eventual_consistency import EventualConsistency
from reconciler.sandbox.services._moto import Moto
from reconciler.sandbox.wire import Json

Before: TypeAlias = "Callable[[ServiceCall], Json | None]"
After: TypeAlias = "Callable[[ServiceCall, Json], None]"
_B = TypeVar("_B", bound=Callable[..., Any])


@dataclass
class ServiceSettings:
    """What varies on AWS and is fixed here; durations are virtual seconds."""

    iam_delay: float = 8
    """How long AWS Batch and EC2 do not see a new role, trust policy, attachment or instance profile."""
    iam_refuses_fresh: bool = False
    """IAM's own calls refuse what was created within ``iam_delay``, too."""
    index_lag: float = 0
    """How far the tagging API is behind."""
    read_lag: float = 0
    """How long IAM and EC2 do not show, nor find by name, what was created."""
    tag_lag: float = 0
    """How long reads show a thing's tags as they were; AWS Batch's reads, too."""
    page_size: int = 0
    """No page of a list holds more than this; 0 for AWS's own limits."""
    pending_expires: float = 48 * 3600
    """When an email subscription nobody confirmed disappears."""
    forced_delete: float = 0
    """How long the name of a secret that was deleted without recovery stays taken."""

    def change(self, values: dict[str, Any]) -> None:
        """Take new values, all or none; raises ``KeyError`` with the first name that is not a setting."""
        known = {one.name for one in fields(self)}
        for name in values:
            if name not in known:
                raise KeyError(name)
        for name, value in values.items():
            setattr(self, name, value)


@dataclass
class Account:
    """The account around AWS Batch: moto's objects, and what moto has no place for (``memory``, one per service)."""

    moto: Moto
    clock: Clock
    settings: ServiceSettings
    memory: defaultdict[str, dict[Any, Any]] = field(default_factory=lambda: defaultdict(dict))
    batch_tags: Callable[[str], dict[str, dict[str, str]]] = lambda _: {}
    """Region -> tags by ARN of everything AWS Batch holds there."""

    batch_clusters: Callable[[str], dict[str, dict[str, int]]] = lambda _: {}
    """Region -> task counts by ARN of the ECS clusters that AWS Batch keeps there."""

    @property
    def id(self) -> str:
        return self.moto.account

    @property
    def eventual_consistency(self) -> EventualConsistency | None:
        """What holds back what reads do not show yet; None where they show everything at once."""
        read_lag, tag_lag = self.settings.read_lag, self.settings.tag_lag
        if not (read_lag or tag_lag):
            return None
        return EventualConsistency(
            self.memory["eventual consistency"], self.clock.now(), read_lag=read_lag, tag_lag=tag_lag
        )

    @property
    def partition(self) -> str:
        return self.moto.partition

    def reset(self) -> None:
        self.moto.reset()
        self.memory.clear()


@dataclass
class ServiceCall:
    """One request, understood."""

    service: str
    operation: str
    region: str
    params: Json
    account: Account
    forward: Callable[[Json], Json]
    """Asks moto, with other parameters, on behalf of a rule; raises what moto refuses."""
    rewritten: bool = False

    @property
    def backend(self) -> Any:
        """Moto's object for the service."""
        return self.account.moto.backend(self.service, self.region)

    @property
    def memory(self) -> dict[Any, Any]:
        """What is remembered about the service, beside moto."""
        return self.account.memory[self.service]

    @property
    def regional(self) -> dict[Any, Any]:
        """The same, for the request's Region alone."""
        found: dict[Any, Any] = self.memory.setdefault(self.region, {})
        return found

    @property
    def now(self) -> float:
        return self.account.clock.now()

    def rewrite(self, **params: Any) -> None:
        """Send other parameters to moto; None takes one out."""
        self.rewritten = True
        for name, value in params.items():
            if value is None:
                self.params.pop(name, None)
            else:
                self.params[name] = value

    def touch(self) -> None:
        """Note that a rule wrote to moto's objects, though the request only reads."""
        self.account.moto.touched(self.service, self.region)


class Rules:
    """The rules of one service, in the order they are declared."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.befores: defaultdict[str, list[Before]] = defaultdict(list)
        self.afters: defaultdict[str, list[After]] = defaultdict(list)

    def before(self, *operations: str) -> Callable[[_B], _B]:
        def register(rule: _B) -> _B:
            for operation in operations:
                self.befores[operation].append(rule)
            return rule

        return register

    def after(self, *operations: str) -> Callable[[_B], _B]:
        def register(rule: _B) -> _B:
            for operation in operations:
                self.afters[operation].append(rule)
            return rule

        return register

    def add(self, other: Rules) -> None:
        """Take over the rules of another module for the same service."""
        for operation, befores in other.befores.items():
            self.befores[operation] += befores
        for operation, afters in other.afters.items():
            self.afters[operation] += afters
