"""Schema errors as problems: what is wrong, at which place, and how to fix it.

jsonschema reports which rule failed; for an unknown or missing member it gives the path of the parent, and for a failed
choice that of the whole value. Here an unknown member has its own path, and of a choice only the errors of the branch
that is closest to the value are reported.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from reconciler.model import EMPTY, Json, Path, Pos, Template
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, did_you_mean, near, one_of
from reconciler.model.records import dataclass
from reconciler.schema.rewriting import converted, folded, form, without_unit

NOUNS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageContext:
    """What a message needs besides the error.

    ``at`` returns the place of a path; ``address`` and ``name`` are the resource's; ``members`` is the tree of members
    in its schema, ``read_only`` has the paths of those that AWS sets; ``secret`` returns whether the value at a path
    must not be shown. ``newer_member`` returns the errors of a member that the installed AWS model has and the schema
    lacks, with a note about it; None where the model lacks it, too. ``newer_value`` returns whether the model has a
    value that an enumeration lacks.
    """

    at: Callable[[Path], Pos]
    address: str = ""
    name: str = ""
    members: Json = field(default_factory=lambda: EMPTY)
    read_only: Collection[tuple[str, ...]] = ()
    secret: Callable[[Path], bool] = lambda _: False
    newer_member: Callable[[Path, Any], tuple[Iterable[Error], str] | None] = lambda _path, _value: None
    newer_value: Callable[[Path, Any], bool] = lambda _path, _value: False


Error = Any  # jsonschema's ValidationError; only validator.py imports the package


def problems(errors: Iterable[Error], known: MessageContext) -> list[Problem]:
    """The problems for ``errors``, one or more for each."""
    return [problem for error in errors for problem in _problems_of(error, known)]


def shown(value: Any) -> str:
    """A value inside a sentence."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, Template):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{value}"' if len(value) <= 60 else f'the text "{value[:57]}..."'
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a mapping"


def dotted(path: Path) -> str:
    """``computeEnvironmentOrder.0.order``."""
    return ".".join(str(part) for part in path)


def _problems_of(error: Error, known: MessageContext) -> Iterator[Problem]:
    path: Path = tuple(error.absolute_path)
    rule = error.validator
    if "propertyNames" in error.absolute_schema_path:
        hint = _schema_hint(error)
        yield _problem(
            known, (*path, error.instance), codes.INVALID_VALUE, f'"{error.instance}" is not a valid key', hint
        )
    elif rule not in ("additionalProperties", "required", "dependentRequired") and known.secret(path):
        hint = _sentence(error.schema.get("description", "")) or "write text in quotes"
        yield _problem(known, path, codes.WRONG_TYPE, f"{dotted(path)} has an invalid value (not shown)", hint)
    elif rule in ("anyOf", "oneOf"):
        yield from _choice(error, known, path)
    elif rule == "additionalProperties" and error.validator_value is False:
        yield from _unknown(error, known, path)
    elif rule == "enum" and not isinstance(error.instance, str) and error.schema.get("type") == "string":
        return  # the wrong type has its own error
    elif rule == "enum" and isinstance(error.instance, str) and known.newer_value(path, error.instance):
        hint = "sent unchanged; values of this field are not checked"
        yield _newer(known, path, codes.NEWER_VALUE, f'the value "{error.instance}" of {dotted(path)}', hint)
    elif rule in ("required", "dependentRequired"):
        yield from _missing(error, known, path)
    else:
        code, message, hint = _described(error, _below(known.members, path))
        yield _problem(known, path, code, f"{dotted(path)} {message}" if path else f"this {message}", hint)


def _problem(known: MessageContext, path: Path, code: codes.ProblemCode, message: str, hint: str) -> Problem:
    return Problem(code=code, message=message, hint=hint, address=known.address, path=dotted(path), pos=known.at(path))


# --- members -------------------------------------------------------------------------------------------------------

_SERVICE_SETS = regex(r"(?i)(status|statusReason|uuid|revision|arn|.*Arn|createdAt|createDate|creationTime|.*Id)")


