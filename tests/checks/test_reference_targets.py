"""References that resolve and are wrong all the same; the mistakes of real kinds stand in tests/data/mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reconciler.checks import reference_targets
from reconciler.checks.reference_targets import TargetChecker
from reconciler.config.loader import LoadedEnvironment
from reconciler.model import Address, Declared, Finding, Lookup, Pos, Ref, Resource, Scope
from tests.support.builders import kind, parsed, resource

ACCOUNT = "123456789012"
HERE = Pos("e.yaml", 3, 5)


def arns(service: str, resource: str, *, region: str | None = None) -> Any:
    def attrs(scope: Scope, name: str, props: Mapping[str, Any]) -> Mapping[str, str]:
        return {"name": name, "arn": scope.arn(service, f"{resource}/{name}", region=region)}

    return attrs


def related(one: Resource, declared: Declared) -> Iterator[Finding]:
    if "queue" in one.props and declared.resource("queues", one.props["queue"]) is None:
        yield Finding(("queue",), "a queue of somebody else")


KINDS = {
    one.section: one
    for one in (
        kind(
            "roles",
            attrs=arns("iam", "role", region=""),
            trusts=lambda props: frozenset(props["trust"]) if "trust" in props else None,
        ),
        kind("links", attrs=arns("iam", "role/linked", region=""), shared=True),
        kind("queues", attrs=arns("batch", "job-queue")),
        kind(
            "groups",
            attrs=arns("ec2", "group"),
            assigned_by_aws=frozenset({"id"}),
            refs={"peer": Ref(section="groups", attr="id", late=True)},
        ),
        kind(
            "jobs",
            attrs=arns("batch", "job"),
            refs={
                "role": Ref(section="roles"),
                "policies[]": Ref(section="roles", aws_managed=True),
                "group": Ref(section="groups", attr="id", literal="sg-"),
                "queue": Ref(section="queues", same_account_and_region=True),
                "target": Ref(section="queues", also=("jobs",)),
                "hint": Ref(section="queues", optional=True),
            },
            passes_roles={"role": "tasks"},
            lookups={"subnets[]": "subnets", "vpc": "vpc"},
            relations=related,
        ),
    )
}
OTHERS = (
    resource("roles", "trusting", trust=["tasks", "others"]),
    resource("roles", "wary", trust=["others"]),
    resource("roles", "closed"),
    resource("links", "l"),
    resource("queues", "q"),
    resource("queues", "trusting"),
    resource("groups", "g"),
    resource("jobs", "x"),
    resource("queues", "x"),
)
LOOKUPS = {
    name: Lookup(name=name, kind=kind, args={}, pos=HERE)
    for name, kind in (("home", "vpc"), ("nets", "subnets"), ("group", "securityGroup"), ("param", "ssmParameter"))
}


def checker(*resources: Resource, lookups: Mapping[str, Lookup] = LOOKUPS) -> TargetChecker:
    declared = {one.address: one for one in (*OTHERS, *resources)}
    return TargetChecker(environment(declared, lookups), KINDS, declared)


def environment(declared: Mapping[Address, Resource], lookups: Mapping[str, Lookup]) -> LoadedEnvironment:
    sections: dict[str, Any] = {}
    for address, one in declared.items():
        sections.setdefault(address.section, {})[address.name] = one
    return LoadedEnvironment(name="t", root="", region="eu-west-1", account=ACCOUNT, sections=sections, lookups=lookups)


def found(section: str, **props: Any) -> list[Finding]:
    one = resource(section, "it", **parsed(props))
    return list(checker(one).of(one))


@pytest.mark.parametrize(
    "props",
    [
        {"role": "trusting", "group": "g", "queue": "q", "target": "q", "policies": ["closed"]},
        {"role": "${roles.trusting.arn}", "group": "${groups.g.id}"},
        {"role": "${links.l.arn}"},
        {"role": "${roles.trusting.name}"},
        {"role": f"arn:aws:iam::{ACCOUNT}:role/x", "group": "sg-1"},
        {"role": "arn:aws:iam::999999999999:role/x"},
        {"policies": ["arn:aws:iam::aws:role/x"]},
        {"target": "${roles.closed.arn}", "hint": "${roles.closed.arn}"},
        {"hint": "", "target": f"arn:aws:iam::{ACCOUNT}:role/x"},
        {"role": "closed"},
        {"vpc": "${lookups.home}", "subnets": "${lookups.nets}", "note": "x-${lookups.home}"},
        {"vpc": "${lookups.param}", "subnets": ["${lookups.nets}", "${lookups.param}"]},
        {"note": "${groups.g.id}"},
    ],
)
def test_what_the_property_takes_is_not_found(props: dict[str, Any]) -> None:
    assert found("jobs", **props) == []


@pytest.mark.parametrize(
    ("props", "message", "hint"),
    [
        ({"role": "${queues.q.arn}"}, "role takes a role, but ${queues.q.arn} is a queue", "name one of roles"),
        ({"role": "${queues.trusting.arn}"}, "role takes a role", "did you mean ${roles.trusting.arn}?"),
        ({"group": "${groups.g.arn}"}, "group takes an id, but ${groups.g.arn} is not one", "write ${groups.g.id}, or"),
        ({"role": f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-queue/q"}, "but the ARN is that of a queue", "give the name"),
        ({"role": f"arn:aws:ec2:eu-west-1:{ACCOUNT}:x/q"}, "is the ARN of something else", "give the name or ARN"),
        ({"role": "arn:aws:iam"}, "is not the ARN of a role", "it looks like arn:aws:iam::123456789012:role/NAME"),
        ({"role": "arn:aws:iam::aws:role/x"}, "is not the ARN of a role", "it looks like"),
        ({"role": f"arn:aws:iam::{ACCOUNT}:role/"}, "is not the ARN of a role", "it looks like"),
        ({"role": ""}, "role is empty", "name a role, or leave it out"),
        ({"vpc": "${lookups.nets}"}, "vpc takes a VPC, but ${lookups.nets} looks up subnets", "${lookups.home}"),
        ({"subnets": ["${lookups.home}"]}, "subnets takes subnets, but", "did you mean ${lookups.nets}?"),
        ({"subnets": "${lookups.param}"}, "subnets is a list, but", 'write ["${lookups.param}"]'),
        ({"note": "x-${lookups.nets}"}, "is a list of subnets and cannot be part of a text", "use it as the whole"),
        ({"queue": "elsewhere"}, "a queue of somebody else", ""),
    ],
)
def test_what_the_property_cannot_take(props: dict[str, Any], message: str, hint: str) -> None:
    (finding,) = found("jobs", **props)

    assert message in finding.message
    assert hint in finding.hint
    assert finding.path[0] == next(iter(props)) and not finding.warning


@pytest.mark.parametrize("where", ["eu-west-1:999999999999", f"us-east-1:{ACCOUNT}"])
def test_an_arn_of_elsewhere_where_aws_takes_none(where: str) -> None:
    findings = found("jobs", queue=f"arn:aws:batch:{where}:job-queue/q")

    assert [one.hint for one in findings if one.hint] == ["write only the name; the rest is filled in"]


@pytest.mark.parametrize(
    ("props", "message", "hint"),
    [
        ({"role": "wary"}, "the role wary does not trust tasks", "it trusts others; add tasks to its trust"),
        ({"target": "x"}, '"x" is a queue and a job; here it means the queue', "for the other write ${jobs.x.arn}"),
    ],
)
def test_what_may_be_meant_is_a_warning(props: dict[str, Any], message: str, hint: str) -> None:
    (finding,) = found("jobs", **props)

    assert message in finding.message and hint in finding.hint
    assert (finding.code, finding.warning) == ("misfit", True)


def test_a_resource_cannot_refer_to_its_own_id_except_when_it_is_there() -> None:
    (finding,) = found("groups", note="${groups.it.id}")

    assert finding.message.startswith("AWS assigns ${groups.it.id} when it creates the resource")
    assert found("groups", peer="${groups.it.id}", note="${groups.it.arn}") == []


def test_problems_have_the_place_of_the_property_or_the_look_up() -> None:
    wrong = Resource(address=Address("jobs", "it"), props={"role": ""}, pos={(): Pos("e.yaml", 7, 3)})
    lookups = {
        "a": Lookup(name="a", kind="vpc", args={}, pos=HERE),
        "b": Lookup(name="b", kind="subnets", args=parsed({"vpcId": "${lookups.c}"}), pos=HERE),
        "c": Lookup(name="c", kind="image", args={}, pos=HERE),
    }
    declared = {wrong.address: wrong}
    problems = [*reference_targets.problems(environment(declared, lookups), KINDS, declared)]

    assert [(one.address, one.path, str(one.pos)) for one in problems] == [
        ("jobs.it", "role", "e.yaml:7:3"),
        ("lookups.b", "vpcId", "e.yaml:3:5"),
    ]
    assert "did you mean ${lookups.a}?" in problems[1].hint
