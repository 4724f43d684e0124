"""Secrets where no secret belongs, and what is written like one, in everything that is printed without an account."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.checks.secrets import texts_under_secret_names
from reconciler.cli import main as cli
from reconciler.model.masking import SENSITIVE, Cover, without_tokens
from reconciler.model.secrets_in_text import secrets_in
from tests.support.tables import cases

CASES = cases(Path(__file__).parents[1] / "data" / "misplaced_secrets.yaml")
HUNTER = "hunter2-and-more"
SETTINGS = "environment: site\nregion: eu-west-1\n"
COMMANDS = (("validate",), ("validate", "--format", "json"), ("render",))

TOKENS = [
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "xoxb-" + "123456789012-abcdefABCDEF",
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
]
NONE = [
    "service-role/AmazonEC2ContainerServiceforEC2Role",
    "AmazonSageMakerServiceCatalogProducts123",
    "arn:aws:batch:eu-west-1:123456789012:job-definition/task-definition:1",
    "0123456789abcdef0123456789abcdef01234567",
    "alpine@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "task-with-a-very-long-name-and-more-of-it-still",
]


def told(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    cli.main(list(argv), leave=lambda _: None)
    out, err = capsys.readouterr()
    assert "a bug in reconcile" not in err
    return out + err


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"].replace(" ", "-"))
def test_a_secret_in_the_wrong_place_is_not_printed(
    case: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "environment.yaml").write_text(SETTINGS + case["yaml"].replace("HUNTER", HUNTER) + "\n", "utf-8")

    for command in COMMANDS:
        assert "hunter2" not in told(capsys, *command), command


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:10])
def test_what_is_written_like_a_token_is_masked(token: str) -> None:
    assert Cover()(f'the key "{token}" is wrong') == f'the key "{SENSITIVE}" is wrong'


def test_a_token_as_a_key_and_as_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    key = TOKENS[2]
    definition = f"{{type: container, {key}: 1, tags: {{{key}: a}}, containerProperties: {{image: a, x: {key}}}}}"
    (tmp_path / "environment.yaml").write_text(
        f"{SETTINGS}{key}: 1\njobDefinitions: {{{key}: {definition}}}\nvault: {{{key}: {{a: 1}}}}\n", "utf-8"
    )

    for command in COMMANDS:
        assert "ghp_" not in told(capsys, *command), command


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_token_stays(text: str) -> None:
    assert without_tokens(text) == text


@pytest.mark.parametrize(
    "text",
    ["arn:aws:secretsmanager:eu-west-1:1:secret:db-1", "--password=${env:DB}", "tokens: many", "a:b", "x=http://h/p"],
)
def test_what_gives_no_secret_a_value(text: str) -> None:
    assert not secrets_in(text)


def test_references_and_structures_are_no_secrets() -> None:
    value = {
        "secrets": [{"name": "DB_PASSWORD", "valueFrom": "arn:aws:secretsmanager:eu-west-1:1:secret:db-1"}],
        "repositoryCredentials": {"credentialsParameter": "arn:x-1"},
        "tags": {"team": "tag-1"},
    }

    assert not texts_under_secret_names(value)
