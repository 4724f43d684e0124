"""Checks of a policy document: what AWS would refuse, as far as it shows offline.

Expressions are not judged, and neither are unknown services and actions, because AWS adds new ones every week.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from reconciler.kinds.common.policy_document.document import (
    MEMBERS,
    OLD_VERSION,
    VERSION,
    DocumentKind,
    leaf,
    listed,
    statements,
    why_unparsed,
    written,
)
from reconciler.model import Finding, Path, Reference, Template, Text
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import near
from reconciler.model.stand_ins import walk
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.policy_document import vocabulary

_ACTION = regex(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_PARTITION = regex(r"aws(-[a-z]+)*|\*")
_SID = regex(r"[A-Za-z0-9]*")
_SERVICE = regex(
    r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws\.com(\.cn)?|amazonaws\.eu|amazon\.com|c2s\.ic\.gov|sc2s\.sgov\.gov)"
)
_AWS = regex(
    r"\*|\d{12}|[A-Z0-9]{16,}"
    r"|arn:[^:]+:(iam|sts)::(\d{12}|cloudfront):(root|(user|role|assumed-role|federated-user)/\S+)"
)

# Condition keys of batch:RegisterJobDefinition only
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
_REGISTRATION_KEYS = frozenset(
    f"batch:{name}".lower()
    for name in (
        *("AWSLogsCreateGroup", "AWSLogsGroup", "AWSLogsRegion", "AWSLogsStreamPrefix", "LogDriver", "Image"),
        *("Privileged", "User", "EKSImage", "EKSNamespace", "EKSPrivileged", "EKSRunAsUser", "EKSRunAsGroup"),
        "EKSServiceAccountName",
    )
)
_REGISTRATION = "batch:registerjobdefinition"


def findings(document: Any, kind: DocumentKind, path: Path) -> Iterator[Finding]:
    """Findings about a document at ``path``, as :func:`~.document.parse` returns it."""
    if _is_expression(document):
        return
    if not isinstance(document, Mapping):
        yield Finding(path=path, message=_not_a_document(document), hint=_document_hint(document))
        return
    yield from _members(document, ("Version", "Id", "Statement"), path)
    version = document.get("Version")
    if isinstance(version, str | int) and version not in (VERSION, OLD_VERSION):
        yield Finding(
            path=(*path, "Version"), message=f"Version is {version}", hint=f'write "{VERSION}" or leave it out'
        )
    if version != VERSION and any("${" in text for text in _plain_texts(document.get("Statement"))):
        message = "policy variables such as ${aws:username} are plain text without Version 2012-10-17"
        yield Finding(path=path, message=message, hint=f'add Version: "{VERSION}"', warning=True)
    found = statements(document)
    mistyped = any(near(str(name), ("Statement",)) for name in document if name != "Statement")
    if not found and not mistyped:
        yield Finding(path=path, message="the document has no Statement", hint="a policy needs at least one Statement")
    single = isinstance(document["Statement"], Mapping) if found else False
    places: list[Path] = [(*path, "Statement") if single else (*path, "Statement", i) for i in range(len(found))]
    for place, statement in zip(places, found, strict=True):
        if isinstance(statement, Mapping):
            yield from _statement(statement, kind, place)
        elif not _is_expression(statement):
            yield Finding(
                path=place,
                message="a statement is a mapping with Effect, Action and so on",
                hint='{Effect: Allow, Action: "s3:GetObject", Resource: "*"}',
            )
    yield from _sids(zip(places, found, strict=True), kind)


def _plain_texts(value: Any) -> Iterator[str]:
    return (node for node in walk(value, whole=(Text, Template)) if isinstance(node, str))


def size(document: Any) -> int:
    """The number of characters that count against the quota: without white space and without expressions.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    text = json.dumps(written(document), separators=(",", ":"), default=_literal, ensure_ascii=False)
    return len(re.sub(r"\s", "", text))


def _literal(value: Any) -> str:
    return "".join(part for part in value.parts if isinstance(part, str)) if isinstance(value, Template) else ""


def _is_expression(value: Any) -> bool:
    return isinstance(value, Template | Reference)


def _not_a_document(document: Any) -> str:
    return (
        f"invalid JSON: {why_unparsed(document)}"
        if isinstance(document, str)
        else (f"a policy document is a mapping, not {json.dumps(document, default=str)}")
    )


def _document_hint(document: Any) -> str:
    named = (
        re.fullmatch(r"(?:file://)?(\S+\.json)|file://(\S+)", document.strip()) if isinstance(document, str) else None
    )
    if named:
        return f"to use the content of a file, write ${{file:{named[1] or named[2]}}}"
    return "write a mapping, JSON text or ${file:...}"


