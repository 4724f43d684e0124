"""Whether instances of a compute environment may join its cluster, if their profile and its role are declared.

https://docs.aws.amazon.com/batch/latest/userguide/instance_IAM_role.html
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from reconciler.kinds.batch.compute_environment import effects
from reconciler.kinds.common.declared import at, items, mapping
from reconciler.model import Declared, Finding, Json, Path, Resource
from reconciler.model import problem_codes as codes

JOIN = "ecs:registercontainerinstance"
POLICY = "service-role/AmazonEC2ContainerServiceforEC2Role"
ENOUGH = ("AmazonEC2ContainerServiceforEC2Role", "AmazonECS_FullAccess", "AdministratorAccess", "PowerUserAccess")
OF_AWS = ("Amazon", "AWS", "CloudWatch", "service-role/", "job-function/", "ReadOnlyAccess")


def check_role(environment: Resource, declared: Declared) -> Iterator[Finding]:
    """The warning about a role without such a permission; nothing where a policy of the role is not known."""
    path: Path = ("computeResources", "instanceRole")
    if effects.family(environment.props) != effects.INSTANCES or environment.props.get("eksConfiguration"):
        return
    profile = declared.resource("instanceProfiles", at(environment.props, *map(str, path)))
    role = declared.resource("roles", profile.props.get("role")) if profile else None
    if role is not None and _may_join(role.props, declared) is False:
        message = f"the role {role.address.name} has no policy that lets instances join the cluster: no job ever starts"
        hint = f"add {POLICY} to the managedPolicies of {role.address}"
        yield Finding(path, message, hint, codes.MISFIT, warning=True)


def _may_join(role: Json, declared: Declared) -> bool | None:
    """Whether a role has the permission; None if that is not known."""
    inline = mapping(role.get("inlinePolicies"))
    found = [_allows(document) for document in inline.values()]
    if any(role.get(name) is not None and not isinstance(role[name], dict | list | tuple)
           for name in ("inlinePolicies", "managedPolicies")):  # fmt: skip
        found.append(None)
    found += [_managed(policy, declared) for policy in items(role.get("managedPolicies"))]
    return True if True in found else None if None in found else False


def _managed(policy: Any, declared: Declared) -> bool | None:
    own = declared.resource("policies", policy)
    if own is not None:
        return _allows(own.props.get("policyDocument"))
    if not isinstance(policy, str):
        return None
    name = policy.partition(":aws:policy/")[2] or policy
    if name.rpartition("/")[2] in ENOUGH:
        return True
    return False if ":aws:policy/" in policy or name.startswith(OF_AWS) else None


def _allows(document: Any) -> bool | None:
    """Whether a statement of the document allows the action, whatever its resource and conditions."""
    statements = at(document, "Statement")
    if statements is None:
        return None
    listed = statements if isinstance(statements, list | tuple) else [statements]
    if not all(isinstance(one, dict) for one in listed):
        return None
    allowed = [one for one in listed if one.get("Effect") == "Allow"]
    actions = [action for one in allowed for action in _texts(one.get("Action"))]
    if any("NotAction" in one for one in allowed) or any(not isinstance(action, str) for action in actions):
        return None
    return any(fnmatchcase(JOIN, str(action).lower()) for action in actions)


def _texts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
