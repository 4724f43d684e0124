"""The API requests that send a kind's properties."""

from __future__ import annotations

from collections.abc import Mapping

from .records import dataclass
from .resources import Effect, EffectOf
from .values import EMPTY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Api:
    """Where in the installed AWS model a member or value is looked up that a kind's schema lacks.

    Paths are YAML's: every member's name with its first letter lowered.

    service  botocore's name of the service
    create   the operations that create a resource
    update   the operations that update it
    reply    the operation that returns it, and the path of one object in its reply: ``DescribeJobQueues.jobQueues[]``
    below    only members below these paths are sent unchanged; empty: all are
    aside    members of the requests that are never declared: the object's name, tokens
    effects  the effect of updating a member below these paths; elsewhere it is in-place
    """

    service: str
    create: tuple[str, ...]
    update: tuple[str, ...] = ()
    reply: str = ""
    below: tuple[str, ...] = ()
    aside: frozenset[str] = frozenset()
    effects: Mapping[str, Effect | EffectOf] = EMPTY
