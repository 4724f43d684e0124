"""The data of a launch template: how it is compared, its references, and its form in requests.

EC2 returns data as it was sent, without adding defaults. So a missing value and the few defaults that EC2 documents are
equal here, and everything else is compared as written.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RequestLaunchTemplateData.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.normal_forms import bare, unless
from reconciler.kinds.ec2.launch_template import user_data
from reconciler.model import Effect, Field, Json, Ref
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.common.replies import lowered, raised, tag_list

DATA = "launchTemplateData"

OFF = Field(normalize=unless(False))
SET = Field(unordered=True)


def _default(default: Any) -> Field:
    """A field for which ``default`` and no value are equal."""
    return Field(normalize=unless(default))


def _price(value: Any) -> Any:
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return value


def _canonical_time(value: Any) -> Any:
    """A point in time as ISO 8601 in UTC, with seconds; anything else unchanged."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if not isinstance(value, datetime):
        return value
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_REQUIREMENTS = {
    "bareMetal": _default("excluded"),
    "burstablePerformance": _default("excluded"),
    "localStorage": _default("included"),
    "requireHibernateSupport": OFF,
    "requireEncryptionInTransit": OFF,
    "onDemandMaxPricePercentageOverLowestPrice": _default(20),
    **dict.fromkeys(
        (
            *("cpuManufacturers", "instanceGenerations", "localStorageTypes", "excludedInstanceTypes"),
            *("allowedInstanceTypes", "acceleratorTypes", "acceleratorManufacturers", "acceleratorNames"),
        ),
        SET,
    ),
}
_MEMBERS: Mapping[str, Field] = {
    "blockDeviceMappings": Field(key="deviceName"),
    "tagSpecifications": Field(key="resourceType"),
    "networkInterfaces": Field(key="deviceIndex"),
    "networkInterfaces[].groups": SET,
    "networkInterfaces[].interfaceType": _default("interface"),
    "networkInterfaces[].networkCardIndex": _default(0),
    "secondaryInterfaces": Field(key="deviceIndex"),
    "secondaryInterfaces[].networkCardIndex": _default(0),
    "securityGroupIds": SET,
    "securityGroups": SET,
    "userData": Field(normalize=user_data.decode),
    "ebsOptimized": OFF,
    "disableApiTermination": OFF,
    "disableApiStop": OFF,
    "instanceInitiatedShutdownBehavior": _default("stop"),
    "monitoring.enabled": OFF,
    "monitoring.metricCategoryIds": SET,
    "hibernationOptions.configured": OFF,
    "enclaveOptions.enabled": OFF,
    "maintenanceOptions.autoRecovery": _default("default"),
    "networkPerformanceOptions.bandwidthWeighting": _default("default"),
    "placement.tenancy": _default("default"),
    "cpuOptions.amdSevSnp": _default("disabled"),
    "cpuOptions.nestedVirtualization": _default("disabled"),
    "capacityReservationSpecification.capacityReservationPreference": _default("open"),
    "privateDnsNameOptions.enableResourceNameDnsARecord": OFF,
    "privateDnsNameOptions.enableResourceNameDnsAAAARecord": OFF,
    "metadataOptions.state": Field(ignore=True),
    "metadataOptions.httpEndpoint": _default("enabled"),
    "metadataOptions.httpProtocolIpv6": _default("disabled"),
    "metadataOptions.instanceMetadataTags": _default("disabled"),
    "licenseSpecifications": SET,
    "instanceMarketOptions.spotOptions.maxPrice": Field(normalize=_price),
    "instanceMarketOptions.spotOptions.validUntil": Field(normalize=_canonical_time),
    "instanceMarketOptions.spotOptions.spotInstanceType": _default("one-time"),
    "instanceMarketOptions.spotOptions.instanceInterruptionBehavior": _default("terminate"),
    **{f"instanceRequirements.{name}": facts for name, facts in _REQUIREMENTS.items()},
}
FIELDS = {
    DATA: Field(effect=Effect.NEW_REVISION),
    **{f"{DATA}.{name}": facts for name, facts in _MEMBERS.items()},
}