def _unknown(error: Error, known: MessageContext, path: Path) -> Iterator[Problem]:
    members = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    for name, value in error.instance.items():
        if name in members or any(re.search(pattern, name) for pattern in patterns):
            continue
        found = known.newer_member((*path, name), value)
        if found is not None:
            yield from problems(found[0], known)
            yield _newer(known, (*path, name), codes.NEWER_MEMBER, dotted((*path, name)), found[1])
            continue
        if words := _cloudformation(name, value, error.schema, path):
            message = f'"{name}" is only known to CloudFormation'
            yield _problem(known, (*path, name), codes.UNKNOWN_FIELD, message, words)
            continue
        message = f'unknown field "{name}"' + (f" in {dotted(path)}" if path else "")
        instead = _instead(error.schema.get("x-instead", {}).get(name, ""), value)
        hint = instead or _nearest(name, value, members, known, path)
        yield _problem(known, (*path, name), codes.UNKNOWN_FIELD, message, hint)


def _instead(words: Any, value: Any) -> str:
    """What a schema says about a member that people write in vain, perhaps by the form of its value; VALUE is it."""
    if isinstance(words, Mapping):
        words = words.get(form(value), "")
    return str(words).replace("VALUE", str(value))


# What CloudFormation has at every resource. A schema adds what it has for one, as "x-cloudformation".
_CLOUDFORMATION = {
    **dict.fromkeys(
        ("DeletionPolicy", "UpdateReplacePolicy"), "to keep the resource: lifecycle: {preventDestroy: true}"
    ),
    "DependsOn": "lifecycle: {dependsOn: [SECTION.NAME]}",
    "Properties": "write the properties directly under the name of the resource, such as priority: 1",
    "Condition": "remove it; what differs between environments can be a variable: ${var.NAME}",
    "CreationPolicy": "remove it: reconcile waits for what it creates",
}


def _cloudformation(name: str, value: Any, schema: Json, path: Path) -> str:
    """What to write instead of a member that only CloudFormation has; empty for any other."""
    if path:
        return ""
    if name in ("type", "Type") and isinstance(value, str) and value.startswith("AWS::"):
        return "remove it: the section determines the type"
    own = schema.get("x-cloudformation", {})
    return str(own.get(name[:1].lower() + name[1:]) or _CLOUDFORMATION.get(name[:1].upper() + name[1:]) or "")


def _newer(known: MessageContext, path: Path, code: codes.ProblemCode, what: str, hint: str) -> Problem:
    message = f"{what} is newer than this version: only the installed AWS model has it"
    pos = known.at(path)
    return Problem(
        code=code,
        message=message,
        hint=hint,
        warning=True,
        note=True,
        address=known.address,
        path=dotted(path),
        pos=pos,
    )


# The ends of names that people leave out: schedulingPolicy for schedulingPolicyArn
_ENDS = ("arn", "arns", "id", "ids", "s", "es")


def _same_spelling(name: str, members: Json) -> str:
    """The member with the spelling of ``name`` (case, - and _ ignored), or with it as an alias, or with it and an
    ending that says what it refers by; empty if none.
    """
    for member, about in members.items():
        others = about.get("x-aliases", ()) if isinstance(about, Mapping) else ()
        if folded(name) in (folded(other) for other in (member, *others)):
            return member
    longer = [f"{folded(name)}{end}" for end in _ENDS]
    return next((member for member in members if folded(member) in longer), "")


def _writable(members: Json) -> dict[str, Any]:
    """Those of ``members`` that AWS does not set itself, and that may so be suggested."""
    return {name: about for name, about in members.items() if not is_read_only(about)}


def is_read_only(about: Any) -> bool:
    """Whether a member's schema says that it is accepted in pasted output only."""
    return isinstance(about, Mapping) and str(about.get("description", "")).startswith("Read-only")


