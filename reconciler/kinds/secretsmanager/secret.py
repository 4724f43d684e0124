"""Secrets Manager secrets.

What is peculiar about them:

- A value is never read. The id of a version that we write is a slow digest of the value, salted with the secret's ARN,
  so the ids alone show whether the value is still the declared one. The ARN ends in random characters, so a secret is
  created empty and its value is put afterwards.
- Putting a value that an older version has changes nothing: the label ``AWSCURRENT`` has to be moved to that version.
- The id of a version that was written outside reconcile shows nothing about its value. When such a secret is adopted,
  the version and the declared value are recorded in a tag, and count as equal until one of them changes.
- A value that is rotated, or not declared, is not managed.
- A deleted secret keeps its name for 7 to 30 days. If it is declared again in that time, it is restored.
- ``recoveryWindowInDays`` and ``forceDeleteWithoutRecovery`` declare how to delete, and are never compared.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.common.listing import listing
from reconciler.kinds.common.visibility import not_visible
from reconciler.kinds.secretsmanager._secret_checks import check
from reconciler.model import (
    OWNER_PREFIX,
    OWNER_TAG,
    Access,
    Action,
    Call,
    CompleteList,
    Diff,
    Digest,
    Field,
    Grant,
    Json,
    JsonText,
    Kind,
    Later,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    Reads,
    Refused,
    Replace,
    Reply,
    Resource,
    Scope,
    Secret,
    Sought,
    Want,
)
from reconciler.model.patterns import regex
from reconciler.model.recorded import Recorded
from reconciler.model.stand_ins import known, unsettled
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common import kms_keys
    from reconciler.kinds.common.ownership_index import by_name, index, tags_from_index
    from reconciler.kinds.common.replies import ok, tag_list, tag_map
    from reconciler.kinds.common.values import first

LIST = Call("secretsmanager", "ListSecrets", {}, all_pages=True)
FIELDS = {
    "description": Field(default="", clear=""),
    "kmsKeyId": Field(clear=""),
    "value": Field(secret=True),
    "recoveryWindowInDays": Field(ignore=True),
    "forceDeleteWithoutRecovery": Field(ignore=True),
}

# ``rest`` is ``:JSON_KEY:STAGE:VERSION``, as ECS takes it. A name may itself end like the suffix that AWS adds.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
_ARN = r"arn:[^:]+:secretsmanager:[^:]+:\d{12}:secret:"
_REST = r"(?P<rest>(?::[^:]*){0,3})"
ARN_FORMS = (rf"{_ARN}(?P<name>[^:]+){_REST}", rf"{_ARN}(?P<name>[^:]+)-[A-Za-z0-9]{{6}}{_REST}")

ADOPTED = f"{OWNER_PREFIX}adopted-version"
CURRENT = "AWSCURRENT"
OUR_VERSION = regex(r"[0-9a-f]{64}")
RECOVERY_DAYS = 30
# a secret without its own key uses this one; DescribeSecret then returns no key
DEFAULT_KEY = "alias/aws/secretsmanager"

ABSENT = "ResourceNotFoundException"
# a secret that was just deleted without recovery still has its name
NAME_IN_USE = (
    On("InvalidRequestException", "was deleted"),
    On("InvalidRequestException", "scheduled for deletion"),
)
NOT_VISIBLE_YET = (On(ABSENT, because=not_visible("secret")),)
ALREADY_MOVED = (On("InvalidParameterException", "currently attached to version"),)

VERSIONS_NOT_LISTED = (
    "secretsmanager:ListSecretVersionIds was denied: a declared value equal to an earlier version does not become"
    " current again; allow secretsmanager:ListSecretVersionIds"
)

# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(_: Scope, name: str, __: Json) -> Mapping[str, str]:
    """The name; the ARN is assigned by AWS."""
    return {"name": name}


def read(query: Query) -> Reads[Sequence[Live]]:
    """Describes the sought secrets and those in the index, or in the list if the index cannot be read: both lag."""
    environment = query.scope.environment
    sought = by_name(query)
    listing = (_list_by_tag(environment),) if query.owned and not query.indexed else ()
    ask, calls = listing or index(query), _describe_calls(sought)
    replies = (yield (*ask, *calls)) if ask or calls else ()
    if listing:
        items = (ok(listing[0], replies[0]) or {}).get("SecretList", ())
        more = [item["ARN"] for item in items if tag_map(item.get("Tags")).get(OWNER_TAG) == environment]
    else:
        more = list((yield from tags_from_index(ask, replies[: len(ask)])))
    found = _existing(calls, replies[len(ask) :])
    known = {item["ARN"] for item in found.values()}
    here = query.scope.arn("secretsmanager", "secret:")
    calls = _describe_calls([arn for arn in more if arn.startswith(here) and arn not in known])
    found |= _existing(calls, (yield calls) if calls else ())
    live = [item for item in found.values() if item["Name"] in sought or _owner(item) == environment]
    older = (yield from _all_versions(live, sought)) if live else {}
    pairs = {item["Name"]: _keys_to_compare(item, sought.get(item["Name"])) for item in live}
    keys = yield from kms_keys.resolved(pairs.values())
    return [_live(item, older.get(item["Name"], {}), kms_keys.known_keys(keys, *pairs[item["Name"]])) for item in live]


def _keys_to_compare(item: Json, sought: Sought | None) -> tuple[Any, Any]:
    """The names of the declared and the live key; two Nones where one is the default."""
    names = (sought.props.get("kmsKeyId") if sought else None, item.get("KmsKeyId"))
    return (None, None) if any(_is_default_key(name) for name in names) else names


def _is_default_key(name: Any) -> bool:
    return isinstance(name, str) and name.endswith(DEFAULT_KEY)


def _list_by_tag(environment: str) -> Call:
    """ListSecrets by owner tag; its filters match prefixes, so the reply is filtered again."""
    filters = [{"Key": "tag-key", "Values": [OWNER_TAG]}, {"Key": "tag-value", "Values": [environment]}]
    params = {"IncludePlannedDeletion": True, "Filters": filters}
    return Call("secretsmanager", "ListSecrets", params, all_pages=True)


def _describe_calls(names: Iterable[str]) -> tuple[Call, ...]:
    """DescribeSecret by name or ARN."""
    return tuple(Call("secretsmanager", "DescribeSecret", {"SecretId": name}) for name in names)


def _existing(calls: Sequence[Call], replies: Sequence[Reply]) -> dict[str, Json]:
    """The secrets that exist, by name; AWS may match a name as the beginning of an ARN, so others are dropped."""
    answers = [(call.params["SecretId"], ok(call, reply, ABSENT)) for call, reply in zip(calls, replies, strict=True)]
    return {item["Name"]: item for asked, item in answers if item and asked in (item["Name"], item["ARN"])}


def _all_versions(
    items: Sequence[Json], sought: Mapping[str, Sought]
) -> Reads[dict[str, Mapping[str, Sequence[str]] | None]]:
    """All versions of the secrets with another value, by secret name and version id, with their labels.

    Versions without a label are included: to make the value of one current again needs a second call. None for a secret
    whose versions may not be listed; the labelled ones are in its description.
    """
    calls = {
        item["Name"]: Call(
            "secretsmanager",
            "ListSecretVersionIds",
            {"SecretId": item["ARN"], "IncludeDeprecated": True},
            all_pages=True,
        )
        for item in items
        if item["Name"] in sought and _has_other_value(item, sought[item["Name"]].props.get("value"))
    }
    replies = (yield tuple(calls.values())) if calls else ()
    found: dict[str, Mapping[str, Sequence[str]] | None] = {}
    for (name, call), reply in zip(calls.items(), replies, strict=True):
        if isinstance(reply, Refused) and reply.denied:
            found[name] = None
            continue
        answer = ok(call, reply, ABSENT, "InvalidRequestException") or {}  # a secret that is being deleted
        found[name] = {one["VersionId"]: one.get("VersionStages", []) for one in answer.get("Versions", ())}
    return found


def _has_other_value(item: Json, value: Any) -> bool:
    """Whether the secret has a value that is not the declared one."""
    current = next((one for one, stages in (item.get("VersionIdsToStages") or {}).items() if CURRENT in stages), None)
    if current is None or value is None or not known(value):
        return False
    return bool(current != Digest(value, item["ARN"]).hex())


def _owner(item: Json) -> str | None:
    return tag_map(item.get("Tags")).get(OWNER_TAG)


def _live(item: Json, older: Mapping[str, Sequence[str]] | None, keys: Json) -> Live:
    versions: dict[str, Sequence[str]] = {**(older or {}), **(item.get("VersionIdsToStages") or {})}
    current = first(name for name, stages in sorted(versions.items()) if CURRENT in stages)
    props = {"description": item.get("Description"), "kmsKeyId": item.get("KmsKeyId"), "value": current}
    dying = item.get("DeletedDate") is not None
    return Live(
        physical=item["Name"],
        attrs={"name": item["Name"], "arn": item["ARN"]},
        props={name: value for name, value in props.items() if value},
        tags=tag_map(item.get("Tags")),
        status="scheduled for deletion" if dying else "",
        deleting=dying,
        managed_by=item.get("OwningService") or "",
        extra={
            "versions": sorted(versions),
            "rotated": bool(item.get("RotationEnabled")),
            **({} if older is not None else {"versions_not_listed": True}),
            **keys,
        },
    )


# --- comparing -------------------------------------------------------------------------------------------------------


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """The value as the id of its version, on both sides; without it if it is not compared."""
    left, right = dict(live.props), dict(want.props)
    for side in (left, right):
        if _is_default_key(side.get("kmsKeyId")):
            del side["kmsKeyId"]
    if kms_keys.same_key(right.get("kmsKeyId"), left.get("kmsKeyId"), kms_keys.keys_of(live)):
        right["kmsKeyId"] = left.get("kmsKeyId")
    current = left.pop("value", None)
    right.pop("value", None)
    if not _declares_value(want) or (current and live.extra.get("rotated")):
        return left, right
    unknown = first(unsettled(want.declared["value"]))
    if unknown is not None:
        return ({**left, "value": current} if current else left), {**right, "value": unknown}
    wanted = _version(live, want)
    if current and not OUR_VERSION.fullmatch(current) and _keeps_current(live, want, current, wanted):
        return left, right
    return ({**left, "value": current} if current else left), {**right, "value": wanted}


def _declares_value(want: Want) -> bool:
    """Whether a value is declared and its changes are not ignored; the engine replaces ignored values by live ones."""
    ignored = any(path.split(".")[0] == "value" for path in want.lifecycle.ignore_changes)
    return want.declared.get("value") is not None and not ignored


def _version(live: Live, want: Want) -> str:
    """The id that the declared value has, or would have, as a version of this secret."""
    return Digest(want.declared["value"], live.attrs["arn"]).hex()


def _keeps_current(live: Live, want: Want, current: str, wanted: str) -> bool:
    """Whether a version written outside reconcile is kept: at adoption, or if nothing has changed since."""
    return live.owner != want.scope.environment or live.tags.get(ADOPTED) == _adoption_note(current, wanted)


def _adoption_note(current: str, wanted: str) -> str:
    """What the tag records at adoption: the current version, and the beginning of the declared value's version id."""
    return f"{current}/{wanted[:16]}"


