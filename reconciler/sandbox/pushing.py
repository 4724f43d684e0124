"""Images in the account's ECR, for want of a registry that `docker push` could reach: manifests without layers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from reconciler.sandbox.services import Account
from reconciler.sandbox.services._moto_objects import REFUSED
from reconciler.sandbox.task_starts import IMAGE
from reconciler.sandbox.wire import Json

_ONE = "application/vnd.oci.image.manifest.v1+json"
_SEVERAL = "application/vnd.oci.image.index.v1+json"


def push(account: Account, image: str, platforms: Sequence[str] = ()) -> str:
    """Put an image (`ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG`) into its repository; its digest.

    With `platforms` (`linux/arm64`) it is for these alone. Raises ``ValueError`` with a sentence.
    """
    found = IMAGE.fullmatch(image)
    if found is None or found["account"] != account.id:
        raise ValueError(f"{image} is not an image in the ECR of account {account.id}")
    backend: Any = account.moto.backend("ecr", found["region"])
    if found["name"] not in backend.repositories:
        raise ValueError(f"ECR has no repository {found['name']} in {found['region']}")
    manifest = _manifest(image) if not platforms else _index(image, platforms)
    text = json.dumps(manifest)
    digest = _digest(text)
    kind = manifest["mediaType"]
    try:
        backend.put_image(found["name"], text, found["tag"] or "latest", image_manifest_mediatype=kind, digest=digest)
    except REFUSED as error:
        if "already exists" not in str(error) or "tag" not in str(error):
            raise ValueError(f"ECR refuses {image}: {error}") from None
    account.moto.touched("ecr", found["region"])
    return digest


def _manifest(text: str) -> Json:
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 1024, "digest": _digest(text)}
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 4096, "digest": _digest(f"{text} 1")}
    return {"schemaVersion": 2, "mediaType": _ONE, "config": config, "layers": [layer]}


def _index(text: str, platforms: Sequence[str]) -> Json:
    listed = []
    for one in platforms:
        system, slash, architecture = one.partition("/")
        if not slash or not architecture:
            raise ValueError(f"{one} is not a platform such as linux/amd64")
        digest = _digest(json.dumps(_manifest(f"{text} {one}")))
        where = {"os": system, "architecture": architecture}
        listed.append({"mediaType": _ONE, "size": 512, "digest": digest, "platform": where})
    return {"schemaVersion": 2, "mediaType": _SEVERAL, "manifests": listed}


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
