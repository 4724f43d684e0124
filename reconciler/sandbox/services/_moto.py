"""moto, which implements the sandbox's services other than AWS Batch.

A process has one moto, so one sandbox: a second sandbox in the same process shares its objects.
Parts of moto that take tenths of a second are done once: the AWS managed policies and the public machine images are
kept across resets, and what moto computes for every request is cached: the names of a service's methods, which names
XML may have, and the ARNs of the managed policies. A reply to a read is repeated until the service is written to.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from dataclasses import replace
from functools import cache, cached_property, wraps
from typing import Any
from urllib.parse import unquote_to_bytes

import moto.backends
import moto.core.responses
import moto.core.serialize
import moto.moto_server.werkzeug_app
from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.utilities.utils import get_partition
from werkzeug.exceptions import HTTPException

from reconciler.sandbox.wire import Reply, Request

# signing name -> name of moto's backend
BACKENDS = {
    "iam": "iam",
    "sts": "sts",
    "ec2": "ec2",
    "ecr": "ecr",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "logs": "logs",
    "events": "events",
    "ssm": "ssm",
    "tagging": "resourcegroupstaggingapi",
    "s3": "s3",
    "kms": "kms",
    "elasticfilesystem": "efs",
}
GLOBAL = frozenset({"iam", "sts", "s3"})
_KEPT: dict[tuple[str, str, str], dict[str, Any]] = {}
moto.core.responses.method_names_from_class = cache(moto.core.responses.method_names_from_class)
moto.core.serialize.xmltodict._validate_name = cache(moto.core.serialize.xmltodict._validate_name)  # noqa: SLF001
moto.moto_server.werkzeug_app.DISABLE_GLOBAL_CORS = True  # for browsers, at every request
_READS = ("Describe", "Get", "List", "BatchGet", "Lookup", "Simulate")
# Services whose reads depend on nothing but what was written to the service itself, and the reads that do not.
_REPEATABLE = frozenset({"iam", "ec2", "ecr", "sns", "logs", "events", "secretsmanager"})
_EACH_ANEW = frozenset({"GetSecretValue", "GetAuthorizationToken", "DescribeIamInstanceProfileAssociations"})
_ASKS = ("content-type", "x-amz-target", "smithy-protocol", "accept")


class Moto:
    """The moto of one account: replies to requests, returns its backends, and is emptied by ``reset``.

    The account exists in every partition of AWS, with roles of its own in each: the Region of a request says in which.
    """

    def __init__(self, account: str) -> None:
        default_user_config["iam"] = {"load_aws_managed_policies": True}
        default_user_config["batch"] = {"use_docker": False}
        default_user_config["lambda"] = {"use_docker": False}
        self.account = account
        self._others = _dispatcher()
        self._dirty: set[tuple[str, str]] = set()
        self._replies: defaultdict[tuple[str, str], dict[Any, Reply]] = defaultdict(dict)
        self.reset(everything=True)

    def backend(self, service: str, region: str) -> Any:
        """Moto's backend of a service, which is given by its signing name."""
        name = _place(service, region)
        fresh = _fresh(service, self.account, name)
        backend = _backends(BACKENDS[service])[self.account][name]
        if fresh:
            _remember(service, self.account, name, backend)
        return backend

    def ready(self, service: str, region: str) -> None:
        """Load what the first request to a service would otherwise load."""
        self.backend(service, region)
        _app(BACKENDS[service])

    def touched(self, service: str, region: str) -> None:
        """Record that a backend was changed without a request: the next reset must include it."""
        self._dirty.add((service, _place(service, region)))
        self._replies.pop((service, _place(service, region)), None)

    def until_written(self, service: str, region: str) -> dict[Any, Any]:
        """What may be remembered until the next request that writes to the service, and no longer."""
        found: dict[Any, Any] = self._replies[service, _place(service, region)]
        return found

    def answer(self, service: str, operation: str, region: str, request: Request) -> Reply:
        """The reply of moto to a request; a write marks the backend for the next reset."""
        if not (region and service in _REPEATABLE and operation.startswith(_READS)) or operation in _EACH_ANEW:
            return self._answer(service, operation, region, request)
        replies = self._replies[service, _place(service, region)]
        asked = (request.method, request.path, request.query, request.body, request.host, region)
        key = (operation, *asked, *map(request.headers.get, _ASKS))
        if key not in replies:
            reply = self._answer(service, operation, region, request)
            if reply.status != 200:
                return reply
            replies[key] = reply
        return replies[key]

    def _answer(self, service: str, operation: str, region: str, request: Request) -> Reply:
        if service in BACKENDS and region:
            self.backend(service, region)
            if operation.startswith(_READS):
                return self._asked(service, region, request)
            self.touched(service, region)
        else:
            self._dirty.add(("*", "*"))
        try:
            return self._asked(service, region, request)
        finally:  # what a read at the same time has seen may be older
            if service in BACKENDS and region:
                self.touched(service, region)
            else:
                self._replies.clear()

    def _asked(self, service: str, region: str, request: Request) -> Reply:
        known = service in BACKENDS and service != "s3"
        app = _app(BACKENDS[service]) if known else self._others
        if known and region and service in GLOBAL:  # moto knows the partition from the host, and not that of us-gov
            request = replace(request, host=f"{service}.{region}.amazonaws.com")
        reply = _through(app, request, self.account)
        return _in_partition(reply, region) if service == "ec2" else reply

    def reset(self, *, everything: bool = False) -> None:
        """Empty the backends that were written to since the last reset, in a few milliseconds."""
        if everything or ("*", "*") in self._dirty:
            _reset_others(self.account)
            self._dirty |= {(service, region) for service in BACKENDS for region in _regions(service, self.account)}
        for service, region in self._dirty - {("*", "*")}:
            backend = _backends(BACKENDS[service])[self.account][region]
            _emptied(service, self.account, region, backend)
        self._dirty.clear()
        self._replies.clear()


