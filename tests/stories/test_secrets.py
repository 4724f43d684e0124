"""Secrets are seen nowhere: not on the terminal, in a file that is left behind, in a tag, nor in the account's log.

An environment with secrets of every shape is put through whatever can be done with it, and whatever can go wrong; all
that it left is then searched for each secret, in every form in which it could be turned back.
"""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from reconciler.cli import main as cli
from reconciler.planning import planner
from reconciler.sandbox import process
from tests.support.tables import DATA, cases

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7VJTU\n-----END PRIVATE KEY-----\n"
KEY_LINES = ("MIIEvQIBADANBgkqhkiG9w0BAQEF", "AASCBKcwggSjAgEAAoIBAQC7VJTU")
ENVIRON = {
    "APP_PASSWORD": "hunter2-And-More",
    "QUOTED_PASSWORD": 'pass"word\'with\\all<of>&them, in "one"',
    "ACCENTED_PASSWORD": "pässwörd→秘密🔑",
    "SPACED_TOKEN": "two words + per%cent",
    "TINY_PASSWORD": "ʘ",
    "SHORT_TOKEN": "qǂ7",
    "STARTUP_TOKEN": "tok-0a1b2c3d4e",
    "LONG_SECRET": "L0ng" + "-and-never-ending" * 12,
}
# what stands in the files themselves
LITERAL, IN_VARIABLE, IN_CONTAINER, IN_PARAMETERS, IN_LOG = (
    "literal-Secret-1",
    "variable-Secret-2",
    "container-Secret-3",
    "parameter-Secret-4",
    "splunk-Secret-5",
)
EVERY = (*ENVIRON.values(), *KEY_LINES, LITERAL, IN_VARIABLE, IN_CONTAINER, IN_PARAMETERS, IN_LOG)

STACK = """\
environment: vault
region: eu-west-1
variables: {dbPassword: variable-Secret-2, team: hpc}
lookups:
  vpc: {vpc: {default: true}}
  subnets: {subnets: {vpcId: "${lookups.vpc}"}}
  default: {securityGroup: {groupName: default, vpcId: "${lookups.vpc}"}}
secrets:
  one: {value: "${env:APP_PASSWORD}", description: "for ${var.team}"}
  quoted: {value: "${env:QUOTED_PASSWORD}"}
  several:
    value: {accented: "${env:ACCENTED_PASSWORD}", spaced: "${env:SPACED_TOKEN}", tiny: "${env:TINY_PASSWORD}", port: 5432}
  short: {value: "${env:SHORT_TOKEN}"}
  key: {value: "${file:files/key.pem}"}
  long: {value: "${env:LONG_SECRET}"}
  literal: {value: literal-Secret-1}
  variable: {value: "user:${var.dbPassword}@host"}
launchTemplates:
  start:
    launchTemplateData:
      userData: |
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="b"

        --b
        Content-Type: text/x-shellscript

        #!/bin/sh
        register --token ${env:STARTUP_TOKEN}
        --b--
computeEnvironments:
  ce:
    type: MANAGED
    computeResources:
      type: FARGATE
      maxvCpus: 4
      subnets: "${lookups.subnets}"
      securityGroupIds: ["${lookups.default}"]
jobQueues:
  queue: {priority: 1, computeEnvironmentOrder: [{order: 1, computeEnvironment: ce}]}
jobDefinitions:
  job:
    type: container
    parameters: {password: parameter-Secret-4}
    containerProperties:
      image: alpine
      command: [run, --token, "${env:STARTUP_TOKEN}"]
      environment:
        - {name: DB_PASSWORD, value: container-Secret-3}
        - {name: API_TOKEN, value: "${env:SHORT_TOKEN}"}
        - {name: STAGE, value: test}
      resourceRequirements: [{type: VCPU, value: "1"}, {type: MEMORY, value: "2048"}]
      logConfiguration:
        logDriver: splunk
        options: {splunk-url: "https://splunk.example.org", splunk-token: splunk-Secret-5}
"""


def forms(secret: str) -> Iterator[str]:
    """What to look for: each is enough to know the secret."""
    for text in (secret, secret.lower(), secret.upper()):
        yield text
        escaped = json.dumps(text)[1:-1]
        yield from (escaped, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(escaped)[1:-1])
        yield from (urllib.parse.quote(text), urllib.parse.quote(text, safe=""), urllib.parse.quote_plus(text))
        yield from (repr(text)[1:-1], ascii(text)[1:-1], html.escape(text))
    data = secret.encode()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        middle = whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        if len(middle) >= 8:
            yield from (middle, middle.replace("+", "-").replace("/", "_"))


SOUGHT = {form: secret for secret in EVERY for form in forms(secret)}
SOUGHT |= {secret[:12]: secret for secret in EVERY if len(secret) > 16}


def found_in(text: str) -> list[str]:
    """The forms of secrets in ``text``, each with what stands around it."""
    return [f"{form!r} in ...{text[max(text.index(form) - 60, 0) :][:160]}" for form in SOUGHT if form in text]


@dataclass
class Vault:
    """The environment, the account it goes to, and everything that was said so far."""

    folder: Path
    sandbox: Any
    url: str
    capsys: pytest.CaptureFixture[str]

    def run(self, *argv: str) -> tuple[int, str]:
        """One command; how it ended and what it said. Looks for secrets in that, and in the files it left."""
        before = {path: path.stat().st_mtime_ns for path in self.folder.rglob("*") if path.is_file()}
        codes: list[int] = []
        cli.main(list(argv), leave=codes.append)
        out, err = self.capsys.readouterr()
        left = [
            path for path in self.folder.rglob("*") if path.is_file() and before.get(path) != path.stat().st_mtime_ns
        ]
        for text in (out, err, *(path.read_text("utf-8") for path in left)):
            assert not found_in(text)
        return codes[0], out + err

    def write(self, text: str, name: str = "environment.yaml") -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def account(self) -> str:
        """What the account tells about itself to everybody: its log, and every tag."""
        tags = boto3.client("resourcegroupstaggingapi").get_resources()["ResourceTagMappingList"]
        return json.dumps([process.control(self.url, "calls"), tags], ensure_ascii=False)


