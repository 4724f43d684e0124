"""The YAML that nearly everybody writes, read quickly; whatever is less ordinary is left to the full parser.

Most files hold block mappings and lists, plain and quoted texts, ``[...]`` and ``{...}``, literal texts and comments,
and nothing else. :func:`read` knows these, and gives up on everything beyond: anchors, aliases, tags, merge keys,
several documents, tabs, texts over several lines, escapes other than the commonest, and above all whatever is wrong,
for only the full parser says what. So it is never asked whether a file is right; what it does return is to the letter
what ``yamlevents`` makes of the full parser's events (a property test holds both to that).

The gain is tenfold: the full parser looks at a character at a time, this at a line.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

from reconciler.config.yaml.node import MAX_DEPTH, MAX_NODES, Node, scalar

# No tabs, no line breaks but \n, no byte order mark inside, no document marks and directives.
_ODD = ("\t", "\r", "\x85", "\u2028", "\u2029", "\ufeff", "\n---", "\n...", "\n%")
_ODD_START = ("---", "...", "%")
_START = re.compile(r"(?: *(?:#[^\n]*)?\n)*---\n")
_NO_PLAIN = frozenset(" -?:,[]{}#&*!|>'\"%@`")
# Possessive: a long text would otherwise fill the memory with ways back that lead nowhere.
_QUOTED = r"\"((?:[^\"\\\n]++|\\[\"\\/nt])*+)\"|'((?:[^'\n]++|'')*+)'"
_QUOTED_KEY = re.compile(rf"(?:{_QUOTED}) *:(?: +|$)")
_QUOTED_VALUE = re.compile(rf"(?:{_QUOTED})(?: *| +#.*)$")
_BLOCK = re.compile(r"([|>])(-?)(?: *| +#.*)$")
_REST = re.compile(r"(?: *| +#[^\n]*)(?=\n|\Z)")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {'"': '"', "\\": "\\", "/": "/", "n": "\n", "t": "\t"}
# Inside brackets: a text in quotes or a plain one, then perhaps the colon that makes it a key.
_FLOW_SPACE = re.compile(r"(?: *(?:(?<=[ \n])#[^\n]*)?\n)* *")
_FLOW_GAP = (" ", "\n", "#", "")
_FLOW_PLAIN = (
    r"(?:[^\s\-?:,\[\]{}#&*!|>'\"%@`]|-(?=[^\s,\[\]{}?:]))"
    r"(?:[^\s,\[\]{}:#?'\"]|:(?=[^\s,\[\]{}:#?'\"])| +(?=[^\s,\[\]{}:#?'\"]))*"
)
_FLOW_TEXT = re.compile(rf"(?:{_QUOTED}|({_FLOW_PLAIN}))( *:(?=[ \n]))?")
_FLOW_PAIR = re.compile(rf"({_FLOW_PLAIN}): +(?:{_QUOTED}|({_FLOW_PLAIN}))(?=[ ,}}])(?! *:)")
_LONG_KEY = 1000

Mark = tuple[str, int, int]


class _Unusual(Exception):
    """Something that is for the full parser."""


def read(text: str, file: str) -> Node | None:
    """The mapping or list that ``text`` is; None where it is anything else, or not surely that."""
    text = text.replace("\r\n", "\n")
    if start := _START.match(text):
        text = "\n" * text.count("\n", 0, start.end()) + text[start.end() :]
    if text.startswith(_ODD_START) or any(odd in text for odd in _ODD):
        return None
    try:
        root = _Reader(text, file).document()
    except _Unusual:
        return None
    most = 2 * text.count(":") + text.count("-") + text.count(",") + text.count("[") + text.count("{") + 1
    return None if most > MAX_NODES and _size(root) > MAX_NODES else root


def _size(node: Node) -> int:
    if isinstance(node.value, dict):
        return 1 + sum(1 + _size(item) for item in node.value.values())
    return 1 + sum(map(_size, node.value)) if isinstance(node.value, list) else 1


class _Open:
    """A block collection that may still grow: a mapping with ``members``, or a list with ``items``.

    ``waits`` while a key (``name`` at ``mark``) or a dash has no value yet.
    """

    __slots__ = ("indent", "items", "mark", "members", "name", "waits")

    def __init__(self, indent: int, members: dict[str, Node] | None, items: list[Node] | None) -> None:
        self.indent = indent
        self.members = members
        self.items = items
        self.name = ""
        self.mark: Mark = ("", 0, 0)
        self.waits = False

    def put(self, value: Any, mark: Mark) -> None:
        """Give the waiting key or dash its value; a member's place is its key's."""
        if self.members is not None:
            self.members[self.name] = Node(value, self.mark)
        elif self.items is not None:
            self.items.append(Node(value, mark))
        self.waits = False

    def settle(self) -> None:
        """Nothing came for what waited: it is null."""
        if self.waits:
            self.put(None, self.mark)


class _Reader:
    """One pass over the lines. ``next`` is the index of the line to come, so the number of the one being read."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines = text.split("\n")
        self.starts = [0, *accumulate(len(line) + 1 for line in self.lines)]
        self.next = 0
        self.stack: list[_Open] = []
        self.root: Node | None = None

    def document(self) -> Node:
        lines, count = self.lines, len(self.lines)
        while self.next < count:
            line = lines[self.next]
            self.next += 1
            content = line.lstrip(" ")
            if content and content[0] != "#":
                self.line(line, len(line) - len(content))
        for one in self.stack:
            one.settle()
        if self.root is None:
            raise _Unusual
        return self.root

    def line(self, line: str, column: int) -> None:
        dash = _is_dash(line, column)
        self.back_to(column, dash=dash)
        while dash:
            top = self.stack[-1]
            top.waits, top.mark = True, (self.file, self.next, column + 2)
            column = _skip(line, column + 1)
            if column < 0:
                return
            if dash := _is_dash(line, column):
                self.open(column, dash=True)
        self.content(line, column)

    def back_to(self, column: int, *, dash: bool) -> None:
        """Close what ends before this line, so that the collection it belongs to is the top of the stack."""
        stack = self.stack
        while stack and stack[-1].indent > column:
            stack.pop().settle()
        if not stack:
            if self.root is not None:
                raise _Unusual
            if dash:
                self.open(column, dash=True)
            return
        top = stack[-1]
        if top.indent == column and not dash and top.items is not None:
            stack.pop().settle()
            if not stack or stack[-1].indent != column:
                raise _Unusual
        elif top.indent == column and dash == (top.items is not None):
            top.settle()
        elif not top.waits:
            raise _Unusual
        elif dash:
            self.open(column, dash=True)

    def open(self, column: int, *, dash: bool) -> _Open:
        """A collection starts here, as what waits at the top of the stack."""
        if len(self.stack) >= MAX_DEPTH:
            raise _Unusual
        value: Any = [] if dash else {}
        mark = (self.file, self.next, column + 1)
        if self.stack:
            self.stack[-1].put(value, mark)
        else:
            self.root = Node(value, mark)
        opened = _Open(column, None if dash else value, value if dash else None)
        self.stack.append(opened)
        return opened

    def content(self, line: str, column: int) -> None:
        """A member of a mapping, or a value alone."""
        name, after = _key(line, column)
        stack = self.stack
        if after:
            top = stack[-1] if stack else None
            if top is None or top.waits:
                top = self.open(column, dash=False)
            if top.members is None or name in top.members:
                raise _Unusual
            top.name, top.mark, top.waits = name, (self.file, self.next, column + 1), True
            column = _skip(line, after)
            if column < 0:
                return
        mark = (self.file, self.next, column + 1)
        if stack and stack[-1].waits:
            stack[-1].put(self.value(line, column, stack[-1].indent), mark)
        elif not stack and line[column] in "[{":  # JSON
            self.root = Node(self.value(line, column, 0), mark)
        else:
            raise _Unusual

    def value(self, line: str, column: int, indent: int) -> Any:
        first = line[column]
        if first not in _NO_PLAIN or (first == "-" and line[column + 1 : column + 2] not in ("", " ")):
            return scalar(_plain(line, column))
        if first in "'\"":
            if found := _QUOTED_VALUE.match(line, column):
                return _text(found[1], found[2], None)
        elif first in "[{":
            flow = _Flow(self.text, self.file, self.next, self.starts[self.next - 1], len(self.stack))
            value, end = flow.collection(self.starts[self.next - 1] + column)
            if _REST.match(self.text, end):
                self.next = flow.line
                return value
        elif found := _BLOCK.match(line, column):
            return self.block(indent, folded=found[1] == ">", strip=bool(found[2]))
        raise _Unusual

    def block(self, parent: int, *, folded: bool, strip: bool) -> str:
        """The text below ``|`` or ``>``. Folding is done where every line is an ordinary one."""
        lines, at, texts = self.lines, self.next, []
        head = lines[at] if at < len(lines) else ""
        indent = len(head) - len(head.lstrip(" "))
        if indent <= parent or indent == len(head):
            raise _Unusual
        margin = " " * indent
        while at < len(lines) and (lines[at].startswith(margin) or not lines[at].strip(" ")):
            texts.append(lines[at][indent:])
            at += 1
        if at == len(lines) and self.text[-1] != "\n":
            raise _Unusual
        while not texts[-1]:
            texts.pop()
        if any(text[:1] in ("", " ") for text in texts) and (folded or any(text.isspace() for text in texts)):
            raise _Unusual
        self.next = at
        return (" " if folded else "\n").join(texts) + ("" if strip else "\n")


