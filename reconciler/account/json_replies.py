"""Reads JSON replies of REST services as they are written.

botocore makes numbers of text and ``false`` of anything, which the check of replies (:mod:`.replies`) must not see. And
it looks for each member of a model in each object of a reply, of which a page of job definitions has thousands: here
the members of a shape are found once, and those of an object looked up as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from threading import Lock, local
from typing import Any, Final

from botocore.parsers import ResponseParser, ResponseParserFactory, RestJSONParser
from botocore.utils import parse_timestamp

from reconciler.account.replies import Checked, Shapes
from reconciler.account.xml_replies import ByElement
from reconciler.model.patterns import regex

_ISO: Final = regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?(Z|[+-]\d\d:\d\d)")
Read = Callable[[Any], Any]
_AS_THEY_ARE: Final = frozenset({"string", "character", "boolean", "integer", "long", "float", "double"})


class _AsWritten(RestJSONParser):
    """Leaves numbers and booleans as they are in the JSON, so that a check sees what AWS sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._structures: dict[str, Read] = {}
        self._complete: dict[str, Read] = {}  # with all their members, for every thread
        self._lock = Lock()
        self._shapes = Shapes(as_written=True)
        self._noted = local()

    def parse(self, response: Any, shape: Any) -> Any:
        """As botocore's; a :class:`~.replies.Checked` where parsing has changed nothing."""
        self._noted.right = None
        parsed = super().parse(response, shape)
        return Checked(parsed) if shape is not None and self._noted.right is shape else parsed

    def _default(self, _: Any, value: Any) -> Any:
        return value

    _handle_boolean = _handle_integer = _handle_long = _handle_float = _handle_double = _default

    def _handle_structure(self, shape: Any, value: Any) -> Any:
        if self._shapes.right(shape, value):
            self._noted.right = shape
            return value  # as it came from the JSON; no one else has it
        read = self._complete.get(shape.name)
        if read is None:
            with self._lock:  # a reader that lacks members would lose what AWS sent
                read = self._structure(shape)
                self._complete.update(self._structures)
        found = read(value)
        self._noted.right = None  # something in it may be
        return found

    def _structure(self, shape: Any) -> Read:
        if shape.is_document_type or shape.is_tagged_union:
            return partial(super()._handle_structure, shape)  # type: ignore[misc]
        if shape.name in self._structures:
            return self._structures[shape.name]
        members: dict[str, tuple[str, Read | None]] = {}
        names: set[str] = set()
        inner: list[tuple[str, Read]] = []
        # before its members, which may be of the same shape
        read = self._structures[shape.name] = _reader(members, names, inner)
        for name, member in shape.members.items():
            members[member.serialization.get("name", name)] = (name, self._reads(member))
        names.update(key for key, (name, _) in members.items() if key == name)
        inner += [(name, each) for name, each in members.values() if each]
        return read

    def _reads(self, shape: Any) -> Read | None:
        """How a value of ``shape`` is read; None where it is left as it is."""
        if shape.type_name in _AS_THEY_ARE and not shape.serialization.get("jsonvalue"):
            return None
        if shape.type_name == "structure":
            return self._structure(shape)
        if shape.type_name == "list" and not shape.serialization.get("location"):
            each = self._reads(shape.member)
            return list if each is None else lambda value: [None if item is None else each(item) for item in value]
        whole: Read = partial(self._parse_shape, shape)  # type: ignore[attr-defined]
        if shape.type_name == "map" and self._reads(shape.key) is None and self._reads(shape.value) is None:
            return lambda value: value if type(value) is dict else whole(value)
        return whole


def _reader(members: Mapping[str, tuple[str, Read | None]], names: set[str], inner: Sequence[tuple[str, Read]]) -> Read:
    """What reads a structure; ``members`` are its members by their names in the JSON: the name in the model, and how
    the value is read. ``names`` are those with the same name in both, ``inner`` those whose value is not left as it is.
    """

    def read(value: Any) -> Any:
        if value is None:
            return None
        if type(value) is dict and value.keys() <= names and None not in value.values():
            for name, each in inner:
                if name in value:
                    value[name] = each(value[name])
            return value  # as it came from the JSON; no one else has it
        found: dict[str, Any] = {}
        for key, item in value.items() if members else ():
            if item is not None and (member := members.get(key)):
                name, of_member = member
                found[name] = item if of_member is None else of_member(item)
        return found

    return read


def _moment(value: Any) -> datetime:
    """A timestamp as botocore reads it; most are in ISO 8601, which Python reads thirty times as fast as dateutil."""
    if type(value) is str and _ISO.fullmatch(value):
        return datetime.fromisoformat(value)
    found: datetime = parse_timestamp(value)
    return found


_OWN: Final[Mapping[str, type[ResponseParser]]] = {"rest-json": _AsWritten, "query": ByElement}


class Parsers(ResponseParserFactory):
    """botocore's parsers, one for each protocol; two of them find the members of a shape once."""

    def __init__(self) -> None:
        super().__init__()
        self.set_parser_defaults(timestamp_parser=_moment)
        self._made: dict[str, Any] = {}

    def create_parser(self, protocol_name: str) -> Any:
        """The parser of a protocol."""
        if protocol_name not in self._made:
            own = _OWN.get(protocol_name)
            made = own(timestamp_parser=_moment) if own else super().create_parser(protocol_name)
            self._made[protocol_name] = made
        return self._made[protocol_name]
