"""Clients that environments with the same credentials and Region share, in a process that compares many."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

from reconciler.account import client as aws
from reconciler.account.client import AwsClient, Endpoint
from reconciler.model import EMPTY, Scope

_Key = tuple[str | None, str | None, tuple[tuple[str, str], ...], Endpoint | None]


class Connections:
    """Connects once for all environments of one account. Thread-safe.

    A session, its clients and the caller identity take longer than comparing a small environment. What fails is tried
    again for the next environment.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, tuple[AwsClient, Scope]] = {}
        self._locks: dict[_Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def connect(
        self,
        environment: str,
        *,
        region: str | None,
        profile: str | None = None,
        role: Mapping[str, str] | None = None,
        endpoint: Endpoint | None = None,
    ) -> tuple[AwsClient, Scope]:
        """As :func:`.client.connect` and :func:`.client.identity`."""
        key = (region, profile, tuple(sorted((role or EMPTY).items())), endpoint)
        with self._lock:
            once = self._locks.setdefault(key, threading.Lock())
        with once:  # the others of its account wait for it, those of other accounts do not
            if key not in self._known:
                client = aws.connect(region=region, profile=profile, role=role, endpoint=endpoint)
                self._known[key] = (client, aws.identity(client, environment))
        client, scope = self._known[key]
        return client, replace(scope, environment=environment)
