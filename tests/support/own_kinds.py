"""Two kinds of our own with their schemas, for tests of the checks."""

from reconciler.model import Field, Finding, Kind, Ref, Replace
from reconciler.schema import registry


def nothing(*_):
    return ()


def attrs(scope, name, props):
    return {"name": name, "arn": scope.arn("x", name)}


def judged(name, props):
    if props.get("size") == 13:
        yield Finding(("size",), "13 brings bad luck", "take 12")
    if props.get("deep"):
        yield Finding(("deep", "er", 0), "too deep", "climb", warning=True)


def kind(section, **facts):
    return Kind(
        name=section[:-1],
        section=section,
        read=nothing,
        attrs=attrs,
        create=nothing,
        update=nothing,
        delete=nothing,
        tag=nothing,
        **facts,
    )


KINDS = {
    "things": kind(
        "things",
        refs={
            "friend": Ref(section="things"),
            "friends[]": Ref(section="things", late=True),
            "boxes[].box": Ref(section="boxes", attr="id", literal=r"box-"),
            "label": Ref(section="boxes", optional=True),
        },
        fields={"password": Field(secret=True), "items": Field(key="name"), "map.*": Field()},
        replace=Replace.DELETE_FIRST,
        versioned=True,
        max_name=10,
        check=judged,
        expand=lambda props: {**props, "expanded": True},
    ),
    "boxes": kind("boxes", assigned_by_aws=frozenset({"id"}), folds_case=True),
}
TEXT = {"type": "string"}
SCHEMAS = registry.Schemas.of(
    {
        "thing.schema.json": {
            "x-section": "things",
            "type": "object",
            "additionalProperties": False,
            "properties": {
                **dict.fromkeys(("friend", "label", "password", "note"), TEXT),
                "friends": {"type": "array", "items": TEXT},
                "boxes": {"type": "array", "items": {"type": "object", "properties": {"box": TEXT}}},
                "items": {"type": "array", "items": {"type": "object", "properties": {"name": TEXT, "value": TEXT}}},
                "map": {"type": "object", "additionalProperties": TEXT},
                "size": {"type": "integer"},
                "deep": {"type": "object"},
                "tags": {"type": "object", "additionalProperties": TEXT},
                "lifecycle": {"$ref": "lifecycle.schema.json"},
            },
        },
        "lifecycle.schema.json": registry.shipped().documents["lifecycle.schema.json"],
    }
)


def errors(found):
    return [item[1:4] for item in found if item[0] == "error"]
