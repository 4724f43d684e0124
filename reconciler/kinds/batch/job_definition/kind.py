"""AWS Batch job definitions.

What is peculiar about them:

- There is no update: every registration creates the next revision, even if its content is the same. The declared
  properties are compared with the latest ACTIVE revision in canonical form, so that only real changes register one.
- A deletion deregisters the revisions one by one. An INACTIVE revision remains visible for 180 days, and counts as
  deleted.
- Submitted jobs keep their revision.
- A revision that event rules, schedules, other definitions or unfinished jobs refer to is not deregistered
  (:mod:`.dependents`).
- Tags belong to one revision, and can be changed without a new one.

https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDefinition.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.batch.job_definition import (
    container_fields,
    images,
    retry_strategy,
    rule_sets,
)
from reconciler.kinds.batch.job_definition.checks import check
from reconciler.kinds.batch.job_definition.container_fields import CONTAINERS, PODS, RANGE, TASKS
from reconciler.kinds.common.declared import entries
from reconciler.kinds.common.normal_forms import bare, unless, without
from reconciler.model import (
    OWNER_TAG,
    Access,
    Action,
    Api,
    Call,
    CompleteList,
    Diff,
    Field,
    Json,
    Kind,
    Lifecycle,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    ReadMany,
    Reads,
    Ref,
    Scope,
    Sought,
    Want,
)
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.batch.job_definition.audit import AUDIT
    from reconciler.kinds.batch.job_definition.dependents import (
        definitions,
        jobs,
        mentions,
        referrers,
        rules,
        scheduled,
    )
    from reconciler.kinds.batch.job_definition.diagnosis import DIAGNOSIS
    from reconciler.kinds.batch.job_definition.preflight import preflight
    from reconciler.kinds.batch.job_definition.retries import retries
    from reconciler.kinds.batch.job_definition.submission import submission
    from reconciler.kinds.common import ownership_index
    from reconciler.kinds.common.ownership_index import index, not_sought, owned_names, tags_from_index
    from reconciler.kinds.common.replies import ok

OPERATION = "DescribeJobDefinitions"
ACTIVE = {"status": "ACTIVE"}
FEW = 3  # names that are read by name
MOST_AT_ONCE = 10_000
FRUITLESS_PAGES = 5  # consecutive pages without a sought name, after which definitions are read by name
READ_ONLY = frozenset({"jobDefinitionArn", "revision", "status", "containerOrchestrationType"})
NAME = "jobDefinitionName"
CONSUMABLES = ("consumableResourceProperties", f"{RANGE}.consumableResourceProperties")


# AWS deletes a consumable resource although definitions refer to it; jobs that need it wait then.
# without a revision it means the latest one, as the name does
ARN_OF_LATEST = r"arn:[^:]+:batch:[^:]+:\d{12}:job-definition/(?P<name>[^:/]+)"
CONSUMABLE = Ref(section="consumableResources", attr="name", holds=False)


def _without_default_platform(value: Any) -> Any:
    """None for ``[EC2]``, the default of ``platformCapabilities``."""
    return None if list(value or ()) == ["EC2"] else value


def _consumables(at: str) -> dict[str, Field]:
    listed = f"{at}.consumableResourceList"
    return {listed: Field(key="consumableResource"), f"{listed}[].consumableResource": Field(normalize=bare)}


FIELDS: dict[str, Field] = {
    NAME: Field(ignore=True),
    "schedulingPriority": Field(normalize=unless(0)),
    "propagateTags": container_fields.FALSE_IS_ABSENT,
    "platformCapabilities": Field(unordered=True, normalize=_without_default_platform),
    **retry_strategy.FIELDS,
    "nodeProperties.nodeRangeProperties": Field(key="targetNodes"),
    f"{RANGE}.instanceTypes": Field(unordered=True),
    **{path: facts for at in CONTAINERS for path, facts in container_fields.container(at).items()},
    **{path: facts for at in TASKS for path, facts in container_fields.tasks(at).items()},
    **{path: facts for at in PODS for path, facts in container_fields.pod(at).items()},
    **{path: facts for at in CONSUMABLES for path, facts in _consumables(at).items()},
}

REFS = {
    **container_fields.REFS,
    **{f"{at}.consumableResourceList[].consumableResource": CONSUMABLE for at in CONSUMABLES},
}

LOOKUPS = {
    **dict.fromkeys(images.PLACES, "repositoryImage"),
    **{f"{at}.volumes[].efsVolumeConfiguration.fileSystemId": "fileSystem" for at in (*CONTAINERS, *TASKS)},
}

PASSES_ROLES = {path: container_fields.ECS_TASKS for path, ref in REFS.items() if ref.section == "roles"}


def read(query: Query) -> Reads[Sequence[Live]]:
    """The ACTIVE revisions of sought names and those that the environment owns, sorted by name and revision.

    With owned revisions also the unowned ones of the same name: a removal keeps them, with a note.
    """
    names = sorted({sought.name for sought in query.sought})
    swept = (yield from _all_revisions(query, names)) if query.owned and (names or not query.indexed) else None
    found = swept if swept is not None else (yield from _named(query, names))
    active = [item for item in found if item.get("status", "ACTIVE") == "ACTIVE"]
    chosen = [item for item in active if batch.matches_query(query, item[NAME], item.get("tags") or {})]
    ours = {item[NAME] for item in chosen} - set(names)
    beside = [item for item in active if item[NAME] in ours and OWNER_TAG not in (item.get("tags") or {})]
    lives = [_live(item) for item in (*chosen, *beside)]
    return sorted(lives, key=lambda live: (live.attrs["name"], live.revision))


def read_many(query: Query) -> Reads[Sequence[Live] | None]:
    """The ACTIVE revisions of sought names, from the pages that list all of them."""
    names = sorted({sought.name for sought in query.sought})
    found = (yield from _all_revisions(query, names)) if len(names) > FEW else None
    if found is None:
        return None
    wanted = frozenset(names)
    return [_live(item) for item in found if item[NAME] in wanted and item.get("status", "ACTIVE") == "ACTIVE"]


def _all_revisions(query: Query, names: Sequence[str]) -> Reads[list[Json] | None]:
    """All ACTIVE revisions of the account, 100 a page; None if reading by name needs fewer calls."""
    wanted, seen = frozenset(names), set[str]()
    found: list[Json] = []
    fresh: list[int] = []
    token = ""
    while True:
        call = batch.page(OPERATION, ACTIVE, token)
        (reply,) = yield (call,)
        answer = ok(call, reply) or {}
        items = answer.get("jobDefinitions", [])
        found += items
        ours = {item[NAME] for item in items} & wanted
        fresh.append(len(ours - seen))
        seen |= ours
        token = answer.get("nextToken") or ""
        if not token:
            return found
        if query.indexed and _too_many_others(fresh, len(wanted)):
            return None


def _too_many_others(fresh: Sequence[int], wanted: int) -> bool:
    """Whether reading each name needs fewer calls than reading more pages. The number of pages is unknown.

    ``fresh`` is the number of sought names that appeared first on each page, ``wanted`` the number of sought names.
    True after many consecutive pages without a new name; and if, at the higher of the overall and the recent rate, the
    remaining names would take more pages than there are names.
    """
    pages, seen = len(fresh), sum(fresh)
    barren = next((i for i, count in enumerate(reversed(fresh)) if count), pages)
    if barren >= max(FRUITLESS_PAGES, wanted // 4):
        return True
    rate = max(seen / pages, sum(fresh[-FRUITLESS_PAGES:]) / FRUITLESS_PAGES)
    return bool(seen) and pages >= FRUITLESS_PAGES and (wanted - seen) / rate > wanted


def _named(query: Query, names: Sequence[str]) -> Reads[list[Json]]:
    ask = index(query, ("batch:job-definition",) if names else ownership_index.LARGE)
    calls = tuple(_by_name(name) for name in names)
    replies = (yield (*ask, *calls)) if ask or calls else ()
    tagged = yield from tags_from_index(ask, replies[: len(ask)])
    revisions = owned_names(tagged, query.scope, "batch", "job-definition/")
    others = dict.fromkeys(not_sought(query, (revision.rpartition(":")[0] for revision in revisions)))
    found = batch.items_in(calls, replies[len(ask) :], "jobDefinitions")
    more = tuple(_by_name(name) for name in others)
    return found + ((yield from batch.listed(more, "jobDefinitions")) if more else [])


def _by_name(name: str) -> Call:
    return Call("batch", OPERATION, {NAME: name, **ACTIVE}, all_pages=True)


def _live(item: Json) -> Live:
    name, revision = str(item[NAME]), int(item["revision"])
    own = READ_ONLY | {NAME, "tags"}
    return Live(
        physical=f"{name}:{revision}",
        attrs={
            "name": name,
            "arn": str(item["jobDefinitionArn"]),
            "arnPrefix": str(item["jobDefinitionArn"]).rpartition(":")[0],
            "revision": str(revision),
        },
        props={member: value for member, value in item.items() if member not in own},
        tags=dict(item.get("tags") or {}),
        status="ACTIVE",
        revision=revision,
    )


def attrs(scope: Scope, name: str, _props: Json) -> Mapping[str, str]:
    """The name, and the ARN without a revision, which no new revision changes; AWS assigns ARN and revision."""
    bare_name = name.split(":", maxsplit=1)[0]
    return {"name": bare_name, "arnPrefix": scope.arn("batch", f"job-definition/{bare_name}")}


def expand(props: Json) -> Json:
    """The properties without read-only members, and with sets of retry rules written out."""
    return rule_sets.expand(without(props, *READ_ONLY))


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Both sides with vCPUs and memory in the same notation, and with roles by ARN."""
    left, right = container_fields.with_role_arns(live.props, want.declared), want.declared
    for member, same in (("containerProperties", container_fields.same_notation), ("nodeProperties", _nodes)):
        one, two = left.get(member), right.get(member)
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            left_one, right_one = same(one, two)
            if left_one is not one or right_one is not two:
                left, right = {**left, member: left_one}, {**right, member: right_one}
    return left, right


