"""IAM instance profiles.

What is peculiar about them:

- A profile has one role or none. The old role must be removed before a new one is added, so between the two calls there
  is none.
- A profile is not its role: compute environments need the profile, and only the console creates one of the same name
  together with a role for EC2.
- A profile with a role cannot be deleted; one that a compute environment uses can, so we have to keep the order.
- Lists show no tags, so each profile is read for its own.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateInstanceProfile.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteInstanceProfile.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from reconciler.kinds.common.listing import listing
from reconciler.kinds.common.visibility import not_visible
from reconciler.kinds.iam import _bulk_reads as bulk
from reconciler.kinds.iam import _common as _iam
from reconciler.kinds.iam._common import ABSENT, IN_USE, NEW_ROLE, NOT_FOUND, change
from reconciler.model import (
    Access,
    Action,
    Call,
    CompleteList,
    Dependent,
    Diff,
    Disruption,
    Effect,
    Field,
    Finding,
    Json,
    Kind,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    Reads,
    Ref,
    Referrer,
    Removals,
    Replace,
    Scope,
    Want,
)
from reconciler.model.audit import Audit
from reconciler.model.patterns import regex
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import instances, recorded
    from reconciler.kinds.common.referrers import referrer
    from reconciler.kinds.common.replies import ok, tag_list, tag_map

_ROLE_ARN = regex(r"arn:[^:]+:iam::\d{12}:role/(?:\S*/)?(?P<name>[^/\s]+)")

# up to this number of profiles with unowned roles, the tags of each are read
MAX_OTHERS = 100

# the role or profile may not be visible yet, or the role that was just removed may still count
NOT_VISIBLE_YET = (
    NEW_ROLE,
    On(ABSENT, "Instance Profile", because=not_visible("instance profile")),
    On("InvalidParameterValue", "Invalid IAM Instance Profile name", because=not_visible("instance profile")),
    On("LimitExceeded", "InstanceSessionsPerInstanceProfile"),
)


def role_name(value: Any) -> Any:
    """The name in the ARN of a role; anything else unchanged."""
    found = _ROLE_ARN.fullmatch(value) if isinstance(value, str) else None
    return found["name"] if found else value


FIELDS = {
    "path": Field(effect=Effect.REPLACE, default="/"),
    "role": Field(normalize=role_name, clear=""),
}


def attrs(scope: Scope, name: str, props: Json) -> Mapping[str, str]:
    """Name and ARN; the ARN is computed from account, path and name."""
    return {"name": name, "arn": _iam.arn(scope, "instance-profile", name, props)}


def read(query: Query) -> Reads[Sequence[Live]]:
    """In bulk if owned profiles are needed too; otherwise by name."""
    names = list(dict.fromkeys(sought.name for sought in query.sought if _iam.is_name(sought.name)))
    known = yield from bulk.details_if_brief(query)
    if query.owned:
        profiles = yield from _read_in_bulk(query, {name.lower() for name in names})
    else:
        held = {name.lower(): item for name, item in bulk.profiles_of(known).items()} if known else {}
        found = [held[name.lower()] for name in names if name.lower() in held]
        profiles = found + (yield from _described([name for name in names if name.lower() not in held]))
    lives = [_live(query.scope, profile) for profile in profiles]
    sought = {name.lower() for name in names}
    return [live for live in lives if live.physical.lower() in sought or _iam.is_owned(query, live.tags)]


def _read_in_bulk(query: Query, sought: Collection[str]) -> Reads[list[Json]]:
    """The profiles that are sought, or may be owned, with their tags.

    Only GetInstanceProfile is documented to return the tags of a profile. It is not called where the details of the
    roles are seen to include tags of profiles: an empty list proves nothing. Otherwise it is called for sought
    profiles, for profiles without a role (which only the list contains) or with an owned role, and, in accounts with
    few profiles, for all others.
    """
    replies = yield (bulk.DETAILS, bulk.PROFILES)
    found = bulk.details(replies[0])
    held, listed = bulk.profiles_of(found), (ok(bulk.PROFILES, replies[1]) or {}).get("InstanceProfiles", ())
    shown = any(profile.get("Tags") for profile in held.values())
    ours = {role["RoleName"] for role in found.owned(query)}
    likely: list[str] = []
    others: list[str] = []
    for name in dict.fromkeys([*held, *(item["InstanceProfileName"] for item in listed)]):
        if name in held and shown:
            continue
        mine = name not in held or held[name]["Roles"][0]["RoleName"] in ours
        (likely if mine or name.lower() in sought else others).append(name)
    described = yield from _described([*likely, *(others if len(others) <= MAX_OTHERS else ())])
    return [*(held.values() if shown else ()), *described]


def _described(names: Sequence[str]) -> Reads[list[Json]]:
    calls = tuple(Call("iam", "GetInstanceProfile", {"InstanceProfileName": name}) for name in names)
    replies = (yield calls) if calls else ()
    found = [ok(call, reply, ABSENT) for call, reply in zip(calls, replies, strict=True)]
    return [answer["InstanceProfile"] for answer in found if answer]


def _live(scope: Scope, profile: Json) -> Live:
    name = profile["InstanceProfileName"]
    roles = [role["RoleName"] for role in profile.get("Roles", ())]
    props = {"path": profile["Path"], **({"role": roles[0]} if roles else {})}
    return Live(physical=name, attrs=attrs(scope, name, props), props=props, tags=tag_map(profile.get("Tags")))


def referrers(scope: Scope, _: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
    """Every profile of the account with its role; deleting a role would take it out of the profile. Shows no owners."""
    (reply,) = yield (bulk.PROFILES,)
    return [
        referrer(scope, "instance profile", item["InstanceProfileName"], item["Arn"], {"role": role["RoleName"]})
        for item in (ok(bulk.PROFILES, reply) or {}).get("InstanceProfiles", ())
        for role in item.get("Roles", ())
    ]


def running(_: Scope, lives: Sequence[Live], __: Removals) -> Reads[Mapping[str, tuple[Dependent, ...]]]:
    """The instances with the profile, which lose its permissions: IAM deletes it all the same."""
    used = yield from instances.with_profile([live.attrs["arn"] for live in lives])
    return {live.physical: used[live.attrs["arn"]] for live in lives if live.attrs["arn"] in used}


def create(want: Want) -> Sequence[Action]:
    """CreateInstanceProfile with tags, then AddRoleToInstanceProfile."""
    profile = {"InstanceProfileName": want.physical}
    path = {"Path": want.declared["path"]} if want.declared.get("path") else {}
    role = role_name(want.declared.get("role"))
    return [
        change("CreateInstanceProfile", {**profile, **path, "Tags": tag_list(want.tags)}, proof=Proof.EXISTS),
        *([_add(want.physical, role)] if role else []),
    ]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """Removes the old role, then adds the new one."""
    if "role" not in diff.tops():
        return []
    before, after = live.props.get("role"), role_name(want.props.get("role"))
    return [
        *([_remove(live.physical, before)] if before else []),
        *([_add(live.physical, after)] if after else []),
    ]


def delete(live: Live, _: Json) -> Sequence[Action]:
    """Removes the role, then DeleteInstanceProfile."""
    role = live.props.get("role")
    return [
        *([_remove(live.physical, role)] if role else []),
        change("DeleteInstanceProfile", {"InstanceProfileName": live.physical}, IN_USE, ok_if=NOT_FOUND),
    ]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """Removes before it adds: to IAM tag names that differ only in case are the same."""
    profile = {"InstanceProfileName": live.physical}
    return [
        *([change("UntagInstanceProfile", {**profile, "TagKeys": sorted(remove)})] if remove else []),
        *([change("TagInstanceProfile", {**profile, "Tags": tag_list(add)})] if add else []),
    ]


def _add(profile: str, role: Any) -> Call:
    params = {"InstanceProfileName": profile, "RoleName": role}
    return change("AddRoleToInstanceProfile", params, *NOT_VISIBLE_YET, proof=Proof.SAME)


def _remove(profile: str, role: str) -> Call:
    params = {"InstanceProfileName": profile, "RoleName": role}
    return change("RemoveRoleFromInstanceProfile", params, ok_if=NOT_FOUND)


def expand(props: Json) -> Json:
    """``role`` as the bare name that the API needs, if an ARN is declared."""
    return {name: role_name(value) if name == "role" else value for name, value in props.items()}


def check(name: str, props: Json) -> Iterable[Finding]:
    """Findings about name, path and role; an expression is accepted wherever its value is unknown."""
    yield from _iam.name_findings("instance profile", name, 128)
    yield from _iam.path_findings(props)
    role = props.get("role")
    if role is None:
        hint = "role: NAME; without one, instances with this profile have no permissions and cannot join a cluster"
        yield Finding(path=(), message="the instance profile has no role", hint=hint, warning=True)
    elif isinstance(role, list | tuple):
        yield Finding(path=("role",), message="an instance profile can have only one role", hint="name one role")
    elif isinstance(role, str) and role.startswith("arn:"):
        hint = "the name of a role, or its ARN: arn:aws:iam::123456789012:role/NAME"
        yield Finding(path=("role",), message=f'"{role}" is not the ARN of a role', hint=hint)
    elif isinstance(role, str) and not _iam.is_name(role):
        hint = "letters, digits and _ + = , . @ -; a path is not part of the name"
        yield Finding(path=("role",), message=f'"{role}" is not a valid role name', hint=hint)
    elif isinstance(role, str) and role.startswith("AWSServiceRoleFor"):
        hint = "name a role that trusts ec2.amazonaws.com"
        message = f"{role} is a service-linked role: IAM refuses it in an instance profile"
        yield Finding(path=("role",), message=message, hint=hint)


def disruption(live: Live, _: Want, diff: Diff) -> str:
    """The effect of ``diff`` on running instances, as one sentence; 'not affected' if none."""
    if not diff.replaces and "role" in diff.tops() and live.props.get("role"):
        return Disruption(
            "for a moment the profile has no role; running instances get the new one's permissions within minutes"
        )
    return "not affected" if not diff.replaces else "its dependents switch to the new one"


AUDIT = Audit(shown_by="iam:GetInstanceProfile", reads=("iam:GetInstanceProfile",))

ACCESS = Access(
    types=("iam:instance-profile",),
    always=("iam:GetAccountAuthorizationDetails", "iam:ListInstanceProfiles", "iam:GetInstanceProfile"),
    removals=("ec2:DescribeInstances",),
    referrers=("iam:ListInstanceProfiles",),
    creates=("iam:CreateInstanceProfile",),
    changes=("iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile"),
    deletes=("iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"),
    tags=("iam:TagInstanceProfile", "iam:UntagInstanceProfile"),
    arns=lambda scope, name, props: _iam.arns(scope, "instance-profile", name, props),
)


RECORDED = Recorded(
    service="iam",
    named=("instanceProfileName",),
    create=("CreateInstanceProfile",),
    update=lambda change: recorded.events(change, "AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"),
    delete=("DeleteInstanceProfile",),
    tag=("TagInstanceProfile", "UntagInstanceProfile"),
    by="name",
    at_home=True,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_iam_instance_profile": ("arn", "name")},
    cloudformation={"AWS::IAM::InstanceProfile": "InstanceProfileName"},
)

KIND = Kind(
    name="instance profile",
    section="instanceProfiles",
    audit=AUDIT,
    file="iam",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "GetInstanceProfile",
            frozenset({"InstanceProfileName"}),
            Call("iam", "ListInstanceProfiles", {"MaxItems": 1000}, all_pages=True),
        ),
    ),
    recorded=RECORDED,
    name_member="instanceProfileName",
    everything=listing(bulk.PROFILES, "InstanceProfiles", "InstanceProfileName", "Arn"),
    read=read,
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    referrers=referrers,
    dependents=(running,),
    refs={"role": Ref(section="roles", attr="name", same_account_and_region=True)},
    arn_forms=(_iam.arn_form("instance-profile"),),
    replace=Replace.CREATE_FIRST,
    folds_case=True,
    spans_regions=True,
    tag_symbols=_iam.TAG_SYMBOLS,
    max_name=128,
    passes_roles={"role": "ec2.amazonaws.com"},
    expand=expand,
    check=check,
    disruption=disruption,
)
