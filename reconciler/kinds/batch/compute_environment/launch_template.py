"""Whether a compute environment and the launch template it names go together, where that template is declared, too.

https://docs.aws.amazon.com/batch/latest/userguide/launch-templates.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_LaunchTemplateSpecification.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import Declared, Finding, Path, Resource, Template
from reconciler.model import problem_codes as codes

HERE = "computeResources"
GROUPS = ("securityGroupIds", "securityGroups")


def misfits(environment: Resource, declared: Declared) -> Iterator[Finding]:
    """What AWS would refuse about the environment with its template; a version by its number may be another one."""
    told = environment.props.get(HERE)
    asked = told.get("launchTemplate") if isinstance(told, Mapping) else None
    if not isinstance(told, Mapping) or not isinstance(asked, Mapping):
        return
    data = _data(asked, declared)
    if data is None:
        return
    here: Path = (HERE, "launchTemplate")
    cards = data.get("networkInterfaces")
    grouped = isinstance(cards, list | tuple) and any(
        isinstance(card, Mapping) and card.get("groups") for card in cards
    )
    if told.get("type") in ("EC2", "SPOT") and not told.get("securityGroupIds") and not asked.get("overrides"):
        open_ended = isinstance(cards, Template) or any(isinstance(card, Template) for card in cards or ())
        if not grouped and not open_ended and not any(data.get(name) for name in GROUPS):
            hint = f"give {HERE}.securityGroupIds, or let the launch template have them"
            yield Finding(here, "neither the environment nor its launch template has security groups", hint)
    elif grouped and told.get("securityGroupIds"):
        why = "the launch template gives its network interfaces groups, and the environment has securityGroupIds, too"
        hint = "keep one: EC2 refuses to launch instances with both"
        yield Finding((HERE, "securityGroupIds"), why, hint, codes.MISFIT, warning=True)
    if asked.get("userdataType") and not data.get("imageId"):
        why = "userdataType is for a launch template that has an imageId, and this has none"
        hint = "leave userdataType out, or name the image in the template"
        yield Finding((*here, "userdataType"), why, hint, codes.MISFIT, warning=True)


def _data(asked: Mapping[str, Any], declared: Declared) -> Mapping[str, Any] | None:
    """The data of the declared template that is asked for, whichever way it is named; None where it does not show."""
    named = next((asked[one] for one in ("launchTemplateName", "launchTemplateId") if asked.get(one)), None)
    version = asked.get("version")
    if isinstance(version, str) and version.isdigit():
        return None
    found = declared.resource("launchTemplates", named)
    data = found.props.get("launchTemplateData") if found else None
    return data if isinstance(data, Mapping) else None
