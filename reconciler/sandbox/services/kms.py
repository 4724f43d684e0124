"""KMS: the keys that AWS manages, which have an alias and are created on demand.

https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
"""

from __future__ import annotations

from reconciler.model.patterns import regex
from reconciler.sandbox.services._hooks import Account, Rules, ServiceCall
from reconciler.sandbox.services._moto import partition_of

RULES = Rules("kms")

_MANAGED = regex(r"(arn:[^:]+:kms:[^:]+:\d{12}:)?(?P<alias>alias/aws/[a-z0-9-]+)")


def key_arn(account: Account, region: str, name: str) -> str | None:
    """The ARN of the key with an id, an ARN or an alias; None if there is no such alias. Other keys need not exist."""
    backend = account.moto.backend("kms", region)
    if managed := _MANAGED.fullmatch(name):
        _ensure_managed(account, region, managed["alias"])
    alias = backend.get_alias_name(name)
    if not alias.startswith("alias/"):
        return name if name.startswith("arn:") else f"arn:{partition_of(region)}:kms:{region}:{account.id}:key/{name}"
    found = backend.get_key_id_from_alias(alias)
    return str(backend.keys[found].arn) if found else None


@RULES.before("DescribeKey")
def managed_keys_are_created_on_demand(call: ServiceCall) -> None:
    """An alias of AWS without a key is given one."""
    if managed := _MANAGED.fullmatch(call.params.get("KeyId", "")):
        _ensure_managed(call.account, call.region, managed["alias"])


def _ensure_managed(account: Account, region: str, alias: str) -> None:
    backend = account.moto.backend("kms", region)
    if backend.get_key_id_from_alias(alias) is None:
        key = backend.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "Managed by AWS", None)
        key.key_manager = "AWS"
        backend.create_alias(key.id, alias)
        account.moto.touched("kms", region)
