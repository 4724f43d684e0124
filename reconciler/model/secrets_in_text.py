"""Secrets inside a longer text: a script, a command, a file of settings, a URL.

What is found: values given to a name like that of a secret (``DB_PASSWORD=...``, ``password: ...``, ``"token": "..."``,
``--password ...``), passwords of URLs, passwords piped to ``chpasswd`` and the like, and texts of a known form, such as
private keys. What a shell or a parameter fills in (``$NAME``, ``$(...)``, ``Ref::name``) is no secret.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from functools import lru_cache

from reconciler.model.masking import SENSITIVE, private_name

_HINT = re.compile(r"(?i)pass|pwd|secret|token|credential|key|://|AKIA|gh[a-z]_|PRIVATE")
_VALUE = r"""(?:"(?P<double>[^"\n]+)"|'(?P<single>[^'\n]+)'|(?P<bare>[^\s"'`,;|&<>]+))"""
_GIVEN = re.compile(
    r"(?<![\w$.-])(?:--?)?(?P<name>[A-Za-z][\w.-]*)(?:[\"']?\s*:\s+|[\"']\s*:\s*|[\"']?[ \t]*=[ \t]*|(?<=\w)[ \t]+)"
    + _VALUE
)
_KNOWN = re.compile(
    r"(?P<key>-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))"
    r"|(?P<id>\b(?:AKIA[0-9A-Z]{16}|gh[a-z]_[0-9A-Za-z]{30,}|xox[a-z]-[0-9A-Za-z-]{10,}|sk_live_[0-9A-Za-z]{16,}))"
    r"|[a-z][a-z0-9+.-]*://[^\s:/@\"']*:(?P<url>[^\s/@\"']+)@"
    r"|[\"' \t:](?:\w[\w.-]*):(?P<piped>[^\s\"'|:]+)[\"']?\s*\|\s*(?:sudo\s+)?chpasswd"
    r"|echo\s+(?:-n\s+)?[\"']?(?P<stdin>[^\s\"'|]+)[\"']?\s*\|[^\n|]*--?(?:password-)?stdin"
)
_FILLED_IN = re.compile(
    r"[$<%{`(\[*]|Ref::|arn:|/|\.\.\.|(?:true|false|yes|no|null|none)$|\(sensitive\)", re.IGNORECASE
)
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html#SecretsManager-CreateSecret-request-Name
_REFERENCE = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,512}")
_ODD = re.compile(r"[+=@](?!.*\.[a-z]+$)")


def secrets_in(text: str) -> frozenset[str]:
    """The secrets in ``text``."""
    return frozenset(text[start:end] for start, end in _spans(text)) if _HINT.search(text) else frozenset()


def without_secrets(text: str) -> str:
    """``text`` with :data:`SENSITIVE` in place of its secrets."""
    if not _HINT.search(text):
        return text
    kept, at = [], 0
    for start, end in sorted(_spans(text)):
        if start >= at:
            kept += [text[at:start], SENSITIVE]
            at = end
    return "".join([*kept, text[at:]]) if kept else text


def secret_arguments(words: Iterable[object]) -> Iterator[str]:
    """The words of a command that follow an option such as ``--password``."""
    before = ""
    for word in words:
        if isinstance(word, str) and private_name(before) and not _FILLED_IN.match(word) and word:
            yield word
        before = word if isinstance(word, str) and word.startswith("-") and "=" not in word else ""


def decoded(text: str) -> str:
    """The text that ``text`` encodes as base64; ``text`` itself if it encodes none."""
    try:
        return b64decode("".join(text.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return text


def is_itself_a_secret(text: str) -> bool:
    """Whether a text that should name a secret is most likely the secret itself: a password, a key, a token."""
    if text.startswith(("arn:", "/")) or "${" in text or not text:
        return False
    long = re.fullmatch(r"[A-Za-z0-9+=]{20,}", text) and re.search(r"\d", text) and re.search(r"[A-Za-z]", text)
    odd = _ODD.search(text) and re.search(r"\d", text)
    return bool(not _REFERENCE.fullmatch(text) or _KNOWN.search(text) or long or odd)


@lru_cache(1024)  # a plan shows the same text several times
def _spans(text: str) -> frozenset[tuple[int, int]]:
    found = {match.span(match.lastgroup or 0) for match in _KNOWN.finditer(text)}
    at = 0
    while match := _GIVEN.search(text, at):
        group = match.lastgroup or ""
        at = match.end("name")
        value = match[group]
        option = not text[match.end("name") : match.start(group)].strip(" \t\"'")  # a word of prose is none
        if not private_name(match["name"]) or _FILLED_IN.match(value) or "(" in value:
            continue
        if option and not match[0].startswith("--"):
            continue
        found.add(match.span(group))
        at = match.end()
    return frozenset(found)
