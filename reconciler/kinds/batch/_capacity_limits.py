"""``capacityLimits`` of service environments and of quota shares: how many instances training jobs may use.

An entry limits all instances (``NUM_INSTANCES``, the default unit) or those of one instance type.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CapacityLimit.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.common.declared import as_text, entries, items, repeats
from reconciler.model import Field, Finding, Json
from reconciler.model import problem_codes as codes

MEMBER = "capacityLimits"
ALL = "NUM_INSTANCES"

FIELDS = {
    MEMBER: Field(key="capacityUnit"),
    f"{MEMBER}[].capacityUnit": Field(default=ALL),
}


def check(props: Json, *, most: int) -> Iterator[Finding]:
    """Findings about what AWS would refuse: more than ``most`` entries, duplicate units, and both kinds of units."""
    listed = items(props.get(MEMBER))
    if MEMBER in props and props[MEMBER] in ([], ()):
        hint = f"add a limit: [{{capacityUnit: {ALL}, maxCapacity: 4}}]"
        yield Finding((MEMBER,), f"{MEMBER} is empty", hint, code=codes.MISSING_FIELD)
    if len(listed) > most:
        yield Finding((MEMBER, most), f"{MEMBER} has {len(listed)} entries; {most} at most", "remove some")
    units = [(index, item.get("capacityUnit", ALL)) for index, item in entries(listed)]
    for path, unit in repeats([((MEMBER, index, "capacityUnit"), unit) for index, unit in units]):
        yield Finding(path, f"two limits for {unit}", "keep one")
    known = [(index, unit) for index, unit in units if as_text(unit)]
    typed = [(index, unit) for index, unit in known if unit != ALL]
    if typed and len(typed) < len(known):
        hint = f"keep the one entry with {ALL}, or the entries with instance types"
        yield Finding((MEMBER, typed[0][0]), f"{ALL} cannot be combined with instance types", hint)
    for index, unit in typed:
        if not unit.startswith("ml."):
            near = f"ml.{unit}" if "." in unit else "ml.g5.xlarge"
            hint = f"SageMaker's instance types begin with ml., for example {near}; or write {ALL}"
            yield Finding((MEMBER, index, "capacityUnit"), f'"{unit}" is not a unit of capacity', hint)
