"""What would change: a pure function from declared and observed to a :class:`Plan`.

For each declared resource, in the order of its references: fill in references, choose the live object it means (the
heir), compare, and ask the kind for the calls. One logical name may have several live objects, since a killed run
leaves them: the heir stays, the others go. What is owned and no longer declared goes. ``order.py`` then turns all of
it into one graph of steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from typing import Any

from reconciler import diff as differ
from reconciler import order, refs
from reconciler.model import (
    EMPTY,
    NAME_TAG,
    OWNER_PREFIX,
    OWNER_TAG,
    Action,
    Address,
    Diff,
    Effect,
    Environment,
    Json,
    Kind,
    Later,
    Live,
    Observed,
    Options,
    Plan,
    Replace,
    Resource,
    ResourcePlan,
    Scope,
    Verb,
    Wait,
    Want,
)
from reconciler.problems import Problem, did_you_mean


@dataclass(slots=True)
class Down:
    """One live object that goes, and how."""

    live: Live
    actions: list[Action]


@dataclass(slots=True)
class Node:
    """One resource while it is being planned."""

    address: Address
    kind: Kind
    resource: Resource | None = None
    want: Want | None = None
    heir: Live | None = None
    verb: Verb = Verb.NOOP
    diff: Diff = Diff()
    before: Json | None = None
    after: Json | None = None
    up: list[Action] = field(default_factory=list)
    downs: list[Down] = field(default_factory=list)
    uses: list[refs.Use] = field(default_factory=list)
    create_first: bool = True
    reason: str = ""
    disruption: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Planner:
    env: Environment
    kinds: Mapping[str, Kind]
    scope: Scope
    observed: Observed
    options: Options
    members: Callable[[str], Json]
    lookups: Json
    nodes: dict[Address, Node] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    outcomes: dict[Address, Mapping[str, Any]] = field(default_factory=dict)
    owned: dict[Address, list[Live]] = field(default_factory=dict)

    # --- the stages --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        self.owned = _owned(self.observed, self.kinds, self.scope.environment, self.env.resources)
        if self.options.destroy:
            for address in sorted(self.owned):
                self.remove(address, "the environment is destroyed")
            return
        declared = self.env.resources
        uses = self.uses()
        for address in self.sequence(uses):
            self.decide(declared[address], uses[address])
        for address, found in uses.items():  # names that were not settled yet when they were first needed
            if address in self.nodes and any(use.ref.late for use in found):
                self.decide(declared[address], found)
        if not self.options.targets and not self.observed.unreadable:
            for address in sorted(set(self.owned) - set(declared)):
                self.remove(address, "no longer declared")

    def uses(self) -> dict[Address, list[refs.Use]]:
        declared = self.env.resources
        arns = {}
        for address, resource in declared.items():
            attrs = self.kinds[address.section].attrs(self.scope, address.name, resource.props)
            if "arn" in attrs:
                arns[attrs["arn"]] = address
        return {a: refs.uses(r, self.kinds, declared, arns) for a, r in declared.items()}

    def sequence(self, uses: Mapping[Address, list[refs.Use]]) -> list[Address]:
        graph = {a: sorted({u.target for u in found if not u.ref.late} - {a}) for a, found in sorted(uses.items())}
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            loop = [str(address) for address in error.args[1]]
            first = self.env.resources[min(error.args[1])]
            self.problems.append(
                Problem(
                    code="reference-cycle",
                    message="these resources need each other: " + " -> ".join(loop),
                    hint="one of the references has to go",
                    address=str(first.address),
                    pos=first.at(),
                )
            )
            return []

    # --- one declared resource ---------------------------------------------------------------------------------------

    def decide(self, resource: Resource, uses: list[refs.Use]) -> None:
        address, kind = resource.address, self.kinds[resource.address.section]
        world = refs.World(
            scope=self.scope,
            declared=lambda a: self.outcomes.get(a, self.provisional(a)),
            existing=self.observed.existing,
            lookups=self.lookups,
        )
        props, wrong = refs.resolve(resource, kind, self.kinds, world)
        tags, wrong_tags = refs.filled_tags(resource, world)
        self.nodes.pop(address, None)
        node = Node(address=address, kind=kind, resource=resource, uses=uses)
        if address.section in self.observed.unreadable:
            self.outcomes[address] = self.provisional(address) or EMPTY
            return
        if wrong or wrong_tags:
            self.problems += [problem for problem in (*wrong, *wrong_tags) if problem not in self.problems]
            self.outcomes[address] = self.provisional(address) or EMPTY
            return
        mine = self.owned.get(address, [])
        alive = [live for live in mine if not live.dying]
        adopting = False
        if not alive:
            foreign = self.foreign(resource)
            if foreign is None:
                self.outcomes[address] = self.provisional(address) or EMPTY
                return
            alive, adopting = foreign, bool(foreign)
        if alive:
            self.keep(node, alive, props, tags, adopting=adopting)
        else:
            self.create(node, mine, props, tags)
        self.finish(node, mine)
        self.nodes[address] = node
        self.outcomes[address] = node.want.attrs if node.want else EMPTY

    def provisional(self, address: Address) -> Mapping[str, Any] | None:
        """The attributes of a declared resource before it was decided upon: its live ones, else what can be told."""
        resource = self.env.resources.get(address)
        if resource is None:
            return None
        kind = self.kinds[address.section]
        lives = [live for live in self.owned.get(address, []) if not live.dying]
        if lives:
            return lives[0].attrs
        known = kind.attrs(self.scope, address.name, resource.props)
        return {**{name: Later(address, name) for name in kind.later}, "name": address.name, **known}

    def foreign(self, resource: Resource) -> list[Live] | None:
        """Live objects of the declared name that we do not own; None when that ends the planning of it."""
        address, kind = resource.address, self.kinds[resource.address.section]
        found = [live for live in self.observed.lives.get(address.section, ()) if _called(live, address.name, kind)]
        found = [live for live in found if live.owner != self.scope.environment]
        if kind.shared:
            return found[:1]
        alive = [live for live in found if not live.dying or kind.revive]
        if not alive:
            return []
        others = sorted({live.owner for live in alive if live.owner})
        if others:
            self.problem(
                resource,
                "owned-elsewhere",
                f"it exists and belongs to the environment {others[0]}",
                f"declare it under another name here, or remove it from {others[0]} first",
            )
            return None
        if not (self.options.adopt or resource.lifecycle.adopt):
            self.problem(
                resource,
                "exists-unowned",
                f"a {kind.name} of this name exists and no environment owns it",
                "to take it over, plan with --adopt or set lifecycle.adopt: true; else choose another name",
            )
            return None
        return alive

    def keep(self, node: Node, alive: list[Live], props: Json, tags: Json, *, adopting: bool) -> None:
        """Settle on the object that stays, and plan what it needs."""
        kind, address = node.kind, node.address
        ranked = []
        for live in _newest(alive) if kind.versioned else alive:
            want = self.want(node, live.physical, props, tags, live)
            found, before, after = differ.difference(kind, live, want, self.members(address.section))
            size = (found.replaces, len(found.changes), live.broken, live.physical != address.name, live.physical)
            ranked.append((size, live, want, found, before, after))
        _, heir, want, found, before, after = min(ranked, key=lambda entry: entry[0])
        node.heir, node.want, node.before, node.after = heir, want, before, after
        retagged = () if kind.shared else self.tag_changes(heir, want)
        node.diff = Diff((*found.changes, *retagged))
        node.notes += kind.notes(heir, want)
        if found.replaces or address in self.options.replace:
            self.replaced(node, heir, props, tags, found)
            return
        if heir.dying and kind.revive:
            node.up, node.verb, node.reason = list(kind.revive(heir, want)), Verb.UPDATE, "is scheduled for deletion"
            node.up += self.tag_actions(node, heir, want, retagged, adopting=adopting)
        elif found or retagged:
            changed = kind.update(heir, want, found) if found else ()
            tagged = [] if kind.versioned and found else self.tag_actions(node, heir, want, retagged, adopting=adopting)
            node.up = [*self.settled(heir, kind), *changed, *tagged]
            node.verb, node.reason = Verb.UPDATE, _reason(node.diff)
            node.disruption = _disruption(kind, heir, want, found)
        elif heir.broken:
            node.up, node.reason = list(kind.repair(heir, want)), f"is {heir.status}: {heir.reason}"
            node.verb = Verb.UPDATE if node.up else Verb.NOOP
            if not node.up:
                node.notes.append(node.reason)
        if adopting and not kind.shared:
            node.verb, node.reason = Verb.ADOPT, "exists and is taken over"
        if found and kind.versioned:
            self.outcomes_later(node)

    def outcomes_later(self, node: Node) -> None:
        """A new revision has attributes that are not those of the old one."""
        assert node.want is not None
        later = {name: Later(node.address, name) for name in node.kind.later}
        node.want = replace(node.want, attrs={**node.want.attrs, **later})

    def create(self, node: Node, mine: Sequence[Live], props: Json, tags: Json) -> None:
        kind, address = node.kind, node.address
        want = self.want(node, address.name, props, tags, None)
        lives = self.observed.lives.get(address.section, ())
        dying = [live for live in (*mine, *lives) if live.dying and _called(live, address.name, kind)]
        node.want, node.verb, node.reason = want, Verb.CREATE, "not in the account"
        node.after = differ.canonical(kind, want.props)
        if dying and kind.revive:
            node.heir, node.reason = dying[0], "was scheduled for deletion and is restored"
            retagged = self.tag_changes(dying[0], want)
            node.up = [*kind.revive(dying[0], want), *self.tag_actions(node, dying[0], want, retagged, adopting=False)]
        else:
            node.up = [*(kind.gone(dying[0]) if dying else ()), *kind.create(want)]

    def replaced(self, node: Node, heir: Live, props: Json, tags: Json, found: Diff) -> None:
        """One object takes the place of another: under a derived name first, or after the old one is gone."""
        kind, address = node.kind, node.address
        assert node.resource is not None
        mode = node.resource.lifecycle.replace or kind.replace
        forcing = [change for change in found.changes if change.effect is Effect.REPLACE]
        if kind.replace is Replace.FORBIDDEN:
            path = forcing[0].path if forcing else ()
            why = f" ({forcing[0].because})" if forcing and forcing[0].because else ""
            what = f"{refs.dotted(path)} cannot be changed{why}" if forcing else f"a {kind.name} is not replaced"
            hint = f"declare a second {kind.name} under another name, move its users there, then remove this one"
            self.problem(node.resource, "cannot-replace", what, hint, path)
            return
        node.verb, node.create_first = Verb.REPLACE, mode is Replace.CREATE_FIRST
        node.reason = _reason(found, only=Effect.REPLACE) if forcing else "asked for with --replace"
        physical = _derived(address.name, forcing, heir, kind) if node.create_first else address.name
        node.want = want = self.want(node, physical, props, tags, None)
        lives = self.observed.lives.get(address.section, ())
        dying = [live for live in lives if live.dying and live.physical == physical]
        node.up = [*(kind.gone(dying[0]) if dying else ()), *kind.create(want)]
        node.downs.append(self.down(heir, kind, node.resource.props))
        node.disruption = _disruption(kind, heir, want, found)

    def finish(self, node: Node, mine: Sequence[Live]) -> None:
        """What else is there under this name: leftovers of a killed run, revisions beyond those to keep."""
        kind, resource = node.kind, node.resource
        assert resource is not None
        if kind.versioned:
            registers = node.verb is Verb.CREATE or any(c.top != "tags" for c in node.diff.changes)
            keep = max(resource.lifecycle.keep_revisions, 1) - registers
            old = _newest_first(mine)[max(keep, 0) :]
            going = [
                live for live in old if live.owner == self.scope.environment and (registers or live is not node.heir)
            ]
        else:
            going = [live for live in mine if live is not node.heir and not live.dying]
        for live in going:
            node.downs.append(self.down(live, kind, resource.props))
        if going and node.verb is Verb.NOOP:
            node.verb = Verb.UPDATE
            names = ", ".join(live.physical for live in going)
            node.reason = f"left over: {names}" if not kind.versioned else f"revisions beyond those to keep: {names}"

    # --- what is no longer declared ----------------------------------------------------------------------------------

    def remove(self, address: Address, reason: str) -> None:
        kind, lives = self.kinds[address.section], self.owned[address]
        resource = self.env.resources.get(address)
        node = Node(address=address, kind=kind, resource=resource, verb=Verb.DELETE, reason=reason)
        if kind.shared:
            return
        if kind.versioned:
            lives = [live for live in lives if not live.dying]
        for live in lives:
            down = self.down(live, kind, resource.props if resource else EMPTY)
            if down.actions:
                node.downs.append(down)
        if not node.downs:
            return
        first = min(lives, key=lambda live: (live.dying, -live.revision, live.physical))
        node.heir, node.before = first, differ.canonical(kind, first.props)
        if resource:
            node.uses = refs.uses(resource, self.kinds, self.env.resources, {})
        self.nodes[address] = node

    def down(self, live: Live, kind: Kind, declared: Json) -> Down:
        if live.dying:
            return Down(live, list(kind.gone(live)))
        before = [_whatever(action) for action in kind.settle(live)] if not live.settled else []
        return Down(live, [*before, *kind.delete(live, declared)])

    # --- small things ------------------------------------------------------------------------------------------------

    def want(self, node: Node, physical: str, props: Json, tags: Json, live: Live | None) -> Want:
        kind, address, resource = node.kind, node.address, node.resource
        assert resource is not None
        name = live.attrs.get("name", physical) if live and kind.versioned else physical
        known: dict[str, Any] = dict(kind.attrs(self.scope, name, props))
        attrs = {**{later: Later(address, later) for later in kind.later}, "name": name, **known}
        if live:
            attrs |= live.attrs
            props = differ.keep_ignored(kind, live.props, props, resource.lifecycle.ignore_changes)
        own = {OWNER_TAG: self.scope.environment} | ({NAME_TAG: address.name} if name != address.name else {})
        return Want(
            address=address,
            physical=name,
            declared=props,
            props=differ.with_defaults(kind, props),
            tags={} if kind.shared else {**tags, **own},
            attrs=attrs,
            scope=self.scope,
            lifecycle=resource.lifecycle,
        )

    def tag_changes(self, live: Live, want: Want) -> tuple[Any, ...]:
        def ours(name: str) -> bool:
            if name.startswith(OWNER_PREFIX):
                return name in (OWNER_TAG, NAME_TAG)
            foreign = any(fnmatchcase(name, pattern) for pattern in self.env.ignore_tags)
            return not name.lower().startswith("aws:") and not (foreign and name not in want.tags)

        return differ.tags({k: v for k, v in live.tags.items() if ours(k)}, want.tags)

    def tag_actions(
        self, node: Node, live: Live, want: Want, changes: Iterable[Any], *, adopting: bool
    ) -> list[Action]:
        extra = node.kind.owner_tags(live, want) if adopting and node.kind.owner_tags else {}
        put = {str(c.path[1]): c.after for c in changes if c.path[1] in want.tags} | dict(extra)
        gone = [str(c.path[1]) for c in changes if c.path[1] not in want.tags]
        return list(node.kind.tag(live, put, gone)) if put or gone else []

    def settled(self, live: Live, kind: Kind) -> Sequence[Action]:
        return () if live.settled else kind.settle(live)

    def problem(self, resource: Resource, code: str, message: str, hint: str, path: tuple[str | int, ...] = ()) -> None:
        found = Problem(
            code=code,
            message=message,
            hint=hint,
            address=str(resource.address),
            path=refs.dotted(path),
            pos=resource.at(path),
        )
        if found not in self.problems:
            self.problems.append(found)


def make(
    env: Environment,
    kinds: Mapping[str, Kind],
    scope: Scope,
    observed: Observed,
    *,
    options: Options | None = None,
    members: Callable[[str], Json] = lambda _: EMPTY,
    lookups: Json = EMPTY,
) -> tuple[Plan, list[Problem]]:
    """The plan that takes ``observed`` to ``env``, and what stands in its way (errors: it must not be applied).

    ``members`` gives a section's tree of known members; ``lookups`` the values of the look-ups.
    """
    chosen = options or Options()
    planner = _Planner(env, kinds, scope, observed, chosen, members, lookups)
    planner.problems += _unknown_addresses(env, chosen, _owned(observed, kinds, scope.environment, env.resources))
    planner.run()
    nodes = _narrowed(planner.nodes, chosen)
    busy = {a for a, node in nodes.items() if node.up or any(not down.live.dying for down in node.downs)}
    for address, node in list(nodes.items()):  # what is on its way out matters only to others that move
        if node.verb is Verb.DELETE and address not in busy and not busy:
            del nodes[address]
    _wait_for_unsettled(nodes)
    steps, tangled = order.steps(nodes)
    planner.problems += tangled
    resources = tuple(_resource_plan(nodes[address], steps.get(address, ())) for address in sorted(nodes))
    unplanned = set(env.resources) - set(nodes) if not chosen.destroy else set()
    complete = not (chosen.targets or chosen.exclude or observed.unreadable or unplanned)
    plan = Plan(scope=scope, resources=resources, lookups=lookups, complete=complete, destroy=chosen.destroy)
    return plan, planner.problems


def _owned(
    observed: Observed, kinds: Mapping[str, Kind], environment: str, declared: Iterable[Address]
) -> dict[Address, list[Live]]:
    """The live objects the environment owns, by logical name; of a versioned kind all revisions of an owned name."""
    owned: dict[Address, list[Live]] = {}
    folded = {(a.section, a.name.casefold()): a for a in declared if kinds[a.section].folds_case}
    for section, lives in observed.lives.items():
        kind = kinds[section]
        mine = [live for live in lives if live.owner == environment]
        if kind.versioned:
            names = {live.logical for live in mine}
            mine = [live for live in lives if live.logical in names and live.owner in (environment, None)]
        for live in mine:
            address = folded.get((section, live.logical.casefold()), Address(section, live.logical))
            owned.setdefault(address, []).append(live)
    return owned


def _called(live: Live, name: str, kind: Kind) -> bool:
    spellings = (live.physical, live.attrs.get("name", ""))
    return name in spellings or (kind.folds_case and name.casefold() in [s.casefold() for s in spellings])


def _newest(lives: Sequence[Live]) -> list[Live]:
    return [max(lives, key=lambda live: live.revision)]


def _newest_first(lives: Sequence[Live]) -> list[Live]:
    return sorted(lives, key=lambda live: -live.revision)


def _derived(name: str, forcing: Sequence[Any], heir: Live, kind: Kind) -> str:
    """``NAME-hash6``: the hash is over what forces the replacement, so that planning twice gives the same name."""
    told = [f"{refs.dotted(c.path)}={differ.order(c.after)}" for c in forcing] or ["again", heir.physical]
    digest = hashlib.sha256(differ.order(told).encode()).hexdigest()[:6]
    derived = f"{name[: kind.max_name - 7]}-{digest}"
    return derived if derived != heir.physical else f"{name[: kind.max_name - 9]}-{digest}-2"


def _reason(diff: Diff, only: Effect | None = None) -> str:
    paths = [refs.dotted(c.path) for c in diff.changes if only in (None, c.effect)]
    if len(paths) > 3:
        paths = [*paths[:2], f"{len(paths) - 2} more"]
    listed = " and ".join([", ".join(paths[:-1]), paths[-1]] if len(paths) > 1 else paths)
    return f"{listed} differ{'s' if len(paths) == 1 else ''}"


_DISRUPTIONS = {
    Effect.SCALING: "none: running jobs are not affected",
    Effect.INFRASTRUCTURE: "new instances take over from the old ones; running jobs may be ended",
    Effect.NEW_REVISION: "none: jobs already submitted keep their revision",
    Effect.REPLACE: "replaced: what uses it moves to the new one",
    Effect.IN_PLACE: "none",
}


def _disruption(kind: Kind, live: Live, want: Want, diff: Diff) -> str:
    if kind.disruption:
        return kind.disruption(live, want, diff)
    order_of = list(Effect)
    effects = [change.effect for change in diff.changes if change.top != "tags"]
    return _DISRUPTIONS[max(effects, key=order_of.index)] if effects else "none"


def _whatever(action: Action) -> Action:
    """The wait for an object to settle, content with a bad end: it is going to be deleted anyway."""
    if not isinstance(action, Wait):
        return action
    either = {name: action.until.get(name, frozenset()) | values for name, values in action.fail.items()}
    return replace(action, until={**action.until, **either}, fail=EMPTY, repair=None)


def _wait_for_unsettled(nodes: Mapping[Address, Node]) -> None:
    """An unchanged object that is still changing is waited for where something that moves depends on it."""
    needed = {use.target for node in nodes.values() if node.up for use in node.uses}
    for address in sorted(needed & set(nodes)):
        node = nodes[address]
        if node.verb is Verb.NOOP and node.heir and not node.heir.settled:
            node.up = list(node.kind.settle(node.heir))
            node.verb, node.reason = Verb.UPDATE, f"is {node.heir.status}, and others wait for it"


def _unknown_addresses(env: Environment, options: Options, owned: Mapping[Address, Any]) -> list[Problem]:
    known = {*env.resources, *owned}
    wanted = {"--target": options.targets, "--exclude": options.exclude, "--replace": options.replace}
    return [
        Problem(
            code="unknown-address",
            message=f"{flag} {address}: there is no such resource in this environment",
            hint=did_you_mean(str(address), map(str, known)),
        )
        for flag, addresses in wanted.items()
        for address in addresses
        if address not in known
    ]


def _narrowed(nodes: dict[Address, Node], options: Options) -> dict[Address, Node]:
    """Targets with all they need; or everything but the excluded with all that needs them."""
    kept = dict(nodes)
    if options.targets:
        reached, todo = set[Address](), list(options.targets)
        while todo:
            address = todo.pop()
            if address in nodes and address not in reached:
                reached.add(address)
                todo += [use.target for use in nodes[address].uses]
        kept = {a: node for a, node in nodes.items() if a in reached}
    if options.exclude:
        out = set(options.exclude)
        while grown := {a for a, node in kept.items() if a not in out and any(u.target in out for u in node.uses)}:
            out |= grown
        kept = {a: node for a, node in kept.items() if a not in out}
    return kept


def _resource_plan(node: Node, steps: tuple[Any, ...]) -> ResourcePlan:
    heir, resource = node.heir, node.resource
    importing = heir.attrs.get("arn") or heir.attrs.get("id") or heir.physical if heir else ""
    secret = frozenset(path.split(".", maxsplit=1)[0] for path, facts in node.kind.fields.items() if facts.secret)
    physical = node.want.physical if node.want else heir.physical if heir else node.address.name
    return ResourcePlan(
        address=node.address,
        verb=node.verb,
        physical=physical,
        before=node.before,
        after=node.after if node.verb is not Verb.DELETE else None,
        diff=node.diff,
        steps=steps,
        reason=node.reason,
        disruption=node.disruption,
        notes=tuple(dict.fromkeys(node.notes)),
        create_first=node.create_first,
        importing=importing if node.verb is Verb.ADOPT else "",
        depends_on=tuple(sorted({use.target for use in node.uses} - {node.address})),
        pos=resource.at() if resource else None,
        secret_paths=secret,
    )
