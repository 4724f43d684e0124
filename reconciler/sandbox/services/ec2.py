"""EC2 apart from security groups, launch templates and placement groups: images, key pairs, instances.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
"""

from __future__ import annotations

import base64
import hashlib
import re
from contextlib import suppress
from datetime import UTC, datetime

from reconciler.model.patterns import regex
from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.services._moto_objects import ended
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ec2")

_CLUSTER = regex(rb"\bECS_CLUSTER=[\"']?([\w-]+)")
_DATE = regex(r"(?<!\d)(20\d\d)([01]\d)([0-3]\d)(?!\d)")


@RULES.after("DescribeImages")
def images_have_the_date_in_their_name(_: ServiceCall, result: Json) -> None:
    """Moto creates all images when it starts, so that none would be the latest."""
    for image in result.get("Images", ()):
        date = _DATE.search(image.get("Name", ""))
        if date:
            image["CreationDate"] = f"{date[1]}-{date[2]}-{date[3]}T00:00:00.000Z"


@RULES.before("CreateTags")
def reserved_tags_are_refused(call: ServiceCall) -> None:
    """Tag keys that begin with ``aws:`` are refused."""
    if any(tag["Key"].lower().startswith("aws:") for tag in call.params.get("Tags") or []):
        message = "Tag keys starting with 'aws:' are reserved for internal use"
        raise Refusal("InvalidParameterValue", message)


@RULES.before("ImportKeyPair")
def public_keys_are_valid(call: ServiceCall) -> None:
    """Only RSA and ED25519 keys in OpenSSH's one-line form are imported."""
    material = call.params.get("PublicKeyMaterial", b"")
    text = material.decode(errors="replace") if isinstance(material, bytes) else str(material)
    if not re.match(r"(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/]+=*( .*)?\s*$", text.strip()):
        raise Refusal("InvalidKey.Format", "Key is not in valid OpenSSH public key format")


@RULES.after("ImportKeyPair")
def ed25519_keys_have_openssh_fingerprints(call: ServiceCall, result: Json) -> None:
    """The fingerprint of an ED25519 key is the SHA-256 digest of the key in base64; moto writes it in hexadecimal.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/verify-keys.html
    """
    material = call.params["PublicKeyMaterial"]
    kind, body, *_ = (material if isinstance(material, bytes) else material.encode()).split()
    if kind == b"ssh-ed25519":
        result["KeyFingerprint"] = base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode()
        call.backend.key_pairs[result["KeyName"]].key_fingerprint = result["KeyFingerprint"]


@RULES.after("CreateKeyPair")
def created_ed25519_keys_have_them_too(call: ServiceCall, result: Json) -> None:
    """The same digest, which moto writes in hexadecimal."""
    if call.params.get("KeyType") == "ed25519":
        digest = bytes.fromhex(result["KeyFingerprint"].replace(":", ""))
        result["KeyFingerprint"] = base64.b64encode(digest).decode()
        call.backend.key_pairs[result["KeyName"]].key_fingerprint = result["KeyFingerprint"]


@RULES.before("RunInstances")
def instance_profiles_exist(call: ServiceCall) -> None:
    """Instances are only launched with an instance profile that exists."""
    asked = call.params.get("IamInstanceProfile") or {}
    profiles = call.account.moto.backend("iam", call.region).instance_profiles.values()
    for member, attribute in (("Name", "name"), ("Arn", "arn")):
        value = asked.get(member)
        if value is not None and value not in {getattr(one, attribute) for one in profiles}:
            message = f"Value ({value}) for parameter iamInstanceProfile.{member.lower()} is invalid."
            kind = "name" if member == "Name" else "ARN"
            raise Refusal("InvalidParameterValue", f"{message} Invalid IAM Instance Profile {kind}")


@RULES.after("RunInstances")
def instances_are_launched_now(call: ServiceCall, result: Json) -> None:
    """Their launch time is that of the sandbox's clock; moto takes the machine's."""
    now = datetime.fromtimestamp(call.account.clock.now(), UTC).replace(tzinfo=None)
    for one in result.get("Instances", ()):
        one["LaunchTime"] = call.backend.get_instance(one["InstanceId"]).launch_time = now


@RULES.after("RunInstances")
def instances_join_the_cluster_of_their_user_data(call: ServiceCall, result: Json) -> None:
    """By their user data, as https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bootstrap_container_instance.html
    has it; an UNMANAGED environment has no other instances.
    """
    with suppress(ValueError):
        named = _CLUSTER.search(base64.b64decode(call.params.get("UserData") or ""))
        for one in result.get("Instances", ()) if named else ():
            cluster = named[1].decode() if named else ""
            call.account.batch_join(call.region, cluster, one["InstanceId"], one["InstanceType"], one["SubnetId"])


