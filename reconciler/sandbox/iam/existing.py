"""What exists in the account that a request is about: ARNs by name, and tags.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reconciler.sandbox.iam import reference
from reconciler.sandbox.services import Account
from reconciler.sandbox.services._moto import partition_of
from reconciler.sandbox.services.iam import service_role_name
from reconciler.sandbox.services.tagging import tags_by_arn

_EC2_KINDS = {
    "ami": "image",
    "eni": "network-interface",
    "i": "instance",
    "key": "key-pair",
    "lt": "launch-template",
    "pg": "placement-group",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vpc": "vpc",
}
_SUFFIX = "AbCdEf"
_Params = Mapping[str, Any]


class Existing:
    """The resources of one Region of an account, and its IAM."""

    def __init__(self, account: Account, region: str) -> None:
        self.account = account
        self.region = region
        self.partition = partition_of(region)

    # --- IAM -----------------------------------------------------------------------------------------------------

    def role(self, name_or_arn: str) -> Any:
        """Moto's role; None if it does not exist."""
        return self._first("iam", "roles", lambda one: name_or_arn in (one.arn, one.name))

    def role_arn(self, name_or_arn: str) -> str:
        """The ARN of a role, which need not exist."""
        found = self.role(name_or_arn)
        return str(found.arn) if found else self._named("role", name_or_arn)

    def role_in_profile(self, name_or_arn: str) -> str | None:
        """The ARN of the role in an instance profile; None if there is none."""
        found = self._first("iam", "instance_profiles", lambda one: name_or_arn in (one.arn, one.name))
        return str(found.roles[0].arn) if found and found.roles else None

    def document(self, policy_arn: str) -> str | None:
        """The document of a managed policy, in its default version; None if it does not exist."""
        found = self._backend("iam").managed_policies.get(policy_arn)
        if found is None:
            return None
        return next((str(one.document) for one in found.versions if one.is_default), None)

    def service_role(self, service: str) -> str:
        """The name of the service-linked role of a service."""
        return service_role_name(service)

    def key_of_secret(self, name_or_arn: str) -> str:
        """The key that a secret is encrypted with; empty for that of the service."""
        found = self._secret(name_or_arn)
        return str(found.kms_key_id or "") if found else ""

    def _named(self, kind: str, name: str, path: str = "/") -> str:
        return name if name.startswith("arn:") else f"arn:{self.partition}:iam::{self.account.id}:{kind}{path}{name}"

    # --- ARNs ----------------------------------------------------------------------------------------------------

    def spelled(self, service: str, kind: str, value: str, params: _Params) -> tuple[str, ...]:
        """The ARN, in each form in which a policy may have it, of a resource that a request names."""
        special = _SPECIAL.get(f"{service}:{kind}") or _SPECIAL.get(service)
        found = special(self, kind, value, params) if special else None
        if found is None:
            return (value if value.startswith("arn:") else self.arn(service, kind, value),)
        return (found,) if isinstance(found, str) else tuple(found)

    def arn(self, service: str, kind: str, *names: str) -> str:
        """The ARN of a type with these names in it."""
        given = {"Partition": self.partition, "Region": self.region, "Account": self.account.id}
        left, built = list(names), []
        for part in reference.template(f"{service}:{kind}").split("${"):
            name, brace, rest = part.partition("}")
            built.append((given[name] if name in given else left.pop(0)) + rest if brace else part)
        return "".join(built)

    # --- tags ----------------------------------------------------------------------------------------------------

    def tags(self, arns: Iterable[str]) -> Mapping[str, str]:
        """The tags of the first of these that exists."""
        found = {**tags_by_arn(self.account, self.region), **self._tags_in_iam()}
        return next((found[arn] for arn in map(self._tagged_as, arns) if arn in found), {})

    def _tags_in_iam(self) -> dict[str, dict[str, str]]:
        iam, found = self._backend("iam"), {}
        for one in (*iam.roles.values(), *iam.instance_profiles.values(), *iam.users.values()):
            listed = getattr(one, "tags", None) or []
            found[one.arn] = {tag["Key"]: tag.get("Value", "") for tag in listed if isinstance(tag, dict)}
        for arn, policy in iam.managed_policies.items():
            if policy.tags:
                found[arn] = {tag["Key"]: tag.get("Value", "") for tag in policy.tags.values()}
        return found

    def _tagged_as(self, arn: str) -> str:
        """The ARN that the tags are stored under: key pairs have them by id, log groups without the stream."""
        head, slash, name = arn.rpartition("/")
        if head.endswith(":key-pair"):
            return f"{head}{slash}{self._key_pair(name)[1]}"
        return arn.removesuffix(":log-stream:")

    # --- by service ----------------------------------------------------------------------------------------------

    def _backend(self, service: str) -> Any:
        return self.account.moto.backend(service, self.region)

    def _first(self, service: str, table: str, wanted: Callable[[Any], bool]) -> Any:
        return next((one for one in getattr(self._backend(service), table).values() if wanted(one)), None)

    def _key_pair(self, name_or_id: str) -> tuple[str, str]:
        """Name and id of a key pair; twice the same if it does not exist."""
        found = self._first("ec2", "key_pairs", lambda one: name_or_id in (one.key_name, one.id))
        return (found.key_name, found.id) if found else (name_or_id, name_or_id)

    def _secret(self, value: str) -> Any:
        return self._first("secretsmanager", "secrets", lambda one: value in (one.arn, one.arn[:-7], one.name))

    def batch(self, kind: str, value: str, params: _Params) -> Iterable[str] | str | None:
        """Shares are below their queues; a job definition may be submitted without its revision."""
        if kind == "any" or value.startswith("arn:"):
            return value
        if kind == "quota-share":
            queue = str(params.get("jobQueue", "")).rpartition("/")[2]
            return self.arn("batch", kind, queue, value)
        if kind == "job-definition-revision":
            return self.arn("batch", "job-definition", value)
        if kind == "job-definition" and "jobDefinition" in params and ":" not in value:
            arn = self.arn("batch", kind, value)
            return (arn, f"{arn}:*")
        return None

    def ec2(self, kind: str, value: str, _: _Params) -> Iterable[str] | str | None:
        """Groups and templates by id, key pairs and placement groups by name or id."""
        kind = _EC2_KINDS.get(value.partition("-")[0], "") if kind == "any" else kind
        if kind == "key-pair":
            return {self.arn("ec2", kind, one): None for one in self._key_pair(value)}
        if kind == "placement-group" and value != "*":
            groups = self.account.memory["placement groups"].get(self.region, {}).values()
            known = next((one for one in groups if value in (one["GroupName"], one["GroupId"])), None)
            return known["GroupArn"] if known else self.arn("ec2", kind, value)
        if kind == "launch-template" and not value.startswith(("lt-", "*")):
            template = self._first("ec2", "launch_templates", lambda one: one.name == value)
            return self.arn("ec2", kind, template.id if template else value)
        if kind == "security-group" and not value.startswith(("sg-", "*")):
            groups_of = self._backend("ec2").groups.values()
            found = next((one.id for vpc in groups_of for one in vpc.values() if one.name == value), value)
            return self.arn("ec2", kind, found)
        return self.arn("ec2", kind, value) if kind else "*"

    def events(self, kind: str, value: str, params: _Params) -> str | None:
        """The rules of the default bus have no bus in their ARN."""
        if kind == "any" or value.startswith("arn:"):
            return value
        bus = str(params.get("EventBusName") or "default").rpartition("/")[2]
        if bus == "default":
            return self.arn("events", "rule-on-default-event-bus", value)
        return self.arn("events", "rule-on-custom-event-bus", bus, value)

    def iam(self, kind: str, value: str, params: _Params) -> str | None:
        """Roles, policies and profiles with their paths."""
        if value.startswith("arn:"):
            return value
        path = str(params.get("Path") or "/")
        if kind == "role" and "AWSServiceName" in params:
            return self._named("role", service_role_name(value), f"/aws-service-role/{value}/")
        if kind == "instance-profile":
            found = self._first("iam", "instance_profiles", lambda one: one.name == value)
            return str(found.arn) if found else self._named(kind, value, path)
        role = self.role(value) if kind == "role" else None
        return str(role.arn) if role else self._named(kind, value, path)

    def kms(self, kind: str, value: str, _: _Params) -> str | None:
        """Keys by id, ARN or alias."""
        alias = value.rpartition(":")[2]
        if not alias.startswith("alias/"):
            return None
        key = self._first("kms", "keys", lambda one: alias in one.aliases)
        return self.arn("kms", kind, key.id) if key else value

    def logs(self, kind: str, value: str, params: _Params) -> Iterable[str] | str | None:
        """A policy has the ARN of a group with ``:*``, and without it for the actions on tags.

        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_LogGroup.html
        """
        base = value.removesuffix(":*") if value.startswith("arn:") else self.arn("logs", "log-group", value)
        if kind == "any":
            return base
        stream = str(params.get("logStreamName", "")) if kind == "log-stream" else ""
        return f"{base}:log-stream:{stream}"

    def s3(self, _: str, value: str, __: _Params) -> str:
        """Buckets, and objects with the bucket before the key."""
        return f"arn:{self.partition}:s3:::{value}"

    def scheduler(self, kind: str, value: str, params: _Params) -> str | None:
        """Schedules are below their groups."""
        if kind == "any":
            return value
        names = (str(params.get("GroupName") or "default"), value) if kind == "schedule" else (value,)
        return self.arn("scheduler", kind, *names)

    def secretsmanager(self, kind: str, value: str, _: _Params) -> str | None:
        """A secret has a suffix, and what AWS compares has six more characters for one that does not exist, too.

        https://github.com/jenkinsci/aws-secrets-manager-credentials-provider-plugin/issues/74
        """
        found = self._secret(value)
        if found is not None:
            return str(found.arn)
        return value if value.startswith("arn:") else self.arn("secretsmanager", kind, f"{value}-{_SUFFIX}")

    def sns(self, _: str, value: str, __: _Params) -> str | None:
        """Subscriptions are covered by their topic."""
        return ":".join(value.split(":")[:6]) if value.startswith("arn:") else None

    def ssm(self, kind: str, value: str, _: _Params) -> str | None:
        """The parameters of AWS have no account."""
        arn = self.arn("ssm", kind, value.removeprefix("/")) if not value.startswith("arn:") else value
        return arn.replace(f":{self.account.id}:", "::", 1) if value.startswith("/aws/service/") else arn


_SPECIAL: Mapping[str, Callable[[Existing, str, str, _Params], Iterable[str] | str | None]] = {
    "batch": Existing.batch,
    "ec2": Existing.ec2,
    "events": Existing.events,
    "iam": Existing.iam,
    "kms": Existing.kms,
    "logs": Existing.logs,
    "s3": Existing.s3,
    "scheduler": Existing.scheduler,
    "secretsmanager": Existing.secretsmanager,
    "sns": Existing.sns,
    "ssm": Existing.ssm,
}