def _nearest(name: str, value: Any, members: Json, known: MessageContext, path: Path) -> str:
    writable = _writable(members)
    if meant := _same_spelling(name, writable):
        return f'did you mean "{meant}"?'
    like = [member for member in writable if not _unlike(name, members[member])]
    if surely := difflib.get_close_matches(name, like, n=1, cutoff=0.88):
        return f'did you mean "{surely[0]}"?'
    if not path and known.name and name == known.name:
        return "give the properties directly, without the resource's name"
    if not path and known.name and (value == known.name or folded(name) == "name"):
        return "the name is the key above; remove this"
    here = tuple(part for part in path if isinstance(part, str))
    places = (place for place in _places(known.members, name) if place not in known.read_only)
    elsewhere = next((place for place in places if _is_near(place[:-1], here)), None)
    if elsewhere:
        return f"move it under {dotted(elsewhere[:-1])}" if elsewhere[:-1] else "move it one level up"
    meant = near(name, members)
    sets_itself = not meant and not path and known.name and _SERVICE_SETS.fullmatch(name)
    if sets_itself or (
        meant and meant not in writable and _likeness(name, meant) > _likeness(name, near(name, writable))
    ):
        return "read-only: set by AWS; remove it"
    if suggested := did_you_mean(name, like):
        return suggested
    return one_of(list(writable)) if writable else "no members are allowed here"


def _unlike(name: str, about: Any) -> bool:
    """Whether the schema says that a member is not meant by ``name``, although it looks alike."""
    return isinstance(about, Mapping) and name in about.get("x-unlike", ())


def _likeness(name: str, other: str) -> float:
    return difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio()


