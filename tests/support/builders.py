"""The shortest way to say a kind, a resource, an account, for tests of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.config import expressions
from reconciler.model import (
    Address,
    Call,
    Diff,
    Effect,
    Environment,
    Field,
    Kind,
    Lifecycle,
    Live,
    Observed,
    Query,
    Reads,
    Ref,
    Replace,
    Resource,
    Scope,
    Template,
    Wait,
    Want,
    stand_ins,
)

SCOPE = Scope(account="123456789012", region="eu-west-1", partition="aws", environment="test")
OWNED = {"reconciler/environment": "test"}


def _read(query: Query) -> Reads[Sequence[Live]]:
    yield ()
    return []


def _attrs(scope: Scope, name: str, props: Mapping[str, Any]) -> Mapping[str, str]:
    return {"name": name, "arn": f"arn:{name}"}


def _call(operation: str, name: str, **params: Any) -> Call:
    return Call("test", operation, {"name": name, **params}, captures={"id": "Id"} if operation == "Create" else {})


def kind(section: str, **facts: Any) -> Kind:
    """A kind whose calls are Create, Update, Delete and Tag, each create followed by a wait."""

    def wait(name: str) -> Wait:
        return Wait(f"{section} {name} ready", _call("Describe", name), "items", until={"status": frozenset({"ok"})})

    def create(want: Want) -> Sequence[Any]:
        return [_call("Create", want.physical, tags=want.tags, **want.declared), wait(want.physical)]

    def update(live: Live, want: Want, diff: Diff) -> Sequence[Any]:
        return [_call("Update", live.physical, **{top: want.props.get(top) for top in sorted(diff.tops())})]

    def delete(live: Live, declared: Mapping[str, Any]) -> Sequence[Any]:
        return [_call("Delete", live.physical)]

    def tag(live: Live, put: Mapping[str, str], remove: Sequence[str]) -> Sequence[Any]:
        return [_call("Tag", live.physical, put=dict(put), remove=list(remove))]

    defaults: dict[str, Any] = {
        "name": section.rstrip("s"),
        "read": _read,
        "attrs": _attrs,
        "create": create,
        "update": update,
        "delete": delete,
        "tag": tag,
        "wait_until_settled": lambda live: [wait(live.physical)],
        "wait_until_gone": lambda live: [
            Wait(f"{live.physical} gone", _call("Describe", live.physical), "items", gone=True)
        ],
        "replace": Replace.CREATE_FIRST,
    }
    return Kind(section=section, **{**defaults, **facts})


ENGINES = kind("engines", fields={"fuel": Field(effect=Effect.REPLACE), "power": Field(default=1)})
CARS = kind("cars", refs={"engines[].engine": Ref(section="engines")}, fields={"engines": Field(key="order")})
KINDS = {"engines": ENGINES, "cars": CARS}


def resource(section: str, name: str, /, lifecycle: Lifecycle | None = None, **props: Any) -> Resource:
    return Resource(address=Address(section, name), props=props, lifecycle=lifecycle or Lifecycle())


def env(*resources: Resource, **settings: Any) -> Environment:
    return Environment(name="test", resources={r.address: r for r in resources}, **settings)


def live(name: str, /, tags: Mapping[str, str] | None = None, **rest: Any) -> Live:
    facts = {k: rest.pop(k) for k in ("settled", "deleting", "invalid", "status", "reason", "revision") if k in rest}
    attrs = {"name": name, "arn": f"arn:{name}"}
    return Live(physical=name, attrs=attrs, props=rest, tags=OWNED if tags is None else tags, **facts)


def observed(**lives: Sequence[Live]) -> Observed:
    return Observed(lives={section: tuple(found) for section, found in lives.items()})


def parsed(value: Any) -> Any:
    """``value`` with its texts as the loader gives them: ``${...}`` is an expression."""

    def text(value: Any) -> Any:
        return Template(expressions.parse(value)[0]) if isinstance(value, str) and "${" in value else value

    return stand_ins.replace(value, text)
