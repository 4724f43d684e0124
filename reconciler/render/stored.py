"""A plan as plain JSON from which it can be rendered again, in any format, without its secrets.

Every secret is replaced by a token, the same one wherever it stands; the mask that :func:`read` returns hides the
tokens as the mask of the plan hid the secrets. So what differed in a secret still differs, and is rendered alike. A
token is a number: it says nothing about its secret but how many lines it has.

Which fields there are is read from the dataclasses themselves. What is not compared (``compare=False``) is not rendered
and left out; of ``declared`` only the references are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from reconciler import model
from reconciler.model import (
    MISSING,
    Address,
    Base64,
    Call,
    Change,
    Digest,
    JsonText,
    Later,
    Listed,
    Plan,
    Reference,
    Resource,
    ResourcePlan,
    Secret,
    Template,
    Text,
    Wait,
)
from reconciler.model.masking import SENSITIVE
from reconciler.model.stand_ins import STAND_INS, held
from reconciler.render.mask import Mask, private_members

T = TypeVar("T")
_NO_READ: Final = Call("", "")
_NUMBERED: Final = "within"  # written as a number: the leaves of a list share it
_DECLARED: Final = "declared"


def write(plan: Plan, mask: Mask, seed: str) -> dict[str, Any]:
    """``plan`` as plain JSON, with every secret that ``mask`` hides as a token; ``seed`` begins every token, and must
    not be part of any text of the plan.
    """
    writer = _Writer(mask, seed)
    written = writer.field(Plan, plan)
    # one by one: the name of a look-up does not make its value a secret
    written["lookups"] = {writer.text(name): writer.value(value) for name, value in plan.lookups.items()}
    return {"plan": written, "lists": writer.lists, "hidden": list(writer.tokens.values())}


def read(stored: Mapping[str, Any]) -> tuple[Plan, Mask]:
    """The plan that :func:`write` has written, and the mask for its tokens.

    Raises ValueError, TypeError, KeyError, AttributeError or IndexError where it has written something else.
    """
    reader = _Reader()
    reader.lists = [reader.field(Listed, item) for item in stored["lists"]]
    plan: Plan = reader.field(Plan, stored["plan"])
    return plan, Mask(_text(token) for token in stored["hidden"])


# --- by the types of fields ------------------------------------------------------------------------------------------


@cache
def _fields(cls: type) -> tuple[tuple[str, Any, bool, Any], ...]:
    """Name, type, whether it has a default, and the default of every field of a dataclass that is rendered."""
    hints = get_type_hints(cls)
    told = [item for item in fields(cls) if item.compare or item.name in (_NUMBERED, _DECLARED)]
    return tuple((item.name, hints[item.name], item.default is not NO_DEFAULT, item.default) for item in told)


def _inner(hint: Any) -> tuple[Any, Any]:
    """The origin of a type (``tuple``), and the type of its items; None and the type of what may be None."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    if type(None) in get_args(hint):
        return None, parts[0]
    return get_origin(hint), parts[0] if parts else None


def _typed(cls: type[T], value: Any) -> T:
    if not isinstance(value, cls) or (cls is int and isinstance(value, bool)):
        raise TypeError(f"{type(value)}, not {cls}")
    return value


def _text(value: Any) -> str:
    return _typed(str, value)


