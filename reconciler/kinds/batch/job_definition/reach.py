"""What the start of a job reaches over the network: the registry of its image, its secrets, its log.

Only what is certain counts: of images those in Amazon ECR, and in registries that are on the internet for everybody.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/vpc-endpoints.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.kinds.batch import _network as networks
from reconciler.kinds.batch.job_definition import image_facts, role_preflight
from reconciler.kinds.common.declared import as_text, at, items, mapping
from reconciler.model import Json, Path
from reconciler.model.preflight import Ground
from reconciler.model.records import dataclass

_HUB: Final = "docker.io"
_PUBLIC: Final = frozenset(
    {_HUB, "index.docker.io", "registry-1.docker.io", "public.ecr.aws", "quay.io", "ghcr.io", "gcr.io"}
    | {"registry.k8s.io", "mcr.microsoft.com", "nvcr.io"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The endpoints (``ecr.api``) that would be enough, and the registries that no endpoint leads to; ``file_systems``
    is the place of volumes of Amazon EFS.
    """

    endpoints: tuple[str, ...] = ()
    internet: tuple[str, ...] = ()
    file_systems: Path = ()


def of(props: Json, ground: Ground) -> Reach:
    """What the containers of a definition with these properties reach."""
    endpoints: dict[str, None] = {}
    internet: dict[str, None] = {}
    file_systems: Path = ()
    for path, holder, containers in role_preflight.holders(props):
        if any(mapping(one).get("efsVolumeConfiguration") for one in items(holder.get("volumes"))):
            file_systems = file_systems or (*path, "volumes")
        for item in containers:
            uri = as_text(item.get("image")) or ""
            image = image_facts.parse(uri)
            if image is not None and image.region == ground.scope.region:
                endpoints.update(dict.fromkeys(networks.OF_IMAGES))
            elif image is not None:
                internet[f"Amazon ECR in {image.region}"] = None
            elif (registry := _registry(uri)) in _PUBLIC:
                internet[registry] = None
            endpoints.update(dict.fromkeys(_services(item, ground)))
    return Reach(endpoints=tuple(endpoints), internet=tuple(internet), file_systems=file_systems)


def _registry(uri: str) -> str:
    """The registry of an image; empty if a parameter of the job is part of it."""
    first, slash, _ = uri.partition("/")
    if not uri or "Ref::" in uri:
        return ""
    return first if slash and ("." in first or ":" in first or first == "localhost") else _HUB


def _services(item: Json, ground: Ground) -> Iterator[str]:
    logs = mapping(item.get("logConfiguration"))
    for secret in (*items(item.get("secrets")), *items(logs.get("secretOptions"))):
        source = role_preflight.source_of(mapping(secret).get("valueFrom"), ground)
        if source:
            yield "secretsmanager" if ":secretsmanager:" in source else "ssm"
    if logs.get("logDriver", "awslogs") == "awslogs":
        options = mapping(at(logs, "options"))
        if not {"awslogs-region", "awslogs-endpoint"} & options.keys():
            yield "logs"
