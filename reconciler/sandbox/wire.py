"""AWS's wire protocols, on the server's side.

A request is parsed into the API's own names and a reply is written from them, so that the rules around moto use
``GetRole`` and ``RoleName`` and never XML. Requests are parsed in full, those of S3 and AWS Batch excepted (AWS Batch
parses its own).

botocore's service models define how every shape is written.

https://smithy.io/2.0/aws/protocols/index.html
"""

from __future__ import annotations

import io
import json
import pickle
import re
import uuid
from collections.abc import Mapping
from dataclasses import field, replace
from functools import cache, cached_property, lru_cache
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlencode
from xml.sax.saxutils import escape

from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.serialize import DefaultAttributePicker, SerializationContext, get_serializer_class
from moto.core.utils import get_service_model

from reconciler.model.patterns import regex
from reconciler.model.records import dataclass

Json: TypeAlias = dict[str, Any]

# signing name -> name of the service model
MODELS = {
    "iam": "iam",
    "sts": "sts",
    "ec2": "ec2",
    "ecr": "ecr",
    "ecs": "ecs",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "logs": "logs",
    "events": "events",
    "ssm": "ssm",
    "tagging": "resourcegroupstaggingapi",
    "batch": "batch",
    "kms": "kms",
    "scheduler": "scheduler",
    "cloudtrail": "cloudtrail",
    "autoscaling": "autoscaling",
    "elasticfilesystem": "efs",
    "servicequotas": "service-quotas",
}

