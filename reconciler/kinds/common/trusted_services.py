"""The services that a role's trust policy allows to assume the role.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import Json
from reconciler.model.stand_ins import known


def trusted_services(props: Json) -> frozenset[str] | None:
    """The services that a role trusts; None if that is not known, or if it trusts every principal.

    Some services have another name in China, ``ec2.amazonaws.com.cn``, or both: it counts as the name elsewhere.
    """
    document = props.get("assumeRolePolicyDocument")
    statements = document.get("Statement") if isinstance(document, Mapping) else None
    found: set[str] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        if not isinstance(statement, Mapping) or not known(statement):
            return None
        principal = statement.get("Principal")
        if principal == "*" or "NotPrincipal" in statement:
            return None
        if statement.get("Effect") == "Allow" and isinstance(principal, Mapping):
            services = principal.get("Service", [])
            listed = services if isinstance(services, list) else [services]
            found |= {item.removesuffix(".cn") for item in listed if isinstance(item, str)}
    return frozenset(found)
