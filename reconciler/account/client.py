"""The AWS client: takes a :class:`Call`, returns a reply or a refusal. The only module that makes clients of AWS.

They are made by botocore, which is boto3 without its resources and S3 transfers; a client of boto3 is one of botocore.

Reads are retried here after throttling, server errors and broken connections, by botocore's standard mode
(https://docs.aws.amazon.com/boto3/latest/guide/retries.html); an error that remains is returned as a refusal. Writes
are sent once: whether one whose reply was lost may be sent again depends on what it does, and only the executor knows.

The endpoint need not be AWS. A reply is bounded in time and size (:mod:`.bounds`) and checked against AWS's own
model (:mod:`.replies`); one that cannot be AWS's is a refusal that names the endpoint.
"""

from __future__ import annotations

import copy
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from botocore import xform_name
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as NotConnected
from botocore.parsers import ResponseParserError
from botocore.session import Session as CoreSession

from reconciler import __version__
from reconciler.account import credentials, service_models
from reconciler.account.bounds import MOST_BYTES, Unbounded, bound
from reconciler.account.event_names import QuickSession
from reconciler.account.replies import Shapes, dangerous_xml, may_be_empty, speaks_xml
from reconciler.model import EMPTY, Call, Refused, Reply, Scope
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.steps import ENDLESS_REPLY, NOT_AWS_REPLY, NOT_SENT

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
# Domains of AWS: dnsSuffix and dualStackDnsSuffix of the partitions, in botocore's partitions.json
DOMAINS: Final = (
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
    "api.aws",
    "api.aws.hci.ic.gov",
    "api.aws.ic.gov",
    "api.aws.scloud",
    "api.cloud-aws.adc-e.uk",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "sc2s.sgov.gov",
)
_CALLER_ARN: Final = regex(r"arn:(?P<partition>aws[a-z-]*):(?:iam|sts)::(?P<account>[0-9]{12}):.+")
MOST_UNPARSEABLE: Final = 4  # attempts at a read whose replies cannot be AWS's
MOST_PAGES: Final = 5000  # of one reply; the fullest accounts have a few hundred
MOST_BYTES_OF_PAGES: Final = 4 * MOST_BYTES  # of one reply
MOST_SECONDS_OF_PAGES: Final = 1800.0
LONGEST_CODE, LONGEST_MESSAGE = 200, 10_000  # characters of a refusal; AWS's encoded ones have up to 4,000
NOT_AWS: Final = "did not answer like AWS"
# What botocore's parsers, which trust the reply, raise for one that is well-formed and not AWS's
_MISREAD: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
BROKEN_BODY: Final = (BotoCoreError, Unbounded, OSError)  # what reading a body raises that is not in memory yet
TIMEOUTS: Final = frozenset({"RequestTimeout", "RequestTimeoutException"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its reply; ``took`` is in seconds, ``request_id`` is that of the last page."""

    call: Call
    reply: Reply
    request_id: str
    took: float


@dataclass(frozen=True, slots=True)
class Endpoint:
    """URL and credentials of a sandbox account. The user's AWS settings do not apply to it. ``name`` is how people
    call it, where that is not its URL.
    """

    url: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    name: str = ""


class AwsClient:
    """Sends calls with boto3, to ``endpoint`` if given. Thread-safe.

    ``requests`` counts the requests by ``service:operation``; ``on_exchange``, if set, is called with every exchange;
    ``skew`` is how many seconds AWS's clock is ahead of the local one, by the first reply.
    """

    def __init__(
        self,
        session: RegionSession,
        endpoint: Endpoint | None = None,
        source: credentials.Source | None = None,
    ) -> None:
        self.session = session
        self.endpoint = endpoint
        self.source = source or credentials.Source()
        self.requests: dict[str, int] = {}
        self.on_exchange: Callable[[Exchange], None] | None = None
        self.skew = 0.0
        self._clients: dict[tuple[str, bool], Any] = {}
        self._tried: set[tuple[str, bool]] = set()  # clients that lacked an operation, and were made of the full model
        self._shapes = Shapes()
        self._lock = threading.Lock()
        self._noted = threading.local()

    def client(self, service: str, operation: str = "", *, once: bool = False) -> Any:
        """Botocore's client of ``service``, one that has ``operation`` if AWS's model has it; with ``once`` it does not
        retry.
        """
        known = self._clients.get((service, once))
        if known is not None and (not operation or _has(known, operation)):
            return known
        with self._lock:  # creating clients is not thread-safe in botocore
            known = self._clients.get((service, once)) or self._created(service, once=once)
            if operation and (service, once) not in self._tried and not _has(known, operation):
                self._tried.add((service, once))
                if self.session.models.use_whole(service):
                    known = self._created(service, once=once)
            self._clients[service, once] = known
            return known

    def offers(self, service: str, operation: str) -> bool:
        """Whether the installed model of a service has an operation."""
        return _has(self.client(service, operation), operation)

    def _created(self, service: str, *, once: bool) -> Any:
        config = ONCE if once else CONFIG
        url = self.endpoint.url if self.endpoint else None
        config = config.merge(Config(proxies={})) if url else config  # it is on this machine
        created = self.session.client(service, config=config, endpoint_url=url)
        bound(created)
        created.meta.events.register("before-parse", _refuse_entities)
        created.meta.events.register("after-call", self._note)
        return created

    def in_region(self, region: str) -> AwsClient:
        """The same credentials in another Region; its requests are counted here."""
        found = copy.copy(self)
        vars(found).update(session=replace(self.session, region_name=region), _clients={}, _tried=set())
        return found

    def elsewhere(self) -> str:
        """What answered so far where that is not AWS itself: the endpoint's name, its URL, or URLs of services."""
        if self.endpoint and self.endpoint.name:
            return self.endpoint.name
        urls = {service: created.meta.endpoint_url for (service, _), created in sorted(self._clients.copy().items())}
        services: dict[str, list[str]] = {}
        for service, url in urls.items():
            if shown := _not_of_aws(url):
                services.setdefault(shown, []).append(service)
        if [*urls] in services.values():
            return next(iter(services))
        return ", ".join(f"{' and '.join(named)} at {shown}" for shown, named in services.items())

    def call(self, call: Call) -> Reply:
        """The reply without its metadata (with ``all_pages`` every page, merged), or the refusal: also where there are
        no credentials, or no longer.
        """
        try:
            reply = self.call_or_raise(call)
        except Problems as error:
            found = error.problems[0]
            return Refused(NOT_SENT, f"{found.message} ({found.hint})" if found.hint else found.message)
        if isinstance(reply, Refused) and (about := self.problem_of(call, reply)):
            return replace(reply, message=f"{reply.message} ({about.hint})")
        return reply

    def call_or_raise(self, call: Call) -> Reply:
        """As :meth:`call`; raises Problems where no credentials can be found, fetched or renewed."""
        began, self._noted.request_id = time.monotonic(), ""
        reply = self._call_until_readable(call)
        if not isinstance(reply, Refused):
            meta = reply.pop("ResponseMetadata", None) or {}
            self.skew = self.skew or credentials.skew_of(meta)
        if self.on_exchange:
            self.on_exchange(Exchange(call, reply, self._noted.request_id, time.monotonic() - began))
        return reply

    def _note(self, parsed: dict[str, Any], http_response: Any, model: Any, **_: Any) -> None:
        """Record the request id, which the merged pages of a reply do not have. Raises ResponseParserError for a
        success that AWS did not send.
        """
        self._noted.request_id = str(parsed.get("ResponseMetadata", {}).get("RequestId", ""))
        self._noted.pages += 1
        streamed = model.has_streaming_output  # whoever asked reads it, within the same bounds
        self._noted.bytes += 0 if streamed and http_response.status_code < 300 else len(http_response.content)
        if self._noted.pages > MOST_PAGES:
            raise ResponseParserError(f"the reply has more than {MOST_PAGES} pages")
        if self._noted.bytes > MOST_BYTES_OF_PAGES:
            raise Unbounded(f"the pages of the reply have more than {MOST_BYTES_OF_PAGES >> 20} MB")
        if self._noted.pages > 1 and time.monotonic() - self._noted.began > MOST_SECONDS_OF_PAGES:
            raise Unbounded(f"the pages of the reply did not end within {MOST_SECONDS_OF_PAGES:.0f} seconds")
        if http_response.status_code >= 300:
            return
        if parsed.keys() <= {"ResponseMetadata"} and not streamed and not may_be_empty(http_response.content, model):
            raise ResponseParserError(f"the body is {http_response.content[:60]!r}")
        if wrong := self._shapes.wrong(model, parsed):
            raise ResponseParserError(wrong)

    def _call_until_readable(self, call: Call) -> dict[str, Any] | Refused:
        """The reply; a read whose reply cannot be parsed is sent again."""
        reply = self._once(call)
        for again in range(1, MOST_UNPARSEABLE if call.operation.startswith(READS) else 1):
            if not (isinstance(reply, Refused) and _is_unparseable(reply)):
                break
            time.sleep(random.uniform(0.1, 0.2) * 2**again)  # noqa: S311  (spreads the retries of several threads)
            reply = self._once(call)
        return reply

    def _once(self, call: Call) -> dict[str, Any] | Refused:
        try:
            self._renew_credentials()
            client = self.client(call.service, call.operation, once=not call.operation.startswith(READS))
            self.session.models.called(call.service, call.operation)
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            return Refused(type(error).__name__, str(error), not_processed=True)
        except BotoCoreError as error:
            return Refused(type(error).__name__, str(error))
        self._noted.began, self._noted.pages, self._noted.bytes = time.monotonic(), 0, 0
        with self._lock:
            self.requests[str(call)] = self.requests.get(str(call), 0) + 1
        try:
            return _sent(client, call)
        except ClientError as error:
            self.skew = self.skew or credentials.skew_of(error.response.get("ResponseMetadata", {}))
            return _refused(error)
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            return Refused(type(error).__name__, str(error), not_processed=True)
        except (HTTPClientError, ResponseStreamingError) as error:
            return Refused(type(error).__name__, str(error), unknown_outcome=True)
        except BotoCoreError as error:
            return Refused(type(error).__name__, str(error))
        except (Unbounded, ResponseParserError, *_MISREAD) as error:
            return _not_aws(client, error)

    def _renew_credentials(self) -> None:
        """Fetch or renew the credentials, as botocore would at the next signature. Raises Problems."""
        try:
            if found := self.session.get_credentials():
                found.get_frozen_credentials()
                return
        except (NotConnected, HTTPClientError):
            raise  # the network
        except Exception as error:  # a program, a file or a service of the user's may fail in any way
            raise Problems([credentials.problem_of(error, self.source)]) from error
        raise Problems([credentials.no_credentials(self.source)])

    def problem_of(self, call: Call, refused: Refused) -> Problem | None:
        """The problem of a refusal that is about the credentials; None for any other."""
        refusal = credentials.Refusal(call.operation, refused.code, refused.message, self.skew)
        return credentials.problem_of_refusal(refusal, self.source)


def _not_of_aws(url: str) -> str:
    """A URL without path and password, where its host is not in a domain of AWS; else empty."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.endswith(tuple(f".{domain}" for domain in DOMAINS)):
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class RegionSession:
    """A session of botocore in a Region, and the models of its clients."""

    core: CoreSession
    region_name: str
    models: service_models.ServiceModels

    def client(self, service: str, **settings: Any) -> Any:
        """Botocore's client."""
        return self.core.create_client(service, region_name=self.region_name, **settings)

    def get_credentials(self) -> Any:
        """The credentials of the session; None where there are none."""
        return self.core.get_credentials()


def _has(client: Any, operation: str) -> bool:
    return operation in client.meta.service_model.operation_names


def _sent(client: Any, call: Call) -> dict[str, Any]:
    """The reply as botocore parses it; raises what botocore does."""
    method = xform_name(call.operation)
    if call.all_pages and client.can_paginate(method):
        merged: dict[str, Any] = client.get_paginator(method).paginate(**call.params).build_full_result()
        return merged
    return dict(getattr(client, method)(**call.params))  # plain, since it may be written by marshal


def _is_unparseable(refused: Refused) -> bool:
    """Whether AWS did not send this refusal: AWS's have a code, where botocore else uses the HTTP status."""
    return refused.code == NOT_AWS_REPLY or (refused.code == str(refused.status) and refused.status < 500)


def _not_aws(client: Any, error: Exception) -> Refused:
    """The refusal for a reply that cannot be AWS's, say a proxy's page; whether the call took effect is unknown."""
    misread = isinstance(error, _MISREAD)
    why = f"its reply cannot be read ({type(error).__name__})" if misread else next(iter(str(error).splitlines()), "")
    code = ENDLESS_REPLY if isinstance(error, Unbounded) else NOT_AWS_REPLY
    return Refused(code, f"{client.meta.endpoint_url} {NOT_AWS}: {why}", unknown_outcome=True)


def _refuse_entities(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Keep XML that defines entities from the parser, which would expand them without a bound. Raises
    ResponseParserError; a server's error page is an error of the server without one.
    """
    body = response_dict["body"]
    if not isinstance(body, bytes) or not speaks_xml(operation_model) or not dangerous_xml(body):
        return
    if response_dict["status_code"] < 500:
        raise ResponseParserError("the reply has a document type, or is not in UTF-8")
    response_dict["body"] = b""


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
    """A client with the standard credential chain, or with the credentials of ``endpoint``; ``role`` (``roleArn``,
    ``externalId``, ``sessionName``) is assumed with them. Raises Problems where the AWS settings are wrong or
    incomplete.
    """
    url = endpoint.url if endpoint else None
    source = credentials.Source(profile, declared=profile is not None, role=role or EMPTY)
    try:
        core = _session_at(endpoint) if endpoint else QuickSession(profile=profile)
        if not endpoint:
            found = core.full_config.get("profiles", {})
            source = replace(source, profile=profile or core.get_config_variable("profile"), profiles=found)
        _share_models(core)
        if role:
            core = _assuming(core, source, region, url)
        region = region or core.get_config_variable("region")
    except (BotoCoreError, ValueError) as error:  # an invalid configuration file, an unknown profile
        raise Problems([credentials.problem_of(error, source)]) from error
    if not region:
        raise Problems([credentials.no_region()])
    return AwsClient(session_in(core, region), endpoint, source)


def session_in(core: CoreSession, region: str) -> RegionSession:
    """A session in a Region; it shares its models with the others."""
    return RegionSession(core, region, _share_models(core))


def _share_models(core: CoreSession) -> service_models.ServiceModels:
    """Let ``core`` use the models of services that other sessions have loaded: those of one session take 20 MB, and
    loading them takes longer than planning a small environment.
    """
    models = service_models.shared(core.get_config_variable("data_path"))
    core.register_component("data_loader", models)
    return models


def _session_at(endpoint: Endpoint) -> CoreSession:
    """A session with the endpoint's credentials, without profiles and configuration files."""
    core = QuickSession(session_vars=_NO_SETTINGS)
    core.set_credentials(endpoint.access_key, endpoint.secret_key)
    return core


def _assuming(core: CoreSession, source: credentials.Source, region: str | None, url: str | None) -> CoreSession:
    try:
        callers = core.get_credentials()
    except Exception as error:  # as when credentials are renewed
        raise Problems([credentials.problem_of(error, source)]) from error
    if callers is None:
        raise Problems([credentials.no_credentials(source)])
    role = source.role
    extra = {"RoleSessionName": role.get("sessionName", "reconcile")}
    if "externalId" in role:
        extra["ExternalId"] = role["externalId"]

    def client(*args: Any, **kwargs: Any) -> Any:
        config = CONFIG.merge(Config(proxies={})) if url else CONFIG  # as above
        made = core.create_client(*args, **{"region_name": region, "config": config, "endpoint_url": url, **kwargs})
        bound(made)
        made.meta.events.register("before-parse", _refuse_entities)
        return made

    fetcher = AssumeRoleCredentialFetcher(client, callers, role["roleArn"], extra_args=extra)
    assumed = QuickSession(session_vars=_NO_SETTINGS if url else None)
    _share_models(assumed)
    # botocore has no public way to set refreshable credentials on a session
    setattr(assumed, "_credentials", DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role"))  # noqa: B010
    return assumed


def identity(aws: AwsClient, environment: str) -> Scope:
    """Account, partition and Region of the caller identity. Raises Problems where AWS does not return it.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    call = Call("sts", "GetCallerIdentity")
    try:
        reply = aws.call_or_raise(call)
    except ValueError as error:  # botocore raises it for an AWS_ENDPOINT_URL that is not a URL
        hint = "write AWS_ENDPOINT_URL like http://127.0.0.1:5000; unset it to use AWS"
        raise Problems([Problem(code=codes.AWS_SET_UP, message=str(error).rstrip("."), hint=hint)]) from error
    if isinstance(reply, Refused):
        raise Problems([aws.problem_of(call, reply) or _no_identity(reply)])
    caller = _CALLER_ARN.fullmatch(str(reply.get("Arn")))
    if not caller or caller["account"] != reply.get("Account"):
        raise Problems(
            [
                _no_identity(
                    _not_aws(aws.client("sts"), ResponseParserError("the caller identity has no ARN of an account"))
                )
            ]
        )
    return Scope(
        account=caller["account"],
        region=aws.session.region_name,
        partition=caller["partition"],
        environment=environment,
        endpoint=aws.elsewhere(),
    )


def _refused(error: ClientError) -> Refused:
    details = error.response.get("Error", {})
    meta = error.response.get("ResponseMetadata", {})
    code, status = str(details.get("Code", "Unknown")), int(meta.get("HTTPStatusCode", 0))
    throttled = code in THROTTLES or status == 429
    return Refused(
        code=_cut(code, LONGEST_CODE),
        message=_cut(str(details.get("Message", "")), LONGEST_MESSAGE),
        request_id=str(meta.get("RequestId", "")),
        status=status,
        not_processed=throttled,
        unknown_outcome=not throttled and (status >= 500 or code in TIMEOUTS),
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _no_identity(refused: Refused) -> Problem:
    hint = "check the credentials with `aws sts get-caller-identity`"
    if refused.denied:
        hint = "allow sts:GetCallerIdentity: a policy denies it, although it needs no permission"
    elif refused.status == 0:
        hint = (
            "check the network, and AWS_ENDPOINT_URL if set; `reconcile sandbox status` shows whether the sandbox runs"
        )
    return Problem(code=codes.AWS_REFUSED, message=f"cannot get the caller identity from AWS: {refused}", hint=hint)
