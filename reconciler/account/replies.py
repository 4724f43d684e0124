"""Whether a reply can be AWS's: its members have the types of AWS's own model, and what identifies an item is there.

botocore parses replies without checking them: ``null`` remains in a list, text remains where the model has a number,
and 1e400 becomes infinity. The rest of the program relies on the types, so every reply is checked where it enters.
What the model does not know (a new member, a new value of an enumeration) is accepted, as botocore leaves it out.

The model's ``required`` holds for a whole reply. Deeper, AWS itself leaves required members out (DescribeJobs sends no
``startedAt`` for a job that waits), so only names, ARNs and ids are required there.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from reconciler.model.patterns import regex

Check = Callable[[Any], bool]

_INTEGERS: Final = (-(2**63), 2**63)
_HIGHEST: Final = sys.float_info.max
_TYPES: Final[dict[str, type]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "character": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "timestamp": datetime,
    "blob": bytes,
}
_WORDS: Final = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a whole number"}
_READS: Final = ("Describe", "Get", "List", "BatchGet")
_NUMBERS: Final = frozenset({"float", "double"})
_IDENTIFIES: Final = regex(r"(?:name|arn|id)$", re.IGNORECASE)
_DECODED: Final = "policyDocumentType"  # botocore replaces this text of IAM by the document in it
_XML_START: Final = regex(rb"(?:\xef\xbb\xbf)?\s*<\?xml(?P<declared>[^>]{0,200})\?>")
_XML_ENCODING: Final = regex(rb"encoding\s*=\s*[\"']utf-?8[\"']", re.IGNORECASE)


class Shapes:
    """Checks parsed replies against the output shapes of botocore's model. Thread-safe.

    With ``as_written`` they are JSON that is not parsed yet, and right only if parsing would change nothing.
    """

    def __init__(self, *, as_written: bool = False) -> None:
        self._as_written = as_written
        self._of_reply: dict[tuple[str, str], Check] = {}
        self._known: dict[tuple[str, str], Check] = {}
        self._lock = threading.Lock()

    def wrong(self, model: Any, parsed: dict[str, Any]) -> str:
        """Why ``parsed`` is no reply to the operation ``model``; empty if it may be one."""
        shape = model.output_shape
        if type(parsed) is Checked or shape is None or self.right(shape, parsed, model.service_model.service_name):
            return ""
        return next(_reasons(shape, parsed, "", whole=True), "it cannot be read")

    def right(self, shape: Any, reply: Any, service: str = "") -> bool:
        """Whether ``reply`` may be one of ``shape``, which is that of a whole reply of ``service``."""
        key = (service, shape.name)
        check = self._of_reply.get(key)
        if check is None:
            with self._lock:  # no other thread sees the checks of a shape before all its members have theirs
                changed = self._as_written and (_is_changed(shape) or any(map(_is_elsewhere, shape.members.values())))
                check = _nothing if changed else self._structure(shape, service, whole=True)
                self._of_reply[key] = check
        return check(reply)

    def _check(self, shape: Any, service: str) -> Check | None:
        """What a value of ``shape`` must satisfy beyond its type."""
        if self._as_written and _is_changed(shape):
            return _nothing
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape, service)
        if kind == "list":
            return self._list(shape.member, service)
        if kind == "map":
            return self._map(shape.value, service)
        if kind in _NUMBERS:
            return _finite
        return _in_range if _TYPES.get(kind) is int else None

    def _structure(self, shape: Any, service: str, *, whole: bool = False) -> Check:
        if shape.is_document_type:
            return _anything
        key = (service, shape.name)
        if not whole and key in self._known:
            return self._known[key]
        members: dict[str, tuple[type | None, Check | None]] = {}
        check = _checker(members, _needed(shape, whole=whole), known=self._as_written)
        if not whole:
            self._known[key] = check  # before its members, which may be of the same shape
        for name, member in shape.members.items():
            if self._as_written and member.serialization.get("name", name) != name:
                continue
            inner = self._items(member, service) if whole else self._check(member, service)
            members[name] = (None if whole and _is_streamed(shape, name) else _type_of(member), inner)
        if whole and not self._as_written:
            members["ResponseMetadata"] = (dict, None)
        return check

    def _items(self, shape: Any, service: str) -> Check | None:
        """As :meth:`_check` for a member of the whole reply: an item of its lists is never empty."""
        inner = self._check(shape, service)
        if shape.type_name != "list" or shape.member.type_name != "structure" or inner is None:
            return inner
        checked = inner
        return lambda value: all(value) and checked(value)

    def _list(self, shape: Any, service: str) -> Check:
        expected, inner = _type_of(shape), self._check(shape, service)
        only = {expected}
        if inner is None:
            return lambda value: only.issuperset(map(type, value))
        checked = inner
        if expected is None or shape.type_name == "structure":  # whose checks look at the type
            return lambda value: all(map(checked, value))
        return lambda value: only.issuperset(map(type, value)) and all(map(checked, value))

    def _map(self, shape: Any, service: str) -> Check:
        checked = self._list(shape, service)
        return lambda value: _TEXT.issuperset(map(type, value)) and checked(value.values())


class Checked(dict[str, Any]):
    """A reply that :class:`Shapes` found right before it was parsed, which changed nothing in it."""


_TEXT: Final = frozenset({str})
_MOST_LAYOUTS: Final = 1000  # that are remembered of a structure
_Member = tuple[type | None, "Check | None"]
_Layout = tuple[tuple[type | None, ...], tuple[tuple[str, Check], ...]]


class _Layouts(dict[tuple[str, ...], _Layout | None]):
    """What the values of a structure must be, by the names of its members in their order; None where it is wrong.

    AWS sends few sets of members, each in few orders. There is no end to unknown names, which are not remembered.
    """

    def __init__(self, members: Mapping[str, _Member], needed: frozenset[str], *, known: bool) -> None:
        super().__init__()
        self.members = members
        self.needed = needed
        self.known = known

    def __missing__(self, names: tuple[str, ...]) -> _Layout | None:
        all_known = self.members.keys() >= set(names)
        if not self.needed.issubset(names) or (self.known and not all_known):
            return None
        each = [(name, *self.members.get(name, _UNKNOWN)) for name in names]
        found = tuple(kind for _, kind, _ in each), tuple((name, inner) for name, _, inner in each if inner is not None)
        if all_known:
            if len(self) >= _MOST_LAYOUTS:
                self.clear()
            self[names] = found
        return found


def _checker(members: Mapping[str, _Member], needed: frozenset[str], *, known: bool) -> Check:
    """The check of a structure: the type and check of each of its ``members``, and those that must be there; with
    ``known`` there may be no others. The members are all there when the first structure is checked.
    """
    layouts = _Layouts(members, needed, known=known)

    def check(value: Any) -> bool:
        if type(value) is not dict or (found := layouts[(*value,)]) is None:
            return False
        types, inner = found
        if types != (*map(type, value.values()),) and not _are(value.values(), types):
            return False
        for name, each in inner:  # noqa: SIM110  (twice as fast; it runs for every structure of every reply)
            if not each(value[name]):
                return False
        return True

    return check


def _are(values: Iterable[Any], types: Iterable[type | None]) -> bool:
    """Whether the values have the types; None stands for any."""
    return all(expected is None or type(value) is expected for value, expected in zip(values, types, strict=True))


_UNKNOWN: Final[_Member] = (None, None)


def _anything(_: Any) -> bool:
    return True


def _nothing(_: Any) -> bool:
    return False


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _HIGHEST  # a whole number in JSON may be above any float


def _in_range(value: Any) -> bool:
    return _INTEGERS[0] <= value < _INTEGERS[1] if type(value) is int else False


def _type_of(shape: Any) -> type | None:
    """The type that botocore's parser makes of ``shape``; None if several are right, which the check distinguishes."""
    if shape.name == _DECODED or (shape.type_name == "structure" and not shape.is_document_type):
        return dict
    if shape.serialization.get("jsonvalue") or getattr(shape, "is_document_type", False):
        return None
    return _TYPES.get(shape.type_name)


