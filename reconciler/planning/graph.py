"""The order of the steps: six rules, and no table of kinds.

Every resource has up to two kinds of chain: *up* (until it is as declared) and *down* (one per live object to delete).

1. dependencies first                     up(X) after up(Y), if declared X refers to Y
2. dependents are deleted first           down(Y) after down(X), if X refers to Y and is deleted
3. dependents move before a deletion      down(Y) after up(X), if live X refers to the old Y, and declared X does not
4. create-first                           down(X) after up(X)
5. delete-first, or the same name         up(X) after down(X)
6. out of service last                    up(Y) after up and down of X and up of Z, if X refers to Y and to Z and the
                                          update of Y takes it out of service; X does not wait for Y then

A *late* reference (security groups that refer to each other) orders only the steps that need the other's id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from reconciler.model import Action, Address, Call, Live, Proof, Ref, Step, Verb, Wait
from reconciler.model import problem_codes as codes
from reconciler.model.paths import values_at
from reconciler.model.problems import Problem
from reconciler.model.records import dataclass
from reconciler.model.stand_ins import unknown_values, walk
from reconciler.planning.node import REMOVE_DELETE_FIRST, Node, leftover_reason

_T = TypeVar("_T")


@dataclass(slots=True)
class _Chain:
    """Steps that follow each other; ``live`` is the object that a down chain removes."""

    node: Node
    ids: list[str]
    actions: list[Action]
    live: Live | None = None


@dataclass(slots=True)
class _Graph:
    after: dict[str, set[str]] = field(default_factory=dict)

    def edge(self, later: str, earlier: str) -> None:
        self.after.setdefault(later, set()).add(earlier)


def steps(nodes: Mapping[Address, Node]) -> tuple[dict[Address, tuple[Step, ...]], list[Problem]]:
    """Every resource's steps with those that each waits for; problems where the rules contradict each other."""
    ups = {
        a: _Chain(n, [f"{a}:up.{i}" for i in range(len(n.actions))], list(n.actions))
        for a, n in nodes.items()
        if n.actions
    }
    downs = {a: list(_down_chains(node)) for a, node in nodes.items() if node.removals}
    graph = _Graph()
    for chain in [*ups.values(), *(chain for chains in downs.values() for chain in chains)]:
        for earlier, later in zip(chain.ids, chain.ids[1:], strict=False):
            graph.edge(later, earlier)
    _reach_first(nodes, ups, graph)
    _withdraw_last(nodes, ups, downs, graph)
    problems = _users_first(nodes, ups, downs, graph)
    for address, chains in downs.items():
        if address not in ups:
            continue
        for chain in chains:
            if nodes[address].create_first:
                graph.edge(chain.ids[0], ups[address].ids[-1])  # rule 4
            else:
                graph.edge(ups[address].ids[0], chain.ids[-1])  # rule 5
    going = [chain for chains in downs.values() for chain in chains]
    _leave_to_earlier(going, graph)
    _end_with_calls(going, graph)
    planned: dict[Address, tuple[Step, ...]] = {}
    for address in nodes:
        chains = [*([ups[address]] if address in ups else []), *downs.get(address, [])]
        if not nodes[address].create_first:
            chains = [*downs.get(address, []), *([ups[address]] if address in ups else [])]
        planned[address] = tuple(
            Step(id=step, address=address, action=action, after=frozenset(graph.after.get(step, ())))
            for chain in chains
            for step, action in zip(chain.ids, chain.actions, strict=True)
        )
    return planned, problems or _cycles(nodes, graph)


def _down_chains(node: Node) -> Iterator[_Chain]:
    count = 0
    for down in node.removals:
        ids = [f"{node.address}:down.{count + i}" for i in range(len(down.actions))]
        count += len(ids)
        if ids:
            yield _Chain(node, ids, down.actions, down.live)


