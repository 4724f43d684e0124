"""Changes one value in the text of a YAML file: everything around it, comments, order and style, is kept.

A path is that of a member in the file's own mappings and lists. The text is changed at the places that ruamel's
composer gives; the rest is not written again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from reconciler.config.yaml.node import scalar
from reconciler.config.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode, YAMLError, compose
from reconciler.model import MISSING, Path, Pos
from reconciler.model.masking import in_json
from reconciler.model.patterns import regex

WIDTH: Final = 100  # characters of a mapping or list up to which it is written in one line
_PLAIN: Final = regex(r"[A-Za-z_/][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*")
# what YAML 1.1 readers make a truth value: https://yaml.org/type/bool.html
_TRUTH: Final = frozenset({"y", "n", "yes", "no", "on", "off"})
_COMMENT: Final = regex(r"[ \t]+#[^\r\n]*")


class CannotEdit(Exception):
    """Why a value cannot be changed in a text, as a sentence; ``place`` is the line and column to change instead."""

    def __init__(self, why: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(why)
        self.place = place


class Text:
    """The text of one file, and the edits to it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self._composed: tuple[str, Node] | None = None

    def place(self, path: Path) -> tuple[int, int] | None:
        """Line and column of the key (or the item) at ``path``, from 1; None if the file has none."""
        found = self._find(path)
        if len(found) <= len(path):
            return None
        mark = found[-1][0].start_mark
        return mark.line + 1, mark.column + 1

    def set(self, path: Path, value: Any) -> None:
        """Write ``value`` at ``path``; members that are missing on the way are added. Raises CannotEdit."""
        found = self._find(path)
        depth = len(found) - 1
        key, node = found[-1]
        if depth == len(path):
            self._replace(key, node, value)
        elif isinstance(node, MappingNode):
            for part in reversed(path[depth + 1 :]):
                value = {part: value}
            self._insert(node, str(path[depth]), value)
        else:
            raise CannotEdit(self._not_a_mapping(key, node), _at(node))

    def remove(self, path: Path) -> None:
        """Remove the member at ``path``; a mapping that becomes empty is removed, too, but not a resource. Raises
        CannotEdit.
        """
        found = self._find(path)
        if len(found) <= len(path):
            raise CannotEdit("the value is not in the file")
        while len(path) > 3 and _size(found[-2][1]) == 1 and isinstance(found[-3][1], MappingNode):
            path, found = path[:-1], found[:-1]
        parent = found[-2][1]
        if _size(parent) == 1:
            self._replace(found[-2][0], parent, [] if isinstance(parent, SequenceNode) else {})
        else:
            self._cut(parent, found[-1])

    def update(self, path: Path, before: Any, after: Any) -> None:
        """Change what the file has at ``path`` and means ``before`` so that it means ``after``, as little as possible.
        Raises CannotEdit.
        """
        if before == after:
            return
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            for name in before:
                if name not in after and self.place((*path, name)):
                    self.remove((*path, name))
            for name, value in after.items():
                if name in before:
                    self.update((*path, name), before[name], value)
                else:
                    self.set((*path, name), value)
        elif isinstance(before, list) and isinstance(after, list) and before and after:
            self._merge(path, before, after)
        else:
            self.set(path, after)

    def text_on(self, path: Path) -> tuple[Path, JsonText] | None:
        """The JSON text into which ``path`` leads, and its own path; None where it leads into none."""
        found = self._find(path)
        key, node = found[-1]
        if len(found) > len(path) or not isinstance(node, ScalarNode) or not str(node.value).lstrip().startswith("{"):
            return None
        return path[: len(found) - 1], JsonText(str(node.value), _at(key))

    def set_text(self, path: Path, text: JsonText) -> None:
        """Write a text as it is, with the expressions in it. Raises CannotEdit."""
        self.set(path, _Written(text.checked))

    def _not_a_mapping(self, key: Node, node: Node) -> str:
        if "${" in self.text[key.start_mark.index : _end(node, self.text)].replace("$${", ""):
            return "the value comes from an expression"
        return "the value in the file is not a mapping"

    def _merge(self, path: Path, before: Sequence[Any], after: Sequence[Any]) -> None:
        """Change a list item by item."""
        _, node = self._find(path)[-1]
        if isinstance(node, ScalarNode):  # one item may stand for a list
            self.set(path, list(after))
            return
        if not isinstance(node, SequenceNode) or len(node.value) != len(before):
            raise CannotEdit("the list in the file has other items", _at(node))
        old, new = ([json.dumps(item, sort_keys=True, default=str) for item in each] for each in (before, after))
        for action, i1, i2, j1, j2 in reversed(SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes()):
            if action == "equal":
                continue
            both = min(i2 - i1, j2 - j1)
            for index in range(both):
                self.update((*path, i1 + index), before[i1 + index], after[j1 + index])
            for item in reversed(after[j1 + both : j2]):
                self._insert_item(self._find(path)[-1][1], i1 + both, item)
            for index in reversed(range(i1 + both, i2)):
                self._cut(*self._member(path, index))

    # --- finding -----------------------------------------------------------------------------------------------------

    def _find(self, path: Path) -> list[tuple[Node, Node]]:
        """The nodes on the way along ``path``, as far as the file has them: each with its key (an item is its own)."""
        try:
            root = self._root()
        except YAMLError as error:
            raise CannotEdit(f"the file cannot be read as YAML ({type(error).__name__})") from None
        found: list[tuple[Node, Node]] = [(root, root)]
        for part in path:
            node = found[-1][1]
            if getattr(node, "anchor", None):
                raise CannotEdit("an anchor shares this value with other places", _at(node))
            below = next((pair for name, pair in _members(node) if name == part), None)
            if below is None:
                break
            if below[1].start_mark.index < below[0].start_mark.index:  # an alias
                raise CannotEdit("an alias takes this value from another place", _at(below[1]))
            found.append(below)
        if getattr(found[-1][1], "anchor", None):
            raise CannotEdit("an anchor shares this value with other places", _at(found[-1][1]))
        return found

    def _root(self) -> Node:
        """The nodes of the text as it is now."""
        if self._composed is None or self._composed[0] != self.text:
            self._composed = (self.text, compose(self.text))
        return self._composed[1]

    def _member(self, path: Path, part: str | int) -> tuple[Node, tuple[Node, Node]]:
        found = self._find((*path, part))
        return found[-2][1], found[-1]

    # --- changing ----------------------------------------------------------------------------------------------------

    def _replace(self, key: Node, node: Node, value: Any) -> None:
        if "${" in self.text[node.start_mark.index : _end(node, self.text)].replace("$${", "") and not isinstance(
            value, _Written
        ):
            raise CannotEdit("the value comes from an expression", _at(key))
        in_flow = self._is_in_flow(node)
        shown = self._flow(value, node if isinstance(node, ScalarNode) else None)
        is_item = key is node
        start = node.start_mark.index if is_item else key.end_mark.index
        end = _end(node, self.text)
        if isinstance(node, ScalarNode) and not is_item and not node.value and not node.style:
            end = self.text.index(":", start) + 1  # nothing after the colon
        elif isinstance(node, ScalarNode) and not is_item and not isinstance(value, dict | list):
            lines = _block_text(value, node, _indent(key) + 2)
            if lines is not None:
                start = node.start_mark.index
                header = self.text[start : self.text.index("\n", start)]
                after = _COMMENT.search(header.rstrip("\r"))
                shown = self.newline.join([lines[0] + (after[0] if after else ""), *lines[1:]])
            elif node.start_mark.index > key.end_mark.index and self.text[start : node.start_mark.index].strip() == ":":
                start = node.start_mark.index
        if not is_item and start == key.end_mark.index:
            short = in_flow or not isinstance(value, dict | list) or not value
            short = short or (len(shown) <= WIDTH and not _is_block(node))
            kept = _COMMENT.match(self.text, start + 1) if _is_block(node) else None
            comment = kept[0] if kept else ""
            if short:
                shown = f": {shown}{comment}"
            else:
                lines = _lines(value, _indent(key) + 2)
                shown = f":{comment}{self.newline}{self.newline.join(lines)}"
        self._put(start, end, shown)

    def _insert(self, node: MappingNode, name: str, value: Any) -> None:
        """Add a member after the last one."""
        shown = f"{self._flow(name)}: {self._flow(value)}"
        if node.flow_style:
            self._insert_in_flow(node, shown)
            return
        if not node.value:
            raise CannotEdit("the mapping in the file is empty", _at(node))
        indent = node.value[0][0].start_mark.column
        lines = [" " * indent + shown]
        if len(shown) > WIDTH and isinstance(value, dict | list) and value:
            lines = [f"{' ' * indent}{_text(name)}:", *_lines(value, indent + 2)]
        self._insert_lines(_end(node, self.text), lines)

    def _insert_item(self, node: Any, index: int, value: Any) -> None:
        if node.flow_style and index and node.value:
            end = _end(node.value[index - 1], self.text)
            self._put(end, end, f", {_flow(value)}")
        elif node.flow_style:
            start = node.value[0].start_mark.index if node.value else node.start_mark.index + 1
            self._put(start, start, _flow(value) + (", " if node.value else ""))
        else:
            dash = self.text.rindex("-", 0, node.value[0].start_mark.index)
            column = dash - (self.text.rfind("\n", 0, dash) + 1)
            line = f"{' ' * column}- {_flow(value)}"
            if index:
                self._insert_lines(_end(node.value[index - 1], self.text), [line])
            else:
                start = self.text.rfind("\n", 0, dash) + 1
                if self.text[start:dash].strip():
                    raise CannotEdit("the list begins in the line of another", _at(node))
                self._put(start, start, line + self.newline)

    def _insert_in_flow(self, node: Node, shown: str) -> None:
        last = node.value[-1] if node.value else None
        at = _end(last[1] if isinstance(last, tuple) else last, self.text) if last else node.start_mark.index + 1
        self._put(at, at, f", {shown}" if last else shown)

    def _insert_lines(self, after: int, lines: list[str]) -> None:
        """Add lines below the one that has the position ``after``."""
        end = self.text.find("\n", after)
        if end < 0:
            self._put(len(self.text), len(self.text), self.newline + self.newline.join(lines))
        else:
            self._put(end + 1, end + 1, "".join(line + self.newline for line in lines))

    def _cut(self, parent: Any, member: tuple[Node, Node]) -> None:
        """Remove one of several members of a mapping, or items of a list."""
        pairs = [pair for _, pair in _members(parent)]
        index = next(number for number, pair in enumerate(pairs) if _at(pair[0]) == _at(member[0]))
        start, end = member[0].start_mark.index, _end(member[1], self.text)
        if "${" in self.text[member[1].start_mark.index : end].replace("$${", ""):
            raise CannotEdit("the value comes from an expression", _at(member[0]))
        if parent.flow_style:
            if index + 1 < len(pairs):
                end = pairs[index + 1][0].start_mark.index
            else:
                start = _end(pairs[index - 1][1], self.text)
            self._put(start, end, "")
            return
        line = self.text.rfind("\n", 0, start) + 1
        before = self.text[line:start].strip()
        if before not in ("", "-" if isinstance(parent, SequenceNode) else ""):
            self._put(start, pairs[index + 1][0].start_mark.index, "")  # the first member in an item of a list
            return
        after = self.text.find("\n", end)
        self._put(line, len(self.text) if after < 0 else after + 1, "")

    def _flow(self, value: Any, like: ScalarNode | None = None) -> str:
        """A value in one line."""
        return _flow(value, like)

    def _is_in_flow(self, node: Node) -> bool:
        return any(flow.start_mark.index < node.start_mark.index < flow.end_mark.index for flow in self._flows())

    def _flows(self) -> Iterator[Node]:
        found = [self._root()]
        while found:
            node = found.pop()
            if isinstance(node, MappingNode | SequenceNode):
                if node.flow_style:
                    yield node
                else:
                    found += [pair[1] for _, pair in _members(node)]

    def _put(self, start: int, end: int, text: str) -> None:
        self.text = self.text[:start] + text + self.text[end:]


