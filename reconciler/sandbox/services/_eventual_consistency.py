"""What reads do not show yet: resources that were just created (``read_lag``), tags that were just set (``tag_lag``).

IAM and EC2 document this: a read that follows a write at once may not find the resource.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency
https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.sandbox.wire import Json, Refusal

READS = ("Describe", "Get", "List", "BatchGet")
_LATE = frozenset({"iam", "ec2"})
_CREATES = ("Create", "Import")
_TAGS = frozenset({"Tags", "tags"})
_PROPERTIES = frozenset({"computeResources", "LaunchTemplateData"})  # their tags are for launched resources
_PARENTS = frozenset({"VpcId", "OwnerId", "PolicyId", "UserId"})
_NAMES = frozenset(
    {"RoleName", "PolicyName", "InstanceProfileName", "GroupName", "KeyName", "LaunchTemplateName", "GroupId"}
    | {"KeyPairId", "LaunchTemplateId", "Arn", "PolicyArn"}
)
_LISTS = frozenset(
    {"Roles", "Policies", "InstanceProfiles", "RoleDetailList", "SecurityGroups", "KeyPairs", "LaunchTemplates"}
    | {"PlacementGroups", "LaunchTemplateVersions"}
)
_NOT_FOUND = {
    "GroupId": ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    "LaunchTemplateId": ("InvalidLaunchTemplateId.NotFound", "The launch template '{}' does not exist"),
}


class EventualConsistency:
    """Remembers what was written when; ``memory`` is emptied with the account.

    Lags are seconds of the sandbox clock.
    """

    def __init__(self, memory: dict[Any, Any], now: float, *, read_lag: float, tag_lag: float) -> None:
        self.memory, self.now = memory, now
        self.read_lag, self.tag_lag = read_lag, tag_lag

    def refuse(self, service: str, operation: str, params: Json) -> None:
        """Raises the refusal of a request that names a resource by name or id, if the resource is not visible yet."""
        if service not in _LATE or operation.startswith(_CREATES):
            return
        for member, value in params.items():
            if not (member in _NAMES and self._fresh(service, value)):
                continue
            if service == "iam" and operation.startswith("Get"):
                raise Refusal("NoSuchEntity", f"The entity with name {value} cannot be found.", 404)
            if member in _NOT_FOUND and not operation.startswith("Delete"):
                code, text = _NOT_FOUND[member]
                raise Refusal(code, text.format(value))

    def process_reply(self, service: str, operation: str, params: Json, result: Json) -> None:
        """Records what a write created; removes from a read's ``result`` what is not visible yet."""
        if not operation.startswith(READS):
            for value in {*_mentioned(params), *_mentioned(result)}:
                self.memory["written", service, value] = self.now
            if service in _LATE and operation.startswith(_CREATES):
                for value in {*_names(params), *_names(result)}:
                    self.memory["made", service, value] = self.now
            return
        if service in _LATE and self.read_lag:
            for member in _LISTS & result.keys():
                items = result[member] or []
                result[member] = [one for one in items if not any(self._fresh(service, name) for name in _names(one))]
        if self.tag_lag:
            self._tags(service, params, result)

    def _fresh(self, service: str, name: Any) -> bool:
        made: float = self.memory.get(("made", service, name), float("-inf")) if isinstance(name, str) else 0.0
        return isinstance(name, str) and self.now - made < self.read_lag

    def _tags(self, service: str, params: Json, value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                self._tags(service, params, item)
        elif isinstance(value, dict):
            for member, item in value.items():
                if member in _TAGS and isinstance(item, list | dict):
                    value[member] = self._as_they_were(service, _identity(value) or _identity(params), item)
                elif member not in _PROPERTIES:
                    self._tags(service, params, item)

    def _as_they_were(self, service: str, identity: tuple[str, ...], actual: Any) -> Any:
        """The tags as they were ``tag_lag`` ago; a change counts as made by the last write that named the resource."""
        empty: Any = type(actual)()
        written = max((self.memory.get(("written", service, name), float("-inf")) for name in identity), default=0.0)
        shown, known, since = self.memory.get(("tags", service, identity), (empty, empty, float("-inf")))
        before = known if self.now - since >= self.tag_lag else shown
        if known != actual:
            shown, since = before, written
            self.memory["tags", service, identity] = (shown, actual, since)
        return actual if self.now - since >= self.tag_lag else shown


def _names(value: Any) -> Iterator[str]:
    """The names and ids of a request or an item itself, at its own level and one below."""
    for member, item in value.items() if isinstance(value, Mapping) else ():
        if member in _NAMES and isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            yield from (inner for name, inner in item.items() if name in _NAMES and isinstance(inner, str))


def _mentioned(value: Any, member: str = "") -> Iterator[str]:
    """Every name and id that a write or its reply contains."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _mentioned(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _mentioned(item, member)
    elif isinstance(value, str) and (member == "Resources" or _is_identity(member)):
        yield value


def _is_identity(member: str) -> bool:
    """Whether a member identifies the resource itself, rather than its parent."""
    return member.lower().endswith(("arn", "name", "id")) and member not in _PARENTS


def _identity(value: Json) -> tuple[str, ...]:
    """The members that identify a resource, sorted by name."""
    found = ((name, item) for name, item in value.items() if _is_identity(name) and isinstance(item, str))
    return tuple(item for _, item in sorted(found))
