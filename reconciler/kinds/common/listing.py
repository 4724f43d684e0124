"""Lists of all there is of a kind, for ``Kind.everything``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.model import EMPTY, Call, Existing, Json, Reads, Scope, Sought
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.replies import ok


def _no_props(_: Json) -> Json:
    return EMPTY


def _never(_: Json) -> bool:
    return False


def listing(
    call: Call,
    items: str,
    name: str,
    *ids: str,
    props: Callable[[Json], Json] = _no_props,
    unless: Callable[[Json], bool] = _never,
) -> Callable[[Scope], Reads[Sequence[Existing]]]:
    """``Kind.everything`` of a kind that ``call`` lists under ``items``.

    ``name`` and ``ids`` are members of an item, ``props`` the properties that help to find it, ``unless`` whether it
    belongs to AWS.
    """

    def everything(_: Scope) -> Reads[Sequence[Existing]]:
        (reply,) = yield (call,)
        found = [item for item in (ok(call, reply) or {}).get(items, ()) if not unless(item)]
        return [
            Existing(Sought(str(item[name]), props(item)), tuple(str(item[one]) for one in ids if item.get(one)))
            for item in found
        ]

    return everything
