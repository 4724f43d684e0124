"""Whether replies are what botocore's model of a service says: names, types, values and required members."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}


def watch(client: Any, found: list[str]) -> None:
    """Note in ``found`` what the replies to a client of a JSON protocol have that its model has not."""

    def before_parse(operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
        shape = operation_model.output_shape
        if response_dict["status_code"] < 300 and shape is not None:
            body = json.loads(response_dict["body"] or b"{}")
            found.extend(f"{operation_model.name}{one}" for one in differences(body, shape))

    client.meta.events.register(f"before-parse.{client.meta.service_model.service_id.hyphenize()}", before_parse)


def differences(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """What of a value a shape does not allow."""
    if not isinstance(value, _TYPES.get(shape.type_name, (object,))):
        yield f"{path}: {value!r} is no {shape.type_name}"
    elif shape.type_name == "structure":
        members = {each.serialization.get("name", name): each for name, each in shape.members.items()}
        yield from (f"{path}.{name}: not in the model" for name in value.keys() - members.keys())
        yield from (f"{path}.{name}: required" for name in shape.required_members if name not in value)
        for name in value.keys() & members.keys():
            yield from differences(value[name], members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for one in value:
            yield from differences(one, shape.member, f"{path}[]")
    elif shape.type_name == "map":
        for one in value.values():
            yield from differences(one, shape.value, f"{path}{{}}")
    elif shape.type_name == "string" and shape.enum and value.upper() not in map(str.upper, shape.enum):
        yield f"{path}: {value!r} is none of {shape.enum}"
