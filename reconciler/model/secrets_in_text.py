"""Secrets inside a longer text: a script, a command, a file of settings, a URL.

What is found: values given to a name like that of a secret (``DB_PASSWORD=...``, ``password: ...``, ``"token": "..."``,
``--password ...``), passwords of URLs, passwords piped to ``chpasswd`` and the like, and texts of a known form, such as
private keys. What a shell or a parameter fills in (``$NAME``, ``$(...)``, ``Ref::name``) is no secret.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from reconciler.model.masking import PRIVATE_WORDS, SENSITIVE, private_name

from .patterns import regex
from .when_used import when_used

with when_used():
    from base64 import b64decode

_HINT = regex(
    r"(?i)pass|pwd|secret|token|credential|key|://|AKIA|gh[a-z]_|PRIVATE|curl|wget|mysql|maria|login|authorization"
    r"|identified|net\s+user|openssl|securestring"
)
_VALUE = r"""(?:\\?"(?P<double>[^"\n]+?)\\?"|\$?'(?P<single>[^'\n]+)'|(?P<bare>[^\s"'`,;|&<>=][^\s"'`,;|&<>]*))"""
# A name and its value, by what stands between them
_GIVEN = (
    regex(
        r"(?<![\w$.-])(?<!\$\{)(?:--?)?(?P<name>[A-Za-z][\w.-]*)"
        r"(?:[\"']?\s*:\s+|\\?[\"']\s*:\s*|[\"']?[ \t]*(?:=>|:?=)[ \t]*|(?<=\w)[ \t]+)" + _VALUE
    ),
    regex(r"\$\{(?P<name>\w+):?[-=]" + _VALUE.replace("`,;|&<>]*", "`,;|&<>}]*")),
    regex(r"(?m)(?:^|[\s;&])(?:ENV|setx|setenv|configure set)\s+(?P<name>\w[\w.-]*)[ \t]+" + _VALUE),
    regex(r"<(?P<name>[A-Za-z][\w.-]*)>(?P<bare>[^<>\s]+)</"),
)
_KNOWN = regex(
    r"(?P<key>-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))"
    r"|(?P<id>\b(?:AKIA[0-9A-Z]{16}|gh[a-z]_[0-9A-Za-z]{30,}|xox[a-z]-[0-9A-Za-z-]{10,}|sk_live_[0-9A-Za-z]{16,}"
    r"|tskey-[a-z]+-[\w-]{8,}|hvs\.[\w-]{20,}))"
    r"|(?i:secret_?access_?key)[\"']?\s*[:=\s]\s*[\"']?(?P<aws>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
)
_WORD, _LINE = r"""[^\s"'`|;]+""", r"(?:[^\n|;]|\\\n){0,300}?"
# Passwords that well-known commands, headers and files have in a place of their own, without a name; each pattern with
# words in lower case of which the text must contain one
_PLACES = tuple(
    (words.split(), regex(pattern.replace("PASSWORD", f"""["']?(?P<value>{_WORD})""")))
    for words, pattern in (
        ("@", r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s:/@\"']*:(?P<value>[^\s/@\"']+)@"),
        ("chpasswd", r"[\"' \t:]\w[\w.-]*:(?P<value>[^\s\"'|:]+)[\"']?\s*\|\s*(?:sudo\s+)?chpasswd"),
        (
            "stdin",
            r"(?:echo|printf)\s+(?:-\w+\s+|[\"']%s(?:\\n)?[\"']\s+)?PASSWORD[\"']?\s*\|[^\n|]*--?(?:password-)?stdin",
        ),
        ("stdin", r"--(?:password-)?stdin\b[^\n]*<<<\s*PASSWORD"),
        ("chpasswd", r"\bchpasswd\b[^\n]*<<(?:<\s*[\"']?|-?\s*[\"']?\w+[^\n]*\n\s*)[\w.-]+:(?P<value>[^\s\"']+)"),
        (
            "curl wget",
            rf"\b(?:curl|wget)\b{_LINE}\s(?:-u|--user|--proxy-user)[ =]?[\"']?[^\s:\"'$]+:(?P<value>[^\s\"']+)",
        ),
        (
            "authorization",
            r"(?i:authorization)[\"']?\s*[:=]\s*[\"']?(?i:bearer|basic|token|splunk|apikey)\s+(?P<value>[^\s\"'\\,;]+)",
        ),
        ("sshpass", r"\bsshpass\s+-p\s*PASSWORD"),
        ("login", rf"\b(?:docker|podman|nerdctl|registry)\s+login\b{_LINE}\s-p\s*PASSWORD"),
        ("mysql mariadb", rf"\b(?:mysql|mariadb)\w*\s{_LINE}(?<=\s)-pPASSWORD"),
        ("net", r"(?i:\bnet\s+user)\s+[^\s/]\S*\s+(?!/)PASSWORD"),
        ("identified with", r"(?i:\bidentified\s+by|\bwith\s+password)\s+[\"'](?P<value>[^\"'\n]+)[\"']"),
        ("convertto-securestring", r"(?i:\bconvertto-securestring)\s+(?i:-string\s+)?[\"'](?P<value>[^\"'\n]+)[\"']"),
        ("pass:", r"-pass(?:in|out)?\s+[\"']?pass:(?P<value>[^\s\"']+)"),
        ("openssl", rf"\bopenssl\s+enc\b{_LINE}\s-k\s+PASSWORD"),
        ("requirepass", r"\brequirepass\s+PASSWORD"),
        ("login", r"\blogin\s+\S+\s+password\s+PASSWORD"),
    )
)
_OF_PLACES = regex("|".join(re.escape(word) for words, _ in _PLACES for word in words))
_FILLED_IN = regex(r"[$<%{`(\[*]|Ref::|arn:|/|\.\.\.|(?:true|false|yes|no|null|none)$|\(sensitive\)", re.IGNORECASE)
_NUMBER_OR_PATH = regex(r"\d{1,3}|[a-z0-9_.-]+(/[a-z0-9_.-]+)+")
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html#SecretsManager-CreateSecret-request-Name
_REFERENCE = regex(r"[A-Za-z0-9/_+=.@:-]{1,512}")
_ODD = regex(r"[+=@](?!.*\.[a-z]+$)")