def _members(found: Mapping[str, Any], known: Iterable[str], path: Path) -> Iterator[Finding]:
    names = list(known)
    for name in found:
        if name not in names:
            meant = near(str(name), names)
            yield Finding(
                path=(*path, name),
                message=f'unknown field "{name}" of a policy document',
                hint=f'did you mean "{meant}"?' if meant else f"one of {', '.join(names)}",
                code=codes.UNKNOWN_FIELD,
            )


def _statement(statement: Mapping[str, Any], kind: DocumentKind, path: Path) -> Iterator[Finding]:
    names = (
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    )
    yield from _members(statement, names, path)
    effect = statement.get("Effect")
    if effect is None and not _meant(statement, "Effect"):
        yield Finding(path=path, message="the statement has no Effect", hint="Effect: Allow, or Effect: Deny")
    elif effect is not None and not _is_expression(effect) and effect not in ("Allow", "Deny"):
        meant = near(str(effect), ("Allow", "Deny"))
        hint = f'did you mean "{meant}"?' if meant else "Effect: Allow, or Effect: Deny"
        yield Finding(path=(*path, "Effect"), message=f'Effect is Allow or Deny, not "{effect}"', hint=hint)
    yield from _either(statement, "Action", path, needed=True)
    yield from _either(statement, "Resource", path, needed=kind == "identity")
    yield from _either(statement, "Principal", path, needed=kind != "identity")
    yield from _misplaced(statement, kind, path)
    for name in ("Action", "NotAction"):
        yield from _actions(statement, name, kind, path)
    for name in ("Resource", "NotResource"):
        yield from _resources(statement, name, path)
    for name in ("Principal", "NotPrincipal"):
        if statement.get(name) is not None and kind != "identity":
            yield from _principals(statement[name], kind, (*path, name))
    yield from _conditions(statement, path)


def _meant(statement: Mapping[str, Any], name: str) -> bool:
    """Whether a misspelt member is probably ``name``: then one finding is enough."""
    return any(near(str(other), MEMBERS) in (name, f"Not{name}") for other in statement if other not in MEMBERS)


def _either(statement: Mapping[str, Any], name: str, path: Path, *, needed: bool) -> Iterator[Finding]:
    given = [member for member in (name, f"Not{name}") if statement.get(member) is not None]
    if len(given) == 2:
        yield Finding(path=path, message=f"the statement has both {name} and Not{name}", hint="keep one of them")
    if needed and not given and not _meant(statement, name):
        hint = 'e.g. Resource: "*"' if name == "Resource" else "e.g. Principal: {Service: batch.amazonaws.com}"
        hint = "e.g. Action: logs:PutLogEvents" if name == "Action" else hint
        yield Finding(path=path, message=f"the statement has no {name}", hint=hint)
    for member in given:
        if isinstance(statement[member], list | tuple | Mapping) and not statement[member]:
            yield Finding(path=(*path, member), message=f"{member} is empty", hint="give at least one")


def _misplaced(statement: Mapping[str, Any], kind: DocumentKind, path: Path) -> Iterator[Finding]:
    if kind == "identity":
        for name in ("Principal", "NotPrincipal"):
            if name in statement:
                hint = (
                    "remove it: the principal is the role the policy is attached to; trust declares who may assume"
                    " the role"
                )
                yield Finding(path=(*path, name), message=f"a policy of a role has no {name}", hint=hint)
    if kind == "trust":
        for name in ("Resource", "NotResource"):
            if name in statement:
                hint = "remove it: the resource is the role itself"
                yield Finding(path=(*path, name), message=f"a trust policy has no {name}", hint=hint)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """(path, element) for each element that is not an expression."""
    several = isinstance(value, list | tuple)
    for index, item in enumerate(listed(value)):
        if not _is_expression(item):
            yield ((*path, index) if several else path), item


def _actions(statement: Mapping[str, Any], name: str, kind: DocumentKind, path: Path) -> Iterator[Finding]:
    for place, action in _texts(statement.get(name) or (), (*path, name)):
        if not isinstance(action, str) or not _ACTION.fullmatch(action):
            hint = "write service:Action, e.g. s3:GetObject"
            yield Finding(path=place, message=f"{_shown(action)} is not an action", hint=hint)
        elif kind == "trust" and not action.lower().startswith("sts:"):
            hint = "use sts:AssumeRole; permissions of the role are declared in managedPolicies and inlinePolicies"
            yield Finding(path=place, message=f'a trust policy allows sts: actions only, not "{action}"', hint=hint)
        elif kind == "trust":
            known = re.search(r"[*?]", action) or action.lower() in map(str.lower, vocabulary.TRUSTING)
            if not known and (meant := near(action, vocabulary.TRUSTING)):
                message = f'"{action}" is not an action of a trust policy'
                yield Finding(path=place, message=message, hint=f'did you mean "{meant}"?')
        else:
            yield from _prefix(action, place)


