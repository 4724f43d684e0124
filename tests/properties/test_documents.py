"""Policy documents by meaning: what is alike, what a difference looks like, and what AWS would refuse."""

from __future__ import annotations

import json
import random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds.common.policy_document.checks import findings, size
from reconciler.kinds.common.policy_document.compare import compared, equal
from reconciler.kinds.common.policy_document.document import (
    Place,
    canonical,
    meaning,
    names_principal_of,
    parse,
    why_unparsed,
    written,
)
from reconciler.model import Address, Later, Reference, Template, Text

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALL = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TOPIC = Reference(root="resource", text="${topics.t.arn}", address=Address("topics", "t"), attr="arn")
LATER = Later(Address("secrets", "s"), "arn")


def doc(*statements, version="2012-10-17", **more):
    return {"Version": version, "Statement": list(statements), **more}


def trust(principal, **more):
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}


def when(**condition):
    return doc({**ALL, "Condition": condition})


EC2, ECS = "ec2.amazonaws.com", "ecs-tasks.amazonaws.com"

ALIKE = [
    ("one statement for two services", "trust", doc(trust({"Service": EC2}), trust({"Service": ECS})), doc(trust({"Service": [ECS, EC2]}))),
    ("actions ignore case, the prefix too", "identity", doc({**ALL, "Action": "S3:getobject"}), doc({**ALL, "Action": ["s3:GetObject"]})),
    ("an account id is its root user", "trust", doc(trust({"AWS": ACCOUNT})), doc(trust({"AWS": ROOT}))),
    ("an account id may be a number in YAML", "trust", doc(trust({"AWS": int(ACCOUNT)})), doc(trust({"AWS": [ROOT]}))),
    ("everyone in a resource policy", "resource", doc(trust("*")), doc(trust({"AWS": "*"}))),
    (
        "booleans are text, keys ignore case",
        "identity",
        when(Bool={"AWS:SecureTransport": True}),
        when(Bool={"aws:securetransport": ["true"]}),
    ),
    ("the part of a key after the slash ignores case too", "identity", when(Null={"aws:ResourceTag/Team": "x"}), when(Null={"aws:resourcetag/team": "x"})),
    ("numbers are text", "identity", when(NumericLessThan={"s3:max-keys": 10}), when(NumericLessThan={"s3:max-keys": "10"})),
    ("one statement alone", "identity", {"Version": "2012-10-17", "Statement": ALL}, doc(ALL)),
    ("a repeated statement counts once", "identity", doc(ALL, ALL), doc(ALL)),
    ("statements have no order", "identity", doc(ALL, {**ALL, "Effect": "Deny"}), doc({**ALL, "Effect": "Deny"}, ALL)),
    ("values of a condition have no order", "identity", when(StringLike={"a:b": ["x", "y"]}), when(StringLike={"a:b": ["y", "x"]})),
    ("an empty condition is none", "identity", doc({**ALL, "Condition": {}}), doc(ALL)),
    ("an empty Sid is none", "identity", doc({**ALL, "Sid": ""}), doc(ALL)),
    ("text is a document", "identity", json.dumps(doc(ALL)), doc(ALL)),
    ("text may be encoded for a URL", "identity", quote(json.dumps(doc(ALL))), doc(ALL)),
    ("an Id says nothing in an identity policy", "identity", doc(ALL, Id="a"), doc(ALL)),
    ("what is excluded has no order", "identity", doc({"Effect": "Deny", "NotAction": ["a:b", "C:d"], "Resource": "*"}), doc({"Effect": "Deny", "NotAction": ["c:D", "a:b"], "Resource": "*"})),
    ("no Version is the old one", "identity", {"Statement": [ALL]}, doc(ALL, version="2008-10-17")),
    (
        "actions and resources multiply out",
        "identity",
        doc({**ALL, "Action": ["s3:a", "s3:b"], "Resource": ["arn:x", "arn:y"]}),
        doc({**ALL, "Action": ["s3:b", "s3:a"], "Resource": "arn:y"}, {**ALL, "Action": "s3:a", "Resource": "arn:x"}, {**ALL, "Action": "s3:b", "Resource": "arn:x"}),
    ),
    ("what is known later equals itself", "identity", doc({**ALL, "Resource": LATER}), doc({**ALL, "Resource": [LATER]})),
]  # fmt: skip

