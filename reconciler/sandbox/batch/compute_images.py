"""The AMIs of a compute environment's instances: AWS's own unless one is pinned, in the release that was chosen last.

An AMI is chosen when the environment is created. It is kept by every update, except one that requests the latest or
another image type. Whether AWS has a newer one is shown by image type, after instances have been launched, and not if
the image is pinned: by `imageId`, by `imageIdOverride`, by the launch template, or if the template has overrides.

Source: https://docs.aws.amazon.com/batch/latest/APIReference/API_Ec2Configuration.html and
https://docs.aws.amazon.com/batch/latest/userguide/managing-ami-versions.html
"""

from __future__ import annotations

from reconciler.sandbox.batch.store import Json, Row, Store

LATEST, OUTDATED = "LATEST", "UPDATE_AVAILABLE"


def created(store: Store, row: Row) -> None:
    """A new environment uses the latest."""
    store.launched.discard(row.arn)
    _choose(store, row, latest=True)


def updated(store: Store, row: Row, *, latest: bool) -> None:
    """An infrastructure update has ended; one that failed has changed nothing."""
    if row.status == "VALID":
        _choose(store, row, latest=latest)


def _choose(store: Store, row: Row, *, latest: bool) -> None:
    resources: Json = row.props.get("computeResources", {})
    release = store.settings.image_release
    kept = {} if latest else store.images.get(row.arn, {})
    types = [image["imageType"] for image in resources.get("ec2Configuration", [])]
    store.images[row.arn] = {one: kept.get(one, release) for one in types}
    store.pinned_images[row.arn] = _template_pins(store, resources)


def configuration(store: Store, row: Row) -> list[Json]:
    """`ec2Configuration` as Describe returns it."""
    resources: Json = row.props["computeResources"]
    images: list[Json] = resources["ec2Configuration"]
    if row.arn not in store.launched or resources.get("imageId") or store.pinned_images.get(row.arn):
        return images
    return [{**image, **_status(store, row, image)} for image in images]


def _status(store: Store, row: Row, image: Json) -> Json:
    if image.get("imageIdOverride"):
        return {}
    release = store.images.get(row.arn, {}).get(image["imageType"], store.settings.image_release)
    return {"batchImageStatus": LATEST if release >= store.settings.image_release else OUTDATED}


def _template_pins(store: Store, resources: Json) -> bool:
    template: Json = resources.get("launchTemplate", {})
    named = template.get("launchTemplateId", template.get("launchTemplateName"))
    if template.get("overrides"):
        return True
    version = template.get("version") or "$Default"
    return named is not None and store.surroundings.launch_template_image(named, version) is not None