def _nodes(live: Json, want: Json) -> tuple[Json, Json]:
    """Both sides; the containers of node ranges with the same ``targetNodes`` are in the same notation."""
    member = "nodeRangeProperties"
    left = [dict(item) for _, item in entries(live.get(member))]
    right = [dict(item) for _, item in entries(want.get(member))]
    free = list(right)
    for item in left:
        other = next((some for some in free if some.get("targetNodes") == item.get("targetNodes")), None)
        if other is None:
            continue
        free.remove(other)
        one, two = item.get("container"), other.get("container")
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            item["container"], other["container"] = container_fields.same_notation(one, two)
    return {**live, member: left}, {**want, member: right}


def create(want: Want) -> Sequence[Action]:
    """The call that registers the next revision.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html
    """
    props = without(want.declared, NAME)
    params = {NAME: want.physical.split(":")[0], **props, **({"tags": dict(want.tags)} if want.tags else {})}
    gives = {"arn": "jobDefinitionArn", "revision": "revision"}
    return [Call("batch", "RegisterJobDefinition", params, captures=gives, proof=Proof.SAME)]


def update(_live: Live, want: Want, _diff: Diff) -> Sequence[Action]:
    """Registers the next revision: AWS has no update."""
    return create(want)


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    """Deregisters one revision.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_DeregisterJobDefinition.html
    """
    deleted = (batch.MISSING, On(message="INACTIVE"), On(message="not found"))
    return [batch.write("DeregisterJobDefinition", {"jobDefinition": live.attrs["arn"]}, retry_on=(), ok_if=deleted)]


