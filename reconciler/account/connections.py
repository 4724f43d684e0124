"""Clients that environments with the same credentials and Region share, in a process that compares many."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from reconciler.account import client as aws
from reconciler.account.client import AwsClient, Endpoint
from reconciler.account.shared_reads import SharingClient
from reconciler.model import EMPTY, Scope

MOST_KEPT: Final = 32  # accounts: the clients of one take some megabytes

_Key = tuple[str | None, str | None, tuple[tuple[str, str], ...], Endpoint | None]


class Connections:
    """Connects once for all environments of one account. Thread-safe.

    A session, its clients and the caller identity take longer than comparing a small environment. What fails is tried
    again for the next environment. With ``share_reads`` they share what they read of the whole account.
    """

    def __init__(self, *, share_reads: bool = False) -> None:
        self._share_reads = share_reads
        self._known: dict[_Key, tuple[AwsClient, Scope]] = {}
        self._locks: dict[_Key, threading.Lock] = {}
        self._expected: dict[_Key, list[str]] = {}
        self._lock = threading.Lock()

    def expect(self, environment: str, **place: Any) -> None:
        """``environment`` will be connected with the same arguments: shared reads ask for it with others, too."""
        self._expected.setdefault(_key(**place), []).append(environment)

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
        key = _key(region=region, profile=profile, role=role, endpoint=endpoint)
        with self._lock:
            once = self._locks.setdefault(key, threading.Lock())
        with once:  # the others of its account wait for it, those of other accounts do not
            found = self._known.pop(key, None)
            if found is None:
                client = aws.connect(region=region, profile=profile, role=role, endpoint=endpoint)
                if self._share_reads:
                    client = SharingClient(client, expected=self._expected.setdefault(key, []))
                found = client, aws.identity(client, environment)
            with self._lock:
                self._known[key] = found  # as the last, since it is used last
                if len(self._known) > MOST_KEPT:
                    del self._known[next(iter(self._known))]
        client, scope = found
        return client, replace(scope, environment=environment)


def _key(
    *,
    region: str | None,
    profile: str | None = None,
    role: Mapping[str, str] | None = None,
    endpoint: Endpoint | None = None,
) -> _Key:
    return region, profile, tuple(sorted((role or EMPTY).items())), endpoint