def partition_of(region: str) -> str:
    """The partition of a Region: ``aws``, ``aws-cn``, ``aws-us-gov`` and so on."""
    return str(get_partition(region))


def _place(service: str, region: str) -> str:
    """The key of a backend: a global service has one for each partition."""
    return partition_of(region) if service in GLOBAL else region


def _in_partition(reply: Reply, region: str) -> Reply:
    """A reply of EC2 whose ARNs name the Region's partition: moto writes ``arn:aws`` for groups and subnets."""
    partition = partition_of(region) if region else "aws"
    if partition == "aws":
        return reply
    body = re.sub(rb"\barn:aws(:[a-z0-9-]+:%s:)" % region.encode(), rb"arn:%s\1" % partition.encode(), reply.body)
    headers = {**reply.headers, "content-length": str(len(body))} if body != reply.body else reply.headers
    return replace(reply, body=body, headers=headers)


_backends = cache(moto.backends.get_backend)


@cache
def _dispatcher() -> Any:
    return DomainDispatcherApplication(create_backend_app)


@cache
def _app(name: str) -> Any:
    app = create_backend_app(name)
    app.debug = False
    app.config["PROPAGATE_EXCEPTIONS"] = True
    return app


def _regions(service: str, account: str) -> list[str]:
    accounts = _backends(BACKENDS[service])
    return list(accounts[account].keys()) if account in accounts.keys() else []  # noqa: SIM118  its `in` is not a dict's


def _fresh(service: str, account: str, region: str) -> bool:
    return service in ("iam", "ec2") and (service, account, region) not in _KEPT


def _remember(service: str, account: str, region: str, backend: Any) -> None:
    """Keep what is slow to build: the AWS managed policies, and the public images."""
    if service == "iam":
        policies = list(backend.aws_managed_policies)
        for cls in {type(policy) for policy in policies}:
            _spell_once(cls)
        _KEPT[service, account, region] = {"aws_managed_policies": policies}
    else:
        _find_at_once(type(backend))
        names = ("amis", "deleted_amis", "snapshots", "volumes")
        _KEPT[service, account, region] = {
            name: dict(getattr(backend, name)) for name in names if isinstance(getattr(backend, name, None), dict)
        }