def _leave_to_earlier(downs: Sequence[_Chain], graph: _Graph) -> None:
    """Leave out a call of a deletion that another one sends before it, if it succeeds where nothing is left to do: a
    role has left the instance profile that is deleted first.
    """
    ending = {chain.ids[-1]: chain for chain in downs}
    left_out: dict[str, set[str]] = {}
    for chain in downs:
        before = graph.after.get(chain.ids[0], set()) if len(chain.ids) > 1 else set()
        sent = [action for step in before if step in ending for action in ending[step].actions]
        out = {
            step
            for step, action in zip(chain.ids[:-1], chain.actions, strict=False)
            if any(_is_same(action, other) for other in sent)
        }
        left_out |= dict.fromkeys(out, before)
        if out:
            kept = [(step, action) for step, action in zip(chain.ids, chain.actions, strict=True) if step not in out]
            chain.ids, chain.actions = [step for step, _ in kept], [action for _, action in kept]
            for earlier, later in zip(("", *chain.ids), chain.ids, strict=False):
                graph.after[later] = (graph.after.get(later, set()) - out) | ({earlier} if earlier else before)
    for step in left_out:
        graph.after.pop(step, None)
    for after in graph.after.values() if left_out else ():
        for step in after & left_out.keys():
            after.remove(step)
            after.update(left_out[step])


def _end_with_calls(downs: Sequence[_Chain], graph: _Graph) -> None:
    """Leave out the last wait of a deletion where it is for others, and there are none."""
    ends = [chain for chain in downs if isinstance(wait := chain.actions[-1], Wait) and wait.for_others]
    awaited = {step for after in graph.after.values() for step in after} if ends else set()
    for chain in ends:
        if chain.ids[-1] not in awaited and len(chain.ids) > 1:
            chain.ids, chain.actions = chain.ids[:-1], chain.actions[:-1]


def _is_same(action: Action, other: Action) -> bool:
    """Whether ``action`` succeeds where nothing is left to do, and ``other`` is the same call."""
    if not (isinstance(action, Call) and isinstance(other, Call) and action.ok_if):
        return False
    return str(action) == str(other) and action.params == other.params


def _reach_first(nodes: Mapping[Address, Node], ups: Mapping[Address, _Chain], graph: _Graph) -> None:
    """Rule 1: dependencies first."""
    for address, chain in ups.items():
        late = {use.target for use in nodes[address].uses if use.ref.late}
        for target in {use.target for use in nodes[address].uses if not use.ref.late} - {address}:
            if target in ups and not (nodes[target].out_of_service and _leaves_last(nodes[target], nodes[address])):
                graph.edge(chain.ids[0], _ready(ups[target]))
        for step, action in zip(chain.ids, chain.actions, strict=True):
            if not isinstance(action, Call) or not late:
                continue
            for later in unknown_values(action.params):
                if later.address in late - {address} and later.address in ups:
                    graph.edge(step, _step_giving(ups[later.address], later.attr))
            for target in _named_in(action, [nodes[one] for one in late - {address} if one in ups]):
                graph.edge(step, _creating_step(ups[target]))


def _withdraw_last(
    nodes: Mapping[Address, Node], ups: Mapping[Address, _Chain], downs: Mapping[Address, list[_Chain]], graph: _Graph
) -> None:
    """Rule 6: an update that takes a resource out of service waits for its dependents and their other dependencies."""
    for address, chain in ups.items():
        if not nodes[address].out_of_service:
            continue
        first = chain.ids[0]
        for other, user in nodes.items():
            if other == address or not _depends_on(user, nodes[address]) or not _leaves_last(nodes[address], user):
                continue
            others = {other, *(use.target for use in user.uses)} - {address}
            for earlier in [ups[one] for one in others if one in ups and not nodes[one].out_of_service]:
                graph.edge(first, earlier.ids[-1])
            for going in downs.get(other, ()):
                graph.edge(first, going.ids[-1])


def _named_in(call: Call, others: Sequence[Node]) -> Iterator[Address]:
    """Those of ``others`` that are created and whose ARN, known before, the call sends."""
    created = {str(node.want.attrs.get("arn")): node for node in others if node.want and node.kept_object is None}
    created |= {str(node.want.attrs.get("arn")): node for node in others if node.want and node.verb is Verb.REPLACE}
    for value in walk(call.params) if created else ():
        if isinstance(value, str) and value in created:
            yield created[value].address


