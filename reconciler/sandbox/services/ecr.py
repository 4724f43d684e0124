"""ECR: exclusion filters that are stored, keys that aliases name, tags that are checked, and digests of images.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from reconciler.sandbox.services._documents import missing_principal, parsed
from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.services.kms import key_arn
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ecr")

_FILTERS = "imageTagMutabilityExclusionFilters"


@RULES.before("CreateRepository", "TagResource")
def tags_are_checked(call: ServiceCall) -> None:
    """Tag keys that begin with ``aws:``, and more than 50 tags, are refused."""
    tags = call.params.get("tags") or []
    if any(tag["Key"].lower().startswith("aws:") for tag in tags):
        message = (
            "Invalid parameter at 'tags' failed to satisfy constraint: 'aws: prefixed tag key names are not allowed'"
        )
        raise Refusal("InvalidParameterException", message)
    if len(tags) > 50:
        raise Refusal("TooManyTagsException", "The number of tags exceeds the limit of 50.")


@RULES.before("DescribePullThroughCacheRules")
def nothing_is_pulled_through(_: ServiceCall) -> Json:
    """There are no caches: they cannot be made here."""
    return {"pullThroughCacheRules": []}


@RULES.before("PutLifecyclePolicy")
def lifecycle_policies_are_limited(call: ServiceCall) -> None:
    """At most 50 rules and 30,720 characters, and tags only with the status tagged, in one of two lists.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
    """
    text = call.params["lifecyclePolicyText"]
    _require_length(text, 30720, "lifecyclePolicyText")
    try:
        rules = json.loads(text)["rules"]
        selections = [rule["selection"] for rule in rules]
    except (ValueError, KeyError, TypeError):
        return  # moto refuses it
    failure = (
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure"
    )
    if len(rules) > 50:
        raise Refusal("InvalidParameterException", f"{failure}: array is too long: must have at most 50 elements'")
    for selection in selections:
        lists = [name for name in ("tagPrefixList", "tagPatternList") if selection.get(name)]
        if len(lists) > 1 or (lists and selection.get("tagStatus") != "tagged"):
            message = f"{failure}: instance failed to match exactly one schema (matched 0 out of 2)'"
            raise Refusal("InvalidParameterException", message)


@RULES.before("SetRepositoryPolicy")
def repository_policies_are_limited(call: ServiceCall) -> None:
    """At most 10,240 characters."""
    _require_length(call.params["policyText"], 10240, "policyText")


def _require_length(text: str, most: int, name: str) -> None:
    if len(text) > most:
        limit = f"'Member must have length less than or equal to {most}'"
        raise Refusal(
            "InvalidParameterException", f"Invalid parameter at '{name}' failed to satisfy constraint: {limit}"
        )


@RULES.before("CreateRepository", "PutImageTagMutability")
def exclusions_need_their_mode(call: ServiceCall) -> None:
    """Exclusion filters, at most five, are required with a mode WITH_EXCLUSION and refused with others."""
    excluding = str(call.params.get("imageTagMutability", "")).endswith("_WITH_EXCLUSION")
    filters = call.params.get(_FILTERS)
    if excluding != bool(filters) or len(filters or ()) > 5:
        message = "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint"
        raise Refusal("InvalidParameterException", message)


@RULES.before("CreateRepository")
def aliases_become_keys(call: ServiceCall) -> None:
    """ECR keeps the key that an alias names now, and with KMS alone the key that AWS manages for it."""
    encryption = call.params.get("encryptionConfiguration") or {}
    if encryption.get("encryptionType", "AES256") == "AES256":
        return
    arn = key_arn(call.account, call.region, encryption.get("kmsKey") or "alias/aws/ecr")
    if arn is None:
        message = f"Alias {encryption['kmsKey']} is not found."
        raise Refusal("KmsException", message)
    call.rewrite(encryptionConfiguration={**encryption, "kmsKey": arn})


@RULES.after("CreateRepository", "PutImageTagMutability")
def exclusions_are_stored(call: ServiceCall, result: Json) -> None:
    """Moto has no place for exclusion filters."""
    name = call.params["repositoryName"]
    filters = call.params.get(_FILTERS)
    call.regional[name] = filters
    shown = result.get("repository", result)
    if filters:
        shown[_FILTERS] = filters


@RULES.after("CreateRepository", "DescribeRepositories", "DeleteRepository")
def uris_end_as_the_domains_of_the_partition(call: ServiceCall, result: Json) -> None:
    """In China, the domains of AWS end in ``amazonaws.com.cn``; moto has one for all partitions.

    https://docs.amazonaws.cn/en_us/aws/latest/userguide/endpoints-Beijing.html
    """
    if call.partition == "aws-cn":
        for shown in [result["repository"]] if "repository" in result else result.get("repositories", ()):
            shown["repositoryUri"] = re.sub(r"\.amazonaws\.com/", ".amazonaws.com.cn/", shown["repositoryUri"])


@RULES.before("SetRepositoryPolicy")
def principals_exist(call: ServiceCall) -> None:
    """A repository policy whose principal does not exist is refused.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html
    """
    try:
        document = parsed(call.params["policyText"])
    except Refusal:
        return  # moto refuses it, as ECR does
    if missing_principal(call, document):
        message = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
        raise Refusal("InvalidParameterException", message)


@RULES.after("DeleteRepository")
def exclusions_are_deleted_with_the_repository(call: ServiceCall, _: Json) -> None:
    """A new repository of the same name has none."""
    call.regional.pop(call.params["repositoryName"], None)


@RULES.after("DescribeRepositories")
def exclusions_are_shown(call: ServiceCall, result: Json) -> None:
    """DescribeRepositories returns the stored exclusion filters."""
    for shown in result.get("repositories", ()):
        filters = call.regional.get(shown["repositoryName"])
        if filters:
            shown[_FILTERS] = filters


@RULES.before("PutImage")
def digests_are_of_manifests(call: ServiceCall) -> None:
    """The digest of an image is that of its manifest; moto has the same one for all images with the same layers.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
    """
    digest = f"sha256:{hashlib.sha256(call.params['imageManifest'].encode()).hexdigest()}"
    given = call.params.get("imageDigest", digest)
    if given != digest:
        message = f"The digest {given} does not match the one calculated for the image: {digest}"
        raise Refusal("ImageDigestDoesNotMatchException", message)
    name = call.params["repositoryName"]
    if name not in call.backend.repositories:
        message = f"The repository with name '{name}' does not exist in the registry with id '{call.account.id}'"
        raise Refusal("RepositoryNotFoundException", message)
    call.rewrite(imageDigest=digest)
    call.memory["pushing"] = list(_images(call))


@RULES.after("PutImage")
def an_image_outlives_its_tag(call: ServiceCall, _: Json) -> None:
    """An image whose tag moves to another one remains, without a tag; moto deletes it."""
    there = _images(call)
    untagged = [image for image in call.memory.pop("pushing") if image not in there]
    for image in untagged:
        image.remove_tag(call.params.get("imageTag"))
    there += untagged


def _images(call: ServiceCall) -> list[Any]:
    images: list[Any] = call.backend.repositories[call.params["repositoryName"]].images
    return images
