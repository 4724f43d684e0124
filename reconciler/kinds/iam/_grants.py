"""What the declared policies of roles and policies allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.policy_document.granted import granted
from reconciler.model import Address, Declared, Path, Resource
from reconciler.model.granted import Granted

# Policies of AWS that allow everything, or everything but IAM; of others the statements are not known here.
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AdministratorAccess.html
_WIDE: Final[Mapping[str, tuple[tuple[str, ...], bool]]] = {
    "AdministratorAccess": (("*",), False),
    "PowerUserAccess": (("iam:*", "organizations:*", "account:*"), True),
}


def of_role(role: Resource, declared: Declared) -> Iterator[Granted]:
    """The statements of its inline policies, and of the policies attached to it that are declared or allow most."""
    for name, document in mapping(role.props.get("inlinePolicies")).items():
        yield from granted(document, role.address, ("inlinePolicies", name))
    for index, policy in enumerate(items(role.props.get("managedPolicies"))):
        found = declared.resource("policies", policy)
        if found is not None:
            yield from of_policy(found, declared)
        else:
            yield from _of_aws(str(policy), role.address, ("managedPolicies", index))


def of_policy(policy: Resource, _: Declared) -> Iterator[Granted]:
    """The statements of its document."""
    yield from granted(policy.props.get("policyDocument"), policy.address, ("policyDocument",))


def _of_aws(policy: str, address: Address, path: Path) -> Iterator[Granted]:
    actions, inverted = _WIDE.get(policy.rpartition("/")[2], ((), False))
    if actions:
        yield Granted(address=address, path=path, allow=True, actions=actions, resources=("*",), inverted=inverted)
