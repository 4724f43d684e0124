"""Reads the small file behind a signed URL that an API of AWS has returned."""

from __future__ import annotations

import urllib.request
from typing import Final
from urllib.parse import urlsplit

from reconciler.model import Refused, Reply

MOST_BYTES: Final = 4 * 2**20  # the configuration of an image has a few kilobytes
_SECONDS: Final = 10
_LOCAL: Final = ("localhost", "127.0.0.1")


def download(url: str) -> Reply:
    """Its text, as ``{"text": ...}``; a refusal where it cannot be read. Only HTTPS, and HTTP on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        return Refused("NotHttps", "the signed URL is not an HTTPS URL")
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  (the scheme is checked above)
            return {"text": answer.read(MOST_BYTES).decode("utf-8", errors="replace")}
    except (OSError, ValueError) as error:
        return Refused("NotDownloaded", type(error).__name__)
