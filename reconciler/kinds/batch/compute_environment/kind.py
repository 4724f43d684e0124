"""AWS Batch compute environments.

What is peculiar about them:

- The effect of an update depends on more than the property. Scaling properties change at any time. The properties of
  instances need an *infrastructure update*, which is possible only with the service-linked role and a strategy other
  than BEST_FIT. All others need a replacement. :mod:`.effects` decides.
- An environment is created ENABLED and without ``updatePolicy``; an update sets DISABLED and the policy when it is
  VALID.
- The service changes ``desiredvCpus`` and fills in ``ec2Configuration``.
- The service does not refuse a role or instance profile that it does not see yet: the environment becomes INVALID.
  Setting the service role again repairs that.
- Only a DISABLED environment that no queue lists can be deleted, and the service notices late that a queue no longer
  lists it.

https://docs.aws.amazon.com/batch/latest/userguide/updating-compute-environments.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeEnvironmentDetail.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.batch import _queue_dependents as queue_users
from reconciler.kinds.batch.compute_environment import effects, images, side_effects
from reconciler.kinds.batch.compute_environment.checks import check
from reconciler.kinds.batch.compute_environment.fields import FIELDS
from reconciler.kinds.batch.compute_environment.relations import relations
from reconciler.kinds.batch.compute_environment.side_effects import UPDATE_POLICY
from reconciler.kinds.common.declared import at, entries, mapping
from reconciler.kinds.common.normal_forms import bare, without
from reconciler.model import (
    MISSING,
    Access,
    Action,
    Api,
    Call,
    CompleteList,
    Diff,
    Disruption,
    Grant,
    Json,
    Kind,
    Lifecycle,
    Live,
    OtherTools,
    Proof,
    Query,
    ReadMany,
    Reads,
    Ref,
    Referrer,
    Replace,
    Resource,
    Scope,
    Want,
)
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.batch._diagnosis.queues import DIAGNOSIS_OF_ENVIRONMENT
    from reconciler.kinds.batch.compute_environment import template_names, waits
    from reconciler.kinds.batch.compute_environment.audit import AUDIT
    from reconciler.kinds.batch.compute_environment.drain import disable, drain, drains
    from reconciler.kinds.batch.compute_environment.preflight import preflight
    from reconciler.kinds.batch.compute_environment.status import READER
    from reconciler.kinds.common.referrers import referrer

READ_ONLY = frozenset(
    {"computeEnvironmentArn", "ecsClusterArn", "status", "statusReason", "uuid", "containerOrchestrationType"}
)
SERVICE_LINKED_ROLE = "role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"

_RESOURCES = "computeResources"

API = Api(
    service="batch",
    create=("CreateComputeEnvironment",),
    update=("UpdateComputeEnvironment",),
    reply="DescribeComputeEnvironments.computeEnvironments[]",
    aside=frozenset({"computeEnvironment"}),
    effects={_RESOURCES: effects.infrastructure},
)
_PROVIDER = f"{_RESOURCES}.managedInstancesProvider"
_ROLE = Ref(section="roles", same_account_and_region=True)
_PROFILE = Ref(section="instanceProfiles", same_account_and_region=True)
_SECURITY_GROUP = Ref(section="securityGroups", attr="id", literal=r"sg-")
_TEMPLATES = (f"{_RESOURCES}.launchTemplate", f"{_RESOURCES}.launchTemplate.overrides[]")

REFS = {
    "serviceRole": _ROLE,
    f"{_RESOURCES}.instanceRole": _PROFILE,
    f"{_RESOURCES}.spotIamFleetRole": _ROLE,
    f"{_RESOURCES}.securityGroupIds[]": _SECURITY_GROUP,
    f"{_RESOURCES}.ec2KeyPair": Ref(section="keyPairs", attr="name", literal=r"$", holds=False),
    f"{_RESOURCES}.placementGroup": Ref(section="placementGroups", attr="name", literal=r"$"),
    **{f"{at}.launchTemplateName": Ref(section="launchTemplates", attr="name", literal=r"$") for at in _TEMPLATES},
    **{
        f"{at}.launchTemplateId": Ref(section="launchTemplates", attr="id", literal=r"lt-[0-9a-f]+$|$")
        for at in _TEMPLATES
    },
    f"{_PROVIDER}.infrastructureRoleArn": _ROLE,
    f"{_PROVIDER}.instanceLaunchTemplate.ec2InstanceProfileArn": _PROFILE,
    f"{_PROVIDER}.instanceLaunchTemplate.networkConfiguration.securityGroups[]": _SECURITY_GROUP,
}

LOOKUPS = {
    f"{_RESOURCES}.subnets[]": "subnets",
    f"{_RESOURCES}.securityGroupIds[]": "securityGroup",
    f"{_RESOURCES}.imageId": "image",
    f"{_RESOURCES}.ec2Configuration[].imageIdOverride": "image",
    f"{_PROVIDER}.instanceLaunchTemplate.networkConfiguration.subnets[]": "subnets",
}

PASSES_ROLES = {
    "serviceRole": "batch.amazonaws.com",
    f"{_RESOURCES}.instanceRole": "ec2.amazonaws.com",
    f"{_RESOURCES}.spotIamFleetRole": "spotfleet.amazonaws.com",
    f"{_PROVIDER}.infrastructureRoleArn": "ecs.amazonaws.com",
    f"{_PROVIDER}.instanceLaunchTemplate.ec2InstanceProfileArn": "ec2.amazonaws.com",
}


# --- reading and comparing -------------------------------------------------------------------------------------------


def read(query: Query) -> Reads[Sequence[Live]]:
    """The environments of sought names, and those that the environment owns; sorted by name, DELETED ones left out."""
    member = "computeEnvironments"
    found = yield from batch.described(
        "DescribeComputeEnvironments", member, "computeEnvironmentName", "compute-environment/", query
    )
    lives = [
        batch.live_object(item, "computeEnvironment", read_only=READ_ONLY)
        for item in found
        if item.get("status") != "DELETED"
        and batch.matches_query(query, item["computeEnvironmentName"], item.get("tags") or {})
    ]
    found_lives = yield from template_names.with_both(lives, query)
    return sorted(found_lives, key=lambda live: live.physical)


def referrers(scope: Scope, _: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
    """Every environment of the account: AWS cannot delete one without its role, nor run jobs without the others."""
    found = yield from batch.every("DescribeComputeEnvironments", "computeEnvironments")
    return [
        referrer(
            scope,
            "compute environment",
            item["computeEnvironmentName"],
            item["computeEnvironmentArn"],
            item,
            item.get("tags"),
        )
        for item in found
        if item.get("status") != "DELETED"
    ]


def expand(props: Json) -> Json:
    """The properties without read-only members, which the output of a describe contains."""
    plain = dict(without(props, *READ_ONLY))
    eks, resources = plain.get("eksConfiguration"), plain.get(_RESOURCES)
    if isinstance(eks, Mapping) and isinstance(eks.get("accessEntry"), Mapping):
        plain["eksConfiguration"] = {**eks, "accessEntry": without(eks["accessEntry"], "status")}
    if isinstance(resources, Mapping) and isinstance(resources.get("ec2Configuration"), list):
        images = [
            without(item, "batchImageStatus") if isinstance(item, Mapping) else item
            for item in resources["ec2Configuration"]
        ]
        plain[_RESOURCES] = {**resources, "ec2Configuration": images}
    return plain


def normalize(live: Live, want: Want) -> tuple[Json, Json]:
    """Both sides with the defaults of their type of environment; the live one without what AWS filled in."""
    left, right = dict(live.props), dict(want.props)
    if right.get("type") == "MANAGED" and not right.get("serviceRole"):
        right["serviceRole"] = _service_linked(want.scope)
    for side in (left, right):
        if effects.family(side) == effects.INSTANCES:
            side["updatePolicy"] = {**UPDATE_POLICY, **mapping(side.get("updatePolicy"))}
            side[_RESOURCES] = {**_instance_defaults(side), **_without_empty(side[_RESOURCES])}
        else:
            side.pop("updatePolicy", None)
            if isinstance(side.get(_RESOURCES), Mapping) and not side[_RESOURCES].get("minvCpus"):
                side[_RESOURCES] = without(side[_RESOURCES], "minvCpus")
    if isinstance(left.get(_RESOURCES), Mapping):
        left[_RESOURCES] = _as_declared(live, dict(left[_RESOURCES]), mapping(right.get(_RESOURCES)))
    return left, right


def _instance_defaults(props: Json) -> dict[str, Any]:
    """The default strategy is BEST_FIT, except on EKS, where a strategy is required."""
    strategy = {} if "eksConfiguration" in props else {"allocationStrategy": "BEST_FIT"}
    return {"minvCpus": 0, **strategy}


def _without_empty(resources: Json) -> dict[str, Any]:
    return {name: value for name, value in resources.items() if value is not None}


def _as_declared(owner: Live, live: dict[str, Any], wanted: Json) -> dict[str, Any]:
    """The ``computeResources`` of ``owner`` without what the service adds to the declared ones."""
    if not wanted.get("ec2Configuration") and not any(
        item.get("imageIdOverride") for _, item in entries(live.get("ec2Configuration"))
    ):
        live.pop("ec2Configuration", None)
    profile = wanted.get("instanceRole")
    if "arn:" not in str(live.get("instanceRole", "arn:")) and live["instanceRole"] == bare(profile):
        live["instanceRole"] = profile
    template, asked = live.get("launchTemplate"), mapping(wanted.get("launchTemplate"))
    if isinstance(template, Mapping) and asked:
        live["launchTemplate"] = template_names.as_declared(owner, template, asked)
    return live


# --- writing ---------------------------------------------------------------------------------------------------------


def create(want: Want) -> Sequence[Action]:
    """Create, wait until VALID, then update ``updatePolicy`` and ``state: DISABLED``, which a create does not take.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateComputeEnvironment.html
    """
    declared = dict(without(want.declared, "computeEnvironmentName"))
    policy = declared.pop("updatePolicy", None)
    after = {"updatePolicy": policy} if policy and effects.family(declared) != effects.FARGATE else {}
    if declared.get("state") == "DISABLED":
        after["state"] = "DISABLED"
    params: dict[str, Any] = {"computeEnvironmentName": want.physical}
    params |= {name: value for name, value in declared.items() if name not in after}
    if isinstance(params.get(_RESOURCES), Mapping):
        params[_RESOURCES] = without(params[_RESOURCES], "updateToLatestImageVersion")
    if want.tags:
        params["tags"] = dict(want.tags)
    role = _role(declared.get("serviceRole"), want.scope)
    return [
        batch.write("CreateComputeEnvironment", params, proof=Proof.EXISTS),
        waits.valid(want.physical, role, soonest=waits.SOONEST_CREATED),
        *(_set(want.physical, after, role) if after else ()),
    ]


def update(live: Live, want: Want, diff: Diff) -> Sequence[Action]:
    """One call with the changed properties, and the wait until VALID. An update keeps what it leaves out.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateComputeEnvironment.html
    """
    params: dict[str, Any] = {}
    for name in sorted(diff.tops()):
        if name == _RESOURCES:
            params[name] = _changed_resources(live, want, diff)
        elif name == "eksConfiguration":
            params[name] = _changed_cluster(mapping(want.props.get(name)))
        elif name == "serviceRole":
            params[name] = _role(want.props.get(name), want.scope)
        elif name == "updatePolicy":
            params[name] = {**UPDATE_POLICY, **mapping(want.props.get(name))}
        else:
            value = want.props.get(name)
            params[name] = FIELDS[name].clear if value is None and name in FIELDS else value
    if not params:
        return []
    role = _role(want.props.get("serviceRole"), want.scope)
    return _set(live.physical, params, role, proof=Proof.MOVING, **_update_times(want, diff))


def _changed_cluster(wanted: Json) -> dict[str, Any]:
    """``eksConfiguration`` without the two members that no update takes, and without the status of the access entry."""
    entry = {"desiredState": "INHERIT_FROM_CLUSTER", **mapping(wanted.get("accessEntry"))}
    kept = without(wanted, "eksClusterArn", "kubernetesNamespace")
    return {**kept, "accessEntry": without(entry, "status")}


def _changed_resources(live: Live, want: Want, diff: Diff) -> dict[str, Any]:
    wanted = mapping(want.props.get(_RESOURCES))
    sent: dict[str, Any] = {}
    for name in sorted({str(change.path[1]) for change in diff.changes if change.top == _RESOURCES}):
        value = wanted.get(name)
        if value in (None, [], {}, "") and (facts := FIELDS.get(f"{_RESOURCES}.{name}")):
            value = facts.clear
            if name == "launchTemplate" and at(live.props, _RESOURCES, name, "launchTemplateName"):
                value = {"launchTemplateName": ""}
        elif name == "launchTemplate" and not at(value, "version") and at(live.props, _RESOURCES, name, "version"):
            value = {**mapping(value), "version": "$Default"}  # so that a pin ends, whatever leaving it out means
        if name == "scalingPolicy" and not at(value, "minScaleDownDelayMinutes"):
            value = {"minScaleDownDelayMinutes": 0}
        if name == "managedInstancesProvider":
            value = effects.updatable_provider(value)
        if value is not MISSING:
            sent[name] = value
    asked = diff.under(_RESOURCES, images.LATEST)
    if asked or (wanted.get(images.LATEST) and side_effects.replaces_instances(diff)):
        sent[images.LATEST] = True
    return sent


def delete(live: Live, _declared: Json) -> Sequence[Action]:
    """Disable, delete, wait: AWS deletes only DISABLED environments that no queue lists.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteComputeEnvironment.html
    """
    disabling = () if live.props.get("state") == "DISABLED" else disable(live.physical)
    call = batch.write(
        "DeleteComputeEnvironment",
        {"computeEnvironment": live.physical},
        retry_on=(batch.BUSY, batch.RELATED),
        ok_if=(batch.MISSING,),
    )
    return [*disabling, call, waits.deleted(live.physical, may_fail=not live.invalid)]


def wait_until_settled(live: Live) -> Sequence[Action]:
    """The wait until an environment found in change is VALID, at any moment."""
    return [waits.valid(live.physical, str(live.props.get("serviceRole") or ""), soonest=0.0)]


def wait_until_gone(live: Live) -> Sequence[Action]:
    """The wait until an environment found DELETING does not exist, at any moment."""
    return [waits.deleted(live.physical, soonest=0.0)]


def takes_out_of_service(_live: Live, want: Want, diff: Diff) -> bool:
    """Whether the update disables the environment."""
    return diff.under("state") and want.props.get("state") == "DISABLED"


def repair(live: Live, want: Want) -> Sequence[Action]:
    """Set the service role again: the service then checks the whole environment again."""
    role = _role(want.props.get("serviceRole"), want.scope)
    return _set(live.physical, {"serviceRole": role}, role)


def _service_linked(scope: Scope) -> str:
    return scope.arn("iam", SERVICE_LINKED_ROLE, region="")


def _role(role: Any, scope: Scope) -> Any:
    return role or _service_linked(scope)


def _set(name: str, members: Json, role: Any, *, proof: Proof = Proof.NONE, **times: float) -> list[Action]:
    params = {"computeEnvironment": name, **members}
    return [batch.write("UpdateComputeEnvironment", params, proof=proof), waits.valid(name, role, **times)]


def _update_times(want: Want, diff: Diff) -> dict[str, float]:
    """How long the update may take, in seconds: an infrastructure update waits for running jobs, by its policy, and may
    end at any time where there are none.
    """
    if not side_effects.replaces_instances(diff):
        return {}
    minutes = at(want.props, "updatePolicy", "jobExecutionTimeoutMinutes")
    return {"timeout": 3600.0 + 60.0 * (minutes if isinstance(minutes, int) else 30), "soonest": 0.0}


def deletion_effect(live: Live, lifecycle: Lifecycle | None) -> str:
    """What the deletion does to jobs; on your own instances they continue."""
    if live.props.get("type") == "UNMANAGED":
        return Disruption("no new jobs are placed by it; jobs on your own instances continue until you end them")
    return side_effects.deletion_effect(lifecycle, drains=drains(live))


def disruption(live: Live, want: Want, diff: Diff) -> str:
    """The effect of ``diff`` on running jobs, and on jobs that wait for a type of resources that is replaced."""
    found = side_effects.disruption(want, diff, drains=drains(live))
    more = ""
    if diff.replaces and "eksConfiguration" in live.props:
        more += "; on EKS AWS Batch shows the end of the jobs only by desiredvCpus falling to 0"
    families = {effects.family(live.props), effects.family(want.props)}
    if diff.replaces and effects.FARGATE in families and len(families) > 1:
        more += "; jobs that wait in its queues with definitions for the old type of resources never start"
    return Disruption(f"{found}{more}") if isinstance(found, Disruption) else found


def _more(scope: Scope, resource: Resource) -> Iterator[Grant]:
    """The service-linked role that AWS Batch uses where no role is declared, the EKS cluster, the jobs to terminate."""
    props = resource.props
    if not props.get("serviceRole"):
        role = scope.arn("iam", f"role/aws-service-role/{batch.PRINCIPAL}/*", region="")
        yield Grant(
            actions=("iam:CreateServiceLinkedRole",),
            resources=(role,),
            conditions={"iam:AWSServiceName": (batch.PRINCIPAL,)},
            only_created=True,
            why="AWS Batch creates its service-linked role",
        )
    cluster = at(props, "eksConfiguration", "eksClusterArn")
    if cluster is not None:
        known = cluster if isinstance(cluster, str) else scope.arn("eks", "cluster/*")
        why = "AWS Batch reads the EKS cluster"
        yield Grant(actions=("eks:DescribeCluster",), resources=(known,), why=why, only_created=True)
    if resource.lifecycle.drain == "terminate":
        why = "terminate jobs"
        yield Grant(actions=("batch:TerminateJob",), resources=(scope.arn("batch", "job/*"),), why=why)


TEMPLATES = ("ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions")
ACCESS = Access(
    types=("batch:compute-environment",),
    always=("batch:DescribeComputeEnvironments",),
    looks=TEMPLATES,
    preflight=(
        *("ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "ec2:DescribeRouteTables", "ec2:DescribeVpcEndpoints"),
        *("ec2:DescribeInstanceTypeOfferings", "servicequotas:GetServiceQuota"),
        *("servicequotas:GetAWSDefaultServiceQuota", "iam:GetInstanceProfile", "iam:GetRole"),
        *("iam:ListAttachedRolePolicies", "iam:SimulatePrincipalPolicy"),
    ),
    removals=("batch:DescribeJobQueues",),
    waits=("batch:DescribeJobs", "batch:ListJobs", "ecs:DescribeClusters"),
    creates=("batch:CreateComputeEnvironment",),
    changes=("batch:UpdateComputeEnvironment",),
    deletes=("batch:UpdateComputeEnvironment", "batch:DeleteComputeEnvironment"),
    repairs={"batch:UpdateComputeEnvironment": "serviceRole"},
    tags=batch.TAGS,
    only_if=dict.fromkeys(TEMPLATES, f"{_RESOURCES}.launchTemplate"),
    more=_more,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_batch_compute_environment": ("arn", "name", "compute_environment_name")},
    cloudformation={"AWS::Batch::ComputeEnvironment": "ComputeEnvironmentName"},
)

KIND = Kind(
    name="compute environment",
    section="computeEnvironments",
    audit=AUDIT,
    status=READER,
    file="batch",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "DescribeComputeEnvironments",
            frozenset({"computeEnvironments"}),
            Call("batch", "DescribeComputeEnvironments", {}, all_pages=True),
        ),
    ),
    recorded=batch.recorded(
        "ComputeEnvironment", "computeEnvironment", "computeEnvironmentName", deep="computeResources"
    ),
    name_member="computeEnvironmentName",
    everything=batch.everything("DescribeComputeEnvironments", "computeEnvironments", "computeEnvironmentName"),
    read=read,
    read_many=ReadMany(read),
    attrs=batch.attrs("compute-environment"),
    create=create,
    update=update,
    delete=delete,
    tag=batch.tag,
    wait_until_settled=wait_until_settled,
    wait_until_gone=wait_until_gone,
    repair=repair,
    drain=drain,
    takes_out_of_service=takes_out_of_service,
    fields=FIELDS,
    refs=REFS,
    lookups=LOOKUPS,
    replace=Replace.CREATE_FIRST,
    passes_roles=PASSES_ROLES,
    api=API,
    expand=expand,
    normalize=normalize,
    check=check,
    relations=relations,
    disruption=disruption,
    deletion_effect=deletion_effect,
    notes=images.notes,
    refresh=images.refresh,
    preflight=preflight,
    side_effects=side_effects.side_effects,
    referrers=referrers,
    dependents=(queue_users.listing("computeEnvironmentOrder", "computeEnvironment"),),
    diagnosis=DIAGNOSIS_OF_ENVIRONMENT,
)
