"""ECR repositories.

What is peculiar about them:

- ECR refuses to delete a repository that contains images, unless the request has ``force: true``. The member of the
  same name is ours, never compared, and used while the repository is still declared (destroy, replacement).
- Mutability and its exclusion filters are set by one call, the two policies by one call each.
- Encryption cannot be changed. A name is unique, so another encryption means delete, then create.
- ECR shows the key of an alias. With KMS, no key means the one that AWS manages for ECR.
- ECR lists by name only: owned repositories are found by the tagging index, and each is then read from ECR.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DeleteRepository.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.common.declared import mapping
from reconciler.kinds.common.listing import listing
from reconciler.kinds.common.policy_document.document import Place, names_principal_of, parse, written
from reconciler.kinds.common.policy_document.trusted import principal_refs
from reconciler.kinds.common.visibility import not_visible
from reconciler.kinds.ecr._repository_checks import check
from reconciler.model import (
    EMPTY,
    Access,
    Action,
    Call,
    Change,
    CompleteList,
    Dependent,
    Diff,
    Effect,
    Field,
    Json,
    JsonText,
    Kind,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    ReadLeaving,
    Reads,
    Refused,
    Removals,
    Replace,
    Scope,
    Sought,
    Want,
)
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import kms_keys, recorded
    from reconciler.kinds.common.leaving import tags_again
    from reconciler.kinds.common.ownership_index import (
        Index,
        by_name,
        index,
        matches_query,
        not_sought,
        owned_names,
        tags_from_index,
        tags_if_expected,
    )
    from reconciler.kinds.common.policy_document.compare import compared
    from reconciler.kinds.common.referrers import active_definitions, revision
    from reconciler.kinds.common.replies import ok, tag_list, tag_map, together

SCANNING: Json = {"scanOnPush": False}
ENCRYPTION: Json = {"encryptionType": "AES256"}

LIST = Call("ecr", "DescribeRepositories", {}, all_pages=True)
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
DEFAULT_KEY = "alias/aws/ecr"
ABSENT = "RepositoryNotFoundException"
FIRST_PAGE = Call("ecr", "DescribeRepositories", {"maxResults": 1000})
NO_DOCUMENT = ("LifecyclePolicyNotFoundException", "RepositoryPolicyNotFoundException")
# a principal that this run created a moment ago
UNKNOWN_PRINCIPAL = On(
    "InvalidParameterException", "Invalid repository policy", not_visible("role in the repository policy")
)


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(scope: Scope, name: str, _: Json) -> Mapping[str, str]:
    """Name, ARN and URI, computed from account, Region and name."""
    suffix = "amazonaws.com.cn" if scope.partition == "aws-cn" else "amazonaws.com"
    uri = f"{scope.account}.dkr.ecr.{scope.region}.{suffix}/{name}"
    return {"name": name, "arn": scope.arn("ecr", f"repository/{name}"), "uri": uri}


def read(query: Query) -> Reads[Sequence[Live]]:
    """The repositories that are sought or owned, with tags and both documents."""
    sought, ask = by_name(query), index(query)
    found, replies = yield from together(_existing(list(sought)), ask)
    tagged = yield from tags_from_index(ask, replies)
    found |= yield from _existing(not_sought(query, owned_names(tagged, query.scope, "ecr", "repository/")))
    tags = yield from _tags(found, tagged, sought)
    names = [name for name in found if name in tags and matches_query(query, name, tags[name])]
    pairs = {name: _keys_to_compare(found[name][0], sought.get(name)) for name in names}
    keys = yield from kms_keys.resolved(pairs.values())
    return [_live(query.scope, found[name], tags[name], kms_keys.known_keys(keys, *pairs[name])) for name in names]


def _keys_to_compare(item: Json, sought: Sought | None) -> tuple[Any, Any]:
    """The names of the declared and the live key."""
    return _declared_key(sought.props if sought else EMPTY), mapping(item.get("encryptionConfiguration")).get("kmsKey")


def _declared_key(props: Json) -> Any:
    """The name of the declared key, the default one if the type alone is declared; None if no key is used."""
    encryption = mapping(props.get("encryptionConfiguration"))
    declared = encryption.get("encryptionType") not in (None, "AES256")
    return encryption.get("kmsKey") or (DEFAULT_KEY if declared else None)


def _existing(names: Sequence[str]) -> Reads[dict[str, tuple[Json, Json, Json]]]:
    """The repositories that exist, each as (description, lifecycle policy reply, repository policy reply)."""
    found = yield from _described(names)
    calls = tuple(
        Call("ecr", operation, {"repositoryName": name})
        for name in found
        for operation in ("GetLifecyclePolicy", "GetRepositoryPolicy")
    )
    replies = (yield calls) if calls else ()
    answers = [ok(call, reply, ABSENT, *NO_DOCUMENT) or {} for call, reply in zip(calls, replies, strict=True)]
    documents = zip(found, answers[::2], answers[1::2], strict=True)
    return {name: (found[name], lifecycle, policy) for name, lifecycle, policy in documents}


def _described(names: Sequence[str]) -> Reads[dict[str, Json]]:
    """The repositories that exist, by name.

    A call with several names fails as a whole if one does not exist. So several are looked up in the first page of the
    list of all, and the rest are described one by one.
    """
    found: dict[str, Json] = {}
    rest = list(names)
    if len(names) > 1:
        (reply,) = yield (FIRST_PAGE,)
        if not isinstance(reply, Refused):
            listed = {item["repositoryName"]: item for item in reply.get("repositories", ())}
            found = {name: listed[name] for name in names if name in listed}
            rest = [name for name in names if name not in found] if reply.get("nextToken") else []
    calls = tuple(Call("ecr", "DescribeRepositories", {"repositoryNames": [name]}) for name in rest)
    for call, reply in zip(calls, (yield calls) if calls else (), strict=True):
        found |= {item["repositoryName"]: item for item in (ok(call, reply, ABSENT) or {}).get("repositories", ())}
    return found


def _tags(
    found: Mapping[str, tuple[Json, Json, Json]], tagged: Index, sought: Mapping[str, Sought]
) -> Reads[dict[str, Mapping[str, str]]]:
    """The tags by name, of repositories that still exist."""
    arns = {name: str(item["repositoryArn"]) for name, (item, _, _) in found.items()}
    known = {name: tags_if_expected(tagged, arn, sought.get(name)) for name, arn in arns.items()}
    tags = {name: confirmed_tags for name, confirmed_tags in known.items() if confirmed_tags is not None}
    rest = [name for name in arns if name not in tags]
    calls = tuple(_list_tags(arns[name]) for name in rest)
    for name, call, reply in zip(rest, calls, (yield calls) if calls else (), strict=True):
        answer = ok(call, reply, ABSENT)
        if answer is not None:
            tags[name] = tag_map(answer["tags"])
    return tags


def _list_tags(arn: str) -> Call:
    return Call("ecr", "ListTagsForResource", {"resourceArn": arn})


def read_leaving(_: Scope, lives: Sequence[Live]) -> Reads[Sequence[Live]]:
    """The repositories with their tags alone."""
    return (
        yield from tags_again(
            lives, lambda live: _list_tags(live.attrs["arn"]), lambda answer: tag_map(answer["tags"]), ABSENT
        )
    )


def _live(scope: Scope, found: tuple[Json, Json, Json], tags: Mapping[str, str], extra: Json) -> Live:
    item, lifecycle, policy = found
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
        extra=extra,
    )


# --- comparing -------------------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """Documents given as text, as mappings."""
    return {name: parse(value) if name in DOCUMENTS else value for name, value in props.items()}


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Documents by meaning, KMS keys by the key they name."""
    left, right = dict(live.props), dict(want.props)
    for side in (left, right):
        if side.get("lifecyclePolicy"):
            side["lifecyclePolicy"] = _by_priority(side["lifecyclePolicy"])
    if left.get("repositoryPolicy") and right.get("repositoryPolicy"):
        left["repositoryPolicy"], right["repositoryPolicy"] = compared(
            left["repositoryPolicy"], right["repositoryPolicy"], _location(want)
        )
    here, there = mapping(right.get("encryptionConfiguration")), mapping(left.get("encryptionConfiguration"))
    wanted, used = _declared_key(right), there.get("kmsKey")
    if wanted and used:
        same = kms_keys.same_key(wanted, used, kms_keys.keys_of(live))
        right["encryptionConfiguration"] = {**here, "kmsKey": used if same else wanted}
    return left, right


