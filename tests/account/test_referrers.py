"""Who names what would be deleted: found by the references of every kind, however they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from reconciler.account.dependents import find_dependents
from reconciler.account.reader import Reader
from reconciler.kinds import discover
from reconciler.model import Address, Kind, Live, Plan, Reads, Referrer, ResourcePlan, Scope, Verb

KINDS = discover()
SCOPE = Scope(account="123456789012", region="eu-west-1", partition="aws", environment="test")
IAM = "arn:aws:iam::123456789012"
ROLE = Live(physical="Job", attrs={"name": "Job", "arn": f"{IAM}:role/teams/Job"}, props={})
SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:/db/x-AbCdEf"
SECRET = Live(physical="/db/x", attrs={"name": "/db/x", "arn": SECRET_ARN}, props={})
TEMPLATE = Live(physical="lt", attrs={"name": "lt", "id": "lt-0123", "latestVersion": "3"}, props={})
GROUP = Live(
    physical="web", attrs={"name": "web", "id": "sg-0123", "arn": "arn:aws:ec2:x:1:security-group/sg-0123"}, props={}
)
LOG_GROUP = Live(
    physical="/a", attrs={"name": "/a", "arn": "arn:aws:logs:eu-west-1:123456789012:log-group:/a"}, props={}
)

# section of what is deleted, the object, section of who refers, its properties, whether it counts
FOUND = [
    ("roles", ROLE, "computeEnvironments", {"serviceRole": f"{IAM}:role/teams/Job"}, True),
    ("roles", ROLE, "computeEnvironments", {"serviceRole": "Job"}, True),
    ("roles", ROLE, "computeEnvironments", {"serviceRole": "/teams/Job"}, True),
    ("roles", ROLE, "instanceProfiles", {"role": "job"}, True),
    ("roles", ROLE, "computeEnvironments", {"serviceRole": "arn:aws:iam::999999999999:role/teams/Job"}, False),
    ("roles", ROLE, "computeEnvironments", {"serviceRole": "Jobs"}, False),
    ("roles", ROLE, "computeEnvironments", {"computeResources": {"instanceRole": "Job"}}, False),
    ("secrets", SECRET, "jobDefinitions", {"containerProperties": {"secrets": [{"valueFrom": SECRET_ARN}]}}, True),
    (
        "secrets",
        SECRET,
        "jobDefinitions",
        {"containerProperties": {"secrets": [{"valueFrom": f"{SECRET_ARN}:k::"}]}},
        True,
    ),
    (
        "secrets",
        SECRET,
        "jobDefinitions",
        {"containerProperties": {"secrets": [{"valueFrom": f"{SECRET_ARN[:-7]}:k::"}]}},
        True,
    ),
    ("secrets", SECRET, "jobDefinitions", {"containerProperties": {"environment": [{"value": SECRET_ARN}]}}, False),
    (
        "launchTemplates",
        TEMPLATE,
        "computeEnvironments",
        {"computeResources": {"launchTemplate": {"launchTemplateId": "lt-0123"}}},
        True,
    ),
    (
        "launchTemplates",
        TEMPLATE,
        "computeEnvironments",
        {"computeResources": {"launchTemplate": {"launchTemplateName": "3"}}},
        False,
    ),
    ("securityGroups", GROUP, "securityGroups", {"ingress": [{"userIdGroupPairs": [{"groupId": "sg-0123"}]}]}, True),
    ("logGroups", LOG_GROUP, "eventRules", {"targets": [{"arn": f"{LOG_GROUP.attrs['arn']}:*"}]}, True),
    ("logGroups", LOG_GROUP, "eventRules", {"targets": [{"arn": f"{LOG_GROUP.attrs['arn']}b"}]}, False),
]


class Silent:
    def call(self, call: Any) -> Any:
        raise AssertionError(call)


def found(section: str, live: Live, kinds: Mapping[str, Kind]) -> Mapping[tuple[str, str], Sequence[Any]]:
    removal = ResourcePlan(
        address=Address(section, live.physical),
        verb=Verb.DELETE,
        physical=live.physical,
        before=None,
        after=None,
        removed_objects=(live,),
    )
    used, refused = find_dependents(
        Reader(Silent(), parallelism=0), kinds, SCOPE, Plan(scope=SCOPE, resources=(removal,))
    )
    assert not refused
    return used


def telling(section: str, *told: Referrer) -> dict[str, Kind]:
    """The kinds, of which only one tells anything."""

    def tell(_: Scope, __: Mapping[str, Sequence[Live]]) -> Reads[Sequence[Referrer]]:
        yield ()
        return told

    silent = {name: replace(kind, dependents=(), referrers=None) for name, kind in KINDS.items()}
    return {**silent, section: replace(silent[section], referrers=tell)}


@pytest.mark.parametrize(("section", "live", "by", "props", "counts"), FOUND)
def test_a_reference_is_found_however_it_is_written(
    section: str, live: Live, by: str, props: dict[str, Any], counts: bool
) -> None:
    told = Referrer(props=props, text="thing x", arn="arn:aws:x", hint="h")
    used = found(section, live, telling(by, told))
    assert [user.text for user in used.get((section, live.physical), ())] == (["thing x names it"] if counts else [])


def test_what_refers_to_itself_does_not_count() -> None:
    rules = {"ingress": [{"userIdGroupPairs": [{"groupId": "sg-0123"}]}]}
    told = Referrer(props=rules, text="security group web", arn=GROUP.attrs["arn"])
    assert found("securityGroups", GROUP, telling("securityGroups", told)) == {}


def test_a_revision_goes_on_naming_what_it_was_registered_with() -> None:
    """Whatever the definition of its name is declared with now."""
    told = Referrer(props={"containerProperties": {"jobRoleArn": "Job"}}, text="job definition etl:1", arn="arn:aws:x")
    (user,) = found("roles", ROLE, telling("jobDefinitions", told))["roles", "Job"]
    assert not user.words


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.refs], ids=lambda kind: kind.section)
def test_every_kind_that_refers_to_others_tells_what_in_the_account_does(kind: Kind) -> None:
    """Or the kinds that it refers to ask for it themselves. A principal of a document is no user: nothing of the role's
    owner breaks, and AWS keeps the document.
    """
    if kind.referrers is None:
        refs = [ref for path, ref in kind.refs.items() if not (".Statement" in path and not ref.holds)]
        assert all(KINDS[section].dependents for ref in refs for section in ref.sections)