def _is_elsewhere(shape: Any) -> bool:
    """Whether a member of a reply is not in its body, but in a header or in the status."""
    return "location" in shape.serialization


def _is_changed(shape: Any) -> bool:
    """Whether botocore may change what JSON has for a value of ``shape``, or refuse it; not that of a time or of bytes,
    which has another type anyway.
    """
    of_any_type = getattr(shape, "is_document_type", False) or shape.serialization.get("jsonvalue")  # null is left out
    return bool(of_any_type or getattr(shape, "is_tagged_union", False) or _is_elsewhere(shape))


def _is_streamed(shape: Any, name: str) -> bool:
    """Whether a member of a whole reply is its body, which botocore leaves to be read (s3:GetObject)."""
    return bool(shape.serialization.get("payload") == name and shape.members[name].type_name == "blob")


def _needed(shape: Any, *, whole: bool) -> frozenset[str]:
    return frozenset(name for name in shape.required_members if whole or _IDENTIFIES.search(name))


def _reasons(shape: Any, value: Any, path: str, *, whole: bool = False) -> Iterator[str]:
    """What is wrong in ``value``, in words; slow, for a reply that a check did not accept."""
    expected, at = _type_of(shape), path or "the reply"
    if value is None:
        yield f"{at} is null"
    elif expected is not None and type(value) is not expected:
        yield f"{at} is not {_WORDS.get(expected, 'a ' + shape.type_name)}"
    elif (shape.type_name in _NUMBERS and not _finite(value)) or (expected is int and not _in_range(value)):
        yield f"{at} is not a possible number"
    elif shape.type_name == "structure" and not shape.is_document_type:
        yield from (f"{at} has no {name}" for name in sorted(_needed(shape, whole=whole) - value.keys()))
        for name in value.keys() & shape.members.keys():
            if whole and _is_streamed(shape, name):
                continue
            inside = f"{path}.{name}" if path else name
            yield from _empty_items(value[name], inside) if whole else ()
            yield from _reasons(shape.members[name], value[name], inside)
    elif shape.type_name == "list":
        for number, item in enumerate(value):
            yield from _reasons(shape.member, item, f"{path}[{number}]")
    elif shape.type_name == "map":
        yield from (reason for item in value.values() for reason in _reasons(shape.value, item, f"a value of {path}"))


