"""The environment after merging and variables, as YAML with the source of each value."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reconciler.model import Path, Pos, Template
from reconciler.model.masking import SENSITIVE, Cover, in_json, single_line
from reconciler.model.patterns import regex

if TYPE_CHECKING:
    from reconciler.config.loader import LoadedEnvironment

_PLAIN = regex(r"[A-Za-z_/$][A-Za-z0-9_./@+$-]*(?: [A-Za-z0-9_./@+$-]+)*")
_TAKEN = regex(r"true|false|null")
_COLUMN = 60


def provenance(loaded: LoadedEnvironment, secret: Callable[[str, Path], bool], sensitive: Collection[str] = ()) -> str:
    """YAML text, one value a line, followed by ``# file:line``.

    Values for which ``secret(section, path)`` is true are masked, and so are those that contain one of the
    ``sensitive`` texts (by default those that loading has found).
    """
    writer = _Writer(Cover(sensitive or loaded.sensitive))
    writer.sources = {("variables", name): one.source for name, one in loaded.given.items()}
    settings = {name: value for name, value in loaded.settings.items() if value not in ({}, [])}
    writer.mapping(settings, 0, (), loaded.settings_pos, lambda _: False)
    writer.sources = {}
    for section, resources in loaded.sections.items():
        writer.lines += ["", f"{yaml_text(section)}:"]
        for name, resource in resources.items():
            writer.member(
                name,
                resource.value,
                1,
                (),
                resource.pos,
                lambda path, section=section: secret(section, path),  # type: ignore[misc]
            )
    return "\n".join(map(in_json, writer.lines)) + "\n"


class _Writer:
    def __init__(self, cover: Cover) -> None:
        self.cover = cover
        self.lines: list[str] = []
        self.sources: Mapping[Path, str] = {}  # of values that are not from a file, by path

    def mapping(
        self, value: Mapping[str, Any], depth: int, path: Path, pos: Mapping[Path, Pos], secret: Callable[[Path], bool]
    ) -> None:
        for name, item in value.items():
            self.member(name, item, depth, (*path, name), pos, secret)

    def member(
        self, name: str, item: Any, depth: int, path: Path, pos: Mapping[Path, Pos], secret: Callable[[Path], bool]
    ) -> None:
        self.value(f"{'  ' * depth}{self.key(name)}:", item, depth, path, pos, secret)

    def value(
        self, start: str, item: Any, depth: int, path: Path, pos: Mapping[Path, Pos], secret: Callable[[Path], bool]
    ) -> None:
        if secret(path):
            self.leaf(start, SENSITIVE, path, pos)
        elif isinstance(item, Mapping) and item:
            self.lines.append(start)
            self.mapping(item, depth + 1, path, pos, secret)
        elif isinstance(item, list) and item:
            self.lines.append(start)
            for index, each in enumerate(item):
                self.value(f"{'  ' * (depth + 1)}-", each, depth + 1, (*path, index), pos, secret)
        else:
            self.leaf(start, self.scalar(item), path, pos)

    def leaf(self, start: str, text: str, path: Path, pos: Mapping[Path, Pos]) -> None:
        place = next((pos[upper] for upper in _upwards(path) if upper in pos), None)
        line = f"{start} {text}"
        source = self.sources.get(path[:2]) or (f"{place.file}:{place.line}" if place else "")
        self.lines.append(f"{line:<{_COLUMN}} # {single_line(source)}" if source else line)

    def key(self, name: str) -> str:
        shown = self.cover(name)
        return SENSITIVE if shown != name else yaml_text(name)

    def scalar(self, value: Any) -> str:
        if isinstance(value, str | Template):
            text = str(value)
            if self.cover(f'"{text}"') != f'"{text}"':  # in quotes a short one is found too
                return SENSITIVE
            return yaml_text(text.replace("${", "$${") if isinstance(value, str) else text)
        return json.dumps(value) if not isinstance(value, Mapping) else "{}"


def _upwards(path: Path) -> Iterator[Path]:
    for length in range(len(path), -1, -1):
        yield path[:length]


def yaml_text(text: str) -> str:
    """A text as YAML in one line: in quotes where it would be something else without them."""
    plain = _PLAIN.fullmatch(text) and not _TAKEN.fullmatch(text)
    return text if plain else json.dumps(text, ensure_ascii=False)
