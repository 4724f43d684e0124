"""IAM policy documents: the checks that IAM makes when they are written, and access to their parts.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json

from reconciler.model.patterns import regex
from reconciler.sandbox.services._hooks import ServiceCall
from reconciler.sandbox.wire import Json, Refusal

_BLANK = regex(r"\s+")


def malformed(message: str) -> Refusal:
    """The refusal of a policy document."""
    return Refusal("MalformedPolicyDocument", message)


def parsed(text: str) -> Json:
    """The document in ``text``; raises :class:`Refusal` if it is not JSON or has no Statement."""
    try:
        document = json.loads(text)
    except ValueError:
        raise malformed("This policy contains invalid Json") from None
    if not isinstance(document, dict) or "Statement" not in document:
        raise malformed("Syntax errors in policy.")
    return document


def statements(document: Json) -> list[Json]:
    """The statements of a document as a list; raises :class:`Refusal` if one is not a mapping."""
    statements = document["Statement"]
    listed = [statements] if isinstance(statements, dict) else statements
    if not isinstance(listed, list) or not all(isinstance(statement, dict) for statement in listed):
        raise malformed("Syntax errors in policy.")
    return listed


def aws_principals(statement: Json) -> list[str]:
    """The ARNs and accounts in ``Principal.AWS`` of a statement."""
    principal = statement.get("Principal")
    named = principal.get("AWS", []) if isinstance(principal, dict) else []
    return [named] if isinstance(named, str) else list(named)


def missing_principal(call: ServiceCall, document: Json) -> str | None:
    """The ARN of a role of this account that a policy names and that does not exist; None if all exist."""
    roles = {role.arn for role in call.account.moto.backend("iam", call.region).roles.values()}
    prefix = f"arn:{call.partition}:iam::{call.account.id}:role/"
    named = [arn for statement in statements(document) for arn in aws_principals(statement)]
    return next((arn for arn in named if arn.startswith(prefix) and arn not in roles), None)


def size(text: str) -> int:
    """The characters of a document without white space, which IAM counts for its quotas."""
    return len(_BLANK.sub("", text))
