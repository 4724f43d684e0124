"""EC2 launch templates with their versions.

What is peculiar about them:

- A version cannot be changed. Every change is a new version with the full data (with a source version EC2 would merge
  the data over it), which then becomes the default. The default version is the one that is compared.
- Version numbers only grow, and the number of a new version is known after it is created. ``latestVersion`` and
  ``defaultVersion`` are attributes, so that resources that refer to them are updated in the same run.
- A killed run leaves a latest version that is not the default: it is used if its data is what is declared.
- Old versions are deleted. ``lifecycle.keepRevisions`` of them are kept (2), and also the previous default version and
  any that a compute environment of the account uses by number.
- EC2 deletes a template with all its versions without checking for dependents.
- Tags of the template are its own; tags inside its data are for the resources that it launches.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyLaunchTemplate.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplateVersions.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.kinds.common.declared import at, entries, items, mapping
from reconciler.kinds.common.listing import listing
from reconciler.kinds.common.normal_forms import without
from reconciler.kinds.common.visibility import not_visible
from reconciler.kinds.ec2 import _common as ec2
from reconciler.kinds.ec2.launch_template import data_fields
from reconciler.kinds.ec2.launch_template.checks import check
from reconciler.kinds.ec2.launch_template.data_fields import DATA
from reconciler.model import (
    OWNER_TAG,
    Access,
    Action,
    Address,
    Api,
    Call,
    CompleteList,
    Declared,
    Diff,
    Effect,
    Field,
    Finding,
    Grant,
    Json,
    Kind,
    Later,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    ReadLeaving,
    Reads,
    Referrer,
    Refused,
    Replace,
    Reply,
    Resource,
    Scope,
    Verb,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.referrers import referrer
    from reconciler.kinds.common.replies import chunks, ok

DESCRIPTION = "versionDescription"
FIELDS = {DESCRIPTION: Field(effect=Effect.NEW_REVISION, default=""), **data_fields.FIELDS}
READ_ONLY = (
    *("launchTemplateId", "launchTemplateName", "createTime", "createdBy", "versionNumber", "defaultVersion"),
    *("defaultVersionNumber", "latestVersionNumber"),
)
# AWS Batch makes one for every environment that has one, and deletes it again
OF_BATCH = "Batch-lt-"
NUMBERS = frozenset({"latestVersion", "defaultVersion"})

NOT_FOUND = (On("InvalidLaunchTemplateId.NotFound"), On("InvalidLaunchTemplateName.NotFoundException"))
NOT_VISIBLE_YET = (On("InvalidLaunchTemplateId.NotFound", because=not_visible("launch template")),)
VERSION_NOT_VISIBLE_YET = (
    On("InvalidLaunchTemplateId.VersionNotFound", because=not_visible("version of the launch template")),
)
PROFILE_NOT_VISIBLE_YET = (
    On("InvalidParameterValue", "Invalid IAM Instance Profile", because=not_visible("instance profile")),
)
VERSION_NOT_FOUND = (On("launchTemplateVersionDoesNotExist"),)
MAX_DELETED_PER_CALL = 200

DESCRIBE = Call("ec2", "DescribeLaunchTemplates", all_pages=True)
NEWEST = Call("ec2", "DescribeLaunchTemplateVersions", {"Versions": ["$Latest", "$Default"]}, all_pages=True)
ENVIRONMENTS = Call("batch", "DescribeComputeEnvironments", {})


# --- reading ---------------------------------------------------------------------------------------------------------


def attrs(_: Scope, name: str, __: Json) -> Mapping[str, str]:
    """The name; the id and the version numbers are assigned by AWS."""
    return {"name": name}


def read(query: Query) -> Reads[Sequence[Live]]:
    """The templates with all their versions.

    For owned templates also the compute environments that use a version by number.
    """
    arn_form = ("LaunchTemplateId", "launch-template/")
    found = yield from ec2.find_by_name_or_owner(DESCRIBE, "launch-template-name", "LaunchTemplates", arn_form, query)
    if not found:
        return []
    owned = any(ec2.tags_of(item).get(OWNER_TAG) == query.scope.environment for item in found)
    found.sort(key=lambda item: str(item["LaunchTemplateName"]))
    calls = tuple(_versions(item["LaunchTemplateId"]) for item in found)
    users = (ENVIRONMENTS,) if owned and query.owned else ()
    replies = yield (*calls, *users)
    answers = [
        ok(call, reply, *(on.code for on in NOT_FOUND)) or {} for call, reply in zip(calls, replies, strict=False)
    ]
    versions = [list(answer.get("LaunchTemplateVersions", ())) for answer in answers]
    several = any(len(those) > 1 for those in versions)
    pinned = (yield from _pinned_versions(replies[-1], several=several)) if users else None
    return [_live(item, those, pinned) for item, those in zip(found, versions, strict=True) if those]


def read_leaving(_: Scope, lives: Sequence[Live]) -> Reads[Sequence[Live]]:
    """The templates whose latest and default versions are the planned ones: versions are never changed."""
    call = ec2.filtered(DESCRIBE, "launch-template-name", [live.physical for live in lives])
    (reply,) = yield (call,)
    found = {item["LaunchTemplateId"]: item for item in (ok(call, reply) or {}).get("LaunchTemplates", ())}
    return [
        replace(live, tags=ec2.tags_of(item))
        for live in lives
        if (item := found.get(live.attrs["id"])) and _numbers(item) == {name: live.attrs[name] for name in NUMBERS}
    ]


def _numbers(item: Json) -> dict[str, str]:
    return {
        "latestVersion": str(item.get("LatestVersionNumber")),
        "defaultVersion": str(item.get("DefaultVersionNumber")),
    }


def _versions(template_id: str) -> Call:
    return Call("ec2", "DescribeLaunchTemplateVersions", {"LaunchTemplateId": template_id}, all_pages=True)


def _pinned_versions(reply: Reply, *, several: bool) -> Reads[list[tuple[str, str, str]] | None]:
    """Template (id or name), number and compute environment of every version that is used by number; None if unknown.

    Most accounts have one page of compute environments; further pages are read only if there are versions to delete.
    """
    if not isinstance(reply, Refused) and reply.get("nextToken"):
        if not several:
            return None
        (reply,) = yield (replace(ENVIRONMENTS, all_pages=True),)
    if isinstance(reply, Refused):
        return None
    found: list[tuple[str, str, str]] = []
    for item in items(reply.get("computeEnvironments")):
        template = mapping(mapping(item.get("computeResources")).get("launchTemplate"))
        for one in (template, *map(mapping, items(template.get("overrides")))):
            number, name = str(one.get("version") or ""), one.get("launchTemplateId") or one.get("launchTemplateName")
            if number.isdigit() and name:
                found.append((name, number, item["computeEnvironmentName"]))
    return found


def _live(item: Json, versions: Sequence[Json], pinned: Sequence[tuple[str, str, str]] | None) -> Live:
    template_id, name = item["LaunchTemplateId"], item["LaunchTemplateName"]
    ordered = sorted(versions, key=lambda version: int(version["VersionNumber"]))
    default = next((version for version in ordered if version.get("DefaultVersion")), ordered[-1])
    users = None if pinned is None else [(n, who) for what, n, who in pinned if what in (template_id, name)]
    newer = ordered[-1] if ordered[-1] is not default else None
    numbers = {"defaultVersion": str(default["VersionNumber"]), "latestVersion": str(ordered[-1]["VersionNumber"])}
    return Live(
        physical=name,
        attrs={"name": name, "id": template_id, **numbers},
        props=_props(default),
        tags=ec2.tags_of(item),
        extra={
            "numbers": [int(version["VersionNumber"]) for version in ordered],
            "newer": _props(newer) if newer else None,
            "users": users,
        },
    )


def referrers(scope: Scope, _: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
    """The default and the latest version of every template of the account. Shows no owners.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html
    """
    (reply,) = yield (NEWEST,)
    return [
        referrer(scope, "launch template", item["LaunchTemplateName"], item["LaunchTemplateId"], _props(item))
        for item in (ok(NEWEST, reply) or {}).get("LaunchTemplateVersions", ())
    ]


def _props(version: Json) -> dict[str, Any]:
    described = version.get("VersionDescription")
    return {
        DATA: data_fields.from_api(version.get("LaunchTemplateData") or {}),
        **({DESCRIPTION: described} if described else {}),
    }


# --- comparing -------------------------------------------------------------------------------------------------------


def expand(props: Json) -> Json:
    """User data as text, tags as mappings; without read-only members, which pasted describe output contains."""
    done = dict(without(props, *READ_ONLY))
    return {**done, DATA: data_fields.from_yaml(done[DATA])} if DATA in done else done


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Both sides' data in comparable form."""
    left, right = data_fields.comparable(live.props.get(DATA), want.props.get(DATA))
    return {**live.props, DATA: left}, {**want.props, DATA: right}


