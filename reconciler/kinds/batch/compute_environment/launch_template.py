"""Whether a compute environment can be combined with its launch template, if that template is declared.

https://docs.aws.amazon.com/batch/latest/userguide/launch-templates.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_LaunchTemplateSpecification.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.batch.compute_environment import effects
from reconciler.kinds.common.declared import as_text, at, entries, is_given, mapping
from reconciler.model import Declared, Effect, Finding, Json, Path, Resource, Template
from reconciler.model import problem_codes as codes
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.batch._egress import Addresses

HERE = "computeResources"
GROUPS = ("securityGroupIds", "securityGroups")
MOVING = ("$Latest", "$Default")


def followed(props: Json, declared: Declared) -> Iterator[tuple[Path, Resource, str]]:
    """The declared templates that an environment names without a number: path, template, and what it names."""
    path: Path = (HERE, "launchTemplate")
    template = mapping(mapping(props.get(HERE)).get("launchTemplate"))
    every = [(path, template), *(((*path, "overrides", i), item) for i, item in entries(template.get("overrides")))]
    for place, ask in every:
        version = ask.get("version") if is_given(ask.get("version")) else "$Default"
        named = next((ask[one] for one in ("launchTemplateName", "launchTemplateId") if is_given(ask.get(one))), None)
        found = declared.resource("launchTemplates", named)
        if found is not None and version in MOVING:
            yield place, found, str(version)


def why_fixed(props: Json) -> str:
    """Why the environment can have no infrastructure update, which alone resolves versions again; empty if it can."""
    if effects.family(props) != effects.INSTANCES:
        return ""
    effect, why = effects.infrastructure(props, props)
    reason = "a custom serviceRole" if "serviceRole" in why else "the allocation strategy BEST_FIT"
    return f"with {reason}" if effect is Effect.REPLACE else ""


def check_versions(environment: Resource, declared: Declared) -> Iterator[Finding]:
    """Warnings about templates whose new versions never reach the environment.

    https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html
    """
    why = why_fixed(environment.props)
    for path, template, version in followed(environment.props, declared) if why else ():
        name = template.address.name
        message = f"{why}, a new version of launch template {name} never reaches this environment ({version})"
        hint = f'write version: "${{{template.address}.latestVersion}}"; each new version then replaces the environment'
        yield Finding(path, message, hint, codes.NO_UPDATES_IN_PLACE, warning=True)


def check_template(environment: Resource, declared: Declared) -> Iterator[Finding]:
    """What AWS refuses about the environment with its template.

    Nothing is checked if the environment names a version by number: its data may differ from the declared data.
    """
    resources = environment.props.get(HERE)
    template = resources.get("launchTemplate") if isinstance(resources, Mapping) else None
    if not isinstance(resources, Mapping) or not isinstance(template, Mapping):
        return
    data = declared_data(template, declared)
    if data is None:
        return
    here: Path = (HERE, "launchTemplate")
    cards = data.get("networkInterfaces")
    grouped = isinstance(cards, list | tuple) and any(
        isinstance(card, Mapping) and card.get("groups") for card in cards
    )
    if (
        resources.get("type") in ("EC2", "SPOT")
        and not resources.get("securityGroupIds")
        and not template.get("overrides")
    ):
        open_ended = isinstance(cards, Template) or any(isinstance(card, Template) for card in cards or ())
        if not grouped and not open_ended and not any(data.get(name) for name in GROUPS):
            hint = f"set {HERE}.securityGroupIds, or add security groups to the launch template"
            yield Finding(here, "neither the compute environment nor its launch template has security groups", hint)
    elif grouped and resources.get("securityGroupIds"):
        why = "both the network interfaces of the launch template and the compute environment have security groups"
        hint = "keep one: EC2 refuses to launch instances with both"
        yield Finding((HERE, "securityGroupIds"), why, hint, codes.MISFIT, warning=True)
    if template.get("userdataType") and not data.get("imageId"):
        why = "userdataType is only valid with a launch template that has an imageId"
        hint = "remove userdataType, or set imageId in the launch template"
        yield Finding((*here, "userdataType"), why, hint, codes.MISFIT, warning=True)


def check_ids(environment: Resource, declared: Declared) -> Iterator[Finding]:
    """A name where the id belongs; the id of a declared template is filled in, that of another is not looked for."""
    template = at(environment.props, HERE, "launchTemplate")
    if not isinstance(template, Mapping):
        return
    here: Path = (HERE, "launchTemplate")
    overrides = entries(template.get("overrides"))
    for path, one in ((here, template), *(((*here, "overrides", index), item) for index, item in overrides)):
        value = as_text(one.get("launchTemplateId"))
        if (
            value
            and not re.fullmatch(r"lt-[0-9a-f]+", value)
            and value not in declared.names.get("launchTemplates", ())
        ):
            why = f'"{value}" looks like the name of a launch template'
            yield Finding((*path, "launchTemplateId"), why, f"write launchTemplateName: {value}")


def declared_data(template: Mapping[str, Any], declared: Declared) -> Mapping[str, Any] | None:
    """The declared data of the template, which is named by name or id; None if it is undeclared or not known."""
    key = next((template[one] for one in ("launchTemplateName", "launchTemplateId") if template.get(one)), None)
    version = template.get("version")
    if isinstance(version, str) and version.isdigit():
        return None
    found = declared.resource("launchTemplates", key)
    data = found.props.get("launchTemplateData") if found else None
    return data if isinstance(data, Mapping) else None


def addresses(template: Any, declared: Declared) -> Addresses:
    """Whether instances get public addresses by a template as an environment names it, or by their subnet."""
    if template is None:
        return Addresses()
    data = declared_data(mapping(template), declared)
    if data is None:
        return Addresses(given=None)
    given = [card.get("associatePublicIpAddress") for _, card in entries(at(data, "networkInterfaces"))]
    return Addresses(given=True in given, as_subnet=False not in given)
