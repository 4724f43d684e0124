"""What the kinds of IAM share: names and paths, calls that may be sent too early, ownership.

IAM is eventually consistent: a resource that was just created may be unknown to the next call for some seconds.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.common.visibility import STILL_IN_USE, not_visible
from reconciler.model import OWNER_TAG, Call, Finding, Json, On, Path, Proof, Query, Reply, Scope
from reconciler.model.patterns import regex

ABSENT = "NoSuchEntity"
NOT_FOUND = (On(ABSENT),)
BUSY = On("ConcurrentModification")
# refusals of a call just after the creation of a role, a policy or a principal
NEW_ROLE = On(ABSENT, "role with name", because=not_visible("role"))
NEW_POLICY = On(ABSENT, "does not exist or is not attachable", because=not_visible("policy"))
NEW_PRINCIPAL = On("MalformedPolicyDocument", "Invalid principal in policy", not_visible("role in the policy"))
IN_USE = On("DeleteConflict", because=STILL_IN_USE)
PATIENCE = 120.0
POLICY_ARN = regex(r"arn:[^:]+:iam::(aws|\d{12}):policy/(?P<path>\S+)")

# https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html
TAG_SYMBOLS = "_.:/=+-@"

_NAME = regex(r"[A-Za-z0-9_+=,.@-]+")
_PATH = regex(r"/|/[\x21-\x7e]+/")
_DESCRIPTION = regex(r"[\t\n\r\x20-\x7e\xa1-\xff]*")


def arn_form(resource: str) -> str:
    """``Kind.arn_forms`` of what has a path in its ARN: the name alone is unique in the account."""
    return rf"arn:[^:]+:iam::\d{{12}}:{resource}/(?:[^:]+/)?(?P<name>[^/:]+)"


def change(
    operation: str,
    params: Json,
    *retry: On,
    ok_if: tuple[On, ...] = (),
    patience: float = PATIENCE,
    proof: Proof = Proof.NONE,
) -> Call:
    """A write call, retried for ``patience`` seconds on concurrent changes and on the refusals in ``retry``."""
    return Call("iam", operation, params, retry_on=(BUSY, *retry), ok_if=ok_if, patience=patience, proof=proof)


def arn(scope: Scope, kind: str, name: str, props: Json) -> str:
    """``arn:aws:iam::123456789012:role/path/name``; a path that is not known yet counts as ``/``."""
    path = props.get("path") or "/"
    return scope.arn("iam", f"{kind}{path if isinstance(path, str) else '/'}{name}", region="")


def arns(scope: Scope, kind: str, name: str, props: Json) -> tuple[str, ...]:
    """The ARNs that IAM checks for a role or a profile: while it does not exist, a request by name alone has no path.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
    """
    return tuple(dict.fromkeys((arn(scope, kind, name, props), arn(scope, kind, name, {}))))


def is_name(text: str) -> bool:
    """Whether IAM accepts the text as a name; nothing else is worth a call."""
    return bool(_NAME.fullmatch(text))


def is_owned(query: Query, tags: Mapping[str, str]) -> bool:
    """Whether the query includes owned objects, and the tags name its environment."""
    return query.owned and tags.get(OWNER_TAG) == query.scope.environment


def replies_by(calls: tuple[Call, ...], replies: tuple[Reply, ...], member: str) -> Iterator[tuple[str, Call, Reply]]:
    """Each reply with its call and the value of the parameter ``member`` in that call."""
    for call, reply in zip(calls, replies, strict=True):
        yield call.params[member], call, reply


def name_findings(noun: str, name: str, maximum: int) -> Iterator[Finding]:
    """Findings about the name of a ``noun`` with at most ``maximum`` characters."""
    if len(name) > maximum:
        yield Finding(
            path=(),
            message=f"the {noun} name has {len(name)} characters, and the maximum is {maximum}",
            hint="choose a shorter one",
        )
    if "/" in name:
        path, _, last = name.rpartition("/")
        if name.startswith("arn:"):  # arn:aws:iam::123456789012:role/path/name
            path = path.partition("/")[2]
        path = path.strip("/")
        hint = f'name it "{last}"' + (f" and give path: /{path}/" if path else "")
        yield Finding(path=(), message=f"a {noun} name cannot contain a slash", hint=hint)
    elif not is_name(name):
        hint = "letters, digits and _ + = , . @ -"
        yield Finding(path=(), message=f'"{name}" is not a valid {noun} name', hint=hint)


def path_findings(props: Json) -> Iterator[Finding]:
    """Findings about ``path``."""
    path = props.get("path")
    if not isinstance(path, str):
        return
    if not _PATH.fullmatch(path) or len(path) > 512:
        hint = f"write /{path.strip('/')}/" if path.strip("/") else "write /"
        yield Finding(path=("path",), message=f'path "{path}" must begin and end with a slash', hint=hint)
    if path.startswith("/aws-service-role/"):
        hint = "declare it under serviceLinkedRoles, by the name of the service"
        yield Finding(path=("path",), message="path /aws-service-role/ is reserved for service-linked roles", hint=hint)


def description_findings(props: Json) -> Iterator[Finding]:
    """Findings about ``description``."""
    text = props.get("description")
    if isinstance(text, str) and len(text) > 1000:
        yield Finding(
            path=("description",),
            message=f"the description has {len(text)} characters, and the maximum is 1000",
            hint="shorten it",
        )
    if isinstance(text, str) and not _DESCRIPTION.fullmatch(text):
        hint = "remove characters outside Latin-1 (curly quotes, dashes, emoji)"
        yield Finding(path=("description",), message="a description may contain Latin-1 characters only", hint=hint)


def policy_name_findings(value: Any, path: Path) -> Iterator[Finding]:
    """Findings about the name or ARN of a managed policy."""
    if not isinstance(value, str):
        return
    if value.startswith("arn:"):
        found = POLICY_ARN.fullmatch(value)
        if not found:
            hint = "e.g. arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole"
            yield Finding(path=path, message=f'"{value}" is not the ARN of a managed policy', hint=hint)
        elif found["path"].startswith("aws-service-role/"):
            hint = "attach a policy of your own with these statements, or use the service-linked role itself"
            message = (
                f"{found['path'].rpartition('/')[2]} is for a service-linked role only: IAM refuses it for other roles"
            )
            yield Finding(path=path, message=message, hint=hint)
        elif ":aws:policy/" in value and found["path"] in SERVICE_ROLE_POLICIES:
            hint = f"write service-role/{found['path']}"
            yield Finding(path=path, message=f"{found['path']} is in path service-role/", hint=hint)
    elif meant := _misspelt(value):
        yield Finding(
            path=path, message=f"unknown managed policy {value}", hint=f'did you mean "{meant}"?', warning=True
        )
    elif not all(map(is_name, value.strip("/").split("/"))):
        hint = "a name, service-role/NAME or an ARN"
        yield Finding(path=path, message=f'"{value}" is not a valid managed policy name', hint=hint)


def _misspelt(name: str) -> str:
    """The AWS-managed policy under service-role/ with a similar name; empty if the name is one, or similar to none."""
    bare = name.removeprefix("service-role/")
    if bare == name or bare in SERVICE_ROLE_POLICIES:
        return ""
    near = difflib.get_close_matches(bare, sorted(SERVICE_ROLE_POLICIES), n=1, cutoff=0.9)
    return f"service-role/{near[0]}" if near else ""


# AWS-managed policies around Batch that users often declare without their path
SERVICE_ROLE_POLICIES = frozenset(
    (
        "AWSBatchServiceEventTargetRole",
        "AWSBatchServiceRole",
        "AWSLambdaBasicExecutionRole",
        "AmazonEC2ContainerServiceEventsRole",
        "AmazonEC2ContainerServiceRole",
        "AmazonEC2ContainerServiceforEC2Role",
        "AmazonEC2RoleforSSM",
        "AmazonEC2SpotFleetTaggingRole",
        "AmazonECSTaskExecutionRolePolicy",
    )
)