def notes(live: Live, want: Want) -> Iterable[str]:
    """Notes about a latest version that is not the default, and about old versions kept because they are in use."""
    number, newer = live.attrs["latestVersion"], live.extra.get("newer")
    if newer and not _is_declared(newer, want):
        yield f"version {number} is newer than the default and was not created by reconcile: $Latest resolves to it"
    kept = set(_latest(live.extra.get("numbers", ()), want.lifecycle.keep_revisions))
    for used, user in sorted(live.extra.get("users") or ()):
        if int(used) not in kept and int(used) in live.extra.get("numbers", ()):
            yield f"version {used} is kept: in use by compute environment {user}"


def _is_declared(version: Json, want: Want) -> bool:
    """Whether the data and description of a version are the declared ones."""
    same = data_fields.meaning(version.get(DATA) or {}) == data_fields.meaning(want.declared.get(DATA) or {})
    return same and (version.get(DESCRIPTION) or "") == (want.declared.get(DESCRIPTION) or "")


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """CreateLaunchTemplate; captures the id and both version numbers."""
    gives = {"id": "LaunchTemplateId", "latestVersion": "LatestVersionNumber", "defaultVersion": "DefaultVersionNumber"}
    params = {
        "LaunchTemplateName": want.physical,
        **_request(want),
        **ec2.tag_specifications("launch-template", want.tags),
    }
    paths = {name: f"LaunchTemplate.{member}" for name, member in gives.items()}
    return [
        Call(
            "ec2", "CreateLaunchTemplate", params, captures=paths, retry_on=PROFILE_NOT_VISIBLE_YET, proof=Proof.EXISTS
        )
    ]


