"""What a YAML file is read into: values that know where they stand; and what a plain scalar means."""

from __future__ import annotations

import re
from typing import Any

from .model import Pos

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 500_000

_INT = re.compile(r"-?[1-9][0-9]{0,17}|0")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}


class Node:
    """A value and its place. ``value`` is a ``dict[str, Node]``, a ``list[Node]`` or a plain scalar.

    ``pos`` is the key's place for a member of a mapping, its own for anything else. Nodes are shared between aliases:
    nobody changes one. ``size`` counts the nodes below, aliases expanded, as far as anybody has to know.

    There is one for every value of an environment, so places are kept as they come (``mark``: a :class:`Pos`, or its
    members) and made when they are asked for.
    """

    __slots__ = ("mark", "size", "value")

    def __init__(self, value: Any, mark: Pos | tuple[str, int, int], size: int = 1) -> None:
        self.value = value
        self.mark = mark
        self.size = size

    @property
    def pos(self) -> Pos:
        return self.mark if isinstance(self.mark, Pos) else Pos(*self.mark)

    def __repr__(self) -> str:
        return f"Node({self.value!r}, {self.pos})"


def scalar(text: str) -> Any:
    """What a plain scalar means.

    It stays the text it looks like, with four exceptions: ``true`` and ``false``; ``null``, ``~`` and nothing at all;
    decimal whole numbers; decimal fractions. ``no``, ``on``, ``True``, ``012``, ``1_000``, ``0x1f``, ``1e3``,
    ``2024-01-01`` and ``1.10`` (which as a number would lose its zero) are text.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "-0123456789":
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and repr(float(text)) == text:
            return float(text)
    return text