def adoption_tags(live: Live, want: Want) -> Mapping[str, str]:
    """The tag that records the current version and the declared value when a secret with such a version is adopted."""
    current = live.props.get("value")
    if not current or OUR_VERSION.fullmatch(current) or not _declares_value(want) or not known(want.declared["value"]):
        return {}
    return {ADOPTED: _adoption_note(current, _version(live, want))}


def notes(live: Live, want: Want) -> Sequence[str]:
    """Notes about a value or key that is not compared, or a value that is written again, and about versions that could
    not be listed.
    """
    listed = [VERSIONS_NOT_LISTED] if live.extra.get("versions_not_listed") else []
    return [*_about_value(live, want), *listed, *kms_keys.notes(live)]


def _about_value(live: Live, want: Want) -> Sequence[str]:
    current = live.props.get("value")
    if not current or not _declares_value(want):
        return []
    if live.extra.get("rotated"):
        return ["its value is rotated, and is not compared with the declared value"]
    if OUR_VERSION.fullmatch(current) or not known(want.declared["value"]):
        return []
    if live.owner != want.scope.environment:
        return [
            "its value was written outside reconcile and cannot be compared; it is kept until the declared one changes"
        ]
    if _keeps_current(live, want, current, _version(live, want)):
        return ["its value was changed outside reconcile, and is kept until the declared value changes"]
    return ["its value was changed outside reconcile, and is written again"]


