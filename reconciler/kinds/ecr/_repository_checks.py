"""What ECR refuses in a declared repository, as far as this can be decided offline.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.common.declared import as_int, as_text, at, entries, is_given, mapping
from reconciler.kinds.common.policy_document import checks
from reconciler.kinds.common.policy_document.document import why_unparsed
from reconciler.model import Finding, Json, Path, compact
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import near
from reconciler.model.stand_ins import known

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME = regex(rf"{_PART}(?:/{_PART})*")
NAME_HINT = "2 to 256 of lower-case letters, digits and - _ . /, starting and ending with a letter or digit"
FILTER = regex(r"[0-9a-zA-Z._*-]{1,128}")
RULE_MEMBERS = ("rulePriority", "description", "selection", "action")
STATUSES = ("tagged", "untagged", "any")
ACTIONS = ("expire", "transition")
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
MAX_RULES = 50
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutLifecyclePolicy.html, API_SetRepositoryPolicy.html
MAX_LIFECYCLE, MAX_POLICY = 30720, 10240
COUNTS = ("imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned")


def check(name: str, props: Json) -> Iterator[Finding]:
    """Findings about name, settings and the two documents; an expression is accepted wherever its value is unknown."""
    if not (2 <= len(name) <= 256 and NAME.fullmatch(name)):
        lower = name.lower()
        hint = f'did you mean "{lower}"?' if lower != name and NAME.fullmatch(lower) else NAME_HINT
        yield Finding((), f'"{name}" is not a repository name', hint)
    if found := re.match(r"\d{12}\.dkr\.ecr\.[^/]+/(.+)", name):
        hint = f'did you mean "{found[1]}"?'
        yield Finding((), "the name contains the registry; give only the part after it", hint)
    yield from _mutability(props)
    encryption = mapping(props.get("encryptionConfiguration"))
    if is_given(encryption.get("kmsKey")) and encryption.get("encryptionType", "AES256") == "AES256":
        path = ("encryptionConfiguration", "kmsKey")
        yield Finding(path, "kmsKey is only valid with encryptionType KMS or KMS_DSSE", "encryptionType: KMS")
    if "repositoryPolicy" in props and is_given(props["repositoryPolicy"]):
        yield from checks.findings(props["repositoryPolicy"], "resource", ("repositoryPolicy",))
        yield from _repository_policy(props["repositoryPolicy"], ("repositoryPolicy",))
        yield from _size(props["repositoryPolicy"], MAX_POLICY, ("repositoryPolicy",))
    if is_given(props.get("lifecyclePolicy")):
        yield from _lifecycle(props["lifecyclePolicy"], ("lifecyclePolicy",))
        yield from _size(props["lifecyclePolicy"], MAX_LIFECYCLE, ("lifecyclePolicy",))


def _size(document: Any, most: int, path: Path) -> Iterator[Finding]:
    """The finding about a document that is longer, as it is sent, than the service accepts."""
    text = compact(document) if isinstance(document, Mapping) and known(document) else as_text(document)
    if text and len(text) > most:
        message = f"the document has {len(text)} characters, and the maximum is {most}"
        yield Finding(path, message, "shorten it", code=codes.OUT_OF_RANGE)


def _repository_policy(policy: Any, path: Path) -> Iterator[Finding]:
    """What only repository policies refuse.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policies.html
    """
    several = at(policy, "Statement")
    for index, statement in entries(several if isinstance(several, list) else [several]):
        here: Path = (*path, "Statement", index) if isinstance(several, list) else (*path, "Statement")
        for name in ("Resource", "NotResource"):
            if name in statement:
                hint = "remove it: the policy applies to its repository"
                yield Finding((*here, name), f"a repository policy has no {name}", hint)
        actions = statement.get("Action")
        for number, action in enumerate(actions if isinstance(actions, list) else [actions]):
            if isinstance(action, str) and ":" in action and not action.lower().startswith("ecr:"):
                place: Path = (*here, "Action", number) if isinstance(actions, list) else (*here, "Action")
                yield Finding(
                    place, f'a repository policy allows ecr: actions only, not "{action}"', "e.g. ecr:BatchGetImage"
                )


def _mutability(props: Json) -> Iterator[Finding]:
    path = "imageTagMutabilityExclusionFilters"
    filters, mutability = props.get(path), props.get("imageTagMutability", "MUTABLE")
    if isinstance(mutability, str):
        excluding = mutability.endswith("_WITH_EXCLUSION")
        if is_given(filters) and not excluding:
            hint = f"imageTagMutability: {mutability}_WITH_EXCLUSION"
            yield Finding((path,), f"exclusion filters are not valid with {mutability}", hint)
        if excluding and not is_given(filters):
            hint = f"{path}: [{{filterType: WILDCARD, filter: latest}}]"
            yield Finding(("imageTagMutability",), f"{mutability} needs exclusion filters", hint)
    if isinstance(filters, list | tuple) and len(filters) > 5:
        yield Finding((path,), f"{len(filters)} exclusion filters, and the maximum is 5", "remove some")
    for index, item in entries(filters):
        value = as_text(item.get("filter"))
        if value is not None and not (FILTER.fullmatch(value) and value.count("*") <= 2):
            hint = "1 to 128 of letters, digits and . _ * -, with at most two wildcards"
            yield Finding((path, index, "filter"), f'"{value}" is not a tag filter', hint)


def _lifecycle(policy: Any, path: Path) -> Iterator[Finding]:
    if not isinstance(policy, Mapping):
        if known(policy):
            why = f": {why_unparsed(policy)}" if isinstance(policy, str) else ""
            yield Finding(path, f"invalid JSON{why}", "write a mapping, JSON text or ${file:...}")
        return
    rules = policy.get("rules")
    extra = [name for name in policy if name != "rules"]
    if extra or not is_given(rules):
        hint = "lifecyclePolicy: {rules: [{rulePriority: 1, selection: {...}, action: {type: expire}}]}"
        what = f'a lifecycle policy has no member "{extra[0]}"' if extra else "the lifecycle policy has no rules"
        yield Finding((*path, extra[0]) if extra else path, what, hint)
        return
    if isinstance(rules, list | tuple) and len(rules) > MAX_RULES:
        message = f"{len(rules)} lifecycle rules, and the maximum is {MAX_RULES}"
        yield Finding((*path, "rules"), message, "merge some", code=codes.OUT_OF_RANGE)
    yield from _any_last(rules, path)
    priorities: set[int] = set()
    for index, rule in entries(rules):
        here = (*path, "rules", index)
        yield from _rule(rule, here)
        priority = as_int(rule.get("rulePriority"))
        if priority is not None and priority in priorities:
            yield Finding((*here, "rulePriority"), f"two rules have priority {priority}", "each needs its own")
        priorities |= set() if priority is None else {priority}


def _any_last(rules: Any, path: Path) -> Iterator[Finding]:
    numbers = [(as_int(rule.get("rulePriority")), index, rule) for index, rule in entries(rules)]
    last = max((number for number, _, _ in numbers if number is not None), default=0)
    for number, index, rule in numbers:
        if number is not None and number < last and at(rule, "selection", "tagStatus") == "any":
            message = f"the rule for any tag must have the highest priority number: {number} is below {last}"
            yield Finding((*path, "rules", index, "rulePriority"), message, "change rulePriority")


def _rule(rule: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    for name in rule:
        if name not in RULE_MEMBERS:
            meant = near(str(name), RULE_MEMBERS)
            hint = f'did you mean "{meant}"?' if meant else f"one of {', '.join(RULE_MEMBERS)}"
            yield Finding(
                (*path, str(name)), f'a lifecycle rule has no member "{name}"', hint, code=codes.UNKNOWN_FIELD
            )
    priority = rule.get("rulePriority")
    if priority is None:
        yield Finding(path, "the rule has no rulePriority", "rulePriority: 1", code=codes.MISSING_FIELD)
    elif known(priority) and (as_int(priority) is None or priority < 1):
        yield Finding((*path, "rulePriority"), f"{priority} is not a priority", "a whole number from 1")
    action = at(rule, "action", "type")
    if action is None:
        yield Finding(path, "the rule has no action", "action: {type: expire}", code=codes.MISSING_FIELD)
    elif isinstance(action, str) and action not in ACTIONS:
        yield Finding((*path, "action", "type"), f'"{action}" is not an action', "to delete images write expire")
    if not isinstance(rule.get("selection"), Mapping):
        if known(rule.get("selection")):
            hint = "selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: 10}"
            yield Finding(path, "the rule has no selection", hint, code=codes.MISSING_FIELD)
        return
    yield from _selection(rule["selection"], (*path, "selection"))


def _selection(selection: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    for name, allowed in (("tagStatus", STATUSES), ("countType", COUNTS)):
        value = selection.get(name)
        if value is None:
            yield Finding(
                path, f"the selection has no {name}", f"one of {', '.join(allowed)}", code=codes.MISSING_FIELD
            )
        elif isinstance(value, str) and value not in allowed:
            meant = near(value, allowed)
            hint = f'did you mean "{meant}"?' if meant else f"one of {', '.join(allowed)}"
            yield Finding((*path, name), f'"{value}" is not a {name}', hint)
    if selection.get("countNumber") is None:
        yield Finding(path, "the selection has no countNumber", "countNumber: 10", code=codes.MISSING_FIELD)
    number, unit = selection.get("countNumber"), selection.get("countUnit")
    if number is not None and known(number) and (as_int(number) is None or number < 1):
        yield Finding(
            (*path, "countNumber"), f"{number!r} is not a number from 1", "without quotes, as in countNumber: 10"
        )
    if isinstance(unit, str) and unit != "days":
        yield Finding((*path, "countUnit"), f'"{unit}" is not a unit', "days is the only one")
    elif is_given(unit) and selection.get("countType") == "imageCountMoreThan":
        yield Finding((*path, "countUnit"), "countUnit is not valid with imageCountMoreThan", "remove it")
    yield from _selected_tags(selection, path)
    if str(selection.get("countType", "")).startswith("since") and not is_given(selection.get("countUnit")):
        yield Finding(path, "counting by age needs a unit", "countUnit: days", code=codes.MISSING_FIELD)


def _selected_tags(selection: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    lists = [name for name in ("tagPrefixList", "tagPatternList") if is_given(selection.get(name))]
    if len(lists) > 1:
        yield Finding((*path, lists[1]), "tagPrefixList and tagPatternList cannot be combined", "keep one")
    if lists and selection.get("tagStatus") in ("untagged", "any"):
        message = f"{lists[0]} is only valid with tagStatus: tagged"
        yield Finding((*path, lists[0]), message, "remove it, or set tagStatus: tagged", code=codes.NOT_APPLICABLE)
    if selection.get("tagStatus") == "tagged" and not lists:
        hint = 'tagPatternList: ["*"], or tagPrefixList'
        yield Finding(path, "a selection of tagged images needs the tags", hint, code=codes.MISSING_FIELD)
