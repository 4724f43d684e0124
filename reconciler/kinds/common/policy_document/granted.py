"""The statements of a policy in plain form, for questions about what it allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.kinds.common.declared import is_given, mapping
from reconciler.kinds.common.policy_document.document import listed, parse, statements
from reconciler.model import Address, Path
from reconciler.model.granted import Granted


def granted(document: Any, address: Address, path: Path) -> Iterator[Granted]:
    """The statements of a declared document, which is at ``path``; expressions are texts as they are written."""
    for index, found in enumerate(statements(parse(document))):
        statement = mapping(found)
        inverted = is_given(statement.get("NotAction"))
        yield Granted(
            address=address,
            path=(*path, "Statement", index),
            allow=str(statement.get("Effect")) == "Allow",
            actions=_texts(statement.get("NotAction" if inverted else "Action")),
            # all resources but some are taken for all
            resources=("*",) if is_given(statement.get("NotResource")) else _texts(statement.get("Resource")),
            inverted=inverted,
            conditional=is_given(statement.get("Condition")),
        )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in listed(value) if item is not None)