DIFFERENT = [
    ("the old version has no variables", "identity", {"Statement": [ALL]}, doc(ALL)),
    ("everyone in a trust policy", "trust", doc(trust("*")), doc(trust({"AWS": "*"}))),
    (
        "exclusions cannot be split",
        "identity",
        doc({"Effect": "Allow", "NotAction": ["a:b", "a:c"], "Resource": "*"}),
        doc({"Effect": "Allow", "NotAction": "a:b", "Resource": "*"}, {"Effect": "Allow", "NotAction": "a:c", "Resource": "*"}),
    ),
    ("a pattern is not what it matches", "identity", doc({**ALL, "Action": "s3:Get*"}), doc({**ALL, "Action": "s3:GetObject"})),
    ("resources keep their case", "identity", doc({**ALL, "Resource": "arn:aws:s3:::A"}), doc({**ALL, "Resource": "arn:aws:s3:::a"})),
    ("services keep their case", "trust", doc(trust({"Service": "EC2.amazonaws.com"})), doc(trust({"Service": EC2}))),
    ("another account", "trust", doc(trust({"AWS": "210987654321"})), doc(trust({"AWS": ROOT}))),
    ("an id that was left of a deleted role", "trust", doc(trust({"AWS": "AROAEXAMPLEEXAMPLE12"})), doc(trust({"AWS": f"arn:aws:iam::{ACCOUNT}:role/x"}))),
    ("values of a condition keep their case", "identity", when(StringEquals={"a:b": "X"}), when(StringEquals={"a:b": "x"})),
    ("IfExists is part of the operator", "identity", when(StringEquals={"a:b": "x"}), when(StringEqualsIfExists={"a:b": "x"})),
    ("a condition more", "identity", when(StringEquals={"a:b": "x"}), doc(ALL)),
    ("the effect", "identity", doc({**ALL, "Effect": "Deny"}), doc(ALL)),
    ("a statement less", "identity", doc(ALL, {**ALL, "Action": "s3:PutObject"}), doc(ALL)),
    ("an action more", "identity", doc({**ALL, "Action": ["s3:GetObject", "s3:PutObject"]}), doc(ALL)),
    ("a resource policy has an Id", "resource", doc(trust("*"), Id="a"), doc(trust("*"), Id="b")),
    ("a principal of another type", "trust", doc(trust({"Federated": EC2})), doc(trust({"Service": EC2}))),
    ("a mistyped member is no other member", "identity", doc({"Effect": "Allow", "Actions": "s3:GetObject", "Resource": "*"}), doc({"Effect": "Allow", "Resource": "*"})),
    ("an empty list is not the same as none", "identity", doc({**ALL, "Action": []}), doc({"Effect": "Allow", "Resource": "*"})),
    ("what is known later is nothing that is there", "identity", doc({**ALL, "Resource": LATER}), doc({**ALL, "Resource": "arn:aws:s3:::x"})),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "one", "other"), [pytest.param(*case, id=why) for why, *case in ALIKE])
def test_documents_that_mean_the_same(kind, one, other):
    place = Place(kind, ACCOUNT)

    assert meaning(one, place) == meaning(other, place)
    assert canonical(one, kind, ACCOUNT) == canonical(other, kind, ACCOUNT)


@pytest.mark.parametrize(("kind", "one", "other"), [pytest.param(*case, id=why) for why, *case in DIFFERENT])
def test_documents_that_mean_different_things(kind, one, other):
    place = Place(kind, ACCOUNT)

    assert meaning(one, place) != meaning(other, place)
    assert canonical(one, kind, ACCOUNT) != canonical(other, kind, ACCOUNT)


def test_the_root_user_is_of_the_partition():
    chinese = doc(trust({"AWS": f"arn:aws-cn:iam::{ACCOUNT}:root"}))

    assert canonical(doc(trust({"AWS": ACCOUNT})), "trust", ACCOUNT, "aws-cn") == canonical(
        chinese, "trust", ACCOUNT, "aws-cn"
    )
    assert canonical(doc(trust({"AWS": ACCOUNT})), "trust", ACCOUNT, "aws") != canonical(
        chinese, "trust", ACCOUNT, "aws"
    )


