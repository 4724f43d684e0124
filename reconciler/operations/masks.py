"""Masks for what is secret before an environment has been read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.model.masking import looks_secret
from reconciler.model.patterns import regex
from reconciler.render.mask import Mask

LONG: Final = 12  # characters from which a value is masked at once; shorter ones may be ordinary words
# Where notices are sent: the address is the secret, wherever it was typed, also without https://
_WEBHOOK: Final = regex(r"(?i)\b(?:slack|webhook):(?P<to>\S+)|(?P<url>https?://\S*hook\S*)")
_ADDRESS: Final = regex(r"://[^/\s:@]*:(?P<password>[^/\s@]{4,})@")


def mask_of_environ(environ: Mapping[str, str]) -> Mask:
    """A mask for the values of environment variables with names of secrets, AWS credentials among them, and for the
    passwords in addresses (``AWS_ENDPOINT_URL``): an error may occur before it is known which of them are used. Values
    under ``LONG`` characters are masked only once they are used.
    """
    found = (value for name, value in environ.items() if looks_secret(name))
    inside = (match["password"] for value in environ.values() for match in _ADDRESS.finditer(value))
    return Mask((*(value for value in found if len(value) >= LONG), *inside))


def mask_of_webhooks(words: Iterable[str]) -> Mask:
    """A mask for the addresses of webhooks among ``words``, which an error about a mistyped command would repeat."""
    found: set[str] = set()
    for match in (match for word in words for match in _WEBHOOK.finditer(word)):
        address = match["to"] or match["url"]
        path = re.sub(r"^(?i:https?):/*", "", address).partition("/")[2].strip("/")
        found |= {text for text in (address, path) if len(text) >= LONG}
    return Mask(found)
