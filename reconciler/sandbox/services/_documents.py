"""IAM policy documents: as far as they are checked, and looked into, when they are written."""

from __future__ import annotations

import json
import re

from reconciler.sandbox.wire import Json, Refusal

_BLANK = re.compile(r"\s+")


def malformed(message: str) -> Refusal:
    return Refusal("MalformedPolicyDocument", message)


def parsed(text: str) -> Json:
    try:
        document = json.loads(text)
    except ValueError:
        raise malformed("This policy contains invalid Json") from None
    if not isinstance(document, dict) or "Statement" not in document:
        raise malformed("Syntax errors in policy.")
    return document


def statements(document: Json) -> list[Json]:
    statements = document["Statement"]
    listed = [statements] if isinstance(statements, dict) else statements
    if not isinstance(listed, list) or not all(isinstance(statement, dict) for statement in listed):
        raise malformed("Syntax errors in policy.")
    return listed


def aws_principals(statement: Json) -> list[str]:
    principal = statement.get("Principal")
    named = principal.get("AWS", []) if isinstance(principal, dict) else []
    return [named] if isinstance(named, str) else list(named)


def size(text: str) -> int:
    return len(_BLANK.sub("", text))
