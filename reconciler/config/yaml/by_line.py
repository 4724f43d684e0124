"""The YAML that most files are, read line by line as plain data: many times as fast as from a parser's events.

Most lines of an estate are ``key: value``, ``- value``, ``key:`` with something indented below, or ``- {a: b}``, and
many of them are repeated. So each line is read by regular expressions, a repeated one once, with a value that is
shared. Everything else (anchors, tags, texts of several lines, escapes, ``null``, duplicate keys, whatever is special
or wrong) is left to the parser, and with it the whole file: what is read here must be what the parser reads, which a
property test compares.

Only sections and resources get their places here. Below them a :class:`PlainNode` has plain data, and asks the parser
for nodes when a place is wanted, which is only where there is something to say.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache, partial
from string import ascii_letters
from typing import Any, Final, NamedTuple, TypeAlias

from reconciler.config.yaml.node import MAX_NODES, WORDS, Document, Node, PlainNode, Sites, loses_as_number, scalar
from reconciler.model.patterns import regex

# Line breaks and spaces that are no others here
SPECIAL: Final = regex("[\t\r\x85\u2028\u2029\ufeff]")

_KEY: Final = r"""(?:([A-Za-z0-9_/](?:[A-Za-z0-9_./*-]++|:(?=[A-Za-z0-9_/]))*+)|"([^"\\]++)"|'([^']++)')"""
_QUOTED: Final = r""""[^"\\]*+"|'[^']*+'"""
_FIRST: Final = r"""[^ ?:,\[\]{}#&*!|>'"%@`-]"""
# Plain text, in which a colon, a number sign or a dash cannot be taken for anything else
_PLAIN: Final = rf"""(?:{_FIRST}|-(?=[^ ]))(?:[^ :#]++|:(?=[^ ])|(?<=[^ ])\#|[ ]++(?=[^ #]))*+"""
_ENDS: Final = r" ,\[\]{}:#?"  # plain text inside brackets
_IN_FLOW: Final = (
    rf"(?:{_FIRST}|-(?=[^ ,\[\]{{}}]))(?:[^{_ENDS}]++|:(?=[A-Za-z0-9_./-])|(?<=[^ ])\#|[ ]++(?=[^{_ENDS}]))*+"
)
_VALUE: Final = rf"""(?:({_QUOTED}|{_PLAIN})|([\[{{].*?[\]}}]))"""
_LINE: Final = regex(rf"([ ]*+)(?:\#.*|(-[ ]++)?(?:{_KEY}:(?:[ ]++|$))?{_VALUE}?[ ]*+(?:(?<=[ ])\#.*)?)")
_TOKEN: Final = regex(rf"[ ]*+(?:([\[{{])|([\]}}])|(,)|{_KEY}:[ ]++|({_QUOTED}|{_IN_FLOW}))")
_WORD: Final = r"[A-Za-z0-9_/](?:[A-Za-z0-9_./-]++|:(?=[A-Za-z0-9_./-]))*+"
_MEMBER: Final = rf"[A-Za-z0-9_/](?:[A-Za-z0-9_./-]++)?+: (?:{_WORD}|\"[A-Za-z0-9_./:-]*+\")"
_FLAT: Final = regex(rf"\{{({_MEMBER}(?:, {_MEMBER})*+)\}}")
_MOST_LEVELS: Final = 30  # of lines, and again inside a line: together fewer than the parser's limit
_MOST_IN_KEY: Final = 500  # fewer characters, too
_START: Final = regex(r"\A---\n")
_NO_NUMBER: Final = frozenset(ascii_letters)  # what no number begins with
_BELOW: Final = object()  # the value of a key that is on the next lines


# A line: its indentation; the column of its dash, -1 where it is no item of a list; its key, or ""; its value; how many
# values are in that; and the paths in it to texts with expressions
_Line: TypeAlias = tuple[int, int, str, Any, int, Sites]


class _Special(Exception):
    """Something that is left to the parser."""


_NOTHING: Final[_Line] = (-1, -1, "", None, 0, ())  # an empty line, or a comment


def document(text: str, file: str, compose: Callable[[], Node]) -> Node | None:
    """The mapping that ``text`` contains; None where it is left to the parser.

    ``compose`` reads the text with the parser, where the place of something inside a resource is needed.
    """
    if "\t" in text or "\r" in text or (not text.isascii() and SPECIAL.search(text)):
        return None
    try:
        return _Reading(file, compose).document(_START.sub("\n", text).split("\n"))
    except _Special:
        return None


class _Open:
    """A collection whose members begin at the column ``indent``. It is at ``key`` of the collection around it."""

    __slots__ = ("indent", "into", "is_list", "key")

    def __init__(self, indent: int, key: Any, into: Any) -> None:
        self.indent = indent
        self.key = key
        self.into = into
        self.is_list = type(into) is list


class _Source:
    """The nodes of one file, composed when the first of them is needed."""

    def __init__(self, compose: Callable[[], Node]) -> None:
        self.compose = compose
        self.root: Node | None = None

    def node(self, path: tuple[str, ...]) -> Node:
        if self.root is None:
            self.root = self.compose()
        found = self.root
        for part in path:
            found = found.value[part]
        return found


class _Start(NamedTuple):
    """Where a section, or a resource in it, begins; ``values`` were counted before it."""

    path: tuple[str, ...]
    line: int
    column: int
    values: int


class _Reading:
    """What has been read so far: ``stack`` contains the collections that may continue, from the root inwards."""

    def __init__(self, file: str, compose: Callable[[], Node]) -> None:
        self.file = file
        self.source = _Source(compose)
        self.root: dict[str, Any] = {}
        self.stack = [_Open(0, None, self.root)]
        self.starts: list[_Start] = []
        self.sites: list[tuple[Any, ...]] = []
        self.values = 1

    def document(self, lines: list[str]) -> Node | None:
        waits = ""  # the key whose value is on the next lines
        stack = self.stack
        top = stack[0]
        counted = self.values
        for number, line in enumerate(map(_known().__getitem__, lines), 1):
            if line is _NOTHING:
                continue
            indent, dash, key, value, values, sites = line
            if waits:
                top = self.below(waits, indent, dash)
            elif (dash != top.indent or not top.is_list) if dash >= 0 else (indent != top.indent or top.is_list):
                top = self.beside(indent, dash)  # else one more member, as most lines are
            if dash >= 0 and key:
                top = self.item(top.into, indent)
                counted += 1
            into = top.into
            waits = ""
            if not key:
                into.append(value)
            elif key in into:
                raise _Special
            else:
                if len(stack) <= 2:
                    self.start(key, number, indent + 1, counted)
                into[key] = value
                waits = key if value is _BELOW else ""
            counted += values
            if sites:
                self.with_sites(key or len(into) - 1, sites)
        self.values = counted
        return None if waits or not self.root or self.values * 2 >= MAX_NODES else self.nodes()

    def with_sites(self, member: Any, sites: Sites) -> None:
        """Note the paths in the value of a member of the innermost collection."""
        above = [one.key for one in self.stack[1:]]
        self.sites += [(*above, member, *site) for site in sites]

    def below(self, key: str, indent: int, dash: int) -> _Open:
        """The collection that is the value of ``key``, and begins with a line."""
        top = self.stack[-1]
        if dash >= 0:
            if dash < top.indent:
                raise _Special  # the value is null
            made = _Open(dash, key, [])
        else:
            if indent <= top.indent:
                raise _Special
            made = _Open(indent, key, {})
        top.into[key] = made.into
        self.push(made)
        return made

    def beside(self, indent: int, dash: int) -> _Open:
        """The collection that a line is a member of, which ends those inside it."""
        is_item = dash >= 0
        at = dash if is_item else indent
        stack = self.stack
        top = stack[-1]
        # the items of a list may be in the column of the key that the list is the value of
        while at < top.indent or (at == top.indent and top.is_list and not is_item):
            stack.pop()
            if not stack:
                raise _Special
            top = stack[-1]
        if at != top.indent or top.is_list is not is_item:
            raise _Special
        return top

    def item(self, into: list[Any], indent: int) -> _Open:
        """The mapping that begins in the line of the list's item."""
        made = _Open(indent, len(into), {})
        into.append(made.into)
        self.push(made)
        return made

    def push(self, one: _Open) -> None:
        self.stack.append(one)
        if len(self.stack) > _MOST_LEVELS:
            raise _Special

    def start(self, key: str, line: int, column: int, values: int) -> None:
        above = self.stack[1:]
        self.starts.append(_Start((above[0].key, key) if above else (key,), line, column, values))

    def nodes(self) -> Node:
        """The document, with a node for each section and each resource."""
        ends = [*(start.values for start in self.starts[1:]), self.values]
        sections: dict[str, Node] = {}
        of: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        for site in self.sites:
            of.setdefault(site[:1], []).append(site[1:])
            of.setdefault(site[:2], []).append(site[2:])
        resources: dict[str, Node] = {}
        for start, end in zip(self.starts, ends, strict=True):
            path, mark = start.path, (self.file, start.line, start.column)
            data = self.root[path[0]] if len(path) == 1 else self.root[path[0]][path[1]]
            into = sections if len(path) == 1 else resources
            if len(path) == 1 and start.values + 1 == end and type(data) is dict and data:
                resources = {}
                into[path[-1]] = Node(resources, mark)
            elif type(data) in (dict, list):
                nodes = partial(self.source.node, path)
                into[path[-1]] = PlainNode(data, mark, nodes, values=end - start.values, sites=tuple(of.get(path, ())))
            else:
                into[path[-1]] = Node(data, mark)
        first = self.starts[0]
        return Document(Node(sections, (self.file, first.line, first.column), self.values), ())


class _Lines(dict[str, _Line]):
    """Lines by their text: equal ones are read once. Raises :class:`_Special`."""

    def __missing__(self, written: str) -> _Line:
        line = self[written] = _read(written)
        return line


_KNOWN: Final = _Lines()
_MOST_KNOWN: Final = 20_000  # some 6 MB; a file adds at most as many


def _known() -> _Lines:
    """The lines of this file and of those before it: files of an environment, and environments, have many in common."""
    if len(_KNOWN) > _MOST_KNOWN:
        _KNOWN.clear()
    return _KNOWN


def _read(written: str) -> _Line:
    """One line. Raises :class:`_Special`."""
    found = _LINE.fullmatch(written)
    if found is None:
        raise _Special
    spaces, dash, plain, double, single, text, flow = found.groups()
    key = plain or double or single or ""
    if not key and not dash:
        if text or flow:
            raise _Special
        return _NOTHING
    indent = len(spaces)
    value: Any = _BELOW
    values = 1
    sites: Sites = ()
    if flow:
        value, values, sites = _Flow(flow).whole()
    elif text:
        value, sites = _meaning(text), (((),) if "${" in text else ())
    elif not key:
        raise _Special
    if key:
        key = _key(key, quoted=not plain)
    if not dash:
        return indent, -1, key, value, values, sites
    return indent + len(dash), indent, key, value, values, sites


@lru_cache(1000)  # there are few different keys
def _key(text: str, *, quoted: bool) -> str:
    if len(text) > _MOST_IN_KEY or "${" in text or (not quoted and type(scalar(text)) is not str):
        raise _Special
    return sys.intern(text)


def _meaning(text: str) -> Any:
    """What a scalar means, with its quotes if it has any."""
    first = text[0]
    if first in "\"'":
        return text[1:-1]
    if first in _NO_NUMBER and text not in WORDS:
        return text
    value = scalar(text)
    if value is None or loses_as_number(text):
        raise _Special
    return value


class _Flow:
    """A collection within one line: ``{a: b, c: [d]}``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.values = 0
        self.sites: list[tuple[Any, ...]] = []

    def whole(self) -> tuple[Any, int, Sites]:
        """The value, how many there are in it, and the paths to texts with expressions."""
        if flat := _FLAT.fullmatch(self.text):
            return self.flat(flat[1])
        opening = self.token()[0]
        value = self.collection(opening, ())
        if self.at != len(self.text):
            raise _Special
        return value, self.values, tuple(self.sites)

    def flat(self, members: str) -> tuple[Any, int, Sites]:
        """The same for a mapping of plain words, as most are."""
        found: dict[str, Any] = {}
        for member in members.split(", "):
            key, _, text = member.partition(": ")
            name = _key(key, quoted=False)
            if name in found:
                raise _Special
            found[name] = _meaning(text)
        return found, 1 + len(found), ()

    def token(self) -> tuple[str | None, ...]:
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            raise _Special
        self.at = found.end()
        return found.groups()

    def collection(self, opening: str | None, path: tuple[Any, ...]) -> Any:
        """What follows an opening bracket, to the closing one."""
        if len(path) > _MOST_LEVELS:
            raise _Special
        self.values += 1
        members: dict[str, Any] = {}
        items: list[Any] = []
        first = True
        while True:
            token = self.token()
            if token[1] and first:
                break
            if opening == "{":
                plain, double, single = token[3:6]
                name = _key(plain or double or single or "", quoted=not plain)
                if not name or name in members:
                    raise _Special
                members[name] = self.value(self.token(), (*path, name))
            else:
                items.append(self.value(token, (*path, len(items))))
            first = False
            token = self.token()
            if token[1]:
                break
            if not token[2]:
                raise _Special
        if (token[1] == "}") is not (opening == "{"):
            raise _Special
        return members if opening == "{" else items

    def value(self, token: tuple[str | None, ...], path: tuple[Any, ...]) -> Any:
        opening, _, _, _, _, _, text = token
        if opening:
            return self.collection(opening, path)
        if not text:
            raise _Special
        if "${" in text:
            self.sites.append(path)
        self.values += 1
        return _meaning(text)
