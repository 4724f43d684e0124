"""The policy that SNS gives every topic, which is what one without a declared policy has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reconciler.kinds.common.policy_document.document import OLD_VERSION
from reconciler.model import Json

# older topics have one more
# https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
OWNER_ACTIONS: Final = (
    *("SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission"),
    *("SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish"),
)


def default_policy(arn: Any, account: Any, actions: Sequence[str] = OWNER_ACTIONS) -> Json:
    """The policy that SNS creates a topic with: ``actions`` by the account itself. Both may be expressions."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": list(actions),
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }
    return {"Version": OLD_VERSION, "Id": "__default_policy_ID", "Statement": [statement]}
