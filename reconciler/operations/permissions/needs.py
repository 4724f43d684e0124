"""Which actions a command needs, on which resources, and why: the pairs that a policy is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final

from reconciler.account import lookups
from reconciler.config import references
from reconciler.model import EMPTY, OWNER_TAG, Address, Kind, Resource
from reconciler.model.paths import values_at
from reconciler.model.records import dataclass
from reconciler.operations.importing.facts import LOOK_UPS, PARAMETERS_READ
from reconciler.operations.permissions import actions
from reconciler.operations.permissions.actions import CREATE_ACTION, INDEX, LOCK, REQUEST_TAG, RESOURCE_TAG, STACK
from reconciler.operations.permissions.resources import Estate, texts

ANY: Final = "*"


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One action on one resource (an ARN, a pattern or ``*``), under conditions: keys with the values they may have."""

    action: str
    resource: str
    conditions: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(slots=True)
class Needs:
    """The needs of a command, each with the reasons for it. ``owners`` are the environments whose tag is asked for,
    ``notes`` what is wider than it could be, in words.
    """

    estates: tuple[Estate, ...]
    found: dict[Need, dict[str, None]] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    notes: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.owners = self.owners or tuple(sorted({estate.scope.environment for estate in self.estates}))

    @property
    def estate(self) -> Estate:
        """The estate; of several the first."""
        return self.estates[0]

    def add(self, action: str, resources: Iterable[str], why: str, **conditions: Sequence[str]) -> None:
        """Add an action on resources; where an ARN cannot limit it, on any."""
        self.under(action, resources, why, conditions)

    def under(self, action: str, resources: Iterable[str], why: str, conditions: Mapping[str, Sequence[str]]) -> None:
        """The same, with conditions by key."""
        items = tuple(sorted((key, tuple(sorted(values))) for key, values in conditions.items()))
        for resource in resources if actions.limited(action) else (ANY,):
            self.found.setdefault(Need(action, resource, items), {})[why] = None


def of_plan(estate: Estate, also: Sequence[str] = (), removed: frozenset[str] | None = None) -> Needs:
    """What planning reads. ``also`` are sections of which nothing is declared any more, but something may be owned;
    ``removed`` those of which something is deleted, by default all.
    """
    needs = Needs((estate,))
    needs.add(INDEX, (ANY,), "find what the environment owns")
    for name, lookup in sorted(estate.env.lookups.items()):
        action, resources = lookups.permission(lookup, estate.scope)
        needs.add(action, resources, f"look-up: {name}")
    _named(needs)
    sections = {address.section for address in estate.env.resources} | set(also)
    for section, kind in estate.kinds.items():
        for action in kind.access.always:
            needs.add(action, (ANY,), f"read: {section}")
        if section in sections:
            _reads(needs, kind)
    _dependents(needs, sections if removed is None else removed)
    return needs


def add_preflight(needs: Needs) -> None:
    """Add what a preflight asks about what is declared, of any object."""
    for section, kind in needs.estate.kinds.items():
        for action in kind.access.preflight if needs.estate.declared(section) else ():
            _any_of_its_types(needs, action, f"check whether jobs can run: {section}")


def of_audit(estate: Estate) -> Needs:
    """What an audit reads: all objects of some kinds, those that they refer to, and what their rules look at."""
    needs = Needs((estate,), {})
    for section, kind in estate.kinds.items():
        if kind.audit:
            for action in kind.audit.reads:
                _any_of_its_types(needs, action, f"read: {section}")
            for action in kind.audit.actions:
                _any_of_its_types(needs, action, f"look for what is wrong: {section}")
    return needs


def of_import(estate: Estate) -> Needs:
    """What an import reads: all objects of every kind, look-ups for what is not imported, and the stacks that a team
    moves from.
    """
    needs = Needs((estate,), {})
    for section, kind in estate.kinds.items():
        access = kind.access
        for one in kind.complete_lists:
            needs.add(one.call.action, (ANY,), f"list: {section}")
        for action in (*access.always, *access.reads, *access.looks):
            _any_of_its_types(needs, action, f"read: {section}")
        for action in access.referrers:
            _any_of_its_types(needs, action, f"find what uses others: {section}")
    needs.add(INDEX, (ANY,), "find what has a tag")
    for action in LOOK_UPS:
        _any_of_its_types(needs, action, "write look-ups for what is not imported")
    public = f"arn:{estate.scope.partition}:ssm:{estate.scope.region}::parameter/aws/service/*"
    needs.add(PARAMETERS_READ, (public,), "write look-ups for AMIs")
    _any_of_its_types(needs, STACK, "read the resources of a stack (--stack)")
    return needs


