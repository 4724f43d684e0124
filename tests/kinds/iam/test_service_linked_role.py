"""Service-linked roles: made sure of, and nothing else."""

from __future__ import annotations

import pytest

from reconciler.kinds.iam.service_linked_role import KIND
from reconciler.model import Address, Call, Diff, Live, On, Query, Refused, Scope, Sought, Want
from reconciler.planning.diff import difference

SCOPE = Scope(account="123456789012", region="eu-west-1", partition="aws", environment="e")
BATCH = "batch.amazonaws.com"
BATCH_ARN = "arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
LEX = "lex.amazonaws.com"


def want(name=BATCH, **props):
    return Want(
        address=Address("serviceLinkedRoles", name),
        physical=name,
        declared=props,
        props=props,
        tags={},
        attrs=KIND.attrs(SCOPE, name, props),
        scope=SCOPE,
    )


def role(name, service):
    return {
        "RoleName": name,
        "Arn": f"arn:aws:iam::123456789012:role/aws-service-role/{service}/{name}",
        "Description": "d",
    }


def find(answer, *sought, owned=True):
    """What is found, and the calls that were made."""
    reads = KIND.read(Query(SCOPE, sought, owned))
    try:
        calls = next(reads)
        reads.send(tuple(map(answer, calls)))
    except StopIteration as end:
        return list(end.value), [] if not sought else calls
    raise AssertionError("one round is enough")


def test_a_role_that_is_known_here_is_asked_for_by_name():
    found, calls = find(lambda _: {"Role": role("AWSServiceRoleForBatch", BATCH)}, Sought(BATCH))

    assert calls == (Call("iam", "GetRole", {"RoleName": "AWSServiceRoleForBatch"}),)
    assert found == [
        Live(physical=BATCH, attrs={"name": "AWSServiceRoleForBatch", "arn": BATCH_ARN}, props={"description": "d"})
    ]


def test_another_is_looked_for_by_its_path():
    roles = {"Roles": [role("AWSServiceRoleForLexBots", LEX), role("AWSServiceRoleForLexBots_x", LEX)]}

    found, calls = find(lambda _: roles, Sought(LEX))
    suffixed, _ = find(lambda _: roles, Sought(LEX, {"customSuffix": "x"}))

    assert calls == (Call("iam", "ListRoles", {"PathPrefix": f"/aws-service-role/{LEX}/"}, all_pages=True),)
    assert [live.attrs["name"] for live in (*found, *suffixed)] == [
        "AWSServiceRoleForLexBots",
        "AWSServiceRoleForLexBots_x",
    ]


@pytest.mark.parametrize("reply", [Refused("NoSuchEntity", "no"), {"Roles": []}])
def test_one_that_is_not_there_is_not_found(reply):
    assert find(lambda _: reply, Sought(BATCH))[0] == []
    assert find(lambda _: reply)[0] == []


def test_creating_is_content_with_one_that_is_there():
    assert list(KIND.create(want())) == [
        Call(
            "iam",
            "CreateServiceLinkedRole",
            {"AWSServiceName": BATCH},
            captures={"name": "Role.RoleName", "arn": "Role.Arn"},
            retry_on=(On("ConcurrentModification"),),
            ok_if=(On("InvalidInput", "has been taken"),),
            patience=120.0,
        )
    ]
    taken = Refused(
        "InvalidInput",
        "Service role name AWSServiceRoleForBatch has been taken in this account, please try a different suffix.",
    )
    assert KIND.create(want())[0].ok_if[0].matches(taken)


def test_what_is_given_is_sent():
    (made,) = KIND.create(want("autoscaling.amazonaws.com", description="d", customSuffix="x"))

    assert made.params == {"AWSServiceName": "autoscaling.amazonaws.com", "Description": "d", "CustomSuffix": "x"}


def test_it_is_never_changed_tagged_or_deleted():
    live = Live(physical=BATCH, attrs={"name": "n", "arn": BATCH_ARN}, props={"description": "theirs"})
    found, _, _ = difference(KIND, live, want(description="ours"))

    assert not found
    assert KIND.shared
    assert list(KIND.update(live, want(), Diff())) == []
    assert list(KIND.delete(live, {})) == []
    assert list(KIND.tag(live, {"a": "b"}, ["c"])) == []


def test_names_that_follow_no_rule_are_known_or_left_to_aws():
    assert KIND.attrs(SCOPE, BATCH, {}) == {"name": "AWSServiceRoleForBatch", "arn": BATCH_ARN}
    assert (
        KIND.attrs(SCOPE, "autoscaling.amazonaws.com", {"customSuffix": "x"})["name"]
        == "AWSServiceRoleForAutoScaling_x"
    )
    assert KIND.attrs(SCOPE, LEX, {}) == {}
    assert KIND.assigned_by_aws == {"name", "arn"}


@pytest.mark.parametrize(
    ("name", "props", "message"),
    [
        ("AWSServiceRoleForBatch", {}, "not a service principal"),
        ("batchs.amazonaws.com", {}, "unknown service principal"),
        (BATCH, {"customSuffix": "x"}, "cannot have a suffix"),
        ("autoscaling.amazonaws.com", {"customSuffix": "a b"}, "is not a valid suffix"),
    ],
)
def test_a_mistake_is_found(name, props, message):
    (found,) = KIND.check(name, props)

    assert message in found.message
    assert found.hint


def test_what_is_right_is_left_in_peace():
    assert list(KIND.check(BATCH, {"description": "d"})) == []