class JsonText(Text):
    """A JSON text within a file, which YAML reads as well; ``place`` is where the file has it."""

    def __init__(self, text: str, start: tuple[int, int]) -> None:
        super().__init__(text)
        self.start = start

    @property
    def checked(self) -> str:
        """The text. Raises CannotEdit where it is no JSON, as the YAML of an expression is not."""
        try:
            json.loads(self.text)
        except ValueError:
            raise CannotEdit("the text in the file is not JSON that can be changed in place", self.start) from None
        return self.text

    def _flow(self, value: Any, like: ScalarNode | None = None) -> str:  # noqa: ARG002  (JSON has one kind of quotes)
        shown = json.dumps(value, ensure_ascii=False)
        return shown.replace("${", "$${")

    def _root(self) -> Node:
        try:
            return super()._root()
        except YAMLError:  # JSON may be indented with tabs
            raise CannotEdit("the text in the file is not JSON that can be changed in place", self.start) from None


class _Written(str):
    """A text as the file is to have it: its expressions remain expressions."""

    __slots__ = ()


def _escaped(text: str) -> str:
    return text if isinstance(text, _Written) else text.replace("${", "$${")


def _members(node: Node) -> Iterator[tuple[str | int, tuple[Node, Node]]]:
    """The members of a mapping by name, and the items of a list by number."""
    if isinstance(node, MappingNode):
        yield from ((str(key.value), (key, value)) for key, value in node.value)
    elif isinstance(node, SequenceNode):
        yield from ((number, (item, item)) for number, item in enumerate(node.value))