_GROUP = Ref(section="securityGroups", attr="id", literal=r"sg-")
REFS = {
    f"{DATA}.securityGroupIds[]": _GROUP,
    f"{DATA}.securityGroups[]": Ref(section="securityGroups", attr="name", literal=r"$", holds=False),
    f"{DATA}.networkInterfaces[].groups[]": _GROUP,
    f"{DATA}.iamInstanceProfile.arn": Ref(section="instanceProfiles", same_account_and_region=True),
    f"{DATA}.iamInstanceProfile.name": Ref(
        section="instanceProfiles", attr="name", literal=r"$", same_account_and_region=True
    ),
    f"{DATA}.keyName": Ref(section="keyPairs", attr="name", literal=r"$", holds=False),
    f"{DATA}.placement.groupName": Ref(section="placementGroups", attr="name", literal=r"$"),
    f"{DATA}.placement.groupId": Ref(section="placementGroups", attr="id", literal=r"pg-"),
}
LOOKUPS = {
    f"{DATA}.imageId": "image",
    f"{DATA}.securityGroupIds[]": "securityGroup",
    f"{DATA}.blockDeviceMappings[].ebs.kmsKeyId": "kmsKey",
}


def from_yaml(data: Any) -> Any:
    """Declared data in plain form: text for user data, mappings for tags, without read-only members."""
    if not isinstance(data, Mapping):
        return data
    done = dict(data)
    if "userData" in done:
        done["userData"] = user_data.decode(done["userData"])
    if isinstance(done.get("tagSpecifications"), list | tuple):
        done["tagSpecifications"] = [_tags_as_mapping(item) for item in done["tagSpecifications"]]
    if isinstance(done.get("metadataOptions"), Mapping):
        done["metadataOptions"] = {name: item for name, item in done["metadataOptions"].items() if name != "state"}
    return done


def from_api(data: Json) -> Any:
    """Data of a DescribeLaunchTemplateVersions reply in plain form."""
    return _with_canonical_times(from_yaml(lowered(data)))


def _with_canonical_times(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_canonical_times(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_canonical_times(item) for item in value]
    return _canonical_time(value) if isinstance(value, datetime) else value


def _tags_as_mapping(item: Any) -> Any:
    """``{tags: [{key, value}]}`` -> ``{tags: {key: value}}``."""
    tags = mapping(item).get("tags")
    if not isinstance(tags, list | tuple):
        return item
    pairs = [(one.get("key", one.get("Key")), one.get("value", one.get("Value", ""))) for one in map(mapping, tags)]
    return item if any(key is None for key, _ in pairs) else {**item, "tags": dict(pairs)}


def to_api(data: Json) -> dict[str, Any]:
    """Data in plain form as a request expects it; empty members are left out."""
    request = raised({name: item for name, item in data.items() if name not in ("userData", "tagSpecifications")})
    if data.get("userData") not in (None, ""):
        request["UserData"] = user_data.encode(data["userData"])
    if data.get("tagSpecifications"):
        request["TagSpecifications"] = [
            {"ResourceType": item.get("resourceType"), "Tags": tag_list(mapping(item.get("tags")))}
            for item in map(mapping, items(data["tagSpecifications"]))
        ]
    kept: dict[str, Any] = _without_empty(request)
    return kept


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {name: _without_empty(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, [], {})}
    return [_without_empty(item) for item in value] if isinstance(value, list | tuple) else value


def meaning(data: Json) -> Any:
    """A value that is equal for two data exactly when the requests are the same."""
    return _ordered(to_api(data))


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _ordered(item) for name, item in sorted(value.items())}
    return sorted((_ordered(item) for item in value), key=repr) if isinstance(value, list | tuple) else value


def comparable(live: Any, wanted: Any) -> tuple[Any, Any]:
    """Both without empty text, and the live instance profile in the form (ARN or name) that is declared."""
    left, right = _without_empty_text(live), _without_empty_text(wanted)
    have, wish = mapping(left).get("iamInstanceProfile"), mapping(right).get("iamInstanceProfile")
    if isinstance(have, Mapping) and isinstance(wish, Mapping):
        names = [bare(side.get("arn")) or side.get("name") for side in (have, wish)]
        if names[0] == names[1] and have.keys() != wish.keys():
            left = {**left, "iamInstanceProfile": wish}
    return left, right


def _without_empty_text(value: Any) -> Any:
    """An empty ``noDevice`` removes a device of the image; any other empty text has no meaning."""
    if isinstance(value, Mapping):
        kept = {name: _without_empty_text(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item != "" or name == "noDevice"}
    return [_without_empty_text(item) for item in value] if isinstance(value, list | tuple) else value