def of_why(estate: Estate) -> Needs:
    """The reads by which causes are found, of any object: no environment declares the ids of jobs and instances."""
    needs = Needs((estate,), {})
    for kind in estate.kinds.values():
        if kind.diagnosis:
            for action in kind.diagnosis.permissions:
                _any_of_its_types(needs, action, f"find out what is wrong with a {kind.diagnosis.noun}")
    return needs


def of_status(estate: Estate) -> Needs:
    """The reads of the status of what is declared, of any object: no environment declares jobs and instances."""
    needs = Needs((estate,), {})
    for section, kind in estate.kinds.items():
        if kind.status and any(address.section == section for address in estate.env.resources):
            for action in kind.status.permissions:
                _any_of_its_types(needs, action, f"show the status: {section}")
    return needs


def _any_of_its_types(needs: Needs, action: str, why: str) -> None:
    """Add an action on every object in the account of the types that it is about."""
    found = actions.types(action) if actions.limited(action) else {}
    needs.add(action, [actions.pattern(kind, needs.estate.scope) for kind in found] or [ANY], why)


def _dependents(needs: Needs, removed: Collection[str]) -> None:
    """What finds who in the account uses objects of these sections."""
    kinds = needs.estate.kinds
    for section, kind in kinds.items():
        for action in kind.access.removals if section in removed else ():
            needs.add(action, (ANY,), f"find what still uses: {section}")
        targets = {name for ref in kind.refs.values() for name in ref.sections}
        found = sorted(name for name in targets if name in removed and not kinds[name].versioned)
        for action in kind.access.referrers if found else ():
            needs.add(action, (ANY,), f"find what still uses: {', '.join(found)}")


def _named(needs: Needs) -> None:
    """What reads the objects that are named and not declared."""
    estate, kinds = needs.estate, needs.estate.kinds
    for section, name in references.names_to_find(estate.env.resources, kinds):
        for action in kinds[section].access.reads[:1] if section in kinds else ():
            needs.add(action, _by_name(estate, section, name), f"find what is named and not declared: {section}.{name}")
        for action in kinds[section].access.finds if section in kinds and "/" not in name else ():
            needs.add(action, (ANY,), f"find what is named and not declared: {section}.{name}")
    for address in estate.env.resources:
        for (section, name), _ in references.shared_to_find(estate.known(address), kinds, estate.scope):
            for action in kinds[section].access.reads[:1]:
                needs.add(action, estate.of_name(section, name), f"find the role that is named by: {address}")


def _by_name(estate: Estate, section: str, name: str) -> tuple[str, ...]:
    """The ARNs of an object that exists already: one of IAM may be in any path."""
    found = estate.of_name(section, name) or tuple(
        actions.pattern(one, estate.scope) for one in _types(estate, section)
    )
    in_paths = tuple(f"{arn.rpartition('/')[0]}/*/{name}" for arn in found if ":iam::" in arn and "/" not in name)
    return (*found, *in_paths)


def _types(estate: Estate, section: str) -> tuple[str, ...]:
    return estate.kinds[section].access.types


def _reads(needs: Needs, kind: Kind) -> None:
    for action in _wanted(needs.estate, kind, kind.access.reads):
        about_own(needs, kind, action, "read", derived=bool(kind.container or kind.shared))
    for resource in needs.estate.declared(kind.section):
        more(needs, kind, resource, planned=True)
    for action in _wanted(needs.estate, kind, kind.access.looks):
        needs.add(action, (ANY,), f"read: {kind.section}")


def _wanted(estate: Estate, kind: Kind, some: Iterable[str]) -> list[str]:
    """``some`` without what no declared property needs (``Access.only_if``), nor a single resource (``of_several``)."""
    declared = estate.declared(kind.section)
    several = len(declared) > 1
    return [
        action
        for action in some
        if (several or action not in kind.access.of_several)
        and (
            (path := kind.access.only_if.get(action)) is None
            or any(True for one in declared for _ in values_at(one.props, path))
        )
    ]


def about_own(
    needs: Needs,
    kind: Kind,
    action: str,
    verb: str,
    conditions: Mapping[str, Sequence[str]] = EMPTY,
    *,
    owned: bool = True,
    derived: bool = True,
) -> None:
    """An action on the declared resources of a kind by ARN, and with ``owned`` on what else the environment owns.

    That, and what has no ARN before AWS assigns an id, is known by its tag; so are replacements, without ``derived``.
    """
    estate, unnamed, adopted = needs.estate, list[str](), list[str]()
    for resource in estate.declared(kind.section):
        arns = fitting(estate, kind, action, estate.own(resource, derived=derived))
        unnamed += [] if arns else [str(resource.address)]
        adopted += [str(resource.address)] if not arns and resource.lifecycle.adopt else []
        needs.under(action, arns, f"{verb}: {resource.address}", conditions)
    whys = [*(f"{verb}: {address}" for address in unnamed)]
    whys += [f"{verb}: {kind.section} that are no longer declared"] if owned else []
    for why in whys if not actions.limited(action) else ():
        needs.under(action, (ANY,), why, conditions)
    for one, pattern in _owned(estate, kind, action) if whys else ():
        tag: dict[str, tuple[str, ...]] = {}
        if not kind.container:
            if actions.supports(action, one, RESOURCE_TAG):
                tag = {f"{RESOURCE_TAG}/{OWNER_TAG}": (estate.scope.environment,)}
            else:
                estate.notes[f"{action} cannot be limited by tags, so it is allowed on every {kind.name}"] = None
        for why in whys:
            needs.under(action, (pattern,), why, {**conditions, **tag})
        for address in adopted:
            estate.notes[
                f"{address} has no tag before it is adopted, and its ARN has an id: the policy allows changes to every "
                f"{kind.name}; remove lifecycle.adopt when it is adopted, and make the policy again"
            ] = None
            needs.under(action, (pattern,), f"adopt: {address}", conditions)


