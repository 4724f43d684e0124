"""Customer-managed policies: versions, and finding a policy by whatever it is called."""

from __future__ import annotations

import pytest

from reconciler.kinds.iam.policy import KIND
from reconciler.model import (
    OWNER_TAG,
    Address,
    Call,
    Effect,
    JsonText,
    Live,
    On,
    Query,
    Refused,
    Scope,
    Sought,
    Unreadable,
    Want,
)
from reconciler.planning.canonical import with_defaults
from reconciler.planning.diff import difference

SCOPE = Scope(account="123456789012", region="eu-west-1", partition="aws", environment="e")
TAG_LIST = [{"Key": OWNER_TAG, "Value": "e"}]
GONE = (On("NoSuchEntity"),)
BUSY = On("ConcurrentModification")
ARN = "arn:aws:iam::123456789012:policy/p"
AWS = "arn:aws:iam::aws:policy/"


def document(*actions, **more):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
        **more,
    }


def call(operation, retry=(), ok_if=(), **params):
    return Call("iam", operation, params, retry_on=(BUSY, *retry), ok_if=ok_if, patience=120.0)


def want(**props):
    declared = KIND.expand({"policyDocument": document("s3:a")} | props)
    return Want(
        address=Address("policies", "p"),
        physical="p",
        declared=declared,
        props=with_defaults(KIND, declared),
        tags={OWNER_TAG: "e"},
        attrs=KIND.attrs(SCOPE, "p", declared),
        scope=SCOPE,
    )


def live(*documents, default=-1, first=1, **props):
    """A policy with these documents as its versions."""
    documents = documents or (document("s3:a"),)
    chosen = documents[default]
    versions = [
        {"id": f"v{first + n}", "default": each is chosen, "document": each} for n, each in enumerate(documents)
    ]
    return Live(
        physical="p",
        attrs={"name": "p", "arn": ARN},
        props={"path": "/", "policyDocument": chosen, **props},
        tags={OWNER_TAG: "e"},
        extra={"versions": versions},
    )


def updated(before, after):
    found, _, _ = difference(KIND, before, after)
    return list(KIND.update(before, after, found))


# --- reading ---------------------------------------------------------------------------------------------------------


class Account:
    """Answers from a few policies by ARN; ``asked`` are the calls of each round."""

    def __init__(self, *arns, tags=(), refuses=(), used=()):
        self.arns, self.tags, self.refuses, self.used, self.asked = arns, tags, refuses, used, []

    def policy(self, arn):
        path, _, name = arn.split(":policy", 1)[1].rpartition("/")
        return {"PolicyName": name, "Arn": arn, "Path": f"{path}/", "DefaultVersionId": "v10"}

    def reply(self, made):
        if made.operation in self.refuses:
            return Refused("NoSuchEntity", "gone")
        if made.operation == "GetAccountAuthorizationDetails":
            shown = [{"VersionId": name, "Document": document(f"s3:{name}")} for name in ("v10", "v9", "v2")]
            whole = {"PolicyVersionList": shown}  # with no description, like AWS
            own = [arn for arn in self.arns if "::aws:" not in arn]
            roles = [{"RoleName": n, "Tags": tags, "AttachedManagedPolicies": [{"PolicyArn": a} for a in arns]}
                     for n, (tags, arns) in enumerate(self.used)]  # fmt: skip
            attached = [arn for _, arns in self.used for arn in arns]
            return {
                "RoleDetailList": roles,
                "Policies": [{**self.policy(arn), **whole, "AttachmentCount": attached.count(arn)} for arn in own],
            }
        if made.operation == "ListPolicies":
            return {
                "Policies": [
                    self.policy(arn) for arn in self.arns if made.params["Scope"] == "All" or "::aws:" not in arn
                ]
            }
        if made.params["PolicyArn"] not in self.arns:
            return Refused("NoSuchEntity", "Policy was not found.")
        if made.operation == "GetPolicy":
            arn = made.params["PolicyArn"]
            return {"Policy": {**self.policy(arn), "Description": "d", "Tags": TAG_LIST if arn in self.tags else []}}
        if made.operation == "ListPolicyVersions":
            return {"Versions": [{"VersionId": name} for name in ("v10", "v9", "v2")]}
        version = made.params["VersionId"]
        return {"PolicyVersion": {"VersionId": version, "Document": document(f"s3:{version}")}}

    def find(self, *sought, owned=False, query=None):
        reads = KIND.read(query or Query(SCOPE, sought, owned))
        try:
            calls = next(reads)
            while True:
                self.asked.append([(made.operation, *made.params.values()) for made in calls])
                calls = reads.send(tuple(map(self.reply, calls)))
        except StopIteration as end:
            return list(end.value)


