#!/opt/desktop/bin/python
"""What the desktop asks of AWS: its user from one secret, and the mail to that user by the topic in another.

    desktop account                makes the user, prints the login name
    desktop notify SESSION LOGIN   tells the user where the session is

The job role, its Region and the job's id come from the job's environment. A password goes to `chpasswd` on its
standard input: no argument, no log and no message has it.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import re
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

LOGIN_SECRET = "Run_DCV_in_Batch"
TOPIC_SECRET = "DCV_Session_Ready_Notification"
FIRST_USER_ID = 1000
_LOGIN = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PATIENCE = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "max_attempts": 5})


class Failure(Exception):
    """What is said to the user, in one sentence."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="desktop", description="The user of a DCV session, and the mail to the user.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("account", help="make the user of the secret, and print the login name")
    notify = commands.add_parser("notify", help="send the address of the session to the topic")
    notify.add_argument("session")
    notify.add_argument("login")
    notify.add_argument("--no-licence", action="store_true", help="say that DCV will refuse the connection")
    given = parser.parse_args(argv)
    try:
        if given.command == "account":
            print(make_account())
        else:
            tell_of(given.session, given.login, licensed=not given.no_licence)
    except Failure as failure:
        print(f"desktop: {failure}", file=sys.stderr)
        return 1
    return 0


# --- the user ---------------------------------------------------------------------------------------------------------


def make_account() -> str:
    """The login name of the user, who exists from now on, with the password of the secret."""
    name = os.environ.get("DCV_LOGIN_SECRET", LOGIN_SECRET)
    login, password = chosen(read_secret(name), os.environ.get("DCV_USER"), name)
    try:
        known = pwd.getpwnam(login)
    except KeyError:
        run(["useradd", "--create-home", "--shell", "/bin/bash", login])
    else:
        if known.pw_uid < FIRST_USER_ID:
            raise Failure(f"{login} in the secret {name} is a user of the system; choose another login name")
    run(["chpasswd"], f"{login}:{password}\n")
    return login


def chosen(users: dict[str, Any], wanted: str | None, name: str) -> tuple[str, str]:
    """The login name and password of the secret ``name``: those of ``wanted``, else of its only user."""
    if wanted is None and len(users) != 1:
        raise Failure(f"the secret {name} has {len(users)} users; name one of them in DCV_USER")
    login = wanted if wanted is not None else next(iter(users))
    if login not in users:
        raise Failure(f"the secret {name} has no user {login}")
    password = users[login]
    if not _LOGIN.fullmatch(login):
        raise Failure(f"{login!r} in the secret {name} is no login name: a-z, 0-9, _ and -, at most 32 of them")
    if not isinstance(password, str) or not password or not password.isprintable():
        raise Failure(f"the password of {login} in the secret {name} must be printable text of one line")
    return login, password


def run(command: list[str], text: str | None = None) -> None:
    """Run a program; its words are not shown, as they may hold what it was given."""
    try:
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    except OSError as error:
        raise Failure(f"cannot start {command[0]}: {error.strerror}") from None
    if done.returncode:
        raise Failure(f"{command[0]} failed with exit code {done.returncode}")


# --- the mail ---------------------------------------------------------------------------------------------------------


def tell_of(session: str, login: str, *, licensed: bool) -> None:
    """Publish where the session is; the same is in the job's log."""
    url = f"https://{address()}:8443/#{session}"
    print(f"desktop: the session of {login} is at {url}", file=sys.stderr)
    name = os.environ.get("DCV_TOPIC_SECRET", TOPIC_SECRET)
    topic = read_secret(name).get("sns_topic_arn")
    if not isinstance(topic, str) or len(topic.split(":")) != 6:
        raise Failure(f"the secret {name} has no topic ARN under sns_topic_arn")
    try:
        client("sns", topic.split(":")[3]).publish(
            TopicArn=topic, Subject="Your DCV session is ready", Message=message(url, login, licensed=licensed)
        )
    except (ClientError, BotoCoreError) as error:
        raise refusal(error, "sns:Publish", f"the topic {topic}") from None


def message(url: str, login: str, *, licensed: bool) -> str:
    lines = [
        "Your DCV session is ready:",
        "",
        url,
        "",
        f"Log in as {login}, with the password that you were given.",
        "Your browser warns of the certificate, which the session made for itself.",
        "Log out when you are done: that ends the job, and the instance with it.",
    ]
    if not licensed:
        lines += ["", "DCV found no licence and will refuse the connection. Tell your administrator."]
    job = os.environ.get("AWS_BATCH_JOB_ID")
    return "\n".join([*lines, *(["", f"AWS Batch job {job}"] if job else [])])


# --- where this runs --------------------------------------------------------------------------------------------------


def address() -> str:
    """What is set, else the instance's public address, else the private one, reached as well with VPN or peering."""
    found = os.environ.get("DCV_ADDRESS") or instance_metadata("public-ipv4") or instance_metadata("local-ipv4")
    if not found:
        raise Failure(
            "the instance metadata service gives no address: the container is not in the host's network, or the "
            "instance's HttpPutResponseHopLimit is 1"
        )
    return found


def region() -> str:
    """Of the job: AWS Batch sets none on EC2, so it is taken from the ARN of the task, else from the instance."""
    set_one = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if set_one:
        return set_one
    task = os.environ.get("ECS_CONTAINER_METADATA_URI_V4")
    if task:
        try:
            return str(json.loads(fetch(urllib.request.Request(f"{task}/task")))["TaskARN"]).split(":")[3]
        except (OSError, ValueError, KeyError, IndexError):
            pass
    found = instance_metadata("placement/region")
    if not found:
        raise Failure("the Region is not known: set AWS_REGION in the job definition")
    return found


def instance_metadata(path: str) -> str | None:
    """By IMDSv2, as instances refuse the first version today; None if it cannot be had."""
    root = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
    seconds = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    try:
        token = fetch(urllib.request.Request(f"{root}/latest/api/token", method="PUT", headers=seconds))
        headers = {"X-aws-ec2-metadata-token": token}
        return fetch(urllib.request.Request(f"{root}/latest/meta-data/{path}", headers=headers)) or None
    except OSError:
        return None


def fetch(request: urllib.request.Request) -> str:
    """Straight from the link-local address, never by a proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=3) as reply:
        return str(reply.read().decode()).strip()


# --- AWS --------------------------------------------------------------------------------------------------------------


def client(service: str, where: str) -> Any:
    return boto3.client(service, region_name=where, config=_PATIENCE)


def read_secret(name: str) -> dict[str, Any]:
    try:
        text = client("secretsmanager", region()).get_secret_value(SecretId=name).get("SecretString", "")
    except (ClientError, BotoCoreError) as error:
        raise refusal(error, "secretsmanager:GetSecretValue", f"the secret {name}") from None
    try:
        value = json.loads(text)
    except ValueError:  # and not what it says, which quotes the secret
        value = None
    if not isinstance(value, dict):
        raise Failure(f"the secret {name} is no JSON object")
    return value


def refusal(error: ClientError | BotoCoreError, permission: str, what: str) -> Failure:
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if code.startswith(("AccessDenied", "AuthorizationError")):
            return Failure(f"access to {what} was denied: allow the job role {permission}")
        return Failure(f"{what} cannot be used: {code}")
    return Failure(f"{what} cannot be used: {type(error).__name__}: has the job definition a jobRoleArn?")


if __name__ == "__main__":
    sys.exit(main())