def not_compared(live: Live, want: Want) -> Sequence[str]:
    """The value, where it is declared and a version that others wrote, or that is rotated, is kept."""
    current = live.props.get("value")
    if not current or not _declares_value(want):
        return []
    if live.extra.get("rotated"):
        return ["value"]
    if OUR_VERSION.fullmatch(current) or not known(want.declared["value"]):
        return []
    return ["value"] if _keeps_current(live, want, current, _version(live, want)) else []


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """CreateSecret without a value, then PutSecretValue with a version id made from value and ARN."""
    params = {
        "Name": want.physical,
        "Description": want.declared.get("description"),
        "KmsKeyId": want.declared.get("kmsKeyId"),
        "Tags": tag_list(want.tags),
    }
    created = Call(
        "secretsmanager",
        "CreateSecret",
        {name: value for name, value in params.items() if value},
        captures={"arn": "ARN"},
        retry_on=NAME_IN_USE,
        patience=120.0,
        proof=Proof.EXISTS,
    )
    if want.declared.get("value") is None:
        return [created]
    return [created, _put(Later(want.address, "arn"), want.declared["value"])]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """UpdateSecret for description and key, PutSecretValue for the value."""
    changed = diff.tops()
    calls: list[Action] = []
    settings = {"description": "Description", "kmsKeyId": "KmsKeyId"}
    sent = {member: want.props.get(name) or "" for name, member in settings.items() if name in changed}
    if sent:
        calls.append(Call("secretsmanager", "UpdateSecret", {"SecretId": live.attrs["arn"], **sent}))
    if "value" in changed:
        calls += _set_value(live, want)
    return calls


