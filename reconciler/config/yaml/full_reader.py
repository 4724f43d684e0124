"""The events of the full YAML parser -> nodes that know where they stand; the only importer of ruamel.

What is peculiar:

- The parser's events are turned into nodes here, not by ruamel's constructors: that gives plain Python values, a
  position for everything (merge keys included), and bounds that hold before anything is expanded.
- An alias shares its anchor's node, so a billion laughs costs nothing here; the size it would expand to is added up
  and refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from reconciler.config.yaml.node import MAX_DEPTH, MAX_NODES, Node, scalar
from reconciler.model import Pos
from reconciler.model.masking import private_name
from reconciler.model.problems import Problem, Problems
from reconciler.schema import registry

_HALF = re.compile("[\ud800-\udfff]")
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

Event: TypeAlias = Any


def read(text: str, file: str) -> Node:
    """The one document of a text; nothing at all is an empty mapping. Raises :class:`Problems`."""
    try:
        return _Composer(file).document(_events(text))
    except MarkedYAMLError as error:
        raise Problems([_syntax(error, text, file)]) from None
    except (YAMLError, ValueError, IndexError, OverflowError) as error:
        message = f"this is not YAML that can be read ({type(error).__name__})"
        hint = "check it with a YAML linter"
        raise Problems([Problem(code="yaml-syntax", message=message, hint=hint, pos=Pos(file, 1, 1))]) from None


def _events(text: str) -> Iterator[Event]:
    events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)
    return events


def place(before: str, file: str) -> Pos:
    """The place right after ``before``."""
    lines = _BREAK.split(before)
    return Pos(file, len(lines), len(lines[-1]) + 1)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet. ``key`` is the key that waits for its value."""

    pos: Pos
    anchor: str | None
    items: list[Node] | None
    members: dict[str, Node]
    merges: list[Node]
    key: tuple[str, Pos, bool] | None = None
    awaiting_value: bool = False
    size: int = 1


