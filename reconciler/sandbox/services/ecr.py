"""ECR: exclusion filters that are stored, and tags that are checked.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
"""

from __future__ import annotations

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ecr")

_FILTERS = "imageTagMutabilityExclusionFilters"


@RULES.before("CreateRepository", "TagResource")
def tags_are_checked(ask: ServiceCall) -> None:
    tags = ask.params.get("tags") or []
    if any(tag["Key"].lower().startswith("aws:") for tag in tags):
        told = "Invalid parameter at 'tags' failed to satisfy constraint: 'aws: prefixed tag key names are not allowed'"
        raise Refusal("InvalidParameterException", told)
    if len(tags) > 50:
        raise Refusal("TooManyTagsException", "The number of tags exceeds the limit of 50.")


@RULES.before("CreateRepository", "PutImageTagMutability")
def exclusions_need_their_mode(ask: ServiceCall) -> None:
    excluding = str(ask.params.get("imageTagMutability", "")).endswith("_WITH_EXCLUSION")
    filters = ask.params.get(_FILTERS)
    if excluding != bool(filters) or len(filters or ()) > 5:
        told = "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint"
        raise Refusal("InvalidParameterException", told)


@RULES.after("CreateRepository", "PutImageTagMutability")
def exclusions_are_stored(ask: ServiceCall, result: Json) -> None:
    name = ask.params["repositoryName"]
    filters = ask.params.get(_FILTERS)
    ask.regional[name] = filters
    shown = result.get("repository", result)
    if filters:
        shown[_FILTERS] = filters


@RULES.after("DeleteRepository")
def exclusions_go_with_the_repository(ask: ServiceCall, _: Json) -> None:
    ask.regional.pop(ask.params["repositoryName"], None)


@RULES.after("DescribeRepositories")
def exclusions_are_shown(ask: ServiceCall, result: Json) -> None:
    for shown in result.get("repositories", ()):
        filters = ask.regional.get(shown["repositoryName"])
        if filters:
            shown[_FILTERS] = filters
