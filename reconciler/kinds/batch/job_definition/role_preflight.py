"""The roles of a job definition: whether tasks may assume them, and what the execution role must allow.

On EC2 the role of the instances writes the log, and pulls the image if there is no execution role.

https://docs.aws.amazon.com/batch/latest/userguide/execution-IAM-role.html
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from reconciler.kinds.batch import _role_preflight
from reconciler.kinds.batch._role_preflight import Use
from reconciler.kinds.batch.job_definition import container_fields, image_facts
from reconciler.kinds.batch.job_definition.container_checks import FARGATE
from reconciler.kinds.batch.job_definition.needs import Needs
from reconciler.kinds.batch.job_definition.sites import Site
from reconciler.kinds.common.declared import as_text, at, items, mapping
from reconciler.model import Json, Path, Reads, Resource, Scope
from reconciler.model.patterns import regex
from reconciler.model.preflight import Check, Ground
from reconciler.model.stand_ins import unknown_values

SECRETS: Final = "secrets"
_INSTANCE_ROLE: Final = ("computeResources", "instanceRole")
EXECUTION, JOB = ("executionRoleArn",), ("jobRoleArn", "taskRoleArn")
_REPOSITORY: Final = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability")


def check(definition: Resource, needs: Needs, ground: Ground) -> Reads[list[Check]]:
    """A check of each role that the containers name, each once."""
    found: list[Check] = []
    seen: list[Any] = []
    for use in _uses(definition.props, ground.props(definition), needs, ground):
        if use.known not in seen:
            seen.append(use.known)
            found += yield from _role_preflight.check(use, ground)
    return found


def _uses(declared: Json, known: Json, needs: Needs, ground: Ground) -> Iterator[Use]:
    for path, holder, containers in holders(known):
        for member in (*EXECUTION, *JOB):
            if holder.get(member) is None:
                continue
            wanted = list(_needs(containers, needs, ground)) if member in EXECUTION else []
            yield Use(
                path=(*path, member),
                declared=value_at(declared, (*path, member)),
                known=holder[member],
                service=container_fields.ECS_TASKS,
                needs=wanted,
                together=partial(_of_all, repr(holder[member]), ground),
            )


def _of_all(role: str, ground: Ground) -> Collection[tuple[str, str]]:
    """What all definitions need of an execution role."""
    return ground.shared.once("needs of roles", lambda: _by_role(ground)).get(role, ())


def _by_role(ground: Ground) -> Mapping[str, Collection[tuple[str, str]]]:
    found: dict[str, dict[tuple[str, str], None]] = {}
    for definition in _asked(ground):
        needs = image_facts.needed_by(definition, ground)
        for use in _uses(definition.props, ground.props(definition), needs, ground):
            found.setdefault(repr(use.known), {}).update(dict.fromkeys(use.needs))
    return found


def _of_all_hosts(ground: Ground) -> Collection[tuple[str, str]]:
    """What all definitions need of the instances that they run on."""
    return ground.shared.once(
        "needs of hosts",
        lambda: dict.fromkeys(each for one in _asked(ground) for each in _wanted_of_hosts(one, ground)[1]),
    )


def _asked(ground: Ground) -> Iterator[Resource]:
    listed = ground.declared.section(image_facts.DEFINITIONS)
    return (one for one in listed if ground.concerns(one.address))


_SUFFIXED: Final = regex(r"-[A-Za-z0-9]{6}$")  # the ARN of a secret ends so, and policies are written for it
_LOGS: Final = ("logs:CreateLogStream", "logs:PutLogEvents")


def _needs(containers: list[Json], needs: Needs, ground: Ground) -> Iterator[tuple[str, str]]:
    """What the execution role must allow: its secrets and the image, and on Fargate the log, too."""
    for item in containers:
        for secret in (*items(item.get("secrets")), *items(at(item, "logConfiguration", "secretOptions"))):
            yield from _of_secret(source_of(mapping(secret).get("valueFrom"), ground), ground.scope)
        yield from _of_image(item, ground.scope)
        if needs.platform == FARGATE:
            yield from _of_log(item, ground.scope)


def of_hosts(definition: Resource, hosts: Sequence[Site], ground: Ground) -> Hashable:
    """What the verdicts about the roles of these hosts depend on. Of roles that are declared the actions are enough."""
    path, wanted = _wanted_of_hosts(definition, ground)
    declared = ground.shared.once(
        ("hosts declared", tuple(one.name for one in hosts)),
        lambda: all(
            _role_preflight.is_declared(at(one.own.props, *_INSTANCE_ROLE), ground) for one in hosts if one.own
        ),
    )
    return path, tuple(dict.fromkeys(action for action, _ in wanted)) if declared else tuple(wanted)


def check_hosts(definition: Resource, hosts: Resource, props: Json, ground: Ground) -> Reads[list[Check]]:
    """Whether the instances of an environment may do for a job what they do: a check of their role's permissions."""
    known = at(props, *_INSTANCE_ROLE)
    path, wanted = _wanted_of_hosts(definition, ground)
    if not wanted or known is None or ":role/" in (as_text(known) or ""):
        return []
    found = yield from _role_preflight.check(_use_of_hosts(hosts, known, path, wanted, ground), ground)
    return [replace(one, environment=hosts.address.name) for one in found if one.check == "permissions"]