class _Composer:
    def __init__(self, file: str) -> None:
        self.file = file
        self.anchors: dict[str, Node | None] = {}
        self.found: list[Problem] = []
        self.stack: list[_Open] = []
        self.root: Node | None = None

    def document(self, events: Iterator[Event]) -> Node:
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    hint = "put the second document into a file of its own, or remove the line ---"
                    self._refuse(event, "multiple-documents", "a second document starts here; a file holds one", hint)
            elif isinstance(event, AliasEvent):
                self._value(self._alias(event), plain=False)
            elif isinstance(event, ScalarEvent):
                self._check_tag(event)
                plain = event.style in (None, "")
                node = Node(scalar(event.value) if plain else self._quoted(event), self._pos(event))
                self._anchor(event.anchor, node)
                self._value(node, plain=plain)
            elif isinstance(event, SequenceStartEvent | MappingStartEvent):
                self._open(event)
            elif isinstance(event, SequenceEndEvent | MappingEndEvent):
                self._close()
        if self.found:
            raise Problems(self.found)
        if self.root is None or self.root.value is None:
            return Node({}, Pos(self.file, 1, 1))
        return self.root

    def _quoted(self, event: Event) -> str:
        """The text, with the halves of an escaped surrogate pair put together (JSON escapes are pasted into YAML)."""
        text = str(event.value)
        if not _HALF.search(text):
            return text
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if "\ufffd" in whole and "\ufffd" not in text:
            hint = "characters outside the basic plane need both halves"
            self._find(Node(None, self._pos(event)), "yaml-syntax", "half of a surrogate pair is escaped here", hint)
        return whole

    def _open(self, event: Event) -> None:
        self._check_tag(event)
        if len(self.stack) >= MAX_DEPTH:
            self._refuse(event, "too-deep", f"this is nested more than {MAX_DEPTH} levels deep", "flatten it")
        sequence = isinstance(event, SequenceStartEvent)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append(_Open(self._pos(event), event.anchor, [] if sequence else None, {}, []))

    def _close(self) -> None:
        done = self.stack.pop()
        if done.items is not None:
            node = Node(done.items, done.pos, done.size)
        else:
            node = Node(self._merged(done), done.pos, done.size)
        self._anchor(done.anchor, node)
        self._value(node, plain=False)

    def _anchor(self, name: str | None, node: Node) -> None:
        if name:
            self.anchors[name] = node

    def _alias(self, event: Event) -> Node:
        name, pos = event.anchor, self._pos(event)
        node = self.anchors.get(name)
        if node is None:
            inside = name in self.anchors
            name = "..." if self._private() else name
            message = f"*{name} refers to itself" if inside else f"there is no anchor &{name} above this place"
            hint = (
                "an anchor can be used only below itself"
                if inside
                else f'for the text itself write it in quotes: "*{name}"'
            )
            self.found.append(Problem(code="unknown-anchor", message=message, hint=hint, pos=pos))
            node = Node("", pos)
        return Node(node.value, pos, node.size)

    def _value(self, node: Node, *, plain: bool) -> None:
        """Put a finished node where it belongs."""
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.size += node.size
        if parent.size > MAX_NODES:
            message = f"with its aliases expanded this holds more than {MAX_NODES:,} values"
            hint = "use fewer aliases, or split the file"
            raise Problems([Problem(code="too-large", message=message, hint=hint, pos=node.pos)])
        if parent.items is not None:
            parent.items.append(node)
        elif not parent.awaiting_value:
            parent.key, parent.awaiting_value = self._key(node, plain=plain), True
        else:
            self._member(parent, node)
            parent.awaiting_value = False

    def _key(self, node: Node, *, plain: bool) -> tuple[str, Pos, bool] | None:
        if isinstance(node.value, str) and node.value:
            return node.value, node.pos, plain and node.value == "<<"
        if isinstance(node.value, dict | list):
            hint = "a variable is written ${var.name}; a text that starts with { or [ is written in quotes"
            self._find(node, "invalid-key", "a key must be text, not a mapping or a list", hint)
        elif node.value is None or node.value == "":
            self._find(node, "invalid-key", "a key is missing before the colon", 'an empty key is not allowed, nor ""')
        else:
            text = str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
            self._find(node, "invalid-key", f"the key {text} is not text", f'write it in quotes: "{text}"')
        return None

    def _member(self, parent: _Open, node: Node) -> None:
        if parent.key is None:
            return
        name, pos, merge = parent.key
        if merge:
            if parent.merges:
                self._find(
                    Node(None, pos), "duplicate-key", "a second << in one mapping", "write <<: [*first, *second]"
                )
            parent.merges.append(Node(node.value, pos, node.size))
        elif name in parent.members:
            first = parent.members[name].pos
            hint = f"the first one is at {first}"
            self._find(Node(None, pos), "duplicate-key", f'the key "{name}" stands twice in one mapping', hint)
        else:
            parent.members[name] = Node(node.value, pos, node.size)

    def _merged(self, done: _Open) -> dict[str, Node]:
        """The members, with what the merge key brings in below them."""
        if not done.merges:
            return done.members
        (merge,) = done.merges[:1]
        sources = merge.value if isinstance(merge.value, list) else [merge]
        members: dict[str, Node] = {}
        for source in sources:
            if not isinstance(source.value, dict):
                self._find(source, "invalid-merge", "<< takes a mapping, or a list of mappings", "as in <<: *base")
                continue
            for name, node in source.value.items():
                members.setdefault(name, node)
        return {**members, **done.members}

    def _check_tag(self, event: Event) -> None:
        if event.tag is None:
            return
        tag = "here" if self._private() else str(event.tag).replace("tag:yaml.org,2002:", "!!")
        hint = {
            "!Ref": "write ${section.name.name}, ${var.name} or ${region} instead",
            "!GetAtt": "write ${section.name.arn} instead",
            "!Sub": "${...} works in every text; write it without !Sub",
            "!Join": "${...} works inside every text; write the joined text",
            "!!str": "write the value in quotes instead",
        }.get(tag, "write the value without it; text that starts with ! is written in quotes")
        self._find(Node(None, self._pos(event)), "yaml-tag", f"the tag {tag:.40} is not supported", hint)

    def _private(self) -> bool:
        """Whether what stands here is most likely a secret: text that begins with * or ! and was not put in quotes."""
        keys = [level.key[0] for level in self.stack if level.key]
        beside = self.stack[-1].members.get("name") if self.stack else None
        return registry.has_secrets(keys[0] if keys else "") or any(
            map(private_name, (*keys, str(beside.value if beside else "")))
        )

    def _find(self, node: Node, code: str, message: str, hint: str) -> None:
        self.found.append(Problem(code=code, message=message, hint=hint, pos=node.pos))

    def _refuse(self, event: Event, code: str, message: str, hint: str) -> None:
        raise Problems([*self.found, Problem(code=code, message=message, hint=hint, pos=self._pos(event))])

    def _pos(self, event: Event) -> Pos:
        mark = event.start_mark
        return Pos(self.file, mark.line + 1, mark.column + 1)


