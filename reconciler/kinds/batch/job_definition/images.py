"""Whether containers name the images of declared repositories by a URI from which AWS pulls them.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-pull-ecr-image.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import Address, Declared, Finding, Path, Reference, Resource, Template
from reconciler.model import problem_codes as codes
from reconciler.model.stand_ins import SCALARS

SECTION = "repositories"
_WITHOUT = SCALARS | {Template}  # values without an image in them


def relations(definition: Resource, declared: Declared) -> Iterator[Finding]:
    """Images named by the wrong attribute of a repository, or by its bare name, which means Docker Hub."""
    names = declared.names.get(SECTION, ())
    for path, value in _images(definition.props, ()):
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


def _images(value: Any, path: Path) -> list[tuple[Path, Any]]:
    """Every ``image`` member of the containers, at any depth, with its path."""
    found: list[tuple[Path, Any]] = []
    if type(value) is dict or isinstance(value, Mapping):  # quick for a dictionary
        for name, item in value.items():
            if name == "image":
                found.append(((*path, name), item))
            elif type(item) not in _WITHOUT and (below := _images(item, (*path, name))):
                found += below
    elif type(value) is list or isinstance(value, tuple):
        for index, item in enumerate(value):
            if type(item) not in _WITHOUT and (below := _images(item, (*path, index))):
                found += below
    return found