@RULES.before("DescribeInstances")
def instances_are_found_by_their_profile(call: ServiceCall) -> Json | None:
    """Moto lacks the filter for the ARN of the instance profile."""
    filters = call.params.get("Filters") or []
    wanted = [one["Values"] for one in filters if one["Name"] == "iam-instance-profile.arn"]
    if not wanted:
        return None
    rest = [one for one in filters if one["Name"] != "iam-instance-profile.arn"]
    result = call.forward({**call.params, "Filters": rest})
    for reservation in result.get("Reservations", ()):
        reservation["Instances"] = [
            one
            for one in reservation["Instances"]
            if all((one.get("IamInstanceProfile") or {}).get("Arn") in arns for arns in wanted)
        ]
    return {**result, "Reservations": [one for one in result.get("Reservations", ()) if one["Instances"]]}


@RULES.after("DescribeInstances", "DescribeNetworkInterfaces")
def interfaces_are_named_as_instances_are(call: ServiceCall, result: Json) -> None:
    """Moto has the private names of us-east-1 for all, also for public addresses; and those are of EC2's own pool.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/hostname-types.html
    """
    instances = [one for each in result.get("Reservations", ()) for one in each["Instances"]]
    found = [*result.get("NetworkInterfaces", ()), *(each for one in instances for each in one["NetworkInterfaces"])]
    for each in (part for one in found for part in (one, *one.get("PrivateIpAddresses", ()))):
        if each.get("PrivateDnsName"):
            zone = "ec2" if call.region == "us-east-1" else f"{call.region}.compute"
            each["PrivateDnsName"] = f"ip-{each['PrivateIpAddress'].replace('.', '-')}.{zone}.internal"
        if address := (each.get("Association") or {}).get("PublicIp"):
            zone = "compute-1" if call.region == "us-east-1" else f"{call.region}.compute"
            name = f"ec2-{address.replace('.', '-')}.{zone}.amazonaws.com"
            owner = each["Association"].get("IpOwnerId") if each["Association"].get("AllocationId") else "amazon"
            each["Association"] |= {"PublicDnsName": name, "IpOwnerId": owner}


@RULES.after("DescribeInstances")
def instances_have_cpu_options(call: ServiceCall, result: Json) -> None:
    """Moto lacks them: the cores of the type, and the threads of each."""
    found = [one for each in result.get("Reservations", ()) for one in each["Instances"]]
    types = {one["InstanceType"] for one in found}
    offered = {
        one["InstanceType"]: one["VCpuInfo"] for one in call.backend.instance_types if one["InstanceType"] in types
    }
    for one in found:
        if about := offered.get(one["InstanceType"]):
            threads = about.get("DefaultThreadsPerCore", 1)
            one.setdefault("CpuOptions", {"CoreCount": about["DefaultCores"], "ThreadsPerCore": threads})


@RULES.after("DescribeInstances")
def what_runs_has_no_reason(_: ServiceCall, result: Json) -> None:
    """Moto describes an empty one."""
    for one in (one for each in result.get("Reservations", ()) for one in each["Instances"]):
        if not (one.get("StateReason") or {}).get("Code"):
            one.pop("StateReason", None)


@RULES.before("StopInstances")
def spot_instances_are_not_stopped(call: ServiceCall) -> None:
    """Those of Auto Scaling groups have requests that end with them."""
    for group in call.account.batch_fleet(call.region).groups:
        for host in group.hosts:
            if host.spot and host.id in call.params["InstanceIds"]:
                raise Refusal(
                    "UnsupportedOperation",
                    f"You can't stop the Spot Instance '{host.id}' because it is associated with a one-time Spot "
                    "Instance request. You can only stop Spot Instances associated with persistent Spot Instance "
                    "requests.",
                )


@RULES.before("RebootInstances")
def hosts_of_jobs_are_not_rebooted(call: ServiceCall) -> None:
    """What becomes of the jobs on an instance that is rebooted is not played."""
    known = {host.id for group in call.account.batch_fleet(call.region).groups for host in group.hosts}
    if known & set(call.params["InstanceIds"]):
        message = "the sandbox has no ec2:RebootInstances of the instances of a compute environment"
        raise Refusal("NotImplemented", message, 501)


@RULES.after("TerminateInstances", "StopInstances")
def hosts_of_jobs_are_lost(call: ServiceCall, result: Json) -> None:
    """AWS Batch loses the jobs on an instance of a compute environment with the instance."""
    listed = [*result.get("TerminatingInstances", ()), *result.get("StoppingInstances", ())]
    for one in listed:
        ended(call.backend.get_instance(one["InstanceId"]), call.now)
    how = "terminated" if "TerminatingInstances" in result else "stopped"
    call.account.batch_lose(call.region, [one["InstanceId"] for one in listed], how)
