"""Events of CloudTrail: what they say, which of them made a change, and who it was. Pure.

``requestParameters`` may contain what is secret: they are compared, and never part of a result. User agents and names
of sessions are chosen by the caller: they are labels, not proof.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Final

from reconciler.model import EMPTY, MISSING, Change, Json, Kind, ResourcePlan, Scope, Verb
from reconciler.model.patterns import regex
from reconciler.model.recorded import Recorded
from reconciler.model.records import dataclass

_BATCH: Final = "batch.amazonaws.com"
_BATCH_ROLE, _BATCH_SESSION = "AWSServiceRoleForBatch", "aws-batch"
_CLOUDFORMATION: Final = "cloudformation.amazonaws.com"
_IDENTITY_CENTER: Final = regex(r"AWSReservedSSO_(?P<set>.+)_[0-9a-f]{16}")
_OURSELVES: Final = regex(r"batch-reconcile/[^\s/]+$")
# What a user agent begins with, or contains, by the client: the first that fits
_CLIENTS: Final = (
    ("terraform", regex(r"(?i)terraform")),
    ("cdk", regex(r"(?i)\baws-cdk")),
    (
        "console",
        regex(r"^(Mozilla/|signin\.|S3Console)|\bconsole\.amazonaws\.com"),
    ),
    ("cli", regex(r"(?i)^aws-cli/")),
    ("service", regex(r"^[a-z0-9.-]+\.amazonaws\.com$|^AWS Internal$")),
    ("sdk", regex(r"(?i)boto|aws-sdk|exec-env|sdk")),
)
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Recording:
    """One event. ``at`` is in seconds since the epoch, ``time`` as CloudTrail writes it."""

    name: str
    service: str
    at: float
    time: str
    failed: bool
    identity: Json
    agent: str
    source: str
    console: bool
    parameters: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChangedBy:
    """Who made a change: the event, its time, who, and with what (``console``, ``cli``, ``terraform``, ``cdk``,
    ``cloudformation``, ``sdk``, ``service``, ``ourselves``; empty where the user agent does not say).
    """

    event: str
    at: str
    who: str
    via: str

    def to_json(self) -> dict[str, str]:
        """As the JSON of `drift` has it."""
        return {"event": self.event, "at": self.at, "who": self.who, "via": self.via}


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: the events by name, each with the changes that it may have made (none: by its name alone),
    and what names the resource.
    """

    recorded: Recorded
    events: Mapping[str, tuple[Change, ...]]
    names: frozenset[str]
    resource_name: str
    folds_case: bool = False


