"""Where the log drivers other than CloudWatch's deliver: a collector on this machine, which plays every address.

Nothing leaves the machine. Lines for Splunk need a token that the collector accepts; the driver only checks the address
when the container starts, and drops what is refused later.

Source: https://docs.docker.com/engine/logging/drivers/splunk/ and
https://docs.splunk.com/Documentation/Splunk/latest/Data/HECRESTendpoints (paths, codes and texts of the collector)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from reconciler.model.patterns import regex
from reconciler.sandbox.batch.surroundings import Log
from reconciler.sandbox.services import Account
from reconciler.sandbox.wire import Json, Reply, Request

PATH = "/services/collector"
_MEMORY = "collector"
_MOST = 10_000
_HOST = regex(r"[\w.:\[\]-]+")
_ADDRESSES = {"splunk": "splunk-url", "fluentd": "fluentd-address", "gelf": "gelf-address", "syslog": "syslog-address"}
_OPTIONS = frozenset(
    f"splunk-{name}"
    for name in (
        *("url", "token", "source", "sourcetype", "index", "capath", "caname", "insecureskipverify", "format"),
        *("verify-connection", "gzip", "gzip-level"),
    )
)
_OF_EVERY_DRIVER = frozenset({"env", "env-regex", "labels", "labels-regex", "max-buffer-size", "mode", "tag"})
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_LABELS = {"splunk-source": "source", "splunk-sourcetype": "sourcetype", "splunk-index": "index"}


def unknown_option(log: Log) -> str:
    """What Docker says of an option that the driver of Splunk does not know, when it creates the container."""
    known = {*_OPTIONS, *_OF_EVERY_DRIVER}
    wrong = next((name for name in log.options if name not in known), "")
    return wrong and f"unknown log opt '{wrong}' for {log.driver} log driver"


def trouble(account: Account, log: Log, region: str) -> str:
    """Why the driver of Splunk does not initialize; empty if it does. It never looks at the token itself.

    In the order of https://github.com/moby/moby/blob/master/daemon/logger/splunk/splunk.go (`New`), in which only some
    of the texts name the driver.
    """
    url = log.options.get("splunk-url", "")
    if not url:
        return "splunk: splunk-url is expected"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        return "splunk: expected format scheme://dns_name_or_ip:port for splunk-url"
    if not _token(account, log, region):
        return "splunk: splunk-token is expected"
    for name in ("splunk-insecureskipverify", "splunk-gzip", "splunk-verify-connection"):
        if log.options.get(name, "true") not in (*_TRUE, *_FALSE):
            return f'strconv.ParseBool: parsing "{log.options[name]}": invalid syntax'
    if log.options.get("splunk-verify-connection") not in _FALSE:
        if any(one in url for one in account.settings.unreachable_collectors):
            return f'Options "{url}{PATH}/event/1.0": dial tcp: connect: connection refused'
        if not _HOST.fullmatch(parts.netloc):
            return f'Options "{url}{PATH}/event/1.0": dial tcp: lookup {parts.netloc}: no such host'
    if log.options.get("splunk-format", "inline") not in ("inline", "json", "raw"):
        return "Unknown format specified , supported formats are inline, json and raw"
    return ""


def deliver(account: Account, log: Log, region: str, text: str, about: Mapping[str, str], at: float) -> None:
    """A line of a container, as its driver sends it."""
    address = log.options.get(_ADDRESSES.get(log.driver, ""), "")
    if any(one in address for one in account.settings.unreachable_collectors if address):
        return
    event: Json = {"line": text, "source": "stdout", "tag": log.options.get("tag", about["container"][:12])}
    sent: Json = {"time": f"{at:.6f}", "host": about["host"], "event": event}
    if log.driver == "splunk":
        sent |= {member: log.options[name] for name, member in _LABELS.items() if name in log.options}
        if log.options.get("splunk-format") == "raw":
            sent["event"] = f"{event['tag']} {text}"
        _receive(account, "splunk", address, _token(account, log, region), [sent])
    else:
        _keep(account, {"driver": log.driver, "address": address, **sent})


def received(account: Account) -> list[Json]:
    """What was delivered, oldest first: also what was refused, with the reason and without its text."""
    return list(account.memory[_MEMORY].get("received", ()))


def clear(account: Account) -> None:
    """Forget what was delivered."""
    account.memory[_MEMORY].clear()


def answer(account: Account, request: Request) -> Reply:
    """The HTTP Event Collector itself, for any client."""
    if request.method == "OPTIONS":
        return Reply(200, {"allow": "POST,OPTIONS"}, b"")
    if request.path.rstrip("/").endswith("/health"):
        return _reply(200, "HEC is healthy", 17)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Splunk":
        return _reply(401, "Token is required", 2)
    try:
        events = _events(request.body.decode())
    except (ValueError, UnicodeDecodeError):
        return _reply(400, "Invalid data format", 6)
    if not events:
        return _reply(400, "No data", 5)
    if any("event" not in one for one in events):
        return _reply(400, "Event field is required", 12)
    refused = _receive(account, "splunk", f"http://{request.host}", token, events)
    return _reply(403, refused, 4) if refused else _reply(200, "Success", 0)


def _events(text: str) -> list[Json]:
    """Objects one after the other, which need nothing between them."""
    found: list[Json] = []
    decoder = json.JSONDecoder()
    text = text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        if not isinstance(value, dict):
            raise ValueError("not an object")  # noqa: TRY004  as for text that is not JSON
        found.append(value)
        text = text[end:].lstrip()
    return found


def _reply(status: int, text: str, code: int) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps({"text": text, "code": code}).encode())


def _receive(account: Account, driver: str, address: str, token: str, events: list[Json]) -> str:
    accepted = account.settings.splunk_tokens
    refused = "Invalid token" if accepted and token not in accepted else ""
    for one in events:
        kept = {name: value for name, value in one.items() if name != "event"} if refused else one
        _keep(account, {"driver": driver, "address": address, **({"refused": refused} if refused else {}), **kept})
    return refused


def _keep(account: Account, event: Json) -> None:
    held = account.memory[_MEMORY].setdefault("received", [])
    held.append(event)
    del held[: max(0, len(held) - _MOST)]


def _token(account: Account, log: Log, region: str) -> str:
    """The token, from the options or from the secret that a secret option names."""
    source = log.secrets.get("splunk-token")
    if not source:
        return log.options.get("splunk-token", "")
    parts = source.split(":")
    if len(parts) > 6 and parts[2] == "secretsmanager":
        secrets: Any = account.moto.backend("secretsmanager", parts[3]).secrets.values()
        arn = ":".join(parts[:7])
        found = next((one for one in secrets if arn in (one.arn, one.arn[:-7])), None)
        versions = found.versions.values() if found is not None else ()
        current: Json = next((one for one in versions if "AWSCURRENT" in one.get("version_stages", ())), {})
        text = str(current.get("secret_string") or "")
        if len(parts) > 7 and parts[7]:
            try:
                text = str(json.loads(text).get(parts[7], ""))
            except (ValueError, AttributeError):
                return ""
        return text.strip()
    name = source.split(":parameter/", 1)[-1].lstrip("/")
    known = account.moto.backend("ssm", region).get_parameters([name, f"/{name}"])
    return next((str(one.value) for one in known.values()), "")
