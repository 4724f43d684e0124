"""Adds members to mappings in the text of a YAML file; every character that was there is kept.

The lines that are added are as the file's own are: its indentation, its ends of lines, empty lines between members
where it has such. What is read afterwards is compared with what is to be read (:func:`added`).
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from reconciler.config.yaml import nodes, reader
from reconciler.config.yaml.edit import CannotEdit, Text
from reconciler.config.yaml.emit import Member, Style, comment, flow, lines, text
from reconciler.config.yaml.node import Node as Read
from reconciler.config.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from reconciler.model.patterns import regex
from reconciler.model.problems import Problems
from reconciler.model.records import dataclass

_END: Final = regex(r"^\.\.\.(\s|$)", re.MULTILINE)
_LINES: Final = regex(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")
_BOM: Final = "\ufeff"


def added(content: str, section: str, members: Sequence[Member]) -> str:
    """``content`` with ``members`` at the end of its section, which is new where it is missing.

    Raises CannotEdit where that is not possible: a section that an anchor shares, or a file that reads otherwise with
    more in it.
    """
    bom = _BOM if content.startswith(_BOM) else ""
    before = _read(content)
    if before is None:
        raise CannotEdit("the file cannot be read")
    there = before.get(section) or {}
    if not isinstance(there, dict):
        raise CannotEdit("the value in the file is not a mapping")
    wanted = {**before, section: {**there, **{one.name: _data(one.value) for one in members}}}
    for spaced, ended in ((True, False), (False, False), (True, True), (False, True)):  # a text may end with the file
        file = _File(content.removeprefix(_BOM), spaced=spaced, ended=ended)
        file.add(section, members)
        if _read(file.text) == wanted:
            return bom + file.text
    raise CannotEdit("the file would be read differently with more in it")


def size(content: str, section: str) -> int:
    """How many members the section has in the file; -1 if it is not there."""
    found = _read(content) or {}
    if section not in found:
        return -1
    return len(found[section]) if isinstance(found[section], dict) else 0


@lru_cache(64)
def _read(content: str) -> dict[str, Any] | None:
    try:
        found = plain(reader.read(content.encode("utf-8"), ""))
    except (Problems, UnicodeEncodeError):
        return None
    return found if isinstance(found, dict) else None


def plain(node: Read) -> Any:
    """The value of a node without its places."""
    if isinstance(node.value, dict):
        return {name: plain(item) for name, item in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def _data(value: Any) -> Any:
    """A value as a reader gives it."""
    if isinstance(value, Mapping):
        return {str(name): _data(item) for name, item in value.items()}
    return [_data(item) for item in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class _Place:
    """Where lines are added: after a line (from 0), with keys at ``column``; ``apart``: with an empty line above."""

    after: int
    column: int
    apart: bool


class _File(Text):
    """The text of a file that members are added to.

    ``spaced``: with an empty line above what is added, where the file has such; ``ended``: a last line always ends.
    """

    def __init__(self, content: str, *, spaced: bool, ended: bool) -> None:
        super().__init__(content)
        self.spaced = spaced
        self.ended = ended

    def add(self, section: str, members: Sequence[Member]) -> None:
        style = self._style()
        root = self._root()
        if root is None or (isinstance(root, ScalarNode) and not root.value):
            self._append(section, members, style)
            return
        found = self._find((section,))
        key, node = found[-1]
        if not isinstance(root, MappingNode):
            raise CannotEdit("the file is not a mapping")
        if len(found) == 1:
            if root.flow_style:
                self._insert_in_flow(root, self._in_flow(section, {one.name: one.value for one in members}))
            else:
                self._append(section, members, style)
        elif isinstance(node, MappingNode) and not node.value and not root.flow_style and self._is_alone(node):
            place = _Place(key.end_mark.line, key.start_mark.column + style.indent, apart=False)
            self._put(key.end_mark.index, node.end_mark.index, ":")  # braces with nothing in them
            self._insert_members(place, members, style)
        elif isinstance(node, MappingNode) and node.flow_style:
            shown = ", ".join(self._in_flow(one.name, one.value) for one in members)
            self._insert_in_flow(node, shown)
            if not root.flow_style:
                self._note(key, members)
        elif isinstance(node, MappingNode):
            self._insert_members(self._below(node), members, style)
        elif isinstance(node, ScalarNode) and not node.value and not node.style:
            place = _Place(key.end_mark.line, key.start_mark.column + style.indent, apart=False)
            self._insert_members(place, members, style)
        else:
            raise CannotEdit("the value in the file is not a mapping")

    # --- lines -------------------------------------------------------------------------------------------------------

    def _insert_members(self, place: _Place, members: Sequence[Member], style: Style) -> None:
        new: list[str] = []
        for one in members:
            new += [""] if place.apart and self.spaced else []
            new += lines(one, place.column, style)
        self._put_lines(place.after, new)

    def _note(self, key: Node, members: Sequence[Member]) -> None:
        """Add the comments of members above the key of their section, where there is no place for them below it."""
        start = sum(map(len, _LINES.findall(self.text)[: key.start_mark.line]))
        notes = [(f"{one.name}.{path}".rstrip("."), what) for one in members for path, what in one.comments.items()]
        new = [line for at, what in notes for line in comment(f"{at}: {what}", key.start_mark.column)]
        self._put(start, start, "".join(line + self.newline for line in new))

    def _append(self, section: str, members: Sequence[Member], style: Style) -> None:
        """Add the section at the end of the file."""
        new = [f"{text(section)}:"]
        for number, one in enumerate(members):
            new += [""] if number and one.value else []
            new += lines(one, style.indent, style)
        there = self._lines()
        ended = _END.search(self.text)
        after = _last_line(self._leaves(), ended.start()) if ended else len(there) - 1
        self._put_lines(after, ["", *new] if there[after].strip() and self.spaced else new)

    def _put_lines(self, after: int, new: Sequence[str]) -> None:
        """Add lines after a line (from 0). A file whose last line has no end remains one."""
        start = sum(map(len, _LINES.findall(self.text)[: after + 1]))
        if start and not self.text[:start].endswith(("\n", "\r")):
            self._put(start, start, self.newline + self.newline.join(new) + self.newline * self.ended)
        else:
            self._put(start, start, "".join(line + self.newline for line in new))

    def _lines(self) -> list[str]:
        return [line.rstrip("\r\n") for line in _LINES.findall(self.text)] or [""]

    def _is_alone(self, node: MappingNode) -> bool:
        """Whether nothing but a comment follows in the line of a value that is in the line of its key."""
        line = self._lines()[node.start_mark.line]
        return node.start_mark.line == node.end_mark.line and not line[node.end_mark.column :].split("#")[0].strip()

    # --- places ------------------------------------------------------------------------------------------------------

    def _below(self, node: MappingNode) -> _Place:
        """The place after the last member of a block mapping, and the comments that are indented as it is."""
        if not node.value:
            raise CannotEdit("the mapping in the file is empty")
        column = node.value[0][0].start_mark.column
        last = node.value[-1][0].start_mark
        following = [key.start_mark.index for key, _ in self._root().value if key.start_mark.index > last.index]
        leaves, there = self._leaves(), self._lines()
        after = end = _last_line(leaves, following[0] if following else len(self.text))
        for number in range(end + 1, len(there)):
            line = there[number]
            if line.strip() and not (line.lstrip().startswith("#") and len(line) - len(line.lstrip()) >= column):
                break
            after = number if line.strip() else after
        above = _last_line(leaves, last.index) + 1
        gap = any(not line.strip() for line in there[above : last.line]) if len(node.value) > 1 else last.line != end
        return _Place(after, column, gap)

    def _leaves(self) -> list[tuple[int, int]]:
        """Where each scalar, alias and end of a flow collection begins, and the line in which it ends."""
        found: list[tuple[int, int]] = []
        blocks: list[Any] = []
        there = self._lines()
        for event in nodes.events(self.text):
            what = type(event).__name__
            if what in ("MappingStartEvent", "SequenceStartEvent"):
                blocks.append(event)
            elif what in ("MappingEndEvent", "SequenceEndEvent"):
                if blocks.pop().flow_style:
                    found.append((event.start_mark.index, event.end_mark.line))
            elif what == "ScalarEvent" and event.style in ("|", ">"):
                found.append((event.start_mark.index, _end_of_text(there, event, blocks[-1].start_mark.column)))
            elif what in ("ScalarEvent", "AliasEvent"):
                found.append((event.start_mark.index, event.end_mark.line))
        return found

    # --- how the file is written -------------------------------------------------------------------------------------

    def _style(self) -> Style:
        found = Style(newline=self.newline)
        root = self._root()
        steps = [*_steps(root)] if isinstance(root, MappingNode) and not root.flow_style else []
        indents = [step for is_list, step in steps if not is_list and step > 0]
        dashes = [step for is_list, step in steps if is_list and step >= 0]
        found = replace(found, indent=max(set(indents), key=indents.count)) if indents else found
        return replace(found, dash=max(set(dashes), key=dashes.count) if dashes else found.indent)

    def _in_flow(self, name: str, value: Any) -> str:
        try:
            json.loads(self.text)
        except ValueError:
            return f"{text(name, flow=True)}: {flow(value)}"
        return f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"


def _last_line(leaves: Sequence[tuple[int, int]], bound: int) -> int:
    """The line in which the last value before the position ``bound`` ends."""
    return leaves[bisect_left(leaves, (bound, 0)) - 1][1]


def _end_of_text(there: Sequence[str], node: Any, column: int) -> int:
    """The last line of a block of text whose parent is at ``column``."""
    first: int = node.start_mark.line
    keeps = "+" in there[first][node.start_mark.column :].split("#")[0]
    end = first
    for number in range(first + 1, len(there)):
        line = there[number]
        if line.strip() and len(line) - len(line.lstrip(" ")) <= column:
            break
        end = number if line.strip() or keeps else end
    return end


def _steps(node: MappingNode) -> Iterator[tuple[bool, int]]:
    """By how many columns blocks are indented below their keys, and whether they are lists."""
    for key, value in node.value:
        if value.start_mark.index < key.start_mark.index or getattr(value, "flow_style", True):
            continue
        step = value.start_mark.column - key.start_mark.column
        if isinstance(value, SequenceNode):
            yield True, step
            for item in value.value:
                if isinstance(item, MappingNode) and not item.flow_style:
                    yield from _steps(item)
        elif isinstance(value, MappingNode) and value.value:
            yield False, value.value[0][0].start_mark.column - key.start_mark.column
            yield from _steps(value)