def _empty_items(items: Any, path: str) -> Iterator[str]:
    if isinstance(items, list):
        yield from (f"{path}[{number}] is empty" for number, item in enumerate(items) if item == {})


def speaks_xml(model: Any) -> bool:
    """Whether the operation's replies are XML."""
    protocol = str(model.service_model.resolved_protocol)
    return "xml" in protocol or protocol in ("query", "ec2")


def dangerous_xml(body: bytes) -> bool:
    """Whether XML defines entities or may hide that it does. AWS's is in UTF-8, and has no document type.

    https://docs.python.org/3/library/xml.html#xml-security
    """
    declared = _XML_START.match(body)
    encoded = declared is not None and b"encoding" in declared["declared"]
    return (
        b"<!DOCTYPE" in body
        or b"<!ENTITY" in body
        or b"\0" in body
        or (encoded and declared is not None and not _XML_ENCODING.search(declared["declared"]))
    )


def may_be_empty(content: bytes, model: Any) -> bool:
    """Whether a reply of which botocore found no member may be AWS's: an empty object, or an XML response.

    A read that returns one list sends it even where it is empty: without it the reply would read as an empty account.
    """
    if speaks_xml(model):
        return b"Response" in content[:400]
    if "json" not in str(model.service_model.resolved_protocol):
        return True
    if not content.strip():
        return not model.name.startswith(_READS)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict):
        return False
    known = model.output_shape.members if model.output_shape is not None else {}
    lists = [member for member in known.values() if member.type_name == "list"]
    if not found and len(lists) == 1 and model.name.startswith(_READS):
        return False
    return not known or all(item is None for item in found.values())