def is_number_or_path(value: str) -> bool:
    """Whether a value is a short number, or a path of names such as that of a secret: ``prod/db``."""
    return bool(_NUMBER_OR_PATH.fullmatch(value))


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
    # other letters than those of ASCII may count as one of these
    lower = text.lower() if text.isascii() else ""
    for words, pattern in _PLACES if not lower or _OF_PLACES.search(lower) else ():
        if not lower or any(word in lower for word in words):
            found |= {match.span("value") for match in pattern.finditer(text) if not _is_harmless(match["value"])}
    if lower and not any(word in lower for word in PRIVATE_WORDS):
        return frozenset(found)
    named, *others = _GIVEN
    found |= set(_given(named, text, options_only=True))
    for pattern in others:
        found |= set(_given(pattern, text))
    return frozenset(found)


def _given(pattern: re.Pattern[str], text: str, *, options_only: bool = False) -> Iterator[tuple[int, int]]:
    """Where the values of names like those of secrets stand; after white space alone only those of options."""
    at = 0
    while match := pattern.search(text, at):
        group = match.lastgroup or ""
        at = match.end("name")
        value = match[group]
        apart = not text[match.end("name") : match.start(group)].strip(" \t\"'$")  # a word of prose is none
        if not private_name(match["name"]) or _is_harmless(value) or (group == "bare" and "(" in value):
            continue
        if options_only and apart and (not match[0].startswith("-") or value.startswith("-")):
            continue
        yield match.span(group)
        at = match.end()


def _is_harmless(value: str) -> bool:
    """Whether a value is filled in later, or is a short number or a path of names."""
    return bool(_FILLED_IN.match(value)) or is_number_or_path(value)