DECLARED = {"policyDocument": document("s3:a")}


def test_a_policy_is_read_with_all_its_versions_oldest_first():
    account = Account(ARN, tags=(ARN,))

    (found,) = account.find(Sought("p", DECLARED))

    assert found == Live(
        physical="p",
        attrs={"name": "p", "arn": ARN},
        props={"policyDocument": document("s3:v10"), "path": "/", "description": "d"},
        tags={OWNER_TAG: "e"},
        extra={
            "versions": [
                {"id": "v2", "default": False, "document": document("s3:v2")},
                {"id": "v9", "default": False, "document": document("s3:v9")},
                {"id": "v10", "default": True, "document": document("s3:v10")},
            ]
        },
    )
    assert account.asked == [
        [("GetPolicy", ARN)],
        [("ListPolicyVersions", ARN)],
        [("GetPolicyVersion", ARN, "v2"), ("GetPolicyVersion", ARN, "v9"), ("GetPolicyVersion", ARN, "v10")],
    ]


def test_a_declared_policy_is_looked_for_under_its_path():
    account = Account("arn:aws:iam::123456789012:policy/a/b/p")

    assert [found.physical for found in account.find(Sought("p", {**DECLARED, "path": "/a/b/"}))] == ["p"]
    assert account.asked[0] == [("GetPolicy", "arn:aws:iam::123456789012:policy/a/b/p")]


@pytest.mark.parametrize("name", ["p", "P"])
def test_a_declared_policy_is_found_under_another_path_or_in_another_case(name):
    account = Account("arn:aws:iam::123456789012:policy/elsewhere/p")

    (found,) = account.find(Sought(name, DECLARED))

    assert found.props["path"] == "/elsewhere/"


def test_a_declared_policy_is_never_one_of_aws():
    assert Account(AWS + "p").find(Sought("p", DECLARED)) == []


@pytest.mark.parametrize(
    ("name", "arn"),
    [
        ("AmazonSNSFullAccess", AWS + "AmazonSNSFullAccess"),
        ("service-role/AWSBatchServiceRole", AWS + "service-role/AWSBatchServiceRole"),
        ("/service-role/AWSBatchServiceRole", AWS + "service-role/AWSBatchServiceRole"),
        ("AWSBatchServiceRole", AWS + "service-role/AWSBatchServiceRole"),
        ("ViewOnlyAccess", AWS + "job-function/ViewOnlyAccess"),
        ("awsbatchservicerole", AWS + "service-role/AWSBatchServiceRole"),
    ],
)
def test_a_policy_of_aws_is_found_by_its_name_for_its_arn_alone(name, arn):
    account = Account(
        ARN, AWS + "AmazonSNSFullAccess", AWS + "service-role/AWSBatchServiceRole", AWS + "job-function/ViewOnlyAccess"
    )

    (found,) = account.find(Sought(name))

    assert found == Live(
        physical=arn.split("/")[-1],
        attrs={"name": arn.split("/")[-1], "arn": arn},
        props={},
        extra={"aws_managed": True},
    )


def test_the_candidates_for_a_bare_name_are_asked_for_at_once():
    account = Account(AWS + "service-role/x")

    account.find(Sought("x"))

    own = "arn:aws:iam::123456789012:policy/x"
    paths = ["", "service-role/", "job-function/", "aws-service-role/"]
    assert account.asked == [[("GetPolicy", arn) for arn in (own, *(f"{AWS}{path}x" for path in paths))]]