def _places(tree: Json, name: str, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of the members of this name in the tree, shortest first."""
    level = [((*path, member), below) for member, below in tree.items() if member != "*"]
    yield from (place for place, _ in level if folded(place[-1]) == folded(name))
    for place, below in level:
        yield from _places(below, name, place)


def _is_near(place: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether ``place`` is above ``path`` or one level below it."""
    return place != path and (
        path[: len(place)] == place or (place[: len(path)] == path and len(place) == len(path) + 1)
    )


def _below(tree: Json, path: Path) -> Json:
    """The subtree of members at ``path``."""
    for part in path:
        if isinstance(part, str):
            tree = tree.get(part, tree.get("*", {}))
    return tree


def _missing(error: Error, known: MessageContext, path: Path) -> Iterator[Problem]:
    """Every missing member; jsonschema gives an error for each, and repeats are removed later."""
    needed = error.validator_value
    if isinstance(needed, Mapping):
        needed = [name for given, names in needed.items() if given in error.instance for name in names]
    known_members = error.schema.get("properties", {})
    misspelt = {_same_spelling(name, known_members) for name in error.instance if name not in known_members}
    for name in needed:
        if name not in error.instance and name not in misspelt:
            about = known_members.get(name, {}).get("description", "")
            message = f"{name} is missing" + (f" in {dotted(path)}" if path else "")
            yield _problem(known, path, codes.MISSING_FIELD, message, _sentence(about))


def _sentence(text: str) -> str:
    return re.split(r"(?<!e\.g)(?<!i\.e)\. ", text, maxsplit=1)[0].rstrip(".")


# --- choices ---------------------------------------------------------------------------------------------------------


def _choice(error: Error, known: MessageContext, path: Path) -> Iterator[Problem]:
    branches: dict[Any, list[Error]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    inners = [inner for branch in branches.values() for inner in branch]
    where = f" in {dotted(path)}" if path else ""
    if not branches:
        required = [branch.get("required", []) for branch in error.validator_value if isinstance(branch, Mapping)]
        given = [name for needed in required for name in needed if name in error.instance]
        message = f"{' and '.join(given)} cannot be combined{where}" if given else f"more than one form matches{where}"
        yield _problem(known, path, codes.INVALID_VALUE, message, "keep one of them")
    elif all(inner.validator == "required" and not inner.relative_path for inner in inners):
        names = [name for inner in inners for name in inner.validator_value if name not in error.instance]
        message = f"one of {', '.join(dict.fromkeys(names))} is missing{where}"
        yield _problem(known, path, codes.MISSING_FIELD, message, _schema_hint(error))
    elif all(any(map(_wrong_type, branch)) for branch in branches.values()):
        wanted = [kind for inner in inners if _wrong_type(inner) for kind in _types(inner)]
        members = _below(known.members, path)
        message, hint = _mistyped(error.instance, list(dict.fromkeys(wanted)), error.schema, members, _last(path))
        yield _problem(known, path, codes.WRONG_TYPE, f"{dotted(path)} {message}" if path else f"this {message}", hint)
    else:
        meant = min(branches.values(), key=lambda branch: (any(map(_wrong_type, branch)), len(branch)))
        for inner in meant:
            yield from _problems_of(inner, known)


def _wrong_type(error: Error) -> bool:
    return error.validator == "type" and not error.relative_path


def _types(error: Error) -> list[str]:
    wanted = error.validator_value
    return [wanted] if isinstance(wanted, str) else list(wanted)


# --- values ----------------------------------------------------------------------------------------------------------

_LIMITS = {
    "minimum": "must be at least",
    "maximum": "must be at most",
    "exclusiveMinimum": "must be more than",
    "exclusiveMaximum": "must be less than",
    "multipleOf": "must be a multiple of",
}
_SIZES = {
    "minLength": ("must have at least", "character"),
    "maxLength": ("must have at most", "character"),
    "minItems": ("must contain at least", "item"),
    "maxItems": ("must contain at most", "item"),
    "minProperties": ("must contain at least", "member"),
    "maxProperties": ("must contain at most", "member"),
}


def _described(error: Error, members: Json) -> tuple[codes.ProblemCode, str, str]:
    """Code, message (which follows the path) and hint."""
    rule, limit, value = error.validator, error.validator_value, error.instance
    if rule == "type":
        return codes.WRONG_TYPE, *_mistyped(value, _types(error), error.schema, members, _last(error.absolute_path))
    if rule == "enum":
        texts = [str(item) for item in limit]
        hint = did_you_mean(str(value), texts)
        return codes.INVALID_VALUE, f"cannot be {shown(value)}", f"{hint} {one_of(texts)}".strip()
    if rule in _LIMITS:
        return codes.OUT_OF_RANGE, f"{_LIMITS[rule]} {limit}, not {value}", _schema_hint(error)
    if rule in _SIZES:
        return codes.OUT_OF_RANGE, _sized(rule, limit, value), _schema_hint(error) or "give it a value, or remove it"
    if rule == "uniqueItems":
        repeated = next(item for index, item in enumerate(value) if item in value[:index])
        return codes.INVALID_VALUE, f"contains a duplicate: {shown(repeated)}", "remove one"
    if rule == "pattern":
        return codes.INVALID_VALUE, f"cannot be {shown(value)}", _schema_hint(error) or f"it must match {limit}"
    message = f"must be {shown(limit)}, not {shown(value)}" if rule == "const" else "is not allowed here"
    return codes.INVALID_VALUE, message, _schema_hint(error)


def _sized(rule: str, limit: int, value: Any) -> str:
    words, noun = _SIZES[rule]
    if limit == 1 and rule.startswith("min"):
        return "must not be empty"
    return f"{words} {limit} {noun}{'' if limit == 1 else 's'}, and has {len(value)}"


def _schema_hint(error: Error) -> str:
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    return str(schema.get("x-hint") or _sentence(schema.get("description", "")))


def _last(path: Iterable[Any]) -> str:
    """The name of the member at the end of ``path``, also of an item in its list."""
    return next((part for part in reversed(list(path)) if isinstance(part, str)), "")


def _mistyped(value: Any, wanted: list[str], schema: Json, members: Json, name: str) -> tuple[str, str]:
    nouns = [NOUNS[kind] for kind in wanted]
    message = f"must be {' or '.join(nouns)}, not {shown(value)}"
    if value is None:
        return message, "give it a value, or remove it"
    if "enum" in schema:
        return message, one_of([str(item) for item in schema["enum"]])
    if isinstance(value, bool) and "x-hint" in schema:  # a text that only looks like true would be as wrong
        return message, str(schema["x-hint"])
    if hint := without_unit(value, wanted, schema, name):
        return message, hint
    for kind in wanted:
        if (kind, type(value)) in (("object", list), ("array", dict)) and "x-hint" in schema:
            return message, str(schema["x-hint"])
        if hint := converted(value, kind, members, name):
            return message, hint
    return message, _sentence(schema.get("description", "")) or f"write {' or '.join(nouns)}"
