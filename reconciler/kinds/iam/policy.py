"""Customer-managed IAM policies, and AWS-managed policies by name.

What is peculiar about them:

- A policy has at most five versions of its document, one of them the default. A new document is a new version; if an
  older version has the same meaning, it becomes the default again. The oldest other version is deleted if necessary.
- Path and description cannot be changed.
- Names are unique in the account, ignoring case and path, but a policy is read by its ARN, which includes the path. So
  a policy that is not found under the declared path is looked up in the list of all.
- A role may name an AWS-managed policy without its path. Such policies are read for their ARN only
  (``extra["aws_managed"]``): they belong to AWS.
- Attachments outside the environment are kept; then AWS refuses to delete the policy.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.kinds.common.policy_document.checks import findings, size
from reconciler.kinds.common.policy_document.document import OLD_VERSION, Place, parse, written
from reconciler.kinds.iam import _bulk_reads as bulk
from reconciler.kinds.iam import _common as _iam
from reconciler.kinds.iam._common import ABSENT, IN_USE, NOT_FOUND, change
from reconciler.model import (
    Access,
    Action,
    Call,
    CompleteList,
    Dependent,
    Diff,
    Effect,
    Existing,
    Field,
    Finding,
    Json,
    JsonText,
    Kind,
    Live,
    OtherTools,
    Proof,
    Query,
    ReadLeaving,
    Reads,
    Removals,
    Replace,
    Scope,
    Sought,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.audit import Audit, name_in
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.policy_document.compare import compared, equal
    from reconciler.kinds.common.replies import ok, tag_list, tag_map
    from reconciler.kinds.iam._grants import of_policy

FIELDS = {
    "policyDocument": Field(),
    "path": Field(effect=Effect.REPLACE, default="/"),
    "description": Field(effect=Effect.REPLACE, default=""),
}

# GetPolicy alone has these
NOT_IN_DETAILS = ("Description", "Tags")
MAX_VERSIONS = 5
MAX_DOCUMENT = 6144
# the paths of AWS-managed policies
AWS_PATHS = ("", "service-role/", "job-function/", "aws-service-role/")


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(scope: Scope, name: str, props: Json) -> Mapping[str, str]:
    """Name and ARN; the ARN is computed from account, path and name."""
    return {"name": name, "arn": _iam.arn(scope, "policy", name, props)}


def read(query: Query) -> Reads[Sequence[Live]]:
    """A name sought with its declaration means the account's own policy; one sought without may be AWS's."""
    if query.owned:
        return (yield from _read_in_bulk(query))
    known = yield from bulk.details_if_brief(query)
    candidates = {
        sought.name: _candidates(query.scope, sought) for sought in query.sought if _is_valid_name(sought.name)
    }
    if known:  # the details contain all of the account's own policies
        candidates = {
            n: [arn for arn in arns if _is_aws_arn(arn) or arn in known.policies] for n, arns in candidates.items()
        }
    at_hand = {*known.policies, *known.attached(), *_well_known(query.scope)} if known else set()
    found = {name: next((arn for arn in arns if arn in at_hand), None) for name, arns in candidates.items()}
    brief = [_named(arn) for arn in found.values() if arn]
    policies = yield from _get_policies(arn for name, arns in candidates.items() if not found[name] for arn in arns)
    found |= {
        name: next((a for a in candidates[name] if a in policies), None) for name, arn in found.items() if not arn
    }
    missing = [sought for sought in query.sought if sought.name in found and not found[sought.name]]
    declared = [sought.name for sought in missing if sought.props]
    named = [sought.name for sought in missing if not sought.props and "/" not in sought.name]
    found |= _by_name(declared, (yield from _listed("Local")) if declared else [])
    found |= _by_name(named, (yield from _listed("All")) if named else [])
    sought = list(dict.fromkeys(arn for arn in found.values() if arn and arn not in at_hand))
    policies |= yield from _get_policies(arn for arn in sought if arn not in policies)
    chosen = [policies[arn] for arn in sought if arn in policies]
    customer = [policy for policy in chosen if not _aws_managed(policy)]
    lives = (yield from _details(customer)) if customer else []
    return [*brief, *lives, *(_aws_live(policy) for policy in chosen if _aws_managed(policy))]


def _read_in_bulk(query: Query) -> Reads[Sequence[Live]]:
    """The account's own policies that are sought or owned.

    The details contain everything but tags and description, which each policy has to be read for: their shape has a
    description, but AWS never sends it. Policies that are not sought are read if they are in no use, or attached to an
    owned role: one that is only attached elsewhere could not be deleted anyway.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_PolicyDetail.html
    """
    wanted = {
        sought.name.strip("/").rpartition("/")[2].lower() for sought in query.sought if _is_valid_name(sought.name)
    }
    likely = [
        _candidates(query.scope, sought)[0] for sought in query.sought if sought.props and _is_valid_name(sought.name)
    ]
    first = tuple(Call("iam", "GetPolicy", {"PolicyArn": arn}) for arn in dict.fromkeys(likely))
    replies = yield (bulk.DETAILS, *first)
    found = bulk.details(replies[0])
    answers = [ok(call, reply, ABSENT) for call, reply in zip(first, replies[1:], strict=True)]
    tagged = {answer["Policy"]["Arn"]: answer["Policy"] for answer in answers if answer}
    of_ours = found.attached(found.owned(query))
    sought = {arn for arn, item in found.policies.items() if item["PolicyName"].lower() in wanted}
    asked = [arn for arn, item in found.policies.items() if arn in sought or arn in of_ours or not _in_use(item)]
    tagged |= yield from _get_policies(arn for arn in asked if arn not in tagged)
    chosen = [arn for arn in asked if arn in tagged]
    return [
        _live(
            {**found.policies[arn], **{member: tagged[arn].get(member) for member in NOT_IN_DETAILS}},
            found.policies[arn]["PolicyVersionList"],
        )
        for arn in chosen
        if arn in sought or _iam.is_owned(query, tag_map(tagged[arn].get("Tags")))
    ]


def read_leaving(_: Scope, lives: Sequence[Live]) -> Reads[Sequence[Live]]:
    """The policies by GetPolicy: one whose default version is the planned one has the planned document.

    Versions are never changed, nor are path and description.
    """
    policies = yield from _get_policies(live.attrs["arn"] for live in lives)
    return [
        replace(live, tags=tag_map(policy.get("Tags")))
        for live in lives
        if (policy := policies.get(live.attrs["arn"])) and policy["DefaultVersionId"] in _default_versions(live)
    ]


def _default_versions(live: Live) -> list[str]:
    return [version["id"] for version in live.extra.get("versions", ()) if version["default"]]


def everything(_: Scope) -> Reads[Sequence[Existing]]:
    """The account's own policies."""
    (reply,) = yield (bulk.DETAILS,)
    found = bulk.details(reply).policies
    return [Existing(Sought(item["PolicyName"], {"path": item["Path"]}), (arn,)) for arn, item in found.items()]


