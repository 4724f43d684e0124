"""Replies to reads are repeated until something is written, and never one from before a write that has ended."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.sandbox.services._moto import Moto

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'


def test_a_read_while_something_is_written_is_not_repeated(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    iam = sandbox.client("iam")

    def names() -> list[str]:
        return [policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]]

    asked, during = Moto._asked, []

    def first_read(moto: Moto, service: str, region: str, request: Any) -> Any:
        if b"CreatePolicy" in request.body and not during:
            during.append([])
            during[0] = names()  # it has the reply from before, as a read of another thread may
        return asked(moto, service, region, request)

    monkeypatch.setattr(Moto, "_asked", first_read)
    assert names() == []
    iam.create_policy(PolicyName="reader", PolicyDocument=POLICY)

    assert during == [[]] and names() == ["reader"]
