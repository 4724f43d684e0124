"""IAM's decisions, one by one, as its documentation has them."""

import json

import pytest

from reconciler.sandbox.iam.evaluation import Policies, Request, evaluate
from reconciler.sandbox.iam.policies import statements
from tests.support.tables import DATA, cases

TABLE = cases(DATA / "iam" / "evaluation.yaml")


def document(statements, version="2012-10-17"):
    return json.dumps({"Version": version, "Statement": statements})


@pytest.mark.parametrize("case", TABLE, ids=[case["case"] for case in TABLE])
def test_decisions(case):
    version = case.get("version", "2012-10-17")
    boundary, session = (document(case[kind], version) if kind in case else None for kind in ("boundary", "session"))
    policies = Policies((document(case["identity"], version),), boundary, session and (session,))

    for expected, action, resource, *more in case["requests"]:
        told = more[0] if more else {}
        keys = {
            key.lower(): (one,) if isinstance(one, str) else tuple(one) for key, one in told.get("keys", {}).items()
        }
        decision = evaluate(Request(action, (resource,), keys), policies)

        assert decision.effect.value.replace("implicit ", "") == expected, (action, resource, keys)
        assert decision.kind == told.get("by", decision.kind)


def test_of_two_forms_of_a_resource_one_is_enough_to_allow_and_to_deny():
    forms = ("arn:aws:batch:eu-west-1:1:job-definition/x", "arn:aws:batch:eu-west-1:1:job-definition/x:*")
    allow = {"Effect": "Allow", "Action": "*", "Resource": forms[1]}

    assert evaluate(Request("batch:SubmitJob", forms), Policies((document(allow),))).allowed
    deny = document([{**allow, "Resource": "*"}, {**allow, "Effect": "Deny"}])
    assert not evaluate(Request("batch:SubmitJob", forms), Policies((deny,))).allowed
    with pytest.raises(ValueError, match="policy document"):
        statements("[]")