def test_the_canonical_form_can_be_read():
    spread = doc(trust({"Service": ECS}), trust({"Service": EC2}), version="2012-10-17")

    assert canonical(spread, "trust", ACCOUNT) == doc(
        {"Effect": "Allow", "Action": ["sts:assumerole"], "Principal": {"Service": [EC2, ECS]}}
    )


# --- as a property ---------------------------------------------------------------------------------------------------

few = st.lists(st.sampled_from(["s3:a", "S3:A", "s3:b", "ec2:*", "sqs:c"]), min_size=1, max_size=3)
where = st.lists(st.sampled_from(["*", "arn:x", "arn:y", LATER, Text(("a", LATER))]), min_size=1, max_size=3)
who = st.one_of(
    st.just("*"),
    st.dictionaries(
        st.sampled_from(["AWS", "Service"]),
        st.lists(st.sampled_from([ACCOUNT, ROOT, "*", EC2, ECS]), min_size=1, max_size=3),
        min_size=1,
        max_size=2,
    ),
)
values = st.lists(st.sampled_from(["x", "y", 1, "1", True, "true", LATER]), min_size=1, max_size=3)
tests = st.dictionaries(
    st.sampled_from(["StringLike", "Bool"]),
    st.dictionaries(st.sampled_from(["aws:K", "aws:k", "a:b"]), values, min_size=1, max_size=2),
    max_size=2,
)


@st.composite
def some_statement(draw):
    made = {"Effect": draw(st.sampled_from(["Allow", "Deny"]))}
    for name, elements in (("Action", few), ("Resource", where), ("Principal", who)):
        member = draw(st.sampled_from([name, f"Not{name}", None]))
        if member:
            made[member] = draw(elements)
    if draw(st.booleans()):
        made["Condition"] = draw(tests)
    if draw(st.booleans()):
        made["Sid"] = draw(st.sampled_from(["A", "B", "1", ""]))
    return made


documents = st.builds(
    lambda statements, version: {"Statement": statements, **({"Version": version} if version else {})},
    st.lists(some_statement(), max_size=4),
    st.sampled_from([None, "2008-10-17", "2012-10-17"]),
)
kinds = st.sampled_from(["trust", "identity", "resource"])


def shuffled(value, chance):
    """The same document as AWS might hand it back: everything rearranged, lists of one collapsed."""
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: shuffled(value[name], chance) for name in names}
    if isinstance(value, list):
        items = [shuffled(item, chance) for item in value]
        chance.shuffle(items)
        return items[0] if len(items) == 1 and chance.random() < 0.5 else items
    return value


@given(documents, kinds)
def test_the_canonical_form_is_its_own(document, kind):
    once = canonical(document, kind, ACCOUNT)

    assert canonical(once, kind, ACCOUNT) == once
    assert meaning(once, Place(kind, ACCOUNT)) == meaning(document, Place(kind, ACCOUNT))


@given(documents, kinds, st.integers(0, 2**16))
def test_rearranging_changes_nothing(document, kind, seed):
    other = shuffled(document, random.Random(seed))

    assert canonical(other, kind, ACCOUNT) == canonical(document, kind, ACCOUNT)


@given(documents, kinds, st.integers(0, 2**16))
def test_what_was_written_comes_back_as_no_difference(document, kind, seed):
    there = shuffled(written(document), random.Random(seed))

    left, right = compared(there, document, Place(kind, ACCOUNT))

    assert left == right


def test_of_repeated_statements_the_named_one_stands_for_all():
    plain = {"Effect": "Allow", "Action": ["s3:a"], "Principal": "*"}
    named = {**plain, "Condition": {}, "Sid": "A"}
    place = Place("trust", ACCOUNT)

    left, right = compared({"Version": "2012-10-17", "Statement": [plain, named]}, {"Statement": [named, plain]}, place)

    assert left == right


