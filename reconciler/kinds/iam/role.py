"""IAM roles.

What is peculiar about them:

- Trust, attached policies, inline policies and the permissions boundary each have their own calls. The declared lists
  are complete: any other attachment is removed.
- A principal in the trust policy must exist when the policy is written, and may not be visible yet if this run created
  it. So a role that trusts itself is created without that, as are roles that trust each other, and trusts by an update.
- A deleted principal is shown by its id (``AROA...``) from then on; a new principal of the same name is not trusted
  until the document is written again, so that is drift.
- ``UpdateRole`` keeps the members that it does not receive.
- A role is only deleted without attachments, inline policies and instance profiles.
- Names are unique, ignoring case. Only GetRole and GetAccountAuthorizationDetails return tags, and the latter returns
  neither description nor session duration: so it shows which roles are owned, and each of them is read for the rest.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.policy_document.checks import findings, service, size
from reconciler.kinds.common.policy_document.document import Place, listed, names_principal_of, parse, written
from reconciler.kinds.common.policy_document.trusted import principal_refs, without_principals
from reconciler.kinds.common.trusted_services import trusted_services
from reconciler.kinds.iam import _bulk_reads as bulk
from reconciler.kinds.iam import _common as _iam
from reconciler.kinds.iam._common import ABSENT, IN_USE, NEW_POLICY, NEW_PRINCIPAL, NEW_ROLE, NOT_FOUND, change
from reconciler.model import (
    Access,
    Action,
    Call,
    CompleteList,
    Diff,
    Effect,
    Existing,
    Field,
    Finding,
    Json,
    JsonText,
    Kind,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    ReadLeaving,
    ReadMany,
    Reads,
    Ref,
    Referrer,
    Replace,
    Scope,
    Sought,
    Template,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.policy_document.compare import compared
    from reconciler.kinds.common.referrers import referrer
    from reconciler.kinds.common.replies import ok, tag_list, tag_map
    from reconciler.kinds.iam._grants import of_role
    from reconciler.kinds.iam._role_audit import AUDIT
    from reconciler.kinds.iam._role_events import RECORDED

FIELDS = {
    "path": Field(effect=Effect.REPLACE, default="/"),
    "assumeRolePolicyDocument": Field(),
    "description": Field(default="", clear=""),
    "maxSessionDuration": Field(default=3600, clear=3600),
    "permissionsBoundary": Field(),
    "managedPolicies": Field(unordered=True, default=[]),
    "inlinePolicies": Field(default={}),
}

POLICY = Ref(section="policies", same_account_and_region=True, aws_managed=True)
REFS = {
    "managedPolicies[]": POLICY,
    "permissionsBoundary": POLICY,
    **principal_refs("assumeRolePolicyDocument"),
}

# what GetAccountAuthorizationDetails does not return
PLAIN = {"description": "Description", "maxSessionDuration": "MaxSessionDuration"}
NOT_IN_DETAILS = tuple(PLAIN.values())
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
ATTACHED_QUOTA, MAX_ATTACHED = 10, 20
TRUST_QUOTA, MAX_TRUST = 2048, 4096
MAX_INLINE = 10_240
# of service-linked roles, and of those of IAM Identity Center
OF_AWS = ("/aws-service-role/", "/aws-reserved/")


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(scope: Scope, name: str, props: Json) -> Mapping[str, str]:
    """Name and ARN; the ARN is computed from account, path and name."""
    return {"name": name, "arn": _iam.arn(scope, "role", name, props)}


def read(query: Query) -> Reads[Sequence[Live]]:
    """In bulk if owned roles are needed too; otherwise by name."""
    names = list(dict.fromkeys(sought.name for sought in query.sought if _iam.is_name(sought.name)))
    if query.owned:
        return (yield from _read_in_bulk(query, names))
    known = yield from bulk.details_if_brief(query)
    at_hand = {name.lower(): role for name, role in known.roles.items()} if known else {}
    found = [_brief(query.scope, at_hand[name.lower()]) for name in names if name.lower() in at_hand]
    calls = tuple(Call("iam", "GetRole", {"RoleName": name}) for name in names if name.lower() not in at_hand)
    replies = (yield calls) if calls else ()
    answers = [ok(call, reply, ABSENT) for call, reply in zip(calls, replies, strict=True)]
    roles = {item["Role"]["RoleName"]: item["Role"] for item in answers if item}
    if query.brief:
        return [*found, *(_brief(query.scope, role) for role in roles.values())]
    return (yield from _details(query.scope, roles)) if roles else ()


def read_many(query: Query) -> Reads[Sequence[Live] | None]:
    """The roles with sought names from the details; a single one takes less to read by its name."""
    names = list(dict.fromkeys(sought.name for sought in query.sought))
    return (yield from _read_in_bulk(query, names)) if len(names) > 1 else None


def read_leaving(scope: Scope, lives: Sequence[Live]) -> Reads[Sequence[Live]]:
    """Several roles from the details alone: what these lack has been planned, and is of no matter for a deletion."""
    if len(lives) < 2:
        return []
    (reply,) = yield (bulk.DETAILS,)
    found = bulk.details(reply).roles
    return [
        _live_from_bulk(scope, found[live.physical], {api: live.props.get(ours) for ours, api in PLAIN.items()})
        for live in lives
        if live.physical in found
    ]


def _read_in_bulk(query: Query, names: Sequence[str]) -> Reads[Sequence[Live]]:
    """The roles with these names, ignoring case, and those the environment owns."""
    first = bulk.list_roles() if len(names) > 1 else Call("iam", "GetRole", {"RoleName": names[0]} if names else {})
    replies = yield (bulk.DETAILS, *((first,) if names else ()))
    found, wanted = bulk.details(replies[0]), {name.lower() for name in names}
    # if the list is denied, each role is read by name
    answer = (
        (bulk.role_page(first, replies[1]) if len(names) > 1 else ok(first, replies[1], ABSENT) or {}) if names else {}
    )
    known = {answer["Role"]["RoleName"]: answer["Role"]} if "Role" in answer else bulk.roles_of(answer)
    chosen = [name for name in found.roles if name.lower() in wanted]
    chosen += [role["RoleName"] for role in found.owned(query) if role["RoleName"] not in chosen]
    known = yield from bulk.with_described_roles(chosen, known, answer.get("Marker") or "", len(found.roles))
    return [_live_from_bulk(query.scope, found.roles[name], known[name]) for name in chosen if name in known]


def _live_from_bulk(scope: Scope, details: Json, listed: Json) -> Live:
    """A role from its details, and from the list or GetRole what these lack."""
    role = {**details, **{member: listed.get(member) for member in NOT_IN_DETAILS}}
    lists = {
        "ListAttachedRolePolicies": {"AttachedPolicies": role.get("AttachedManagedPolicies", ())},
        "ListInstanceProfilesForRole": {"InstanceProfiles": role.get("InstanceProfileList", ())},
    }
    inline = {item["PolicyName"]: parse(item["PolicyDocument"]) for item in role.get("RolePolicyList", ())}
    return _live(scope, role, lists, inline)


def everything(scope: Scope) -> Reads[Sequence[Existing]]:
    """Every role but those of services and of IAM Identity Center, which only AWS may change."""
    (reply,) = yield (bulk.DETAILS,)
    return [
        Existing(Sought(name, {"path": role["Path"]}), (attrs(scope, name, {"path": role["Path"]})["arn"],))
        for name, role in bulk.details(reply).roles.items()
        if not str(role["Path"]).startswith(OF_AWS)
    ]


def _brief(scope: Scope, role: Json) -> Live:
    name = role["RoleName"]
    return Live(physical=name, attrs=attrs(scope, name, {"path": role["Path"]}), props={})


def _details(scope: Scope, roles: Mapping[str, Json]) -> Reads[Sequence[Live]]:
    """The roles with their policies; one that no longer exists is left out."""
    operations = ("ListAttachedRolePolicies", "ListRolePolicies", "ListInstanceProfilesForRole")
    calls = tuple(Call("iam", each, {"RoleName": name}, all_pages=True) for name in roles for each in operations)
    replies = yield calls
    lists: dict[str, dict[str, Json]] = {}
    for name, call, reply in _iam.replies_by(calls, replies, "RoleName"):
        answer = ok(call, reply, ABSENT)
        if answer is not None:
            lists.setdefault(name, {})[call.operation] = answer
    roles = {name: role for name, role in roles.items() if len(lists.get(name, ())) == len(operations)}
    calls = tuple(
        Call("iam", "GetRolePolicy", {"RoleName": name, "PolicyName": policy})
        for name in roles
        for policy in lists[name]["ListRolePolicies"].get("PolicyNames", ())
    )
    replies = (yield calls) if calls else ()
    inline: dict[str, dict[str, Any]] = {}
    for name, call, reply in _iam.replies_by(calls, replies, "RoleName"):
        answer = ok(call, reply, ABSENT)
        if answer is not None:
            inline.setdefault(name, {})[call.params["PolicyName"]] = parse(answer["PolicyDocument"])
    return [_live(scope, role, lists[name], inline.get(name, {})) for name, role in roles.items()]


def _live(scope: Scope, role: Json, lists: Mapping[str, Json], inline: Json) -> Live:
    attached = lists["ListAttachedRolePolicies"].get("AttachedPolicies", ())
    profiles = lists["ListInstanceProfilesForRole"].get("InstanceProfiles", ())
    props = {
        "path": role["Path"],
        "assumeRolePolicyDocument": parse(role.get("AssumeRolePolicyDocument")),
        "description": role.get("Description"),
        "maxSessionDuration": role.get("MaxSessionDuration"),
        "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "managedPolicies": sorted(policy["PolicyArn"] for policy in attached),
        "inlinePolicies": dict(sorted(inline.items())),
    }
    return Live(
        physical=role["RoleName"],
        # just after creation IAM may return an id in place of the ARN
        attrs=attrs(scope, role["RoleName"], {"path": role["Path"]}),
        props={name: value for name, value in props.items() if value not in (None, [], {})},
        tags=tag_map(role.get("Tags")),
        extra={"profiles": sorted(profile["InstanceProfileName"] for profile in profiles)},
    )


def referrers(scope: Scope, _: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
    """Every role of the account with its trust policy, the policies that it has attached, and its boundary."""
    (reply,) = yield (bulk.DETAILS,)
    return [
        referrer(
            scope,
            "role",
            name,
            attrs(scope, name, {"path": role.get("Path")})["arn"],
            {
                "assumeRolePolicyDocument": parse(role.get("AssumeRolePolicyDocument")),
                "managedPolicies": [policy["PolicyArn"] for policy in role.get("AttachedManagedPolicies", ())],
                "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            },
            tag_map(role.get("Tags")),
        )
        for name, role in bulk.details(reply).roles.items()
    ]


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """CreateRole with trust policy, boundary and tags, then one call per attached or inline policy.

    A role that is not created yet, as this one, cannot be trusted until it is: by a call of its own.
    """
    props, name, document = want.declared, want.physical, want.declared["assumeRolePolicyDocument"]
    possible = without_principals(document, {want.attrs.get("arn"), *want.deferred})
    params = {
        "RoleName": name,
        "AssumeRolePolicyDocument": JsonText(written(possible)),
        "Path": props.get("path"),
        "Description": props.get("description"),
        "MaxSessionDuration": props.get("maxSessionDuration"),
        "PermissionsBoundary": props.get("permissionsBoundary"),
        "Tags": tag_list(want.tags),
    }
    sent = {member: value for member, value in params.items() if value not in (None, "", [])}
    boundary = [NEW_POLICY] if props.get("permissionsBoundary") else []
    created = _trusting("CreateRole", sent, possible, want.scope, *boundary)
    return [
        replace(created, proof=Proof.EXISTS),
        *(_attach(name, policy, want.scope) for policy in _distinct(props.get("managedPolicies"))),
        *(_put(name, policy, text) for policy, text in (props.get("inlinePolicies") or {}).items()),
        *([_trust(name, document, want.scope)] if possible is not document else []),
    ]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """Calls that add, then calls that remove; never more policies are attached than the default quota allows."""
    name, props, tops = live.physical, want.props, diff.tops()
    give: list[Action] = []
    take: list[Action] = []
    if "permissionsBoundary" in tops:
        boundary = props.get("permissionsBoundary")
        if boundary:
            params = {"RoleName": name, "PermissionsBoundary": boundary}
            give.append(change("PutRolePermissionsBoundary", params, NEW_POLICY))
        else:
            take.append(change("DeleteRolePermissionsBoundary", {"RoleName": name}, ok_if=NOT_FOUND))
    changed = {api: props.get(ours, FIELDS[ours].clear) for ours, api in PLAIN.items() if ours in tops}
    if changed:
        give.append(change("UpdateRole", {"RoleName": name, **changed}))
    if "assumeRolePolicyDocument" in tops:
        give.append(_trust(name, props["assumeRolePolicyDocument"], want.scope))
    if "managedPolicies" in tops:
        attach, detach = _attachments(live, want)
        too_many = len(live.props.get("managedPolicies", ())) + len(attach) - ATTACHED_QUOTA
        first = max(too_many, 0)
        give += [*detach[:first], *attach]
        take += detach[first:]
    for policy in _inline_changes(diff):
        document = (props.get("inlinePolicies") or {}).get(policy)
        if document is None:
            take.append(change("DeleteRolePolicy", {"RoleName": name, "PolicyName": policy}, ok_if=NOT_FOUND))
        else:
            give.append(_put(name, policy, document))
    return [*give, *take]


def _attachments(live: Live, want: Want) -> tuple[list[Call], list[Call]]:
    attached = live.props.get("managedPolicies", ())
    wanted = _distinct(want.props.get("managedPolicies"))
    attach = [_attach(live.physical, policy, want.scope) for policy in wanted if policy not in attached]
    return attach, [_detach(live.physical, policy) for policy in attached if policy not in wanted]


def _inline_changes(diff: Diff) -> list[str]:
    """The names of the inline policies that differ."""
    return sorted({str(found.path[1]) for found in diff.changes if found.top == "inlinePolicies"})


# Who may change profiles by their tag is denied the one that has just been deleted. Where it is still there, the role
# cannot be deleted, and IAM says so.
GONE_OR_DENIED = (*NOT_FOUND, On("AccessDenied", "RemoveRoleFromInstanceProfile"))


def delete(live: Live, _: Json) -> Sequence[Action]:
    """Removes instance profiles, attachments and inline policies, then deletes the role."""
    role = {"RoleName": live.physical}
    return [
        *(
            change("RemoveRoleFromInstanceProfile", {"InstanceProfileName": profile, **role}, ok_if=GONE_OR_DENIED)
            for profile in live.extra.get("profiles", ())
        ),
        *(_detach(live.physical, policy) for policy in live.props.get("managedPolicies", ())),
        *(
            change("DeleteRolePolicy", {**role, "PolicyName": policy}, ok_if=NOT_FOUND)
            for policy in live.props.get("inlinePolicies", {})
        ),
        change("DeleteRole", role, IN_USE, ok_if=NOT_FOUND),
    ]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """Removes before it adds: to IAM tag names that differ only in case are the same."""
    role = {"RoleName": live.physical}
    return [
        *([change("UntagRole", {**role, "TagKeys": sorted(remove)})] if remove else []),
        *([change("TagRole", {**role, "Tags": tag_list(add)})] if add else []),
    ]


def _trust(name: str, document: Any, scope: Scope) -> Call:
    params = {"RoleName": name, "PolicyDocument": JsonText(written(document))}
    return _trusting("UpdateAssumeRolePolicy", params, document, scope)


def _trusting(operation: str, params: Json, document: Any, scope: Scope, *retry: On) -> Call:
    """A call with a trust policy, retried only if a principal in it may not be visible to IAM yet."""
    if names_principal_of(document, scope.account):
        return change(operation, params, NEW_PRINCIPAL, *retry, patience=60)
    return change(operation, params, *retry)


def _attach(name: str, policy: Any, scope: Scope) -> Call:
    ours = not isinstance(policy, str) or f":iam::{scope.account}:" in policy
    retry = (NEW_ROLE, NEW_POLICY) if ours else (NEW_ROLE,)
    return change("AttachRolePolicy", {"RoleName": name, "PolicyArn": policy}, *retry)


def _detach(name: str, policy: str) -> Call:
    return change("DetachRolePolicy", {"RoleName": name, "PolicyArn": policy}, ok_if=NOT_FOUND)


def _put(name: str, policy: str, document: Any) -> Call:
    params = {"RoleName": name, "PolicyName": policy, "PolicyDocument": JsonText(written(document))}
    return change("PutRolePolicy", params, NEW_ROLE)


def _distinct(policies: Any) -> list[Any]:
    return list(dict.fromkeys(policies or ()))


# --- comparing and checking ------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """``trust`` as a trust policy, documents given as text as mappings.

    An invalid ``trust`` is kept, so that the check finds it under its name.
    """
    done = dict(props)
    trusted = listed(done.get("trust") or ())
    right = trusted and all(isinstance(item, Template) or not [*service(item, ())] for item in trusted)
    if right and "assumeRolePolicyDocument" not in done:
        del done["trust"]
        principal = {"Service": trusted if len(trusted) > 1 else trusted[0]}
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        done["assumeRolePolicyDocument"] = {"Statement": [statement]}
    elif "assumeRolePolicyDocument" in done:
        done["assumeRolePolicyDocument"] = parse(done["assumeRolePolicyDocument"])
    if isinstance(done.get("inlinePolicies"), Mapping):
        done["inlinePolicies"] = {name: parse(document) for name, document in done["inlinePolicies"].items()}
    return done


def declare(live: Live, scope: Scope) -> Json:
    """The properties with ``trust`` where that says all of the trust policy, and short names for policies of AWS."""
    done = dict(live.props)
    services = _only_services(done.get("assumeRolePolicyDocument"))
    if services:
        del done["assumeRolePolicyDocument"]
        done = {"trust": services, **done}
    attached = items(done.get("managedPolicies"))
    if attached:
        done["managedPolicies"] = [_short(arn, scope) for arn in attached]
    return done


def _only_services(document: Any) -> list[str]:
    """The services in a trust policy that ``trust`` stands for; empty for any other."""
    statements = listed(mapping(document).get("Statement") or ())
    if len(statements) != 1 or mapping(document).keys() - {"Statement", "Version", "Id"}:
        return []
    one = {name: item for name, item in mapping(statements[0]).items() if name != "Sid"}
    found = listed(mapping(one.pop("Principal", None)).get("Service") or ())
    alone = mapping(statements[0].get("Principal")).keys() == {"Service"} if found else False
    usual = {"Effect": "Allow", "Action": listed(one.get("Action"))} == {**one, "Action": ["sts:AssumeRole"]}
    right = alone and usual and not any([*service(item, ())] for item in found)
    return [str(item) for item in found] if right else []


def _short(arn: str, scope: Scope) -> str:
    """The name of a policy of AWS, which needs no ARN; the ARN of the account's own policies."""
    name = arn.removeprefix(f"arn:{scope.partition}:iam::aws:policy/")
    return arn if name == arn or name.startswith(("aws-service-role/", "job-function/")) else name


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Documents in comparable form, so that only a different meaning is a difference."""
    left, right = dict(live.props), dict(want.props)
    trust, identity = (Place(kind, want.scope.account, want.scope.partition) for kind in ("trust", "identity"))
    member = "assumeRolePolicyDocument"
    if member in left and member in right:
        left[member], right[member] = compared(left[member], right[member], trust)
    ours, theirs = dict(right.get("inlinePolicies") or {}), dict(left.get("inlinePolicies") or {})
    for name in ours.keys() & theirs.keys():
        theirs[name], ours[name] = compared(theirs[name], ours[name], identity)
    return {**left, "inlinePolicies": theirs}, {**right, "inlinePolicies": ours}


def check(name: str, props: Json) -> Iterable[Finding]:
    """Findings about name, trust, policies and quotas; an expression is accepted wherever its value is unknown."""
    yield from _iam.name_findings("role", name, 64)
    if name.startswith("AWSServiceRoleFor"):
        hint = "declare it under serviceLinkedRoles, by service, e.g. batch.amazonaws.com: {}"
        yield Finding(path=(), message="names like this are reserved for service-linked roles", hint=hint, warning=True)
    yield from _iam.path_findings(props)
    yield from _iam.description_findings(props)
    yield from _trust_findings(props)
    duration = props.get("maxSessionDuration")
    if isinstance(duration, int) and not 3600 <= duration <= 43200:
        message = f"maxSessionDuration must be 3600 to 43200 seconds, not {duration}"
        yield Finding(path=("maxSessionDuration",), message=message, hint="an hour to twelve hours")
    yield from _iam.policy_name_findings(props.get("permissionsBoundary"), ("permissionsBoundary",))
    yield from _attached_findings(props.get("managedPolicies"))
    yield from _inline_findings(props.get("inlinePolicies"))


def _trust_findings(props: Json) -> Iterator[Finding]:
    document = props.get("assumeRolePolicyDocument")
    if "trust" in props and document is not None:
        hint = "keep assumeRolePolicyDocument; where trust comes from a base, write trust: null"
        yield Finding(path=("trust",), message="trust and assumeRolePolicyDocument cannot be combined", hint=hint)
    elif "trust" in props:
        several = isinstance(props["trust"], list | tuple)
        for index, item in enumerate(listed(props["trust"])):
            for found in service(item, ("trust", index) if several else ("trust",)):
                foreign = isinstance(item, str) and (item.startswith("arn:") or item.isdigit())
                hint = "trust lists services only; for accounts and roles write assumeRolePolicyDocument"
                yield Finding(path=found.path, message=found.message, hint=hint if foreign else found.hint)
        if not props["trust"]:
            yield Finding(path=("trust",), message="trust is empty", hint="e.g. trust: [ecs-tasks.amazonaws.com]")
    elif document is None:
        hint = "e.g. trust: [ecs-tasks.amazonaws.com], or a whole assumeRolePolicyDocument"
        yield Finding(path=(), message="the role has no trust policy", hint=hint, code=codes.MISSING_FIELD)
    else:
        yield from findings(document, "trust", ("assumeRolePolicyDocument",))
        yield from _size("a trust policy", size(document), TRUST_QUOTA, MAX_TRUST, ("assumeRolePolicyDocument",))


def _attached_findings(policies: Any) -> Iterator[Finding]:
    for index, policy in enumerate(policies if isinstance(policies, list | tuple) else ()):
        yield from _iam.policy_name_findings(policy, ("managedPolicies", index))
    count = len(policies) if isinstance(policies, list | tuple) else 0
    yield from _size("managedPolicies", count, ATTACHED_QUOTA, MAX_ATTACHED, ("managedPolicies",), "policies")


def _inline_findings(policies: Any) -> Iterator[Finding]:
    if not isinstance(policies, Mapping):
        return
    for name, document in policies.items():
        if not _iam.is_name(str(name)) or len(str(name)) > 128:
            message = f'"{name}" is not a valid inline policy name'
            hint = "at most 128 letters, digits and _ + = , . @ -"
            yield Finding(path=("inlinePolicies", name), message=message, hint=hint)
        yield from findings(document, "identity", ("inlinePolicies", name))
    together = sum(size(document) for document in policies.values())
    yield from _size("the inline policies together", together, MAX_INLINE, MAX_INLINE, ("inlinePolicies",))


def _size(
    noun: str, found: int, quota: int, maximum: int, path: tuple[str | int, ...], unit: str = "characters"
) -> Iterator[Finding]:
    """An error above the maximum that AWS grants, a warning above the default quota."""
    if found > maximum:
        yield Finding(
            path=path,
            message=f"{noun}: {found} {unit}, and the maximum is {maximum}",
            hint="move statements into managed policies" if unit == "characters" else "merge policies",
        )
    elif found > quota:
        hint = "request a quota increase"
        message = f"{noun}: {found} {unit}, and the default quota is {quota}"
        yield Finding(path=path, message=message, hint=hint, warning=True)


BOUNDARY = ("iam:PermissionsBoundary", "permissionsBoundary")
ACCESS = Access(
    types=("iam:role",),
    always=("iam:GetAccountAuthorizationDetails",),
    reads=("iam:GetRole",),
    rechecks=(
        *("iam:ListRolePolicies", "iam:GetRolePolicy"),
        *("iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole"),
    ),
    looks=("iam:ListRoles",),
    of_several=frozenset({"iam:ListRoles"}),
    referrers=("iam:GetAccountAuthorizationDetails",),
    creates=("iam:CreateRole",),
    changes=(
        *("iam:UpdateRole", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy"),
        *("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
        *("iam:PutRolePermissionsBoundary", "iam:DeleteRolePermissionsBoundary"),
    ),
    deletes=("iam:DetachRolePolicy", "iam:DeleteRolePolicy", "iam:DeleteRole"),
    tags=("iam:TagRole", "iam:UntagRole"),
    arns=lambda scope, name, props: _iam.arns(scope, "role", name, props),
    narrowed={
        "iam:AttachRolePolicy": ("iam:PolicyARN", "managedPolicies[]"),
        "iam:PutRolePermissionsBoundary": BOUNDARY,
    },
    only_if={"iam:PutRolePermissionsBoundary": "permissionsBoundary", "iam:AttachRolePolicy": "managedPolicies"},
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_iam_role": ("arn", "name")},
    cloudformation={"AWS::IAM::Role": "RoleName"},
    parts={
        "aws_iam_role_policy": "role",
        "aws_iam_role_policy_attachment": "role",
        "aws_iam_role_policies_exclusive": "role_name",
        "aws_iam_role_policy_attachments_exclusive": "role_name",
        "aws_iam_policy_attachment": "roles",
        "AWS::IAM::Policy": "Roles",
        "AWS::IAM::RolePolicy": "RoleName",
    },
)

KIND = Kind(
    name="role",
    section="roles",
    audit=AUDIT,
    file="iam",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList("GetRole", frozenset({"RoleName"}), Call("iam", "ListRoles", {"MaxItems": 1000}, all_pages=True)),
    ),
    recorded=RECORDED,
    name_member="roleName",
    lookup="role",
    everything=everything,
    read=read,
    read_many=ReadMany(read_many, most=bulk.PAGE),
    read_leaving=ReadLeaving(read_leaving, most=bulk.PAGE),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    refs=REFS,
    arn_forms=(_iam.arn_form("role"),),
    referrers=referrers,
    sent_later=frozenset({"inlinePolicies"}),
    replace=Replace.CREATE_FIRST,
    folds_case=True,
    spans_regions=True,
    tag_symbols=_iam.TAG_SYMBOLS,
    trusts=trusted_services,
    max_name=64,
    expand=expand,
    declare=declare,
    normalize=normalize,
    check=check,
    grants=of_role,
)