def _creating_step(chain: _Chain) -> str:
    pairs = zip(chain.ids, chain.actions, strict=True)
    creating = [step for step, action in pairs if isinstance(action, Call) and action.proof is Proof.EXISTS]
    return creating[0] if creating else chain.ids[-1]


def _leaves_last(used: Node, user: Node) -> bool:
    """Whether rule 6 orders the two. What is still in change may end unusable: only what refers to it already can do
    without its end, and what will refer to it waits until it is usable (rule 1).
    """
    settled = used.kept_object is None or used.kept_object.settled
    return settled or _stands_on(user, used)


def _depends_on(user: Node, used: Node) -> bool:
    """Whether ``user`` refers to ``used``, as declared or live."""
    return any(use.target == used.address and not use.ref.late for use in user.uses) or _stands_on(user, used)


def _stands_on(user: Node, used: Node) -> bool:
    """Whether a live object of ``user`` refers to one of ``used``."""
    index = {
        (used.address.section, value): [used]
        for live in _live_objects(used)
        for value in (live.physical, *live.attrs.values())
    }
    return any(not ref.late for live in _live_objects(user) for _, ref in _uses_of(user, live, index))


def _ready(chain: _Chain) -> str:
    """The step after which the resource is as declared; only cleanup may follow."""
    pairs = zip(chain.ids, chain.actions, strict=True)
    wanted = [step for step, action in pairs if not (isinstance(action, Call) and action.cleanup)]
    return wanted[-1] if wanted else chain.ids[-1]


def _step_giving(chain: _Chain, attr: str) -> str:
    for step, action in zip(chain.ids, chain.actions, strict=True):
        if isinstance(action, Call) and attr in action.captures:
            return step
    return chain.ids[-1]


def _users_first(
    nodes: Mapping[Address, Node],
    ups: Mapping[Address, _Chain],
    downs: Mapping[Address, list[_Chain]],
    graph: _Graph,
) -> list[Problem]:
    """Rules 2 and 3; problems where an object to delete is still in use."""
    removals: dict[tuple[str, str], list[_Chain]] = {}
    for address, chains in downs.items():
        for chain in chains:
            assert chain.live is not None
            for value in {chain.live.physical, *chain.live.attrs.values()}:
                removals.setdefault((address.section, value), []).append(chain)
    for address, node in nodes.items():
        for user in downs.get(address, []):
            assert user.live is not None
            pairs = list(_uses_of(node, user.live, removals))
            if node.verb is Verb.DELETE:
                # a late reference counts only where it is live: an earlier run may have removed it already
                soon = [use for use in node.uses if not use.ref.late]
                pairs += [(used, use.ref) for use in soon for used in downs.get(use.target, [])]
            for used, ref in pairs:
                each_other = ref.late and not ref.holds  # they may refer to each other, and AWS deletes either first
                if used.node is not node and _binds(ref, used) and not each_other:
                    graph.edge(used.ids[-1] if ref.late else used.ids[0], user.ids[0] if ref.late else user.ids[-1])
    if not removals:
        return []
    return [problem for node in nodes.values() for problem in _move_off_first(node, ups, removals, graph)]


def _move_off_first(
    node: Node, ups: Mapping[Address, _Chain], removals: Mapping[tuple[str, str], list[_Chain]], graph: _Graph
) -> Iterator[Problem]:
    """Rule 3 for one resource that is kept."""
    staying = node.kept_object if node.verb not in (Verb.DELETE, Verb.REPLACE) else None
    if staying is None:
        return
    for used, ref in _uses_of(node, staying, removals):
        if used.node is node:
            continue
        moves = _moves_off(node, used)
        if moves and node.address in ups and _binds(ref, used):
            graph.edge(used.ids[0], _ready(ups[node.address]))
        elif not moves and ref.holds:
            yield _still_used(node, used)


def _binds(ref: Ref, used: _Chain) -> bool:
    """Whether a live reference orders the deletion of ``used``: not where AWS deletes it anyway and it is replaced
    under its own name, since the dependent may need the new one first.
    """
    assert used.live is not None
    want = used.node.want
    return ref.holds or used.node.create_first or want is None or want.physical != used.live.physical