def _size(node: Node) -> int:
    return len(node.value)


def _at(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _indent(node: Node) -> int:
    return int(node.start_mark.column)


def _is_block(node: Node) -> bool:
    return isinstance(node, MappingNode | SequenceNode) and not node.flow_style


def _end(node: Node, text: str) -> int:
    """Where a node ends: a block ends with its last leaf, not where the next one begins."""
    if _is_block(node) and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last, text)
    end = int(node.end_mark.index)
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        while end > node.start_mark.index and text[end - 1] in "\r\n ":
            end -= 1
    return end


# --- values as text --------------------------------------------------------------------------------------------------


def _flow(value: Any, like: ScalarNode | None = None) -> str:
    """A value in one line, a text with the quotes of the node that it replaces."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(str(name))}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return _text(_escaped(value), like.style if like else None)
    if value is MISSING or not isinstance(value, bool | int | float | None):
        raise CannotEdit("the live value cannot be written as YAML")
    return json.dumps(value)


def _text(text: str, style: str | None = None) -> str:
    """A scalar that is read as this text: as ``style`` has it if that is possible."""
    shown = in_json(json.dumps(text, ensure_ascii=False))
    if style == "'" and shown == json.dumps(text, ensure_ascii=False) and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    plain = _PLAIN.fullmatch(text) and scalar(text) == text and text.lower() not in _TRUTH
    return text if plain and style != '"' else shown


def _lines(value: Any, indent: int) -> list[str]:
    """A mapping or list in block style."""
    pad = " " * indent
    found: list[str] = []
    items = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for name, item in items:
        start = f"{pad}-" if name is None else f"{pad}{_text(str(name))}:"
        shown = _flow(item)
        if len(shown) + len(start) <= WIDTH or not isinstance(item, dict | list) or not item:
            found.append(f"{start} {shown}")
        elif name is None:
            below = _lines(item, indent + 2)
            found += [f"{start} {below[0].lstrip()}", *below[1:]]
        else:
            found += [start, *_lines(item, indent + 2)]
    return found


def _block_text(value: Any, node: ScalarNode, indent: int) -> list[str] | None:
    """A text of several lines in the literal style of the node that it replaces; None where that is not possible."""
    several = isinstance(value, _Written) or (isinstance(value, str) and "\n" in value.rstrip("\n"))
    if node.style != "|" or not several:
        return None
    text = _escaped(value)
    body = text.removesuffix("\n").split("\n")
    clean = all(line.isprintable() and line == line.rstrip() for line in body)
    if not clean or text.endswith("\n\n") or not body[0] or body[0].startswith(" "):
        return None
    header = "|" if text.endswith("\n") else "|-"
    return [header, *(" " * indent + line if line else "" for line in body)]


def position(place: tuple[int, int], file: str) -> Pos:
    """A place as problems have it."""
    return Pos(file, *place)