def _prefix(action: str, path: Path) -> Iterator[Finding]:
    service, _, name = action.lower().partition(":")
    if service in vocabulary.PREFIXES or "*" in service or service in vocabulary.SERVICES or not name:
        return
    close = difflib.get_close_matches(service, sorted(vocabulary.PREFIXES), n=1, cutoff=0.85)
    meant = vocabulary.OTHER_NAMES.get(service) or (close[0] if close else "")
    if meant:
        hint = f'did you mean "{meant}:{action.partition(":")[2]}"?'
        message = f'unknown service prefix "{service}:"'
        yield Finding(path=path, message=message, hint=hint, warning=True)


def _resources(statement: Mapping[str, Any], name: str, path: Path) -> Iterator[Finding]:
    for place, resource in _texts(statement.get(name) or (), (*path, name)):
        text = resource if isinstance(resource, str) else ""
        parts = text.split(":", 5)
        if len(parts) > 2 and parts[0] == "arn" and not _PARTITION.fullmatch(parts[1]):
            hint = "aws, aws-cn or aws-us-gov; ${partition} is the environment's own"
            yield Finding(path=place, message=f'"{parts[1]}" in {_shown(text)} is not a partition', hint=hint)
            continue
        if parts[0] == "arn" and len(parts) < 6 and "/" in parts[-1]:
            hint = "colons are missing: arn:aws:s3:::bucket/* has no Region and no account, but their colons"
            yield Finding(path=place, message=f"{_shown(text)} has too few parts for an ARN", hint=hint)
            continue
        if text.startswith("arn:") and (text.count(":") >= 5 or "*" in text):
            continue
        if text[:1] in ("*", "?"):
            continue
        hint = 'write "*" or an ARN, e.g. arn:aws:s3:::bucket/*'
        yield Finding(path=place, message=f"{_shown(resource)} is not an ARN", hint=hint)


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)


def _principals(value: Any, kind: DocumentKind, path: Path) -> Iterator[Finding]:
    if _is_expression(value) or value == "*":
        return
    if not isinstance(value, Mapping):
        for place, item in _texts(value, path):
            named = "Service" if isinstance(item, str) and "amazon" in item else "AWS"
            yield Finding(
                path=place, message=f"{_shown(item)} needs a principal type", hint=f"write {{{named}: {item}}}"
            )
        return
    yield from _members(value, ("AWS", "Service", "Federated", "CanonicalUser"), path)
    for place, item in _texts(value.get("Service", ()), (*path, "Service")):
        yield from service(item, place)
    for place, item in _texts(value.get("AWS", ()), (*path, "AWS")):
        text = leaf(item)
        if not isinstance(text, str) or not _AWS.fullmatch(text):
            hint = "an account id, or the ARN of an account's root, a role or a user"
            yield Finding(path=place, message=f"{_shown(item)} is not a principal of type AWS", hint=hint)
        elif kind == "trust" and "*" in text and text != "*":
            hint = "give the full ARN, or trust the account and add Condition: {ArnLike: {aws:PrincipalArn: ...}}"
            yield Finding(path=place, message="a principal cannot contain a wildcard", hint=hint)


def service(item: Any, path: Path) -> Iterator[Finding]:
    """Findings about a service principal at ``path``."""
    if not isinstance(item, str) or not _SERVICE.fullmatch(item):
        meant = near(item.split(".")[0], vocabulary.SERVICES) if isinstance(item, str) else ""
        hint = f'did you mean "{meant}.amazonaws.com"?' if meant else "service principals look like batch.amazonaws.com"
        yield Finding(path=path, message=f"{_shown(item)} is not a service principal", hint=hint)
        return
    if (short := item.removesuffix(".amazon.com")) != item and short in vocabulary.SERVICES:
        hint = f'did you mean "{short}.amazonaws.com"?'
        yield Finding(path=path, message=f'unknown service principal "{item}"', hint=hint)
        return
    label, _, domain = item.partition(".amazonaws.com")
    close = (
        difflib.get_close_matches(label, vocabulary.SERVICES, n=1, cutoff=0.85)
        if len(label) > 3 and item != label and label not in vocabulary.SERVICES
        else []
    )
    if close:
        hint = f'did you mean "{close[0]}.amazonaws.com{domain}"?'
        yield Finding(path=path, message=f'unknown service principal "{item}"', hint=hint)


