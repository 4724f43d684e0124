"""What replies about many things are trusted for: kinds compare from what AWS sends in them, and the sandbox sends no more.

The table stands in ``tests/data/bulk_reads.yaml``. The replies are recorded from a sandbox with something of every kind
in it; then every kind reads again from replies of which only the trusted members are left, and from replies in which
all others have a wrong value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from reconciler.account.reader import Reader
from reconciler.kinds import discover
from reconciler.model import OWNER_TAG, Call, Environment, Live, Query, Reply, Scope, Sought, compact
from tests.conftest import fresh
from tests.support.histories import History
from tests.support.tables import cases

TABLE: Mapping[str, Any] = cases(Path(__file__).parents[1] / "data" / "bulk_reads.yaml")
# calls about one thing, or about what the call itself names
ABOUT_ONE = ("Get", "DescribeSecret", "DescribeRule", "DescribeConsumableResource", "DescribeQuotaShare", "ListTags")
NEVER_OWNED = "serviceLinkedRoles"
WRONG = "not what AWS sends"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
BATCH = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "batch.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
SCHEDULER = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
ML = {"capacityUnit": "ml.m5.large", "maxCapacity": 4}

WAYS: Mapping[str, Mapping[str, bool]] = {
    "in bulk": {"owned": True},
    "without the index": {"owned": True, "indexed": False},
    "undeclared": {"owned": True},
    "by name": {},
    "briefly": {"brief": True},
}

STACK: Mapping[str, Mapping[str, Any]] = {
    "roles": {
        "r": {
            "assumeRolePolicyDocument": TRUST,
            "description": "a role",
            "maxSessionDuration": 7200,
            "permissionsBoundary": "p",
            "managedPolicies": ["p"],
            "inlinePolicies": {"i": DOCUMENT},
        },
        "for-schedules": {"assumeRolePolicyDocument": SCHEDULER},
        "s": {"assumeRolePolicyDocument": BATCH, "managedPolicies": ["service-role/AWSBatchServiceRole"]},
    },
    "policies": {"p": {"policyDocument": DOCUMENT, "description": "a policy"}, "q": {"policyDocument": DOCUMENT}},
    "instanceProfiles": {"ip": {"role": "r"}, "empty": {}},
    "keyPairs": {"k": {"publicKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICQhSMv3YxO+yHEubNeW7C/sLiSRbwNwVch7mj6mmeVn"}},
    "placementGroups": {"pg": {"strategy": "spread"}},
    "securityGroups": {
        "sg": {
            "description": "a group",
            "ingress": [{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "ipRanges": [{"cidrIp": "10.0.0.0/8"}]}],
        }
    },
    "launchTemplates": {"nodes": {"versionDescription": "one", "launchTemplateData": {"ebsOptimized": True}}},
    "repositories": {name: {"imageTagMutability": "IMMUTABLE"} for name in ("repo", "other")},
    "logGroups": {"/lg": {"retentionInDays": 7}},
    "topics": {
        "t": {
            "attributes": {"KmsMasterKeyId": "alias/a", "HTTPSuccessFeedbackSampleRate": "5"},
            "dataProtectionPolicy": {"Name": "g", "Version": "2021-06-01", "Statement": []},
            "subscriptions": [{"protocol": "email", "endpoint": "a@example.com"}],
        }
    },
    "eventRules": {
        name: {"eventPattern": {"source": ["aws.batch"]}, "description": name, "targets": [{"id": "1", "arn": "t"}]}
        for name in ("er-1", "er-2")
    },
    "scheduleGroups": {"g": {}},
    "schedules": {
        "sch": {
            "groupName": "g",
            "scheduleExpression": "rate(1 day)",
            "state": "DISABLED",
            "target": {"arn": "t", "roleArn": "for-schedules", "input": {"a": 1}},
        }
    },
    "secrets": {"s": {"description": "a secret"}},
    "consumableResources": {"c": {"totalQuantity": 5}},
    "schedulingPolicies": {"fair": {"fairsharePolicy": {}}, "quota": {"quotaSharePolicy": {"idleResourceAssignmentStrategy": "FIFO"}}},
    "serviceEnvironments": {"se": {"serviceEnvironmentType": "SAGEMAKER_TRAINING", "capacityLimits": [ML]}},
    "computeEnvironments": {"ce": {"type": "UNMANAGED", "serviceRole": "s"}},
    "jobQueues": {
        "jq": {"priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "ce"}]},
        "training": {
            "priority": 1,
            "jobQueueType": "SAGEMAKER_TRAINING",
            "serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "se"}],
            "schedulingPolicyArn": "quota",
        },
    },
    "quotaShares": {
        "training/qs": {
            "capacityLimits": [ML],
            "resourceSharingConfiguration": {"strategy": "LEND_AND_BORROW"},
            "preemptionConfiguration": {"inSharePreemption": "ENABLED"},
        }
    },
    "jobDefinitions": {"jd": {"type": "container", "containerProperties": {"image": "alpine", "vcpus": 1, "memory": 128}}},
}  # fmt: skip


Key = tuple[str, str]
"""Operation and parameters of a call."""


@dataclass(slots=True)
class Recorded:
    """Gives the replies of an account again, after ``edit``."""

    replies: Mapping[Key, Reply]
    edit: Callable[[str, Reply], Reply]

    def call(self, call: Call) -> Reply:
        assert _key(call) in self.replies, f"{call} {call.params} was not asked before"
        return self.edit(_key(call)[0], self.replies[_key(call)])


@dataclass(slots=True)
class Recording:
    """Makes calls, and records their replies."""

    aws: Any
    replies: dict[Key, Reply] = field(default_factory=dict)

    def call(self, call: Call) -> Reply:
        self.replies[_key(call)] = reply = self.aws.call(call)
        return reply


def _key(call: Call) -> Key:
    return f"{call.service}.{call.operation}", f"{call.all_pages}{compact(call.params)}"


@dataclass(frozen=True, slots=True)
class Account:
    """What an account with something of every kind replied, and what was read from it."""

    env: Environment
    scope: Scope
    replies: Mapping[Key, Reply]
    lives: Mapping[Any, list[Live]]

    def again(self, edit: Callable[[str, Reply], Reply]) -> Mapping[Any, list[Live]]:
        """What is read from the edited replies."""
        return read_all(Recorded(self.replies, edit), self.env, self.scope)


def read_all(aws: Any, env: Environment, scope: Scope) -> dict[Any, list[Live]]:
    """What every kind reads, by section and way."""
    found = {}
    for name, way in WAYS.items():
        reader = Reader(aws, parallelism=0)
        for section, kind in discover().items():
            declared = [(a.name, one.props) for a, one in env.resources.items() if a.section == section]
            sought = tuple(Sought(one) if name == "briefly" else Sought(one, props) for one, props in declared)
            query = Query(scope, () if name == "undeclared" else sought, declared=frozenset({section}), **way)
            found[section, name] = list(reader.drive(kind.read(query)))
    return found


@pytest.fixture(scope="module")
def account(_attached: Any) -> Account:
    fresh(_attached.sandbox)
    history = History(_attached, "all")
    env = history.environment(STACK)
    outcome = history.run(env)
    assert outcome.ok, history.failures()
    assert history.scope
    history.sandbox.clock.advance(3600)
    recording = Recording(history.aws)
    lives = read_all(recording, env, history.scope)
    _attached.sandbox.reset()
    return Account(env, history.scope, recording.replies, lives)


# --- the table -------------------------------------------------------------------------------------------------------


@cache
def _shape(operation: str) -> Any:
    service, name = operation.split(".")
    return botocore.session.get_session().get_service_model(service).operation_model(name).output_shape


def _items(shape: Any, place: str) -> Any:
    """The structure of the items at a place of a reply."""
    for step in place.split("."):
        shape = shape.members[step]
        while shape.type_name == "list":
            shape = shape.member
    return shape


@pytest.mark.parametrize("operation", TABLE)
def test_the_table_names_members_of_the_reply(operation):
    entry = TABLE[operation]

    assert entry["source"]
    assert all(one.startswith("https://") for one in entry["source"])
    for listed in (entry["sends"], entry.get("may send", {})):
        for place, members in listed.items() if isinstance(listed, Mapping) else ():
            assert set(members) <= set(_items(_shape(operation), place).members), place


def test_every_reply_about_many_things_is_in_the_table(account):
    asked = {operation for operation, _ in account.replies if not operation.split(".")[1].startswith(ABOUT_ONE)}

    assert asked - TABLE.keys() == set()


def test_something_of_every_kind_is_read(account):
    assert {section for (section, _), lives in account.lives.items() if lives} == discover().keys() - {NEVER_OWNED}


@pytest.mark.parametrize("section", sorted(discover().keys() - {NEVER_OWNED}))
def test_what_is_declared_does_not_limit_what_is_read(account, section):
    """A property that is left out means the default: so it is read where it is not declared, too."""
    declared, undeclared = (
        {live.physical: live.props for live in account.lives[section, way]} for way in ("in bulk", "undeclared")
    )

    assert declared == undeclared


# --- kinds and sandbox -----------------------------------------------------------------------------------------------


def _kept(value: Any, place: str, sends: Mapping[str, Any]) -> Any:
    """A reply without the members that are not sent."""
    if isinstance(value, list):
        return [_kept(item, place, sends) for item in value]
    if not isinstance(value, Mapping):
        return value
    names = sends.get(place, value)
    return {
        name: _kept(item, f"{place}.{name}".lstrip("."), sends)
        for name, item in value.items()
        if name in names or f"{place}.{name}".lstrip(".") in sends
    }


def _spoilt(value: Any, place: str, entry: Mapping[str, Any], shape: Any) -> Any:
    """A reply with a wrong value for every member that means nothing."""
    if isinstance(value, list):
        return [_spoilt(item, place, entry, shape.member) for item in value]
    if not isinstance(value, Mapping) or shape.type_name != "structure":
        return value
    done = {name: _spoilt(item, f"{place}.{name}".lstrip("."), entry, shape.members[name]) for name, item in value.items() if name in shape.members}  # fmt: skip
    sends = entry["sends"]
    if place not in sends:
        return done
    known = {*sends[place], *entry.get("may send", {}).get(place, ())}
    known |= {name for name in shape.members if f"{place}.{name}" in sends}
    return done | {name: _wrong(member) for name, member in shape.members.items() if name not in known}


def _wrong(shape: Any) -> Any:
    """A value that a kind would show if it trusted it."""
    if "tag" in shape.name.lower() and shape.type_name == "list":
        return [{"Key": OWNER_TAG, "Value": WRONG}]
    if shape.type_name == "list":
        return [_wrong(shape.member)]
    if shape.type_name == "structure":
        return {name: _wrong(member) for name, member in shape.members.items()}
    if shape.type_name == "map":
        return {WRONG: WRONG}
    return {"boolean": True, "integer": 99, "long": 99}.get(shape.type_name, WRONG)


def test_the_sandbox_sends_what_aws_sends_and_no_more(account):
    more = {
        operation
        for (operation, _), reply in account.replies.items()
        if (sends := TABLE.get(operation, {}).get("sends", "all")) != "all" and _kept(reply, "", sends) != reply
    }

    assert more == set()


def test_what_is_sent_is_enough(account):
    def edit(operation: str, reply: Reply) -> Reply:
        sends = TABLE.get(operation, {}).get("sends", "all")
        return reply if sends == "all" else _kept(reply, "", sends)

    assert account.again(edit) == account.lives


def test_nothing_else_is_trusted(account):
    def edit(operation: str, reply: Reply) -> Reply:
        entry = TABLE.get(operation, {"sends": "all"})
        return reply if entry["sends"] == "all" else _spoilt(reply, "", entry, _shape(operation))

    assert account.again(edit) == account.lives
