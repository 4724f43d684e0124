"""How a gap in moto is closed: by a rule before a request reaches it, or after its reply.

A rule uses the API's own names. ``before`` rules may refuse (raise :class:`Refusal`), reply in moto's place (return the
reply), or change the request; ``after`` rules receive moto's reply and may change it, and moto's objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields
from typing import Any, TypeAlias, TypeVar

from reconciler.model.records import dataclass
from reconciler.sandbox.batch.fleet import Fleet
from reconciler.sandbox.clock import Clock
from reconciler.sandbox.services._eventual_consistency import EventualConsistency
from reconciler.sandbox.services._moto import Moto, partition_of
from reconciler.sandbox.services._trail import Trail
from reconciler.sandbox.wire import Json

Before: TypeAlias = "Callable[[ServiceCall], Json | None]"
After: TypeAlias = "Callable[[ServiceCall, Json], None]"
_B = TypeVar("_B", bound=Callable[..., Any])


@dataclass
class ServiceSettings:
    """Behaviour that varies on AWS and is fixed here; durations are seconds of the sandbox clock."""

    iam_delay: float = 8
    """How long a new role, trust policy, attachment or instance profile is not visible to AWS Batch and EC2."""
    iam_refuses_fresh: bool = False
    """IAM's own calls, too, refuse what was created within ``iam_delay``."""
    index_lag: float = 0
    """How far the tagging API is behind."""
    read_lag: float = 0
    """How long a new resource is not visible in IAM and EC2, in lists and by name."""
    tag_lag: float = 0
    """How long reads show the tags of a resource as they were, AWS Batch's reads included."""
    page_size: int = 0
    """The maximum page size of lists; 0 for AWS's own limits."""
    pending_expires: float = 48 * 3600
    """How long an email subscription is pending before it expires."""
    forced_delete: float = 0
    """How long the name of a secret that was deleted without recovery remains in use."""
    trail_delay: float = 300
    """How long after its call an event can be looked up in CloudTrail."""

    splunk_tokens: Sequence[str] = ()
    """The tokens that the collector of logs accepts; empty: any."""
    unreachable_collectors: Sequence[str] = ()
    """Parts of addresses of log collectors that nothing listens at: `splunk.example.com`."""

    def change(self, values: dict[str, Any]) -> None:
        """Set new values, all or none; raises ``KeyError`` with the first name that is not a setting."""
        known = {one.name for one in fields(self)}
        for name in values:
            if name not in known:
                raise KeyError(name)
        for name, value in values.items():
            setattr(self, name, value)