def _sids(found: Iterable[tuple[Path, Any]], kind: DocumentKind) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, statement in found:
        sid = statement.get("Sid") if isinstance(statement, Mapping) else None
        if sid in (None, "") or _is_expression(sid):
            continue
        place, text = (*path, "Sid"), str(sid)
        if text in seen:
            yield Finding(path=place, message=f'duplicate Sid "{text}"', hint="a Sid must be unique in its document")
        if kind != "resource" and not _SID.fullmatch(text):
            yield Finding(
                path=place,
                message=f'the Sid "{text}" may only contain letters and digits',
                hint="rename it, or leave it out",
            )
        seen.add(text)


def _conditions(statement: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    tests = statement.get("Condition")
    if tests is None or _is_expression(tests):
        return
    place = (*path, "Condition")
    if not isinstance(tests, Mapping):
        hint = "e.g. Condition: {StringEquals: {aws:SourceAccount: ...}}"
        yield Finding(path=place, message="Condition maps operators to keys and values", hint=hint)
        return
    for operator, keys in tests.items():
        base = str(operator).split(":", 1)[-1]
        base = base.removesuffix("IfExists")
        if base not in vocabulary.OPERATORS or str(operator).partition(":")[0] not in (
            "ForAnyValue",
            "ForAllValues",
            operator,
        ):
            meant = near(base, vocabulary.OPERATORS)
            hint = f'did you mean "{meant}"?' if meant else "e.g. StringEquals, StringLike, Bool, ArnLike"
            if ":" in str(operator) and not isinstance(keys, Mapping):  # a condition key, without its operator
                hint = f"write it below an operator, as in StringEquals: {{{operator}: ...}}"
            message = f'"{operator}" is not a condition operator'
            yield Finding(path=(*place, operator), message=message, hint=hint, code=codes.UNKNOWN_FIELD)
        elif not isinstance(keys, Mapping):
            if not _is_expression(keys):
                hint = f"e.g. {operator}: {{aws:SourceAccount: ...}}"
                yield Finding(path=(*place, operator), message=f"{operator} maps condition keys to values", hint=hint)
        else:
            for key, values in keys.items():
                yield from _test(statement, operator, key, values, (*place, operator, key))


def _test(statement: Mapping[str, Any], operator: str, key: Any, values: Any, path: Path) -> Iterator[Finding]:
    name = str(key).lower()
    if ":" not in name:
        hint = "keys have a prefix, e.g. aws:SourceAccount, batch:LogDriver"
        yield Finding(path=path, message=f'"{key}" is not a condition key', hint=hint)
    for place, value in _texts(values, path):
        if isinstance(value, Mapping | list | tuple) or value is None:
            yield Finding(
                path=place, message=f"{_shown(value)} is not a value of a condition", hint="text or a list of texts"
            )
        elif "StringEquals" in operator and re.search(r"[*?]", str(value)):
            like = operator.replace("StringEqualsIgnoreCase", "StringLike").replace("StringEquals", "StringLike")
            message = f'{operator} matches "{value}" literally'
            yield Finding(path=place, message=message, hint=f"for a pattern use {like}", warning=True)
        else:
            yield from _value(operator, value, place)
    if name in _REGISTRATION_KEYS:
        yield from _check_registration_key(statement, operator, str(key), path)


def _value(operator: str, value: Any, path: Path) -> Iterator[Finding]:
    """Findings about a value that the operator never matches."""
    base = operator.split(":", 1)[-1].removesuffix("IfExists")
    if base in ("Bool", "Null") and str(value).lower() not in ("true", "false"):
        message = f'{base} must be true or false, not "{value}"'
        yield Finding(path=path, message=message, hint="write true or false", warning=True)
    if base in ("IpAddress", "NotIpAddress") and not _is_network(value):
        hint = "such as 203.0.113.0/24"
        yield Finding(path=path, message=f"{_shown(value)} is not a range of addresses", hint=hint, warning=True)


def _is_network(value: Any) -> bool:
    try:
        ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        return "${" in str(value)
    return True


def _check_registration_key(statement: Mapping[str, Any], operator: str, key: str, path: Path) -> Iterator[Finding]:
    given = [action for action in listed(statement.get("Action", ())) if isinstance(action, str)]
    others = [action for action in given if not fnmatchcase(_REGISTRATION, action.lower())]
    if others:
        never = "the condition is always true" if operator.endswith("IfExists") else "the condition is never true"
        message = f"condition key {key} has no effect on {', '.join(others)} ({never})"
        hint = "give batch:RegisterJobDefinition its own statement; limit other actions by Resource"
        yield Finding(path=path, message=message, hint=hint, warning=True)
