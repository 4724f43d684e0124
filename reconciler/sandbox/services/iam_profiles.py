"""IAM instance profiles: unique names, the role in them, tags.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateInstanceProfile.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html
"""

from __future__ import annotations

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.services.iam import record_change, require_unused
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("iam")


@RULES.before("CreateInstanceProfile")
def profile_names_ignore_case(call: ServiceCall) -> None:
    """Names of instance profiles are unique, ignoring case."""
    name = call.params["InstanceProfileName"]
    require_unused(name, call.backend.instance_profiles, f"Instance Profile {name} already exists.")


@RULES.before(
    "GetInstanceProfile",
    "DeleteInstanceProfile",
    "AddRoleToInstanceProfile",
    "RemoveRoleFromInstanceProfile",
    "TagInstanceProfile",
    "UntagInstanceProfile",
    "ListInstanceProfileTags",
)
def profiles_exist(call: ServiceCall) -> None:
    """Calls for an instance profile that does not exist are refused."""
    name = call.params["InstanceProfileName"]
    if name not in call.backend.instance_profiles:
        raise Refusal("NoSuchEntity", f"Instance Profile {name} cannot be found.", 404)


@RULES.after("CreateInstanceProfile", "AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile")
def a_changed_profile_propagates(call: ServiceCall, _: Json) -> None:
    """Services see a new or changed instance profile after ``iam_delay``."""
    record_change(call, "profile", call.backend.instance_profiles[call.params["InstanceProfileName"]].id)


@RULES.before("RemoveRoleFromInstanceProfile")
def only_its_own_role_is_removed(call: ServiceCall) -> None:
    """Removing a role that is not in the profile is refused."""
    profile, name = call.params["InstanceProfileName"], call.params["RoleName"]
    if name not in [role.name for role in call.backend.instance_profiles[profile].roles]:
        raise Refusal("NoSuchEntity", f"The role with name {name} cannot be found in instance profile {profile}.", 404)


@RULES.before("ListInstanceProfileTags")
def profile_tags_are_listed(call: ServiceCall) -> Json:
    """Moto has no ListInstanceProfileTags."""
    profile = call.backend.instance_profiles[call.params["InstanceProfileName"]]
    return {"Tags": sorted((dict(tag) for tag in profile.tags), key=lambda tag: tag["Key"]), "IsTruncated": False}
