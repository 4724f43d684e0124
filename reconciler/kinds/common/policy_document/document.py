"""IAM policy documents: parsing, meaning and canonical form.

AWS changes a document that it stores: it reorders elements, collapses lists of one element, and writes the ARN of the
root user for an account id. So documents are never compared as text. The meaning of a document is a set of *atoms*: one
for each combination of a statement's actions, resources and principals (``Not...`` elements are not split), with its
conditions. Two documents are equal if their atoms are.

Three kinds of document differ in small ways: in a ``resource`` policy ``"*"`` and ``{"AWS": "*"}`` are the same
principal, and ``Id`` counts; in a ``trust`` policy the two are different; an ``identity`` policy has no principals.

Leaves may be stand-ins (:class:`Template`, :class:`Later`, :class:`Text`): each equals only itself.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_policies.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from itertools import product
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from reconciler.model import Json, Later, Reference, Template, Text
from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.json_text import from_json

DocumentKind: TypeAlias = Literal["trust", "identity", "resource"]

OLD_VERSION = "2008-10-17"
VERSION = "2012-10-17"

_ACCOUNT = regex(r"\d{12}")
_MARK = regex("\ue000(\\d+)\ue001")
MEMBERS = frozenset(
    ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition")
)


@dataclass(frozen=True, slots=True)
class Place:
    """What the meaning of a document depends on: its kind, and the account and partition it is in."""

    kind: DocumentKind
    account: str
    partition: str = "aws"


# --- text and documents ----------------------------------------------------------------------------------------------


def parse(value: Any) -> Any:
    """The document of a JSON text, which may be URL-encoded and have ``${...}`` in its strings; other values unchanged.

    Text that is not JSON is unchanged too; :func:`why_unparsed` says why.
    """
    try:
        return _parsed(value)
    except ValueError:
        return value


def why_unparsed(text: Any) -> str:
    """What is wrong with a text that :func:`parse` does not change."""
    try:
        _parsed(text)
    except ValueError as error:
        return str(error)
    return "a document is a mapping"


def _parsed(value: Any) -> Any:
    if isinstance(value, Template) and value.whole is None:
        marked = "".join(part if isinstance(part, str) else f"\ue000{i}\ue001" for i, part in enumerate(value.parts))
        return _unmarked(_parsed(marked), value.parts)
    if not isinstance(value, str):
        return value
    text = unquote(value) if value.lstrip().startswith("%7B") else value
    parsed = from_json(text, _unique)
    if not isinstance(parsed, dict):
        raise ValueError("valid JSON, but not a mapping")  # noqa: TRY004  (callers know ValueError from json)
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counted = Counter(name for name, _ in pairs)
        raise ValueError(f'duplicate key "{counted.most_common(1)[0][0]}"')
    return found


def _unmarked(value: Any, parts: Sequence[str | Reference]) -> Any:
    if isinstance(value, dict):
        if any(_MARK.search(name) for name in value):
            raise ValueError("a key cannot be an expression")
        return {name: _unmarked(item, parts) for name, item in value.items()}
    if isinstance(value, list):
        return [_unmarked(item, parts) for item in value]
    if not isinstance(value, str) or not _MARK.search(value):
        return value
    pieces = _MARK.split(value)
    mixed = [parts[int(piece)] if index % 2 else piece for index, piece in enumerate(pieces)]
    return Template(tuple(piece for piece in mixed if piece != ""))


def written(document: Any) -> Any:
    """``document`` as it is sent: parsed, with the current Version if it has none, account ids and Sids as text."""
    document = parse(document)
    if not isinstance(document, Mapping):
        return document
    done = {"Version": VERSION, **{name: item for name, item in document.items() if item is not None}}
    if "Statement" in done:
        found = done["Statement"]
        several = isinstance(found, list | tuple)
        done["Statement"] = [*map(_written_statement, found)] if several else _written_statement(found)
    return done


def _written_statement(statement: Any) -> Any:
    if not isinstance(statement, Mapping):
        return statement
    done = {name: item for name, item in statement.items() if item is not None}
    for name in ("Sid", "Principal", "NotPrincipal"):
        if name in done:
            done[name] = _as_text(done[name])
    return done


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _as_text(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(item) for item in value]
    return str(value) if isinstance(value, int) else value


def statements(document: Any) -> list[Any]:
    """The statements of a parsed document; a list also if it has only one."""
    found = document.get("Statement") if isinstance(document, Mapping) else None
    return [*found] if isinstance(found, list | tuple) else [] if found is None else [found]


def listed(value: Any) -> list[Any]:
    """``value`` as a list: a value that is not a list is its only item."""
    return [*value] if isinstance(value, list | tuple) else [value]


def names_principal_of(document: Any, account: str) -> bool:
    """Whether the document names a role or user of ``account``, which this apply may have created just before."""
    own = f":iam::{account}:"
    for statement in statements(parse(document)):
        principals = statement.get("Principal") if isinstance(statement, Mapping) else None
        if isinstance(principals, Mapping):
            for value in listed(principals.get("AWS", ())):
                if isinstance(value, Later | Text) or (
                    isinstance(value, str) and own in value and ":root" not in value
                ):
                    return True
    return False


# --- meaning ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Raw:
    """A value that the grammar does not allow: equal to others with the same repr."""

    text: str
    value: Any = field(compare=False)


def leaf(value: Any) -> Any:
    """A hashable form of a value: numbers and booleans as JSON text, text and stand-ins unchanged."""
    if isinstance(value, str | Later | Text | Template | _Raw):
        return value
    if isinstance(value, bool | int | float) or value is None:
        return json.dumps(value)
    return _Raw(repr(value), value)


def folded(value: Any) -> Any:
    """:func:`leaf` in lower case, for what IAM compares without regard to case: actions and condition keys."""
    found = leaf(value)
    return found.lower() if isinstance(found, str) else found


def principals(value: Any, place: Place) -> frozenset[tuple[str, Any]]:
    """(type, principal) for each. An account id is its root user; ``*`` in a resource policy has type ``AWS``.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    if not isinstance(value, Mapping):
        everyone = "AWS" if value == "*" and place.kind == "resource" else ""
        return frozenset((everyone, leaf(item)) for item in listed(value))
    return frozenset(
        (kind, _root(leaf(item), place) if kind == "AWS" else leaf(item))
        for kind, items in value.items()
        for item in listed(items)
    )


