"""The images of all job definitions, asked about together: a hundred of one repository in one call.

``DescribeImages`` refuses all where one is missing, and names that one alone. Then the repository is listed, which
also asks nothing of a registry that ``BatchGetImage`` would pull a missing image from.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeRepositories.html
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from reconciler.kinds.batch.job_definition import needs
from reconciler.kinds.common.declared import as_text, items, mapping
from reconciler.kinds.common.replies import chunks
from reconciler.model import Address, Call, Json, Reads, Refused, Resource
from reconciler.model.patterns import regex
from reconciler.model.preflight import Ground
from reconciler.model.records import dataclass

DEFINITIONS: Final = "jobDefinitions"
REPOSITORIES: Final = "repositories"
NO_IMAGE, NO_REPOSITORY = "ImageNotFoundException", "RepositoryNotFoundException"
_MOST: Final = 100  # images in one call
_FEW: Final = 3  # of these each is asked about by itself, rather than to list all that there are
_URI: Final = regex(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.(?:aws|amazonwebservices\.com\.cn))"
    r"/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in ECR, as its URI names it."""

    account: str
    region: str
    repository: str
    tag: str
    digest: str

    @property
    def id(self) -> Json:
        """What names it in its repository, in ECR's API."""
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag or "latest"}

    @property
    def place(self) -> tuple[str, str]:
        """Its registry and its repository."""
        return self.account, self.repository

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag or 'latest'}"


@lru_cache(maxsize=4096)
def parse(uri: str) -> Image | None:
    """The image that a URI names in ECR; None if it is of another registry."""
    found = _URI.fullmatch(uri)
    return Image(**{name: text or "" for name, text in found.groupdict().items()}) if found else None


def needed_by(definition: Resource, ground: Ground) -> needs.Needs:
    """What a definition needs."""
    return ground.shared.once(("needs", definition.address), lambda: needs.of(ground.props(definition)))


def created(image: Image, ground: Ground) -> Address | None:
    """The repository of an image, if apply creates it."""
    return ground.shared.once("repositories created", lambda: dict(_created(ground))).get(image.place)


def _created(ground: Ground) -> Iterator[tuple[tuple[str, str], Address]]:
    for one in ground.declared.section(REPOSITORIES):
        plan = ground.plans.get(one.address)
        if ground.is_new(one):
            name = plan.want.physical if plan and plan.want else one.name
            yield (ground.scope.account, name), one.address


# --- what ECR has of them --------------------------------------------------------------------------------------------


def detail(image: Image, ground: Ground) -> Reads[Json | Refused]:
    """What ECR has of an image, or why that is not known."""
    if (yield from _has_no_repository(image, ground)):
        return Refused(NO_REPOSITORY, f"there is no repository {image.repository}")
    together = _together(image, ground)
    found = yield from ground.shared.read_once(("images", together[0]), lambda: _details(together))
    return found[image]


def manifest(image: Image, accepted: Sequence[str], ground: Ground) -> Reads[Any]:
    """The manifest of an image, if it is of one of these media types, or why it is not known; asked together with those
    beside it that are of one of them.
    """
    together = _together(image, ground)
    details = yield from ground.shared.read_once(("images", together[0]), lambda: _details(together))
    alike = ground.shared.once(
        ("images alike", together[0], accepted[0]),
        lambda: [one for one in together if mapping(details[one]).get("imageManifestMediaType") in accepted],
    )
    if mapping(details[image]).get("imageManifestMediaType") not in accepted:
        alike = [image]
    found = yield from ground.shared.read_once(
        ("manifests", alike[0], accepted[0]), lambda: _manifests(alike, accepted)
    )
    return found[image]


def _asked(ground: Ground) -> Mapping[tuple[str, str], Sequence[Image]]:
    """The images that definitions name and that ECR is asked about, by their repositories."""
    found: dict[tuple[str, str], dict[Image, None]] = {}
    for definition in ground.declared.section(DEFINITIONS):
        if not ground.concerns(definition.address):
            continue
        for value in (value for host in needed_by(definition, ground).hosts for _, value in host.images):
            image = parse(as_text(value) or "")
            if image and image.region == ground.scope.region and created(image, ground) is None:
                found.setdefault(image.place, {})[image] = None
    return {place: list(images) for place, images in found.items()}


