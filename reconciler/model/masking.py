"""Removes from a text what must not be shown: secrets in every form, and characters that control a terminal.

A secret is masked as it is and in every form that a program may have converted it to: line by line, upper or lower
case, escaped as in JSON or in Python's ``repr``, escaped for a URL, for XML, and as base64, alone or inside something
longer that was encoded as a whole. The beginning of a secret is masked too, where a message truncates it.

What is written like the keys and tokens of well-known services is masked wherever it stands, known or not.

A secret of fewer than :data:`SHORT` characters would match everywhere, and the mask would reveal it. It is masked only
where it is alone in quotes, as messages quote values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus

from .patterns import regex
from .when_used import when_used

with when_used():
    from base64 import b64encode
    from html import escape

SENSITIVE: Final = "(sensitive)"
SHORT: Final = 4  # a secret with fewer characters is masked in quotes only
LINE: Final = 6  # a line of a longer secret with fewer characters is not masked by itself
LINES: Final = 1000  # of a longer secret that are masked by themselves
PATTERN: Final = 200  # forms of up to so many characters are in one pattern; longer ones are replaced one by one
LONGEST_START: Final = 500  # the maximum length of a truncated beginning that is masked

# What moves the cursor, changes colours, ends a line or reorders text: C0, C1, bidirectional controls, characters of no
# width, annotations, tags, and halves of surrogate pairs, which cannot be encoded.
# https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
_UNSAFE: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_CONTROL: Final = regex(f"[{_UNSAFE}]")
_BREAKS: Final = regex(f"[\t\n{_UNSAFE}]")
_BASE64: Final = regex(r"[A-Za-z0-9+/=_-]")
_CUT: Final = regex(r" ?(?:\.\.\.|\u2026)")
_PRIVATE: Final = regex(
    r"(?i)(?:pass(word|wd|phrase)s?|(?<![a-z])(pass|pwd)|(secret|credential)s?|token|(private|secret|access|api|auth|encryption|signing)[-_.]?key)"
    r"(?:[-_.]?[0-9]{1,3})?$"
)
PRIVATE_WORDS: Final = ("pass", "pwd", "secret", "credential", "token", "key")  # one is in every private name


# Keys and tokens by the form that their issuers gave them so that they can be found:
# https://docs.github.com/en/code-security/reference/secret-security/supported-secret-scanning-patterns
_TOKEN: Final = regex(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}|npm_[A-Za-z0-9]{36,}|hf_[A-Za-z0-9]{30,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|[prs]k_(?:live|test)_[A-Za-z0-9]{10,}|sk-[\w-]{32,}|AIza[\w-]{35}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"
    r"|hooks\.slack\.com/(?:services|workflows|triggers)/[\w/-]{20,}"
    r")"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_MARKS: Final = (
    *("AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "npm_", "hf_", "xox", "k_live_"),
    *("k_test_", "sk-", "AIza", "SG.", "eyJ", "PRIVATE KEY-----", "hooks.slack.com"),
)
_MARKED: Final = regex("|".join(map(re.escape, _MARKS)))
# A secret access key of AWS: forty characters that nobody chose. Names are made of words: small letters in a row
_FORTY: Final = regex(r"(?<![\w/+=.-])[A-Za-z0-9/+]{40}(?![\w/+=.-])")
_IN_WORDS: Final = regex(r"(?=[a-z][a-z])")
MOST_IN_WORDS: Final = 14


def without_tokens(text: str) -> str:
    """``text`` with :data:`SENSITIVE` in place of what is written like a well-known key or token."""
    if len(text) < 14:
        return text
    if _MARKED.search(text):
        text = _TOKEN.sub(SENSITIVE, text)
    return _FORTY.sub(_if_random, text) if len(text) >= 40 else text


def _if_random(match: re.Match[str]) -> str:
    text = match[0]
    chosen = not re.search("[0-9]", text) or len(re.findall("[A-Z]", text)) < 6
    return text if chosen or len(_IN_WORDS.findall(text)) > MOST_IN_WORDS else SENSITIVE


_MEMBER: Final = regex(r"[A-Za-z_]{1,24}")


def is_no_name(text: object) -> bool:
    """Whether no member of anything is spelled like this: members have letters, and words of them are no secrets."""
    return isinstance(text, str) and not _MEMBER.fullmatch(text)


def harmless(text: str) -> str:
    """``text`` with its control characters spelled out, tabs and line ends excepted."""
    return text if text.isascii() and text.isprintable() else _CONTROL.sub(_spelled_out, text)


def single_line(text: str) -> str:
    """``text`` with its control characters spelled out, tabs and line ends included, so that it is one line."""
    return text if text.isascii() and text.isprintable() else _BREAKS.sub(_spelled_out, text)


def in_json(text: str) -> str:
    """JSON text with its control characters escaped: only strings can contain any."""
    return text if text.isascii() and "\x7f" not in text else _CONTROL.sub(_escaped, text)


@lru_cache(4096)  # there are few different names
def private_name(name: str) -> bool:
    """Whether a value of this name is most likely a secret in plain text: ``DB_PASSWORD``, ``splunk-token``."""
    return bool(_PRIVATE.search(name))


def _spelled_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in "\n\t":
        return "\\n" if match[0] == "\n" else "\\t"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


class Cover:
    """Masks secrets in texts."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {text for text in secrets if text.strip()}
        long = {text for text in known if len(text) >= SHORT}
        forms = {form for text in long for form in _forms(text)}
        self._short = frozenset(known - long)
        self._long = sorted((form for form in forms if len(form) > PATTERN), key=len, reverse=True)
        self._plain = _any_of({form for form in forms if len(form) <= PATTERN}, self._short)
        self._encoded = _any_of({form[:PATTERN] for text in long for form in _in_base64(text)})
        self._starts = sorted({form[:LONGEST_START] for form in forms if len(form) > SHORT})

    def __call__(self, text: str) -> str:
        """``text`` with :data:`SENSITIVE` in place of every secret."""
        text = without_tokens(text)
        if self._plain is None and not self._long:
            return text
        for form in self._long:
            if form in text:
                text = text.replace(form, SENSITIVE)
        if self._encoded is not None and self._encoded.search(text):
            text = self._without_runs(text, self._encoded)
        if self._plain is not None:
            text = self._plain.sub(SENSITIVE, text)
        return self._without_starts(text) if "..." in text or "\u2026" in text else text

    def _without_runs(self, text: str, encoded: re.Pattern[str]) -> str:
        """Masks whole runs of base64 that contain a secret, since all of a run is one encoded text."""
        kept, at = [], 0
        while found := encoded.search(text, at):
            start, end = found.span()
            while start > at and _BASE64.match(text[start - 1]):
                start -= 1
            while end < len(text) and _BASE64.match(text[end]):
                end += 1
            kept += [text[at:start], SENSITIVE]
            at = end
        return "".join([*kept, text[at:]])

    def _without_starts(self, text: str) -> str:
        """Masks the beginnings of secrets in front of an ellipsis."""
        kept, at = [], 0
        for cut in _CUT.finditer(text):
            head = text[at : cut.start()]
            length = max((_prefix_at_end(head, form) for form in self._starts), default=0)
            kept += [head[: len(head) - length], SENSITIVE if length else "", cut[0]]
            at = cut.end()
        return "".join([*kept, text[at:]])


