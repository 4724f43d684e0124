"""IAM service-linked roles: created if missing, and nothing else.

What is peculiar about them:

- They belong to a service and to the whole account: shared, so never owned, tagged, updated or deleted.
- They are created for a service, which chooses the name: the names of services around Batch are in ``NAMES``, others
  are looked up by their path.
- IAM reports an existing role as ``InvalidInput``, not as ``EntityAlreadyExists``.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceLinkedRole.html
https://docs.aws.amazon.com/batch/latest/userguide/using-service-linked-roles.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.kinds.common.policy_document.checks import service
from reconciler.kinds.iam._common import ABSENT, change
from reconciler.model import (
    Access,
    Action,
    Call,
    CompleteList,
    Diff,
    Existing,
    Field,
    Finding,
    Grant,
    Json,
    Kind,
    Live,
    On,
    OtherTools,
    Proof,
    Query,
    Reads,
    Resource,
    Scope,
    Sought,
    Want,
)
from reconciler.model.patterns import regex
from reconciler.model.recorded import Recorded
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.replies import ok, tag_map

NAMES = {
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
    "batch.amazonaws.com": "AWSServiceRoleForBatch",
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "ec2fleet.amazonaws.com": "AWSServiceRoleForEC2Fleet",
    "eks.amazonaws.com": "AWSServiceRoleForAmazonEKS",
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
    "spotfleet.amazonaws.com": "AWSServiceRoleForEC2SpotFleet",
}

# both are only used when the role is created
LIST = Call("iam", "ListRoles", {"PathPrefix": "/aws-service-role/"}, all_pages=True)
FIELDS = {"description": Field(ignore=True), "customSuffix": Field(ignore=True)}

ALREADY_EXISTS = (On("InvalidInput", "has been taken"),)

_SUFFIX = regex(r"[A-Za-z0-9_+=,.@-]{1,64}")


def _name(name: str, props: Json) -> str | None:
    suffix = props.get("customSuffix")
    known = NAMES.get(name)
    return f"{known}_{suffix}" if known and suffix else known


def attrs(scope: Scope, name: str, props: Json) -> Mapping[str, str]:
    """``name`` and ``arn`` of the role; empty for a service that is not in ``NAMES``, where AWS assigns them."""
    role = _name(name, props)
    arn = scope.arn("iam", f"role/aws-service-role/{name}/{role}", region="")
    return {"name": role, "arn": arn} if role else {}


def read(query: Query) -> Reads[Sequence[Live]]:
    """GetRole for services in ``NAMES``, else ListRoles by the service's path."""
    calls = tuple(_find_call(sought) for sought in query.sought)
    replies = (yield calls) if calls else ()
    lives = []
    for sought, call, reply in zip(query.sought, calls, replies, strict=True):
        answer = ok(call, reply, ABSENT) or {}
        roles = [answer["Role"]] if "Role" in answer else answer.get("Roles", ())
        suffix = sought.props.get("customSuffix")
        fitting = [role for role in roles if not suffix or role["RoleName"].endswith(f"_{suffix}")]
        lives += [_live(sought.name, role) for role in fitting[:1]]
    return lives


def _find_call(sought: Sought) -> Call:
    role = _name(sought.name, sought.props)
    if role:
        return Call("iam", "GetRole", {"RoleName": role})
    return Call("iam", "ListRoles", {"PathPrefix": f"/aws-service-role/{sought.name}/"}, all_pages=True)


def _live(name: str, role: Json) -> Live:
    attributes = {"name": role["RoleName"], "arn": role["Arn"]}
    description = {"description": role["Description"]} if role.get("Description") else {}
    return Live(physical=name, attrs=attributes, props=description, tags=tag_map(role.get("Tags")))


def everything(_: Scope) -> Reads[Sequence[Existing]]:
    """Every service-linked role, by its service; of several for one service the first, as a name means one."""
    (reply,) = yield (LIST,)
    found = (ok(LIST, reply) or {}).get("Roles", ())
    services = [str(role["Path"]).strip("/").rpartition("/")[2] for role in found]
    return [Existing(Sought(name)) for name in dict.fromkeys(services)]