def _well_known(scope: Scope) -> list[str]:
    """The ARNs of AWS-managed policies around AWS Batch, which need no call."""
    return [f"arn:{scope.partition}:iam::aws:policy/service-role/{name}" for name in _iam.SERVICE_ROLE_POLICIES]


def _in_use(policy: Json) -> bool:
    return bool(policy.get("AttachmentCount") or policy.get("PermissionsBoundaryUsageCount"))


def _named(arn: str) -> Live:
    """A policy of which only the ARN is needed."""
    name = arn.rpartition("/")[2]
    return Live(physical=name, attrs={"name": name, "arn": arn}, props={})


def _is_valid_name(name: str) -> bool:
    """Whether IAM accepts each part of a name with path."""
    return all(map(_iam.is_name, name.strip("/").split("/")))


def _candidates(scope: Scope, sought: Sought) -> list[str]:
    """The ARNs that a name may stand for, the most likely first."""
    name = sought.name.strip("/")
    if sought.props:
        return [attrs(scope, name, sought.props)["arn"]]
    paths = AWS_PATHS if "/" not in name else ("",)
    return [
        scope.arn("iam", f"policy/{name}", region=""),
        *(f"arn:{scope.partition}:iam::aws:policy/{path}{name}" for path in paths),
    ]


def _get_policies(arns: Iterable[str]) -> Reads[dict[str, Json]]:
    """The policies that exist, by ARN."""
    asked = list(dict.fromkeys(arns))
    calls = tuple(Call("iam", "GetPolicy", {"PolicyArn": arn}) for arn in asked)
    replies = (yield calls) if calls else ()
    answers = {arn: ok(call, reply, ABSENT) for arn, call, reply in zip(asked, calls, replies, strict=True)}
    return {arn: answer["Policy"] for arn, answer in answers.items() if answer}


