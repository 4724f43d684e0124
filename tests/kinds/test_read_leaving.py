"""What is about to be deleted is read again in few calls, and stays where it is no longer what was planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.applying.preconditions import AccountRecheck
from reconciler.kinds import discover
from reconciler.model import (
    KEEP_TAG,
    OWNER_TAG,
    Address,
    Call,
    Live,
    Plan,
    Refused,
    Reply,
    ResourcePlan,
    Scope,
    Step,
    Verb,
)

SCOPE = Scope(account="123456789012", region="eu-west-1", partition="aws", environment="e")
OWNED = {OWNER_TAG: "e", "team": "one"}
AT = "123456789012"
DENIED = Refused("AccessDeniedException", "no")


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@dataclass
class Account:
    """Replies by operation, each to all calls of it, or made for the parameters of one."""

    replies: Mapping[str, Reply | Callable[[Any], Reply]]
    asked: list[str] = field(default_factory=list)

    def call(self, call: Call) -> Reply:
        self.asked.append(call.operation)
        reply = self.replies[call.operation]
        return reply(call.params) if callable(reply) else reply

    def told(self, section: str, *lives: Live) -> list[str]:
        """What has changed about each of the objects, which a plan deletes."""
        items = [deleting(Address(section, live.physical), live) for live in lives]
        plan = Plan(scope=SCOPE, resources=tuple(items))
        recheck = AccountRecheck(plan, {section: discover()[section]}, self, now=lambda: 0.0)
        return [recheck.changed_since_plan(item.address, "down").partition(" since")[0] for item in items]


def deleting(address: Address, live: Live) -> ResourcePlan:
    return ResourcePlan(
        address=address,
        verb=Verb.DELETE,
        physical=live.physical,
        before=None,
        after=None,
        steps=(Step(id=f"{address}:down.0", address=address, action=Call("test", "Delete", {})),),
        removed_objects=(live,),
    )


@dataclass(frozen=True)
class Case:
    """An object as it was planned; ``again`` are the replies that show it with tags, ``gone`` those without it."""

    props: dict[str, Any]
    again: Callable[[dict[str, str]], Mapping[str, Any]]
    gone: Mapping[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict)
    attrs: Mapping[str, str] = field(default_factory=dict)
    arn: str = ""
    name: str = "x"

    def live(self, name: str = "") -> Live:
        name = name or self.name
        attrs = {"name": name, **({"arn": self.arn} if self.arn else {}), **self.attrs}
        return Live(physical=name, attrs=attrs, props=self.props, tags=OWNED, extra=self.extra)


def absent(code: str) -> Refused:
    return Refused(code, "no")


DOCUMENT = {"Version": "2012-10-17", "Statement": []}
POLICY = {"PolicyName": "x", "Path": "/", "Arn": f"arn:aws:iam::{AT}:policy/x", "DefaultVersionId": "v2"}
TEMPLATE = {"LaunchTemplateId": "lt-1", "LaunchTemplateName": "x", "DefaultVersionNumber": 2, "LatestVersionNumber": 3}
CASES = {
    "repositories": Case(
        {"lifecyclePolicy": DOCUMENT},
        lambda tags: {"ListTagsForResource": {"tags": pairs(tags)}},
        dict.fromkeys(("ListTagsForResource", "DescribeRepositories"), absent("RepositoryNotFoundException")),
        arn=f"arn:aws:ecr:eu-west-1:{AT}:repository/x",
    ),
    "topics": Case(
        {"dataProtectionPolicy": DOCUMENT},
        lambda tags: {"ListTagsForResource": {"Tags": pairs(tags)}},
        {
            "ListTagsForResource": absent("ResourceNotFound"),
            **dict.fromkeys(("GetTopicAttributes", "GetDataProtectionPolicy"), absent("NotFound")),
        },
        arn=f"arn:aws:sns:eu-west-1:{AT}:x",
    ),
    "eventRules": Case(
        {"targets": [{"id": "a", "arn": "arn:b"}]},
        lambda tags: {"ListTagsForResource": {"Tags": pairs(tags)}},
        dict.fromkeys(("ListTagsForResource", "DescribeRule"), absent("ResourceNotFoundException")),
        arn=f"arn:aws:events:eu-west-1:{AT}:rule/x",
        extra={"bus": "default"},
    ),
    "logGroups": Case(
        {"retentionInDays": 3},
        lambda tags: {"ListTagsForResource": {"tags": tags}},
        {"ListTagsForResource": absent("ResourceNotFoundException"), "DescribeLogGroups": {"logGroups": []}},
        arn=f"arn:aws:logs:eu-west-1:{AT}:log-group:x",
    ),
    "policies": Case(
        {"policyDocument": DOCUMENT, "path": "/"},
        lambda tags: {"GetPolicy": {"Policy": {**POLICY, "Tags": pairs(tags)}}},
        {"GetPolicy": absent("NoSuchEntity"), "ListPolicies": {"Policies": []}},
        arn=f"arn:aws:iam::{AT}:policy/x",
        extra={"versions": [{"id": "v1", "default": False}, {"id": "v2", "default": True}]},
    ),
    "launchTemplates": Case(
        {"launchTemplateData": {"imageId": "ami-1"}},
        lambda tags: {"DescribeLaunchTemplates": {"LaunchTemplates": [{**TEMPLATE, "Tags": pairs(tags)}]}},
        {"DescribeLaunchTemplates": {"LaunchTemplates": []}},
        attrs={"id": "lt-1", "latestVersion": "3", "defaultVersion": "2"},
    ),
}
MOVED: tuple[tuple[dict[str, str], str], ...] = (
    (OWNED, ""),
    ({**OWNED, OWNER_TAG: "other"}, "x changed its owner to other"),
    ({"team": "one"}, "x changed its owner to no environment"),
    ({**OWNED, KEEP_TAG: "true"}, "the tags of x changed"),
    ({OWNER_TAG: "e"}, "the tags of x changed"),
)


@pytest.mark.parametrize("section", CASES)
def test_one_call_shows_whose_it_is(section: str) -> None:
    case = CASES[section]
    for tags, told in MOVED:
        account = Account(case.again(tags))
        assert account.told(section, case.live()) == [told]
        assert account.asked == [*case.again(tags)], "one call"
    assert Account(case.gone).told(section, case.live()) == [""], "what is gone is gone"


def test_what_has_other_versions_is_read_whole() -> None:
    tagged = {"Tags": pairs(OWNED)}
    other = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    policy = Account(
        {
            "GetPolicy": {"Policy": {**POLICY, "DefaultVersionId": "v3", **tagged}},
            "ListPolicyVersions": {"Versions": [{"VersionId": "v3"}]},
            "GetPolicyVersion": {"PolicyVersion": {"VersionId": "v3", "Document": other}},
        }
    )
    assert policy.told("policies", CASES["policies"].live())[0].startswith("policyDocument.Statement")

    for moved in ({"LatestVersionNumber": 4}, {"DefaultVersionNumber": 3}, {"LaunchTemplateId": "lt-2"}):
        version = {"VersionNumber": 4, "DefaultVersion": True, "LaunchTemplateData": {"ImageId": "ami-2"}}
        template = Account(
            {
                "DescribeLaunchTemplates": {"LaunchTemplates": [{**TEMPLATE, **tagged, **moved}]},
                "DescribeLaunchTemplateVersions": {"LaunchTemplateVersions": [version]},
            }
        )
        assert template.told("launchTemplates", CASES["launchTemplates"].live())[0].startswith("launchTemplateData")


ROLE = {"Path": "/", "AssumeRolePolicyDocument": DOCUMENT}


def role(name: str, **facts: Any) -> Live:
    props = {"path": "/", "assumeRolePolicyDocument": DOCUMENT, "description": "a role", "maxSessionDuration": 7200}
    attrs = {"name": name, "arn": f"arn:aws:iam::{AT}:role/{name}"}
    return Live(physical=name, attrs=attrs, props=props, tags=OWNED, **facts)


def test_the_details_show_many_roles() -> None:
    """All but a description and the longest session, which nothing is lost with."""

    def described(name: str, tags: Mapping[str, str] = OWNED, **facts: Any) -> dict[str, Any]:
        return {"RoleName": name, **ROLE, "Tags": pairs(tags), **facts}

    attached = {"AttachedManagedPolicies": [{"PolicyArn": "arn:p", "PolicyName": "p"}]}
    roles = [described("a"), described("b", {OWNER_TAG: "other"}), described("c", {}), described("d", **attached)]
    account = Account(
        {
            "GetAccountAuthorizationDetails": {"RoleDetailList": [*roles, described("f")], "Policies": []},
            "GetRole": absent("NoSuchEntity"),
        }
    )

    assert account.told("roles", *map(role, "abcdef")) == [
        "",
        "b changed its owner to other",
        "c changed its owner to no environment",
        "managedPolicies of d changed",
        "",
        "",
    ]
    assert account.asked == ["GetAccountAuthorizationDetails", "GetRole"], "one that is gone is looked for by its name"


# --- log groups, which several calls show together -------------------------------------------------------------------

GROUPS = "abcdefg"


@dataclass
class Logs:
    """Log groups with their tags, and what the index of tags still has of them; ``filters`` may mean nothing."""

    tags: dict[str, dict[str, str]] = field(default_factory=lambda: {name: {**OWNED} for name in GROUPS})
    known: dict[str, dict[str, str]] = field(default_factory=lambda: {name: {**OWNED} for name in GROUPS})
    filters: bool = True
    denied: str = ""

    def told(self) -> tuple[list[str], list[str]]:
        """What has changed of each, and the operations that told it."""
        replies: dict[str, Any] = {
            "ListLogGroups": self.listed,
            "GetResources": {
                "ResourceTagMappingList": [
                    {"ResourceARN": f"arn:aws:logs:eu-west-1:{AT}:log-group:{name}:*", "Tags": pairs(tags)}
                    for name, tags in self.known.items()
                ]
            },
            "ListTagsForResource": lambda params: {"tags": self.tags[params["resourceArn"].rpartition(":")[2]]},
        }
        account = Account({**replies, **({self.denied: DENIED} if self.denied else {})})
        case = CASES["logGroups"]
        lives = [
            Live(physical=n, attrs={"name": n, "arn": f"{case.arn[:-1]}{n}"}, props={}, tags=OWNED) for n in GROUPS
        ]
        return account.told("logGroups", *lives), account.asked

    def listed(self, params: Any) -> Reply:
        def is_asked(tags: Mapping[str, str]) -> bool:
            return all(
                one["key"] in tags and tags[one["key"]] in one.get("values", tags.values())
                for one in params["logGroupTags"]
            )

        return {
            "logGroups": [{"logGroupName": n} for n, tags in self.tags.items() if is_asked(tags) or not self.filters]
        }


TOGETHER = ["ListLogGroups", "ListLogGroups", "GetResources"]
ONE = "ListTagsForResource"


def test_three_calls_show_many_log_groups() -> None:
    assert Logs().told() == ([""] * 7, TOGETHER)


def test_a_log_group_that_looks_otherwise_is_read_by_itself() -> None:
    """The index may be behind: it proves nothing by itself, but neither is it believed that something has changed."""
    logs = Logs()
    logs.tags["b"] = {**OWNED, OWNER_TAG: "other"}
    logs.tags["c"] = {"team": "one"}
    logs.tags["d"] = {**OWNED, KEEP_TAG: "true"}
    logs.tags["e"] = logs.known["e"] = {**OWNED, "more": "x"}
    logs.known["f"] = {OWNER_TAG: "other"}
    del logs.known["g"]

    told, asked = logs.told()

    assert told == [
        "",
        "b changed its owner to other",
        "c changed its owner to no environment",
        "the tags of d changed",
        "the tags of e changed",
        "",
        "",
    ]
    assert asked == [*TOGETHER, *[ONE] * 6]


@pytest.mark.parametrize(
    ("logs", "before"),
    [
        (Logs(filters=False), TOGETHER),
        (Logs(denied="ListLogGroups"), TOGETHER),
        (Logs(denied="GetResources"), TOGETHER),
    ],
    ids=["filters mean nothing", "no list", "no index"],
)
def test_where_many_cannot_be_shown_each_is_read_by_itself(logs: Logs, before: Sequence[str]) -> None:
    logs.tags["c"] = {OWNER_TAG: "other"}

    told, asked = logs.told()

    assert [name for name, text in zip(GROUPS, told, strict=True) if text] == ["c"]
    assert asked == [*before, *[ONE] * 7]