def _wanted_of_hosts(definition: Resource, ground: Ground) -> tuple[Path, list[tuple[str, str]]]:
    listed = list(holders(ground.props(definition)))
    wanted = [each for _, holder, inside in listed for each in _of_hosts(holder, inside, ground.scope)]
    return listed[0][0] if listed else (), wanted


def _use_of_hosts(hosts: Resource, known: Any, path: Path, wanted: Sequence[tuple[str, str]], ground: Ground) -> Use:
    return Use(
        path=path,
        declared=at(hosts.props, *_INSTANCE_ROLE),
        known=known,
        service="ec2.amazonaws.com",
        needs=wanted,
        profile=True,
        together=partial(_of_all_hosts, ground),
    )


def _of_hosts(holder: Json, containers: list[Json], scope: Scope) -> Iterator[tuple[str, str]]:
    for item in containers:
        yield from _of_log(item, scope)
        if holder.get(EXECUTION[0]) is None:
            yield from _of_image(item, scope)


def source_of(value: Any, ground: Ground) -> str:
    """Where a secret's value comes from: an ARN or a name; empty if it is not known.

    Of a secret that apply creates it is the ARN without its end.
    """
    text = as_text(value)
    if text is not None:
        return text
    made = next((one.address for one in unknown_values(value) if one.address.section == SECRETS), None)
    if made is None:
        return ""
    plan = ground.plans.get(made)
    name = plan.want.physical if plan and plan.want else made.name
    return ground.scope.arn("secretsmanager", f"secret:{name}")


def _of_secret(source: str, scope: Scope) -> Iterator[tuple[str, str]]:
    if ":secretsmanager:" in source:
        arn = ":".join(source.split(":")[:7])
        yield "secretsmanager:GetSecretValue", arn if _SUFFIXED.search(arn) else f"{arn}-abcdef"
    elif source:
        arn = source if source.startswith("arn:") else scope.arn("ssm", f"parameter/{source.lstrip('/')}")
        yield "ssm:GetParameters", arn


def _of_image(item: Json, scope: Scope) -> Iterator[tuple[str, str]]:
    image = image_facts.parse(as_text(item.get("image")) or "")
    if image is not None:
        yield "ecr:GetAuthorizationToken", "*"
        arn = f"arn:{scope.partition}:ecr:{image.region}:{image.account}:repository/{image.repository}"
        yield from ((action, arn) for action in _REPOSITORY)


def _of_log(item: Json, scope: Scope) -> Iterator[tuple[str, str]]:
    logs = mapping(item.get("logConfiguration"))
    if logs.get("logDriver", "awslogs") != "awslogs":
        return
    options = mapping(logs.get("options"))
    group = as_text(options.get("awslogs-group", "/aws/batch/job"))
    if group is None or options.get("awslogs-region", scope.region) != scope.region:
        return
    arn = scope.arn("logs", f"log-group:{group}")
    yield from ((action, f"{arn}:log-stream:*") for action in _LOGS)
    if str(options.get("awslogs-create-group")).lower() == "true":
        yield "logs:CreateLogGroup", arn


def holders(value: Json, path: Path = ()) -> Iterator[tuple[Path, Json, list[Json]]]:
    """What names roles: a container, or a task, with its containers and the place of it."""
    for member in ("containerProperties", "container"):
        if isinstance(holder := value.get(member), dict):
            yield (*path, member), holder, [holder]
    for index, task in enumerate(items(at(value, "ecsProperties", "taskProperties"))):
        listed = [mapping(one) for one in items(mapping(task).get("containers"))]
        yield (*path, "ecsProperties", "taskProperties", index), mapping(task), listed
    for index, item in enumerate(items(at(value, "nodeProperties", "nodeRangeProperties"))):
        yield from holders(mapping(item), (*path, "nodeProperties", "nodeRangeProperties", index))


def value_at(value: Any, path: Path) -> Any:
    """What is at a path; None if nothing is."""
    for step in path:
        if isinstance(step, int):
            listed = items(value)
            value = listed[step] if step < len(listed) else None
        else:
            value = mapping(value).get(step)
    return value
