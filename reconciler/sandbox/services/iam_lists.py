"""IAM's lists return a subset of what the calls for one thing return; moto returns all that it has.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicies.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfiles.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_PolicyDetail.html
"""

from __future__ import annotations

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json

RULES = Rules("iam")

_OF_A_LISTED_ROLE = frozenset({"PermissionsBoundary", "RoleLastUsed", "Tags"})
# a role in a profile is shown without what UpdateRole sets
_OF_A_HELD_ROLE = _OF_A_LISTED_ROLE | {"Description", "MaxSessionDuration"}
_OF_A_LISTED_POLICY = frozenset({"Description", "Tags"})
_OF_A_LISTED_PROFILE = frozenset({"Tags"})


@RULES.after("ListRoles")
def listed_roles_are_short(_: ServiceCall, result: Json) -> None:
    """Without tags, boundary and last use."""
    for role in result.get("Roles", ()):
        _drop(role, _OF_A_LISTED_ROLE)


@RULES.after("ListPolicies")
def listed_policies_are_short(_: ServiceCall, result: Json) -> None:
    """Without tags and description."""
    for policy in result.get("Policies", ()):
        _drop(policy, _OF_A_LISTED_POLICY)


@RULES.after("ListPolicyVersions")
def listed_versions_are_short(_: ServiceCall, result: Json) -> None:
    """Without the document.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_PolicyVersion.html
    """
    for version in result.get("Versions", ()):
        _drop(version, frozenset({"Document"}))


@RULES.after("ListInstanceProfiles", "ListInstanceProfilesForRole")
def listed_profiles_are_short(_: ServiceCall, result: Json) -> None:
    """Without tags."""
    for profile in result.get("InstanceProfiles", ()):
        _drop(profile, _OF_A_LISTED_PROFILE)
        _drop_of_held_roles(profile)


@RULES.after("GetInstanceProfile")
def held_roles_are_short(_: ServiceCall, result: Json) -> None:
    """The role in a profile is shown as in lists."""
    _drop_of_held_roles(result["InstanceProfile"])


@RULES.after("GetAccountAuthorizationDetails")
def details_lack_what_they_are_known_to_lack(_: ServiceCall, result: Json) -> None:
    """The descriptions of policies, and the tags of instance profiles."""
    for policy in result.get("Policies", ()):
        _drop(policy, _OF_A_LISTED_POLICY)
    for role in result.get("RoleDetailList", ()):
        for profile in role.get("InstanceProfileList", ()):
            _drop(profile, _OF_A_LISTED_PROFILE)
            _drop_of_held_roles(profile)


def _drop_of_held_roles(profile: Json) -> None:
    for role in profile.get("Roles", ()):
        _drop(role, _OF_A_HELD_ROLE)


def _drop(shown: Json, members: frozenset[str]) -> None:
    for name in members & shown.keys():
        del shown[name]
