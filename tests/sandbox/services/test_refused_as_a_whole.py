"""Services and requests that the sandbox cannot serve: it says so, and no client sees a traceback."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from reconciler.sandbox.wire import Request

SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("cloudformation", "create_stack", {"StackName": "s", "TemplateBody": "{}"}),
        ("cloudformation", "list_stacks", {}),
        ("athena", "list_work_groups", {}),
        ("lambda", "list_functions", {}),
        ("config", "describe_config_rules", {}),
    ],
)
def test_services_that_it_does_not_have(sandbox, service, operation, params):
    with pytest.raises(ClientError) as raised:
        getattr(sandbox.client(service), operation)(**params)

    error = raised.value.response["Error"]
    assert error["Code"] == "NotImplemented"
    assert error["Message"].startswith(f"the sandbox has no {service}; it has autoscaling, batch, cloudtrail, ec2, ecr")


def test_operations_that_it_does_not_have(sandbox, refused):
    refused("NotImplemented", "the sandbox has no ssm:ListNodes", sandbox.client("ssm").list_nodes)
    refused(
        "NotImplemented", "the sandbox has no cloudtrail:DescribeTrails", sandbox.client("cloudtrail").describe_trails
    )
    scaling = sandbox.client("autoscaling")
    refused("NotImplemented", "the sandbox has no autoscaling:DescribePolicies", scaling.describe_policies)


@pytest.mark.parametrize("body", [b"[" * 50_000, b'{"a":' * 50_000, b"{", b"[]", b'"text"'])
@pytest.mark.parametrize(
    ("service", "path", "target"),
    [
        ("batch", "/v1/createjobqueue", ""),
        ("logs", "/", "Logs_20140328.DescribeLogGroups"),
        ("secretsmanager", "/", "secretsmanager.ListSecrets"),
        ("events", "/", "AWSEvents.ListRules"),
    ],
)
def test_bodies_that_are_no_requests(sandbox, service, path, target, body):
    headers = {"authorization": SIGNED.format(service), "content-type": "application/x-amz-json-1.1"}
    asked = Request("POST", path, "", {**headers, **({"x-amz-target": target} if target else {})}, body, "localhost")

    reply = sandbox.answer(asked)

    assert reply.status == 400
    assert b"Traceback" not in reply.body


def test_policies_nested_without_end(sandbox, refused):
    deep = '{"Statement":' + "[" * 5_000 + "]" * 5_000 + "}"
    create = sandbox.client("iam").create_role
    refused("SerializationException", "nested too deeply", create, RoleName="r", AssumeRolePolicyDocument=deep)


@pytest.mark.parametrize(
    ("service", "body", "code"),
    [
        ("iam", b"Action=CreateRole&Version=2010-05-08&RoleName=\xff", b"ValidationError"),
        ("sts", b"Action=AssumeRole&Version=2011-06-15", b"ValidationException"),
        ("sns", b"Action=Unsubscribe&Version=2010-03-31", b"ValidationException"),
        ("ec2", b"Action=CreateSecurityGroup&Version=2016-11-15", b"MissingParameter"),
    ],
)
def test_a_request_that_lacks_what_is_required_is_no_fault_of_the_sandbox(sandbox, service, body, code):
    headers = {"authorization": SIGNED.format(service), "content-type": "application/x-www-form-urlencoded"}
    reply = sandbox.answer(Request("POST", "/", "", headers, body, "localhost"))

    assert reply.status == 400
    assert code in reply.body


def test_a_fault_of_the_sandbox_is_in_its_log_and_not_in_the_reply(sandbox, monkeypatch, capsys):
    def broken(*_):
        raise KeyError("Resources")

    monkeypatch.setattr(type(sandbox.account.moto), "answer", broken)
    with pytest.raises(ClientError) as raised:
        sandbox.client("ssm").get_parameter(Name="/x")

    message = "the sandbox failed at ssm:GetParameter (KeyError): see its log"
    assert raised.value.response["Error"] == {"Code": "SandboxFailure", "Message": message}
    assert "KeyError: 'Resources'" in capsys.readouterr().err