@given(documents, documents, kinds)
def test_a_pair_differs_where_the_meaning_does_and_never_loses_it(one, other, kind):
    place = Place(kind, ACCOUNT)
    if "Version" not in other and "${" not in str((one, other)):
        one = {**one, "Version": "2012-10-17"}  # one that is not declared decides nothing

    left, right = compared(one, other, place)

    assert meaning(left, place) == meaning(one, place)
    assert meaning(right, place) == meaning(written(other), place)
    if meaning(one, place) != meaning(written(other), place):
        assert left != right


# --- what people see -------------------------------------------------------------------------------------------------


def pair(live, want, kind="identity"):
    return compared(live, want, Place(kind, ACCOUNT))


def test_statements_that_belong_together_get_the_same_place():
    live = doc({**ALL, "Sid": "b", "Action": "s3:b"}, {**ALL, "Sid": "a", "Action": ["s3:y", "s3:A"]})
    want = doc({**ALL, "Sid": "a", "Action": ["s3:a", "s3:x"]}, {**ALL, "Sid": "b", "Action": ["s3:b"]})

    left, right = pair(live, want)

    assert left["Statement"] == [
        {**ALL, "Sid": "a", "Action": ["s3:a", "s3:y"]},
        {**ALL, "Sid": "b", "Action": ["s3:b"]},
    ]
    assert right["Statement"] == [
        {**ALL, "Sid": "a", "Action": ["s3:a", "s3:x"]},
        {**ALL, "Sid": "b", "Action": ["s3:b"]},
    ]


def test_a_new_statement_is_the_last():
    left, right = pair(doc(ALL), doc({**ALL, "Action": "s3:PutObject"}, ALL))

    assert left["Statement"] == [ALL]
    assert right["Statement"] == [ALL, {**ALL, "Action": "s3:PutObject"}]


def test_a_principal_that_went_is_all_that_differs():
    left, right = pair(doc(trust({"Service": [ECS, EC2]})), doc(trust({"Service": EC2})), "trust")

    assert left == doc(trust({"Service": [EC2, ECS]}))
    assert right == doc(trust({"Service": [EC2]}))


def test_a_condition_is_compared_key_by_key():
    left, right = pair(
        when(StringLike={"A:B": ["z", "x"], "c:d": "e"}), when(StringLike={"a:b": ["x", "y"], "C:d": ["e"]})
    )

    assert left["Statement"][0]["Condition"] == {"StringLike": {"a:b": ["x", "z"], "C:d": ["e"]}}
    assert right["Statement"][0]["Condition"] == {"StringLike": {"a:b": ["x", "y"], "C:d": ["e"]}}


