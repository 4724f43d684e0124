"""The roles that a document names as principals: references to them, and the document without those not created yet.

A service refuses a document whose principal does not exist, and stores the unique id of one that does.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import product
from typing import Any

from reconciler.kinds.common.policy_document.document import listed, parse, statements
from reconciler.model import Ref

# late: only the call with the document needs the role; AWS deletes a role whatever names it as a principal
PRINCIPAL = Ref(section="roles", literal="", late=True, holds=False, optional=True)
_ELEMENTS = ("Principal", "NotPrincipal")


def principal_refs(member: str) -> dict[str, Ref]:
    """The references of a document at ``member``; its statements and principals may be lists or not."""
    forms = product(("", "[]"), _ELEMENTS, ("", "[]"))
    return {f"{member}.Statement{several}.{element}.AWS{more}": PRINCIPAL for several, element, more in forms}


def without_principals(document: Any, absent: Collection[Any]) -> Any:
    """``document`` without the principals in ``absent``; the same object if it names none of them.

    A statement that names no other is left out. A document without statements is not accepted, so one is added that
    allows nothing.
    """
    whole = statements(parse(document))
    kept = [_without(statement, absent) for statement in whole]
    if kept == whole:
        return document
    nothing = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    return {**parse(document), "Statement": [statement for statement in kept if statement is not None] or [nothing]}


def _without(statement: Any, absent: Collection[Any]) -> Any:
    """The statement without these principals; None if it names no other."""
    if not isinstance(statement, Mapping):
        return statement
    done = dict(statement)
    for element in (name for name in _ELEMENTS if isinstance(statement.get(name), Mapping)):
        named = {kind: [one for one in listed(who) if one not in absent] for kind, who in statement[element].items()}
        if any(len(left) < len(listed(statement[element][kind])) for kind, left in named.items()):
            done[element] = {kind: left for kind, left in named.items() if left}
            if not done[element]:
                return None
    return done
