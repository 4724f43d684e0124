"""The tool's own client with the session of a test."""

from __future__ import annotations

import copy

import boto3

from reconciler.account.client import AwsClient, session_in


def client_of(session: boto3.session.Session, region: str | None = None) -> AwsClient:
    """A client with the credentials, handlers and Region of ``session``, whose own clients keep AWS's whole models."""
    core = copy.copy(session._session)
    core._components = copy.copy(core._components)
    core._components._components = dict(core._components._components)
    core._components._deferred = dict(core._components._deferred)
    return AwsClient(session_in(core, region or session.region_name))
