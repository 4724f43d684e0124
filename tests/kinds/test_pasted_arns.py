"""Every path of every kind that names a declared resource: its ARN or id, as describe prints it, means its name.

The plans are equal, steps and order included, whether the target is created, stays, or is replaced under another name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.config import links, references
from reconciler.kinds import discover
from reconciler.model import (
    NAME_TAG,
    OWNER_TAG,
    Address,
    Environment,
    Later,
    Live,
    Observed,
    Options,
    Plan,
    Ref,
    Replace,
    Resource,
    Scope,
    Template,
    Text,
    Verb,
)
from reconciler.planning import planner
from tests.support.changes import put

SCOPE = Scope("123456789012", "eu-west-1", "aws", "e")
KINDS = discover()

# the least that the functions of a kind need
BASES: Mapping[str, Mapping[str, Any]] = {
    "computeEnvironments": {"type": "MANAGED", "computeResources": {"type": "EC2", "maxvCpus": 4}},
    "consumableResources": {"totalQuantity": 1},
    "eventRules": {"eventPattern": {"source": ["aws.batch"]}, "targets": [{"id": "t"}]},
    "jobDefinitions": {"type": "container"},
    "keyPairs": {"publicKey": "ssh-ed25519 AAAA"},
    "placementGroups": {},
    "policies": {"policyDocument": {"Version": "2012-10-17", "Statement": []}},
    "quotaShares": {"capacityLimits": []},
    "roles": {"assumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    "schedulingPolicies": {"fairsharePolicy": {}},
    "securityGroups": {"vpcId": "vpc-1", "description": "d"},
}
# what AWS assigns: (attributes of an object named NAME)
IDS: Mapping[str, Mapping[str, str]] = {
    "keyPairs": {"id": "key-0a1b2c3d4e5f60718"},
    "launchTemplates": {"id": "lt-0a1b2c3d4e5f60718", "defaultVersion": "1", "latestVersion": "1"},
    "placementGroups": {"id": "pg-0a1b2c3d4e5f60718"},
    "securityGroups": {
        "id": "sg-0a1b2c3d4e5f60718",
        "arn": "arn:aws:ec2:eu-west-1:123456789012:security-group/sg-0a1b2c3d4e5f60718",
    },
    "secrets": {"arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:NAME-a1B2c3"},
    "jobDefinitions": {"arn": "arn:aws:batch:eu-west-1:123456789012:job-definition/NAME:3", "revision": "3"},
}
# further spellings of what attrs computes or AWS assigns: the whole text, and the expression it means if not the name
SPELT: Mapping[str, tuple[str, ...]] = {
    "jobDefinitions": ("arn:aws:batch:eu-west-1:123456789012:job-definition/NAME",),
    "secrets": ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:NAME",),
    "logGroups": ("arn:aws:logs:eu-west-1:123456789012:log-group:NAME:*",),
    "roles": ("arn:aws:iam::123456789012:role/another/path/NAME", "arn:${partition}:iam::${account}:role/NAME"),
    "policies": ("arn:aws:iam::123456789012:policy/another/path/NAME",),
    "instanceProfiles": ("arn:aws:iam::123456789012:instance-profile/another/path/NAME",),
    "jobQueues": ("arn:${partition}:batch:${region}:${account}:job-queue/NAME",),
}
PHYSICAL = "target-3f9a1c"
TARGET = "target"


def sites() -> Iterator[tuple[str, str, Ref, str]]:
    """Section, path, reference and the section of the target, of every reference of every kind that takes a name; the
    principals of documents take ARNs alone.
    """
    for section, kind in KINDS.items():
        for path, ref in kind.refs.items():
            if not ref.literal and ref.optional and ".Statement" in path:
                continue
            yield from ((section, path, ref, target) for target in ref.sections)


def base(section: str, name: str) -> dict[str, Any]:
    return dict(KINDS[section].expanded(name, BASES.get(section, {})))


def user(section: str, path: str, value: Any) -> Resource:
    name = f"{TARGET}/user" if section == "quotaShares" else "user"
    where = path.replace("[]", ".0").removeprefix(".")
    return Resource(address=Address(section, name), props=_put(base(section, name), where, value))


def _put(props: Any, path: str, value: Any) -> Any:
    made = put(props, path, "PUT")

    def filled(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: filled(item) for name, item in node.items()}
        if isinstance(node, list):
            return [filled(item) for item in node]
        return value if node == "PUT" else node

    return filled(made)


def attrs_of(section: str, physical: str) -> dict[str, str]:
    known = KINDS[section].attrs(SCOPE, physical, {})
    given = {n: v.replace("NAME", physical) for n, v in IDS.get(section, {}).items()}
    if not physical.startswith(TARGET):  # another one of the same section
        given = {n: re.sub("60718$", "60719", v) for n, v in given.items()}
    return {"name": physical} | dict(known) | given


def alive(resource: Resource, props: Any, physical: str) -> Live:
    section, name = resource.address.section, resource.address.name
    own = {NAME_TAG: name} if physical != name else {}
    versioned = KINDS[section].versioned
    return Live(
        physical=f"{physical}:3" if versioned else physical,
        attrs=attrs_of(section, physical),
        props=props,
        tags={OWNER_TAG: "e", **own},
        revision=3 if versioned else 0,
        extra={"bus": "default"} if section == "eventRules" else {},
    )


def planned(using: Resource, target: Resource, observed: Observed, options: Options) -> tuple[Plan, list[str]]:
    env = Environment(name="e", resources={one.address: one for one in (using, target)})
    env = links.linked_environment(env, KINDS, SCOPE, observed.lives, {})
    plan, problems = planner.make(env, KINDS, SCOPE, observed, options=options)
    return plan, [problem.message for problem in problems]


def texts(section: str, physical: str, *, existing: bool) -> Iterator[str]:
    """What may be pasted: the computed ARN, what AWS has assigned, the physical name; other spellings of them."""
    attrs = attrs_of(section, physical) if existing else KINDS[section].attrs(SCOPE, physical, {})
    yield from {attrs[name] for name in ("arn", "id") if name in attrs and not KINDS[section].versioned}
    yield from (text.replace("NAME", physical) for text in SPELT.get(section, ()) if physical == TARGET)
    if physical != TARGET:
        yield physical


def template(text: str) -> Any:
    """A text with ``${account}`` as the loader gives it."""
    parts = re.split(r"(\$\{\w+\})", text)
    if len(parts) == 1:
        return text
    found = [references.Reference(one[2:-1], one) if one.startswith("${") else one for one in parts if one]
    return Template(tuple(found))


@pytest.mark.parametrize("state", ["created", "kept", "kept under a derived name", "replaced"])
@pytest.mark.parametrize(
    ("section", "path", "ref", "to"), [pytest.param(*s, id=f"{s[0]}-{s[1]}-{s[3]}") for s in sites()]
)
def test_an_arn_is_the_name(section: str, path: str, ref: Ref, to: str, state: str) -> None:
    target = Resource(address=Address(to, TARGET), props=base(to, TARGET))
    named = user(section, path, TARGET)
    options, observed, physical = Options(), Observed(), TARGET
    if state != "created":
        made, _ = planned(named, target, observed, options)
        wants = {one.address: one.want for one in made.resources}
        if state != "kept":
            physical = PHYSICAL if KINDS[to].replace is Replace.CREATE_FIRST else TARGET
        there = alive(target, wants[target.address].declared, physical)
        attrs = there.attrs
        seen = alive(
            named, _put(wants[named.address].declared, path.replace("[]", ".0"), attrs[ref.attr]), named.address.name
        )
        lives: dict[str, tuple[Live, ...]] = {to: (there,)}
        lives[section] = (*lives.get(section, ()), seen)
        observed = Observed(lives=lives)
    if state == "replaced":
        if KINDS[to].replace is Replace.FORBIDDEN:
            pytest.skip(f"{to} are not replaced")
        options = Options(replace=(target.address,))
    expected = planned(named, target, observed, options)
    if ref.literal and re.match(ref.literal, TARGET):
        pytest.skip("no plain name here")
    verbs = {one.address: one.verb for one in expected[0].resources}
    kept = (Verb.NOOP, Verb.UPDATE)
    assert verbs[target.address] in {"created": (Verb.CREATE,), "replaced": (Verb.REPLACE,)}.get(state, kept)
    for text in texts(to, physical, existing=state != "created"):
        pasted = user(section, path, template(text))
        assert planned(pasted, target, observed, options) == expected, text


NO = {
    "account": ("jobQueues", "arn:aws:batch:eu-west-1:999999999999:job-queue/target"),
    "Region": ("jobQueues", "arn:aws:batch:us-east-1:123456789012:job-queue/target"),
    "partition": ("jobQueues", "arn:aws-cn:batch:eu-west-1:123456789012:job-queue/target"),
    "name": ("jobQueues", "arn:aws:batch:eu-west-1:123456789012:job-queue/target2"),
    "quota share": ("jobQueues", "arn:aws:batch:eu-west-1:123456789012:job-queue/target/quota-share/s"),
    "revision": ("jobDefinitions", "arn:aws:batch:eu-west-1:123456789012:job-definition/target:3"),
    "kind": ("roles", "arn:aws:iam::123456789012:instance-profile/target"),
    "AWS's own": ("policies", "arn:aws:iam::aws:policy/target"),
    "secret": ("secrets", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:target-with-more"),
    "id": ("securityGroups", "sg-0123456789abcdef0"),
    "no ARN": ("roles", "arn:aws:iam"),
}


@pytest.mark.parametrize("case", NO)
def test_what_is_not_the_target_stays_as_written(case: str) -> None:
    to, text = NO[case]
    section, path, _, _ = next(site for site in sites() if site[3] == to)
    pasted, target = user(section, path, text), Resource(address=Address(to, TARGET), props=base(to, TARGET))
    linked = links.link(
        {one.address: one for one in (pasted, target)},
        KINDS,
        links.Place(environment="e", account=SCOPE.account, region=SCOPE.region),
        {to: (alive(target, {}, TARGET),)},
    )
    assert linked[pasted.address] is pasted


# what remains of the ARN of a secret is sent with the new one
RESTS = ["", ":password::", ":password:AWSPREVIOUS:"]
FROM = "containerProperties.secrets[].valueFrom"


@pytest.mark.parametrize("name", ["target", "/target", "target-a1B2c3"])
@pytest.mark.parametrize("rest", RESTS)
def test_a_secret_keeps_what_follows_in_its_arn(name: str, rest: str) -> None:
    target = Resource(address=Address("secrets", name), props={})
    for suffix in ("", "-x9Y8z7"):
        pasted = user("jobDefinitions", FROM, f"{SCOPE.arn('secretsmanager', f'secret:{name}{suffix}')}{rest}")
        env = Environment(name="e", resources={one.address: one for one in (pasted, target)})
        plan, problems = planner.make(env, KINDS, SCOPE, Observed())
        assert not problems
        (want,) = (one.want for one in plan.resources if one.address == pasted.address)
        value = want.declared["containerProperties"]["secrets"][0]["valueFrom"]
        assert value == (Text((Later(target.address, "arn"), rest)) if rest else Later(target.address, "arn"))


def test_a_name_of_two_kinds_keeps_its_meaning() -> None:
    """A plain name at a rule's target would be the queue: the ARN of the topic stays the topic's."""
    both = [Resource(address=Address(section, TARGET), props={}) for section in ("jobQueues", "topics")]
    pasted = user("eventRules", "targets[].arn", SCOPE.arn("sns", TARGET))
    env = Environment(name="e", resources={one.address: one for one in (pasted, *both)})
    plan, _ = planner.make(env, KINDS, SCOPE, Observed())
    (rule,) = (one for one in plan.resources if one.address == pasted.address)
    assert rule.depends_on == (Address("topics", TARGET),)


@pytest.mark.parametrize("known", [True, False, None])
def test_a_service_linked_role_by_arn(known: bool | None) -> None:
    """Declared it comes first; without it the plan says so; where it cannot be read, nothing is said."""
    arn = SCOPE.arn("iam", "role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch", region="")
    using, role = user("computeEnvironments", "serviceRole", arn), Address("serviceLinkedRoles", "batch.amazonaws.com")
    there = {} if known is None else {("serviceLinkedRoles", role.name): {"arn": arn} if known else None}
    env = Environment(name="e", resources={using.address: using})
    plan, problems = planner.make(env, KINDS, SCOPE, Observed(existing=there))
    said = [(problem.message, problem.hint, problem.path) for problem in problems]
    missing = (
        "the account has no service-linked role of batch.amazonaws.com yet",
        'leave serviceRole out, or declare serviceLinkedRoles["batch.amazonaws.com"]',
        "serviceRole",
    )
    assert said == ([missing] if known is False else [])
    declared = replace(env, resources={**env.resources, role: Resource(address=role, props={})})
    plan, problems = planner.make(declared, KINDS, SCOPE, Observed(existing=there))
    assert not problems
    assert {one.address: one.depends_on for one in plan.resources}[using.address] == (role,)
