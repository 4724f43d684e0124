"""What a reviewer reads about a changed policy, rule, script, command: one document, in tests/data/golden.

`UPDATE_GOLDEN=1 pytest tests/render/test_differences_of_kinds.py` writes it anew, to be reviewed as part of the change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.kinds import discover
from reconciler.model import Live
from reconciler.planning.diff import difference
from reconciler.render import changes
from reconciler.render.mask import Mask
from reconciler.schema.registry import members
from tests.render.test_render import golden
from tests.support.service_kinds import OWNED, want

ACTIONS = [f"s3:Action{number:02}" for number in range(14)]
WITH_ALL = [*ACTIONS[:8], "s3:*", *ACTIONS[9:]]
USER_DATA = "#!/bin/sh\n" + "".join(f"echo {number}\n" for number in range(9)) + "tune --size {}\n"


def document(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **one} for one in statements]}


def rule(cidr: str, port: int) -> dict[str, Any]:
    return {"ipProtocol": "tcp", "fromPort": port, "toPort": port, "ipRanges": [{"cidrIp": cidr}]}


def group(*ingress: Any) -> dict[str, Any]:
    return {"description": "d", "vpcId": "vpc-1", "ingress": [*ingress]}


def template(user_data: str, *sizes: int) -> dict[str, Any]:
    disks = [
        {"deviceName": f"/dev/xvd{name}", "ebs": {"volumeSize": size}} for name, size in zip("ab", sizes, strict=False)
    ]
    return {"launchTemplateData": {"userData": user_data, "blockDeviceMappings": disks}}


def definition(threads: int, token: str, *rules: Any) -> dict[str, Any]:
    script = "set -e\n" + "echo x\n" * 8 + f"bwa -t {threads}\n"
    container = {
        "image": "i",
        "command": ["bash", "-c", script],
        "environment": {"THREADS": str(threads), "TOKEN": token},
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
    }
    return {
        "type": "container",
        "containerProperties": container,
        "retryStrategy": {"attempts": 3, "evaluateOnExit": [*rules]},
    }


def images(count: int) -> dict[str, Any]:
    selection = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": count}
    return {"lifecyclePolicy": {"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]}}


EXIT, RETRY = {"onReason": "*", "action": "EXIT"}, {"onExitCode": "1", "action": "RETRY"}
HOST = {"onStatusReason": "Host EC2*", "action": "RETRY"}
READ, LOOK, LOOK_ALL = (
    {"Action": ACTIONS},
    {"Sid": "look", "Action": "ec2:Describe*"},
    {"Sid": "look", "Action": "ec2:*"},
)
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "policies": (
        {"policyDocument": document(READ, LOOK)},
        {"policyDocument": document(LOOK_ALL, {"Action": WITH_ALL})},
    ),
    "roles": (
        {"trust": ["ec2.amazonaws.com"], "inlinePolicies": {"p": document(READ)}},
        {
            "trust": ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"],
            "inlinePolicies": {"p": document({"Action": WITH_ALL}), "q": document(READ)},
        },
    ),
    "securityGroups": (
        group(rule("10.0.0.0/8", 443), rule("10.0.0.0/8", 22)),
        group(rule("10.1.0.0/16", 80), rule("10.0.0.0/8", 443), rule("0.0.0.0/0", 22)),
    ),
    "launchTemplates": (template(USER_DATA.format("10m"), 30), template(USER_DATA.format("1m"), 40, 50)),
    "jobDefinitions": (definition(4, "abcd1", RETRY, EXIT), definition(8, "abcd2", EXIT, RETRY, HOST)),
    "repositories": (images(10), images(1)),
}


def shown() -> Iterator[str]:
    for section, (old, new) in PAIRS.items():
        kind = discover()[section]
        live = Live(
            physical="x", props=want(kind, **old).props, tags=OWNED, attrs={"arn": "arn:x", "id": "sg-1", "name": "x"}
        )
        found, _, _ = difference(kind, live, want(kind, live=live, **new), members(section))
        yield f"{section}:"
        yield from (f"  {'  ' * one.depth}{one.sign or ' '} {one.text}" for one in changes.lines(found.changes, Mask()))


def test_what_differs_in_documents_rules_scripts_and_commands() -> None:
    found = "\n".join(shown())

    assert "abcd" not in found
    golden("differences.txt", f"{found}\n")
