"""Secrets Manager: the recovery window, versions and their labels, descriptions that can be cleared.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
"""

from __future__ import annotations

import re
from typing import Any

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("secretsmanager")

_SCHEDULED = "You can't create this secret because a secret with this name is already scheduled for deletion."
_MARKED = "You can't perform this operation on the secret because it was marked for deletion."
_DAY = 86400


def _secret(call: ServiceCall, identifier: str) -> Any:
    """The secret by name, ARN, or ARN without its random end; None if it does not exist."""
    for secret in call.backend.secrets.values():
        if identifier in (secret.name, secret.arn, secret.arn[:-7]):
            return secret
    return None


@RULES.before(
    "CreateSecret", "DescribeSecret", "ListSecrets", "GetSecretValue", "PutSecretValue", "RestoreSecret", "DeleteSecret"
)
def expired_secrets_are_deleted(call: ServiceCall) -> None:
    """A secret no longer exists when its recovery window has ended."""
    for arn, due in list(call.regional.items()):
        secret = _secret(call, arn)
        if secret is None or not secret.is_deleted():
            del call.regional[arn]
        elif due <= call.now:
            del call.regional[arn]
            call.backend.secrets.pop(secret.name)
            call.touch()


@RULES.before("CreateSecret")
def names_are_unique(call: ServiceCall) -> None:
    """A name is in use until its secret no longer exists, recovery window included.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    """
    if not re.fullmatch(r"[A-Za-z0-9/_+=.@-]+", call.params["Name"]):
        allowed = "alphanumeric characters, or any of the following: -/_+=.@!"
        raise Refusal("ValidationException", f"Invalid name. Must be a valid name containing {allowed}")
    secret = _secret(call, call.params["Name"])
    if secret is not None and secret.is_deleted():
        raise Refusal("InvalidRequestException", _SCHEDULED)
    freed = call.memory.get(("forced", call.region, call.params["Name"]), float("-inf"))
    if call.now - freed < call.account.settings.forced_delete:
        raise Refusal("InvalidRequestException", _SCHEDULED)
    if secret is not None:
        message = f"The operation failed because the secret {call.params['Name']} already exists."
        raise Refusal("ResourceExistsException", message)


@RULES.before(
    "PutSecretValue",
    "UpdateSecret",
    "GetSecretValue",
    "TagResource",
    "UntagResource",
    "UpdateSecretVersionStage",
    "PutResourcePolicy",
    "RotateSecret",
)
def scheduled_secrets_are_refused(call: ServiceCall) -> None:
    """The value of a secret that is scheduled for deletion cannot be read, and nothing of it can be changed."""
    secret = _secret(call, call.params["SecretId"])
    if secret is not None and secret.is_deleted():
        raise Refusal("InvalidRequestException", _MARKED)


@RULES.before("CreateSecret", "TagResource")
def tags_are_checked(call: ServiceCall) -> None:
    """Tag keys that begin with ``aws:`` are refused."""
    if any(tag["Key"].lower().startswith("aws:") for tag in call.params.get("Tags") or []):
        raise Refusal("InvalidParameterException", "Tag keys that start with aws: are reserved for AWS use.")


@RULES.before("PutSecretValue", "CreateSecret")
def token_lengths_are_checked(call: ServiceCall) -> None:
    """A ClientRequestToken has 32 to 64 characters."""
    token = call.params.get("ClientRequestToken")
    if token is not None and not 32 <= len(token) <= 64:
        raise Refusal("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")


@RULES.before("PutSecretValue")
def a_version_is_written_once(call: ServiceCall) -> Json | None:
    """The same token and value change nothing, not even which version is current; another value is refused."""
    secret, token = _secret(call, call.params["SecretId"]), call.params.get("ClientRequestToken")
    version = secret.versions.get(token) if secret is not None and token else None
    if version is None:
        return None
    if any(call.params.get(key) != version.get(name) for key, name in (("SecretString", "secret_string"),)):
        message = "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s."
        raise Refusal("ResourceExistsException", message % (token, secret.arn))
    return {
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": token,
        "VersionStages": list(version.get("version_stages", [])),
    }


@RULES.before("DeleteSecret")
def deletion_is_scheduled(call: ServiceCall) -> Json | None:
    """In 7 to 30 days, or at once without recovery."""
    secret = _secret(call, call.params["SecretId"])
    forced = call.params.get("ForceDeleteWithoutRecovery", False)
    days = call.params.get("RecoveryWindowInDays")
    if forced and days is not None:
        message = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
        raise Refusal("InvalidParameterException", message)
    if days is not None and not 7 <= int(days) <= 30:
        message = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."
        raise Refusal("InvalidParameterException", message)
    if secret is None:
        return None
    if forced:
        call.memory["forced", call.region, secret.name] = call.now
        call.regional.pop(secret.arn, None)
    elif secret.is_deleted():
        raise Refusal("InvalidRequestException", _MARKED)
    else:
        call.regional[secret.arn] = call.now + _DAY * int(days or 30)
    return None


