"""What IAM decides about one action on one resource, as AWS documents it.

Everything is denied unless a statement allows it, and a statement that denies outweighs all others. A permissions
boundary and session policies grant nothing; where there is one, it must allow as well. Resource policies other than the
trust policies of roles, and the policies of organizations, are not part of it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from enum import Enum
from typing import Any

from reconciler.model.records import dataclass
from reconciler.sandbox.iam import conditions
from reconciler.sandbox.iam.policies import Context, Statement, matches_action, matches_resource, statements


class Effect(Enum):
    """The three decisions."""

    ALLOW = "allow"
    EXPLICIT_DENY = "explicit deny"
    IMPLICIT_DENY = "implicit deny"


@dataclass(frozen=True)
class Request:
    """An action on a resource.

    ``resources`` are spellings of one resource, of which it is enough to allow one; ``("*",)`` is for actions that no
    ARN limits.
    """

    action: str
    resources: tuple[str, ...] = ("*",)
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Policies:
    """The documents (JSON) that limit a principal; None for no boundary, or no session policies."""

    identity: tuple[str, ...]
    boundary: str | None = None
    session: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Decision:
    """``kind`` is the kind of policy that denies, or that does not allow."""

    effect: Effect
    kind: str = ""

    @property
    def allowed(self) -> bool:
        """Whether the action may be performed."""
        return self.effect is Effect.ALLOW


def evaluate(request: Request, policies: Policies) -> Decision:
    """The decision on a request by a principal with these policies."""
    kinds: list[tuple[str, tuple[str, ...]]] = [("identity-based policy", policies.identity)]
    if policies.boundary is not None:
        kinds.append(("permissions boundary", (policies.boundary,)))
    if policies.session is not None:
        kinds.append(("session policy", policies.session))
    effects = [(kind, effect_of(request, documents)) for kind, documents in kinds]
    for effect in (Effect.EXPLICIT_DENY, Effect.IMPLICIT_DENY):
        for kind, found in effects:
            if found is effect:
                return Decision(effect, kind)
    return Decision(Effect.ALLOW)


def effect_of(request: Request, documents: Iterable[str]) -> Effect:
    """The effect of documents of one kind."""
    return effect_among(request, [one for document in documents for one in statements(document)])


def effect_among(request: Request, found: Iterable[Statement]) -> Effect:
    """The effect of statements."""
    applying = [one for one in found if _applies(one, request)]
    if not applying:
        return Effect.IMPLICIT_DENY
    return Effect.ALLOW if all(one.allows for one in applying) else Effect.EXPLICIT_DENY


def _applies(statement: Statement, request: Request) -> bool:
    if not matches_action(statement, request.action):
        return False
    if not any(matches_resource(statement, one, request.context) for one in request.resources):
        return False
    return conditions.hold(statement, request.context)


def names(statement: Statement, kind: str, principals: Sequence[str]) -> bool:
    """Whether the Principal element of a statement names one of ``principals``, of a ``kind`` such as ``AWS``.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    negated = "NotPrincipal" in statement.elements
    element: Any = statement.elements.get("NotPrincipal" if negated else "Principal")
    named = element.get(kind, []) if isinstance(element, dict) else [element]
    listed = [named] if isinstance(named, str) else list(named)
    return any(one == "*" or one in principals for one in listed) != negated
