"""Instance profiles: one role at a time."""

from __future__ import annotations

import pytest

from reconciler.kinds.iam.instance_profile import KIND, NOT_VISIBLE_YET
from reconciler.model import (
    OWNER_TAG,
    Address,
    Call,
    Effect,
    Live,
    On,
    Query,
    Reference,
    Refused,
    Scope,
    Sought,
    Template,
    Want,
)
from reconciler.planning.canonical import with_defaults
from reconciler.planning.diff import difference

SCOPE = Scope(account="123456789012", region="eu-west-1", partition="aws", environment="e")
TAG_LIST = [{"Key": OWNER_TAG, "Value": "e"}]
GONE = (On("NoSuchEntity"),)
BUSY = On("ConcurrentModification")
ROLE_ARN = "arn:aws:iam::123456789012:role/some/path/r"


def call(operation, retry=(), ok_if=(), **params):
    return Call("iam", operation, params, retry_on=(BUSY, *retry), ok_if=ok_if, patience=120.0)


def want(**props):
    return Want(
        address=Address("instanceProfiles", "p"),
        physical="p",
        declared=props,
        props=with_defaults(KIND, props),
        tags={OWNER_TAG: "e"},
        attrs=KIND.attrs(SCOPE, "p", props),
        scope=SCOPE,
    )


def live(**props):
    return Live(physical="p", attrs=KIND.attrs(SCOPE, "p", props), props={"path": "/", **props}, tags={OWNER_TAG: "e"})


PROFILES = {
    "p": {"Path": "/a/", "Roles": [{"RoleName": "r"}], "Tags": []},
    "Mine": {"Path": "/", "Roles": [], "Tags": TAG_LIST},
    "foreign": {"Path": "/", "Roles": [], "Tags": [{"Key": OWNER_TAG, "Value": "another"}]},
}


ROLES = [
    {"RoleName": "r", "InstanceProfileList": [{"InstanceProfileName": "p", "Path": "/a/"}]},
    {"RoleName": "s", "InstanceProfileList": [{"InstanceProfileName": "foreign", "Path": "/"}]},
]


def answer(made):
    if made.operation == "GetAccountAuthorizationDetails":
        return {"RoleDetailList": ROLES}
    if made.operation == "ListInstanceProfiles":
        return {"InstanceProfiles": [{"InstanceProfileName": name} for name in PROFILES]}
    name = made.params["InstanceProfileName"]
    if name not in PROFILES:
        return Refused("NoSuchEntity", f"Instance Profile {name} cannot be found.")
    return {"InstanceProfile": {"InstanceProfileName": name, "Arn": "x", **PROFILES[name]}}


def find(*names, owned=False):
    reads = KIND.read(Query(SCOPE, tuple(map(Sought, names)), owned))
    try:
        calls = next(reads)
        while True:
            calls = reads.send(tuple(map(answer, calls)))
    except StopIteration as end:
        return list(end.value)


def test_a_profile_is_read_with_its_role_and_tags():
    assert find("p", "nothing", "not a name") == [
        Live(
            physical="p",
            attrs={"name": "p", "arn": "arn:aws:iam::123456789012:instance-profile/a/p"},
            props={"path": "/a/", "role": "r"},
        )
    ]


def test_what_is_owned_is_found_beside_what_is_sought():
    assert [profile.physical for profile in find("P", owned=True)] == ["p", "Mine"]
    assert find() == []


@pytest.mark.parametrize(("shown", "more"), [(TAG_LIST, []), ([], ["GetInstanceProfile"] * 2)])
def test_details_that_show_tags_are_enough(monkeypatch, shown, more):
    asked, by_itself = [], answer

    def reply(made):
        asked.append(made.operation)
        if made.operation == "GetAccountAuthorizationDetails":
            held = {"InstanceProfileName": "p", "Path": "/a/", "Tags": shown}
            return {"RoleDetailList": [{"RoleName": "r", "InstanceProfileList": [held]}, *ROLES[1:]]}
        return by_itself(made)

    monkeypatch.setitem(globals(), "answer", reply)
    monkeypatch.delitem(PROFILES, "Mine")
    monkeypatch.setitem(PROFILES, "p", {**PROFILES["p"], "Tags": TAG_LIST})

    (found,) = find("p", owned=True)

    assert (found.props, found.tags) == ({"path": "/a/", "role": "r"}, {OWNER_TAG: "e"})
    assert asked == ["GetAccountAuthorizationDetails", "ListInstanceProfiles", *more]