def _request(want: Want) -> dict[str, Any]:
    described = want.declared.get(DESCRIPTION)
    return {
        **({"VersionDescription": described} if described else {}),
        "LaunchTemplateData": data_fields.to_api(want.declared.get(DATA) or {}),
    }


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """A new version, or the latest if it is already as declared.

    The version becomes the default, and old versions are deleted.
    """
    if not diff.tops() & {DATA, DESCRIPTION}:
        return []
    template, newer = {"LaunchTemplateId": live.attrs["id"]}, live.extra.get("newer")
    default = {"defaultVersion": "LaunchTemplate.DefaultVersionNumber"}
    if newer and _is_declared(newer, want):
        latest = live.attrs["latestVersion"]
        both = {**default, "latestVersion": "LaunchTemplate.LatestVersionNumber"}
        set_default = Call("ec2", "ModifyLaunchTemplate", {**template, "DefaultVersion": latest}, captures=both)
        return [set_default, *_delete_old_versions(live, want, created=0)]
    created = Call(
        "ec2",
        "CreateLaunchTemplateVersion",
        {**template, **_request(want)},
        captures={"latestVersion": "LaunchTemplateVersion.VersionNumber"},
        retry_on=PROFILE_NOT_VISIBLE_YET,
        proof=Proof.SAME,
    )
    set_default = Call(
        "ec2",
        "ModifyLaunchTemplate",
        {**template, "DefaultVersion": Later(want.address, "latestVersion")},
        captures=default,
        retry_on=VERSION_NOT_VISIBLE_YET,
    )
    return [created, set_default, *_delete_old_versions(live, want, created=1)]


def _delete_old_versions(live: Live, want: Want, *, created: int) -> Iterator[Call]:
    """Deletes the versions that are not kept; none if it is unknown which versions are in use.

    ``created`` is how many versions this plan creates.
    """
    users = live.extra.get("users")
    if users is None:
        return
    numbers: Sequence[int] = live.extra.get("numbers", ())
    kept = {
        *_latest(numbers, want.lifecycle.keep_revisions - created),
        *(int(number) for number, _ in users),
        int(live.attrs["defaultVersion"]),
    }
    for batch in chunks([str(number) for number in numbers if number not in kept], MAX_DELETED_PER_CALL):
        yield Call(
            "ec2",
            "DeleteLaunchTemplateVersions",
            {"LaunchTemplateId": live.attrs["id"], "Versions": list(batch)},
            ok_if=VERSION_NOT_FOUND,
            refuse_if="UnsuccessfullyDeletedLaunchTemplateVersions",
            cleanup=True,
        )


def _latest(numbers: Sequence[int], count: int) -> Sequence[int]:
    return numbers[-count:] if count > 0 else ()


def delete(live: Live, _: Json) -> Sequence[Action]:
    """DeleteLaunchTemplate, which deletes all versions."""
    return [Call("ec2", "DeleteLaunchTemplate", {"LaunchTemplateId": live.attrs["id"]}, ok_if=NOT_FOUND)]


def tag(live: Live, add: Mapping[str, str], remove: Sequence[str]) -> Sequence[Action]:
    """DeleteTags and CreateTags by the template's id."""
    return ec2.tag_calls(live, add, remove, NOT_VISIBLE_YET)


