"""The door to AWS: a :class:`Call` in, a reply or a refusal out. The only module that knows boto3.

Reads are retried here, by botocore's standard mode, over throttling, server errors and broken connections; what is
left of them comes out as a refusal like any other. Writes are sent once: whether one whose answer was lost may be sent
again depends on what it does, and only the executor can find out.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session as CoreSession

from reconciler import __version__
from reconciler.model import Call, Refused, Reply, Scope
from reconciler.model.problems import Problem, Problems

CONFIG: Final = Config(
    retries={"mode": "standard", "max_attempts": 8},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
    user_agent_extra=f"batch-reconcile/{__version__}",
)
ONCE: Final = CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
READS: Final = ("Describe", "Get", "List", "BatchGet")

# https://docs.aws.amazon.com/boto3/latest/guide/retries.html, without LimitExceededException: to some services that
# is a quota, which does not pass
THROTTLES: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "RequestThrottled",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    }
)
_US: Final = re.compile(r"arn:(?P<partition>aws[a-z-]*):(?:iam|sts)::(?P<account>[0-9]{12}):.+")
GARBLED: Final = "ResponseParserError"
GARBLED_MOST: Final = 4  # times that a read is made until it is believed that no reply of AWS's will come
NOT_AWS: Final = "the endpoint did not answer like AWS"
TIMEOUTS: Final = frozenset({"RequestTimeout", "RequestTimeoutException"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that was made and what came back; ``took`` is in seconds, the id that of the last page."""

    call: Call
    reply: Reply
    request_id: str
    took: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An account at a URL of its own, with its credentials: a sandbox. The user's AWS settings do not apply there."""

    url: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)


class AwsClient:
    """Makes calls with boto3, to ``endpoint_url`` where it is given. Thread-safe; ``made`` counts the requests by
    ``service:operation``.

    ``on_exchange``, where it is set, is told of every exchange. ``skew`` is how many seconds AWS's clock is ahead of
    ours.
    """

    def __init__(self, session: boto3.session.Session, endpoint_url: str | None = None) -> None:
        self.session = session
        self.endpoint_url = endpoint_url
        self.made: dict[str, int] = {}
        self.on_exchange: Callable[[Exchange], None] | None = None
        self.skew = 0.0
        self._clients: dict[tuple[str, bool], Any] = {}
        self._lock = threading.Lock()
        self._noted = threading.local()

    def client(self, service: str, *, once: bool = False) -> Any:
        """A client of ``service``; ``once``: one that sends every request a single time."""
        if known := self._clients.get((service, once)):
            return known
        with self._lock:  # creating clients is not thread-safe in boto3
            if (service, once) not in self._clients:
                config = ONCE if once else CONFIG
                made = self.session.client(service, config=config, endpoint_url=self.endpoint_url)  # type: ignore[call-overload]
                made.meta.events.register("after-call", self._note)
                self._clients[service, once] = made
            return self._clients[service, once]

    def call(self, call: Call) -> Reply:
        """The reply without its metadata, every page of it with ``all_pages``; or what AWS said instead."""
        began, self._noted.request_id = time.monotonic(), ""
        reply = self._made(call)
        if not isinstance(reply, Refused):
            meta = reply.pop("ResponseMetadata", None) or {}
            self.skew = self.skew or _skew(meta)
        if self.on_exchange:
            self.on_exchange(Exchange(call, reply, self._noted.request_id, time.monotonic() - began))
        return reply

    def _note(self, parsed: Mapping[str, Any], http_response: Any, model: Any, **_: Any) -> None:
        """Remember which request this was: the merged pages of a reply do not say. Raises ResponseParserError of a
        success that is none of AWS's: botocore takes what it cannot read for a reply that says nothing.
        """
        self._noted.request_id = str(parsed.get("ResponseMetadata", {}).get("RequestId", ""))
        if parsed.keys() <= {"ResponseMetadata"} and not _of_aws(http_response.content, model):
            raise ResponseParserError(f"{NOT_AWS}: {http_response.content[:60]!r}")

    def _made(self, call: Call) -> dict[str, Any] | Refused:
        """The reply; a read that came back garbled is made again."""
        reply = self._once(call)
        for again in range(1, GARBLED_MOST if call.operation.startswith(READS) else 1):
            if not (isinstance(reply, Refused) and _garbled(reply)):
                break
            time.sleep(random.uniform(0.1, 0.2) * 2**again)  # noqa: S311  (so that many do not come at once)
            reply = self._once(call)
        return reply

    def _once(self, call: Call) -> dict[str, Any] | Refused:
        method = xform_name(call.operation)
        try:
            client = self.client(call.service, once=not call.operation.startswith(READS))
            with self._lock:
                self.made[str(call)] = self.made.get(str(call), 0) + 1
            if call.all_pages and client.can_paginate(method):
                reply: dict[str, Any] = client.get_paginator(method).paginate(**call.params).build_full_result()
            else:
                reply = getattr(client, method)(**call.params)
        except ClientError as error:
            return _refused(error)
        except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
            raise Problems([_set_up(error)]) from error
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            return Refused(type(error).__name__, str(error), not_processed=True)
        except (HTTPClientError, ResponseStreamingError) as error:
            return Refused(type(error).__name__, str(error), unknown_outcome=True)
        except BotoCoreError as error:
            return Refused(type(error).__name__, str(error))
        except ResponseParserError as error:  # a proxy's page, or an endpoint that is not AWS
            return Refused(GARBLED, str(error).splitlines()[0], unknown_outcome=True)
        except (AttributeError, KeyError, TypeError):  # botocore's parser, given a well-formed page of something else
            return Refused(GARBLED, NOT_AWS, unknown_outcome=True)
        return reply


