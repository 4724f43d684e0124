"""Reads XML replies of query services by the elements they have.

botocore finds out again for each element of a reply how each member of its model is named, and a page of roles has
thousands of elements: here that is found once for each shape. What is unusual is read by botocore alone.
"""

from __future__ import annotations

from typing import Any, Final

from botocore.parsers import QueryParser

# A member: its element, its name, its shape, and the method that reads it; None for text
_Member = tuple[str, str, Any, Any]
_TEXT: Final = "string"


class ByElement(QueryParser):
    """botocore's parser of the protocol ``query``, with the members of a shape by their elements."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._members: dict[str, tuple[_Member, ...] | None] = {}

    def _handle_structure(self, shape: Any, node: Any) -> Any:
        if shape.name not in self._members:
            self._members[shape.name] = self._of(shape)
        members = self._members[shape.name]
        if members is None or isinstance(node, list):
            return super()._handle_structure(shape, node)  # type: ignore[misc]
        elements = {child.tag.rpartition("}")[2]: child for child in node}
        if len(elements) != len(node):  # several with one name, which may be a list
            return super()._handle_structure(shape, node)  # type: ignore[misc]
        parsed: dict[str, Any] = {}
        for element, name, member, read in members:
            child = elements.get(element)
            if child is not None:
                parsed[name] = (child.text or "") if read is None else read(member, child)
        return parsed

    def _of(self, shape: Any) -> tuple[_Member, ...] | None:
        """The members of a structure in the model's order; None where one of them is not in an element of its own."""
        if shape.metadata.get("exception") or shape.is_tagged_union:
            return None
        members = []
        for name, member in shape.members.items():
            if member.serialization.keys() & {"location", "eventheader", "xmlAttribute", "flattened"}:
                return None
            of_type = getattr(self, f"_handle_{member.type_name}", self._default_handle)  # type: ignore[attr-defined]
            read = None if member.type_name == _TEXT else of_type
            members.append((member.serialization.get("name", name), name, member, read))
        return tuple(members)