def test_the_accounts_own_policy_goes_before_one_of_aws():
    own = "arn:aws:iam::123456789012:policy/x"

    (near,) = Account(own, AWS + "x").find(Sought("x"))
    (far,) = Account("arn:aws:iam::123456789012:policy/far/x", AWS + "other/x").find(Sought("X"))

    assert near.attrs["arn"] == own
    assert far.attrs["arn"] == "arn:aws:iam::123456789012:policy/far/x"


@pytest.mark.parametrize("name", ["nothing", "service-role/nothing", "not a name", "a//b"])
def test_what_is_not_there_is_not_found(name):
    assert Account(ARN, AWS + "x").find(Sought(name)) == []


def test_what_is_owned_is_found_by_its_tag():
    other = "arn:aws:iam::123456789012:policy/other"
    account = Account(ARN, other, "arn:aws:iam::123456789012:policy/foreign", tags=(other,))

    found = account.find(Sought("p", DECLARED), owned=True)

    assert [policy.physical for policy in found] == ["p", "other"]


def test_a_policy_is_the_same_read_in_bulk_and_by_itself():
    one, bulk = Account(ARN, tags=(ARN,)), Account(ARN, tags=(ARN,))

    assert one.find(Sought("p", DECLARED)) == bulk.find(Sought("p", DECLARED), owned=True)
    assert [made[0] for calls in bulk.asked for made in calls] == ["GetAccountAuthorizationDetails", "GetPolicy"]


def test_what_others_have_attached_is_not_asked_for_its_tags():
    own, of_ours, of_others, unused = (f"arn:aws:iam::123456789012:policy/{n}" for n in ("p", "ours", "others", "un"))
    used = [(TAG_LIST, [own, of_ours]), ([], [of_others])]
    account = Account(own, of_ours, of_others, unused, tags=(own, of_ours, unused), used=used)

    found = account.find(Sought("p", DECLARED), owned=True)

    assert sorted(policy.physical for policy in found) == ["ours", "p", "un"]
    assert ("GetPolicy", of_others) not in [made for calls in account.asked for made in calls]


def test_a_policy_that_is_only_named_is_told_by_what_is_read_anyway():
    attached, standard = AWS + "service-role/OfAws", AWS + "service-role/AWSBatchServiceRole"
    account = Account(ARN, attached, standard, AWS + "x", used=[([], [attached])])
    query = Query(SCOPE, tuple(map(Sought, ("OfAws", "AWSBatchServiceRole", "p", "x"))), brief=True)

    found = account.find(query=query)

    assert [policy.attrs["arn"] for policy in found] == [attached, standard, ARN, AWS + "x"]
    assert account.asked[1][0][-1] == AWS + "x"  # the account has none of that name
    assert len(account.asked) == 2


def test_a_policy_of_the_account_goes_before_one_that_everybody_knows():
    own = "arn:aws:iam::123456789012:policy/AWSBatchServiceRole"
    found = Account(own).find(query=Query(SCOPE, (Sought("AWSBatchServiceRole"),), brief=True))

    assert [policy.attrs["arn"] for policy in found] == [own]


def test_where_the_details_are_refused_every_policy_is_asked_for():
    own = "arn:aws:iam::123456789012:policy/service-role/AWSBatchServiceRole"
    account = Account(own, refuses=("GetAccountAuthorizationDetails",))
    found = account.find(query=Query(SCOPE, (Sought("service-role/AWSBatchServiceRole"),), brief=True))

    assert [policy.attrs["arn"] for policy in found] == [own]


def test_a_policy_that_vanishes_while_it_is_read_is_left_out():
    assert Account(ARN, refuses=("ListPolicyVersions",)).find(Sought("p", DECLARED)) == []
    assert Account(ARN, refuses=("GetPolicyVersion",)).find(Sought("p", DECLARED)) == []


def test_a_refusal_is_not_taken_for_absence():
    reads = KIND.read(Query(SCOPE, (), owned=True))
    next(reads)

    with pytest.raises(Unreadable):
        reads.send((Refused("AccessDenied", "no"),))


# --- writing ---------------------------------------------------------------------------------------------------------