def _listed(scope: str) -> Reads[list[Json]]:
    call = Call("iam", "ListPolicies", {"Scope": scope, "MaxItems": 1000}, all_pages=True)
    (reply,) = yield (call,)
    return list((ok(call, reply) or {}).get("Policies", ()))


def _by_name(wanted: Iterable[str], items: Iterable[Json]) -> dict[str, str | None]:
    """The ARNs of policies with these names, ignoring case and path; the account's own before AWS's."""
    arns = {item["PolicyName"].lower(): item["Arn"] for item in sorted(items, key=_aws_managed, reverse=True)}
    return {name: arns.get(name.lower()) for name in wanted}


def _aws_managed(policy: Json) -> bool:
    return _is_aws_arn(policy["Arn"])


def _is_aws_arn(arn: str) -> bool:
    return ":iam::aws:policy/" in arn


def _aws_live(policy: Json) -> Live:
    name = policy["PolicyName"]
    return Live(physical=name, attrs={"name": name, "arn": policy["Arn"]}, props={}, extra={"aws_managed": True})


def _details(policies: Sequence[Json]) -> Reads[list[Live]]:
    """The policies with all versions of their documents; one that no longer exists is left out."""
    calls = tuple(Call("iam", "ListPolicyVersions", {"PolicyArn": p["Arn"]}, all_pages=True) for p in policies)
    versions: dict[str, list[Json]] = {}
    for arn, call, reply in _iam.replies_by(calls, (yield calls), "PolicyArn"):
        versions[arn] = list((ok(call, reply, ABSENT) or {}).get("Versions", ()))
    calls = tuple(
        Call("iam", "GetPolicyVersion", {"PolicyArn": arn, "VersionId": item["VersionId"]})
        for arn, items in versions.items()
        for item in sorted(items, key=_number)
    )
    documents: dict[str, list[Json]] = {}
    for arn, call, reply in _iam.replies_by(calls, (yield calls) if calls else (), "PolicyArn"):
        answer = ok(call, reply, ABSENT)
        if answer:
            documents.setdefault(arn, []).append(answer["PolicyVersion"])
    return [_live(policy, documents[policy["Arn"]]) for policy in policies if policy["Arn"] in documents]


def _number(version: Json) -> int:
    return int(version["VersionId"].split(".")[0].removeprefix("v"))


def _live(policy: Json, versions: Sequence[Json]) -> Live:
    kept = [
        {
            "id": item["VersionId"],
            "default": item["VersionId"] == policy["DefaultVersionId"],
            "document": parse(item["Document"]),
        }
        for item in sorted(versions, key=_number)
    ]
    props = {
        "policyDocument": next((item["document"] for item in kept if item["default"]), None),
        "path": policy.get("Path"),
        "description": policy.get("Description"),
    }
    return Live(
        physical=policy["PolicyName"],
        attrs={"name": policy["PolicyName"], "arn": policy["Arn"]},
        props={name: value for name, value in props.items() if value is not None},
        tags=tag_map(policy.get("Tags")),
        extra={"versions": kept},
    )


