"""The account's quotas of running vCPUs: for each class of instance types one On-Demand, and one for Spot.

https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.kinds.batch._instance_offers import BUNDLES
from reconciler.kinds.common.declared import as_text, at, items, mapping
from reconciler.model import Call, Json, Reads, Refused
from reconciler.model.patterns import regex

STANDARD, GRAPHICS, ACCELERATED = "Standard", "G and VT", "P"
# class -> the codes of its quota On-Demand and for Spot
_CODES: Final[Mapping[str, tuple[str, str]]] = {
    STANDARD: ("L-1216C47A", "L-34B43A08"),
    GRAPHICS: ("L-DB2E81BA", "L-3819A6DF"),
    ACCELERATED: ("L-417A185B", "L-7212CCBC"),
}
_LETTERS: Final = regex(r"[a-z]+")
_CLASSES: Final = {
    **dict.fromkeys("acdhimrtz", STANDARD),
    "g": GRAPHICS,
    "gr": GRAPHICS,
    "vt": GRAPHICS,
    "p": ACCELERATED,
}


def class_of(name: str) -> str:
    """The class of an instance type, a family or a group of them; empty for others, which have quotas of their own."""
    if name in BUNDLES:
        return STANDARD
    found = _LETTERS.match(name)
    return _CLASSES.get(found[0], _CLASSES.get("i", "") if found[0] in ("im", "is") else "") if found else ""


def classes_of(props: Json) -> list[str]:
    """The classes of the instance types of an environment."""
    names = [one for one in items(at(props, "computeResources", "instanceTypes")) if isinstance(one, str)]
    return sorted({found for name in names if (found := class_of(name))})


def all_known(props: Json) -> bool:
    """Whether every instance type of an environment is of a class above."""
    names = [one for one in items(at(props, "computeResources", "instanceTypes")) if isinstance(one, str)]
    return all(map(class_of, names))


def code_of(kind: str, props: Json) -> str:
    """The code of the quota for a class of instances of this environment."""
    return _CODES[kind][as_text(at(props, "computeResources", "type")) == "SPOT"]


def read(codes: Iterable[str]) -> Reads[Mapping[str, float | Refused]]:
    """The quotas by their code, or why one could not be read; a value that was never changed is AWS's default."""
    calls = {code: _call("GetServiceQuota", code) for code in sorted(set(codes))}
    replies = (yield tuple(calls.values())) if calls else ()
    found: dict[str, float | Refused] = {}
    for code, reply in zip(calls, replies, strict=True):
        answer = reply
        if isinstance(answer, Refused) and answer.code == "NoSuchResourceException":
            (answer,) = yield (_call("GetAWSDefaultServiceQuota", code),)
        if isinstance(answer, Refused):
            found[code] = answer
            continue
        value = mapping(answer.get("Quota")).get("Value")
        found[code] = float(value) if isinstance(value, int | float) else Refused("NoValue", "the reply has no value")
    return found


def _call(operation: str, code: str) -> Call:
    return Call("service-quotas", operation, {"ServiceCode": "ec2", "QuotaCode": code})