def _garbled(refused: Refused) -> bool:
    """Whether it is no refusal of AWS's: those say a code, and botocore gives the status where it finds none."""
    return refused.code == GARBLED or (refused.code == str(refused.status) and refused.status < 500)


def _of_aws(content: bytes, model: Any) -> bool:
    """Whether a reply without a member may be one of AWS's, by the protocol: an empty object, or an XML response."""
    protocol = str(model.service_model.resolved_protocol)
    if "xml" in protocol or protocol in ("query", "ec2"):
        return b"Response" in content[:400]
    if "json" not in protocol:
        return True
    if not content.strip():
        return not model.name.startswith(READS)
    try:
        return isinstance(json.loads(content), dict)
    except ValueError:
        return False


_NOWHERE: Final = (None, None, os.devnull, None)
# botocore's settings: name in a configuration file, environment variables, default, conversion
_NO_SETTINGS: Final = {
    "profile": (None, None, None, None),
    "config_file": _NOWHERE,
    "credentials_file": _NOWHERE,
}


def connect(
    *,
    region: str | None,
    profile: str | None = None,
    role: Mapping[str, str] | None = None,
    endpoint: Endpoint | None = None,
) -> AwsClient:
    """A client by the standard credential chain, or of ``endpoint``; ``role`` (``roleArn``, ``externalId``,
    ``sessionName``) is assumed. Raises Problems where AWS's settings are wrong or incomplete.
    """
    url = endpoint.url if endpoint else None
    try:
        core = _session_at(endpoint) if endpoint else CoreSession(profile=profile)
        if role:
            core = _assuming(core, role, region, url)
        session = boto3.session.Session(botocore_session=core, region_name=region)
    except (BotoCoreError, ValueError) as error:  # a file that is no configuration, a profile that is not there
        raise Problems([_set_up(error)]) from error
    if not session.region_name:
        raise Problems([_set_up(NoRegionError())])
    return AwsClient(session, url)


