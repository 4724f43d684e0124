"""IAM roles: reading from replies, and the exact calls of every change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.kinds.iam.role import KIND
from reconciler.model import (
    EMPTY,
    OWNER_TAG,
    Address,
    Call,
    Effect,
    JsonText,
    Later,
    Live,
    On,
    Query,
    Reference,
    Refused,
    Scope,
    Sought,
    Template,
    Unreadable,
    Want,
)
from reconciler.planning.canonical import with_defaults
from reconciler.planning.diff import difference

SCOPE = Scope(account="123456789012", region="eu-west-1", partition="aws", environment="e")
TAGS = {OWNER_TAG: "e"}
TAG_LIST = [{"Key": OWNER_TAG, "Value": "e"}]
GONE = (On("NoSuchEntity"),)
BUSY = On("ConcurrentModification")
NEW_ROLE = On("NoSuchEntity", "role with name")
NEW_POLICY = On("NoSuchEntity", "does not exist or is not attachable")
NOT_THERE = Refused("NoSuchEntity", "The role with name r cannot be found.")
SNS = "arn:aws:iam::aws:policy/AmazonSNSFullAccess"
OWN = "arn:aws:iam::123456789012:policy/own"
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def call(operation, retry=(), ok_if=(), patience=120.0, **params):
    return Call("iam", operation, params, retry_on=(BUSY, *retry), ok_if=ok_if, patience=patience)


def want(**props):
    given = {"trust": "ec2.amazonaws.com"} | props
    declared = KIND.expand({name: value for name, value in given.items() if value is not None})
    return Want(
        address=Address("roles", "r"),
        physical="r",
        declared=declared,
        props=with_defaults(KIND, declared),
        tags=TAGS,
        attrs=KIND.attrs(SCOPE, "r", declared),
        scope=SCOPE,
    )


def live(extra=EMPTY, **props):
    return Live(
        physical="r",
        attrs={"name": "r", "arn": "arn:aws:iam::123456789012:role/r"},
        props={"path": "/", "maxSessionDuration": 3600, "assumeRolePolicyDocument": TRUST, **props},
        tags=TAGS,
        extra=extra,
    )


def updated(before, after):
    found, _, _ = difference(KIND, before, after)
    return list(KIND.update(before, after, found))


# --- reading ---------------------------------------------------------------------------------------------------------


def drive(reads, replies):
    """Runs a read against a function from call to reply; gives what it found, and the calls of each round."""
    rounds = []
    try:
        calls = next(reads)
        while True:
            rounds.append(
                [
                    (made.operation, *[made.params[k] for k in ("RoleName", "PolicyName") if k in made.params])
                    for made in calls
                ]
            )
            calls = reads.send(tuple(replies(made) for made in calls))
    except StopIteration as end:
        return list(end.value), rounds


ROLE = {
    "Path": "/p/",
    "RoleName": "r",
    "RoleId": "AROAEXAMPLEEXAMPLE12",
    "Arn": "AROAEXAMPLEEXAMPLE12",
    "AssumeRolePolicyDocument": TRUST,
    "Description": "what for",
    "MaxSessionDuration": 7200,
    "PermissionsBoundary": {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": OWN},
    "Tags": [{"Key": OWNER_TAG, "Value": "e"}, {"Key": "team", "Value": "hpc"}],
}
LISTED = {name: ROLE[name] for name in ROLE if name not in ("Tags", "PermissionsBoundary")}
IN_BULK = {name: ROLE[name] for name in ROLE if name not in ("Description", "MaxSessionDuration")} | {
    "AttachedManagedPolicies": [{"PolicyName": "s", "PolicyArn": SNS}, {"PolicyName": "own", "PolicyArn": OWN}],
    "RolePolicyList": [{"PolicyName": "in", "PolicyDocument": DOCUMENT}],
    "InstanceProfileList": [{"InstanceProfileName": "prof"}],
}
REPLIES = {
    "GetAccountAuthorizationDetails": {
        "RoleDetailList": [
            {**IN_BULK, "RoleName": "r"},
            {**IN_BULK, "RoleName": "R2", "Tags": TAG_LIST},
            {**IN_BULK, "RoleName": "other", "Tags": [{"Key": OWNER_TAG, "Value": "another"}]},
            {**IN_BULK, "RoleName": "plain", "Tags": []},
        ]
    },
    "ListRoles": {"Roles": [{**LISTED, "RoleName": name} for name in ("other", "plain", "r")]},
    "ListAttachedRolePolicies": {"AttachedPolicies": [{"PolicyName": "s", "PolicyArn": SNS}, {"PolicyName": "own", "PolicyArn": OWN}]},
    "ListRolePolicies": {"PolicyNames": ["in"]},
    "ListInstanceProfilesForRole": {"InstanceProfiles": [{"InstanceProfileName": "prof"}]},
    "GetRolePolicy": {"RoleName": "r", "PolicyName": "in", "PolicyDocument": DOCUMENT},
}  # fmt: skip


def answer(made):
    if made.operation == "GetRole":
        return {"Role": {**ROLE, "RoleName": made.params["RoleName"]}}
    return REPLIES[made.operation]


def test_a_role_is_read_with_all_that_hangs_on_it():
    (found,), rounds = drive(KIND.read(Query(SCOPE, (Sought("r"),))), answer)

    assert found == Live(
        physical="r",
        attrs={"name": "r", "arn": "arn:aws:iam::123456789012:role/p/r"},
        props={
            "path": "/p/",
            "assumeRolePolicyDocument": TRUST,
            "description": "what for",
            "maxSessionDuration": 7200,
            "permissionsBoundary": OWN,
            "managedPolicies": [OWN, SNS],
            "inlinePolicies": {"in": DOCUMENT},
        },
        tags={OWNER_TAG: "e", "team": "hpc"},
        extra={"profiles": ["prof"]},
    )
    assert rounds == [
        [("GetRole", "r")],
        [("ListAttachedRolePolicies", "r"), ("ListRolePolicies", "r"), ("ListInstanceProfilesForRole", "r")],
        [("GetRolePolicy", "r", "in")],
    ]


def test_what_is_owned_is_found_beside_what_is_sought():
    found, rounds = drive(KIND.read(Query(SCOPE, (Sought("r"),), owned=True)), answer)

    assert [role.physical for role in found] == ["r", "R2"]
    assert rounds == [[("GetAccountAuthorizationDetails",), ("GetRole", "r")], [("GetRole", "R2")]]


def test_a_role_is_the_same_read_in_bulk_and_by_itself():
    one, _ = drive(KIND.read(Query(SCOPE, (Sought("r"),))), answer)
    bulk, _ = drive(KIND.read(Query(SCOPE, (Sought("r"),), owned=True)), answer)
    listed, rounds = drive(KIND.read(Query(SCOPE, (Sought("r"), Sought("plain")), owned=True)), answer)

    assert one[0] == bulk[0] == listed[0]
    assert rounds == [[("GetAccountAuthorizationDetails",), ("ListRoles",)], [("GetRole", "R2")]]


def test_roles_are_listed_on_while_that_takes_fewer_calls_than_asking_for_each():
    names = [f"n{i:04}" for i in range(2500)]
    roles = [{**LISTED, "RoleName": name} for name in names]

    def reply(made):
        if made.operation == "GetAccountAuthorizationDetails":
            return {"RoleDetailList": [{**IN_BULK, "RoleName": name, "Tags": []} for name in names]}
        if made.operation == "GetRole":
            return {"Role": {**ROLE, "RoleName": made.params["RoleName"]}}
        start = int(made.params.get("Marker", 0))
        more = {"Marker": str(start + 1000)} if start + 1000 < len(roles) else {}
        return {"Roles": roles[start : start + 1000], **more}

    def calls(*sought):
        found, rounds = drive(KIND.read(Query(SCOPE, tuple(map(Sought, sought)), owned=True)), reply)
        assert sorted(role.physical for role in found) == sorted(sought)
        return [made[0] for calls in rounds for made in calls][1:]

    assert calls(*names[:9]) == ["ListRoles"]
    assert calls(names[0], names[-1]) == ["ListRoles", "GetRole"]
    assert calls(*names[-9:]) == ["ListRoles"] * 3


def test_a_role_that_is_only_named_is_told_by_what_is_read_anyway():
    found, rounds = drive(KIND.read(Query(SCOPE, (Sought("PLAIN"), Sought("new")), brief=True)), answer)

    assert [role.attrs["arn"] for role in found] == [f"arn:aws:iam::123456789012:role/p/{n}" for n in ("plain", "new")]
    assert rounds == [[("GetAccountAuthorizationDetails",)], [("GetRole", "new")]]


def test_a_name_in_another_case_is_the_same_role():
    found, _ = drive(KIND.read(Query(SCOPE, (Sought("r2"), Sought("PLAIN")), owned=True)), answer)

    assert sorted(role.physical for role in found) == ["R2", "plain", "r"]


def test_a_plain_role_has_only_what_it_has():
    bare = {"RoleName": "r", "Path": "/", "Arn": "a", "AssumeRolePolicyDocument": TRUST}
    replies = {
        "GetRole": {"Role": bare},
        "ListAttachedRolePolicies": {"AttachedPolicies": []},
        "ListRolePolicies": {"PolicyNames": []},
        "ListInstanceProfilesForRole": {"InstanceProfiles": []},
    }

    (found,), _ = drive(KIND.read(Query(SCOPE, (Sought("r"),))), lambda made: replies[made.operation])

    assert found.props == {"path": "/", "assumeRolePolicyDocument": TRUST}


@pytest.mark.parametrize("missing", ["GetRole", "ListRolePolicies"])
def test_a_role_that_is_not_there_is_not_found(missing):
    found, _ = drive(
        KIND.read(Query(SCOPE, (Sought("r"),))), lambda made: NOT_THERE if made.operation == missing else answer(made)
    )

    assert found == []


def test_an_inline_policy_that_vanished_is_left_out():
    (found,), _ = drive(
        KIND.read(Query(SCOPE, (Sought("r"),))),
        lambda made: NOT_THERE if made.operation == "GetRolePolicy" else answer(made),
    )

    assert "inlinePolicies" not in found.props


def test_what_cannot_be_a_name_is_not_asked_for():
    found, rounds = drive(KIND.read(Query(SCOPE, (Sought("not a name"),))), answer)

    assert (found, rounds) == ([], [])


def test_a_refusal_is_not_taken_for_absence():
    with pytest.raises(Unreadable):
        drive(KIND.read(Query(SCOPE, (), owned=True)), lambda _: Refused("AccessDenied", "no"))


# --- writing ---------------------------------------------------------------------------------------------------------


def test_creating_the_least():
    assert list(KIND.create(want())) == [
        call("CreateRole", RoleName="r", AssumeRolePolicyDocument=JsonText(TRUST), Tags=TAG_LIST),
    ]


def test_creating_everything():
    actions = KIND.create(
        want(
            path="/p/",
            description="d",
            maxSessionDuration=7200,
            permissionsBoundary=OWN,
            managedPolicies=[SNS, OWN, SNS],
            inlinePolicies={"in": {"Statement": DOCUMENT["Statement"]}},
        )
    )

    assert list(actions) == [
        call(
            "CreateRole",
            (NEW_POLICY,),
            RoleName="r",
            AssumeRolePolicyDocument=JsonText(TRUST),
            Path="/p/",
            Description="d",
            MaxSessionDuration=7200,
            PermissionsBoundary=OWN,
            Tags=TAG_LIST,
        ),
        call("AttachRolePolicy", (NEW_ROLE,), RoleName="r", PolicyArn=SNS),
        call("AttachRolePolicy", (NEW_ROLE, NEW_POLICY), RoleName="r", PolicyArn=OWN),
        call("PutRolePolicy", (NEW_ROLE,), RoleName="r", PolicyName="in", PolicyDocument=JsonText(DOCUMENT)),
    ]


def test_a_principal_of_the_account_may_be_news_to_iam():
    document = {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:role/other"},
            "Action": "sts:AssumeRole",
        }
    }
    made = want(trust=None, assumeRolePolicyDocument=document)

    (created,) = KIND.create(made)
    (changed,) = updated(live(), made)

    refused = On("MalformedPolicyDocument", "Invalid principal in policy")
    assert refused in created.retry_on
    assert refused in changed.retry_on
    assert created.patience == 60


def trusting(*principals):
    return {"Effect": "Allow", "Principal": {"AWS": [*principals]}, "Action": "sts:AssumeRole"}


ITSELF, OTHER = "arn:aws:iam::123456789012:role/r", "arn:aws:iam::123456789012:role/other"
NOTHING = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}


@pytest.mark.parametrize(
    ("declared", "first"),
    [
        ([trusting(ITSELF)], [NOTHING]),
        ({**trusting(), "Principal": {"AWS": ITSELF}}, [NOTHING]),
        ([trusting(ITSELF, OTHER)], [trusting(OTHER)]),
        ([*TRUST["Statement"], trusting(ITSELF)], TRUST["Statement"]),
        (
            [{**trusting(), "Principal": {"AWS": [ITSELF], "Service": "ec2.amazonaws.com"}}],
            [{**trusting(), "Principal": {"Service": ["ec2.amazonaws.com"]}}],
        ),
    ],
)
def test_a_role_that_trusts_itself_is_created_without_that_and_updated(declared, first):
    document = {"Version": "2012-10-17", "Statement": declared}

    created, changed = KIND.create(want(trust=None, assumeRolePolicyDocument=document))

    assert (created.operation, created.params["AssumeRolePolicyDocument"].value["Statement"]) == ("CreateRole", first)
    assert (changed.operation, changed.params["PolicyDocument"]) == ("UpdateAssumeRolePolicy", JsonText(document))
    assert On("MalformedPolicyDocument", "Invalid principal in policy") in changed.retry_on


def test_a_role_is_created_without_those_that_wait_for_it():
    document = {"Version": "2012-10-17", "Statement": [trusting(OTHER)]}
    wanted = want(trust=None, assumeRolePolicyDocument=document)

    assert len(KIND.create(wanted)) == 1
    created, changed = KIND.create(replace(wanted, deferred=frozenset({OTHER})))
    assert created.params["AssumeRolePolicyDocument"].value["Statement"] == [NOTHING]
    assert changed.params["PolicyDocument"] == JsonText(document)


CHANGES = [
    ({}, {"description": "d"}, [call("UpdateRole", RoleName="r", Description="d")]),
    ({"description": "d"}, {}, [call("UpdateRole", RoleName="r", Description="")]),
    ({"maxSessionDuration": 7200}, {}, [call("UpdateRole", RoleName="r", MaxSessionDuration=3600)]),
    ({}, {"maxSessionDuration": 7200, "description": "d"}, [call("UpdateRole", RoleName="r", Description="d", MaxSessionDuration=7200)]),
    (
        {},
        {"permissionsBoundary": OWN},
        [call("PutRolePermissionsBoundary", (NEW_POLICY,), RoleName="r", PermissionsBoundary=OWN)],
    ),
    ({"permissionsBoundary": OWN}, {}, [call("DeleteRolePermissionsBoundary", ok_if=GONE, RoleName="r")]),
    (
        {"managedPolicies": [OWN]},
        {"managedPolicies": [SNS]},
        [
            call("AttachRolePolicy", (NEW_ROLE,), RoleName="r", PolicyArn=SNS),
            call("DetachRolePolicy", ok_if=GONE, RoleName="r", PolicyArn=OWN),
        ],
    ),
    ({"managedPolicies": [OWN]}, {}, [call("DetachRolePolicy", ok_if=GONE, RoleName="r", PolicyArn=OWN)]),
    (
        {"inlinePolicies": {"old": DOCUMENT}},
        {"inlinePolicies": {"new": DOCUMENT}},
        [
            call("PutRolePolicy", (NEW_ROLE,), RoleName="r", PolicyName="new", PolicyDocument=JsonText(DOCUMENT)),
            call("DeleteRolePolicy", ok_if=GONE, RoleName="r", PolicyName="old"),
        ],
    ),
    (
        {"inlinePolicies": {"in": {**DOCUMENT, "Version": "2008-10-17"}, "same": DOCUMENT}},
        {"inlinePolicies": {"in": DOCUMENT, "same": {"Statement": DOCUMENT["Statement"][0]}}},
        [call("PutRolePolicy", (NEW_ROLE,), RoleName="r", PolicyName="in", PolicyDocument=JsonText(DOCUMENT))],
    ),
    ({"inlinePolicies": {"in": DOCUMENT}}, {}, [call("DeleteRolePolicy", ok_if=GONE, RoleName="r", PolicyName="in")]),
    (
        {"assumeRolePolicyDocument": {**TRUST, "Statement": []}},
        {},
        [call("UpdateAssumeRolePolicy", RoleName="r", PolicyDocument=JsonText(TRUST))],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "calls"), CHANGES)
def test_one_call_for_each_thing_that_differs(before, after, calls):
    assert updated(live(**before), want(**after)) == calls


def test_room_is_made_before_the_quota_is_reached():
    arns = [f"arn:aws:iam::aws:policy/p{n}" for n in range(12)]

    calls = updated(live(managedPolicies=arns[:9]), want(managedPolicies=arns[3:12]))

    assert [(made.operation[:6], made.params["PolicyArn"][-2:]) for made in calls] == [
        ("Detach", "p0"),
        ("Detach", "p1"),
        ("Attach", "p9"),
        ("Attach", "10"),
        ("Attach", "11"),
        ("Detach", "p2"),
    ]


def test_another_path_is_another_role():
    found, _, _ = difference(KIND, live(), want(path="/p/"))

    assert [(change.path, change.effect) for change in found.changes] == [(("path",), Effect.REPLACE)]


SAME = [
    ({"managedPolicies": [SNS, OWN]}, {"managedPolicies": [OWN, SNS]}),
    ({"description": ""}, {}),
    ({"inlinePolicies": {}}, {}),
    ({}, {"maxSessionDuration": 3600, "path": "/", "managedPolicies": [], "description": ""}),
    ({"inlinePolicies": {"in": DOCUMENT}}, {"inlinePolicies": {"in": {"Statement": DOCUMENT["Statement"]}}}),
    (
        {"assumeRolePolicyDocument": {**TRUST, "Statement": [{**TRUST["Statement"][0], "Sid": "", "Action": ["sts:assumerole"]}]}},
        {},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), SAME)
def test_what_only_looks_different_is_no_difference(before, after):
    found, _, _ = difference(KIND, live(**before), want(**after))

    assert not found


def test_the_trust_in_a_role_that_was_made_anew_is_drift():
    def trusting(who):
        return {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": who}, "Action": "sts:AssumeRole"}],
        }

    declared = KIND.expand({"assumeRolePolicyDocument": trusting("arn:aws:iam::123456789012:role/x")})
    wanted = Want(
        address=Address("roles", "r"), physical="r", declared=declared, props=declared, tags=TAGS, attrs={}, scope=SCOPE
    )

    found, _, _ = difference(KIND, live(assumeRolePolicyDocument=trusting("AROAEXAMPLEEXAMPLE12")), wanted)

    assert [change.path for change in found.changes] == [
        ("assumeRolePolicyDocument", "Statement", 0, "Principal", "AWS")
    ]


def test_deleting_takes_everything_off_first():
    there = live(
        extra={"profiles": ["prof"]}, managedPolicies=[SNS], inlinePolicies={"in": DOCUMENT}, permissionsBoundary=OWN
    )

    denied = On("AccessDenied", "RemoveRoleFromInstanceProfile")  # by tag, once it is deleted: DeleteRole decides
    assert list(KIND.delete(there, {})) == [
        call("RemoveRoleFromInstanceProfile", ok_if=(*GONE, denied), InstanceProfileName="prof", RoleName="r"),
        call("DetachRolePolicy", ok_if=GONE, RoleName="r", PolicyArn=SNS),
        call("DeleteRolePolicy", ok_if=GONE, RoleName="r", PolicyName="in"),
        call("DeleteRole", (On("DeleteConflict"),), ok_if=GONE, RoleName="r"),
    ]


def test_tags_are_removed_before_others_are_set():
    assert list(KIND.tag(live(), {"b": "2", "a": "1"}, ["z", "y"])) == [
        call("UntagRole", RoleName="r", TagKeys=["y", "z"]),
        call("TagRole", RoleName="r", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]),
    ]
    assert list(KIND.tag(live(), {}, [])) == []


# --- conveniences and checks -----------------------------------------------------------------------------------------

EXPRESSION = Template((Reference(root="lookups", text="${lookups.x}", attr="x"),))


@pytest.mark.parametrize(
    ("trust", "service"),
    [
        ("ec2.amazonaws.com", "ec2.amazonaws.com"),
        (["ec2.amazonaws.com"], "ec2.amazonaws.com"),
        (["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"], ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]),
        ([EXPRESSION], EXPRESSION),
    ],
)
def test_trust_stands_for_the_usual_policy(trust, service):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}

    assert KIND.expand({"trust": trust}) == {"assumeRolePolicyDocument": {"Statement": [statement]}}


def test_documents_may_be_text():
    expanded = KIND.expand({"assumeRolePolicyDocument": '{"Statement": []}', "inlinePolicies": {"in": '{"Id": "x"}'}})

    assert expanded == {"assumeRolePolicyDocument": {"Statement": []}, "inlinePolicies": {"in": {"Id": "x"}}}


def check(name="r", **props):
    return list(KIND.check(name, KIND.expand(props)))


MANY = [f"p{n}" for n in range(21)]
WRONG = [
    ({}, (), "has no trust policy", "trust: ["),
    ({"trust": []}, ("trust",), "empty", "ecs-tasks"),
    ({"trust": ["ec2.amazonaws.com", "ec2"]}, ("trust", 1), '"ec2"', "ec2.amazonaws.com"),
    ({"trust": "arn:aws:iam::123456789012:root"}, ("trust",), "not a service principal", "assumeRolePolicyDocument"),
    ({"trust": "ec2.amazonaws.com", "assumeRolePolicyDocument": TRUST}, ("trust",), "cannot be combined", "trust: null"),
    ({"assumeRolePolicyDocument": "{"}, ("assumeRolePolicyDocument",), "invalid JSON: ", "mapping"),
    ({"path": "service-role"}, ("path",), "slash", "/service-role/"),
    ({"path": "/aws-service-role/x/"}, ("path",), "service-linked", "serviceLinkedRoles"),
    ({"description": "x" * 1001}, ("description",), "1000", ""),
    ({"description": "“x”"}, ("description",), "Latin-1", "curly"),
    ({"maxSessionDuration": 60}, ("maxSessionDuration",), "3600", "hour"),
    ({"permissionsBoundary": "arn:aws:iam::aws:role/x"}, ("permissionsBoundary",), "not the ARN", "arn:aws:iam::aws:policy"),
    ({"managedPolicies": ["a b"]}, ("managedPolicies", 0), "is not a valid managed policy name", "service-role/NAME"),
    (
        {"managedPolicies": [SNS, "arn:aws:iam::aws:policy/AWSBatchServiceRole"]},
        ("managedPolicies", 1),
        "service-role/",
        "service-role/AWSBatchServiceRole",
    ),
    ({"managedPolicies": MANY}, ("managedPolicies",), "21 policies", ""),
    ({"inlinePolicies": {"a/b": DOCUMENT}}, ("inlinePolicies", "a/b"), "inline policy", "letters"),
    ({"inlinePolicies": {"in": {"Statement": [{**DOCUMENT["Statement"][0], "Principal": "*"}]}}}, ("inlinePolicies", "in", "Statement", 0, "Principal"), "no Principal", "trust"),
    ({"inlinePolicies": {"in": {"Statement": [{**DOCUMENT["Statement"][0], "Resource": "arn:aws:s3:::" + "x" * 10_240}]}}}, ("inlinePolicies",), "the maximum is 10240", ""),
]  # fmt: skip


@pytest.mark.parametrize(("props", "path", "message", "hint"), WRONG)
def test_a_mistake_is_found_at_its_place_with_the_way_out(props, path, message, hint):
    trust = {} if {"trust", "assumeRolePolicyDocument"} & set(props) or not props else {"trust": "ec2.amazonaws.com"}

    (found,) = check(**trust, **props)

    assert (found.path, found.warning) == (path, False)
    assert message in found.message
    assert hint in found.hint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 65, "the maximum is 64"),
        ("a b", "is not a valid role name"),
        ("service-role/x", "cannot contain a slash"),
    ],
)
def test_a_name_that_iam_would_not_take(name, message):
    (found,) = check(name, trust="ec2.amazonaws.com")

    assert message in found.message


def test_more_than_the_usual_quota_is_a_warning():
    long = {**TRUST["Statement"][0], "Sid": "x" * 2048}

    (few,) = check(trust="ec2.amazonaws.com", managedPolicies=MANY[:11])
    (big,) = check(assumeRolePolicyDocument={**TRUST, "Statement": [long]})

    assert few.warning
    assert big.warning


def test_what_is_right_or_not_known_yet_is_left_in_peace():
    assert (
        check(
            trust=["ec2.amazonaws.com"],
            managedPolicies=["service-role/X", "own", SNS, EXPRESSION],
            maxSessionDuration=EXPRESSION,
        )
        == []
    )
    assert (
        check(
            assumeRolePolicyDocument=EXPRESSION,
            path=EXPRESSION,
            description=EXPRESSION,
            inlinePolicies={"in": EXPRESSION},
        )
        == []
    )


def test_values_that_are_known_later_are_sent_as_such():
    later = Later(Address("secrets", "s"), "arn")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": later}]}

    put = updated(live(inlinePolicies={"in": DOCUMENT}), want(inlinePolicies={"in": document}))

    assert [made.params["PolicyDocument"] for made in put] == [JsonText(document)]


@pytest.mark.parametrize("named", ["ec2.amazonaws.com.cn", ["ec2.amazonaws.com", "batch.amazonaws.com.cn"]])
def test_services_of_china_are_trusted_under_the_name_that_they_have_elsewhere(named):
    """Which of them have ``.cn`` in China differs by service: github.com/aws/aws-cdk/issues/2198."""
    statement = {"Effect": "Allow", "Principal": {"Service": named}, "Action": "sts:AssumeRole"}

    trusted = KIND.trusts({"assumeRolePolicyDocument": {"Statement": [statement]}})

    assert "ec2.amazonaws.com" in trusted and not any(service.endswith(".cn") for service in trusted)
