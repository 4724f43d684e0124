"""STS: a role that does not exist, or does not trust this account, cannot be assumed.

Except for the roles that were announced through the admin API: an environment's `roleArn` exists before the
environment, and an empty account does not have it.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from __future__ import annotations

import json

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Refusal

RULES = Rules("sts")
ASSUMABLE = "assumable roles"
"""In the account's memory: the ARNs of roles that may be assumed although IAM does not have them."""


@RULES.before("AssumeRole")
def only_a_role_that_trusts_this_account_is_assumed(call: ServiceCall) -> None:
    """Others are refused with AccessDenied."""
    arn = call.params["RoleArn"]
    if arn in call.account.memory[ASSUMABLE]:
        return
    role = next((one for one in call.account.moto.backend("iam", call.region).roles.values() if one.arn == arn), None)
    if role is None or not _trusts(json.loads(role.assume_role_policy_document), call.account.id):
        user = f"arn:{call.partition}:iam::{call.account.id}:root"
        message = f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        raise Refusal("AccessDenied", message, 403)


def _trusts(document: dict[str, object], account: str) -> bool:
    statements = document.get("Statement")
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal") if isinstance(statement, dict) else None
        named = principal.get("AWS", []) if isinstance(principal, dict) else principal
        listed = named if isinstance(named, list) else [named]
        if any(one == "*" or account in str(one) for one in listed):
            return True
    return False
