"""What a kind says about permissions: the IAM actions of its calls, and the objects that they are about.

What an action can be limited to (ARNs, tags of the request or of the object) is AWS's affair, and in a table that is
made from its reference: ``operations/permissions/iam-actions.json``. Actions are written as in policies:
``batch:CreateJobQueue``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .records import dataclass
from .resources import Resource
from .values import EMPTY, Json, Scope


def _no_grants(_scope: Scope, _resource: Resource) -> tuple[Grant, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Further actions that one declaration needs. ``conditions`` are keys with the values they may have;
    ``only_created``: only its creation needs them; ``planned``: a plan needs them, too.

    ``why`` is shown before the address: ``terminate jobs``.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    why: str
    conditions: Mapping[str, tuple[str, ...]] = EMPTY
    only_created: bool = False
    planned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The IAM actions that the functions of a kind need.

    types      the resource types of one in AWS's reference: ``batch:job-queue``; with none, ARNs limit nothing
    always     of ``read``, about any object, also where the environment declares none
    reads      of ``read``, about objects that are sought or owned
    finds      of ``read``, for a name that is not declared, beside the first of ``reads``
    rechecks   of ``read`` by names alone, as an apply reads again what it is about to change
    looks      of ``read`` and ``side_effects``, about any object in the account
    preflight  of ``preflight``, about any object in the account
    removals   of ``dependents``, about any object in the account
    referrers  of ``referrers``, about any object in the account
    waits      of drains and waits for a removal, about any object in the account
    leaving    of ``read_leaving`` beside those of ``read``, about any object in the account
    creates    of ``create``, about an object that does not exist yet
    changes    of ``create`` (after the creation), ``update``, ``repair`` and ``restore``
    deletes    of ``delete``; also for what is owned and no longer declared
    repairs    those of ``changes`` that a wait after a change may send, each with the property that names a role in it
    upserts    those of ``creates`` that also change one that exists
    tags       of ``tag``: the action that sets tags, then the one that removes them; a creation needs the first, too
    others     resource types that such a call names beside the object: the VPC of a security group
    arns       the ARNs of one by its name, as patterns; by default its ``attrs["arn"]``, or where AWS assigns that, any
    id_form    a regular expression of the ids that AWS assigns, where these end the ARN
    narrowed   actions with a condition key, and the property whose values it may have: ``iam:PolicyARN``
    only_if    actions that are needed only where a property is declared, by path
    of_several actions that are needed only where several are declared
    more       further actions that one declaration needs, beside the roles that it passes
    """

    types: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    finds: tuple[str, ...] = ()
    rechecks: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    preflight: tuple[str, ...] = ()
    removals: tuple[str, ...] = ()
    referrers: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    creates: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    repairs: Mapping[str, str] = EMPTY
    upserts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    arns: Callable[[Scope, str, Json], Iterable[str]] | None = None
    id_form: str = ""
    narrowed: Mapping[str, tuple[str, str]] = EMPTY
    only_if: Mapping[str, str] = EMPTY
    of_several: frozenset[str] = frozenset()
    more: Callable[[Scope, Resource], Iterable[Grant]] = _no_grants

    @property
    def actions(self) -> tuple[str, ...]:
        """Every action but those of ``more``."""
        every = (
            *(
                self.always,
                self.reads,
                self.finds,
                self.rechecks,
                self.looks,
                self.preflight,
                self.removals,
                self.referrers,
                self.waits,
                self.leaving,
            ),
            *(self.creates, self.changes, self.deletes, self.upserts, self.tags),
        )
        return tuple(dict.fromkeys(action for some in every for action in some))
