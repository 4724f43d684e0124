"""The parameters of a call as they are sent: with the values that were unknown at plan time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any, assert_never

from reconciler.model import (
    Address,
    Base64,
    Digest,
    JsonText,
    Later,
    Reference,
    Secret,
    Template,
    Text,
    compact,
    fingerprint,
)
from reconciler.model.masking import SENSITIVE
from reconciler.model.stand_ins import StandIn, convert

Facts = Mapping[tuple[Address, str], Any]


def render_parameters(value: Any, facts: Facts, *, masked: bool = False) -> Any:
    """``value`` as it is sent: stand-ins replaced by their values, digests computed. Raises LookupError with the
    address and attribute that is not known.

    ``masked``: with ``(sensitive)`` in the place of every secret.
    """
    return convert(value, lambda stand_in: _opened(stand_in, facts, masked=masked))


def _opened(value: StandIn, facts: Facts, *, masked: bool) -> Any:
    if masked and isinstance(value, Secret | Digest):
        return SENSITIVE
    rendered = partial(render_parameters, facts=facts, masked=masked)
    match value:
        case Later():
            return _known(value, facts)
        case Text():
            return "".join(str(rendered(part)) for part in value.parts)
        case JsonText():
            return compact(rendered(value.value))
        case Base64():
            return b64encode(str(rendered(value.value)).encode()).decode()
        case Secret():
            return rendered(value.value)
        case Digest():
            return fingerprint(rendered(value.value), str(rendered(value.salt)))
        case Template() | Reference():  # a plan has none
            return value
        case _:
            assert_never(value)


def _known(value: Later, facts: Facts) -> Any:
    if (value.address, value.attr) not in facts:
        raise LookupError(f"{value.address}.{value.attr}")
    return facts[value.address, value.attr]
