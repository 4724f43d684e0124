"""IAM instance profiles: unique names, the role they hold, tags.

https://docs.aws.amazon.com/IAM/latest/APIReference/welcome.html
"""

from __future__ import annotations

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.services.iam import note, unused
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("iam")


@RULES.before("CreateInstanceProfile")
def profile_names_ignore_case(ask: ServiceCall) -> None:
    name = ask.params["InstanceProfileName"]
    unused(name, ask.backend.instance_profiles, f"Instance Profile {name} already exists.")


@RULES.before(
    "GetInstanceProfile",
    "DeleteInstanceProfile",
    "AddRoleToInstanceProfile",
    "RemoveRoleFromInstanceProfile",
    "TagInstanceProfile",
    "UntagInstanceProfile",
    "ListInstanceProfileTags",
)
def profiles_exist(ask: ServiceCall) -> None:
    name = ask.params["InstanceProfileName"]
    if name not in ask.backend.instance_profiles:
        raise Refusal("NoSuchEntity", f"Instance Profile {name} cannot be found.", 404)


@RULES.after("CreateInstanceProfile", "AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile")
def a_changed_profile_is_not_seen_at_once(ask: ServiceCall, _: Json) -> None:
    note(ask, "profile", ask.backend.instance_profiles[ask.params["InstanceProfileName"]].id)


@RULES.before("RemoveRoleFromInstanceProfile")
def only_a_held_role_is_removed(ask: ServiceCall) -> None:
    profile, name = ask.params["InstanceProfileName"], ask.params["RoleName"]
    if name not in [role.name for role in ask.backend.instance_profiles[profile].roles]:
        raise Refusal("NoSuchEntity", f"The role with name {name} cannot be found in instance profile {profile}.", 404)


@RULES.before("ListInstanceProfileTags")
def profile_tags_are_listed(ask: ServiceCall) -> Json:
    profile = ask.backend.instance_profiles[ask.params["InstanceProfileName"]]
    return {"Tags": sorted((dict(tag) for tag in profile.tags), key=lambda tag: tag["Key"]), "IsTruncated": False}