def parsed(item: Json) -> Recording | None:
    """An event of a reply of LookupEvents; None for what is not one."""
    try:
        found = json.loads(item["CloudTrailEvent"])
        at = datetime.fromisoformat(str(found["eventTime"]))
        return Recording(
            name=str(found["eventName"]),
            service=str(found["eventSource"]).partition(".")[0],
            at=at.timestamp(),
            time=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            failed=bool(found.get("errorCode")),
            identity=_mapping(found.get("userIdentity")),
            agent=str(found.get("userAgent") or "").strip("[]"),
            source=str(found.get("sourceIPAddress") or ""),
            console=str(found.get("sessionCredentialFromConsole")).lower() == "true",
            parameters=_mapping(found.get("requestParameters")),
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def search(kind: Kind, resource: ResourcePlan, scope: Scope) -> Search | None:
    """What made the change of a resource; None where its kind does not say what CloudTrail records of it."""
    recorded = kind.recorded
    if recorded is None or resource.verb is Verb.NOOP:
        return None
    live = resource.kept_object or next(iter(resource.removed_objects), None)
    attrs = live.attrs if live else kind.attrs(scope, resource.physical, resource.after or EMPTY)
    names = {value for name, value in attrs.items() if name in ("name", "arn", "id")} | {*recorded.also(attrs)}
    if kind.folds_case:
        names = {name.lower() for name in names}
    events: dict[str, tuple[Change, ...]] = {}
    if resource.verb is Verb.CREATE:
        events = dict.fromkeys(recorded.delete, ())
    elif resource.verb in (Verb.DELETE, Verb.ADOPT):
        events = dict.fromkeys(recorded.create, ())
    else:
        for change in resource.changes:
            for event in _of_change(recorded, change):
                events[event] = (*events.get(event, ()), change)
    events = dict(sorted(events.items(), key=lambda event: event[1] != () and _only_tags(event[1])))
    return Search(recorded, events, frozenset(names), attrs.get(recorded.by, ""), kind.folds_case)


def _only_tags(changes: Collection[Change]) -> bool:
    return all(change.top == "tags" for change in changes)


def _of_change(recorded: Recorded, change: Change) -> tuple[str, ...]:
    if change.top != "tags":
        return recorded.update(change)
    set_tag, remove_tag = recorded.tag
    return (remove_tag,) if change.before is MISSING or change.before is None else (set_tag,)


def is_it(sought: Search, found: Recording) -> bool:
    """Whether the event made one of the changes: a call of that name that succeeded, names the resource, and says the
    members that differ, with another value than the declared one. AWS Batch's own calls, which scale, did not.
    """
    return _is_about(sought, found) and (not sought.events[found.name] or bool(explained(sought, found)))


def _is_about(sought: Search, found: Recording) -> bool:
    if found.failed or found.name not in sought.events or found.service != sought.recorded.service or by_batch(found):
        return False
    return any(_is_named(value, sought) for path in sought.recorded.named for value in _values(found.parameters, path))


def explained(sought: Search, found: Recording) -> list[Change]:
    """The changes that the event explains."""
    if not _is_about(sought, found):
        return []
    return [change for change in sought.events[found.name] if _touches(sought.recorded, found, change)]


def weight(found: Recording, changes: Collection[Change]) -> tuple[bool, int, float]:
    """How much of what has drifted an event made, to compare events: more than tags, how many changes, how late."""
    return not _only_tags(changes), len(changes), found.at


def _touches(recorded: Recorded, found: Recording, change: Change) -> bool:
    if _as_declared(found, change):
        return False
    if change.top != "tags":
        return recorded.touches(found.name, found.parameters, change)
    return len(change.path) == 1 or str(change.path[1]) in _words(found.parameters)


def _as_declared(found: Recording, change: Change) -> bool:
    """Whether the call gave the member the value that is declared: then another one has changed it since."""
    if not isinstance(change.after, str | int | float):
        return False
    sent = {str(value) for value in _sent(found.parameters, str(change.path[-1]).lower())}
    return str(change.after) in sent and str(change.before) not in sent


def _sent(value: Any, name: str) -> Iterator[str | int | float]:
    """The values that a call sends for members of this name, also as a pair (``{"key": NAME, "value": ...}``)."""
    if isinstance(value, Mapping):
        pair = {str(key).lower(): item for key, item in value.items()}
        for kind in ("", "tag", "attribute"):
            named = pair.get(f"{kind}key", pair.get(f"{kind}name"))
            if str(named).lower() == name and isinstance(of_pair := pair.get(f"{kind}value"), str | int | float):
                yield of_pair
        if isinstance(own := pair.get(name), str | int | float):
            yield own
    if isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _sent(item, name)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _words(item)
    elif isinstance(value, list):
        for item in value:
            yield from _words(item)
    elif isinstance(value, str):
        yield value


def _is_named(value: str, sought: Search) -> bool:
    """Whether a value is a name of the resource, or one with what follows a colon: a revision, the streams of a log."""
    value = value.lower() if sought.folds_case else value
    arn = value.startswith("arn:")
    return value in sought.names or any(
        value.startswith(f"{name}:") for name in sought.names if name.startswith("arn:") == arn
    )


def _values(parameters: Json, path: str) -> Iterator[str]:
    if "/" not in path:
        yield from (value for value in _at(parameters, path.split(".")) if isinstance(value, str))
        return
    parts = [next(_at(parameters, one.split(".")), None) or "default" for one in path.split("/")]
    yield "/".join(str(part).rpartition("/")[2] if str(part).startswith("arn:") else str(part) for part in parts)


def _at(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
        return
    head, rest = path[0], path[1:]
    member = head.removesuffix("[]")
    if not isinstance(value, Mapping):
        return
    for found in value.values() if member == "*" else [value[member]] if member in value else []:
        if not head.endswith("[]"):
            yield from _at(found, rest)
        elif isinstance(found, list):
            for item in found:
                yield from _at(item, rest)


def by_batch(found: Recording) -> bool:
    """Whether AWS Batch made the call itself."""
    role, session = _role(found.identity)
    return found.identity.get("invokedBy") == _BATCH or role == _BATCH_ROLE or session == _BATCH_SESSION


def changed_by(found: Recording) -> ChangedBy:
    """Who made the call of an event."""
    return ChangedBy(found.name, found.time, _caller(found)[:_LONGEST], _via(found))


def _caller(found: Recording) -> str:
    caller = _principal(found.identity)
    service = str(found.identity.get("invokedBy") or "")
    if _CLOUDFORMATION in (found.source, service):
        return f"CloudFormation, on behalf of {caller}"
    if service.endswith(".amazonaws.com") and found.identity.get("type") != "AWSService":
        return f"{service}, on behalf of {caller}"
    return caller


def _principal(identity: Json) -> str:
    kind = identity.get("type")
    role, session = _role(identity)
    if kind == "AssumedRole" and role:
        if person := _IDENTITY_CENTER.fullmatch(role):
            return f"{session} (Identity Center, {person['set']})"
        federation = _mapping(_mapping(identity.get("sessionContext")).get("webIdFederationData"))
        provider = str(federation.get("federatedProvider") or "").rpartition("oidc-provider/")[2]
        return f"role {role}, session {session}" + (f" (CI by OIDC, {provider})" if provider else "")
    if kind == "IAMUser" and identity.get("userName"):
        return f"user {identity['userName']}"
    if kind == "Root":
        return "root user"
    if kind == "AWSService":
        return f"AWS service {identity.get('invokedBy') or 'unknown'}"
    if kind == "AWSAccount":
        return f"account {identity.get('accountId') or 'unknown'}"
    return str(identity.get("arn") or identity.get("userName") or identity.get("principalId") or "unknown")


def _role(identity: Json) -> tuple[str, str]:
    """The role and the session of an assumed role; empty for others."""
    if identity.get("type") != "AssumedRole":
        return "", ""
    issuer = _mapping(_mapping(identity.get("sessionContext")).get("sessionIssuer"))
    parts = str(identity.get("arn") or "").partition(":assumed-role/")[2].split("/")
    role = str(issuer.get("userName") or parts[0])
    return role, parts[-1] if len(parts) > 1 else ""


def _via(found: Recording) -> str:
    if _OURSELVES.search(found.agent):
        return "ourselves"
    if found.source == _CLOUDFORMATION:
        return "cloudformation"
    if found.console:
        return "console"
    return next((client for client, form in _CLIENTS if form.search(found.agent)), "")


def _mapping(value: Any) -> Json:
    return value if isinstance(value, Mapping) else EMPTY