VARIABLE = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::b/${aws:username}/*"}


@pytest.mark.parametrize("version", [{}, {"Version": "2008-10-17"}, {"Version": "2012-10-17"}])
def test_a_version_that_is_not_declared_and_decides_nothing_is_no_difference(version):
    left, right = pair({**version, "Statement": [ALL]}, {"Statement": [ALL]})

    assert left == right


@pytest.mark.parametrize(
    ("live", "want"),
    [({"Statement": [VARIABLE]}, {"Statement": [VARIABLE]}), ({"Statement": [ALL]}, doc(ALL))],
)
def test_a_version_that_is_declared_or_decides_is_shown_as_what_it_means(live, want):
    left, right = pair(live, want)

    assert (left["Version"], right["Version"]) == ("2008-10-17", "2012-10-17")


@pytest.mark.parametrize(
    ("live", "want", "same"),
    [
        ({"Sid": "a"}, {"Sid": "a"}, True),
        ({"Sid": "a"}, {}, True),
        ({"Sid": "1"}, {"Sid": "a"}, True),
        ({"Sid": "a"}, {"Sid": "1"}, True),
        ({"Sid": "b"}, {"Sid": "a"}, False),
        ({}, {"Sid": "a"}, False),
        ({"Sid": ""}, {"Sid": "a"}, False),
    ],
)
def test_a_sid_counts_where_it_is_declared_and_no_number(live, want, same):
    assert equal(doc({**ALL, **live}), doc({**ALL, **want}), Place("identity", ACCOUNT)) is same


def test_sids_do_not_count_where_statements_are_cut_otherwise():
    live = doc(trust({"Service": EC2}, Sid="a"), trust({"Service": ECS}, Sid="b"))

    assert equal(live, doc(trust({"Service": [EC2, ECS]}, Sid="c")), Place("trust", ACCOUNT))


@pytest.mark.parametrize(
    "odd",
    [None, 3, "no JSON", [], {}, {"Statement": "x"}, {"Statement": [None, 3, {"Action": {"a": [1]}, "Condition": 3}]}],
)
def test_nonsense_is_compared_without_harm(odd):
    left, right = pair(odd, odd)

    assert meaning(left, Place("identity", ACCOUNT)) is not None
    assert canonical(odd, "identity", ACCOUNT) == canonical(odd, "identity", ACCOUNT)
    assert isinstance(right, dict) or right == odd


# --- text ------------------------------------------------------------------------------------------------------------


def test_text_with_an_expression_inside_becomes_a_document_with_an_expression_inside():
    text = Template(('{"Statement": [{"Resource": "', TOPIC, '", "Action": "sns:Publish"}]}'))
    longer = Template(('{"Resource": ["', TOPIC, '/*", "x"]}'))

    assert parse(text) == {"Statement": [{"Resource": Template((TOPIC,)), "Action": "sns:Publish"}]}
    assert parse(longer) == {"Resource": [Template((TOPIC, "/*")), "x"]}


def test_a_document_that_is_an_expression_stays_one():
    assert parse(Template((TOPIC,))) == Template((TOPIC,))


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "[1]", "{", "3", ""])
def test_text_that_is_no_document_stays_text(text):
    assert parse(text) == text


def test_what_is_written_names_its_version_and_has_ids_as_text():
    document = {"Statement": {"Sid": 1, "Effect": "Allow", "Principal": {"AWS": [int(ACCOUNT)]}, "Condition": None}}

    assert written(document) == {
        "Version": "2012-10-17",
        "Statement": {"Sid": "1", "Effect": "Allow", "Principal": {"AWS": [ACCOUNT]}},
    }
    assert written(doc(ALL, version="2008-10-17"))["Version"] == "2008-10-17"


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ({"Service": EC2}, False),
        ({"AWS": ROOT}, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/x"}, True),
        ({"AWS": ["*", LATER]}, True),
        ({"AWS": "arn:aws:iam::210987654321:role/x"}, False),
        ("*", False),
    ],
)
def test_a_principal_of_this_account_may_be_new(principal, expected):
    assert names_principal_of(doc(trust(principal)), ACCOUNT) is expected


def test_size_counts_no_whitespace():
    assert size({"Version": "2012-10-17", "Statement": "a b\n"}) == len('{"Version":"2012-10-17","Statement":"ab\\n"}')
    assert size(doc({**ALL, "Resource": Template(("arn:", TOPIC))})) == size(doc({**ALL, "Resource": "arn:"}))


# --- what AWS refuses ------------------------------------------------------------------------------------------------

WRONG = [
    ("identity", "no JSON {", (), "invalid JSON: ", "mapping"),
    ("identity", ["x"], (), "a policy document is a mapping", "mapping"),
    ("identity", {"Version": "2012-10-17"}, (), "no Statement", "at least one"),
    ("identity", {"statement": [ALL]}, ("statement",), 'unknown field "statement"', '"Statement"'),
    ("identity", doc(ALL, version="2012-10-18"), ("Version",), "2012-10-18", "2012-10-17"),
    ("identity", doc({**ALL, "Actions": "s3:x"}), ("Statement", 0, "Actions"), 'unknown field "Actions"', '"Action"'),
    ("identity", doc({"effect": "Allow", "Action": "s3:x", "Resource": "*"}), ("Statement", 0, "effect"), 'unknown field "effect"', '"Effect"'),
    ("resource", doc({**ALL, "principle": "*"}), ("Statement", 0, "principle"), 'unknown field "principle"', '"Principal"'),
    ("identity", doc({**ALL, "Effect": "allow"}), ("Statement", 0, "Effect"), '"allow"', '"Allow"'),
    ("identity", doc({"Action": "s3:x", "Resource": "*"}), ("Statement", 0), "no Effect", "Allow"),
    ("identity", doc({"Effect": "Allow", "Resource": "*"}), ("Statement", 0), "no Action", "logs:"),
    ("identity", doc({"Effect": "Allow", "Action": "s3:x"}), ("Statement", 0), "no Resource", '"*"'),
    ("identity", doc({**ALL, "NotAction": "s3:x"}), ("Statement", 0), "both Action and NotAction", "one of them"),
    ("identity", doc({**ALL, "Action": []}), ("Statement", 0, "Action"), "empty", "at least one"),
    ("identity", doc({**ALL, "Action": "GetObject"}), ("Statement", 0, "Action"), '"GetObject"', "s3:GetObject"),
    ("identity", doc({**ALL, "Action": ["s3:x", "s3 GetObject"]}), ("Statement", 0, "Action", 1), "not an action", "s3:GetObject"),
    ("identity", doc({**ALL, "Resource": "my-bucket"}), ("Statement", 0, "Resource"), "not an ARN", "arn:aws:s3"),
    ("identity", doc({**ALL, "Principal": "*"}), ("Statement", 0, "Principal"), "has no Principal", "trust"),
    ("identity", {"Statement": {**ALL, "Effect": "allow"}}, ("Statement", "Effect"), '"allow"', '"Allow"'),
    ("identity", doc({**ALL, "Sid": "a"}, {**ALL, "Sid": "a"}), ("Statement", 1, "Sid"), "duplicate Sid", "unique"),
    ("identity", doc({**ALL, "Sid": "a-b"}), ("Statement", 0, "Sid"), "letters and digits", ""),
    ("identity", doc("x"), ("Statement", 0), "a statement is a mapping", ""),
    ("trust", doc({"Effect": "Allow", "Action": "sts:AssumeRole"}), ("Statement", 0), "no Principal", "Service"),
    ("trust", doc(trust({"Service": EC2}, Resource="*")), ("Statement", 0, "Resource"), "no Resource", "the role itself"),
    ("trust", doc({**trust({"Service": EC2}), "Action": "s3:GetObject"}), ("Statement", 0, "Action"), "sts: actions only", "managedPolicies"),
    ("trust", doc(trust(EC2)), ("Statement", 0, "Principal"), "needs a principal type", "Service"),
    ("trust", doc(trust({"Services": EC2})), ("Statement", 0, "Principal", "Services"), 'unknown field "Services"', '"Service"'),
    ("trust", doc(trust({"Service": "ec2"})), ("Statement", 0, "Principal", "Service"), '"ec2"', "ec2.amazonaws.com"),
    ("trust", doc(trust({"Service": ["batch.amazon.aws.com"]})), ("Statement", 0, "Principal", "Service", 0), "not a service principal", "batch.amazonaws.com"),
    ("trust", doc(trust({"Service": "ecs-task.amazonaws.com"})), ("Statement", 0, "Principal", "Service"), "unknown service principal", "ecs-tasks.amazonaws.com"),
    ("trust", doc(trust({"AWS": "my-role"})), ("Statement", 0, "Principal", "AWS"), "not a principal", "account id"),
    ("trust", doc(trust({"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"})), ("Statement", 0, "Principal", "AWS"), "wildcard", "aws:PrincipalArn"),
    ("identity", doc({**ALL, "Condition": "x"}), ("Statement", 0, "Condition"), "maps operators", "StringEquals"),
    ("identity", when(StringEqual={"a:b": "c"}), ("Statement", 0, "Condition", "StringEqual"), "not a condition operator", '"StringEquals"'),
    ("identity", when(StringEquals="x"), ("Statement", 0, "Condition", "StringEquals"), "maps condition keys", "aws:SourceAccount"),
    ("identity", when(StringEquals={"LogDriver": "x"}), ("Statement", 0, "Condition", "StringEquals", "LogDriver"), "not a condition key", "batch:LogDriver"),
    ("identity", when(StringEquals={"a:b": {"c": 1}}), ("Statement", 0, "Condition", "StringEquals", "a:b"), "not a value", "list"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "document", "path", "message", "hint"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_mistake_is_found_at_its_place_with_the_way_out(kind, document, path, message, hint):
    (found,) = findings(document, kind, ("d",))

    assert (found.path, found.warning) == (("d", *path), False)
    assert message in found.message
    assert hint in found.hint


GOOD = [
    ("identity", doc(ALL)),
    ("identity", doc({**ALL, "Resource": ["arn:aws:s3:::a/*", "arn:aws:s3:*", "*"], "Sid": "A1"})),
    ("identity", doc({**ALL, "Action": ["*", "s3:*", "elasticmapreduce:Get?b"]})),
    ("identity", doc({"Effect": "Deny", "NotAction": "s3:x", "NotResource": "*"})),
    ("identity", when(**{"ForAllValues:StringLikeIfExists": {"aws:TagKeys": ["a", "b"]}})),
    ("identity", when(Bool={"aws:MultiFactorAuthPresent": True}, NumericLessThan={"aws:MultiFactorAuthAge": 3600})),
    ("trust", doc(trust({"Service": ["ec2.amazonaws.com.cn", "spotfleet.amazonaws.com", "delivery.logs.amazonaws.com"]}))),
    ("trust", doc(trust({"AWS": [ACCOUNT, int(ACCOUNT), ROOT, f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b", "AROAEXAMPLEEXAMPLE12", "*"]}))),
    ("trust", doc({**trust({"Federated": "cognito-identity.amazonaws.com"}), "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]})),
    ("resource", doc({"Sid": "a b", "Effect": "Allow", "Principal": "*", "Action": "SNS:Publish", "Resource": "arn:aws:sns:eu-west-1:123456789012:t"})),
    ("identity", doc({**ALL, "Resource": Template((TOPIC,)), "Condition": {"StringLike": Template((TOPIC,))}})),
    ("identity", doc({"Effect": Template((TOPIC,)), "Action": Template((TOPIC,)), "Resource": ["*", Template((TOPIC,))], "Sid": Template((TOPIC,))})),
    ("trust", doc(trust({"AWS": Template((TOPIC,)), "Service": [Template((TOPIC,))]}))),
    ("identity", Template((TOPIC,))),
    ("identity", {"Version": "2012-10-17", "Statement": Template((TOPIC,))}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "document"), GOOD)
def test_what_is_right_is_left_in_peace(kind, document):
    assert list(findings(document, kind, ())) == []


def test_a_pattern_under_string_equals_is_warned_of():
    document = doc(
        {
            **ALL,
            "Action": "batch:RegisterJobDefinition",
            "Condition": {"StringEqualsIfExists": {"batch:AWSLogsGroup": ["/a", "/aws/*"]}},
        }
    )

    (found,) = findings(document, "identity", ())

    assert found.path == ("Statement", 0, "Condition", "StringEqualsIfExists", "batch:AWSLogsGroup", 1)
    assert found.warning
    assert "StringLikeIfExists" in found.hint


@pytest.mark.parametrize(
    ("action", "operator", "told"),
    [
        ("logs:CreateLogGroup", "StringLikeIfExists", "is always true"),
        (["batch:RegisterJobDefinition", "batch:SubmitJob"], "StringLike", "is never true"),
        ("batch:RegisterJobDefinition", "StringLike", None),
        ("batch:*", "StringLike", None),
        ("*", "StringLike", None),
    ],
)
def test_a_condition_key_of_registration_is_for_that_action_only(action, operator, told):
    document = doc({**ALL, "Action": action, "Condition": {operator: {"batch:LogDriver": "awslogs"}}})

    found = list(findings(document, "identity", ()))

    assert [(f.warning, told in f.message) for f in found] == ([(True, True)] if told else [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "not a mapping"),
        ('{"a": 1, "a": 2}', 'duplicate key "a"'),
        (Template(('{"', TOPIC, '": 1}')), "a key cannot be an expression"),
    ],
)
def test_why_a_text_is_no_document(text, told):
    assert parse(text) == text
    assert told in why_unparsed(text)


def test_a_resource_policy_shows_its_id():
    left, right = pair(doc(trust("*"), Id="a"), doc(trust("*"), Id="b"), "resource")

    assert (left["Id"], right["Id"]) == ("a", "b")


def test_a_condition_that_is_none_keeps_what_it_says():
    odd = doc({**ALL, "Condition": {"Bool": "x", "Null": {"a:b": "true"}}})

    assert canonical(odd, "identity", ACCOUNT)["Statement"][0]["Condition"] == {"Bool": "x", "Null": {"a:b": ["true"]}}
