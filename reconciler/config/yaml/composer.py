"""The parser's events -> nodes with their places.

- Nodes are built here, not by ruamel's constructors: that gives plain Python values, a place for everything (merge keys
  included), and limits that apply before anything is expanded.
- An alias shares its anchor's value, so a billion laughs takes no memory; the size that it would expand to is counted
  and limited.
- Events are recognized by the names of their classes, which are the same in PyYAML and in ruamel.
- Every value of an environment passes through this module, so rare cases have methods of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, TypeAlias

from reconciler.config.yaml.node import MAX_DEPTH, MAX_NODES, Document, Node, loses_as_number, scalar
from reconciler.model import Pos
from reconciler.model import problem_codes as codes
from reconciler.model.masking import SENSITIVE, is_no_name, private_name
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.schema import registry

Event: TypeAlias = Any

_MOST_NUMBERS = 100
_HALF = regex("[\ud800-\udfff]")


def document(events: Iterator[Event], file: str, *, pairs: bool = True) -> Node:
    """The one document of a file, with ``file`` as its name in messages; an empty file is an empty mapping.

    Without ``pairs`` a list such as ``[a: b]`` is refused: parsers differ in which of these they allow.
    Raises :class:`Problems`, and what the parser raises.
    """
    return _Composer(file, pairs=pairs).document(events)


class Unreadable(Problems):
    """The problems of a document. ``rest`` is the document without the later ones of duplicate keys, where nothing else
    is wrong with it.
    """

    def __init__(self, problems: Iterable[Problem], rest: Node | None) -> None:
        super().__init__(problems)
        self.rest = rest


class _Open:
    """A collection that is not complete yet: a list with ``items``, or a mapping with ``members``.

    ``waits`` is true while the key (``name`` at ``mark``; None for an invalid key) has no value yet. ``merges`` are the
    values of ``<<`` keys.
    """

    __slots__ = ("anchor", "items", "mark", "members", "merge", "merges", "name", "size", "start", "waits")

    def __init__(self, event: Event, items: list[Node] | None) -> None:
        self.start = event.start_mark
        self.anchor = event.anchor
        self.items = items
        self.members: dict[str, Node] = {}
        self.merges: list[Node] = []
        self.name: str | None = None
        self.mark = ("", 0, 0)
        self.merge = False
        self.waits = False
        self.size = 1


class _Composer:
    """What has been read so far: ``stack`` contains the open collections, and ``top`` is the innermost of them."""

    def __init__(self, file: str, *, pairs: bool) -> None:
        self.file = file
        self.pairs = pairs
        self.anchors: dict[str, Node | None] = {}
        self.found: list[Problem] = []
        self.numbers: list[Problem] = []
        self.stack: list[_Open] = []
        self.top: _Open | None = None
        self.root: Node | None = None

    def document(self, events: Iterator[Event]) -> Node:
        documents = 0
        for event in events:
            kind = type(event).__name__
            if kind == "ScalarEvent":
                self._scalar(event)
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                self._open(event, [] if kind == "SequenceStartEvent" else None)
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                self._close()
            elif kind == "AliasEvent":
                self._alias(event)
            elif kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    hint = "move the second document to a file of its own, or remove the line ---"
                    message = "a second document starts here; a file contains only one"
                    self._refuse(event.start_mark, codes.MULTIPLE_DOCUMENTS, message, hint)
        if self.found:
            rest = self.root if all(one.code is codes.DUPLICATE_KEY for one in self.found) else None
            raise Unreadable(self.found, rest)
        if self.root is None or self.root.value is None:
            return Node({}, Pos(self.file, 1, 1))
        return Document(self.root, tuple(self.numbers))

    def _scalar(self, event: Event) -> None:
        value, start, plain = event.value, event.start_mark, not event.style
        if event.tag is not None:
            self._tagged(event)
        if plain:
            if loses_as_number(value):
                self._number(value, start)
            value = scalar(value)
        elif not value.isascii():
            value = self._whole(value, start)
        if event.anchor:
            self.anchors[event.anchor] = Node(value, self._mark(start))
        self._put(value, start, 1, plain=plain)

    def _number(self, text: str, start: Any) -> None:
        """Note a value such as 012, which is text here and a number to other readers; keys are left alone."""
        top = self.top
        is_key = top is not None and top.items is None and not top.waits
        if is_key or len(self.numbers) >= _MOST_NUMBERS:
            return
        mark = top.mark if top is not None and top.waits else self._mark(start)
        shown = "this value" if self._private() else text
        hint = "write it in quotes" if self._private() else f'write it in quotes: "{text}"'
        message = f"{shown} is read as text; other YAML readers make it a number"
        self.numbers.append(
            Problem(code=codes.UNQUOTED_NUMBER, message=message, hint=hint, warning=True, pos=Pos(*mark))
        )

    def _whole(self, text: str, start: Any) -> str:
        """The text with escaped surrogate pairs joined, which text pasted from JSON contains."""
        if not _HALF.search(text):
            return text
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if "\ufffd" in whole and "\ufffd" not in text:
            hint = "write both halves, or the character itself"
            self._find(self._mark(start), codes.YAML_SYNTAX, "an escape is half of a surrogate pair", hint)
        return whole

    def _open(self, event: Event, items: list[Node] | None) -> None:
        if event.tag is not None:
            self._tagged(event)
        if event.flow_style and not self.pairs and event.start_mark.index == event.end_mark.index:
            self._refuse(event.start_mark, codes.YAML_SYNTAX, "a list contains a pair without braces", "write {a: b}")
        if len(self.stack) >= MAX_DEPTH:
            message = f"more than {MAX_DEPTH} levels of nesting"
            self._refuse(event.start_mark, codes.TOO_DEEP, message, "flatten it")
        if event.anchor:
            self.anchors[event.anchor] = None
        self.top = _Open(event, items)
        self.stack.append(self.top)

    def _close(self) -> None:
        done = self.stack.pop()
        self.top = self.stack[-1] if self.stack else None
        value: Any = done.items
        if value is None:
            value = self._merged(done) if done.merges else done.members
        if done.anchor:
            self.anchors[done.anchor] = Node(value, self._mark(done.start), done.size)
        self._put(value, done.start, done.size)

    def _alias(self, event: Event) -> None:
        name, start = event.anchor, event.start_mark
        node = self.anchors.get(name)
        if node is None:
            inside = name in self.anchors
            name = "..." if self._private() else name
            message = f"*{name} refers to itself" if inside else f"no anchor &{name} before this alias"
            hint = (
                "use an alias only after its anchor, not inside it"
                if inside
                else f'for text that starts with * use quotes: "*{name}"'
            )
            self._find(self._mark(start), codes.UNKNOWN_ANCHOR, message, hint)
        self._put(node.value if node else "", start, node.size if node else 1)

    def _put(self, value: Any, start: Any, size: int, *, plain: bool = False) -> None:
        """Add a value to the innermost collection (as an item, a key or the value of a key), or make it the root.

        ``start`` is the parser's mark, ``size`` the number of nodes in the value; ``plain`` text has no quotes.
        """
        top = self.top
        if top is None:
            self.root = Node(value, self._mark(start), size)
            return
        top.size += size
        if top.size > MAX_NODES:
            message = f"with its aliases expanded, the file contains more than {MAX_NODES:,} values"
            mark = self._mark(start)
            hint = "use fewer aliases, or split the file"
            raise Problems([Problem(code=codes.TOO_LARGE, message=message, hint=hint, pos=Pos(*mark))])
        if top.items is not None:
            top.items.append(Node(value, (self.file, start.line + 1, start.column + 1), size))
        elif top.waits:
            top.waits = False
            name = top.name
            if name is not None:
                if top.merge or name in top.members:
                    self._merge_or_duplicate(top, name, Node(value, top.mark, size))
                else:
                    top.members[name] = Node(value, top.mark, size)
        else:
            top.waits = True
            top.mark = (self.file, start.line + 1, start.column + 1)
            top.name = value if type(value) is str and value else None
            if top.name is None:
                self._find_no_key(value, top.mark)
            top.merge = plain and value == "<<"

    def _find_no_key(self, value: Any, mark: tuple[str, int, int]) -> None:
        if isinstance(value, dict | list):
            hint = "a variable is written ${var.name}; a text that starts with { or [ is written in quotes"
            self._find(mark, codes.INVALID_KEY, "a key must be text, not a mapping or a list", hint)
        elif value is None or value == "":
            self._find(
                mark, codes.INVALID_KEY, "a key is missing before the colon", 'an empty key is not allowed, nor ""'
            )
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            self._find(mark, codes.INVALID_KEY, f"the key {text} is not text", f'write it in quotes: "{text}"')

    def _merge_or_duplicate(self, top: _Open, name: str, node: Node) -> None:
        """A merge key, or a key that the mapping already has."""
        if top.merge:
            if top.merges:
                self._find(top.mark, codes.DUPLICATE_KEY, "duplicate << in one mapping", "write <<: [*first, *second]")
            top.merges.append(node)
        else:
            hint = f"the first one is at {top.members[name].pos}"
            inside = len(self.stack) > 2  # of a resource: the names of resources are shown
            shown = SENSITIVE if inside and is_no_name(name) and self._private() else name
            self._find(top.mark, codes.DUPLICATE_KEY, f'duplicate key "{shown}" in one mapping', hint)

    def _merged(self, done: _Open) -> dict[str, Node]:
        """The members of a mapping with those that its merge key adds; the mapping's own win."""
        merge = done.merges[0]
        sources = merge.value if isinstance(merge.value, list) else [merge]
        members: dict[str, Node] = {}
        for source in sources:
            if not isinstance(source.value, dict):
                message = "<< takes a mapping, or a list of mappings"
                self._find(source.mark, codes.INVALID_MERGE, message, "as in <<: *base")
                continue
            for name, node in source.value.items():
                members.setdefault(name, node)
        return {**members, **done.members}

    def _tagged(self, event: Event) -> None:
        tag = "here" if self._private() else str(event.tag).replace("tag:yaml.org,2002:", "!!")
        hint = {
            "!Ref": "write ${section.name.name}, ${var.name} or ${region} instead",
            "!GetAtt": "write ${section.name.arn} instead",
            "!Sub": "${...} works in every text; write it without !Sub",
            "!Join": "${...} works inside every text; write the joined text",
            "!!str": "write the value in quotes instead",
        }.get(tag, "write the value without it; text that starts with ! is written in quotes")
        self._find(self._mark(event.start_mark), codes.YAML_TAG, f"the tag {tag:.40} is not supported", hint)

    def _private(self) -> bool:
        """Whether the value here is probably a secret: unquoted text that begins with * or ! under a private name."""
        keys = [level.name for level in self.stack if level.waits and level.name]
        beside = self.top.members.get("name") if self.top else None
        return registry.has_secrets(keys[0] if keys else "") or any(
            map(private_name, (*keys, str(beside.value if beside else "")))
        )

    def _find(self, mark: Pos | tuple[str, int, int], code: codes.ProblemCode, message: str, hint: str) -> None:
        pos = mark if isinstance(mark, Pos) else Pos(*mark)
        self.found.append(Problem(code=code, message=message, hint=hint, pos=pos))

    def _refuse(self, start: Any, code: codes.ProblemCode, message: str, hint: str) -> NoReturn:
        self._find(self._mark(start), code, message, hint)
        raise Problems(self.found)

    def _mark(self, start: Any) -> tuple[str, int, int]:
        return self.file, start.line + 1, start.column + 1
