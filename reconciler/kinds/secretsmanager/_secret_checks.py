"""What Secrets Manager refuses in a declared secret, as far as this can be decided offline. No message shows a
value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.kinds.common.declared import as_int, as_text
from reconciler.model import Finding, Json, Template, compact
from reconciler.model.patterns import regex
from reconciler.model.stand_ins import known

NAME = regex(r"[A-Za-z0-9/_+=.@-]{1,512}")
ARN_ENDING = regex(r".+-[A-Za-z0-9]{6}")
MAX_VALUE = 65536
VALUE_HINT = "value: ${env:MY_PASSWORD}, or a mapping such as {user: ..., password: ${env:MY_PASSWORD}}, kept as JSON"


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about name, description, value and deletion; an expression is accepted wherever its value is unknown."""
    if not NAME.fullmatch(name):
        yield Finding((), f'"{name}" is not a valid secret name', "1 to 512 of letters, digits and / _ + = . @ -")
    elif ARN_ENDING.fullmatch(name):
        message = "the name ends in a hyphen and six characters, as ARNs of secrets do: AWS may read it as an ARN"
        yield Finding((), message, "choose another ending", warning=True)
    description = as_text(props.get("description"))
    if description is not None and len(description) > 2048:
        yield Finding(
            ("description",),
            f"the description has {len(description)} characters, and the maximum is 2048",
            "shorten it",
        )
    if "value" in props:
        yield from _value(props["value"])
    yield from _deletion(props)


def _value(value: object) -> Iterator[Finding]:
    path = ("value",)
    if value is None or isinstance(value, Template):
        return
    if not isinstance(value, str | Mapping):
        what = "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"
        yield Finding(path, f"the value of a secret must be text or a mapping, not {what}", VALUE_HINT)
    elif not value:
        yield Finding(path, "the value is empty", "remove it to leave the value unmanaged")
    elif known(value):
        size = len((value if isinstance(value, str) else compact(value)).encode())
        if size > MAX_VALUE:
            yield Finding(
                path,
                f"the value has {size} bytes, and the maximum is {MAX_VALUE}",
                "store it elsewhere, for example in S3, and its key here",
            )


def _deletion(props: Json) -> Iterator[Finding]:
    days = props.get("recoveryWindowInDays")
    if as_int(days) is not None and not 7 <= days <= 30:  # type: ignore[operator]
        hint = "forceDeleteWithoutRecovery: true deletes at once"
        yield Finding(("recoveryWindowInDays",), f"{days} days is not a recovery window: 7 to 30", hint)
    if days is not None and props.get("forceDeleteWithoutRecovery") is True:
        path = ("forceDeleteWithoutRecovery",)
        yield Finding(
            path, "forceDeleteWithoutRecovery and recoveryWindowInDays cannot be combined", "remove one of the two"
        )