def _root(principal: Any, place: Place) -> Any:
    if isinstance(principal, str) and _ACCOUNT.fullmatch(principal):
        return f"arn:{place.partition}:iam::{principal}:root"
    return principal


def conditions(value: Any) -> frozenset[tuple[Any, ...]]:
    """(operator, key in lower case, values) for each."""
    merged: dict[tuple[Any, ...], set[Any]] = {}
    for operator, keys in value.items() if isinstance(value, Mapping) else ():
        if isinstance(keys, Mapping):
            for key, items in keys.items():
                merged.setdefault((operator, str(key).lower()), set()).update(map(leaf, listed(items)))
        else:
            merged[(operator,)] = {leaf(keys)}
    return frozenset((*key, frozenset(values)) for key, values in merged.items())


def _split(statement: Json, name: str, elements: Callable[[Any], Iterable[Any]]) -> tuple[tuple[Any, ...], Any]:
    """(elements, whole) of a statement's element ``name``: what is split into atoms, and what is not split."""
    if statement.get(name) is not None:
        found = tuple(dict.fromkeys(elements(statement[name])))
        return (found, (name,)) if found else ((None,), (name, frozenset()))
    if statement.get(f"Not{name}") is not None:
        return (None,), (f"Not{name}", frozenset(elements(statement[f"Not{name}"])))
    return (None,), ()


def atoms(statement: Any, place: Place) -> frozenset[tuple[Any, ...]]:
    """The atoms of a statement: (what is not split, action, resource, principal) for each combination."""
    if not isinstance(statement, Mapping):
        return frozenset({(leaf(statement),)})
    actions, acts = _split(statement, "Action", lambda value: map(folded, listed(value)))
    resources, targets = _split(statement, "Resource", lambda value: map(leaf, listed(value)))
    trusted, grantees = _split(statement, "Principal", lambda value: principals(value, place))
    unknown = {name for name in statement if name not in MEMBERS}
    unknown |= {
        f"Not{name}" for name in ("Action", "Resource", "Principal") if {name, f"Not{name}"} <= statement.keys()
    }
    unknown |= {"Condition"} if not isinstance(statement.get("Condition") or {}, Mapping) else set()
    rest = frozenset((name, leaf(statement[name])) for name in unknown)
    head = (leaf(statement.get("Effect")), acts, targets, grantees, conditions(statement.get("Condition")), rest)
    return frozenset((head, *combination) for combination in product(actions, resources, trusted))


