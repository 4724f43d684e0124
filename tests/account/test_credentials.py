"""What is wrong with credentials is named: which profile, which role, which command, and the way out."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

from reconciler.account import client
from reconciler.model import Call, Refused
from reconciler.model.problem_codes import catalogue
from reconciler.model.problems import Problem, Problems
from reconciler.sandbox.transport import _Raw
from tests.support.tables import cases

CASES = cases(Path(__file__).parents[1] / "data" / "credentials.yaml")
ERROR = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
)


def answering(answer: Mapping[str, Any] | None, ahead: float, patch: pytest.MonkeyPatch) -> list[Any]:
    """Every request is refused with this, by a server whose clock is ``ahead`` seconds; without it, none is sent."""
    sent: list[Any] = []

    def send(_: Any, request: Any) -> AWSResponse:
        sent.append(request)
        assert answer, f"{request.url} was asked"
        headers = {"date": formatdate(time.time() + ahead, usegmt=True), "x-amzn-errortype": answer["code"]}
        body = ERROR.format(**answer) if "sts." in request.url else json.dumps({"message": answer["message"]})
        return AWSResponse(request.url, answer["status"], headers, _Raw(body.encode()))  # type: ignore[arg-type]

    patch.setattr(URLLib3Session, "send", send)
    return sent


def set_up(case: Mapping[str, Any], home: Path, patch: pytest.MonkeyPatch) -> None:
    (home / "config").write_text(case.get("config", ""), encoding="utf-8")
    (home / "sso").mkdir()
    if token := case.get("token"):
        for name in ("corp", "https://corp.awsapps.com/start"):
            place = home / "sso" / f"{hashlib.sha1(name.encode()).hexdigest()}.json"
            place.write_text(json.dumps(token))
    for kind in ("botocore.credentials.SSOProvider", "botocore.tokens.SSOTokenProvider"):
        patch.setattr(f"{kind}._SSO_TOKEN_CACHE_DIR", str(home / "sso"))
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2"} if case.get("keys") else {}
    files = {"AWS_CONFIG_FILE": str(home / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(home / "none")}
    for name, value in {**files, **keys, **case.get("environ", {})}.items():
        patch.setenv(name, value)
    patch.setattr("getpass.getpass", lambda _: sys.stdin.readline() or (_ for _ in ()).throw(EOFError()))
    patch.setattr("sys.stdin", io.StringIO())


def found_in(case: Mapping[str, Any]) -> Problem:
    def connect() -> None:
        region = case.get("region", "eu-west-1")
        client.identity(client.connect(region=region, profile=case.get("profile"), role=case.get("role")), "e")

    with pytest.raises(Problems) as caught:
        connect()
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"].replace(" ", "-"))
def test_what_is_wrong_is_named(case: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "needs" in case and find_spec(case["needs"]) is None:
        case = {**case, "code": "aws-set-up", "said": ["botocore[crt]"]}
    set_up(case, tmp_path, monkeypatch)
    answering(case.get("answer"), case.get("ahead", 0), monkeypatch)

    problem = found_in(case)

    text = f"{problem.message}\n{problem.hint}"
    assert problem.code == case["code"], text
    assert problem.hint or case["code"] == "aws-set-up", "the way out"
    assert all(said in text for said in case["said"]), text
    assert not any(said in text for said in (*case.get("not_said", ()), "hunter2")), text


def test_every_code_about_credentials_is_tried() -> None:
    ours = {"no-credentials", "no-region", "aws-profile", "not-signed-in", "credential-process", "role-refused"}
    ours |= {"credentials-expired", "credentials-refused", "clock-skew", "aws-set-up"}

    assert ours <= catalogue().keys()
    assert ours == {case["code"] for case in CASES}


def test_credentials_that_end_later_are_a_refusal_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a plan is made or applied: nothing raises, and what a process prints is not shown."""
    script = tmp_path / "once"
    again = {"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c"}
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 660))
    script.write_text(
        f"if test -e {tmp_path}/done; then echo hunter2 >&2; exit 1; fi; touch {tmp_path}/done; "
        f"echo '{json.dumps(again | {'Expiration': until})}'\n"
    )
    set_up({"config": f"[profile p]\ncredential_process = sh {script}\n"}, tmp_path, monkeypatch)
    expired = {"code": "ExpiredToken", "status": 400, "message": "The security token is expired"}
    answering(expired, 0, monkeypatch)
    aws = client.connect(region="eu-west-1", profile="p")

    refused = aws.call(Call("sts", "GetCallerIdentity"))
    later = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(aws.session.get_credentials(), "_time_fetcher", lambda: later)
    not_sent = aws.call(Call("sts", "GetCallerIdentity"))

    assert isinstance(refused, Refused) and isinstance(not_sent, Refused)
    assert str(refused) == "ExpiredToken: The security token is expired (renew the credentials of profile p)"
    assert not_sent.code == "NoCredentials" and not_sent.unknown
    assert "the credential_process of profile p failed: sh ...: it ended with an error (run it by" in not_sent.message
    assert "hunter2" not in not_sent.message
