"""The images of a compute environment's instances: what sets them, which are unsupported, how the latest is requested.

The first of these that is given sets the image: a launch template override, ``imageId``, ``imageIdOverride``, the
launch template. Without any, AWS Batch chooses one of its own by image type, and keeps it until an infrastructure
update changes the image type or has ``updateToLatestImageVersion``. That member exists in requests only; a describe
shows ``batchImageStatus``, once instances have been launched.

https://docs.aws.amazon.com/batch/latest/userguide/ami-selection-order.html
https://docs.aws.amazon.com/batch/latest/userguide/managing-ami-versions.html
https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds.batch.compute_environment import effects
from reconciler.kinds.common.declared import as_text, at, entries, mapping
from reconciler.model import MISSING, Change, Effect, Finding, Json, Live, Path, Want
from reconciler.model import problem_codes as codes

RESOURCES = "computeResources"
IMAGES = "ec2Configuration"
LATEST = "updateToLatestImageVersion"
OUTDATED = "UPDATE_AVAILABLE"

# https://docs.aws.amazon.com/batch/latest/userguide/ecs-migration-2023.html
# https://docs.aws.amazon.com/eks/latest/userguide/eks-ami-deprecation-faqs.html
ENDS = {"ECS": "30 June 2026", "EKS": "26 November 2025"}
AMAZON_LINUX_2 = {f"{cluster}_AL2{gpu}": day for cluster, day in ENDS.items() for gpu in ("", "_NVIDIA")}


def successor(image_type: str) -> str:
    """The Amazon Linux 2023 image type that succeeds one of Amazon Linux 2."""
    return image_type.replace("AL2", "AL2023")


def unsupported(image_type: str) -> str:
    """The sentence that AWS no longer supports an image type, with the date; empty if it does."""
    day = AMAZON_LINUX_2.get(image_type)
    return f"{image_type} is Amazon Linux 2, which AWS Batch has not supported since {day}" if day else ""


def chosen_by_aws(resources: Json) -> list[Json]:
    """The entries of ``ec2Configuration`` without an image, for which AWS or the launch template sets it."""
    if as_text(resources.get("imageId")):
        return []
    return [item for _, item in entries(resources.get(IMAGES)) if not item.get("imageIdOverride")]


# --- advice ----------------------------------------------------------------------------------------------------------


def notes(live: Live, want: Want) -> Iterator[str]:
    """Notes about images although nothing differs: AWS has a newer one, or no longer supports the present one."""
    current, wanted = mapping(live.props.get(RESOURCES)), mapping(want.props.get(RESOURCES))
    outdated = sorted(
        {str(item.get("imageType")) for item in chosen_by_aws(current) if item.get("batchImageStatus") == OUTDATED}
    )
    if outdated:
        flag = "--replace" if impossible(live, want) else "--refresh-images"
        word = "replacement" if impossible(live, want) else "update"
        yield (
            f"AWS has a newer image for {' and '.join(outdated)} than its instances start from;"
            f" `reconcile plan {flag} {want.address}` plans the {word} that uses it"
        )
    for item in chosen_by_aws({**current, IMAGES: wanted.get(IMAGES) or current.get(IMAGES)}):
        kind = str(item.get("imageType"))
        if unsupported(kind):
            yield f"{unsupported(kind)}; use {IMAGES}: [{{imageType: {successor(kind)}}}]"


# --- moving to the latest --------------------------------------------------------------------------------------------


def refresh(live: Live, want: Want) -> Change | Finding:
    """The change that moves instances to the latest images, or the finding that explains why it is not possible."""
    refused = impossible(live, want) or _pinned(mapping(want.props.get(RESOURCES)))
    if refused:
        return refused
    because = "requested with --refresh-images"
    return Change(path=(RESOURCES, LATEST), before=MISSING, after=True, effect=Effect.INFRASTRUCTURE, because=because)


def impossible(live: Live, want: Want) -> Finding | None:
    """The finding that explains why the environment cannot be updated to newer images; None if it can."""
    why, hint = "", f"a replacement starts from the latest images: --replace {want.address}"
    family = effects.family(want.props)
    if family == effects.FARGATE:
        why, hint = (
            "Fargate has no images of its own",
            "job definitions choose a platform version with fargatePlatformConfiguration",
        )
    elif family == effects.MANAGED_INSTANCES:
        why, hint = "Amazon ECS keeps the images of managed instances up to date", "there is nothing to do"
    elif family != effects.INSTANCES:
        why, hint = "you run the instances of an UNMANAGED environment", "start those from a newer image"
    else:
        verdict, reason = effects.infrastructure(live.props, want.props)
        why = reason if verdict is Effect.REPLACE else ""
    return Finding((), f"its images cannot be refreshed: {why}", hint, code=codes.CANNOT_REFRESH) if why else None


def _pinned(resources: Json) -> Finding | None:
    """The finding about declared images: none is chosen by AWS. None if AWS chooses one."""
    listed = list(entries(resources.get(IMAGES)))
    path: Path = ()
    if image := resources.get("imageId"):
        path = (RESOURCES, "imageId")
    elif listed and all(item.get("imageIdOverride") for _, item in listed):
        path, image = (RESOURCES, IMAGES, listed[0][0], "imageIdOverride"), listed[0][1]["imageIdOverride"]
    return pinned(path, f"{path[-1]} sets {image}") if path else None


def pinned(path: Path, reason: str, hint: str = "") -> Finding:
    """The finding about an image that is set at ``path``: AWS would replace all instances, by the same image."""
    hint = hint or "set another image there, or leave it out to use the images of AWS Batch"
    return Finding(path, f"its images cannot be refreshed: they are pinned, {reason}", hint, code=codes.CANNOT_REFRESH)


def already_latest(live: Live) -> bool:
    """Whether AWS reports for every image type that its instances start from the latest image."""
    found = [item.get("batchImageStatus") for item in chosen_by_aws(mapping(live.props.get(RESOURCES)))]
    return bool(found) and all(status == "LATEST" for status in found)


def wants_latest(want: Want) -> bool:
    """Whether ``updateToLatestImageVersion`` is declared: every infrastructure update moves to the latest image."""
    return at(want.props, RESOURCES, LATEST) is True