def _session_at(endpoint: Endpoint) -> CoreSession:
    """A session with the endpoint's credentials that reads neither profiles nor configuration files."""
    core = CoreSession(session_vars=_NO_SETTINGS)
    core.set_credentials(endpoint.access_key, endpoint.secret_key)
    return core


def _assuming(core: CoreSession, role: Mapping[str, str], region: str | None, url: str | None) -> CoreSession:
    credentials = core.get_credentials()
    if credentials is None:
        raise Problems([_set_up(NoCredentialsError())])
    extra = {"RoleSessionName": role.get("sessionName", "reconcile")}
    if "externalId" in role:
        extra["ExternalId"] = role["externalId"]

    def client(*args: Any, **kwargs: Any) -> Any:
        return core.create_client(*args, **{"region_name": region, "config": CONFIG, "endpoint_url": url, **kwargs})

    fetcher = AssumeRoleCredentialFetcher(client, credentials, role["roleArn"], extra_args=extra)
    assumed = CoreSession(session_vars=_NO_SETTINGS if url else None)
    # botocore has no public way to set refreshable credentials on a session
    setattr(assumed, "_credentials", DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role"))  # noqa: B010
    return assumed


def identity(aws: AwsClient, environment: str) -> Scope:
    """Which account, partition and Region the calls go to. Raises Problems when nobody answers."""
    try:
        reply = aws.call(Call("sts", "GetCallerIdentity"))
    except ValueError as error:  # botocore's word for an AWS_ENDPOINT_URL that is no URL
        raise Problems([_set_up(error)]) from error
    if isinstance(reply, Refused):
        raise Problems([_unreachable(reply)])
    us = _US.fullmatch(str(reply.get("Arn")))
    if not us or us["account"] != reply.get("Account"):
        raise Problems([_unreachable(Refused(GARBLED, NOT_AWS))])
    region = aws.session.region_name
    return Scope(account=us["account"], region=region, partition=us["partition"], environment=environment)


def _skew(meta: Mapping[str, Any]) -> float:
    try:
        date = parsedate_to_datetime(str(meta.get("HTTPHeaders", {})["date"]))
        return date.timestamp() - time.time()
    except (KeyError, ValueError):
        return 0.0


def _refused(error: ClientError) -> Refused:
    said = error.response.get("Error", {})
    meta = error.response.get("ResponseMetadata", {})
    code, status = str(said.get("Code", "Unknown")), int(meta.get("HTTPStatusCode", 0))
    throttled = code in THROTTLES or status == 429
    return Refused(
        code=code,
        message=str(said.get("Message", "")),
        request_id=str(meta.get("RequestId", "")),
        status=status,
        not_processed=throttled,
        unknown_outcome=not throttled and (status >= 500 or code in TIMEOUTS),
    )


def _set_up(error: Exception) -> Problem:
    hints = {
        "NoCredentialsError": "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run `aws sso login`; "
        "to try without an account use --sandbox",
        "PartialCredentialsError": "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "NoRegionError": "set `region:` in environment.yaml, or AWS_REGION",
        "ProfileNotFound": "check ~/.aws/config, or remove `profile:`",
        "ConfigParseError": "fix the file, or set AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE to another",
        "JSONDecodeError": "the `credential_process` in ~/.aws/config must print JSON",
        "ValueError": "write AWS_ENDPOINT_URL like http://127.0.0.1:5000; unset it to use AWS",
    }
    name = type(error).__name__
    return Problem(code="aws-set-up", message=str(error).rstrip("."), hint=hints.get(name, ""))


def _unreachable(refused: Refused) -> Problem:
    hint = "check the credentials with `aws sts get-caller-identity`"
    if refused.denied:
        hint = "remove the policy that denies sts:GetCallerIdentity: it needs no permission"
    elif refused.status == 0:
        hint = (
            "check the network, and AWS_ENDPOINT_URL if set; `reconcile sandbox status` shows whether the sandbox runs"
        )
    return Problem(code="aws-refused", message=f"cannot get the caller identity from AWS: {refused}", hint=hint)