def _owned(estate: Estate, kind: Kind, action: str) -> Iterator[tuple[str, str]]:
    """Type and pattern of what the environment may own of a kind and no longer declares."""
    if kind.shared:
        return
    if kind.container:  # what cannot be tagged is in a container that the environment owns
        default = kind.container.name(estate.scope.environment)
        groups = {str(estate.placed(one).get(kind.container.member, default)) for one in estate.declared(kind.section)}
        for group in sorted(groups or {default}):
            for arn in estate.of_name(kind.section, ANY, {kind.container.member: group}):
                yield kind.access.types[0], arn
        return
    for one in kind.access.types:
        if one in actions.types(action):
            yield one, actions.pattern(one, estate.scope)


def fitting(estate: Estate, kind: Kind, action: str, arns: Iterable[str]) -> list[str]:
    """Those of the ARNs that are of a type the action has: of a job definition, with or without a revision."""
    if not actions.limited(action):
        return [ANY]
    forms = [actions.form(one, estate.scope) for one in kind.access.types if one in actions.types(action)]
    whole = [arn for arn in arns if any(form.fullmatch(arn) for form in forms)]
    if len(kind.access.types) > 1 and any(one.endswith("revision") for one in kind.access.types):
        revisions = any(one.endswith("revision") for one in actions.types(action))
        whole = [arn for arn in whole if arn.endswith(":*") or not revisions]
    return whole


# --- several environments --------------------------------------------------------------------------------------------

OWNED: Final = frozenset({f"{REQUEST_TAG}/{OWNER_TAG}", f"{RESOURCE_TAG}/{OWNER_TAG}"})


def together(some: Sequence[Needs]) -> Needs:
    """The needs of a role for several environments: who may do something to what one of them owns may do that to all.

    So each statement is there once, and what differs between them is the names.
    """
    made = Needs(tuple(estate for needs in some for estate in needs.estates))
    for needs in some:
        for need, whys in needs.found.items():
            conditions = tuple((key, made.owners if key in OWNED else values) for key, values in need.conditions)
            made.found.setdefault(Need(need.action, need.resource, conditions), {}).update(whys)
    return made


# --- apply -----------------------------------------------------------------------------------------------------------


def _rechecks(needs: Needs, estate: Estate, kind: Kind, *, owned: bool) -> None:
    """What is read again before a change; where ``owned``, several may exist that are not declared."""
    for action in kind.access.rechecks:
        about_own(needs, kind, action, "read again before a change")
    for action in kind.access.of_several if owned else ():
        needs.add(action, anywhere(estate, kind, action), "read again before a change")


def of_apply(estate: Estate, also: Sequence[str] = ()) -> Needs:
    """What planning reads, and every call that can create, change or delete what is declared or owned."""
    needs = of_plan(estate, also)
    lock(needs)
    sections = {address.section for address in estate.env.resources} | set(also)
    for section, kind in estate.kinds.items():
        if section not in sections:
            continue
        access = kind.access
        _rechecks(needs, estate, kind, owned=section in also)
        for action in access.waits:
            needs.add(action, anywhere(estate, kind, action), f"wait: {section}")
        for action in _wanted(estate, kind, access.leaving):
            needs.add(action, anywhere(estate, kind, action), f"read again before a deletion: {section}")
        for resource in estate.declared(section):
            _creates(needs, kind, resource)
            more(needs, kind, resource)
            for one in estate.passed_roles(resource):
                passing(needs, resource.address, one.service, one.roles)
        changed = _wanted(estate, kind, (*access.changes, *access.upserts))
        for action in dict.fromkeys((*changed, *access.deletes)):
            verb = "update or delete" if action in access.deletes else "update"
            about_own(needs, kind, action, verb, narrowed(estate, kind, action), owned=action in access.deletes)
            for resource in estate.declared(section):
                others(needs, kind, action, resource)
        for action in access.tags:
            about_own(needs, kind, action, "tag", owned=False)
    return needs