@RULES.after("DeleteSecret")
def deletion_dates_follow_the_clock(call: ServiceCall, result: Json) -> None:
    """The deletion date is a time on the sandbox clock."""
    secret = _secret(call, call.params["SecretId"])
    due = call.regional.get(result.get("ARN"))
    if secret is not None and due is not None:
        secret.deleted_date = due
        result["DeletionDate"] = due


@RULES.before("UpdateSecret")
def duplicate_tokens_are_refused(call: ServiceCall) -> None:
    """A token is the id of one version only."""
    secret, token = _secret(call, call.params["SecretId"]), call.params.get("ClientRequestToken")
    if secret is not None and token in secret.versions and "SecretString" in call.params:
        message = (
            f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret "
        )
        raise Refusal("ResourceExistsException", message + f"{secret.arn}.")


@RULES.before("UpdateSecret")
def update_secret_merges(call: ServiceCall) -> None:
    """Moto clears members that are left out: they are recorded here and restored afterwards."""
    secret = _secret(call, call.params["SecretId"])
    if secret is not None:
        described = call.params.get("Description", secret.description)
        call.memory["updating"] = (secret, described or None, secret.tags, secret.kms_key_id)


@RULES.after("UpdateSecret")
def empty_descriptions_clear(call: ServiceCall, _: Json) -> None:
    """An empty description or key removes the old one."""
    secret, description, tags, key = call.memory.pop("updating")
    secret.description = description
    secret.tags = tags
    asked = call.params.get("KmsKeyId")
    secret.kms_key_id = key if asked is None else asked or None


@RULES.after("DescribeSecret")
def only_labelled_versions_are_shown(_: ServiceCall, result: Json) -> None:
    """DescribeSecret shows versions with labels only."""
    _labelled(result, "VersionIdsToStages")


@RULES.after("ListSecrets")
def only_labelled_versions_are_listed(call: ServiceCall, result: Json) -> None:
    """So does ListSecrets, which leaves out scheduled secrets unless they are requested."""
    planned = call.params.get("IncludePlannedDeletion", False)
    result["SecretList"] = [one for one in result.get("SecretList", ()) if planned or "DeletedDate" not in one]
    for one in result["SecretList"]:
        _labelled(one, "SecretVersionsToStages")


def _labelled(shown: Json, name: str) -> None:
    versions = {version: stages for version, stages in (shown.pop(name, None) or {}).items() if stages}
    if versions:
        shown[name] = versions


@RULES.before("UpdateSecretVersionStage")
def a_label_moves(call: ServiceCall) -> Json | None:
    """The version with AWSCURRENT is the one that GetSecretValue returns; the one before gets AWSPREVIOUS."""
    secret = _secret(call, call.params["SecretId"])
    if secret is None:
        return None
    stage, to, source = (call.params.get(name) for name in ("VersionStage", "MoveToVersionId", "RemoveFromVersionId"))
    holder = next((key for key, one in secret.versions.items() if stage in one["version_stages"]), None)
    for version in (to, source):
        if version is not None and version not in secret.versions:
            raise Refusal(
                "ResourceNotFoundException", f"Secrets Manager can't find the specified secret version: {version}."
            )
    if source is not None and source != holder:
        message = f"The parameter RemoveFromVersionId can't be used: version {source} has no staging label {stage}."
        raise Refusal("InvalidParameterException", message)
    if to is not None and holder is not None and to != holder and source is None:
        message = (
            f"The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version "
        )
        raise Refusal("InvalidParameterException", f"{message}{holder}, so you must explicitly reference that version.")
    if to is None and stage == "AWSCURRENT":
        raise Refusal("InvalidParameterException", "You can only move staging label AWSCURRENT to a different version.")
    _move(secret, stage, holder, to)
    call.touch()
    return {"ARN": secret.arn, "Name": secret.name}


def _move(secret: Any, stage: Any, holder: str | None, to: str | None) -> None:
    if holder is not None:
        secret.versions[holder]["version_stages"] = [
            one for one in secret.versions[holder]["version_stages"] if one != stage
        ]
    if to is None:
        return
    if stage == "AWSCURRENT" and holder not in (None, to):
        for version in secret.versions.values():
            version["version_stages"] = [one for one in version["version_stages"] if one != "AWSPREVIOUS"]
        secret.versions[holder]["version_stages"].append("AWSPREVIOUS")
    stages = secret.versions[to]["version_stages"]
    secret.versions[to]["version_stages"] = [*(one for one in stages if one != stage), stage]
    if stage == "AWSCURRENT":
        secret.set_default_version_id(to)
