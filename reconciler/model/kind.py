"""The one interface of the project: what a kind of resource is to the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .api import Api
from .resources import Change, Dependent, Diff, Field, Finding, Lifecycle, Live, Query, Ref, Replace, Want
from .steps import Action, Reads
from .values import EMPTY, Address, Json, Scope


def _nothing(*_: Any) -> tuple[Any, ...]:
    return ()


def _as_it_is(_live: Live, _lifecycle: Lifecycle, deleting: Sequence[Action]) -> Sequence[Action]:
    return deleting


def _never(_live: Live, _want: Want, _diff: Diff) -> bool:
    return False


def _no_props(_name: str) -> Json:
    return EMPTY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """Everything the engine knows about a kind of resource: data about fields and a few pure functions.

    The functions **must** be pure: no clock, no network, no randomness, no change to their arguments.

    - ``read`` **must** return every live object of a sought name whatever its tags, and with ``query.owned`` every
      object tagged as owned by ``query.scope.environment``. Props **must** come back in YAML's shape, without
      service-owned identity fields, and **must not** have defaults guessed in.
    - ``create``, ``update``, ``delete``, ``repair``, ``restore`` **must** end with the wait that makes it safe for
      dependents to continue. ``create`` **must** send ``want.tags`` and **may** only rely on ``want.declared``.
    - every change handed to ``update`` (tags aside; the engine calls ``tag`` for those) **must** be carried by a call.
      A versioned kind's ``update`` registers the next revision, with ``want.tags``.
    - ``delete`` is given the declared properties where the resource is still declared (else an empty mapping), and
      **must** succeed on an object that is already gone.
    - ``tag`` sets ``set`` and removes ``remove`` on a live object.
    - ``wait_until_settled`` **must** be given where ``Live.settled`` can be False: the wait for it; ``wait_until_gone``
      where ``dying`` can be True: the wait until the name is free. ``restore``, where given, is used instead of
      ``wait_until_gone`` and ``create``.
    - ``drain`` **may** put waits for the work on an object, and what they need, into the actions that delete it, which
      it is handed. It is used where the object's users have moved to another.
    - ``deletion_effect`` **may** say what the deletion of a live object does to jobs; it is given the lifecycle by
      which they are waited for, or None where they are not (``drain`` is left out).
    - ``reserved_prefix`` is how no physical name may begin.
    - ``takes_out_of_service`` tells whether an update takes an object out of service: it is made only when what else
      its users refer to is as wanted, and those that leave it have left.
    - ``normalize`` **may** return (live props, wanted props) rewritten into a pair that compares well: for what no
      single :class:`Field` can say. ``expand`` turns the YAML's conveniences into plain properties.
    - ``implied`` gives the properties that a name says by itself (the queue in the name of a quota share); whoever
      expands a declaration uses ``expanded``, in which they stand beneath what is declared.
    - ``check`` sees declared properties before references are resolved: a value may be a :class:`Template`.
    - ``assigned_by_aws`` names the attributes that only AWS can say; ``attrs`` computes the others.
      ``changed_by_update`` are those of them that every ``update`` changes (the latest version of a launch template):
      not known until it is done.
    - ``versioned``: every change registers a revision (job definitions). ``shared``: belongs to the account, is only
      ever made sure of, never owned or deleted (service-linked roles). ``folds_case``: names differing in case clash.
    - ``notes`` **may** tell people what they should know although nothing is to be done.
    - ``refresh``, where ``--refresh-images`` makes sense: the change that takes the newest images, which ``update``
      then carries, or the finding that says why there is none.
    - ``side_effects`` **may** ask AWS what else moves with a change of a live object, given the addresses that change
      in the same plan: warnings become notes of the plan, which a saved plan is held to unless their code is
      ``advice``; other findings stand in its way. A read that is refused **must not** be an obstacle.
    - ``dependents`` **may** be reads that find who in the account names live objects that a plan would remove, by their
      physical names: those stay. They are driven only when something is to go, at the same time, and raise Unreadable
      like any read. ``mentions`` gives what of this kind is named, by physical name or ARN, in the text of properties.
    - ``api`` says which requests the properties go into: what the schema lacks and the installed AWS model has for
      them is passed through, so ``create`` and ``update`` **must** send members they do not know.
    - ``adoption_tags`` **may** add tags below ``reconciler/`` when a live object is taken over.
    """

    name: str
    section: str

    read: Callable[[Query], Reads[Sequence[Live]]]
    attrs: Callable[[Scope, str, Json], Mapping[str, str]]
    create: Callable[[Want], Sequence[Action]]
    update: Callable[[Live, Want, Diff], Sequence[Action]]
    delete: Callable[[Live, Json], Sequence[Action]]
    tag: Callable[[Live, Mapping[str, str], Sequence[str]], Sequence[Action]]

    wait_until_settled: Callable[[Live], Sequence[Action]] = _nothing
    wait_until_gone: Callable[[Live], Sequence[Action]] = _nothing
    repair: Callable[[Live, Want], Sequence[Action]] = _nothing
    drain: Callable[[Live, Lifecycle, Sequence[Action]], Sequence[Action]] = _as_it_is
    takes_out_of_service: Callable[[Live, Want, Diff], bool] = _never
    restore: Callable[[Live, Want], Sequence[Action]] | None = None

    fields: Mapping[str, Field] = EMPTY
    refs: Mapping[str, Ref] = EMPTY
    assigned_by_aws: frozenset[str] = frozenset()
    changed_by_update: frozenset[str] = frozenset()
    replace: Replace = Replace.FORBIDDEN
    versioned: bool = False
    shared: bool = False
    folds_case: bool = False
    max_name: int = 128
    reserved_prefix: str = ""
    passes_roles: Mapping[str, str] = EMPTY
    api: Api | None = None

    expand: Callable[[Json], Json] = dict
    implied: Callable[[str], Json] = _no_props
    normalize: Callable[[Live, Want], tuple[Json, Json]] | None = None
    check: Callable[[str, Json], Iterable[Finding]] = _nothing
    disruption: Callable[[Live, Want, Diff], str] | None = None
    deletion_effect: Callable[[Live, Lifecycle | None], str] | None = None
    adoption_tags: Callable[[Live, Want], Mapping[str, str]] | None = None
    notes: Callable[[Live, Want], Iterable[str]] = _nothing
    refresh: Callable[[Live, Want], Change | Finding] | None = None
    side_effects: Callable[[Live, Want, Diff, Collection[Address]], Reads[Sequence[Finding]]] | None = None
    dependents: tuple[Callable[[Scope, Sequence[Live]], Reads[Mapping[str, tuple[Dependent, ...]]]], ...] = ()
    mentions: Callable[[Json], Iterable[str]] = _nothing

    def expanded(self, name: str, props: Json) -> Json:
        """The plain properties of what is declared as ``name``."""
        return {**self.implied(name), **self.expand(props)}