class _Flow:
    """A value in brackets, perhaps over several lines; ``line`` is the number of the one reached."""

    def __init__(self, text: str, file: str, line: int, start: int, depth: int) -> None:
        self.text = text
        self.file = file
        self.line = line
        self.start = start
        self.depth = depth

    def collection(self, at: int) -> tuple[Any, int]:
        """What opens at ``at``, and where it ends."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unusual
        made = self.mapping(at + 1) if self.text[at] == "{" else self.list(at + 1)
        self.depth -= 1
        return made

    def list(self, at: int) -> tuple[list[Node], int]:
        items: list[Node] = []
        at = self.space(at)
        while not self.text.startswith("]", at):
            mark = (self.file, self.line, at - self.start + 1)
            value, at = self.value(at)
            items.append(Node(value, mark))
            at = self.next(at, "]")
        return items, at + 1

    def mapping(self, at: int) -> tuple[dict[str, Node], int]:
        members: dict[str, Node] = {}
        at = self.space(at)
        while not self.text.startswith("}", at):
            mark = (self.file, self.line, at - self.start + 1)
            if found := _FLOW_PAIR.match(self.text, at):  # most members are such
                written, double, single, plain = found.groups()
                name, value, at = _name(written), _text(double, single, plain), found.end()
            else:
                name, at = self.key(at)
                value, at = self.value(self.space(at))
            if not name or name in members or len(name) > _LONG_KEY:
                raise _Unusual
            members[name] = Node(value, mark)
            at = self.next(at, "}")
        return members, at + 1

    def key(self, at: int) -> tuple[str, int]:
        """A key, and the place behind its colon."""
        found = _FLOW_TEXT.match(self.text, at)
        if not found:
            raise _Unusual
        double, single, plain, colon = found.groups()
        end = found.end()
        if end - at > _LONG_KEY:
            raise _Unusual
        if colon is None:
            if plain is not None or not self.text.startswith(":", end):
                raise _Unusual
            end += 1  # JSON's "key":value
        return _name(plain) if plain is not None else _text(double, single, None), end

    def value(self, at: int) -> tuple[Any, int]:
        if self.text[at : at + 1] in ("[", "{"):
            return self.collection(at)
        found = _FLOW_TEXT.match(self.text, at)
        if not found or found[4] is not None:
            raise _Unusual
        return _text(found[1], found[2], found[3]), found.end()

    def next(self, at: int, end: str) -> int:
        """Past the comma, or at the closing bracket."""
        at = self.space(at)
        if self.text.startswith(",", at):
            return self.space(at + 1)
        if not self.text.startswith(end, at):
            raise _Unusual
        return at

    def space(self, at: int) -> int:
        """Past spaces, line breaks and comments."""
        if self.text[at : at + 1] not in _FLOW_GAP:
            return at
        if self.text.startswith(" ", at) and self.text[at + 1 : at + 2] not in _FLOW_GAP:
            return at + 1
        found = _FLOW_SPACE.match(self.text, at)
        assert found is not None  # it matches nothing as well
        end = found.end()
        if breaks := self.text.count("\n", at, end):
            self.line += breaks
            self.start = self.text.rindex("\n", at, end) + 1
        return end


def _is_dash(line: str, column: int) -> bool:
    return line[column] == "-" and line[column + 1 : column + 2] in ("", " ")


def _skip(line: str, column: int) -> int:
    """The column of what follows the spaces; negative where it is a comment or nothing."""
    while line[column : column + 1] == " ":
        column += 1
    return column if column < len(line) and line[column] != "#" else -1


def _key(line: str, column: int) -> tuple[str, int]:
    """The key that starts here and the column after its colon; 0 where there is none."""
    first = line[column]
    if first in "'\"":
        found = _QUOTED_KEY.match(line, column)
        if not found:
            return "", 0
        name, end = _text(found[1], found[2], None), found.end()
    else:
        end = line.find(": ", column)
        if end < 0:
            bare = line.rstrip(" ")
            if bare[-1] != ":":
                return "", 0
            end = len(bare) - 1
        written = line[column:end].rstrip(" ")
        if first in _NO_PLAIN or " #" in written:
            return "", 0
        name, end = _name(written), end + 1
    if not name or end - column > _LONG_KEY:
        raise _Unusual
    return name, end


def _name(text: str) -> str:
    """A plain key; nothing where it is no text, or the merge key."""
    name = scalar(text)
    return name if isinstance(name, str) and name != "<<" else ""


def _plain(line: str, column: int) -> str:
    """The plain text from here to the end of the line, or to a comment."""
    text = line[column:]
    if " #" in text:
        text = text[: text.index(" #")]
    text = text.rstrip(" ")
    if ": " in text or text[-1] == ":":
        raise _Unusual
    return text


def _text(double: str | None, single: str | None, plain: str | None) -> Any:
    """What a text in quotes of either sort, or a plain one, means."""
    if plain is not None:
        return scalar(plain)
    if double is not None:
        return _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], double) if "\\" in double else double
    return (single or "").replace("''", "'")