def test_creating():
    declared = {"policyDocument": '{"Statement": []}', "path": "/a/", "description": "d"}

    assert list(KIND.create(want(**declared))) == [
        call(
            "CreatePolicy",
            PolicyName="p",
            Path="/a/",
            PolicyDocument=JsonText({"Version": "2012-10-17", "Statement": []}),
            Description="d",
            Tags=TAG_LIST,
        )
    ]


NEW = call("CreatePolicyVersion", PolicyArn=ARN, PolicyDocument=JsonText(document("s3:new")), SetAsDefault=True)
FIVE = [document(f"s3:{n}") for n in range(5)]


@pytest.mark.parametrize(
    ("before", "calls"),
    [
        (live(), [NEW]),
        (live(*FIVE[:4]), [NEW]),
        (live(*FIVE), [call("DeletePolicyVersion", ok_if=GONE, PolicyArn=ARN, VersionId="v1"), NEW]),
        (
            live(*FIVE, default=0, first=3),
            [call("DeletePolicyVersion", ok_if=GONE, PolicyArn=ARN, VersionId="v4"), NEW],
        ),
        (
            live(document("S3:new"), document("s3:a")),
            [call("SetDefaultPolicyVersion", PolicyArn=ARN, VersionId="v1")],
        ),
    ],
    ids=["one", "four", "five", "five, the oldest the default", "said before"],
)
def test_a_new_document_is_a_new_default_version(before, calls):
    assert updated(before, want(policyDocument=document("s3:new"))) == calls


@pytest.mark.parametrize(("member", "value"), [("path", "/a/"), ("description", "other")])
def test_what_cannot_be_changed_makes_another_policy(member, value):
    found, _, _ = difference(KIND, live(description=""), want(**{member: value}))

    assert [(change.path, change.effect) for change in found.changes] == [((member,), Effect.REPLACE)]
    assert list(KIND.update(live(), want(**{member: value}), found)) == []


@pytest.mark.parametrize(
    "there",
    [document("S3:A"), {**document("s3:a"), "Id": "x"}, {**document(), "Statement": document("s3:a")["Statement"][0]}],
)
def test_what_only_looks_different_is_no_difference(there):
    found, _, _ = difference(KIND, live(there, description=""), want(path="/"))

    assert not found


def test_deleting_takes_the_other_versions_first():
    assert list(KIND.delete(live(*FIVE[:3], default=1), {})) == [
        call("DeletePolicyVersion", ok_if=GONE, PolicyArn=ARN, VersionId="v1"),
        call("DeletePolicyVersion", ok_if=GONE, PolicyArn=ARN, VersionId="v3"),
        call("DeletePolicy", (On("DeleteConflict"),), ok_if=GONE, PolicyArn=ARN),
    ]


def test_tags():
    assert list(KIND.tag(live(), {"a": "1"}, ["z"])) == [
        call("UntagPolicy", PolicyArn=ARN, TagKeys=["z"]),
        call("TagPolicy", PolicyArn=ARN, Tags=[{"Key": "a", "Value": "1"}]),
    ]
    assert list(KIND.tag(live(), {}, [])) == []


# --- checks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("props", "path", "message"),
    [
        ({}, (), "no policyDocument"),
        ({"policyDocument": document("s3:a", Version="2008-10-17")}, ("policyDocument", "Version"), "2012-10-17"),
        ({"policyDocument": document("x" * 6200 + ":a")}, ("policyDocument",), "the maximum is 6144"),
        ({"policyDocument": document("getobject")}, ("policyDocument", "Statement", 0, "Action", 0), "not an action"),
        ({"policyDocument": document("s3:a"), "path": "a"}, ("path",), "slash"),
        ({"policyDocument": document("s3:a"), "description": "x" * 1001}, ("description",), "1000"),
    ],
)
def test_a_mistake_is_found_at_its_place(props, path, message):
    (found,) = KIND.check("p", KIND.expand(props))

    assert found.path == path
    assert message in found.message


def test_the_name_has_no_path():
    (found,) = KIND.check("service-role/p", DECLARED)

    assert "/service-role/" in found.hint
    assert list(KIND.check("p", DECLARED)) == []