@pytest.fixture
def vault(
    served: Any, sandbox_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Vault:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "key.pem").write_text(PEM, encoding="ascii")
    made = Vault(tmp_path, served, sandbox_url, capsys)
    made.write(STACK)
    return made


def test_a_whole_life(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command and form from nothing to nothing, and a change of every secret on the way."""
    for argv in (
        ("validate",),
        ("validate", "--format", "json", "--strict"),
        ("render",),
        *(("plan", "--format", form) for form in ("text", "json", "markdown", "html")),
        ("--debug", "plan", "--out", "saved.plan"),
    ):
        code, said = vault.run(*argv)
        assert code == ("--strict" in argv), said
    code, said = vault.run("apply", "saved.plan", "--journal", "journal.jsonl")
    assert code == 0, said
    assert "secretsmanager:PutSecretValue" in Path("journal.jsonl").read_text("utf-8")
    assert vault.run("plan", "--detailed-exitcode")[0] == 0

    vault.write(
        STACK.replace("container-Secret-3", f"other-{IN_CONTAINER}").replace("splunk-Secret", "x-splunk-Secret")
    )
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, f"{value}{value}")
    for form in ("text", "json", "markdown", "html"):
        code, said = vault.run("plan", "--detailed-exitcode", "--format", form)
        assert code == 2
    code, said = vault.run("apply", "--auto-approve", "--format", "json", "--journal", "second.jsonl")
    assert code == 0, said
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert vault.run("apply", "--auto-approve", "--parallelism", "1")[0] == 0
    assert vault.run("plan", "--destroy", "--format", "json")[0] == 0
    assert vault.run("destroy", "--auto-approve", "--journal", "third.jsonl")[0] == 0
    assert not found_in(vault.account().replace(ENVIRON["STARTUP_TOKEN"], "")), "the command line of a job is no secret"


EVERYTHING = "; ".join([f"Value \"{value}\" at 'secretString' is not what is expected" for value in ENVIRON.values()])
WRITES = ("Create*", "Put*", "Register*", "Tag*", "Update*", "Delete*", "Deregister*")


def test_refusals_that_quote_them(vault: Vault) -> None:
    """AWS says no to each write of a first apply, of a change and of the end, and quotes every secret while it does."""
    for writes, argv in (
        (("CreateSecret", "CreateLaunchTemplate", "RegisterJobDefinition"), ("apply", "-y", "--on-error", "continue")),
        (("PutSecretValue", "RegisterJobDefinition"), ("apply", "-y", "--format", "json", "--on-error", "continue")),
        ((), ("apply", "-y")),
        (("Delete*", "Deregister*"), ("destroy", "-y", "--on-error", "continue")),
    ):
        for operation in writes:
            vault.sandbox.faults.add(operation=operation, times=0, code="ValidationException", message=EVERYTHING)
        code, said = vault.run(*argv, "--journal", f"{argv[0]}.jsonl")
        vault.sandbox.faults.clear()
        assert code == (3 if writes else 0), said
        if writes:
            assert "secretString" in said, "the refusal itself is told"


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "DescribeVpcs", "DescribeSecret", "PutParameter"])
def test_refusals_before_anything_is_done(vault: Vault, operation: str) -> None:
    vault.sandbox.faults.add(operation=operation, times=0, code="AccessDeniedException", message=EVERYTHING, status=403)

    for form in ("text", "json"):
        code, said = vault.run("apply", "-y", "--format", form)

        assert code in (1, 4), said
        assert "secretString" in said


def test_replies_that_were_lost(vault: Vault) -> None:
    for operation in WRITES[:4]:
        vault.sandbox.faults.add(operation=operation, lost=True, times=2)

    code, said = vault.run("apply", "-y", "--journal", "journal.jsonl")

    assert code == 0, said


def test_a_fault_of_our_own_under_debug(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback ends in the message, which is whatever somebody thought of, and shows what caused it."""

    def broken(*_: object, **__: object) -> None:
        try:
            json.loads(ENVIRON["QUOTED_PASSWORD"] + LITERAL)
            raise KeyError(ENVIRON["QUOTED_PASSWORD"])
        except ValueError as error:
            raise KeyError({name: value.encode() for name, value in ENVIRON.items()}, repr(ENVIRON), PEM) from error

    monkeypatch.setattr(planner, "make", broken)

    for argv in (("--debug", "plan"), ("plan",), ("--debug", "apply", "-y", "--journal", "journal.jsonl")):
        code, said = vault.run(*argv)
        assert code == 1
        assert "KeyError" in said


# --- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = cases(DATA / "secret_mistakes.yaml")["mistakes"]


@pytest.mark.parametrize("text", MISTAKES.values(), ids=MISTAKES)
def test_what_is_wrong_is_told_without_them(vault: Vault, text: str) -> None:
    vault.write(f"environment: vault\n{text}\n")

    for argv in (("validate",), ("validate", "--format", "json"), ("render",), ("--debug", "plan")):
        code, said = vault.run(*argv)

        assert "environment.yaml:" in said or '"line"' in said or code == 0, said
        assert "hunter2" not in said
