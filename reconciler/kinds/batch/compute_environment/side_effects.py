"""What a change of a compute environment does to running jobs, launch template versions and images.

An infrastructure update resolves ``$Latest`` and ``$Default`` again, whether or not it names the template, and gives
running jobs the time of the update policy. Batch does not report which version the running instances started from.

https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_LaunchTemplateSpecification.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdatePolicy.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.batch.compute_environment import effects, images, launch_template
from reconciler.kinds.batch.compute_environment.images import RESOURCES
from reconciler.kinds.common.declared import as_text, at, entries, mapping
from reconciler.model import (
    Address,
    Call,
    Declared,
    Diff,
    Disruption,
    Effect,
    Finding,
    Json,
    Lifecycle,
    Live,
    Path,
    Reads,
    Refused,
    Replace,
    Reply,
    Verb,
    Want,
)
from reconciler.model import problem_codes as codes
from reconciler.model.records import dataclass

UPDATE_POLICY = {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 30}
MOVING = launch_template.MOVING
_READ = "ec2:DescribeLaunchTemplateVersions"


def update_policy(want: Want) -> dict[str, Any]:
    """The update policy with its defaults; a changed one is sent with the update, and applies to it."""
    return {**UPDATE_POLICY, **mapping(want.props.get("updatePolicy"))}


def replaces_instances(diff: Diff) -> bool:
    """Whether the instances are replaced in place."""
    return any(change.effect is Effect.INFRASTRUCTURE for change in diff.changes)


# --- jobs ------------------------------------------------------------------------------------------------------------


def disruption(want: Want, diff: Diff, *, drains: bool) -> str:
    """What the change does to running jobs, and for how long.

    ``drains``: whether AWS shows when the jobs on a replaced environment have ended, so that they are waited for.
    """
    if diff.replaces:
        return _replaced(want.lifecycle, drains=drains)
    if replaces_instances(diff):
        chosen = update_policy(want)
        if chosen["terminateJobsOnUpdate"]:
            return Disruption(
                "instances are replaced: running jobs are terminated immediately (terminateJobsOnUpdate), and retried"
                " if their retry strategy allows it"
            )
        minutes = chosen["jobExecutionTimeoutMinutes"]
        return Disruption(
            f"instances are replaced: running jobs may continue for {minutes} minutes, then they are terminated, and"
            " retried if their retry strategy allows it"
        )
    if diff.under("state") and want.props.get("state") == "DISABLED":
        return Disruption("no new jobs are started on it; running jobs continue")
    return "not affected"


def deletion_effect(lifecycle: Lifecycle | None, *, drains: bool) -> str:
    """What a deletion does to the jobs on the environment. They are not waited for without a lifecycle."""
    if lifecycle is None or not drains:
        return Disruption("jobs still running on it are terminated when it is deleted")
    return Disruption(f"no new jobs are started on it; {_drain_text(lifecycle, 'those still running')}")


def _drain_text(lifecycle: Lifecycle, left: str) -> str:
    minutes = lifecycle.drain_timeout_minutes
    if lifecycle.drain == "terminate":
        return f"{left} may continue for {minutes} minutes, then they are terminated (drain: terminate)"
    return (
        f"apply waits up to {minutes} minutes for {left}; if they have not ended, it is kept until the next apply"
        " (drain: wait)"
    )


def _replaced(lifecycle: Lifecycle, *, drains: bool) -> str:
    first = "the queues move to a new environment first"
    if lifecycle.replace is Replace.DELETE_FIRST:
        first = "the old environment is deleted first; its queues cannot run jobs until the new one is VALID"
    left = "jobs still running on the old one"
    return Disruption(
        f"{first}; {_drain_text(lifecycle, left) if drains else f'{left} are terminated when it is deleted'}"
    )


# --- launch templates and images -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Template:
    """A declared launch template (``ask``, at ``path``) and the version that EC2 resolves it to, or its refusal."""

    path: Path
    ask: Json
    found: Json | Refused

    @property
    def name(self) -> str:
        known = mapping(self.found).get("LaunchTemplateName")
        return str(known or self.ask.get("launchTemplateName") or self.ask.get("launchTemplateId"))

    @property
    def version(self) -> str:
        return str(self.ask.get("version") or "$Default")

    @property
    def number(self) -> str:
        return str(mapping(self.found).get("VersionNumber") or "")

    @property
    def image(self) -> str:
        return as_text(at(self.found, "LaunchTemplateData", "ImageId")) or ""

    @property
    def address(self) -> Address:
        return Address("launchTemplates", self.name)


def side_effects(
    live: Live, want: Want, diff: Diff, changing: Mapping[Address, Verb], declared: Declared
) -> Reads[Sequence[Finding]]:
    """Notes about the template versions and images of new instances; reads EC2 only if the change starts some.

    An error is returned if ``--refresh-images`` cannot change the image. ``changing`` are the addresses that the plan
    changes.
    """
    fresh = diff.replaces or replaces_instances(diff)
    if effects.family(want.props) != effects.INSTANCES:
        return ()
    if not fresh:
        return tuple(_left_behind(live, want.address, changing, declared))
    resources = mapping(want.props.get(RESOURCES))
    asked = list(_templates(resources))
    calls = tuple(_version(ask) for _, ask in asked)
    replies = (yield calls) if calls else ()
    templates = [_Template(path, ask, _first(reply)) for (path, ask), reply in zip(asked, replies, strict=True)]
    fixed = _fixed_image(resources, templates, diff)
    if fixed:
        return (fixed,)
    lines = [
        *(_resolved(template, live, changing) for template in templates if template.version in MOVING),
        *_images(live, want, diff, templates),
    ]
    moves = tuple(Finding((), line, warning=True) for line in lines)
    if images.already_latest(live) and _refreshed(diff):
        line = "its instances already start from the latest images, according to AWS Batch"
        return (*moves, Finding((), line, code=codes.ADVICE, warning=True))
    return moves


def _left_behind(
    live: Live, address: Address, changing: Mapping[Address, Verb], declared: Declared
) -> Iterator[Finding]:
    """Notes about declared templates that change, and whose new versions never reach the environment."""
    environment = declared.resources.get(address)
    why = launch_template.why_fixed(live.props)
    if environment is None or not why:
        return
    for _, template, version in launch_template.followed(environment.props, declared):
        if changing.get(template.address) is Verb.UPDATE:
            note = (
                f"launch template {template.address.name} changes, and {why} a new version never reaches this"
                f" environment: {version} is resolved only when it is created; replace it with --replace {address}"
            )
            yield Finding((), note, code=codes.ADVICE, warning=True)


def _templates(resources: Json) -> Iterator[tuple[Path, Json]]:
    """Every declared template with a known name or id, and its path."""
    path: Path = (RESOURCES, "launchTemplate")
    template = mapping(resources.get("launchTemplate"))
    every = [(path, template), *(((*path, "overrides", i), item) for i, item in entries(template.get("overrides")))]
    for place, ask in every:
        named = as_text(ask.get("launchTemplateId")) or as_text(ask.get("launchTemplateName"))
        if named and (ask.get("version") is None or as_text(ask["version"]) is not None):
            yield place, ask


def _version(ask: Json) -> Call:
    by_id = as_text(ask.get("launchTemplateId"))
    which = {"LaunchTemplateId": by_id} if by_id else {"LaunchTemplateName": ask["launchTemplateName"]}
    return Call("ec2", "DescribeLaunchTemplateVersions", {**which, "Versions": [ask.get("version") or "$Default"]})


def _first(reply: Reply) -> Json | Refused:
    if isinstance(reply, Refused):
        return reply
    found: Sequence[Json] = reply.get("LaunchTemplateVersions") or ({},)
    return found[0]


def _resolved(template: _Template, live: Live, changing: Mapping[Address, Verb]) -> str:
    """What ``$Latest`` or ``$Default`` resolves to, from which version if that is known."""
    again = f"launch template {template.name}: {template.version} is resolved again"
    if template.address in changing:
        before = f" (now {template.number})" if template.number else ""
        return f"{again}, to the version that this plan creates{before}"
    if isinstance(template.found, Refused):
        return f"{again}; the version is unknown: {_READ} was refused ({template.found.code})"
    current = mapping(at(live.props, RESOURCES, "launchTemplate"))
    same = template.name == current.get("launchTemplateName") or (
        current.get("launchTemplateId") == template.found.get("LaunchTemplateId")
    )
    before = str(current.get("version") or "")
    if template.path[-1] == "launchTemplate" and same and before.isdigit():
        return f"{again}, from version {before} to version {template.number}"
    return f"{again}, to version {template.number}; AWS does not report which version its instances started from"


def _fixed_image(resources: Json, templates: Sequence[_Template], diff: Diff) -> Finding | None:
    """The finding about ``--refresh-images`` if a numbered version of the launch template sets the image."""
    main = next((one for one in templates if one.path[-1] == "launchTemplate"), None)
    if not _refreshed(diff) or main is None or not main.image or main.version in MOVING:
        return None
    if not images.chosen_by_aws(resources) and resources.get(images.IMAGES):
        return None
    if diff.under(RESOURCES, "launchTemplate"):
        return None
    how = f"version {main.version} of launch template {main.name} sets {main.image}"
    hint = "create a version with a newer image, or without one, and use that"
    return images.pinned((*main.path, "version"), how, hint)


def _images(live: Live, want: Want, diff: Diff, templates: Sequence[_Template]) -> Iterator[str]:
    """Notes about the images of new instances, in AWS Batch's order of precedence.

    https://docs.aws.amazon.com/batch/latest/userguide/ami-selection-order.html
    """
    resources = mapping(want.props.get(RESOURCES))
    for template in templates:
        if template.image and template.path[-1] != "launchTemplate":
            types = ", ".join(map(str, template.ask.get("targetInstanceTypes") or ()))
            yield f"{types}: new instances start from {template.image} (set by launch template {template.name})"
    if resources.get("imageId"):
        yield f"new instances start from {resources['imageId']} (set by imageId)"
        return
    filled = None if diff.under(RESOURCES, images.IMAGES) else at(live.props, RESOURCES, images.IMAGES)
    listed = [item for _, item in entries(resources.get(images.IMAGES) or filled)]
    for item in listed:
        if item.get("imageIdOverride"):
            kind, image = item.get("imageType"), item["imageIdOverride"]
            yield f"{kind}: new instances start from {image} (set by imageIdOverride)"
    open_types = [str(item.get("imageType")) for item in listed if not item.get("imageIdOverride")]
    main = next((one for one in templates if one.path[-1] == "launchTemplate" and one.image), None)
    if open_types or not listed:
        yield from (
            [_template_image_note(main, want, diff)] if main else _batch_image_notes(live, want, diff, open_types)
        )


def _takes_latest(want: Want, diff: Diff) -> bool:
    return _refreshed(diff) or diff.replaces or images.wants_latest(want)


def _refreshed(diff: Diff) -> bool:
    """Whether the change is the one of ``--refresh-images``."""
    return diff.under(RESOURCES, images.LATEST)


def _template_image_note(template: _Template, want: Want, diff: Diff) -> str:
    note = f"new instances start from {template.image} (set by launch template {template.name})"
    if _takes_latest(want, diff):
        return note
    return f"{note}; AWS uses a changed image only with --refresh-images {want.address}"


def _batch_image_notes(live: Live, want: Want, diff: Diff, types: Sequence[str]) -> Iterator[str]:
    known = {item.get("imageType") for _, item in entries(at(live.props, RESOURCES, images.IMAGES))}
    kept = [] if _takes_latest(want, diff) else [one for one in types if one in known]
    taken = [one for one in types if one not in kept]
    if taken or not types:
        yield f"new instances start from the latest {_image_of(taken or ['AWS Batch'])}"
    if kept:
        yield f"keeps the current {_image_of(kept)}; add --refresh-images {want.address} to move to the latest"


def _image_of(types: Sequence[str]) -> str:
    return f"{' and '.join(types)} image{'s' * (len(types) > 1)}"