def _word(value: Any) -> str:
    """A name of ours or of an API, which is printed as it is."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", _text(value)):
        raise ValueError("no name of a section, a service or an operation")
    return str(value)


def _marked(written: Mapping[str, Any]) -> str:
    """A text of a class of :mod:`reconciler.model` that marks what it is about."""
    cls = getattr(model, _text(written["is"]))
    if not isinstance(cls, type) or not issubclass(cls, str):
        raise TypeError(f"no class of texts: {written['is']}")
    return cls(_text(written["text"]))


class _Writer:
    def __init__(self, mask: Mask, seed: str) -> None:
        self.mask, self.seed = mask, seed
        self.tokens: dict[str, str] = {}
        self.lists: list[Any] = []
        self._numbers: dict[int, int] = {}

    def field(self, hint: Any, value: Any) -> Any:
        if hint is str:
            text = self.text(str(value))
            return text if type(value) is str else {"is": type(value).__name__, "text": text}
        if isinstance(value, Call | Wait):
            return self.action(value)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return value.value
        if is_dataclass(hint):
            return self.dataclass(hint, value)
        origin, part = _inner(hint)
        if origin is None and part is not None:
            return None if value is None else self.field(part, value)
        if origin in (tuple, frozenset):
            items = [self.item(part, item) for item in value]
            return sorted(items) if origin is frozenset else items
        return self.value(value)

    def action(self, value: Call | Wait) -> dict[str, Any]:
        if isinstance(value, Wait):
            return {"wait": self.text(value.title)}
        return {"call": [value.service, value.operation], "parameters": self.value(value.params)}

    def item(self, hint: Any, value: Any) -> Any:
        return self.text(value) if isinstance(value, str) else self.field(hint, value)

    def dataclass(self, cls: Any, value: Any) -> dict[str, Any]:
        value = _with_secrets(value)
        written: dict[str, Any] = {}
        for name, hint, optional, default in _fields(cls):
            found = getattr(value, name)
            if optional and found is default:
                continue
            written[name] = self.member(name, hint, found)
        if cls is ResourcePlan and written["before"] and repr(written["after"]) == repr(written["before"]):
            written["after"] = True
        return written

    def member(self, name: str, hint: Any, value: Any) -> Any:
        if name == _NUMBERED:
            return self.listed(value)
        return self.references(value.props) or {} if name == _DECLARED else self.field(hint, value)

    def references(self, declared: Any) -> Any:
        """The references in what is declared, in its shape; None where there are none."""
        found: Any = None
        if isinstance(declared, Reference):
            address = declared.address and [declared.address.section, self.text(declared.address.name)]
            found = {"$reference": [declared.root, self.text(declared.text), address, self.text(declared.attr)]}
        elif isinstance(declared, Mapping):
            members = ((self.text(str(name)), self.references(item)) for name, item in declared.items())
            found = {name: item for name, item in members if item is not None}
            found = {"$map": found} if any(name.startswith("$") for name in found) else found
        elif isinstance(declared, (list, tuple, *STAND_INS)):
            found = [item for item in map(self.references, held(declared)) if item is not None]
        return found or None

    def listed(self, value: Listed) -> int:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self.lists)
            self.lists.append(self.field(Listed, value))
        return self._numbers[id(value)]

    def text(self, text: str) -> str:
        return self._hidden(text, self.mask.covered(text))

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._hidden(value, self.mask.covered_value(value))
        if isinstance(value, Mapping):
            private = private_members(value)
            members = {
                self.text(str(name)): self.token(_plain(item)) if name in private else self.value(item)
                for name, item in value.items()
            }
            return {"$map": members} if any(name.startswith("$") for name in members) else members
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if value is MISSING:
            return {"$missing": True}
        return self.stand_in(value) if isinstance(value, STAND_INS) else value

    def stand_in(self, value: Any) -> Any:
        match value:
            case Secret() | Digest():
                return {"$secret": self.token(_plain(value))}
            case Later():
                return {"$later": [value.address.section, self.text(value.address.name), self.text(value.attr)]}
            case Text():
                return self.composed(value)
            case JsonText():
                return {"$json": self.value(value.value)}
            case Base64():
                return {"$base64": self.value(value.value)}
            case Template() | Reference():
                return self.value(str(value))
        raise TypeError(f"unknown type of value: {type(value)}")

    def composed(self, value: Text) -> Any:
        """A text with unknown parts, which is never shown. A secret may go from one part into the next."""
        split = self.mask.covered_value(str(value)) != str(value)
        return {"$text": [self.token(p) if split and isinstance(p, str) else self.value(p) for p in value.parts]}

    def token(self, secret: str) -> str:
        """The token of a secret, with as many lines as it has."""
        if secret not in self.tokens:
            one = f"{self.seed}-{len(self.tokens)}"
            self.tokens[secret] = "\n".join([one] * (secret.count("\n") + 1))
        return self.tokens[secret]

    def _hidden(self, text: str, covered: str) -> str:
        """``covered``, with tokens in place of what is masked in it."""
        if covered == text:
            return text
        first, *rest = covered.split(SENSITIVE)
        shown, at = [first], len(first)
        for number, literal in enumerate(rest, 1):
            last = number == len(rest)
            end = (len(text) - len(literal) if text.endswith(literal) else -1) if last else text.find(literal, at)
            found = text.startswith(first) and at <= end
            shown += [self.token(text[at:end] if found else f"{text}\0{number}"), literal]
            at = end + len(literal) if found else len(text) + 1
        return "".join(shown)


def _with_secrets(value: Any) -> Any:
    """A change or a resource with its secret properties as :class:`Secret`."""
    if isinstance(value, Change) and value.secret:
        before, after = (side if side is MISSING else Secret(side) for side in (value.before, value.after))
        return replace(value, before=before, after=after)
    if isinstance(value, ResourcePlan) and value.secret_paths:
        return replace(
            value, before=_covering(value.before, value.secret_paths), after=_covering(value.after, value.secret_paths)
        )
    return value


def _covering(props: Mapping[str, Any] | None, secret: frozenset[str]) -> Mapping[str, Any] | None:
    return props and {name: Secret(item) if name in secret else item for name, item in props.items()}


def _plain(value: Any) -> str:
    """The content of a secret as text: two that differ have different ones."""
    if isinstance(value, Secret | Base64 | JsonText):
        return _plain(value.value)
    return value if isinstance(value, str) else repr((value.value, value.salt) if isinstance(value, Digest) else value)


class _Reader:
    def __init__(self) -> None:
        self.lists: list[Any] = []

    def field(self, hint: Any, written: Any) -> Any:
        if hint is str:
            return _text(written) if isinstance(written, str) else _marked(written)
        if hint in (bool, int):
            return _typed(hint, written)
        if is_dataclass(hint) and isinstance(hint, type):
            return self.dataclass(hint, written)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return hint(written)
        if Wait in get_args(hint):
            return self.action(written)
        origin, part = _inner(hint)
        if origin is None and part is not None:
            return None if written is None else self.field(part, written)
        if origin in (tuple, frozenset):
            return origin(self.item(part, item) for item in _typed(list, written))
        found = self.value(written)
        return _typed(dict, found) if origin is Mapping else found

    def item(self, hint: Any, written: Any) -> Any:
        return written if hint == str | int and isinstance(written, str | int) else self.field(hint, written)

    def dataclass(self, cls: Any, written: Mapping[str, Any]) -> Any:
        found: dict[str, Any] = {}
        if cls is ResourcePlan and written["after"] is True:
            written = {**written, "after": written["before"]}
        if cls is Address:
            _word(written["section"])
        for name, hint, optional, _ in _fields(cls):
            if name not in written and optional:
                continue
            found[name] = self.member(name, hint, written)
        return cls(**found)

    def member(self, name: str, hint: Any, written: Mapping[str, Any]) -> Any:
        if name == _NUMBERED:
            return self.lists[_typed(int, written[name])]
        if name == _DECLARED:
            props = _typed(dict, self.value(written[name]))
            return Resource(address=self.field(Address, written["address"]), props=props)
        return self.field(hint, written[name])

    def action(self, written: Mapping[str, Any]) -> Call | Wait:
        if "wait" in written:
            return Wait(_text(written["wait"]), _NO_READ, "")
        service, operation = map(_word, written["call"])
        return Call(service, operation, _typed(dict, self.value(written["parameters"])))

    def value(self, written: Any) -> Any:
        if isinstance(written, list):
            return [self.value(item) for item in written]
        if not isinstance(written, dict):
            return written
        (name, inner), *more = written.items() or [("", None)]
        if more or not name.startswith("$"):
            return {name: self.value(item) for name, item in written.items()}
        return self.stand_in(name, inner)

    def stand_in(self, name: str, inner: Any) -> Any:
        match name:
            case "$map":
                return {name: self.value(item) for name, item in inner.items()}
            case "$missing":
                return MISSING
            case "$secret":
                return Secret(_text(inner))
            case "$later":
                section, resource, attr = map(_text, inner)
                return Later(Address(_word(section), resource), attr)
            case "$text":
                return Text(tuple(self.value(part) for part in inner))
            case "$reference":
                root, text, address, attr = inner
                return Reference(_text(root), _text(text), address and Address(*map(_text, address)), _text(attr))
            case "$json":
                return JsonText(self.value(inner))
            case "$base64":
                return Base64(self.value(inner))
        raise ValueError(f"unknown type of value: {name}")
