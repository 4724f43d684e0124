"""Reading roles and policies of IAM in bulk: the same few calls for every kind of IAM, so that they are sent once.

GetAccountAuthorizationDetails returns nearly everything, up to a thousand roles and policies a page; the functions that
need the rest name it. It cannot be filtered, and it may be denied: then the kinds read by name.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.kinds.iam._common import ABSENT, is_owned
from reconciler.model import Call, Json, Query, Reads, Refused, Reply
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.replies import ok, tag_map

PAGE = 1000
DETAILS = Call(
    "iam",
    "GetAccountAuthorizationDetails",
    {"Filter": ["Role", "LocalManagedPolicy"], "MaxItems": PAGE},
    all_pages=True,
)
PROFILES = Call("iam", "ListInstanceProfiles", {"MaxItems": PAGE}, all_pages=True)


@dataclass(frozen=True, slots=True)
class Details:
    """The reply to GetAccountAuthorizationDetails: roles by name, the account's own policies by ARN."""

    roles: Mapping[str, Json]
    policies: Mapping[str, Json]

    def attached(self, roles: Iterable[Json] | None = None) -> frozenset[str]:
        """The ARNs of the managed policies that are attached to ``roles``, or to any role."""
        return frozenset(
            policy["PolicyArn"]
            for role in (self.roles.values() if roles is None else roles)
            for policy in role.get("AttachedManagedPolicies", ())
        )

    def owned(self, query: Query) -> list[Json]:
        """The roles that the environment owns."""
        return [role for role in self.roles.values() if is_owned(query, tag_map(role.get("Tags")))]


def details(reply: Reply) -> Details:
    """The reply to ``DETAILS``; raises Unreadable if it was refused."""
    answer = ok(DETAILS, reply) or {}
    return Details(
        {item["RoleName"]: item for item in answer.get("RoleDetailList", ())},
        {item["Arn"]: item for item in answer.get("Policies", ())},
    )


def details_if_brief(query: Query) -> Reads[Details | None]:
    """The details, for a brief query; None for another query, or if they are refused."""
    if not query.brief:
        return None
    (reply,) = yield (DETAILS,)
    return None if isinstance(reply, Refused) else details(reply)


def list_roles(marker: str = "") -> Call:
    """A page of ListRoles, which has a role's description and longest session; the details lack them."""
    return Call("iam", "ListRoles", {"MaxItems": PAGE, **({"Marker": marker} if marker else {})})


def role_page(call: Call, reply: Reply) -> Json:
    """The reply with a page of ListRoles; empty if it is denied, since each role can be read by name."""
    return {} if isinstance(reply, Refused) and reply.denied else ok(call, reply) or {}


def with_described_roles(
    names: Sequence[str], cached: Mapping[str, Json], marker: str, total: int
) -> Reads[dict[str, Json]]:
    """``cached`` with the roles ``names`` as ListRoles or GetRole return them, whichever needs fewer calls.

    ``marker`` is where the next page of ListRoles begins (empty: no page has been read, or there is no other),
    ``total`` the number of roles in the account. Raises Unreadable.
    """
    found, pages = dict(cached), -(-total // PAGE) - 1
    while marker and pages < sum(name not in found for name in names):
        call = list_roles(marker)
        (reply,) = yield (call,)
        answer = role_page(call, reply)
        found |= roles_of(answer)
        marker, pages = answer.get("Marker") or "", pages - 1
    calls = tuple(Call("iam", "GetRole", {"RoleName": name}) for name in names if name not in found)
    for call, reply in zip(calls, (yield calls) if calls else (), strict=True):
        answer = ok(call, reply, ABSENT) or {}
        if "Role" in answer:
            found[answer["Role"]["RoleName"]] = answer["Role"]
    return found


def roles_of(answer: Json) -> dict[str, Json]:
    """The roles in a reply to ListRoles, by name."""
    return {item["RoleName"]: item for item in answer.get("Roles", ())}


def profiles_of(found: Details) -> dict[str, dict[str, Any]]:
    """The instance profiles with a role, by name, as the details show them."""
    return {
        profile["InstanceProfileName"]: {**profile, "Roles": [{"RoleName": name}]}
        for name, role in found.roles.items()
        for profile in role.get("InstanceProfileList", ())
    }
