"""ECR: exclusion filters that are stored, and tags that are checked.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
"""

from __future__ import annotations

from reconciler.sandbox.services._documents import missing_principal, parsed
from reconciler.sandbox.services._hooks import Rules, ServiceCall
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


@RULES.before("CreateRepository", "PutImageTagMutability")
def exclusions_need_their_mode(call: ServiceCall) -> None:
    """Exclusion filters, at most five, are required with a mode WITH_EXCLUSION and refused with others."""
    excluding = str(call.params.get("imageTagMutability", "")).endswith("_WITH_EXCLUSION")
    filters = call.params.get(_FILTERS)
    if excluding != bool(filters) or len(filters or ()) > 5:
        message = "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint"
        raise Refusal("InvalidParameterException", message)


@RULES.after("CreateRepository", "PutImageTagMutability")
def exclusions_are_stored(call: ServiceCall, result: Json) -> None:
    """Moto has no place for exclusion filters."""
    name = call.params["repositoryName"]
    filters = call.params.get(_FILTERS)
    call.regional[name] = filters
    shown = result.get("repository", result)
    if filters:
        shown[_FILTERS] = filters


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
