"""The tool's own client with the session of a test."""

from __future__ import annotations

import boto3

from reconciler.account.client import AwsClient, session_in


def client_of(session: boto3.session.Session, region: str | None = None) -> AwsClient:
    """A client with the credentials, handlers and Region of ``session``."""
    core = session._session
    return AwsClient(session_in(core, region or session.region_name))
