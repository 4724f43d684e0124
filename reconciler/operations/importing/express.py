"""References and expressions instead of the names, ARNs and ids of what is imported with a resource.

At a path that refers to others it is the plain name, by the same rules by which a plan takes ARNs for names. Elsewhere
(in documents, variables, user data) an ARN or a URI becomes an expression, where it is one of an imported resource for
certain; not where it would close a circle of dependencies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, Final

from reconciler.config.links import Linker
from reconciler.model import Address, Kind, Live, Path, Ref, Template
from reconciler.model.paths import values_at
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass

# attributes that nothing else has the text of; an id is one by its form
_SURE: Final = ("arn", "arnPrefix", "uri")
_ID: Final = regex(r"[a-z]+-[0-9a-f]{8,}")
_REVISION: Final = regex(r":\d+$")
_HINT: Final = regex(r"arn:|\.dkr\.ecr\.|\b[a-z]+-[0-9a-f]{8}")
_PLACEHOLDER: Final = "\x00{}\x00"
_PLACED: Final = regex("\x00([^\x00]*)\x00")


def literal(text: str) -> str:
    """A text as YAML has it: what would be an expression is escaped."""
    return text.replace("${", "$${")


def placed(expression: str) -> str:
    """``expression`` as it stands in a text before :func:`written`, which leaves it as it is."""
    return _PLACEHOLDER.format(expression)


def written(text: str) -> str:
    """A text with expressions in it, everything else escaped."""
    parts = _PLACED.split(text)
    return "".join(part if number % 2 else literal(part) for number, part in enumerate(parts))


def walked(value: Any, function: Callable[[Path, str], Any], path: Path = ()) -> Any:
    """``value`` with each text replaced by ``function``, which is given its path."""
    if isinstance(value, Mapping):
        return {name: walked(item, function, (*path, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [walked(item, function, (*path, number)) for number, item in enumerate(value)]
    return function(path, value) if isinstance(value, str) else value


@dataclass(slots=True)
class Expressions:
    """Writes references between resources that are imported together, or declared already.

    ``lives`` has the object of each address; ``comments`` what could not be decided, by address and path.
    """

    kinds: Mapping[str, Kind]
    linker: Linker
    lives: Mapping[Address, Live]
    needs: dict[Address, set[Address]] = field(default_factory=dict)
    comments: dict[Address, dict[Path, str]] = field(default_factory=dict)
    _texts: dict[str, tuple[Address, str]] = field(default_factory=dict)
    _pattern: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        for address, live in self.lives.items():
            versioned = self.kinds[address.section].versioned
            for attr, text in live.attrs.items():
                sure = (attr in _SURE and not (versioned and attr == "arn")) or (attr == "id" and _ID.fullmatch(text))
                if sure and text:
                    self._texts.setdefault(text, (address, attr))
        if self._texts:
            longest_first = sorted(self._texts, key=len, reverse=True)
            end = r"(?:(?![\w/.+=@*:-])|(?=[:/]\*)|(?=:(?!\d)))"
            self._pattern = re.compile(rf"(?<![\w:/.-])(?:{'|'.join(map(re.escape, longest_first))}){end}")

    # --- properties that refer to others -----------------------------------------------------------------------------

    def references(self, address: Address, props: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """The plain name or expression for each value of ``props`` that names another resource, by its path."""
        for pattern, ref in self.kinds[address.section].refs.items():
            for path, value in values_at(props, pattern):
                found = self.reference(address, path, ref, value) if isinstance(value, str) else None
                if found is not None:
                    target, text = found
                    if not ref.late:
                        self.needs.setdefault(address, set()).add(target)
                    yield path, text

    def reference(self, address: Address, path: Path, ref: Ref, value: str) -> tuple[Address, str] | None:
        """What ``value`` refers to, and how that is written; None where it is nothing that is declared."""
        for section in ref.sections:
            if self.kinds[section].versioned and (found := self._versioned(address, path, section, value)):
                return found
        target = self.linker.target(ref, value)
        if target is None:
            same = (Address(section, value) for section in ref.sections)
            known = next((one for one in same if one in self.linker.declared), None)
            return (known, literal(value)) if known else None
        made = self.linker.written(ref, *target)
        if isinstance(made, Template):
            texts = (literal(part) if isinstance(part, str) else part.text for part in made.parts)
            return target[0], "".join(texts)
        return target[0], literal(str(made))

    def _versioned(self, address: Address, path: Path, section: str, value: str) -> tuple[Address, str] | None:
        """The name, for a name or ARN without a revision; for the latest revision an expression, which follows it."""
        name = _REVISION.sub("", value).rpartition("/")[2]
        for target, live in self.lives.items():
            if target.section != section or live.attrs.get("name") != name:
                continue
            if value == live.attrs.get("arn"):
                return target, f"${{{target}.arn}}"
            if value in (live.attrs.get("arnPrefix"), name):
                return target, literal(target.name)
            which = "by its number" if value == live.physical else "which is not the latest"
            self.comment(address, path, f"this revision, {which}, and no later one")
            return None
        return None

    def comment(self, address: Address, path: Path, text: str) -> None:
        """Something to say beside a value."""
        self.comments.setdefault(address, {})[path] = text

    # --- texts -------------------------------------------------------------------------------------------------------

    def text(self, address: Address, path: Path, value: str) -> str:
        """``value`` with expressions, as placeholders, for the ARNs, URIs and ids of other resources in it."""
        if self._pattern is None or not _HINT.search(value):
            return value
        late = bool(path) and path[0] in self.kinds[address.section].sent_later

        def expression(match: re.Match[str]) -> str:
            target, attr = self._texts[match[0]]
            if target == address:
                return match[0]
            if not late:
                if self.reaches(target, address):
                    return match[0]
                self.needs.setdefault(address, set()).add(target)
            return placed(f"${{{target}.{attr}}}")

        return self._pattern.sub(expression, value)

    def reaches(self, start: Address, end: Address) -> bool:
        """Whether ``start`` needs ``end``, perhaps through others."""
        seen, todo = set[Address](), [start]
        while todo:
            address = todo.pop()
            if address == end:
                return True
            if address not in seen:
                seen.add(address)
                todo += self.needs.get(address, ())
        return False