def notes(live: Live, _: Want) -> Iterable[str]:
    """A note if the key could not be compared."""
    return kms_keys.notes(live)


def _location(want: Want) -> Place:
    return Place("resource", want.scope.account, want.scope.partition)


def _by_priority(policy: Any) -> Any:
    """A lifecycle policy with its rules by priority; the order of prefixes and patterns has no meaning."""
    if not isinstance(policy, Mapping) or not isinstance(policy.get("rules"), list | tuple):
        return policy
    done = [_canonical_rule(rule) for rule in policy["rules"]]
    done.sort(key=lambda rule: str(rule.get("rulePriority", "")).zfill(9) if isinstance(rule, Mapping) else "")
    return {**policy, "rules": done}


def _canonical_rule(rule: Any) -> Any:
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
    """CreateRepository with settings and tags, then one call per document."""
    settings = {name: want.declared[name] for name in SETTINGS if want.declared.get(name)}
    params = {"repositoryName": want.physical, **settings, "tags": tag_list(want.tags)}
    policies = [_set_document(want, name) for name in DOCUMENTS if want.declared.get(name)]
    return [Call("ecr", "CreateRepository", params, proof=Proof.EXISTS), *policies]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """One call each for mutability, scanning and the documents that differ."""
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
    calls += [_set_document(want, document) for document in DOCUMENTS if document in changed]
    return calls


