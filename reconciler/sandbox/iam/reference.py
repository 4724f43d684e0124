"""What AWS's service authorization reference says of an action: which resources it can be limited to, and by which
condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from reconciler.model.patterns import regex

Json = Mapping[str, Any]
_VARIABLE = regex(r"/(\$\{\w+\}|<key>|tag-key)$")


def of(action: str) -> Json:
    """The entry of an action; empty for one that is not in the data."""
    found: Json = _data()["actions"].get(action, {})
    return found


def template(kind: str) -> str:
    """The form of the ARNs of a type such as ``batch:job-queue``."""
    return str(_data()["types"][kind]["arn"])


def actions() -> Mapping[str, Json]:
    """All entries, by action."""
    found: Mapping[str, Json] = _data()["actions"]
    return found


@cache
def keys(action: str, kind: str) -> frozenset[str]:
    """The condition keys of an action on a resource of a type, in lower case and without what follows the last slash
    where that is a variable (``aws:requesttag/``).
    """
    entry = of(action)
    service = action.partition(":")[0]
    found = [*entry.get("conditions", ()), *entry.get("type_conditions", {}).get(kind, ())]
    if kind and kind not in entry.get("type_conditions", {}):
        found += _data()["types"].get(f"{service}:{kind}", {}).get("conditions", ())
    return frozenset(_VARIABLE.sub("/", key.lower()) for key in found)


@cache
def _data() -> Json:
    found: Json = json.loads(files(__package__).joinpath("actions.json").read_text(encoding="utf-8"))
    return found