# --- what the parser says, said for people ---------------------------------------------------------------------------

_QUOTE = "text with special characters is written in quotes"
_SAID = (
    (r"found character '\\t'", "a tab cannot be used for indentation", "use spaces"),
    (
        "mapping values are not allowed",
        'a ": " stands where no key can stand',
        "the indentation is off, or a space is missing after the colon above, or a text with a colon needs quotes",
    ),
    ("could not find expected ':'", 'a ":" is missing after this key', "a member is written as key: value"),
    ("expected alphabetic or numeric", "a text cannot start with * or &", 'write it in quotes: "*"'),
    (r"found character '[%@`]'", "a text cannot start with %, @ or `", _QUOTE),
    ("found unknown escape|expected escape", 'an unknown \\ escape inside "..."', "in '...' a \\ is just a \\"),
    ("unexpected end of stream", "a quote is opened here and never closed", "close it"),
    (
        "expected ',' or",
        "a list or mapping in brackets is not finished",
        "close it; inside brackets, texts with , : { } [ ] and expressions are written in quotes",
    ),
    ("expected the node content", "a value is missing here", f"give one; {_QUOTE}"),
    ("expected chomping", "a text cannot start with > or |", _QUOTE),
    (
        "expected <block end>",
        "this does not fit in with the lines above it",
        "mostly the indentation (members of one mapping start in the same column), or a quote inside a quoted text",
    ),
    (
        "sequence entries are not allowed|block sequence entries",
        "a list item cannot start here",
        "put - on a line of its own below the key, indented; a text that starts with - is written in quotes",
    ),
    (
        "expected '<document start>'",
        "there is more after the end of the document",
        "mostly the indentation: everything belongs to one mapping",
    ),
    ("tag", "YAML tags are not supported", "text that starts with ! is written in quotes"),
)


def _syntax(error: MarkedYAMLError, text: str, file: str) -> Problem:
    said = " ".join(str(part) for part in (error.context, error.problem) if part)
    context, mark = error.context_mark, error.problem_mark or error.context_mark
    if "unexpected end of stream" in said and context is not None:
        mark = context
    pos = Pos(file, mark.line + 1, mark.column + 1) if mark is not None else place(text, file)
    for pattern, message, hint in _SAID:
        if re.search(pattern, said):
            opened = "brackets" in message and context is not None
            where = f"it was opened at {Pos(file, context.line + 1, context.column + 1)}: " if opened else ""
            return Problem(code="yaml-syntax", message=message, hint=where + hint, pos=pos)
    said = re.sub("(['\"]).{3,}\\1", "...", said)  # names that were made of what stands there, perhaps a secret
    return Problem(code="yaml-syntax", message=f"this is not valid YAML: {said}", hint=_QUOTE, pos=pos)
