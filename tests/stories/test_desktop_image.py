"""The image of the desktop article: linted, and its scripts run as in the container, with the sandbox for AWS.

DCV, X and the tools that make users are stood in for; what they were given is looked at. The image is not built here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from reconciler.sandbox import outbox
from tests.support.shell import Shell
from tests.test_pipelines import passes, program

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = str(ROOT / "environments/dcv-desktop")
IMAGE = ROOT / "environments/dcv-desktop/image"
STAND_IN = ROOT / "tests/data/desktop/program.sh"
STOOD_IN = ("chpasswd", "dbus-daemon", "dcv", "dcvgladmin", "dcvserver", "nvidia-smi", "useradd", "xhost", "Xorg")
PASSWORD = 'correct "horse" $battery: 100% \\ staple'
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 1,
        "digest": f"sha256:{'0' * 64}",
    },
    "layers": [],
}
TASK = {"TaskARN": "arn:aws:ecs:eu-west-1:123456789012:task/cluster/0123"}


class Instance(ThreadingHTTPServer):
    """The metadata of an instance, version 2 only, and of the task on it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Metadata)
        self.known = {"public-ipv4": "203.0.113.7", "local-ipv4": "10.0.0.7", "placement/region": "eu-west-1"}
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Metadata(BaseHTTPRequestHandler):
    server: Instance

    def do_PUT(self) -> None:
        asked = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._reply("a-token" if asked else None)

    def do_GET(self) -> None:
        if self.path == "/v4/task":
            self._reply(json.dumps(TASK))
        elif self.headers["X-aws-ec2-metadata-token"] != "a-token":
            self._reply(None, 401)
        else:
            self._reply(self.server.known.get(self.path.removeprefix("/latest/meta-data/")))

    def _reply(self, text: str | None, without: int = 404) -> None:
        self.send_response(without if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    found = Instance()
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", found.url)
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "job-1")
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def topic(served: Any) -> str:
    """The article's secrets and topic."""
    sns = boto3.client("sns")
    arn = str(sns.create_topic(Name="DCV_Session_Ready_Notification")["TopicArn"])
    sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="user001@example.com")
    outbox.confirm(served.account)
    secret("Run_DCV_in_Batch", {"user001": PASSWORD})
    secret("DCV_Session_Ready_Notification", {"sns_topic_arn": arn})
    return arn


def secret(name: str, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    client = boto3.client("secretsmanager")
    try:
        client.create_secret(Name=name, SecretString=text)
    except client.exceptions.ResourceExistsException:
        client.put_secret_value(SecretId=name, SecretString=text)


@pytest.fixture
def desktop() -> ModuleType:
    """The program of the image; without a compiled copy beside it, which is no part of an environment."""
    module = ModuleType("desktop")
    exec(compile((IMAGE / "desktop.py").read_text(encoding="utf-8"), IMAGE / "desktop.py", "exec"), module.__dict__)
    return module


class Container:
    """The entry script at work, with the programs on its path stood in for."""

    def __init__(self, home: Path, *, ours: bool) -> None:
        self.home = home
        (home / "typed").touch()
        self.programs = home / "bin"
        self.programs.mkdir()
        for name in STOOD_IN if ours else (*STOOD_IN, "desktop"):
            (self.programs / name).symlink_to(STAND_IN)
        if ours:
            (self.programs / "desktop").write_text(f'#!/bin/sh\nexec {sys.executable} {IMAGE / "desktop.py"} "$@"\n')
            (self.programs / "desktop").chmod(0o755)

    def start(self, **environ: str) -> None:
        with (self.home / "log").open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [str(IMAGE / "entrypoint.sh"), "--network=host"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "PATH": f"{self.programs}:{os.environ['PATH']}",
                    "STAND": str(self.home),
                    "DESKTOP_TICK": "0.02",
                    "DESKTOP_SERVER_LOG": str(self.home / "server.log"),
                    "DESKTOP_XORG_CONF": str(self.home / "xorg.conf"),
                    **environ,
                },
            )

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not holds():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                self.process.wait()
                pytest.fail(self.told)
            time.sleep(0.02)

    def ended(self) -> int:
        return self.process.wait(60)

    def log_out(self) -> None:
        (self.home / "session").unlink()

    @property
    def told(self) -> str:
        return (self.home / "log").read_text(encoding="utf-8")

    @property
    def typed(self) -> list[str]:
        return (self.home / "typed").read_text(encoding="utf-8").splitlines()


def mails(account: Any) -> list[Any]:
    return [one for one in outbox.messages(account.account) if one["kind"] == "email"]


def test_the_image_and_its_scripts_pass_their_linters() -> None:
    passes(program("hadolint"), "--no-color", IMAGE / "Dockerfile")
    passes(program("shellcheck"), *sorted(IMAGE.glob("*.sh")), STAND_IN)
    dockerfile = (IMAGE / "Dockerfile").read_text(encoding="utf-8")
    assert {file.name for file in IMAGE.iterdir()} == {
        *(line.split()[-2] for line in dockerfile.splitlines() if line.startswith("COPY ")),
        "Dockerfile",
        "README.md",
    }


