"""The plan: a pure function from declared and observed to a :class:`Plan`.

For each declared resource, in the order of its references: resolve references, choose the live object to keep, compare,
and take the calls from the kind. One logical name may have several live objects, left by a killed run: one is kept,
the others are deleted. Owned resources that are no longer declared are deleted. ``graph.py`` then orders all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from reconciler.config import links, physical, references
from reconciler.config.section_order import by_section
from reconciler.model import (
    EMPTY,
    OWNER_TAG,
    Address,
    Environment,
    Json,
    Kind,
    Later,
    Lifecycle,
    Live,
    Observed,
    Options,
    Plan,
    Resource,
    ResourcePlan,
    Scope,
    Verb,
)
from reconciler.model import problem_codes as codes
from reconciler.model.identity import once_for_each_object
from reconciler.model.problems import Problem, did_you_mean
from reconciler.model.records import dataclass
from reconciler.model.stand_ins import unknown_values
from reconciler.planning import graph as step_graph
from reconciler.planning import live_objects, retention
from reconciler.planning.canonical import canonical
from reconciler.planning.node import Node
from reconciler.planning.ownership import Ownership
from reconciler.planning.resource_planner import ResourcePlanner
from reconciler.planning.unknown_members import with_unknown_members

MOST_LISTED: Final = 5


@dataclass(slots=True)
class _Planner:
    env: Environment
    kinds: Mapping[str, Kind]
    scope: Scope
    observed: Observed
    options: Options
    lookups: Json
    planner: ResourcePlanner
    problems: list[Problem]
    nodes: dict[Address, Node] = field(default_factory=dict)
    outcomes: dict[Address, Mapping[str, Any]] = field(default_factory=dict)
    owned: dict[Address, list[Live]] = field(default_factory=dict)
    unreadable: dict[tuple[str, str], str] = field(default_factory=dict)
    deferred: dict[Address, frozenset[Address]] = field(default_factory=dict)
    context: references.ResolutionContext | None = None
    in_order: dict[str, list[Address]] = field(default_factory=dict)

    # --- the stages --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        self.unreadable = {thing: failed.advice for thing, failed in self.observed.unreadable.items()}
        self.unreadable |= {("lookups", name): advice for name, advice in self.observed.unresolved_lookups.items()}
        self.owned = _owned(self.planner.ownership, self.env.resources, destroy=self.options.destroy)
        if self.options.destroy and self.observed.incomplete:
            return
        if self.options.destroy:
            for address in sorted(self.owned):
                self.remove(address, "the environment is destroyed")
            return
        declared = self.env.resources
        self.context = references.ResolutionContext(
            scope=self.scope,
            declared=self.attributes,
            existing=self.observed.existing,
            lookups=self.lookups,
            names=declared,
            unseen=self.unreadable,
        )
        uses = self.uses()
        self.deferred = self.created_later(uses)
        for address in self.sequence(uses):
            self.plan_resource(declared[address], uses[address])
        unseen = set(self.unreadable)
        for address, found in uses.items():  # late references: the other's name was not planned yet
            if address in self.nodes and any(use.ref.late for use in found):
                self.plan_resource(declared[address], found)
        self.plan_again(uses, unseen)
        if not self.options.targets and not self.observed.incomplete:
            for address in sorted(set(self.owned) - set(declared)):
                self.remove(address, "no longer declared")

    def plan_again(self, uses: Mapping[Address, list[references.Use]], known: set[tuple[str, str]]) -> None:
        """Plan again what refers to something of which was found since that it depends on what cannot be read: it was
        planned before with values that AWS would assign. ``known`` are those that were known to be unreadable.
        """
        while found := self.unreadable.keys() - known:
            known |= found
            for address, used in uses.items():
                if address in self.nodes and any(use.target in found for use in used):
                    self.plan_resource(self.env.resources[address], used)

    def uses(self) -> dict[Address, list[references.Use]]:
        declared = self.env.resources
        return {a: references.dependencies(r, self.kinds, declared) for a, r in declared.items()}

    def created_later(self, uses: Mapping[Address, list[references.Use]]) -> dict[Address, frozenset[Address]]:
        """For every resource, what it refers to by late references, and what itself waits for its creation."""
        if not any(use.ref.late for found in uses.values() for use in found):
            return {}
        needs: dict[Address, set[Address]] = {}
        for address, found in uses.items():
            later = self.kinds[address.section].sent_later
            needs[address] = {use.target for use in found if not (use.path and use.path[0] in later)} - {address}
        return {
            address: frozenset(use.target for use in found if use.ref.late and _reaches(use.target, address, needs))
            for address, found in uses.items()
        }

    def sequence(self, uses: Mapping[Address, list[references.Use]]) -> list[Address]:
        graph = {a: {u.target for u in found if not u.ref.late} - {a} for a, found in sorted(uses.items())}
        if (ordered := by_section(graph)) is not None:
            return ordered
        try:
            return list(TopologicalSorter({a: sorted(targets) for a, targets in graph.items()}).static_order())
        except CycleError as error:
            loop = [str(address) for address in error.args[1]]
            first = self.env.resources[min(error.args[1])]
            self.problems.append(
                Problem(
                    code=codes.REFERENCE_CYCLE,
                    message="dependency cycle: " + " -> ".join(loop),
                    hint="remove one of these references",
                    address=str(first.address),
                    pos=first.at(),
                )
            )
            return []

    # --- one declared resource ---------------------------------------------------------------------------------------

    def plan_resource(self, resource: Resource, uses: list[references.Use]) -> None:
        address, kind, context = resource.address, self.kinds[resource.address.section], self.context
        assert context is not None
        props, wrong = references.resolve(resource, kind, self.kinds, context)
        tags, wrong_tags = references.resolve_tags(resource, context)
        self.nodes.pop(address, None)
        node = Node(address=address, kind=kind, resource=resource, uses=uses)
        later = (context.declared(one) or EMPTY for one in self.deferred.get(address, ()))
        node.deferred = frozenset(attrs["arn"] for attrs in later if isinstance(attrs.get("arn"), str))
        if (address.section, address.name) in self.observed.unreadable:
            self.outcomes[address] = self.provisional(address) or EMPTY
            return
        wrong += self.problems_unreadable(resource, (props, tags), uses)
        if wrong or wrong_tags:
            self.problems += [problem for problem in (*wrong, *wrong_tags) if problem not in self.problems]
            self.outcomes[address] = self.provisional(address) or EMPTY
            for problem in wrong:
                if problem.code == codes.UNREADABLE:  # whether it exists may be unknown too
                    self.unreadable.setdefault((address.section, address.name), problem.hint)
            return
        if not self.planner.plan_declared(node, self.owned.get(address, []), props, tags):
            self.outcomes[address] = self.provisional(address) or EMPTY
            return
        self.nodes[address] = node
        self.outcomes[address] = node.want.attrs if node.want else EMPTY

    def problems_unreadable(self, resource: Resource, filled: Any, uses: Iterable[references.Use]) -> list[Problem]:
        """Problems for values that AWS assigns to a resource that cannot be read: a plan would have to guess them."""
        if not self.unreadable:
            return []
        return [
            references.problem_unplanned(
                resource, use.path, f"{part.address}, which cannot be read", self.unreadable[unseen]
            )
            for part in unknown_values(filled)
            if (unseen := (part.address.section, part.address.name)) in self.unreadable
            for use in [use for use in uses if use.target == part.address][:1]
        ]

    def attributes(self, address: Address) -> Mapping[str, Any] | None:
        """The attributes of a declared resource: those it will have, as far as it is planned; None if there is none."""
        found = self.outcomes.get(address)
        return self.provisional(address) if found is None else found

    def provisional(self, address: Address) -> Mapping[str, Any] | None:
        """The attributes of a declared resource before it is planned: the live ones, else those that are known."""
        resource = self.env.resources.get(address)
        if resource is None:
            return None
        kind = self.kinds[address.section]
        lives = [live for live in self.owned.get(address, []) if not live.deleting]
        named = (live for live in lives if live_objects.is_named(live, kind, address.name, resource.name))
        if found := next(named, None):  # one with another name is replaced
            return found.attrs
        known = kind.attrs(self.scope, resource.name, resource.props)
        return {**{name: Later(address, name) for name in kind.assigned_by_aws}, "name": resource.name, **known}

    # --- what is no longer declared ----------------------------------------------------------------------------------

    def remove(self, address: Address, reason: str) -> None:
        kind, lives = self.kinds[address.section], self.owned[address]
        resource = self.env.resources.get(address)
        node = Node(address=address, kind=kind, resource=resource, verb=Verb.DELETE, reason=reason)
        if kind.shared:
            return
        if kind.versioned:
            lives = [live for live in lives if not live.deleting]
            others = sorted(
                (live for live in lives if live.owner != self.scope.environment), key=lambda live: live.revision
            )
            lives = [live for live in lives if live.owner == self.scope.environment]
            node.notes += [_unowned_revisions([live.physical for live in others])] if others else []
            node.remaining = tuple(live.physical for live in others)
        for live in lives:
            down = self.planner.removal(live, kind, resource, drained=not self.options.destroy)
            if down.actions:
                node.removals.append(replace(down, note=self.twin(address, live)))
        if not node.removals:
            return
        if keeper := next((live.managed_by for live in lives if live.managed_by), ""):
            self.report_service_managed(address, keeper)
            return
        first = min(lives, key=lambda live: (live.deleting, -live.revision, live.physical))
        node.kept_object, node.before = first, canonical(kind, first.props)
        node.by_tag_only = tuple(live for live in lives if not self.is_our_name(address, live))
        node.notes += [f"{live.physical} is {live_objects.BY_TAG_ONLY}" for live in node.by_tag_only]
        if kind.deletion_effect:
            waits = None if self.options.destroy else resource.lifecycle if resource else Lifecycle()
            node.disruption = kind.deletion_effect(first, waits)
        if resource:
            node.uses = references.dependencies(resource, self.kinds, self.env.resources)
        self.nodes[address] = node

    def is_our_name(self, address: Address, live: Live) -> bool:
        """Whether this tool may have given the name to what is to be deleted; one given explicitly is known only while
        it is declared.
        """
        kind, resource = self.kinds[address.section], self.env.resources.get(address)
        names = {address.name, f"{self.env.name_prefix}{address.name}", resource.name if resource else address.name}
        return any(live_objects.is_named(live, kind, address.name, name) for name in names)

    def twin(self, address: Address, live: Live) -> str:
        """The note about an object that is as a declared one of its kind: copies carry the tags of their original."""
        if address in self.env.resources:
            return ""
        originals = (
            other
            for other in self.declared_in(address.section)
            if other != address
            for original in self.owned.get(other, ())
            if live.props and live.props == original.props and live.tags == original.tags
        )
        found = next(originals, None)
        return (
            f"{live.physical} has the same settings and tags as {found}: a copy of it, or declared before"
            if found
            else ""
        )

    def declared_in(self, section: str) -> list[Address]:
        """The declared resources of a section in order, sorted once: a thousand may be removed."""
        if not self.in_order:
            for address in sorted(self.env.resources):
                self.in_order.setdefault(address.section, []).append(address)
        return self.in_order.get(section, [])

    def report_service_managed(self, address: Address, keeper: str) -> None:
        """Report that only the service ``keeper`` can delete the resource, unless it is excluded."""
        if address in self.options.exclude:
            return
        message = f"managed by {keeper}, and AWS allows only that service to delete it"
        hint = f"remove what it serves in that service; until then pass --exclude '{address}'"
        self.problems.append(Problem(code=codes.MANAGED_BY_AWS, message=message, hint=hint, address=str(address)))


def make(
    env: Environment,
    kinds: Mapping[str, Kind],
    scope: Scope,
    observed: Observed,
    *,
    options: Options | None = None,
    members: Callable[[str], Json] = lambda _: EMPTY,
    lookups: Json = EMPTY,
    linked: bool = False,
) -> tuple[Plan, list[Problem]]:
    """The plan that brings ``observed`` to ``env``, and its problems; with errors it must not be applied.

    ``members`` returns a section's tree of known members; ``lookups`` are the values of the look-ups. ``linked``: the
    resources of ``env`` refer to each other by name already.
    """
    chosen = options or Options()
    if not linked:
        env = links.linked_environment(env, kinds, scope, observed.lives, lookups)
    ownership = Ownership.of(observed, kinds, scope, env.resources)
    decider = ResourcePlanner(env, scope, observed, chosen, ownership, members, kinds)
    planner = _Planner(env, kinds, scope, observed, chosen, lookups, decider, decider.problems)
    if chosen.targets or chosen.exclude or chosen.replace or chosen.refresh:
        planner.problems += _unknown_addresses(env, chosen, _owned(ownership, env.resources))
    planner.problems += ownership.left_elsewhere(destroy=chosen.destroy)
    planner.run()
    nodes = _limited(planner.nodes, chosen)
    planner.problems += retention.keep_unplaced(nodes, ownership.keeps)
    planner.problems += retention.keep_used(nodes, observed.used)
    retention.keep_all(nodes, observed.unanswered)
    step_graph.drop_objects_already_going(nodes)
    steps, tangled = step_graph.steps(nodes)
    planner.problems += tangled
    resources = tuple(_resource_plan(nodes[address], steps.get(address, ())) for address in sorted(nodes))
    unplanned = set(env.resources) - set(nodes) if not chosen.destroy else set()
    blind = observed.incomplete or observed.unanswered
    complete = not (chosen.targets or chosen.exclude or blind or unplanned)
    plan = Plan(
        scope=scope,
        resources=resources,
        lookups=lookups,
        complete=complete,
        limited_by="--target" if chosen.targets else "--exclude" if chosen.exclude else "",
        destroy=chosen.destroy,
    )
    return plan, planner.problems


def _owned(
    ownership: Ownership, declared: Mapping[Address, Resource], *, destroy: bool = False
) -> dict[Address, list[Live]]:
    """The live objects that the environment owns, by address; of a versioned kind all revisions of an owned name.

    Without what is declared and may serve another Region: that is adopted only.
    """
    kinds, environment = ownership.kinds, ownership.scope.environment
    owned: dict[Address, list[Live]] = {}
    names_declared = set(declared)
    folded = {(a.section, a.name.casefold()): a for a in declared if kinds[a.section].folds_case}
    by_name = physical.by_physical(declared.values(), kinds)
    for section, lives in ownership.lives.items():
        kind = kinds[section]
        owned_objects = [live for live in lives if kind.owned(live, ownership.scope)]
        if kind.versioned:
            names = {live.attrs.get("name"): live.logical for live in owned_objects}
            owned_objects = [
                live for live in lives if live.attrs.get("name") in names and live.owner in (environment, None)
            ]
        for live in owned_objects:
            name = live.attrs.get("name") or live.physical
            logical = names[name] if kind.versioned else live.logical
            address = folded.get((section, logical.casefold()), Address(section, logical))
            if address not in names_declared or logical == name:  # declared under its physical name before
                address = by_name.get((section, physical.folded(name, kind)), address)
            if destroy or address not in names_declared or not ownership.unplaced(kind, live):
                owned.setdefault(address, []).append(live)
    return owned


def _unowned_revisions(revisions: Sequence[str]) -> str:
    """The note about revisions that others registered under the name."""
    listed = ", ".join(revisions[-MOST_LISTED:])
    more = f"{len(revisions) - MOST_LISTED} more and " if len(revisions) > MOST_LISTED else ""
    are = "are" if len(revisions) > 1 else "is"
    return f"{more}{listed} {are} kept: not registered by this environment (no {OWNER_TAG} tag)"


def _reaches(start: Address, end: Address, needs: Mapping[Address, set[Address]]) -> bool:
    seen, todo = set[Address](), [start]
    while todo:
        address = todo.pop()
        if end in needs[address]:
            return True
        todo += needs[address] - seen
        seen |= needs[address]
    return False


def _unknown_addresses(env: Environment, options: Options, owned: Mapping[Address, Any]) -> list[Problem]:
    known = {*env.resources, *owned}
    wanted = {"--target": options.targets, "--exclude": options.exclude, "--replace": options.replace}
    wanted["--refresh-images"] = options.refresh
    return [
        Problem(
            code=codes.UNKNOWN_ADDRESS,
            message=f"{flag} {address}: there is no such resource in this environment",
            hint=did_you_mean(str(address), map(str, known)),
        )
        for flag, addresses in wanted.items()
        for address in addresses
        if address not in known
    ]


def _limited(nodes: dict[Address, Node], options: Options) -> dict[Address, Node]:
    """The targets with their dependencies, without the excluded and their dependents.

    For deletions it is the reverse: a target is deleted with its dependents, and the dependencies of an excluded
    resource are kept.
    """
    if not (options.targets or options.exclude):
        return nodes
    kept, holding = dict(nodes), step_graph.live_dependencies(nodes)
    if options.targets:
        reached, todo = set[Address](), list(options.targets)
        while todo:
            address = todo.pop()
            if address in nodes and address not in reached:
                reached.add(address)
                gone = nodes[address].verb is Verb.DELETE
                todo += [a for a in nodes if address in holding[a]] if gone else [u.target for u in nodes[address].uses]
        kept = {a: node for a, node in nodes.items() if a in reached}
    if options.exclude:
        out = set(options.exclude)
        while grown := {a for a, node in nodes.items() if a not in out and _excluded(node, out, holding)}:
            out |= grown
        kept = {a: node for a, node in kept.items() if a not in out}
    return kept


def _excluded(node: Node, out: set[Address], holding: Mapping[Address, set[Address]]) -> bool:
    if node.verb is Verb.DELETE:
        return any(node.address in holding.get(address, ()) for address in out)
    return any(use.target in out for use in node.uses)


@once_for_each_object
def _secret_members(kind: Kind) -> frozenset[str]:
    return frozenset(path.split(".", maxsplit=1)[0] for path, facts in kind.fields.items() if facts.secret)


def _resource_plan(node: Node, steps: tuple[Any, ...]) -> ResourcePlan:
    kept, resource = node.kept_object, node.resource
    importing = kept.attrs.get("arn") or kept.attrs.get("id") or kept.physical if kept else ""
    secret = _secret_members(with_unknown_members(node.kind, resource.unknown_members if resource else EMPTY))
    name = node.want.physical if node.want else kept.physical if kept else node.address.name
    removals = node.removals
    notes = [*node.notes, *(down.note for down in removals if down.note)] if removals else node.notes
    return ResourcePlan(
        address=node.address,
        verb=node.verb,
        physical=name,
        before=node.before,
        after=node.after if node.verb is not Verb.DELETE else None,
        diff=node.diff,
        steps=steps,
        reason=node.reason,
        disruption=node.disruption,
        notes=tuple(dict.fromkeys(notes)) if notes else (),
        create_first=node.create_first,
        importing=importing if node.verb is Verb.ADOPT else "",
        depends_on=tuple(sorted({use.target for use in node.uses} - {node.address})),
        pos=resource.at() if resource else None,
        secret_paths=secret,
        want=node.want,
        kept_object=kept,
        removed_objects=tuple([down.live for down in removals]),
        by_tag_only=tuple([down.live.physical for down in removals if down.live in node.by_tag_only]),
        remaining=node.remaining,
        not_compared=node.not_compared,
        declared=resource,
    )
