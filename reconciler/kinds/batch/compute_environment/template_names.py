"""A launch template's id and its name, which mean the same template: AWS Batch describes whichever it was given.

Other tools give the id, people write the name. Where the two sides differ in that, the template of the live environment
is looked up, so that only another template counts as a change: it replaces the instances, or the whole environment.

https://docs.aws.amazon.com/batch/latest/APIReference/API_LaunchTemplateSpecification.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.replies import chunks, ok
from reconciler.model import EMPTY, Call, Json, Live, Query, Reads

ID: Final = "launchTemplateId"
NAME: Final = "launchTemplateName"
#: The member of ``Live.extra`` with ``{id or name: {launchTemplateId: …, launchTemplateName: …}}``.
BOTH: Final = "launchTemplates"

OPERATION: Final = "DescribeLaunchTemplates"
_ABSENT = ("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.Malformed")


def _template(props: Json) -> Json:
    return mapping(mapping(props.get("computeResources")).get("launchTemplate"))


def _every(template: Json) -> Iterator[Json]:
    yield from (template, *map(mapping, items(template.get("overrides"))))


def _members(template: Json) -> list[set[str]]:
    """Which of the two members are given, by template."""
    return [{member for member in (ID, NAME) if one.get(member)} for one in _every(template)]


def with_both(lives: Sequence[Live], query: Query) -> Reads[list[Live]]:
    """The environments, with id and name of their templates where they are declared by the other one."""
    declared = {name: _template(one.props) for one in query.sought for name in (one.name, one.logical) if name}
    differing: list[Json] = []
    for live in lives:
        template, asked = _template(live.props), declared.get(live.physical) or declared.get(live.logical) or EMPTY
        given, alone = set().union(*_members(asked)), [one for one in _members(template) if len(one) == 1]
        if given and alone and set().union(*alone) != given:
            differing += [template, asked]
    if not differing:
        return list(lives)
    known = yield from _both(_given(differing, NAME), _given(differing[::2], ID))
    return [replace(live, extra={**live.extra, BOTH: known}) for live in lives]


def _given(templates: Sequence[Json], member: str) -> list[str]:
    found = {one[member] for template in templates for one in _every(template) if isinstance(one.get(member), str)}
    return sorted(found - {""})


def _both(names: Sequence[str], ids: Sequence[str]) -> Reads[dict[str, Json]]:
    """Id and name of the templates with these names, and of those with these ids that have none of the names.

    A name that no template has is no error in a filter, and one call has up to 200.
    """
    known: dict[str, Json] = {}
    by_name = ({"Filters": [{"Name": "launch-template-name", "Values": list(some)}]} for some in chunks(names, 200))
    yield from _learn([Call("ec2", OPERATION, params, all_pages=True) for params in by_name], known)
    yield from _learn([Call("ec2", OPERATION, {"LaunchTemplateIds": [one]}) for one in ids if one not in known], known)
    return known


def _learn(calls: Sequence[Call], known: dict[str, Json]) -> Reads[None]:
    replies = (yield tuple(calls)) if calls else ()
    for call, reply in zip(calls, replies, strict=True):
        for item in (ok(call, reply, *_ABSENT) or {}).get("LaunchTemplates", ()):
            both = {ID: item["LaunchTemplateId"], NAME: item["LaunchTemplateName"]}
            known |= dict.fromkeys(both.values(), both)


def as_declared(live: Live, template: Json, asked: Json) -> dict[str, Any]:
    """The live ``launchTemplate`` with the id or the name, whichever is declared for the same template."""
    known: Mapping[str, Json] = live.extra.get(BOTH) or {}
    done = _named_as(template, [asked], known)
    if isinstance(template.get("overrides"), list | tuple):
        wanted = [mapping(one) for one in items(asked.get("overrides"))]
        done["overrides"] = [
            _named_as(one, [other for other in wanted if _types(other) == _types(one)] or wanted, known)
            if isinstance(one, Mapping)
            else one
            for one in template["overrides"]
        ]
    return done


def _types(override: Json) -> list[str]:
    return sorted(map(str, items(override.get("targetInstanceTypes"))))


def _named_as(template: Json, asked: Sequence[Json], known: Mapping[str, Json]) -> dict[str, Any]:
    """``template`` with the member by which one of ``asked`` names the same one; unchanged if none does."""
    given = {member: template[member] for member in (ID, NAME) if template.get(member)}
    both = next((known[value] for value in given.values() if value in known), given)
    for other in asked:
        for member in (ID, NAME):
            if other.get(member) and other[member] == both.get(member):
                rest = {name: value for name, value in template.items() if name not in (ID, NAME)}
                return {member: both[member], **rest}
    for other in asked[:1]:  # another template: one of the two members is enough to say so
        for member, second in ((ID, NAME), (NAME, ID)):
            if other.get(member) and not other.get(second) and template.get(member):
                return {name: value for name, value in template.items() if name != second}
    return dict(template)