def test_the_article_from_its_yaml_to_the_mail_until_the_user_logs_out(
    shell: Shell, instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, found = a_job_of_the_article(shell, monkeypatch)
    at = shell.ok("jobs", "connect", EXAMPLE, job, "--session", "desktop", "--format", "json").json
    (machine,) = (one for each in boto3.client("ec2").describe_instances()["Reservations"] for one in each["Instances"])
    instance.known["public-ipv4"] = address = machine["PublicIpAddress"]
    assert at["url"] == f"https://{machine['PublicDnsName']}:8443/#desktop"
    (tmp_path / "gpu").write_text("00000000:00:1E.0\n")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)  # as in a job on EC2
    container = Container(tmp_path, ours=True)

    given = {one["name"]: one["value"] for one in found["container"]["environment"]}
    container.start(**given, AWS_BATCH_JOB_ID=job, ECS_CONTAINER_METADATA_URI_V4=f"{instance.url}/v4")
    container.until(lambda: bool(mails(shell.account)))
    container.log_out()

    assert container.ended() == 0
    assert (tmp_path / "chpasswd.stdin").read_text() == f"user001:{PASSWORD}\n"
    assert PASSWORD not in container.told and "horse" not in "".join(container.typed)
    assert {
        "useradd --create-home --shell /bin/bash user001",
        "dbus-daemon --system --fork",
        "xhost +si:localuser:dcv",
        "xhost +si:localuser:user001",
        "dcvgladmin enable",
        "dcvserver -d --service",
        "dcv create-session --type virtual --owner user001 --user user001 --init /usr/local/bin/desktop-session --gl on desktop",
    } <= set(container.typed)
    assert 'BusID "PCI:0@0:30:0"' in (tmp_path / "xorg.conf").read_text()
    (mail,) = mails(shell.account)
    assert (mail["to"], mail["subject"]) == ("user001@example.com", "Your DCV session is ready")
    assert {f"https://{address}:8443/#desktop", f"AWS Batch job {job}"} <= set(mail["text"].splitlines())
    assert f"user001 is at https://{address}:8443/#desktop" in container.told
    assert container.told.endswith("desktop: the user has logged out: the job ends\n")


def a_job_of_the_article(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Any]:
    """A session that runs: applied, with an image, the mails wanted, and submitted. Its id, and AWS's description."""
    monkeypatch.setenv("DCV_PASSWORD", PASSWORD)
    shell.secrets.add(PASSWORD)
    shell.ok("apply", EXAMPLE, "--auto-approve")
    boto3.client("ecr").put_image(repositoryName="dcv", imageTag="latest", imageManifest=json.dumps(MANIFEST))
    outbox.confirm(shell.account.account)
    outbox.clear(shell.account.account)
    shell.account.change({"outcomes": {"*": ["runs-on"]}})
    job = shell.ok("jobs", "submit", EXAMPLE, "jobDefinitions.DCV-GPU-JD", "--format", "json").json["job_id"]
    shell.account.clock.advance(600)
    (found,) = boto3.client("batch").describe_jobs(jobs=[job])["jobs"]
    assert found["status"] == "RUNNING", found
    return job, found


def test_a_session_that_is_stopped_or_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "gpu").write_text("00000000:00:1E.0\n")
    (tmp_path / "gl-is-broken").touch()
    (tmp_path / "server.log").write_text("WARN license-manager - Unable to retrieve license object from AWS S3\n")
    container = Container(tmp_path, ours=False)

    container.start()
    container.until(lambda: "desktop notify desktop user001 --no-licence" in container.typed)
    container.process.send_signal(signal.SIGTERM)

    assert container.ended() == 143
    assert "once more without" in container.told and "no licence" in container.told
    created = [line for line in container.typed if line.startswith("dcv create-session")]
    assert ["--gl on desktop" in line for line in created] == [True, False]
    assert container.typed[-1] == "dcv close-session desktop" and not (tmp_path / "session").exists()

    for gone, said in (("dcvserver", "server.log:\nWARN license-manager"), ("desktop", "no user, no session")):
        (container.programs / gone).unlink()
        (container.programs / gone).symlink_to("/bin/false")
        container.start()
        assert (container.ended(), said in container.told) == (1, True)


@pytest.mark.parametrize(
    "row",
    json.loads((ROOT / "tests/data/desktop/secrets.json").read_text(encoding="utf-8")),
    ids=lambda row: row["said"],
)
def test_secrets_that_make_no_user(
    row: dict[str, Any],
    desktop: ModuleType,
    served: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(desktop, "run", lambda command, _text=None: ran.append(command))
    for name, value in row.get("environ", {}).items():
        monkeypatch.setenv(name, value)
    if "secret" in row:
        secret("Run_DCV_in_Batch", row["secret"])

    code = desktop.main(["account"])

    out, err = capsys.readouterr()
    assert (code, out, ran) == (1, "", [])
    assert row["said"] in err and "s3cr3t" not in err and err.count("\n") == 1


def test_one_of_several_users_is_chosen(
    desktop: ModuleType, served: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop, "run", lambda *_: None)
    monkeypatch.setenv("DCV_USER", "grace")
    secret("Run_DCV_in_Batch", {"ada": "s3cr3t", "grace": "s3cr3t"})

    assert desktop.main(["account"]) == 0
    assert capsys.readouterr() == ("grace\n", "")


def test_addresses_and_what_keeps_a_mail_from_being_sent(
    desktop: ModuleType,
    topic: str,
    instance: Instance,
    served: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def notify(*options: str) -> str:
        desktop.main(["notify", "desktop", "user001", *options])
        return capsys.readouterr().err

    del instance.known["public-ipv4"]  # in a private subnet
    assert "https://10.0.0.7:8443/#desktop" in notify("--no-licence")
    assert "DCV found no licence" in mails(served)[-1]["text"]

    secret("DCV_Session_Ready_Notification", {"sns_topic_arn": topic + "-gone"})
    assert f"desktop: the topic {topic}-gone cannot be used: NotFound" in notify()
    secret("DCV_Session_Ready_Notification", {"topic": topic})
    assert "has no topic ARN under sns_topic_arn" in notify()

    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")
    assert "HttpPutResponseHopLimit is 1" in notify()
    monkeypatch.setenv("DCV_ADDRESS", "desktop.example.com")
    assert "https://desktop.example.com:8443/#desktop" in notify()
