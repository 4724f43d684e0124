"""Which requests of the API a kind's properties go into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .resources import Effect, EffectOf
from .values import EMPTY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Api:
    """Where the installed AWS model is asked about a member or value that a kind's schema lacks.

    Paths are YAML's: every member's name with its first letter lowered.

    service  as botocore calls it
    create   the operations that make it
    update   those that change it
    reply    the operation that shows it, and the path of one object in its reply: ``DescribeJobQueues.jobQueues[]``
    below    only members below these paths go into the requests as they stand; none given: all do
    aside    members of the requests that are never declared: what names the object, tokens
    effects  what it does to change a member below these paths that an update takes; elsewhere it is in place
    """

    service: str
    create: tuple[str, ...]
    update: tuple[str, ...] = ()
    reply: str = ""
    below: tuple[str, ...] = ()
    aside: frozenset[str] = frozenset()
    effects: Mapping[str, Effect | EffectOf] = EMPTY