def _set_value(live: Live, want: Want) -> list[Action]:
    arn, value, current = live.attrs["arn"], want.declared["value"], live.props.get("value")
    calls: list[Action] = [_put(arn, value)]
    if not known(value) or not current or _version(live, want) not in live.extra.get("versions", ()):
        return calls
    moved = {
        "SecretId": arn,
        "VersionStage": CURRENT,
        "MoveToVersionId": Digest(Secret(value), arn),  # version ids are digests of values: never shown
        "RemoveFromVersionId": Secret(current),
    }
    return [*calls, Call("secretsmanager", "UpdateSecretVersionStage", moved, ok_if=ALREADY_MOVED, proof=Proof.SAME)]


def _put(arn: Any, value: Any) -> Call:
    params = {
        "SecretId": arn,
        "ClientRequestToken": Digest(Secret(value), arn),
        "SecretString": Secret(JsonText(value) if isinstance(value, Mapping) else value),
    }
    return Call("secretsmanager", "PutSecretValue", params, retry_on=NOT_VISIBLE_YET, patience=60.0)


def restore(live: Live, want: Want) -> Sequence[Action]:
    """RestoreSecret, then an update of whatever differs; the engine updates the tags."""
    left, right = normalize(live, want)
    arn = live.attrs["arn"]
    calls: list[Action] = [Call("secretsmanager", "RestoreSecret", {"SecretId": arn})]
    settings = {"description": "Description", "kmsKeyId": "KmsKeyId"}
    sent = {
        member: right.get(name) or ""
        for name, member in settings.items()
        if (left.get(name) or "") != (right.get(name) or "")
    }
    if sent:
        calls.append(Call("secretsmanager", "UpdateSecret", {"SecretId": arn, **sent}))
    if left.get("value") != right.get("value"):
        calls += _set_value(live, want)
    return calls


