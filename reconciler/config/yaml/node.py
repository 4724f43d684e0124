"""Nodes: the values of a YAML file with their places. And what a plain scalar means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from reconciler.model import Path, Pos
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 500_000

_BREAK = regex("\r\n|[\n\r\x85\u2028\u2029]")
_INT = regex(r"-?[1-9][0-9]{0,17}|0")
_FLOAT = regex(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,20}")
WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# what YAML 1.2 readers, this one excepted, make a number
_NUMBER = regex(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+")


# Paths to texts with expressions
Sites: TypeAlias = tuple[Path, ...]


class Node:
    """A value and its place. ``value`` is a ``dict[str, Node]``, a ``list[Node]`` or a plain scalar.

    ``pos`` is the key's place for a member of a mapping, its own for anything else. Aliases share nodes, so a node is
    never changed. ``size`` counts the node and all nodes in it, with aliases expanded, up to a limit.

    Every value of an environment has one, so the place is stored as the parser gives it (``mark``: a :class:`Pos`, or
    its members) and converted when ``pos`` is read.
    """

    __slots__ = ("mark", "size", "value")

    def __init__(self, value: Any, mark: Pos | tuple[str, int, int], size: int = 1) -> None:
        self.value = value
        self.mark = mark
        self.size = size

    @property
    def pos(self) -> Pos:
        """The place in the file."""
        return self.mark if isinstance(self.mark, Pos) else Pos(*self.mark)

    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return isinstance(self.value, dict)

    def __repr__(self) -> str:
        return f"Node({self.value!r}, {self.pos})"


class PlainNode(Node):
    """A value as plain ``data``, and its place where that is known: else :attr:`pos` asks ``compose`` for it, which
    returns the value as an ordinary node.

    Nothing in it is ``null``. ``values`` counts the values in it, itself included; ``sites`` are the paths to the texts
    with expressions.
    """

    __slots__ = ("_composed", "_value", "compose", "data", "known_mark", "sites", "values")

    def __init__(
        self, data: Any, mark: tuple[str, int, int] | None, compose: Callable[[], Node], *, values: int, sites: Sites
    ) -> None:
        self.data = data
        self.compose = compose
        self.values = values
        self.sites = sites
        self.size = values
        self.known_mark = mark
        self._composed: Node | None = None
        self._value: Any = None

    @property
    def mark(self) -> Pos | tuple[str, int, int]:  # type: ignore[override]
        """The place."""
        return self.known_mark or self.composed().mark

    @property
    def value(self) -> Any:
        """A mapping or list of such nodes, or a plain scalar."""
        data = self.data
        if self._value is None:  # made once: who looks up the place of every member comes by each time
            if type(data) is dict:
                self._value = {name: self._member(name, item) for name, item in data.items()}
            elif type(data) is list:
                self._value = [self._member(index, item) for index, item in enumerate(data)]
            else:
                self._value = data
        return self._value

    def composed(self) -> Node:
        """The same with the places of everything in it."""
        if self._composed is None:
            self._composed = self.compose()
        return self._composed

    def _member(self, name: Any, item: Any) -> PlainNode:
        sites = tuple(site[1:] for site in self.sites if site[0] == name)
        return PlainNode(item, None, lambda: self.composed().value[name], values=count(item), sites=sites)

    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return type(self.data) is dict


def count(value: Any) -> int:
    """The number of values in ``value``, itself included."""
    below = value.values() if type(value) is dict else value if type(value) is list else ()
    return 1 + sum(map(count, below))


class Document(Node):
    """The root of a file. ``warnings`` are about values that are written as something else than they mean."""

    __slots__ = ("warnings",)

    def __init__(self, root: Node, warnings: tuple[Problem, ...]) -> None:
        super().__init__(root.value, root.mark, root.size)
        self.warnings = warnings


class Places(Mapping[Path, Pos]):
    """The place of everything in a node, by its path; ``name`` converts a key as written to the key in the path.

    A place is looked up in the node when it is read: few ever are.
    """

    def __init__(self, node: Node, name: Callable[[str], str]) -> None:
        self.node = node
        self.name = name

    def __getitem__(self, path: Path) -> Pos:
        node = self.node
        for part in path:
            below = node.value
            if isinstance(below, list) and isinstance(part, int) and part < len(below):
                node = below[part]
            elif isinstance(below, dict) and isinstance(part, str):
                node = below[part] if part in below and "${" not in part else self._renamed(below, part)
            else:
                raise KeyError(path)
        return node.pos

    def _renamed(self, members: dict[str, Node], part: str) -> Node:
        return {self.name(written): node for written, node in members.items()}[part]

    def __iter__(self) -> Iterator[Path]:
        return _paths(self.node, (), self.name)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _paths(node: Node, path: Path, name: Callable[[str], str]) -> Iterator[Path]:
    yield path
    if isinstance(node.value, dict):
        for written, item in node.value.items():
            yield from _paths(item, (*path, name(written)), name)
    elif isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield from _paths(item, (*path, index), name)


def scalar(text: str) -> Any:
    """What a plain scalar means.

    It is text, with four exceptions: ``true`` and ``false``; ``null``, ``~`` and the empty scalar; decimal whole
    numbers; decimal fractions. The words may be written as ``True`` or ``TRUE``, too, as in YAML 1.2's core schema.
    ``no``, ``on``, ``012``, ``1_000``, ``0x1f``, ``1e3``, ``2024-01-01`` and ``1.10`` (which as a number would lose its
    zero) are text.
    """
    if text in WORDS:
        return WORDS[text]
    if text[0] in "-0123456789":
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and repr(float(text)) == text:
            return float(text)
    return text


def loses_as_number(text: str) -> bool:
    """Whether a plain scalar that is text here is a number to other readers, which lose how it is written.

    https://yaml.org/spec/1.2.2/#1032-tag-resolution
    """
    if text[:1] not in _STARTS or not _NUMBER.fullmatch(text) or type(scalar(text)) is not str:
        return False
    return text.startswith("0") or not text.removeprefix("-").isdecimal()


_STARTS = frozenset("-+.0123456789")


def place(before: str, file: str) -> Pos:
    """The place right after the text ``before``."""
    lines = _BREAK.split(before)
    return Pos(file, len(lines), len(lines[-1]) + 1)
