"""The callers that IAM decides about: sessions of roles that were assumed here, and users that were made here.

All other credentials, such as ``test`` or an account's id, are the account's own and may do everything.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from reconciler.model.records import dataclass
from reconciler.sandbox.iam.evaluation import Policies
from reconciler.sandbox.iam.existing import Existing


@dataclass(frozen=True)
class Session:
    """A session of a role, or a user; ``arn`` is of the session or user, ``entity`` of the role or user.

    ``policies`` are the session's own documents; None if it has none. An ``announced`` role is one that IAM does not
    have: nothing is known about its policies, and it may do everything.
    """

    account: str
    arn: str
    entity: str
    id: str
    policies: tuple[str, ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    announced: bool = False

    @property
    def principals(self) -> tuple[str, ...]:
        """The names that a Principal element may have for it alone."""
        return (self.arn, self.entity)


def root(account: str, partition: str) -> str:
    """The ARN of an account, which stands for all in it."""
    return f"arn:{partition}:iam::{account}:root"


def user_with(backend: Any, key: str, account: str) -> Session | None:
    """The user of an access key, from moto's IAM; None if the key is not one of a user."""
    found = backend.get_user_from_access_key_id(key)
    return Session(account, found.arn, found.arn, found.id) if found else None


def policies_of(session: Session, existing: Existing) -> Policies | None:
    """The policies that limit a principal now; None if it no longer exists."""
    holder = _holder(session, existing)
    if holder is None or session.id.partition(":")[0] not in ("", holder.id):  # another of the same name
        return None
    identity = [*_documents(holder)]
    if ":user/" in session.entity:
        backend = existing.account.moto.backend("iam", existing.region)
        for group in backend.get_groups_for_user(holder.name):
            identity += _documents(group)
    boundary = getattr(holder, "permissions_boundary_arn", None)
    document = (existing.document(boundary) or "{}") if boundary else None
    return Policies(tuple(identity), document, session.policies)


def context_of(session: Session, existing: Existing) -> dict[str, tuple[str, ...]]:
    """The condition keys about the principal."""
    is_user = ":user/" in session.entity
    holder = _holder(session, existing)
    tags = {tag["Key"]: tag["Value"] for tag in getattr(holder, "tags", None) or [] if isinstance(tag, dict)}
    found = {
        "aws:PrincipalArn": session.entity,
        "aws:PrincipalAccount": session.account,
        "aws:PrincipalType": "User" if is_user else "AssumedRole",
        "aws:userid": session.id,
        **{f"aws:PrincipalTag/{key}": value for key, value in {**tags, **session.tags}.items()},
    }
    if is_user:
        found["aws:username"] = session.entity.rpartition("/")[2]
    return {key: (value,) for key, value in found.items()}


def _holder(session: Session, existing: Existing) -> Any:
    if ":user/" in session.entity:
        users = existing.account.moto.backend("iam", existing.region).users.values()
        return next((one for one in users if one.arn == session.entity), None)
    return existing.role(session.entity)


def _documents(holder: Any) -> Iterator[str]:
    """Inline and managed policies of a role, user or group."""
    yield from map(str, holder.policies.values())
    for policy in holder.managed_policies.values():
        yield from (str(version.document) for version in policy.versions if version.is_default)
