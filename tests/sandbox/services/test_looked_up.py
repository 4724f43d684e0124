"""What look-ups read in the sandbox: file systems, keys and images.

https://docs.aws.amazon.com/efs/latest/ug/API_DescribeFileSystems.html
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
"""

from __future__ import annotations

import hashlib
import json

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def manifest(size):
    """Of an image without layers; another size is another image."""
    return json.dumps({"schemaVersion": 2, "mediaType": DOCKER, "config": {"size": size}, "layers": []})


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_the_digest_is_of_the_manifest_and_the_image_outlives_its_tag(sandbox, refused):
    ecr = sandbox.client("ecr")
    ecr.create_repository(repositoryName="app")
    old, new = manifest(1), manifest(2)

    def tagged(tag):
        (found,) = ecr.describe_images(repositoryName="app", imageIds=[{"imageTag": tag}])["imageDetails"]
        return found["imageDigest"]

    ecr.put_image(repositoryName="app", imageTag="1.4", imageManifest=old)
    assert tagged("1.4") == digest(old)
    ecr.put_image(repositoryName="app", imageTag="1.4", imageManifest=new)

    assert tagged("1.4") == digest(new)
    images = ecr.describe_images(repositoryName="app")["imageDetails"]
    assert {image["imageDigest"]: image.get("imageTags", []) for image in images} == {digest(old): [], digest(new): ["1.4"]}  # fmt: skip
    wrong = {"imageTag": "2", "imageManifest": manifest(3), "imageDigest": digest(old)}
    refused("ImageDigestDoesNotMatchException", "", ecr.put_image, repositoryName="app", **wrong)
    refused("RepositoryNotFoundException", "", ecr.put_image, repositoryName="none", imageManifest=old, imageTag="1")


def test_file_systems_are_listed_page_by_page_and_gone_after_a_reset(sandbox):
    efs = sandbox.client("efs")
    for number in range(12):
        efs.create_file_system(CreationToken=f"t{number}", Tags=[{"Key": "Name", "Value": f"n{number}"}])
    pages = list(efs.get_paginator("describe_file_systems").paginate())

    assert {one["Name"] for page in pages for one in page["FileSystems"]} == {f"n{number}" for number in range(12)}
    assert all(one["LifeCycleState"] == "available" for page in pages for one in page["FileSystems"])
    sandbox.reset()
    assert efs.describe_file_systems()["FileSystems"] == []


def test_a_fault_may_strike_a_file_system(sandbox, refused):
    sandbox.faults.add(service="elasticfilesystem", operation="DescribeFileSystems", code="AccessDeniedException")

    refused("AccessDeniedException", "", sandbox.client("efs").describe_file_systems)