def attachments(_: Scope, lives: Sequence[Live], __: Removals) -> Reads[Mapping[str, tuple[Dependent, ...]]]:
    """The policies that are attached to users or groups, or are their boundary: more often than to roles.

    Roles themselves are found by their references.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_ManagedPolicyDetail.html
    """
    (reply,) = yield (bulk.DETAILS,)
    found = bulk.details(reply)
    of_roles = Counter(
        arn
        for role in found.roles.values()
        for arn in (
            *(policy["PolicyArn"] for policy in role.get("AttachedManagedPolicies", ())),
            role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        )
    )
    hint = "to delete it, detach it from them"
    used: dict[str, tuple[Dependent, ...]] = {}
    for live in lives:
        arn = live.attrs["arn"]
        item = found.policies.get(arn, {})
        uses = item.get("AttachmentCount", 0) + item.get("PermissionsBoundaryUsageCount", 0)
        if uses > of_roles[arn]:
            used[live.physical] = (Dependent(text="users or groups have it attached", hint=hint),)
    return used


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """CreatePolicy with tags."""
    params = {
        "PolicyName": want.physical,
        "Path": want.declared.get("path"),
        "PolicyDocument": JsonText(written(want.declared["policyDocument"])),
        "Description": want.declared.get("description"),
        "Tags": tag_list(want.tags),
    }
    sent = {name: value for name, value in params.items() if value not in (None, "", [])}
    return [change("CreatePolicy", sent, proof=Proof.EXISTS)]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """An older version with the same meaning becomes the default, or a new version is created.

    Before a new version, the oldest others are deleted if there are five.
    """
    if "policyDocument" not in diff.tops():
        return []
    arn, document = live.attrs["arn"], want.props["policyDocument"]
    others = [version for version in live.extra.get("versions", ()) if not version["default"]]
    same = [version for version in others if equal(version["document"], document, _location(want))]
    if same:
        return [change("SetDefaultPolicyVersion", {"PolicyArn": arn, "VersionId": same[-1]["id"]})]
    new = {"PolicyArn": arn, "PolicyDocument": JsonText(written(document)), "SetAsDefault": True}
    too_many = others[: max(len(others) + 1 - (MAX_VERSIONS - 1), 0)]
    return [
        *(_delete_version(arn, version) for version in too_many),
        change("CreatePolicyVersion", new, proof=Proof.SAME),
    ]


def delete(live: Live, _: Json) -> Sequence[Action]:
    """Deletes the other versions, then the policy, retried while it is attached."""
    arn = live.attrs["arn"]
    others = [version for version in live.extra.get("versions", ()) if not version["default"]]
    return [
        *(_delete_version(arn, version) for version in others),
        change("DeletePolicy", {"PolicyArn": arn}, IN_USE, ok_if=NOT_FOUND),
    ]


def _delete_version(arn: str, version: Json) -> Call:
    return change("DeletePolicyVersion", {"PolicyArn": arn, "VersionId": version["id"]}, ok_if=NOT_FOUND)


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """Removes before it adds: to IAM tag names that differ only in case are the same."""
    policy = {"PolicyArn": live.attrs["arn"]}
    return [
        *([change("UntagPolicy", {**policy, "TagKeys": sorted(remove)})] if remove else []),
        *([change("TagPolicy", {**policy, "Tags": tag_list(add)})] if add else []),
    ]


# --- comparing and checking ------------------------------------------------------------------------------------------


def _location(want: Want) -> Place:
    return Place("identity", want.scope.account, want.scope.partition)