def _together(image: Image, ground: Ground) -> tuple[Image, ...]:
    """The images that one call is about, with this one among them."""
    groups = ground.shared.once("images together", lambda: dict(_groups(ground)))
    return groups.get(image, (image,))


def _groups(ground: Ground) -> Iterator[tuple[Image, tuple[Image, ...]]]:
    for images in ground.shared.once("images asked", lambda: _asked(ground)).values():
        for some in chunks(images, _MOST):
            yield from dict.fromkeys(some, tuple(some)).items()


def _has_no_repository(image: Image, ground: Ground) -> Reads[bool]:
    """Whether the list of repositories has not got its own: that is read where the images are in many."""
    if image.account != ground.scope.account:
        return False
    if ground.shared.once("repositories asked", lambda: _count_of_repositories(ground)) <= _FEW:
        return False
    listed = yield from ground.shared.read_once("repositories", _repositories)
    return listed is not None and image.repository not in listed


def _count_of_repositories(ground: Ground) -> int:
    asked = ground.shared.once("images asked", lambda: _asked(ground))
    return sum(account == ground.scope.account for account, _ in asked)


def _repositories() -> Reads[frozenset[str] | None]:
    """The names of all repositories; None where they could not be read."""
    (reply,) = yield (Call("ecr", "DescribeRepositories", {"maxResults": 1000}, all_pages=True),)
    if isinstance(reply, Refused):
        return None
    return frozenset(str(mapping(one).get("repositoryName")) for one in items(reply.get("repositories")))


def _where(images: Sequence[Image]) -> Json:
    account, repository = images[0].place
    return {"registryId": account, "repositoryName": repository, "imageIds": [one.id for one in images]}


def _details(images: Sequence[Image]) -> Reads[Mapping[Image, Json | Refused]]:
    (reply,) = yield (Call("ecr", "DescribeImages", _where(images)),)
    if len(images) == 1:
        return {images[0]: reply if isinstance(reply, Refused) else _first(reply, "imageDetails")}
    if isinstance(reply, Refused):
        if reply.code != NO_IMAGE:
            return dict.fromkeys(images, reply)
        if len(images) <= _FEW:
            replies = yield tuple(Call("ecr", "DescribeImages", _where([one])) for one in images)
            alone = [each if isinstance(each, Refused) else _first(each, "imageDetails") for each in replies]
            return dict(zip(images, alone, strict=True))
        listing = {**_where(images), "maxResults": 1000, "filter": {"imageStatus": "ANY"}}
        del listing["imageIds"]
        (reply,) = yield (Call("ecr", "DescribeImages", listing, all_pages=True),)
        if isinstance(reply, Refused):
            return dict.fromkeys(images, reply)
    found = {
        name: item
        for item in map(mapping, items(reply.get("imageDetails")))
        for name in (item.get("imageDigest"), *items(item.get("imageTags")))
    }
    return {
        one: found.get(next(iter(one.id.values())), Refused(NO_IMAGE, f"there is no image {one}")) for one in images
    }


def _manifests(images: Sequence[Image], accepted: Sequence[str]) -> Reads[Mapping[Image, Any]]:
    params = {**_where(images), "acceptedMediaTypes": list(accepted)}
    (reply,) = yield (Call("ecr", "BatchGetImage", params),)
    if isinstance(reply, Refused):
        return dict.fromkeys(images, reply)
    if len(images) == 1:
        return {images[0]: _first(reply, "images").get("imageManifest")}
    found = {
        name: item.get("imageManifest")
        for item in map(mapping, items(reply.get("images")))
        for name in mapping(item.get("imageId")).values()
    }
    return {one: found.get(next(iter(one.id.values()))) for one in images}


def _first(reply: Json, member: str) -> Json:
    return mapping(next(iter(items(reply.get(member))), None))