def rival(want: Want, captured: Mapping[str, Any]) -> Reads[tuple[str, Sequence[Call]]]:
    """Whether an ACTIVE revision of another owner is older than the one just registered, which is then deregistered.

    The numbers of a name begin with 1, so the first revision needs no read.
    """
    own = int(captured.get("revision", 1))
    if own <= 1:
        return "", ()
    query = Query(scope=want.scope, sought=(Sought(want.physical.split(":")[0]),))
    lives = yield from read(query)
    others = [live for live in lives if live.revision < own and live.owner != want.scope.environment]
    if not others:
        return "", ()
    whose = f"belongs to {others[-1].owner}" if others[-1].owner else "belongs to no environment"
    undo = batch.write("DeregisterJobDefinition", {"jobDefinition": captured["arn"]}, retry_on=())
    return f"{others[-1].physical} was registered since the plan and {whose}; {own} is deregistered", (undo,)


def disruption(live: Live, _want: Want, _diff: Diff) -> str:
    """Submitted jobs keep their revision."""
    return f"not affected (they keep revision {live.revision}; new jobs use the next revision)"


def deletion_effect(_live: Live, _lifecycle: Lifecycle | None) -> str:
    """Submitted jobs continue with their revision, although it is INACTIVE."""
    return "not affected; no new jobs can be submitted with it"


