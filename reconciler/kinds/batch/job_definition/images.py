"""Whether containers name the images of declared repositories by a URI from which AWS pulls them.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-pull-ecr-image.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.batch.job_definition.container_fields import CONTAINERS, PODS, TASKS
from reconciler.model import Address, Declared, Finding, Reference, Resource, Template
from reconciler.model import problem_codes as codes
from reconciler.model.paths import values_by

SECTION = "repositories"
PLACES = dict.fromkeys(
    (
        *(f"{at}.image" for at in CONTAINERS),
        *(f"{at}.containers[].image" for at in (*TASKS, *PODS)),
        *(f"{at}.initContainers[].image" for at in PODS),
    )
)


def relations(definition: Resource, declared: Declared) -> Iterator[Finding]:
    """Images named by the wrong attribute of a repository, or by its bare name, which means Docker Hub."""
    names = declared.names.get(SECTION, ())
    for path, _, value in values_by(definition.props, PLACES):
        part = value.parts[0] if isinstance(value, Template) else None
        if isinstance(part, Reference) and part.address is not None and part.address.section == SECTION:
            if part.attr != "uri":
                message = f"an image needs the uri of its repository, not its {part.attr}"
                yield Finding(path, message, f"write ${{{part.address}.uri}}, with a tag after it if needed")
        elif isinstance(value, str) and value.partition(":")[0].partition("@")[0] in names:
            name, colon, tag = value.partition(":")
            message = f'"{value}" is pulled from Docker Hub, not from the declared repository {name}'
            hint = f"for the repository write ${{{Address(SECTION, name)}.uri}}{colon}{tag}"
            yield Finding(path, message, hint, codes.MISFIT, warning=True)