_CBOR = "smithy-rpc-v2-cbor"
_SCOPE = regex(r"Credential=([^/,]+)/\d+/([^/,]+)/([^/,]+)/aws4_request")
_PRESIGNED = regex(r"([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_REQUEST_ID = str(uuid.uuid4()).encode()
_RECENT = 128  # replies that are remembered: many reads are asked again while nothing changes


@dataclass(frozen=True)
class Request:
    """An HTTP request; header names are lower-cased, ``path`` is as it was sent (percent-encoded)."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    host: str = "localhost"

    @cached_property
    def scope(self) -> tuple[str, str]:
        """Service and Region of the signature's scope; empty where there is none."""
        found = self._signature
        return (found[3].lower(), found[2]) if found else ("", "")

    @property
    def access_key(self) -> str:
        """The access key that the request is signed with; empty where there is none."""
        return self._signature[1] if self._signature else ""

    @cached_property
    def form(self) -> Mapping[str, str]:
        """What a query or the body has as a form."""
        text = self.query
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            body = self.body.decode(errors="replace")
            text = f"{text}&{body}" if text else body
        return dict(parse_qsl(text, keep_blank_values=True))

    @cached_property
    def _signature(self) -> re.Match[str] | None:
        found = _SCOPE.search(self.headers.get("authorization", ""))
        return found or _PRESIGNED.match(dict(parse_qsl(self.query)).get("X-Amz-Credential", ""))


@dataclass(frozen=True)
class Reply:
    """An HTTP reply."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Refusal(Exception):
    """A refusal by AWS: the error code as sent over the wire, the message, the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def signed_for(service: str, region: str, request: Request) -> Request:
    """A request without a signature as one of the main account, for a service."""
    signature = f"AWS4-HMAC-SHA256 Credential=test/20200101/{region}/{service}/aws4_request"
    return replace(request, headers={**request.headers, "authorization": signature})


def protocol_of(service: str, request: Request) -> str:
    """The protocol of the reply, which the client chose."""
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return _CBOR
    kind = request.headers.get("content-type", "")
    if "x-amz-target" in request.headers or kind.startswith("application/x-amz-json"):
        return "json"
    if service in MODELS:
        return str(_model(service).protocol)
    if kind.startswith("application/x-www-form-urlencoded"):
        return "query"
    return "rest-xml" if service in ("", "s3") else "rest-json"  # as most of the others speak


def operation_of(service: str, request: Request) -> str:
    """The name of the API operation; empty if it is unknown."""
    target = request.headers.get("x-amz-target")
    if target:
        return target.rpartition(".")[2]
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return request.path.rpartition("/")[2]
    if service in MODELS and _model(service).protocol == "rest-json":
        return _rest_operation(service, request.method, unquote(request.path))
    return request.form.get("Action", "")


def input_shape(service: str, operation: str) -> Any:
    """The shape of an operation's input in AWS's model; None where there is none."""
    model = _operation(service, operation)
    return model.input_shape if model else None


def output_shape(service: str, operation: str) -> Any:
    """The shape of an operation's output in AWS's model; None where there is none."""
    model = _operation(service, operation)
    return model.output_shape if model else None


def missing(service: str, operation: str, params: Mapping[str, Any]) -> str:
    """The first member that an operation's input must have and ``params`` do not; empty if there is none."""
    shape = input_shape(service, operation)
    return next((name for name in shape.required_members if name not in params), "") if shape else ""


def params_of(service: str, operation: str, request: Request) -> Json:
    """The request's parameters in the API's names; empty for services and operations without a model.

    Raises :class:`Refusal` for a body that cannot be parsed.
    """
    protocol = protocol_of(service, request)
    model = _operation(service, operation)
    if model is None or model.input_shape is None or protocol == "rest-xml":
        return {}
    rest = protocol == "rest-json"
    asked = {
        "method": request.method,
        "values": _Query(request.query) if rest else request.form if protocol in ("query", "ec2") else {},
        "headers": request.headers,
        "body": request.body or b"{}",
        "url_path": request.path,
        "url_params": _url_parameters(model.http["requestUri"], request.path) if rest else {},
    }
    try:
        if protocol == _CBOR:
            return dict(_decode_cbor(request.body)) if request.body else {}
        if protocol in ("json", "rest-json"):
            json.loads(request.body or b"{}")  # which moto takes for a message where it is no JSON
        return dict(PROTOCOL_PARSERS[protocol](model).parse(asked))
    except (RequestParserError, RecursionError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise Refusal("SerializationException", "the body of the request cannot be parsed") from error


def body_of(service: str, operation: str, request: Request, params: Json) -> bytes:
    """The body of the same request with other parameters."""
    model = _operation(service, operation)
    protocol = protocol_of(service, request)
    sent = create_serializer(protocol, False).serialize_to_request(params, model)["body"]
    if isinstance(sent, Mapping):
        return urlencode(sent).encode()
    return sent if isinstance(sent, bytes) else str(sent).encode()


def result_of(service: str, operation: str, request: Request, reply: Reply) -> Json | None:
    """A reply's members in the API's names; None where the reply is an error or the operation has no model."""
    model = _operation(service, operation)
    protocol = protocol_of(service, request)
    if model is None or reply.status >= 300 or protocol.startswith("rest"):
        return None
    if model.output_shape is None:
        return {}
    parsed: Json = pickle.loads(_parsed(service, operation, protocol, reply.status, reply.body))  # noqa: S301  our own
    return parsed


def refusal_of(service: str, operation: str, request: Request, reply: Reply) -> Refusal:
    """The refusal in an error reply."""
    model = _operation(service, operation)
    raw = {"status_code": reply.status, "headers": dict(reply.headers), "body": reply.body}
    error = create_parser(protocol_of(service, request)).parse(raw, model and model.output_shape).get("Error", {})
    return Refusal(str(error.get("Code", "InternalFailure")), str(error.get("Message", "")), reply.status)


def written(service: str, operation: str, request: Request, result: Mapping[str, Any]) -> Reply:
    """A successful reply."""
    model = _operation(service, operation)
    assert model is not None, f"{service}:{operation} has no model"
    protocol = protocol_of(service, request)
    request_id = str(uuid.uuid4())
    if protocol == _CBOR:
        return _cbor(200, _encode_cbor(result), request_id)
    status, made, body = _serialized(service, operation, protocol, pickle.dumps(dict(result)))
    headers = {**made, "x-amzn-requestid": request_id}
    if protocol == "json":
        headers["content-type"] = request.headers.get("content-type", "application/x-amz-json-1.1")
    return Reply(status, headers, body.replace(_REQUEST_ID, request_id.encode()))


def refused(service: str, request: Request, refusal: Refusal) -> Reply:
    """A refusal, in the shape of the client's protocol."""
    request_id = str(uuid.uuid4())
    code, message = escape(refusal.code), escape(refusal.message)
    protocol = protocol_of(service, request)
    error = {"__type": refusal.code, "message": refusal.message}
    if protocol == _CBOR:
        return _cbor(refusal.status, _encode_cbor(error), request_id)
    if protocol in ("json", "rest-json"):
        kind = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
        headers = {"content-type": kind, "x-amzn-requestid": request_id, "x-amzn-errortype": refusal.code}
        return Reply(refusal.status, headers, json.dumps(error).encode())
    if protocol == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    elif protocol == "query":
        fault = "Sender" if refusal.status < 500 else "Receiver"
        body = (
            f"<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    else:
        body = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
    headers = {"content-type": "text/xml", "x-amzn-requestid": request_id}
    return Reply(refusal.status, headers, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode())


@lru_cache(_RECENT)
def _parsed(service: str, operation: str, protocol: str, status: int, body: bytes) -> bytes:
    """The members of a reply without headers of its own, pickled, so that each reader has a copy of its own."""
    raw = {"status_code": status, "headers": {}, "body": body}
    parsed = dict(create_parser(protocol).parse(raw, _operation(service, operation).output_shape))
    parsed.pop("ResponseMetadata", None)
    return pickle.dumps(parsed)


@lru_cache(_RECENT)
def _serialized(service: str, operation: str, protocol: str, result: bytes) -> tuple[int, Json, bytes]:
    """Status, headers and body of a reply with :data:`_REQUEST_ID` as its id; ``result`` is pickled."""
    # Replies are plain data; moto's default picker looks for attributes of its backends' objects too.
    made = get_serializer_class(MODELS[service], protocol)(
        operation_model=_operation(service, operation),
        context=SerializationContext(_REQUEST_ID.decode()),
        value_picker=DefaultAttributePicker(),
    ).serialize(pickle.loads(result))  # noqa: S301  our own
    body = made["body"]
    return made["status_code"], made["headers"], body.encode() if isinstance(body, str) else body


@cache
def _model(service: str) -> Any:
    return get_service_model(MODELS[service])


@cache
def _operation(service: str, operation: str) -> Any:
    if service not in MODELS or operation not in _model(service).operation_names:
        return None
    return _model(service).operation_model(operation)


@cache
def _routes(service: str) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    routes = []
    for name in _model(service).operation_names:
        http = _operation(service, name).http
        pattern = re.sub(r"\{[^}]+\}", ".+", http["requestUri"].partition("?")[0])
        routes.append((http["method"], re.compile(pattern), name))
    return tuple(routes)


def _rest_operation(service: str, method: str, path: str) -> str:
    for verb, pattern, name in _routes(service):
        if verb == method and pattern.fullmatch(path):
            return name
    return ""


def _url_parameters(template: str, path: str) -> dict[str, str]:
    """The values in the path of a REST request, by the names in its template: ``/schedules/{Name}``."""
    names = re.findall(r"\{([^}+]+)\+?\}", template)
    found = re.fullmatch(re.sub(r"\{[^}]+\}", "(.+)", template.partition("?")[0]), path)
    return dict(zip(names, map(unquote, found.groups()), strict=False)) if found else {}


class _Query(dict[str, str]):
    """The parameters of a query, of which one may stand several times."""

    def __init__(self, text: str) -> None:
        self._pairs = parse_qsl(text, keep_blank_values=True)
        super().__init__(self._pairs)

    def getlist(self, name: str) -> list[str] | None:
        """Every value of a parameter; None if it is not there."""
        return [value for key, value in self._pairs if key == name] or None


def _cbor(status: int, body: bytes, request_id: str) -> Reply:
    headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor", "x-amzn-requestid": request_id}
    return Reply(status, headers, body)


def _decode_cbor(body: bytes) -> Any:
    parser: Any = create_parser(_CBOR)
    return parser.parse_data_item(io.BufferedReader(io.BytesIO(body)))


def _encode_cbor(value: Mapping[str, Any]) -> bytes:
    out = bytearray()
    _cbor_item(out, value)
    return bytes(out)


def _cbor_head(out: bytearray, major: int, size: int) -> None:
    if size < 24:
        out.append(major << 5 | size)
        return
    for extra, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if size < 1 << (8 * width):
            out.append(major << 5 | extra)
            out.extend(size.to_bytes(width, "big"))
            return


def _cbor_item(out: bytearray, value: Any) -> None:
    if value is None or isinstance(value, bool):
        out.append({None: 0xF6, True: 0xF5, False: 0xF4}[value])
    elif isinstance(value, int):
        _cbor_head(out, 0 if value >= 0 else 1, value if value >= 0 else -1 - value)
    elif isinstance(value, str):
        text = value.encode()
        _cbor_head(out, 3, len(text))
        out.extend(text)
    elif isinstance(value, Mapping):
        _cbor_head(out, 5, len(value))
        for key, item in value.items():
            _cbor_item(out, key)
            _cbor_item(out, item)
    elif isinstance(value, list | tuple):
        _cbor_head(out, 4, len(value))
        for item in value:
            _cbor_item(out, item)
    else:
        raise TypeError(f"no CBOR for {type(value).__name__}")