def _arns(scope: Scope, name: str, _: Json) -> Sequence[str]:
    """Without a revision, as it is registered, and every revision."""
    arn = scope.arn("batch", f"job-definition/{name}")
    return arn, f"{arn}:*"


ACCESS = Access(
    types=("batch:job-definition", "batch:job-definition-revision"),
    always=("batch:DescribeJobDefinitions",),
    preflight=(
        *("batch:DescribeComputeEnvironments", "ecs:ListContainerInstances", "ecs:DescribeContainerInstances"),
        *("ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:DescribePullThroughCacheRules"),
        *("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        *("iam:GetRole", "iam:ListAttachedRolePolicies", "iam:SimulatePrincipalPolicy", "logs:DescribeLogGroups"),
        *("ec2:DescribeInstanceTypes", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups"),
        *("ec2:DescribeRouteTables", "ec2:DescribeVpcEndpoints", "servicequotas:GetServiceQuota"),
    ),
    removals=(
        *("batch:DescribeJobQueues", "batch:ListJobs"),
        *("events:ListEventBuses", "events:ListRules", "events:ListTargetsByRule", "events:ListRuleNamesByTarget"),
        *("scheduler:ListSchedules", "scheduler:GetSchedule"),
    ),
    creates=("batch:RegisterJobDefinition",),
    deletes=("batch:DeregisterJobDefinition",),
    tags=batch.TAGS,
    arns=_arns,
)


RECORDED = Recorded(
    service="batch",
    named=("jobDefinitionName", "jobDefinition", "resourceArn"),
    create=("RegisterJobDefinition",),
    update=lambda _: ("RegisterJobDefinition", "DeregisterJobDefinition"),
    delete=("DeregisterJobDefinition",),
    also=lambda attrs: [attrs["arnPrefix"]] if "arnPrefix" in attrs else [],
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_batch_job_definition": ("arn", "name")},
    cloudformation={"AWS::Batch::JobDefinition": "JobDefinitionName"},
)

KIND = Kind(
    name="job definition",
    section="jobDefinitions",
    audit=AUDIT,
    file="jobs",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeJobDefinitions",
            frozenset({"jobDefinitionName", "status"}),
            Call("batch", "DescribeJobDefinitions", {"status": "ACTIVE"}, all_pages=True),
        ),
    ),
    recorded=RECORDED,
    name_member="jobDefinitionName",
    lookups=LOOKUPS,
    everything=batch.everything(OPERATION, "jobDefinitions", NAME, ACTIVE),
    read=read,
    read_many=ReadMany(read_many, most=MOST_AT_ONCE),
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=batch.tag,
    fields=FIELDS,
    refs=REFS,
    assigned_by_aws=frozenset({"arn", "revision"}),
    arn_forms=(ARN_OF_LATEST,),
    versioned=True,
    passes_roles=PASSES_ROLES,
    api=Api(
        service="batch",
        create=("RegisterJobDefinition",),
        update=("RegisterJobDefinition",),
        reply="DescribeJobDefinitions.jobDefinitions[]",
    ),
    expand=expand,
    declared_at=rule_sets.declared_at,
    normalize=normalize,
    rival=rival,
    check=check,
    relations=images.relations,
    disruption=disruption,
    retries=retries,
    preflight=preflight,
    diagnosis=DIAGNOSIS,
    submits=submission,
    deletion_effect=deletion_effect,
    dependents=(rules, scheduled, definitions, jobs),
    referrers=referrers,
    mentions=mentions,
)