def _spell_once(policies: type[Any]) -> None:
    """Have policies keep their ARNs, which moto spells by the thousand, and be found by identity: each has its own."""
    policies.__hash__ = object.__hash__  # type: ignore[assignment]
    arn = vars(policies)["arn"]
    if isinstance(arn, property) and arn.fget:
        kept = cached_property(arn.fget)
        kept.__set_name__(policies, "arn")
        policies.arn = kept


def _find_at_once(backends: type[Any]) -> None:
    """Have an instance that starts find its image by the id; moto compares it with a thousand others."""
    every = backends.describe_images
    if hasattr(every, "__wrapped__"):
        return

    @wraps(every)
    def found(self: Any, *args: Any, **asked: Any) -> Any:
        filters = asked.get("filters")
        if args or len(asked) != 1 or not filters or list(filters) != ["image-id"]:
            return every(self, *args, **asked)
        wanted = filters["image-id"]
        if not isinstance(wanted, str):  # a request has a list, in which there may be wildcards
            return every(self, *args, **asked)
        return [self.amis[wanted]] if wanted in self.amis else []

    backends.describe_images = found


def _emptied(service: str, account: str, region: str, backend: Any) -> None:
    kept = _KEPT.get((service, account, region))
    if kept is None:
        backend.reset()
        return
    loader = "_load_amis" if service == "ec2" else "_init_aws_policies"
    cls = next(base for base in type(backend).__mro__ if loader in vars(base))
    original = vars(cls)[loader]
    if service == "iam":
        for policy in kept["aws_managed_policies"]:
            policy.attachment_count = 0
        setattr(cls, loader, lambda _: list(kept["aws_managed_policies"]))
    else:
        setattr(cls, loader, lambda _: None)
    try:
        backend.reset()
    finally:
        setattr(cls, loader, original)
    if service == "ec2":
        for name, value in kept.items():
            getattr(backend, name).update(value)


def _reset_others(account: str) -> None:
    for accounts in list(BackendDict._instances):  # noqa: SLF001  moto has no other list of the backends in use
        if accounts.service_name not in BACKENDS.values() and account in accounts.keys():  # noqa: SIM118
            accounts[account].reset()


def _through(app: Any, request: Request, account: str) -> Reply:
    """The request in, the reply out: straight from the function that answers at ``/``, where that is all of a service,
    or by a WSGI call.
    """
    environ = _environ(request, account)
    if request.path == "/" and request.method == "POST" and (function := _at_root(app)):
        return _straight(function, app.request_class(environ))
    started: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        started.extend((status, headers))

    chunks = app(environ, start)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    return Reply(int(started[0][:3]), {name.lower(): value for name, value in started[1]}, body)


@cache
def _at_root(app: Any) -> Any:
    """What answers at ``/`` of an app: Flask finds it, and makes its contexts, for every request. None for an app of
    several services.
    """
    if not hasattr(app, "url_map"):
        return None
    found = [app.view_functions[rule.endpoint] for rule in app.url_map.iter_rules() if rule.rule == "/"]
    return getattr(found[0], "callback", None) if len(found) == 1 else None


def _straight(function: Any, asked: Any) -> Reply:
    """What Flask makes of the answer of one of moto's functions."""
    try:
        answered = function(asked, asked.raw_url, dict(asked.headers))
    except HTTPException as error:
        answered = error.code or 500, dict(error.get_headers()), error.get_body()
    status, headers, content = answered if isinstance(answered, tuple) else (200, {}, answered)
    body = content.encode() if isinstance(content, str) else bytes(content)
    sent = {"content-type": "text/html; charset=utf-8"} | {name.lower(): str(value) for name, value in headers.items()}
    return Reply(int(status), {**sent, "content-length": str(len(body))}, body)


def _environ(request: Request, account: str) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _wsgi_path(request.path),
        "RAW_URI": request.path + (f"?{request.query}" if request.query else ""),
        "QUERY_STRING": request.query,
        "SERVER_NAME": request.host.partition(":")[0],
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": request.host,
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value
        elif key not in ("CONTENT_LENGTH", "HOST", "TRANSFER_ENCODING"):
            environ[f"HTTP_{key}"] = value
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    return environ


def _wsgi_path(path: str) -> str:
    return unquote_to_bytes(path).decode("latin-1")
