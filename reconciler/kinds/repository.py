"""ECR repositories.

What is peculiar about them:

- ECR refuses to delete a repository that holds images unless told to throw them away: ``force: true``, which is our
  own member and never compared. It counts while the repository is still declared (destroy, replacement).
- Mutability and its exclusion filters are written by one call, the two policies by one each.
- Encryption is for ever. One name cannot be taken twice, so another encryption means delete, then create.
- ECR lists by name only: what is owned is proposed by the tagging index and confirmed one by one.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.kinds._document_pairs import compared
from reconciler.kinds._documents import Place, names_principal_of, parse, written
from reconciler.kinds._owned import asked_for, index, named, proposed
from reconciler.kinds._plain import same_key
from reconciler.kinds._repository_checks import findings
from reconciler.kinds._shared import ok, tag_list, tag_map
from reconciler.model import (
    Action,
    Call,
    Diff,
    Effect,
    Field,
    Json,
    JsonText,
    Kind,
    Live,
    On,
    Proof,
    Query,
    Reads,
    Replace,
    Scope,
    Want,
)

SCANNING: Json = {"scanOnPush": False}
ENCRYPTION: Json = {"encryptionType": "AES256"}

FIELDS = {
    "imageTagMutability": Field(default="MUTABLE"),
    "imageTagMutabilityExclusionFilters": Field(unordered=True),
    "imageScanningConfiguration": Field(default=SCANNING),
    "imageScanningConfiguration.scanOnPush": Field(default=False),
    "encryptionConfiguration": Field(effect=Effect.REPLACE, default=ENCRYPTION),
    "encryptionConfiguration.encryptionType": Field(effect=Effect.REPLACE, default="AES256"),
    "encryptionConfiguration.kmsKey": Field(effect=Effect.REPLACE, computed=True),
    "lifecyclePolicy": Field(),
    "repositoryPolicy": Field(),
    "force": Field(ignore=True),
}

SETTINGS = (
    "imageTagMutability",
    "imageTagMutabilityExclusionFilters",
    "imageScanningConfiguration",
    "encryptionConfiguration",
)
DOCUMENTS = ("lifecyclePolicy", "repositoryPolicy")
ABSENT = "RepositoryNotFoundException"
# a principal that this run created a moment ago
UNKNOWN_PRINCIPAL = On("InvalidParameterException", "Invalid repository policy")


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(scope: Scope, name: str, _: Json) -> Mapping[str, str]:
    suffix = "amazonaws.com.cn" if scope.partition == "aws-cn" else "amazonaws.com"
    uri = f"{scope.account}.dkr.ecr.{scope.region}.{suffix}/{name}"
    return {"name": name, "arn": scope.arn("ecr", f"repository/{name}"), "uri": uri}


def read(query: Query) -> Reads[Sequence[Live]]:
    """One by one: a list of names is refused as a whole when one of them is missing."""
    ask = index(query)
    names = named(query, proposed(ask, (yield ask) if ask else (), query.scope, "ecr", "repository/"))
    calls = tuple(Call("ecr", "DescribeRepositories", {"repositoryNames": [name]}) for name in names)
    replies = (yield calls) if calls else ()
    answers = [ok(call, reply, ABSENT) for call, reply in zip(calls, replies, strict=True)]
    items = [item for answer in answers if answer for item in answer["repositories"]]
    live: list[Live] = []
    details = tuple(call for item in items for call in _details(item))
    given = list(zip(details, (yield details) if details else (), strict=True))
    for item, part in zip(items, (given[i : i + 3] for i in range(0, len(given), 3)), strict=True):
        tags, lifecycle, policy = (
            ok(call, reply, ABSENT, "LifecyclePolicyNotFoundException", "RepositoryPolicyNotFoundException")
            for call, reply in part
        )
        if tags is not None and asked_for(query, item["repositoryName"], tag_map(tags["tags"])):
            live.append(_live(query.scope, item, tag_map(tags["tags"]), lifecycle or {}, policy or {}))
    return live


def _details(item: Json) -> tuple[Call, Call, Call]:
    name = {"repositoryName": item["repositoryName"]}
    return (
        Call("ecr", "ListTagsForResource", {"resourceArn": item["repositoryArn"]}),
        Call("ecr", "GetLifecyclePolicy", name),
        Call("ecr", "GetRepositoryPolicy", name),
    )


def _live(scope: Scope, item: Json, tags: Mapping[str, str], lifecycle: Json, policy: Json) -> Live:
    name = item["repositoryName"]
    documents = {
        "lifecyclePolicy": parse(lifecycle.get("lifecyclePolicyText")),
        "repositoryPolicy": parse(policy.get("policyText")),
    }
    props = {**{member: item.get(member) for member in SETTINGS}, **documents}
    return Live(
        physical=name,
        attrs={**attrs(scope, name, {}), "arn": item["repositoryArn"], "uri": item["repositoryUri"]},
        props={member: value for member, value in props.items() if value},
        tags=tags,
    )


# --- comparing -------------------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """Documents given as text become mappings."""
    return {name: parse(value) if name in DOCUMENTS else value for name, value in props.items()}


def normal(live: Live, want: Want) -> tuple[Json, Json]:
    """Documents by meaning, keys by what they name."""
    left, right = dict(live.props), dict(want.props)
    for side in (left, right):
        if side.get("lifecyclePolicy"):
            side["lifecyclePolicy"] = _ranked(side["lifecyclePolicy"])
    if left.get("repositoryPolicy") and right.get("repositoryPolicy"):
        left["repositoryPolicy"], right["repositoryPolicy"] = compared(
            left["repositoryPolicy"], right["repositoryPolicy"], _place(want)
        )
    here, there = right.get("encryptionConfiguration"), left.get("encryptionConfiguration")
    if isinstance(here, Mapping) and isinstance(there, Mapping) and same_key(here.get("kmsKey"), there.get("kmsKey")):
        right["encryptionConfiguration"] = {**here, "kmsKey": there.get("kmsKey")}
    return left, right


def _place(want: Want) -> Place:
    return Place("resource", want.scope.account, want.scope.partition)


def _ranked(policy: Any) -> Any:
    """A lifecycle policy with its rules by priority; the order of prefixes and patterns means nothing."""
    if not isinstance(policy, Mapping) or not isinstance(policy.get("rules"), list | tuple):
        return policy
    done = [_rule(rule) for rule in policy["rules"]]
    done.sort(key=lambda rule: str(rule.get("rulePriority", "")).zfill(9) if isinstance(rule, Mapping) else "")
    return {**policy, "rules": done}


def _rule(rule: Any) -> Any:
    if not isinstance(rule, Mapping) or not isinstance(rule.get("selection"), Mapping):
        return rule
    selection = {
        name: sorted(value, key=str) if isinstance(value, list | tuple) else value
        for name, value in rule["selection"].items()
    }
    kept = {name: value for name, value in rule.items() if not (name == "description" and value == "")}
    return {**kept, "selection": selection}


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    settings = {name: want.declared[name] for name in SETTINGS if want.declared.get(name)}
    params = {"repositoryName": want.physical, **settings, "tags": tag_list(want.tags)}
    policies = [_policy(want, name) for name in DOCUMENTS if want.declared.get(name)]
    return [Call("ecr", "CreateRepository", params, proof=Proof.EXISTS), *policies]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    changed, name = diff.tops(), {"repositoryName": live.physical}
    calls: list[Action] = []
    if {"imageTagMutability", "imageTagMutabilityExclusionFilters"} & changed:
        mutability = {"imageTagMutability": want.props.get("imageTagMutability", "MUTABLE")}
        filters = want.props.get("imageTagMutabilityExclusionFilters")
        if filters:
            mutability["imageTagMutabilityExclusionFilters"] = filters
        calls.append(Call("ecr", "PutImageTagMutability", {**name, **mutability}))
    if "imageScanningConfiguration" in changed:
        scanning = want.props.get("imageScanningConfiguration") or SCANNING
        calls.append(Call("ecr", "PutImageScanningConfiguration", {**name, "imageScanningConfiguration": scanning}))
    calls += [_policy(want, document) for document in DOCUMENTS if document in changed]
    return calls


def _policy(want: Want, name: str) -> Call:
    """Sets one of the two documents, or removes it where none is wanted."""
    repository, document = {"repositoryName": want.physical}, want.props.get(name)
    if name == "lifecyclePolicy":
        if not document:
            return Call("ecr", "DeleteLifecyclePolicy", repository, ok_if=(On("LifecyclePolicyNotFoundException"),))
        return Call("ecr", "PutLifecyclePolicy", {**repository, "lifecyclePolicyText": JsonText(document)})
    if not document:
        return Call("ecr", "DeleteRepositoryPolicy", repository, ok_if=(On("RepositoryPolicyNotFoundException"),))
    mine = names_principal_of(document, want.scope.account)
    return Call(
        "ecr",
        "SetRepositoryPolicy",
        {**repository, "policyText": JsonText(written(document))},
        retry_on=(UNKNOWN_PRINCIPAL,) if mine else (),
        patience=120.0,
    )


def delete(live: Live, declared: Json) -> Sequence[Action]:
    params = {"repositoryName": live.physical} | ({"force": True} if declared.get("force") is True else {})
    return [Call("ecr", "DeleteRepository", params, ok_if=(On(ABSENT),))]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    resource = {"resourceArn": live.attrs["arn"]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("ecr", "UntagResource", {**resource, "tagKeys": sorted(remove)}))
    if add:
        calls.append(Call("ecr", "TagResource", {**resource, "tags": tag_list(add)}))
    return calls


KIND = Kind(
    name="repository",
    section="repositories",
    read=read,
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    replace=Replace.DELETE_FIRST,
    max_name=256,
    expand=expand,
    normal=normal,
    check=findings,
)