def test_creating():
    assert list(KIND.create(want())) == [call("CreateInstanceProfile", InstanceProfileName="p", Tags=TAG_LIST)]
    assert list(KIND.create(want(path="/a/", role=ROLE_ARN))) == [
        call("CreateInstanceProfile", InstanceProfileName="p", Path="/a/", Tags=TAG_LIST),
        call("AddRoleToInstanceProfile", NOT_VISIBLE_YET, InstanceProfileName="p", RoleName="r"),
    ]


REMOVE = call("RemoveRoleFromInstanceProfile", ok_if=GONE, InstanceProfileName="p", RoleName="old")
ADD = call("AddRoleToInstanceProfile", NOT_VISIBLE_YET, InstanceProfileName="p", RoleName="new")


@pytest.mark.parametrize(
    ("before", "after", "calls"),
    [
        ({"role": "old"}, {"role": "new"}, [REMOVE, ADD]),
        ({}, {"role": "new"}, [ADD]),
        ({"role": "old"}, {}, [REMOVE]),
    ],
)
def test_the_role_is_taken_out_before_another_goes_in(before, after, calls):
    found, _, _ = difference(KIND, live(**before), want(**after))

    assert [change.path for change in found.changes] == [("role",)]
    assert list(KIND.update(live(**before), want(**after), found)) == calls


def test_the_arn_of_a_role_means_its_name():
    found, _, _ = difference(KIND, live(role="r"), want(role=ROLE_ARN))

    assert not found
    assert KIND.expand({"role": ROLE_ARN, "path": "/"}) == {"role": "r", "path": "/"}


def test_another_path_is_another_profile():
    found, _, _ = difference(KIND, live(), want(path="/a/"))

    assert [(change.path, change.effect) for change in found.changes] == [(("path",), Effect.REPLACE)]
    assert list(KIND.update(live(), want(path="/a/"), found)) == []
    assert "its dependents switch" in KIND.disruption(live(), want(), found)


def test_a_moment_without_a_role_is_announced():
    found, _, _ = difference(KIND, live(role="old"), want(role="new"))
    added, _, _ = difference(KIND, live(), want(role="new"))

    assert "no role" in KIND.disruption(live(role="old"), want(role="new"), found)
    assert KIND.disruption(live(), want(role="new"), added) == "not affected"


def test_deleting_takes_the_role_out_first():
    drop = call("DeleteInstanceProfile", (On("DeleteConflict"),), ok_if=GONE, InstanceProfileName="p")

    assert list(KIND.delete(live(role="old"), {})) == [REMOVE, drop]
    assert list(KIND.delete(live(), {})) == [drop]


def test_tags():
    assert list(KIND.tag(live(), {"a": "1"}, ["z"])) == [
        call("UntagInstanceProfile", InstanceProfileName="p", TagKeys=["z"]),
        call("TagInstanceProfile", InstanceProfileName="p", Tags=[{"Key": "a", "Value": "1"}]),
    ]
    assert list(KIND.tag(live(), {}, [])) == []


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("arn:aws:iam::123456789012:instance-profile/r", "not the ARN of a role"),
        ("a/b", "is not a valid role name"),
        (["a", "b"], "one role"),
    ],
)
def test_a_role_that_cannot_be_one(role, message):
    (found,) = KIND.check("p", KIND.expand({"role": role}))

    assert found.path == ("role",)
    assert message in found.message


def test_what_is_right_or_not_known_yet_is_left_in_peace():
    expression = Template((Reference(root="lookups", text="${lookups.x}", attr="x"),))

    assert list(KIND.check("p", {"role": "r", "path": "/a/"})) == []
    assert list(KIND.check("p", KIND.expand({"role": expression}))) == []
    assert KIND.attrs(SCOPE, "p", {"path": expression})["name"] == "p"
