"""What the kinds share that tell what refers to objects which would be deleted (``Kind.referrers``)."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import EMPTY, OWNER_TAG, Json, Referrer, Scope


def referrer(
    scope: Scope, noun: str, name: str, arn: str, props: Json, tags: Mapping[str, str] | None = EMPTY
) -> Referrer:
    """The ``noun`` (``compute environment``) called ``name``; ``tags`` where the reply has them."""
    owner = (tags or {}).get(OWNER_TAG)
    whose = f" of the environment {owner}" if owner and owner != scope.environment else ""
    hint = f"to delete it, change that {noun} to use another"
    return Referrer(props=props, text=f"{noun} {name}{whose}", arn=arn, hint=hint)