def meaning(document: Any, place: Place) -> Any:
    """The meaning of ``document``, hashable: equal exactly for documents that mean the same."""
    document = parse(document)
    if not isinstance(document, Mapping):
        return leaf(document)
    found = frozenset(atom for statement in statements(document) for atom in atoms(statement, place))
    return leaf(document.get("Version") or OLD_VERSION), identifier(document, place), found


def identifier(document: Json, place: Place) -> Any:
    """The ``Id`` of a resource policy; empty for other kinds, where it has no effect."""
    return leaf(document.get("Id") or "") if place.kind == "resource" else ""


# --- canonical form --------------------------------------------------------------------------------------------------


def canonical(document: Any, kind: DocumentKind, account: str, partition: str = "aws") -> Any:
    """The canonical document of all with the same meaning: its atoms in few statements, sorted, without ``Sid``.

    A value that is not a document is unchanged.
    """
    place = Place(kind, account, partition)
    document = parse(document)
    if not isinstance(document, Mapping):
        return document
    by_head: dict[Any, set[tuple[Any, ...]]] = {}
    for head, *combination in (atom for statement in statements(document) for atom in atoms(statement, place)):
        by_head.setdefault(head, set()).add(tuple(combination))
    gathered = [_statement(head, *block) for head, group in by_head.items() for block in _blocks(group)]
    done: dict[str, Any] = {"Version": document.get("Version") or OLD_VERSION}
    if identifier(document, place):
        done["Id"] = document["Id"]
    done["Statement"] = sorted(gathered, key=repr)
    return done


def _blocks(group: Iterable[tuple[Any, ...]]) -> list[tuple[frozenset[Any], ...]]:
    """Atoms as blocks of actions x resources x principals. Equal sets of atoms result in equal blocks.

    One dimension is joined after the other: first actions with the same target, then resources with the same actions,
    then principals with the same actions and resources.
    """
    rows: list[tuple[Any, ...]] = [tuple(frozenset({part}) for part in combination) for combination in group]
    for dimension in range(len(rows[0])):
        merged: dict[tuple[Any, ...], frozenset[Any]] = {}
        for row in rows:
            rest = (*row[:dimension], *row[dimension + 1 :])
            merged[rest] = merged.get(rest, frozenset()) | row[dimension]
        rows = [(*rest[:dimension], values, *rest[dimension:]) for rest, values in merged.items()]
    return rows


def _statement(head: Any, *block: frozenset[Any]) -> Any:
    if not block:
        return _plain(head)
    effect, acts, where, who, tests, rest = head
    done: dict[str, Any] = {} if effect == "null" else {"Effect": _plain(effect)}
    for whole, elements in zip((acts, where, who), block, strict=True):
        if whole:
            found = whole[1] if len(whole) > 1 else elements
            done[whole[0]] = _trusted(found) if whole[0].endswith("Principal") else _sorted(found)
    if tests:
        done["Condition"] = _condition(tests)
    return {**done, **{name: _plain(item) for name, item in sorted(rest, key=repr)}}


def _trusted(found: Iterable[tuple[str, Any]]) -> Any:
    by_type: dict[str, list[Any]] = {}
    for kind, who in sorted(found, key=repr):
        by_type.setdefault(kind, []).append(_plain(who))
    if set(by_type) == {""}:
        return by_type[""][0] if len(by_type[""]) == 1 else by_type[""]
    return by_type


def _condition(tests: Iterable[tuple[Any, ...]]) -> Any:
    done: dict[Any, Any] = {}
    for operator, *key, values in sorted(tests, key=_by_name):
        if key:
            done.setdefault(operator, {})[key[0]] = _sorted(values)
        else:
            done[operator] = _sorted(values)[0]
    return done


def _by_name(test: tuple[Any, ...]) -> str:
    return repr(test[:-1])


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, _Raw) else value


def _sorted(leaves: Iterable[Any]) -> list[Any]:
    return [_plain(item) for item in sorted(leaves, key=repr)]