def expand(props: Json) -> Json:
    """A document given as text, as a mapping."""
    return {name: parse(value) if name == "policyDocument" else value for name, value in props.items()}


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Documents in comparable form, so that only a different meaning is a difference."""
    document, wanted = live.props.get("policyDocument"), want.props.get("policyDocument")
    document, wanted = compared(document, wanted, _location(want))
    return {**live.props, "policyDocument": document}, {**want.props, "policyDocument": wanted}


def check(name: str, props: Json) -> Iterable[Finding]:
    """Findings about name, path, description and document; an expression is accepted wherever its value is unknown."""
    yield from _iam.name_findings("policy", name, 128)
    yield from _iam.path_findings(props)
    yield from _iam.description_findings(props)
    document = props.get("policyDocument")
    place = ("policyDocument",)
    if document is None:
        hint = "policyDocument: {Statement: [{Effect: Allow, Action: ..., Resource: ...}]}"
        yield Finding(path=(), message="the policy has no policyDocument", hint=hint, code=codes.MISSING_FIELD)
        return
    yield from findings(document, "identity", place)
    if isinstance(document, Mapping) and document.get("Version") == OLD_VERSION:
        hint = 'write "2012-10-17" or remove Version'
        yield Finding(path=(*place, "Version"), message="a managed policy needs Version 2012-10-17", hint=hint)
    found = size(document)
    if found > MAX_DOCUMENT:
        message = f"the document has {found} characters without whitespace, and the maximum is {MAX_DOCUMENT}"
        yield Finding(path=place, message=message, hint="split it into two policies")


def _arns(scope: Scope, name: str, props: Json) -> Iterator[str]:
    """The policy's own; of a name that is not declared, each that the name may stand for."""
    yield from _candidates(scope, Sought(name, props))


def _sought(value: str) -> Sought:
    """The account's own policy of an ARN, with its path: the name alone may mean one of AWS's too."""
    path = value.partition(":policy")[2].rpartition("/")[0]
    return Sought(name_in(value), {"path": f"{path}/"})


AUDIT = Audit(
    shown_by="iam:GetPolicyVersion",
    reads=("iam:GetPolicy", "iam:ListPolicyVersions", "iam:GetPolicyVersion"),
    sought=_sought,
)

ACCESS = Access(
    types=("iam:policy",),
    always=("iam:GetAccountAuthorizationDetails", "iam:GetPolicy"),
    reads=("iam:GetPolicy",),
    finds=("iam:ListPolicies",),
    rechecks=("iam:ListPolicyVersions", "iam:GetPolicyVersion"),
    creates=("iam:CreatePolicy",),
    changes=("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicyVersion"),
    deletes=("iam:DeletePolicyVersion", "iam:DeletePolicy"),
    tags=("iam:TagPolicy", "iam:UntagPolicy"),
    arns=_arns,
)


RECORDED = Recorded(
    service="iam",
    named=("policyArn", "policyName"),
    create=("CreatePolicy",),
    update=lambda _: ("CreatePolicyVersion", "SetDefaultPolicyVersion"),
    delete=("DeletePolicy",),
    tag=("TagPolicy", "UntagPolicy"),
    by="arn",
    at_home=True,
)


OTHER_TOOLS = OtherTools(
    terraform={"aws_iam_policy": ("arn", "name")},
    cloudformation={"AWS::IAM::ManagedPolicy": "ManagedPolicyName"},
)

KIND = Kind(
    name="policy",
    section="policies",
    audit=AUDIT,
    file="iam",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "GetPolicy",
            frozenset({"PolicyArn"}),
            Call("iam", "ListPolicies", {"Scope": "All", "MaxItems": 1000}, all_pages=True),
        ),
    ),
    recorded=RECORDED,
    name_member="policyName",
    everything=everything,
    read=read,
    read_leaving=ReadLeaving(read_leaving),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    arn_forms=(_iam.arn_form("policy"),),
    dependents=(attachments,),
    replace=Replace.CREATE_FIRST,
    folds_case=True,
    spans_regions=True,
    tag_symbols=_iam.TAG_SYMBOLS,
    max_name=128,
    expand=expand,
    normalize=normalize,
    check=check,
    grants=of_policy,
)
