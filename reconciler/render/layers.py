"""A graph in layers, for a picture: what is used stands before what uses it. Pure, and the same for the same graph."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

_SWEEPS: Final = 4
N = TypeVar("N", bound=Hashable)


class Bend(NamedTuple):
    """The place in a layer where the lines from ``used`` pass to later layers."""

    used: Hashable
    layer: int


def layered(graph: Mapping[N, Sequence[N]]) -> list[list[N | Bend]]:
    """The nodes in layers, with the bends between them; ``graph`` has the nodes that each uses, all of which are nodes.

    A node is one layer after the last that it uses. Merged nodes may use each other in a circle: the use that closes it
    does not count. Within a layer nodes stand near those that they are connected with.
    """
    depth = _depths(graph)
    layers: list[list[N | Bend]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in graph:
        layers[depth[node]].append(node)
    uses: dict[N | Bend, list[N | Bend]] = {node: [] for node in graph}
    users: dict[N | Bend, list[N | Bend]] = {node: [] for node in graph}
    for node, found in graph.items():
        for used in found:
            path: list[N | Bend] = [used, *(Bend(used, at) for at in range(depth[used] + 1, depth[node])), node]
            for one, other in pairwise(path):
                if isinstance(other, Bend) and other not in uses:
                    layers[other.layer].append(other)
                    uses[other], users[other] = [], []
                if one not in uses[other]:
                    uses[other].append(one)
                    users[one].append(other)
    place = {node: _middle(index, layer) for layer in layers for index, node in enumerate(layer)}
    for sweep in range(_SWEEPS):
        linked = users if sweep % 2 else uses
        for number in reversed(range(len(layers))) if sweep % 2 else range(len(layers)):
            layers[number] = layer = _near(layers[number], linked, place)
            place |= {node: _middle(index, layer) for index, node in enumerate(layer)}
    return layers


def _depths(graph: Mapping[N, Sequence[N]]) -> dict[N, int]:
    """The layer of each node, by a walk without recursion."""
    depth: dict[N, int] = {}
    for start in graph:
        path, on_path = [start], {start}
        while path:
            node = path[-1]
            ahead = next((one for one in graph[node] if one not in depth and one not in on_path), None)
            if ahead is None:
                if node not in depth:
                    depth[node] = 1 + max((depth[one] for one in graph[node] if one in depth), default=-1)
                on_path.discard(path.pop())
            else:
                path.append(ahead)
                on_path.add(ahead)
    return depth


def _middle(index: int, layer: Sequence[Hashable]) -> float:
    """The place of a node in its layer, from 0 to 1."""
    return (index + 0.5) / len(layer)


def _near(layer: list[N], linked: Mapping[N, Sequence[N]], place: Mapping[N, float]) -> list[N]:
    """``layer`` sorted by the mean place of what each node is linked with; one without links keeps its place."""
    means = {node: sum(place[one] for one in linked[node]) / len(linked[node]) for node in layer if linked[node]}
    return sorted(layer, key=lambda node: means.get(node, place[node]))
