"""What containers write: to CloudWatch Logs on the sandbox's clock, or to the collector.

Source: https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.sandbox import collector
from reconciler.sandbox.batch.surroundings import Log
from reconciler.sandbox.services import Account
from reconciler.sandbox.services._moto_objects import log_event


def open_log(account: Account, region: str, log: Log, at: float) -> None:
    """The group, if it may be created, and the stream exist."""
    if log.driver == "awslogs":
        _stream(account, log.options.get("awslogs-region", region), log, at)


def write(account: Account, region: str, log: Log, text: str, about: Mapping[str, str], at: float) -> None:
    """A line of a container; lost if its group was deleted."""
    if log.driver != "awslogs":
        collector.deliver(account, log, region, text, about, at)
        return
    where = log.options.get("awslogs-region", region)
    stream = _stream(account, where, log, at)
    if stream is not None:
        put(account, where, stream, text, at)


def put(account: Account, region: str, stream: Any, text: str, at: float) -> None:
    """Append a line to a stream of moto's."""
    millis = int(at * 1000)
    stream.events.append(log_event(millis, text))
    stream.last_ingestion_time = _moment(at)
    stream.stored_bytes += len(text.encode())
    stream.upload_sequence_token += 1
    account.moto.touched("logs", region)


def create_stream(account: Account, region: str, group: Any, name: str, at: float) -> Any:
    """A stream of a group, made now unless it exists."""
    if name not in group.streams:
        group.create_log_stream(name)
        group.streams[name].creation_time = _moment(at)
        account.moto.touched("logs", region)
    return group.streams[name]


def _stream(account: Account, region: str, log: Log, at: float) -> Any:
    backend = account.moto.backend("logs", region)
    name = log.options["awslogs-group"]
    if name not in backend.groups:
        if log.own_group and log.options.get("awslogs-create-group") != "true":
            return None
        backend.create_log_group(name, {})
        backend.groups[name].creation_time = _moment(at)
    return create_stream(account, region, backend.groups[name], log.stream, at)


def _moment(seconds: float) -> datetime:
    """As moto keeps time: UTC, and not aware of it."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
