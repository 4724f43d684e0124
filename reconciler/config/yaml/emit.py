"""Plain values -> YAML as people write it: what an import adds to files.

- A short mapping of plain values, and a list of them, are written in one line; everything else in block style.
- A text of several lines is a literal block, so that a script looks like one.
- Quotes are written only where a reader of YAML 1.2 or of YAML 1.1 would not read the same text without them.
- A comment is above the line that it is about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from textwrap import wrap
from typing import Any, Final

from reconciler.config.yaml.node import loses_as_number, scalar
from reconciler.model.masking import in_json
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass

_MOST: Final = 4  # members of a mapping that is written in one line
_FEW: Final = 2  # members of one behind a key; more only if they are
_LITTLE: Final = 50  # characters
_COMMENT_WIDTH: Final = 118
_INDICATORS: Final = frozenset("-?:,[]{}#&*!|>'\"%@`=<~")
_IN_FLOW: Final = frozenset(",[]{}")
# what readers of YAML 1.1 make a truth value, a number, a date or a time: https://yaml.org/type/
_OLDER: Final = regex(
    r"y|n|yes|no|on|off|true|false|null|[-+]?[0-9][0-9_,]*(:[0-5]?[0-9])*(\.[0-9_]*)?|[-+]?0[box][0-9a-f_]+"
    r"|[-+]?(\.[0-9_]+|[0-9][0-9_]*\.?[0-9_]*)(e[-+]?[0-9]+)?|[-+]?\.(inf|nan)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ t].*)?",
    re.IGNORECASE,
)
_OPTION: Final = regex(r"--?[A-Za-z_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a file is written.

    indent    the columns by which a mapping is indented
    dash      the columns by which the dash of an item is indented below the key of its list
    width     the most characters of a line with a short mapping or list
    newline   what ends a line
    """

    indent: int = 2
    dash: int = 2
    width: int = 100
    newline: str = "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a mapping.

    ``comments`` are by dotted path below it, ``""`` is above its key; ``opened``: never in one line unless it is empty.
    """

    name: str
    value: Any
    comments: Mapping[str, str] = field(default_factory=dict)
    opened: bool = False


def lines(member: Member, column: int, style: Style) -> list[str]:
    """The lines of a member of a block mapping, its key at ``column``."""
    comments = _placed(member)
    return [*_Writer(style, comments).member(member.name, member.value, column, "", opened=member.opened)]


def flow(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{text(str(name), flow=True)}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return plain(value, flow=True)


def plain(value: Any, *, flow: bool = False) -> str:
    """A scalar in one line. A number that would be read as text is written as text."""
    if isinstance(value, str):
        return text(value, flow=flow)
    shown = json.dumps(value)
    return shown if type(scalar(shown)) is type(value) and scalar(shown) == value else json.dumps(shown)


def text(value: str, *, flow: bool = False) -> str:
    """A text in one line, in quotes only where it needs them."""
    if _is_plain(value, flow=flow):
        return value
    quoted = in_json(json.dumps(value, ensure_ascii=False))
    if "\\" in quoted and "'" not in value and value.isprintable():
        return f"'{value}'"
    return quoted


def _is_plain(value: str, *, flow: bool) -> bool:
    """Whether a text needs no quotes; ``flow``: in a mapping or list in one line."""
    if not value or not value.isprintable() or value != value.strip() or "${" in value:
        return False
    if value[0] in _INDICATORS and not _OPTION.match(value):
        return False
    if ": " in value or " #" in value or value.endswith(":") or '"' in value:
        return False
    if flow and not _IN_FLOW.isdisjoint(value):
        return False
    return scalar(value) == value and not loses_as_number(value) and not _OLDER.fullmatch(value)


class _Writer:
    """The lines of values; ``comments`` are by the dotted paths of what they are about."""

    def __init__(self, style: Style, comments: Mapping[str, str]) -> None:
        self.style = style
        self.comments = comments

    def member(self, name: str, value: Any, column: int, path: str, *, opened: bool = False) -> Iterator[str]:
        pad = " " * column
        start = f"{pad}{text(name)}:"
        yield from self.comment(path, column)
        short = self.short(value, path, self.style.width - len(start) - 1)
        if short is not None and not (opened and value):
            yield f"{start} {short}"
        elif isinstance(value, Mapping):
            yield start
            yield from self.mapping(value, column + self.style.indent, path)
        elif isinstance(value, list | tuple):
            yield start
            yield from self.items(value, column + self.style.dash, path)
        else:
            body = literal(value, column + self.style.indent, self.style.indent)
            yield f"{start} {body[0]}"
            yield from body[1:]

    def mapping(self, value: Mapping[str, Any], column: int, path: str) -> Iterator[str]:
        for name, item in value.items():
            yield from self.member(str(name), item, column, below(path, name))

    def items(self, value: Sequence[Any], column: int, path: str) -> Iterator[str]:
        """The items of a list, each in one line if all fit in one."""
        pad = " " * column
        shorts = [
            self.short(item, below(path, index), self.style.width - column - 2, item=True)
            for index, item in enumerate(value)
        ]
        alike = any(short is None and isinstance(item, Mapping) for short, item in zip(shorts, value, strict=True))
        for index, (item, short) in enumerate(zip(value, shorts, strict=True)):
            here = below(path, index)
            yield from self.comment(here, column)
            if short is not None and not (alike and isinstance(item, Mapping) and item):
                yield f"{pad}- {short}"
                continue
            if isinstance(item, Mapping):
                made = [*self.mapping(item, column + 2, here)]
            elif isinstance(item, list | tuple):
                made = [*self.items(item, column + 2, here)]
            else:
                made = literal(item, column + 2, 0)
            head = next(number for number, line in enumerate(made) if not line.lstrip().startswith("#"))
            yield from (pad + line.lstrip() for line in made[:head])  # comments about the first member
            yield f"{pad}- {made[head].lstrip()}"
            yield from made[head + 1 :]

    def short(self, value: Any, path: str, room: int, *, item: bool = False) -> str | None:
        """The value in one line, if it is to be written in one; ``item``: it is one of a list."""
        if isinstance(value, str) and literal(value, 2, 0 if item else 2):
            return None
        if not isinstance(value, Mapping | list | tuple):
            return plain(value)
        if not value:
            return flow(value)
        if not _is_short(value) or any(
            one.startswith(f"{path}." if path else "") and one != path for one in self.comments
        ):
            return None
        shown = flow(value)
        if isinstance(value, Mapping) and not item and len(value) > _FEW and len(shown) > _LITTLE:
            return None
        return shown if len(shown) <= room else None

    def has_below(self, path: str) -> bool:
        """Whether there is a comment about something in the value at ``path``."""
        return any(one != path and one.startswith(f"{path}." if path else "") for one in self.comments)

    def comment(self, path: str, column: int) -> Iterator[str]:
        found = self.comments.get(path)
        if found is not None:
            yield from comment(found, column)


def comment(what: str, column: int) -> Iterator[str]:
    """A comment as lines."""
    for paragraph in "".join(one if one.isprintable() or one == "\n" else " " for one in what).splitlines():
        for line in wrap(paragraph, _COMMENT_WIDTH - column, break_long_words=False, break_on_hyphens=False) or [""]:
            yield f"{' ' * column}# {line}".rstrip()


def _is_short(value: Any) -> bool:
    """Whether a mapping or list is simple enough for one line."""
    if isinstance(value, Mapping):
        nested = [item for item in value.values() if isinstance(item, Mapping | list | tuple) and item]
        if any(not (isinstance(item, Mapping) and len(item) == 1 and _is_short(item)) for item in nested):
            return False
        return len(value) <= _MOST and len(nested) <= 1 and not any(map(_has_lines, value.values()))
    return not any((isinstance(item, Mapping | list | tuple) and item) or _has_lines(item) for item in value)


def _has_lines(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


def literal(value: Any, column: int, indent: int) -> list[str]:
    """A text of several lines as a literal block, the header first; empty where it cannot be one.

    ``indent`` are the columns by which it is indented below its parent; with 0 they cannot be given in the header.
    """
    if not isinstance(value, str) or "\n" not in value.rstrip("\n") or value.endswith("\n\n"):
        return []
    body = value.removesuffix("\n").split("\n")
    if not all(line.replace("\t", " ").isprintable() for line in body):
        return []
    starts_blank = body[0][:1] in ("", " ", "\t")
    if (starts_blank and not indent) or not body[-1].strip():
        return []
    header = "|" + (str(indent) if starts_blank else "") + ("" if value.endswith("\n") else "-")
    return [header, *(" " * column + line if line else "" for line in body)]


def below(path: str, part: str | int) -> str:
    """The dotted path of a member or an item."""
    return f"{path}.{part}" if path else str(part)


def _placed(member: Member) -> Mapping[str, str]:
    """The comments by the paths that there are: one about a missing member is above what would contain it."""
    known = set(_paths(member.value, ""))
    placed: dict[str, str] = {}
    for path, what in member.comments.items():
        at = re.sub(r"\[(\d+)\]", r".\1", path)
        while at and at not in known:
            at = at.rpartition(".")[0]
        placed[at] = f"{placed[at]}\n{what}" if at in placed else what
    return placed


def _paths(value: Any, path: str) -> Iterator[str]:
    yield path
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _paths(item, below(path, name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _paths(item, below(path, index))
