"""Names of KMS keys: an id, an ARN, an alias or the ARN of an alias may all name the same key.

Some services show the key of the alias that they were given, others the alias. So where one side of a comparison is an
alias and the other is not, and only there, KMS is asked whose alias it is. (Asked for an alias of AWS without a key,
KMS gives it one, at no cost.)

https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.kinds.common.replies import ok
from reconciler.model import EMPTY, Call, Json, Live, Reads, Refused

ABSENT = ("NotFoundException", "InvalidArnException")
KEYS = "keys"
"""Where :class:`Live` objects have what is known of aliases, in their ``extra``: see :func:`resolved`."""


def resolved(pairs: Iterable[tuple[Any, Any]]) -> Reads[dict[str, str | None]]:
    """The keys of aliases that are compared with something else: ARNs by alias, spelled as in the pair.

    ``pairs`` are the names to compare, two by two. A key is "" if there is no such alias, and None if KMS cannot be
    asked. Raises Unreadable.
    """
    asked = list(dict.fromkeys(alias for one, other in pairs for alias in _to_resolve(one, other)))
    calls = tuple(Call("kms", "DescribeKey", {"KeyId": alias}) for alias in asked)
    found: dict[str, str | None] = {}
    for alias, call, reply in zip(asked, calls, (yield calls) if calls else (), strict=True):
        found[alias] = None if isinstance(reply, Refused) and reply.denied else _arn(ok(call, reply, *ABSENT))
    return found


def _arn(answer: Json | None) -> str | None:
    return "" if answer is None else (answer.get("KeyMetadata") or {}).get("Arn")


def _to_resolve(one: Any, other: Any) -> tuple[str, ...]:
    if not isinstance(one, str) or not isinstance(other, str) or not one or not other:
        return ()
    aliases = [name for name in (one, other) if _bare(name).startswith("alias/")]
    return tuple(aliases) if len(aliases) == 1 else ()


def known_keys(keys: Mapping[str, str | None], *names: Any) -> Mapping[str, Mapping[str, str | None]]:
    """What :class:`Live` keeps in ``extra``: of ``keys``, those with one of these names; empty if there is none."""
    mine = {name: keys[name] for name in names if isinstance(name, str) and name in keys}
    return {KEYS: mine} if mine else {}


def same_name(one: Any, other: Any) -> bool:
    """Whether two names are the same but for the beginning of an ARN; an alias is not the key that it names."""
    if not isinstance(one, str) or not isinstance(other, str):
        return bool(one == other)
    return _bare(one) == _bare(other)


def same_key(declared: Any, live: Any, keys: Mapping[str, str | None] = EMPTY) -> bool:
    """Whether two names are names of the same key, as far as is known: ``keys`` has the keys of aliases.

    An alias that could not be resolved counts as the same as any key: a service may show the key of a declared alias,
    which would be a difference in every plan.
    """
    for alias in _to_resolve(declared, live):
        key = keys.get(alias)
        return key is None or same_name(key, live if alias == declared else declared)
    return same_name(declared, live)


def _bare(name: str) -> str:
    """``alias/NAME``, or the id of a key."""
    return name.rpartition(":")[2].removeprefix("key/")


def keys_of(live: Live) -> Mapping[str, str | None]:
    """The keys of the aliases that are compared with the live object's key, see :func:`resolved`."""
    found: Mapping[str, str | None] = live.extra.get(KEYS, EMPTY)
    return found


def notes(live: Live) -> Iterable[str]:
    """A note for an alias that KMS may not be asked for."""
    for alias, key in sorted(keys_of(live).items()):
        if key is None:
            yield (f"{alias} could not be resolved, and is taken for the key in use; allow kms:DescribeKey")
