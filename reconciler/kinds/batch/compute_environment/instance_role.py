"""Whether instances of a compute environment may join its cluster, if their profile and its role are declared.

https://docs.aws.amazon.com/batch/latest/userguide/instance_IAM_role.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.batch.compute_environment import effects
from reconciler.kinds.common.declared import at
from reconciler.model import Declared, Finding, Path, Resource
from reconciler.model import problem_codes as codes
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.batch._role_rights import may

JOIN = "ecs:RegisterContainerInstance"
POLICY = "service-role/AmazonEC2ContainerServiceforEC2Role"


def check_role(environment: Resource, declared: Declared) -> Iterator[Finding]:
    """The warning about a role without such a permission; nothing where a policy of the role is not known."""
    path: Path = ("computeResources", "instanceRole")
    if effects.family(environment.props) != effects.INSTANCES or environment.props.get("eksConfiguration"):
        return
    profile = declared.resource("instanceProfiles", at(environment.props, *map(str, path)))
    role = declared.resource("roles", profile.props.get("role")) if profile else None
    if role is not None and may(role.props, JOIN, declared, others=False) is False:
        message = f"the role {role.address.name} has no policy that lets instances join the cluster: no job ever starts"
        hint = f"add {POLICY} to the managedPolicies of {role.address}"
        yield Finding(path, message, hint, codes.MISFIT, warning=True)