def anywhere(estate: Estate, kind: Kind, action: str) -> list[str]:
    """Every object of a kind: what has been deleted has no tag any more by which it could be known."""
    types = [one for one in kind.access.types if one in actions.types(action)]
    return [actions.pattern(one, estate.scope) for one in types] or [ANY]


def lock(needs: Needs) -> None:
    """The lock of the environment."""
    scope = needs.estate.scope
    for action in LOCK:
        needs.add(
            action, (scope.arn("ssm", f"parameter/reconcile/locks/{scope.environment}"),), "the lock of the environment"
        )


def _creates(needs: Needs, kind: Kind, resource: Resource) -> None:
    """Creations, by the tags that they send where AWS has no ARN yet or knows the tag; tagging is part of them."""
    estate = needs.estate
    for action in kind.access.creates:
        creation(needs, kind, action, estate.own(resource), resource.address)
        others(needs, kind, action, resource)


def creation(needs: Needs, kind: Kind, action: str, arns: Iterable[str], address: Address) -> None:
    """The action that creates ``arns`` (none: AWS assigns them), and the one by which it sets tags."""
    estate, why = needs.estate, f"create: {address}"
    types = [one for one in kind.access.types if one in actions.types(action)]
    known = fitting(estate, kind, action, arns)
    resources = known or [actions.pattern(one, estate.scope) for one in types]
    tagged = {f"{REQUEST_TAG}/{OWNER_TAG}": (estate.scope.environment,)}
    sends = bool(kind.access.tags) and all(actions.supports(action, one, REQUEST_TAG) for one in types)
    needs.under(action, resources, why, tagged if sends else {})
    for tag in kind.access.tags[:1]:
        of_creation = {CREATE_ACTION: (action.partition(":")[2],)}
        one = types[0] if types else ""
        some = {**tagged, **of_creation} if actions.supports(tag, one, CREATE_ACTION) else tagged
        own = fitting(estate, kind, tag, arns) or ([] if known else resources)
        needs.under(tag, own, f"tag on creation: {address}", some)


def passing(needs: Needs, address: Address, service: str, roles: Iterable[str]) -> None:
    """Roles that a resource lets a service have."""
    needs.under(actions.PASS_ROLE, roles, f"pass to {service}: {address}", {actions.PASSED_TO: (service,)})


def others(
    needs: Needs, kind: Kind, action: str, resource: Resource, chosen: Callable[[Iterable[str]], list[str]] = list
) -> None:
    """What the request names beside the object: AWS checks each of them. ``chosen``: those that this request names."""
    estate, own = needs.estate, set(kind.access.types)
    sections = {one: section for section, other in estate.kinds.items() for one in other.access.types}
    named = list(estate.named(resource))
    for one, required in actions.types(action).items():
        if one in own:
            continue
        form, why = actions.form(one, estate.scope), f"named by: {resource.address}"
        if one in sections:
            arns = chosen(arn for _, arn in named if form.fullmatch(arn))
            needs.add(action, arns or ([actions.pattern(one, estate.scope)] if required else []), why)
        elif required or one in kind.access.others:
            needs.add(action, _given(estate, one, resource), why)


def _given(estate: Estate, one: str, resource: Resource) -> list[str]:
    """The ARNs of a type that no kind has, by the ids in the properties: ``vpc-0abc``; else any."""
    short = one.partition(":")[2]
    pattern = actions.pattern(one, estate.scope)
    ids = [text for text in texts(resource.props) if re.fullmatch(rf"{short}-[0-9a-f]+", text)]
    return [pattern.replace("*", text) if pattern.count("*") == 1 else pattern for text in ids] or [pattern]


def narrowed(estate: Estate, kind: Kind, action: str) -> dict[str, tuple[str, ...]]:
    """The values that a condition key of the action may have, from the declarations (``Access.narrowed``)."""
    key, path = kind.access.narrowed.get(action, ("", ""))
    if not key or not all(actions.supports(action, one, key) for one in kind.access.types):
        return {}
    found: dict[str, None] = {}
    for resource in estate.declared(kind.section):
        for _, value in values_at(resource.props, path):
            arns = estate.at(kind.refs[path], value)
            if not arns:
                return {}
            found |= dict.fromkeys(arns)
    return {key: tuple(found)} if found else {}


def more(needs: Needs, kind: Kind, resource: Resource, *, created: bool = True, planned: bool = False) -> None:
    """The further actions that a declaration needs; with ``planned`` only those that a plan needs."""
    for grant in kind.access.more(needs.estate.scope, resource):
        wanted = grant.planned if planned else created or not grant.only_created
        for action in grant.actions if wanted else ():
            needs.under(action, grant.resources, f"{grant.why}: {resource.address}", grant.conditions)
