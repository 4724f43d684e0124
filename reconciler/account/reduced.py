"""What a snapshot keeps of a reply: what the environment owns or declares whole, of everything else names and owners.

Of another's object remain its names, ARNs, ids and states, the tags that say whose it is, and what in it names an
object of the environment: that is what shows that the latter is in use. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from reconciler.model import OWNER_PREFIX, OWNER_TAG, Call, Json, Reply
from reconciler.model.patterns import regex
from reconciler.model.steps import Refused

_KEPT: Final = regex(
    r"(?:name|arn|id|path|uri|status|state|revision|token|marker|digest|versionnumber|istruncated|creationdate|"
    r"orchestrationtype|createdate|deleteddate|registryid)$",
    re.IGNORECASE,
)
_NAMES: Final = regex(r"(?:name|arn|id)$", re.IGNORECASE)
_TAGS: Final = frozenset({"tags", "Tags", "TagList", "tagSet"})
_ABOUT_ONE: Final = ("Get", "List")
# The value of a parameter is what its look-up is for, and is shown in the plan
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {"ssm:GetParameter": ("Parameter", "Value")}


def reduced(call: Call, reply: Reply, environment: str, own: Collection[str], filters: Collection[str] = ()) -> Reply:
    """``reply`` as a snapshot of ``environment`` keeps it; ``own`` are the names, ARNs and ids of its objects, and
    ``filters`` the tags that its look-ups ask for.
    """
    if isinstance(reply, Refused):
        return reply
    asked = set(texts(call.params))
    about_own = call.operation.startswith(_ABOUT_ONE) and any(text in own for text in asked)
    if about_own and call.operation.startswith("List"):
        return reply
    keeper = _Keeper(environment, own, filters, about_own=about_own, always=_VALUES.get(str(call), ()))
    return keeper.reply(reply)


def texts(value: Any) -> Iterator[str]:
    """Every text in ``value``."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def names_in(reply: Json) -> Iterator[str]:
    """The names of the items that ``reply`` lists; where one has none, the names in its ARN and ids."""
    for item in (one for items in reply.values() if isinstance(items, list) for one in items):
        if not isinstance(item, dict):
            yield str(item)
            continue
        own = {name: value for name, value in item.items() if isinstance(value, str) and _NAMES.search(name)}
        named = [value for name, value in own.items() if name.lower().endswith("name")]
        yield from named or map(last_part, own.values())
        yield from filter(None, str(item.get("Path", "")).split("/"))  # of a service-linked role it names the service


def last_part(name: str) -> str:
    """The name in an ARN; ``name`` itself where it is none."""
    return name.rpartition(":")[2].rpartition("/")[2] if name.startswith("arn:") else name


class _Keeper:
    def __init__(
        self,
        environment: str,
        own: Collection[str],
        filters: Collection[str],
        *,
        about_own: bool,
        always: tuple[str, ...] = (),
    ) -> None:
        self.environment, self.own, self.filters = environment, own, filters
        self.about_own, self.always = about_own, always

    def reply(self, reply: Json) -> Json:
        if self._is_own(reply, default=False) and not any(isinstance(item, list) for item in reply.values()):
            return reply
        if any(_NAMES.search(name) and isinstance(item, str) for name, item in reply.items()):
            return reply if self._is_own(reply, default=self.about_own) else self._foreign(reply)
        return {name: self._member(name, item) for name, item in reply.items()}

    def _member(self, name: str, item: Any) -> Any:
        if name in _TAGS:
            return item if self.about_own else self._tags(item)
        if isinstance(item, list):
            return [self._item(one) for one in item if not _of_aws(one)]
        if isinstance(item, dict):
            return self._item(item)
        return item if self.about_own or not isinstance(item, str) or _KEPT.search(name) else ""

    def _item(self, item: Any) -> Any:
        if not isinstance(item, dict):
            return item
        return item if self._is_own(item, default=self.about_own) else self._foreign(item)

    def _is_own(self, item: Json, *, default: bool) -> bool:
        """By the tag of its owner, else by its own ARN, else by ids or names."""
        owner = next((_owner(item[name]) for name in _TAGS if name in item), None)
        if owner is not None:
            return owner == self.environment
        arn = _own_arn(item)
        if arn is not None:
            return arn in self.own or any(arn.rpartition(":")[0] == word for word in self.own)
        ids = [value for name, value in item.items() if name.lower().endswith("id") and isinstance(value, str)]
        found = ids or [value for name, value in item.items() if _NAMES.search(name) and isinstance(value, str)]
        if any(value in self.own for value in found):
            return True
        return default

    def _foreign(self, item: Json) -> Json:
        kept: dict[str, Any] = {}
        for name, value in item.items():
            if name in _TAGS:
                kept[name] = self._tags(value)
            elif self.always and name == self.always[-1]:
                kept[name] = value
            elif isinstance(value, dict | list):
                inner = self._mentions(value)
                if inner:
                    kept[name] = inner
            elif _KEPT.search(name) or (isinstance(value, str) and self._names_own(value)):
                kept[name] = value
        return kept

    def _mentions(self, value: Any) -> Any:
        """What of ``value`` names an object of the environment, in its place; empty if nothing does."""
        if isinstance(value, dict):
            found = {name: inner for name, item in value.items() if (inner := self._mentions(item))}
            names = {name: item for name, item in value.items() if isinstance(item, str) and _KEPT.search(name)}
            return {**names, **found} if found else {}
        if isinstance(value, list):
            return [inner for item in value if (inner := self._mentions(item))]
        return value if isinstance(value, str) and self._names_own(value) else ""

    def _tags(self, tags: Any) -> Any:
        """Of ``tags``, a mapping or a list of keys and values: whose the object is, and what look-ups ask for."""
        if isinstance(tags, dict):
            return {name: value for name, value in tags.items() if self._keeps(name)}
        if isinstance(tags, list):
            return [tag for tag in tags if isinstance(tag, dict) and self._keeps(str(_key(tag)))]
        return tags

    def _keeps(self, tag: str) -> bool:
        return tag.startswith(OWNER_PREFIX) or tag in self.filters

    def _names_own(self, text: str) -> bool:
        return text in self.own or (text.startswith("arn:") and text.rpartition(":")[0] in self.own)


def _of_aws(item: Any) -> bool:
    """Whether it is a managed policy of AWS, which every account has."""
    return isinstance(item, dict) and ":iam::aws:" in str(item.get("Arn", ""))


def _owner(tags: Any) -> str | None:
    if isinstance(tags, dict):
        return tags.get(OWNER_TAG)
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict) and _key(tag) == OWNER_TAG:
            return str(tag.get("Value", tag.get("value", "")))
    return None


def _key(tag: Json) -> Any:
    return tag.get("Key", tag.get("key", ""))


def _own_arn(item: Json) -> str | None:
    """The ARN of the item itself: ``Arn``, or ``jobQueueArn`` beside ``jobQueueName``."""
    named = {name.lower().removesuffix("name") for name in item if name.lower().endswith("name")}
    for name, value in item.items():
        stem = name.lower().removesuffix("arn")
        if isinstance(value, str) and name.lower().endswith("arn") and (stem in ("", "resource") or stem in named):
            return value
    return None
