"""The state of terraform or OpenTofu -> the resources of our kinds in it, by the names of their addresses.

``terraform state pull`` and the files ``terraform.tfstate`` have version 4 of the state's own format, ``terraform show
-json`` another (https://developer.hashicorp.com/terraform/internals/json-format). Both are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.model import Pos
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations.importing.other_tools import (
    NO_KIND,
    Collected,
    Foreign,
    Named,
    key_of,
    part_types,
    place_of,
    terraform_types,
)

_VERSION: Final = 4
_OURS: Final = ("aws", "awscc")
_STEP: Final = regex(r"module\.([^.\[]+)(\[(?:\"(?:[^\"\\]|\\.)*\"|\d+)\])?\.?")
_SAYS_NOTHING: Final = "this"
_SHOW: Final = "give the output of `terraform state pull` or `terraform show -json`"


@dataclass(frozen=True, slots=True)
class _Instance:
    """One resource of the state: ``index`` is its key of ``for_each``, its number of ``count``, or None."""

    module: str
    type: str
    name: str
    index: str | int | None
    values: Mapping[str, Any]
    deposed: bool = False

    @property
    def address(self) -> str:
        index = "" if self.index is None else f"[{json.dumps(self.index, ensure_ascii=False)}]"
        return ".".join(filter(None, (self.module, self.type, f"{self.name}{index}")))


def read(text: str, file: str) -> Named:
    """The resources of a state. Raises Problems where the text is none."""
    instances = [*_instances(text, file)]
    alone: dict[tuple[str, str, str], int] = {}
    for one in instances:
        alone[one.module, one.type, one.name] = alone.get((one.module, one.type, one.name), 0) + 1
    found = Collected()
    for one in instances:
        if one.type.partition("_")[0] not in _OURS:
            continue
        if one.deposed:
            found.leave_out(one.type, one.address, "terraform has replaced it and not yet deleted it")
        elif one.type in terraform_types():
            section, attributes = terraform_types()[one.type]
            words = tuple(_texts(one.values, attributes))
            region, account = place_of((*words, *_texts(one.values, ("arn",))))
            region = next(_texts(one.values, ("region",)), region)
            key = _key(one, only=alone[one.module, one.type, one.name] == 1)
            found.resources.append(
                Foreign(
                    address=one.address, section=section, key=key, identifiers=words, region=region, account=account
                )
            )
        elif one.type in part_types():
            section, attribute = part_types()[one.type]
            owners = one.values.get(attribute)
            words = tuple(map(str, owners)) if isinstance(owners, list) else tuple(_texts(one.values, (attribute,)))
            found.part(one.type, one.address, section, words)
        else:
            found.leave_out(one.type, one.address, NO_KIND)
    return found.named()


def _key(one: _Instance, *, only: bool) -> str:
    """The key: modules, name and index; without ``this``, which says nothing, and ``[0]`` where there is no other."""
    parts: list[str] = []
    for match in _STEP.finditer(one.module):
        parts += [match[1], (match[2] or "")[1:-1].strip('"')]
    if parts and parts[-1] == "0":
        parts.pop()
    parts += [one.name, "" if one.index is None or (one.index == 0 and only) else str(one.index)]
    telling = [part for part in parts if part and part != _SAYS_NOTHING]
    return key_of(telling or parts)


def _texts(values: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value:
            yield value


# --- the two formats -------------------------------------------------------------------------------------------------


def _instances(text: str, file: str) -> Iterator[_Instance]:
    try:
        data = json.loads(text)
    except ValueError:
        raise _not_a_state(file, "not JSON") from None
    except RecursionError:
        raise _not_a_state(file, "nested too deeply") from None
    if not isinstance(data, dict):
        raise _not_a_state(file, "no JSON object")
    if "encrypted_data" in data or "encryption_version" in data:
        raise _not_a_state(file, "encrypted")
    shown = data.get("values", data.get("prior_state", {}).get("values") if "prior_state" in data else None)
    try:
        if isinstance(shown, dict):
            yield from _shown(shown.get("root_module") or {})
        elif "format_version" in data and "terraform_version" in data and "resources" not in data:
            return  # the state of nothing
        elif isinstance(data.get("resources"), list) and "version" in data:
            if data["version"] != _VERSION:
                raise _not_a_state(file, f"version {data['version']!s:.20} of the format instead of {_VERSION}")
            yield from _stored(data["resources"])
        else:
            raise _not_a_state(file, _other(data))
    except (AttributeError, KeyError, TypeError):
        raise _not_a_state(file, "resources in another form than terraform's") from None


def _other(data: Mapping[str, Any]) -> str:
    if "modules" in data:
        return "an old version of the format"
    if "Resources" in data or "StackResources" in data:
        return "a file of CloudFormation, which --from-cloudformation reads"
    return "no resources"


def _stored(resources: list[Any]) -> Iterator[_Instance]:
    """The instances of a state in its own format."""
    for one in resources:
        if one["mode"] != "managed":
            continue
        for instance in one["instances"]:
            yield _Instance(
                one.get("module") or "",
                str(one["type"]),
                str(one["name"]),
                instance.get("index_key"),
                instance.get("attributes") or {},
                deposed="deposed" in instance,
            )


def _shown(module: Mapping[str, Any]) -> Iterator[_Instance]:
    """The instances of a module in the format of ``terraform show -json``, and of the modules in it."""
    for one in module.get("resources") or ():
        if one.get("mode") == "managed":
            yield _Instance(
                module.get("address") or "",
                str(one["type"]),
                str(one["name"]),
                one.get("index"),
                one.get("values") or {},
                deposed="deposed_key" in one,
            )
    for below in module.get("child_modules") or ():
        yield from _shown(below)


def _not_a_state(file: str, why: str) -> Problems:
    message = f"{file} is not a state of terraform that can be read: {why}"
    return Problems([Problem(code=codes.FOREIGN_FILE, message=message, hint=_SHOW, pos=Pos(file, 1, 1))])