def _prefix_at_end(head: str, form: str) -> int:
    """The length of the longest beginning of ``form`` that ``head`` ends with; 0 below :data:`SHORT`."""
    for length in range(min(len(head), len(form)), SHORT - 1, -1):
        if head.endswith(form[:length]):
            return length
    return 0


def _forms(secret: str) -> Iterator[str]:
    """Every way to write ``secret`` as text."""
    lines = [line.strip() for line in secret.splitlines()[:LINES]]
    for text in (secret, secret.strip(), *(line for line in lines if len(line) >= LINE)):
        if len(text) < SHORT:
            continue
        for cased in (text, text.lower(), text.upper()):
            yield cased
            for ascii_only in (True, False):
                once = json.dumps(cased, ensure_ascii=ascii_only)[1:-1]
                yield once
                yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
            written = cased.encode("utf-8", "replace")
            yield from (quote(written, safe=""), quote(written), quote_plus(written))
            yield from (repr(cased)[1:-1], ascii(cased)[1:-1], escape(cased), escape(cased, quote=False))


def _in_base64(secret: str) -> Iterator[str]:
    """The base64 that any encoded text with ``secret`` in it contains: three forms, by the offset modulo 3."""
    for text in {secret, secret.strip()}:
        data = text.encode("utf-8", "replace")
        for before in range(3):
            encoded = b64encode(b"\0" * before + data).decode()
            first = -(-before * 8 // 6)  # characters that encode a part of the text before
            last = (before + len(data)) * 8 // 6
            core = encoded[first:last]
            if len(core) >= SHORT:
                yield core
                yield core.translate({ord("+"): "-", ord("/"): "_"})


def _any_of(forms: Iterable[str], quoted: Iterable[str] = ()) -> re.Pattern[str] | None:
    """A pattern for any of ``forms``, the longest first, and for ``quoted`` between quotes."""
    by_first: dict[str, list[str]] = {}
    for form in sorted(set(forms), key=lambda form: (-len(form), form)):
        by_first.setdefault(form[0], []).append(re.escape(form[1:]))
    # grouped by first character: a long alternation is tried branch by branch at every position
    branches = [f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in sorted(by_first.items())]
    branches += [f"(?<=[\"'`]){re.escape(text)}(?=\\\\?[\"'`])" for text in sorted(quoted)]
    return re.compile("|".join(branches)) if branches else None


_SECRET_WORD = regex(r"PASS(WORD|WD|PHRASE)|SECRET|TOKEN|CREDENTIAL|PRIVATE|(^|_)PASS(_|$)|KEY$")


def looks_secret(name: str) -> bool:
    """Whether an environment variable of this name is likely to hold a secret."""
    upper = name.upper()
    return bool(_SECRET_WORD.search(upper)) and "PUBLIC" not in upper