def create(want: Want) -> Sequence[Action]:
    """CreateServiceLinkedRole; an existing role is a success."""
    members = {"description": "Description", "customSuffix": "CustomSuffix"}
    given = {api: want.declared[ours] for ours, api in members.items() if want.declared.get(ours)}
    params = {"AWSServiceName": want.address.name, **given}
    call = change("CreateServiceLinkedRole", params, ok_if=ALREADY_EXISTS, proof=Proof.EXISTS)
    return [replace(call, captures={"name": "Role.RoleName", "arn": "Role.Arn"})]


def update(_live: Live, _want: Want, _diff: Diff) -> Sequence[Action]:
    """No calls: the role belongs to AWS."""
    return []


def delete(_live: Live, _declared: Json) -> Sequence[Action]:
    """No calls: the role belongs to the account."""
    return []


def tag(_live: Live, _add: Mapping[str, str], _remove: Sequence[str]) -> Sequence[Action]:
    """No calls: the role is never owned."""
    return []


# services without such a role, with the one that was probably intended
NO_SUCH_ROLE = {
    "ec2.amazonaws.com": "Spot Instances it is spot.amazonaws.com, for Spot fleets spotfleet.amazonaws.com",
    "ecs-tasks.amazonaws.com": "ECS it is ecs.amazonaws.com",
}


def check(name: str, props: Json) -> Iterable[Finding]:
    """Findings about the service and the suffix."""
    yield from service(name, ())
    if name in NO_SUCH_ROLE:
        hint = f"for {NO_SUCH_ROLE[name]}; other roles are declared under roles"
        yield Finding(path=(), message=f"{name} has no service-linked role", hint=hint)
    suffix = props.get("customSuffix")
    if isinstance(suffix, str) and not _SUFFIX.fullmatch(suffix):
        hint = "at most 64 letters, digits and _ + = , . @ -"
        yield Finding(path=("customSuffix",), message=f'"{suffix}" is not a valid suffix', hint=hint)
    if suffix and name == "batch.amazonaws.com":
        hint = "remove customSuffix"
        yield Finding(path=("customSuffix",), message="the role of AWS Batch cannot have a suffix", hint=hint)


def _more(scope: Scope, resource: Resource) -> Iterator[Grant]:
    service = resource.address.name
    if service not in NAMES:
        yield Grant(actions=("iam:ListRoles",), resources=("*",), why="read", planned=True)
    yield Grant(
        actions=("iam:CreateServiceLinkedRole",),
        resources=(scope.arn("iam", f"role/aws-service-role/{service}/*", region=""),),
        conditions={"iam:AWSServiceName": (service,)},
        only_created=True,
        why="create if missing",
    )


def _arns(scope: Scope, name: str, props: Json) -> Iterator[str]:
    """The role in the path of its service; while it does not exist, a request by name alone has no path."""
    yield scope.arn("iam", f"role/aws-service-role/{name}/*", region="")
    if role := attrs(scope, name, props).get("name"):
        yield scope.arn("iam", f"role/{role}", region="")


ACCESS = Access(
    types=("iam:role",),
    reads=("iam:GetRole",),
    arns=_arns,
    more=_more,
)


RECORDED = Recorded(
    service="iam",
    named=("roleName",),
    create=("CreateServiceLinkedRole",),
    update=lambda _: ("UpdateRole", "UpdateRoleDescription"),
    delete=("DeleteServiceLinkedRole",),
    tag=("TagRole", "UntagRole"),
    by="name",
    at_home=True,
)

OTHER_TOOLS = OtherTools(
    terraform={"aws_iam_service_linked_role": ("aws_service_name",)},
    cloudformation={"AWS::IAM::ServiceLinkedRole": "AWSServiceName"},
)

KIND = Kind(
    name="service-linked role",
    section="serviceLinkedRoles",
    file="iam",
    other_tools=OTHER_TOOLS,
    access=ACCESS,
    complete_lists=(
        CompleteList(
            "ListRoles",
            frozenset({"PathPrefix"}),
            LIST,
        ),
    ),
    recorded=RECORDED,
    everything=everything,
    read=read,
    attrs=attrs,
    create=create,
    update=update,
    delete=delete,
    tag=tag,
    fields=FIELDS,
    assigned_by_aws=frozenset({"name", "arn"}),
    arn_forms=(r"arn:[^:]+:iam::\d{12}:role/aws-service-role/(?P<name>[^/:]+)/[^/:]+",),
    shared=True,
    max_name=128,
    check=check,
)