def _uses_of(node: Node, live: Live, index: Mapping[tuple[str, str], list[_T]]) -> Iterator[tuple[_T, Ref]]:
    """What a live object refers to, by the references of its kind."""
    for pattern, ref in node.kind.refs.items():
        for _, value in values_at(live.props, pattern):
            if isinstance(value, str):
                for used in (used for section in ref.sections for used in index.get((section, value), [])):
                    yield used, ref


def live_dependencies(nodes: Mapping[Address, Node]) -> dict[Address, set[Address]]:
    """For every resource, the dependencies of its live objects and of its declaration."""
    index: dict[tuple[str, str], list[Address]] = {}
    for address, node in nodes.items():
        for value in {value for live in _live_objects(node) for value in (live.physical, *live.attrs.values())}:
            index.setdefault((address.section, value), []).append(address)
    return {
        address: {
            *(used for live in _live_objects(node) for used, _ in _uses_of(node, live, index)),
            *(use.target for use in node.uses),
        }
        - {address}
        for address, node in nodes.items()
    }


def drop_objects_already_going(nodes: dict[Address, Node]) -> None:
    """Drop the removal of objects that AWS is deleting already, except where another deletion has to wait for it."""
    if not any(node.removals for node in nodes.values()):
        return
    going = {address for address, node in nodes.items() if any(not down.live.deleting for down in node.removals)}
    busy = going | {address for address, node in nodes.items() if node.actions}
    held = live_dependencies(nodes)
    for address, node in list(nodes.items()):
        dying = [down.live for down in node.removals if down.live.deleting]
        if node.verb is Verb.DELETE:
            if not busy:
                del nodes[address]
        elif dying and not held[address] & going:
            node.removals = [down for down in node.removals if not down.live.deleting]
        elif dying and node.verb is Verb.NOOP:
            node.verb, node.reason = Verb.UPDATE, leftover_reason(node.kind, dying)


def _live_objects(node: Node) -> list[Live]:
    return [*([node.kept_object] if node.kept_object else []), *(down.live for down in node.removals)]


def _wanted_values(node: Node, section: str) -> set[str]:
    if node.want is None:
        return set()
    found = (
        value
        for pattern, ref in node.kind.refs.items()
        if section in ref.sections
        for _, value in values_at(node.want.props, pattern)
    )
    return {value for value in found if isinstance(value, str)}


def _moves_off(node: Node, used: _Chain) -> bool:
    """Whether the declared resource no longer refers to the object to delete."""
    assert used.live is not None
    wanted = _wanted_values(node, used.node.address.section)
    return not wanted & {used.live.physical, *used.live.attrs.values()}


def _still_used(node: Node, used: _Chain) -> Problem:
    gone = used.node
    if gone.verb is Verb.REPLACE:
        message = f"{gone.address} cannot be deleted before its replacement is created: {node.address} uses it"
        hint = REMOVE_DELETE_FIRST
    else:
        message = f"{gone.address} is no longer declared, and {node.address} still uses it"
        hint = f"declare it again, or make {node.address} use another"
    resource = node.resource
    return Problem(
        code=codes.STILL_USED,
        message=message,
        hint=hint,
        address=str(node.address),
        pos=resource.at() if resource else None,
    )


def _cycles(nodes: Mapping[Address, Node], graph: _Graph) -> list[Problem]:
    try:
        TopologicalSorter({later: sorted(earlier) for later, earlier in sorted(graph.after.items())}).prepare()
    except CycleError as error:
        loop = list(dict.fromkeys(re.sub(r":(up|down)\.\d+$", "", step) for step in error.args[1]))
        start = loop.index(min(loop))
        loop = [*loop[start:], *loop[:start]]
        first = next(node for address, node in nodes.items() if str(address) == loop[0])
        return [
            Problem(
                code=codes.ORDER_CYCLE,
                message="no order of these changes is possible: " + " -> ".join([*loop, loop[0]]),
                hint="replace one of them under a new name, with two applies",
                address=loop[0],
                pos=first.resource.at() if first.resource else None,
            )
        ]
    return []