def disruption(_: Live, __: Want, diff: Diff) -> str:
    """The effect of ``diff`` on running jobs, as one sentence."""
    if diff.replaces:
        return "compute environments switch to the new template"
    return (
        "not affected (instances keep their version; compute environments that use $Default or $Latest get the new one"
        " at their next infrastructure update)"
    )


def side_effects(
    _live: Live, want: Want, diff: Diff, _changing: Mapping[Address, Verb], declared: Declared
) -> Reads[Sequence[Finding]]:
    """A note that names the declared compute environments that follow ``$Latest`` or ``$Default`` of the template."""
    yield from ()  # no calls: what is declared suffices
    users = [str(one.address) for one in declared.section("computeEnvironments") if _follows(one, want, declared)]
    if not users or not diff.under(DATA):
        return ()
    note = f"{', '.join(users)} use{'' if users[1:] else 's'} its $Default or $Latest version"
    return (Finding((), note, code=codes.ADVICE, warning=True),)


def _follows(environment: Resource, want: Want, declared: Declared) -> bool:
    template = mapping(at(environment.props, "computeResources", "launchTemplate"))
    for ask in (template, *(item for _, item in entries(template.get("overrides")))):
        found = declared.resource("launchTemplates", ask.get("launchTemplateName") or ask.get("launchTemplateId"))
        if found and found.address == want.address and (ask.get("version") or "$Default") in ("$Default", "$Latest"):
            return True
    return False


def _more(scope: Scope, resource: Resource) -> Iterator[Grant]:
    """The parameter that names the image: ``resolve:ssm:NAME``."""
    image = at(resource.props, "launchTemplateData", "imageId")
    named = image.removeprefix("resolve:ssm:") if isinstance(image, str) else ""
    if named and named != image:
        name = named.partition(":")[0].lstrip("/")
        of_aws = f"arn:{scope.partition}:ssm:{scope.region}::parameter/{name}"
        arn = of_aws if name.startswith("aws/") else scope.arn("ssm", f"parameter/{name}")
        why = "EC2 reads the image of a parameter"
        yield Grant(actions=("ssm:GetParameters",), resources=(arn,), why=why)


ACCESS = Access(
    types=("ec2:launch-template",),
    reads=("ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"),
    looks=("batch:DescribeComputeEnvironments",),
    referrers=("ec2:DescribeLaunchTemplateVersions",),
    creates=("ec2:CreateLaunchTemplate",),
    changes=(
        *("ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"),
        "ec2:DeleteLaunchTemplateVersions",
    ),
    deletes=("ec2:DeleteLaunchTemplate",),
    tags=("ec2:CreateTags", "ec2:DeleteTags"),
    id_form=r"lt-[0-9a-f]+",
    more=_more,
)


RECORDED = Recorded(
    service="ec2",
    named=("*.LaunchTemplateId", "*.LaunchTemplateName", ec2.TAGGED),  # in capitals below the name of the request
    create=("CreateLaunchTemplate",),
    update=lambda _: ("CreateLaunchTemplateVersion", "ModifyLaunchTemplate"),
    delete=("DeleteLaunchTemplate",),
    tag=ec2.TAG_EVENTS,
    by="id",
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_launch_template": ("id", "name")},
    cloudformation={"AWS::EC2::LaunchTemplate": "LaunchTemplateName"},
)

KIND = Kind(
    name="launch template",
    section="launchTemplates",
    file="instances",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeLaunchTemplates",
            frozenset({"Filters"}),
            Call("ec2", "DescribeLaunchTemplates", {}, all_pages=True),
        ),
    ),
    recorded=RECORDED,
    name_member="launchTemplateName",
    everything=listing(
        DESCRIBE,
        "LaunchTemplates",
        "LaunchTemplateName",
        "LaunchTemplateId",
        unless=lambda item: item["LaunchTemplateName"].startswith(OF_BATCH),
    ),
    read=read,
    read_leaving=ReadLeaving(read_leaving, most=200),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    refs=data_fields.REFS,
    referrers=referrers,
    lookups=data_fields.LOOKUPS,
    api=Api(
        service="ec2",
        create=("CreateLaunchTemplate",),
        update=("CreateLaunchTemplateVersion",),
        reply="DescribeLaunchTemplateVersions.launchTemplateVersions[]",
        below=(DATA,),
    ),
    assigned_by_aws=frozenset({"id", *NUMBERS}),
    changed_by_update=NUMBERS,
    replace=Replace.CREATE_FIRST,
    max_name=128,
    expand=expand,
    normalize=normalize,
    check=check,
    disruption=disruption,
    notes=notes,
    side_effects=side_effects,
)
