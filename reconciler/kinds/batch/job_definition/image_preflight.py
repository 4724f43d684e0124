"""Whether the images of a job are in Amazon ECR, and for which architectures.

A list of platforms says it; the manifest of one platform does not. Its configuration does, which is not in the API but
behind a signed URL: that is read with ``--preflight=full`` only. Images of other registries are unknown.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetDownloadUrlForLayer.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from reconciler.kinds.batch.job_definition import image_facts
from reconciler.kinds.batch.job_definition.image_facts import Image, parse
from reconciler.kinds.batch.job_definition.needs import Needs
from reconciler.kinds.common.declared import as_text, items, mapping
from reconciler.model import Call, Json, Path, Reads, Refused
from reconciler.model.preflight import DOWNLOAD, Check, Fit, Ground
from reconciler.model.records import dataclass

_LISTS: Final = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
_SINGLE: Final = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "arm64"}
_ABSENT: Final = (image_facts.NO_IMAGE, image_facts.NO_REPOSITORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """Why the architectures of an image that is there are not known."""

    why: str
    hint: str = ""
    denied: str = ""


def check(needs: Needs, ground: Ground) -> Reads[tuple[list[Check], frozenset[str] | None]]:
    """A check of each image, and the architectures that all have; None if these are not known."""
    named = list(dict.fromkeys(_named(needs)))
    found: list[Check] = []
    known: list[frozenset[str]] = []
    for path, value in named:
        uri = as_text(value)
        if uri is None:
            found.append(_result(path, Fit.unknown, "the image is not known before apply"))
            continue
        check, architectures = yield from _check_image(path, uri, ground)
        found.append(check)
        if isinstance(architectures, _Doubt):
            doubt = architectures
            more = {"hint": doubt.hint, "denied": doubt.denied}
            found.append(replace(_result(path, Fit.unknown, doubt.why, **more), check="architecture"))
        elif architectures is not None:
            known.append(architectures)
    return found, frozenset.intersection(*known) if known else None


def _named(needs: Needs) -> Iterator[tuple[Path, Any]]:
    """The place of the first of each image."""
    seen: list[Any] = []
    for path, value in (one for need in needs.hosts for one in need.images):
        if value is not None and value not in seen:
            seen.append(value)
            yield path, value if isinstance(value, str) else None


def _result(path: Path, verdict: Fit, message: str, **more: Any) -> Check:
    return Check(check="image", verdict=verdict, message=message, path=path, reported=True, **more)


def _check_image(path: Path, uri: str, ground: Ground) -> Reads[tuple[Check, frozenset[str] | _Doubt | None]]:
    image = parse(uri)
    if image is None:
        message = f"{uri} is not in a private registry of Amazon ECR: not checked"
        return _result(path, Fit.unknown, message), None
    if image.region != ground.scope.region:
        return _result(path, Fit.unknown, f"{image} is in {image.region}: not checked"), None
    about = image_facts.created(image, ground)
    if about is not None:
        return _result(path, Fit.unknown, f"apply creates {about}: push its images after that"), None
    detail = yield from image_facts.detail(image, ground)
    if isinstance(detail, Refused):
        return (yield from _refused(path, image, detail, ground)), None
    if detail.get("imageStatus") == "ARCHIVED":
        hint = "restore it, or push it again"
        return _result(path, Fit.cannot, f"{image} is archived, and cannot be pulled", hint=hint), None
    architectures = yield from _architectures(image, str(detail.get("imageManifestMediaType") or ""), ground)
    of = f", for {' and '.join(sorted(architectures))}" if isinstance(architectures, frozenset) else ""
    return _result(path, Fit.fits, f"{image} is there{of}"), architectures


def _refused(path: Path, image: Image, reply: Refused, ground: Ground) -> Reads[Check]:
    if reply.code not in _ABSENT:
        denied = "ecr:DescribeImages" if reply.denied else ""
        return _result(path, Fit.unknown, f"{image} could not be looked up: {reply}", denied=denied)
    certain = True
    if "/" in image.repository:
        cached = yield from _is_cached(image, ground)
        if cached:
            return _result(path, Fit.unknown, f"{image} is pulled through a cache, which has not got it yet")
        certain = cached is False
    missing = "repository" if reply.code.startswith("Repository") else "image"
    hint = "create it, and push the image" if missing == "repository" else "push it"
    what = f"there is no repository {image.repository}" if missing == "repository" else f"there is no image {image}"
    return _result(path, Fit.cannot, f"{what} in the registry {image.account}", hint=hint, certain=certain)


def _is_cached(image: Image, ground: Ground) -> Reads[bool | None]:
    """Whether a pull through a cache makes the repository when it is first pulled; None if that could not be read."""
    if image.account != ground.scope.account:
        return None
    (reply,) = yield (Call("ecr", "DescribePullThroughCacheRules", {}, all_pages=True),)
    if isinstance(reply, Refused):
        return None
    prefixes = [str(mapping(one).get("ecrRepositoryPrefix")) for one in items(reply.get("pullThroughCacheRules"))]
    return any(one == "ROOT" or image.repository.startswith(f"{one}/") for one in prefixes)


def _architectures(image: Image, media_type: str, ground: Ground) -> Reads[frozenset[str] | _Doubt]:
    if media_type not in _LISTS and not ground.full:
        hint = "pass --preflight=full to read it"
        return _Doubt(why=f"{image} is for one platform, which its manifest does not name", hint=hint)
    accepted = list(_LISTS if media_type in _LISTS else _SINGLE)
    found = yield from image_facts.manifest(image, accepted, ground)
    if isinstance(found, Refused):
        denied = "ecr:BatchGetImage" if found.denied else ""
        return _Doubt(why=f"the manifest of {image} could not be read: {found}", denied=denied)
    manifest = _json(found)
    if "manifests" in manifest:
        named = [mapping(mapping(one).get("platform")).get("architecture") for one in items(manifest["manifests"])]
        known = frozenset(_ARCHITECTURES[one] for one in named if one in _ARCHITECTURES)
        return known or _Doubt(why=f"the manifest of {image} names no platform of AWS Batch")
    digest = as_text(mapping(manifest.get("config")).get("digest"))
    configured = (yield from _of_config(image, digest)) if digest and ground.full else None
    return configured or _Doubt(why=f"the architecture of {image} could not be read from its configuration")


def _of_config(image: Image, digest: str) -> Reads[frozenset[str] | _Doubt | None]:
    """The architecture in the configuration of an image of one platform."""
    params = {"registryId": image.account, "repositoryName": image.repository, "layerDigest": digest}
    (reply,) = yield (Call("ecr", "GetDownloadUrlForLayer", params),)
    if isinstance(reply, Refused):
        denied = "ecr:GetDownloadUrlForLayer" if reply.denied else ""
        return _Doubt(why=f"the configuration of {image} could not be read: {reply}", denied=denied)
    url = as_text(reply.get("downloadUrl"))
    if not url:
        return None
    (body,) = yield (Call(DOWNLOAD, "Get", {"url": url}),)
    found = "" if isinstance(body, Refused) else _json(body.get("text")).get("architecture")
    return frozenset({_ARCHITECTURES[found]}) if found in _ARCHITECTURES else None


def _json(text: Any) -> Json:
    try:
        return mapping(json.loads(text)) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