@dataclass
class Account:
    """The account around AWS Batch: moto's objects, and in ``memory``, by service, what moto cannot store."""

    moto: Moto
    clock: Clock
    settings: ServiceSettings
    memory: defaultdict[str, dict[Any, Any]] = field(default_factory=lambda: defaultdict(dict))
    batch_tags: Callable[[str], dict[str, dict[str, str]]] = lambda _: {}
    """Region -> tags by ARN of all resources of AWS Batch there."""

    batch_fleet: Callable[[str], Fleet] = lambda _: Fleet((), {}, {})
    """Region -> the machines behind the compute environments there."""

    batch_lose: Callable[[str, Sequence[str], str], list[str]] = lambda *_: []
    """Region, ids of instances that were `terminated` or `stopped` -> those that belonged to a compute environment."""

    batch_join: Callable[[str, str, str, str, str], bool] = lambda *_: False
    """Region, name of a cluster, id, type and subnet of an instance of the caller's that joins it -> whether it may."""

    batch_roles: Callable[[], dict[str, dict[str, str]]] = dict
    """Region -> service role by ARN of the compute environments there."""

    vcpu_quotas: Callable[[], Mapping[str, int]] = dict
    """Patterns of instance types, each with the quota of running vCPUs."""

    simulate: Callable[[str, Json, str], Json] = lambda *_: {}
    """The policy simulator's reply to an operation with parameters in a Region."""

    deliver: Callable[[str, Json, str], str] = lambda *_: ""
    """Region, event (detail-type, source, resources, detail), name of the bus -> the id that EventBridge gives it."""

    trail: Trail = field(init=False)
    """What CloudTrail has recorded."""

    def __post_init__(self) -> None:
        self.trail = Trail(self.clock.now, self._identity)

    @property
    def id(self) -> str:
        """The account's id, twelve digits."""
        return self.moto.account

    @property
    def eventual_consistency(self) -> EventualConsistency | None:
        """What hides new resources and tags from reads; None if reads show everything at once."""
        read_lag, tag_lag = self.settings.read_lag, self.settings.tag_lag
        if not (read_lag or tag_lag):
            return None
        return EventualConsistency(
            self.memory["eventual consistency"], self.clock.now(), read_lag=read_lag, tag_lag=tag_lag
        )

    def reset(self) -> None:
        """Delete everything in the account."""
        self.moto.reset()
        self.memory.clear()
        self.trail.clear()

    def _identity(self, key: str, region: str) -> Json | None:
        """The identity of an access key, as CloudTrail writes it; None for one that is not an IAM user's or a role's.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
        """
        user = self.moto.backend("iam", region).get_user_from_access_key_id(key)
        if user:
            named = {"arn": user.arn, "accountId": self.id, "accessKeyId": key, "userName": user.name}
            return {"type": "IAMUser", "principalId": user.id, **named}
        session = self.moto.backend("sts", region).get_assumed_role_from_access_key(key)
        if not session:
            return None
        number, _, _ = session.user_id.partition(":")
        role = {"type": "Role", "principalId": number, "arn": session.role_arn, "accountId": self.id}
        return {
            "type": "AssumedRole",
            "principalId": session.user_id,
            "arn": session.arn,
            "accountId": self.id,
            "accessKeyId": key,
            "sessionContext": {"sessionIssuer": {**role, "userName": session.role_arn.rpartition("/")[2]}},
        }


@dataclass
class ServiceCall:
    """One request, parsed."""

    service: str
    operation: str
    region: str
    params: Json
    account: Account
    forward: Callable[[Json], Json]
    """Sends the request to moto with other parameters, for a rule; raises moto's refusal."""
    rewritten: bool = False

    @property
    def backend(self) -> Any:
        """Moto's object for the service."""
        return self.account.moto.backend(self.service, self.region)

    @property
    def partition(self) -> str:
        """The partition of the request's Region: ``aws``, or another of AWS."""
        return partition_of(self.region)

    @property
    def memory(self) -> dict[Any, Any]:
        """What is remembered about the service outside moto."""
        return self.account.memory[self.service]

    @property
    def regional(self) -> dict[Any, Any]:
        """The same, for the request's Region only."""
        found: dict[Any, Any] = self.memory.setdefault(self.region, {})
        return found

    @property
    def now(self) -> float:
        """The time on the sandbox clock, in seconds since the epoch."""
        return self.account.clock.now()

    def rewrite(self, **params: Any) -> None:
        """Send other parameters to moto; None removes one."""
        self.rewritten = True
        for name, value in params.items():
            if value is None:
                self.params.pop(name, None)
            else:
                self.params[name] = value

    def touch(self) -> None:
        """Record that a rule wrote to moto's objects, although the request only reads."""
        self.account.moto.touched(self.service, self.region)


class Rules:
    """The rules of one service, in the order in which they are declared."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.befores: defaultdict[str, list[Before]] = defaultdict(list)
        self.afters: defaultdict[str, list[After]] = defaultdict(list)

    def before(self, *operations: str) -> Callable[[_B], _B]:
        """A decorator: the rule runs before moto, for these operations."""

        def register(rule: _B) -> _B:
            for operation in operations:
                self.befores[operation].append(rule)
            return rule

        return register

    def after(self, *operations: str) -> Callable[[_B], _B]:
        """A decorator: the rule runs after moto, for these operations."""

        def register(rule: _B) -> _B:
            for operation in operations:
                self.afters[operation].append(rule)
            return rule

        return register

    def add(self, other: Rules) -> None:
        """Append the rules of another module for the same service."""
        for operation, befores in other.befores.items():
            self.befores[operation] += befores
        for operation, afters in other.afters.items():
            self.afters[operation] += afters