def delete(live: Live, declared: Json) -> Sequence[Action]:
    """DeleteSecret, with the declared recovery window or without recovery."""
    force = declared.get("forceDeleteWithoutRecovery") is True
    how = (
        {"ForceDeleteWithoutRecovery": True}
        if force
        else {"RecoveryWindowInDays": declared.get("recoveryWindowInDays") or RECOVERY_DAYS}
    )
    done_if = (On(ABSENT), *(On("InvalidRequestException", f"{text} for deletion") for text in ("scheduled", "marked")))
    return [Call("secretsmanager", "DeleteSecret", {"SecretId": live.attrs["arn"], **how}, ok_if=done_if)]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """UntagResource and TagResource by ARN."""
    secret = {"SecretId": live.attrs["arn"]}
    calls: list[Action] = []
    if remove:
        calls.append(Call("secretsmanager", "UntagResource", {**secret, "TagKeys": sorted(remove)}))
    if add:
        calls.append(Call("secretsmanager", "TagResource", {**secret, "Tags": tag_list(add)}))
    return calls


def _arns(scope: Scope, name: str, _: Json) -> Sequence[str]:
    """As AWS names one that exists, with six characters of its own; and one that does not, which is asked for."""
    arn = scope.arn("secretsmanager", f"secret:{name}")
    return arn, f"{arn}-??????"


def _more(scope: Scope, resource: Resource) -> Iterator[Grant]:
    """The key that encrypts the value, where it is not the default one."""
    key = resource.props.get("kmsKeyId")
    if key is not None and not _is_default_key(key):
        known = key if isinstance(key, str) and key.startswith("arn:") else scope.arn("kms", "key/*")
        why = "Secrets Manager encrypts the value"
        yield Grant(actions=("kms:GenerateDataKey", "kms:Decrypt"), resources=(known,), why=why)


ACCESS = Access(
    types=("secretsmanager:Secret",),
    reads=("secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"),
    looks=("kms:DescribeKey",),
    creates=("secretsmanager:CreateSecret",),
    changes=(
        *("secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage", "secretsmanager:UpdateSecret"),
        "secretsmanager:RestoreSecret",
    ),
    deletes=("secretsmanager:DeleteSecret",),
    tags=("secretsmanager:TagResource", "secretsmanager:UntagResource"),
    arns=_arns,
    only_if={
        "kms:DescribeKey": "kmsKeyId",
        "secretsmanager:PutSecretValue": "value",
        "secretsmanager:UpdateSecretVersionStage": "value",
    },
    more=_more,
)


RECORDED = Recorded(
    service="secretsmanager",
    named=("secretId", "name"),
    create=("CreateSecret",),
    update=lambda change: ("PutSecretValue", "UpdateSecret") if change.top == "value" else ("UpdateSecret",),
    delete=("DeleteSecret",),
    also=lambda attrs: [attrs["arn"][:-7]] if "arn" in attrs else [],  # without the six characters that AWS adds
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_secretsmanager_secret": ("arn", "name")},
    cloudformation={"AWS::SecretsManager::Secret": "Name"},
    parts={
        "aws_secretsmanager_secret_version": "secret_id",
    },
)

KIND = Kind(
    name="secret",
    section="secrets",
    file="secrets",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeSecret",
            frozenset({"SecretId"}),
            Call("secretsmanager", "ListSecrets", {"IncludePlannedDeletion": True}, all_pages=True),
        ),
    ),
    recorded=RECORDED,
    name_member="name",
    lookup="secret",
    lookups={"kmsKeyId": "kmsKey"},
    everything=listing(LIST, "SecretList", "Name", "ARN", unless=lambda item: bool(item.get("OwningService"))),
    read=read,
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    restore=restore,
    fields=FIELDS,
    assigned_by_aws=frozenset({"arn"}),
    arn_forms=ARN_FORMS,
    replace=Replace.DELETE_FIRST,
    max_name=512,
    normalize=normalize,
    check=check,
    adoption_tags=adoption_tags,
    notes=notes,
    not_compared=not_compared,
)
