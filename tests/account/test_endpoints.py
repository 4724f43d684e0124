"""What answers instead of AWS itself is named, whatever set it: a variable, a profile, or its services."""

from __future__ import annotations

import botocore.session
import pytest

from reconciler.account import client
from reconciler.model import Scope

SERVICES = "[default]\naws_access_key_id = a\naws_secret_access_key = b\n{more}\n[services local]\nbatch =\n  endpoint_url = http://batch.local:1\n"
URL = "http://localhost:4566"


@pytest.mark.parametrize(
    ("environ", "profile", "said"),
    [
        ({}, "", ""),
        ({"AWS_ENDPOINT_URL": URL}, "", URL),
        ({"AWS_ENDPOINT_URL": "http://me:hunter2@proxy.local/aws/"}, "", "http://proxy.local"),
        ({}, f"endpoint_url = {URL}", URL),
        ({}, "services = local", "batch at http://batch.local:1"),
        ({"AWS_ENDPOINT_URL_BATCH": URL, "AWS_ENDPOINT_URL_STS": URL}, "", f"batch and sts at {URL}"),
        ({"AWS_ENDPOINT_URL_BATCH": URL}, f"endpoint_url = {URL}/", URL),
        ({"AWS_ENDPOINT_URL": URL}, "services = local", URL),  # as botocore decides
        (
            {"AWS_ENDPOINT_URL": URL, "AWS_ENDPOINT_URL_STS": "http://sts"},
            "",
            f"batch and iam at {URL}, sts at http://sts",
        ),
        ({"AWS_ENDPOINT_URL_BATCH": "https://vpce-1.batch.eu-west-1.vpce.amazonaws.com"}, "", ""),
        ({"AWS_ENDPOINT_URL": "https://amazonaws.com.example.org"}, "", "https://amazonaws.com.example.org"),
        ({"AWS_ENDPOINT_URL": URL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "", ""),
        (
            {"AWS_ENDPOINT_URL": URL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"},
            "ignore_configured_endpoint_urls = true",
            URL,
        ),
        ({"AWS_ENDPOINT_URL_S3": URL}, "", ""),  # of a service that was not asked
    ],
)
def test_what_answers_is_named(
    environ: dict[str, str], profile: str, said: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = f"{tmp_path}/config"
    with open(config, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(SERVICES.format(more=profile))
    for name, value in {**environ, "AWS_CONFIG_FILE": config}.items():
        monkeypatch.setenv(name, value)
    aws = client.connect(region="eu-west-1")
    for service in ("sts", "batch", "iam"):
        aws.client(service)

    assert aws.elsewhere() == said


def test_the_sandbox_is_called_by_its_name() -> None:
    aws = client.connect(region="eu-west-1", endpoint=client.Endpoint(URL, "eu-west-1", "a", "b", "sandbox"))

    assert aws.elsewhere() == "sandbox"
    places = {said: Scope("1", "eu-west-1", "aws", "e", said).place for said in ("", "sandbox", URL, f"batch at {URL}")}
    assert [*places.values()] == [
        "eu-west-1",
        "eu-west-1 (sandbox)",
        f"eu-west-1 (endpoint {URL})",
        f"eu-west-1 (batch at {URL})",
    ]


def test_the_domains_of_aws_are_those_that_botocore_knows() -> None:
    partitions = botocore.session.get_session().get_component("data_loader").load_data("partitions")["partitions"]
    known = {one["outputs"][key] for one in partitions for key in ("dnsSuffix", "dualStackDnsSuffix")}

    assert known <= {*client.DOMAINS}