def _set_document(want: Want, name: str) -> Call:
    """Sets one of the two documents, or deletes it if none is declared."""
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


def pulled(scope: Scope, lives: Sequence[Live], _: Removals) -> Reads[Mapping[str, tuple[Dependent, ...]]]:
    """The ACTIVE job definitions of the account with images from ``lives``: AWS deletes a repository all the same."""
    names = {str(live.attrs["uri"]): live.physical for live in lives if live.attrs.get("uri")}
    found: dict[str, tuple[Dependent, ...]] = {}
    for item in (yield from active_definitions()):
        label, hint = revision(scope, item)
        text, arn = f"{label} pulls images from it", str(item["jobDefinitionArn"])
        user = Dependent(text=text, hint=hint, arn=arn, by_name=True)
        for name in {names[one] for one in map(_without_tag, _images(item)) if one in names}:
            found[name] = (*found.get(name, ()), user)
    return found


def _images(value: Any) -> Iterator[str]:
    """Every ``image`` in a definition, at any depth."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "image" and isinstance(item, str):
                yield item
            elif not isinstance(item, str):
                yield from _images(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _images(item)


def _without_tag(image: str) -> str:
    """``HOST/NAME`` of an image with a tag or a digest."""
    host, _, rest = image.partition("/")
    return f"{host}/{rest.partition('@')[0].partition(':')[0]}"


def delete(live: Live, declared: Json) -> Sequence[Action]:
    """DeleteRepository, with ``force`` if it is declared."""
    params = {"repositoryName": live.physical} | ({"force": True} if declared.get("force") is True else {})
    return [Call("ecr", "DeleteRepository", params, ok_if=(On(ABSENT),))]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """UntagResource and TagResource by ARN."""
    resource = {"resourceArn": live.attrs["arn"]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("ecr", "UntagResource", {**resource, "tagKeys": sorted(remove)}))
    if add:
        calls.append(Call("ecr", "TagResource", {**resource, "tags": tag_list(add)}))
    return calls


ACCESS = Access(
    types=("ecr:repository",),
    reads=(
        *("ecr:DescribeRepositories", "ecr:ListTagsForResource"),
        *("ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy"),
    ),
    looks=("kms:DescribeKey",),
    removals=("batch:DescribeJobDefinitions",),
    creates=("ecr:CreateRepository",),
    changes=(
        *("ecr:PutImageTagMutability", "ecr:PutImageScanningConfiguration"),
        *("ecr:PutLifecyclePolicy", "ecr:DeleteLifecyclePolicy"),
        *("ecr:SetRepositoryPolicy", "ecr:DeleteRepositoryPolicy"),
    ),
    deletes=("ecr:DeleteRepository",),
    tags=("ecr:TagResource", "ecr:UntagResource"),
    only_if={"kms:DescribeKey": "encryptionConfiguration.kmsKey"},
)


def recorded_update(change: Change) -> tuple[str, ...]:
    """The events that may have made a change."""
    return {
        "lifecyclePolicy": recorded.events(change, "PutLifecyclePolicy", "DeleteLifecyclePolicy"),
        "repositoryPolicy": recorded.events(change, "SetRepositoryPolicy", "DeleteRepositoryPolicy"),
        "imageScanningConfiguration": ("PutImageScanningConfiguration",),
        "imageTagMutability": ("PutImageTagMutability",),
        "imageTagMutabilityExclusionFilters": ("PutImageTagMutability",),
    }.get(change.top, ("CreateRepository",))


RECORDED = Recorded(
    service="ecr",
    named=("repositoryName", "resourceArn"),
    create=("CreateRepository",),
    update=recorded_update,
    delete=("DeleteRepository",),
    by="arn",
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_ecr_repository": ("arn", "name")},
    cloudformation={"AWS::ECR::Repository": "RepositoryName"},
    parts={
        "aws_ecr_repository_policy": "repository",
        "aws_ecr_lifecycle_policy": "repository",
    },
)

KIND = Kind(
    name="repository",
    section="repositories",
    file="images",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeRepositories",
            frozenset({"repositoryNames"}),
            LIST,
        ),
    ),
    recorded=RECORDED,
    name_member="repositoryName",
    lookups={"encryptionConfiguration.kmsKey": "kmsKey"},
    everything=listing(LIST, "repositories", "repositoryName"),
    read=read,
    read_leaving=ReadLeaving(read_leaving),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    refs=principal_refs("repositoryPolicy"),
    dependents=(pulled,),
    replace=Replace.DELETE_FIRST,
    max_name=256,
    expand=expand,
    normalize=normalize,
    check=check,
    notes=notes,
)
